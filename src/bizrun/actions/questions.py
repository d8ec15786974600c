"""Built-in functions that read state: usage, limits, credit, features, experiments."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any

from ..billing import catalog, periods
from ..billing.catalog import UsagePrice
from ..errors import EvalError, Refusal
from ..ir.program import Meter
from ..times import end_of, local_date, midnight, start_of
from ..values import SIZE_UNITS, UNLIMITED, Money, Number, check_number, show
from . import corrections, quotes, recurring, windows
from . import usage as usages
from .customers import ASLEEP, credit_balance, lives, plans_of, subscription_of
from .desk import Desk, Row
from .terms import PLAN, cycle_of, items, plan_named
from .wallets import usable


def usage_start(desk: Desk, customer: str, at: datetime, meter: str | None = None) -> datetime:
    """Where the usage period begins that an instant is in: the subscription's, else the month."""
    return _period_among(desk, desk.subscriptions(customer), customer, at, meter)[0]


def _period_among(
    desk: Desk, subs: Sequence[Row], customer: str, at: datetime, meter: str | None
) -> tuple[datetime, datetime | None]:
    """The usage period that an instant is in, of a customer with these subscriptions; its end is
    none where that can't be said."""
    sub = _metered(desk, subs, meter)
    if sub is not None and (begun := _running_since(sub, at, meter)) is not None:
        return _running(desk, sub, meter, at, begun)
    start, end = _of_the_calendar(desk, sub, at)
    if meter is not None and desk.program.plans:
        # What is late belongs to the period that was billed, wherever a change has cut it; what
        # came behind that, when nobody rated the meter, to none.
        if rows := corrections.billed_windows(desk, meter, customer, at):
            return rows[0]["start"], rows[0]["end"]
        start = max(start, corrections.billed_until(desk, meter, customer, at) or start)
    return start, end


def _of_the_calendar(
    desk: Desk, sub: Row | None, at: datetime
) -> tuple[datetime, datetime | None]:  # fmt: skip
    """The period that an instant is in which no usage was billed of: the subscription's, else the
    month."""
    if sub is None or at < sub["started"]:
        zone = desk.tz
        day = local_date(at, zone)
        return midnight(start_of("month", day), zone), midnight(end_of("month", day), zone)
    if at >= sub["period_end"]:
        return sub["period_end"], None
    if at < sub["anchor"]:
        return sub["started"], None
    return periods.period_at(cycle_of(desk, sub), at).start, None


def usage_periods(
    desk: Desk, customer: str, at: datetime, meter: str, place: int | None = None
) -> tuple[tuple[datetime, datetime | None], ...]:
    """The usage periods that a count belongs to: each subscription with a price for the meter
    rates what falls into its own. The last one is where `at` is; of an event that stands at a
    `place` of the log, by what had ended there."""
    subs = desk.subscriptions(customer)
    if place is not None and (cut := corrections.cut_behind(desk, meter, customer, at, place)):
        # Beside them those of others that ran by then; an add-on that ended leaves the plan's own.
        over = {row["subscription"] for row in cut if row["terms"]["item"] == PLAN}
        rest = [
            sub for sub in subs
            if lives(sub) and sub["id"] not in over and _begun(sub, meter) <= at
        ]  # fmt: skip
        found = _periods_of(desk, rest, customer, at, meter) if rest else ()
        return (*found, *((row["start"], row["end"]) for row in cut))
    if place is not None and (later := [sub for sub in subs if _taken_behind(sub, at, place)]):
        rest = [sub for sub in subs if sub not in later]
        found = _periods_of(desk, rest, customer, at, meter) if rest else ()
        return (*found, *_periods_of(desk, later, customer, at - windows.MOMENT, meter))
    return _periods_of(desk, subs, customer, at, meter)


def _taken_behind(sub: Row, at: datetime, place: int) -> bool:
    """Whether a subscription took its plan at an instant, behind a place of the log: what stands
    there was used under the one before, which had no price for it."""
    known = sub["billing"] or {}
    return bool(lives(sub) and sub["usage_start"] == at and place < known.get("place", 0))


def _periods_of(
    desk: Desk, subs: Sequence[Row], customer: str, at: datetime, meter: str
) -> tuple[tuple[datetime, datetime | None], ...]:
    own = _period_among(desk, subs, customer, at, meter)
    found: dict[datetime, datetime | None] = {}
    billed = False
    if any(windows.counts_apart(desk, sub, meter) for sub in subs):
        billed = True
        for sub in filter(lives, subs):
            found |= windows.parts_of(desk, sub, meter, at)
    elif len(subs) < 2:
        return (own,)
    for sub in subs:
        if not lives(sub):
            billed = billed or at < (sub["ended_at"] or at)
        elif not _prices(desk, sub, meter):
            # A plan before this one may have had a price for it.
            billed = billed or at < sub["usage_start"]
        elif (begun := _running_since(sub, at, meter)) is not None:
            start, end = _running(desk, sub, meter, at, begun)
            found[start] = end
        else:
            billed = billed or at < _begun(sub, meter)
    if billed:
        found |= {
            r["start"]: r["end"] for r in corrections.billed_windows(desk, meter, customer, at)
        }
    found.pop(own[0], None)
    return (*found.items(), own)


def _running_since(sub: Row, at: datetime, meter: str | None) -> datetime | None:
    """Where the running usage of a subscription begins, if an instant is in it."""
    begun = _begun(sub, meter)
    first = begun if meter is None else windows.unmoved(sub, meter, begun)
    return begun if first <= at < sub["period_end"] else None


def _begun(sub: Row, meter: str | None) -> datetime:
    """Where the running usage of a subscription begins."""
    begun: datetime = sub["usage_start"]
    before = None if meter is None else windows.billed_before(sub, meter)
    return begun if before is None else max(begun, before)


def _running(
    desk: Desk, sub: Row, meter: str | None, at: datetime, begun: datetime
) -> tuple[datetime, datetime | None]:
    """The running usage period of a subscription, or the meter's own within it."""
    price = _own_period(desk, sub, meter)
    if price is None:
        return begun, sub["period_end"]
    period = windows.meter_period(desk, sub, price, at)
    if at < period.start:
        return begun, sub["period_end"]  # in a trial: the first period is still to come
    return max(begun, period.start), min(period.end, sub["period_end"])


def _prices(desk: Desk, sub: Row, meter: str) -> bool:
    """Whether a plan of a subscription has a price for a meter, or an allowance of it."""
    plans = [item.plan for item in items(desk, sub, desk.now)]
    priced = any(price.meter == meter for plan in plans for price in plan.usages)
    return priced or any(line.meter == meter for plan in plans for line in plan.includes)


def _metered(desk: Desk, subs: Sequence[Row], meter: str | None) -> Row | None:
    """The subscription whose periods count for a meter: the oldest that prices it, or lives."""
    live = [row for row in subs if lives(row)]
    if len(live) < 2 or meter is None:
        return live[0] if live else None
    for sub in live:
        limited = any(meter in item.plan.limits for item in items(desk, sub, desk.now))
        if limited or _prices(desk, sub, meter):
            return sub
    return live[0]


def _own_period(desk: Desk, sub: Row, meter: str | None) -> UsagePrice | None:
    """The usage price of a meter that has a period of its own."""
    if meter is None:
        return None
    for item in items(desk, sub, desk.now):
        prices = [price for price in item.plan.usages if price.meter == meter]
        if prices:
            return next((price for price in prices if price.interval is not None), None)
    return None


def period_start(desk: Desk, customer: str, at: datetime) -> datetime:
    """Where the billing period begins: for triggers that fire once per period."""
    return usage_start(desk, customer, at)


def usage(desk: Desk, customer: Any, meter: Any, within: Any = None) -> Number | Money:
    """`usage(customer, meter)`: of the running period."""
    if customer is None:
        raise Refusal("usage needs a customer, and there is none")
    declared = desk.program.meters.get(meter)
    if declared is None:
        raise EvalError(f"there is no meter `{show(meter)}`")
    if within is not None:
        if meter not in desk.program.ranged:
            raise EvalError(
                f"counts of `{meter}` are kept by their time only where the spec itself asks for "
                f"usage(customer, {meter}, from..to); invoice lines have those of past periods"
            )
        start, end = within.start, within.end
        quantity = desk.measured_within(meter, customer, start, end)
        return _as_read(desk, customer, declared, quantity)
    start = usage_start(desk, customer, desk.now, meter)
    found = desk.measured(meter, customer, start, desk.now)
    quantity = sum((figure.quantity for figure in found), 0)
    return _as_read(desk, customer, declared, quantity)


def _as_read(desk: Desk, customer: str | None, meter: Meter, quantity: Number) -> Number | Money:
    """A meter's figure as authors read it: a size in bytes, an amount as money."""
    match meter.figure:
        case "size":
            return check_number(quantity * SIZE_UNITS.get(meter.unit or "", 1))
        case "money":
            sub = subscription_of(desk, customer) if customer is not None else None
            return Money(quantity, sub["currency"] if sub else desk.currency)
    return quantity


def limit(desk: Desk, customer: Any, name: Any) -> Number | Money:
    """`limit(customer, name)`: what the oldest subscription allows whose plan says something of
    it; 0 where the customer has no plan, unlimited where none is set."""
    if customer is None:
        raise Refusal("limit needs a customer, and there is none")
    bound: Number | Money = 0
    for plan, sub in plans_of(desk, customer):
        if name in plan.limits or catalog.included(plan, name) is not None:
            return _allowed(desk, plan, name, sub)
        bound = UNLIMITED
    return bound


def _included(desk: Desk, plan: catalog.Plan, name: str, sub: Row | None) -> Number | None:
    """What is included of a meter: by a subscription, in the running period, with what was
    carried over to it."""
    included = catalog.included(plan, name)
    if included is None or sub is None or not any(map(_carries, plan.includes)):
        return included
    for price in catalog.choose_usages(plan, sub["currency"]):
        if price.meter == name:
            start = windows.window_start(desk, sub, price, max(desk.now, sub["period_start"]))
            end = windows.meter_period(desk, sub, price, start).end
            item = items(desk, sub, desk.now)[0]
            return usages.allowance_of(desk, sub, item, price, start, end, start).quantity
    return included


def _carries(line: catalog.Includes) -> bool:
    return line.carried is not None


def limit_of_plan(desk: Desk, plan: Any, name: Any) -> Number | Money:
    """`limit(plan, name)`: what it allows whoever has it; unlimited where none is set."""
    return _allowed(desk, plan_named(desk, plan), name, None)


def _allowed(desk: Desk, plan: catalog.Plan, name: Any, sub: Row | None) -> Number | Money:
    held = plan.limits.get(name)
    if held is not None:
        return held
    included = _included(desk, plan, name, sub)
    if included is None:
        return UNLIMITED
    meter = desk.program.meters.get(name)
    customer = sub["customer"] if sub is not None else None
    return _as_read(desk, customer, meter, included) if meter else included


def remaining(desk: Desk, customer: Any, name: Any) -> Number | Money:
    """What is left of a limit: of the meter of that name in the running period."""
    bound = limit(desk, customer, name)
    if bound == UNLIMITED or name not in desk.program.meters:
        return bound
    used: Any = usage(desk, customer, name)
    left: Any = bound - used
    return max(left, left * 0)  # type: ignore[no-any-return]


def has_feature(desk: Desk, customer: Any, feature: Any) -> bool:
    """Whether a plan of a customer has a feature: of any subscription that does not sleep."""
    if customer is None:
        return False
    return any(
        feature in plan.features and (sub is None or sub["status"] not in ASLEEP)
        for plan, sub in plans_of(desk, customer)
    )


def has_feature_of_plan(desk: Desk, plan: Any, feature: Any) -> bool:
    """Whether a plan has a feature."""
    return feature in plan_named(desk, plan).features


def balance(desk: Desk, customer: Any) -> Money:
    """`credit_balance(customer)`."""
    return credit_balance(desk, customer)


def credit_expires(desk: Desk, customer: Any) -> datetime | None:
    """When the next of a customer's account credit expires: then `credit_balance` is another."""
    ends = [
        row["expires"]
        for row in desk.select("Wallet", customer=customer)
        if row["expires"] is not None and usable(row, desk.now)
    ]
    return min(ends, default=None)


def preview(desk: Desk, customer: Any, at: Any = None) -> dict[str, Any]:
    """What the next invoice of a customer will say if nothing else happens."""
    from .preview import next_invoice

    if customer is None:
        raise Refusal("preview needs a customer, and there is none")
    return next_invoice(desk, customer, at)


def preview_of(desk: Desk, about: Any, action: Any, given: Any = None) -> dict[str, Any]:
    """What an action about a subscription, or `subscribe` about a customer, would be invoiced at,
    if it were done now."""
    from .preview import after_change

    if about is None:
        raise Refusal("preview_of needs a subscription or a customer, and there is none")
    return after_change(desk, about, str(action), given)


def can(desk: Desk, role: Any, permission: Any) -> bool:
    """`user.role can "resources.write"`; a role may say `resources.*`, for all below it."""
    held = desk.program.roles.get(role, ()) if isinstance(role, str) else ()
    asked = str(permission)
    return any(
        right in (asked, "*") or (right.endswith(".*") and asked.startswith(right[:-1]))
        for right in held
    )


def variant_name(desk: Desk, experiment: Any, subject: Any) -> str:
    """The variant of a subject: stable, by hash, evenly over the variants."""
    variants = desk.program.experiments.get(experiment)
    if not variants:
        raise EvalError(f"there is no experiment `{show(experiment)}`")
    digest = sha256(f"{experiment}\0{show(subject)}".encode()).digest()
    return variants[int.from_bytes(digest[:8], "big") % len(variants)][0]


def variant(desk: Desk, experiment: Any, subject: Any) -> Any:
    """The value of a subject's variant."""
    name = variant_name(desk, experiment, subject)
    variants = dict(desk.program.experiments[experiment])
    return desk.evaluate(variants[name])


def snapshot(desk: Desk, entity: str, key: Any, depth: int = 2) -> Any:
    """A row for a template or a receiver outside, its references as rows too; prints as its key."""
    if key is None:
        return None
    row = desk.peek(entity, key)
    if row is None:
        return {"$key": key}
    declared = desk.program.entities[entity]
    held = {"$key": key, **_fields(desk, entity, row)}
    if depth > 1:
        for name, target in declared.references.items():
            if row[name] is not None:
                held[name] = snapshot(desk, target, row[name], depth - 1)
    if entity == "Invoice" and depth > 1:
        rows = desk.select("InvoiceLine", invoice=key)
        rows.sort(key=lambda r: int(r["position"]))
        held["lines"] = [_fields(desk, "InvoiceLine", line) for line in rows]
    return held


def _fields(desk: Desk, entity: str, row: Row) -> dict[str, Any]:
    """What is declared of a row, without what bizrun keeps beside it for itself."""
    return {name: row[name] for name in desk.program.entities[entity].shown}


def snapshots(desk: Desk, entity: str, keys: Any) -> list[Any]:
    """The same for a list of references."""
    return [snapshot(desk, entity, key) for key in keys or ()]


def pdf(desk: Desk, entity: str | None, key: Any) -> dict[str, Any]:
    """An attachment: an invoice, credit note or a payment's receipt, as it stands now.

    It is set when the email is written, which may be later: what can change is kept here.
    """
    if entity is None:  # an event that the spec doesn't declare: the id tells
        entity = _BY_ID.get(str(key).partition("_")[0], "Invoice")
    row = desk.row(entity, key)
    kind, changing = _DOCUMENTS[entity]
    if kind == "receipt" and row["status"] not in ("succeeded", "refunded"):
        raise Refusal(f"a receipt is for a payment that came through; this one is {row['status']}")
    return {"attachment": kind, kind: key, "row": {name: row[name] for name in changing}}


def sheet(desk: Desk, template: Any, data: Any = None) -> dict[str, Any]:
    """An attachment: a template, set as pages with the data it is given."""
    return {"attachment": "sheet", "template": template, "data": data or {}}


_DOCUMENTS = {
    "Invoice": ("invoice", ("number", "status", "amount_open", "issued_at", "due_at", "paid_at")),
    "CreditNote": ("credit_note", ()),
    "Payment": ("receipt", ("refunded",)),
}
_BY_ID = {"cn": "CreditNote", "pay": "Payment"}


def recorded(desk: Desk, metric: str) -> Any:
    """The newest point of a metric; none where nothing was recorded."""
    return desk.newest_point(metric)


QUESTIONS: Mapping[str, Callable[..., Any]] = {
    "usage": usage,
    "limit": limit,
    "limit_of_plan": limit_of_plan,
    "remaining": remaining,
    "credit_balance": balance,
    "credit_expires": credit_expires,
    "preview": preview,
    "preview_of": preview_of,
    "estimate": quotes.estimate,
    "has_feature": has_feature,
    "has_feature_of_plan": has_feature_of_plan,
    "variant": variant,
    "variant_name": variant_name,
    "can": can,
    "recorded": recorded,
    "snapshot": snapshot,
    "snapshots": snapshots,
    "pdf": pdf,
    "sheet": sheet,
    **recurring.QUESTIONS,
}
