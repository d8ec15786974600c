"""Builds what is sold: plans, add-ons, and how a quantity becomes money."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import ast
from .build_context import Context, bounds, first, is_tree, named, tokens, trees
from .build_expr import build_expr
from .build_statements import whole
from .build_text import plain_text
from .build_values import build_literal

_INTERVALS = {"day": 1, "week": 1, "month": 1, "quarter": 3, "year": 1}
_KNOWN_MAPS = frozenset(("limits", "features", "metadata"))


def build_plan(tree: Any, context: Context) -> ast.Plan | ast.Addon:
    """A plan or an add-on."""
    names = tokens(tree, "NAME")
    titles = tokens(tree, "TEXT")
    make = ast.Plan if tree.data == "plan" else ast.Addon
    name, name_span = named(context, names[0])
    return make(
        context.of(tree),
        context.doc,
        name,
        name_span,
        plain_text(titles[0], context) if titles else None,
        build_items(tree, context),
    )


def build_items(tree: Any, context: Context) -> tuple[ast.PlanItem, ...]:
    """The lines of a plan, of one of its phases, or of the start symbol `items`."""
    items: list[ast.PlanItem] = []
    for child in tree.children:
        if is_tree(child) and child.data in _ITEMS:
            items.append(_ITEMS[child.data](child, context))
    return tuple(items)


# --- Prices --------------------------------------------------------------------------------------


def build_price(tree: Any, context: Context) -> ast.Price:
    """`price …`, or what follows the word: an amount, what it is per, and tiers."""
    body = tree.children[0] if tree.data == "plan_price" else tree
    amount, model = first(body, "amount"), first(body, "model")
    per_unit: str | None = None
    count: int = 1
    unit: str | None = None
    for per in trees(body, "per"):
        interval = _interval(per.children[0], context)
        if (unit if interval else per_unit) is not None:
            message = "A price is per one thing and one interval."
            help = "a price for each is a line of its own: `price 5 USD per seat per month`"
            context.report("E0140", context.of(per), message, help)
        elif interval:
            count, unit = interval
        else:
            per_unit = str(per.children[0])
    if model is not None:
        if amount is not None:
            message = "A price in tiers has no amount beside them."
            context.report("E0140", context.of(amount), message, "the tiers alone say the price")
        pricing = _tiered(body, context)
    else:
        parts = _parts([_rate_part(body, amount, context)]) if amount else ()
        rate = ast.Rate(context.of(amount if amount else body), parts)
        pricing = ast.Pricing(rate.span, "unit", rate)
    due = first(body, "arrears")
    arrears = due is not None and str(due.children[-1]) == "arrears"
    return ast.Price(context.of(tree), pricing, per_unit, count, unit, arrears)


def _interval(token: Any, context: Context) -> tuple[int, str] | None:
    """The (count, unit) that a price is for; None where the word is no length of time."""
    if token.type == "NAME":
        text = str(token)
        return _of_unit(1, text) if text in _INTERVALS else None
    if token.type != "DURATION":
        return None
    count, unit = str(token).split()
    if unit.rstrip("s") not in _INTERVALS or not count.isdecimal() or not int(count):
        help = "write days, weeks, months or years, as in `per 6 months`"
        message = "A price is for a whole number of days, weeks, months or years."
        context.report("E0113", context.of(token), message, help)
        return 1, "month"
    return _of_unit(int(count), unit.rstrip("s"))


def _of_unit(count: int, unit: str) -> tuple[int, str]:
    return (count * 3, "month") if unit == "quarter" else (count, unit)


def _amount(tree: Any, context: Context) -> ast.Expr:
    """A product of an `amount`: factors and `*` or `/` in turn."""
    node = _factor(tree.children[0], context)
    start = bounds(tree)[0]
    for place in range(1, len(tree.children), 2):
        op, factor = tree.children[place], tree.children[place + 1]
        span = context.span(start, bounds(factor)[1])
        node = ast.Binary(span, str(op), node, _factor(factor, context), context.of(op))
    return node


def _factor(tree: Any, context: Context) -> ast.Expr:
    if tree.data == "negative":
        return ast.Unary(context.of(tree), "-", build_expr(tree.children[0], context))
    return build_expr(tree, context)


def build_rate(tree: Any, context: Context) -> ast.Rate:
    """A `+` list of products with their bounds; `free` gives no product."""
    parts = [_rate_part(part, part.children[0], context) for part in trees(tree, "rate_part")]
    return _bounded(tree, _parts(parts), context)


def _bounded(tree: Any, parts: tuple[ast.RatePart, ...], context: Context) -> ast.Rate:
    """The products of a rate within the bounds that stand behind them, or behind its tiers."""
    bounds_: dict[str, ast.Expr] = {}
    each = None
    for limit in trees(tree, "limit_rate"):
        per = first(limit, "per")
        name = f"{limit.children[1]}{' each' * (per is not None)}"
        bounds_[name] = _amount(limit.children[2], context)
        each = str(per.children[0]) if per is not None else each
    return ast.Rate(
        context.of(tree), parts, bounds_.get("most"), bounds_.get("least"),
        bounds_.get("most each"), bounds_.get("least each"), each,
    )  # fmt: skip


def _parts(parts: list[ast.RatePart]) -> tuple[ast.RatePart, ...]:
    return tuple(part for part in parts if part.amount is not None)


def _rate_part(tree: Any, amount_tree: Any, context: Context) -> ast.RatePart:
    amount: ast.Expr | None = _amount(amount_tree, context)
    if isinstance(amount, ast.Name) and amount.name == "free":
        amount = None
    if tree.data != "rate_part":
        return ast.RatePart(context.of(amount_tree), amount, "unit", None)
    flat, per = first(tree, "flat"), first(tree, "per")
    if flat is not None:
        unit = "flat always" if len(flat.children) > 1 else "flat"
        return ast.RatePart(context.of(tree), amount, unit, None)
    if per is not None:
        word = " ".join(str(per.children[0]).split())
        number = per.children[0].type == "NUMBER"
        return ast.RatePart(
            context.of(tree), amount, "per", word.replace("_", "") if number else word
        )
    return ast.RatePart(context.of(tree), amount, "unit", None)


# --- Pricing -------------------------------------------------------------------------------------


def build_pricing(
    parts: list[Any], tree: Any, dimensions: tuple[str, ...], context: Context
) -> ast.Pricing:
    """How a quantity is priced, from the children of a usage price or of one of its cases."""
    span = context.of(tree)
    dimension = next((part for part in parts if is_tree(part, "dimension")), None)
    if dimension is not None:
        cases = tuple(_case(case, context) for case in trees(dimension, "case", "else_case"))
        return ast.Pricing(span, "dimension", dimensions=dimensions, cases=cases)
    if any(is_tree(part, "model") for part in parts):
        return _tiered(tree, context, dimensions)
    rates = [build_rate(part, context) for part in parts if is_tree(part, "rate_body")]
    package = next((part for part in parts if is_tree(part, "package")), None)
    if package is not None:
        size = _bound(package.children[0], context)
        return ast.Pricing(span, "package", rates[0], package=size, dimensions=dimensions)
    return ast.Pricing(span, "unit", rates[0], dimensions=dimensions)


def _tiered(tree: Any, context: Context, dimensions: tuple[str, ...] = ()) -> ast.Pricing:
    model = str(first(tree, "model").children[0])
    tiers: list[ast.Tier] = []
    for tier in trees(tree, "tier"):
        *bound, rate = tier.children
        limit = _bound(bound[0], context) if bound else None
        tiers.append(ast.Tier(context.of(tier), limit, build_rate(rate, context)))
    rate = _bounded(tree, (), context) if trees(tree, "limit_rate") else None
    return ast.Pricing(context.of(tree), model, rate, tuple(tiers), dimensions=dimensions)


def _bound(tree: Any, context: Context) -> ast.Expr:
    part = tree.children[0]
    if not is_tree(part):
        return build_literal(part, context)
    head, *rest = part.children
    node: ast.Expr = ast.Name(context.of(head), str(head))
    for token in rest:
        span = node.span.to(context.of(token))
        node = ast.Field(span, node, str(token), False, context.of(token))
    return node


def _case(tree: Any, context: Context) -> ast.DimensionRate:
    values: list[str | None] = []
    for part in tree.children:
        if not is_tree(part):
            values.append(plain_text(part, context))
        elif part.data == "case_key":
            key = part.children[0]
            values.append(None if key.type == "ELSE" else plain_text(key, context))
    if tree.data == "else_case":
        # `else` alone holds for whatever no other case names, in all dimensions.
        values = [None, *values] if values else []
    pricing = build_pricing(tree.children, tree, (), context)
    return ast.DimensionRate(context.of(tree), tuple(values), pricing)


def _usage(tree: Any, context: Context) -> ast.UsagePrice:
    meter, *parts = tree.children
    interval: tuple[int, str] | None = None
    dimensions: list[str] = []
    for per in (part for part in parts if is_tree(part, "per_list")):
        for token in per.children:
            found = _interval(token, context)
            if found:
                interval = found
            else:
                dimensions.append(str(token))
    pricing = build_pricing(parts, tree, tuple(dimensions), context)
    return ast.UsagePrice(context.of(tree), str(meter), context.of(meter), pricing, interval)


# --- Other lines ---------------------------------------------------------------------------------


def _includes(tree: Any, context: Context) -> ast.Includes:
    quantity_tree, meter, *_ = tree.children
    token = quantity_tree.children[0]
    quantity: ast.Expr
    if token.type == "NAME":
        quantity = ast.Name(context.of(token), str(token))
    else:
        quantity = build_literal(token, context)
    prorated = first(tree, "prorated") is not None
    carried = _carried(first(tree, "carried"), context)
    of = first(tree, "free_events")
    if of is not None:
        if str(meter) not in ("events", "event"):
            message = f"There is no `{meter} of` a meter."
            help = f"write `includes N events of {of.children[0]}`, or `includes N {meter}`"
            context.report("E0101", context.of(meter), message, help)
        meter = of.children[0]
    name, span = str(meter), context.of(meter)
    free_events = of is not None
    return ast.Includes(context.of(tree), quantity, name, span, prorated, carried, free_events)


def _carried(tree: Any, context: Context) -> ast.Carried | None:
    if tree is None:
        return None
    periods, most = None, first(tree, "carried_up_to")
    lasting = first(tree, "carried_for")
    if lasting is not None:
        count, *unit = lasting.children
        if [str(word) for word in unit] in (["periods"], ["period"]):
            periods = whole(count, context)
        else:
            message = "What is carried over lasts for a number of periods."
            help = "write `carried over for 2 periods`: those of the meter's usage price"
            context.report("E0101", context.of(lasting), message, help)
    bound = _bound(most.children[0], context) if most is not None else None
    return ast.Carried(context.of(tree), periods, bound)


def _bill_usage(tree: Any, context: Context) -> ast.PlanClause:
    value = build_expr(tree.children[0], context)
    return ast.PlanClause(context.of(tree), "bill_usage", None, value)


def _phase(tree: Any, context: Context) -> ast.Phase:
    title, duration, *_ = tree.children
    return ast.Phase(
        context.of(tree),
        plain_text(title, context),
        build_expr(duration, context),
        build_items(tree, context),
    )


def _version(tree: Any, context: Context) -> ast.PriceVersion:
    start = build_expr(tree.children[0], context)
    migrate, where = _migrate(first(tree, "migrate"), context)
    items = build_items(tree, context)
    return ast.PriceVersion(context.of(tree), start, items, migrate, where)


def _migrate(tree: Any, context: Context) -> tuple[str | None, ast.Expr | None]:
    if tree is None:
        return None, None
    _, how, *rest = tree.children
    match str(how):
        case "where":
            return "where", build_expr(rest[0], context)
        case "on":
            if str(rest[0]) != "renewal":
                help = "write `migrate on renewal`, `migrate now` or `migrate where …`"
                message = f"There is no `migrate on {rest[0]}`."
                context.report("E0101", context.of(rest[0]), message, help)
            return "renewal", None
    return "now", None


def _clause(tree: Any, context: Context) -> ast.PlanClause:
    key, *parts = tree.children
    span = context.of(tree)
    words: tuple[str, ...] = ()
    value: ast.Expr | None = None
    if parts:
        value = build_expr(parts[0], context)
        words = tuple(word for part in parts[1:] for word in _words(part, context))
    name = str(key)
    if isinstance(value, ast.MapLiteral) and name not in _KNOWN_MAPS:
        return ast.PlanClause(span, "provider", name, value, words)
    return ast.PlanClause(span, name, None, value, words)


def _words(tree: Any, context: Context) -> list[str]:
    start, end = bounds(tree)
    return context.text[start:end].split()


_ITEMS: dict[str, Callable[[Any, Context], ast.PlanItem]] = {
    "plan_price": build_price,
    "usage": _usage,
    "includes": _includes,
    "bill_usage": _bill_usage,
    "phase": _phase,
    "version": _version,
    "clause": _clause,
}
