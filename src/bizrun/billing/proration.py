"""What a part of a period costs, and what of a charge is given back.

Shares are exact fractions of the whole period; amounts stay exact until their line is rounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction

from .. import times
from ..errors import EvalError
from ..values import Duration, Money, Number, check_number, divide
from . import periods
from .catalog import Interval, Proration
from .periods import WHOLE, Period
from .split import spread, spread_exact


@dataclass(frozen=True, slots=True)
class Charge:
    """What was really charged for `[start, end)`: the line's amount less its discounts.

    `given_back` is what refunds, credit notes and earlier changes have taken off it.
    """

    amount: Money
    start: datetime
    end: datetime
    given_back: Money

    @property
    def left(self) -> Money:
        """What is still charged."""
        return self.amount - self.given_back


@dataclass(frozen=True, slots=True)
class Change:
    """The lines of a change in mid-period, rounded: `given` is what each charge gives back.

    `charges` is what stands charged for the period after it; `charge` without coupons and tax.
    """

    given: tuple[Money, ...]
    charge: Money
    charges: tuple[Charge, ...]

    @property
    def credit(self) -> Money:
        """What is given back in all, below zero or 0."""
        return -sum(self.given, self.charge * 0)


def portion(amount: Money, share: Fraction) -> Money:
    """A fraction of an amount, exact as far as 34 digits go."""
    if share is WHOLE or share == 1:
        return amount
    part = divide(amount.amount * share.numerator, share.denominator)
    return Money(Decimal(part), amount.currency)


def ratio(part: Money, whole: Money) -> Fraction:
    """One amount by another, exactly."""
    return Fraction(part.amount) / Fraction(whole.amount)


def unused_share(period: Period, at: datetime, proration: Proration, zone: str) -> Fraction:
    """The part of a whole period that is left from an instant on, its day included; none: 0."""
    if proration == "none":
        return Fraction()
    begin = min(max(at, period.start), period.end)
    return periods.share(period, begin, period.end, zone, proration == "second")


def part_left(period: Period, at: datetime, proration: Proration, zone: str) -> Fraction:
    """The part that is left of a period as long as it is, be it a first one cut short."""
    return unused_share(replace(period, whole_start=period.start), at, proration, zone)


def share_between(
    period: Period, start: datetime, end: datetime, proration: Proration, zone: str
) -> Fraction:
    """The part of a whole period that lies between two instants, as the business prorates."""
    if start == period.whole_start and end == period.end:
        return WHOLE
    if proration == "none":
        return periods.first_share(period, zone, False)
    return periods.share(period, start, end, zone, proration == "second")


def period_share(period: Period, proration: Proration, zone: str) -> Fraction:
    """The part of a whole period that a period is: below 1 for a first one cut short."""
    return periods.first_share(period, zone, proration == "second")


def prorate(
    amount: Money,
    start: datetime | date,
    end: datetime | date,
    period: Period | Duration | tuple[datetime | date, datetime | date],
    zone: str,
    by_second: bool = False,
) -> Money:
    """The part of an amount that falls on `start` to `end`, unrounded: the language's function.

    `period` is what the amount is for: a range of time, or a length (then the one that ends where
    `end` is). The day of `start` counts, the day of `end` does not, unless by second.
    """
    first, last = _instant(start, zone), _instant(end, zone)
    whole = _whole(period, last, zone)
    if whole.end <= whole.whole_start:
        raise EvalError("prorate needs a period that ends after it begins")
    if last < first:
        raise EvalError("prorate needs an end that is not before its start")
    return portion(amount, periods.share(whole, first, last, zone, by_second))


def credit(
    charges: Sequence[Charge], at: datetime, proration: Proration, zone: str, half_even: bool
) -> tuple[Money, ...]:
    """What each charge gives back for its part from an instant on, never more than is left of it.

    The parts add up to their exact sum rounded once.
    """
    if not charges:
        return ()
    exact = [
        Fraction(charge.amount.amount) * _unused(charge, at, proration, zone) for charge in charges
    ]
    currency = charges[0].amount.currency
    total = portion(Money(1, currency), sum(exact, Fraction())).rounded(half_even)
    parts = spread_exact(total, exact)
    zero = Money(0, currency)
    return tuple(
        max(min(part, charge.left), zero) for part, charge in zip(parts, charges, strict=True)
    )


def change(
    charges: Sequence[Charge],
    price: Money,
    period: Period,
    at: datetime,
    proration: Proration,
    zone: str,
    half_even: bool = False,
    prorate: bool = True,
) -> Change:
    """A change of plan or quantity now: `price` is the new one for a whole period.

    Without `prorate` nothing is credited; with `proration none` nothing is charged either.
    """
    zero = Money(0, price.currency)
    nothing = (zero,) * len(charges)
    if proration == "none":
        return Change(nothing, zero, tuple(charges))
    given = credit(charges, at, proration, zone, half_even) if prorate else nothing
    rest = portion(price, unused_share(period, at, proration, zone)).rounded(half_even)
    kept = stop(charges, given, at)
    after = (*kept, Charge(rest, _begin(period, at, proration, zone), period.end, zero))
    return Change(given, rest, after)


def stop(charges: Sequence[Charge], given: Sequence[Money], at: datetime) -> tuple[Charge, ...]:
    """The charges after a credit: what was given back is noted, and its time is over.

    A charge that was stopped gives nothing back a second time.
    """
    credited = given or tuple(Money(0, charge.amount.currency) for charge in charges)
    return tuple(
        # What remains is the price of the time used; only a refund can take from it.
        replace(charge, amount=charge.amount - back, end=min(charge.end, max(at, charge.start)))
        for charge, back in zip(charges, credited, strict=True)
    )


def refunded(charges: Sequence[Charge], amount: Money) -> tuple[Charge, ...]:
    """The charges after a refund, which takes from each in proportion to what is left of it, as a
    credit note does; one below zero (it failed) is charged again where it was taken."""
    zero = Money(0, amount.currency)
    failed = amount < zero
    most = [max(each.given_back if failed else each.left, zero) for each in charges]
    taken = min(abs(amount), sum(most, zero))
    if not taken:
        return tuple(charges)
    parts = spread(-taken if failed else taken, [part.amount for part in most])
    return tuple(
        replace(each, given_back=each.given_back + part)
        for each, part in zip(charges, parts, strict=True)
    )


def part_of_quantity(quantity: Number, share: Fraction) -> Number:
    """An allowance or a level for a part of a period, as far as 34 digits go."""
    return check_number(divide(quantity * share.numerator, share.denominator))


def per_month(amount: Money, interval: Interval | None) -> Money:
    """A price as an amount for a month: a year is 12 of them, a day 12/365; once is nothing."""
    if interval is None:
        return Money(0, amount.currency)
    match interval.unit:
        case "month":
            share = Fraction(1, interval.count)
        case "year":
            share = Fraction(1, 12 * interval.count)
        case "week":
            share = Fraction(365, 12 * 7 * interval.count)
        case _:
            share = Fraction(365, 12 * interval.count)
    return portion(amount, share)


def _unused(charge: Charge, at: datetime, proration: Proration, zone: str) -> Fraction:
    if charge.end <= max(at, charge.start):
        return Fraction()
    span = Period(0, charge.start, charge.end, charge.start)
    return unused_share(span, at, proration, zone)


def _begin(period: Period, at: datetime, proration: Proration, zone: str) -> datetime:
    if proration == "second":
        return max(at, period.start)
    return max(periods.midnight(periods.local_day(at, zone), zone), period.start)


def _instant(value: datetime | date, zone: str) -> datetime:
    return value if isinstance(value, datetime) else periods.midnight(value, zone)


def _whole(
    period: Period | Duration | tuple[datetime | date, datetime | date], end: datetime, zone: str
) -> Period:
    match period:
        case Period():
            return period
        case Duration():
            start = times.add(end, -period, times.zone(zone))
            return Period(0, start, end, start)
        case (first, last):
            start = _instant(first, zone)
            return Period(0, start, _instant(last, zone), start)
