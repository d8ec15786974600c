"""Coupons: attached where they hold, their uses counted and given back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..billing import discounts, periods
from ..billing.discounts import CouponUse
from ..errors import Refusal
from ..values import Money, show
from .customers import customer_row, subscriptions, zone_of
from .desk import Desk

_WORDS = {
    "expired": "it has expired", "used up": "it is used up",
    "once per customer": "it holds once per customer",
    "not for this plan": "it is not for this plan",
}  # fmt: skip


def redeem(
    desk: Desk, customer: str, name: Any, held: Sequence[Mapping[str, Any]], shared: bool = False
) -> dict[str, Any]:
    """Counts one use of a coupon; what the subscriptions `held` keep of it: of each its plan and
    currency are asked, where there are any. Refused where it holds for none."""
    coupon = desk.program.coupons.get(name)
    if coupon is None:
        # A code may be a secret among those who were given it: no other one is told.
        raise Refusal(f"Unknown coupon `{show(name)}`.")
    keys = (f"coupon|{name}", f"coupon|{name}|{customer}")
    rows = [desk.peek("_number", key) for key in keys]
    every, own = (row["last"] if row else 0 for row in rows)
    day = periods.local_day(desk.now, zone_of(desk, customer))
    plans = [sub["plan"] for sub in held]
    # What it is for of others than plans, add-ons or meters, may come with any.
    plans_only = all(name in desk.program.plans for name in coupon.only)
    fitting = [plan for plan in plans if not coupon.only or plan in coupon.only]
    plan = next(iter(fitting or plans), None) if plans_only else None
    reason = discounts.why_not(coupon, day, every, own, plan)
    if reason:
        raise Refusal(f"coupon `{name}` can't be used: {_WORDS[reason]}")
    currencies = sorted({sub["currency"] for sub in held})
    if held and isinstance(coupon.off, Money) and coupon.off.currency not in currencies:
        raise Refusal(
            f"coupon `{name}` can't be used: it takes off {coupon.off.currency}, and this is paid "
            f"in {' and '.join(currencies)}"
        )
    for key, count in zip(keys, (every, own), strict=True):
        desk.put("_number", key, {"id": key, "last": count + 1})
    entry = {"coupon": name, "at": desk.now, "invoices": 0}
    return {**entry, "shared": True} if shared else entry


def attached(sub: Mapping[str, Any], entry: dict[str, Any]) -> list[dict[str, Any]]:
    """A subscription's coupons with one more; one that is there begins anew, in its place."""
    held = list(sub["coupons"] or ())
    names = [each["coupon"] for each in held]
    if entry["coupon"] in names:
        held[names.index(entry["coupon"])] = entry
        return held
    return [*held, entry]


def apply_coupon(desk: Desk, args: dict[str, Any], site: object, place: Any) -> Any:
    """`apply_coupon { customer, coupon }`: once for all of the customer's subscriptions; for a
    new customer, for the first one that it fits."""
    customer = args["customer"]
    customer_row(desk, customer)
    held = subscriptions(desk, customer)
    if not held:
        if desk.subscriptions(customer):
            raise Refusal(f"{customer} has no subscription for a coupon")
        entry = redeem(desk, customer, args["coupon"], ())
        _promise(desk, customer, attached({"coupons": _promised(desk, customer)}, entry))
        return customer
    entry = redeem(desk, customer, args["coupon"], held, len(held) > 1)
    for sub in held:
        desk.change("Subscription", sub["id"], coupons=attached(sub, entry))
    return customer


def remove_coupon(desk: Desk, args: dict[str, Any], site: object, place: Any) -> Any:
    """`remove_coupon { customer, coupon }`: it discounts nothing that is invoiced from now on.

    What it has discounted stays so, and its use stays counted. Refused where nothing holds it.
    """
    customer, name = args["customer"], args["coupon"]
    customer_row(desk, customer)
    holders = [sub for sub in subscriptions(desk, customer) if _without(sub, name) is not None]
    promised = _without({"coupons": _promised(desk, customer)}, name)
    if not holders and promised is None:
        raise Refusal(f"{customer} has no coupon `{show(name)}`")
    for sub in holders:
        desk.change("Subscription", sub["id"], coupons=_without(sub, name) or None)
    if promised is not None:
        _promise(desk, customer, promised)
    return customer


def _without(sub: Mapping[str, Any], name: Any) -> list[dict[str, Any]] | None:
    """A subscription's coupons less one; none where it is not among them."""
    held = list(sub["coupons"] or ())
    kept = [each for each in held if each["coupon"] != name]
    return kept if len(kept) < len(held) else None


def claim(desk: Desk, sub: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The coupons that a customer was given before a new subscription, and that fit it."""
    promised = _promised(desk, sub["customer"])
    fitting = [entry for entry in promised if _fits(desk, entry, sub)]
    if fitting:
        _promise(desk, sub["customer"], [entry for entry in promised if entry not in fitting])
    return fitting


def _fits(desk: Desk, entry: Mapping[str, Any], sub: Mapping[str, Any]) -> bool:
    coupon = desk.program.coupons.get(entry["coupon"])
    if coupon is None:
        return False
    plans = [name for name in coupon.only if name in desk.program.plans]
    planned = not coupon.only or len(plans) < len(coupon.only) or sub["plan"] in plans
    return planned and (not isinstance(coupon.off, Money) or coupon.off.currency == sub["currency"])


def _promised(desk: Desk, customer: str) -> list[dict[str, Any]]:
    row = desk.peek("_promised", customer)
    return list(row["coupons"]) if row else []


def _promise(desk: Desk, customer: str, entries: Sequence[Mapping[str, Any]]) -> None:
    kept = {"id": customer, "coupons": list(entries)} if entries else None
    desk.put("_promised", customer, kept)


def count(
    desk: Desk, subs: Sequence[Mapping[str, Any]], uses: Sequence[CouponUse]
) -> list[dict[str, Any]] | None:
    """Counts an invoice for the coupons that hold once; what voiding it gives back."""
    found: list[dict[str, Any]] = []
    for use in uses:
        if not use.amount or not desk.program.coupons[use.coupon].once:
            continue
        for sub in subs:
            if use.subscription not in (None, sub["id"]):
                continue
            for holder in _holders(desk, sub, use.coupon):
                known = {"coupon": use.coupon, "subscription": holder["id"]}
                if known not in found:
                    found.append(known)
    _add(desk, found, 1)
    return found or None


def _holders(desk: Desk, sub: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """The subscriptions that hold a coupon together with one: all that the customer had when it
    was given to the customer, else that one alone."""
    mine = next((entry for entry in sub["coupons"] or () if entry["coupon"] == name), None)
    if mine is None or not mine.get("shared"):
        return [sub] if mine else []
    return [
        each
        for each in desk.subscriptions(sub["customer"])
        if any(e["coupon"] == name and e["at"] == mine["at"] for e in each["coupons"] or ())
    ]


def give_back(desk: Desk, invoice: Mapping[str, Any]) -> None:
    """Gives back the coupon uses of an invoice that is voided."""
    _add(desk, invoice["coupons"] or (), -1)


def _add(desk: Desk, uses: Sequence[Mapping[str, Any]], step: int) -> None:
    for use in uses:
        row = desk.row("Subscription", use["subscription"])
        held = [
            {**entry, "invoices": max(0, entry["invoices"] + step)}
            if entry["coupon"] == use["coupon"]
            else entry
            for entry in row["coupons"] or ()
        ]
        desk.change("Subscription", use["subscription"], coupons=held)
