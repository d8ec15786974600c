"""When an `every` is due next: on the local calendar, by cron, or at even intervals."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from ..ir.program import Schedule
from ..times import DAYS, add, add_months, from_local, to_local
from ..values import Duration

MAX_CRON_STEPS = 100_000
_EXACT = {"minute": Duration.of(1, "minute"), "hour": Duration.of(1, "hour")}


def next_due(schedule: Schedule, after: datetime, tz: ZoneInfo) -> datetime:
    """The first instant later than `after` at which a schedule ticks.

    In a daylight-saving gap that is the first valid moment; in the repeated hour the first one.
    """
    match schedule.kind:
        case "interval":
            return _interval(schedule.interval, after, tz, schedule.at or time())
        case "cron":
            assert schedule.cron is not None
            return _cron(schedule.cron, after, tz)
    if schedule.unit in _EXACT:
        return _interval(_EXACT[schedule.unit], after, tz)
    for day in _days(schedule, to_local(after, tz).date() - timedelta(days=1)):
        due = from_local(datetime.combine(day, schedule.at or time()), tz)
        if due > after:
            return due
    raise AssertionError(schedule)


def newest_due(
    schedule: Schedule, after: datetime, until: datetime, tz: ZoneInfo
) -> datetime | None:
    """The last instant later than `after`, and at the latest `until`, at which a schedule ticks."""
    chained = schedule.interval is not None and (schedule.interval.months or schedule.interval.days)
    window = timedelta(minutes=1)
    # From the end backwards: a schedule of every second may have missed years.
    while not chained and until - after > window:
        if next_due(schedule, until - window, tz) <= until:
            after = until - window
            break
        window *= 4
    found, due = None, next_due(schedule, after, tz)
    while due <= until:
        found, due = due, next_due(schedule, due, tz)
    return found


def _interval(interval: Duration, after: datetime, tz: ZoneInfo, at: time = time()) -> datetime:
    """Even steps: exact ones counted from the epoch, calendar ones at a local time of day."""
    if interval.months or interval.days:
        day = to_local(after, tz).date()
        return add(from_local(datetime.combine(day, at), tz), interval, tz)
    epoch = datetime(1970, 1, 1, tzinfo=after.tzinfo)
    step = timedelta(microseconds=interval.micros)
    return epoch + ((after - epoch) // step + 1) * step


def _days(schedule: Schedule, start: date) -> Iterator[date]:
    """The local days on which a calendar schedule ticks, from a day on."""
    unit, on = schedule.unit, schedule.on
    if unit in ("day", "weekday"):
        for offset in range(4000):
            day = start + timedelta(days=offset)
            if unit == "day" or day.weekday() < 5:
                yield day
    elif unit == "week" or unit in DAYS:
        weekday = DAYS.index(unit) if unit in DAYS else DAYS.index(on or "monday")
        first = start + timedelta(days=(weekday - start.weekday()) % 7)
        for week in range(600):
            yield first + timedelta(days=7 * week)
    elif unit in ("month", "quarter"):
        step = 1 if unit == "month" else 3
        first = start.replace(day=1)
        if unit == "quarter":
            first = date(start.year, (start.month - 1) // 3 * 3 + 1, 1)
        for count in range(200):
            yield _day_of(add_months(first, step * count), on)
    else:
        yield from _yearly(start.year, on)


def _day_of(first: date, on: str | None) -> date:
    last = monthrange(first.year, first.month)[1]
    return first.replace(day=last if on == "last" else min(int(on or 1), last))


def _yearly(year: int, on: str | None) -> Iterator[date]:
    month, _, day = (on or "1-1").rpartition("-")
    for offset in range(100):
        first = date(year + offset, int(month or 1), 1)
        yield _day_of(first, day)


def _cron(expression: str, after: datetime, tz: ZoneInfo) -> datetime:
    """By croniter on naive local times: by itself it would fire twice when clocks go back."""
    from croniter import croniter

    local = to_local(after, tz)
    steps = croniter(expression, local - timedelta(hours=3))
    for _ in range(MAX_CRON_STEPS):
        due = from_local(steps.get_next(datetime), tz)
        if due > after:
            return due
    raise AssertionError(expression)
