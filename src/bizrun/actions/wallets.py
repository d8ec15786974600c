"""Credit that was sold: it counts from the payment of its invoice (BILLING.md, An invoice 5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from fractions import Fraction
from typing import Any

from ..billing.credits import whole_units
from ..billing.proration import portion
from ..errors import Refusal
from ..model import WALLET_KIND
from ..values import Money
from . import ledger
from .customers import has_credit
from .desk import Desk, Row


def sold_by(desk: Desk, invoice: str) -> list[Row]:
    """The wallets that an invoice sells."""
    return desk.select("Wallet", invoice=invoice)


def activate(desk: Desk, invoice: Mapping[str, Any]) -> None:
    """Makes credit count whose invoice is paid: of what credit notes left of its price."""
    if not has_credit(desk, invoice["customer"]):
        return
    for wallet in sold_by(desk, invoice["id"]):
        if wallet["paid_at"] is not None:
            _paid_again(desk, wallet)
            continue
        left = wallet["price"] - _noted(desk, invoice["id"], wallet["price"])
        share = Fraction(left.amount) / Fraction(wallet["price"].amount)
        balance = whole_units(portion(wallet["granted"], share))
        desk.change("Wallet", wallet["id"], balance=balance, paid_at=desk.now)
        ledger.post(
            desk, f"{wallet['id']}/active", wallet["customer"],
            (ledger.WALLET, left), (ledger.GOODWILL, balance - left), (ledger.CREDIT, -balance),
        )  # fmt: skip


def take_back(desk: Desk, note: str, invoice: str, amounts: Iterable[tuple[str, Money]]) -> None:
    """Takes back credit whose price a credit note gives back; refused where it has been used.

    `amounts` has what the note gives back, before tax, by the kind of its line.
    """
    given = [amount for kind, amount in amounts if kind == WALLET_KIND and amount]
    for wallet, amount in zip(sold_by(desk, invoice), given, strict=False):
        if wallet["paid_at"] is None:
            continue
        share = Fraction(amount.amount) / Fraction(wallet["price"].amount)
        credit = whole_units(portion(wallet["granted"], share))
        if wallet["unpaid"]:
            credit, amount = _less_unpaid(desk, wallet, credit, amount)
        if credit > wallet["balance"]:
            raise _used_up(credit, amount, wallet)
        desk.change("Wallet", wallet["id"], balance=wallet["balance"] - credit)
        ledger.post(
            desk, f"{note}/wallet", wallet["customer"],
            (ledger.CREDIT, credit), (ledger.GOODWILL, amount - credit), (ledger.WALLET, -amount),
        )  # fmt: skip


def refunded(
    desk: Desk, refund: str, payment: Mapping[str, Any], amount: Money, outside: bool = False
) -> None:
    """Takes back credit whose payment is refunded; refused where it has been used, but for a refund
    that was made `outside`: that takes what is left.

    Below zero: a refund has failed, and its credit counts again.
    """
    if payment["invoice"] is None or not has_credit(desk, payment["customer"]):
        return
    for wallet in sold_by(desk, payment["invoice"]):
        if wallet["paid_at"] is None:
            continue
        total = desk.row("Invoice", payment["invoice"])["total"]
        share = Fraction(abs(amount).amount) / Fraction(total.amount)
        price = portion(wallet["price"], share).rounded()
        credit = whole_units(portion(wallet["granted"], share))
        if amount < amount * 0:
            price, credit = -price, -credit
        if outside:
            credit = min(credit, wallet["balance"])
        if credit > wallet["balance"]:
            raise _used_up(credit, price, wallet)
        desk.change("Wallet", wallet["id"], balance=wallet["balance"] - credit)
        ledger.post(
            desk, f"{refund}/wallet/{'back' if credit < credit * 0 else 'taken'}",
            wallet["customer"],
            (ledger.CREDIT, credit), (ledger.GOODWILL, price - credit), (ledger.REFUNDS, -price),
        )  # fmt: skip


# --- a payment that was taken back -------------------------------------------------------------


def unpaid(desk: Desk, dispute: str, invoice: Mapping[str, Any], amount: Money) -> None:
    """Takes back what is left of credit whose payment a lost dispute took: it is sold and not paid,
    as before. What has been used stays owed on its invoice."""
    if not has_credit(desk, invoice["customer"]):
        return
    for wallet in sold_by(desk, invoice["id"]):
        if wallet["paid_at"] is None:
            continue
        share = Fraction(amount.amount) / Fraction(invoice["total"].amount)
        credit = min(whole_units(portion(wallet["granted"], share)), wallet["balance"])
        before = wallet["unpaid"] or credit * 0
        row = desk.change(
            "Wallet", wallet["id"], balance=wallet["balance"] - credit, unpaid=before + credit
        )
        price = price_of(row, before + credit) - price_of(row, before)
        _sold_again(desk, f"{dispute}/{wallet['id']}/unpaid", wallet, credit, price)


def price_of(wallet: Mapping[str, Any], credit: Money) -> Money:
    """What credit of a wallet that was sold has cost."""
    share = Fraction(credit.amount) / Fraction(wallet["granted"].amount)
    return portion(wallet["price"], share).rounded()


def _paid_again(desk: Desk, wallet: Mapping[str, Any]) -> None:
    """Gives back the credit that was taken with its payment: its invoice is paid again."""
    credit = wallet["unpaid"]
    if not credit:
        return
    desk.change("Wallet", wallet["id"], balance=wallet["balance"] + credit, unpaid=None)
    entry = str(desk.fresh(f"{wallet['id']}/paid_again/{desk.base}"))
    _sold_again(desk, entry, wallet, -credit, -price_of(wallet, credit))


def _sold_again(
    desk: Desk, entry: str, wallet: Mapping[str, Any], credit: Money, price: Money
) -> None:
    ledger.post(
        desk, entry, wallet["customer"],
        (ledger.CREDIT, credit), (ledger.GOODWILL, price - credit), (ledger.WALLET, -price),
    )  # fmt: skip


def _less_unpaid(
    desk: Desk, wallet: Mapping[str, Any], credit: Money, price: Money
) -> tuple[Money, Money]:
    """What a credit note takes of credit that counts, and its price, beyond what is unpaid."""
    held = wallet["unpaid"]
    part = min(credit, held)
    desk.change("Wallet", wallet["id"], unpaid=held - part or None)
    return credit - part, price - (price_of(wallet, held) - price_of(wallet, held - part))


def _used_up(credit: Money, price: Money, wallet: Mapping[str, Any]) -> Refusal:
    return Refusal(
        f"{credit} of credit would go with {price} of its price, and {wallet['balance']} "
        "is left of it"
    )


def _noted(desk: Desk, invoice: str, price: Money) -> Money:
    notes = desk.select("CreditNote", invoice=invoice)
    return min(sum((note["amount"] for note in notes), price * 0), price)


def usable(row: Mapping[str, Any], at: datetime) -> bool:
    """Whether credit is left of a grant that has not expired."""
    return bool(row["balance"]) and (row["expires"] is None or row["expires"] > at)
