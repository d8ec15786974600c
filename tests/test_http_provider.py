"""Connections, `http`, webhooks and Slack, over real HTTP on loopback."""

from __future__ import annotations

import base64
import hashlib
import hmac
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from bizrun.errors import ProviderError
from bizrun.model import Outcome
from bizrun.providers.base import MaybeSent, NotSent
from bizrun.providers.http import AnyHost, HttpProvider
from bizrun.providers.inbound import SignedWebhooks
from bizrun.providers.secrets import Secrets
from bizrun.providers.slack import SlackProvider
from bizrun.providers.webhook import WebhookProvider, signature_headers, signing_keys
from bizrun.providers.wire import retry_after
from bizrun.values import money

from .fakes.effects import KEY, NOW, call, effect, env
from .fakes.web import Answer, Web, serving

TOKEN = "token-canary-123456"


def connect(server: Web, **block: Any) -> Any:
    more = {"url": env("SERVICE_URL"), "auth": {"call": "bearer", "args": [env("TOKEN")]}, **block}
    return call("shippo", more, {"SERVICE_URL": server.url, "TOKEN": TOKEN}, seconds=1)


def test_a_post_of_a_connection() -> None:
    with serving({"tracking": "T1", "cost": 1.10}) as server:
        asked = effect("shippo.post", target="/shipments?x=1", order="o1", total=money("29 USD"),
                       weight=Decimal("0.1"))  # fmt: skip
        found = HttpProvider().deliver(asked, connect(server))
        assert found.status == "succeeded"
        assert found.data["body"] == {"tracking": "T1", "cost": Decimal("1.1")}
        assert (found.data["ok"], found.data["status"]) == (True, 200)
        assert found.data["headers"]["content-type"] == "application/json"
        seen = server.seen[0]
        assert (seen.method, seen.path) == ("POST", "/shipments?x=1")
        assert seen.body == b'{"order":"o1","total":"29.00 USD","weight":0.1}'
        assert seen.headers["authorization"] == f"Bearer {TOKEN}"
        assert seen.headers["idempotency-key"] == KEY
        assert seen.headers["content-type"] == "application/json"


def test_a_host_that_is_nowhere_is_an_answer_after_a_while() -> None:
    asked = effect("http", url="http://127.0.0.1:1/")
    allowed = call("http", {"private": True})
    with pytest.raises(NotSent):
        AnyHost().deliver(asked, replace(allowed, first=datetime.now(UTC)))
    long_ago = replace(allowed, first=datetime.now(UTC) - timedelta(seconds=21))
    found = AnyHost().deliver(asked, long_ago)
    assert (found.status, found.data["ok"]) == ("failed", False)
    assert found.error is not None and found.error.startswith("unreachable: ")
    with pytest.raises(NotSent):
        HttpProvider().deliver(
            effect("shippo.get", target="/"),
            replace(
                call("shippo", {"url": "http://127.0.0.1:1", "private": True}), first=long_ago.first
            ),
        )
    assert AnyHost().host(asked, None) == "127.0.0.1:1"
    odd = effect("http", url="http://a..b/")
    refused = AnyHost().deliver(odd, allowed)
    assert refused.error is not None and refused.error.startswith("refused: ")


def test_a_get_asks_with_a_query() -> None:
    with serving({}) as server:
        asked = effect("shippo.get", target="rates", zip="10115", tag=["a", "b c"], none=None)
        HttpProvider().deliver(asked, connect(server))
        assert server.seen[0].path == "/rates?zip=10115&tag=a&tag=b+c"
        assert server.seen[0].body == b""


AUTH: list[tuple[Any, str, str]] = [
    ({"call": "basic", "args": ["ada", env("TOKEN")]}, "authorization",
     "Basic " + base64.b64encode(f"ada:{TOKEN}".encode()).decode()),
    ({"call": "header", "args": ["X-Api-Key", env("TOKEN")]}, "x-api-key", TOKEN),
    ({"call": "hmac", "args": [env("TOKEN")]}, "x-signature",
     hmac.new(TOKEN.encode(), b'{"a":1}', hashlib.sha256).hexdigest()),
    ({"call": "hmac", "args": [env("TOKEN"), "X-Hub-Signature-256", "sha256="]},
     "x-hub-signature-256",
     "sha256=" + hmac.new(TOKEN.encode(), b'{"a":1}', hashlib.sha256).hexdigest()),
]  # fmt: skip


@pytest.mark.parametrize(("auth", "header", "value"), AUTH)
def test_auth(auth: Any, header: str, value: str) -> None:
    with serving({}) as server:
        HttpProvider().deliver(effect("shippo.post", target="/", a=1), connect(server, auth=auth))
        assert server.seen[0].headers[header] == value


def test_what_is_no_success_is_a_reply_all_the_same() -> None:
    with serving(lambda _: Answer(422, {"error": "no such zip"})) as server:
        found = HttpProvider().deliver(effect("shippo.post", target="/"), connect(server))
        assert (found.status, found.error) == ("failed", "http_422")
        assert found.data["body"] == {"error": "no such zip"}
        assert (found.data["ok"], found.data["status"]) == (False, 422)


def test_what_the_spec_says_of_repetition() -> None:
    provider = HttpProvider()
    with serving({}) as server:
        for block, kind, expected in [
            ({}, "shippo.post", "at_most_once"),
            ({}, "shippo.patch", "at_most_once"),
            ({}, "shippo.get", "at_least_once"),
            ({}, "shippo.delete", "at_least_once"),
            ({"delivery": "at_least_once"}, "shippo.post", "at_least_once"),
            ({"delivery": "idempotent"}, "shippo.post", "idempotent"),
            ({"delivery": "at_most_once"}, "shippo.get", "at_most_once"),
        ]:
            provider.configure(connect(server, **block).secrets)
            assert provider.guarantee(effect(kind, target="/")) == expected
        asked = effect("http", url="https://a.example", body=1, delivery="at_least_once")
        assert provider.guarantee(asked) == "at_least_once"


def test_failures_that_may_pass() -> None:
    provider, asked = HttpProvider(), effect("shippo.post", target="/")
    with serving({}) as server:
        server.faults = [429, 503, 500, 500, "timeout_after"]
        with pytest.raises(NotSent, match="429"):
            provider.deliver(asked, connect(server))
        with pytest.raises(NotSent, match="503"):
            provider.deliver(asked, connect(server))
        keyed = HttpProvider()
        keyed.configure(connect(server, delivery="idempotent").secrets)
        with pytest.raises(MaybeSent, match="500"):
            keyed.deliver(asked, connect(server))
        once = provider.deliver(asked, connect(server))
        assert (once.status, once.error) == ("failed", "http_500")
        with pytest.raises(MaybeSent, match="in time"):
            provider.deliver(asked, connect(server))


def test_the_action_http_goes_to_public_addresses_only() -> None:
    with serving({}) as server:
        found = HttpProvider().deliver(effect("http", url=server.url), call("http"))
        assert found.status == "failed"
        assert found.error == "refused: 127.0.0.1 is this machine, and calls don't go there"
        assert found.data == {"ok": False, "status": 0, "body": None, "headers": {}}
        assert not server.seen
        asked = effect("http", url=server.url, method="PUT", body={"a": [1]}, query={"q": "x y"},
                       headers={"X-A": "1"})  # fmt: skip
        allowed = HttpProvider().deliver(asked, call("http", {"private": True}))
        assert allowed.status == "succeeded"
        seen = server.seen[0]
        assert (seen.method, seen.path, seen.headers["x-a"]) == ("PUT", "/?q=x+y", "1")


def test_a_spec_address_on_this_machine_needs_leave() -> None:
    with serving({}) as server:
        blocked = call("shippo", {"url": server.url})
        found = HttpProvider().deliver(effect("shippo.get", target="/"), blocked)
        assert found.error is not None and found.error.startswith("refused")


@pytest.mark.parametrize("path", ["//evil.example/x", "@evil.example", "\r\nX: y", "http://evil/"])
def test_a_path_stays_at_its_host(path: str) -> None:
    with serving({}) as server:
        HttpProvider().deliver(effect("shippo.get", target=path), connect(server))
        assert server.seen[0].headers["host"] == f"127.0.0.1:{server.port}"


@pytest.mark.parametrize("body", [b"{" * 5, b'{"a": NaN}', b"[" * 200 + b"]" * 200, b"\xff{}"])
def test_an_answer_that_can_not_be_read(body: bytes) -> None:
    with serving(lambda _: Answer(200, body)) as server:
        found = HttpProvider().deliver(effect("shippo.get", target="/"), connect(server))
        assert found.status == "failed"
        assert found.data["body"] is None


def test_texts_and_large_answers() -> None:
    with serving(lambda _: Answer(200, b"hello", {"Content-Type": "text/plain"})) as server:
        found = HttpProvider().deliver(effect("shippo.get", target="/"), connect(server))
        assert found.data["body"] == "hello"
    with serving(lambda _: Answer(200, b'"' + b"x" * 2_000_000 + b'"')) as server:
        found = HttpProvider().deliver(effect("shippo.get", target="/"), connect(server))
        assert (found.status, found.error) == ("failed", "answer_too_large")


def test_a_missing_variable_says_which() -> None:
    block = {"url": "https://a.example", "auth": {"call": "bearer", "args": [env("SHIPPO_TOKEN")]}}
    with pytest.raises(ProviderError, match="SHIPPO_TOKEN"):
        HttpProvider().deliver(effect("shippo.post", target="/"), call("shippo", block))


def test_an_address_from_the_environment_is_no_secret_in_a_message() -> None:
    with serving({}) as server:
        made = connect(server)
    with pytest.raises(NotSent) as error:
        HttpProvider().deliver(effect("shippo.get", target="/"), made)
    assert made.secrets.scrub(str(error.value)) == f"{server.url} can't be reached"
    assert made.secrets.scrub(f"Bearer {TOKEN}") == "Bearer ***"


def test_cookies_are_not_kept() -> None:
    with serving(lambda _: Answer(200, {}, {"Set-Cookie": "session=canary"})) as server:
        found = HttpProvider().deliver(effect("shippo.get", target="/"), connect(server))
        assert "canary" not in repr(found)


AFTER = [("5", 5), ("0", 0), ("999999999999", 86400), ("", None), ("soon", None), ("-1", None),
         ("Sat, 31 Jan 2026 09:00:30 GMT", 30), ("Sat, 31 Jan 2026 08:00:00 GMT", 0)]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), AFTER)
def test_retry_after(text: str, expected: int | None) -> None:
    found = retry_after({"retry-after": text}, NOW)
    assert found == (None if expected is None else timedelta(seconds=expected))


# --- webhooks ------------------------------------------------------------------------------------

SECRETS = ["whsec_" + base64.b64encode(bytes([n]) * 24).decode() for n in (1, 2)]


def hook(value: str = SECRETS[0]) -> Any:
    return call("webhook", {"secret": env("HOOK"), "private": True}, {"HOOK": value}, seconds=1)


def test_a_webhook_verifies_by_the_reference_library() -> None:
    with serving({"got": True}) as server:
        asked = effect(
            "webhook", url=server.url, event="order.paid", data={"total": money("1 USD")}
        )
        found = WebhookProvider().deliver(asked, hook())
        assert (found.status, found.data["body"]) == ("succeeded", {"got": True})
        seen = server.seen[0]
        assert Webhook(SECRETS[0]).verify(seen.body, seen.headers) == {
            "type": "order.paid", "timestamp": "2026-01-31T09:00:00Z",
            "data": {"total": "1.00 USD"},
        }  # fmt: skip
        assert seen.headers["webhook-id"] == KEY
        with pytest.raises(WebhookVerificationError):
            Webhook(SECRETS[1]).verify(seen.body, seen.headers)


@pytest.mark.parametrize(
    ("secret", "value"),
    [([env("HOOK"), env("OLD")], SECRETS[0]), (env("HOOK"), " ".join(SECRETS)),
     (None, " ".join(SECRETS))],
)  # fmt: skip
def test_two_secrets_while_one_is_changed(secret: Any, value: str) -> None:
    with serving({}) as server:
        block = {"private": True} | ({"secret": secret} if secret else {})
        environment = {"HOOK": value, "OLD": SECRETS[1], "WEBHOOK_SECRET": value}
        asked = effect("webhook", url=server.url, data=1)
        WebhookProvider().deliver(asked, call("webhook", block, environment))
        for known in SECRETS:
            Webhook(known).verify(server.seen[0].body, server.seen[0].headers)


def test_a_webhook_is_tried_again_with_the_same_bytes_and_id() -> None:
    provider = WebhookProvider()
    with serving({}) as server:
        asked = effect("webhook", url=server.url, data={"a": 1})
        server.faults = [500, 404]
        with pytest.raises(MaybeSent):
            provider.deliver(asked, hook())
        with pytest.raises(NotSent):
            provider.deliver(asked, hook())
        provider.deliver(asked, hook())
        assert len({seen.body for seen in server.seen}) == 1
        assert len({seen.headers["webhook-id"] for seen in server.seen}) == 1
        server.faults = [410]
        assert provider.deliver(asked, hook()).error == "gone"


def test_the_vector_of_standard_webhooks() -> None:
    """What the reference libraries test themselves by, signed and verified."""
    secret, id_ = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek"
    body, at = b'{"test": 2432232314}', datetime.fromtimestamp(1614265330, UTC)
    keys = signing_keys(Secrets("webhook", {}, {"WEBHOOK_SECRET": secret}))
    headers = signature_headers(id_, at, body, keys)
    signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert headers["webhook-signature"] == signature
    block = {"webhook_secret": {"call": "env", "args": ["S"]}}
    receiver = SignedWebhooks(Secrets("svix", block, {"S": secret}))
    both = {**headers, "webhook-signature": f"v1,bm90IGl0 v1a,xyz {signature} v2,{signature[3:]}"}
    assert receiver.event(both, body, at)["id"] == id_
    for wrong in ("", "v1," + "A" * 43 + "=", signature[3:], f"v2,{signature[3:]}", "v1,Ã¼"):
        with pytest.raises(ValueError, match="not one of this"):
            receiver.event({**headers, "webhook-signature": wrong}, body, at)
    for name in ("webhook-id", "webhook-timestamp"):
        with pytest.raises(ValueError, match="no webhook-id or webhook-timestamp"):
            receiver.event({**headers, name: ""}, body, at)
    for seconds, fine in ((-301, False), (-300, True), (300, True), (301, False)):
        with nullcontext() if fine else pytest.raises(ValueError, match="300 seconds"):
            receiver.event(headers, body, at + timedelta(seconds=seconds))


def test_the_time_is_in_the_signature() -> None:
    keys = (b"k" * 24,)
    first = signature_headers("a", datetime(2026, 1, 1, tzinfo=UTC), b"x", keys)
    second = signature_headers("a", datetime(2026, 1, 2, tzinfo=UTC), b"x", keys)
    assert first["webhook-signature"] != second["webhook-signature"]


@pytest.mark.parametrize("value", ["abc", "whsec_", "whsec_!!!!", "whsec_YWJj"])
def test_secrets_of_webhooks_that_are_none(value: str) -> None:
    with pytest.raises(ProviderError, match="whsec_") as error:
        WebhookProvider().deliver(effect("webhook", url="https://a.example"), hook(value=value))
    assert value == "whsec_" or value not in str(error.value)


def test_webhooks_go_to_public_addresses_only() -> None:
    with serving({}) as server:
        asked = effect("webhook", url=server.url.replace("127.0.0.1", "localhost"))
        environment = {"WEBHOOK_SECRET": SECRETS[0]}
        found = WebhookProvider().deliver(asked, call("webhook", {}, environment))
        assert found.status == "failed" and not server.seen


# --- Slack ---------------------------------------------------------------------------------------


def slack(server: Web) -> Any:
    return call("slack", {}, {"SLACK_WEBHOOK_URL": f"{server.url}/services/T/B/canary"}, seconds=1)


def test_slack_by_its_webhook() -> None:
    with serving(lambda _: Answer(200, b"ok", {"Content-Type": "text/html"})) as server:
        asked = effect("slack", channel="sales", text="<!channel> & more")
        assert SlackProvider().deliver(asked, slack(server)).status == "succeeded"
        assert server.seen[0].json() == {
            "text": "&lt;!channel&gt; &amp; more", "channel": "#sales",
        }  # fmt: skip


def test_slack_by_a_token() -> None:
    answers = [{"ok": True, "ts": "1.2"}, {"ok": False, "error": "channel_not_found"},
               {"ok": False, "error": "ratelimited"}]  # fmt: skip
    with serving(lambda _: Answer(200, answers.pop(0))) as server:
        made = call("slack", {"token": env("T"), "base": env("B")}, {"T": TOKEN, "B": server.url})
        asked = effect("slack", channel="#sales", text="x")
        assert SlackProvider().deliver(asked, made) == Outcome("succeeded", reference="1.2")
        assert server.seen[0].headers["authorization"] == f"Bearer {TOKEN}"
        assert SlackProvider().deliver(asked, made).error == "channel_not_found"
        with pytest.raises(NotSent):
            SlackProvider().deliver(asked, made)


def test_slack_that_refuses_or_is_not_set_up() -> None:
    asked = effect("slack", channel="x", text="y")
    plain = {"Content-Type": "text/plain"}
    with serving(lambda _: Answer(404, b"no_service", plain)) as server:
        assert SlackProvider().deliver(asked, slack(server)).error == "no_service"
        server.faults = [429, 500]
        with pytest.raises(NotSent):
            SlackProvider().deliver(asked, slack(server))
        with pytest.raises(MaybeSent):
            SlackProvider().deliver(asked, slack(server))
    with pytest.raises(ProviderError, match="SLACK_WEBHOOK_URL"):
        SlackProvider().deliver(asked, call("slack"))
