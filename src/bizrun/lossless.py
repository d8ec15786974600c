"""Values as JSON that reads back as the very same: what the store, the log and the IR keep.

What JSON has no type of is tagged: `{"$m": "29.00 USD"}`, `{"$t": "2026-01-31T09:00:00Z"}`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from functools import lru_cache
from typing import Any

from .values import Duration, Money, Number, Percent, Range, instant_stamp


def to_json(value: Any) -> Any:
    """A value as plain JSON that `from_json` reads back exactly; exact types are tagged."""
    kind = type(value)
    if kind is str or value is None:
        return value
    form = _FORMS.get(kind)
    if form is None:
        form = next((form for class_, form in _FORMS.items() if isinstance(value, class_)), None)
        assert form is not None, f"no JSON form: {value!r}"
    return form(value)


_AS_THEY_ARE = frozenset({str, bool, type(None)})


def all_plain(value: dict[str, Any]) -> bool:
    """Whether a map is its own JSON form: texts, and keys that look like none of our tags."""
    return _AS_THEY_ARE.issuperset(map(type, value.values())) and "$" not in "".join(value)


def _map_form(value: dict[str, Any]) -> Any:
    found = value
    if not _AS_THEY_ARE.issuperset(map(type, value.values())):
        found = {
            k: v if type(v) in _AS_THEY_ARE else _FORMS.get(type(v), to_json)(v)
            for k, v in value.items()
        }
    for key in value:
        if key[:1] != "$":
            return found
    # Keys that look like our own tags are kept apart from them.
    return {"$map": found} if value else found


_FORMS: dict[type, Callable[[Any], Any]] = {
    str: lambda value: value,
    bool: lambda value: value,
    int: lambda value: value if -(2**53) < value < 2**53 else {"$n": str(value)},
    dict: _map_form,
    list: lambda value: [to_json(item) for item in value],
    tuple: lambda value: [to_json(item) for item in value],
    datetime: lambda value: {"$t": instant_stamp(value)},
    Money: lambda value: {"$m": str(value)},
    Decimal: lambda value: {"$n": str(value)},
    Percent: lambda value: {"$p": str(value.rate)},
    Duration: lambda value: {"$d": value.iso()},
    date: lambda value: {"$date": value.isoformat()},
    time: lambda value: {"$clock": value.isoformat()},
    Range: lambda value: {"$range": [to_json(value.start), to_json(value.end)]},
}


def from_json(value: Any) -> Any:
    """The inverse of `to_json`."""
    if type(value) is list:
        return [from_json(item) for item in value]
    if type(value) is not dict:
        return value
    if len(value) == 1:
        [(tag, inner)] = value.items()
        if tag[:1] == "$" and (read := _READERS.get(tag)) is not None:
            return read(inner)
    return {k: from_json(v) if type(v) is dict or type(v) is list else v for k, v in value.items()}


def restored(value: Any) -> Any:
    """The same of what nobody else holds: maps and lists are kept, and changed in place."""
    if type(value) is dict:
        if len(value) == 1:
            [(tag, inner)] = value.items()
            if tag[:1] == "$" and (read := _READERS.get(tag)) is not None:
                return read(inner)
        for key, held in value.items():
            if type(held) is dict or type(held) is list:
                value[key] = restored(held)
    elif type(value) is list:
        for place, held in enumerate(value):
            if type(held) is dict or type(held) is list:
                value[place] = restored(held)
    return value


def _read_number(text: str) -> Number:
    found = Decimal(text)
    return int(found) if found.is_finite() and found == int(found) else found


_READERS: dict[str, Callable[[Any], Any]] = {
    "$n": _read_number,
    "$m": lru_cache(maxsize=1 << 12)(lambda text: money_exact(text)),
    "$p": lambda text: Percent(Decimal(text)),
    "$d": Duration.from_iso,
    "$t": lru_cache(maxsize=1 << 14)(datetime.fromisoformat),
    "$date": date.fromisoformat,
    "$clock": time.fromisoformat,
    "$range": lambda ends: Range(from_json(ends[0]), from_json(ends[1])),
    "$map": lambda inner: {k: from_json(v) for k, v in inner.items()},
}


def money_exact(text: str) -> Money:
    """Reads money that this program wrote: any number of digits, no check."""
    amount, currency = text.split(" ")
    return Money(Decimal(amount), currency)
