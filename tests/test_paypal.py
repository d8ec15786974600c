"""PayPal: charges, refunds, payouts and webhooks against a fake over HTTP that fails as it may."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bizrun.errors import ProviderError
from bizrun.lang.modules import load
from bizrun.model import Effect, Outcome
from bizrun.pipeline import check_loaded
from bizrun.providers.base import Call, MaybeSent, NotSent
from bizrun.providers.inbound import Settled
from bizrun.providers.paypal import PayPalProvider, amount_of
from bizrun.providers.paypal_webhooks import PayPalWebhooks
from bizrun.providers.secrets import Secrets
from bizrun.values import Money, money

from .fakes.effects import KEY
from .fakes.paypal import CLIENT, DECLINED, SECRET, TOKEN, WEBHOOK, PayPal, fake_paypal

NOW = datetime(2026, 1, 31, 9, tzinfo=UTC)


@pytest.fixture
def paypal() -> Iterator[PayPal]:
    with fake_paypal() as fake:
        yield fake


def secrets(paypal: PayPal, **changes: str) -> Secrets:
    environment = {
        "PAYPAL_CLIENT_ID": CLIENT, "PAYPAL_CLIENT_SECRET": SECRET,
        "PAYPAL_API_BASE": paypal.web.url, "PAYPAL_WEBHOOK_ID": WEBHOOK, **changes,
    }  # fmt: skip
    return Secrets("paypal", {}, environment)


def call(paypal: PayPal, key: str = "k1", seconds: int = 30, **changes: str) -> Call:
    first = datetime.now(UTC)
    return Call(key, secrets(paypal, **changes), first, timedelta(seconds=seconds))


def effect(kind: str, key: str = "k1", **data: Any) -> Effect:
    return Effect(key, kind, data, NOW, "evt_1", "spec.biz:1")


def charge(key: str = "k1", amount: str = "99 USD", **data: Any) -> Effect:
    more = {"payment": f"pay_{key}", "payment_method": "VAULT-1", **data}
    return effect("charge", key, amount=money(amount), **more)


def test_a_stored_method_is_charged_at_once(paypal: PayPal) -> None:
    found = PayPalProvider().deliver(charge(description="Invoice 1"), call(paypal))
    assert found == Outcome("succeeded", None, {"fee": money("0.79 USD")}, "CAPTURE-1")
    order = next(iter(paypal.orders.values()))["purchase_units"][0]
    assert order["amount"] == {"currency_code": "USD", "value": "99.00"}
    assert (order["custom_id"], order["invoice_id"]) == ("k1", "pay_k1")
    assert order["description"] == "Invoice 1"


def test_a_decline_is_a_failure_with_its_code(paypal: PayPal) -> None:
    found = PayPalProvider().deliver(charge(payment_method=DECLINED), call(paypal))
    assert (found.status, found.error) == ("failed", "card_declined")


def test_without_a_stored_method_the_payer_approves_first(paypal: PayPal) -> None:
    provider, asked = PayPalProvider(), charge(payment_method=None)
    found = provider.deliver(asked, call(paypal))
    assert found.status == "pending"
    assert found.data == {"order": "ORDER-1", "approve": "https://paypal.example/approve/ORDER-1"}
    paypal.approve("ORDER-1")
    paypal._answered = {k: v for k, v in paypal._answered.items() if "capture" not in k[1]}
    assert provider.read_back(asked, call(paypal)).status == "succeeded"  # type: ignore
    assert len(paypal.captures) == 1


@pytest.mark.parametrize("fault", ["timeout_after", "reset_after"])
def test_a_lost_answer_charges_once(paypal: PayPal, fault: str) -> None:
    provider = PayPalProvider()
    provider.deliver(charge("k0"), call(paypal, "k0"))  # the token is there
    paypal.web.faults = [fault]
    with pytest.raises(MaybeSent):
        provider.deliver(charge(), call(paypal, seconds=1))
    assert provider.deliver(charge(), call(paypal)).status == "succeeded"
    again = provider.read_back(charge(), call(paypal))
    assert again is not None and again.status == "succeeded"
    assert len(paypal.captures) == 2


def test_429_and_503_are_told_apart(paypal: PayPal) -> None:
    provider = PayPalProvider()
    paypal.web.faults = [429]  # for the token
    with pytest.raises(NotSent):
        provider.deliver(charge(), call(paypal))
    provider.deliver(charge("k0"), call(paypal, "k0"))
    paypal.web.faults = [429]
    with pytest.raises(NotSent) as slow:
        provider.deliver(charge(), call(paypal))
    assert slow.value.retry_after == timedelta(0)
    paypal.web.faults = [500]
    with pytest.raises(MaybeSent):
        provider.deliver(charge(), call(paypal))
    assert provider.deliver(charge(), call(paypal)).status == "succeeded"


def test_an_old_request_id_is_not_read_back(paypal: PayPal) -> None:
    old = Call("k1", secrets(paypal), datetime.now(UTC) - timedelta(hours=6))
    assert PayPalProvider().read_back(charge(), old).status == "unknown"  # type: ignore[union-attr]
    assert not paypal.web.seen


def test_a_token_is_kept_and_renewed(paypal: PayPal) -> None:
    provider = PayPalProvider()
    for key in ("a", "b", "c"):
        provider.deliver(charge(key), call(paypal, key))
    assert paypal.tokens == 1
    paypal.expire = True
    assert provider.deliver(charge("d"), call(paypal, "d")).status == "succeeded"
    assert paypal.tokens == 2


def test_missing_and_wrong_keys_say_what_to_do(paypal: PayPal) -> None:
    with pytest.raises(ProviderError, match="PAYPAL_CLIENT_ID"):
        PayPalProvider().deliver(charge(), Call("k", Secrets("paypal", {}, {}), NOW))
    with pytest.raises(ProviderError, match="refuses the client") as wrong:
        PayPalProvider().deliver(charge(), call(paypal, PAYPAL_CLIENT_SECRET="wrong-canary-1"))
    assert "canary" not in str(wrong.value)


def test_refunds_go_to_their_capture(paypal: PayPal) -> None:
    provider = PayPalProvider()
    made = provider.deliver(charge(), call(paypal))
    data = {"amount": money("60 USD"), "reference": made.reference}
    found = provider.deliver(effect("refund", "r1", **data), call(paypal, "r1"))
    assert (found.status, found.reference) == ("succeeded", "REFUND-1")
    again = provider.deliver(effect("refund", "r1", **data), call(paypal, "r1"))
    assert again == found
    more = provider.deliver(effect("refund", "r2", **data), call(paypal, "r2"))
    assert (more.status, more.error) == ("failed", "refund_amount_exceeded")
    none = provider.deliver(effect("refund", "r3", amount=money("1 USD")), call(paypal, "r3"))
    assert none.error == "payment_unknown"


SELLER = {"to": "seller@example.com", "amount": money("12.50 EUR")}


def test_transfers_are_payouts(paypal: PayPal) -> None:
    found = PayPalProvider().deliver(effect("transfer", "t1", **SELLER), call(paypal, "t1"))
    assert (found.status, found.reference) == ("pending", "BATCH-1")
    item = paypal.payouts["BATCH-1"]["items"][0]
    assert item["amount"] == {"currency": "EUR", "value": "12.50"}
    assert (item["recipient_type"], item["receiver"]) == ("EMAIL", "seller@example.com")


@pytest.mark.parametrize(
    ("status", "ends", "error"),
    [
        ("PENDING", "pending", None), ("UNCLAIMED", "pending", None), ("ONHOLD", "pending", None),
        ("SUCCESS", "succeeded", None), ("FAILED", "failed", "payout_failed"),
        ("RETURNED", "failed", "payout_returned"), ("BLOCKED", "failed", "payout_blocked"),
    ],
)  # fmt: skip
def test_a_payout_that_was_taken_up_is_not_paid(
    paypal: PayPal, status: str, ends: str, error: str | None
) -> None:
    """Its end comes by a webhook, or is read back, also when PayPal has dropped the request id."""
    key = "f" * 64
    asked = effect("transfer", key, **SELLER)
    PayPalProvider().deliver(asked, call(paypal, key))
    item = paypal.paid_out("BATCH-1", status)
    long_ago = replace(call(paypal, "another"), first=datetime.now(UTC) - timedelta(days=20))
    for later in (call(paypal, key), long_ago):
        found = PayPalProvider().read_back(asked, later)
        assert found is not None
        assert (found.status, found.error, found.reference) == (ends, error, "BATCH-1")
    webhooks = PayPalWebhooks(secrets(paypal))
    kind = {"SUCCESS": "SUCCEEDED"}.get(status, status)
    sent = paypal.webhook(f"PAYMENT.PAYOUTS-ITEM.{kind}", item)
    settled = webhooks.settles(webhooks.event(*sent, datetime.now(UTC)))
    if ends == "pending":
        assert settled is None
    else:
        assert settled is not None and settled.effect == key
        assert (settled.outcome.status, settled.outcome.error) == (ends, error)
    assert len(paypal.payouts) == 1


def test_any_call_by_its_name(paypal: PayPal) -> None:
    provider = PayPalProvider()
    data = {"plan_id": "P-1", "extra": {"amount": money("5 USD")}, "left_out": None}
    made = provider.deliver(effect("paypal.subscriptions.create", **data), call(paypal))
    assert (made.status, made.reference) == ("succeeded", "I-1")
    assert made.data["body"]["status"] == "APPROVAL_PENDING"
    kept = paypal.subscriptions["I-1"]
    assert kept["extra"] == {"amount": {"currency_code": "USD", "value": "5.00"}}
    assert "left_out" not in kept
    gone = effect("paypal.subscriptions.cancel", "k2", id="I-1", reason="no")
    assert provider.deliver(gone, call(paypal, "k2")).data["status"] == 204
    read = provider.deliver(effect("paypal.subscriptions.get", "k3", id="I-1"), call(paypal, "k3"))
    assert read.data["body"]["status"] == "CANCELLED"
    lost = provider.deliver(effect("paypal.orders.get", "k4", id="../x"), call(paypal, "k4"))
    assert (lost.status, lost.error) == ("failed", "resource_not_found")
    assert paypal.web.seen[-1].path == "/v2/checkout/orders/..%2Fx"


@pytest.mark.parametrize(
    ("amount", "value"),
    [("3000 JPY", "3000"), ("10 USD", "10.00"), ("500 HUF", "500"), ("0.10 EUR", "0.10")],
)
def test_amounts(amount: str, value: str) -> None:
    assert amount_of(money(amount))["value"] == value


@pytest.mark.parametrize("amount", [Money("1.005", "USD"), Money("0.50", "HUF")])
def test_amounts_that_paypal_can_not_hold(amount: Money) -> None:
    with pytest.raises(ProviderError, match="decimals"):
        amount_of(amount)


# --- webhooks ------------------------------------------------------------------------------------


def test_a_genuine_webhook_is_an_event(paypal: PayPal) -> None:
    resource = {"id": "C", "custom_id": KEY}
    headers, body = paypal.webhook("PAYMENT.CAPTURE.COMPLETED", resource)
    hooks = PayPalWebhooks(secrets(paypal))
    found = hooks.event(headers, body, datetime.now(UTC))
    assert (found["type"], found["source"]) == ("PayPal.payment.capture.completed", "paypal")
    assert found["id"] == "WH-1"
    assert hooks.settles(found) == Settled(KEY, Outcome("succeeded", reference="C"))
    headers, body = paypal.webhook("PAYMENT.CAPTURE.DENIED", resource)
    settled = hooks.settles(hooks.event(headers, body, datetime.now(UTC)))
    assert settled == Settled(KEY, Outcome("failed", "card_declined"))
    headers, body = paypal.webhook("PAYMENT.CAPTURE.COMPLETED", {"id": "C", "custom_id": "own"})
    assert hooks.settles(hooks.event(headers, body, datetime.now(UTC))) is None


def test_an_approved_order_is_captured_once(paypal: PayPal) -> None:
    asked = charge(KEY, payment_method=None)
    assert PayPalProvider().deliver(asked, call(paypal, KEY)).status == "pending"
    paypal.approve("ORDER-1")
    paypal._answered = {k: v for k, v in paypal._answered.items() if "capture" not in k[1]}
    hooks, order = PayPalWebhooks(secrets(paypal)), dict(paypal.orders["ORDER-1"])
    for _ in range(2):
        headers, body = paypal.webhook("CHECKOUT.ORDER.APPROVED", order)
        settled = hooks.settles(hooks.event(headers, body, datetime.now(UTC)))
        assert settled is not None and settled.effect == KEY
        assert (settled.outcome.status, settled.outcome.reference) == ("succeeded", "CAPTURE-1")
    assert len(paypal.captures) == 1


def test_webhooks_that_are_forged_or_old_or_ahead(paypal: PayPal) -> None:
    hooks, now = PayPalWebhooks(secrets(paypal)), datetime.now(UTC)
    headers, body = paypal.webhook("PAYMENT.CAPTURE.COMPLETED", {"id": "C"})
    with pytest.raises(ValueError, match="did not send"):
        hooks.event(headers, body.replace(b'"C"', b'"D"'), now)
    with pytest.raises(ValueError, match="300 seconds"):
        hooks.event(headers, body, now + timedelta(minutes=10))
    with pytest.raises(ValueError, match="300 seconds"):
        hooks.event(headers, body, now - timedelta(minutes=10))
    with pytest.raises(ValueError, match="missing"):
        hooks.event({}, body, now)
    with pytest.raises(ValueError):
        hooks.event(headers, b"{" * 100_000, now)


def test_no_secret_shows(paypal: PayPal) -> None:
    provider = PayPalProvider()
    provider.deliver(charge(), call(paypal))
    shown = repr(provider._tokens) + repr(call(paypal)) + repr(secrets(paypal))
    failed = provider.deliver(charge("k9", payment_method=DECLINED), call(paypal, "k9"))
    shown += repr(failed) + json.dumps(failed.data)
    assert not [word for word in (TOKEN, SECRET) if word in shown]


# --- in a spec -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call_", "said"),
    [
        ('paypal.orders.get { id: "O-1" }', None),
        ('paypal.orders.capture "O-1" {}', None),
        ("paypal.orders.captur {}", "captur"),
        ("paypal.order.create {}", "order"),
        ("paypal.orders {}", "paypal.orders"),
        ('charge { customer: u, amount: 1 USD, via: "paypall" }', "paypall"),
    ],
)
def test_names_are_checked_with_the_spec(call_: str, said: str | None) -> None:
    text = (
        'business "A" { currency USD, bills U }\nentity U { id text key }\n'
        f"event Go.now {{ u U }}\non Go.now(u) {{ {call_}\n log u.id }}\n"
    )
    found = check_loaded(load("t.biz", lambda _: text.encode(), lambda _: [])).diagnostics
    assert [d.severity for d in found] == ([] if said is None else ["error"])
    assert said is None or f"`{said}`" in found[0].message or f'"{said}"' in found[0].message
