"""What the recorded history would have billed under another spec.

The events of a state's log run again, in memory and in the sandbox, under the other spec, up to the
state's clock; its invoices are compared with those of the state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import groupby
from typing import TYPE_CHECKING, Any

import msgspec

from ..store.base import CLOCK, INTERNAL, LogEntry, Store
from ..store.memory import MemoryStore
from ..values import Money, instant

if TYPE_CHECKING:
    from ..ir.program import Program
    from ..runtime.engine import Engine

CAME = ("handled", "unmatched", "rejected", "failed")
BILLED = ("final", "sent", "paid", "uncollectible")
# customer, currency, what stands on the line
Line = tuple[str, str, str]


@dataclass(slots=True)
class Change:
    """A line of a customer's invoices, or all of them: what was billed, and what would be."""

    name: str
    recorded: Money
    new: Money
    lines: list[Change] = field(default_factory=list)

    @property
    def difference(self) -> Money:
        """What the other spec would have billed more, or less."""
        return self.new - self.recorded


@dataclass(frozen=True, slots=True)
class Backtest:
    """Customers whose invoices differ, the greatest difference first; totals by currency.

    `events` ran again, `refused` were rejected or failed under the other spec, `calls` of routes
    are in the log but no events, so they did not run.
    """

    customers: tuple[Change, ...]
    totals: tuple[Change, ...]
    events: int
    refused: int
    calls: int


def backtest(
    store: Store, program: Program, run: Callable[[Engine, Any], None], until: datetime | None
) -> Backtest:
    """Compares a state's invoices with those of another spec over the same events.

    `run` handles lines with an engine; `until` is the state's clock.
    """
    from ..pipeline import open_engine
    from ..providers.sandbox import Sandbox

    again = MemoryStore()
    engine = open_engine(program, again, Sandbox())
    again_over(store, engine, run, until)
    counts = engine.counts
    before, after = _billed(store), _billed(again)
    customers = _by_customer(before, after)
    totals = _totals(before, after)
    calls = sum(1 for entry in store.log() if entry.source != INTERNAL and _is_call(entry))
    return Backtest(
        tuple(customers), tuple(totals), counts.handled + counts.rejected,
        counts.rejected + counts.failed, calls,
    )  # fmt: skip


def again_over(
    store: Store, engine: Engine, run: Callable[[Engine, Any], None], until: datetime | None
) -> None:
    """Has an engine handle a state's history: its events, and time where it moved on by itself."""
    for lines, some in groupby(history(store), key=lambda found: isinstance(found, bytes)):
        if lines:
            run(engine, some)
            continue
        for at in some:
            assert isinstance(at, datetime)
            engine.advance(at)
    if until is not None:
        engine.advance(until)
    engine.commit()


def history(store: Store) -> Iterator[bytes | datetime]:
    """The events that came from outside, as lines of JSON, each with its id, source and time; and
    between them instants, to which time moved on before the next one came."""
    decode = msgspec.json.Decoder(float_hook=Decimal).decode
    encode = msgspec.json.Encoder(decimal_format="number").encode
    for entry in store.log():
        if entry.type == CLOCK:
            yield instant(entry.time)
        if entry.source == INTERNAL or entry.status not in CAME or _is_call(entry):
            continue
        held = decode(entry.raw)
        held |= {"id": entry.id, "type": entry.type, "time": entry.time}
        if entry.source:
            held["source"] = entry.source
        yield encode(held) + b"\n"


def _is_call(entry: LogEntry) -> bool:
    """Whether an entry is a call of an `api`: `GET /usage`, by its type."""
    return entry.type.partition(" ")[2].startswith("/")


def _billed(store: Store) -> dict[Line, Money]:
    """What stands on the invoices by customer and line, their discounts and tax as lines."""
    found: dict[Line, Money] = {}
    invoices = {row["id"]: row for row in store.select("Invoice") if row["status"] in BILLED}

    def add(invoice: dict[str, Any], name: str, amount: Money) -> None:
        if amount:
            key = (str(invoice["customer"]), str(invoice["currency"]), name)
            found[key] = amount if key not in found else found[key] + amount

    for line in store.select("InvoiceLine"):
        invoice = invoices.get(line["invoice"])
        if invoice is not None:
            add(dict(invoice), str(line["description"]), line["amount"])
    for invoice in invoices.values():
        add(dict(invoice), "discounts", -invoice["discount"])
        add(dict(invoice), "tax", invoice["tax"])
    return found


def _by_customer(before: dict[Line, Money], after: dict[Line, Money]) -> list[Change]:
    found: dict[tuple[str, str], Change] = {}
    for key in sorted({*before, *after}):
        customer, currency, name = key
        nothing = Money(0, currency)
        line = Change(name, before.get(key, nothing), after.get(key, nothing))
        whole = found.setdefault((customer, currency), Change(customer, nothing, nothing))
        whole.recorded, whole.new = whole.recorded + line.recorded, whole.new + line.new
        if line.difference:
            whole.lines.append(line)
    changed = [change for change in found.values() if change.lines]
    return sorted(changed, key=lambda change: (-abs(change.difference.amount), change.name))


def _totals(before: dict[Line, Money], after: dict[Line, Money]) -> list[Change]:
    found: dict[str, Change] = {}
    for key in sorted({*before, *after}):
        nothing = Money(0, key[1])
        total = found.setdefault(key[1], Change("total", nothing, nothing))
        total.recorded += before.get(key, nothing)
        total.new += after.get(key, nothing)
    return list(found.values())
