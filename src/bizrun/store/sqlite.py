"""The store in one SQLite file: durable, one writer, readable by any SQL tool.

APSW and not Python's own sqlite3: it binds a row's columns in a third of the time (a none takes
sqlite3 0.3 µs). Nothing else in this process may open the file with another copy of SQLite:
POSIX gives locks to processes, and closing one descriptor gives up those of all.
"""

from __future__ import annotations

import contextlib
from typing import Any

import apsw

from ..errors import BizError, StoreError
from .event_log import EventLog
from .file import APPLICATION_ID, FAILURES, StateFile, Tail, failure
from .formats import FORMAT, PRAGMAS, create, upgrade
from .guard import guarded as _guarded
from .sql_store import SqlStore
from .sqlite_sql import SQLITE

_CACHE_ROWS = 10_000
# Prepared statements that are kept. The driver goes through half of them for each it is asked for
# (512: 1 µs more), and forgets those that have not been used for as many.
_STATEMENTS = 128

# After how many pages the journal is copied to the file. Large commits change the same pages again
# and again, so it is done seldom. Small ones wait for the disk, which takes twice as long where the
# journal grows as where it is written over; and to remove a large one takes long.
_SELDOM, _OFTEN = 4000, 1000
_LARGE = 100  # entries of the log


class SqliteStore(SqlStore):
    """A state in a file."""

    errors = FAILURES
    dialect = SQLITE
    format = FORMAT
    _begins = "BEGIN IMMEDIATE"

    def __init__(self, path: str, fresh: bool = False) -> None:
        self._file = self._claim(path, fresh)
        self._checkpoint = 0
        super().__init__(self._file.name, _CACHE_ROWS)
        try:
            self._db = self._open()
            self._log = EventLog(self._db)
            self._load()
        except FAILURES as error:
            told = failure(self.name, error)
            self.close()
            raise told from None
        except BizError:
            self.close()
            raise

    def _claim(self, path: str, fresh: bool) -> StateFile:
        return StateFile(path, fresh)

    def _open(self) -> apsw.Connection:
        db = apsw.Connection(str(self._file.path), statementcachesize=_STATEMENTS)
        db.set_busy_timeout(5000)
        self._db = db
        tables = db.execute("SELECT count(*) FROM sqlite_master").get
        if not tables:
            # Before WAL, so that the file itself says from the start whose it is.
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        mode = db.execute("PRAGMA journal_mode = WAL").get
        if mode != "wal":
            raise StoreError(
                f"{self.name} stands where SQLite can't keep its journal (mode {mode}): a "
                "network folder perhaps; give --state a file on a local disk"
            )
        for pragma in PRAGMAS:
            db.execute(f"PRAGMA {pragma}")
        if not tables:
            create(db)
        else:
            upgrade(db)
        return db

    def _load(self) -> None:
        super()._load()
        self._lost = self._lost_tail(self._file.read_tail())

    def _lost_tail(self, tail: Tail | None) -> str | None:
        """What the length file knows of commits that the database has lost."""
        if tail is None or (tail.commits <= self._commits and tail.seq <= self._log.seq):
            return None
        events = max(0, tail.seq - self._log.seq)
        return (
            f"{self.name} has lost its newest commits with {events} events that had been "
            f"acknowledged (its log ends at {self._log.seq}, not at {tail.seq}): put a backup in "
            f"its place; to go on without them, delete {self.name}.len"
        )

    def _failure(self, error: Exception) -> StoreError:
        return failure(self.name, error)

    def _copy_each(self, pages: int) -> None:
        """Has the journal copied to the file whenever it has so many pages."""
        self._checkpoint = pages
        self._log.writer.execute(f"PRAGMA wal_autocheckpoint = {pages}")

    def _commit_counted(self, head: str) -> None:
        writer, commits = self._log.writer, self._commits
        added = self._log.seq - self._log.committed_seq
        if (pages := _SELDOM if added >= _LARGE else _OFTEN) != self._checkpoint:
            self._copy_each(pages)
        if not self._log.link(head):
            # The others are told apart by the log's length: a page less for each commit.
            commits += 1
            self._log.keep(head)
            writer.execute("UPDATE _meta SET value = ? WHERE name = 'commits'", (str(commits),))
        writer.execute("COMMIT")
        self._commits = commits
        self._log.committed_seq = self._log.seq
        try:
            self._file.write_tail(Tail(commits, self._log.seq, self._log.digest or "-"))
        except StoreError as error:
            self._failed = error
            self.close()
            raise

    @_guarded
    def purge(self) -> None:
        """Writes the file anew, and empties its journal; see `Store.purge`."""
        db = self._connection()
        db.execute("VACUUM")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def verify(self) -> list[str]:
        """What is wrong with the file, its log's chain, and its end."""
        db = self._connection()
        found = [self._lost] if self._lost else []
        tail = self._file.read_tail()
        try:
            rows = db.execute("PRAGMA integrity_check(5)").fetchall()
            found += [f"{self.name} is damaged: {text}" for (text,) in rows if text != "ok"]
            found += self._log.verify()
        except FAILURES as error:
            found.append(str(failure(self.name, error)))
        if (
            tail
            and tail[:2] == (self._commits, self._log.seq)
            and tail.digest != (self._log.digest or "-")
        ):
            found.append(
                f"the newest commit of {self.name} is not the one that was acknowledged: "
                "compare it with a backup"
            )
        return found

    def close(self) -> None:
        """Releases the state; uncommitted writes are dropped."""
        super().close()
        self._file.close()

    def _leave(self, db: Any) -> None:
        with contextlib.suppress(apsw.Error):
            db.close()
