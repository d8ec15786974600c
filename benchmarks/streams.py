"""Event streams of the workloads, seeded: the same size makes the same bytes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

ACCOUNTS = 1_000
START = datetime(2026, 1, 1, tzinfo=UTC)
USAGE_END = datetime(2026, 4, 1, tzinfo=UTC)
COUNTRIES = ("DE", "FR", "IT", "US", "JP", "BR", "IN", "GB")

Item = dict[str, Any]


def orders(count: int) -> Iterator[Item]:
    """W1: orders, one each second."""
    chance = random.Random(1)
    for number in range(count):
        data = {
            "country": chance.choice(COUNTRIES),
            "channel": chance.choice(("web", "app", "phone")),
            "tier": chance.choice(("free", "pro", "gold")),
            "amount": chance.randrange(1, 1000),
            "quantity": chance.randrange(1, 25),
            "discount": chance.randrange(0, 100),
            "first": chance.random() < 0.2,
        }
        yield _item("ord", number, "Order.placed", START + timedelta(seconds=number), data)


def usage(count: int) -> Iterator[Item]:
    """W2: accounts, then their usage over three months in order of time."""
    chance = random.Random(2)
    for number in range(ACCOUNTS):
        yield _item("acc", number, "Account.opened", START, {"id": f"a{number:04}"})
    # Whole milliseconds: what clocks write, and what every peer can read.
    step = (USAGE_END - START) / count // timedelta(milliseconds=1)
    # As many units an account as there would be with all events: 1,830 of 2,000 in a month.
    most = 2 * max(1, round(5.5 * 1_000_000 / count)) - 1
    for number in range(count):
        at = START + timedelta(milliseconds=step * number)
        data = {
            "account": f"a{chance.randrange(ACCOUNTS):04}",
            "endpoint": chance.choice(("/chat", "/embed", "/search")),
            "units": chance.randrange(1, most + 1),
        }
        yield _item("use", number, "API.called", at, data)


def growing(count: int) -> Iterator[Item]:
    """Usage at an even pace, 30 accounts and 10,000 events a month: as much work in each part."""
    chance = random.Random(3)
    for number in range(30):
        yield _item("acc", number, "Account.opened", START, {"id": f"a{number:04}"})
    step = timedelta(milliseconds=262_980)
    for number in range(count):
        data = {
            "account": f"a{chance.randrange(30):04}",
            "endpoint": "/chat",
            "units": chance.randrange(1, 12),
        }
        yield _item("use", number, "API.called", START + step * number, data)


def signups(count: int) -> Iterator[Item]:
    """W3: sign-ups over ten days."""
    step = timedelta(days=10) / max(count, 1) // timedelta(milliseconds=1)
    for number in range(count):
        at = START + timedelta(milliseconds=step * number)
        data = {"id": f"a{number:06}", "email": f"user{number}@example.com"}
        yield _item("sig", number, "Customer.signup", at, data)


def renewals(count: int) -> Iterator[Item]:
    """W4: sign-ups over ten days, then more seats for every fifth, in mid-period."""
    step = timedelta(days=10) / max(count, 1) // timedelta(milliseconds=1)
    for number in range(count):
        at = START + timedelta(milliseconds=step * number)
        data = {"id": f"a{number:06}", "email": f"user{number}@example.com", "seats": 3}
        yield _item("sig", number, "Customer.signup", at, data)
    for number in range(0, count, 5):
        data = {"account": f"a{number:06}", "seats": 4}
        yield _item("cha", number, "Seats.changed", START + timedelta(days=15), data)


def _item(prefix: str, number: int, type_: str, at: datetime, data: Item) -> Item:
    stamp = at.isoformat(timespec="milliseconds" if at.microsecond else "seconds")
    return {
        "id": f"{prefix}_{number:07}", "type": type_, "time": stamp.replace("+00:00", "Z"),
        "data": data,
    }  # fmt: skip


def write(path: Path, items: Iterator[Item]) -> Path:
    """Writes a stream as lines of JSON."""
    encode = msgspec.json.Encoder().encode
    with path.open("wb") as file:
        for item in items:
            file.write(encode(item) + b"\n")
    return path
