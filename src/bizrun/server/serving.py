"""Runs a server until it is told to stop: sockets, signals, the writer's beginning and end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import resource
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import uvicorn

from ..errors import UsageError
from ..lang.symbols import Checked
from ..pipeline import compile_spec
from .access import Access
from .app import App
from .business import Business
from .clock import WallClock
from .desk import Desk
from .meters import Meters
from .protocol import Protocol
from .reload import Reload
from .sign_in import SignIns
from .webhooks import Webhooks
from .writer import Say, Writer

KEEP_ALIVE_SECONDS = 30
STOP_SECONDS = 20
LEAST_FILES = 64


@dataclass(frozen=True, slots=True)
class Place:
    """Where to listen; port 0 picks one."""

    host: str
    port: int


class _Server(uvicorn.Server):
    """Ends in peace: with its exit code instead of the signal that stopped it."""

    def __init__(
        self, config: uvicorn.Config, ready: Callable[[], None], stopping: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._ready, self._stopping = ready, stopping

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._stopping()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        signals = (signal.SIGTERM, signal.SIGINT)
        for number in signals:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in signals:
                loop.remove_signal_handler(number)


def serve(
    business: Business,
    place: Place,
    access: Access,
    say: Say,
    ready: Callable[[str], None],
    show: Callable[[Checked], None],
) -> None:
    """Serves until SIGTERM or Ctrl-C; `ready` gets the address once requests are taken.

    `say` gets a line for who runs it, `show` an edited spec that has errors.
    """
    _check_limits()
    listener = listen(place)
    address = _address(listener, place)
    desk = Desk()
    meters = Meters()
    clock = WallClock()
    business.catch_up(clock.now())
    webhooks = Webhooks(desk, business, os.environ, clock)
    sign_ins = SignIns(desk, access, business, os.environ, clock)
    app = App(desk, access, business, meters, webhooks, sign_ins)
    config = uvicorn.Config(
        app, http=Protocol, ws="none", lifespan="off", log_config=None, access_log=False,
        server_header=False, proxy_headers=False, timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=STOP_SECONDS,
    )  # fmt: skip
    # What strangers send that is no HTTP is answered, and no line for who runs this.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    for path in app.hidden():
        say(f"api {path} is hidden by the server's own path")
    server = _Server(config, lambda: ready(address), app.stop)
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        writer = Writer(business, clock, desk.settle, say, meters)
        runner.run(_serve(server, listener, desk, writer, say, show))


async def _serve(
    server: _Server,
    listener: socket.socket,
    desk: Desk,
    writer: Writer,
    say: Say,
    show: Callable[[Checked], None],
) -> None:
    desk.open(writer)
    writer.start()
    reload = Reload(writer.business, compile_spec, say, show)
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload.ask)
    watching = asyncio.create_task(reload.watch(desk))
    gc.freeze()  # what is loaded by now stays: no use in looking at it again
    try:
        await server.serve(sockets=[listener])
    finally:
        watching.cancel()
        await asyncio.to_thread(writer.stop)


def _check_limits() -> None:
    """UsageError where so few files may be open that a handful of requests takes them all."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed < LEAST_FILES:
        raise UsageError(
            f"A server needs at least {LEAST_FILES} open files, and this one may have {allowed}: "
            "allow more with `ulimit -n 1024`."
        )


def listen(place: Place) -> socket.socket:
    """A socket bound to a place; UsageError where it can't be had."""
    try:
        found = socket.getaddrinfo(
            place.host, place.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError):
        raise UsageError(f"--host {place.host} is no address of this machine.") from None
    family, kind, protocol, _, address = found[0]
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise UsageError(
            f"{place.host}:{place.port} can't be listened on ({error.strerror}): give another "
            "--port, or 0 for any that is free."
        ) from None
    return listener


def _address(listener: socket.socket, place: Place) -> str:
    host = f"[{place.host}]" if ":" in place.host else place.host
    return f"http://{host}:{listener.getsockname()[1]}"
