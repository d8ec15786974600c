"""Expressions that are known before anything runs: amounts of a plan, settings, delays."""

from __future__ import annotations

from typing import Any

from ..lang import ast
from ..lang.symbols import Symbols
from ..values import UNLIMITED
from . import nodes as ir


def constant(node: ast.Expr | None, symbols: Symbols) -> Any:
    """The value of literals, constants, lists, maps and arithmetic over them; names as text."""
    match node:
        case None:
            return None
        case ast.Literal(type=kind, value=value):
            return UNLIMITED if kind == "unlimited" else value
        case ast.Text():
            return node.plain if node.plain is not None else ""
        case ast.Name(name=name):
            if name in symbols.consts:
                return constant(symbols.consts[name].value, symbols)
            return name
        case ast.ListLiteral(items=items):
            return [constant(item, symbols) for item in items]
        case ast.MapLiteral(entries=entries):
            return {
                entry.name: constant(entry.value, symbols)
                for entry in entries
                if isinstance(entry, ast.Entry)
            }
        case ast.Unary(op="-", operand=operand):
            return -constant(operand, symbols)
        case ast.Binary(op=op, left=left, right=right):
            from .interpret import evaluate

            operands = ir.Const(constant(left, symbols)), ir.Const(constant(right, symbols))
            return evaluate(ir.BinaryExpr(op, *operands, "any"), None, {})
        case ast.Call(callee=callee, args=args):
            return _call(callee, tuple(constant(arg, symbols) for arg in args))
    return None


def _call(callee: ast.Expr, args: tuple[Any, ...]) -> dict[str, Any]:
    """`env("KEY")`, `bearer(…)`: kept as a map until an effect is sent."""
    name = callee.name if isinstance(callee, ast.Name | ast.Field) else ""
    return {"call": name, "args": list(args)}
