"""An invoice: lines, minimum and maximum, coupons, tax, credit, in that order."""

from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from bizrun.billing import discounts, lines, periods, proration, taxes
from bizrun.billing.catalog import (
    BillingSettings,
    Coupon,
    Interval,
    Plan,
    Price,
    Pricing,
    Rate,
    RatePart,
    Tax,
    Tier,
    UsagePrice,
)
from bizrun.billing.credit_notes import credit_note
from bizrun.billing.credits import Grant, Payable, use_credit
from bizrun.billing.discounts import Attached, Discountable
from bizrun.billing.invoicing import Bound, Draft, Line, bound_lines, invoice, round_lines
from bizrun.billing.rating import Rated, Usage, rate_usage
from bizrun.errors import EvalError
from bizrun.values import Duration, Money, Percent, instant, money

AT = instant("2026-05-01T00:00:00Z")
APRIL = instant("2026-04-01T00:00:00Z")
JUNE = instant("2026-06-01T00:00:00Z")
HERE = BillingSettings()
SALES = Tax("sales", Percent.of(20))
VAT = Tax("vat", Percent.of(19), inclusive=True)


def usd(amount):
    return Money(Decimal(str(amount)), "USD")


def line(amount, kind="base", **more):
    amount = amount if isinstance(amount, Money) else usd(amount)
    more = {"period_start": AT, "period_end": JUNE, "subscription": "s", "plan": "pro"} | more
    return Line(kind, kind, amount, **more)


def off(what, **more):
    attached = {name: more.pop(name) for name in ("at", "invoices", "subscription") if name in more}
    return Attached(Coupon("C", what, **more), **({"at": AT} | attached))


def made(*found, here=HERE, tax=(), **more):
    currency = found[0].amount.currency if found else "USD"
    return invoice(Draft(AT, currency, found, tax_of=lambda _: tax, **more), here)


def test_a_coupon_and_tax():
    found = made(line(100), coupons=(off(usd(40)),), tax=(SALES,))
    assert (found.subtotal, found.discount, found.tax) == (usd(100), usd(40), usd(12))
    assert found.total == found.amount_due == usd(72)
    assert found.taxes == (taxes.TaxShare("sales", SALES.rate, False, usd(60), usd(12)),)


def test_credit_after_tax_and_before():
    credit = (Grant("g", usd(50)),)
    found = made(line(100), grants=credit, tax=(SALES,))
    assert (found.total, found.credit, found.amount_due) == (usd(120), usd(50), usd(70))
    before = made(line(100), grants=credit, tax=(SALES,), here=replace(HERE, credit="before_tax"))
    assert (before.tax, before.total, before.amount_due) == (usd(10), usd(110), usd(60))


def test_credit_is_never_more_than_the_total():
    found = made(line(100), grants=(Grant("g", usd(500)),), tax=(SALES,))
    assert (found.credit, found.amount_due) == (usd(120), usd(0))
    assert [use.amount for use in found.credits] == [usd(120)]


def test_credit_goes_by_expiry_then_by_order_of_granting():
    grants = (
        Grant("first", usd(10)),
        Grant("second", usd(10)),
        Grant("late", usd(10), AT + timedelta(days=90)),
        Grant("soon", usd(10), AT + timedelta(days=1)),
        Grant("gone", usd(10), AT),
        Grant("foreign", money("10 EUR")),
    )
    found = made(line(35), grants=grants)
    assert [(use.grant, use.amount) for use in found.credits] == [
        ("soon", usd(10)),
        ("late", usd(10)),
        ("first", usd(10)),
        ("second", usd(5)),
    ]


def test_credit_for_a_meter_pays_its_lines_only():
    grants = (
        Grant("calls", usd(80), AT + timedelta(days=1), meters=("calls",)),
        Grant("any", usd(500)),
    )
    found = made(line(100), line(60, "usage", meter="calls"), grants=grants, tax=(SALES,))
    assert [(use.grant, use.amount) for use in found.credits] == [
        ("calls", usd(72)),
        ("any", usd(120)),
    ]
    assert [item.credit for item in found.lines] == [usd(120), usd(72)]
    assert use_credit([Payable(usd(9), "base")], grants[:1], AT).uses == ()


def test_credit_for_anything_leaves_a_meters_lines_to_what_pays_only_them():
    lines = [Payable(usd(50), "base"), Payable(usd(50), "usage", "calls")]
    anything, calls = Grant("any", usd(60)), Grant("calls", usd(45), meters=("calls",))
    used = use_credit(lines, (anything, calls), AT)
    assert [use.amount for use in used.uses] == [usd(60), usd(40)]
    assert used.by_line == (usd(50), usd(50))
    # None is left aside for what has expired, or was used before.
    gone = Grant("gone", usd(45), AT - timedelta(days=1), meters=("calls",))
    assert use_credit(lines, (gone, anything), AT).by_line == (usd(30), usd(30))


def test_a_balance_keeps_what_is_below_the_minor_unit():
    assert made(line(100), grants=(Grant("g", usd("10.005")),)).credit == usd(10)


def test_lines_are_rounded_once():
    assert made(line("74.985")).total == usd("74.99")
    assert made(line("74.985"), here=replace(HERE, rounding="half_even")).total == usd("74.98")
    assert made(line("-74.985")).total == usd("-74.99")
    assert made(line(money("99.5 JPY"))).total == money("100 JPY")
    assert made(line(money("1.2345 KWD"))).total == money("1.235 KWD")


def test_a_net_below_zero_becomes_credit():
    found = made(line(-15, "proration", discountable=False))
    assert (found.total, found.granted, found.amount_due) == (usd(-15), usd(15), usd(0))
    assert found.amount_due == found.total - found.credit


def test_lines_about_nothing_are_left_out():
    empty = (line(0, "usage", quantity=0), line(0, "proration"))
    assert made(*empty).lines == ()
    assert [item.kind for item in made(line(0), *empty).lines] == ["base"]


def test_percent_of_what_is_left_in_the_order_attached():
    ten, half = off(usd(10)), off(Percent.of(50))
    assert made(line(100), coupons=(ten, half)).discount == usd(55)
    assert made(line(100), coupons=(half, ten)).discount == usd(60)
    assert made(line(8), coupons=(ten, half)).total == usd(0)
    assert [use.amount for use in made(line(8), coupons=(ten, half)).coupons] == [usd(8)]


def test_a_discount_is_rounded_once_and_spread():
    found = made(*[line("0.33")] * 3, coupons=(off(Percent.of(50)),))
    assert found.discount == usd("0.50")
    assert [item.discount for item in found.lines] == [usd("0.17"), usd("0.17"), usd("0.16")]


def test_a_credit_line_is_not_discounted_but_its_charge_is():
    credit = line(-15, "proration", discountable=False)
    found = made(credit, line(45, "proration"), coupons=(off(Percent.of(20)),))
    assert [item.discount for item in found.lines] == [usd(0), usd(9)]
    assert found.total == usd(21)


def test_a_percentage_holds_for_corrections_too():
    found = made(line(100), line(-10, "correction"), coupons=(off(Percent.of(20)),))
    assert [item.discount for item in found.lines] == [usd(20), usd(-2)]
    tiny = made(line("100.00"), line("-99.99", "correction"), coupons=(off(Percent.of(50)),))
    assert [item.discount for item in tiny.lines] == [usd("50.00"), usd("-49.99")]
    assert made(line(10), line(-20, "correction"), coupons=(off(usd(5)),)).discount == usd(0)


def test_how_long_a_coupon_holds():
    def holds(attached, start, plan="pro", zone="UTC"):
        about = Discountable(usd(1), True, plan, instant(start), "s")
        return discounts.holds(attached, about, zone)

    begun = instant("2026-01-31T09:00:00Z")
    months = off(Percent.of(25), duration=Duration(months=3), at=begun)
    starts = ("2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30")
    assert [holds(months, f"{day}T00:00:00Z") for day in starts] == [True, True, True, False]
    assert not holds(months, "2026-01-30T00:00:00Z")
    assert not holds(off(Percent.of(5), once=True, invoices=1), "2026-05-01T00:00:00Z")
    assert holds(off(Percent.of(5), invoices=99), "2036-05-01T00:00:00Z")
    assert not holds(off(usd(5), only=("team",)), "2026-05-01T00:00:00Z")
    assert holds(off(usd(5), subscription="s"), "2026-05-01T00:00:00Z")
    assert not holds(off(usd(5), subscription="other"), "2026-05-01T00:00:00Z")


def test_whether_a_coupon_may_be_attached():
    coupon = Coupon("L", usd(10), once_per_customer=True, times=500, until=date(2026, 12, 31),
                    only=("pro",))  # fmt: skip
    day = date(2026, 12, 31)
    assert discounts.why_not(coupon, day, 499, 0, "pro") is None
    assert discounts.why_not(coupon, date(2027, 1, 1), 0, 0) == "expired"
    assert discounts.why_not(coupon, day, 500, 0) == "used up"
    assert discounts.why_not(coupon, day, 1, 1) == "once per customer"
    assert discounts.why_not(coupon, day, 1, 0, "team") == "not for this plan"


def test_several_taxes_are_added_up_and_rounded_once():
    held = (Tax("state", Percent.of(Decimal("4.5"))), Tax("city", Percent.of(Decimal("4.5"))))
    found = taxes.tax(usd("0.05"), held)
    assert found.total == usd("0.00")
    assert taxes.tax(usd("0.17"), held).total == usd("0.02")
    assert [share.amount for share in taxes.tax(usd("1.50"), held).shares] == [
        usd("0.07"),
        usd("0.07"),
    ]
    assert [share.amount for share in taxes.tax(usd("1.45"), held).shares] == [
        usd("0.07"),
        usd("0.06"),
    ]


def test_inclusive_prices_are_split():
    found = made(line(119), tax=(VAT,))
    assert (found.subtotal, found.tax, found.total) == (usd(100), usd(19), usd(119))
    assert found.lines[0].charged == usd(119)
    less = made(line(119), tax=(VAT,), coupons=(off(Percent.of(10)),))
    assert (less.subtotal, less.discount, less.tax) == (usd(100), usd(10), usd("17.10"))
    assert less.total == less.lines[0].charged == usd("107.10")


def test_inclusive_tax_with_credit_before_tax():
    before = replace(HERE, credit="before_tax")
    found = made(line(119), tax=(VAT,), grants=(Grant("g", usd(50)),), here=before)
    assert found.tax == usd("11.02")
    assert (found.total, found.discount, found.amount_due) == (usd(119), usd(0), usd(69))


def test_taxes_go_by_line():
    draft = Draft(AT, "USD", (line(100), line(100, "usage")),
                  tax_of=lambda item: (SALES,) if item.kind == "base" else ())  # fmt: skip
    assert [item.tax for item in invoice(draft, HERE).lines] == [usd(20), usd(0)]


def test_a_tax_inside_and_one_on_top():
    both = taxes.tax(usd(119), (VAT, Tax("city", Percent.of(10))))
    assert (both.net, both.included, both.total) == (usd(100), usd(19), usd(29))


def april(before, minimum=None, maximum=None, **more):
    return Bound("s", "pro", APRIL, AT, minimum, maximum, usd(before), **more)


def used(amount, **more):
    return line(amount, "usage", **({"period_start": APRIL, "period_end": AT} | more))


def test_a_minimum_tops_up_base_and_usage_of_the_period():
    found = made(line(20), used(10), bounds=(april(20, minimum=usd(50)),))
    assert [(item.kind, item.amount) for item in found.lines] == [
        ("base", usd(20)),
        ("usage", usd(10)),
        ("minimum", usd(20)),
    ]
    assert made(used(30), bounds=(april(20, minimum=usd(50)),)).total == usd(30)
    half = april(0, minimum=usd(50), share=Fraction(1, 3))
    assert made(used(1), bounds=(half,)).total == usd("16.67")
    running = april(0, minimum=usd(50), settle=False)
    assert made(used(1), bounds=(running,)).total == usd(1)


def test_a_maximum_is_a_discount_line():
    found = made(used(2500), bounds=(april(20, maximum=usd(2000)),))
    assert [(item.kind, item.amount) for item in found.lines] == [
        ("usage", usd(2500)),
        ("maximum", usd(-520)),
    ]
    # Coupons are on what is left of both.
    ten = made(used(2500), bounds=(april(0, maximum=usd(2000)),), coupons=(off(Percent.of(10),
               at=APRIL),))  # fmt: skip
    assert (ten.discount, ten.total) == (usd(200), usd(1800))
    other = used(2500, subscription="other")
    assert made(other, bounds=(april(0, maximum=usd(2000)),)).total == usd(2500)


def plan_price(amount):
    return Price(
        "USD", Interval(1, "month"), Pricing(rate=Rate((RatePart(usd(amount)),))), per_unit=None
    )


def test_the_lines_of_a_subscription():
    pro = Plan("pro", "Professional", prices=(plan_price(99),))
    subject = lines.Subject.of("s", pro)
    (base,) = lines.base_lines(subject, pro.prices, 7, AT, JUNE, Fraction(1, 3))
    assert (base.amount, base.quantity, base.unit_amount) == (usd(33), 1, usd(99))
    seats = replace(pro.prices[0], per_unit="seat")
    (seat,) = lines.base_lines(subject, (seats,), 7, AT, JUNE)
    assert (seat.amount, seat.quantity, seat.description) == (usd(693), 7, "Professional per seat")
    tiers = Pricing("graduated", tiers=(
        Tier(5, Rate((RatePart(usd(7)),))), Tier(None, Rate((RatePart(usd("6.5")),)))
    ))  # fmt: skip
    rated = rate_usage(UsagePrice("calls", tiers, "USD"), [Usage(6)], "USD")
    billed = {(): Rated(usd(35), 5, ())}
    (late,) = lines.usage_lines(subject, "calls", rated, APRIL, AT, billed, "correction")
    assert (late.kind, late.amount, late.quantity) == ("correction", usd("6.50"), 1)
    assert lines.one_off_line("Setup", usd(50), 2).amount == usd(100)


def test_a_change_of_plan_on_an_invoice():
    old, new = (lines.Subject("s", name, name.title()) for name in ("basic", "pro"))
    here = periods.period(periods.cycle(APRIL, Interval(1, "month"), HERE), 0)
    charged = [proration.Charge(usd(30), here.start, here.end, usd(0))]
    at = instant("2026-04-16T12:00:00Z")
    change = proration.change(charged, usd(90), here, at, "day", "UTC")
    found = made(*lines.change_lines(old, new, change, here))
    assert [(item.description, item.amount) for item in found.lines] == [
        ("Unused time on Basic", usd(-15)),
        ("Remaining time on Pro", usd(45)),
    ]
    assert found.amount_due == usd(30)
    assert found.lines[0].period_start == instant("2026-04-16T00:00:00Z")


KINDS = st.sampled_from(["base", "usage", "correction", "one_off", "proration"])
CENTS = st.decimals(-1000, 1000, places=4)
LINES = st.lists(
    st.builds(lambda cents, kind: line(cents, kind, discountable=kind != "proration"),
              CENTS, KINDS),
    min_size=1, max_size=8,
)  # fmt: skip
COUPONS = st.lists(
    st.one_of(
        st.decimals(0, 100, places=2).map(lambda points: off(Percent.of(points))),
        st.decimals(0, 500, places=2).map(lambda amount: off(usd(amount))),
    ),
    max_size=3,
)
TAXES = st.lists(
    st.builds(lambda n, points, inclusive: Tax(f"t{n}", Percent.of(points), inclusive),
              st.integers(0, 9), st.decimals(0, 30, places=2), st.booleans()),
    max_size=3,
)  # fmt: skip
GRANTS = st.lists(
    st.builds(lambda n, cents, kinds: Grant(str(n), usd(cents), kinds=kinds),
              st.integers(), st.decimals(0, 900, places=3),
              st.sampled_from([(), ("usage",), ("base", "one_off")])),
    max_size=3,
)  # fmt: skip
SETTINGS = st.builds(
    BillingSettings,
    rounding=st.sampled_from(["half_up", "half_even"]),
    credit=st.sampled_from(["after_tax", "before_tax"]),
)
BOUNDS = st.builds(
    lambda minimum, maximum: (Bound("s", "pro", AT, JUNE, usd(minimum), usd(maximum), usd(0)),),
    st.integers(0, 500), st.integers(500, 2000),
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(LINES, BOUNDS, COUPONS, TAXES, GRANTS, SETTINGS)
def test_everything_adds_up(found, bounds, coupons, held, grants, here):
    got = made(*found, here=here, tax=tuple(held), bounds=bounds, coupons=tuple(coupons),
               grants=tuple(grants))  # fmt: skip
    zero = usd(0)
    assert got.subtotal - got.discount + got.tax == got.total
    assert got.total - got.credit == got.amount_due >= zero
    assert got.total == sum((item.total for item in got.lines), zero)
    assert got.tax == sum((share.amount for share in got.taxes), zero)
    used_credit = sum((use.amount for use in got.credits), zero)
    assert got.granted == max(used_credit - got.total, zero)
    assert used_credit == sum((item.credit for item in got.lines), zero)
    assert used_credit == got.credit + got.granted
    for use in got.coupons:
        assert sum(use.by_line, zero) == use.amount
    for item in got.lines:
        assert sum((share.amount for share in item.taxes), zero) == item.tax
        for amount in (item.amount, item.discount, item.tax, item.credit):
            assert amount == amount.rounded()
    rounded = round_lines(found, here.half_even)
    rounded += bound_lines(rounded, bounds, here.half_even)
    prices = sum((item.amount for item in rounded), zero)
    off_all = sum((use.amount for use in got.coupons), zero)
    assert sum((item.charged for item in got.lines), zero) == prices - off_all


@pytest.mark.parametrize("points", [0, 100, 150])
def test_a_percentage_stays_between_nothing_and_all(points):
    found = made(line(100), coupons=(off(Percent.of(points)),))
    assert found.discount == usd(min(points, 100))


def test_a_credit_note_gives_back_the_discounted_line_and_its_tax():
    final = made(line(100), line(50, "one_off"), coupons=(off(Percent.of(10)),), tax=(SALES,))
    note = credit_note(final.lines, place=0)
    assert (note.amount, note.tax, note.total) == (usd(90), usd(18), usd(108))
    part = credit_note(final.lines, amount=usd("13.50"))
    assert [(item.place, item.amount, item.tax) for item in part.lines] == [
        (0, usd(9), usd("1.80")),
        (1, usd("4.50"), usd("0.90")),
    ]
    rest = credit_note(final.lines, part.lines)
    assert (part.total + rest.total, rest.amount) == (final.total, usd("121.50"))
    for bad in (usd("121.51"), usd(-1)):
        with pytest.raises(EvalError, match="left"):
            credit_note(final.lines, part.lines, amount=bad)
    assert credit_note(final.lines, amount=usd(0)).lines == ()


@settings(max_examples=150, deadline=None)
@given(LINES, COUPONS, TAXES, st.lists(st.integers(0, 100), max_size=4))
def test_credit_notes_add_up_to_the_invoice(found, coupons, held, steps):
    final = made(line(1), *found, tax=tuple(held), coupons=tuple(coupons))
    given_back, total = [], usd(0)
    for step in steps:
        left = credit_note(final.lines, given_back).amount
        if left > usd(0):
            note = credit_note(final.lines, given_back, amount=(left * step / 100).rounded())
            given_back += note.lines
            total += note.total
    assert total + credit_note(final.lines, given_back).total == final.total
