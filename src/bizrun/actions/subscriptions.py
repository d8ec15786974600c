"""Subscriptions: begun, cancelled, ended, paused and resumed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ..billing import catalog, overlays, periods
from ..billing.agreed import with_price
from ..billing.invoicing import Line
from ..errors import EvalError, Refusal
from ..model import Event
from ..times import add
from ..values import Duration, Money, show
from . import apart, backdated, bounds, coupons, owed, renewals, usage
from .changes import bill_rest, credit_unused, surplus_of
from .credits import Surplus
from .customers import customer_row, in_trial, lives, may_move, settings, subscriptions_of, zone_of
from .desk import Desk
from .owed import Owed
from .settlement import recover
from .status import announce, is_end, living, may_become, own, set_status, tell
from .terms import (
    checked_price,
    choose_currency,
    choose_quantity,
    cycle_of,
    edition_now,
    held,
    items,
    monthly,
    plan_named,
    priced_interval,
)

_DEFAULTS = dict.fromkeys((
    "paused_at", "cancel_at", "cancelled_at", "ended_at", "pending_plan",
    "pending_quantity", "addons", "coupons",
))  # fmt: skip


# --- beginning -------------------------------------------------------------------------------


def subscribe(desk: Desk, args: dict[str, Any], site: object, place: Any) -> str:
    """`subscribe { customer, plan, quantity?, coupon?, anchor_day?, price? }`."""
    customer, start = args["customer"], args.get("start") or desk.now
    customer_row(desk, customer)
    if start > desk.now:
        raise Refusal(
            f"a subscription can't start at {show(start)}: that is still to come "
            "(`at … { subscribe { … } }` begins it then)"
        )
    plan = plan_named(desk, args["plan"])
    zone = zone_of(desk, customer)
    now_plan = plan
    if plan.versions:
        began = periods.local_day(start, zone)
        now_plan = overlays.version_for(plan, began, began, periods.local_day(desk.now, zone))
    agreed: Money | None = args.get("price")
    wanted = args.get("currency") or (agreed.currency if agreed is not None else None)
    currency = choose_currency(desk, now_plan, customer, wanted)
    agreed = checked_price(agreed, currency)
    interval = priced_interval(now_plan, currency, args.get("interval"), agreed)
    if agreed is not None:
        now_plan = with_price(now_plan, agreed, interval)
    trial = _trial(now_plan, args.get("trial"))
    first = overlays.interval_in(now_plan, next(iter(now_plan.phases), None), currency, interval)
    try:
        trial_end, cycle = periods.after_trial(
            start, trial, first, settings(desk), zone, args.get("anchor_day")
        )
    except EvalError as problem:
        raise Refusal(str(problem)) from None
    billing: dict[str, Any] = {**edition_now(desk, plan)}
    if first != interval:
        billing["interval"] = interval.text
    if args.get("anchor_day") is not None:
        billing["anchor_day"] = args["anchor_day"]
    if trial_end is not None:
        billing["exact"] = True
    if may_move(desk):
        billing["zone"] = zone
    if _others(desk, customer):
        billing["others"] = True
        if used := usage.rated_by_ended(desk, customer, start):
            billing |= {"used": used, "moved": dict.fromkeys(used, start)}
    sub: dict[str, Any] = {
        **_DEFAULTS, "id": "", "customer": customer, "plan": plan.name, "status": "active",
        "quantity": choose_quantity(now_plan, args.get("quantity")), "currency": currency,
        "interval": first.text, "started": start, "anchor": cycle.start,
        "trial_end": trial_end, "billing": billing, "price": agreed,
    }  # fmt: skip
    sub["coupons"] = coupons.claim(desk, sub) or None
    if args.get("coupon") is not None:
        entry = coupons.redeem(desk, customer, args["coupon"], [sub])
        sub["coupons"] = coupons.attached(sub, entry)
    life = own(desk)
    if life is not None and life.start is not None:
        sub["status"] = life.start
    if trial_end is not None and trial_end > desk.now:
        return _begin_trial(desk, sub, trial_end, site)
    return _begin_paid(desk, sub, cycle, site)


def _trial(plan: catalog.Plan, wanted: Any) -> Duration | None:
    """The plan's trial, or what `trial:` says: false for none, or a length."""
    match wanted:
        case None | True:
            return plan.trial
        case False:
            return None
        case Duration():
            return wanted
    raise Refusal(f"`trial` is a length or false, not {show(wanted)}")


def _others(desk: Desk, customer: str) -> bool:
    """Whether a customer has had subscriptions before; those that live learn of the new one."""
    before = desk.select("Subscription", customer=customer)
    for sub in before:
        if lives(sub) and not (sub["billing"] or {}).get("others"):
            desk.change("Subscription", sub["id"], billing={**held(sub), "others": True})
    return bool(before)


def _begin_trial(desk: Desk, sub: dict[str, Any], until: datetime, site: object) -> str:
    start, zone = sub["started"], zone_of(desk, sub["customer"])
    sub |= {"period_start": start, "period_end": until, "usage_start": start}
    if own(desk) is None:
        sub["status"] = "trialing"
    key = _insert(desk, sub, site)
    notice_at = periods.trial_notice(start, until, settings(desk), zone)
    if notice_at > desk.now:
        desk.set_timer(f"notice|{key}", notice_at, what="notice", sub=key)
    else:
        announce(desk, "Subscription.trial_ending", key, sub["customer"])
    desk.set_timer(f"renew|{key}", until, what="renew", sub=key)
    return key


def _begin_paid(desk: Desk, sub: dict[str, Any], cycle: periods.Cycle, site: object) -> str:
    """The first paid period; a start in the past bills every period since, each by itself."""
    period = periods.period(cycle, 0)
    sub |= {
        "period_start": period.start, "period_end": period.end,
        # The first day counts whole for the price; what was used before is not the subscription's.
        "usage_start": max(period.start, sub["started"]),
    }  # fmt: skip
    # What a backdated start makes the subscription's was counted as nobody's so far.
    late = sub["started"] < desk.now
    taken: Sequence[Event] = ()
    if late:
        taken = desk.take_back(sub["customer"], sub["started"])
    key = _insert(desk, sub, site)
    announce(desk, "Subscription.activated", key, sub["customer"])
    first = renewals.begin(desk, sub, dict(sub), Owed(), period, True)
    first.after["usage_start"] = sub["usage_start"]
    desk.begun.append(first)
    if not late:
        return key
    finish(desk)
    backdated.catch_up(desk, key, taken)
    return key


def finish(desk: Desk) -> None:
    """Invoices what began in this step: one invoice for a customer's, in one currency."""
    begun = list(desk.begun)
    desk.begun.clear()
    groups: dict[tuple[str, str], list[renewals.Turn]] = {}
    for turn in begun:
        groups.setdefault((turn.after["customer"], turn.after["currency"]), []).append(turn)
    for turns in groups.values():
        _bill_first(desk, turns)


def finish_later(desk: Desk) -> None:
    """What began in this step is invoiced a day later: it could not be now."""
    subs = [turn.after["id"] for turn in desk.begun]
    desk.begun.clear()
    at = add(desk.now, Duration(days=1), desk.tz)
    desk.set_timer(f"begin|{subs[0]}", at, what="begin", subs=subs)


def begin_due(desk: Desk, subs: Sequence[str]) -> None:
    """The first invoice of subscriptions that began together, once it can be made."""
    for key in subs:
        sub = desk.row("Subscription", key)
        if lives(sub):
            period = periods.period(cycle_of(desk, sub), 0)
            first = renewals.begin(desk, sub, dict(sub), Owed(), period, True)
            first.after["usage_start"] = sub["usage_start"]
            desk.begun.append(first)
    finish(desk)


def _bill_first(desk: Desk, turns: Sequence[renewals.Turn]) -> None:
    """The invoice of first periods that begin together."""
    if len(turns) > 1:
        for turn in turns:  # each has learnt of the others
            turn.after["billing"] = held(desk.row("Subscription", turn.after["id"]))
    due = [
        turn for turn in turns
        if turn.advance or (not turn.plain and bounds.bounded(desk, turn.after))
    ]  # fmt: skip
    for turn in turns:
        if turn not in due:
            renewals.schedule(desk, turn.after, turn.period.start, turn.plain)
    if not due:
        return
    lines = [line for turn in due for line in turn.advance]
    site = f"{due[0].after['id']}/start"
    made = renewals.make(desk, [turn.after for turn in due], [], lines, site, "start")
    for turn in due:
        renewals.settle(desk, turn, made)


def _insert(desk: Desk, sub: dict[str, Any], site: object) -> str:
    if "monthly_amount" not in sub:
        sub["monthly_amount"] = monthly(items(desk, sub, sub["period_start"]), sub)
    row = desk.insert("Subscription", sub, site)
    sub["id"] = row["id"]
    announce(desk, "Subscription.created", row["id"], sub["customer"])
    return str(row["id"])


def notice(desk: Desk, key: str) -> None:
    """A trial ends soon."""
    sub = desk.row("Subscription", key)
    if in_trial(sub) and sub["status"] != "paused":
        announce(desk, "Subscription.trial_ending", key, sub["customer"])


# --- ending ----------------------------------------------------------------------------------


def cancel(desk: Desk, args: dict[str, Any], site: object, place: Any) -> str:
    """`cancel { subscription, when?, prorate?, refund? }`."""
    key = args["subscription"]
    sub = living(desk, key, "cancelled")
    may_become(desk, sub, "cancelled")
    if args.get("when", "now") == "period_end":
        desk.change("Subscription", key, cancel_at=sub["period_end"], cancelled_at=desk.now)
        return str(key)
    credit: list[Line] = []
    surplus = surplus_of(sub, args, site, place)
    if args.get("prorate") and sub["status"] != "paused" and not in_trial(sub):
        credit = credit_unused(desk, sub, None)
    end(desk, key, "cancelled", credit, surplus)
    return str(key)


def end(
    desk: Desk, key: str, status: str, extra: Sequence[Line] = (), surplus: Surplus | None = None
) -> None:
    """Ends a subscription: usage up to now is invoiced, timers and retries stop."""
    sub = desk.row("Subscription", key)
    surplus = surplus or surplus_of(sub, {}, "", "")
    for timer in ("renew", "notice", "grace", "usage", "version"):
        desk.drop_timer(f"{timer}|{key}")
    _stop_dunning(desk, sub)
    _leave(desk, sub, status)
    last = min(desk.now, sub["period_end"])
    whole = desk.now >= sub["period_end"]
    found = _last_owed(desk, sub, last, whole)
    found.lines += extra
    if found.lines or found.bounds or found.metered:
        site = f"{key}/end/{desk.base}"
        renewals.make(desk, [sub], [found], [], site, "cancellation", whole, surplus)
    known = {n: v for n, v in held(desk.row("Subscription", key)).items()
             if n not in ("waiting", "late", "billed", "pending", "charges")}  # fmt: skip
    known |= apart.used_up(desk, sub, found.metered, desk.now)
    zero = Money(0, sub["currency"])
    set_status(
        desk, key, status, ended_at=desk.now, monthly_amount=zero, billing=known,
        cancelled_at=sub["cancelled_at"] or desk.now, pending_plan=None, pending_quantity=None,
    )  # fmt: skip


def _leave(desk: Desk, sub: Mapping[str, Any], status: str) -> None:
    """What is credited may pay what dunning asks for: a subscription that is about to end or rest
    does not recover by that, and is not asked for the rest of its period."""
    if sub["status"] in ("past_due", "suspended"):
        desk.change("Subscription", sub["id"], status=status)


def _last_owed(desk: Desk, sub: Mapping[str, Any], last: datetime, whole: bool) -> Owed:
    if in_trial(sub):
        return Owed()
    match sub["status"]:
        case "paused":
            return owed.standing(desk, sub)
        case "suspended":
            # Without its minimum: nothing was provided for it.
            found, metered = owed.standing(desk, sub), list(usage.owed(desk, sub, last, True))
            found.lines += [line for each in metered for line in each.lines if line.amount]
            found.metered += metered
            return found
    return owed.arrears(desk, sub, last, not whole)


def _stop_dunning(desk: Desk, sub: Mapping[str, Any]) -> None:
    """Nobody is asked again for an invoice none of whose subscriptions goes on."""
    for invoice in desk.select("Invoice", customer=sub["customer"]):
        subs = subscriptions_of(invoice) if invoice["dunning"] else []
        others = (desk.row("Subscription", key) for key in subs if key != sub["id"])
        if sub["id"] in subs and not any(map(lives, others)):
            desk.drop_timer(f"retry|{invoice['id']}")


# --- pausing ---------------------------------------------------------------------------------


def pause(desk: Desk, args: dict[str, Any], site: object, place: Any) -> str:
    """`pause { subscription }`: the unused part of a price in advance is credited."""
    key = args["subscription"]
    sub = living(desk, key, "paused")
    if sub["status"] == "paused":
        raise Refusal(f"subscription {key} is paused already")
    may_become(desk, sub, "paused")
    _rest(desk, sub, "paused")
    return str(key)


def _rest(desk: Desk, sub: Mapping[str, Any], status: str) -> None:
    """Pauses: what is unused of a price in advance is credited, what was used is invoiced."""
    key = sub["id"]
    found, surplus = Owed(), None
    if not in_trial(sub):
        billed = [c["invoice"] for c in owed.charges_of(sub) if c["invoice"]]
        surplus = Surplus(tuple(billed))
        credit = credit_unused(desk, sub, None)
        sub = desk.row("Subscription", key)
        found = owed.arrears(desk, sub, desk.now, True)
        found.lines += credit
    _leave(desk, sub, status)
    if found.lines or found.bounds or found.metered:
        renewals.make(desk, [sub], [found], [], f"{key}/pause/{desk.base}", "pause",
                      surplus=surplus)  # fmt: skip
    known = {n: v for n, v in held(desk.row("Subscription", key)).items()
             if n not in ("waiting", "late", "billed", "charges", "before", "settled")}  # fmt: skip
    known |= apart.used_up(desk, sub, found.metered, desk.now)
    set_status(desk, key, status, paused_at=desk.now, usage_start=desk.now, billing=known)


def resume(desk: Desk, args: dict[str, Any], site: object, place: Any) -> str:
    """`resume { subscription }`: bills again, or takes a scheduled cancellation back."""
    key = args["subscription"]
    sub = living(desk, key, "resumed")
    if sub["cancel_at"] is not None:
        desk.change("Subscription", key, cancel_at=None, cancelled_at=None)
    elif sub["status"] != "paused":
        raise Refusal(f"subscription {key} is {sub['status']}: there is nothing to resume")
    if sub["status"] == "paused":
        status = "trialing" if (sub["trial_end"] or desk.now) > desk.now else "active"
        may_become(desk, sub, status)
        _go_on(desk, desk.row("Subscription", key), status)
    announce(desk, "Subscription.resumed", key, sub["customer"])
    return str(key)


def _go_on(desk: Desk, sub: Mapping[str, Any], status: str) -> None:
    key, until = sub["id"], sub["trial_end"]
    if until is not None and until > desk.now:
        desk.change("Subscription", key, status=status, paused_at=None)
        return
    period = periods.period_at(cycle_of(desk, sub), desk.now)
    changed = desk.change(
        "Subscription", key, status=status, paused_at=None, period_start=period.start,
        period_end=period.end, usage_start=desk.now,
        billing={**held(sub), "charges": [], "arrears_from": {"*": desk.now}},
    )  # fmt: skip
    renewals.schedule(desk, changed, desk.now)
    bill_rest(desk, key, "resume")


# --- an author's own lifecycle ---------------------------------------------------------------


def follow(desk: Desk, key: str, status: str) -> None:
    """An arrow of the author's own lifecycle: billing does what its actions would have done."""
    sub = desk.row("Subscription", key)
    if is_end(desk, status):
        end(desk, key, status)
    elif status == "paused":
        _rest(desk, sub, status)
    elif sub["status"] == "paused":
        _go_on(desk, sub, status)
        announce(desk, "Subscription.resumed", key, sub["customer"])
    elif status == "active" and sub["status"] in ("past_due", "suspended"):
        recover(desk, key, status)
    else:
        # That a trial is over is told by its end.
        desk.change("Subscription", key, status=status)
        if status != "active":
            tell(desk, key, status)
