"""`bizrun push stripe` and `pull stripe`, against the fake Stripe."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bizrun.cli.main import cli
from bizrun.errors import UsageError

from .conftest import ROOT
from .fakes.stripe import KEY, FakeStripe

SPEC = """
business "Shop" { language 1, currency USD, timezone "UTC", bills Account }
entity Account { id text key }
plan basic "Basic" { price 9.99 USD per month, price 99 USD per year }
plan team { price 10 EUR per seat per month }
plan big { price per seat per month graduated { up to 10: 5 USD, above: 4.555 USD } }
plan calls { price 0 USD per month, usage api: 0.01 USD }
meter api { count Api.call per account }
event Api.call { account Account }
coupon TENTH { 10% off }
coupon ONCE { 5 USD off once, until 2027-01-31, at most 3 times }
coupon HALF { 50% off for 3 months }
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    Path("shop.biz").write_text(SPEC)
    monkeypatch.setenv("STRIPE_API_KEY", KEY)
    with FakeStripe() as fake:
        monkeypatch.setenv("STRIPE_API_BASE", fake.url)
        yield fake


def bizrun(*args: str, code: int = 0) -> str:
    done = CliRunner().invoke(cli, args, standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    assert (done.return_value or 0) == code, done.output
    return done.output


def test_it_shows_before_it_makes(shop: FakeStripe) -> None:
    shown = bizrun("push", "stripe", "shop.biz")
    assert '+ product basic "Basic"' in shown and "+ basic price 9.99 USD per month" in shown
    assert "+ team price 10.00 EUR per seat per month" in shown
    assert "+ meter api: count" in shown and "+ calls usage of api per month" in shown
    assert "say --apply" in shown
    assert not shop.all("products")
    made = bizrun("push", "stripe", "shop.biz", "--apply")
    assert made.startswith(shown.partition("14 to make")[0])
    prices = {price["lookup_key"]: price for price in shop.all("prices")}
    assert prices["shop_basic_1month_usd"]["unit_amount"] == 999
    assert prices["shop_big_1month_usd"]["tiers"][1]["unit_amount_decimal"] == Decimal("455.5")
    coupons = {coupon["id"]: coupon for coupon in shop.all("coupons")}
    assert coupons["HALF"]["duration_in_months"] == 3 and coupons["ONCE"]["amount_off"] == 500


def test_again_it_does_nothing(shop: FakeStripe) -> None:
    bizrun("push", "stripe", "shop.biz", "--apply")
    count = sum(method == "POST" for method, *_ in shop.requests)
    assert "The account has it all." in bizrun("push", "stripe", "shop.biz", "--apply")
    assert sum(method == "POST" for method, *_ in shop.requests) == count


def test_a_new_price_takes_the_place_of_an_old_one(shop: FakeStripe) -> None:
    bizrun("push", "stripe", "shop.biz", "--apply")
    changed = SPEC.replace("9.99 USD", "10.99 USD").replace("10% off", "11% off")
    Path("shop.biz").write_text(changed)
    shown = bizrun("push", "stripe", "shop.biz", "--apply")
    assert "~ basic price 10.99 USD per month (a new price" in shown
    assert "! coupon TENTH: 11% off (it differs" in shown
    basic = [p for p in shop.all("prices") if p["product"] == "shop_basic"]
    assert [p["active"] for p in basic if p.get("lookup_key") == "shop_basic_1month_usd"] == [True]
    assert sorted(p["unit_amount"] for p in basic) == [999, 1099, 9900]


def test_what_is_pulled_checks_and_costs_the_same(shop: FakeStripe) -> None:
    bizrun("push", "stripe", "shop.biz", "--apply")
    bizrun("pull", "stripe", "--out", "pulled.biz", "--title", 'My "Shop"')
    text = Path("pulled.biz").read_text()
    assert 'plan basic "Basic" {' in text and "  price 9.99 USD per month" in text
    assert "coupon HALF { 50% off for 3 months }" in text
    assert "coupon ONCE { 5.00 USD off once, until 2027-01-31, at most 3 times }" in text
    bizrun("check", "pulled.biz")


def test_the_example_can_be_pushed(shop: FakeStripe) -> None:
    out = bizrun("push", "stripe", str(ROOT / "specs/saas.biz"), "--apply")
    assert "+ pro price 99.00 USD per month" in out
    assert len(shop.all("prices")) == 6
    assert [meter["event_name"] for meter in shop.all("meters")] == ["saas_api_calls"]


USAGE = """
business "Shop" { language 1, currency USD, timezone "UTC", bills Account }
entity Account { id text key }
event Used { account Account, units number = 1, size size = 1 GB, amount money = 1 USD }
meter api { sum units of Used per account }
meter sms { count Used per account }
meter rows { last units of Used per account }
meter peak { max units of Used per account }
meter disk { sum size of Used per account unit GB }
meter pay { sum amount of Used per account }
plan pro {
  price 10 USD per month, price 100 USD per year
  includes 100 api
  usage api graduated { up to 10_000: free, above: 0.015 USD }
  usage sms package of 1000: 5 USD
  usage rows volume { up to 10: 5 USD + 1 USD flat, above: 4 USD }
  usage peak: 0.02 USD
  usage disk: 0.023 USD per GB
  usage pay: 2.9% + 0.30 USD per payment
}
"""


def test_usage_prices_count_by_meters(shop: FakeStripe) -> None:
    Path("shop.biz").write_text(USAGE)
    shown = bizrun("push", "stripe", "shop.biz", "--apply")
    for meter, why in (("peak", "know no `max`"), ("disk", "count no size"), ("pay", "no money")):
        assert f"usage of {meter} in pro is counted and billed by bizrun: " in shown
        assert why in shown
    meters = {meter["event_name"]: meter for meter in shop.all("meters")}
    formulas = {name: meter["default_aggregation"]["formula"] for name, meter in meters.items()}
    assert formulas == {"shop_api": "sum", "shop_sms": "count", "shop_rows": "last"}
    prices = {price["lookup_key"]: price for price in shop.all("prices")}
    assert len(prices) == 8
    api = prices["shop_pro_api_1month_usd"]
    assert api["recurring"]["usage_type"] == "metered"
    assert api["recurring"]["meter"] == meters["shop_api"]["id"]
    assert [str(tier["up_to"]) for tier in api["tiers"]] == ["100", "10100", "inf"]
    assert str(api["tiers"][2]["unit_amount_decimal"]) == "1.5"
    assert prices["shop_pro_sms_1year_usd"]["transform_quantity"]["round"] == "up"
    first = prices["shop_pro_rows_1month_usd"]["tiers"][0]
    assert (int(first["unit_amount"]), int(first["flat_amount"])) == (500, 100)
    assert "The account has it all." in bizrun("push", "stripe", "shop.biz")
    Path("shop.biz").write_text(USAGE.replace("0.015 USD", "0.02 USD"))
    again = bizrun("push", "stripe", "shop.biz")
    assert "~ pro usage of api per month (a new price" in again
    assert again.count("~ ") == 2 and "2 to make or change" in again


def test_without_a_key_it_says_which(shop: FakeStripe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STRIPE_API_KEY")
    with pytest.raises(Exception, match="STRIPE_API_KEY"):
        bizrun("push", "stripe", "shop.biz")
    monkeypatch.setenv("STRIPE_API_KEY", "sk_test_canary_0123456789")
    with pytest.raises(Exception, match="refuses the key") as caught:
        bizrun("push", "stripe", "shop.biz")
    assert "canary" not in str(caught.value)


def test_a_missing_key_is_a_wrong_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("shop.biz").write_text(SPEC)
    monkeypatch.delenv("STRIPE_API_KEY", raising=False)
    for args in (("push", "stripe", "shop.biz"), ("pull", "stripe")):
        with pytest.raises(UsageError, match="set the environment variable STRIPE_API_KEY"):
            bizrun(*args)
