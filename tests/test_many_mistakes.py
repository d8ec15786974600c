"""A long spec with twenty mistakes of twenty kinds: each is told on its line, and nothing else."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from bizrun.actions import open_action
from bizrun.actions.signatures import SIGNATURES
from bizrun.lang.check import check
from bizrun.lang.modules import load_text

LINES = 2000
MISTAKES = 20
EXTRA = 2

HEAD = """\
business "Long" {
  language 1
  currency USD
  timezone "America/Los_Angeles"
  bills Account
}
entity Account {
  id      text key
  email   text unique
  country text?
  plan    plan?
  credits number = 0
}
event Account.signup key id { id text, email text }
on Account.signup as s { create Account { ...s } }
event Order.note key account { account Account, text text }
on Order.note(account, text) { log "{account.id} {text}" }
"""

# One of many parts, each with names of its own. A mistake replaces one of its lines.
PART = """
# --- part N
const limitN = 7
const feeN = 2.50 USD
const graceN = 5 days
entity OrderN {
  id      text key
  account Account
  amount  money
  count   integer = 1
  note    text?
  due     time?
  status  "open" | "paid" | "late" | "shut" = "open"
}
event OrderN.placed key account { account Account, id text, amount money, note text? }
event OrderN.paid key order { order OrderN }
event OrderN.closed key order { order OrderN, share percent = 10% }
lifecycle OrderN.status {
  start "open"
  "open" -> "paid" on OrderN.paid
  "open" -> "late" after 9 days
  "late" -> "paid" on OrderN.paid
  "paid" -> "shut" on OrderN.closed
}
plan planN "Plan N" {
  price 19 USD per month
  trial 14 days
  limits { seats: 3 }
  features ["one", "two"]
  usage callsN graduated {
    up to 100:   free
    up to 1_000: 0.02 USD
    above:       0.01 USD
  }
}
event CallN.made key account { account Account, units number = 1 }
meter callsN { sum units of CallN.made per account }
coupon COUPONN { 10% off for 3 months }
fn priceN(amount: money, count: number) -> money = amount * count + feeN
fn labelN(order: OrderN) -> text {
  if order.count > limitN { return "many" }
  return order.note ?? "few"
}
on OrderN.placed as placed where placed.amount > 1 USD {
  let order = create OrderN { ...placed, due: now + graceN }
  let total = priceN(placed.amount, 2)
  let payment = charge { customer: placed.account, amount: total }
  if payment.status == "failed" {
    email { to: placed.account.email, subject: "Failed", body: "{payment.error ?? "why"}" }
  } else {
    update order { count: .count + 1, note: labelN(order) }
  }
  email { to: placed.account.email, template: "mailN", data: { order, total } }
}
on OrderN.paid(order) {
  wait for OrderN.closed as closed where closed.order == order within 3 days
  if closed != none { log "closed {closed.share}" }
  after graceN { emit Order.note { account: order.account, text: "grace {order.id}" } }
}
on OrderN.closed(order, share) {
  let back = order.amount * share
  if back > 0 USD { credit { customer: order.account, amount: back } }
}
on OrderN.late(orderN) { log "late {orderN.id}" }
trigger OrderN.late for OrderN when .count reaches limitN
every day at 09:00 {
  for each order in OrderN where .status == "late" order by .id {
    update order { note: "late since {order.updated_at}" }
  }
}
metric openN: money = sum(OrderN.amount where .status == "open") every day
template mailN { subject "Order {{ order.id }}", body \"\"\"You pay {{ total }}.\"\"\" }
test "part N" {
  at 2026-01-31T09:00:00Z
  emit Account.signup { id: "a", email: "a@example.com" }
  emit OrderN.placed { account: "a", id: "o", amount: 5 USD }
  expect 1 charge { amount: 12.50 USD }
  expect OrderN("o").count == 2
}
"""

# Kind: the line as it stands, and as it is wrong.
KINDS: dict[str, tuple[str, str]] = {
    # syntax
    "a bracket is missing": ("  if back > 0 USD {", "  if (back > 0 USD {"),
    "two operators": ("  let back = order.amount * share", "  let back = order.amount * * share"),
    "a word too many": ("  trial 14 days", "  trial of 14 days"),
    "no value": ("const limitN = 7", "const limitN 7"),
    "an unknown unit": ("const graceN = 5 days", "const graceN = 5 dayz"),
    "an unknown currency": ("const feeN = 2.50 USD", "const feeN = 2.50 XYQ"),
    "a text that does not end": ('  features ["one", "two"]', '  features ["one", "two]'),
    "an impossible date": ("  at 2026-01-31T09:00:00Z", "  at 2026-02-31T09:00:00Z"),
    "chained comparisons": ("  if order.count > limitN {", "  if 1 < order.count > limitN {"),
    "one equals sign": ('  if payment.status == "failed" {', '  if payment.status = "failed" {'),
    "a declaration that is none": ("coupon COUPONN {", "coupn COUPONN {"),
    # names
    "an unknown name": ("  let back = order.amount * share", "  let back = order.amount * sharing"),
    "an unknown field": ('log "late {orderN.id}"', 'log "late {orderN.idd}"'),
    "an unknown entity": ("in OrderN where .status", "in OrdersN where .status"),
    "an unknown function": ("let total = priceN(", "let total = pricesN("),
    "an unknown action": ("  if back > 0 USD { credit {", "  if back > 0 USD { credits {"),
    "an unknown field of an action": ("amount: total }", "amont: total, amount: total }"),
    "a field of an action is missing": ("amount: total }", "description: \"x\" }"),
    "an unknown type": ("  due     time?", "  due     moment?"),
    "an unknown template": ('template: "mailN"', 'template: "maleN"'),
    "an unknown meter": ("  usage callsN graduated {", "  usage callzN graduated {"),
    "an unknown field of a query": ('where .status == "late"', 'where .state == "late"'),
    "an unknown field to sort by": ("order by .id {", "order by .ident {"),
    "an unknown field in create": ("due: now + graceN }", "dew: now + graceN }"),
    "an unknown name in a text": ('"grace {order.id}"', '"grace {oder.id}"'),
    "an unknown setting of a plan": ("  trial 14 days", "  trail 14 days"),
    "a name given again": ("  let total = priceN(placed.amount, 2)",
                           "  let total = priceN(placed.amount, 2)\n  let order = 5"),
    "a name twice": ("const feeN = 2.50 USD", "const feeN = 2.50 USD\nconst feeN = 3 USD"),
    "a field twice": ("  note    text?", "  note    text?\n  note    text?"),
    # types and units
    "money and a number": ("amount * count + feeN", "amount * count + 5"),
    "a percent added": ("amount * count + feeN", "amount * count + 10%"),
    "money for a number": ("count: .count + 1,", "count: 5 USD,"),
    "text for money": ("amount: total }", 'amount: "much" }'),
    "an enum's unknown literal": ('where .status == "open")', 'where .status == "opened")'),
    "a comparison of two kinds": ("where placed.amount > 1 USD {", "where placed.amount > 1 {"),
    "two currencies": ("const feeN = 2.50 USD", "const feeN = 2.50 USD + 1 EUR"),
    "a condition that is none": ("  if closed != none {", '  if closed.share {'),
    "a wrong return": ('{ return "many" }', "{ return 7 }"),
    "too few arguments": ("priceN(placed.amount, 2)", "priceN(placed.amount)"),
    "a default that does not fit": ("  count   integer = 1", '  count   integer = "one"'),
    "an expectation that does not fit": ("  expect OrderN(\"o\").count == 2",
                                         '  expect OrderN("o").count == "two"'),
    "months and days compared": ("  let total = priceN(placed.amount, 2)",
                                 "  let total = if 1 month < 30 days then feeN else feeN"),
    "a range that ends first": ("if order.count > limitN {", "if order.count in 9..1 {"),
    "a wait backwards": ("order within 3 days", "order within -3 days"),
    "a division by zero": ("amount * count + feeN", "amount / 0 + feeN"),
    "a limit below zero": ('where .status == "late" order by .id {',
                           'where .status == "late" order by .id limit -1 {'),
    "a clock that goes back": ("  expect 1 charge { amount: 12.50 USD }", "  at 2026-01-01"),
    "an amount that says none": ("amount: 5 USD }", 'amount: "five" }'),
    # none
    "a field of none": ("log \"closed {closed.share}\"", 'log "closed {order.note.x}"'),
    "none computed with": ('return order.note ?? "few"', "return order.note"),
    # plans
    "tiers that fall": ("    up to 1_000: 0.02 USD", "    up to 50: 0.02 USD"),
    "two last tiers": ("    up to 1_000: 0.02 USD", "    above: 0.02 USD"),
    "a coupon above all": ("{ 10% off for 3 months }", "{ 110% off for 3 months }"),
    "a negative price": ("  price 19 USD per month", "  price -19 USD per month"),
    "a share as a price": ("  price 19 USD per month", "  price 19% per month"),
    "tiers of no kind": ("  usage callsN graduated {", "  usage callsN gradual {"),
    # lifecycles
    "a start beside the default": ('  start "open"', '  start "paid"'),
    "an unknown state": ('  "open" -> "late" after 9 days', '  "open" -> "lates" after 9 days'),
    "an unknown start": ('  start "open"', '  start "opened"'),
    "an arrow twice": ('  "late" -> "paid" on OrderN.paid', '  "open" -> "shut" on OrderN.paid'),
    # triggers, meters, templates, tests
    "a meter of an unknown field": ("{ sum units of", "{ sum unit of"),
    "a template's name is not given": ("data: { order, total } }", "data: { order } }"),
    "a template's broken syntax": ("You pay {{ total }}.", "You pay {{ total."),
    "an event's unknown field": ("amount: 5 USD }", "amounts: 5 USD, amount: 5 USD }"),
    "a schedule's impossible time": ("every day at 09:00 {", "every day at 25:00 {"),
}  # fmt: skip

# What these leave unused, or unknown, is told as well.
FOLLOWED = {"a bracket is missing", "an unknown template", "a condition that is none"}


def spec_with(kinds: list[str], seed: int) -> tuple[str, dict[int, str]]:
    """The text, and the line of each mistake with its kind."""
    count = LINES // PART.count("\n") + 1
    parts = [PART.replace("N", str(number)) for number in range(count)]
    for number in range(count):
        assert parts[number].count("\n") == PART.count("\n")
    where = random.Random(seed).sample(range(count), len(kinds))
    offsets: dict[int, tuple[int, str]] = {}
    for kind, number in zip(kinds, where, strict=True):
        old, new = (text.replace("N", str(number)) for text in KINDS[kind])
        before, found, after = parts[number].partition(old)
        assert found, kind
        offsets[number] = before.count("\n") + new.count("\n"), kind
        parts[number] = before + new + after
    text, lines = HEAD, {}
    for number, part in enumerate(parts):
        if number in offsets:
            offset, kind = offsets[number]
            lines[text.count("\n") + offset + 1] = kind
        text += part
    return text, lines


def found_in(text: str) -> list[tuple[int, str, str]]:
    checked = check(load_text("long.biz", text), SIGNATURES, open_action)
    source = checked.loaded.sources["long.biz"]
    return [
        (source.position(problem.span.start)[0], problem.code, problem.message)
        for problem in checked.diagnostics
    ]


def test_without_mistakes_nothing_is_told() -> None:
    text, _ = spec_with([], 0)
    assert text.count("\n") >= LINES
    assert found_in(text) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_mistake_alone(kind: str) -> None:
    """Told on its line, and once."""
    number = 3
    old, new = (text.replace("N", str(number)) for text in KINDS[kind])
    part = PART.replace("N", str(number))
    before, found, after = part.partition(old)
    assert found, kind
    line = (HEAD + before).count("\n") + new.count("\n") + 1
    problems = found_in(HEAD + before + new + after)
    assert line in {at for at, _, _ in problems}, (line, problems)
    assert len(problems) <= 1 + (kind in FOLLOWED), problems


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_twenty_mistakes(seed: int) -> None:
    assert len(KINDS) >= 45
    kinds = random.Random(seed).sample(sorted(KINDS), MISTAKES)
    text, lines = spec_with(kinds, seed)
    problems = found_in(text)
    told = Counter(at for at, _, _ in problems)
    missing = {at: kind for at, kind in lines.items() if at not in told}
    assert not missing, problems
    extra = [problem for problem in problems if problem[0] not in lines]
    twice = sum(told.values()) - len(told)
    assert len(extra) + twice <= EXTRA, extra
