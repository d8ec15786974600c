"""No secret shows: not in the state, on a page, in an error, or on a command line."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from .fakes.smtp import fake_smtp
from .fakes.web import Answer, Request
from .fakes.web import serving as web
from .serving import COMMAND, Served, serving, until

PASSWORD = "pa%s/word canary-1"
CANARIES = {
    "CARRIER_USER": "user-canary-2", "CARRIER_PASSWORD": PASSWORD, "CARRIER_HOOK": "hook-canary-3",
    "PARCELS_KEY": "key-canary-4-0123", "SIGNED_SECRET": "hmac-canary-5-0123",
    "STRIPE_API_KEY": "sk_test_canary_6_0123456789", "STRIPE_WEBHOOK_SECRET": "whsec_canary7canary",
    "OPENAI_API_KEY": "sk-canary-8-0123456789", "WEBHOOK_SECRET": "whsec_" + "Y2FuYXJ5LTk5" * 3,
    "SLACK_WEBHOOK_URL": "/services/T0/slack-canary-10", "PAYPAL_CLIENT_ID": "client-canary-11",
    "PAYPAL_CLIENT_SECRET": "secret-canary-12", "PAYPAL_WEBHOOK_ID": "WH-CANARY-13",
}  # fmt: skip
SPEC = """
business "Shop" { currency USD, bills User, email "hello@acme.example" }
entity User { id text key, email text }
connect carrier {
  url: env("CARRIER_URL"), auth: basic(env("CARRIER_USER"), env("CARRIER_PASSWORD"))
  webhook_secret: env("CARRIER_HOOK"), retries: 1, pause: 0.01 seconds
}
connect parcels { url: env("CARRIER_URL"), auth: header("X-Key", env("PARCELS_KEY")) }
connect signed { url: env("CARRIER_URL"), auth: hmac(env("SIGNED_SECRET")) }
connect stripe { key: env("STRIPE_API_KEY"), retries: 1, pause: 0.01 seconds }
connect paypal { client_id: env("PAYPAL_CLIENT_ID"), client_secret: env("PAYPAL_CLIENT_SECRET") }
connect smtp { url: env("SMTP_URL"), retries: 1, pause: 0.01 seconds }
connect openai { key: env("OPENAI_API_KEY"), retries: 1, pause: 0.01 seconds }
connect slack { webhook: env("SLACK_WEBHOOK_URL"), retries: 1, pause: 0.01 seconds }
event User.joined key id { id text, email text }
on User.joined as joined {
  let user = create User { ...joined }
  charge { customer: user, amount: 5 USD, via: "stripe" }
  charge { customer: user, amount: 5 USD, via: "paypal" }
  email { to: user.email, subject: "Hello", body: "Hello" }
  slack { channel: "sales", text: "Hello" }
  webhook { url: "HOOK_PLACE", data: { id: user.id } }
  stripe.customers.create { email: user.email }
  ai.generate { prompt: "Hello" }
  carrier.get "/echo" { q: "1" }
  parcels.post "/echo" { q: "1" }
  signed.post "/echo" { q: "1" }
}
"""


def echo(request: Request) -> Answer:
    """A service that says all that it was sent, as careless ones do."""
    told = {"error": {"message": f"no: {request.path} {request.headers} {request.body!r}"}}
    return Answer(404 if "echo" in request.path else 401, told)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("secrets")
    with web(echo) as service, fake_smtp(auth=True) as mail:
        login = mail.url.replace("://", f"://mail-canary-14:{quote(PASSWORD, safe='')}@")
        environment = {
            **CANARIES, "CARRIER_URL": service.url, "STRIPE_API_BASE": service.url,
            "OPENAI_BASE_URL": f"{service.url}/v1", "PAYPAL_API_BASE": service.url,
            "SLACK_WEBHOOK_URL": service.url + CANARIES["SLACK_WEBHOOK_URL"], "SMTP_URL": login,
        }  # fmt: skip
        spec = SPEC.replace("HOOK_PLACE", service.url)
        with serving(folder, spec, "--live", scope="admin", environment=environment) as served:
            data = {"id": "u1", "email": "ada@example.com"}
            served.results({"id": "j", "type": "User.joined", "data": data})
            until(lambda: not [r for r in outbox(served) if r["status"] in ("sending", "waiting")])
            yield served


def outbox(served: Served) -> list[dict[str, Any]]:
    done = subprocess.run(
        [COMMAND, "outbox", "--json", "--state", served.state], capture_output=True, check=True
    )
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def canaries() -> Iterator[bytes]:
    """Each secret as it is, and in the forms in which it is sent."""
    pairs = [
        f"{CANARIES['CARRIER_USER']}:{PASSWORD}",
        f"{CANARIES['PAYPAL_CLIENT_ID']}:{CANARIES['PAYPAL_CLIENT_SECRET']}",
    ]
    for text in (*CANARIES.values(), *pairs, "\0mail-canary-14\0" + PASSWORD):
        yield text.encode()
        yield quote(text, safe="").encode()
        yield base64.b64encode(text.encode()).rstrip(b"=")


def test_every_effect_has_its_reason(shop: Served) -> None:
    rows = outbox(shop)
    assert len(rows) == 10
    assert all(row["error"] for row in rows if row["kind"] not in ("email", "webhook")), rows


def test_no_page_shows_a_secret(shop: Served) -> None:
    said = [json.dumps(outbox(shop)).encode()]
    for path in ("/", "/dashboard", "/health", "/metrics", "/openapi.json"):
        answer = shop.http.get(path, headers=shop.headers)
        assert answer.status_code in (200, 503), path
        said.append(answer.content)
    for name in ("stripe", "paypal", "smtp", "carrier"):
        said.append(shop.http.post(f"/webhooks/{name}", content=b"{}").content)
    for line in ("events", "verify"):
        done = subprocess.run([COMMAND, line, "--json", "--state", shop.state], capture_output=True)
        said.append(done.stdout + done.stderr)
    assert not [(c, text[:200]) for text in said for c in canaries() if c in text]


def test_no_file_or_command_line_has_a_secret(shop: Served) -> None:
    command = Path(f"/proc/{shop.process.pid}/cmdline").read_bytes()
    folder = shop.state.parent
    files = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert folder / "stderr.txt" in files
    for path, content in {Path("cmdline"): command, **files}.items():
        assert not [canary for canary in canaries() if canary in content], path
