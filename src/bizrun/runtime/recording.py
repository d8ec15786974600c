"""What a run leaves for people: log lines, points of metrics, and what failed and why."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from ..lossless import all_plain, to_json
from ..model import Event
from ..store.base import Row
from ..values import instant_text
from .work import Work

if TYPE_CHECKING:
    from .engine import Engine

_encode = msgspec.json.Encoder().encode
MAX_NOTE = 10_000


class Recording:
    """Writes the tables that only people read."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def note(self, work: Work, message: str) -> None:
        """A line of `log`."""
        order = self.engine.next_order()
        key = f"{order:012}"
        row: Row = {
            "id": key, "order": order, "event": str(work.event.get("id", "")),
            "place": work.handler, "text": message[:MAX_NOTE],
        }  # fmt: skip
        self.engine.state.replace("_note", key, None, row)

    def point(self, metric: str, at: datetime, value: Any, base: str) -> None:
        """A point of a metric; a second one of the same work at the same time replaces it."""
        key = f"{metric}|{instant_text(at)}|{base}"
        row: Row = {"id": key, "metric": metric, "at": at, "value": value}
        self.engine.state.put("_point", key, row)

    def dead(
        self,
        event: Event,
        status: str,
        reason: str,
        place: str | None,
        handler: str,
        retry: dict[str, Any] | None,
    ) -> None:
        """Keeps what was refused or failed, with all that a retry needs."""
        order = self.engine.next_order()
        key = f"dead_{order:010}"
        row: Row = {
            "id": key, "order": order, "event": event.id, "type": event.type, "at": event.time,
            "handler": handler, "place": place or "", "status": status, "reason": reason[:2000],
            "retry": retry,
        }  # fmt: skip
        self.engine.state.replace("_dead", key, None, row)
        counts = self.engine.counts
        if status == "failed":
            counts.failed += 1
        elif handler:
            counts.late += 1

    @staticmethod
    def raw(event: Event) -> str:
        """The JSON of an emitted event's payload for the log."""
        data = event.data
        return _encode(data if all_plain(data) else to_json(data)).decode()
