"""Runs a stream of events: lines in, batches out, each acknowledged after its commit."""

from __future__ import annotations

import codecs
import gc
import json
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from itertools import islice
from typing import Any

import msgspec

from ..errors import BizError
from ..ir.program import Program
from ..model import Event, Receipt
from ..store.base import INTERNAL, Known
from .engine import Engine
from .lane import Line, Take, lanes
from .tenancy import foreign
from .typed import MAX_ID, typed_decoder

BATCH = 1000
MAX_LINE = 1_000_000
MAX_NESTING = 100
SHALLOW = 2 * MAX_NESTING  # a line of so many bytes can't be nested deeper
_TEXTS = re.compile(rb'"(?:[^"\\]|\\.)*"')
# A mistaken year would let every schedule tick for all the years between.
YEARS_AHEAD = 20
FIRST_YEAR, LAST_YEAR = 1970, 2200

Acknowledge = Callable[[list[str]], None]
Read = Callable[[int, bytes], Line | None]


class Envelope(msgspec.Struct, gc=False):
    """A CloudEvent as it stands on a line; what else is there is kept in the raw text."""

    type: str
    id: Any = None
    source: Any = ""
    time: Any = None
    data: Any = None
    subject: Any = None
    corrects: Any = None


_decode = msgspec.json.Decoder(Envelope, float_hook=Decimal, strict=True).decode
_decode_any = msgspec.json.Decoder(float_hook=Decimal).decode


def run_stream(
    engine: Engine,
    lines: Iterable[bytes],
    acknowledge: Acknowledge | None = None,
    batch: int = BATCH,
    until: datetime | None = None,
) -> None:
    """Handles every line; `acknowledge` gets the ids of a batch once it is durable.

    `engine.counts` says what was done. A line that is no event is kept with its reason, and the
    stream goes on. `until` moves the clock on after the last event.
    """
    numbered = enumerate(lines, 1)
    take, read = lanes(engine), reader(engine.program)
    with rare_collections():
        while some := list(islice(numbered, batch)):
            found = [line for number, data in some if (line := read(number, data)) is not None]
            acked = handle_batch(engine, take, found)
            engine.commit()
            if acknowledge is not None and acked:
                acknowledge(acked)
    if until is not None:
        engine.advance(until)
    engine.waits.sweep()
    engine.commit()


@contextmanager
def rare_collections() -> Iterator[None]:
    """Lets Python look for cycles a tenth as often: a batch makes many objects and no cycle."""
    before = gc.get_threshold()
    gc.set_threshold(10 * before[0], before[1], before[2])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def handle_batch(engine: Engine, take: Take, read: list[Line]) -> list[str]:
    """Handles lines; the ids of those that are new. `receipt` of a line says what became of it.

    Nothing is durable before `engine.commit`.
    """
    # Ids of one source, which stay keys of `here` below: no pair is made twice.
    keys = [(line.source, line.id) for line in read]
    known = engine.state.store.known(
        [key for key, line in zip(keys, read, strict=True) if line.reason is None]
    )
    here: dict[tuple[str, str], str] = {}
    refused: set[tuple[str, str]] = set()
    acked: list[str] = []
    limit: datetime | None = None
    counts = engine.counts
    counts.read += len(read)
    for key, line in zip(keys, read, strict=True):
        if line.reason is not None:
            _malformed(engine, line)
            continue
        if line.time is None and not _timed(engine, line):
            continue
        if line.owner is not None and _foreign(engine, line):
            continue
        if key in here or key in known:
            if key in here:
                seen = here[key], "rejected" if key in refused else "handled"
            else:
                seen = _logged(engine, line, known[key])
            if not _new_version(engine, line, seen):
                continue
            refused.discard(key)
        if limit is None or line.time > limit:
            limit, beyond = _limit(engine.clock, line.time)
        else:
            beyond = None
        if beyond is None and line.references is not None and take(line):
            counts.handled += 1
        else:
            if _submit(engine, line, beyond) == "rejected":
                refused.add(key)
        here[key] = line.raw
        acked.append(line.id)
    return acked


def _limit(clock: datetime | None, at: datetime) -> tuple[datetime | None, str | None]:
    """Up to when events may come as things stand, and why an instant is not among them."""
    if clock is None:
        if FIRST_YEAR <= at.year <= LAST_YEAR:
            return None, None
        return None, f"its time is not between the years {FIRST_YEAR} and {LAST_YEAR}"
    last = clock.year + YEARS_AHEAD
    # On the last day of February that year may have no such day: a day earlier is as good.
    limit = clock.replace(year=last, day=min(clock.day, 28))
    if at <= limit:
        return limit, None
    return limit, f"its time is more than {YEARS_AHEAD} years after that of the events before it"


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
    if before == line.raw or _content(before) == content:
        return _duplicate(engine, line)
    state = engine.state
    if state.get("_replaced", _replaced_key(line, content)) is not None:
        return _duplicate(engine, line)
    if status == "rejected":
        replaced = _replaced_key(line, _content(before))
        state.put("_replaced", replaced, {"id": replaced})
        return True
    key = f"conflict|{line.source}|{line.id}|{_digest(line.raw)}"
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
        found = _decode_any(raw)
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
    return f"malformed|{line.number}|{_digest(line.raw)}"


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


def _digest(raw: str) -> str:
    return sha256(raw.encode("utf-8", "surrogatepass")).hexdigest()[:16]


# --- reading ---------------------------------------------------------------------------------


def reader(program: Program, named: bool = False) -> Read:
    """What makes a line's bytes an event, or says why they are none; None where it is blank.

    `named`: an event without an `id` is none, since it can't be told from a second one.
    """
    typed = typed_decoder(program)

    def carefully(number: int, data: bytes) -> Line | None:
        return _read_carefully(number, data, named)

    if typed is None:
        return carefully
    decode, shapes = typed
    instant = datetime.fromisoformat

    def read(number: int, data: bytes) -> Line | None:
        try:
            found = decode(data)
            stamp = found.time
            at = instant(stamp)
            if at.tzinfo is UTC and (len(data) <= SHALLOW or _is_plain(data)):
                type_, payload, references = shapes[type(found)]
                raw = data.decode().strip()
                return Line(number, raw, found.id, type_, at, payload(found), stamp, references)
        except (msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError):
            pass  # Read with care, for a reason that its author understands.
        return carefully(number, data)

    return read


def _is_plain(data: bytes) -> bool:
    """Whether a line is neither too long nor nested too deeply."""
    return len(data) <= MAX_LINE and not too_deep(data)


def too_deep(data: bytes) -> bool:
    """Whether JSON is nested deeper than anything here reads."""
    if data.count(b"{") + data.count(b"[") <= MAX_NESTING:
        return False
    depth = deepest = 0
    for byte in _TEXTS.sub(b"", data):
        if byte in b"{[":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"}]":
            depth -= 1
    return deepest > MAX_NESTING


def _read_carefully(number: int, data: bytes, named: bool) -> Line | None:
    """A line of any shape."""
    if number == 1:
        data = data.removeprefix(codecs.BOM_UTF8)
    if len(data) > MAX_LINE:
        line = Line(number, data[:1000].decode("utf-8", "replace"))
        line.reason = f"the line is longer than {MAX_LINE:,} bytes"
        return line
    try:
        raw = data.decode().strip()
    except UnicodeDecodeError:
        line = Line(number, data.decode("utf-8", "replace").strip())
        line.reason = "the line is not UTF-8"
        return line
    if not raw:
        return None
    line = Line(number, raw)
    if too_deep(data):
        line.reason = f"the JSON is nested more than {MAX_NESTING} deep"
        return line
    try:
        envelope = _decode(raw)
        _fill(line, envelope, named)
    except msgspec.ValidationError:
        line.reason = _shape(raw)
    except msgspec.DecodeError as error:
        line.reason = f"the line is no JSON: {str(error)[:200]}"
    except RecursionError:
        line.reason = "the JSON is nested too deeply"
    except BizError as error:
        line.reason = str(error)
    except (ValueError, ArithmeticError):
        line.reason = "the line has a number that is out of bounds"
    return line


def _shape(raw: str) -> str:
    try:
        found = _decode_any(raw)
    except (msgspec.DecodeError, RecursionError, ValueError, ArithmeticError):
        return "the line is no JSON that can be read"
    if not isinstance(found, dict):
        return "an event is a JSON object, and this is none"
    if "type" not in found:
        return "the event has no `type`"
    return "the event's `type` must be text"


def _fill(line: Line, envelope: Envelope, named: bool) -> None:
    id_, source = envelope.id, envelope.source
    if id_ is None and named:
        raise BizError("the event has no `id`, which tells a second try from a second event")
    if id_ is None:
        id_ = f"line-{line.number}-{_digest(line.raw)}"
    if isinstance(id_, int) and not isinstance(id_, bool):
        id_ = str(id_)
    if not isinstance(id_, str) or not id_ or len(id_) > MAX_ID:
        raise BizError(f"the event's `id` must be text of at most {MAX_ID} characters")
    if not isinstance(source, str) or source == INTERNAL or len(source) > MAX_ID:
        raise BizError("the event's `source` must be text, and `bizrun` is reserved")
    if envelope.corrects is not None and not isinstance(envelope.corrects, str):
        raise BizError("the event's `corrects` must be the id of the event that it replaces")
    if not envelope.type or len(envelope.type) > MAX_ID:
        raise BizError(f"the event's `type` must be text of at most {MAX_ID} characters")
    line.id, line.type, line.source = id_, envelope.type, source
    line.time, line.stamp = _time(envelope.time), envelope.time
    line.data, line.subject, line.corrects = envelope.data, envelope.subject, envelope.corrects


def _time(value: Any) -> Any:
    if value is None:
        return None
    if not isinstance(value, str):
        raise BizError("the event's `time` must be text like 2026-01-31T09:00:00Z")
    try:
        found = datetime.fromisoformat(value)
        if found.tzinfo is None:
            raise ValueError
        return found if found.tzinfo is UTC else found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise BizError(
            f"the event's `time` `{value[:40]}` is no instant like 2026-01-31T09:00:00Z"
        ) from None


def read_lines(file: Any) -> Iterator[bytes]:
    """The lines of a binary file, bounded: what is longer than a line may be is cut there."""
    while data := file.readline(MAX_LINE + 2):
        yield data
        while len(data) > MAX_LINE and not data.endswith(b"\n"):
            data = file.readline(MAX_LINE + 2)
