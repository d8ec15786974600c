"""Webhooks as providers send them: genuine ones handled once, all others refused."""

from __future__ import annotations

import hmac
import json
import random
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook

from bizrun.server.bodies import SMALL_BODY, Room
from bizrun.server.problems import Problem

from .serving import Served, events_of, serving

SECRETS = {
    "STRIPE_WEBHOOK_SECRET": "whsec_stripe_test_secret",
    "PARCELS_SECRET": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
    "FORGE_SECRET": "plain secret",
}
SPEC = """
business "Shop" { currency USD, bills Account }
entity Account { id text key, paid number = 0, parcels number = 0, pushes number = 0 }
connect parcels { url: "https://parcels.example", webhook_secret: env("PARCELS_SECRET") }
connect forge { url: "https://forge.example", webhook_secret: env("FORGE_SECRET") }
connect rolled {
  url: "https://x.example"
  webhook_secret: [env("NOT_SET"), env("FORGE_SECRET"), env("PARCELS_SECRET")]
}
connect silent { url: "https://silent.example", webhook_secret: env("NOT_SET") }
event Customer.signup { id text }
on Customer.signup as signup { create Account { id: signup.id } }
on Stripe.invoice.paid as paid {
  let account = Account(paid.customer)
  if account != none { update account { paid: .paid + paid.amount } }
}
event Parcels.delivered { account Account }
on Parcels.delivered(account) { update account { parcels: .parcels + 1 } }
event Forge.push { account Account }
on Forge.push(account) { update account { pushes: .pushes + 1 } }
api GET "/account/{id}" (id: Account) { return id }
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("shop")
    with serving(folder, SPEC, scope="admin", environment=SECRETS) as served:
        signup = {"id": "s", "type": "Customer.signup", "data": {"id": "a1"}}
        assert served.results(signup)[0]["status"] == "handled"
        yield served


def account(shop: Served) -> dict[str, Any]:
    found: dict[str, Any] = shop.http.get("/account/a1", headers=shop.headers).json()
    return found


def stripe(
    shop: Served, body: bytes, at: int = 0, secret: str = SECRETS["STRIPE_WEBHOOK_SECRET"]
) -> httpx.Response:
    """A webhook as Stripe sends it, so many seconds from now."""
    stamp = int(time.time()) + at
    signature = hmac.new(secret.encode(), f"{stamp}.".encode() + body, "sha256").hexdigest()
    header = f"t={stamp},v1=00,v1={signature},v0=x"
    return shop.http.post("/webhooks/stripe", content=body, headers={"stripe-signature": header})


def paid(id_: str, amount: int = 1) -> bytes:
    thing = {"id": "in_1", "object": "invoice", "customer": "a1", "amount": amount}
    event = {"id": id_, "object": "event", "type": "invoice.paid", "created": int(time.time()),
             "data": {"object": thing}}  # fmt: skip
    return json.dumps(event, indent=2).encode()


def test_stripe(shop: Served) -> None:
    before = account(shop)["paid"]
    bodies = [paid(f"evt_{n}", n) for n in range(1, 6)]
    twice = [*bodies, *bodies]
    random.Random(7).shuffle(twice)
    answers = [stripe(shop, body) for body in twice]
    assert [answer.status_code for answer in answers] == [200] * 10
    statuses = sorted(answer.json()["status"] for answer in answers)
    assert statuses == ["duplicate"] * 5 + ["handled"] * 5
    assert account(shop)["paid"] == before + 15


@pytest.mark.parametrize("at", [-600, -301, 305, 600])
def test_stripe_too_old_or_ahead(shop: Served, at: int) -> None:
    before = account(shop)["paid"]
    answer = stripe(shop, paid(f"evt_at{at}"), at)
    assert answer.status_code == 400
    assert "300 seconds" in answer.json()["detail"]
    assert account(shop)["paid"] == before
    assert stripe(shop, paid(f"evt_at{at}"), at // 10).json()["status"] == "handled"


def test_stripe_forged(shop: Served) -> None:
    before = account(shop)["paid"]
    body = paid("evt_forged")
    assert stripe(shop, body, secret="whsec_other").status_code == 400
    for header in ("", "t=1", "v1=abc", "t=abc,v1=abc", "t=,v1=", "t=" + "9" * 50 + ",v1=ü"):
        sent = {"stripe-signature": header.encode()}
        answer = shop.http.post("/webhooks/stripe", content=body, headers=sent)
        assert answer.status_code == 400, header
    genuine = stripe(shop, body)
    assert genuine.json()["status"] == "handled"
    for wrong in (b"{", b"[]", b"{}", b'{"id": "x"}', b"\xff", b"[" * 100_000):
        assert stripe(shop, wrong).status_code == 400
    assert account(shop)["paid"] == before + 1


def parcels(shop: Served, id_: str, at: datetime, payload: Any) -> httpx.Response:
    body = json.dumps(payload)
    signature = Webhook(SECRETS["PARCELS_SECRET"]).sign(id_, at, body)
    headers = {
        "webhook-id": id_, "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": f"v1,bm90IGl0 {signature}",
    }  # fmt: skip
    return shop.http.post("/webhooks/parcels", content=body, headers=headers)


def test_standard_webhooks(shop: Served) -> None:
    now = datetime.now(UTC)
    payload = {"type": "delivered", "timestamp": now.isoformat(), "data": {"account": "a1"}}
    before = account(shop)["parcels"]
    assert parcels(shop, "msg_1", now, payload).json()["status"] == "handled"
    again = parcels(shop, "msg_1", now + timedelta(seconds=5), payload)
    assert again.json()["status"] == "duplicate"
    for minutes in (-10, 10):
        stale = parcels(shop, "msg_2", now + timedelta(minutes=minutes), payload)
        assert stale.status_code == 400
    untyped = parcels(shop, "msg_3", now, {"anything": 1})
    assert untyped.json()["reason"] == "nothing in the spec looks at Parcels.webhook"
    assert account(shop)["parcels"] == before + 1


def test_a_secret_that_is_changed(shop: Served) -> None:
    """Both are taken while it is changed, those of a standard and plain ones."""
    body = b'{"type": "x", "data": {}}'
    now = datetime.now(UTC)
    signature = Webhook(SECRETS["PARCELS_SECRET"]).sign("m", now, body.decode())
    standard = {"webhook-id": "m", "webhook-signature": signature,
                "webhook-timestamp": str(int(now.timestamp()))}  # fmt: skip
    mac = hmac.new(SECRETS["FORGE_SECRET"].encode(), body, "sha256").hexdigest()
    for headers in (standard, {"x-signature": mac, "x-request-id": "r"}):
        answer = shop.http.post("/webhooks/rolled", content=body, headers=headers)
        assert answer.status_code == 200, answer.text
    answer = shop.http.post(
        "/webhooks/rolled", content=body, headers={"x-signature": mac[:-1] + "0"}
    )
    assert answer.status_code == 400 or mac.endswith("0")


def test_plain_signatures(shop: Served) -> None:
    body = b'{"account": "a1"}'
    signature = hmac.new(b"plain secret", body, "sha256").hexdigest()
    headers = {
        "x-hub-signature-256": f"sha256={signature}", "x-github-event": "push",
        "x-github-delivery": "d-1",
    }  # fmt: skip
    before = account(shop)["pushes"]
    statuses = [
        shop.http.post("/webhooks/forge", content=body, headers=headers).json()["status"]
        for _ in range(2)
    ]
    assert statuses == ["handled", "duplicate"]
    assert shop.http.post("/webhooks/forge", content=body).status_code == 400
    other = {**headers, "x-hub-signature-256": "sha256=" + "0" * 64}
    assert shop.http.post("/webhooks/forge", content=body, headers=other).status_code == 400
    assert account(shop)["pushes"] == before + 1


def test_who_sends_webhooks(shop: Served) -> None:
    assert shop.http.post("/webhooks/nobody", content=b"{}").status_code == 404
    assert shop.http.post("/webhooks/../events", content=b"{}").status_code in (401, 404)
    silent = shop.http.post("/webhooks/silent", content=b"{}")
    assert silent.status_code == 503
    assert "NOT_SET" in silent.json()["detail"]
    assert shop.http.get("/webhooks/stripe").status_code == 405
    assert shop.http.post("/webhooks/stripe", content=bytes(5_000_000)).status_code == 413


def test_slow_senders_shut_out_nobody(shop: Served) -> None:
    place = httpx.URL(shop.url)
    head = b"POST /webhooks/stripe HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{"
    slow = []
    try:
        for _ in range(150):
            slow.append(socket.create_connection((place.host, place.port)))
            slow[-1].sendall(head)
        time.sleep(0.2)
        began = time.monotonic()
        assert stripe(shop, paid("evt_not_slow")).json()["status"] == "handled"
        assert time.monotonic() - began < 5
    finally:
        for connection in slow:
            connection.close()


def test_room_for_bodies_of_strangers() -> None:
    room = Room(100_000)
    with room.place() as one, room.place() as other:
        one(SMALL_BODY + 60_000)
        with pytest.raises(Problem) as refused:
            other(SMALL_BODY + 60_000)
        assert refused.value.status == 503
        other(SMALL_BODY)
        one(SMALL_BODY + 100_000)
    with room.place() as again:
        again(SMALL_BODY + 100_000)


def test_a_service_that_verifies_slowly_holds_up_no_other(tmp_path: Path) -> None:
    """PayPal is asked whether it sent a webhook: here it never answers."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.listen(50)
        paypal = {
            "PAYPAL_CLIENT_ID": "client", "PAYPAL_CLIENT_SECRET": "canary-secret",
            "PAYPAL_WEBHOOK_ID": "WH-1",
            "PAYPAL_API_BASE": f"http://127.0.0.1:{silent.getsockname()[1]}",
        }  # fmt: skip
        with serving(tmp_path, SPEC, scope="admin", environment=SECRETS | paypal) as served:
            now = datetime.now(UTC).isoformat(timespec="seconds")
            head = [f"paypal-{name}: x" for name in (
                "auth-algo", "cert-url", "transmission-id", "transmission-sig")]  # fmt: skip
            body = b'{"id": "WH-2", "event_type": "X"}'
            lines = [
                "POST /webhooks/paypal HTTP/1.1",
                "host: x",
                *head,
                f"paypal-transmission-time: {now}",
                f"content-length: {len(body)}",
                "",
                "",
            ]
            asked = "\r\n".join(lines).encode() + body
            place = httpx.URL(served.url)
            waiting = [socket.create_connection((place.host, place.port)) for _ in range(40)]
            for connection in waiting:
                connection.sendall(asked)
            time.sleep(0.3)
            began = time.monotonic()
            assert stripe(served, paid("evt_quick")).json()["status"] == "handled"
            assert time.monotonic() - began < 5
            for connection in waiting:
                connection.close()
            silent.close()
            assert served.stop() == 0


def test_no_secret_is_told(shop: Served) -> None:
    assert shop.stop() == 0
    for path in shop.state.parent.iterdir():
        content = path.read_bytes() if path.is_file() else b""
        for secret in SECRETS.values():
            assert secret.encode() not in content, path
    assert all(event["status"] != "failed" for event in events_of(shop.state))
