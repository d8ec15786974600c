"""The short way of an event that nothing has to run for: rules that only say that they hold,
meters that only add up.

It does what `Engine.submit` would do, or nothing at all; then the event takes the long way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from ..ir.compile import Code, compile_matches
from ..model import Receipt
from .dispatch import Route, needs_context
from .metering import Metering

if TYPE_CHECKING:
    from .engine import Engine


class Line(msgspec.Struct, gc=False):
    """One line on its way: what its event will be made of, or the reason why it is none.

    `references` are set where it fits its declaration but for them: the short way may take it.
    `receipt` is what became of it, none where it was simply handled. `owner` is the customer who
    sends it and whose alone it may be, none where it may be anybody's.
    """

    number: int
    raw: str
    id: str = ""
    type: str = ""
    time: Any = None
    data: Any = None
    stamp: Any = None
    references: tuple[tuple[str, str], ...] | None = None
    source: str = ""
    subject: Any = None
    reason: str | None = None
    receipt: Receipt | None = None
    corrects: str | None = None
    owner: str | None = None


Take = Callable[[Line], bool]


class Lane:
    """The short way of one event type: the conditions of its rules, its meters."""

    __slots__ = ("bare", "conditions", "counter", "fired", "meters", "route")

    def __init__(self, route: Route, metering: Metering) -> None:
        self.route = route
        self.meters = route.meters or ()
        self.counter = metering.counter(self.meters[0]) if len(self.meters) == 1 else None
        self.bare = frozenset(n for n, code in enumerate(route.handlers) if _does_nothing(code))
        self.conditions = (
            compile_matches([code.unit for code in route.handlers]) if route.handlers else None
        )
        self.fired: dict[tuple[int, ...], str | None] = {(): ""}

    def places(self, indexes: tuple[int, ...]) -> str | None:
        """The places of rules that hold; None where one of them has something to do."""
        found = None
        if self.bare.issuperset(indexes):
            found = ",".join([self.route.places[index] for index in indexes])
        if len(self.fired) < 10_000:
            self.fired[indexes] = found
        return found


def lane_of(route: Route, metering: Metering) -> Lane | None:
    """The short way of a route; None where its events need the long one."""
    if route.lifecycles or not route.known:
        return None
    if route.metered and route.meters is None:
        return None
    patterns = [code.unit.handler.pattern for code in route.handlers]
    if any(pattern is None or needs_context(pattern.where) for pattern in patterns):
        return None
    lane = Lane(route, metering)
    always = [n for n, code in enumerate(route.handlers) if code.match is None]
    return lane if lane.bare.issuperset(always) else None


def _does_nothing(code: Code) -> bool:
    return len(code.unit.handler.segments) == 1 and not code.unit.handler.segments[0].steps


def lanes(engine: Engine) -> Take:
    """What takes an event the short way; False where it must go the long one."""
    found: dict[str, Lane | None] = {}
    timers, metering, waits, state = engine.timers, engine.metering, engine.waits, engine.state

    get, awaited = state.get, metering.corrections.awaited

    def take(line: Line) -> bool:
        type_, at, data = line.type, line.time, line.data
        try:
            lane = found[type_]
        except KeyError:
            lane = found[type_] = lane_of(engine.dispatch.route(type_), metering)
        if lane is None or waits.any_on(type_) or line.id in awaited:
            return False
        clock = engine.clock
        if clock is None or (at > clock and timers.next_due is not None and timers.next_due <= at):
            engine.advance(at)
            if waits.any_on(type_):  # something may have begun to wait on the way
                return False
        elif at > clock:
            engine.clock = at
        for name, entity in line.references or ():
            if get(entity, data[name]) is None:
                return False
        fired: str | None = ""
        if lane.conditions is not None:
            indexes, errors = lane.conditions(None, data)  # type: ignore[arg-type]
            if errors:
                return False
            key = tuple(indexes)
            fired = lane.fired[key] if key in lane.fired else lane.places(key)
            if fired is None:
                return False
        if lane.counter is not None:
            # A late one may be of a period that is billed already.
            counted = lane.counter(data, at) if at >= engine.clock else None
            if counted is None:
                return False
            metering.count_on(*counted)
        elif lane.meters and (
            at < engine.clock or not metering.count_quickly(data, at, lane.meters)
        ):
            return False
        engine._seq = seq = engine._seq + 1
        state.entries.append(
            (seq, "", line.id, type_, line.stamp, line.raw, "handled", None, None, fired)
        )
        return True

    return take
