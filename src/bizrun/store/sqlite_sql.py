"""SQL as SQLite speaks it: each type's column, and the statements that are its own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from ..values import Duration, Number
from .base import Column, ColumnType, Table
from .codecs import (
    MAX,
    MIN,
    Codec,
    decode_duration,
    decode_json,
    decode_money,
    decode_number,
    decode_percent,
    decode_time,
    encode_money,
    encode_number,
    encode_percent,
    encode_time,
)
from .packing import in_place
from .schema import json_text
from .sql import Dialect


def _floor(value: Number) -> int:
    return _whole(value, ROUND_FLOOR)


def _ceiling(value: Number) -> int:
    return _whole(value, ROUND_CEILING)


def _whole(value: Number, rounding: str) -> int:
    if isinstance(value, Decimal):
        if not value.is_finite():
            return MAX if value > 0 else MIN
        value = int(value.to_integral_value(rounding))
    return max(MIN, min(MAX, value))


def _time_bound(value: datetime) -> str:
    return encode_time(value)[:-1]


_SAME = {op: (f"{{}} {op} ?", None) for op in ("<", "<=", ">", ">=")}
_TIME = {op: (f"{{}} {op} ?", _time_bound) for op in ("<", "<=", ">", ">=")}
_DATE = {op: (f"{{}} {op} ?", date.isoformat) for op in ("<", "<=", ">", ">=")}

# In SQLite any text is above any integer, and the only texts here are numbers with a fraction,
# numbers beyond 64 bits, and `unlimited`: few, and looked at one by one.
_NUMERIC = {
    "<": ("({} <= ? OR {} >= '')", _ceiling),
    "<=": ("({} <= ? OR {} >= '')", _ceiling),
    ">": ("{} >= ?", _floor),
    ">=": ("{} >= ?", _floor),
}

# An integer of the language may have 34 digits: ANY holds those as text, and all others as they
# are.
_NUMBER = Codec(
    "ANY", encode_number, decode_number, bound=encode_number, ranges=_NUMERIC, exact=False
)

# Without the Z a whole second is the beginning of its fractions, so texts are in order of time.
_CODECS: dict[ColumnType, Codec] = {
    "text": Codec("TEXT", ranges=_SAME),
    "number": _NUMBER,
    "integer": _NUMBER,
    "size": _NUMBER,
    "bool": Codec("INTEGER", None, bool, ranges=_SAME),
    "money": Codec("TEXT", encode_money, decode_money, equal=False),
    "percent": Codec("TEXT", encode_percent, decode_percent, bound=encode_percent),
    "duration": Codec("TEXT", Duration.iso, decode_duration, equal=False),
    "time": Codec("TEXT", encode_time, decode_time, "rtrim({}, 'Z')", _time_bound, ranges=_TIME),
    "date": Codec("TEXT", date.isoformat, date.fromisoformat, bound=date.isoformat, ranges=_DATE),
    "json": Codec("TEXT", json_text, decode_json, equal=False),
    "serial": Codec("INTEGER", ranges=_SAME),
}


in_place(encode_number, f"{{v}} if type({{v}}) is int and {MIN} <= {{v}} <= {MAX} else "
         "None if {v} is None else {c}({v})")  # fmt: skip
in_place(decode_number, "{v} if type({v}) is int or {v} is None else {c}({v})")
in_place(encode_time, "None if {v} is None else T({v}) if {v}.tzinfo is U else {c}({v})")
in_place(encode_money, "None if {v} is None else {v}._text or {c}({v})")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _upsert(table: Table) -> str:
    # A unique value moves from row to row within one write: what is left in the way there is
    # replaced too. That no other row has it was checked before.
    # Short, since the driver hashes a statement's text to find it.
    names = ",".join(_quoted(column.name) for column in table.columns)
    marks = ",".join("?" * len(table.columns))
    return f"REPLACE INTO {_quoted(table.name)} ({names}) VALUES ({marks})"


def _unique(name: str, table: Table, column: Column) -> str:
    target = f"{_quoted(table.name)} ({_quoted(column.name)})"
    return f"CREATE UNIQUE INDEX {_quoted(name)} ON {target}"


def _drop_index(_table: str, name: str) -> str:
    return f"DROP INDEX {_quoted(name)}"


def _nulls(descending: bool, bound: bool) -> str:
    # Without `NULLS LAST` an index serves, and a bound column has no nulls.
    return "" if descending or bound else " NULLS LAST"


def _path(column: str, names: Sequence[str]) -> str:
    return f"{column} ->> '$.{'.'.join(names)}'"


SQLITE = Dialect(
    codecs=_CODECS,
    stored=str,
    quoted=_quoted,
    primary=lambda _table: "PRIMARY KEY NOT NULL",
    table_end=lambda table: " STRICT" if table.by_age else " STRICT, WITHOUT ROWID",
    upsert=_upsert,
    unique=_unique,
    drop_index=_drop_index,
    # The plus keeps SQLite from reading the whole table in order of key, to save sorting the few
    # rows that an index finds.
    unindexed="+{}",
    nulls=_nulls,
    path=_path,
    groups="{}",
    indexes="SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = ? "
    "AND sql IS NOT NULL",
    kept="{}",
)
