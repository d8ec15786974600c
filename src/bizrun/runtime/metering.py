"""Counts events on meters, in the period of the event's own time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from math import ceil
from operator import itemgetter
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ..billing import buckets, catalog
from ..billing.buckets import Bucket, Figure, Level
from ..errors import EvalError, Refusal
from ..ir.program import Meter
from ..model import Event
from ..store.base import Range
from ..values import SIZE_UNITS, Money, Number, divide, show
from .corrections import Corrections
from .counting import BOUND, UNSEEN, counted_at, counting, function, is_recorded, of_dict
from .readings import Readings, told_series
from .triggers import Span, figure_of
from .work import Work

if TYPE_CHECKING:
    from .engine import Engine


MAX_SLOTS = 100_000
# What is left of a period that no figure runs for: one may have ended where it began.
_SHORT = timedelta(milliseconds=1)


class Slot:
    """A running figure of one customer in one usage period, ahead of its row.

    It holds for events from `since`, when it began to run, to the `end` of the period, as long
    as the figure is at least `low` and below `high`, where no trigger can turn. `dirty`: it has
    moved since the state was told; `ahead`: since `row`.
    """

    __slots__ = ("ahead", "count", "dirty", "end", "high", "key", "low", "new", "row", "since",
                 "total")  # fmt: skip

    def __init__(self, row: Bucket, since: datetime, end: datetime, span: Span, new: bool) -> None:
        self.row = row
        self.key: str = row["id"]
        self.since = since
        self.end = end
        self.total: Any = row["total"]
        self.count: int = row["count"]
        self.new = new
        self.dirty = self.ahead = False
        self.keep_within(span)

    def keep_within(self, span: Span) -> None:
        """Has the figure run unseen among those of a span."""
        self.low, self.high = max(span.low, -UNSEEN), min(span.high, UNSEEN)
        if isinstance(self.total, int):  # then whole numbers do, and compare faster
            self.low, self.high = ceil(self.low), ceil(self.high)


Count = Callable[[dict[str, Any], datetime, datetime], "bool | None"]


class Metering:
    """The meters of one program."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._by_type: dict[str, list[Meter]] = {}
        for meter in engine.program.meters.values():
            for type_ in meter.events:
                self._by_type.setdefault(type_, []).append(meter)
        self._conditions: dict[str, Callable[..., Any]] = {}
        self._slots: dict[str, dict[str, Slot]] = {}
        self.moved: list[Slot] = []
        self._quickly: dict[str, Count] = {}
        self._quick: dict[str, tuple[Meter, ...] | None] = {}
        self._grouped: dict[str, tuple[tuple[str, ...], ...]] = {}
        self._watched: dict[str, bool] = {}
        self._apart: dict[str, tuple[frozenset[str], ...]] = {}
        self.readings = Readings(engine.state)
        self.corrections = Corrections(self)

    # --- the quick way ---------------------------------------------------------------------------

    def quick(self, type_: str) -> tuple[Meter, ...] | None:
        """The meters of a type if each only adds up by customer: they can be kept in slots."""
        if type_ not in self._quick:
            meters = tuple(self._by_type.get(type_, ()))
            program = self.engine.program
            simple = all(
                not self._watches(meter.name) and meter.aggregate in ("sum", "count")
                and not meter.in_parts and meter.where is None
                and meter.per is not None and meter.unit is None
                and meter.name not in program.ranged
                for meter in meters
            )  # fmt: skip
            self._quick[type_] = meters if simple else None
        return self._quick[type_]

    def count_quickly(
        self, type_: str, data: dict[str, Any], at: datetime, meters: tuple[Meter, ...]
    ) -> bool:
        """Counts on running figures in memory; False where an event needs the long way.

        The figures become rows again when they are read, and with each commit.
        """
        clock = self.engine.clock
        assert clock is not None
        count = self._quickly.get(type_)
        if count is None:
            space: dict[str, Any] = {}
            lines = [*counting(self, meters, of_dict, space), " return True"]
            count = self._quickly[type_] = function("count", lines, space)
        self.revalidate()
        return count(data, at, clock) is True

    def slots(self, meter: Meter) -> dict[str, Slot]:
        """The running figures of a meter, by customer."""
        return self._slots.setdefault(meter.name, {})

    def revalidate(self) -> None:
        """Ends the figures of customers whose subscriptions have changed."""
        forgotten = self.engine.state.forgotten
        if forgotten:
            for customer in forgotten:
                self.forget(customer)
            forgotten.clear()

    def forget(self, customer: str) -> None:
        """Ends the figures of a customer: they become rows."""
        for meter in self._slots:
            self.drop(meter, customer)

    def open(self, meter: Meter, customer: str, at: datetime, clock: datetime) -> Slot | None:
        """Begins a running figure; None where one can't run unseen now."""
        engine = self.engine
        self.drop(meter.name, customer)
        if at < clock:
            return None
        *others, (start, end) = engine.usage_periods(customer, at, meter.name)
        if others or end is None or end - at < _SHORT:
            return None
        key = self._key(meter.name, customer, start, "")
        row = engine.state.get("_meter", key)
        found = row or buckets.empty(key, meter.name, customer, {}, start)
        if abs(found["total"]) > UNSEEN:
            return None
        span = engine.triggers.span(meter, customer, at, start, figure_of(meter, found))
        if span is None:
            return None
        slots = self.slots(meter)
        if len(slots) >= MAX_SLOTS:
            self.flush()
            slots.clear()
        slot = slots[customer] = Slot(found, at, end, span, row is None)
        return slot

    def drop(self, meter: str, customer: str) -> None:
        """Turns a running figure into its row."""
        slots = self._slots.get(meter)
        slot = slots.pop(customer, None) if slots else None
        if slot is not None and (slot.dirty or slot.ahead):
            self._store(slot)

    def flush(self) -> None:
        """Turns all running figures into rows; they go on running."""
        self.revalidate()
        rows = []
        for slot in self.moved:
            if slot.new and slot.dirty:
                self._store(slot)
            elif slot.dirty:
                rows.append((slot.total, slot.count, slot.key))
                slot.dirty, slot.ahead = False, True
        self.moved.clear()
        if rows:
            # In the order of their keys SQLite finds them side by side.
            rows.sort(key=itemgetter(2))
            self.engine.state.adjust("_meter", ("total", "count"), rows)

    def _store(self, slot: Slot) -> None:
        row = {**slot.row, "total": slot.total, "count": slot.count}
        # What these events counted stays, also where the handler that asks for it is refused.
        self.engine.state.keep("_meter", row["id"], row)
        slot.row, slot.dirty, slot.ahead, slot.new = row, False, False, False

    @staticmethod
    def _key(meter: str, customer: str, start: datetime, by: str) -> str:
        return f"{meter}|{customer}|{_compact(start)}|{by}"

    # --- the long way ----------------------------------------------------------------------------

    def on(self, type_: str) -> bool:
        """Whether a meter counts events of a type."""
        return type_ in self._by_type

    def count(self, event: Event) -> None:
        """Counts an event on every meter that looks at its type; a correction, what it says."""
        if not self.corrections.take(event):
            self.count_all(event)

    def count_all(self, event: Event, sign: int = 1, place: int | None = None) -> None:
        """Counts an event on every meter that looks at its type; `sign` -1 takes it back. One of
        the log goes where it stood in it, by its `place`."""
        for meter in self._by_type.get(event.type, ()):
            if self._counts(meter, event):
                value = self._value(meter, event)
                customer = event.data.get(meter.per) if meter.per else event.subject
                if value is not None and isinstance(customer, str):
                    by = {name: show(event.data.get(name)) for name in meter.by}
                    self.add(meter, customer, value, counted_at(event), event.base, by, sign, place)

    def count_again(self, event: Event, sign: int) -> None:
        """Counts an event of the log once more, or takes it back, also what it tells of."""
        self.count_all(event, sign)
        if (meter := self._recorded_on(event)) is not None:
            data = event.data
            self.add(meter, data["customer"], data["quantity"], data["at"], event.base,
                     data["by"] or {}, sign)  # fmt: skip

    def _recorded_on(self, event: Event) -> Meter | None:
        """The meter on which `record_usage` has counted what an event tells of."""
        if not is_recorded(event):
            return None
        return self.engine.program.meters.get(event.data["meter"])

    def holds(self, event: Event) -> bool:
        """Whether the usage periods that an event falls in now have counted it."""
        for meter in self._by_type[event.type]:
            if meter.aggregate in buckets.BY_TIME or not self._counts(meter, event):
                continue
            value = self._value(meter, event)
            customer = event.data.get(meter.per) if meter.per else event.subject
            if value is None or not isinstance(customer, str):
                continue
            self.drop(meter.name, customer)
            by = {name: show(event.data.get(name)) for name in meter.by}
            place = event.seq or None
            for start, _ in self.engine.usage_periods(customer, event.time, meter.name, place):
                for dimensions in self._groupings(meter):
                    named = _named(_picked(meter, by, dimensions))
                    key = self._key(meter.name, customer, start, named)
                    if not self.readings.has(key, meter.aggregate, value):
                        return False
        return True

    def counted(self, meter: Meter, event: Event) -> tuple[str, Mapping[str, str]] | None:
        """For whom a meter counts an event, and by which dimensions; None where it does not."""
        if self._recorded_on(event) == meter:
            return event.data["customer"], event.data["by"] or {}
        if event.type not in meter.events:
            return None
        customer = event.data.get(meter.per) if meter.per else event.subject
        if not isinstance(customer, str) or not self._counts(meter, event):
            return None
        return customer, {name: show(event.data.get(name)) for name in meter.by}

    def concerns(self, event: Event, customer: str) -> bool:
        """Whether an event counts for a customer on any meter."""
        return (is_recorded(event) and event.data["customer"] == customer) or any(
            (event.data.get(meter.per) if meter.per else event.subject) == customer
            for meter in self._by_type.get(event.type, ())
        )

    def take_back(self, customer: str, since: datetime) -> list[Event]:
        """Takes back what a customer has counted since an instant, to be counted again where its
        periods lie then."""
        self.forget(customer)
        if not any(True for _ in self.engine.state.select("_meter", {"customer": customer})):
            return []
        found = list(self.corrections.since(customer, since))
        for event in found:
            self.count_again(event, -1)
        return found

    def _counts(self, meter: Meter, event: Event) -> bool:
        if self._recorded_on(event) == meter:
            return False  # the action has counted it
        if meter.where is None:
            # What is recorded on another meter is that one's, unless a condition asks for it.
            return not is_recorded(event)
        condition = self._conditions.get(meter.name)
        if condition is None:
            condition = self.engine.compiled(meter.where, ("_event",))
            self._conditions[meter.name] = condition
        work = Work(self.engine, event.time, f"{event.base}/meter", event.envelope(), event)
        return bool(condition(work, event.data))

    def _value(self, meter: Meter, event: Event) -> Any:
        if meter.field is None:
            return 1
        value = event.data.get(meter.field)
        if value is None or meter.aggregate == "unique":
            return value
        if meter.unit in SIZE_UNITS:
            return divide(value, SIZE_UNITS[meter.unit])
        return value

    def add(
        self,
        meter: Meter,
        customer: str,
        value: Any,
        at: datetime,
        event: str,
        by: Mapping[str, str],
        sign: int = 1,
        place: int | None = None,
    ) -> None:
        """Counts a value for a customer, or takes back one that was counted."""
        self.drop(meter.name, customer)
        if isinstance(value, Money):
            value = self._amount(meter, customer, value)
        number = not isinstance(value, bool | str) and hasattr(value, "__add__")
        if not number and meter.aggregate != "unique":
            raise Refusal(f"meter {meter.name} can't count {show(value)[:40]!r}")
        if meter.aggregate == "count" and value % 1:
            raise Refusal(f"meter {meter.name} counts events, and {show(value)} is no whole number")
        if number and abs(value) > BOUND:
            raise Refusal(
                f"meter {meter.name} counts up to {BOUND} at once, and {show(value)} is beyond it"
            )
        if meter.name in self.engine.program.ranged:
            self._keep_apart(meter, customer, Level(at, event, value), by, sign)
        for period in self.engine.usage_periods(customer, at, meter.name, place):
            for dimensions in self._groupings(meter):
                picked = _picked(meter, by, dimensions)
                counted = self._add(meter, customer, value, at, event, picked, period, sign)
        self.engine.triggers.metered(meter, customer, counted)
        self._tell(meter, customer, at, event, sign < 0, place)

    def _keep_apart(
        self, meter: Meter, customer: str, level: Level, by: Mapping[str, str], sign: int
    ) -> None:
        """Keeps a count by itself, with all others and with those of each price's dimensions."""
        told = self._apart.get(meter.name)
        if told is None:
            told = tuple(sorted({frozenset(), *self._priced(meter)}, key=sorted))
            self._apart[meter.name] = told
        for names in told:
            series = told_series(meter.name, customer, _named(_picked(meter, by, names)))
            self.readings.tell(series, level, sign)

    def _amount(self, meter: Meter, customer: str, value: Money) -> Number:
        """An amount as a number: two currencies never mix, so it is in one that is billed."""
        live = [sub for sub in self.engine.state.subscriptions(customer) if sub["ended_at"] is None]
        if live and all(sub["currency"] != value.currency for sub in live):
            raise Refusal(
                f"meter {meter.name} counts {live[0]['currency']} for {customer}, "
                f"and {value} is {value.currency}"
            )
        return value.amount

    def _add(
        self, meter: Meter, customer: str, value: Any, at: datetime, event: str,
        by: Mapping[str, str], period: tuple[datetime, datetime | None], sign: int,
    ) -> Bucket:  # fmt: skip
        state, aggregate = self.engine.state, meter.aggregate
        start, _ = period
        named = _named(by)
        key = self._key(meter.name, customer, start, named)
        old = state.get("_meter", key)
        bucket = old or buckets.empty(key, meter.name, customer, dict(by), start)
        series = f"{meter.name}|{customer}|{named}"
        if aggregate in buckets.BY_VALUE:
            change = self.readings.with_value if sign > 0 else self.readings.without_value
            counted = change(bucket, aggregate, value)
        elif aggregate in buckets.BY_TIME and sign > 0:
            counted = self.readings.with_level(bucket, series, buckets.Level(at, event, value))
            self._remember(meter, customer, series, by)
        elif aggregate in buckets.BY_TIME:
            counted = self.readings.without_level(bucket, series, event)
        else:
            change_ = buckets.counted if sign > 0 else buckets.uncounted
            counted = change_(bucket, aggregate, value)
        state.replace("_meter", key, old, counted)
        return counted

    def _remember(self, meter: Meter, customer: str, series: str, by: Mapping[str, str]) -> None:
        """Notes a series whose level goes on into periods in which nothing is counted."""
        if meter.aggregate == "average" and self.engine.state.get("_series", series) is None:
            row = {"id": series, "meter": meter.name, "customer": customer, "by": dict(by)}
            self.engine.state.replace("_series", series, None, row)

    def _groupings(self, meter: Meter) -> tuple[tuple[str, ...], ...]:
        """The sets of dimensions that figures are kept for: where a total is not the sum of its
        parts, also that of each price, and of none."""
        found = self._grouped.get(meter.name)
        if found is None:
            wanted = {frozenset(meter.by)}
            if meter.aggregate not in buckets.ADDITIVE:
                wanted |= {frozenset(), *self._priced(meter)}
            found = tuple(
                tuple(name for name in meter.by if name in names)
                for names in sorted(wanted, key=sorted)
            )
            self._grouped[meter.name] = found
        return found

    def _priced(self, meter: Meter) -> set[frozenset[str]]:
        """The sets of a meter's dimensions that prices tell apart."""
        program = self.engine.program
        return {
            frozenset(price.pricing.dimensions)
            for plan in program.offers()
            for price in catalog.every_usage(plan)
            if price.meter == meter.name
        }

    def _watches(self, meter: str) -> bool:
        """Whether billing has to hear of every count of a meter."""
        found = self._watched.get(meter)
        if found is None:
            found = self._watched[meter] = self.engine.actions.watches(self.engine.program, meter)
        return found

    def _tell(
        self, meter: Meter, customer: str, at: datetime, event: str, replaced: bool,
        place: int | None,
    ) -> None:  # fmt: skip
        """Tells billing of a late count, and of each one that it watches."""
        engine = self.engine
        now = max(at, engine.clock or at)
        if now > at or place is not None or self._watches(meter.name):
            base = f"{event}/{meter.name}"
            envelope = {"id": event, "type": "billing", "time": now, "subject": customer}
            work = Work(engine, now, base, envelope, None)
            engine.actions.counted(work, meter.name, customer, at, replaced, place)
            if meter.aggregate == "average" and now > at:
                # The level holds on in the periods after that of the event.
                for row in engine.state.select(
                    "_usage", {"customer": customer, "meter": meter.name}, [Range("start", ">", at)]
                ):
                    engine.actions.counted(work, meter.name, customer, row["start"], replaced)

    # --- answers -------------------------------------------------------------------------------

    def figures(
        self, meter: Meter, customer: str, start: datetime, end: datetime,
        dimensions: tuple[str, ...] = (), begun: datetime | None = None,
    ) -> list[Figure]:  # fmt: skip
        """What was counted of a customer in the usage period that is kept from an instant on, and
        has `begun` there or a little before, up to another: one figure for each set of values of
        the dimensions that was counted."""
        aggregate, names = meter.aggregate, frozenset(dimensions)
        if not meter.in_parts and aggregate != "average":
            return [
                Figure(buckets.result(bucket, aggregate, end), _events(bucket, aggregate), {})
                for bucket in self._buckets(meter, customer, start)
            ]
        additive = aggregate in buckets.ADDITIVE
        found = {}
        for bucket in self._buckets(meter, customer, start):
            # What adds up is in one of them, by the dimensions that there were when it was counted.
            if additive or bucket["by"].keys() == names:
                held = self._held(meter, customer, bucket)
                figure = buckets.result(bucket, aggregate, end, held, begun)
                events = _events(bucket, aggregate)
                found[_named(bucket["by"])] = Figure(figure, events, bucket["by"])
        if aggregate == "average":
            for row in self.engine.state.select("_series", {"customer": customer,
                                                            "meter": meter.name}):  # fmt: skip
                if row["by"].keys() == names and _named(row["by"]) not in found:
                    held = self.readings.held(row["id"], start)
                    found[_named(row["by"])] = Figure(held, 0, row["by"])
        return list(found.values())

    def part(self, meter: Meter, customer: str, start: datetime, own: datetime) -> None:
        """Copies what was counted from the beginning of a usage period to one of its own."""
        for bucket in self._buckets(meter, customer, start):
            key = self._key(meter.name, customer, own, _named(bucket["by"]))
            self.engine.state.put("_meter", key, {**bucket, "id": key, "start": own})
            self.readings.copy_values(bucket["id"], key)

    def each(
        self, meter: str, customer: str, start: datetime, end: datetime, by: Mapping[str, str]
    ) -> list[Level]:
        """What each event of these values of dimensions counted from an instant until another."""
        declared = self.engine.program.meters[meter]
        named = _named(_picked(declared, by, by.keys()))
        return self.readings.each(told_series(meter, customer, named), start, end)

    def _held(self, meter: Meter, customer: str, bucket: Bucket) -> Number:
        if meter.aggregate != "average":
            return 0
        series = f"{meter.name}|{customer}|{_named(bucket['by'])}"
        return self.readings.held(series, bucket["start"])

    def _buckets(self, meter: Meter, customer: str, start: datetime) -> list[Bucket]:
        self.drop(meter.name, customer)
        if not meter.in_parts:
            row = self.engine.state.get("_meter", self._key(meter.name, customer, start, ""))
            return [row] if row is not None else []
        equals = {"customer": customer, "meter": meter.name, "start": start}
        return list(self.engine.state.select("_meter", equals))

    def usage(self, meter: str, customer: str, start: datetime, at: datetime) -> Number:
        """The meter's figure of a usage period, all dimensions together."""
        declared = self.engine.program.meters.get(meter)
        if declared is None:
            raise EvalError(f"there is no meter `{meter}`")
        found = self.figures(declared, customer, start, at)
        return sum((figure.quantity for figure in found), 0)


def _events(bucket: Bucket, aggregate: str) -> int:
    """How many events a bucket has counted; a value that was counted before is no further one."""
    events: int = bucket["total"] if aggregate == "unique" else bucket["count"]
    return events


def _picked(meter: Meter, by: Mapping[str, str], names: Collection[str]) -> dict[str, str]:
    """The values of some of a meter's dimensions, in the meter's order."""
    return {name: by.get(name, "") for name in meter.by if name in names}


def _named(by: Mapping[str, str]) -> str:
    """Values of dimensions as a part of a key."""
    return "|".join(f"{name}={quote(value)}" for name, value in by.items())


@lru_cache(1000)
def _compact(start: datetime) -> str:
    exact = f".{start:%f}" if start.microsecond else ""
    return f"{start:%Y%m%dT%H%M%S}{exact}"
