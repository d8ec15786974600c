"""What the meters of a state have counted by so far, where an edited spec says something else.

A figure stays what it was counted as. By which dimensions it is told apart may change: its parts
add up. Another field or aggregation would make another figure of it, and is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from ..billing.catalog import every_usage
from ..errors import MisfitError
from .tables import SYSTEM

if TYPE_CHECKING:
    from ..billing.catalog import Plan
    from ..ir.program import Meter, Program
    from ..store.base import Row, Store
    from .state import State

TABLE = "_metered"


class Metered(Struct, frozen=True):
    """The meters of a program as they count in a state, and the rows that it has to learn of them.

    `unknown` are pairs of a meter and a new dimension of it, by which the levels are not known that
    customers had before and that go on.
    """

    meters: dict[str, Meter]
    rows: tuple[Row, ...] = ()
    unknown: tuple[tuple[str, str], ...] = ()


def check_meters(program: Program, store: Store) -> None:
    """MisfitError where a meter counts something else than it has counted in a state, of which
    nothing is changed then."""
    if not program.meters or not store.last_seq():
        return
    store.prepare([table for table in SYSTEM if table.name in (TABLE, "_meter")])
    for row in list(store.select(TABLE)):
        meter = program.meters.get(row["id"])
        if meter is None:
            continue
        was, now = _written(row["aggregate"], row["field"], row["unit"]), _written(*_what(meter))
        if was != now and _any(store, "_meter", meter.name):
            raise MisfitError(
                f"meter {meter.name} now is `{now}` (was `{was}`), and what it has counted is "
                f"something else: keep `{was}`, and declare a meter of another name for `{now}`; "
                f"`from DATE {{ usage {meter.name}: free, usage NAME: …, migrate on renewal }}` in "
                "the plans brings over who is charged by it"
            )


def metered(program: Program, state: State) -> Metered:
    """What an edit of meters comes to, whose figures are what they were.

    One goes on with the dimensions that an edition of a plan has prices for, as long as its events
    say them.
    """
    if not program.meters:
        return Metered({})
    seen = {row["id"]: row for row in state.select(TABLE, {})}
    meters: dict[str, Meter] = {}
    fresh: list[Row] = []
    unknown: list[tuple[str, str]] = []
    for name, meter in program.meters.items():
        row = seen.get(name)
        what = dict(zip(("aggregate", "field", "unit"), _what(meter), strict=True))
        wanted = {*meter.by, *_held(program, meter)}
        known = [] if row is None else row["by"]
        # In the order of before: it is that of the keys of figures.
        every = list(dict.fromkeys([*known, *meter.by]))
        by = tuple(each for each in every if each in wanted)
        once = tuple(each for each in every if each not in wanted)
        meters[name] = replace(meter, by=by, once=once)
        if row != (new := {"id": name, **what, "by": every}):
            fresh.append(new)
        if row is not None and meter.aggregate == "average" and _any(state, "_series", name):
            unknown += [(name, each) for each in every[len(known) :]]
    return Metered(meters, tuple(fresh), tuple(unknown))


def _any(rows: State | Store, table: str, meter: str) -> bool:
    """Whether there is a row of a meter."""
    return any(True for _ in rows.select(table, {"meter": meter}, limit=1))


def undivided(plan: Plan, program: Program) -> Iterator[tuple[str, str]]:
    """Meters that a plan charges by values of a dimension which they do not have any more, with
    that dimension."""
    for price in every_usage(plan):
        meter = program.meters.get(price.meter)
        if meter is not None:
            for name in price.pricing.dimensions:
                if name not in meter.by:
                    yield meter.name, name


def _held(program: Program, meter: Meter) -> set[str]:
    """The dimensions that a meter has no more, its events do, and editions of plans price by."""
    before = [edition.plan for each in program.history.values() for edition in each]
    wanted = {
        name
        for plan in before
        for price in every_usage(plan) if price.meter == meter.name
        for name in price.pricing.dimensions
    }  # fmt: skip
    return {name for name in wanted.difference(meter.by) if _says_it(program, meter, name)}


def _says_it(program: Program, meter: Meter, name: str) -> bool:
    """Whether an event of a meter may have a field."""
    declared = [program.events.get(type_) for type_ in meter.events]
    return any(
        event is None or not event.declared or event.payload.field(name) is not None
        for event in declared
    )


def _what(meter: Meter) -> tuple[str, str | None, str | None]:
    """What a meter counts: an edit of it would make another figure of what it has counted."""
    return meter.aggregate, meter.field, meter.unit


def _written(aggregate: str, field: str | None, unit: str | None) -> str:
    """What a meter counts, as it is written."""
    return " ".join(filter(None, (aggregate, field, unit and f"unit {unit}")))
