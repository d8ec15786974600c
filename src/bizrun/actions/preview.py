"""The next invoice of a subscription, by the calculation that will make it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..billing import lines, periods, proration
from ..billing.invoicing import Bound, Line
from .customers import cycle_of, settings, terms, zone_of
from .desk import Desk
from .subscriptions import arrears_lines, bounds_of, prices_of


def next_lines(desk: Desk, sub: Mapping[str, Any]) -> tuple[list[Line], list[Bound]]:
    """The lines that the end of the running period will make."""
    end = sub["period_end"]
    trialing = sub["status"] == "trialing"
    owed = [] if trialing else arrears_lines(desk, sub, end)
    bounds = [] if trialing else bounds_of(desk, sub, end)
    if sub["cancel_at"] is not None and sub["cancel_at"] <= end:
        return owed, bounds
    after = {
        **sub,
        "plan": sub["pending_plan"] or sub["plan"],
        "quantity": sub["pending_quantity"] or sub["quantity"],
    }
    period = periods.period_at(cycle_of(desk, sub), end)
    plan = terms(desk, {**after, "period_start": period.start}, period.start)
    share = proration.period_share(period, settings(desk).proration, zone_of(desk, sub["customer"]))
    advance = [price for price in prices_of(plan, after) if not price.arrears and price.interval]
    subject = lines.Subject.of(sub["id"], plan)
    base = lines.base_lines(subject, advance, after["quantity"], period.start, period.end, share)
    return [*owed, *base], bounds
