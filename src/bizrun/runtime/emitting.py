"""Events that work causes: emitted ones, those of changed rows, those of triggers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import EvalError
from ..model import Event
from ..store.base import INTERNAL, Row
from .counting import RECORDED
from .dispatch import snake
from .fit import fit
from .tenancy import references
from .unlinking import Link, links, unlink
from .work import Work

if TYPE_CHECKING:
    from .engine import Engine


class Emitting:
    """Queues the events of one engine; they are handled after the work that caused them."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._quiet: dict[str, bool] = {}
        self._links: dict[str, tuple[Link, ...]] = {}
        self._payloads: dict[str, tuple[str, ...]] = {}

    def emit(
        self, work: Work, type_: str, data: dict[str, Any], site: object, subject: Any = None,
        typed: bool = False,
    ) -> None:  # fmt: skip
        """Queues an event caused by this work; `typed`: its payload has all its fields, as they are
        declared."""
        source = work.source
        depth = (source.depth if source else 0) + 1
        self._admit(depth)
        if not typed:
            data = self._typed(type_, data, work)
        if subject is None and (declared := self.engine.program.events.get(type_)) is not None:
            subject = data.get(declared.key or "subject")
        event = Event(
            f"{work.base}/{site}", type_, work.now, data, INTERNAL, subject, 0,
            source.seq if source else None, depth, None, work.tenant,
        )  # fmt: skip
        self.engine.later(event)

    def _admit(self, depth: int) -> None:
        longest = self.engine.program.bounds.chain_of_events
        if depth > longest:
            raise EvalError(f"a chain of over {longest} events: do handlers emit in a circle?")

    def announce(self, work: Work, type_: str, subject: str, data: dict[str, Any]) -> None:
        """Queues an event of billing, whose values fit as they are."""
        names = self._payloads.get(type_)
        if names is None:
            declared = self.engine.program.events.get(type_)
            if declared is not None and declared.origin == "author":
                return  # it is the author's own, and says what they say
            fields = declared.payload.fields if declared is not None else ()
            names = self._payloads[type_] = tuple(name for name, _ in fields)
        if len(data) < len(names):
            for name in names:
                if name not in data:
                    data[name] = subject if name == "subject" else None
        source, cause, depth = work.source, None, 1
        if source is not None:
            cause, depth = source.seq, source.depth + 1
            self._admit(depth)
        self.engine.later(Event(
            f"{work.base}/{type_}/{subject}", type_, work.now, data, INTERNAL, subject, 0,
            cause, depth, None, work.tenant,
        ))  # fmt: skip

    def recorded(self, work: Work, site: object, data: dict[str, Any]) -> None:
        """Queues what tells of usage that an action has counted."""
        declared = self.engine.program.events.get(RECORDED)
        if declared is not None and declared.origin != "author":
            customer = data["customer"]
            self.emit(work, RECORDED, {**data, "subject": customer}, site, customer)

    def _typed(self, type_: str, data: dict[str, Any], work: Work) -> dict[str, Any]:
        declared = self.engine.program.events.get(type_)
        if declared is None or not declared.declared:
            return data
        for name, field in declared.payload.fields:
            if name in data:
                data[name] = fit(self.engine, data[name], field, f"{type_}.{name}")
                if work.tenant is not None:
                    work.check_own(references(field, data[name]))
            elif name in declared.defaults:
                data[name] = self.engine.compiled(declared.defaults[name], ())(work)
            else:
                data[name] = None
        return data

    def changed(self, work: Work, entity: str, key: str, old: Row | None, row: Row | None) -> None:
        """Tells who looks at rows that one has changed."""
        engine = self.engine
        if entity == "Subscription":
            engine.actions.moved(work, old, row)
        if entity in engine.directories.by_entity:
            engine.directories.changed(entity, key, old, row, work.now)
        if row is None:
            if entity not in self._links:
                self._links[entity] = tuple(links(engine.program, entity))
            for link in self._links[entity]:
                unlink(work, link, key)
        quiet = self._quiet.get(entity)
        if quiet is None:
            quiet = self._quiet[entity] = self._is_quiet(entity)
        if quiet and not engine.waits.strange:
            return
        if self.engine.program.lifecycles:
            self.engine.lifecycles.entered(work, entity, key, old, row)
        if self.engine.program.triggers:
            self.engine.triggers.changed(entity, key, old, row)
        if row is None and entity == self.engine.program.bills:
            self.engine.metering.forget(key)
        for type_, data in self.engine.dispatch.changes(entity, key, old, row):
            event = Event(
                f"{work.base}/{type_}/{key}", type_, work.now, data, INTERNAL, key, 0,
                work.source.seq if work.source else None,
                work.depth + 1, None, work.tenant,
            )  # fmt: skip
            self._admit(event.depth)
            self.engine.later(event)

    def _is_quiet(self, entity: str) -> bool:
        """Whether nothing of this spec looks at rows of an entity."""
        engine = self.engine
        return not (
            engine.lifecycles.looks_at(entity)
            or engine.triggers.looks_at(entity)
            or engine.dispatch.looks_at(entity)
        )

    def fire_trigger(self, work: Work, trigger: Any, key: str) -> None:
        """Emits the event of a trigger."""
        data = {"subject": key, snake(trigger.entity): key}
        declared = self.engine.program.events.get(trigger.event)
        typed = declared is None or declared.origin == "trigger"
        self.emit(work, trigger.event, data, "fired", key, typed and work.tenant is None)
