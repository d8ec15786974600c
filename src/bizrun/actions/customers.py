"""What billing asks about a customer: subscription, plan, zone, coupons, credit."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ..billing import catalog, periods
from ..billing.credits import Grant
from ..billing.discounts import Attached
from ..errors import EvalError, Refusal
from ..values import Money
from .desk import Desk, Row

LIVE = ("trialing", "active", "past_due", "paused", "suspended")


def settings(desk: Desk) -> catalog.BillingSettings:
    """The billing choices of the business."""
    return desk.program.billing or catalog.BillingSettings()


def customer_row(desk: Desk, customer: str) -> Mapping[str, Any]:
    """The customer's row; empty where the spec keeps none."""
    bills = desk.program.bills
    return desk.row(bills, customer) if bills else {}


def zone_of(desk: Desk, customer: str) -> str:
    """The zone that decides on the customer's dates: its own, else the business's."""
    bills = desk.program.bills
    row = desk.peek(bills, customer) if bills else None
    own = row.get("timezone") if row else None
    return own if isinstance(own, str) and own else desk.program.timezone


def subscriptions(desk: Desk, customer: str) -> list[Row]:
    """The customer's subscriptions that have not ended, oldest first."""
    return [row for row in desk.subscriptions(customer) if row["status"] in LIVE]


def subscription_of(desk: Desk, customer: str) -> Row | None:
    """The one that decides on limits and periods: the oldest that lives."""
    for row in desk.subscriptions(customer):
        if row["status"] in LIVE:
            return row
    return None


def plan_named(desk: Desk, name: Any) -> catalog.Plan:
    """The plan or addon of that name."""
    plan = desk.program.plans.get(name) or desk.program.addons.get(name)
    if plan is None:
        from ..diagnostics import did_you_mean

        meant = did_you_mean(str(name), desk.program.plans)
        hint = f" Did you mean `{meant}`?" if meant else ""
        raise Refusal(f"Unknown plan `{name}`.{hint}")
    return plan


def terms(desk: Desk, sub: Mapping[str, Any], at: datetime) -> catalog.Plan:
    """The plan of a subscription as it holds for it at an instant: its version, its phase."""
    zone = zone_of(desk, sub["customer"])
    plan = plan_named(desk, sub["plan"])
    if plan.versions:
        began = periods.local_day(sub["started"], zone)
        renewed = periods.local_day(sub["period_start"] or sub["started"], zone)
        plan = catalog.version_for(plan, began, renewed, periods.local_day(at, zone))
    return catalog.plan_at(plan, sub["anchor"], at, zone) if plan.phases else plan


def customer_plan(desk: Desk, customer: str) -> catalog.Plan | None:
    """The plan that a customer has: of the subscription, else of its own `plan` field."""
    sub = subscription_of(desk, customer)
    if sub is not None:
        return terms(desk, sub, desk.now)
    bills = desk.program.bills
    row = desk.peek(bills, customer) if bills else None
    name = row.get("plan") if row else None
    return desk.program.plans.get(name) if isinstance(name, str) else None


def coupons(desk: Desk, sub: Mapping[str, Any] | None) -> tuple[Attached, ...]:
    """The coupons on a subscription, in the order attached."""
    held = (sub or {}).get("coupons") or []
    return tuple(
        Attached(desk.program.coupons[c["coupon"]], c["at"], c["invoices"])
        for c in held
        if c["coupon"] in desk.program.coupons
    )


def grants(desk: Desk, customer: str, currency: str) -> tuple[Grant, ...]:
    """The account credit that a customer has left, in order of granting."""
    return tuple(
        Grant(row["id"], row["balance"], row["expires"])
        for row in desk.select("Wallet", customer=customer)
        if row["balance"] and row["balance"].currency == currency
    )


def credit_balance(desk: Desk, customer: str) -> Money:
    """The sum of a customer's account credit that has not expired."""
    total = Money(0, desk.currency)
    for row in desk.select("Wallet", customer=customer):
        if row["expires"] is None or row["expires"] > desk.now:
            total = total + row["balance"]
    return total


def cycle_of(desk: Desk, sub: Mapping[str, Any]) -> periods.Cycle:
    """The billing periods of a subscription."""
    held = sub["billing"] or {}
    interval = catalog.interval(sub["interval"])
    zone = zone_of(desk, sub["customer"])
    return periods.cycle(
        sub["anchor"], interval, settings(desk), zone, held.get("anchor_day"),
        bool(held.get("exact")),
    )  # fmt: skip


def interval_named(text: str) -> catalog.Interval:
    """An interval as an author writes it; refused where it is none."""
    try:
        return catalog.interval(text)
    except EvalError as error:
        raise Refusal(str(error)) from None
