"""What a run has come to: the figures of its summary, read from the state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ..diagnostics import did_you_mean
from ..model import Counts
from ..values import Money, instant_text, show

if TYPE_CHECKING:
    from ..runtime.engine import Engine

MOST = 10_000
ISSUED = ("final", "sent", "paid", "uncollectible")
OWED = ("final", "sent")


@dataclass(slots=True)
class Summary:
    """A run and the state behind it. Totals are by currency, emails by template."""

    spec: str
    title: str
    clock: datetime | None
    events: Counts
    invoices: int = 0
    charges: int = 0
    failed_charges: int = 0
    refunds: int = 0
    disputes: Counter[str] = field(default_factory=Counter)
    transfers: int = 0
    invoiced: dict[str, Money] = field(default_factory=dict)
    paid: dict[str, Money] = field(default_factory=dict)
    open_invoices: int = 0
    owed: dict[str, Money] = field(default_factory=dict)
    emails: Counter[str] = field(default_factory=Counter)
    effects: Counter[str] = field(default_factory=Counter)
    timers: int = 0
    waits: int = 0
    next_due: datetime | None = None
    metrics: dict[str, Any] = field(default_factory=dict)
    failures: list[dict[str, Any]] = field(default_factory=list)
    strangers: list[tuple[str, int, str | None]] = field(default_factory=list)
    late: list[dict[str, Any]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The summary of `run --json`."""
        events = self.events
        return {
            "spec": self.spec,
            "clock": instant_text(self.clock) if self.clock else None,
            "events": {
                "read": events.read, "handled": events.handled, "duplicate": events.duplicate,
                "rejected": events.rejected, "unmatched": events.unmatched,
                "failed": events.failed, "malformed": events.malformed,
                "conflicts": events.conflicts,
            },
            "counts": {
                "invoices": self.invoices, "charges": self.charges,
                "failed_charges": self.failed_charges, "emails": self.emails.total(),
                "refunds": self.refunds, "transfers": self.transfers,
                "disputes": self.disputes.total(),
                "timers_pending": self.timers, "waits_pending": self.waits,
            },
            "totals": {
                "invoiced": {c: _amount(money) for c, money in sorted(self.invoiced.items())},
                "paid": {c: _amount(money) for c, money in sorted(self.paid.items())},
            },
            "metrics": {name: show(value) for name, value in self.metrics.items()},
            "rejected": [
                {key: value for key, value in refusal.items() if key != "line" or value}
                for refusal in events.refusals
            ] + self.late,
        }  # fmt: skip


def _amount(money: Money) -> str:
    return str(money).split(" ")[0]


def _add(totals: dict[str, Money], amount: Money) -> None:
    held = totals.get(amount.currency)
    totals[amount.currency] = amount if held is None else held + amount


def summarise(engine: Engine) -> Summary:
    """The figures of an engine's state and of what it has done since it was opened."""
    program = engine.program
    found = Summary(program.path, program.title, engine.clock, engine.counts)
    _money(engine, found)
    _effects(engine, found)
    state = engine.state
    found.timers = state.count("_timer", {}) - state.count("_timer", {"kind": "tick"})
    waiting = state.select("_timer", {}, (), (("due", False),))
    found.next_due = next((row["due"] for row in waiting if row["kind"] != "tick"), None)
    found.waits = state.store.count("_wait")
    if engine.clock is not None:
        found.metrics = metrics(engine, engine.clock)
    counts = engine.counts
    found.strangers = strangers(engine)
    if counts.failed:
        found.failures = _dead(engine, "failed", 20)
    if counts.late:
        # What was refused with its event has no handler of its own, and is told with the event.
        refused = [row for row in _dead(engine, "rejected", MOST) if row["handler"]]
        found.late = [_late(row) for row in refused[: counts.late][::-1]]
    return found


def _late(row: Mapping[str, Any]) -> dict[str, Any]:
    """A handler that was refused, by the event that had begun it."""
    begun = (row["retry"] or {}).get("event") or {"id": row["event"], "type": row["type"]}
    return {
        "id": begun["id"], "type": begun["type"], "reason": row["reason"], "place": row["place"],
    }  # fmt: skip


def _dead(engine: Engine, status: str, most: int) -> list[dict[str, Any]]:
    """The newest of what failed or was refused."""
    rows = engine.state.select("_dead", {"status": status}, (), (("order", True),), most)
    return [dict(row) for row in rows]


def _money(engine: Engine, found: Summary) -> None:
    for (status, total, owed), count in engine.state.tally(
        "Invoice", "status", "total", "amount_open"
    ):
        if status in ISSUED:
            found.invoices += count
            _add(found.invoiced, total * count)
        if status in OWED and owed:
            found.open_invoices += count
            _add(found.owed, owed * count)
    for (status, amount), count in engine.state.tally("Payment", "status", "amount"):
        if status in ("succeeded", "refunded"):
            found.charges += count
            _add(found.paid, amount * count)
        elif status == "failed":
            found.failed_charges += count
    found.refunds = engine.state.count("Refund", {"status": "succeeded"})
    for (status,), count in engine.state.tally("PaymentDispute", "status"):
        found.disputes[status] += count


def _effects(engine: Engine, found: Summary) -> None:
    effects = engine.state.tally("_effect", "kind", "status", "data.template")
    for (kind, status, template), count in effects:
        if status == "failed":
            continue
        if kind == "email":
            found.emails[str(template or "no template")] += count
        elif kind == "transfer":
            found.transfers += count
        elif kind not in ("charge", "refund"):
            found.effects[kind] += count


def strangers(engine: Engine) -> list[tuple[str, int, str | None]]:
    """The types of events that nothing handles, most first: how many came, and what was meant."""
    program = engine.program
    known = [name for name, event in program.events.items() if event.declared]
    known += [type_ for handler in program.handlers if handler.pattern is not None
              for type_ in handler.pattern.types if "*" not in type_]  # fmt: skip
    counts = sorted(engine.counts.strangers.items(), key=lambda pair: (-pair[1], pair[0]))
    return [(type_, count, _meant(type_, known)) for type_, count in counts]


def _meant(type_: str, known: Sequence[str]) -> str | None:
    return None if type_ in known else did_you_mean(type_, known)


def unattended(engine: Engine, found: Summary) -> list[str]:
    """What a founder would rather hear now: nobody sees to payments that fail."""
    program = engine.program
    if not found.failed_charges or program.dunning is not None:
        return []
    failed = engine.state.select("Payment", {"status": "failed"})
    if all(row["invoice"] is None for row in failed):
        return []  # charges of the author's own, of which each says how it went
    types = [type_ for handler in program.handlers if handler.pattern is not None
             for type_ in handler.pattern.types]  # fmt: skip
    if {"Payment.failed", "Invoice.payment_failed", "Subscription.past_due"} & {*types}:
        return []
    return [
        "payments failed, and no `dunning` says what then: they are not tried again, and what they "
        "are for goes on"
    ]


def metrics(engine: Engine, now: datetime) -> dict[str, Any]:
    """Every metric as of now: computed, or its newest recorded point; those without are left
    out."""
    found: dict[str, Any] = {}
    envelope = {"id": "summary", "type": "summary", "time": now, "subject": None}
    for name, metric in engine.program.metrics.items():
        if metric.value is not None:
            value = engine.schedules.value(name, now, f"summary/{name}", envelope)
        else:
            newest = engine.state.select("_point", {"metric": name}, (), (("at", True),), 1)
            value = next((row["value"] for row in newest), None)
        if value is not None:
            found[name] = value
    return found
