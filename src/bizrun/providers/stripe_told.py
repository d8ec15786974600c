"""What Stripe tells of its own accord: disputes, and refunds, those of its dashboard among them.

A pure function of Stripe's objects (docs.stripe.com/api/disputes/object, …/refunds/object): what is
not as documented says nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from ..model import Disputed, Outcome, Refunded, Told
from ..values import Money
from .stripe_answers import KEYS, amount_of, outcome_of

# An inquiry (warning_…) moves no money, nor does a dispute that was prevented.
_STATUSES: Mapping[str, Literal["open", "won", "lost"]] = {
    "needs_response": "open", "under_review": "open", "won": "won", "lost": "lost",
}  # fmt: skip


def told(type_: str, thing: Any) -> tuple[Told, ...]:
    """What an event `Stripe.…` says of disputes and refunds."""
    if not isinstance(thing, Mapping):
        return ()
    if type_.startswith("Stripe.charge.dispute."):
        return tuple(_dispute(thing))
    if type_ == "Stripe.charge.refunded":
        return tuple(_charge(thing))
    return tuple(_refund(thing))


def _dispute(thing: Mapping[str, Any]) -> Iterator[Disputed]:
    status = _STATUSES.get(str(thing.get("status")))
    reference = _id(thing)
    amount = amount_of(thing.get("amount"), thing.get("currency"))
    if status is None or reference is None or amount is None or amount <= amount * 0:
        return
    reason = thing.get("reason")
    evidence = thing.get("evidence_details")
    due = evidence.get("due_by") if isinstance(evidence, Mapping) else None
    yield Disputed(
        reference, _payments(thing), amount, status,
        reason if isinstance(reason, str) else None, _fee(thing, amount.currency), _instant(due),
    )  # fmt: skip


def _fee(thing: Mapping[str, Any], currency: str) -> Money | None:
    """What Stripe has kept for a dispute so far: it may give that back with the money."""
    entries = thing.get("balance_transactions")
    fees = [
        amount_of(entry.get("fee"), entry.get("currency"))
        for entry in (entries if isinstance(entries, list) else ())
        if isinstance(entry, Mapping)
    ]
    known = [fee for fee in fees if fee is not None and fee.currency == currency]
    return sum(known[1:], known[0]) if known else None


def _charge(thing: Mapping[str, Any]) -> Iterator[Refunded]:
    """A charge says what was refunded of it in all, and to some versions of the API by what."""
    refunds = thing.get("refunds")
    listed = refunds.get("data") if isinstance(refunds, Mapping) else None
    for one in listed if isinstance(listed, list) else ():
        if isinstance(one, Mapping):
            yield from _refund({**one, "payment_intent": thing.get("payment_intent")})
    amount = amount_of(thing.get("amount_refunded"), thing.get("currency"))
    if amount is not None and amount > amount * 0:
        own = {"payment_intent": thing.get("payment_intent"), "charge": thing.get("id")}
        yield Refunded(None, _payments(own), amount, Outcome("succeeded"))


def _refund(thing: Mapping[str, Any]) -> Iterator[Refunded]:
    reference, metadata = _id(thing), thing.get("metadata")
    amount = amount_of(thing.get("amount"), thing.get("currency"))
    if reference is None or amount is None or amount <= amount * 0:
        return
    effect = metadata.get(KEYS.effect) if isinstance(metadata, Mapping) else None
    outcome = outcome_of("refund", {**thing, "id": reference})
    yield Refunded(
        reference, _payments(thing), amount, outcome, effect if isinstance(effect, str) else None
    )


def _payments(thing: Mapping[str, Any]) -> tuple[str, ...]:
    """The ids by which a payment may be known: those of its intent and of its charge."""
    found = (_id(thing.get(name)) for name in ("payment_intent", "charge"))
    return tuple(id_ for id_ in found if id_ is not None)


def _id(value: Any) -> str | None:
    """An id, or that of an object in its place."""
    found = value.get("id") if isinstance(value, Mapping) else value
    return found if isinstance(found, str) and found else None


def _instant(seconds: Any) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, UTC) if isinstance(seconds, int) else None
    except (ValueError, OverflowError, OSError):
        return None
