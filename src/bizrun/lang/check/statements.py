"""Statements of handlers, schedules, functions and apis, one after another, with what flows."""

from __future__ import annotations

from ...diagnostics import Label, Span
from .. import ast
from ..foreign import BILLING
from ..types import (
    ANY,
    DATE,
    DURATION,
    NONE,
    TEXT,
    TIME,
    EntityType,
    Maybe,
    Prim,
    Record,
    Type,
    known,
    maybe,
    type_text,
)
from . import actions, constants, data, tests
from .context import Checker, listed, nearest
from .events import changes_like, find_event, payload_of, undeclared
from .expressions import MAX_DEPTH, check_condition, infer, match_patterns
from .fit import join, untyped
from .operands import of_rows
from .queries import elements, rows_know
from .scope import Local, Scope, plain_texts
from .symbols import type_of
from .values import expect

BUILTIN_NAMES = ("now", "today", "event", "self")
# How far functions that don't say their type are followed from one to the next.
MAX_CHAIN = 12

PURE = (
    ast.Let,
    ast.If,
    ast.Match,
    ast.Return,
    ast.ForEach,
    ast.Bad,
    ast.Log,
)


def check_body(c: Checker, body: tuple[ast.Stmt, ...], scope: Scope) -> bool:
    """Checks statements in order; whether they always end in `return` or `reject`."""
    ended = False
    for i, statement in enumerate(body):
        if ended:
            c.report.add(
                "W0401",
                statement.span,
                "This is never reached: what stands before it always ends the handler",
                "remove it, or move it up",
            )
            # One report is enough; the rest is checked as if it were reached.
            ended = False
            check_rest(c, body[i:], scope)
            return True
        ended = check_statement(c, statement, scope)
    return ended


def check_rest(c: Checker, body: tuple[ast.Stmt, ...], scope: Scope) -> None:
    """Checks what is never reached, without saying so again."""
    for statement in body:
        check_statement(c, statement, scope)


def check_block(c: Checker, body: tuple[ast.Stmt, ...], scope: Scope) -> bool:
    """Checks a block with names of its own; whether it always ends the handler."""
    if body and c.depth >= MAX_DEPTH:
        c.report.add(
            "E0319", body[0].span, "These blocks are nested too deeply", "leave early with `return`"
        )
        return False
    c.depth += 1
    ended = check_body(c, body, scope)
    c.depth -= 1
    unused(c, scope)
    return ended


def unused(c: Checker, scope: Scope) -> None:
    """Warns of values that a block names and never reads."""
    for name, local in scope.locals.items():
        if not local.used and local.span is not None and not name.startswith("_"):
            c.report.add(
                "W0202",
                local.span,
                f"`{name}` is never used",
                f"remove it, or call it `_{name}` if that is meant",
            )


def check_statement(c: Checker, node: ast.Stmt, scope: Scope) -> bool:
    """Checks one statement; whether it always ends the handler."""
    if isinstance(node, ast.Bad):
        return scope.place == "fn"
    if scope.place == "fn" and not _pure(c, node):
        return False
    if tests.misplaced(c, node, scope):
        return False
    match node:
        case ast.If():
            return _if(c, node, scope)
        case ast.Match():
            return _match(c, node, scope)
        case ast.Return():
            return _return(c, node, scope)
        case ast.Reject():
            expect(c, node.message, scope, TEXT, "`reject`")
            return True
        case ast.AcrossTenants():
            return _across(c, node, scope)
        case ast.ForEach():
            _for_each(c, node, scope)
        case ast.Let():
            _let(c, node, scope)
        case ast.After() | ast.At():
            _later(c, node, scope)
        case ast.WaitFor():
            _wait_for(c, node, scope)
        case ast.Do():
            actions.check_action(c, node.action, scope)
        case ast.Record():
            _record(c, node, scope)
        case ast.Log():
            infer(c, node.message, scope)
        case ast.Emit():
            data.check_emit(c, node, scope)
        case ast.Create() | ast.Upsert():
            data.check_create(c, node, scope)
        case ast.Update():
            data.check_update(c, node, scope)
        case ast.Delete():
            info = data.check_row(c, node.target, scope, "delete")
            data.check_mutable(c, info, node.target.span, "delete")
            data.check_books(c, info, node.target.span, scope, "")
        case ast.AddTo() | ast.RemoveFrom():
            data.check_members(c, node, scope)
        case _:
            tests.check_test_statement(c, node, scope)
    return False


def _pure(c: Checker, node: ast.Stmt) -> bool:
    """Functions read, they never change, send or wait."""
    effect = isinstance(node, ast.Let) and isinstance(
        node.value, ast.Action | ast.Create | ast.Upsert
    )
    if isinstance(node, PURE) and not effect and not isinstance(node, ast.Log):
        return True
    waits = isinstance(node, ast.WaitFor | ast.After | ast.At)
    c.report.add(
        "E0409" if waits else "E0408",
        node.span,
        "A function can't wait" if waits else "A function only reads: it can't change or send",
        "do this in a handler (`on … { … }`), with what the function returns",
    )
    return False


# --- names --------------------------------------------------------------------------------------


def declare(c: Checker, scope: Scope, name: str, span: Span, local: Local) -> None:
    """Gives a name to a value; reports names that are taken or mean something else."""
    if name in BUILTIN_NAMES:
        c.report.add(
            "E0221",
            span,
            f"`{name}` always means the same and can't name another value",
            "choose another name",
        )
        # Further down it is what its author meant by it.
        local.used = True
        scope.locals[name] = local
        return
    earlier = scope.locals.get(name)
    if earlier is not None and earlier.kind != "builtin":
        labels = (Label(earlier.span, "named here first"),) if earlier.span else ()
        c.report.add(
            "E0219", span, f"`{name}` has a value already", "choose another name", labels=labels
        )
        # Which of both is meant further down is not known, so nothing is said of it.
        local = Local(ANY, local.kind, span)
    elif scope.find(name) is not None:
        outer = scope.find(name)
        place = outer.span if outer else None
        c.report.add(
            "W0203",
            span,
            f"`{name}` hides the `{name}` around it",
            "choose another name",
            labels=(Label(place, "this one"),) if place else (),
        )
    elif name in c.symbols.consts:
        c.report.add("W0203", span, f"`{name}` hides the constant `{name}`", "choose another name")
    scope.locals[name] = local


def _let(c: Checker, node: ast.Let, scope: Scope) -> None:
    value = node.value
    used = True
    given: dict[str, Type] = {}
    match value:
        case ast.Action():
            type_: Type = actions.check_action(c, value, scope)
        case ast.Create() | ast.Upsert():
            given = data.check_create(c, value, scope)
            type_ = EntityType(value.entity) if value.entity in c.symbols.entities else ANY
        case _:
            type_ = infer(c, value, scope)
            used = isinstance(value, ast.Bad)
    c.checked.types[node] = type_
    local = Local(type_, "local", node.name_span, used)
    local.currency = c.currencies.get(value)
    local.length = c.lengths.get(value)
    local.of_rows = of_rows(c, value, scope)
    declare(c, scope, node.name, node.name_span, local)
    # What a row was just made with is there.
    for name, field in given.items():
        if not isinstance(field, Maybe) and field != NONE:
            scope.facts[f"{node.name}.{name}"] = 2


# --- flow ---------------------------------------------------------------------------------------


def _if(c: Checker, node: ast.If, scope: Scope) -> bool:
    """A chain of `else if` is walked in a loop; each branch knows what those before ruled out."""
    ends: list[bool] = []
    around = scope
    while True:
        check_condition(c, node.condition, around, "`if` takes")
        then = around.child()
        then.learn(c.flow.facts(node.condition, True))
        ends.append(check_block(c, node.then, then))
        rest = around.child()
        rest.learn(c.flow.facts(node.condition, False))
        if not node.otherwise:
            if all(ends):
                # Whoever comes here, comes by the way on which all conditions were false.
                _inherit(scope, rest)
            return False
        only = node.otherwise[0] if len(node.otherwise) == 1 else None
        if not isinstance(only, ast.If):
            last = check_block(c, node.otherwise, rest)
            if all(ends) and not last:
                _inherit(scope, rest)
            elif last and ends == [False]:
                _inherit(scope, then)
            return last and all(ends)
        node, around = only, rest


def _inherit(scope: Scope, inner: Scope) -> None:
    """What holds on the only way on holds from there."""
    for step in inner.chain():
        if step is scope:
            return
        scope.facts.update(step.facts)


def _match(c: Checker, node: ast.Match, scope: Scope) -> bool:
    subject = infer(c, node.subject, scope)
    patterns = [case.patterns for case in node.cases]
    none_seen = match_patterns(c, node, subject, patterns, node.otherwise is not None, scope)
    ended = True
    for case in node.cases:
        inner = scope.child()
        inner.learn(c.flow.of_events(node.subject, plain_texts(case.patterns)))
        ended = check_block(c, case.body, inner) and ended
    if node.otherwise is None:
        return False
    rest = scope.child()
    rest.learn(c.flow.matched(node.subject, patterns, none_seen))
    return check_block(c, node.otherwise, rest) and ended


def _return(c: Checker, node: ast.Return, scope: Scope) -> bool:
    if scope.place != "fn":
        if node.value is not None:
            infer(c, node.value, scope)
        return True
    if node.value is None:
        c.report.add("E0412", node.span, "A function returns a value", "write `return value`")
    elif scope.wanted is not None:
        expect(c, node.value, scope, scope.wanted, "The function")
    else:
        type_ = infer(c, node.value, scope)
        assert scope.returns is not None
        scope.returns.append(type_)
    return True


def _across(c: Checker, node: ast.AcrossTenants, scope: Scope) -> bool:
    if c.symbols.tenant is None:
        c.report.add(
            "E0424",
            node.span,
            "There are no tenants here to look across",
            "name their entity in the business block: `tenant Organization`",
        )
    else:
        across_tenants(c, node.span)
    return check_block(c, node.body, scope.child())


def across_tenants(c: Checker, span: Span) -> None:
    """Lists a place that sees the data of all tenants, for whoever reviews the spec."""
    c.report.add("W0403", span, "This sees the data of every tenant")


def _for_each(c: Checker, node: ast.ForEach, scope: Scope) -> None:
    before = scope.child()
    before.naming, before.named = node.variable, node.source
    item = elements(c, node.source, before, "`for each`")
    inner = scope.child()
    # What comes after may run when other rounds have waited.
    declare(c, inner, node.variable, node.span, Local(item))
    rows_know(c, node.variable, node.source, inner)
    check_block(c, node.body, inner)


def _later(c: Checker, node: ast.After | ast.At, scope: Scope) -> None:
    if isinstance(node, ast.After):
        expect(c, node.delay, scope, DURATION, "`after`")
        constants.ahead(c, node.delay, "`after`", "what is done at once needs no `after`")
    else:
        expect(c, node.time, scope, TIME, "`at`")
    if node.unless is not None and not _condition(c, node.unless, scope):
        bind_pattern(c, node.unless, scope.child())
    check_block(c, node.body, scope.child(waits=True))


def _condition(c: Checker, pattern: ast.EventPattern, scope: Scope) -> bool:
    """Whether `unless` is given a value (`unless order.paid`) for an event; reports it."""
    name, span = pattern.types[0]
    if scope.find(name.partition(".")[0]) is None:
        return False
    help_ = f"a condition is asked when it is time: `if not {name} {{ … }}` inside the block"
    c.report.add("E0206", span, f"`unless` takes an event, and `{name}` is a value", help_)
    return True


def _wait_for(c: Checker, node: ast.WaitFor, scope: Scope) -> None:
    if node.within is not None:
        expect(c, node.within, scope, DURATION, "`within`")
        constants.ahead(c, node.within, "`within`", "it is the longest that is waited")
    record = bind_pattern(c, node.pattern, scope.child())
    scope.forget()
    if node.pattern.name is not None:
        type_: Type = maybe(record) if node.within is not None else record
        span = node.pattern.span
        declare(c, scope, node.pattern.name, span, Local(type_))
    for name, _ in node.pattern.fields:
        field = record.field(name) or ANY
        local = Local(maybe(field) if node.within is not None else field)
        declare(c, scope, name, node.pattern.span, local)


def bind_pattern(c: Checker, pattern: ast.EventPattern, scope: Scope) -> Record:
    """Names an event's payload in a scope and checks its `where`; gives the payload."""
    for name, span in pattern.types:
        if "*" not in name and find_event(c.symbols, name) is None:
            _undeclared(c, name, span)
        elif "*" not in name and not c.symbols.events[name].declared:
            _warn_undeclared(c, name, span)
    record = payload_of(c.symbols, (name for name, _ in pattern.types))
    c.checked.bindings[pattern] = record
    if pattern.name is not None:
        declare(c, scope, pattern.name, pattern.span, Local(record))
    else:
        scope.unnamed = record
    for name, span in pattern.fields:
        type_ = record.field(name)
        if type_ is None and not record.open:
            fields = [key for key, _ in record.fields if key != "event"]
            some = any(key == name for key, *_ in record.some)
            help_ = "name the event, `as e`, and ask `e.event.type`" if some else None
            text = f"Event `{record.name}` has no field `{name}`"
            # What the block calls it isn't known here, so that no other name is certain.
            c.unknown("E0216", span, text, name, fields, otherwise=help_, unsure=fields)
            meant = nearest(name, fields)[0]
            if meant is not None and scope.find(meant) is None:
                # The block goes by the name that is right.
                scope.locals[meant] = Local(record.field(meant) or ANY)
        declare(c, scope, name, span, Local(type_ or ANY))
    if pattern.where is not None and not _fields_behind(c, pattern, pattern.where, scope):
        check_condition(c, pattern.where, scope, "`where` takes")
        scope.learn(c.flow.facts(pattern.where, True))
    return record


def _fields_behind(
    c: Checker, pattern: ast.EventPattern, where: ast.Expr, scope: Scope
) -> bool:  # fmt: skip
    """Tells of `on A.b where … (field)`: the names of fields were read as a call's arguments."""
    last = where
    while isinstance(last, ast.Binary):
        last = last.right
    if pattern.fields or not isinstance(last, ast.Call) or isinstance(last.callee, ast.Name):
        return False
    names = [arg.name for arg in last.args if isinstance(arg, ast.Name)]
    if not names or len(names) < len(last.args) or any(scope.find(name) for name in names):
        return False
    for name in names:
        scope.locals[name] = Local(ANY)
    head = " or ".join(name for name, _ in pattern.types)
    help_ = f"write `on {head}({', '.join(names)}) where …`"
    span = Span(last.span.file, last.callee.span.end, last.span.end)
    c.report.add("E0202", span, "The names of fields stand before `where`", help_)
    return True


def _undeclared(c: Checker, name: str, span: Span) -> None:
    if name not in c.lost:
        _warn_undeclared(c, name, span)
    undeclared(c.symbols, name)


def _warn_undeclared(c: Checker, name: str, span: Span) -> None:
    """Once for each event: its payload is untyped, nothing that reads it can be checked."""
    if name in c.warned or name in c.lost:
        return
    c.warned.add(name)
    known_names = [n for n, info in c.symbols.events.items() if info.declared]
    changes = [] if name in BILLING else changes_like(c.symbols, name)
    c.unknown(
        "W0201",
        span,
        f"Event `{name}` is not declared, so that nothing checks its payload",
        name,
        (*known_names, *changes),
        otherwise=_told_as(c, name) or f"declare it: `event {name} {{ … }}`",
        # What comes from outside may be called `Order.create`.
        unsure=changes,
    )


def _told_as(c: Checker, name: str) -> str | None:
    """Under which name billing tells what goes by this one elsewhere, or what it tells of it."""
    if ours := BILLING.get(name):
        return f"billing tells it as `{ours}`; declare it where it is yours"
    noun = name.partition(".")[0] + "."
    verbs = [
        event.removeprefix(noun)
        for event, info in c.symbols.events.items()
        if info.origin == "billing" and event.startswith(noun)
    ]
    if not verbs:
        return None
    return f"billing tells {listed(verbs, 12)} of it; declare it where it is yours"


def _record(c: Checker, node: ast.Record, scope: Scope) -> None:
    metric = c.symbols.metrics.get(node.metric)
    want: Type = ANY
    if metric is None:
        c.unknown(
            "E0212",
            node.metric_span,
            f"There is no metric `{node.metric}`",
            node.metric,
            c.symbols.metrics,
            otherwise=f"declare it: `metric {node.metric}: number`",
        )
    elif metric.type is not None:
        want = type_of(c, metric.type)
    type_ = expect(c, node.value, scope, want, f"Metric `{node.metric}`")
    if want == ANY and not untyped(type_) and not isinstance(known(type_), Prim):
        c.report.add("E0301", node.value.span, f"A metric takes a number, not {type_text(type_)}")


# --- functions ------------------------------------------------------------------------------------


def check_fn(c: Checker, fn: ast.Fn) -> tuple[tuple[Type, ...], Type]:
    """Checks a function's body once; its types."""
    symbols = c.symbols
    known_types = symbols.fn_types.get(fn.name)
    if len(c.typing) >= MAX_CHAIN:
        # Its turn comes in the order of the file; until then it may give anything.
        return tuple(type_of(c, param.type) for param in fn.params), ANY
    if known_types is not None:
        params = known_types[0]
    else:
        params = tuple(type_of(c, param.type) for param in fn.params)
        # A call to itself while it is being typed gives anything; the circle is told once.
        symbols.fn_types[fn.name] = (params, ANY)
    wanted = known_types[1] if known_types is not None else None
    returns: list[Type] = []
    scope = Scope("fn", wanted=wanted, returns=returns)
    instants(scope)
    inner = scope.child()
    c.typing.append(f"fn {fn.name}")
    _params(c, fn.params, params, inner)
    if fn.value is not None:
        if wanted is not None:
            expect(c, fn.value, inner, wanted, f"`{fn.name}`")
        else:
            returns.append(infer(c, fn.value, inner))
    else:
        ended = check_block(c, fn.body, inner)
        _must_return(c, fn, ended, wanted)
    c.typing.pop()
    c.done.add(fn.name)
    if wanted is None:
        symbols.fn_types[fn.name] = (params, _returned(c, fn, returns))
    return symbols.fn_types[fn.name]


def _params(
    c: Checker, params: tuple[ast.Param, ...], types: tuple[Type, ...], scope: Scope
) -> None:
    for param, type_ in zip(params, types, strict=True):
        if param.default is not None:
            expect(c, param.default, scope, type_, f"`{param.name}`")
        declare(c, scope, param.name, param.span, Local(type_, "param", param.span))


def _must_return(c: Checker, fn: ast.Fn, ended: bool, wanted: Type | None) -> None:
    optional = isinstance(wanted, Maybe) or (wanted is not None and untyped(wanted))
    if ended or optional or fn.name in c.damaged:
        return
    c.report.add(
        "E0413",
        fn.name_span,
        f"`{fn.name}` may end without a value",
        "end every way through it with `return value`",
    )


def _returned(c: Checker, fn: ast.Fn, returns: list[Type]) -> Type:
    result: Type | None = None
    for type_ in returns:
        merged = type_ if result is None else join(result, type_)
        if merged is None:
            assert result is not None
            c.report.add(
                "E0316",
                fn.name_span,
                f"`{fn.name}` returns {type_text(result)} here and {type_text(type_)} there",
                "say what it returns: `-> type`",
            )
            return ANY
        result = merged
    return ANY if result is None else result


def instants(scope: Scope) -> None:
    """The names that mean a time wherever code runs."""
    scope.locals["now"] = Local(TIME, "builtin")
    scope.locals["today"] = Local(DATE, "builtin")
