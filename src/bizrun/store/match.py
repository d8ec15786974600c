"""What a select means, in Python: the measure for every store, and its last step where SQL errs."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from ..values import Duration, Money
from .base import Range, Row

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def matching(
    rows: Iterable[Row], equals: Mapping[str, Any], ranges: Sequence[Range]
) -> Iterator[Row]:
    """The rows that meet all conditions, lazily; EvalError where two currencies are compared."""
    same = tuple(equals.items())
    # What may refuse to be compared comes last, as it does where SQL has looked before.
    late = sorted(ranges, key=lambda r: isinstance(r.value, Money | Duration))
    within = tuple((column, _COMPARE[op], value) for column, op, value in late)
    for row in rows:
        for column, value in same:
            if row[column] != value:
                break
        else:
            for column, compare, value in within:
                held = row[column]
                if held is None or value is None or not compare(held, value):
                    break
            else:
                yield row


def value_at(row: Row, path: Sequence[str]) -> Any:
    """The value of a column, or the text under a name in a JSON column; none where it has none."""
    value = row[path[0]]
    for name in path[1:]:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def ordered(
    rows: Iterable[Row], order: Sequence[tuple[str, bool]], limit: int | None
) -> Iterator[Row]:
    """Rows that come in the order of their keys, sorted; those without a value come last."""
    if order:
        found = list(rows)
        # Sorting is stable: the last criterion first, and equal rows stay in order of key.
        for column, descending in reversed(order):
            found = _sorted_by(found, column, descending)
        rows = found
    return iter(rows) if limit is None else islice(rows, limit)


def _sorted_by(rows: list[Row], column: str, descending: bool) -> list[Row]:
    present = [row for row in rows if row[column] is not None]
    present.sort(key=operator.itemgetter(column), reverse=descending)
    if len(present) < len(rows):
        present += [row for row in rows if row[column] is None]
    return present
