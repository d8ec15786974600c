"""A batch is handled while the one before it is being committed: nothing is told too early."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import apsw
import pytest

from bizrun.runtime.stream import run_stream
from bizrun.store.open import open_store
from bizrun.store.reading import SqliteReader
from bizrun.store.sqlite import SqliteStore

from .serving import COMMAND, SHOP
from .streams import digest, open_on
from .test_store_crash import COUNTER
from .test_store_disks import FAILING


def lines(count: int) -> list[bytes]:
    """Sign-ups and what they buy: some read what the store has, some are refused."""
    found = []
    for n in range(count):
        number = 5 if n % 7 else 500
        found += [
            {"id": f"s{n}", "type": "Customer.signup", "data": {"id": f"a{n}"}},
            {"id": f"b{n}", "type": "Credits.bought",
             "data": {"account": f"a{n // 2}", "number": number}},
        ]  # fmt: skip
    at = "2026-01-01T00:00:00Z"
    return [json.dumps({**each, "time": at}).encode() + b"\n" for each in found]


class Slow:
    """A connection with a disk that takes its time."""

    def __init__(self, db: apsw.Connection, pause: Callable[[], object]) -> None:
        self._db = db
        self._pause = pause

    def __getattr__(self, name: str) -> object:
        return getattr(self._db, name)

    def execute(self, statement: str, *values: Any) -> object:
        if statement == "COMMIT":
            self._pause()
        return self._db.execute(statement, *values)


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "shop.biz"
    path.write_text(SHOP)
    return path


@pytest.mark.parametrize("batch", [1, 3])
def test_what_is_acknowledged_is_in_the_file(spec: Path, tmp_path: Path, batch: int) -> None:
    stream, state = lines(25), str(tmp_path / "shop.db")
    told: list[str] = []

    def acknowledged(ids: list[str]) -> None:
        told.extend(ids)
        reader = SqliteReader(state)
        assert reader.last_seq() >= len(told)  # the next commit may have ended meanwhile
        reader.close()

    store = SqliteStore(state)
    engine = open_on(spec, store)
    store._db = Slow(store._db, partial(time.sleep, 0.005))  # type: ignore[assignment, arg-type]
    run_stream(engine, stream, acknowledged, batch, ahead=True)
    assert told == [json.loads(line)["id"] for line in stream]
    apart = open_on(spec, open_store(":memory:"))
    run_stream(apart, stream)
    assert digest(engine) == digest(apart)
    engine.state.store.close()


def test_the_next_can_be_prepared_while_the_disk_is_at_work(tmp_path: Path) -> None:
    """`commit` without waiting comes back before the sync does; whoever asks the store waits."""
    store = SqliteStore(str(tmp_path / "state.db"))
    store.prepare([COUNTER])
    for number in (1, 2):
        store.write({"Counter": {"all": {"id": "all", "n": number}}})
        if number == 1:
            store.commit()
            store.get("Counter", "all")  # from here on it is remembered
    synced, asked = threading.Event(), threading.Event()

    def pause() -> None:
        asked.set()
        synced.wait(10)

    store._db = Slow(store._db, pause)  # type: ignore[assignment, arg-type]
    store.commit(wait=False)
    assert asked.wait(10)
    row = store.get("Counter", "all")  # what is in memory
    assert row is not None
    assert row["n"] == 2
    assert not synced.is_set()
    threading.Timer(0.1, synced.set).start()
    assert store.last_seq() == 0
    assert synced.is_set()
    store.close()


def test_a_commit_that_fails_meanwhile_is_the_end(spec: Path, tmp_path: Path) -> None:
    """Nothing after it is acknowledged, and what was handled meanwhile is not kept."""
    (tmp_path / "sitecustomize.py").write_text(
        FAILING.replace('os.path.exists("FLAG")', "failing()").replace(
            "class Disk", "syncs = []\ndef failing():\n syncs.append(0)\n"
            " return len(syncs) > 60\nclass Disk"
        )
    )  # fmt: skip
    (tmp_path / "shop.jsonl").write_bytes(b"".join(lines(100)))
    run: list[str] = [
        str(COMMAND), "run", "shop.biz", "--events", "shop.jsonl", "--out", "none",
        "--state", "shop.db", "--batch", "1", "--progress", "json",
    ]  # fmt: skip
    broken = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(run, cwd=tmp_path, env=broken, capture_output=True, text=True)
    assert done.returncode == 3
    assert "check the disk" in done.stderr
    acked = [json.loads(line)["acked"] for line in done.stderr.splitlines() if "acked" in line]
    assert len(acked) > 10
    store = SqliteStore(str(tmp_path / "shop.db"))
    kept = store.last_seq()
    store.close()
    assert kept - len(acked) in (0, 1)  # the one whose sync failed may be there
    subprocess.run(run, cwd=tmp_path, check=True, capture_output=True)
    store = SqliteStore(str(tmp_path / "shop.db"))
    assert (store.last_seq(), store.verify()) == (200, [])
    store.close()


def test_killed_at_any_moment(spec: Path, tmp_path: Path) -> None:
    """What was acknowledged is there, and a second run ends as an undisturbed one."""
    (tmp_path / "shop.jsonl").write_bytes(b"".join(lines(300)))
    run: list[str] = [
        str(COMMAND), "run", "shop.biz", "--events", "shop.jsonl", "--out", "none", "--batch", "1",
        "--progress", "json", "--state",
    ]  # fmt: skip
    for number, after in enumerate((3, 20, 90, 250)):
        state = f"killed{number}.db"
        with subprocess.Popen([*run, state], cwd=tmp_path, stderr=subprocess.PIPE) as process:
            assert process.stderr is not None
            acked = [json.loads(process.stderr.readline())["acked"] for _ in range(after)]
            process.send_signal(signal.SIGKILL)
            acked += [json.loads(line)["acked"] for line in process.stderr if line.endswith(b"}\n")]
        store = SqliteStore(str(tmp_path / state))
        there = {entry.id for entry in store.log()}
        store.close()
        assert there >= {id for ids in acked for id in ids}
        subprocess.run([*run, state], cwd=tmp_path, check=True, capture_output=True)
    subprocess.run([*run, "whole.db"], cwd=tmp_path, check=True, capture_output=True)
    digests = set()
    for path in sorted(tmp_path.glob("*.db")):
        engine = open_on(spec, open_store(str(path)))
        digests.add(digest(engine))
        engine.state.store.close()
    assert len(digests) == 1
