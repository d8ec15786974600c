"""`/scim/v2`: a company's directory keeps its users and groups here (SCIM 2.0, RFC 7644).

The protocol is scim2-server's: filters, PATCH, paging, ETags, errors. What is ours are the rows,
whose tenant the token says, and the events that change them.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, unquote

from ..ir.program import Program
from ..runtime.lines import too_deep
from .access import Access, Caller
from .bodies import read_body
from .business import Business
from .desk import Desk
from .problems import Problem, encode
from .requests import Request, Response
from .writer import Task

PREFIX = "/scim/v2"
KIND = b"application/scim+json"
MAX_BODY = 1_000_000
MAX_FILTER = 4_000
MOST_PARAMETERS = 50


class Scim:
    """Answers identity providers."""

    def __init__(self, desk: Desk, access: Access, business: Business) -> None:
        self._desk, self._access, self._business = desk, access, business
        self._made: tuple[Program, Any] | None = None
        self._making = asyncio.Lock()

    def serves(self, path: str) -> bool:
        """Whether a path is one of the directory's, where the spec has one."""
        here = path == PREFIX or path.startswith(f"{PREFIX}/")
        return here and bool(self._business.program.directories)

    async def answer(self, request: Request) -> Response:
        """The answer to a request; refusals too are in SCIM's form (RFC 7644, 3.12)."""
        try:
            caller = self._access.caller(request.headers, "scim")
            body = await read_body(request.receive, request.headers, MAX_BODY)
            if too_deep(body):
                raise Problem(400, "The JSON is nested too deeply.")
            asked = _asked(request, body)
            program, service = await self._service()
            response: Response = await self._desk.ask(
                lambda key: Task(
                    key, lambda b, now: _handle(_same(b, program), service, caller, asked, now)
                )
            )
            return response
        except Problem as problem:
            return _refusal(problem)

    async def _service(self) -> tuple[Program, Any]:
        """The program that is served now, and what speaks the protocol for it."""
        program = self._business.program
        async with self._making:
            if self._made is None or self._made[0] is not program:
                self._made = program, await asyncio.to_thread(_service, program)
        return self._made


def _same(business: Business, program: Program) -> Business:
    if business.program is not program:
        raise Problem(503, "The spec has just changed: try again.", 1)
    return business


def _service(program: Program) -> Any:
    try:
        # Here, in a thread: the first use of what is imported takes a second.
        from . import scim_store  # noqa: F401
        from .scim_schema import service_of
    except ModuleNotFoundError:
        raise Problem(503, "A directory needs `pip install 'bizrun[identity]'`.") from None
    return service_of(program)


def _asked(request: Request, body: bytes) -> Any:
    """The request as scim2-server reads it."""
    scope, headers = request.scope, request.headers
    try:
        from scim2_server.requests import ScimRequest
    except ModuleNotFoundError:
        raise Problem(503, "A directory needs `pip install 'bizrun[identity]'`.") from None
    try:
        query = parse_qsl(
            scope["query_string"].decode("latin-1"), keep_blank_values=True,
            max_num_fields=MOST_PARAMETERS,
        )  # fmt: skip
    except ValueError:
        raise Problem(400, "There are too many parameters in the query.") from None
    texts = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers.items()}
    if any(len(value) > MAX_FILTER for name, value in query if name == "filter"):
        raise Problem(400, f"A filter has at most {MAX_FILTER:,} characters.")
    if scope["method"] == "PATCH":
        body = _mended(body)
    path = unquote(scope["raw_path"].decode("latin-1")).removeprefix(PREFIX)
    return ScimRequest(
        scope["method"].replace("HEAD", "GET"), _base(texts), path, dict(query), texts, body
    )


def _mended(body: bytes) -> bytes:
    """A PATCH as the RFC has it, where Microsoft Entra ID writes a manager's id alone, or `$ref`
    as null beside the value of a member that it removes."""
    try:
        patch = json.loads(body)
        for operation in patch["Operations"]:
            value, path = operation.get("value"), str(operation.get("path", ""))
            if path.lower().endswith("manager") and isinstance(value, str):
                operation["value"] = {"value": value}
            elif isinstance(value, dict):
                operation["value"] = {name: _manager(name, part) for name, part in value.items()}
            elif isinstance(value, list):
                operation["value"] = [_without_nulls(each) for each in value]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return body
    return json.dumps(patch).encode()


def _manager(name: str, value: Any) -> Any:
    named = name.lower().endswith("manager") and isinstance(value, str)
    return {"value": value} if named else value


def _without_nulls(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {name: part for name, part in value.items() if part is not None}


def _base(headers: Mapping[str, str]) -> str:
    """The address that the asker knows this server by; a proxy before it may speak TLS."""
    scheme = "https" if headers.get("x-forwarded-proto") == "https" else "http"
    return f"{scheme}://{headers.get('host', 'localhost')}{PREFIX}"


def _handle(
    business: Business, service: Any, caller: Caller, asked: Any, now: datetime
) -> Response:
    from scim2_models import SCIMException
    from scim2_server.handler import ScimHandler

    from .scim_store import DirectoryStorage

    engine = business.engine
    if engine.clock is not None:
        now = max(now, engine.clock)
    source = f"scim {caller.token}".rstrip()
    owner = _owner(business, caller)
    storage = DirectoryStorage(business, service.provider, owner, source, now)
    try:
        answer = ScimHandler(service, storage).handle(asked)
    except SCIMException as error:
        answer = service.error_response(error)
        if answer.body is not None:
            answer.body["detail"] = _sentence(str(answer.body.get("detail") or ""))
    content = encode(answer.body) if answer.body is not None else b""
    headers = [
        (name.encode(), value.encode("utf-8"))
        for name, value in answer.headers.items()
        if name.lower() != "content-type"
    ]
    return Response(content, KIND, int(answer.status), headers)


def _sentence(detail: str) -> str:
    """Why a request is refused, in a line: the field and what is wrong with it."""
    first, *rest = detail.splitlines() or [""]
    if "validation error" in first and len(rest) > 1:
        return f"{rest[0].strip()}: {rest[1].partition(' [type=')[0].strip()}"
    return detail


def _owner(business: Business, caller: Caller) -> str | None:
    """The tenant whose rows alone a token touches; None where the business has none."""
    program, tenancy = business.program, business.engine.tenancy
    if tenancy is None:
        if caller.customer is not None:
            raise Problem(403, "Where there are no tenants, no customer has a directory.")
        return None
    if caller.customer is None:
        raise Problem(
            403, f"This needs a token of one {program.tenant}: "
            "bizrun token new --scope scim --customer …",
        )  # fmt: skip
    owner = tenancy.of_key(program.bills or tenancy.tenant, caller.customer)
    if owner is None or business.engine.state.get(tenancy.tenant, owner) is None:
        raise Problem(403, f"There is no {program.tenant} whose token this is.")
    return owner


def _refusal(problem: Problem) -> Response:
    body = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
        "status": str(int(HTTPStatus(problem.status))), "detail": problem.detail,
    }  # fmt: skip
    return Response(encode(body), KIND, problem.status, problem.headers)
