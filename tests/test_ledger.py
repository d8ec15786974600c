"""The books: what each movement posts, that all of it adds up after every event, and the export."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bizrun.model import Effect, Event, Outcome
from bizrun.pipeline import compile_spec, open_engine
from bizrun.providers.sandbox import Sandbox
from bizrun.reports.beancount import beancount
from bizrun.reports.figures import Span, span
from bizrun.reports.ledger import balances, problems, trial_balance
from bizrun.reports.revenue import recognised, revenue
from bizrun.reports.verify import verify
from bizrun.runtime.engine import Engine
from bizrun.store.memory import MemoryStore
from bizrun.values import Money, instant_text

from .conftest import ROOT

FOLDER = ROOT / "tests" / "golden" / "billing"
SPECS = sorted([*FOLDER.glob("ledger_*.biz"), *FOLDER.glob("marketplace_*.biz")])
START = datetime(2026, 1, 31, 9, tzinfo=UTC)


@pytest.mark.parametrize("spec", SPECS, ids=lambda path: path.stem)
def test_specs(bizrun: Path, spec: Path) -> None:
    for command in ("check", "test"):
        done = subprocess.run([bizrun, command, spec], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr


# --- a random walk -----------------------------------------------------------------------------

PLANS = ("basic", "trialed", "seats", "late", "yearly")
COUNTRIES = ("US", "DE", "SG")


def step(rng: random.Random, users: list[str]) -> tuple[str, dict[str, Any]]:
    user = rng.choice(users) if users else ""
    amount = f"{rng.choice((1, 5, 9.99, 17.37, 40, 100.01))} USD"
    maybe = amount if rng.random() < 0.7 else None
    flag = rng.random() < 0.5
    if not users or (len(users) < 4 and rng.random() < 0.3):
        users.append(f"u{len(users)}")
        return "User.joined", {
            "id": users[-1], "country": rng.choice(COUNTRIES), "plan": rng.choice(PLANS),
            "coupon": rng.choice((None, "TENTH", "FIVE")),
        }  # fmt: skip
    return rng.choice((
        ("User.again", {"user": user, "plan": rng.choice(PLANS)}),
        ("Calls.made", {"user": user, "n": rng.randint(0, 400)}),
        ("Calls.made", {"user": user, "n": rng.randint(0, 400)}),
        ("Sub.plan", {"user": user, "plan": rng.choice(PLANS), "end": rng.random() < 0.3,
                      "prorate": rng.random() < 0.8}),
        ("Sub.plan", {"user": user, "plan": rng.choice(PLANS), "end": False, "prorate": True}),
        ("Sub.seats", {"user": user, "n": rng.randint(1, 9)}),
        ("Sub.pause", {"user": user}),
        ("Sub.resume", {"user": user}),
        ("Sub.cancel", {"user": user, "end": flag, "refund": rng.random() < 0.5}),
        ("Sub.addon", {"user": user, "add": flag}),
        ("One.off", {"user": user, "amount": amount}),
        ("Credit.give", {"user": user, "amount": amount, "days": 10 if flag else None}),
        ("Bill.note", {"user": user, "amount": maybe, "refund": flag}),
        ("Bill.void", {"user": user}),
        ("Bill.pay", {"user": user, "credit": flag}),
        ("Pay.refund", {"user": user, "amount": maybe}),
        ("Pay.split", {"user": user, "seller": rng.choice("st"), "amount": amount, "hold": flag}),
        ("Pay.escrow", {"user": user, "amount": amount}),
        ("Pay.release", {"user": user, "seller": rng.choice(("s", "t", None))}),
        ("Pay.hold", {"user": user}),
        ("Seller.out", {"seller": rng.choice("st"), "amount": amount}),
    ))  # fmt: skip


@pytest.fixture(scope="module")
def program() -> Any:
    checked, program = compile_spec(str(FOLDER / "ledger_everything.biz"))
    assert program is not None, checked.diagnostics
    return program


class Slow:
    """A provider who has money's effects for a while before it tells how they went, and then may
    tell otherwise: a charge that failed comes in after all, a refund that was made comes back."""

    def __init__(self, rng: random.Random, sandbox: Sandbox) -> None:
        self.rng, self.sandbox = rng, sandbox
        self.open: list[tuple[Effect, Outcome]] = []

    def deliver(self, effect: Effect) -> Outcome:
        found = self.sandbox.deliver(effect)
        if effect.kind not in ("charge", "refund", "transfer") or self.rng.random() < 0.3:
            return found
        self.open.append((effect, found))
        if self.rng.random() < 0.2:
            self.open += [
                (effect, Outcome("failed" if found.status == "succeeded" else "succeeded"))
            ]
        return Outcome("pending")

    def tell(self, engine: Engine) -> None:
        if self.open and self.rng.random() < 0.6:
            effect, outcome = self.open.pop(self.rng.randrange(len(self.open)))
            engine.outbox.heard(effect.id, outcome)
            engine.drain()


def walk(
    program: Any, seed: int, steps: int, slow: bool = False
) -> Iterator[tuple[Engine, MemoryStore, str]]:
    """Random events some days apart; the engine after each of them, and what it was."""
    rng, store, sandbox = random.Random(seed), MemoryStore(), Sandbox()
    engine = open_engine(program, store, sandbox)
    provider = Slow(rng, sandbox)
    if slow:
        engine.outbox.deliver = provider.deliver
    users: list[str] = []
    at = START
    for name in ("s", "t"):
        row = {"id": name, "created_at": at, "updated_at": at}
        engine.state.put("Seller", name, row)
    engine.state.settle()
    for number in range(steps):
        if rng.random() < 0.7:
            at += timedelta(hours=rng.randint(0, 24 * 12))
        if rng.random() < 0.25:
            sandbox.payments_fail(rng.choice(("card_declined", "lost_card")))
        else:
            sandbox.payments_succeed()
        type_, data = step(rng, users)
        event = Event(f"e{number}", type_, at, {k: v for k, v in data.items() if v is not None})
        receipt = engine.submit(event, "{}")
        provider.tell(engine)
        engine.commit()
        yield engine, store, f"{number}: {instant_text(at)} {type_} {data}: {receipt}"


def after(program: Any, seed: int, steps: int) -> tuple[Engine, MemoryStore]:
    """The engine and the state at the end of a walk."""
    *_, (engine, store, _) = walk(program, seed, steps)
    return engine, store


@pytest.mark.parametrize("seed", range(16))
def test_the_books_are_right_after_every_event(program: Any, seed: int) -> None:
    done = []
    for engine, store, what in walk(program, seed, 50, slow=seed % 2 == 1):
        done.append(what)
        assert not problems(store), "\n".join(done[-12:])
        assert not verify(store, program), "\n".join(done[-12:])
        assert engine.clock is not None
    failed = [row["reason"] for row in store.select("_dead", {"status": "failed"})]
    assert not failed, failed
    assert not verify(store, program)
    for at in (START, engine.clock, engine.clock + timedelta(days=400)):
        sums: dict[str, Money] = {}
        for (_, currency), amount in balances(store, at, engine.tz).items():
            sums[currency] = amount + sums.get(currency, Money(0, currency))
        assert not any(sums.values())


@pytest.mark.parametrize("seed", (1, 5))
def test_revenue_is_what_was_invoiced(program: Any, seed: int) -> None:
    """Month by month, invoiced less recognised is what the deferred revenue grew by."""
    engine, store = after(program, seed, 60)
    assert engine.clock is not None
    whole = span(START, engine.clock, engine.tz, None, date(2032, 1, 1))
    rows = revenue(store, whole).rows
    deferred = Money(0, "USD")
    for row in rows:
        deferred = deferred + row["invoiced"] - row["recognised"]
        assert row["deferred"] == deferred
    assert rows and not rows[-1]["deferred"]
    found = balances(store, whole.end, engine.tz)
    net = sum((row["net"] for row in rows), Money(0, "USD"))
    refunds = found.get(("refunds", "USD"), Money(0, "USD"))
    assert net == -(found["revenue", "USD"] + refunds)
    part = Span(date(2026, 3, 10), date(2026, 7, 4), engine.clock, engine.tz)
    middle = {row["month"]: row for row in revenue(store, part).rows}
    for row in rows:
        if "2026-04" <= row["month"] <= "2026-06":
            assert middle[row["month"]] == row


# --- recognition -------------------------------------------------------------------------------

BERLIN = ZoneInfo("Europe/Berlin")
instants = st.datetimes(
    datetime(2024, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(
    cents=st.integers(-10_000_000, 10_000_000), starts=instants, days=st.integers(0, 800),
    steps=st.lists(instants, max_size=8),
)  # fmt: skip
def test_recognition_adds_up(
    cents: int, starts: datetime, days: int, steps: list[datetime]
) -> None:
    amount, ends = Money.of_minor(cents, "USD"), starts + timedelta(days=days)

    def at(when: datetime) -> Money:
        return recognised(amount, starts, ends, starts, when, BERLIN)

    marks = [at(when) for when in sorted([starts, *steps, ends + timedelta(days=1)])]
    grown = [later - before for before, later in pairwise(marks)]
    assert at(ends + timedelta(days=1)) == amount
    assert all(part * (1 if cents >= 0 else -1) >= Money(0, "USD") for part in grown)
    assert recognised(-amount, starts, ends, starts, ends, BERLIN) == -at(ends)


def test_recognition_by_day() -> None:
    starts = datetime(2026, 3, 31, 22, tzinfo=UTC)  # 1 April in Berlin
    ends = datetime(2026, 4, 30, 22, tzinfo=UTC)

    def at(day: int, hour: int = 12) -> str:
        when = datetime(2026, 4, day, hour, tzinfo=UTC)
        return str(recognised(Money("100", "USD"), starts, ends, starts, when, BERLIN))

    assert at(1) == "0.00 USD"
    assert at(1, 22) == "3.33 USD"
    assert at(16) == "50.00 USD"
    assert at(30) == "96.67 USD"
    assert at(30, 22) == "100.00 USD"
    before = starts - timedelta(seconds=1)
    assert not recognised(Money("100", "USD"), starts, ends, starts, before, BERLIN)


# docs.stripe.com/revenue-recognition/examples and /revenue-settings/examples: a plan's price, what
# follows the sign-up, and by month what is earned. By day, where Stripe counts milliseconds.
STRIPE = """
business "Books" { currency USD, timezone "UTC", bills User }
entity User { id text key }
plan month { price 31 USD per month }
plan less { price 90 USD per month }
plan more { price 120 USD per month }
plan year { price 365 USD per year }
plan quarter { price 90 USD per 3 months }
plan days { price 120 USD per 120 days }
event User.joined { id text, plan plan }
event User.grew { user User }
event Bill.note { user User }
on User.joined as j {
  let user = create User { id: j.id }
  subscribe { customer: user, plan: j.plan }
}
on User.grew(user) {
  for each s in Subscription where .customer == user { change_plan { subscription: s, plan: more } }
}
on Bill.note(user) {
  for each i in Invoice where .customer == user { credit_note { invoice: i, amount: 45 USD } }
}
"""


@pytest.mark.parametrize(
    ("plan", "joined", "then", "earned"),
    (
        ("month", "2019-01-15", None, ("17.00", "14.00")),
        ("year", "2019-01-01", None, ("31.00", "28.00", "31.00")),
        ("days", "2024-06-15T12", None, ("16.00", "31.00", "31.00", "30.00", "12.00")),
        # 90 for twenty days of thirty, 120 for ten: 60 and 40.
        ("less", "2019-04-01", ("User.grew", "2019-04-21"), ("100.00", "0.00")),
        # 15.50 of the note are of January, which is closed: 14.00 - 15.50.
        ("quarter", "2026-01-01", ("Bill.note", "2026-02-01"), ("31.00", "-1.50", "15.50")),
    ),
)
def test_recognition_beside_stripe(
    plan: str, joined: str, then: tuple[str, str] | None, earned: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "books.biz").write_text(STRIPE)
    program = compile_spec(str(tmp_path / "books.biz"))[1]
    assert program is not None
    store = MemoryStore()
    engine = open_engine(program, store, Sandbox())
    first = datetime.fromisoformat(joined).replace(tzinfo=UTC)
    engine.submit(Event("e1", "User.joined", first, {"id": "u", "plan": plan}), "{}")
    if then is not None:
        at = datetime.fromisoformat(then[1]).replace(tzinfo=UTC)
        engine.submit(Event("e2", then[0], at, {"user": "u"}), "{}")
    engine.commit()
    assert engine.clock is not None
    months = first.month - 1 + len(earned)
    last = date(first.year + months // 12, months % 12 + 1, 1) - timedelta(days=1)
    rows = revenue(store, span(first, engine.clock, engine.tz, None, last)).rows
    assert [str(row["recognised"]) for row in rows] == [f"{amount} USD" for amount in earned]


# --- what is wrong is seen ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "field", "says"),
    (
        ("Ledger", "amount", "does not balance"),
        ("Invoice", "amount_open", "receivable of"),
        ("Invoice", "tax", "tax payable"),
        ("Invoice", "subtotal", "income of inv_"),
        ("Wallet", "balance", "credit of"),
        ("Payment", "amount", "cash"),
    ),
)
def test_a_change_is_seen(program: Any, table: str, field: str, says: str) -> None:
    none = ("void", "uncollectible", "pending", "failed")
    for _, store, _ in walk(program, 4, 50):
        row = next(
            (r for r in store.select(table) if r[field] and r.get("status") not in none), None
        )
        if row is not None:
            break
    assert row is not None and not problems(store)
    more = row[field] + Money("0.01", "USD")
    store.write({table: {row["id"]: {**row, field: more}}})
    found = problems(store)
    assert any(says in problem for problem in found), found


def test_a_seller_is_seen(program: Any) -> None:
    _, store = after(program, 4, 60)
    row = next(row for row in store.select("_seller") if row["payable"])
    payable = {c: amount + Money("1", c) for c, amount in row["payable"].items()}
    store.write({"_seller": {row["id"]: {**row, "payable": payable}}})
    assert any("payable to" in problem for problem in problems(store))


# --- beancount ---------------------------------------------------------------------------------


def bean_check(path: Path) -> subprocess.CompletedProcess[str]:
    """A process of its own: beancount is under the GPL, and nothing of it is imported here."""
    command = Path(sys.executable).parent / "bean-check"
    return subprocess.run([command, path], capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("seed", (0, 3, 7))
def test_beancount_accepts_the_export(program: Any, tmp_path: Path, seed: int) -> None:
    engine, store = after(program, seed, 60)
    assert engine.clock is not None
    whole = span(START, engine.clock, engine.tz, None, None)
    part = Span(date(2026, 3, 10), date(2026, 5, 4), engine.clock, engine.tz)
    for number, about in enumerate((whole, part)):
        path = tmp_path / f"{number}.beancount"
        lines = list(beancount(store, about, 'A "quoted" \\ name'))
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        done = bean_check(path)
        assert done.returncode == 0, done.stdout + done.stderr
        assert any(" balance " in line for line in lines)
    wrong = path.read_text().replace(" balance Assets:Cash  ", " balance Assets:Cash  1")
    path.write_text(wrong, encoding="utf-8")
    assert bean_check(path).returncode != 0


def test_the_trial_balance_balances(program: Any) -> None:
    engine, store = after(program, 2, 60)
    assert engine.clock is not None
    rows = trial_balance(store, span(START, engine.clock, engine.tz, None, None)).rows
    total = rows[-1]
    assert total["account"] == "total" and total["debit"] == total["credit"]
    assert {"cash", "deferred revenue", "revenue"} <= {row["account"] for row in rows}
