"""Where periods begin and end: local dates, counted from the anchor and clamped."""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo


def shift(start: date, count: int, unit: str, day: int | None = None) -> date:
    """A date so many intervals on, on its own day or another, clamped to the month's last."""
    if unit == "day":
        return start + timedelta(days=count)
    if unit == "week":
        return start + timedelta(weeks=count)
    months = count * (12 if unit == "year" else 1)
    year, month = divmod(start.year * 12 + start.month - 1 + months, 12)
    last = monthrange(year, month + 1)[1]
    return date(year, month + 1, min(day or start.day, last))


def instant(day: date, zone: str, at: time = time()) -> datetime:
    """The instant of a local date and time; in a gap of the clocks, the first one behind it."""
    local = datetime.combine(day, at, ZoneInfo(zone))
    low, high = local.replace(fold=1).astimezone(UTC), local.astimezone(UTC)
    if high <= low:
        return high
    # A gap: somewhere in between the offset changes.
    before = low.astimezone(ZoneInfo(zone)).utcoffset()
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) // 2
        middle = middle.replace(microsecond=0)
        if middle.astimezone(ZoneInfo(zone)).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high


def local_date(moment: datetime, zone: str) -> date:
    """The local date of an instant."""
    return moment.astimezone(ZoneInfo(zone)).date()


def length(zone: str, start: datetime, end: datetime, seconds: bool) -> Fraction:
    """Whole local days, or exact seconds, from one instant to another."""
    if seconds:
        return Fraction((end - start) // timedelta(microseconds=1), 1_000_000)
    first, last = local_date(start, zone), local_date(end, zone)
    return Fraction((last - first).days - skipped(first, last, zone))


def skipped(first: date, last: date, zone: str) -> int:
    """How many dates between two a zone never had, as Apia no 30 December 2011."""
    if first.year > 2011:
        return 0
    days = (first + timedelta(days=i) for i in range((last - first).days))
    return sum(instant(day, zone) == instant(day + timedelta(days=1), zone) for day in days)


@dataclass(frozen=True)
class Cycle:
    """The boundaries of a subscription: where it begins, then `anchor` + n intervals."""

    zone: str
    begins: datetime
    anchor: date
    day: int | None
    interval: tuple[int, str]
    clock: time
    late: bool
    """Whether boundary 1 is the anchor itself: the first period is a part of a whole one."""

    def on(self, n: int) -> datetime:
        """The instant of boundary n; 0 is where the first period begins."""
        return self.begins if n == 0 else self._at(n - 1 if self.late else n)

    def _at(self, k: int) -> datetime:
        count, unit = self.interval
        return instant(shift(self.anchor, count * k, unit, self.day), self.zone, self.clock)

    def whole(self, n: int, seconds: bool) -> Fraction:
        """The length of the whole period that the n-th one is, or is a part of."""
        start = self._at(-1) if self.late and n == 0 else self.on(n)
        return length(self.zone, start, self.on(n + 1), seconds)


def anniversary(
    zone: str, start: datetime, interval: tuple[int, str], anchor_day: int | None, seconds: bool
) -> Cycle:
    """A cycle from where a subscription begins, or with another day of the month."""
    begins = local_date(start, zone)
    clock = start.astimezone(ZoneInfo(zone)).time() if seconds else time()
    first = start if seconds else instant(begins, zone)
    if anchor_day is None:
        return Cycle(zone, first, begins, None, interval, clock, False)
    this = shift(begins, 0, "month", anchor_day)
    if this == begins:
        return Cycle(zone, first, begins, anchor_day, interval, clock, False)
    end = this if this > begins else shift(begins.replace(day=1), 1, "month", anchor_day)
    return Cycle(zone, first, end, anchor_day, interval, clock, True)


def calendar(zone: str, start: datetime, interval: tuple[int, str], seconds: bool) -> Cycle:
    """A cycle on the first of the month, Mondays, quarters, half-years or years."""
    begins = local_date(start, zone)
    count, unit = interval
    if unit == "week":
        low = begins - timedelta(days=begins.weekday())
    elif unit == "year":
        low = date(begins.year, 1, 1)
    else:
        low = date(begins.year, (begins.month - 1) // count * count + 1, 1)
    first = start if seconds else instant(begins, zone)
    if first == instant(low, zone):
        return Cycle(zone, first, low, None, interval, time(), False)
    return Cycle(zone, first, shift(low, count, unit), None, interval, time(), True)
