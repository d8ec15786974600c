"""Builds statements: those of handlers and functions, and those of tests alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..diagnostics import Span
from . import ast
from .build_context import (
    MAX_NESTING,
    Context,
    dotted,
    first,
    is_tree,
    named,
    tokens,
    too_deep,
    trees,
)
from .build_expr import build_expr, build_map, optional_map, optional_text
from .build_text import build_text

# What `expect NAME` and `expect NAME { … }` take for an effect rather than for a value.
EFFECTS = frozenset(("email", "charge", "refund", "transfer", "invoice", "reply"))


def build_statement(tree: Any, context: Context) -> ast.Stmt:
    """The statement of a tree."""
    return _BUILDERS[tree.data](tree, context)


def build_block(tree: Any, context: Context) -> tuple[ast.Stmt, ...]:
    """The statements between braces, or of the start symbol `statements`."""
    context.depth += 2
    if context.depth > MAX_NESTING:
        too_deep(context, tree)
    body = tuple([build_statement(child, context) for child in tree.children if is_tree(child)])
    context.depth -= 2
    return body


def build_pattern(tree: Any, context: Context) -> ast.EventPattern:
    """The events that a handler, a wait or an arrow looks for."""
    types = event_types(first(tree, "event_types"), context)
    as_name, payload, where = first(tree, "as_name"), first(tree, "payload"), first(tree, "where")
    return ast.EventPattern(
        context.of(tree),
        types,
        str(as_name.children[0]) if as_name else None,
        tuple(named(context, token) for token in tokens(payload, "NAME")) if payload else (),
        build_expr(where.children[0], context) if where else None,
    )


def event_types(tree: Any, context: Context) -> tuple[tuple[str, Span], ...]:
    """The types of events joined by `or`, each with its place."""
    return tuple((dotted(part), context.of(part)) for part in trees(tree, "event_type"))


def _child(tree: Any, name: str, context: Context) -> ast.Expr | None:
    """The expression within the child of that rule."""
    found = first(tree, name)
    return build_expr(found.children[0], context) if found is not None else None


# --- State -------------------------------------------------------------------------------------


def _let(tree: Any, context: Context) -> ast.Stmt:
    name, value_tree = tree.children
    value: Any
    match value_tree.data:
        case "action":
            value = _action(value_tree, context)
        case "create" | "upsert":
            value = build_statement(value_tree, context)
        case _:
            value = build_expr(value_tree, context)
    return ast.Let(context.of(tree), str(name), context.of(name), value)


def _create(tree: Any, context: Context) -> ast.Stmt:
    entity, data = tree.children
    make = ast.Create if tree.data == "create" else ast.Upsert
    return make(context.of(tree), str(entity), context.of(entity), build_map(data, context))


def _update(tree: Any, context: Context) -> ast.Stmt:
    target, data = tree.children
    return ast.Update(context.of(tree), build_expr(target, context), build_map(data, context))


def _delete(tree: Any, context: Context) -> ast.Stmt:
    return ast.Delete(context.of(tree), build_expr(tree.children[0], context))


def _add_to(tree: Any, context: Context) -> ast.Stmt:
    item, collection = (build_expr(part, context) for part in tree.children)
    make = ast.AddTo if tree.data == "add_to" else ast.RemoveFrom
    return make(context.of(tree), item, collection)


# --- Events and actions ------------------------------------------------------------------------


def _emit(tree: Any, context: Context) -> ast.Stmt:
    event, event_span = named(context, first(tree, "dotted"))
    return ast.Emit(
        context.of(tree),
        event,
        event_span,
        optional_map(tree, context),
        _child(tree, "emit_at", context),
        _child(tree, "emit_id", context),
        _child(tree, "emit_corrects", context),
    )


def _do(tree: Any, context: Context) -> ast.Stmt:
    action = _action(tree, context)
    return action if isinstance(action, ast.Bad) else ast.Do(context.of(tree), action)


def _action(tree: Any, context: Context) -> ast.Action | ast.Bad:
    head = tree.children[0]
    name = action_name(head)
    if name is None:
        message = 'An action has a name, as in `charge { … }` or `shippo.post "/path" { … }`.'
        context.report("E0101", context.of(head), message)
        return ast.Bad(context.of(tree))
    target = optional_text(tree, context)
    map_ = first(tree, "map")
    # Without braces, as in `rates.get "/today"`: nothing is sent along.
    data = build_map(map_, context) if map_ else ast.MapLiteral(context.of(tree), ())
    return ast.Action(context.of(tree), name, context.of(head), target, data)


def action_name(head: Any) -> str | None:
    """The dotted name that a tree is, whether it was read as a name or as an expression."""
    match head.data:
        case "dotted":
            return dotted(head)
        case "name_ref":
            return str(head.children[0])
        case "postfix":
            base, *trailers = head.children
            if base.data == "name_ref" and all(t.data == "trailer_field" for t in trailers):
                parts = [base.children[0], *(trailer.children[0] for trailer in trailers)]
                return ".".join(str(part) for part in parts)
    return None


# --- Time ----------------------------------------------------------------------------------------


def _after(tree: Any, context: Context) -> ast.Stmt:
    delay = build_expr(tree.children[0], context)
    unless, block = _unless_and_block(tree, context)
    return ast.After(context.of(tree), delay, unless, block or ())


def _at(tree: Any, context: Context) -> ast.Stmt:
    time = build_expr(tree.children[0], context)
    unless, block = _unless_and_block(tree, context)
    if block is None and unless is None:
        return ast.SetClock(context.of(tree), time)
    return ast.At(context.of(tree), time, unless, block or ())


def _unless_and_block(
    tree: Any, context: Context
) -> tuple[ast.EventPattern | None, tuple[ast.Stmt, ...] | None]:
    unless, block = first(tree, "unless"), first(tree, "block")
    return (
        build_pattern(unless.children[0], context) if unless else None,
        build_block(block, context) if block is not None else None,
    )


def _wait_for(tree: Any, context: Context) -> ast.Stmt:
    pattern = build_pattern(tree.children[0], context)
    return ast.WaitFor(context.of(tree), pattern, _child(tree, "within", context))


# --- Choices and rounds ------------------------------------------------------------------------


def _for_each(tree: Any, context: Context) -> ast.Stmt:
    variable, source, block = tree.children
    return ast.ForEach(
        context.of(tree), str(variable), build_expr(source, context), build_block(block, context)
    )


def _if(tree: Any, context: Context) -> ast.Stmt:
    condition, block, *rest = tree.children
    before = context.depth
    context.depth += len(rest)
    if context.depth > MAX_NESTING:
        too_deep(context, tree)
    branches = [(tree, condition, block)]
    otherwise: tuple[ast.Stmt, ...] = ()
    for part in rest:
        if part.data == "otherwise":
            otherwise = build_block(part.children[0], context)
        else:
            branches.append((part, *part.children))
    end = context.of(tree)
    for part, condition, block in reversed(branches):
        # An `else if` reaches from its `if` to the end of the whole.
        start = condition if part is not tree else tree
        span = context.of(start).to(end)
        node = ast.If(span, build_expr(condition, context), build_block(block, context), otherwise)
        otherwise = (node,)
    context.depth = before
    return node


def _match(tree: Any, context: Context) -> ast.Stmt:
    subject, *parts = (child for child in tree.children if is_tree(child))
    cases: list[ast.MatchCase] = []
    otherwise: tuple[ast.Stmt, ...] | None = None
    value = build_expr(subject, context)
    for part in parts:
        *patterns, block = part.children
        body = build_block(block, context)
        if part.data == "match_otherwise":
            otherwise = body
        else:
            values = tuple(build_expr(pattern, context) for pattern in patterns)
            cases.append(ast.MatchCase(context.of(part), values, body))
    return ast.Match(context.of(tree), value, tuple(cases), otherwise)


# --- Ends and notes ----------------------------------------------------------------------------


def _return(tree: Any, context: Context) -> ast.Stmt:
    value = build_expr(tree.children[0], context) if tree.children else None
    return ast.Return(context.of(tree), value)


def _reject(tree: Any, context: Context) -> ast.Stmt:
    return ast.Reject(context.of(tree), build_expr(tree.children[0], context))


def _record(tree: Any, context: Context) -> ast.Stmt:
    metric, value = tree.children
    return ast.Record(context.of(tree), str(metric), context.of(metric), build_expr(value, context))


def _log(tree: Any, context: Context) -> ast.Stmt:
    return ast.Log(context.of(tree), build_expr(tree.children[0], context))


def _across_tenants(tree: Any, context: Context) -> ast.Stmt:
    return ast.AcrossTenants(context.of(tree), build_block(tree.children[0], context))


# --- Tests ---------------------------------------------------------------------------------------


def _advance(tree: Any, context: Context) -> ast.Stmt:
    value = build_expr(tree.children[0], context)
    return ast.Advance(context.of(tree), value, tree.data == "advance_to")


def _expect_true(tree: Any, context: Context) -> ast.Stmt:
    value = tree.children[0]
    name = action_name(value)
    # A single dotted name is an effect: a value by itself says nothing that could be false.
    if name is not None:
        return ast.ExpectEffect(context.of(tree), None, name, context.of(value), None, None, None)
    return ast.ExpectTrue(context.of(tree), build_expr(value, context))


def _expect_action(tree: Any, context: Context) -> ast.Stmt:
    head = tree.children[0]
    name = action_name(head)
    if name is None:
        message = "What is expected has a name, as in `expect 1 charge { … }`."
        context.report("E0101", context.of(head), message)
        return ast.Bad(context.of(tree))
    return _effect(tree, name, context.of(head), None, context)


def _expect_count(tree: Any, context: Context) -> ast.Stmt:
    name, span = named(context, first(tree, "dotted"))
    return _effect(tree, _PLURALS.get(name, name), span, None, context)


# After a number or `no` an effect may stand in the plural.
_PLURALS = {f"{name}s": name for name in ("email", "charge", "refund", "transfer", "invoice")}


def _expect_event(tree: Any, context: Context) -> ast.Stmt:
    event, span = named(context, first(tree, "dotted"))
    return _effect(tree, "event", span, event, context)


def _effect(tree: Any, kind: str, kind_span: Span, event: str | None, context: Context) -> ast.Stmt:
    return ast.ExpectEffect(
        context.of(tree),
        _count(first(tree, "expect_number"), context),
        kind,
        kind_span,
        event,
        optional_text(tree, context),
        optional_map(tree, context),
    )


def _count(tree: Any, context: Context) -> int | None:
    if tree is None:
        return None
    token = tree.children[0]
    if token.type != "NUMBER":
        return 0
    return whole(token, context)


def whole(token: Any, context: Context) -> int:
    """A count: a whole number of at most nine digits; 1, and reported, where it is none."""
    text = str(token).replace("_", "")
    if text.isdecimal() and len(text) <= 9:
        return int(text)
    context.report("E0110", context.of(token), f"`{str(token)[:40]}` is no count: write it whole.")
    return 1


def _expect_rejected(tree: Any, context: Context) -> ast.Stmt:
    message = build_expr(tree.children[0], context) if tree.children else None
    return ast.ExpectRejected(context.of(tree), message)


def _payments(tree: Any, context: Context) -> ast.Stmt:
    error = build_expr(tree.children[0], context) if tree.children else None
    return ast.Payments(context.of(tree), tree.data == "payments_succeed", error)


def _answer(tree: Any, context: Context) -> ast.Stmt:
    name, span = named(context, tree.children[0])
    value = build_expr(tree.children[-1], context)
    return ast.Answer(context.of(tree), name, span, optional_text(tree, context), value)


def _call_api(tree: Any, context: Context) -> ast.Stmt:
    method, path, *_ = tree.children
    return ast.CallApi(
        context.of(tree),
        str(method),
        build_text(path, context),
        optional_map(tree, context),
        _child(tree, "call_as", context),
    )


_BUILDERS: dict[str, Callable[[Any, Context], ast.Stmt]] = {
    "let": _let,
    "create": _create,
    "upsert": _create,
    "update": _update,
    "delete": _delete,
    "add_to": _add_to,
    "remove_from": _add_to,
    "emit": _emit,
    "do": _do,
    "after": _after,
    "at": _at,
    "wait_for": _wait_for,
    "for_each": _for_each,
    "if": _if,
    "match": _match,
    "return": _return,
    "reject": _reject,
    "record": _record,
    "log": _log,
    "across_tenants": _across_tenants,
    "advance": _advance,
    "advance_to": _advance,
    "expect_true": _expect_true,
    "expect_action": _expect_action,
    "expect_count": _expect_count,
    "expect_event": _expect_event,
    "expect_rejected": _expect_rejected,
    "payments_succeed": _payments,
    "payments_fail": _payments,
    "answer": _answer,
    "call_api": _call_api,
}
