"""Refunds that were made at the processor itself, in its dashboard: rows of their own, once each.

A service tells of one refund by its id, and of all that a payment has had together by a sum; either
may come first. A row made of a sum has no id yet: those that come later are counted within it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import Refusal
from ..model import Outcome, Refunded
from ..values import Money
from . import charged, ledger, payments, wallets
from .desk import Desk, Row

# Of an effect that the processor may know of, and we don't know how it went.
_ON_ITS_WAY = ("sent", "leased", "unknown", "ready")


def payment_of(desk: Desk, references: tuple[str, ...], amount: Money) -> Mapping[str, Any] | None:
    """The payment of a processor's ids that has come in; none where it is not ours. Refused while
    its own charge is on its way: it is told again then."""
    for reference in references:
        for payment in desk.select("Payment", reference=reference):
            if payment["amount"].currency != amount.currency:
                desk.log(f"payment {payment['id']} is in another currency than {amount}")
                return None
            if payment["status"] == "pending":
                raise Refusal(f"payment {payment['id']} is on its way")
            return payment if payment["status"] in ("succeeded", "refunded") else None
    for status in _ON_ITS_WAY:
        for row in desk.select("_effect", status=status):
            if row["kind"] == "charge" and row["reference"] in references:
                raise Refusal(f"payment {row['data']['payment']} is on its way")
    return None


def refunded(desk: Desk, said: Refunded) -> None:
    """Takes what a service tells of a refund."""
    payment = payment_of(desk, said.payments, said.amount)
    if payment is None or _asked_here(desk, said.effect):
        return
    if said.reference is None:
        amount = said.amount - _known(desk, payment["id"], said.amount)
        if amount > amount * 0:
            _settle(desk, _make(desk, payment, amount, {}), said.outcome)
        return
    row = _found(desk, payment["id"], said.reference, said.amount)
    if row is None and said.outcome.status == "failed":
        # Kept, since the message that it was made may come behind that.
        _row(desk, payment, said.amount, said.amount * 0, {said.reference: said.amount}, "failed")
        return
    if row is None:
        row = _make(desk, payment, said.amount, {said.reference: said.amount})
    if said.outcome.status == "failed" and said.amount < row["amount"]:
        _part(desk, payment["id"], row, said)
    else:
        _settle(desk, row, said.outcome)


def _asked_here(desk: Desk, effect: str | None) -> bool:
    """Whether a refund was asked for here: its outcome is told by that."""
    row = desk.peek("_effect", effect) if effect else None
    return row is not None and row["kind"] == "refund"


def _known(desk: Desk, payment: str, amount: Money) -> Money:
    """What of a payment is known to be refunded, or asked for. One that was made there counts also
    where it has failed: an old message may still say that it was made."""
    rows = desk.select("Refund", payment=payment)
    there = (row for row in rows if row["status"] != "failed" or row["outside"] is not None)
    return sum((row["amount"] for row in there), amount * 0)


def _found(desk: Desk, payment: str, reference: str, amount: Money) -> Row | None:
    """The row of a refund that was made there, by its id, or one with room for it: of a sum that
    was told before."""
    rows = [row for row in desk.select("Refund", payment=payment) if row["outside"] is not None]
    for row in rows:
        if reference in row["outside"]["ids"]:
            return row
    for row in rows:
        ids = row["outside"]["ids"]
        if row["status"] != "failed" and amount <= row["amount"] - sum(ids.values(), amount * 0):
            told = {**row["outside"], "ids": {**ids, reference: amount}}
            return desk.change("Refund", row["id"], outside=told)
    return None


def _make(desk: Desk, payment: Mapping[str, Any], amount: Money, ids: Mapping[str, Money]) -> Row:
    """A refund that nobody here has asked for. What of it is more than is left of the payment (a
    bank had taken that back before) is no part of it, and a loss."""
    invoice, zero = payment["invoice"], amount * 0
    left = charged.still_charged(desk, invoice) if invoice else amount
    part = max(min(amount, payments.left_of(payment)), zero)
    row = _row(desk, payment, amount, amount - part, ids, "pending")
    desk.change("Payment", payment["id"], refunded=payment["refunded"] + part)
    wallets.refunded(desk, row["id"], payment, part, outside=True)
    # What is more than was still charged was given twice: no charge is less for it.
    less = min(part, left)
    if less > zero:
        payments.uncharge_share(desk, payment, less, amount - less)
    return row


def _row(
    desk: Desk, payment: Mapping[str, Any], amount: Money, beyond: Money, ids: Mapping[str, Money],
    status: str,
) -> Row:  # fmt: skip
    return desk.insert(
        "Refund",
        {"payment": payment["id"], "customer": payment["customer"], "amount": amount,
         "status": status, "outside": {"ids": dict(ids), "beyond": beyond}},
        f"refund/outside/{payment['id']}/{'/'.join(ids)}",
    )  # fmt: skip


def _part(desk: Desk, payment: str, row: Row, said: Refunded) -> None:
    """One of several refunds that a row stands for has failed: the others are one of their own."""
    if row["status"] == "failed":
        return
    others = {id_: part for id_, part in row["outside"]["ids"].items() if id_ != said.reference}
    _settle(desk, row, said.outcome)
    left = row["amount"] - said.amount
    about = {**row["outside"], "ids": {said.reference: said.amount}}
    desk.change("Refund", row["id"], outside=about)
    rest = _make(desk, desk.row("Payment", payment), left, others)
    _settle(desk, rest, Outcome("succeeded"))


def _settle(desk: Desk, row: Row, outcome: Outcome) -> None:
    """Takes how a refund went, as far as that is new: it may fail after it had succeeded."""
    status = outcome.status
    if status == row["status"] or status == "pending" or row["status"] == "failed":
        return
    beyond = row["outside"]["beyond"]
    about = {"refund": row["id"], "payment": row["payment"], "amount": row["amount"] - beyond}
    payments.refund_outcome(desk, {"data": about}, outcome)
    if status == "succeeded" or row["status"] == "succeeded":
        lost = beyond if status == "succeeded" else -beyond
        ledger.post(
            desk, f"{row['id']}/beyond/{status}", row["customer"],
            (ledger.LOST, lost), (ledger.CASH, -lost),
        )  # fmt: skip
