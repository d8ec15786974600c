"""Quantities to money: units, tiers, packages, percentages, dimensions, allowances.

Amounts are exact; the invoice line that they stand on rounds them, once.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any, Literal, assert_never

from msgspec import Struct
from msgspec.structs import replace

from ..errors import EvalError
from ..values import CONTEXT, MAX_EXPONENT, Money, Number, Percent, check_number, show
from .catalog import DimensionRate, Price, Pricing, Rate, RatePart, Tier, UsagePrice
from .taxes import TaxedAs

# Places at which a number without an end is cut, and as many of what it costs that are sure.
_ENDLESS, _SETTLED = MAX_EXPONENT, Decimal("1e-14")


class Usage(Struct, frozen=True):
    """What a meter counted over a period, of one value of each of its dimensions.

    `events` are the counted ones but for those that take something back, `each` the values of all
    in the order of their time, where a price needs them and the meter adds up; otherwise graduated
    tiers get the events in proportion to the quantity. `order` says where each of them stands among
    those of other values.
    """

    quantity: Number
    events: int = 0
    values: tuple[str, ...] = ()
    each: tuple[Number, ...] = ()
    order: tuple[tuple[datetime, str], ...] = ()


class TierLine(Struct, frozen=True):
    """One step of an explanation: so many units above one bound and up to another.

    `unit_amount` and `percent` are the rate's; `packages` how many were started; `flat` the flat
    parts that were due; `each` what each of `events` costs beside. `amount` is what the step came
    to, after at most and at least; where those are of all tiers together a last step, "minimum" or
    "maximum", is the difference. Steps "included" and "carried" say how much was free, for nothing;
    a step "billed" is what an invoice before has asked for already.
    """

    above: Number
    up_to: Number | None
    quantity: Number
    unit_amount: Money | None
    percent: Percent | None
    packages: int | None
    flat: Money
    amount: Money
    bound: Literal["minimum", "maximum", "included", "carried", "billed"] | None = None
    events: int | None = None
    each: Money | None = None

    @property
    def plain(self) -> bool:
        """Whether it is so many units at a price, and nothing else."""
        unit = self.unit_amount
        return unit is not None and self.amount == unit * self.quantity


# The invoice of what waits for one.
WAITS = ""


class Asked(Struct, frozen=True):
    """What an invoice really asked for of a rated amount, less its discounts, and with which taxes:
    None where that is not known. Of what `waits`, what its lines come to so far, those below zero
    with the taxes of what they give back. `line` is that of the invoice, where it is known;
    `share` the part of the price that coupons left of it."""

    amount: Money
    taxed: TaxedAs | None = None
    invoice: str | None = None
    line: str | None = None
    share: Fraction = Fraction(1)

    @property
    def waits(self) -> bool:
        """Whether no invoice has asked for it yet."""
        return self.invoice == WAITS


class Rated(Struct, frozen=True):
    """An exact amount and how it came about; `included` was free, `values` are dimensions'.

    `asked` is what invoices really asked for of the amount: None, not known or all of it. `free`
    explains the allowance.
    """

    amount: Money
    quantity: Number
    tiers: tuple[TierLine, ...]
    included: Number = 0
    values: tuple[str, ...] = ()
    asked: tuple[Asked, ...] | None = None
    free: tuple[TierLine, ...] = ()


def rate(pricing: Pricing, usage: Usage | Number, currency: str) -> Rated:
    """What a quantity costs; below zero it is rated as 0.

    A pricing by dimension rates the value that the usage has; one without a fitting case is free.
    """
    if not isinstance(usage, Usage):
        usage = Usage(usage)
    if usage.quantity < 0:
        usage = replace(usage, quantity=0)
    lines = _lines(pricing, usage, currency)
    amount = sum((line.amount for line in lines), Money(0, currency))
    return Rated(_settled(amount, usage.quantity), usage.quantity, lines, values=usage.values)


def _settled(amount: Money, quantity: Number) -> Money:
    """What a quantity costs that has no end, a third of something: as it would with all of its
    places, so that half a cent is half a cent."""
    if not isinstance(quantity, Decimal) or -_exponent(quantity) < _ENDLESS:
        return amount
    return Money(Decimal(amount.amount).quantize(_SETTLED, context=CONTEXT), amount.currency)


def _exponent(value: Decimal) -> int:
    found = value.as_tuple().exponent
    return found if isinstance(found, int) else 0


def rate_usage(
    price: UsagePrice, usages: Sequence[Usage], currency: str, included: Number = 0
) -> tuple[Rated, ...]:
    """What a meter's usage costs: one result, or one for each value of the price's dimensions.

    The allowance is taken off first: of values in the order of the price's cases, then by name.
    Without usage there is one result, of quantity 0.
    """
    pricing = price.pricing
    if not pricing.dimensions:
        total = _together(usages)
        return (_after_allowance(pricing, total, currency, included),)
    found = []
    for usage in sorted(by_values(usages), key=lambda usage: _case_order(pricing, usage)):
        rated = _after_allowance(pricing, usage, currency, included)
        included -= rated.included
        found.append(rated)
    return tuple(found) or (Rated(Money(0, currency), 0, ()),)


def without_first(
    usages: Sequence[Usage], count: int, included: Number | None
) -> tuple[list[Usage], Number]:
    """The usage less its first events, of whichever values of the dimensions, and what is still
    included; the usage as it is where an allowance of units is used up before."""
    placed = (pair for usage in usages for pair in zip(usage.order, usage.each, strict=True))
    first = sorted(place for place, value in placed if value >= 0)[:count]
    since = first[-1] if first else None
    left: list[Usage] = []
    free: Number = 0
    for usage in usages:
        gone = bisect_right(usage.order, since) if since is not None else 0
        each = usage.each[gone:]
        taken = max(sum(usage.each[:gone], 0), 0)
        free += taken
        quantity = check_number(usage.quantity - taken)
        rest = usage.order[gone:]
        left.append(replace(usage, quantity=quantity, events=paying(each), each=each, order=rest))
    if included is not None and included < free:
        return list(usages), included
    return left, 0


@lru_cache(maxsize=1 << 12, typed=True)
def fixed_amount(price: Price, quantity: Number = 1) -> Rated:
    """What a price costs for a whole interval; the quantity counts where it is `per` something."""
    counted = 1 if price.per_unit is None else quantity
    return rate(price.pricing, Usage(counted), price.currency)


@lru_cache(maxsize=1024)
def without_least(pricing: Pricing) -> Pricing:
    """A pricing without `at least`: what a period costs at least is known when it is over."""

    def free(rate: Rate) -> Rate:
        return replace(rate, at_least=None)

    return replace(
        pricing, rate=free(pricing.rate),
        tiers=tuple(replace(tier, rate=free(tier.rate)) for tier in pricing.tiers),
        cases=tuple(replace(case, pricing=without_least(case.pricing)) for case in pricing.cases),
    )  # fmt: skip


def tiered(quantity: Number, tiers: Sequence[Mapping[str, Any]]) -> Money:
    """Graduated: `[{ up_to: 10, price: 7 USD, flat?: 5 USD }, { price: 6 USD }]`.

    EvalError where tiers are none, have no price, fall, or two currencies.
    """
    if not tiers:
        raise EvalError("tiered needs at least one tier")
    built: list[Tier] = []
    below: Number = 0
    for place, tier in enumerate(tiers, 1):
        bound, price, flat = tier.get("up_to"), tier.get("price"), tier.get("flat")
        if not isinstance(price, Money):
            raise EvalError(f"tier {place} has no price that is money, but {show(price)}")
        if bound is None and place < len(tiers):
            raise EvalError(f"tier {place} has no `up_to`; only the last may leave it out")
        if bound is not None and (not isinstance(bound, int | Decimal) or bound <= below):
            raise EvalError(f"tier {place} does not go above {show(below)}: `up_to` has to rise")
        flats = (RatePart(flat, "flat"),) if isinstance(flat, Money) else ()
        built.append(Tier(bound, Rate((RatePart(price), *flats))))
        below = below if bound is None else bound
    currency = tiers[0]["price"].currency
    return rate(Pricing("graduated", tiers=tuple(built)), quantity, currency).amount


def reached(tiers: Sequence[Tier], quantity: Number) -> int:
    """The place of the tier that a total reaches; the last one where it is above all bounds."""
    for place, tier in enumerate(tiers):
        if tier.bound is None or quantity <= tier.bound:
            return place
    return len(tiers) - 1


def explanation(rated: Rated) -> list[dict[str, Any]]:
    """The steps as maps of plain values, for the `detail` of an invoice line."""
    return [
        {name: value for name, value in zip(_STEP, _values(line), strict=True) if value is not None}
        for line in rated.tiers
    ]


# By model


def _lines(pricing: Pricing, usage: Usage, currency: str) -> tuple[TierLine, ...]:
    match pricing.model:
        case "unit" if pricing.rate.by_event:
            return (_by_event(pricing.rate, usage, currency),)
        case "unit":
            return (_line(pricing.rate, usage.quantity, usage.events, currency),)
        case "package":
            return (_line(_packaged(pricing), usage.quantity, usage.events, currency),)
        case "graduated":
            return _bounded(pricing.rate, _graduated(pricing.tiers, usage, currency), currency)
        case "volume" | "stairstep":
            return _bounded(pricing.rate, _whole_tier(pricing, usage, currency), currency)
        case "dimension":
            found = _case(pricing, usage.values)
            return _lines(found.pricing, usage, currency) if found else ()
    assert_never(pricing.model)


def _graduated(tiers: Sequence[Tier], usage: Usage, currency: str) -> tuple[TierLine, ...]:
    last, lines = len(tiers) - 1, []
    counts = _tier_events(tiers, usage)
    below: Number = 0
    for place, tier in enumerate(tiers):
        bound = None if place == last else tier.bound
        top = usage.quantity if bound is None else min(usage.quantity, bound)
        inside = max(top - below, 0)
        # Only the first tier can be due with no units in it (`flat always`).
        if inside or not place:
            lines.append(_line(tier.rate, inside, counts[place], currency, below, tier.bound))
        below = bound if bound is not None else below
    return tuple(lines)


def _whole_tier(pricing: Pricing, usage: Usage, currency: str) -> tuple[TierLine, ...]:
    place = reached(pricing.tiers, usage.quantity)
    tier = pricing.tiers[place]
    below = pricing.tiers[place - 1].bound if place else 0
    assert below is not None, pricing
    rate_ = _stair(tier.rate) if pricing.model == "stairstep" else tier.rate
    return (_line(rate_, usage.quantity, usage.events, currency, below, tier.bound),)


def _stair(rate_: Rate) -> Rate:
    """A step's amount is due once: `100 USD` and `free + 100 USD flat` mean the same."""
    parts = (
        replace(part, unit="flat")
        if part.unit == "unit" and isinstance(part.amount, Money)
        else part
        for part in rate_.parts
    )
    return replace(rate_, parts=tuple(parts))


def _packaged(pricing: Pricing) -> Rate:
    parts = (
        replace(part, unit="package", size=pricing.package) if part.unit == "unit" else part
        for part in pricing.rate.parts
    )
    return replace(pricing.rate, parts=tuple(parts))


# One rate


def _line(
    rate_: Rate,
    quantity: Number,
    events: int,
    currency: str,
    above: Number = 0,
    up_to: Number | None = None,
) -> TierLine:
    zero = Money(0, currency)
    amount, flat, packages = zero, zero, None
    for part in rate_.parts:
        due = _part(part, quantity, events, currency)
        amount += due
        if part.unit in ("flat", "flat always"):
            flat += due
        if part.unit == "package":
            packages = started(quantity, part.size)
    # A tier that nothing entered has no bounds to keep; a rate of its own always has.
    if quantity or (not above and up_to is None):
        amount = within(rate_, amount)
    each = _each(rate_)
    return TierLine(
        above, up_to, quantity, _unit_amount(rate_), _percent(rate_), packages, flat, amount,
        events=events if each is not None else None, each=each,
    )  # fmt: skip


def _by_event(rate_: Rate, usage: Usage, currency: str) -> TierLine:
    """A rate whose bounds hold for each event; then those for all of them together."""
    whole = _line(rate_, usage.quantity, usage.events, currency)
    amount = Money(0, currency)
    for value in usage.each:
        counts = int(value >= 0)
        due = sum((_part(part, value, counts, currency) for part in rate_.parts), amount * 0)
        # What takes an earlier event back is no event to be paid for.
        if value >= 0:
            due = max(due, rate_.least_each) if rate_.least_each is not None else due
            due = min(due, rate_.most_each) if rate_.most_each is not None else due
        amount += due
    return replace(whole, amount=within(rate_, amount))


def _bounded(rate_: Rate, lines: tuple[TierLine, ...], currency: str) -> tuple[TierLine, ...]:
    """The steps with one more, where the bounds of all tiers together add or take off something."""
    if not rate_.bounded:
        return lines
    zero = Money(0, currency)
    amount = sum((line.amount for line in lines), zero)
    off = within(rate_, amount) - amount
    if not off:
        return lines
    bound: Literal["minimum", "maximum"] = "minimum" if off > zero else "maximum"
    return (*lines, TierLine(0, None, 0, None, None, None, zero, off, bound))


def within(rate_: Rate, amount: Money) -> Money:
    """An amount within the bounds of a rate."""
    if rate_.at_least is not None:
        amount = max(amount, rate_.at_least)
    return amount if rate_.at_most is None else min(amount, rate_.at_most)


def _part(part: RatePart, quantity: Number, events: int, currency: str) -> Money:
    times: Number
    match part.unit:
        case "unit":
            times = quantity
        case "package":
            times = started(quantity, part.size)
        case "event":
            times = events
        case "flat":
            times = 1 if quantity else 0
        case "flat always":
            times = 1
    if isinstance(part.amount, Percent):
        # The metered quantity is itself an amount in the price's currency.
        return Money(times * part.amount.rate, currency)
    due = part.amount * times
    return due / part.size if part.unit == "unit" and part.size != 1 else due


def started(quantity: Number, size: Number) -> int:
    """How many packages of a size are started by a quantity."""
    exact = Fraction(quantity) / Fraction(size)
    return -(-exact.numerator // exact.denominator)


def _unit_amount(rate_: Rate) -> Money | None:
    found = [
        part.amount if part.size == 1 or part.unit == "package" else part.amount / part.size
        for part in rate_.parts
        if part.unit in ("unit", "package") and isinstance(part.amount, Money)
    ]
    return sum(found[1:], found[0]) if found else None


def _each(rate_: Rate) -> Money | None:
    found = [
        part.amount
        for part in rate_.parts
        if part.unit == "event" and isinstance(part.amount, Money)
    ]
    return sum(found[1:], found[0]) if found else None


def _percent(rate_: Rate) -> Percent | None:
    found = [part.amount for part in rate_.parts if isinstance(part.amount, Percent)]
    return sum(found[1:], found[0]) if found else None


def _tier_events(tiers: Sequence[Tier], usage: Usage) -> list[int]:
    """The counted events of each tier: each stands in the tier that the total reaches with it.

    In proportion to the quantity where it is not known what each counted.
    """
    place = reached(tiers, usage.quantity)
    if usage.each or not usage.events:
        return _reached_by_each(tiers, usage.each, place)
    counts: list[int] = []
    done, whole = 0, usage.quantity
    exact = whole if isinstance(whole, int) else Fraction(whole)
    for tier in tiers[:place]:
        assert tier.bound is not None, tiers
        below = tier.bound if isinstance(tier.bound, int) else Fraction(tier.bound)
        until = usage.events * below // exact
        counts.append(until - done)
        done = until
    counts.append(usage.events - done)
    return counts + [0] * (len(tiers) - len(counts))


def _reached_by_each(tiers: Sequence[Tier], each: Sequence[Number], last: int) -> list[int]:
    """How many events stand in each tier, none beyond the one that all of them end in."""
    counts = [0] * len(tiers)
    total: Number = 0
    for value in each:
        total = check_number(total + value)
        counts[min(reached(tiers, total), last)] += value >= 0
    return counts


# Allowances and dimensions


def _after_allowance(pricing: Pricing, usage: Usage, currency: str, included: Number) -> Rated:
    quantity = max(usage.quantity, 0)
    free = min(quantity, max(included, 0))
    left = check_number(quantity - free)
    each = _beyond(usage.each, free, max(included - free, 0))
    if usage.each:
        # What is all included costs nothing, its event either.
        events = paying(each)
    else:
        events = usage.events if left or not free else 0
    if not free and not usage.each:
        return rate(pricing, usage, currency)
    rated = rate(pricing, replace(usage, quantity=left, events=events, each=each), currency)
    return replace(rated, included=free)


def paying(each: Iterable[Number]) -> int:
    """How many events there are to be paid for: one that takes something back is none."""
    return sum(value >= 0 for value in each)


def _beyond(each: Sequence[Number], free: Number, more: Number) -> tuple[Number, ...]:
    """What is left of the values of events where the first so many units are free, and `more`
    would be: an event of nothing is covered as long as some is."""
    left = []
    for value in each:
        part = min(max(value, 0), free)
        if value != part or not (free or more):
            left.append(check_number(value - part))
        free -= part
    return tuple(left)


def _together(usages: Sequence[Usage]) -> Usage:
    if len(usages) == 1:
        return replace(usages[0], values=()) if usages[0].values else usages[0]
    quantity = sum((usage.quantity for usage in usages), 0)
    return Usage(check_number(quantity), sum(usage.events for usage in usages))


def by_values(usages: Sequence[Usage]) -> list[Usage]:
    """One usage for each set of values of the price's dimensions."""
    merged: dict[tuple[str, ...], list[Usage]] = {}
    for usage in usages:
        merged.setdefault(usage.values, []).append(usage)
    return [
        replace(_together(group), values=values_) if len(group) > 1 else group[0]
        for values_, group in merged.items()
    ]


def _case(pricing: Pricing, values_: tuple[str, ...]) -> DimensionRate | None:
    """The case that names the most of the values; ties to the earlier one."""
    best, best_named = None, -1
    for case in pricing.cases:
        named = sum(value is not None for value in case.values)
        if named > best_named and _fits(case, values_):
            best, best_named = case, named
    return best


def _fits(case: DimensionRate, values_: tuple[str, ...]) -> bool:
    # `else` alone, without a value for each dimension, fits everything.
    if not case.values:
        return True
    return len(case.values) == len(values_) and all(
        named is None or named == value for named, value in zip(case.values, values_, strict=True)
    )


def _case_order(pricing: Pricing, usage: Usage) -> tuple[int, tuple[str, ...]]:
    found = _case(pricing, usage.values)
    return (pricing.cases.index(found) if found else len(pricing.cases), usage.values)


def _values(line: TierLine) -> tuple[Any, ...]:
    if line.bound is not None:
        return (None, None, line.quantity or None, *[None] * 4, line.amount, line.bound, None, None)
    return (
        line.above, line.up_to, line.quantity, line.unit_amount, line.percent, line.packages,
        line.flat if line.flat else None, line.amount, None, line.events, line.each,
    )  # fmt: skip


_STEP = ("above", "up_to", "quantity", "unit_amount", "percent", "packages", "flat", "amount",
         "bound", "events", "each")  # fmt: skip
