"""The event log in SQL: entries, known ids, and a hash chain with a link for each commit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import merge
from itertools import islice, takewhile
from operator import itemgetter
from typing import Any

from msgspec.msgpack import Encoder

from .base import ERASED, INTERNAL, Known, LogEntry, Plain
from .database import Database
from .plain import FEWEST, ends, entries_of, smallest
from .plain_log import PlainLog, behind, link, run_row

_COLUMNS = ", ".join(LogEntry._fields)
# What is done for each commit is short: the driver hashes a statement's text to find it.
_INSERT = "INSERT INTO _log VALUES (?,?,?,?,?,?,?,?,?,?,NULL,NULL)"
_INSERT_LINKED = "INSERT INTO _log VALUES (?,?,?,?,?,?,?,?,?,?,?,?)"
_LINK = "UPDATE _log SET digest = ?, head = ? WHERE seq = ?"
_HEAD = "SELECT value FROM _meta WHERE name = 'head'"
_KEEP_HEAD = (
    "INSERT INTO _meta (name, value) VALUES ('head', ?) "
    "ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)
_CLAIM = (
    "INSERT INTO _log_id VALUES (?,?,?,?) ON CONFLICT (source,id) DO UPDATE SET seq=excluded.seq,"
    "status=excluded.status WHERE _log_id.status='rejected'"
)
_KNOWN = "SELECT id, seq, status FROM _log_id WHERE source = ? AND id IN"
_PAGE = 1000
_AHEAD = 64
_MOST_SOURCES = 10_000
_SIZES = (1, 8, 64, 512)

_claim_of = itemgetter(1, 2, 0, 6)
_seq = itemgetter(0)
_encode = Encoder().encode


class EventLog:
    """Appends to the log within the caller's transaction, and reads it."""

    def __init__(self, db: Database) -> None:
        self._db = db
        # For all that is written: a cursor for each statement would cost a third of what it takes
        # to insert a row.
        self.writer = db.cursor()
        self._plain = PlainLog(db)
        self._running: Any = None
        # Entries from one seq to another that have a row of their own.
        self._page: tuple[int, int, dict[int, LogEntry]] = (1, 0, {})
        # The largest known id by source: a larger one can't be known. Empty: nothing is.
        self._tops: dict[str, str] = {}
        # Within `append`: what the database has not been given yet.
        self._entries: list[tuple[Any, ...]] = []
        self._claims: list[tuple[Any, ...]] = []
        self._runs: list[tuple[Any, ...]] = []
        self.seq = self.committed_seq = 0
        # What the newest commit left: the chain's digest, and the text that came with it.
        self.digest = self.head = ""
        self.load()

    def load(self) -> None:
        """Goes back to what is stored, after opening and after a rollback."""
        db = self._db
        newest = "SELECT seq, digest, head FROM _log ORDER BY seq DESC LIMIT 1"
        last = max(db.execute(newest).fetchone() or (0, None, None), self._plain.last(), key=_seq)
        self.seq = self.committed_seq = int(last[0])
        self.digest, self.head = last[1] or "", last[2] or ""
        # One that is kept by itself is the newest as long as nothing has been appended since.
        seq, _, head = (db.execute(_HEAD).get or "").partition(" ")
        if seq == str(self.seq):
            self.head = head
        self._running = None
        self._page = (1, 0, {})
        self._entries, self._claims, self._runs = [], [], []
        self._tops.clear()
        self._plain.clear()

    def known(self, ids: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Known]:
        """Which of these have been appended before; one statement for each source."""
        self._write()
        tops = self._tops
        asked: dict[str, dict[str, str]] = {}
        for source, id in ids:
            top = tops.get(source)
            if top is None:
                top = self._top(source)
            stored = id if id.isascii() else storable(id)
            if stored <= top:
                asked.setdefault(source, {})[stored] = id
        found: dict[tuple[str, str], Known] = {}
        for source, names in asked.items():
            for stored, seq, status in select_in(self._db, _KNOWN, [storable(source)], names):
                found[source, names[stored]] = Known(seq, status)
            if not source:
                # By itself first: a refused event may have come again.
                left = [stored for stored, id in names.items() if (source, id) not in found]
                for stored, known in self._plain.known(left).items():
                    found[source, names[stored]] = known
        return found

    def _top(self, source: str) -> str:
        if len(self._tops) > _MOST_SOURCES:
            self._tops.clear()
        largest = "SELECT max(id) FROM _log_id WHERE source = ?"
        top = str(self._db.execute(largest, (storable(source),)).get or "")
        if not source:
            top = max(top, self._plain.top())
        self._tops[source] = top
        return top

    def unseen(self, ids: Sequence[str]) -> bool:
        """Whether these ids of no source are surely new."""
        least = smallest(ids)
        if least is None:
            return False
        top = self._tops.get("")
        if top is None:
            top = self._top("")
        return least > top or not self.known([("", id) for id in ids])

    def append(self, items: Iterable[tuple[Any, ...] | Plain], claim: bool) -> None:
        """Adds entries to the log, the chain and, with `claim`, the known ids.

        They reach the database when it is asked for any of that, and with their link at the latest.
        """
        self._write()
        entries: list[tuple[Any, ...]] = []
        for item in items:
            if not isinstance(item, Plain):
                entries.append(item)
                continue
            # The ids of those before it have to be known when it is asked whether its own are.
            self._append_each(entries, claim)
            entries = []
            if not (claim and self._append_plain(item)):
                entries += entries_of(item)
        self._append_each(entries, claim)

    def _append_plain(self, plain: Plain) -> bool:
        """Adds a run of events as such, if it is long enough and its range of ids is free."""
        if len(plain.ids) < FEWEST:
            return False
        low, high = ends(plain.ids)
        top = self._known_top("")
        if low <= top:
            self._write()
            if not self._plain.free(low, high):
                return False
        row = run_row(plain, low, high)
        self._runs.append(row)
        self._hash(link(*row))
        self.seq = plain.first + len(plain.ids) - 1
        self._tops[""] = max(top, high)
        return True

    def _append_each(self, entries: list[tuple[Any, ...]], claim: bool) -> None:
        if not entries:
            return
        try:
            encoded = _canonical(entries)
        except UnicodeEncodeError:
            entries = [tuple(map(storable, entry)) for entry in entries]
            encoded = _canonical(entries)
        self._hash(encoded)
        self._entries += entries
        self.seq = entries[-1][0]
        if claim:
            claims = sorted(_claim_of(entry) for entry in entries if entry[1] != INTERNAL)
            self._claim(claims)

    def _claim(self, claims: list[tuple[Any, ...]]) -> None:
        """Makes ids known that are in no run; sorted, (source, id, seq, status) each."""
        if claims and not claims[0][0]:
            top = self._known_top("")
            asked = [id for source, id, *_ in claims if not source and id <= top]
            if asked:
                self._write_runs()
                held = self._plain.known(asked)
                claims = [claim for claim in claims if claim[0] or claim[1] not in held]
        self._claims += claims
        # Sorted, so the last one of a source is its largest.
        for source, id in {claim[0]: claim[1] for claim in claims}.items():
            if id > self._known_top(source):
                self._tops[source] = id

    def _known_top(self, source: str) -> str:
        """The largest known id of a source."""
        top = self._tops.get(source)
        if top is None:
            self._write()
            top = self._top(source)
        return top

    def _write(self) -> None:
        """Hands what was added to the database, before it is asked for anything of that."""
        if self._entries:
            self.writer.executemany(_INSERT, self._entries)
            self._entries = []
        if self._claims:
            self.writer.executemany(_CLAIM, self._claims)
            self._claims = []
        self._write_runs()

    def _write_runs(self) -> None:
        if self._runs:
            self._plain.append(self._runs)
            self._runs = []

    def _hash(self, data: bytes) -> None:
        if self._running is None:
            self._running = hashlib.sha256(self.digest.encode())
        self._running.update(data)

    def link(self, head: str) -> bool:
        """Ends this transaction's entries with their link in the chain: the last one has its
        digest, and the commit's head. Whether there was anything to link."""
        if self._running is None:
            return False
        self.digest, self.head = self._running.hexdigest(), head
        self._running = None
        end = (self.digest, head)
        if self._entries and self._entries[-1][0] == self.seq:
            linked = self._entries.pop()
            self._write()
            self.writer.execute(_INSERT_LINKED, (*linked, *end))
        elif self._runs and behind(self._runs[-1]) > self.seq:
            linked = self._runs.pop()
            self._write()
            self._plain.append([linked], end)
        else:  # somebody has asked for what was appended
            self._write()
            self.writer.execute(_LINK, (*end, self.seq))
            self._plain.link_last(self.seq, end)
        return True

    def keep(self, head: str) -> None:
        """Notes the head of a transaction that has added nothing."""
        if head != self.head:
            self.head = head
            self.writer.execute(_KEEP_HEAD, (f"{self.seq} {head}",))

    def entries(self, after: int, status: str | None) -> Iterator[LogEntry]:
        """Entries in order, read by the page, so that writes may come between."""
        self._write()
        single = self._single(after, status)
        if status not in (None, "handled"):
            return single
        return merge(single, self._plain.entries(after), key=_seq)

    def _single(self, after: int, status: str | None) -> Iterator[LogEntry]:
        """Those with a row of their own."""
        where, values = ("AND status = ?", [status]) if status is not None else ("", [])
        sql = f"SELECT {_COLUMNS} FROM _log WHERE seq > ? {where} ORDER BY seq LIMIT {_PAGE}"
        rows: list[Any]
        while rows := list(self._db.execute(sql, [after, *values])):
            yield from map(LogEntry._make, rows)
            if len(rows) < _PAGE:
                return
            after = int(rows[-1][0])

    def entry(self, seq: int) -> LogEntry | None:
        """One entry; those that follow it are read with it, since they are asked for next."""
        self._write()
        low, high, page = self._page
        if not low <= seq <= high:
            some = f"SELECT {_COLUMNS} FROM _log WHERE seq >= ? ORDER BY seq LIMIT {_AHEAD}"
            rows = self._db.execute(some, (seq,)).fetchall()
            page = {row[0]: LogEntry._make(row) for row in rows}
            high = rows[-1][0] if len(rows) == _AHEAD else max(seq, self.seq)
            self._page = seq, high, page
        return page[seq] if seq in page else self._plain.entry(seq)

    def verify(self) -> list[str]:
        """Where the chain breaks, or an id points to an entry that isn't there."""
        try:
            return [*self._broken_link(), *self._lost_ids(), *islice(self._plain.problems(), 3)]
        except UnicodeDecodeError:
            return [self._no_text()]

    def _no_text(self) -> str:
        """Which entry can't be read, since the disk has changed a byte of it."""
        each = ", ".join(f"CAST({column} AS BLOB)" for column in LogEntry._fields)
        for seq, *values in self._db.execute(f"SELECT seq, {each} FROM _log ORDER BY seq"):
            for value in values:
                try:
                    bytes(value or b"").decode()
                except UnicodeDecodeError:
                    return f"the event log is damaged at event {seq}: {value[:60]!r} is no text"
        return "the event log is damaged: a run of events has bytes that are no text"

    def _broken_link(self) -> Iterator[str]:
        """The first break only: after it nothing can be told."""
        rows, erased = self._bytes(0, self.committed_seq), self._erased()
        links = self._db.execute("SELECT last_seq, digest FROM _chain ORDER BY last_seq")
        digest, before = "", 0
        row = next(rows, None)
        for last_seq, linked in links:
            running = hashlib.sha256(digest.encode())
            while row is not None and row[0] <= last_seq:
                running.update(row[1])
                row = next(rows, None)
            digest = running.hexdigest()
            if digest != linked and digest == erased.get(last_seq):
                digest = linked
            if digest != linked:
                yield (
                    f"the event log was changed: its hash chain breaks between the events "
                    f"{before + 1} and {last_seq}; compare them with a backup"
                )
                return
            before = last_seq
        if row is not None:
            yield f"the event log was changed: events from {row[0]} on have no link in its chain"

    def _bytes(self, after: int, last: int) -> Iterator[tuple[int, bytes]]:
        """What the chain's links are made of, in order, each with its seq."""
        single = takewhile(lambda entry: entry.seq <= last, self._single(after, None))
        return merge(
            ((entry.seq, _encode(entry)) for entry in single),
            self._plain.links(last, after),
            key=_seq,
        )

    def _erased(self) -> dict[int, str]:
        """What links come to from which something was erased, by the events that tell of it."""
        told = self._db.execute("SELECT raw FROM _log WHERE type = ? ORDER BY seq", (ERASED,))
        found: dict[int, str] = {}
        for (raw,) in told:
            links = json.loads(raw).get("links") or {}
            found |= {int(last): str(digest) for last, digest in links.items()}
        return found

    def redact(self, entries: Mapping[int, tuple[str, str | None]]) -> dict[str, str]:
        """Replaces the text and reason of entries; what each link with one of them comes to now."""
        self._page = (1, 0, {})
        single = [(storable(raw), storable(why), seq) for seq, (raw, why) in entries.items()]
        self._db.executemany("UPDATE _log SET raw = ?, reason = ? WHERE seq = ?", single)
        self._plain.redact({seq: storable(raw) for seq, (raw, _) in entries.items()})
        left, links = sorted(entries), {}
        digest, before = "", 0
        for last, linked in self._db.execute("SELECT last_seq, digest FROM _chain ORDER BY 1"):
            touched = bool(left) and left[0] <= last
            if touched:
                running = hashlib.sha256(digest.encode())
                for _, data in self._bytes(before, last):
                    running.update(data)
                links[str(last)] = running.hexdigest()
                left = [seq for seq in left if seq > last]
            digest, before = linked, last
        return links

    def _lost_ids(self) -> Iterator[str]:
        rows = self._db.execute(
            "SELECT k.source, k.id, k.seq FROM _log_id AS k LEFT JOIN _log AS l ON l.seq = k.seq "
            "WHERE l.id IS DISTINCT FROM k.id OR l.source IS DISTINCT FROM k.source"
        )
        for source, id, seq in islice(rows, 3):
            yield f"the event `{id}` of {source} is known as number {seq} of the log, but not there"


def _canonical(entries: Sequence[tuple[Any, ...]]) -> bytes:
    """The entries' bytes one after the other: the same however they are split into batches."""
    encoded = _encode(entries)
    count = len(entries)
    # The list's own head goes: it depends on the batch.
    return encoded[1 if count < 16 else 3 if count < 65536 else 5 :]


def storable(value: Any) -> Any:
    """The value; halves of characters, which no database takes in a text, are spelled out."""
    if isinstance(value, str) and not value.isascii():
        return value.encode("utf-8", "backslashreplace").decode()
    return value


def select_in(
    db: Database, sql: str, first: Sequence[Any], values: Iterable[Any], mark: str = "?"
) -> Iterator[tuple[Any, ...]]:
    """The rows of a statement that ends in IN, for any number of values: few different texts."""
    left = list(values)
    while left:
        size = next(n for n in _SIZES if n >= min(len(left), _SIZES[-1]))
        some, left = left[:size], left[size:]
        marks = f" ({', '.join([mark] * size)})"
        yield from db.execute(sql + marks, [*first, *some, *some[-1:] * (size - len(some))])
