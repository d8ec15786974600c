"""What Stripe should have of a spec's meters and of the prices of their usage."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ..billing.catalog import Interval, Plan, Pricing, UsagePrice
from ..ir.program import Meter, Program
from .catalog_items import MODES, Item, one, per, tier_of, unit

# How a meter of ours adds up, and Stripe's word for it (docs.stripe.com/api/billing/meter).
FORMULAS = {"sum": "sum", "count": "count", "last": "last"}
CUSTOMER, VALUE = "stripe_customer_id", "value"
Bound = Callable[[Any], int | None]


def usage_items(program: Program, plans: Iterable[Plan]) -> tuple[list[Item], list[str]]:
    """Meters and metered prices, and a sentence for each usage that stays with bizrun."""
    meters: dict[str, Item] = {}
    prices: list[Item] = []
    kept: list[str] = []
    for plan in plans:
        for usage in plan.usages:
            meter = program.meters[usage.meter]
            reason = _unfit(meter)
            made = () if reason else tuple(_prices(program, plan, usage))
            if not made:
                reason = reason or "Stripe has no such price"
                text = f"usage of {usage.meter} in {plan.name} is counted and billed by bizrun"
                kept.append(f"{text}: {reason}")
                continue
            meters.setdefault(usage.meter, _meter(program, meter))
            prices += made
    return [*meters.values(), *prices], kept


def _unfit(meter: Meter) -> str | None:
    """Why Stripe can't count what a meter counts."""
    if meter.aggregate not in FORMULAS:
        return f"Stripe's meters know no `{meter.aggregate}`"
    return None if meter.figure == "number" else f"Stripe's meters count no {meter.figure}"


def _event(program: Program, meter: str) -> str:
    return f"{program.name}_{meter}"


def _meter(program: Program, meter: Meter) -> Item:
    key = _event(program, meter.name)
    params: dict[str, Any] = {
        "display_name": meter.name, "event_name": key,
        "default_aggregation": {"formula": FORMULAS[meter.aggregate]},
        "customer_mapping": {"type": "by_id", "event_payload_key": CUSTOMER},
        "value_settings": {"event_payload_key": VALUE},
    }  # fmt: skip
    return Item("meter", key, f"meter {meter.name}: {meter.aggregate}", params)


def _prices(program: Program, plan: Plan, usage: UsagePrice) -> Iterator[Item]:
    """The price of a usage for each rhythm of its plan, in its currency."""
    amounts = _amounts(usage.pricing, _included(plan, usage.meter))
    other = any(each.carried or each.events for each in plan.includes if each.meter == usage.meter)
    if amounts is None or usage.currency is None or other:
        return
    product = f"{program.name}_{plan.name}"
    for every in _rhythms(plan, usage):
        key = f"{product}_{usage.meter}_{every.count}{every.unit}_{usage.currency.lower()}"
        params = {
            "product": product, "currency": usage.currency.lower(), "lookup_key": key,
            "recurring": {"interval": every.unit, "interval_count": every.count,
                          "usage_type": "metered"},
            "metadata": {"bizrun_plan": plan.name, "bizrun_meter": usage.meter}, **amounts,
        }  # fmt: skip
        text = f"{plan.name} usage of {usage.meter}{per(every)}"
        yield Item("price", key, text, params, _event(program, usage.meter))


def _rhythms(plan: Plan, usage: UsagePrice) -> list[Interval]:
    if usage.interval is not None:
        return [usage.interval]
    found = [p.interval for p in plan.prices if p.currency == usage.currency and p.interval]
    return list(dict.fromkeys(found)) or [Interval(1, "month")]


def _included(plan: Plan, meter: str) -> Any:
    return sum(each.quantity for each in plan.includes if each.meter == meter and not each.prorated)


def _amounts(pricing: Pricing, included: Any) -> Mapping[str, Any] | None:
    """The amounts of a price, what is included first, as a tier for nothing; None where Stripe
    has no such price."""
    amount = one(pricing.rate.parts)
    bounded = pricing.rate.bounded or pricing.rate.by_event
    if pricing.dimensions or included != int(included) or bounded:
        return None
    match pricing.model:
        case "unit" if amount is not None and included:
            tiers = [{"up_to": int(included), "unit_amount": 0}, {"up_to": "inf", **unit(amount)}]
            return _tiered("graduated", tiers)
        case "unit" if amount is not None:
            return unit(amount)
        case "package" if amount is not None and not included:
            divided = {"divide_by": int(pricing.package), "round": "up"}
            return {**unit(amount), "transform_quantity": divided}
        case "graduated" | "volume" if not included or pricing.model == "graduated":
            free = [{"up_to": int(included), "unit_amount": 0}] if included else []
            tiers = []
            for tier in pricing.tiers:
                found = tier_of(tier)
                if found is None:
                    return None
                if isinstance(found["up_to"], int):
                    found["up_to"] += int(included)
                tiers.append(found)
            return _tiered(MODES[pricing.model], [*free, *tiers])
    return None


def _tiered(mode: str, tiers: list[dict[str, Any]]) -> Mapping[str, Any]:
    return {"billing_scheme": "tiered", "tiers_mode": mode, "tiers": tiers}
