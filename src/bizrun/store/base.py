"""What a store is: keyed tables of rows, an append-only event log, one transaction at a time.

Everything that lasts is a row of a table: the author's entities, subscriptions and invoices, and
the engine's own timers, waits and effects (their names begin with `_`). The engine hands over the
tables; a store knows nothing about what they mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol

from msgspec import Struct

from ..model import INTERNAL as INTERNAL

Row = dict[str, Any]

# The type of an entry of the log that says how far time has moved on where no event came.
CLOCK = "clock"
# The event that tells what was erased from the log. Its payload has `links`: what each link of the
# hash chain comes to without it.
ERASED = "Audit.erased"

ColumnType = Literal[
    "text", "number", "integer", "bool", "money", "percent", "duration", "size", "time", "date",
    "json", "serial",
]  # fmt: skip


class Column(Struct, frozen=True):
    """A field of a table. Python values by type: see `values`; json is anything exact, serial a
    whole number of 64 bits.

    `choices` are the texts that it may hold, where it may not hold any; `needed` says whether each
    row has a value, None where nobody has said. Both count when a declaration changes.
    """

    name: str
    type: ColumnType
    unique: bool = False
    choices: tuple[str, ...] = ()
    needed: bool | None = None


class Table(Struct, frozen=True):
    """A table: its key column is text and unique; `indexes` are worth keeping for `select`.

    `by_age`: a file has its rows as they were made, and not in the order of their keys. That keeps
    those together that change together, where keys begin with something else than an instant.
    `usual`: what most rows have in a text column that an index begins with. The index leads to all
    other rows, so that the usual ones cost nothing in it; who asks for those reads the table.
    """

    name: str
    columns: tuple[Column, ...]
    key: str = "id"
    indexes: tuple[tuple[str, ...], ...] = ()
    by_age: bool = False
    usual: tuple[tuple[str, str], ...] = ()


class Range(NamedTuple):
    """A bound of a select: op is one of < <= > >=. Rows without a value never match."""

    column: str
    op: str
    value: Any


class LogEntry(NamedTuple):
    """One event as it was taken: `raw` is its JSON text as it came, or of its data if emitted.

    status: handled unmatched rejected failed malformed conflict. `cause` is the seq of the event
    that emitted it, `fired` the places of the handlers that ran ("3,17"), `reason` why not.
    The engine appends plain tuples in this order, for speed.
    """

    seq: int
    source: str
    id: str
    type: str
    time: str
    raw: str
    status: str
    reason: str | None
    cause: int | None
    fired: str | None


class Plain(Struct, frozen=True):
    """Events in a row, of no source, handled as they came and causing nothing.

    `first` is the seq of the first one, `text` their JSON, each with a line's end: it has their
    ids (also in `ids`), types and times. `fired` are the places of handlers that ran (None: of
    none).
    """

    first: int
    ids: list[str]
    text: bytes
    fired: list[str] | None


class Known(NamedTuple):
    """What is known of an event id: where it stands in the log and whether it was refused."""

    seq: int
    status: str


class Store(Protocol):
    """One state, one writer. Between two commits all writes are one transaction.

    Raises StoreError, with a sentence that says what to do, where the store fails: the caller
    must then stop without acknowledging anything since the last commit. `lasting` says whether
    it outlives the process.
    """

    lasting: bool

    def prepare(
        self, tables: Sequence[Table], defaults: Mapping[str, Mapping[str, Any]] = {},
        renames: Mapping[str, Mapping[str, str]] = {},
    ) -> list[str]:  # fmt: skip
        """Creates what is missing and migrates what has changed, in a transaction of its own.

        `defaults` has by table and column what rows get in a column that is new to them; with
        None it is one that every row must have, so that there can't be any. `renames` has by table
        what columns were called before, with what they are called now: one that is still there
        under its old name alone is renamed first.

        Returns a sentence for each change of an existing table (a column added, dropped, its
        type widened). StoreError where stored rows do not fit the new declaration, saying which.
        """

    def get(self, table: str, key: str) -> Row | None:
        """The row with that key, as it stands after the writes so far; a fresh dict."""

    def select(
        self,
        table: str,
        equals: Mapping[str, Any] = {},
        ranges: Sequence[Range] = (),
        order: Sequence[tuple[str, bool]] = (),
        limit: int | None = None,
    ) -> Iterator[Row]:
        """Rows that match all conditions, ordered by columns (True: descending), then by key.

        `equals` with None finds rows without a value. Reads lazily, unaffected by writes that
        follow; the values of `equals` have the column's type.
        """

    def count(
        self, table: str, equals: Mapping[str, Any] = {}, ranges: Sequence[Range] = ()
    ) -> int:
        """How many rows `select` would find."""

    def tally(self, table: str, columns: Sequence[str]) -> Iterator[tuple[tuple[Any, ...], int]]:
        """The different values of some columns, and how many rows have them; in no order.

        `data.name` is the text that a JSON column has under a name.
        """

    def preload(self, table: str, keys: Sequence[str]) -> None:
        """Tells that `get` will be asked for these, so that they may be read together."""

    def write(self, changes: Mapping[str, Mapping[str, Row | None]]) -> None:
        """Inserts or replaces rows by table and key; None deletes. Refuses a broken unique
        column with Refusal (nothing of this call is then written)."""

    def adjust(self, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
        """Sets these columns of rows that are there, each given as its values and its key: what
        `write` would do, at less cost. None of them is the key, unique or indexed."""

    def known(self, ids: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Known]:
        """Which of these (source, id) have been appended before."""

    def unseen(self, ids: Sequence[str]) -> bool:
        """Whether these ids of no source are surely new, each one: they grow, and beyond any
        that is known. Where it can't be said at little cost, they aren't."""

    def append(self, entries: Iterable[tuple[Any, ...] | Plain], claim: bool = True) -> None:
        """Adds LogEntry tuples, or many at once, to the log, in order.

        With `claim`, makes their (source, id) known; an entry whose id was known with status
        rejected takes its place as known."""

    def log(self, after: int = 0, status: str | None = None) -> Iterator[LogEntry]:
        """Entries with a seq above `after`, in order."""

    def entry(self, seq: int) -> LogEntry | None:
        """One entry."""

    def last_seq(self) -> int:
        """The seq of the newest entry, 0 where there is none."""

    def redact(
        self, entries: Mapping[int, tuple[str, str | None]], rows: Sequence[tuple[str, str]] = ()
    ) -> dict[str, str]:
        """Replaces `raw` and `reason` of committed log entries, by seq, and drops what migrations
        have set aside of rows (table, key). Each event in `raw` keeps its id, type and time.

        The hash chain stays as it is. Returns what each touched link comes to now, by its last seq:
        `verify` takes a link for sound that an ERASED event of the log tells of.
        """

    def purge(self) -> None:
        """After a commit: leaves nothing behind of what was replaced or deleted."""

    def head(self) -> str:
        """The head of the newest commit, empty where none had one."""

    def commit(self, head: str | None = None) -> None:
        """Makes everything since the last commit durable, or nothing of it.

        `head` is a short text that goes with a commit and holds until another one comes: what moves
        each time and would else be a row, a page more for each commit. None leaves it as it is."""

    def rollback(self) -> None:
        """Drops everything since the last commit."""

    def verify(self) -> list[str]:
        """What is wrong with the store itself: the hash chain, a lost tail; empty if nothing."""

    def close(self) -> None:
        """Releases the state; uncommitted writes are dropped."""
