"""Monthly recurring revenue and its movements, by customer: computed from the kept movements."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from ..billing import recurring
from ..billing.recurring import Movement, Tally
from ..store.base import Store
from ..values import Money
from .figures import Figures, Span


def movements(store: Store) -> Iterator[Movement]:
    """Every movement, in order of time; of one instant, by customer."""
    return recurring.movements(store.select("_mrr", {}, (), (("at", False), ("customer", False))))


def tallies(store: Store, span: Span) -> list[tuple[str, dict[str, Tally]]]:
    """The months of a span with what happened in each, by currency."""
    moved = list(movements(store))
    currencies = sorted({movement.after.currency for movement in moved})
    months = list(span.months())
    bounds = [(month.start, month.end) for month in months]
    found = {currency: recurring.between(moved, bounds, currency) for currency in currencies}
    return [
        (month.name, {currency: found[currency][place] for currency in currencies})
        for place, month in enumerate(months)
    ]


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


def totals(found: Mapping[str, Mapping[str, Money]]) -> dict[str, Money]:
    """The sum by currency of amounts by customer and currency."""
    sums: defaultdict[str, list[Money]] = defaultdict(list)
    for amounts in found.values():
        for currency, amount in amounts.items():
            sums[currency].append(amount)
    return {c: sum(amounts, Money(0, c)) for c, amounts in sums.items()}
