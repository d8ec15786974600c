"""Stripe's webhooks: signed over the bytes as they came, within five minutes either way."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from .inbound import Settled, cloud_event, json_object, same, sign, within
from .secrets import Secrets
from .stripe_answers import KEYS, outcome_of

HEADER = "stripe-signature"
VARIABLE = "STRIPE_WEBHOOK_SECRET"
# Events that may tell how an effect went, by its kind.
ENDS = {
    "Stripe.payment_intent.succeeded": "charge", "Stripe.payment_intent.payment_failed": "charge",
    "Stripe.payment_intent.canceled": "charge", "Stripe.refund.updated": "refund",
    "Stripe.refund.failed": "refund", "Stripe.charge.refund.updated": "refund",
}  # fmt: skip


class StripeWebhooks:
    """Verifies what comes to `/webhooks/stripe` (docs.stripe.com/webhooks/signature)."""

    asks = False

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets

    def event(self, headers: Mapping[str, str], body: bytes, now: datetime) -> dict[str, Any]:
        """The event that a webhook tells of, as CloudEvents fields: `Stripe.invoice.paid`, with
        Stripe's object as its data. ValueError where it is forged, too old or too new, or none."""
        stamp, signatures = _parts(headers.get(HEADER, ""))
        secret = self._secrets.need("webhook_secret", VARIABLE).reveal()
        wanted = sign(secret.encode(), stamp.encode() + b"." + body).hex()
        if not any(same(wanted, signature) for signature in signatures):
            raise ValueError("the signature is not one of this endpoint's secret")
        within(stamp, now)
        found = json_object(body)
        id_, type_, data = found.get("id"), found.get("type"), found.get("data")
        thing = data.get("object") if isinstance(data, dict) else None
        if not (isinstance(id_, str) and isinstance(type_, str) and isinstance(thing, dict)):
            raise ValueError("it is no event of Stripe's")
        return cloud_event("stripe", id_, f"Stripe.{type_}", found.get("created"), thing)

    def settles(self, event: Mapping[str, Any]) -> Settled | None:
        """The end of a payment or refund that was on its way: a debit, or one that its customer
        had to confirm."""
        kind, thing = ENDS.get(str(event["type"])), event["data"]
        effect = (thing.get("metadata") or {}).get(KEYS.effect)
        if kind is None or not isinstance(effect, str):
            return None
        return effect, outcome_of(kind, thing)


def _parts(header: str) -> tuple[str, list[str]]:
    """The time and the v1 signatures of `t=…,v1=…`; others are of schemes that are not taken."""
    stamp, signatures = "", []
    for part in header.split(","):
        name, _, value = part.strip().partition("=")
        if name == "t":
            stamp = value
        elif name == "v1":
            signatures.append(value)
    if not (stamp and signatures):
        raise ValueError("it has no Stripe-Signature")
    return stamp, signatures
