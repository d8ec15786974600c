"""Brings a stored SQLite table to its new declaration, within the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import apsw

from .base import Column, Table
from .schema import (
    check_choices,
    check_filled,
    check_fit,
    check_key,
    check_needed,
    check_unique,
    convert,
    diff,
    sentences,
    table_to_json,
)
from .sql import (
    SQLITE,
    UNREADABLE,
    column_sql,
    create_table,
    index_statements,
    quoted,
    unreadable,
)


def migrate(
    db: apsw.Connection, old: Table | None, new: Table, defaults: Mapping[str, Any]
) -> list[str]:
    """Creates or changes a table; what is told of it. StoreError where rows don't fit."""
    told: list[str] = []
    name = quoted(new.name)
    if old is not None:
        rows = db.execute(f"SELECT count(*) FROM {name}").get
        check_key(old, new, rows)
        if old.key != new.key:
            db.execute(f"DROP TABLE {name}")
    if old is None or old.key != new.key:
        db.execute(create_table(new))
    else:
        told = _change(db, old, new)
        for column in new.columns:
            if column.name in defaults and column.name not in {c.name for c in old.columns}:
                _default(db, new, column, defaults[column.name])
    _index(db, new)
    db.execute(
        "INSERT OR REPLACE INTO _meta VALUES (?, ?)", (f"table:{new.name}", table_to_json(new))
    )
    return told


def _default(db: apsw.Connection, table: Table, column: Column, value: Any) -> None:
    """Gives a new column's default to the rows there are; None is for one that has none."""
    name, encode = quoted(column.name), SQLITE[column.type].encode
    rows = quoted(table.name)
    if value is None:
        found = db.execute(f"SELECT count(*) FROM {rows} WHERE {name} IS NULL").get
        check_needed(table.name, column, found)
        return
    stored = value if encode is None else encode(value)
    db.execute(f"UPDATE {rows} SET {name} = ? WHERE {name} IS NULL", (stored,))


def _change(db: apsw.Connection, old: Table, new: Table) -> list[str]:
    change = diff(old, new)
    # An index on a column is in the way of changing it; all are made anew where they are gone.
    if change.dropped or change.changed:
        for index in _indexes(db, new):
            db.execute(f"DROP INDEX {quoted(index)}")
    aside = {column.name: _set_aside(db, new, column) for column in change.dropped}
    for was, now in change.changed:
        _retype(db, new, was, now)
    back = {column.name: _add(db, new, column) for column in change.added}
    for column in change.uniques:
        check_unique(new.name, column, _values(db, new, column))
    for column in change.narrowed:
        check_choices(new.name, column, _values(db, new, column))
    for column in change.needed:
        check_filled(new.name, column, _without(db, new, column))
    return sentences(change, aside, back)


def _values(db: apsw.Connection, table: Table, column: Column) -> Iterator[tuple[str, Any]]:
    """Keys and values of a column, where there are any, in order of key."""
    decode = SQLITE[column.type].decode
    name = quoted(column.name)
    rows = db.execute(
        f"SELECT {quoted(table.key)}, {name} FROM {quoted(table.name)} "
        f"WHERE {name} IS NOT NULL ORDER BY {quoted(table.key)}"
    )
    for key, value in rows:
        try:
            yield key, value if decode is None else decode(value)
        except UNREADABLE:
            raise unreadable(table.name, key, column, value) from None


def _without(db: apsw.Connection, table: Table, column: Column) -> list[str]:
    """The keys of the rows that have no value in a column, in order."""
    key = quoted(table.key)
    rows = db.execute(
        f"SELECT {key} FROM {quoted(table.name)} WHERE {quoted(column.name)} IS NULL ORDER BY {key}"
    )
    return [found for (found,) in rows]


def _set_aside(db: apsw.Connection, table: Table, column: Column) -> int:
    """Drops a column after moving its values to `_dropped`, as they are; how many."""
    name = quoted(column.name)
    db.execute(
        f"INSERT OR REPLACE INTO _dropped SELECT ?, ?, {quoted(table.key)}, ?, {name} "
        f"FROM {quoted(table.name)} WHERE {name} IS NOT NULL",
        (table.name, column.name, column.type),
    )
    moved = db.changes()
    db.execute(f"ALTER TABLE {quoted(table.name)} DROP COLUMN {name}")
    return moved


def _retype(db: apsw.Connection, table: Table, was: Column, now: Column) -> None:
    """Gives a column another type, with every value in the new form."""
    fitting = check_fit(table.name, was, now, _values(db, table, was))
    if SQLITE[was.type] == SQLITE[now.type]:
        return
    name, other = quoted(table.name), quoted("_ " + now.name)
    db.execute(f"ALTER TABLE {name} ADD COLUMN {other} {SQLITE[now.type].sql}")
    _fill(db, table, other, now, fitting)
    db.execute(f"ALTER TABLE {name} DROP COLUMN {quoted(was.name)}")
    db.execute(f"ALTER TABLE {name} RENAME COLUMN {other} TO {quoted(now.name)}")


def _add(db: apsw.Connection, table: Table, column: Column) -> int:
    """Adds a column; what it held before it was dropped comes back where its row is still there."""
    db.execute(f"ALTER TABLE {quoted(table.name)} ADD COLUMN {column_sql(column, table.key)}")
    rows: list[Any] = db.execute(
        'SELECT "key", "type", "value" FROM _dropped WHERE "table" = ? AND "column" = ? '
        f'AND "key" IN (SELECT {quoted(table.key)} FROM {quoted(table.name)})',
        (table.name, column.name),
    ).fetchall()
    fitting = []
    for key, type, stored in rows:
        decode = SQLITE[type].decode
        value = convert(stored if decode is None else decode(stored), type, column.type)
        if value is not None:
            fitting.append((key, value))
    if column.unique and len({repr(value) for _, value in fitting}) < len(fitting):
        return 0
    _fill(db, table, quoted(column.name), column, fitting)
    db.executemany(
        'DELETE FROM _dropped WHERE "table" = ? AND "column" = ? AND "key" = ?',
        [(table.name, column.name, key) for key, _ in fitting],
    )
    return len(fitting)


def _fill(db: apsw.Connection, table: Table, name: str, column: Column, values: Any) -> None:
    encode = SQLITE[column.type].encode
    db.executemany(
        f"UPDATE {quoted(table.name)} SET {name} = ? WHERE {quoted(table.key)} = ?",
        [(value if encode is None else encode(value), key) for key, value in values],
    )


def _indexes(db: apsw.Connection, table: Table) -> list[str]:
    rows = db.execute(
        "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL",
        (table.name,),
    )
    return [name for (name,) in rows]


def _index(db: apsw.Connection, table: Table) -> None:
    wanted = index_statements(table)
    there = set(_indexes(db, table))
    for name in there - wanted.keys():
        db.execute(f"DROP INDEX {quoted(name)}")
    for name, statement in wanted.items():
        if name not in there:
            db.execute(statement)
