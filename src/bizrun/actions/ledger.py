"""The ledger: every movement of money as postings that sum to zero (docs/billing-ledger.md).

A posting is a row of the built-in entity `Ledger`, debits above zero. What is invoiced in advance
is posted to the deferred revenue with the period that it is for; how much of it has been earned
at an instant is computed from that (`reports/revenue.py`), so that no timer has to post it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from ..billing.credit_notes import NoteLine
from ..billing.invoicing import InvoiceTotals
from ..model import WALLET_KIND
from ..values import Money, money
from . import charged
from .desk import Desk, Row

RECEIVABLE = "receivable"
CASH = "cash"
DISPUTED = "disputed funds"
REVENUE = "revenue"
DEFERRED = "deferred revenue"
TAX = "tax payable"
CREDIT = "customer credit"
WALLET = "wallet"
GOODWILL = "credit granted"
EXPIRED = "credit expired"
FEES = "provider fees"
SELLERS = "payable to sellers"
HELD = "held funds"
TRANSIT = "transfers in transit"
PAYOUTS = "payouts"
REFUNDS = "refunds"
BAD_DEBT = "bad debt"
LOST = "lost disputes"

# Each account with the kind that accountants know it by, in the order of a balance sheet.
ACCOUNTS: Mapping[str, str] = {
    CASH: "assets", DISPUTED: "assets", RECEIVABLE: "assets",
    DEFERRED: "liabilities", TAX: "liabilities", CREDIT: "liabilities", WALLET: "liabilities",
    SELLERS: "liabilities", HELD: "liabilities", TRANSIT: "liabilities",
    REVENUE: "income", EXPIRED: "income",
    REFUNDS: "expenses", GOODWILL: "expenses", FEES: "expenses", PAYOUTS: "expenses",
    BAD_DEBT: "expenses", LOST: "expenses",
}  # fmt: skip

# Earned when they are invoiced, whatever period they name.
_EARNED = frozenset({"usage", "correction", "one_off"})


class Posting(NamedTuple):
    """An amount on an account; `party` where it isn't the entry's customer, a period where it is
    earned over one."""

    account: str
    amount: Money
    party: str | None = None
    starts: datetime | None = None
    ends: datetime | None = None


_NOWHERE = (None, None, None)  # of whom, from when, until when, where a posting does not say


class Part(NamedTuple):
    """What of an invoice line is invoiced or given back, before tax."""

    kind: str
    net: Money
    starts: datetime | None
    ends: datetime | None


def post(
    desk: Desk, entry: str, customer: str | None, *postings: tuple[str, Money] | Posting
) -> None:
    """Writes one entry, of a name that no other has. It must balance in each currency."""
    there = [given for given in postings if given[1].amount]
    total: dict[str, Decimal] = {}
    for given in there:
        amount = given[1]
        total[amount.currency] = total.get(amount.currency, 0) + amount.amount
    assert not any(total.values()), (entry, postings)
    for number, given in enumerate(there):
        account, amount, party, starts, ends = given if len(given) > 2 else (*given, *_NOWHERE)
        row = {
            "id": f"{entry}|{number}", "entry": entry, "account": account,
            "customer": customer if party is None else party, "amount": amount,
            "event": desk.base, "starts": starts, "ends": ends,
            "created_at": desk.now, "updated_at": desk.now,
        }  # fmt: skip
        desk.keep("Ledger", row)


def postings(desk: Desk, entry: str) -> Iterator[Row]:
    """The postings of an entry, as they were written."""
    number = 0
    while (row := desk.peek("Ledger", f"{entry}|{number}")) is not None:
        yield row
        number += 1


# --- invoices --------------------------------------------------------------------------------


def issued(desk: Desk, invoice: str, customer: str, totals: InvoiceTotals) -> None:
    """A final invoice: what is owed for what is earned now, over a period, and in tax."""
    parts = (Part(x.kind, x.net, x.period_start, x.period_end) for x in totals.lines)
    post(
        desk, f"{invoice}/issued", customer,
        (RECEIVABLE, totals.total), *_income(parts, desk.now), (TAX, -totals.tax),
    )  # fmt: skip


def _income(parts: Iterable[Part], issued: datetime, sign: int = -1) -> list[Posting]:
    """What the lines of an invoice earn: now, over their periods, or when sold credit is used."""
    found: dict[tuple[str, datetime | None, datetime | None], Money] = {}
    for kind, net, starts, ends in parts:
        if kind == WALLET_KIND:
            key: tuple[str, datetime | None, datetime | None] = (WALLET, None, None)
        elif ends is None or ends <= issued or kind in _EARNED:
            key = (REVENUE, None, None)
        else:
            key = (DEFERRED, starts or issued, ends)
        held = found.get(key)
        found[key] = net if held is None else held + net
    return [Posting(name, net * sign, None, *period) for (name, *period), net in found.items()]


def voided(desk: Desk, invoice: Mapping[str, Any], given: Money) -> None:
    """Takes back what credit notes and later invoices left of one, as it stands before it is void.

    `given` is what returned to the customer's credit; where that and what was open are not all
    (credit that it granted is spent), the rest is a gift or a gain of the business.
    """
    net, tax = _left(desk, invoice)
    open_ = invoice["amount_open"]
    rest = sum((part.net for part in net), tax) - given - open_
    gone = BAD_DEBT if invoice["status"] == "uncollectible" else RECEIVABLE
    post(
        desk, f"{invoice['id']}/void", invoice["customer"],
        (gone, -open_), (CREDIT, -given), (GOODWILL, -rest),
        *_income(net, invoice["issued_at"] or desk.now, 1), (TAX, tax),
    )  # fmt: skip


def _left(desk: Desk, invoice: Mapping[str, Any]) -> tuple[list[Part], Money]:
    """The lines of an invoice and its tax, less what credit notes and later invoices gave back."""
    tax = invoice["tax"]
    rows = desk.select("InvoiceLine", invoice=invoice["id"])
    rows.sort(key=lambda row: int(row["position"]))
    parts = [_part(row) for row in rows]
    for note in desk.select("CreditNote", invoice=invoice["id"]):
        tax = tax - note["tax"]
        parts += [_part(rows[each["place"]], -each["amount"]) for each in note["lines"] or ()]
    for line, net, its_tax in charged.later_lines(desk, invoice):
        tax = tax - its_tax
        parts.append(_part(line, -net))
    return parts, tax


def _part(row: Mapping[str, Any], net: Money | None = None) -> Part:
    whole = row["amount"] - row["discount"]
    return Part(row["kind"], whole if net is None else net, row["period_start"], row["period_end"])


def noted(
    desk: Desk,
    note: str,
    invoice: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    given: Iterable[NoteLine],
) -> None:
    """A credit note over lines of an invoice; its total lowers the receivable until it is settled
    otherwise."""
    total = tax = Money(0, invoice["currency"])
    parts = []
    for line in given:
        row = rows[line.place]
        parts.append(Part(row["kind"], line.amount, row["period_start"], row["period_end"]))
        total, tax = total + line.amount + line.tax, tax + line.tax
    post(
        desk, f"{note}/note", invoice["customer"],
        *_income(parts, invoice["issued_at"] or desk.now, 1), (TAX, tax), (RECEIVABLE, -total),
    )  # fmt: skip


# --- money in and out ------------------------------------------------------------------------


def paid(
    desk: Desk, payment: Mapping[str, Any], invoice: Mapping[str, Any], used: Money, answer: Any
) -> None:
    """A payment of an invoice, which stands as before; what it doesn't use is account credit."""
    amount, key = payment["amount"], payment["id"]
    recovered(desk, key, invoice, used)
    post(
        desk, f"{key}/paid", payment["customer"],
        (CASH, amount), (RECEIVABLE, -used), (CREDIT, used - amount),
    )  # fmt: skip
    fee(desk, key, payment["customer"], answer, amount.currency)


def recovered(desk: Desk, cause: str, invoice: Mapping[str, Any], amount: Money) -> None:
    """What was written off is owed again where it is paid or corrected after all."""
    if invoice["status"] == "uncollectible":
        post(
            desk, f"{cause}/recovered", invoice["customer"],
            (RECEIVABLE, amount), (BAD_DEBT, -amount),
        )  # fmt: skip


def written_off(desk: Desk, invoice: Mapping[str, Any]) -> None:
    """An invoice that nobody will pay; again, where it was paid after all and that was lost too."""
    open_, entry = invoice["amount_open"], f"{invoice['id']}/uncollectible"
    if desk.peek("Ledger", f"{entry}|0") is not None:
        entry = str(desk.fresh(f"{entry}/{desk.base}"))
    post(
        desk, entry, invoice["customer"],
        (BAD_DEBT, open_), (RECEIVABLE, -open_),
    )  # fmt: skip


def fee(desk: Desk, cause: str, customer: str, answer: Any, currency: str) -> None:
    """What the provider kept of a payment, where its answer says so."""
    told = answer.get("fee") if isinstance(answer, Mapping) else None
    if isinstance(told, str):
        told = money(told)
    if isinstance(told, Money) and told.currency == currency:
        post(desk, f"{cause}/fee", customer, (FEES, told), (CASH, -told))
