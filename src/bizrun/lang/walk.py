"""Every node below a node, in the order of the file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from typing import Any

from . import ast


@cache
def _fields(kind: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind) if field.name not in _PLAIN)


# Fields that never hold nodes: looking into them would only cost time.
_PLAIN = {"span", "name", "name_span", "doc", "op", "op_span", "type_name", "key_span"}


def children(node: ast.Node) -> Iterator[ast.Node]:
    """The nodes directly below a node."""
    for name in _fields(type(node)):  # type: ignore[arg-type]
        value: Any = getattr(node, name)
        if isinstance(value, ast.Node):
            yield value
        elif isinstance(value, tuple):
            for item in value:
                if isinstance(item, ast.Node):
                    yield item


def walk(node: ast.Node) -> Iterator[ast.Node]:
    """A node and everything below it, parents first."""
    waiting = [node]
    while waiting:
        current = waiting.pop()
        yield current
        below = list(children(current))
        below.reverse()
        waiting += below
