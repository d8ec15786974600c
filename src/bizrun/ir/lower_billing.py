"""Plans, coupons, taxes and dunning of the checked tree become the billing catalog."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from msgspec.structs import replace

from ..billing import catalog, overlays
from ..lang import ast
from ..lang.symbols import Checked
from ..lang.types import Prim, known
from ..lang.walk import walk
from ..values import SIZE_UNITS, UNLIMITED, Duration, Money, Percent, divide
from .constants import constant


class BillingLowering:
    """Lowers what a checked spec says about money."""

    def __init__(self, checked: Checked) -> None:
        self.checked = checked
        self.symbols = checked.symbols
        # What a price without `per something` counts, in the plan or addon that is lowered.
        self._counts: str | None = None

    def value(self, node: ast.Expr | None) -> Any:
        """The value of a constant expression."""
        return constant(node, self.symbols)

    # --- plans ---------------------------------------------------------------------------------

    def plan(self, node: ast.Plan | ast.Addon) -> catalog.Plan:
        """A plan or an addon."""
        base = catalog.Plan(node.name, node.title or node.name, addon=isinstance(node, ast.Addon))
        prices = [part for part in walk(node) if isinstance(part, ast.Price)]
        by_itself = base.addon and all(price.per_unit is None for price in prices)
        self._counts = catalog.ITSELF if by_itself else None
        said = self._items(node.items)
        phases = tuple(
            catalog.Phase(item.title, self.value(item.duration), self._terms(item.items))
            for item in node.items
            if isinstance(item, ast.Phase)
        )
        versions = tuple(
            catalog.Version(
                self.value(item.start),
                self._terms(item.items),
                item.migrate,  # type: ignore[arg-type]
                self.version_name(node, item) if item.where is not None else None,
            )
            for item in node.items
            if isinstance(item, ast.PriceVersion)
        )
        plan = overlays.overlay(base, catalog.Terms(**said))
        return replace(plan, phases=phases, versions=versions)

    def version_name(self, node: ast.Plan | ast.Addon, item: ast.PriceVersion) -> str:
        """What the condition of a dated version is known by."""
        return f"{node.name}@{self.value(item.start)}"

    def _terms(self, items: Iterable[ast.PlanItem]) -> catalog.Terms:
        return catalog.Terms(**self._items(items))

    def _items(self, items: Iterable[ast.PlanItem]) -> dict[str, Any]:
        lists: dict[str, list[Any]] = {}
        said: dict[str, Any] = {}
        for item in items:
            match item:
                case ast.Price():
                    lists.setdefault("prices", []).append(self._price(item))
                case ast.UsagePrice():
                    lists.setdefault("usages", []).append(self._usage(item))
                case ast.Includes():
                    lists.setdefault("includes", []).append(self._includes(item))
                case ast.PlanClause():
                    self._clause(item, said, lists)
        return {**{key: tuple(found) for key, found in lists.items()}, **said}

    def _clause(
        self, item: ast.PlanClause, said: dict[str, Any], lists: dict[str, list[Any]]
    ) -> None:
        value: Any = self.value(item.value) if item.value is not None else None
        match item.key:
            case "trial":
                said["trial"] = value
            case "features":
                said["features"] = tuple(value or ())
            case "limits":
                said["limits"] = dict(value or {})
                said["limit_types"] = {
                    entry.name: _limit_type(self.checked, entry.value)
                    for entry in getattr(item.value, "entries", ())
                }
            case "minimum" | "maximum":
                lists.setdefault(f"{item.key}s", []).append(value)
            case "bill_usage":
                lists.setdefault("bill_usage_at", []).append(value)
            case "seats" if isinstance(item.value, ast.Binary):
                said["seats"] = (self.value(item.value.left), self.value(item.value.right))
            case "seats":
                said["seats"] = (value, value) if value != UNLIMITED else None
            case "only":
                said["only"] = tuple(value if isinstance(value, list) else [value])
            case "provider":
                said["providers"] = {**said.get("providers", {}), item.name: value}
            case key:
                said["data"] = {**said.get("data", {}), key: value}

    def _price(self, item: ast.Price) -> catalog.Price:
        interval = catalog.Interval(item.count, item.unit) if item.unit else None
        pricing = self._pricing(item.pricing, None)
        currency = _currency(pricing) or self.symbols.currency
        return catalog.Price(
            currency, interval, pricing, item.per_unit or self._counts, item.arrears
        )

    def _includes(self, item: ast.Includes) -> catalog.Includes:
        carried = None
        if (said := item.carried) is not None:
            most = self._in_unit(said.most, item.meter) if said.most is not None else None
            carried = catalog.Carried(said.periods, most)
        quantity = self._in_unit(item.quantity, item.meter)
        return catalog.Includes(item.meter, quantity, item.prorated, carried, item.events)

    def _usage(self, item: ast.UsagePrice) -> catalog.UsagePrice:
        pricing = self._pricing(item.pricing, item.meter)
        interval = catalog.Interval(*item.interval) if item.interval else None
        return catalog.UsagePrice(item.meter, pricing, _currency(pricing), interval)

    def _pricing(self, node: ast.Pricing, meter: str | None) -> catalog.Pricing:
        share = node.rate is not None and self._is_share(node.rate)
        share = share or any(self._is_share(tier.rate) for tier in node.tiers)
        return catalog.Pricing(
            node.model,  # type: ignore[arg-type]
            self._rate(node.rate, meter, share) if node.rate else catalog.Rate(),
            tuple(
                catalog.Tier(
                    self._in_unit(tier.bound, meter) if tier.bound is not None else None,
                    self._rate(tier.rate, meter, share),
                )
                for tier in node.tiers
            ),
            self._in_unit(node.package, meter) if node.package is not None else 1,
            node.dimensions,
            tuple(
                catalog.DimensionRate(case.values, self._pricing(case.price, meter))
                for case in node.cases
            ),
        )

    def _rate(self, node: ast.Rate, meter: str | None, share: bool) -> catalog.Rate:
        return catalog.Rate(
            tuple(self._part(part, meter, share) for part in node.parts),
            self.value(node.at_most) if node.at_most is not None else None,
            self.value(node.at_least) if node.at_least is not None else None,
            self.value(node.most_each) if node.most_each is not None else None,
            self.value(node.least_each) if node.least_each is not None else None,
        )

    def _part(self, node: ast.RatePart, meter: str | None, share: bool) -> catalog.RatePart:
        amount = self.value(node.amount)
        if node.unit != "per":
            return catalog.RatePart(amount, node.unit)  # type: ignore[arg-type]
        per = (node.per or "").replace("_", "")
        if per.isdecimal():
            return catalog.RatePart(amount, "package", int(per))
        if per in SIZE_UNITS:
            own = self._meter_unit(meter)
            return catalog.RatePart(amount, "unit", divide(SIZE_UNITS[per], own))
        if share and isinstance(amount, Money):
            return catalog.RatePart(amount, "event")
        return catalog.RatePart(amount)

    def _is_share(self, node: ast.Rate) -> bool:
        return any(
            isinstance(part.amount, ast.Literal) and part.amount.type == "percent"
            for part in node.parts
        )

    def _meter_unit(self, meter: str | None) -> int:
        declared = self.symbols.meters.get(meter or "")
        return SIZE_UNITS.get(declared.unit or "B", 1) if declared else 1

    def _in_unit(self, node: ast.Expr, meter: str | None) -> Any:
        """A quantity in the meter's unit: `10 GB` of a meter in GB is 10, `10 USD` of money too."""
        value = self.value(node)
        if isinstance(node, ast.Literal) and node.type == "size":
            return divide(value, self._meter_unit(meter))
        return value.amount if isinstance(value, Money) else value

    # --- the rest ------------------------------------------------------------------------------

    def coupon(self, node: ast.Coupon) -> catalog.Coupon:
        """A coupon."""
        until: Any = self.value(node.until) if node.until is not None else None
        return catalog.Coupon(
            node.name,
            self.value(node.off),
            node.once,
            self.value(node.duration) if node.duration is not None else None,
            node.once_per_customer,
            self.value(node.times) if node.times is not None else None,
            until.date() if hasattr(until, "date") else until,
            tuple(name for name, _ in node.only),
        )

    def tax(self, node: ast.Tax) -> catalog.Tax:
        """A tax, without its condition."""
        rate = self.value(node.rate) if node.rate is not None else Percent(0)
        return catalog.Tax(node.name, rate, node.inclusive, node.provider)

    def dunning(self, node: ast.Dunning) -> catalog.Dunning:
        """A policy of retries."""
        said: dict[str, Any] = {}
        for step in node.steps:
            delays = tuple(self.value(delay) for delay in step.delays)
            match step.kind:
                case "retry_after":
                    said["after"] = delays
                case "retry_every":
                    said.update(every=delays[0], times=step.times or 1)
                case "retry_backoff":
                    said.update(every=delays[0], times=step.times or 1, doubling=True)
                case "then":
                    said["action"] = step.action
                case "grace":
                    said.update(grace=delays[0], grace_action=step.action)
        return catalog.Dunning(node.name, **said)

    def settings(self) -> catalog.BillingSettings:
        """The choices of the business block."""
        business = self.symbols.business
        said: dict[str, Any] = {
            "currency": self.symbols.currency,
            "timezone": self.symbols.timezone,
        }
        for setting in business.settings if business else ():
            said.update(self._setting(setting))
        return catalog.BillingSettings(**said)

    def _setting(self, setting: ast.Setting) -> dict[str, Any]:
        words = [word.strip(",") for word in setting.words if word.strip(",")]
        match setting.key:
            case "rounding" | "billing" | "credit" | "lost_disputes":
                return {setting.key: words[0]}
            case "proration":
                return {"proration": words[-1]}
            case "grace" | "trial_notice":
                return {setting.key: self.value(setting.value) or _duration(words)}
            case "invoice_number" | "credit_note_number":
                text = setting.value
                parts = text.parts if isinstance(text, ast.Text) else (words[0].strip('"'),)
                return {setting.key: "".join(placeholder(part) for part in parts)}
            case "collect":
                said: dict[str, Any] = {"collect": words[0]}
                if "due" in words:
                    said["due_after"] = _duration(words[words.index("due") + 1 :])
                return said
            case "due":
                return {"due_after": _duration(words)}
            case "smallest_charge":
                value = setting.value
                each = value.items if isinstance(value, ast.ListLiteral) else (value,)
                return {"smallest_charge": tuple(self.value(amount) for amount in each)}
        return {}


def placeholder(part: str | ast.Interpolation) -> str:
    """An interpolation of an invoice number as it was written: its names are the number's own."""
    if isinstance(part, str):
        return part
    name = part.value.name if isinstance(part.value, ast.Name) else "seq"
    return f"{{{name}:{part.format}}}" if part.format else f"{{{name}}}"


def _duration(words: list[str]) -> Duration:
    found = re.search(r"(\d+) ([a-z]+)", " ".join(words))
    assert found, words
    return Duration.of(int(found[1]), found[2])


def _limit_type(checked: Checked, node: ast.Expr) -> str:
    type_ = known(checked.type_of(node))
    if isinstance(node, ast.Literal):
        return "size" if node.type == "size" else "number"
    return "size" if type_ == Prim("size") else "number"


def _amounts(pricing: catalog.Pricing) -> Iterator[Money]:
    rates = [pricing.rate, *(tier.rate for tier in pricing.tiers)]
    for rate in rates:
        found = (
            *(part.amount for part in rate.parts), rate.at_most, rate.at_least,
            rate.most_each, rate.least_each,
        )  # fmt: skip
        yield from (amount for amount in found if isinstance(amount, Money))
    for case in pricing.cases:
        yield from _amounts(case.pricing)


def _currency(pricing: catalog.Pricing) -> str | None:
    return next((amount.currency for amount in _amounts(pricing)), None)
