"""`bizrun backtest`: the same spec bills the same again, another one what it says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import ROOT, Command, write_shop

SPEC = """\
business "Shop" { currency USD, timezone "UTC", bills Member }
entity Member { id text key, payment_method text? }
plan basic {
  price 10 USD per month
  usage pages: 0.10 USD
}
meter pages { sum pages of Page.read per member }
coupon HALF { 50% off once }
tax vat { 20% exclusive }
event Member.joined key id { id text, coupon coupon?, payment_method text = "pm_card_visa" }
event Page.read key member { member Member, pages integer }
on Member.joined as joined {
  let member = create Member { ...joined }
  subscribe { customer: member, plan: basic, coupon: joined.coupon }
}
"""
HAPPENED = (
    ("Member.joined", 1, {"id": "a", "coupon": "HALF"}),
    ("Member.joined", 2, {"id": "b", "payment_method": "pm_card_visa_chargeDeclined"}),
    ("Page.read", 5, {"member": "a", "pages": 70}),
    ("Page.read", 6, {"member": "nobody", "pages": 50}),
)


@pytest.fixture
def ask(command: Command) -> Command:
    write_shop(SPEC, HAPPENED)
    command("shop.biz", "--out", "none", "--until", "2026-05-03")
    return command


def test_the_same_spec_bills_the_same(ask: Command) -> None:
    before = ask("state-hash")
    told = json.loads(ask("backtest", "shop.biz", "--json"))
    assert told["customers"] == []
    assert (told["events"], told["refused"]) == (4, 1)
    assert told["totals"][0]["difference"] == "0.00 USD"
    assert ask("state-hash") == before


def test_a_history_that_bills_nothing_either_way(command: Command) -> None:
    write_shop(SPEC, HAPPENED[3:])
    command("shop.biz", "--out", "none")
    told = command("backtest", "shop.biz")
    assert told.strip() == (
        "1 event again, 1 refused or failed; 0 customers would have been billed otherwise"
    )


def late(ask: Command, number: int, at: str, until: str) -> None:
    """A run in which pages that were read long before are told of, and time moves on."""
    data = {"member": "a", "pages": 7}
    event = {"id": f"late{number}", "type": "Page.read", "time": at, "data": data}
    Path("late.jsonl").write_text(json.dumps(event) + "\n")
    ask("shop.biz", "--out", "none", "--events", "late.jsonl", "--until", until)


def test_what_came_late_comes_late_again(ask: Command) -> None:
    """Time had moved on before: the invoice was final, and a correction stands on the next one."""
    late(ask, 1, "2026-04-20T09:00:00Z", "2026-06-03")
    late(ask, 2, "2026-05-20T09:00:00Z", "2026-07-03")
    late(ask, 3, "2026-06-20T09:00:00Z", "2026-07-03")
    told = json.loads(ask("backtest", "shop.biz", "--json"))
    assert told["customers"] == [] and told["events"] == 7
    shown = {event["type"] for event in json.loads(ask("events", "--json"))}
    assert "clock" not in shown and "Invoice.paid" in shown


def test_another_price_differs_by_customer_and_line(ask: Command) -> None:
    Path("new.biz").write_text(SPEC.replace("price 10", "price 12").replace("0.10 USD", "0.05 USD"))
    told = json.loads(ask("backtest", "new.biz", "--json"))
    (total,) = told["totals"]
    # a: (5 + 10 + 7) × 1.2, then (6 + 12 + 3.50) × 1.2; b: twice 10, then twice 12.
    assert (total["recorded"], total["new"]) == ("50.40 USD", "54.60 USD")
    names = [(change["name"], change["difference"]) for change in told["customers"]]
    assert names == [("b", "4.80 USD"), ("a", "-0.60 USD")]
    a = told["customers"][1]
    assert [(line["name"], line["difference"]) for line in a["lines"]] == [
        ("basic", "4.00 USD"), ("discounts", "-1.00 USD"), ("pages", "-3.50 USD"),
        ("tax", "-0.10 USD"),
    ]  # fmt: skip
    said = ask("backtest", "new.biz")
    assert said.startswith("4 events again, 1 refused or failed; 2 customers would have been")
    assert "\n  pages " in said


def test_a_spec_that_refuses_more_says_so(ask: Command) -> None:
    Path("new.biz").write_text(
        SPEC.replace("pages integer }\non", "pages integer, page text }\non")
    )
    told = json.loads(ask("backtest", "new.biz", "--json"))
    assert told["refused"] == 2
    assert [change["difference"] for change in told["customers"]] == ["-8.40 USD"]


def test_a_year_is_billed_the_same(ask: Command, tmp_path: Path) -> None:
    """Retries, cancellations, trials: a real history comes out to the cent."""
    spec = str(ROOT / "specs" / "monetization" / "subscription.biz")
    ask(spec, "--state", "year.db", "--out", "none")
    told = json.loads(ask("backtest", spec, "--state", "year.db", "--json"))
    assert told["customers"] == []
    assert told["totals"][0]["recorded"] == told["totals"][0]["new"] != "0.00 USD"


def test_mistakes(ask: Command) -> None:
    assert "There is no file other.biz" in ask("backtest", "other.biz", code=2)
    Path("bad.biz").write_text("plan {")
    assert "error" in ask("backtest", "bad.biz", code=1)
