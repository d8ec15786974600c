"""A unit of work: what one segment of a handler sees, changes and asks for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from ..billing.buckets import Figure, Level
from ..diagnostics import an
from ..errors import EvalError, Refusal
from ..ir.nodes import Place
from ..ir.program import Program
from ..model import Effect, Event
from ..store.base import Range, Row
from ..times import add, midnight
from ..values import UNLIMITED, Duration, Number, show, written
from . import asked
from .books import check_books, check_kept
from .bounds import check_effects
from .fit import fit
from .ids import prefix_of, stamp
from .tables import BY_AGE, in_order
from .tenancy import asked_of, row_references

if TYPE_CHECKING:
    from ..ir.compile import Code
    from ..lang.types import Type
    from .engine import Engine

FUEL = 20_000_000
_NOTHING: Mapping[str, Any] = {}


class Work:
    """See `ir.context.Context`. `base` is the id of this piece of work; what it makes is named
    after it, so that the same events always make the same ids."""

    __slots__ = (
        "_named", "base", "begun", "beside", "caller", "code", "currency", "effects", "engine",
        "event", "fuel", "handler", "lifted", "loops", "made", "now", "program", "replied",
        "source", "tenant", "tz",
    )  # fmt: skip

    def __init__(
        self,
        engine: Engine,
        now: datetime,
        base: str,
        event: Mapping[str, Any],
        source: Event | None,
        code: Code | None = None,
        caller: str | None = None,
    ) -> None:
        self.engine = engine
        self.now = now
        self.base = base
        self.event = event
        # What a handler that goes on was kept with, that is none of its event's: `waits.envelope`.
        self.beside: Mapping[str, Any] = _NOTHING
        self.source = source
        self.code = code
        self.caller = caller
        self.tz: ZoneInfo = engine.tz
        self.program: Program = engine.program
        self.currency = engine.program.currency
        self.handler = code.unit.handler.id if code else ""
        self.fuel = FUEL
        self.lifted = False
        self.tenant: str | None = None
        if engine.tenancy is not None:
            self.tenant = engine.tenancy.of_event(source)
        self.effects = 0
        self.replied: Any = None
        self.made: Any = None
        self.loops: list[tuple[Any, ...]] = []
        self.begun: list[Any] = []
        self._named: dict[tuple[str, object], int] | None = None

    def run(self, code: Code, segment: int, *values: Any) -> None:
        """Runs a segment of a handler, and what is left to do at its end."""
        code.segments[segment](self, *values)
        self.finish()

    def finish(self) -> None:
        """Does what is left to do of the actions before, before anything reads what comes of it."""
        if self.begun:
            self.engine.actions.finish(self)

    def _settle(self, entity: str) -> None:
        """Finishes what was begun where rows of this entity bear on it, or tell of it."""
        if self.begun and entity in self.engine.bearing:
            self.finish()

    def part(self, name: str) -> Work:
        """A piece of this work by itself: a round of a loop, or what follows one."""
        part = Work(
            self.engine, self.now, f"{self.base}/{name}", self.event, self.source, self.code,
            self.caller,
        )  # fmt: skip
        part.tenant, part.beside, part.fuel = self.tenant, self.beside, self.fuel
        return part

    @property
    def depth(self) -> int:
        """How many events at one instant led here."""
        return self.source.depth if self.source is not None else 0

    @property
    def place(self) -> int:
        """Where this work stands in the log: all events of a lower number came before it."""
        if self.source is not None and self.source.time == self.now:
            return self.source.seq
        return self.engine.seq + 1

    @property
    def by_second(self) -> bool:
        """Whether the business prorates to the second, not by whole days."""
        chosen = self.program.billing
        return chosen is not None and chosen.proration == "second"

    # --- reading -------------------------------------------------------------------------------

    def row(self, entity: str, key: Any) -> Row:
        """The row of a reference."""
        if key is None:
            raise Refusal(f"{an(entity)} is needed here, and there is none")
        row = self.engine.state.get(entity, key)
        if row is None or (self.tenant is not None and not self._sees(entity, key, row)):
            raise Refusal(f"there is no {entity} `{show(key)[:80]}`")
        return row

    def _sees(self, entity: str, key: str, row: Row) -> bool:
        """Whether the tenant of this work may see a row."""
        tenancy = self.engine.tenancy
        return tenancy is None or self.lifted or tenancy.sees(self.tenant, entity, key, row)

    def _seen(self, entity: str, row: Row) -> bool:
        """Likewise of any table: one of billing's own belongs to the tenant of its customer."""
        if entity in self.engine.program.entities:
            return self._sees(entity, self.key(entity, row), row)
        bills, customer = self.engine.program.bills, row["customer"]
        if bills is None:
            return True
        owner = self.engine.state.get(bills, customer)
        return owner is None or self._sees(bills, customer, owner)

    def across(self, lifted: bool) -> None:
        """From here on every tenant's rows are seen, or the event's own tenant's again."""
        self.lifted = lifted

    def find(self, entity: str, key: Any) -> str | None:
        """The key of the row with that key or unique value."""
        if key is None:
            return None
        self._settle(entity)
        key = key if isinstance(key, str) else str(show(key))
        row = self.engine.state.get(entity, key)
        if row is not None:
            return str(key) if self._sees(entity, key, row) else None
        declared = self.engine.program.entities[entity]
        for name in declared.uniques:
            for row in self.engine.state.select(entity, {name: key}, limit=1):
                found = str(row[declared.key])
                return found if self._sees(entity, found, row) else None
        return None

    def rows(
        self,
        entity: str,
        equals: Mapping[str, Any],
        ranges: Sequence[tuple[str, str, Any]],
        order: Sequence[tuple[str, bool]],
        limit: int | None,
    ) -> Sequence[Row]:
        """Rows that match, as they were created where no order is asked for."""
        self._settle(entity)
        filtered = self.tenant is not None and not self.lifted
        found = list(
            self.engine.state.select(
                entity,
                equals,
                [Range(*bound) for bound in ranges],
                in_order(order) if entity in self.program.entities else order,
                None if filtered else limit,
            )
        )
        self.spend(len(found) + 1)
        if filtered:
            found = [row for row in found if self._seen(entity, row)]
            return found[:limit] if limit is not None else found
        return found

    def count_rows(
        self, entity: str, equals: Mapping[str, Any], ranges: Sequence[tuple[str, str, Any]]
    ) -> int:
        """How many rows match, as the store counts them; of a tenant's only those it sees."""
        if self.tenant is not None and not self.lifted:
            return len(self.rows(entity, equals, ranges, (), None))
        self._settle(entity)
        found = self.engine.state.count(entity, equals, [Range(*bound) for bound in ranges])
        self.spend(found + 1)
        return found

    def key(self, entity: str, row: Mapping[str, Any]) -> str:
        """The key of a row."""
        return str(row[self.engine.program.entities[entity].key])

    def plan(self, name: Any) -> Mapping[str, Any]:
        """The fields of a plan."""
        found = self.engine.plan_fields(name)
        if found is None:
            raise Refusal(f"unknown plan `{show(name)[:60]}`")
        return found

    def call(self, name: str, args: Sequence[Any]) -> Any:
        """A built-in function that reads state."""
        if self.tenant is not None:
            self.check_own(asked_of(self.engine.program, name, args))
        self.finish()
        return self.engine.questions[name](self, *asked.read(name, args, self.tz))

    def spend(self, steps: int) -> None:
        """Uses up fuel."""
        self.fuel -= steps
        if self.fuel < 0:
            raise EvalError(f"the handler took more than {FUEL:,} steps")

    # --- changing ------------------------------------------------------------------------------

    def new_id(self, prefix: str, site: object) -> str:
        """An id that sorts by time and is the same whenever this work is done again."""
        digest = sha256(f"{self.base}\0{site}".encode()).hexdigest()
        return f"{prefix}_{stamp(self.now)}{digest[:10]}"

    def fresh(self, name: object, of: str = "") -> object:
        """A name that nothing else of this work and kind goes by: it, or it with a count."""
        if self._named is None:
            self._named = {}
        count = self._named[of, name] = self._named.get((of, name), 0) + 1
        return name if count == 1 else f"{name}/{count}"

    def create(self, entity: str, data: dict[str, Any], site: object, upsert: bool = False) -> str:
        """A new row, or with `upsert` a changed one where the key or a unique field is known."""
        check_books(entity)
        declared = self.engine.program.entities[entity]
        if upsert and (key := self.engine.rows.known(entity, data)) is not None:
            changes = {k: v for k, v in data.items() if k != declared.key}
            self.update(entity, key, changes)
            return key
        if declared.generated_key or (declared.builtin and declared.key not in data):
            data.setdefault(declared.key, self.new_id(prefix_of(entity), site))
        if self.engine.tenancy is not None and not self.lifted:
            self.engine.tenancy.claim(self.tenant, entity, data)
        row = self.engine.rows.new(entity, data, self)
        if self.tenant is not None:
            self.check_own(row_references(declared, row))
        key = row[declared.key]
        if key is None:
            raise Refusal(f"{entity}.{declared.key} is its key and can't be none")
        if self.engine.state.get(entity, key) is not None:
            raise Refusal(f"there is already {an(entity)} `{key}`")
        self.engine.rows.check_unique(entity, key, row)
        self.engine.state.replace(entity, key, None, row)
        self.engine.emitting.changed(self, entity, key, None, row)
        self.made = key
        return str(key)

    def insert(self, entity: str, data: dict[str, Any], site: object) -> Row:
        """A new row of billing, whose values fit and whose unique ones are so by the way they
        are made; what is left out has its default."""
        key = self.new_id(prefix_of(entity), self.fresh(site, entity))
        row = self.engine.rows.new_of_billing(entity, key, data, self)
        self.engine.state.replace(entity, key, None, row)
        self.engine.emitting.changed(self, entity, key, None, row)
        return row

    def keep(self, table: str, row: Row) -> None:
        """A new row of a system table."""
        self.engine.state.replace(table, row["id"], None, row)

    def update(self, entity: str, key: Any, changes: dict[str, Any]) -> None:
        """Changes fields of a row."""
        self._settle(entity)
        check_books(entity, changes)
        old = self.row(entity, key)
        row = self.engine.rows.changed(entity, old, changes)
        if self.tenant is not None:
            self.check_own(row_references(self.engine.program.entities[entity], changes))
        if entity == "Subscription" and row["status"] != old["status"]:
            self.engine.lifecycles.check(entity, old, row)
            self.engine.actions.follow(self, str(key), row["status"])
            row = {**self.row(entity, key), **{name: row[name] for name in changes}}
            old = self.row(entity, key)
        self.store_row(entity, str(key), old, row)

    def check_own(self, references: Iterable[tuple[str, Any]]) -> None:
        """Refuses what refers to another tenant's rows: none is made or moved there."""
        if self.engine.tenancy is not None and not self.lifted:
            self.engine.tenancy.check(self.tenant, references)

    def store_row(self, entity: str, key: str, old: Row, row: Row, free: bool = False) -> None:
        """Replaces a row by a changed one; `free` lifts the lifecycle, for its own arrows."""
        if row == old:
            return
        if not free:
            self.engine.lifecycles.check(entity, old, row)
        self._replace(entity, key, old, row)

    def _replace(self, entity: str, key: str, old: Row, row: Row) -> None:
        engine = self.engine
        engine.rows.check_unique(entity, key, row, old)
        row["updated_at"] = self.now
        if entity == engine.program.bills:
            self._keep_details(key, old, row)
        engine.state.replace(entity, key, old, row)
        engine.emitting.changed(self, entity, key, old, row)

    def _keep_details(self, key: str, old: Row, row: Row | None) -> None:
        """Keeps what a customer's invoices say of them, where that changes."""
        names = self.engine.printed
        if row is not None and [row[name] for name in names] == [old[name] for name in names]:
            return
        details = {name: old[name] for name in names}
        id_ = self.new_id("was", key)
        if self.engine.state.get("_billed_as", id_) is None:
            kept = {"id": id_, "customer": key, "until": self.now, "details": details}
            self.engine.state.replace("_billed_as", id_, None, kept)

    def delete(self, entity: str, key: Any) -> None:
        """Removes a row."""
        self._settle(entity)
        check_kept(entity)
        old = self.row(entity, key)
        if entity == self.engine.program.bills:
            self._keep_details(str(key), old, None)
        self.engine.state.replace(entity, str(key), old, None)
        self.engine.emitting.changed(self, entity, str(key), old, None)

    def member(self, entity: str, key: Any, field: str, item: Any, remove: bool) -> None:
        """Adds an item to a list field, or removes it."""
        held = list(self.row(entity, key)[field] or ())
        if remove:
            held = [other for other in held if other != item]
        elif item not in held:
            held.append(item)
        self.update(entity, key, {field: held})

    # --- what actions use ------------------------------------------------------------------------

    @property
    def late(self) -> bool:
        """Whether something of a later time was handled before this."""
        clock = self.engine.clock
        return clock is not None and self.now < clock

    def peek(self, table: str, key: str) -> Row | None:
        """A row of any table, or none."""
        return self.engine.state.get(table, key)

    def select(self, table: str, **equals: Any) -> list[Row]:
        """Rows that match, as they were created."""
        if table == "_meter":
            self.engine.metering.flush()
        order = BY_AGE if table in self.program.entities else ()
        found = list(self.engine.state.select(table, equals, (), order))
        if self.tenant is None or table not in self.program.entities:
            return found
        return [row for row in found if self._sees(table, self.key(table, row), row)]

    def subscriptions(self, customer: str) -> list[Row]:
        """The subscriptions of a customer, oldest first."""
        return self.engine.state.subscriptions(customer)

    def change(self, entity: str, key: str, **changes: Any) -> Row:
        """Changes fields of a row of billing, whatever its lifecycle."""
        old = self.row(entity, key)
        row = {**old, **changes}
        for name, value in changes.items():
            held = old[name]
            if held is not value and held != value:
                self._replace(entity, key, old, row)
                break
        return row

    def put(self, table: str, key: str, row: Row | None) -> None:
        """Replaces a row of a system table."""
        self.engine.state.put(table, key, row)

    def announce(self, event: str, subject: str, **data: Any) -> None:
        """An event of billing, handled after this commits."""
        self.engine.emitting.announce(self, event, subject, data)

    def set_timer(self, key: str, due: datetime, **task: Any) -> None:
        """Has `billing.due` called at an instant."""
        self.engine.timers.add(key, due, "billing", task)

    def drop_timer(self, key: str) -> None:
        """Takes a timer back."""
        self.engine.timers.cancel(key)

    def measured(
        self, meter: str, customer: str, start: datetime, end: datetime,
        dimensions: tuple[str, ...] = (), begun: datetime | None = None,
    ) -> list[Figure]:  # fmt: skip
        """What a meter counted from where a usage period is kept, by values of dimensions."""
        declared = self.program.meters[meter]
        return self.engine.metering.figures(declared, customer, start, end, dimensions, begun)

    def part_measured(self, meter: str, customer: str, start: datetime, own: datetime) -> None:
        """Has what a meter counted from where two usage periods begin stand from an instant of its
        own too, for the one of them that ends before the other."""
        self.engine.metering.part(self.program.meters[meter], customer, start, own)

    def measured_each(
        self, meter: str, customer: str, start: datetime, end: datetime, by: Mapping[str, str]
    ) -> list[Level]:
        """What each event of these values of dimensions counted from an instant until another,
        in the order of their time."""
        return self.engine.metering.each(meter, customer, start, end, by)

    def measured_within(self, meter: str, customer: str, start: datetime, end: datetime) -> Number:
        """What a meter counted from an instant to another, both in."""
        declared = self.program.meters[meter]
        return self.engine.metering.readings.within(declared.aggregate, meter, customer, start, end)

    def newest_point(self, metric: str) -> Any:
        """The newest value that was recorded of a metric; none where there is none."""
        order = (("at", True), ("id", True))
        points = self.engine.state.select("_point", {"metric": metric}, (), order, 1)
        return next((point["value"] for point in points), None)

    def take_back(self, customer: str, since: datetime) -> list[Event]:
        """Takes back what a customer has counted since an instant."""
        return self.engine.metering.take_back(customer, since)

    def count_again(self, taken: list[Event]) -> None:
        """Counts what was taken back, where the customer's usage periods lie now."""
        for event in taken:
            self.engine.metering.count_again(event, 1)

    def count(
        self, meter: str, customer: str, quantity: Any, at: datetime, site: object,
        by: Mapping[str, str],
    ) -> None:  # fmt: skip
        """Counts on a meter, and tells of it with `Usage.recorded`."""
        self.check_own(((self.program.bills or "", customer),))
        declared, event = self.program.meters[meter], f"{self.base}/{site}"
        self.engine.metering.add(declared, customer, quantity, at, event, by)
        self.engine.emitting.recorded(self, site, {
            "meter": meter, "customer": customer, "quantity": quantity, "at": at,
            "by": dict(by) or None,
        })  # fmt: skip

    def holds(self, condition: Any, /, **names: Any) -> bool:
        """Whether a condition of the spec holds for these values."""
        compute = self.engine.compiled(condition, tuple(names))
        return bool(compute(self, *names.values()))

    def evaluate(self, expression: Any) -> Any:
        """The value of an expression of the spec that reads no names."""
        return self.engine.compiled(expression, ())(self)

    def fitted(self, value: Any, type_: Type, what: str) -> Any:
        """A value as that type holds it, read where it came from outside without one."""
        return fit(self.engine, value, type_, what)

    # --- asking --------------------------------------------------------------------------------

    def emit(
        self, event: str, data: dict[str, Any], site: object, place: Place | None = None
    ) -> None:
        """A new event, handled after this commits."""
        self.finish()
        self.engine.emitting.emit(self, event, data, site)

    def act(
        self, action: str, target: Any, data: dict[str, Any], site: object, place: Place
    ) -> Any:
        """An action that is not waited for."""
        result = self.engine.perform(self, action, target, data, site, place, None)
        self.made = result
        return result

    def effect(
        self,
        kind: str,
        data: dict[str, Any],
        site: object,
        place: Place | str,
        customer: str | None = None,
        resume: dict[str, Any] | None = None,
    ) -> Effect:
        """A request to the outside world, through the outbox."""
        self.effects += 1
        check_effects(self.program.bounds, self.effects, self.depth)
        return self.engine.outbox.add(self, kind, data, site, str(place), customer, resume)

    def timer(
        self,
        when: Any,
        segment: int,
        live: dict[str, Any],
        unless: int | None,
        site: object,
        place: Place,
    ) -> None:
        """Runs a segment later, unless an event comes before."""
        self.engine.waits.timer(self, self.moment(when), segment, live, unless, site)

    def moment(self, when: Any) -> datetime:
        """An instant, or the one that is a duration from now; a text is one that data says."""
        if isinstance(when, str):
            when = written(when, "time", "date", "duration")
        if isinstance(when, Duration):
            return add(self.now, when, self.tz)
        if isinstance(when, datetime):
            return when
        if isinstance(when, date):
            return midnight(when, self.tz)
        raise EvalError(f"`{show(when)}` is no time to wait for")

    def await_action(
        self,
        action: str,
        target: Any,
        data: dict[str, Any],
        name: str,
        segment: int,
        live: dict[str, Any],
        site: object,
        place: Place,
    ) -> None:
        """Performs an action and goes on with its result."""
        resume = self.engine.waits.resume(self, segment, live, name)
        self.engine.perform(self, action, target, data, site, place, resume)

    def await_event(
        self,
        pattern: int,
        within: Any,
        name: str | None,
        segment: int,
        live: dict[str, Any],
        site: object,
        place: Place,
    ) -> None:
        """Goes on with the first event that matches."""
        due = self.moment(within) if within is not None and within != UNLIMITED else None
        self.engine.waits.event(self, pattern, due, name, segment, live, site)

    def loop(
        self,
        items: Sequence[Any],
        variable: str,
        body: int,
        after: int | None,
        live: dict[str, Any],
        site: object,
        place: Place,
    ) -> None:
        """Runs a segment for each item, after this one's work is kept."""
        self.loops.append((items, variable, body, after, live, site))

    def record(self, metric: str, value: Any) -> None:
        """A point of a metric."""
        self.engine.recording.point(metric, self.now, value, f"{self.base}")

    def log(self, message: str) -> None:
        """A line in the run's log."""
        self.engine.recording.note(self, message)

    def reply(self, value: Any) -> None:
        """The reply to the sender."""
        self.replied = value
