"""Invoice numbers from the business's format: `ACME-{year}-{seq:05}`."""

from __future__ import annotations

import re
from datetime import date
from functools import lru_cache

from ..values import show_as

_FIELD = re.compile(r"\{(\w*)(?::([^{}]*))?\}")
_WIDTHS = {"year": "04", "month": "02", "day": "02", "seq": ""}


def invoice_number(format_: str, day: date, seq: int) -> str:
    """The number of the seq-th invoice of its series; month and day have two digits."""
    before, width, after = _frame(format_, day)
    shown = format(seq, width) if not width or width.isdigit() else show_as(seq, width)
    return f"{before}{shown}{after}"


@lru_cache(maxsize=64)
def _frame(format_: str, day: date) -> tuple[str, str, str]:
    """What stands before and after the seq on a day, and the seq's own format."""
    before, found, after = format_, None, ""
    for found in _FIELD.finditer(format_):
        if found[1] == "seq":
            before, after = format_[: found.start()], format_[found.end() :]
            break
    width = found[2] if found is not None and found[2] is not None else ""
    shown = [_FIELD.sub(lambda field: _shown(field, day, 0), part) for part in (before, after)]
    return shown[0], width, shown[1]


@lru_cache(maxsize=64)
def series(format_: str, day: date) -> str:
    """What an invoice counts within: the number without its seq, so that `{year}` starts anew."""
    return _FIELD.sub(
        lambda found: "{seq}" if found[1] == "seq" else _shown(found, day, 0), format_
    )


def _shown(found: re.Match[str], day: date, seq: int) -> str:
    values = {"year": day.year, "month": day.month, "day": day.day, "seq": seq}
    width = found[2] if found[2] is not None else _WIDTHS[found[1]]
    if found[1] == "year" and width == "02":
        return f"{day.year % 100:02}"
    return show_as(values[found[1]], width)
