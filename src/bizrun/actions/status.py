"""A subscription's status: changed by billing, as far as the author's own lifecycle lets it."""

from __future__ import annotations

from typing import Any

from .desk import Desk

_EVENTS = {
    "active": "Subscription.activated", "past_due": "Subscription.past_due",
    "suspended": "Subscription.suspended", "cancelled": "Subscription.cancelled",
    "expired": "Subscription.expired", "paused": "Subscription.paused",
}  # fmt: skip


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
