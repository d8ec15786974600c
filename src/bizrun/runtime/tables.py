"""The tables of a state: one for each entity, and the engine's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..ir.nodes import Const
from ..ir.program import Entity, Program
from ..lang.types import Choice, ListOf, MapOf, Prim, Type, known
from ..store.base import Column, ColumnType, Table

_DIRECT: dict[str, ColumnType] = {
    "text": "text", "number": "number", "integer": "integer", "bool": "bool", "money": "money",
    "percent": "percent", "duration": "duration", "size": "size", "time": "time", "date": "date",
    "plan": "text", "coupon": "text", "json": "json",
}  # fmt: skip


def column_type(type_: Type) -> ColumnType:
    """How a type of the language is stored; references by their key."""
    match known(type_):
        case Prim(name):
            return _DIRECT.get(name, "json")
        case other:
            return "text" if type(other).__name__ in ("Choice", "EntityType") else "json"


def _choices(type_: Type) -> tuple[str, ...]:
    match known(type_):
        case Choice(values):
            return values
    return ()


# The column that says which of an instant's rows came first: counted up by whatever makes rows,
# effects and timers.
MADE = "_made"


BY_AGE = (("created_at", False), (MADE, False))


def in_order(order: Sequence[tuple[str, bool]]) -> Sequence[tuple[str, bool]]:
    """An order of an entity's rows by columns (True: descending), in which no two are alike: as
    they were made, the newest first where that is asked for."""
    if not order:
        return BY_AGE
    name, descending = order[-1]
    return (*order, (MADE, descending and name == "created_at"))


def entity_table(entity: Entity) -> Table:
    """The table of an entity: indexed where it is unique, refers to another, or the author says."""
    columns = (
        *(
            Column(
                f.name,
                column_type(f.type),
                f.unique and f.name != entity.key,
                () if entity.builtin else _choices(f.type),
                None if entity.builtin else not f.optional,
            )
            for f in entity.fields.values()
        ),
        Column(MADE, "serial"),
    )
    return Table(entity.name, columns, entity.key, entity.found_by)


def _table(
    name: str,
    columns: str,
    *indexes: tuple[str, ...],
    by_age: bool = False,
    usual: tuple[tuple[str, str], ...] = (),
) -> Table:
    parsed = tuple(
        Column(column, type_)  # type: ignore[arg-type]
        for column, _, type_ in (word.partition(":") for word in columns.split())
    )
    return Table(name, parsed, "id", indexes, by_age, usual)


SYSTEM = (
    _table("_spec", "id:text spec:text path:text format:integer"),
    _table("_timer", "id:text due:time order:integer kind:text task:json", ("due",)),
    _table(
        "_wait",
        "id:text order:integer unit:text pattern:integer segment:integer name:text live:json "
        "event:json timer:text cancels:text types:json",
    ),
    _table("_wait_on", "id:text wait:text type:text match:text order:integer", ("type", "match")),
    _table("_wait_count", "id:text count:integer"),
    _table("_unit", "id:text code:json"),
    _table(
        "_effect",
        "id:text order:integer kind:text status:text data:json created:time event:text place:text "
        "customer:text resume:json error:text answer:json reference:text attempts:integer "
        "depth:integer",
        ("status",),
        # Those that are over are asked for by their keys, and all others by how they stand.
        usual=(("status", "done"),),
    ),
    # What the worker knows of an effect, on the wall clock: no part of what a state says.
    _table(
        "_delivery",
        "id:text provider:text hash:text epoch:integer until:time first:time attempts:integer "
        "generation:integer twice:bool maybe:bool reason:text outcome:json",
    ),
    _table("_fence", "id:text epoch:integer"),
    _table("_spent", "id:text amount:money over:bool"),
    _table("_items", "id:text count:integer over:bool"),
    _table("_switch", "id:text by:text at:time reason:text"),
    _table("_trigger", "id:text on:bool period:time"),
    # By what triggers that time may turn were looked at: the hash of what they say.
    _table("_timed", "id:text code:text"),
    _table("_number", "id:text last:integer"),
    _table(
        "_meter",
        "id:text meter:text customer:text by:json start:time total:number count:integer "
        "low:number high:number last:number last_at:time last_event:text first_at:time "
        "area:number",
        ("customer", "meter", "start"),
        # The figures of a period, which move with each commit, are not among those of all others.
        by_age=True,
    ),
    _table("_meter_value", "id:text bucket:text value:number count:integer", ("bucket", "value")),
    _table(
        "_reading",
        "id:text series:text at:time event:text value:number",
        ("series", "at", "event"),
    ),
    _table(
        "_told",
        "id:text series:text at:time event:text value:json",
        ("series", "at", "event"),
    ),
    _table("_series", "id:text meter:text customer:text by:json", ("customer", "meter")),
    _table(
        "_corrected",
        "id:text target:text event:text stamp:time type:text at:time data:json known:bool",
        ("known",),
    ),
    _table(
        "_usage",
        "id:text subscription:text customer:text meter:text start:time end:time invoice:text "
        "terms:json billed:json",
        ("customer", "meter", "start"),
        by_age=True,
    ),
    _table("_replaced", "id:text"),
    # What meters have counted, and by which dimensions ever.
    _table("_metered", "id:text aggregate:text field:text unit:text by:json"),
    _table("_plan", "id:text name:text number:integer plan:text rules:text until:time"),
    _table("_point", "id:text metric:text at:time value:json", ("metric", "at")),
    _table("_note", "id:text order:integer event:text place:text text:text"),
    _table(
        "_dead",
        "id:text order:integer event:text type:text at:time handler:text place:text "
        "status:text reason:text retry:json",
        ("status",),
    ),
    # Coupons that a customer was given before a subscription that could have them.
    _table("_promised", "id:text coupons:json"),
    _table("_seller", "id:text payable:json held:json"),
    # What a customer was called, and where they were, until they changed it: invoices keep to it.
    _table("_billed_as", "id:text customer:text until:time details:json", ("customer",)),
    # Until when sessions of somebody have been ended, by entity and key.
    _table("_signed_out", "id:text at:time"),
    _table("_mrr", "id:text at:time customer:text subscription:text before:money after:money"),
)


def defaults_of(program: Program) -> dict[str, dict[str, Any]]:
    """What stored rows get in a field that is new; None for one that they would have to have."""
    found: dict[str, dict[str, Any]] = {}
    for entity in program.entities.values():
        fields = found[entity.name] = {}
        for name, field in entity.fields.items():
            if isinstance(field.default, Const):
                fields[name] = field.default.value
            elif isinstance(known(field.type), ListOf):
                fields[name] = []
            elif isinstance(known(field.type), MapOf) and not field.optional:
                fields[name] = {}
            elif not field.optional:
                fields[name] = None
    return found


def renames_of(program: Program) -> dict[str, dict[str, str]]:
    """By entity: what fields were called before, with what they are called now."""
    found = {entity.name: entity.renamed for entity in program.entities.values()}
    return {name: renamed for name, renamed in found.items() if renamed}


def tables_of(program: Program) -> tuple[Table, ...]:
    """All tables of a program's state."""
    return (*(entity_table(entity) for entity in program.entities.values()), *SYSTEM)
