"""What is kept beside a state's own tables: tokens and sessions.

They are written also while a server holds the state, so they have a connection of their own and
belong to no hash or replay of the state.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Protocol

import apsw

from ..errors import UsageError
from .database import Database
from .file import FAILURES, failure
from .postgres_address import MISSING, is_postgres

BUSY_MS = 30_000  # a server may be in the middle of a long transaction


class Beside(Protocol):
    """A state that is there, to keep something beside it; `name` as it may be shown, `table_end`
    what stands behind a new table's columns."""

    name: str
    table_end: str

    def opened(self) -> AbstractContextManager[Database]:
        """A connection, whose statements are each a transaction."""

    def has(self, db: Database, table: str) -> bool:
        """Whether a table is there."""


def beside(address: str) -> Beside:
    """Where to keep something beside a state; UsageError where the state is not there."""
    if is_postgres(address):
        try:
            from .postgres_beside import BesidePostgres
        except ImportError:
            raise UsageError(MISSING) from None
        return BesidePostgres(address)
    if "://" in address or address == ":memory:":
        raise UsageError(f"{address} can't keep tokens: give --state a file.")
    if not Path(address).is_file():
        raise UsageError(f"There is no state {address}.")
    return BesideFile(address)


class BesideFile:
    """A state in a file."""

    table_end = " STRICT, WITHOUT ROWID"

    def __init__(self, path: str) -> None:
        self.name = path

    @contextmanager
    def opened(self) -> Iterator[Database]:
        """A connection to the file, closed behind it."""
        try:
            with closing(apsw.Connection(str(Path(self.name).resolve()))) as db:
                db.set_busy_timeout(BUSY_MS)
                db.execute("PRAGMA synchronous = FULL")
                yield db
        except FAILURES as error:
            raise failure(self.name, error) from None

    def has(self, db: Database, table: str) -> bool:
        """Whether a table is there."""
        there = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ?"
        return bool(db.execute(there, (table,)).get)
