"""Where effects go out: one road to each provider, or to each host of one that serves many.

A road has its own pace and its own circuit, so that a receiver that is down stops nobody else.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from heapq import heappop, heappush

from ..providers.base import Provider, Spread
from .jobs import Job
from .pacing import Pace

SHORT = timedelta(seconds=10)
PATIENT = timedelta(hours=1)
SPREAD = 8  # hosts that may be called at once with as many calls as the limits say


class Road:
    """The jobs that are the first of their lanes, by when they are due, and how fast they go.
    `one_of_many`: it leads to one of the hosts that its provider calls."""

    __slots__ = ("due", "name", "one_of_many", "pace", "place")

    def __init__(self, first: Job) -> None:
        self.name = first.name
        self.place = first.road
        self.one_of_many = isinstance(first.provider, Spread)
        self.pace = Pace(first.provider.limits)
        self.due: list[Job] = []

    def add(self, job: Job) -> None:
        """Takes a job, as the first of its lane."""
        heappush(self.due, job)

    def next_at(self, now: datetime) -> datetime | None:
        """When the next job may go, at least now; None while none is due or others are under
        way."""
        free = self.pace.free_at(now) if self.due else None
        return None if free is None else max(free, self.due[0].at)

    def take(self, now: datetime) -> Job | None:
        """A job that may go now."""
        return heappop(self.due) if self.next_at(now) == now else None

    @property
    def _patient(self) -> bool:
        return self.pace.limits.longest >= PATIENT

    def down(self, now: datetime) -> str | None:
        """Why nothing is heard from here any more, where there is something to send: what a run
        stops for, unless it is one host of many."""
        if not self.due or self.one_of_many or not self.pace.down(now):
            return None
        return (self.due[0].reason or "no answer").rstrip(".")

    def later(self, now: datetime) -> list[Job]:
        """Takes out the jobs that a run does not wait for: they may be tried for days."""
        at = self.next_at(now)
        if not self._patient or at is None or at <= now + SHORT:
            return []
        found, self.due = self.due, []
        return found


def threads(provider: Provider) -> int:
    """How many calls of a provider may be under way at once, whatever their roads."""
    concurrency = provider.limits.concurrency
    return concurrency * SPREAD if isinstance(provider, Spread) else concurrency
