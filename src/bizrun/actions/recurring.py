"""The figures of recurring revenue that an author may ask for: `mrr()`, `customer_churn(range)`.

They are those of `bizrun report mrr`, `churn` and `ltv`: all read the same kept movements.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from ..billing.recurring import (
    KINDS,
    MOMENT,
    Movement,
    Tally,
    between,
    lifetime_value,
    months,
    movements,
)
from ..diagnostics import did_you_mean
from ..errors import Refusal
from ..times import local_date, midnight, start_of
from ..values import Money, Percent, show
from .desk import Desk


def mrr(desk: Desk, at: Any = None) -> Money:
    """`mrr(at?)`: what all customers bring in a month, in the business's currency."""
    return _at(desk, at).closing


def arr(desk: Desk, at: Any = None) -> Money:
    """`arr(at?)`: twelve times that."""
    return _at(desk, at).closing * 12


def arpa(desk: Desk, at: Any = None) -> Money | None:
    """`arpa(at?)`: what a customer brings on average, to the unit; none without customers."""
    found = _at(desk, at).arpa
    return found.rounded() if found is not None else None


def mrr_movement(desk: Desk, kind: Any, within: Any = None) -> Money:
    """`mrr_movement("new", range?)`: what a kind of movement came to; losses are below zero."""
    if kind not in KINDS:
        near = did_you_mean(show(kind), KINDS)
        hint = f"; did you mean {near!r}?" if near else f": they are {', '.join(KINDS)}"
        raise Refusal(f"there is no movement {show(kind)!r}{hint}")
    return _within(desk, within).amount(kind)


def customer_churn(desk: Desk, within: Any = None) -> Percent | None:
    """`customer_churn(range?)`: customers lost over those at its start."""
    return _within(desk, within).customer_churn


def revenue_churn(desk: Desk, within: Any = None) -> Percent | None:
    """`revenue_churn(range?)`: what churn and contraction took of the revenue at its start."""
    return _within(desk, within).revenue_churn


def net_retention(desk: Desk, within: Any = None) -> Percent | None:
    """`net_retention(range?)`: what is left of the revenue at its start, expansion included."""
    return _within(desk, within).net_retention


def ltv(desk: Desk, within: Any = None) -> Money | None:
    """`ltv(range?)`: ARPA over the average monthly churn; of all time where no range is given."""
    moved = _moved(desk)
    if not moved:
        return None
    first = midnight(start_of("month", local_date(moved[0].at, desk.tz)), desk.tz)
    start, end = _bounds(desk, within, first)
    return lifetime_value(between(moved, months(start, end, desk.tz), desk.currency))


def _at(desk: Desk, at: datetime | None) -> Tally:
    """All that was brought until and at an instant."""
    end = (at or desk.now) + MOMENT
    return between(_moved(desk), [(end, end)], desk.currency)[0]


def _within(desk: Desk, within: Any) -> Tally:
    """The movements of a range, both ends in; of the running month where none is given."""
    month = midnight(start_of("month", local_date(desk.now, desk.tz)), desk.tz)
    return between(_moved(desk), [_bounds(desk, within, month)], desk.currency)[0]


def _bounds(desk: Desk, within: Any, start: datetime) -> tuple[datetime, datetime]:
    """Where a range begins and ends. One that ends at midnight ends with the day before: what
    happens at the first instant of a month is of that month alone."""
    if within is None:
        return start, desk.now + MOMENT
    end: datetime = within.end
    closed = end == midnight(local_date(end, desk.tz), desk.tz) and end > within.start
    return within.start, end if closed else end + MOMENT


def _moved(desk: Desk) -> list[Movement]:
    order = (("at", False), ("customer", False))
    return list(movements(desk.rows("_mrr", {}, (), order, None)))


QUESTIONS: Mapping[str, Callable[..., Any]] = {
    "mrr": mrr, "arr": arr, "arpa": arpa, "mrr_movement": mrr_movement,
    "customer_churn": customer_churn, "revenue_churn": revenue_churn,
    "net_retention": net_retention, "ltv": ltv,
}  # fmt: skip
