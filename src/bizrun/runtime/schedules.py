"""Schedules and metrics over time: each due time ticks once, also those missed."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from ..ir.program import Schedule
from ..model import INTERNAL, Event
from ..times import zone
from ..values import Duration, instant_text
from .recurrence import newest_due, next_due
from .tallies import Tally, tally_of
from .work import Work

if TYPE_CHECKING:
    from .engine import Engine

METRIC = "metric "


class Schedules:
    """The schedules of one program; each has one timer, for its next tick."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.horizon: datetime | None = None
        self._tallies: dict[str, Tally | None] = {}
        program = engine.program
        self.schedules: dict[str, Schedule] = {s.handler.id: s for s in program.schedules}
        for metric in program.metrics.values():
            if metric.every is not None and metric.value is not None:
                self.schedules[f"{METRIC}{metric.name}"] = _of_metric(metric.every, program)
        if engine.clock is not None:
            self.begin(engine.clock)

    def begin(self, now: datetime) -> None:
        """Sets the first tick of schedules that have none yet."""
        for name in self.schedules:
            if self.engine.state.get("_timer", f"tick|{name}") is None:
                self._set(name, now)

    def _set(self, name: str, after: datetime) -> bool:
        """Sets the next tick; whether it is due already, and stands for the one at `after`."""
        schedule = self.schedules[name]
        tz = zone(schedule.zone) if schedule.zone else self.engine.tz
        newest = None
        if schedule.catch_up == "last" and self.horizon is not None:
            newest = newest_due(schedule, after, self.horizon, tz)
        due = newest or next_due(schedule, after, tz)
        self.engine.timers.add(f"tick|{name}", due, "tick", {"schedule": name})
        return newest is not None

    def tick(self, key: str, task: dict[str, Any], now: datetime) -> None:
        """Runs a schedule's handler at its due time, and sets the next."""
        name = task["schedule"]
        if name not in self.schedules:
            return
        if self._set(name, now):
            return
        base = f"{name}@{instant_text(now)}"
        envelope = {"id": base, "type": "schedule", "time": now, "subject": None}
        if name.startswith(METRIC):
            self._measure(name.removeprefix(METRIC), now, base, envelope)
            return
        code = self.engine.dispatch.code(self.schedules[name].handler)
        source = Event(base, "schedule", now, {}, INTERNAL)
        work = Work(self.engine, now, base, envelope, source, code)
        self.engine.run_isolated(work, 0, {})

    def _measure(self, name: str, now: datetime, base: str, envelope: dict[str, Any]) -> None:
        tally = self._tally(name)
        value = tally.result() if tally is not None else None
        if value is None:
            value = self.value(name, now, base, envelope)
        if value is not None:
            self.engine.recording.point(name, now, value, "every")

    def _tally(self, name: str) -> Tally | None:
        """What a metric comes to, kept from its first reading on; None where it has to be asked."""
        if name not in self._tallies:
            expr = self.engine.program.metrics[name].value
            assert expr is not None
            self._tallies[name] = tally_of(self.engine.program, self.engine.state, expr)
        return self._tallies[name]

    def value(self, name: str, now: datetime, base: str, envelope: dict[str, Any]) -> Any:
        """A metric as of now."""
        expr = self.engine.program.metrics[name].value
        assert expr is not None
        work = Work(self.engine, now, base, envelope, None)
        compute = self.engine.compiled(expr, ())
        return self.engine.guarded(work, lambda: compute(work))


def _of_metric(every: Any, program: Any) -> Schedule:
    from ..ir import nodes as ir

    handler = ir.Handler("", "every", ir.Place("", 0, 0), ())
    if isinstance(every, Duration) and not (every.days or every.months):
        return Schedule(handler, "interval", None, every, None, None, None, None, "all")
    unit = every if isinstance(every, str) else "day"
    return Schedule(handler, "calendar", unit, None, None, None, None, None, "all")
