"""Which events of the log a line of usage has counted: those of its customer, period and
dimensions for which the meter's condition holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ..billing.catalog import every_usage
from ..errors import BizError
from ..model import Event
from ..runtime.engine import Engine
from ..values import instant, instant_text

if TYPE_CHECKING:
    from ..ir.program import Meter, Program
    from ..store.base import LogEntry, Row, Store

COUNTED = ("handled", "unmatched")


def events_of(
    program: Program, store: Store, log: Iterable[LogEntry], line: Row, invoice: Row
) -> Iterator[tuple[LogEntry, Mapping[str, Any]]]:
    """The entries of the log that a line's meter counted in its period, with their payloads as
    they are read under the spec as it is today."""
    from ..actions.toolbox import Toolbox

    meter = program.meters[line["meter"]]
    start, end = instant_text(line["period_start"]), instant_text(line["period_end"])
    engine = Engine(program, store, Toolbox(), None)
    values = str(line["description"]).removeprefix(meter.name).strip()
    dimensions = _dimensions(program, meter) if values else ()
    for entry in log:
        if entry.type not in meter.events or entry.status not in COUNTED:
            continue
        # An invoice in mid-period is made at the instant of an event, and asks for that one too.
        within = start <= entry.time < end or (invoice["reason"] == "usage" and entry.time == end)
        if not within or (event := _read(engine, entry)) is None:
            continue
        found = engine.metering.counted(meter, event)
        if found is None or found[0] != invoice["customer"]:
            continue
        if not dimensions or values in _values(found[1], dimensions):
            yield entry, event.data


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


def _read(engine: Engine, entry: LogEntry) -> Event | None:
    """An event of the log as its handlers had it; None where it does not fit any more."""
    from ..runtime.happenings import decode_raw

    held = decode_raw(entry.raw)
    if not isinstance(held, dict):
        return None
    data = held.get("data", held)
    if not isinstance(data, dict):
        return None
    event = Event(entry.id, entry.type, instant(entry.time), data, entry.source)
    event.subject = held.get("subject")
    try:
        engine.read(event)
    except BizError:
        return None
    route = engine.dispatch.route(entry.type)
    if event.subject is None and route.key is not None:
        event.subject = event.data.get(route.key)
    return event
