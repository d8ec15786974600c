"""What a text needs to know of its values' types: a size is held in bytes, printed as `10 GB`."""

from __future__ import annotations

from ..lang.types import ListOf, Prim, Type, known
from . import nodes as ir


def printed_as(type_: Type) -> str | None:
    """The type by which a value prints, or a list's items, where the value alone doesn't tell."""
    match known(type_):
        case Prim("size"):
            return "size"
        case ListOf(item):
            return printed_as(item)
    return None


def as_text(name: str, args: tuple[ir.Expr, ...], type_: Type) -> ir.Expr:
    """`text(x)` and `join(list, by)`, where the first argument is of that type."""
    unit = printed_as(type_)
    if unit is None:
        return ir.Builtin(name, args)
    if name == "text":
        return ir.TextExpr((ir.Piece(args[0], None, unit),))
    item = ir.TextExpr((ir.Piece(ir.Local("_item"), None, unit),))
    return ir.Builtin(name, (ir.ListFor("_item", args[0], item), *args[1:]))
