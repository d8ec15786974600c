"""The JSON Schema (2020-12) of the YAML form, for editors: made of the same table that reads it."""

from __future__ import annotations

import json
from typing import Any

from .forms import (
    ARROW,
    CASE,
    DOC,
    FIELD,
    NESTED,
    PHASE,
    PRICE,
    PRICING,
    SECTIONS,
    STATEMENTS,
    VERSION,
    Form,
    Section,
)

Schema = dict[str, Any]

_SCALAR: Schema = {"type": ["string", "number", "boolean"]}
_ANY: Schema = {}
_EXPR: Schema = {"$ref": "#/$defs/expression"}
_MAP: Schema = {"$ref": "#/$defs/map"}
_WORDS: Schema = {"anyOf": [_SCALAR, {"type": "array", "items": _SCALAR}]}

# The shape of each kind of value (see `forms`).
_KINDS: dict[str, Schema] = {
    "text": _SCALAR,
    "open text": _SCALAR,
    "words": _SCALAR,
    "bounds": _WORDS,
    "flag": _ANY,
    "expr": _EXPR,
    "expr?": {"anyOf": [_EXPR, {"type": "null"}]},
    "map": _MAP,
    "names": _WORDS,
    "texts": _WORDS,
    "parts": _WORDS,
    "patterns": _WORDS,
    "indexes": {"anyOf": [_SCALAR, {"type": "array"}]},
    "body": {"$ref": "#/$defs/statements"},
    "match cases": {"type": "array", "items": {"$ref": "#/$defs/case"}},
    "fields": {"$ref": "#/$defs/fields"},
    "field": {"$ref": "#/$defs/field"},
    "params": {"anyOf": [_SCALAR, {"type": "object", "additionalProperties": _SCALAR}]},
    "values": {"type": "object", "additionalProperties": _SCALAR},
    "arrows": {"type": "array", "items": {"anyOf": [_SCALAR, {"$ref": "#/$defs/arrow"}]}},
    "tiers": {"type": "object", "additionalProperties": _SCALAR},
    "cases": {"type": "object", "additionalProperties": {"$ref": "#/$defs/pricing"}},
    "package": _SCALAR,
    "prices": {"$ref": "#/$defs/prices"},
    "usage": {
        "anyOf": [
            _SCALAR,
            {"type": "array"},
            {"type": "object", "additionalProperties": {"$ref": "#/$defs/pricing"}},
        ]
    },
    "includes": {"anyOf": [_WORDS, {"type": "object", "additionalProperties": _SCALAR}]},
    "phases": {"type": "array", "items": {"$ref": "#/$defs/phase"}},
    "versions": {"type": "array", "items": {"$ref": "#/$defs/version"}},
    "setting": _EXPR,
    "clause": _EXPR,
    "action": {"anyOf": [_MAP, _SCALAR, {"type": "null"}]},
}


def schema_text() -> str:
    """The schema as a JSON file."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def schema() -> Schema:
    """The schema of a whole file."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A business in the YAML form of .biz",
        "type": "object",
        "additionalProperties": False,
        "properties": {section.name: _section(section) for section in SECTIONS},
        "$defs": _definitions(),
    }


def _definitions() -> Schema:
    return {
        "expression": {
            "description": "An expression of the grammar; a list or mapping is `[…]` or `{…}`.",
            "anyOf": [_SCALAR, {"type": "array", "items": _EXPR}, _MAP],
        },
        "map": {
            "description": "`name: expression`; without a value the name stands for itself, "
            "`...name:` spreads.",
            "type": "object",
            "additionalProperties": {"anyOf": [_EXPR, {"type": "null"}]},
        },
        "field": {"anyOf": [_SCALAR, _object(FIELD)]},
        "fields": {"type": "object", "additionalProperties": {"$ref": "#/$defs/field"}},
        "arrow": _object(ARROW),
        "case": _object(CASE),
        "pricing": {"anyOf": [_SCALAR, _object(PRICING)]},
        "price": {"anyOf": [_SCALAR, _object(PRICE)]},
        "prices": {
            "anyOf": [
                {"$ref": "#/$defs/price"},
                {"type": "array", "items": {"$ref": "#/$defs/price"}},
            ]
        },
        "phase": _object(PHASE),
        "version": _object(VERSION),
        "statement": {"anyOf": _statements()},
        "statements": {
            "anyOf": [
                {"type": "array", "items": {"$ref": "#/$defs/statement"}},
                {"$ref": "#/$defs/statement"},
                {"type": "null"},
            ]
        },
    }


def _statements() -> list[Schema]:
    line = {"type": "string", "description": "A statement of the grammar on one line."}
    action = {
        "type": "object",
        "description": "An action: its name, then its fields.",
        "minProperties": 1,
        "propertyNames": {"not": {"enum": [word for word in STATEMENTS if word != "let"]}},
    }
    forms = [
        {**_object(form), "required": [word, *form.needs]} for word, form in STATEMENTS.items()
    ]
    return [line, *forms, action]


def _object(form: Form) -> Schema:
    found: Schema = {
        "type": "object",
        "properties": {DOC: _SCALAR, **{key: _KINDS[kind] for key, kind in form.keys.items()}},
        "additionalProperties": _KINDS[form.open] if form.open else False,
    }
    return {**found, "required": list(form.needs)} if form.needs else found


def _section(section: Section) -> Schema:
    described = {"description": section.doc} if section.doc else {}
    if section.name == "use":
        bound = {"type": "object", "additionalProperties": _WORDS}
        one = {"anyOf": [_SCALAR, bound]}
        return {**described, "anyOf": [_SCALAR, {"type": "array", "items": one}]}
    if section.name in NESTED:
        names = [s.name for s in SECTIONS if s.name not in ("use", *NESTED)]
        sections = {name: {"$ref": f"#/properties/{name}"} for name in names}
        inner = {"type": "object", "additionalProperties": False, "properties": sections}
        file = inner if section.name == "override" else False
        return {**described, **inner, "additionalProperties": file}
    if section.name == "business" and section.form:
        return {**described, **_object(section.form)}
    if section.form is None:
        line = {"anyOf": [_EXPR, {"type": "null"}]}
        return {**described, "type": "object", "additionalProperties": line}
    declaration: Schema = {"anyOf": [_object(section.form), _SCALAR, {"type": "null"}]}
    if not section.head:
        return {**described, "type": "object", "additionalProperties": declaration}
    # As a list, or under its head as a mapping, whose values may be statements alone.
    form = Form(section.form.keys, tuple(k for k in section.form.needs if k != section.head))
    under = {"anyOf": [_object(form), {"$ref": "#/$defs/statements"}]}
    return {
        **described,
        "anyOf": [
            {"type": "array", "items": _object(section.form)},
            {"type": "object", "additionalProperties": under},
        ],
    }
