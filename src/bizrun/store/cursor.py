"""Selects that are read on while the store is written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from weakref import ref

from ..errors import StoreError
from .database import Cursor


class OpenCursor:
    """The rows of a select as they were when it began: what is unread is kept before a write."""

    __slots__ = ("__weakref__", "_cursor", "_failure", "_kept", "table")

    def __init__(self, table: str, cursor: Cursor) -> None:
        self.table = table
        self._cursor: Cursor | None = cursor
        self._kept: list[Any] = []
        self._failure: StoreError | None = None

    def keep(self) -> None:
        """Reads all the rest, since a write is about to change it."""
        if self._cursor is not None:
            self._kept = self._cursor.fetchall()
            self._kept.reverse()
            self._cursor = None

    def fail(self, failure: StoreError) -> None:
        """Lets whoever reads on know that the store is no more."""
        if self._cursor is not None:
            self._cursor, self._failure = None, failure

    def __iter__(self) -> Iterator[Any]:
        while self._cursor is not None:
            row = self._cursor.fetchone()
            if row is None:
                self._cursor = None
                return
            yield row
        while self._kept:
            yield self._kept.pop()
        if self._failure is not None:
            raise self._failure


class Cursors:
    """The selects of a store that somebody still reads on."""

    __slots__ = ("_open",)

    def __init__(self) -> None:
        # Not a WeakSet: going through an empty one takes longer than writing a row.
        self._open: set[ref[OpenCursor]] = set()

    def add(self, cursor: OpenCursor) -> None:
        """Follows a select as long as it is read."""
        self._open.add(ref(cursor, self._open.discard))

    def keep(self, table: str | None = None) -> None:
        """Lets them read what a write is about to change, in one table or in all."""
        if self._open:
            for cursor in self:
                if table is None or cursor.table == table:
                    cursor.keep()

    def __iter__(self) -> Iterator[OpenCursor]:
        yield from filter(None, [each() for each in self._open])
