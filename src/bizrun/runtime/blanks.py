"""New rows: what a field has where nothing is given, worked out once for each entity."""

from __future__ import annotations

from dataclasses import dataclass

from ..ir.nodes import Const
from ..ir.program import Entity, Program
from ..lang.classes import class_of
from ..lang.types import Choice, ListOf, MapOf, known
from ..store.base import Row
from .tables import MADE

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
        elif isinstance(known(field.type), MapOf) and not field.optional:
            row[name] = {}
        elif not field.optional:
            needed.append(name)
    plain = {
        name: kind
        for name, field in entity.fields.items()
        if (kind := class_of(field.type)) is not None
    }
    words = {
        name: frozenset(inner.values)
        for name, field in entity.fields.items()
        if isinstance(inner := known(field.type), Choice)
    }
    return Blank(row, tuple(computed), tuple(needed), plain, entity.uniques, words)
