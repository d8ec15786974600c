"""The figures of a run's summary: the store groups what is alike, and each of a group counts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bizrun.cli import table

from .conftest import Command, write_shop

SPEC = """
business "Shop" { currency USD, bills Member }
entity Member { id text key, payment_method text }
plan basic { price 30 USD per month }
event Member.joined { id text, payment_method text }
on Member.joined(id, payment_method) {
  let member = create Member { id, payment_method }
  subscribe { customer: member, plan: basic }
  email { to: "{id}@x.example", template: hello }
  notify { to: "desk", message: id }
}
template hello { subject "Hello", body "Hello" }
"""
GOOD, BAD = "pm_card_visa", "pm_card_chargeDeclined"


def test_equal_amounts_are_all_counted(command: Command) -> None:
    joined = [
        ("Member.joined", 1, {"id": f"m{n}", "payment_method": BAD if n > 2 else GOOD})
        for n in range(5)
    ]
    write_shop(SPEC, joined)
    found = json.loads(command("shop.biz", "--json", "--out", "none"))
    assert found["totals"] == {"invoiced": {"USD": "150.00"}, "paid": {"USD": "90.00"}}
    counts = found["counts"]
    assert (counts["invoices"], counts["charges"], counts["failed_charges"]) == (5, 3, 2)
    assert counts["emails"] == 5
    said = command("shop.biz", "--out", "none")
    assert "5: hello 5" in said and "5: notify 5" in said
    assert ["open", "2 invoices, 60.00 USD"] in [
        line.split(maxsplit=1) for line in said.split("\n")
    ]


def test_lines_go_on_below_where_a_terminal_ends(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "room_of_output", lambda: 40)
    write_shop(SPEC, [("Member.joined", 1, {"id": "m", "payment_method": GOOD})] * 2)
    lines = command("shop.biz", "--out", "none").splitlines()
    assert lines[2:4] == ["  events    1 new, 0 seen before, 1", "            rejected"]
    at = lines.index("  rejected")
    assert lines[at + 1 : at + 3] == [
        "    1 × Member.joined: there is already",
        "        a Member `m` (e2)",
    ]
    assert lines[-1].startswith("next: bizrun events --status rejected --state .bizrun/shop.db")


LATE = """
business "Late" { currency USD, bills Member }
entity Member { id text key }
event Buy { id text }
on Buy(id) {
  let member = create Member { id }
  let payment = charge { customer: member, amount: 10 USD }
  if payment.status == "succeeded" { reject "sold out meanwhile" }
}
"""


def test_what_is_refused_after_its_event_was_handled_is_told(command: Command) -> None:
    write_shop(LATE, [("Buy", 1, {"id": "a"}), ("Buy", 2, {"id": "b"})])
    found = json.loads(command("shop.biz", "--json", "--out", "none"))
    assert found["events"]["handled"] == 2
    assert [(row["type"], row["reason"]) for row in found["rejected"]] == [
        ("Buy", "sold out meanwhile")
    ] * 2
    assert found["rejected"][0]["place"] == "shop.biz:8"
    said = command("shop.biz", "--fresh", "--out", "none")
    assert "2 new, 0 seen before, 2 handlers refused later" in said
    assert "2 × Buy: sold out meanwhile" in said
    assert "next: bizrun events --status rejected" in said
    assert "later" not in command("shop.biz", "--out", "none")


def test_a_state_that_is_not_kept_is_not_asked(command: Command) -> None:
    write_shop(LATE, [("Buy", 1, {"id": "a"})])
    said = command("shop.biz", "--state", ":memory:", "--out", "none")
    assert "next: bizrun run … --state FILE.db keeps what happened" in said


STRANGE = """
business "Shop" { currency USD, bills Member }
entity Member { id text key, name text }
plan basic { price 30 USD per month }
event Member.joined { id text, name text }
on Member.joined as joined {
  let member = create Member { ...joined }
  subscribe { customer: member, plan: basic }
}
"""


def test_what_is_wrong_with_many_pages_is_told_once(command: Command) -> None:
    joined = [("Member.joined", 1, {"id": f"m{n}", "name": "\U00012000"}) for n in range(3)]
    write_shop(STRANGE, joined)
    warnings = [line for line in command("shop.biz").splitlines() if "warning" in line]
    assert len(warnings) == 1
    assert "INV-2026-00001 has characters" in warnings[0]
    assert warnings[0].endswith("(and 2 others likewise)")


def test_a_misspelt_type_is_told(command: Command) -> None:
    joined = {"id": "m", "payment_method": GOOD}
    happened: list[tuple[str, int, dict[str, Any]]] = [
        ("Member.joined", 1, joined), ("Member.joind", 1, joined), ("Weather.rained", 1, {}),
        ("Member.joind", 2, joined), ("Member.created", 2, {}),
    ]  # fmt: skip
    write_shop(SPEC, happened)
    said = command("shop.biz", "--out", "none")
    assert "4 that nothing handles" in said
    lines = said.splitlines()
    at = lines.index("  nothing handles")
    assert lines[at + 1 : at + 3] == ["    2 × Member.joind: did you mean Member.joined?", ""]
    assert "nothing handles\n" not in command("shop.biz", "--out", "none"), "all were seen before"
