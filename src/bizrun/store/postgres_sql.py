"""SQL as PostgreSQL speaks it: each type's column, and the statements that are its own.

Values go and come as text, which both sides read exactly: a numeric keeps every digit, and holds
`Infinity` for unlimited.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from hashlib import sha256

from ..values import UNLIMITED, Duration, Money, Number, Percent, number_text
from .base import Column, ColumnType, Table
from .codecs import (
    Codec,
    decode_duration,
    decode_json,
    decode_money,
    decode_number,
    decode_time,
    encode_money,
    encode_time,
)
from .database import Database
from .linking import CHAIN, adding, moving, tell_head
from .schema import json_text
from .sql import Dialect

FORMAT = 2

# An identifier has at most so many bytes; PostgreSQL cuts off the rest without a word.
_LONGEST = 63


def shortened(name: str) -> str:
    """A name as PostgreSQL keeps it: a long one ends in a digest of itself."""
    data = name.encode()
    if len(data) <= _LONGEST:
        return name
    return data[: _LONGEST - 9].decode(errors="ignore") + "~" + sha256(data).hexdigest()[:8]


def quoted(name: str) -> str:
    """A name of an author as an identifier."""
    return '"' + shortened(name).replace('"', '""') + '"'


def _encode_number(value: Number) -> str:
    if type(value) is not int and not value.is_finite():  # type: ignore[union-attr]
        return "Infinity" if value > 0 else "-Infinity"
    return number_text(value)


@lru_cache(maxsize=4096)
def _decode_number(text: str) -> Number:
    if text.endswith("Infinity"):
        return -UNLIMITED if text[0] == "-" else UNLIMITED
    found = decode_number(text)
    return int(found) if found == int(found) else found


def _encode_percent(value: Percent) -> str:
    return number_text(value.rate)


@lru_cache(maxsize=1024)
def _decode_percent(text: str) -> Percent:
    return Percent(Decimal(text))


def _encode_money(value: Money) -> str:
    """`(29.00,USD)`: a row of an amount and a currency, which have nothing to be quoted."""
    amount, _, currency = encode_money(value).partition(" ")
    return f"({amount},{currency})"


def _decode_time(text: str) -> datetime:
    """`2026-01-31 09:00:00+00`, as a session in UTC writes it."""
    return decode_time(f"{text.removesuffix('+00')}Z")


@lru_cache(maxsize=4096)
def _decode_money(text: str) -> Money:
    amount, _, currency = text[1:-1].partition(",")
    return decode_money(f"{amount} {currency}")


def _encode_bool(value: bool) -> str:
    return "true" if value else "false"


def _decode_bool(text: str) -> bool:
    return {"t": True, "f": False, "true": True, "false": False}[text]


_OPERATORS = ("<", "<=", ">", ">=")
_SAME = {op: (f"{{}} {op} ?", None) for op in _OPERATORS}
_NUMERIC = {op: (f"{{}} {op} ?", _encode_number) for op in _OPERATORS}
_TIME = {op: (f"{{}} {op} ?", encode_time) for op in _OPERATORS}
_DATE = {op: (f"{{}} {op} ?", date.isoformat) for op in _OPERATORS}
_BOOL = {op: (f"{{}} {op} ?", _encode_bool) for op in _OPERATORS}
_SERIAL = {op: (f"{{}} {op} ?", str) for op in _OPERATORS}

_NUMBER = Codec("numeric", _encode_number, _decode_number, bound=_encode_number, ranges=_NUMERIC)

# "C" orders by code points, as Python does. A duration is none of PostgreSQL's own, which hold
# fewer days; `::interval` reads most. JSON is kept as it is written, so not as jsonb.
_CODECS: dict[ColumnType, Codec] = {
    "text": Codec('text COLLATE "C"', ranges=_SAME),
    "number": _NUMBER,
    "integer": _NUMBER,
    "size": _NUMBER,
    "bool": Codec("boolean", _encode_bool, _decode_bool, bound=_encode_bool, ranges=_BOOL),
    "money": Codec("_money", _encode_money, _decode_money, equal=False, mark="?::_money"),
    "percent": Codec("numeric", _encode_percent, _decode_percent, bound=_encode_percent),
    "duration": Codec('text COLLATE "C"', Duration.iso, decode_duration, equal=False),
    "time": Codec("timestamptz", encode_time, _decode_time, bound=encode_time, ranges=_TIME),
    "date": Codec("date", date.isoformat, date.fromisoformat, bound=date.isoformat, ranges=_DATE),
    "json": Codec("json", json_text, decode_json, equal=False),
    "serial": Codec("bigint", str, int, bound=str, ranges=_SERIAL),
}


def _primary(table: Table) -> str:
    # Named, since a table of the author's could have the name that PostgreSQL would choose.
    return f"CONSTRAINT {quoted(f'{table.name} key')} PRIMARY KEY"


def _upsert(table: Table) -> str:
    names = [quoted(column.name) for column in table.columns]
    key = quoted(table.key)
    sets = ", ".join(f"{name} = excluded.{name}" for name in names if name != key)
    return (
        f"INSERT INTO {quoted(table.name)} ({', '.join(names)}) "
        f"VALUES ({', '.join('?' * len(names))}) "
        f"ON CONFLICT ({key}) DO {f'UPDATE SET {sets}' if sets else 'NOTHING'}"
    )


def _unique(name: str, table: Table, column: Column) -> str:
    # Looked at by the commit: a unique value moves from row to row within one write.
    return (
        f"ALTER TABLE {quoted(table.name)} ADD CONSTRAINT {quoted(name)} "
        f"UNIQUE ({quoted(column.name)}) DEFERRABLE INITIALLY DEFERRED"
    )


def _drop_index(table: str, name: str) -> str:
    index = quoted(name)
    constraint = f"ALTER TABLE {quoted(table)} DROP CONSTRAINT IF EXISTS {index}"
    return f"{constraint}; DROP INDEX IF EXISTS {index}"


def _nulls(descending: bool, bound: bool) -> str:
    # Nothing is above everything here, so it comes first where the order is turned around.
    return " NULLS LAST" if descending and not bound else ""


def _path(column: str, names: Sequence[str]) -> str:
    *outer, last = ["'" + name.replace("'", "''") + "'" for name in names]
    return "".join([column, *(f" -> {name}" for name in outer), f" ->> {last}"])


POSTGRES = Dialect(
    codecs=_CODECS,
    stored=shortened,
    quoted=quoted,
    primary=_primary,
    table_end=lambda _table: "",
    upsert=_upsert,
    unique=_unique,
    drop_index=_drop_index,
    unindexed="{}",
    nulls=_nulls,
    path=_path,
    groups="{}::text",
    indexes="""SELECT c.relname FROM pg_catalog.pg_index AS i
      JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
      JOIN pg_catalog.pg_class AS t ON t.oid = i.indrelid
      WHERE t.relname = ? AND NOT i.indisprimary AND pg_catalog.pg_table_is_visible(t.oid)""",
    kept="{}::text",
)

# --- what every state has --------------------------------------------------------------------

_LOG_COLUMNS = "seq, source, id, type, time, raw, status, reason, cause, fired"

TABLES = (
    "CREATE TYPE _money AS (amount numeric, currency text)",
    """CREATE TABLE _meta (name text COLLATE "C" PRIMARY KEY, value text NOT NULL)""",
    """CREATE TABLE _dropped (
      "table" text COLLATE "C", "column" text COLLATE "C", "key" text COLLATE "C",
      "type" text NOT NULL, "value" text NOT NULL, PRIMARY KEY ("table", "column", "key"))""",
    """CREATE TABLE _log (
      seq bigint PRIMARY KEY, source text, id text, type text, time text, raw text, status text,
      reason text, cause bigint, fired text, digest text, head text)""",
    """CREATE TABLE _log_id (
      source text COLLATE "C" NOT NULL, id text COLLATE "C" NOT NULL, seq bigint NOT NULL,
      status text NOT NULL, PRIMARY KEY (source, id))""",
    """CREATE TABLE _log_plain (
      seq bigint PRIMARY KEY, count bigint NOT NULL, low text COLLATE "C" NOT NULL,
      high text COLLATE "C" NOT NULL UNIQUE, text text NOT NULL, fired text, digest text,
      head text)""",
    # No id twice: ranges don't overlap, with each other or with what is known by itself.
    """CREATE FUNCTION _log_plain_unique() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF EXISTS (SELECT 1 FROM (SELECT low FROM _log_plain WHERE high >= NEW.low
                                  ORDER BY high LIMIT 1) AS next WHERE low <= NEW.high)
          OR EXISTS (SELECT 1 FROM _log_id WHERE source = '' AND id BETWEEN NEW.low AND NEW.high)
        THEN RAISE unique_violation USING MESSAGE = 'an event is in the log twice'; END IF;
        RETURN NEW; END $$""",
    """CREATE TRIGGER _log_plain_unique BEFORE INSERT ON _log_plain
      FOR EACH ROW EXECUTE FUNCTION _log_plain_unique()""",
    f"""CREATE VIEW _event AS SELECT {_LOG_COLUMNS} FROM _log
      UNION ALL
      SELECT p.seq + e.place - 1, '', e.raw::json ->> 'id', e.raw::json ->> 'type',
        e.raw::json ->> 'time', e.raw, 'handled', NULL, NULL,
        coalesce(p.fired::json ->> (e.place - 1)::int, '')
      FROM _log_plain AS p,
        string_to_table(rtrim(p.text, chr(10)), chr(10)) WITH ORDINALITY AS e(raw, place)""",
    f"CREATE {CHAIN}",
)


def upgrade(db: Database) -> None:
    """Brings a state of the first format to this one, within the caller's transaction."""
    if db.execute("SELECT value FROM _meta WHERE name = 'format'").get != "1":
        return
    linked = ("_log", "_log_plain")
    for statement in (*adding(linked), *moving(linked), f"CREATE {CHAIN}"):
        db.execute(statement)
    tell_head(db, lambda at: encode_time(_decode_time(at)))
    db.execute("UPDATE _meta SET value = ? WHERE name = 'format'", (str(FORMAT),))


# Of which there may be some: what signs in, beside the state's own.
OWN = ("_log", "_log_id", "_log_plain", "_dropped", "_meta", "_token", "_session")
