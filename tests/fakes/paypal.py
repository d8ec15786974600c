"""A fake PayPal over real HTTP: orders, captures, refunds, payouts, subscriptions, webhooks.

It keeps what was made, answers a repeated PayPal-Request-Id with what came of the first, and
declines the vault id `declined`. `approve` does what a payer does in a browser.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from .web import Answer, Request, Web, serving

CLIENT, SECRET = "fake-client-id", "fake-client-secret-canary"
TOKEN = "A21.fake-access-token-canary"
DECLINED = "declined"
WEBHOOK = "WH-FAKE-1"


class PayPal:
    """The state of the fake; `web` is its server."""

    def __init__(self) -> None:
        self.web: Web
        self.orders: dict[str, dict[str, Any]] = {}
        self.captures: dict[str, dict[str, Any]] = {}
        self.refunds: dict[str, dict[str, Any]] = {}
        self.payouts: dict[str, dict[str, Any]] = {}
        self.subscriptions: dict[str, dict[str, Any]] = {}
        self.genuine: set[str] = set()
        self.tokens = 0
        self.expire = False
        self._answered: dict[tuple[str, str], Answer] = {}

    def respond(self, request: Request) -> Answer:
        """Answers a request, once for each request id."""
        path = request.path.partition("?")[0]
        if path == "/v1/oauth2/token":
            return self._token(request)
        if request.headers.get("authorization") != f"Bearer {TOKEN}" or self.expire:
            self.expire = False
            return Answer(401, {"error": "invalid_token"})
        key = (request.headers.get("paypal-request-id", ""), path)
        if request.method == "POST" and key[0] and key in self._answered:
            return self._answered[key]
        answer = self._route(request.method, path, request)
        if request.method == "POST" and key[0] and answer.status < 500:
            self._answered[key] = answer
        return answer

    def _token(self, request: Request) -> Answer:
        pair = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        if request.headers.get("authorization") != f"Basic {pair}":
            return Answer(401, {"error": "invalid_client"})
        if request.body != b"grant_type=client_credentials":
            return Answer(400, {"error": "unsupported_grant_type"})
        self.tokens += 1
        return Answer(200, {"access_token": TOKEN, "expires_in": 32400, "token_type": "Bearer"})

    def _route(self, method: str, path: str, request: Request) -> Answer:
        match [method, *path.strip("/").split("/")]:
            case ["POST", "v2", "checkout", "orders"]:
                return self._order(request.json())
            case ["GET", "v2", "checkout", "orders", key]:
                return self._found(self.orders, key)
            case ["POST", "v2", "checkout", "orders", key, "capture"]:
                return self._capture(key)
            case ["POST", "v2", "payments", "captures", key, "refund"]:
                return self._refund(key, request.json())
            case ["POST", "v1", "payments", "payouts"]:
                return self._payout(request.json())
            case ["GET", "v1", "payments", "payouts", batch]:
                return self._batch(batch)
            case ["POST", "v1", "billing", "subscriptions"]:
                made = {"id": f"I-{len(self.subscriptions) + 1}", "status": "APPROVAL_PENDING"}
                self.subscriptions[made["id"]] = {**request.json(), **made}
                return Answer(201, self.subscriptions[made["id"]])
            case ["POST", "v1", "billing", "subscriptions", key, "cancel"]:
                self.subscriptions[key]["status"] = "CANCELLED"
                return Answer(204)
            case ["GET", "v1", "billing", "subscriptions", key]:
                return self._found(self.subscriptions, key)
            case ["POST", "v1", "notifications", "verify-webhook-signature"]:
                return self._verify(request)
        return Answer(404, {"name": "RESOURCE_NOT_FOUND", "message": "no such path"})

    def _found(self, table: dict[str, dict[str, Any]], key: str) -> Answer:
        if key not in table:
            return Answer(404, {"name": "RESOURCE_NOT_FOUND", "message": "not there"})
        return Answer(200, table[key])

    def _order(self, body: dict[str, Any]) -> Answer:
        unit = body["purchase_units"][0]
        if not re.fullmatch(r"\d+(\.\d{2})?", unit["amount"]["value"]):
            return _unprocessable("INVALID_PARAMETER_VALUE")
        if body["intent"] != "CAPTURE" or not re.fullmatch("[A-Z]{3}", _currency(unit)):
            return _unprocessable("INVALID_CURRENCY_CODE")
        key = f"ORDER-{len(self.orders) + 1}"
        vault = (body.get("payment_source") or {}).get("paypal", {}).get("vault_id")
        if vault == DECLINED:
            return _unprocessable("INSTRUMENT_DECLINED")
        href = f"https://paypal.example/approve/{key}"
        order = {"id": key, "status": "CREATED", "purchase_units": [dict(unit)],
                 "links": [{"rel": "approve", "href": href}]}  # fmt: skip
        self.orders[key] = order
        if vault is not None:
            self._complete(order)
        return Answer(201, order)

    def approve(self, key: str) -> None:
        """What a payer does."""
        self.orders[key]["status"] = "APPROVED"

    def _capture(self, key: str) -> Answer:
        order = self.orders.get(key)
        if order is None:
            return Answer(404, {"name": "RESOURCE_NOT_FOUND"})
        if order["status"] == "COMPLETED":
            return _unprocessable("ORDER_ALREADY_CAPTURED")
        if order["status"] != "APPROVED":
            return _unprocessable("ORDER_NOT_APPROVED")
        self._complete(order)
        return Answer(201, order)

    def _complete(self, order: dict[str, Any]) -> None:
        unit = order["purchase_units"][0]
        key = f"CAPTURE-{len(self.captures) + 1}"
        fee = {"currency_code": _currency(unit), "value": "0.79"}
        self.captures[key] = {
            "id": key, "status": "COMPLETED", "amount": unit["amount"],
            "custom_id": unit.get("custom_id"),
            "seller_receivable_breakdown": {"paypal_fee": fee},
        }  # fmt: skip
        order["status"] = "COMPLETED"
        unit["payments"] = {"captures": [self.captures[key]]}

    def _refund(self, key: str, body: dict[str, Any]) -> Answer:
        capture = self.captures.get(key)
        if capture is None:
            return Answer(404, {"name": "RESOURCE_NOT_FOUND"})
        given = [r for r in self.refunds.values() if r["capture"] == key]
        total = sum(float(r["amount"]["value"]) for r in given)
        if total + float(body["amount"]["value"]) > float(capture["amount"]["value"]):
            return _unprocessable("REFUND_AMOUNT_EXCEEDED")
        made = {"id": f"REFUND-{len(self.refunds) + 1}", "status": "COMPLETED", "capture": key}
        self.refunds[made["id"]] = {**body, **made}
        return Answer(201, self.refunds[made["id"]])

    def _payout(self, body: dict[str, Any]) -> Answer:
        number = body["sender_batch_header"]["sender_batch_id"]
        for known, old in self.payouts.items():
            if old["sender_batch_header"]["sender_batch_id"] == number:
                href = f"{self.web.url}/v1/payments/payouts/{known}"
                return Answer(400, {"name": "USER_BUSINESS_ERROR", "message": "Duplicate batch",
                                    "links": [{"rel": "self", "href": href}]})  # fmt: skip
        batch = f"BATCH-{len(self.payouts) + 1}"
        self.payouts[batch] = {**body, "status": "PENDING"}
        return Answer(201, {"batch_header": {"payout_batch_id": batch, "batch_status": "PENDING"}})

    def paid_out(self, batch: str, status: str) -> dict[str, Any]:
        """Ends a payout; its item, as a webhook or a GET of the batch has it."""
        self.payouts[batch]["status"] = status
        return self._item(batch)

    def _item(self, batch: str) -> dict[str, Any]:
        body = self.payouts[batch]
        status = body["status"]
        found = {
            "payout_item_id": f"ITEM-{batch}", "transaction_status": status,
            "payout_batch_id": batch, "payout_item": body["items"][0],
            "sender_batch_id": body["sender_batch_header"]["sender_batch_id"],
        }  # fmt: skip
        return found if status != "UNCLAIMED" else {**found, "errors": {"name": "UNREGISTERED"}}

    def _batch(self, batch: str) -> Answer:
        if batch not in self.payouts:
            return Answer(404, {"name": "RESOURCE_NOT_FOUND"})
        header = {"payout_batch_id": batch, "batch_status": "SUCCESS"}
        return Answer(200, {"batch_header": header, "items": [self._item(batch)]})

    # --- webhooks --------------------------------------------------------------------------------

    def webhook(
        self, event_type: str, resource: dict[str, Any], at: datetime | None = None
    ) -> tuple[dict[str, str], bytes]:
        """A webhook that this PayPal has sent: its headers and its bytes."""
        at = at or datetime.now(UTC)
        stamp = at.strftime("%Y-%m-%dT%H:%M:%SZ")
        body = json.dumps(
            {"id": f"WH-{len(self.genuine) + 1}", "event_type": event_type, "create_time": stamp,
             "resource": resource}, indent=1,
        ).encode()  # fmt: skip
        signature = f"sig-{len(self.genuine) + 1}"
        self.genuine.add(_seal(signature, stamp, body.decode()))
        return {
            "PayPal-Auth-Algo": "SHA256withRSA", "PayPal-Cert-Url": "https://paypal.example/cert",
            "PayPal-Transmission-Id": "t-1", "PayPal-Transmission-Sig": signature,
            "PayPal-Transmission-Time": stamp,
        }, body  # fmt: skip

    def _verify(self, request: Request) -> Answer:
        asked = request.json()
        raw = request.body.decode().partition('"webhook_event": ')[2][:-1]
        seal = _seal(asked["transmission_sig"], asked["transmission_time"], raw)
        good = seal in self.genuine and asked["webhook_id"] == WEBHOOK
        return Answer(200, {"verification_status": "SUCCESS" if good else "FAILURE"})


def _seal(signature: str, stamp: str, body: str) -> str:
    return f"{signature}|{stamp}|{body}"


def _currency(unit: dict[str, Any]) -> str:
    return str(unit["amount"]["currency_code"])


def _unprocessable(issue: str) -> Answer:
    details = [{"issue": issue, "description": f"It was {issue}."}]
    return Answer(422, {"name": "UNPROCESSABLE_ENTITY", "details": details})


@contextmanager
def fake_paypal() -> Iterator[PayPal]:
    """A running fake."""
    fake = PayPal()
    with serving(fake.respond) as web:
        fake.web = web
        yield fake
