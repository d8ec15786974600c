"""Lines of a stream, read: what each says, or the reason why it is no event."""

from __future__ import annotations

import base64
import binascii
import codecs
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from hashlib import sha256
from itertools import islice
from typing import Any

import msgspec

from ..errors import BizError
from ..ir.program import Program
from ..model import Receipt
from ..store.base import INTERNAL
from ..values import instant_text, leap_second
from .typed import MAX_ID, Shape, Typed, typed_decoder

MAX_LINE = 1_000_000
MAX_NESTING = 100
SHALLOW = 2 * MAX_NESTING  # a line of so many bytes can't be nested deeper
LAST_MICRO = 999_999
SPECVERSION = "1.0"  # of CloudEvents
# A text, also one that never ends: looked for again behind each of its quotes it would take hours.
_TEXTS = re.compile(rb'(?s)"(?>(?:[^"\\]|\\.)*)(?:"|\\?\Z)')
_UNFIT = (msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError)


class Envelope(msgspec.Struct, gc=False):
    """A CloudEvent as it stands on a line; what else is there is kept in the raw text."""

    type: str
    id: Any = None
    source: Any = ""
    time: Any = None
    data: Any = None
    data_base64: Any = None
    datacontenttype: Any = None
    subject: Any = None
    corrects: Any = None
    specversion: Any = SPECVERSION


_decode_envelope = msgspec.json.Decoder(Envelope, float_hook=Decimal, strict=True).decode
decode_any = msgspec.json.Decoder(float_hook=Decimal).decode


class Line(msgspec.Struct, gc=False):
    """One line on its way: what its event will be made of, or the reason why it is none.

    `item` is what it was decoded to, where it fits its declaration but for what it refers to and
    nothing of it was changed since. `receipt` is what became of it, none where it was simply
    handled. `owner` is the customer who sends it and whose alone it may be, none where it may be
    anybody's.
    """

    number: int
    raw: str
    id: str = ""
    type: str = ""
    time: Any = None
    data: Any = None
    stamp: Any = None
    source: str = ""
    subject: Any = None
    reason: str | None = None
    receipt: Receipt | None = None
    corrects: str | None = None
    owner: str | None = None
    item: Any = None


class Batch:
    """Some lines of a stream, column by column.

    `items` are what lines were decoded to: objects of the classes in `shapes`, which fit their
    declaration but for what they refer to, and else `Line`s, read with care (`plain` if none is).
    `data` are the lines' bytes, `numbers` their places in the stream; blank lines are left out.
    `whole`: each has its end and no other, but for the last of a stream.
    """

    __slots__ = ("data", "ids", "items", "lines", "numbers", "plain", "shapes", "times", "whole")

    def __init__(
        self, numbers: Sequence[int], data: list[bytes], items: list[Any], times: list[Any],
        shapes: dict[type, Shape], plain: bool, whole: bool, lines: list[Line] | None = None,
    ) -> None:  # fmt: skip
        self.numbers = numbers
        self.data = data
        self.items = items
        self.times = times
        self.ids: list[str] = [item.id for item in items]
        self.shapes = shapes
        self.plain = plain
        self.whole = whole
        self.lines = lines

    def line(self, place: int) -> Line:
        """One of them by itself."""
        if self.lines is not None:
            return self.lines[place]
        item = self.items[place]
        if type(item) is Line:
            return item
        shape = self.shapes[type(item)]
        raw = self.data[place].decode().strip()
        data = shape.payload(item.data)
        time = self.times[place]
        return Line(self.numbers[place], raw, item.id, shape.type, time, data, item.time)

    def text(self, start: int, stop: int) -> bytes:
        """The bytes of some lines, each with its end."""
        lines = self.data[start:stop]
        text = b"".join(lines)
        if not (text.endswith(b"\n") and (self.whole or text.count(b"\n") == len(lines))):
            # The last one has no end, or the lines were given without.
            text = b"".join([line.strip().replace(b"\n", b" ") + b"\n" for line in lines])
        return text


class Reader:
    """Reads lines for one program.

    `named`: an event without an `id` is none, since it can't be told from a second one.
    """

    def __init__(self, program: Program, named: bool = False) -> None:
        typed = typed_decoder(program) or Typed(_nothing, _nothing, {})
        self._decode, self._full, self.shapes = typed
        self._named = named

    def line(self, number: int, data: bytes) -> Line | None:
        """One line by itself; None where it is blank."""
        batch = self.batch(number, [data])
        if not batch.items:
            return None
        line = batch.line(0)
        line.item = batch.items[0] if batch.plain else None
        return line

    def batch_of(self, lines: list[Line]) -> Batch:
        """Some lines that were read one by one."""
        items = [line.item if _is_typed(line) else line for line in lines]
        data = [line.raw.encode("utf-8", "surrogatepass") for line in lines]
        times = [line.time for line in lines]
        numbers = [line.number for line in lines]
        plain = all(map(_is_typed, lines))
        return Batch(numbers, data, items, times, self.shapes, plain, False, lines)

    def batch(self, first: int, data: list[bytes], whole: bool = False) -> Batch:
        """Some lines, the first of them with this number; `whole` as in `Batch`."""
        numbers = range(first, first + len(data))
        items: list[Any]
        try:
            items = self._decoded(data)
            times = list(map(datetime.fromisoformat, [item.time for item in items]))
            zones = [time.tzinfo for time in times]
            fine = zones.count(UTC) == len(zones) and _are_plain(data)
        except _UNFIT:
            fine = False
        if not fine:
            return self._mixed(numbers, data, whole)
        return Batch(numbers, data, items, times, self.shapes, True, whole)

    def _decoded(self, data: list[bytes]) -> list[Any]:
        """What lines are decoded to, where all fit."""
        try:
            return list(map(self._decode, data))
        except msgspec.MsgspecError:
            if self._decode is self._full:
                raise
            items = list(map(self._full, data))
            # A stream of which some say more is one of which others will.
            self._decode = self._full
            return items

    def _mixed(self, numbers: Sequence[int], data: list[bytes], whole: bool) -> Batch:
        """Lines among which some need a careful reading."""
        found: list[tuple[int, bytes, Any, Any]] = []
        for number, line in zip(numbers, data, strict=True):
            item: Any
            time: Any
            try:
                item = self._full(line)
                time = datetime.fromisoformat(item.time)
                fine = time.tzinfo is UTC and _are_plain([line])
            except _UNFIT:
                fine = False
            if not fine:
                item = _read_carefully(number, line, self._named)
                time = item and item.time
            if item is not None:
                found.append((number, line, item, time))
        places, lines, items, times = map(list, zip(*found, strict=True)) if found else ([],) * 4
        return Batch(places, lines, items, times, self.shapes, False, whole)


def _is_typed(line: Line) -> bool:
    return line.item is not None and line.reason is None


def _nothing(data: bytes) -> Any:
    raise ValueError


def _are_plain(data: list[bytes]) -> bool:
    """Whether no line is too long or nested too deeply; UnicodeDecodeError where one is no text."""
    # In what it skips the decoder takes any bytes.
    text = b"".join(data)
    if not text.isascii():
        text.decode()
    return max(map(len, data), default=0) <= SHALLOW or not any(
        len(line) > SHALLOW and (len(line) > MAX_LINE or too_deep(line)) for line in data
    )


# --- with care -------------------------------------------------------------------------------


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
        line.reason = f"the line is not UTF-8{_coding(data) if number == 1 else ''}"
        return line
    if not raw:
        return None
    line = Line(number, raw)
    if too_deep(data):
        line.reason = f"the JSON is nested more than {MAX_NESTING} deep"
        return line
    try:
        envelope = _decode_envelope(raw)
        _fill(line, envelope, named)
    except msgspec.ValidationError:
        line.reason = _shape(raw)
    except msgspec.DecodeError as error:
        line.reason = f"the line is no JSON: {flaw(raw, error)}"
    except RecursionError:
        line.reason = "the JSON is nested too deeply"
    except BizError as error:
        line.reason = str(error)
    except (ValueError, ArithmeticError):
        line.reason = "the line has a number that is out of bounds"
    return line


# Escapes in JSON's texts; a character beyond U+FFFF is two of them.
_ESCAPES = re.compile(
    r"\\(?:u(?P<high>d[89ab][\da-f]{2})(?P<pair>\\ud[c-f][\da-f]{2})?"
    r"|u(?P<low>d[c-f][\da-f]{2})|.)",
    re.IGNORECASE | re.DOTALL,
)


def flaw(text: str, error: Exception) -> str:
    """What keeps a text from being JSON; of half a character the decoder tells nothing useful."""
    for found in _ESCAPES.finditer(text):
        half = found["low"] or (found["high"] if not found["pair"] else None)
        if half:
            return f"`\\u{half}` is half of a character, and its other half is missing"
    return str(error)[:200]


_CODINGS = (
    ((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE), "; the file is UTF-16: write it as UTF-8"),
    ((b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PK\x03\x04"), "; the file is packed: unpack it first"),
)


def _coding(data: bytes) -> str:
    """What a file is by its first bytes, which is no text in UTF-8."""
    return next((hint for heads, hint in _CODINGS if data.startswith(heads)), "")


def _shape(raw: str) -> str:
    try:
        found = decode_any(raw)
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
        id_ = f"line-{line.number}-{digest(line.raw)}"
    if isinstance(id_, int) and not isinstance(id_, bool):
        id_ = str(id_)
    if not isinstance(id_, str) or not id_ or len(id_) > MAX_ID:
        raise BizError(f"the event's `id` must be text of 1 to {MAX_ID} characters")
    if not isinstance(source, str) or source == INTERNAL or len(source) > MAX_ID:
        raise BizError("the event's `source` must be text, and `bizrun` is reserved")
    if envelope.corrects is not None and not isinstance(envelope.corrects, str):
        raise BizError("the event's `corrects` must be the id of the event that it replaces")
    if not envelope.type or len(envelope.type) > MAX_ID:
        raise BizError(f"the event's `type` must be text of 1 to {MAX_ID} characters")
    line.id, line.type, line.source = id_, envelope.type, source
    if envelope.specversion != SPECVERSION:
        shown = str(envelope.specversion)[:40]
        raise BizError(f"the event's `specversion` is {shown}: {SPECVERSION} is what is read")
    line.time, line.stamp = _time(envelope.time), envelope.time
    if line.time is not None and line.time.microsecond == LAST_MICRO:
        line.stamp = instant_text(line.time)  # a leap second is written as what it is read as
    if envelope.data_base64 is not None:
        envelope.data = _coded(envelope)
    line.data, line.subject, line.corrects = envelope.data, envelope.subject, envelope.corrects


def _coded(envelope: Envelope) -> Any:
    """The data of an event that has it as bytes: JSON, as all data is here."""
    kind = envelope.datacontenttype
    kind = "application/json" if kind is None else str(kind).partition(";")[0].strip().lower()
    if envelope.data is not None:
        raise BizError("the event has both `data` and `data_base64`")
    if kind != "application/json" and not kind.endswith("+json"):
        raise BizError(f"the event's data is {kind[:60]}, and only JSON is read")
    try:
        coded = base64.b64decode(str(envelope.data_base64), validate=True)
        if too_deep(coded):
            raise BizError(f"the JSON is nested more than {MAX_NESTING} deep")
        return decode_any(coded)
    except (binascii.Error, UnicodeError, msgspec.DecodeError):
        raise BizError("the event's `data_base64` is no JSON in base64") from None


def _time(value: Any) -> Any:
    if value is None:
        return None
    if not isinstance(value, str):
        raise BizError("the event's `time` must be text like 2026-01-31T09:00:00Z")
    try:
        found = datetime.fromisoformat(value.upper())  # RFC 3339, 5.6: `t` and `z` are fine
        if found.tzinfo is None:
            raise ValueError
        return found if found.tzinfo is UTC else found.astimezone(UTC)
    except (ValueError, OverflowError):
        leap = leap_second(value.upper())
        if leap is not None:
            return leap
        raise BizError(
            f"the event's `time` `{value[:40]}` is no instant like 2026-01-31T09:00:00Z"
        ) from None


def digest(raw: str) -> str:
    """A short name of a line's text."""
    return sha256(raw.encode("utf-8", "surrogatepass")).hexdigest()[:16]


class FileLines:
    """The lines of a binary file, bounded: what is longer than a line may be is cut there.

    `lies`: all of it is there, and nobody is waited for.
    """

    def __init__(self, file: Any) -> None:
        self.lies: bool = file.seekable()
        self._pieces = iter(partial(file.readline, MAX_LINE + 2), b"")
        self._cut = False  # whether what comes next is the rest of a line

    def __iter__(self) -> Iterator[bytes]:
        while some := self.take(1):
            yield from some

    def take(self, count: int) -> list[bytes]:
        """The next lines, as many or fewer; none at the end."""
        while some := list(islice(self._pieces, count)):
            if not self._cut and max(map(len, some)) <= MAX_LINE:
                return some
            if found := list(self._begun(some)):
                return found
        return []

    def _begun(self, pieces: list[bytes]) -> Iterator[bytes]:
        """The beginnings of lines among some pieces."""
        for piece in pieces:
            if not self._cut:
                yield piece
            self._cut = len(piece) > MAX_LINE and not piece.endswith(b"\n")


def read_lines(file: Any) -> FileLines:
    """The lines of a binary file; see `FileLines`."""
    return FileLines(file)
