"""Add-ons of a running subscription: added and removed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..billing import catalog, lines, periods
from ..errors import Refusal
from . import apart, owed, renewals, usage
from .changes import (
    beside,
    bill_change,
    check_addons,
    given_by,
    is_free,
    part_left,
    prorated,
    rewrite,
    surplus_of,
    unpriced,
)
from .desk import Desk
from .owed import Owed
from .status import living
from .terms import (
    Item,
    addon_named,
    addon_of,
    ahead,
    choose_quantity,
    cycle_of,
    dated,
    edition_now,
    held,
    items,
    monthly,
    own_interval,
    plan_named,
)


def add_addon(desk: Desk, args: dict[str, Any], site: object, place: Any) -> str:
    """`add_addon { subscription, addon, quantity? }`: charged for the rest of the period."""
    addon = addon_named(desk, args["addon"])
    sub = living(desk, args["subscription"], "changed")
    if addon.only and sub["plan"] not in addon.only:
        raise Refusal(f"addon `{addon.name}` is not for plan `{sub['plan']}`")
    own = own_interval(sub)
    if missing := unpriced(addon, ahead(desk, sub), sub["currency"], own):
        raise Refusal(f"addon `{addon.name}` has no price in {sub['currency']} per {missing.each}")
    wanted = args.get("quantity")
    quantity = choose_quantity(addon, wanted)
    having = [a for a in sub["addons"] or () if a["addon"] != addon.name]
    taken = addon_of(sub, addon.name) or {"since": desk.now, **edition_now(desk, addon)}
    having.append({**taken, "addon": addon.name, "quantity": quantity})
    if begins_now(desk, sub["id"]):
        _begin_with(desk, sub, having)
        return str(sub["id"])
    if sub["pending_plan"] is not None:
        then = (held(sub).get("pending") or {}).get("interval") or own.text
        check_addons(desk, {**sub, "addons": having}, plan_named(desk, sub["pending_plan"]), then)
    _change_addon(desk, sub, having, addon, quantity, args, site, place)
    return str(sub["id"])


def begins_now(desk: Desk, key: str) -> bool:
    """Whether a subscription begins in this step: its first invoice is still to be made."""
    return any(turn.after["id"] == key for turn in desk.begun)


def _begin_with(desk: Desk, sub: Mapping[str, Any], having: list[dict[str, Any]]) -> None:
    """Has an add-on begin with its subscription, on the first invoice."""
    after = {**sub, "addons": having}
    amount = monthly(items(desk, after, desk.now), after)
    row = desk.change("Subscription", sub["id"], addons=having, monthly_amount=amount)
    turns = list(desk.begun)
    place = next(n for n, turn in enumerate(turns) if turn.after["id"] == sub["id"])
    turn = renewals.begin(desk, row, dict(row), Owed(), turns[place].period, True)
    turn.after["usage_start"] = row["usage_start"]
    desk.begun[place] = turn


def _is_new(sub: Mapping[str, Any], addon: catalog.Plan) -> bool:
    return all(held_["addon"] != addon.name for held_ in sub["addons"] or ())


def remove_addon(desk: Desk, args: dict[str, Any], site: object, place: Any) -> str:
    """`remove_addon { subscription, addon }`: the unused part of its price is credited."""
    addon = addon_named(desk, args["addon"])
    sub = living(desk, args["subscription"], "changed")
    having = [a for a in sub["addons"] or () if a["addon"] != addon.name]
    if len(having) == len(sub["addons"] or ()):
        raise Refusal(f"subscription {sub['id']} has no addon `{addon.name}`")
    _change_addon(desk, sub, having, addon, 0, args, site, place)
    return str(sub["id"])


def _change_addon(
    desk: Desk, sub: Mapping[str, Any], having: list[dict[str, Any]], addon: catalog.Plan,
    quantity: Any, args: Mapping[str, Any], site: object, place: Any,
) -> None:  # fmt: skip
    after = {**sub, "addons": having or None}
    if is_free(sub):
        rewrite(desk, sub, after)
        return
    taken = addon_of(after, addon.name) or addon_of(sub, addon.name)
    addon = dated(desk, after, addon, desk.now, taken)
    item = Item(addon.name, addon, quantity)
    change = prorated(desk, sub, after, [item] if quantity else [], addon.name, True)
    subject = lines.Subject.of(sub["id"], addon)
    period = periods.period_at(cycle_of(desk, sub), desk.now)
    found = owed.standing(desk, sub)
    late = owed.base_in_arrears(desk, sub, desk.now, addon.name)
    rest = part_left(desk, sub, period), beside(desk, after, period, addon.name)
    made = lines.change_lines(
        subject, subject, change, period, quantity or 1, addon.name, *rest,
        origins=given_by(desk, sub, addon.name, change),
    )  # fmt: skip
    if quantity and _is_new(sub, addon):
        made += owed.set_up(sub, [item])
    found.lines += [*late, *made]
    known = held(after)
    known["arrears_from"] = {**(known.get("arrears_from") or {}), addon.name: desk.now}
    after["billing"] = known
    after["monthly_amount"] = monthly(items(desk, after, desk.now), after)
    if not quantity:
        windows = [w for w in usage.owed(desk, sub, desk.now, True) if w.item.name == addon.name]
        found.metered += apart.apart_from_plan(desk, sub, windows)
        found.lines += [line for window in windows for line in window.lines]
    if not quantity or _is_new(sub, addon):
        having_it = after if quantity else sub
        known |= apart.cut(desk, {**having_it, "billing": known}, addon, found.metered)
    bill_change(
        desk, sub, after, found, addon.name, change, f"addon/{desk.base}/{site}", "addon_change",
        surplus_of(sub, args, site, place), False,
    )  # fmt: skip
