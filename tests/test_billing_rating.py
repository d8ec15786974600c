"""Tiers, packages, percentages, dimensions and allowances."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bizrun.billing import rating
from bizrun.billing.catalog import (
    DimensionRate,
    Interval,
    Price,
    Pricing,
    Rate,
    RatePart,
    Tier,
    UsagePrice,
)  # fmt: skip
from bizrun.billing.rating import Usage, rate
from bizrun.errors import EvalError
from bizrun.values import Money, Percent, money


def usd(amount):
    return Money(Decimal(str(amount)), "USD")


def part(amount, unit="unit", size=1):
    return RatePart(amount if isinstance(amount, Percent) else usd(amount), unit, size)


def per(*parts, **bounds):
    return Rate(
        tuple(item if isinstance(item, RatePart) else part(item) for item in parts), **bounds
    )


def tiers(model, *steps):
    return Pricing(model, tiers=tuple(Tier(bound, rate_) for bound, rate_ in steps))


SEVEN = ((5, per(7)), (10, per("6.50")), (None, per(6)))


@pytest.mark.parametrize(
    ("model", "quantity", "amount"),
    [
        ("volume", 5, "35"), ("volume", 6, "39"), ("volume", 10, "65"), ("volume", 11, "66"),
        ("graduated", 5, "35"), ("graduated", 6, "41.50"), ("graduated", 10, "67.50"),
        ("graduated", 11, "73.50"), ("graduated", 0, "0"), ("volume", 0, "0"),
        ("stairstep", 5, "7"), ("stairstep", 6, "6.5"), ("stairstep", 0, "0"),
        ("graduated", Decimal("5.5"), "38.25"), ("volume", Decimal("5.5"), "35.75"),
        ("graduated", -3, "0"),
    ],
)  # fmt: skip
def test_tiers(model, quantity, amount):
    assert rate(tiers(model, *SEVEN), quantity, "USD").amount == usd(amount)


def test_the_plan_of_the_language_page():
    pricing = tiers(
        "graduated",
        (10_000, per()),
        (100_000, per("0.01")),
        (1_000_000, per("0.008")),
        (None, per("0.005", part(10, "flat"))),
    )
    assert rate(pricing, 10_000, "USD").amount == usd(0)
    assert rate(pricing, 10_001, "USD").amount == usd("0.01")
    assert rate(pricing, 1_000_000, "USD").amount == usd(900 + 7200)
    found = rate(pricing, 1_000_001, "USD")
    assert found.amount == usd("8110.005")
    assert [(step.above, step.up_to, step.quantity, step.flat) for step in found.tiers] == [
        (0, 10_000, 10_000, usd(0)),
        (10_000, 100_000, 90_000, usd(0)),
        (100_000, 1_000_000, 900_000, usd(0)),
        (1_000_000, None, 1, usd(10)),
    ]
    assert rating.explanation(found)[-1] == {
        "above": 1_000_000, "quantity": 1, "unit_amount": usd("0.005"), "flat": usd(10),
        "amount": usd("10.005"),
    }  # fmt: skip


def test_flat_is_due_once_for_each_tier_entered():
    pricing = tiers("graduated", (5, per(5, part(10, "flat"))), (None, per(4, part(20, "flat"))))
    assert rate(pricing, 0, "USD").amount == usd(0)
    assert rate(pricing, 1, "USD").amount == usd(15)
    assert rate(pricing, 5, "USD").amount == usd(35)
    assert rate(pricing, 6, "USD").amount == usd(59)


def test_flat_always_is_also_due_with_none():
    pricing = tiers(
        "graduated", (5, per(5, part(10, "flat always"))), (None, per(4, part(20, "flat always")))
    )
    assert rate(pricing, 0, "USD").amount == usd(10)
    assert rate(pricing, 6, "USD").amount == usd(59)
    assert rate(Pricing(rate=per(part(3, "flat"))), 0, "USD").amount == usd(0)
    assert rate(Pricing(rate=per(part(3, "flat always"))), 0, "USD").amount == usd(3)


def test_in_volume_and_stairstep_only_the_tier_reached_is_entered():
    steps = ((5, per(5, part(10, "flat"))), (None, per(4, part(20, "flat"))))
    assert rate(tiers("volume", *steps), 6, "USD").amount == usd(44)
    assert rate(tiers("volume", *steps), 0, "USD").amount == usd(0)
    assert rate(tiers("stairstep", *steps), 6, "USD").amount == usd(24)


def test_a_step_and_a_flat_part_mean_the_same_in_stairstep():
    plain = tiers("stairstep", (100, per(100)), (None, per(250)))
    flat = tiers("stairstep", (100, per(part(100, "flat"))), (None, per(part(250, "flat"))))
    for quantity in (0, 1, 100, 101):
        assert rate(plain, quantity, "USD").amount == rate(flat, quantity, "USD").amount
    assert rate(plain, 100, "USD").amount == usd(100)
    assert rate(plain, 101, "USD").amount == usd(250)


def test_each_started_package():
    pricing = Pricing("package", rate=per(5), package=1000)
    amounts = [rate(pricing, n, "USD").amount for n in (0, 1, 1000, 1001, Decimal("2000.5"))]
    assert amounts == [usd(0), usd(5), usd(5), usd(10), usd(15)]
    assert rate(pricing, 1001, "USD").tiers[0].packages == 2


def test_packages_within_a_tier():
    pricing = tiers(
        "graduated",
        (10_000, per(part(5, "package", 1000))),
        (None, per(part(3, "package", 1000))),
    )
    assert rate(pricing, 9_500, "USD").amount == usd(50)
    assert rate(pricing, 10_001, "USD").amount == usd(53)


def test_a_percentage_with_a_fixed_part_for_each_event():
    pricing = Pricing(rate=per(part(Percent.of(Decimal("2.9"))), part("0.30", "event")))
    assert rate(pricing, Usage(Decimal("100.00"), 1), "USD").amount == usd("3.20")
    assert rate(pricing, Usage(Decimal("1234.56"), 3), "USD").amount == usd("36.70224")


def test_fixed_parts_for_each_event_in_tiers():
    pricing = tiers(
        "graduated",
        (1000, per(part(Percent.of(3)), part("0.30", "event"))),
        (None, per(part(Percent.of(2)), part("0.20", "event"))),
    )
    # 200, 950, 1000, 1250 and 1500: three of them have not gone above 1000.
    counted = Usage(1500, 5, each=(200, 750, 50, 250, 250))
    assert rate(pricing, counted, "USD").amount == usd("41.30")
    in_proportion = Usage(1500, 10)
    assert rate(pricing, in_proportion, "USD").amount == usd("42.60")
    assert rate(pricing, Usage(0, 2), "USD").amount == usd("0.60")


def test_so_much_for_a_size_in_proportion():
    pricing = Pricing(rate=per(part("0.023", "unit", 1 << 30)))
    assert rate(pricing, 3 << 29, "USD").amount == usd("0.0345")


def test_bounds():
    capped = Pricing(rate=per(1, at_most=usd(10), at_least=usd(2)))
    assert [rate(capped, n, "USD").amount for n in (0, 1, 5, 50)] == [
        usd(2), usd(2), usd(5), usd(10),
    ]  # fmt: skip


DIMENSIONS = Pricing(
    "dimension",
    dimensions=("endpoint",),
    cases=(
        DimensionRate(("chat",), Pricing(rate=per("0.02"))),
        DimensionRate(("embed",), Pricing(rate=per("0.004"))),
        DimensionRate((None,), Pricing(rate=per("0.01"))),
    ),
)


def test_a_price_for_each_value_of_a_dimension():
    price = UsagePrice("api_calls", DIMENSIONS, "USD")
    used = [Usage(100, values=("zip",)), Usage(100, values=("embed",)), Usage(50, values=("chat",)),
            Usage(50, values=("chat",))]  # fmt: skip
    found = rating.rate_usage(price, used, "USD")
    assert [(rated.values, rated.amount) for rated in found] == [
        (("chat",), usd(2)), (("embed",), usd("0.4")), (("zip",), usd(1)),
    ]  # fmt: skip
    assert rating.rate_usage(price, [], "USD")[0].amount == usd(0)


def test_an_allowance_goes_to_the_cases_in_their_order():
    price = UsagePrice("api_calls", DIMENSIONS, "USD")
    used = [Usage(100, values=("embed",)), Usage(100, values=("chat",))]
    found = rating.rate_usage(price, used, "USD", included=150)
    assert [(rated.included, rated.quantity) for rated in found] == [(100, 0), (50, 50)]


def test_a_matrix_takes_the_most_exact_case():
    pricing = Pricing(
        "dimension",
        dimensions=("region", "size"),
        cases=(
            DimensionRate((None, None), Pricing(rate=per(1))),
            DimensionRate(("eu", None), Pricing(rate=per(2))),
            DimensionRate(("eu", "xl"), Pricing(rate=per(3))),
        ),
    )
    got = [rate(pricing, Usage(1, values=v), "USD").amount
           for v in (("eu", "xl"), ("eu", "s"), ("us", "xl"))]  # fmt: skip
    assert got == [usd(3), usd(2), usd(1)]


def test_tiers_for_each_value_by_itself():
    pricing = Pricing("graduated", tiers=tiers("graduated", *SEVEN).tiers, dimensions=("region",))
    used = [Usage(5, values=("eu",)), Usage(6, values=("us",))]
    found = rating.rate_usage(UsagePrice("m", pricing, "USD"), used, "USD")
    assert [rated.amount for rated in found] == [usd(35), usd("41.50")]


def test_an_allowance_is_taken_off_before_rating():
    price = UsagePrice("api_calls", tiers("graduated", *SEVEN), "USD")
    (found,) = rating.rate_usage(price, [Usage(4), Usage(7)], "USD", included=5)
    assert (found.included, found.quantity, found.amount) == (5, 6, usd("41.50"))
    (free,) = rating.rate_usage(price, [Usage(4)], "USD", included=5)
    assert (free.included, free.quantity, free.amount) == (4, 0, usd(0))


def test_seats():
    graduated = tiers("graduated", (10, per(15)), (None, per(12)))
    seats = Price("USD", Interval(1, "month"), graduated, per_unit="seat")
    assert rating.fixed_amount(seats, 12).amount == usd(174)
    base = Price("USD", Interval(1, "month"), Pricing(rate=per(99)))
    assert rating.fixed_amount(base, 12).amount == usd(99)


def test_tiered_of_the_language():
    steps = [{"up_to": 10, "price": usd(7)}, {"price": usd(6)}]
    assert rating.tiered(12, steps) == usd(82)
    assert rating.tiered(Decimal("0.5"), steps) == usd("3.50")
    assert rating.tiered(1, [{"price": money("5 JPY"), "flat": money("100 JPY")}]) == money(
        "105 JPY"
    )
    for bad in ([], [{"price": 7}], [{"price": usd(1)}, {"price": usd(2)}],
                [{"up_to": 5, "price": usd(1)}, {"up_to": 5, "price": usd(2)}],
                [{"up_to": 5, "price": usd(1)}, {"price": money("2 EUR")}]):  # fmt: skip
        with pytest.raises(EvalError):
            rating.tiered(9, bad)


def test_examples_that_others_publish():
    # Lago: graduated percentages with a flat amount a tier, volume with one.
    lago = tiers(
        "graduated",
        (1000, per(part(Percent.of(1)), part(200, "flat"))),
        (10_000, per(part(Percent.of(2)), part(300, "flat"))),
        (None, per(part(Percent.of(3)), part(400, "flat"))),
    )
    totals = [rate(lago, n, "USD").amount for n in (500, 1050, 5050)]
    assert totals == [usd(205), usd(511), usd(591)]
    volume = tiers(
        "volume",
        (10_000, per("0.0010", part(10, "flat"))),
        (50_000, per("0.0008", part(10, "flat"))),
        (100_000, per("0.0006", part(10, "flat"))),
        (None, per("0.0004", part(10, "flat"))),
    )
    assert rate(volume, 65_000, "USD").amount == usd(49)
    # Zuplo, on OpenMeter: 15,000 units by both modes.
    steps = ((1000, per("0.10")), (10_000, per("0.05")), (None, per("0.01")))
    assert rate(tiers("graduated", *steps), 15_000, "USD").amount == usd(600)
    assert rate(tiers("volume", *steps), 15_000, "USD").amount == usd(150)


QUANTITIES = st.one_of(st.integers(0, 10_000), st.decimals(0, 10_000, places=3, allow_nan=False))
RATES = st.builds(
    lambda unit, flat, package: per(
        *([part(unit)] if unit else []),
        *([part(flat, "flat")] if flat else []),
        *([part(1, "package", package)] if package else []),
    ),
    st.decimals(0, 10, places=4),
    st.decimals(0, 50, places=2),
    st.one_of(st.none(), st.integers(1, 500)),
)
STEPS = st.builds(
    lambda bounds, rates: tuple(zip([*sorted(bounds), None], rates, strict=False)),
    st.sets(st.integers(1, 5000), min_size=1, max_size=4),
    st.lists(RATES, min_size=5, max_size=5),
)


@settings(max_examples=200, deadline=None)
@given(STEPS, QUANTITIES, QUANTITIES)
def test_graduated_never_falls(steps, one, other):
    pricing = tiers("graduated", *steps)
    less, more = sorted((one, other))
    assert rate(pricing, less, "USD").amount <= rate(pricing, more, "USD").amount


@settings(max_examples=200, deadline=None)
@given(STEPS, QUANTITIES)
def test_an_explanation_adds_up(steps, quantity):
    for model in ("graduated", "volume", "stairstep"):
        found = rate(tiers(model, *steps), quantity, "USD")
        assert sum((step.amount for step in found.tiers), usd(0)) == found.amount
        assert sum(step.quantity for step in found.tiers) == quantity


@settings(max_examples=200, deadline=None)
@given(STEPS, st.lists(st.integers(0, 2000), min_size=1, max_size=6), st.integers(0, 3000))
def test_how_a_total_is_split_changes_nothing(steps, parts, included):
    for model in ("graduated", "volume", "stairstep"):
        price = UsagePrice("m", tiers(model, *steps), "USD")
        split = rating.rate_usage(price, [Usage(n) for n in parts], "USD", included)
        assert split == rating.rate_usage(price, [Usage(sum(parts))], "USD", included)


@settings(max_examples=200, deadline=None)
@given(
    st.sets(st.integers(1, 1000), min_size=1, max_size=4),
    st.lists(st.decimals(0, 10, places=4), min_size=5, max_size=5),
    st.integers(1, 1200),
)
def test_volume_jumps_only_at_bounds(bounds, rates, quantity):
    steps = tuple(zip([*sorted(bounds), None], map(per, rates), strict=False))
    pricing = tiers("volume", *steps)
    here = rate(pricing, quantity, "USD")
    after = rate(pricing, quantity + 1, "USD")
    if quantity not in bounds:
        assert after.amount - here.amount == here.tiers[0].unit_amount
    assert here.amount == here.tiers[0].unit_amount * quantity
