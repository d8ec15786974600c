"""Sets invoices in a process beside the run: setting a page takes longer than making it.

The process gets its invoices through a pipe, a few ahead, and says of each when its file is there;
when the run has nothing else to do it sets pages too. Files are whole or not there, and which
process wrote one can't be told from it.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from threading import Condition, Thread
from typing import IO

from .document import Document

AHEAD = 8  # as many are in the pipe: what is there can't be taken back
MANY = 30  # where fewer are left, the process is done before another has begun
MAX_WAITING = 500
Job = tuple[str, Document]


class Press:
    """Invoices on their way to files: the newest one of a path is what stands there in the end."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self._waiting: dict[str, Document] = {}
        self._sent: deque[Job] = deque()
        self._changed = Condition()
        self._alive = True
        self._closing = False
        self._thread = Thread(target=self._feed, daemon=True, name="press")
        self._thread.start()

    def put(self, path: str, document: Document) -> None:
        """Has an invoice written to a file; waits where too many are on their way."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._waiting) < MAX_WAITING or not self._alive)
            self._waiting[path] = document
            self._changed.notify_all()

    def close(self) -> None:
        """Sets what still waits, beside the process, until all files are there."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        while (job := self._newest()) is not None:
            press(*job, self.problems)
        self._thread.join()
        for job in self._left():
            press(*job, self.problems)

    def _newest(self) -> Job | None:
        """The waiting job that the process would come to last, where it is worth while to help."""
        with self._changed:
            if len(self._waiting) < MANY and self._alive:
                return None
            sent = {path for path, _ in self._sent}
            for path in reversed(self._waiting):
                if path not in sent:
                    return path, self._waiting.pop(path)
        return None

    def _left(self) -> list[Job]:
        """What a process that died has left undone, each path once and as it was put last."""
        return list({**dict(self._sent), **self._waiting}.items())

    # --- the thread that feeds the process -------------------------------------------------------

    def _feed(self) -> None:
        """Hands jobs to a process, begun with the first of them, until none is left."""
        try:
            if not self._due():
                return
            with _process() as process:
                assert process.stdin is not None
                assert process.stdout is not None
                while self._due():
                    while len(self._sent) < AHEAD and (job := self._oldest()) is not None:
                        process.stdin.write(pickle.dumps(job))
                        process.stdin.flush()
                    self._take(process.stdout)
        except (OSError, EOFError, pickle.PickleError):
            pass  # the process is gone: `close` does what it left
        finally:
            with self._changed:
                self._alive = False
                self._changed.notify_all()

    def _due(self) -> bool:
        """Waits for something to do; false where nothing is, and nothing comes any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._sent or self._closing)
            return bool(self._waiting or self._sent)

    def _oldest(self) -> Job | None:
        with self._changed:
            if not self._waiting:
                return None
            path = next(iter(self._waiting))
            self._sent.append((path, self._waiting.pop(path)))
            self._changed.notify_all()
            return self._sent[-1]

    def _take(self, answers: IO[bytes]) -> None:
        """Hears of the next file that it is there."""
        problems = pickle.load(answers)
        with self._changed:
            self.problems += problems
            self._sent.popleft()


def _process() -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.Popen(
        [sys.executable, "-c", "from bizrun.documents.press import work; work()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
    )


# --- the process's side --------------------------------------------------------------------------


def work() -> None:
    """Writes the invoices that come on standard input, and says of each what was wrong with it.

    Where a file can't be written it ends without a word: the run comes to the same file, and says.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the run decides when it ends
    parent = os.getppid()
    for path, document in _jobs(sys.stdin.buffer):
        if os.getppid() != parent:
            return  # the next run writes what is left, and it may have begun
        problems: list[str] = []
        try:
            press(path, document, problems)
            sys.stdout.buffer.write(pickle.dumps(problems))
            sys.stdout.buffer.flush()
        except OSError:
            return


def _jobs(stream: IO[bytes]) -> Iterator[Job]:
    while True:
        try:
            yield pickle.load(stream)
        except (EOFError, pickle.UnpicklingError):
            return


def press(path: str, document: Document, problems: list[str]) -> None:
    """Writes an invoice's file, whole or not at all; adds a sentence where that can't be."""
    from .pdf import CannotSet, document_pdf

    try:
        data = document_pdf(document, problems)
    except CannotSet as error:
        problems.append(f"the {document.name} was not written: {error}")
        return
    file = Path(path)
    temporary = file.with_name(f"{file.name}.{os.getpid()}.new")
    temporary.write_bytes(data)
    temporary.replace(file)
