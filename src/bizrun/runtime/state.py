"""The state as a batch of events sees it: what the store has, and what has changed since.

Changes go into a journal first, so that a handler that fails leaves nothing behind. They reach
the store's open transaction when a query needs them there, and the disk with `commit`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ..ir.program import Entity
from ..store.base import Plain, Range, Row, Store
from .tables import BY_AGE, MADE

FLUSH_AT = 4_000
REMEMBERED = 20_000
SUBSCRIPTION = "Subscription"
# What is told of a changed row: its key, the row that was and the one that is, where there is one.
Follower = Callable[[str, "Row | None", "Row | None"], None]
_UNREAD: Any = object()  # in the journal: what the store has, whatever that is


def _by_age(row: Row) -> tuple[Any, ...]:
    return row["created_at"], row[MADE] or 0, row["id"]  # none: made before this was counted


class Savepoint(NamedTuple):
    """How far an engine was when a step began: the journal of changes, the log, its numbers."""

    mark: int
    entries: int
    order: int
    seq: int


class State:
    """Rows by table and key over a store. Rows are never changed in place."""

    __slots__ = (
        "_dirty_rows", "_followers", "dirty", "entries", "forgotten", "journal", "remembered",
        "store",
    )  # fmt: skip

    def __init__(self, store: Store) -> None:
        self.store = store
        self.dirty: defaultdict[str, dict[str, Row | None]] = defaultdict(dict)
        self.journal: list[tuple[str, str, Row | None]] = []
        self.entries: list[tuple[Any, ...] | Plain] = []
        self._dirty_rows = 0
        self.remembered: dict[str, list[Row]] = {}
        # Customers whose subscriptions have changed, for who has worked something out from them.
        self.forgotten: dict[str, None] = {}
        self._followers: dict[str, list[Follower]] = {SUBSCRIPTION: [self._follow]}

    def follow(self, table: str, follower: Follower) -> None:
        """Has a follower told of every row of a table that changes, or changes back."""
        self._followers.setdefault(table, []).append(follower)

    def get(self, table: str, key: str) -> Row | None:
        """The row with that key."""
        rows = self.dirty.get(table)
        if rows is not None and key in rows:
            return rows[key]
        return self.store.get(table, key)

    def find(self, entity: Entity, key: str) -> str | None:
        """The key of the row with that key or that unique value: an invoice by its number."""
        if self.get(entity.name, key) is not None:
            return key
        for name in entity.uniques:
            for row in self.select(entity.name, {name: key}, limit=1):
                return str(row[entity.key])
        return None

    def put(self, table: str, key: str, row: Row | None) -> None:
        """Replaces a row, or removes it; what was there need not be read."""
        if table in self._followers:
            self.replace(table, key, self.get(table, key), row)
            return
        rows = self.dirty[table]
        self.journal.append((table, key, rows.get(key, _UNREAD)))
        rows[key] = row

    def replace(self, table: str, key: str, old: Row | None, row: Row | None) -> None:
        """The same where the old row is at hand."""
        self.journal.append((table, key, old))
        for told in self._followers.get(table, ()):
            told(key, old, row)
        self.dirty[table][key] = row

    def keep(self, table: str, key: str, row: Row) -> None:
        """Replaces a row beyond undoing: by what events that are handled already have counted."""
        self.dirty[table][key] = row
        self._dirty_rows += 1

    def adjust(self, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
        """Sets these columns of rows, each given as its values and its key, beyond undoing, as
        `keep` does."""
        if self.dirty.get(table):
            self._hand_over(table)
        self.store.adjust(table, columns, rows)

    def mark(self) -> int:
        """Where the journal stands: what comes behind it can be undone."""
        return len(self.journal)

    def undo(self, mark: int) -> None:
        """Takes back every change since a mark."""
        journal = self.journal
        while len(journal) > mark:
            table, key, old = journal.pop()
            if old is _UNREAD:
                del self.dirty[table][key]
                continue
            for told in self._followers.get(table, ()):
                told(key, self.get(table, key), old)
            self.dirty[table][key] = old

    def settle(self) -> None:
        """Ends a step: its changes can't be undone any more."""
        self._dirty_rows += len(self.journal)
        self.journal.clear()
        if self._dirty_rows > FLUSH_AT:
            self.flush()
        if len(self.entries) > FLUSH_AT:
            self.store.append(self.entries)
            self.entries = []

    def select(
        self,
        table: str,
        equals: Mapping[str, Any],
        ranges: Sequence[Range] = (),
        order: Sequence[tuple[str, bool]] = (),
        limit: int | None = None,
    ) -> Iterator[Row]:
        """Rows that match, changes of this batch included."""
        if self.dirty.get(table):
            self._hand_over(table)
        return self.store.select(table, equals, ranges, order, limit)

    def count(self, table: str, equals: Mapping[str, Any], ranges: Sequence[Range] = ()) -> int:
        """How many rows match, changes of this batch included."""
        if self.dirty.get(table):
            self._hand_over(table)
        return self.store.count(table, equals, ranges)

    def tally(self, table: str, *columns: str) -> Iterator[tuple[tuple[Any, ...], int]]:
        """The different values of some columns, and how many rows have them."""
        if self.dirty.get(table):
            self._hand_over(table)
        return self.store.tally(table, columns)

    def _hand_over(self, table: str) -> None:
        """Gives the store a table's changes, so that a query sees them."""
        for place, (changed, key, old) in enumerate(self.journal):
            if changed == table and old is _UNREAD:
                self.journal[place] = (table, key, self.store.get(table, key))
        self.store.write({table: self.dirty.pop(table)})

    def subscriptions(self, customer: str) -> list[Row]:
        """The subscriptions of a customer, oldest first; remembered."""
        found = self.remembered.get(customer)
        if found is None:
            found = list(self.select(SUBSCRIPTION, {"customer": customer}, (), BY_AGE))
            if len(self.remembered) > REMEMBERED:
                self.remembered.clear()
            self.remembered[customer] = found
        return found

    def _follow(self, key: str, old: Row | None, row: Row | None) -> None:
        """Keeps what is remembered of a customer's subscriptions as one of them changes."""
        sub = row if row is not None else old
        assert sub is not None
        customers = {sub["customer"]: None}
        if old is not None:
            customers[old["customer"]] = None
        for customer in customers:
            self.forgotten[customer] = None
            found = self.remembered.get(customer)
            if found is not None:
                kept = [each for each in found if each["id"] != key]
                if row is not None and row["customer"] == customer:
                    kept.append(row)
                    kept.sort(key=_by_age)
                self.remembered[customer] = kept

    def flush(self) -> None:
        """Hands all changes to the store's open transaction."""
        if self.dirty:
            self.store.write(self.dirty)
            self.dirty = defaultdict(dict)
        self._dirty_rows = 0

    def commit(self, head: str) -> None:
        """Makes all changes and log entries durable, with the head of this commit."""
        self.flush()
        if self.entries:
            self.store.append(self.entries)
            self.entries = []
        self.store.commit(head)
