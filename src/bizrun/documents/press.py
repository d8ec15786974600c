"""Sets invoices in processes beside the run: setting a page takes longer than making it.

A process gets its invoices through a pipe, writes whole files only, and ends when the run does.
Whether all are written is known at the end; the sink's mark is not moved before.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import IO, Any
from zlib import crc32

from .document import InvoiceDocument

MAX_WORKERS = 4
MAX_WAITING = 500
Job = tuple[str, InvoiceDocument]


class Press:
    """Invoices on their way to files; those of one path keep their order."""

    def __init__(self, workers: int | None = None) -> None:
        count = workers or min(MAX_WORKERS, os.cpu_count() or 1)
        self.problems: list[str] = []
        self.complete = True
        self._queues: list[Queue[Job | None]] = [Queue(MAX_WAITING) for _ in range(count)]
        self._threads = [Thread(target=self._feed, args=(q,), daemon=True) for q in self._queues]
        for thread in self._threads:
            thread.start()

    def put(self, path: str, document: InvoiceDocument) -> None:
        """Has an invoice written to a file; waits where too many are on their way."""
        self._queues[crc32(path.encode()) % len(self._queues)].put((path, document))

    def close(self) -> bool:
        """Waits for all files; false where a process did not come to its end."""
        for queue in self._queues:
            queue.put(None)
        for thread in self._threads:
            thread.join()
        return self.complete

    def _feed(self, queue: Queue[Job | None]) -> None:
        """Hands the jobs of a queue to a process of its own, begun with the first of them."""
        job = queue.get()
        if job is None:
            return
        try:
            with _process() as process:
                assert process.stdin is not None
                assert process.stdout is not None
                while job is not None:
                    process.stdin.write(pickle.dumps(job))
                    job = queue.get()
                process.stdin.close()
                self.problems += pickle.load(process.stdout)
        except (OSError, EOFError, pickle.PickleError):
            self.complete = False
            while job is not None:
                job = queue.get()


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
    """Writes the invoices that come on standard input; at its end, says what could not be set."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the run decides when it ends
    os.nice(5)
    parent = os.getppid()
    problems: list[str] = []
    for path, document in _jobs(sys.stdin.buffer):
        if os.getppid() != parent:
            return  # the next run writes what is left, and it may have begun
        press(path, document, problems)
    sys.stdout.buffer.write(pickle.dumps(problems))


def _jobs(stream: IO[bytes]) -> Any:
    while True:
        try:
            yield pickle.load(stream)
        except (EOFError, pickle.UnpicklingError):
            return


def press(path: str, document: InvoiceDocument, problems: list[str]) -> None:
    """Writes an invoice's file, whole or not at all; adds a sentence where that can't be."""
    from .pdf import CannotSet, invoice_pdf

    try:
        data = invoice_pdf(document, problems)
    except CannotSet as error:
        problems.append(f"the invoice {document.number} was not written: {error}")
        return
    file = Path(path)
    temporary = file.with_suffix(".new")
    temporary.write_bytes(data)
    temporary.replace(file)
