"""Account credit: granted, taken by invoices, given back; credit notes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from ..billing.credit_notes import Note, NoteLine, exactly
from ..billing.credit_notes import credit_note as note_of
from ..billing.credits import USUAL, CreditUse
from ..billing.invoicing import Line
from ..billing.proration import portion
from ..errors import EvalError, Refusal
from ..values import Money
from . import charged, given_back, ledger, payments, settlement, wallets
from .arguments import above_zero
from .customers import settings
from .desk import Desk
from .numbers import next_number


@dataclass(frozen=True, slots=True)
class Surplus:
    """What becomes of a net below zero: it first lowers what is open on `invoices`; the rest is
    refunded where that is asked for, or becomes account credit."""

    invoices: tuple[str, ...] = ()
    refund: bool = False
    site: str = ""
    place: Any = ""


def grant(
    desk: Desk,
    customer: str,
    amount: Money,
    site: object,
    reason: str | None = None,
    expires: Any = None,
    terms: Mapping[str, Any] = {},
) -> str:
    """A new grant of account credit; `terms` are further fields of its row."""
    known = f"credit|{customer}"
    if desk.peek("_number", known) is None:
        desk.put("_number", known, {"id": known, "last": 1})
    data = {
        "customer": customer, "granted": amount, "balance": amount, "expires": expires,
        "reason": reason, "priority": USUAL, **terms,
    }  # fmt: skip
    return str(desk.insert("Wallet", data, f"credit/{site}")["id"])


def take(desk: Desk, invoice: str, customer: str, uses: Sequence[CreditUse]) -> None:
    """Takes what an invoice uses of each grant."""
    if not uses:
        return
    for use in uses:
        wallet = desk.row("Wallet", use.grant)
        desk.change("Wallet", use.grant, balance=wallet["balance"] - use.amount)
    total = sum((use.amount for use in uses[1:]), uses[0].amount)
    ledger.post(
        desk, f"{invoice}/credit", customer,
        (ledger.CREDIT, total), (ledger.RECEIVABLE, -total),
    )  # fmt: skip


def carry(desk: Desk, row: Mapping[str, Any], amount: Money) -> None:
    """What an invoice comes to is too little to be charged: the customer owes it on the account."""
    ledger.post(
        desk, f"{row['id']}/carried", row["customer"],
        (ledger.CREDIT, amount), (ledger.RECEIVABLE, -amount),
    )  # fmt: skip
    site = f"carried/{row['id']}"
    wallet = grant(desk, row["customer"], -amount, site, f"invoice {row['number']}")
    desk.change("Invoice", row["id"], credits=[*(row["credits"] or ()),
                                               _carried(wallet, amount)])  # fmt: skip


def use_row(use: CreditUse) -> dict[str, Any]:
    """How an invoice keeps what it took of a grant, or asks for of what earlier ones carried."""
    if use.amount.amount < 0:
        return _carried(use.grant, use.amount)
    return {"wallet": use.grant, "amount": use.amount}


def _carried(wallet: str, amount: Money) -> dict[str, Any]:
    return {"wallet": wallet, "amount": amount, "carried": True}


def give_surplus(
    desk: Desk, row: Mapping[str, Any], amount: Money, surplus: Surplus | None
) -> None:
    """Gives a customer what an invoice comes to below zero."""
    left = amount
    for key in surplus.invoices if surplus else ():
        left = left - settlement.lower(desk, key, left)
    if left and surplus is not None and surplus.refund:
        left = left - refund_of(desk, surplus.invoices, left, f"{row['id']}/refund",
                                surplus.site, surplus.place)  # fmt: skip
    if not left:
        return
    ledger.post(
        desk, f"{row['id']}/granted", row["customer"],
        (ledger.RECEIVABLE, left), (ledger.CREDIT, -left),
    )  # fmt: skip
    wallet = grant(desk, row["customer"], left, f"granted/{row['id']}", f"invoice {row['number']}")
    desk.change("Invoice", row["id"], credits=[*(row["credits"] or ()),
                                               {"wallet": wallet, "amount": -left}])  # fmt: skip


def refund_of(
    desk: Desk, invoices: Sequence[str], amount: Money, entry: str, site: str, place: Any
) -> Money:
    """Refunds up to an amount from the payments of invoices; how much."""
    left, count = amount, 0
    for key in dict.fromkeys(invoices):
        row = desk.row("Invoice", key)
        for payment in desk.select("Payment", invoice=key):
            part = min(left, payments.left_of(payment))
            if payment["status"] not in ("succeeded", "refunded") or not part:
                continue
            count += 1
            args = {"payment": payment["id"], "amount": part, "for": entry}
            payments.send_refund(desk, payment, args, f"{site}/refund/{count}", place, None)
            ledger.post(
                desk, f"{entry}/{count}", row["customer"],
                (ledger.RECEIVABLE, part), (ledger.REFUNDS, -part),
            )  # fmt: skip
            left = left - part
    return amount - left


def void(desk: Desk, row: Mapping[str, Any]) -> None:
    """Takes an invoice back: what it took of each grant returns to it, with its expiry."""
    given = Money(0, row["currency"])
    for use in row["credits"] or ():
        wallet = desk.row("Wallet", use["wallet"])
        balance = wallet["balance"] + use["amount"]
        if wallet["granted"].amount > 0:
            balance = max(balance, given * 0)
        desk.change("Wallet", use["wallet"], balance=balance)
        given = given + balance - wallet["balance"]
    ledger.voided(desk, row, given)


# --- credit notes ----------------------------------------------------------------------------


def credit_note(desk: Desk, args: dict[str, Any], site: object, place: Any) -> str:
    """`credit_note { invoice, line?, amount?, refund? }`: corrects a final invoice."""
    key = args["invoice"]
    row = desk.row("Invoice", key)
    if row["status"] in ("draft", "void"):
        raise Refusal(f"invoice {row['number'] or key} is {row['status']}: nothing to correct")
    rows = sorted(desk.select("InvoiceLine", invoice=key), key=lambda r: int(r["position"]))
    if args.get("amount") is not None:
        above_zero(desk, "a credit note", args["amount"])
    note = _bounded(desk, row, rows, args)
    made = desk.insert(
        "CreditNote",
        {
            "number": next_number(desk, settings(desk).credit_note_number), "invoice": key,
            "customer": row["customer"], "amount": note.amount, "tax": note.tax,
            "total": note.total,
            "reason": args.get("reason"),
            "lines": [{"place": n.place, "amount": n.amount, "tax": n.tax} for n in note.lines],
        },
        f"credit_note/{site}",
    )["id"]  # fmt: skip
    ledger.noted(desk, str(made), row, rows, note.lines)
    given = ((str(rows[n.place]["kind"]), n.amount) for n in note.lines)
    wallets.take_back(desk, str(made), key, given)
    parts = {rows[n.place]["id"]: n.amount for n in note.lines}
    payments.uncharge(desk, row, parts, {r["id"]: r["amount"] - r["discount"] for r in rows})
    payments.charge_again(desk, row, [(rows[n.place], n.amount) for n in note.lines])
    for n in note.lines:
        given_back.noted(desk, row, rows[n.place], n.amount)
    _settle(desk, row, made, note.total, args, site, place)
    return str(made)


def _bounded(desk: Desk, row: Mapping[str, Any], rows: Sequence[Any], args: dict[str, Any]) -> Note:
    """A note over no more than is still charged; without an amount, over what is left."""
    note, left = _note(desk, row, rows, args), _left(desk, row, rows, args.get("line"))
    if note.total <= left:
        return note
    if left.amount <= 0 or args.get("amount") is not None:
        raise Refusal(
            f"{note.total} can't be credited: {max(left, left * 0)} of invoice {row['number']} is "
            "left, the rest was given back"
        )
    share = Fraction(left.amount) / Fraction(note.total.amount)
    amount = portion(note.amount, share).rounded(settings(desk).half_even)
    return exactly(_note(desk, row, rows, {**args, "amount": amount}), left)


def _left(desk: Desk, row: Mapping[str, Any], rows: Sequence[Any], line: str | None) -> Money:
    """What is still charged of an invoice; for a charge of a change, what of its charges is: what
    the change gave back of an earlier invoice takes nothing off that."""
    if any(r["id"] == line and r["amount"] > r["discount"] for r in rows):
        return charged.left_of_charges(desk, row["id"])
    return charged.still_charged(desk, row["id"])


def _note(desk: Desk, row: Mapping[str, Any], rows: Sequence[Any], args: dict[str, Any]) -> Note:
    place = None
    if args.get("line") is not None:
        numbers = {r["id"]: index for index, r in enumerate(rows)}
        if args["line"] not in numbers:
            raise Refusal(f"invoice {row['number']} has no line {args['line']}")
        place = numbers[args["line"]]
    lines = [
        Line(
            r["kind"], r["description"], r["amount"], r["quantity"], r["unit_amount"],
            meter=r["meter"], discount=r["discount"], tax=r["tax"],
        )
        for r in rows
    ]  # fmt: skip
    before = tuple(
        NoteLine(part["place"], part["amount"], part["tax"])
        for note in desk.select("CreditNote", invoice=row["id"])
        for part in note["lines"] or ()
    )
    try:
        found = note_of(lines, before, place, args.get("amount"), settings(desk).half_even)
    except EvalError as problem:
        raise Refusal(str(problem)) from None
    if found.total <= Money(0, row["currency"]):
        raise Refusal(f"nothing of invoice {row['number']} is left to credit")
    return found


def _settle(
    desk: Desk, row: Mapping[str, Any], note: str, total: Money, args: dict[str, Any],
    site: object, place: Any,
) -> None:  # fmt: skip
    """First lowers what is open, then is refunded or becomes account credit."""
    rest = total - settlement.lower(desk, row["id"], total)
    if rest and args.get("refund"):
        rest = rest - refund_of(desk, [row["id"]], rest, f"{note}/refund", f"{site}/note", place)
    if rest:
        ledger.post(
            desk, f"{note}/credit", row["customer"],
            (ledger.RECEIVABLE, rest), (ledger.CREDIT, -rest),
        )  # fmt: skip
        grant(desk, row["customer"], rest, f"{site}/note", f"credit note {note}")
