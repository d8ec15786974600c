"""The ledger: every movement of money as postings that sum to zero."""

from __future__ import annotations

from ..values import Money
from .desk import Desk

RECEIVABLE = "receivable"
CASH = "cash"
REVENUE = "revenue"
TAX = "tax"
CREDIT = "customer credit"
GOODWILL = "credit granted"
REFUNDS = "refunds"
BAD_DEBT = "uncollectible"


def post(desk: Desk, entry: str, customer: str | None, *postings: tuple[str, Money]) -> None:
    """Writes one entry: accounts with their amounts, debits above zero. They must balance."""
    total: dict[str, Money] = {}
    for _, amount in postings:
        held = total.get(amount.currency)
        total[amount.currency] = amount if held is None else held + amount
    assert not any(total.values()), (entry, postings)
    for number, (account, amount) in enumerate(postings):
        if not amount:
            continue
        key = f"{entry}|{number}"
        desk.put(
            "_posting",
            key,
            {
                "id": key, "order": number, "at": desk.now, "entry": entry, "account": account,
                "customer": customer, "amount": amount, "event": desk.base,
            },
        )  # fmt: skip
