"""Values of unique columns: which rows have them, in the database and among those that wait."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..errors import Refusal
from .base import Row
from .database import Database
from .event_log import select_in
from .schema import taken
from .sql import TableSQL

Rows = Mapping[str, "Row | None"]


class Uniques:
    """What rows that wait to be written have in unique columns."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, str], dict[Any, str]] = {}

    def clear(self) -> None:
        """Forgets all: nothing waits any more."""
        self._waiting.clear()

    def written(self, sql: TableSQL) -> None:
        """Forgets a table's: its rows are in the database."""
        for column in sql.unique:
            self._waiting.pop((sql.table.name, column), None)

    def claim(self, sql: TableSQL, rows: Rows) -> None:
        """Notes what rows have that now wait."""
        for column in sql.unique:
            waiting = self._waiting.setdefault((sql.table.name, column), {})
            for key, row in rows.items():
                if row is not None and row.get(column) is not None:
                    waiting[row[column]] = key

    def check(self, db: Database, sql: TableSQL, rows: Rows, pending: Rows) -> None:
        """Refuses rows that would share a unique value with each other or with one that stays."""
        for column in sql.unique:
            values = [
                (key, row[column])
                for key, row in rows.items()
                if row is not None and row.get(column) is not None
            ]
            if values:
                self._check(db, sql, column, values, rows, pending)

    def _check(
        self, db: Database, sql: TableSQL, column: str, values: Sequence[tuple[str, Any]],
        rows: Rows, pending: Rows,
    ) -> None:  # fmt: skip
        table = sql.table.name
        holders = {
            value: holder
            for holder, value in _holders(db, sql, column, [value for _, value in values])
            if holder not in pending
        }
        waiting = self._waiting.get((table, column), {})
        for _, value in values:
            held = pending.get(waiting.get(value, ""))
            if held is not None and held[column] == value:
                holders[value] = waiting[value]
        fresh: set[Any] = set()
        for key, value in values:
            holder = holders.get(value, key)
            if value in fresh or (holder != key and holder not in rows):
                raise Refusal(taken(table, column, value))
            fresh.add(value)


def _holders(
    db: Database, sql: TableSQL, column: str, values: Sequence[Any]
) -> Iterator[tuple[str, Any]]:
    """The stored keys, with their values, of rows that have one of these values."""
    codec = sql.dialect.codecs[sql.types[column]]
    encoded = [value if codec.encode is None else codec.encode(value) for value in values]
    quoted = sql.dialect.quoted
    name = quoted(column)
    text = f"SELECT {quoted(sql.table.key)}, {name} FROM {quoted(sql.table.name)} WHERE {name} IN"
    for key, stored in select_in(db, text, (), dict.fromkeys(encoded), codec.mark):
        yield key, stored if codec.decode is None else codec.decode(stored)
