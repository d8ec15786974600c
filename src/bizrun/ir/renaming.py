"""The code of an earlier version of a spec, with its fields of rows as they are called now.

Work that waits goes on with the version that it began with; rows have what a declaration says today
(`town text was city`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec.structs import replace

from . import nodes as ir
from .program import Program

# By entity: what fields were called before, with what they are called now.
Names = Mapping[str, Mapping[str, str]]


def up_to_date(unit: ir.Unit, program: Program) -> ir.Unit:
    """A unit with the fields of entities under the names that the program has for them."""
    names = {
        entity.name: {was: now for was, now in entity.renamed.items() if was not in entity.fields}
        for entity in program.entities.values()
    }
    held = {name: renamed for name, renamed in names.items() if renamed}
    changed = _renamed(unit, held, {}) if held else unit
    assert isinstance(changed, ir.Unit)
    return changed


def _renamed(node: Any, names: Names, rows: Mapping[str, str]) -> Any:
    """A node and all below it; `rows` are the variables that are rows, with their entities."""
    if isinstance(node, tuple):
        return tuple(_renamed(item, names, rows) for item in node)
    if not isinstance(node, ir.Node) or isinstance(node, ir.Place):
        return node
    match node:
        case ir.Query(entity=str(entity), var=var) | ir.UpdateStep(entity=entity, var=var):
            rows = {**rows, var: entity}
    changes = {
        name: _renamed(value, names, rows)
        for name in node.__struct_fields__
        if isinstance(value := getattr(node, name), tuple | ir.Node)
    }
    return _own(replace(node, **changes) if changes else node, names, rows)


def _own(node: ir.Node, names: Names, rows: Mapping[str, str]) -> ir.Node:
    """A node with the fields that it names itself."""
    match node:
        case ir.EntityGet(entity=entity, name=name) if entity in names:
            return replace(node, name=names[entity].get(name, name))
        case ir.Get(base=ir.Local(variable), name=name) if rows.get(variable) in names:
            return replace(node, name=names[rows[variable]].get(name, name))
        case ir.Query(entity=str(entity)) if entity in names:
            of = names[entity]
            equals = tuple((of.get(name, name), value) for name, value in node.equals)
            ranges = tuple((of.get(bound[0], bound[0]), *bound[1:]) for bound in node.ranges)
            return replace(node, equals=equals, ranges=ranges)
        case ir.CreateStep(entity=entity) | ir.UpdateStep(entity=entity) if entity in names:
            entries = tuple(
                new for entry in node.data.entries for new in _entries(entry, names[entity])
            )
            return replace(node, data=replace(node.data, entries=entries))
        case ir.SpreadExpr(names=tuple(fields), entity=str(entity)) if entity in names:
            return replace(node, names=tuple(names[entity].get(f, f) for f in fields))
        case ir.MemberStep(entity=entity, field=field) if entity in names:
            return replace(node, field=names[entity].get(field, field))
    return node


def _entries(entry: Any, of: Mapping[str, str]) -> Iterator[Any]:
    """What an entry of new values becomes; of what is spread, renamed fields stand apart."""
    match entry:
        case ir.Pair(name=name):
            yield replace(entry, name=of.get(name, name))
        case ir.SpreadExpr(names=tuple(fields), entity=None, value=value):
            yield replace(entry, names=tuple(field for field in fields if field not in of))
            yield from (ir.Pair(of[f], ir.Get(value, f, False, True)) for f in fields if f in of)
        case _:
            yield entry
