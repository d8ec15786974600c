"""Money, percent, duration and their arithmetic: exact, immutable, never a binary float.

How each type of the language is held: number `int` or `Decimal`; money `Money`; percent
`Percent`; duration `Duration`; size `int` (bytes); time an aware UTC `datetime`; date `date`;
clock `time`; a reference to an entity its key as `str`; unlimited `Decimal("Infinity")`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import (
    MAX_EMAX,
    MIN_EMIN,
    ROUND_HALF_EVEN,
    ROUND_HALF_UP,
    Context,
    Decimal,
    DivisionByZero,
    InvalidOperation,
    Overflow,
    setcontext,
)
from functools import lru_cache, total_ordering
from typing import Any

from msgspec.json import encode

from .currencies import EXPONENTS, exponent
from .errors import EvalError

Number = int | Decimal
UNLIMITED = Decimal("Infinity")

MAX_DIGITS = 34
MAX_EXPONENT = 18

# Wide enough that a product of two numbers of 34 digits is exact; only division rounds.
CONTEXT = Context(
    prec=80,
    rounding=ROUND_HALF_EVEN,
    Emin=MIN_EMIN,
    Emax=MAX_EMAX,
    traps=[InvalidOperation, DivisionByZero, Overflow],
)
_DIVISION = Context(
    prec=MAX_DIGITS,
    rounding=ROUND_HALF_EVEN,
    traps=[InvalidOperation, DivisionByZero, Overflow],
)


def use_exact_arithmetic() -> None:
    """Makes this thread compute with the language's decimal context."""
    setcontext(CONTEXT.copy())


use_exact_arithmetic()

_NUMBER = re.compile(r"-?\d{1,40}(?:\.\d{1,40})?(?:[eE][+-]?\d{1,3})?\Z")


def number(text: str) -> Number:
    """Reads a decimal of at most 34 digits and 18 places; an int where it is whole."""
    if not _NUMBER.match(text):
        raise EvalError(f"`{text[:40]}` is no number of at most {MAX_DIGITS} digits")
    return check_number(Decimal(text))


def check_number(value: Number) -> Number:
    """The number itself, an int where it is whole; refused where it is out of bounds."""
    if isinstance(value, int):
        if value.bit_length() > 113 and abs(value) >= 10**MAX_DIGITS:
            raise EvalError(f"a number has more than {MAX_DIGITS} digits")
        return value
    if not value.is_finite():
        if value == UNLIMITED:
            return value
        raise EvalError(f"`{value}` is no number")
    if value.adjusted() >= MAX_DIGITS:
        raise EvalError(f"a number has more than {MAX_DIGITS} digits")
    _, digits, places = value.as_tuple()
    assert isinstance(places, int)
    if places < 0:
        value = value.normalize(CONTEXT)
        _, digits, places = value.as_tuple()
        assert isinstance(places, int)
        if places < 0:
            if -places > MAX_EXPONENT or len(digits) > MAX_DIGITS:
                value = _fit(value)
            return value
    return int(value)


def _fit(value: Decimal) -> Decimal:
    """A quotient with endless digits, cut to what is stored: 34 digits, 18 places."""
    places = min(MAX_EXPONENT, MAX_DIGITS - 1 - max(value.adjusted(), 0))
    return value.quantize(Decimal(1).scaleb(-places), context=CONTEXT).normalize(CONTEXT)


def divide(left: Number, right: Number) -> Number:
    """An exact quotient as far as 34 digits go, an int where it is whole."""
    if right == 0:
        raise EvalError("division by zero")
    quotient = _DIVISION.divide(Decimal(left), Decimal(right))
    whole = quotient.to_integral_value()
    return int(whole) if quotient == whole and quotient.is_finite() else quotient


def number_text(value: Number) -> str:
    """A number as an author would write it: `1000`, `0.5`, `unlimited`."""
    if isinstance(value, int):
        return str(value)
    if not value.is_finite():
        return "unlimited"
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


@lru_cache(maxsize=1 << 12)
def _money_text(amount: Decimal, currency: str) -> str:
    places = EXPONENTS.get(currency, 2)
    text = format(amount or abs(amount), "f")  # nothing has no sign
    whole, _, fraction = text.partition(".")
    fraction = fraction.rstrip("0").ljust(places, "0")
    return f"{whole}.{fraction} {currency}" if fraction else f"{whole} {currency}"


@total_ordering
class Money:
    """An exact amount of one ISO 4217 currency; sub-unit digits are kept until it is rounded."""

    __slots__ = ("_text", "amount", "currency")
    amount: Decimal
    currency: str
    _text: str | None  # kept, since prices are written again and again

    def __init__(self, amount: Decimal | int | str, currency: str) -> None:
        self.amount = amount if isinstance(amount, Decimal) else Decimal(amount)
        self.currency = currency
        self._text = None

    def __repr__(self) -> str:
        return f"Money('{self}')"

    def __str__(self) -> str:
        """`29.00 USD`: at least the digits of the minor unit, more where it has them."""
        text = self._text
        if text is None:
            text = self._text = _money_text(self.amount, self.currency)
        return text

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Money):
            return NotImplemented
        # Nothing is nothing in any currency: a sum of no rows equals 0 USD.
        return self.amount == other.amount and (self.currency == other.currency or not self.amount)

    def __hash__(self) -> int:
        return hash(self.amount)

    def __lt__(self, other: Money) -> bool:
        return self.amount < self._same(other)

    def __bool__(self) -> bool:
        return bool(self.amount)

    def __neg__(self) -> Money:
        return Money(-self.amount, self.currency)

    def __abs__(self) -> Money:
        return Money(abs(self.amount), self.currency)

    def __add__(self, other: Money) -> Money:
        same = type(other) is Money and other.currency == self.currency
        return Money(self.amount + (other.amount if same else self._same(other)), self.currency)

    def __sub__(self, other: Money) -> Money:
        same = type(other) is Money and other.currency == self.currency
        return Money(self.amount - (other.amount if same else self._same(other)), self.currency)

    def __mul__(self, other: Any) -> Money:
        match other:
            case bool():
                return NotImplemented
            case int() | Decimal():
                return Money(self.amount * other, self.currency)
            case Percent():
                return Money(self.amount * other.rate, self.currency)
        return NotImplemented

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Any:
        match other:
            case Money():
                return divide(self.amount, self._same(other))
            case int() | Decimal() if other == UNLIMITED:
                return Money(0, self.currency)
            case int() | Decimal():
                return Money(divide(self.amount, other), self.currency)
            case Percent():
                return Money(divide(self.amount, other.rate), self.currency)
        return NotImplemented

    def _same(self, other: object) -> Decimal:
        if not isinstance(other, Money):
            raise EvalError(f"{self} and {show(other)} are not both money")
        if other.currency != self.currency:
            if not other.amount:
                return other.amount
            raise EvalError(f"two currencies don't mix: {self} and {other}")
        return other.amount

    def rounded(self, half_even: bool = False, places: int | None = None) -> Money:
        """To the minor unit of its currency, half away from zero or half to even."""
        digits = exponent(self.currency) if places is None else places
        unit = _UNITS_OF[digits] if 0 <= digits < len(_UNITS_OF) else Decimal(1).scaleb(-digits)
        if self.amount.same_quantum(unit):
            return self
        mode = ROUND_HALF_EVEN if half_even else ROUND_HALF_UP
        # By place: names cost more than the rounding itself.
        return Money(self.amount.quantize(unit, mode, CONTEXT), self.currency)

    def minor_units(self) -> int:
        """The amount in the currency's smallest unit: 29.00 USD is 2900, 3000 JPY is 3000."""
        return int(self.amount.scaleb(exponent(self.currency)).to_integral_value())

    @staticmethod
    def of_minor(units: int, currency: str) -> Money:
        """The inverse of `minor_units`."""
        return Money(Decimal(units).scaleb(-exponent(currency)), currency)


@lru_cache(maxsize=256)
def zero(currency: str) -> Money:
    """Nothing, in a currency: always the same object, whose text is kept."""
    return Money(0, currency)


_UNITS_OF = tuple(Decimal(1).scaleb(-digits) for digits in range(MAX_EXPONENT + 1))
_MONEY = re.compile(r"(-?[\d_]+(?:\.\d+)?) ?([A-Z]{3})\Z")


def money(text: str) -> Money:
    """Reads `29.00 USD`; refused where the currency is none of ISO 4217."""
    found = _MONEY.match(text)
    if not found:
        raise EvalError(f"`{text[:60]}` is no money; write it like `29.00 USD`")
    if found[2] not in EXPONENTS:
        raise EvalError(f"`{found[2]}` is no currency of ISO 4217")
    return Money(Decimal(number(found[1].replace("_", ""))), found[2])


@total_ordering
class Percent:
    """A share: `15%` has the rate 0.15."""

    __slots__ = ("rate",)
    rate: Decimal

    def __init__(self, rate: Decimal | int) -> None:
        self.rate = rate if isinstance(rate, Decimal) else Decimal(rate)

    @staticmethod
    def of(points: Decimal | int) -> Percent:
        """The share of so many hundredths: of(15) is 15%."""
        return Percent(Decimal(points).scaleb(-2))

    def __repr__(self) -> str:
        return f"Percent('{self}')"

    def __str__(self) -> str:
        return f"{number_text(self.rate.scaleb(2))}%"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Percent) and self.rate == other.rate

    def __hash__(self) -> int:
        return hash(("percent", self.rate))

    def __lt__(self, other: Percent) -> bool:
        return self.rate < other.rate

    def __neg__(self) -> Percent:
        return Percent(-self.rate)

    def __abs__(self) -> Percent:
        return Percent(abs(self.rate))

    def __add__(self, other: Percent) -> Percent:
        return Percent(self.rate + other.rate) if isinstance(other, Percent) else NotImplemented

    def __sub__(self, other: Percent) -> Percent:
        return Percent(self.rate - other.rate) if isinstance(other, Percent) else NotImplemented

    def __mul__(self, other: Any) -> Any:
        match other:
            case bool():
                return NotImplemented
            case int() | Decimal():
                # `80% of 50` is a number; a percent scaled by a number is `Percent.scaled`.
                product = self.rate * other
                return product if product == UNLIMITED else check_number(product)
            case Percent():
                return Percent(self.rate * other.rate)
        return NotImplemented

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Any:
        match other:
            case Percent():
                return divide(self.rate, other.rate)
            case int() | Decimal():
                return Percent(Decimal(divide(self.rate, other)))
        return NotImplemented


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

SIZE_UNITS = {"B": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40, "PB": 1 << 50}


def size_text(value: Number) -> str:
    """Bytes in the largest unit that is whole: `10 GB`, `512 MB`, `unlimited`."""
    if value == UNLIMITED:
        return "unlimited"
    for name in ("PB", "TB", "GB", "MB", "KB"):
        unit = SIZE_UNITS[name]
        if value and value % unit == 0:
            return f"{number_text(divide(value, unit))} {name}"
    return f"{number_text(value)} B"


@dataclass(frozen=True, slots=True)
class Range:
    """`start..end` of what has an order, both ends in."""

    start: Any
    end: Any

    def __contains__(self, value: Any) -> bool:
        return value is not None and bool(self.start <= value <= self.end)

    def __getitem__(self, name: str) -> Any:
        """Its ends are read as fields are."""
        return {"start": self.start, "end": self.end}[name]

    def __str__(self) -> str:
        return f"{show(self.start)}..{show(self.end)}"


# --- text forms ------------------------------------------------------------------------------


def instant_text(value: datetime) -> str:
    """RFC 3339 in UTC: `2026-01-31T09:00:00Z`, with micros only where it has them."""
    # What isoformat says, in a tenth of the time; the text stands in quotes.
    return encode(value)[1:-1].decode()


instant_stamp = lru_cache(maxsize=1 << 14)(instant_text)  # the same texts come again and again


def instant(text: str) -> datetime:
    """Reads an RFC 3339 instant with a zone or offset."""
    try:
        value = datetime.fromisoformat(text)
    except ValueError:
        raise EvalError(f"`{text[:40]}` is no instant like 2026-01-31T09:00:00Z") from None
    if value.tzinfo is None:
        raise EvalError(f"`{text[:40]}` has no zone; end it with Z or an offset")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise EvalError(f"`{text[:40]}` is out of range") from None


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
            return "[" + ", ".join(show(item) for item in value) + "]"
        case dict():
            return "{ " + ", ".join(f"{k}: {show(v)}" for k, v in value.items()) + " }"
    return str(value)


_FORMAT = re.compile(r"(0?)(\d{0,2})(,?)(?:\.(\d{1,2}))?\Z")


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
    match value:
        case None | bool() | str() | int():
            return value
        case Money():
            return str(value)
        case Decimal():
            return number_text(value) if not value.is_finite() else value
        case list() | tuple():
            return [plain(item) for item in value]
        case dict():
            return {k: plain(v) for k, v in value.items()}
    return show(value)
