"""What `null` says in the payload of an event: none where a field may be that, else a refusal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from .conftest import Command
from .serving import SHOP, serving

SPEC = """
business "Acme" { language 1, currency USD, timezone "UTC", bills Account }
type Address { street text, city text = "Oslo", zip text? = "0150" }
entity Account {
  id text key, plan plan?, note text?, units number, city text?, zip text?, parts [text]
}
plan pro { price 9 USD per month }
event Account.joined {
  id text, plan plan? = "pro", note text? = "fine", units number = 1, home Address?
  parts [text] = []
}
event Account.left { account Account, units number = 1 }
event Account.told { id text, note text? = "dear" }
on Account.joined as e {
  create Account { id: e.id, plan: e.plan, note: e.note, units: e.units, city: e.home?.city,
                   zip: e.home?.zip, parts: e.parts }
  emit Account.told { id: e.id, note: e.note }
}
on Account.told(id, note) { log "{id}: {note ?? "nothing"}" }
on Account.left(account, units) { update account { units: 12 / (units - 2) } }
api POST "/notes" (note: text? = "dear", units: number = 2) { return { note: note, units: units } }
test "none is none, and what is left out is the default" {
  at 2026-01-31T09:00:00Z
  emit Account.joined { id: "a", plan: none, note: none }
  expect Account("a").note == none
  expect Account("a").plan == none
  expect Account("a").units == 1
  call POST "/notes" { note: none }
  expect reply { note: none, units: 2 }
  call POST "/notes"
  expect reply { note: "dear", units: 2 }
}
"""


def line(id_: str, type_: str = "Account.joined", **data: Any) -> str:
    """An event about the row of its id."""
    event = {"id": id_, "type": type_, "time": "2026-01-31T09:00:00Z", "data": {"id": id_, **data}}
    return json.dumps(event) + "\n"


REFUSED = {
    "units": "`units` (number) is null: leave it out for its default, or give a value",
    "parts": "`parts` ([text]) is null: leave it out for its default, or give a value",
    "id": "`id` (text) is null: it needs a value",
}


@pytest.mark.parametrize("field", REFUSED)
def test_null_does_not_fit_what_must_be_there(command: Command, field: str) -> None:
    Path("a.biz").write_text(SPEC)
    Path("a.events.jsonl").write_text(line("a", **{field: None}))
    told = json.loads(command("a.biz", "--json", "--out", "none"))
    assert [one["reason"] for one in told["rejected"]] == [REFUSED[field]]
    assert "[]" in command("query", "Account", "--json")


def test_null_is_none_where_a_field_may_be_none(command: Command) -> None:
    Path("a.biz").write_text(SPEC)
    home = {"street": "x"}
    Path("a.events.jsonl").write_text(
        line("a") + line("b", plan=None, note=None, home=None)
        + line("c", home=home) + line("d", home={**home, "zip": None})
        + line("e", home={**home, "city": None}) + line("f", parts=[None])
    )  # fmt: skip
    told = json.loads(command("a.biz", "--json", "--out", "none"))
    assert [one["reason"] for one in told["rejected"]] == [
        "`home`.city (text) is null: leave it out for its default, or give a value",
        "`parts`[0] (text) is null: it needs a value",
    ]
    rows = json.loads(command("query", "Account order by .id", "--json"))
    assert [(row["id"], row["plan"], row["note"], row["city"], row["zip"]) for row in rows] == [
        ("a", "pro", "fine", None, None), ("b", None, None, None, None),
        ("c", "pro", "fine", "Oslo", "0150"), ("d", "pro", "fine", "Oslo", None),
    ]  # fmt: skip
    assert json.loads(command("query", "Account where .note == none", "--json"))[0]["id"] == "b"


@pytest.mark.parametrize("form", ["biz", "yaml"])
def test_tests_of_a_spec_say_the_same(command: Command, form: str) -> None:
    Path("a.biz").write_text(SPEC)
    name = "a.biz"
    if form == "yaml":
        Path("b.biz.yaml").write_text(command("convert", "a.biz", "--to", "yaml"))
        name = "b.biz.yaml"
    assert "1 passed" in command("test", name)


def test_a_handler_that_is_tried_again_has_the_defaults(command: Command) -> None:
    """With one unit the first spec divides by zero; the second knows the default as well."""
    Path("a.biz").write_text(SPEC.replace("units - 2", "units - 1"))
    left = {
        "id": "y",
        "type": "Account.left",
        "time": "2026-01-31T09:00:00Z",
        "data": {"account": "a"},
    }
    Path("a.events.jsonl").write_text(line("a") + json.dumps(left) + "\n")
    command("a.biz", "--out", "none")
    Path("a.biz").write_text(SPEC)
    assert command("events", "retry", "y") == "y: handled\n"
    assert command("query", 'Account("a").units').strip() == "-12"


def test_a_server_says_the_same(tmp_path: Path) -> None:
    with serving(tmp_path, SHOP) as served:
        sent = [
            {"id": "1", "type": "Customer.signup", "data": {"id": "a"}},
            {"id": "2", "type": "API.called", "data": {"account": "a", "units": None}},
            {"id": "3", "type": "API.called", "data": {"account": None}},
            {"id": "4", "type": "API.called", "data": {"account": "a"}},
        ]
        found = served.results(sent, "application/cloudevents-batch+json")
    assert [(one["status"], one["reason"]) for one in found] == [
        ("handled", None), ("rejected", REFUSED["units"]),
        ("rejected", "`account` (Account) is null: it needs a value"), ("handled", None),
    ]  # fmt: skip
