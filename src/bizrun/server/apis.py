"""The spec's own routes over HTTP: where a request goes, what it brings, what comes back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from ..diagnostics import an
from ..errors import Absent, Refusal
from ..ir.program import Api, Program
from ..lang.types import ListOf, Prim, Type, known
from ..runtime.lines import flaw, too_deep
from ..runtime.routes import Match, allowed, arguments, begin, caller_entity, matches, run
from .access import Access, Caller
from .bodies import read_body
from .business import Business
from .desk import Desk
from .people import standing
from .problems import Problem, reply
from .writer import Task

MOST_PARAMETERS = 1_000
WITH_BODY = ("POST", "PUT", "PATCH")

_decode = msgspec.json.Decoder(float_hook=Decimal).decode


@dataclass(frozen=True, slots=True)
class Request:
    """A request for a route: texts of the query, and the members of a JSON body."""

    method: str
    path: str
    query: Mapping[str, Sequence[str]]
    body: Mapping[str, Any]


async def call(
    desk: Desk, access: Access, program: Program, scope: Any, headers: Mapping[bytes, bytes],
    receive: Any,
) -> Any:  # fmt: skip
    """The reply of the route that a request is for; a Problem where it is refused."""
    method = "GET" if scope["method"] == "HEAD" else scope["method"]
    path = scope["raw_path"].decode("latin-1")
    match = find(program, method, path)
    caller = access.caller(headers, None, method)
    if caller.session is None:
        caller = access.granted(caller, "read" if method == "GET" else "ingest")
        _admit(program, match, caller)
    body = await _body(receive, headers) if method in WITH_BODY else {}
    request = Request(method, path, _query(scope["query_string"]), body)
    return await desk.ask(lambda key: Task(key, lambda b, now: _run(b, request, caller, now)))


def find(program: Program, method: str, path: str) -> Match:
    """The route of a path; a Problem (404, 405) where there is none."""
    found = matches(program, path)
    if not found:
        raise Problem(404, f"There is nothing at {path[:200]}.")
    for match in found:
        if match.api.method.upper() == method:
            return match
    methods = sorted({match.api.method.upper() for match in found})
    if "GET" in methods:
        methods.append("HEAD")
    allow = ", ".join(methods)
    text = f"{path[:200]} takes {allow}, not {method[:20]}."
    raise Problem(405, text, headers=[(b"allow", allow.encode())])


def _admit(program: Program, match: Match, caller: Caller) -> None:
    free = caller.may("admin") and caller.role is None
    if not free and not allowed(program, match.api, caller.role):
        raise Problem(403, _wanted(program, match.api, caller.role))
    if match.api.caller is not None and caller.customer is None:
        by_header = "say which by the header Bizrun-Customer"
        said = "the token is no customer's (--customer)" if caller.token else by_header
        raise Problem(403, f"Only {an(match.api.caller)} asks this: {said}.")


def _wanted(program: Program, api: Api, role: str | None) -> str:
    """Which role a route takes, by its name or by what it can, and which one the token has."""
    ways = [f"is {way}" if way in program.roles else f"can {way}" for way in api.roles]
    has = f"this one is {role}" if role else "there is none (--role of a token gives one)"
    return f"This needs a role that {' or '.join(ways)}: {has}."


async def _body(receive: Any, headers: Mapping[bytes, bytes]) -> Mapping[str, Any]:
    kind = headers.get(b"content-type", b"application/json").partition(b";")[0].strip().lower()
    body = await read_body(receive, headers)
    if not body.strip():
        return {}
    if kind != b"application/json" and not kind.endswith(b"+json"):
        shown = kind.decode("latin-1")[:60]
        raise Problem(415, f"A body is JSON here, not {shown}: send application/json.")
    if too_deep(body):
        raise Problem(400, "The JSON is nested too deeply.")
    try:
        found = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem(
            400, f"The body is no JSON: {flaw(body.decode(errors='replace'), error)}."
        ) from None
    except (ValueError, ArithmeticError, RecursionError):
        raise Problem(400, "The body has a number that is out of bounds.") from None
    if not isinstance(found, dict):
        raise Problem(400, "The body is a JSON object with the route's parameters.")
    return found


def _query(text: bytes) -> dict[str, list[str]]:
    try:
        pairs = parse_qsl(
            text.decode("latin-1"), keep_blank_values=True, max_num_fields=MOST_PARAMETERS
        )
    except ValueError:
        raise Problem(400, f"A query has at most {MOST_PARAMETERS:,} parameters.") from None
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


def _run(business: Business, request: Request, caller: Caller, now: datetime) -> Any:
    """Calls a route, in the writer's transaction; its reply as JSON has it."""
    engine, program = business.engine, business.program
    match = find(program, request.method, request.path)
    entity = caller_entity(program, match.api)
    tenant: str | None = None
    if caller.session is not None:
        _check_open(match, entity, caller.session.entity)
        found = standing(business, caller.session, entity)
        tenant = found.tenant
        caller = replace(caller, role=found.role, customer=found.customer)
    _admit(program, match, caller)
    if caller.session is None and entity is not None and entity != program.bills:
        _check_meant(business, entity, caller)
    if entity is not None and engine.state.get(entity, str(caller.customer)) is None:
        raise Problem(403, f"There is no {entity} `{caller.customer}`, whose token this is.")
    if engine.clock is not None:
        now = max(now, engine.clock)
    # The call takes this number, if it leaves anything.
    base = f"api-{engine.last_order + 1}"
    work = begin(engine, match.api, caller.customer, base, now, tenant)
    types = {param.name: param.type for param in match.api.params}
    values = {name: _typed(name, [text], types.get(name)) for name, text in match.values.items()}
    try:
        given = {
            name: _typed(name, texts, types.get(name)) for name, texts in request.query.items()
        }
        live = arguments(work, Match(match.api, values), {**given, **request.body})
    except Absent as error:
        raise Problem(404, _sentence(str(error))) from None
    except Refusal as error:
        raise Problem(422, _sentence(str(error))) from None
    receipt = run(work, live)
    if receipt.status == "rejected":
        raise Problem(400, _sentence(receipt.reason or "It was refused"))
    return reply(receipt.reply)


def _check_meant(business: Business, entity: str, caller: Caller) -> None:
    """Keys are often chosen by those who sign up: nobody is taken for somebody else by theirs."""
    bills, key = business.program.bills, caller.customer or ""
    get = business.engine.state.get
    if bills is not None and get(bills, key) is not None and get(entity, key) is not None:
        raise Problem(403, f"`{key}` is a {bills} and a {entity}: a token can't tell which.")


def _check_open(match: Match, entity: str | None, person: str) -> None:
    """Who has signed in calls what is for people like them, or what their role can do: no route
    that was meant for a whole organisation, or for whoever runs the business."""
    if entity != person and not match.api.roles:
        raise Problem(403, f"This is not asked by a {person}: the route needs `for` or `can`.")


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '!', '?')) else '.'}"


def _typed(name: str, texts: Sequence[str], type_: Type | None) -> Any:
    """Texts of a query or path as the JSON that a parameter of that type is read from."""
    match known(type_) if type_ is not None else None:
        case ListOf(item):
            return [_typed(name, [text], item) for text in texts]
        case _ if len(texts) > 1:
            raise Refusal(f"`{name}` is given {len(texts)} times, and takes one value")
        case Prim("bool") if texts[-1] in ("true", "false"):
            return texts[-1] == "true"
        case Prim() | None:
            return texts[-1]
    return _json(texts[-1])


def _json(text: str) -> Any:
    """A map or JSON in a query is written as JSON; what is none stays a text."""
    if text[:1] not in ("{", "[") or too_deep(text.encode("utf-8", "replace")):
        return text
    try:
        return _decode(text)
    except (msgspec.DecodeError, ValueError, ArithmeticError, RecursionError):
        return text
