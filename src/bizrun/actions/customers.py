"""What billing asks about a customer: row, zone, subscriptions, coupons, credit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..billing import catalog
from ..billing.credits import Grant
from ..billing.discounts import Attached
from ..values import Duration, Money
from .desk import Desk, Row

_DEFAULTS = catalog.BillingSettings()

ENDED = ("cancelled", "expired")
# Nothing is charged, and nothing of the plan may be used.
ASLEEP = ("paused", "suspended")


def lives(sub: Mapping[str, Any]) -> bool:
    """Whether a subscription has not ended, in whatever state an author's lifecycle has it."""
    return sub["status"] not in ENDED and sub["ended_at"] is None


def in_trial(sub: Mapping[str, Any]) -> bool:
    """Whether what runs is the trial and not yet a paid period."""
    until, trial_end = sub["period_end"], sub["trial_end"]
    return trial_end is not None and until is not None and bool(until <= trial_end)


def settings(desk: Desk) -> catalog.BillingSettings:
    """The billing choices of the business."""
    return desk.program.billing or _DEFAULTS


def customer_row(desk: Desk, customer: str) -> Mapping[str, Any]:
    """The customer's row; empty where the spec keeps none."""
    bills = desk.program.bills
    return desk.row(bills, customer) if bills else {}


def zone_of(desk: Desk, customer: str) -> str:
    """The zone that decides on the customer's dates: its own, else the business's."""
    program = desk.program
    if program.bills is None or not may_move(desk):
        return program.timezone
    row = desk.peek(program.bills, customer)
    own = row["timezone"] if row else None
    return own if isinstance(own, str) and own else program.timezone


def zone_in(desk: Desk, sub: Mapping[str, Any]) -> str:
    """The zone in which the running period of a subscription lies: the customer's, but for one who
    has moved since it began."""
    known = (sub["billing"] or {}).get("zone")
    return known if known is not None else zone_of(desk, sub["customer"])


def may_move(desk: Desk) -> bool:
    """Whether customers have zones of their own."""
    program = desk.program
    return program.bills is not None and "timezone" in program.entities[program.bills].fields


def due_after(desk: Desk, customer: str) -> Duration:
    """How long a customer has to pay what is sent: its own `due_after`, else the business's."""
    own = customer_row(desk, customer).get("due_after")
    return own if isinstance(own, Duration) else settings(desk).due_after


def grace(desk: Desk, customer: str) -> Duration:
    """How long its invoice over usage stays a draft: the customer's own `invoice_grace`, else the
    `grace` of the business."""
    own = customer_row(desk, customer).get("invoice_grace")
    return own if isinstance(own, Duration) else settings(desk).grace


def subscriptions(desk: Desk, customer: str) -> list[Row]:
    """The customer's subscriptions that have not ended, oldest first."""
    return [row for row in desk.subscriptions(customer) if lives(row)]


def subscriptions_of(invoice: Mapping[str, Any]) -> list[str]:
    """The subscriptions that stand on an invoice."""
    if invoice["subscriptions"]:
        return list(invoice["subscriptions"])
    return [invoice["subscription"]] if invoice["subscription"] else []


def subscription_of(desk: Desk, customer: str) -> Row | None:
    """The one that decides on periods: the oldest that lives."""
    for row in desk.subscriptions(customer):
        if lives(row):
            return row
    return None


def plans_of(desk: Desk, customer: str) -> Iterator[tuple[catalog.Plan, Row | None]]:
    """What a customer has: the plan of each subscription that lives, with what its add-ons give to
    it, the oldest first and those that sleep last; without one that of its own `plan` field."""
    from .terms import items

    subs = subscriptions(desk, customer)
    if len(subs) > 1:
        subs.sort(key=lambda each: each["status"] in ASLEEP)
    for sub in subs:
        yield items(desk, sub, desk.now)[0].plan, sub
    bills = desk.program.bills
    row = desk.peek(bills, customer) if bills and not subs else None
    name = row.get("plan") if row else None
    plan = desk.program.plans.get(name) if isinstance(name, str) else None
    if plan is not None:
        yield plan, None


def coupons(desk: Desk, subs: Sequence[Mapping[str, Any]]) -> tuple[Attached, ...]:
    """The coupons on the subscriptions of an invoice, in the order attached.

    One that was given to the customer rather than to a subscription stands for all of them.
    """
    found: dict[tuple[Any, ...], Attached] = {}
    for sub in subs:
        for entry in sub["coupons"] or ():
            coupon = desk.program.coupons.get(entry["coupon"])
            if coupon is None:
                continue
            whose = None if entry.get("shared") or len(subs) == 1 else sub["id"]
            key = (entry["coupon"], entry["at"], whose)
            among = _among(desk, sub, entry) if entry.get("shared") else ()
            found.setdefault(key, Attached(coupon, entry["at"], entry["invoices"], whose, among))
    if len(subs) == 1:
        return tuple(found.values())
    return tuple(sorted(found.values(), key=lambda attached: attached.at))


def _among(desk: Desk, sub: Mapping[str, Any], entry: Mapping[str, Any]) -> tuple[str, ...]:
    """The subscriptions that a coupon was given to as one with this."""
    return tuple(
        each["id"] for each in desk.subscriptions(sub["customer"])
        if any(e["coupon"] == entry["coupon"] and e["at"] == entry["at"]
               for e in each["coupons"] or ())
    )  # fmt: skip


def has_credit(desk: Desk, customer: str) -> bool:
    """Whether a customer was ever granted or sold credit."""
    return desk.peek("_number", f"credit|{customer}") is not None


def grants(desk: Desk, customer: str, currency: str) -> tuple[Grant, ...]:
    """The account credit that a customer has left, in order of granting."""
    if not has_credit(desk, customer):
        return ()
    return tuple(
        grant_of(row, row["balance"])
        for row in desk.select("Wallet", customer=customer)
        if row["balance"].currency == currency and row["balance"]
    )


def grant_of(wallet: Mapping[str, Any], amount: Money) -> Grant:
    """An amount of a wallet, with what that is limited to."""
    meters, kinds = tuple(wallet["meters"] or ()), tuple(wallet["kinds"] or ())
    return Grant(wallet["id"], amount, wallet["expires"], meters, kinds, wallet["priority"])


def credit_balance(desk: Desk, customer: str) -> Money:
    """The sum of a customer's account credit that has not expired, in the business's currency,
    or in the credit's own where all of it is in one."""
    held = [
        row["balance"]
        for row in desk.select("Wallet", customer=customer)
        if row["balance"] and (row["expires"] is None or row["expires"] > desk.now)
    ]
    currencies = {amount.currency for amount in held}
    currency = currencies.pop() if len(currencies) == 1 else desk.currency
    mine = (amount for amount in held if amount.currency == currency)
    return sum(mine, Money(0, currency))
