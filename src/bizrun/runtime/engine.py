"""The engine: an event in, its changes, effects and further events out, all or nothing.

It touches no clock, disk or network: time is the event's, the store commits what it hands over,
and a provider is a function that it was given.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from ..documents.document import PRINTED
from ..errors import BizError, EvalError, Refusal
from ..ir import codec
from ..ir import nodes as ir
from ..ir.compile import Code, compile_expression, compile_unit
from ..ir.program import EventType, Program
from ..model import Counts, Effect, Event, Outcome, Receipt
from ..store.base import Plain, Row, Store
from ..times import zone
from ..values import instant_stamp as stamp
from .actions import Actions
from .directory import Directories
from .dispatch import Dispatch, Route
from .editions import editions, take_up
from .emitting import Emitting
from .fit import shape_defaults
from .head import Head, head_of, tell_spec
from .hearing import hear
from .intake import Intake, undeclared
from .lifecycles import Lifecycles
from .lines import Batch
from .metering import Metering
from .outbox import Deliver, Outbox
from .recording import Recording
from .rounds import run_rounds
from .rows import Rows
from .schedules import Schedules
from .state import Savepoint, State
from .tenancy import Tenancy
from .timers import AGAIN, Timers
from .triggers import Triggers
from .waits import Item, Resume, Waits, begun_by, envelope
from .work import Work


class Engine:
    """Runs one program over one store. Single-threaded: one writer a state."""

    def __init__(
        self,
        program: Program,
        store: Store,
        actions: Actions,
        deliver: Deliver | None,
        record_all: bool = False,
    ) -> None:
        self.actions = actions
        self.tz: ZoneInfo = zone(program.timezone)
        self.record_all = record_all
        self.migrated = take_up(program, store)
        self.state = State(store)
        self.counts = Counts()
        self.clock: datetime | None
        self.clock, self._order = head_of(store)
        self.editions = editions(program, self.state, self.clock)
        self.program = program = self.editions.program
        self._said = False  # whether the state knows its spec
        self.seq = store.last_seq()  # the number of the newest event of the log
        self._queue: deque[Item] = deque()
        self._pending: list[Item] = []
        # Queues what comes after the changes of this step.
        self.later: Callable[[Item], None] = self._pending.append
        # The types of events that nobody looks at, as long as no work waits for more.
        self.unheard: set[str] = set()
        self.rows = Rows(self)
        # What handlers returned after a wait, by the base of the event that they began with.
        self.replies: dict[str, Any] = {}
        # Why a handler refused after a wait, by the same base; until the commit.
        self.refusals: dict[str, str] = {}
        self._hashes: dict[int, str] = {}
        self._compiled: dict[tuple[int, tuple[str, ...]], Callable[..., Any]] = {}
        self.questions = actions.questions()
        billed = program.entities[program.bills].fields if program.bills else {}
        self.printed = tuple(sorted(PRINTED & billed.keys()))
        self.bearing = program.bearing()
        self.tenancy = Tenancy(self, program.tenant) if program.tenant else None
        self.emitting = Emitting(self)
        self.recording = Recording(self)
        plans = program.plans | program.addons
        self.intake = Intake(
            program.currency, self._find, shape_defaults(self), plans, program.coupons
        )
        self.directories = Directories(self)
        self.dispatch = Dispatch(self)
        self.waits = Waits(self)
        self.timers = Timers(self)
        self.lifecycles = Lifecycles(self)
        self.triggers = Triggers(self)
        self.metering = Metering(self)
        self.outbox = Outbox(self, deliver)
        self.pump: Callable[[], bool] | None = None
        self.schedules = Schedules(self)
        self.triggers.take_up()

    # --- events from outside -------------------------------------------------------------------

    def submit(self, event: Event, raw: str) -> Receipt:
        """Handles an event and all that follows from it at its instant.

        `event.data` is JSON as it came; `raw` its text for the log.
        """
        clock = self.clock
        if clock is None or event.time > clock:
            self.advance(event.time)
        route = self.dispatch.route(event.type)
        if route.told:
            hear(self, event, self.seq + 1)
        try:
            if route.quick is None or not route.quick(event.data):
                self.read(event)
            if event.subject is None and route.key is not None:
                event.subject = event.data.get(route.key)
        except BizError as error:
            return self.refuse(event, raw, str(error))
        if (route.meters is not None and not self.waits.any_on(event.type)
                and not self.metering.corrections.concern(event)
                and self._count_alone(event, raw, route)):  # fmt: skip
            return Receipt(event.id, "handled")
        receipt = self._step(event, raw)
        self.drain()
        self.catch_up()
        return self.answered(receipt, event.base) if self.replies else receipt

    def answered(self, receipt: Receipt, base: str) -> Receipt:
        """The receipt of the event of that `base`, with what a handler of it returned that went on
        at the same instant."""
        reply = self.replies.get(base)
        self.replies.clear()
        return receipt if reply is None else replace(receipt, reply=reply)

    def catch_up(self) -> None:
        """Fires what became due in the past: `after 0 days`, or timers of a late event."""
        clock, due = self.clock, self.timers.next_due
        if clock is not None and due is not None and due <= clock:
            self.timers.fire(clock)

    def read(self, event: Event, recorded: bool = False) -> None:
        """Reads the payload of an event; Refusal where it does not fit, unless it is `recorded`."""
        route = self.dispatch.route(event.type)
        declared = route.declared
        if not isinstance(event.data, dict):
            raise Refusal("`data` must be an object")
        if route.directory is not None:
            self.directories.read(route.directory, event)
            return
        if event.corrects is None and not (declared and declared.payload.field("corrects")):
            held = event.data.get("corrects")
            event.corrects = held if isinstance(held, str) else None
        if declared is None:
            event.data = undeclared(event.data)
            return
        read = self.intake.recorded if recorded else self.intake.payload
        event.data = read(declared, event.data, partial(self._event_default, declared, event))

    def _count_alone(self, event: Event, raw: str, route: Route) -> bool:
        """The short way of an event that no handler looks at: it only counts on meters."""
        if route.handlers:
            indexes, errors = route.match(event)
            if indexes or errors:
                return False
        assert route.meters is not None
        if not self.metering.count_quickly(event.type, event.data, event.time, route.meters):
            return False
        self.seq += 1
        event.seq = self.seq
        self.state.entries.append(
            (self.seq, event.source, event.id, event.type, event.stamp or
             stamp(event.time), raw, "handled", None, None, "")
        )  # fmt: skip
        return True

    def _event_default(self, declared: EventType, event: Event, name: str) -> Any:
        work = Work(self, event.time, event.base, event.envelope(), event)
        return self.compiled(declared.defaults[name], ())(work)

    def _find(self, entity: str, key: str) -> str | None:
        return self.state.find(self.program.entities[entity], key)

    def refuse(self, event: Event, raw: str, reason: str) -> Receipt:
        """Keeps an event that is not handled, with the reason."""
        self.log(event, raw, "rejected", reason, None)
        self.recording.dead(event, "rejected", reason, None, "", None)
        self.state.settle()
        return Receipt(event.id, "rejected", reason)

    def advance(self, until: datetime, between: Callable[[], None] | None = None) -> None:
        """Moves the clock on and fires what is due on the way; never back.

        `between` is called after some hundreds of timers, when nothing is half done: to commit.
        """
        if self.clock is None:
            self.clock = until
            self.schedules.begin(until)
            self.state.settle()
        elif until > self.clock:
            if self.timers.next_due is not None and self.timers.next_due <= until:
                self.schedules.horizon = until
                self.timers.fire(until, between)
            self.clock = max(self.clock, until)

    def drain(self) -> None:
        """Handles what was emitted, and delivers what the sandbox answers, until all is quiet.

        With `pump`, a worker then delivers the effects, and what follows from their outcomes is
        handled before the clock moves on.
        """
        while True:
            while self._queue:
                self._handle_queued(self._queue.popleft())
            self.state.settle()
            if self.pump is None or not self.pump():
                return

    def _handle_queued(self, item: Item) -> None:
        if type(item) is Event:
            if item.type not in self.unheard:
                if self.dispatch.route(item.type).known or self.waits.any_on(item.type):
                    self._step(item, None)
                    return
                self.unheard.add(item.type)
            self._tell(item)
        elif type(item) is Effect:
            self.outbox.send(item)
            self._end_step()
        else:
            assert type(item) is Resume
            self.waits.go_on(item.resume, item.result, item.now, item.base, item.source)
            self._after_work(item.now, item.base)
            self._end_step()

    def settle(self, key: str, outcome: Outcome) -> None:
        """Takes the outcome of an effect from outside; `drain` handles what follows."""
        self._pending.clear()
        self.outbox.settle(key, outcome)
        self._end_step()

    # --- one step ------------------------------------------------------------------------------

    def _step(self, event: Event, raw: str | None) -> Receipt:
        """Lifecycles, handlers, waits, meters, triggers of one event: all or nothing of it."""
        state = self.state
        mark, order = state.mark(), self._order
        self._pending.clear()
        self.triggers.pending.clear()
        before = len(state.entries)
        self.seq += 1
        event.seq = self.seq
        state.entries.append(())
        try:
            fired, reply, failures = self._handle(event)
        except Refusal as error:
            state.undo(mark)
            self._order = order
            self._pending.clear()
            self.triggers.pending.clear()
            state.entries[before] = self._entry(event, raw, "rejected", str(error), None)
            self.recording.dead(event, "rejected", str(error), None, "", None)
            return Receipt(event.id, "rejected", str(error))
        reason = "; ".join(failures) or None
        status = "failed" if failures else "handled" if fired is not None else "unmatched"
        state.entries[before] = self._entry(event, raw, status, reason, fired)
        self._end_step()
        return Receipt(event.id, status, reason, reply)  # type: ignore[arg-type]

    def _handle(self, event: Event) -> tuple[str | None, Any, list[str]]:
        """The places that fired (None: nothing looks at the event), the reply, the failures."""
        route = self.dispatch.route(event.type)
        fired: list[str] = []
        failures: list[str] = []
        reply: Any = None
        touched = route.known
        before = self._order
        if route.directory is not None:
            self.directories.before(route.directory, event)
        if route.lifecycles:
            failure = self.lifecycles.guarded(event)
            if failure:
                failures.append(failure)
        if route.handlers:
            indexes, errors = route.match(event)
            for code, error in errors:
                failures.append(self._failed(event, code, error, None))
            for index in indexes:
                code = route.handlers[index]
                work = Work(
                    self, event.time, f"{event.base}/{code.unit.handler.id}", event.envelope(),
                    event, code,
                )  # fmt: skip
                failure = self._run_handler(work, event, code)
                fired.append(route.places[index])
                if failure:
                    failures.append(failure)
                elif work.replied is not None:
                    reply = work.replied
        if self.waits.any_on(event.type) and self.waits.wake(event, before):
            touched = True
        if route.metered:
            self.metering.count(event)
        if self.triggers.pending:
            self.triggers.look(event.time, event.base, event)
        if route.directory is not None:
            self.directories.after(route.directory, event)
        return (",".join(fired) if touched else None), reply, failures

    def _run_handler(self, work: Work, event: Event, code: Code) -> str | None:
        """Runs a handler from its beginning; the reason where it failed and left nothing."""
        mark, pending, order = self.state.mark(), len(self._pending), self._order
        try:
            if code.live[0]:
                work.run(code, 0, {**event.data, "event": work.event})
            else:
                work.run(code, 0)
        except Exception as error:
            if isinstance(error, Refusal) and not isinstance(error, EvalError):
                raise
            self.state.undo(mark)
            del self._pending[pending:]
            self._order = order
            return self._failed(event, code, error, None)
        run_rounds(self, work)
        return None

    def _failed(
        self, event: Event, code: Code, error: Exception, retry: dict[str, Any] | None
    ) -> str:
        reason, place = self.waits.explain(error, code)
        self.recording.dead(
            event, "failed", reason, str(place or code.unit.handler.place),
            code.unit.handler.id, retry,
        )  # fmt: skip
        return reason

    def begin_step(self) -> Savepoint:
        """Begins a step by itself; what it is given back takes it back whole, its log too."""
        self._pending.clear()
        self.triggers.pending.clear()
        return Savepoint(self.state.mark(), len(self.state.entries), self._order, self.seq)

    def undo_step(self, before: Savepoint) -> None:
        """Takes back all since a step began."""
        self.state.undo(before.mark)
        del self.state.entries[before.entries :]
        self._pending.clear()
        self.triggers.pending.clear()
        self._order, self.seq = before.order, before.seq

    def is_quiet(self, before: Savepoint) -> bool:
        """Whether a step has changed nothing so far, nor asked for anything."""
        return self.state.mark() == before.mark and not self._pending

    def _end_step(self) -> None:
        self._queue.extend(self._pending)
        self._pending.clear()

    # --- running segments ----------------------------------------------------------------------

    def run_isolated(
        self, work: Work, segment: int, live: Mapping[str, Any], held: bool = False
    ) -> bool:
        """Runs a segment by itself: where it fails, it leaves nothing but the reason.

        `held`: what it leaves to do at its end is done by whoever runs it.
        """
        assert work.code is not None
        mark, pending, order = self.state.mark(), len(self._pending), self._order
        code, begun = work.code, list(work.begun)
        run = partial(code.segments[segment], work) if held else partial(work.run, code, segment)
        try:
            run(*(live.get(name) for name in code.live[segment]))
        except Exception as error:
            self.state.undo(mark)
            work.begun[:] = begun
            del self._pending[pending:]
            self._order = order
            reason, place = self.waits.explain(error, code)
            status = "failed" if isinstance(error, EvalError) else "rejected"
            retry = {
                "unit": self.waits.keep(code), "segment": segment, "name": None,
                "live": dict(live), "event": envelope(work), "base": work.base,
            }  # fmt: skip
            event = work.source or Event(work.base, "", work.now, {})
            if not isinstance(error, Refusal):
                status = "failed"
            if status == "rejected":
                self.refusals[begun_by(work)] = reason
            self.recording.dead(
                event, status, reason, str(place or code.unit.handler.place),
                code.unit.handler.id, retry,
            )  # fmt: skip
            return False
        run_rounds(self, work, held)
        return True

    def settle_work(self, work: Work) -> None:
        """Handles what follows from work that no event began."""
        self._after_work(work.now, work.base)
        self._end_step()
        self.drain()
        self.catch_up()

    @property
    def last_order(self) -> int:
        """The number that was registered last."""
        return self._order

    def guarded(
        self, work: Work, compute: Callable[[], Any], quiet: bool = False,
        again: tuple[str, str, dict[str, Any]] | None = None,
    ) -> Any:  # fmt: skip
        """A condition's value; one that fails is none, leaves nothing, and its reason is kept.

        `again` is the timer by which what is owed is tried once more the day after.
        """
        mark, pending = self.state.mark(), len(self._pending)
        try:
            return compute()
        except BizError as error:
            self.state.undo(mark)
            del self._pending[pending:]
            if not quiet:
                event = work.source or Event(work.base, str(work.event["type"]), work.now, {})
                self.recording.dead(event, "failed", str(error), None, work.handler, None)
            if again is not None:
                key, kind, task = again
                self.timers.add(key, work.now + AGAIN, kind, task)
        return None

    # --- what work asks for ----------------------------------------------------------------------

    def perform(
        self, work: Work, action: str, target: Any, data: dict[str, Any], site: object,
        place: Any, resume: dict[str, Any] | None,
    ) -> Any:  # fmt: skip
        """Does an action; a handler that waits for its result goes on at once where it is there."""
        result, waiting = self.actions.perform(work, action, target, data, site, place, resume)
        if resume is not None and not waiting:
            base = f"{work.base}/{site}/resumed"
            self._pending.append(Resume(resume, result, work.now, base, work.source))
        return result

    def outcome(
        self, effect: Row, outcome: Outcome, resume: dict[str, Any] | None, later: bool = False
    ) -> None:
        """What follows from the outcome of an effect; `later`: it had another one before."""
        if resume is None and not self.actions.follows(effect["kind"], outcome):
            return
        base = f"{effect['id']}/{'later' if later else 'outcome'}"
        now = max(self.clock or effect["created"], effect["created"])
        envelope = {"id": effect["event"], "type": effect["kind"], "time": now, "subject": None}
        source = Event(base, effect["kind"], now, {}, depth=effect["depth"] + 1)
        work = Work(self, now, base, envelope, source)
        task = {"effect": effect["id"], **({"later": True} if later else {})}
        again = (f"outcome|{effect['id']}", "outcome", task)
        result = self.guarded(
            work, lambda: self.actions.outcome(work, effect, outcome), again=again
        )
        if resume is not None:
            self.waits.go_on(resume, result, now, f"{base}/resumed", source)
        self._after_work(now, base)

    def _after_work(self, now: datetime, base: str) -> None:
        if self.triggers.pending:
            self.triggers.look(now, base, None)

    # --- steps ---------------------------------------------------------------------------------

    def step(self, now: datetime, base: str, do: Callable[[], None]) -> None:
        """Something that no event began, with what follows from it."""
        self._pending.clear()
        do()
        self._after_work(now, base)
        self._end_step()

    # --- small services ------------------------------------------------------------------------

    def next_order(self) -> int:
        """A number that grows with everything that is registered."""
        self._order += 1
        return self._order

    def compiled(self, expr: ir.Expr, params: tuple[str, ...]) -> Callable[..., Any]:
        """An expression of the program as a function of a work and these names."""
        # By identity: an expression of the program lives as long as the engine does.
        found = self._compiled.get((id(expr), params))
        if found is None:
            program = self.program
            found = compile_expression(expr, params, program.functions, program.constants)
            self._compiled[id(expr), params] = found
        return found

    def constant_of(self, expr: ir.Expr) -> Any:
        """The value of an expression that reads no state."""
        return self.compiled(expr, ())(None)

    def code_of(self, handler: ir.Handler) -> Code:
        """The compiled code of a handler."""
        return compile_unit(self.program.unit(handler))

    def hash_of(self, code: Code) -> str:
        """The hash of a handler with all that it reaches."""
        found = self._hashes.get(id(code))
        if found is None:
            found = self._hashes[id(code)] = codec.digest(code.unit)
        return found

    def plan_fields(self, name: Any) -> Mapping[str, Any] | None:
        """What an author reads of a plan."""
        return self.actions.plan_fields(self.program, name)

    def usage_start(self, customer: str, at: datetime, meter: str) -> datetime:
        """Where the usage period of a customer's meter begins."""
        return self.actions.usage_start(self._asker(at), customer, at, meter)

    def usage_periods(
        self, customer: str, at: datetime, meter: str, place: int | None = None
    ) -> tuple[tuple[datetime, datetime | None], ...]:
        """All usage periods that a count of a customer's meter belongs to."""
        return self.actions.usage_periods(self._asker(at), customer, at, meter, place)

    def period_start(self, customer: str, at: datetime) -> datetime:
        """Where the billing period of a customer begins."""
        return self.actions.period_start(self._asker(at), customer, at)

    def _asker(self, at: datetime) -> Work:
        return Work(self, at, "", {}, None)

    # --- the log -------------------------------------------------------------------------------

    def log(
        self, event: Event, raw: str | None, status: str, reason: str | None, fired: str | None
    ) -> None:
        """Adds an event to the log."""
        self.seq += 1
        event.seq = self.seq
        self.state.entries.append(self._entry(event, raw, status, reason, fired))

    def _tell(self, event: Event) -> None:
        """Logs an event of the engine's own that nobody looks at."""
        self.seq = event.seq = self.seq + 1
        self.state.entries.append((
            self.seq, event.source, event.id, event.type, stamp(event.time),
            self.recording.raw(event), "unmatched", None, event.cause, None,
        ))  # fmt: skip

    def log_plain(self, batch: Batch, start: int, stop: int, marks: dict[int, str]) -> int:
        """Adds events of a batch that no handler has made anything of; `marks`: rules that held, by
        place. The number of the last one."""
        first = self.seq + 1
        self.seq += stop - start
        fired = [marks.get(place, "") for place in range(start, stop)] if marks else None
        self.state.entries.append(
            Plain(first, batch.ids[start:stop], batch.text(start, stop), fired)
        )
        return self.seq

    def _entry(
        self, event: Event, raw: str | None, status: str, reason: str | None, fired: str | None
    ) -> tuple[Any, ...]:
        if raw is None:
            raw = self.recording.raw(event)
        return (
            event.seq, event.source, event.id, event.type,
            event.stamp or stamp(event.time), raw, status,
            reason, event.cause, fired,
        )  # fmt: skip

    def commit(self, figures: bool = True) -> None:
        """Makes all that was handled durable; running `figures` only where the store lasts."""
        if not self._said:
            tell_spec(self.state, self.program)
            self._said = True
        self.editions = self.editions.kept(self.state)
        self.refusals.clear()
        if figures:
            self.metering.flush()
        self.state.settle()
        self.state.commit(str(Head(self.clock, self._order)))
