"""An invoice from its lines: rounding, minimum and maximum, coupons, tax, credit, in that order.

Quotes, previews, drafts and final invoices are all made here; nothing else computes a total.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from ..model import WALLET_KIND
from ..values import Money, Number, zero
from . import discounts, taxes
from .catalog import BillingSettings, Tax
from .credits import CreditUse, Grant, Payable, Used, use_credit
from .discounts import Attached, Beside, CouponUse, Discountable
from .proration import portion, ratio
from .rating import TierLine
from .split import spread
from .taxes import TaxedAs, TaxShare

# What `counted` says of a line that waits, of a period whose bounds were settled with it.
SETTLED = "settled"
BOUND_KINDS = frozenset({"base", "usage", "correction"})


class GivenBack(NamedTuple):
    """What a line below zero gives back of an earlier invoice, with its tax; of a charge in advance
    by that one's line and by what it was for (`covers`)."""

    invoice: str
    amount: Money
    line: str | None = None
    item: str | None = None


class Line(msgspec.Struct, frozen=True, gc=False):
    """A line: its exact amount on the way in, rounded and with its parts on the way out.

    kind: one of LINE_KINDS, or "wallet" for credit that is sold. `discountable` is false for a
    proration's credit. `taxed` says how that was taxed which a line gives back (None: the taxes
    count that hold now), `most` is what it may give back with them, `of` what of earlier
    invoices it gives back. Of a proration's charge,
    `part` is the part of its period that it is for, `beside` what that costs of other prices, by
    plan or add-on. `covers` says what it pays in advance for its period: "" the plan, or the name
    of an add-on; `counted` is the same of a line that waited: its period has counted it already.
    `discount` is taken off the amount, `tax` comes on top of both (the amount of a price that
    includes its tax is without it in the end; `included_tax` says how much). `listed` is what a
    line that gives back what was discounted, or charges that again, comes to without discounts.
    """

    kind: str
    description: str
    amount: Money
    quantity: Number = 1
    unit_amount: Money | None = None
    subscription: str | None = None
    plan: str | None = None
    meter: str | None = None
    period_start: datetime | None = None
    period_end: datetime | None = None
    discountable: bool = True
    taxed: TaxedAs | None = None
    most: Money | None = None
    of: tuple[GivenBack, ...] = ()
    explanation: tuple[TierLine, ...] = ()
    dimensions: tuple[str, ...] = ()
    covers: str | None = None
    counted: str | None = None
    part: Fraction | None = None
    beside: tuple[Beside, ...] = ()
    discount: Money | None = None
    tax: Money | None = None
    taxes: tuple[TaxShare, ...] = ()
    included_tax: Money | None = None
    credit: Money | None = None
    listed: Money | None = None

    @property
    def zero(self) -> Money:
        """Nothing, in the line's currency."""
        return zero(self.amount.currency)

    @property
    def goes_as(self) -> str:
        """The kind whose rules hold: what is above a maximum goes with what it is taken off."""
        return going_as(self.kind, self.meter)

    @property
    def net(self) -> Money:
        """The discounted amount, without tax."""
        return self.amount - self.discount if self.discount else self.amount

    @property
    def charged(self) -> Money:
        """What was really charged in terms of the price: discounted, an included tax in it."""
        return self.net + self.included_tax if self.included_tax else self.net

    @property
    def full(self) -> Money:
        """What the line costs without discounts in terms of the price."""
        if self.listed is not None:
            return self.listed
        return self.charged + self.discount if self.discount else self.charged

    @property
    def total(self) -> Money:
        """The discounted amount with its tax."""
        return self.net + self.tax if self.tax else self.net


def going_as(kind: str, meter: str | None) -> str:
    """The kind that taxes and credit see of a line: see `Line.goes_as`."""
    if kind != "maximum":
        return kind
    return "usage" if meter else "base"


class Bound(msgspec.Struct, frozen=True):
    """The minimum and maximum of one period of a subscription.

    `before` is what earlier invoices charged for base and usage of that period, undiscounted, and
    `settled` what their lines of minimum and maximum came to; `share` the part of a whole period,
    for the minimum. `left` is what earlier invoices still charge of `before`, after credit notes,
    refunds and voids: a maximum takes no more off it. `settle` is false while the period runs:
    only the maximum holds then. `again`: the period was settled before, and something came late.
    """

    subscription: str | None
    plan: str | None
    period_start: datetime
    period_end: datetime
    minimum: Money | None
    maximum: Money | None
    before: Money
    share: Fraction = Fraction(1)
    settle: bool = True
    settled: Money | None = None
    again: bool = False
    left: Money | None = None


def _untaxed(line: Line) -> Sequence[Tax]:
    return ()


class Draft(msgspec.Struct, frozen=True, gc=False):
    """What an invoice is made from. `tax_of` gives the taxes that hold for a line.

    `coupons` are in the order attached. `at` is the instant of the invoice.
    """

    at: datetime
    currency: str
    lines: tuple[Line, ...]
    bounds: tuple[Bound, ...] = ()
    coupons: tuple[Attached, ...] = ()
    grants: tuple[Grant, ...] = ()
    tax_of: Callable[[Line], Sequence[Tax]] = _untaxed

    def held(self, line: Line) -> Sequence[Tax]:
        """The taxes of a line: of what it gives back those of then, else those that hold now."""
        return self.tax_of(line) if line.taxed is None else line.taxed.taxes


class InvoiceTotals(msgspec.Struct, frozen=True, gc=False):
    """The invoice: total = subtotal − discount + tax, amount_due = total − credit.

    A total below zero goes to the customer's account: `granted` is that amount, the credit is
    then minus it, and nothing is due. `carried` is what is too little to be charged: part of the
    credit here, it is due with a later invoice.
    """

    lines: tuple[Line, ...]
    subtotal: Money
    discount: Money
    tax: Money
    total: Money
    credit: Money
    amount_due: Money
    granted: Money
    coupons: tuple[CouponUse, ...]
    taxes: tuple[TaxShare, ...]
    credits: tuple[CreditUse, ...]
    carried: Money | None = None


def invoice(draft: Draft, settings: BillingSettings, zone: str | None = None) -> InvoiceTotals:
    """Computes the invoice of a draft; `zone` is the customer's, which decides on dates.

    Lines about nothing (no usage, a proration of nothing) are left out; where no line is left, or
    only usage that an invoice before has asked for, no invoice is to be made. A price of 0 stays.
    """
    half_even = settings.half_even
    lines = [line for line in round_lines(draft.lines, half_even) if _says_something(line)]
    lines.sort(key=_place)
    lines += bound_lines(lines, draft.bounds, half_even, lambda line: _rules_of(line, draft))
    if all(map(_asked_before, lines)):
        lines = []
    coupons = _coupons(lines, draft, half_even, zone or settings.timezone)
    net = [line.amount for line in lines]
    for use in coupons:
        net = [left - part for left, part in zip(net, use.by_line, strict=True)]
    if settings.credit == "before_tax":
        credit = use_credit(_payables(lines, net), draft.grants, draft.at)
        done = _taxed(lines, net, credit.by_line, draft, half_even)
    else:
        done = _taxed(lines, net, (), draft, half_even)
        if draft.grants:
            full = _payables(done, [line.total for line in done])
            credit = use_credit(full, draft.grants, draft.at)
            done = [
                replace(line, credit=part) for line, part in zip(done, credit.by_line, strict=True)
            ]
        else:
            credit = Used((), ())
    return _totals(done, draft.currency, coupons, credit.uses)


def collectable(
    totals: InvoiceTotals, least: Money | None, debts: Sequence[Grant]
) -> InvoiceTotals:
    """The invoice as it is charged: with what earlier ones carried over, or carried over itself.

    `least` is the smallest amount that can be charged; `debts` have balances below zero. Nothing
    is carried where nothing is due, and none of credit that is sold: that counts when it is paid.
    """
    due = totals.amount_due
    if due.amount <= 0 or any(line.kind == WALLET_KIND for line in totals.lines):
        return totals
    uses = tuple(CreditUse(debt.id, debt.balance) for debt in debts)
    before = sum((use.amount for use in uses), due * 0)
    if least is not None and due - before < least:
        return replace(totals, credit=totals.credit + due, amount_due=due * 0, carried=due)
    return replace(
        totals, credit=totals.credit + before, amount_due=due - before,
        credits=(*totals.credits, *uses),
    )  # fmt: skip


def round_lines(lines: Sequence[Line], half_even: bool) -> list[Line]:
    """The lines, each rounded once to the currency's minor unit."""
    rounded = [line.amount.rounded(half_even) for line in lines]
    return [
        line
        if line.amount.amount.compare_total(amount.amount) == 0
        else replace(line, amount=amount)
        for line, amount in zip(lines, rounded, strict=True)
    ]


def _alike(line: Line) -> Hashable:
    return None


def bound_lines(
    lines: Sequence[Line],
    bounds: Sequence[Bound],
    half_even: bool,
    rules_of: Callable[[Line], Hashable] = _alike,
) -> list[Line]:
    """The top-up or the discount that keeps base and usage of each period within its bounds.

    What is above a maximum is one line, but where taxes, coupons or credit hold for a part of what
    it is taken off: then one for each `rules_of` its lines.
    """
    found: list[Line] = []
    for bound in bounds:
        mine = [line for line in lines if counts_to(line, bound)]
        cost = sum((_list_price(line) for line in mine), bound.before)
        least = portion(bound.minimum, bound.share) if bound.minimum and bound.settle else None
        settled = bound.settled or bound.before * 0
        due = cost
        if least is not None and cost < least:
            due = least
        if bound.maximum is not None and cost > bound.maximum:
            due = bound.maximum
        amount = (due - cost).rounded(half_even) - settled
        low = settled.amount > 0 if settled else amount.amount > 0
        if not low and bound.left is not None and (amount.amount < 0 or settled):
            here = sum((line.amount for line in mine), bound.left)
            amount = max(amount, -here)
        listed, again = _charged_again(amount, mine, half_even)
        if again:
            made = _bounding(low, bound, again, mine, rules_of)
            found += [_as_it_was(line, listed, again) for line in made]
        found += _bounding(low, bound, amount - listed, () if again else mine, rules_of)
    return [line for line in found if line.amount]


def _bounding(
    low: bool, bound: Bound, amount: Money, lines: Sequence[Line],
    rules_of: Callable[[Line], Hashable],
) -> list[Line]:  # fmt: skip
    if low:
        return [_bound_line("minimum", bound, amount)]
    return _maximum(bound, amount, lines, rules_of)


def _list_price(line: Line) -> Money:
    """What a line counts to bounds."""
    return line.amount if line.listed is None else line.listed


def _charged_again(
    amount: Money, lines: Sequence[Line], half_even: bool
) -> tuple[Money, Money]:  # fmt: skip
    """How much of a bound's line charges again what lines beside it give back, and what that is
    discounted as it was: who uses less never pays more for it."""
    nothing = zero(amount.currency)
    backs = [line for line in lines if line.amount < nothing]
    if amount <= nothing or all(line.listed is None for line in backs):
        return nothing, nothing
    full = -sum((_list_price(line) for line in backs), nothing)
    given = -sum((line.amount for line in backs), nothing)
    if given == full and amount > full:
        return nothing, nothing  # a line is enough
    listed = min(amount, full)
    return listed, portion(listed, ratio(given, full)).rounded(half_even)


def _as_it_was(line: Line, listed: Money, again: Money) -> Line:
    """A part of what is charged again, which no coupon discounts once more."""
    return replace(line, discountable=False, listed=portion(line.amount, ratio(listed, again)))


def _maximum(
    bound: Bound, amount: Money, lines: Sequence[Line], rules_of: Callable[[Line], Hashable]
) -> list[Line]:
    """What is above a maximum, taken off the lines that it bounds in proportion to them."""
    nothing = zero(amount.currency)
    groups: dict[Hashable, list[Line]] = {}
    for line in lines:
        if (line.amount > nothing) == (amount < nothing) and line.amount:
            groups.setdefault(rules_of(line), []).append(line)
    weights = [sum((line.amount for line in group), nothing).amount for group in groups.values()]
    whole = Money(sum(weights, Decimal(0)), amount.currency)
    here = max(amount, -whole) if amount < nothing else min(amount, -whole)
    shared = spread(here, [abs(weight) for weight in weights]) if weights else ()
    parts = dict(zip(groups, shared, strict=True))
    # The rest is off what an earlier invoice charged of the period, and goes as its base.
    earlier = rules_of(_bound_line("maximum", bound, amount))
    parts[earlier] = parts.get(earlier, nothing) + (amount - here)
    return [
        _bound_line("maximum", bound, part, groups[rules][0].meter if rules in groups else None)
        for rules, part in parts.items()
    ]


def _rules_of(line: Line, draft: Draft) -> Hashable:
    """Which taxes, coupons and credit hold for a line by its kind or meter."""
    return (
        tuple(tax.name for tax in draft.held(line)),
        tuple(line.meter in each.coupon.only for each in draft.coupons if each.coupon.only),
        tuple(
            line.kind in grant.kinds or line.meter in grant.meters
            for grant in draft.grants if grant.kinds or grant.meters
        ),
    )  # fmt: skip


def _place(line: Line) -> int:
    """Where a line stands: in advance, in arrears, prorations, one-off lines."""
    if line.kind == "base" and line.covers is not None:
        return 0
    return {"proration": 2, "one_off": 3}.get(line.kind, 1)


def _says_something(line: Line) -> bool:
    return bool(line.amount) or (bool(line.quantity) and line.kind != "proration")


def _asked_before(line: Line) -> bool:
    """Whether an invoice before has asked for all that a line is about."""
    return not line.amount and any(step.bound == "billed" for step in line.explanation)


def counts_to(line: Line, bound: Bound) -> bool:
    """Whether a line is of the base and usage of a bound's period.

    A price in advance is of the period that begins with it, which is not the one that is settled
    beside it, even where that ended on the same day; its own period counts it as `before`. Nor is
    a correction of a plan that held for no time of the period behind it.
    """
    ahead = line.covers is not None or line.counted is not None
    gone = line.kind == "correction" and line.period_start == line.period_end
    return line.kind in BOUND_KINDS and not (ahead or gone) and _within(line, bound)


def settles(line: Line, bound: Bound) -> bool:
    """Whether a line is the top-up or the discount of a bound's period."""
    return line.kind in ("minimum", "maximum") and line.counted is None and _within(line, bound)


def _within(line: Line, bound: Bound) -> bool:
    return (
        line.subscription == bound.subscription
        and line.period_start is not None
        and bound.period_start <= line.period_start < bound.period_end
    )


def _bound_line(kind: str, bound: Bound, amount: Money, meter: str | None = None) -> Line:
    return Line(
        kind,
        "Minimum" if kind == "minimum" else "Maximum",
        amount,
        meter=meter,
        unit_amount=amount,
        subscription=bound.subscription,
        plan=bound.plan,
        period_start=bound.period_start,
        period_end=bound.period_end,
    )


def _coupons(
    lines: Sequence[Line], draft: Draft, half_even: bool, zone: str
) -> tuple[CouponUse, ...]:
    if not draft.coupons:
        return ()
    about = [
        Discountable(
            line.amount,
            line.discountable,
            line.plan,
            line.period_start or draft.at,
            line.subscription,
            line.meter,
            line.part,
            # A period that waited has a line for each price of one plan.
            line.description if line.kind == "base" else _covered(line),
            line.beside,
        )
        for line in lines
    ]
    return _left_to_pay(lines, discounts.discount(about, draft.coupons, zone, half_even))


def _covered(line: Line) -> str | None:
    return line.counted if line.covers is None else line.covers


def _left_to_pay(lines: Sequence[Line], uses: tuple[CouponUse, ...]) -> tuple[CouponUse, ...]:
    """The coupons, less what they would take off charges that had waited and are given back on this
    very invoice: one that came in between finds no more of them than that leaves."""
    waited: dict[Hashable, list[int]] = {}
    room: dict[Hashable, Money] = {}
    for place, line in enumerate(lines):
        if line.counted is not None:
            waited.setdefault(_charged_as(line), []).append(place)
            room[_charged_as(line)] = room.get(_charged_as(line), line.zero) + line.amount
    for line in lines:
        given_back = line.kind == "proration" and not line.discountable and not line.of
        if given_back and _charged_as(line) in room:
            room[_charged_as(line)] = room[_charged_as(line)] + line.amount
    for about, places in waited.items():
        taken = sum((use.by_line[n] for use in uses for n in places), room[about] * 0)
        excess = taken - max(room[about], taken * 0)
        if excess.amount > 0:
            uses = _less(uses, places, excess)
    return uses


def _charged_as(line: Line) -> Hashable:
    """What a line charges for, or gives back of that on the same invoice."""
    return line.subscription, line.plan, line.period_end


def _less(
    uses: tuple[CouponUse, ...], places: Sequence[int], excess: Money
) -> tuple[CouponUse, ...]:
    """The coupons with so much less taken off lines, of the last one first."""
    found = []
    for use in reversed(uses):
        parts = list(use.by_line)
        for place in places:
            cut = max(min(parts[place], excess), excess * 0)
            parts[place] = parts[place] - cut
            excess = excess - cut
        found.append(replace(use, by_line=tuple(parts), amount=sum(parts, excess * 0)))
    return tuple(reversed(found))


def _taxed(
    lines: Sequence[Line],
    net: Sequence[Money],
    credited: Sequence[Money],
    draft: Draft,
    half_even: bool,
) -> list[Line]:
    """The lines with discount and tax; `credited` is what credit before tax took off each."""
    nothing = zero(draft.currency)
    done = []
    for place, (line, left) in enumerate(zip(lines, net, strict=True)):
        held = draft.held(line)
        credit = credited[place] if credited else nothing
        if not held and line.taxed is None:
            done.append(
                replace(
                    line, discount=line.amount - left, tax=nothing, taxes=(), included_tax=nothing,
                    credit=credit,
                )
            )  # fmt: skip
            continue
        if line.taxed is None:
            due = taxes.tax(left - credit, held, half_even)
        else:
            due = taxes.given_back(left, line.taxed, half_even, line.most)
        amount = line.amount
        if any(item.inclusive for item in held):
            # An included tax comes out of the amount and of the discount alike; tax that credit
            # saves leaves both prices as they are, so it counts to the amount.
            saved = taxes.tax(left, held, half_even).included - due.included
            amount += saved - taxes.tax(amount, held, half_even).included
        done.append(
            replace(
                line,
                amount=amount,
                discount=amount - (left - due.included),
                tax=due.total,
                taxes=due.shares,
                included_tax=due.included,
                credit=credit,
            )
        )
    return done


def _payables(lines: Sequence[Line], amounts: Sequence[Money]) -> list[Payable]:
    """What credit may pay; not the credit that is sold, which would never expire then."""
    return [
        Payable(amount * 0 if line.kind == WALLET_KIND else amount, line.goes_as, line.meter)
        for line, amount in zip(lines, amounts, strict=True)
    ]


def _totals(
    lines: Sequence[Line],
    currency: str,
    coupons: tuple[CouponUse, ...],
    uses: tuple[CreditUse, ...],
) -> InvoiceTotals:
    nothing = zero(currency)
    subtotal = sum((line.amount for line in lines), nothing)
    discount = sum((line.discount or nothing for line in lines), nothing)
    tax = sum((line.tax or nothing for line in lines), nothing)
    total = subtotal - discount + tax
    used = sum((use.amount for use in uses), nothing)
    # Credit before tax may pay all there is and the taxes of lines still round below zero.
    granted = max(used - total, nothing)
    credit = used - granted
    shares = taxes.summed(share for line in lines for share in line.taxes)
    return InvoiceTotals(
        tuple(lines), subtotal, discount, tax, total, credit, total - credit, granted,
        coupons, shares, uses,
    )  # fmt: skip
