"""The tests of billing's golden specs, and after each of them books that balance."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

from bizrun.actions import ledger
from bizrun.actions.toolbox import Toolbox
from bizrun.ir.lower_program import lower
from bizrun.ir.program import Program
from bizrun.lang import ast
from bizrun.lang.symbols import Checked
from bizrun.pipeline import load_and_check
from bizrun.providers.sandbox import Sandbox
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


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_golden(path: Path) -> None:
    checked, program = load(path)
    problems = []

    def open_engine() -> tuple[Engine, Overrides]:
        sandbox = Sandbox()
        return Engine(program, MemoryStore(), Toolbox(), sandbox.deliver, True), sandbox

    def observe(engine: Engine) -> None:
        books(engine)
        numbers(engine)

    tests: list[ast.Test] = checked.symbols.tests
    for test in tests:
        result = run_test(checked, program, test, open_engine, observe)
        for failure in result.failures:
            line, _ = checked.loaded.sources[failure.span.file].position(failure.span.start)
            problems.append(f"{test.title}, line {line}: {failure.message} {failure.details}")
    assert not problems, "\n".join(problems)
