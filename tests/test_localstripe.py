"""A second opinion: localstripe, another fake of Stripe, as a process of its own for the basics.

It is GPL and never imported; it knows no idempotency keys, so only what one call does is asked.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bizrun.model import Effect, Outcome
from bizrun.providers.base import Call, Secrets
from bizrun.providers.stripe import Stripe
from bizrun.values import Money

BIN = Path(sys.executable).parent

NOW = datetime.now(UTC)


class Other:
    def __init__(self, url: str) -> None:
        self.provider = Stripe()
        self.secrets = Secrets(
            "stripe", {}, {"STRIPE_API_KEY": "sk_test_1", "STRIPE_API_BASE": url}
        )
        self.count = 0

    def send(self, kind: str, **data: Any) -> Outcome:
        self.count += 1
        effect = Effect(f"e{self.count}", kind, data, NOW, "ev", "x.biz:1")
        return self.provider.deliver(effect, Call(effect.id, self.secrets, NOW))

    def body(self, kind: str, **data: Any) -> dict[str, Any]:
        outcome = self.send(kind, **data)
        assert outcome.status == "succeeded", outcome
        found: dict[str, Any] = outcome.data["body"]
        return found


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Other]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder: Path = tmp_path_factory.mktemp("localstripe")
    command = [BIN / "localstripe", "--port", str(port), "--from-scratch"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        try:
            for _ in range(200):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.05)
            yield Other(f"http://127.0.0.1:{port}")
        finally:
            process.terminate()
            process.wait(10)


def card(other: Other, number: str, customer: str) -> str:
    what = {"number": number, "exp_month": 12, "exp_year": 2035, "cvc": "123"}
    made = other.body("stripe.payment_methods.create", type="card", card=what)
    other.body("stripe.payment_methods.attach", target=made["id"], customer=customer)
    return str(made["id"])


def test_objects(other: Other) -> None:
    customer = other.body("stripe.customers.create", email="ada@example.com")
    assert other.body("stripe.customers.retrieve", target=customer["id"])["email"] == (
        "ada@example.com"
    )
    assert other.body("stripe.products.create", name="Pro")["name"] == "Pro"
    coupon = other.body("stripe.coupons.create", id="C25", percent_off=25, duration="once")
    assert coupon["percent_off"] == 25


def test_a_charge_and_its_refund(other: Other) -> None:
    customer = other.body("stripe.customers.create", email="a@example.com")["id"]
    method = card(other, "4242424242424242", customer)
    intent = other.body(
        "stripe.payment_intents.create", amount=Money(29, "USD"), customer=customer,
        payment_method=method, confirm=True,
    )  # fmt: skip
    assert (intent["status"], intent["amount"], intent["currency"]) == ("succeeded", 2900, "usd")
    refund = other.send("refund", reference=intent["id"], amount=Money(10, "USD"))
    assert refund.status == "succeeded"


def test_errors_are_outcomes(other: Other) -> None:
    gone = other.send("stripe.customers.retrieve", target="cus_gone")
    assert gone.status == "failed" and gone.data["status"] == 404
    wrong = other.send("stripe.coupons.create", id="C1", percent_off=250, duration="once")
    assert wrong.status == "failed"
