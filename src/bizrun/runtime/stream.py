"""Runs a stream of events: lines in, batches out, each acknowledged after its commit."""

from __future__ import annotations

import gc
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from itertools import islice
from typing import Any

import msgspec

from ..errors import StoreError, UsageError
from ..model import Event, Receipt
from ..store.base import CLOCK, INTERNAL, Known
from ..values import instant_text
from .engine import Engine
from .erasure import is_erased
from .lane import Lanes
from .lines import MAX_LINE, Batch, FileLines, Line, Reader, decode_any, digest
from .tenancy import foreign

BATCH = 1000
RARELY = 42_000  # new objects, sixty times as many as Python lets go by
# A mistaken year would let every schedule tick for all the years between.
YEARS_AHEAD = 20
MOST_STRANGERS = 100  # types of events that nothing handles, of which a summary tells
FIRST_YEAR, LAST_YEAR = 1970, 2200

Acknowledge = Callable[[list[str]], None]
Key = tuple[str, str]


def run_stream(
    engine: Engine,
    lines: FileLines | Iterable[bytes],
    acknowledge: Acknowledge | None = None,
    batch: int = BATCH,
    until: datetime | None = None,
) -> None:
    """Handles every line; `acknowledge` gets the ids of a batch once it is durable.

    `engine.counts` says what was done. A line that is no event is kept with its reason, and the
    stream goes on. `until` moves the clock on after the last event: that is committed as it goes,
    and `acknowledge` told with no ids; UsageError where it is a mistaken year, behind the events.
    """
    take, number = _taker(lines), 1
    whole = isinstance(lines, FileLines)
    # What lies in a file is read ahead of small commits; who is waited for may wait for an answer.
    ahead = batch * max(1, BATCH // batch) if isinstance(lines, FileLines) and lines.lies else batch
    reader = Reader(engine.program)
    lanes = Lanes(engine, reader.shapes)
    lasting = engine.state.store.lasting
    with rare_collections():
        while some := take(ahead):
            turns = Turns(engine, reader.batch(number, some, whole))
            number += len(some)
            while turns.left:
                acked = turns.handle(lanes, batch)
                engine.commit(figures=lasting)
                if acknowledge is not None and acked:
                    acknowledge(acked)
        if until is not None:
            _check_until(engine.clock, until)

            def keep() -> None:
                engine.commit()
                if acknowledge is not None:
                    acknowledge([])

            move_on(engine, until, keep)
    engine.waits.sweep()
    engine.commit()


def _taker(lines: FileLines | Iterable[bytes]) -> Callable[[int], list[bytes]]:
    """What gives the next so many lines."""
    if isinstance(lines, FileLines):
        return lines.take
    left = iter(lines)
    return lambda count: list(islice(left, count))


def _check_until(clock: datetime | None, until: datetime) -> None:
    if _beyond(clock, until) is None:
        return
    span = f"between the years {FIRST_YEAR} and {LAST_YEAR}"
    if clock is not None:
        span = (
            f"at most {YEARS_AHEAD} years after the last event, up to {instant_text(_limit(clock))}"
        )
    raise UsageError(f"The clock does not move on to {instant_text(until)} at once: say {span}.")


def move_on(engine: Engine, until: datetime, between: Callable[[], None] | None = None) -> None:
    """Moves the clock on where no event does. Where something is due by then the log says so: its
    events, run again, find the same done before them, also those that came late."""
    clock, due = engine.clock, engine.timers.next_due
    if clock is not None and due is not None and due <= until and clock < until:
        _check_ahead(clock, until)
        told = Event(f"clock@{instant_text(until)}", CLOCK, until, {}, INTERNAL)
        engine.log(told, "{}", "handled", None, None)
    engine.advance(until, between)


def _check_ahead(clock: datetime, now: datetime) -> None:
    """StoreError where a clock is set to a mistaken year: all of it would be billed at once."""
    if _beyond(clock, now) is not None:
        raise StoreError(
            f"this machine's clock says {instant_text(now)}, more than {YEARS_AHEAD} years after "
            f"what the state has come to ({instant_text(clock)}): set the clock right; until then "
            "nothing is taken"
        )


@contextmanager
def rare_collections() -> Iterator[None]:
    """Lets Python look for cycles rarely: a batch makes many objects, which live on, no cycle."""
    before = gc.get_threshold()
    gc.set_threshold(max(before[0], RARELY), before[1], before[2])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def handle_batch(engine: Engine, lanes: Lanes, batch: Batch) -> None:
    """Handles events; a `receipt` says what became of a line.

    Nothing is durable before `engine.commit`.
    """
    turns = Turns(engine, batch)
    turns.handle(lanes, turns.left)


def _key(item: Any) -> Key | None:
    """By what it is known whether an item of a batch came before; None where it is no event."""
    if type(item) is not Line:
        return "", item.id
    return None if item.reason is not None else (item.source, item.id)


class Turns:
    """The events of a batch on their way, some after the other.

    `_places` are those that are looked at one by one, whatever the short way would leave: what was
    read with care, and every event whose id is known or comes twice.
    """

    def __init__(self, engine: Engine, batch: Batch) -> None:
        self.engine = engine
        self.batch = batch
        self._acked: list[str] = []
        self._known: dict[Key, Known] = {}
        # What this batch has handled under an id: its text, and whether it was refused.
        self._here: dict[Key, tuple[str, str]] = {}
        self._place = 0
        self._places: list[int] = []
        if not (batch.plain and engine.state.store.unseen(batch.ids)):
            self._places = self._look()
            self._places.reverse()

    @property
    def left(self) -> int:
        """How many events have not been handled."""
        return len(self.batch.items) - self._place

    def handle(self, lanes: Lanes, most: int) -> list[str]:
        """Handles the next events, so many or what is left; the ids of those that are new.

        Nothing is durable before `engine.commit`.
        """
        self._acked = []
        end = self._place + min(most, self.left)
        self.engine.counts.read += end - self._place
        places = self._places
        while places and places[-1] < end:
            self._up_to(lanes, places[-1])
            self._take(places.pop())
        self._up_to(lanes, end)
        return self._acked

    def _up_to(self, lanes: Lanes, stop: int) -> None:
        """Handles what comes before a place, the short way where there is one."""
        engine, batch = self.engine, self.batch
        limit: datetime | None = None
        while self._place < stop:
            if engine.clock is None or lanes.leaves(batch.items[self._place]):
                self._take(self._place)
                continue
            if limit is None:
                limit = _limit(engine.clock)
            begun = self._place
            self._place = lanes.run(batch, begun, stop, limit)
            engine.counts.handled += self._place - begun
            self._acked += batch.ids[begun : self._place]
            if self._place < stop:
                self._take(self._place)

    def _look(self) -> list[int]:
        keys: list[Key | None] = [_key(item) for item in self.batch.items]
        counts = Counter(keys)
        self._known = self.engine.state.store.known([key for key in counts if key is not None])
        return [
            place
            for place, (key, item) in enumerate(zip(keys, self.batch.items, strict=True))
            if type(item) is Line or counts[key] > 1 or key in self._known
        ]

    def _take(self, place: int) -> None:
        """Handles one event the long way."""
        self._place = place + 1
        engine, line = self.engine, self.batch.line(place)
        if line.reason is not None:
            _malformed(engine, line)
            return
        if line.time is None and not _timed(engine, line):
            return
        if line.owner is not None and _foreign(engine, line):
            return
        key = line.source, line.id
        seen = self._here.get(key)
        if seen is None and key in self._known:
            seen = _logged(engine, line, self._known[key])
        if seen is not None and not _new_version(engine, line, seen):
            return
        status = _submit(engine, line, _beyond(engine.clock, line.time))
        self._here[key] = line.raw, "rejected" if status == "rejected" else "handled"
        self._acked.append(line.id)


def _limit(clock: datetime) -> datetime:
    """Up to when events may come as things stand."""
    # On the last day of February that year may have no such day: a day earlier is as good.
    return clock.replace(year=clock.year + YEARS_AHEAD, day=min(clock.day, 28))


def _beyond(clock: datetime | None, at: datetime) -> str | None:
    """Why an event can't come at an instant as things stand."""
    if clock is None:
        if FIRST_YEAR <= at.year <= LAST_YEAR:
            return None
        return f"its time is not between the years {FIRST_YEAR} and {LAST_YEAR}"
    if at.year - clock.year < YEARS_AHEAD or at <= _limit(clock):
        return None
    return f"its time is more than {YEARS_AHEAD} years after that of the events before it"


def _timed(engine: Engine, line: Line) -> bool:
    """Gives a line without a time that of the event before it; where there is none, keeps it."""
    # Run again, when there is a clock, it stays what it was.
    if engine.clock is None or engine.state.get("_dead", _malformed_key(line)) is not None:
        _malformed(engine, line, "it has no `time`, and no event before it has one")
        return False
    line.time = engine.clock
    return True


def _foreign(engine: Engine, line: Line) -> bool:
    """Whether an event is not its sender's own; nothing is kept of it."""
    reason = foreign(engine, line.owner, line.type, line.data)
    if reason is not None:
        line.receipt = Receipt(line.id, "rejected", reason)
    return reason is not None


def _submit(engine: Engine, line: Line, beyond: str | None) -> str:
    """What became of a line's event: a status, and its receipt."""
    counts = engine.counts
    event = Event(
        line.id, line.type, line.time, {} if line.data is None else line.data, line.source,
        line.subject, stamp=line.stamp, corrects=line.corrects,
    )  # fmt: skip
    if line.owner is not None and engine.tenancy is not None:
        event.tenant = engine.tenancy.of_key(engine.program.bills or "", line.owner)
    if beyond is None:
        receipt = engine.submit(event, line.raw)
    else:
        receipt = engine.refuse(event, line.raw, beyond)
    line.receipt = receipt
    match receipt.status:
        case "rejected":
            counts.rejected += 1
            counts.refusals.append({"id": event.id, "type": event.type, "reason": receipt.reason})
            return receipt.status
        case "unmatched":
            counts.unmatched += 1
            if event.type in counts.strangers or len(counts.strangers) < MOST_STRANGERS:
                counts.strangers[event.type] = counts.strangers.get(event.type, 0) + 1
    counts.handled += 1
    return receipt.status


# --- duplicates ------------------------------------------------------------------------------


# The text of an event that was taken before, and what became of it.
Seen = tuple[str, str]


def _logged(engine: Engine, line: Line, known: Known) -> Seen:
    entry = engine.state.store.entry(known.seq)
    return entry.raw if entry else line.raw, known.status


def _new_version(engine: Engine, line: Line, seen: Seen) -> bool:
    """Whether an event whose id was seen is to be handled: a refused one that was corrected.

    The same id with another payload is kept as a conflict; the first one stands. A refused
    payload that a corrected one has replaced is a duplicate when the stream is run again.
    """
    before, status = seen
    content = _content(line.raw)
    if is_erased(before):
        return _duplicate(engine, line)
    if before == line.raw or _content(before) == content:
        return _duplicate(engine, line)
    state = engine.state
    if state.get("_replaced", _replaced_key(line, content)) is not None:
        return _duplicate(engine, line)
    if status == "rejected":
        replaced = _replaced_key(line, _content(before))
        state.put("_replaced", replaced, {"id": replaced})
        return True
    key = f"conflict|{line.source}|{line.id}|{digest(line.raw)}"
    reason = "another event with this id and another payload was taken before; the first stands"
    if state.get("_dead", key) is not None:
        _duplicate(engine, line)
        line.receipt = Receipt(line.id, "rejected", reason)
        return False
    engine.counts.conflicts += 1
    _keep(engine, line, key, "conflict", reason)
    return False


def _duplicate(engine: Engine, line: Line) -> bool:
    engine.counts.duplicate += 1
    line.receipt = Receipt(line.id, "duplicate")
    return False


def _replaced_key(line: Line, content: Any) -> str:
    text = json.dumps([line.source, line.id, content], sort_keys=True, default=str)
    return sha256(text.encode()).hexdigest()


def _content(raw: str) -> Any:
    try:
        found = decode_any(raw)
    except (msgspec.DecodeError, RecursionError, ValueError):
        return raw
    if not isinstance(found, dict):
        return found
    return {key: value for key, value in found.items() if key != "specversion"}


# --- lines that are no event -------------------------------------------------------------------


def _malformed(engine: Engine, line: Line, reason: str | None = None) -> None:
    key = _malformed_key(line)
    if engine.state.get("_dead", key) is not None:
        engine.counts.duplicate += 1
        line.receipt = Receipt(line.id, "rejected", reason or line.reason)
        return
    engine.counts.malformed += 1
    _keep(engine, line, key, "malformed", reason or line.reason or "")


def _malformed_key(line: Line) -> str:
    return f"malformed|{line.number}|{digest(line.raw)}"


def _keep(engine: Engine, line: Line, key: str, status: str, reason: str) -> None:
    now = engine.clock or datetime(1970, 1, 1, tzinfo=UTC)
    line.receipt = Receipt(line.id, "rejected", reason)
    engine.counts.rejected += 1
    type_ = line.type
    engine.counts.refusals.append(
        {"id": line.id or None, "type": type_ or None, "reason": reason, "line": line.number}
    )
    row = {
        "id": key, "order": engine.next_order(), "event": line.id, "type": type_, "at": now,
        "handler": "", "place": f"line {line.number}", "status": status, "reason": reason,
        "retry": {"raw": line.raw[:MAX_LINE]},
    }  # fmt: skip
    engine.state.put("_dead", key, row)
    engine.state.settle()
