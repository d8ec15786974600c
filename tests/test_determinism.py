"""The same events and spec give the same state: whatever the machine, the batches, the store."""

from __future__ import annotations

import json
import os
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bizrun.store.memory import MemoryStore
from bizrun.store.open import open_store

from .streams import (
    END,
    as_bytes,
    digest,
    everything,
    feed,
    open_on,
    run_once,
    with_mistakes,
    without_conflicts,
    write_spec,
)

EVENTS = 400


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_spec(tmp_path_factory.mktemp("spec"))


@pytest.fixture(scope="module")
def stream() -> bytes:
    return with_mistakes(everything(EVENTS))


@pytest.fixture(scope="module")
def expected(spec: Path, stream: bytes) -> str:
    return run_once(spec, stream)[0]


# --- the command -------------------------------------------------------------------------------

PLACES: tuple[dict[str, str], ...] = (
    {"PYTHONHASHSEED": "0", "TZ": "UTC", "LC_ALL": "C"},
    {"PYTHONHASHSEED": "1", "TZ": "Asia/Kathmandu", "LC_ALL": "C.UTF-8"},
    {"PYTHONHASHSEED": "4294967295", "TZ": "America/Los_Angeles", "LC_ALL": "tr_TR.UTF-8"},
    {"PYTHONHASHSEED": "77", "TZ": "Pacific/Kiritimati", "LC_ALL": "POSIX", "PYTHONUTF8": "0"},
)


def command(bizrun: Path, folder: Path, place: dict[str, str], *args: str) -> str:
    environment = {**os.environ, **place}
    done = subprocess.run(
        [bizrun, *args], cwd=folder, env=environment, capture_output=True, timeout=60
    )
    assert done.returncode == 0, done.stderr.decode()
    assert b"Traceback" not in done.stderr
    return done.stdout.decode()


def test_environment_changes_nothing(bizrun: Path, tmp_path: Path, stream: bytes) -> None:
    first: tuple[Any, ...] = ()
    for number, place in enumerate(PLACES):
        folder = tmp_path / f"machine{number}"
        folder.mkdir()
        write_spec(folder)
        (folder / "everything.events.jsonl").write_bytes(stream)
        options = ["--json", "--fresh", "--until", END, "--batch", ("1000", "7", "1", "64")[number]]
        summary = json.loads(command(bizrun, folder, place, "everything.biz", *options))
        summary.pop("spec")
        hash_ = command(bizrun, folder, place, "state-hash", "--state", ".bizrun/everything.db")
        found = summary, files(folder / "out"), hash_
        first = first or found
        assert found[0] == first[0], place
        assert found[1].keys() == first[1].keys()
        assert [name for name in first[1] if found[1][name] != first[1][name]] == []
        assert found[2] == first[2], place


def files(folder: Path) -> dict[str, bytes]:
    """Every file that was written, with what is in it."""
    found = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    assert found
    return found


def test_stores_agree_with_the_command(
    bizrun: Path, tmp_path: Path, spec: Path, stream: bytes
) -> None:
    """`state-hash` is the same for both ways to run; where a spec stands is no part of a state."""
    here = write_spec(tmp_path).name
    (tmp_path / "s").write_bytes(stream)
    command(bizrun, tmp_path, {}, str(spec), "--events", "s", "--state", "a.db")
    command(bizrun, tmp_path, {}, here, "--events", "s", "--state", "b.db", "--out", "none")
    engine = open_on(spec, open_store(str(tmp_path / "c.db"), True))
    feed(engine, stream, 7)
    assert engine.state.store.count("_unit") and engine.state.store.count("_timer")
    engine.state.store.close()
    hashes = [command(bizrun, tmp_path, {}, "state-hash", "--state", f"{n}.db") for n in "abc"]
    assert len(set(hashes)) == 1, hashes


# --- batches and stores ------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [1, 7, 64])
def test_batches_change_nothing(spec: Path, stream: bytes, expected: str, batch: int) -> None:
    assert run_once(spec, stream, batch)[0] == expected


@pytest.mark.parametrize("batch", [7, 1000])
def test_sqlite_is_as_memory(
    spec: Path, stream: bytes, expected: str, batch: int, tmp_path: Path
) -> None:
    store = open_store(str(tmp_path / "state.db"), True)
    assert run_once(spec, stream, batch, END, store)[0] == expected
    assert store.verify() == []
    store.close()


@pytest.mark.parametrize("seed", [2, 3])
def test_other_streams(spec: Path, seed: int) -> None:
    data = with_mistakes(everything(300, seed))
    assert run_once(spec, data, 3)[0] == run_once(spec, data, 1000)[0]


# --- again, in parts, with duplicates ----------------------------------------------------------


def plain_counts(counts: Any) -> tuple[int, ...]:
    return (counts.read, counts.handled, counts.duplicate, counts.rejected)


def test_a_second_run_changes_nothing(spec: Path, stream: bytes, expected: str) -> None:
    engine = open_on(spec, MemoryStore())
    first = feed(engine, stream, 100, END)
    assert digest(engine) == expected
    assert first.read == first.handled + first.duplicate + first.rejected
    again = open_on(spec, engine.state.store)
    counts = feed(again, stream, 30, END)
    assert plain_counts(counts) == (first.read, 0, first.read, 0)
    assert digest(again) == expected


def test_a_growing_stream_is_one_run(spec: Path, stream: bytes, expected: str) -> None:
    store = MemoryStore()
    lines = stream.splitlines(keepends=True)
    for upto in (1, len(lines) // 3, len(lines) // 2, len(lines)):
        engine = open_on(spec, store)
        feed(engine, b"".join(lines[:upto]), 50, END if upto == len(lines) else None)
    assert digest(engine) == expected


def test_two_halves_are_one_run(spec: Path) -> None:
    lines = without_conflicts(everything(EVENTS, 5))
    whole, _ = run_once(spec, as_bytes(lines))
    for cut in (1, 150, 333):
        store = MemoryStore()
        feed(open_on(spec, store), as_bytes(lines[:cut]))
        engine = open_on(spec, store)
        feed(engine, as_bytes(lines[cut:]), 1000, END)
        assert digest(engine) == whole


def test_duplicates_change_nothing(spec: Path) -> None:
    rng = random.Random(3)
    lines = without_conflicts(everything(EVENTS, 4))
    whole, counts = run_once(spec, as_bytes(lines))
    twice = []
    for number, line in enumerate(lines):
        twice.append(line)
        # The very same again, and with its keys in another order, at once and much later.
        while rng.random() < 0.3:
            old = lines[rng.randrange(number + 1)]
            first = next(known for known in lines if known["id"] == old["id"])
            twice.append(dict(reversed(first.items())))
    found, more = run_once(spec, as_bytes(twice), 40)
    assert found == whole
    assert more.handled == counts.handled
    assert more.duplicate == counts.duplicate + len(twice) - len(lines)


def test_until_in_steps_is_one_step(spec: Path) -> None:
    data = as_bytes(everything(200, 6))
    whole, _ = run_once(spec, data)
    steps = ("2026-05-01T00:00:00Z", "2026-05-01T00:00:01Z", "2026-05-20T17:30:00Z", END, END)
    engine = open_on(spec, MemoryStore())
    feed(engine, data)
    for step in steps:
        feed(engine, b"", 1000, step)
    assert digest(engine) == whole
    store = MemoryStore()
    for step in (None, *steps):
        engine = open_on(spec, store)
        feed(engine, data, 1000, step)
    assert digest(engine) == whole


# --- what these tests found --------------------------------------------------------------------

METERED = """
business "M" { bills Account, currency USD }
plan base { price 5 USD per month, limits { calls: 100 }, usage calls: 1 USD }
entity Account { id text key, plan plan?, seen number = 0 }
event Account.signup key id { id text }
event API.called key account { account Account, units number = 1 }
event Report.asked key account { account Account, ok bool }
meter calls { sum units of API.called per account }
on Account.signup as s { let a = create Account { ...s }, subscribe { customer: a, plan: base } }
on Report.asked(account, ok) {
  update account { seen: usage(account, calls) }
  if not ok { reject "no" }
}
""".replace(" }, subscribe", " }\n  subscribe")


def test_usage_stays_where_its_reader_is_refused(tmp_path: Path) -> None:
    """Figures that had only been counted in memory went with the refused handler's changes."""
    spec = write_spec(tmp_path, METERED, "metered.biz")
    lines: list[dict[str, Any]] = [
        {"id": "s", "type": "Account.signup", "time": "2026-01-01T00:00:00Z", "data": {"id": "a"}}
    ]
    for number in range(20):
        type_ = "Report.asked" if number % 5 == 4 else "API.called"
        data: dict[str, Any] = {"account": "a"}
        if type_ == "Report.asked":
            data["ok"] = number > 15
        at = f"2026-01-02T00:00:{number:02}Z"
        lines.append({"id": f"e{number}", "type": type_, "time": at, "data": data})
    engine = open_on(spec, MemoryStore())
    feed(engine, as_bytes(lines))
    account = engine.state.get("Account", "a")
    assert account is not None and account["seen"] == 16


FIXES = [
    {"id": "s", "type": "Account.signup", "time": "2026-01-01T00:00:00Z", "data": {"id": "a"}},
    {"id": "x", "type": "API.called", "data": {"account": "a", "units": "many"}},
    {"id": "x", "type": "API.called", "data": {"account": "a", "units": "more"}},
    {"id": "x", "type": "API.called", "data": {"account": "a", "units": 4}},
    {"id": "x", "type": "API.called", "data": {"account": "a", "units": "many"}},
    {"id": "x", "type": "API.called", "data": {"account": "a", "units": 5}},
]


@pytest.mark.parametrize("batch", [1, 2, 3, 1000])
def test_a_corrected_event_is_taken_in_any_batch(tmp_path: Path, batch: int) -> None:
    """In one batch with the refused one it was a conflict; run again, the first was one."""
    spec = write_spec(tmp_path, METERED, "metered.biz")
    engine = open_on(spec, MemoryStore())
    counts = feed(engine, as_bytes(FIXES), batch)
    assert plain_counts(counts) == (6, 2, 1, 3)
    assert counts.conflicts == 1
    before = digest(engine)
    assert plain_counts(feed(engine, as_bytes(FIXES), batch)) == (6, 0, 6, 0)
    assert digest(engine) == before
