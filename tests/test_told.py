"""What a processor tells of a payment before it is known how the payment went."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bizrun.model import Event, Outcome
from bizrun.pipeline import compile_spec, open_engine
from bizrun.reports.verify import verify
from bizrun.runtime.engine import Engine
from bizrun.store.memory import MemoryStore

SPEC = """
business "Told" { currency USD, timezone "UTC", bills Account }
entity Account { id text key, told text = "" }
event Account.new { id text }
on Account.new as e {
  let a = create Account { id: e.id }
  charge { customer: a, amount: 30 USD }
}
on Payment.disputed(customer, amount) { update customer { told: "{.told} {amount}" } }
on Stripe.charge.dispute.created as d {
  for each a in Account { update a { told: "{.told} asked" } }
}
"""
START = datetime(2026, 4, 1, tzinfo=UTC)
DISPUTE = {
    "id": "dp_1", "payment_intent": "pi_1", "amount": 3000, "currency": "usd",
    "status": "needs_response",
}  # fmt: skip


def send(engine: Engine, id_: str, type_: str, hours: int, data: dict[str, Any]) -> str:
    event = Event(id_, type_, START + timedelta(hours=hours), data)
    receipt = engine.submit(event, json.dumps({"id": id_, "type": type_, "data": data}))
    engine.commit()
    return receipt.status


def rows(engine: Engine, table: str) -> list[dict[str, Any]]:
    return list(engine.state.select(table, {}))


def settle(engine: Engine, outcome: Outcome) -> None:
    engine.settle(rows(engine, "_effect")[0]["id"], outcome)
    engine.drain()
    engine.commit()


def test_it_is_taken_the_day_after(tmp_path: Path) -> None:
    path = tmp_path / "told.biz"
    path.write_text(SPEC, encoding="utf-8")
    checked, program = compile_spec(str(path))
    assert program is not None, checked.diagnostics
    # Nothing is delivered: a debit is on its way until its webhook tells.
    engine = open_engine(program, MemoryStore(), None)
    assert send(engine, "1", "Account.new", 0, {"id": "a"}) == "handled"
    settle(engine, Outcome("pending", None, {}, "pi_1"))
    assert send(engine, "2", "Stripe.charge.dispute.created", 1, DISPUTE) == "handled"
    assert rows(engine, "PaymentDispute") == []
    [account] = rows(engine, "Account")
    assert account["told"] == " asked"
    assert any("on its way" in row["reason"] for row in rows(engine, "_dead"))
    settle(engine, Outcome("succeeded", None, None, "pi_1"))
    engine.advance(START + timedelta(hours=26))
    engine.commit()
    [dispute], [payment], [account] = (
        rows(engine, table) for table in ("PaymentDispute", "Payment", "Account")
    )
    assert (dispute["status"], dispute["reference"]) == ("open", "dp_1")
    assert payment["disputed"] == payment["amount"] and account["told"] == " asked 30.00 USD"
    assert not verify(engine.state.store, program)


def test_where_the_payment_fails_it_is_left(tmp_path: Path) -> None:
    path = tmp_path / "told.biz"
    path.write_text(SPEC, encoding="utf-8")
    _, program = compile_spec(str(path))
    assert program is not None
    engine = open_engine(program, MemoryStore(), None)
    send(engine, "1", "Account.new", 0, {"id": "a"})
    settle(engine, Outcome("pending", None, {}, "pi_1"))
    send(engine, "2", "Stripe.charge.dispute.created", 1, DISPUTE)
    settle(engine, Outcome("failed", "card_declined", None, "pi_1"))
    engine.advance(START + timedelta(days=5))
    engine.commit()
    assert rows(engine, "PaymentDispute") == [] and rows(engine, "_timer") == []
    assert len(rows(engine, "_dead")) == 1
