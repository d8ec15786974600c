"""The sandbox answers by rules alone: test cards, addresses, schemas, and what a test sets."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from bizrun.model import Effect, Outcome
from bizrun.providers.mailboxes import valid
from bizrun.providers.sandbox import EMBEDDING, Sandbox, decline, fitting
from bizrun.values import Money


def effect(kind: str, **data: Any) -> Effect:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return Effect("0" * 64, kind, data, now, "e1", "a.biz:1")


def deliver(kind: str, **data: Any) -> Outcome:
    return Sandbox().deliver(effect(kind, **data))


@pytest.mark.parametrize(
    ("method", "error"),
    [
        (None, None),
        ("pm_card_visa", None),
        ("tok_visa", None),
        ("pm_1N3T00LkdIwHu7ix0snN0B15", None),
        ("4242424242424242", None),
        ("pm_card_chargeDeclined", "card_declined"),
        ("pm_card_visa_chargeDeclined", "card_declined"),
        ("tok_chargeDeclined", "card_declined"),
        ("pm_card_chargeCustomerFail", "card_declined"),
        ("pm_card_visa_chargeDeclinedInsufficientFunds", "insufficient_funds"),
        ("tok_visa_chargeDeclinedInsufficientFunds", "insufficient_funds"),
        ("pm_card_visa_chargeDeclinedLostCard", "lost_card"),
        ("pm_card_visa_chargeDeclinedStolenCard", "stolen_card"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card"),
        ("pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc"),
        ("tok_chargeDeclinedProcessingError", "processing_error"),
        ("4000000000000002", "card_declined"),
        ("4000 0000 0000 9995", "insufficient_funds"),
        ("4000-0000-0000-0069", "expired_card"),
        ("pm_card_authenticationRequired", "authentication_required"),
    ],
)
def test_payment_methods(method: str | None, error: str | None) -> None:
    assert decline(method) == error
    outcome = deliver("charge", payment="pay_1", payment_method=method)
    assert (outcome.status, outcome.error) == ("failed" if error else "succeeded", error)


def test_the_same_effect_has_the_same_outcome() -> None:
    assert deliver("refund") == deliver("refund")
    assert deliver("refund").reference == "sandbox_" + "0" * 16


@pytest.mark.parametrize(
    "kind", ["refund", "transfer", "notify", "slack", "webhook", "shippo.post"]
)
def test_everything_else_succeeds(kind: str) -> None:
    assert deliver(kind).status == "succeeded"


def test_services_answer_with_an_empty_body() -> None:
    assert deliver("shippo.post", target="/x").data == {"ok": True, "status": 200, "body": {}}


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("ada@example.com", True),
        ("Ada L <ada@example.com>", True),
        ("ada@example.com, bob@example.org", True),
        ("zoë@bücher.example", True),
        ("", False),
        ("ada", False),
        ("ada@localhost", False),
        ("a b@example.com", False),
        ("ada@example.com\r\nBcc: x@example.com", False),
        ("ada@exa..mple.com", False),
        (7, False),
    ],
)
def test_addresses(address: Any, expected: bool) -> None:
    assert valid(address) == expected
    error = None if expected else "invalid_address"
    assert deliver("email", to=address).error == error


SCHEMAS: list[tuple[Any, Any]] = [
    ({"type": "text"}, "sandbox answer"),
    ({"type": "object", "properties": {"n": {"type": "integer", "minimum": 3}}}, {"n": 3}),
    ({"enum": ["low", "high"]}, "low"),
    ({"type": "array", "items": {"type": "boolean"}, "minItems": 2}, [True, True]),
    ({"name": "text", "price": "money", "note": "text?"},
     {"name": "sandbox name", "price": Money(1, "USD"), "note": None}),
    ({"name": {"type": "text"}, "ok": {"type": "bool"}}, {"name": "sandbox name", "ok": True}),
    ({"type": "text", "size": "number"}, {"type": "sandbox type", "size": 1}),
    (["approve", "deny"], "approve"),
    ({"tags": ["text"]}, {"tags": ["sandbox tags"]}),
    ("number", 1),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "answer"), SCHEMAS)
def test_ai_answers_fit_their_schema(schema: Any, answer: Any) -> None:
    assert deliver("ai.generate", prompt="p", schema=schema).data == answer


def test_ai_decides_for_the_first_option() -> None:
    assert deliver("ai.decide", prompt="p", options=["a", "b"], schema={"type": "text"}).data == "a"


def test_a_schema_without_end_has_one() -> None:
    endless: dict[str, Any] = {}
    endless["a"] = endless
    assert fitting(endless, "answer")


def test_embeddings_follow_the_text() -> None:
    one, same, other = (deliver("ai.embed", text=t).data for t in ("a", "a", "b"))
    assert one == same != other
    assert len(one) == EMBEDDING
    assert all(isinstance(x, Decimal) and -1 <= x <= 1 for x in one)


def test_payments_as_a_test_sets_them() -> None:
    sandbox = Sandbox()
    charge = effect("charge", payment_method="pm_card_visa")
    sandbox.payments_fail("insufficient_funds")
    assert sandbox.deliver(charge).error == "insufficient_funds"
    sandbox.payments_succeed()
    assert sandbox.deliver(charge).status == "succeeded"


def test_answers_as_a_test_sets_them() -> None:
    sandbox = Sandbox()
    sandbox.answer("shippo.post", "/shipments", {"tracking": "T1"})
    sandbox.answer("shippo.get", None, {"status": 404, "error": "not_found"})
    sandbox.answer("ai.decide", None, "deny")
    reply = sandbox.deliver(effect("shippo.post", target="/shipments")).data
    assert reply == {"ok": True, "status": 200, "body": {"tracking": "T1"}}
    assert sandbox.deliver(effect("shippo.post", target="/other")).data["body"] == {}
    missing = sandbox.deliver(effect("shippo.get", target="/x"))
    assert (missing.status, missing.error, missing.data["ok"]) == ("failed", "not_found", False)
    assert sandbox.deliver(effect("ai.decide", prompt="p")).data == "deny"
