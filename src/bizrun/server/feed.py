"""What happens, as it happens: events, effects and invoices, once they are durable.

A store of its own kind passes on what is written; the newest are kept, so that a reader that was
cut off goes on where it was.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, cast

import msgspec

from ..store.base import CLOCK, INTERNAL, Plain, Row, Store
from ..values import plain

KEPT = 10_000
TABLES = ("_effect", "Invoice")

_EFFECT = ("id", "kind", "status", "created", "customer", "event", "place", "error")
_INVOICE = ("id", "number", "customer", "status", "currency", "total", "amount_due", "due_at")


class _Head(msgspec.Struct):
    id: str
    type: str
    time: str | None = None


_decode = msgspec.json.Decoder(_Head).decode


class Happening(NamedTuple):
    """Something that has happened: `seq` is the log's length then, `number` its place beside it.

    `what` is a LogEntry's tuple for an event, or its text where it was simply handled; else the
    row as it stands now.
    """

    seq: int
    number: int
    kind: str
    what: Any

    @property
    def id(self) -> str:
        """What a reader names to go on behind it."""
        return f"{self.seq}.{self.number}"

    def as_json(self) -> dict[str, Any]:
        """What is told of it; an event's payload is not."""
        if self.kind == "event":
            return (
                _plain_json(self.seq, self.what)
                if type(self.what) is bytes
                else event_json(self.what)
            )
        names = _EFFECT if self.kind == "effect" else _INVOICE
        return {name: plain(self.what[name]) for name in names if name in self.what}


def _plain_json(seq: int, text: bytes) -> dict[str, Any]:
    found = _decode(text)
    return {
        "seq": seq, "id": found.id, "source": "", "type": found.type, "time": found.time,
        "status": "handled", "reason": None, "cause": None,
    }  # fmt: skip


def event_json(entry: tuple[Any, ...]) -> dict[str, Any]:
    """An entry of the log, without its payload."""
    seq, source, id_, type_, time, _, status, reason, cause, _ = entry[:10]
    return {
        "seq": seq, "id": id_, "source": None if source == INTERNAL else source, "type": type_,
        "time": time, "status": status, "reason": reason, "cause": cause,
    }  # fmt: skip


class Watched:
    """A store that does what another one does, and keeps in mind what was written."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.entries: list[tuple[Any, ...] | Plain] = []
        self.rows: dict[tuple[str, str], Row | None] = {}
        self.get = store.get  # by far the most often asked

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def write(self, changes: Mapping[str, Mapping[str, Row | None]]) -> None:
        """Writes, and notes the rows of the tables that are told of."""
        self._store.write(changes)
        for table in TABLES:
            for key, row in changes.get(table, {}).items():
                self.rows[table, key] = row

    def append(self, entries: Iterable[tuple[Any, ...] | Plain], claim: bool = True) -> None:
        """Appends to the log, and notes it."""
        entries = list(entries)
        self._store.append(entries, claim)
        self.entries += entries

    def forget(self) -> None:
        """Drops what was noted: it was taken, or was rolled back."""
        self.entries = []
        self.rows = {}


def watched(store: Store) -> tuple[Store, Watched]:
    """A store that is watched, and who watches it."""
    found = Watched(store)
    return cast(Store, found), found


def _events(entry: tuple[Any, ...] | Plain) -> Iterator[Happening]:
    if isinstance(entry, tuple):
        if entry[3] != CLOCK:
            yield Happening(entry[0], 0, "event", entry)
        return
    for seq, text in enumerate(entry.text.split(b"\n")[:-1], entry.first):
        yield Happening(seq, 0, "event", text)


class Feed:
    """The newest happenings, and whom to tell of more. Published by the writer's thread."""

    def __init__(self, last_seq: int) -> None:
        self._kept: deque[Happening] = deque(maxlen=KEPT)
        self._listeners: tuple[Callable[[], None], ...] = ()
        self.newest = self.begin = (last_seq, 0)

    def publish(self, watch: Watched, last_seq: int) -> bool:
        """Takes what was written and is durable now; whether an invoice was among it."""
        kept, told = self._kept, bool(watch.entries)
        for entry in watch.entries[-KEPT:]:
            kept.extend(_events(entry))
        seq, number = self.newest
        number, invoices = (number if seq == last_seq else 0), False
        for (table, _), row in watch.rows.items():
            invoices = invoices or table == "Invoice"
            if row is not None and row.get("status") != "draft":
                number, told = number + 1, True
                kind = "invoice" if table == "Invoice" else "effect"
                kept.append(Happening(last_seq, number, kind, row))
        self.newest = (last_seq, number)
        watch.forget()
        for listener in self._listeners if told else ():
            listener()
        return invoices

    def after(self, position: tuple[int, int]) -> tuple[list[Happening], bool]:
        """What has happened behind a position, and whether some of it is kept no more."""
        kept = list(self._kept)  # at once: the writer appends meanwhile
        found = [one for one in kept if (one.seq, one.number) > position]
        oldest = (kept[0].seq - 1, 0) if len(kept) == KEPT else self.begin
        return found, position < oldest

    def listen(self, listener: Callable[[], None]) -> None:
        """Calls a function, from the writer's thread, when something has happened."""
        self._listeners = (*self._listeners, listener)

    def leave(self, listener: Callable[[], None]) -> None:
        """Calls it no more."""
        self._listeners = tuple(one for one in self._listeners if one is not listener)


def position_of(id_: str) -> tuple[int, int] | None:
    """The position that a happening's id names; None where it is none."""
    seq, _, number = id_.partition(".")
    if not (seq.isdecimal() and (number or "0").isdecimal()) or len(id_) > 40:
        return None
    return int(seq), int(number or 0)
