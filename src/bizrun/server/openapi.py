"""The OpenAPI 3.1 document of a business: written from its spec, so that it can't lag behind."""

from __future__ import annotations

from typing import Any

from .. import __version__
from ..ir.nodes import Const
from ..ir.program import Api, EventType, Program
from ..ir.schema import json_schema
from ..lang.symbols import Checked
from ..lang.types import TEXT, Maybe
from ..runtime.routes import places
from ..values import plain
from .apis import WITH_BODY

Json = dict[str, Any]

PROBLEM: Json = {
    "type": "object",
    "description": "Why a request is not served (RFC 9457).",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    },
    "required": ["type", "title", "status", "detail"],
}
RESULT: Json = {
    "type": "object",
    "properties": {
        "id": {"type": ["string", "null"]},
        "status": {"enum": ["handled", "duplicate", "rejected"]},
        "reason": {"type": ["string", "null"]},
        "reply": {"description": "What a handler returned."},
    },
    "required": ["id", "status", "reason", "reply"],
}
RESULTS: Json = {
    "type": "object",
    "properties": {"results": {"type": "array", "items": {"$ref": "#/components/schemas/Result"}}},
    "required": ["results"],
}
WHY = {
    400: "The body can't be read, or what it asks for is refused.",
    401: "There is no token, or it is not known.",
    403: "The token does not allow it.",
    404: "There is nothing there.",
    405: "It is not asked for like that.",
    408: "The body did not arrive in time.",
    409: "It is not so that this could be done.",
    413: "The body is too large.",
    415: "The body is of no type that is taken.",
    422: "A parameter is missing, unknown, or does not fit its type.",
    429: "Too many requests a second: Retry-After says how long to wait.",
    503: "Nothing can be committed, or be verified, now: Retry-After says how long to wait.",
}
BODY = (400, 408, 413, 415)
ALWAYS = (401, 403, 405, 429, 503)


def document(checked: Checked, program: Program) -> Json:
    """The document: events as schemas, the spec's routes, the server's own, every refusal."""
    schemas: Json = {"Problem": PROBLEM, "Result": RESULT, "Results": RESULTS}
    kinds = [e for e in program.events.values() if e.declared and e.origin == "author"]
    for kind in kinds:
        schemas[kind.name] = _event(kind, checked)
    refs = [{"$ref": f"#/components/schemas/{kind.name}"} for kind in kinds]
    schemas["Event"] = {"anyOf": [*refs, _any_event([kind.name for kind in kinds])]}
    paths: Json = {**_own_paths()}
    for api in program.apis:
        path = "/" + "/".join(f"{{{n}}}" if is_name else n for n, is_name in places(api))
        if path not in OWN:
            paths.setdefault(path, {})[api.method.lower()] = _route(api, checked)
    return {
        "openapi": "3.1.0",
        "info": {"title": program.title, "version": __version__},
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}],
    }


# --- events ------------------------------------------------------------------------------------


def _event(kind: EventType, checked: Checked) -> Json:
    """The schema of a declared event, as CloudEvents has it."""
    fields = kind.payload.fields
    data: Json = {
        "type": "object",
        "properties": {name: json_schema(type_, checked.symbols) for name, type_ in fields},
        "required": [
            name for name, type_ in fields
            if name not in kind.defaults and not isinstance(type_, Maybe)
        ],
    }  # fmt: skip
    needed = ["id", "type", "data"] if data["required"] else ["id", "type"]
    return _envelope({"const": kind.name}, data, needed)


def _any_event(declared: list[str]) -> Json:
    """An event that the spec does not declare: it is taken, and kept."""
    return _envelope({"type": "string", "not": {"enum": declared}}, {"type": "object"},
                     ["id", "type"])  # fmt: skip


def _envelope(type_: Json, data: Json, needed: list[str]) -> Json:
    return {
        "type": "object",
        "properties": {
            "specversion": {"const": "1.0"},
            "id": {"type": "string", "minLength": 1, "maxLength": 500},
            "source": {"type": "string", "maxLength": 500},
            "type": type_,
            "time": {"type": "string", "format": "date-time"},
            "subject": {"type": "string"},
            "data": data,
        },
        "required": needed,
    }


# --- routes ------------------------------------------------------------------------------------


def _route(api: Api, checked: Checked) -> Json:
    """A route of the spec."""
    method, symbols = api.method.upper(), checked.symbols
    in_path = [name for name, is_name in places(api) if is_name]
    types = {param.name: param.type for param in api.params}
    parameters: list[Json] = [
        {"name": name, "in": "path", "required": True,
         "schema": json_schema(types.get(name, TEXT), symbols)}
        for name in in_path
    ]  # fmt: skip
    rest = [param for param in api.params if param.name not in in_path]
    needed = [p.name for p in rest if p.default is None and not isinstance(p.type, Maybe)]
    schemas: Json = {}
    for param in rest:
        schema = schemas[param.name] = json_schema(param.type, symbols)
        if isinstance(param.default, Const) and param.default.value is not None:
            schema["default"] = plain(param.default.value)
    found: Json = {"summary": f"{method} {api.path}", "parameters": parameters}
    if method in WITH_BODY:
        body = {"type": "object", "properties": schemas, "required": needed,
                "additionalProperties": False}  # fmt: skip
        found["requestBody"] = {
            "required": bool(needed),
            "content": {"application/json": {"schema": body}},
        }
    else:
        parameters += [
            {"name": name, "in": "query", "required": name in needed, "schema": schema}
            for name, schema in schemas.items()
        ]
    refusals = (404, 422, *ALWAYS, *(BODY if method in WITH_BODY else (400,)))
    found["responses"] = _responses("application/json", {}, *refusals)
    return found


def _responses(kind: str, schema: Json, *refusals: int) -> Json:
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    found: Json = {"200": {"description": "Done.", "content": {kind: {"schema": schema}}}}
    for status in sorted(refusals):
        found[str(status)] = {"description": WHY[status], "content": problem}
    return found


# --- the server's own --------------------------------------------------------------------------

OWN = (
    "/events", "/outbox", "/health", "/metrics", "/stream", "/dashboard", "/openapi.json", "/",
    "/webhooks/{name}",
)  # fmt: skip


def _own_paths() -> Json:
    return {
        "/events": {"post": _post_events()},
        "/outbox": {"post": _post_act()},
        "/webhooks/{name}": {"post": _post_webhook()},
        "/health": {"get": _get("Whether all is well.", "application/json", 503, token=False)},
        "/metrics": {"get": _get("Figures for Prometheus.", "text/plain")},
        "/stream": {"get": _get("What happens, as it happens.", "text/event-stream", 400)},
        "/dashboard": {"get": _get("What the dashboard shows.", "application/json")},
        "/openapi.json": {"get": _get("This document.", "application/json")},
        "/": {"get": _get("The dashboard.", "text/html", token=False)},
    }


def _post_events() -> Json:
    event = {"$ref": "#/components/schemas/Event"}
    batch = {"type": "array", "items": event}
    return {
        "summary": "Takes events; answers when they are durable.",
        "requestBody": {
            "required": True,
            "content": {
                "application/cloudevents+json": {"schema": event},
                "application/cloudevents-batch+json": {"schema": batch},
                "application/json": {"schema": {"anyOf": [event, batch]}},
                "application/x-ndjson": {"schema": {"type": "string"}},
            },
        },
        "responses": _responses(
            "application/json", {"$ref": "#/components/schemas/Results"}, *BODY, *ALWAYS
        ),
    }


def _post_act() -> Json:
    text = {"type": "string"}
    act = {
        "type": "object", "required": ["act"], "additionalProperties": False,
        "properties": {
            "act": {"enum": ["stop", "start", "unpark", "retry", "resolve"]},
            "connector": text, "customer": text, "effect": text, "error": text, "reason": text,
            "outcome": {"enum": ["succeeded", "failed"]},
        },
    }  # fmt: skip
    return {
        "summary": "Stops or starts a connector, tries an effect again, or says how it went.",
        "requestBody": {"required": True, "content": {"application/json": {"schema": act}}},
        "responses": _responses("application/json", {"type": "object"}, *BODY, 404, 409, *ALWAYS),
    }


def _post_webhook() -> Json:
    return {
        "summary": "Takes a webhook, by its signature.",
        "security": [],
        "parameters": [
            {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": {}}}},
        "responses": _responses(
            "application/json", {"$ref": "#/components/schemas/Result"}, *BODY, 404, 405, 429, 503
        ),
    }


def _get(summary: str, kind: str, *refusals: int, token: bool = True) -> Json:
    statuses = {405, *refusals, *(ALWAYS if token else ())}
    found: Json = {"summary": summary, "responses": _responses(kind, {}, *statuses)}
    return found if token else {**found, "security": []}
