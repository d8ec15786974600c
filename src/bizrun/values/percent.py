"""Percent: a share, held as its rate."""

from __future__ import annotations

from decimal import Decimal
from functools import total_ordering
from typing import Any

from .numbers import UNLIMITED, check_number, divide, number_text


@total_ordering
class Percent:
    """A share: `15%` has the rate 0.15."""

    __slots__ = ("rate",)
    rate: Decimal

    def __init__(self, rate: Decimal | int) -> None:
        self.rate = rate if type(rate) is Decimal else Decimal(rate)

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
