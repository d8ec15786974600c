"""What SQL stores share: rows that wait for the commit, a cache, unique values, selects, log."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, ClassVar

from ..errors import StoreError
from .base import Known, LogEntry, Plain, Range, Row, Table
from .cache import NO_ROWS, Cache
from .cursor import Cursors, OpenCursor
from .database import Cursor, Database
from .event_log import EventLog, select_in, storable
from .guard import guarded as _guarded
from .match import matching, ordered
from .migrate import migrate, rename
from .schema import check_tables, moves, table_from_json
from .sql import Dialect, TableSQL, shape_of, table_sql, tally_sql
from .tops import Tops
from .uniques import Uniques

_PENDING_ROWS = 10_000
_FIRST_ROWS = 512

# Fewer rows tell nothing about whether a table's rows are mostly in the cache.
_TELLING = 8


def completed(rows: Mapping[str, Row | None], names: Sequence[str]) -> dict[str, Row | None]:
    """Rows with all their columns."""
    return {key: row and {name: row.get(name) for name in names} for key, row in rows.items()}


class SqlStore(ABC):
    """A state in a database. Rows are shared with a cache: nobody may change one.

    A store says by what class its driver's `errors` are, what such a failure is called
    (`_failure`), what `format` of states it writes, how a transaction begins and ends, and how
    connections come and go (`_leave`).
    """

    lasting = True
    errors: ClassVar[type[Exception] | tuple[type[Exception], ...]]
    dialect: ClassVar[Dialect]
    format: ClassVar[int]
    _begins: ClassVar[str]

    _db: Database | None
    _log: EventLog
    _lost: str | None
    _commits: int

    def __init__(self, name: str, cache_rows: int) -> None:
        self.name = name
        self._db = None
        self._lost = None
        self._commits = 0
        self._failed: StoreError | None = None
        self._tables: dict[str, TableSQL] = {}
        # Those that have columns with unique values, beside their keys.
        self._unique: set[str] = set()
        self._pending: dict[str, dict[str, Row | None]] = {}
        self._pending_rows = 0
        self._uniques = Uniques()
        # Two halves instead of a list in order of use: the older half is dropped whole.
        self._cache = Cache(cache_rows)
        # Tables whose rows were all in the cache when they were selected last.
        self._at_hand: set[str] = set()
        self._tops = Tops()
        # By table and column: none of the rows there are, written or not, has a larger text.
        self._largest: dict[str, dict[str, str]] = {}
        self._cursors = Cursors()
        self._aside: set[str] = set()

    def _read(self, text: str, parameters: Sequence[Any]) -> Cursor:
        """The rows of a select, of which there may be many."""
        cursor: Cursor = self._connection().execute(text, parameters)
        return cursor

    def _load(self) -> None:
        """Learns what is stored: its format, its tables, what was set aside."""
        db = self._connection()
        meta = dict(db.execute("SELECT name, value FROM _meta"))
        try:
            self._load_meta(meta)
        except (KeyError, ValueError, TypeError):
            raise StoreError(
                f"{self.name} is damaged: its table _meta is not as bizrun wrote it; put a "
                "backup in its place, or start over with --fresh"
            ) from None
        self._aside = {row[0] for row in db.execute('SELECT DISTINCT "table" FROM _dropped')}

    def _load_meta(self, meta: dict[str, str]) -> None:
        if int(meta["format"]) > self.format:
            raise StoreError(
                f"{self.name} was written by a newer bizrun (format {meta['format']}, this "
                f"one reads up to {self.format}): update bizrun, or give --state another one"
            )
        self._commits = int(meta["commits"])
        for name, value in meta.items():
            if name.startswith("table:"):
                table = table_from_json(value)
                stored = self._tables.get(table.name)
                if stored is None or stored.table != table:
                    self._tables[table.name] = table_sql(table, self.dialect)
        self._unique = {name for name, sql in self._tables.items() if sql.unique}

    def _connection(self) -> Database:
        if self._db is None:
            raise self._gone()
        return self._db

    def _gone(self) -> StoreError:
        return self._failed or StoreError(f"{self.name} is closed")

    def _fail(self, error: Exception) -> StoreError:
        """Gives up: what is not committed is dropped, and nothing is done any more."""
        if self._failed is None:
            self._failed = self._failure(error)
        self.close()
        return self._failed

    @abstractmethod
    def _failure(self, error: Exception) -> StoreError:
        """What a failure of the database is called, and what to do about it."""

    # --- tables ------------------------------------------------------------------------------

    @_guarded
    def prepare(
        self, tables: Sequence[Table], defaults: Mapping[str, Mapping[str, Any]] = {},
        renames: Mapping[str, Mapping[str, str]] = {},
    ) -> list[str]:  # fmt: skip
        """Creates and migrates tables; see `Store.prepare`."""
        check_tables(tables)
        db = self._connection()
        self._rollback()
        changed = [t for t in tables if t.name not in self._tables or
                   self._tables[t.name].table != t]  # fmt: skip
        if not changed:
            return []
        self._begin()
        self._cursors.keep()
        try:
            told: list[str] = []
            for table in changed:
                stored = self._tables.get(table.name)
                new = defaults.get(table.name, {})
                before = None if stored is None else stored.table
                if before is not None and table.name in renames:
                    moved = moves(before, table, renames[table.name])
                    before = rename(db, self.dialect, before, moved)
                    told += [f"{table.name}.{now} was {was}" for was, now in moved.items()]
                told += migrate(db, self.dialect, before, table, new)
            self._commit_counted(self._log.head)
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            self._load()
            raise
        self._forget_all()
        self._load()
        return told

    def get(self, table: str, key: str) -> Row | None:
        """The row with that key; callers must not change it."""
        pending = self._pending.get(table)
        if pending is not None and key in pending:
            return pending[key]
        young = self._cache.young.get(table)
        if young is not None and key in young:
            return young[key]
        if self._tops.lack(table, key):
            return None
        return self._promote(table, key)

    @_guarded
    def _promote(self, table: str, key: str) -> Row | None:
        """A row from the older half of the cache, or from the database, now in the younger."""
        row = self._cache.old.get(table, NO_ROWS).get(key)
        if row is None:
            sql = self._tables[table]
            if self._tops.look(self._connection(), sql, key):
                return None
            if columns := self._connection().execute(sql.get, (key,)).fetchone():
                row = sql.decode(columns)
            self._cache.asked.add(table)
        self._cache.remember(table, {key: row})
        return row

    @_guarded
    def preload(self, table: str, keys: Sequence[str]) -> None:
        """Reads rows together that `get` will be asked for."""
        sql = self._tables[table]
        held = [rows.get(table, NO_ROWS) for rows in (self._pending, self._cache.young)]
        asked = [key for key in keys if not any(key in rows for rows in held)]
        if len(asked) > 1:
            found = select_in(self._connection(), sql.get_many, (), asked)
            self._cache.remember(table, {row[sql.key_place]: sql.decode(row) for row in found})

    def _forget_all(self) -> None:
        """Empties the cache, since the state has changed by other ways."""
        self._cache.clear()
        self._tops.clear()
        self._largest.clear()

    @_guarded
    def select(
        self,
        table: str,
        equals: Mapping[str, Any] = {},
        ranges: Sequence[Range] = (),
        order: Sequence[tuple[str, bool]] = (),
        limit: int | None = None,
    ) -> Iterator[Row]:
        """Rows that match; callers must not change them."""
        sql = self._tables[table]
        if self._lacks(sql, equals):
            return iter(())
        self._flush(table)
        if any(bound.value is None for bound in ranges):
            return iter(())
        select = sql.select(shape_of(equals, ranges, order, limit is not None, sql.table.usual))
        parameters = select.parameters(equals, ranges, limit)
        rows = self._known_rows(table, select.keys, parameters)
        if rows is None:
            cursor = self._read(select.sql, parameters)
            first = list(islice(cursor, _FIRST_ROWS))
            # Read now: what is remembered is as of now, and writes may follow.
            rows = iter(self._remembered(table, sql, first))
            if len(first) == _FIRST_ROWS:
                rest = OpenCursor(table, cursor)
                self._cursors.add(rest)
                rows = self._chained(sql, rows, rest)
        if select.equals or select.ranges:
            left = {column: equals[column] for column in select.equals}
            rows = matching(rows, left, [ranges[place] for place in select.ranges])
        if select.order or not select.limited:
            return ordered(rows, order if select.order else (), limit)
        return rows

    def _lacks(self, sql: TableSQL, equals: Mapping[str, Any]) -> bool:
        """Whether no row has one of these values, since it is above all that an index leads to:
        ids mostly grow, and what is new is often asked for first."""
        for column in sql.leading:
            value = equals.get(column)
            if type(value) is str and value.isascii():
                known = self._largest.get(sql.table.name, {})
                largest = known[column] if column in known else self._ask_largest(sql, column)
                if value > largest:
                    return True
        return False

    def _ask_largest(self, sql: TableSQL, column: str) -> str:
        table = sql.table.name
        self._flush(table)
        quoted = sql.dialect.quoted
        text = f"SELECT max({quoted(column)}) FROM {quoted(table)}"
        largest: str = self._connection().execute(text).get or ""
        self._largest.setdefault(table, {})[column] = largest
        return largest

    def _known_rows(self, table: str, keys: str, parameters: Sequence[Any]) -> Iterator[Row] | None:
        """The selected rows by their keys alone, where the cache has most of the table's."""
        if table not in self._at_hand:
            return None
        found = [key for (key,) in islice(self._read(keys, parameters), _FIRST_ROWS)]
        young = self._cache.young.get(table, NO_ROWS)
        rows = [young.get(key) for key in found]
        held, complete = self._cache.held, all(rows)
        missing = 0 if complete else sum(held(table, key) is None for key in found)
        if len(found) == _FIRST_ROWS or missing * _TELLING > len(found):
            self._at_hand.discard(table)
            return None
        if not complete:
            rows = [self.get(table, key) for key in found]
        return iter([row for row in rows if row is not None])

    def _remembered(self, table: str, sql: TableSQL, columns: Sequence[Sequence[Any]]) -> list[Row]:
        """Selected rows, each decoded once as long as it is remembered."""
        place, held = sql.key_place, self._cache.held
        rows = [held(table, each[place]) for each in columns]
        fresh = {
            each[place]: sql.decode(each)
            for each, row in zip(columns, rows, strict=True)
            if row is None
        }
        if fresh:
            self._cache.remember(table, fresh)
        elif len(rows) >= _TELLING:
            self._at_hand.add(table)
        return [
            fresh[each[place]] if row is None else row
            for each, row in zip(columns, rows, strict=True)
        ]

    def _chained(self, sql: TableSQL, first: Iterator[Row], rest: OpenCursor) -> Iterator[Row]:
        yield from first
        try:
            for columns in rest:
                yield sql.decode(columns)
        except self.errors as error:
            raise self._fail(error) from None

    @_guarded
    def count(
        self, table: str, equals: Mapping[str, Any] = {}, ranges: Sequence[Range] = ()
    ) -> int:
        """How many rows match: counted by the database where its comparisons are exact."""
        if any(bound.value is None for bound in ranges):
            return 0
        sql = self._tables[table]
        select = sql.select(shape_of(equals, ranges, usual=sql.table.usual))
        if select.equals or select.ranges:
            return sum(1 for _ in self.select(table, equals, ranges))
        self._flush(table)
        parameters = select.parameters(equals, ranges, None)
        return int(self._connection().execute(select.counted, parameters).get)

    @_guarded
    def tally(self, table: str, columns: Sequence[str]) -> Iterator[tuple[tuple[Any, ...], int]]:
        """The different values of some columns, grouped by the database."""
        self._flush(table)
        return self._tallied(table, columns)

    def _tallied(self, table: str, columns: Sequence[str]) -> Iterator[tuple[tuple[Any, ...], int]]:
        statement, decode = tally_sql(self._tables[table], columns)
        found = self._connection().execute(statement).fetchall()
        return iter([(decode(values), int(str(rows))) for *values, rows in found])

    @_guarded
    def write(self, changes: Mapping[str, Mapping[str, Row | None]]) -> None:
        """Inserts, replaces and deletes rows; the commit at the latest stores them."""
        if self._db is None or self._lost:
            self._refuse_lost()
        tables, waiting = self._tables, self._pending
        unique = (
            [] if self._unique.isdisjoint(changes) else [t for t in changes if t in self._unique]
        )
        for table in unique:
            pending = waiting.get(table, {})
            self._uniques.check(self._connection(), tables[table], changes[table], pending)
        for table, rows in changes.items():
            if table in waiting:
                waiting[table].update(rows)
            else:
                waiting[table] = dict(rows)
            width = tables[table].width
            for row in rows.values():
                if row is not None and len(row) != width:
                    waiting[table].update(completed(rows, tables[table].names))
                    break
        self._pending_rows += sum(map(len, changes.values()))
        for table in unique:
            self._uniques.claim(tables[table], changes[table])
        for table in self._largest:
            if table in changes:
                self._grow(table, changes[table])
        if self._aside:
            self._forget(changes)
        if self._pending_rows > _PENDING_ROWS:
            self._flush_all()

    def _grow(self, table: str, rows: Mapping[str, Row | None]) -> None:
        """Notes values that are written."""
        for column, largest in self._largest[table].items():
            values = [row[column] for row in rows.values() if row is not None and row.get(column)]
            self._largest[table][column] = max([largest, *values])

    @_guarded
    def adjust(self, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
        """Sets these columns of rows, each given as its values and its key: no index is touched."""
        self._flush(table)
        self._begin()
        self._cursors.keep(table)
        update, encode = self._tables[table].adjust(tuple(columns))
        self._connection().executemany(update, list(map(encode, rows)))
        self._cache.forget(table, [row[-1] for row in rows])

    def _forget(self, changes: Mapping[str, Mapping[str, Row | None]]) -> None:
        """Drops what dropped columns hold of deleted rows: a later row is another one."""
        gone = [
            (table, key)
            for table in self._aside.intersection(changes)
            for key, row in changes[table].items()
            if row is None
        ]
        if gone:
            self._begin()
            self._connection().executemany(
                'DELETE FROM _dropped WHERE "table" = ? AND "key" = ?', gone
            )

    def _insert(self, sql: TableSQL, rows: Sequence[Sequence[Any]]) -> None:
        """Inserts or replaces rows, given as their columns."""
        if len(rows) == 1:
            self._log.writer.execute(sql.upsert, rows[0])
        else:
            self._log.writer.executemany(sql.upsert, rows)

    def _flush_all(self) -> None:
        if self._pending:
            self._begin()
            self._cursors.keep()
            for table in list(self._pending):
                self._hand_over(table)
        self._pending_rows = 0

    def _flush(self, table: str) -> None:
        """Hands a table's pending rows to the database, within the open transaction."""
        if table in self._pending:
            self._begin()
            self._cursors.keep(table)
            self._hand_over(table)

    def _hand_over(self, table: str) -> None:
        """The same, once it is begun."""
        sql, pending = self._tables[table], self._pending.pop(table)
        # In order of their keys, so that neighbours in the file are written together.
        kept: list[Any] = list(pending.values())
        if len(kept) > 1:
            kept = [pending[key] for key in sorted(pending)]
        if None in kept:
            kept = [row for row in kept if row is not None]
            gone = [(key,) for key, row in pending.items() if row is None]
            self._connection().executemany(sql.delete, gone)
        if kept:
            columns = sql.encode_all(kept)
            try:
                self._insert(sql, columns)
            except UnicodeEncodeError:
                self._insert(sql, [tuple(map(storable, each)) for each in columns])
        self._cache.renew(table, pending)
        self._tops.grow(table, pending)
        if table in self._unique:
            self._uniques.written(sql)

    # --- the log -----------------------------------------------------------------------------

    @_guarded
    def known(self, ids: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Known]:
        """Which of these (source, id) have been appended before."""
        self._connection()
        return self._log.known(ids)

    @_guarded
    def unseen(self, ids: Sequence[str]) -> bool:
        """Whether these ids of no source are surely new; see `Store.unseen`."""
        self._connection()
        return self._log.unseen(ids)

    @_guarded
    def append(self, entries: Iterable[tuple[Any, ...] | Plain], claim: bool = True) -> None:
        """Adds entries to the log and, with `claim`, to what is known."""
        self._begin()
        self._log.append(entries, claim)

    def log(self, after: int = 0, status: str | None = None) -> Iterator[LogEntry]:
        """Entries with a seq above `after`, in order."""
        self._connection()
        try:
            yield from self._log.entries(after, status)
        except self.errors as error:
            raise self._fail(error) from None

    @_guarded
    def entry(self, seq: int) -> LogEntry | None:
        """One entry."""
        self._connection()
        return self._log.entry(seq)

    def last_seq(self) -> int:
        """The seq of the newest entry, 0 where there is none."""
        self._connection()
        return self._log.seq

    # --- transactions ------------------------------------------------------------------------

    def _begin(self) -> None:
        db = self._connection()
        if not db.in_transaction:
            self._refuse_lost()
            self._log.writer.execute(self._begins)

    def _refuse_lost(self) -> None:
        """Refuses to write over the traces of a loss."""
        self._connection()
        if self._lost:
            raise StoreError(self._lost)

    @_guarded
    def redact(
        self, entries: Mapping[int, tuple[str, str | None]], rows: Sequence[tuple[str, str]] = ()
    ) -> dict[str, str]:
        """Replaces what log entries say; see `Store.redact`."""
        db = self._connection()
        self._begin()
        gone = 'DELETE FROM _dropped WHERE "table" = ? AND "key" = ?'
        db.executemany(gone, list(rows))
        return self._log.redact(entries)

    def head(self) -> str:
        """What came with the newest commit that gave anything; see `Store.head`."""
        self._connection()
        return self._log.head

    @_guarded
    def commit(self, head: str | None = None) -> None:
        """Makes everything since the last commit durable: on the disk when this returns."""
        if self._pending_rows:
            self._flush_all()
        log = self._log
        if head is None:
            head = log.head
        elif head != log.head:
            self._begin()
        if self._connection().in_transaction:
            self._commit_counted(head)

    @abstractmethod
    def _commit_counted(self, head: str) -> None:
        """Ends the transaction with its link in the log's chain, or counts it; keeps its head."""

    @_guarded
    def rollback(self) -> None:
        """Drops everything since the last commit."""
        self._connection()
        self._rollback()

    def _rollback(self) -> None:
        self._forget_pending()
        db = self._connection()
        if db.in_transaction:
            self._cursors.keep()
            db.execute("ROLLBACK")
            self._forget_all()
            self._log.load()

    def _forget_pending(self) -> None:
        self._pending.clear()
        self._uniques.clear()
        self._pending_rows = 0

    def close(self) -> None:
        """Releases the state; uncommitted writes are dropped."""
        self._pending.clear()
        self._forget_all()
        for cursor in self._cursors:
            cursor.fail(self._gone())
        db, self._db = self._db, None
        if db is not None:
            self._leave(db)

    @abstractmethod
    def _leave(self, db: Any) -> None:
        """Ends a connection."""
