"""Webhooks that come in: what makes one genuine, and the event that it becomes.

A receiver is a class with `event(headers, body, now)`, which gives CloudEvents fields or raises
ValueError; headers have small letters, and the body is the bytes as they came.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Any, Protocol

import msgspec

from ..errors import BizError
from ..model import Outcome
from ..values import Money, instant, instant_text
from .secrets import Secrets

TOLERANCE = timedelta(seconds=300)
# Where services that follow no standard put the HMAC of the body, in hex.
PLAIN = ("x-hub-signature-256", "x-signature-256", "x-signature", "x-webhook-signature")
DELIVERIES = ("x-github-delivery", "x-request-id", "x-webhook-id", "x-delivery-id")
KINDS = ("x-github-event", "x-event-type", "x-webhook-event", "x-event")

_decode = msgspec.json.Decoder(float_hook=Decimal).decode


@dataclass(frozen=True, slots=True)
class Settled:
    """How an effect went, by its id. `kind` and `amount` are what it must have been, where the
    service says that, too: nothing else is settled by it."""

    effect: str
    outcome: Outcome
    kind: str | None = None
    amount: Money | None = None


class Receiver(Protocol):
    """What verifies the webhooks of a service. `asks`: by asking the service itself."""

    asks: bool

    def event(self, headers: Mapping[str, str], body: bytes, now: datetime) -> dict[str, Any]:
        """The event that a webhook tells of; ValueError says why it is refused."""

    def settles(self, event: Mapping[str, Any]) -> Settled | None:
        """The effect whose outcome such a genuine event tells, by the id in its metadata."""


class SignedWebhooks:
    """Verifies what comes to `/webhooks/NAME`: by the Standard Webhooks rules where it has their
    headers, else by an HMAC-SHA256 of the body in hex. The secret is the `webhook_secret` of
    `connect NAME`; `whsec_…` is base64, anything else its own bytes."""

    asks = False

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets

    def event(self, headers: Mapping[str, str], body: bytes, now: datetime) -> dict[str, Any]:
        """The event, `Name.type` with the payload's `data`, or `Name.webhook` with all of it."""
        id_ = self.identify(headers, body, now)
        found = json_object(body)
        type_ = next((headers[name] for name in KINDS if headers.get(name)), found.get("type"))
        name = _pascal(self._secrets.name)
        if not isinstance(type_, str) or not type_:
            return cloud_event(self._secrets.name, id_, f"{name}.webhook", None, found)
        data = found.get("data") if "type" in found else found
        at = found.get("timestamp")
        data = data if isinstance(data, dict) else found
        return cloud_event(self._secrets.name, id_, f"{name}.{type_}", at, data)

    def identify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> str:
        """The id of a message that is genuine; ValueError where it is not."""
        own = self._secrets.value("webhook_secret") is not None
        shared = not own and self._secrets.value("secret") is not None
        found = self._secrets.several("secret" if shared else "webhook_secret")
        keys = [_key(secret.reveal()) for secret in found]
        if "webhook-signature" in headers:
            return _standard(headers, body, keys, now)
        return _plain(headers, body, keys)

    def settles(self, event: Mapping[str, Any]) -> Settled | None:
        """Nothing that is known of any service."""
        return None


def _standard(headers: Mapping[str, str], body: bytes, keys: Sequence[bytes], now: datetime) -> str:
    """The id of a message that is signed by standardwebhooks.com."""
    id_, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not id_ or not stamp:
        raise ValueError("it has no webhook-id or webhook-timestamp")
    signed = f"{id_}.{stamp}.".encode() + body
    wanted = [base64.b64encode(sign(key, signed)).decode() for key in keys]
    given = [part.removeprefix("v1,") for part in headers["webhook-signature"].split(" ")
             if part.startswith("v1,")]  # fmt: skip
    if not any(same(one, signature) for one in wanted for signature in given):
        raise ValueError("the signature is not one of this connection's secret")
    within(stamp, now)
    return id_


def _plain(headers: Mapping[str, str], body: bytes, keys: Sequence[bytes]) -> str:
    """The id of a message with an HMAC alone: the sender's own, else the body's hash."""
    given = next((headers[name] for name in PLAIN if headers.get(name)), None)
    if given is None:
        raise ValueError("it is not signed")
    hexed = given.removeprefix("sha256=").lower()
    if not any(same(sign(key, body).hex(), hexed) for key in keys):
        raise ValueError("the signature is not one of this connection's secret")
    # Nothing dates it: sent again, it is the same event, which is handled once.
    return next((headers[n] for n in DELIVERIES if headers.get(n)), sha256(body).hexdigest())


def _key(secret: str) -> bytes:
    if secret.startswith("whsec_"):
        coded = secret.removeprefix("whsec_")
        try:
            return base64.b64decode(coded + "=" * (-len(coded) % 4), validate=True)
        except binascii.Error:
            pass
    return secret.encode()


def _pascal(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


# --- what all receivers need -------------------------------------------------------------------


def sign(key: bytes, data: bytes) -> bytes:
    """The HMAC-SHA256 of some bytes."""
    return hmac.new(key, data, "sha256").digest()


def same(wanted: str, given: str) -> bool:
    """Whether a signature is the wanted one, in a time that tells nothing."""
    return hmac.compare_digest(wanted.encode(), given.encode("utf-8", "replace"))


def within(stamp: str, now: datetime) -> None:
    """ValueError where seconds since 1970 are more than five minutes from now, either way."""
    if not (stamp.isascii() and stamp.isdecimal()) or len(stamp) > 12:
        raise ValueError("its timestamp is none")
    if abs(now - datetime.fromtimestamp(int(stamp), UTC)) > TOLERANCE:
        raise ValueError("it was sent more than 300 seconds ago or ahead")


def json_object(body: bytes) -> dict[str, Any]:
    """The JSON object of a body, its numbers exact."""
    try:
        found = _decode(body)
    except (msgspec.DecodeError, ValueError, ArithmeticError, RecursionError):
        raise ValueError("its body is no JSON") from None
    if not isinstance(found, dict):
        raise ValueError("its body is no JSON object")
    return found


def cloud_event(
    source: str, id_: str, type_: str, at: Any, data: Mapping[str, Any]
) -> dict[str, Any]:
    """The fields of an event: the same ones each time it is sent. `at`: when it happened, in
    seconds since 1970 or RFC 3339; where it says neither, it happens when it comes."""
    event = {"id": id_, "source": source, "type": type_, "data": dict(data)}
    try:
        if isinstance(at, int) and not isinstance(at, bool):
            event["time"] = instant_text(datetime.fromtimestamp(at, UTC))
        elif isinstance(at, str):
            event["time"] = instant_text(instant(at))
    except (ValueError, OverflowError, OSError, BizError):
        pass
    return event
