"""What subscriptions of the same terms have in common: worked out once, whoever they are of.

Ids differ and all else repeats: a thousand renewals of a plan at one instant make a thousand
invoices that say the same. Only what nothing of a single subscription goes into is shared: a
plan that holds as it stands (no versions, phases, usage or bounds), without add-ons. Lines stand
here without their subscription; `of` names it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from msgspec.structs import replace

from ..billing import catalog, invoicing, lines, periods, proration, rating
from ..billing.catalog import BillingSettings, Plan
from ..billing.invoicing import Draft, InvoiceTotals, Line
from ..billing.periods import Period
from ..values import Money, Number
from .customers import in_trial, settings, zone_of
from .desk import Desk
from .terms import as_it_stands, rate_of_month

# What of `billing` changes nothing about what a period of a plain plan makes.
_BESIDE = frozenset({
    "charges", "others", "since", "exact", "anchor_day", "waiting", "first_paid", "zone",
    "edition",
})  # fmt: skip


class Begun(NamedTuple):
    """What the beginning of a period makes: its price in a month, its lines."""

    monthly: Money
    lines: tuple[Line, ...]


class Renewed(NamedTuple):
    """What the end of a period and the beginning of the next one make: the lines of both.

    `totals` is the invoice over them where nothing else stands on it and no tax, coupon or credit
    of the customer goes into it.
    """

    period: Period
    monthly: Money
    due: tuple[Line, ...]
    advance: tuple[Line, ...]
    totals: InvoiceTotals


def plain_plan(desk: Desk, sub: Mapping[str, Any]) -> Plan | None:
    """The plan of a subscription where it is all that holds for it, at any time."""
    plan = desk.program.plans.get(sub["plan"])
    if plan is None or plan.usages or not as_it_stands(desk, plan, sub["billing"]):
        return None
    if sub["addons"] or sub["price"] is not None:
        return None
    return None if plan.minimums or plan.maximums else plan


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
    return _renewed(
        plan, sub["quantity"], sub["currency"], sub["interval"], sub["anchor"],
        sub["period_start"], sub["period_end"], billing.get("anchor_day"),
        bool(billing.get("exact")), settings(desk), zone,
    )  # fmt: skip


@lru_cache(maxsize=1 << 12, typed=True)
def _renewed(
    plan: Plan, quantity: Number, currency: str, interval: str, anchor: datetime, start: datetime,
    end: datetime, anchor_day: int | None, exact: bool, chosen: BillingSettings, zone: str,
) -> Renewed:  # fmt: skip
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
    draft = Draft(period.start, currency, (*due, *next_.lines))
    totals = invoicing.invoice(draft, chosen, zone)
    return Renewed(period, next_.monthly, tuple(due), next_.lines, totals)


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
