"""Changes of a running subscription: its plan, its quantity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

from msgspec.structs import replace

from ..billing import catalog, invoicing, lines, overlays, periods, proration
from ..billing.discounts import Beside
from ..billing.invoicing import Line
from ..billing.lines import Origin
from ..billing.periods import Period
from ..billing.proration import Change
from ..errors import EvalError, Refusal
from ..values import Money, show
from . import apart, bounds, coupons, invoices, owed, payments, renewals
from .billed import keep_billed
from .credits import Surplus
from .customers import ASLEEP, in_trial, lives, settings, zone_in, zone_of
from .desk import Desk
from .owed import Owed
from .status import announce, living
from .terms import (
    PLAN,
    Item,
    addon_named,
    advance_amount,
    checked_price,
    choose_quantity,
    cycle_of,
    first_paid,
    held,
    in_phase,
    interval_of,
    items,
    monthly,
    newly_taken,
    next_version,
    of_version,
    own_interval,
    plan_named,
    priced_interval,
    prices_of,
    terms,
)

# What ends the usage period too: allowances, tiers and minimum begin anew.
_NEW_TERMS = ("plan_change", "version_change")


def change_plan(desk: Desk, args: dict[str, Any], site: object, place: Any) -> str:
    """`change_plan { subscription, plan, when?, prorate?, invoice?, coupon?, reset?, … }`."""
    key = args["subscription"]
    sub = living(desk, key, "changed")
    plan = plan_named(desk, args["plan"])
    day = _anchor_day(sub, args.get("anchor_day"))
    fresh, new = _with_plan(desk, sub, plan, args)
    interval = interval_of(fresh)
    check_addons(desk, sub, plan, own_interval(fresh).text)
    wanted, later = args.get("quantity"), args.get("when", "now") == "period_end"
    running = sub["pending_quantity"] if later else None
    if running is None:
        running = _running_quantity(desk, sub, new)
        wanted = running if wanted is None and running != sub["quantity"] else wanted
    quantity = choose_quantity(new, running if wanted is None else wanted)
    entry = None
    if args.get("coupon") is not None:
        entry = coupons.redeem(desk, sub["customer"], args["coupon"], [fresh])
    if later:
        scheduled = {
            "interval": own_interval(fresh).text, "coupon": entry, "anchor_day": day,
            "price": args.get("price"),
        }  # fmt: skip
        _later(desk, sub, plan.name, scheduled, wanted)
        return str(key)
    if wanted is None:
        _check_scheduled(desk, {**fresh, "pending_plan": None})
    if entry is not None:
        fresh["coupons"] = coupons.attached(sub, entry)
        sub = desk.change("Subscription", key, coupons=fresh["coupons"])
    after = {**fresh, "quantity": quantity, "pending_plan": None}
    after["billing"].pop("pending", None)
    if wanted is not None:
        after["pending_quantity"] = None
    same = all(sub[name] == after[name] for name in ("plan", "quantity", "price"))
    same_interval = catalog.same_interval(interval, catalog.interval(sub["interval"]))
    if day is not None:
        after["billing"]["anchor_day"] = day
    if is_free(sub):
        rewrite(desk, sub, after)
    elif args.get("reset") or day is not None or not same_interval:
        _restart(desk, sub, after, args, site, place)
    elif same:
        # Nothing changes but what was scheduled: a later change of plan replaces it.
        desk.change("Subscription", key, pending_plan=None, billing=without_pending(sub))
        return str(key)
    else:
        _change_now(desk, sub, after, args, "plan_change", site, place)
    if not same or not same_interval or args.get("reset"):
        announce(desk, "Subscription.plan_changed", key, sub["customer"],
                 **{"from": sub["plan"], "to": plan.name})  # fmt: skip
    return str(key)


def _with_plan(
    desk: Desk, sub: Mapping[str, Any], plan: catalog.Plan, args: Mapping[str, Any]
) -> tuple[dict[str, Any], catalog.Plan]:
    """A subscription with the plan, interval and price that it is moved to, and what these say."""
    agreed = checked_price(args.get("price"), sub["currency"])
    fresh = {
        **sub, "plan": plan.name, "price": None, "period_start": desk.now,
        "billing": newly_taken(desk, sub, plan, desk.now),
    }  # fmt: skip
    own = own_interval(sub)
    plain = of_version(desk, fresh, plan, desk.now, fresh["billing"])
    interval = priced_interval(plain, sub["currency"], args.get("interval"), agreed, own.text)
    if plan.name == sub["plan"] and catalog.same_interval(interval, own):
        # Phases, dated and agreed prices go on: it is the plan that one has.
        fresh |= {"billing": held(sub), "price": sub["price"]}
    if agreed is not None:
        fresh["price"] = agreed
    fresh["billing"].pop("interval", None)
    fresh = in_phase(desk, {**fresh, "interval": str(interval)}, desk.now)
    return {**fresh, "period_start": sub["period_start"]}, terms(desk, fresh, desk.now)


def _anchor_day(sub: Mapping[str, Any], wanted: int | None) -> int | None:
    """The day of the month on which periods are to end from now on, where one is asked for."""
    if wanted is None:
        return None
    if sub["status"] in ASLEEP:
        raise Refusal(f"nothing is billed while {sub['status']}: `anchor_day` needs `resume` first")
    try:
        return periods.checked_anchor_day(wanted)
    except EvalError as problem:
        raise Refusal(str(problem)) from None


def check_addons(desk: Desk, sub: Mapping[str, Any], plan: catalog.Plan, interval: str) -> None:
    """Refuses a plan or an interval that an add-on of the subscription does not go with."""
    for held_ in sub["addons"] or ():
        addon = desk.program.addons.get(held_["addon"])
        if addon is None:
            continue
        if addon.only and plan.name not in addon.only:
            raise Refusal(f"addon `{addon.name}` is not for plan `{plan.name}`: remove it first")
        if missing := unpriced(addon, plan, sub["currency"], catalog.interval(interval)):
            raise Refusal(
                f"addon `{addon.name}` has no price in {sub['currency']} per {missing.each}: "
                "remove it first"
            )


def unpriced(
    addon: catalog.Plan, plan: catalog.Plan, currency: str, own: catalog.Interval
) -> catalog.Interval | None:
    """The interval of a subscription, or of a phase of its plan, that an add-on with a price has
    none for; None where it fits."""
    phased = (price for phase in addon.phases for price in phase.terms.prices or ())
    prices = [price for price in (*addon.prices, *phased) if price.interval is not None]
    sold = [price.interval for price in prices if price.currency == currency]
    phases = (overlays.interval_in(plan, phase, currency, own) for phase in plan.phases)
    for wanted in (own, *phases) if prices else ():
        if not any(catalog.same_interval(wanted, one) for one in sold):
            return wanted
    return None


def without_pending(sub: Mapping[str, Any]) -> dict[str, Any]:
    """What billing remembers of a subscription, less a scheduled change of plan."""
    return {name: value for name, value in held(sub).items() if name != "pending"}


def _later(
    desk: Desk, sub: Mapping[str, Any], plan: str, scheduled: dict[str, Any], quantity: Any
) -> None:
    """Schedules a change for the end of the period; it replaces one scheduled before."""
    known = held(sub)
    known["pending"] = {key: value for key, value in scheduled.items() if value is not None}
    changes: dict[str, Any] = {"pending_plan": plan, "billing": known}
    if quantity is not None:
        changes["pending_quantity"] = quantity
    desk.change("Subscription", sub["id"], **changes)


def _check_scheduled(desk: Desk, sub: Mapping[str, Any]) -> None:
    """Refuses what would take effect together at the period's end and does not fit."""
    if sub["pending_plan"] is None and sub["pending_quantity"] is None:
        return
    at = sub["period_end"]
    then = {**sub, "plan": sub["pending_plan"] or sub["plan"], "period_start": at}
    if sub["pending_plan"] is not None:
        plan = plan_named(desk, sub["pending_plan"])
        then |= {"billing": newly_taken(desk, sub, plan, at), "price": None}
    quantity = sub["quantity"] if sub["pending_quantity"] is None else sub["pending_quantity"]
    try:
        choose_quantity(terms(desk, then, at), quantity)
    except Refusal as problem:
        raise Refusal(f"{problem}: one of both is scheduled for {show(at)}") from None


def set_quantity(desk: Desk, args: dict[str, Any], site: object, place: Any) -> str:
    """`set_quantity { subscription, quantity, when?, prorate?, invoice? }`."""
    key = args["subscription"]
    sub = living(desk, key, "changed")
    quantity = choose_quantity(terms(desk, sub, desk.now), args["quantity"])
    if args.get("when", "now") == "period_end":
        _check_scheduled(desk, {**sub, "pending_quantity": quantity})
        desk.change("Subscription", key, pending_quantity=quantity)
        return str(key)
    after = {**sub, "quantity": quantity, "pending_quantity": None}
    _check_scheduled(desk, after)
    if is_free(sub):
        rewrite(desk, sub, after)
    elif quantity == sub["quantity"] or not _by_quantity(desk, sub):
        desk.change("Subscription", key, quantity=quantity, pending_quantity=None)
    else:
        _change_now(desk, sub, after, args, "quantity_change", site, place)
    return str(key)


def is_free(sub: Mapping[str, Any]) -> bool:
    """Whether nothing is charged now: in a trial, paused, suspended."""
    return sub["status"] in ASLEEP or in_trial(sub)


def _running_quantity(desk: Desk, sub: Mapping[str, Any], new: catalog.Plan) -> Any:
    """What a change goes on with where it says no quantity: a plan that counted nothing leaves
    a plan with seats its least, as a new subscription has it."""
    if new.seats is None or _by_quantity(desk, sub):
        return sub["quantity"]
    return max(sub["quantity"], new.seats[0])


def _by_quantity(desk: Desk, sub: Mapping[str, Any]) -> bool:
    """Whether what a subscription costs depends on its quantity."""
    plan = terms(desk, sub, sub["period_start"])
    return any(price.per_unit is not None for price in prices_of(plan, sub))


def rewrite(desk: Desk, sub: Mapping[str, Any], after: dict[str, Any]) -> None:
    """A change that costs nothing now: in a trial, or while nothing is billed."""
    after["monthly_amount"] = monthly(items(desk, after, desk.now), after)
    if in_trial(sub) and after["billing"]:
        # A phase begins with the first paid period.
        after["billing"] = {**after["billing"], "since": sub["anchor"]}
    _store(desk, sub, after)


def _store(desk: Desk, sub: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    changes = {name: value for name, value in after.items() if sub.get(name) != value}
    desk.change("Subscription", sub["id"], **changes)


def _change_now(
    desk: Desk, sub: Mapping[str, Any], after: dict[str, Any], args: Mapping[str, Any],
    reason: str, site: object, place: Any,
) -> None:  # fmt: skip
    """Credits what is unused, charges the rest at the new price, on an invoice made at once."""
    old, new = terms(desk, sub, sub["period_start"]), terms(desk, after, desk.now)
    new_plan = reason in _NEW_TERMS
    found = owed.arrears(desk, sub, desk.now, True) if new_plan else owed.standing(desk, sub)
    base: list[Line] = []
    if not new_plan:
        # The days used at the old quantity.
        base = owed.base_in_arrears(desk, sub, desk.now, PLAN)
    prorate = args.get("prorate") is not False
    if new_plan:
        # What add-ons cost from now on is of the bounds that hold from now on.
        ends = (row for row in owed.charges_of(sub) if prorate or row["item"] != PLAN)
        _less(found, owed.unused(desk, sub, list(ends)))
    change = prorated(desk, sub, after, [Item(PLAN, new, after["quantity"])], PLAN, prorate)
    subjects = lines.Subject.of(sub["id"], old), lines.Subject.of(sub["id"], new)
    period = periods.period_at(cycle_of(desk, after), desk.now)
    rest = part_left(desk, sub, period), beside(desk, after, period, PLAN)
    made_by = given_by(desk, sub, PLAN, change)
    made = lines.change_lines(
        *subjects, change, period, after["quantity"], PLAN, *rest, origins=made_by
    )
    if new_plan:
        after["usage_start"] = desk.now
        after["billing"].pop("arrears_from", None)
        after["billing"]["arrears_from"] = {"*": desk.now}
        after["billing"] |= apart.used_up(desk, sub, found.metered, desk.now)
    elif base:
        known = held(after)
        known["arrears_from"] = {**(known.get("arrears_from") or {}), PLAN: desk.now}
        after["billing"] = known
    after["monthly_amount"] = monthly(items(desk, after, desk.now), after)
    found.lines += [*base, *made]
    surplus = surplus_of(sub, args, site, place)
    next_ = args.get("invoice") == "next"
    bill_change(desk, sub, after, found, PLAN, change, f"{reason}/{desk.base}/{site}", reason,
                 surplus, next_)  # fmt: skip


def prorated(
    desk: Desk, sub: Mapping[str, Any], after: Mapping[str, Any], having: Sequence[Item],
    item: str, prorate: bool,
) -> Change:  # fmt: skip
    """The credit and the charge of a change of one item, by what was charged for it."""
    chosen, zone = settings(desk), zone_in(desk, sub)
    period = periods.period_at(cycle_of(desk, after), desk.now)
    charges = owed.as_charges(_by_now(desk, sub, owed.charges_of(sub, item)))
    return proration.change(
        charges, advance_amount(list(having), after), period, desk.now, chosen.proration, zone,
        chosen.half_even, prorate,
    )  # fmt: skip


def given_by(desk: Desk, sub: Mapping[str, Any], item: str, change: Change) -> list[Origin]:
    """How the charges of an item were made that a change gives back, noted on their invoices."""
    rows = owed.charges_of(sub, item)
    if settings(desk).proration == "none":
        return owed.origins(desk, rows)
    return owed.give_back(desk, rows, owed.with_charges(rows, change.charges[:-1]))


def beside(desk: Desk, after: Mapping[str, Any], period: Period, item: str) -> tuple[Beside, ...]:
    """What the rest of a period costs of the prices in advance that a change leaves alone: the
    subscription's other ones, and those of subscriptions that stand on one invoice with it."""
    own = [each for each in items(desk, after, desk.now) if each.name != item]
    found = [*_rest_of(desk, after, period, own, None)]
    for other in renewals.together(desk, after):
        if other["id"] != after["id"] and not is_free(other):
            its = periods.period_at(cycle_of(desk, other), desk.now)
            found += _rest_of(desk, other, its, items(desk, other, desk.now), other["id"])
    return tuple(found)


def _rest_of(
    desk: Desk, sub: Mapping[str, Any], period: Period, having: Sequence[Item], whose: str | None
) -> Iterator[Beside]:
    chosen, zone = settings(desk), zone_in(desk, sub)
    share = proration.unused_share(period, desk.now, chosen.proration, zone)
    for each in having:
        yield each.plan.name, proration.portion(advance_amount([each], sub), share), whose


def part_left(desk: Desk, sub: Mapping[str, Any], period: Period) -> Fraction:
    """Which part of a period is left now, as the business prorates."""
    return proration.part_left(period, desk.now, settings(desk).proration, zone_in(desk, sub))


def surplus_of(
    sub: Mapping[str, Any], args: Mapping[str, Any], site: object, place: Any
) -> Surplus:
    """Where what a change credits beyond its charge goes: onto the invoices that were charged,
    else to the customer."""
    billed = tuple(c["invoice"] for c in owed.charges_of(sub) if c["invoice"])
    return Surplus(billed, bool(args.get("refund")), str(site), place)


def version_due(desk: Desk, key: str, args: Mapping[str, Any] = {}) -> None:
    """A dated version with `migrate now` has come: like a change of plan, to the new terms."""
    sub = desk.row("Subscription", key)
    just_before = desk.now - timedelta(microseconds=1)
    if not lives(sub) or next_version(desk, sub, just_before) != desk.now:
        return  # it has ended, or has another plan by now
    after = {**sub, "billing": {**held(sub), "versioned": desk.now}}
    if is_free(sub) or _says_the_same(desk, sub, just_before, after):
        _store(desk, sub, after)
        renewals.await_version(desk, after, desk.now)
        return
    _change_now(desk, sub, after, args, "version_change", "version", "")


def _says_the_same(
    desk: Desk, sub: Mapping[str, Any], before: datetime, after: Mapping[str, Any]
) -> bool:
    """Whether a version says nothing new to a subscription: it may change a price alone, and
    another holds, for it was agreed, or is that of its interval or phase."""
    old, new = terms(desk, sub, before), terms(desk, after, desk.now)
    return replace(old, prices=prices_of(old, sub)) == replace(new, prices=prices_of(new, after))


def _less(found: Owed, amount: Money) -> None:
    """A period that ends early: its bounds don't count what is given back of the price."""
    found.bounds = [
        bound if bound.again else replace(bound, before=bound.before - amount)
        for bound in found.bounds
    ]


def bill_change(
    desk: Desk, sub: Mapping[str, Any], after: dict[str, Any], found: Owed, item: str,
    change: Change, site: str, reason: str, surplus: Surplus, next_: bool,
) -> None:  # fmt: skip
    """Invoices a change now, or has its lines wait; keeps what stands charged."""
    key = sub["id"]
    known = {n: v for n, v in held(after).items() if n not in ("waiting", "late")}
    if reason in _NEW_TERMS:
        known.pop("billed", None)
        known.pop("settled", None)
    rows = owed.charges_of(sub)
    mine = [row for row in rows if row["item"] == item]
    kept = [row for row in rows if row["item"] != item]
    if settings(desk).proration == "none":
        kept += mine
    else:
        kept += owed.with_charges(mine, change.charges[:-1])
    made, whole = None, reason in _NEW_TERMS
    if limited := bounds.bounded(desk, after):
        others = [row for row in rows if row["item"] != item]
        begun = change.charge + owed.unused(desk, sub, others)
        known["before"] = begun if whole else _rebased(desk, sub, mine, change)
    running = {**sub, "billing": known}
    if limited and not whole and not next_:
        found.bounds += bounds.running(desk, running, found.lines)
    if next_:
        charged = _charged(desk, after, [line for line in found.lines if line.covers is not None])
        known["waiting"] = _to_wait(desk, after, found)
        kept += charged
    elif found.lines or found.bounds or found.metered:
        made = renewals.make(desk, [after], [found], [], f"{key}/{site}", reason, False, surplus)
        if made:
            kept = owed.invoiced(kept, made.made, made.key, key)
            kept += owed.charge_rows(made.made, made.key, key)
    known["charges"] = kept
    if limited and made and not whole:
        bounds.note(desk, running, known, made.lines)
    after["billing"] = known
    _store(desk, sub, after)
    renewals.await_inner(desk, after, desk.now)
    renewals.await_version(desk, after, desk.now)


def _rebased(
    desk: Desk, sub: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], change: Change
) -> Money:
    """What a minimum counts of the price in advance after a change within its period."""
    before: Money = held(sub).get("before") or Money(0, sub["currency"])
    if not change.credit:
        return before + change.charge
    return before + change.charge - owed.unused(desk, sub, rows)


def _charged(desk: Desk, after: Mapping[str, Any], made: Sequence[Line]) -> list[dict[str, Any]]:
    """What lines that wait will really charge: less the coupons that hold."""
    totals = invoices.draft_of(desk, after["customer"], made, after["currency"], [after])
    pairs = [(line, "") for line in totals.lines]
    rows = owed.charge_rows(pairs, "", after["id"])
    # Which taxes hold is known with the invoice: until then all is given back on that one too.
    return [{**row, "invoice": None, "taxes": None} for row in rows]


def _by_now(desk: Desk, sub: Mapping[str, Any], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Charges as they stand by now: of no more than is left of their invoices, and those that wait
    at what the coupons that hold leave of them, as one may have come or been used up since."""
    waiting = [
        replace(line, covers=line.counted) for line in owed.waiting(sub)
        if line.counted not in (None, invoicing.SETTLED)
    ]  # fmt: skip
    if not waiting:
        return payments.within_invoices(desk, rows)
    totals = invoices.draft_of(desk, sub["customer"], waiting, sub["currency"], [sub])
    # With a key, so that each charge stands for one line: a plan has several of the same time.
    made = [(line, "waits") for line in totals.lines]
    found = [
        {**row, "invoice": None, "line": "", "taxes": None} if row["line"] == "waits" else row
        for row in owed.invoiced(rows, made, "", sub["id"])
    ]
    return payments.within_invoices(desk, found)


def _restart(
    desk: Desk, sub: Mapping[str, Any], after: dict[str, Any], args: Mapping[str, Any],
    site: object, place: Any,
) -> None:  # fmt: skip
    """A change to another interval or anchor day: a new period begins now."""
    found = owed.arrears(desk, sub, desk.now, True)
    surplus = surplus_of(sub, args, site, place)
    if args.get("prorate") is not False:
        _less(found, owed.unused(desk, sub, owed.charges_of(sub)))
        found.lines += credit_unused(desk, sub, None, store=False)
    zone = zone_of(desk, sub["customer"])
    day = args.get("anchor_day")
    cycle = periods.cycle(desk.now, catalog.interval(after["interval"]), settings(desk), zone, day)
    known = {n: v for n, v in held(after).items() if n not in ("anchor_day", "exact", "made_in")}
    if "zone" in known:
        known["zone"] = zone
    if day is not None:
        known["anchor_day"] = day
    known |= apart.used_up(desk, sub, found.metered, desk.now)
    known["first_paid"] = first_paid(sub)
    after |= {"anchor": cycle.start, "billing": known}
    turned = renewals.begin(desk, sub, after, found, periods.period(cycle, 0), False)
    # What was used before now today stands on this invoice already.
    used_until = {"usage_start": desk.now}
    if args.get("invoice") == "next":
        after |= used_until
        renewals.settle(desk, turned, None)
        _wait(desk, after, found, turned.advance)
        return
    made = renewals.make(
        desk, [after], [found], turned.advance, f"{sub['id']}/restart/{desk.base}/{site}",
        "plan_change", False, surplus,
    )  # fmt: skip
    after |= used_until
    renewals.settle(desk, turned, made)


def _to_wait(desk: Desk, after: Mapping[str, Any], found: Owed) -> list[dict[str, Any]]:
    """What is owed as lines that wait; what they settle is remembered as on an invoice."""
    made = owed.settled(desk, found)
    keep_billed(desk, found.metered, None, None)
    bounds.keep(desk, after["customer"], found.bounds, made, None)
    over = [bound for bound in found.bounds if bound.settle]
    return owed.as_rows([
        replace(line, counted=invoicing.SETTLED)
        if any(invoicing.counts_to(line, bound) or invoicing.settles(line, bound) for bound in over)
        else line
        for line in made
    ])  # fmt: skip


def _wait(desk: Desk, after: Mapping[str, Any], found: Owed, advance: Sequence[Line]) -> None:
    """Has the lines of a new period wait for the invoice after it; they count as charged."""
    charged = _charged(desk, after, advance)
    # Whole periods: of a coupon's amount each has all of it, whatever else is on that invoice.
    found.lines += [replace(line, part=periods.WHOLE) for line in advance]
    known = held(desk.row("Subscription", after["id"]))
    known |= {"waiting": _to_wait(desk, after, found), "charges": charged}
    desk.change("Subscription", after["id"], billing=known)


def credit_unused(
    desk: Desk, sub: Mapping[str, Any], item: str | None, store: bool = True
) -> list[Line]:
    """The credit lines for what is left of the running period, plan and add-ons each."""
    chosen, zone = settings(desk), zone_in(desk, sub)
    made, kept = [], []
    for name in dict.fromkeys(row["item"] for row in owed.charges_of(sub)):
        rows = _by_now(desk, sub, owed.charges_of(sub, name))
        if item not in (None, name):
            kept += rows
            continue
        charges = owed.as_charges(rows)
        given = proration.credit(charges, desk.now, chosen.proration, zone, chosen.half_even)
        stopped = owed.with_charges(rows, proration.stop(charges, given, desk.now))
        made_by = owed.give_back(desk, rows, stopped)
        kept += stopped
        plan = plan_named(desk, sub["plan"]) if name == PLAN else addon_named(desk, name)
        subject, end = lines.Subject.of(sub["id"], plan), sub["period_end"]
        credits = lines.credit_lines(subject, given, made_by, desk.now, end)
        made += [line for line in credits if line.amount]
    # What was free, by a coupon of all of it, is left off a bound's period as well.
    if store and kept:
        known = {**held(sub), "charges": kept}
        if "before" in known:
            rows = [row for row in owed.charges_of(sub) if item in (None, row["item"])]
            known["before"] = known["before"] - owed.unused(desk, sub, rows)
        desk.change("Subscription", sub["id"], billing=known)
    return made


def bill_rest(desk: Desk, key: str, reason: str) -> None:
    """Charges the part left of the period then running, where it is not charged yet."""
    sub = desk.row("Subscription", key)
    if sub["period_end"] <= desk.now or any(c["end"] > desk.now for c in owed.charges_of(sub)):
        return
    period = periods.period_at(cycle_of(desk, sub), desk.now)
    found = owed.standing(desk, sub)
    share = proration.unused_share(period, desk.now, settings(desk).proration, zone_in(desk, sub))
    for item in items(desk, sub, desk.now):
        amount = proration.portion(advance_amount([item], sub), share)
        found.lines += _rest_line(desk, sub, item, amount, period)
    known = {n: v for n, v in held(sub).items() if n not in ("waiting", "late")}
    made = renewals.make(desk, [sub], [found], [], f"{key}/{reason}/{desk.base}", reason)
    known["charges"] = owed.charge_rows(made.made, made.key, key) if made else []
    if bounds.bounded(desk, sub):
        charged = (row["full"] for row in known["charges"])
        known["before"] = sum(charged, Money(0, sub["currency"]))
    desk.change("Subscription", key, billing=known)


def _rest_line(
    desk: Desk, sub: Mapping[str, Any], item: Item, amount: Money, period: Period
) -> list[Line]:
    if not amount:
        return []
    chosen, zone = settings(desk), zone_in(desk, sub)
    start = desk.now
    if chosen.proration != "second":
        start = periods.midnight(periods.local_day(desk.now, zone), zone)
    return [
        Line(
            "proration", f"Remaining time on {item.plan.title or item.plan.name}", amount,
            quantity=item.quantity, subscription=sub["id"], plan=item.plan.name,
            period_start=start, period_end=period.end, covers=item.name,
            part=part_left(desk, sub, period),
        )
    ]  # fmt: skip
