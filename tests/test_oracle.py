"""The engine beside a second calculation that shares no code with it (tests/oracle).

Some 1,500 invoices in a plain run; `BIZRUN_ORACLE=20000` compares at least as many as it says.
"""

from __future__ import annotations

import os
from itertools import count

import pytest

from .oracle.compare import Compared, compare
from .oracle.scenarios import Maker

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
