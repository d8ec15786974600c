"""The store in a schema of PostgreSQL: durable, one writer, readable by any SQL tool.

A state is a schema: an address may name it (`?schema=shop`), else it is the first of the session's
search path, mostly `public`. Whoever writes has an advisory lock as long as the session lasts;
each commit also checks that the last one was its own.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any

import psycopg

from ..errors import StoreError, UsageError
from .base import Table
from .database import Cursor
from .event_log import EventLog
from .guard import guarded as _guarded
from .match import value_at
from .postgres_address import Place, place_of
from .postgres_failure import failure
from .postgres_link import LOCK_TIMEOUT, Link, connected
from .postgres_sql import FORMAT, OWN, POSTGRES, TABLES, quoted, upgrade
from .sql import TableSQL
from .sql_store import SqlStore

# A row that is not here costs a message to the server and back.
_CACHE_ROWS = 40_000
# Commits after which the planner is told how tables have grown; later autovacuum does it.
_ANALYSED = frozenset((1, 4, 16, 64, 256))


class PostgresStore(SqlStore):
    """A state in a schema of a database."""

    errors = psycopg.Error
    dialect = POSTGRES
    format = FORMAT
    _begins = "BEGIN"

    def __init__(self, address: str, fresh: bool = False) -> None:
        self._place = place_of(address)
        super().__init__(self._place.name, _CACHE_ROWS)
        self._link = connected(self._place, _purpose())
        self._db = self._link
        try:
            self._schema = schema_of(self._link, self._place)
            self._open(fresh)
            self._log = EventLog(self._link)
            self._load()
        except psycopg.Error as error:
            self.close()
            raise failure(self._place, error) from None
        except (StoreError, UsageError):
            self.close()
            raise

    def _open(self, fresh: bool) -> None:
        """Locks the schema, and makes in it what every state has."""
        link = self._link
        _lock(link, self._place, self._schema)
        link.execute("BEGIN")
        if not _is_there(link, self._schema):
            link.execute(f"CREATE SCHEMA {quoted(self._schema)}")
        use(link, self._schema)
        there = is_state(link, self._schema)
        if not there:
            _check_free(link, self._place, self._schema, fresh)
        elif fresh:
            _drop(link)
        else:
            upgrade(link)
        if fresh or not there:
            for statement in TABLES:
                link.execute(statement)
            link.execute(
                "INSERT INTO _meta VALUES ('application', 'bizrun'), ('format', ?), "
                "('commits', '0')",
                (str(FORMAT),),
            )
        link.execute("COMMIT")

    def _read(self, text: str, parameters: Sequence[Any]) -> Cursor:
        self._connection()
        return self._link.read(text, parameters)

    @_guarded
    def tally(self, table: str, columns: Sequence[str]) -> Iterator[tuple[tuple[Any, ...], int]]:
        """The different values of some columns, grouped by the database; see `Store.tally`."""
        self._flush(table)
        within = self._link.in_transaction
        if within:
            self._link.execute("SAVEPOINT tally")
        try:
            return self._tallied(table, columns)
        except psycopg.DataError:
            # JSON may say characters that no text of PostgreSQL holds.
            if within:
                self._link.execute("ROLLBACK TO tally")
            paths = [tuple(name.split(".")) for name in columns]
            rows = self.select(table)
            return iter(Counter(tuple(value_at(row, p) for p in paths) for row in rows).items())

    def _insert(self, sql: TableSQL, rows: Sequence[Sequence[Any]]) -> None:
        self._connection()
        self._link.insert(sql.upsert, rows)

    def _commit_counted(self, head: str) -> None:
        link = self._link
        if not self._log.link(head):
            self._log.keep(head)
        # Whoever has come in between, since this session lost its lock, has counted too.
        counted = link.execute(
            "UPDATE _meta SET value = ? WHERE name = 'commits' AND value = ? RETURNING 1",
            (str(self._commits + 1), str(self._commits)),
        ).get
        if counted is None:
            raise self._give_up(
                f"another bizrun has written to {self.name} meanwhile, so this one stops: what "
                "was acknowledged is kept, and nothing else"
            )
        link.execute("COMMIT")
        self._commits += 1
        self._log.committed_seq = self._log.seq
        if self._commits in _ANALYSED:
            self._analyse()

    def _analyse(self) -> None:
        """Lets the planner know of the tables of a young state; what was committed is safe."""
        tables = ["_log", "_log_id", "_log_plain", *self._tables]
        with contextlib.suppress(psycopg.Error):
            self._link.execute(f"ANALYZE {', '.join(map(quoted, tables))}")

    def _give_up(self, sentence: str) -> StoreError:
        self._failed = StoreError(sentence)
        self.close()
        return self._failed

    @_guarded
    def purge(self) -> None:
        """Writes the tables anew, and what the planner knows of their values; see `Store.purge`."""
        self._connection()
        self._cursors.keep()
        for table in (*OWN, *self._tables):
            if self._link.execute("SELECT to_regclass(?)", (quoted(table),)).get is not None:
                self._link.execute(f"VACUUM (FULL, ANALYZE) {quoted(table)}")

    def verify(self) -> list[str]:
        """What is wrong with the log's chain, or can't be read."""
        self._connection()
        try:
            return self._log.verify()
        except psycopg.Error as error:
            return [str(failure(self._place, error))]

    def _failure(self, error: Exception) -> StoreError:
        return failure(self._place, error)

    def _leave(self, db: Any) -> None:
        with contextlib.suppress(psycopg.Error):
            db.close()


class PostgresReader(PostgresStore):
    """A state to be asked and not changed: it is seen as it was when it was opened.

    Where a spec was edited since, its tables are brought up to date in temporary copies.
    """

    def _open(self, fresh: bool) -> None:
        link = self._link
        link.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        use(link, self._schema)
        if not is_state(link, self._schema):
            raise UsageError(
                f"There is no state in the schema {self._schema} of {self.name}: run a spec with "
                "it first, or name another one."
            )
        if link.execute("SELECT value FROM _meta WHERE name = 'format'").get == "1":
            raise UsageError(
                f"{self.name} was written by an older bizrun: run its spec once with this one, "
                "which brings it up to date."
            )
        self._copied: set[str] = set()

    @_guarded
    def prepare(
        self, tables: Sequence[Table], defaults: Mapping[str, Mapping[str, Any]] = {},
        renames: Mapping[str, Mapping[str, str]] = {},
    ) -> list[str]:  # fmt: skip
        """Has tables as an edited spec wants them, in temporary copies; see `Store.prepare`."""
        stale = [t for t in tables if t.name not in self._tables or
                 self._tables[t.name].table != t]  # fmt: skip
        if not stale:
            return []
        self._cursors.keep()
        # What is made from now on is temporary, and found first.
        use(self._link, self._schema, temporary=True)
        for name in ("_meta", "_dropped", *(t.name for t in stale if t.name in self._tables)):
            if name not in self._copied:
                self._copy(name)
        return super().prepare(tables, defaults, renames)

    def _copy(self, name: str) -> None:
        self._copied.add(name)
        there = f"{quoted(self._schema)}.{quoted(name)}"
        self._link.execute(f"CREATE TABLE {quoted(name)} (LIKE {there} INCLUDING ALL)")
        self._link.execute(f"INSERT INTO {quoted(name)} SELECT * FROM {there}")

    def commit(self, head: str | None = None) -> None:
        """Nothing is kept: what was to be written is dropped."""
        self._rollback()

    def _commit_counted(self, head: str) -> None:
        """Goes on seeing the same moment."""

    def _rollback(self) -> None:
        self._forget_pending()


def _purpose() -> str:
    """What other sessions see of this one: who has a state is told by it."""
    return f"bizrun process {os.getpid()} on {socket.gethostname()}"[:63]


def schema_of(link: Link, place: Place) -> str:
    """The schema that a state is in."""
    found = place.schema or link.execute("SELECT current_schema()").get
    if found is None:
        raise UsageError(f"{place.name} has no schema to begin with: name one, as in ?schema=NAME.")
    return str(found)


def there(address: str) -> bool:
    """Whether there is a state."""
    place = place_of(address)
    link = connected(place, _purpose())
    try:
        return is_state(link, schema_of(link, place))
    except psycopg.Error as error:
        raise failure(place, error) from None
    finally:
        link.close()


def use(link: Link, schema: str, temporary: bool = False) -> None:
    """Finds tables in a schema, before the database's own; `temporary`: new ones last no longer
    than the session."""
    path = f"{'pg_temp, ' if temporary else ''}{quoted(schema)}, pg_catalog"
    link.execute("SELECT set_config('search_path', ?, false)", (path,))


def is_state(link: Link, schema: str) -> bool:
    """Whether a schema has a state of bizrun."""
    meta = f"{quoted(schema)}._meta"
    if link.execute("SELECT to_regclass(?)", (meta,)).get is None:
        return False
    named = "SELECT count(*) FROM pg_catalog.pg_attribute WHERE attrelid = ?::regclass AND attname"
    if link.execute(f"{named} IN ('name', 'value')", (meta,)).get != 2:
        return False
    return bool(
        link.execute(f"SELECT value FROM {meta} WHERE name = 'application'").get == "bizrun"
    )


def _is_there(link: Link, schema: str) -> bool:
    names = "SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = ?"
    return link.execute(names, (schema,)).get is not None


def _lock(link: Link, place: Place, schema: str) -> None:
    """Takes the one lock of a state for as long as the session lasts."""
    number = int.from_bytes(sha256(f"bizrun {schema}".encode()).digest()[:8], "big", signed=True)
    # A process that was killed may be gone for a moment before its session is.
    link.execute("SELECT set_config('lock_timeout', '2s', false)")
    try:
        link.execute("SELECT pg_advisory_lock(?::bigint)", (str(number),))
        link.execute("SELECT set_config('lock_timeout', ?, false)", (LOCK_TIMEOUT,))
    except psycopg.errors.LockNotAvailable:
        raise _held(link, place, number) from None


def _held(link: Link, place: Place, number: int) -> StoreError:
    """What is told where another session has a state."""
    holder = link.execute(
        """SELECT a.application_name FROM pg_catalog.pg_locks AS l
          JOIN pg_catalog.pg_stat_activity AS a ON a.pid = l.pid
          WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
            AND l.database = (SELECT oid FROM pg_catalog.pg_database
                              WHERE datname = current_database())
            AND (l.classid::bigint << 32) | l.objid::bigint = ?::bigint""",
        (str(number),),
    ).get
    known = str(holder or "").removeprefix("bizrun ")
    return StoreError(
        f"another bizrun{f' ({known})' if known else ''} has {place.name}: wait until it is done, "
        "stop it, or name another schema, as in ?schema=NAME"
    )


def _check_free(link: Link, place: Place, schema: str, fresh: bool) -> None:
    """Refuses a schema with what another program has made."""
    rows = link.execute(
        """SELECT c.relname FROM pg_catalog.pg_class AS c
          JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
          WHERE n.nspname = ? AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
            AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend AS d
                            WHERE d.objid = c.oid AND d.deptype = 'e')
          ORDER BY c.relname LIMIT 4""",
        (schema,),
    )
    names = [name for (name,) in rows]
    if names:
        some = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
        raise UsageError(
            f"The schema {schema} of {place.name} has tables of another program ({some})"
            f"{', so --fresh does not touch it' if fresh else ''}: name another schema, as in "
            "?schema=NAME."
        )


def _drop(link: Link) -> None:
    """Drops a state, and nothing else of its schema."""
    named = "SELECT value::json ->> 'name' FROM _meta WHERE name LIKE 'table:%'"
    tables = [name for (name,) in link.execute(named)]
    link.execute("DROP VIEW IF EXISTS _event")
    # A table in states of the first format.
    chain = link.execute(
        "SELECT relkind FROM pg_catalog.pg_class WHERE oid = to_regclass('_chain')"
    )
    link.execute(f"DROP {'TABLE' if chain.get == 'r' else 'VIEW'} IF EXISTS _chain")
    link.execute(f"DROP TABLE IF EXISTS {', '.join(map(quoted, (*OWN, *tables)))}")
    link.execute("DROP FUNCTION IF EXISTS _log_plain_unique")
    link.execute("DROP TYPE IF EXISTS _money")
