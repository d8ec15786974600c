"""Corrected events: what one of them counted on meters is replaced by what another one says.

BILLING.md, Usage: an event with `"corrects": "<event id>"` replaces that event's effect, at the
time of that event. The newest correction holds, by its own time and then its id. One that comes
before what it corrects counts at its own time until then.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import chain
from typing import TYPE_CHECKING

import msgspec

from ..errors import BizError, Refusal
from ..lossless import from_json
from ..model import Event
from ..store.base import INTERNAL, LogEntry, Plain, Row
from ..store.plain import entries_of
from ..values import instant
from .counting import RECORDED, counted_at
from .work import Work

if TYPE_CHECKING:
    from .metering import Metering

_decode = msgspec.json.Decoder(float_hook=Decimal).decode
_COUNTED = ("handled", "failed")
_MOMENT = timedelta(microseconds=1)


class Corrections:
    """The corrections of one state: rows of `_corrected` by the event that they replace."""

    def __init__(self, metering: Metering) -> None:
        self.metering = metering
        self.engine = metering.engine
        # Events that are not here yet, so that every other one needs no look at the table.
        self.awaited = {
            row["target"] for row in self.engine.state.select("_corrected", {"known": False})
        }

    def concern(self, event: Event) -> bool:
        """Whether an event corrects another one, or was corrected before it came."""
        return event.corrects is not None or event.id in self.awaited

    def take(self, event: Event) -> bool:
        """Counts a correction, or an event that was corrected before it came; False for others."""
        if event.corrects is not None:
            self._correct(event, self._root(event.source, event.corrects))
            self._adopt(event)
            return True
        if event.id not in self.awaited:
            return False
        row = self.engine.state.get("_corrected", _key(event.source, event.id))
        if row is None or row["known"]:
            return False
        self._replace(row, {**row, "at": event.time, "known": True}, event.source, None)
        self.awaited.discard(event.id)
        return True

    def _correct(self, event: Event, target: str) -> None:
        if target == event.id:
            raise Refusal(f"`corrects` leads back to {event.id} itself")
        key = _key(event.source, target)
        held = self.engine.state.get("_corrected", key)
        stamp = (event.time, event.id)
        if held is not None and (held["stamp"], held["event"]) > stamp:
            self._alias(event, target)
            return
        original = self._logged(event.source, target)
        row: Row = {
            "id": key, "target": target, "event": event.id, "stamp": event.time,
            "type": event.type, "at": original.time if original else event.time,
            "data": event.data, "known": original is not None,
        }  # fmt: skip
        if held is not None:
            if held["known"]:
                row["at"] = held["at"]
            self._replace(held, row, event.source, original.seq if original else None)
        elif original is not None:
            counted = self._as_counted(original)
            row["at"] = counted.time
            self.metering.count_all(counted, -1, original.seq)
            self._count(row, 1, event.source, original.seq)
            self.engine.state.put("_corrected", key, row)
        else:
            work = Work(self.engine, event.time, f"{event.base}/meter", event.envelope(), event)
            work.log(f"{event.id} corrects {target}, which has not come yet")
            self._count(row, 1, event.source, None)
            self.engine.state.put("_corrected", key, row)
            self.awaited.add(target)
        self._alias(event, target)

    def _as_counted(self, original: Event) -> Event:
        """The event at the time that it counts for: where a usage period was ended at its very
        instant after it had counted, and does not say what it stood behind, the moment before."""
        if self.metering.holds(original):
            return original
        before = msgspec.structs.replace(original, time=original.time - _MOMENT)
        return before if self.metering.holds(before) else original

    def _adopt(self, event: Event) -> None:
        """Hands on what corrects a correction and came before it to what that one replaces."""
        if event.id not in self.awaited:
            return
        key = _key(event.source, event.id)
        row = self.engine.state.get("_corrected", key)
        if row is None or row["known"]:
            return
        self._count(row, -1, event.source, None)
        self.engine.state.put("_corrected", key, None)
        self.awaited.discard(event.id)
        newer = Event(row["event"], row["type"], row["stamp"], row["data"], event.source)
        self._correct(newer, self._root(event.source, event.id))

    def _replace(self, held: Row, row: Row, source: str, place: int | None) -> None:
        self._count(held, -1, source, place)
        self._count(row, 1, source, place)
        self.engine.state.put("_corrected", row["id"], row)

    def _count(self, row: Row, sign: int, source: str, place: int | None) -> None:
        """Counts for a corrected event, which stands at a place of the log if it is there."""
        event = Event(row["target"], row["type"], row["at"], row["data"], source)
        self.metering.count_all(event, sign, place)

    # --- what it replaces ------------------------------------------------------------------------

    def _alias(self, event: Event, target: str) -> None:
        """Remembers what a correction replaces: it may be corrected itself."""
        key = f"{_key(event.source, event.id)}|alias"
        self.engine.state.put("_corrected", key, {
            "id": key, "target": target, "event": event.id, "stamp": None, "type": "", "at": None,
            "data": None, "known": True,
        })  # fmt: skip

    def _root(self, source: str, target: str) -> str:
        while row := self.engine.state.get("_corrected", f"{_key(source, target)}|alias"):
            target = row["target"]
        return target

    def _logged(self, source: str, id_: str) -> Event | None:
        """An event that has counted before, as its handlers read it."""
        entry = self._entry(source, id_)
        if entry is None or entry.status not in _COUNTED or not self.metering.on(entry.type):
            return None
        event = self.read(entry)
        if event is not None:
            event.seq = entry.seq
        return event

    def read(self, entry: LogEntry) -> Event | None:
        """An event of the log with its payload as handlers read it, as far as it fits the spec of
        today: one that was edited since takes nothing back of what it counted."""
        try:
            held = _decode(entry.raw)
            at = instant(entry.time)
            if entry.source == INTERNAL:
                data = from_json(held)
                event = Event(entry.id, entry.type, at, data, INTERNAL, data.get("subject"))
                event.time = counted_at(event)
            else:
                event = Event(
                    entry.id, entry.type, at, held.get("data") or {}, entry.source,
                    held.get("subject"), corrects=held.get("corrects"),
                )  # fmt: skip
                self.engine.read(event, recorded=True)
        except (BizError, msgspec.DecodeError, AttributeError):
            return None
        key = self.engine.dispatch.route(entry.type).key
        if event.subject is None and key is not None:
            event.subject = event.data.get(key)
        return event

    def since(self, customer: str, since: datetime) -> Iterator[Event]:
        """What of a customer's counted events is of an instant or later, as corrections left it.

        It reads the whole log: for what is rare.
        """
        state = self.engine.state
        pending = (
            entries_of(item) if isinstance(item, Plain) else [LogEntry._make(item)]
            for item in list(state.entries) if item
        )  # fmt: skip
        for entry in chain(state.store.log(), chain.from_iterable(pending)):
            if entry.status not in _COUNTED or not self._counts(entry):
                continue
            event = self.read(entry)
            if event is None or event.time < since or event.corrects is not None:
                continue
            row = state.get("_corrected", _key(event.source, event.id))
            if row is not None:
                event = Event(event.id, row["type"], row["at"], row["data"], event.source)
            if self.metering.concerns(event, customer):
                yield event

    def _counts(self, entry: LogEntry) -> bool:
        recorded = entry.type == RECORDED and entry.source == INTERNAL
        return recorded or self.metering.on(entry.type)

    def _entry(self, source: str, id_: str) -> LogEntry | None:
        state = self.engine.state
        for found in reversed(state.entries):
            if isinstance(found, Plain):
                if source == "" and id_ in found.ids:
                    return next(entry for entry in entries_of(found) if entry.id == id_)
            elif found and found[1] == source and found[2] == id_:
                return LogEntry._make(found)
        known = state.store.known([(source, id_)]).get((source, id_))
        return state.store.entry(known.seq) if known else None


def _key(source: str, id_: str) -> str:
    return f"{source}|{id_}"
