"""Calls of the spec's own routes: parameters read by type, the caller known, a reply back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, unquote

from ..diagnostics import did_you_mean
from ..errors import Absent, BizError, Refusal
from ..ir.compile import explain_error
from ..ir.program import Api, Program
from ..lang.types import Maybe
from ..model import Event, Receipt
from ..values import plain
from .dispatch import snake
from .engine import Engine
from .rounds import run_rounds
from .work import Work


@dataclass(frozen=True, slots=True)
class Match:
    """A route that a path leads to, with the values of its `{parameters}`."""

    api: Api
    values: Mapping[str, Any]


def matches(program: Program, path: str) -> list[Match]:
    """The routes of a path, by whatever method: of several, those that name most of it."""
    parts = [unquote(part) for part in path.strip("/").split("/")]
    found = [Match(api, values) for api in program.apis
             if (values := _values(places(api), parts)) is not None]  # fmt: skip
    least = min((len(match.values) for match in found), default=0)
    return [match for match in found if len(match.values) == least]


def places(api: Api) -> list[tuple[str, bool]]:
    """The parts of a route's path: a text, and whether it is the name of a parameter."""
    parts = api.path.strip("/").split("/")
    return [(part.strip("{}:"), part.startswith(("{", ":"))) for part in parts]


def _values(wanted: Sequence[tuple[str, bool]], parts: Sequence[str]) -> dict[str, str] | None:
    if len(wanted) != len(parts):
        return None
    found = {}
    for (want, is_name), part in zip(wanted, parts, strict=True):
        if is_name:
            found[want] = part
        elif want != part:
            return None
    return found


def allowed(program: Program, api: Api, role: str | None) -> bool:
    """Whether a role may call a route: it is one that the route names, or has a right of it."""
    if not api.roles:
        return True
    rights = program.roles.get(role or "", ())
    heads = [right[:-1] for right in rights if right.endswith(".*")]
    return any(
        wanted == role or wanted in rights or "*" in rights
        or ("." in wanted and any(wanted.startswith(head) for head in heads))
        for wanted in api.roles
    )  # fmt: skip


def caller_entity(program: Program, api: Api) -> str | None:
    """The entity of a route's caller: `for user` a User, `for customer` who pays."""
    if api.caller is None:
        return None
    named = {snake(entity): entity for entity in program.entities}
    return named.get(api.caller) if api.caller != "customer" else program.bills


def call_api(
    engine: Engine,
    method: str,
    path: str,
    data: Mapping[str, Any],
    caller: str | None,
    base: str,
    now: datetime,
) -> Receipt:
    """Runs a route; what it changes is kept with the rest of the batch."""
    path, _, query = path.partition("?")
    found = [m for m in matches(engine.program, path) if m.api.method.upper() == method.upper()]
    if not found:
        raise BizError(f"there is no api {method} {path}")
    match = found[0]
    work = begin(engine, match.api, caller, base, now)
    if match.api.caller and caller is None:
        return Receipt(base, "rejected", f"{method} {path} needs a caller")
    try:
        live = arguments(work, match, {**dict(parse_qsl(query)), **data})
    except Refusal as error:
        return Receipt(base, "rejected", str(error))
    return run(work, live)


def begin(
    engine: Engine, api: Api, caller: str | None, base: str, now: datetime,
    tenant: str | None = None,
) -> Work:  # fmt: skip
    """The work of a call: what it makes is named after `base`, and it sees its caller's tenant,
    which is `tenant` where that is known."""
    event = Event(base, f"{api.method.upper()} {api.path}", now, {}, "api")
    event.tenant = tenant
    if engine.tenancy is not None and caller is not None and tenant is None:
        entity = caller_entity(engine.program, api) or engine.program.bills
        if entity is not None:
            event.tenant = engine.tenancy.of_key(entity, caller)
    envelope = {"id": base, "type": event.type, "time": now, "subject": caller}
    return Work(engine, now, base, envelope, event, engine.dispatch.code(api.handler), caller)


def arguments(work: Work, match: Match, data: Mapping[str, Any]) -> dict[str, Any]:
    """What a route is called with: each parameter by its type. Refusal says which does not fit,
    Absent what the path itself names and is not there."""
    engine, api = work.engine, match.api
    declared = {param.name for param in api.params}
    given = {**data, **match.values}
    for name in given.keys() - declared - match.values.keys():
        meant = did_you_mean(name, declared)
        raise Refusal(f"there is no parameter `{name}`{f'; did you mean `{meant}`?' * bool(meant)}")
    live: dict[str, Any] = {
        name: value for name, value in match.values.items() if name not in declared
    }
    for param in api.params:
        if param.name in given:
            value = plain(given[param.name])
            try:
                live[param.name] = engine.intake.read(value, param.type, f"`{param.name}`")
            except Absent as error:
                if param.name in match.values:
                    raise
                raise Refusal(str(error)) from None
        elif param.default is not None:
            live[param.name] = engine.compiled(param.default, ())(work)
        elif isinstance(param.type, Maybe):
            live[param.name] = None
        else:
            raise Refusal(f"`{param.name}` is missing")
    assert work.source is not None
    work.source.data = dict(live)
    if api.caller:
        live[api.caller] = work.caller
    return live


def run(work: Work, live: Mapping[str, Any]) -> Receipt:
    """Runs a route: all of it, or a refusal with its reason.

    A call that is refused, or a GET that changes nothing, leaves no trace.
    """
    assert work.code is not None and work.source is not None
    engine, code = work.engine, work.code
    before = engine.begin_step()
    engine.next_order()
    engine.log(work.source, None, "handled", None, str(code.unit.handler.place.line))
    try:
        work.run(code, 0, *(live.get(name) for name in code.live[0]))
    except Exception as error:
        engine.undo_step(before)
        reason, _ = explain_error(error, code)
        return Receipt(work.base, "rejected", reason)
    if work.source.type.startswith("GET ") and not work.loops and engine.is_quiet(before):
        engine.undo_step(before)
    else:
        run_rounds(engine, work)
        engine.settle_work(work)
    return engine.answered(Receipt(work.base, "handled", None, work.replied), work.base)
