"""Periods: begun, renewed, billed; the subscriptions of a customer that are due together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from ..billing import periods
from ..billing.invoicing import Bound, Line
from ..billing.periods import Period
from ..errors import Refusal
from ..times import add
from ..values import Duration, Money
from . import alike, bounds, corrections, invoices, owed, usage, windows
from .billed import Metered, billed_of, charged_parts, keep_billed, keep_waited
from .credits import Surplus
from .customers import ASLEEP, grace, in_trial, lives, settings, subscriptions, zone_in
from .desk import Desk
from .invoices import Issued
from .owed import Owed
from .status import allowed, announce, living
from .taken import taken
from .terms import cycle_of, held, items, monthly, next_version

# What ends with a period, or with the invoice that takes it.
_ENDS = ("waiting", "late", "billed", "arrears_from", "pending", "charges", "before", "settled",
         "versioned")  # fmt: skip


@dataclass(slots=True)
class Turn:
    """A period that ends and the one that follows: what both put on an invoice.

    `plain`: nothing but the plan's own prices goes into it. `known` is the invoice over both where
    that is, of no subscription yet.
    """

    before: Mapping[str, Any]
    after: dict[str, Any]
    owed: Owed
    advance: list[Line]
    period: Period
    plain: bool = False
    known: alike.Invoiced | None = None


def turn(desk: Desk, sub: Mapping[str, Any], credit: Sequence[Line] = ()) -> Turn:
    """What the end of the running period makes; it changes nothing yet."""
    if not credit and (known := alike.renewal(desk, sub)) is not None:
        return _turn_alike(sub, known)
    trialing = in_trial(sub)
    due = Owed(owed.waiting(sub)) if trialing else owed.arrears(desk, sub, sub["period_end"])
    due.lines += credit
    after = taken(desk, sub)
    cycle = cycle_of(desk, after)
    fresh = trialing or after["anchor"] != sub["anchor"]
    period = periods.period(cycle, 0) if fresh else periods.following(cycle, sub["period_end"])
    return begin(desk, sub, after, due, period, trialing)


def _turn_alike(sub: Mapping[str, Any], known: alike.Renewed) -> Turn:
    """The same by what all subscriptions of these terms have in common."""
    key, period = sub["id"], known.period
    after = {
        **sub, "period_start": period.start, "period_end": period.end,
        "usage_start": period.start, "monthly_amount": known.monthly,
    }  # fmt: skip
    waiting = owed.waiting(sub)
    metered = alike.windows(sub, known) if known.used else []
    used = (line for each in metered for line in each.lines)
    due = Owed([*waiting, *alike.of(known.due, key), *used], [], metered)
    invoice = None if waiting else known.invoice
    return Turn(sub, after, due, alike.of(known.advance, key), period, True, invoice)


def begin(
    desk: Desk, before: Mapping[str, Any], after: dict[str, Any], due: Owed, period: Period,
    first: bool,
) -> Turn:  # fmt: skip
    """A turn into a period; `first` adds what is due once."""
    after |= {
        "period_start": period.start, "period_end": period.end, "usage_start": period.start,
    }  # fmt: skip
    plan = alike.plain_plan(desk, after)
    if plan is not None:
        begun = alike.begun(
            plan, after["quantity"], after["currency"], after["interval"], period, first,
            settings(desk).proration, zone_in(desk, after),
        )  # fmt: skip
        after["monthly_amount"] = begun.monthly
        return Turn(before, after, due, alike.of(begun.lines, after["id"]), period, True)
    having = items(desk, after, period.start)
    after["monthly_amount"] = monthly(having, after)
    advance = owed.advance(desk, after, period, having)
    if first:
        advance += owed.set_up(after, having)
    return Turn(before, after, due, advance, period)


# --- due -------------------------------------------------------------------------------------


def due(desk: Desk, key: str) -> None:
    """The end of a period or trial: of this subscription, and of those due with it."""
    sub = desk.row("Subscription", key)
    if not lives(sub) or sub["period_end"] > desk.now:
        return
    turns = []
    for each in _end_those(desk, together(desk, sub)):
        if each["status"] in ASLEEP:
            _roll(desk, each)
        else:
            turns.append(turn(desk, each))
    if turns:
        known = [each.after["id"] for each in turns]
        beside = _beside(desk, sub) if sub["period_end"] == desk.now else ()
        parts = _inner_parts(desk, beside, known) if len(beside) > 1 else ()
        bill(desk, turns, "trial_end" if in_trial(sub) else "renewal", parts)


def _end_those(desk: Desk, subs: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Ends those whose cancellation is due; the others, as they are after that: the invoices of
    the ended may have used up a coupon of the customer."""
    from .subscriptions import end

    over = [
        each["id"] for each in subs
        if ends(each) and allowed(desk, each["status"], "cancelled")
    ]  # fmt: skip
    for key in over:
        end(desk, key, "cancelled")
    if not over:
        return subs
    return [desk.row("Subscription", each["id"]) for each in subs if each["id"] not in over]


def ends(sub: Mapping[str, Any]) -> bool:
    """Whether a cancellation is scheduled for the end of the running period."""
    return sub["cancel_at"] is not None and bool(sub["cancel_at"] <= sub["period_end"])


def together(desk: Desk, sub: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The subscriptions that stand on one invoice with this one, oldest first."""
    if not (sub["billing"] or {}).get("others"):
        return [sub]
    return [
        each for each in subscriptions(desk, sub["customer"])
        if each["id"] == sub["id"]
        or (each["period_end"] == sub["period_end"] and each["currency"] == sub["currency"])
    ]  # fmt: skip


def bill(
    desk: Desk, turns: Sequence[Turn], reason: str, parts: Sequence[Inner] = ()
) -> Issued | None:
    """One invoice for all, and each subscription in its new period; `parts` go with them."""
    first = turns[0].after
    for each in turns:
        if each.after["coupons"] != each.before["coupons"]:
            desk.change("Subscription", each.after["id"], coupons=each.after["coupons"])
    site = f"{first['id']}/{reason}/{_compact(turns[0].period.start)}"
    made = make(
        desk, [*(turn.after for turn in turns), *(part.sub for part in parts)],
        [*(turn.owed for turn in turns), *(part.owed for part in parts)],
        [line for turn in turns for line in turn.advance], site, reason, graced=True,
        known=turns[0].known if len(turns) == 1 and not parts else None,
    )  # fmt: skip
    for each in turns:
        settle(desk, each, made)
        _tell(desk, each)
    for part in parts:
        _inner_done(desk, part, made)
    return made


@lru_cache(maxsize=1024)
def _compact(at: datetime) -> str:
    return f"{at:%Y%m%dT%H%M%S}"


def make(
    desk: Desk, subs: Sequence[Mapping[str, Any]], dues: Sequence[Owed], advance: Sequence[Line],
    site: str, reason: str, graced: bool = False, surplus: Surplus | None = None,
    known: alike.Invoiced | None = None,
) -> Issued | None:  # fmt: skip
    """An invoice over what is owed; a draft first where usage may still come in.

    `known` is that over the lines where it is, but for a credit of the customer.
    """
    customer, currency = subs[0]["customer"], subs[0]["currency"]
    all_lines, found, metered = [], [], []
    for due_ in dues:
        all_lines += due_.lines
        found += due_.bounds
        metered += due_.metered
    all_lines += advance
    if not (all_lines or found or metered):
        return None
    if graced and metered and (waits := grace(desk, customer)) != Duration():
        at = add(desk.now, waits, desk.tz)
        made = invoices.open_draft(
            desk, customer, all_lines, site, reason, currency, subs, found,
            _draft_source(all_lines, metered, found, subs),
        )  # fmt: skip
        if made is not None:
            desk.set_timer(f"draft|{made.key}", at, what="draft", invoice=made.key)
        else:
            # Nothing so far: what still comes in the grace makes an invoice then.
            for sub in subs:
                desk.set_timer(f"tail|{sub['id']}", at, what="tail", sub=sub["id"])
    else:
        made = invoices.issue(
            desk, customer, all_lines, site, reason, currency, subs, found, surplus,
            known=known,
        )  # fmt: skip
        if made:
            keep_waited(desk, customer, metered, made.made, made.key)
    if metered or found:
        key = made.key if made else None
        keep_billed(desk, metered, made.made if made else (), key)
        bounds.keep(desk, customer, found, made.lines if made else (), key)
    return made


def settle(desk: Desk, turned: Turn, made: Issued | None) -> None:
    """Keeps a subscription in its new period, with what was really charged for it."""
    before, after, period = turned.before, turned.after, turned.period
    key = after["id"]
    known = {name: value for name, value in held(after).items() if name not in _ENDS}
    charges = owed.charge_rows(made.made, made.key, key) if made else []
    if charges:
        known["charges"] = charges
    if not turned.plain and bounds.bounded(desk, after):
        known["before"] = base_of(turned.advance, after["currency"], settings(desk).half_even)
    after["billing"] = known
    names = ("status", "plan", "quantity", "interval", "anchor", "period_start", "period_end",
             "usage_start", "monthly_amount", "pending_plan", "pending_quantity", "price",
             "billing")  # fmt: skip
    changes = {name: after[name] for name in names if after[name] != before[name]}
    desk.change("Subscription", key, **changes)
    schedule(desk, after, period.start, turned.plain)


def base_of(made: Sequence[Line], currency: str, half_even: bool) -> Money:
    """What the fixed parts in advance come to on their invoice, without discounts."""
    base = (line.amount.rounded(half_even) for line in made if line.kind == "base")
    return sum(base, Money(0, currency))


def schedule(desk: Desk, sub: Mapping[str, Any], at: datetime, plain: bool = False) -> None:
    """The timers of a period: its end, and, but for a plain plan, what comes within it."""
    key = sub["id"]
    desk.set_timer(f"renew|{key}", sub["period_end"], what="renew", sub=key)
    if not plain:
        await_inner(desk, sub, at)
        await_version(desk, sub, at)


def await_inner(desk: Desk, sub: Mapping[str, Any], at: datetime) -> None:
    """The timer of the next usage period that ends within the subscription's own, if one does."""
    inner = windows.next_boundary(desk, sub, at)
    if inner is not None:
        desk.set_timer(f"usage|{sub['id']}", inner, what="usage", sub=sub["id"])


def await_version(desk: Desk, sub: Mapping[str, Any], at: datetime) -> None:
    """The timer of a version that takes the subscription over within its period."""
    due_ = next_version(desk, sub, at)
    if due_ is not None:
        desk.set_timer(f"version|{sub['id']}", due_, what="version", sub=sub["id"])


def _tell(desk: Desk, turned: Turn) -> None:
    before, after = turned.before, turned.after
    key, customer = after["id"], after["customer"]
    if before["plan"] != after["plan"]:
        announce(desk, "Subscription.plan_changed", key, customer,
                 **{"from": before["plan"], "to": after["plan"]})  # fmt: skip
    trialing = in_trial(before)
    announce(desk, f"Subscription.{'activated' if trialing else 'renewed'}", key, customer)


def _roll(desk: Desk, sub: Mapping[str, Any]) -> None:
    """A period that nothing is charged for. What was used while suspended waits."""
    after = taken(desk, sub)
    known = {name: value for name, value in held(after).items() if name != "pending"}
    cycle = cycle_of(desk, after)
    fresh = after["anchor"] != sub["anchor"]
    period = periods.period(cycle, 0) if fresh else periods.following(cycle, sub["period_end"])
    if sub["status"] == "suspended":
        found = list(usage.owed(desk, sub, sub["period_end"], False))
        used = [line for each in found for line in each.lines if line.amount]
        keep_billed(desk, found, None, None)
        known["waiting"] = [*(known.get("waiting") or ()), *owed.as_rows(used)]
    known |= {"charges": [], "billed": None, "arrears_from": None}
    after |= {
        "period_start": period.start, "period_end": period.end, "usage_start": period.start,
        "billing": known,
    }  # fmt: skip
    after["monthly_amount"] = monthly(items(desk, after, period.start), after)
    desk.change("Subscription", sub["id"], **{n: v for n, v in after.items() if v != sub[n]})
    schedule(desk, after, period.start)
    if sub["plan"] != after["plan"]:
        announce(desk, "Subscription.plan_changed", sub["id"], sub["customer"],
                 **{"from": sub["plan"], "to": after["plan"]})  # fmt: skip


# --- usage within a period -------------------------------------------------------------------


def usage_due(desk: Desk, key: str) -> None:
    """The end of a usage period that is shorter than the subscription's own."""
    sub = desk.row("Subscription", key)
    if not lives(sub):
        return
    if sub["status"] == "suspended":
        _wait_for_recovery(desk, sub)
        return
    beside = _beside(desk, sub)
    for each in beside:
        if each["period_end"] == desk.now and each["status"] not in ASLEEP:
            # A renewal at this instant takes the usage with it.
            due(desk, each["id"])
            return
    parts = _inner_parts(desk, beside, ())
    if not parts:
        return
    subs, dues = [part.sub for part in parts], [part.owed for part in parts]
    made = make(desk, subs, dues, [], f"{key}/usage/{desk.base}", "usage", graced=True)
    for part in parts:
        _inner_done(desk, part, made)


@dataclass(frozen=True, slots=True)
class Inner:
    """A usage period within a subscription's own that ends now, and what it makes."""

    sub: Mapping[str, Any]
    owed: Owed


def _beside(desk: Desk, sub: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The subscriptions of a customer in one currency, this one among them."""
    if not (sub["billing"] or {}).get("others"):
        return [sub]
    mine = subscriptions(desk, sub["customer"])
    return [each for each in mine if each["currency"] == sub["currency"]]


def _inner_parts(desk: Desk, subs: Sequence[Mapping[str, Any]], but: Sequence[str]) -> list[Inner]:
    """The usage periods of subscriptions that end now within their own."""
    found, just_before = [], desk.now - timedelta(microseconds=1)
    for sub in subs:
        if sub["id"] in but or sub["status"] in ASLEEP or in_trial(sub):
            continue
        if windows.next_boundary(desk, sub, just_before) == desk.now:
            found.append(Inner(sub, _inner(desk, sub, desk.now)))
    return found


def overtaken(desk: Desk, key: str, until: datetime) -> None:
    """Bills the usage periods within a subscription's own that were over by an instant when it
    began."""
    sub = desk.row("Subscription", key)
    at: datetime = sub["usage_start"]
    while (end := windows.next_boundary(desk, sub, at)) is not None and end <= until:
        part, site = Inner(sub, _inner(desk, sub, end)), f"{key}/usage/{end:%Y%m%dT%H%M%S}"
        made = make(desk, [sub], [part.owed], [], site, "usage", graced=True)
        _inner_done(desk, part, made)
        sub, at = desk.row("Subscription", key), end


def bill_waiting(desk: Desk, key: str) -> None:
    """Invoices what waits for a subscription's next invoice."""
    sub = desk.row("Subscription", key)
    part = Inner(sub, _inner(desk, sub, desk.now))
    made = make(desk, [sub], [part.owed], [], f"{key}/waiting/{desk.base}", "version_change")
    _inner_done(desk, part, made)


def _inner(desk: Desk, sub: Mapping[str, Any], end: datetime) -> Owed:
    """What the end of a usage period makes, with what waited for the next invoice."""
    found = Owed(owed.waiting(sub), metered=corrections.due(desk, sub))
    found.metered += [
        each for each in usage.owed(desk, sub, end, False)
        if each.price.interval is not None and not _is_billed(desk, each)
    ]  # fmt: skip
    found.lines += [line for each in found.metered for line in each.lines]
    if any(line.amount for line in found.lines):
        found.bounds = bounds.again(desk, found.metered)
        found.bounds += bounds.bounds_of(desk, sub, sub["period_end"], settle=False)
    return found


def _is_billed(desk: Desk, window: Metered) -> bool:
    """Whether a usage period has been billed to its end; one that ended where it began is kept
    under the same key, where nothing counted in it."""
    row = desk.peek("_usage", window.row["id"])
    return row is not None and bool(row["end"] >= window.row["end"])


def _wait_for_recovery(desk: Desk, sub: Mapping[str, Any]) -> None:
    """What was used while suspended waits for the invoice of the recovery."""
    found = _inner(desk, sub, desk.now)
    known = held(sub)
    known["waiting"] = owed.as_rows([line for line in found.lines if line.amount])
    known.pop("late", None)
    keep_billed(desk, found.metered, None, None)
    await_inner(desk, desk.change("Subscription", sub["id"], billing=known), desk.now)


def _inner_done(desk: Desk, part: Inner, made: Issued | None) -> None:
    key = part.sub["id"]
    known = {n: v for n, v in held(desk.row("Subscription", key)).items()
             if n not in ("waiting", "late")}  # fmt: skip
    billed = dict(known.get("billed") or {})
    for each in part.owed.metered:
        billed.pop(f"{each.item.name}|{each.price.meter}", None)
    known["billed"] = billed
    if made:
        known["charges"] = owed.invoiced(known.get("charges") or [], made.made, made.key, key)
    if made and "before" in known:
        bounds.note(desk, part.sub, known, made.lines)
    await_inner(desk, desk.change("Subscription", key, billing=known), desk.now)


def tail_due(desk: Desk, key: str) -> None:
    """The grace of a period without lines is over: what came in for it is invoiced."""
    sub = desk.row("Subscription", key)
    found = Owed(metered=corrections.due(desk, sub))
    found.lines = [line for each in found.metered for line in each.lines if line.amount]
    found.bounds = bounds.again(desk, found.metered)
    if found.lines:
        make(desk, [sub], [found], [], f"{key}/tail/{desk.base}", "usage")
        known = {n: v for n, v in held(sub).items() if n != "late"}
        desk.change("Subscription", key, billing=known)


def _bill_part(
    desk: Desk, sub: Mapping[str, Any], found: Owed, site: str
) -> Issued | None:  # fmt: skip
    """Bills usage while its period goes on."""
    found.lines = [line for each in found.metered for line in each.lines if line.amount]
    if not found.lines:
        return None
    found.bounds = bounds.bounds_of(desk, sub, sub["period_end"], settle=False)
    made = invoices.issue(
        desk, sub["customer"], found.lines, site, "usage", sub["currency"], [sub], found.bounds
    )
    known = held(desk.row("Subscription", sub["id"]))
    billed = dict(known.get("billed") or {})
    for each in found.metered:
        parts = charged_parts(each, *((made.made, made.key) if made else ((), None)))
        billed[f"{each.item.name}|{each.price.meter}"] = parts
    known["billed"] = billed
    if made and "before" in known:
        bounds.note(desk, sub, known, made.lines)
    desk.change("Subscription", sub["id"], billing=known)
    return made


def bill_usage(desk: Desk, args: dict[str, Any], site: object, place: Any) -> str | None:
    """`bill_usage { subscription }`: what was used so far of the running periods, and not billed.

    None where that comes to nothing; refused while nothing is billed.
    """
    sub = living(desk, args["subscription"], "billed")
    if sub["status"] in ASLEEP or in_trial(sub):
        state = "in its trial" if in_trial(sub) else sub["status"]
        raise Refusal(f"subscription {sub['id']} is {state}: nothing is billed now")
    found = Owed(metered=list(usage.owed(desk, sub, desk.now, True, running=True)))
    made = _bill_part(desk, sub, found, f"{sub['id']}/usage/{desk.base}/{site}")
    return made.key if made else None


def threshold(desk: Desk, meter: str, customer: str) -> None:
    """Bills usage as soon as what is not billed of it reaches the plan's threshold."""
    for sub in subscriptions(desk, customer):
        if sub["status"] in ASLEEP or in_trial(sub):
            continue
        having = items(desk, sub, sub["period_start"])
        limit = usage.thresholds(having[0].plan, sub["currency"])
        if limit is None or all(p.meter != meter for each in having for p in each.plan.usages):
            continue
        # A backdated start may begin with a period that is over.
        at = min(desk.now, sub["period_end"])
        found = Owed(metered=list(usage.owed(desk, sub, at, True, running=True)))
        due_ = sum((each.due for each in found.metered), limit * 0)
        if due_ >= limit:
            _bill_part(desk, sub, found, f"{sub['id']}/threshold/{desk.base}")


# --- drafts ----------------------------------------------------------------------------------


def _draft_source(
    made: Sequence[Line], metered: Sequence[Metered], found: Sequence[Bound],
    subs: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:  # fmt: skip
    """What a draft is made from again when it becomes final."""
    counted = {id(line) for each in metered for line in each.lines}
    return {
        "subs": [sub["id"] for sub in subs],
        "lines": owed.as_rows([line for line in made if id(line) not in counted], True),
        "usages": [
            {"id": each.row["id"], "kind": each.lines[0].kind, "billed": each.before}
            for each in metered if each.lines
        ],
        "bounds": bounds.as_rows(found),
    }  # fmt: skip


def draft_due(desk: Desk, key: str) -> None:
    """The grace of a draft is over: it becomes final, with all that came in for it."""
    draft = desk.row("Invoice", key)
    if draft["status"] != "draft":
        return
    source = draft["draft"]
    made = owed.from_rows(source["lines"])
    agains = []
    for part in source["usages"]:
        row = desk.peek("_usage", part["id"])
        assert row is not None, part
        again = corrections.again(desk, row, part["kind"], billed_of(part["billed"]))
        if again is not None:
            made += again.lines
            agains.append(again)
    found = bounds.from_rows(source["bounds"])
    subs = [desk.row("Subscription", sub) for sub in source["subs"]]
    issued = invoices.close_draft(desk, draft, made, subs, found)
    keep_billed(desk, agains, issued.made, key)
    keep_waited(desk, draft["customer"], agains, issued.made, key)
    bounds.keep(desk, draft["customer"], found, issued.lines, key)
    for sub in source["subs"]:
        _recharge(desk, sub, issued)


def _recharge(desk: Desk, key: str, issued: Issued) -> None:
    """What the final invoice really charged, where the draft's charges still run."""
    known = held(desk.row("Subscription", key))
    rows = known.get("charges") or []
    fresh = owed.charge_rows(issued.made, issued.key, key, True)
    known["charges"] = [_as_final(row, fresh, issued.key) for row in rows]
    if rows != known["charges"]:
        desk.change("Subscription", key, billing=known)


def _as_final(row: dict[str, Any], fresh: list[dict[str, Any]], invoice: str) -> dict[str, Any]:
    """A charge of a draft as its final invoice has it; each of that one's stands for one."""
    about = ("item", "start", "end")
    for place, charge in enumerate(fresh):
        if row["invoice"] == invoice and all(row[name] == charge[name] for name in about):
            return {**fresh.pop(place), "given_back": row["given_back"]}
    return row
