"""An effect on its way to its provider, and the clock that its tries go by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Event as Flag
from time import monotonic_ns

from ..model import Effect
from ..providers.base import Provider, Secrets
from .outbox import idempotency_key

# One customer's effects at one provider: they go out in order.
Queue = tuple[str, str]


@dataclass(slots=True, eq=False)
class Job:
    """An effect on its way. `road`: to which provider, and which host of one that serves many.
    `ask`: it is read back before anything is sent again."""

    effect: Effect
    name: str
    provider: Provider
    secrets: Secrets
    queue: Queue
    road: str
    at: datetime
    attempts: int = 0
    generation: int = 0
    first: datetime | None = None
    until: datetime | None = None
    ask: bool = False
    stored: bool = False
    maybe: bool = False
    twice: bool = False
    reason: str | None = None
    message: bytes | None = None
    lease: int = 0

    def __lt__(self, other: Job) -> bool:
        return (self.at, self.effect.order) < (other.at, other.effect.order)

    @property
    def key(self) -> str:
        """The idempotency key to send: another one only after the last was shown to be unused."""
        if not self.generation:
            return self.effect.id
        return idempotency_key(self.effect.id, "absent", str(self.generation))


def steady(wall: Callable[[], datetime], nanos: Callable[[], int]) -> Callable[[], datetime]:
    """The wall clock for as long as a process lives: one that is set back goes on from where it
    was, since what is to be tried again in a second would wait for as long as it was set back."""
    at, tick = wall(), nanos()

    def now() -> datetime:
        nonlocal at, tick
        passed, tick = nanos() - tick, nanos()
        at = max(wall(), at + timedelta(microseconds=passed // 1000))
        return at

    return now


def _wall() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class Clock:
    """The wall clock, and how to wait: handed in, so that tests have their own."""

    now: Callable[[], datetime] = field(default_factory=lambda: steady(_wall, monotonic_ns))

    def wait(self, arrived: Flag, span: timedelta | None) -> None:
        """Waits until an answer is there, at most so long."""
        arrived.wait(span.total_seconds() if span is not None else None)
