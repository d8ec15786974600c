"""The engine beside a second calculation that shares no code with it (tests/oracle).

Some 1,500 invoices in a plain run; `BIZRUN_ORACLE=20000` compares at least as many as it says.
"""

from __future__ import annotations

import os
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from .oracle.compare import Compared, compare, run_engine
from .oracle.scenarios import UNTIL, Maker
from .oracle.spec import biz, events

WANTED = int(os.environ.get("BIZRUN_ORACLE", "1500"))
# Currencies, roundings, prorations, calendars, credit before tax and included taxes in turn.
SEEDS = range(14)


@pytest.mark.parametrize("seed", SEEDS)
def test_invoices_agree(seed: int) -> None:
    _agrees(seed, 8)


def test_as_many_invoices_agree_as_are_asked_for() -> None:
    seen = 0
    for seed in count(1000):
        seen += _agrees(seed, 60)
        if seen >= WANTED:
            break


def _agrees(seed: int, buyers: int) -> int:
    world, here = Maker(seed, buyers).world, Compared()
    compare(world, here)
    shown = "\n".join(str(difference) for difference in here.differences[:3])
    assert not here.differences, f"seed {seed}, {world.rules}\n{shown}"
    assert here.invoices > buyers
    return here.invoices


@pytest.mark.parametrize("seed", (200, 201, 202))
def test_a_grace_changes_when_an_invoice_is_final_and_nothing_on_it(seed: int) -> None:
    """Drafts are made again when they become final: where nothing came late, they say the same."""
    world = Maker(seed, 12).world
    punctual = tuple(
        buyer
        for buyer in world.buyers
        if not any(act.kind in ("noted", "moved") or "sent" in act.data for act in buyer.acts)
    )
    world = replace(world, buyers=punctual)
    text, stream = biz(world), events(world)
    at_once = _made(run_engine(text, stream, UNTIL))
    later = text.replace("  billing ", "  grace 12 hours\n  billing ", 1)
    assert _made(run_engine(later, stream, UNTIL)) == at_once
    assert len(at_once) > len(punctual)


def _made(engine: Any) -> list[tuple[Any, ...]]:
    """What final invoices say, but for their days and the credit that they use."""
    lines: dict[str, list[str]] = {}
    for row in engine.state.select("InvoiceLine", {}):
        lines.setdefault(row["invoice"], []).append(str(row["amount"]))
    names = ("customer", "discount", "tax", "total")
    return sorted(
        (sorted(lines[row["id"]]), *(str(row[name]) for name in names))
        for row in engine.state.select("Invoice", {})
        if row["status"] != "draft"
    )
