"""What is estimated rather than counted: how a series goes on, how alike two texts are.

Exact arithmetic on decimals, rounded at the end: the same figures on every machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from math import isqrt
from typing import Any

from ..errors import EvalError
from ..values import Money, Number
from .operators import quoted

MAX_MONTHS = 1200
MAX_POINTS = 100_000
PLACES = 6  # of a forecast number
ALIKE = 12  # digits of a similarity
_SCALE = 10**12


def forecast(series: Any, months: Any) -> list[Any]:
    """The straight line through a series by least squares, continued for so many months.

    Numbers or money of one currency, a month each, oldest first; one figure goes on as it is.
    Money is rounded to its smallest unit, a number to six places.
    """
    if not isinstance(series, list | tuple) or len(series) > MAX_POINTS:
        raise EvalError(f"`forecast` takes a list of figures, not {quoted(series)}")
    if isinstance(months, bool) or not isinstance(months, int) or not 0 <= months <= MAX_MONTHS:
        raise EvalError(f"`forecast` takes 0 to {MAX_MONTHS} months, not {quoted(months)}")
    if not series:
        return []
    currency = series[0].currency if isinstance(series[0], Money) else None
    points = [_figure(value, currency) for value in series]
    count = len(points)
    middle = Fraction(count - 1, 2)
    mean = sum(points, Fraction(0)) / count
    spread = sum(((x - middle) ** 2 for x in range(count)), Fraction(0))
    slope = Fraction(0)
    if spread:
        slope = sum(((x - middle) * y for x, y in enumerate(points)), Fraction(0)) / spread
    line = [mean + slope * (count + step - middle) for step in range(months)]
    return [_rounded(value, currency) for value in line]


def _figure(value: Any, currency: str | None) -> Fraction:
    if isinstance(value, Money) and value.currency == currency:
        return Fraction(value.amount)
    number = isinstance(value, int | Decimal) and not isinstance(value, bool)
    if currency is not None or not number or (isinstance(value, Decimal) and not value.is_finite()):
        raise EvalError("`forecast` takes numbers, or money of one currency")
    return Fraction(value)


def _rounded(value: Fraction, currency: str | None) -> Any:
    exact = Decimal(value.numerator) / Decimal(value.denominator)
    if currency is not None:
        return Money(exact, currency).rounded()
    found = exact.quantize(Decimal(1).scaleb(-PLACES))
    return int(found) if found == found.to_integral_value() else found.normalize()


def similarity(a: Any, b: Any) -> Number:
    """The cosine of two vectors, to 12 digits: 1 where they point the same way, 0 where they have
    nothing in common; -1 where there is none, or they are of different length."""
    left, right = _whole(a), _whole(b)
    if not left or len(left) != len(right):
        return -1
    square = sum(x * x for x in left) * sum(y * y for y in right)
    if square == 0:
        return -1
    dot = sum(x * y for x, y in zip(left, right, strict=True))
    scaled = abs(dot) * _SCALE // isqrt(square)
    found = Decimal(scaled if dot >= 0 else -scaled).scaleb(-ALIKE)
    return int(found) if found == found.to_integral_value() else found.normalize()


def _whole(vector: Any) -> Sequence[int]:
    """The numbers of a vector in parts of 10⁻¹²: integers multiply faster than decimals."""
    if vector is None:
        return ()
    if not isinstance(vector, list | tuple):
        raise EvalError(f"`similarity` takes vectors (lists of numbers), not {quoted(vector)}")
    try:
        return [int(number * _SCALE) for number in vector]
    except (TypeError, ValueError, ArithmeticError):
        raise EvalError("`similarity` takes vectors: lists of numbers") from None
