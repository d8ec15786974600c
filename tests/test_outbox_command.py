"""`bizrun outbox` on a live state: what is stuck, and each act of a person on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bizrun.cli.main import cli

from .fakes.stripe import KEY, FakeStripe

SPEC = """
business "T" { language 1, currency USD, timezone "UTC", bills A }
connect stripe { key: env("STRIPE_API_KEY"), retries: 1, pause: 0.01 seconds
  rest: 0.01 seconds, most_per_day: 50 USD }
entity A { id text key, payment_method text = "pm_card_visa" }
event New.a { id text }
event Go.now key a { a A }
on New.a(id) { create A { id: id } }
on Go.now(a) { charge { customer: a, amount: 20 USD } }
"""


class Shop:
    def __init__(self, folder: Path, fake: FakeStripe) -> None:
        self.folder, self.fake, self.count = folder, fake, 0
        (folder / "t.biz").write_text(SPEC)
        self.faults: list[str | None] = []
        fake.faults = lambda method, path, number: self._fault(path)

    def _fault(self, path: str) -> str | None:
        if path != "/v1/payment_intents":
            return None
        return self.faults.pop(0) if self.faults else None

    def bizrun(self, *args: str, code: int = 0) -> str:
        done: Result = CliRunner().invoke(cli, [*args, "--state", "t.db"], standalone_mode=False)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            if code == 2:
                return str(done.exception)
            raise done.exception
        assert (done.return_value or 0) == code, done.output
        return done.output

    def send(self, *types: str, code: int = 0, day: str = "01-01") -> str:
        lines = []
        for type_ in types:
            self.count += 1
            data = '{"id": "a1"}' if type_ == "New.a" else '{"a": "a1"}'
            time = f"2026-{day}T00:{self.count:02}:00Z"
            lines.append(f'{{"id":"e{self.count}","type":"{type_}","time":"{time}","data":{data}}}')
        Path("e.jsonl").write_text("\n".join(lines))
        return self.bizrun("run", "t.biz", "--live", "--events", "e.jsonl", code=code)

    def effects(self) -> list[dict[str, Any]]:
        import json

        found: list[dict[str, Any]] = json.loads(self.bizrun("outbox", "--json"))
        return found


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STRIPE_API_KEY", KEY)
    with FakeStripe() as fake:
        monkeypatch.setenv("STRIPE_API_BASE", fake.url)
        yield Shop(tmp_path, fake)


def test_what_was_given_up_is_tried_again(shop: Shop) -> None:
    shop.faults = ["429", "429"]
    assert "1 effect not done after all tries" in shop.send("New.a", "Go.now")
    (dead,) = shop.effects()
    assert (dead["status"], dead["tries"], dead["provider"]) == ("dead", 2, "stripe")
    assert "succeeded" in shop.bizrun("outbox", "retry", dead["id"][:8])
    assert len(shop.fake.charged()) == 1
    assert "has succeeded" in shop.bizrun("outbox", "retry", dead["id"], code=2)
    assert "Audit.retried" in shop.bizrun("events", "--json")


def test_what_is_unknown_is_asked_for_before_it_is_sent(shop: Shop) -> None:
    shop.faults = ["500 after", *["429"] * 9]
    shop.send("New.a", "Go.now")
    (open_,) = shop.effects()
    assert open_["status"] == "unknown" and len(shop.fake.charged()) == 1
    assert "succeeded" in shop.bizrun("outbox", "retry", open_["id"])
    assert [len(found) for found in shop.fake.charged().values()] == [1]


def test_a_person_has_the_last_word(shop: Shop) -> None:
    shop.faults = ["500 before", *["429"] * 9]
    shop.send("New.a", "Go.now")
    (open_,) = shop.effects()
    assert "failed: checked" in shop.bizrun(
        "outbox", "resolve", open_["id"], "failed", "--error", "checked"
    )
    assert shop.effects()[0]["status"] == "failed"
    assert not shop.fake.charged()


def test_a_stopped_connector_gets_nothing(shop: Shop) -> None:
    shop.send("New.a")
    assert "Did you mean `stripe`?" in shop.bizrun("outbox", "stop", "strip", code=2)
    shop.bizrun("outbox", "stop", "stripe", "--reason", "double bookings")
    assert "not sent yet" in shop.send("Go.now", "Go.now")
    assert not shop.fake.requests and [row["status"] for row in shop.effects()] == ["waiting"] * 2
    assert "double bookings" in shop.bizrun("outbox")
    shop.bizrun("outbox", "start", "stripe")
    shop.send("New.a")
    assert len(shop.fake.charged()) == 2
    assert {"Audit.stopped", "Audit.started"} <= set(shop.bizrun("events", "--json").split('"'))


def test_an_account_over_its_bound_is_parked(shop: Shop) -> None:
    shop.send("New.a", "Go.now", "Go.now", "Go.now", "Go.now")
    assert len(shop.fake.charged()) == 2
    assert "a1 is parked" in shop.bizrun("outbox")
    shop.bizrun("outbox", "unpark", "a1")
    shop.send("Go.now")
    assert len(shop.fake.charged()) == 5


SEATS = """
business "T" { language 1, currency USD, timezone "UTC", bills A, items_per_day 3 }
connect stripe { key: env("STRIPE_API_KEY") }
plan team "Team" { price 30 USD per seat per month }
entity A { id text key, payment_method text = "pm_card_visa" }
event New.a { id text }
event Go.now key a { a A }
on New.a(id) {
  let a = create A { id: id }
  subscribe { customer: a, plan: team }
}
on Go.now(a) {
  for each s in Subscription where .customer == a {
    set_quantity { subscription: s, quantity: s.quantity + 1 }
  }
}
"""


def test_too_many_lines_of_a_subscription_in_a_day_park_its_account(shop: Shop) -> None:
    """A rule that changes a subscription again and again is stopped before its money has left;
    others go on, and so does the account when a person has had a look."""
    (shop.folder / "t.biz").write_text(SEATS)
    shop.send("New.a", *["Go.now"] * 5)
    assert len(shop.fake.charged()) == 1 + 3
    told = shop.bizrun("outbox")
    assert "a1 is parked" in told
    assert '4 lines "Unused time on Team" of sub_' in told and "3 are let through" in told
    shop.bizrun("outbox", "unpark", "a1")
    shop.send("Go.now")
    assert len(shop.fake.charged()) == 1 + 6
    assert "Audit.started" in shop.bizrun("events", "--json")


def test_changes_of_many_days_are_not_many_of_a_day(shop: Shop) -> None:
    """They wait for one invoice, and count when they were made."""
    later = SEATS.replace("quantity + 1 }", 'quantity + 1, invoice: "next" }')
    (shop.folder / "t.biz").write_text(later.replace("items_per_day 3", "items_per_day 1"))
    shop.send("New.a")
    for day in ("01-05", "01-08", "01-12", "02-03"):
        shop.send("Go.now", day=day)
    assert "parked" not in shop.bizrun("outbox")
    assert len(shop.fake.charged()) == 2


def test_an_invoice_that_is_charged_again_counts_once(shop: Shop) -> None:
    spec = SEATS.replace("items_per_day 3", "items_per_day 1").replace("visa", "chargeDeclined")
    (shop.folder / "t.biz").write_text(spec + "dunning soon { retry after 1 hour, 2 hours }\n")
    shop.send("New.a")
    shop.send("New.a", day="01-03")
    assert "parked" not in shop.bizrun("outbox")
    assert [row["status"] for row in shop.effects() if row["kind"] == "charge"] == ["failed"] * 3


def test_a_live_state_is_not_mixed_with_the_sandbox(shop: Shop) -> None:
    shop.send("New.a")
    assert "--live" in shop.bizrun("run", "t.biz", "--events", "e.jsonl", code=2)


def test_a_missing_key_is_told_before_anything_runs(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STRIPE_API_KEY")
    Path("e.jsonl").write_text("")
    told = shop.bizrun("run", "t.biz", "--live", "--events", "e.jsonl", code=2)
    assert "STRIPE_API_KEY" in told
