"""Rows of entities as they may be written: defaults, values that fit, unique ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ..diagnostics import an
from ..errors import Refusal
from ..store.base import Row
from ..values import check_number, show
from .blanks import Blanks
from .fit import fit
from .tables import MADE

if TYPE_CHECKING:
    from .engine import Engine
    from .work import Work


class Rows:
    """What rows of one engine's entities are made of. Nothing is written here."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._entities = engine.program.entities
        self._blanks = Blanks(engine.program)
        self._defaults: dict[tuple[str, str], Callable[[Work], Any]] = {}

    def new(self, entity: str, data: Mapping[str, Any], work: Work) -> Row:
        """A new row with what is given, made to fit, and the defaults of the rest."""
        blank = self._blanks[entity]
        row = blank.row.copy()
        row["created_at"] = row["updated_at"] = work.now
        row[MADE] = self.engine.next_order()
        plain = blank.plain
        for name, value in data.items():
            if type(value) is plain.get(name):
                row[name] = value
            elif name in row:
                row[name] = self.fitting(entity, name, value)
        for name in blank.computed:
            if name not in data:
                row[name] = self.default(entity, name, work)
        for name in blank.needed:
            if name not in data:
                raise Refusal(f"{entity}.{name} is needed and was not given")
        return row

    def new_of_billing(self, entity: str, key: str, data: Mapping[str, Any], work: Work) -> Row:
        """A new row of billing, whose values fit as they are."""
        blank, now = self._blanks[entity], work.now
        row: Row = {**blank.row, **data, "id": key, "created_at": now, "updated_at": now}
        row[MADE] = self.engine.next_order()
        for name in blank.computed:
            if name not in data:
                row[name] = self.default(entity, name, work)
        return row

    def changed(self, entity: str, old: Row, changes: Mapping[str, Any]) -> Row:
        """A row with other values in some of its fields, made to fit."""
        key, blank = self._entities[entity].key, self._blanks[entity]
        plain, words = blank.plain, blank.words
        row = dict(old)
        for name, value in changes.items():
            if name == key and value != old[name]:
                raise Refusal(f"{entity}.{name} is its key and can't change")
            if type(value) is plain.get(name) or (
                name in words and type(value) is str and value in words[name]
            ):
                row[name] = value
            else:
                row[name] = self.fitting(entity, name, value)
        return row

    def default(self, entity: str, name: str, work: Work) -> Any:
        """The default of a field."""
        compute = self._defaults.get((entity, name))
        if compute is None:
            expr = self._entities[entity].fields[name].default
            assert expr is not None
            compute = self._defaults[entity, name] = self.engine.compiled(expr, ())
        return compute(work)

    def fitting(self, entity: str, name: str, value: Any) -> Any:
        """A value as it is stored in a field; refused where it doesn't fit."""
        field = self._entities[entity].fields[name]
        if value is None:
            if not field.optional:
                raise Refusal(f"{entity}.{name} can't be none")
            return None
        if isinstance(value, int | Decimal) and not isinstance(value, bool):
            value = check_number(value)
        return fit(self.engine, value, field.type, f"{entity}.{name}")

    def known(self, entity: str, data: Mapping[str, Any]) -> str | None:
        """The key of the row that has the same key, or the same value in a unique field."""
        declared = self._entities[entity]
        key = data.get(declared.key)
        if key is not None:
            return str(key) if self.engine.state.get(entity, key) is not None else None
        for name in declared.uniques:
            if data.get(name) is not None:
                for row in self.engine.state.select(entity, {name: data[name]}, limit=1):
                    return str(row[declared.key])
        return None

    def check_unique(self, entity: str, key: str, row: Row, old: Row | None = None) -> None:
        """Refuses a new value that must be unique and is another row's."""
        for name in self._blanks[entity].uniques:
            value = row[name]
            if value is None or (old is not None and value == old[name]):
                continue
            for other in self.engine.state.select(entity, {name: value}, limit=1):
                if other[self._entities[entity].key] != key:
                    raise Refusal(f"there is already {an(entity)} with {name} `{show(value)}`")
