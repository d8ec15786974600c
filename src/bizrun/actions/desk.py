"""What an action sees of the engine: rows to read and change, effects and timers to ask for.

The engine's unit of work fits this; actions know nothing else of the engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from ..billing.buckets import Figure, Level
from ..ir.program import Program
from ..lang.types import Type
from ..model import Effect
from ..values import Number

Row = dict[str, Any]


class Desk(Protocol):
    """The work that an action is part of. Rows must not be changed in place."""

    now: datetime
    tz: ZoneInfo
    currency: str
    base: str
    # The first periods of subscriptions that began in this step and are not invoiced yet.
    begun: list[Any]

    @property
    def program(self) -> Program:
        """The program that runs."""

    @property
    def place(self) -> int:
        """Where this work stands in the log: all events of a lower number came before it."""

    @property
    def late(self) -> bool:
        """Whether something of a later time was handled before this."""

    def row(self, entity: str, key: Any) -> Mapping[str, Any]:
        """The row of a reference; refused where there is none."""

    def peek(self, table: str, key: str) -> Row | None:
        """A row of any table, or none."""

    def select(self, table: str, **equals: Any) -> list[Row]:
        """Rows that match, as they were created."""

    def subscriptions(self, customer: str) -> list[Row]:
        """The subscriptions of a customer, oldest first."""

    def fresh(self, name: object, of: str = "") -> object:
        """A name that nothing else of this work goes by: one step of a handler may do the same to
        a row twice. It is `name` the first time."""

    def create(self, entity: str, data: dict[str, Any], site: object) -> str:
        """A new row; its key."""

    def insert(self, entity: str, data: dict[str, Any], site: object) -> Row:
        """A new row of billing, whose values fit as they are."""

    def keep(self, table: str, row: Row) -> None:
        """A new row of a system table, under its `id`."""

    def rows(
        self,
        entity: str,
        equals: Mapping[str, Any],
        ranges: Sequence[tuple[str, str, Any]],
        order: Sequence[tuple[str, bool]],
        limit: int | None,
    ) -> Sequence[Row]:
        """Rows of any table that match, in an order."""

    def fitted(self, value: Any, type_: Type, what: str) -> Any:
        """A value as that type holds it, read where it came from outside without one."""

    def log(self, message: str) -> None:
        """A line in the run's log."""

    def change(self, entity: str, key: str, **changes: Any) -> Row:
        """Changes fields of a row of billing, whatever its lifecycle."""

    def put(self, table: str, key: str, row: Row | None) -> None:
        """Replaces a row of a system table."""

    def announce(self, event: str, subject: str, **data: Any) -> None:
        """An event of billing, handled after this commits."""

    def effect(
        self,
        kind: str,
        data: dict[str, Any],
        site: object,
        place: Any,
        customer: str | None = None,
        resume: dict[str, Any] | None = None,
    ) -> Effect:
        """A request to the outside world."""

    def set_timer(self, key: str, due: datetime, **task: Any) -> None:
        """Has `billing.due` called at an instant; replaces a timer of the same key."""

    def drop_timer(self, key: str) -> None:
        """Takes a timer back."""

    def measured(
        self, meter: str, customer: str, start: datetime, end: datetime,
        dimensions: tuple[str, ...] = (), begun: datetime | None = None,
    ) -> Sequence[Figure]:  # fmt: skip
        """What a meter counted from where a usage period is kept, by values of dimensions."""

    def part_measured(self, meter: str, customer: str, start: datetime, own: datetime) -> None:
        """Has what a meter counted from where two usage periods begin stand from an instant of its
        own too, for the one of them that ends before the other."""

    def measured_each(
        self, meter: str, customer: str, start: datetime, end: datetime, by: Mapping[str, str]
    ) -> Sequence[Level]:
        """What each event of these values of dimensions counted from an instant until another,
        in the order of their time."""

    def measured_within(self, meter: str, customer: str, start: datetime, end: datetime) -> Number:
        """What a meter counted from an instant to another, both in."""

    def newest_point(self, metric: str) -> Any:
        """The newest value that was recorded of a metric; none where there is none."""

    def take_back(self, customer: str, since: datetime) -> Any:
        """Takes back what a customer has counted since an instant."""

    def count_again(self, taken: Any) -> None:
        """Counts what was taken back, where the customer's usage periods lie now."""

    def count(
        self, meter: str, customer: str, quantity: Any, at: datetime, site: object,
        by: Mapping[str, str],
    ) -> None:  # fmt: skip
        """Counts on a meter, and tells of it with `Usage.recorded`."""

    def holds(self, condition: Any, /, **names: Any) -> bool:
        """Whether a condition of the spec (a tax's `when`) holds for these values."""

    def evaluate(self, expression: Any) -> Any:
        """The value of an expression of the spec that reads no names."""
