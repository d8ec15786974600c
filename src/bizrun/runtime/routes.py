"""Calls of the spec's own routes: parameters read by type, the caller known, a reply back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from ..errors import BizError, Refusal
from ..ir.program import Api
from ..lang.types import Maybe
from ..model import Event, Receipt
from ..values import plain
from .engine import Engine
from .work import Work


def find_api(engine: Engine, method: str, path: str) -> tuple[Api, dict[str, str]] | None:
    """The route of a path, with the values of its `{parameters}`."""
    parts = path.strip("/").split("/")
    for api in engine.program.apis:
        wanted = api.path.strip("/").split("/")
        if api.method.upper() != method.upper() or len(wanted) != len(parts):
            continue
        found = {}
        for want, part in zip(wanted, parts, strict=True):
            if want.startswith(("{", ":")):
                found[want.strip("{}:")] = part
            elif want != part:
                break
        else:
            return api, found
    return None


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
    route = find_api(engine, method, path)
    if route is None:
        raise BizError(f"there is no api {method} {path}")
    api, found = route
    data = {**dict(parse_qsl(query)), **data}
    event = Event(base, f"{method} {path}", now, {}, "api")
    if engine.tenancy is not None and engine.program.bills is not None:
        event.tenant = engine.tenancy.of_key(engine.program.bills, caller)
    code = engine.dispatch.code(api.handler)
    envelope = {"id": base, "type": event.type, "time": now, "subject": caller}
    work = Work(engine, now, base, envelope, event, code, caller)
    if api.caller and caller is None:
        return Receipt(base, "rejected", f"{method} {path} needs a caller")
    try:
        live = _arguments(engine, api, found, {**data, **found}, work)
    except Refusal as error:
        return Receipt(base, "rejected", str(error))
    if api.caller:
        live[api.caller] = caller
    return engine.call(work, live)


def _arguments(
    engine: Engine, api: Api, path: Mapping[str, str], data: Mapping[str, Any], work: Work
) -> dict[str, Any]:
    declared = {param.name for param in api.params}
    live: dict[str, Any] = {name: value for name, value in path.items() if name not in declared}
    for param in api.params:
        value = data.get(param.name)
        if value is not None:
            live[param.name] = engine.intake.read(plain(value), param.type, f"`{param.name}`")
        elif param.default is not None:
            live[param.name] = engine.compiled(param.default, ())(work)
        elif isinstance(param.type, Maybe):
            live[param.name] = None
        else:
            raise Refusal(f"`{param.name}` is missing")
    return live
