"""What a text says that came from outside without a type: an amount, an instant, a date, …"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from ..currencies import EXPONENTS
from ..errors import EvalError
from .amounts import Money, money
from .duration import Duration
from .numbers import number
from .percent import Percent
from .text import instant


def percent_in(text: str) -> Percent | None:
    """`15%`, or none."""
    return Percent.of(Decimal(number(text[:-1]))) if text.endswith("%") else None


def duration_in(text: str) -> Duration | None:
    """`14 days`, `1 hour 30 minutes` as it prints, or ISO 8601 `P14D`; none where it is neither."""
    if text.startswith("P"):
        return Duration.from_iso(text)
    words = text.split(" ")
    try:
        parts = [
            Duration.of(number(count), unit)
            for count, unit in zip(words[::2], words[1::2], strict=True)
        ]
    except (KeyError, ValueError):
        return None
    return Duration(
        sum(part.months for part in parts),
        sum(part.days for part in parts),
        sum(part.micros for part in parts),
    )


def money_in(text: str) -> Money | None:
    """`29.00 USD` of a currency of ISO 4217, or none: what a text of an undeclared payload is read
    as, since money in data is written so (CLI.md, Events)."""
    if text[-4:-3] != " " or text[-3:] not in EXPONENTS:
        return None
    try:
        return money(text)
    except (EvalError, ArithmeticError):
        return None


_READERS: Mapping[str, Callable[[str], Any]] = {
    "money": money_in,
    "time": instant,
    "date": date.fromisoformat,
    "duration": duration_in,
    "percent": percent_in,
}


def written(text: str, *kinds: str) -> Any:
    """The text as the first of these kinds that it is written like; the text itself where it is
    like none. Kinds that are never written as text are passed over."""
    for kind in kinds:
        reader = _READERS.get(kind)
        if reader is None:
            continue
        try:
            found = reader(text)
        except (EvalError, ValueError, ArithmeticError):
            continue
        if found is not None:
            return found
    return text
