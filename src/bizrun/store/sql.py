"""What SQL stores share: values as columns, and the statements of a table, for one dialect."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from ..errors import EvalError, StoreError
from ..lossless import money_exact, restored
from ..values import (
    CONTEXT,
    UNLIMITED,
    Duration,
    Money,
    Number,
    Percent,
    instant_stamp,
    number_text,
)
from .base import Column, ColumnType, Range, Row, Table
from .packing import Pack, Unpack, in_place, packer, unpacker
from .schema import json_text

_decode_json = msgspec.json.Decoder().decode
_MAX = 2**63 - 1
_MIN = -(2**63)

Order = tuple[tuple[str, bool], ...]


class Codec(NamedTuple):
    """How values of a type stand in a column, and how far SQL can compare them.

    `compare` is the expression that is compared, indexed and ordered by ({} is the column), with
    `bound` making the value beside it. `equal`: SQL finds just the equal ones; `ranges`: by
    operator, a condition that holds for all that match; `exact`: and for no others.
    """

    sql: str
    encode: Callable[[Any], Any] | None = None
    decode: Callable[[Any], Any] | None = None
    compare: str = "{}"
    bound: Callable[[Any], Any] | None = None
    equal: bool = True
    ranges: Mapping[str, tuple[str, Callable[[Any], Any] | None]] = {}
    exact: bool = True


# --- values ----------------------------------------------------------------------------------


def encode_number(value: Number) -> int | str:
    """An int where it is whole and has 64 bits; else exact decimal text, or `unlimited`."""
    if type(value) is not int:
        if not value.is_finite():  # type: ignore[union-attr]
            return "unlimited" if value > 0 else "-unlimited"
        if value != (whole := int(value)):
            return number_text(value)
        value = whole
    return value if _MIN <= value <= _MAX else str(value)


def decode_number(value: int | str) -> Number:
    """The inverse of `encode_number`."""
    return value if type(value) is int else _number(value)


@lru_cache(maxsize=4096)
def _number(text: Any) -> Number:
    if text.endswith("unlimited"):
        return -UNLIMITED if text[0] == "-" else UNLIMITED
    return Decimal(text) if "." in text else int(text)


def encode_percent(value: Percent) -> str:
    """`15%`, whatever this thread's decimal context."""
    return f"{number_text(value.rate.scaleb(2, CONTEXT))}%" if value.rate else "0%"


@lru_cache(maxsize=1024)
def decode_percent(text: str) -> Percent:
    """The inverse of `encode_percent`."""
    return Percent(Decimal(_number(text[:-1])).scaleb(-2, CONTEXT))


def encode_time(value: datetime) -> str:
    """RFC 3339 in UTC: `2026-01-31T09:00:00Z`."""
    return instant_stamp(value if value.tzinfo is UTC else value.astimezone(UTC))


@lru_cache(maxsize=1 << 14)
def decode_time(text: str) -> datetime:
    """The inverse of `encode_time`."""
    if text[-1] != "Z":
        raise ValueError(text)
    return datetime.fromisoformat(text)


def encode_money(value: Money) -> str:
    """`29.00 USD`, as it is written everywhere."""
    return str(value)


@lru_cache(maxsize=4096)
def decode_money(text: str) -> Money:
    """The inverse of `str`; amounts come again."""
    return money_exact(text)


def decode_duration(text: str) -> Duration:
    """Reads what `Duration.iso` writes, of any length: `P1M14DT0.5S`."""
    days, _, seconds = text[1:].partition("T")
    months = 0
    if "M" in days:
        part, _, days = days.partition("M")
        months = int(part)
    micros = int(Decimal(seconds[:-1]).scaleb(6, CONTEXT)) if seconds else 0
    return Duration(months, int(days[:-1]) if days else 0, micros)


def decode_json(text: str) -> Any:
    """The inverse of `schema.json_text`."""
    found = _decode_json(text)
    # Every tag of an exact value begins with a $.
    return restored(found) if '"$' in text else found


def _floor(value: Number) -> int:
    return _whole(value, ROUND_FLOOR)


def _ceiling(value: Number) -> int:
    return _whole(value, ROUND_CEILING)


def _whole(value: Number, rounding: str) -> int:
    if isinstance(value, Decimal):
        if not value.is_finite():
            return _MAX if value > 0 else _MIN
        value = int(value.to_integral_value(rounding))
    return max(_MIN, min(_MAX, value))


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
SQLITE: dict[ColumnType, Codec] = {
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


in_place(encode_number, f"{{v}} if type({{v}}) is int and {_MIN} <= {{v}} <= {_MAX} else "
         "None if {v} is None else {c}({v})")  # fmt: skip
in_place(decode_number, "{v} if type({v}) is int or {v} is None else {c}({v})")
in_place(encode_time, "None if {v} is None else T({v}) if {v}.tzinfo is U else {c}({v})")
in_place(encode_money, "None if {v} is None else {v}._text or {c}({v})")


UNREADABLE = (
    msgspec.DecodeError, ValueError, TypeError, ArithmeticError, LookupError, AttributeError,
    EvalError,
)  # fmt: skip


def unreadable(table: str, key: str, column: Column, value: Any) -> StoreError:
    """The failure for a stored value that this program did not write."""
    return StoreError(
        f"{table} `{key}`: `{str(value)[:60]}` in {column.name} is no {column.type} as bizrun "
        "writes it; another program has changed it: put it right there, or restore a backup"
    )


# --- statements ------------------------------------------------------------------------------


def quoted(name: str) -> str:
    """A name of an author as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def column_sql(column: Column, key: str) -> str:
    """A column's definition."""
    rest = " PRIMARY KEY NOT NULL" if column.name == key else ""
    return f"{quoted(column.name)} {SQLITE[column.type].sql}{rest}"


def create_table(table: Table) -> str:
    """The statement that makes a table."""
    columns = ", ".join(column_sql(column, table.key) for column in table.columns)
    return f"CREATE TABLE {quoted(table.name)} ({columns}) STRICT, WITHOUT ROWID"


def index_statements(table: Table) -> dict[str, str]:
    """The statements that make a table's indexes, by the indexes' names."""
    types = {column.name: column.type for column in table.columns}
    found: dict[str, str] = {}
    for column in table.columns:
        if column.unique and column.name != table.key:
            name = f"{table.name} {column.name} unique"
            found[name] = _index("UNIQUE INDEX", name, table, [quoted(column.name)])
    for columns in table.indexes:
        parts = []
        for column_name in columns:
            codec = SQLITE[types[column_name]]
            if not codec.equal:
                break
            parts.append(codec.compare.format(quoted(column_name)))
        if parts and columns != (table.key,):
            name = f"{table.name} ({', '.join(columns)})"
            found[name] = _index("INDEX", name, table, parts)
    return found


def _index(kind: str, name: str, table: Table, parts: Sequence[str]) -> str:
    return f"CREATE {kind} {quoted(name)} ON {quoted(table.name)} ({', '.join(parts)})"


class Shape(NamedTuple):
    """A select without its values: which columns, which of them none, which operators."""

    equals: tuple[tuple[str, bool], ...]
    ranges: tuple[tuple[str, str], ...]
    order: Order
    limited: bool


class Select(NamedTuple):
    """A statement for a shape of select, and what is left to do in Python.

    `values` are (place in equals or ranges, encoder) in the order of the parameters; `equals`
    and `ranges` the conditions to check again; `order` whether rows are still to be sorted.
    `keys` selects the keys of the same rows, `counted` counts them.
    """

    sql: str
    keys: str
    counted: str
    equals_values: tuple[tuple[str, Callable[[Any], Any] | None], ...]
    range_values: tuple[tuple[int, Callable[[Any], Any] | None], ...]
    equals: tuple[str, ...]
    ranges: tuple[int, ...]
    order: bool
    limited: bool

    def parameters(
        self, equals: Mapping[str, Any], ranges: Sequence[Range], limit: int | None
    ) -> list[Any]:
        """The values of the statement's parameters."""
        found = [
            equals[column] if encode is None else encode(equals[column])
            for column, encode in self.equals_values
        ]
        for place, encode in self.range_values:
            value = ranges[place].value
            found.append(value if encode is None else encode(value))
        if self.limited:
            found.append(limit)
        return found


@dataclass(slots=True, eq=False)
class TableSQL:
    """A table with its statements and with the ways from row to columns and back."""

    table: Table
    names: tuple[str, ...]
    key_place: int
    types: dict[str, ColumnType]
    unique: tuple[str, ...]
    get: str
    get_many: str
    upsert: str
    delete: str
    pack: Pack
    unpack: Unpack
    selects: dict[Shape, Select]
    adjusts: dict[tuple[str, ...], tuple[str, Callable[[Any], tuple[Any, ...]]]]

    def encode(self, row: Row) -> tuple[Any, ...]:
        """A row's columns; what the row does not have is none."""
        try:
            return self.pack(row)
        except KeyError:
            return self.pack({name: row.get(name) for name in self.names})

    def encode_all(self, rows: Sequence[Row]) -> list[tuple[Any, ...]]:
        """The columns of some rows."""
        try:
            return list(map(self.pack, rows))
        except KeyError:
            return list(map(self.encode, rows))

    def decode(self, columns: Sequence[Any]) -> Row:
        """A fresh row of its columns."""
        try:
            return self.unpack(columns)
        except UNREADABLE:
            raise self._unreadable(columns) from None

    def _unreadable(self, columns: Sequence[Any]) -> StoreError:
        """Which column can't be read."""
        column, value = self.table.columns[0], columns[0]
        for column, value in zip(self.table.columns, columns, strict=True):
            decode = SQLITE[column.type].decode
            try:
                if decode is not None and value is not None:
                    decode(value)
            except UNREADABLE:
                break
        return unreadable(self.table.name, columns[self.key_place], column, value)

    def adjust(self, columns: tuple[str, ...]) -> tuple[str, Callable[[Any], tuple[Any, ...]]]:
        """The statement that sets these columns of a row, and what makes its parameters of their
        values and the key."""
        found = self.adjusts.get(columns)
        if found is None:
            key = self.table.key
            encoders = [SQLITE[self.types[name]].encode for name in (*columns, key)]
            sets = ", ".join(f"{quoted(name)} = ?" for name in columns)
            text = f"UPDATE {quoted(self.table.name)} SET {sets} WHERE {quoted(key)} = ?"
            found = self.adjusts[columns] = text, packer(range(len(encoders)), encoders)
        return found

    def select(self, shape: Shape) -> Select:
        """The statement for a shape of select."""
        found = self.selects.get(shape)
        if found is None:
            found = self.selects[shape] = _select(self, shape)
        return found


def table_sql(table: Table) -> TableSQL:
    """The statements of a table."""
    names = tuple(column.name for column in table.columns)
    name, key = quoted(table.name), quoted(table.key)
    columns = ", ".join(map(quoted, names))
    codecs = [SQLITE[column.type] for column in table.columns]
    return TableSQL(
        table,
        names,
        names.index(table.key),
        {column.name: column.type for column in table.columns},
        tuple(c.name for c in table.columns if c.unique and c.name != table.key),
        get=f"SELECT {columns} FROM {name} WHERE {key} = ?",
        get_many=f"SELECT {columns} FROM {name} WHERE {key} IN",
        # A unique value moves from row to row within one write: what is left in the way there
        # is replaced too. That no other row has it was checked before.
        upsert=f"INSERT OR REPLACE INTO {name} ({columns}) VALUES ({', '.join('?' * len(names))})",
        delete=f"DELETE FROM {name} WHERE {key} = ?",
        pack=packer(names, [codec.encode for codec in codecs]),
        unpack=unpacker(names, [codec.decode for codec in codecs]),
        selects={},
        adjusts={},
    )


def shape_of(
    equals: Mapping[str, Any],
    ranges: Sequence[Range],
    order: Sequence[tuple[str, bool]] = (),
    limited: bool = False,
) -> Shape:
    """What a statement is made for."""
    return Shape(
        tuple([(column, value is None) for column, value in equals.items()]),
        tuple([(bound.column, bound.op) for bound in ranges]),
        tuple(order),
        limited,
    )


def tally_sql(
    sql: TableSQL, columns: Sequence[str]
) -> tuple[str, Callable[[Sequence[Any]], tuple[Any, ...]]]:
    """The statement that counts rows by columns, and what reads its values."""
    texts: list[str] = []
    decoders: list[Callable[[Any], Any] | None] = []
    for name in columns:
        column, _, path = name.partition(".")
        texts.append(f"{quoted(column)} ->> '$.{path}'" if path else quoted(column))
        decoders.append(None if path else SQLITE[sql.types[column]].decode)

    def decode(values: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(
            value if read is None or value is None else read(value)
            for read, value in zip(decoders, values, strict=True)
        )

    places = ", ".join(str(place) for place in range(1, len(columns) + 1))
    table = quoted(sql.table.name)
    return f"SELECT {', '.join(texts)}, count(*) FROM {table} GROUP BY {places}", decode


def _select(sql: TableSQL, shape: Shape) -> Select:
    where: list[str] = []
    equals_values, range_values = [], []
    equals_left: list[str] = []
    ranges_left: list[int] = []
    for column, is_none in shape.equals:
        codec = SQLITE[sql.types[column]]
        expression = codec.compare.format(quoted(column))
        if is_none:
            where.append(f"{expression} IS NULL")
        elif codec.equal:
            where.append(f"{expression} = ?")
            equals_values.append((column, codec.bound))
        else:
            where.append(f"{expression} IS NOT NULL")
            equals_left.append(column)
    for place, (column, op) in enumerate(shape.ranges):
        codec = SQLITE[sql.types[column]]
        expression = codec.compare.format(quoted(column))
        if op in codec.ranges:
            condition, encode = codec.ranges[op]
            where.append(condition.format(expression, expression))
            range_values.append((place, encode))
        if op not in codec.ranges or not codec.exact:
            ranges_left.append(place)
    order, sort = _order(sql, shape)
    whole = not (equals_left or ranges_left or sort)
    limited = shape.limited and whole
    source = f" FROM {quoted(sql.table.name)}"
    if where:
        source += f" WHERE {' AND '.join(where)}"
    text = f"{source} ORDER BY {order}{' LIMIT ?' if limited else ''}"
    return Select(
        f"SELECT {', '.join(map(quoted, sql.names))}{text}",
        f"SELECT {quoted(sql.table.key)}{text}",
        f"SELECT count(*){source}",
        tuple(equals_values),
        tuple(range_values),
        tuple(equals_left),
        tuple(ranges_left),
        sort,
        limited,
    )


def _order(sql: TableSQL, shape: Shape) -> tuple[str, bool]:
    """What SQL orders by, and whether that leaves the sorting to Python."""
    key = quoted(sql.table.key)
    # The plus keeps SQLite from reading the whole table in order of key, to save sorting the few
    # rows that an index finds.
    by_key = f"+{key}" if _has_ranged_index(sql.table, shape) else key
    # Without `NULLS LAST` an index serves, and a bound column has no nulls.
    bound = {column for column, _ in shape.ranges}
    parts = []
    for column, descending in shape.order:
        codec = SQLITE[sql.types[column]]
        if not (codec.ranges and codec.exact):
            return by_key, True
        nulls = "" if descending or column in bound or column == sql.table.key else " NULLS LAST"
        direction = " DESC" if descending else ""
        parts.append(f"{codec.compare.format(quoted(column))}{direction}{nulls}")
    return ", ".join([*parts, key]) if parts else by_key, False


def _has_ranged_index(table: Table, shape: Shape) -> bool:
    """Whether an index leads to the rows within the bounds."""
    same = {column for column, _ in shape.equals}
    bound = {column for column, _ in shape.ranges}
    for columns in table.indexes:
        for column in columns:
            if column in bound:
                return True
            if column not in same:
                break
    return False
