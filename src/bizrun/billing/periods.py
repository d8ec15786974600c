"""Half-open periods that tile the axis, on local dates of the business's zone.

A boundary is a local midnight; with proration by second it has the anchor's time of day. Where
clocks skip midnight, the day begins at its first valid moment; a date that a zone skipped whole
(30 December 2011 in Apia) is no day at all.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from functools import lru_cache

from .. import times
from ..errors import EvalError
from ..values import Duration
from .catalog import Billing, BillingSettings, Interval

_DAY = timedelta(days=1)
WHOLE = Fraction(1)


@dataclass(frozen=True, slots=True)
class Cycle:
    """How a subscription's periods tile the axis, from `start`, its first paid instant (UTC).

    `anchor_day` (1 to 31) ends the first period on the next such day of a month and goes before
    `billing`; `day` is the local date that `start` counts for. That is the date, and by second the
    time of day, in the zone that it was `made_in`, where the customer has moved since.
    """

    start: datetime
    day: date
    interval: Interval
    zone: str
    billing: Billing = "anniversary"
    anchor_day: int | None = None
    by_second: bool = False
    made_in: str | None = None

    def __hash__(self) -> int:
        """Cheap, for what is remembered by cycle: those of one start are few."""
        return hash(self.start)


@dataclass(frozen=True, slots=True)
class Period:
    """`[start, end)`, the `index`-th of its cycle.

    `whole_start` is where the whole period that ends there would have begun: it differs from
    `start` only in a first period that is prorated (and is later where an anchor day is more than
    an interval of days or weeks away).
    """

    index: int
    start: datetime
    end: datetime
    whole_start: datetime

    @property
    def whole(self) -> bool:
        """Whether nothing is missing at its beginning."""
        return self.start == self.whole_start


def cycle(
    start: datetime,
    interval: Interval,
    settings: BillingSettings,
    zone: str | None = None,
    anchor_day: int | None = None,
    exact: bool = False,
    made_in: str | None = None,
) -> Cycle:
    """The cycle that begins at an instant: with its local midnight, unless by second.

    `zone` is the customer's own; `exact` keeps the instant (the end of a trial of some hours),
    only later boundaries are midnights then. `made_in` is the zone that the start's date is of,
    where that is another. EvalError where the anchor day is none.
    """
    if anchor_day is not None:
        checked_anchor_day(anchor_day)
    name = zone or settings.timezone
    by_second = settings.proration == "second"
    day = local_day(start, made_in or name)
    begin = start if by_second or exact else midnight(day, name)
    return _cycle(begin, day, interval, name, settings.billing, anchor_day, by_second, made_in)


def checked_anchor_day(day: int) -> int:
    """A day of the month, 1 to 31; EvalError where it is none."""
    if not 1 <= day <= 31:
        raise EvalError(f"anchor_day is a day of the month, 1 to 31, not {day}")
    return day


# Of all that begin on a day there is one, which what is remembered by cycle finds at once.
_cycle = lru_cache(maxsize=1 << 12)(Cycle)


def boundary(cycle: Cycle, k: int) -> datetime:
    """The instant of boundary k; 0 is the start, never counted from a clamped one before it."""
    if k <= 0:
        return cycle.start
    return _instant(cycle, boundary_day(cycle, k))


def boundary_day(cycle: Cycle, k: int) -> date:
    """The local date of boundary k (0: of the start)."""
    if k == 0:
        return cycle.day
    if cycle.anchor_day is not None:
        first = _next_anchor_day(cycle.day, cycle.anchor_day)
        # On the anchor day itself the first period is whole.
        if _on_anchor_day(cycle.day, cycle.anchor_day):
            return _step(cycle.day, cycle.interval, k, cycle.anchor_day)
        return _step(first, cycle.interval, k - 1, cycle.anchor_day)
    if _on_grid(cycle):
        grid = grid_start(cycle.day, cycle.interval)
        return _step(grid, cycle.interval, k, 1 if _months(cycle.interval) else None)
    return _step(cycle.day, cycle.interval, k, cycle.day.day)


@lru_cache(maxsize=1 << 12)
def period(cycle: Cycle, k: int) -> Period:
    """The k-th period; empty where a zone skipped its only day."""
    start, end = boundary(cycle, k), boundary(cycle, k + 1)
    return Period(k, start, end, start if k else _whole_start(cycle))


@lru_cache(maxsize=1 << 12)
def period_at(cycle: Cycle, at: datetime) -> Period:
    """The period that an instant falls in; before the start, the first one."""
    k = max(0, (at - cycle.start).days * 400 // _days_in_400(cycle.interval))
    while k and boundary(cycle, k) > at:
        k -= 1
    while boundary(cycle, k + 1) <= at:
        k += 1
    return period(cycle, k)


def following(cycle: Cycle, end: datetime) -> Period:
    """The period that begins where the one before it ended.

    Where the customer moved to another zone, whose midnights are others, it begins there too.
    """
    found = period_at(cycle, end)
    return found if found.start == end else replace(found, start=end, whole_start=end)


def for_meter(cycle: Cycle, interval: Interval | None) -> Cycle:
    """The cycle of a usage price with an interval of its own, on the same anchor."""
    return replace(cycle, interval=interval) if interval else cycle


# Trials


def trial_end(start: datetime, trial: Duration, settings: BillingSettings, zone: str) -> datetime:
    """Where a trial ends and the first paid period begins.

    Whole days and months end at a local midnight, the day of the start counted whole; by second,
    or with hours, the end is exact.
    """
    if settings.proration == "second" or trial.micros:
        return times.add(start, trial, times.zone(zone))
    return midnight(times.add_to_date(local_day(start, zone), trial), zone)


def trial_notice(start: datetime, end: datetime, settings: BillingSettings, zone: str) -> datetime:
    """When the trial-ending event is due: so long before the end, never before the start."""
    return max(start, times.add(end, -settings.trial_notice, times.zone(zone)))


def after_trial(
    start: datetime,
    trial: Duration | None,
    interval: Interval,
    settings: BillingSettings,
    zone: str | None = None,
    anchor_day: int | None = None,
) -> tuple[datetime | None, Cycle]:
    """The end of the trial, if there is one, and the cycle of the paid periods that follow."""
    if not trial:
        return None, cycle(start, interval, settings, zone, anchor_day)
    end = trial_end(start, trial, settings, zone or settings.timezone)
    return end, cycle(end, interval, settings, zone, anchor_day, exact=True)


# Days


@lru_cache(maxsize=1 << 16)
def midnight(day: date, zone: str) -> datetime:
    """The instant (UTC) at which a local day begins."""
    return times.midnight(day, times.zone(zone)).astimezone(UTC)


@lru_cache(maxsize=1 << 14)
def local_day(at: datetime, zone: str) -> date:
    """The local day an instant falls in: from one day's midnight to the next one's.

    It never goes back, even where clocks go back across midnight.
    """
    day = times.local_date(at, times.zone(zone))
    while at >= midnight(day + _DAY, zone):
        day += _DAY
    return day


def days_between(start: date, end: date, zone: str) -> int:
    """How many days there really are from one local date up to another, that one not included."""
    count = (end - start).days
    if count > 0 and _skips_days(start, end, zone):
        days = (start + timedelta(days=n) for n in range(count))
        return sum(midnight(day, zone) < midnight(day + _DAY, zone) for day in days)
    return count


def days_in(period: Period, zone: str) -> int:
    """The real days of the whole period that ends where this one does."""
    return days_between(local_day(period.whole_start, zone), local_day(period.end, zone), zone)


def share(period: Period, start: datetime, end: datetime, zone: str, by_second: bool) -> Fraction:
    """The part of the whole period that lies from one instant (its day) up to another (its day)."""
    if by_second:
        whole = period.end - period.whole_start
        return Fraction(_micros(end - start), _micros(whole)) if whole else Fraction(1)
    days = days_in(period, zone)
    part = days_between(local_day(start, zone), local_day(end, zone), zone)
    return Fraction(part, days) if days else Fraction(1)


def first_share(period: Period, zone: str, by_second: bool) -> Fraction:
    """The part of a whole period that a period is: 1 but for a first one that is prorated."""
    if period.whole:
        return WHOLE
    return share(period, period.start, period.end, zone, by_second)


# The calendar


def grid_start(day: date, interval: Interval) -> date:
    """The calendar period that a date is in: the first of a month, or a Monday.

    Several months or weeks count from the years and weeks 0 of the calendar, so that quarters
    begin in January, April, July and October and half-years in January and July.
    """
    if months := _months(interval):
        behind = (day.year * 12 + day.month - 1) % months
        return times.add_months(day.replace(day=1), -behind)
    monday = day - timedelta(days=day.weekday())
    return monday - timedelta(weeks=(monday.toordinal() // 7) % interval.count)


def _on_grid(cycle: Cycle) -> bool:
    # Days have no calendar period: every ten days are counted from the anchor.
    return cycle.billing == "calendar" and cycle.interval.unit != "day"


def month_day(cycle: Cycle) -> int | None:
    """The day of the month on which a cycle's periods end; None where that is no day of its own."""
    if cycle.anchor_day is not None or _on_grid(cycle) or not _months(cycle.interval):
        return cycle.anchor_day
    return cycle.day.day


def _months(interval: Interval) -> int:
    return {"month": 1, "year": 12}.get(interval.unit, 0) * interval.count


def _step(day: date, interval: Interval, k: int, month_day: int | None) -> date:
    try:
        if months := _months(interval):
            return times.add_months(day, months * k, month_day)
        days = interval.count * (7 if interval.unit == "week" else 1)
        return day + timedelta(days=days * k)
    except OverflowError:
        raise EvalError("a date is out of range") from None


def _days_in_400(interval: Interval) -> int:
    """The days of 400 such intervals, on average: 400 years have 146,097."""
    if months := _months(interval):
        return 146_097 * months // 12
    return 400 * interval.count * (7 if interval.unit == "week" else 1)


def _instant(cycle: Cycle, day: date) -> datetime:
    if not cycle.by_second or (_on_grid(cycle) and cycle.anchor_day is None):
        return midnight(day, cycle.zone)
    tz = times.zone(cycle.zone)
    clock = times.to_local(cycle.start, times.zone(cycle.made_in or cycle.zone)).time()
    return times.from_local(datetime.combine(day, clock), tz).astimezone(UTC)


def _whole_start(cycle: Cycle) -> datetime:
    if cycle.anchor_day is not None:
        if _on_anchor_day(cycle.day, cycle.anchor_day):
            return cycle.start
        first = boundary_day(cycle, 1)
        return _instant(cycle, _step(first, cycle.interval, -1, cycle.anchor_day))
    if _on_grid(cycle):
        grid = grid_start(cycle.day, cycle.interval)
        # Whole on its first day, even where a trial of some hours ended within it.
        first = midnight(grid, cycle.made_in or cycle.zone)
        if grid == cycle.day and (not cycle.by_second or first == cycle.start):
            return cycle.start
        return midnight(grid, cycle.zone)
    return cycle.start


def _on_anchor_day(day: date, anchor_day: int) -> bool:
    return day.day == min(anchor_day, monthrange(day.year, day.month)[1])


def _next_anchor_day(day: date, anchor_day: int) -> date:
    """The first such day after a date, clamped to its month."""
    here = day.replace(day=min(anchor_day, monthrange(day.year, day.month)[1]))
    return here if here > day else times.add_months(here, 1, anchor_day)


@lru_cache(maxsize=1 << 12)
def _skips_days(start: date, end: date, zone: str) -> bool:
    """Whether the zone moved across the date line in between, so that a date is missing."""
    tz = times.zone(zone)
    noon = time(12)
    before = datetime.combine(start - _DAY, noon, tz).utcoffset()
    after = datetime.combine(end + _DAY, noon, tz).utcoffset()
    assert before is not None and after is not None
    return after - before > timedelta(hours=20)


def _micros(length: timedelta) -> int:
    return (length.days * 86_400 + length.seconds) * 1_000_000 + length.microseconds
