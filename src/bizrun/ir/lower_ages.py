"""What is left and right of a comparison with the time since an instant."""

from __future__ import annotations

from . import nodes as ir


def anchored(left: ir.Expr, right: ir.Expr) -> tuple[ir.Expr, ir.Expr]:
    """`age(x)` and `now - x` beside a duration: `now` beside x + duration, in the calendar."""
    start, other = _since(left), _since(right)
    now = ir.Special("now")
    if start is not None and other is None:
        return now, ir.BinaryExpr("+", start, right, "time")
    if other is not None and start is None:
        return ir.BinaryExpr("+", other, left, "time"), now
    return left, right


def _since(node: ir.Expr) -> ir.Expr | None:
    match node:
        case ir.Builtin(name="age", args=(start,)):
            return start
        case ir.BinaryExpr(op="-", left=ir.Special(name="now"), right=start):
            return start
    return None
