"""What subscriptions of the same terms have in common: worked out once, whoever they are of.

Ids differ and all else repeats: a thousand renewals of a plan at one instant make a thousand
invoices that say the same. Only what nothing of a single subscription goes into is shared but how
much it has used: a plan that holds as it stands (no versions, phases or bounds), without add-ons,
whose usage costs by its quantity alone. Lines stand here without their subscription; `of` names it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from msgspec.structs import replace

from ..billing import catalog, invoicing, lines, periods, proration, rating
from ..billing.catalog import BillingSettings, Plan, UsagePrice
from ..billing.invoicing import Draft, InvoiceTotals, Line
from ..billing.periods import Period
from ..values import Money, Number, check_number
from .billed import Metered
from .customers import in_trial, settings, zone_of
from .desk import Desk
from .line_rows import line_rows
from .terms import PLAN, Item, as_it_stands, rate_of_month
from .usage import window_row

# What of `billing` changes nothing about what a period of a plain plan makes.
_BESIDE = frozenset({
    "charges", "others", "since", "exact", "anchor_day", "waiting", "first_paid", "zone",
    "edition", "place",
})  # fmt: skip


class Begun(NamedTuple):
    """What the beginning of a period makes: its price in a month, its lines."""

    monthly: Money
    lines: tuple[Line, ...]


class Used(NamedTuple):
    """What a usage price comes to over a period: its line, its exact amount, and its parts as a
    row of `_usage` has them."""

    price: UsagePrice
    line: Line
    due: Money
    parts: tuple[tuple[tuple[str, ...], Number, Money], ...]


class Invoiced(NamedTuple):
    """An invoice, and what the rows of its lines say."""

    totals: InvoiceTotals
    rows: tuple[dict[str, Any], ...]


class Renewed(NamedTuple):
    """What the end of a period and the beginning of the next one make: the lines of both, and what
    was `used`.

    `invoice` is the one over them where nothing else stands on it and no tax, coupon or credit of
    the customer goes into it.
    """

    plan: Plan
    period: Period
    monthly: Money
    due: tuple[Line, ...]
    used: tuple[Used, ...]
    advance: tuple[Line, ...]
    invoice: Invoiced


def plain_plan(desk: Desk, sub: Mapping[str, Any]) -> Plan | None:
    """The plan of a subscription where it is all that holds for it, at any time."""
    plan = desk.program.plans.get(sub["plan"])
    if plan is None or not as_it_stands(desk, plan, sub["billing"]):
        return None
    if plan.usages and not (_by_quantity(plan) and _add_up(desk, plan)):
        return None
    if sub["addons"] or sub["price"] is not None:
        return None
    return None if plan.minimums or plan.maximums else plan


@lru_cache(maxsize=1024)
def _by_quantity(plan: Plan) -> bool:
    """Whether what is used of a plan costs by its quantity over whole periods alone."""
    return not plan.includes and not plan.bill_usage_at and all(
        price.interval is None and not price.pricing.dimensions
        and not catalog.by_event(price.pricing)
        for price in plan.usages
    )  # fmt: skip


def _add_up(desk: Desk, plan: Plan) -> bool:
    """Whether the meters of a plan only add up what they count."""
    meters = [desk.program.meters.get(price.meter) for price in plan.usages]
    return all(meter is not None and meter.aggregate in ("sum", "count") for meter in meters)


def _counted(desk: Desk, sub: Mapping[str, Any], plan: Plan) -> list[Number] | None:
    """How much of each usage price of a plan was used over the period that ends; none where that is
    not all of it, or no quantity to pay for."""
    start, end = sub["usage_start"], sub["period_end"]
    if start != sub["period_start"] or start >= end or (sub["billing"] or {}).get("others"):
        return None
    found: list[Number] = []
    for price in catalog.choose_usages(plan, sub["currency"]):
        figures = desk.measured(price.meter, sub["customer"], start, end)
        if any(figure.quantity < 0 for figure in figures):
            return None
        found.append(check_number(sum((figure.quantity for figure in figures), 0)))
    return found


def renewal(desk: Desk, sub: Mapping[str, Any]) -> Renewed | None:
    """What the end of a subscription's period makes; none where more than its terms decides."""
    plan = plain_plan(desk, sub)
    if (plan is None or sub["status"] != "active" or in_trial(sub) or sub["coupons"]
            or sub["pending_plan"] is not None or sub["pending_quantity"] is not None
            or desk.program.taxes):  # fmt: skip
        return None
    billing = sub["billing"] or {}
    if not _BESIDE.issuperset(billing):
        return None
    zone = zone_of(desk, sub["customer"])
    if billing.get("zone", zone) != zone:
        return None
    counted = _counted(desk, sub, plan) if plan.usages else ()
    if counted is None:
        return None
    return _renewed(
        plan, sub["quantity"], sub["currency"], sub["interval"], sub["anchor"],
        sub["period_start"], sub["period_end"], billing.get("anchor_day"),
        bool(billing.get("exact")), settings(desk), zone, *counted,
    )  # fmt: skip


@lru_cache(maxsize=1 << 11, typed=True)
def _renewed(
    plan: Plan, quantity: Number, currency: str, interval: str, anchor: datetime, start: datetime,
    end: datetime, anchor_day: int | None, exact: bool, chosen: BillingSettings, zone: str,
    *counted: Number,
) -> Renewed:  # fmt: skip
    """By the terms, and by what was `counted` of each usage price."""
    cycle = periods.cycle(anchor, catalog.interval(interval), chosen, zone, anchor_day, exact)
    running = periods.period_at(cycle, start)
    share = proration.share_between(running, running.start, end, chosen.proration, zone)
    prices = catalog.choose_prices(plan, currency, catalog.interval(interval))
    late = [price for price in prices if price.arrears]
    due: list[Line] = []
    if late and (share or chosen.proration == "none"):
        subject = lines.Subject.of("", plan)
        due = lines.base_lines(subject, late, quantity, running.start, end, share)
    period = periods.following(cycle, end)
    next_ = begun(plan, quantity, currency, interval, period, False, chosen.proration, zone)
    prices_used = catalog.choose_usages(plan, currency)
    used = tuple(
        _used(plan, price, counts, currency, start, end, chosen.half_even)
        for price, counts in zip(prices_used, counted, strict=True)
    )
    draft = Draft(period.start, currency, (*due, *(each.line for each in used), *next_.lines))
    totals = invoicing.invoice(draft, chosen, zone)
    invoice = Invoiced(totals, line_rows(totals.lines))
    return Renewed(plan, period, next_.monthly, tuple(due), used, next_.lines, invoice)


def _used(
    plan: Plan, price: UsagePrice, quantity: Number, currency: str, start: datetime, end: datetime,
    half_even: bool,
) -> Used:  # fmt: skip
    """What a quantity of a usage price comes to: `usage.meter_window`, where only that counts."""
    rated = rating.rate_usage(price, [rating.Usage(quantity)], currency)
    [line] = lines.usage_lines(lines.Subject.of("", plan), price.meter, rated, start, end)
    due = sum((part.amount for part in rated), Money(0, currency))
    parts = ((part.values, part.quantity, part.amount.rounded(half_even)) for part in rated)
    return Used(price, line, due, tuple(parts))


def windows(sub: Mapping[str, Any], known: Renewed) -> list[Metered]:
    """What a subscription has used over the period that ends."""
    item = Item(PLAN, known.plan, sub["quantity"])
    start, end, found = sub["usage_start"], sub["period_end"], []
    for price, line, due, parts in known.used:
        rows = [[list(values), *rest] for values, *rest in parts]
        row = window_row(sub, PLAN, price.meter, start, end, rows)
        line = replace(line, subscription=sub["id"])
        found.append(Metered(item, price, start, end, (line,), row, due, []))
    return found


@lru_cache(maxsize=1 << 12, typed=True)
def begun(
    plan: Plan, quantity: Number, currency: str, interval: str, period: Period, first: bool,
    by: catalog.Proration, zone: str,
) -> Begun:  # fmt: skip
    """The beginning of a period; `first` adds what is due once."""
    share = proration.period_share(period, by, zone)
    subject = lines.Subject.of("", plan)
    prices = catalog.choose_prices(plan, currency, catalog.interval(interval))
    ahead = [price for price in prices if not price.arrears]
    made = lines.base_lines(subject, ahead, quantity, period.start, period.end, share, "")
    if first:
        made += once(plan, quantity, currency, "")
    return Begun(rate_of_month(plan, quantity, currency, interval), tuple(made))


def once(plan: Plan, quantity: Number, currency: str, sub: str) -> list[Line]:
    """The prices that are due once, with the first period."""
    return [
        lines.one_off_line(f"{plan.title or plan.name}, once", amount, 1, sub)
        for price in plan.prices
        if price.interval is None and price.currency == currency
        for amount in [rating.fixed_amount(price, quantity).amount]
    ]


def of(made: Sequence[Line], sub: str) -> list[Line]:
    """Lines as those of one subscription."""
    return [replace(line, subscription=sub) for line in made]
