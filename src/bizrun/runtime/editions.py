"""The editions of plans in a state: what an edited spec says anew, and what it said before."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from ..billing import catalog
from ..billing.editions import Edition, edition_key, priced
from ..ir import codec
from ..ir.program import Program, reached
from .metered import TABLE as METERED
from .metered import check_meters, metered, undivided
from .tables import defaults_of, renames_of, tables_of

if TYPE_CHECKING:
    from ..store.base import Row, Store
    from .state import State

TABLE = "_plan"


class Editions(Struct, frozen=True):
    """A program that knows what its plans cost before and its meters counted by, and the rows, with
    their tables, that the state has to learn of it.

    `edited` names the plans and add-ons whose prices are others than the state has seen, `gone`
    those that the program has no more, `unmetered` the meters which it has no more, or not by a
    dimension of that price, and an edition charges by; `unknown` meters with a new dimension by
    which levels of before are not known.
    """

    program: Program
    rows: tuple[tuple[str, Row], ...] = ()
    edited: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    unmetered: frozenset[str] = frozenset()
    unknown: tuple[tuple[str, str], ...] = ()

    def kept(self, state: State) -> Editions:
        """The same, once the state knows the plans as they are now."""
        if not self.rows:
            return self
        for table, row in self.rows:
            state.put(table, row["id"], row)
        return replace(self, rows=(), unknown=())


def take_up(program: Program, store: Store) -> list[str]:
    """Brings the tables of a state to a program; what is told of that. MisfitError where what is
    stored does not fit it."""
    check_meters(program, store)
    return store.prepare(tables_of(program), defaults_of(program), renames_of(program))


def editions(program: Program, state: State, clock: datetime | None) -> Editions:
    """What the plans of a program were in the course of a state whose clock stands there."""
    found = sorted(state.select(TABLE, {}), key=lambda row: (row["name"], row["number"]))
    seen = {name: list(rows) for name, rows in groupby(found, key=lambda row: row["name"])}
    older: dict[str, list[Row]] = {}
    fresh: list[Row] = []
    edited = []
    plans = {
        edition_key(plan): plan for by in (program.plans, program.addons) for plan in by.values()
    }
    for name, plan in plans.items():
        now = priced(plan)
        rows = seen.get(name, [])
        number = len(rows) or 1
        if rows and (_plan(rows[-1]) == now or clock is None):
            rows = rows[:-1]
        elif rows:
            rows[-1] = {**rows[-1], "until": clock}
            fresh.append(rows[-1])
            edited.append(name)
            number += 1
        if rows:
            older[name] = rows
        if number > len(seen.get(name, ())) or clock is None:
            fresh.append(_row(program, name, number, now))
    program = _with_history(program, older)
    before = [edition.plan for each in program.history.values() for edition in each]
    charged = frozenset(meter for plan in before for meter in catalog.charged_meters(plan))
    gone = tuple(name for name in seen if name not in plans)
    counted = metered(program, state)
    program = replace(program, meters=counted.meters)
    unmetered = charged - program.meters.keys()
    unmetered |= {meter for plan in before for meter, _ in undivided(plan, program)}
    learnt = *((TABLE, row) for row in fresh), *((METERED, row) for row in counted.rows)
    return Editions(program, learnt, tuple(edited), gone, unmetered, counted.unknown)


def _with_history(program: Program, older: dict[str, list[Row]]) -> Program:
    """A program that knows the editions before those of now, and the conditions in them."""
    if not older:
        return program
    history = {name: tuple(map(_edition, rows)) for name, rows in older.items()}
    plans = [edition.plan for editions in history.values() for edition in editions]
    conditions, functions, constants = (
        {
            name if part else _of_edition(row, name): codec.decode(node)
            for rows in older.values()
            for row in rows
            for name, node in json.loads(row["rules"])[part].items()
        }
        for part in range(3)
    )
    return replace(
        program,
        history=history,
        ranged=program.ranged.union(*map(catalog.rated_by_event, plans)),
        version_conditions={**program.version_conditions, **conditions},
        functions={**functions, **program.functions},
        constants={**constants, **program.constants},
    )


def _edition(row: Row) -> Edition:
    plan = _plan(row)
    versions = tuple(
        version if version.where is None
        else replace(version, where=_of_edition(row, version.where))
        for version in plan.versions
    )  # fmt: skip
    return Edition(replace(plan, versions=versions), row["until"])


def _of_edition(row: Row, condition: str) -> str:
    """The name of a condition of an edition: one of a later edition may have the same."""
    return f"{condition}|{row['number']}"


def _plan(row: Row) -> catalog.Plan:
    plan: catalog.Plan = catalog.from_json(json.loads(row["plan"]))
    return plan


def _row(program: Program, name: str, number: int, plan: catalog.Plan) -> Row:
    return {
        "id": f"{name}|{number:06}", "name": name, "number": number,
        "plan": _text(catalog.to_json(plan)), "rules": _text(list(_rules(program, plan))),
        "until": None,
    }  # fmt: skip


def _rules(program: Program, plan: catalog.Plan) -> Iterator[dict[str, Any]]:
    """The conditions of a plan's versions, and the functions and constants that they reach."""
    names = [version.where for version in plan.versions if version.where is not None]
    conditions = {name: program.version_conditions[name] for name in names}
    every = tuple(conditions.values())
    functions, constants = reached(every, program.functions, program.constants)
    yield {name: codec.encode(node) for name, node in conditions.items()}
    yield {name: codec.encode(program.functions[name]) for name in sorted(functions)}
    yield {name: codec.encode(program.constants[name]) for name in sorted(constants)}


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
