"""JSON schemas of the shapes that a spec declares: what an AI answer has to look like."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..lang import ast
from ..lang.symbols import Symbols
from ..lang.types import (
    PRIMITIVES,
    Choice,
    EntityType,
    ListOf,
    MapOf,
    Maybe,
    Prim,
    Record,
    Type,
    type_named,
)

_PRIMS: dict[str, dict[str, Any]] = {
    "text": {"type": "string"},
    "number": {"type": "number"},
    "integer": {"type": "integer"},
    "size": {"type": "integer"},
    "bool": {"type": "boolean"},
    "money": {"type": "string", "format": "money"},
    "percent": {"type": "string", "format": "percent"},
    "duration": {"type": "string", "format": "duration"},
    "time": {"type": "string", "format": "date-time"},
    "date": {"type": "string", "format": "date"},
}


def json_schema(type_: Type, symbols: Symbols) -> dict[str, Any]:
    """The JSON schema of a type; a reference is its key."""
    match type_:
        case Maybe(inner):
            return {"anyOf": [json_schema(inner, symbols), {"type": "null"}]}
        case Prim(name):
            if name == "plan":
                return {"type": "string", "enum": sorted(symbols.plans)}
            return dict(_PRIMS.get(name, {}))
        case Choice(values):
            return {"type": "string", "enum": list(values)}
        case EntityType():
            return {"type": "string"}
        case ListOf(item):
            return {"type": "array", "items": json_schema(item, symbols)}
        case MapOf(value):
            return {"type": "object", "additionalProperties": json_schema(value, symbols)}
        case Record(fields=fields):
            return {
                "type": "object",
                "properties": {name: json_schema(t, symbols) for name, t in fields},
                "required": [name for name, t in fields if not isinstance(t, Maybe)],
                "additionalProperties": False,
            }
    return {}


def described(node: ast.Expr, symbols: Symbols) -> dict[str, Any] | None:
    """The JSON Schema that an expression stands for by itself: the name of a type, or a text that
    names one, a choice of texts, or a text that says what a text should be; None for any other."""
    match node:
        case ast.Name(name=name) if name in symbols.shapes:
            return json_schema(symbols.shapes[name], symbols)
        case ast.Name(name=name) if name in PRIMITIVES:
            return json_schema(PRIMITIVES[name], symbols)
        case ast.Name(name=name) if name in symbols.entities:
            return json_schema(EntityType(name), symbols)
        case ast.Literal(type="bool"):
            return json_schema(PRIMITIVES["bool"], symbols)
        case ast.Text(plain=str(text)):
            type_ = type_named(text)
            if type_ is None:
                return {"type": "string", "description": text}
            return json_schema(type_, symbols)
        case ast.ListLiteral(items=(ast.Text(plain=str(text)),)) if type_named(text):
            return {"type": "array", "items": described(node.items[0], symbols)}
        case ast.ListLiteral(items=items) if items:
            texts = [item.plain for item in items if isinstance(item, ast.Text)]
            if len(texts) == len(items) and None not in texts:
                return {"type": "string", "enum": texts}
    return None


def required(entries: Sequence[ast.Entry]) -> list[str]:
    """The fields of a schema by example that can't be left out."""
    return [e.name for e in entries if not _optional(e.value)]


def _optional(node: ast.Expr) -> bool:
    text = node.plain if isinstance(node, ast.Text) else None
    return text is not None and isinstance(type_named(text), Maybe)
