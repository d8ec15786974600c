"""Usage: its periods, what of them was billed, corrections for what comes late.

A row of `_usage` stands for each period of a meter that was billed: where it lay, by which terms,
and what it came to. Counts that come for it afterwards make a correction line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from functools import lru_cache
from typing import Any

from msgspec.structs import replace

from ..billing import allowances, catalog, lines, proration, rating
from ..billing.allowances import Allowance, Lot
from ..billing.buckets import ADDITIVE, Level
from ..billing.periods import Period
from ..billing.rating import Rated
from ..errors import Refusal
from ..values import Money, Number
from . import carried
from .billed import Billed, Metered, billed_of, part_row
from .customers import lives, settings, zone_in
from .desk import Desk, Row
from .terms import Item, items
from .windows import (
    MOMENT,
    SAME,
    begun_at,
    billed_before,
    meter_period,
    part_key,
    window_start,
)


def share_of(
    desk: Desk, sub: Mapping[str, Any], period: Period, start: datetime, end: datetime
) -> Fraction:
    """The part of a subscription's whole period that lies between two instants, as the business
    prorates."""
    by, zone = settings(desk).proration, zone_in(desk, sub)
    return proration.share_between(period, start, end, by, zone)


def rated_by_ended(desk: Desk, customer: str, start: datetime) -> dict[str, datetime]:
    """The meters that ended subscriptions of a customer have rated beyond an instant, and until
    when: nobody pays for the same usage twice."""
    found: dict[str, datetime] = {}
    for sub in desk.subscriptions(customer):
        if lives(sub) or sub["ended_at"] is None or sub["ended_at"] < start:
            continue
        until = dict((sub["billing"] or {}).get("used") or {})
        if sub["ended_at"] > start:
            for item in items(desk, sub, sub["period_start"]):
                for price in catalog.choose_usages(item.plan, sub["currency"]):
                    until[price.meter] = max(sub["ended_at"], until.get(price.meter, start))
        for meter, instant in until.items():
            found[meter] = max(instant, found.get(meter, instant))
    return {meter: instant for meter, instant in found.items() if instant > start}


def measured(
    desk: Desk, price: catalog.UsagePrice, customer: str, start: datetime, end: datetime,
    included: Number = 0, each: bool = False, begun: datetime | None = None,
) -> list[rating.Usage]:  # fmt: skip
    """What a meter counted in a window, by the values of the price's dimensions; also by `each`
    event where the price, or the allowance beside it, depends on that: from where it has `begun`.
    """
    meter = desk.program.meters.get(price.meter)
    if meter is None:  # an edition of a plan that was edited since speaks of it
        raise Refusal(f"There is no meter `{price.meter}` any more: declare it again.")
    dimensions = price.pricing.dimensions
    if lost := [name for name in dimensions if name not in meter.by]:
        raise Refusal(f"Meter `{price.meter}` is no more `by {lost[0]}`: declare it again.")
    figures = desk.measured(price.meter, customer, start, end, dimensions, begun)
    found = rating.by_values([
        rating.Usage(figure.quantity, figure.events,
                     tuple(figure.by.get(name, "") for name in dimensions))
        for figure in figures
    ])  # fmt: skip
    if any(usage.quantity < 0 for usage in found):
        desk.log(f"usage of {price.meter} by {customer} is below zero and rated as 0")
    each = each or catalog.by_event(price.pricing)
    if each and meter.aggregate in ADDITIVE:
        return [_with_each(desk, price, customer, begun or start, end, usage) for usage in found]
    return found


def _with_each(
    desk: Desk, price: catalog.UsagePrice, customer: str, start: datetime, end: datetime,
    usage: rating.Usage,
) -> rating.Usage:  # fmt: skip
    """The usage with what each of its events counted."""
    by = dict(zip(price.pricing.dimensions, usage.values, strict=True))
    each = _of_window(
        desk.measured_each(price.meter, customer, start, end + MOMENT, by), usage, end
    )
    order = tuple((level.at, level.event) for level in each)
    values = tuple(level.value for level in each)
    back = len(values) - rating.paying(values)
    return replace(usage, events=usage.events - back, each=values, order=order)


def _of_window(levels: Sequence[Level], usage: rating.Usage, end: datetime) -> Sequence[Level]:
    """What a window has counted, of all that lies from where it began to where it ends: of those
    at the instant where it began the first ones may be of a window before it, and the last ones of
    one behind it at the instant where it was cut, or where a threshold is looked at."""
    count, within = usage.events, sum(level.at < end for level in levels)
    first = max(within - count, 0)
    if sum((level.value for level in levels[first : first + count]), 0) != usage.quantity:
        # More than one at both instants: those that come to what it has counted.
        for place in range(len(levels) - count + 1):
            if sum((level.value for level in levels[place : place + count]), 0) == usage.quantity:
                return levels[place : place + count]
    return levels[first : first + count]


def allowance_of(
    desk: Desk, sub: Mapping[str, Any], item: Item, price: catalog.UsagePrice,
    start: datetime, end: datetime, begun: datetime,
) -> Allowance:  # fmt: skip
    """What a window may use for nothing: the plan's allowance, and what was carried over to it;
    `start` is where it is kept, `begun` where it began."""
    lines = catalog.allowances(item.plan, price.meter)
    if not lines:
        return Allowance()
    own = [line.quantity for line in lines]
    if any(line.prorated for line in lines):
        period = meter_period(desk, sub, price, max(start, end - MOMENT))
        share = share_of(desk, sub, period, begun, end)
        own = [
            proration.part_of_quantity(line.quantity, share) if line.prorated else line.quantity
            for line in lines
        ]
    left: Sequence[Lot] = ()
    if any(line.carried for line in lines):
        left = carried.left_before(desk, sub, item.name, price.meter, start)
    return allowances.allowance(lines, own, left)


def _rate_window(
    desk: Desk, sub: Mapping[str, Any], price: catalog.UsagePrice,
    start: datetime, end: datetime, included: Number | None, running: bool,
    first: int | None, begun: datetime,
) -> tuple[Rated, ...]:  # fmt: skip
    """What the usage of a window costs, what is included taken off, or its `first` events:
    whichever is used up before."""
    each = first is not None
    usages = measured(desk, price, sub["customer"], start, end, included or 0, each, begun)
    if first is not None:
        usages, included = rating.without_first(usages, first, included)
    if desk.program.meters[price.meter].aggregate == "average":
        # One that ended where it began is kept a little behind, and had no time.
        usages = _weighted(desk, sub, price, begun, end if end > start else begun, usages)
    if running:
        price = replace(price, pricing=rating.without_least(price.pricing))
    return rating.rate_usage(price, usages, sub["currency"], included or 0)


def _weighted(
    desk: Desk, sub: Mapping[str, Any], price: catalog.UsagePrice, start: datetime, end: datetime,
    usages: Sequence[rating.Usage],
) -> list[rating.Usage]:  # fmt: skip
    """Averages of a window by its part of a whole period: what a price is for a whole one of."""
    period = meter_period(desk, sub, price, max(start, end - MOMENT))
    part = Fraction((end - start) // MOMENT, (period.end - period.whole_start) // MOMENT)
    weigh = proration.part_of_quantity
    return [replace(usage, quantity=weigh(usage.quantity, part)) for usage in usages]


def usage_key(sub: str, item: str, meter: str, start: datetime) -> str:
    """The id of a usage period's row."""
    return f"{sub}|{item}|{meter}|{_compact(start)}"


@lru_cache(maxsize=1024)
def _compact(start: datetime) -> str:
    return f"{start:%Y%m%dT%H%M%S%f}"


def owed(
    desk: Desk, sub: Mapping[str, Any], end: datetime, final: bool, running: bool = False
) -> Iterator[Metered]:
    """The usage that falls due at an instant; `final`: whatever its period, for it ends now, or
    is billed so far while it is `running`."""
    known = (sub["billing"] or {}).get("billed") or {}
    for item in items(desk, sub, sub["period_start"]):
        for price in catalog.choose_usages(item.plan, sub["currency"]):
            shorter = price.interval is not None and not final
            if shorter and meter_period(desk, sub, price, end - MOMENT).end != end:
                continue
            start = window_start(desk, sub, price, max(sub["usage_start"], end - MOMENT), item.name)
            if final and price.interval is not None:
                key = usage_key(sub["id"], item.name, price.meter, start)
                if running or desk.peek("_usage", key) is not None:
                    # A usage period that ended at this instant is billed: what counts is the next.
                    start = window_start(desk, sub, price, end, item.name)
            before = billed_before(sub, price.meter, item.name)
            if before is not None and start >= end and not (final and start - end < SAME):
                continue
            billed = billed_of(known.get(part_key(item.name, price.meter)) or ())
            until = max(start, end)
            made = meter_window(desk, sub, item, price, start, until, billed, running=running)
            if final and not running:
                # Of events of this very instant it has those that came before.
                made.row["terms"]["closed"] = desk.place
            yield made


def meter_window(
    desk: Desk, sub: Mapping[str, Any], item: Item, price: catalog.UsagePrice,
    start: datetime, end: datetime, billed: Billed, kind: str = "usage", running: bool = False,
    empty: bool = False,
) -> Metered:  # fmt: skip
    """The lines of a window and the row that remembers it; `empty`: one that ended where it began
    with nothing counted, so that what is kept there is of what held behind it."""
    period = meter_period(desk, sub, price, max(start, end - MOMENT))
    until = period.end if running else end
    shown = begun_at(desk, sub, price, item.name, start)
    free = allowance_of(desk, sub, item, price, start, until, shown)
    first = catalog.free_events(item.plan, price.meter)
    units = free.quantity if free.own or free.carried else None
    empty = empty or (start >= end and not billed and not _counted(desk, sub, price, start))
    rated: tuple[Rated, ...] = ()
    if not empty:
        rated = _rate_window(desk, sub, price, start, end, units, running, first, shown)
    taken = sum((part.included for part in rated), 0)
    if rated and (steps := free.steps(sub["currency"])):
        rated = (replace(rated[0], free=steps), *rated[1:])
    if start >= end:
        rated = _of_no_time(rated, billed)
    half_even = settings(desk).half_even
    if billed:
        # Both rates rounded: what did not change makes no line of a half unit.
        rated = tuple(replace(part, amount=part.amount.rounded(half_even)) for part in rated)
    subject = lines.Subject.of(sub["id"], item.plan)
    made = lines.usage_lines(subject, price.meter, rated, shown, end, billed, kind)
    parts = []
    for part in rated:
        parts.append([list(part.values), part.quantity, part.amount.rounded(half_even)])
    row = window_row(sub, item.name, price.meter, start, end, parts)
    if shown < start:
        row["terms"]["begun"] = shown
    if empty:
        row["terms"]["empty"] = True
    if free.carries:
        row["terms"]["left"] = [list(lot) for lot in free.left(taken, end >= period.end)]
    was = [part_row(values, part) for values, part in billed.items()]
    due = Money(0, sub["currency"])
    for part in rated:
        before = billed.get(part.values)
        due += part.amount if before is None else part.amount - before.amount
    return Metered(item, price, shown, end, tuple(made), row, due, was)


def window_row(
    sub: Mapping[str, Any], item: str, meter: str, start: datetime, end: datetime,
    parts: list[list[Any]],
) -> Row:  # fmt: skip
    """The row that remembers a window: where it lay, by which terms, and what it came to."""
    return {
        "id": usage_key(sub["id"], item, meter, start), "subscription": sub["id"],
        "customer": sub["customer"], "meter": meter, "start": start, "end": end,
        "invoice": None, "billed": parts,
        "terms": {"item": item, "plan": sub["plan"],
                  "since": (sub["billing"] or {}).get("since"), "interval": sub["interval"],
                  "anchor": sub["anchor"], "addons": sub["addons"], **_as_then(sub)},
    }  # fmt: skip


def _counted(
    desk: Desk, sub: Mapping[str, Any], price: catalog.UsagePrice, at: datetime
) -> bool:  # fmt: skip
    """Whether anything has counted in the usage period that is kept from an instant on."""
    return any(each.events for each in desk.measured(price.meter, sub["customer"], at, at))


def _of_no_time(rated: Sequence[Rated], billed: Billed) -> tuple[Rated, ...]:
    """What a window comes to that ended where it began: nothing is due for time that there was
    not, and what was billed of it is given back."""
    return tuple(
        part if part.quantity else replace(part, amount=part.amount * 0, tiers=())
        for part in rated
        if part.quantity or part.values in billed
    )


def _as_then(sub: Mapping[str, Any]) -> dict[str, Any]:
    """The zone of a subscription's period and that of its anchor, and the edition of its plan,
    where they are kept."""
    known = sub["billing"] or {}
    return {name: known[name] for name in ("zone", "made_in", "edition") if name in known}


def thresholds(plan: catalog.Plan, currency: str) -> Money | None:
    """The amount at which usage is billed in mid-period."""
    return catalog.in_currency(plan.bill_usage_at, currency)
