"""A subscription's status: changed by billing, as far as the author's own lifecycle lets it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import Refusal
from ..ir.program import Lifecycle
from ..values import show
from .customers import ENDED, lives, subscriptions_of
from .desk import Desk

_EVENTS = {
    "active": "Subscription.activated", "past_due": "Subscription.past_due",
    "suspended": "Subscription.suspended", "cancelled": "Subscription.cancelled",
    "expired": "Subscription.expired", "paused": "Subscription.paused",
}  # fmt: skip


def living(desk: Desk, key: Any, verb: str) -> Mapping[str, Any]:
    """A subscription that may be changed at this instant.

    Refused where it has ended, where a final invoice of it is of a later time (what that says
    can't be undone by something dated before it), or where its running period began later.
    """
    sub = desk.row("Subscription", key)
    if not lives(sub):
        raise Refusal(f"subscription {key} is {sub['status']} and can't be {verb}")
    if desk.late:
        for invoice in desk.select("Invoice", customer=sub["customer"]):
            at = invoice["issued_at"]
            if at is not None and at > desk.now and key in subscriptions_of(invoice):
                raise Refusal(
                    f"subscription {key} can't be {verb} at {show(desk.now)}: invoice "
                    f"{invoice['number']} is final since {show(at)}"
                )
        if sub["period_start"] > desk.now:
            raise Refusal(
                f"subscription {key} can't be {verb} at {show(desk.now)}: its running period "
                f"began at {show(sub['period_start'])}"
            )
    return sub


def own(desk: Desk) -> Lifecycle | None:
    """The author's own `lifecycle Subscription.status`: billing then moves it only when told to.

    Its arrows do what billing would: a trial that ended, a payment that failed or came in change
    the status as they say, or not at all.
    """
    for life in desk.program.lifecycles:
        if (life.entity, life.field) == ("Subscription", "status"):
            return life
    return None


def allowed(desk: Desk, source: str, target: str) -> bool:
    """Whether the author's lifecycle, if there is one, lets a status follow another."""
    life = own(desk) if source != target else None
    return life is None or life.allows(source, target)


def may_become(desk: Desk, sub: Mapping[str, Any], target: str) -> None:
    """Refuses what an action asks for where the author's lifecycle has no arrow for it."""
    if not allowed(desk, sub["status"], target):
        raise Refusal(
            f"subscription {sub['id']} is {sub['status']} and can't become {target}: "
            "the lifecycle of Subscription.status has no such arrow"
        )


def is_end(desk: Desk, state: str) -> bool:
    """Whether nothing leads out of a state, so that a subscription ends with it."""
    life = own(desk)
    if state in ENDED or life is None:
        return state in ENDED
    return not any(a.source in (None, state) and a.target != state for a in life.arrows)


def set_status(desk: Desk, key: str, status: str, event: str | None = None, **more: Any) -> None:
    """Changes a subscription's status and says so."""
    desk.change("Subscription", key, status=status, **more)
    tell(desk, key, status, event)


def tell(desk: Desk, key: str, status: str, event: str | None = None) -> None:
    """The event of a status, where it has one."""
    if event := event or _EVENTS.get(status):
        announce(desk, event, key, desk.row("Subscription", key)["customer"])


def announce(desk: Desk, event: str, key: str, customer: str, **more: Any) -> None:
    """An event about a subscription."""
    desk.announce(event, key, subscription=key, customer=customer, **more)
