"""What SQL stores ask of a driver: APSW's connection as it is, or one that is like it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol


class Cursor(Protocol):
    """The rows of a statement, each a tuple; read lazily where the driver can."""

    @property
    def get(self) -> Any:
        """The only value of the only row, None where there is no row."""

    def __iter__(self) -> Iterator[Any]: ...

    def __next__(self) -> Any: ...

    def fetchone(self) -> Any:
        """The next row, None where there is none left."""

    def fetchall(self) -> list[Any]:
        """All rows that are left."""


class Database(Protocol):
    """A connection. Values stand where a statement has a `?`."""

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction was begun and has not ended."""

    def execute(self, statements: str, bindings: Any = None, /) -> Any:
        """Does a statement; its rows are a Cursor."""

    def executemany(self, statements: str, sequenceofbindings: Any, /) -> Any:
        """Does a statement for each of some lists of values."""

    def cursor(self) -> Any:
        """What does statements as the connection does, and is worth keeping for those without rows:
        making one takes as long as a small write."""
