"""Runs `test` blocks: a state of their own, a virtual clock, recorded effects, no network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Protocol

import msgspec

from ..diagnostics import Span
from ..errors import BizError
from ..ir import interpret, operators
from ..ir.lower import HandlerLowering
from ..ir.lower_expr import Scope
from ..ir.program import Program
from ..lang import ast
from ..lang.symbols import Checked
from ..lang.types import SIZE, known
from ..model import Event, Receipt
from ..times import add, midnight
from ..values import plain, show
from .engine import Engine
from .expectations import Asked, Failure, false_condition, wrong_count, wrong_reply
from .happenings import Happenings, fits, same, short
from .routes import call_api
from .work import Work

# Where the clock of a test begins that never says `at`.
START = datetime(2026, 1, 1, tzinfo=UTC)


class Overrides(Protocol):
    """What a test says about the sandbox."""

    def payments_succeed(self) -> None:
        """Every charge succeeds, unless the customer's card says otherwise."""

    def payments_fail(self, error: str) -> None:
        """Every charge fails with this error."""

    def answer(self, name: str, target: str | None, value: Any) -> None:
        """What a connection or ai action answers."""


@dataclass(slots=True)
class TestResult:
    """How a test went."""

    title: str
    span: Span
    failures: list[Failure] = field(default_factory=list)


Open = Callable[[], tuple[Engine, Overrides]]
Observe = Callable[[Engine], None]


def run_test(
    checked: Checked,
    program: Program,
    test: ast.Test,
    open_engine: Open,
    observe: Observe | None = None,
) -> TestResult:
    """Runs one test from nothing; `observe` is shown the engine when it is over."""
    result = TestResult(test.title, test.span)
    try:
        engine, overrides = open_engine()
        runner = _Runner(checked, program, engine, overrides, result)
        runner.run(test)
        if observe is not None:
            observe(engine)
    except BizError as error:
        result.failures.append(Failure(test.span, str(error)))
    return result


class _Runner:
    """One test on its way."""

    def __init__(
        self,
        checked: Checked,
        program: Program,
        engine: Engine,
        overrides: Overrides,
        result: TestResult,
    ) -> None:
        self.checked = checked
        self.program = program
        self.engine = engine
        self.overrides = overrides
        self.result = result
        self.code = HandlerLowering(checked)
        self.names: dict[str, Any] = {}
        self.happenings = Happenings(engine)
        self.receipt: Receipt | None = None
        self._start = START
        self._since = "so far"
        self._events = 0
        self._in_run = False
        self._statements = 0

    def run(self, test: ast.Test) -> None:
        """Does a test's statements up to one that can't be done."""
        first = next((stmt for stmt in test.body if isinstance(stmt, ast.SetClock)), None)
        if first is not None and first is not test.body[0]:
            # What stands before the first `at` happens at that instant too.
            self._start = self._time(first.time)
        for stmt in test.body:
            if not self.do(stmt):
                break

    def do(self, stmt: ast.Stmt) -> bool:
        """Does a statement; False where the test can't go on."""
        try:
            self._do(stmt)
        except BizError as error:
            self._fail(stmt.span, str(error))
            return isinstance(stmt, ast.ExpectTrue | ast.ExpectEffect | ast.ExpectRejected)
        return True

    def _do(self, stmt: ast.Stmt) -> None:
        match stmt:
            case ast.SetClock(time=time):
                self._move(self._time(time), stmt)
            case ast.Advance(value=value, to=True):
                self._move(self._time(value), stmt)
            case ast.Advance(value=value):
                self._move(add(self._now(), self._value(value), self.engine.tz), stmt)
            case ast.Emit():
                self._emit(stmt)
            case ast.Payments(succeed=True):
                self.overrides.payments_succeed()
            case ast.Payments(error=error):
                text = show(self._value(error)) if error is not None else "card_declined"
                self.overrides.payments_fail(text)
            case ast.Answer(name=name, target=target, value=value):
                path = show(self._value(target)) if target is not None else None
                self.overrides.answer(name, path, self._value(value))
            case ast.CallApi():
                self._call(stmt)
            case ast.ExpectTrue(value=value):
                self._expect_true(stmt, value)
            case ast.ExpectEffect():
                self._expect_effect(stmt)
            case ast.ExpectRejected():
                self._expect_rejected(stmt)
            case _:
                self._control(stmt)

    def _control(self, stmt: ast.Stmt) -> None:
        """Branches and loops are the test's own: expectations may stand in them."""
        match stmt:
            case ast.If(condition=condition, then=then, otherwise=otherwise):
                self._block(then if self._value(condition) is True else otherwise)
            case ast.ForEach(variable=variable, source=source, body=body):
                for item in operators.items(self._work(), self._value(source)):
                    self.names[variable] = item
                    self._block(body)
                self.names.pop(variable, None)
            case ast.Let(name=name, value=value) if not isinstance(
                value, ast.Action | ast.Create | ast.Upsert
            ):
                self.names[name] = self._value(value)
            case _:
                self._statement(stmt)

    def _block(self, body: tuple[ast.Stmt, ...]) -> None:
        for stmt in body:
            self._do(stmt)

    # --- time and events -----------------------------------------------------------------------

    def _now(self) -> datetime:
        if self.engine.clock is None:
            self.engine.advance(self._start)
        assert self.engine.clock is not None
        return self.engine.clock

    def _move(self, to: datetime, stmt: ast.Stmt) -> None:
        self._in_run = False
        self._begin(stmt)
        clock = self.engine.clock
        if clock is not None and to < clock:
            raise BizError(f"the clock can't go back from {show(clock)} to {show(to)}")
        self.engine.advance(to)
        self.engine.commit()

    def _begin(self, stmt: ast.Stmt) -> None:
        self.happenings.begin()
        line, _ = self.checked.loaded.sources[stmt.span.file].position(stmt.span.start)
        self._since = f"since line {line}"

    def _time(self, node: ast.Expr) -> datetime:
        """An instant; a date means where that day begins."""
        value = self._value(node)
        if isinstance(value, datetime):
            return value
        if isinstance(value, date):
            return midnight(value, self.engine.tz)
        raise BizError(f"`{show(value)}` is no instant")

    def _begin_run(self, stmt: ast.Stmt) -> None:
        if not self._in_run:
            self._begin(stmt)
        self._in_run = True

    def _emit(self, stmt: ast.Emit) -> None:
        now = self._now()
        self._begin_run(stmt)
        self._events += 1
        # Ties of one instant go by id: events without one stand in the order they were emitted.
        made = f"test-{self._events:06}"
        id_ = made if stmt.id is None else show(self._value(stmt.id))
        time = self._time(stmt.at) if stmt.at is not None else now
        data = self._map(stmt.data) if stmt.data is not None else {}
        corrects = show(self._value(stmt.corrects)) if stmt.corrects is not None else None
        before = len(self.happenings.refused())
        self.receipt = self._submit(id_, stmt.event, time, data, corrects)
        self.engine.commit()
        self._hear(before)

    def _submit(
        self, id_: str, type_: str, time: datetime, data: dict[str, Any], corrects: str | None
    ) -> Receipt:
        known = self.engine.state.store.known([("", id_)])
        if ("", id_) in known and known["", id_].status != "rejected":
            return Receipt(id_, "duplicate")
        line = {"id": id_, "type": type_, "data": data}
        line |= {"corrects": corrects} if corrects is not None else {}
        raw = msgspec.json.encode(plain(line)).decode()
        event = Event(id_, type_, time, plain(data), corrects=corrects)
        return self.engine.submit(event, raw)

    def _hear(self, before: int) -> None:
        """Hears of a `reject` that came after a wait of the same instant."""
        receipt = self.receipt
        if receipt is None or receipt.status not in ("handled", "unmatched"):
            return
        for row in self.happenings.refused()[before:]:
            event = (row["retry"] or {}).get("event") or {}
            if row["status"] == "rejected" and event.get("id") == receipt.id:
                self.receipt = Receipt(receipt.id, "rejected", row["reason"], receipt.reply)

    def _call(self, stmt: ast.CallApi) -> None:
        now = self._now()
        self._begin_run(stmt)
        path = show(self._value(stmt.path))
        data = self._map(stmt.data) if stmt.data is not None else {}
        caller = self._value(stmt.caller) if stmt.caller is not None else None
        self._events += 1
        base = f"call-{self._events}"
        before = len(self.happenings.refused())
        self.receipt = call_api(self.engine, stmt.method, path, data, caller, base, now)
        self.engine.commit()
        self._hear(before)

    # --- values and statements -------------------------------------------------------------------

    def _work(self) -> Work:
        self._statements += 1
        base = f"test/{self._statements}"
        now = self.engine.clock or self._start
        envelope = {"id": base, "type": "test", "time": now, "subject": None}
        return Work(self.engine, now, base, envelope, None)

    def _known(self) -> dict[str, Any]:
        """The test's names, and the newest reply."""
        return {"reply": self.receipt.reply if self.receipt else None, **self.names}

    def _value(self, node: ast.Expr) -> Any:
        program = self.program
        names = self._known()
        expr = self.code.lower(node, Scope().bind(*names))
        return interpret.evaluate(expr, self._work(), names, program.functions, program.constants)

    def _map(self, node: ast.MapLiteral) -> dict[str, Any]:
        program = self.program
        names = self._known()
        expr = self.code.map(node, Scope().bind(*names))
        value: dict[str, Any] = interpret.evaluate(
            expr, self._work(), names, program.functions, program.constants
        )
        return value

    def _statement(self, stmt: ast.Stmt) -> None:
        """A statement that changes the state without an event."""
        self._now()
        names = self._known()
        handler = self.code.handler("test", "test", (stmt,), stmt.span, None, tuple(names))
        work = self._work()
        work.code = self.engine.code_of(handler)
        before = len(self.happenings.refused())
        done = self.engine.run_isolated(work, 0, names)
        if isinstance(stmt, ast.Let):
            self.names[stmt.name] = work.made
        self.engine.settle_work(work)
        self.engine.commit()
        if not done:
            raise BizError(self.happenings.refused()[before]["reason"])

    # --- expectations --------------------------------------------------------------------------

    def _expect_true(self, stmt: ast.ExpectTrue, value: ast.Expr) -> None:
        self._in_run = False
        try:
            found = self._value(value)
        except BizError as error:
            found = error
        if found is not True:
            asked = Asked(self._value, self._text, self._source)
            failure = false_condition(stmt, found, asked, self.happenings)
            self.result.failures.append(failure)

    def _text(self, node: ast.Expr) -> str:
        """The value of an expression as written: a size in its unit."""
        value = self._value(node)
        sized = known(self.checked.type_of(node)) == SIZE and isinstance(value, int | Decimal)
        return show(value, "size") if sized else short(value)

    def _source(self, node: ast.Node) -> str:
        source = self.checked.loaded.sources[node.span.file]
        return " ".join(source.text[node.span.start : node.span.end].split())

    def _expect_effect(self, stmt: ast.ExpectEffect) -> None:
        self._in_run = False
        wants = self._map(stmt.data) if stmt.data is not None else {}
        if stmt.kind == "reply":
            self._expect_reply(stmt, wants)
            return
        target = show(self._value(stmt.target)) if stmt.target is not None else None
        matching = [found for found in self.happenings.of(stmt, target) if fits(found, wants)]
        count = len(matching)
        if count == stmt.count or (stmt.count is None and count > 0):
            return
        failure = wrong_count(stmt, wants, target, matching, self.happenings, self._since)
        self.result.failures.append(failure)

    def _expect_reply(self, stmt: ast.ExpectEffect, wants: Mapping[str, Any]) -> None:
        receipt = self.receipt
        if stmt.count == 0:
            if receipt is not None and receipt.reply is not None:
                self._fail(stmt.span, f"expected no reply, found {short(receipt.reply)}")
        elif receipt is None:
            self._fail(stmt.span, "expected a reply, but nothing was sent before")
        elif receipt.reply is None:
            why = receipt.reason or "nothing was returned"
            self._fail(stmt.span, f"expected a reply, but the newest was {receipt.status}: {why}")
        elif stmt.target is not None and not same(receipt.reply, text := self._value(stmt.target)):
            self._fail(stmt.span, f"expected {short(text)}, found {short(receipt.reply)}")
        elif wants and not same(receipt.reply, wants):
            self.result.failures.append(wrong_reply(stmt, receipt.reply, wants))

    def _expect_rejected(self, stmt: ast.ExpectRejected) -> None:
        self._in_run = False
        receipt = self.receipt
        message = show(self._value(stmt.message)) if stmt.message is not None else None
        if receipt is None:
            self._fail(stmt.span, "expected a refusal, but nothing was sent before")
        elif receipt.status not in ("rejected", "failed"):
            self._fail(stmt.span, f"expected a refusal, but the newest event was {receipt.status}")
        elif message is not None and message not in (receipt.reason or ""):
            self._fail(stmt.span, "it was refused with another message", (f"{receipt.reason}",))

    def _fail(self, span: Span, message: str, details: tuple[str, ...] = ()) -> None:
        self.result.failures.append(Failure(span, message, details))
