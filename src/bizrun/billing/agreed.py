"""A price that was agreed with one customer, in the place of a plan's own."""

from __future__ import annotations

from functools import lru_cache

from msgspec.structs import replace

from ..errors import Refusal
from ..values import Money
from .catalog import Interval, Plan, Price, Pricing, Rate, RatePart, choose_prices


@lru_cache(maxsize=1 << 12, typed=True)
def with_price(plan: Plan, amount: Money, interval: Interval) -> Plan:
    """The plan with this amount for each interval; for each unit where it is priced by units.

    Its own price goes on deciding whether it is due in advance or in arrears; a plan that has none
    for the interval costs this in advance. Refused where two prices are due together, a fixed one
    and one for each seat: which of them is meant can't be told.
    """
    pricing = Pricing(rate=Rate((RatePart(amount),)))
    match choose_prices(plan, amount.currency, interval):
        case ():
            mine = Price(amount.currency, interval, pricing)
            return replace(plan, prices=(*plan.prices, mine))
        case (own,):
            mine = replace(own, pricing=pricing)
            prices = tuple(mine if price is own else price for price in plan.prices)
            return replace(plan, prices=prices)
    raise Refusal(
        f"plan `{plan.name}` has several prices per {interval.each}: `price` can't replace one of "
        "them"
    )
