"""`bizrun why`: from money and messages back to events and lines of the spec."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import Command, write_shop

SPEC = """\
business "Shop" { currency USD, timezone "UTC", bills Member, invoice_number "S-{seq:03}" }
entity Member { id text key, email text, payment_method text?, orders integer = 0 }
plan basic {
  price 10 USD per month
  usage pages graduated { up to 100: 0.10 USD, above: 0.05 USD }
}
meter pages { sum pages of Page.read per member }
coupon HALF { 50% off once }
tax vat { 20% exclusive }
event Member.joined key id { id text, email text, payment_method text? }
event Page.read key member { member Member, pages integer }
on Member.joined as joined {
  let member = create Member { ...joined }
  subscribe { customer: member, plan: basic, coupon: HALF }
}
trigger Member.keen for Member when usage(self, pages) reaches 100 once per period
on Member.keen(member) { email { to: member.email, subject: "Keen", body: "Oh." } }
every month on 2 { notify { to: "desk", message: "{count(Member)} members" } }
"""
DECLINED = "pm_card_visa_chargeDeclined"
HAPPENED = (
    ("Member.joined", 1, {"id": "a", "email": "a@x.example", "payment_method": DECLINED}),
    ("Page.read", 5, {"member": "a", "pages": 70}),
    ("Page.read", 6, {"member": "a", "pages": 50}),
)


@pytest.fixture
def ask(command: Command) -> Command:
    write_shop(SPEC, HAPPENED)
    command("shop.biz", "--out", "none", "--until", "2026-05-03")
    return command


def test_an_invoice_of_prices_with_their_tax(command: Command) -> None:
    write_shop(SPEC.replace("20% exclusive", "25% inclusive"), HAPPENED)
    command("shop.biz", "--out", "none")
    assert command("why", "S-001").splitlines()[:5] == [
        "invoice S-001 of a: 5.00 USD, final",
        "  basic: 1 at 10.00 USD = 8.00 USD before tax  shop.biz:4",
        "  coupon HALF: -5.00 USD  shop.biz:8",
        "  discount: -4.00 USD before tax",
        "  tax vat 25%: 1.00 USD  shop.biz:9",
    ]


def test_an_invoice(ask: Command) -> None:
    assert ask("why", "S-001").splitlines()[:-1] == [
        "invoice S-001 of a: 6.00 USD, final",
        "  basic: 1 at 10.00 USD = 10.00 USD  shop.biz:4",
        "  coupon HALF: -5.00 USD  shop.biz:8",
        "  tax vat 20%: 1.00 USD  shop.biz:9",
        "  Member.joined (e1) at 2026-04-01T09:00:00Z  shop.biz:12",
    ]
    said = ask("why", "S-002")
    for part in (
        "    100 at 0.10 USD = 10.00 USD\n    20 at 0.05 USD = 1.00 USD\n",
        "    counted by pages from 2 events  shop.biz:7\n",
        "      e3 at 2026-04-06T09:00:00Z: pages 50\n",
        " ended at 2026-05-01T00:00:00Z\n    Subscription.created at 2026-04-01T09:00:00Z\n",
        ": failed, card_declined\n",
    ):
        assert part in said, said


def test_a_line_a_payment_a_charge_and_an_event(ask: Command) -> None:
    (line,) = json.loads(ask("query", 'InvoiceLine where .meter == "pages"', "--json"))
    assert ask("why", line["id"]).startswith("pages: 120 = 11.00 USD  shop.biz:5\n")
    query = "Payment order by .created_at, .id limit 1"
    (payment,) = json.loads(ask("query", query, "--json"))
    said = ask("why", payment["id"]).splitlines()
    assert said[0].endswith(": failed, card_declined, by a")
    assert said[1] == "  charge 6.00 USD Invoice S-001, failed: card_declined"
    assert said[2] == "    invoice S-001 of a: 6.00 USD, final"
    assert ask("why", "e2") == "Page.read (e2) at 2026-04-05T09:00:00Z\n"


def test_what_triggers_and_schedules_send(ask: Command) -> None:
    effects = json.loads(ask("outbox", "--json"))
    (email,) = [effect for effect in effects if effect["kind"] == "email"]
    notify = next(effect for effect in effects if effect["kind"] == "notify")
    assert ask("why", email["id"][:10]) == (
        "email to a@x.example Keen, succeeded  shop.biz:17\n"
        "  Member.keen turned true for a at 2026-04-06T09:00:00Z  shop.biz:16\n"
        "    Page.read (e3) at 2026-04-06T09:00:00Z\n"
    )
    assert ask("why", notify["id"]) == (
        "notify to desk, succeeded  shop.biz:18\n"
        "  every month on 2, at 2026-04-02T00:00:00Z  shop.biz:18\n"
    )


def test_json_and_mistakes(ask: Command) -> None:
    told = json.loads(ask("why", "S-001", "--json"))
    assert told["because"][0] == {
        "what": "basic: 1 at 10.00 USD = 10.00 USD", "place": "shop.biz:4", "because": [],
    }  # fmt: skip
    assert "Nothing has the id nothing" in ask("why", "nothing", code=2)
    assert "Several begin with inv_" in ask("why", "inv_", code=2)


def test_a_run_says_that_nobody_sees_to_failed_payments(ask: Command) -> None:
    said = ask("shop.biz", "--out", "none", "--fresh", "--until", "2026-05-03")
    assert "payments failed, and no `dunning` says what then" in said
    Path("shop.biz").write_text(SPEC + "dunning d { retry after 3 days }\n")
    assert "no `dunning`" not in ask("shop.biz", "--out", "none", "--fresh")


CALLS = """\
business "Calls" { currency EUR, timezone "UTC", bills Line, invoice_number "C-{seq:03}" }
entity Line { id text key }
event Line.opened key id { id text }
event Call.ended key line {
  line Line, seconds integer, zone text = "home", free bool = false, bytes size = 0 MB
}
meter time { sum seconds of Call.ended per line by zone where not .free }
meter data { sum bytes of Call.ended per line unit GB }
plan payg {
  usage time per zone { "home": 0.10 EUR per 60, else: 0.90 EUR per 60 }
  usage data: 0.01 EUR per GB
  bill usage at 1 EUR
}
on Line.opened(id) {
  let line = create Line { id }
  subscribe { customer: line, plan: payg }
}
"""
CALLED = (
    ("Line.opened", 1, {"id": "a"}),
    ("Call.ended", 2, {"line": "a", "seconds": 61}),
    ("Call.ended", 3, {"line": "a", "seconds": 500, "free": True}),
    ("Call.ended", 4, {"line": "a", "seconds": 30, "zone": "eu", "bytes": "512 MB"}),
    ("Call.ended", 5, {"line": "a", "seconds": 70}),
)


def test_a_line_of_one_zone_tells_its_packages_and_its_own_events(command: Command) -> None:
    write_shop(CALLS, CALLED)
    command("shop.biz", "--out", "none", "--until", "2026-05-03")
    first, last = (command("why", f"C-00{n}") for n in (1, 2))
    assert first.splitlines()[1:7] == [
        "  time home: 61 at 2 × 0.10 EUR = 0.20 EUR  shop.biz:10",
        "    counted by time from 1 event  shop.biz:7",
        "      e2 at 2026-04-02T09:00:00Z: seconds 61",
        "  time eu: 30 at 1 × 0.90 EUR = 0.90 EUR  shop.biz:10",
        "    counted by time from 1 event  shop.biz:7",
        "      e4 at 2026-04-04T09:00:00Z: seconds 30",
    ]
    assert "      e4 at 2026-04-04T09:00:00Z: bytes 512 MB" in last
    assert last.splitlines()[1:5] == [
        "  time home: 70 at 0.10 EUR = 0.10 EUR  shop.biz:10",
        "    131 at 3 × 0.10 EUR = 0.30 EUR",
        "    billed before: -61 = -0.20 EUR",
        "    counted by time from 2 events  shop.biz:7",
    ]


RECORDED = """\
business "Scans" { currency EUR, timezone "UTC", bills Account, invoice_number "R-{seq:03}" }
entity Account { id text key }
event Account.opened { id text }
event Scan key account { account Account, pages number, at time? }
event Sheet key account { account Account, n number }
meter pages { sum n of Sheet per account }
plan payg { usage pages: 1 EUR }
on Account.opened(id) {
  let account = create Account { id }
  subscribe { customer: account, plan: payg }
}
on Scan as e {
  emit Sheet { account: e.account, n: e.pages }
  record_usage { customer: e.account, meter: pages, quantity: 1, at: e.at ?? now }
}
"""
SCANNED = (
    ("Account.opened", 1, {"id": "a"}),
    ("Scan", 2, {"account": "a", "pages": 5}),
    ("Scan", 3, {"account": "a", "pages": 7}),
)


def test_what_handlers_count_and_what_came_after_an_invoice(command: Command) -> None:
    write_shop(RECORDED, SCANNED)
    command("shop.biz", "--out", "none", "--until", "2026-05-02")
    late = {"account": "a", "pages": 2, "at": "2026-04-20T00:00:00Z"}
    write_shop(RECORDED, (*SCANNED, ("Sheet", 4, {"account": "a", "n": 3}), ("Scan", 30, late)))
    command("shop.biz", "--out", "none", "--until", "2026-06-02")
    first, last = (command("why", f"R-00{n}") for n in (1, 2))
    assert first.splitlines()[1:7] == [
        "  pages: 14 at 1.00 EUR = 14.00 EUR  shop.biz:7",
        "    counted by pages from 4 events  shop.biz:6",
        "      e3/on Scan/1 at 2026-04-03T09:00:00Z: n 7",
        "      e3/on Scan/2 at 2026-04-03T09:00:00Z: quantity 1",
        "      e2/on Scan/1 at 2026-04-02T09:00:00Z: n 5",
        "      e2/on Scan/2 at 2026-04-02T09:00:00Z: quantity 1",
    ]
    assert last.splitlines()[1:6] == [
        "  pages: 6 at 1.00 EUR = 6.00 EUR  shop.biz:7",
        "    counted by pages from 3 events  shop.biz:6",
        "      e5/on Scan/1 at 2026-04-30T09:00:00Z: n 2",
        "      e5/on Scan/2 at 2026-04-30T09:00:00Z: quantity 1",
        "      e4 at 2026-04-04T09:00:00Z: n 3",
    ]


CHANGED = """\
business "Shop" { currency USD, timezone "UTC", bills Member, invoice_number "S-{seq:03}" }
entity Member { id text key }
plan basic { price 10 USD per month }
plan pro { price 30 USD per month }
event Member.joined key id { id text }
event Moved { id text }
on Member.joined(id) {
  let member = create Member { id }
  subscribe { customer: member, plan: pro }
}
on Moved as e {
  for each s in Subscription where .customer == Member(e.id) {
    change_plan { subscription: s, plan: basic }
  }
}
"""


def test_a_change_says_of_which_days_it_is_and_what_it_gives(command: Command) -> None:
    write_shop(CHANGED, (("Member.joined", 1, {"id": "a"}), ("Moved", 16, {"id": "a"})))
    command("shop.biz", "--out", "none")
    assert command("why", "S-002").splitlines()[1:4] == [
        "  Unused time on pro, 2026-04-16 to 2026-05-01: -15.00 USD  shop.biz:4",
        "  Remaining time on basic, 2026-04-16 to 2026-05-01: 5.00 USD  shop.biz:3",
        "  account credit: 10.00 USD",
    ]
