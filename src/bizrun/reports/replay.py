"""The history of a state run again in memory, while somebody watches what some handlers do.

The recorded events come again under the spec as it is today; effects go as they went, the sandbox
answers what has no record. Each watched handler runs in the reference interpreter, which tells of
every step before it is done.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

from ..errors import BizError
from ..ir import nodes as ir
from ..ir.compile import Code
from ..ir.compile_errors import explain_error
from ..ir.interpret import evaluate, run_segment
from ..ir.program import Program
from ..ir.spell import parts, spell
from ..model import Effect, Event, Outcome
from ..providers.sandbox import Sandbox
from ..providers.told import ToldServices
from ..runtime.engine import Engine
from ..runtime.lane import Lanes
from ..runtime.lines import Reader
from ..runtime.stream import handle_batch
from ..runtime.waits import fits
from ..runtime.work import Work
from ..store.base import Store
from ..store.memory import MemoryStore
from ..values import literal
from .backtest import again_over

_BATCH = 1000
_SETTLED = {"done": "succeeded", "failed": "failed"}


class Part(NamedTuple):
    """A part of a condition and its value, both as written."""

    text: str
    value: str


@dataclass(frozen=True, slots=True)
class Check:
    """A condition and how it went, with its parts' values at that moment."""

    text: str
    held: bool
    place: ir.Place
    parts: tuple[Part, ...]


@dataclass(slots=True)
class Passage:
    """One time that an event came to a handler, or a segment of it ran.

    `steps` are those that it came to, with the values that they were given; `checks` the conditions
    on the way, by step. `missed`: its own `where` was false. `refused` is why it left nothing.
    """

    handler: ir.Handler
    segment: int
    event: Mapping[str, Any]
    payload: Mapping[str, Any]
    now: datetime
    base: str
    missed: Check | None = None
    steps: list[tuple[ir.Step, Any]] = field(default_factory=list)
    checks: list[tuple[ir.Step, Check]] = field(default_factory=list)
    timers: dict[str, ir.TimerStep] = field(default_factory=dict)
    refused: str | None = None


class _LongWay(Lanes):
    """No event takes a short way, on which nobody could watch it."""

    def leaves(self, item: Any) -> bool:
        return True


class Replay(Engine):
    """An engine whose handlers of some ids are watched; `passages` tell what they did."""

    def __init__(self, program: Program, past: Store, watched: Iterable[str]) -> None:
        from ..actions.toolbox import Toolbox

        self.watched = frozenset(watched)
        self.passages: list[Passage] = []
        self._routes: set[str] = set()
        sandbox, actions = Sandbox(), Toolbox(ToldServices())
        super().__init__(program, MemoryStore(), actions, partial(_as_recorded, past, sandbox))

    def run(self, past: Store, until: datetime | None) -> None:
        """Handles the events of a state once more, up to its clock."""
        reader = Reader(self.program)
        lanes = _LongWay(self, reader.shapes)

        def handle(engine: Engine, lines: Iterator[bytes]) -> None:
            while some := list(islice(lines, _BATCH)):
                handle_batch(engine, lanes, reader.batch(1, some))
                engine.commit()

        again_over(past, self, handle, until)

    def code_of(self, handler: ir.Handler) -> Code:
        """The code of a handler: of a watched one what interprets it and takes note."""
        code = super().code_of(handler)
        if handler.id not in self.watched:
            return code
        segments = [partial(self._run, code, number) for number in range(len(code.segments))]
        return replace(code, segments=tuple(segments))

    def _count_alone(self, event: Event, raw: str, route: Any) -> bool:
        return False

    def _handle(self, event: Event) -> tuple[str | None, Any, list[str]]:
        if event.type not in self._routes:
            self._routes.add(event.type)
            self._look_at(event.type)
        return super()._handle(event)

    def _look_at(self, type_: str) -> None:
        """From now on it is told which watched handlers don't take an event of a type, and why."""
        asked = [
            (handler, handler.pattern)
            for handler in self.program.handlers
            if handler.id in self.watched and handler.pattern is not None
            and handler.pattern.where is not None
            and any(fits(pattern, type_) for pattern in handler.pattern.types)
        ]  # fmt: skip
        route = self.dispatch.route(type_)
        match = route.match

        def watched(event: Event) -> Any:
            for handler, pattern in asked:
                self._look(event, handler, pattern)
            return match(event)

        route.match = watched

    def _look(self, event: Event, handler: ir.Handler, pattern: ir.Pattern) -> None:
        """Takes note of a handler whose own condition is false for an event."""
        work = Work(self, event.time, f"{event.base}/match", event.envelope(), event)
        payload = {**event.data, "event": event.envelope()}
        names = {"event": payload, **({pattern.name: payload} if pattern.name else {})}
        assert pattern.where is not None
        check = self._check(pattern.where, names, work, self.program.unit(handler), handler.place)
        if not check.held:
            self.passages.append(
                Passage(handler, 0, work.event, event.data, event.time, work.base, check)
            )

    def _run(self, code: Code, number: int, work: Any, *values: Any) -> None:
        unit, live = code.unit, dict(zip(code.live[number], values, strict=True))
        payload = work.source.data if work.source is not None else {}
        passage = Passage(
            unit.handler, number, work.event, {**payload, **live}, work.now, work.base
        )
        self.passages.append(passage)

        def watch(step: ir.Step, names: Mapping[str, Any]) -> None:
            self._note(passage, step, names, work, unit)

        try:
            run_segment(unit, number, work, live, watch)
        except Exception as error:
            passage.refused, _ = explain_error(error, code)
            raise

    def _note(
        self, passage: Passage, step: ir.Step, names: Mapping[str, Any], work: Any, unit: ir.Unit
    ) -> None:
        given: Any = None
        match step:
            case ir.IfStep(condition=condition):
                check = self._check(condition, names, work, unit, step.place)
                passage.checks.append((step, check))
            case ir.MatchStep(subject=subject):
                told = tuple(self._parts([subject], names, work, unit))
                check = Check(f"match {spell(subject)}", True, step.place, told)
                passage.checks.append((step, check))
            case ir.ActStep(data=data) | ir.AwaitAction(data=data) | ir.EmitStep(data=data):
                given = self._try(data, names, work, unit)
            case ir.UpdateStep(target=target):
                given = self._try(target, names, work, unit)
            case ir.LoopStep(source=source):
                given = self._try(source, names, work, unit)
            case ir.TimerStep(site=site):
                passage.timers[work.new_id("tmr", site)] = step
        passage.steps.append((step, given))

    def _check(
        self, node: ir.Expr, names: Mapping[str, Any], work: Any, unit: ir.Unit, place: ir.Place
    ) -> Check:
        held = self._try(node, names, work, unit) is True
        return Check(spell(node), held, place, tuple(self._parts(parts(node), names, work, unit)))

    def _parts(
        self, nodes: Iterable[ir.Expr], names: Mapping[str, Any], work: Any, unit: ir.Unit
    ) -> Iterator[Part]:
        for node in nodes:
            value = self._try(node, names, work, unit)
            if value is not _NO_VALUE:
                yield Part(spell(node), literal(_own(value)))

    @staticmethod
    def _try(node: ir.Expr, names: Mapping[str, Any], work: Any, unit: ir.Unit) -> Any:
        functions = {function.name: function for function in unit.functions}
        try:
            return evaluate(node, work, names, functions, dict(unit.constants))
        except (BizError, KeyError, TypeError):
            return _NO_VALUE


_NO_VALUE = object()


def _own(value: Any) -> Any:
    """A payload without the envelope that stands in it as `event`."""
    if isinstance(value, dict) and isinstance(value.get("event"), dict):
        return {name: item for name, item in value.items() if name != "event"}
    return value


def _as_recorded(past: Store, sandbox: Sandbox, effect: Effect) -> Outcome:
    """How an effect went; one without a record goes as the sandbox says."""
    row = past.get("_effect", effect.id)
    status = _SETTLED.get(row["status"]) if row is not None else None
    if row is None or status is None:
        return sandbox.deliver(effect)
    return Outcome(status, row["error"], row["answer"], row["reference"])  # type: ignore[arg-type]
