"""Wall and processor seconds of a piece of work, and the peak memory of a process."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Timing:
    """How long it took to handle so many events; `result` is what came out, for comparison."""

    events: int
    wall: float = 0.0
    cpu: float = 0.0
    megabytes: float = 0.0
    result: Any = None

    @property
    def rate(self) -> float:
        """Events a second of wall time."""
        return self.events / max(self.wall, 1e-9)

    @property
    def cpu_rate(self) -> float:
        """Events a second of processor time: what others on the machine disturb least."""
        return self.events / max(self.cpu, 1e-9)


@contextmanager
def timed(events: int) -> Iterator[Timing]:
    """Fills in the seconds of what runs inside."""
    timing = Timing(events)
    wall, cpu = time.perf_counter(), time.process_time()
    yield timing
    timing.wall, timing.cpu = time.perf_counter() - wall, time.process_time() - cpu
