"""Subscriptions: begun, renewed, changed, paused and ended, each with the invoice that it makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ..billing import buckets, catalog, discounts, lines, periods, proration, rating
from ..billing.invoicing import Bound, Line
from ..billing.periods import Period
from ..billing.proration import Charge
from ..errors import Refusal
from ..values import Money, number_text
from .customers import (
    LIVE,
    customer_row,
    cycle_of,
    interval_named,
    plan_named,
    settings,
    terms,
    zone_of,
)
from .desk import Desk, Row
from .invoices import issue

_EVENTS = {
    "active": "Subscription.activated", "past_due": "Subscription.past_due",
    "suspended": "Subscription.suspended", "cancelled": "Subscription.cancelled",
    "expired": "Subscription.expired", "paused": "Subscription.paused",
}  # fmt: skip


def set_status(desk: Desk, key: str, status: str, **more: Any) -> None:
    """Changes a subscription's status and says so; an author's own lifecycle has the last word."""
    sub = desk.row("Subscription", key)
    if sub["status"] != status and not _allowed(desk, sub["status"], status):
        if more:
            desk.change("Subscription", key, **more)
        return
    desk.change("Subscription", key, status=status, **more)
    desk.announce(_EVENTS[status], key, subscription=key, customer=sub["customer"])


def _allowed(desk: Desk, source: str, target: str) -> bool:
    for life in desk.program.lifecycles:
        if life.entity == "Subscription" and life.field == "status":
            return life.allows(source, target)
    return True


def prices_of(plan: catalog.Plan, sub: Mapping[str, Any]) -> tuple[catalog.Price, ...]:
    """The prices of a plan that hold for a subscription's currency and interval."""
    return catalog.choose_prices(plan, sub["currency"], catalog.interval(sub["interval"]))


def monthly(plan: catalog.Plan, sub: Mapping[str, Any]) -> Money:
    """What the fixed parts come to in a month."""
    total = Money(0, sub["currency"])
    for price in prices_of(plan, sub):
        amount = rating.fixed_amount(price, sub["quantity"]).amount
        total = total + proration.per_month(amount, price.interval)
    return total.rounded()


# --- beginning -------------------------------------------------------------------------------


def subscribe(desk: Desk, args: dict[str, Any], site: object, place: Any) -> str:
    """`subscribe { customer, plan, quantity?, coupon?, anchor_day? }`."""
    customer = args["customer"]
    customer_row(desk, customer)
    plan = plan_named(desk, args["plan"])
    start = args.get("start") or desk.now
    currency = args.get("currency") or _currency(desk, plan, customer)
    interval = _interval(plan, currency, args.get("interval"))
    quantity = _quantity(plan, args.get("quantity"))
    zone = zone_of(desk, customer)
    began, today = periods.local_day(start, zone), periods.local_day(desk.now, zone)
    plan = catalog.version_for(plan, began, began, today)
    trial = None if args.get("trial") is False else plan.trial
    trial_end, cycle = periods.after_trial(
        start, trial, interval, settings(desk), zone, args.get("anchor_day")
    )
    trialing = trial_end is not None and trial_end > desk.now
    first = periods.period(cycle, 0)
    data = {
        "customer": customer, "plan": plan.name, "status": "trialing" if trialing else "active",
        "quantity": quantity, "currency": currency, "interval": str(interval), "started": start,
        "anchor": cycle.start, "trial_end": trial_end,
        "period_start": start if trialing else first.start,
        "period_end": trial_end if trialing else first.end, "usage_start": start,
        "billing": {
            "anchor_day": args.get("anchor_day"), "exact": trial_end is not None, "charges": [],
        },
    }  # fmt: skip
    data["monthly_amount"] = monthly(plan, data)
    key = desk.create("Subscription", data, site)
    if args.get("coupon") is not None:
        attach(desk, key, args["coupon"])
    names = {"subscription": key, "customer": customer}
    desk.announce("Subscription.created", key, **names)
    if trialing:
        assert trial_end is not None
        notice = periods.trial_notice(start, trial_end, settings(desk), zone)
        if notice > desk.now:
            desk.set_timer(f"notice|{key}", notice, what="notice", sub=key)
        else:
            desk.announce("Subscription.trial_ending", key, **names)
        desk.set_timer(f"renew|{key}", trial_end, what="activate", sub=key)
    else:
        desk.announce("Subscription.activated", key, **names)
        begin_period(desk, key, first, "start")
        _catch_up(desk, key, cycle, first)
    return key


def _catch_up(desk: Desk, key: str, cycle: periods.Cycle, first: Period) -> None:
    """A start in the past bills every period that has begun since, each by itself."""
    period = first
    while period.end <= desk.now:
        renew(desk, key, period.end)
        period = periods.next_period(cycle, period)


def _currency(desk: Desk, plan: catalog.Plan, customer: str) -> str:
    own = customer_row(desk, customer).get("currency")
    known = [price.currency for price in plan.prices]
    for wanted in (own, desk.currency):
        if wanted in known:
            return str(wanted)
    return known[0] if known else desk.currency


def _interval(plan: catalog.Plan, currency: str, wanted: str | None) -> catalog.Interval:
    if wanted is not None:
        interval = interval_named(wanted)
        if not catalog.choose_prices(plan, currency, interval):
            raise Refusal(f"plan `{plan.name}` has no price in {currency} per {interval}")
        return interval
    prices = catalog.choose_prices(plan, currency)
    found = prices[0].interval if prices else None
    return found or catalog.Interval(1, "month")


def _quantity(plan: catalog.Plan, wanted: Any) -> Any:
    quantity = 1 if wanted is None else wanted
    low, high = plan.seats or (0, 10**12)
    if wanted is None and plan.seats:
        quantity = max(1, low)
    if not low <= quantity <= high or quantity < 0:
        shown = "no end" if high == 10**12 else number_text(high)
        raise Refusal(f"plan `{plan.name}` takes {number_text(low)} to {shown} seats, "
                      f"not {number_text(quantity)}")  # fmt: skip
    return quantity


def attach(desk: Desk, key: str, name: Any) -> None:
    """Attaches a coupon to a subscription; refused where it does not hold."""
    coupon = desk.program.coupons.get(name)
    if coupon is None:
        raise Refusal(f"unknown coupon `{name}`")
    sub = desk.row("Subscription", key)
    count = desk.peek("_number", f"coupon|{name}")
    own = desk.peek("_number", f"coupon|{name}|{sub['customer']}")
    day = periods.local_day(desk.now, zone_of(desk, sub["customer"]))
    reason = discounts.why_not(
        coupon, day, count["last"] if count else 0, own["last"] if own else 0, sub["plan"]
    )
    if reason:
        raise Refusal(f"coupon `{name}` can't be used: {reason}")
    for id_, row in ((f"coupon|{name}", count), (f"coupon|{name}|{sub['customer']}", own)):
        desk.put("_number", id_, {"id": id_, "last": (row["last"] if row else 0) + 1})
    held = [*(sub["coupons"] or []), {"coupon": name, "at": desk.now, "invoices": 0}]
    desk.change("Subscription", key, coupons=held)


def apply_coupon(desk: Desk, args: dict[str, Any], site: object, place: Any) -> Any:
    """`apply_coupon { customer, coupon }`: to the customer's subscriptions."""
    from .customers import subscriptions

    held = subscriptions(desk, args["customer"])
    if not held:
        raise Refusal(f"{args['customer']} has no subscription for a coupon")
    for sub in held:
        attach(desk, sub["id"], args["coupon"])
    return args["customer"]


# --- periods ---------------------------------------------------------------------------------


def begin_period(
    desk: Desk, key: str, period: Period, reason: str, before: Sequence[Line] = (),
    bounds: Sequence[Bound] = (),
) -> Row | None:  # fmt: skip
    """Starts a paid period: charges what is due in advance, with the lines of the one before."""
    sub = desk.row("Subscription", key)
    plan = terms(desk, {**sub, "period_start": period.start}, period.start)
    zone = zone_of(desk, sub["customer"])
    share = proration.period_share(period, settings(desk).proration, zone)
    advance = [price for price in prices_of(plan, sub) if not price.arrears and price.interval]
    subject = lines.Subject.of(key, plan)
    base = lines.base_lines(subject, advance, sub["quantity"], period.start, period.end, share)
    desk.change(
        "Subscription", key, period_start=period.start, period_end=period.end,
        usage_start=period.start, monthly_amount=monthly(plan, sub),
    )  # fmt: skip
    sub = desk.row("Subscription", key)
    made = issue(desk, sub["customer"], [*before, *base], f"{reason}/{period.start:%Y%m%d%H}",
                 sub, bounds)  # fmt: skip
    if made is not None:
        desk.change("Invoice", made["id"], reason=reason)
    _keep_charges(desk, key, made, period)
    desk.set_timer(f"renew|{key}", period.end, what="renew", sub=key)
    return made


def _keep_charges(desk: Desk, key: str, invoice: Row | None, period: Period) -> None:
    """Remembers what was really charged for the period: a change credits no more than that."""
    held = dict(desk.row("Subscription", key)["billing"] or {})
    held["charges"] = [
        {"amount": row["amount"] - row["discount"], "start": period.start, "end": period.end,
         "given_back": Money(0, row["amount"].currency)}
        for row in (desk.select("InvoiceLine", invoice=invoice["id"]) if invoice else ())
        if row["kind"] == "base" and row["period_start"] == period.start
    ]  # fmt: skip
    desk.change("Subscription", key, billing=held)


def charges_of(sub: Mapping[str, Any]) -> tuple[Charge, ...]:
    """What was charged for the running period."""
    held = (sub["billing"] or {}).get("charges") or []
    return tuple(Charge(c["amount"], c["start"], c["end"], c["given_back"]) for c in held)


def _store_charges(desk: Desk, key: str, charges: Sequence[Charge]) -> None:
    held = dict(desk.row("Subscription", key)["billing"] or {})
    held["charges"] = [
        {"amount": c.amount, "start": c.start, "end": c.end, "given_back": c.given_back}
        for c in charges
    ]
    desk.change("Subscription", key, billing=held)


def arrears_lines(desk: Desk, sub: Mapping[str, Any], end: datetime) -> list[Line]:
    """What the ended period owes: prices in arrears and usage up to an instant."""
    plan = terms(desk, sub, sub["period_start"])
    start = sub["usage_start"] or sub["period_start"]
    subject = lines.Subject.of(sub["id"], plan)
    late = [price for price in prices_of(plan, sub) if price.arrears]
    found: list[Line] = []
    if late:
        zone = zone_of(desk, sub["customer"])
        period = periods.period_at(cycle_of(desk, sub), start)
        share = proration.used_share(period, end, settings(desk).proration, zone)
        found += lines.base_lines(subject, late, sub["quantity"], start, end, share)
    for price in catalog.choose_usages(plan, sub["currency"]):
        usages = usages_of(desk, price, sub["customer"], start, end)
        allowance = catalog.allowance(plan, price.meter)
        included = allowance.quantity if allowance else 0
        rated = rating.rate_usage(price, usages, sub["currency"], included)
        found += lines.usage_lines(subject, price.meter, rated, start, end)
    return found


def usages_of(
    desk: Desk, price: catalog.UsagePrice, customer: str, start: datetime, end: datetime
) -> list[rating.Usage]:
    """What a meter counted, by the values of the price's dimensions."""
    meter = desk.program.meters.get(price.meter)
    if meter is None:
        return []
    found = []
    for bucket in desk.measured(price.meter, customer, start):
        figure = buckets.result(bucket, meter.aggregate, end)
        values = dict(zip(meter.by, bucket["by"].split("|"), strict=False))
        picked = tuple(values.get(name, "") for name in price.pricing.dimensions)
        found.append(rating.Usage(figure, bucket["count"], picked))
    return found


def bounds_of(desk: Desk, sub: Mapping[str, Any], end: datetime) -> list[Bound]:
    """The minimum and maximum of the period that ends."""
    plan = terms(desk, sub, sub["period_start"])
    least, most = plan.minimum(sub["currency"]), plan.maximum(sub["currency"])
    if least is None and most is None:
        return []
    zero = Money(0, sub["currency"])
    before = sum((c.amount for c in charges_of(sub)), zero)
    return [Bound(sub["id"], plan.name, sub["period_start"], end, least, most, before)]


def renew(desk: Desk, key: str, at: datetime | None = None) -> None:
    """The end of a period: what it owes, and the next one's price in advance."""
    sub = desk.row("Subscription", key)
    if sub["status"] not in LIVE:
        return
    end_at = sub["period_end"]
    if sub["cancel_at"] is not None and sub["cancel_at"] <= end_at:
        end(desk, key, "cancelled")
        return
    owed = arrears_lines(desk, sub, end_at) if sub["status"] != "paused" else []
    bounds = bounds_of(desk, sub, end_at) if sub["status"] != "paused" else []
    _take_pending(desk, key)
    sub = desk.row("Subscription", key)
    cycle = cycle_of(desk, sub)
    period = periods.period_at(cycle, end_at)
    if sub["status"] in ("paused", "suspended"):
        desk.change(
            "Subscription", key, period_start=period.start, period_end=period.end,
            usage_start=period.start,
        )  # fmt: skip
        desk.set_timer(f"renew|{key}", period.end, what="renew", sub=key)
        return
    begin_period(desk, key, period, "renewal", owed, bounds)
    desk.announce("Subscription.renewed", key, subscription=key, customer=sub["customer"])


def _take_pending(desk: Desk, key: str) -> None:
    sub = desk.row("Subscription", key)
    if sub["pending_plan"] is not None:
        before = sub["plan"]
        desk.change("Subscription", key, plan=sub["pending_plan"], pending_plan=None)
        desk.announce(
            "Subscription.plan_changed", key, subscription=key, customer=sub["customer"],
            **{"from": before, "to": sub["pending_plan"]},
        )  # fmt: skip
    if sub["pending_quantity"] is not None:
        desk.change("Subscription", key, quantity=sub["pending_quantity"], pending_quantity=None)


def activate(desk: Desk, key: str) -> None:
    """The end of a trial: the first paid period."""
    sub = desk.row("Subscription", key)
    if sub["status"] != "trialing":
        return
    if sub["cancel_at"] is not None and sub["cancel_at"] <= sub["trial_end"]:
        end(desk, key, "cancelled")
        return
    _take_pending(desk, key)
    set_status(desk, key, "active")
    sub = desk.row("Subscription", key)
    begin_period(desk, key, periods.period(cycle_of(desk, sub), 0), "trial_end")


def notice(desk: Desk, key: str) -> None:
    """A trial ends soon."""
    sub = desk.row("Subscription", key)
    if sub["status"] == "trialing":
        desk.announce("Subscription.trial_ending", key, subscription=key, customer=sub["customer"])


# --- ending ----------------------------------------------------------------------------------


def end(desk: Desk, key: str, status: str, extra: Sequence[Line] = ()) -> None:
    """Ends a subscription now: usage up to now is invoiced, timers and retries stop."""
    sub = desk.row("Subscription", key)
    trialing = sub["status"] == "trialing"
    desk.drop_timer(f"renew|{key}")
    desk.drop_timer(f"notice|{key}")
    desk.drop_timer(f"grace|{key}")
    _stop_dunning(desk, key)
    if not trialing and sub["status"] not in ("paused", "suspended"):
        last = min(desk.now, sub["period_end"])
        owed = [*arrears_lines(desk, sub, last), *extra]
        if owed:
            bounds = bounds_of(desk, sub, last)
            made = issue(desk, sub["customer"], owed, "end", sub, bounds)
            if made is not None:
                desk.change("Invoice", made["id"], reason="cancellation")
    zero = Money(0, sub["currency"])
    set_status(desk, key, status, ended_at=desk.now, monthly_amount=zero,
               cancelled_at=sub["cancelled_at"] or desk.now)  # fmt: skip


def _stop_dunning(desk: Desk, key: str) -> None:
    for invoice in desk.select("Invoice", subscription=key):
        if invoice["status"] in ("final", "sent") and invoice["attempts"]:
            desk.drop_timer(f"retry|{invoice['id']}")


def _living(desk: Desk, key: Any, verb: str) -> Mapping[str, Any]:
    sub = desk.row("Subscription", key)
    if sub["status"] not in LIVE:
        raise Refusal(f"subscription {key} is {sub['status']} and can't be {verb}")
    return sub


def cancel(desk: Desk, args: dict[str, Any], site: object, place: Any) -> str:
    """`cancel { subscription, when?, prorate?, refund? }`."""
    key = args["subscription"]
    sub = _living(desk, key, "cancelled")
    if args.get("when", "now") == "period_end":
        desk.change("Subscription", key, cancel_at=sub["period_end"], cancelled_at=desk.now)
        return str(key)
    credit: list[Line] = []
    if args.get("prorate") and sub["status"] != "trialing":
        credit = _unused(desk, sub)
    end(desk, key, "cancelled", credit)
    return str(key)


def _unused(desk: Desk, sub: Mapping[str, Any]) -> list[Line]:
    """The credit line for what is left of the running period."""
    chosen, zone = settings(desk), zone_of(desk, sub["customer"])
    given = proration.credit(
        charges_of(sub), desk.now, chosen.proration, zone, chosen.half_even
    )
    total = sum(given, Money(0, sub["currency"]))
    if not total:
        return []
    _store_charges(
        desk, sub["id"], proration.stop(charges_of(sub), given, desk.now, chosen.proration, zone)
    )
    plan = plan_named(desk, sub["plan"])
    return [
        Line(
            "proration", f"Unused time on {plan.title}", -total, subscription=sub["id"],
            plan=plan.name, period_start=desk.now, period_end=sub["period_end"],
            discountable=False,
        )
    ]  # fmt: skip


# --- changing --------------------------------------------------------------------------------


def change_plan(desk: Desk, args: dict[str, Any], site: object, place: Any) -> str:
    """`change_plan { subscription, plan, when?, prorate?, coupon? }`."""
    key = args["subscription"]
    sub = _living(desk, key, "changed")
    plan = plan_named(desk, args["plan"])
    if args.get("when", "now") == "period_end":
        desk.change("Subscription", key, pending_plan=plan.name)
        return str(key)
    if args.get("coupon") is not None:
        attach(desk, key, args["coupon"])
    interval = _interval(plan, sub["currency"], args.get("interval"))
    longer = not catalog.same_interval(interval, catalog.interval(sub["interval"]))
    before = sub["plan"]
    quantity = args.get("quantity") or sub["quantity"]
    after = {**sub, "plan": plan.name, "interval": str(interval), "quantity": quantity}
    if sub["status"] in ("trialing", "paused", "suspended"):
        desk.change("Subscription", key, plan=plan.name, interval=str(interval), quantity=quantity,
                    pending_plan=None, monthly_amount=monthly(plan, after))  # fmt: skip
    elif longer or args.get("reset"):
        _restart(desk, sub, after, args.get("prorate", True))
    else:
        _change_now(desk, sub, after, args.get("prorate", True), "plan_change", True)
    desk.announce(
        "Subscription.plan_changed", key, subscription=key, customer=sub["customer"],
        **{"from": before, "to": plan.name},
    )  # fmt: skip
    return str(key)


def _change_now(
    desk: Desk,
    sub: Mapping[str, Any],
    after: Mapping[str, Any],
    prorate: bool,
    reason: str,
    usage_ends: bool,
) -> None:
    """Credits what is unused, charges the rest at the new price, on an invoice made at once."""
    chosen, zone, key = settings(desk), zone_of(desk, sub["customer"]), sub["id"]
    old, new = terms(desk, sub, desk.now), terms(desk, after, desk.now)
    period = periods.period_at(cycle_of(desk, sub), desk.now)
    advance = [p for p in prices_of(new, after) if not p.arrears]
    zero = Money(0, sub["currency"])
    price = sum((rating.fixed_amount(p, after["quantity"]).amount for p in advance), zero)
    change = proration.change(
        charges_of(sub), price, period, desk.now, chosen.proration, zone, chosen.half_even, prorate
    )
    owed = arrears_lines(desk, sub, desk.now) if usage_ends else []
    subjects = lines.Subject.of(key, old), lines.Subject.of(key, new)
    made = [*owed, *lines.change_lines(*subjects, change, period, after["quantity"])]
    desk.change(
        "Subscription", key, plan=after["plan"], quantity=after["quantity"], pending_plan=None,
        monthly_amount=monthly(new, after),
        **({"usage_start": desk.now} if usage_ends else {}),
    )  # fmt: skip
    _store_charges(desk, key, change.charges)
    if made:
        row = issue(desk, sub["customer"], made, f"{reason}/{desk.base}",
                    desk.row("Subscription", key))  # fmt: skip
        if row is not None:
            desk.change("Invoice", row["id"], reason=reason)


def _restart(
    desk: Desk, sub: Mapping[str, Any], after: Mapping[str, Any], prorate: bool
) -> None:
    """A change to another interval: a new period begins now."""
    key = sub["id"]
    owed = arrears_lines(desk, sub, desk.now)
    credit = _unused(desk, sub) if prorate else []
    cycle = periods.cycle(
        desk.now, catalog.interval(after["interval"]), settings(desk), zone_of(desk, sub["customer"])
    )
    held = {**(sub["billing"] or {}), "anchor_day": None, "exact": False}
    desk.change(
        "Subscription", key, plan=after["plan"], interval=after["interval"], pending_plan=None,
        quantity=after["quantity"], anchor=cycle.start, billing=held,
    )  # fmt: skip
    begin_period(desk, key, periods.period(cycle, 0), "plan_change", [*owed, *credit])


def set_quantity(desk: Desk, args: dict[str, Any], site: object, place: Any) -> str:
    """`set_quantity { subscription, quantity, when?, prorate? }`."""
    key = args["subscription"]
    sub = _living(desk, key, "changed")
    quantity = _quantity(terms(desk, sub, desk.now), args["quantity"])
    if args.get("when", "now") == "period_end":
        desk.change("Subscription", key, pending_quantity=quantity)
        return str(key)
    after = {**sub, "quantity": quantity}
    if sub["status"] in ("trialing", "paused", "suspended"):
        plan = terms(desk, sub, desk.now)
        desk.change("Subscription", key, quantity=quantity, monthly_amount=monthly(plan, after))
    else:
        _change_now(desk, sub, after, args.get("prorate", True), "quantity_change", False)
    desk.change("Subscription", key, pending_quantity=None)
    return str(key)


def pause(desk: Desk, args: dict[str, Any], site: object, place: Any) -> str:
    """`pause { subscription }`: the unused part of a price in advance is credited."""
    key = args["subscription"]
    sub = _living(desk, key, "paused")
    if sub["status"] == "paused":
        raise Refusal(f"subscription {key} is paused already")
    owed = [*arrears_lines(desk, sub, desk.now), *_unused(desk, sub)]
    set_status(desk, key, "paused", paused_at=desk.now, usage_start=desk.now)
    if owed and sub["status"] != "trialing":
        issue(desk, sub["customer"], owed, f"pause/{desk.base}", desk.row("Subscription", key))
    return str(key)


def resume(desk: Desk, args: dict[str, Any], site: object, place: Any) -> str:
    """`resume { subscription }`: bills again, or takes a scheduled cancellation back."""
    key = args["subscription"]
    sub = _living(desk, key, "resumed")
    names = {"subscription": key, "customer": sub["customer"]}
    if sub["status"] == "paused":
        desk.change("Subscription", key, status="active", paused_at=None, usage_start=desk.now)
        desk.announce("Subscription.resumed", key, **names)
        fresh = desk.row("Subscription", key)
        _change_now(desk, {**fresh, "billing": {**(fresh["billing"] or {}), "charges": []}}, fresh,
                    False, "resume", False)  # fmt: skip
    elif sub["cancel_at"] is not None:
        desk.change("Subscription", key, cancel_at=None, cancelled_at=None)
        desk.announce("Subscription.resumed", key, **names)
    else:
        raise Refusal(f"subscription {key} is {sub['status']}: there is nothing to resume")
    return str(key)




def addon(desk: Desk, action: str, args: dict[str, Any]) -> str:
    """`add_addon { subscription, addon, quantity? }`, `remove_addon`."""
    key = args["subscription"]
    sub = _living(desk, key, "changed")
    found = desk.program.addons.get(args["addon"])
    if found is None:
        raise Refusal(f"unknown addon `{args['addon']}`")
    if found.only and sub["plan"] not in found.only:
        raise Refusal(f"addon `{found.name}` is not for plan `{sub['plan']}`")
    held = [a for a in sub["addons"] or [] if a["addon"] != found.name]
    if action == "add_addon":
        held.append({"addon": found.name, "quantity": args.get("quantity") or 1})
    desk.change("Subscription", key, addons=held)
    return str(key)
