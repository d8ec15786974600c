"""Tenants kept apart, tried as by somebody who means harm: each way to others' rows is shut."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from bizrun.cli.main import main

from .conftest import Command
from .serving import Served, serving, token

SPEC = """
business "Pen" { bills Org, tenant Org, currency USD }
entity Org { id text key, name text, email text = "x@example.com" }
entity User { id text key, org Org, email text unique, friends [User], state "new" | "old" = "new" }
entity Doc { id text key, user User, text text }
entity Note { org Org, text text }
plan pro { price 10 USD per month, limits { users: 3 }, features ["gold"], usage calls: 1 USD }
meter calls { sum units of API.called per org }
lifecycle User.state { start "new"
  "new" -> "old" on User.aged }
event API.called { org Org, units number }
event Org.opened key id { id text, name text }
event Begun.here { org Org }
event Ping.sent { org Org, word text }
event User.aged { org Org, user User }
on Org.opened as o {
  let org = create Org { ...o }
  subscribe { customer: org, plan: pro }
  create User { id: "u-{o.id}", org, email: "{o.id}@x.example" }
  create Doc { id: "d-{o.id}", user: "u-{o.id}", text: "secret of {o.id}" }
  credit { customer: org, amount: 50 USD }
}
on Begun.here(org) {
  after 7 days unless Ping.sent as p where p.word == "stop" { create Note { org, text: "timer" } }
  wait for Ping.sent as p where p.word == "go"
  create Note { org, text: "heard {p.word}" }
}
on Begun.here(org) across tenants {
  wait for Ping.sent as p where p.word == "go"
  create Note { org, text: "{p.word} of anybody" }
}
metric income: money = sum(Invoice.total)
api GET "/usage" (key: text) for org { return usage(key, calls) }
api GET "/limit" (key: text) for org { return limit(key, users) }
api GET "/remaining" (key: text) for org { return remaining(key, users) }
api GET "/credit" (key: text) for org { return credit_balance(key) }
api GET "/feature" (key: text) for org { return has_feature(key, "gold") }
api GET "/preview" (key: text) for org { return preview(key, now) }
api GET "/doc" (key: Doc) for org { return key.text }
api GET "/org" (key: Org) for org { return key.name }
api GET "/sums" () for org {
  return {
    mrr: mrr(), income, invoices: count(Invoice), total: sum(Invoice.total)
    new: mrr_movement("new")
    docs: [for d in Doc: d.text], groups: len((group Doc by .text count))
    one: Doc("d-b")?.text, by_email: (first User where .email == "b@x.example")?.id
    by_unique: User("b@x.example")?.id, last: (first Doc order by .id desc)?.id
    payments: count(Payment), subscriptions: count(Subscription), credit: sum(Wallet.balance)
  }
}
api POST "/charge" (key: text) for org { charge { customer: key, amount: 5 USD } }
api POST "/credit" (key: text) for org { credit { customer: key, amount: 5 USD } }
api POST "/subscribe" (key: text) for org { subscribe { customer: key, plan: pro } }
api POST "/invoice" (key: text) for org {
  invoice { customer: key, lines: [{ description: "x", amount: 5 USD }] }
}
api POST "/cancel" (key: text) for org { cancel { subscription: key } }
api POST "/refund" (key: text) for org { refund { payment: key } }
api POST "/void" (key: text) for org { void_invoice { invoice: key } }
api POST "/mail" (key: text) for org {
  email { to: "x@x.example", subject: "s", body: "b", attachments: [pdf(key)] }
}
api POST "/usage" (key: text) for org {
  record_usage { customer: key, meter: "calls", quantity: 7 }
}
api POST "/emit" (key: text) for org { emit API.called { org: key, units: 9 } }
api POST "/upsert" (key: text) for org { upsert User { id: key, org, email: "evil@x.example" } }
api POST "/make" (key: text) for org { create User { id: "m", org: key, email: "m@x.example" } }
api POST "/friend" (key: text) for org {
  let me = first User
  if me != none { add key to me.friends }
}
api POST "/move" (key: text) for org {
  let me = first User
  if me != none { update me { org: key } }
}
api POST "/write" (key: text) for org { create Doc { id: "new", user: key, text: "mine" } }
api POST "/rewrite" (key: text) for org {
  let mine = first Doc
  if mine != none { update mine { user: key } }
}
api POST "/delete" (key: Doc) for org { delete key }
api GET "/notes" () for org { return [for n in Note order by .text: n.text] }
"""


class Attack:
    """A's token against a server with what belongs to B."""

    def __init__(self, served: Served) -> None:
        self.served = served
        for org in ("a", "b"):
            data = {"id": org, "name": f"Org {org}"}
            served.results({"id": f"open {org}", "type": "Org.opened", "data": data})
            used = {"org": org, "units": 100}
            served.results({"id": f"use {org}", "type": "API.called", "data": used})
        self.ours, self.theirs = (self._client(org) for org in ("a", "b"))

    def _client(self, org: str) -> httpx.Client:
        secret = token(self.served.state, "read", "ingest", customer=org)
        headers = {"authorization": f"Bearer {secret}"}
        return httpx.Client(base_url=self.served.url, headers=headers, timeout=60)

    def key_of(self, entity: str, capsys: pytest.CaptureFixture[str]) -> str:
        """The key of a row of B's."""
        expression = f'[for x in {entity} where .customer == Org("b"): x.id]'
        assert main(["query", expression, "--state", str(self.served.state), "--json"]) == 0
        found: str = json.loads(capsys.readouterr().out)[0]
        return found


@pytest.fixture(scope="module")
def attack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attack]:
    with serving(tmp_path_factory.mktemp("tenancy"), SPEC) as served:
        attack = Attack(served)
        with attack.ours, attack.theirs:
            yield attack


def refused(answer: httpx.Response) -> None:
    assert answer.status_code == 400, answer.text
    assert "here is no " in answer.text or "can't be made here" in answer.text


@pytest.mark.parametrize("path", ["usage", "limit", "remaining", "credit", "feature", "preview"])
def test_nothing_is_told_of_another_customer(attack: Attack, path: str) -> None:
    assert attack.ours.get(f"/{path}?key=a").status_code == 200
    refused(attack.ours.get(f"/{path}?key=b"))


def test_no_row_and_no_sum_has_anything_of_another(attack: Attack) -> None:
    refused(attack.ours.get("/doc?key=d-b"))
    refused(attack.ours.get("/org?key=b"))
    assert attack.ours.get("/sums").json() == {
        "mrr": "10.00 USD", "income": "10.00 USD", "invoices": 1, "total": "10.00 USD",
        "new": "10.00 USD", "docs": ["secret of a"], "groups": 1, "one": None, "by_email": None,
        "by_unique": None, "last": "d-a",
        "payments": 1, "subscriptions": 1, "credit": "50.00 USD",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("charge", "b"), ("credit", "b"), ("subscribe", "b"), ("invoice", "b"), ("usage", "b"),
        ("cancel", "Subscription"), ("refund", "Payment"), ("void", "Invoice"), ("mail", "Invoice"),
        ("emit", "b"), ("upsert", "u-b"), ("make", "b"), ("friend", "u-b"), ("move", "b"),
        ("write", "u-b"), ("rewrite", "u-b"), ("delete", "d-b"),
    ],
)  # fmt: skip
def test_nothing_is_done_to_another(
    attack: Attack, path: str, key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = attack.theirs.get("/sums").json(), attack.theirs.get("/usage?key=b").json()
    if key[0].isupper():
        key = attack.key_of(key, capsys)
    refused(attack.ours.post(f"/{path}", json={"key": key}))
    after = attack.theirs.get("/sums").json(), attack.theirs.get("/usage?key=b").json()
    assert after == before


def test_another_s_event_wakes_and_stops_nothing(attack: Attack) -> None:
    def send(id_: str, org: str, type_: str, **data: str) -> None:
        attack.served.results({"id": id_, "type": type_, "data": {"org": org, **data}})

    send("begun", "a", "Begun.here")
    send("their stop", "b", "Ping.sent", word="stop")
    send("their go", "b", "Ping.sent", word="go")
    # Who waits across tenants hears it; who waits as a tenant does not.
    assert attack.ours.get("/notes").json() == ["go of anybody"]
    send("our go", "a", "Ping.sent", word="go")
    assert attack.ours.get("/notes").json() == ["go of anybody", "heard go"]
    assert attack.theirs.get("/notes").json() == []


def test_an_event_moves_no_other_tenants_lifecycle(
    attack: Attack, capsys: pytest.CaptureFixture[str]
) -> None:
    body = {"id": "aged", "type": "User.aged", "data": {"org": "a", "user": "u-b"}}
    (result,) = attack.ours.post("/events", json=body).json()["results"]
    assert result["status"] == "rejected"
    attack.served.results({**body, "id": "aged by who runs it"})
    expression = '[for u in User order by .id: "{u.id} {u.state}"]'
    assert main(["query", expression, "--state", str(attack.served.state), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == ["u-a new", "u-b new"]


@pytest.mark.parametrize(
    "path", ["/dashboard", "/metrics", "/stream", "/scim/v2/Users", "/sign-in/x"]
)
def test_a_customer_sees_nothing_of_the_business(attack: Attack, path: str) -> None:
    assert attack.ours.get(path).status_code in (403, 404)


def test_what_failed_after_a_wait_sees_its_own_tenant_when_it_is_retried(
    command: Command, tmp_path: Path
) -> None:
    """With one document of its own it fails again; with those of all tenants it would not."""
    (tmp_path / "pens.biz").write_text("""
business "Pens" { bills Org, tenant Org, currency USD }
entity Org { id text key }
entity Doc { id text key, org Org }
event Org.opened key id { id text }
event Org.asked key org { org Org }
event Org.told key org { org Org }
on Org.opened(id) {
  let org = create Org { id }
  create Doc { id: "of {id}", org }
}
on Org.asked(org) {
  wait for Org.told as told where told.org == org within 1 day
  log "{1 / (count(Doc) - 1)}"
}
""")
    events = [("o1", "Org.opened", {"id": "a"}), ("o2", "Org.opened", {"id": "b"})]
    lines = [
        json.dumps({"id": id_, "type": type_, "time": "2026-01-01T00:00:00Z", "data": data})
        for id_, type_, data in [*events, ("asked", "Org.asked", {"org": "a"})]
    ]
    (tmp_path / "pens.events.jsonl").write_text("\n".join(lines))
    state = ("--state", "pens.db")
    command("pens.biz", *state, "--until", "2026-02-01", "--out", "none")
    (failed,) = json.loads(command("events", *state, "--status", "failed", "--json"))
    assert failed["reason"] == "division by zero"
    said = command("events", "retry", failed["id"], *state, code=1)
    assert "not handled again: division by zero" in said
