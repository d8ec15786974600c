"""Outgoing webhooks, signed by the Standard Webhooks rules (standardwebhooks.com).

The body's bytes and `webhook-id` are the same in each try; the timestamp and with it the signature
are of the try. Receivers tell a repetition by `webhook-id`.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from ..errors import ProviderError
from ..model import Effect, Outcome
from ..values import instant_text
from .addresses import Refused
from .base import Call, Guarantee, Limits, MaybeSent, NotSent
from .egress import Egress, Reply
from .http import host_of, kept, no_answer, private, seconds
from .secrets import Secrets
from .wire import content, encode, retry_after

VARIABLE = "WEBHOOK_SECRET"
PREFIX = "whsec_"
MAX_ANSWER = 100_000
GONE = 410


class WebhookProvider:
    """`webhook { url, data, event }`: posts to an address, until it is taken or given up."""

    name = "webhook"

    def __init__(self, egress: Egress | None = None) -> None:
        # A receiver may be down for a day.
        self.limits = Limits(
            concurrency=4, attempts=12, pause=timedelta(seconds=5), longest=timedelta(hours=6)
        )
        self._egress = egress or Egress()

    def host(self, effect: Effect, to: str | None) -> str:
        """The receiver: the host of the address."""
        return host_of(str(to or effect.data.get("url") or ""))

    def guarantee(self, effect: Effect) -> Guarantee:
        """Receivers know a repetition by its id, so the event is sent until one is taken."""
        return "at_least_once"

    def deliver(self, effect: Effect, call: Call) -> Outcome:
        """One try. 410 says that the address is given up; any other refusal is tried again."""
        keys = signing_keys(call.secrets)
        body = message(effect)
        now = datetime.now(UTC)
        headers = {"Content-Type": "application/json", "User-Agent": "bizrun"}
        headers |= signature_headers(effect.id, now, body, keys)
        try:
            reply = self._egress.send(
                "POST", str(call.to or effect.data.get("url") or ""), headers, body,
                private=private(call.secrets, own=False), timeout=seconds(call),
                max_body=MAX_ANSWER,
            )  # fmt: skip
        except Refused as error:
            return Outcome("failed", f"refused: {error}", no_answer())
        return _outcome(reply, now)

    def read_back(self, effect: Effect, call: Call) -> Outcome | None:
        """A receiver can't be asked."""
        return Outcome("unknown")


def _outcome(reply: Reply, now: datetime) -> Outcome:
    data: dict[str, Any] = {"ok": reply.ok, "status": reply.status, "body": None}
    data["headers"] = kept(reply.headers)
    if reply.ok:
        try:
            data["body"] = None if reply.cut else content(reply.headers, reply.body)
        except ValueError:
            data["body"] = None
        return Outcome("succeeded", None, data)
    if reply.status == GONE:
        return Outcome("failed", "gone", data)
    pause = retry_after(reply.headers, now)
    if 300 <= reply.status < 500:
        raise NotSent(f"the receiver answered {reply.status}", pause)
    raise MaybeSent(f"the receiver answered {reply.status}", retry_after=pause)


def message(effect: Effect) -> bytes:
    """The body: what happened, when, and its data."""
    return encode(
        {
            "type": str(effect.data.get("event") or effect.kind),
            "timestamp": instant_text(effect.created),
            "data": _told(effect),
        }
    )


def _told(effect: Effect) -> Any:
    if effect.kind == "notify":
        return {name: effect.data.get(name) for name in ("message", "data")}
    return effect.data.get("data")


# --- signatures --------------------------------------------------------------------------------


def signing_keys(secrets: Secrets) -> tuple[bytes, ...]:
    """The keys to sign with, the newest first: `secret` of `connect webhook` is one or a list of
    them, and WEBHOOK_SECRET may hold several with blanks between; ProviderError where none is
    usable. While a secret is changed, messages carry a signature of each."""
    value = secrets.value("secret")
    texts: list[str] = []
    for item in value if isinstance(value, list) else [value]:
        found = secrets.find("secret", VARIABLE) if item is None else secrets.resolve(item)
        texts += found.reveal().split() if found is not None else []
    if not texts:
        raise ProviderError(f"webhooks are signed, and there is no secret: set {VARIABLE}")
    return tuple(_key(text) for text in texts)


def _key(text: str) -> bytes:
    """The bytes of `whsec_…`: base64, with or without its padding."""
    coded = text.removeprefix(PREFIX)
    try:
        key = base64.b64decode(coded + "=" * (-len(coded) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not text.startswith(PREFIX) or len(key) < 16:
        raise ProviderError(
            f"a secret of webhooks is `{PREFIX}` and at least 16 bytes in base64 (24 to 64 are "
            "usual)"
        )
    return key


def signature_headers(id_: str, at: datetime, body: bytes, keys: Sequence[bytes]) -> dict[str, str]:
    """The three headers of a message: its id, when it is sent, and a signature for each key."""
    stamp = str(int(at.timestamp()))
    signed = f"{id_}.{stamp}.".encode() + body
    signatures = [
        "v1," + base64.b64encode(hmac.new(key, signed, "sha256").digest()).decode() for key in keys
    ]
    return {
        "webhook-id": id_,
        "webhook-timestamp": stamp,
        "webhook-signature": " ".join(signatures),
    }
