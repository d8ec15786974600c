"""The largest keys of tables, by how they begin: a larger key is not there.

Ids mostly grow, so most of those that are asked for in vain need no look into the file.
"""

from __future__ import annotations

from collections.abc import Iterable

import apsw

from .sql import TableSQL, quoted

_PREFIX = 4
_MOST = 10_000


class Tops:
    """What is known of the keys in one file. It may name a key that has been deleted."""

    def __init__(self) -> None:
        self._tops: dict[tuple[str, str], str] = {}

    def clear(self) -> None:
        """Forgets all: the file has changed by other ways than `grow`."""
        self._tops.clear()

    def lack(self, db: apsw.Connection, sql: TableSQL, key: str) -> bool:
        """Whether a key is surely not in the table."""
        prefix = key[:_PREFIX]
        if not prefix or not prefix.isascii():
            return False
        place = (sql.table.name, prefix)
        top = self._tops.get(place)
        if top is None:
            if len(self._tops) >= _MOST:
                self._tops.clear()
            column = quoted(sql.table.key)
            text = f"SELECT max({column}) FROM {quoted(sql.table.name)} WHERE {column} >= ? AND "
            bounds = (prefix, prefix[:-1] + chr(ord(prefix[-1]) + 1))
            top = db.execute(f"{text}{column} < ?", bounds).get or ""
            self._tops[place] = top
        return key > top

    def grow(self, table: str, keys: Iterable[str]) -> None:
        """Notes keys that are written."""
        tops = self._tops
        for key in keys:
            place = (table, key[:_PREFIX])
            if key > tops.get(place, key):
                tops[place] = key
