"""A store in memory: for tests, previews and `--state :memory:`; nothing of it lasts."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any

from ..errors import Refusal, StoreError
from .base import INTERNAL, Column, Known, LogEntry, Plain, Range, Row, Table
from .match import matching, ordered, value_at
from .plain import FEWEST, Runs, ends, entries_of, smallest
from .schema import (
    Change,
    check_choices,
    check_filled,
    check_fit,
    check_key,
    check_needed,
    check_tables,
    check_unique,
    convert,
    diff,
    moved,
    moves,
    sentences,
    taken,
)
from .sorted_index import SortedIndex

_SORTABLE = frozenset({"text", "number", "integer", "size", "time", "date", "percent", "bool"})


def _seq(item: tuple[Any, ...] | Plain) -> int:
    return item.first if isinstance(item, Plain) else int(item[0])


class _Index:
    """Rows by the values of some columns: by all of them hashed, by the last one sorted.

    Both halves are built when a select first needs them, and kept from then on. `missing` are
    the keys of rows without a last value, which the sorted half leaves out.
    """

    __slots__ = ("columns", "hashed", "missing", "prefix", "sorted")

    def __init__(self, columns: tuple[str, ...]) -> None:
        self.columns = columns
        self.prefix = columns[:-1]
        self.hashed: dict[Any, dict[str, None]] | None = None
        self.sorted: dict[Any, SortedIndex] | None = None
        self.missing: dict[Any, set[str]] = {}

    def live(self) -> bool:
        return self.hashed is not None or self.sorted is not None

    def build_hashed(self, rows: Mapping[str, Row]) -> dict[Any, dict[str, None]]:
        if self.hashed is None:
            self.hashed = {}
            for key, row in rows.items():
                self.hashed.setdefault(_values(row, self.columns), {})[key] = None
        return self.hashed

    def build_sorted(self, rows: Mapping[str, Row]) -> dict[Any, SortedIndex]:
        if self.sorted is None:
            groups: dict[Any, list[tuple[Any, str]]] = {}
            last = self.columns[-1]
            for key, row in rows.items():
                prefix = _values(row, self.prefix)
                if row[last] is None:
                    self.missing.setdefault(prefix, set()).add(key)
                else:
                    groups.setdefault(prefix, []).append((row[last], key))
            self.sorted = {prefix: SortedIndex(pairs) for prefix, pairs in groups.items()}
        return self.sorted

    def add(self, key: str, row: Row) -> None:
        if self.hashed is not None:
            self.hashed.setdefault(_values(row, self.columns), {})[key] = None
        if self.sorted is None:
            return
        prefix, value = _values(row, self.prefix), row[self.columns[-1]]
        if value is None:
            self.missing.setdefault(prefix, set()).add(key)
        elif prefix in self.sorted:
            self.sorted[prefix].add((value, key))
        else:
            self.sorted[prefix] = SortedIndex([(value, key)])

    def remove(self, key: str, row: Row) -> None:
        if self.hashed is not None:
            values = _values(row, self.columns)
            bucket = self.hashed[values]
            del bucket[key]
            if not bucket:
                del self.hashed[values]
        if self.sorted is None:
            return
        prefix, value = _values(row, self.prefix), row[self.columns[-1]]
        if value is None:
            self.missing[prefix].discard(key)
        else:
            self.sorted[prefix].remove((value, key))


def _values(row: Mapping[str, Any], columns: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple([row[column] for column in columns])


class _Rows:
    """A table's rows by key, with its unique values and indexes."""

    __slots__ = ("blank", "indexes", "keys", "rows", "table", "types", "unique", "width")

    def __init__(self, table: Table, rows: dict[str, Row]) -> None:
        self.table = table
        self.rows = rows
        self.keys: list[str] | None = None
        self.blank: Row = {column.name: None for column in table.columns}
        self.types = {column.name: column.type for column in table.columns}
        self.width = len(table.columns)
        self.unique: dict[str, dict[Any, str]] = {
            column.name: {
                row[column.name]: key for key, row in rows.items() if row[column.name] is not None
            }
            for column in table.columns
            if column.unique and column.name != table.key
        }
        self.indexes = [_Index(columns) for columns in table.indexes if "json" not in [
            self.types[column] for column in columns
        ]]  # fmt: skip

    def fit(self, row: Row) -> Row:
        """The row with exactly the table's columns."""
        return {column: row.get(column) for column in self.blank}

    def is_simple(self) -> bool:
        """Whether nothing but the row itself has to be kept up to date."""
        return self.keys is None and not self.unique and not any(i.live() for i in self.indexes)

    def put(self, key: str, old: Row | None, row: Row | None) -> None:
        """Replaces one row by another and keeps whatever is looked up by."""
        if row is None:
            if old is None:
                return
            del self.rows[key]
            self.keys = None
        else:
            self.rows[key] = row
            if old is None and self.keys is not None:
                if not self.keys or key > self.keys[-1]:
                    self.keys.append(key)
                else:
                    self.keys = None
        for column, holders in self.unique.items():
            if old is not None and holders.get(old[column]) == key:
                del holders[old[column]]
            if row is not None and row[column] is not None:
                holders[row[column]] = key
        for index in self.indexes:
            if index.live():
                if old is not None:
                    index.remove(key, old)
                if row is not None:
                    index.add(key, row)

    def check(self, rows: Mapping[str, Row | None]) -> None:
        """Refuses rows that would share a unique value with each other or with one that stays."""
        for column, holders in self.unique.items():
            fresh: set[Any] = set()
            for key, row in rows.items():
                value = None if row is None else row.get(column)
                if value is None:
                    continue
                holder = holders.get(value)
                if value in fresh or (holder is not None and holder != key and holder not in rows):
                    raise Refusal(taken(self.table.name, column, value))
                fresh.add(value)

    def in_order(self) -> list[str]:
        """All keys in order."""
        if self.keys is None:
            self.keys = sorted(self.rows)
        return self.keys

    def candidates(self, equals: Mapping[str, Any], ranges: Sequence[Range]) -> list[str]:
        """Keys, in order, of a few rows among which are all that match."""
        if self.table.key in equals:
            key = equals[self.table.key]
            return [key] if key in self.rows else []
        for column, holders in self.unique.items():
            if equals.get(column) is not None:
                holder = holders.get(equals[column])
                return [] if holder is None else [holder]
        hashed = [i for i in self.indexes if all(column in equals for column in i.columns)]
        if hashed:
            index = max(hashed, key=lambda i: len(i.columns))
            return sorted(index.build_hashed(self.rows).get(_values(equals, index.columns), ()))
        for index in self._sortable(equals):
            bounds = [bound for bound in ranges if bound.column == index.columns[-1]]
            if bounds:
                group = index.build_sorted(self.rows).get(_values(equals, index.prefix))
                return [] if group is None else sorted(_between(group, bounds))
        return self.in_order()

    def sorted_candidates(
        self, equals: Mapping[str, Any], ranges: Sequence[Range], column: str
    ) -> Iterator[str] | None:
        """Keys in the order of a column, lazily; None where no index has them so."""
        for index in self._sortable(equals):
            if index.columns[-1] == column:
                prefix = _values(equals, index.prefix)
                group = index.build_sorted(self.rows).get(prefix, SortedIndex())
                bounds = [bound for bound in ranges if bound.column == column]
                rest = () if bounds else sorted(index.missing.get(prefix, ()))
                return chain(_between(group, bounds), rest)
        return None

    def _sortable(self, equals: Mapping[str, Any]) -> Iterator[_Index]:
        """The indexes whose last column can be sorted, with the others' values given."""
        for index in self.indexes:
            if self.types[index.columns[-1]] in _SORTABLE and all(
                column in equals for column in index.prefix
            ):
                yield index


def _between(group: SortedIndex, bounds: Sequence[Range]) -> Iterator[str]:
    low, low_in, high, high_in = None, True, None, True
    for _, op, value in bounds:
        if value is None:
            return iter(())
        if op in (">", ">="):
            if low is None or value > low or (value == low and op == ">"):
                low, low_in = value, op == ">="
        elif high is None or value < high or (value == high and op == "<"):
            high, high_in = value, op == "<="
    return group.keys(low, low_in, high, high_in)


class MemoryStore:
    """Tables in dicts. Rows are kept as they are handed in: nobody may change one afterwards."""

    lasting = False

    def __init__(self) -> None:
        self._tables: dict[str, _Rows] = {}
        self._undo: list[tuple[_Rows, str, Row | None]] = []
        self._log: list[tuple[Any, ...] | Plain] = []
        self._runs = Runs()
        self._top = ""  # no single entry without a source has a larger id
        self._known: dict[tuple[str, str], tuple[Any, ...]] = {}
        self._reclaimed: list[tuple[tuple[str, str], tuple[Any, ...]]] = []
        self._committed = 0
        self._aside: dict[tuple[str, str], tuple[Column, dict[str, Any]]] = {}
        self._forgotten: list[tuple[dict[str, Any], str, Any]] = []
        self._head = ""
        self._closed = False

    def prepare(
        self, tables: Sequence[Table], defaults: Mapping[str, Mapping[str, Any]] = {},
        renames: Mapping[str, Mapping[str, str]] = {},
    ) -> list[str]:  # fmt: skip
        """Creates and migrates tables; see `Store.prepare`."""
        check_tables(tables)
        self.rollback()
        ready: list[tuple[_Rows, Change | None, list[str]]] = []
        for table in tables:
            old = self._tables.get(table.name)
            if old is None:
                ready.append((_Rows(table, {}), None, []))
            elif old.table != table:
                names = moves(old.table, table, renames.get(table.name, {}))
                said = [f"{table.name}.{now} was {was}" for was, now in names.items()]
                old = _renamed(old, names) if names else old
                check_key(old.table, table, len(old.rows))
                change = diff(old.table, table)
                rows = _Rows(table, _migrated(old, change))
                self._check_needed(rows, change, defaults.get(table.name, {}))
                ready.append((rows, change, said))
        told: list[str] = []
        for rows, made, said in ready:
            told += said
            if made is not None:
                told += sentences(made, *self._set_aside(rows, made))
                new = defaults.get(rows.table.name, {})
                for name in [c.name for c in made.added if c.name in new]:
                    for row in rows.rows.values():
                        row[name] = new[name] if row[name] is None else row[name]
            self._tables[rows.table.name] = rows
        return told

    def _check_needed(self, rows: _Rows, change: Change, defaults: Mapping[str, Any]) -> None:
        for column in change.added:
            if column.name in defaults and defaults[column.name] is None:
                held = self._aside.get((rows.table.name, column.name), (column, {}))[1]
                check_needed(rows.table.name, column, len(rows.rows.keys() - held.keys()))

    def _set_aside(self, rows: _Rows, change: Change) -> tuple[dict[str, int], dict[str, int]]:
        """Keeps what dropped columns hold and gives back what added ones once held."""
        name = rows.table.name
        old = self._tables[name].rows
        aside, back = {}, {}
        for column in change.dropped:
            held = {k: r[column.name] for k, r in old.items() if r[column.name] is not None}
            self._aside[name, column.name] = column, held
            aside[column.name] = len(held)
        for column in change.added:
            was, held = self._aside.get((name, column.name), (column, {}))
            fitting = {
                key: value
                for key, kept in held.items()
                if key in old and (value := convert(kept, was.type, column.type)) is not None
            }
            if column.unique and len(set(map(repr, fitting.values()))) < len(fitting):
                continue
            for key, value in fitting.items():
                rows.rows[key] = rows.rows[key] | {column.name: value}
                del held[key]
            back[column.name] = len(fitting)
        if back:
            rows.__init__(rows.table, rows.rows)  # type: ignore[misc]
        return aside, back

    def get(self, table: str, key: str) -> Row | None:
        """The row with that key; callers must not change it."""
        return self._tables[table].rows.get(key)

    def select(
        self,
        table: str,
        equals: Mapping[str, Any] = {},
        ranges: Sequence[Range] = (),
        order: Sequence[tuple[str, bool]] = (),
        limit: int | None = None,
    ) -> Iterator[Row]:
        """Rows that match; callers must not change them."""
        held = self._tables[table]
        if limit is not None and len(order) == 1 and not order[0][1]:
            keys = held.sorted_candidates(equals, ranges, order[0][0])
            if keys is not None:
                # Read at once, but no more than asked for: a million timers cost nothing.
                found = matching(map(held.rows.__getitem__, keys), equals, ranges)
                return iter(list(islice(found, limit)))
        # Rows are replaced, never changed: a list of them is a snapshot.
        rows = list(map(held.rows.__getitem__, held.candidates(equals, ranges)))
        return ordered(matching(rows, equals, ranges), order, limit)

    def preload(self, table: str, keys: Sequence[str]) -> None:
        """Nothing to do: everything is in memory."""

    def count(
        self, table: str, equals: Mapping[str, Any] = {}, ranges: Sequence[Range] = ()
    ) -> int:
        """How many rows match."""
        if not equals and not ranges:
            return len(self._tables[table].rows)
        return sum(1 for _ in self.select(table, equals, ranges))

    def tally(self, table: str, columns: Sequence[str]) -> Iterator[tuple[tuple[Any, ...], int]]:
        """The different values of some columns, and how many rows have them."""
        paths = [tuple(name.split(".")) for name in columns]
        rows = self._tables[table].rows.values()
        return iter(Counter(tuple(value_at(row, path) for path in paths) for row in rows).items())

    def write(self, changes: Mapping[str, Mapping[str, Row | None]]) -> None:
        """Inserts, replaces and deletes rows, and keeps them as they are."""
        for table, rows in changes.items():
            held = self._tables[table]
            if held.unique:
                held.check(rows)
        undo = self._undo
        for table, rows in changes.items():
            held = self._tables[table]
            current = held.rows
            width = held.width
            if self._aside:
                self._forget(table, rows)
            simple = held.is_simple()
            for key, row in rows.items():
                old = current.get(key)
                undo.append((held, key, old))
                if row is not None and len(row) != width:
                    row = held.fit(row)
                if simple and row is not None:
                    current[key] = row
                else:
                    held.put(key, old, row)

    def adjust(self, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
        """Sets these columns of rows, each given as its values and its key."""
        changed: dict[str, Row | None] = {}
        for *values, key in rows:
            held = self.get(table, key)
            assert held is not None, key
            changed[key] = {**held, **dict(zip(columns, values, strict=True))}
        self.write({table: changed})

    def _forget(self, table: str, rows: Mapping[str, Row | None]) -> None:
        """Drops what dropped columns hold of deleted rows: a later row is another one."""
        for (name, _), (_, values) in self._aside.items():
            if name == table:
                for key in [key for key, row in rows.items() if row is None and key in values]:
                    self._forgotten.append((values, key, values.pop(key)))

    def known(self, ids: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Known]:
        """Which of these (source, id) have been appended before."""
        found: dict[tuple[str, str], Known] = {}
        for pair in ids:
            entry = self._known.get(pair)
            if entry is not None:
                found[pair] = Known(entry[0], entry[6])
            elif self._runs and not pair[0] and (known := self._runs.find(pair[1])) is not None:
                found[pair] = known
        return found

    def unseen(self, ids: Sequence[str]) -> bool:
        """Whether these ids of no source are surely new; see `Store.unseen`."""
        least = smallest(ids)
        if least is None:
            return False
        top = max(self._top, self._runs.top())
        return least > top or not self.known([("", id) for id in ids])

    def append(self, entries: Iterable[tuple[Any, ...] | Plain], claim: bool = True) -> None:
        """Adds entries to the log and, with `claim`, to what is known."""
        for item in entries:
            if not isinstance(item, Plain):
                self._append_each(item, claim)
            elif not (claim and self._append_plain(item)):
                for entry in entries_of(item):
                    self._append_each(entry, claim)

    def _append_plain(self, plain: Plain) -> bool:
        """Adds a run of events as such, if it is long enough and its range of ids is free."""
        low, high = ends(plain.ids)
        if len(plain.ids) < FEWEST or low <= self._top or not self._runs.free(low, high):
            return False
        self._log.append(plain)
        self._runs.add(low, high, plain)
        return True

    def _append_each(self, entry: tuple[Any, ...], claim: bool) -> None:
        self._log.append(entry)
        if not claim or entry[1] == INTERNAL:
            return
        pair = (entry[1], entry[2])
        if self._runs and not pair[0] and self._runs.find(pair[1]) is not None:
            return
        held = self._known.setdefault(pair, entry)
        if held is not entry and held[6] == "rejected":
            self._reclaimed.append((pair, held))
            self._known[pair] = entry
        if not pair[0] and pair[1] > self._top:
            self._top = pair[1]

    def log(self, after: int = 0, status: str | None = None) -> Iterator[LogEntry]:
        """Entries with a seq above `after`, in order."""
        at = max(0, bisect_right(self._log, after, key=_seq) - 1)
        while at < len(self._log):
            item = self._log[at]
            some = entries_of(item) if isinstance(item, Plain) else [LogEntry._make(item)]
            for entry in some:
                if entry.seq > after and (status is None or entry.status == status):
                    yield entry
            at += 1

    def entry(self, seq: int) -> LogEntry | None:
        """One entry."""
        at = bisect_right(self._log, seq, key=_seq) - 1
        if at < 0:
            return None
        item = self._log[at]
        if not isinstance(item, Plain):
            return LogEntry._make(item) if item[0] == seq else None
        place = seq - item.first
        return self._runs.entries(item)[place] if place < len(item.ids) else None

    def last_seq(self) -> int:
        """The seq of the newest entry, 0 where there is none."""
        if not self._log:
            return 0
        item = self._log[-1]
        return item.first + len(item.ids) - 1 if isinstance(item, Plain) else int(item[0])

    def redact(
        self, entries: Mapping[int, tuple[str, str | None]], rows: Sequence[tuple[str, str]] = ()
    ) -> dict[str, str]:
        """Replaces what log entries say; in memory there is no chain."""
        log: list[tuple[Any, ...] | Plain] = []
        for item in self._log:
            last = item.first + len(item.ids) if isinstance(item, Plain) else 0
            if isinstance(item, Plain) and any(seq in entries for seq in range(item.first, last)):
                raws = item.text.decode().split("\n")
                for seq in range(item.first, last):
                    raws[seq - item.first] = entries.get(seq, (raws[seq - item.first],))[0]
                text = "\n".join(raws).encode()
                log.append(Plain(item.first, item.ids, text, item.fired))
            elif not isinstance(item, Plain) and item[0] in entries:
                raw, why = entries[item[0]]
                log.append(LogEntry._make(item)._replace(raw=raw, reason=why))
            else:
                log.append(item)
        self._log[:] = log
        self._runs = Runs()
        for item in self._log:
            if isinstance(item, Plain):
                self._runs.add(*ends(item.ids), item)
        return {}

    def purge(self) -> None:
        """There is nothing behind what is there."""

    def head(self) -> str:
        """The head of the newest commit; see `Store.head`."""
        return self._head

    def commit(self, head: str | None = None) -> None:
        """Keeps everything since the last commit, as long as the process lives."""
        if self._closed:
            raise StoreError("the state is closed")
        if head is not None:
            self._head = head
        self._undo.clear()
        self._reclaimed.clear()
        self._forgotten.clear()
        self._committed = len(self._log)

    def rollback(self) -> None:
        """Drops everything since the last commit."""
        for rows, key, old in reversed(self._undo):
            rows.put(key, rows.rows.get(key), old)
        self._undo.clear()
        for values, key, value in self._forgotten:
            values[key] = value
        self._forgotten.clear()
        for pair, entry in reversed(self._reclaimed):
            self._known[pair] = entry
        self._reclaimed.clear()
        for entry in self._log[self._committed :]:
            if not isinstance(entry, Plain):
                pair = (entry[1], entry[2])
                if self._known.get(pair) is entry:
                    del self._known[pair]
        del self._log[self._committed :]
        self._runs.drop_after(self.last_seq())

    def verify(self) -> list[str]:
        """Nothing can be wrong with it: there is no file."""
        return []

    def close(self) -> None:
        """Drops everything."""
        self.__init__()  # type: ignore[misc]
        self._closed = True


def _renamed(old: _Rows, names: Mapping[str, str]) -> _Rows:
    """The same rows with columns under their new names."""
    rows = {
        key: {names.get(name, name): value for name, value in row.items()}
        for key, row in old.rows.items()
    }
    return _Rows(moved(old.table, names), rows)


def _migrated(old: _Rows, change: Change) -> dict[str, Row]:
    """The rows as the new declaration has them; StoreError where they don't fit."""
    table = change.table
    blank: Row = {column.name: None for column in table.columns}
    kept = [column for column in table.columns if column.name in old.blank]
    rows = {
        key: blank | {column.name: row[column.name] for column in kept}
        for key, row in old.rows.items()
    }
    for was, now in change.changed:
        values = ((key, row[was.name]) for key, row in old.rows.items())
        for key, value in check_fit(table.name, was, now, values):
            rows[key][now.name] = value
    for column in change.uniques:
        check_unique(table.name, column, ((key, row[column.name]) for key, row in rows.items()))
    for column in change.narrowed:
        check_choices(table.name, column, ((key, row[column.name]) for key, row in rows.items()))
    for column in change.needed:
        without = [key for key, row in rows.items() if row[column.name] is None]
        check_filled(table.name, column, sorted(without))
    return rows
