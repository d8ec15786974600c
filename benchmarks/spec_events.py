"""Writes the year of events beside each smaller spec: `specs/NAME.events.jsonl`.

    python -m benchmarks.spec_events [NAME …]

The same file every time, byte for byte: one seed a business, integers only. `saas_events.py` writes
the large one.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

SPECS = Path(__file__).parent.parent / "specs"
YEAR = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = 365
NAMES = ("ada", "alan", "barbara", "dennis", "edsger", "frances", "grace", "hedy", "jean", "ken")

# When, what, and with which data; the id is given when the whole year is in order.
Event = tuple[datetime, str, dict[str, Any]]


def at(rng: Random, day: int) -> datetime:
    """Some second of a day of the year."""
    return YEAR + timedelta(days=day, seconds=rng.randrange(86_400))


def person(number: int) -> str:
    """An address for the so-manieth person."""
    return f"{NAMES[number % len(NAMES)]}{number:03}@example.com"


def shop(rng: Random) -> Iterator[Event]:
    """Two suppliers with a dozen products, 60 customers, about 300 orders, some returned."""
    for supplier in ("s1", "s2"):
        yield (
            at(rng, 0),
            "Supplier.added",
            {"id": supplier, "email": f"{supplier}@supplier.example"},
        )
    for number in range(12):
        product = {
            "sku": f"p{number:02}",
            "name": f"Product {number}",
            "price": f"{rng.randrange(5, 90)}.{rng.randrange(100):02} USD",
            "stock": rng.randrange(60, 400),
            "supplier": rng.choice(("s1", "s2")),
        }
        yield at(rng, 1), "Supply.offered", product
    for number in range(60):
        joined = rng.randrange(2, 300)
        customer = f"c{number:03}"
        card = "pm_card_visa_chargeDeclined" if number % 15 == 7 else "pm_card_visa"
        data = {"id": customer, "email": person(number), "address": f"{number} Elm Street"}
        yield at(rng, joined), "Customer.registered", {**data, "payment_method": card}
        for order in range(rng.randrange(1, 9)):
            yield from shopping(rng, customer, f"{customer}-{order}", joined)


def shopping(rng: Random, customer: str, order: str, joined: int) -> Iterator[Event]:
    """An order, and perhaps its way back."""
    day = rng.randrange(joined + 1, DAYS - 40)
    skus = rng.sample(range(12), rng.randrange(1, 4))
    items = [{"sku": f"p{sku:02}", "quantity": rng.randrange(1, 5)} for sku in sorted(skus)]
    when = at(rng, day)
    yield when, "Cart.checkout", {"id": order, "customer": customer, "items": items}
    if rng.randrange(10) == 0:
        asked = when + timedelta(days=rng.randrange(3, 12))
        yield asked, "Return.requested", {"order": order, "reason": rng.choice(("broken", "late"))}
        if rng.randrange(4):
            back = asked + timedelta(days=rng.randrange(2, 20))
            yield back, "Return.received", {"order": order}


BUSINESSES: dict[str, Callable[[Random], Iterator[Event]]] = {
    "shop": shop,
}


def lines(name: str) -> Iterator[str]:
    """The lines of a year, in the order of time."""
    events = sorted(BUSINESSES[name](Random(name)), key=lambda event: event[0])
    for number, (time, type_, data) in enumerate(events):
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ")
        yield json.dumps({"id": f"{name}-{number:05}", "type": type_, "time": stamp, "data": data})


def main(names: list[str]) -> None:
    """Writes the files of the businesses named, or of all."""
    for name in names or BUSINESSES:
        text = "".join(f"{line}\n" for line in lines(name))
        (SPECS / f"{name}.events.jsonl").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
