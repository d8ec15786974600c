"""Methods of a provider's SDK as actions: what the checker knows of `stripe.customers.create`.

The SDK says its parameters as TypedDicts; here they become types of the language, so that the
checker treats them like the fields of any other action.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from typing import Any, Protocol

from ..lang.symbols import ActionField, ActionSignature
from ..lang.types import (
    AMOUNT,
    ANY,
    BOOL,
    MOMENT,
    NUMBER,
    TEXT,
    Choice,
    ListOf,
    MapOf,
    Maybe,
    Record,
    Type,
    maybe,
)
from .signatures import REPLY

DEPTH = 4  # below that, anything goes
# Whole numbers that may also be written as money, or as an instant.
_MONEY = ("amount", "balance", "fee", "tip")
_TIMES = (
    "_at",
    "_time",
    "_end",
    "_start",
    "_date",
    "_by",
    "anchor",
    "created",
    "timestamp",
    "from",
    "to",
)


class Method(Protocol):
    """A method of an SDK, as the provider's module describes it."""

    @property
    def path(self) -> str:
        """Its name without the provider's."""

    @property
    def ids(self) -> tuple[str, ...]:
        """Leading arguments: the text before the braces is the first of them."""

    @property
    def fields(self) -> Mapping[str, Any]:
        """Its parameters with their Python types."""

    @property
    def required(self) -> frozenset[str]:
        """Those that must be given."""


def signature(provider: str, method: Method) -> ActionSignature:
    """A method as an action."""
    name = f"{provider}.{method.path}"
    # Money says its currency itself.
    required = method.required - ({"currency"} if _priced(method) else set())
    fields = [
        ActionField(key, of_python(type_, f"{name}.{key}"), key in required)
        for key, type_ in method.fields.items()
    ]
    known = {field.name for field in fields}
    fields += [ActionField(key, TEXT) for key in (*method.ids, "id") if key not in known]
    fields.append(ActionField(f"{provider}_account", TEXT))
    doc = f"Calls `{method.path}` of {provider.capitalize()}'s API."
    return ActionSignature(name, tuple(fields), REPLY, doc, False, True, True, (), method.ids)


def _priced(method: Method) -> bool:
    return any(name in method.fields for name in ("amount", "unit_amount", "amount_off"))


def of_python(type_: Any, name: str, depth: int = 0) -> Type:
    """A Python type as one of the language; what has no counterpart is anything."""
    origin, args = typing.get_origin(type_), typing.get_args(type_)
    if origin in (typing.Union, types.UnionType):
        return _union(args, name, depth)
    if origin is typing.Literal or str(origin).endswith("Literal"):
        return Choice(tuple(str(value) for value in args))
    if origin is list:
        return ListOf(of_python(args[0], name, depth) if args else ANY)
    if origin is dict:
        return MapOf(ANY)
    if hasattr(type_, "__required_keys__"):
        return _record(type_, name, depth)
    if type_ is bool:
        return BOOL
    if type_ is str:
        return ANY if name.endswith("_decimal") else TEXT
    if type_ is int:
        last = name.rpartition(".")[2]
        if any(word in last for word in _MONEY):
            return AMOUNT
        return MOMENT if last.endswith(_TIMES) else NUMBER
    return ANY


def _union(args: tuple[Any, ...], name: str, depth: int) -> Type:
    """Several types in one place: an empty text that clears a field counts for nothing."""
    kept = [arg for arg in args if arg is not type(None) and typing.get_args(arg) != ("",)]
    found = dict.fromkeys(of_python(arg, name, depth) for arg in kept)
    if str in kept:  # the values that there are now, or any other text
        found = {type_: None for type_ in found if not isinstance(type_, Choice)}
    chosen = [type_ for type_ in found if type_ != ANY] if _maps(found) else list(found)
    if len(chosen) != 1:
        return ANY
    return maybe(chosen[0]) if type(None) in args else chosen[0]


def _maps(found: Mapping[Type, Any]) -> bool:
    """Whether a union is of a map and the SDK's own object for one."""
    return any(isinstance(type_, MapOf) for type_ in found)


def _record(type_: Any, name: str, depth: int) -> Type:
    if depth >= DEPTH:
        return ANY
    required = type_.__required_keys__
    fields = []
    for key, part in typing.get_type_hints(type_).items():
        found = of_python(part, f"{name}.{key}", depth + 1)
        # What may be anything may be left out all the same.
        left_out = key not in required and not isinstance(found, Maybe)
        fields.append((key, Maybe(found) if left_out else found))
    return Record(name, tuple(fields))
