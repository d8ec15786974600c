"""What a store does of a query by itself, without its rows being read."""

from __future__ import annotations

from . import nodes as ir


def pushed(node: ir.Query) -> tuple[tuple[tuple[str, bool], ...], bool]:
    """The order that a store takes, and whether it takes the limit too."""
    stored = node.entity is not None and node.source is None
    order = tuple(
        (key.name, descending)
        for key, descending in node.order
        if isinstance(key, ir.Get) and key.base == ir.Local(node.var)
    )
    if not stored or len(order) < len(node.order):
        return (), stored and node.where is None and not node.order
    return order, node.where is None


def counted(node: ir.Query) -> bool:
    """Whether a store can say how many rows a query has, without reading them."""
    stored = node.entity is not None and node.source is None
    return stored and node.where is None and node.limit is None
