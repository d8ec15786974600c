"""What changes between a stored table and its new declaration, and whether stored rows fit."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from ..errors import EvalError, MisfitError
from ..lossless import all_plain, to_json
from ..values import Duration, Money, Percent, instant, money, number, show
from .base import Column, ColumnType, Table

_encode = msgspec.json.Encoder().encode
RESERVED = frozenset({"_log", "_log_id", "_log_plain", "_event", "_chain", "_meta", "_dropped"})


@dataclass(frozen=True, slots=True)
class Change:
    """What a new declaration of a table changes; `changed` are pairs of old and new.

    `narrowed` have fewer choices than before, `needed` could be none and no longer can.
    """

    table: Table
    added: tuple[Column, ...]
    dropped: tuple[Column, ...]
    changed: tuple[tuple[Column, Column], ...]
    uniques: tuple[Column, ...]
    freed: tuple[Column, ...]
    narrowed: tuple[Column, ...] = ()
    needed: tuple[Column, ...] = ()


class Misfit(NamedTuple):
    """A stored value that a new type has no room for."""

    key: str
    value: Any


def diff(old: Table, new: Table) -> Change:
    """The change from one declaration of a table to the next; the keys have to be the same."""
    before = {column.name: column for column in old.columns}
    after = {column.name: column for column in new.columns}
    both = [(before[name], column) for name, column in after.items() if name in before]
    return Change(
        new,
        added=tuple(column for column in new.columns if column.name not in before),
        dropped=tuple(column for column in old.columns if column.name not in after),
        changed=tuple((was, now) for was, now in both if was.type != now.type),
        uniques=tuple(now for was, now in both if now.unique and not was.unique),
        freed=tuple(now for was, now in both if was.unique and not now.unique),
        narrowed=tuple(now for was, now in both if _narrower(was, now)),
        needed=tuple(now for was, now in both if now.needed and was.needed is False),
    )


def _narrower(was: Column, now: Column) -> bool:
    return bool(now.choices) and not (was.choices and set(was.choices) <= set(now.choices))


def moves(old: Table, new: Table, renames: Mapping[str, str]) -> dict[str, str]:
    """The columns that are renamed: there under the old name alone, declared under the new."""
    there = {column.name for column in old.columns}
    wanted = {column.name for column in new.columns}
    return {
        was: now for was, now in renames.items()
        if was in there and was not in wanted and now in wanted and now not in there
    }  # fmt: skip


def moved(old: Table, names: Mapping[str, str]) -> Table:
    """A declaration with its columns under their new names."""
    columns = tuple(replace(c, name=names.get(c.name, c.name)) for c in old.columns)
    indexes = tuple(tuple(names.get(name, name) for name in index) for index in old.indexes)
    return Table(old.name, columns, names.get(old.key, old.key), indexes)


def check_tables(tables: Sequence[Table]) -> None:
    """Refuses names that one store or another can't keep apart."""
    seen: dict[str, str] = {}
    for table in tables:
        assert table.name not in RESERVED, table.name
        assert any(c.name == table.key and c.type == "text" for c in table.columns), table.name
        folded = table.name.lower()
        if folded.startswith("sqlite_"):
            raise MisfitError(f"`{table.name}`: names that begin with sqlite_ are SQLite's own")
        if seen.setdefault(folded, table.name) != table.name:
            raise MisfitError(
                f"`{seen[folded]}` and `{table.name}` differ only in case, which a database "
                "does not keep apart: rename one of them"
            )
        names: dict[str, str] = {}
        for column in table.columns:
            other = names.setdefault(column.name.lower(), column.name)
            if other != column.name:
                raise MisfitError(
                    f"`{table.name}`: the fields `{other}` and `{column.name}` differ only in "
                    "case, which a database does not keep apart: rename one of them"
                )


def check_key(old: Table, new: Table, rows: int) -> None:
    """Refuses another key while there are rows: everything refers to them by the old one."""
    if old.key != new.key and rows:
        raise MisfitError(
            f"{new.name} is now keyed by `{new.key}`, but its {rows} stored rows are keyed by "
            f"`{old.key}` and referred to by it: keep `{old.key}` as the key, or start over "
            "with --fresh"
        )


def check_needed(table: str, column: Column, rows: int) -> None:
    """Refuses a new column that every row must have while there are rows without."""
    if rows:
        raise MisfitError(
            f"{table}.{column.name} is new and needed, but the {rows} stored rows have none: give "
            f"it a constant default, or make it optional with `?`"
        )


def check_fit(
    table: str, old: Column, new: Column, values: Iterable[tuple[str, Any]]
) -> Iterable[tuple[str, Any]]:
    """Keys and converted values; MisfitError with an example where some don't fit."""
    fitting: list[tuple[str, Any]] = []
    misfits: list[Misfit] = []
    for key, value in values:
        converted = convert(value, old.type, new.type)
        if converted is None and value is not None:
            misfits.append(Misfit(key, value))
        else:
            fitting.append((key, converted))
    if misfits:
        key, value = misfits[0]
        raise MisfitError(
            f"{table}.{new.name} is now {new.type} (was {old.type}), but {len(misfits)} stored "
            f"{'value does' if len(misfits) == 1 else 'values do'} not fit, such as "
            f"`{show(value, old.type)}` of {table} `{key}`: keep the type {old.type}, correct "
            "the rows, or declare a field of another name"
        )
    return fitting


def check_choices(table: str, column: Column, values: Iterable[tuple[str, Any]]) -> None:
    """MisfitError where stored values are none that a column may hold any more."""
    lost: dict[str, list[str]] = {}
    for key, value in values:
        if value is not None and value not in column.choices:
            lost.setdefault(value, []).append(key)
    if lost:
        some = "; ".join(
            f"`{value}` of {_rows(len(keys))}, such as {table} `{keys[0]}`"
            for value, keys in list(lost.items())[:3]
        )
        raise MisfitError(
            f"{table}.{column.name} has values that are no longer among its own: {some}. Keep "
            "them in the declaration, or change those rows first"
        )


def check_filled(table: str, column: Column, keys: Sequence[str]) -> None:
    """MisfitError where rows lack what they now need; `keys` are those of the rows without."""
    if keys:
        raise MisfitError(
            f"{table}.{column.name} can no longer be none, and is in {_rows(len(keys))}, such as "
            f"{table} `{keys[0]}`: keep its `?`, or give those rows a value first"
        )


def check_unique(table: str, column: Column, values: Iterable[tuple[str, Any]]) -> None:
    """MisfitError naming the duplicates where stored values of a column aren't unique."""
    holders: dict[Any, list[str]] = {}
    for key, value in values:
        if value is not None:
            holders.setdefault(_hashable(value), []).append(key)
    twice = [(value, keys) for value, keys in holders.items() if len(keys) > 1]
    if twice:
        some = "; ".join(
            f"`{show(value, column.type)}` in {', '.join(keys[:5])}"
            f"{f' and {len(keys) - 5} more' if len(keys) > 5 else ''}"
            for value, keys in twice[:3]
        )
        more = f"; and {len(twice) - 3} more" if len(twice) > 3 else ""
        raise MisfitError(
            f"{table}.{column.name} is now unique, but stored rows share values: {some}{more}. "
            "Change those rows first, or leave `unique` out"
        )


def _hashable(value: Any) -> Any:
    return json_text(value) if isinstance(value, list | dict) else value


def taken(table: str, column: str, value: Any) -> str:
    """The sentence for a row refused by a unique column."""
    return f"another {table} has the {column} `{value}`"


def sentences(change: Change, aside: dict[str, int], back: dict[str, int]) -> list[str]:
    """What a person is told of a change; how many values were set aside, and put back."""
    name = change.table.name
    told = []
    for column in change.added:
        if column.type == "serial":  # bizrun's own: nothing that a person has declared
            continue
        count = back.get(column.name, 0)
        tail = f"; what {_rows(count)} had in it before is back" if count else ""
        told.append(f"{name}.{column.name} is new{tail}")
    for column in change.dropped:
        count = aside.get(column.name, 0)
        tail = f"; what {_rows(count)} had in it is kept in the table _dropped" if count else ""
        told.append(f"{name}.{column.name} is gone{tail}")
    told += [f"{name}.{now.name} is now {now.type} (was {was.type})" for was, now in change.changed]
    told += [f"{name}.{column.name} is now unique" for column in change.uniques]
    told += [f"{name}.{column.name} is no longer unique" for column in change.freed]
    return told


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


# --- values of another type ------------------------------------------------------------------


def convert(value: Any, old: ColumnType, new: ColumnType) -> Any:
    """A value as one of another type, without loss; None where it has no such form."""
    if value is None or old == new or new == "json":
        return value
    if new == "text":
        plain = old == "json" and not isinstance(value, str)
        return json_text(value) if plain else show(value, "number")
    if old == "json":
        return value if _is_a(value, new) else None
    if old == "text":
        return _from_text(value, new)
    if old in _NUMBERS and new in _NUMBERS:
        return value if _is_a(value, new) else None
    return None


_NUMBERS = ("number", "integer", "size")

_BOOLS = {"true": True, "false": False}

_READERS: dict[ColumnType, Callable[[str], Any]] = {
    "number": number,
    "integer": number,
    "size": number,
    "money": money,
    "percent": lambda text: Percent.of(Decimal(number(text[:-1]))) if text[-1:] == "%" else None,
    "duration": Duration.from_iso,
    "time": instant,
    "date": date.fromisoformat,
    "bool": lambda text: _BOOLS.get(text),
}

_CLASSES: dict[ColumnType, Any] = {
    "text": str,
    "number": int | Decimal,
    "integer": int,
    "size": int,
    "money": Money,
    "percent": Percent,
    "duration": Duration,
    "time": datetime,
    "date": date,
    "bool": bool,
}


def _from_text(text: str, new: ColumnType) -> Any:
    try:
        value = _READERS[new](text)
    except (EvalError, ValueError):
        return None
    return value if _is_a(value, new) else None


def _is_a(value: Any, type: ColumnType) -> bool:
    if isinstance(value, bool) != (type == "bool"):
        return False
    if type == "date" and isinstance(value, datetime):
        return False
    if type == "size" and isinstance(value, int) and value < 0:
        return False
    return isinstance(value, _CLASSES[type])


# --- declarations as JSON --------------------------------------------------------------------


def json_text(value: Any) -> str:
    """A value as compact lossless JSON text."""
    plain = value
    if type(value) is not dict or not all_plain(value):
        plain = to_json(value)
    elif not value:
        return "{}"
    try:
        return _encode(plain).decode()
    except UnicodeEncodeError:  # half of a character
        return json.dumps(plain, ensure_ascii=False, separators=(",", ":"))


def table_to_json(table: Table) -> str:
    """A declaration as the text that a store keeps of it."""
    return json.dumps(
        {
            "name": table.name,
            "key": table.key,
            "columns": [_column_to_json(column) for column in table.columns],
            "indexes": table.indexes,
            **({"by_age": True} if table.by_age else {}),
            **({"usual": table.usual} if table.usual else {}),
        },
        separators=(",", ":"),
    )


def table_from_json(text: str) -> Table:
    """The inverse of `table_to_json`."""
    found = json.loads(text)
    return Table(
        found["name"],
        tuple(_column_from_json(*column) for column in found["columns"]),
        found["key"],
        tuple(tuple(index) for index in found["indexes"]),
        found.get("by_age", False),
        tuple((column, value) for column, value in found.get("usual", ())),
    )


def _column_to_json(column: Column) -> list[Any]:
    said = [column.name, column.type, column.unique]
    if column.choices or column.needed is not None:
        said += [column.choices, column.needed]
    return said


def _column_from_json(
    name: str,
    type: ColumnType,
    unique: bool,
    choices: Sequence[str] = (),
    needed: bool | None = None,
) -> Column:
    return Column(name, type, unique, tuple(choices), needed)
