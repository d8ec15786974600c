"""The Stripe provider against the fake Stripe: one vocabulary, keys, webhooks, other methods."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace
from typing import Any

import pytest

from bizrun.errors import BizError, ProviderError
from bizrun.model import Effect, Outcome
from bizrun.providers.base import Call, MaybeSent, NotSent, Secrets
from bizrun.providers.sandbox import Sandbox
from bizrun.providers.stripe import Stripe
from bizrun.providers.stripe_answers import payable, retry_after, units, wire
from bizrun.values import Money

from .fakes.stripe import DECLINES, KEY, FakeStripe

NOW = datetime.now(UTC)


class Desk:
    """A provider, the fake behind it, and the next fault of the fake."""

    def __init__(self, fake: FakeStripe) -> None:
        self.fake, self.provider = fake, Stripe()
        self.fault: str | None = None
        fake.faults = lambda method, path, number: self._next(path)
        self.environment = {"STRIPE_API_KEY": KEY, "STRIPE_API_BASE": fake.url}

    def _next(self, path: str) -> str | None:
        fault, self.fault = self.fault, None
        return fault

    def call(self, key: str = "k1", **more: Any) -> Call:
        timeout = timedelta(seconds=2)
        return Call(key, Secrets("stripe", {}, self.environment), NOW, timeout, **more)

    def send(self, effect: Effect, **more: Any) -> Outcome:
        return self.provider.deliver(effect, self.call(effect.id, **more))


@pytest.fixture
def desk() -> Iterator[Desk]:
    with FakeStripe() as fake:
        yield Desk(fake)


CHARGE = {"payment": "p1", "amount": Money(29, "USD"), "payment_method": "pm_card_visa"}


def effect(
    kind: str = "charge", id: str = "e1", customer: str | None = None, **data: Any
) -> Effect:
    if kind == "charge":
        data = CHARGE | data
    return Effect(id, kind, data, NOW, "ev_1", "x.biz:1", customer)


METHODS = ["pm_card_visa", "pm_card_mastercard", *(f"pm_card_{name}" for name in DECLINES)]


@pytest.mark.parametrize("method", [*METHODS, "pm_card_visa_chargeDeclinedLostCard"])
def test_stripe_and_the_sandbox_speak_alike(desk: Desk, method: str) -> None:
    asked = effect(payment_method=method)
    ours, theirs = Sandbox().deliver(asked), desk.send(asked)
    assert (ours.status, ours.error) == (theirs.status, theirs.error)


def test_the_same_key_charges_once(desk: Desk) -> None:
    first, second = desk.send(effect()), desk.send(effect())
    assert first == second and first.status == "succeeded"
    assert desk.fake.charged() == {"e1": [2900]}


@pytest.mark.parametrize(
    ("fault", "error", "charged"),
    [
        ("429", NotSent, False), ("503", MaybeSent, False), ("500 before", MaybeSent, False),
        ("500 after", MaybeSent, True), ("lost before", MaybeSent, False),
        ("lost after", MaybeSent, True),
    ],
)  # fmt: skip
def test_what_went_wrong_is_told_apart(
    desk: Desk, fault: str, error: type[Exception], charged: bool
) -> None:
    desk.fault = fault
    with pytest.raises(error) as caught:
        desk.send(effect())
    assert bool(desk.fake.charged()) is charged
    assert getattr(caught.value, "stored", False) is fault.startswith("500")
    found = desk.provider.read_back(effect(), desk.call())
    assert (found is not None and found.status == "succeeded") is charged


@pytest.mark.parametrize(
    ("said", "least", "most"),
    [("7", 7, 7), ("date", 50, 60), ("soon", None, None), ("²", None, None), ("-3", None, None)],
)
def test_how_long_stripe_asks_to_wait(said: str, least: int | None, most: int | None) -> None:
    """RFC 9110, 10.2.3: seconds, or a date."""
    at = datetime.now(UTC) + timedelta(seconds=60)
    header = format_datetime(at, usegmt=True) if said == "date" else said
    wait = retry_after(SimpleNamespace(headers={"Retry-After": header}))
    if least is None or most is None:
        assert wait is None
    else:
        assert wait is not None and least <= wait.total_seconds() <= most


def test_a_stored_500_is_repeated_under_its_key(desk: Desk) -> None:
    desk.fault = "500 before"
    for _ in range(2):
        with pytest.raises(MaybeSent):
            desk.send(effect())
    assert not desk.fake.charged()


def test_a_time_out_may_have_charged(desk: Desk) -> None:
    desk.fault, desk.fake.slow = "slow after", 3
    with pytest.raises(MaybeSent):
        desk.send(effect())
    assert desk.send(effect()).status == "succeeded"
    assert desk.fake.charged() == {"e1": [2900]}


def test_keys_are_pruned_after_a_day(desk: Desk) -> None:
    desk.send(effect())
    now = desk.fake.clock()
    desk.fake.clock = lambda: now + 86_401
    found = desk.provider.read_back(effect(), desk.call())
    assert found is not None and found.status == "succeeded"
    desk.send(effect())
    assert desk.fake.charged() == {"e1": [2900, 2900]}, "the fake forgets keys, as Stripe does"


def listed(desk: Desk) -> dict[str, Any]:
    """What the newest list was asked for."""
    return [request[3] for request in desk.fake.requests if request[0] == "GET"][-1]


def test_an_object_is_looked_for_where_it_can_be(desk: Desk) -> None:
    """Among its customer's own, but only where this process has made all of its tries: between
    two processes the row may have got another customer."""
    now = datetime.now(UTC) + timedelta(minutes=1)
    late = replace(desk.call("e2", customer={"stripe_customer": "cus_1"}), first=now)
    desk.fake.objects["customers"] = {c: {"id": c, "metadata": {}} for c in ("cus_1", "cus_2")}
    asked = effect(id="e2", customer="a1")
    desk.fault = "500 after"
    with pytest.raises(MaybeSent):
        desk.provider.deliver(asked, late)
    moved = replace(late, customer={"stripe_customer": "cus_2"})
    found = desk.provider.read_back(asked, moved)
    assert found is not None and found.status == "succeeded"
    assert listed(desk)["customer"] == "cus_1"
    found = Stripe().read_back(asked, replace(moved, first=NOW - timedelta(minutes=1)))
    assert found is not None and found.status == "succeeded"
    assert "customer" not in listed(desk)


def test_a_step_that_fails_once_fails_no_charge(desk: Desk) -> None:
    """A charge of a new customer is three calls: the first two may simply be repeated."""
    faults = iter(["lost before", None, "lost after", "503", None])
    desk.fake.faults = lambda method, path, number: (
        next(faults, None) if "customers" in path else None
    )
    sent = desk.send(effect(customer="a1"), customer={"id": "a1", "email": "a@b.example"})
    assert sent.status == "succeeded" and desk.fake.charged() == {"e1": [2900]}
    assert len(desk.fake.all("customers")) == 1


def test_another_request_under_a_key_is_found_out(desk: Desk) -> None:
    desk.send(effect())
    with pytest.raises(MaybeSent) as caught:
        desk.send(effect(amount=Money(30, "USD")))
    assert caught.value.stored


def test_nobody_there_is_not_sent() -> None:
    with FakeStripe() as fake:
        pass
    with pytest.raises(NotSent):
        Desk(fake).send(effect())


def test_a_wrong_key_is_a_reason_without_the_key(desk: Desk) -> None:
    desk.environment["STRIPE_API_KEY"] = "sk_test_canary_0123456789"
    with pytest.raises(ProviderError) as caught:
        desk.send(effect())
    assert "canary" not in str(caught.value)


def test_a_missing_key_names_the_variable(desk: Desk) -> None:
    del desk.environment["STRIPE_API_KEY"]
    with pytest.raises(ProviderError, match="STRIPE_API_KEY"):
        desk.send(effect())


def test_a_customer_is_made_once(desk: Desk) -> None:
    row = {"id": "a1", "email": "ada@example.com"}
    for number in range(3):
        desk.send(effect(id=f"e{number}", customer="a1"), customer=row)
    desk.provider = Stripe()
    desk.send(effect(id="e9", customer="a1"), customer=row)
    (made,) = desk.fake.all("customers")
    assert made["email"] == "ada@example.com" and made["metadata"]["bizrun_customer"] == "a1"


def test_without_a_method_the_customers_own_is_taken(desk: Desk) -> None:
    asked = effect(customer="a1", payment_method=None)
    assert desk.send(asked).error == "no_payment_method"
    (made,) = desk.fake.objects["customers"].values()
    made["invoice_settings"] = {"default_payment_method": "pm_card_visa"}
    assert desk.send(asked).status == "succeeded"


def test_a_card_number_never_leaves(desk: Desk) -> None:
    outcome = desk.send(effect(payment_method="4242 4242 4242 4242"))
    assert (outcome.status, outcome.error) == ("failed", "card_number_refused")
    assert not desk.fake.requests


def test_a_refund_is_bounded_by_its_charge(desk: Desk) -> None:
    charge = desk.send(effect()).reference
    part = effect("refund", "r1", reference=charge, amount=Money(10, "USD"))
    assert desk.send(part).status == "succeeded"
    much = effect("refund", "r2", reference=charge, amount=Money(20, "USD"))
    assert desk.send(much).status == "failed"
    assert desk.send(effect("refund", "r3", reference=None, amount=Money(1, "USD"))).error
    assert desk.provider.read_back(part, desk.call()) == desk.send(part)


def test_a_transfer_needs_an_account(desk: Desk) -> None:
    made = desk.send(effect("stripe.accounts.create", "a1", type="express"))
    asked = effect("transfer", "t1", to="seller", amount=Money("12.50", "USD"))
    assert desk.send(asked).error == "no_account"
    payee = {"id": "seller", "stripe_account": made.reference}
    sent = desk.send(asked, payee=payee)
    (transfer,) = desk.fake.all("transfers")
    assert sent.reference == transfer["id"] and transfer["amount"] == 1250
    back = effect("stripe.transfers.reversals.create", "v1", target=transfer["id"], amount=250)
    assert desk.send(back).status == "succeeded"
    assert desk.fake.all("transfers")[0]["amount_reversed"] == 250


def test_a_bank_debit_is_told_later(desk: Desk) -> None:
    pending = desk.send(effect(payment_method="pm_usBankAccount_success"))
    assert pending.status == "pending" and pending.reference
    desk.fake.finish(pending.reference)
    found = desk.provider.read_back(effect(), desk.call())
    assert found is not None and found.status == "succeeded"


def test_any_other_method(desk: Desk) -> None:
    made = desk.send(effect("stripe.customers.create", email="a@example.com"))
    assert made.data["ok"] and made.data["body"]["email"] == "a@example.com"
    asked = effect("stripe.customers.update", "e2", target=made.reference, name="Ada")
    assert desk.send(asked).data["body"]["name"] == "Ada"
    asked = effect("stripe.customers.retrieve", "e3", target=made.reference)
    assert desk.send(asked).data["body"]["name"] == "Ada"
    for kind, data in {
        "products": {"name": "Pro"},
        "prices": {"unit_amount": Money(29, "USD"), "currency": "usd", "product": "prod_1"},
        "coupons": {"percent_off": 25, "duration": "once"},
        "subscriptions": {"customer": made.reference, "items": [{"price": "price_1"}]},
        "invoices": {"customer": made.reference},
        "tax.calculations": {"currency": "usd", "line_items": [{"amount": 10, "reference": "l"}]},
        "billing.meter_events": {"event_name": "api", "payload": {"value": "1"}},
    }.items():
        outcome = desk.send(effect(f"stripe.{kind}.create", f"c{kind}", **data))
        assert outcome.status == "succeeded", (kind, outcome)
    wrong = desk.send(effect("stripe.products.create", "w", nam="Pro"))
    assert wrong.status == "failed"
    assert desk.send(effect("stripe.product.create", "w2")).error == "no_such_method"
    with pytest.raises(BizError, match="customer"):
        desk.send(effect("stripe.customers.retrieve", "w3"))


@pytest.mark.parametrize(
    ("amount", "count"),
    [("29.00 USD", 2900), ("500 JPY", 500), ("1.234 KWD", 1234), ("500 ISK", 50000),
     ("500 UGX", 50000), ("500 MGA", 500)],
)  # fmt: skip
def test_minor_units(amount: str, count: int) -> None:
    number, currency = amount.split()
    assert units(Money(number, currency)) == count
    assert wire({"amount": Money(number, currency)}) == {
        "amount": count, "currency": currency.lower()
    }  # fmt: skip


def test_three_decimals_are_charged_in_tens() -> None:
    """docs.stripe.com/currencies: 5.124 KWD is refused, 5120 and 5130 are taken."""
    assert payable(Money("5.120", "KWD")) == 5120
    with pytest.raises(ProviderError, match=r"5\.124 KWD.*steps of 0\.010 KWD"):
        payable(Money("5.124", "KWD"))
