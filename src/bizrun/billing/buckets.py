"""Meters as running aggregates: constant work for each event, exact whatever the order.

A bucket holds what a meter counted of one customer (and one set of dimension values) in one
period. Late events change the bucket of their own period. `metering.measure` is the same from
all readings at once, to check against.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ..values import Number, check_number, divide

Bucket = dict[str, Any]


def empty(id_: str, meter: str, customer: str, by: str, start: datetime) -> Bucket:
    """A bucket that has counted nothing. `area` is value × microseconds, for averages."""
    return {
        "id": id_, "meter": meter, "customer": customer, "by": by, "start": start, "total": 0,
        "count": 0, "low": None, "high": None, "last": None, "last_at": None, "last_event": None,
        "area": 0,
    }  # fmt: skip


def counted(
    bucket: Mapping[str, Any], aggregate: str, value: Number, at: datetime, event: str
) -> Bucket:
    """The bucket after one more value; ties of `last` go to the greater event id."""
    row = dict(bucket)
    row["count"] += 1
    match aggregate:
        case "sum" | "unique":
            row["total"] = check_number(row["total"] + value)
        case "max" if row["high"] is None or value > row["high"]:
            row["high"] = value
        case "min" if row["low"] is None or value < row["low"]:
            row["low"] = value
        case "last" | "average":
            _follow(row, value, at, event)
    return row


def _follow(row: Bucket, value: Number, at: datetime, event: str) -> None:
    """Takes a value that is newer than the last one; an older one changes nothing after it."""
    last_at = row["last_at"]
    if last_at is not None and (at, event) < (last_at, row["last_event"]):
        return
    if last_at is not None:
        row["area"] = check_number(row["area"] + row["last"] * _micros(last_at, at))
    row.update(last=value, last_at=at, last_event=event)


def result(bucket: Mapping[str, Any], aggregate: str, end: datetime) -> Number:
    """What the meter says at an instant: the average holds the last value until then."""
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
            return _average(bucket, end)
    raise AssertionError(aggregate)


def _average(bucket: Mapping[str, Any], end: datetime) -> Number:
    """Weighted by the time that each value held; before the first one nothing is known."""
    if bucket["last_at"] is None:
        return 0
    end = max(end, bucket["last_at"])
    area = bucket["area"] + bucket["last"] * _micros(bucket["last_at"], end)
    whole = _micros(bucket["start"], end)
    return check_number(divide(area, whole)) if whole else bucket["last"]


def _micros(start: datetime, end: datetime) -> int:
    delta = end - start
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds
