"""What Stripe should have of a spec's plans and coupons, and a spec out of what an account has.

Both are pure: an `Item` is what would be made, with Stripe's own parameters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, time
from decimal import Decimal
from typing import Any

from ..billing.catalog import Coupon, Plan, Price
from ..billing.rating import fixed_amount
from ..currencies import exponent
from ..ir.program import Program
from ..values import Money, Percent
from .catalog_items import MODES, Item, one, per, tier_of, unit
from .catalog_usage import usage_items


def wanted(program: Program) -> tuple[list[Item], list[str]]:
    """The products, prices, meters and coupons of a spec, and a sentence for each thing that stays
    with bizrun, since Stripe has no such price."""
    items: list[Item] = []
    kept: list[str] = []
    for plan in [*program.plans.values(), *program.addons.values()]:
        product = f"{program.name}_{plan.name}"
        title = plan.title or plan.name
        metadata = {"bizrun_plan": plan.name}
        params = {"id": product, "name": title, "metadata": metadata}
        items.append(Item("product", product, f'product {plan.name} "{title}"', params))
        for price in plan.prices:
            item = _price(plan, price, product)
            if isinstance(item, str):
                kept.append(item)
            else:
                items.append(item)
    metered, counted = usage_items(program, [*program.plans.values(), *program.addons.values()])
    items, kept = [*items, *metered], [*kept, *counted]
    items += [_coupon(coupon) for coupon in program.coupons.values()]
    return items, list(dict.fromkeys(kept))


def _price(plan: Plan, price: Price, product: str) -> Item | str:
    every = price.interval
    name = f"{every.count}{every.unit}" if every else "once"
    key = f"{product}_{name}_{price.currency.lower()}"
    params: dict[str, Any] = {
        "product": product, "currency": price.currency.lower(), "lookup_key": key,
        "metadata": {"bizrun_plan": plan.name},
    }  # fmt: skip
    if every is not None:
        params["recurring"] = {"interval": every.unit, "interval_count": every.count}
    pricing = price.pricing
    if pricing.model == "unit" and not pricing.dimensions and not price.per_unit:
        amount = fixed_amount(price).amount
        text = f"price {amount}{per(every)}"
        return Item("price", key, f"{plan.name} {text}", {**params, **unit(amount)})
    amount_of_one = one(pricing.rate.parts)
    plain = pricing.model == "unit" and not pricing.dimensions and not pricing.rate.bounded
    if plain and amount_of_one is not None:
        text = f"{plan.name} price {amount_of_one} per {price.per_unit}{per(every)}"
        return Item("price", key, text, {**params, **unit(amount_of_one)})
    tiers = [tier_of(tier) for tier in pricing.tiers]
    whole = None not in tiers and not pricing.dimensions and not pricing.rate.bounded
    if pricing.model in MODES and tiers and whole:
        params |= {
            "billing_scheme": "tiered", "tiers_mode": MODES[pricing.model], "tiers": tiers,
        }  # fmt: skip
        return Item("price", key, f"{plan.name} price in {len(tiers)} tiers{per(every)}", params)
    return f"the {pricing.model} price of {plan.name} is computed by bizrun"


def _coupon(coupon: Coupon) -> Item:
    off = coupon.off
    params: dict[str, Any] = {"id": coupon.name, "name": coupon.name}
    if isinstance(off, Percent):
        params["percent_off"] = format((off.rate * 100).normalize(), "f")
    else:
        params |= {"amount_off": off.minor_units(), "currency": off.currency.lower()}
    if coupon.once:
        params["duration"] = "once"
    elif coupon.duration is None:
        params["duration"] = "forever"
    else:
        params |= {"duration": "repeating", "duration_in_months": coupon.duration.months}
    if coupon.times is not None:
        params["max_redemptions"] = coupon.times
    if coupon.until is not None:
        last = datetime.combine(coupon.until, time(23, 59, 59), UTC)
        params["redeem_by"] = int(last.timestamp())
    return Item("coupon", coupon.name, f"coupon {coupon.name}: {off} off", params)


# --- from an account -----------------------------------------------------------------------------


def spec_of(account: Mapping[str, list[dict[str, Any]]], title: str) -> str:
    """A spec with the products, prices and coupons of an account; it checks without an error.

    `account` has plain objects of Stripe's under `products`, `prices` and `coupons`.
    """
    prices: dict[str, list[dict[str, Any]]] = {}
    for price in account["prices"]:
        prices.setdefault(str(price["product"]), []).append(price)
    currencies = [str(price["currency"]).upper() for price in account["prices"]]
    main = max(sorted(set(currencies)), key=currencies.count, default="USD")
    lines = [
        f"business {_quoted(title)} {{", "  language 1", f"  currency {main}", '  timezone "UTC"',
        "  bills Account", "}", "",
        "entity Account { id text key, email text?, payment_method text? }",
    ]  # fmt: skip
    names: set[str] = set()
    for product in account["products"]:
        name = _name(str(product.get("name") or product["id"]), names)
        lines += ["", f"plan {name} {_quoted(str(product.get('name') or name))} {{"]
        lines += [f"  {line}" for price in prices.get(product["id"], ())
                  for line in _price_lines(price)]  # fmt: skip
        lines.append("}")
    for coupon in account["coupons"]:
        lines += ["", *_coupon_lines(coupon, names)]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    clean = re.sub(r"[\\\"{}\x00-\x1f]", " ", text)
    return f'"{" ".join(clean.split())}"'


def _name(text: str, taken: set[str]) -> str:
    """A word of the language for a title: `Pro Plan!` is pro_plan."""
    base = re.sub(r"\W+", "_", text.lower(), flags=re.ASCII).strip("_") or "plan"
    base = base if base[0].isalpha() else f"plan_{base}"
    name, number = base, 2
    while name in taken:
        name, number = f"{base}_{number}", number + 1
    taken.add(name)
    return name


def _price_lines(price: Mapping[str, Any]) -> Iterator[str]:
    every = price.get("recurring") or {}
    per = _every(every) if every else ""
    if (every or {}).get("usage_type") == "metered":
        yield f"# metered price {price['id']}: declare the meter and its usage"
        return
    currency = str(price["currency"]).upper()
    tiers = price.get("tiers")
    if price.get("billing_scheme") == "tiered" and tiers:
        parts = ", ".join(_tier_text(tier, currency) for tier in tiers)
        yield f"price per seat{per} {price.get('tiers_mode') or 'graduated'} {{ {parts} }}"
        return
    amount = _amount(price, "unit_amount", currency)
    if amount is None:
        yield f"# price {price['id']} has an amount that its customer chooses"
        return
    yield f"price {amount}{per}"


def _every(recurring: Mapping[str, Any]) -> str:
    count, unit = int(recurring.get("interval_count") or 1), recurring["interval"]
    return f" per {unit}" if count == 1 else f" per {count} {unit}s"


def _tier_text(tier: Mapping[str, Any], currency: str) -> str:
    amount = _amount(tier, "unit_amount", currency) or Money(0, currency)
    bound = tier.get("up_to")
    return f"above: {amount}" if bound in (None, "inf") else f"up to {bound}: {amount}"


def _amount(found: Mapping[str, Any], name: str, currency: str) -> Money | None:
    value = found.get(f"{name}_decimal")
    value = found.get(name) if value is None else value
    if value is None:
        return None
    return Money(Decimal(str(value)).scaleb(-exponent(currency)), currency)


def _coupon_lines(coupon: Mapping[str, Any], taken: set[str]) -> Iterable[str]:
    name = re.sub(r"\W+", "_", str(coupon["id"]), flags=re.ASCII)
    name = name if name[:1].isalpha() and name not in taken else f"coupon_{name}"
    taken.add(name)
    if coupon.get("percent_off") is not None:
        off = f"{Decimal(str(coupon['percent_off'])).normalize():f}% off"
    else:
        currency = str(coupon["currency"]).upper()
        off = f"{Money.of_minor(int(coupon['amount_off']), currency)} off"
    match coupon.get("duration"):
        case "once":
            off += " once"
        case "repeating":
            months = int(coupon["duration_in_months"])
            off += f" for {months} month{'' if months == 1 else 's'}"
    parts = [off]
    if coupon.get("redeem_by"):
        parts.append(f"until {datetime.fromtimestamp(int(coupon['redeem_by']), UTC):%Y-%m-%d}")
    if coupon.get("max_redemptions"):
        parts.append(f"at most {coupon['max_redemptions']} times")
    return [f"coupon {name} {{ {', '.join(parts)} }}"]
