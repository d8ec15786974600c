"""Meters as running aggregates: constant work for each event, exact whatever the order.

A bucket holds what a meter counted of one customer (and one set of dimension values) in one
period. Late events change the bucket of their own period. `metering.measure` is the same from
all readings at once, to check against.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from ..values import Number, check_number, divide

Bucket = dict[str, Any]

# What the parts of a total add up to; of the others the total is not the sum of its parts.
ADDITIVE = frozenset({"count", "sum"})
# What needs to know which values there are: one of them may be taken back.
BY_VALUE = frozenset({"max", "min", "unique"})
# What needs to know which value came before and after.
BY_TIME = frozenset({"last", "average"})


class Level(NamedTuple):
    """A value from an instant on; of several at one instant that with the greatest event id."""

    at: datetime
    event: str
    value: Number


class Figure(NamedTuple):
    """What a meter says: a quantity, of so many events (of `unique`, new values), of these values
    of its dimensions."""

    quantity: Number
    events: int
    by: Mapping[str, str]


def empty(id_: str, meter: str, customer: str, by: Any, start: datetime) -> Bucket:
    """A bucket that has counted nothing. `area` is value × microseconds between its levels."""
    return {
        "id": id_, "meter": meter, "customer": customer, "by": by, "start": start, "total": 0,
        "count": 0, "low": None, "high": None, "last": None, "last_at": None, "last_event": None,
        "first_at": None, "area": 0,
    }  # fmt: skip


def counted(bucket: Mapping[str, Any], aggregate: str, value: Number) -> Bucket:
    """The bucket after one more value, of aggregates that need to know nothing but it.

    A value of `unique` is a new one: 1, where it is there already 0; one of `count` is a number of
    events.
    """
    row = dict(bucket)
    row["count"] += value if aggregate == "count" else 1
    match aggregate:
        case "sum" | "unique":
            row["total"] = check_number(row["total"] + value)
        case "max" if row["high"] is None or value > row["high"]:
            row["high"] = value
        case "min" if row["low"] is None or value < row["low"]:
            row["low"] = value
    return row


def uncounted(bucket: Mapping[str, Any], aggregate: str, value: Number) -> Bucket:
    """The bucket without a value that it has counted; the inverse of `counted` where it adds."""
    row = dict(bucket)
    row["count"] -= value if aggregate == "count" else 1
    if aggregate in ("sum", "unique"):
        row["total"] = check_number(row["total"] - value)
    return row


def levelled(
    bucket: Mapping[str, Any], level: Level, before: Level | None, after: Level | None
) -> Bucket:
    """The bucket after one more level, between those of its period before and after it."""
    row = dict(bucket)
    row["count"] += 1
    area: Number = row["area"]
    if before is None:
        row["first_at"] = level.at
    else:
        until = after.at if after else level.at
        area -= 0 if after is None else before.value * _micros(before.at, until)
        area += before.value * _micros(before.at, level.at)
    if after is None:
        row.update(last=level.value, last_at=level.at, last_event=level.event)
    else:
        area += level.value * _micros(level.at, after.at)
    row["area"] = check_number(area)
    return row


def from_levels(bucket: Mapping[str, Any], levels: Iterable[Level]) -> Bucket:
    """The bucket of nothing but these levels, in their order."""
    row = empty(bucket["id"], bucket["meter"], bucket["customer"], bucket["by"], bucket["start"])
    before: Level | None = None
    for level in levels:
        row = levelled(row, level, before, None)
        before = level
    return row


def result(
    bucket: Mapping[str, Any], aggregate: str, end: datetime, held: Number = 0,
    begun: datetime | None = None,
) -> Number:  # fmt: skip
    """What the meter says at an instant: the average holds the last value until then.

    `held` is the value that an average begins with, of the period before; `begun` where that lies,
    if not where the bucket is kept.
    """
    match aggregate:
        case "count":
            return int(bucket["count"])
        case "sum" | "unique":
            total: Number = bucket["total"]
            return total
        case "max":
            return bucket["high"] or 0
        case "min":
            return bucket["low"] or 0
        case "last":
            return bucket["last"] or 0
        case "average":
            return _average(bucket, begun or bucket["start"], end, held)
    raise AssertionError(aggregate)


def _average(bucket: Mapping[str, Any], start: datetime, end: datetime, held: Number) -> Number:
    """Weighted by the time that each value held; before the first one ever it is 0."""
    first, last = bucket["first_at"], bucket["last_at"]
    if last is None:
        return held
    end = max(end, last)
    whole = _micros(start, end)
    if not whole:
        return bucket["last"] or 0
    area = held * _micros(start, first) + bucket["area"] + bucket["last"] * _micros(last, end)
    return check_number(divide(area, whole))


def _micros(start: datetime, end: datetime) -> int:
    delta = end - start
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds
