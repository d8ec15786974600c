"""The writer, in this process: what shares a commit, and what happens when bizrun itself fails."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bizrun.pipeline import compile_spec
from bizrun.server.business import Business
from bizrun.server.clock import WallClock
from bizrun.server.meters import Meters
from bizrun.server.problems import Problem
from bizrun.server.writer import Post, Task, Writer
from bizrun.store.memory import MemoryStore

SPEC = """
business "Shop" { currency USD, bills Account }
entity Account { id text key, paid bool = false }
event Customer.signup key id { id text }
on Customer.signup as signup {
  let account = create Account { id: signup.id }
  let payment = charge { customer: account, amount: 5 USD }
  if payment.status == "succeeded" { reject "paid is too much" }
  update account { paid: true }
}
on Mail.asked { email { to: "ada@b.example", subject: "Hi", body: "Hello" } }
"""


class Bench:
    """A writer over a state in memory, and what it answers."""

    def __init__(self, folder: Path, out: str | None = None) -> None:
        path = folder / "shop.biz"
        path.write_text(SPEC)
        checked, program = compile_spec(str(path))
        assert program is not None, checked.diagnostics
        self.business = Business(checked, program, MemoryStore(), ":memory:", out)
        self.answers: dict[Any, Any] = {}
        self.said: list[str] = []
        self.arrived = threading.Condition()
        self.writer = Writer(self.business, WallClock(), self.settle, self.said.append, Meters())

    def settle(self, answers: list[tuple[Any, Any]]) -> None:
        with self.arrived:
            self.answers.update(answers)
            self.arrived.notify_all()

    def wait(self, *keys: Any) -> list[Any]:
        with self.arrived:
            assert self.arrived.wait_for(lambda: set(keys) <= self.answers.keys(), 30)
        return [self.answers[key] for key in keys]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    found = Bench(tmp_path)
    yield found
    found.writer.stop()


def event(id_: str) -> bytes:
    return b'{"id":"%s","type":"Anything.happened","data":{}}' % id_.encode()


def failing(_: Business, now: datetime) -> None:
    assert now.tzinfo is UTC
    raise ZeroDivisionError("planted")


def rows(business: Business, _: datetime) -> int:
    return business.store.last_seq()


def test_what_arrives_meanwhile_shares_a_commit(bench: Bench) -> None:
    commits = 0
    real = bench.business.commit

    def commit() -> None:
        nonlocal commits
        commits += 1
        real()

    bench.business.commit = commit  # type: ignore[method-assign]
    for number in range(50):
        bench.writer.put(Post(number, [event(f"e{number}")]))
    bench.writer.start()
    bench.wait(*range(50))
    assert commits <= 3
    bench.writer.put(Task("rows", rows))
    assert bench.wait("rows") == [50]


def test_a_mistake_takes_no_other_with_it(bench: Bench) -> None:
    bench.writer.put(Post(1, [event("a")]))
    bench.writer.put(Task(2, failing))
    bench.writer.put(Post(3, [event("b")]))
    bench.writer.start()
    first, broken, last = bench.wait(1, 2, 3)
    assert isinstance(broken, Problem)
    assert (broken.status, "ZeroDivisionError" in broken.detail) == (500, True)
    assert first[0].receipt.status == last[0].receipt.status == "unmatched"
    assert bench.said == ["a mistake in bizrun, please report it: ZeroDivisionError: planted"]
    bench.writer.put(Post(4, [event("a"), event("c")]))
    [again] = bench.wait(4)
    assert [line.receipt.status for line in again] == ["duplicate", "unmatched"]
    bench.writer.put(Task(5, rows))
    assert bench.wait(5) == [3]


def test_a_refusal_after_a_wait_is_told(bench: Bench) -> None:
    signup = b'{"id":"s","type":"Customer.signup","data":{"id":"a1"}}'
    bench.writer.put(Post(1, [signup]))
    bench.writer.start()
    [[line]] = bench.wait(1)
    assert (line.receipt.status, line.receipt.reason) == ("rejected", "paid is too much")


def test_stopping_does_what_was_asked_for(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.writer.start()
    for number in range(2_000):
        bench.writer.put(Post(number, [event(f"e{number}")]))
    bench.writer.stop()
    assert len(bench.answers) == 2_000


def test_a_folder_that_is_gone_stops_no_event(tmp_path: Path) -> None:
    """Neither where bizrun fails at something, nor where an edited spec is taken up."""
    folder = tmp_path / "out"
    bench = Bench(tmp_path, str(folder))
    bench.writer.start()
    try:
        folder.rename(tmp_path / "elsewhere")
        folder.touch()
        bench.writer.put(Task(1, failing))
        bench.wait(1)
        bench.writer.put(Post(2, [b'{"id":"m","type":"Mail.asked","data":{}}']))
        [[line]] = bench.wait(2)
        assert line.receipt.status == "handled"
        told = f"{folder} can't be written: File exists"
        while told not in bench.said:
            time.sleep(0.01)
        folder.unlink()
    finally:
        bench.writer.stop()
    # What was not written is made up for.
    assert len(list(folder.rglob("*.eml"))) == 1
