"""Goes through all declarations: what each place of a spec can see, and what it has to give."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ...diagnostics import Span
from ...model import LINE_KINDS, WALLET_KIND
from .. import ast
from ..symbols import EntityInfo, Symbols
from ..types import (
    ANY,
    DURATION,
    MONEY,
    NUMBER,
    PERCENT,
    PLAN,
    TEXT,
    TIME,
    Choice,
    EntityType,
    ListOf,
    Maybe,
    Record,
    Type,
)
from .business import SETTINGS
from .context import Checker
from .events import ENVELOPE, payload_of, snake
from .expressions import check_condition, const_type, infer
from .operands import source_text
from .pricing import bounds_of
from .scope import Local, Scope
from .statements import (
    across_tenants,
    bind_pattern,
    check_block,
    check_fn,
    declare,
    instants,
)
from .symbols import type_of
from .tests import check_test
from .values import expect

_PATH_NAME = re.compile(r"\{(\w+)\}|:(\w+)")


def check_places(c: Checker) -> None:
    """Types every expression of a spec, each declaration in its own scope."""
    for file in c.checked.loaded.files:
        for declaration in file.declarations:
            check_declaration(c, declaration)


def check_declaration(c: Checker, node: ast.Declaration) -> None:
    """Types the expressions of one declaration."""
    c.declaration = f"{node.span.file}:{node.span.start}"
    match node:
        case ast.On():
            _handler(c, node)
        case ast.Every():
            scope = _scope("schedule")
            for expr in (node.interval, node.at):
                if expr is not None:
                    infer(c, expr, scope)
            check_block(c, node.body, scope.child())
        case ast.Fn(name=name):
            if c.symbols.fns.get(name) is node and name not in c.done:
                check_fn(c, node)
        case ast.Api():
            _api(c, node)
        case ast.Test():
            check_test(c, node, _scope("test"))
        case ast.Trigger():
            _trigger(c, node)
        case ast.Entity() | ast.EventDecl() | ast.TypeDecl():
            _defaults(c, node)
        case ast.Const(name=name):
            if c.symbols.consts.get(name) is node:
                const_type(c, name, node.name_span)
        case _:
            _other(c, node)


def _other(c: Checker, node: ast.Declaration) -> None:
    value = Scope("value")
    match node:
        case ast.Plan(items=items) | ast.Addon(items=items):
            for item in items:
                _plan_item(c, item, value)
        case ast.Meter():
            _meter(c, node)
        case ast.Metric():
            _metric(c, node)
        case ast.Tax():
            _tax(c, node)
        case ast.Coupon():
            _coupon(c, node, value)
        case ast.Dunning(steps=steps):
            for delay in (d for step in steps for d in step.delays):
                infer(c, delay, value)
        case ast.Lifecycle():
            _lifecycle(c, node)
        case ast.Experiment(variants=variants):
            for variant in variants:
                infer(c, variant.value, value)
        case ast.Connect(data=data):
            infer(c, data, value)


def _scope(place: str) -> Scope:
    scope = Scope(place)
    instants(scope)
    return scope


# --- code ---------------------------------------------------------------------------------------


def _handler(c: Checker, node: ast.On) -> None:
    if node.across_tenants:
        across_tenants(c, node.pattern.span)
    scope = _scope("handler")
    scope.locals["event"] = Local(ENVELOPE, "builtin")
    inner = scope.child()
    bind_pattern(c, node.pattern, inner)
    check_block(c, node.body, inner)


def _api(c: Checker, node: ast.Api) -> None:
    scope = _scope("api")
    scope.locals["event"] = Local(ENVELOPE, "builtin")
    inner = scope.child()
    named = {param.name for param in node.params}
    for found in _PATH_NAME.finditer(node.path):
        name = found[1] or found[2]
        if name not in named:
            inner.locals[name] = Local(TEXT, "param")
    for param in node.params:
        type_ = type_of(c, param.type)
        c.checked.types[param] = type_
        if param.default is not None:
            expect(c, param.default, scope, type_, f"`{param.name}`")
        declare(c, inner, param.name, param.span, Local(type_, "param", param.span))
    if node.caller is not None:
        inner.locals[node.caller] = Local(_caller(c, node.caller), "builtin")
    check_block(c, node.body, inner.child())


def _caller(c: Checker, name: str) -> Type:
    """`for customer` is who pays, `for user` a row of `User`."""
    entities = {snake(entity): entity for entity in c.symbols.entities}
    if name in entities and name != "customer":
        return EntityType(entities[name])
    return c.symbols.customer_type()


def _trigger(c: Checker, node: ast.Trigger) -> None:
    row: Type = EntityType(node.entity) if node.entity in c.symbols.entities else ANY
    c.checked.row_types[node] = row
    scope = _scope("trigger")
    scope.locals["self"] = Local(row, "builtin")
    check_condition(c, node.condition, scope.child(row=row), "A trigger's condition is")


def _lifecycle(c: Checker, node: ast.Lifecycle) -> None:
    for arrow in node.arrows:
        scope = _scope("handler")
        if arrow.on is not None:
            bind_pattern(c, arrow.on, scope.child())
        if arrow.after is not None:
            expect(c, arrow.after, scope, DURATION, "`after`")


# --- values --------------------------------------------------------------------------------------


def _defaults(c: Checker, node: ast.Entity | ast.EventDecl | ast.TypeDecl) -> None:
    info: EntityInfo | None = c.entity(node.name) if isinstance(node, ast.Entity) else None
    event = c.symbols.events.get(node.name) if isinstance(node, ast.EventDecl) else None
    shape = c.symbols.shapes.get(node.name)
    for field in node.fields:
        if field.default is None:
            continue
        known_field = info.fields.get(field.name) if info else None
        type_ = known_field.type if known_field and known_field.decl is field else None
        if event is not None and event.decl is node:
            type_ = event.payload.field(field.name)
        elif shape is not None:
            type_ = shape.field(field.name)
        expect(c, field.default, _scope("value"), type_ or ANY, f"`{field.name}`")


def _meter(c: Checker, node: ast.Meter) -> None:
    row = payload_of(c.symbols, (name for name, _ in node.events))
    c.checked.row_types[node] = row
    if node.where is not None:
        check_condition(c, node.where, _scope("meter").child(row=row), "`where` takes")


def _metric(c: Checker, node: ast.Metric) -> None:
    type_ = type_of(c, node.type) if node.type is not None else ANY
    found = type_
    if node.value is not None:
        found = expect(c, node.value, _scope("value"), type_, f"Metric `{node.name}`")
    if isinstance(node.every, ast.Node):
        infer(c, node.every, Scope("value"))
    c.symbols.metric_types.setdefault(node.name, found if type_ == ANY else type_)


def taxed_line(symbols: Symbols) -> Record:
    """What the condition of a tax knows of the line that it may be put on."""
    meter = Choice(tuple(symbols.meters)) if symbols.meters else TEXT
    kind = Choice((*LINE_KINDS, WALLET_KIND))
    return Record("line", (("kind", kind), ("meter", Maybe(meter)), ("amount", MONEY)))


def _tax(c: Checker, node: ast.Tax) -> None:
    scope = Scope("tax")
    if node.rate is not None:
        expect(c, node.rate, scope, PERCENT, f"Tax `{node.name}`")
    if node.when is None:
        return
    scope.locals["customer"] = Local(c.symbols.customer_type(), "builtin")
    scope.locals["plan"] = Local(PLAN, "builtin")
    scope.locals["line"] = Local(taxed_line(c.symbols), "builtin")
    instants(scope)
    check_condition(c, node.when, scope.child(), "`when` takes")


def _coupon(c: Checker, node: ast.Coupon, scope: Scope) -> None:
    type_ = infer(c, node.off, scope)
    if type_ not in (PERCENT, MONEY, ANY):
        text, help_ = "A coupon takes off a percent (`25% off`) or an amount", None
        if isinstance(node.off, ast.Literal) and type_ == NUMBER:
            currency = c.symbols.currency
            help_ = f"write `{node.off.value}% off`, or `{node.off.value} {currency} off`"
        c.report.add("E0301", node.off.span, text, help_)
    if node.duration is not None:
        expect(c, node.duration, scope, DURATION, "`for`")
    if node.times is not None:
        expect(c, node.times, scope, NUMBER, "`at most`")
    if node.until is not None:
        expect(c, node.until, scope, TIME, "`until`")


# --- plans ---------------------------------------------------------------------------------------

_CLAUSES: dict[str, Type] = {
    "trial": DURATION,
    "features": ListOf(TEXT),
    "minimum": MONEY,
    "maximum": MONEY,
    "bill_usage": MONEY,
    "only": ListOf(PLAN),
}


def _plan_item(c: Checker, item: ast.PlanItem, scope: Scope) -> None:
    match item:
        case ast.Price(pricing=pricing) | ast.UsagePrice(pricing=pricing):
            for expr in priced(pricing):
                infer(c, expr, scope)
            if isinstance(item, ast.UsagePrice):
                _known_meter(c, item.meter, item.meter_span)
        case ast.Includes():
            infer(c, item.quantity, scope)
            if item.carried is not None and item.carried.most is not None:
                infer(c, item.carried.most, scope)
            _known_meter(c, item.meter, item.meter_span, _included_units(c, item))
        case ast.PlanClause(key=key, value=value) if value is not None and key not in SETTINGS:
            want = _CLAUSES.get(key)
            if want is not None:
                word = "bill usage at" if key == "bill_usage" else key
                expect(c, value, scope, want, f"`{word}`")
            else:
                infer(c, value, scope)
        case ast.Phase(duration=duration, items=items):
            expect(c, duration, scope, DURATION, "`for`")
            for inner in items:
                _plan_item(c, inner, scope)
        case ast.PriceVersion():
            _version(c, item, scope)


def _version(c: Checker, item: ast.PriceVersion, scope: Scope) -> None:
    expect(c, item.start, scope, TIME, "`from`")
    for inner in item.items:
        _plan_item(c, inner, scope)
    if item.where is not None:
        row = EntityType("Subscription")
        c.checked.row_types[item] = row
        check_condition(c, item.where, _scope("value").child(row=row), "`where` takes")


def _included_units(c: Checker, item: ast.Includes) -> str | None:
    """What to write for `includes 5 seats` of a plan that has a price per seat."""
    prices = (line for plan in c.symbols.plans.values() for line in plan.items
              if isinstance(line, ast.Price))  # fmt: skip
    unit = next((p.per_unit for p in prices if p.per_unit in (item.meter, item.meter[:-1])), None)
    free = source_text(c, item.quantity)
    tiers = f"graduated {{ up to {free}: free, above: … }}"
    return f"what is free of a price per {unit} is a tier: `{tiers}`" if unit else None


def _known_meter(c: Checker, name: str, span: Span, otherwise: str | None = None) -> None:
    if name in c.symbols.meters:
        return
    c.unknown(
        "E0209",
        span,
        f"There is no meter `{name}`",
        name,
        c.symbols.meters,
        otherwise=otherwise or f"declare it: `meter {name} {{ … }}`",
    )


def priced(pricing: ast.Pricing) -> Iterator[ast.Expr]:
    """Every expression of a pricing: amounts, bounds, packages, of its dimensions too."""
    rates = [pricing.rate, *(tier.rate for tier in pricing.tiers)]
    for rate in rates:
        if rate is not None:
            yield from (part.amount for part in rate.parts if part.amount is not None)
            yield from (bound for bound in bounds_of(rate) if bound is not None)
    yield from (tier.bound for tier in pricing.tiers if tier.bound is not None)
    if pricing.package is not None:
        yield pricing.package
    for case in pricing.cases:
        yield from priced(case.price)


# --- what refers to itself -----------------------------------------------------------------


def check_refs(c: Checker) -> None:
    """Functions and constants must come to an end: none may use itself, by whatever way."""
    done: set[str] = set()
    for start in c.calls:
        if start not in done:
            _follow(c, start, done)


def _follow(c: Checker, start: str, done: set[str]) -> None:
    """Walks the uses depth first, without recursion; a way back is a circle."""
    path: list[str] = [start]
    waiting = [iter(c.calls.get(start, {}).items())]
    on_path = {start}
    while waiting:
        step = next(waiting[-1], None)
        if step is None:
            waiting.pop()
            name = path.pop()
            on_path.discard(name)
            done.add(name)
            continue
        name, span = step
        if name in on_path:
            _circle(c, path[path.index(name) :], span)
        elif name not in done:
            path.append(name)
            on_path.add(name)
            waiting.append(iter(c.calls.get(name, {}).items()))


def _circle(c: Checker, circle: list[str], span: Span) -> None:
    kinds = [name.partition(" ")[0] for name in circle]
    names = [name.partition(" ")[2] for name in circle]
    what = "Function" if "fn" in kinds else "Constant"
    way = " → ".join((*names, names[0]))
    c.report.add(
        "E0229",
        span,
        f"{what} `{names[0]}` uses itself ({way})",
        "functions always come to an end: go through a list with `sum` or `[for x in list: …]`, or "
        "emit an event for the next step"
        if what == "Function"
        else "give one of them a value of its own",
    )
