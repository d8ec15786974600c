"""Lifecycles: events move a field along its arrows, times too, and nothing else may."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ..errors import EvalError
from ..ir.program import Arrow, Lifecycle
from ..lang.types import EntityType, Record, known
from ..model import Event
from ..store.base import Row
from .waits import fits
from .work import Work

if TYPE_CHECKING:
    from .engine import Engine

Condition = Callable[..., Any]


def _timer_of(lifecycle: Lifecycle, source: str | None, key: str) -> str:
    """The timer of a row in a state, or in whatever state: one arrow at most leaves it after a
    time. An edit changes nothing of it, so that it ends with the state."""
    state = "" if source is None else f"={source}"
    return f"arrow|{lifecycle.entity}.{lifecycle.field}|{state}|{key}"


class Lifecycles:
    """The lifecycles of one program."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._by_entity: dict[str, list[Lifecycle]] = {}
        for lifecycle in engine.program.lifecycles:
            self._by_entity.setdefault(lifecycle.entity, []).append(lifecycle)
        self._by_type: dict[str, list[Lifecycle]] = {}
        self._conditions: dict[int, Condition] = {}

    def looks_at(self, entity: str) -> bool:
        """Whether the author says how a field of an entity moves."""
        return entity in self._by_entity

    def has(self, entity: str, field: str) -> bool:
        """Whether the author says how a field moves."""
        return any(each.field == field for each in self._by_entity.get(entity, ()))

    def of(self, entity: str, field: str) -> Lifecycle | None:
        """The lifecycle of a field."""
        return next((e for e in self._by_entity.get(entity, ()) if e.field == field), None)

    def check(self, entity: str, old: Row, row: Row) -> None:
        """Refuses a change that is no arrow."""
        for lifecycle in self._by_entity.get(entity, ()):
            before, after = old[lifecycle.field], row[lifecycle.field]
            if before != after and not lifecycle.allows(before, after):
                ways = sorted({a.target for a in lifecycle.arrows if a.source in (None, before)})
                hint = f"from there it may become {', '.join(ways)}" if ways else "it stays so"
                raise EvalError(
                    f"{entity}.{lifecycle.field} can't go from `{before}` to `{after}`: {hint}"
                )

    # --- events --------------------------------------------------------------------------------

    def on(self, type_: str) -> list[Lifecycle]:
        """The lifecycles with an arrow on an event type."""
        found = self._by_type.get(type_)
        if found is None:
            found = self._by_type[type_] = [
                lifecycle
                for lifecycle in self.engine.program.lifecycles
                if any(self._arrows(lifecycle, type_))
            ]
        return found

    def _arrows(self, lifecycle: Lifecycle, type_: str) -> list[Arrow]:
        return [
            arrow
            for arrow in lifecycle.arrows
            if arrow.pattern and any(fits(pattern, type_) for pattern in arrow.pattern.types)
        ]

    def guarded(self, event: Event) -> str | None:
        """Moves what an event is about; the reason where that failed and left nothing."""
        mark = self.engine.state.mark()
        try:
            self.move(event)
        except EvalError as error:
            self.engine.state.undo(mark)
            self.engine.recording.dead(event, "failed", str(error), None, "lifecycle", None)
            return str(error)
        return None

    def move(self, event: Event) -> None:
        """Moves what an event is about, before its handlers run."""
        for lifecycle in self.on(event.type):
            key = self._subject(lifecycle.entity, event)
            row = self.engine.state.get(lifecycle.entity, key) if key else None
            if row is None or key is None or not self._own(event, lifecycle.entity, key, row):
                continue
            work = Work(self.engine, event.time, f"{event.base}/lifecycle", event.envelope(), event)
            state = row[lifecycle.field]
            for arrow in self._arrows(lifecycle, event.type):
                if arrow.source not in (None, state) or arrow.target == state:
                    continue
                if self._holds(arrow, work, event, key):
                    self._take(work, lifecycle, key, row, arrow.target)
                    break

    def _own(self, event: Event, entity: str, key: str, row: Row) -> bool:
        """Whether an event may move a row: never another tenant's than its own."""
        tenancy = self.engine.tenancy
        return tenancy is None or tenancy.sees(tenancy.of_event(event), entity, key, row)

    def _subject(self, entity: str, event: Event) -> str | None:
        """The event's field of that entity's type, or its subject."""
        declared = self.engine.program.events.get(event.type)
        payload = declared.payload if declared else Record("", ())
        fields = [name for name, t in payload.fields if known(t) == EntityType(entity)]
        for name in fields:
            if isinstance(event.data.get(name), str):
                return str(event.data[name])
        if isinstance(event.subject, str) and not fields:
            return event.subject
        return None

    def _holds(self, arrow: Arrow, work: Work, event: Event, key: str) -> bool:
        assert arrow.pattern is not None
        if arrow.pattern.where is None:
            return True
        condition = self._conditions.get(id(arrow))
        if condition is None:
            condition = self.engine.compiled(
                arrow.pattern.where, (arrow.pattern.name or "_event", "self")
            )
            self._conditions[id(arrow)] = condition
        return bool(condition(work, event.data, key))

    def _take(self, work: Work, lifecycle: Lifecycle, key: str, row: Row, target: str) -> None:
        if (lifecycle.entity, lifecycle.field) == ("Subscription", "status"):
            self.engine.actions.follow(work, key, target)
            return
        work.store_row(lifecycle.entity, key, row, {**row, lifecycle.field: target}, free=True)

    # --- times ---------------------------------------------------------------------------------

    def entered(self, work: Work, entity: str, key: str, old: Row | None, row: Row | None) -> None:
        """Sets or drops the timer of the state that a row is in."""
        for lifecycle in self._by_entity.get(entity, ()):
            before = old[lifecycle.field] if old else None
            after = row[lifecycle.field] if row else None
            if before == after:
                continue
            if before is not None:
                self._forget(lifecycle, key, before)
            for arrow in lifecycle.arrows:
                if arrow.after is None or row is None or arrow.target == after:
                    continue
                if arrow.source in (None, after):
                    due = work.moment(self.engine.constant_of(arrow.after))
                    task = {"entity": entity, "field": lifecycle.field, "key": key}
                    id_ = _timer_of(lifecycle, arrow.source, key)
                    self.engine.timers.add(id_, due, "arrow", {**task, "to": arrow.target})

    def _forget(self, lifecycle: Lifecycle, key: str, state: str) -> None:
        """Drops what a row has waited for in a state, by whatever arrows the spec had then."""
        for source in (state, None):
            self.engine.timers.cancel(_timer_of(lifecycle, source, key))
        for number, arrow in enumerate(lifecycle.arrows):
            if arrow.after is not None:  # as states of before have it, by its place in the spec
                was = f"arrow|{lifecycle.entity}.{lifecycle.field}|{number}|{key}"
                self.engine.timers.cancel(was)

    def due(self, task: dict[str, Any], now: datetime, base: str) -> None:
        """Takes an arrow whose time has come."""
        lifecycle = self.of(task["entity"], task["field"])
        row = self.engine.state.get(task["entity"], task["key"])
        if lifecycle is None or row is None:
            return
        if not lifecycle.allows(row[lifecycle.field], task["to"]):
            return
        work = Work(self.engine, now, base, {"id": base, "type": "", "time": now}, None)
        self.engine.guarded(work, lambda: self._take(work, lifecycle, task["key"], row, task["to"]))
