"""Runs a stream of events: lines in, batches out, each acknowledged after its commit."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from itertools import islice
from typing import Any

import msgspec

from ..errors import BizError
from ..model import Event
from ..store.base import INTERNAL, Known
from .engine import Engine
from .lane import Take, lanes

BATCH = 1000
MAX_LINE = 1_000_000
MAX_ID = 500

Acknowledge = Callable[[list[str]], None]


class Envelope(msgspec.Struct, gc=False):
    """A CloudEvent as it stands on a line; what else is there is kept in the raw text."""

    type: str
    id: Any = None
    source: Any = ""
    time: Any = None
    data: Any = None
    subject: Any = None
    corrects: Any = None


_instant = datetime.fromisoformat
_decode = msgspec.json.Decoder(Envelope, float_hook=Decimal, strict=True).decode
_decode_any = msgspec.json.Decoder(float_hook=Decimal).decode


class Line(msgspec.Struct, gc=False):
    """One line on its way: what its event will be made of, or the reason why it is none.

    `plain` where it has no source and no subject: the short way may take it.
    """

    number: int
    raw: str
    id: str = ""
    type: str = ""
    time: Any = None
    data: Any = None
    stamp: Any = None
    plain: bool = False
    source: str = ""
    subject: Any = None
    reason: str | None = None


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
    take = lanes(engine)
    while some := list(islice(numbered, batch)):
        acked = _handle_batch(engine, take, some)
        engine.commit()
        if acknowledge is not None and acked:
            acknowledge(acked)
    if until is not None:
        engine.advance(until)
        engine.commit()


def _handle_batch(engine: Engine, take: Take, some: list[tuple[int, bytes]]) -> list[str]:
    read = [line for number, data in some if (line := _read(number, data)) is not None]
    # Ids of one source, which stay keys of `here` below: no pair is made twice.
    keys = [(line.source, line.id) for line in read]
    known = engine.state.store.known(
        [key for key, line in zip(keys, read, strict=True) if line.reason is None]
    )
    here: dict[tuple[str, str], str] = {}
    refused: set[tuple[str, str]] = set()
    acked: list[str] = []
    counts = engine.counts
    counts.read += len(read)
    for key, line in zip(keys, read, strict=True):
        if line.reason is not None:
            _malformed(engine, line)
            continue
        if key in here or key in known:
            if key in here:
                seen = here[key], "rejected" if key in refused else "handled"
            else:
                seen = _logged(engine, line, known[key])
            if not _new_version(engine, line, seen):
                continue
            refused.discard(key)
        if line.plain and take(line.id, line.type, line.time, line.data, line.stamp, line.raw):
            counts.handled += 1
        else:
            status = _submit(engine, line)
            if status is None:
                continue
            if status == "rejected":
                refused.add(key)
        here[key] = line.raw
        acked.append(line.id)
    return acked


def _submit(engine: Engine, line: Line) -> str | None:
    """What became of a line's event; None where it is none after all."""
    counts = engine.counts
    if line.time is None:
        if engine.clock is None:
            _malformed(engine, line, "it has no `time`, and no event before it has one")
            return None
        line.time = engine.clock
    event = Event(
        line.id, line.type, line.time, {} if line.data is None else line.data, line.source,
        line.subject, stamp=line.stamp,
    )  # fmt: skip
    receipt = engine.submit(event, line.raw)
    match receipt.status:
        case "rejected":
            counts.rejected += 1
            counts.refusals.append(
                {"id": event.id, "type": event.type, "reason": receipt.reason}
            )
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
        engine.counts.duplicate += 1
        return False
    state = engine.state
    if state.get("_replaced", _replaced_key(line, content)) is not None:
        engine.counts.duplicate += 1
        return False
    if status == "rejected":
        replaced = _replaced_key(line, _content(before))
        state.put("_replaced", replaced, {"id": replaced})
        return True
    key = f"conflict|{line.source}|{line.id}|{_digest(line.raw)}"
    if state.get("_dead", key) is not None:
        engine.counts.duplicate += 1
        return False
    reason = "another event with this id and another payload was taken before; the first stands"
    engine.counts.conflicts += 1
    _keep(engine, line, key, "conflict", reason)
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
    key = f"malformed|{line.number}|{_digest(line.raw)}"
    if engine.state.get("_dead", key) is not None:
        engine.counts.duplicate += 1
        return
    engine.counts.malformed += 1
    _keep(engine, line, key, "malformed", reason or line.reason or "")


def _keep(engine: Engine, line: Line, key: str, status: str, reason: str) -> None:
    now = engine.clock or datetime(1970, 1, 1, tzinfo=UTC)
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


def _read(number: int, data: bytes) -> Line | None:
    """A line as an event, or with the reason why it is none; None where it is blank."""
    if len(data) < MAX_LINE:
        try:
            raw = data.decode().strip()
            envelope = _decode(raw)
            id_, stamp = envelope.id, envelope.time
            if (
                type(id_) is str
                and 0 < len(id_) <= MAX_ID
                and type(stamp) is str
                and 0 < len(envelope.type) <= MAX_ID
                and envelope.source == ""
                and envelope.subject is None
                and envelope.corrects is None
                and (at := _instant(stamp)).tzinfo is UTC
            ):
                return Line(number, raw, id_, envelope.type, at, envelope.data, stamp, True)
        except (msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError):
            pass  # Read with care, for a reason that its author understands.
    return _read_carefully(number, data)


def _read_carefully(number: int, data: bytes) -> Line | None:
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
    try:
        envelope = _decode(raw)
        _fill(line, envelope)
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


def _fill(line: Line, envelope: Envelope) -> None:
    id_, source = envelope.id, envelope.source
    if id_ is None:
        id_ = f"line-{line.number}-{_digest(line.raw)}"
    if isinstance(id_, int) and not isinstance(id_, bool):
        id_ = str(id_)
    if not isinstance(id_, str) or not id_ or len(id_) > MAX_ID:
        raise BizError(f"the event's `id` must be text of at most {MAX_ID} characters")
    if not isinstance(source, str) or source == INTERNAL or len(source) > MAX_ID:
        raise BizError("the event's `source` must be text, and `bizrun` is reserved")
    if not envelope.type or len(envelope.type) > MAX_ID:
        raise BizError(f"the event's `type` must be text of at most {MAX_ID} characters")
    line.id, line.type, line.source = id_, envelope.type, source
    line.time, line.stamp = _time(envelope.time), envelope.time
    line.data, line.subject = envelope.data, envelope.subject


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


