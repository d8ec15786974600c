"""Triggers: a condition that becomes true for a subject, looked at only when it may have.

A trigger fires once when it turns true and again only after it was false, or, `once per period`,
in the subject's next billing period.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from ..errors import BizError
from ..ir import codec
from ..ir import nodes as ir
from ..ir.compile import walk
from ..ir.program import Meter, Trigger, reached
from ..model import Event
from ..store.base import Range, Row
from ..times import local_date, midnight
from ..values import UNLIMITED, Number
from .counting import UNSEEN
from .work import Work

if TYPE_CHECKING:
    from .engine import Engine
    from .metering import Slot


MAX_SPANS = 200_000
CHUNK = 500  # of the subjects of an edited trigger, at a time


class Span(msgspec.Struct, frozen=True, gc=False):
    """The figures of a usage period among which a condition stays as it is."""

    start: datetime
    low: Number
    high: Number

    def has(self, figure: Number | None) -> bool:
        """Whether a figure is among them; none never is."""
        return figure is not None and self.low <= figure < self.high


class Look(Work):
    """Work that changes nothing: what `known` has of its questions is not asked again."""

    __slots__ = ("known",)
    known: dict[tuple[Any, ...], Any]

    def call(self, name: str, args: Sequence[Any]) -> Any:
        """The same, of a customer and a name once."""
        if len(args) != 2 or self.tenant is not None:
            return super().call(name, args)
        key = (name, *args)
        if key not in self.known:
            self.known[key] = super().call(name, args)
        return self.known[key]


def figure_of(meter: Meter, bucket: Row) -> Number | None:
    """What a bucket says by itself; none where it takes more to know."""
    if meter.in_parts or meter.aggregate not in ("sum", "count"):
        return None
    figure: Number = bucket["total" if meter.aggregate == "sum" else "count"]
    return figure


class Triggers:
    """The triggers of one program."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        program = engine.program
        self.triggers = {trigger.event: trigger for trigger in program.triggers}
        self._own: dict[str, list[Trigger]] = {}
        self._others: dict[str, list[Trigger]] = {}
        self._of_customers: dict[str, list[Trigger]] = {}  # by meter
        for trigger in program.triggers:
            self._own.setdefault(trigger.entity, []).append(trigger)
            for entity in trigger.entities:
                self._others.setdefault(entity, []).append(trigger)
            for meter in trigger.meters if trigger.entity == program.bills else ():
                self._of_customers.setdefault(meter, []).append(trigger)
        self._billing = [t for t in program.triggers if t.billing]
        self._conditions: dict[str, Callable[..., Any]] = {}
        self._due: dict[str, list[Callable[..., Any]]] = {}
        self._spans: dict[tuple[str, str], Span] = {}
        self._threshold: dict[str, Callable[..., Any]] = {}
        self._thresholds = {t.event for t in program.triggers if _is_threshold(t)}
        self.pending: dict[tuple[str, str], None] = {}
        self.edited: list[Trigger] = []  # over time, since the state was last at work
        # While all that is noted is looked at, which changes nothing that conditions read: what
        # several of them ask for, and the periods of customers.
        self._shared: dict[tuple[Any, ...], Any] = {}

    # --- what to look at -----------------------------------------------------------------------

    def looks_at(self, entity: str) -> bool:
        """Whether a changed row of an entity may turn a condition."""
        bills = entity == "Subscription" and bool(self._billing)
        return bills or entity in self._own or entity in self._others

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

    def metered(self, meter: Meter, customer: str, bucket: Row) -> None:
        """Notes which conditions may have turned by a meter of a customer that has moved."""
        figure = figure_of(meter, bucket)
        for trigger in self._on_meter(meter.name):
            span = self._spans.get((trigger.event, customer))
            if span is None or span.start != bucket["start"] or not span.has(figure):
                self.pending[(trigger.event, customer)] = None

    def _on_meter(self, meter: str) -> Sequence[Trigger]:
        return self._of_customers.get(meter, ())

    def _note(self, trigger: Trigger, key: str) -> None:
        self.pending[(trigger.event, key)] = None
        self._spans.pop((trigger.event, key), None)
        for meter in trigger.meters:
            self.engine.metering.drop(meter, key)

    @staticmethod
    def _reads(trigger: Trigger, old: Row, row: Row) -> bool:
        if trigger.billing and old.get("plan") != row.get("plan"):
            return True
        return any(old.get(name) != row.get(name) for name in trigger.fields)

    # --- how far a meter may run unseen --------------------------------------------------------

    def span(
        self, meter: Meter, customer: str, at: datetime, start: datetime, figure: Number | None
    ) -> Span | None:
        """Within which figures no trigger on a meter can turn in the period that begins at `start`.

        None where that can't be said, or where one should be looked at now.
        """
        low: Number = Decimal("-Infinity")
        high: Number = UNLIMITED
        known: dict[tuple[Any, ...], Any] = {}
        for trigger in self._on_meter(meter.name):
            span = self._spans.get((trigger.event, customer))
            if span is None or span.start != start:
                span = self._begin(trigger, customer, start, at, known)
            if span is None or not span.has(figure):
                return None
            low, high = max(low, span.low), min(high, span.high)
        return Span(start, low, high)

    def _begin(
        self, trigger: Trigger, key: str, start: datetime, at: datetime,
        known: dict[tuple[Any, ...], Any],
    ) -> Span | None:  # fmt: skip
        """The span of a trigger that has not been looked at in a period."""
        row = self.engine.state.get("_trigger", f"{trigger.event}|{key}")
        on = row is not None and row["on"]
        period = None
        if trigger.once_per_period:
            period = self.engine.period_start(key, at)
            on = row is not None and row["period"] == period
        envelope = {"id": "", "type": trigger.event, "time": at, "subject": key}
        work = Look(self.engine, at, "", envelope, None)
        work.known = known
        bound = self._bound(trigger, key, work)
        self._remember(trigger, key, at, bound, on, period)
        span = self._spans.get((trigger.event, key))
        return span if span is not None and span.start == start else None

    def _bound(self, trigger: Trigger, key: str, work: Work) -> Number | None:
        """The x of a condition `usage(self, m) >= x`; none where it is another, or x is none."""
        if trigger.event not in self._thresholds:
            return None
        compute = self._threshold.get(trigger.event)
        if compute is None:
            compared = without_zero(trigger.condition)
            assert isinstance(compared, ir.BinaryExpr)
            compute = self.engine.compiled(compared.right, ("self",))
            self._threshold[trigger.event] = compute
        try:
            bound = compute(work, key)
        except BizError:
            return None
        if not isinstance(bound, int | Decimal):
            return None
        # Who may use nothing, for want of a plan, has not reached it either.
        return bound if bound > 0 else UNLIMITED

    def _remember(
        self, trigger: Trigger, key: str, now: datetime, bound: Number | None, on: bool,
        period: datetime | None,
    ) -> None:  # fmt: skip
        """Notes how far the figure may go before a condition `usage(self, m) >= bound` turns.

        `on` says whether it has turned: in the `period`, where it fires once in each.
        """
        self._spans.pop((trigger.event, key), None)
        if bound is None:
            return
        if len(self._spans) > MAX_SPANS:
            self._spans.clear()
        low: Number = Decimal("-Infinity")
        if period is not None:
            self._spans[trigger.event, key] = Span(period, low, UNLIMITED if on else bound)
        else:
            (meter,) = trigger.meters
            start = self.engine.usage_start(key, now, meter)
            span = Span(start, bound, UNLIMITED) if on else Span(start, low, bound)
            self._spans[trigger.event, key] = span

    def _subjects(
        self, trigger: Trigger, entity: str, key: str, old: Row | None, row: Row | None
    ) -> Iterable[str]:
        """The subjects whose condition may read a row of another entity, or another row."""
        own = self.engine.program.entities[trigger.entity]
        found: dict[str, None] = {}
        for way, field in sorted(trigger.ways.get(entity, ())) or [("", "")]:
            if way == "of":
                referred = {r[field] for r in (old, row) if r and r[field] is not None}
                found |= dict.fromkeys(sorted(referred))
                continue
            equals = {field: key} if way else {}
            rows = list(self.engine.state.select(own.name, equals))
            found |= dict.fromkeys(r[own.key] for r in rows)
        return found

    def _forget(self, trigger: Trigger, key: str) -> None:
        id_ = f"{trigger.event}|{key}"
        self.engine.state.put("_trigger", id_, None)
        self.engine.timers.cancel(f"trigger|{id_}")

    # --- where a running figure turns a trigger ------------------------------------------------

    def tell_alone(self, meter: str) -> bool:
        """Whether nothing about firing a trigger on a meter can refuse the event that counted."""
        program = self.engine.program
        declared = (program.events.get(trigger.event) for trigger in self._on_meter(meter))
        return (
            self.engine.tenancy is None and program.bounds.chain_of_events > 0
            and not any(event is not None and event.origin == "author" for event in declared)
        )  # fmt: skip

    def know(self, meter: Meter, bucket: Row, figure: Number) -> bool:
        """Whether all that a running figure of a bucket may turn is known to be thresholds, so that
        they need not be asked what it is."""
        customer, start = bucket["customer"], bucket["start"]
        spans = [self._spans.get((t.event, customer)) for t in self._on_meter(meter.name)]
        return -UNSEEN < figure < UNSEEN and all(
            span is not None and span.start == start for span in spans
        )

    def reached(self, meter: Meter, slot: Slot, event: Event) -> None:
        """Looks at the triggers that a running figure has come to; it runs on from there."""
        customer, start = slot.row["customer"], slot.row["start"]
        figure = slot.total if meter.aggregate == "sum" else slot.count
        self._shared.clear()
        self._shared["", customer] = start
        for trigger in self._on_meter(meter.name):
            span = self._spans[trigger.event, customer]
            if not span.has(figure):
                # Where it begins or ends is what the condition compares with.
                bound = span.low if figure < span.low else span.high
                self._evaluate(trigger, customer, event.time, event.base, event, (figure, bound))
        self._shared.clear()
        if (found := self.span(meter, customer, event.time, start, figure)) is not None:
            slot.keep_within(found)
        else:
            self.engine.metering.drop(meter.name, customer)

    # --- an edited spec ------------------------------------------------------------------------

    def take_up(self) -> None:
        """Has the triggers that time alone may turn looked at for all their subjects, where the
        spec says something else of them than the state knows: they are due at other instants."""
        engine, state = self.engine, self.engine.state
        known = {row["id"]: row["code"] for row in state.select("_timed", {})}
        for event, trigger in self.triggers.items():
            if not _is_timed(trigger) or (was := known.pop(event, "")) == (
                now := self._code(trigger)
            ):
                continue
            state.put("_timed", event, {"id": event, "code": now})
            if engine.clock is not None:
                held = state.get("_timer", _anew(event))
                quiet = not was or (held is not None and held["task"]["quiet"])
                if not quiet:
                    self.edited.append(trigger)
                self._go_through(event, engine.clock, None, quiet)
        for event in known:
            state.put("_timed", event, None)
            engine.timers.cancel(_anew(event))

    def _code(self, trigger: Trigger) -> str:
        """The hash of what says when it turns."""
        program = self.engine.program
        said = (trigger.condition, trigger.due)
        functions, constants = reached(said, program.functions, program.constants)
        parts = (
            said, program.timezone, trigger.entity, trigger.daily, trigger.once_per_period,
            *(program.functions[name] for name in sorted(functions)),
            *(node for name in sorted(constants) for node in (name, program.constants[name])),
        )  # fmt: skip
        return codec.digest(parts)

    def _go_through(self, event: str, now: datetime, after: str | None, quiet: bool) -> None:
        task = {"trigger": event, "after": after, "quiet": quiet}
        self.engine.timers.add(_anew(event), now, "anew", task)

    def anew(self, task: Mapping[str, Any], now: datetime, base: str) -> None:
        """Looks at the next few hundred subjects of a trigger that was edited. One that is new to
        the state, `quiet`, tells nothing of those for whom it has turned before."""
        trigger = self.triggers.get(task["trigger"])
        if trigger is None:
            return
        key = self.engine.program.entities[trigger.entity].key
        behind = () if task["after"] is None else (Range(key, ">", task["after"]),)
        order = ((key, False),)
        rows = list(self.engine.state.select(trigger.entity, {}, behind, order, CHUNK))
        if len(rows) == CHUNK:
            self._go_through(trigger.event, now, rows[-1][key], task["quiet"])
        self._shared.clear()
        for row in rows:
            self._evaluate(trigger, row[key], now, base, None, quiet=task["quiet"])
        self._shared.clear()

    # --- looking -------------------------------------------------------------------------------

    def look(self, now: datetime, base: str, cause: Any) -> None:
        """Evaluates what is noted; conditions that turned true emit their events."""
        self._shared.clear()
        while self.pending:
            event, key = next(iter(self.pending))
            del self.pending[event, key]
            self._evaluate(self.triggers[event], key, now, base, cause)
        self._shared.clear()

    def evaluate(self, trigger: Trigger, key: str, now: datetime, base: str, cause: Any) -> None:
        """Looks at one subject now."""
        self._shared.clear()
        self._evaluate(trigger, key, now, base, cause)
        self._shared.clear()

    def _evaluate(
        self, trigger: Trigger, key: str, now: datetime, base: str, cause: Any,
        turn: tuple[Number, Number] | None = None, quiet: bool = False,
    ) -> None:  # fmt: skip
        """Looks at one subject; `turn`: the figure of its meter and what the condition compares it
        with, where both are at hand. `quiet`: only notes how it stands."""
        state = self.engine.state
        row = state.get(trigger.entity, key)
        if row is None:
            return
        id_ = f"{trigger.event}|{key}"
        envelope = {"id": base, "type": trigger.event, "time": now, "subject": key}
        work = Look(self.engine, now, f"{base}/trigger/{id_}", envelope, cause)
        work.known = self._shared
        if self.engine.tenancy is not None:
            # Whoever's change was the reason to look: the subject is its own tenant's.
            own = self.engine.tenancy.of_row(trigger.entity, key, row)
            work.tenant = own if own is not None else work.tenant
        bound: Number | None
        if turn is not None:
            figure, bound = turn
            holds = bool(figure >= bound)
        else:
            bound = self._bound(trigger, key, work)
            holds = self._holds(trigger, key, work, bound)
        once = trigger.once_per_period
        period = self._period(key, now) if once else None
        # Of what fires once in a period the row says in which it fired last, and no more.
        old = state.get("_trigger", id_) if holds or not once else None
        was = old is not None and (old["period"] == period if once else old["on"])
        fires = holds and not was
        if fires or (was and not holds):
            state.replace("_trigger", id_, old, {"id": id_, "on": holds, "period": period})
        if fires and not quiet:
            self.engine.emitting.fire_trigger(work, trigger, key)
        if trigger.meters:
            self._remember(trigger, key, now, bound, holds, period)
        self._schedule(trigger, key, work, now)

    def _holds(self, trigger: Trigger, key: str, work: Work, bound: Number | None) -> bool:
        if bound is None:
            return bool(self.engine.guarded(work, lambda: self._condition(trigger)(work, key)))
        (meter,) = trigger.meters

        def reached() -> bool:
            return bool(work.call("usage", (key, meter)) >= bound)

        return bool(self.engine.guarded(work, reached))

    def _period(self, key: str, now: datetime) -> datetime:
        found = self._shared.get(("", key))
        if found is None:
            found = self._shared["", key] = self.engine.period_start(key, now)
        return found

    def _condition(self, trigger: Trigger) -> Callable[..., Any]:
        found = self._conditions.get(trigger.event)
        if found is None:
            found = self.engine.compiled(trigger.condition, ("self",))
            self._conditions[trigger.event] = found
        return found

    def _schedule(self, trigger: Trigger, key: str, work: Work, now: datetime) -> None:
        """Sets the timer for the next instant at which time alone may turn a condition."""
        if not _is_timed(trigger):
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


def without_zero(condition: ir.Expr) -> ir.Expr:
    """A condition without its `and x > 0`: that `x` may be nothing is seen to with the figures."""
    match condition:
        case ir.BinaryExpr(
            op="and", left=ir.BinaryExpr(op=">=", right=x) as alone,
            right=ir.BinaryExpr(op=">", left=same, right=ir.Const(value=0)),
        ) if x == same:  # fmt: skip
            return alone
    return condition


def _is_timed(trigger: Trigger) -> bool:
    """Whether time alone may turn it."""
    return bool(trigger.due) or trigger.daily


def _anew(event: str) -> str:
    """The timer by which a trigger's subjects are gone through."""
    return f"anew|{event}"


def _is_threshold(trigger: Trigger) -> bool:
    """Whether it is `usage(self, meter) >= x` with an x that neither time nor usage moves."""
    if _is_timed(trigger):
        return False
    match without_zero(trigger.condition):
        case ir.BinaryExpr(
            op=">=",
            left=ir.Builtin(name="usage", args=(ir.Local(name="self"), ir.Const())),
            right=right,
        ):
            moved = ("usage", "remaining", "preview", "preview_of")
            return len(trigger.meters) == 1 and not any(
                isinstance(node, ir.CallFn) or (isinstance(node, ir.Builtin) and node.name in moved)
                for node in walk(right)
            )
    return False
