"""Where effects go out: one road to each provider, or to each host of one that serves many.

A road has its own pace and its own circuit, so that a receiver that is down stops nobody else.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from datetime import datetime, timedelta
from heapq import heappop, heappush

from ..providers.base import Provider, Spread
from .jobs import Job, Queue
from .pacing import Pace

SHORT = timedelta(seconds=10)
PATIENT = timedelta(hours=1)
SPREAD = 8  # hosts that may be called at once with as many calls as the limits say


class Road:
    """The jobs that are the first of their queues, by when they are due, and how fast they go.
    `one_of_many`: it leads to one of the hosts that its provider calls."""

    __slots__ = ("due", "name", "one_of_many", "pace", "place")

    def __init__(self, first: Job) -> None:
        self.name = first.name
        self.place = first.road
        self.one_of_many = isinstance(first.provider, Spread)
        self.pace = Pace(first.provider.limits)
        self.due: list[Job] = []

    def add(self, job: Job) -> None:
        """Takes a job, as the first of its queue."""
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


class Roads:
    """The jobs of one worker: each queue is one customer's effects at one provider, which go out
    in order, and the first of each waits at its road."""

    def __init__(self) -> None:
        self._roads: dict[str, Road] = {}
        self._queues: dict[Queue, deque[Job]] = {}
        self._known: set[str] = set()

    def __iter__(self) -> Iterator[Road]:
        return iter(self._roads.values())

    def __contains__(self, effect: str) -> bool:
        """Whether an effect is on its way already."""
        return effect in self._known

    def of(self, job: Job) -> Road:
        """The road that a job takes."""
        return self._roads[job.road]

    def enter(self, job: Job) -> None:
        """Takes a new job, as the last of its queue."""
        self._known.add(job.effect.id)
        if job.road not in self._roads:
            self._roads[job.road] = Road(job)
        queue = self._queues.setdefault(job.queue, deque())
        queue.append(job)
        if len(queue) == 1:
            self.of(job).add(job)

    def again(self, job: Job) -> None:
        """Takes back a job that has gone out and is still the first of its queue."""
        self.of(job).add(job)

    def leave(self, job: Job) -> None:
        """Lets the next one of its queue go; the job itself waits at no road any more."""
        self._known.discard(job.effect.id)
        queue = self._queues[job.queue]
        assert queue[0] is job
        queue.popleft()
        if queue:
            self.of(queue[0]).add(queue[0])
        else:
            del self._queues[job.queue]

    def clear(self, queue: Queue) -> Iterator[Job]:
        """Takes out all jobs of a queue."""
        for job in self._queues.pop(queue):
            self._known.discard(job.effect.id)
            yield job


def threads(provider: Provider) -> int:
    """How many calls of a provider may be under way at once, whatever their roads."""
    concurrency = provider.limits.concurrency
    return concurrency * SPREAD if isinstance(provider, Spread) else concurrency
