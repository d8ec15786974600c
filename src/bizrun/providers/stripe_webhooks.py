"""Stripe's webhooks: signed over the bytes as they came, within five minutes either way."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from .inbound import Settled, cloud_event, json_object, same, sign, within
from .secrets import Secrets
from .stripe_answers import KEYS, amount_of, outcome_of

HEADER = "stripe-signature"
ACCOUNT = "stripe_account"
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
        Stripe's object as its data, and beside it whose it is (`stripe_account`), where it is of
        a connected account, and what it was before (`previous_attributes`), where Stripe tells.
        ValueError where it is forged, too old or too new, or none."""
        stamp, signatures = _parts(headers.get(HEADER, ""))
        wanted = [sign(key, stamp.encode() + b"." + body).hex() for key in self._keys()]
        if not any(same(one, signature) for one in wanted for signature in signatures):
            raise ValueError("the signature is not one of this endpoint's secret")
        within(stamp, now)
        found = json_object(body)
        id_, type_, data = found.get("id"), found.get("type"), found.get("data")
        thing = data.get("object") if isinstance(data, dict) else None
        if not (isinstance(id_, str) and isinstance(type_, str) and isinstance(thing, dict)):
            raise ValueError("it is no event of Stripe's")
        before = data.get("previous_attributes") if isinstance(data, dict) else None
        beside = {ACCOUNT: found.get("account"), "previous_attributes": before}
        told = {**thing, **{name: value for name, value in beside.items() if value is not None}}
        return cloud_event("stripe", id_, f"Stripe.{type_}", found.get("created"), told)

    def _keys(self) -> list[bytes]:
        """The secrets of the endpoints that send here: an account's own, and the one of Connect."""
        found = self._secrets.several("webhook_secret", VARIABLE)
        return [secret.reveal().encode() for secret in found]

    def settles(self, event: Mapping[str, Any]) -> Settled | None:
        """The end of a payment or refund: one that was on its way (a debit, one that its customer
        had to confirm), or a later one. A connected account, which writes the metadata of its
        own objects, tells nothing of ours."""
        kind, thing = ENDS.get(str(event["type"])), event["data"]
        metadata = thing.get("metadata")
        effect = metadata.get(KEYS.effect) if isinstance(metadata, Mapping) else None
        if kind is None or not isinstance(effect, str) or not isinstance(thing.get("id"), str):
            return None
        if thing.get(ACCOUNT) not in (None, self._secrets.text("account")):
            return None
        amount = thing.get("amount"), thing.get("currency")
        return Settled(effect, outcome_of(kind, thing), kind, amount_of(*amount))


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
