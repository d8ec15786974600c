"""What `preview` says is what the next invoice says, to the unit and line by line."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bizrun.actions.preview import after_change, next_invoice
from bizrun.actions.toolbox import Toolbox
from bizrun.errors import Refusal
from bizrun.model import Event
from bizrun.providers.sandbox import Sandbox
from bizrun.runtime.engine import Engine
from bizrun.runtime.work import Work
from bizrun.store.memory import MemoryStore

from .test_billing_specs import GOLDEN, books, load, numbers, step

ACCOUNTS = {"a": "US", "b": "DE", "c": "FR"}
TOTALS = ("currency", "subtotal", "discount", "tax", "total", "credit", "amount_due")
LINES = ("kind", "description", "quantity", "amount", "discount", "tax", "period_start")


def world(seed: int, steps: int, catalog: str = "chaos") -> Engine:
    """An engine after a random walk, on which payments succeed from now on."""
    _, program = load(GOLDEN / f"{catalog}.biz")
    rng, sandbox = random.Random(seed), Sandbox()
    engine = Engine(program, MemoryStore(), Toolbox(), sandbox.deliver, True)
    now = datetime(2026, 1, 30, 12, tzinfo=UTC)
    engine.advance(now)
    for name, country in ACCOUNTS.items():
        row = dict.fromkeys(program.entities["Account"].fields)
        row |= {"id": name, "country": country, "payment_method": "pm", "created_at": now,
                "updated_at": now}  # fmt: skip
        engine.state.put("Account", name, row)
    for number in range(steps):
        account = rng.choice(list(ACCOUNTS))
        type_, data = step(engine, rng, sandbox, account)
        if catalog == "chaos_more":
            type_, data = more(engine, rng, account) or (type_, data)
        engine.submit(Event(f"e{number}", type_, now, data), "{}")
        now += timedelta(hours=rng.choice((0, 1, 7, 30, 24 * 9)))
        engine.advance(now)
    sandbox.payments_succeed()
    engine.commit()
    return engine


def more(engine: Engine, rng: random.Random, account: str) -> tuple[str, dict[str, Any]] | None:
    """What only chaos_more.biz knows; often a subscription, where an account has none."""
    known = {"account": account}
    living = [s for s in engine.state.subscriptions(account) if s["ended_at"] is None]
    if not living and rng.random() < 0.8:
        plan = rng.choice(("small", "large", "team", "after"))
        interval = rng.choice(("month", "year")) if plan == "small" else None
        return "Do.subscribe", {**known, "plan": plan, "interval": interval}
    if rng.random() < 0.65:
        return None
    amount = f"{rng.randint(1, 900)}.{rng.randint(10, 99)} USD"
    sold = {"price": f"{rng.randint(1, 60)} USD", "only": rng.choice(("none", "calls", "usage"))}
    model = rng.choice(("small", "large", "other"))
    return rng.choice(
        (
            ("Sale.made", {**known, "amount": amount}),
            ("Disk.seen", {**known, "gb": rng.randint(0, 300)}),
            ("Credit.sold", {**known, "amount": f"{rng.randint(5, 60)} USD", **sold}),
            ("Part.billed", known),
            ("Api.called", {**known, "units": rng.randint(1, 400), "model": model}),
        )
    )


def asked(engine: Engine, customer: str, at: datetime | None) -> Mapping[str, Any] | None:
    assert engine.clock is not None
    envelope = {"id": "x", "type": "x", "time": engine.clock, "subject": None}
    try:
        return next_invoice(Work(engine, engine.clock, "x", envelope, None), customer, at)
    except Refusal:
        return None


def final(engine: Engine, customer: str) -> list[dict[str, Any]]:
    rows = engine.state.select("Invoice", {"customer": customer}, (), (("created_at", False),))
    return [row for row in rows if row["status"] != "draft"]


def following(engine: Engine, customer: str, at: datetime | None) -> dict[str, Any] | None:
    """The invoice that becomes final next, or next after an instant."""
    assert engine.clock is not None
    known = {row["id"] for row in final(engine, customer)}
    end = max(engine.clock, at or engine.clock) + timedelta(days=800)
    while (due := engine.timers.next_due) is not None and due <= end:
        engine.advance(due)
        for row in final(engine, customer):
            if row["id"] not in known:
                if at is None or row["issued_at"] >= at:
                    return row
                known.add(row["id"])
    return None


def last_renewal(engine: Engine, customer: str) -> datetime | None:
    """When the last of the periods that run is over."""
    subs = engine.state.subscriptions(customer)
    return max((sub["period_end"] for sub in subs if sub["ended_at"] is None), default=None)


def lines(rows: list[Mapping[str, Any]]) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in LINES) for row in rows]


@pytest.mark.parametrize("seed", range(40))
def test_a_preview_is_the_invoice(seed: int) -> None:
    rng = random.Random(seed)
    engine = world(seed, 10 + seed)
    assert engine.clock is not None
    customer = rng.choice(list(ACCOUNTS))
    at = None if seed % 2 else engine.clock + timedelta(days=rng.randint(0, 300))
    due = last_renewal(engine, customer)
    before = len(engine.state.journal)
    said = asked(engine, customer, at)
    assert len(engine.state.journal) == before
    made = following(engine, customer, at)
    if said is None:
        return
    if made is None:
        assert not said["lines"]
        return
    if not said["lines"]:
        assert at is not None or (due is not None and made["created_at"] > due)
        return
    assert {name: said[name] for name in TOTALS} == {name: made[name] for name in TOTALS}
    rows = engine.state.select("InvoiceLine", {"invoice": made["id"]}, (), (("position", False),))
    assert lines(said["lines"]) == lines(list(rows))


# Events of the walk that are one action about the newest subscription, and that action.
DONE_BY = {
    "Do.change": "change_plan", "Do.quantity": "set_quantity", "Do.cancel": "cancel",
    "Do.pause": "pause", "Do.resume": "resume", "Addon.drop": "remove_addon",
}  # fmt: skip


def change(rng: random.Random, account: str) -> tuple[str, dict[str, Any]]:
    """Something that the newest subscription of an account may be changed by."""
    flag, when = rng.random() < 0.5, rng.choice(("now", "now", "period_end"))
    return rng.choice(
        (
            ("Do.change", {"plan": rng.choice(("small", "large", "team", "after")), "when": when,
                           "refund": flag, "invoice": rng.choice(("now", "now", "next"))}),
            ("Do.change", {"plan": "small", "interval": rng.choice(("year", "month"))}),
            ("Do.quantity", {"quantity": rng.randint(0, 6), "when": when}),
            ("Do.cancel", {"when": when, "prorate": flag}), ("Do.pause", {}), ("Do.resume", {}),
            ("Addon.drop", {}),
        )
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(40))
def test_a_preview_of_a_change_is_its_invoice(seed: int) -> None:
    rng = random.Random(1000 + seed)
    engine = world(seed, 10 + seed, "chaos_more" if seed % 2 else "chaos")
    books(engine)
    numbers(engine)
    assert engine.clock is not None
    customer = rng.choice(list(ACCOUNTS))
    subs = engine.state.subscriptions(customer)
    if not subs:
        return
    type_, data = change(rng, customer)
    given = {"addon": "help"} if type_ == "Addon.drop" else data
    known = {row["id"] for row in final(engine, customer)}
    envelope = {"id": "x", "type": "x", "time": engine.clock, "subject": None}
    before = len(engine.state.journal)
    try:
        work = Work(engine, engine.clock, "x", envelope, None)
        said = after_change(work, subs[-1]["id"], DONE_BY[type_], given)
    except Refusal:
        said = None
    assert len(engine.state.journal) == before
    engine.submit(Event("asked", type_, engine.clock, {"account": customer, **data}), "{}")
    made = [row for row in final(engine, customer) if row["id"] not in known]
    if said is None:
        assert not made
        return
    if made:
        assert {name: said[name] for name in TOTALS} == {name: made[0][name] for name in TOTALS}
