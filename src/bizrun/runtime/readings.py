"""What a meter's buckets are made of where a figure alone is not enough.

`max`, `min` and `unique` need to know which values there are, `last` and `average` which came when:
an event may come late, or be corrected. Each event costs a row or two here, whatever came before.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from ..billing import buckets, metering
from ..billing.buckets import Bucket, Level
from ..store.base import Range
from ..values import Number, show
from .state import State


class Readings:
    """The values of buckets and the levels of series, in the tables `_meter_value`, `_reading`."""

    def __init__(self, state: State) -> None:
        self.state = state

    # --- values: max, min, unique ----------------------------------------------------------------

    def with_value(self, bucket: Bucket, aggregate: str, value: Any) -> Bucket:
        """The bucket after one more value."""
        key = f"{bucket['id']}|{show(value)}"
        old = self.state.get("_meter_value", key)
        self.state.replace("_meter_value", key, old, {
            "id": key, "bucket": bucket["id"], "value": None if aggregate == "unique" else value,
            "count": old["count"] + 1 if old else 1,
        })  # fmt: skip
        if aggregate == "unique":
            value = 0 if old else 1
        return buckets.counted(bucket, aggregate, value)

    def has(self, bucket: str, aggregate: str, value: Any) -> bool:
        """Whether a bucket has counted a value, or anything where values are not kept apart."""
        if aggregate in buckets.BY_VALUE:
            return self.state.get("_meter_value", f"{bucket}|{show(value)}") is not None
        row = self.state.get("_meter", bucket)
        return row is not None and row["count"] > 0

    def without_value(self, bucket: Bucket, aggregate: str, value: Any) -> Bucket:
        """The bucket after one of its values was taken back."""
        key = f"{bucket['id']}|{show(value)}"
        old = self.state.get("_meter_value", key)
        if old is None:
            return bucket  # counted when its periods lay elsewhere: there it is billed
        last = old["count"] == 1
        self.state.replace(
            "_meter_value", key, old, None if last else {**old, "count": old["count"] - 1}
        )
        row = buckets.uncounted(bucket, aggregate, int(last))
        if aggregate != "unique":
            name = "high" if aggregate == "max" else "low"
            row[name] = self._extreme(bucket["id"], aggregate == "max")
        return row

    def copy_values(self, bucket: str, other: str) -> None:
        """Has another bucket hold the values of one."""
        for row in list(self.state.select("_meter_value", {"bucket": bucket})):
            key = other + row["id"].removeprefix(bucket)
            self.state.put("_meter_value", key, {**row, "id": key, "bucket": other})

    def _extreme(self, bucket: str, greatest: bool) -> Number | None:
        order = (("value", greatest),)
        rows = self.state.select("_meter_value", {"bucket": bucket}, (), order, 1)
        found: Number | None = next((row["value"] for row in rows), None)
        return found

    # --- all of them: a meter that is asked over any range of time ------------------------------

    def tell(self, series: str, level: Level, sign: int) -> None:
        """Keeps a count by itself, or forgets one that was taken back."""
        key = f"{series}|{level.event}"
        row = {
            "id": key, "series": series, "at": level.at, "event": level.event,
            "value": level.value,
        }  # fmt: skip
        self.state.put("_told", key, row if sign > 0 else None)

    def within(
        self, aggregate: str, meter: str, customer: str, start: datetime,
        end: datetime,
    ) -> Number:  # fmt: skip
        """What a meter counted from an instant to another, both in."""
        series = {"series": told_series(meter, customer)}
        ranges = [Range("at", ">=", start), Range("at", "<=", end)]
        rows = self.state.select("_told", series, ranges)
        inside = [metering.Reading(row["at"], row["event"], row["value"]) for row in rows]
        # Each says of how many events it is.
        kind: metering.Aggregate = "sum" if aggregate == "count" else aggregate  # type: ignore
        if kind != "average":
            return metering.measure(kind, inside, start, end + timedelta(microseconds=1))
        order = (("at", True), ("event", True))
        before = self.state.select("_told", series, [Range("at", "<", start)], order, 1)
        held = next((row["value"] for row in before), 0)
        return metering.measure(kind, inside, start, end, held)

    def each(self, series: str, start: datetime, end: datetime) -> list[Level]:
        """What each event counted from an instant until another, in the order of their time."""
        ranges = [Range("at", ">=", start), Range("at", "<", end)]
        order = (("at", False), ("event", False))
        rows = self.state.select("_told", {"series": series}, ranges, order)
        return [_level(row) for row in rows]

    # --- levels: last, average -------------------------------------------------------------------

    def with_level(self, bucket: Bucket, series: str, level: Level) -> Bucket:
        """The bucket after one more level."""
        newest = bucket["last_at"] is None or (level.at, level.event) > (
            bucket["last_at"], bucket["last_event"]
        )  # fmt: skip
        before, after = None, None
        if not newest:
            before, after = self._beside(series, level, _since(bucket))
        elif bucket["last_at"] is not None:
            before = Level(bucket["last_at"], bucket["last_event"], bucket["last"])
        key = f"{series}|{level.event}"
        self.state.put("_reading", key, {
            "id": key, "series": series, "at": level.at, "event": level.event,
            "value": level.value,
        })  # fmt: skip
        return buckets.levelled(bucket, level, before, after)

    def without_level(self, bucket: Bucket, series: str, event: str) -> Bucket:
        """The bucket after one of its levels was taken back. Its last one tells where it ends: one
        of the very instant of a change may have counted before that."""
        self.state.put("_reading", f"{series}|{event}", None)
        last = bucket["last_at"], bucket["last_event"]
        if last[0] is None:
            return buckets.from_levels(bucket, ())
        ranges = [Range("at", ">=", _since(bucket)), Range("at", "<=", last[0])]
        order = (("at", False), ("event", False))
        rows = self.state.select("_reading", {"series": series}, ranges, order)
        levels = (level for level in map(_level, rows) if level[:2] <= last)
        return buckets.from_levels(bucket, levels)

    def held(self, series: str, at: datetime) -> Number:
        """The level of a series that a period begins with; 0 before the first one. One of its very
        beginning that the period has not counted is of what was before it."""
        order = (("at", True), ("event", True))
        rows = self.state.select("_reading", {"series": series}, [Range("at", "<=", at)], order, 1)
        found: Number = next((row["value"] for row in rows), 0)
        return found

    def next_at(self, series: str, at: datetime) -> datetime | None:
        """When the level after an instant began, if there was one."""
        rows = self.state.select(
            "_reading", {"series": series}, [Range("at", ">", at)], (("at", False),), 1
        )
        return next((row["at"] for row in rows), None)

    def _beside(
        self, series: str, level: Level, start: datetime
    ) -> tuple[Level | None, Level | None]:
        """The levels of a period before and after one that comes between them."""
        older = [Range("at", ">=", start), Range("at", "<=", level.at)]
        newer = [Range("at", ">=", level.at)]
        own = (level.at, level.event)
        down, up = (("at", True), ("event", True)), (("at", False), ("event", False))
        before = (_level(row) for row in self.state.select("_reading", {"series": series},
                                                           older, down))  # fmt: skip
        after = (_level(row) for row in self.state.select("_reading", {"series": series},
                                                          newer, up))  # fmt: skip
        return (
            next((found for found in before if found[:2] < own), None),
            next((found for found in after if found[:2] > own), None),
        )


def _since(bucket: Bucket) -> datetime:
    """From when on a bucket's levels are: one of the instant where its period began may be of a
    period before, or, where it is kept a little behind that, its own."""
    first: datetime | None = bucket["first_at"]
    start: datetime = bucket["start"]
    return start if first is None else first


def told_series(meter: str, customer: str, named: str = "") -> str:
    """The series of a customer's counts in the table `_told`: all, or of values of dimensions."""
    return f"{meter}|{customer}|{named}" if named else f"{meter}|{customer}"


def _level(row: Bucket) -> Level:
    return Level(row["at"], row["event"], row["value"])
