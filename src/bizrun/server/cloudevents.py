"""Events in the body of a request: the HTTP binding of CloudEvents 1.0, and lines of JSON.

Here bodies become the bytes of single events; what those mean is `runtime/lines.py`'s to say.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import unquote_to_bytes

import msgspec

from ..runtime.lines import flaw
from .problems import Problem

Mode = Literal["structured", "batch", "lines", "binary"]

MAX_EVENTS = 10_000

_RAW = msgspec.json.Decoder(msgspec.Raw).decode
_RAWS = msgspec.json.Decoder(list[msgspec.Raw]).decode

_MODES: dict[str, Mode] = {
    "application/cloudevents+json": "structured",
    "application/cloudevents-batch+json": "batch",
    "application/x-ndjson": "lines",
    "application/ndjson": "lines",
    "application/jsonl": "lines",
}
_TAKEN = (
    "application/cloudevents+json, application/cloudevents-batch+json, application/x-ndjson, or "
    "application/json with one event or an array of them"
)
# Attributes of a binary event that an envelope has; others are kept as they came.
_PREFIX = b"ce-"
_ESCAPED = re.compile(rb"\\(.)")


def mode_of(content_type: str | None, headers: Mapping[bytes, bytes]) -> Mode:
    """How a body holds its events; a Problem (415) where it can't hold any."""
    kind, _, rest = (content_type or "application/json").partition(";")
    kind = kind.strip().lower()
    charset = _parameter(rest, "charset")
    if charset not in (None, "utf-8", "utf8", "us-ascii"):
        raise Problem(415, f"The charset {charset[:40]} is not taken: send UTF-8.")
    # The content type decides; an event in its own format may repeat its attributes as headers
    # (the HTTP binding of CloudEvents, 3 and 3.2.3).
    binary = b"ce-type" in headers or b"ce-id" in headers
    if binary and not kind.startswith("application/cloudevents"):
        if kind == "application/json" or kind.endswith("+json"):
            return "binary"
        raise Problem(415, f"An event's data is JSON here, not {kind[:60]}: send application/json.")
    if kind == "application/json":
        return "structured"
    mode = _MODES.get(kind)
    if mode is None:
        raise Problem(415, f"Events are not sent as {kind[:60]}: send {_TAKEN}.")
    return mode


def _parameter(text: str, wanted: str) -> str | None:
    for part in text.split(";"):
        name, _, value = part.partition("=")
        if name.strip().lower() == wanted:
            return value.strip().strip('"').lower()
    return None


def split(mode: Mode, body: bytes, headers: Mapping[bytes, bytes]) -> list[bytes]:
    """The bytes of each event of a body, in order; a Problem (400) where it holds none."""
    if mode == "lines":
        lines = [line for line in body.split(b"\n") if line.strip()]
        if not lines:
            raise Problem(400, "The body has no events: send one JSON object a line.")
        return _bounded(lines)
    if mode == "binary":
        return [_binary(body, headers)]
    if not body.strip():
        raise Problem(400, "The body is empty: send an event as JSON.")
    if mode == "structured" and not body.lstrip().startswith(b"["):
        return [body]
    try:
        return _bounded([bytes(raw) for raw in _RAWS(body)])
    except msgspec.ValidationError:
        raise Problem(400, "A batch of events is a JSON array, and this is none.") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem(
            400, f"The body is no JSON: {flaw(body.decode(errors='replace'), error)}."
        ) from None
    except RecursionError:
        raise Problem(400, "The JSON is nested too deeply.") from None


def _bounded(events: list[bytes]) -> list[bytes]:
    if len(events) > MAX_EVENTS:
        raise Problem(413, f"A body holds at most {MAX_EVENTS:,} events: send the rest in others.")
    return events


def _binary(body: bytes, headers: Mapping[bytes, bytes]) -> bytes:
    """The event whose attributes are headers and whose data is the body, as one JSON object."""
    event: dict[str, Any] = {}
    for name, value in headers.items():
        if name.startswith(_PREFIX):
            try:
                event[name[len(_PREFIX) :].decode("ascii")] = _attribute(value)
            except UnicodeDecodeError:
                shown = name.decode("ascii", "replace")
                raise Problem(400, f"The header {shown} is not UTF-8.") from None
    for body_is in ("data", "data_base64"):
        event.pop(body_is, None)
    if body.strip():
        try:
            event["data"] = _RAW(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Problem(
                400, f"The event's data is no JSON: {flaw(body.decode(errors='replace'), error)}."
            ) from None
        except RecursionError:
            raise Problem(400, "The JSON is nested too deeply.") from None
    return msgspec.json.encode(event)


def _attribute(value: bytes) -> str:
    """The text of an attribute's header: out of its double quotes, where it has some (RFC 9110,
    5.6.4), then percent-decoded once (the HTTP binding of CloudEvents, 3.1.3.2)."""
    if len(value) > 1 and value.startswith(b'"') and value.endswith(b'"'):
        value = _ESCAPED.sub(rb"\1", value[1:-1])
    return unquote_to_bytes(value).decode()
