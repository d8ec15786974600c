"""Durations: calendar months and days, and exact time."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import total_ordering
from typing import Any

from ..errors import EvalError
from .numbers import Number, check_number, divide, number_text
from .percent import Percent

_MINUTE = 60_000_000
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR


@total_ordering
class Duration:
    """Calendar months and days, and exact microseconds; `1 year` is 12 months."""

    __slots__ = ("days", "micros", "months")
    months: int
    days: int
    micros: int

    def __init__(self, months: int = 0, days: int = 0, micros: int = 0) -> None:
        self.months = months
        self.days = days
        self.micros = micros

    @staticmethod
    def of(count: Number, unit: str) -> Duration:
        """`of(14, "days")`; the unit in singular or plural. Parts of calendar units refused."""
        per = _UNITS[unit.rstrip("s") if unit != "s" else unit]
        if isinstance(count, Decimal) and (per.months or per.days) and count != int(count):
            raise EvalError(f"{number_text(count)} {unit}: calendar units come whole")
        return per.times(count)

    def times(self, factor: Number) -> Duration:
        """So many times as long; parts only of what is exact."""
        if isinstance(factor, int) or factor == int(factor):
            whole = int(factor)
            return Duration(self.months * whole, self.days * whole, self.micros * whole)
        if self.months or self.days:
            raise EvalError(f"{self} × {number_text(factor)}: calendar units come whole")
        return Duration(micros=int((self.micros * factor).to_integral_value()))

    def __repr__(self) -> str:
        return f"Duration('{self}')"

    def __str__(self) -> str:
        """In the largest units that are whole: `2 weeks` prints as `14 days`."""
        parts: list[tuple[Number, str]] = []
        years, months = divmod(abs(self.months), 12)
        sign = -1 if self.months < 0 else 1
        parts += [(years * sign, "year"), (months * sign, "month"), (self.days, "day")]
        rest = abs(self.micros)
        sign = -1 if self.micros < 0 else 1
        for size, name in ((_HOUR, "hour"), (_MINUTE, "minute")):
            count, rest = divmod(rest, size)
            parts.append((count * sign, name))
        parts.append((Decimal(rest * sign).scaleb(-6), "second"))
        texts = [f"{number_text(n)} {name}{'' if abs(n) == 1 else 's'}" for n, name in parts if n]
        return " ".join(texts) or "0 seconds"

    def iso(self) -> str:
        """ISO 8601: `P14D`, `P1M`, `PT30M`."""
        text = "P"
        if self.months:
            text += f"{self.months}M"
        if self.days:
            text += f"{self.days}D"
        if self.micros:
            seconds = Decimal(self.micros).scaleb(-6)
            text += f"T{number_text(seconds)}S"
        return text if text != "P" else "PT0S"

    @staticmethod
    def from_iso(text: str) -> Duration:
        """Reads what `iso` writes, and weeks, years, hours and minutes too."""
        found = _ISO_DURATION.match(text)
        if not found or text in ("P", "PT"):
            raise EvalError(f"`{text[:40]}` is no duration of ISO 8601")
        years, months, weeks, days, hours, minutes = (int(g or 0) for g in found.groups()[:6])
        seconds = Decimal(found[7] or 0)
        micros = hours * _HOUR + minutes * _MINUTE + int(seconds.scaleb(6))
        return Duration(years * 12 + months, weeks * 7 + days, micros)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Duration):
            return NotImplemented
        return self._key() == other._key()

    def _key(self) -> tuple[int, int]:
        return (self.months, self.days * _DAY + self.micros)

    def __hash__(self) -> int:
        return hash(self._key())

    def __lt__(self, other: Duration) -> bool:
        months, micros = self._key()
        other_months, other_micros = other._key()
        if months != other_months and micros != other_micros:
            raise EvalError(f"`{self}` and `{other}` need a date to be compared")
        return (months, micros) < (other_months, other_micros)

    def __bool__(self) -> bool:
        return bool(self.months or self.days or self.micros)

    def __neg__(self) -> Duration:
        return Duration(-self.months, -self.days, -self.micros)

    def __abs__(self) -> Duration:
        return -self if self < Duration() else self

    def __add__(self, other: Duration) -> Duration:
        if not isinstance(other, Duration):
            return NotImplemented
        return Duration(
            self.months + other.months, self.days + other.days, self.micros + other.micros
        )

    def __sub__(self, other: Duration) -> Duration:
        return self + -other if isinstance(other, Duration) else NotImplemented

    def __mul__(self, other: Any) -> Duration:
        match other:
            case bool():
                return NotImplemented
            case int() | Decimal():
                return self.times(other)
            case Percent():
                return self.times(check_number(other.rate))
        return NotImplemented

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Any:
        match other:
            case Duration():
                (months, micros), (other_months, other_micros) = self._key(), other._key()
                if not months and not other_months:
                    return divide(micros, other_micros)
                if not micros and not other_micros:
                    return divide(months, other_months)
                raise EvalError(f"`{self}` and `{other}` need a date to be divided")
            case int() | Decimal():
                if self.months or self.days:
                    raise EvalError(f"{self} can't be divided: calendar units come whole")
                return Duration(micros=int(divide(self.micros, other)))
        return NotImplemented


_UNITS = {
    "microsecond": Duration(micros=1),
    "second": Duration(micros=1_000_000),
    "minute": Duration(micros=_MINUTE),
    "hour": Duration(micros=_HOUR),
    "day": Duration(days=1),
    "week": Duration(days=7),
    "month": Duration(months=1),
    "quarter": Duration(months=3),
    "year": Duration(months=12),
}

_ISO_DURATION = re.compile(
    r"P(?:(-?\d{1,6})Y)?(?:(-?\d{1,6})M)?(?:(-?\d{1,6})W)?(?:(-?\d{1,7})D)?"
    r"(?:T(?:(-?\d{1,9})H)?(?:(-?\d{1,9})M)?(?:(-?\d{1,12}(?:\.\d{1,6})?)S)?)?\Z"
)
