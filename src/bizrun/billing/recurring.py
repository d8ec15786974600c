"""Monthly recurring revenue: its movements by customer, and the rates that follow from them.

A kept change says what a subscription brought in a month before and after; everything here is a
function of such changes (docs/billing-ledger.md, Reports).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Any, Literal, NamedTuple, get_args
from zoneinfo import ZoneInfo

from ..times import end_of, local_date, midnight
from ..values import Money, Number, Percent, divide

Kind = Literal["new", "reactivation", "expansion", "contraction", "churn"]
KINDS: tuple[str, ...] = get_args(Kind)


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


def movements(rows: Iterable[Mapping[str, Any]]) -> Iterator[Movement]:
    """Every movement, in order of time; of one instant, by customer.

    The kept changes (`at`, `customer`, `before`, `after`) come in that order.
    """
    held: dict[tuple[str, str], Money] = {}
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


def _add(sums: dict[Kind, Money], moved: Movement) -> None:
    held = sums.get(moved.kind)
    sums[moved.kind] = moved.change if held is None else held + moved.change


@dataclass(slots=True)
class Tally:
    """A span in one currency: amounts and customers by kind of movement, and where it began.

    `rates` has the amounts of those alone who brought something when the span began (`there` says
    so of each who moved), `gone` who of them was lost: what came within the span is no part of
    the rates.
    """

    opening: Money
    customers: int
    amounts: dict[Kind, Money]
    counts: dict[Kind, int]
    rates: dict[Kind, Money]
    there: dict[str, bool]
    gone: set[str]

    @staticmethod
    def of(opening: Money, customers: int) -> Tally:
        """A span in which nothing has happened yet."""
        return Tally(opening, customers, {}, {}, {}, {}, set())

    def take(self, moved: Movement) -> None:
        """Counts a movement."""
        _add(self.amounts, moved)
        self.counts[moved.kind] = self.counts.get(moved.kind, 0) + 1
        if self.there.setdefault(moved.customer, bool(moved.before)):
            _add(self.rates, moved)
            if moved.kind == "churn":
                self.gone.add(moved.customer)

    def amount(self, kind: Kind) -> Money:
        """What came of a kind of movement, below zero for contraction and churn."""
        return self.amounts.get(kind, self.opening * 0)

    def count(self, *kinds: Kind) -> int:
        """How many movements of these kinds there were."""
        return sum(self.counts.get(kind, 0) for kind in kinds)

    @property
    def closing(self) -> Money:
        """What all customers together bring at the span's end."""
        return sum(self.amounts.values(), self.opening)

    @property
    def left(self) -> int:
        """How many customers bring something at the span's end."""
        return self.customers + self.count("new", "reactivation") - self.count("churn")

    def _of_start(self, *kinds: Kind) -> Money:
        """What came of these kinds of movement of those who were there at the start."""
        nothing = self.opening * 0
        return sum((self.rates.get(kind, nothing) for kind in kinds), nothing)

    @property
    def arpa(self) -> Money | None:
        """What a customer brings on average at the span's end; none where there is none."""
        return self.closing / self.left if self.left else None

    @property
    def customer_churn(self) -> Percent | None:
        """Those at the start who were lost, over all of them; none where there were none."""
        return percent(len(self.gone), self.customers)

    @property
    def revenue_churn(self) -> Percent | None:
        """What churn and contraction took of the start's revenue, over it."""
        return percent(-self._of_start("churn", "contraction"), self.opening)

    @property
    def net_retention(self) -> Percent | None:
        """What is left of the start's revenue, with what its customers added, over it."""
        moved = self._of_start("churn", "contraction", "expansion", "reactivation")
        return percent(self.opening + moved, self.opening)


def between(
    moved: Sequence[Movement], bounds: Iterable[tuple[datetime, datetime]], currency: str
) -> list[Tally]:
    """A tally for each of some spans `[start, end)` that follow each other, in one currency."""
    mine = [movement for movement in moved if movement.after.currency == currency]
    now, place = Tally.of(Money(0, currency), 0), 0
    found: list[Tally] = []
    for start, end in bounds:
        if not found:
            place = take_until(mine, place, start, now)
        now = Tally.of(now.closing, now.left)
        place = take_until(mine, place, end, now)
        found.append(now)
    return found


def take_until(moved: Sequence[Movement], place: int, until: datetime, tally: Tally) -> int:
    """Counts the movements from a place on that come before an instant; where the others begin."""
    while place < len(moved) and moved[place].at < until:
        tally.take(moved[place])
        place += 1
    return place


def months(start: datetime, end: datetime, tz: ZoneInfo) -> Iterator[tuple[datetime, datetime]]:
    """The local calendar months of `[start, end)`, the first and the last cut to it."""
    begin = start
    while begin < end:
        after = midnight(end_of("month", local_date(begin, tz)), tz)
        yield begin, min(after, end)
        begin = after


def lifetime_value(tallies: Sequence[Tally]) -> Money | None:
    """ARPA at the end over the average churn of some months: lost customers over those at the
    start, all of them together. None while nobody has left or brings anything."""
    at_risk = sum(tally.customers for tally in tallies)
    lost = sum(len(tally.gone) for tally in tallies)
    arpa = tallies[-1].arpa if tallies else None
    return (arpa * at_risk / lost).rounded() if lost and arpa is not None else None


def percent(part: Number | Money, whole: Number | Money) -> Percent | None:
    """A share to a tenth of a percent; none of nothing."""
    if not whole:
        return None
    share = divide(_number(part), _number(whole))
    return Percent(Decimal(share).quantize(Decimal("0.001")))


def _number(value: Number | Money) -> Number:
    return value.amount if isinstance(value, Money) else value


MOMENT = timedelta(microseconds=1)
