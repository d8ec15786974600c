"""Between the event loop and the writer's thread: a question goes in, its answer comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from .writer import Job, Writer


class Desk:
    """Hands questions of the event loop to the writer, and answers to who waits for them."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self.writer: Writer | None = None

    def open(self, writer: Writer) -> None:
        """Begins, in the running event loop."""
        self._loop = asyncio.get_running_loop()
        self.writer = writer

    async def ask(self, make: Callable[[Any], Job]) -> Any:
        """The answer to a job that `make` builds for its asker; raises what the answer is."""
        assert self._loop is not None and self.writer is not None
        future: asyncio.Future[Any] = self._loop.create_future()
        self.writer.put(make(future))
        return await future

    def settle(self, answers: list[tuple[Any, Any]]) -> None:
        """Passes answers on; called by the writer."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(_settle, answers)


def _settle(answers: list[tuple[asyncio.Future[Any], Any]]) -> None:
    for future, answer in answers:
        if future.done():
            continue  # who asked has gone
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)
