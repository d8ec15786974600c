"""What happened in a stretch of a test: effects, invoices and events, in one shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from ..lang import ast
from ..store.base import INTERNAL
from ..values import from_json, number, show

if TYPE_CHECKING:
    from .engine import Engine

_EFFECTS = ("email", "charge", "refund", "transfer")


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing that happened, with its fields."""

    kind: str
    fields: Mapping[str, Any]

    def value(self, name: str) -> Any:
        """A field; none where it has none of that name."""
        return self.fields.get(name)


class Happenings:
    """Reads what an engine did since `begin`."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._order = 0
        self._seq = 0

    def begin(self) -> None:
        """From here on it counts."""
        self._order = self.engine.last_order
        self._seq = self.engine.state.store.last_seq()

    def of(self, kind: str, event: str | None, target: str | None) -> list[Happening]:
        """What happened of a kind, in order."""
        if kind == "event":
            return self._events(event or "")
        if kind == "invoice":
            return self._invoices()
        return self._effects(kind, target)

    def _effects(self, kind: str, target: str | None) -> list[Happening]:
        rows = list(self.engine.state.select("_effect", {"kind": kind}))
        rows = sorted((r for r in rows if r["order"] > self._order), key=lambda r: r["order"])
        found = []
        for row in rows:
            if target is not None and row["data"].get("target") != target:
                continue
            status = {"done": "succeeded"}.get(row["status"], row["status"])
            fields = {**row["data"], "status": status, "error": row["error"]}
            body = fields.get("body")
            if isinstance(body, Mapping):
                fields = {**body, **fields}
            found.append(Happening(kind, fields))
        return found

    def _invoices(self) -> list[Happening]:
        created = [h.fields.get("invoice") for h in self._events("Invoice.created")]
        rows = [self.engine.state.get("Invoice", key) for key in created if isinstance(key, str)]
        return [Happening("invoice", row) for row in rows if row is not None]

    def _events(self, type_: str) -> list[Happening]:
        from .waits import fits

        found = []
        for entry in self.engine.state.store.log(self._seq):
            if not fits(type_, entry.type) or entry.status == "rejected":
                continue
            data = _decode(entry.raw)
            if entry.source == INTERNAL:
                data = from_json(data)
            else:
                data = data.get("data") or {}
            found.append(Happening(entry.type, data if isinstance(data, dict) else {}))
        return found

    def refused(self) -> list[Mapping[str, Any]]:
        """What failed or was refused so far."""
        return sorted(self.engine.state.select("_dead", {}), key=lambda row: row["order"])

    def fired(self) -> set[str]:
        """The places of the handlers that ran."""
        places: set[str] = set()
        for entry in self.engine.state.store.log():
            places.update((entry.fired or "").split(","))
        return places - {""}


_decode = msgspec.json.Decoder(float_hook=number).decode


def wanted(stmt: ast.ExpectEffect) -> str:
    """What was expected, in words: `1 email`, `no refund`, `an email`."""
    name = f"event {stmt.event}" if stmt.kind == "event" else stmt.kind
    if stmt.count is None:
        return f"at least one {name}"
    if stmt.count == 0:
        return f"no {name}"
    plural = "" if stmt.count == 1 or stmt.kind == "event" else "s"
    return f"{stmt.count} {name}{plural}"


def describe(found: Happening, wants: Mapping[str, Any]) -> str:
    """What was there instead: the fields that were asked for, else the telling ones."""
    names = list(wants) or [n for n in ("to", "template", "amount", "customer") if n in found.fields]
    shown = ", ".join(f"{name}: {_short(found.value(name))}" for name in names)
    return f"{found.kind} {{ {shown} }}" if shown else found.kind


def _short(value: Any) -> str:
    text = f'"{value}"' if isinstance(value, str) else show(value)
    return text if len(text) <= 60 else text[:57] + "…"
