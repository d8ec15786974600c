"""What an edit of plans does to subscriptions that run: which keep a price that is no more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ..actions.customers import lives
from ..actions.desk import Desk
from ..actions.terms import dated, edition_now, items, prices_of, rate_of_month
from ..billing.catalog import Plan, charged_meters
from ..billing.editions import ADDON, edition_key, priced
from ..runtime.metered import undivided
from ..runtime.work import Work

if TYPE_CHECKING:
    from ..runtime.engine import Engine

COME_OVER = "`from DATE { price …, migrate on renewal }` in the plan brings them over"


def taken_up(engine: Engine) -> list[str]:
    """What changed in a state that was opened with an edited spec: its tables, its prices, when
    its triggers are due."""
    told = repriced(engine) if engine.editions.edited else _left(engine)
    return [*engine.migrated, *told, *due_anew(engine)]


def due_anew(engine: Engine) -> Iterator[str]:
    """A line for each trigger over time that was edited while there are subjects of it."""
    for trigger in engine.triggers.edited:
        if count := engine.state.count(trigger.entity, {}):
            yield f"{count:,} × {trigger.entity}: trigger {trigger.event} is looked at anew"


def repriced(engine: Engine) -> Iterator[str]:
    """A line for each plan that is gone, or was edited in place while subscriptions have it, with
    how many do and what they keep; then how these come over."""
    yield from _left(engine)
    desk = _desk(engine)
    kept: Counter[str] = Counter()
    for sub in filter(lives, engine.state.select("Subscription", {})):
        if sub["plan"] in engine.program.plans:
            kept.update(_kept(engine, desk, sub))
    for said, count in sorted(kept.items()):
        yield f"{count:,} × {said}"
    if kept:
        yield COME_OVER


def _left(engine: Engine) -> Iterator[str]:
    """A line for each plan and add-on that is gone while subscriptions have it, for each meter,
    and for the subscriptions of nobody."""
    for plan in engine.editions.gone:
        if count := sum(map(lives, engine.state.select("Subscription", {"plan": plan}))):
            said = "there is no such plan any more, and no renewal"
            yield f"{count:,} × subscription to {plan}: {said}"
    yield from _without_addon(engine)
    yield from _unmetered(engine)
    for meter, name in engine.editions.unknown:
        yield (
            f"meter {meter}: the levels of before are not known by {name}; what has a price for "
            f"each {name} is paid for from a customer's next event on"
        )
    bills = engine.program.bills
    if bills is not None and next(engine.state.select(bills, {}, limit=1), None) is not None:
        return
    if count := sum(map(lives, engine.state.select("Subscription", {}))):
        yield (
            f"{count:,} × subscription: there is no {bills or 'customer'} at all, and no renewal; "
            "have `bills` name the entity that they belong to"
        )


def _without_addon(engine: Engine) -> Iterator[str]:
    """A line for each add-on that is gone while subscriptions have it."""
    gone = {name.removeprefix(ADDON) for name in engine.editions.gone if name.startswith(ADDON)}
    if not gone:
        return
    living = filter(lives, engine.state.select("Subscription", {}))
    held = Counter(each["addon"] for sub in living for each in sub["addons"] or ())
    for name in sorted(gone & held.keys()):
        yield (
            f"{held[name]:,} × addon {name}: there is no such add-on any more, and nothing is "
            "billed for it; declare it until `remove_addon` has ended it"
        )


def _unmetered(engine: Engine) -> Iterator[str]:
    """A line for each meter that is gone, or has a dimension no more, and that subscriptions are
    charged by in an edition of their plan that they keep."""
    if not (gone := engine.editions.unmetered):
        return
    desk, program = _desk(engine), engine.program
    charged = Counter[tuple[str, str, str | None]]()
    for sub in filter(lives, engine.state.select("Subscription", {})):
        if sub["plan"] in program.plans:
            plans = [item.plan for item in items(desk, sub, sub["period_start"] or desk.now)]
            found: set[tuple[str, str | None]] = {
                (meter, None)
                for plan in plans
                for meter in charged_meters(plan) & gone - program.meters.keys()
            }
            found.update(lost for plan in plans for lost in undivided(plan, program))
            charged.update((sub["plan"], *lost) for lost in found)
    for (plan, meter, name), count in sorted(charged.items(), key=str):
        lost = f"no meter {meter}" if name is None else f"no `by {name}` of meter {meter}"
        back = "it" if name is None else "it, and the field of its events,"
        yield (
            f"{count:,} × subscription to {plan}: there is {lost} any more, which they are charged "
            f"by, and no renewal; declare {back} until they have another price, as by "
            f"`from DATE {{ usage {meter}: free, migrate on renewal }}`"
        )


def _desk(engine: Engine) -> Desk:
    """What answers questions of billing at the instant of the state."""
    now = engine.clock or datetime(1970, 1, 1, tzinfo=UTC)
    envelope = {"id": "edit", "type": "edit", "time": now, "subject": None}
    return Work(engine, now, "edit", envelope, None)


def _kept(engine: Engine, desk: Desk, sub: Mapping[str, Any]) -> Iterator[str]:
    """What of a subscription costs something else for who takes it now: its name, its price in a
    month, and what that is now."""
    program, edited = engine.program, engine.editions.edited
    having: list[tuple[str, Plan, Mapping[str, Any], Any]] = []
    plan = program.plans[sub["plan"]]
    having.append((f"subscription to {plan.name}", plan, sub["billing"] or {}, sub["quantity"]))
    for held in sub["addons"] or ():
        if (addon := program.addons.get(held["addon"])) is not None:
            having.append((f"addon {addon.name}", addon, held, held["quantity"]))
    for name, plan, taken, quantity in having:
        if edition_key(plan) not in edited:
            continue
        was = dated(desk, sub, plan, desk.now, taken)
        new = dated(desk, sub, plan, desk.now, {**taken, **edition_now(desk, plan)})
        if priced(was) != priced(new):
            yield f"{name}: {_compared(was, new, sub, quantity)}"


def _compared(was: Plan, new: Plan, sub: Mapping[str, Any], quantity: Any) -> str:
    """What a subscription keeps of a plan, and what who takes it now has instead."""
    by = (quantity, sub["currency"], sub["interval"])
    before, now = rate_of_month(was, *by), rate_of_month(new, *by)
    if prices_of(was, sub) and not prices_of(new, sub) and new.prices:
        gone = f"no price in {sub['currency']} per {sub['interval'].removeprefix('1 ')}"
        return f"{before} a month as before, {gone} for who comes now"
    if before == now:
        return "the prices of before stay, other ones for who comes now"
    return f"{before} a month as before, {now} for who comes now"
