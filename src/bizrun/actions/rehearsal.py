"""A desk at which billing is rehearsed: it reads the state and changes only a copy.

What is done at it is what will be done, by the same functions; nothing of it is kept or sent.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from ..billing.buckets import Figure, Level
from ..errors import Refusal
from ..ir.nodes import Const
from ..ir.program import Program
from ..lang.types import Type
from ..model import Effect
from ..values import Number, show
from .desk import Desk, Row

_OPS: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip

# Timers that are made here come after those that were.
LAST = 2**62


class Rehearsal:
    """See `desk.Desk`. `timers` are those of billing as they stand: when, in which order, what.
    `charges` is what was asked for."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.now: datetime = desk.now
        self.tz: ZoneInfo = desk.tz
        self.currency = desk.currency
        self.base = f"{desk.base}/preview"
        self.begun: list[Any] = []
        self.timers: dict[str, tuple[datetime, int, dict[str, Any]]] = {}
        self.charges: list[Effect] = []
        self._changed: dict[str, dict[str, Row | None]] = {}
        self._made = 0
        # Usage periods that are kept from an instant of their own: where they stand.
        self._parts: dict[tuple[str, str, datetime], datetime] = {}
        self._named: dict[tuple[str, object], int] = {}

    @property
    def program(self) -> Program:
        """The program that runs."""
        return self.desk.program

    @property
    def place(self) -> int:
        """Where the work stands in the log that this rehearses."""
        return self.desk.place

    @property
    def late(self) -> bool:
        """Nothing of a later time has been handled before what is to come."""
        return False

    # --- reading ---------------------------------------------------------------------------------

    def row(self, entity: str, key: Any) -> Mapping[str, Any]:
        """The row of a reference."""
        found = self.peek(entity, key)
        if found is None:
            raise Refusal(f"there is no {entity} `{show(key)[:80]}`")
        return found

    def peek(self, table: str, key: str) -> Row | None:
        """A row of any table, or none."""
        changed = self._changed.get(table, {})
        return changed[key] if key in changed else self.desk.peek(table, key)

    def select(self, table: str, **equals: Any) -> list[Row]:
        """Rows that match, as they were created."""
        return self._merged(table, self.desk.select(table, **equals), equals, ())

    def subscriptions(self, customer: str) -> list[Row]:
        """The subscriptions of a customer, oldest first."""
        equals = {"customer": customer}
        return self._merged("Subscription", self.desk.subscriptions(customer), equals, ())

    def rows(
        self,
        entity: str,
        equals: Mapping[str, Any],
        ranges: Sequence[tuple[str, str, Any]],
        order: Sequence[tuple[str, bool]],
        limit: int | None,
    ) -> Sequence[Row]:
        """Rows of any table that match, in an order."""
        most = None if limit is None else limit + len(self._changed.get(entity, {}))
        found = self._merged(
            entity, self.desk.rows(entity, equals, ranges, order, most), equals, ranges
        )
        for name, falling in reversed(order):
            found.sort(key=lambda row: row[name], reverse=falling)
        return found[:limit]

    def _merged(
        self, table: str, stored: Iterable[Row], equals: Mapping[str, Any],
        ranges: Sequence[tuple[str, str, Any]],
    ) -> list[Row]:  # fmt: skip
        changed = self._changed.get(table, {})
        found = {row["id"]: row for row in stored if row["id"] not in changed}
        for key, row in changed.items():
            if row is None or any(row[name] != value for name, value in equals.items()):
                continue
            if all(_OPS[op](row[name], value) for name, op, value in ranges):
                found[key] = row
        return list(found.values())

    def fitted(self, value: Any, type_: Type, what: str) -> Any:
        """A value as that type holds it, read where it came from outside without one."""
        return self.desk.fitted(value, type_, what)

    def measured(
        self, meter: str, customer: str, start: datetime, end: datetime,
        dimensions: tuple[str, ...] = (), begun: datetime | None = None,
    ) -> Sequence[Figure]:  # fmt: skip
        """What a meter counted."""
        start = self._parts.get((meter, customer, start), start)
        return self.desk.measured(meter, customer, start, end, dimensions, begun)

    def part_measured(self, meter: str, customer: str, start: datetime, own: datetime) -> None:
        """Nothing is counted in a rehearsal: what was until now is read where it stands."""
        self._parts[meter, customer, own] = self._parts.get((meter, customer, start), start)

    def measured_each(
        self, meter: str, customer: str, start: datetime, end: datetime, by: Mapping[str, str]
    ) -> Sequence[Level]:
        """What each event counted."""
        return self.desk.measured_each(meter, customer, start, end, by)

    def measured_within(self, meter: str, customer: str, start: datetime, end: datetime) -> Number:
        """What a meter counted from an instant to another, both in."""
        return self.desk.measured_within(meter, customer, start, end)

    def newest_point(self, metric: str) -> Any:
        """The newest value that was recorded of a metric."""
        return self.desk.newest_point(metric)

    def holds(self, condition: Any, /, **names: Any) -> bool:
        """Whether a condition of the spec holds for these values."""
        return self.desk.holds(condition, **names)

    def evaluate(self, expression: Any) -> Any:
        """The value of an expression of the spec that reads no names."""
        return self.desk.evaluate(expression)

    # --- changing the copy -----------------------------------------------------------------------

    def fresh(self, name: object, of: str = "") -> object:
        """A name that nothing else here goes by: it, or it with a count."""
        count = self._named[of, name] = self._named.get((of, name), 0) + 1
        return name if count == 1 else f"{name}/{count}"

    def insert(self, entity: str, data: dict[str, Any], site: object) -> Row:
        """A new row of billing."""
        fields = self.program.entities[entity].fields
        blank = {
            name: field.default.value if isinstance(field.default, Const) else None
            for name, field in fields.items()
        }
        self._made += 1
        key = f"preview-{self._made:06}"
        row = {**blank, **data, "id": key, "created_at": self.now, "updated_at": self.now}
        self.put(entity, key, row)
        return row

    def create(self, entity: str, data: dict[str, Any], site: object) -> str:
        """A new row; its key."""
        return str(self.insert(entity, data, site)["id"])

    def keep(self, table: str, row: Row) -> None:
        """A new row of a system table."""
        self.put(table, row["id"], row)

    def change(self, entity: str, key: str, **changes: Any) -> Row:
        """Changes fields of a row of billing."""
        row = {**self.row(entity, key), **changes, "updated_at": self.now}
        self.put(entity, key, row)
        return row

    def put(self, table: str, key: str, row: Row | None) -> None:
        """Replaces a row of a table."""
        self._changed.setdefault(table, {})[key] = row

    # --- asking: nothing leaves the rehearsal ----------------------------------------------------

    def log(self, message: str) -> None:
        """Says nothing."""

    def announce(self, event: str, subject: str, **data: Any) -> None:
        """Tells nobody."""

    def effect(
        self,
        kind: str,
        data: dict[str, Any],
        site: object,
        place: Any,
        customer: str | None = None,
        resume: dict[str, Any] | None = None,
    ) -> Effect:
        """Notes a charge."""
        key = f"{self.base}/{site}"
        effect = Effect(key, kind, data, self.now, self.base, str(place), customer)
        if kind == "charge":
            self.charges.append(effect)
        return effect

    def set_timer(self, key: str, due: datetime, **task: Any) -> None:
        """Notes a timer."""
        self._made += 1
        self.timers[key] = (max(due, self.now), LAST + self._made, task)

    def drop_timer(self, key: str) -> None:
        """Takes a timer back."""
        self.timers.pop(key, None)

    def take_back(self, customer: str, since: datetime) -> Any:
        """Nothing is taken back in a rehearsal."""
        return ()

    def count_again(self, taken: Any) -> None:
        """Nothing is counted in a rehearsal."""

    def count(
        self, meter: str, customer: str, quantity: Any, at: datetime, site: object,
        by: Mapping[str, str],
    ) -> None:  # fmt: skip
        """Nothing is counted in a rehearsal."""
