"""Builds expressions: the grammar hands over flat chains, precedence is applied here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..diagnostics import Span
from . import ast
from .build_context import (
    MAX_NESTING,
    Context,
    bounds,
    first,
    is_tree,
    too_deep,
    trees,
)
from .build_text import build_text, plain_text
from .build_values import build_literal

# How tightly an operator binds; `not` and `-` stand before their operand.
BINDING = {
    "or": 1,
    "and": 2,
    "not": 3,
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">=", "in", "not in", "can"), 4),
    **dict.fromkeys(("reaches", "drops below"), 4),
    "??": 5,
    "..": 6,
    "+": 7,
    "-": 7,
    "*": 8,
    "/": 8,
    "negative": 9,
    "of": 9,
}
_COMPARISON = 4
_RANGE = 6
_OF = 9


def build_expr(tree: Any, context: Context) -> ast.Expr:
    """The expression of a tree of any rule that stands for one."""
    while tree.data == "paren":
        tree = tree.children[0]
    make = _BUILDERS[tree.data]
    if tree.data in _PLAIN:
        return make(tree, context)
    context.depth += 1
    if context.depth > MAX_NESTING:
        too_deep(context, tree)
    node = make(tree, context)
    context.depth -= 1
    return node


def build_map(tree: Any, context: Context) -> ast.MapLiteral:
    """A map: entries, short entries and spreads in order."""
    entries: list[ast.Entry | ast.Spread] = []
    for child in tree.children:
        span = context.of(child)
        part = child.children[0]
        if child.data == "short":
            name = ast.Name(span, str(part))
            entries.append(ast.Entry(span, name.name, name, span, short=True))
        elif child.data == "spread":
            entries.append(ast.Spread(span, build_expr(part, context)))
        else:
            key = plain_text(part, context) if part.type == "TEXT" else str(part)
            value = build_expr(child.children[1], context)
            entries.append(ast.Entry(span, key, value, context.of(part)))
    return ast.MapLiteral(context.of(tree), tuple(entries))


def optional_map(tree: Any, context: Context) -> ast.MapLiteral | None:
    """The map among the children of a tree, where there is one."""
    found = first(tree, "map")
    return build_map(found, context) if found is not None else None


def optional_text(tree: Any, context: Context) -> ast.Text | None:
    """The text that is a token among the children of a tree, where there is one."""
    for child in tree.children:
        if not is_tree(child) and child.type in ("TEXT", "LONG_TEXT"):
            return build_text(child, context)
    return None


# --- Names and what follows them -------------------------------------------------------------


def _name(tree: Any, context: Context) -> ast.Expr:
    return ast.Name(context.of(tree), str(tree.children[0]))


def _row_field(tree: Any, context: Context) -> ast.RowField:
    return ast.RowField(context.of(tree), str(tree.children[0]))


def _postfix(tree: Any, context: Context) -> ast.Expr:
    head, *trailers = tree.children
    start, _ = bounds(tree)
    if len(trailers) + context.depth > MAX_NESTING:
        too_deep(context, tree)
    if is_tree(head):
        node = build_expr(head, context)
    else:
        node = ast.Name(context.of(head), str(head))
    for trailer in trailers:
        span = context.span(start, bounds(trailer)[1])
        match trailer.data:
            case "trailer_call":
                args = tuple(build_expr(arg, context) for arg in trailer.children)
                node = ast.Call(span, node, args)
            case "trailer_index":
                node = ast.Index(span, node, build_expr(trailer.children[0], context))
            case kind:
                name = trailer.children[0]
                optional = kind == "trailer_maybe"
                node = ast.Field(span, node, str(name), optional, context.of(name))
    return node


# --- Operators ---------------------------------------------------------------------------------


def _chain(tree: Any, context: Context) -> ast.Expr:
    parts = tree.children if tree.data == "chain" else [tree]
    before = context.depth
    # A chain is a tree as deep as it has operators, whose leftmost operand is the deepest.
    context.depth += max(1, len(parts) // 2)
    if context.depth > MAX_NESTING:
        too_deep(context, tree)
    chain = _Chain(context)
    for number, part in enumerate(parts):
        if number % 2:
            chain.operator(part)
        elif is_tree(part, "operand"):
            *prefixes, operand = part.children
            for prefix in prefixes:
                chain.prefix(prefix)
            chain.operand(operand)
        else:
            chain.operand(part)
    context.depth = before
    return chain.result()


class _Chain:
    """Operands and operators that wait for their right side, from loose to tight."""

    def __init__(self, context: Context) -> None:
        self.context = context
        # A value with its outer bounds: those of the brackets around it, where it has some.
        self.values: list[tuple[ast.Expr, int, int]] = []
        self.waiting: list[tuple[str, int, int, int]] = []

    def operand(self, tree: Any) -> None:
        start, end = bounds(tree)
        self.values.append((build_expr(tree, self.context), start, end))

    def prefix(self, token: Any) -> None:
        op = str(token)
        binding = BINDING["negative" if op == "-" else op]
        if len(self.waiting) + self.context.depth > MAX_NESTING:
            too_deep(self.context, token)
        self.waiting.append((f"prefix {op}", binding, token.start_pos, token.end_pos))

    def operator(self, part: Any) -> None:
        start, end = bounds(part)
        op = " ".join(str(token) for token in part.children) if is_tree(part) else str(part)
        binding = BINDING[op]
        chained = False
        while self.waiting:
            top, above, *_ = self.waiting[-1]
            # `of` takes what stands right of it first: half of a third of x.
            if above < binding or (above == binding == _OF):
                break
            chained |= above == binding and op != top and binding == _COMPARISON
            chained |= above == binding and op == top and binding in (_COMPARISON, _RANGE)
            self.apply()
        if chained:
            self.report_chained(op, self.context.span(start, end))
        self.waiting.append((op, binding, start, end))

    def report_chained(self, op: str, span: Span) -> None:
        what = "Ranges" if op == ".." else "Comparisons"
        help = None if op == ".." else "join two comparisons with `and`: `a < b and b < c`"
        self.context.report("E0120", span, f"{what} do not chain.", help)

    def apply(self) -> None:
        op, _, start, end = self.waiting.pop()
        right, _, right_end = self.values.pop()
        if op.startswith("prefix "):
            span = self.context.span(start, right_end)
            self.values.append((ast.Unary(span, op[7:], right), start, right_end))
            return
        left, left_start, _ = self.values.pop()
        span = self.context.span(left_start, right_end)
        node = ast.Binary(span, op, left, right, self.context.span(start, end))
        self.values.append((node, left_start, right_end))

    def result(self) -> ast.Expr:
        while self.waiting:
            self.apply()
        return self.values[0][0]


# --- Brackets, conditions, queries -----------------------------------------------------------


def _list(tree: Any, context: Context) -> ast.Expr:
    items = tuple(build_expr(item, context) for item in tree.children)
    return ast.ListLiteral(context.of(tree), items)


def _comprehension(tree: Any, context: Context) -> ast.Expr:
    variable, source, value = tree.children
    return ast.Comprehension(
        context.of(tree), str(variable), build_expr(source, context), build_expr(value, context)
    )


def _if(tree: Any, context: Context) -> ast.Expr:
    condition, then, otherwise = (build_expr(part, context) for part in tree.children)
    return ast.IfExpr(context.of(tree), condition, then, otherwise)


def _match(tree: Any, context: Context) -> ast.Expr:
    subject, *arms = tree.children
    cases: list[ast.MatchArm] = []
    otherwise = None
    value = build_expr(subject, context)
    for arm in arms:
        if is_tree(arm, "arm_otherwise"):
            otherwise = build_expr(arm.children[0], context)
        elif is_tree(arm, "arm"):
            *patterns, result = (build_expr(part, context) for part in arm.children)
            cases.append(ast.MatchArm(context.of(arm), tuple(patterns), result))
    return ast.MatchExpr(context.of(tree), value, tuple(cases), otherwise)


def _query(tree: Any, context: Context) -> ast.Expr:
    source, *parts = tree.children
    return _make_query(context.of(tree), build_expr(source, context), parts, context)


def _make_query(span: Span, source: ast.Expr, parts: list[Any], context: Context) -> ast.Query:
    where: ast.Expr | None = None
    order: tuple[ast.Order, ...] = ()
    limit: ast.Expr | None = None
    for part in parts:
        if part.data == "where":
            where = build_expr(part.children[0], context)
        elif part.data == "order":
            order = tuple(_order(key, context) for key in trees(part, "order_key"))
        elif part.data == "limit":
            limit = build_expr(part.children[0], context)
    return ast.Query(span, source, where, order, limit)


def _order(tree: Any, context: Context) -> ast.Order:
    value, *direction = tree.children
    descending = bool(direction) and str(direction[0].children[0]) == "desc"
    return ast.Order(context.of(tree), build_expr(value, context), descending)


def _first(tree: Any, context: Context) -> ast.Expr:
    source_tree, *parts = tree.children
    source = _postfix(source_tree, context)
    span = context.of(tree)
    if not parts:
        return ast.First(span, source)
    inside = source.span.to(span)
    return ast.First(span, _make_query(inside, source, parts, context))


def _group(tree: Any, context: Context) -> ast.Expr:
    source_tree, *parts = tree.children
    aggregate = next(part for part in parts if not is_tree(part) and part.type == "NAME")
    place = parts.index(aggregate)
    by = [_row_path(part, context) for part in parts[:place] if is_tree(part, "row_path")]
    field = next((_row_path(p, context) for p in parts[place:] if is_tree(p, "row_path")), None)
    source = _postfix(source_tree, context)
    rest = [part for part in parts if is_tree(part, "where", "order", "limit")]
    query = _make_query(context.of(tree), source, rest, context)
    return ast.Group(
        query.span, source, query.where, tuple(by), str(aggregate), field, query.order, query.limit
    )


def _row_path(tree: Any, context: Context) -> ast.RowField | ast.Field:
    path = _postfix(tree, context)
    assert isinstance(path, ast.RowField | ast.Field)
    return path


def _boundary(tree: Any, context: Context) -> ast.Expr:
    edge, _, unit = (str(token) for token in tree.children)
    span = context.of(tree)
    if unit not in ("day", "week", "month", "quarter", "year"):
        place = context.of(tree.children[2])
        help = "it is one of day, week, month, quarter and year"
        context.report("E0113", place, f"There is no `{edge} of {unit}`.", help)
        return ast.Bad(span)
    return ast.Boundary(span, edge, unit)


def _literal(tree: Any, context: Context) -> ast.Expr:
    return build_literal(tree.children[0], context)


def _text(tree: Any, context: Context) -> ast.Expr:
    return build_text(tree.children[0], context)


# These nest no deeper than what they hold.
_PLAIN = frozenset(("name_ref", "row_field", "literal", "chain", "operand"))

_BUILDERS: dict[str, Callable[[Any, Context], ast.Expr]] = {
    "name_ref": _name,
    "row_field": _row_field,
    "postfix": _postfix,
    "literal": _literal,
    "text": _text,
    "chain": _chain,
    "operand": _chain,
    "list": _list,
    "map": build_map,
    "comprehension": _comprehension,
    "match_expr": _match,
    "boundary": _boundary,
    "if_expr": _if,
    "query": _query,
    "first": _first,
    "group": _group,
}
