"""Fields and elements: of rows, payloads, plans, maps and lists."""

from __future__ import annotations

from ...diagnostics import Span
from .. import ast
from ..symbols import Ref
from ..types import (
    ANY,
    BOOL,
    DATE,
    DURATION,
    INTEGER,
    MONEY,
    NONE,
    NUMBER,
    TEXT,
    TIME,
    AnyType,
    EntityType,
    ListOf,
    MapOf,
    Maybe,
    Prim,
    Record,
    Type,
    known,
    maybe,
    type_text,
)
from . import expressions
from .context import Checker, listed
from .events import ENVELOPE
from .fit import fits, untyped
from .names import has_field
from .operands import report_none, source_text
from .scope import HAD, Scope

# What is read of a date, and of an instant alone; Monday is weekday 1.
PARTS = ("year", "month", "day", "weekday", "hour", "minute")
CLOCK_PARTS = ("hour", "minute")

# What a plan knows of itself, besides the lines that its author adds.
PLAN_FIELDS: dict[str, Type] = {
    "name": TEXT,
    "title": TEXT,
    "price": MONEY,
    "interval": TEXT,
    "features": ListOf(TEXT),
    "trial": Maybe(DURATION),
    "limits": MapOf(NUMBER),
}


def row_field(c: Checker, node: ast.RowField, scope: Scope) -> Type:
    """The type of `.field`."""
    row = scope.row_type()
    if row is None:
        help_ = "a leading dot stands in `where`, `order by`, triggers, meters and `update`"
        owners = [name for name in scope.names() if has_field(c, scope, name, node.name)]
        if owners:  # the innermost one, which is what a `where` is about
            help_ = f"write `{owners[0]}.{node.name}`"
        help_ = scope.nameless(node.name) or help_
        text = f"`.{node.name}` is a field of a row, and there is no row here"
        c.report.add("E0225", node.span, text, help_)
        return ANY
    # Its name without the dot, which a fix has to leave.
    name = Span(node.span.file, node.span.end - len(node.name), node.span.end)
    c.checked.types[node] = type_ = field_type(c, row, node.name, node, name)
    if isinstance(type_, Maybe) and scope.holds(f".{node.name}"):
        return type_.inner
    return type_


def field(c: Checker, node: ast.Field, scope: Scope) -> Type:
    """The type of `base.name`."""
    column = column_type(c, node, scope)
    if column is not None:
        return column
    base = expressions.infer(c, node.base, scope)
    inner = known(base)
    if base == NONE and not scope.lenient:
        c.report.add("E0401", node.base.span, f"none has no field `{node.name}`")
        return ANY
    if isinstance(base, Maybe) and not node.optional and not scope.lenient:
        _field_of_none(c, node)
        return ANY
    if inner == ENVELOPE and node.name not in dict(ENVELOPE.fields):
        return _beyond_envelope(c, node, scope)
    if isinstance(inner, Record) and inner.field(node.name) is None:
        told = _told(c, node, inner, scope)
        if told is not None:
            return told
    type_ = field_type(c, inner, node.name, node, node.name_span)
    if isinstance(base, Maybe) and node.optional:
        type_ = maybe(type_)
    if isinstance(type_, Maybe):
        path = c.flow.path(node)
        if path is not None and scope.holds(path[0]):
            return type_.inner
    return type_


def _beyond_envelope(c: Checker, node: ast.Field, scope: Scope) -> Type:
    """Reports `event.amount`: what an event tells goes by the name that was given to it."""
    names = [name for name, _ in ENVELOPE.fields]
    owners = [name for name in scope.names() if has_field(c, scope, name, node.name)]
    help_ = f"write `{owners[0]}.{node.name}`" if owners else scope.nameless(node.name)
    if node.name in ("data", "payload", "body"):
        help_ = "what an event tells goes by its name: `on Noun.verb as e`, `e.field`"
    text = f"Event has no field `{node.name}`"
    c.unknown("E0217", node.name_span, text, node.name, [] if help_ else names,
              otherwise=help_ or f"its fields are {listed(names)}")  # fmt: skip
    return ANY


def _told(c: Checker, node: ast.Field, record: Record, scope: Scope) -> Type | None:
    """The type of what only some of several events have, where `e.event.type` was asked."""
    found = next((entry for entry in record.some if entry[0] == node.name), None)
    path = c.flow.path(node)
    if found is None or path is None:
        return None
    _, type_, having, _ = found
    if scope.holds(path[0]):
        return type_
    if scope.holds(path[0] + HAD):
        return maybe(type_)
    c.report.add(
        "E0216",
        node.name_span,
        f"Not every one of {record.name} has a field `{node.name}`",
        f'ask first: `if {source_text(c, node.base)}.event.type == "{having[0]}" {{ … }}`',
    )
    return ANY


def _field_of_none(c: Checker, node: ast.Field) -> None:
    name = source_text(c, node.base)
    help_ = f"read `{name}?.{node.name}`, or check first: `if {name} != none {{ … }}`"
    if not isinstance(node.base, ast.Name | ast.Field | ast.RowField | ast.Call) or len(name) > 40:
        help_ = "name it, and check that it is there: `let x = …` and `if x != none { … }`"
        name = name if len(name) <= 40 else "this"
    text = f"`{name}` may be none, and none has no field `{node.name}`"
    c.may_be_none(node.base, "E0401", node.span, text, help_)


def column_type(c: Checker, node: ast.Field, scope: Scope) -> Type | None:
    """The type of `Entity.field`, the values of all rows; None where the base is no entity."""
    if not isinstance(node.base, ast.Name) or scope.find(node.base.name) is not None:
        return None
    name = node.base.name
    if name not in c.symbols.entities or name in c.symbols.consts:
        return None
    c.checked.names[node.base] = Ref("entity", name)
    c.checked.types[node.base] = ListOf(EntityType(name))
    held = c.symbols.collection(name, node.name)
    if held is not None:
        c.report.add("E0323", node.name_span, f"`{name}.{node.name}` would be a list of lists",
                     f"`{held.entity}` is all of them")  # fmt: skip
        return ANY
    return ListOf(known(field_type(c, EntityType(name), node.name, node, node.name_span)))


def field_type(c: Checker, base: Type, name: str, node: ast.Node, span: Span) -> Type:
    """The type of a field of a value that is there; reports a field that it doesn't have."""
    match base:
        case EntityType(entity):
            return _entity_field(c, entity, name, span)
        case Record():
            return record_field(c, base, name, span)
        case MapOf(value):
            return maybe(value)
        case Prim("plan"):
            return _plan_field(c, name, span)
        case AnyType() | Prim("json"):
            return ANY
        case Prim("date" | "time") if name in PARTS and (base == TIME or name not in CLOCK_PARTS):
            return INTEGER
    c.report.add(
        "E0323",
        span,
        f"{described(base)} has no field `{name}`",
        _field_help(base, name),
    )
    return ANY


def _field_help(base: Type, name: str) -> str | None:
    if isinstance(base, ListOf) and name in ("length", "size", "count", "len"):
        return "`len(x)` tells how many a list has"
    if isinstance(base, ListOf):
        return f"read it of each: `[for x in list: x.{name}]`"
    if name in ("length", "size", "count"):
        return "`len(x)` tells how long a text or list is"
    if base in (DATE, TIME) and name.lower() in ("dayofweek", "day_of_week", "weekdaynumber"):
        return "`.weekday` is the day of the week: Monday is 1"
    if base == DATE and name in CLOCK_PARTS:
        return "a date has no time of day"
    if base == DURATION and name.rstrip("s") in ("second", "minute", "hour", "day", "week"):
        return f"the number of them is `x / 1 {name.rstrip('s')}`"
    return None


def described(type_: Type) -> str:
    """A type as the beginning of a sentence."""
    match type_:
        case ListOf(EntityType(name)):
            return f"A list of {name}"
        case ListOf():
            return "A list"
    text_ = type_text(type_)
    return text_[:1].upper() + text_[1:]


def _entity_field(c: Checker, entity: str, name: str, span: Span) -> Type:
    info = c.entity(entity)
    if info is None:
        return ANY
    found = info.fields.get(name)
    if found is not None:
        return found.type
    held = c.symbols.collection(entity, name)
    if held is not None:
        return ListOf(EntityType(held.entity))
    if entity not in c.damaged:
        c.unknown(
            "E0203",
            span,
            f"{entity} has no field `{name}`",
            name,
            info.fields,
            otherwise=f"its fields are {listed(info.fields)}",
        )
    return ANY


def record_field(c: Checker, base: Record, name: str, span: Span) -> Type:
    """The type of a field of a payload, shape or row; reports one that isn't there."""
    found = base.field(name)
    if found is not None:
        return found
    if base.open:
        return ANY
    fields = [key for key, _ in base.fields]
    payload = base.field("event") == ENVELOPE
    if payload:
        fields.remove("event")
    meant = fields
    what = f"Event `{base.name}`" if payload else described(base)
    if payload and " or " in base.name:
        what = f"Not every one of {base.name}"
        message = f"{what} has a field `{name}`"
        meant = [*fields, *(key for key, *_ in base.some)]
    else:
        message = f"{what} has no field `{name}`"
    c.unknown(
        "E0216" if payload else "E0217",
        span,
        message,
        name,
        meant,
        otherwise=f"its fields are {listed(fields)}" if fields else None,
    )
    return ANY


def _plan_field(c: Checker, name: str, span: Span) -> Type:
    if name in PLAN_FIELDS:
        return PLAN_FIELDS[name]
    for plan in c.symbols.plans.values():
        if any(isinstance(item, ast.PlanClause) and item.key == name for item in plan.items):
            return ANY
    c.unknown(
        "E0217",
        span,
        f"A plan has no field `{name}`",
        name,
        PLAN_FIELDS,
        otherwise=f"its fields are {listed(PLAN_FIELDS)}",
    )
    return ANY


def element(c: Checker, node: ast.Index, scope: Scope) -> Type:
    """The type of `list[i]` or `map["key"]`."""
    base = expressions.infer(c, node.base, scope)
    index = expressions.infer(c, node.index, scope)
    if isinstance(base, Maybe) and not scope.lenient:
        report_none(c, "E0401", node.base, base, "none has no elements")
        return ANY
    match known(base):
        case ListOf(EntityType(entity)) if isinstance(node.base, ast.Name) and index == TEXT:
            text = f"A row is asked for by its key: {entity}(key)"
            help_ = f"write `{entity}({source_text(c, node.index)})`"
            c.report.add("E0318", node.span, text, help_)
            return maybe(EntityType(entity))
        case ListOf(item):
            ranged = isinstance(known(index), Record)
            help_ = "a list is asked by a number, from 0"
            if ranged:
                help_ = "a part of a list is `[for i in 0..2: list[i]]`"
            elif known(index) == BOOL:
                help_ = "what fits a condition is `[for x in list where condition: x]`"
            if not _index_fits(c, node.index, index, NUMBER, help_):
                return ANY
            if isinstance(node.index, ast.Unary) and isinstance(node.index.operand, ast.Literal):
                help_ = "the last item of a list is `list[len(list) - 1]`"
                c.report.add("E0318", node.index.span, "An index is never below 0", help_)
            return item
        case MapOf(value):
            fit = _index_fits(c, node.index, index, TEXT, "a map is asked by a text")
            return maybe(value) if fit else ANY
        case Record() as record:
            name = node.index.plain if isinstance(node.index, ast.Text) else None
            return record_field(c, record, name, node.index.span) if name is not None else ANY
        case other if not untyped(other):
            c.report.add("E0318", node.span, f"{described(other)} has no elements to ask for")
    return ANY


def _index_fits(c: Checker, node: ast.Expr, type_: Type, wanted: Type, help_: str) -> bool:
    if fits(type_, wanted):
        return True
    c.report.add("E0318", node.span, f"{described(type_)} is no index here", help_)
    return False
