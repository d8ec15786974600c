"""JSON schemas of the shapes that a spec declares: what an AI answer has to look like."""

from __future__ import annotations

from typing import Any

from ..lang.symbols import Symbols
from ..lang.types import Choice, EntityType, ListOf, MapOf, Maybe, Prim, Record, Type

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
