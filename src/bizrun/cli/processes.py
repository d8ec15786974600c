"""Processes that work on behalf of this one: it answers Ctrl-C, and they end."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import active_children, get_context
from typing import Any, TypeVar

T = TypeVar("T")


@contextmanager
def spread(
    jobs: int, work: Callable[..., T], calls: Iterable[tuple[Any, ...]]
) -> Iterator[list[Future[T]]]:
    """Calls `work` with each of some arguments, over processes; a result for each, in order."""
    pool = ProcessPoolExecutor(jobs, get_context("spawn"))
    # Begun where it is blocked, they never see the signal that a terminal sends to all.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        futures = [pool.submit(work, *call) for call in calls]
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    try:
        yield futures
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            for process in active_children():
                process.terminate()
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    # Left to end by itself, its thread may close what Python at its own end still writes to.
    pool.shutdown(cancel_futures=True)
