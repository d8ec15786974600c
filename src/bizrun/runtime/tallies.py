"""Metrics that count or sum rows, kept as the rows change: reading one every day reads no row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from ..ir import nodes as ir
from ..ir.program import Entity, Program
from ..lang.types import INTEGER, JSON, MONEY, NUMBER, Choice, EntityType, Prim, known
from ..store.base import Row
from ..values import Money, Number, check_number
from ..values.numbers import MAX_DIGITS
from .state import State

_NUMBERS = ""
_OTHERS = "?"
_LARGEST = 10**MAX_DIGITS


class Tally:
    """What the rows of an entity that meet a condition come to, by currency.

    `columns` are those of the condition, and the one that is summed; without it a row counts 1.
    """

    def __init__(
        self, state: State, entity: str, equals: Mapping[str, Any], summed: str | None
    ) -> None:
        self._equals = tuple(equals.items())
        self._summed = summed
        self._sums: dict[str, tuple[int, Number]] = {}
        columns = dict.fromkeys([*equals, *([summed] if summed else ())])
        if columns:
            for values, rows in state.tally(entity, *columns):
                self._count(dict(zip(columns, values, strict=True)), rows)
        else:
            self._count({}, state.count(entity, {}))
        state.follow(entity, self._follow)

    def result(self) -> Any:
        """The sum; None where that takes asking, as for nothing at all, or two currencies."""
        if len(self._sums) != 1:
            return None
        ((currency, (_, amount)),) = self._sums.items()
        if currency == _NUMBERS:
            return check_number(amount) if abs(amount) < _LARGEST else None
        # Rows that come to nothing, or have no amount, don't say by themselves what it is.
        return Money(amount, currency) if amount else None

    def _follow(self, key: str, old: Row | None, row: Row | None) -> None:
        if old is not None:
            self._count(old, -1)
        if row is not None:
            self._count(row, 1)

    def _count(self, row: Mapping[str, Any], times: int) -> None:
        """Adds so many rows like this one, or takes them away."""
        if not times or any(row[name] != value for name, value in self._equals):
            return
        value = 1 if self._summed is None else row[self._summed]
        if value is None or (isinstance(value, Money) and not value):
            return
        what, amount = _part(value)
        rows, whole = self._sums.get(what, (0, 0))
        if rows + times:
            self._sums[what] = rows + times, whole + amount * times
        else:
            del self._sums[what]


def _part(value: Any) -> tuple[str, Number]:
    """The currency of a value, and its amount."""
    match value:
        case Money():
            return value.currency, value.amount
        case int():
            return _NUMBERS, value
        case Decimal() if value.is_finite():
            return _NUMBERS, value
    return _OTHERS, 0


def tally_of(program: Program, state: State, expr: ir.Expr) -> Tally | None:
    """The tally of `count(Entity where .a == 1)` and `sum(Entity.b where .a == 1)`; None where an
    expression asks for more than rows with constants in some columns."""
    match expr:
        case ir.Aggregate(
            op="count",
            query=ir.Query(
                entity=str(name), source=None, equals=equals, ranges=(), where=None, limit=None,
                select=None,
            ),
        ):  # fmt: skip
            summed = None
        case ir.Aggregate(
            op="sum",
            query=ir.Query(
                entity=str(name), source=None, var=row, equals=equals, ranges=(), where=None,
                limit=None, select=ir.Get(base=ir.Local(name=base), name=summed),
            ),
        ) if base == row:  # fmt: skip
            pass
        case _:
            return None
    if not _can_be_kept(program.entities[name], equals, summed):
        return None
    asked = {column: value.value for column, value in equals if isinstance(value, ir.Const)}
    return Tally(state, name, asked, summed)


def _can_be_kept(entity: Entity, equals: Sequence[tuple[str, ir.Expr]], summed: str | None) -> bool:
    """Whether the columns hold single values, the summed one numbers or money, and constants are
    asked for."""
    types = {name: known(field.type) for name, field in entity.fields.items()}
    if summed is not None and types.get(summed) not in (MONEY, NUMBER, INTEGER):
        return False
    return all(
        isinstance(value, ir.Const)
        and isinstance(kind := types.get(name), Prim | Choice | EntityType)
        and kind != JSON
        for name, value in equals
    )
