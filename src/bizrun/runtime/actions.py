"""What the engine needs of the actions: handed over, since they stand beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Protocol

from ..ir.program import Program
from ..model import Outcome
from ..store.base import Row
from .work import Work


class Actions(Protocol):
    """All actions, and what billing answers."""

    def perform(
        self,
        work: Work,
        name: str,
        target: Any,
        data: dict[str, Any],
        site: object,
        place: Any,
        resume: dict[str, Any] | None,
    ) -> tuple[Any, bool]:
        """Does an action; its result, and whether `resume` waits with an effect for another."""

    def finish(self, work: Work) -> None:
        """What is left to do at the end of a step, or before it reads or changes anything else:
        the invoice of the subscriptions in `work.begun`."""

    def finish_later(self, work: Work) -> None:
        """The same, tried the day after: it has failed now."""

    def follows(self, kind: str, outcome: Outcome) -> bool:
        """Whether anything follows from an outcome, other than that who waits goes on."""

    def outcome(self, work: Work, effect: Row, outcome: Outcome) -> Any:
        """What the outcome of an effect changes; the result that a handler waited for."""

    def due(self, work: Work, task: dict[str, Any]) -> None:
        """A timer of billing."""

    def tells(self, type_: str) -> bool:
        """Whether a processor tells by events of a type what billing has to know: `due` is then
        called with `{"what": "told", "type": …, "data": …}` before handlers see the event."""

    def questions(self) -> Mapping[str, Callable[..., Any]]:
        """Built-in functions that read state, by name; each takes the work first."""

    def usage_start(
        self, work: Work, customer: str, at: datetime, meter: str | None = None
    ) -> datetime:
        """Where the usage period of a customer (and of a meter) begins that an instant is in."""

    def usage_periods(
        self, work: Work, customer: str, at: datetime, meter: str, place: int | None = None
    ) -> tuple[tuple[datetime, datetime | None], ...]:
        """All usage periods that a count belongs to: several subscriptions may rate the meter,
        each over its own. The last one is where `at` is; of an event that stands at a `place` of
        the log they are those that had not ended there."""

    def watches(self, program: Program, meter: str) -> bool:
        """Whether billing has to hear of every count of a meter."""

    def counted(
        self, work: Work, meter: str, customer: str, at: datetime, replaced: bool = False,
        place: int | None = None,
    ) -> None:  # fmt: skip
        """What follows from a late count, or from one of a meter that billing watches."""

    def follow(self, work: Work, key: str, status: str) -> None:
        """An arrow of an author's lifecycle moves a subscription: billing does its part."""

    def moved(self, work: Work, old: Row | None, row: Row | None) -> None:
        """What follows from a change of a subscription's row."""

    def period_start(self, work: Work, customer: str, at: datetime) -> datetime:
        """Where the billing period of a customer begins."""

    def plan_fields(self, program: Program, name: Any) -> Mapping[str, Any] | None:
        """What an author reads of a plan."""
