"""The paths by which people and machines watch: health, metrics, the stream, the dashboard."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from importlib.resources import files
from secrets import token_urlsafe
from typing import Any

from ..store.base import CLOCK
from .access import Access, Caller
from .business import Business
from .desk import Desk
from .feed import Feed, event_json, position_of
from .meters import KIND, Meters
from .problems import JSON, Problem, encode
from .requests import Request, Response
from .standing import gauges, health, overview
from .writer import Task

PATIENCE_SECONDS = 2
PAUSE_MS = 200  # between two looks at what has happened
BEAT_SECONDS = 15
OVERVIEW_SECONDS = 1
MOST_MISSED = 1_000
MOST_STREAMS = 100

_HTML = b"text/html; charset=utf-8"
_STREAM = b"text/event-stream"


class Watching:
    """Answers those who watch a business."""

    def __init__(self, desk: Desk, access: Access, business: Business, meters: Meters) -> None:
        self.desk, self.access, self.business, self.meters = desk, access, business, meters
        self.stopping = asyncio.Event()
        self._streams = 0
        self._seen: tuple[float, bytes] = (-OVERVIEW_SECONDS, b"")
        self._page = files(__package__).joinpath("dashboard.html").read_text(encoding="utf-8")

    def _whole(self, request: Request) -> Caller:
        """Who may see the whole business: a token to read that is no customer's."""
        caller = self.access.caller(request.headers, "read")
        if caller.customer is not None and caller.token:
            raise Problem(403, "A customer's token sees that customer's own routes alone.")
        return caller

    # --- health and metrics ----------------------------------------------------------------------

    async def health(self, request: Request) -> Response:
        """Whether all is well; what is stuck, for those who may know."""
        try:
            self._whole(request)
            known = True
        except Problem:
            known = False
        found = await self._health()
        status = 503 if found["status"] == "down" else 200
        if not known:
            found = {"status": found["status"]}
        return Response(encode(found), JSON, status)

    async def _health(self) -> dict[str, Any]:
        writer = self.desk.writer
        if writer is not None and writer.down is not None:
            return {"status": "down", "store": {"ok": False, "reason": writer.down}}
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                found: dict[str, Any] = await self.desk.ask(lambda key: Task(key, health))
                if writer is not None and writer.mistake is not None:
                    found |= {"status": "degraded", "mistake": writer.mistake}
                return found
        except TimeoutError:
            text = f"the writer has not answered for {PATIENCE_SECONDS} seconds"
            return {"status": "degraded", "store": {"ok": True, "reason": text}}
        except Problem as problem:
            return {"status": "down", "store": {"ok": False, "reason": problem.detail}}

    async def metrics(self, request: Request) -> Response:
        """The server's figures, in Prometheus' text."""
        self._whole(request)
        writer = self.desk.writer
        up = writer is not None and writer.down is None
        self.meters.set("up", "Whether events can be committed.", int(up))
        if up:
            task = lambda business, now: list(gauges(business, now))  # noqa: E731
            for name, about, value, labels in await self.desk.ask(lambda key: Task(key, task)):
                self.meters.set(name, about, value, **labels)
        return Response(self.meters.text(), KIND)

    # --- the dashboard ---------------------------------------------------------------------------

    async def page(self, request: Request) -> Response:
        """The dashboard: a page without data, which asks for it with a token."""
        nonce = token_urlsafe(16)
        policy = (
            f"default-src 'none'; connect-src 'self'; script-src 'nonce-{nonce}'; "
            f"style-src 'nonce-{nonce}'; base-uri 'none'; form-action 'none'; "
            "frame-ancestors 'none'; img-src data:"
        )
        headers = [
            (b"content-security-policy", policy.encode()), (b"cache-control", b"no-store"),
            (b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer"),
        ]  # fmt: skip
        return Response(self._page.replace("NONCE", nonce).encode(), _HTML, headers=headers)

    async def overview(self, request: Request) -> Response:
        """What the dashboard shows, at most a second old."""
        self._whole(request)
        now = asyncio.get_running_loop().time()
        if now > self._seen[0] + OVERVIEW_SECONDS:
            found = await self.desk.ask(lambda key: Task(key, overview))
            self._seen = (now, encode(found))
        return Response(self._seen[1], headers=[(b"cache-control", b"no-store")])

    # --- the stream ------------------------------------------------------------------------------

    async def stream(self, request: Request) -> None:
        """What happens, as server-sent events, until either side ends it."""
        self._whole(request)
        if self._streams >= MOST_STREAMS:
            raise Problem(503, f"{MOST_STREAMS} streams are read already: try again later.", 5)
        start = self._start(request)
        headers = [(b"content-type", _STREAM), (b"cache-control", b"no-store")]
        await request.send({"type": "http.response.start", "status": 200, "headers": headers})
        gone = asyncio.ensure_future(_hung_up(request))
        self._streams += 1
        try:
            async for text in self._told(start, gone):
                body = text.encode()
                await request.send({"type": "http.response.body", "body": body, "more_body": True})
            await request.send({"type": "http.response.body", "body": b""})
        finally:
            self._streams -= 1
            gone.cancel()

    def _start(self, request: Request) -> tuple[int, int]:
        given = request.headers.get(b"last-event-id")
        if given is None:
            return self.business.feed.newest
        found = position_of(given.decode("latin-1"))
        if found is None:
            raise Problem(400, "Last-Event-ID is none that this stream has given.")
        return found

    async def _told(self, position: tuple[int, int], gone: asyncio.Future[None]) -> Any:
        """The stream's pieces of text: what has happened, and a beat where nothing does."""
        feed: Feed = self.business.feed
        loop, woken = asyncio.get_running_loop(), asyncio.Event()
        yield "retry: 1000\n\n"

        def listener() -> None:
            loop.call_soon_threadsafe(woken.set)

        feed.listen(listener)
        try:
            while not (gone.done() or self.stopping.is_set()):
                woken.clear()
                found, gap = feed.after(position)
                if gap:
                    async for text in self._missed(position):
                        yield text
                for one in found:
                    position = (one.seq, one.number)
                    yield _event(one.id, one.kind, one.as_json())
                await _first(gone, self.stopping.wait(), woken.wait(), seconds=BEAT_SECONDS)
                if not woken.is_set():
                    yield ": beat\n\n"
                elif not self.stopping.is_set():
                    await _first(gone, self.stopping.wait(), seconds=PAUSE_MS / 1000)
        finally:
            feed.leave(listener)

    async def _missed(self, position: tuple[int, int]) -> AsyncIterator[str]:
        """Events of the log that the feed keeps no more."""
        first = self.business.feed.after(position)[0][:1]
        until = first[0].seq if first else self.business.feed.newest[0] + 1

        def read(business: Business, _: Any) -> list[Any]:
            found: list[Any] = []
            for entry in business.store.log(max(position[0], until - MOST_MISSED - 1)):
                if entry.seq >= until:
                    break
                if entry.type != CLOCK:
                    found.append(entry)
            return found

        for entry in await self.desk.ask(lambda key: Task(key, read)):
            yield _event(f"{entry.seq}.0", "event", event_json(entry))


def _event(id_: str, kind: str, data: Any) -> str:
    # JSON has no line breaks of its own, so one line of data is all of it.
    return f"id: {id_}\nevent: {kind}\ndata: {encode(data).decode()}\n\n"


async def _hung_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _first(gone: asyncio.Future[None], *others: Any, seconds: float) -> None:
    """Waits until one of several things has come to be, at most so long."""
    waits = [asyncio.ensure_future(other) for other in others]
    try:
        await asyncio.wait({gone, *waits}, timeout=seconds, return_when="FIRST_COMPLETED")
    finally:
        for wait in waits:
            wait.cancel()
