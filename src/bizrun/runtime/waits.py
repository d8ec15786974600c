"""What goes on later: timers, waits for events and for results. Rows, found by index.

A row holds the hash of the handler's code, the segment and the live values: an edited spec leaves
it alone, since the store keeps the code of every hash that pending work refers to.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import BizError, EvalError
from ..ir import codec
from ..ir import nodes as ir
from ..ir.compile import explain_error, walk
from ..ir.lacking import lacking
from ..model import Effect, Event
from ..store.base import Row
from ..values import show
from .work import Work

if TYPE_CHECKING:
    from ..ir.compile import Code
    from .engine import Engine


# What is kept with the envelope of a handler that waits: its tenant, whether it sees all of them,
# and the base of its event where that is not its id.
TENANT = "$tenant"
ACROSS = "$across"
BASE = "$base"
_BESIDE = frozenset((TENANT, ACROSS, BASE))


class Resume(NamedTuple):
    """A handler that waited for a result that is there at once."""

    resume: dict[str, Any]
    result: Any
    now: datetime
    base: str
    source: Event | None


# What is handled after the step that asked for it: an event, a delivery, a handler that goes on.
Item = Event | Effect | Resume


class Waits:
    """Registers and wakes continuations of one engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._codes: dict[str, Code] = {}
        self._reads: dict[tuple[str, int], tuple[tuple[str, str], ...]] = {}
        # Where to look: event types and fields on which something waits, or did in this run.
        self._hints: set[str] = set()
        self._awaited: dict[str, bool] = {}
        # Those of them that this version of the spec does not wait for: another version did.
        self.strange: set[str] = set()
        for row in engine.state.select("_wait_count", {}):
            self._hint(row["id"])

    # --- code by hash --------------------------------------------------------------------------

    def code(self, hash_: str) -> Code:
        """The code of a hash: of this spec, or of the version that the work began with."""
        found = self._codes.get(hash_)
        if found is None:
            from ..ir.compile import compile_unit
            from ..ir.renaming import up_to_date

            row = self.engine.state.get("_unit", hash_)
            assert row is not None, f"the store lost unit {hash_}"
            unit = up_to_date(codec.decode(row["code"]), self.engine.program)
            found = self._codes[hash_] = compile_unit(unit)
        return found

    def keep(self, code: Code) -> str:
        """The hash of a handler's code, which the store then has."""
        hash_ = self.engine.hash_of(code)
        state = self.engine.state
        # Asked each time: what a refused handler has stored is gone again.
        if state.get("_unit", hash_) is None:
            self._codes[hash_] = code
            state.replace("_unit", hash_, None, {"id": hash_, "code": codec.encode(code.unit)})
        return hash_

    def explain(self, error: Exception, code: Code) -> tuple[str, ir.Place | None]:
        """What went wrong in a handler and where; what its version has that is gone by now."""
        reason, place = explain_error(error, code)
        gone = [] if isinstance(error, BizError) else lacking(code.unit, self.engine.program)
        if gone:
            reason = f"{' and '.join(gone)} is gone from the spec since this handler began"
        return reason, place

    def sweep(self) -> None:
        """Drops the code of other versions of the spec that nothing refers to any more."""
        program, state = self.engine.program, self.engine.state
        stored = {row["id"] for row in state.select("_unit", {})}
        if not stored:
            return
        handlers = [*program.handlers, *(s.handler for s in program.schedules)]
        handlers += [api.handler for api in program.apis]
        stored -= {codec.digest(program.unit(handler)) for handler in handlers}
        if stored:
            stored -= self._needed()
        for hash_ in sorted(stored):
            state.put("_unit", hash_, None)

    def under_way(self) -> Counter[str]:
        """How many waits, timers and effects go on in each handler's code, by its hash."""
        state = self.engine.state
        waits = [row for row in state.select("_wait", {}) if not row["cancels"]]
        timed = {row["timer"] for row in waits}
        found = Counter(row["unit"] for row in waits)
        for row in state.select("_timer", {}):
            if row["kind"] == "segment" and row["id"] not in timed and "unit" in row["task"]:
                found[row["task"]["unit"]] += 1
        for row in state.select("_effect", {}):
            if row["resume"] and "unit" in row["resume"]:
                found[row["resume"]["unit"]] += 1
        return found

    def _needed(self) -> set[str]:
        """The code that timers, waits, effects under way and failed work refer to."""
        state = self.engine.state
        tasks = [row["task"] for row in state.select("_timer", {}) if row["kind"] == "segment"]
        tasks += list(state.select("_wait", {}))
        tasks += [row["resume"] for row in state.select("_effect", {}) if row["resume"]]
        tasks += [row["retry"] for row in state.select("_dead", {}) if row["retry"]]
        return {task["unit"] for task in tasks if "unit" in task}

    def resume(
        self, work: Work, segment: int, live: Mapping[str, Any], name: str | None
    ) -> dict[str, Any]:
        """How a handler goes on: everything that it knows."""
        assert work.code is not None
        return {
            "unit": self.keep(work.code),
            "segment": segment,
            "name": name,
            "live": dict(live),
            "event": envelope(work),
            "caller": work.caller,
        }

    # --- registering ---------------------------------------------------------------------------

    def timer(
        self,
        work: Work,
        due: datetime,
        segment: int,
        live: Mapping[str, Any],
        unless: int | None,
        site: object,
    ) -> None:
        """A segment that runs at an instant, unless a pattern matches before."""
        key = work.new_id("tmr", site)
        task = self.resume(work, segment, live, None)
        if due <= work.now:
            task["depth"] = work.depth + 1
            if work.depth >= work.program.bounds.chain_of_events:
                raise EvalError("timers without a delay go round in a circle")
        if unless is not None:
            task["wait"] = self._register(work, unless, live, None, segment, None, key, site)
        self.engine.timers.add(key, due, "segment", task)

    def event(
        self,
        work: Work,
        pattern: int,
        due: datetime | None,
        name: str | None,
        segment: int,
        live: Mapping[str, Any],
        site: object,
    ) -> None:
        """A segment that runs with the first event that matches, or with none when time is up."""
        timer = work.new_id("tmr", site) if due is not None else None
        wait = self._register(work, pattern, live, name, segment, timer, None, site)
        if due is not None and timer is not None:
            self.engine.timers.add(timer, due, "timeout", {"wait": wait})

    def _register(
        self,
        work: Work,
        pattern: int,
        live: Mapping[str, Any],
        name: str | None,
        segment: int,
        timer: str | None,
        cancels: str | None,
        site: object,
    ) -> str:
        assert work.code is not None
        code = work.code.patterns[pattern]
        key = work.new_id("wait", site)
        order = self.engine.next_order()
        match = self._match_text(code, work, live)
        types = code.pattern.types
        state = self.engine.state
        row: Row = {
            "id": key, "order": order, "unit": self.keep(work.code), "pattern": pattern,
            "segment": segment, "name": name, "live": dict(live), "event": envelope(work),
            "timer": timer, "cancels": cancels, "types": list(types),
        }  # fmt: skip
        state.replace("_wait", key, None, row)
        for type_ in types:
            self._index(type_, key, match, order)
        return key

    def _match_text(self, code: Any, work: Work, live: Mapping[str, Any]) -> str:
        if code.match_value is None or code.pattern.match_field is None:
            return ""
        value = code.match_value(work, *(live[name] for name in code.live))
        return f"{code.pattern.match_field}={show(value)}"

    def _index(self, type_: str, key: str, match: str, order: int) -> None:
        id_ = f"{key}|{type_}"
        row: Row = {"id": id_, "wait": key, "type": type_, "match": match, "order": order}
        self.engine.state.replace("_wait_on", id_, None, row)
        self._count(f"{type_}|{match.partition('=')[0]}", 1)

    def _count(self, key: str, by: int) -> None:
        state = self.engine.state
        old = state.get("_wait_count", key)
        count = (old["count"] if old else 0) + by
        state.replace("_wait_count", key, old, {"id": key, "count": count} if count else None)
        self._hint(key)

    def _hint(self, key: str) -> None:
        if key not in self._hints:
            self._hints.add(key)
            self._awaited.clear()
            self.engine.unheard.clear()
            if key.rpartition("|")[0] not in self.engine.dispatch.wait_types:
                self.strange.add(key)

    # --- waking --------------------------------------------------------------------------------

    @property
    def places(self) -> int:
        """At how many places something waits, or did in this run."""
        return len(self._hints)

    def any_on(self, type_: str) -> bool:
        """Whether something may wait for events of a type."""
        found = self._awaited.get(type_)
        if found is None:
            fitting = forms(type_)
            found = any(key.rpartition("|")[0] in fitting for key in self._hints)
            self._awaited[type_] = found
        return found

    def any_strange(self, type_: str) -> bool:
        """Whether work of another version of the spec waits for events of a type, for sure."""
        if not self.strange:
            return False
        fitting, state = forms(type_), self.engine.state
        return any(
            key.rpartition("|")[0] in fitting and state.get("_wait_count", key) is not None
            for key in self.strange
        )

    def matching(self, event: Event) -> list[Row]:
        """The waits whose type and key fit an event, in the order in which they began."""
        found: dict[str, Row] = {}
        state = self.engine.state
        fitting = forms(event.type)
        for key in sorted(self._hints):
            type_, _, field = key.rpartition("|")
            if type_ not in fitting:
                continue
            match = f"{field}={show(event.data.get(field))}" if field else ""
            for on in list(state.select("_wait_on", {"type": type_, "match": match})):
                row = state.get("_wait", on["wait"])
                if row is not None:
                    found[row["id"]] = row
        return sorted(found.values(), key=lambda row: row["order"])

    def wake(self, event: Event, before: int) -> bool:
        """Lets everything go on that waited for an event, and cancels what it forestalls.

        Only what was registered `before` the event's own handlers ran: an event is not what these
        wait for. Whether there was anything.
        """
        woken = False
        for row in self.matching(event):
            if row["order"] <= before and self._own(row, event) and self._holds(row, event):
                woken = True
                self._forget(row)
                if row["cancels"] is not None:
                    self.engine.timers.cancel(row["cancels"])
                    continue
                if row["timer"] is not None:
                    self.engine.timers.cancel(row["timer"])
                payload = {**event.data, "event": event.envelope()}
                self.go_on(row, payload, event.time, f"{row['id']}", event)
        return woken

    def _own(self, row: Row, event: Event) -> bool:
        """Whether an event is of the tenant whose handler waits, or of none: another's is not
        heard, unless the handler waits across tenants."""
        tenancy, waiting = self.engine.tenancy, row["event"].get(TENANT)
        if tenancy is None or waiting is None or row["event"].get(ACROSS):
            return True
        return tenancy.of_event(event) in (None, waiting)

    def _holds(self, row: Row, event: Event) -> bool:
        code = self.code(row["unit"])
        pattern = code.patterns[row["pattern"]]
        where = pattern.where
        if where is None:
            return True
        work = resumed(self.engine, event.time, row["id"], row, event, code)
        work.lifted = bool(work.beside.get(ACROSS))
        payload = {**event.data, "event": event.envelope()}
        live = [row["live"].get(name) for name in pattern.live]
        return bool(self.engine.guarded(work, lambda: where(work, payload, *live)))

    def reads(self, task: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """The rows that the segment of a task reads by its values, by table and key."""
        place = task["unit"], task["segment"]
        named = self._reads.get(place)
        if named is None:
            steps = self.code(place[0]).unit.handler.segments[place[1]].steps
            named = self._reads[place] = tuple(dict.fromkeys(_named_reads(steps)))
        live = task["live"]
        for table, name in named:
            key = live.get(name)
            if type(key) is str:
                yield table, key

    def timeout(self, wait: str, now: datetime) -> None:
        """Goes on with none: the time of a wait is up."""
        row = self.engine.state.get("_wait", wait)
        if row is not None:
            self._forget(row)
            self.go_on(row, None, now, row["id"], None)

    def forget(self, wait: str) -> None:
        """Drops a wait whose timer has run."""
        row = self.engine.state.get("_wait", wait)
        if row is not None:
            self._forget(row)

    def _forget(self, row: Row) -> None:
        state = self.engine.state
        state.replace("_wait", row["id"], row, None)
        for type_ in row["types"]:
            on = state.get("_wait_on", f"{row['id']}|{type_}")
            if on is not None:
                state.replace("_wait_on", on["id"], on, None)
                self._count(f"{type_}|{on['match'].partition('=')[0]}", -1)

    def go_on(
        self,
        task: Mapping[str, Any],
        result: Any,
        now: datetime,
        base: str,
        source: Event | None,
    ) -> None:
        """Runs the segment of a stored continuation."""
        code = self.code(task["unit"])
        live = dict(task["live"])
        if task["name"]:
            live[task["name"]] = result
        work = resumed(self.engine, now, base, task, source, code)
        self.engine.run_isolated(work, task["segment"], live)
        if work.replied is not None:
            self.engine.replies[begun_by(work)] = work.replied


def begun_by(work: Work) -> str:
    """The base of the event that a handler began with, whatever has made it go on."""
    event, source = work.event, work.source
    begins = source is not None and source.id == event["id"]
    if source is not None and begins and work.base.startswith(f"{source.base}/"):
        return source.base
    return str(work.beside.get(BASE, event["id"]))


def resumed(
    engine: Engine,
    now: datetime,
    base: str,
    task: Mapping[str, Any],
    source: Event | None,
    code: Code,
) -> Work:
    """The work of a handler that goes on. It sees the event that it began with as it was then, and
    its tenant's rows, whoever wakes it."""
    kept = task["event"]
    beside = {name: kept[name] for name in kept.keys() & _BESIDE}
    event = {name: kept[name] for name in kept if name not in beside} if beside else kept
    work = Work(engine, now, base, event, source, code, task.get("caller"))
    work.beside = beside
    work.tenant = beside.get(TENANT) or work.tenant
    return work


def envelope(work: Work) -> dict[str, Any]:
    """The event that a handler began with, and beside it whose tenant it goes on to see."""
    envelope = dict(work.event)
    if (base := begun_by(work)) != envelope["id"]:
        envelope[BASE] = base
    if work.tenant is not None:
        envelope[TENANT] = work.tenant
        if work.lifted:
            envelope[ACROSS] = True
    return envelope


def _named_reads(steps: tuple[ir.Step, ...]) -> Iterator[tuple[str, str]]:
    """The entities whose rows steps read or change, with the name of the value that is the key."""
    for node in walk(steps):
        match node:
            case ir.UpdateStep(entity=entity, target=ir.Local(name)):
                yield entity, name
            case ir.EntityGet(entity=entity, base=ir.Local(name)):
                yield entity, name


@lru_cache(maxsize=4096)
def forms(type_: str) -> tuple[str, ...]:
    """The patterns of types that an event type fits: of `A.b.c` itself, `A.*`, `A.b.*`, `*.c`,
    `*.b.c` and `*`."""
    parts = type_.split(".")
    heads = [".".join(parts[:count]) + ".*" for count in range(1, len(parts))]
    tails = ["*." + ".".join(parts[-count:]) for count in range(1, len(parts))]
    return (type_, *heads, *tails, "*")


def fits(pattern: str, type_: str) -> bool:
    """Whether an event type fits a pattern: `Stripe.*` also fits `Stripe.invoice.paid`."""
    return pattern in forms(type_)
