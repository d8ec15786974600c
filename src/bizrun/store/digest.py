"""One digest of a whole state: the same events and spec give the same one on every store."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Container, Iterable
from decimal import Decimal
from typing import Any

from ..lossless import to_json
from ..values import CONTEXT, Money, Percent
from .base import CLOCK, LogEntry, Store, Table


def state_digest(store: Store, tables: Iterable[Table], skip: Container[str] = ()) -> str:
    """SHA-256 over all rows and the log; `skip` names tables, or columns as `Table.column`.

    The head of the newest commit counts. `_log.fired` is a column of the log. Its seq never counts,
    nor do entries that only tell when time moved on: what followed from that does.
    """
    running = hashlib.sha256()
    for table in sorted(tables, key=lambda t: t.name):
        if table.name in skip:
            continue
        columns = sorted(c.name for c in table.columns if f"{table.name}.{c.name}" not in skip)
        running.update(_line([table.name, columns]))
        for row in store.select(table.name):
            running.update(_line([canonical(row[column]) for column in columns]))
    running.update(_line(["head", store.head()]))
    running.update(_line("log"))
    kept = [n for n, name in enumerate(LogEntry._fields) if n and f"_log.{name}" not in skip]
    for entry in store.log():
        if entry.type == CLOCK:
            continue
        running.update(_line([entry[n] for n in kept]))
    return running.hexdigest()


def canonical(value: Any) -> Any:
    """Plain JSON that is the same for equal values, however their digits were written."""
    match value:
        case None | bool() | str() | int():
            return to_json(value)
        case Decimal():
            return to_json(_canonical_number(value))
        case Percent():
            return to_json(Percent(value.rate.normalize(CONTEXT)) if value.rate else Percent(0))
        case Money() if not value.amount:
            return to_json(Money(0, value.currency))
        case list() | tuple():
            return [canonical(item) for item in value]
        case dict():
            return {"$map": {key: canonical(item) for key, item in value.items()}}
    return to_json(value)


def _canonical_number(value: Decimal) -> int | Decimal:
    if not value.is_finite():
        return value
    return int(value) if value == int(value) else value.normalize(CONTEXT)


def _line(value: Any) -> bytes:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return text.encode("utf-8", "backslashreplace") + b"\n"
