"""`bizrun backup`: a copy that takes the state's place, made while the state is in use."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from bizrun.store.file import StateFile
from bizrun.store.sqlite import SqliteStore

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


def test_a_copy_takes_the_place_of_what_a_kill_left(call: Call, tmp_path: Path) -> None:
    """The journal of the state that stood there, and its length, are not the copy's."""
    state = tmp_path / ".bizrun" / "shop.db"
    call("backup", "copy.db")
    before = call("state-hash")
    with closing(SqliteStore(str(state))) as store:
        seq = store.last_seq() + 1
        store.append([(seq, "s", "e", "A.b", "2026-01-31T09:00:00Z", "{}", "handled", *[None] * 3)])
        store.commit()
        journal = Path(f"{state}-wal").read_bytes()
    Path(f"{state}-wal").write_bytes(journal)
    shutil.copy(tmp_path / "copy.db", state)
    assert call("state-hash") == before
    assert "sound" in call("verify")
    assert Path(f"{state}-wal").read_bytes() == journal  # questions change nothing
    assert "1 new, 1 seen before" in call("shop.biz", "--events", "more.jsonl", "--out", "none")
    assert "sound" in call("verify")
    call("shop.biz", "--state", "copy.db", "--events", "more.jsonl", "--out", "none")
    assert call("state-hash") == call("state-hash", "--state", "copy.db")


@pytest.mark.parametrize(
    ("size", "command"),
    [(100, "backup copy.db"), (40, "backup copy.db"), (100, "shop.biz --state x.db")],
)
def test_a_file_may_not_grow(
    call: Call, bizrun: Path, tmp_path: Path, size: int, command: str
) -> None:
    done = subprocess.run(
        ["sh", "-c", f"ulimit -f {size}; exec {bizrun} {command}"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 3
    assert "this process may write no bigger file" in done.stderr and "ulimit -f" in done.stderr
    assert not (tmp_path / "copy.db").exists()


def test_a_damaged_state_is_called_by_its_name(call: Call, tmp_path: Path) -> None:
    state = tmp_path / ".bizrun" / "shop.db"
    with opened(state) as db:
        db.execute("PRAGMA writable_schema = ON")
        db.execute("UPDATE sqlite_schema SET rootpage = 9999 WHERE name = 'Member'")
    said = call("backup", "copy.db", code=3)
    assert ".bizrun/shop.db is damaged" in said and "copy.db.part" not in said
