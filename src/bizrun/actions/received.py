"""Money that came in without a processor: by bank transfer, cheque or cash."""

from __future__ import annotations

from typing import Any

from ..errors import Refusal
from ..values import Money, zero
from . import settlement
from .customers import settings
from .desk import Desk
from .payments import OUTSIDE


def record_payment(desk: Desk, args: dict[str, Any], site: object, place: Any) -> str:
    """`record_payment { invoice, amount?, reference?, description? }`: notes a payment that has
    arrived; nobody is charged.

    Without an amount it is what is open; beyond that it is account credit. Refused where nothing
    is open, and where a payment of that `reference` is noted already: one line of a bank
    statement counts once.
    """
    row = desk.row("Invoice", args["invoice"])
    name = row["number"] or row["id"]
    if row["status"] not in settlement.PAYABLE:
        raise Refusal(f"invoice {name} is {row['status']}: nothing is open on it")
    left, reference = row["amount_open"], args.get("reference")
    amount = left if args.get("amount") is None else args["amount"]
    amount = amount.rounded(settings(desk).half_even)
    if amount.currency != left.currency or amount <= Money(0, left.currency):
        raise Refusal(f"{amount} is no payment of invoice {name}: {left} is open on it")
    if reference is not None and any(
        each["processor"] == OUTSIDE for each in desk.select("Payment", reference=reference)
    ):
        raise Refusal(f"a payment with the reference {reference!r} is noted already")
    about = {
        "customer": row["customer"], "invoice": row["id"], "subscription": row["subscription"],
        "amount": amount, "refunded": zero(amount.currency), "status": "succeeded",
        "reference": reference, "processor": OUTSIDE,
        "description": args.get("description") or f"Invoice {name}",
    }  # fmt: skip
    payment = desk.insert("Payment", about, f"payment/{site}")
    settlement.succeeded(desk, payment, {}, None)
    return str(payment["id"])
