"""Periods tile the axis, in every zone, from every anchor."""

from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bizrun.billing import periods
from bizrun.billing.catalog import BillingSettings, Interval, interval
from bizrun.errors import EvalError
from bizrun.values import Duration, instant

ZONES = (
    "UTC", "America/Los_Angeles", "Europe/Berlin", "Pacific/Apia", "America/Sao_Paulo",
    "Africa/Cairo", "America/St_Johns", "Asia/Kolkata", "America/Havana",
)  # fmt: skip


def cycle(start, every="month", zone="UTC", **options):
    anchor_day = options.pop("anchor_day", None)
    return periods.cycle(
        instant(start), interval(every), BillingSettings(timezone=zone, **options),
        anchor_day=anchor_day,
    )  # fmt: skip


def days(found, count):
    return [str(periods.boundary_day(found, k)) for k in range(count)]


def test_a_month_is_counted_from_the_anchor_and_clamped():
    assert days(cycle("2024-01-31T09:00:00Z"), 4) == [
        "2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30",
    ]  # fmt: skip


def test_half_a_year_from_31_march():
    found = cycle("2026-03-31T00:00:00Z", "6 months")
    assert days(found, 3) == ["2026-03-31", "2026-09-30", "2027-03-31"]


def test_a_year_from_29_february():
    found = cycle("2024-02-29T00:00:00Z", "year")
    assert days(found, 5) == ["2024-02-29", "2025-02-28", "2026-02-28", "2027-02-28", "2028-02-29"]


def test_the_first_day_counts_whole():
    found = cycle("2026-04-10T23:59:00Z", zone="Europe/Berlin")
    first = periods.period(found, 0)
    assert first.start == instant("2026-04-10T22:00:00Z")
    assert first.end == instant("2026-05-10T22:00:00Z")
    assert periods.days_in(first, "Europe/Berlin") == 30


def test_by_second_keeps_the_time_of_day():
    found = cycle("2026-02-15T15:30:00Z", zone="Europe/Berlin", proration="second")
    assert [periods.boundary(found, k) for k in range(3)] == [
        instant("2026-02-15T15:30:00Z"),
        instant("2026-03-15T15:30:00Z"),
        instant("2026-04-15T14:30:00Z"),
    ]


@pytest.mark.parametrize(
    ("every", "start", "begins", "ends"),
    [
        ("month", "2026-01-15T10:00:00Z", "2026-01-01", "2026-02-01"),
        ("week", "2026-01-15T10:00:00Z", "2026-01-12", "2026-01-19"),
        ("quarter", "2026-02-15T10:00:00Z", "2026-01-01", "2026-04-01"),
        ("6 months", "2026-08-15T10:00:00Z", "2026-07-01", "2027-01-01"),
        ("year", "2024-03-01T10:00:00Z", "2024-01-01", "2025-01-01"),
    ],
)
def test_calendar_periods(every, start, begins, ends):
    found = cycle(start, every, billing="calendar")
    first = periods.period(found, 0)
    assert first.start == datetime.combine(instant(start).date(), datetime.min.time(), UTC)
    assert str(first.whole_start.date()) == begins
    assert str(first.end.date()) == ends
    assert not first.whole
    share = periods.first_share(first, "UTC", False)
    assert share == Fraction((first.end - first.start).days, (first.end - first.whole_start).days)
    assert periods.first_share(periods.period(found, 1), "UTC", False) == 1


def test_a_calendar_period_that_begins_on_its_day_is_whole():
    found = cycle("2026-02-01T10:00:00Z", billing="calendar")
    assert periods.period(found, 0).whole
    assert days(found, 3) == ["2026-02-01", "2026-03-01", "2026-04-01"]


def test_an_anchor_day_cuts_the_first_period_short():
    found = cycle("2026-02-10T10:00:00Z", anchor_day=31)
    assert days(found, 4) == ["2026-02-10", "2026-02-28", "2026-03-31", "2026-04-30"]
    first = periods.period(found, 0)
    assert first.whole_start.date() == date(2026, 1, 31)
    assert periods.first_share(first, "UTC", False) == Fraction(18, 28)


def test_on_the_anchor_day_itself_the_first_period_is_whole():
    found = cycle("2026-02-28T10:00:00Z", anchor_day=31)
    assert days(found, 3) == ["2026-02-28", "2026-03-31", "2026-04-30"]
    assert periods.period(found, 0).whole
    with pytest.raises(EvalError, match="anchor_day"):
        cycle("2026-02-28T10:00:00Z", anchor_day=32)


def test_weeks_up_to_an_anchor_day_are_charged_by_their_days():
    first = periods.period(cycle("2026-04-03T10:00:00Z", "week", anchor_day=20), 0)
    assert periods.first_share(first, "UTC", False) == Fraction(17, 7)


def test_a_trial_comes_first():
    here = BillingSettings(timezone="America/Los_Angeles")
    start = instant("2026-01-31T09:00:00Z")
    end, found = periods.after_trial(start, Duration(days=14), Interval(1, "month"), here)
    assert end == instant("2026-02-14T08:00:00Z")
    assert found.start == end
    assert periods.boundary(found, 1) == instant("2026-03-14T07:00:00Z")
    assert periods.trial_notice(start, end, here, here.timezone) == instant("2026-02-11T08:00:00Z")


def test_a_trial_of_hours_is_exact():
    start = instant("2026-01-31T09:00:00Z")
    hours = Duration.of(12, "hours")
    end, found = periods.after_trial(start, hours, Interval(1, "month"), BillingSettings())
    assert end == found.start == instant("2026-01-31T21:00:00Z")
    assert periods.boundary(found, 1) == instant("2026-02-28T00:00:00Z")
    assert periods.trial_notice(start, end, BillingSettings(), "UTC") == start


def test_no_trial():
    end, found = periods.after_trial(
        instant("2026-01-31T09:00:00Z"), None, Interval(1, "month"), BillingSettings()
    )
    assert end is None
    assert found.start == instant("2026-01-31T00:00:00Z")


def test_where_midnight_is_skipped_the_day_begins_later():
    assert periods.midnight(date(2018, 11, 4), "America/Sao_Paulo") == instant(
        "2018-11-04T03:00:00Z"
    )
    assert periods.midnight(date(2024, 4, 26), "Africa/Cairo") == instant("2024-04-25T22:00:00Z")
    april = periods.period(cycle("2024-04-01T12:00:00Z", zone="Africa/Cairo"), 0)
    assert periods.days_in(april, "Africa/Cairo") == 30


def test_the_day_that_apia_skipped_is_no_day():
    december = periods.period(cycle("2011-12-02T00:00:00Z", zone="Pacific/Apia"), 0)
    assert periods.days_in(december, "Pacific/Apia") == 30
    daily = cycle("2011-12-29T00:00:00Z", "day", "Pacific/Apia")
    found = [periods.period(daily, 0)]
    for _ in range(4):
        found.append(periods.following(daily, found[-1].end))
    assert all(before.end == after.start for before, after in pairwise(found))
    assert all(period.start < period.end for period in found)
    named = [str(periods.local_day(period.start, "Pacific/Apia")) for period in found]
    assert named == ["2011-12-28", "2011-12-29", "2011-12-31", "2012-01-01", "2012-01-02"]


def test_a_local_day_never_goes_back():
    # In St John's clocks went back at 00:01 to 23:01 of the day before.
    moments = [instant("2010-11-07T02:00:00Z") + timedelta(minutes=n) for n in range(120)]
    found = [periods.local_day(at, "America/St_Johns") for at in moments]
    assert found == sorted(found)


def test_a_meter_with_its_own_interval_nests_in_the_year():
    yearly = cycle("2024-01-31T00:00:00Z", "year")
    monthly = periods.for_meter(yearly, interval("month"))
    assert periods.boundary(monthly, 12) == periods.boundary(yearly, 1)
    assert periods.for_meter(yearly, None) == yearly


def test_out_of_range():
    with pytest.raises(EvalError, match="out of range"):
        periods.boundary(cycle("9990-01-01T00:00:00Z", "year"), 20)


STARTS = st.datetimes(datetime(2000, 1, 1), datetime(2030, 12, 31), timezones=st.just(UTC))
LATE_DAYS = st.builds(
    lambda start, day: start.replace(day=1) + timedelta(days=day - 1), STARTS, st.integers(28, 31)
)
CYCLES = st.builds(
    lambda start, every, zone, billing, proration, anchor_day: periods.cycle(
        start,
        every,
        BillingSettings(timezone=zone, billing=billing, proration=proration),
        anchor_day=anchor_day,
    ),
    st.one_of(STARTS, LATE_DAYS),
    st.one_of(
        st.builds(Interval, st.integers(1, 40), st.sampled_from(["day", "week", "month"])),
        st.builds(Interval, st.integers(1, 3), st.just("year")),
    ),
    st.sampled_from(ZONES),
    st.sampled_from(["anniversary", "calendar"]),
    st.sampled_from(["day", "second"]),
    st.one_of(st.none(), st.integers(1, 31)),
)


@settings(max_examples=300, deadline=None)
@given(CYCLES, st.timedeltas(timedelta(0), timedelta(days=3000)))
def test_periods_tile_the_axis(found, later):
    at = found.start + later
    period = periods.period_at(found, at)
    assert period.start <= at < period.end
    after = periods.following(found, period.end)
    assert after.start == period.end < after.end
    assert periods.period_at(found, period.end) == after
    assert periods.period_at(found, period.end - timedelta(microseconds=1)) == period
    # Up to an anchor day, days and weeks may have to be charged more than once.
    if found.anchor_day is None or found.interval.unit in ("month", "year"):
        assert period.whole_start <= period.start


@settings(max_examples=300, deadline=None)
@given(CYCLES, st.integers(0, 60), st.fractions(0, 1))
def test_the_parts_of_a_period_are_the_whole(found, k, part):
    period = periods.period(found, k)
    at = period.start + (period.end - period.start) * float(part)
    before = periods.share(period, period.start, at, found.zone, found.by_second)
    after = periods.share(period, at, period.end, found.zone, found.by_second)
    if period.start < period.end:
        assert before + after == periods.first_share(period, found.zone, found.by_second)


@settings(max_examples=200, deadline=None)
@given(STARTS, st.integers(28, 31), st.integers(1, 24), st.sampled_from(ZONES))
def test_late_days_come_back(start, day, k, zone):
    first = date(start.year, 1, day)
    found = periods.cycle(
        periods.midnight(first, zone), Interval(1, "month"), BillingSettings(timezone=zone)
    )
    here = periods.boundary_day(found, k)
    assert here.day == min(day, ((here.replace(day=1) + timedelta(days=32)).replace(day=1)
                                 - timedelta(days=1)).day)  # fmt: skip
