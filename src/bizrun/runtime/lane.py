"""The short way of events that nothing has to run for: rules that only say that they hold,
meters that only add up.

It does what `Engine.submit` would do, or nothing at all; then the event takes the long way.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from ..ir.compile import Code, compile_matches
from ..ir.nodes import Pattern
from ..ir.program import Meter
from ..model import Event
from ..values import Number
from .counting import Read, Space, counting, function
from .dispatch import Route, needs_context, needs_more_than_rows
from .lines import Batch, Line
from .metering import Slot
from .typed import Integer, Shape
from .work import Work

if TYPE_CHECKING:
    from .engine import Engine

MOST_MARKS = 10_000
_LAST = datetime.max.replace(tzinfo=UTC)


class Reached(NamedTuple):
    """That an event is taken whose figure has come to where triggers of its meter turn, so that
    they are looked at before anything else; `mark` are the places of the rules that held."""

    mark: str
    meter: Meter
    slot: Slot


# What takes an event the short way, by its decoded payload, its instant and the clock, no earlier:
# the places of the rules that held, or None, and nothing was done.
Take = Callable[[Any, datetime, datetime], "str | Reached | None"]


class Lanes:
    """The short ways of one engine, by the classes of decoded lines."""

    def __init__(self, engine: Engine, shapes: dict[type, Shape]) -> None:
        self.engine = engine
        self._shapes = shapes
        self._lanes: dict[type, Take] = {}
        self._open: dict[type, Take] = {}
        self._waited = -1

    def leaves(self, item: Any) -> bool:
        """Whether no event of a decoded line's type ever takes the short way."""
        return self._lanes.get(type(item)) is _leave

    def run(self, batch: Batch, start: int, stop: int, limit: datetime) -> int:
        """Takes some events of a batch the short way; the place of the first that it leaves.

        Events beyond `limit` are left.
        """
        engine, place = self.engine, start
        while place < stop and engine.clock is not None:
            place, turned = self._stretch(batch, place, stop, limit)
            if turned:
                continue
            due, at = engine.timers.next_due, batch.times[place] if place < stop else None
            if at is None or due is None or not engine.clock < at >= due or at > limit:
                break
            engine.advance(at)
        return place

    def _stretch(self, batch: Batch, start: int, stop: int, limit: datetime) -> tuple[int, bool]:
        """The same as far as no timer comes due on the way, or an event has triggers looked at;
        whether one has."""
        engine, place = self.engine, start
        engine.metering.revalidate()
        if self._waited != engine.waits.places:
            self._waited = engine.waits.places
            self._open.clear()
        lanes, marks = self._open, {}
        if awaited := engine.metering.corrections.awaited:
            known = (n for n in range(start, stop) if batch.ids[n] in awaited)
            stop = next(known, stop)
        clock, due = engine.clock, engine.timers.next_due
        reached: Reached | None = None
        assert clock is not None
        bound = limit if due is None or limit < due else due
        items, times = batch.items, batch.times
        if start or stop < len(items):
            items, times = items[start:stop], times[start:stop]
        for item, at in zip(items, times, strict=True):
            if at > clock:
                if at >= bound:
                    break
                clock = at
            kind = type(item)
            take = lanes[kind] if kind in lanes else self._resolve(kind)
            mark = take(item.data, at, clock)
            if mark is None:
                break
            if mark:
                if isinstance(mark, Reached):
                    reached = mark
                    if mark.mark:
                        marks[place] = mark.mark
                    place += 1
                    break
                marks[place] = mark
            place += 1
        engine.clock = clock
        if place > start:
            seq = engine.log_plain(batch, start, place, marks)
            if reached is not None:
                self._turn(batch.line(place - 1), seq, reached)
        return place, reached is not None

    def _turn(self, line: Line, seq: int, reached: Reached) -> None:
        """Has the triggers looked at that an event may have turned, and what follows handled."""
        engine, (_, meter, slot) = self.engine, reached
        event = Event(line.id, line.type, line.time, line.data, seq=seq, stamp=line.stamp)
        engine.step(event.time, event.base, lambda: engine.triggers.reached(meter, slot, event))
        engine.drain()
        engine.catch_up()
        engine.replies.clear()

    def _resolve(self, kind: type) -> Take:
        shape = self._shapes[kind]
        take = self._lanes.get(kind)
        if take is None:
            take = self._lanes[kind] = lane(self.engine, shape) or _leave
        if self.engine.waits.any_on(shape.type):
            take = _leave
        self._open[kind] = take
        return take


def _leave(data: Any, at: datetime, clock: datetime) -> str | None:
    return None


def lane(engine: Engine, shape: Shape) -> Take | None:
    """The short way of an event type; None where its events need the long one."""
    route = engine.dispatch.route(shape.type)
    if not _is_short(engine, route):
        return None
    space: Space = {"get": engine.state.get}
    lines: list[str] = []
    meters = route.meters or ()
    counted = {meter.per for meter in meters}
    for place, (name, entity) in enumerate(shape.references):
        if name not in counted or entity != engine.program.bills:
            space[f"referred{place}"] = entity
            lines += [
                f" if get(referred{place}, data.{shape.fields[name].attribute}) is None:",
                "  return None",
            ]
    if route.handlers:
        lines += _conditions(engine, route, shape, space)

    references = dict(shape.references)

    def access(name: str, space: Space) -> Read:
        field = shape.fields[name]
        refers = references.get(name)
        known = refers is not None and refers == engine.program.bills
        certain = field.kind is str or field.kind is Integer
        return Read(f"data.{field.attribute}", certain, refers if known else None)

    mark = "mark" if route.handlers else "''"
    beyond = None
    if len(meters) == 1 and engine.triggers.tell_alone(meters[0].name):
        space["reach"] = partial(_reach, engine, meters[0])
        beyond = f"reach({mark}, slot, figure) if at is clock else None"
    lines += counting(engine.metering, meters, access, space, beyond)
    lines.append(f" return {mark}")
    return function("take", lines, space)


def _reach(engine: Engine, meter: Meter, mark: str, slot: Slot, figure: Number) -> Reached | None:
    """Counts an event by which a figure leaves those in which it runs unseen; None, and nothing
    was done, where it takes more than a look at triggers."""
    if not engine.triggers.know(meter, slot.row, figure):
        return None
    slot.count += 1
    if meter.aggregate == "sum":
        slot.total = figure
    if not slot.dirty:
        slot.dirty = True
        engine.metering.moved.append(slot)
    return Reached(mark, meter, slot)


def _is_short(engine: Engine, route: Route) -> bool:
    """Whether events of a route may take the short way at all."""
    if route.directory is not None or route.lifecycles or route.told or not route.known:
        return False
    if route.metered and route.meters is None:
        return False
    patterns = [code.unit.handler.pattern for code in route.handlers]
    if any(pattern is None or needs_more_than_rows(pattern.where) for pattern in patterns):
        return False
    # Whose rows an event may see is known by the event as a whole.
    if engine.tenancy is not None and not all(_by_payload(pattern) for pattern in patterns):
        return False
    return all(_does_nothing(code) for code in route.handlers if code.match is None)


def _does_nothing(code: Code) -> bool:
    return len(code.unit.handler.segments) == 1 and not code.unit.handler.segments[0].steps


def _by_payload(pattern: Pattern | None) -> bool:
    return pattern is not None and not needs_context(pattern.where)


def _conditions(engine: Engine, route: Route, shape: Shape, space: Space) -> list[str]:
    """The lines that set `mark` to the places of rules that hold, where none of them does more."""
    bare = frozenset(n for n, code in enumerate(route.handlers) if _does_nothing(code))
    marks: dict[tuple[int, ...], str | None] = {}

    def look(indexes: tuple[int, ...]) -> str | None:
        found = None
        if bare.issuperset(indexes):
            found = ",".join([route.places[index] for index in indexes])
        if len(marks) < MOST_MARKS:
            marks[indexes] = found
        return found

    space |= {
        "conditions": compile_matches([code.unit for code in route.handlers]),
        # A condition only reads rows by it; the same for all events.
        "ctx": Work(engine, _LAST, "", {}, None),
        "payload": shape.payload, "marks": marks, "look": look, "tuple": tuple,
    }  # fmt: skip
    return [
        " indexes, errors = conditions(ctx, payload(data))",
        " if errors:",
        "  return None",
        " key = tuple(indexes)",
        " mark = marks[key] if key in marks else look(key)",
        " if mark is None:",
        "  return None",
    ]
