"""Rates, tiers, packages and prices by dimension: what turns a quantity into money."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ...diagnostics import Label, Span, an
from ...values import SIZE_UNITS, UNLIMITED, Money, Number, show
from .. import ast
from ..types import SIZE, Choice, known
from ..walk import walk
from .damage import hurt
from .facts import Facts, listed, negative, positive
from .meters import figure_type, is_dimension

RATES = ("money", "percent")


def currencies(pricing: ast.Pricing, facts: Facts) -> set[str]:
    """The currencies that a price has amounts in."""
    return {currency for currency, _ in _amounts(pricing, facts)}


def _amounts(pricing: ast.Pricing, facts: Facts) -> Iterator[tuple[str, Span]]:
    """The currency of each amount of a price and of its bounds, and where it stands."""
    for node in walk(pricing):
        match node:
            case ast.RatePart(amount=amount) if amount is not None:
                found: tuple[ast.Expr | None, ...] = (amount,)
            case ast.Rate():
                found = bounds_of(node)
            case _:
                continue
        for each in found:
            value = facts.fold(each) if each is not None else None
            if each is not None and value and isinstance(value.value, Money):
                yield value.value.currency, each.span


def bounds_of(rate: ast.Rate) -> tuple[ast.Expr | None, ...]:
    """The bounds of a rate, and those of what a single event costs."""
    return rate.at_most, rate.at_least, rate.most_each, rate.least_each


def check_pricing(
    pricing: ast.Pricing, facts: Facts, meter: ast.Meter | None, most: Number | None = None
) -> None:
    """Checks one price; `meter` is what it rates, None for a fixed price, of which nobody has
    more than `most` units."""
    if pricing.rate:
        _check_rate(pricing.rate, facts)
        _check_begun(pricing.rate, facts)
    if pricing.tiers:
        _check_tiers(pricing, facts, most)
    if pricing.package is not None:
        value = facts.fold(pricing.package)
        if value and (value.type not in ("number", "size") or not positive(value)):
            text = "A package holds a number of units above 0"
            facts.report.add("E0625", pricing.package.span, text)
    if pricing.model == "dimension":
        _check_dimensions(pricing, facts, meter)
    if meter is not None and figure_type(facts.symbols, meter) == SIZE:
        _check_units(pricing, meter, facts)
    if meter is not None:
        _check_shares(pricing, meter, facts)
    _check_currency(pricing, facts)


def _check_units(pricing: ast.Pricing, meter: ast.Meter, facts: Facts) -> None:
    """What counts sizes has a price for a unit of size."""
    for part in (node for node in walk(pricing) if isinstance(node, ast.RatePart)):
        word = part.per
        if word is None or word in SIZE_UNITS or not word.isidentifier():
            continue
        text = f"`{meter.name}` counts a size, which has no price per `{word}`"
        hint = facts.near(word, SIZE_UNITS) or f"units: {listed(SIZE_UNITS)}"
        facts.report.add("E0628", part.span, text, help=hint)


def _check_shares(pricing: ast.Pricing, meter: ast.Meter, facts: Facts) -> None:
    """Warns of a percentage of what is no amount: of how many there are, or of bytes. What is
    added up as plain numbers may be an amount in the business's currency."""
    sizes = figure_type(facts.symbols, meter) == SIZE
    if not sizes and meter.aggregate not in ("count", "unique"):
        return
    for part in (node for node in walk(pricing) if isinstance(node, ast.RatePart)):
        value = facts.fold(part.amount) if part.amount is not None else None
        if value is not None and value.type == "percent":
            what = "measures sizes" if sizes else "counts, and adds up no amount"
            text = f"{facts.text(part.span)} of what? The meter `{meter.name}` {what}"
            hint = "price a unit (`0.02 USD`), or let the meter `sum` an amount"
            labels = (Label(meter.name_span, "the meter"),)
            facts.warn("W0608", part.span, text, help=hint, labels=labels)
            return


def check_each(pricing: ast.Pricing, facts: Facts, meter: ast.Meter | None) -> None:
    """Bounds for each event stand with one rate alone, of a meter that adds up; `meter` is None
    for a fixed price."""
    nodes = list(walk(pricing))
    alone = {id(node.rate) for node in nodes
             if isinstance(node, ast.Pricing) and node.model == "unit"}  # fmt: skip
    for rate in (node for node in nodes if isinstance(node, ast.Rate)):
        if rate.each is None:
            continue
        plain = id(rate) in alone and all(part.unit in ("unit", "per") for part in rate.parts)
        adds = meter is not None and meter.aggregate in ("sum", "count")
        if not plain or not adds:
            text = f"A bound per {rate.each} stands with one rate, of a meter that sums or counts"
            hint = "without tiers, packages and flat parts"
            facts.report.add("E0627", rate.span, text, help=hint)


def tier_bounds(pricing: ast.Pricing) -> list[ast.Expr | None]:
    """What the tiers of a price go up to, those of each value of a dimension too."""
    return [node.bound for node in walk(pricing) if isinstance(node, ast.Tier)]


def check_money_units(
    units: Iterable[ast.Expr | None], sold_in: set[str], meter: ast.Meter | None, facts: Facts
) -> None:
    """Tiers and allowances may be money (`up to 1_000 USD`) where that is what a meter adds up, in
    the one currency that its price is in; `meter` is None for a fixed price."""
    for unit in units:
        value = facts.fold(unit) if unit is not None else None
        if unit is None or value is None or not isinstance(value.value, Money):
            continue
        if meter is None or not _adds_money(meter, facts):
            what = f"`{meter.name}` adds up no money" if meter else "seats are no money"
            text, hint = f"This is a number of units: {what}", "write the number alone"
        elif sold_in == {value.value.currency}:
            continue
        else:
            text = f"This is in {value.value.currency}, the price in {listed(sorted(sold_in))}"
            hint = "write the number alone: it is of the customer's own currency"
        facts.report.add("E0603", unit.span, text, help=hint)


def _adds_money(meter: ast.Meter, facts: Facts) -> bool:
    """Whether a meter is of money, or of plain numbers that may be amounts."""
    plain = meter.aggregate not in ("count", "unique") and meter.unit is None
    return plain and figure_type(facts.symbols, meter) != SIZE


def _check_rate(rate: ast.Rate, facts: Facts) -> None:
    for part in rate.parts:
        _check_amount(part.amount, facts)
        count = (part.per or "").replace("_", "")
        if count.isdigit() and int(count) == 0:
            facts.report.add("E0625", part.span, "A package holds a number of units above 0")
    _check_sum(rate, facts)
    most, least = facts.fold(rate.at_most), facts.fold(rate.at_least)
    for bound in bounds_of(rate):
        _check_amount(bound, facts)
        value = facts.fold(bound) if bound is not None else None
        if bound is not None and value is not None and value.type == "percent":
            facts.report.add("E0620", bound.span, "A bound is money, not a percentage")
    _check_order(rate, least, most, facts)
    _check_order(rate, facts.fold(rate.least_each), facts.fold(rate.most_each), facts)


def _check_sum(rate: ast.Rate, facts: Facts) -> None:
    """Warns of two amounts that are both for each unit, where one is most likely meant to be fixed:
    `2.9% + 0.30 USD` without its `per payment`."""
    each = [part for part in rate.parts if part.unit == "unit"]
    if len(each) > 1:
        text = "Both amounts are charged for each unit"
        hint = "write `… per payment` for an amount of each event, `… flat` for one of the period"
        facts.warn("W0607", each[-1].span, text, help=hint)


def _check_begun(rate: ast.Rate, facts: Facts) -> None:
    """Warns of `2.50 USD per 1_000_000` outside tiers: price lists mean a part of it by that, where
    the first unit costs all of it. What is meant is said by a division or by `package of`."""
    for part in rate.parts:
        if part.unit != "per" or not (part.per or "")[:1].isdigit():
            continue
        amount, _, count = facts.text(part.span).rpartition(" per ")
        text = f"This charges {amount} for each {count} begun, the first unit already"
        number, _, unit = count.partition(" ")
        each = f"{amount} / {number}" + (f" per {unit}" if unit else "")
        hint = f"write `{each}` for a part of it for each unit, or `package of {count}: {amount}`"
        facts.warn("W0613", part.span, text, help=hint)


def _check_order(
    rate: ast.Rate, least: ast.Literal | None, most: ast.Literal | None, facts: Facts
) -> None:
    if not (most and least and most.type == least.type == "money"):
        return
    if least.value.currency == most.value.currency and least.value > most.value:
        text = f"At least {least.value} is more than at most {most.value}"
        facts.report.add("E0608", rate.span, text)


def _check_amount(amount: ast.Expr | None, facts: Facts) -> None:
    if amount is None:
        return
    if isinstance(amount, ast.Text):
        message = "An amount is money or a percentage, not a text"
        facts.report.add("E0620", amount.span, message, help="write it without quotes")
        return
    value = facts.fold(amount)
    if value is None:
        return
    if value.type not in RATES:
        currency = facts.symbols.currency
        hint = f"write `{value.value} {currency}`" if value.type == "number" else None
        text = f"An amount is money or a percentage, not {an(value.type)}"
        facts.report.add("E0620", amount.span, text, help=hint)
    elif negative(value):
        text = f"The amount {value.value} is below 0"
        hint = "what a customer gets back is a `coupon`, or `credit` of a handler"
        facts.report.add("E0621", amount.span, text, help=hint)


def _check_currency(pricing: ast.Pricing, facts: Facts) -> None:
    """A price has one currency: the business's where some of it is in that, else its first."""
    amounts = list(_amounts(pricing, facts))
    found = {currency for currency, _ in amounts}
    if len(found) < 2:
        return
    own = facts.symbols.currency
    usual = own if own in found else amounts[0][0]
    odd = next(span for currency, span in amounts if currency != usual)
    text = f"One price mixes {' and '.join(sorted(found))}"
    facts.report.add("E0626", odd, text, help="write a line for each currency")


# --- tiers -----------------------------------------------------------------------------------


def _check_tiers(pricing: ast.Pricing, facts: Facts, most: Number | None) -> None:
    tiers = pricing.tiers
    before: ast.Literal | None = None
    for tier in tiers:
        _check_rate(tier.rate, facts)
        if tier.bound is None:
            continue
        value = facts.fold(tier.bound)
        if value is None:
            continue
        if value.type not in ("number", "money", "size", "unlimited") or not positive(value):
            text = "A tier goes up to a number of units above 0"
            facts.report.add("E0603", tier.bound.span, text)
            continue
        if before is not None and _units(value) <= _units(before):
            _report_falling(before, value, facts)
        before = value
    last = _last_bound(tiers, facts)
    closed = last is not None and all(tier.bound is not None for tier in tiers)
    if last is not None and most is not None and before is not None:
        closed = closed and most > _units(before)
    if last is not None and closed and not hurt(facts.checked.loaded, pricing.span):
        facts.report.add(
            "E0602",
            tiers[-1].span,
            f"Nothing says what a unit above {show(last.value, last.type)} costs",
            help="add `above: …` as the last tier",
        )
    for tier in tiers[:-1]:
        if tier.bound is None:
            facts.report.add("E0604", tier.span, "`above` has to be the last tier, and there once")


def _report_falling(before: ast.Literal, value: ast.Literal, facts: Facts) -> None:
    equal = _units(value) == _units(before)
    how = "is the same as" if equal else "is below"
    this, that = (show(bound.value, bound.type) for bound in (value, before))
    facts.report.add(
        "E0601",
        value.span,
        f"The tier up to {this} {how} the one before it, up to {that}",
        help="tiers rise, each bound above the one before",
        labels=(Label(before.span, "the tier before"),),
    )


def _units(bound: ast.Literal) -> Number:
    """A bound as a number of units: of a meter that adds up money, so many of its currency."""
    value: Number = bound.value.amount if isinstance(bound.value, Money) else bound.value
    return value


def _last_bound(tiers: tuple[ast.Tier, ...], facts: Facts) -> ast.Literal | None:
    """The last tier's bound where units may lie above it."""
    value = facts.fold(tiers[-1].bound)
    return None if value is None or value.value == UNLIMITED else value


# --- dimensions --------------------------------------------------------------------------------


def _check_dimensions(pricing: ast.Pricing, facts: Facts, meter: ast.Meter | None) -> None:
    if meter is not None:
        known_names = [name for name, _ in meter.by]
        if not all(is_dimension(name, meter, facts.symbols) for name in known_names):
            known_names += pricing.dimensions  # what is wrong with the meter is told there
        for name in pricing.dimensions:
            if name not in known_names:
                facts.report.add(
                    "E0622",
                    pricing.span,
                    f"Meter `{meter.name}` does not count by `{name}`",
                    help=facts.near(name, known_names) or f"add `by {name}` to the meter",
                    labels=(Label(meter.name_span, "the meter"),),
                )
    seen: dict[tuple[str | None, ...], ast.DimensionRate] = {}
    for case in pricing.cases:
        check_pricing(case.price, facts, None)
        first = seen.setdefault(_case_key(case, pricing), case)
        if first is not case:
            labels = (Label(first.span, "first here"),)
            facts.report.add("E0623", case.span, "This value has two prices", labels=labels)
    _check_coverage(pricing, facts, meter)


def _case_key(case: ast.DimensionRate, pricing: ast.Pricing) -> tuple[str | None, ...]:
    return case.values or (None,) * len(pricing.dimensions)


def _check_coverage(pricing: ast.Pricing, facts: Facts, meter: ast.Meter | None) -> None:
    """Values outside a dimension's union, and values that no case gives a price."""
    choices = [_choices(name, facts, meter) for name in pricing.dimensions]
    for case in pricing.cases:
        for value, allowed in zip(case.values, choices, strict=False):
            if value is not None and allowed is not None and value not in allowed:
                hint = facts.near(value, allowed, "values")
                text = f'"{value}" is none of the values that this dimension has'
                facts.report.add("E0624", case.span, text, help=hint)
    keys = {_case_key(case, pricing) for case in pricing.cases}
    covered = (None,) * len(pricing.dimensions) in keys
    if len(choices) == 1 and choices[0] is not None:
        covered = covered or all((value,) in keys for value in choices[0])
    if not covered and pricing.cases:
        text = "A value that is not listed here has no price"
        facts.warn("W0603", pricing.span, text, help="add `else: …`")


def _choices(name: str, facts: Facts, meter: ast.Meter | None) -> tuple[str, ...] | None:
    if meter is None:
        return None
    for event, _ in meter.events:
        info = facts.symbols.events.get(event)
        type_ = info.payload.field(name) if info else None
        if type_ is None or not isinstance(known(type_), Choice):
            return None
        inner = known(type_)
        return inner.values if isinstance(inner, Choice) else None
    return None
