"""`bizrun serve --live` with the fake Stripe: calls go out, webhooks come back, each once."""

from __future__ import annotations

import json
import random
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from .fakes.stripe import FIXTURES, KEY, SECRET, FakeStripe
from .serving import COMMAND, Served, events_of, serving, token

SPEC = """
business "Shop" { currency USD, bills A }
connect stripe {
  key: env("STRIPE_API_KEY"), webhook_secret: env("STRIPE_WEBHOOK_SECRET"), pause: 0.01 seconds
}
entity A { id text key, payment_method text?, paid number = 0, told number = 0 }
event New.a { id text, payment_method text }
on New.a as new { create A { ...new } }
event Go.now { a A }
on Go.now(a) {
  let done = charge { customer: a, amount: 10 USD }
  if done.status == "succeeded" { update a { paid: .paid + 1 } }
}
on Stripe.payment_intent.succeeded as intent { log "told of {intent.id}" }
api GET "/a/{id}" (id: A) { return id }
"""


def until(check: Callable[[], Any], what: str) -> Any:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        found = check()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"not within 20 seconds: {what}")


def paid(shop: Served, id_: str) -> int:
    found: int = shop.http.get(f"/a/{id_}", headers=shop.headers).json()["paid"]
    return found


def test_webhooks_settle_what_was_on_its_way(tmp_path: Path) -> None:
    environment = {"STRIPE_API_KEY": KEY, "STRIPE_WEBHOOK_SECRET": SECRET}
    with FakeStripe() as fake:
        environment["STRIPE_API_BASE"] = fake.url
        with serving(tmp_path, SPEC, "--live", scope="admin", environment=environment) as shop:
            for id_, method in (("card", "pm_card_visa"), ("bank", "pm_usBankAccount_success")):
                data: dict[str, Any] = {"id": id_, "payment_method": method}
                shop.results({"id": f"n{id_}", "type": "New.a", "data": data})
                shop.results({"id": f"g{id_}", "type": "Go.now", "data": {"a": id_}})
            until(lambda: paid(shop, "card") == 1, "the card is charged")
            intents = until(
                lambda: [i for i in fake.all("payment_intents") if i["status"] == "processing"],
                "the debit is on its way",
            )
            assert paid(shop, "bank") == 0
            event = fake.finish(intents[0]["id"])
            posts = [fake.webhook(event) for _ in range(4)]
            posts += [fake.webhook(event, at=int(time.time()) + ahead) for ahead in (-600, 600)]
            posts += [fake.webhook(event, secret="whsec_other")]
            random.Random(3).shuffle(posts)
            answers: list[Any] = []
            for body, headers in posts:
                answer = shop.http.post("/webhooks/stripe", content=body, headers=headers)
                while answer.status_code == 503:
                    time.sleep(0.1)
                    answer = shop.http.post("/webhooks/stripe", content=body, headers=headers)
                answers.append(answer)
            assert sorted(a.status_code for a in answers) == [200] * 4 + [400] * 3
            told = sorted(a.json()["status"] for a in answers if a.status_code == 200)
            assert told == ["duplicate"] * 3 + ["handled"]
            assert paid(shop, "bank") == 1
            assert shop.stop() == 0
    assert sorted(len(found) for found in fake.charged().values()) == [1, 1]
    content = b"".join(p.read_bytes() for p in tmp_path.iterdir() if p.is_file())
    assert KEY.encode() not in content and SECRET.encode() not in content
    assert json.dumps(fake.charged()).count("1000") == 2


def test_a_connector_is_stopped_while_the_server_runs(tmp_path: Path) -> None:
    environment = {"STRIPE_API_KEY": KEY, "STRIPE_WEBHOOK_SECRET": SECRET}
    with FakeStripe() as fake:
        environment["STRIPE_API_BASE"] = fake.url
        with serving(tmp_path, SPEC, "--live", scope="admin", environment=environment) as shop:

            def act(status: int, **body: str) -> str:
                answer = shop.http.post("/outbox", json=body, headers=shop.headers)
                assert answer.status_code == status, answer.text
                return str(answer.text)

            assert "Did you mean `stripe`?" in act(404, act="stop", connector="strip")
            act(200, act="stop", connector="stripe", reason="prices are wrong")
            data = {"id": "a1", "payment_method": "pm_card_visa"}
            shop.results({"id": "n", "type": "New.a", "data": data})
            shop.results({"id": "g", "type": "Go.now", "data": {"a": "a1"}})
            time.sleep(0.3)
            assert not fake.requests
            act(200, act="start", connector="stripe")
            until(lambda: paid(shop, "a1") == 1, "it is charged")
            (effect,) = fake.charged()
            assert "has succeeded" in act(409, act="retry", effect=effect)
            assert "not stopped" in act(409, act="start", connector="stripe")
            assert "needs `effect`" in act(400, act="resolve")
            act(400, act="dance")
            act(404, act="resolve", effect="nothing")
            refused = shop.http.post("/outbox", json={"act": "stop", "connector": "stripe"})
            assert refused.status_code == 401
            assert shop.stop() == 0
    types = [event["type"] for event in events_of(tmp_path / "shop.db")]
    assert types.count("Audit.stopped") == types.count("Audit.started") == 1


# --- what Stripe tells later ---------------------------------------------------------------------

LATER = """
business "Shop" { currency USD, bills A }
connect stripe {
  key: env("STRIPE_API_KEY"), webhook_secret: env("STRIPE_WEBHOOK_SECRET"), pause: 0.01 seconds
}
dunning patient { retry after 3 days, then mark_uncollectible }
entity A { id text key, payment_method text?, told text = "" }
event New.a { id text, payment_method text }
on New.a as new {
  let a = create A { ...new }
  invoice { customer: a, lines: [{ description: "Set-up", amount: 10 USD }] }
}
on Payment.succeeded(payment, customer) { update customer { told: "{.told} paid" } }
on Payment.failed(payment, customer) { update customer { told: "{.told} failed" } }
on Refund.failed(refund, customer) { update customer { told: "{.told} back" } }
event Back.asked { a A }
on Back.asked(a) { refund { payment: first Payment where .customer == a } }
on Stripe.account.updated as account { log "{account.stripe_account}" }
on Stripe.payout.failed as payout {
  for each a in A { update a { told: "{.told} {payout.stripe_account}" } }
}
api GET "/a/{id}" (id: A) { return id }
"""
BANKS = (
    LATER
    + """
on Payment.disputed(customer, dispute) {
  update customer { told: "{.told} disputed {dispute.fee}" }
}
on Payment.dispute_won(customer) { update customer { told: "{.told} won" } }
on Payment.dispute_lost(customer) { update customer { told: "{.told} lost" } }
on Refund.succeeded(refund, customer) { update customer { told: "{.told} {refund.amount}" } }
"""
)
BOTH = f"whsec_of_connect {SECRET}"


@contextmanager
def later(folder: Path, method: str, spec: str = LATER) -> Iterator[tuple[FakeStripe, Served]]:
    """A server whose one customer has an invoice of 10 USD, and pays by a method."""
    with FakeStripe() as fake:
        environment = {
            "STRIPE_API_KEY": KEY, "STRIPE_WEBHOOK_SECRET": BOTH, "STRIPE_API_BASE": fake.url,
        }  # fmt: skip
        with serving(folder, spec, "--live", scope="admin", environment=environment) as shop:
            data = {"id": "a", "payment_method": method}
            shop.results({"id": "n", "type": "New.a", "data": data})
            until(lambda: told(shop), "the charge has ended")
            yield fake, shop


def told(shop: Served) -> str:
    answer = shop.http.get("/a/a", headers=shop.headers)
    return str(answer.json()["told"]) if answer.status_code == 200 else ""


def post(shop: Served, fake: FakeStripe, event: dict[str, Any], secret: str = SECRET) -> str:
    body, headers = fake.webhook(event, secret=secret)
    answer = shop.http.post("/webhooks/stripe", content=body, headers=headers)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["status"])


def disputed(fake: FakeStripe, fee: int) -> dict[str, Any]:
    """A dispute of the one charge, as Stripe's webhooks have it: the money is with the bank."""
    [intent] = fake.all("payment_intents")
    entry = {"amount": -intent["amount"], "currency": intent["currency"], "fee": fee}
    return {
        **FIXTURES["dispute"], "amount": intent["amount"], "currency": intent["currency"],
        "payment_intent": intent["id"], "status": "needs_response", "balance_transactions": [entry],
    }  # fmt: skip


def refunded(fake: FakeStripe, amount: int) -> dict[str, Any]:
    """A refund of the one charge that somebody makes in Stripe's dashboard."""
    [intent] = fake.all("payment_intents")
    answer = httpx.post(
        f"{fake.url}/v1/refunds", headers={"Authorization": f"Bearer {KEY}"},
        data={"payment_intent": intent["id"], "amount": amount},
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


def rows(shop: Served, query: str) -> list[dict[str, Any]]:
    command = [COMMAND, "query", query, "--state", shop.state, "--json"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=shop.state.parent
    )
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def is_sound(shop: Served) -> bool:
    command = [COMMAND, "verify", "--state", shop.state]
    return subprocess.run(command, capture_output=True, cwd=shop.state.parent).returncode == 0


def test_a_payment_that_succeeds_after_it_failed_counts(tmp_path: Path) -> None:
    """Its customer has confirmed it, or tried another card: Stripe has the money."""
    with later(tmp_path, "pm_card_authenticationRequired") as (fake, shop):
        assert told(shop) == " failed"
        [intent] = fake.all("payment_intents")
        event = fake.finish(intent["id"])
        # Nobody else's object settles it: one of a connected account, or of another amount.
        forged = {**event, "id": "evt_forged", "account": "acct_seller"}
        assert post(shop, fake, forged, "whsec_of_connect") == "handled"
        thing = {**event["data"]["object"], "amount": 1}
        assert (
            post(shop, fake, {**event, "id": "evt_1_cent", "data": {"object": thing}}) == "handled"
        )
        assert told(shop) == " failed"
        assert post(shop, fake, event) == "handled"
        assert post(shop, fake, event) == "duplicate"
        # Stripe does not keep the order: the failure comes after the success.
        failure = {**event, "id": "evt_old", "type": "payment_intent.payment_failed"}
        thing = {**event["data"]["object"], "status": "requires_payment_method"}
        assert post(shop, fake, {**failure, "data": {"object": thing}}) == "handled"
        assert told(shop) == " failed paid"
        assert shop.stop() == 0
        [payment] = rows(shop, "Payment")
        [invoice] = rows(shop, "Invoice")
        assert (payment["status"], payment["error"], invoice["status"]) == (
            "succeeded",
            None,
            "paid",
        )
        assert rows(shop, "Wallet") == []
        assert is_sound(shop)
        waiting = subprocess.run(
            [COMMAND, "outbox", "--state", shop.state], capture_output=True, text=True,
            cwd=tmp_path, check=True,
        ).stdout  # fmt: skip
        assert "failed" not in waiting


def test_a_refund_that_comes_back_is_owed_again(tmp_path: Path) -> None:
    with later(tmp_path, "pm_card_visa") as (fake, shop):
        shop.results({"id": "b", "type": "Back.asked", "data": {"a": "a"}})
        [refund] = until(lambda: fake.all("refunds"), "it is refunded")
        until(
            lambda: [r for r in rows(shop, "Refund") if r["status"] == "succeeded"], "it is known"
        )
        lost = {**refund, "status": "failed", "failure_reason": "lost_or_stolen_card"}
        assert post(shop, fake, fake.event("refund.failed", lost)) == "handled"
        assert told(shop) == " paid back"
        assert shop.stop() == 0
        [payment], [made] = rows(shop, "Payment"), rows(shop, "Refund")
        assert (payment["status"], payment["refunded"]) == ("succeeded", "0.00 USD")
        assert (made["status"], made["error"]) == ("failed", "lost_or_stolen_card")
        assert is_sound(shop)


def test_disputes_are_told_by_stripe_in_any_order(tmp_path: Path) -> None:
    with later(tmp_path, "pm_card_visa", BANKS) as (fake, shop):
        dispute = disputed(fake, fee=1500)
        asked = {**dispute, "id": "dp_inquiry", "status": "warning_needs_response"}
        assert post(shop, fake, fake.event("charge.dispute.created", asked)) == "handled"
        other = {**dispute, "id": "dp_other", "payment_intent": "pi_of_another"}
        assert post(shop, fake, fake.event("charge.dispute.created", other)) == "handled"
        assert told(shop) == " paid"
        created = fake.event("charge.dispute.created", dispute)
        assert post(shop, fake, created) == "handled"
        assert post(shop, fake, created) == "duplicate"
        withdrawn = fake.event("charge.dispute.funds_withdrawn", dispute)
        assert post(shop, fake, withdrawn) == "handled"
        assert told(shop) == " paid disputed 15.00 USD"
        lost = {**dispute, "status": "lost"}
        assert post(shop, fake, fake.event("charge.dispute.closed", lost)) == "handled"
        assert post(shop, fake, fake.event("charge.dispute.updated", dispute)) == "handled"
        assert told(shop) == " paid disputed 15.00 USD lost"
        # Its customer asks for the refund as well: nothing is left of the charge.
        shop.results({"id": "b", "type": "Back.asked", "data": {"a": "a"}})
        # An author's own server can't tell of it: it would move money.
        forged = {
            "id": "f",
            "type": "Stripe.charge.dispute.closed",
            "data": {**lost, "status": "won"},
        }
        plain = token(shop.state, "ingest")
        answer = shop.http.post(
            "/events", json=forged, headers={"Authorization": f"Bearer {plain}"}
        )
        assert "only an admin's token may send it" in answer.text
        assert shop.stop() == 0
        [payment], [row] = rows(shop, "Payment"), rows(shop, "PaymentDispute")
        [invoice] = rows(shop, "Invoice")
        assert (payment["status"], payment["charged_back"]) == ("succeeded", "10.00 USD")
        assert (row["status"], row["reference"], row["reason"]) == (
            "lost",
            dispute["id"],
            "general",
        )
        assert row["respond_by"] and row["fee"] == "15.00 USD"
        assert (invoice["status"], invoice["amount_open"]) == ("uncollectible", "10.00 USD")
        assert not fake.all("refunds")
        assert is_sound(shop)


def test_refunds_of_the_dashboard_are_booked_once(tmp_path: Path) -> None:
    with later(tmp_path, "pm_card_visa", BANKS) as (fake, shop):
        [intent] = fake.all("payment_intents")
        made = refunded(fake, 300)
        charge = {"id": "ch_1", "object": "charge", "payment_intent": intent["id"],
                  "amount": 1000, "amount_refunded": 300, "currency": "usd"}  # fmt: skip
        assert post(shop, fake, fake.event("refund.created", made)) == "handled"
        assert post(shop, fake, fake.event("charge.refunded", charge)) == "handled"
        assert told(shop) == " paid 3.00 USD"
        # What is left is refunded by the spec; its webhooks say what is known.
        shop.results({"id": "b", "type": "Back.asked", "data": {"a": "a"}})
        until(lambda: told(shop) == " paid 3.00 USD 7.00 USD", "the rest is refunded")
        own = [refund for refund in fake.all("refunds") if refund["amount"] == 700]
        charge["amount_refunded"] = 1000
        for type_, thing in (
            ("refund.created", own[0]), ("charge.refunded", charge), ("refund.updated", made),
        ):  # fmt: skip
            assert post(shop, fake, fake.event(type_, thing)) == "handled"
        assert told(shop) == " paid 3.00 USD 7.00 USD"
        # A bank sends back the one that the dashboard made.
        lost = {**made, "status": "failed", "failure_reason": "expired_or_canceled_card"}
        assert post(shop, fake, fake.event("refund.failed", lost)) == "handled"
        assert told(shop) == " paid 3.00 USD 7.00 USD back"
        assert shop.stop() == 0
        [payment] = rows(shop, "Payment")
        assert (payment["status"], payment["refunded"]) == ("succeeded", "7.00 USD")
        assert sorted((r["amount"], r["status"]) for r in rows(shop, "Refund")) == [
            ("3.00 USD", "failed"), ("7.00 USD", "succeeded"),
        ]  # fmt: skip
        assert is_sound(shop)


def test_events_of_connected_accounts_say_whose_they_are(tmp_path: Path) -> None:
    with later(tmp_path, "pm_card_visa") as (fake, shop):
        event = {**fake.event("payout.failed", {"id": "po_1"}), "account": "acct_seller"}
        assert post(shop, fake, event, "whsec_of_connect") == "handled"
        assert told(shop) == " paid acct_seller"
