"""Brings a stored table to its new declaration, within the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from .base import Column, Table
from .codecs import UNREADABLE, unreadable
from .database import Database
from .schema import (
    check_choices,
    check_filled,
    check_fit,
    check_key,
    check_needed,
    check_unique,
    convert,
    diff,
    moved,
    sentences,
    table_to_json,
)
from .sql import Dialect

_KEEP_DECLARATION = """INSERT INTO _meta (name, value) VALUES (?, ?)
  ON CONFLICT (name) DO UPDATE SET value = excluded.value"""
_SET_ASIDE = """INSERT INTO _dropped ("table", "column", "key", "type", "value")
  SELECT ?, ?, {key}, ?, {value} FROM {table} WHERE {column} IS NOT NULL
  ON CONFLICT ("table", "column", "key")
  DO UPDATE SET "type" = excluded."type", "value" = excluded."value\""""


def migrate(
    db: Database, dialect: Dialect, old: Table | None, new: Table, defaults: Mapping[str, Any]
) -> list[str]:
    """Creates or changes a table; what is told of it. StoreError where rows don't fit."""
    work = _Migration(db, dialect, new, dialect.quoted(new.name), dialect.quoted(new.key))
    told: list[str] = []
    if old is not None:
        check_key(old, new, work.count())
        if old.key != new.key:
            db.execute(f"DROP TABLE {work.name}")
    if old is None or old.key != new.key:
        db.execute(dialect.create_table(new))
    else:
        work.rearrange(old)
        told = work.change(old)
        for column in new.columns:
            if column.name in defaults and column.name not in {c.name for c in old.columns}:
                work.default(column, defaults[column.name])
    work.index()
    db.execute(_KEEP_DECLARATION, (f"table:{new.name}", table_to_json(new)))
    return told


def rename(db: Database, dialect: Dialect, old: Table, names: Mapping[str, str]) -> Table:
    """Renames columns of a stored table; its declaration under the new names."""
    table = dialect.quoted(old.name)
    for was, now in names.items():
        columns = f"{dialect.quoted(was)} TO {dialect.quoted(now)}"
        db.execute(f"ALTER TABLE {table} RENAME COLUMN {columns}")
    return moved(old, names)


@dataclass(frozen=True, slots=True)
class _Migration:
    """A table on its way to a new declaration; `name` and `key` are identifiers."""

    db: Database
    dialect: Dialect
    table: Table
    name: str
    key: str

    def count(self, condition: str = "") -> int:
        """How many rows there are, or meet a condition."""
        return int(self.db.execute(f"SELECT count(*) FROM {self.name}{condition}").get)

    def default(self, column: Column, value: Any) -> None:
        """Gives a new column's default to the rows there are; None is for one that has none."""
        name, encode = self.dialect.quoted(column.name), self.dialect.codecs[column.type].encode
        if value is None:
            check_needed(self.table.name, column, self.count(f" WHERE {name} IS NULL"))
            return
        stored = value if encode is None else encode(value)
        self.db.execute(f"UPDATE {self.name} SET {name} = ? WHERE {name} IS NULL", (stored,))

    def rearrange(self, old: Table) -> None:
        """Writes a table anew whose rows are to be kept in another order."""
        if self.dialect.table_end(old) == self.dialect.table_end(self.table):
            return
        new = replace(old, name=f"{old.name} anew", by_age=self.table.by_age)
        name = self.dialect.quoted(new.name)
        columns = ", ".join(self.dialect.quoted(column.name) for column in old.columns)
        rows = f"SELECT {columns} FROM {self.name} ORDER BY {self.key}"
        self.db.execute(self.dialect.create_table(new))
        self.db.execute(f"INSERT INTO {name} ({columns}) {rows}")
        self.db.execute(f"DROP TABLE {self.name}")
        self.db.execute(f"ALTER TABLE {name} RENAME TO {self.name}")

    def change(self, old: Table) -> list[str]:
        """Changes the columns; what is told of it."""
        change = diff(old, self.table)
        # An index on a column is in the way of changing it; all are made anew where they are gone.
        if change.dropped or change.changed:
            for index in self._indexes():
                self.db.execute(self.dialect.drop_index(self.table.name, index))
        aside = {column.name: self._set_aside(column) for column in change.dropped}
        for was, now in change.changed:
            self._retype(was, now)
        back = {column.name: self._add(column) for column in change.added}
        for column in change.uniques:
            check_unique(self.table.name, column, self._values(column))
        for column in change.narrowed:
            check_choices(self.table.name, column, self._values(column))
        for column in change.needed:
            check_filled(self.table.name, column, self._without(column))
        return sentences(change, aside, back)

    def index(self) -> None:
        """Makes the indexes that are wanted, and drops all others."""
        wanted = self.dialect.index_statements(self.table)
        there = set(self._indexes())
        for name in there - wanted.keys():
            self.db.execute(self.dialect.drop_index(self.table.name, name))
        for name, statement in wanted.items():
            if name not in there:
                self.db.execute(statement)

    def _values(self, column: Column) -> Iterator[tuple[str, Any]]:
        """Keys and values of a column, where there are any, in order of key."""
        decode = self.dialect.codecs[column.type].decode
        name = self.dialect.quoted(column.name)
        rows = self.db.execute(
            f"SELECT {self.key}, {name} FROM {self.name} WHERE {name} IS NOT NULL "
            f"ORDER BY {self.key}"
        )
        for key, value in rows:
            try:
                yield key, value if decode is None else decode(value)
            except UNREADABLE:
                raise unreadable(self.table.name, key, column, value) from None

    def _without(self, column: Column) -> list[str]:
        """The keys of the rows that have no value in a column, in order."""
        name = self.dialect.quoted(column.name)
        rows = self.db.execute(
            f"SELECT {self.key} FROM {self.name} WHERE {name} IS NULL ORDER BY {self.key}"
        )
        return [found for (found,) in rows]

    def _set_aside(self, column: Column) -> int:
        """Drops a column after moving its values to `_dropped`, as they are; how many."""
        name = self.dialect.quoted(column.name)
        moved = self.count(f" WHERE {name} IS NOT NULL")
        text = _SET_ASIDE.format(
            key=self.key, value=self.dialect.kept.format(name), table=self.name, column=name
        )
        self.db.execute(text, (self.table.name, column.name, column.type))
        self.db.execute(f"ALTER TABLE {self.name} DROP COLUMN {name}")
        return moved

    def _retype(self, was: Column, now: Column) -> None:
        """Gives a column another type, with every value in the new form."""
        codecs, quoted = self.dialect.codecs, self.dialect.quoted
        fitting = check_fit(self.table.name, was, now, self._values(was))
        if codecs[was.type] == codecs[now.type]:
            return
        other = quoted("_ " + now.name)
        self.db.execute(f"ALTER TABLE {self.name} ADD COLUMN {other} {codecs[now.type].sql}")
        self._fill(other, now, fitting)
        self.db.execute(f"ALTER TABLE {self.name} DROP COLUMN {quoted(was.name)}")
        self.db.execute(f"ALTER TABLE {self.name} RENAME COLUMN {other} TO {quoted(now.name)}")

    def _add(self, column: Column) -> int:
        """Adds a column; what it held before it was dropped comes back where its row is still
        there."""
        definition = self.dialect.column(column, self.table)
        self.db.execute(f"ALTER TABLE {self.name} ADD COLUMN {definition}")
        rows: list[Any] = self.db.execute(
            'SELECT "key", "type", "value" FROM _dropped WHERE "table" = ? AND "column" = ? '
            f'AND "key" IN (SELECT {self.key} FROM {self.name})',
            (self.table.name, column.name),
        ).fetchall()
        fitting = []
        for key, type, stored in rows:
            decode = self.dialect.codecs[type].decode
            value = convert(stored if decode is None else decode(stored), type, column.type)
            if value is not None:
                fitting.append((key, value))
        if column.unique and len({repr(value) for _, value in fitting}) < len(fitting):
            return 0
        self._fill(self.dialect.quoted(column.name), column, fitting)
        self.db.executemany(
            'DELETE FROM _dropped WHERE "table" = ? AND "column" = ? AND "key" = ?',
            [(self.table.name, column.name, key) for key, _ in fitting],
        )
        return len(fitting)

    def _fill(self, name: str, column: Column, values: Any) -> None:
        encode = self.dialect.codecs[column.type].encode
        self.db.executemany(
            f"UPDATE {self.name} SET {name} = ? WHERE {self.key} = ?",
            [(value if encode is None else encode(value), key) for key, value in values],
        )

    def _indexes(self) -> list[str]:
        """The names of its indexes, but for that of its key."""
        table = self.dialect.stored(self.table.name)
        return [name for (name,) in self.db.execute(self.dialect.indexes, (table,))]
