"""`bizrun preview` against the invoice that the same state makes later."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SPEC = """
business "Acme" { currency USD, timezone "Europe/Berlin", bills Account }
entity Account { id text key }
event Account.joined { id text }
event API.called key account { account Account, units number }
meter calls { sum units of API.called per account }
plan pro {
  price 29.99 USD per month
  usage calls graduated { up to 10: 0.333 USD, above: 0.1 USD }
}
tax vat { 19% exclusive }
on Account.joined(id) {
  let account = create Account { id: id }
  credit { customer: account, amount: 10 USD }
  subscribe { customer: account, plan: pro }
}
"""
EVENTS = [
    {"id": "1", "type": "Account.joined", "time": "2026-01-31T09:00:00Z", "data": {"id": "a"}},
    {"id": "2", "type": "API.called", "time": "2026-02-03T09:00:00Z",
     "data": {"account": "a", "units": 17}},
]  # fmt: skip


def call(*arguments: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bizrun.cli.main", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == expect, done.stderr
    return done


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder: Path = tmp_path_factory.mktemp("preview")
    spec, events = folder / "acme.biz", folder / "events.jsonl"
    spec.write_text(SPEC, encoding="utf-8")
    events.write_text("".join(json.dumps(event) + "\n" for event in EVENTS), encoding="utf-8")
    where = ["--state", str(folder / "acme.db")]
    call("run", str(spec), "--events", str(events), "--out", "none", *where)
    return [str(spec), str(events), *where]


def test_it_says_what_the_invoice_says(state: list[str]) -> None:
    spec, events, *where = state
    text = call("preview", "a", *where).stdout
    assert text.startswith("Invoice of a on 2026-02-28\n")
    assert text.endswith(
        "subtotal    34.02 USD\ntax          6.47 USD\ntotal       40.49 USD\n"
        "amount due  40.49 USD\n"
    )
    said = [json.loads(call("preview", "a", "--json", *more, *where).stdout)
            for more in ([], ["--at", "2026-03-01"])]  # fmt: skip
    call("run", spec, "--events", events, "--out", "none", *where, "--until", "2026-04-01")
    made = json.loads(call("query", "Invoice order by .number", "--json", *where).stdout)[1:]
    assert len(made) == 2
    for one, row in zip(said, made, strict=True):
        assert {name: row[name] for name in one if name != "lines"} == {
            name: value for name, value in one.items() if name != "lines"
        }
        assert [line["amount"] for line in one["lines"]] == [
            line["amount"] for line in row["lines"]
        ]


def test_what_is_wrong_is_said(state: list[str]) -> None:
    _, _, *where = state
    assert (
        "There is no Account `b`. Did you mean `a`?"
        in call("preview", "b", *where, expect=2).stderr
    )
    assert (
        "--at soon is no instant" in call("preview", "a", "--at", "soon", *where, expect=2).stderr
    )
