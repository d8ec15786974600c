"""From the second format to the third: links of the log's chain stand with their entries.

Each commit ends with its link: the digest of the chain so far, and the commit's head. Both had rows
of their own, a page each of every small commit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from msgspec.structs import replace

from .database import Database
from .schema import table_from_json, table_to_json

# Where each link stands, for any SQL tool.
CHAIN = """VIEW _chain AS
  SELECT seq AS last_seq, digest FROM _log WHERE digest IS NOT NULL
  UNION ALL SELECT seq + count - 1, digest FROM _log_plain WHERE digest IS NOT NULL"""
_LAST = {"_log": "seq", "_log_plain": "seq + count - 1"}
_TOLD = ("at", "order")


def adding(tables: Iterable[str]) -> Iterator[str]:
    """Statements that give tables of the log the columns of a link."""
    for table in tables:
        yield f"ALTER TABLE {table} ADD COLUMN digest TEXT"
        yield f"ALTER TABLE {table} ADD COLUMN head TEXT"


def moving(tables: Iterable[str]) -> Iterator[str]:
    """Statements that put the links with their entries, and drop their table."""
    for table in tables:
        last = _LAST[table]
        yield (
            f"UPDATE {table} SET digest = (SELECT digest FROM _chain WHERE last_seq = {last}) "
            f"WHERE {last} IN (SELECT last_seq FROM _chain)"
        )
    yield "DROP TABLE _chain"


def tell_head(db: Database, text_of: Callable[[Any], str]) -> None:
    """Makes the newest head of what the row `_clock` says, which then is one of `_spec`; `text_of`
    gives an instant as a head has it."""
    declared = "SELECT value FROM _meta WHERE name = 'table:_clock'"
    table = db.execute(declared).get
    if table is None:
        return
    row = db.execute('SELECT "at", "order" FROM _clock').fetchone()
    if row is not None:
        seq = db.execute("SELECT max(last_seq) FROM _chain").get or 0
        at, order = row
        head = f"{seq} {'-' if at is None else text_of(at)} {order}"
        db.execute("INSERT INTO _meta VALUES ('head', ?)", (head,))
    for column in _TOLD:
        db.execute(f'ALTER TABLE _clock DROP COLUMN "{column}"')
    db.execute("ALTER TABLE _clock RENAME TO _spec")
    db.execute("UPDATE _spec SET id = 'spec'")
    old = table_from_json(table)
    left = tuple(column for column in old.columns if column.name not in _TOLD)
    db.execute("DELETE FROM _meta WHERE name = 'table:_clock'")
    told = table_to_json(replace(old, name="_spec", columns=left))
    db.execute("INSERT INTO _meta VALUES ('table:_spec', ?)", (told,))
