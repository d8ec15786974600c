"""`invoice.lines`: what belongs to a row of billing, as the query that it is."""

from __future__ import annotations

from ..lang.symbols import Collection
from . import nodes as ir


def collection(held: Collection, owner: ir.Expr, base: ir.Expr, optional: bool) -> ir.Expr:
    """The rows that refer to an owner, in their order; none of an optional one that is none.

    `owner` is the owner's key, `base` the reference that is read.
    """
    row = ir.Local("_row_of")
    order = ((ir.Get(row, held.order), False),)
    found = ir.Query(held.entity, None, row.name, ((held.by, owner),), order=order)
    if not optional:
        return found
    return ir.IfElse(ir.BinaryExpr("==", base, ir.Const(None)), ir.Const(None), found)
