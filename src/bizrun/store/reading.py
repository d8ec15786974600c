"""A state opened for questions: nothing in its file changes, and whoever has it may go on.

What is seen is the state as it stood when it was opened. Where a spec was edited since, its tables
are brought up to date in a copy in memory.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import apsw

from ..errors import UsageError
from .base import Table
from .event_log import EventLog
from .file import StateFile, Tail, check_is_state, is_copy
from .formats import older_format, upgrade
from .sqlite import SqliteStore


class ReadFile(StateFile):
    """A state's path for a reader: no lock is taken, and its length file stays as it is."""

    def __init__(self, path: str, name: str) -> None:
        self.path = Path(os.path.realpath(path))
        self.name = name
        self._lock = self._length = -1
        check_is_state(self.path, name, False)
        self._tail: Tail | None = None
        self.is_copy = is_copy(self.path)
        if self.is_copy:
            return
        # Read before the state is: what was committed in between is no loss.
        with contextlib.suppress(OSError):
            self._length = os.open(f"{self.path}.len", os.O_RDONLY | os.O_CLOEXEC)
            self._tail = super().read_tail()

    def read_tail(self) -> Tail | None:
        """What the length file said at first; None where there is none."""
        return self._tail

    def write_tail(self, tail: Tail) -> None:
        """Nothing: only the copy in memory is ever written to."""


class SqliteReader(SqliteStore):
    """A state in a file, to be asked and not changed; `name` is what it is called."""

    _file: ReadFile

    def __init__(self, path: str, name: str | None = None) -> None:
        self._copied = False
        self._called = name or path
        super().__init__(path)

    def _claim(self, path: str, fresh: bool) -> ReadFile:
        return ReadFile(path, self._called)

    def _open(self) -> apsw.Connection:
        """Begins to read, so that all that is asked sees one moment."""
        path = self._file.path
        if self._file.is_copy and path.with_name(f"{path.name}-wal").exists():
            db = _begun_alone(path)
        else:
            try:
                db = _begun(apsw.Connection(str(path), apsw.SQLITE_OPEN_READWRITE))
            except (apsw.CantOpenError, apsw.ReadOnlyError):
                db = _begun_alone(path)  # a folder that can't be written to, where nobody writes
        if not db.execute("SELECT count(*) FROM sqlite_master").get:
            # Whoever made it was stopped before its first commit.
            raise UsageError(f"{self._file.name} is empty: run a spec with it first.")
        if older_format(db) is not None:
            db = self._copied_of(db)
            upgrade(db)
        self._db = db
        return db

    def connection(self) -> apsw.Connection:
        """What sees the moment, for a copy of all of it."""
        db = self._connection()
        assert isinstance(db, apsw.Connection)
        return db

    def prepare(
        self, tables: Sequence[Table], defaults: Mapping[str, Mapping[str, object]] = {},
        renames: Mapping[str, Mapping[str, str]] = {},
    ) -> list[str]:  # fmt: skip
        """Has tables as an edited spec wants them, in memory; see `Store.prepare`."""
        stale = any(t.name not in self._tables or self._tables[t.name].table != t for t in tables)
        if stale and not self._copied:
            self._copy()
        if stale:
            super().prepare(tables, defaults, renames)
        return []

    def _copied_of(self, source: apsw.Connection) -> apsw.Connection:
        copy = apsw.Connection(":memory:")
        with copy.backup("main", source, "main") as backup:
            backup.step()
        source.close()
        self._copied = True
        return copy

    def _copy(self) -> None:
        copy = self._db = self._copied_of(self.connection())
        self._log = EventLog(copy)
        self._load()

    def _rollback(self) -> None:
        """Forgets what was to be written; goes on seeing the same moment."""
        if self._copied:
            super()._rollback()
            return
        self._forget_pending()


def _begun_alone(path: Path) -> apsw.Connection:
    """Reads a file that nobody writes to, and no journal beside it."""
    flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    return _begun(apsw.Connection(f"{path.as_uri()}?immutable=1", flags))


def _begun(db: apsw.Connection) -> apsw.Connection:
    db.set_busy_timeout(5000)
    db.execute("PRAGMA query_only = 1")
    db.execute("BEGIN")
    db.execute("SELECT count(*) FROM sqlite_master").fetchall()  # the moment is this one
    return db
