"""The application: each path to who answers it, and every refusal as a problem document."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from .access import Access
from .bodies import Gone
from .desk import Desk
from .events import post_events
from .problems import JSON, PROBLEM, Headers, Problem, encode

Send = Callable[[Any], Awaitable[None]]


class App:
    """The ASGI application of a server."""

    def __init__(self, desk: Desk, access: Access) -> None:
        self.desk = desk
        self.access = access

    async def __call__(self, scope: Any, receive: Any, send: Send) -> None:
        """Answers a request."""
        if scope["type"] != "http":
            return
        headers: Mapping[bytes, bytes] = dict(scope["headers"])
        try:
            body = await self._answer(scope, headers, receive)
            await respond(send, 200, JSON, body)
        except Problem as problem:
            await respond(send, problem.status, PROBLEM, problem.body(), problem.headers)
        except Gone:
            return

    async def _answer(self, scope: Any, headers: Mapping[bytes, bytes], receive: Any) -> bytes:
        if scope["path"] == "/events":
            if scope["method"] != "POST":
                raise Problem(405, "Events are sent with POST.", headers=[(b"allow", b"POST")])
            return encode(await post_events(self.desk, self.access, headers, receive))
        raise Problem(404, f"There is nothing at {scope['path'][:200]}.")


async def respond(
    send: Send, status: int, kind: bytes, body: bytes, headers: Headers | None = None
) -> None:
    """Sends a whole response."""
    found = [(b"content-type", kind), (b"content-length", b"%d" % len(body)), *(headers or ())]
    await send({"type": "http.response.start", "status": status, "headers": found})
    await send({"type": "http.response.body", "body": body})
