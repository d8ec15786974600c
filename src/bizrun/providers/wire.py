"""JSON on the wire: exact numbers both ways, the same bytes for the same values, bounded depth."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any

import msgspec

from ..errors import EvalError
from ..values import number, plain

MAX_DEPTH = 100
MAX_WAIT = timedelta(hours=24)


def encode(value: Any) -> bytes:
    """A value as JSON: money as `"29.00 USD"`, numbers exact."""
    return _encoder().encode(plain(value))


def decode(body: bytes) -> Any:
    """The value of a JSON text; ValueError where it is none, or one that is not taken."""
    try:
        found = _decoder()(body)
    except (msgspec.DecodeError, RecursionError, EvalError, UnicodeDecodeError):
        raise ValueError("the answer is no JSON that can be read") from None
    _bound(found, MAX_DEPTH)
    return found


def _bound(value: Any, left: int) -> None:
    if left == 0:
        raise ValueError(f"the answer is nested deeper than {MAX_DEPTH}")
    if isinstance(value, dict):
        for item in value.values():
            _bound(item, left - 1)
    elif isinstance(value, list):
        for item in value:
            _bound(item, left - 1)


@cache
def _encoder() -> msgspec.json.Encoder:
    return msgspec.json.Encoder(decimal_format="number")


@cache
def _decoder() -> Any:
    return msgspec.json.Decoder(float_hook=number).decode


def content(headers: Mapping[str, str], body: bytes) -> Any:
    """What a body says: JSON as a value, other text as text, anything else none."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if not body:
        return None
    if kind == "application/json" or kind.endswith("+json"):
        return decode(body)
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return text if kind.startswith("text/") or text.isprintable() else None


def retry_after(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """How long the other side asks to wait (RFC 9110, 10.2.3): seconds or a date; a day at most."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return min(timedelta(seconds=min(int(text[:9]), 10**6)), MAX_WAIT)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    left = (at if at.tzinfo else at.replace(tzinfo=UTC)) - now
    return min(max(left, timedelta(0)), MAX_WAIT)
