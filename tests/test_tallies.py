"""Metrics that are kept as rows change: the same points as those that are asked for."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bizrun.pipeline import compile_spec, open_engine
from bizrun.providers.sandbox import Sandbox
from bizrun.runtime import schedules
from bizrun.runtime.stream import run_stream
from bizrun.runtime.tables import tables_of
from bizrun.store.digest import state_digest
from bizrun.store.open import open_store

SPEC = """
business "Tallies" { language 1
  currency USD
  timezone "America/Los_Angeles" }

entity Region { id text key }
entity Deal { id text key
  stage  "open" | "won" | "lost" = "open"
  region Region?
  amount money?
  weight number? }

event Deal.came { deal text
  stage  text
  region text?
  amount money?
  weight number? }
event Deal.went { deal text }

on Deal.came as e {
  if Region(e.region ?? "north") == none { create Region { id: e.region ?? "north" } }
  if Deal(e.deal) == none {
    create Deal { id: e.deal, stage: e.stage, amount: e.amount, weight: e.weight }
  }
  if e.weight == 13 { reject "no luck" }
  for each deal in Deal where .id == e.deal {
    update deal { stage: e.stage, region: e.region, amount: e.amount, weight: e.weight }
  }
}
on Deal.went(deal) { if Deal(deal) != none { delete Deal(deal) } }

metric deals:   integer = count(Deal) every day
metric won:     integer = count(Deal where .stage == "won") every day
metric nowhere: integer = count(Deal where .region == none and .stage == "open") every day
metric north:   integer = count(Deal where .region == "north") every day
metric worth:   money   = sum(Deal.amount where .stage == "won") every day
metric weight:  number  = sum(Deal.weight) every day
"""

START = datetime(2026, 3, 1, tzinfo=UTC)
AMOUNTS = (["5 USD", "7.5 USD", "7.50 USD", "-5 USD", "0 USD"], ["3 EUR", "0 EUR"], [None])


def lines(currencies: int) -> list[bytes]:
    """Deals that come, change and go, a dozen a day; every tenth is refused."""
    chance = random.Random(currencies)
    amounts = [amount for some in AMOUNTS[:currencies] for amount in some]
    found = []
    for number in range(400):
        data: dict[str, Any] = {"deal": f"d{chance.randrange(12)}"}
        type_ = chance.choice(["Deal.came", "Deal.came", "Deal.went"])
        if type_ == "Deal.came":
            data |= {
                "stage": chance.choice(["open", "won", "lost"]),
                "region": chance.choice([None, "north", "south"]),
                "amount": chance.choice(amounts),
                "weight": chance.choice([None, 1, 2.5, 13]),
            }
        at = (START + timedelta(hours=2 * number)).isoformat()
        found.append(json.dumps({"id": f"e{number:03}", "type": type_, "time": at, "data": data}))
    return [text.encode() for text in found]


def run(path: Path, state: str, pieces: int, currencies: int) -> tuple[str, list[Any]]:
    """The digest of the state, and its points, of a stream in pieces: each opens the state anew."""
    checked, program = compile_spec(str(path))
    assert program is not None, checked.diagnostics
    stream = lines(currencies)
    store = open_store(state, fresh=True)
    size = -(-len(stream) // pieces)
    for place in range(0, len(stream), size):
        run_stream(open_engine(program, store, Sandbox()), stream[place : place + size], batch=50)
    points = [(row["id"], str(row["value"])) for row in store.select("_point")]
    found = state_digest(store, tables_of(program)), points
    store.close()
    return found


@pytest.mark.parametrize("currencies", [1, 2, 3])
def test_kept_metrics_are_as_asked_ones(
    currencies: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "tallies.biz"
    path.write_text(SPEC)
    kept = run(path, ":memory:", 1, currencies)
    assert run(path, str(tmp_path / "kept.db"), 3, currencies) == kept
    monkeypatch.setattr(schedules, "tally_of", lambda program, state, expr: None)
    assert run(path, str(tmp_path / "asked.db"), 1, currencies) == kept
    for name in ("deals", "won", "nowhere", "north", "weight"):
        assert len({value for id_, value in kept[1] if id_.startswith(f"{name}|")}) > 3, name
