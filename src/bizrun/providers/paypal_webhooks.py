"""PayPal's webhooks: verified by PayPal itself, over the bytes as they came."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from ..errors import ProviderError
from ..model import Outcome
from ..values import instant, instant_text
from .base import MaybeSent, NotSent
from .egress import Egress
from .inbound import Settled
from .paypal import Tokens, access_token, base_of, charged, local, paid_out
from .paypal_calls import CALLS
from .secrets import Secrets
from .wire import decode

APPROVED = "PayPal.checkout.order.approved"
PAYOUT = "PayPal.payment.payouts_item."
DONE = {"PayPal.payment.capture.completed"}
FAILED = {
    "PayPal.payment.capture.denied": "card_declined",
    "PayPal.payment.capture.declined": "card_declined",
}
# What an effect's id looks like: other resources are the author's own.
_KEY = re.compile(r"[0-9a-f]{64}")
TOLERANCE = timedelta(seconds=300)
TIMEOUT = 8  # of a question, while the sender of a webhook waits
CAPTURE_TIMEOUT = 20
# What PayPal wants back, and the header that it came in.
_HEADERS = {
    "auth_algo": "paypal-auth-algo",
    "cert_url": "paypal-cert-url",
    "transmission_id": "paypal-transmission-id",
    "transmission_sig": "paypal-transmission-sig",
    "transmission_time": "paypal-transmission-time",
}


class PayPalWebhooks:
    """Verifies what comes to `/webhooks/paypal`."""

    asks = True

    def __init__(self, secrets: Secrets, egress: Egress | None = None) -> None:
        self._secrets = secrets
        self._egress = egress or Egress()
        self._tokens = Tokens()

    def event(self, headers: Mapping[str, str], body: bytes, now: datetime) -> dict[str, Any]:
        """The event that a webhook tells of, as CloudEvents fields; ValueError where it is none,
        is too old or too new, or PayPal did not send it. NotSent where PayPal can't be asked."""
        lower = {name.lower(): value for name, value in headers.items()}
        given = {name: lower.get(header, "") for name, header in _HEADERS.items()}
        if not all(given.values()):
            raise ValueError("the headers of a PayPal webhook are missing")
        try:
            sent = instant(given["transmission_time"])
        except ValueError:
            raise ValueError("its transmission time can't be read") from None
        if abs(now - sent) > TOLERANCE:
            raise ValueError("it was sent more than 300 seconds ago or ahead")
        found = decode(body)
        if not isinstance(found, Mapping) or not found.get("id") or not found.get("event_type"):
            raise ValueError("it is no event of PayPal's")
        if not self._genuine(given, body):
            raise ValueError("PayPal did not send it")
        event = cloud_event(found, now)
        if event["type"] == APPROVED and _effect(event["data"]) is not None:
            event["data"] = self._captured(event["data"])
        return event

    def settles(self, event: Mapping[str, Any]) -> Settled | None:
        """The effect that an event decides, and how it went: a capture or payout that was on its
        way, or an order that its payer has approved, captured just now."""
        data, kind = event["data"], str(event["type"])
        effect = _effect(data)
        if effect is None:
            return None
        if kind == APPROVED:
            try:
                outcome = charged(data)
            except MaybeSent:
                return None
            return Settled(effect, outcome) if outcome.status in ("succeeded", "failed") else None
        if kind.startswith(PAYOUT):
            outcome = paid_out(data, "", str(data.get("payout_batch_id") or ""))
            return Settled(effect, outcome) if outcome.status != "pending" else None
        if kind in DONE:
            return Settled(effect, Outcome("succeeded", None, None, str(data.get("id") or "")))
        return Settled(effect, Outcome("failed", FAILED[kind])) if kind in FAILED else None

    def _captured(self, order: Mapping[str, Any]) -> Mapping[str, Any]:
        """Captures an approved order of ours; the key makes a second time do nothing."""
        place = quote(str(order.get("id")), safe="")
        path = f"{base_of(self._secrets)}{CALLS['orders.create'].path}/{place}/capture"
        token = access_token(self._egress, self._tokens, self._secrets, CAPTURE_TIMEOUT)
        headers = {
            "Authorization": f"Bearer {token}", "Content-Type": "application/json",
            "PayPal-Request-Id": f"{_effect(order)}-capture", "Prefer": "return=representation",
        }  # fmt: skip
        reply = self._egress.send(
            "POST", path, headers, b"{}", private=local(self._secrets), timeout=CAPTURE_TIMEOUT
        )
        found = decode(reply.body) if reply.ok else None
        if reply.status == 429 or reply.status >= 500:
            raise NotSent(f"PayPal could not capture the order ({reply.status})")
        return found if isinstance(found, dict) else order

    def _genuine(self, given: Mapping[str, str], body: bytes) -> bool:
        """Asks PayPal, with the event's own bytes: written anew they would have another sum."""
        webhook = self._secrets.need("webhook_id", "PAYPAL_WEBHOOK_ID").reveal()
        fields = json.dumps({**given, "webhook_id": webhook}).encode()
        asked = fields[:-1] + b', "webhook_event": ' + body.strip() + b"}"
        for fresh in (False, True):
            token = access_token(self._egress, self._tokens, self._secrets, TIMEOUT, fresh)
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
            reply = self._egress.send(
                "POST", f"{base_of(self._secrets)}/v1/notifications/verify-webhook-signature",
                headers, asked, private=local(self._secrets), timeout=TIMEOUT,
            )  # fmt: skip
            if reply.status != 401:
                break
        if reply.status in (401, 403):
            raise ProviderError("PayPal refuses to verify webhooks for this client")
        if not reply.ok:
            raise NotSent(f"PayPal could not verify the webhook ({reply.status})")
        found = decode(reply.body)
        return isinstance(found, Mapping) and found.get("verification_status") == "SUCCESS"


def cloud_event(found: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """`PAYMENT.CAPTURE.COMPLETED` as the event `PayPal.payment.capture.completed`, its resource
    as the data."""
    name = str(found["event_type"]).lower().replace("-", "_")
    try:
        at = instant(str(found.get("create_time")))
    except ValueError:
        at = now
    resource = found.get("resource")
    return {
        "id": str(found["id"]), "source": "paypal", "type": f"PayPal.{name}",
        "time": instant_text(min(at, now)),
        "data": resource if isinstance(resource, Mapping) else {},
    }  # fmt: skip


def _effect(data: Mapping[str, Any]) -> str | None:
    """The id of the effect that a resource of PayPal's belongs to."""
    units = data.get("purchase_units")
    unit = units[0] if isinstance(units, list) and units and isinstance(units[0], dict) else {}
    id_ = data.get("custom_id") or unit.get("custom_id") or data.get("sender_batch_id")
    return id_ if isinstance(id_, str) and _KEY.fullmatch(id_) else None
