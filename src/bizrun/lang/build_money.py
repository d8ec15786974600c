"""Builds what surrounds a price: meters, coupons, taxes, dunning."""

from __future__ import annotations

from typing import Any

from ..diagnostics import Span, did_you_mean
from . import ast
from .build_context import Context, dotted, first, is_tree, named, tokens, trees
from .build_expr import build_expr
from .build_statements import event_types, whole
from .build_text import plain_text

ENDINGS = ("suspend", "cancel", "mark_uncollectible")
AGGREGATES = ("count", "sum", "max", "min", "last", "average", "unique")


def build_meter(tree: Any, context: Context) -> ast.Meter:
    """A meter: what it adds up, of which events, for whom."""
    name, aggregate = tokens(tree, "NAME")
    head, of = first(tree, "event_types"), first(tree, "meter_of")
    field: str | None = None
    field_span: Span | None = None
    if of is not None:
        field, field_span = dotted(head.children[0]), context.of(head)
        head = of.children[0]
    by: list[tuple[str, Span]] = []
    for part in trees(tree, "meter_by"):
        by += [named(context, token) for token in part.children]
    per, where, unit = (first(tree, f"meter_{part}") for part in ("per", "where", "unit"))
    return ast.Meter(
        context.of(tree),
        context.doc,
        *named(context, name),
        context.one_of(aggregate, AGGREGATES, "a meter is one of"),
        field,
        field_span,
        event_types(head, context),
        str(per.children[0]) if per else None,
        context.of(per.children[0]) if per else None,
        tuple(by),
        build_expr(where.children[0], context) if where else None,
        _unit(unit.children[0], context) if unit else None,
        context.of(unit.children[0]) if unit else None,
        _title(tree, context),
    )


def _title(tree: Any, context: Context) -> str | None:
    """What a reader calls it: the text behind the name."""
    titles = tokens(tree, "TEXT")
    return plain_text(titles[0], context) if titles else None


def _unit(token: Any, context: Context) -> str:
    return plain_text(token, context) if token.type == "TEXT" else str(token)


def build_coupon(tree: Any, context: Context) -> ast.Coupon:
    """A coupon: how much it takes off, how long, how often, for which plans."""
    off = first(tree, "coupon_off")
    span = context.of(tree)
    name, name_span = named(context, tree.children[0])
    if off is None:
        help = "write `25% off` or `10 USD off`"
        context.report("E0101", name_span, f"The coupon `{name}` takes nothing off.", help)
    for word in ("off", "for", "until", "times", "only"):
        for again in trees(tree, f"coupon_{word}")[1:]:
            message = f"The coupon `{name}` says this twice."
            context.report("E0101", context.of(again), message, "one of them holds")
    once = [part.children for part in trees(tree, "coupon_once")]
    for token in (token for rest in once for token in rest):
        context.one_of(token, ("customer",), "a coupon holds once, or once per")
    only = first(tree, "coupon_only")
    return ast.Coupon(
        span,
        context.doc,
        name,
        name_span,
        build_expr(off.children[0], context) if off else ast.Bad(name_span),
        _within(tree, "coupon_for", context),
        any(not rest for rest in once),
        any(bool(rest) for rest in once),
        _times(tree, context),
        _within(tree, "coupon_until", context),
        tuple(named(context, token) for token in tokens(only, "NAME")) if only else (),
        _title(tree, context),
    )


def _within(tree: Any, rule: str, context: Context) -> ast.Expr | None:
    found = first(tree, rule)
    return build_expr(found.children[0], context) if found is not None else None


def _times(tree: Any, context: Context) -> ast.Expr | None:
    found = first(tree, "coupon_times")
    if found is None:
        return None
    token = found.children[0]
    return ast.Literal(context.of(token), "number", whole(token, context))


def build_tax(tree: Any, context: Context) -> ast.Tax:
    """A tax: its rate and when it holds, or the provider that knows."""
    name, name_span = named(context, tree.children[0])
    rate, provider = first(tree, "tax_rate"), first(tree, "tax_provider")
    kind = first(rate, "tax_kind") if rate is not None else None
    return ast.Tax(
        context.of(tree),
        context.doc,
        name,
        name_span,
        build_expr(rate.children[0], context) if rate is not None else None,
        kind is not None and str(kind.children[0]) == "inclusive",
        _within(rate, "tax_when", context) if rate is not None else None,
        str(provider.children[0]) if provider is not None else None,
        _title(tree, context),
    )


# --- Dunning -------------------------------------------------------------------------------------


def build_dunning(tree: Any, context: Context) -> ast.Dunning:
    """A dunning schedule; a comma goes on with the retries of the line before."""
    steps: list[ast.DunningStep] = []
    for part in tree.children:
        if not is_tree(part):
            continue
        if part.data in ("retry_more", "retry_times"):
            _go_on(steps, part, context)
        else:
            steps.append(_step(part, context))
    return ast.Dunning(
        context.of(tree), context.doc, *named(context, tree.children[0]), tuple(steps)
    )


def _step(tree: Any, context: Context) -> ast.DunningStep:
    span = context.of(tree)
    parts = tree.children
    match tree.data:
        case "retry_after":
            return ast.DunningStep(
                span, "retry_after", (build_expr(parts[0], context),), None, None
            )
        case "retry_every":
            times = whole(parts[1].children[0], context) if len(parts) > 1 else None
            delay = build_expr(parts[0], context)
            return ast.DunningStep(span, "retry_every", (delay,), times, None)
        case "retry_backoff":
            delay, times = build_expr(parts[0], context), whole(parts[1], context)
            return ast.DunningStep(span, "retry_backoff", (delay,), times, None)
        case "dunning_then":
            return ast.DunningStep(span, "then", (), None, str(parts[0]))
    delay = build_expr(parts[1], context)
    if did_you_mean(str(parts[0]), ("retry",)):
        context.one_of(parts[0], ("retry", *ENDINGS), "dunning has")
        return ast.DunningStep(span, "retry_after", (delay,), None, None)
    return ast.DunningStep(span, "grace", (delay,), None, str(parts[0]))


def _go_on(steps: list[ast.DunningStep], part: Any, context: Context) -> None:
    """Adds `7 days` to a `retry after 3 days` before it, `8 times` to a `retry every`."""
    before = steps[-1] if steps else None
    span = context.of(part)
    if before and part.data == "retry_more" and before.kind == "retry_after":
        delays = (*before.delays, build_expr(part.children[0], context))
        steps[-1] = ast.DunningStep(before.span.to(span), before.kind, delays, None, None)
    elif before and part.data == "retry_times" and before.kind == "retry_every":
        times = whole(part.children[0], context)
        steps[-1] = ast.DunningStep(before.span.to(span), before.kind, before.delays, times, None)
    else:
        help = "write `retry after 3 days, 7 days`, or `retry every 8 days, 8 times`"
        context.report("E0101", span, "This belongs to no `retry` before it.", help)
