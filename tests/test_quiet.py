"""What nobody listens to is logged without a step: the state and the log stay the same."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bizrun.actions.toolbox import Toolbox
from bizrun.model import Event
from bizrun.pipeline import compile_spec, open_engine
from bizrun.providers.sandbox import Sandbox
from bizrun.runtime import stream, timers
from bizrun.runtime.emitting import Emitting
from bizrun.runtime.engine import Engine
from bizrun.runtime.tables import tables_of
from bizrun.store.digest import state_digest
from bizrun.store.open import open_store

SPEC = """
business "Quiet" { language 1
  currency USD
  timezone "Europe/Berlin"
  bills Account }

plan team    { price 12 USD per seat per month }
plan starter { trial 14 days
  price 29 USD per month in arrears }

entity Account { id text key
  email          text
  payment_method text?
  status "trial" | "active" = "trial" }
event Customer.signup key id { id text
  email text
  plan  plan = starter
  seats integer = 1
  payment_method text? }
event Seats.changed { account Account
  seats integer }

on Customer.signup as signup {
  let account = create Account { id: signup.id, email: signup.email,
    payment_method: signup.payment_method }
  subscribe { customer: account, plan: signup.plan, quantity: signup.seats }
  email { to: signup.email, subject: "Welcome", body: "Your account {account.id} is ready." }
  after 14 days { update account { status: "active" } }
}
on Seats.changed as change {
  for each sub in Subscription where .customer == change.account {
    set_quantity { subscription: sub, quantity: change.seats, invoice: "next" }
  }
}
dunning standard { retry after 2 days, 4 days
  then cancel }
"""

LISTENERS = """
on Invoice.paid as paid { log "paid {paid.invoice}" }
on Subscription.renewed as renewed { log "renewed {renewed.subscription}" }
on Account.status_changed as change { log "{change.account} is {change.to}" }
on Email.failed as failed { log "no mail to {failed.to}" }
"""

CARDS = ("pm_card_visa", "pm_card_chargeDeclined", None)


def lines() -> list[bytes]:
    """Sign-ups of both plans, some with bad cards and addresses; later seats; some come twice."""
    chance = random.Random(7)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    found = []
    for number in range(60):
        data: dict[str, Any] = {"id": f"a{number}", "email": f"user{number}@example.com"}
        data |= {"plan": chance.choice(["team", "starter"]), "seats": chance.randrange(1, 5)}
        if card := chance.choice(CARDS):
            data["payment_method"] = card
        if number % 13 == 0:
            data["email"] = "nowhere"
        at = start + timedelta(hours=6 * number)
        found.append(("Customer.signup", at, data))
    for number in range(0, 60, 4):
        data = {"account": f"a{number}", "seats": chance.randrange(1, 7)}
        found.append(("Seats.changed", start + timedelta(days=20, hours=number), data))
    found.append(("Customer.signup", start + timedelta(days=70), {"id": "late", "email": "l@x.y"}))
    texts = [
        json.dumps({"id": f"e{n}", "type": type_, "time": at.isoformat(), "data": data})
        for n, (type_, at, data) in enumerate(sorted(found, key=lambda item: item[1]))
    ]
    return [f"{text}\n".encode() for text in [*texts, texts[3], texts[5]]]


def run(folder: Path, spec: str, state: str, batch: int) -> tuple[str, list[Any]]:
    path = folder / "quiet.biz"
    path.write_text(spec)
    checked, program = compile_spec(str(path))
    assert program is not None, checked.diagnostics
    store = open_store(state, fresh=True)
    engine = open_engine(program, store, Sandbox())
    stream.run_stream(engine, lines(), batch=batch, until=datetime(2026, 4, 5, tzinfo=UTC))
    found = state_digest(store, tables_of(program)), list(store.log())
    store.close()
    return found


def step_always(queued: Callable[..., None]) -> Callable[..., None]:
    def handle(self: Engine, item: Any) -> None:
        if isinstance(item, Event):
            self._step(item, None)
        else:
            queued(self, item)

    return handle


@pytest.mark.parametrize("more", ["", LISTENERS], ids=["quiet", "listened"])
def test_the_quiet_way_is_the_same(
    more: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = run(tmp_path, SPEC + more, ":memory:", 1000)
    assert run(tmp_path, SPEC + more, str(tmp_path / "a.db"), 7) == short
    monkeypatch.setattr(Engine, "_handle_queued", step_always(Engine._handle_queued))
    monkeypatch.setattr(Emitting, "_is_quiet", lambda self, entity: False)
    monkeypatch.setattr(Toolbox, "follows", lambda self, kind, outcome: True)
    assert run(tmp_path, SPEC + more, str(tmp_path / "b.db"), 1000) == short
    types = {entry.type for entry in short[1]}
    assert {"Invoice.paid", "Invoice.payment_failed", "Subscription.cancelled"} <= types
    assert {"Subscription.renewed", "Subscription.trial_ending", "Email.failed"} <= types
    heard = [entry for entry in short[1] if entry.type == "Invoice.paid" and entry.fired]
    assert bool(heard) == bool(more)


@pytest.mark.parametrize(("chunk", "most"), [(1, 2_000), (2, 0), (7, 2_000), (500, 3)])
def test_timers_are_the_same_in_chunks_of_any_size(
    chunk: int, most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(tmp_path, SPEC + LISTENERS, str(tmp_path / "a.db"), 1000)
    monkeypatch.setattr(timers, "CHUNK", chunk)
    monkeypatch.setattr(timers, "MOST_ADDED", most)
    assert run(tmp_path, SPEC + LISTENERS, str(tmp_path / "b.db"), 1000) == whole
