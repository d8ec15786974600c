"""What `--live` says of settings that can't be right, before anything is run or sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bizrun.errors import UsageError
from bizrun.providers.registry import Registry

from .conftest import Command

HOOK = "whsec_" + "Y2FuYXJ5" * 4
STRIPE = {"STRIPE_API_KEY": "sk_test_1"}
PAYPAL = {"PAYPAL_CLIENT_ID": "AY-1", "PAYPAL_CLIENT_SECRET": "hush"}


def env(name: str) -> dict[str, Any]:
    return {"call": "env", "args": [name]}


def said(environment: dict[str, str], **blocks: dict[str, Any]) -> str:
    """What is wrong with settings; nothing where they may be right."""
    try:
        Registry(blocks, environment).check()
    except UsageError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(("environment", "expected"), [
    ({"SMTP_URL": "mail.example.com:587"}, "SMTP_URL begins with neither smtp:// nor smtps://"),
    ({"SMTP_URL": "smtp://user:pa@host:port"}, "SMTP_URL has a port that is no number"),
    ({"SMTP_URL": "smtp://user:pa/ss@mail.example.com:25"}, "%2F %3F %23"),
    ({"SMTP_URL": "smtp://user:12#x@mail.example.com"}, "something behind its host"),
    ({"SMTP_URL": "smtp://:25"}, "SMTP_URL names no host"),
    ({"SMTP_URL": "smtp://mail,example.com"}, "SMTP_URL holds no host's name"),
    ({"SMTP_URL": "smtp://mail.example.com:0"}, "something behind its host that is no port"),
    ({"SMTP_URL": "smtp://mail.example.com?tls=never"}, "`tls` of SMTP_URL is none of yes, "),
    ({"SMTP_URL": "smtp://mail.example.com?tsl=no"}, "behind its `?`"),
    ({"SMTP_URL": "smtp://[::1"}, "SMTP_URL can't be read"),
    ({"SMTP_URL": "smtp://mail.example.com\n"}, "SMTP_URL holds a blank or a line break"),
    ({"SMTP_URL": "smtp://169.254.169.254"}, "SMTP_URL names a host that is a link-local"),
    ({"SLACK_WEBHOOK_URL": "hooks.slack.com/services/x"}, "begins with https://, not `nothing`"),
    ({"SLACK_WEBHOOK_URL": "'https://hooks.slack.com/x'"}, "stands in quotation marks"),
    ({"SLACK_WEBHOOK_URL": "https://hooks.slack.com/x "}, "begins or ends with a blank"),
    ({"SLACK_WEBHOOK_URL": "https://hooks.slack.com:port/x"}, "SLACK_WEBHOOK_URL is no address"),
    ({"STRIPE_API_KEY": "pk_live_1"}, "STRIPE_API_KEY is a publishable key: write sk_live_…"),
    ({"STRIPE_API_KEY": HOOK}, "STRIPE_API_KEY is the secret of a webhook: write sk_live_…"),
    ({"STRIPE_API_KEY": "sk_test_ü"}, "STRIPE_API_KEY holds characters that no key has"),
    ({"STRIPE_API_KEY": "hunter22"}, "STRIPE_API_KEY is no key of Stripe's"),
    ({**STRIPE, "STRIPE_API_BASE": "localhost:12111"}, "STRIPE_API_BASE is no address"),
    ({**STRIPE, "STRIPE_API_BASE": "https://api.stripe.com/v1"}, "ends with /v1, which is added"),
    ({**STRIPE, "STRIPE_WEBHOOK_SECRET": "sk_test_1"}, "is an API key, not the secret of a"),
    ({"PAYPAL_CLIENT_ID": "AY-1"}, "`paypal` has no client_secret: set the environment variable "
     "PAYPAL_CLIENT_SECRET"),
    ({**PAYPAL, "PAYPAL_API_BASE": "ftp://api-m.paypal.com"}, "begins with https://, not `ftp`"),
    ({"OPENAI_API_KEY": "sk 1"}, "OPENAI_API_KEY holds characters"),
    ({"OPENAI_BASE_URL": "127.0.0.1:1"}, "OPENAI_BASE_URL is no address"),
    ({"ANTHROPIC_BASE_URL": "https://api.anthropic.com/v1/"}, "ends with /v1/, which is added"),
    ({"WEBHOOK_SECRET": "hunter2"}, "WEBHOOK_SECRET can't sign: a secret of webhooks is `whsec_`"),
])  # fmt: skip
def test_what_the_environment_can_have_wrong(environment: dict[str, str], expected: str) -> None:
    told = said(environment)
    assert expected in told
    for value in environment.values():
        assert value.strip() not in told  # most are secrets


@pytest.mark.parametrize(("block", "expected"), [
    ({"smtp": {"host": "mail.example.com", "port": env("PORT")}}, "PORT is no port"),
    ({"smtp": {"host": "mail example"}}, "`host` of `connect smtp` holds no host's name"),
    ({"smtp": {"host": "localhost"}}, "`host` of `connect smtp` names a host that is this machine"),
    ({"smtp": {"host": "m.example", "tls": "startls"}}, "`tls` of `connect smtp` is none of"),
    ({"smtp": {"url": env("MAIL")}}, "MAIL begins with neither smtp:// nor smtps://"),
    ({"carrier": {"url": env("MAIL")}}, "MAIL is no address that can be called"),
    ({"carrier": {"url": "http://10.0.0.1"}}, "a host that is in a private network: write https"),
    ({"carrier": {"url": "https://x.example", "auth": {"call": "bearer", "args": [env("BAD")]}}},
     "`connect carrier` can't be used: the header `Authorization` holds a line break"),
    ({"carrier": {"url": env("GONE")}}, "`connect carrier` has no url: set the environment "
     "variable GONE"),
])  # fmt: skip
def test_what_a_block_can_have_wrong(block: dict[str, Any], expected: str) -> None:
    environment = {"PORT": "smtp", "MAIL": "mail.example.com", "BAD": "a\nb"}
    assert expected in said(environment, **block)


@pytest.mark.parametrize("environment", [
    {"SMTP_URL": "smtp://ada%40x.example:p%2Fw@mail.example.com:25?tls=starttls"},
    {"SMTP_URL": "smtps://127.0.0.1"},
    {"SMTP_URL": "smtp://[::1]:2525/"},
    {"SLACK_WEBHOOK_URL": "http://127.0.0.1:9/services/x"},
    {**STRIPE, "STRIPE_WEBHOOK_SECRET": "whsec_a whsec_b"},
    {"STRIPE_API_KEY": "anything", "STRIPE_API_BASE": "http://stripe_mock:12111"},
    PAYPAL,
    {"OPENAI_BASE_URL": "http://localhost:11434/v1"},
    {"WEBHOOK_SECRET": f"{HOOK} {HOOK}"},
])  # fmt: skip
def test_what_may_be_right_is_let_be(environment: dict[str, str]) -> None:
    assert said(environment) == ""


def test_port_and_tls_may_come_from_the_environment() -> None:
    block = {"host": "mail.example.com", "port": env("PORT"), "tls": env("TLS")}
    assert said({"PORT": "2525", "TLS": "no"}, smtp=block) == ""
    assert "TLS is none of yes, " in said({"PORT": "2525", "TLS": "maybe"}, smtp=block)


SPEC = """
business "Acme" { language 1, currency USD, timezone "UTC", bills User }
entity User { id text key }
event User.joined { id text, email text }
on User.joined as joined { email { to: joined.email, subject: "Hi", body: "Hi" } }
on User.joined as joined { notify { to: "team", message: "{joined.id}" } }
"""
EVENT = '{"id": "1", "type": "User.joined", "data": {"id": "a", "email": "a@b.example"}}\n'


def test_all_is_told_before_a_state_is_touched(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("a.biz").write_text(SPEC)
    Path("a.events.jsonl").write_text(EVENT)
    command("run", "a.biz", "--out", "none")
    before = Path(".bizrun/a.db").read_bytes()
    monkeypatch.setenv("SMTP_URL", "mail.example.com")
    monkeypatch.setenv("SLACK_WEBHOOK_URL", "hooks.slack.com")
    monkeypatch.setenv("STRIPE_API_KEY", "pk_live_1")
    for args in (("run", "a.biz", "--live", "--fresh"), ("serve", "a.biz", "--live", "--no-auth")):
        told = command(*args, code=2)
        for name in ("SMTP_URL", "SLACK_WEBHOOK_URL", "STRIPE_API_KEY"):
            assert f"{name} " in told
        assert told.count("bizrun:") == 1
    assert Path(".bizrun/a.db").read_bytes() == before


@pytest.mark.parametrize(("statement", "told"), [
    ('log "hi"', ""),
    ('email { to: "a@b.example", subject: "Hi", body: "Hi" }', "SMTP_URL"),
    ('let told = ai.generate { prompt: "Hi", schema: { a: "text" } }', "OPENAI_API_KEY"),
    ('if joined.id == "x" { for each i in [1] { slack { channel: "a", text: "b" } } }', "SLACK_"),
    ("wait for Stripe.charge.updated as e within 1 day", "STRIPE_API_KEY"),
    ('after 1 day { stripe.customers.create { email: "a@b.example" } }', "STRIPE_API_KEY"),
])  # fmt: skip
def test_a_variable_by_which_nothing_is_sent_is_nobody_s_mistake(
    command: Command, monkeypatch: pytest.MonkeyPatch, statement: str, told: str
) -> None:
    Path("a.biz").write_text(f"""
business "Acme" {{ language 1, currency USD, timezone "UTC" }}
event User.joined {{ id text }}
on User.joined as joined {{
  {statement}
}}
""")
    Path("a.events.jsonl").write_text("")
    wrong = {
        "SMTP_URL": "mail.example.com",
        "SLACK_WEBHOOK_URL": "hooks.slack.com",
        "STRIPE_API_KEY": "pk_live_1",
        "OPENAI_API_KEY": "sk 1",
    }
    for name, value in wrong.items():
        monkeypatch.setenv(name, value)
    said = command("run", "a.biz", "--live", "--out", "none", code=2 if told else 0)
    assert [name for name in wrong if name in said] == [n for n in wrong if told and told in n]
