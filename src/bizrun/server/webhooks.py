"""`POST /webhooks/NAME`: what providers tell, verified, handled once, and what it decides."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from importlib import import_module
from typing import Any

from ..errors import BizError
from ..providers.base import MaybeSent, NotSent
from ..providers.inbound import Receiver, Settled, SignedWebhooks
from ..providers.registry import Registry
from ..providers.secrets import Secrets
from ..runtime.lines import Line
from .bodies import Room, read_body
from .business import Business
from .clock import Clock
from .desk import Desk
from .events import Result, result_of
from .problems import Problem, encode
from .writer import Task

MAX_WEBHOOK = 4_000_000
MAX_TOGETHER = 100_000_000
ASKED_AT_ONCE = 8  # of services that verify their webhooks themselves
RETRY_SECONDS = 60

# Services with rules of their own; any other connection signs by a standard, or plainly.
RECEIVERS: dict[str, str] = {
    "stripe": "stripe_webhooks:StripeWebhooks",
    "paypal": "paypal_webhooks:PayPalWebhooks",
    "smtp": "bounces:BounceReports",
}


class Webhooks:
    """Takes the webhooks of a business's connections; `environment` has their secrets."""

    def __init__(
        self, desk: Desk, business: Business, environment: Mapping[str, str], clock: Clock
    ) -> None:
        self._desk, self._business, self._clock = desk, business, clock
        self._environment = environment
        self._receivers: dict[str, Receiver] = {}
        self._program: object = None
        # Nobody needs a token here: what is read at once is bounded altogether, too.
        self._room = Room(MAX_TOGETHER)
        # A service that is asked whether it sent one may be slow: it holds up its own alone.
        self._asking = ThreadPoolExecutor(ASKED_AT_ONCE, "webhooks")
        self._closed = False

    async def receive(self, name: str, headers: Mapping[bytes, bytes], receive: Any) -> Result:
        """What became of a webhook; a Problem (400) where it is forged, stale or no event."""
        receiver = self._receiver(name)
        with self._room.place() as grow:
            body = await read_body(receive, headers, MAX_WEBHOOK, grow)
        texts = {key.decode("latin-1"): value.decode("latin-1") for key, value in headers.items()}
        now = self._clock.now()
        try:
            event = await self._verified(receiver, partial(receiver.event, texts, body, now))
        except ValueError as error:
            raise Problem(400, f"The webhook is refused: {error}.") from None
        except (BizError, NotSent, MaybeSent) as error:
            raise Problem(503, f"The webhook can't be verified: {error}", RETRY_SECONDS) from None
        handle = _handle(encode(event), receiver.settles(event))
        result: Result = await self._desk.ask(lambda key: Task(key, handle))
        return result

    async def _verified(self, receiver: Receiver, verify: Callable[[], Any]) -> Any:
        pool = self._asking if receiver.asks else None
        try:
            return await asyncio.get_running_loop().run_in_executor(pool, verify)
        except (RuntimeError, asyncio.CancelledError):
            if not self._closed:
                raise
            raise Problem(503, "The server is stopping.", RETRY_SECONDS) from None

    def close(self) -> None:
        """Asks no service any more about what has come."""
        self._closed = True
        self._asking.shutdown(wait=False, cancel_futures=True)

    def _receiver(self, name: str) -> Receiver:
        program = self._business.program
        if program is not self._program:
            self._program, self._receivers = program, {}
        found = self._receivers.get(name)
        if found is None:
            if name not in RECEIVERS and name not in program.connections:
                raise Problem(404, f"There is no connection {name[:80]} whose webhooks come here.")
            secrets = Registry(program.connections, self._environment).secrets(name)
            found = self._receivers[name] = _load(name, secrets)
        return found


def _load(name: str, secrets: Secrets) -> Receiver:
    if name not in RECEIVERS:
        return SignedWebhooks(secrets)
    module, _, attribute = RECEIVERS[name].partition(":")
    make: Callable[[Secrets], Receiver] = getattr(
        import_module(f"bizrun.providers.{module}"), attribute
    )
    return make(secrets)


def _handle(event: bytes, settled: Settled | None) -> Callable[[Business, datetime], Result]:
    def handle(business: Business, now: datetime) -> Result:
        line: Line = business.read(1, event, now, None)
        if line.reason is not None:
            raise Problem(400, f"The webhook is refused: {line.reason}.")
        # First, so that handlers of the event see the payment as it is now.
        if settled is not None and not business.heard(settled, line.time):
            raise Problem(503, "The effect it tells of is being sent.", RETRY_SECONDS)
        business.handle([line])
        return result_of(line)

    return handle
