"""Payloads that are fine as they came: one glance instead of a careful reading.

A check says yes only where `Intake.payload` would change nothing; anything else it leaves to it.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Any

from ..ir import nodes as ir
from ..ir.program import EventType
from ..lang.types import Choice, EntityType, Prim, Type
from .state import State

_BOUND = 10**33
_MISSING = object()

Check = Callable[[Any], bool]


def quick_check(declared: EventType, state: State, plans: Container[str]) -> Check | None:
    """A check for a declared payload, or None where its types need more than a glance.

    A field that is left out gets its default where that is a constant.
    """
    defaults: dict[str, Any] = {}
    for name, _ in declared.payload.fields:
        default = declared.defaults.get(name)
        if isinstance(default, ir.Const):
            defaults[name] = default.value
        elif default is not None:
            return None
    tests = [_test(type_) for _, type_ in declared.payload.fields]
    if None in tests:
        return None
    return _completing(_whole(declared, tests, state, plans), defaults)


def _whole(
    declared: EventType, tests: list[str | None], state: State, plans: Container[str]
) -> Check:
    """A check for payloads that have every field: one function, made for this type.

    No text of an author is in its source: names and words are values of its namespace.
    """
    space: dict[str, Any] = {"get": state.get, "plans": plans, "low": -_BOUND, "high": _BOUND}
    reads, conditions = [], [f"len(data) == {len(tests)}"]
    for place, ((name, type_), test) in enumerate(zip(declared.payload.fields, tests, strict=True)):
        space[f"name{place}"] = name
        reads.append(f"  value{place} = data[name{place}]")
        conditions.append((test or "").format(n=place))
        if isinstance(type_, EntityType):
            space[f"entity{place}"] = type_.name
        elif isinstance(type_, Choice):
            space[f"words{place}"] = frozenset(type_.values)
    lines = [
        "def check(data):", " if type(data) is not dict:", "  return False", " try:",
        *reads, "  pass", " except KeyError:", "  return False",
        f" return {' and '.join(conditions)}",
    ]  # fmt: skip
    exec(compile("\n".join(lines), "<payload>", "exec"), space)
    check: Check = space["check"]
    return check


def _completing(whole: Check, defaults: dict[str, Any]) -> Check:
    if not defaults:
        return whole

    def check(data: Any) -> bool:
        if whole(data):
            return True
        if type(data) is not dict or not defaults.keys() - data.keys():
            return False
        complete = {**defaults, **data}
        if not whole(complete):
            return False
        data.update(complete)
        return True

    return check


def _test(type_: Type) -> str | None:
    """The condition under which a JSON value of this type is taken as it is."""
    match type_:
        case Prim("text"):
            return "type(value{n}) is str"
        case Prim("plan"):
            return "type(value{n}) is str and value{n} in plans"
        case Prim("number" | "integer"):
            return "type(value{n}) is int and low < value{n} < high"
        case Prim("bool"):
            return "type(value{n}) is bool"
        case Choice():
            return "type(value{n}) is str and value{n} in words{n}"
        case EntityType():
            return "type(value{n}) is str and get(entity{n}, value{n}) is not None"
    return None
