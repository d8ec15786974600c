"""The application: each path to who answers it, and every refusal as a problem document.

A plain ASGI application: there are a few fixed paths, and the spec's own are matched by
`runtime/routes.py`, which also its tests call. A framework's routing would stand beside that.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .access import Access
from .apis import call
from .bodies import Gone
from .business import Business
from .desk import Desk
from .events import post_events
from .problems import JSON, PROBLEM, Headers, Problem, encode


@dataclass(frozen=True, slots=True)
class Request:
    """A request on its way: `headers` by name in small letters, the last of several."""

    scope: Any
    headers: Mapping[bytes, bytes]
    receive: Callable[[], Awaitable[Any]]
    send: Callable[[Any], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Response:
    """A whole answer."""

    body: bytes
    kind: bytes = JSON
    status: int = 200
    headers: Headers = field(default_factory=list)


# Gives an answer, or None where it has sent one itself.
Handler = Callable[[Request], Awaitable[Response | None]]


class App:
    """The ASGI application of a server."""

    def __init__(self, desk: Desk, access: Access, business: Business) -> None:
        self.desk = desk
        self.access = access
        self.business = business
        self.paths: dict[str, dict[str, Handler]] = {
            "/events": {"POST": self._events},
        }

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answers a request."""
        if scope["type"] != "http":
            return
        request = Request(scope, dict(scope["headers"]), receive, send)
        try:
            response = await self._answer(request)
        except Problem as problem:
            response = Response(problem.body(), PROBLEM, problem.status, problem.headers)
        except Gone:
            return
        if response is not None:
            await _send(request, response)

    async def _answer(self, request: Request) -> Response | None:
        path, method = request.scope["path"], request.scope["method"]
        handlers = self.paths.get(path)
        if handlers is None:
            return await self._route(request)
        handler = handlers.get("GET" if method == "HEAD" else method)
        if handler is None:
            allow = ", ".join(handlers)
            raise Problem(
                405, f"{path} takes {allow}, not {method[:20]}.",
                headers=[(b"allow", allow.encode())],
            )  # fmt: skip
        return await handler(request)

    async def _events(self, request: Request) -> Response:
        results = await post_events(self.desk, self.access, request.headers, request.receive)
        return Response(encode(results))

    async def _route(self, request: Request) -> Response:
        reply = await call(
            self.desk, self.access, self.business.program, request.scope, request.headers,
            request.receive,
        )  # fmt: skip
        return Response(encode(reply))


async def _send(request: Request, response: Response) -> None:
    headers = [
        (b"content-type", response.kind), (b"content-length", b"%d" % len(response.body)),
        *response.headers,
    ]  # fmt: skip
    send, body = request.send, response.body
    if request.scope["method"] == "HEAD":
        body = b""
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
