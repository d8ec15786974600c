"""The outbox: effects are rows, written with the changes that asked for them.

The sandbox answers at once and in this process; live providers are called by a worker that
leases rows. Either way an outcome comes back here, becomes an event and wakes who waited.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from ..model import Effect, Outcome
from ..store.base import Row
from .work import Work

if TYPE_CHECKING:
    from .engine import Engine

Deliver = Callable[[Effect], Outcome]
KEY_VERSION = "1"


def idempotency_key(*parts: str) -> str:
    """SHA-256 over the length-prefixed parts (RELIABILITY.md 4): never random, never a clock."""
    encoded = [part.encode() for part in (KEY_VERSION, *parts)]
    whole = b"".join([len(part).to_bytes(4, "big") + part for part in encoded])
    return sha256(whole).hexdigest()


class Outbox:
    """Effects of one engine; `deliver` is None where a worker of its own calls the providers."""

    def __init__(self, engine: Engine, deliver: Deliver | None) -> None:
        self.engine = engine
        self.deliver = deliver

    def add(
        self,
        work: Work,
        kind: str,
        data: Mapping[str, Any],
        site: object,
        place: str,
        customer: str | None,
        resume: Mapping[str, Any] | None,
    ) -> Effect:
        """Writes an effect; it is delivered after the changes that asked for it are kept."""
        key = idempotency_key("", work.base, str(site), kind)
        order = self.engine.next_order()
        cause = work.event.get("id", work.base)
        effect = Effect(key, kind, dict(data), work.now, cause, place, customer, order)
        row: Row = {
            "id": key, "order": order, "kind": kind, "status": "ready", "data": effect.data,
            "created": work.now, "event": cause, "place": place, "customer": customer,
            "resume": dict(resume) if resume else None, "error": None, "answer": None,
            "reference": None, "attempts": 0, "depth": work.depth,
        }  # fmt: skip
        self.engine.state.replace("_effect", key, None, row)
        if self.deliver is not None:
            self.engine.later(("deliver", effect))
        return effect

    def send(self, effect: Effect) -> None:
        """Delivers an effect of the sandbox and takes its outcome."""
        assert self.deliver is not None
        self.settle(effect.id, self.deliver(effect))

    def settle(self, key: str, outcome: Outcome) -> None:
        """Takes an outcome: the row, what it changes, who waited for it."""
        state = self.engine.state
        row = state.get("_effect", key)
        assert row is not None, key
        status = {"succeeded": "done", "failed": "failed"}.get(outcome.status, "unknown")
        settled = {
            **row, "status": status, "error": outcome.error, "answer": outcome.data,
            "reference": outcome.reference, "attempts": row["attempts"] + 1, "resume": None,
        }  # fmt: skip
        state.replace("_effect", key, row, settled)
        if status == "unknown":
            state.replace("_effect", key, settled, {**settled, "resume": row["resume"]})
            return
        self.engine.outcome(settled, outcome, row["resume"])
