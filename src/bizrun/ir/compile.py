"""The IR as Python functions: one for each segment, whose line numbers are the spec's own.

Built as nodes of Python's `ast`: no text of an author is ever source. What goes wrong inside is
any exception; `explain_error` makes a sentence and a place of it.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import nodes as ir
from .compile_blocks import (
    LOAD,
    Module,
    Scope,
    call,
    list_of,
    literal,
    load,
    mangled,
    pair,
    subscript,
)
from .compile_errors import explain_error as explain_error
from .compile_expr import condition, expression
from .compile_steps import Body, block, define, placed
from .context import Context
from .program import reached
from .variables import pattern_names

EVENT = "_event"
_NOWHERE = ir.Place("", 1, 1)
_NOTHING: Mapping[str, Any] = {}

Segment = Callable[..., None]
Match = Callable[[Context, Mapping[str, Any]], bool]
Failures = list[tuple[int, Exception]]
Matches = Callable[[Context, Mapping[str, Any]], tuple[list[int], Failures]]


@dataclass(frozen=True, slots=True)
class PatternCode:
    """A pattern that waits: `where(ctx, payload, *live)` and `match_value(ctx, *live)`.

    `live` are the names of the handler's values that both take, in this order.
    """

    pattern: ir.Pattern
    live: tuple[str, ...]
    where: Callable[..., bool] | None
    match_value: Callable[..., Any] | None


@dataclass(frozen=True, slots=True)
class Code:
    """A unit, ready to run: `segments[n](ctx, *values)`, the values in the order of `live[n]`.

    `match` is the condition of the handler's own pattern, None where there is none. `patterns`
    are those that `ctx.timer` and `ctx.await_event` are told by number.
    """

    unit: ir.Unit
    segments: tuple[Segment, ...]
    live: tuple[tuple[str, ...], ...]
    match: Match | None
    patterns: tuple[PatternCode, ...]

    def run(self, ctx: Context, segment: int, live: Mapping[str, Any]) -> None:
        """Runs a segment with values by name; those that it doesn't need may be there too."""
        self.segments[segment](ctx, *[live[name] for name in self.live[segment]])


def compile_unit(unit: ir.Unit) -> Code:
    """A handler with the functions and constants that it reaches, as code."""
    handler = unit.handler
    functions = {function.name: function for function in unit.functions}
    module = compile_function_set(functions, dict(unit.constants), handler.place)
    body = Body(Scope(module), handler.segments)
    made = [
        define(
            f"s_{number}",
            [mangled(name) for name in segment.live],
            block(segment.steps, body),
            handler.place,
        )
        for number, segment in enumerate(handler.segments)
    ]
    live = [tuple(sorted(pattern_names(pattern))) for pattern, _ in body.patterns]
    for number, (pattern, place) in enumerate(body.patterns):
        made += _pattern_functions(number, pattern, place, live[number], module)
    own = handler.pattern
    if own is not None and own.where is not None:
        made.append(_where("w_own", own, (), handler.place, module))
    space = _execute(module, made, handler.place.file)
    return Code(
        unit,
        tuple(space[f"s_{number}"] for number in range(len(handler.segments))),
        tuple(segment.live for segment in handler.segments),
        space.get("w_own"),
        tuple(
            PatternCode(pattern, live[n], space.get(f"w_{n}"), space.get(f"m_{n}"))
            for n, (pattern, _) in enumerate(body.patterns)
        ),
    )


def compile_match(
    pattern: ir.Pattern,
    functions: Mapping[str, ir.Function] = _NOTHING,
    constants: Mapping[str, ir.Expr] = _NOTHING,
    place: ir.Place = _NOWHERE,
) -> Match:
    """The condition of a handler's own pattern: `match(ctx, payload)`."""
    module = _reached(pattern, functions, constants, place)
    made = _where("w_own", pattern, (), place, module)
    found: Match = _execute(module, [made], place.file)["w_own"]
    return found


def compile_expression(
    expr: ir.Expr,
    params: tuple[str, ...] = (),
    functions: Mapping[str, ir.Function] = _NOTHING,
    constants: Mapping[str, ir.Expr] = _NOTHING,
    place: ir.Place = _NOWHERE,
) -> Callable[..., Any]:
    """An expression as a function of the context and the named values."""
    module = _reached(expr, functions, constants, place)
    body: list[ast.stmt] = [ast.Return(expression(expr, Scope(module)))]
    made = define("value", [mangled(name) for name in params], body, place)
    found: Callable[..., Any] = _execute(module, [made], place.file)["value"]
    return found


def _reached(
    node: Any,
    functions: Mapping[str, ir.Function],
    constants: Mapping[str, ir.Expr],
    place: ir.Place,
) -> Module:
    """The globals for a node: of all functions and constants only those that it reaches."""
    names, read = reached(node, functions, constants)
    return compile_function_set(
        {name: functions[name] for name in sorted(names)},
        {name: constants[name] for name in sorted(read)},
        place,
    )


def compile_function_set(
    functions: Mapping[str, ir.Function],
    constants: Mapping[str, ir.Expr],
    place: ir.Place = _NOWHERE,
) -> Module:
    """The globals for code that calls these functions and reads these constants."""
    module = Module(frozenset(functions), constants)
    for function in functions.values():
        _execute(module, [_function(function, module)], function.place.file)
    for name, value in constants.items():
        if isinstance(value, ir.Const):
            continue
        body: list[ast.stmt] = [ast.Return(expression(value, Scope(module)))]
        key = mangled(name, "k")
        space = _execute(module, [define(key, (), body, place)], place.file)
        if _lasting(value, constants):
            space[key] = _remembered(space[key])
    return module


def _function(function: ir.Function, module: Module) -> ast.stmt:
    spend = placed(
        ast.Expr(ast.Call(ast.Attribute(load("ctx"), "spend", ast.Load()), [literal(1)], [])),
        function.place,
    )
    steps = block(function.steps, Body(Scope(module), function=True))
    params = [mangled(name) for name in function.params]
    return define(mangled(function.name, "f"), params, [spend, *steps], function.place)


def _execute(module: Module, made: Sequence[ast.stmt], file: str) -> dict[str, Any]:
    """Runs definitions in the module's globals."""
    for stmt in made:
        _locate(stmt, stmt.lineno, stmt.col_offset, stmt.col_offset)
    exec(compile(ast.Module(list(made), []), file or "<spec>", "exec"), module.namespace)
    return module.namespace


def _locate(node: Any, line: int, column: int, end: int) -> None:
    """Gives a node and all below it the place of what they stand in.

    What `ast.fix_missing_locations` does, in half the time: most of compiling is this.
    """
    known = node.__dict__
    line, column = known.get("lineno", line), known.get("col_offset", column)
    end = known.get("end_col_offset", end)
    node.lineno = node.end_lineno = line
    node.col_offset, node.end_col_offset = column, end
    for name in node._fields:
        value = known.get(name)
        if type(value) is list:
            for item in value:
                if isinstance(item, ast.AST):
                    _locate(item, line, column, end)
        elif isinstance(value, ast.AST) and value is not LOAD:
            _locate(value, line, column, end)


# --- patterns --------------------------------------------------------------------------------


def _payload_scope(pattern: ir.Pattern, payload: str, module: Module) -> Scope:
    scope = Scope(module).bind(EVENT, True, payload)
    return scope.bind(pattern.name, True, payload) if pattern.name else scope


def _where(
    name: str, pattern: ir.Pattern, live: Sequence[str], place: ir.Place, module: Module
) -> ast.stmt:
    """`def name(ctx, payload, *live)`: the condition of a pattern."""
    payload = mangled(pattern.name or EVENT)
    scope = _payload_scope(pattern, payload, module)
    test = literal(True) if pattern.where is None else condition(pattern.where, scope)
    params = [payload, *(mangled(key) for key in live)]
    return define(name, params, [ast.Return(test)], place)


def _pattern_functions(
    number: int, pattern: ir.Pattern, place: ir.Place, live: tuple[str, ...], module: Module
) -> Iterator[ast.stmt]:
    if pattern.where is not None:
        yield _where(f"w_{number}", pattern, live, place, module)
    if pattern.match_value is not None:
        value = expression(pattern.match_value, Scope(module))
        params = [mangled(key) for key in live]
        yield define(f"m_{number}", params, [ast.Return(value)], place)


# --- all handlers of an event at once --------------------------------------------------------


def compile_matches(units: Sequence[ir.Unit]) -> Matches:
    """One function for all handlers of an event type: the indexes of those that match, in order,
    and the indexes of those whose condition failed, with the exception.

    The same as asking each by itself, but faster: 20 conditions in one function.
    """
    constants = _common_constants(units)
    module = Module(constants=constants)
    inline = {n: u for n, u in enumerate(units) if _stands_alone(_condition_of(u), u, constants)}
    loads, loaded = _loads([_condition_of(unit) for unit in inline.values()])
    tests: list[ast.stmt] = []
    for number, unit in enumerate(units):
        found: ast.stmt = ast.Expr(_append(number))
        if _condition_of(unit) is not None:
            found = ast.If(
                _test(number, unit, unit in inline.values(), loaded, module), [found], []
            )
        tests.append(found)
    slow = module.fresh("o")
    module.namespace |= {slow: _one_by_one(units), "Exception": Exception}
    start = ast.Assign([ast.Name("found", ast.Store())], list_of(()))
    retry = ast.ExceptHandler(
        load("Exception"), None, [ast.Return(call(slow, load("ctx"), load("event")))]
    )
    attempt = ast.Try(
        [start, *loads, *tests, ast.Return(pair(load("found"), list_of(())))], [retry], [], []
    )
    made = define("matches", ("event",), [attempt], _NOWHERE)
    result: Matches = _execute(module, [made], "<matches>")["matches"]
    return result


def _condition_of(unit: ir.Unit) -> ir.Expr | None:
    return unit.handler.pattern.where if unit.handler.pattern is not None else None


def _append(number: int) -> ast.expr:
    return ast.Call(
        ast.Attribute(load("found"), "append", ast.Load()), [literal(number)], []
    )  # fmt: skip


def _test(
    number: int, unit: ir.Unit, inline: bool, loaded: Mapping[str, str], module: Module
) -> ast.expr:
    pattern = unit.handler.pattern
    assert pattern is not None and pattern.where is not None
    if not inline:
        own = module.define("o", _own_match(unit))
        return ast.Call(own, [load("ctx"), load("event")], [])
    scope = _payload_scope(pattern, "event", module)
    for name in (EVENT, pattern.name):
        if name:
            scope = _with_loaded(scope, name, loaded)
    return condition(pattern.where, scope)


def _with_loaded(scope: Scope, name: str, loaded: Mapping[str, str]) -> Scope:
    known = {**scope.loaded, **{(name, key): variable for key, variable in loaded.items()}}
    return Scope(scope.module, scope.names, known, scope.maps)


def _common_constants(units: Sequence[ir.Unit]) -> dict[str, ir.Expr]:
    found: dict[str, ir.Expr] = {}
    for unit in units:
        for name, value in unit.constants:
            found.setdefault(name, value)
    return found


def _stands_alone(where: ir.Expr | None, unit: ir.Unit, constants: Mapping[str, ir.Expr]) -> bool:
    """Whether a condition calls no function and reads only constants that all units agree on."""
    own = dict(unit.constants)
    for node in walk(where):
        match node:
            case ir.CallFn():
                return False
            case ir.Global(name):
                if not isinstance(own[name], ir.Const) or own[name] != constants[name]:
                    return False
    return True


def _loads(conditions: Sequence[ir.Expr | None]) -> tuple[list[ast.stmt], dict[str, str]]:
    """Reads each field of the payload that stands in several places once, into a variable."""
    counts: dict[str, int] = {}
    strict: set[str] = set()
    for where in conditions:
        bound = {node.var for node in walk(where) if isinstance(node, ir.Query)}
        for node in walk(where):
            match node:
                case ir.Get(ir.Local(base), name, loose=loose) if base not in bound:
                    counts[name] = counts.get(name, 0) + 1
                    strict |= set() if loose else {name}
    loaded = {name: f"l_{n}" for n, name in enumerate(counts) if counts[name] > 1}
    event = load("event")
    loads: list[ast.stmt] = [
        ast.Assign(
            [ast.Name(variable, ast.Store())],
            subscript(event, name)
            if name in strict
            else ast.Call(ast.Attribute(event, "get", ast.Load()), [literal(name)], []),
        )
        for name, variable in loaded.items()
    ]
    return loads, loaded


def _one_by_one(units: Sequence[ir.Unit]) -> Matches:
    """What to do where a condition has failed: each by itself."""
    ready: list[Match | None] = []

    def one_by_one(ctx: Context, payload: Mapping[str, Any]) -> tuple[list[int], Failures]:
        if not ready:
            ready.extend(_own_match(unit) for unit in units)
        matched: list[int] = []
        failed: Failures = []
        for number, match in enumerate(ready):
            try:
                if match is None or match(ctx, payload):
                    matched.append(number)
            except Exception as exc:
                failed.append((number, exc))
        return matched, failed

    return one_by_one


def _own_match(unit: ir.Unit) -> Match | None:
    """The condition of a unit by itself."""
    pattern = unit.handler.pattern
    if pattern is None or pattern.where is None:
        return None
    functions = {function.name: function for function in unit.functions}
    return compile_match(pattern, functions, dict(unit.constants), unit.handler.place)


# --- constants -------------------------------------------------------------------------------

_READS = (
    ir.Query, ir.GroupBy, ir.EntityGet, ir.PlanGet, ir.Find, ir.Special, ir.Edge, ir.CallFn,
    ir.ListFor,
)  # fmt: skip


def _lasting(value: ir.Expr, constants: Mapping[str, ir.Expr]) -> bool:
    """Whether a constant's value depends on nothing but itself."""
    from .functions import PURE

    for node in walk(value):
        match node:
            case ir.Builtin(name) if name not in PURE:
                return False
            case ir.Global(name) if not _lasting(constants[name], constants):
                return False
            case _ if isinstance(node, _READS):
                return False
    return True


def _remembered(evaluate: Callable[[Context], Any]) -> Callable[[Context], Any]:
    """Computes a value when it is first asked for."""
    values: list[Any] = []

    def value(ctx: Context) -> Any:
        if not values:
            values.append(evaluate(ctx))
        return values[0]

    return value


def walk(node: Any) -> Iterator[Any]:
    """A node and all nodes below it."""
    if isinstance(node, tuple):
        for item in node:
            yield from walk(item)
    elif isinstance(node, ir.Node) and not isinstance(node, ir.Place):
        yield node
        for name in node.__struct_fields__:
            yield from walk(getattr(node, name))
