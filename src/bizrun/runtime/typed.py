"""Lines decoded straight into the events that a program declares.

What a typed decoder takes needs no second look but at its references; any other line it leaves
to the careful way, which says what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, Any, Literal, NamedTuple, Union

import msgspec

from ..ir import nodes as ir
from ..ir.program import EventType, Program
from ..lang.types import Choice, EntityType, Prim, Type
from ..store.base import INTERNAL

MAX_ID = 500
_BOUND = 2**63 - 1

_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID)]
# Beyond 64 bits msgspec has no bounds: such a number is read with care.
Integer = Annotated[int, msgspec.Meta(ge=-_BOUND, le=_BOUND)]


class Shape(NamedTuple):
    """How an event type is read: its name, its payload as a dict, the payload's attributes by
    the names of its fields, and the fields that refer."""

    type: str
    payload: Callable[[Any], dict[str, Any]]
    fields: dict[str, Field]
    references: tuple[tuple[str, str], ...]


class Field(NamedTuple):
    """Where a decoded payload has a field, and as what."""

    attribute: str
    kind: Any


Decode = Callable[[bytes], Any]


class Typed(NamedTuple):
    """Decoders of lines, and the shape of each class that they give. `bare` takes lines that say
    no more than they must, in less time; `full` takes what else an event may say."""

    bare: Decode
    full: Decode
    shapes: dict[type, Shape]


_BARE: list[Any] = [("id", _Id), ("time", str)]
_REST: list[Any] = [
    ("source", Literal[""], ""), ("subject", None, None), ("corrects", None, None),
    ("data_base64", None, None), ("specversion", Literal["1.0"], "1.0"),
]  # fmt: skip


def typed_decoder(program: Program) -> Typed | None:
    """The decoders of a program's lines; None without any type."""
    bare: dict[type, Shape] = {}
    full: dict[type, Shape] = {}
    for declared in program.events.values():
        if declared.declared and declared.name != INTERNAL:
            payload = _payload(declared, program.plans)
            if payload is not None:
                shape = _shape(declared, payload, program.plans)
                bare[_envelope(declared.name, payload, [], True)] = shape
                full[_envelope(declared.name, payload, _REST, False)] = shape
    return Typed(_decoder(bare), _decoder(full), bare | full) if full else None


def _decoder(shapes: Iterable[type]) -> Decode:
    kinds: Any = Union[tuple(shapes)]  # noqa: UP007
    return msgspec.json.Decoder(kinds, strict=True).decode


def _envelope(name: str, payload: type, rest: list[Any], alone: bool) -> type:
    fields = [*_BARE, ("data", payload), *rest]
    return msgspec.defstruct(
        "Line", fields, tag_field="type", tag=name, forbid_unknown_fields=alone, gc=False
    )


def _payload(declared: EventType, plans: Iterable[str]) -> type | None:
    """The class of a payload whose fields are all plain; None where one needs more than that."""
    fields: list[Any] = []
    names: dict[str, str] = {}
    for place, (name, type_) in enumerate(declared.payload.fields):
        kind = _kind(type_, plans)
        own = f"value{place}"
        names[own] = name
        match declared.defaults.get(name):
            case None if kind is not None:
                fields.append((own, kind))
            case ir.Const(str() | int() as value) if kind is not None:
                fields.append((own, kind, value))
            case _:
                return None
    return msgspec.defstruct(
        "Payload", fields, rename=names, forbid_unknown_fields=True, kw_only=True, gc=False
    )


def _kind(type_: Type, plans: Iterable[str]) -> Any:
    match type_:
        case Prim("text") | EntityType():
            return str
        case Prim("number" | "integer"):
            return Integer
        case Prim("bool"):
            return bool
        case Choice(values):
            return Literal[tuple(values)]
        case Prim("plan") if plans:
            return Literal[tuple(plans)]
    return None


def _shape(declared: EventType, payload: type, plans: Iterable[str]) -> Shape:
    """How a payload becomes the dict that handlers read: one function, made for this type.

    No text of an author is in its source: names are values of its namespace.
    """
    space: dict[str, Any] = {}
    parts = []
    for place, (name, _) in enumerate(declared.payload.fields):
        space[f"name{place}"] = name
        parts.append(f"name{place}: data.value{place}")
    source = f"def payload(data):\n return {{{', '.join(parts)}}}"
    exec(compile(source, "<payload>", "exec"), space)
    references = tuple(
        (name, type_.name)
        for name, type_ in declared.payload.fields
        if isinstance(type_, EntityType)
    )
    fields = {
        name: Field(f"value{place}", _kind(type_, plans))
        for place, (name, type_) in enumerate(declared.payload.fields)
    }
    return Shape(declared.name, space["payload"], fields, references)
