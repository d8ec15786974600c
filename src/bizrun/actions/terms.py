"""What a subscription's plan says to it: its version and phase, prices, add-ons and bounds."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ..billing import addons, catalog, editions, overlays, periods, proration, rating
from ..billing.agreed import with_price
from ..currencies import EXPONENTS
from ..diagnostics import did_you_mean
from ..errors import EvalError, Refusal
from ..values import UNLIMITED, Money, Number, number_text, show
from .arguments import checked_amount
from .customers import customer_row, settings, zone_in
from .desk import Desk

PLAN = ""
MOST = 1_000_000_000


class Item(Struct, frozen=True, gc=False):
    """A plan or add-on of a subscription: `name` is empty for the plan."""

    name: str
    plan: catalog.Plan
    quantity: Number


def held(sub: Mapping[str, Any]) -> dict[str, Any]:
    """What billing remembers of a subscription, as a dict of its own."""
    return dict(sub["billing"] or {})


def plan_named(desk: Desk, name: Any) -> catalog.Plan:
    """The plan of that name."""
    plan = desk.program.plans.get(name)
    if plan is None:
        meant = did_you_mean(str(name), desk.program.plans)
        hint = f" Did you mean `{meant}`?" if meant else ""
        raise Refusal(f"Unknown plan `{show(name)}`.{hint}")
    return plan


def addon_named(desk: Desk, name: Any) -> catalog.Plan:
    """The add-on of that name."""
    found = desk.program.addons.get(name)
    if found is None:
        meant = did_you_mean(str(name), desk.program.addons)
        hint = f" Did you mean `{meant}`?" if meant else ""
        raise Refusal(f"Unknown addon `{show(name)}`.{hint}")
    return found


def terms(desk: Desk, sub: Mapping[str, Any], at: datetime) -> catalog.Plan:
    """The plan of a subscription as it holds for it at an instant: its version, its phase, the
    price that was agreed for it."""
    return dated(desk, sub, plan_named(desk, sub["plan"]), at, sub["billing"], sub["price"])


def dated(
    desk: Desk, sub: Mapping[str, Any], plan: catalog.Plan, at: datetime,
    taken: Mapping[str, Any] | None, agreed: Money | None = None,
) -> catalog.Plan:  # fmt: skip
    """A plan or add-on with the edition, version and phase that hold for a subscription, by how
    it was `taken`: `since` when, if that is not when the subscription began, and the `edition`.

    An `agreed` price stands for that of every version; phases have their own before it.
    """
    plan = of_version(desk, sub, plan, at, taken)
    if agreed is not None:
        plan = with_price(plan, agreed, own_interval(sub))
    if not plan.phases:
        return plan
    began = ((taken or {}).get("since") if plan.addon else None) or first_paid(sub)
    if began <= desk.now:
        # What began within the running period, with a change, holds for all that is left of it.
        at = max(at, began)
    return overlays.plan_at(plan, began, at, zone_in(desk, sub))


def of_version(
    desk: Desk, sub: Mapping[str, Any], plan: catalog.Plan, at: datetime,
    taken: Mapping[str, Any] | None,
) -> catalog.Plan:  # fmt: skip
    """A plan or add-on with the edition and version that hold for a subscription, by how it was
    `taken`, and with all its phases."""
    before = _before(desk, plan, taken)
    if not plan.versions and not before:
        return plan
    zone = zone_in(desk, sub)
    since = (taken or {}).get("since") or (sub["billing"] or {}).get("since")
    began = periods.local_day(since or sub["started"], zone)
    renewed = max(began, periods.local_day(sub["period_start"] or sub["started"], zone))
    # What came over in mid-period holds for the rest of it, whenever that began.
    moved = (sub["billing"] or {}).get("versioned")
    today = max(began, periods.local_day(max(at, moved) if moved else at, zone))

    def holds(version: catalog.Version) -> bool:
        return _migrates(desk, sub, version)

    now = overlays.version_for(plan, began, renewed, today, holds)
    if not before:
        return now
    kept = editions.as_taken(plan, before, began, renewed, today, zone, holds)
    return editions.with_prices(now, kept, desk.program.meters)


def _before(
    desk: Desk, plan: catalog.Plan, taken: Mapping[str, Any] | None
) -> tuple[editions.Edition, ...]:  # fmt: skip
    """The editions of a plan before that of now, from the one on that was taken."""
    if not desk.program.history:
        return ()
    older = desk.program.history.get(editions.edition_key(plan), ())
    return older[(taken or {}).get("edition", 1) - 1 :]


def as_it_stands(desk: Desk, plan: catalog.Plan, taken: Mapping[str, Any] | None) -> bool:
    """Whether a plan says the same at any time to who has taken it so."""
    return not (plan.versions or plan.phases or _before(desk, plan, taken))


def edition_now(desk: Desk, plan: catalog.Plan) -> dict[str, int]:
    """What a subscription remembers of the edition of a plan or add-on that it takes now: nothing
    of the first."""
    number = len(desk.program.history.get(editions.edition_key(plan), ())) + 1
    return {"edition": number} if number > 1 else {}


def newly_taken(
    desk: Desk, sub: Mapping[str, Any], plan: catalog.Plan, since: datetime
) -> dict[str, Any]:  # fmt: skip
    """What billing remembers of a subscription that takes another plan."""
    known = {name: value for name, value in held(sub).items() if name != "edition"}
    return {**known, "since": since, **edition_now(desk, plan)}


def in_phase(desk: Desk, sub: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    """A subscription whose `interval` is its own, with that of the phase that holds at an instant.

    Its own one is kept in `billing` meanwhile.
    """
    plan = plan_named(desk, sub["plan"])
    if as_it_stands(desk, plan, sub["billing"]):
        return dict(sub)
    plan = of_version(desk, sub, plan, at, sub["billing"])
    phase = overlays.phase_at(plan, first_paid(sub), at, zone_in(desk, sub))
    own = interval_of(sub)
    running = overlays.interval_in(plan, phase, sub["currency"], own)
    if running == own:
        return dict(sub)
    return {**sub, "interval": running.text, "billing": {**held(sub), "interval": own.text}}


def ahead(desk: Desk, sub: Mapping[str, Any]) -> catalog.Plan:
    """The plan of a subscription, without phases where they are over."""
    plan, began = plan_named(desk, sub["plan"]), first_paid(sub)
    if before := _before(desk, plan, sub["billing"]):
        plan = editions.with_prices(plan, before[0].plan, desk.program.meters)
    over = desk.now >= began and not overlays.phase_at(plan, began, desk.now, zone_in(desk, sub))
    return replace(plan, phases=()) if over else plan


def first_paid(sub: Mapping[str, Any]) -> datetime:
    """When the first paid period of a subscription's plan began: its phases count from there.

    That is its anchor, unless this was moved since (`first_paid`) or the plan came later (`since`).
    """
    known = sub["billing"] or {}
    began: datetime = known.get("since") or known.get("first_paid") or sub["anchor"]
    return began


def next_version(desk: Desk, sub: Mapping[str, Any], at: datetime) -> datetime | None:
    """When a dated version comes that takes running subscriptions over in mid-period."""
    plans = [desk.program.plans.get(sub["plan"])]
    plans += [desk.program.addons.get(addon["addon"]) for addon in sub["addons"] or ()]
    days = {
        version.start
        for plan in plans if plan is not None
        for version in plan.versions if version.migrate == "now"
    }  # fmt: skip
    if not days:
        return None
    zone = zone_in(desk, sub)
    dues = (periods.midnight(day, zone) for day in days)
    return min((due for due in dues if at < due < sub["period_end"]), default=None)


def _migrates(desk: Desk, sub: Mapping[str, Any], version: catalog.Version) -> bool:
    """Whether a running subscription comes over to a version, by its `migrate where`."""
    condition = desk.program.version_conditions.get(version.where or "")
    if condition is None or desk.peek("Subscription", sub["id"]) is None:
        return False
    return desk.holds(condition, self=sub["id"])


def items(desk: Desk, sub: Mapping[str, Any], at: datetime) -> list[Item]:
    """The plan, with what its add-ons give to it, and the add-ons of a subscription."""
    plan = terms(desk, sub, at)
    if not sub["addons"]:
        return [Item(PLAN, plan, sub["quantity"])]
    found: list[Item] = []
    for held_ in sub["addons"]:
        addon = desk.program.addons.get(held_["addon"])
        if addon is not None:
            addon = dated(desk, sub, addon, at, held_)
            item = Item(addon.name, addon, held_["quantity"])
            plan = addons.with_addon(plan, item.plan, item.quantity)
            found.append(item)
    return [Item(PLAN, plan, sub["quantity"]), *found]


def addon_of(sub: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    """An add-on that a subscription has; none where it has not."""
    return next((a for a in sub["addons"] or () if a["addon"] == name), None)


def prices_of(plan: catalog.Plan, sub: Mapping[str, Any]) -> tuple[catalog.Price, ...]:
    """The prices of a plan that hold for a subscription's currency and interval."""
    return catalog.choose_prices(plan, sub["currency"], interval_of(sub))


def interval_of(sub: Mapping[str, Any]) -> catalog.Interval:
    """The interval of a subscription's running period."""
    return catalog.interval(sub["interval"])


def own_interval(sub: Mapping[str, Any]) -> catalog.Interval:
    """The interval that a subscription was sold by; a phase may have another one."""
    return catalog.interval((sub["billing"] or {}).get("interval") or sub["interval"])


def advance_prices(plan: catalog.Plan, sub: Mapping[str, Any]) -> list[catalog.Price]:
    """The prices that are due at the beginning of a period."""
    return [price for price in prices_of(plan, sub) if not price.arrears]


def advance_amount(items_: list[Item], sub: Mapping[str, Any]) -> Money:
    """What a whole period of these items costs in advance."""
    total = Money(0, sub["currency"])
    for item in items_:
        for price in advance_prices(item.plan, sub):
            total = total + rating.fixed_amount(price, item.quantity).amount
    return total


def monthly(items_: list[Item], sub: Mapping[str, Any]) -> Money:
    """What the fixed parts come to in a month."""
    currency, interval = sub["currency"], sub["interval"]
    if len(items_) == 1:
        return rate_of_month(items_[0].plan, items_[0].quantity, currency, interval)
    parts = (_monthly(item.plan, item.quantity, currency, interval) for item in items_)
    return sum(parts, Money(0, currency)).rounded()


@lru_cache(maxsize=1 << 12, typed=True)
def rate_of_month(
    plan: catalog.Plan, quantity: Number, currency: str, interval: str
) -> Money:  # fmt: skip
    """What the fixed parts of one item come to in a month."""
    return _monthly(plan, quantity, currency, interval).rounded()


@lru_cache(maxsize=1 << 12, typed=True)
def _monthly(plan: catalog.Plan, quantity: Number, currency: str, interval: str) -> Money:
    """What the fixed parts of one item come to in a month, exactly."""
    total = Money(0, currency)
    for price in catalog.choose_prices(plan, currency, catalog.interval(interval)):
        amount = rating.fixed_amount(price, quantity).amount
        total = total + proration.per_month(amount, price.interval)
    return total


def cycle_of(desk: Desk, sub: Mapping[str, Any]) -> periods.Cycle:
    """The billing periods of a subscription."""
    known = sub["billing"] or {}
    return periods.cycle(
        sub["anchor"], interval_of(sub), settings(desk), zone_in(desk, sub),
        known.get("anchor_day"), bool(known.get("exact")), known.get("made_in"),
    )  # fmt: skip


# --- choosing --------------------------------------------------------------------------------


def choose_currency(desk: Desk, plan: catalog.Plan, customer: str, wanted: str | None) -> str:
    """The asked currency, else the customer's own, the business's, or the plan's first."""
    known = _currencies(plan)
    if wanted is not None:
        if known and wanted not in known:
            raise Refusal(f"plan `{plan.name}` has no price in {wanted}")
        if wanted not in EXPONENTS:
            raise Refusal(f"`{wanted}` is no currency of ISO 4217")
        return wanted
    own = customer_row(desk, customer).get("currency")
    return str(own) if own in known else currency_of(plan, desk.currency)


def currency_of(plan: catalog.Plan, business: str) -> str:
    """The business's currency where a plan has prices in it, or none; else its first."""
    known = _currencies(plan)
    return known[0] if known and business not in known else business


@lru_cache(maxsize=1024)
def _currencies(plan: catalog.Plan) -> tuple[str, ...]:
    """The currencies in which a plan has prices, in their order."""
    known = tuple(price.currency for price in catalog.sold_at(plan))
    return known or tuple(usage.currency for usage in plan.usages if usage.currency)


@lru_cache(maxsize=1024)
def choose_interval(
    plan: catalog.Plan, currency: str, wanted: str | None, running: str | None = None
) -> catalog.Interval:
    """The asked interval; else the running one where the plan has it, or the plan's first."""
    prices = catalog.sold_at(plan)
    own = [p.interval for p in prices if p.currency == currency and p.interval is not None]
    if wanted is not None:
        interval = interval_named(wanted)
        if not any(catalog.same_interval(interval, one) for one in own):
            raise Refusal(f"plan `{plan.name}` has no price in {currency} per {interval.each}")
        return interval
    if prices and not any(price.currency == currency for price in prices):
        raise Refusal(f"plan `{plan.name}` has no price in {currency}")
    if running is not None:
        now = catalog.interval(running)
        if not own or any(catalog.same_interval(now, interval) for interval in own):
            return now
    return own[0] if own else catalog.Interval(1, "month")


def priced_interval(
    plan: catalog.Plan, currency: str, wanted: str | None, agreed: Money | None,
    running: str | None = None,
) -> catalog.Interval:  # fmt: skip
    """The interval as chosen; a price may be agreed for one that the plan has no price for."""
    if agreed is not None and wanted is not None:
        return interval_named(wanted)
    return choose_interval(plan, currency, wanted, running)


def checked_price(agreed: Money | None, currency: str) -> Money | None:
    """A price to be agreed; refused where it is below zero or in another currency."""
    if agreed is None:
        return None
    if agreed.amount < 0:
        raise Refusal(f"`price` can't be below zero, and is {show(agreed)}")
    if agreed.currency != currency:
        raise Refusal(f"the subscription is in {currency}, and `price` is {show(agreed)}")
    return checked_amount("`price`", agreed)


def interval_named(text: str) -> catalog.Interval:
    """An interval as an author writes it; refused where it is none."""
    try:
        return catalog.interval(text)
    except EvalError as error:
        raise Refusal(str(error)) from None


def checked_quantity(quantity: Number) -> Number:
    """A quantity that can be meant: neither below zero nor above a billion."""
    if quantity < 0:
        raise Refusal(f"a quantity can't be below zero, and {number_text(quantity)} is")
    if quantity > MOST:
        raise Refusal(
            f"a quantity is at most {number_text(MOST)}, and {number_text(quantity)} is above it"
        )
    return quantity


def choose_quantity(plan: catalog.Plan, wanted: Any) -> Any:
    """How many seats: as asked, within the plan's bounds."""
    low, high = plan.seats or (0, UNLIMITED)
    quantity = max(1, low) if wanted is None else wanted
    checked_quantity(quantity)
    if not low <= quantity <= high:
        bounds = number_text(low) if low == high else f"{number_text(low)} to {number_text(high)}"
        raise Refusal(f"plan `{plan.name}` takes {bounds} seats, not {number_text(quantity)}")
    return quantity
