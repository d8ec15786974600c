"""`bizrun serve --live` with a PayPal and a mail server: approvals and bounces come back."""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from .fakes.paypal import CLIENT, SECRET, WEBHOOK, fake_paypal
from .fakes.smtp import fake_smtp
from .serving import Served, serving
from .test_smtp import REPORT

MAIL_SECRET = "mail-secret-canary"
SPEC = """
business "Shop" { currency USD, bills User, email "hello@acme.example" }
entity User { id text key, email text, paid text?, bounced text? }
connect smtp { url: env("SMTP_URL"), webhook_secret: env("MAIL_SECRET") }
event User.joined { id text, email text }
on User.joined as joined {
  let user = create User { ...joined }
  email { to: user.email, template: "welcome", data: { user } }
  notify { to: user, message: "Welcome!" }
  slack { channel: "sales", text: "{user.id} has joined" }
}
template welcome { subject "Welcome, {{ user.id }}", body "Hello *{{ user.id }}*" }
event User.bought key user { user User }
on User.bought(user) {
  let payment = charge { customer: user, amount: 20 USD, via: "paypal" }
  update user { paid: payment.status }
}
on Email.bounced(to, reason) {
  let who = first User where .email == to
  if who != none { update who { bounced: reason } }
}
api GET "/user/{id}" (id: User) { return id }
"""


def until(check: Callable[[], Any]) -> Any:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        found = check()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("not within 20 seconds")


def user(shop: Served) -> dict[str, Any]:
    found: dict[str, Any] = shop.http.get("/user/u1", headers=shop.headers).json()
    return found


def test_approvals_and_bounces_come_back(tmp_path: Path) -> None:
    with fake_paypal() as paypal, fake_smtp() as mail:
        environment = {
            "PAYPAL_CLIENT_ID": CLIENT, "PAYPAL_CLIENT_SECRET": SECRET,
            "PAYPAL_API_BASE": paypal.web.url, "PAYPAL_WEBHOOK_ID": WEBHOOK,
            "SMTP_URL": mail.url, "MAIL_SECRET": MAIL_SECRET,
        }  # fmt: skip
        with serving(tmp_path, SPEC, "--live", scope="admin", environment=environment) as shop:
            data = {"id": "u1", "email": "ada@example.com"}
            shop.results({"id": "j", "type": "User.joined", "data": data})
            letters = until(lambda: len(mail.messages) == 2 and mail.messages)
            assert sorted(letter.rcpt_tos for letter in letters) == [["ada@example.com"]] * 2
            assert any(b"Subject: Welcome, u1" in letter.content for letter in letters)
            shop.results({"id": "b", "type": "User.bought", "data": {"user": "u1"}})
            order = until(lambda: dict(paypal.orders.get("ORDER-1", {})))
            paypal.approve("ORDER-1")
            answered = paypal._answered
            paypal._answered = {k: v for k, v in answered.items() if "capture" not in k[1]}
            for at in (datetime.now(UTC) - timedelta(minutes=10), None, None):
                headers, body = paypal.webhook("CHECKOUT.ORDER.APPROVED", order, at)
                answer = shop.http.post("/webhooks/paypal", content=body, headers=headers)
                assert answer.status_code == (400 if at is not None else 200), answer.text
            forged = {**headers, "PayPal-Transmission-Sig": "forged"}
            answer = shop.http.post("/webhooks/paypal", content=body, headers=forged)
            assert answer.status_code == 400
            assert until(lambda: user(shop)["paid"]) == "succeeded"
            assert len(paypal.captures) == 1

            signature = hmac.new(MAIL_SECRET.encode(), REPORT, "sha256").hexdigest()
            for sent, status in ((signature, 200), (signature[:-1] + "x", 400)):
                headers = {"X-Signature": sent, "Content-Type": "message/rfc822"}
                answer = shop.http.post("/webhooks/smtp", content=REPORT, headers=headers)
                assert answer.status_code == status, answer.text
            assert "user unknown" in user(shop)["bounced"]
    said = (tmp_path / "stderr.txt").read_text()
    assert said.count("slack is not sent, the sandbox answers it: set SLACK_WEBHOOK_URL") == 1
