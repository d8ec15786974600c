"""What refers to a deleted row: an optional reference is none from then on, a list is without it.

A reference that can't be none goes on holding the key, as history does.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from ..ir.program import Program
from .tables import BY_AGE

if TYPE_CHECKING:
    from .work import Work


class Link(NamedTuple):
    """A field of an entity that lets go of a deleted row; `many` where it is a list."""

    owner: str
    field: str
    many: bool


def links(program: Program, entity: str) -> Iterator[Link]:
    """The fields that let go of rows of an entity."""
    for owner, declared in program.entities.items():
        for field, target in declared.references.items():
            if target == entity and declared.fields[field].optional:
                yield Link(owner, field, False)
    for owner, fields in program.reference_lists.items():
        yield from (
            Link(owner, field, True) for field, target in fields.items() if target == entity
        )


def unlink(work: Work, link: Link, key: str) -> None:
    """Takes a deleted row out of a field of others."""
    owner, field, many = link
    own = work.engine.program.entities[owner].key
    equals = {} if many else {field: key}
    for row in list(work.engine.state.select(owner, equals, (), BY_AGE)):
        held = row[field]
        if many and key not in (held or ()):
            continue
        left = [item for item in held if item != key] if many else None
        work.store_row(owner, str(row[own]), row, {**row, field: left})
