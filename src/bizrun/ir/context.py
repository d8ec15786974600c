"""What running code sees of the engine: the state as of its event, and what it may ask for.

Compiled and interpreted segments call nothing else. Rows are maps that must not be changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from .nodes import Place

Row = Mapping[str, Any]


class Context(Protocol):
    """One unit of work: a segment of a handler, a function's caller, a trigger's condition."""

    now: datetime
    tz: ZoneInfo
    currency: str
    event: Mapping[str, Any]
    caller: str | None

    @property
    def by_second(self) -> bool:
        """Whether the business prorates to the second, not by whole days."""

    def row(self, entity: str, key: Any) -> Row:
        """The row of a reference; refused where there is none, or the key is none."""

    def find(self, entity: str, key: Any) -> str | None:
        """The key of the row with that key, or with that value in a unique field; else none."""

    def rows(
        self,
        entity: str,
        equals: Mapping[str, Any],
        ranges: Sequence[tuple[str, str, Any]],
        order: Sequence[tuple[str, bool]],
        limit: int | None,
    ) -> Sequence[Row]:
        """Rows that match, in the order asked for, else as they were created."""

    def count_rows(
        self, entity: str, equals: Mapping[str, Any], ranges: Sequence[tuple[str, str, Any]]
    ) -> int:
        """How many rows match."""

    def key(self, entity: str, row: Row) -> str:
        """The key of a row."""

    def plan(self, name: Any) -> Mapping[str, Any]:
        """The fields of a plan by its name; refused where there is none."""

    def call(self, name: str, args: Sequence[Any]) -> Any:
        """A built-in function that reads state: usage, limit, remaining, credit_balance, …"""

    def spend(self, steps: int) -> None:
        """Uses up fuel; the handler fails where there is none left."""

    def create(self, entity: str, data: dict[str, Any], site: int, upsert: bool) -> str:
        """A new row; its key."""

    def update(self, entity: str, key: Any, changes: dict[str, Any]) -> None:
        """Changes fields of a row."""

    def delete(self, entity: str, key: Any) -> None:
        """Removes a row."""

    def member(self, entity: str, key: Any, field: str, item: Any, remove: bool) -> None:
        """Adds an item to a list field, or removes it."""

    def emit(self, event: str, data: dict[str, Any], site: int, place: Place) -> None:
        """A new event, handled after this commits."""

    def act(self, action: str, target: Any, data: dict[str, Any], site: int, place: Place) -> Any:
        """An action that is not waited for; its immediate result."""

    def timer(
        self,
        when: Any,
        segment: int,
        live: dict[str, Any],
        unless: int | None,
        site: int,
        place: Place,
    ) -> None:
        """Runs a segment after a duration or at an instant, unless the pattern of that number
        (see `Code.patterns`) matches an event before."""

    def await_action(
        self,
        action: str,
        target: Any,
        data: dict[str, Any],
        name: str,
        segment: int,
        live: dict[str, Any],
        site: int,
        place: Place,
    ) -> None:
        """Performs an action; the segment runs with its result as `name` when it is there."""

    def await_event(
        self,
        pattern: int,
        within: Any,
        name: str | None,
        segment: int,
        live: dict[str, Any],
        site: int,
        place: Place,
    ) -> None:
        """The segment runs with the first event that matches, or with none when time is up."""

    def loop(
        self,
        items: Sequence[Any],
        variable: str,
        body: int,
        after: int | None,
        live: dict[str, Any],
        site: int,
        place: Place,
    ) -> None:
        """Runs a segment for each item by itself, after this commits, then `after`."""

    def record(self, metric: str, value: Any) -> None:
        """A point of a metric."""

    def log(self, message: str) -> None:
        """A line in the run's log."""

    def across(self, lifted: bool) -> None:
        """From here on every tenant's rows are seen, or the event's own tenant's again."""

    def reply(self, value: Any) -> None:
        """The reply to the sender of the event."""
