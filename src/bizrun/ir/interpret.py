"""A small evaluator of the IR that walks its nodes: the measure for compiled code.

Also what `why` and the output of tests evaluate with, value by value.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import EvalError
from ..values import show
from . import functions, operators, rows
from . import nodes as ir
from .compile_expr import endless, exact
from .context import Context
from .stored import counted, pushed
from .variables import free_names, pattern_names

Names = Mapping[str, Any]
# Told of each step of a segment before it runs, with the names so far.
Watch = Callable[[ir.Step, Names], None]
_NOTHING: Mapping[str, Any] = {}

_NATIVE: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_EQUAL = ("==", "!=")
_COMPARISONS = ("<", "<=", ">", ">=", *_EQUAL)


@dataclass(slots=True)
class _Run:
    """What an evaluation may call and where its values are noted."""

    ctx: Any
    functions: Mapping[str, ir.Function] = field(default_factory=dict)
    constants: Mapping[str, ir.Expr] = field(default_factory=dict)
    trace: list[tuple[ir.Expr, Any]] | None = None
    query: bool = False
    watch: Watch | None = None


def evaluate(
    expr: ir.Expr,
    ctx: Context | None,
    names: Names,
    functions: Mapping[str, ir.Function] = _NOTHING,
    constants: Mapping[str, ir.Expr] = _NOTHING,
) -> Any:
    """The value of an expression; no context is needed where it reads none."""
    return _value(expr, names, _Run(ctx, functions, constants))


def trace(
    expr: ir.Expr,
    ctx: Context,
    names: Names,
    functions: Mapping[str, ir.Function] = _NOTHING,
    constants: Mapping[str, ir.Expr] = _NOTHING,
) -> tuple[Any, list[tuple[ir.Expr, Any]]]:
    """The value of an expression and of its parts, inner ones first; constants are left out."""
    run = _Run(ctx, functions, constants, [])
    value = _value(expr, names, run)
    assert run.trace is not None
    return value, run.trace


def _value(node: ir.Expr, names: Names, run: _Run) -> Any:
    value = _of(node, names, run)
    if run.trace is not None and not isinstance(node, ir.Const):
        run.trace.append((node, value))
    return value


def _all(nodes: Sequence[ir.Expr], names: Names, run: _Run) -> list[Any]:
    return [_value(node, names, run) for node in nodes]


def _of(node: ir.Expr, names: Names, run: _Run) -> Any:
    match node:
        case ir.Const(value):
            return value
        case ir.Local(name):
            return names[name]
        case ir.Global(name):
            return _outside(run.constants[name], run)
        case ir.Special("today"):
            return operators.today(run.ctx)
        case ir.Special(name):
            return getattr(run.ctx, name)
        case ir.Get() | ir.EntityGet() | ir.PlanGet():
            return _get(node, names, run)
        case ir.Find(entity, key):
            return run.ctx.find(entity, _value(key, names, run))
        case ir.Item(base, index):
            return operators.item(_value(base, names, run), _value(index, names, run))
        case ir.CallFn(name, args):
            return _call(run.functions[name], _all(args, names, run), run)
        case ir.Builtin(name, args):
            return _builtin(name, _all(args, names, run), run)
        case ir.ListExpr(items):
            return _all(items, names, run)
        case ir.MapExpr():
            return _map(node, names, run)
        case ir.UnaryExpr("not", operand):
            return not _condition(operand, names, run)
        case ir.UnaryExpr(_, operand):
            return operators.negate(_value(operand, names, run))
        case ir.BinaryExpr():
            return _binary(node, names, run)
        case ir.IfElse(test, then, otherwise):
            return _value(then if _condition(test, names, run) else otherwise, names, run)
        case ir.MatchValue():
            return _match(node, names, run)
        case ir.Query():
            return list(_selected(node, _kept(node, names, run), names, run))
        case ir.FirstOf(query):
            return _first(query, names, run)
        case ir.Aggregate():
            return _aggregate(node, names, run)
        case ir.GroupBy():
            return _group(node, names, run)
        case ir.ListFor(variable, source, value):
            found = operators.items(run.ctx, _value(source, names, run))
            return [_value(value, {**names, variable: item}, run) for item in found]
        case ir.Edge(edge, unit):
            return operators.edge(run.ctx, edge, unit)
        case ir.TextExpr(parts):
            return operators.text(*(_piece(part, names, run) for part in parts))
    raise AssertionError(node)


def _outside(node: ir.Expr, run: _Run) -> Any:
    """A constant: it sees no local, and is no part of a query's condition."""
    return _value(node, {}, _Run(run.ctx, run.functions, run.constants))


def _get(node: ir.Get | ir.EntityGet | ir.PlanGet, names: Names, run: _Run) -> Any:
    base = _value(node.base, names, run)
    if node.optional and base is None:
        return None
    match node:
        case ir.EntityGet(entity=entity):
            base = run.ctx.row(entity, base)
        case ir.PlanGet():
            base = run.ctx.plan(base)
        case ir.Get(loose=True):
            return operators.field(base, node.name)
    if base is None:
        raise EvalError(f"`.{node.name}` is read of none")
    return base[node.name]


def _call(function: ir.Function, args: list[Any], run: _Run) -> Any:
    run.ctx.spend(1)
    inner = _Run(run.ctx, run.functions, run.constants)
    body = _Body(inner, dict(zip(function.params, args, strict=True)))
    return _steps(function.steps, body)[1]


def _builtin(name: str, args: list[Any], run: _Run) -> Any:
    if name in functions.PURE:
        return functions.PURE[name](*args)
    if name in functions.TIMED:
        return functions.TIMED[name](run.ctx, *args)
    return run.ctx.call(name, args)


def _map(node: ir.MapExpr, names: Names, run: _Run) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for entry in node.entries:
        value = _value(entry.value, names, run)
        if isinstance(entry, ir.Pair):
            made[entry.name] = value
        else:
            if entry.entity is not None:
                value = run.ctx.row(entry.entity, value)
            made |= operators.spread(value, entry.names)
    return made


def _piece(part: str | ir.Piece, names: Names, run: _Run) -> str:
    if isinstance(part, str):
        return part
    value = _value(part.value, names, run)
    if part.format is not None:
        return operators.formatted(value, part.format, part.type, run.ctx)
    return show(value, part.type)


# --- operators -------------------------------------------------------------------------------


def _condition(node: ir.Expr, names: Names, run: _Run) -> bool:
    value = _value(node, names, run)
    return operators.holds(value) if run.query else operators.truth(value)


def _binary(node: ir.BinaryExpr, names: Names, run: _Run) -> Any:
    match node.op:
        case "and":
            return _condition(node.left, names, run) and _condition(node.right, names, run)
        case "or":
            return _condition(node.left, names, run) or _condition(node.right, names, run)
        case "in" | "not in" if isinstance(node.right, ir.BinaryExpr) and node.right.op == "..":
            parts = (node.left, node.right.left, node.right.right)
            value, low, high = _all(parts, names, run)
            return operators.within(value, low, high, run.ctx) == (node.op == "in")
    compares = node.op in _COMPARISONS
    left = _side(node.left, compares, names, run)
    if node.op == "??":
        return _value(node.right, names, run) if left is None else left
    right = _side(node.right, compares, names, run)
    match node.op:
        case "can":
            return run.ctx.call("can", [left, right])
        case "<" | "<=" | ">" | ">=" if run.query and (left is None or right is None):
            return False
    return _operate(node, left, right, run.ctx)


def _side(node: ir.Expr, compares: bool, names: Names, run: _Run) -> Any:
    """A side of an operator; a product that is only compared has no bound."""
    if not (compares and exact(node)):
        return _value(node, names, run)
    left, right = _value(node.left, names, run), _value(node.right, names, run)
    value = _operate(ir.BinaryExpr("*", node.left, node.right), left, right, run.ctx)
    if run.trace is not None:
        run.trace.append((node, value))
    return value


def _operate(node: ir.BinaryExpr, left: Any, right: Any, ctx: Any) -> Any:
    if node.mode == "number" and node.op == "*":
        return operators.multiply(left, right)
    native = _NATIVE.get(node.op)
    if native is None or node.mode in ("time", "any") or (endless(node) and node.op not in _EQUAL):
        return operators.binary(node.op, left, right, ctx)
    try:
        return native(left, right)
    except (TypeError, AttributeError, ArithmeticError):
        # Asked again by types, for the sentence that says what does not fit.
        operators.binary(node.op, left, right, ctx)
        raise operators.no_value(node.op, left, right) from None


def _match(node: ir.MatchValue, names: Names, run: _Run) -> Any:
    subject = _value(node.subject, names, run)
    for patterns, value in node.arms:
        if any(_fits(subject, pattern, names, run) for pattern in patterns):
            return _value(value, names, run)
    if node.otherwise is None:
        return operators.unmatched(subject)
    return _value(node.otherwise, names, run)


def _fits(subject: Any, pattern: ir.Expr, names: Names, run: _Run) -> bool:
    if isinstance(pattern, ir.BinaryExpr) and pattern.op == "..":
        low, high = _all((pattern.left, pattern.right), names, run)
        return operators.within(subject, low, high, run.ctx)
    return operators.equal(subject, _value(pattern, names, run))


# --- queries ---------------------------------------------------------------------------------


def _conditions(
    node: ir.Query, names: Names, run: _Run
) -> tuple[dict[str, Any], list[tuple[str, str, Any]]]:
    equals = {name: _value(value, names, run) for name, value in node.equals}
    return equals, [(name, op, _value(value, names, run)) for name, op, value in node.ranges]


def _base(node: ir.Query, limit: int | None, names: Names, run: _Run) -> Sequence[Any]:
    equals, ranges = _conditions(node, names, run)
    if node.source is None:
        assert node.entity is not None, node
        found: Sequence[Any] = run.ctx.rows(node.entity, equals, ranges, pushed(node)[0], limit)
        return found
    found = operators.items(run.ctx, _value(node.source, names, run))
    if node.entity is not None:
        found = rows.rows_at(run.ctx, node.entity, found)
    return rows.narrowed(found, equals, ranges) if equals or ranges else found


def _passing(node: ir.Query, found: Sequence[Any], names: Names, run: _Run) -> Iterator[Any]:
    inner = _Run(run.ctx, run.functions, run.constants, run.trace, True)
    for row in found:
        if node.where is None or _condition(node.where, {**names, node.var: row}, inner):
            yield row


def _kept(node: ir.Query, names: Names, run: _Run) -> Sequence[Any]:
    """The rows of a query that are left by its condition, order and limit."""
    order, limited = pushed(node)
    limit = None if node.limit is None else rows.limit(_value(node.limit, names, run))
    found = _base(node, limit if limited else None, names, run)
    kept = list(_passing(node, found, names, run))
    if node.order and not order:
        kept = _sorted(kept, node.var, node.order, names, run)
    return kept if limited else rows.take(kept, limit)


def _sorted(
    found: Sequence[Any], var: str, order: tuple[tuple[ir.Expr, bool], ...], names: Names, run: _Run
) -> list[Any]:
    keys = [tuple(_value(key, {**names, var: row}, run) for key, _ in order) for row in found]
    return rows.sort(zip(found, keys, strict=True), [descending for _, descending in order])


def _selected(
    node: ir.Query, kept: Sequence[Any] | Iterator[Any], names: Names, run: _Run
) -> Iterator[Any]:
    """What each row stands for: its selection, its key, or itself."""
    for row in kept:
        if node.select is not None:
            yield _value(node.select, {**names, node.var: row}, run)
        else:
            yield row if node.entity is None else run.ctx.key(node.entity, row)


def _first(node: ir.Query, names: Names, run: _Run) -> Any:
    order, limited = pushed(node)
    if node.limit is not None or (node.order and not order):
        return rows.first(list(_selected(node, _kept(node, names, run), names, run)))
    found = _base(node, 1 if limited else None, names, run)
    return rows.first(_selected(node, _passing(node, found, names, run), names, run))


def _aggregate(node: ir.Aggregate, names: Names, run: _Run) -> Any:
    if node.op == "count" and node.query.select is None:
        if counted(node.query) and node.query.entity is not None:
            return run.ctx.count_rows(node.query.entity, *_conditions(node.query, names, run))
        return len(_kept(node.query, names, run))
    kept = _kept(node.query, names, run)
    zero = _value(node.zero, names, run)
    return rows.aggregate(node.op, list(_selected(node.query, kept, names, run)), zero)


def _group(node: ir.GroupBy, names: Names, run: _Run) -> Any:
    entries = []
    for row in _kept(node.query, names, run):
        inner = {**names, node.query.var: row}
        keys = tuple(_value(key, inner, run) for _, key in node.by)
        entries.append((keys, True if node.value is None else _value(node.value, inner, run)))
    by = [name for name, _ in node.by]
    zero = _value(node.zero, names, run)
    found: Sequence[Any] = rows.grouped(entries, by, node.op, node.field, zero)
    if node.order:
        found = _sorted(found, node.order_var, node.order, names, run)
    if node.limit is not None:
        found = rows.take(found, rows.limit(_value(node.limit, names, run)))
    return found


# --- statements ------------------------------------------------------------------------------


@dataclass(slots=True)
class _Body:
    """A segment or function while it runs; `unit` is None in a function."""

    run: _Run
    names: dict[str, Any]
    unit: ir.Unit | None = None

    def value(self, node: ir.Expr) -> Any:
        """An expression among the names so far."""
        return _value(node, self.names, self.run)

    def maybe(self, node: ir.Expr | None) -> Any:
        """Of no expression none."""
        return None if node is None else self.value(node)

    def live(self, segment: int | None, *bound: str | None) -> dict[str, Any]:
        """The values that a segment needs, less those that will be bound."""
        assert self.unit is not None
        names = () if segment is None else self.unit.handler.segments[segment].live
        return {name: self.names[name] for name in names if name not in bound}


def run_segment(
    unit: ir.Unit, index: int, ctx: Context, live: Names, watch: Watch | None = None
) -> None:
    """Runs a segment as its compiled function would; `watch` sees each step before it runs."""
    run = _Run(ctx, {f.name: f for f in unit.functions}, dict(unit.constants), watch=watch)
    segment = unit.handler.segments[index]
    _steps(segment.steps, _Body(run, {name: live[name] for name in segment.live}, unit))


def _steps(steps: Sequence[ir.Step], body: _Body) -> tuple[bool, Any]:
    """Whether the steps ended what they stand in, and with which value."""
    for step in steps:
        done, value = _step(step, body)
        if done:
            return True, value
    return False, None


def _step(step: ir.Step, body: _Body) -> tuple[bool, Any]:
    if body.run.watch is not None:
        body.run.watch(step, body.names)
    match step:
        case ir.LetStep(name=name, value=value):
            body.names[name] = body.value(value)
        case ir.IfStep(condition=test, then=then, otherwise=otherwise):
            return _steps(then if _condition(test, body.names, body.run) else otherwise, body)
        case ir.MatchStep(subject=subject, cases=cases, otherwise=otherwise):
            tested = body.value(subject)
            for patterns, inner in cases:
                if any(_fits(tested, p, body.names, body.run) for p in patterns):
                    return _steps(inner, body)
            return _steps(otherwise, body)
        case ir.ReturnStep(value=value):
            result = body.maybe(value)
            if body.unit is not None and value is not None:
                body.run.ctx.reply(result)
            return True, result
        case ir.RejectStep(message=message):
            raise operators.refusal(body.value(message))
        case ir.GotoStep(segment=segment):
            assert body.unit is not None
            live = body.live(segment)
            run_segment(body.unit, segment, body.run.ctx, live, body.run.watch)
            return True, None
        case ir.AwaitAction() | ir.AwaitEvent() | ir.LoopStep():
            _hand_over(step, body)
            return True, None
        case _:
            _change(step, body)
    return False, None


def _change(step: ir.Step, body: _Body) -> None:
    """A statement that asks something of the context and goes on."""
    ctx = body.run.ctx
    match step:
        case ir.CreateStep(entity=entity, data=data, name=name, upsert=upsert, site=site):
            key = ctx.create(entity, body.value(data), site, upsert)
            if name is not None:
                body.names[name] = key
        case ir.UpdateStep(entity=entity, target=target, data=data, var=var):
            key = body.value(target)
            inner = dict(body.names)
            if var in free_names(data):
                inner[var] = ctx.row(entity, key)
            ctx.update(entity, key, _value(data, inner, body.run))
        case ir.DeleteStep(entity=entity, target=target):
            ctx.delete(entity, body.value(target))
        case ir.MemberStep(entity=entity, target=target, field=name, item=item, remove=remove):
            ctx.member(entity, body.value(target), name, body.value(item), remove)
        case ir.EmitStep(place=place, event=event, data=data, site=site):
            ctx.emit(event, operators.as_map(body.value(data)), site, place)
        case ir.ActStep(place=place, action=action, target=target, data=data, name=name, site=site):
            result = ctx.act(action, body.maybe(target), body.value(data), site, place)
            if name is not None:
                body.names[name] = result
        case ir.TimerStep(place=place, when=when, segment=segment, unless=unless, site=site):
            live, number = body.live(segment), None
            if unless is not None:
                live |= {name: body.names[name] for name in pattern_names(unless)}
                number = _number(unless, body)
            ctx.timer(body.value(when), segment, live, number, site, place)
        case ir.RecordStep(metric=metric, value=value):
            ctx.record(metric, body.value(value))
        case ir.LogStep(message=message):
            ctx.log(show(body.value(message)))
        case ir.AcrossStep(lifted=lifted):
            ctx.across(lifted)
        case _:
            raise AssertionError(step)


def _hand_over(step: ir.AwaitAction | ir.AwaitEvent | ir.LoopStep, body: _Body) -> None:
    ctx, place = body.run.ctx, step.place
    match step:
        case ir.AwaitAction(action=action, target=target, data=data, name=name, segment=segment):
            live = body.live(segment, name)
            given = body.maybe(target), body.value(data)
            ctx.await_action(action, *given, name, segment, live, step.site, place)
        case ir.AwaitEvent(pattern=pattern, within=within, name=name, segment=segment):
            live = body.live(segment, name)
            live |= {key: body.names[key] for key in pattern_names(pattern)}
            time, number = body.maybe(within), _number(pattern, body)
            ctx.await_event(number, time, name, segment, live, step.site, place)
        case ir.LoopStep(source=source, variable=variable, body=round_, after=after):
            live = body.live(round_, variable) | body.live(after)
            items = operators.items(ctx, body.value(source))
            ctx.loop(items, variable, round_, after, live, step.site, place)


def _number(pattern: ir.Pattern, body: _Body) -> int:
    """The number of a pattern: in order of appearance over all segments."""
    assert body.unit is not None
    for number, found in enumerate(_patterns(body.unit.handler.segments)):
        if found is pattern:
            return number
    raise AssertionError(pattern)


def _patterns(node: Any) -> Iterator[ir.Pattern]:
    if isinstance(node, tuple):
        for item in node:
            yield from _patterns(item)
    elif isinstance(node, ir.TimerStep) and node.unless is not None:
        yield node.unless
    elif isinstance(node, ir.AwaitEvent):
        yield node.pattern
    elif isinstance(node, ir.Segment):
        yield from _patterns(node.steps)
    elif isinstance(node, ir.IfStep):
        yield from _patterns((node.then, node.otherwise))
    elif isinstance(node, ir.MatchStep):
        yield from _patterns((tuple(steps for _, steps in node.cases), node.otherwise))
