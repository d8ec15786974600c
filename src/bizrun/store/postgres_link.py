"""A connection to PostgreSQL that is spoken to as APSW's to SQLite."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain, count
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.types.string import TextLoader

from ..errors import StoreError, UsageError
from .postgres_address import Place
from .postgres_failure import unreachable

# Infinity as a numeric is new in 14.
_OLDEST = 140000
_PAGE = 512
# Values that come as text: they are read exactly by the codecs of `postgres_sql`.
_AS_TEXT = ("numeric", "timestamptz", "date", "bool", "json")

# A lock that somebody holds is told of rather than waited for.
LOCK_TIMEOUT = "10s"
_SETTINGS = {
    "TimeZone": "UTC",
    "DateStyle": "ISO",
    "standard_conforming_strings": "on",
    "jit": "off",
    # What is asked for by an index is found by it, also in a table that nobody has analysed yet.
    "enable_seqscan": "off",
    "plan_cache_mode": "force_generic_plan",
    # A run may think for longer than any of these between two statements.
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
    "transaction_timeout": "0",
    "lock_timeout": LOCK_TIMEOUT,
    # The server finds within a minute that a machine with the lock of a state is gone.
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
}

# Nor does this side wait for a server that is gone without a word.
_PATIENCE = {
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}


class Rows:
    """The rows of a statement."""

    __slots__ = ("_left",)

    def __init__(self, rows: Iterable[tuple[Any, ...]]) -> None:
        self._left = iter(rows)

    @property
    def get(self) -> Any:
        """The only value of the only row, None where there is no row."""
        row = next(self._left, None)
        return None if row is None else row[0]

    def __iter__(self) -> Iterator[Any]:
        return self._left

    def __next__(self) -> Any:
        return next(self._left)

    def fetchone(self) -> Any:
        """The next row, None where there is none left."""
        return next(self._left, None)

    def fetchall(self) -> list[Any]:
        """All rows that are left."""
        return list(self._left)


class Link:
    """A connection whose every statement is a transaction of its own until one is begun."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self._cursor = psycopg.RawCursor(connection)
        self._names = count(1)

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction was begun and has not ended."""
        return self._connection.info.transaction_status != TransactionStatus.IDLE

    def execute(self, statements: str, bindings: Any = None, /) -> Rows:
        """Does a statement, or several without values; all its rows are read."""
        cursor = self._cursor
        if bindings is None:
            cursor.execute(statements.encode())
        else:
            cursor.execute(_numbered(statements), sent(bindings))
        if cursor.description is None:
            return Rows(())
        return Rows(received(cursor.fetchall()))

    def executemany(self, statements: str, sequenceofbindings: Any, /) -> None:
        """Does a statement for each of some lists of values, without waiting in between."""
        rows = [sent(row) for row in sequenceofbindings]
        if len(rows) == 1:
            self._cursor.execute(_numbered(statements), rows[0])
        elif rows and _ONE_ROW.fullmatch(statements):
            self._insert(statements, rows)
        elif rows:
            self._cursor.executemany(_numbered(statements), rows)

    def cursor(self) -> Link:
        """Itself."""
        return self

    def insert(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        """Does an insert for rows, many at a time: no two of them have the same key."""
        self._insert(statement, [sent(row) for row in rows])

    def _insert(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        done = 0
        for size in _SIZES:
            whole = (len(rows) - done) // size * size
            some = rows[done : done + whole]
            done += whole
            if some:
                groups = [
                    list(chain.from_iterable(some[at : at + size])) for at in range(0, whole, size)
                ]
                text = _numbered(_many(statement, size))
                if len(groups) == 1:
                    self._cursor.execute(text, groups[0])
                else:
                    self._cursor.executemany(text, groups)

    def read(self, statement: str, bindings: Sequence[Any]) -> Rows:
        """The rows of a select, by the page: there may be more than memory holds."""
        if statement.endswith(" LIMIT ?"):
            return self.execute(statement, bindings)
        first = self.execute(f"{statement} LIMIT {_PAGE}", bindings).fetchall()
        if len(first) < _PAGE:
            return Rows(first)
        # It sees what the first page saw, since nobody else writes, and outlives a commit.
        cursor = psycopg.RawServerCursor(
            self._connection, f"rest {next(self._names)}", withhold=True
        )
        cursor.execute(_numbered(f"{statement} OFFSET {_PAGE}"), sent(bindings))
        return Rows(chain(first, _rest(cursor)))

    def close(self) -> None:
        """Ends the session, and with it a transaction that was not committed."""
        self._connection.close()


def _rest(cursor: psycopg.RawServerCursor[Any]) -> Iterator[tuple[Any, ...]]:
    while rows := cursor.fetchmany(4 * _PAGE):
        yield from received(rows)
    cursor.close()


# How many rows are inserted at once: few different texts, so that each is prepared.
_SIZES = (64, 8, 1)
_ONE_ROW = re.compile(r"INSERT INTO [^?]* VALUES (\([?, ]*\))")
_VALUES = re.compile(r"(?<= VALUES )\([?, ]*\)")


@lru_cache(maxsize=1024)
def _many(statement: str, size: int) -> str:
    """An insert of one row as one of many."""
    return _VALUES.sub(lambda row: ", ".join([row[0]] * size), statement, count=1)


_PARTS = re.compile(r""""[^"]*"|'[^']*'|\?""")


@lru_cache(maxsize=4096)
def _numbered(statement: str) -> bytes:
    """A statement with $1, $2 for each `?` outside of names and texts."""
    numbers = count(1)
    return _PARTS.sub(
        lambda part: f"${next(numbers)}" if part[0] == "?" else part[0], statement
    ).encode()


# --- texts -----------------------------------------------------------------------------------

# A text of PostgreSQL holds no NUL. It is written as two characters, in an order that stays.
_ODD = re.compile("[\0\1]").search


def sent(values: Sequence[Any]) -> Sequence[Any]:
    """Values as they are sent."""
    for value in values:
        if type(value) is str and _ODD(value):
            return [_escaped(each) if type(each) is str else each for each in values]
    return values


def _escaped(text: str) -> str:
    return text.replace("\1", "\1\2").replace("\0", "\1\1")


def received(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Rows as they were before they were sent."""
    for row in rows:
        for value in row:
            if type(value) is str and "\1" in value:
                return [tuple(map(_restored, row)) for row in rows]
    return rows


def _restored(value: Any) -> Any:
    if type(value) is not str or "\1" not in value:
        return value
    return value.replace("\1\1", "\0").replace("\1\2", "\1")


# --- connecting ------------------------------------------------------------------------------


def connected(place: Place, purpose: str, seconds: int = 10) -> Link:
    """A session in which values are read exactly, and whose commits last.

    `purpose` is what other sessions see of it, `seconds` how long to wait for it. StoreError where
    there can be none, or where the server would lose what it says is committed; UsageError where
    it can hold no state.
    """
    given: dict[str, Any] = {**_PATIENCE, "connect_timeout": seconds, "application_name": purpose}
    given |= place.parameters | {"client_encoding": "UTF8"}
    try:
        connection = psycopg.connect(autocommit=True, **given)
    except (psycopg.Error, OSError) as error:
        raise unreachable(place, error) from None
    connection.prepared_max = 1000
    for name in _AS_TEXT:
        connection.adapters.register_loader(name, TextLoader)
    link = Link(connection)
    try:
        _settle(link, place)
    except psycopg.Error as error:
        link.close()
        raise unreachable(place, error) from None
    except (StoreError, UsageError):
        link.close()
        raise
    return link


def _settle(link: Link, place: Place) -> None:
    if link._connection.info.server_version < _OLDEST:
        raise UsageError(f"{place.name} is older than PostgreSQL 14: update it.")
    wanted = ", ".join("(?, ?)" for _ in _SETTINGS)
    link.execute(
        "SELECT set_config(s.name, v.value, false) FROM pg_catalog.pg_settings AS s "
        f"JOIN (VALUES {wanted}) AS v (name, value) ON v.name = s.name",
        list(chain.from_iterable(_SETTINGS.items())),
    )
    held = dict(
        link.execute(
            "SELECT name, setting FROM pg_catalog.pg_settings "
            "WHERE name IN ('fsync', 'synchronous_commit', 'server_encoding')"
        )
    )
    if held["server_encoding"] != "UTF8":
        raise UsageError(
            f"{place.name} is a database in {held['server_encoding']}, which can't hold every "
            "text: make one in UTF8 (createdb --encoding UTF8 --template template0 NAME)."
        )
    for name in ("fsync", "synchronous_commit"):
        if held[name] == "off":
            raise StoreError(
                f"{place.name} has {name} = off: a power cut would lose events that were "
                f"acknowledged, so it is refused; set {name} = on for this server, database or "
                "user"
            )
    # Whatever is set while the session lasts, a commit waits for the disk.
    link.execute("SELECT set_config('synchronous_commit', ?, false)", (held["synchronous_commit"],))
