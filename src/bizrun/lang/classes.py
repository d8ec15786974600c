"""Which Python values a type holds as they are, so that nothing has to be looked at or turned."""

from __future__ import annotations

from datetime import datetime

from ..values import Duration, Money, Percent
from .types import EntityType, Prim, Type, known

_CLASSES: dict[str, type] = {
    "text": str, "plan": str, "coupon": str, "money": Money, "percent": Percent,
    "duration": Duration, "bool": bool, "time": datetime,
}  # fmt: skip


def class_of(type_: Type) -> type | None:
    """The class of which every value fits a type as it is; None where each has to be looked at."""
    match known(type_):
        case Prim(name):
            return _CLASSES.get(name)
        case EntityType():
            return str
    return None
