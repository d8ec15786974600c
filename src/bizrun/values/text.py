"""A value as text, the way an author would write it; instants as RFC 3339."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import lru_cache
from typing import Any

from msgspec.json import encode

from ..errors import EvalError
from .numbers import number_text, size_text

_WORD = re.compile(r"[^\W\d]\w*\Z")


def instant_text(value: datetime) -> str:
    """RFC 3339 in UTC: `2026-01-31T09:00:00Z`, with micros only where it has them."""
    # What isoformat says, in a tenth of the time; the text stands in quotes.
    return encode(value)[1:-1].decode()


_LEAP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d):60(?:\.\d+)?(Z|[+-]\d\d:\d\d)")
instant_stamp = lru_cache(maxsize=1 << 14)(instant_text)  # the same texts come again and again


def instant(text: str) -> datetime:
    """Reads an RFC 3339 instant with a zone or offset."""
    try:
        value = datetime.fromisoformat(text)
    except ValueError:
        leap = leap_second(text)
        if leap is None:
            raise EvalError(f"`{text[:40]}` is no instant like 2026-01-31T09:00:00Z") from None
        return leap
    if value.tzinfo is None:
        raise EvalError(f"`{text[:40]}` has no zone; end it with Z or an offset")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise EvalError(f"`{text[:40]}` is out of range") from None


def leap_second(text: str) -> datetime | None:
    """The instant of a leap second (RFC 3339, 5.7), which Python has none for: the last
    microsecond before it, so that it stays in its day and month. None where it is no such text."""
    found = _LEAP.fullmatch(text)
    try:
        value = datetime.fromisoformat(f"{found[1]}:59.999999{found[2]}") if found else None
        value = value.astimezone(UTC) if value is not None else None
    except (ValueError, OverflowError):
        return None
    return value if value is not None and (value.hour, value.minute) == (23, 59) else None


def show(value: Any, type: str | None = None) -> str:
    """A value as it prints inside a text: `1000`, `29.00 USD`, `2026-01-31`, `yes` as `true`."""
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int() | Decimal():
            return size_text(value) if type == "size" else number_text(value)
        case None:
            return "none"
        case datetime():
            return instant_text(value)
        case date():
            return value.isoformat()
        case time():
            return value.isoformat("minutes") if not value.second else value.isoformat()
        case list() | tuple():
            return "[" + ", ".join(show(item, type) for item in value) + "]"
        case dict():
            return "{ " + ", ".join(f"{k}: {show(v)}" for k, v in value.items()) + " }"
    return str(value)


def literal(value: Any) -> str:
    """A value as it is written in a spec: texts in quotes, also inside of lists and maps."""
    match value:
        case str():
            return quoted(value)
        case list() | tuple():
            return f"[{', '.join(map(literal, value))}]"
        case Mapping():
            inside = ", ".join(f"{key(name)}: {literal(item)}" for name, item in value.items())
            return f"{{ {inside} }}" if inside else "{}"
    return show(value)


def key(name: str) -> str:
    """A map's key as it is written: bare where it is a word."""
    return name if _WORD.match(name) else quoted(name)


def quoted(text: str) -> str:
    """A text between quotes that reads back as just that: braces are none of ours."""
    return '"' + re.sub(r"[{}]", r"\\\g<0>", escaped(text)) + '"'


def escaped(text: str) -> str:
    """What stands between quotes for a text, its `{expressions}` as they are."""
    slashed = re.sub(r'["\\]', r"\\\g<0>", text)
    return slashed.replace("\n", r"\n").replace("\t", r"\t")
