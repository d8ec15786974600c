"""A subscription that began in the past, brought up to now: every period since, each by itself,
with what came within it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ..model import Event
from . import renewals
from .changes import version_due
from .desk import Desk
from .terms import held, next_version


def catch_up(desk: Desk, key: str, taken: Sequence[Event]) -> None:
    """Bills all that is over of a subscription whose first period is invoiced. `taken` are events
    in the order of their time that were counted as nobody's so far."""
    taken = _run_through(desk, key, taken)
    while (running := desk.row("Subscription", key))["period_end"] <= desk.now:
        renewals.bill(desk, [renewals.turn(desk, running)], "renewal")
        taken = _run_through(desk, key, taken)
    if held(desk.row("Subscription", key)).get("waiting"):
        renewals.bill_waiting(desk, key)


def _run_through(desk: Desk, key: str, taken: Sequence[Event]) -> Sequence[Event]:
    """Does what came within a subscription's running period so far: dated versions that took it
    over, and usage periods that ended. What a version changes waits for the invoice that is made
    next: none has an earlier date than the one before it."""
    now, at = desk.now, desk.row("Subscription", key)["period_start"]
    while (due := next_version(desk, desk.row("Subscription", key), at)) and due <= now:
        taken = _count_until(desk, taken, due)
        renewals.overtaken(desk, key, due)
        desk.now = at = due
        try:
            version_due(desk, key, {"invoice": "next"})
        finally:
            desk.now = now
    sub = desk.row("Subscription", key)
    taken = _count_until(desk, taken, sub["period_end"])
    renewals.overtaken(desk, key, now)
    desk.drop_timer(f"version|{key}")
    renewals.await_version(desk, sub, now)
    return taken


def _count_until(desk: Desk, taken: Sequence[Event], end: datetime) -> Sequence[Event]:
    """Counts again what was taken back from before an instant: a period has to run for what falls
    into it to be its own. What is left comes later."""
    if not taken:
        return taken
    desk.count_again([event for event in taken if event.time < end])
    return [event for event in taken if event.time >= end]
