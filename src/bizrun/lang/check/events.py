"""Events and their payloads: declared, derived from entities and triggers, or from outside."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache

from msgspec import structs

from ..symbols import EventInfo, Symbols
from ..types import ANY, TEXT, TIME, EntityType, Maybe, Record, Type, known, maybe
from .context import nearest

# The envelope, and what every payload has as `.event`.
ENVELOPE = Record(
    "event",
    (("id", TEXT), ("type", TEXT), ("time", TIME), ("subject", ANY), ("corrects", maybe(TEXT))),
)

# What providers send needs no declaration: their webhooks are known, their payloads are open.
PROVIDERS = ("Stripe", "PayPal")
_CHANGES = ("created", "updated", "deleted")


@cache
def snake(name: str) -> str:
    """`CreditNote` as `credit_note`, the name that an entity's events give it."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def find_event(symbols: Symbols, name: str) -> EventInfo | None:
    """What is known of an event; changes of entities come into being when they are asked for."""
    found = symbols.events.get(name)
    if found is not None:
        return found
    noun, _, verb = name.partition(".")
    if noun in PROVIDERS and verb:
        info = EventInfo(name, Record(name, (), open=True), declared=True, origin="provider")
    else:
        change = _change(symbols, noun, verb)
        if change is None:
            return None
        info = EventInfo(name, Record(name, change), origin="change")
    symbols.events[name] = info
    return info


def _change(symbols: Symbols, noun: str, verb: str) -> tuple[tuple[str, Type], ...] | None:
    entity = symbols.entities.get(noun)
    if entity is None:
        return None
    subject = EntityType(noun)
    payload: tuple[tuple[str, Type], ...] = ((snake(noun), subject),)
    if verb.endswith("_changed"):
        changed = entity.fields.get(verb.removesuffix("_changed"))
        if changed is None:
            return None
        # The subject's own name wins where it is called `from` or `to`.
        payload += (("from", changed.type), ("to", changed.type))
    elif verb not in _CHANGES:
        return None
    return (*payload, ("subject", subject))


def changes_like(symbols: Symbols, name: str) -> list[str]:
    """The changes of the entity that an event's name speaks of, or nearly does."""
    noun = nearest(name.partition(".")[0], symbols.entities)[0]
    if noun is None:
        return []
    fields = symbols.entities[noun].fields
    return [f"{noun}.{verb}" for verb in (*_CHANGES, *(f"{field}_changed" for field in fields))]


def undeclared(symbols: Symbols, name: str) -> EventInfo:
    """Takes up an event that is only handled or emitted: its payload is open."""
    info = EventInfo(name, Record(name, (), open=True), declared=False)
    symbols.events[name] = info
    return info


def payload_of(symbols: Symbols, types: Iterable[str], open: bool = False) -> Record:
    """The payload that all events of a pattern have, with `.event`, the envelope.

    `open` lets a lone unknown event hold anything.
    """
    records: list[Record] = []
    names = list(types)
    for name in names:
        if "*" in name:
            records += _matching(symbols, name)
        else:
            info = find_event(symbols, name)
            records.append(info.payload if info else Record(name, (), open=True))
    shared = _shared(" or ".join(names), records)
    if len(names) == 1 or shared.open or any(record.name not in names for record in records):
        return shared
    return structs.replace(shared, some=_some(records, dict(shared.fields)))


def _some(
    records: list[Record], shared: Mapping[str, Type]
) -> tuple[tuple[str, Type, tuple[str, ...], tuple[str, ...]], ...]:
    """What only some of several events have, or always give, as in `Record.some`."""
    types: dict[str, Type] = {}
    for record in records:
        for key, type_ in record.fields:
            if key not in shared or isinstance(shared[key], Maybe):
                types[key] = _joined(types.get(key, type_), type_)
    found = []
    for key, type_ in types.items():
        own = [(record.name, record.field(key)) for record in records]
        having = tuple(name for name, theirs in own if theirs is not None)
        giving = tuple(name for name, theirs in own if theirs and not isinstance(theirs, Maybe))
        found.append((key, known(type_), having, giving))
    return tuple(found)


def _matching(symbols: Symbols, pattern: str) -> list[Record]:
    """The payloads that events of a wildcard share; what is yet unknown has a subject at most."""
    found = [
        info.payload
        for name, info in symbols.events.items()
        if matches(pattern, name) and info.declared
    ]
    noun, _, verb = pattern.partition(".")
    if verb == "*" and found:
        return found
    entities = [noun] if noun != "*" else list(symbols.entities)
    if verb in ("*", *_CHANGES):
        for entity in entities:
            change = _change(symbols, entity, "created" if verb == "*" else verb)
            if change is not None:
                found.append(Record(pattern, change))
    if not found or pattern == "*":
        return [*found, Record(pattern, (("subject", ANY),))]
    return found


def matches(pattern: str, name: str) -> bool:
    """Whether an event's type fits a pattern such as `Invoice.*`, `*.created` or `*`."""
    if pattern == "*":
        return True
    if "*" not in pattern:
        return pattern == name
    if pattern.endswith(".*"):
        return name.startswith(pattern[:-1])
    return name.endswith(pattern[1:])


def _shared(name: str, records: list[Record]) -> Record:
    first, *others = records
    fields: dict[str, Type] = dict(first.fields)
    for record in others:
        theirs = dict(record.fields)
        fields = {
            key: _joined(type_, theirs.get(key, ANY))
            for key, type_ in fields.items()
            if key in theirs or record.open
        }
    open_ = all(record.open for record in records)
    if first.open and not open_:
        closed = [dict(r.fields) for r in records if not r.open]
        fields = {k: ANY for k in closed[0] if all(k in other for other in closed)}
    fields.setdefault("event", ENVELOPE)
    return Record(name, tuple(fields.items()), open_)


def _joined(left: Type, right: Type) -> Type:
    if left == right:
        return left
    if maybe(left) == maybe(right):
        return maybe(left)
    return ANY
