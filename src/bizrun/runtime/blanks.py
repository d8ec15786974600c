"""New rows: what a field has where nothing is given, worked out once for each entity."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ..ir.nodes import Const
from ..ir.program import Entity, Program
from ..lang.types import Choice, EntityType, ListOf, Maybe, Prim, Type, known
from ..store.base import Row
from ..values import Duration, Money, Percent
from .tables import MADE

# A value of exactly this class is stored as it is; any other is looked at.
_CLASSES: dict[str, type] = {
    "text": str, "plan": str, "coupon": str, "money": Money, "percent": Percent,
    "duration": Duration, "bool": bool, "time": datetime,
}  # fmt: skip
STAMPS = ("created_at", "updated_at")


@dataclass(frozen=True, slots=True)
class Blank:
    """An entity's row with its constant defaults; what else there is to say of its fields.

    `computed` have a default that is no constant, `needed` none at all; `plain` has by field the
    class whose values fit without a look, `words` those that fit a choice; `uniques` are unique
    beside the key.
    """

    row: Row
    computed: tuple[str, ...]
    needed: tuple[str, ...]
    plain: dict[str, type]
    uniques: tuple[str, ...]
    words: dict[str, frozenset[str]]


class Blanks(dict[str, Blank]):
    """What new rows of a program's entities begin as, by entity."""

    def __init__(self, program: Program) -> None:
        self._program = program

    def __missing__(self, entity: str) -> Blank:
        found = self[entity] = blank_of(self._program.entities[entity])
        return found


def blank_of(entity: Entity) -> Blank:
    """What new rows of an entity begin as."""
    row: Row = {MADE: None}
    computed, needed = [], []
    for name, field in entity.fields.items():
        row[name] = None
        if name in STAMPS:
            continue
        if isinstance(field.default, Const):
            row[name] = field.default.value
        elif field.default is not None:
            computed.append(name)
        elif isinstance(known(field.type), ListOf) and not field.optional:
            row[name] = []
        elif not field.optional:
            needed.append(name)
    plain = {
        name: kind
        for name, field in entity.fields.items()
        if (kind := _plain(field.type)) is not None
    }
    words = {
        name: frozenset(inner.values)
        for name, field in entity.fields.items()
        if isinstance(inner := _inner(field.type), Choice)
    }
    return Blank(row, tuple(computed), tuple(needed), plain, entity.uniques, words)


def _inner(type_: Type) -> Type:
    return type_.inner if isinstance(type_, Maybe) else type_


def _plain(type_: Type) -> type | None:
    match _inner(type_):
        case Prim(name):
            return _CLASSES.get(name)
        case EntityType():
            return str
    return None
