"""Sets invoices in a process beside the run: setting a page takes longer than making it.

The process gets its invoices through a pipe, a few ahead, and says of each when its file is there;
when the run has nothing else to do it sets pages too. Files are whole or not there, and which
process wrote one can't be told from it.
"""

from __future__ import annotations

import fcntl
import json
import os
import pickle
import select
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from typing import IO

from .document import Document
from .files import write_file

AHEAD = 60  # as many are in the pipe: enough for as long as a commit takes
FEW_AHEAD = 8  # at the end, when both share what is left: what is in the pipe can't be taken back
MANY = 30  # where fewer are left, the process is done before the run has begun to set pages
MAX_WAITING = 500
PIPE = 1_000_000
Job = tuple[str, Document]


class Press:
    """Invoices on their way to files: the newest one of a path is what stands there in the end.

    Nobody but the run feeds the process, whenever it has something to put: a thread that did would
    have to wait for the interpreter each time, and the process for the thread.
    """

    def __init__(self) -> None:
        self.problems: list[str] = []
        self._waiting: dict[str, Document] = {}
        self._sent: deque[Job] = deque()
        self._unsent = memoryview(b"")
        self._heard = b""
        self._process: subprocess.Popen[bytes] | None = _process()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            os.set_blocking(pipe.fileno(), False)
        assert self._process.stdin is not None
        with suppress(AttributeError, OSError):  # it can be larger on Linux
            fcntl.fcntl(self._process.stdin.fileno(), fcntl.F_SETPIPE_SZ, PIPE)

    def put(self, path: str, document: Document) -> None:
        """Has an invoice written to a file; writes one itself where too many are on their way."""
        self._waiting[path] = document
        self.feed()
        if len(self._waiting) >= MAX_WAITING and (job := self._newest()) is not None:
            press(*job, self.problems)

    def feed(self, ahead: int = AHEAD) -> None:
        """Hands the process what it has room for, and hears what it has done."""
        if self._process is None:
            return
        try:
            self._hear()
            while self._send() and len(self._sent) < ahead and self._waiting:
                path = next(iter(self._waiting))
                job = (path, self._waiting.pop(path))
                self._sent.append(job)
                self._unsent = memoryview(pickle.dumps(job))
        except (OSError, EOFError):
            self._end()

    def close(self) -> None:
        """Sets what still waits, beside the process, until all files are there."""
        while len(self._waiting) >= MANY and (job := self._newest()) is not None:
            press(*job, self.problems)
            self.feed(FEW_AHEAD)
        while self._process is not None and (self._waiting or self._sent):
            self.feed()
            if self._sent:
                self._wait()
        self._end()
        for job in list({**dict(self._sent), **self._waiting}.items()):
            press(*job, self.problems)
        self._sent.clear()
        self._waiting.clear()

    def _newest(self) -> Job | None:
        """The waiting job that the process would come to last, and that it has no other form of."""
        sent = {path for path, _ in self._sent}
        for path in reversed(self._waiting):
            if path not in sent:
                return path, self._waiting.pop(path)
        return None

    # --- the process ---------------------------------------------------------------------------

    def _send(self) -> bool:
        """Writes what the pipe takes; whether nothing of a job is left."""
        assert self._process is not None
        assert self._process.stdin is not None
        while self._unsent:
            try:
                written = os.write(self._process.stdin.fileno(), self._unsent)
            except BlockingIOError:
                return False
            self._unsent = self._unsent[written:]
        return True

    def _hear(self) -> None:
        """Takes down which files are there: a line of JSON for each, its problems."""
        assert self._process is not None
        assert self._process.stdout is not None
        try:
            heard = os.read(self._process.stdout.fileno(), PIPE)
        except BlockingIOError:
            return
        if not heard:
            raise EOFError
        *lines, self._heard = (self._heard + heard).split(b"\n")
        for line in lines:
            self._sent.popleft()
            self.problems += json.loads(line)

    def _wait(self) -> None:
        """Waits until the process has done something, or has room for more."""
        if self._process is not None:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            room = [self._process.stdin] if self._unsent else []
            select.select([self._process.stdout], room, [])

    def _end(self) -> None:
        """Lets the process end; what it was sent and has not answered is left to the run."""
        process, self._process = self._process, None
        if process is not None:
            with suppress(OSError), process:
                pass


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
            sys.stdout.buffer.write(json.dumps(problems).encode() + b"\n")
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
    write_file(path, data)
