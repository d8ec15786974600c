"""The largest keys of tables, of all and by how they begin: a larger key is not there.

Ids mostly grow, so most of those that are asked for in vain need no look into the database.
"""

from __future__ import annotations

from collections.abc import Iterable

from .database import Database
from .sql import TableSQL

_PREFIX = 4
_MOST = 10_000


class Tops:
    """What is known of the keys in one state. It may name a key that has been deleted."""

    def __init__(self) -> None:
        self._tops: dict[str, dict[str, str]] = {}

    def clear(self) -> None:
        """Forgets all: the state has changed by other ways than `grow`."""
        self._tops.clear()

    def lack(self, table: str, key: str) -> bool:
        """Whether a key is surely not in the table, by what is known already."""
        tops = self._tops.get(table)
        if tops is None or not key.isascii():
            return False
        return key > tops[""] or key > tops.get(key[:_PREFIX], key)

    def look(self, db: Database, sql: TableSQL, key: str) -> bool:
        """The same where the table may have to be asked."""
        prefix = key[:_PREFIX]
        if not prefix or not key.isascii():
            return False
        quoted, name = sql.dialect.quoted, sql.table.name
        column = quoted(sql.table.key)
        largest = f"SELECT max({column}) FROM {quoted(name)}"
        tops = self._tops.get(name)
        if tops is None or len(tops) >= _MOST:
            tops = self._tops[name] = {"": db.execute(largest).get or ""}
        if key > tops[""]:
            return True
        top = tops.get(prefix)
        if top is None:
            bounds = (prefix, prefix[:-1] + chr(ord(prefix[-1]) + 1))
            top = db.execute(f"{largest} WHERE {column} >= ? AND {column} < ?", bounds).get or ""
            tops[prefix] = top
        return key > top

    def grow(self, table: str, keys: Iterable[str]) -> None:
        """Notes keys that are written."""
        tops = self._tops.get(table)
        if tops is None:
            return
        largest = tops[""]
        for key in keys:
            if key > largest:
                largest = key
            prefix = key[:_PREFIX]
            if key > tops.get(prefix, key):
                tops[prefix] = key
        tops[""] = largest
