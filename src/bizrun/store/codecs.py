"""Values as columns of SQL: how each type is written and read, and how far SQL compares it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from ..errors import EvalError, StoreError
from ..lossless import money_exact, restored
from ..values import (
    CONTEXT,
    UNLIMITED,
    Duration,
    Money,
    Number,
    Percent,
    instant_stamp,
    number_text,
)
from .base import Column

_decode_json = msgspec.json.Decoder().decode
MAX = 2**63 - 1
MIN = -(2**63)


class Codec(NamedTuple):
    """How values of a type stand in a column, and how far SQL can compare them.

    `compare` is the expression that is compared, indexed and ordered by ({} is the column), with
    `bound` making the value beside it. `equal`: SQL finds just the equal ones; `ranges`: by
    operator, a condition that holds for all that match; `exact`: and for no others. `mark` is what
    stands for a value in a list of them.
    """

    sql: str
    encode: Callable[[Any], Any] | None = None
    decode: Callable[[Any], Any] | None = None
    compare: str = "{}"
    bound: Callable[[Any], Any] | None = None
    equal: bool = True
    ranges: Mapping[str, tuple[str, Callable[[Any], Any] | None]] = {}
    exact: bool = True
    mark: str = "?"


# --- values ----------------------------------------------------------------------------------


def encode_number(value: Number) -> int | str:
    """An int where it is whole and has 64 bits; else exact decimal text, or `unlimited`."""
    if type(value) is not int:
        if not value.is_finite():  # type: ignore[union-attr]
            return "unlimited" if value > 0 else "-unlimited"
        if value != (whole := int(value)):
            return number_text(value)
        value = whole
    return value if MIN <= value <= MAX else str(value)


def decode_number(value: int | str) -> Number:
    """The inverse of `encode_number`."""
    return value if type(value) is int else _number(value)


@lru_cache(maxsize=4096)
def _number(text: Any) -> Number:
    if text.endswith("unlimited"):
        return -UNLIMITED if text[0] == "-" else UNLIMITED
    return Decimal(text) if "." in text else int(text)


def encode_percent(value: Percent) -> str:
    """`15%`, whatever this thread's decimal context."""
    return f"{number_text(value.rate.scaleb(2, CONTEXT))}%" if value.rate else "0%"


@lru_cache(maxsize=1024)
def decode_percent(text: str) -> Percent:
    """The inverse of `encode_percent`."""
    return Percent(Decimal(_number(text[:-1])).scaleb(-2, CONTEXT))


def encode_time(value: datetime) -> str:
    """RFC 3339 in UTC: `2026-01-31T09:00:00Z`."""
    return instant_stamp(value if value.tzinfo is UTC else value.astimezone(UTC))


@lru_cache(maxsize=1 << 14)
def decode_time(text: str) -> datetime:
    """The inverse of `encode_time`."""
    if text[-1] != "Z":
        raise ValueError(text)
    return datetime.fromisoformat(text)


def encode_money(value: Money) -> str:
    """`29.00 USD`, as it is written everywhere."""
    return str(value)


@lru_cache(maxsize=4096)
def decode_money(text: str) -> Money:
    """The inverse of `str`; amounts come again."""
    return money_exact(text)


def decode_duration(text: str) -> Duration:
    """Reads what `Duration.iso` writes, of any length: `P1M14DT0.5S`."""
    days, _, seconds = text[1:].partition("T")
    months = 0
    if "M" in days:
        part, _, days = days.partition("M")
        months = int(part)
    micros = int(Decimal(seconds[:-1]).scaleb(6, CONTEXT)) if seconds else 0
    return Duration(months, int(days[:-1]) if days else 0, micros)


def decode_json(text: str) -> Any:
    """The inverse of `schema.json_text`."""
    found = _decode_json(text)
    # Every tag of an exact value begins with a $.
    return restored(found) if '"$' in text else found


UNREADABLE = (
    msgspec.DecodeError, ValueError, TypeError, ArithmeticError, LookupError, AttributeError,
    EvalError,
)  # fmt: skip


def unreadable(table: str, key: str, column: Column, value: Any) -> StoreError:
    """The failure for a stored value that this program did not write."""
    return StoreError(
        f"{table} `{key}`: `{str(value)[:60]}` in {column.name} is no {column.type} as bizrun "
        "writes it; another program has changed it: put it right there, or restore a backup"
    )
