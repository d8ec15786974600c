"""A declaration in other names: of entities and the events that bear theirs, and of meters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from msgspec.structs import replace

from . import ast

N = TypeVar("N", bound=ast.Node)

# The fields that hold a name by itself, by the class of the node.
_NAMES: dict[type[ast.Node], str] = {
    ast.TypeName: "name",
    ast.Name: "name",
    ast.Create: "entity",
    ast.Upsert: "entity",
    ast.Trigger: "entity",
    ast.Lifecycle: "entity",
    ast.Entity: "name",
    ast.UsagePrice: "meter",
    ast.Includes: "meter",
}
# Those that hold an event's type, whose first word may be such a name.
_EVENTS: dict[type[ast.Node], str] = {
    ast.Trigger: "event",
    ast.EventDecl: "name",
    ast.Emit: "event",
    ast.ExpectEffect: "event",
}
_LISTS: dict[type[ast.Node], str] = {
    ast.EventPattern: "types",
    ast.Meter: "events",
    ast.Coupon: "only",
}


def renamed(node: N, names: Mapping[str, str]) -> N:
    """The node with each name that stands in `names` as that says; itself where none does."""
    changed: dict[str, Any] = {}
    for name in node.__struct_fields__:
        if name == "span":
            continue
        value = getattr(node, name)
        new = _value(value, names)
        if new is not value:
            changed[name] = new
    kind = type(node)
    if kind in _NAMES:
        written = getattr(node, _NAMES[kind])
        if names.get(written, written) != written:
            changed[_NAMES[kind]] = names[written]
    if kind in _EVENTS:
        written = getattr(node, _EVENTS[kind])
        if written is not None and _event(written, names) != written:
            changed[_EVENTS[kind]] = _event(written, names)
    if kind in _LISTS:
        types = getattr(node, _LISTS[kind])
        new = tuple((_event(type_, names), span) for type_, span in types)
        if new != types:
            changed[_LISTS[kind]] = new
    return replace(node, **changed) if changed else node


def _event(type_: str, names: Mapping[str, str]) -> str:
    noun, dot, verb = type_.partition(".")
    return names.get(noun, noun) + dot + verb


def _value(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, ast.Node):
        return renamed(value, names)
    if isinstance(value, tuple) and any(isinstance(item, ast.Node) for item in value):
        new = tuple(_value(item, names) for item in value)
        return new if any(a is not b for a, b in zip(new, value, strict=True)) else value
    return value
