"""What a quantity costs, exactly: one function a way of pricing."""

from __future__ import annotations

from fractions import Fraction

from .world import Plan, Tier, Usage


def graduated(quantity: Fraction, tiers: tuple[Tier, ...]) -> Fraction:
    """The tiers summed; a flat part is due for each tier entered."""
    total, below = Fraction(0), Fraction(0)
    for tier in tiers:
        top = quantity if tier.up_to is None else min(quantity, Fraction(tier.up_to))
        inside = max(top - below, Fraction(0))
        total += inside * tier.unit
        if inside > 0 or tier.always:
            total += tier.flat
        if tier.up_to is None or quantity <= tier.up_to:
            break
        below = Fraction(tier.up_to)
    return total


def reached(quantity: Fraction, tiers: tuple[Tier, ...]) -> Tier:
    """The tier that a total reaches; `up to N` includes unit N."""
    return next(t for t in tiers if t.up_to is None or quantity <= t.up_to)


def rate(price: Usage, quantity: Fraction, events: int = 0) -> Fraction:
    """What usage costs, less what is included before."""
    quantity = max(quantity, Fraction(0))
    match price.model:
        case "each":
            return quantity * price.unit
        case "share":
            return quantity * price.unit + events * price.fixed
        case "package":
            return -(-quantity // price.package) * price.unit
        case "graduated":
            return graduated(quantity, price.tiers)
        case "volume":
            tier = reached(quantity, price.tiers)
            return quantity * tier.unit + _flat(tier, quantity)
        case "stairstep":
            return _step(reached(quantity, price.tiers), quantity)
    raise AssertionError(price.model)


def _flat(tier: Tier, quantity: Fraction) -> Fraction:
    return tier.flat if quantity > 0 or tier.always else Fraction(0)


def _step(tier: Tier, quantity: Fraction) -> Fraction:
    # `up to 100: 100 USD` and `free + 100 USD flat` mean the same in a stairstep.
    return tier.unit + _flat(tier, quantity) if quantity > 0 else _flat(tier, quantity)


def base(plan: Plan, quantity: int) -> Fraction:
    """What the fixed part of a whole period costs."""
    if not plan.seat_model:
        return plan.price
    if plan.seat_model in ("each", "itself"):
        return plan.price * quantity
    return rate(Usage("", plan.seat_model, plan.seats), Fraction(quantity))
