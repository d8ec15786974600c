"""Questions change nothing, and wait for nobody."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from bizrun.cli.main import main
from bizrun.store.open import open_store

from .serving import serving

SPEC = """
business "Shop" { currency USD, bills Account }
entity Account { id text key, email text }
event Account.joined key id { id text, email text }
plan pro { price 10 USD per month }
on Account.joined as a {
  let account = create Account { ...a }
  subscribe { customer: account, plan: pro }
}
"""
EDITED = SPEC.replace("email text }\nevent", "email text, visits number = 0 }\nevent") + (
    "entity Note { id text key, text text }\n"
)
TAKING = SPEC.replace(", email text", "")
QUESTIONS = [
    ["query", "Account"], ["query", "count(Invoice)"], ["events"], ["outbox"], ["verify"],
    ["state-hash"], ["report", "ledger"], ["report", "mrr"], ["preview", "a"],
]  # fmt: skip
Out = Callable[[], str]


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("shop.biz").write_text(SPEC)
    event = {"id": "1", "type": "Account.joined", "time": "2026-01-01T00:00:00Z",
             "data": {"id": "a", "email": "a@x.example"}}  # fmt: skip
    Path("shop.events.jsonl").write_text(json.dumps(event) + "\n")
    assert main(["shop.biz", "--json"]) == 0
    return tmp_path / ".bizrun"


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("question", QUESTIONS, ids=" ".join)
@pytest.mark.parametrize("spec", [SPEC, EDITED], ids=["same", "edited"])
def test_a_question_changes_no_file(shop: Path, spec: str, question: list[str]) -> None:
    before = files(shop)
    Path("shop.biz").write_text(spec)
    assert main(question) == 0
    assert files(shop) == before


@pytest.mark.parametrize("question", QUESTIONS, ids=" ".join)
def test_a_question_is_answered_while_another_has_the_state(
    shop: Path, question: list[str]
) -> None:
    store = open_store(".bizrun/shop.db")
    try:
        assert main(question) == 0
    finally:
        store.close()


def test_what_the_edit_added_is_there(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("shop.biz").write_text(EDITED)
    capsys.readouterr()
    assert main(["query", "Account", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["visits"] == 0
    assert main(["query", "count(Note)", "--json"]) == 0
    assert capsys.readouterr().out == "0\n"


def test_one_moment_is_seen_while_another_writes(shop: Path) -> None:
    store = open_store(".bizrun/shop.db")
    reader = open_store(".bizrun/shop.db", reading=True)
    try:
        tables = [held.table for held in vars(store)["_tables"].values()]
        store.prepare(tables)
        reader.prepare(tables)
        row = store.get("Account", "a")
        assert row is not None
        store.write({"Account": {"b": {**row, "id": "b", "email": "b@x.example"}}})
        store.commit()
        assert reader.count("Account") == 1
        assert reader.get("Account", "b") is None
        assert reader.verify() == []
    finally:
        reader.close()
        store.close()
    again = open_store(".bizrun/shop.db", reading=True)
    assert again.count("Account") == 2
    again.close()


SHOWN = [["query", "Account", "--json"], ["events", "--json"], ["outbox", "--json"],
         ["verify", "--json"], ["state-hash"], ["report", "ledger"]]  # fmt: skip


def test_a_state_is_sound_at_any_moment_of_a_server(tmp_path: Path) -> None:
    """Questions see one moment of what a server writes, and its own acts are refused."""
    done = threading.Event()
    with serving(tmp_path, TAKING) as served:

        def post() -> None:
            with httpx.Client(base_url=served.url, headers=served.headers) as http:
                for number in range(100_000):
                    if done.is_set():
                        break
                    event = {"id": f"e{number}", "type": "Account.joined"}
                    event["data"] = {"id": f"a{number}"}  # type: ignore[assignment]
                    http.post("/events", json=event).raise_for_status()

        poster = threading.Thread(target=post)
        poster.start()
        try:
            for _ in range(3):
                for question in SHOWN:
                    assert main([*question, "--state", str(served.state)]) == 0, question
        finally:
            done.set()
            poster.join()
        act = ["outbox", "stop", "stripe", "--state", str(served.state)]
        assert main([*act, "--spec", str(tmp_path / "shop.biz")]) == 3
