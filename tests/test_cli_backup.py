"""`bizrun backup`: a copy that takes the state's place, made while the state is in use."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bizrun.store.file import StateFile

from .databases import opened

SPEC = """
business "Shop" { currency USD, timezone "UTC", bills Member }
entity Member { id text key }
plan basic { price 10 USD per month }
event Member.joined key id { id text }
on Member.joined(id) {
  let member = create Member { id: id }
  subscribe { customer: member, plan: basic }
}
"""
EVENT = (
    '{"id": "%s", "type": "Member.joined", "time": "2026-01-0%dT12:00:00Z", "data": {"id": "%s"}}\n'
)

Call = Callable[..., str]


@pytest.fixture
def call(bizrun: Path, tmp_path: Path) -> Call:
    (tmp_path / "shop.biz").write_text(SPEC)
    (tmp_path / "shop.events.jsonl").write_text(EVENT % ("e1", 1, "a") + EVENT % ("e2", 2, "b"))
    (tmp_path / "more.jsonl").write_text(EVENT % ("e2", 2, "b") + EVENT % ("e3", 3, "c"))

    def called(*args: str, code: int = 0) -> str:
        done = subprocess.run(
            [bizrun, *args], cwd=tmp_path, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    called("shop.biz", "--out", "none")
    return called


def test_the_copy_is_the_state_and_goes_on(call: Call, tmp_path: Path) -> None:
    held = StateFile(str(tmp_path / ".bizrun" / "shop.db"))  # as a run or a server holds it
    said = call("backup", "copy.db")
    held.close()
    assert said.startswith("copy.db: ")
    assert not [path for path in tmp_path.iterdir() if path.suffix not in {".db", ".biz", ".jsonl"}
                and path.name != ".bizrun"]  # fmt: skip
    assert call("state-hash", "--state", "copy.db") == call(
        "state-hash", "--state", ".bizrun/shop.db"
    )
    assert "sound" in call("verify", "--state", "copy.db")
    said = call("shop.biz", "--state", "copy.db", "--events", "more.jsonl", "--out", "none")
    assert "1 new, 1 seen before" in said
    call("shop.biz", "--events", "more.jsonl", "--out", "none")
    assert call("state-hash", "--state", "copy.db") == call(
        "state-hash", "--state", ".bizrun/shop.db"
    )


def test_nothing_is_overwritten(call: Call, tmp_path: Path) -> None:
    (tmp_path / "copy.db").write_text("mine")
    assert "copy.db is there" in call("backup", "copy.db", code=2)
    assert (tmp_path / "copy.db").read_text() == "mine"
    assert "There is no folder" in call("backup", "nowhere/copy.db", code=2)
    assert "There is no state" in call("backup", "x.db", "--state", "other.db", code=2)


def test_a_damaged_state_is_no_backup(call: Call, tmp_path: Path) -> None:
    with opened(tmp_path / ".bizrun" / "shop.db") as db:
        db.execute("UPDATE _log SET raw = '{}' WHERE seq = 1")
    assert "damaged" in call("backup", "copy.db", code=3)
    assert not (tmp_path / "copy.db").exists()
