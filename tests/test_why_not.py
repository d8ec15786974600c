"""`bizrun why --not` and `why` of a row: what stood in the way, and what changed it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .conftest import Command, write_shop

SPEC = """\
business "Shop" { currency USD, timezone "UTC", bills Member }
entity Member {
  id text key, email text unique, orders integer = 0
  status "new" | "active" | "gone" = "new"
}
entity Order { id text key, member Member, total money }
plan basic { price 10 USD per month, trial 14 days, limits { orders: 3, pages: 100 } }
meter pages { sum pages of Page.read per member }
lifecycle Member.status {
  start "new"
  "new" -> "active" on Order.placed
  any -> "gone" on Member.left
}
event Member.joined key id { id text, email text, referred bool = false }
event Member.left key member { member Member }
event Order.placed key member { id text, member Member, total money }
event Order.returned { order text }
event Page.read key member { member Member, pages integer }
template thanks { subject "Thanks", body "Thanks" }
on Member.joined as joined where joined.referred {
  email { to: joined.email, template: "thanks" }
}
on Member.joined as joined {
  let member = create Member { ...joined }
  subscribe { customer: member, plan: basic }
  after 3 days unless Order.placed as placed where placed.member == member {
    email { to: member.email, subject: "Wrong?", body: "…" }
  }
}
on Order.placed as placed {
  if placed.member.orders >= limit(placed.member, orders) { reject "Too many" }
  let order = create Order { id: placed.id, member: placed.member, total: placed.total }
  update placed.member { orders: .orders + 1 }
  if placed.total >= 50 USD { email { to: placed.member.email, subject: "Big", body: "…" } }
  wait for Order.returned as r where r.order == order.id within 30 days
  if r == none { email { to: placed.member.email, subject: "Kept", body: "…" } }
}
trigger Member.reader for Member when usage(self, pages) reaches 80% of limit(self, pages)
on Member.reader(member) { email { to: member.email, subject: "Reader", body: "…" } }
on Member.left(member) {
  for each order in Order where .member == member { refund { payment: order.id } }
  cancel { subscription: first Subscription where .customer == member }
}
on Subscription.cancelled(customer) { email { to: customer.email, subject: "Bye", body: "…" } }
"""
ADA, BOB = "ada@x.example", "bob@x.example"
HAPPENED: tuple[tuple[str, int, dict[str, Any]], ...] = (
    ("Member.joined", 1, {"id": "a", "email": ADA}),
    ("Member.joined", 1, {"id": "b", "email": BOB, "referred": True}),
    ("Order.placed", 2, {"id": "o1", "member": "a", "total": "20 USD"}),
    ("Order.placed", 2, {"id": "o2", "member": "a", "total": "60 USD"}),
    ("Order.placed", 3, {"id": "o3", "member": "a", "total": "20 USD"}),
    ("Order.placed", 4, {"id": "o4", "member": "a", "total": "70 USD"}),
    ("Page.read", 5, {"member": "a", "pages": 61}),
    ("Member.left", 6, {"member": "b"}),
    ("Order.returned", 7, {"order": "o1"}),
)


@pytest.fixture
def ask(command: Command) -> Command:
    write_shop(SPEC, HAPPENED)
    command("shop.biz", "--out", "none")
    return command


def test_a_where_that_was_false_with_the_values_of_its_parts(ask: Command) -> None:
    assert ask("why", "--not", f"email to {ADA} template thanks").splitlines()[2:] == [
        "  `on Member.joined` could have  shop.biz:21",
        "    Member.joined (e1) at 2026-04-01T09:00:00Z",
        "      `where joined.referred` was false  shop.biz:20",
        "        joined.referred: false",
    ]


def test_an_if_a_refusal_by_a_limit_and_what_still_waits(ask: Command) -> None:
    said = ask("why", "--not", f'email {{ to: "{ADA}", subject: "Kept" }}')
    for part in (
        "there is email ",
        "    Order.placed (e3) at 2026-04-07T09:00:00Z, later on\n"
        '      `if r == none` was false  shop.biz:36\n        r: { order: "o1" }\n',
        "    Order.placed (e6) at 2026-04-04T09:00:00Z\n      it was refused: Too many\n",
        "it still waits for Order.returned where r.order == order.id, at the latest until "
        "2026-05-02T09:00:00Z",
    ):
        assert part in said, said


def test_a_timer_that_was_called_off_and_an_empty_round(ask: Command) -> None:
    said = ask("why", "--not", "email", "to", ADA, "subject", "Wrong?")
    assert "its timer was called off: Order.placed came first  shop.biz:26" in said
    assert "`for each order`: there was none" in ask("why", "--not", "refund")


def test_an_amount_is_one_word(ask: Command) -> None:
    for wanted in ("charge for a amount 99 USD", "charge to a of 99 USD"):
        assert ask("why", "--not", wanted).startswith("no charge for a, amount 99 USD")


def test_how_far_a_trigger_is(ask: Command) -> None:
    said = ask("why", "--not", f"email to {ADA} subject Reader")
    assert "Member.reader never came for ada@x.example\n" in said
    assert "`usage(self, pages) >= 80% of limit(self, pages)` is false: 61 of 80, 76.2%" in said
    assert "          limit(self, pages): 100\n" in said
    told = json.loads(ask("why", "--not", "event Member.reader for a", "--json"))
    assert told["because"][0]["what"] == "trigger Member.reader has not turned"


def test_what_would_have_brought_an_event_of_billing(ask: Command) -> None:
    said = ask("why", "--not", f"email to {ADA} subject Bye")
    assert "Subscription.cancelled never came for ada@x.example; it came 1 time in all" in said
    assert "`on Member.left` could have" in said
    assert "basic of a is trialing until 2026-04-15T00:00:00Z" in said
    assert "basic of a is trialing" in ask("why", "--not", "charge customer a")


def test_what_did_happen(ask: Command) -> None:
    said = ask("why", "--not", f"email to {BOB} template thanks").splitlines()
    assert said[0] == "email to bob@x.example, template thanks did happen"
    assert said[2] == "    Member.joined (e2) at 2026-04-01T09:00:00Z"


def test_a_state_that_was_not_reached(ask: Command) -> None:
    assert ask("why", "--not", "Member b status active").splitlines()[1:] == [
        '  the arrow "new" -> "active" on Order.placed was not taken  shop.biz:11',
        '    it is "gone", not "new"',
        "    Order.placed never came for it",
    ]
    assert "none came for b" in ask("why", "--not", "event Order.placed for b")


def test_slips_of_the_pen(ask: Command) -> None:
    assert ask("why", "--not", "email to adda@x.example template thansk").splitlines()[1:] == [
        "  the spec has no template thansk: did you mean thanks?",
        "  nothing here has adda@x.example in it: did you mean ada@x.example?",
    ]
    assert "There is no Order o5. Did you mean o1?" in ask("why", "--not", "Order o5 total 5")
    for text, hint in (
        ("emial to x", "Did you mean `email`?"), ("email to", "`to` stands alone"),
        ("event Member.jioned", "Did you mean Member.joined?"), ("Member", "Say which Member"),
    ):  # fmt: skip
        assert hint in ask("why", "--not", text, code=2)


def test_what_changed_a_row(ask: Command) -> None:
    assert ask("why", "Member a status").splitlines() == [
        'Member a: status: "active"',
        '  status: "new" to "active" at 2026-04-02T09:00:00Z',
        "    Order.placed (e3) at 2026-04-02T09:00:00Z",
        '  created with status: "new" at 2026-04-01T09:00:00Z  shop.biz:24',
        "    Member.joined (e1) at 2026-04-01T09:00:00Z  shop.biz:23",
    ]
    assert "  orders: 2 to 3 at 2026-04-03T09:00:00Z  shop.biz:33\n" in ask("why", "a")
    assert "Did you mean `status`?" in ask("why", "Member a statu", code=2)
    assert "There is no Member zz" in ask("why", "Member zz", code=2)
