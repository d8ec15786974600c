"""Runs `test` blocks: a state of their own, a virtual clock, recorded effects, no network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from ..diagnostics import Span
from ..errors import BizError
from ..ir import interpret
from ..ir import nodes as ir
from ..ir.lower import HandlerLowering
from ..ir.lower_expr import Scope
from ..ir.program import Program
from ..lang import ast
from ..lang.symbols import Checked
from ..model import Event, Receipt
from ..values import Money, plain, show
from .engine import Engine
from .happenings import Happening, Happenings, describe, wanted
from .work import Work

_AS_EXPRESSION = (ast.Name, ast.Field, ast.Call, ast.Query, ast.First, ast.Index, ast.Group)


class Overrides(Protocol):
    """What a test says about the sandbox."""

    def payments_succeed(self) -> None:
        """Every charge succeeds, unless the customer's card says otherwise."""

    def payments_fail(self, error: str) -> None:
        """Every charge fails with this error."""

    def answer(self, name: str, target: str | None, value: Any) -> None:
        """What a connection or ai action answers."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An expectation that did not hold, or a statement that could not be done."""

    span: Span
    message: str
    details: tuple[str, ...] = ()


@dataclass(slots=True)
class TestResult:
    """How a test went. `fired` are the places of handlers that ran, for coverage."""

    title: str
    span: Span
    failures: list[Failure] = field(default_factory=list)
    fired: set[str] = field(default_factory=set)

    @property
    def passed(self) -> bool:
        """Whether everything held."""
        return not self.failures


Open = Callable[[], tuple[Engine, Overrides]]


def run_test(checked: Checked, program: Program, test: ast.Test, open_engine: Open) -> TestResult:
    """Runs one test from nothing."""
    result = TestResult(test.title, test.span)
    try:
        engine, overrides = open_engine()
        runner = _Runner(checked, program, engine, overrides, result)
        for stmt in test.body:
            if not runner.do(stmt):
                break
        result.fired = runner.happenings.fired()
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
        self._events = 0
        self._in_run = False
        self._statements = 0

    def do(self, stmt: ast.Stmt) -> bool:
        """Does a statement; False where the test can't go on."""
        try:
            self._do(stmt)
        except BizError as error:
            self._fail(stmt.span, str(error))
            return False
        return True

    def _do(self, stmt: ast.Stmt) -> None:
        match stmt:
            case ast.SetClock(time=time):
                self._move(self._time(time))
            case ast.Advance(value=value, to=to):
                self._advance(value, to)
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
                self._in_run = False
                self._expect_effect(stmt)
            case ast.ExpectRejected():
                self._in_run = False
                self._expect_rejected(stmt)
            case _:
                self._statement(stmt)

    # --- time and events -----------------------------------------------------------------------

    def _move(self, to: Any) -> None:
        self._in_run = False
        self.happenings.begin()
        clock = self.engine.clock
        if clock is not None and to < clock:
            raise BizError(f"the clock can't go back from {show(clock)} to {show(to)}")
        self.engine.advance(to)
        self.engine.commit()

    def _time(self, node: ast.Expr) -> Any:
        """An instant; a date means where that day begins."""
        from datetime import date, datetime

        from ..times import midnight

        value = self._value(node)
        if isinstance(value, date) and not isinstance(value, datetime):
            return midnight(value, self.engine.tz)
        if not isinstance(value, datetime):
            raise BizError(f"`{show(value)}` is no instant")
        return value

    def _advance(self, value: ast.Expr, to: bool) -> None:
        from ..times import add

        if to:
            self._move(self._time(value))
            return
        if self.engine.clock is None:
            raise BizError("`advance` needs a clock: begin the test with `at INSTANT`")
        self._move(add(self.engine.clock, self._value(value), self.engine.tz))

    def _emit(self, stmt: ast.Emit) -> None:
        self._begin_run()
        self._events += 1
        id_ = show(self._value(stmt.id)) if stmt.id is not None else f"test-{self._events}"
        time = self._time(stmt.at) if stmt.at is not None else self._now()
        data = self._map(stmt.data) if stmt.data is not None else {}
        self.receipt = self._submit(id_, stmt.event, time, data)
        self.engine.commit()

    def _submit(self, id_: str, type_: str, time: Any, data: dict[str, Any]) -> Receipt:
        known = self.engine.state.store.known([("", id_)])
        if ("", id_) in known and known["", id_].status != "rejected":
            return Receipt(id_, "duplicate")
        raw = msgspec.json.encode(plain({"id": id_, "type": type_, "data": data})).decode()
        event = Event(id_, type_, time, plain(data))
        return self.engine.submit(event, raw)

    def _begin_run(self) -> None:
        if not self._in_run:
            self.happenings.begin()
        self._in_run = True

    def _now(self) -> Any:
        if self.engine.clock is None:
            raise BizError("the test has no clock yet: begin it with `at INSTANT`")
        return self.engine.clock

    def _call(self, stmt: ast.CallApi) -> None:
        self._begin_run()
        path = show(self._value(stmt.path))
        data = self._map(stmt.data) if stmt.data is not None else {}
        caller = self._value(stmt.caller) if stmt.caller is not None else None
        self._events += 1
        from .routes import call_api

        base = f"call-{self._events}"
        self.receipt = call_api(self.engine, stmt.method, path, data, caller, base, self._now())
        self.engine.commit()

    # --- values and statements -------------------------------------------------------------------

    def _work(self) -> Work:
        self._statements += 1
        base = f"test/{self._statements}"
        now = self._now() if self.engine.clock is not None else None
        envelope = {"id": base, "type": "test", "time": now, "subject": None}
        return Work(self.engine, now, base, envelope, None)  # type: ignore[arg-type]

    def _value(self, node: ast.Expr) -> Any:
        expr = self.code.lower(node, Scope().bind(*self.names))
        return self._evaluate(expr)

    def _evaluate(self, expr: ir.Expr) -> Any:
        program = self.program
        return interpret.evaluate(
            expr, self._work(), self.names, program.functions, program.constants
        )

    def _map(self, node: ast.MapLiteral) -> dict[str, Any]:
        value: dict[str, Any] = self._evaluate(self.code.map(node, Scope().bind(*self.names)))
        return value

    def _statement(self, stmt: ast.Stmt) -> None:
        """A statement that changes the state without an event."""
        self._begin_run()
        if isinstance(stmt, ast.Let) and not isinstance(
            stmt.value, ast.Action | ast.Create | ast.Upsert
        ):
            self.names[stmt.name] = self._value(stmt.value)
            return
        if self.engine.clock is None:
            raise BizError("the test has no clock yet: begin it with `at INSTANT`")
        handler = self.code.handler("test", "test", (stmt,), stmt.span, None, tuple(self.names))
        code = self.engine.code_of(handler)
        work = self._work()
        work.code = code
        before = len(self.happenings.refused())
        self.engine.run_isolated(work, 0, self.names)
        if isinstance(stmt, ast.Let):
            self.names[stmt.name] = self._made(stmt, work)
        self.engine.settle_work(work)
        self.engine.commit()
        refused = self.happenings.refused()
        if len(refused) > before:
            raise BizError(refused[-1]["reason"])

    def _made(self, stmt: ast.Let, work: Work) -> Any:
        """What `let x = create …` made: the newest row of that work."""
        return work.made

    # --- expectations --------------------------------------------------------------------------

    def _expect_true(self, stmt: ast.ExpectTrue, value: ast.Expr) -> None:
        self._in_run = False
        found = self._value(value)
        if found is True:
            return
        details = tuple(
            f"{self._source(part)} = {text}"
            for part in _parts(value)
            if (text := self._shown(part)) is not None
        )
        what = "is false" if found is False else f"is `{show(found)}`, not true"
        self._fail(stmt.span, f"`{self._source(value)}` {what}", details)

    def _shown(self, node: ast.Expr) -> str | None:
        try:
            value = self._value(node)
        except BizError as error:
            return str(error)
        return f'"{value}"' if isinstance(value, str) else show(value)

    def _source(self, node: ast.Node) -> str:
        source = self.checked.loaded.sources[node.span.file]
        return " ".join(source.text[node.span.start : node.span.end].split())

    def _expect_effect(self, stmt: ast.ExpectEffect) -> None:
        wants = self._map(stmt.data) if stmt.data is not None else {}
        if stmt.kind == "reply":
            self._expect_reply(stmt, wants)
            return
        target = show(self._value(stmt.target)) if stmt.target is not None else None
        candidates = self.happenings.of(stmt.kind, stmt.event, target)
        matching = [found for found in candidates if fits(found, wants)]
        count = len(matching)
        if count == stmt.count or (stmt.count is None and count > 0):
            return
        self._fail(
            stmt.span,
            f"expected {wanted(stmt)}, found {count}",
            tuple(describe(found, wants) for found in candidates[:8])
            or (f"there was no {stmt.event or stmt.kind} at all since then",),
        )

    def _expect_reply(self, stmt: ast.ExpectEffect, wants: Mapping[str, Any]) -> None:
        reply = self.receipt.reply if self.receipt else None
        if not isinstance(reply, dict):
            reason = self.receipt.reason if self.receipt else "nothing was sent"
            shown = f"`{show(reply)}`" if reply is not None else f"none ({reason or 'no return'})"
            self._fail(stmt.span, f"expected a reply, found {shown}")
            return
        if not fits(Happening("reply", reply), wants):
            self._fail(stmt.span, "the reply differs", (describe(Happening("reply", reply), wants),))

    def _expect_rejected(self, stmt: ast.ExpectRejected) -> None:
        receipt = self.receipt
        message = show(self._value(stmt.message)) if stmt.message is not None else None
        if receipt is None:
            self._fail(stmt.span, "no event was sent before")
        elif receipt.status not in ("rejected", "failed"):
            self._fail(stmt.span, f"the newest event was {receipt.status}, not rejected")
        elif message is not None and message not in (receipt.reason or ""):
            self._fail(stmt.span, f"it was rejected with another message: {receipt.reason}")

    def _fail(self, span: Span, message: str, details: tuple[str, ...] = ()) -> None:
        self.result.failures.append(Failure(span, message, details))


def fits(found: Happening, wants: Mapping[str, Any]) -> bool:
    """Whether what happened has these fields; a name that is missing does not fit."""
    return all(same(found.value(name), value) for name, value in wants.items())


def same(found: Any, value: Any) -> bool:
    """Equal, with a reference equal to its key, and money to money of the same amount."""
    if isinstance(found, Mapping) and isinstance(value, Mapping):
        return all(same(found.get(name), inner) for name, inner in value.items())
    if isinstance(found, Mapping) and "$key" in found:
        return bool(found["$key"] == value)
    if isinstance(found, bool) != isinstance(value, bool):
        return False
    if isinstance(found, Money) and isinstance(value, Money):
        return found == value and found.currency == value.currency
    if isinstance(found, list | tuple) and isinstance(value, list | tuple):
        pairs = zip(found, value, strict=False)
        return len(found) == len(value) and all(same(a, b) for a, b in pairs)
    return bool(found == value)


def _parts(node: ast.Expr) -> list[ast.Expr]:
    """The expressions of a condition whose values tell why it is false."""
    match node:
        case ast.Binary(left=left, right=right):
            return _parts(left) + _parts(right)
        case ast.Unary(operand=operand):
            return _parts(operand)
        case ast.Query() | ast.First() | ast.Group():
            return [node]
        case ast.Call(args=args):
            return [node, *(part for arg in args for part in _parts(arg))]
        case ast.Field():
            return [node]
    return [node] if isinstance(node, _AS_EXPRESSION) else []
