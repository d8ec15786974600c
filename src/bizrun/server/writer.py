"""The one writer: a thread that does what requests ask for, in transactions.

Whatever arrives while the last commit runs goes into the next one, so that many events share a
wait for the disk. Nothing is answered before its commit is durable.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from queue import Empty, SimpleQueue
from typing import Any, Literal

from ..errors import StoreError, machine_failure
from ..runtime.lines import Line
from ..runtime.stream import rare_collections
from .business import Business
from .clock import Clock
from .meters import Meters
from .problems import Problem

MOST_JOBS = 1_000  # of one transaction
RETRY_SECONDS = 5
POLL_MS = 250

Say = Callable[[str], None]


@dataclass(slots=True, eq=False)
class Task:
    """Something to do with the business at an instant, whose result is the answer.

    `key` is the asker's own. A Problem that is raised must leave nothing half done.
    """

    key: Any
    do: Callable[[Business, datetime], Any]


@dataclass(slots=True, eq=False)
class Post:
    """Events to be handled: the bytes of each. The answer is their lines, in order.

    `owner` is the customer whose events alone they may be, None for anybody's; `plain` where what
    bizrun tells itself is not to be among them.
    """

    key: Any
    events: Sequence[bytes]
    owner: str | None = None
    plain: bool = False


Job = Task | Post
# Takes what was asked by whom, with the answers: results, or exceptions to raise.
Settle = Callable[[list[tuple[Any, Any]]], None]


class Writer:
    """Runs a business in a thread of its own."""

    def __init__(
        self, business: Business, clock: Clock, settle: Settle, say: Say, meters: Meters
    ) -> None:
        self.business = business
        self._meters = meters
        self.clock = clock
        self.down: str | None = None
        self.mistake: str | None = None
        self._settle = settle
        self._say = say
        self._queue: SimpleQueue[Job | Literal["wake"] | None] = SimpleQueue()
        business.wake = self.wake
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._stopping = False
        self._again_at: datetime | None = None
        self._final = False
        self._tried = 0
        self._written = 0

    def start(self) -> None:
        """Begins to work."""
        self._thread.start()

    def put(self, job: Job) -> None:
        """Asks for something; from any thread."""
        self._queue.put(job)

    def wake(self) -> None:
        """Says that there is something to do; from any thread."""
        self._queue.put("wake")

    def stop(self) -> None:
        """Does what was asked for before, and ends; waits until that is done."""
        self._queue.put(None)
        self._thread.join()

    # --- the thread ------------------------------------------------------------------------------

    def _run(self) -> None:
        with rare_collections():
            while not self._stopping:
                jobs = self._gather()
                if self.down is not None:
                    self._mend()
                if self.down is not None:
                    self._refuse(jobs)
                    continue
                self._settle_all(jobs, self._turn(jobs))
                self._deliver()
                if not jobs or time.monotonic() > self._written + 1:
                    self._write_files()
        self._end()

    def _end(self) -> None:
        if self.down is None:
            try:
                self.business.finish()
            except StoreError as error:
                self._fall(error)
            else:
                self._write_files()
        self.business.close()

    def _deliver(self) -> None:
        """Has effects delivered where they go to real providers."""
        if self.down is not None:
            return
        try:
            self._again_at = self.business.deliver()
        except StoreError as error:
            self._fall(error)

    def _patience(self) -> int:
        """How many milliseconds to wait for something to do."""
        if self._again_at is None:
            return POLL_MS
        left = (self._again_at - self.clock.now()) // timedelta(milliseconds=1)
        return max(0, min(POLL_MS, left))

    def _gather(self) -> list[Job]:
        """What has been asked for by now; empty where nothing was for a moment."""
        jobs: list[Job] = []
        try:
            job = self._queue.get(timeout=self._patience() / 1000)
            while True:
                if job is None:
                    self._stopping = True
                elif job != "wake":
                    jobs.append(job)
                if len(jobs) >= MOST_JOBS:
                    break
                job = self._queue.get_nowait()
        except Empty:
            pass
        return jobs

    def _turn(self, jobs: list[Job]) -> list[Any]:
        """One transaction; the answers, in order."""
        began = time.monotonic_ns()
        try:
            answers = self._do(jobs)
            self.business.commit()
            if jobs:
                self._meters.commit(len(jobs), time.monotonic_ns() - began)
            return answers
        except StoreError as error:
            self._fall(error)
            return [self._unavailable()] * len(jobs)
        except Exception as error:
            failure = machine_failure(error)
            if failure is not None:
                self._fall(failure)
                return [self._unavailable()] * len(jobs)
            self._confess(error)
            return self._alone(jobs)

    def _confess(self, error: Exception) -> None:
        """Says, once, that bizrun itself has failed at something, and goes on."""
        mistake = f"{type(error).__name__}: {str(error)[:300]}"
        if mistake != self.mistake:
            self._say(f"a mistake in bizrun, please report it: {mistake}")
        self.mistake = mistake

    def _alone(self, jobs: list[Job]) -> list[Any]:
        """Each job by itself, so that one that bizrun fails at does not take others with it."""
        answers: list[Any] = []
        for job in jobs:
            if self.down is not None:
                answers.append(self._unavailable())
                continue
            try:
                self.business.roll_back()
                found = self._do([job])
                self.business.commit()
                answers += found
            except StoreError as error:
                self._fall(error)
                answers.append(self._unavailable())
            except Exception as error:
                answers.append(_broken(error))
        if self.down is None:
            try:
                self.business.roll_back()
            except StoreError as error:
                self._fall(error)
        return answers

    def _do(self, jobs: list[Job]) -> list[Any]:
        now = self.clock.now()
        self.business.advance(now)
        answers: list[Any] = []
        taken: list[Line] = []
        for job in jobs:
            if isinstance(job, Post):
                read, owner = self.business.read, job.owner
                lines = [read(n, data, now, owner) for n, data in enumerate(job.events, 1)]
                if job.plain:
                    self.business.refuse_untold(lines)
                answers.append(lines)
                # Where none is an event the request is refused, and nothing is kept of it.
                if any(line.reason is None for line in lines):
                    taken += [line for line in lines if line.receipt is None]
                continue
            self._handle(taken)
            answers.append(_task(job, self.business, now))
        self._handle(taken)
        return answers

    def _handle(self, taken: list[Line]) -> None:
        if taken:
            self.business.handle(taken)
            taken.clear()

    # --- failures --------------------------------------------------------------------------------

    def _fall(self, error: StoreError) -> None:
        """Stops acknowledging: nothing can be committed."""
        self.down = str(error)
        self._final = error.final
        self._tried = int(time.monotonic())
        self._say(f"nothing can be committed, so nothing is taken: {error}")
        self.business.close()

    def _mend(self) -> None:
        """Opens the state again, now and then, where that is no risk."""
        if self._final or time.monotonic() < self._tried + RETRY_SECONDS:
            return
        self._tried = int(time.monotonic())
        try:
            self.business.reopen()
            self.business.commit()
        except StoreError as error:
            self.down, self._final = str(error), error.final
            self.business.close()
        else:
            self.down = None
            self._say("the state can be written again")

    def _unavailable(self) -> Problem:
        return Problem(503, f"Nothing can be committed: {self.down}.", RETRY_SECONDS)

    def _refuse(self, jobs: list[Job]) -> None:
        self._settle_all(jobs, [self._unavailable()] * len(jobs))

    def _settle_all(self, jobs: list[Job], answers: list[Any]) -> None:
        if jobs:
            self._settle([(job.key, answer) for job, answer in zip(jobs, answers, strict=True)])

    def _write_files(self) -> None:
        self._written = int(time.monotonic())
        try:
            self.business.write_files()
        except OSError as error:
            self._say(f"{error.filename or 'a file'} can't be written: {error.strerror}")


def _task(job: Task, business: Business, now: datetime) -> Any:
    try:
        return job.do(business, now)
    except Problem as problem:
        return problem


def _broken(error: Exception) -> Problem:
    return Problem(500, f"A mistake in bizrun ({type(error).__name__}): nothing of this was kept.")
