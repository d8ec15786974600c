"""Which handlers, lifecycles and meters look at an event type: worked out once for each type."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from ..ir import nodes as ir
from ..ir.compile import Code, compile_matches, walk
from ..ir.identity import Directory
from ..ir.program import EventType, Meter
from ..model import Event
from ..store.base import Row
from .quick import quick_check
from .waits import fits
from .work import Work

if TYPE_CHECKING:
    from .engine import Engine


@dataclass(slots=True)
class Route:
    """What happens with one event type. `known` where anything at all looks at it.

    `quick` says whether a payload is fine as it came; `meters` are set where events that no
    handler takes need nothing but counting; `told` where billing has to know of them first.
    """

    declared: EventType | None
    key: str | None
    quick: Callable[[Any], bool] | None
    meters: tuple[Meter, ...] | None
    handlers: list[Code]
    places: list[str]
    match: Callable[[Event], tuple[list[int], list[tuple[Code, Exception]]]]
    lifecycles: bool
    metered: bool
    known: bool
    directory: Directory | None
    told: bool


class Dispatch:
    """Routes of one engine, by event type."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._routes: dict[str, Route] = {}
        self._codes: dict[str, Code] = {}
        self._listened: dict[str, bool] = {}
        self.wait_types = frozenset(_wait_types(engine))
        self._change_fields: dict[str, tuple[tuple[str, str], ...]] = {}

    def route(self, type_: str) -> Route:
        """The route of a type."""
        found = self._routes.get(type_)
        if found is None:
            found = self._routes[type_] = self._build(type_)
        return found

    def code(self, handler: Any) -> Code:
        """The compiled code of one of the program's handlers."""
        found = self._codes.get(handler.id)
        if found is None:
            found = self._codes[handler.id] = self.engine.code_of(handler)
        return found

    def _build(self, type_: str) -> Route:
        engine = self.engine
        codes = [
            self.code(handler)
            for handler in engine.program.handlers
            if handler.pattern and any(fits(pattern, type_) for pattern in handler.pattern.types)
        ]
        lifecycles = bool(engine.lifecycles.on(type_))
        metered = engine.metering.on(type_)
        directory = engine.directories.of(type_)
        told = engine.actions.tells(type_)
        places = [str(code.unit.handler.place.line) for code in codes]
        match = self._matcher(codes)
        declared = engine.program.events.get(type_)
        if declared is not None and not declared.declared:
            declared = None
        meters = engine.metering.quick(type_) if metered and not lifecycles else None
        return Route(
            declared, declared.key if declared else None,
            quick_check(declared, engine.state, engine.program.plans)
            if declared and directory is None else None,
            meters if directory is None else None, codes, places, match, lifecycles, metered,
            bool(codes) or lifecycles or metered or directory is not None
            or told or any(fits(p, type_) for p in self.wait_types),
            directory, told,
        )  # fmt: skip

    def _matcher(
        self, codes: list[Code]
    ) -> Callable[[Event], tuple[list[int], list[tuple[Code, Exception]]]]:
        engine = self.engine
        everything = list(range(len(codes)))
        if all(code.match is None for code in codes):
            return lambda event: (everything, [])
        matches = compile_matches([code.unit for code in codes])
        patterns = [code.unit.handler.pattern for code in codes]
        asks = any(needs_context(pattern.where) for pattern in patterns if pattern)

        def match(event: Event) -> tuple[list[int], list[tuple[Code, Exception]]]:
            work: Any = None
            if asks:
                work = Work(engine, event.time, f"{event.base}/match", event.envelope(), event)
            indexes, errors = matches(work, event.data)
            return indexes, [(codes[index], error) for index, error in errors] if errors else []

        return match

    # --- change events -------------------------------------------------------------------------

    def listens(self, type_: str) -> bool:
        """Whether anybody can notice an event of a type that the engine itself makes."""
        found = self._listened.get(type_)
        if found is None:
            program = self.engine.program
            patterns = [t for h in program.handlers if h.pattern for t in h.pattern.types]
            patterns += [
                t for life in program.lifecycles for a in life.arrows if a.pattern
                for t in a.pattern.types
            ]  # fmt: skip
            patterns += self.wait_types
            found = self.engine.record_all or any(fits(p, type_) for p in patterns)
            found = self._listened[type_] = found or type_ in self.engine.metering._by_type
        return found or self.engine.waits.any_strange(type_)

    def looks_at(self, entity: str) -> bool:
        """Whether anybody listens to changes of an entity's rows, by this version of the spec."""
        made = (f"{entity}.{verb}" for verb in ("created", "updated", "deleted"))
        return any(map(self._by_change, made)) or bool(self._fields(entity))

    def changes(
        self, entity: str, key: str, old: Row | None, row: Row | None
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """The events that tell of a changed row, as far as anybody listens."""
        name = snake(entity)
        if old is None:
            if self._by_change(f"{entity}.created"):
                yield f"{entity}.created", {name: key, "subject": key}
            return
        if row is None:
            if self._by_change(f"{entity}.deleted"):
                yield f"{entity}.deleted", {name: key, "subject": key}
            return
        for field, type_ in self._fields(entity):
            if old[field] != row[field]:
                data = {name: key, "from": old[field], "to": row[field], "subject": key}
                yield type_, data
        if self._by_change(f"{entity}.updated"):
            yield f"{entity}.updated", {name: key, "subject": key}

    def _by_change(self, type_: str) -> bool:
        """Whether the change of a row is what tells: billing and directories announce their own
        events themselves, and an author who declares an `updated` emits it."""
        declared = self.engine.program.events.get(type_)
        origin = "change" if declared is None else declared.origin
        announced = origin in ("billing", "directory")
        announced = announced or (origin == "author" and type_.endswith(".updated"))
        return not announced and self.listens(type_)

    def _fields(self, entity: str) -> tuple[tuple[str, str], ...]:
        found = self._change_fields.get(entity)
        if found is None or self.engine.waits.strange:
            fields = self.engine.program.entities[entity].fields
            found = tuple(
                (field, f"{entity}.{field}_changed")
                for field in fields
                if field != "updated_at" and self._by_change(f"{entity}.{field}_changed")
            )
            self._change_fields[entity] = found
        return found


_PLAIN = (
    ir.Const, ir.Local, ir.Global, ir.Get, ir.UnaryExpr, ir.IfElse, ir.ListExpr, ir.Item,
    ir.MatchValue, tuple, str, bool, int, type(None),
)  # fmt: skip
_ROWS = (*_PLAIN, ir.EntityGet)


def needs_context(where: Any) -> bool:
    """Whether a condition reads more than the payload and constants."""
    return _beyond(where, _PLAIN)


def needs_more_than_rows(where: Any) -> bool:
    """Whether a condition reads more than the payload, constants and fields of rows."""
    return _beyond(where, _ROWS)


def _beyond(where: Any, allowed: tuple[type, ...]) -> bool:
    for node in walk(where):
        if isinstance(node, ir.BinaryExpr):
            if node.mode == "time" or node.op == "can":
                return True
        elif not isinstance(node, allowed):
            return True
    return False


def _wait_types(engine: Engine) -> list[str]:
    """The event types on which some handler of the program may wait."""
    found: list[str] = []

    def visit(node: Any) -> None:
        if isinstance(node, tuple):
            for item in node:
                visit(item)
        elif isinstance(node, ir.TimerStep) and node.unless is not None:
            found.extend(node.unless.types)
        elif isinstance(node, ir.AwaitEvent):
            found.extend(node.pattern.types)
        elif isinstance(node, ir.IfStep):
            visit((node.then, node.otherwise))
        elif isinstance(node, ir.MatchStep):
            visit((tuple(steps for _, steps in node.cases), node.otherwise))

    handlers = [*engine.program.handlers, *(s.handler for s in engine.program.schedules)]
    handlers += [api.handler for api in engine.program.apis]
    for handler in handlers:
        for segment in handler.segments:
            visit(segment.steps)
    return found


@cache
def snake(name: str) -> str:
    """An entity's name as payloads carry it: `UsageRecord` is `usage_record`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
