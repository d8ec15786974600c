"""Splits, prorations, numbers, dunning, and the catalog's JSON."""

import json
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bizrun.billing import catalog, dunning, numbering, overlays, periods, proration
from bizrun.billing.catalog import (
    BillingSettings,
    Catalog,
    Coupon,
    Dunning,
    Includes,
    Interval,
    Phase,
    Plan,
    Price,
    Pricing,
    Rate,
    RatePart,
    Tax,
    Terms,
    Tier,
    UsagePrice,
    Version,
    interval,
)  # fmt: skip
from bizrun.billing.proration import Charge
from bizrun.billing.split import allocate, reverse, share_out, split
from bizrun.errors import EvalError
from bizrun.values import UNLIMITED, Duration, Money, Percent, instant, money


def usd(amount):
    return Money(Decimal(str(amount)), "USD")


def period(start="2026-04-01T00:00:00Z", every="month", zone="UTC", **options):
    here = BillingSettings(timezone=zone, **options)
    return periods.period(periods.cycle(instant(start), interval(every), here), 0)


# Splits


def test_split_and_allocate():
    assert split(usd(100), [Percent.of(85), Percent.of(15)]) == (usd(85), usd(15))
    assert allocate(usd(99), 5) == (usd("19.80"),) * 5
    assert allocate(usd(100), 3) == (usd("33.34"), usd("33.33"), usd("33.33"))
    assert allocate(money("100 JPY"), 3) == (money("34 JPY"), money("33 JPY"), money("33 JPY"))
    assert allocate(money("0.010 KWD"), 3)[0] == money("0.004 KWD")
    assert allocate(usd("-0.10"), 3) == (usd("-0.04"), usd("-0.03"), usd("-0.03"))
    assert split(usd(0), [1, 2]) == (usd(0), usd(0))
    assert split(usd("0.05"), [1, 1]) == (usd("0.03"), usd("0.02"))


@pytest.mark.parametrize(
    "shares",
    [[], [Percent.of(50)], [Percent.of(120), Percent.of(-20)], [1, Percent.of(50)], [0], [-1, 2]],
)
def test_split_refuses(shares):
    with pytest.raises(EvalError):
        split(usd(100), shares)


@pytest.mark.parametrize("parts", [0, -1, Decimal("1.5"), 10**9])
def test_allocate_refuses(parts):
    with pytest.raises(EvalError):
        allocate(usd(100), parts)


def test_a_marketplace_split_and_its_reversal():
    parts = share_out(usd("99.99"), {"platform": Percent.of(15)}, rest="seller")
    assert parts == {"platform": usd("15.00"), "seller": usd("84.99")}
    first = reverse(parts, usd("33.33"), usd(0))
    second = reverse(parts, usd("66.66"), usd("33.33"))
    assert {name: first[name] + second[name] for name in parts} == parts
    with pytest.raises(EvalError, match="rest"):
        share_out(usd(100), {"platform": Percent.of(15)})
    for shares in ({"a": usd(101)}, {"a": Percent.of(101)}, {"a": usd(-1)}):
        with pytest.raises(EvalError, match="more than"):
            share_out(usd(100), shares, rest="b")
    with pytest.raises(EvalError, match="more than"):
        share_out(usd(0), {"a": usd(5)}, rest="b")


AMOUNTS = st.builds(
    lambda units, currency: Money.of_minor(units, currency),
    st.integers(-(10**9), 10**9), st.sampled_from(["USD", "JPY", "KWD"]),
)  # fmt: skip
WEIGHTS = st.lists(st.one_of(st.integers(0, 1000), st.decimals(0, 10, places=3)), min_size=1,
                   max_size=12).filter(lambda weights: sum(weights) > 0)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(AMOUNTS, WEIGHTS)
def test_parts_add_up_and_are_off_by_less_than_a_unit(total, weights):
    parts = split(total, weights)
    assert sum(parts, Money(0, total.currency)) == total
    whole = sum(map(Fraction, weights))
    for part, weight in zip(parts, weights, strict=True):
        exact = total.minor_units() * Fraction(weight) / whole
        assert abs(part.minor_units() - exact) < 1
        assert part == part.rounded()


@settings(max_examples=100, deadline=None)
@given(AMOUNTS, st.integers(1, 50))
def test_equal_parts_differ_by_a_unit_and_the_larger_come_first(total, n):
    units = [abs(part.minor_units()) for part in allocate(total, n)]
    assert units == sorted(units, reverse=True)
    assert units[0] - units[-1] <= 1


# Prorations


def test_so_many_days_of_a_month():
    exact = proration.portion(usd("249.95"), Fraction(9, 30))
    assert exact == usd("74.985")
    assert exact.rounded() == usd("74.99")
    assert exact.rounded(half_even=True) == usd("74.98")


def test_a_change_of_plan_in_mid_april():
    charged = [Charge(usd(30), instant("2026-04-01T00:00:00Z"), instant("2026-05-01T00:00:00Z"),
                      usd(0))]  # fmt: skip
    at = instant("2026-04-16T12:00:00Z")
    found = proration.change(charged, usd(90), period(), at, "day", "UTC")
    assert (found.credit, found.charge) == (usd(-15), usd(45))
    assert [charge.amount for charge in found.charges] == [usd(15), usd(45)]
    # What was given back once is not given back again; the new charge gives back its own.
    later = instant("2026-04-21T00:00:00Z")
    again = proration.change(found.charges, usd(30), period(), later, "day", "UTC")
    assert (again.credit, again.charge) == (usd(-30), usd(10))
    same_day = proration.change(found.charges, usd(30), period(), at, "day", "UTC")
    assert (same_day.credit, same_day.charge) == (usd(-45), usd(15))


def test_a_change_without_proration():
    charged = [Charge(usd(30), period().start, period().end, usd(0))]
    at = instant("2026-04-16T12:00:00Z")
    unpaid = proration.change(charged, usd(90), period(), at, "day", "UTC", prorate=False)
    assert (unpaid.credit, unpaid.charge) == (usd(0), usd(45))
    assert proration.credit(unpaid.charges[:1], at, "day", "UTC", False) == (usd(0),)
    none = proration.change(charged, usd(90), period(), at, "none", "UTC")
    assert (none.credit, none.charge, none.charges) == (usd(0), usd(0), tuple(charged))


def test_no_more_is_credited_than_is_still_charged():
    charged = [Charge(usd(30), period().start, period().end, usd(0))]
    left = proration.refunded(charged, usd(25))
    at = instant("2026-04-16T12:00:00Z")
    assert proration.change(left, usd(90), period(), at, "day", "UTC").credit == usd(-5)
    assert proration.refunded(charged, usd(40))[0].left == usd(0)


def test_a_refund_takes_from_each_charge_in_proportion_and_gives_it_back_where_it_fails():
    charged = [Charge(usd(n), period().start, period().end, usd(0)) for n in (10, 20, 0)]
    once = proration.refunded(charged, usd(10))
    assert [charge.given_back for charge in once] == [usd("3.33"), usd("6.67"), usd(0)]
    twice = proration.refunded(once, usd(50))
    assert [charge.left for charge in twice] == [usd(0)] * 3
    assert proration.refunded(twice, usd(1)) == twice
    again = proration.refunded(once, usd(-10))
    assert list(again) == charged


def test_by_second():
    exact = period(proration="second")
    at = instant("2026-04-16T12:00:00Z")
    assert proration.unused_share(exact, at, "second", "UTC") == Fraction(29, 60)
    used = proration.share_between(exact, exact.start, at, "second", "UTC")
    assert used == Fraction(31, 60)
    assert proration.unused_share(exact, at, "none", "UTC") == 0


def test_days_used_leave_out_the_day_of_the_cancellation():
    at = instant("2026-04-16T12:00:00Z")
    month = period()
    used = proration.share_between(month, month.start, at, "day", "UTC")
    assert used == Fraction(15, 30)


def test_a_leap_year_has_366_days():
    year = period("2024-01-01T00:00:00Z", "year")
    at = instant("2024-12-31T05:00:00Z")
    assert proration.unused_share(year, at, "day", "UTC") == Fraction(1, 366)


def test_short_and_long_days_change_nothing():
    march = period("2026-03-01T12:00:00Z", zone="Europe/Berlin")
    at = instant("2026-03-29T12:00:00Z")
    assert proration.unused_share(march, at, "day", "Europe/Berlin") == Fraction(3, 31)


def test_prorate_of_the_language():
    start, end = instant("2026-04-16T10:00:00Z"), instant("2026-05-01T00:00:00Z")
    month = Duration.of(1, "month")
    assert proration.prorate(usd(30), start, end, month, "UTC") == usd(15)
    assert proration.prorate(usd(30), start, end, (date(2026, 4, 1), end), "UTC") == usd(15)
    assert proration.prorate(usd(30), date(2026, 4, 16), end, period(), "UTC") == usd(15)
    noon = instant("2026-04-16T12:00:00Z")
    assert proration.prorate(usd(30), noon, end, month, "UTC", by_second=True) == usd("14.5")
    for bad in ((end, start, month), (start, end, Duration())):
        with pytest.raises(EvalError):
            proration.prorate(usd(30), *bad, "UTC")


@settings(max_examples=150, deadline=None)
@given(
    st.integers(1, 10**7),
    st.lists(st.tuples(st.integers(0, 10**7), st.floats(0, 0.999)), min_size=1, max_size=5),
    st.sampled_from(["day", "second"]),
)
def test_changes_never_give_back_more_than_was_charged(first, changes, mode):
    here = period(proration=mode)
    charges = (Charge(usd(first).rounded(), here.start, here.end, usd(0)),)
    net = charges[0].amount
    for price, part in sorted(changes, key=lambda item: item[1]):
        at = here.start + (here.end - here.start) * part
        found = proration.change(charges, usd(price), here, at, mode, "UTC")
        charges = found.charges
        net += found.credit + found.charge
        assert found.credit <= usd(0) <= found.charge
        assert sum((charge.left for charge in charges), usd(0)) == net >= usd(0)


def test_per_month():
    amounts = [proration.per_month(usd(120), every) for every in
               (interval("month"), interval("year"), interval("6 months"), None)]  # fmt: skip
    assert amounts == [usd(120), usd(10), usd(20), usd(0)]
    assert proration.per_month(usd(84), interval("week")) == usd(365)
    assert proration.part_of_quantity(100_000, Fraction(1, 4)) == 25_000


# Numbers


def test_invoice_numbers():
    day = date(2026, 3, 1)
    assert numbering.invoice_number("ACME-{year}-{seq:05}", day, 1) == "ACME-2026-00001"
    assert numbering.invoice_number("{year:02}{month}/{seq}", day, 12) == "2603/12"
    assert numbering.series("ACME-{year}-{seq:05}", day) == "ACME-2026-{seq}"


# Dunning

FAILED = instant("2026-01-31T09:00:00Z")
STANDARD = Dunning(
    "standard", after=tuple(Duration(days=n) for n in (3, 7, 14)), action="suspend",
    grace=Duration(days=7), grace_action="cancel",
)  # fmt: skip


def test_a_list_counts_from_the_first_failure():
    due = dunning.schedule(STANDARD, FAILED, "UTC")
    assert [at - FAILED for at in due] == [timedelta(days=n) for n in (3, 7, 14)]
    second = dunning.after_failure(STANDARD, FAILED, due[0], 1, "card_declined", "UTC")
    assert second == dunning.Retry(due[1], 2)
    end = dunning.after_failure(STANDARD, FAILED, due[2], 3, "card_declined", "UTC")
    assert end == dunning.Exhausted("suspend", "cancel", due[2] + timedelta(days=7))


def test_a_hard_decline_goes_straight_to_the_end():
    for error in ("lost_card", "stolen_card", "fraudulent"):
        end = dunning.after_failure(STANDARD, FAILED, FAILED, 0, error, "UTC")
        assert end == dunning.Exhausted("suspend", "cancel", FAILED + timedelta(days=7))


def test_repeated_and_doubling_retries_count_from_the_one_before():
    every = Dunning("every", every=Duration(days=8), times=8)
    assert [(at - FAILED).days for at in dunning.schedule(every, FAILED, "UTC")] == [
        8, 16, 24, 32, 40, 48, 56, 64,
    ]  # fmt: skip
    backoff = Dunning("backoff", every=Duration(days=1), times=3, doubling=True)
    assert [(at - FAILED).days for at in dunning.schedule(backoff, FAILED, "UTC")] == [1, 3, 7]


def test_without_dunning_the_first_failure_is_the_end():
    assert dunning.after_failure(None, FAILED, FAILED, 0, None, "UTC") == dunning.Exhausted(
        None, None, None
    )


# The catalog


def fixed(amount, every="month", currency="USD", per_unit=None):
    rate = Rate((RatePart(Money(Decimal(amount), currency)),))
    return Price(currency, interval(every), Pricing(rate=rate), per_unit)


PRO = Plan(
    "pro",
    "Professional",
    prices=(fixed(99), fixed(990, "year"), fixed(90, currency="EUR"), fixed(15, per_unit="seat")),
    usages=(
        UsagePrice("calls", Pricing("graduated", tiers=(
            Tier(10, Rate()), Tier(None, Rate((RatePart(usd("0.005")), RatePart(usd(10), "flat"))))
        )), "USD", Interval(1, "month")),
        UsagePrice("payments", Pricing(rate=Rate((RatePart(Percent.of(Decimal("2.9"))),)))),
    ),
    includes=(Includes("calls", 100_000), Includes("calls", 5)),
    trial=Duration(days=14),
    features=("api-access",),
    limits={"users": 10, "projects": UNLIMITED, "$n": Decimal("0.5")},
    limit_types={"users": "number"},
    minimums=(usd(50),),
    seats=(1, UNLIMITED),
    phases=(Phase("launch", Duration(months=3), Terms(prices=(fixed(49),), limits={"users": 3})),
            Phase("then", Duration(months=1), Terms(prices=(fixed(69),)))),
    versions=(Version(date(2027, 1, 1), Terms(prices=(fixed(109),))),
              Version(date(2028, 1, 1), Terms(limits={"users": 5}), "renewal")),
    providers={"stripe": {"price": "price_1"}},
)  # fmt: skip


def test_the_catalog_survives_json():
    every = Catalog(
        BillingSettings(proration="second", grace=Duration.of(12, "hours")),
        {"pro": PRO, "$n": Plan("$n", addon=True, only=("pro",))},
        {"C": Coupon("C", Percent.of(25), duration=Duration(months=3), until=date(2026, 12, 31))},
        (Tax("vat", Percent.of(19), inclusive=True), Tax("stripe", provider="stripe")),
        {"standard": STANDARD},
    )  # fmt: skip
    text = json.dumps(catalog.to_json(every), sort_keys=True)
    assert catalog.from_json(json.loads(text)) == every
    assert json.dumps(catalog.to_json(catalog.from_json(json.loads(text))), sort_keys=True) == text
    assert catalog.from_json(catalog.to_json({"$t": 1})) == {"$t": 1}


def test_choosing_a_price():
    found = catalog.choose_prices(PRO, "USD", interval("month"))
    assert [price.per_unit for price in found] == [None, "seat"]
    assert catalog.choose_prices(PRO, "USD")[0] == PRO.prices[0]
    assert catalog.choose_prices(PRO, "USD", interval("12 months"))[0] == PRO.prices[1]
    assert catalog.choose_prices(PRO, "EUR")[0] == PRO.prices[2]
    assert catalog.choose_prices(PRO, "GBP") == ()
    assert [usage.meter for usage in catalog.choose_usages(PRO, "USD")] == ["calls", "payments"]
    assert [usage.meter for usage in catalog.choose_usages(PRO, "EUR")] == ["payments"]
    assert catalog.included(PRO, "calls") == 100_005
    assert catalog.included(PRO, "sms") is None
    assert (PRO.minimum("USD"), PRO.minimum("EUR"), PRO.maximum("USD")) == (usd(50), None, None)


def test_phases_hold_before_the_plain_lines():
    start = instant("2026-01-31T00:00:00Z")

    def amount(at):
        (part,) = overlays.plan_at(PRO, start, instant(at), "UTC").prices[0].pricing.rate.parts
        return part.amount

    assert amount("2026-04-29T23:59:59Z") == usd(49)
    assert amount("2026-04-30T00:00:00Z") == usd(69)
    assert amount("2026-05-31T00:00:00Z") == usd(99)
    assert overlays.plan_at(PRO, start, start, "UTC").limits["users"] == 3


def test_running_subscriptions_keep_their_version_unless_it_migrates():
    def limits_and_price(subscribed, renewed, today):
        found = overlays.version_for(PRO, *map(date.fromisoformat, (subscribed, renewed, today)))
        return found.limits["users"], found.prices[0].pricing.rate.parts[0].amount

    assert limits_and_price("2026-05-01", "2027-05-01", "2027-05-02") == (10, usd(99))
    assert limits_and_price("2027-01-01", "2027-01-01", "2027-05-02") == (10, usd(109))
    assert limits_and_price("2026-05-01", "2028-01-01", "2028-01-01") == (5, usd(99))
    assert limits_and_price("2026-05-01", "2027-12-01", "2028-01-01") == (10, usd(99))


def test_intervals():
    assert [str(interval(text)) for text in ("month", "6 months", "quarter", "2 years")] == [
        "1 month", "6 months", "3 months", "2 years",
    ]  # fmt: skip
    for bad in ("", "fortnight", "0 months", "-1 month", "1.5 months", "s"):
        with pytest.raises(EvalError):
            interval(bad)
