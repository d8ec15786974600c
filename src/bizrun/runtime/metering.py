"""Counts events on meters, in the period of the event's own time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ..billing import buckets
from ..billing.buckets import Bucket
from ..errors import EvalError, Refusal
from ..ir.program import Meter
from ..model import Event
from ..times import local_date, midnight, start_of
from ..values import SIZE_UNITS, Number, divide, show
from .work import Work

if TYPE_CHECKING:
    from .engine import Engine


MAX_SLOTS = 100_000
BOUND = 10**33


class Slot:
    """A running figure of one customer in one usage period, ahead of its row."""

    __slots__ = ("bound", "count", "dirty", "end", "row", "start", "subscriptions", "total")

    def __init__(self, row: Bucket, end: datetime, bound: Any, subscriptions: list[Any]) -> None:
        self.row = row
        self.start: datetime = row["start"]
        self.end = end
        self.total: Any = row["total"]
        self.count: int = row["count"]
        self.bound = bound
        self.subscriptions = subscriptions
        self.dirty = False


Counter = Callable[[dict[str, Any], datetime], tuple[Slot, Any] | None]


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
        self._counters: dict[str, Counter] = {}
        self._moved: list[Slot] = []
        self._quick: dict[str, tuple[Meter, ...] | None] = {}

    # --- the quick way ---------------------------------------------------------------------------

    def quick(self, type_: str) -> tuple[Meter, ...] | None:
        """The meters of a type if each only adds up by customer: they can be kept in slots."""
        if type_ not in self._quick:
            meters = tuple(self._by_type.get(type_, ()))
            watches, program = self.engine.actions.watches, self.engine.program
            simple = all(
                not watches(program, meter.name) and meter.aggregate in ("sum", "count")
                and not meter.by and meter.where is None
                and meter.per is not None and meter.unit is None
                for meter in meters
            )  # fmt: skip
            self._quick[type_] = meters if simple else None
        return self._quick[type_]

    def count_quickly(self, data: dict[str, Any], at: datetime, meters: tuple[Meter, ...]) -> bool:
        """Counts on running figures in memory; False where an event needs the long way.

        The figures become rows again when they are read, and with each commit.
        """
        counters = [self.counter(meter) for meter in meters]
        found = [counter(data, at) for counter in counters]
        if None in found:
            return False
        for slot, total in found:  # type: ignore[misc]
            self.count_on(slot, total)
        return True

    def count_on(self, slot: Slot, total: Any) -> None:
        """Counts one event on a running figure."""
        slot.count += 1
        slot.total = total
        if not slot.dirty:
            slot.dirty = True
            self._moved.append(slot)

    def counter(self, meter: Meter) -> Counter:
        """What finds the running figure of an event's customer, and the total with the event;
        None where the event needs the long way."""
        found = self._counters.get(meter.name)
        if found is not None:
            return found
        slots = self._slots.setdefault(meter.name, {})
        remembered = self.engine.state.remembered
        per, field, sums = meter.per or "", meter.field, meter.aggregate == "sum"

        def counter(data: dict[str, Any], at: datetime) -> tuple[Slot, Any] | None:
            customer = data[per]
            slot = slots.get(customer)
            if slot is None or remembered.get(customer) is not slot.subscriptions:
                slot = self._open(meter, customer, at)
                if slot is None:
                    return None
            if not slot.start <= at < slot.end:
                return None
            if not sums:
                return (slot, 0) if slot.count + 1 < slot.bound else None
            value = 1 if field is None else data[field]
            if type(value) is not int:
                return None
            total = slot.total + value
            return (slot, total) if total < slot.bound and -BOUND < total < BOUND else None

        self._counters[meter.name] = counter
        return counter

    def _open(self, meter: Meter, customer: Any, at: datetime) -> Slot | None:
        if not isinstance(customer, str):
            return None
        self.drop(meter.name, customer)
        engine = self.engine
        subscriptions = engine.state.subscriptions(customer)
        start, end = engine.usage_period(customer, at, meter.name)
        row = engine.state.get("_meter", self._key(meter.name, customer, start, ""))
        bound = engine.triggers.bound(meter.name, customer, start)
        if row is None or bound is None or end is None:
            return None
        slot = Slot(row, end, bound, subscriptions)
        slots = self._slots.setdefault(meter.name, {})
        if len(slots) >= MAX_SLOTS:
            self.flush()
            slots.clear()
        slots[customer] = slot
        return slot

    def drop(self, meter: str, customer: str) -> None:
        """Turns a running figure into its row."""
        slots = self._slots.get(meter)
        slot = slots.pop(customer, None) if slots else None
        if slot is not None and slot.dirty:
            self._store(slot)

    def flush(self) -> None:
        """Turns all running figures into rows; they go on running."""
        rows = {}
        for slot in self._moved:
            if slot.dirty:
                row = {**slot.row, "total": slot.total, "count": slot.count}
                rows[row["id"]] = slot.row = row
                slot.dirty = False
        self._moved.clear()
        if rows:
            rows = dict(sorted(rows.items()))
            self.engine.state.adjust("_meter", ("total", "count"), rows)

    def _store(self, slot: Slot) -> None:
        row = {**slot.row, "total": slot.total, "count": slot.count}
        # What these events counted stays, also where the handler that asks for it is refused.
        self.engine.state.keep("_meter", row["id"], row)
        slot.row, slot.dirty = row, False

    @staticmethod
    def _key(meter: str, customer: str, start: datetime, by: str) -> str:
        return f"{meter}|{customer}|{start:%Y%m%dT%H%M%S}|{by}"

    # --- the long way ----------------------------------------------------------------------------

    def on(self, type_: str) -> bool:
        """Whether a meter counts events of a type."""
        return type_ in self._by_type

    def count(self, event: Event) -> None:
        """Counts an event on every meter that looks at its type."""
        for meter in self._by_type[event.type]:
            if self._counts(meter, event):
                value = self._value(meter, event)
                customer = event.data.get(meter.per) if meter.per else event.subject
                if value is not None and isinstance(customer, str):
                    by = "|".join(show(event.data.get(name)) for name in meter.by)
                    self.add(meter, customer, value, event.time, event.id, by)

    def _counts(self, meter: Meter, event: Event) -> bool:
        if meter.where is None:
            return True
        condition = self._conditions.get(meter.name)
        if condition is None:
            condition = self.engine.compiled(meter.where, ("_event",))
            self._conditions[meter.name] = condition
        work = Work(self.engine, event.time, f"{event.id}/meter", event.envelope(), event)
        return bool(condition(work, event.data))

    def _value(self, meter: Meter, event: Event) -> Any:
        if meter.field is None:
            return 1
        value = event.data.get(meter.field)
        if value is None or meter.aggregate == "unique":
            return value
        if meter.unit in SIZE_UNITS:
            return divide(value, SIZE_UNITS[meter.unit])
        return value.amount if hasattr(value, "amount") else value

    def add(
        self,
        meter: Meter,
        customer: str,
        value: Any,
        at: datetime,
        event: str,
        by: str = "",
    ) -> None:
        """Counts a value for a customer."""
        self.drop(meter.name, customer)
        state = self.engine.state
        start = self.engine.usage_start(customer, at, meter.name)
        key = self._key(meter.name, customer, start, by)
        old = state.get("_meter", key)
        bucket = old or buckets.empty(key, meter.name, customer, by, start)
        if meter.aggregate == "unique":
            seen = f"{key}|{show(value)}"
            if state.get("_meter_value", seen) is not None:
                return
            state.replace("_meter_value", seen, None, {"id": seen})
            value = 1
        if isinstance(value, bool) or not hasattr(value, "__add__") or isinstance(value, str):
            raise Refusal(f"meter {meter.name} can't count {show(value)[:40]!r}")
        counted = buckets.counted(bucket, meter.aggregate, value, at, event)
        state.replace("_meter", key, old, counted)
        self.engine.triggers.metered(meter.name, customer)
        self._tell(meter, customer, at, event)

    def _tell(self, meter: Meter, customer: str, at: datetime, event: str) -> None:
        """Tells billing of a late count, and of each one that it watches."""
        engine = self.engine
        now = max(at, engine.clock or at)
        if now > at or engine.actions.watches(engine.program, meter.name):
            base = f"{event}/{meter.name}"
            envelope = {"id": event, "type": "billing", "time": now, "subject": customer}
            work = Work(engine, now, base, envelope, None)
            engine.actions.counted(work, meter.name, customer, at)

    # --- answers -------------------------------------------------------------------------------

    def buckets(self, meter: str, customer: str, start: datetime) -> list[Bucket]:
        """What was counted of a customer in the usage period that begins at an instant."""
        self.drop(meter, customer)
        key = self._key(meter, customer, start, "")
        if not self.engine.program.meters[meter].by:
            row = self.engine.state.get("_meter", key)
            return [row] if row is not None else []
        equals = {"customer": customer, "meter": meter, "start": start}
        return list(self.engine.state.select("_meter", equals))

    def usage(self, meter: str, customer: str, start: datetime, at: datetime) -> Number:
        """The meter's figure of a usage period, all dimensions together."""
        declared = self.engine.program.meters.get(meter)
        if declared is None:
            raise EvalError(f"there is no meter `{meter}`")
        figures = [
            buckets.result(bucket, declared.aggregate, at)
            for bucket in self.buckets(meter, customer, start)
        ]
        match declared.aggregate:
            case "max":
                return max(figures, default=0)
            case "min":
                return min(figures, default=0)
        return sum(figures, 0)

    def month_start(self, at: datetime) -> datetime:
        """The calendar month of an instant: the period of who has no subscription."""
        tz = self.engine.tz
        return midnight(start_of("month", local_date(at, tz)), tz)
