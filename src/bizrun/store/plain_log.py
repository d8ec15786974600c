"""Runs of plain events in SQL: a row holds the text of many, known by the range of their ids.

What has been kept of an event that was handled as it came costs a twentieth of a row of its own.
The view `_event` shows them one by one to any SQL tool, with all others of the log.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from msgspec.msgpack import Encoder

from .base import Known, LogEntry, Plain
from .database import Database
from .plain import Unfolded, unfolded

_INSERT = "INSERT INTO _log_plain VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_LINK = (
    "UPDATE _log_plain SET digest = ?, head = ? "
    "WHERE seq = (SELECT max(seq) FROM _log_plain) AND seq + count - 1 = ?"
)
_NO_LINK = (None, None)
_PAGE = 50  # runs of up to a thousand events
_encode = Encoder().encode


class PlainLog:
    """The table of runs, within the caller's transaction."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._unfolded = Unfolded()
        self._run = (0, 0)  # the one that was read last: its first seq, and what comes behind

    def clear(self) -> None:
        """Forgets what it has read."""
        self._run = (0, 0)
        self._unfolded.clear()

    def last(self) -> tuple[int, str | None, str | None]:
        """The seq of the newest event, 0 where there is none, and the link that it ends."""
        newest = "SELECT seq + count - 1, digest, head FROM _log_plain ORDER BY seq DESC LIMIT 1"
        found: tuple[int, str | None, str | None] | None = self._db.execute(newest).fetchone()
        return found or (0, None, None)

    def top(self) -> str:
        """The largest id of all."""
        return str(self._db.execute("SELECT max(high) FROM _log_plain").get or "")

    def free(self, low: str, high: str) -> bool:
        """Whether no event that is known has an id between these."""
        above = "SELECT low FROM _log_plain WHERE high >= ? ORDER BY high LIMIT 1"
        row = self._db.execute(above, (low,)).fetchone()
        alone = "SELECT 1 FROM _log_id WHERE source = '' AND id BETWEEN ? AND ? LIMIT 1"
        return (row is None or row[0] > high) and not self._db.execute(alone, (low, high)).get

    def append(
        self, rows: Sequence[tuple[Any, ...]], end: tuple[str | None, str | None] = _NO_LINK
    ) -> None:
        """Adds runs, where they are free; `end` is the digest and the head of a link."""
        self._db.executemany(_INSERT, [(*row, *end) for row in rows])

    def link_last(self, seq: int, end: tuple[str, str]) -> None:
        """Puts a link with the newest run, if this is the seq that it ends with."""
        self._db.execute(_LINK, (*end, seq))

    def known(self, ids: Sequence[str]) -> dict[str, Known]:
        """Which of these are in a run."""
        found: dict[str, Known] = {}
        left = sorted(ids)
        while left:
            above = "SELECT seq, low, high FROM _log_plain WHERE high >= ? ORDER BY high LIMIT 1"
            row = self._db.execute(above, (left[0],)).fetchone()
            if row is None:
                break
            seq, low, high = row
            inside = [id for id in left if low <= id <= high]
            if inside:
                found.update(self._unfolded.known(seq, partial(self._load, seq), inside))
            left = [id for id in left if id > high]
        return found

    def entry(self, seq: int) -> LogEntry | None:
        """One entry."""
        at = "SELECT seq, count FROM _log_plain WHERE seq <= ? ORDER BY seq DESC LIMIT 1"
        first, behind = self._run
        if not first <= seq < behind:
            row = self._db.execute(at, (seq,)).fetchone()
            if row is None or seq >= row[0] + row[1]:
                return None
            first, behind = self._run = row[0], row[0] + row[1]
        return self._unfolded.entries(first, partial(self._load, first))[seq - first]

    def entries(self, after: int) -> Iterator[LogEntry]:
        """Entries in order, a run at a time, so that writes may come between."""
        behind = "SELECT seq, count FROM _log_plain WHERE seq + count - 1 > ? ORDER BY seq LIMIT 1"
        first = self._db.execute(behind, (after,)).fetchone()
        seq = first[0] if first is not None else None
        following = "SELECT seq FROM _log_plain WHERE seq > ? ORDER BY seq LIMIT 1"
        while seq is not None:
            yield from (entry for entry in self._load(seq) if entry.seq > after)
            seq = self._db.execute(following, (seq,)).get

    def redact(self, raws: Mapping[int, str]) -> set[int]:
        """Replaces the text of events, by seq; those that are in no run are left to others."""
        done: set[int] = set()
        at = "SELECT seq, count, text FROM _log_plain WHERE seq <= ? ORDER BY seq DESC LIMIT 1"
        for seq in sorted(raws):
            row: Any = self._db.execute(at, (seq,)).fetchone()
            if row is None or seq >= row[0] + row[1] or seq in done:
                continue
            lines = row[2].split("\n")
            inside = [other for other in range(row[0], row[0] + row[1]) if other in raws]
            for other in inside:
                lines[other - row[0]] = raws[other]
            change = "UPDATE _log_plain SET text = ? WHERE seq = ?"
            self._db.execute(change, ("\n".join(lines), row[0]))
            done.update(inside)
        self.clear()
        return done

    def links(self, last: int, after: int = 0) -> Iterator[tuple[int, bytes]]:
        """The bytes of each run in the log's chain, with the seq that it begins with."""
        some = (
            "SELECT seq, count, low, high, text, fired FROM _log_plain "
            f"WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT {_PAGE}"
        )
        rows: list[Any]
        while rows := list(self._db.execute(some, (after, last))):
            for row in rows:
                yield int(row[0]), link(*row)
            after = int(rows[-1][0])

    def problems(self) -> Iterator[str]:
        """Runs that do not hold what they are known by."""
        for (seq,) in self._db.execute("SELECT seq FROM _log_plain ORDER BY seq"):
            try:
                ids = [entry.id for entry in self._load(seq)]
            except (ValueError, TypeError):
                ids = []
            row = "SELECT count, low, high FROM _log_plain WHERE seq = ?"
            held = self._db.execute(row, (seq,)).fetchone()
            if not ids or held != (len(set(ids)), min(ids), max(ids)):
                yield f"the events from number {seq} of the log on are not those that are known"

    def _load(self, seq: int) -> list[LogEntry]:
        one = "SELECT text, fired FROM _log_plain WHERE seq = ?"
        row: Any = self._db.execute(one, (seq,)).fetchone()
        fired = None if row[1] is None else json.loads(row[1])
        return unfolded(seq, row[0].encode(), fired)


def run_row(plain: Plain, low: str, high: str) -> tuple[int, int, str, str, str, str | None]:
    """The row of a run of events whose ids are between these."""
    fired = json.dumps(plain.fired) if plain.fired is not None else None
    return plain.first, len(plain.ids), low, high, plain.text.decode(), fired


def behind(row: tuple[Any, ...]) -> int:
    """The seq that follows a run."""
    return int(row[0] + row[1])


def link(seq: int, count: int, low: str, high: str, text: str, fired: str | None) -> bytes:
    """What stands for a run in the log's chain."""
    return _encode([seq, count, low, high, fired]) + text.encode()
