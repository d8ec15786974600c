"""The figures of a run's summary: the store groups what is alike, and each of a group counts."""

from __future__ import annotations

import json

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
