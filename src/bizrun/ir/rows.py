"""What queries do with rows and values: scan, sort, take, aggregate, group; none is left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from .. import times
from ..errors import EvalError
from ..store.base import Range
from ..store.match import matching
from ..values import UNLIMITED, check_number, divide
from .context import Context, Row
from .operators import ORDERED, SUMMED, kind, no_value, quoted

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def rows_at(ctx: Context, entity: str, keys: Iterable[Any]) -> list[Row]:
    """The rows of references."""
    return [ctx.row(entity, key) for key in keys]


def narrowed(
    rows: Iterable[Any], equals: Mapping[str, Any], ranges: Sequence[tuple[str, str, Any]]
) -> list[Any]:
    """Those of a list's maps that a store would have found."""
    return list(matching(rows, equals, [Range(*bound) for bound in ranges]))


def limit(value: Any) -> int | None:
    """How many a query may give; None for unlimited."""
    if isinstance(value, Decimal) and value == UNLIMITED:
        return None
    if kind(value) != "number" or value < 0 or value != int(value):
        raise EvalError(f"{quoted(value)} is no limit: it takes a whole number from 0")
    return int(value)


def take(rows: Sequence[Any], count: int | None) -> Sequence[Any]:
    """The first so many."""
    return rows if count is None else rows[:count]


def first(values: Iterable[Any]) -> Any:
    """The first value, or none."""
    return next(iter(values), None)


def sort(pairs: Iterable[tuple[Any, tuple[Any, ...]]], descending: Sequence[bool]) -> list[Any]:
    """Items by their keys: stable, none last in either direction."""
    found = list(pairs)
    for place in range(len(descending) - 1, -1, -1):
        present = [pair for pair in found if pair[1][place] is not None]
        _check_order([pair[1][place] for pair in present])
        present.sort(key=lambda pair: pair[1][place], reverse=descending[place])
        found = present + [pair for pair in found if pair[1][place] is None]
    return [pair[0] for pair in found]


def _check_order(values: Sequence[Any]) -> None:
    """Refuses values that have no order among them; true comes after false."""
    if not values:
        return
    kinds = {type(value): value for value in values}
    one = next(iter(kinds.values()))
    for other in kinds.values():
        if kind(other) != kind(one) or kind(one) not in ORDERED | {"bool"}:
            raise no_value("<", one, other)


# --- aggregates ------------------------------------------------------------------------------


def present(values: Iterable[Any]) -> list[Any]:
    """The values that are not none."""
    return [value for value in values if value is not None]


def total(values: Iterable[Any], zero: Any) -> Any:
    """The sum of values; `zero` of none at all."""
    found = present(values)
    if not found:
        return zero
    what = kind(found[0])
    if what not in SUMMED:
        raise EvalError(f"{quoted(found[0])} can't be summed")
    for value in found:
        if kind(value) != what:
            raise no_value("+", found[0], value)
    if what == "number":
        return check_number(sum(found))
    result = found[0]
    for value in found[1:]:
        # Nothing is nothing in any currency: 0 USD must not keep 5 EUR out.
        result = result + value if result or what != "money" else value
    return result


def average(values: Iterable[Any]) -> Any:
    """The mean of values, none of nothing; of times an instant, of dates a date."""
    found = present(values)
    if not found:
        return None
    match kind(found[0]):
        case "time":
            micros = total([times.between(_EPOCH, _time(value)) for value in found], None).micros
            return _EPOCH + timedelta(microseconds=micros // len(found))
        case "date":
            _check_order(found)
            return date.fromordinal(sum(value.toordinal() for value in found) // len(found))
    whole = total(found, None)
    return divide(whole, len(found)) if kind(whole) == "number" else whole / len(found)


def _time(value: Any) -> datetime:
    if not isinstance(value, datetime):
        raise EvalError(f"{quoted(value)} is no time")
    return value


def least(values: Iterable[Any]) -> Any:
    """The smallest value, none of nothing."""
    found = present(values)
    _check_order(found)
    return min(found, default=None)


def greatest(values: Iterable[Any]) -> Any:
    """The largest value, none of nothing."""
    found = present(values)
    _check_order(found)
    return max(found, default=None)


def aggregate(op: str, values: Iterable[Any], zero: Any) -> Any:
    """count sum avg min max of values; nones are left out."""
    match op:
        case "count":
            return len(present(values))
        case "sum":
            return total(values, zero)
        case "avg":
            return average(values)
        case "min":
            return least(values)
        case "max":
            return greatest(values)
    raise AssertionError(op)


def grouped(
    entries: Iterable[tuple[tuple[Any, ...], Any]],
    names: Sequence[str],
    op: str,
    name: str | None,
    zero: Any,
) -> list[dict[str, Any]]:
    """Maps with the grouped fields and the aggregate, groups as their first rows come."""
    groups: dict[Any, tuple[tuple[Any, ...], list[Any]]] = {}
    for keys, value in entries:
        groups.setdefault(_group_key(keys), (keys, []))[1].append(value)
    return [
        {**dict(zip(names, keys, strict=True)), name or op: aggregate(op, values, zero)}
        for keys, values in groups.values()
    ]


def _group_key(value: Any) -> Any:
    """A value as a dictionary's key: lists and maps too, and true apart from 1."""
    match value:
        case list() | tuple():
            return tuple(_group_key(item) for item in value)
        case dict():
            return frozenset((key, _group_key(item)) for key, item in value.items())
        case bool():
            return (bool, value)
    return value


def count(values: Sequence[Any], skip_none: bool) -> int:
    """How many rows there are, or how many values that are not none."""
    return len(present(values)) if skip_none else len(values)
