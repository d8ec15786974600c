"""`bizrun serve --live` with the fake Stripe: calls go out, webhooks come back, each once."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .fakes.stripe import KEY, SECRET, FakeStripe
from .serving import Served, events_of, serving

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
