"""The outbox's worker over a provider that fails in every way, on a clock of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Event as Flag
from typing import Any

import pytest

from bizrun.errors import ProviderError, StoreError
from bizrun.ir.lower_program import lower
from bizrun.lang.modules import load
from bizrun.model import Effect, Event, Outcome
from bizrun.pipeline import check_loaded, open_engine
from bizrun.providers.base import Call, Guarantee, Limits, MaybeSent, NotSent, Secrets
from bizrun.runtime.calls import Calls
from bizrun.runtime.delivery import Worker
from bizrun.runtime.engine import Engine
from bizrun.runtime.jobs import Job
from bizrun.runtime.outbox import idempotency_key
from bizrun.store.memory import MemoryStore

SPEC = """
business "T" { language 1, currency USD, timezone "UTC", bills A }
entity A { id text key, seen text? }
event Go.now key a { a A }
on Go.now(a) {
  let done = charge { customer: a, amount: 10 USD }
  update a { seen: done.status }
}
event Go.mail key a { a A }
on Go.mail(a) { email { to: "x@example.com", subject: "s", body: "b" } }
event Bill.a key a { a A }
on Bill.a(a) { invoice { customer: a, lines: [{ description: "x", amount: 10 USD }] } }
event Pay.a key a { a A }
on Pay.a(a) {
  for each i in Invoice where .customer == a and .amount_open > 0 USD {
    let paid = pay_invoice { invoice: i }
    update a { seen: paid.status }
  }
}
event New.a { id text }
on New.a(id) { create A { id: id } }
"""
START = datetime(2026, 1, 1, tzinfo=UTC)
Act = Outcome | NotSent | MaybeSent | Callable[[Effect, Call], Outcome]


@dataclass
class Scripted:
    """A provider that does what a list says, in turn, and then succeeds."""

    acts: list[Any] = field(default_factory=list)
    found: list[Any] = field(default_factory=list)
    promise: Guarantee = "idempotent"
    limits: Limits = field(default_factory=Limits)
    name: str = "scripted"
    keys: list[str] = field(default_factory=list)
    asked: int = 0

    def guarantee(self, effect: Effect) -> Guarantee:
        return self.promise

    def deliver(self, effect: Effect, call: Call) -> Outcome:
        self.keys.append(call.key)
        return self._act(self.acts, effect, call)

    def read_back(self, effect: Effect, call: Call) -> Outcome | None:
        self.asked += 1
        return self._act(self.found, effect, call) if self.found else None

    def _act(self, acts: list[Any], effect: Effect, call: Call) -> Any:
        act = acts.pop(0) if acts else Outcome("succeeded", reference=f"ref-{call.key[:6]}")
        if isinstance(act, Exception):
            raise act
        return act(effect, call) if callable(act) else act


@dataclass
class Only:
    """One provider for everything."""

    provider: Scripted

    def of(self, effect: Effect) -> tuple[str, Scripted, Secrets]:
        return self.provider.name, self.provider, Secrets("scripted", {}, {})

    def addressee(self, effect: Effect) -> str | None:
        return None


class Jumping:
    """A clock that jumps to where it is waited for, unless a call is under way."""

    def __init__(self) -> None:
        self.at = START
        self.worker: Worker | None = None

    def now(self) -> datetime:
        return self.at

    def wait(self, arrived: Flag, span: timedelta | None) -> None:
        assert self.worker is not None
        if self.worker._calls:
            assert arrived.wait(10), "a call hangs"
        else:
            assert span is not None, "the worker waits for nothing"
            self.at += span


class Bench:
    """An engine, its worker and a provider; `again` is what a new process would see."""

    def __init__(self, provider: Scripted) -> None:
        program = lower(check_loaded(load("t.biz", lambda _: SPEC.encode(), lambda _: [])))
        self.program, self.provider, self.clock = program, provider, Jumping()
        self.store = MemoryStore()
        self.count = 0
        self.again()
        self.send("New.a", id="a1")

    def again(self) -> None:
        self.engine: Engine = open_engine(self.program, self.store, None)
        self.worker = Worker(self.engine, Only(self.provider), self.clock, True)  # type: ignore
        self.clock.worker = self.worker
        self.worker.begin()
        self.engine.pump = self.worker.pump
        self.engine.drain()
        self.engine.commit()

    def send(self, type_: str, **data: Any) -> None:
        self.count += 1
        event = Event(f"e{self.count}", type_, START + timedelta(minutes=self.count), data)
        receipt = self.engine.submit(event, "{}")
        assert receipt.status == "handled", receipt
        self.engine.commit()

    def rows(self) -> list[dict[str, Any]]:
        return sorted(self.store.select("_effect"), key=lambda row: row["order"])

    @property
    def status(self) -> str:
        return str(self.rows()[-1]["status"])

    @property
    def kept(self) -> dict[str, Any]:
        found = self.store.get("_delivery", self.rows()[-1]["id"])
        assert found is not None
        return found

    @property
    def seen(self) -> Any:
        row = self.store.get("A", "a1")
        return row and row["seen"]


@pytest.fixture
def bench() -> Iterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def make(*acts: Any, **more: Any) -> Bench:
        made.append(Bench(Scripted(list(acts), **more)))
        return made[-1]

    yield make
    for one in made:
        one.worker.close()


Make = Callable[..., Bench]


def test_an_outcome_wakes_who_waits(bench: Make) -> None:
    one = bench()
    one.send("Go.now", a="a1")
    assert (one.status, one.seen) == ("done", "succeeded")
    assert one.provider.keys == [one.rows()[0]["id"]]


def test_an_invoice_is_not_charged_beside_a_charge_that_is_under_way(bench: Make) -> None:
    """A bank debit takes days: who pays by hand meanwhile waits for it, and nobody pays twice."""
    one = bench(Outcome("pending"))
    one.send("Bill.a", a="a1")
    one.send("Pay.a", a="a1")
    one.send("Pay.a", a="a1")
    assert [row["status"] for row in one.rows()] == ["sent"]
    assert one.seen is None
    one.engine.settle(one.rows()[0]["id"], Outcome("succeeded"))
    one.engine.commit()
    assert one.seen == "succeeded"
    [invoice] = one.store.select("Invoice")
    assert invoice["status"] == "paid"
    assert len(list(one.store.select("Payment"))) == 1


def test_a_server_dates_an_outcome_by_when_it_came(bench: Make) -> None:
    """A provider that was down for days: dunning counts from when it said no."""
    one = bench()
    one.engine.pump = None
    one.send("Go.now", a="a1")
    one.worker.turn()
    end = time.monotonic() + 10
    while not one.worker._calls.answered:
        assert time.monotonic() < end
        time.sleep(0.01)
    one.clock.at = START + timedelta(days=5)
    one.worker.turn()
    assert one.seen == "succeeded"
    [payment] = one.store.select("Payment")
    assert payment["updated_at"] == one.clock.at


def test_a_key_is_the_same_whenever_it_is_made() -> None:
    """By whatever version of bizrun: another key for what is under way would charge twice. One
    that changes on purpose has another KEY_VERSION (RELIABILITY.md 4)."""
    key = "31cc0c1b4f2d8ef6bc0c37d9b3dcf047a23c3fb659a1a824c3668ed526d5288d"
    assert idempotency_key("", "e1/h", "3", "charge") == key


def test_each_part_of_a_key_counts_by_itself() -> None:
    parts = [("a", "bc"), ("ab", "c"), ("abc",), ("abc", ""), ("", "abc"), ("1:a", "bc")]
    assert len({idempotency_key(*part) for part in parts}) == len(parts)


def test_who_was_taken_over_sends_nothing_more(bench: Make) -> None:
    """Two processes over one state: the one that came first may not know that it is over."""
    one = bench()
    first = one.engine
    one.again()
    with pytest.raises(StoreError, match="Another process has taken over"):
        first.submit(Event("late", "Go.now", START + timedelta(days=1), {"a": "a1"}), "{}")
    assert one.provider.keys == []


def test_an_answer_that_was_given_up_for_lost_is_not_the_next_one_s() -> None:
    """A call whose answer is late was begun again: each lease takes its own answer alone."""
    gates = [Flag(), Flag()]

    def held(gate: Flag, status: str) -> Callable[[Effect, Call], Outcome]:
        def act(effect: Effect, call: Call) -> Outcome:
            assert gate.wait(10)
            return Outcome(status)  # type: ignore[arg-type]

        return act

    provider = Scripted([held(gates[0], "failed"), held(gates[1], "succeeded")])
    effect = Effect("k", "charge", {}, START, "e1", "t.biz:1", "a1", 1)
    secrets = Secrets("scripted", {}, {})
    job = Job(effect, "scripted", provider, secrets, ("scripted", "a1"), "scripted", START)
    calls, call = Calls(), Call("k", secrets, START, timedelta(seconds=1), None, None, None, None)

    def answered() -> list[Any]:
        end = time.monotonic() + 10
        while not calls.answered:
            assert time.monotonic() < end
            time.sleep(0.01)
        return [answer for _, answer in calls.answers(START)]

    calls.lease(job, START)
    calls.begin(job, call)
    [(_, lost)] = calls.answers(START + timedelta(days=1))
    assert isinstance(lost, MaybeSent)
    calls.lease(job, START)
    calls.begin(job, call)
    gates[0].set()
    assert answered() == []
    gates[1].set()
    assert [answer.status for answer in answered()] == ["succeeded"]
    assert not calls
    calls.close()


def test_a_decline_is_an_outcome(bench: Make) -> None:
    one = bench(Outcome("failed", "card_declined"))
    one.send("Go.now", a="a1")
    assert (one.status, one.seen, one.rows()[0]["error"]) == ("failed", "failed", "card_declined")


def test_what_was_not_sent_is_sent_again_under_the_same_key(bench: Make) -> None:
    one = bench(NotSent("refused"), MaybeSent("time-out"), NotSent("refused"))
    one.send("Go.now", a="a1")
    assert one.status == "done"
    assert len(one.provider.keys) == 4 and len(set(one.provider.keys)) == 1
    assert one.clock.at > START


def test_retry_after_is_kept(bench: Make) -> None:
    one = bench(NotSent("429", timedelta(seconds=100)))
    one.send("Go.now", a="a1")
    assert one.status == "done" and one.clock.at >= START + timedelta(seconds=100)


def test_a_stored_failure_is_read_back(bench: Make) -> None:
    one = bench(MaybeSent("500", stored=True), found=[Outcome("succeeded", reference="pi_1")])
    one.send("Go.now", a="a1")
    assert (one.status, one.rows()[0]["reference"], one.provider.asked) == ("done", "pi_1", 1)
    assert len(one.provider.keys) == 1


def test_a_failure_that_did_nothing_gets_a_new_key(bench: Make) -> None:
    one = bench(MaybeSent("500", stored=True))
    one.send("Go.now", a="a1")
    first, second = one.provider.keys
    assert one.status == "done" and first != second and len(second) == 64


def test_what_nobody_can_prove_is_unknown(bench: Make) -> None:
    one = bench(MaybeSent("500", stored=True), found=[Outcome("unknown", "not provable")])
    one.send("Go.now", a="a1")
    assert (one.status, one.seen) == ("unknown", None)
    assert one.rows()[0]["resume"] is not None
    one.engine.settle(one.rows()[0]["id"], Outcome("succeeded"))
    one.engine.drain()
    one.engine.commit()
    assert one.seen == "succeeded"


def test_a_key_is_good_for_20_hours(bench: Make) -> None:
    one = bench(MaybeSent("time-out", retry_after=timedelta(hours=21)))
    one.send("Go.now", a="a1")
    assert one.status == "done" and one.provider.asked == 1


@pytest.mark.parametrize(
    ("promise", "status", "calls", "twice"),
    [("at_most_once", "unknown", 1, False), ("at_least_once", "done", 2, True)],
)
def test_without_keys_the_spec_decides(
    bench: Make, promise: str, status: str, calls: int, twice: bool
) -> None:
    one = bench(MaybeSent("connection lost"), promise=promise)
    one.send("Go.mail", a="a1")
    assert (one.status, len(one.provider.keys), one.kept["twice"]) == (status, calls, twice)


def test_after_all_tries_it_waits_for_a_person(bench: Make) -> None:
    limits = Limits(attempts=3)
    one = bench(*[NotSent("no route")] * 3, limits=limits)
    one.send("Go.now", a="a1")
    assert (one.status, one.kept["reason"], one.seen) == ("dead", "no route", None)
    one.send("Go.now", a="a1")
    assert one.status == "done"


def test_what_may_have_been_done_is_never_called_dead(bench: Make) -> None:
    one = bench(*[NotSent("no route")] * 9, limits=Limits(attempts=2))
    one.engine.pump = None
    one.send("Go.now", a="a1")
    sent = {**one.kept, "maybe": True, "attempts": 1, "first": one.clock.at}
    one.engine.state.put("_delivery", sent["id"], sent)
    one.engine.commit()
    one.again()
    assert one.status == "unknown"


def test_a_run_does_not_wait_for_who_is_down(bench: Make) -> None:
    one = bench(*[NotSent("no route")] * 60, limits=Limits(failures=2, attempts=100))
    with pytest.raises(ProviderError, match=r"scripted can't be reached: no route\. All"):
        one.send("Go.now", a="a1")
    assert one.status == "ready" and len(one.provider.keys) < 10
    one.provider.acts.clear()
    one.again()
    assert (one.status, one.seen) == ("done", "succeeded")


class Receivers(Scripted):
    """One provider for many hosts, of which one answers nothing."""

    def host(self, effect: Effect, to: str | None) -> str:
        return "down" if str(effect.customer).startswith("down") else "up"

    def deliver(self, effect: Effect, call: Call) -> Outcome:
        self.keys.append(call.key)
        if self.host(effect, None) == "down":
            raise NotSent("no route")
        return Outcome("succeeded")


def test_a_receiver_that_is_down_stops_no_other(bench: Make) -> None:
    """Its circuit opens for it alone, and a run leaves it for the next one."""
    limits = Limits(attempts=12, pause=timedelta(seconds=5), longest=timedelta(hours=6))
    one = bench()
    one.provider = Receivers([], limits=limits)
    one.again()
    names = [f"down{n}" for n in range(8)]
    for who in (*names, "up"):
        one.send("New.a", id=who)
    for who in (*names, "up"):
        one.send("Go.now", a=who)
    assert [row["status"] for row in one.rows()] == ["ready"] * 8 + ["done"]
    first = one.rows()[0]["id"]
    assert 1 < one.provider.keys.count(first) < 6
    one.provider = Receivers([], limits=limits)
    one.again()
    assert first in one.provider.keys, "the next run tries it again"


def test_one_of_many_hosts_never_stops_a_run(bench: Make) -> None:
    """Data may name any: who calls it hears that it is not there, and all others go on."""

    class Anywhere(Receivers):
        def deliver(self, effect: Effect, call: Call) -> Outcome:
            if self.host(effect, None) == "down" and one.clock.at < call.first + timedelta(
                minutes=9
            ):
                raise NotSent("no route")
            return Outcome("failed", "unreachable")

    one = bench()
    one.provider = Anywhere([], limits=Limits(failures=1, attempts=1000))
    one.again()
    one.send("New.a", id="down")
    one.send("Go.now", a="down")
    one.send("Go.now", a="a1")
    assert [row["status"] for row in one.rows()] == ["failed", "failed"]


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("at", range(1, 5))
@pytest.mark.parametrize("promise", ["idempotent", "at_least_once", "at_most_once"])
def test_killed_at_any_commit(bench: Make, at: int, promise: Guarantee) -> None:
    one = bench(promise=promise)
    done: set[str] = set()
    times = 0

    def send(effect: Effect, call: Call) -> Outcome:
        nonlocal times
        times += call.key not in done or promise != "idempotent"
        done.add(call.key)
        return Outcome("succeeded")

    one.provider.acts += [send] * 10
    commit, left = one.store.commit, at

    def killing(head: str | None = None) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise Killed
        commit(head)

    one.store.commit = killing  # type: ignore[method-assign]
    killed = False
    try:
        one.send("Go.now", a="a1")
    except Killed:
        killed = True
        one.worker.close()
        one.store.rollback()
        one.store.commit = commit  # type: ignore[method-assign]
        one.again()
        if not one.rows():
            one.count -= 1
            one.send("Go.now", a="a1")
    assert killed == (at < 4)
    if one.status == "unknown":
        assert promise == "at_most_once" and times <= 1
        return
    assert (one.status, one.seen) == ("done", "succeeded")
    assert times == 1 or one.kept["twice"]


def test_a_changed_payload_is_not_sent(bench: Make) -> None:
    one = bench()
    one.engine.pump = None
    one.send("Go.now", a="a1")
    row = one.rows()[0]
    one.engine.state.put("_effect", row["id"], {**row, "data": {**row["data"], "amount": "9"}})
    one.worker.pump()
    one.engine.commit()
    assert one.status == "unknown" and not one.provider.keys
