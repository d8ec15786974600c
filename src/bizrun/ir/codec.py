"""Nodes as canonical JSON, and their hashes: how a handler is stored for work that waits."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from typing import Any

import msgspec

from ..lossless import from_json, to_json
from . import nodes


@cache
def _classes() -> dict[str, type]:
    return {kind.__name__: kind for kind in nodes.Node.__subclasses__()}


def encode(node: Any, places: bool = True) -> Any:
    """A node as JSON, without the places where it is for a hash."""
    if isinstance(node, tuple):
        return [encode(item, places) for item in node]
    if node is None or isinstance(node, str | bool | int):
        return node
    if isinstance(node, nodes.Const):
        return {"k": "Const", "value": to_json(node.value)}
    if isinstance(node, nodes.Place):
        return [node.file, node.line, node.column] if places else 0
    data: dict[str, Any] = {"k": type(node).__name__}
    for name in node.__struct_fields__:
        data[name] = encode(getattr(node, name), places)
    return data


def decode(data: Any) -> Any:
    """The inverse of `encode`."""
    if isinstance(data, list):
        return tuple(decode(item) for item in data)
    if not isinstance(data, dict):
        return data
    kind = data["k"]
    if kind == "Const":
        return nodes.Const(from_json(data["value"]))
    values = {
        name: nodes.Place(*value) if name == "place" else decode(value)
        for name, value in data.items()
        if name != "k"
    }
    return _classes()[kind](**values)


def canonical(node: Any) -> bytes:
    """The canonical JSON of a node, without places: what is the same means the same."""
    return msgspec.json.encode(encode(node, places=False), order="sorted")


def digest(node: Any) -> str:
    """The hash of a node: 32 hex digits of SHA-256 over its canonical JSON."""
    return sha256(canonical(node)).hexdigest()[:32]


def stored_digest(data: Any) -> str:
    """The hash of a node as it was stored, whatever its class is like today."""
    return sha256(msgspec.json.encode(_placeless(data), order="sorted")).hexdigest()[:32]


def _placeless(data: Any) -> Any:
    match data:
        case list():
            return [_placeless(item) for item in data]
        case {"k": "Const"}:
            return data
        case dict():
            return {n: 0 if n == "place" else _placeless(value) for n, value in data.items()}
    return data
