"""Expressions of the IR become nodes of Python's `ast`; nothing an author wrote is ever source.

Names an author chose stand behind a prefix: `v_` values, `f_` functions, `k_` constants. Exact
values stand in a table of globals. Each operator carries its IR node's number as the end of its
column, so that a failure can be explained from the traceback alone.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeGuard

from ..values import UNLIMITED, money_in
from . import functions
from . import nodes as ir
from .compile_blocks import (
    CTX,
    LOAD,
    Scope,
    ask,
    call,
    compared,
    is_none,
    is_some,
    list_of,
    literal,
    load,
    loop,
    mangled,
    map_of,
    numbered,
    once,
    pair,
    subscript,
)
from .stored import counted, pushed

# --- values, names, fields -------------------------------------------------------------------


def expression(node: ir.Expr, scope: Scope) -> ast.expr:
    """The Python expression of an IR expression."""
    return _EXPRESSIONS[type(node)](node, scope)


def _all(nodes: Sequence[ir.Expr], scope: Scope) -> list[ast.expr]:
    return [expression(node, scope) for node in nodes]


def _const(node: ir.Const, scope: Scope) -> ast.expr:
    if node.value is None or type(node.value) in (bool, str, int):
        return literal(node.value)
    return scope.module.define("c", node.value)


def _local(node: ir.Local, scope: Scope) -> ast.expr:
    return load(scope.names.get(node.name) or mangled(node.name))


def _global(node: ir.Global, scope: Scope) -> ast.expr:
    value = scope.module.constants[node.name]
    if isinstance(value, ir.Const):
        return _const(value, scope)
    return call(mangled(node.name, "k"), CTX)


def _special(node: ir.Special, scope: Scope) -> ast.expr:
    if node.name == "today":
        return call("today", CTX)
    assert node.name in ("now", "event", "caller"), node
    return ast.Attribute(CTX, node.name, LOAD)


def _get(node: ir.Get, scope: Scope) -> ast.expr:
    local = node.base.name if isinstance(node.base, ir.Local) else None
    if local is not None and (local, node.name) in scope.loaded:
        return load(scope.loaded[local, node.name])
    base = expression(node.base, scope)
    if isinstance(base, ast.Constant):
        # Python warns where a literal is subscripted.
        base = scope.module.define("c", base.value)
    if local in scope.maps and node.loose:
        return ast.Call(ast.Attribute(base, "get", LOAD), [literal(node.name)], [])

    def read(value: ast.expr) -> ast.expr:
        if node.loose:
            return call("field", value, literal(node.name))
        return numbered(subscript(value, node.name), node, scope)

    return _optional(node.optional, base, read, scope)


def _optional(
    optional: bool, base: ast.expr, read: Callable[[ast.expr], ast.expr], scope: Scope
) -> ast.expr:
    """A read that gives none where the base is none."""
    if not optional:
        return read(base)
    return once(scope, base, lambda b: ast.IfExp(is_none(b), literal(None), read(b)))


def _entity_get(node: ir.EntityGet, scope: Scope) -> ast.expr:
    def read(value: ast.expr) -> ast.expr:
        row = ask("row", literal(node.entity), value)
        return numbered(subscript(row, node.name), node, scope)

    return _optional(node.optional, expression(node.base, scope), read, scope)


def _plan_get(node: ir.PlanGet, scope: Scope) -> ast.expr:
    def read(value: ast.expr) -> ast.expr:
        return numbered(subscript(ask("plan", value), node.name), node, scope)

    return _optional(node.optional, expression(node.base, scope), read, scope)


def _find(node: ir.Find, scope: Scope) -> ast.expr:
    return ask("find", literal(node.entity), expression(node.key, scope))


def _item(node: ir.Item, scope: Scope) -> ast.expr:
    return call("item", expression(node.base, scope), expression(node.index, scope))


def _call_fn(node: ir.CallFn, scope: Scope) -> ast.expr:
    assert node.name in scope.module.functions, node
    return call(mangled(node.name, "f"), CTX, *_all(node.args, scope))


def _builtin(node: ir.Builtin, scope: Scope) -> ast.expr:
    args = _all(node.args, scope)
    if node.name in functions.PURE:
        return call(f"b_{node.name}", *args)
    if node.name in functions.TIMED:
        return call(f"b_{node.name}", CTX, *args)
    return ask("call", literal(node.name), list_of(args))


def _list(node: ir.ListExpr, scope: Scope) -> ast.expr:
    return list_of(_all(node.items, scope))


def _map(node: ir.MapExpr, scope: Scope) -> ast.expr:
    keys: list[ast.expr | None] = []
    values: list[ast.expr] = []
    for entry in node.entries:
        value = expression(entry.value, scope)
        if isinstance(entry, ir.Pair):
            keys.append(literal(entry.name))
        else:
            if entry.entity is not None:
                value = ask("row", literal(entry.entity), value)
            value = call("spread", value, literal(entry.names))
            keys.append(None)
        values.append(value)
    return ast.Dict(keys, values)


def _edge(node: ir.Edge, scope: Scope) -> ast.expr:
    return call("edge", CTX, literal(node.edge), literal(node.unit))


def _text(node: ir.TextExpr, scope: Scope) -> ast.expr:
    return call("text", *(_piece(part, scope) for part in node.parts))


def _piece(part: str | ir.Piece, scope: Scope) -> ast.expr:
    if isinstance(part, str):
        return literal(part)
    value = expression(part.value, scope)
    if part.format is not None:
        return call("formatted", value, literal(part.format), literal(part.type), CTX)
    return call("show", value) if part.type is None else call("show", value, literal(part.type))


# --- operators -------------------------------------------------------------------------------

_COMPARE: dict[str, type[ast.cmpop]] = {
    "<": ast.Lt, "<=": ast.LtE, ">": ast.Gt, ">=": ast.GtE, "==": ast.Eq, "!=": ast.NotEq,
    "in": ast.In, "not in": ast.NotIn,
}  # fmt: skip
_ARITHMETIC: dict[str, type[ast.operator]] = {"+": ast.Add, "-": ast.Sub, "*": ast.Mult}
_ANY = {"+": "add", "-": "subtract", "*": "multiply_any", "/": "divide_any"}
_BOOLS = frozenset({"contains", "starts_with", "ends_with"})


def condition(node: ir.Expr, scope: Scope) -> ast.expr:
    """An expression as true or false, anything else refused."""
    made = expression(node, scope)
    return made if _is_bool(node) else call("holds" if scope.query else "truth", made)


def _is_bool(node: ir.Expr) -> bool:
    match node:
        case ir.BinaryExpr(op=sign):
            return sign in _COMPARE or sign in ("and", "or")
        case ir.UnaryExpr(op=sign):
            return sign == "not"
        case ir.Const(value):
            return isinstance(value, bool)
        case ir.Builtin(name):
            return name in _BOOLS
    return False


def _unary(node: ir.UnaryExpr, scope: Scope) -> ast.expr:
    if node.op == "not":
        return ast.UnaryOp(ast.Not(), condition(node.operand, scope))
    return call("negate", expression(node.operand, scope))


def _binary(node: ir.BinaryExpr, scope: Scope) -> ast.expr:
    match node.op:
        case "and" | "or":
            return _logic(node, scope)
        case "in" | "not in":
            return _membership(node, scope)
        case "==" | "!=":
            return _equality(node, scope)
        case "<" | "<=" | ">" | ">=":
            return _ordering(node, scope)
        case "+" | "-" | "*" | "/":
            return _arithmetic(node, scope)
    left, right = expression(node.left, scope), expression(node.right, scope)
    match node.op:
        case "??":
            return once(scope, left, lambda value: ast.IfExp(is_some(value), value, right))
        case "..":
            return call("span", left, right, CTX)
        case "of":
            return call("share_of", left, right)
    assert node.op == "can", node
    return ask("call", literal("can"), list_of([left, right]))


def _logic(node: ir.BinaryExpr, scope: Scope) -> ast.expr:
    """A chain of one of and, or, as one operation."""
    values: list[ast.expr] = []
    rest: list[ir.Expr] = [node]
    while rest:
        part = rest.pop()
        if isinstance(part, ir.BinaryExpr) and part.op == node.op:
            rest += [part.right, part.left]
        else:
            values.append(condition(part, scope))
    return ast.BoolOp(ast.And() if node.op == "and" else ast.Or(), values)


def _arithmetic(node: ir.BinaryExpr, scope: Scope) -> ast.expr:
    left, right = expression(node.left, scope), expression(node.right, scope)
    if node.mode == "number" and node.op in "*/":
        return call("multiply" if node.op == "*" else "divide_numbers", left, right)
    late = node.mode in ("time", "any") or node.op == "/" or endless(node)
    if late:
        args = (left, right, CTX) if node.op in "+-" else (left, right)
        return call(_ANY[node.op], *args)
    return numbered(ast.BinOp(left, _ARITHMETIC[node.op](), right), node, scope)


def endless(node: ir.BinaryExpr) -> bool:
    """Whether a side is `unlimited` itself, which has the unit of what it is computed with."""
    return ir.Const(UNLIMITED) in (node.left, node.right)


def _equality(node: ir.BinaryExpr, scope: Scope) -> ast.expr:
    for side, other in ((node.left, node.right), (node.right, node.left)):
        if isinstance(side, ir.Const) and side.value is None:
            value = expression(other, scope)
            return is_none(value) if node.op == "==" else is_some(value)
    left, right = _side(node.left, scope), _side(node.right, scope)
    plain = numbered(compared(left, _COMPARE[node.op](), right), node, scope)
    if node.mode != "any" or _is_text(node.left) or _is_text(node.right):
        return plain
    same = call("equal", left, right)
    return same if node.op == "==" else ast.UnaryOp(ast.Not(), same)


def _is_text(node: ir.Expr) -> bool:
    """Whether a side is a text that a value of no other kind is equal to."""
    return isinstance(node, ir.Const) and isinstance(node.value, str) and not money_in(node.value)


def _side(node: ir.Expr, scope: Scope) -> ast.expr:
    """A side of a comparison."""
    if exact(node):
        left, right = expression(node.left, scope), expression(node.right, scope)
        return numbered(ast.BinOp(left, ast.Mult(), right), node, scope)
    return expression(node, scope)


def exact(node: ir.Expr) -> TypeGuard[ir.BinaryExpr]:
    """Whether it is a product of two bounded numbers.

    Compared at once it needs no bound of its own: it is exact, and nothing keeps it.
    """
    leaves = ir.Get | ir.Local | ir.Const | ir.EntityGet
    return (
        isinstance(node, ir.BinaryExpr)
        and (node.op, node.mode) == ("*", "number")
        and isinstance(node.left, leaves)
        and isinstance(node.right, leaves)
    )


def _ordering(node: ir.BinaryExpr, scope: Scope) -> ast.expr:
    left, right = _side(node.left, scope), _side(node.right, scope)
    plain = compared(left, _COMPARE[node.op](), right)
    if node.mode == "any" or endless(node):
        name = "compare_rows" if scope.query else "compare"
        checked = call(name, literal(node.op), left, right, CTX)
        if scope.query or not (isinstance(left, ast.Name) and _is_number(node.right)):
            return checked
        # Whatever is no number fails to compare with one by itself, but for true and false.
        known = ast.Attribute(left, "__class__", LOAD)
        is_bool = compared(known, ast.Is(), load("bool"))
        return ast.IfExp(is_bool, checked, numbered(plain, node, scope))
    numbered(plain, node, scope)
    if not scope.query:
        return plain
    # What has no value never matches: a store's select says so too.
    sides = [side for side in (node.left, node.right) if not isinstance(side, ir.Const)]
    if all(_is_row_field(side) for side in sides):
        checks = [is_some(expression(side, scope)) for side in sides]
        return ast.BoolOp(ast.And(), [*checks, plain]) if checks else plain
    return call("compare_rows", literal(node.op), left, right, CTX)


def _is_number(node: ir.Expr) -> bool:
    return isinstance(node, ir.Const) and type(node.value) is int


def _is_row_field(node: ir.Expr) -> bool:
    return isinstance(node, ir.Get) and isinstance(node.base, ir.Local) and not node.optional


def _membership(node: ir.BinaryExpr, scope: Scope) -> ast.expr:
    left = expression(node.left, scope)
    inside = _inside(node, left, scope)
    if inside is not None:
        return inside if node.op == "in" else ast.UnaryOp(ast.Not(), inside)
    right = _choices(node) or expression(node.right, scope)
    if node.mode == "any" and not isinstance(right, ast.Set | ast.Tuple):
        found = call("member", left, right, CTX)
        return found if node.op == "in" else ast.UnaryOp(ast.Not(), found)
    return numbered(compared(left, _COMPARE[node.op](), right), node, scope)


def _choices(node: ir.BinaryExpr) -> ast.expr | None:
    """A list of texts as a constant of Python's: a set where it is long enough to pay."""
    if not isinstance(node.right, ir.ListExpr) or not node.right.items:
        return None
    texts = [item.value for item in node.right.items if isinstance(item, ir.Const)]
    if len(texts) < len(node.right.items) or not all(isinstance(text, str) for text in texts):
        return None
    made = [literal(text) for text in texts]
    return ast.Set(made) if node.mode == "native" and len(made) > 3 else pair(*made)


def _inside(node: ir.BinaryExpr, value: ast.expr, scope: Scope) -> ast.expr | None:
    """`x in a..b` as two comparisons."""
    if not isinstance(node.right, ir.BinaryExpr) or node.right.op != "..":
        return None
    low, high = node.right.left, node.right.right
    ends = expression(low, scope), expression(high, scope)
    if node.mode == "native" and _plain_end(low) and _plain_end(high):
        return once(
            scope,
            value,
            lambda x: ast.BoolOp(
                ast.And(),
                [is_some(x), ast.Compare(ends[0], [ast.LtE(), ast.LtE()], [x, ends[1]])],
            ),
        )
    return call("within", value, *ends, CTX)


def _plain_end(node: ir.Expr) -> bool:
    return isinstance(node, ir.Const) and type(node.value) in (int, str)


def _if_else(node: ir.IfElse, scope: Scope) -> ast.expr:
    return ast.IfExp(
        condition(node.condition, scope),
        expression(node.then, scope),
        expression(node.otherwise, scope),
    )


def _match_value(node: ir.MatchValue, scope: Scope) -> ast.expr:
    def body(subject: ast.expr) -> ast.expr:
        made = (
            expression(node.otherwise, scope)
            if node.otherwise is not None
            else call("unmatched", subject)
        )
        for patterns, value in reversed(node.arms):
            test = matches_one(subject, patterns, scope)
            made = ast.IfExp(test, expression(value, scope), made)
        return made

    return once(scope, expression(node.subject, scope), body)


def matches_one(subject: ast.expr, patterns: Sequence[ir.Expr], scope: Scope) -> ast.expr:
    """Whether a value equals one of some patterns, or is in one that is a range."""
    tests = [_matches(subject, pattern, scope) for pattern in patterns]
    return tests[0] if len(tests) == 1 else ast.BoolOp(ast.Or(), tests)


def _matches(subject: ast.expr, pattern: ir.Expr, scope: Scope) -> ast.expr:
    match pattern:
        case ir.Const(None):
            return is_none(subject)
        case ir.Const(str() as text):
            return compared(subject, ast.Eq(), literal(text))
        case ir.BinaryExpr(op="..", left=low, right=high):
            return call("within", subject, expression(low, scope), expression(high, scope), CTX)
    return call("equal", subject, expression(pattern, scope))


# --- queries ---------------------------------------------------------------------------------


def _query(node: ir.Query, scope: Scope) -> ast.expr:
    kept = _kept(node, scope)
    selected = _selected(node, scope)
    var = mangled(node.var)
    if _is_row(selected, var):
        return kept
    return loop(selected, var, kept, None)


def _is_row(selected: ast.expr, var: str) -> bool:
    return isinstance(selected, ast.Name) and selected.id == var


def _selected(node: ir.Query, scope: Scope) -> ast.expr:
    """What a row of a query stands for: its selection, its key, or itself."""
    if node.select is not None:
        return expression(node.select, scope.bind(node.var, node.entity is not None))
    row = load(mangled(node.var))
    return row if node.entity is None else ask("key", literal(node.entity), row)


def _kept(node: ir.Query, scope: Scope) -> ast.expr:
    """The rows of a query that are left by its condition, order and limit."""
    order, limited = pushed(node)
    base = _base(node, scope, order, limited)
    var, row = mangled(node.var), load(mangled(node.var))
    inner = scope.bind(node.var, node.entity is not None)
    test = _where(node, inner)
    if node.order and not order:
        keys = pair(*(expression(key, inner) for key, _ in node.order))
        made = call(
            "sort",
            loop(pair(row, keys), var, base, test, lazy=True),
            literal(tuple(descending for _, descending in node.order)),
        )
    else:
        made = base if test is None else loop(row, var, base, test)
    if node.limit is not None and not limited:
        made = call("take", made, _limit(node.limit, scope))
    return made


def _where(node: ir.Query, inner: Scope) -> ast.expr | None:
    return None if node.where is None else condition(node.where, replace(inner, query=True))


def _limit(node: ir.Expr | None, scope: Scope) -> ast.expr:
    match node:
        case None:
            return literal(None)
        case ir.Const(int() as count) if not isinstance(count, bool) and count >= 0:
            return literal(count)
    return call("limit", expression(node, scope))


def _conditions(node: ir.Query, scope: Scope) -> tuple[ast.expr, ast.expr]:
    equals = map_of([(name, expression(value, scope)) for name, value in node.equals])
    ranges = [pair(literal(n), literal(o), expression(v, scope)) for n, o, v in node.ranges]
    return equals, list_of(ranges)


def _base(
    node: ir.Query,
    scope: Scope,
    order: tuple[tuple[str, bool], ...],
    limited: bool,
    limit: ast.expr | None = None,
) -> ast.expr:
    """The rows or items that a query begins with."""
    equals, ranges = _conditions(node, scope)
    if node.source is None:
        assert node.entity is not None, node
        count = limit or (_limit(node.limit, scope) if limited else literal(None))
        return ask("rows", literal(node.entity), equals, ranges, literal(order), count)
    made = call("items", CTX, expression(node.source, scope))
    if node.entity is not None:
        made = call("rows_at", CTX, literal(node.entity), made)
    if node.equals or node.ranges:
        made = call("narrowed", made, equals, ranges)
    return made


def _first_of(node: ir.FirstOf, scope: Scope) -> ast.expr:
    query = node.query
    order, limited = pushed(query)
    if query.limit is not None or (query.order and not order):
        return call("first", _query(query, scope))
    base = _base(query, scope, order, limited, literal(1) if limited else None)
    test = _where(query, scope.bind(query.var, query.entity is not None))
    return call("first", loop(_selected(query, scope), mangled(query.var), base, test, lazy=True))


def _aggregate(node: ir.Aggregate, scope: Scope) -> ast.expr:
    if node.op == "count":
        if node.query.select is None:
            if counted(node.query):
                conditions = _conditions(node.query, scope)
                return ask("count_rows", literal(node.query.entity), *conditions)
            return call("count", _kept(node.query, scope), literal(False))
        return call("count", _query(node.query, scope), literal(True))
    values = _query(node.query, scope)
    if node.op == "sum":
        return call("total", values, expression(node.zero, scope))
    return call({"avg": "average", "min": "least", "max": "greatest"}[node.op], values)


def _group_by(node: ir.GroupBy, scope: Scope) -> ast.expr:
    query = node.query
    inner = scope.bind(query.var, query.entity is not None)
    keys = pair(*(expression(key, inner) for _, key in node.by))
    value = expression(node.value, inner) if node.value is not None else literal(True)
    made = call(
        "grouped",
        loop(pair(keys, value), mangled(query.var), _kept(query, scope), None),
        literal(tuple(name for name, _ in node.by)),
        literal(node.op),
        literal(node.field),
        expression(node.zero, scope),
    )
    if node.order:
        row = scope.bind(node.order_var, True)
        order = pair(*(expression(key, row) for key, _ in node.order))
        var = mangled(node.order_var)
        flags = literal(tuple(descending for _, descending in node.order))
        made = call("sort", loop(pair(load(var), order), var, made, None), flags)
    if node.limit is not None:
        made = call("take", made, _limit(node.limit, scope))
    return made


def _list_for(node: ir.ListFor, scope: Scope) -> ast.expr:
    source = call("items", CTX, expression(node.source, scope))
    value = expression(node.value, scope.bind(node.variable))
    return loop(value, mangled(node.variable), source, None)


_EXPRESSIONS: dict[type, Callable[[Any, Scope], ast.expr]] = {
    ir.Const: _const,
    ir.Local: _local,
    ir.Global: _global,
    ir.Special: _special,
    ir.Get: _get,
    ir.EntityGet: _entity_get,
    ir.PlanGet: _plan_get,
    ir.Find: _find,
    ir.Item: _item,
    ir.CallFn: _call_fn,
    ir.Builtin: _builtin,
    ir.ListExpr: _list,
    ir.MapExpr: _map,
    ir.UnaryExpr: _unary,
    ir.BinaryExpr: _binary,
    ir.IfElse: _if_else,
    ir.MatchValue: _match_value,
    ir.Query: _query,
    ir.FirstOf: _first_of,
    ir.Aggregate: _aggregate,
    ir.GroupBy: _group_by,
    ir.ListFor: _list_for,
    ir.Edge: _edge,
    ir.TextExpr: _text,
}
