"""What becomes due: one queue of rows for waits, schedules, triggers and billing.

Only the next few hundred are kept in memory, so a million pending timers cost nothing until then.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ..model import Event
from ..store.base import Row
from ..values import instant_stamp
from .state import SUBSCRIPTION
from .work import Work

if TYPE_CHECKING:
    from .engine import Engine

CHUNK = 500
# So many that come before the last of those in memory are put among them; then all are read anew.
MOST_ADDED = 2_000
# How long after it failed a piece of billing is tried again.
AGAIN = timedelta(days=1)
_ALWAYS = datetime.max.replace(tzinfo=UTC)


def _place(row: Row) -> tuple[datetime, int]:
    """Where a timer stands among all."""
    return row["due"], row["order"]


class Timers:
    """The timers of one engine. Fired in order of instant, then of registration."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.next_due: datetime | None = None
        # All timers up to the horizon, and some that are none any more; it is empty without one.
        self._heap: list[tuple[datetime, int, str]] = []
        self._horizon: datetime | None = None
        self._added = 0
        # Those of the heap that nobody has touched while they fire, by key.
        self._fetched: dict[str, Row] = {}
        # The pieces of it whose work has yet to be read for, each by the place of its first.
        self._ahead: deque[tuple[tuple[datetime, int], Sequence[Row]]] = deque()
        self.look()

    def look(self) -> None:
        """Finds the earliest instant: in memory, else in the store."""
        while self._heap and not self._stands(*self._heap[0]):
            heapq.heappop(self._heap)
        if self._heap:
            self.next_due = self._heap[0][0]
            return
        self._horizon = None
        first = self.engine.state.select("_timer", {}, (), (("due", False),), 1)
        self.next_due = next((row["due"] for row in first), None)

    def _stands(self, due: datetime, order: int, key: str) -> bool:
        """Whether a timer of the heap still is, as it was put there."""
        row = self.engine.state.get("_timer", key)
        return row is not None and _place(row) == (due, order)

    def add(self, key: str, due: datetime, kind: str, task: dict[str, Any]) -> None:
        """Registers or replaces a timer; one in the past fires at once, at the present."""
        state = self.engine.state
        order = self.engine.next_order()
        row: Row = {"id": key, "due": due, "order": order, "kind": kind, "task": task}
        self._fetched.pop(key, None)
        state.put("_timer", key, row)
        if self.next_due is None or due < self.next_due:
            self.next_due = due
        if self._horizon is not None and due <= self._horizon:
            heapq.heappush(self._heap, (due, order, key))
            self._added += 1
            if self._added > MOST_ADDED:
                self._heap.clear()
                self._horizon = None

    def cancel(self, key: str) -> None:
        """Drops a timer, if it still is."""
        old = self.engine.state.get("_timer", key)
        if old is not None:
            self._fetched.pop(key, None)
            self.engine.state.replace("_timer", key, old, None)

    def fire(self, until: datetime, between: Callable[[], None] | None = None) -> None:
        """Fires all that is due at or before an instant, and what that makes due."""
        while self.next_due is not None and self.next_due <= until:
            if self._horizon is None:
                self._fetch(until)
            while self._heap and self._heap[0][0] <= until:
                place = heapq.heappop(self._heap)
                while self._ahead and self._ahead[0][0] <= place[:2]:
                    self._preload(self._ahead.popleft()[1])
                row = self._fetched.pop(place[2], None) or self.engine.state.get("_timer", place[2])
                if row is not None and _place(row) == place[:2]:
                    self._fire_one(row, place[0])
            self._fetched.clear()
            if between is not None:
                between()
            self.look()

    def _fetch(self, until: datetime) -> None:
        """Reads the timers that come next, also behind `until`."""
        # By instant alone, so that the store reads no more than a chunk.
        select, due = self.engine.state.select, (("due", False),)
        rows = list(select("_timer", {}, (), due, CHUNK))
        horizon = _ALWAYS
        if len(rows) == CHUNK:
            horizon = rows[-1]["due"]
            rows = [row for row in rows if row["due"] < horizon]
            rows += select("_timer", {"due": horizon})
        rows.sort(key=_place)
        self._heap = [(*_place(row), row["id"]) for row in rows]
        self._horizon, self._added = horizon, 0
        now = [row for row in rows if row["due"] <= until]
        self._fetched = {row["id"]: row for row in now}
        pieces = [now[start : start + CHUNK] for start in range(0, len(now), CHUNK)]
        self._ahead = deque((_place(piece[0]), piece) for piece in pieces)

    def _preload(self, rows: Sequence[Row]) -> None:
        """Has the store read together what the work of these timers reads first."""
        asked: dict[str, list[str]] = {}
        for row in rows:
            for table, key in self._reads(row["kind"], row["task"]):
                asked.setdefault(table, []).append(key)
        state, bills = self.engine.state, self.engine.program.bills
        for table, keys in asked.items():
            state.store.preload(table, keys)
        if bills is not None and SUBSCRIPTION in asked:
            subs = [state.get(SUBSCRIPTION, key) for key in asked[SUBSCRIPTION]]
            state.store.preload(bills, [sub["customer"] for sub in subs if sub is not None])

    def _reads(self, kind: str, task: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """The rows, by table and key, that a timer's work is sure to read, as far as is known."""
        match kind:
            case "segment":
                yield from self.engine.waits.reads(task)
            case "billing" if "sub" in task:
                yield SUBSCRIPTION, task["sub"]

    def _fire_one(self, row: Row, due: datetime) -> None:
        engine = self.engine
        now = due if engine.clock is None else max(due, engine.clock)
        engine.clock = now
        engine.state.replace("_timer", row["id"], row, None)
        key = row["id"]
        base = f"{key}@{instant_stamp(now)}"
        engine.step(now, base, lambda: self._do(row["kind"], key, row["task"], now, base))
        engine.drain()

    def _do(self, kind: str, key: str, task: dict[str, Any], now: datetime, base: str) -> None:
        """What a timer is for."""
        engine = self.engine
        match kind:
            case "segment":
                if task.get("wait"):
                    engine.waits.forget(task["wait"])
                source = Event(key, "timer", now, {}, depth=task.get("depth", 0))
                engine.waits.go_on(task, None, now, key, source)
            case "timeout":
                engine.waits.timeout(task["wait"], now)
            case "tick":
                engine.schedules.tick(key, task, now)
            case "trigger" if task["trigger"] in engine.triggers.triggers:
                trigger = engine.triggers.triggers[task["trigger"]]
                engine.triggers.evaluate(trigger, task["key"], now, base, None)
            case "anew":
                engine.triggers.anew(task, now, base)
            case "arrow":
                engine.lifecycles.due(task, now, base)
            case "billing":
                envelope = {"id": base, "type": "billing", "time": now, "subject": None}
                work = Work(engine, now, base, envelope, None)
                again = (key, "billing", task)
                engine.guarded(work, lambda: engine.actions.due(work, task), again=again)
            case "outcome":
                engine.outbox.again(task["effect"], bool(task.get("later")))
