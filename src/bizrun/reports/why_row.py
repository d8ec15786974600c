"""What a row of an entity follows from: each change of it, and the events behind that.

The log says what came, not what it changed: the history runs again in memory, and the changes of
the row are noted with the place of the statement that made them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

from ..ir import nodes as ir
from ..ir.program import Program
from ..store.base import Row, Store
from ..values import instant_text, literal
from .replay import Replay
from .wanted import all_steps

SHOWN = 20
LONGEST = 80
_OWN = ("created_at", "updated_at")


class Change(NamedTuple):
    """A changed row: when, by which piece of work, where in the spec, and from what to what."""

    at: datetime
    work: str
    place: str | None
    old: Row | None
    row: Row | None


class _Watch(Replay):
    """Notes what becomes of one row."""

    def __init__(self, program: Program, past: Store, entity: str, key: str) -> None:
        self.changes: list[Change] = []
        self._here: tuple[str, str] | None = None
        changing = ir.CreateStep | ir.UpdateStep | ir.DeleteStep | ir.MemberStep
        handlers = {
            handler.id for handler, step in all_steps(program)
            if isinstance(step, changing) and step.entity == entity
        }  # fmt: skip
        super().__init__(program, past, handlers)
        told = self.emitting.changed

        def changed(work: Any, table: str, id: str, old: Row | None, row: Row | None) -> None:
            if table == entity and id == key:
                here = self._here
                place = here[1] if here is not None and here[0] == work.base else None
                self.changes.append(Change(work.now, work.base, place, old, row))
            told(work, table, id, old, row)

        self.emitting.changed = changed  # type: ignore[assignment, method-assign]

    def _note(self, passage: Any, step: ir.Step, *rest: Any) -> None:
        self._here = passage.base, str(step.place)
        super()._note(passage, step, *rest)


def changes(
    program: Program, past: Store, clock: datetime | None, entity: str, key: str
) -> list[Change]:
    """The changes of a row in the history of a state, the oldest first."""
    engine = _Watch(program, past, entity, key)
    engine.run(past, clock)
    return engine.changes


def tell(
    found: list[Change], field: str | None, more: Callable[[str], tuple[Any, ...]]
) -> Iterator[tuple[str, str | None, tuple[Any, ...]]]:
    """A line for each change, the newest first, with its place and what `more` says of its work."""
    told = [(change, text) for change in reversed(found) if (text := _said(change, field))]
    for change, text in told[:SHOWN]:
        yield f"{text} at {instant_text(change.at)}", change.place, more(change.work)
    if len(told) > SHOWN:
        yield f"and {len(told) - SHOWN:,} changes before that", None, ()


def _said(change: Change, field: str | None) -> str:
    old, row = change.old, change.row
    if row is None:
        return "deleted"
    names = [
        name for name in row
        if name not in _OWN and name[0] != "_" and (field is None or name == field)
    ]  # fmt: skip
    if old is None:
        given = [name for name in names if row[name] is not None]
        said = ", ".join(f"{name}: {brief(row[name])}" for name in given)
        return f"created with {said}"
    return ", ".join(
        f"{name}: {brief(old.get(name))} to {brief(row[name])}"
        for name in names if old.get(name) != row[name]
    )  # fmt: skip


def brief(value: Any) -> str:
    """A value as it is written, cut where it is long."""
    text = literal(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
