"""The ledger as a file for beancount: accounts, entries, monthly recognition, closing balances."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from typing import Any

from ..actions import ledger
from ..store.base import Store
from ..times import local_date
from ..values import Money
from .figures import Span
from .ledger import Sums, add, balances, entries, expired
from .revenue import earned

ROOTS = {
    "assets": "Assets", "liabilities": "Liabilities", "income": "Income", "expenses": "Expenses",
}  # fmt: skip
OPENING = "Equity:Opening-Balances"


def beancount(store: Store, span: Span, title: str) -> Iterator[str]:
    """The lines of the file. What came before the span stands in one opening entry; what is
    earned of deferred revenue is an entry at each month's end; the last lines assert balances."""
    yield f'option "title" "{_text(title)}"'
    begin = balances(store, span.start, span.tz)
    end = balances(store, span.end, span.tz)
    currencies = sorted({currency for sums in (begin, end) for _, currency in sums})
    yield from (f'option "operating_currency" "{currency}"' for currency in currencies)
    yield ""
    day = span.first - timedelta(days=1)
    yield f"{day} open {OPENING}"
    yield from (f"{day} open {account(name)}" for name in ledger.ACCOUNTS)
    yield from _opening(begin, span.first)
    for when, lines in sorted(_dated(store, span), key=lambda dated: dated[0]):
        yield from lines
        assert when <= span.last
    yield ""
    for (name, _), amount in sorted(end.items()):
        yield f"{span.last + timedelta(days=1)} balance {account(name)}  {amount_text(amount)}"


def account(name: str) -> str:
    """`deferred revenue` is Liabilities:Deferred-Revenue."""
    words = "-".join(word.capitalize() for word in name.split())
    return f"{ROOTS[ledger.ACCOUNTS[name]]}:{words}"


def amount_text(amount: Money) -> str:
    """An amount without thousands' separators: `-29.00 USD`."""
    return str(amount)


def _opening(begin: Sums, day: date) -> Iterator[str]:
    there = {key: amount for key, amount in begin.items() if amount}
    if there:
        yield ""
        yield f'{day} * "Opening balances"'
        for (name, _), amount in sorted(there.items()):
            yield f"  {account(name)}  {amount_text(amount)}"


def _dated(store: Store, span: Span) -> Iterator[tuple[date, list[str]]]:
    for entry, rows in entries(store, span):
        day = local_date(rows[0]["created_at"], span.tz)
        yield day, _entry(day, entry, rows)
    for when, customer, amount in expired(store):
        if span.start <= when < span.end:
            day = local_date(when, span.tz)
            rows = [
                {"account": ledger.CREDIT, "amount": amount, "customer": customer},
                {"account": ledger.EXPIRED, "amount": -amount, "customer": customer},
            ]
            yield day, _entry(day, f"{customer}/expired", rows)
    for day, sums in _recognised(store, span):
        rows = []
        for (_, currency), amount in sorted(sums.items()):
            rows += [
                {"account": ledger.DEFERRED, "amount": -amount, "customer": None},
                {"account": ledger.REVENUE, "amount": amount, "customer": None},
            ]
            assert amount.currency == currency
        yield day, _entry(day, f"recognised/{day:%Y-%m}", rows)


def _entry(day: date, entry: str, rows: Iterable[Mapping[str, Any]]) -> list[str]:
    postings = list(rows)
    about, _, what = entry.rpartition("/")
    lines = ["", f'{day} * "{_text(what)}" ^{_link(about)}']
    for row in postings:
        lines.append(f"  {account(row['account'])}  {amount_text(row['amount'])}")
        if row["customer"] is not None:
            lines.append(f'    party: "{_text(row["customer"])}"')
    return lines


def _recognised(store: Store, span: Span) -> list[tuple[date, Sums]]:
    """By month, dated its last day: what was earned in it of deferred revenue."""
    months = list(span.months())
    found: defaultdict[int, Sums] = defaultdict(dict)
    for row in store.select("Ledger", {"account": ledger.DEFERRED}):
        before = earned(row, span.start, span.tz)
        for place, month in enumerate(months):
            if row["created_at"] >= month.end:
                continue
            until = earned(row, month.end, span.tz)
            if until != before:
                add(found[place], ledger.REVENUE, until - before)
            before = until
            if until == row["amount"]:
                break
    return [
        (local_date(months[place].end - timedelta(microseconds=1), span.tz),
         {key: amount for key, amount in sums.items() if amount})
        for place, sums in sorted(found.items())
        if any(sums.values())
    ]  # fmt: skip


def _text(value: str) -> str:
    """What may stand between quotes: no quote, no backslash escape, no line feed."""
    plain = value.replace("\\", "\\\\").replace('"', '\\"')
    return " ".join(plain.split())


def _link(value: str) -> str:
    """A name of letters, digits and -_/. as links are."""
    kept = (c if c.isascii() and (c.isalnum() or c in "-_/.") else "-" for c in value)
    return "".join(kept) or "entry"
