"""What handlers may not write: the books that billing keeps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..errors import Refusal

# What billing has written down and nobody else changes; fields of an author's own are theirs.
_KEPT: Mapping[str, frozenset[str]] = {
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
_BILLED = frozenset({
    "customer", "plan", "quantity", "currency", "interval", "started", "anchor", "period_start",
    "period_end", "usage_start", "trial_end", "monthly_amount", "addons", "coupons", "billing",
    "pending_plan", "pending_quantity", "price",
})  # fmt: skip


def check_books(entity: str, changes: Iterable[str] = ()) -> None:
    """Refuses a handler that would write the books: only what moves money does."""
    if entity == "Ledger":
        raise Refusal("the ledger is written by billing alone")
    for name in changes:
        if entity == "Subscription" and name in _BILLED:
            raise Refusal(
                f"Subscription.{name} is changed by billing alone: `change_plan`, `set_quantity` "
                "and the other actions bill what follows"
            )
        if name in _KEPT.get(entity, ()):
            raise Refusal(
                f"{entity}.{name} is written by billing alone: a final invoice never changes, "
                "`credit_note`, `void_invoice` and `refund` correct it"
            )


def check_kept(entity: str) -> None:
    """Refuses to delete what the books and the numbers of invoices stand on."""
    if entity == "Ledger" or entity in _KEPT:
        raise Refusal(f"{entity} is part of the books: what it says is not deleted")
