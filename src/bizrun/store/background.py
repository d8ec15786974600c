"""A thread that does one thing at a time, while the one that begins it goes on."""

from __future__ import annotations

import sys
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread

# A thread that waits for Python's lock gets it this soon, in seconds, and not after 5 ms: what it
# does with it takes a few microseconds, the disk the rest.
_SOON = 20 / 1_000_000

Work = Callable[[], None]


class Background:
    """Work that is done in a thread of its own; one piece is waited for before the next begins."""

    __slots__ = ("_done", "_interval", "_todo", "busy")

    def __init__(self) -> None:
        self._todo: SimpleQueue[Work | None] = SimpleQueue()
        self._done: SimpleQueue[BaseException | None] = SimpleQueue()
        self._interval = sys.getswitchinterval()
        self.busy = False
        Thread(target=_work, args=(self._todo, self._done), name="commits", daemon=True).start()

    def begin(self, work: Work) -> None:
        """Has something done."""
        assert not self.busy
        self.busy = True
        self._interval = sys.getswitchinterval()
        sys.setswitchinterval(_SOON)
        self._todo.put(work)

    def wait(self) -> None:
        """Returns when it is done; raises what it has raised."""
        if not self.busy:
            return
        failure = self._done.get()
        self.busy = False
        sys.setswitchinterval(self._interval)
        if failure is not None:
            raise failure

    def close(self) -> None:
        """Ends the thread, when it is done with what it does."""
        self._todo.put(None)


def _work(todo: SimpleQueue[Work | None], done: SimpleQueue[BaseException | None]) -> None:
    while (work := todo.get()) is not None:
        try:
            work()
        except BaseException as failure:
            done.put(failure)
        else:
            done.put(None)
        del work
