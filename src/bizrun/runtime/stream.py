"""Runs a stream of events: lines in, batches out, each acknowledged after its commit."""

from __future__ import annotations

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


_decode = msgspec.json.Decoder(Envelope, float_hook=Decimal, strict=True).decode
_decode_any = msgspec.json.Decoder(float_hook=Decimal).decode


class Line:
    """One line on its way: its event, or why it is none."""

    __slots__ = ("event", "id", "number", "raw", "reason", "source")

    def __init__(self, number: int, raw: str) -> None:
        self.number = number
        self.raw = raw
        self.event: Event | None = None
        self.reason: str | None = None
        self.id = ""
        self.source = ""


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
    while some := list(islice(numbered, batch)):
        acked = _handle_batch(engine, some)
        engine.commit()
        if acknowledge is not None and acked:
            acknowledge(acked)
    if until is not None:
        engine.advance(until)
        engine.commit()


def _handle_batch(engine: Engine, some: list[tuple[int, bytes]]) -> list[str]:
    read = [line for number, data in some if (line := _read(number, data)) is not None]
    wanted = [(line.source, line.id) for line in read if line.reason is None]
    known = engine.state.store.known(wanted)
    here: dict[tuple[str, str], str] = {}
    acked = []
    for line in read:
        engine.counts.read += 1
        if line.reason is not None:
            _malformed(engine, line)
            continue
        key = (line.source, line.id)
        if key in here or key in known:
            if not _new_version(engine, line, known.get(key), here.get(key)):
                continue
        here[key] = line.raw
        if _submit(engine, line):
            acked.append(line.id)
    return acked


def _submit(engine: Engine, line: Line) -> bool:
    event = line.event
    assert event is not None
    counts = engine.counts
    if event.time is None:
        if engine.clock is None:
            _malformed(engine, line, "it has no `time`, and no event before it has one")
            return False
        event.time = engine.clock
    receipt = engine.submit(event, line.raw)
    match receipt.status:
        case "rejected":
            counts.rejected += 1
            counts.refusals.append(
                {"id": event.id, "type": event.type, "reason": receipt.reason}
            )
            return True
        case "unmatched":
            counts.unmatched += 1
    counts.handled += 1
    return True


# --- duplicates ------------------------------------------------------------------------------


def _new_version(engine: Engine, line: Line, known: Known | None, here: str | None) -> bool:
    """Whether an event whose id was seen is to be handled: a refused one that was corrected.

    The same id with another payload is kept as a conflict; the first one stands.
    """
    if here is not None:
        before, status = here, "handled"
    else:
        assert known is not None
        entry = engine.state.store.entry(known.seq)
        before, status = (entry.raw if entry else line.raw), known.status
    if before == line.raw or _content(before) == _content(line.raw):
        engine.counts.duplicate += 1
        return False
    if status == "rejected" and here is None:
        return True
    key = f"conflict|{line.source}|{line.id}|{_digest(line.raw)}"
    if engine.state.get("_dead", key) is not None:
        engine.counts.duplicate += 1
        return False
    reason = "another event with this id and another payload was taken before; the first stands"
    engine.counts.conflicts += 1
    _keep(engine, line, key, "conflict", reason)
    return False


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
    event = line.event
    now = engine.clock or datetime(1970, 1, 1, tzinfo=UTC)
    engine.counts.rejected += 1
    type_ = event.type if event else ""
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
    line.id, line.source = id_, source
    line.event = Event(
        id_, envelope.type, _time(envelope.time), {} if envelope.data is None else envelope.data,
        source, envelope.subject, stamp=envelope.time,
    )  # fmt: skip


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


