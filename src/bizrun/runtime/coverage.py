"""What tests reach of a spec: handlers, branches, lifecycle arrows and tiers of prices.

A program is copied with marks in it: steps and values that note that they were come to. Nothing
else about it changes, so that a test does the same with and without.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from msgspec import structs
from msgspec.structs import replace

from ..diagnostics import Span
from ..ir import nodes as ir
from ..ir.constants import constant
from ..ir.program import Arrow, Program
from ..lang import ast
from ..lang.std import in_std
from ..lang.symbols import Checked
from ..lang.walk import walk
from ..store.base import INTERNAL, LogEntry, Row
from ..values import literal, show
from .waits import fits

if TYPE_CHECKING:
    from .engine import Engine

MARK = "reached"
KINDS = ("handler", "branch", "arrow", "tier")


@dataclass(frozen=True, slots=True, order=True)
class Point:
    """A place that a test can reach; `text` says what was never the case where none does."""

    file: str
    line: int
    column: int
    kind: str
    text: str


class Coverage:
    """The points of one program, and those that were reached."""

    def __init__(self, checked: Checked) -> None:
        self.checked = checked
        self.points: list[Point] = []
        self.reached: set[Point] = set()
        self._numbers: dict[Point, int] = {}
        self._arrows: list[tuple[str, Arrow, Point]] = []
        self._tiers: list[_TierPoint] = []

    def add(self, place: ir.Place, kind: str, text: str) -> int | None:
        """A new point's number; None in a used module of the standard library: it has own tests."""
        used = in_std(place.file) and place.file != self.checked.loaded.path
        if used or not place.file:
            return None
        point = Point(place.file, place.line, place.column, kind, text)
        if point not in self._numbers:
            self._numbers[point] = len(self.points)
            self.points.append(point)
        return self._numbers[point]

    # --- marking -------------------------------------------------------------------------------

    def instrument(self, program: Program) -> Program:
        """The program with a mark at everything that can be reached."""
        copy = replace(program)
        copy.handlers = [self._handler(handler) for handler in program.handlers]
        copy.schedules = [
            replace(each, handler=self._handler(each.handler)) for each in program.schedules
        ]
        copy.apis = [replace(api, handler=self._handler(api.handler)) for api in program.apis]
        copy.functions = {
            name: structs.replace(function, steps=_Marker(self).steps(function.steps))
            for name, function in program.functions.items()
        }
        for lifecycle in program.lifecycles:
            for arrow in lifecycle.arrows:
                text = f"{literal(arrow.source) if arrow.source else 'any'} -> "
                text += f"{literal(arrow.target)} {_cause(arrow)}"
                number = self.add(arrow.place, "arrow", text)
                if number is not None:
                    type_ = f"{lifecycle.entity}.{lifecycle.field}_changed"
                    self._arrows.append((type_, arrow, self.points[number]))
        self._find_tiers()
        return copy

    def _handler(self, handler: ir.Handler) -> ir.Handler:
        number = self.add(handler.place, "handler", handler.id)
        marker = _Marker(self)
        for segment in handler.segments:
            marker.note_bodies(segment.steps)
        segments = []
        for index, segment in enumerate(handler.segments):
            steps = marker.steps(segment.steps)
            mark = number if index == 0 else marker.bodies.get(index)
            if mark is not None:
                steps = (_mark(handler.place, mark), *steps)
            segments.append(structs.replace(segment, steps=steps))
        return structs.replace(handler, segments=tuple(segments))

    def _find_tiers(self) -> None:
        symbols = self.checked.symbols
        plans: list[ast.Plan | ast.Addon] = [*symbols.plans.values(), *symbols.addons.values()]
        for plan in plans:
            for price in walk(plan):
                if isinstance(price, ast.UsagePrice | ast.Price):
                    meter = price.meter if isinstance(price, ast.UsagePrice) else None
                    for node in walk(price):
                        if isinstance(node, ast.Pricing) and node.tiers:
                            self._add_tiers(plan.name, meter, node)

    def _add_tiers(self, plan: str, meter: str | None, pricing: ast.Pricing) -> None:
        bounds = [constant(tier.bound, self.checked.symbols) for tier in pricing.tiers]
        for index, (tier, bound) in enumerate(zip(pricing.tiers, bounds, strict=True)):
            name = f"up to {show(bound)}" if bound is not None else "above"
            what = f"{plan}, {meter or 'price'}: {name}"
            number = self.add(self._place(tier.span), "tier", what)
            if number is not None:
                below = bounds[index - 1] if index else None
                point = self.points[number]
                self._tiers.append(
                    _TierPoint(plan, meter, pricing.model, index, below, bound, point)
                )

    def _place(self, span: Span) -> ir.Place:
        line, column = self.checked.loaded.sources[span.file].position(span.start)
        return ir.Place(span.file, line, column)

    # --- watching ------------------------------------------------------------------------------

    def watch(self, engine: Engine) -> None:
        """Lets an engine say which marks it comes to."""

        def mark(_: Any, number: int, value: Any) -> Any:
            self.reached.add(self.points[number])
            return value

        engine.questions = {**engine.questions, MARK: mark}

    def observe(self, engine: Engine) -> None:
        """Reads out of a finished test which arrows and tiers it came to."""
        entries = list(engine.state.store.log()) if self._arrows or self._tiers else []
        types = {entry.seq: entry.type for entry in entries}
        for entry in entries:
            if entry.source == INTERNAL:
                self._observe_arrow(entry, types)
        if self._tiers:
            for row in engine.state.select("InvoiceLine", {}):
                self._observe_line(engine, row, entries)

    def _observe_arrow(self, entry: LogEntry, types: Mapping[int, str]) -> None:
        from .happenings import decode_raw

        taken = [(arrow, point) for type_, arrow, point in self._arrows if type_ == entry.type]
        if not taken:
            return
        data = decode_raw(entry.raw)
        taken = [
            (arrow, point)
            for arrow, point in taken
            if arrow.target == data.get("to") and arrow.source in (None, data.get("from"))
        ]
        cause = types.get(entry.cause or 0, "")
        told = [point for arrow, point in taken if _fits(arrow, cause)]
        self.reached.update(told or [point for _, point in taken])

    def _observe_line(self, engine: Engine, row: Row, entries: list[LogEntry]) -> None:
        key = row["subscription"]
        held = engine.state.get("Subscription", key) if key else None
        plans = {held["plan"]} if held else set()
        plans |= {text for entry in entries if entry.type == "Subscription.plan_changed"
                  for text in _texts(entry.raw)}  # fmt: skip
        for tier in self._tiers:
            if tier.plan in plans and tier.meter == row["meter"] and tier.entered(row):
                self.reached.add(tier.point)


@dataclass(frozen=True, slots=True)
class _TierPoint:
    """A tier of a price, and how to see on an invoice line that it was reached."""

    plan: str
    meter: str | None
    model: str
    index: int
    below: Any
    bound: Any
    point: Point

    def entered(self, line: Row) -> bool:
        """Whether a line's quantity came to this tier."""
        quantity = line["quantity"]
        steps = [step for step in line["detail"] or () if "bound" not in step]
        if not quantity:
            return False
        if self.model == "graduated" and steps:
            return self.index < len(steps)
        over = self.below is None or quantity > self.below
        return over and (self.model == "graduated" or self.bound is None or quantity <= self.bound)


def _texts(raw: str) -> Iterator[str]:
    from .happenings import decode_raw

    data = decode_raw(raw)
    if isinstance(data, dict):
        yield from (value for value in data.values() if isinstance(value, str))


def _fits(arrow: Arrow, cause: str) -> bool:
    if arrow.pattern is None:
        return not cause
    return any(fits(pattern, cause) for pattern in arrow.pattern.types)


def _cause(arrow: Arrow) -> str:
    if arrow.pattern is not None:
        return f"on {' or '.join(arrow.pattern.types)}"
    if arrow.after is None:
        return "by an update"
    return (
        f"after {show(arrow.after.value)}" if isinstance(arrow.after, ir.Const) else "after a time"
    )


# --- marks -------------------------------------------------------------------------------------


def _mark(place: ir.Place, number: int) -> ir.Step:
    call = ir.Builtin(MARK, (ir.Const(number), ir.Const(None)))
    return ir.LetStep(place, f"_{MARK}", call)


class _Marker:
    """Puts marks into the steps of one handler or function."""

    def __init__(self, coverage: Coverage) -> None:
        self.coverage = coverage
        self.bodies: dict[int, int | None] = {}
        self._counts: dict[tuple[ir.Place, str], int] = {}

    def note_bodies(self, steps: tuple[ir.Step, ...]) -> None:
        """Finds the segments that are bodies of loops and timers, which may never run."""
        for step in steps:
            match step:
                case ir.TimerStep(place=place, segment=segment):
                    self.bodies[segment] = self.coverage.add(place, "branch", "the block never ran")
                case ir.LoopStep(place=place, body=body):
                    self.bodies[body] = self.coverage.add(place, "branch", "no round ever ran")
                case ir.IfStep(then=then, otherwise=otherwise):
                    self.note_bodies(then)
                    self.note_bodies(otherwise)
                case ir.MatchStep(cases=cases, otherwise=otherwise):
                    for _, body_ in cases:
                        self.note_bodies(body_)
                    self.note_bodies(otherwise)

    def steps(self, steps: tuple[ir.Step, ...]) -> tuple[ir.Step, ...]:
        """Steps with marks in their branches."""
        return tuple(self._step(step) for step in steps)

    def _step(self, step: ir.Step) -> ir.Step:
        place = step.place
        match step:
            case ir.IfStep(condition=condition, then=then, otherwise=otherwise):
                return structs.replace(
                    step,
                    condition=self._expr(condition, place),
                    then=self._branch(place, "the condition was never true", then),
                    otherwise=self._branch(place, "the condition was never false", otherwise),
                )
            case ir.MatchStep(subject=subject, cases=cases, otherwise=otherwise):
                marked = tuple(
                    (patterns, self._branch(place, f"never {_patterns(patterns)}", body))
                    for patterns, body in cases
                )
                rest = self._branch(place, "never anything else", otherwise)
                return structs.replace(
                    step, subject=self._expr(subject, place), cases=marked, otherwise=rest
                )
        changes = {
            name: self._expr(getattr(step, name), place)
            for name in step.__struct_fields__
            if name not in ("place", "unless", "pattern")
        }
        return structs.replace(step, **changes)

    def _branch(
        self, place: ir.Place, text: str, steps: tuple[ir.Step, ...]
    ) -> tuple[ir.Step, ...]:
        number = self.coverage.add(place, "branch", text)
        marked = self.steps(steps)
        return marked if number is None else (_mark(place, number), *marked)

    def _expr(self, node: Any, place: ir.Place) -> Any:
        """A value with marks in its branches."""
        if isinstance(node, tuple):
            return tuple(self._expr(item, place) for item in node)
        if not isinstance(node, ir.Node) or isinstance(node, ir.Place | ir.Const | ir.Pattern):
            return node
        changes = {n: self._expr(getattr(node, n), place) for n in node.__struct_fields__}
        match structs.replace(node, **changes):
            case ir.IfElse(condition=condition, then=then, otherwise=otherwise):
                return ir.IfElse(
                    condition,
                    self._value(place, self._text(place, "`if` was never true"), then),
                    self._value(place, self._text(place, "`if` was never false"), otherwise),
                )
            case ir.MatchValue(subject=subject, arms=arms, otherwise=otherwise):
                marked = tuple(
                    (patterns, self._value(place, f"never {_patterns(patterns)}", value))
                    for patterns, value in arms
                )
                rest = otherwise and self._value(place, "never anything else", otherwise)
                return ir.MatchValue(subject, marked, rest)
            case other:
                return other

    def _text(self, place: ir.Place, text: str) -> str:
        """The second `if` of a line is told apart from the first."""
        count = self._counts[place, text] = self._counts.get((place, text), 0) + 1
        return text if count == 1 else f"{text} (number {count})"

    def _value(self, place: ir.Place, text: str, value: ir.Expr) -> ir.Expr:
        number = self.coverage.add(place, "branch", text)
        return value if number is None else ir.Builtin(MARK, (ir.Const(number), value))


def _patterns(patterns: tuple[ir.Expr, ...]) -> str:
    return ", ".join(
        literal(pattern.value) if isinstance(pattern, ir.Const) else "a pattern"
        for pattern in patterns
    )
