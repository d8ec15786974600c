"""Every node below a node, in the order of the file."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, get_args

from . import ast

# Fields that never hold nodes: looking into them would only cost time.
_PLAIN = {"span", "name", "name_span", "doc", "op", "op_span"}
_EXPRESSIONS = frozenset(get_args(ast.Expr)) - {ast.Bad}


@cache
def _fields(kind: type[ast.Node]) -> tuple[str, ...]:
    """The fields of a class that may hold nodes, the last one first."""
    return tuple(name for name in reversed(kind.__struct_fields__) if name not in _PLAIN)


def children(node: ast.Node) -> Iterator[ast.Node]:
    """The nodes directly below a node."""
    below: list[ast.Node] = []
    _push(node, below, frozenset())
    return reversed(below)


def walk(node: ast.Node) -> Iterator[ast.Node]:
    """A node and everything below it, parents first."""
    return _walk(node, frozenset())


def walk_code(node: ast.Node) -> Iterator[ast.Node]:
    """A node and what is below it, without expressions: statements, actions, event patterns."""
    return _walk(node, _EXPRESSIONS)


def _walk(node: ast.Node, without: frozenset[type]) -> Iterator[ast.Node]:
    waiting = [node]
    while waiting:
        current = waiting.pop()
        yield current
        _push(current, waiting, without)


def _push(node: ast.Node, waiting: list[ast.Node], without: frozenset[type]) -> None:
    """Puts the nodes below a node onto a stack, the last one first."""
    for name in _fields(type(node)):
        value: Any = getattr(node, name)
        if isinstance(value, tuple):
            for item in reversed(value):
                if isinstance(item, ast.Node) and type(item) not in without:
                    waiting.append(item)
        elif isinstance(value, ast.Node) and type(value) not in without:
            waiting.append(value)
