"""What a period of a plan would come to: `estimate(plan, { api_calls: 12_000 }, customer)`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from ..billing import catalog, invoicing, lines, overlays, rating
from ..billing.invoicing import Bound, Draft, Line
from ..errors import Refusal
from ..times import add, local_date
from ..values import SIZE_UNITS, Money, Number, divide, show
from .customers import settings, zone_of
from .desk import Desk
from .invoices import taxes_of
from .terms import choose_currency, currency_of, plan_named

_TOTALS = ("subtotal", "tax", "total")
_PARTS = ("kind", "description", "quantity", "unit_amount", "amount", "tax")


def estimate(
    desk: Desk, plan: Any, used: Mapping[str, Any] | None = None, customer: Any = None
) -> dict[str, Any]:
    """A whole period at the plan's prices of today, with so much usage: by the functions that make
    invoices, before coupons and credit, with tax where a customer is named.

    `used` has quantities by meter, and of what a price is `per`: `{ seat: 5 }`; one of those where
    it says nothing. Refusal where the plan has no price for a name in it.
    """
    zone = desk.program.timezone if customer is None else zone_of(desk, customer)
    found = _today(desk, plan_named(desk, plan), zone)
    currency = (
        currency_of(found, desk.currency)
        if customer is None
        else choose_currency(desk, found, customer, None)
    )
    asked = dict(used or {})
    prices = catalog.choose_prices(found, currency)
    interval = next((price.interval for price in prices if price.interval), None)
    end = add(desk.now, interval.duration, ZoneInfo(zone)) if interval else desk.now
    made = _fixed(found, prices, asked, desk.now, end)
    made += _usage(desk, found, currency, asked, end)
    if asked:
        raise Refusal(f"plan `{found.name}` has no price for {', '.join(map(show, asked))}")
    least, most = found.minimum(currency), found.maximum(currency)
    bound = Bound("", found.name, desk.now, end, least, most, Money(0, currency))
    draft = Draft(
        desk.now,
        currency,
        tuple(made),
        (bound,) if least is not None or most is not None else (),
        tax_of=(lambda line: []) if customer is None else taxes_of(desk, customer),
    )
    totals = invoicing.invoice(draft, settings(desk), zone)
    return {
        "currency": currency,
        **{name: getattr(totals, name) for name in _TOTALS},
        "lines": [{name: getattr(line, name) for name in _PARTS} for line in totals.lines],
    }


def _today(desk: Desk, plan: catalog.Plan, zone: str) -> catalog.Plan:
    """The plan as it is for who subscribes now, its trial over."""
    today = local_date(desk.now, ZoneInfo(zone))
    dated = overlays.version_for(plan, today, today, today, lambda version: False)
    return overlays.plan_at(dated, desk.now, desk.now, zone)


def _fixed(
    plan: catalog.Plan, prices: tuple[catalog.Price, ...], asked: dict[str, Any], start: datetime,
    end: datetime,
) -> list[Line]:  # fmt: skip
    """The fixed parts; those of a unit take what is asked for of it."""
    subject = lines.Subject.of("", plan)
    units = {price.per_unit: asked.pop(price.per_unit, 1) for price in prices if price.per_unit}
    return [
        line
        for price in prices
        for line in lines.base_lines(
            subject, (price,), units.get(price.per_unit or "", 1), start, end
        )
    ]


def _usage(
    desk: Desk, plan: catalog.Plan, currency: str, asked: dict[str, Any], end: datetime
) -> list[Line]:
    """What the asked quantities cost, the allowances taken off."""
    subject = lines.Subject.of("", plan)
    made: list[Line] = []
    for price in catalog.choose_usages(plan, currency):
        quantity = _figure(desk, price.meter, asked.pop(price.meter, 0))
        counted = rating.Usage(quantity, 1 if quantity else 0)
        included = catalog.included(plan, price.meter) or 0
        rated = rating.rate_usage(price, (counted,) if quantity else (), currency, included)
        made += lines.usage_lines(subject, price.meter, rated, desk.now, end)
    for meter in [name for name in asked if name in desk.program.meters]:
        del asked[meter]  # it costs nothing on this plan
    return made


def _figure(desk: Desk, meter: str, value: Any) -> Number:
    """A quantity as its meter counts it: a size in the meter's unit, an amount as a number."""
    declared = desk.program.meters[meter]
    if isinstance(value, Money):
        return value.amount
    if declared.figure == "size":
        return divide(value, SIZE_UNITS.get(declared.unit or "", 1))
    return value  # type: ignore[no-any-return]
