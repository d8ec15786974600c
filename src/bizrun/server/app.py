"""The application: each path to who answers it, and every refusal as a problem document.

A plain ASGI application: there are a few fixed paths, and the spec's own are matched by
`runtime/routes.py`, which also its tests call. A framework's routing would stand beside that.
"""

from __future__ import annotations

import time
from typing import Any

from ..errors import StoreError
from .access import Access
from .acting import Acting
from .apis import call
from .bodies import Gone
from .business import Business
from .desk import Desk
from .events import post_events
from .meters import Meters
from .openapi import document
from .problems import PROBLEM, Problem, encode
from .requests import Handler, Request, Response
from .scim import PREFIX, Scim
from .sign_in import SignIns
from .watching import Watching
from .webhooks import Webhooks
from .writer import RETRY_SECONDS

WEBHOOKS = "/webhooks/"


_UNKNOWN = "Who asks can't be told just now: try again in a moment."


class App:
    """The ASGI application of a server."""

    def __init__(
        self, desk: Desk, access: Access, business: Business, meters: Meters, webhooks: Webhooks,
        sign_ins: SignIns,
    ) -> None:  # fmt: skip
        self.desk, self.access, self.business, self.meters = desk, access, business, meters
        self.webhooks, self.sign_ins = webhooks, sign_ins
        self.watching = watching = Watching(desk, access, business, meters)
        self.scim = Scim(desk, access, business)
        self.paths: dict[str, dict[str, Handler]] = {
            "/events": {"POST": self._events},
            "/outbox": {"POST": Acting(desk, access).act},
            "/health": {"GET": watching.health},
            "/metrics": {"GET": watching.metrics},
            "/stream": {"GET": watching.stream},
            "/dashboard": {"GET": watching.overview},
            "/openapi.json": {"GET": self._document},
            "/": {"GET": watching.page},
        }

    def stop(self) -> None:
        """Ends what would go on by itself."""
        self.watching.stopping.set()
        self.webhooks.close()

    def hidden(self) -> list[str]:
        """The paths of the spec's routes that are the server's own."""
        own = (*self.paths, WEBHOOKS)
        paths = dict.fromkeys(api.path for api in self.business.program.apis)
        return [p for p in paths if p in own or p.startswith(WEBHOOKS) or self._serves(p)]

    def _serves(self, path: str) -> bool:
        return self.scim.serves(path) or self.sign_ins.serves(path)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answers a request."""
        if scope["type"] != "http":
            return
        began = time.monotonic_ns()
        request = Request(scope, dict(scope["headers"]), receive, send)
        handlers = self.paths.get(scope["path"])
        try:
            response = await self._answer(request, handlers)
        except Problem as problem:
            response = _refused(problem)
        except StoreError:
            # Tokens and sessions can't be looked up; the writer says why, once, to who runs this.
            response = _refused(Problem(503, _UNKNOWN, RETRY_SECONDS))
        except Gone:
            return
        if response is not None:
            await _send(request, response)
            route = scope["path"] if handlers is not None else _family(scope["path"])
            self.meters.request(route, response.status, time.monotonic_ns() - began)

    async def _answer(
        self, request: Request, handlers: dict[str, Handler] | None
    ) -> Response | None:
        path, method = request.scope["path"], request.scope["method"]
        if handlers is None:
            if path.startswith(WEBHOOKS):
                handlers = {"POST": self._webhook}
            elif self.scim.serves(path):
                return await self.scim.answer(request)
            elif self.sign_ins.serves(path):
                return await self.sign_ins.answer(request)
            else:
                return await self._route(request)
        # What has no end has no head of its own.
        head = method == "HEAD" and path != "/stream"
        handler = handlers.get("GET" if head else method)
        if handler is None:
            allow = ", ".join(handlers)
            raise Problem(
                405, f"{path} takes {allow}, not {method[:20]}.",
                headers=[(b"allow", allow.encode())],
            )  # fmt: skip
        return await handler(request)

    async def _events(self, request: Request) -> Response:
        found = await post_events(self.desk, self.access, request.headers, request.receive)
        self.meters.events(result.status for result in found.results)
        return Response(encode(found))

    async def _webhook(self, request: Request) -> Response:
        name = request.scope["path"].removeprefix(WEBHOOKS)
        result = await self.webhooks.receive(name, request.headers, request.receive)
        self.meters.events((result.status,))
        return Response(encode(result))

    async def _document(self, request: Request) -> Response:
        self.access.caller(request.headers, None)
        return Response(encode(document(self.business.checked, self.business.program)))

    async def _route(self, request: Request) -> Response:
        reply = await call(
            self.desk, self.access, self.business.program, request.scope, request.headers,
            request.receive,
        )  # fmt: skip
        return Response(encode(reply))


def _family(path: str) -> str:
    """What a path is counted as: never the path itself, of which there is no end."""
    return next(
        (own for own in (WEBHOOKS, f"{PREFIX}/", "/sign-in/") if path.startswith(own)), "api"
    )


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


def _refused(problem: Problem) -> Response:
    return Response(problem.body(), PROBLEM, problem.status, problem.headers)
