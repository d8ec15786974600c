"""Where usage windows begin: with a period, a change within it, an add-on; and what tells apart
those that begin at one instant.

What a meter counts is kept by where its window begins. So one that begins where another did that
is billed, or that ends elsewhere, is kept a few microseconds behind that instant.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from ..billing import catalog, periods
from ..billing.periods import Period
from .desk import Desk
from .terms import PLAN, cycle_of, items

MOMENT = timedelta(microseconds=1)
# Usage periods that begin so close together began at one instant, one after the other.
SAME = timedelta(milliseconds=1)


def meter_period(desk: Desk, sub: Mapping[str, Any], price: catalog.UsagePrice,
                 at: datetime) -> Period:  # fmt: skip
    """The period of a usage price that an instant falls in: its own, else the plan's."""
    return periods.period_at(periods.for_meter(cycle_of(desk, sub), price.interval), at)


def window_start(
    desk: Desk, sub: Mapping[str, Any], price: catalog.UsagePrice, at: datetime, item: str = PLAN
) -> datetime:
    """Where the running usage of a price begins: its period, a change of plan within, or where
    the add-on was added that it is of."""
    start: datetime = sub["usage_start"] or sub["period_start"]
    used: Mapping[str, datetime] = (sub["billing"] or {}).get("used") or {}
    start = max(start, used.get(price.meter, start))
    if price.interval is not None:
        start = max(start, meter_period(desk, sub, price, at).start)
    if item == PLAN:
        return start
    start += beside(desk, sub, price, at)
    return max(start, used.get(part_key(item, price.meter), start))


def beside(
    desk: Desk, sub: Mapping[str, Any], price: catalog.UsagePrice, at: datetime
) -> timedelta:
    """How far behind its beginning an add-on's usage period is kept, so that it counts apart:
    one of the plan, or of another add-on, may begin with it and end elsewhere. Nothing where all
    of them rate the meter by the same periods."""
    if not sub["addons"]:
        return timedelta()
    plan = items(desk, sub, at)[0].plan
    theirs = [own.interval for own in catalog.choose_usages(plan, sub["currency"])
              if own.meter == price.meter]  # fmt: skip
    if price.interval in theirs:
        return timedelta()
    rhythms = _rhythms(tuple(desk.program.addons.values()), price.meter)
    return MOMENT * (bool(theirs) + rhythms.index(price.interval))


@lru_cache(maxsize=1024)
def _rhythms(addons: tuple[catalog.Plan, ...], meter: str) -> list[catalog.Interval | None]:
    """The periods by which the add-ons of a spec rate a meter, always in one order: those of the
    subscription first, where some do."""
    prices = (price for addon in addons for price in catalog.every_usage(addon))
    found = {price.interval for price in prices if price.meter == meter}
    return sorted(found, key=lambda each: (each is not None, str(each)))


def billed_before(sub: Mapping[str, Any], meter: str, item: str = PLAN) -> datetime | None:
    """Until when the usage of a meter that would be a subscription's own is billed already: by one
    that has ended since, or by a change at the instant where its usage period began; or, of an
    add-on, is not its own: it was added then."""
    used: Mapping[str, datetime] | None = (sub["billing"] or {}).get("used")
    if not used:
        return None
    known = used.get(meter), used.get(part_key(item, meter))
    return max((until for until in known if until is not None), default=None)


def part_key(item: str, meter: str) -> str:
    """Under which `billing` remembers the usage of one item that other items rate too."""
    return f"{item}|{meter}"


def counts_apart(desk: Desk, sub: Mapping[str, Any], meter: str) -> bool:
    """Whether an add-on of a subscription has, or had, a usage period of its own for a meter."""
    used = (sub["billing"] or {}).get("used")
    if used and any(key.endswith(part_key("", meter)) for key in used):
        return True
    return bool(sub["addons"]) and any(
        price.meter == meter and beside(desk, sub, price, desk.now)
        for item in items(desk, sub, desk.now)[1:]
        for price in catalog.choose_usages(item.plan, sub["currency"])
    )


def parts_of(
    desk: Desk, sub: Mapping[str, Any], meter: str, at: datetime
) -> Mapping[datetime, datetime]:
    """The running usage periods of add-ons that were added within that of the subscription, with
    their ends: they count from there, beside it."""
    if not counts_apart(desk, sub, meter):
        return {}
    found = {}
    for item in items(desk, sub, at)[1:]:
        for price in catalog.choose_usages(item.plan, sub["currency"]):
            start = window_start(desk, sub, price, at, item.name)
            end = min(meter_period(desk, sub, price, start).end, sub["period_end"])
            if price.meter == meter and begun_at(desk, sub, price, item.name, start) <= at < end:
                found[start] = end
    return found


def begun_at(
    desk: Desk, sub: Mapping[str, Any], price: catalog.UsagePrice, item: str, start: datetime
) -> datetime:
    """The very instant at which a usage period began that is kept from `start` on: a little
    behind it where others began then too, beside it or before it."""
    if item != PLAN:
        start -= beside(desk, sub, price, start)
    return unmoved(sub, price.meter, start, item)


def unmoved(sub: Mapping[str, Any], meter: str, start: datetime, item: str = PLAN) -> datetime:
    """Where usage of a meter began at an instant at which some was billed already, that instant."""
    moved = (sub["billing"] or {}).get("moved")
    if not moved:
        return start
    known = (moved.get(part_key(item, meter)), moved.get(meter))
    return next((at for at in known if at is not None and at < start < at + SAME), start)


def next_boundary(desk: Desk, sub: Mapping[str, Any], at: datetime) -> datetime | None:
    """Where the next usage period ends that is shorter than the subscription's own."""
    found = [
        end
        for item in items(desk, sub, at)
        for price in catalog.choose_usages(item.plan, sub["currency"])
        if price.interval is not None
        and (end := meter_period(desk, sub, price, at).end) < sub["period_end"]
    ]
    return min(found, default=None)
