"""What happened in a stretch of a test: effects, actions, invoices, events, in one shape."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from ..actions.signatures import RECIPIENTS
from ..lang import ast
from ..lossless import from_json
from ..model import Outcome
from ..store.base import INTERNAL, LogEntry, Row
from ..values import Money, instant, literal, number, plain, show

if TYPE_CHECKING:
    from .actions import Actions
    from .engine import Engine
    from .work import Work

# What leaves the state through the outbox; every other action is seen where it is performed.
_SENT = {"email", "charge", "refund", "transfer", "notify", "slack", "webhook", "http"}
# What brings an invoice about: a draft counts again when it becomes final.
_MADE = ("Invoice.created", "Invoice.finalized")
_TELLING = (
    "to",
    "template",
    "subject",
    "customer",
    "amount",
    "status",
    "message",
    "channel",
    "text",
)
_SHORT = 60
_FIRST = 4


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing that happened, with its fields; `at` is an instant, `order` when it was asked."""

    kind: str
    fields: Mapping[str, Any]
    at: datetime | None = None
    order: int = 0

    def value(self, name: str) -> Any:
        """A field; none where it has none of that name."""
        return self.fields.get(name)


class Watched:
    """The actions of an engine, with a note in the state of each that was performed.

    The note is a row, so that what a handler did is forgotten with everything else where it fails.
    """

    def __init__(self, actions: Actions) -> None:
        self._actions = actions
        self.done: list[tuple[str, Any, dict[str, Any], datetime]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._actions, name)

    def perform(
        self,
        work: Work,
        name: str,
        target: Any,
        data: dict[str, Any],
        site: object,
        place: Any,
        resume: dict[str, Any] | None,
    ) -> tuple[Any, bool]:
        """Does an action and remembers that it was asked for."""
        if name not in _SENT and "." not in name:
            order = work.engine.next_order()
            key = f"test|{len(self.done)}"
            row: Row = {
                "id": key, "order": order, "event": "", "place": "test", "text": name,
            }  # fmt: skip
            self.done.append((name, target, dict(data), work.now))
            work.engine.state.replace("_note", key, None, row)
        return self._actions.perform(work, name, target, data, site, place, resume)

    def outcome(self, work: Work, effect: Row, outcome: Outcome) -> Any:
        """As the actions say."""
        return self._actions.outcome(work, effect, outcome)


class Happenings:
    """Reads what an engine did since `begin`."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.watched = Watched(engine.actions)
        engine.actions = self.watched
        self._order = 0
        self._seq = 0

    def begin(self) -> None:
        """From here on it counts."""
        self._order = self.engine.last_order
        self._seq = self.engine.state.store.last_seq()

    def of(self, stmt: ast.ExpectEffect, target: str | None) -> list[Happening]:
        """What an expectation looks at: what happened of its kind since `begin`, in order."""
        return self._of(stmt, target, self._order, self._seq)

    def before(self, stmt: ast.ExpectEffect, target: str | None) -> list[Happening]:
        """What happened of its kind before that."""
        now = len(self.of(stmt, target))
        everything = self._of(stmt, target, 0, 0)
        return everything[: len(everything) - now]

    def _of(
        self, stmt: ast.ExpectEffect, target: str | None, order: int, seq: int
    ) -> list[Happening]:
        if stmt.kind == "event":
            return self._events(stmt.event or "", seq)
        if stmt.kind == "invoice":
            return self._invoices(seq)
        if stmt.kind in _SENT or "." in stmt.kind:
            return self._effects(stmt.kind, target, order)
        return self._actions(stmt.kind, target, order)

    def _effects(self, kind: str, target: str | None, order: int) -> list[Happening]:
        rows = list(self.engine.state.select("_effect", {"kind": kind}))
        rows = sorted((r for r in rows if r["order"] > order), key=lambda r: r["order"])
        found = []
        for row in rows:
            if target is not None and row["data"].get("target") != target:
                continue
            status = {"done": "succeeded"}.get(row["status"], row["status"])
            # What the author wrote hides what we know of it under the same name.
            ours = {
                "customer": row["customer"], "status": status, "error": row["error"],
                "at": row["created"], "reference": row["reference"],
            }  # fmt: skip
            body = row["data"].get("body")
            fields = {**ours, **row["data"], **(body if isinstance(body, Mapping) else {})}
            found.append(Happening(kind, fields, row["created"], row["order"]))
        return found

    def _actions(self, name: str, target: str | None, order: int) -> list[Happening]:
        found = []
        for row in self.engine.state.select("_note", {}):
            if row["order"] <= order or not row["id"].startswith("test|") or row["text"] != name:
                continue
            _, aim, data, at = self.watched.done[int(row["id"].removeprefix("test|"))]
            if target is None or aim == target:
                found.append(Happening(name, data, at, row["order"]))
        return sorted(found, key=lambda happening: happening.order)

    def _invoices(self, seq: int) -> list[Happening]:
        """Those that were made since, and drafts that became final since: each once."""
        found: dict[str, Happening] = {}
        for event in self._events("Invoice.*", seq):
            key = event.fields.get("invoice")
            if event.kind not in _MADE or not isinstance(key, str):
                continue
            row = self.engine.state.get("Invoice", key)
            if row is not None:
                # What became final last stands last: `before` counts on it.
                found.pop(key, None)
                found[key] = Happening("invoice", row, event.at)
        return list(found.values())

    def _events(self, type_: str, seq: int) -> list[Happening]:
        from .waits import fits

        found = []
        for entry in self.engine.state.store.log(seq):
            if fits(type_, entry.type) and entry.status != "rejected":
                fields = self._payload(entry)
                found.append(Happening(entry.type, fields, instant(entry.time)))
        return found

    def _payload(self, entry: LogEntry) -> Mapping[str, Any]:
        """An event's payload as handlers saw it, exact values and defaults included."""
        from .work import Work

        data = decode_raw(entry.raw)
        if entry.source == INTERNAL:
            data = from_json(data)
            return data if isinstance(data, dict) else {}
        data = data.get("data") or {}
        declared = self.engine.program.events.get(entry.type)
        if declared is None or not declared.declared:
            return data if isinstance(data, dict) else {}
        work = Work(self.engine, instant(entry.time), entry.id, {"id": entry.id}, None)
        defaults = declared.defaults
        return self.engine.intake.payload(
            declared, data, lambda name: self.engine.compiled(defaults[name], ())(work)
        )

    def refused(self, since_begin: bool = False) -> list[Mapping[str, Any]]:
        """What failed or was refused, so far or since `begin`."""
        rows = sorted(self.engine.state.select("_dead", {}), key=lambda row: row["order"])
        return [row for row in rows if not since_begin or row["order"] > self._order]


decode_raw = msgspec.json.Decoder(float_hook=number).decode


# --- comparing ---------------------------------------------------------------------------------


def fits(found: Happening, wants: Mapping[str, Any]) -> bool:
    """Whether what happened has these fields; a name that is missing does not fit."""
    return all(_has(found, name, value) for name, value in wants.items())


def _has(found: Happening, name: str, value: Any) -> bool:
    """Whether a field is as wanted; of several recipients of an email one is enough."""
    given = found.value(name)
    if found.kind == "email" and name in RECIPIENTS and isinstance(given, str):
        return given == value or value in given.split(", ")
    return same(given, value)


def same(found: Any, value: Any) -> bool:
    """Whether a wanted value is what was found.

    A map needs only have the wanted fields; a row equals its key; a text that left the state as
    JSON equals the value that it was written from.
    """
    if isinstance(found, Mapping) and isinstance(value, Mapping):
        return all(same(found.get(name), inner) for name, inner in value.items())
    if isinstance(found, Mapping) and isinstance(value, str):
        return any(found.get(name) == value for name in ("$key", "id"))
    if isinstance(found, bool) != isinstance(value, bool):
        return False
    if isinstance(found, Money) and isinstance(value, Money):
        return found == value and found.currency == value.currency
    if isinstance(found, list | tuple) and isinstance(value, list | tuple):
        pairs = zip(found, value, strict=False)
        return len(found) == len(value) and all(same(a, b) for a, b in pairs)
    if isinstance(value, date) and isinstance(found, str):
        return found == show(value)
    if isinstance(value, Money):
        return bool(found == plain(value)) or (isinstance(found, str) and found == show(value))
    return bool(found == value)


# --- words -------------------------------------------------------------------------------------


def named(stmt: ast.ExpectEffect) -> str:
    """What an expectation is about: `email`, `event Invoice.paid`, `shippo.post "/x"`."""
    return f"event {stmt.event}" if stmt.kind == "event" else stmt.kind


def counted(count: int, stmt: ast.ExpectEffect) -> str:
    """`1 email`, `2 emails`, `no refund`, `2 events Invoice.paid`."""
    number_ = f"{count:,}" if count else "no"
    if count in (0, 1):
        return f"{number_} {named(stmt)}"
    if stmt.kind == "event":
        return f"{number_} events {stmt.event}"
    regular = stmt.kind.isalpha() and stmt.kind not in ("notify", "slack")
    return f"{number_} {stmt.kind}{'s' if regular else ''}"


def wanted(stmt: ast.ExpectEffect) -> str:
    """What was expected, in words: `1 email`, `no refund`, `at least 1 email`."""
    if stmt.count is None:
        return f"at least {counted(1, stmt)}"
    return counted(stmt.count, stmt)


def describe(found: Happening, wants: Mapping[str, Any]) -> str:
    """What was there instead: the fields that were asked for, else the telling ones."""
    names = list(wants) or [n for n in _TELLING if found.value(n) is not None]
    # Of what is none of ours, as an event's payload, its own first fields tell.
    names = names or [n for n, value in found.fields.items() if value is not None][:_FIRST]
    shown = ", ".join(f"{name}: {short(found.value(name))}" for name in names)
    when = f"  at {show(found.at)}" if found.at is not None else ""
    return (f"{found.kind} {{ {shown} }}" if shown else found.kind) + when


def short(value: Any) -> str:
    """A value as it is written, cut where it is long."""
    text = literal(value)
    return text if len(text) <= _SHORT else text[: _SHORT - 1] + "…"


def missing(candidates: Iterable[Happening], wants: Mapping[str, Any]) -> list[str]:
    """The wanted fields that no candidate has: `to: "ada@example.com"`."""
    all_ = list(candidates)
    return [
        f"{name}: {short(value)}"
        for name, value in wants.items()
        if not any(_has(found, name, value) for found in all_)
    ]
