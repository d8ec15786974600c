"""Values in the form that a reader asks for: by a format, or as JSON."""

from __future__ import annotations

import re
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from ..errors import EvalError
from .amounts import Money
from .numbers import CONTEXT, number_text
from .text import show

_FORMAT = re.compile(r"(0?)(\d{0,2})(,?)(?:\.(\d{1,2}))?\Z")


def is_format(text: str) -> bool:
    """Whether `show_as` takes a format for numbers and texts."""
    return _FORMAT.match(text) is not None


def show_as(value: Any, format_: str, type: str | None = None) -> str:
    """A value by a format: `05` pads with zeros, `,` groups, `.2` fixes decimals, `%Y-%m` dates."""
    if isinstance(value, date) and "%" in format_:
        return value.strftime(format_)
    found = _FORMAT.match(format_)
    if not found:
        raise EvalError(f"`{format_}` is no format; try `05`, `.2`, `,` or, of dates, `%Y-%m`")
    zero, width, group, places = found.groups()
    suffix = ""
    if isinstance(value, Money):
        # The currency's own digits stay: `29.00`, not `29`.
        suffix, value = f" {value.currency}", Decimal(str(value).partition(" ")[0])
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        if places is not None:
            unit = Decimal(1).scaleb(-int(places))
            value = Decimal(value).quantize(unit, rounding=ROUND_HALF_UP, context=CONTEXT)
        text = format(value, f"{group}f") if isinstance(value, Decimal) else format(value, group)
    else:
        text = show(value, type)
    return text.rjust(int(width or 0), "0" if zero else " ") + suffix


def plain(value: Any) -> Any:
    """A value as a reader's JSON: money `"29.00 USD"`, instants RFC 3339, exact numbers."""
    kind = type(value)
    if kind is str or kind is int or value is None:
        return value
    if kind is Money:
        return str(value)
    match value:
        case bool() | str() | int():
            return value
        case Decimal():
            return number_text(value) if not value.is_finite() else value
        case list() | tuple():
            return [plain(item) for item in value]
        case dict():
            return {k: plain(v) for k, v in value.items()}
    return show(value)
