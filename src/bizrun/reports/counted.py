"""Which events of the log a line of usage has counted: those of its customer, period and
dimensions for which the meter's condition holds."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from math import inf
from typing import TYPE_CHECKING, Any

from ..billing.catalog import every_usage
from ..runtime.counting import RECORDED
from ..runtime.engine import Engine
from ..runtime.happenings import decode_raw
from ..store.base import INTERNAL

if TYPE_CHECKING:
    from ..ir.program import Meter, Program
    from ..store.base import LogEntry, Row, Store

COUNTED = ("handled", "unmatched")


def events_of(
    program: Program, store: Store, log: Collection[LogEntry], line: Row, invoice: Row
) -> Iterator[tuple[LogEntry, Mapping[str, Any]]]:
    """The entries of the log that a line's meter counted in its period, with their payloads as
    they are read under the spec as it is today: as far as they had come when the invoice was
    final, and for a correction since the one before it was."""
    from ..actions.toolbox import Toolbox

    engine = Engine(program, store, Toolbox(), None)
    program = engine.program  # with the dimensions that kept prices are by
    meter = program.meters[line["meter"]]
    start, end = line["period_start"], line["period_end"]
    values = str(line["description"]).removeprefix(meter.name).strip()
    dimensions = _dimensions(program, meter) if values else ()
    known, final = _came_between(store, log, line)
    for entry in log:
        if entry.status not in COUNTED or entry.type not in (*meter.events, RECORDED):
            continue
        if not known < entry.seq < final:
            continue
        if (event := engine.metering.corrections.read(entry)) is None:
            continue
        # An invoice in mid-period is made at the instant of an event, and asks for that one too.
        at = event.time
        within = start <= at < end or (invoice["reason"] == "usage" and at == end)
        found = engine.metering.counted(meter, event) if within else None
        if found is None or found[0] != invoice["customer"]:
            continue
        if not dimensions or values in _values(found[1], dimensions):
            yield entry, event.data


def _came_between(store: Store, log: Iterable[LogEntry], line: Row) -> tuple[int, float]:
    """The numbers in the log between which a line's events came."""
    finals = {
        str(decode_raw(entry.raw)["invoice"]): entry.seq
        for entry in log if entry.source == INTERNAL and entry.type == "Invoice.finalized"
    }  # fmt: skip
    final = finals.get(line["invoice"], inf)
    if line["kind"] != "correction":
        return 0, final
    same = {name: line[name] for name in ("subscription", "meter", "period_start", "description")}
    others = (finals.get(row["invoice"], inf) for row in store.select("InvoiceLine", same))
    return int(max((seq for seq in others if seq < final), default=0)), final


def _dimensions(program: Program, meter: Meter) -> set[tuple[str, ...]]:
    """The dimensions of each price of a meter."""
    prices = (
        price
        for plan in program.offers()
        for price in every_usage(plan)
        if price.meter == meter.name
    )
    return {price.pricing.dimensions for price in prices if price.pricing.dimensions}


def _values(by: Mapping[str, str], dimensions: Iterable[tuple[str, ...]]) -> set[str]:
    """What a line says of an event's dimensions, by each price."""
    return {" ".join(by[name] for name in names) for names in dimensions}
