"""The lines of a plan as the YAML form has them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ...values import quoted
from .. import ast
from ..printer import Printer
from .write_statements import map_data, plain_text

Data = dict[str, Any]


def plan_items(to: Printer, items: Iterable[ast.PlanItem]) -> Data:
    """The lines of a plan, an add-on, a phase or a version, under their keys."""
    several: dict[str, list[Any]] = {}
    for item in items:
        name, value = _item(to, item)
        several.setdefault(name, []).append(value)
    return {name: _together(name, values) for name, values in several.items()}


def _together(name: str, values: list[Any]) -> Any:
    if name in ("phases", "versions"):
        return values
    if name == "usage":
        meters = [meter for value in values for meter in value]
        if len(set(meters)) == len(meters):
            return {meter: pricing for value in values for meter, pricing in value.items()}
    return values[0] if len(values) == 1 else values


def _item(to: Printer, item: ast.PlanItem) -> tuple[str, Any]:
    match item:
        case ast.Price():
            return "price", _price(to, item)
        case ast.UsagePrice():
            return "usage", {item.meter: _usage(to, item)}
        case ast.Includes():
            of = "events of " * item.events
            return "includes", f"{to.expr(item.quantity)} {of}{item.meter}{_included(to, item)}"
        case ast.Phase():
            head = {"phase": plain_text(item.title), "for": to.chain(item.duration)}
            return "phases", {**head, **plan_items(to, item.items)}
        case ast.PriceVersion():
            return "versions", _version(to, item)
        case ast.PlanClause(key="bill_usage", value=value) if value:
            return "bill usage at", to.chain(value)
        case ast.PlanClause():
            return _clause(to, item)
    return "clause", to.verbatim(item)


def _included(to: Printer, item: ast.Includes) -> str:
    """What stands behind an allowance: how it is prorated and carried over."""
    said = " prorated" * item.prorated
    if (carried := item.carried) is None:
        return said
    count = carried.periods
    periods = "" if count is None else f" for {count} period{'s' * (count != 1)}"
    most = "" if carried.most is None else f" up to {to.expr(carried.most)}"
    return f"{said} carried over{periods}{most}"


def _clause(to: Printer, clause: ast.PlanClause) -> tuple[str, Any]:
    name = clause.name if clause.key == "provider" and clause.name else clause.key
    match clause.value:
        case ast.ListLiteral(items=items) if clause.key == "features" and items:
            texts = [item.plain for item in items if isinstance(item, ast.Text)]
            if len(texts) == len(items) and None not in texts:
                return name, [plain_text(text or "") for text in texts]
        case ast.MapLiteral() as data if data.entries:
            return name, map_data(to, data)
    written = to.verbatim(clause)
    return name, written[len(name) :].strip() or None


def _version(to: Printer, version: ast.PriceVersion) -> Data:
    data: Data = {"from": to.atom(version.start), **plan_items(to, version.items)}
    match version.migrate:
        case None:
            return data
        case "where" if version.where:
            return {**data, "migrate": f"where {to.condition(version.where)}"}
        case "renewal":
            return {**data, "migrate": "on renewal"}
    return {**data, "migrate": version.migrate}


def _every(count: int, unit: str) -> str:
    return unit if count == 1 else f"{count} {unit}s"


def _price(to: Printer, price: ast.Price) -> Any:
    per = [price.per_unit] if price.per_unit else []
    per += [_every(price.count, price.unit)] if price.unit else []
    pricing = price.pricing
    if pricing.model == "unit" and pricing.rate:
        parts = [to.rate(pricing.rate), *(f"per {each}" for each in per)]
        return " ".join(parts + ["in arrears"] * price.arrears)
    data: Data = {"per": per} if per else {}
    if price.arrears:
        data["arrears"] = "true"
    return {**data, **_tiered(to, pricing)}


def _tiered(to: Printer, pricing: ast.Pricing) -> Data:
    data: Data = {pricing.model: _tiers(to, pricing)}
    return {**data, "within": to.limits(pricing.rate)} if pricing.rate else data


def _tiers(to: Printer, pricing: ast.Pricing) -> Data:
    return {_bound(to, tier): to.rate(tier.rate) for tier in pricing.tiers}


def _bound(to: Printer, tier: ast.Tier) -> str:
    return f"up to {to.atom(tier.bound)}" if tier.bound else "above"


def _usage(to: Printer, usage: ast.UsagePrice) -> Any:
    per = [", ".join(usage.pricing.dimensions)] if usage.pricing.dimensions else []
    per += [_every(*usage.interval)] if usage.interval else []
    return _pricing(to, usage.pricing, per, len(usage.pricing.dimensions))


def _pricing(to: Printer, pricing: ast.Pricing, per: list[str], dimensions: int) -> Any:
    data: Data = {"per": per[0] if len(per) == 1 else per} if per else {}
    match pricing.model:
        case "unit" if pricing.rate:
            rate = to.rate(pricing.rate)
            return {**data, "rate": rate} if data else rate
        case "package" if pricing.rate and pricing.package:
            return {**data, f"package of {to.atom(pricing.package)}": to.rate(pricing.rate)}
        case "dimension":
            cases = {_case(case.values): _pricing(to, case.price, [], dimensions)
                     for case in pricing.cases}  # fmt: skip
            return {**data, "prices": cases}
    return {**data, **_tiered(to, pricing)}


def _case(values: tuple[str | None, ...]) -> str:
    if not values:
        return "else"
    if len(values) == 1 and values[0] not in (None, "else"):
        return plain_text(values[0] or "")
    return ", ".join("else" if value is None else quoted(value) for value in values)
