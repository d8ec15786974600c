"""A person's data taken out of a state, with its books intact (GDPR art. 17).

What says who somebody is goes: texts of their rows and of rows that refer to them, of events and
effects about them, their addresses wherever they stand, and where something was told in passing
(a log line, a report that was sent) also names and numbers that are nobody else's. What the books
need stays: keys, amounts, times, plans, states, and what an invoice has to say by law of whom it
was made out to (art. 17 (3) b), unless that is to go too. The log keeps each event with its id,
type and time, and its hash chain.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import msgspec

from ..ir.program import Entity
from ..lang.types import Choice, EntityType, MapOf, Prim, known
from ..lossless import from_json, to_json
from ..store.base import INTERNAL, LogEntry, Row
from .dispatch import snake
from .happenings import decode_raw
from .interventions import Person, audit
from .tables import tables_of

if TYPE_CHECKING:
    from .engine import Engine

# Documents, and what they are made of: kept by law, so nothing is replaced in them.
BOOKS = ("Invoice", "InvoiceLine", "CreditNote", "Ledger")
# What of a customer's printed details the law does not ask for on an invoice.
_NOT_NEEDED = ("email", "locale", "language", "timezone")
# What was told in passing: log lines, what was sent, why something failed.
_TOLD = ("_note", "_effect", "_dead")
_TAKEN = ("handled", "unmatched")
_UNDER_WAY = ("ready", "leased", "sent", "unknown")
MARKER = '{"erased":true,'
_SHORTEST = 4
_TELLING = 6
_FACT = re.compile(
    r"[a-z]+_[0-9a-f]{12,}|[0-9a-f]{64}|-?[\d_.]+( [A-Z]{3}|%)?|[A-Z]{3}|"
    r"\d{4}-\d\d-\d\d(T[\d:.]+(Z|[+-]\d\d:\d\d))?"
)
_WORDS = re.compile(r"\w[\w.'’-]*\s+\w")
_encode = msgspec.json.Encoder(decimal_format="number").encode


@dataclass(slots=True)
class Erased:
    """What was erased, by number; `orders` of the effects whose files are to go, `documents` that
    are to go too, `under_way` effects that had to be left, `running` subscriptions that go on."""

    entity: str
    key: str
    rows: int = 0
    events: int = 0
    effects: int = 0
    others: int = 0
    orders: list[int] = field(default_factory=list)
    documents: list[str] = field(default_factory=list)
    under_way: list[str] = field(default_factory=list)
    running: list[str] = field(default_factory=list)


def is_erased(raw: str) -> bool:
    """Whether the text of an event is what erasing has left of it."""
    return raw.startswith(MARKER)


def erase(engine: Engine, person: Person, entity: str, key: str, documents: bool) -> Erased:
    """Erases whoever a row is of, and writes that down; the caller commits and purges.

    With `documents` also what invoices say of them.
    """
    return _Erasure(engine, entity, key, documents).run(person)


class _Erasure:
    def __init__(self, engine: Engine, entity: str, key: str, documents: bool) -> None:
        self.engine = engine
        self.entity = engine.program.entities[entity]
        self.key = key
        self.documents = documents
        self.told = Erased(entity, key)
        self.mark = _mark(key)
        self.own = dict(self._own())
        self.ids = frozenset(self._ids())
        self.keys = frozenset(key for _, key in self.own)
        self.texts = frozenset(self._texts())
        self.addresses = frozenset(text for text in self.texts if "@" in text) | self._uniques()
        self.phrases = self.addresses | frozenset(self._phrases())
        self.dates = frozenset(self._dates())
        self.words = _words(engine) | self.keys | self.ids
        entities = {entity for entity, _ in self.own}
        self.names = {"customer", "subject", *map(snake, entities)}
        self.events: set[str] = set()
        self._any = _finder(self.texts)
        self._address = _finder(self.addresses)
        self._phrase = _finder(self.phrases)

    # --- whose it is -----------------------------------------------------------------------------

    def _own(self) -> Iterator[tuple[tuple[str, str], Row]]:
        """Their row, and those of the author's entities that refer to it."""
        state, program = self.engine.state, self.engine.program
        row = state.get(self.entity.name, self.key)
        assert row is not None
        yield (self.entity.name, self.key), row
        for entity in program.entities.values():
            # Whoever they brought is somebody else, and a tenant is of many.
            if entity.builtin or entity.name in (program.tenant, self.entity.name):
                continue
            for name, target in entity.references.items():
                if target != self.entity.name:
                    continue
                for row in state.select(entity.name, {name: self.key}):
                    yield (entity.name, str(row[entity.key])), row

    def _ids(self) -> Iterator[str]:
        """The ids of their subscriptions, invoices, payments."""
        if self.entity.name != self.engine.program.bills:
            return
        for entity in self.engine.program.entities.values():
            if entity.builtin and "customer" in entity.fields and entity.name != "Ledger":
                for row in self.engine.state.select(entity.name, {"customer": self.key}):
                    yield str(row[entity.key])

    def _texts(self) -> Iterator[str]:
        words = _words(self.engine)
        for (name, key), row in self.own.items():
            entity = self.engine.program.entities[name]
            for column in _personal(entity):
                for text in _all_texts(row[column]):
                    if len(text) >= _SHORTEST and text not in words and text != key:
                        yield text

    def _phrases(self) -> Iterator[str]:
        """Texts that tell them wherever they are read: several words, or a long number, which no
        other row of their kind has."""
        for (name, _), row in self.own.items():
            entity = self.engine.program.entities[name]
            for column in _personal(entity):
                value = row[column]
                if not isinstance(value, str) or value not in self.texts or not _tells(value):
                    continue
                same = self.engine.state.select(name, {column: value})
                if all((name, str(other[entity.key])) in self.own for other in same):
                    yield value

    def _dates(self) -> Iterator[date | str]:
        """Dates of their own, such as a birthday, also as texts."""
        for (name, _), row in self.own.items():
            for column in _personal(self.engine.program.entities[name]):
                if isinstance(row[column], date):
                    yield row[column]
                    yield row[column].isoformat()

    def _uniques(self) -> frozenset[str]:
        """Values that are nobody else's."""
        return frozenset(
            str(row[name])
            for (entity, _), row in self.own.items()
            for name in self.engine.program.entities[entity].uniques
            if isinstance(row[name], str) and row[name] in self.texts
        )

    def _concerns(self, data: Any, named: frozenset[str] = frozenset()) -> bool:
        """Whether data is about them: by an id or address anywhere, or their key where keys stand;
        `named` are more fields that hold one."""
        if not isinstance(data, Mapping):
            return isinstance(data, str) and (data in self.ids or data in self.addresses)
        for name, value in data.items():
            if isinstance(value, str):
                if value in self.ids or value in self.addresses:
                    return True
                if value in self.keys and (name in self.names or name in named):
                    return True
            elif isinstance(value, Mapping):
                if name in self.names and self.keys & {value.get("$key"), value.get("id")}:
                    return True
                if self._concerns(value):
                    return True
            elif isinstance(value, list | tuple) and any(map(self._concerns, value)):
                return True
        return False

    # --- what becomes of it ----------------------------------------------------------------------

    def run(self, person: Person) -> Erased:
        """All of it, the log first: it tells which events are theirs."""
        engine = self.engine
        changed = dict(self._log())
        links = engine.state.store.redact(changed, list(self.own))
        self.told.events = len(changed)
        if self.entity.name == engine.program.bills:
            self._printed()
        self._rows()
        self._effects()
        self._work()
        self._sweep()
        self._running()
        engine.state.settle()
        audit(engine, person, "erased", self.key, entity=self.entity.name, links=links)
        return self.told

    def hard(self, value: Any, mark: str | None = None, kept: frozenset[str] = frozenset()) -> Any:
        """A value without any text but keys, plans, states and the like; fields of `kept` stay."""
        match value:
            case str() | date() if value in self.dates:
                return None
            case str():
                fact = value in self.words or _FACT.fullmatch(value) is not None
                return value if fact else mark or self.mark
            case Mapping():
                return {
                    name: item if name in kept else self.hard(item) for name, item in value.items()
                }
            case list() | tuple():
                return [self.hard(item, mark) for item in value]
        return value

    def soft(self, value: Any, find: Callable[[str], re.Pattern[str] | None]) -> Any:
        """A value in whose texts their own are replaced."""
        match value:
            case str():
                pattern = find(value)
                return value if pattern is None else pattern.sub(self.mark, value)
            case Mapping():
                return {name: self.soft(item, find) for name, item in value.items()}
            case list() | tuple():
                return [self.soft(item, find) for item in value]
        return value

    def undated(self, value: Any) -> Any:
        """A value without their dates: where it is theirs, since others share a birthday."""
        match value:
            case str() | date() if value in self.dates:
                return None
            case Mapping():
                return {name: self.undated(item) for name, item in value.items()}
            case list() | tuple():
                return [self.undated(item) for item in value]
        return value

    def _log(self) -> Iterator[tuple[int, tuple[str, str | None]]]:
        for entry in self.engine.state.store.log():
            raw, reason = self._entry(entry), self.soft(entry.reason, self._any)
            if raw != entry.raw or (entry.id in self.events and reason != entry.reason):
                yield entry.seq, (raw, reason)

    def _entry(self, entry: LogEntry) -> str:
        """What is left of an entry's text."""
        try:
            held = decode_raw(entry.raw)
        except (msgspec.DecodeError, ValueError, RecursionError):
            return str(self.soft(entry.raw, self._address))
        if not isinstance(held, dict):
            return entry.raw
        own = entry.source == INTERNAL
        data = from_json(held) if own else held.get("data")
        keyed = self._keyed(entry.type)
        if entry.type.startswith("Audit."):
            return entry.raw
        if held.get("subject") not in self.keys and not self._concerns(data, keyed):
            # What was refused may be of somebody of the same name, who is still to come.
            taken = entry.status in _TAKEN
            return self._passing(entry, held, self._phrase if taken else self._address)
        if self._is_anothers(entry.type, held.get("subject"), data):
            return self._passing(entry, held, self._any)
        self.events.add(entry.id)
        left = self.hard(data, self._mark_of(data, keyed), keyed | self._metered(entry.type))
        if left == data:
            return entry.raw
        if own:
            return _encode(to_json(left)).decode()
        head = {"id": entry.id, "type": entry.type, "time": entry.time}
        head |= {n: held[n] for n in ("source", "subject", "corrects") if held.get(n) is not None}
        return MARKER + _encode({**head, "data": left}).decode()[1:]

    def _passing(
        self, entry: LogEntry, held: Any, find: Callable[[str], re.Pattern[str] | None]
    ) -> str:  # fmt: skip
        """An entry's text that is about others, without what tells them; where signs are escaped in
        it, what they stand for is looked at."""
        raw = entry.raw
        if "\\" in raw:
            left = self.soft(held, find)
            clean = raw if left == held else _encode(left).decode()
        else:
            clean = str(self.soft(raw, find))
        # What was refused is still to be sent as it should be: by that it is known as another.
        marked = is_erased(raw) or entry.status not in _TAKEN
        if clean == raw or entry.source == INTERNAL or marked:
            return clean
        return MARKER + clean.lstrip()[1:].lstrip()

    def _is_anothers(self, type_: str, subject: Any, data: Any) -> bool:
        """Whether an event that names them is about somebody else: whom they brought, say."""
        declared = self.engine.program.events.get(type_)
        field = declared.key if declared is not None else None
        whose = subject or (data.get(field) if isinstance(data, Mapping) and field else None)
        if not isinstance(whose, str) or whose in self.keys:
            return False
        return self.engine.state.get(self.entity.name, whose) is not None

    def _mark_of(self, data: Any, keyed: frozenset[str]) -> str:
        """What stands for texts about one of a customer's people: unique ones stay so."""
        for name in keyed if isinstance(data, Mapping) else ():
            value = data.get(name)
            if isinstance(value, str) and value != self.key and value in self.keys:
                return _mark(value)
        return self.mark

    def _keyed(self, type_: str) -> frozenset[str]:
        """The fields of an event that hold a key."""
        declared = self.engine.program.events.get(type_)
        if declared is None or not declared.declared:
            return frozenset({"id", *(f"{name}_id" for name in self.names)})
        fields = declared.payload.fields
        found = {name for name, type_ in fields if isinstance(known(type_), EntityType)}
        return frozenset(found | ({declared.key} if declared.key else set()))

    def _metered(self, type_: str) -> frozenset[str]:
        """The fields that meters read: what was used stays countable."""
        meters = [m for m in self.engine.program.meters.values() if type_ in m.events]
        return frozenset(name for m in meters for name in (*m.by, m.field, m.per) if name)

    def _printed(self) -> None:
        """Keeps what invoices have to say of the customer; with `documents` not even that."""
        state = self.engine.state
        dropped = None if self.documents else _NOT_NEEDED
        for row in list(state.select("_billed_as", {"customer": self.key})):
            details = {
                name: None if dropped is None or name in dropped else value
                for name, value in row["details"].items()
            }
            state.replace("_billed_as", row["id"], row, {**row, "details": details})
        invoices = [
            row for name in ("Invoice", "CreditNote")
            for row in state.select(name, {"customer": self.key}) if row.get("number")
        ]  # fmt: skip
        if self.documents:
            self.told.documents = [str(row["number"]) for row in invoices]
        elif invoices and self.engine.printed and self.engine.clock is not None:
            own = self.own[self.entity.name, self.key]
            details = {n: own[n] for n in self.engine.printed if n not in _NOT_NEEDED}
            key = f"was_{self.key}_erased"
            until = self.engine.clock + timedelta(microseconds=1)
            kept = {"id": key, "customer": self.key, "until": until, "details": details}
            if state.get("_billed_as", key) is None:
                state.put("_billed_as", key, kept)

    def _rows(self) -> None:
        for (name, key), row in self.own.items():
            entity = self.engine.program.entities[name]
            new = {c: self._left(entity, c, row[c], _mark(key)) for c in _personal(entity)}
            left = {**row, **new}
            if left != row:
                self.engine.state.replace(name, key, row, left)
                self.told.rows += 1

    def _left(self, entity: Entity, column: str, value: Any, mark: str) -> Any:
        declared = entity.fields[column]
        if value is None or declared.optional:
            return None
        if isinstance(value, str):
            return mark
        if isinstance(declared.type, MapOf) or not isinstance(value, Mapping):
            return type(value)() if isinstance(value, list | dict) else value
        return self.hard(value)

    def _effects(self) -> None:
        state = self.engine.state
        for row in list(state.select("_effect", {})):
            data = row["data"]
            theirs = row["customer"] == self.key or self._concerns(data)
            if not theirs and row["event"] not in self.events:
                continue
            if row["status"] in _UNDER_WAY:
                if theirs:
                    self.told.under_way.append(row["id"])
                continue
            left = {"data": data, "answer": row["answer"], "error": row["error"]}
            clean = {n: self.hard(v) if theirs and n != "error" else self.soft(v, self._any)
                     for n, v in left.items()}  # fmt: skip
            if clean != left:
                state.replace("_effect", row["id"], row, {**row, **clean})
                self.told.effects += 1
                self.told.orders.append(row["order"])
            sent = state.get("_delivery", row["id"])
            if sent is not None and sent["outcome"] is not None:
                outcome = self.hard(sent["outcome"])
                state.replace("_delivery", row["id"], sent, {**sent, "outcome": outcome})

    def _work(self) -> None:
        """What waits, what was logged and what failed for their events."""
        state = self.engine.state
        for table, column in (("_note", "text"), ("_dead", "reason"), ("_dead", "retry")):
            for row in list(state.select(table, {})):
                if row["event"] in self.events:
                    self._clean(table, row, {column: self.undated(row[column])})
        for table, columns in (("_wait", ("live", "event")), ("_timer", ("task",))):
            for row in list(state.select(table, {})):
                held = {column: row[column] for column in columns}
                if self._concerns(held):
                    begun = row["event"] if table == "_wait" else row["task"].get("event")
                    theirs = begun is not None and begun.get("id") in self.events
                    self._clean(table, row, self.undated(held) if theirs else held)

    def _clean(self, table: str, row: Row, columns: Mapping[str, Any]) -> None:
        """Writes what is left of some columns of a row without their texts."""
        left = {**row, **{name: self.soft(value, self._any) for name, value in columns.items()}}
        if left != row:
            self.engine.state.replace(table, row["id"], row, left)
            self.told.others += 1

    def _sweep(self) -> None:
        """Their addresses, wherever else they stand; what else tells them, where it was told."""
        state, left = self.engine.state, {*self.told.under_way}
        if not self.phrases:
            return
        for table in tables_of(self.engine.program):
            if table.name in ("_billed_as", "_unit") or (
                table.name in BOOKS and not self.documents
            ):
                continue
            columns = [c.name for c in table.columns
                       if c.type in ("text", "json") and c.name != table.key]  # fmt: skip
            for row in list(state.select(table.name, {})):
                if table.name == "_effect" and row["id"] in left:
                    continue
                find = self._phrase if table.name in _TOLD else self._address
                clean = {n: self.soft(row[n], find) for n in columns}
                if any(clean[n] != row[n] for n in columns):
                    state.replace(table.name, row[table.key], row, {**row, **clean})
                    self.told.others += 1
                    if table.name == "_effect":
                        self.told.orders.append(row["order"])

    def _running(self) -> None:
        if self.entity.name != self.engine.program.bills:
            return
        for row in self.engine.state.select("Subscription", {"customer": self.key}):
            if row["status"] not in ("cancelled", "expired"):
                self.told.running.append(f"{row['plan']} ({row['id']}, {row['status']})")


def _mark(key: str) -> str:
    """What stands where a text stood; of a key that is an address itself, a part of its hash."""
    return f"erased {sha256(key.encode()).hexdigest()[:8] if '@' in key else key}"


# --- what is a text of somebody's own ------------------------------------------------------------


def _personal(entity: Entity) -> list[str]:
    """The fields of an entity that may say who somebody is: texts, dates that may be left out, and
    what has no declared shape; not keys, references, plans and states."""
    found = []
    for name, declared in entity.fields.items():
        match known(declared.type):
            case Choice() | EntityType():
                continue
            case Prim(kind) if kind == "date":
                personal = declared.optional
            case Prim(kind):
                personal = kind in ("text", "json")
            case _:
                personal = not _holds_keys(declared.type)
        if personal and name != entity.key:
            found.append(name)
    return found


def _tells(text: str) -> bool:
    """Whether a text is one that others hardly have: a full name, an address, a long number."""
    return len(text) >= _TELLING and (
        _WORDS.search(text) is not None or sum(map(str.isdigit, text)) >= _TELLING
    )


def _holds_keys(type_: Any) -> bool:
    item = getattr(known(type_), "item", None)
    return item is not None and isinstance(known(item), EntityType | Choice)


def _words(engine: Engine) -> frozenset[str]:
    """The texts of a spec that name things and states."""
    program = engine.program
    found = {*program.plans, *program.addons, *program.coupons, *program.meters, *program.templates}
    found |= {*program.events, *program.entities, *program.connections, *program.roles}
    found |= {trigger.event for trigger in program.triggers}
    types = [f.type for entity in program.entities.values() for f in entity.fields.values()]
    types += [type_ for event in program.events.values() for _, type_ in event.payload.fields]
    for type_ in types:
        if isinstance(inner := known(type_), Choice):
            found |= {*inner.values}
    return frozenset(found)


def _all_texts(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case Mapping():
            for item in value.values():
                yield from _all_texts(item)
        case list() | tuple():
            for item in value:
                yield from _all_texts(item)


def _finder(texts: frozenset[str]) -> Callable[[str], re.Pattern[str] | None]:
    """A function that gives what finds these in a text; None where it has none of them."""
    if not texts:
        return lambda text: None
    longest = sorted(texts, key=lambda text: (-len(text), text))
    pattern = re.compile("|".join(map(re.escape, longest)))
    return lambda text: pattern if pattern.search(text) else None
