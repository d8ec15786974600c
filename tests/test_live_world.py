"""`bizrun run --live` against a mail server, services, models and a PayPal on loopback."""

from __future__ import annotations

import email
import email.policy
import json
import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook

from bizrun.model import Effect
from bizrun.providers.ai import OpenAi
from bizrun.providers.secrets import Secrets
from bizrun.values import Money

from .fakes.ai import KEY as MODEL_KEY
from .fakes.ai import fake_models
from .fakes.paypal import CLIENT, SECRET, TOKEN, fake_paypal
from .fakes.smtp import PASSWORD, USER, fake_smtp
from .fakes.web import Answer, Request, serving

SERVICE_TOKEN = "service-token-canary"
HOOK_SECRET = "whsec_" + "Y2FuYXJ5" * 4
SLACK_PATH = "/services/slack-path-canary"
CANARIES = (SERVICE_TOKEN, HOOK_SECRET, SLACK_PATH, PASSWORD, MODEL_KEY, SECRET, TOKEN)

SPEC = """
business "Acme" { language 1, currency USD, timezone "UTC", bills User, email "hello@acme.example" }
entity User {
  id text key, email text, payment_method text?, processor text?, note text?, bounced text?
}
event User.joined { id text, email text, method text? }
event User.bought key user { user User }
event User.back   key user { user User, payment Payment }
event User.wrote  key user { user User, text text }
event User.ships  key user { user User }

connect carrier {
  url: env("CARRIER_URL"), auth: bearer(env("CARRIER_TOKEN")), delivery: "idempotent"
}
connect webhook { private: true }
connect notify  { warehouse: "#warehouse", default: "ops@acme.example" }

template hello { subject "Welcome, {{ user.id }}", style "a { color: green }", body \"\"\"
  # Hi {{ user.id }}
  See [your page](https://acme.example/{{ user.id }}).
  \"\"\" }

on User.joined as joined {
  let user = create User { id: joined.id, email: joined.email, payment_method: joined.method,
                           processor: "paypal" }
  let sent = email { to: user.email, template: "hello", data: { user }, bcc: "kept@acme.example" }
  update user { note: sent.status }
}
on User.bought(user) {
  let payment = charge { customer: user, amount: 99 USD }
  if payment.status == "succeeded" { emit User.back { user, payment } }
  update user { note: payment.error ?? payment.status }
}
on User.back(user, payment) { refund { payment, amount: 9 USD } }
on User.wrote(user, text) {
  let mood = ai.decide { prompt: "Mood?", input: text, schema: ["calm", "angry"], fallback: "calm" }
  update user { note: mood }
}
on User.ships(user) {
  let reply = carrier.post "/parcels" { user: user.id }
  update user { note: "{reply.status}" }
  notify { to: "warehouse", message: "Pack for {user.id}" }
  notify { to: "somebody", message: "Packed for {user.id}" }
  webhook { url: "HOOK_URL", event: "parcel.made", data: { user: user.id } }
}
on Email.bounced(to, reason) {
  let who = first User where .email == to
  if who != none { update who { bounced: reason } }
}
"""


class World:
    """A folder with the spec, and the fakes that its providers are."""

    def __init__(self, folder: Path, bizrun: Path, environment: dict[str, str]) -> None:
        self.folder, self.bizrun = folder, bizrun
        self.environment = {**os.environ, **environment}
        self.said = ""

    def run(self, *events: dict[str, Any], **changes: str) -> subprocess.CompletedProcess[str]:
        """Runs the spec live over events; each goes on from the state before."""
        lines = [{"time": "2026-01-31T09:00:00Z", **event} for event in events]
        text = "\n".join(json.dumps(line) for line in lines)
        return self.command("run", "spec.biz", "--live", "--events", "-", text=text, **changes)

    def command(
        self, *args: str, text: str = "", **changes: str
    ) -> subprocess.CompletedProcess[str]:
        """Any command in the folder."""
        done = subprocess.run(
            [str(self.bizrun), *args, "--state", "state.db"], cwd=self.folder, text=True,
            input=text, capture_output=True, timeout=60, env={**self.environment, **changes},
        )  # fmt: skip
        self.said += done.stdout + done.stderr
        return done

    def query(self, text: str) -> Any:
        """What a query finds."""
        return json.loads(self.command("query", text, "--json").stdout)

    def outbox(self) -> list[dict[str, Any]]:
        """The effects."""
        return json.loads(self.command("outbox", "--json").stdout)  # type: ignore[no-any-return]

    def note(self, user: str = "u1") -> str:
        """What the last handler left with the user."""
        return str(self.query(f'User where .id == "{user}"')[0]["note"])


@pytest.fixture(scope="module")
def fakes() -> Iterator[dict[str, Any]]:
    def carrier(request: Request) -> Answer:
        return Answer(201, {"number": "P1", "echo": request.headers.get("authorization")})

    plain = {"Content-Type": "text/plain"}
    with (
        fake_smtp(auth=True) as mail,
        fake_paypal() as paypal,
        fake_models({"answer": "angry"}) as models,
        serving(carrier) as service,
        serving(lambda _: Answer(200, b"ok", plain)) as slack,
        serving({}) as hook,
    ):
        yield {"mail": mail, "paypal": paypal, "models": models, "carrier": service,
               "slack": slack, "hook": hook}  # fmt: skip


@pytest.fixture
def world(tmp_path: Path, bizrun: Path, fakes: dict[str, Any]) -> World:
    (tmp_path / "spec.biz").write_text(SPEC.replace("HOOK_URL", fakes["hook"].url))
    return World(tmp_path, bizrun, {
        "SMTP_URL": fakes["mail"].url.replace("://", f"://{USER}:{PASSWORD}@"),
        "PAYPAL_CLIENT_ID": CLIENT, "PAYPAL_CLIENT_SECRET": SECRET,
        "PAYPAL_API_BASE": fakes["paypal"].web.url,
        "OPENAI_API_KEY": MODEL_KEY, "OPENAI_BASE_URL": f"{fakes['models'].web.url}/v1",
        "CARRIER_URL": fakes["carrier"].url, "CARRIER_TOKEN": SERVICE_TOKEN,
        "SLACK_WEBHOOK_URL": fakes["slack"].url + SLACK_PATH, "WEBHOOK_SECRET": HOOK_SECRET,
    })  # fmt: skip


def joined(user: str = "u1", method: str = "VAULT-1") -> dict[str, Any]:
    data = {"id": user, "email": f"{user}@example.com", "method": method}
    return {"id": f"join-{user}", "type": "User.joined", "data": data}


def happened(what: str, user: str = "u1", **data: str) -> dict[str, Any]:
    return {"id": f"{what}-{user}", "type": f"User.{what}", "data": {"user": user, **data}}


def test_everything_arrives_once_and_no_secret_stays(world: World, fakes: dict[str, Any]) -> None:
    events = [joined(), happened("bought"), happened("wrote", text="It is broken")]
    first = world.run(*events, happened("ships"))
    assert first.returncode == 0, first.stderr
    again = world.run(*events, happened("ships"))
    assert again.returncode == 0, again.stderr

    letter, told = fakes["mail"].messages
    assert letter.rcpt_tos == ["u1@example.com", "kept@acme.example"]
    assert told.rcpt_tos == ["ops@acme.example"] and b"Packed for u1" in told.content
    read = email.message_from_bytes(letter.content, policy=email.policy.default)
    assert read["Subject"] == "Welcome, u1" and read["Bcc"] is None
    html = read.get_body(("html",))
    assert html is not None and "color: green" in html.get_content()

    paypal = fakes["paypal"]
    assert [c["amount"]["value"] for c in paypal.captures.values()] == ["99.00"]
    assert [r["amount"]["value"] for r in paypal.refunds.values()] == ["9.00"]
    payment = world.query("Payment")[0]
    assert (payment["processor"], payment["reference"]) == ("paypal", "CAPTURE-1")

    assert len(fakes["models"].web.seen) == 1
    assert [seen.path for seen in fakes["carrier"].seen] == ["/parcels"]
    assert [seen.json() for seen in fakes["slack"].seen] == [
        {"text": "Pack for u1", "channel": "#warehouse"}
    ]
    hook = fakes["hook"].seen[0]
    assert Webhook(HOOK_SECRET).verify(hook.body, hook.headers)["data"] == {"user": "u1"}
    assert world.note() == "201"
    assert {row["status"] for row in world.outbox()} == {"succeeded"}

    kept = b"".join(path.read_bytes() for path in world.folder.rglob("*") if path.is_file())
    for canary in CANARIES:
        assert canary.encode() not in kept, canary
        assert canary not in world.said, canary


def test_what_fails_has_its_reason_and_others_go_on(world: World, fakes: dict[str, Any]) -> None:
    fakes["mail"].messages.clear()
    fakes["mail"].refuse["u2@example.com"] = "550 5.1.1 no such user"
    fakes["models"].answers = [{"answer": "furious"}]
    done = world.run(
        joined("u2", "declined"), happened("bought", "u2"), happened("wrote", "u2", text="x")
    )
    assert done.returncode == 0, done.stderr
    rows = {row["kind"]: row for row in world.outbox()}
    assert (rows["charge"]["status"], rows["charge"]["error"]) == ("failed", "card_declined")
    assert rows["email"]["answer"]["refused"] == {"u2@example.com": "550 5.1.1 no such user"}
    assert rows["ai.decide"]["status"] == "failed"
    assert rows["ai.decide"]["error"] == "unfit: answer must be one of calm, angry"
    assert world.note("u2") == "calm"
    assert world.query("User")[0]["bounced"] == "550 5.1.1 no such user"


def test_a_key_that_is_missing_is_said_before_anything_runs(world: World) -> None:
    done = world.run(joined("u3"), CARRIER_TOKEN="")
    assert done.returncode == 2
    assert (
        "`connect carrier` has no auth: set the environment variable CARRIER_TOKEN" in done.stderr
    )


def test_a_wrong_key_leaves_the_effect_for_a_person(world: World) -> None:
    done = world.run(joined("u4"), happened("bought", "u4"), PAYPAL_CLIENT_SECRET="wrong-canary")
    assert "canary" not in done.stderr + done.stdout
    rows = {row["kind"]: row for row in world.outbox()}
    assert rows["charge"]["status"] == "dead"
    assert rows["email"]["status"] == "succeeded"


def test_a_day_has_a_budget_for_models(world: World, fakes: dict[str, Any]) -> None:
    """Two questions of a day, of which the bound has room for one."""
    asked = Effect("e", "ai.decide", {"prompt": "Mood?", "input": "x", "schema": ["calm", "angry"]},
                   datetime.now(UTC), "evt", "spec.biz:1")  # fmt: skip
    block = {"most_per_day": Money(1, "USD")}
    one = OpenAi().cost(asked, Secrets("openai", block, {}))
    assert one is not None and Money(0, "USD") < one < Money(1, "USD")
    spec = world.folder / "spec.biz"
    bound = f"connect openai {{ most_per_day: {one.amount * 3 / 2:.9f} USD }}\n"
    spec.write_text(spec.read_text() + bound)
    before = len(fakes["models"].web.seen)
    fakes["models"].answers = [{"answer": "angry"}]
    texts = [happened("wrote", user, text="x") for user in ("u5", "u6")]
    done = world.run(joined("u5"), joined("u6"), *texts)
    assert done.returncode == 0, done.stderr
    assert [world.note(user) for user in ("u5", "u6")] == ["angry", "calm"]
    errors = [row["error"] for row in world.outbox() if row["kind"] == "ai.decide"]
    assert errors == [None, "over_budget"]
    assert len(fakes["models"].web.seen) == before + 1
