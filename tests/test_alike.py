"""What renewals of the same terms share: the same as each worked out by itself."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bizrun.actions import alike
from bizrun.pipeline import compile_spec, open_engine
from bizrun.providers.sandbox import Sandbox
from bizrun.runtime.stream import run_stream
from bizrun.runtime.tables import tables_of
from bizrun.store.digest import state_digest
from bizrun.store.memory import MemoryStore

SPEC = """
business "Alike" { language 1
  currency USD
  timezone "Europe/Berlin"
  bills Account
  %s }

plan team   { price 12.35 USD per seat per month }
plan late   { trial 10 days
  price 29 USD per month in arrears
  price 250 USD per year in arrears }
plan metered { price 5 USD per month
  usage calls: 0.013 USD }
plan tiered { price 10 USD per month in arrears
  usage work graduated {
    up to 20: free
    up to 60: 0.125 USD
    above:    0.0333 USD + 1 USD flat
  }
  usage calls volume {
    up to 1: 0.5 USD
    above:   0.4 USD
  } }
plan floor  { price 3 USD per week
  minimum 4 USD }
addon extra { price 2 USD per month }
meter calls { count Call per account }
meter work  { sum amount of Work per account }

entity Account { id text key
  payment_method text? }
event Signup key id { id text
  plan  plan
  seats integer
  day   integer? }
event Call  { account Account }
event Work key account { account Account
  amount number }
event Seats { account Account
  seats integer }
event Switch { account Account
  plan plan }
event Grant { account Account }

on Signup as s {
  let account = create Account { id: s.id }
  subscribe { customer: account, plan: s.plan, quantity: s.seats, anchor_day: s.day }
}
on Seats as e {
  for each sub in Subscription where .customer == e.account {
    set_quantity { subscription: sub, quantity: e.seats, invoice: "next" }
  }
}
on Switch as e {
  for each sub in Subscription where .customer == e.account {
    change_plan { subscription: sub, plan: e.plan, when: "period_end" }
  }
}
on Grant as e { credit { customer: e.account, amount: 7 USD } }
"""

SETTINGS = {
    "plain": "",
    "by second": "proration by second",
    "calendar": "billing calendar",
    "unprorated": "proration none",
}


def lines() -> list[bytes]:
    """Sign-ups of every plan, many at one instant; changes of some, credit for others."""
    chance, start = random.Random(11), datetime(2026, 1, 9, 22, 30, tzinfo=UTC)
    found: list[tuple[datetime, str, dict[str, Any]]] = []
    for number in range(70):
        at = start + timedelta(hours=chance.choice([0, 0, 1, 9, 30, 700]))
        plan = chance.choice(["team", "late", "late", "metered", "tiered", "tiered", "floor"])
        data = {"id": f"a{number}", "plan": plan, "seats": chance.randrange(1, 4)}
        found.append((at, "Signup", data | ({"day": 31} if number % 9 == 0 else {})))
    for number in range(70):
        at = start + timedelta(days=chance.randrange(30, 80), hours=number)
        about: dict[str, Any] = {"account": f"a{number}"}
        for _ in range(number % 5):
            when = at + timedelta(days=chance.randrange(70))
            work = {"amount": chance.choice([12, 12, 30, 2.5, -3, -40])}
            found.append((when, "Work", about | work))
        match chance.randrange(7):
            case 0:
                found.append((at, "Seats", about | {"seats": chance.randrange(1, 6)}))
            case 1:
                found.append(
                    (at, "Switch", about | {"plan": chance.choice(["team", "late", "tiered"])})
                )
            case 2:
                found.append((at, "Grant", about))
            case 3:
                found.append((at, "Call", about))
    found.sort(key=lambda item: item[0])
    for place in range(len(found) - 40, 0, -20):
        found.insert(place + 40, found.pop(place))  # it comes late
    return [
        json.dumps({"id": f"e{n:04}", "type": kind, "time": at.isoformat(), "data": data}).encode()
        for n, (at, kind, data) in enumerate(found)
    ]


def run(path: Path) -> tuple[str, list[Any]]:
    checked, program = compile_spec(str(path))
    assert program is not None, checked.diagnostics
    store = MemoryStore()
    engine = open_engine(program, store, Sandbox())
    run_stream(engine, lines(), until=datetime(2026, 7, 1, tzinfo=UTC))
    assert not engine.counts.refusals and not engine.counts.failed
    return state_digest(store, tables_of(program)), list(store.log())


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=list(SETTINGS))
def test_shared_renewals_are_as_each_by_itself(
    settings: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "alike.biz"
    path.write_text(SPEC % settings)
    billed: list[int] = []
    real = alike.windows

    def windows(sub: Any, known: Any) -> Any:
        billed.append(len(known.used))
        return real(sub, known)

    monkeypatch.setattr(alike, "windows", windows)
    shared = run(path)
    assert len(billed) > 50 and set(billed) == {1, 2}
    assert sum(entry.type == "Subscription.renewed" for entry in shared[1]) > 100
    monkeypatch.setattr(alike, "plain_plan", lambda desk, sub: None)
    assert run(path) == shared
