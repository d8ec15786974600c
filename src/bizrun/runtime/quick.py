"""Payloads that are fine as they came: one glance instead of a careful reading.

A check says yes only where `Intake.payload` would change nothing; anything else it leaves to it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..ir import nodes as ir
from ..ir.program import EventType
from ..lang.types import Choice, EntityType, Prim, Type
from .state import State

_BOUND = 10**33
_MISSING = object()


def quick_check(declared: EventType, state: State) -> Callable[[Any], bool] | None:
    """A check for a declared payload, or None where its types need more than a glance.

    A field that is left out gets its default where that is a constant.
    """
    checks: list[tuple[str, type, str | None, frozenset[str] | None, Any]] = []
    for name, type_ in declared.payload.fields:
        default = declared.defaults.get(name)
        constant = default.value if isinstance(default, ir.Const) else _MISSING
        if default is not None and constant is _MISSING:
            return None
        kind = _kind(type_)
        if kind is None:
            return None
        entity = type_.name if isinstance(type_, EntityType) else None
        choices = frozenset(type_.values) if isinstance(type_, Choice) else None
        checks.append((name, kind, entity, choices, constant))
    count = len(checks)
    get = state.get

    def check(data: Any) -> bool:
        if type(data) is not dict:
            return False
        for name, kind, entity, choices, constant in checks:
            value = data.get(name, _MISSING)
            if type(value) is not kind:
                if value is _MISSING and constant is not _MISSING:
                    data[name] = constant
                    continue
                return False
            if kind is int:
                if not -_BOUND < value < _BOUND:
                    return False
            elif entity is not None:
                if get(entity, value) is None:
                    return False
            elif choices is not None and value not in choices:
                return False
        return len(data) == count

    return check


def _kind(type_: Type) -> type | None:
    """The Python type that a JSON value of this type must have to be taken as it is."""
    match type_:
        case Prim("text"):
            return str
        case Prim("number" | "integer"):
            return int
        case Prim("bool"):
            return bool
        case Choice() | EntityType():
            return str
    return None
