"""Rows as they are in a file, as many as are worth keeping: what was used last."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .base import Row

Rows = Mapping[str, Row | None]

NO_ROWS: dict[str, Row | None] = {}


class Cache:
    """Two halves: where the younger is full, it becomes the older, and that is forgotten.

    None stands for a row that is not there. `asked` are the tables of which rows were asked for
    by their keys and read from the file.
    """

    __slots__ = ("_count", "_most", "asked", "old", "young")

    def __init__(self, most: int) -> None:
        self._most = most
        self.asked: set[str] = set()
        self.clear()

    def clear(self) -> None:
        """Forgets all."""
        self.young: dict[str, dict[str, Row | None]] = {}
        self.old: dict[str, dict[str, Row | None]] = {}
        self._count = 0

    def held(self, table: str, key: str) -> Row | None:
        """The row, where it is in either half."""
        return self.young.get(table, NO_ROWS).get(key) or self.old.get(table, NO_ROWS).get(key)

    def forget(self, table: str, keys: Iterable[str]) -> None:
        """Drops rows, which have changed."""
        for half in (self.young, self.old):
            rows = half.get(table)
            if rows:
                for key in keys:
                    rows.pop(key, None)

    def remember(self, table: str, rows: Rows) -> None:
        """Keeps rows as they are now."""
        if self._count >= self._most:
            self.old, self.young, self._count = self.young, {}, 0
        young = self.young.get(table)
        if young is None:
            young = self.young[table] = {}
        before = len(young)
        young.update(rows)
        self._count += len(young) - before

    def renew(self, table: str, rows: Rows) -> None:
        """Takes rows as they are written. Those of a table that nobody asks for by key (postings,
        lines of invoices) are kept only where an older version was."""
        if table in self.asked:
            self.remember(table, rows)
            return
        if table in self.young or table in self.old:
            for half in (self.young, self.old):
                held = half.get(table, {})
                held.update((key, rows[key]) for key in held.keys() & rows.keys())
