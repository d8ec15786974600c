"""Statements of the IR become statements of Python, each on the spec's own line."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import nodes as ir
from .compile_blocks import CTX, Scope, ask, call, literal, load, mangled, map_of
from .compile_expr import condition, expression, matches_one
from .variables import free_names, pattern_names


@dataclass(slots=True)
class Body:
    """Where steps stand: the segments they may hand over to, and the patterns met so far.

    In a function (`segments` empty) `return` gives a value; in a handler it replies.
    """

    scope: Scope
    segments: tuple[ir.Segment, ...] = ()
    patterns: list[tuple[ir.Pattern, ir.Place]] = field(default_factory=list)
    function: bool = False


def block(steps: Iterable[ir.Step], body: Body) -> list[ast.stmt]:
    """The statements of steps; at least one."""
    made: list[ast.stmt] = []
    for step in steps:
        made += [placed(stmt, step.place) for stmt in _STEPS[type(step)](step, body)]
    return made or [ast.Pass()]


def placed(made: ast.stmt, place: ir.Place) -> ast.stmt:
    """A statement at its place in the spec; what stands in it gets that place later."""
    made.lineno = made.end_lineno = max(place.line, 1)
    made.col_offset = made.end_col_offset = max(place.column - 1, 0)
    return made


def define(name: str, params: Sequence[str], body: list[ast.stmt], place: ir.Place) -> ast.stmt:
    """`def name(ctx, …)` with a body."""
    args = ast.arguments([], [ast.arg(arg) for arg in ("ctx", *params)], None, [], [], None, [])
    return placed(ast.FunctionDef(name, args, body, []), place)


def _assign(name: str, value: ast.expr) -> ast.stmt:
    return ast.Assign([ast.Name(name, ast.Store())], value)


def _do(method: str, *args: ast.expr) -> ast.stmt:
    return ast.Expr(ask(method, *args))


def _live(names: Iterable[str], body: Body) -> ast.expr:
    found = sorted(set(names))
    return map_of([(name, expression(ir.Local(name), body.scope)) for name in found])


def _place(place: ir.Place, body: Body) -> ast.expr:
    return body.scope.module.define("p", place)


def _pattern(pattern: ir.Pattern, place: ir.Place, body: Body) -> ast.expr:
    body.patterns.append((pattern, place))
    return literal(len(body.patterns) - 1)


def _maybe(node: ir.Expr | None, body: Body) -> ast.expr:
    return literal(None) if node is None else expression(node, body.scope)


# --- values, branches, endings ---------------------------------------------------------------


def _let(step: ir.LetStep, body: Body) -> list[ast.stmt]:
    return [_assign(mangled(step.name), expression(step.value, body.scope))]


def _if(step: ir.IfStep, body: Body) -> list[ast.stmt]:
    # `then` first: patterns are numbered in order of appearance.
    test, then = condition(step.condition, body.scope), block(step.then, body)
    return [ast.If(test, then, block(step.otherwise, body) if step.otherwise else [])]


def _match(step: ir.MatchStep, body: Body) -> list[ast.stmt]:
    name = body.scope.module.fresh("t")
    subject = _assign(name, expression(step.subject, body.scope))
    blocks = [
        (matches_one(load(name), patterns, body.scope), block(steps, body))
        for patterns, steps in step.cases
    ]
    rest = block(step.otherwise, body) if step.otherwise else []
    for test, made in reversed(blocks):
        rest = [placed(ast.If(test, made, rest), step.place)]
    return [subject, *rest]


def _return(step: ir.ReturnStep, body: Body) -> list[ast.stmt]:
    if body.function:
        return [ast.Return(_maybe(step.value, body))]
    reply = [] if step.value is None else [_do("reply", expression(step.value, body.scope))]
    return [*reply, ast.Return()]


def _reject(step: ir.RejectStep, body: Body) -> list[ast.stmt]:
    return [ast.Raise(call("refusal", expression(step.message, body.scope)))]


def _goto(step: ir.GotoStep, body: Body) -> list[ast.stmt]:
    live = body.segments[step.segment].live
    values = [expression(ir.Local(name), body.scope) for name in live]
    return [ast.Return(call(f"s_{step.segment}", CTX, *values))]


# --- state, events, actions ------------------------------------------------------------------


def _create(step: ir.CreateStep, body: Body) -> list[ast.stmt]:
    made = ask(
        "create",
        literal(step.entity),
        expression(step.data, body.scope),
        literal(step.site),
        literal(step.upsert),
    )
    return [ast.Expr(made) if step.name is None else _assign(mangled(step.name), made)]


def _update(step: ir.UpdateStep, body: Body) -> list[ast.stmt]:
    module = body.scope.module
    key, row = module.fresh("t"), module.fresh("t")
    inner = body.scope.bind(step.var, True, row)
    entity = literal(step.entity)
    made = [_assign(key, expression(step.target, body.scope))]
    if step.var in free_names(step.data):
        made.append(_assign(row, ask("row", entity, load(key))))
    return [*made, _do("update", entity, load(key), expression(step.data, inner))]


def _delete(step: ir.DeleteStep, body: Body) -> list[ast.stmt]:
    return [_do("delete", literal(step.entity), expression(step.target, body.scope))]


def _member(step: ir.MemberStep, body: Body) -> list[ast.stmt]:
    target, item = expression(step.target, body.scope), expression(step.item, body.scope)
    args = literal(step.entity), target, literal(step.field), item, literal(step.remove)
    return [_do("member", *args)]


def _emit(step: ir.EmitStep, body: Body) -> list[ast.stmt]:
    data = expression(step.data, body.scope)
    if not isinstance(step.data, ir.MapExpr):
        data = call("as_map", data)
    place = _place(step.place, body)
    return [_do("emit", literal(step.event), data, literal(step.site), place)]


def _act(step: ir.ActStep, body: Body) -> list[ast.stmt]:
    made = ask(
        "act",
        literal(step.action),
        _maybe(step.target, body),
        expression(step.data, body.scope),
        literal(step.site),
        _place(step.place, body),
    )
    return [ast.Expr(made) if step.name is None else _assign(mangled(step.name), made)]


def _record(step: ir.RecordStep, body: Body) -> list[ast.stmt]:
    return [_do("record", literal(step.metric), expression(step.value, body.scope))]


def _log(step: ir.LogStep, body: Body) -> list[ast.stmt]:
    return [_do("log", call("show", expression(step.message, body.scope)))]


def _across(step: ir.AcrossStep, body: Body) -> list[ast.stmt]:
    return [_do("across", literal(step.lifted))]


# --- hand-overs ------------------------------------------------------------------------------


def _timer(step: ir.TimerStep, body: Body) -> list[ast.stmt]:
    names = set(body.segments[step.segment].live)
    unless = literal(None)
    if step.unless is not None:
        names |= pattern_names(step.unless)
        unless = _pattern(step.unless, step.place, body)
    made = _do(
        "timer",
        expression(step.when, body.scope),
        literal(step.segment),
        _live(names, body),
        unless,
        literal(step.site),
        _place(step.place, body),
    )
    return [made]


def _await_action(step: ir.AwaitAction, body: Body) -> list[ast.stmt]:
    made = _do(
        "await_action",
        literal(step.action),
        _maybe(step.target, body),
        expression(step.data, body.scope),
        literal(step.name),
        literal(step.segment),
        _live(set(body.segments[step.segment].live) - {step.name}, body),
        literal(step.site),
        _place(step.place, body),
    )
    return [made, ast.Return()]


def _await_event(step: ir.AwaitEvent, body: Body) -> list[ast.stmt]:
    names = set(body.segments[step.segment].live) - {step.name} | pattern_names(step.pattern)
    made = _do(
        "await_event",
        _pattern(step.pattern, step.place, body),
        _maybe(step.within, body),
        literal(step.name),
        literal(step.segment),
        _live(names, body),
        literal(step.site),
        _place(step.place, body),
    )
    return [made, ast.Return()]


def _loop(step: ir.LoopStep, body: Body) -> list[ast.stmt]:
    names = set(body.segments[step.body].live) - {step.variable}
    if step.after is not None:
        names |= set(body.segments[step.after].live)
    made = _do(
        "loop",
        call("items", CTX, expression(step.source, body.scope)),
        literal(step.variable),
        literal(step.body),
        literal(step.after),
        _live(names, body),
        literal(step.site),
        _place(step.place, body),
    )
    return [made, ast.Return()]


_STEPS: dict[type, Callable[[Any, Body], list[ast.stmt]]] = {
    ir.LetStep: _let,
    ir.CreateStep: _create,
    ir.UpdateStep: _update,
    ir.DeleteStep: _delete,
    ir.MemberStep: _member,
    ir.EmitStep: _emit,
    ir.ActStep: _act,
    ir.TimerStep: _timer,
    ir.IfStep: _if,
    ir.MatchStep: _match,
    ir.ReturnStep: _return,
    ir.RejectStep: _reject,
    ir.RecordStep: _record,
    ir.LogStep: _log,
    ir.AcrossStep: _across,
    ir.GotoStep: _goto,
    ir.AwaitAction: _await_action,
    ir.AwaitEvent: _await_event,
    ir.LoopStep: _loop,
}
