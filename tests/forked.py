"""Work in forks of a process that has done nothing else.

Starting Python anew takes longer than most of what is tried here, so it is forked. A fork has none
of the threads of what it was forked from: where a test before has set a page, typst in the fork
would wait for its threads forever. So nothing forks the process that runs the tests.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess

from bizrun.errors import BizError

# All that the work of a fork imports: it is there when the fork begins.
_CONTEXT = get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    ["bizrun.cli.serve", "bizrun.server.app", "bizrun.store.postgres", "tests.test_crash"]
)


def start(work: Callable[..., None], *args: object) -> ForkServerProcess:
    """Begins `work(*args)`, a function of a module, in a process of its own."""
    process = _CONTEXT.Process(target=work, args=args)
    process.start()
    return process


@contextmanager
def child(work: Callable[..., None], *args: object) -> Iterator[tuple[int, int]]:
    """`work(pipe, *args)` in a process until the end of the block; its id and the pipe's end."""
    reading, writing = _CONTEXT.Pipe(duplex=False)
    with reading:
        with writing:
            process = start(_told, writing, work, *args)
        assert process.pid is not None
        try:
            yield process.pid, reading.fileno()
        finally:
            process.kill()
            process.join()
            process.close()


def _told(writing: Connection, work: Callable[..., None], *args: object) -> None:
    """Writes the bizrun error that ends the work into the pipe as well."""
    try:
        work(writing.fileno(), *args)
    except BizError as error:
        os.write(writing.fileno(), f"{type(error).__name__} {error}\n".encode())


def said(reading: int, data: bytes = b"") -> list[str]:
    """All whole lines that a child wrote before its end, after those that were read already."""
    while part := os.read(reading, 65536):
        data += part
    return data.decode().split("\n")[:-1]
