"""How fast a provider is called: pauses between tries, calls a second, a circuit that opens.

All of it is arithmetic on instants that are handed in; nothing here reads a clock.
"""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta
from hashlib import sha256

from ..providers.base import Limits

SECOND = timedelta(seconds=1)
DOWN = 5  # openings of a circuit in a row
WHILE = timedelta(minutes=1)


def pause(key: str, attempt: int, limits: Limits) -> timedelta:
    """How long to wait after the attempt (1 is the first): doubling, and half to all of that.

    The jitter comes from the key and the attempt, so that effects which failed together do not
    come again together, and a test sees the same pauses each time.
    """
    doubled = limits.pause * (1 << min(attempt - 1, 30))
    full = min(doubled, limits.longest)
    drawn = int.from_bytes(sha256(f"{key}\0{attempt}".encode()).digest()[:4], "big")
    return full / 2 + full * drawn / (2 << 32)


class Pace:
    """One provider's calls: how many are under way, how many began in the last second, and
    whether it may be called at all."""

    __slots__ = ("_begun", "_failed", "_since", "_until", "limits", "opened", "under_way")

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.under_way = 0
        self._begun: deque[datetime] = deque()
        self._failed = 0
        self.opened = 0
        self._since: datetime | None = None
        self._until: datetime | None = None

    def free_at(self, now: datetime) -> datetime | None:
        """When a call may begin: now or later; None while as many are under way as may be."""
        if self.under_way >= self.limits.concurrency:
            return None
        if self._until is not None:
            if now < self._until:
                return self._until
            if self.under_way:
                return None  # half open: one call tries it
        while self._begun and self._begun[0] <= now - SECOND:
            self._begun.popleft()
        if len(self._begun) >= self.limits.per_second:
            return self._begun[0] + SECOND
        return now

    def begin(self, now: datetime) -> None:
        """Notes a call."""
        self.under_way += 1
        self._begun.append(now)

    def end(self, now: datetime, well: bool, retry_after: timedelta | None = None) -> None:
        """Notes its end; failures in a row open the circuit, each time for twice as long."""
        self.under_way -= 1
        if well:
            self._failed = self.opened = 0
            self._since = self._until = None
            return
        self._since = self._since or now
        self._failed += 1
        # What was begun before it opened, and fails after, opens it no further.
        tried = self._until is not None and now >= self._until
        if tried or (self._until is None and self._failed >= self.limits.failures):
            rest = min(self.limits.rest * (1 << min(self.opened, 16)), self.limits.longest)
            self.opened += 1
            self._failed = 0
            self._until = max(self._until or now, now + rest)
        if retry_after is not None:
            self._until = max(self._until or now, now + retry_after)

    def down(self, now: datetime) -> bool:
        """Whether a run should no longer wait: the circuit opened again and again, and nothing
        has gone well for a while."""
        return self.opened >= DOWN and self._since is not None and now - self._since >= WHILE

    def open_until(self, now: datetime) -> datetime | None:
        """Until when the circuit is open, None where it is closed."""
        return self._until if self._until is not None and now < self._until else None
