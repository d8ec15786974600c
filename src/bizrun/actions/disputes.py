"""Disputes: payments that their customers' banks want back (chargebacks), won or lost.

While one is open the bank holds the money; a dispute that is lost opens the invoice again, and of a
charge without one takes from its parties what a refund would (docs/billing.md, Disputes).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import Refusal
from ..model import Disputed, Outcome
from ..values import Money
from . import credits, ledger, marketplace, outside, payments, settlement, wallets
from .arguments import checked_amount
from .customers import settings
from .desk import Desk
from .invoices import is_sent

_PAYABLE = ("final", "sent", "paid", "uncollectible")


# --- what an author does -----------------------------------------------------------------------


def open_dispute(desk: Desk, args: dict[str, Any], site: object, place: Any) -> str:
    """`open_dispute { payment, amount?, reason?, fee?, reference?, respond_by? }`: never more than
    is left of the charge."""
    payment = desk.row("Payment", args["payment"])
    check_received(payment)
    left = payments.left_of(payment)
    amount = left if args.get("amount") is None else args["amount"]
    amount = amount.rounded(settings(desk).half_even)
    if amount.currency != left.currency or amount <= left * 0 or amount > left:
        raise Refusal(f"{amount} can't be disputed: {left} of the charge is left")
    about = {name: args.get(name) for name in ("reason", "reference", "respond_by")}
    return str(begin(desk, payment, amount, _fee(desk, args, left), about, str(site))["id"])


def close_dispute(desk: Desk, args: dict[str, Any], site: object, place: Any) -> str:
    """`close_dispute { dispute, outcome, fee? }`: won or lost; one that was lost may still be won
    (a chargeback that is reversed)."""
    row = desk.row("PaymentDispute", args["dispute"])
    outcome = args["outcome"]
    if row["status"] in (outcome, "won"):
        raise Refusal(f"dispute {row['id']} is {row['status']}: it is over")
    charge_fee(desk, row, _fee(desk, args, row["amount"]))
    end(desk, row["id"], outcome)
    return str(row["id"])


def _fee(desk: Desk, args: Mapping[str, Any], of: Money) -> Money | None:
    """What the processor keeps for a dispute, nothing where it gives that back."""
    fee: Money | None = args.get("fee")
    if fee is None:
        return None
    fee = checked_amount("a fee", fee.rounded(settings(desk).half_even))
    if fee.amount < 0 or fee.currency != of.currency:
        raise Refusal(f"{fee} is no fee of a dispute over {of}")
    return fee


def check_received(payment: Mapping[str, Any]) -> None:
    """Refuses what is about a payment that has not come in."""
    if payment["status"] not in ("succeeded", "refunded"):
        raise Refusal(
            f"payment {payment['id']} is {payment['status']}: there is nothing to dispute"
        )


# --- what a processor tells --------------------------------------------------------------------


def told(desk: Desk, said: Disputed) -> None:
    """Takes how a dispute stands, whichever of a processor's messages comes first: one that is
    over does not open again."""
    payment = outside.payment_of(desk, said.payments, said.amount)
    if payment is None:
        return
    row = _known(desk, payment["id"], said)
    if row is None:
        about = {
            "reason": said.reason, "reference": said.reference, "respond_by": said.respond_by,
        }  # fmt: skip
        row = begin(desk, payment, said.amount, said.fee, about, said.reference)
    elif said.status != "open" or row["status"] == "open":
        charge_fee(desk, row, said.fee)
    if said.status != "open" and row["status"] not in (said.status, "won"):
        end(desk, row["id"], said.status)


def _known(desk: Desk, payment: str, said: Disputed) -> Mapping[str, Any] | None:
    """The dispute of a processor's id, or an open one over as much that had none so far: noted by
    hand before, or of a test card."""
    rows = desk.select("PaymentDispute", payment=payment)
    for row in rows:
        if row["reference"] == said.reference:
            return row
    for row in rows:
        if row["reference"] is None and row["status"] == "open" and row["amount"] == said.amount:
            return desk.change("PaymentDispute", row["id"], reference=said.reference)
    return None


def answered(desk: Desk, payment: str, outcome: Outcome) -> None:
    """Opens the dispute that the answer to a charge already tells of: that of a test card."""
    answer = outcome.data if outcome.status == "succeeded" else None
    reason = answer.get("dispute") if isinstance(answer, Mapping) else None
    if reason is not None:
        row = desk.row("Payment", payment)
        begin(desk, row, row["amount"], None, {"reason": str(reason)}, payment)


# --- its life ----------------------------------------------------------------------------------


def begin(
    desk: Desk, payment: Mapping[str, Any], amount: Money, fee: Money | None,
    about: Mapping[str, Any], site: str,
) -> Mapping[str, Any]:  # fmt: skip
    """Opens a dispute: the bank holds the money. What of it is more than is left of the charge
    (it was refunded before, and the bank took it all the same) is no part of the charge."""
    zero = payment["amount"] * 0
    part = max(min(amount, payments.left_of(payment)), zero)
    row = desk.insert(
        "PaymentDispute",
        {"payment": payment["id"], "customer": payment["customer"], "invoice": payment["invoice"],
         "amount": amount, "status": "open", "booked": {"charge": part}, **about},
        f"dispute/{site}",
    )  # fmt: skip
    desk.change("Payment", payment["id"], disputed=(payment["disputed"] or zero) + part or None)
    ledger.post(
        desk, f"{row['id']}/disputed", payment["customer"],
        (ledger.DISPUTED, amount), (ledger.CASH, -amount),
    )  # fmt: skip
    _announce(desk, "Payment.disputed", row)
    return charge_fee(desk, row, fee)


def charge_fee(desk: Desk, row: Mapping[str, Any], fee: Money | None) -> Mapping[str, Any]:
    """Posts what the processor has kept for a dispute so far, as far as that has changed."""
    if fee is None or fee.currency != row["amount"].currency or fee == row["fee"]:
        return row
    before = row["fee"] or fee * 0
    about = row["id"] if row["fee"] is None else desk.fresh(f"{row['id']}/{desk.base}")
    ledger.post(
        desk, f"{about}/fee", row["customer"],
        (ledger.FEES, fee - before), (ledger.CASH, before - fee),
    )  # fmt: skip
    return desk.change("PaymentDispute", row["id"], fee=fee)


def end(desk: Desk, dispute: str, outcome: str) -> None:
    """A dispute is over, or one that was lost is won after all."""
    row = desk.row("PaymentDispute", dispute)
    desk.change("PaymentDispute", row["id"], status=outcome, closed_at=desk.now)
    _announce(desk, f"Payment.dispute_{outcome}", row)
    match row["status"], outcome:
        case "open", "won":
            _release(desk, row)
            _to_cash(desk, row)
        case "open", "lost":
            _release(desk, row)
            _lose(desk, row)
        case "lost", "won":
            _regain(desk, row)


def _announce(desk: Desk, event: str, row: Mapping[str, Any]) -> None:
    payment = desk.row("Payment", row["payment"])
    desk.announce(
        event, payment["id"], payment=payment["id"], dispute=row["id"],
        customer=payment["customer"], invoice=payment["invoice"],
        subscription=payment["subscription"], amount=row["amount"], reason=row["reason"],
    )  # fmt: skip


def _release(desk: Desk, row: Mapping[str, Any]) -> None:
    """The bank holds nothing of the charge any more: it has decided."""
    payment = desk.row("Payment", row["payment"])
    part = row["booked"]["charge"]
    held = (payment["disputed"] or part * 0) - part
    desk.change("Payment", payment["id"], disputed=held or None)


def _to_cash(desk: Desk, row: Mapping[str, Any]) -> None:
    amount = row["amount"]
    ledger.post(
        desk, f"{row['id']}/won", row["customer"],
        (ledger.CASH, amount), (ledger.DISPUTED, -amount),
    )  # fmt: skip


# --- lost --------------------------------------------------------------------------------------


def _lose(desk: Desk, row: Mapping[str, Any]) -> None:
    """The bank keeps the money: nobody has paid, as far as the charge goes; the rest is lost."""
    payment = desk.row("Payment", row["payment"])
    part, booked = row["booked"]["charge"], dict(row["booked"])
    if not payment["invoice"] and part:
        marketplace.charged_back(desk, row["id"], payment, part)
    before = payment["charged_back"] or part * 0
    desk.change("Payment", payment["id"], charged_back=before + part or None)
    lost = row["amount"] - part
    if payment["invoice"]:
        invoice = desk.row("Invoice", payment["invoice"])
        booked["wallet"], booked["credit"] = _overpaid(desk, payment, part)
        booked["owed"] = _owed(invoice, part - booked["credit"])
        lost = lost + part - booked["owed"] - booked["credit"]
        ledger.post(
            desk, f"{row['id']}/lost", row["customer"], (ledger.RECEIVABLE, booked["owed"]),
            (ledger.CREDIT, booked["credit"]), (ledger.DISPUTED, lost - row["amount"]),
        )  # fmt: skip
    ledger.post(
        desk, f"{row['id']}/beyond", row["customer"],
        (ledger.LOST, lost), (ledger.DISPUTED, -lost),
    )  # fmt: skip
    desk.change("PaymentDispute", row["id"], booked={**booked, "lost": lost})
    if payment["invoice"] and booked["owed"]:
        wallets.unpaid(desk, row["id"], invoice, booked["owed"])
        _reopen(desk, row["id"], invoice, booked["owed"])


def _owed(invoice: Mapping[str, Any], part: Money) -> Money:
    """What an invoice is owed again of a payment: no more than it has asked for."""
    if invoice["status"] not in _PAYABLE:
        return part * 0
    room: Money = invoice["amount_due"] - invoice["amount_open"]
    return min(part, room)


def _overpaid(desk: Desk, payment: Mapping[str, Any], amount: Money) -> tuple[str | None, Money]:
    """Takes back the account credit that a payment became as its invoice was paid otherwise, as
    far as it is left."""
    reason = f"payment {payment['id']}"
    for wallet in desk.select("Wallet", customer=payment["customer"]) if amount else ():
        balance = wallet["balance"]
        if wallet["reason"] == reason and balance and balance.currency == amount.currency:
            part = min(balance, amount)
            desk.change("Wallet", wallet["id"], balance=balance - part)
            return wallet["id"], part
    return None, amount * 0


def _reopen(desk: Desk, dispute: str, invoice: Mapping[str, Any], amount: Money) -> None:
    """An invoice is owed again: left open, given up, or dunned for, as the business says."""
    key, choice = invoice["id"], settings(desk).lost_disputes
    status = invoice["status"]
    if status == "paid":
        status = "sent" if is_sent(desk, invoice["customer"]) else "final"
    open_ = invoice["amount_open"] + amount
    row = desk.change("Invoice", key, status=status, amount_open=open_, paid_at=None)
    if status == "uncollectible" or choice == "write_off":
        gone = amount if status == "uncollectible" else open_
        ledger.post(
            desk, f"{dispute}/uncollectible", row["customer"],
            (ledger.BAD_DEBT, gone), (ledger.RECEIVABLE, -gone),
        )  # fmt: skip
        desk.change("Invoice", key, status="uncollectible")
        desk.drop_timer(f"retry|{key}")
    elif choice == "dun":
        settlement.give_up(desk, key)


# --- lost, and won after all -------------------------------------------------------------------


def _regain(desk: Desk, row: Mapping[str, Any]) -> None:
    """The money is back (a chargeback was reversed): it pays its invoice, as far as that is open;
    what has been paid otherwise meanwhile is the customer's."""
    payment = desk.row("Payment", row["payment"])
    booked = dict(row["booked"])
    part, lost = booked["charge"], booked["lost"]
    left = (payment["charged_back"] or part * 0) - part
    desk.change("Payment", payment["id"], charged_back=left or None)
    ledger.post(
        desk, f"{row['id']}/regained", row["customer"],
        (ledger.DISPUTED, lost), (ledger.LOST, -lost),
    )  # fmt: skip
    if payment["invoice"]:
        _pay_again(desk, row, payment)
    elif part:
        marketplace.came_back(desk, row["id"], payment, "lost")
    _to_cash(desk, row)


def _pay_again(desk: Desk, row: Mapping[str, Any], payment: Mapping[str, Any]) -> None:
    booked = dict(row["booked"])
    owed, credit = booked["owed"], booked["credit"]
    invoice = desk.row("Invoice", payment["invoice"])
    used = min(owed, invoice["amount_open"]) if invoice["status"] in _PAYABLE else owed * 0
    entry = f"{row['id']}/paid_again"
    ledger.recovered(desk, entry, invoice, used)
    ledger.post(
        desk, entry, row["customer"], (ledger.DISPUTED, owed + credit),
        (ledger.RECEIVABLE, -used), (ledger.CREDIT, used - owed - credit),
    )  # fmt: skip
    if credit:
        wallet = desk.row("Wallet", booked["wallet"])
        desk.change("Wallet", wallet["id"], balance=wallet["balance"] + credit)
    if used < owed:
        site = f"regained/{row['id']}"
        credits.grant(desk, row["customer"], owed - used, site, f"payment {payment['id']}")
    desk.change("PaymentDispute", row["id"], booked={**booked, "credited": owed - used})
    if used:
        settlement.reduce(desk, invoice, used)
