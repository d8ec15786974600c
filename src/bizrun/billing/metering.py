"""What a meter counted over a period: the plain rule that every running counter has to agree with.

Readings come in any order; each is taken at its own time, ties by id.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, assert_never

from ..values import Number, check_number, divide

Aggregate = Literal["count", "sum", "max", "min", "last", "average", "unique"]


@dataclass(frozen=True, slots=True)
class Reading:
    """One counted event: its time, its id, the value of the meter's field (None for count).

    `corrects` is the id of the event whose effect it replaces.
    """

    at: datetime
    id: str
    value: Any = None
    corrects: str | None = None


def measure(
    aggregate: Aggregate,
    readings: Iterable[Reading],
    start: datetime,
    end: datetime,
    held: Number = 0,
) -> Number:
    """The quantity over `[start, end)`; `held` is the value that an average begins with.

    Nothing counted is 0. An average weighs each value by the time it held; before the first one
    ever it is 0.
    """
    found = sorted(effective(readings), key=lambda reading: (reading.at, reading.id))
    inside = [reading for reading in found if start <= reading.at < end]
    values = [reading.value for reading in inside]
    match aggregate:
        case "count":
            return len(inside)
        case "unique":
            return len(set(values))
        case "sum":
            return check_number(sum(values, 0))
        case "max":
            return max(values, default=0)
        case "min":
            return min(values, default=0)
        case "last":
            return values[-1] if values else 0
        case "average":
            return _average(inside, start, end, held)
    assert_never(aggregate)


def effective(readings: Iterable[Reading]) -> list[Reading]:
    """The readings that count: each corrected one replaced by its newest correction.

    A correction counts at the time of what it replaces.
    """
    every = {reading.id: reading for reading in readings}
    targets = {reading.id: reading.corrects for reading in every.values() if reading.corrects}
    for reading in sorted(every.values(), key=lambda reading: (reading.at, reading.id)):
        target = reading.corrects
        if target is None:
            continue
        while target in targets:  # a correction of a correction
            target = targets[target]
        original = every.get(target)
        at = original.at if original else reading.at
        del every[reading.id]
        every[target] = Reading(at, target, reading.value)
    return list(every.values())


def _average(inside: Iterable[Reading], start: datetime, end: datetime, held: Number) -> Number:
    weighted: Number = 0
    since, value = start, held
    for reading in inside:
        weighted += value * _micros(since, reading.at)
        since, value = reading.at, reading.value
    weighted += value * _micros(since, end)
    return divide(weighted, _micros(start, end))


def _micros(start: datetime, end: datetime) -> int:
    length = end - start
    return (length.days * 86_400 + length.seconds) * 1_000_000 + length.microseconds
