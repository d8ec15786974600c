"""Usage windows that begin at one instant, kept apart: what one of them counted is not another's.

A meter's counts are kept by where their window begins. Where one ends and another goes on from the
same instant, or begins at the very instant at which the first was billed, the one of them moves a
few microseconds behind.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from ..billing import catalog
from .billed import Metered
from .customers import lives
from .desk import Desk
from .terms import PLAN, items
from .usage import owed, usage_key
from .windows import MOMENT, SAME, beside, meter_period, part_key, window_start


def used_up(
    desk: Desk, sub: Mapping[str, Any], found: Sequence[Metered], now: datetime
) -> dict[str, Any]:
    """What of `billing` remembers that counts of this very instant are billed, or have no price:
    the usage period that begins now has those that come after them alone."""
    priced = {each.price.meter for each in found}
    unpriced = any(meter not in priced for meter in desk.program.meters)
    return {**({"place": desk.place} if unpriced else {}), **_spent(desk, sub, found, now)}


def _spent(
    desk: Desk, sub: Mapping[str, Any], found: Sequence[Metered], now: datetime
) -> dict[str, Any]:
    """What `billing` remembers where counts of this very instant are billed already."""
    spent = _counted_at(desk, sub, found, now)
    used = (sub["billing"] or {}).get("used") or {}
    # What a plan between two changes at one instant had no price for is nobody's.
    later = {key: until for key, until in used.items() if until >= now}
    # Nor does the plan's own usage begin where that of an add-on did which is over.
    later = {key.rpartition("|")[2]: now for key in later} | later | spent
    if not used and not spent:
        return {}
    fresh = {
        key: free_start(desk, sub, key.rpartition("|")[2], until + MOMENT, found)
        for key, until in later.items()
    }
    return {"used": {**used, **fresh}, **_moved(sub, fresh, now)}


def _counted_at(
    desk: Desk, sub: Mapping[str, Any], found: Sequence[Metered], now: datetime
) -> dict[str, datetime]:
    """The meters that have counted at this instant in usage periods which end where they began,
    priced or free or not priced at all, and where these are kept."""
    starts = {(each.price.meter, each.row["start"]) for each in found}
    since: datetime = sub["usage_start"]
    if (sub["billing"] or {}).get("others"):
        mine = filter(lives, desk.subscriptions(sub["customer"]))
        since = max([since, *(other["usage_start"] for other in mine)])
    if since >= now:
        used = (sub["billing"] or {}).get("used") or {}
        starts |= {(meter, max(since, used.get(meter, since))) for meter in desk.program.meters}
    return {
        meter: start
        for meter, start in sorted(starts)
        if start >= now
        and any(each.events for each in desk.measured(meter, sub["customer"], start, start))
    }


def free_start(
    desk: Desk, sub: Mapping[str, Any], meter: str, start: datetime, found: Sequence[Metered]
) -> datetime:
    """Where a usage window that begins at an instant is kept: not where another of its meter is,
    billed before or with it or running still, which began then too."""
    near = [("start", ">=", start), ("start", "<", start + SAME)]
    about = {"customer": sub["customer"], "meter": meter}
    taken = {row["start"] for row in desk.rows("_usage", about, near, (), None)}
    taken |= {each.row["start"] for each in found if each.price.meter == meter}
    taken |= {begun for name, begun, _ in _of_others(desk, sub) if name == meter}
    used = (sub["billing"] or {}).get("used") or {}
    taken |= {until for key, until in used.items() if key.rpartition("|")[2] == meter}
    while start in taken:
        start += MOMENT
    return start


def _of_others(
    desk: Desk, sub: Mapping[str, Any]
) -> Iterator[tuple[str, datetime, datetime]]:  # fmt: skip
    """The usage windows that run in the customer's other subscriptions: the meter, where it is
    kept, and where it ends. What has no price is counted too, from where the usage begins: `""`.
    """
    if not (sub["billing"] or {}).get("others"):
        return
    for other in desk.subscriptions(sub["customer"]):
        if other["id"] == sub["id"] or not lives(other):
            continue
        yield "", other["usage_start"], other["period_end"]
        at = max(desk.now - MOMENT, other["usage_start"])
        for item in items(desk, other, other["period_start"]):
            for price in catalog.choose_usages(item.plan, other["currency"]):
                begun = window_start(desk, other, price, at, item.name)
                end = min(meter_period(desk, other, price, begun).end, other["period_end"])
                yield price.meter, begun, end


def _moved(sub: Mapping[str, Any], keys: Iterable[str], now: datetime) -> dict[str, Any]:
    """What of `billing` remembers that usage which begins now is kept from a little later on."""
    fresh = dict.fromkeys(keys, now)
    return {"moved": {**((sub["billing"] or {}).get("moved") or {}), **fresh}} if fresh else {}


def _own_meters(desk: Desk, sub: Mapping[str, Any], addon: catalog.Plan) -> set[str]:
    """The meters that an add-on prices and nothing else of the subscription looks at."""
    others = [item.plan for item in items(desk, sub, desk.now) if item.plan.name != addon.name]
    taken = {price.meter for plan in others for price in plan.usages}
    taken |= {part.meter for plan in others for part in plan.includes}
    taken |= {name for plan in (*others, addon) for name in plan.limits}
    mine = catalog.choose_usages(addon, sub["currency"])
    return {price.meter for price in mine} - taken


def cut(
    desk: Desk, sub: Mapping[str, Any], addon: catalog.Plan, found: Sequence[Metered]
) -> dict[str, Any]:
    """What of `billing` remembers that an add-on's usage begins or ends at this instant, where
    `found` of it is billed."""
    known = sub["billing"] or {}
    used, billed = dict(known.get("used") or {}), dict(known.get("billed") or {})
    own = _own_meters(desk, sub, addon)
    again = []
    for price in catalog.choose_usages(addon, sub["currency"]):
        begun = window_start(desk, sub, price, desk.now, addon.name)
        behind = beside(desk, sub, price, desk.now)
        part = part_key(addon.name, price.meter)
        key = price.meter if price.meter in own and not behind else part
        start = begun + MOMENT if begun >= desk.now else desk.now + behind
        used[key] = free_start(desk, sub, price.meter, start, found)
        if used[key] > desk.now + behind:
            again.append(key)
        billed.pop(part, None)
    if not used:
        return {}
    return {"used": used, "billed": billed, **_moved(sub, again, desk.now)}


def apart_from_plan(desk: Desk, sub: Mapping[str, Any], found: Sequence[Metered]) -> list[Metered]:
    """The windows of an add-on that ends within a period, each with a beginning that is its own:
    what comes late for it is not what is counted of the period behind it."""
    running = list(owed(desk, sub, desk.now, True, True))
    shared = [each for each in running if each.item.name == PLAN]
    parted = []
    for each in found:
        begun, meter = each.row["start"], each.price.meter
        if any((other.price.meter, other.row["start"]) == (meter, begun) for other in shared):
            each = _parted(desk, sub, each, running)
        parted.append(each)
    return parted


def apart_from_others(
    desk: Desk, sub: Mapping[str, Any], found: Sequence[Metered]
) -> list[Metered]:  # fmt: skip
    """The windows of a subscription that end now, those with a beginning of their own that began
    with one of another subscription which goes on: what that counts from now on is not of them."""
    going_on = {(meter, begun) for meter, begun, end in _of_others(desk, sub) if end > desk.now}
    parted = []
    for each in found:
        begun = each.row["start"]
        shared = ("", begun) in going_on or (each.price.meter, begun) in going_on
        parted.append(_parted(desk, sub, each, found) if shared else each)
    return parted


def _parted(
    desk: Desk, sub: Mapping[str, Any], each: Metered, running: Sequence[Metered]
) -> Metered:  # fmt: skip
    """A window that is kept behind its beginning, with what was counted from there so far."""
    begun, meter = each.row["start"], each.price.meter
    own = free_start(desk, sub, meter, begun + MOMENT, running)
    desk.part_measured(meter, sub["customer"], begun, own)
    terms = {"begun": begun, **each.row["terms"]}
    key = usage_key(sub["id"], each.item.name, meter, own)
    return replace(each, row={**each.row, "id": key, "start": own, "terms": terms})
