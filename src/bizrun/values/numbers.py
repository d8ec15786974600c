"""Numbers: decimals of at most 34 digits and 18 places, exact but for division; sizes in bytes."""

from __future__ import annotations

import re
from decimal import (
    MAX_EMAX,
    MIN_EMIN,
    ROUND_HALF_EVEN,
    Context,
    Decimal,
    DivisionByZero,
    InvalidOperation,
    Overflow,
    setcontext,
)

from ..errors import EvalError

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

_NUMBER = re.compile(r"-?\d{1,40}(?:\.\d{1,40})?(?:[eE][+-]?\d{1,3})?\Z", re.ASCII)


def number(text: str) -> Number:
    """Reads a decimal of at most 34 digits and 18 places; an int where it is whole."""
    if not _NUMBER.match(text):
        long = text.isascii() and text.lstrip("-").replace(".", "", 1).isdigit()
        many = f" of at most {MAX_DIGITS} digits" if long else ""
        raise EvalError(f"`{text[:40]}` is no number{many}")
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
    whole = int(value)
    if value == whole:
        return whole
    value = value.normalize(CONTEXT)
    _, digits, places = value.as_tuple()
    assert isinstance(places, int)
    return _fit(value) if -places > MAX_EXPONENT or len(digits) > MAX_DIGITS else value


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


def power(base: Number, exponent: int) -> Number:
    """A number so often by itself, exact as far as 34 digits go; below 0 the inverse of that.

    Squared and multiplied at 80 digits in a fixed order, so that every machine rounds alike.
    """
    result, square = Decimal(1), Decimal(base)
    for bit in reversed(f"{abs(exponent):b}"):
        if bit == "1":
            result = CONTEXT.multiply(result, square)
        square = CONTEXT.multiply(square, square)
    result = Decimal(divide(1, result) if exponent < 0 else divide(result, 1))
    if result.adjusted() >= MAX_DIGITS:
        raise EvalError(f"a number has more than {MAX_DIGITS} digits")
    return int(result) if result == result.to_integral_value() else result


def number_text(value: Number) -> str:
    """A number as an author would write it: `1000`, `0.5`, `unlimited`."""
    if isinstance(value, int):
        return str(value)
    if not value.is_finite():
        return "unlimited"
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


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
