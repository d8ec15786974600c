"""Payloads on arrival: each field by its declared type, or a sentence that says why not."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import date
from decimal import Decimal
from typing import Any

from ..currencies import EXPONENTS
from ..diagnostics import an, did_you_mean
from ..errors import Absent, EvalError, Refusal
from ..ir.program import EventType
from ..lang.types import (
    AnyType,
    Choice,
    EntityType,
    ListOf,
    MapOf,
    Maybe,
    Prim,
    Record,
    Type,
    type_text,
)
from ..values import (
    SIZE_UNITS,
    UNLIMITED,
    Money,
    check_number,
    duration_in,
    instant,
    money,
    money_in,
    number,
    percent_in,
    quoted,
    show,
)

Find = Callable[[str, str], str | None]
Default = Callable[[str, str], Any]
LEAVE_OUT = "leave it out for its default, or give a value"


class Intake:
    """Reads payloads for one program; `find(entity, value)` gives the key of a reference,
    `default(shape, field)` what a shape's field is where it is left out, or none."""

    def __init__(
        self, currency: str, find: Find, default: Default, plans: Collection[str],
        coupons: Collection[str],
    ) -> None:  # fmt: skip
        self.default = default
        self.currency = currency
        self.find = find
        self.plans = plans
        self.coupons = coupons

    def payload(
        self, type_: EventType, data: Any, defaults: Callable[[str], Any]
    ) -> dict[str, Any]:
        """The payload with exact values; `defaults(field)` where one is left out.

        A field that is null was given: it is none where the field may be, and refused elsewhere.
        """
        if not isinstance(data, dict):
            raise Refusal("`data` must be an object")
        read = {
            name: self._field(type_, name, field, data, defaults)
            for name, field in type_.payload.fields
        }
        for name, value in data.items():
            if name not in read:
                read[name] = undeclared(value)
        return read

    def recorded(
        self, type_: EventType, data: dict[str, Any], defaults: Callable[[str], Any]
    ) -> dict[str, Any]:
        """The payload of an event that was taken before, whatever its type said then: what does
        not fit today is as it came, such as the key of a row that is gone, and what is needed
        since then is none."""
        read: dict[str, Any] = undeclared(data)
        for name, field in type_.payload.fields:
            try:
                read[name] = self._field(type_, name, field, data, defaults)
            except Refusal:
                read.setdefault(name, None)
        return read

    def _field(
        self, type_: EventType, name: str, field: Type, data: dict[str, Any],
        defaults: Callable[[str], Any],
    ) -> Any:  # fmt: skip
        """The value of a declared field."""
        if name in data:
            if data[name] is None and name in type_.defaults:
                check_null(field, f"`{name}`", LEAVE_OUT)
            return self.read(data[name], field, f"`{name}`")
        if name in type_.defaults:
            return defaults(name)
        if not isinstance(field, Maybe | AnyType):
            self._missing(name, field, data, type_.payload)
        return None

    def _missing(self, name: str, field: Type, data: dict[str, Any], record: Record) -> None:
        known = {key for key, _ in record.fields}
        strangers = [key for key in data if key not in known]
        meant = did_you_mean(name, strangers)
        hint = f"; `{meant}` was given, which it doesn't have" if meant else ""
        raise Refusal(f"`{name}` ({type_text(field)}) is missing{hint}")

    def read(self, value: Any, type_: Type, what: str) -> Any:
        """A value of a declared type out of JSON; Refusal names the field and what was there."""
        try:
            return self._read(value, type_, what)
        except EvalError as error:
            raise Refusal(f"{what}: {error}") from None
        except (ValueError, OverflowError):
            raise self._misfit(value, type_, what) from None

    def _misfit(self, value: Any, type_: Type, what: str) -> Refusal:
        shown = repr(value) if isinstance(value, str) else show(plain_text(value))
        return Refusal(f"{what} must be {_article(type_)}, not {shown[:80]}")

    def _read(self, value: Any, type_: Type, what: str) -> Any:
        if value is None:
            return check_null(type_, what)
        match type_:
            case Maybe(inner):
                return self._read(value, inner, what)
            case Prim(name):
                return self._prim(value, name, type_, what)
            case Choice(values):
                if value in values:
                    return value
                meant = did_you_mean(str(value), values)
                hint = f" (did you mean {meant!r}?)" if meant else ""
                raise Refusal(f"{what} must be one of {_list(values)}, not {value!r}{hint}")
            case EntityType(entity):
                return self._entity(value, entity, what)
            case ListOf(item) if isinstance(value, list):
                return [self._read(v, item, f"{what}[{i}]") for i, v in enumerate(value)]
            case MapOf(inner) if isinstance(value, dict):
                return {k: self._read(v, inner, f"{what}.{k}") for k, v in value.items()}
            case Record() if isinstance(value, dict):
                return self._record(value, type_, what)
            case AnyType():
                return loose(value)
        raise self._misfit(value, type_, what)

    def _record(self, value: dict[str, Any], record: Record, what: str) -> dict[str, Any]:
        read: dict[str, Any] = {}
        for name, type_ in record.fields:
            if name in value:
                if value[name] is None and self.default(record.name, name) is not None:
                    check_null(type_, f"{what}.{name}", LEAVE_OUT)
                read[name] = self._read(value[name], type_, f"{what}.{name}")
                continue
            read[name] = self.default(record.name, name)
            if read[name] is None and not isinstance(type_, Maybe | AnyType):
                raise Refusal(f"{what}: `{name}` ({type_text(type_)}) is missing")
        return read

    def _entity(self, value: Any, entity: str, what: str) -> str:
        if isinstance(value, dict) and isinstance(value.get("id"), str):
            value = value["id"]
        if not isinstance(value, str):
            raise Refusal(f"{what} must be the key of {an(entity)}, not {show(value)[:80]}")
        key = self.find(entity, value)
        if key is None:
            raise Absent(f"{what}: there is no {entity} `{value[:80]}`")
        return key

    def _prim(self, value: Any, name: str, type_: Type, what: str) -> Any:
        reader = _READERS.get(name)
        if name == "money":
            return self._money(value, type_, what)
        if name == "plan" and isinstance(value, str) and value not in self.plans:
            meant = did_you_mean(value, self.plans)
            hint = f" Did you mean `{meant}`?" if meant else ""
            raise Absent(f"{what}: unknown plan `{value[:60]}`.{hint}")
        if name == "coupon" and isinstance(value, str) and value not in self.coupons:
            # A code may be a secret among those who were given it: no other one is told.
            raise Absent(f"{what}: unknown coupon `{value[:60]}`")
        if reader is None:
            return loose(value)
        found = reader(value)
        if found is None:
            raise self._misfit(value, type_, what)
        return found

    def _money(self, value: Any, type_: Type, what: str) -> Money:
        match value:
            case {"amount": amount, "currency": str(code)}:
                if code not in EXPONENTS:
                    raise Refusal(f"{what}: `{code[:20]}` is no currency of ISO 4217")
                text = amount if isinstance(amount, str) else show(amount)
                return Money(number(text), code)
            case str():
                return money(value)
            case int() | Decimal() if not isinstance(value, bool):
                return Money(check_number(value), self.currency)
        raise self._misfit(value, type_, what)


def check_null(type_: Type, what: str, hint: str = "it needs a value") -> None:
    """Refuses null where a field can't be none; what was left out is not null."""
    if not isinstance(type_, Maybe | AnyType):
        raise Refusal(f"{what} ({type_text(type_)}) is null: {hint}")


def loose(value: Any) -> Any:
    """Untyped JSON with bounded numbers."""
    if isinstance(value, Decimal) or (isinstance(value, int) and not isinstance(value, bool)):
        return check_number(value)
    if isinstance(value, list):
        return [loose(item) for item in value]
    if isinstance(value, dict):
        return {key: loose(item) for key, item in value.items()}
    return value


def undeclared(value: Any) -> Any:
    """A field that no declaration speaks of: bounded numbers, and money as data writes it."""
    if isinstance(value, str):
        amount = money_in(value)
        return value if amount is None else amount
    if isinstance(value, list):
        return [undeclared(item) for item in value]
    if isinstance(value, dict):
        return {key: undeclared(item) for key, item in value.items()}
    return loose(value)


def plain_text(value: Any) -> Any:
    """A value for a message."""
    return dict.fromkeys(value, "…") if isinstance(value, dict) else value


def _number(value: Any) -> Any:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | Decimal):
        return check_number(value)
    return number(value) if isinstance(value, str) else None


def _integer(value: Any) -> Any:
    found = _number(value)
    return found if isinstance(found, int) else None


def _text(value: Any) -> Any:
    return value if isinstance(value, str) else None


def _percent(value: Any) -> Any:
    return percent_in(value) if isinstance(value, str) else None


def _duration(value: Any) -> Any:
    return duration_in(value) if isinstance(value, str) else None


def _size(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return check_number(value)
    if isinstance(value, str):
        if value == "unlimited":
            return UNLIMITED
        count, _, unit = value.partition(" ")
        factor = SIZE_UNITS.get(unit)
        found = number(count) * factor if factor else None
        return check_number(found) if found is not None else None
    return None


def _time(value: Any) -> Any:
    return instant(value) if isinstance(value, str) else None


def _date(value: Any) -> Any:
    return date.fromisoformat(value[:10]) if isinstance(value, str) else None


def _bool(value: Any) -> Any:
    return value if isinstance(value, bool) else None


def _list(values: tuple[str, ...]) -> str:
    return ", ".join(map(quoted, values))


def _article(type_: Type) -> str:
    text = type_text(type_.inner if isinstance(type_, Maybe) else type_)
    return _LIKE.get(text) or (text if text[0] in '["{' else an(text))


_LIKE = {
    "text": "text",
    "money": 'money like "29.00 USD"',
    "json": "JSON",
    "percent": 'a percent like "15%"',
    "duration": 'a duration like "14 days"',
    "date": "a date like 2026-01-31",
    "size": 'a size like "10 GB", or bytes',
}


_READERS: dict[str, Callable[[Any], Any]] = {
    "text": _text,
    "coupon": _text,
    "plan": _text,
    "number": _number,
    "integer": _integer,
    "bool": _bool,
    "percent": _percent,
    "duration": _duration,
    "size": _size,
    "time": _time,
    "date": _date,
}
