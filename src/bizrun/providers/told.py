"""What services tell by webhooks of their own accord, in bizrun's words: by types of events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..model import Told

_STRIPE = (
    "charge.dispute.created", "charge.dispute.updated", "charge.dispute.closed",
    "charge.dispute.funds_withdrawn", "charge.dispute.funds_reinstated",
    "charge.refunded", "charge.refund.updated", "refund.created", "refund.updated",
    "refund.failed",
)  # fmt: skip
_PAYPAL = ("payment.capture.refunded",)
TYPES = frozenset([f"Stripe.{name}" for name in _STRIPE] + [f"PayPal.{name}" for name in _PAYPAL])


class ToldServices:
    """See `actions.told.Services`."""

    def tells(self, type_: str) -> bool:
        """Whether events of a type tell what moves money."""
        return type_ in TYPES

    def told(self, type_: str, data: Any) -> Sequence[Told]:
        """What an event tells of disputes and refunds."""
        from . import paypal_told, stripe_told

        if type_.startswith("PayPal."):
            return paypal_told.told(type_, data)
        return stripe_told.told(type_, data)
