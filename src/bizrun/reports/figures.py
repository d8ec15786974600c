"""What every report gives: a table of exact values, and the months that it goes by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from ..errors import UsageError
from ..times import local_date, midnight


@dataclass(frozen=True, slots=True)
class Figures:
    """Rows under their columns; `note` says in a sentence what a reader has to know."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[dict[str, Any], ...]
    note: str = ""


class Span(NamedTuple):
    """What a report is about: local days `[first, last]`, and the state's clock."""

    first: date
    last: date
    clock: datetime
    tz: ZoneInfo

    @property
    def start(self) -> datetime:
        """The instant at which the first day begins."""
        return midnight(self.first, self.tz)

    @property
    def end(self) -> datetime:
        """The instant at which the last day ends."""
        return midnight(self.last + timedelta(days=1), self.tz)

    def months(self) -> Iterator[Month]:
        """The calendar months of the span, the first and the last cut to it."""
        day = self.first
        while day <= self.last:
            after = next_month(day)
            last = min(after - timedelta(days=1), self.last)
            end = midnight(last + timedelta(days=1), self.tz)
            yield Month(f"{day:%Y-%m}", midnight(day, self.tz), end)
            day = after


class Month(NamedTuple):
    """A calendar month or a part of it, half-open."""

    name: str
    start: datetime
    end: datetime


def next_month(day: date) -> date:
    """The first day of the month after that of a date."""
    return date(day.year + day.month // 12, day.month % 12 + 1, 1)


def span(
    began: datetime | None, clock: datetime, tz: ZoneInfo, first: date | None, last: date | None
) -> Span:
    """From `first`, or the month in which something began, to `last`, or the clock's day."""
    today = local_date(clock, tz)
    until = last or today
    since = first or local_date(began or clock, tz).replace(day=1)
    if first is None and since > until:
        since = until.replace(day=1)
    if since > until:
        raise UsageError(f"--from {since} is after --to {until}.")
    if (until.year - since.year) * 12 + until.month - since.month > 1200:
        raise UsageError("A report covers a hundred years at most: give --from and --to.")
    return Span(since, until, clock, tz)
