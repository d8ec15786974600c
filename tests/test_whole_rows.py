"""Whole rows outside: what billing keeps in them for its own next step is not told."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bizrun.cli.main import main
from bizrun.pipeline import compile_spec, open_engine
from bizrun.providers.sandbox import Sandbox
from bizrun.runtime.routes import call_api
from bizrun.runtime.stream import run_stream
from bizrun.store.memory import MemoryStore

SPEC = """
business "Rows" { currency USD, bills User, timezone "UTC" }
entity User { id text key }
plan pro { price 10 USD per month }
event User.made { id text }
on User.made as made {
  let user = create User { id: made.id }
  let subscription = subscribe { customer: user, plan: pro }
  webhook { url: "https://example.com/", data: { subscription } }
  return subscription
}
api GET "/subscriptions" () for user { return Subscription where .customer == user }
api GET "/invoices" () for user { return Invoice where .customer == user }
"""
EVENT = {"id": "1", "type": "User.made", "time": "2026-01-01T00:00:00Z", "data": {"id": "a"}}


def written(folder: Path) -> Path:
    path = folder / "rows.biz"
    path.write_text(SPEC, encoding="utf-8")
    (folder / "rows.events.jsonl").write_text(json.dumps(EVENT) + "\n", encoding="utf-8")
    return path


def test_replies_and_messages_keep_the_workings_to_themselves(tmp_path: Path) -> None:
    _, program = compile_spec(str(written(tmp_path)))
    assert program is not None
    engine = open_engine(program, MemoryStore(), Sandbox())
    run_stream(engine, [json.dumps(EVENT).encode()])
    now = datetime(2026, 1, 2, tzinfo=UTC)
    shown: dict[str, Any] = {}
    for path in ("/subscriptions", "/invoices"):
        receipt = call_api(engine, "GET", path, {}, "a", "call", now)
        assert receipt.status == "handled", receipt.reason
        shown[path] = receipt.reply[0]
    assert "billing" not in shown["/subscriptions"]
    assert shown["/subscriptions"]["status"] == "active"
    assert not {"draft", "coupons"} & shown["/invoices"].keys()
    assert shown["/invoices"]["discounts"] is None
    sent = [str(row) for row in engine.state.select("_effect", {"kind": "webhook"})]
    assert len(sent) == 1 and "billing" not in sent[0] and "period_end" in sent[0]


def test_a_query_shows_them_where_it_names_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["run", str(written(tmp_path)), "--out", "none"]) == 0
    capsys.readouterr()

    def answer(expression: str) -> Any:
        assert main(["query", expression, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    assert "billing" not in answer("Subscription")[0]
    assert answer("Subscription.billing")[0]["charges"][0]["amount"] == "10.00 USD"
    assert not {"draft", "coupons"} & answer("Invoice")[0].keys()
