"""Instants, local dates and durations in a zone: the calendar under periods and schedules."""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from .errors import EvalError
from .values import Duration

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
# What a schedule or a metric may say behind `every`.
RHYTHMS = ("minute", "hour", "day", "weekday", "week", "month", "quarter", "year", *DAYS)


@lru_cache(maxsize=64)
def zone(name: str) -> ZoneInfo:
    """The IANA zone of that name."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise EvalError(f"`{name}` is no time zone; use a name like Europe/Berlin") from None


def from_local(local: datetime, tz: ZoneInfo) -> datetime:
    """The instant of a naive local time: in a gap the first valid moment, in a fold the first."""
    aware = local.replace(tzinfo=tz)
    instant = aware.astimezone(UTC)
    if instant.astimezone(tz).replace(tzinfo=None) == local:
        return instant
    # In the gap the offsets before and after differ; the gap's end is where local time resumes.
    before = local.replace(tzinfo=tz, fold=0).utcoffset()
    after = local.replace(tzinfo=tz, fold=1).utcoffset()
    assert before is not None and after is not None
    return _gap_end(local.replace(tzinfo=UTC) - max(before, after), tz)


def _gap_end(near: datetime, tz: ZoneInfo) -> datetime:
    """The transition within a day and two of an instant, found by halving."""
    low, high = near - timedelta(days=2), near + timedelta(days=2)
    offset = low.astimezone(tz).utcoffset()
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) // 2
        if middle.astimezone(tz).utcoffset() == offset:
            low = middle
        else:
            high = middle
    return high.replace(microsecond=0)


def instants_of(
    start: date | datetime, end: date | datetime, tz: ZoneInfo
) -> tuple[datetime, datetime]:
    """The first and the last instant of a range of instants or of local days: both ends are in."""
    first = start if isinstance(start, datetime) else midnight(start, tz)
    return first, end if isinstance(end, datetime) else last_instant(end, tz)


def to_local(instant: datetime, tz: ZoneInfo) -> datetime:
    """The naive local time of an instant."""
    return instant.astimezone(tz).replace(tzinfo=None)


def last_instant(day: date, tz: ZoneInfo) -> datetime:
    """The last instant of a local day, as UTC."""
    if day == date.max:
        return datetime.max.replace(tzinfo=UTC)
    return midnight(day + timedelta(days=1), tz) - timedelta(microseconds=1)


def midnight(day: date, tz: ZoneInfo) -> datetime:
    """The instant at which a local day begins."""
    return from_local(datetime.combine(day, time()), tz)


def local_date(instant: datetime, tz: ZoneInfo) -> date:
    """The local date of an instant."""
    return instant.astimezone(tz).date()


def add_months(day: date, months: int, anchor_day: int | None = None) -> date:
    """So many months on, clamped to the month's last day; `anchor_day` restores a clamped day."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    if not 1 <= year <= 9999:
        raise EvalError("a date is out of range")
    last = monthrange(year, month + 1)[1]
    return date(year, month + 1, min(anchor_day or day.day, last))


def add(instant: datetime, duration: Duration, tz: ZoneInfo) -> datetime:
    """An instant later by a duration: months and days on the local calendar, the rest exact."""
    try:
        if duration.days and not (duration.months or duration.micros) and instant.tzinfo is UTC:
            # Where the zone's offset is the same, local days have 24 hours.
            later = instant + timedelta(days=duration.days)
            if tz.utcoffset(None) is not None:
                return later
            here, there = instant.astimezone(tz), later.astimezone(tz)
            if here.utcoffset() == there.utcoffset() and not there.fold:
                return later
        if duration.months or duration.days:
            local = to_local(instant, tz)
            day = add_months(local.date(), duration.months) if duration.months else local.date()
            day += timedelta(days=duration.days)
            instant = from_local(datetime.combine(day, local.time()), tz)
        if duration.micros:
            instant += timedelta(microseconds=duration.micros)
        return instant
    except OverflowError:
        raise EvalError("a date is out of range") from None


def add_to_date(day: date, duration: Duration) -> date:
    """A date later by whole days and months."""
    if duration.micros % 86_400_000_000:
        raise EvalError(
            f"a date moves by whole days, not by {duration}; its midnight moves by both: "
            "`day + 0 hours`"
        )
    try:
        moved = add_months(day, duration.months) if duration.months else day
        return moved + timedelta(days=duration.days + duration.micros // 86_400_000_000)
    except OverflowError:
        raise EvalError("a date is out of range") from None


def between(start: datetime, end: datetime) -> Duration:
    """The exact duration from one instant to another."""
    delta = end - start
    return Duration(micros=(delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds)


def start_of(unit: str, day: date) -> date:
    """The first day of the day, week (Monday), month, quarter or year that a date is in."""
    match unit:
        case "day":
            return day
        case "week":
            return day - timedelta(days=day.weekday())
        case "month":
            return day.replace(day=1)
        case "quarter":
            return date(day.year, (day.month - 1) // 3 * 3 + 1, 1)
        case "year":
            return date(day.year, 1, 1)
    raise AssertionError(unit)


def end_of(unit: str, day: date) -> date:
    """The first day after that unit: ends are not included."""
    start = start_of(unit, day)
    match unit:
        case "day":
            return start + timedelta(days=1)
        case "week":
            return start + timedelta(days=7)
        case "month":
            return add_months(start, 1)
        case "quarter":
            return add_months(start, 3)
        case "year":
            return add_months(start, 12)
    raise AssertionError(unit)
