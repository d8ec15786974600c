"""How the business stands: what is stuck, what waits, the newest of each. For health and people."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from ..runtime.tables import in_order
from ..store.base import CLOCK, Range, Row
from ..values import instant_text, plain
from .business import Business
from .feed import Happening, event_json

STUCK = timedelta(minutes=5)
# Effects that have no outcome, or one that a person has to decide.
OPEN = ("ready", "leased", "sent", "unknown", "dead")
SHOWN = 14
MOST = 1_000


def health(business: Business, now: datetime) -> dict[str, Any]:
    """What has been stuck for five minutes, and how the state's clock stands."""
    engine = business.engine
    effects = [row for row in _open_effects(business) if row["created"] <= now - STUCK]
    late = list(islice(_timers(business, now - STUCK), MOST))
    clock = engine.clock
    ahead = clock is not None and clock > now + STUCK
    return {
        "status": "degraded" if effects or late or ahead else "ok",
        "spec": business.program.name,
        "clock": {"now": instant_text(now), "state": instant_text(clock) if clock else None,
                  "ahead": ahead},
        "store": {"ok": True, "events": business.store.last_seq()},
        "stuck": {
            "effects": len(effects), "timers": len(late),
            "newest": [_effect(row) for row in effects[:SHOWN]],
        },
    }  # fmt: skip


def _open_effects(business: Business) -> list[Row]:
    """Effects without an outcome, the oldest first; no more than a person could look at."""
    found: list[Row] = []
    for status in OPEN:
        rows = business.engine.state.select("_effect", {"status": status}, (), (), MOST)
        found += rows
    return sorted(found, key=lambda row: (row["created"], row["order"]))


def _timers(business: Business, until: datetime) -> Iterator[Row]:
    select = business.engine.state.select
    return iter(select("_timer", {}, (Range("due", "<=", until),), (("due", False),), MOST))


def _effect(row: Row) -> dict[str, Any]:
    return Happening(0, 0, "effect", row).as_json()


def gauges(business: Business, now: datetime) -> Iterator[tuple[str, str, int, dict[str, str]]]:
    """What Prometheus is told of the state: name, meaning, value, labels."""
    store, engine = business.store, business.engine
    open_ = _open_effects(business)
    for status in OPEN:
        count = sum(row["status"] == status for row in open_)
        yield "effects", "Effects without an outcome, by status.", count, {"status": status}
    yield "log_events", "Events in the log.", store.last_seq(), {}
    yield "timers", "Timers that wait.", store.count("_timer"), {}
    yield "waits", "Handlers that wait.", store.count("_wait"), {}
    due = engine.timers.next_due
    late = max(0, int((now - due).total_seconds())) if due is not None else 0
    yield "timer_lag_seconds", "How long the earliest timer is overdue.", late, {}


def overview(business: Business, now: datetime) -> dict[str, Any]:
    """What the dashboard shows: figures, and the newest of everything."""
    engine, store, program = business.engine, business.store, business.program
    state = engine.state
    open_ = _open_effects(business)
    failed = list(state.select("_effect", {"status": "failed"}, (), (("order", True),), SHOWN))
    newest = state.select("_effect", {}, (), (("order", True),), SHOWN)
    invoices = state.select("Invoice", {}, (), in_order((("created_at", True),)), SHOWN)
    dead = state.select("_dead", {}, (), (("order", True),), SHOWN)
    timers = state.select("_timer", {}, (), (("due", False),), SHOWN)
    newest_events = store.log(max(0, store.last_seq() - 2 * SHOWN))
    entries = [entry for entry in newest_events if entry.type != CLOCK][-SHOWN:]
    who = program.bills
    return {
        "title": program.title, "spec": program.name,
        "clock": {"now": instant_text(now),
                  "state": instant_text(engine.clock) if engine.clock else None},
        "numbers": {
            "events": store.last_seq(), **({f"{who}s": store.count(who)} if who else {}),
            "invoices": store.count("Invoice"), "timers": store.count("_timer"),
            "waiting handlers": store.count("_wait"), "open effects": len(open_),
        },
        "metrics": dict(_metrics(business)),
        "events": [event_json(entry) for entry in reversed(entries)],
        "invoices": [Happening(0, 0, "invoice", row).as_json() for row in invoices],
        "effects": [_effect(row) for row in newest],
        "open": [_effect(row) for row in open_[:SHOWN]],
        "failed": [_effect(row) for row in failed],
        "refused": [
            {name: plain(row[name]) for name in ("event", "type", "at", "status", "reason")}
            for row in dead
        ],
        "waiting": [
            {"due": instant_text(row["due"]), "kind": row["kind"], "id": row["id"]}
            for row in timers
        ],
    }  # fmt: skip


def _metrics(business: Business) -> Iterator[tuple[str, Any]]:
    """The newest recorded point of each metric."""
    for name in business.program.metrics:
        points = business.engine.state.select("_point", {"metric": name}, (), (("at", True),), 1)
        for row in points:
            yield name, plain(row["value"])
