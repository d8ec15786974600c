"""Taxes on one line: exclusive or inclusive, several added up, rounded once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from ..values import Money, Percent, divide, zero
from .catalog import Tax
from .proration import portion
from .split import spread


@dataclass(frozen=True, slots=True)
class TaxShare:
    """How much of a tax is due, and on what: `base` is the amount without tax."""

    name: str
    rate: Percent
    inclusive: bool
    base: Money
    amount: Money


@dataclass(frozen=True, slots=True)
class Taxed:
    """The tax of an amount: `included` was in it, the rest of `total` comes on top."""

    net: Money
    included: Money
    total: Money
    shares: tuple[TaxShare, ...]


class TaxedAs(NamedTuple):
    """The taxes that something was charged with, and the part of it that was taxed: not the whole
    where credit before tax had paid some."""

    taxes: tuple[Tax, ...]
    part: Fraction = Fraction(1)


def taxed_as(charged: Money, shares: Sequence[TaxShare]) -> TaxedAs:
    """How a line was taxed, by what it came to with an included tax, and the shares of its tax."""
    held = tuple(Tax(share.name, share.rate, share.inclusive) for share in shares)
    if not held or not charged:
        return TaxedAs(held)
    included = (share.amount for share in shares if share.inclusive)
    base = sum(included, shares[0].base)
    return TaxedAs(held, Fraction(base.amount) / Fraction(charged.amount))


def tax(amount: Money, held: Sequence[Tax], half_even: bool = False) -> Taxed:
    """The taxes that hold for a discounted amount, a rounded one.

    Rates are added up and the sum is rounded once; it is then shared out by largest remainder. A
    tax that comes on top is due on the amount without the included ones.
    """
    if not held:
        nothing = zero(amount.currency)
        return Taxed(amount, nothing, nothing, ())
    inner = [item for item in held if item.inclusive]
    outer = [item for item in held if not item.inclusive]
    inner_rate, outer_rate = _rate(inner), _rate(outer)
    share = Decimal(divide(amount.amount * inner_rate, 1 + inner_rate))
    included = Money(share, amount.currency).rounded(half_even)
    net = amount - included
    added = (net * outer_rate).rounded(half_even)
    shares = (*_shares(included, net, inner), *_shares(added, net, outer))
    return Taxed(net, included, included + added, shares)


def with_included(net: Money, how: TaxedAs) -> Money:
    """What came to an amount without tax, in terms of the price: with the taxes in it."""
    rate = Fraction(_rate([item for item in how.taxes if item.inclusive]))
    return portion(net, 1 / (1 - how.part * rate / (1 + rate))) if rate else net


def added(taxed: Taxed) -> Money:
    """An amount with what comes on top of it: an included tax was in it."""
    return taxed.net + taxed.total


def given_back(
    amount: Money, how: TaxedAs, half_even: bool = False, most: Money | None = None
) -> Taxed:
    """The tax on what is given back (below zero), as it was charged.

    `most` is what is left to give back with it: the rounded tax of parts may come to more than the
    rounded tax of the whole, and what comes on top is lowered to that.
    """
    part = portion(amount, how.part).rounded(half_even)
    found = tax(part, how.taxes, half_even)
    found = replace(found, net=found.net + (amount - part))
    on_top = found.total - found.included
    if most is None or not on_top or added(found) >= -most:
        return found
    less = min(-most - added(found), -on_top)
    outer = [share for share in found.shares if not share.inclusive]
    inner = [share for share in found.shares if share.inclusive]
    parts = spread(on_top + less, [share.rate.rate for share in outer])
    lowered = [replace(share, amount=part) for share, part in zip(outer, parts, strict=True)]
    return replace(found, total=found.total + less, shares=(*inner, *lowered))


def summed(shares: Iterable[TaxShare]) -> tuple[TaxShare, ...]:
    """An invoice's taxes: the sums of its lines', in order of first appearance."""
    found: dict[tuple[str, Percent, bool], TaxShare] = {}
    for share in shares:
        key = (share.name, share.rate, share.inclusive)
        if before := found.get(key):
            base, amount = before.base + share.base, before.amount + share.amount
            share = TaxShare(share.name, share.rate, share.inclusive, base, amount)
        found[key] = share
    return tuple(found.values())


def _rate(held: Sequence[Tax]) -> Decimal:
    return sum((item.rate.rate for item in held), Decimal(0))


def _shares(total: Money, net: Money, held: Sequence[Tax]) -> tuple[TaxShare, ...]:
    rates = [item.rate.rate for item in held]
    parts = spread(total, rates) if len(held) > 1 and any(rates) else (total,) * len(held)
    return tuple(
        TaxShare(item.name, item.rate, item.inclusive, net, part)
        for item, part in zip(held, parts, strict=True)
    )
