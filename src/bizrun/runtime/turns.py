"""Outcomes in the order in which their effects were asked for, whoever answers first."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush

from ..model import Outcome
from .jobs import Job


class Turns:
    """Outcomes that wait for those of effects before them, and which effects are still open."""

    def __init__(self) -> None:
        self._held: list[tuple[int, Job, Outcome]] = []
        self._open: list[int] = []  # orders of effects without an outcome, the least first
        self._closed: set[int] = set()

    def open(self, job: Job) -> None:
        """Later outcomes wait for this job's from here on."""
        heappush(self._open, job.effect.order)

    def close(self, job: Job) -> None:
        """Nobody waits for a job's outcome any more: it has none, or none in this run."""
        self._closed.add(job.effect.order)

    def hold(self, job: Job, outcome: Outcome) -> None:
        """Keeps an outcome until it is its turn."""
        heappush(self._held, (job.effect.order, job, outcome))

    def ready(self) -> Iterator[tuple[Job, Outcome]]:
        """Takes out the outcomes whose turn it is."""
        while self._held:
            while self._open and self._open[0] in self._closed:
                self._closed.discard(heappop(self._open))
            order, job, outcome = self._held[0]
            if self._open and self._open[0] < order:
                return
            heappop(self._held)
            self._closed.add(order)
            yield job, outcome
