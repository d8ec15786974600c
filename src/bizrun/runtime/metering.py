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


class Metering:
    """The meters of one program."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._by_type: dict[str, list[Meter]] = {}
        for meter in engine.program.meters.values():
            for type_ in meter.events:
                self._by_type.setdefault(type_, []).append(meter)
        self._conditions: dict[str, Callable[..., Any]] = {}

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
        state = self.engine.state
        start = self.engine.usage_start(customer, at)
        key = f"{meter.name}|{customer}|{start:%Y%m%dT%H%M%S}|{by}"
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
        state.replace("_meter", key, old, buckets.counted(bucket, value, at, event))
        self.engine.triggers.metered(meter.name, customer)

    # --- answers -------------------------------------------------------------------------------

    def buckets(self, meter: str, customer: str, start: datetime) -> list[Bucket]:
        """What was counted of a customer in the usage period that begins at an instant."""
        key = f"{meter}|{customer}|{start:%Y%m%dT%H%M%S}|"
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
