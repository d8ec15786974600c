"""Coupons: whether one may be attached, which lines it holds for, what it takes off them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal

from msgspec import Struct

from .. import times
from ..values import Money, Percent
from . import periods
from .catalog import Coupon
from .proration import portion
from .split import spread, spread_exact


class Attached(Struct, frozen=True):
    """A coupon on a subscription or customer: since when, and how many invoices it discounted.

    `subscription` is the one whose lines it discounts, None for all of the customer's; `among`
    are the subscriptions that it was given to as one.
    """

    coupon: Coupon
    at: datetime
    invoices: int = 0
    subscription: str | None = None
    among: tuple[str, ...] = ()


# What a part of a period costs of a price: its plan or add-on, the amount, and whose it is where
# that is another subscription of the customer.
Beside = tuple[str, Money, str | None]


class Discountable(Struct, frozen=True):
    """What a coupon asks about a line; `period_start` is the invoice's instant where it has none.

    The amount is rounded, and may be below zero (a correction, what is above a maximum). A
    proration's charge has the `part` of its period that it is for; `covers` says of what, also of
    one that waited, `beside` what that costs of the other prices that are charged with it.
    """

    amount: Money
    discountable: bool
    plan: str | None
    period_start: datetime
    subscription: str | None = None
    meter: str | None = None
    part: Fraction | None = None
    covers: str | None = None
    beside: tuple[Beside, ...] = ()


class CouponUse(Struct, frozen=True):
    """What a coupon took off an invoice: `by_line` adds up to the amount.

    Where the amount is above zero, the invoice counts for a coupon that holds `once`.
    """

    coupon: str
    amount: Money
    by_line: tuple[Money, ...]
    subscription: str | None = None


def why_not(
    coupon: Coupon, day: date, redemptions: int, by_customer: int, plan: str | None = None
) -> Literal["expired", "used up", "once per customer", "not for this plan"] | None:
    """Why a coupon can't be attached on a local date, after so many uses; None: it can."""
    if coupon.until is not None and day > coupon.until:
        return "expired"
    if coupon.times is not None and redemptions >= coupon.times:
        return "used up"
    if coupon.once_per_customer and by_customer:
        return "once per customer"
    if coupon.only and plan is not None and plan not in coupon.only:
        return "not for this plan"
    return None


def holds(attached: Attached, line: Discountable, zone: str) -> bool:
    """Whether a coupon discounts a line: its plan or meter, its period, its number of invoices."""
    coupon = attached.coupon
    if not line.discountable:
        return False
    if coupon.only and line.plan not in coupon.only and line.meter not in coupon.only:
        return False
    if attached.subscription not in (None, line.subscription):
        return False
    if coupon.once and attached.invoices:
        return False
    if coupon.duration is None:
        return True
    # On local dates: the period of the day of attaching began at its midnight, before it.
    first = periods.local_day(attached.at, zone)
    begins = periods.local_day(line.period_start, zone)
    return first <= begins < times.add_to_date(first, coupon.duration)


def discount(
    lines: Sequence[Discountable], coupons: Sequence[Attached], zone: str, half_even: bool = False
) -> tuple[CouponUse, ...]:
    """What each coupon takes off, in the order attached; those that find nothing are left out.

    A percentage is of what is left of its lines, an amount goes up to what is left of them. Of an
    amount that holds for more than one invoice, a proration's charge has that part which its days
    are of the period: so a change and its reverse cancel out.
    """
    left = [line.amount for line in lines]
    uses = []
    for attached in coupons:
        held = [holds(attached, line, zone) for line in lines]
        parts = _parts(attached, lines, left, held, half_even)
        if not any(parts):
            continue
        left = [amount - part for amount, part in zip(left, parts, strict=True)]
        total = sum(parts, Money(0, parts[0].currency))
        uses.append(CouponUse(attached.coupon.name, total, parts, attached.subscription))
    return tuple(uses)


def _parts(
    attached: Attached,
    lines: Sequence[Discountable],
    left: Sequence[Money],
    held: Sequence[bool],
    half_even: bool,
) -> tuple[Money, ...]:
    if not left:
        return ()
    coupon = attached.coupon
    zero = Money(0, left[0].currency)
    open_ = [amount if hold else zero for amount, hold in zip(left, held, strict=True)]
    whole = sum(open_, zero)
    if not any(open_):
        return ()
    if isinstance(coupon.off, Percent):
        rate = max(min(coupon.off.rate, Decimal(1)), Decimal(0))
        total = (whole * rate).rounded(half_even)
        if min(open_) < zero:
            # In proportion to the lines, not to their sum: that may be next to nothing.
            return spread_exact(total, [Fraction(part.amount) * Fraction(rate) for part in open_])
        return spread(total, [part.amount for part in open_])
    if coupon.off.currency != zero.currency:
        return ()
    if coupon.once or all(line.part is None for line in lines):
        return _amount_off(coupon.off.rounded(half_even), open_)
    return _by_period(attached, coupon.off, lines, open_, half_even)


def _by_period(
    attached: Attached,
    off: Money,
    lines: Sequence[Discountable],
    open_: Sequence[Money],
    half_even: bool,
) -> tuple[Money, ...]:
    """An amount off whole periods, and beside it for each change its part of one."""
    zero = Money(0, off.currency)
    found = [zero] * len(lines)
    changes = _changes(lines)
    for change in dict.fromkeys(changes):
        of_it = [part if it == change else zero for part, it in zip(open_, changes, strict=True)]
        mine = [
            line
            for line, part, it in zip(lines, open_, changes, strict=True)
            if it == change and part > zero
        ]
        if mine:
            amount = portion(off, _part_of(attached, mine)).rounded(half_even)
            parts = _amount_off(amount, of_it)
            found = [one + other for one, other in zip(found, parts, strict=True)]
    return tuple(found)


def _part_of(attached: Attached, mine: Sequence[Discountable]) -> Fraction:
    """The part of an amount that is for the charges of one change: by the days, and beside prices
    that are not charged anew by what both cost."""
    only = attached.coupon.only
    if mine[0].part is None:
        return periods.WHOLE
    cost = sum(Fraction(line.amount.amount) for line in mine)
    others = sum(
        Fraction(amount.amount)
        for plan, amount, other in mine[0].beside
        if (not only or plan in only) and (other is None or other in attached.among)
    )
    return mine[0].part * cost / (cost + others)


def _changes(lines: Sequence[Discountable]) -> list[tuple[Any, ...]]:
    """Which change each line is of: a later one of that day charges the same thing once more."""
    times_seen: Counter[tuple[Any, ...]] = Counter()
    found: list[tuple[Any, ...]] = []
    for line in lines:
        if line.part is None:
            found.append(())
            continue
        change = line.subscription, line.period_start, line.part
        found.append((*change, times_seen[*change, line.covers]))
        times_seen[*change, line.covers] += 1
    return found


def _amount_off(off: Money, open_: Sequence[Money]) -> tuple[Money, ...]:
    """An amount, as far as the lines go, spread over those that cost something."""
    zero = Money(0, off.currency)
    whole = sum(open_, zero)
    if whole <= zero or not off:
        return (zero,) * len(open_)
    return spread(min(off, whole), [max(part, zero).amount for part in open_])
