"""The short ways of a stream lead to the same state and the same log as the long one."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from bizrun.pipeline import compile_spec, open_engine
from bizrun.providers.sandbox import Sandbox
from bizrun.runtime import stream
from bizrun.runtime.engine import Engine
from bizrun.runtime.tables import tables_of
from bizrun.store.digest import state_digest
from bizrun.store.open import open_store

from .conftest import ROOT

SPECS = ROOT / "benchmarks" / "specs"


def event(id_: str, type_: str, at: str, **data: Any) -> bytes:
    return json.dumps({"id": id_, "type": type_, "time": at, "data": data}).encode() + b"\n"


def usage_lines() -> list[bytes]:
    chance = random.Random(4)
    names = [f"a{n}" for n in range(5)]
    lines = [event(f"o{n}", "Account.opened", "2026-01-01T00:00:00Z", id=n) for n in names]
    for number in range(600):
        # Two months; a few late, doubled, misspelt, or for an account that is not there.
        day = number // 10 - (30 if number % 37 == 0 and number > 300 else 0)
        at = f"2026-{1 + day // 31:02}-{1 + day % 31:02}T{number % 24:02}:00:00Z"
        account = "nobody" if number % 53 == 0 else chance.choice(names)
        units: Any = chance.choice([40, 25, 1.5, 3.0, "7", -2, 10**20])
        extra = {"note": "x"} if number % 41 == 0 else {}
        id_ = f"u{number // 2 if number % 29 == 0 else number}"
        lines.append(
            event(id_, "API.called", at, account=account, endpoint="/", units=units, **extra)
        )
    return [*lines, b"no json\n", b"\n"]


def order_lines() -> list[bytes]:
    chance = random.Random(5)
    lines = []
    for number in range(300):
        data = {
            "country": chance.choice(["DE", "US", "BR"]), "channel": chance.choice(["web", "fax"]),
            "tier": chance.choice(["free", "gold"]), "amount": chance.choice([5, 600.5, 999]),
            "quantity": chance.randrange(25), "discount": chance.randrange(100),
            "first": chance.choice([True, False, None]),
        }  # fmt: skip
        at = f"2026-01-{1 + number // 12:02}T00:00:00Z"
        lines.append(event(f"o{number}", "Order.placed", at, **data))
    return lines


def outcome(spec: str, lines: list[bytes], state: str, batch: int) -> tuple[Any, ...]:
    _, program = compile_spec(str(SPECS / f"{spec}.biz"))
    assert program is not None
    store = open_store(state, fresh=True)
    engine = open_engine(program, store, Sandbox())
    stream.run_stream(engine, lines, batch=batch)
    counts = engine.counts
    found = (
        state_digest(store, tables_of(program)), list(store.log()), counts.handled,
        counts.duplicate, counts.rejected, counts.malformed,
    )  # fmt: skip
    store.close()
    return found


@pytest.mark.parametrize(("spec", "lines"), [("usage", usage_lines()), ("rules", order_lines())])
def test_every_way_ends_the_same(
    spec: str, lines: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = outcome(spec, lines, ":memory:", 1000)
    assert outcome(spec, lines, str(tmp_path / "a.db"), 7) == short
    monkeypatch.setattr(stream, "lanes", lambda engine: lambda line: False)
    assert outcome(spec, lines, ":memory:", 1000) == short
    monkeypatch.setattr(Engine, "_count_alone", lambda *args: False)
    assert outcome(spec, lines, str(tmp_path / "b.db"), 1000) == short
    assert short[2] > 100 and short[4] > 20
