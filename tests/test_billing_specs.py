"""The tests of billing's golden specs, and after each of them books that balance."""

from __future__ import annotations

import itertools
import random
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bizrun.actions import ledger
from bizrun.actions.toolbox import Toolbox
from bizrun.ir.lower_program import lower
from bizrun.ir.program import Program
from bizrun.lang import ast
from bizrun.lang.symbols import Checked
from bizrun.model import Event
from bizrun.pipeline import load_and_check
from bizrun.providers.sandbox import Sandbox
from bizrun.providers.told import ToldServices
from bizrun.reports.beancount import beancount
from bizrun.reports.figures import span
from bizrun.reports.verify import verify
from bizrun.runtime.engine import Engine
from bizrun.runtime.testing import Overrides, run_test
from bizrun.store.memory import MemoryStore
from bizrun.values import Money

from .conftest import ROOT

GOLDEN = ROOT / "tests" / "golden" / "billing"
FILES = sorted(path for path in GOLDEN.glob("*.biz") if path.stem != "desk")


def load(path: Path) -> tuple[Checked, Program]:
    checked = load_and_check(str(path))
    errors = [d for d in checked.diagnostics if d.severity == "error"]
    assert not errors, errors
    return checked, lower(checked)


def sums(engine: Engine, *names: str) -> dict[tuple[object, ...], Money]:
    """The ledger's amounts by columns and currency."""
    found: dict[tuple[object, ...], Money] = defaultdict(lambda: Money(0, "USD"))
    for row in engine.state.select("Ledger", {}):
        key = (*(row[name] for name in names), row["amount"].currency)
        found[key] = row["amount"] + found[key]
    return found


def books(engine: Engine) -> None:
    """Every entry sums to zero; receivable is what invoices have open, credit what wallets hold."""
    assert not {key: total for key, total in sums(engine, "entry").items() if total}
    receivable: dict[tuple[object, ...], Money] = defaultdict(lambda: Money(0, "USD"))
    for row in engine.state.select("Invoice", {}):
        lines = list(engine.state.select("InvoiceLine", {"invoice": row["id"]}))
        zero = Money(0, row["currency"])
        assert row["total"] == row["subtotal"] - row["discount"] + row["tax"], row
        assert row["amount_due"] == row["total"] - row["credit"], row
        assert sum((line["amount"] for line in lines), zero) == row["subtotal"], row
        assert sum((line["discount"] for line in lines), zero) == row["discount"], row
        assert sum((line["tax"] for line in lines), zero) == row["tax"], row
        if row["status"] in ("final", "sent"):
            key = (row["customer"], row["currency"])
            receivable[key] = row["amount_open"] + receivable[key]
    credit: dict[tuple[object, ...], Money] = defaultdict(lambda: Money(0, "USD"))
    for row in engine.state.select("Wallet", {}):
        key = (row["customer"], row["balance"].currency)
        credit[key] = row["balance"] + credit[key]
    for (account, customer, currency), total in sums(engine, "account", "customer").items():
        if account == ledger.RECEIVABLE:
            assert total == receivable[customer, currency], (customer, currency)
        if account == ledger.CREDIT:
            assert -total == credit[customer, currency], (customer, currency)


def numbers(engine: Engine) -> None:
    """Invoice numbers have no gaps, and what was refused or failed was meant to be."""
    series: dict[str, list[int]] = defaultdict(list)
    for row in engine.state.select("Invoice", {}):
        if row["number"]:
            name, _, number = row["number"].rpartition("-")
            series[name].append(int(number))
    for found in series.values():
        assert sorted(found) == list(range(1, len(found) + 1))
    failed = [r for r in engine.state.select("_dead", {}) if r["status"] == "failed"]
    assert not [r for r in failed if "don't fit each other" in r["reason"]], failed


# Another process, since beancount is under the GPL: nothing of it is imported here.
BEANS = """
import sys
from beancount import loader
for path in sys.argv[1:]:
    for error in loader.load_file(path)[1]:
        print(path, error.message)
"""


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for the books of all tests, which beancount reads at the end."""
    folder = tmp_path_factory.mktemp("books")
    yield folder
    command = [sys.executable, "-c", BEANS, *sorted(folder.iterdir())]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and not done.stdout, done.stdout + done.stderr


def export(engine: Engine, path: Path) -> None:
    """The books up to the clock, and up to a year later, when all is earned."""
    assert engine.clock is not None
    for number, until in enumerate((engine.clock, engine.clock + timedelta(days=400))):
        about = span(datetime(2020, 1, 1, tzinfo=UTC), engine.clock, engine.tz, None, until.date())
        lines = beancount(engine.state.store, about, path.stem)
        Path(f"{path}.{number}.beancount").write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_golden(path: Path, exports: Path) -> None:
    checked, program = load(path)
    problems = []
    done = itertools.count()

    def open_engine() -> tuple[Engine, Overrides]:
        sandbox = Sandbox()
        return Engine(
            program, MemoryStore(), Toolbox(ToldServices()), sandbox.deliver, True
        ), sandbox

    def observe(engine: Engine) -> None:
        books(engine)
        numbers(engine)
        engine.commit()
        assert not verify(engine.state.store, program)
        export(engine, exports / f"{path.stem}_{next(done)}")

    tests: list[ast.Test] = checked.symbols.tests
    for test in tests:
        result = run_test(checked, program, test, open_engine, observe)
        for failure in result.failures:
            line, _ = checked.loaded.sources[failure.span.file].position(failure.span.start)
            problems.append(f"{test.title}, line {line}: {failure.message} {failure.details}")
    assert not problems, "\n".join(problems)


PLANS = ("small", "large", "team", "after")


def step(
    engine: Engine, rng: random.Random, sandbox: Sandbox, account: str
) -> tuple[str, dict[str, Any]]:
    """Any one thing that may happen to an account."""
    when = rng.choice(("now", "now", "period_end"))
    invoices = [r["id"] for r in engine.state.select("Invoice", {"customer": account})]
    payments = [r["id"] for r in engine.state.select("Payment", {"customer": account})]
    wallets = [r["id"] for r in engine.state.select("Wallet", {"customer": account})]
    next_ = rng.choice(("now", "now", "next"))
    plan, flag = rng.choice(PLANS), rng.random() < 0.5
    if rng.random() < 0.2:
        (sandbox.payments_fail if flag else sandbox.payments_succeed)()
    mine: list[tuple[str, dict[str, Any]]] = [
        ("Do.subscribe", {"plan": plan, "coupon": rng.choice((None, "ONCE", "MANY"))}),
        ("Do.change", {"plan": plan, "when": when, "invoice": next_, "refund": flag,
                       "prorate": rng.random() < 0.8, "reset": rng.random() < 0.1}),
        ("Do.change", {"plan": "small", "interval": rng.choice(("year", "month"))}),
        ("Do.quantity", {"quantity": rng.randint(0, 6), "when": when, "invoice": next_}),
        ("Do.cancel", {"when": when, "prorate": flag, "refund": rng.random() < 0.3}),
        ("Do.pause", {}), ("Do.resume", {}), ("Do.resume", {}),
        ("Do.coupon", {"coupon": rng.choice(("ONCE", "MANY", "FIXED"))}),
        ("Do.credit", {"amount": f"{rng.randint(1, 40)} USD"}),
        ("Do.invoice", {"amount": f"{rng.randint(1, 99)}.{rng.randint(10, 99)} USD"}),
        ("Addon.add", {"quantity": rng.randint(1, 3)}), ("Addon.drop", {}),
        ("Trial.moved", {"days": rng.randint(0, 9)}),
        ("Coupon.off", {"coupon": rng.choice(("ONCE", "MANY", "FIXED"))}),
        *[("Api.called", {"units": rng.randint(1, 400)})] * 6,
    ]  # fmt: skip
    others: list[tuple[str, dict[str, Any]]] = []
    if invoices:
        about = {"invoice": rng.choice(invoices)}
        others = [
            ("Do.void", about), ("Do.pay", about), ("Do.pay", {**about, "from_credit": True}),
            ("Do.note", {**about, "refund": flag}),
            ("Do.note", {**about, "amount": f"{rng.randint(1, 20)} USD"}),
            ("Bank.received", {**about, "amount": rng.choice((None, "7.50 USD", "500 USD"))}),
            ("Draft.closed", {"invoice": invoices[-1]}),
        ]  # fmt: skip
    if payments:
        about = {"payment": rng.choice(payments)}
        others += [("Do.refund", about), ("Do.refund", {**about, "amount": "3.33 USD"})]
    if wallets:
        others.append(("Credit.over", {"wallet": rng.choice(wallets)}))
    return rng.choice([*((type_, {"account": account, **data}) for type_, data in mine), *others])


@pytest.mark.parametrize("seed", range(12))
def test_a_random_walk_keeps_the_books(seed: int) -> None:
    _, program = load(GOLDEN / "chaos.biz")
    rng, sandbox = random.Random(seed), Sandbox()
    engine = Engine(program, MemoryStore(), Toolbox(ToldServices()), sandbox.deliver, True)
    now = datetime(2026, 1, 30, 12, tzinfo=UTC)
    accounts = {"a": "US", "b": "DE", "c": "FR"}
    engine.advance(now)
    for name, country in accounts.items():
        row = dict.fromkeys(program.entities["Account"].fields)
        row |= {"id": name, "country": country, "payment_method": "pm", "created_at": now,
                "updated_at": now}  # fmt: skip
        engine.state.put("Account", name, row)
    for number in range(150):
        account = rng.choice(list(accounts))
        type_, data = step(engine, rng, sandbox, account)
        late = timedelta(days=rng.choice((0, 0, 0, 1, 9, 40))) if type_ == "Api.called" else None
        at = now - (late or timedelta())
        engine.submit(Event(f"e{number}", type_, at, data), "{}")
        now += timedelta(hours=rng.choice((0, 1, 7, 30, 24 * 9)))
        engine.advance(now)
    engine.advance(now + timedelta(days=400))
    books(engine)
    numbers(engine)
    failed = [r["reason"] for r in engine.state.select("_dead", {}) if r["status"] == "failed"]
    assert not failed
    for row in engine.state.select("Invoice", {}):
        assert row["amount_open"].amount >= 0
    for row in engine.state.select("Payment", {}):
        assert row["refunded"].amount <= row["amount"].amount
    for row in engine.state.select("Wallet", {}):
        assert row["balance"].amount >= 0
