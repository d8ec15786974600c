"""A business with a bit of everything, seeded streams for it, and running one in this process."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bizrun.model import Counts
from bizrun.pipeline import compile_spec, open_engine
from bizrun.providers.sandbox import Sandbox
from bizrun.runtime.engine import Engine
from bizrun.runtime.stream import run_stream
from bizrun.runtime.tables import tables_of
from bizrun.store.base import Store
from bizrun.store.digest import state_digest
from bizrun.store.memory import MemoryStore

BEGIN = datetime(2026, 1, 5, 9, tzinfo=UTC)
END = "2026-07-01T00:00:00Z"

EVERYTHING = '''\
business "Everything" {
  language 1
  currency USD
  timezone "America/Los_Angeles"
  bills Account
  invoice_number "EV-{year}-{seq:04}"
}

plan basic "Basic" {
  price 20 USD per month
  trial 10 days
  limits { calls: 100 }
  usage calls graduated { up to 100: free, above: 0.05 USD }
}
plan team "Team" { price 15 USD per seat per month, usage calls: 0.01 USD }

meter calls { sum units of API.called per account }
meter hits  { count Page.hit per account }
meter pages { unique page of Page.seen per account }

dunning standard { retry after 2 days, 5 days, then suspend, cancel after 6 days more }

entity Account {
  id             text key
  email          text unique
  plan           plan?
  status         "new" | "active" | "late" | "gone" = "new"
  payment_method text = "pm_card_visa"
  credits        number = 0
  orders         [Order]
}
entity Order {
  id      text key
  account Account
  amount  money
  status  "open" | "paid" | "refused" | "sent" | "returned" | "kept" = "open"
  reply   text?
}
entity Tally { name text key, count integer = 0 }

lifecycle Account.status {
  start "new"
  "new"  -> "active" on Subscription.activated
  any    -> "late"   on Subscription.past_due
  "late" -> "active" on Invoice.paid
  any    -> "gone"   on Subscription.cancelled
  "gone" -> "active" on Subscription.created
}

event Account.signup key id {
  id text, email text, plan plan = basic, payment_method text = "pm_card_visa"
}
event API.called key account { account Account, units number = 1 }
event Page.hit  key account { account Account }
event Page.seen key account { account Account, page text }
event Order.placed key account { id text, account Account, amount money }
event Order.returned key order { order Order, why text? }
event Seats.changed key account { account Account, seats integer }
event Account.leaves key account { account Account }
event Account.bonus key account { account Account, amount number }
event Batch.run { amount number }
event Report.asked key account { account Account }
event Card.changed key account { account Account, payment_method text }
event Account.upset key account { account Account }

connect depot { url: "https://depot.example" }

on Account.signup as signup {
  let account = create Account { ...signup }
  subscribe { customer: account, plan: signup.plan, quantity: if signup.plan == team then 3 else 1 }
  email { to: account.email, template: "hello", data: { account } }
  after 3 days unless API.called as c where c.account == account {
    email { to: account.email, subject: "Still there?", body: "We miss you, {account.id}." }
  }
}

on Order.placed as placed {
  let order = create Order { ...placed }
  add order to placed.account.orders
  let payment = charge { customer: placed.account, amount: placed.amount, description: "Order" }
  if payment.status == "failed" {
    update order { status: "refused" }
    log "order {order.id}: {payment.error ?? "no reason"}"
  } else {
    update order { status: "paid" }
    let reply = depot.post "/parcels" { order: order.id }
    update order { status: "sent", reply: "{reply.status}" }
    wait for Order.returned as back where back.order == order within 5 days
    if back == none {
      update order { status: "kept" }
    } else {
      update order { status: "returned" }
      refund { payment }
      record returned_value placed.amount
    }
  }
}

on API.called(account) where account.status == "gone" { reject "{account.id} is gone" }

on Report.asked(account) {
  let used = usage(account, calls)
  update account { credits: .credits + used }
  if mod(used, 3) == 1 { reject "{used} calls make no report" }
  upsert Tally { name: "reports" }
  log "{account.id} used {used}"
  return { used }
}

on Seats.changed(account, seats) {
  let found = first Subscription where .customer == account and .plan == team
  if found == none { reject "no team for {account.id}" }
  set_quantity { subscription: found, quantity: seats }
}

on Account.bonus(account, amount) { update account { credits: .credits + amount } }

on Account.leaves(account) {
  let found = first Subscription where .customer == account and .ended_at == none
  if found == none { reject "{account.id} has nothing to cancel" }
  cancel { subscription: found, when: "period_end" }
}

on Card.changed(account, payment_method) {
  update account { payment_method }
  for each invoice in Invoice where .customer == account and .amount_open > 0 USD {
    pay_invoice { invoice }
  }
}

on Batch.run(amount) {
  for each account in Account order by .id {
    if account.credits + amount > 40 { reject "{account.id} has too many credits" }
    update account { credits: .credits + amount }
    if mod(account.credits, 7) == 3 { charge { customer: account, amount: 1 USD } }
  }
  upsert Tally { name: "batches" }
  let tally = Tally("batches")
  if tally != none { update tally { count: .count + 1 } }
}

on Account.upset(account) {
  wait for Account.bonus or Account.leaves as sign where sign.account == account within 8 days
  if sign != none { log "{account.id}: {sign.event.type}" }
}

trigger Account.rich for Account when .credits reaches 20
trigger Account.busy for Account when usage(self, calls) reaches fair(self) once per period
fn fair(a: Account) -> number = 80% of limit(a, calls)
trigger Account.old  for Account when age(self) reaches 30 days
trigger Account.poor for Account when .credits drops below 1

on Account.rich as r {
  email { to: r.account.email, subject: "Rich", body: "You have {r.account.credits}" }
}
on Account.busy as b { emit Account.noted { account: b.account, what: "busy" } }
on Account.old as o { credit { customer: o.account, amount: 2 USD } }
on *.noted { log "{event.type} at {event.time}" }
on Payment.failed(payment, customer) {
  email { to: customer.email, subject: "Declined", body: "{payment.amount}" }
}

every day at 09:00 { upsert Tally { name: "days" } }
every monday at 08:00 in "Europe/Berlin" {
  for each account in Account where .status == "active" order by .id {
    emit Account.noted { account, what: "monday" }
  }
}
every month on last day { log "month" }
every "30 2 * * 0" { log "cron" }

metric mrr: money = sum(Subscription.monthly_amount where .status == "active") every week
metric returned_value: money

template hello { subject "Welcome, {{ account.id }}", body """Hello **{{ account.id }}**.""" }
'''


def write_spec(folder: Path, text: str = EVERYTHING, name: str = "everything.biz") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


Line = dict[str, Any]


def everything(count: int = 600, seed: int = 1) -> list[Line]:
    """Events for EVERYTHING: with refused and late ones, duplicates and conflicts."""
    rng = random.Random(seed)
    now = BEGIN
    accounts: list[str] = []
    orders: list[str] = []
    found: list[Line] = []
    for number in range(count):
        now += timedelta(minutes=rng.randrange(1, 700))
        type_, data = _one(rng, number, accounts, orders)
        at = now - timedelta(days=rng.randrange(20)) if rng.random() < 0.04 else now
        line = {"id": f"e{number:05}", "type": type_, "time": f"{at:%Y-%m-%dT%H:%M:%SZ}",
                "data": data}  # fmt: skip
        found.append(line)
        if rng.random() < 0.03:
            found.append(dict(rng.choice(found)))
        if rng.random() < 0.01:
            found.append({**line, "data": {**data, "units": 77, "why": "other"}})
    return found


def _one(
    rng: random.Random, number: int, accounts: list[str], orders: list[str]
) -> tuple[str, dict[str, Any]]:
    if not accounts or (len(accounts) < 25 and rng.random() < 0.08):
        key = f"a{len(accounts):02}"
        accounts.append(key)
        email = f"{key}@example.com" if rng.random() < 0.9 else "a00@example.com"
        card = rng.choice(["pm_card_visa"] * 3 + ["pm_card_chargeCustomerFail"])
        plan = rng.choice(["basic", "basic", "team"])
        return "Account.signup", {"id": key, "email": email, "plan": plan, "payment_method": card}
    account = rng.choice(accounts)
    order = rng.choice(orders[-3:]) if orders else "none"
    choices: list[tuple[int, str, dict[str, Any]]] = [
        (30, "API.called", {"account": account, "units": rng.randrange(1, 15)}),
        (12, "Page.hit", {"account": account}),
        (8, "Page.seen", {"account": account, "page": rng.choice("abcde")}),
        (8, "Order.placed", {"id": f"o{number}", "account": account,
                             "amount": f"{rng.randrange(1, 90)}.50 USD"}),
        (4, "Order.returned", {"order": order, "why": "too big"}),
        (2, "Seats.changed", {"account": account, "seats": rng.randrange(1, 9)}),
        (2, "Account.leaves", {"account": account}),
        (5, "Account.bonus", {"account": account, "amount": rng.randrange(-4, 9)}),
        (3, "Batch.run", {"amount": rng.randrange(5)}),
        (9, "Report.asked", {"account": account}),
        (2, "Card.changed", {"account": account, "payment_method": "pm_card_visa"}),
        (3, "Account.upset", {"account": account}),
        (1, "API.called", {"account": "nobody"}),
        (1, "Order.placed", {"id": "bad", "account": account, "amount": "many"}),
        (1, "Nobody.asked", {"x": 1}),
    ]  # fmt: skip
    weights = [weight for weight, _, _ in choices]
    _, type_, data = rng.choices(choices, weights)[0]
    if type_ == "Order.placed":
        orders.append(data["id"])
    return type_, data


def without_conflicts(lines: Sequence[Line]) -> list[Line]:
    """The lines that agree with the first one of their id: a conflict is kept with its place."""
    first: dict[str, Line] = {}
    return [line for line in lines if first.setdefault(line["id"], line) == line]


def with_mistakes(lines: Sequence[Line]) -> bytes:
    """A stream with lines that are no events, events without ids, blanks and half a last line."""
    texts = [json.dumps(line) for line in lines]
    middle = len(texts) // 2
    texts[middle:middle] = [
        "no json", '{"id": "x1"}', "", "[1, 2]",
        '{"type": "Page.hit", "data": {"account": "a00"}}',
        '{"type": "Page.hit", "data": {"account": "a00"}}',
        # Refused, then corrected, then the first one again, then a third version.
        '{"id": "fix", "type": "Account.bonus", "data": {"account": "a00", "amount": "x"}}',
        '{"id": "fix", "type": "Account.bonus", "data": {"account": "a00", "amount": 2}}',
        '{"id": "fix", "type": "Account.bonus", "data": {"account": "a00", "amount": "x"}}',
        '{"id": "fix", "type": "Account.bonus", "data": {"account": "a00", "amount": 3}}',
        '{"id": "no", "type": "Account.bonus", "data": {"account": "a00", "amount": "x"}}',
        '{"id": "no", "type": "Account.bonus", "data": {"account": "a00", "amount": "y"}}',
    ]  # fmt: skip
    return ("\n".join(texts) + '\n{"id": "half", "type": "Page').encode()


def as_bytes(lines: Iterable[Line]) -> bytes:
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


# --- running in this process -------------------------------------------------------------------


def open_on(spec: Path, store: Store) -> Engine:
    checked, program = compile_spec(str(spec))
    assert program is not None, [
        (d.code, d.message, checked.loaded.sources[d.span.file].position(d.span.start))
        for d in checked.diagnostics
    ]
    return open_engine(program, store, Sandbox())


def feed(engine: Engine, data: bytes, batch: int = 1000, until: str | None = None) -> Counts:
    """Runs a stream; what it counted this time."""
    engine.counts = Counts()
    instant = datetime.fromisoformat(until) if until else None
    run_stream(engine, data.splitlines(keepends=True), None, batch, instant)
    return engine.counts


def digest(engine: Engine) -> str:
    return state_digest(engine.state.store, tables_of(engine.program))


def run_once(
    spec: Path, data: bytes, batch: int = 1000, until: str | None = END, store: Store | None = None
) -> tuple[str, Counts]:
    """The state's hash and the counts after one run from the beginning."""
    engine = open_on(spec, store or MemoryStore())
    counts = feed(engine, data, batch, until)
    return digest(engine), counts
