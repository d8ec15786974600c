"""Finds what a document is made from among the rows of a store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..values import Money
from .document import Document, Row, Rows, Settled, details_at, unbilled


class Finder:
    """The documents of one business; `bills` is the entity of its customers, if it has any."""

    def __init__(
        self, business: Row, bills: str | None, zone: str, units: Mapping[str, str]
    ) -> None:
        self._business = business
        self._bills = bills
        self._zone = zone
        self._units = units

    def invoice(self, row: Row, store: Rows) -> Document:
        """An invoice, made out to the customer as they were on the day of issue."""
        lines = store.select("InvoiceLine", {"invoice": row["id"]})
        return replace(
            self._of(row, list(lines), store), settled=settled(row, store), units=self._units
        )

    def credit_note(self, note: Row, store: Rows) -> Document | None:
        """A credit note; none where its invoice isn't there."""
        invoice = store.get("Invoice", note["invoice"])
        return None if invoice is None else self.invoice(invoice, store).noted(note)

    def receipt(self, payment: Row, store: Rows) -> Document | None:
        """The receipt of a payment, with the lines of its invoice where it has one."""
        invoice = store.get("Invoice", payment["invoice"]) if payment["invoice"] else None
        if invoice is not None:
            return self.invoice(invoice, store).received(payment)
        row, line = unbilled(payment)
        return self._of(row, [line], store).received(payment)

    def attached(self, value: Mapping[str, Any], store: Rows) -> Document | None:
        """What `pdf(x)` stands for: the document as it was when the email was asked for."""
        kind = str(value.get("attachment"))
        table = TABLES.get(kind)
        held = value.get(kind)
        key = held.get("$key") if isinstance(held, Mapping) else held
        row = store.get(table, str(key)) if table else None
        if row is None:
            return None
        row = {**row, **value.get("row", {})}
        match kind:
            case "credit_note":
                return self.credit_note(row, store)
            case "receipt":
                return self.receipt(row, store)
        return self.invoice(row, store)

    def _of(self, row: Row, lines: list[Any], store: Rows) -> Document:
        found = store.get(self._bills, row["customer"]) if self._bills else None
        customer = details_at(store, row["customer"], found, row["issued_at"])
        return Document.of(row, lines, self._business, customer, self._zone)


def settled(row: Row, store: Rows) -> tuple[Settled, ...]:
    """What lowered an invoice's amount due to what is open: payments, then credit notes, and the
    credit of a later change or of the account."""
    left: Money = row["amount_due"] - row["amount_open"]
    if not left or row["status"] == "void":
        return ()
    zero = left * 0
    came = store.select("Payment", {"invoice": row["id"]})
    good = (
        p["amount"] - (p["charged_back"] or zero)
        for p in came if p["status"] in ("succeeded", "refunded")
    )  # fmt: skip
    parts = [Settled("paid", min(sum(good, zero), left))]
    left = left - parts[0].amount
    if left:
        notes = list(store.select("CreditNote", {"invoice": row["id"]}))
        for note in sorted(notes, key=lambda note: (note["created_at"], note["id"])):
            parts.append(Settled("credit_note", min(note["total"], left), str(note["number"])))
            left = left - parts[-1].amount
        parts.append(Settled("credit", left))
    return tuple(part for part in parts if part.amount)


TABLES = {"invoice": "Invoice", "credit_note": "CreditNote", "receipt": "Payment"}
