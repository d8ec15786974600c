"""Account credit: granted, and by credit notes."""

from __future__ import annotations

from typing import Any

from ..billing.credit_notes import NoteLine
from ..billing.credit_notes import credit_note as note_of
from ..billing.invoicing import Line
from ..errors import Refusal
from ..values import Money
from . import ledger
from .customers import customer_row, settings
from .desk import Desk


def credit(desk: Desk, args: dict[str, Any], site: object, place: Any) -> str:
    """`credit { customer, amount, expires? }`."""
    amount, customer = args["amount"], args["customer"]
    customer_row(desk, customer)
    if amount <= Money(0, amount.currency):
        raise Refusal(f"credit is above zero, and {amount} is not")
    ledger.post(
        desk, f"{desk.base}/{site}/credit", customer,
        (ledger.GOODWILL, amount), (ledger.CREDIT, -amount),
    )  # fmt: skip
    return grant(desk, customer, amount, site, args.get("reason"), args.get("expires"))


def grant(
    desk: Desk,
    customer: str,
    amount: Money,
    site: object,
    reason: str | None = None,
    expires: Any = None,
) -> str:
    """A new grant of account credit."""
    data = {
        "customer": customer, "granted": amount, "balance": amount, "expires": expires,
        "reason": reason,
    }  # fmt: skip
    return desk.create("Wallet", data, f"credit/{site}")


def credit_note(desk: Desk, args: dict[str, Any], site: object, place: Any) -> str:
    """`credit_note { invoice, line?, amount?, refund? }`: corrects a final invoice."""
    key = args["invoice"]
    row = desk.row("Invoice", key)
    if row["status"] in ("draft", "void"):
        raise Refusal(f"invoice {row['number'] or key} is {row['status']}: nothing to correct")
    rows = sorted(desk.select("InvoiceLine", invoice=key), key=lambda r: int(r["position"]))
    place_of = None
    if args.get("line") is not None:
        numbers = {r["id"]: index for index, r in enumerate(rows)}
        if args["line"] not in numbers:
            raise Refusal(f"invoice {row['number']} has no line {args['line']}")
        place_of = numbers[args["line"]]
    lines = [_line(r) for r in rows]
    before = _before(desk, key, len(rows))
    note = note_of(lines, before, place_of, args.get("amount"), settings(desk).half_even)
    if not note.total:
        raise Refusal(f"nothing of invoice {row['number']} is left to credit")
    held = desk.peek("_number", "credit notes")
    last = held["last"] + 1 if held else 1
    desk.put("_number", "credit notes", {"id": "credit notes", "last": last})
    made = desk.create(
        "CreditNote",
        {
            "number": f"CN-{last:05}", "invoice": key, "customer": row["customer"],
            "amount": note.amount, "tax": note.tax, "total": note.total,
            "reason": args.get("reason"),
            "lines": [{"place": n.place, "amount": n.amount, "tax": n.tax} for n in note.lines],
        },
        f"credit_note/{site}",
    )  # fmt: skip
    _settle(desk, row, made, note.total, args, site, place)
    ledger.post(
        desk, f"{made}/note", row["customer"],
        (ledger.REVENUE, note.amount), (ledger.TAX, note.tax),
        (ledger.RECEIVABLE, -note.total),
    )  # fmt: skip
    return made


def _line(row: Any) -> Line:
    return Line(
        row["kind"], row["description"], row["amount"], row["quantity"], row["unit_amount"],
        meter=row["meter"], discount=row["discount"], tax=row["tax"],
    )  # fmt: skip


def _before(desk: Desk, invoice: str, count: int) -> tuple[NoteLine, ...]:
    """What earlier notes gave back, line by line."""
    return tuple(
        NoteLine(part["place"], part["amount"], part["tax"])
        for row in desk.select("CreditNote", invoice=invoice)
        for part in row["lines"] or ()
        if part["place"] < count
    )


def _settle(
    desk: Desk, row: Any, note: str, total: Money, args: dict[str, Any], site: object, place: Any
) -> None:
    """First lowers what is open, then becomes account credit or is refunded."""
    taken = min(total, row["amount_open"])
    if taken:
        desk.change("Invoice", row["id"], amount_open=row["amount_open"] - taken)
        if taken == row["amount_open"]:
            from .invoices import paid

            paid(desk, row["id"])
    rest = total - taken
    if not rest:
        return
    if args.get("refund"):
        from .payments import refund

        for payment in desk.select("Payment", invoice=row["id"]):
            left = payment["amount"] - payment["refunded"]
            part = min(rest, left)
            if payment["status"] in ("succeeded", "refunded") and part:
                refund(desk, {"payment": payment["id"], "amount": part}, f"{site}/note", place, None)
                rest = rest - part
        ledger.post(
            desk, f"{note}/refund", row["customer"],
            (ledger.RECEIVABLE, total - taken - rest), (ledger.REFUNDS, rest + taken - total),
        )  # fmt: skip
    if rest:
        ledger.post(
            desk, f"{note}/credit", row["customer"],
            (ledger.RECEIVABLE, rest), (ledger.CREDIT, -rest),
        )  # fmt: skip
        grant(desk, row["customer"], rest, f"{site}/note", f"credit note {note}")
