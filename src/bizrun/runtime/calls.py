"""Calls of providers that are under way: each in a thread, its answer in a queue.

Only `_call` runs in those threads; they get a frozen effect and touch nothing of the engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from queue import Empty, SimpleQueue
from threading import Event as Flag

from ..errors import BizError
from ..model import Outcome
from ..providers.base import Call, MaybeSent, NotSent
from .jobs import Clock, Job
from .roads import threads

# A call may take its time-out, and a thread some time to be run.
SLACK = timedelta(seconds=30)
Answer = Outcome | BizError | NotSent | MaybeSent | None


class Calls:
    """The calls of one worker. `wake` is called from a thread when an answer has come."""

    def __init__(self, wake: Callable[[], None] | None = None) -> None:
        self._wake = wake or (lambda: None)
        self._pools: dict[str, ThreadPoolExecutor] = {}
        self._under_way: dict[str, Job] = {}
        self._answers: SimpleQueue[tuple[Job, int, Answer]] = SimpleQueue()
        self._arrived = Flag()
        self._leases = 0

    def __bool__(self) -> bool:
        """Whether any is under way."""
        return bool(self._under_way)

    @property
    def answered(self) -> bool:
        """Whether an answer is there to be taken."""
        return not self._answers.empty()

    def deadlines(self) -> Iterator[datetime]:
        """When each call that is under way is given up for lost."""
        return (job.until for job in self._under_way.values() if job.until is not None)

    def has_room(self, name: str, leased: Sequence[Job]) -> bool:
        """Whether a thread is free for one more call of a provider that serves many hosts."""
        busy = [job for job in (*self._under_way.values(), *leased) if job.name == name]
        return not busy or len(busy) < threads(busy[0].provider)

    def lease(self, job: Job, now: datetime) -> None:
        """Numbers a call that is about to begin, so that the answer to one before is known as
        such, and says until when its answer is waited for."""
        self._leases += 1
        job.lease = self._leases
        job.until = now + job.provider.limits.timeout + SLACK

    def begin(self, job: Job, call: Call) -> None:
        """Has a thread make a call: only after the commit that says that it is leased."""
        pool = self._pools.get(job.name)
        if pool is None:
            pool = ThreadPoolExecutor(threads(job.provider), f"outbox-{job.name}")
            self._pools[job.name] = pool
        self._under_way[job.effect.id] = job
        pool.submit(self._call, job, job.lease, job.ask, call)

    def _call(self, job: Job, lease: int, ask: bool, call: Call) -> None:
        """In a thread of its own: one call, whose answer goes into the queue whatever it is."""
        answer: Answer
        try:
            serve = job.provider.read_back if ask else job.provider.deliver
            answer = serve(job.effect, call)
        except (NotSent, MaybeSent, BizError) as error:
            answer = error
        except Exception as error:
            answer = MaybeSent(f"{type(error).__name__}: {error}")
        self._answers.put((job, lease, answer))
        self._arrived.set()
        self._wake()

    def answers(self, now: datetime) -> Iterator[tuple[Job, Answer]]:
        """Takes the answers that are there, and gives up the calls whose time is over."""
        while True:
            try:
                job, lease, answer = self._answers.get_nowait()
            except Empty:
                break
            # Otherwise it was given up for lost before.
            if self._under_way.get(job.effect.id) is job and job.lease == lease:
                del self._under_way[job.effect.id]
                yield job, answer
        for job in list(self._under_way.values()):
            if job.until is not None and job.until <= now:
                del self._under_way[job.effect.id]
                yield job, MaybeSent("no answer came in time")

    def wait(self, clock: Clock, span: timedelta | None) -> None:
        """Waits until an answer comes, at most so long."""
        clock.wait(self._arrived, span)
        self._arrived.clear()

    def close(self) -> None:
        """Waits for the calls that are under way, at most for their time-outs."""
        for pool in self._pools.values():
            pool.shutdown(wait=True, cancel_futures=True)
