"""Triggers: a condition that becomes true for a subject, looked at only when it may have.

A trigger fires once when it turns true and again only after it was false, or, `once per period`,
in the subject's next billing period.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

from ..ir import nodes as ir
from ..ir.compile import walk
from ..ir.program import Trigger
from ..store.base import Row
from ..times import local_date, midnight
from ..values import UNLIMITED
from .work import Work

if TYPE_CHECKING:
    from .engine import Engine


MAX_BOUNDS = 200_000


class Triggers:
    """The triggers of one program."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        program = engine.program
        self.triggers = {trigger.event: trigger for trigger in program.triggers}
        self._own: dict[str, list[Trigger]] = {}
        self._others: dict[str, list[Trigger]] = {}
        self._metered: dict[str, list[Trigger]] = {}
        for trigger in program.triggers:
            self._own.setdefault(trigger.entity, []).append(trigger)
            for entity in trigger.entities:
                self._others.setdefault(entity, []).append(trigger)
            for meter in trigger.meters:
                self._metered.setdefault(meter, []).append(trigger)
        self._billing = [t for t in program.triggers if t.billing]
        self._conditions: dict[str, Callable[..., Any]] = {}
        self._due: dict[str, list[Callable[..., Any]]] = {}
        self._bounds: dict[tuple[str, str], tuple[datetime, Any]] = {}
        self._threshold: dict[str, Callable[..., Any]] = {}
        self._thresholds = {t.event for t in program.triggers if _is_threshold(t.condition)}
        self.pending: dict[tuple[str, str], None] = {}

    # --- what to look at -----------------------------------------------------------------------

    def changed(self, entity: str, key: str, old: Row | None, row: Row | None) -> None:
        """Notes which conditions a changed row may have turned."""
        for trigger in self._own.get(entity, ()):
            if row is None:
                self._forget(trigger, key)
            elif old is None or self._reads(trigger, old, row):
                self._note(trigger, key)
        for trigger in self._others.get(entity, ()):
            for subject in self._subjects(trigger, entity, key, old, row):
                self._note(trigger, subject)
        if entity == "Subscription" and self._billing:
            customers = {r["customer"] for r in (old, row) if r}
            for trigger in self._billing:
                if trigger.entity == self.engine.program.bills:
                    for customer in sorted(customers):
                        self._note(trigger, customer)

    def metered(self, meter: str, customer: str) -> None:
        """Notes that a meter of a customer has moved."""
        for trigger in self._metered.get(meter, ()):
            if trigger.entity == self.engine.program.bills:
                self.pending[(trigger.event, customer)] = None

    def _note(self, trigger: Trigger, key: str) -> None:
        self.pending[(trigger.event, key)] = None
        self._bounds.pop((trigger.event, key), None)
        for meter in trigger.meters:
            self.engine.metering.drop(meter, key)

    @staticmethod
    def _reads(trigger: Trigger, old: Row, row: Row) -> bool:
        if trigger.billing and old.get("plan") != row.get("plan"):
            return True
        return any(old.get(name) != row.get(name) for name in trigger.fields)

    # --- how far a meter may run unseen --------------------------------------------------------

    def bound(self, meter: str, customer: str, start: datetime) -> Any:
        """Below this figure no trigger on a meter can turn in the period; None: can't be said."""
        lowest: Any = UNLIMITED
        for trigger in self._metered.get(meter, ()):
            held = self._bounds.get((trigger.event, customer))
            if held is None or held[0] != start:
                return None
            lowest = min(lowest, held[1])
        return lowest

    def _remember(
        self, trigger: Trigger, key: str, work: Work, holds: bool, period: datetime | None
    ) -> None:
        """Notes how far the figure may grow before a condition `usage(self, m) >= x` turns."""
        condition = trigger.condition
        self._bounds.pop((trigger.event, key), None)
        if period is None or trigger.event not in self._thresholds:
            return
        assert isinstance(condition, ir.BinaryExpr)
        if holds:
            self._bounds[trigger.event, key] = (period, UNLIMITED)
            return
        compute = self._threshold.get(trigger.event)
        if compute is None:
            compute = self.engine.compiled(condition.right, ("self",))
            self._threshold[trigger.event] = compute
        bound = self.engine.guarded(work, lambda: compute(work, key), quiet=True)
        if isinstance(bound, int | Decimal):
            if len(self._bounds) > MAX_BOUNDS:
                self._bounds.clear()
            self._bounds[trigger.event, key] = (period, bound)

    def _subjects(
        self, trigger: Trigger, entity: str, key: str, old: Row | None, row: Row | None
    ) -> Iterable[str]:
        """The subjects whose condition may read a row of another entity."""
        program = self.engine.program
        changed = program.entities[entity].references
        fields = [name for name, target in changed.items() if target == trigger.entity]
        if fields:
            return sorted({r[n] for r in (old, row) if r for n in fields if r[n] is not None})
        own = program.entities[trigger.entity]
        back = [name for name, target in own.references.items() if target == entity]
        state = self.engine.state
        equals: list[dict[str, Any]] = [{name: key} for name in back] or [{}]
        return [r[own.key] for each in equals for r in list(state.select(own.name, each))]

    def _forget(self, trigger: Trigger, key: str) -> None:
        id_ = f"{trigger.event}|{key}"
        self.engine.state.put("_trigger", id_, None)
        self.engine.timers.cancel(f"trigger|{id_}")

    # --- looking -------------------------------------------------------------------------------

    def look(self, now: datetime, base: str, cause: Any) -> None:
        """Evaluates what is noted; conditions that turned true emit their events."""
        while self.pending:
            event, key = next(iter(self.pending))
            del self.pending[event, key]
            self.evaluate(self.triggers[event], key, now, base, cause)

    def evaluate(self, trigger: Trigger, key: str, now: datetime, base: str, cause: Any) -> None:
        """Looks at one subject now."""
        state = self.engine.state
        if state.get(trigger.entity, key) is None:
            return
        id_ = f"{trigger.event}|{key}"
        envelope = {"id": base, "type": trigger.event, "time": now, "subject": key}
        work = Work(self.engine, now, f"{base}/trigger/{id_}", envelope, cause)
        holds = bool(self.engine.guarded(work, lambda: self._condition(trigger)(work, key)))
        old = state.get("_trigger", id_)
        period = self.engine.period_start(key, now) if trigger.once_per_period else None
        was = old is not None and old["on"]
        fires = holds and not was
        if trigger.once_per_period:
            fired = old is not None and old["period"] == period
            fires = holds and not fired
            row = {"id": id_, "on": holds, "period": period if holds else (old or {}).get("period")}
        else:
            row = {"id": id_, "on": holds, "period": None}
        if row != old:
            state.replace("_trigger", id_, old, row)
        if fires:
            self.engine.emitting.fire_trigger(work, trigger, key)
        if trigger.meters:
            self._remember(trigger, key, work, holds, period)
        self._schedule(trigger, key, work, now)

    def _condition(self, trigger: Trigger) -> Callable[..., Any]:
        found = self._conditions.get(trigger.event)
        if found is None:
            found = self.engine.compiled(trigger.condition, ("self",))
            self._conditions[trigger.event] = found
        return found

    def _schedule(self, trigger: Trigger, key: str, work: Work, now: datetime) -> None:
        """Sets the timer for the next instant at which time alone may turn a condition."""
        if not trigger.due and not trigger.daily:
            return
        moments: list[datetime] = []
        for compute in self._instants(trigger):
            due = self.engine.guarded(work, partial(compute, work, key), quiet=True)
            if isinstance(due, datetime) and due > now:
                moments.append(due)
        if trigger.daily:
            tomorrow = local_date(now, self.engine.tz) + timedelta(days=1)
            moments.append(midnight(tomorrow, self.engine.tz))
        id_ = f"trigger|{trigger.event}|{key}"
        if moments:
            task = {"trigger": trigger.event, "key": key}
            self.engine.timers.add(id_, min(moments), "trigger", task)
        else:
            self.engine.timers.cancel(id_)

    def _instants(self, trigger: Trigger) -> list[Callable[..., Any]]:
        found = self._due.get(trigger.event)
        if found is None:
            found = [self.engine.compiled(expr, ("self",)) for expr in trigger.due]
            self._due[trigger.event] = found
        return found


def _is_threshold(condition: ir.Expr) -> bool:
    """Whether a condition is `usage(self, meter) >= x` with an x that no usage moves."""
    match condition:
        case ir.BinaryExpr(
            op=">=",
            left=ir.Builtin(name="usage", args=(ir.Local(name="self"), ir.Const())),
            right=right,
        ):
            return not any(
                isinstance(node, ir.Builtin) and node.name in ("usage", "remaining", "preview")
                for node in walk(right)
            )
    return False
