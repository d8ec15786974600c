"""Dividing money so that the parts add up: largest remainder, ties by order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction

from ..currencies import exponent
from ..errors import EvalError
from ..values import Money, Number, Percent, number_text

MAX_PARTS = 100_000


def split(total: Money, shares: Sequence[Percent | Number]) -> tuple[Money, ...]:
    """Parts by percentages (of 100 together) or by plain weights; they add up to the total.

    EvalError where shares are negative, mixed, nothing together, or percentages not 100%.
    """
    if not shares:
        raise EvalError("split needs at least one share")
    percents = [share for share in shares if isinstance(share, Percent)]
    if percents and len(percents) < len(shares):
        raise EvalError("split takes percentages or plain weights, not both")
    rates = [share.rate if isinstance(share, Percent) else share for share in shares]
    if any(rate < 0 for rate in rates):
        raise EvalError("split takes no negative share")
    whole = sum(rates, Decimal(0))
    if percents and whole != 1:
        raise EvalError(f"split shares add up to {number_text(whole * 100)}%, not 100%")
    if not whole or not Decimal(whole).is_finite():
        raise EvalError("split shares add up to nothing")
    return spread(total, rates)


def allocate(total: Money, parts: int) -> tuple[Money, ...]:
    """So many parts as equal as the minor unit allows, larger ones first."""
    if parts != int(parts) or not 1 <= parts <= MAX_PARTS:
        raise EvalError(f"allocate takes a whole number of parts from 1 to {MAX_PARTS}")
    return spread(total, [1] * int(parts))


def share_out(
    total: Money, shares: Mapping[str, Percent | Money], rest: str | None = None
) -> dict[str, Money]:
    """The parts of the parties to a charge, by name; `rest` gets what the others leave.

    Percentages are of the total. EvalError where the shares are more than the total, or less and
    nobody takes the rest.
    """
    exact: dict[str, Money] = {
        name: total * share if isinstance(share, Percent) else share
        for name, share in shares.items()
    }
    left = total - sum(exact.values(), Money(0, total.currency))
    sign = -1 if total.amount < 0 else 1
    if any(part.amount * sign < 0 for part in (left, *exact.values())):
        raise EvalError(f"the shares of {total} are more than it")
    if rest is not None:
        exact[rest] = exact.get(rest, Money(0, total.currency)) + left
    elif left:
        raise EvalError(f"the shares of {total} leave {left}; say who gets the `rest`")
    parts = spread_exact(total, [Fraction(part.amount) for part in exact.values()])
    return dict(zip(exact, parts, strict=True))


def reverse(parts: Mapping[str, Money], amount: Money, before: Money) -> dict[str, Money]:
    """What each party gives back of a refund, in proportion to its part of the charge.

    `before` is what had been refunded already; refunds of the whole give back the parts exactly.
    """
    if not any(parts.values()):
        return dict(parts)
    weights = [part.amount for part in parts.values()]
    until_now, until_then = spread(before + amount, weights), spread(before, weights)
    return {name: now - then for name, now, then in zip(parts, until_now, until_then, strict=True)}


def spread(total: Money, weights: Sequence[Number]) -> tuple[Money, ...]:
    """Parts in proportion to weights, none negative and not all 0, that add up to the total."""
    digits = _digits(total)
    units = abs(int(total.amount.scaleb(digits)))
    scale = max((_places(weight) for weight in weights), default=0)
    scaled = [int(weight * 10**scale) for weight in weights]
    whole = sum(scaled)
    assert whole and min(scaled) >= 0, weights
    cut = [divmod(units * weight, whole) for weight in scaled]
    parts = _hand_out([part for part, _ in cut], [-rest for _, rest in cut], units)
    return _money(parts, -1 if total.amount < 0 else 1, digits, total.currency)


def spread_exact(total: Money, parts: Iterable[Fraction]) -> tuple[Money, ...]:
    """Exact parts cut to the minor unit, so that they add up to the total.

    The total is the sum of the parts, or that sum rounded. Where it has digits below the minor
    unit, the parts have as many.
    """
    digits = _digits(total)
    sign = -1 if total.amount < 0 else 1
    exact = [sign * part * 10**digits for part in parts]
    cut = [part.numerator // part.denominator for part in exact]
    rests = [units - part for units, part in zip(cut, exact, strict=True)]
    units = _hand_out(cut, rests, abs(int(total.amount.scaleb(digits))))
    return _money(units, sign, digits, total.currency)


def _hand_out(cut: list[int], rests: Sequence[int | Fraction], total: int) -> list[int]:
    """Gives the units that cutting left over to those with the largest remainder (negated)."""
    left = total - sum(cut)
    assert 0 <= left <= len(cut), (cut, total)
    for place in sorted(range(len(cut)), key=rests.__getitem__)[:left]:
        cut[place] += 1
    return cut


def _money(units: Iterable[int], sign: int, digits: int, currency: str) -> tuple[Money, ...]:
    return tuple(Money(Decimal(sign * part).scaleb(-digits), currency) for part in units)


def _digits(total: Money) -> int:
    return max(exponent(total.currency), _places(total.amount))


def _places(value: Number) -> int:
    """How many digits a number has behind its point."""
    if isinstance(value, int):
        return 0
    places = value.normalize().as_tuple().exponent
    assert isinstance(places, int)
    return max(0, -places)
