"""Monthly recurring revenue and its movements, by customer: computed from the kept movements."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any, Literal, NamedTuple

from ..store.base import Store
from ..values import Money
from .figures import Figures, Span

Kind = Literal["new", "reactivation", "expansion", "contraction", "churn"]


class Movement(NamedTuple):
    """A change of what a customer brings in a month, all its subscriptions together."""

    at: datetime
    customer: str
    kind: Kind
    before: Money
    after: Money

    @property
    def change(self) -> Money:
        """By how much, below zero where it is less."""
        return self.after - self.before


def movements(store: Store) -> Iterator[Movement]:
    """Every movement, in order of time; of one instant, by customer."""
    held: dict[tuple[str, str], Money] = {}
    rows = store.select("_mrr", {}, (), (("at", False), ("customer", False)))
    for (at, customer), group in groupby(rows, lambda row: (row["at"], row["customer"])):
        changes: dict[str, Money] = {}
        for row in group:
            change = row["after"] - row["before"]
            before = changes.get(change.currency)
            changes[change.currency] = change if before is None else before + change
        for currency, change in sorted(changes.items()):
            if not change:
                continue
            known = held.get((customer, currency))
            before = Money(0, currency) if known is None else known
            after = held[customer, currency] = before + change
            yield Movement(at, customer, _kind(known is None, before, after), before, after)


def _kind(first: bool, before: Money, after: Money) -> Kind:
    if not before:
        return "new" if first else "reactivation"
    if not after:
        return "churn"
    return "expansion" if after > before else "contraction"


@dataclass(slots=True)
class Tally:
    """A month in one currency: amounts and customers by kind of movement, and where it began."""

    opening: Money
    customers: int
    amounts: dict[Kind, Money]
    counts: dict[Kind, int]

    @staticmethod
    def of(opening: Money, customers: int) -> Tally:
        """A month in which nothing has happened yet."""
        return Tally(opening, customers, {}, {})

    def take(self, moved: Movement) -> None:
        """Counts a movement."""
        held = self.amounts.get(moved.kind)
        self.amounts[moved.kind] = moved.change if held is None else held + moved.change
        self.counts[moved.kind] = self.counts.get(moved.kind, 0) + 1

    def amount(self, kind: Kind) -> Money:
        """What came of a kind of movement, below zero for contraction and churn."""
        return self.amounts.get(kind, self.opening * 0)

    def count(self, *kinds: Kind) -> int:
        """How many movements of these kinds there were."""
        return sum(self.counts.get(kind, 0) for kind in kinds)

    @property
    def closing(self) -> Money:
        """What all customers together bring at the month's end."""
        return sum(self.amounts.values(), self.opening)

    @property
    def left(self) -> int:
        """How many customers bring something at the month's end."""
        return self.customers + self.count("new", "reactivation") - self.count("churn")


def tallies(store: Store, span: Span) -> list[tuple[str, dict[str, Tally]]]:
    """The months of a span with what happened in each, by currency."""
    moved = list(movements(store))
    currencies = sorted({movement.after.currency for movement in moved})
    now = {currency: Tally.of(Money(0, currency), 0) for currency in currencies}
    place = _take(moved, 0, span.start, now)
    found = []
    for month in span.months():
        now = {c: Tally.of(tally.closing, tally.left) for c, tally in now.items()}
        place = _take(moved, place, month.end, now)
        found.append((month.name, now))
    return found


def _take(moved: list[Movement], place: int, until: datetime, tallies: Mapping[str, Tally]) -> int:
    while place < len(moved) and moved[place].at < until:
        tallies[moved[place].after.currency].take(moved[place])
        place += 1
    return place


def mrr(store: Store, span: Span) -> Figures:
    """Monthly recurring revenue by month and currency, with what moved it, and ARR."""
    columns = (
        "month", "currency", "opening", "new", "reactivation", "expansion", "contraction",
        "churn", "mrr", "arr",
    )  # fmt: skip
    rows = [
        {
            "month": month, "currency": currency, "opening": tally.opening,
            "new": tally.amount("new"), "reactivation": tally.amount("reactivation"),
            "expansion": tally.amount("expansion"), "contraction": tally.amount("contraction"),
            "churn": tally.amount("churn"), "mrr": tally.closing, "arr": tally.closing * 12,
        }
        for month, found in tallies(store, span)
        for currency, tally in found.items()
    ]  # fmt: skip
    note = "mrr: the fixed prices of active and past-due subscriptions, before coupons and tax"
    return Figures("Monthly recurring revenue", columns, tuple(rows), note)


def first_at(rows: Iterable[Mapping[str, Any]], field: str) -> datetime | None:
    """When the first of some rows was."""
    return min((row[field] for row in rows), default=None)


def totals(found: Mapping[str, Mapping[str, Money]]) -> dict[str, Money]:
    """The sum by currency of amounts by customer and currency."""
    sums: defaultdict[str, list[Money]] = defaultdict(list)
    for amounts in found.values():
        for currency, amount in amounts.items():
            sums[currency].append(amount)
    return {c: sum(amounts, Money(0, c)) for c, amounts in sums.items()}
