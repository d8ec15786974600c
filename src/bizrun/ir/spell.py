"""An expression of the IR as an author would write it: for people who ask why."""

from __future__ import annotations

from ..values import literal, quoted
from . import nodes as ir

_LOOSE = ("or", "and", "==", "!=", "<", "<=", ">", ">=", "in", "not in", "can", "??", "..")
_TIGHT = ("+", "-", "*", "/", "of")
_STRENGTH = {op: n for n, op in enumerate((*_LOOSE, *_TIGHT))}
_BARE = ("usage", "limit", "remaining", "variant")


def spell(node: ir.Expr | str) -> str:
    """The text of an expression; the condition of a query is left to `…`."""
    match node:
        case ir.Const(value):
            return literal(value)
        case ir.Local(name) | ir.Global(name) | ir.Special(name):
            return name
        case ir.Get() | ir.EntityGet() | ir.PlanGet():
            return f"{_atom(node.base)}{'?.' if node.optional else '.'}{node.name}"
        case ir.Find(entity, key):
            return f"{entity}({spell(key)})"
        case ir.Item(base, index):
            return f"{_atom(base)}[{spell(index)}]"
        case ir.CallFn(name, args):
            return f"{name}({', '.join(map(spell, args))})"
        case ir.Builtin("midnight" | "day_end", (day,)):
            return spell(day)
        case ir.Builtin("part", (whole, ir.Const(name))):
            return f"{_atom(whole)}.{name}"
        case ir.Builtin(name, args):
            name = name.removesuffix("_of_plan")
            return f"{name}({', '.join(_argument(name, n, arg) for n, arg in enumerate(args))})"
        case ir.UnaryExpr(op, operand):
            return f"not {_atom(operand)}" if op == "not" else f"{op}{_atom(operand)}"
        case ir.BinaryExpr(op, left, right):
            dots = op == ".."
            return f"{_side(left, op)}{op if dots else f' {op} '}{_side(right, op)}"
        case ir.IfElse(test, then, otherwise):
            return f"if {spell(test)} then {spell(then)} else {spell(otherwise)}"
        case ir.ListExpr(items):
            return f"[{', '.join(map(spell, items))}]"
        case ir.Edge(edge, unit):
            return f"{edge} of {unit}"
    return _collected(node)


def _collected(node: ir.Expr | str) -> str:
    match node:
        case ir.Query(entity, source, where=where, equals=equals, ranges=ranges):
            named = entity or (spell(source) if source is not None else "…")
            return f"{named} where …" if where or equals or ranges else named
        case ir.FirstOf(query):
            return f"first {spell(query)}"
        case ir.Aggregate(op, query):
            return f"{op}({spell(query)})"
        case ir.MatchValue(subject):
            return f"match {spell(subject)} {{ … }}"
        case ir.TextExpr(parts):
            return f'"{"".join(map(_said, parts))}"'
    return "…"


def _said(part: str | ir.Piece) -> str:
    return quoted(part)[1:-1] if isinstance(part, str) else f"{{{spell(part.value)}}}"


def _argument(name: str, place: int, arg: ir.Expr) -> str:
    """Names of meters and limits stand bare."""
    if name in _BARE and place == 1 and isinstance(arg, ir.Const) and isinstance(arg.value, str):
        return arg.value
    return spell(arg)


def _atom(node: ir.Expr) -> str:
    loose = isinstance(node, ir.BinaryExpr | ir.IfElse | ir.UnaryExpr)
    return f"({spell(node)})" if loose else spell(node)


def _side(node: ir.Expr, op: str) -> str:
    if isinstance(node, ir.BinaryExpr):
        looser = _STRENGTH.get(node.op, 0) < _STRENGTH.get(op, 0)
        return f"({spell(node)})" if looser else spell(node)
    return f"({spell(node)})" if isinstance(node, ir.IfElse) else spell(node)


def parts(node: ir.Expr) -> list[ir.Expr]:
    """The parts of a condition whose values tell why it holds or not, without constants."""
    match node:
        case ir.BinaryExpr(left=left, right=right):
            return _once([*parts(left), *parts(right)])
        case ir.UnaryExpr(operand=operand):
            return parts(operand)
        case ir.IfElse(condition=test, then=then, otherwise=otherwise):
            return _once([*parts(test), *parts(then), *parts(otherwise)])
        case ir.Const() | ir.ListExpr():
            return []
        case ir.Get(base=ir.Query() | ir.FirstOf() | ir.CallFn() as base):
            return [base, node]
        case ir.Global():
            return [node]
        case ir.Builtin(args=args) | ir.CallFn(args=args):
            inner = [part for arg in args if not isinstance(arg, ir.Local) for part in parts(arg)]
            return _once([node, *inner])
    return [node]


def _once(nodes: list[ir.Expr]) -> list[ir.Expr]:
    found: list[ir.Expr] = []
    for node in nodes:
        if node not in found:
            found.append(node)
    return found
