"""Trials that end on another day than their plan says: extended, shortened, ended at once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ..billing import periods
from ..errors import Refusal
from ..values import show
from . import renewals
from .customers import ASLEEP, in_trial, settings, zone_of
from .desk import Desk
from .status import announce, living
from .terms import held, interval_of


def set_trial(desk: Desk, args: dict[str, Any], site: object, place: Any) -> str:
    """`set_trial { subscription, ends }`: the trial that runs ends then, and the first paid period
    begins there; `ends: now` begins it at once.

    Where the business prorates by the day, a trial ends where a local day begins (BILLING.md,
    Periods). Refused where no trial runs, and for an end that is over.
    """
    key, ends = args["subscription"], args["ends"]
    sub = _running(desk, key)
    if ends < desk.now:
        raise Refusal(f"a trial can't end at {show(ends)}: that is over")
    chosen, zone = settings(desk), zone_of(desk, sub["customer"])
    if chosen.proration != "second":
        ends = periods.midnight(periods.local_day(ends, zone), zone)
    if ends <= desk.now:
        _end(desk, sub, zone)
    else:
        _move(desk, sub, ends, zone)
    return str(key)


def _running(desk: Desk, key: Any) -> Mapping[str, Any]:
    """A subscription whose trial runs."""
    sub = living(desk, key, "changed")
    if not in_trial(sub):
        raise Refusal(f"subscription {key} has no trial that runs")
    if sub["status"] in ASLEEP:
        raise Refusal(f"subscription {key} is {sub['status']}: `resume` comes first")
    if sub["cancel_at"] is not None:
        raise Refusal(f"subscription {key} ends with its trial: `resume` takes that back first")
    return sub


def _move(desk: Desk, sub: Mapping[str, Any], ends: datetime, zone: str) -> None:
    """The trial goes on until then; that it ends soon is told again."""
    key, chosen = sub["id"], settings(desk)
    _anchored(desk, sub, ends, zone, True)
    desk.drop_timer(f"notice|{key}")
    notice_at = periods.trial_notice(sub["started"], ends, chosen, zone)
    if notice_at > desk.now:
        desk.set_timer(f"notice|{key}", notice_at, what="notice", sub=key)
    elif periods.trial_notice(sub["started"], sub["trial_end"], chosen, zone) > desk.now:
        announce(desk, "Subscription.trial_ending", key, sub["customer"])
    desk.set_timer(f"renew|{key}", ends, what="renew", sub=key)


def _end(desk: Desk, sub: Mapping[str, Any], zone: str) -> None:
    """The first paid period begins today: its day counts whole, what was used before is free."""
    desk.drop_timer(f"notice|{sub['id']}")
    turn = renewals.turn(desk, _anchored(desk, sub, desk.now, zone, False))
    turn.after["usage_start"] = max(turn.period.start, desk.now)
    renewals.bill(desk, [turn], "trial_end")


def _anchored(
    desk: Desk, sub: Mapping[str, Any], ends: datetime, zone: str, exact: bool
) -> Mapping[str, Any]:
    """The subscription with its trial ending then, and its paid periods counted from there."""
    known = held(sub)
    cycle = periods.cycle(
        ends, interval_of(sub), settings(desk), zone, known.get("anchor_day"), exact
    )
    if known.get("since") == sub["anchor"]:
        known["since"] = cycle.start  # a plan that it was changed to within the trial
    known["exact"] = exact
    return desk.change(
        "Subscription", sub["id"], trial_end=ends, period_end=ends, anchor=cycle.start,
        billing=known,
    )  # fmt: skip
