"""The types of the language, as the checker reasons about them."""

from __future__ import annotations

from msgspec import Struct


class Prim(Struct, frozen=True):
    """One of: text number integer bool money percent duration size time date clock plan coupon
    meter limit json none unlimited."""

    name: str


class Choice(Struct, frozen=True):
    """A union of text literals; at run time text."""

    values: tuple[str, ...]


class EntityType(Struct, frozen=True):
    """A reference to a row of an entity; at run time its key."""

    name: str


class Record(Struct, frozen=True):
    """A map with known fields: a payload, a `type` shape, a group's row, an action's result.

    `open` where more fields may be there (an undeclared event, JSON). `name` is what a message
    calls it (`Customer.signup`, `Address`, `result of charge`). `some` is what only some of several
    events have, or have always: its name, its type there, who has it, and who always gives a value.
    """

    name: str
    fields: tuple[tuple[str, Type], ...]
    open: bool = False
    some: tuple[tuple[str, Type, tuple[str, ...], tuple[str, ...]], ...] = ()

    def field(self, name: str) -> Type | None:
        """The type of a field, None where there is none of that name."""
        return next((type_ for key, type_ in self.fields if key == name), None)


class ListOf(Struct, frozen=True):
    """A list; the rows of a query are a list of EntityType."""

    item: Type


class MapOf(Struct, frozen=True):
    """A map from text."""

    value: Type


class Maybe(Struct, frozen=True):
    """`T?`: a T or none. Never nested."""

    inner: Type


class AnyType(Struct, frozen=True):
    """Anything: untyped data, or where a mistake has been reported (no cascades)."""


Type = Prim | Choice | EntityType | Record | ListOf | MapOf | Maybe | AnyType

ANY = AnyType()
TEXT = Prim("text")
NUMBER = Prim("number")
INTEGER = Prim("integer")
BOOL = Prim("bool")
MONEY = Prim("money")
PERCENT = Prim("percent")
DURATION = Prim("duration")
SIZE = Prim("size")
TIME = Prim("time")
DATE = Prim("date")
CLOCK = Prim("clock")
PLAN = Prim("plan")
COUPON = Prim("coupon")
METER = Prim("meter")
LIMIT = Prim("limit")
JSON = Prim("json")
NONE = Prim("none")
UNLIMITED = Prim("unlimited")
# What a provider takes as a whole number of its own units, and authors may write as what it is.
AMOUNT = Prim("number or money")
MOMENT = Prim("number or time")

PRIMITIVES = {
    prim.name: prim
    for prim in (
        TEXT, NUMBER, INTEGER, BOOL, MONEY, PERCENT, DURATION, SIZE, TIME, DATE, PLAN, COUPON, JSON
    )
}  # fmt: skip


def maybe(type_: Type) -> Type:
    """That type or none."""
    return type_ if isinstance(type_, Maybe | AnyType) or type_ == NONE else Maybe(type_)


def known(type_: Type) -> Type:
    """The type without `?`."""
    return type_.inner if isinstance(type_, Maybe) else type_


def type_named(text: str) -> Type | None:
    """The type that a text in a schema names: `text`, `number?`, `[money]`, `low | high`; None
    where it names none, and only describes a text."""
    text = text.strip()
    if text.endswith("?"):
        inner = type_named(text[:-1])
        return maybe(inner) if inner is not None else None
    if text.startswith("[") and text.endswith("]"):
        item = type_named(text[1:-1])
        return ListOf(item) if item is not None else None
    if "|" in text:
        values = [part.strip().strip("\"'") for part in text.split("|")]
        return Choice(tuple(values)) if all(values) else None
    return PRIMITIVES.get(text)


def type_text(type_: Type) -> str:
    """A type as an author writes it."""
    match type_:
        case Prim(name):
            return name
        case Choice(values):
            return " | ".join(f'"{value}"' for value in values)
        case EntityType(name):
            return name
        case Record(name):
            return name or "a map"
        case ListOf(item):
            return f"[{type_text(item)}]"
        case MapOf(value):
            return f"{{text: {type_text(value)}}}"
        case Maybe(inner):
            return f"{type_text(inner)}?"
        case AnyType():
            return "anything"
