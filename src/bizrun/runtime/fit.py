"""Values on their way into a field or payload: what the checker could not see is checked here."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ..errors import Refusal
from ..lang.types import Choice, EntityType, ListOf, Maybe, Prim, Record, Type, type_text
from ..times import local_date, midnight
from ..values import Duration, Money, Percent, check_number, show, written

if TYPE_CHECKING:
    from .engine import Engine
    from .intake import Default

_CLASSES: dict[str, tuple[type, ...]] = {
    "text": (str,), "plan": (str,), "coupon": (str,), "money": (Money,), "percent": (Percent,),
    "duration": (Duration,), "bool": (bool,),
}  # fmt: skip
_NUMBERS = ("number", "integer", "size")


def fit(engine: Engine, value: Any, type_: Type, what: str) -> Any:
    """The value as that type holds it: numbers bounded, times and dates turned; refused if none.

    What came from outside without a type (a reply, an answer) is read as an event's data is.
    """
    if value is None:
        if isinstance(type_, Maybe) or not isinstance(type_, Prim | Choice | EntityType | ListOf):
            return None
        raise Refusal(f"{what} can't be none")
    if isinstance(type_, Maybe):
        type_ = type_.inner
    match type_:
        case Prim(name) if name in _NUMBERS:
            if isinstance(value, bool) or not isinstance(value, int | Decimal):
                return _from_json(engine, value, type_, what)
            value = check_number(value)
            if name == "integer" and not isinstance(value, int):
                raise _misfit(value, type_, what)
        case Prim(name) if name in _CLASSES:
            if not isinstance(value, _CLASSES[name]):
                return _from_json(engine, value, type_, what)
        case Prim("time"):
            if isinstance(value, str):
                value = written(value, "time", "date")
            if type(value) is date:
                return midnight(value, engine.tz)
            if not isinstance(value, datetime):
                return _from_json(engine, value, type_, what)
        case Prim("date"):
            if isinstance(value, str):
                value = written(value, "date", "time")
            if isinstance(value, datetime):
                return local_date(value, engine.tz)
            if not isinstance(value, date):
                return _from_json(engine, value, type_, what)
        case Choice(values):
            if value not in values:
                raise _misfit(value, type_, what)
        case EntityType():
            if not isinstance(value, str):
                raise _misfit(value, type_, what)
        case ListOf(item):
            if not isinstance(value, list | tuple):
                raise _misfit(value, type_, what)
            return [fit(engine, each, item, what) for each in value]
        case Record(_, fields):
            if not isinstance(value, Mapping):
                raise _misfit(value, type_, what)
            given = [(name, inner) for name, inner in fields if value.get(name) is not None]
            return {**value, **{name: fit(engine, value[name], inner, f"{what}.{name}")
                                for name, inner in given}}  # fmt: skip
    return value


def shape_defaults(engine: Engine) -> Default:
    """What a field of a shape is where it is left out, by shape and field; none without one."""
    from .work import Work

    def default(shape: str, name: str) -> Any:
        value = engine.program.shapes.get(shape, {}).get(name)
        if value is None or engine.clock is None:
            return None
        work = Work(engine, engine.clock, f"{shape}.{name}", {}, None)
        return engine.compiled(value, ())(work)

    return default


def _from_json(engine: Engine, value: Any, type_: Type, what: str) -> Any:
    """A value as JSON holds it; refused where it can't be read as one of the type."""
    if not isinstance(value, str | dict | int | Decimal):
        raise _misfit(value, type_, what)
    try:
        return engine.intake.read(value, type_, what)
    except Refusal:
        raise _misfit(value, type_, what) from None


def _misfit(value: Any, type_: Type, what: str) -> Refusal:
    return Refusal(f"{what} is {type_text(type_)}, and `{show(value)[:60]}` is none")
