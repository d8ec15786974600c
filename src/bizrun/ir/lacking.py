"""What the code of an earlier version of a spec speaks of that the spec no longer has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from . import nodes as ir
from .compile import walk
from .program import Program

_EVERY = ("created_at", "updated_at")


def lacking(unit: ir.Unit, program: Program) -> list[str]:
    """The entities (`Order`) and fields (`Order.note`) that a unit reads or writes in vain."""
    found = []
    for entity, field in sorted(set(_spoken_of(unit))):
        schema = program.entities.get(entity)
        if schema is None:
            found.append(entity)
        elif field and field not in schema.fields and field not in _EVERY:
            found.append(f"{entity}.{field}")
    return list(dict.fromkeys(found))


def _spoken_of(unit: ir.Unit) -> Iterator[tuple[str, str]]:
    """Each entity with each field of it, and by itself as `("Order", "")`."""
    for node in walk((unit.handler, unit.functions, unit.constants)):
        match node:
            case ir.EntityGet(entity=entity, name=name):
                yield entity, name
            case ir.Query(entity=str(entity)):
                yield entity, ""
                yield from ((entity, name) for name, _ in node.equals)
                yield from ((entity, bound[0]) for bound in node.ranges)
                yield from ((entity, name) for name in _of_row(node, node.var))
            case ir.CreateStep(entity=entity) | ir.UpdateStep(entity=entity):
                yield entity, ""
                pairs = [e for e in node.data.entries if isinstance(e, ir.Pair)]
                yield from ((entity, pair.name) for pair in pairs)
                if isinstance(node, ir.UpdateStep):
                    yield from ((entity, name) for name in _of_row(node.data, node.var))
            case ir.DeleteStep(entity=entity) | ir.Find(entity=entity):
                yield entity, ""
            case ir.MemberStep(entity=entity, field=field):
                yield entity, field


def _of_row(node: Any, var: str) -> Iterator[str]:
    """The fields that are read of a row by its name."""
    for inner in walk(node):
        if isinstance(inner, ir.Get) and inner.base == ir.Local(var):
            yield inner.name
