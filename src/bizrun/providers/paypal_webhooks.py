"""PayPal's webhooks: verified by PayPal itself, over the bytes as they came."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from ..errors import ProviderError
from ..values import instant, instant_text
from .base import NotSent
from .egress import Egress
from .paypal import _Tokens, access_token, base_of, local
from .secrets import Secrets
from .wire import decode

TOLERANCE = timedelta(seconds=300)
TIMEOUT = 20
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

    def __init__(self, secrets: Secrets, egress: Egress | None = None) -> None:
        self._secrets = secrets
        self._egress = egress or Egress()
        self._tokens = _Tokens()

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
        return cloud_event(found, now)

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


def settles(found: Mapping[str, Any]) -> tuple[str, str] | None:
    """Which effect a PayPal event decides, and how: (id, `succeeded` or `failed`)."""
    data = found["data"]
    kind = found["type"].removeprefix("PayPal.")
    id_ = data.get("custom_id") or (data.get("payout_item") or {}).get("sender_item_id")
    if not id_:
        return None
    done = {"payment.capture.completed", "payment.payouts_item.succeeded",
            "payment.capture.refunded"}  # fmt: skip
    failed = {"payment.capture.denied", "payment.capture.declined", "payment.payouts_item.failed",
              "payment.payouts_item.denied", "payment.payouts_item.returned"}  # fmt: skip
    if kind in done:
        return str(id_), "succeeded"
    return (str(id_), "failed") if kind in failed else None
