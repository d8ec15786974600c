"""Boundaries of periods in every zone over ten years, beside a calculation of their own.

A sample of the zones in a plain run, all of them with BIZRUN_ZONES=all.
"""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bizrun.billing import periods
from bizrun.billing.catalog import BillingSettings, Interval
from bizrun.values import instant, instant_text

from .oracle import calendars

ODD = (
    "Pacific/Apia", "Pacific/Kwajalein", "Pacific/Fakaofo", "Australia/Lord_Howe", "Africa/Cairo",
    "America/Sao_Paulo", "America/Havana", "Asia/Beirut", "Asia/Amman", "Asia/Tehran",
    "America/Asuncion", "Africa/Casablanca", "Europe/Dublin", "Antarctica/Troll", "Asia/Gaza",
    "America/Scoresbysund", "Asia/Pyongyang", "America/Caracas", "Europe/Istanbul", "UTC",
    "Asia/Kathmandu", "Pacific/Chatham", "America/New_York", "Europe/Berlin", "Pacific/Kiritimati",
)  # fmt: skip
ZONES = sorted(available_timezones() - {"localtime", "Factory"})
CHOSEN = ZONES if os.environ.get("BIZRUN_ZONES") == "all" else [z for z in ODD if z in ZONES]
# Leap years on both sides, the skipped day of Apia, midnights that clocks skipped.
STARTS = tuple(datetime(2009, 12, day, 9, 30, tzinfo=UTC) for day in (28, 29, 30, 31)) + tuple(
    datetime(2019, 10, day, 9, 30, tzinfo=UTC) for day in (28, 29, 30, 31)
)
MONTHS = 121


@pytest.mark.parametrize("zone", CHOSEN)
def test_anniversaries_tile_ten_years(zone: str) -> None:
    for start in STARTS:
        for second in (False, True):
            _follow(zone, start, (1, "month"), MONTHS, second)
    for interval in ((6, "month"), (1, "year"), (2, "week")):
        _follow(zone, STARTS[3], interval, 20, False)


def _follow(
    zone: str, start: datetime, interval: tuple[int, str], count: int, second: bool
) -> None:
    settings = BillingSettings(timezone=zone, proration="second" if second else "day")
    cycle = periods.cycle(start, Interval(*interval), settings, zone)
    own = calendars.anniversary(zone, start, interval, None, second)
    end = cycle.start
    assert end == own.on(0)
    for k in range(count):
        period = periods.period(cycle, k)
        assert period.start == end, (zone, k)
        end = period.end
        assert end == own.on(k + 1), (zone, start, k)
        assert period.start <= end
        if not second:
            _clamped(zone, start, end, interval)


def _clamped(zone: str, start: datetime, end: datetime, interval: tuple[int, str]) -> None:
    """A boundary is on the anchor's day, or on the last of a month that has no such day."""
    if interval[1] == "week":
        return
    wanted, day = start.astimezone(ZoneInfo(zone)).day, end.astimezone(ZoneInfo(zone)).date()
    if day.day < wanted:
        gone = day + timedelta(days=1)
        assert gone.day == 1 or calendars.instant(gone, zone) == calendars.instant(day, zone)


@pytest.mark.parametrize("zone", CHOSEN)
def test_every_instant_is_in_one_period(zone: str) -> None:
    settings = BillingSettings(timezone=zone)
    cycle = periods.cycle(STARTS[3], Interval(1, "month"), settings, zone)
    at = cycle.start
    for _ in range(400):
        period = periods.period_at(cycle, at)
        assert period.start <= at < period.end
        at += timedelta(days=9, hours=7, minutes=11)


@pytest.mark.parametrize("zone", CHOSEN)
def test_parts_of_a_period_add_up(zone: str) -> None:
    settings = BillingSettings(timezone=zone)
    for start in STARTS[:2]:
        cycle = periods.cycle(start, Interval(1, "month"), settings, zone)
        for k in range(40):
            period = periods.period(cycle, k)
            if period.start == period.end:
                continue
            for second in (False, True):
                at = period.start + (period.end - period.start) * 2 / 7
                cut = at if second else calendars.instant(calendars.local_date(at, zone), zone)
                both = periods.share(period, period.start, cut, zone, second)
                both += periods.share(period, cut, period.end, zone, second)
                assert both == 1, (zone, k)
                own = calendars.length(zone, cut, period.end, second)
                own /= calendars.length(zone, period.start, period.end, second)
                assert periods.share(period, cut, period.end, zone, second) == own


@pytest.mark.parametrize("anchor", [28, 29, 30, 31])
@pytest.mark.parametrize("year", [2023, 2024, 2100])
def test_anchors_never_drift(anchor: int, year: int) -> None:
    start = datetime(year - 1, 12, anchor, tzinfo=UTC)
    cycle = periods.cycle(start, Interval(1, "month"), BillingSettings(timezone="UTC"), "UTC")
    leap = year == 2024
    february = min(anchor, 29 if leap else 28)
    assert periods.boundary(cycle, 2).date() == date(year, 2, february)
    assert periods.boundary(cycle, 3).date() == date(year, 3, anchor)
    assert periods.boundary(cycle, 4).date() == date(year, 4, min(anchor, 30))
    assert periods.boundary(cycle, 12).date() == date(year, 12, anchor)


def test_the_day_that_apia_skipped() -> None:
    zone, settings = "Pacific/Apia", BillingSettings(timezone="Pacific/Apia")
    start = calendars.instant(date(2011, 11, 30), zone)
    cycle = periods.cycle(start, Interval(1, "month"), settings, zone)
    assert periods.boundary(cycle, 1) == calendars.instant(date(2011, 12, 31), zone)
    assert periods.boundary(cycle, 2) == calendars.instant(date(2012, 1, 30), zone)
    december = periods.period(cycle, 0)
    # 30 November to 31 December, of which one day never was.
    day = calendars.instant(date(2011, 12, 1), zone)
    assert periods.share(december, december.start, day, zone, False) == Fraction(1, 30)


@pytest.mark.parametrize("day", [1, 15, 28, 29, 30, 31])
def test_another_anchor_day(day: int) -> None:
    for offset in range(0, 400, 7):
        start = datetime(2023, 12, 1, 5, tzinfo=UTC) + timedelta(days=offset)
        settings = BillingSettings(timezone="Europe/Berlin")
        cycle = periods.cycle(start, Interval(1, "month"), settings, "Europe/Berlin", day)
        own = calendars.anniversary("Europe/Berlin", start, (1, "month"), day, False)
        for k in range(15):
            period = periods.period(cycle, k)
            assert (period.start, period.end) == (own.on(k), own.on(k + 1))
            part = periods.first_share(period, "Europe/Berlin", False)
            whole = own.whole(k, False)
            assert (
                part == calendars.length("Europe/Berlin", own.on(k), own.on(k + 1), False) / whole
            )


@pytest.mark.parametrize(
    "interval", [(1, "month"), (3, "month"), (6, "month"), (1, "year"), (1, "week")]
)
def test_calendar_periods(interval: tuple[int, str]) -> None:
    zone = "America/New_York"
    settings = BillingSettings(timezone=zone, billing="calendar")
    for offset in range(0, 800, 11):
        start = datetime(2023, 1, 1, 12, tzinfo=UTC) + timedelta(days=offset)
        cycle = periods.cycle(start, Interval(*interval), settings, zone)
        own = calendars.calendar(zone, start, interval, False)
        for k in range(4):
            period = periods.period(cycle, k)
            assert (period.start, period.end) == (own.on(k), own.on(k + 1))
            part = periods.first_share(period, zone, False)
            assert part == calendars.length(zone, own.on(k), own.on(k + 1), False) / own.whole(
                k, False
            )


@given(st.datetimes(timezones=st.sampled_from([UTC, ZoneInfo("UTC"), ZoneInfo("Africa/Abidjan")])))
def test_the_text_of_an_instant_is_that_of_iso_8601(at: datetime) -> None:
    text = at.isoformat()
    if text.endswith("+00:00"):  # Abidjan had another offset before 1912
        assert instant_text(at) == f"{text.removesuffix('+00:00')}Z"
        assert instant(instant_text(at)) == at
