"""What an AI answer has to look like: the schema of an action as JSON Schema, and its check.

A schema comes as JSON Schema (of a `type` in the spec), or by example: names of types in maps and
lists, as the language writes them (`{ mood: "text", tags: ["text"], level: ["low", "high"] }`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from ..errors import BizError
from ..values import Duration, Money, Percent, check_number, instant, money

MAX_DEPTH = 20
MAX_ITEMS = 10_000
MAX_TEXT = 1_000_000

PRIMITIVES: dict[str, dict[str, Any]] = {
    "text": {"type": "string"},
    "string": {"type": "string"},
    "number": {"type": "number"},
    "integer": {"type": "integer"},
    "size": {"type": "integer"},
    "bool": {"type": "boolean"},
    "boolean": {"type": "boolean"},
    "money": {"type": "string", "format": "money"},
    "percent": {"type": "string", "format": "percent"},
    "duration": {"type": "string", "format": "duration"},
    "time": {"type": "string", "format": "date-time"},
    "date": {"type": "string", "format": "date"},
    "plan": {"type": "string"},
    "coupon": {"type": "string"},
    "json": {},
    "object": {"type": "object"},
}
_WORDS = {"enum", "const", "anyOf", "oneOf", "properties", "items", "additionalProperties",
          "required", "default", "$defs"}  # fmt: skip
_JSON_TYPES = {"string", "number", "integer", "boolean", "object", "array", "null"}
# What a model is told of texts that stand for other values.
_FORMATS = {
    "money": "an amount and its ISO 4217 currency, such as 29.00 USD",
    "percent": "a percentage, such as 2.9%",
    "duration": "an ISO 8601 duration, such as P14D",
    "date-time": "an instant by RFC 3339, such as 2026-01-31T09:00:00Z",
    "date": "a date, such as 2026-01-31",
}


class Unfit(BizError):
    """An answer does not fit its schema; the sentence says where."""


# --- one form of schemas -------------------------------------------------------------------------


def json_schema(schema: Any, depth: int = 0) -> dict[str, Any]:
    """A schema in either notation as JSON Schema."""
    if depth > MAX_DEPTH:
        raise Unfit("the schema is nested too deep")
    match schema:
        case None:
            return {"type": "string"}
        case str():
            return _by_name(schema)
        case [str() as first, *rest] if rest or first not in PRIMITIVES:
            return {"type": "string", "enum": [str(item) for item in schema]}
        case [item]:
            return {"type": "array", "items": json_schema(item, depth + 1)}
        case {"type": str(name)} if len(schema) == 1 and name not in _JSON_TYPES:
            return _by_name(name)
        case Mapping() if _is_json_schema(schema):
            return _told(schema)
        case Mapping():
            return {
                "type": "object",
                "properties": {k: json_schema(v, depth + 1) for k, v in schema.items()},
                "required": [k for k, v in schema.items() if not _optional(v)],
                "additionalProperties": False,
            }
    raise Unfit("a schema is a type's name, a list of texts, or a map of such")


def _by_name(name: str) -> dict[str, Any]:
    """`text`, `number?`, `[money]`, `low | high`."""
    name = name.strip()
    if name.endswith("?"):
        return {"anyOf": [_by_name(name[:-1]), {"type": "null"}]}
    if name.startswith("[") and name.endswith("]"):
        return {"type": "array", "items": _by_name(name[1:-1])}
    if "|" in name:
        return {"type": "string", "enum": [part.strip().strip("\"'") for part in name.split("|")]}
    if name not in PRIMITIVES:
        return {"type": "string", "description": name}
    return _told(PRIMITIVES[name])


def _optional(schema: Any) -> bool:
    return isinstance(schema, str) and schema.strip().endswith("?")


def _is_json_schema(schema: Mapping[str, Any]) -> bool:
    """Whether a map is JSON Schema, rather than fields by example."""
    kind = schema.get("type")
    return bool(_WORDS & set(schema)) or kind in _JSON_TYPES or isinstance(kind, list)


def _told(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON Schema with a word on each text that is no plain one."""
    found = dict(schema)
    told = _FORMATS.get(str(found.get("format")))
    if told is not None:
        found.setdefault("description", told)
    if isinstance(found.get("properties"), Mapping):
        found["properties"] = {k: _told(v) for k, v in found["properties"].items()}
    for name in ("items", "additionalProperties"):
        if isinstance(found.get(name), Mapping):
            found[name] = _told(found[name])
    for name in ("anyOf", "oneOf"):
        if isinstance(found.get(name), list):
            found[name] = [_told(option) for option in found[name]]
    return found


# --- answers ------------------------------------------------------------------------------------


def fit(schema: Mapping[str, Any], value: Any, where: str = "answer", depth: int = 0) -> Any:
    """A JSON value as the values of the language that its schema says; Unfit where it isn't."""
    if depth > MAX_DEPTH:
        raise Unfit(f"{where} is nested too deep")
    options = schema.get("anyOf") or schema.get("oneOf")
    if options:
        return _any_of(options, value, where, depth)
    if "const" in schema and value != schema["const"]:
        raise Unfit(f"{where} must be {schema['const']!r}")
    if "enum" in schema:
        if value not in schema["enum"] or isinstance(value, bool):
            allowed = ", ".join(str(item) for item in schema["enum"])
            raise Unfit(f"{where} must be one of {allowed}")
        return value
    match schema.get("type"):
        case "object":
            return _object(schema, value, where, depth)
        case "array":
            return _array(schema, value, where, depth)
        case "string":
            return _text(schema.get("format"), value, where)
        case "number" | "integer" as kind:
            return _number(schema, kind, value, where)
        case "boolean":
            if not isinstance(value, bool):
                raise Unfit(f"{where} must be true or false")
            return value
        case "null":
            if value is not None:
                raise Unfit(f"{where} must be null")
            return None
    return _free(value, where, depth)


def _any_of(options: list[Any], value: Any, where: str, depth: int) -> Any:
    last = Unfit(f"{where} fits nothing")
    for option in options:
        try:
            return fit(option, value, where, depth + 1)
        except Unfit as error:
            last = last if option.get("type") == "null" else error
    raise last


def _object(schema: Mapping[str, Any], value: Any, where: str, depth: int) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Unfit(f"{where} must be an object")
    properties = schema.get("properties")
    if properties is None:
        more = schema.get("additionalProperties")
        inner = more if isinstance(more, Mapping) else {}
        return {str(k): fit(inner, v, f"{where}.{k}", depth + 1) for k, v in value.items()}
    found: dict[str, Any] = {}
    required = schema.get("required", list(properties))
    for name, part in properties.items():
        if name in value:
            found[name] = fit(part, value[name], f"{where}.{name}", depth + 1)
        elif name in required:
            raise Unfit(f"{where}.{name} is missing")
        else:
            found[name] = None
    return found


def _array(schema: Mapping[str, Any], value: Any, where: str, depth: int) -> list[Any]:
    if not isinstance(value, list) or len(value) > MAX_ITEMS:
        raise Unfit(f"{where} must be a list")
    least, most = schema.get("minItems", 0), schema.get("maxItems", MAX_ITEMS)
    if not least <= len(value) <= most:
        raise Unfit(f"{where} must have {least} to {most} items")
    items = schema.get("items", {})
    return [fit(items, item, f"{where}[{n}]", depth + 1) for n, item in enumerate(value)]


def _number(schema: Mapping[str, Any], kind: str, value: Any, where: str) -> int | Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise Unfit(f"{where} must be a number")
    try:
        # The shortest decimal that reads back as the same float: what the model wrote.
        exact = value if isinstance(value, int) else Decimal(str(value))
        if isinstance(exact, Decimal) and exact == exact.to_integral_value():
            exact = int(exact)
        exact = check_number(exact)
    except (ArithmeticError, BizError, ValueError):
        raise Unfit(f"{where} must be a finite number") from None
    if kind == "integer" and not isinstance(exact, int):
        raise Unfit(f"{where} must be a whole number")
    least, most = schema.get("minimum"), schema.get("maximum")
    if (least is not None and exact < least) or (most is not None and exact > most):
        raise Unfit(f"{where} is out of bounds")
    return exact


def _text(format_: Any, value: Any, where: str) -> Any:
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise Unfit(f"{where} must be a text")
    try:
        match format_:
            case "money":
                return money(value)
            case "percent":
                if not re.fullmatch(r"-?\d{1,18}(\.\d{1,18})?\s*%", value.strip()):
                    raise ValueError
                return Percent.of(Decimal(value.strip().rstrip("% ")))
            case "duration":
                return Duration.from_iso(value)
            case "date-time":
                return instant(value)
            case "date":
                return date.fromisoformat(value)
    except (ValueError, ArithmeticError, BizError):
        raise Unfit(f"{where} must be {_FORMATS[format_]}") from None
    return value


def _free(value: Any, where: str, depth: int) -> Any:
    """Any JSON, its numbers exact."""
    match value:
        case dict():
            return {str(k): _free(fit({}, v, where, depth + 1), where, depth) for k, v in
                    value.items()}  # fmt: skip
        case list():
            return [fit({}, item, where, depth + 1) for item in value]
        case bool() | None | str() | Money():
            return value
        case int() | float() | Decimal():
            return _number({}, "number", value, where)
    return value


def is_object(schema: Mapping[str, Any]) -> bool:
    """Whether answers are objects, which a model can give as they are."""
    return schema.get("type") == "object" and "properties" in schema


def plain_text(schema: Mapping[str, Any]) -> bool:
    """Whether answers are texts without any condition."""
    return schema.get("type") == "string" and not {"enum", "format", "const"} & set(schema)
