"""What a person does to the outbox: stop and start a connector, say how an effect went.

Each act is written to the event log: what, who and when. The caller drains and commits.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from ..model import Event, Outcome
from ..store.base import INTERNAL
from ..values import instant_text

if TYPE_CHECKING:
    from .engine import Engine


@dataclass(frozen=True, slots=True)
class Person:
    """Who acts, and when by the wall clock."""

    name: str
    at: datetime


def audit(engine: Engine, person: Person, act: str, about: str, **more: Any) -> None:
    """Writes what a person did to the event log."""
    data = {"about": about, "by": person.name, "at": instant_text(person.at), **more}
    order = engine.next_order()
    event = Event(f"audit-{order}", f"Audit.{act}", engine.clock or person.at, data, INTERNAL)
    engine.log(event, msgspec.json.encode(data).decode(), "handled", None, None)


def stop(engine: Engine, person: Person, name: str, reason: str | None) -> None:
    """Sends nothing by a name from here on: a connector, or a customer's money."""
    if engine.state.get("_switch", name) is None:
        row = {"id": name, "by": person.name, "at": person.at, "reason": reason}
        engine.state.put("_switch", name, row)
        engine.state.settle()
        audit(engine, person, "stopped", name, reason=reason)


def start(engine: Engine, person: Person, name: str) -> bool:
    """Lets a name go on; False where it was not stopped."""
    if engine.state.get("_switch", name) is None:
        return False
    engine.state.put("_switch", name, None)
    engine.state.settle()
    audit(engine, person, "started", name)
    return True


def resolve(engine: Engine, person: Person, key: str, outcome: Outcome) -> None:
    """Says how an effect went of which nobody else can."""
    engine.settle(key, outcome)
    audit(engine, person, "resolved", key, outcome=outcome.status, error=outcome.error)
