"""A subscription's status: changed by billing, as far as the author's own lifecycle lets it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import Refusal
from ..values import show
from .customers import LIVE, subscriptions_of
from .desk import Desk

_EVENTS = {
    "active": "Subscription.activated", "past_due": "Subscription.past_due",
    "suspended": "Subscription.suspended", "cancelled": "Subscription.cancelled",
    "expired": "Subscription.expired", "paused": "Subscription.paused",
}  # fmt: skip


def living(desk: Desk, key: Any, verb: str) -> Mapping[str, Any]:
    """A subscription that may be changed at this instant.

    Refused where it has ended, or where a final invoice of it is of a later time: what that
    invoice says can't be undone by something dated before it.
    """
    sub = desk.row("Subscription", key)
    if sub["status"] not in LIVE:
        raise Refusal(f"subscription {key} is {sub['status']} and can't be {verb}")
    if desk.late:
        for invoice in desk.select("Invoice", customer=sub["customer"]):
            at = invoice["issued_at"]
            if at is not None and at > desk.now and key in subscriptions_of(invoice):
                raise Refusal(
                    f"subscription {key} can't be {verb} at {show(desk.now)}: invoice "
                    f"{invoice['number']} is final since {show(at)}"
                )
    return sub


def allowed(desk: Desk, source: str, target: str) -> bool:
    """Whether the author's lifecycle, if there is one, lets a status follow another."""
    if source == target:
        return True
    for life in desk.program.lifecycles:
        if life.entity == "Subscription" and life.field == "status":
            return life.allows(source, target)
    return True


def set_status(desk: Desk, key: str, status: str, event: str | None = None, **more: Any) -> None:
    """Changes a subscription's status and says so; an author's own lifecycle has the last word."""
    sub = desk.row("Subscription", key)
    if allowed(desk, sub["status"], status):
        more["status"] = status
    if more:
        desk.change("Subscription", key, **more)
    if "status" in more:
        announce(desk, event or _EVENTS[status], key, sub["customer"])


def announce(desk: Desk, event: str, key: str, customer: str, **more: Any) -> None:
    """An event about a subscription."""
    desk.announce(event, key, subscription=key, customer=customer, **more)
