"""Does work grow with its input alone? Told by how it grows, never by how long it takes."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

FACTOR = 8
# Eight times the input may take this many times as long; what grows with its square takes 64.
MOST = 24
# Below this many seconds of processor time nothing can be told, and nothing needs to be.
FLOOR = 0.05


def grows_straight(work: Callable[[int], object], size: int) -> bool:
    """Whether `work(size)` takes about eight times the processor time of `work(size // 8)`."""
    if _seconds(work, size) < FLOOR:
        return True
    # Others on the machine can only make it slower: the best of several counts.
    for _ in range(3):
        small = min(_seconds(work, size // FACTOR) for _ in range(3))
        if _seconds(work, size) <= MOST * max(small, FLOOR / FACTOR):
            return True
    return False


def _seconds(work: Callable[[int], object], size: int) -> float:
    # What Python looks through for cycles is all that the tests before left behind.
    gc.collect()
    gc.disable()
    try:
        begun = time.process_time()
        work(size)
        return time.process_time() - begun
    finally:
        gc.enable()
