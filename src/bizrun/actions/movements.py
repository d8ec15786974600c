"""Movements of the monthly recurring revenue: a row where what a subscription brings changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..values import Money, instant_stamp, zero
from .customers import ASLEEP, in_trial, lives
from .desk import Desk


def brings(sub: Mapping[str, Any] | None, currency: str) -> Money:
    """What a subscription brings in a month as it stands, before coupons and tax.

    A trial brings nothing yet, a paused or suspended one nothing for now.
    """
    if sub is None or not lives(sub) or sub["status"] in ASLEEP or in_trial(sub):
        return zero(currency)
    amount: Money = sub["monthly_amount"]
    return amount


def moved(desk: Desk, old: Mapping[str, Any] | None, row: Mapping[str, Any] | None) -> None:
    """Keeps what has changed; changes of one subscription at one instant are one movement."""
    sub = row or old
    assert sub is not None
    # A trial may end without a change of status, where an author has set that or named the states.
    if (old is not None and row is not None and old["status"] == row["status"]
            and old["monthly_amount"] is row["monthly_amount"]
            and (row["trial_end"] is None or old["period_end"] == row["period_end"])):  # fmt: skip
        return
    currency = sub["currency"]
    before, after = brings(old, currency), brings(row, currency)
    if before == after:
        return
    key = f"{sub['id']}|{instant_stamp(desk.now)}"
    held = desk.peek("_mrr", key)
    if held is not None:
        before = held["before"]
    movement = {
        "id": key, "at": desk.now, "customer": sub["customer"], "subscription": sub["id"],
        "before": before, "after": after,
    }  # fmt: skip
    desk.put("_mrr", key, movement if before != after else None)
