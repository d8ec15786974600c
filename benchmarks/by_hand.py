"""W2 written by hand for its one spec: what bizrun keeps of it, with nothing that is general.

No spec is read and nothing can be asked for: there are no tables, only lists and dicts of rows. It
says what Python itself takes for reading a line, knowing its id, keeping its text, counting, and
for each account and month an invoice with its lines, postings, timers and events, and the alerts.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from heapq import heappop, heappush
from pathlib import Path
from typing import Any

import msgspec

from .clock import Timing, timed
from .limits import QUOTA, TIERS

BATCH = 1_000
BASE = Decimal(10)
LEVELS = (("notice", QUOTA * 8 // 10), ("warning", QUOTA * 9 // 10), ("used_up", QUOTA))
Row = dict[str, Any]


class Call(msgspec.Struct, gc=False):
    account: str
    endpoint: str
    units: int


class Opened(msgspec.Struct, gc=False):
    id: str


class Called(msgspec.Struct, gc=False, tag="API.called", tag_field="type"):
    id: str
    time: str
    data: Call


class Account(msgspec.Struct, gc=False, tag="Account.opened", tag_field="type"):
    id: str
    time: str
    data: Opened


class Books:
    """All that is kept, in memory."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Row]] = {
            name: {}
            for name in ("account", "subscription", "invoice", "line", "posting", "effect", "fired")
        }
        self.log: list[Any] = []
        self.known: set[str] = set()
        self.seq = 0
        self.timers: list[tuple[datetime, int, str, str]] = []
        self.used: dict[str, int] = {}
        self.number = 0

    def tell(self, type_: str, subject: str, at: datetime, text: str, data: Row) -> None:
        """An event that follows from another one."""
        self.seq += 1
        id_ = f"{type_}/{subject}/{text}"
        self.log.append((self.seq, "bizrun", id_, type_, text, json.dumps(data), "unmatched"))

    def timer(self, at: datetime, kind: str, subject: str) -> None:
        """Something that is due."""
        self.seq += 1
        heappush(self.timers, (at, self.seq, kind, subject))


def usage_by_hand(path: Path, folder: Path) -> Timing:
    """W2 in memory, from lines."""
    decode = msgspec.json.Decoder(Called | Account).decode
    with path.open("rb") as file:
        count = sum(1 for _ in file)
    books = Books()
    with path.open("rb") as file, timed(count) as timing:
        while lines := file.readlines(100_000):
            _batch(books, lines, list(map(decode, lines)))
        _until(books, datetime(2026, 4, 2, tzinfo=UTC))
    rows = books.rows
    timing.result = {"invoices": len(rows["invoice"]), "alerts": len(rows["effect"])}
    return timing


def _batch(books: Books, lines: list[bytes], items: list[Any]) -> None:
    ids = {item.id for item in items}
    assert len(ids) == len(items) and ids.isdisjoint(books.known)
    books.known |= ids
    used, accounts = books.used, books.rows["account"]
    due = books.timers[0][0] if books.timers else datetime.max.replace(tzinfo=UTC)
    for item, at in zip(items, map(datetime.fromisoformat, [i.time for i in items]), strict=True):
        if at >= due:
            _until(books, at)
            due = books.timers[0][0]
        data = item.data
        if type(item) is Account:
            _open(books, data.id, at)
            due = books.timers[0][0]
            continue
        account = data.account
        if account not in accounts or data.units < 0:
            raise ValueError(item.id)
        before = used[account]
        used[account] = after = before + data.units
        if after >= LEVELS[0][1] and before < QUOTA:
            for name, level in LEVELS:
                if before < level <= after:
                    _alert(books, name, account, at)
    books.seq += len(items)
    books.log.append((books.seq, b"".join(lines)))


def _open(books: Books, account: str, at: datetime) -> None:
    text, sub = at.isoformat(), f"sub_{account}"
    end = _next_month(at)
    books.rows["account"][account] = {"id": account, "plan": "metered", "created_at": at}
    books.rows["subscription"][sub] = {
        "id": sub, "customer": account, "plan": "metered", "status": "active", "started": at,
        "period_start": at, "period_end": end, "updated_at": at,
    }  # fmt: skip
    books.used[account] = 0
    for type_ in ("Subscription.created", "Subscription.activated"):
        books.tell(type_, sub, at, text, {"subscription": sub, "customer": account})
    books.timer(end, "renew", sub)


def _next_month(at: datetime) -> datetime:
    first = at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (first + timedelta(days=32)).replace(day=1)


def _alert(books: Books, name: str, account: str, at: datetime) -> None:
    text = at.isoformat()
    start = books.rows["subscription"][f"sub_{account}"]["period_start"]
    books.rows["fired"][f"{name}|{account}"] = {"on": True, "period": start}
    books.tell(f"Usage.{name}", account, at, text, {"account": account})
    key = sha256(f"{name}|{account}|{text}".encode()).hexdigest()
    books.rows["effect"][key] = {
        "id": key, "order": books.seq, "kind": "notify", "status": "done", "created": at,
        "data": {"to": account, "message": f"Usage.{name}"}, "event": name, "customer": account,
        "attempts": 1, "reference": f"sandbox_{key[:16]}",
    }  # fmt: skip


def _until(books: Books, at: datetime) -> None:
    while books.timers and books.timers[0][0] <= at:
        due, _, kind, subject = heappop(books.timers)
        if kind == "renew":
            _renew(books, subject, due)
        else:
            _overdue(books, subject, due)


def _renew(books: Books, key: str, at: datetime) -> None:
    rows, text = books.rows, at.isoformat()
    sub = rows["subscription"][key]
    account, start, end = sub["customer"], sub["period_start"], _next_month(at)
    units, steps, low, usage = books.used[account], [], 0, Decimal(0)
    for high, price in TIERS:
        top = units if high is None else min(units, high)
        if top > low:
            amount = Decimal((top - low) * price) / 1000
            usage += amount
            steps.append({"units": top - low, "price": price, "amount": str(amount)})
        low = high or low
    usage = usage.quantize(Decimal("0.01"))
    total = BASE + usage
    books.number += 1
    id_, number = f"inv_{text}_{account}", f"U-{books.number:06}"
    invoice = {
        "id": id_, "number": number, "customer": account, "subscription": key, "currency": "USD",
        "status": "open", "subtotal": total, "discount": Decimal(0), "tax": Decimal(0),
        "total": total, "amount_due": total, "amount_open": total, "reason": "renewal",
        "period_start": start, "period_end": at, "issued_at": at,
        "due_at": at + timedelta(days=30), "created_at": at, "updated_at": at,
    }  # fmt: skip
    rows["invoice"][id_] = invoice
    for place, (kind, amount, detail) in enumerate((("base", BASE, None), ("usage", usage, steps))):
        line = f"{id_}/{place}"
        rows["line"][line] = {
            "id": line, "invoice": id_, "subscription": key, "position": place, "kind": kind,
            "description": "Metered", "quantity": units if detail else 1, "amount": amount,
            "discount": Decimal(0), "tax": Decimal(0), "plan": "metered", "period_start": start,
            "period_end": at, "detail": detail, "created_at": at, "updated_at": at,
        }  # fmt: skip
    for side, amount in (("receivable", total), ("revenue", -total)):
        posting = f"{id_}/{side}"
        rows["posting"][posting] = {
            "id": posting, "entry": id_, "account": side, "customer": account, "amount": amount,
            "event": key, "created_at": at,
        }  # fmt: skip
    said = {"invoice": id_, "number": number, "customer": account, "total": str(total)}
    for type_ in ("Invoice.created", "Invoice.finalized", "Invoice.sent"):
        books.tell(type_, id_, at, text, said)
    books.timer(invoice["due_at"], "overdue", id_)
    rows["subscription"][key] = {
        **sub, "period_start": at, "period_end": end, "updated_at": at,
    }  # fmt: skip
    books.used[account] = 0
    books.tell("Subscription.renewed", key, at, text, {"subscription": key, "customer": account})
    books.timer(end, "renew", key)


def _overdue(books: Books, id_: str, at: datetime) -> None:
    invoice = books.rows["invoice"][id_]
    books.tell("Invoice.overdue", id_, at, at.isoformat(),
               {"invoice": id_, "customer": invoice["customer"]})  # fmt: skip
