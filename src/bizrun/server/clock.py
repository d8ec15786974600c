"""Time as the server sees it: an interface, so that a test can set it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Says what time it is."""

    def now(self) -> datetime:
        """This instant, in UTC."""


class WallClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """This instant, in UTC."""
        return datetime.now(UTC)
