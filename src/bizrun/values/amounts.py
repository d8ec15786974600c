"""Money: exact amounts, each of one currency; two currencies never mix."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from functools import lru_cache, total_ordering
from typing import Any

from ..currencies import EXPONENTS, exponent
from ..errors import EvalError
from .numbers import CONTEXT, MAX_EXPONENT, UNLIMITED, divide, number
from .percent import Percent
from .text import show

_UNITS_OF = tuple(Decimal(1).scaleb(-digits) for digits in range(MAX_EXPONENT + 1))
_MONEY = re.compile(r"(-?[\d_]+(?:\.\d+)?) ?([A-Z]{3})\Z", re.ASCII)


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
        self.amount = amount if type(amount) is Decimal else Decimal(amount)
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


def money(text: str) -> Money:
    """Reads `29.00 USD`; refused where the currency is none of ISO 4217."""
    found = _MONEY.match(text)
    if not found:
        raise EvalError(f"`{text[:60]}` is no money; write it like `29.00 USD`")
    if found[2] not in EXPONENTS:
        raise EvalError(f"`{found[2]}` is no currency of ISO 4217")
    return Money(Decimal(number(found[1].replace("_", ""))), found[2])
