"""What crosses the borders between engine, store and providers."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from urllib.parse import quote

import msgspec
from msgspec.structs import asdict

from .values import Money

# The source of events that the engine makes itself: their ids are derived, so never claimed.
INTERNAL = "bizrun"
# What a line of an invoice is for; `wallet` is credit that is sold.
LINE_KINDS = ("base", "usage", "correction", "proration", "one_off", "minimum", "maximum")
WALLET_KIND = "wallet"
# What billing has written down and nobody else changes; fields of an author's own are theirs.
BOOKS: dict[str, frozenset[str]] = {
    "Invoice": frozenset({
        "number", "customer", "currency", "subtotal", "discount", "tax", "total", "credit",
        "amount_due", "amount_open", "status", "issued_at", "paid_at",
    }),
    "InvoiceLine": frozenset({"invoice", "quantity", "unit_amount", "amount", "discount", "tax"}),
    "Payment": frozenset({
        "customer", "invoice", "amount", "refunded", "status", "disputed", "charged_back",
    }),
    "PaymentDispute": frozenset({"payment", "customer", "invoice", "amount", "fee", "status"}),
    "Refund": frozenset({"payment", "customer", "amount", "status"}),
    "CreditNote": frozenset({"number", "invoice", "customer", "amount", "tax", "total"}),
    "Wallet": frozenset({"customer", "granted", "balance"}),
}  # fmt: skip
# What an action has to change, since money follows it. A `status` may be set: billing does its
# part then.
BILLED = frozenset({
    "customer", "plan", "quantity", "currency", "interval", "started", "anchor", "period_start",
    "period_end", "usage_start", "trial_end", "monthly_amount", "addons", "coupons", "billing",
    "pending_plan", "pending_quantity", "price",
})  # fmt: skip
EventStatus = Literal["handled", "unmatched", "duplicate", "rejected", "failed"]


def base_of(id_: str, source: str) -> str:
    """An event's id with its source, as one name: see `Event.base`."""
    if source == INTERNAL or (not source and "@" not in id_):
        return id_
    return f"{id_}@{quote(source, ':/?=&+,;', errors='surrogatepass')}"


class Event(msgspec.Struct, gc=False):
    """Something that happened: from outside, or emitted by what handled another one.

    `data` has the payload with exact values; `depth` counts how many events lead to it, `cause`
    is the log's number of the one before it; `stamp` its time as it was written; `corrects` the
    id of the event whose effect on meters it replaces.
    """

    id: str
    type: str
    time: datetime
    data: dict[str, Any]
    source: str = ""
    subject: Any = None
    seq: int = 0
    cause: int | None = None
    depth: int = 0
    stamp: str | None = None
    tenant: str | None = None
    corrects: str | None = None

    @property
    def base(self) -> str:
        """What its work is named after, and by that all ids and keys of what the work makes: an
        id is unique with its source only (RELIABILITY.md 9), so another source's `e1` has another
        name. No two events share one: in a source no `@` is left."""
        return base_of(self.id, self.source)

    def envelope(self) -> dict[str, Any]:
        """What a handler reads as `event`."""
        return {
            "id": self.id, "type": self.type, "time": self.time, "subject": self.subject,
            "corrects": self.corrects,
        }  # fmt: skip


class Receipt(msgspec.Struct, frozen=True, gc=False):
    """What became of an event: for the sender, and for `expect reply` and `expect rejected`."""

    id: str
    status: EventStatus
    reason: str | None = None
    reply: Any = None


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """How an effect went: one vocabulary for every provider.

    status: succeeded, failed (with `error`, a code such as card_declined), pending (the provider
    has it and tells later, by a webhook), or unknown. `data` is what the provider answered,
    `reference` its own id.
    """

    status: Literal["succeeded", "failed", "pending", "unknown"]
    error: str | None = None
    data: Any = None
    reference: str | None = None

    def as_row(self) -> dict[str, Any]:
        """Its fields by name."""
        return asdict(self)


class Effect(msgspec.Struct, frozen=True, gc=False):
    """A request to the outside world, frozen with its key before anything is sent.

    `id` is the idempotency key; `kind` the action (charge, email, shippo.post …); `data` its
    fields; `place` the spec's line; `event` the id of the event that caused it.
    """

    id: str
    kind: str
    data: dict[str, Any]
    created: datetime
    event: str
    place: str
    customer: str | None = None
    order: int = 0


class Disputed(msgspec.Struct, frozen=True, gc=False):
    """How a dispute stands, as a service tells it: by its own ids of the dispute and of the
    payment (any of them). `fee` is what it has kept for it so far, where it says."""

    reference: str
    payments: tuple[str, ...]
    amount: Money
    status: Literal["open", "won", "lost"]
    reason: str | None = None
    fee: Money | None = None
    respond_by: datetime | None = None


class Refunded(msgspec.Struct, frozen=True, gc=False):
    """How a refund stands, as a service tells it. `effect` is what asked for it here, where it says
    that; `reference` is none where it only says how much of a payment has been refunded in all."""

    reference: str | None
    payments: tuple[str, ...]
    amount: Money
    outcome: Outcome
    effect: str | None = None


Told = Disputed | Refunded


@dataclass(slots=True)
class Counts:
    """What a run did, for its summary."""

    read: int = 0
    handled: int = 0
    duplicate: int = 0
    rejected: int = 0
    unmatched: int = 0
    malformed: int = 0
    conflicts: int = 0
    failed: int = 0
    late: int = 0  # handlers that were refused after their event had been handled
    refusals: list[dict[str, Any]] = field(default_factory=list)
    strangers: dict[str, int] = field(default_factory=dict)  # types that nothing handles
