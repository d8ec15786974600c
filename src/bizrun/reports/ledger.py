"""The ledger as accountants read it: balances at an instant, and whether the books are right."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from ..actions import ledger
from ..actions.wallets import price_of
from ..store.base import Store
from ..values import Money
from .figures import Figures, Span
from .revenue import earned

Sums = dict[tuple[str, str], Money]  # by account (or whose it is) and currency


def add(sums: dict[Any, Money], name: str, amount: Money) -> None:
    """Adds an amount to what stands under a name in its currency."""
    held = sums.get((name, amount.currency))
    sums[name, amount.currency] = amount if held is None else held + amount


def balances(store: Store, at: datetime, tz: ZoneInfo) -> Sums:
    """The balance of each account in each currency just before an instant, debits above zero.

    What was earned of deferred revenue until then stands with the revenue, and credit that has
    expired unused is nobody's any more.
    """
    found: Sums = {}
    for row in store.select("Ledger"):
        if row["created_at"] >= at:
            continue
        amount = row["amount"]
        add(found, row["account"], amount)
        if row["account"] == ledger.DEFERRED:
            part = earned(row, at, tz)
            add(found, ledger.DEFERRED, -part)
            add(found, ledger.REVENUE, part)
    for when, _, balance in expired(store):
        if when < at:
            add(found, ledger.CREDIT, balance)
            add(found, ledger.EXPIRED, -balance)
    return found


def expired(store: Store) -> Iterator[tuple[datetime, str, Money]]:
    """Credit that is left of a grant when it expires: when, whose, and how much."""
    for row in store.select("Wallet"):
        if row["expires"] is not None and row["balance"]:
            # What a void invoice gives back later has expired by then.
            yield max(row["expires"], row["updated_at"]), row["customer"], row["balance"]


def trial_balance(store: Store, span: Span) -> Figures:
    """Every account that was ever used, with its balance at the span's end, and the sums."""
    found = balances(store, span.end, span.tz)
    rows = []
    for currency in sorted({currency for _, currency in found}):
        debits = credits = zero = Money(0, currency)
        for account, kind in ledger.ACCOUNTS.items():
            balance = found.get((account, currency))
            if balance is None:
                continue
            debit, credit = max(balance, zero), max(-balance, zero)
            debits, credits = debits + debit, credits + credit
            rows.append(
                {"account": account, "kind": kind, "currency": currency,
                 "debit": debit, "credit": credit}
            )  # fmt: skip
        rows.append(
            {"account": "total", "kind": "", "currency": currency,
             "debit": debits, "credit": credits}
        )  # fmt: skip
    columns = ("account", "kind", "currency", "debit", "credit")
    return Figures(f"Trial balance at the end of {span.last}", columns, tuple(rows))


# --- whether the books are right ---------------------------------------------------------------


def problems(store: Store) -> list[str]:
    """A sentence for each thing that is wrong with the ledger; none where the books are right."""
    books = _Books(store)
    found = list(_entries(books))
    for check in (_receivable, _credit, _income, _tax, _cash, _sellers):
        found += check(store, books)
    return found


class _Books:
    """The postings added up in one pass: by entry, account, and whose they are."""

    def __init__(self, store: Store) -> None:
        self.entries: Sums = {}
        self.accounts: Sums = {}
        self.parties: defaultdict[str, Sums] = defaultdict(dict)
        # Of invoices and credit notes, before tax and the tax, by what they are about.
        self.income: Sums = {}
        self.taxes: Sums = {}
        self.strange: list[str] = []
        for row in store.select("Ledger"):
            account, amount = row["account"], row["amount"]
            add(self.entries, row["entry"], amount)
            add(self.accounts, account, amount)
            if account in _BY_PARTY:
                add(self.parties[account], row["customer"] or "", amount)
            about, _, what = row["entry"].rpartition("/")
            if what in ("issued", "note", "void"):
                if account in _INCOME:
                    add(self.income, about, -amount)
                elif account == ledger.TAX:
                    add(self.taxes, about, -amount)
            if account not in ledger.ACCOUNTS:
                self.strange.append(f"the ledger has an account that there is not: {account}")
            if account == ledger.DEFERRED and row["ends"] is None:
                self.strange.append(f"{row['entry']} defers {-amount} for no period")

    def owed(self, *accounts: str) -> Sums:
        """What stands on accounts, by whose it is, nothing left out as it is nothing."""
        found: Sums = {}
        for account in accounts:
            for (name, _), amount in self.parties[account].items():
                add(found, name, amount)
        return {key: amount for key, amount in found.items() if amount}


_BY_PARTY = {ledger.RECEIVABLE, ledger.CREDIT, ledger.WALLET, ledger.SELLERS, ledger.HELD}
_INCOME = {ledger.REVENUE, ledger.DEFERRED, ledger.WALLET}
_OPEN = ("final", "sent")


def _entries(books: _Books) -> Iterator[str]:
    for (entry, _), total in sorted(books.entries.items()):
        if total:
            yield f"the ledger's entry {entry} does not balance: its postings sum to {total}"
    yield from books.strange


def _differ(what: str, posted: Mapping[Any, Money], kept: Mapping[Any, Money]) -> Iterator[str]:
    """A sentence for each name and currency where the ledger and the rows differ."""
    for name, currency in sorted({*posted, *kept}):
        zero = Money(0, currency)
        on_ledger, in_rows = posted.get((name, currency), zero), kept.get((name, currency), zero)
        if on_ledger != in_rows:
            yield f"{what.format(name)}: the ledger says {on_ledger}, the rows say {in_rows}"


def _receivable(store: Store, books: _Books) -> Iterator[str]:
    """What customers owe is what is open on their invoices."""
    open_: Sums = {}
    for row in store.select("Invoice"):
        if row["status"] in _OPEN:
            add(open_, row["customer"], row["amount_open"])
    yield from _differ("receivable of {}", books.owed(ledger.RECEIVABLE), open_)


def _credit(store: Store, books: _Books) -> Iterator[str]:
    """What is owed to customers is what is left in their wallets."""
    left: Sums = {}
    notes: Sums = {}
    for row in store.select("CreditNote"):
        add(notes, row["invoice"], row["amount"])
    for row in store.select("Wallet"):
        add(left, row["customer"], -row["balance"])
        invoice = store.get("Invoice", row["invoice"]) if row["invoice"] else None
        if invoice is not None and row["paid_at"] is None and invoice["status"] != "void":
            # Sold, and not paid yet: what it costs, less what credit notes took off.
            zero = row["price"] * 0
            price = row["price"] - notes.get((row["invoice"], zero.currency), zero)
            add(left, row["customer"], -price)
        if row["unpaid"]:
            add(left, row["customer"], -price_of(row, row["unpaid"]))
    yield from _differ("credit of {}", books.owed(ledger.CREDIT, ledger.WALLET), left)


def _income(store: Store, books: _Books) -> Iterator[str]:
    """What an invoice earns and defers is its net, and a credit note's what it takes back; of a
    void one, with tax, what notes and later invoices had taken back before it was void."""
    nets: Sums = {}
    void = set()
    for row in store.select("Invoice"):
        if row["status"] == "void":
            void.add(row["id"])
            zero = row["total"] * 0
            tax = books.taxes.get((row["id"], zero.currency), zero)
            add(nets, row["id"], (row["returned"] or zero) - tax)
        elif row["status"] != "draft":
            add(nets, row["id"], row["subtotal"] - row["discount"])
    for row in store.select("CreditNote"):
        add(nets, row["id"], -row["amount"])
        if row["invoice"] in void:
            add(nets, row["invoice"], row["total"])
    yield from _differ("income of {}", books.income, nets)


def _tax(store: Store, books: _Books) -> Iterator[str]:
    """The tax payable is that of the invoices that stand, less that of their credit notes, and of
    void ones what had been taken back before."""
    owed: Sums = {}
    for row in store.select("Invoice"):
        if row["status"] == "void":
            zero = row["tax"] * 0
            add(owed, ledger.TAX, -books.taxes.get((row["id"], zero.currency), zero))
        elif row["status"] != "draft":
            add(owed, ledger.TAX, -row["tax"])
    for row in store.select("CreditNote"):
        add(owed, ledger.TAX, row["tax"])
    yield from _differ("{}", _of(books, ledger.TAX), owed)


def _cash(store: Store, books: _Books) -> Iterator[str]:
    """The cash is what was paid, less what was given back, paid out, taken back by banks and kept
    by providers; banks hold what is in open disputes."""
    held: Sums = {}
    with_banks: Sums = {}
    for row in store.select("Payment"):
        if row["status"] in ("succeeded", "refunded"):
            add(held, ledger.CASH, row["amount"])
    for row in store.select("Refund", {"status": "succeeded"}):
        add(held, ledger.CASH, -row["amount"])
    for row in store.select("PaymentDispute"):
        if row["status"] == "open":
            add(with_banks, ledger.DISPUTED, row["amount"])
        if row["status"] != "won":
            add(held, ledger.CASH, -row["amount"])
    for row in store.select("_effect", {"status": "done"}):
        if row["kind"] == "transfer":
            add(held, ledger.CASH, -row["data"]["amount"])
    for (_, _), amount in _of(books, ledger.FEES).items():
        add(held, ledger.CASH, -amount)
    yield from _differ("{}", _of(books, ledger.CASH), held)
    yield from _differ("{}", _of(books, ledger.DISPUTED), with_banks)


def _of(books: _Books, account: str) -> Sums:
    return {key: amount for key, amount in books.accounts.items() if key[0] == account}


def _sellers(store: Store, books: _Books) -> Iterator[str]:
    """What sellers are owed, and what is held for them, as transfers are checked against."""
    payable: Sums = {}
    held: Sums = {}
    for row in store.select("_seller"):
        for sums, kept in ((payable, row["payable"]), (held, row["held"])):
            for amount in kept.values():
                add(sums, row["id"], -amount)
    yield from _differ("payable to {}", books.owed(ledger.SELLERS), payable)
    yield from _differ("held for {}", books.owed(ledger.HELD), held)
    in_payments: Sums = {}
    for row in store.select("Payment"):
        for name, amount in (row["held"] or {}).items():
            add(in_payments, name, -amount)
    yield from _differ("held for {} by payment", books.owed(ledger.HELD), in_payments)


def entries(store: Store, span: Span) -> Iterable[tuple[str, list[Mapping[str, Any]]]]:
    """The entries of a span with their postings, in order of time, as they were posted."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    order = (("created_at", False),)
    for row in store.select("Ledger", {}, (), order):
        if span.start <= row["created_at"] < span.end:
            found.setdefault(row["entry"], []).append(row)
    return found.items()
