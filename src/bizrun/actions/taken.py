"""What takes effect when a period ends: what was scheduled, a phase of another interval."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..billing import catalog, periods
from .customers import zone_of
from .desk import Desk
from .status import own
from .terms import (
    cycle_of,
    first_paid,
    held,
    in_phase,
    interval_of,
    newly_taken,
    own_interval,
    plan_named,
)


def taken(desk: Desk, sub: Mapping[str, Any]) -> dict[str, Any]:
    """The subscription with what was scheduled for the end of its period."""
    after = dict(sub)
    known = held(sub)
    pending = known.get("pending") or {}
    was = own_interval(sub)
    own_then = catalog.interval(pending.get("interval") or was.text)
    if sub["pending_plan"] is not None:
        same = catalog.same_interval(own_then, was) and sub["pending_plan"] == sub["plan"]
        agreed = pending.get("price", sub["price"] if same else None)
        after |= {"plan": sub["pending_plan"], "pending_plan": None, "price": agreed}
        if not same:
            plan = plan_named(desk, sub["pending_plan"])
            known = newly_taken(desk, sub, plan, sub["period_end"])
    if sub["pending_quantity"] is not None:
        after |= {"quantity": sub["pending_quantity"], "pending_quantity": None}
    _in_interval(desk, sub, after, known, own_then, pending.get("anchor_day"))
    if pending.get("coupon") is not None:
        entry = {**pending["coupon"], "at": sub["period_end"]}
        after["coupons"] = [*(sub["coupons"] or ()), entry]
    if sub["status"] == "trialing" and own(desk) is None:
        after["status"] = "active"
    _moved(desk, sub, after, known)
    after["billing"] = known
    return after


def _in_interval(
    desk: Desk, sub: Mapping[str, Any], after: dict[str, Any], known: dict[str, Any],
    own_then: catalog.Interval, day: int | None,
) -> None:  # fmt: skip
    """Has the next period be of the interval that the subscription has then, or its phase has;
    another one than now, or another `day` of the month, is counted from where this one ends."""
    at = sub["period_end"]
    known.pop("interval", None)
    then = in_phase(
        desk, {**after, "interval": own_then.text, "billing": known, "period_start": at}, at
    )
    known |= then["billing"]
    running = interval_of(then)
    other = not catalog.same_interval(running, interval_of(sub))
    if other and running.unit in ("month", "year") and sub["pending_plan"] is None:
        day = day or periods.month_day(cycle_of(desk, sub))
    if other or day is not None:
        after |= {"interval": running.text, "anchor": at}
        known.pop("made_in", None)
        known |= {"anchor_day": day, "exact": True, "first_paid": first_paid(sub)}


def _moved(
    desk: Desk, sub: Mapping[str, Any], after: dict[str, Any], known: dict[str, Any]
) -> None:
    """Has the periods of a customer who moved to another zone go on there: the next one begins
    where the last one ended, and ends on the same day of the month as ever."""
    was, zone = known.get("zone"), zone_of(desk, sub["customer"])
    if was is None or was == zone:
        return
    if after["anchor"] != sub["period_end"]:
        day = periods.month_day(cycle_of(desk, sub))
        known |= {"anchor_day": day, "exact": True, "first_paid": first_paid(sub)}
        after["anchor"] = sub["period_end"]
    known |= {"zone": zone, "made_in": was}
