"""Clocks that jump, instants that are rare, and streams that are no streams of events."""

from __future__ import annotations

import errno
import gzip
import json
import os
import resource
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bizrun.errors import StoreError
from bizrun.pipeline import compile_spec
from bizrun.runtime import lines
from bizrun.runtime.jobs import steady
from bizrun.runtime.work import Work
from bizrun.server.business import Business
from bizrun.store.memory import MemoryStore
from bizrun.values import instant, instant_text

from .conftest import Command

SPEC = """
business "Acme" { language 1, currency USD, timezone "UTC", bills Account }
entity Account { id text key, at time? }
event Account.joined { id text, at time? }
on Account.joined as joined { create Account { ...joined } }
every month on 1 { log "a month" }
"""
JANUARY = datetime(2026, 1, 1, tzinfo=UTC)


def joined(id_: str, time: str = "2026-01-01T00:00:00Z", **data: str) -> str:
    event = {"id": id_, "type": "Account.joined", "time": time, "data": {"id": id_, **data}}
    return json.dumps(event) + "\n"


# --- instants ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "expected"), [
    ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59.999999Z"),
    ("2016-12-31T23:59:60.5Z", "2016-12-31T23:59:59.999999Z"),
    ("2017-01-01T08:59:60+09:00", "2016-12-31T23:59:59.999999Z"),
    ("1990-12-31T15:59:60-08:00", "1990-12-31T23:59:59.999999Z"),  # RFC 3339, 5.8
])  # fmt: skip
def test_a_leap_second_is_the_end_of_its_day(text: str, expected: str) -> None:
    assert instant_text(instant(text)) == expected


@pytest.mark.parametrize("text", [
    "2016-12-31T12:00:60Z", "2016-12-31T23:59:61Z", "2016-12-31T23:59:60", "2016-12-32T23:59:60Z",
    "9999-12-31T23:59:60-12:00", "0001-01-01T00:00:00+14:00", "2026-01-01T00:00:00+24:00",
])  # fmt: skip
def test_what_is_no_instant(text: str) -> None:
    with pytest.raises(Exception, match=r"is no instant|has no zone|is out of range"):
        instant(text)


def test_events_in_a_leap_second_are_handled_once(command: Command) -> None:
    Path("a.biz").write_text(SPEC)
    leap = "2016-12-31T23:59:60Z"
    events = joined("a", leap, at=leap) + joined("b", "2017-01-01T00:00:00Z")
    events += joined("a", leap, at=leap)
    Path("a.events.jsonl").write_text(events)
    told = json.loads(command("a.biz", "--json", "--out", "none"))
    assert (told["events"]["handled"], told["events"]["duplicate"]) == (2, 1)
    (row, _) = json.loads(command("query", "Account order by .id", "--json"))
    assert row["at"] == row["created_at"] == "2016-12-31T23:59:59.999999Z"
    command("verify")


# --- clocks --------------------------------------------------------------------------------------


def test_a_clock_that_is_set_back_goes_on() -> None:
    """A worker waits for a second, not for as long as the clock was set back."""
    walls = iter([JANUARY, JANUARY + timedelta(seconds=1), JANUARY - timedelta(days=365),
                  JANUARY - timedelta(days=364), JANUARY + timedelta(days=1)])  # fmt: skip
    nanos = iter(range(0, 10**12, 10**9 // 2))
    now = steady(lambda: next(walls), lambda: next(nanos))
    found = [now() - JANUARY for _ in range(4)]
    assert found[0] == timedelta(seconds=1)
    assert found == sorted(found) and found[2] < timedelta(seconds=5)
    assert found[3] == timedelta(days=1)


def test_a_mistaken_year_is_not_billed(tmp_path: Path) -> None:
    path = tmp_path / "a.biz"
    path.write_text(SPEC)
    checked, program = compile_spec(str(path))
    assert program is not None, checked.diagnostics
    business = Business(checked, program, MemoryStore(), ":memory:", None)
    business.catch_up(JANUARY)
    with pytest.raises(StoreError, match="clock says 2150-01-01T00:00:00Z, more than 20 years"):
        business.catch_up(JANUARY.replace(year=2150))
    business.catch_up(JANUARY - timedelta(days=400))  # set back: nothing is due, nothing is lost
    business.catch_up(JANUARY.replace(year=2027))
    assert business.engine.clock == JANUARY.replace(year=2027)


# --- a machine at its end ------------------------------------------------------------------------


@pytest.mark.parametrize(("error", "says"), [
    (MemoryError(), "not enough memory"),
    (OSError(errno.EMFILE, "Too many open files"), "too many files are open"),
    (ImportError("x.so: failed to map segment from shared object"), "can't be loaded"),
])  # fmt: skip
def test_what_a_machine_lacks_is_no_fault_of_a_handler(
    command: Command, monkeypatch: pytest.MonkeyPatch, error: Exception, says: str
) -> None:
    """The event is as if it had never come, and handled by the next run."""
    Path("a.biz").write_text(SPEC)
    Path("a.events.jsonl").write_text("".join(map(joined, "abc")))
    run = Work.run

    def fails(work: Work, *args: Any) -> None:
        if work.event["id"] == "b":
            raise error
        run(work, *args)

    with monkeypatch.context() as patch:
        patch.setattr(Work, "run", fails)
        assert says in command("a.biz", "--out", "none", code=3)
    assert json.loads(command("a.biz", "--out", "none", "--json"))["events"]["handled"] == 3
    command("verify")


@pytest.mark.parametrize("most", [8, 10, 14])
def test_few_open_files(tmp_path: Path, bizrun: Path, most: int) -> None:
    (tmp_path / "a.biz").write_text(SPEC)
    (tmp_path / "a.events.jsonl").write_text(joined("a"))
    for args, codes in ((["run", "a.biz"], (0, 3)), (["serve", "a.biz", "--no-auth"], (2, 3))):
        done = subprocess.run(
            [bizrun, *args, "--out", "none"], cwd=tmp_path, capture_output=True, text=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (most, most)),
            timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode in codes, done
        assert done.returncode == 0 or "ulimit -n 1024" in done.stderr


# --- streams -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("content", "reason"), [
    (joined("a").encode("utf-16"), "the file is UTF-16: write it as UTF-8"),
    (gzip.compress(joined("a").encode(), mtime=0), "the file is packed: unpack it first"),
])  # fmt: skip
def test_a_file_that_is_coded_otherwise_is_told(
    command: Command, content: bytes, reason: str
) -> None:
    Path("a.biz").write_text(SPEC)
    Path("a.events.jsonl").write_bytes(content)
    told = json.loads(command("a.biz", "--json", "--out", "none"))
    assert told["rejected"][0]["reason"] == f"the line is not UTF-8; {reason}"


def test_a_file_that_is_cut_while_it_is_read_is_told(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("a.biz").write_text(SPEC)
    stream = Path("a.events.jsonl")
    stream.write_text("".join(joined(f"a{n}") for n in range(9000)))
    whole = lines.read_lines

    def cut(file: object) -> Iterator[bytes]:
        for number, line in enumerate(whole(file)):
            if number == 10:
                os.truncate(stream, 5000)
            yield line

    monkeypatch.setattr(lines, "read_lines", cut)
    told = command("a.biz", "--out", "none")
    assert "a.events.jsonl became shorter while it was read: what it lost was not handled" in told
