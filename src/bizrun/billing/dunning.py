"""When a failed payment is tried again, and what comes when no try helped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from .. import times
from .catalog import Dunning, EndAction

HARD_DECLINES = frozenset({"lost_card", "stolen_card", "fraudulent"})


@dataclass(frozen=True, slots=True)
class Retry:
    """The payment is tried again at an instant; it is the step-th retry, from 1."""

    at: datetime
    step: int


@dataclass(frozen=True, slots=True)
class Exhausted:
    """No further try: `Dunning.exhausted`, then the action; `grace` later, at an instant, more."""

    action: EndAction | None
    grace_action: EndAction | None
    grace_at: datetime | None


def schedule(policy: Dunning, first_failure: datetime, zone: str) -> tuple[datetime, ...]:
    """When each retry is due if every one is made in time and fails.

    A list counts from the first failure; what is repeated counts each from the one before, the
    first from the list's last.
    """
    return tuple(_due(policy, first_failure, zone))


def after_failure(
    policy: Dunning | None,
    first_failure: datetime,
    at: datetime,
    steps_used: int,
    error: str | None,
    zone: str,
) -> Retry | Exhausted:
    """What follows a failure at an instant, after so many retries of the policy.

    A hard decline ends it at once; a retry by hand counts as no step. A retry that is overdue
    (the policy changed, or nothing ran) is due now.
    """
    if policy is None:
        return Exhausted(None, None, None)
    due = next(islice(_due(policy, first_failure, zone), steps_used, None), None)
    if error in HARD_DECLINES or due is None:
        return exhausted(policy, at, zone)
    return Retry(max(at, due), steps_used + 1)


def exhausted(policy: Dunning, at: datetime, zone: str) -> Exhausted:
    """The end of a policy at an instant, from where its grace period runs."""
    grace_at = times.add(at, policy.grace, times.zone(zone)) if policy.grace is not None else None
    return Exhausted(policy.action, policy.grace_action, grace_at)


def _due(policy: Dunning, first_failure: datetime, zone: str) -> Iterator[datetime]:
    tz = times.zone(zone)
    last = first_failure
    for delay in policy.after:
        last = times.add(first_failure, delay, tz)
        yield last
    if policy.every is None:
        return
    for n in range(policy.times):
        last = times.add(last, policy.every.times(2**n if policy.doubling else 1), tz)
        yield last
