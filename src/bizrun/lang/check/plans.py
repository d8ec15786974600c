"""Plans and add-ons: prices, tiers, usage, allowances, limits, phases and dated versions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ...diagnostics import Label, Span, did_you_mean
from ...values import Duration, Money, Number
from .. import ast
from ..walk import walk
from .business import SETTINGS
from .context import listed
from .facts import Facts, entries, positive
from .pricing import check_each, check_money_units, check_pricing, currencies, tier_bounds

INTERVALS = ("day", "week", "month", "quarter", "year")
# What other price lists call an interval.
_OTHER_WORDS = {
    "daily": "day", "weekly": "week", "biweekly": "2 weeks", "fortnight": "2 weeks",
    "fortnightly": "2 weeks", "monthly": "month", "mo": "month", "bimonthly": "2 months",
    "quarterly": "quarter", "semester": "6 months", "semiannual": "6 months",
    "biannual": "6 months", "half_year": "6 months", "halfyear": "6 months", "yearly": "year",
    "annual": "year", "annually": "year", "annum": "year", "yr": "year", "biennial": "2 years",
}  # fmt: skip
LIMITS = ("number", "size", "money", "unlimited")
CLAUSES = [
    "price",
    "usage",
    "includes",
    "trial",
    "features",
    "limits",
    "minimum",
    "maximum",
    "only",
    "seats",
    "phase",
    "from",
    "bill",
]


# An add-on begins and is billed with the plan, whose bounds count its usage too.
_OF_PLANS = ("trial", "minimum", "maximum", "bill_usage")


def check_plans(facts: Facts) -> None:
    """Checks every line of every plan and add-on, and the limits across all of them."""
    limits: dict[str, tuple[str, Span]] = {}
    for node in facts.declarations:
        if not isinstance(node, ast.Plan | ast.Addon):
            continue
        plan = _Plan(node, facts)
        _check_items(node.items, plan)
        _check_usage_intervals(plan)
        _check_usage_currencies(plan)
        _check_money_units(plan)
        _check_bound_currencies(plan)
        _check_carried_priced(plan)
        _check_free_events(plan)
        free = not plan.prices and not plan.usages and isinstance(node, ast.Plan)
        if free and not facts.damaged(node):
            text = f"Plan `{node.name}` has no price"
            hint = "write `price 0 USD per month` where it is free"
            facts.warn("W0601", node.name_span, text, help=hint)
        for clause in plan.limits:
            _check_limits(clause, limits, facts)


@dataclass(slots=True)
class _Plan:
    """A plan or add-on with what its lines turned out to hold, phases and versions included."""

    node: ast.Plan | ast.Addon
    facts: Facts
    prices: list[ast.Price] = field(default_factory=list)
    usages: list[ast.UsagePrice] = field(default_factory=list)
    limits: list[ast.PlanClause] = field(default_factory=list)
    includes: list[ast.Includes] = field(default_factory=list)
    bounds: list[ast.PlanClause] = field(default_factory=list)
    carried: list[ast.Includes] = field(default_factory=list)
    free_events: list[ast.Includes] = field(default_factory=list)

    def add(
        self,
        code: str,
        span: Span,
        message: str,
        first: Span | None = None,
        help: str | None = None,
    ) -> None:
        """Reports a mistake; `first` is the earlier line that it clashes with."""
        labels = (Label(first, "first here"),) if first else ()
        self.facts.report.add(code, span, message, help=help, labels=labels)


def _check_items(items: Iterable[ast.PlanItem], plan: _Plan) -> None:
    seen: dict[tuple[object, ...], Span] = {}
    versions: list[tuple[ast.PriceVersion, object]] = []
    for item in items:
        match item:
            case ast.Price():
                _check_price(item, seen, plan)
            case ast.UsagePrice():
                _check_usage(item, seen, plan)
            case ast.Includes():
                _check_includes(item, seen, plan)
            case ast.PlanClause():
                _check_clause(item, seen, plan)
            case ast.Phase():
                _check_phase(item, plan)
            case ast.PriceVersion():
                _check_version(item, versions, plan)
            case _:
                pass
    _check_bounds(items, plan)


def _once(
    key: tuple[object, ...], item: ast.Node, seen: dict[tuple[object, ...], Span]
) -> Span | None:
    """The span of an earlier line with the same key; None, and remembered, where it is new."""
    if key in seen:
        return seen[key]
    seen[key] = item.span
    return None


def interval(count: int, unit: str | None) -> tuple[str, int] | None:
    """An interval as days or months, so that `per 12 months` equals `per year`."""
    match unit:
        case "day":
            return ("days", count)
        case "week":
            return ("days", 7 * count)
        case "month":
            return ("months", count)
        case "year":
            return ("months", 12 * count)
    return None


def counted(count: int, unit: str) -> str:
    """`month`, `6 months`."""
    return unit if count == 1 else f"{count} {unit}s"


_ONCE = ("setup", "setup_fee", "fee", "once", "one_time", "one_off", "fixed", "activation")
FEE_ONCE = (
    "a fee once is a price of an addon (`addon setup { price 50 USD }`) that is added in the step "
    "that subscribes"
)


def _once_hint(item: ast.Price, plan: _Plan) -> str | None:
    """What to write instead of a price that is per nothing at all."""
    if item.per_unit is not None or item.pricing.rate is None:
        return None
    amounts = [plan.facts.fold(part.amount) for part in item.pricing.rate.parts]
    free = all(amount is not None and not positive(amount) for amount in amounts)
    return "write `price 0 USD per month` where it is free" if free else FEE_ONCE


def _no_interval(unit: str | None) -> str:
    """What is wrong with a plan's price that is `per` a unit alone, or per nothing."""
    if unit is None:
        return "A plan's price needs an interval, like `per month`"
    if meant := _OTHER_WORDS.get(unit.lower()) or did_you_mean(unit, INTERVALS):
        return f"Is `per {unit}` meant to be `per {meant}`?"
    return f"A plan's price needs an interval, like `per {unit} per month`"


def _check_price(item: ast.Price, seen: dict[tuple[object, ...], Span], plan: _Plan) -> None:
    plan.prices.append(item)
    check_pricing(item.pricing, plan.facts, None, _most_seats(plan))
    check_each(item.pricing, plan.facts, None)
    _check_whole(item, plan)
    rate = None if item.pricing.tiers else item.pricing.rate
    nothing = rate and not rate.parts and not plan.facts.damaged(plan.node)
    if nothing and "free" not in plan.facts.text(item.span):
        plan.add("E0611", item.span, "This price has no amount")
    elif item.unit is None and isinstance(plan.node, ast.Plan):
        plan.facts.report.add(
            "E0611", item.span, _no_interval(item.per_unit), help=_once_hint(item, plan)
        )
    elif item.unit is None and len(item.per_unit or "") > 3:
        near = did_you_mean(item.per_unit or "", INTERVALS)
        if near:
            plan.add("E0611", item.span, f"Is `per {item.per_unit}` meant to be `per {near}`?")
    for currency in currencies(item.pricing, plan.facts):
        key = ("price", currency, interval(item.count, item.unit), item.per_unit, item.arrears)
        first = _once(key, item, seen)
        if first:
            every = f" per {counted(item.count, item.unit)}" if item.unit else ""
            unit = f" per {item.per_unit}" if item.per_unit else ""
            text = f"There are two prices in {currency}{unit}{every}"
            plan.add("E0605", item.span, text, first)


def _check_whole(item: ast.Price, plan: _Plan) -> None:
    """A fixed price has nothing that a percentage could be taken of."""
    for part in walk(item.pricing):
        value = plan.facts.fold(part.amount) if isinstance(part, ast.RatePart) else None
        if value is not None and value.type == "percent":
            hint = "a share of what is metered is `usage METER: 2.9%`; less of a price is a coupon"
            text = f"`price` is money: there is nothing that {value.value} could be taken of"
            plan.facts.report.add("E0620", value.span, text, help=hint)


def _check_usage(item: ast.UsagePrice, seen: dict[tuple[object, ...], Span], plan: _Plan) -> None:
    plan.usages.append(item)
    meter = plan.facts.symbols.meters.get(item.meter)
    check_pricing(item.pricing, plan.facts, meter)
    if meter is not None:
        check_each(item.pricing, plan.facts, meter)
    for currency in sorted(currencies(item.pricing, plan.facts)) or [""]:
        first = _once(("usage", item.meter, currency), item, seen)
        if first:
            text = f"The usage of `{item.meter}` has two prices{f' in {currency}' * bool(currency)}"
            plan.add("E0607", item.span, text, first)


def _check_includes(item: ast.Includes, seen: dict[tuple[object, ...], Span], plan: _Plan) -> None:
    first = _once(("includes", item.meter, item.events), item, seen)
    if first:
        plan.add("E0607", item.span, f"`{item.meter}` is included twice", first)
    if item.events:
        plan.free_events.append(item)
        return
    plan.includes.append(item)
    value = plan.facts.fold(item.quantity)
    if value is None:
        return
    if value.type not in ("number", "money", "size", "unlimited") or not (
        positive(value) or not value.value
    ):
        plan.add("E0612", item.quantity.span, "An allowance is a number or a size, not below 0")
    elif item.carried is not None:
        plan.carried.append(item)
        if value.type == "unlimited":
            plan.add("E0629", item.carried.span, "What is unlimited leaves nothing to carry over")
        _check_carried(item.carried, plan)


def _check_carried(carried: ast.Carried, plan: _Plan) -> None:
    if carried.periods == 0:
        plan.add("E0629", carried.span, "An allowance is carried over for at least 1 period")
    most = plan.facts.fold(carried.most)
    if most is not None and (most.type not in ("number", "money", "size") or not positive(most)):
        plan.add("E0612", most.span, "`up to` is a number or a size, above 0")


def _check_free_events(plan: _Plan) -> None:
    """The first events of a period can be told only of a meter that adds them up."""
    for item in plan.free_events:
        value = plan.facts.fold(item.quantity)
        if value is not None and not (value.type == "number" and positive(value)
                                      and value.value == int(value.value)):  # fmt: skip
            plan.add("E0612", item.quantity.span, "`includes N events` is a whole number above 0")
        meter = plan.facts.symbols.meters.get(item.meter)
        if meter is not None and meter.aggregate not in ("sum", "count"):
            text = f"Free events are of a meter that sums or counts, and `{item.meter}` does not"
            plan.add("E0627", item.meter_span, text)
        if item.carried is not None or item.prorated:
            text = "Free events are those of one period: not prorated, not carried over"
            plan.add("E0627", item.span, text)


def _check_carried_priced(plan: _Plan) -> None:
    """What is left of an allowance is known when its usage is rated, so it needs a price."""
    priced = {usage.meter for usage in plan.usages}
    for item in plan.carried:
        known = item.meter in plan.facts.symbols.meters
        if known and item.meter not in priced and isinstance(plan.node, ast.Plan):
            assert item.carried is not None, item
            text = f"Plan `{plan.node.name}` has no price for the usage of `{item.meter}`"
            hint = f"add `usage {item.meter}: …`, or `usage {item.meter}: free`"
            plan.facts.report.add("E0629", item.carried.span, text, help=hint)


# --- other clauses -----------------------------------------------------------------------------


def _check_clause(item: ast.PlanClause, seen: dict[tuple[object, ...], Span], plan: _Plan) -> None:
    value = plan.facts.fold(item.value)
    unit = value.value.currency if value and isinstance(value.value, Money) else None
    first = _once((item.key, item.name, unit), item, seen)
    if first:
        word = item.name or item.key.replace("_", " ")
        plan.add("E0607", item.span, f"`{word}` is set twice", first)
    if item.key in ("minimum", "maximum", "bill_usage"):
        plan.bounds.append(item)
    if item.key in _OF_PLANS and isinstance(plan.node, ast.Addon):
        word = item.key.replace("_", " ")
        text = f"`{word}` means nothing in an add-on: its plan's holds for it too"
        plan.facts.warn("W0605", item.span, text)
    match item.key:
        case "trial":
            if value and value.type == "duration" and not positive(value):
                plan.add("E0613", item.span, "A trial lasts for some time, like `14 days`")
        case "features":
            _check_features(item, plan)
        case "limits":
            plan.limits.append(item)
        case "minimum" | "maximum" | "bill_usage":
            if value and value.type == "money" and _below(value):
                plan.add("E0612", item.span, f"`{item.key}` is an amount above 0")
        case "seats":
            _check_seats(item, plan)
        case "only" | "provider":
            pass
        case _:
            _unknown_clause(item, plan)


_OTHER_CLAUSES = {
    "min": "minimum", "at_least": "minimum", "floor": "minimum", "commitment": "minimum",
    "max": "maximum", "cap": "maximum", "at_most": "maximum",
    "overage": "usage METER: …", "tiers": "usage METER graduated { … }",
    "allowance": "includes", "included": "includes", "carried": "includes N METER carried over",
    "rollover": "includes N METER carried over", "rolls": "includes N METER carried over",
}  # fmt: skip


def _unknown_clause(item: ast.PlanClause, plan: _Plan) -> None:
    """A text or a map may be a note of the author's; an amount or a number was to do something."""
    if item.key in _ONCE and not isinstance(item.value, ast.Text | ast.MapLiteral | None):
        text = f"A plan has no `{item.key}`: it is paid period by period"
        plan.facts.report.add("E0614", item.span, text, help=FEE_ONCE)
        return
    near = _OTHER_CLAUSES.get(item.key) or did_you_mean(item.key, CLAUSES)
    if item.key in SETTINGS and item.key not in _OTHER_CLAUSES:
        text = f"A plan has no `{item.key}`"
        hint = f"it holds for all plans: write it in `business … {{ {item.key} … }}`"
        plan.facts.report.add("E0614", item.span, text, help=hint)
        return
    if near or not isinstance(item.value, ast.Text | ast.MapLiteral | None):
        hint = f"did you mean `{near}`?" if near else "a plan has " + listed(CLAUSES)
        text = f"A plan has no `{item.key}`"
        plan.facts.report.add("E0614", item.span, text, help=hint)


def _below(value: ast.Literal) -> bool:
    return bool(value.value) and not positive(value)


def _check_features(item: ast.PlanClause, plan: _Plan) -> None:
    seen: dict[str, Span] = {}
    for feature in item.value.items if isinstance(item.value, ast.ListLiteral) else ():
        name = feature.plain if isinstance(feature, ast.Text) else None
        if name is None:
            continue
        if name in seen:
            labels = (Label(seen[name], "first here"),)
            text = f'The feature "{name}" is listed twice'
            plan.facts.warn("W0602", feature.span, text, labels=labels)
        seen.setdefault(name, feature.span)


def _most_seats(plan: _Plan) -> Number | None:
    """How many seats a plan is sold with at most, where it says so."""
    for item in plan.node.items:
        if isinstance(item, ast.PlanClause) and item.key == "seats":
            bound = item.value
            if isinstance(bound, ast.Binary) and bound.op == "..":
                bound = bound.right
            value = plan.facts.fold(bound)
            return value.value if value is not None and value.type == "number" else None
    return None


def _check_seats(item: ast.PlanClause, plan: _Plan) -> None:
    bounds = [item.value]
    if isinstance(item.value, ast.Binary) and item.value.op == "..":
        bounds = [item.value.left, item.value.right]
    values = [plan.facts.fold(bound) for bound in bounds]
    numbers = [v.value for v in values if v and v.type in ("number", "unlimited")]
    known = [value for value in values if value]
    if len(numbers) < len(known) or any(_below(value) for value in known):
        plan.add("E0612", item.span, "`seats` is a number or a range like `1..500`")
    elif len(numbers) == 2 and numbers[0] > numbers[1]:
        plan.add("E0612", item.span, "The range of `seats` ends before it begins")


def _check_bound_currencies(plan: _Plan) -> None:
    """A minimum, maximum or threshold in a currency that nothing is sold in is nobody's."""
    sold = {c for price in plan.prices for c in currencies(price.pricing, plan.facts)}
    sold |= {c for usage in plan.usages for c in currencies(usage.pricing, plan.facts)}
    for clause in plan.bounds:
        value = plan.facts.fold(clause.value)
        if sold and value and isinstance(value.value, Money) and value.value.currency not in sold:
            word = "threshold" if clause.key == "bill_usage" else clause.key
            known = " and ".join(sorted(sold))
            text = f"This {word} is in {value.value.currency}, the plan in {known}"
            plan.add("E0609", clause.span, text)


def _check_bounds(items: Iterable[ast.PlanItem], plan: _Plan) -> None:
    """A minimum above the maximum of the same currency."""
    found: dict[tuple[str, str], tuple[Money, ast.PlanClause]] = {}
    for item in items:
        if isinstance(item, ast.PlanClause) and item.key in ("minimum", "maximum"):
            value = plan.facts.fold(item.value)
            if value and isinstance(value.value, Money):
                found[item.key, value.value.currency] = (value.value, item)
    for (key, currency), (amount, item) in found.items():
        most = found.get(("maximum", currency))
        if key == "minimum" and most and amount.amount > most[0].amount:
            text = f"The minimum {amount} is above the maximum {most[0]}"
            plan.add("E0608", item.span, text)
            return
    for price in items:
        if isinstance(price, ast.Price) and price.per_unit is None and price.pricing.rate:
            for part in price.pricing.rate.parts:
                value = plan.facts.fold(part.amount)
                if value and isinstance(value.value, Money):
                    _check_below(price, value.value, found, plan)


def _check_below(
    price: ast.Price, amount: Money, bounds: Mapping[tuple[str, str], tuple[Money, object]],
    plan: _Plan,
) -> None:  # fmt: skip
    """Warns of a price that its own maximum takes down."""
    most = bounds.get(("maximum", amount.currency))
    if most and amount.amount > most[0].amount:
        text = f"The maximum of {most[0]} is below this price: nobody pays more than that for it"
        hint = "a maximum counts the price of its period and the usage; `at most` caps usage alone"
        plan.facts.warn("W0611", price.span, text, help=hint)


def _check_limits(clause: ast.PlanClause, known: dict[str, tuple[str, Span]], facts: Facts) -> None:
    if not isinstance(clause.value, ast.MapLiteral):
        text = "`limits` is a map like `{ users: 10 }`"
        facts.report.add("E0612", clause.span, text)
        return
    for name, entry in entries(clause.value).items():
        value = facts.fold(entry.value)
        if value is None and not isinstance(entry.value, ast.Text):
            continue
        if value is None or value.type not in LIMITS or _below(value):
            text = f"The limit `{name}` is a number, a size or `unlimited`"
            facts.report.add("E0615", entry.value.span, text)
            continue
        kind = value.type
        if kind == "unlimited":
            continue
        first = known.setdefault(name, (kind, entry.span))
        if first[0] != kind:
            text = f"The limit `{name}` is a {kind} here and a {first[0]} in another plan"
            labels = (Label(first[1], f"a {first[0]} here"),)
            facts.report.add("E0615", entry.value.span, text, labels=labels)


# --- phases, versions, and what has to fit together ------------------------------------------


def _check_phase(item: ast.Phase, plan: _Plan) -> None:
    value = plan.facts.fold(item.duration)
    if value and value.type == "duration" and not positive(value):
        text = "A phase lasts for some time, like `3 months`"
        plan.add("E0616", item.duration.span, text)
    elif value and value.type == "duration":
        _check_length(item, value.value, plan)
    _check_items(item.items, plan)
    _check_phase_currencies(item, plan)
    for line in item.items:
        if isinstance(line, ast.PlanClause) and line.key == "trial":
            text = "`trial` means nothing in a phase: a trial is over before the first one begins"
            plan.facts.warn("W0605", line.span, text)


def _check_phase_currencies(item: ast.Phase, plan: _Plan) -> None:
    """A phase's price in a currency that the plan has no price in is nobody's."""
    plain = [price for price in plan.node.items if isinstance(price, ast.Price)]
    own = {c for price in plain for c in currencies(price.pricing, plan.facts)}
    for price in item.items:
        used = currencies(price.pricing, plan.facts) if isinstance(price, ast.Price) else set()
        if own and used and not own & used:
            text = (
                f"This phase is priced in {' and '.join(sorted(used))}, "
                f"the plan in {' and '.join(sorted(own))}"
            )
            plan.add("E0609", price.span, text)


def _check_length(item: ast.Phase, length: Duration, plan: _Plan) -> None:
    """Warns of a phase that ends within a period: its terms hold to the end of that."""
    own = [price for price in item.items if isinstance(price, ast.Price) and price.unit]
    having = own or [price for price in plan.node.items if isinstance(price, ast.Price)]
    lasts = {"months": length.months, "days": length.days}
    for price in having:
        every = interval(price.count, price.unit)
        if every is None or every[1] < 1:
            return
        exact = [amount for kind, amount in lasts.items() if kind != every[0]] == [0]
        if exact and not length.micros and lasts[every[0]] % every[1] == 0:
            return
    if having:
        span, price = item.duration.span, having[0]
        period = f"{price.count} {price.unit}" + ("s" if price.count > 1 else "")
        text = f"This phase ends within a period of {period}, and holds to the end of that"
        hint = f"let it last whole periods; a free start is `trial {plan.facts.text(span)}`"
        plan.facts.warn("W0610", span, text, help=hint)


def _check_version(
    item: ast.PriceVersion, before: list[tuple[ast.PriceVersion, object]], plan: _Plan
) -> None:
    value = plan.facts.fold(item.start)
    if value and value.type == "date":
        if before and value.value <= before[-1][1]:
            text = "Versions stand in the order of their dates, each on another day"
            plan.add("E0617", item.start.span, text, before[-1][0].start.span)
        before.append((item, value.value))
    _check_items(item.items, plan)


def _check_usage_intervals(plan: _Plan) -> None:
    """A usage period has to fit a whole number of times into the plan's."""
    for usage in plan.usages:
        if usage.interval is None:
            continue
        inner = interval(*usage.interval)
        for price in plan.prices:
            outer = interval(price.count, price.unit)
            if not inner or not outer or inner[1] < 1:
                continue
            if inner[0] != outer[0] or outer[1] % inner[1]:
                often = counted(*usage.interval)
                text = (
                    f"Usage per {often} does not fit a whole "
                    "number of times into the period of this price"
                )
                hint = (
                    f"a plan of its own with a price of 0 per {often}, beside this one, counts it"
                )
                plan.add("E0619", usage.span, text, price.span, hint)
                break


def _check_usage_currencies(plan: _Plan) -> None:
    """Usage in a currency that the plan has no price in can never stand on its invoice."""
    own = {c for price in plan.prices for c in currencies(price.pricing, plan.facts)}
    for usage in plan.usages:
        used = currencies(usage.pricing, plan.facts)
        if own and used and not own & used:
            text = (
                f"This usage is priced in {' and '.join(sorted(used))}, "
                f"the plan in {' and '.join(sorted(own))}"
            )
            plan.add("E0609", usage.span, text)


def _check_money_units(plan: _Plan) -> None:
    """Money may stand for units where a meter adds that up, in the one currency there is."""
    facts = plan.facts
    own = {c for price in plan.prices for c in currencies(price.pricing, facts)}
    for usage in plan.usages:
        sold_in = currencies(usage.pricing, facts) or own or {facts.symbols.currency}
        meter = facts.symbols.meters.get(usage.meter)
        if meter is not None:
            check_money_units(tier_bounds(usage.pricing), sold_in, meter, facts)
    for price in plan.prices:
        check_money_units(tier_bounds(price.pricing), own, None, facts)
    for item in plan.includes:
        meter = facts.symbols.meters.get(item.meter)
        priced = [usage.pricing for usage in plan.usages if usage.meter == item.meter]
        said = {c for pricing in priced for c in currencies(pricing, facts)}
        bounds = [item.quantity, item.carried.most if item.carried else None]
        if meter is not None:
            check_money_units(bounds, said or own or {facts.symbols.currency}, meter, facts)
