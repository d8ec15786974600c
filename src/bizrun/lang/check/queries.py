"""Queries, groups, `first` and comprehensions: what their rows are, and what reads them."""

from __future__ import annotations

from .. import ast
from ..types import (
    ANY,
    JSON,
    NUMBER,
    Choice,
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
from . import constants, expressions, fields, values
from .calls import SUMMED
from .comparisons import ORDERED
from .context import Checker, listed
from .fit import untyped
from .operands import plain, report_none, source_text
from .scope import Local, Scope

AGGREGATES = ("count", "sum", "avg", "min", "max")


def infer_query(c: Checker, node: ast.Expr, scope: Scope) -> Type:
    """The type of a query of any form."""
    match node:
        case ast.Query():
            return _query(c, node, scope)
        case ast.First(query=query):
            return _first(c, query, scope)
        case ast.Group():
            return _group(c, node, scope)
        case ast.Comprehension():
            return _comprehension(c, node, scope)
    return ANY


def elements(c: Checker, node: ast.Expr, scope: Scope, use: str) -> Type:
    """The type of what a list, query or range gives one by one; reports what is none of them."""
    type_ = expressions.infer(c, node, scope)
    if isinstance(type_, Maybe) and not scope.lenient:
        report_none(c, "E0402", node, type_, f"{use} needs a list")
        return ANY
    match known(type_):
        case ListOf(item):
            return item
        case Record(name, fields) if name.startswith("range of"):
            return fields[0][1]
        case MapOf():
            name = source_text(c, node)
            help_ = f"go through its keys: `keys({name})`, and read `{name}[key]`"
            c.report.add("E0317", node.span, f"{use} needs a list or a query, not a map", help_)
        case other if not untyped(other):
            text = f"{use} needs a list or a query, not {type_text(type_)}"
            c.report.add("E0317", node.span, text, _within(c, node))
    return ANY


_COLLECTING = ("count", "sum", "avg", "min", "max", "len")


def _within(c: Checker, node: ast.Expr) -> str | None:
    """Where the condition of `sum(Sale.amount) where …` belongs."""
    match node:
        case ast.Call(callee=ast.Name(name=name), args=(rows,)) if name in _COLLECTING:
            return f"it stands within the brackets: `{name}({source_text(c, rows)} where …)`"
    return None


def _query(c: Checker, node: ast.Query, scope: Scope) -> Type:
    row = _row(c, node.source, scope)
    item = row
    source = c.checked.types.get(node.source)
    if isinstance(source, ListOf):
        item = source.item
    c.checked.row_types[node] = row
    inner = scope.child(row=row)
    if scope.naming and scope.named is node and scope.find(scope.naming) is None:
        inner.locals[scope.naming] = Local(item)
        c.checked.row_names[node] = scope.naming
    if node.where is not None:
        expressions.check_condition(c, node.where, inner, "`where` takes")
        # What the condition says of a row holds where it is ordered.
        inner.learn(c.flow.facts(node.where, True))
    _order(c, node.order, inner)
    _limit(c, node.limit, scope)
    if source is not None and isinstance(known(source), Prim | EntityType | Choice):
        return ANY if source != JSON else ListOf(item)
    return ListOf(item)


def _row(c: Checker, source: ast.Expr, scope: Scope) -> Type:
    """The row that `.field` reads: of `Invoice.total` it is the invoice."""
    if isinstance(source, ast.Field):
        column = fields.column_type(c, source, scope)
        if column is not None:
            c.checked.types[source] = column
            assert isinstance(source.base, ast.Name)
            return EntityType(source.base.name)
    return elements(c, source, scope, "`where`, `order by` or `limit`")


def _order(c: Checker, keys: tuple[ast.Order, ...], scope: Scope) -> None:
    for key in keys:
        type_ = expressions.infer(c, key.value, scope)
        value = plain(known(type_))
        if not untyped(value) and value not in ORDERED and not isinstance(value, EntityType):
            help_ = "plain values are in order by a name: `[for x in list order by x: x]`"
            c.report.add(
                "E0312",
                key.value.span,
                f"{type_text(type_)} has no order",
                help_ if isinstance(value, ListOf) else None,
            )


def _limit(c: Checker, limit: ast.Expr | None, scope: Scope) -> None:
    if limit is not None:
        values.expect(c, limit, scope, NUMBER, "`limit`")
        constants.limit(c, limit)


def _first(c: Checker, query: ast.Expr, scope: Scope) -> Type:
    type_ = expressions.infer(c, query, scope)
    match known(type_):
        case ListOf(item):
            return maybe(item)
        case Record(name, fields) if name.startswith("range of"):
            return maybe(fields[0][1])
        case other if not untyped(other):
            c.report.add(
                "E0317", query.span, f"`first` needs a list or a query, not {type_text(type_)}"
            )
    return ANY


def _group(c: Checker, node: ast.Group, scope: Scope) -> Type:
    row = elements(c, node.source, scope, "`group`")
    c.checked.row_types[node] = row
    inner = scope.child(row=row)
    if node.where is not None:
        expressions.check_condition(c, node.where, inner, "`where` takes")
        inner.learn(c.flow.facts(node.where, True))
    columns: dict[str, Type] = {}
    wrong = untyped(row)
    for key in node.by:
        if key.name in columns:
            text = f"Two columns would be called `{key.name}`"
            c.report.add("E0223", key.span, text, "group by a row itself, or by one of the two")
        columns[key.name] = expressions.infer(c, key, inner)
        wrong = wrong or untyped(columns[key.name])
    if node.aggregate not in AGGREGATES:
        c.unknown(
            "E0202",
            node.span,
            f"`group` can't take `{node.aggregate}`",
            node.aggregate,
            (),
            otherwise=f"it takes {listed(AGGREGATES)}",
        )
        return ANY
    if node.field is not None:
        columns[node.field.name] = _aggregated(c, node.aggregate, node.field, inner)
        wrong = wrong or untyped(columns[node.field.name])
    else:
        columns["count"] = NUMBER
    rows = Record("group", tuple(columns.items()), open=wrong)
    _order(c, node.order, scope.child(row=rows))
    _limit(c, node.limit, scope)
    return ListOf(rows)


def _aggregated(c: Checker, aggregate: str, field: ast.RowField | ast.Field, scope: Scope) -> Type:
    type_ = expressions.infer(c, field, scope)
    if aggregate == "count":
        return NUMBER
    value = plain(known(type_))
    summed = aggregate in ("sum", "avg")
    right = getattr(value, "name", "") in SUMMED if summed else value in ORDERED
    if not untyped(value) and not right:
        c.report.add("E0320", field.span, f"`{aggregate}` can't be taken of {type_text(type_)}")
        return ANY
    return value


def _comprehension(c: Checker, node: ast.Comprehension, scope: Scope) -> Type:
    before = scope.child()
    before.naming, before.named = node.variable, node.source
    item = elements(c, node.source, before, "`for`")
    inner = scope.child()
    inner.locals[node.variable] = Local(item, span=node.span)
    rows_know(c, node.variable, node.source, inner)
    return ListOf(expressions.infer(c, node.value, inner))


def rows_know(c: Checker, variable: str, source: ast.Expr, scope: Scope) -> None:
    """What `where .trial_ends != none` says of every row may be taken as given of each."""
    if not isinstance(source, ast.Query) or source.where is None:
        return
    for path, how in c.flow.facts(source.where, True):
        if path.startswith("."):
            scope.facts[f"{variable}{path}"] = how
        elif path == variable or path.startswith(f"{variable}."):
            scope.facts[path] = how
