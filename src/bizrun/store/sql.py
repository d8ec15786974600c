"""What SQL stores share: the statements of a table, as its database's dialect has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from msgspec import Struct

from ..errors import StoreError
from .base import Column, ColumnType, Range, Row, Table
from .codecs import UNREADABLE, Codec, unreadable
from .packing import Pack, Unpack, packer, unpacker

Order = tuple[tuple[str, bool], ...]


class Dialect(Struct, frozen=True):
    """Where databases differ.

    `stored`: a name of an author as the database keeps it; `quoted`: as an identifier. `primary`:
    a key column's constraint, by table; `table_end`: what stands behind its columns, likewise.
    `upsert`: inserts or replaces a row. `unique`: makes the constraint of that name;
    `drop_index(table, name)`: drops an index or such a constraint; `indexes`: selects the names
    of both, by table. `unindexed`: an expression that no index serves. `nulls(descending, bound)`:
    what puts rows without a value last, where a column is not bound. `path`: the text in a JSON
    column under some names; `groups`: an expression to group by. `kept`: a value as `_dropped`
    has it.
    """

    codecs: Mapping[ColumnType, Codec]
    stored: Callable[[str], str]
    quoted: Callable[[str], str]
    primary: Callable[[Table], str]
    table_end: Callable[[Table], str]
    upsert: Callable[[Table], str]
    unique: Callable[[str, Table, Column], str]
    drop_index: Callable[[str, str], str]
    unindexed: str
    nulls: Callable[[bool, bool], str]
    path: Callable[[str, Sequence[str]], str]
    groups: str
    indexes: str
    kept: str

    def column(self, column: Column, table: Table) -> str:
        """A column's definition."""
        rest = f" {self.primary(table)}" if column.name == table.key else ""
        return f"{self.quoted(column.name)} {self.codecs[column.type].sql}{rest}"

    def create_table(self, table: Table) -> str:
        """The statement that makes a table."""
        columns = ", ".join(self.column(column, table) for column in table.columns)
        return f"CREATE TABLE {self.quoted(table.name)} ({columns}){self.table_end(table)}"

    def index_statements(self, table: Table) -> dict[str, str]:
        """The statements that make a table's indexes, by the indexes' names."""
        types = {column.name: column.type for column in table.columns}
        found: dict[str, str] = {}
        for column in table.columns:
            if column.unique and column.name != table.key:
                name = f"{table.name} {column.name} unique"
                found[self.stored(name)] = self.unique(name, table, column)
        usual = dict(table.usual)
        for columns in table.indexes:
            parts = []
            for column_name in columns:
                codec = self.codecs[types[column_name]]
                if not codec.equal:
                    break
                parts.append(codec.compare.format(self.quoted(column_name)))
            if not parts or columns == (table.key,):
                continue
            name, rows = f"{table.name} ({', '.join(columns)})", ""
            if columns[0] in usual:
                name += f" but {usual[columns[0]]}"
                parts[0] = unusual(parts[0], usual[columns[0]])
                rows = f" WHERE {parts[0]} IS NOT NULL"
            target = f"{self.quoted(table.name)} ({', '.join(parts)}){rows}"
            found[self.stored(name)] = f"CREATE INDEX {self.quoted(name)} ON {target}"
        return found


def unusual(expression: str, usual: str) -> str:
    """The text of a column, none where it is the usual one: what an index of the others holds."""
    return f"nullif({expression}, '{usual}')"


class Shape(NamedTuple):
    """A select without its values: which columns, which of them none, which operators.

    `unusual` are the columns that are to equal something else than what most rows have there.
    """

    equals: tuple[tuple[str, bool], ...]
    ranges: tuple[tuple[str, str], ...]
    order: Order
    limited: bool
    unusual: tuple[str, ...] = ()


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


class TableSQL(Struct, eq=False):
    """A table with its statements and with the ways from row to columns and back.

    `leading` are the columns of text with which an index of all rows begins.
    """

    dialect: Dialect
    table: Table
    names: tuple[str, ...]
    width: int
    key_place: int
    types: dict[str, ColumnType]
    unique: tuple[str, ...]
    leading: tuple[str, ...]
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
            decode = self.dialect.codecs[column.type].decode
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
            key, quoted = self.table.key, self.dialect.quoted
            codecs = self.dialect.codecs
            encoders = [codecs[self.types[name]].encode for name in (*columns, key)]
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


def table_sql(table: Table, dialect: Dialect) -> TableSQL:
    """The statements of a table."""
    quoted = dialect.quoted
    names = tuple(column.name for column in table.columns)
    name, key = quoted(table.name), quoted(table.key)
    columns = ", ".join(map(quoted, names))
    codecs = [dialect.codecs[column.type] for column in table.columns]
    return TableSQL(
        dialect,
        table,
        names,
        len(names),
        names.index(table.key),
        {column.name: column.type for column in table.columns},
        tuple(c.name for c in table.columns if c.unique and c.name != table.key),
        _leading(table),
        get=f"SELECT {columns} FROM {name} WHERE {key} = ?",
        get_many=f"SELECT {columns} FROM {name} WHERE {key} IN",
        upsert=dialect.upsert(table),
        delete=f"DELETE FROM {name} WHERE {key} = ?",
        pack=packer(names, [codec.encode for codec in codecs]),
        unpack=unpacker(names, [codec.decode for codec in codecs]),
        selects={},
        adjusts={},
    )


def _leading(table: Table) -> tuple[str, ...]:
    texts = {column.name for column in table.columns if column.type == "text"}
    usual = dict(table.usual)
    firsts = dict.fromkeys(columns[0] for columns in table.indexes)
    return tuple(name for name in firsts if name in texts and name not in usual)


def shape_of(
    equals: Mapping[str, Any],
    ranges: Sequence[Range],
    order: Sequence[tuple[str, bool]] = (),
    limited: bool = False,
    usual: Sequence[tuple[str, str]] = (),
) -> Shape:
    """What a statement is made for."""
    return Shape(
        tuple([(column, value is None) for column, value in equals.items()]),
        tuple([(bound.column, bound.op) for bound in ranges]),
        tuple(order),
        limited,
        tuple([column for column, value in usual if equals.get(column, value) != value]),
    )


def tally_sql(
    sql: TableSQL, columns: Sequence[str]
) -> tuple[str, Callable[[Sequence[Any]], tuple[Any, ...]]]:
    """The statement that counts rows by columns, and what reads its values."""
    dialect = sql.dialect
    texts: list[str] = []
    decoders: list[Callable[[Any], Any] | None] = []
    for name in columns:
        column, *path = name.split(".")
        held = dialect.quoted(column)
        texts.append(dialect.path(held, path) if path else dialect.groups.format(held))
        decoders.append(None if path else dialect.codecs[sql.types[column]].decode)

    def decode(values: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(
            value if read is None or value is None else read(value)
            for read, value in zip(decoders, values, strict=True)
        )

    places = ", ".join(str(place) for place in range(1, len(columns) + 1))
    table = dialect.quoted(sql.table.name)
    return f"SELECT {', '.join(texts)}, count(*) FROM {table} GROUP BY {places}", decode


def _select(sql: TableSQL, shape: Shape) -> Select:
    codecs, quoted = sql.dialect.codecs, sql.dialect.quoted
    where: list[str] = []
    equals_values, range_values = [], []
    equals_left: list[str] = []
    ranges_left: list[int] = []
    for column, is_none in shape.equals:
        codec = codecs[sql.types[column]]
        expression = codec.compare.format(quoted(column))
        if is_none:
            where.append(f"{expression} IS NULL")
        elif codec.equal:
            if column in shape.unusual:
                expression = unusual(expression, dict(sql.table.usual)[column])
            where.append(f"{expression} = ?")
            equals_values.append((column, codec.bound))
        else:
            where.append(f"{expression} IS NOT NULL")
            equals_left.append(column)
    for place, (column, op) in enumerate(shape.ranges):
        codec = codecs[sql.types[column]]
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
    dialect = sql.dialect
    key = dialect.quoted(sql.table.key)
    by_key = dialect.unindexed.format(key) if _has_ranged_index(sql.table, shape) else key
    bound = {column for column, _ in shape.ranges}
    parts = []
    for column, descending in shape.order:
        codec = dialect.codecs[sql.types[column]]
        if not (codec.ranges and codec.exact):
            return by_key, True
        nulls = dialect.nulls(descending, column in bound or column == sql.table.key)
        direction = " DESC" if descending else ""
        parts.append(f"{codec.compare.format(dialect.quoted(column))}{direction}{nulls}")
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
