"""What PayPal tells of its own accord: refunds that were made in its account.

Disputes are left to the spec: how one ended is told again as a refund or a reversal of the capture.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import urlsplit

from ..currencies import EXPONENTS
from ..model import Outcome, Refunded
from ..values import Money

REFUNDED = "PayPal.payment.capture.refunded"
_CAPTURES = "/v2/payments/captures/"


def told(type_: str, thing: Any) -> tuple[Refunded, ...]:
    """What an event `PayPal.…` says of a refund, which links up to its capture."""
    return tuple(_refund(thing)) if isinstance(thing, Mapping) else ()


def _refund(thing: Mapping[str, Any]) -> Iterator[Refunded]:
    reference, amount, capture = thing.get("id"), _amount(thing.get("amount")), _capture(thing)
    if not isinstance(reference, str) or amount is None or capture is None:
        return
    effect = thing.get("custom_id")
    yield Refunded(
        reference, (capture,), amount, _outcome(str(thing.get("status")), reference),
        effect if isinstance(effect, str) else None,
    )  # fmt: skip


def _outcome(status: str, reference: str) -> Outcome:
    match status:
        case "PENDING":
            return Outcome("pending", None, None, reference)
        case "FAILED" | "CANCELLED":
            return Outcome("failed", status.lower(), None, reference)
    return Outcome("succeeded", None, None, reference)


def _capture(thing: Mapping[str, Any]) -> str | None:
    """The id of the capture that was refunded: in the path of the link `up`."""
    links = thing.get("links")
    for link in links if isinstance(links, list) else ():
        if isinstance(link, Mapping) and link.get("rel") == "up":
            before, found, id_ = urlsplit(str(link.get("href"))).path.partition(_CAPTURES)
            return id_ if found and not before and id_ else None
    return None


def _amount(found: Any) -> Money | None:
    if not isinstance(found, Mapping):
        return None
    code, value = found.get("currency_code"), found.get("value")
    if code not in EXPONENTS or not isinstance(value, str):
        return None
    try:
        amount = Money(Decimal(value), code)
    except InvalidOperation:
        return None
    return amount if amount.amount.is_finite() and amount > amount * 0 else None
