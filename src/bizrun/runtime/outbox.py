"""The outbox: effects are rows, written with the changes that asked for them.

The sandbox answers at once and in this process; live providers are called by a worker that
leases rows (`delivery`). Either way an outcome comes back here, becomes an event and wakes who
waited.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from ..lossless import to_json
from ..model import Effect, Outcome
from ..store.base import Row
from ..values import Money
from .work import Work

if TYPE_CHECKING:
    from .engine import Engine

Deliver = Callable[[Effect], Outcome]
KEY_VERSION = "2"
STATUSES = {"succeeded": "done", "failed": "failed", "pending": "sent", "unknown": "unknown"}


def idempotency_key(*parts: str) -> str:
    """SHA-256 over the length-prefixed parts (RELIABILITY.md 4): never random, never a clock."""
    whole = "".join([f"{len(part)}:{part}" for part in (KEY_VERSION, *parts)])
    return sha256(whole.encode()).hexdigest()


def payload_hash(data: Mapping[str, Any]) -> str:
    """SHA-256 of a payload as it is stored: a retry sends what was written (RELIABILITY.md 5)."""
    return sha256(json.dumps(to_json(data), sort_keys=True).encode()).hexdigest()


def effect_of(row: Row) -> Effect:
    """The effect that a row of the outbox holds."""
    return Effect(
        row["id"], row["kind"], row["data"], row["created"], row["event"], row["place"],
        row["customer"], row["order"],
    )  # fmt: skip


class Outbox:
    """Effects of one engine: answered at once by `deliver`, or handed to a worker's `queue`."""

    def __init__(self, engine: Engine, deliver: Deliver | None) -> None:
        self.engine = engine
        self.deliver = deliver
        self.queue: Callable[[Effect], None] | None = None

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
        key = idempotency_key(work.tenant or "", work.base, str(site), kind)
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
        self.engine.later(effect)
        return effect

    def send(self, effect: Effect) -> None:
        """Has an effect delivered: by the sandbox at once, or by the worker after the commit."""
        if self.deliver is not None:
            self.settle(effect.id, self.deliver(effect))
        elif self.queue is not None:
            self.queue(effect)

    def settle(self, key: str, outcome: Outcome) -> None:
        """Takes an outcome: the row, what it changes, who waited for it."""
        state = self.engine.state
        row = state.get("_effect", key)
        assert row is not None, key
        status, resume = outcome.status, row["resume"]
        settled = row.copy()
        settled["status"] = STATUSES[status]
        settled["error"] = outcome.error
        settled["answer"] = outcome.data
        settled["attempts"] = row["attempts"] + 1
        if outcome.reference:
            settled["reference"] = outcome.reference
        if status == "pending" or status == "unknown":
            state.replace("_effect", key, row, settled)
            return
        settled["resume"] = None
        state.replace("_effect", key, row, settled)
        self.engine.outcome(settled, outcome, resume, row["status"] in ("done", "failed"))

    def again(self, key: str, later: bool) -> None:
        """Does what follows from an outcome once more: the first time that failed."""
        row = self.engine.state.get("_effect", key)
        assert row is not None, key
        answered = row["error"], row["answer"], row["reference"]
        done = row["status"] == STATUSES["succeeded"]
        outcome = Outcome("succeeded", *answered) if done else Outcome("failed", *answered)
        self.engine.outcome(row, outcome, None, later)

    def heard(
        self, key: str, outcome: Outcome, kind: str | None = None, amount: Money | None = None
    ) -> bool:
        """Takes an outcome that a provider tells by itself: one that is still open, or one that
        has changed since. `kind` and `amount` are what the provider says it was.

        False while the call is under way: its answer, or the same message again, will tell.
        """
        row = self.engine.state.get("_effect", key)
        if row is None or (kind is not None and row["kind"] != kind):
            return True
        if amount is not None and row["data"].get("amount") != amount:
            return True
        if row["status"] == "leased":
            return False
        if row["status"] in ("sent", "unknown") or _changed(row, outcome):
            self.engine.settle(key, outcome)
        return True


def _changed(row: Row, outcome: Outcome) -> bool:
    """Whether an effect that was over has ended otherwise since: money that came in after all
    (a payment that its customer tried again by another card), or a refund that came back."""
    match row["kind"], row["status"], outcome.status:
        case "charge", "failed" | "dead" | "ready", "succeeded":
            return True
        case "refund", "done", "failed":
            return True
    return False
