"""What should be at Stripe, with Stripe's own words for amounts and tiers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ..billing.catalog import Interval, RatePart, Tier
from ..currencies import exponent
from ..values import Money

Kind = Literal["meter", "product", "price", "coupon"]
MODES = {"graduated": "graduated", "volume": "volume"}


@dataclass(frozen=True, slots=True)
class Item:
    """Something that Stripe should have.

    `key` finds it again: the id of a product or coupon, the lookup key of a price, the event of a
    meter. `params` are those of its creation, `text` says it to a person. `meter` is the event of
    the meter that a price counts by.
    """

    kind: Kind
    key: str
    text: str
    params: Mapping[str, Any] = field(default_factory=dict)
    meter: str | None = None


def per(every: Interval | None) -> str:
    """How often a price comes, in words."""
    if every is None:
        return " once"
    return f" per {every.unit}" if every.count == 1 else f" per {every}"


def one(parts: tuple[RatePart, ...]) -> Money | None:
    """The price of one unit, where that is all there is to it."""
    match parts:
        case (RatePart(Money() as amount, "unit", 1),):
            return amount
    return None


def unit(amount: Money) -> dict[str, Any]:
    """An amount by Stripe's field for it: parts of a cent have one of their own."""
    cents = amount.amount.scaleb(exponent(amount.currency))
    if cents == int(cents):
        return {"unit_amount": int(cents)}
    return {"unit_amount_decimal": format(cents.normalize(), "f")}


def tier_of(tier: Tier) -> dict[str, Any] | None:
    """A tier with a price for each unit, a flat price, or both; None where it has more to it."""
    found: dict[str, Any] = {"up_to": "inf" if tier.bound is None else int(tier.bound)}
    if tier.rate.bounded:
        return None
    for part in tier.rate.parts:
        match part:
            case RatePart(Money() as amount, "unit", 1):
                found |= unit(amount)
            case RatePart(Money() as amount, "flat" | "flat always", _):
                found |= {f"flat_{name[5:]}": value for name, value in unit(amount).items()}
            case _:
                return None
    if len(found) == 1:
        found["unit_amount"] = 0
    return found
