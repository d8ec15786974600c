"""A fake Stripe over real HTTP on a loopback address: stateful, strict, and able to fail.

Requests are validated by the SDK's own TypedDicts, answers have the shape of Stripe's fixtures.
Idempotency keys follow Stripe's rules: results of what began are stored, 500s too; another
request under a key is an error; keys are pruned after 24 hours. `faults` says how a request goes
wrong; the tests run against it what users run against Stripe.
"""

from __future__ import annotations

import copy
import hashlib
import hmac
import json
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from pydantic import ValidationError

from bizrun.providers import stripe_sdk

FIXTURES = json.loads((Path(__file__).parent / "stripe_fixtures.json").read_text())["resources"]
KEY = "sk_test_fake_4eC39HqLyjWDarjtT1zdp7dc"
SECRET = "whsec_fake_5WbX5kEWLlfzsGNjH64I8lOOqUB6e8FH"
DAY = 86_400

# Stripe's test payment methods that fail when charged: code, decline code.
DECLINES = {
    "chargedeclined": ("card_declined", "generic_decline"),
    "chargecustomerfail": ("card_declined", "generic_decline"),
    "chargedeclinedinsufficientfunds": ("card_declined", "insufficient_funds"),
    "chargedeclinedlostcard": ("card_declined", "lost_card"),
    "chargedeclinedstolencard": ("card_declined", "stolen_card"),
    "chargedeclinedexpiredcard": ("expired_card", None),
    "chargedeclinedincorrectcvc": ("incorrect_cvc", None),
    "chargedeclinedprocessingerror": ("processing_error", None),
    "chargedeclinedfraudulent": ("card_declined", "fraudulent"),
    "chargedeclinedvelocitylimitexceeded": ("card_declined", "card_velocity_exceeded"),
    "radarblock": ("card_declined", "fraudulent"),
    "authenticationrequired": ("authentication_required", "authentication_required"),
}
PREFIX = {
    "payment_intents": "pi", "customers": "cus", "refunds": "re", "transfers": "tr",
    "accounts": "acct", "products": "prod", "prices": "price", "coupons": "", "charges": "ch",
    "subscriptions": "sub", "invoices": "in", "payment_methods": "pm", "reversals": "trr",
    "calculations": "taxcalc", "meter_events": "mtr", "promotion_codes": "promo",
}  # fmt: skip
# What a fixture shows of an object that need not be there.
OPTIONAL = {
    "coupons": ("percent_off", "amount_off", "currency", "duration_in_months", "max_redemptions",
                "redeem_by"),
    "prices": ("unit_amount", "unit_amount_decimal", "recurring", "lookup_key"),
}  # fmt: skip
# How a request can go wrong; `after` means that it was done all the same.
FAULTS = (
    "429", "500 before", "500 after", "503", "lost before", "lost after", "slow before",
    "slow after",
)  # fmt: skip


class Refused(Exception):
    """An error of Stripe's; `stored` where the request had begun."""

    def __init__(self, status: int, type_: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.stored = status in (402, 404) or more.pop("stored", False)
        self.body = {"error": {"type": type_, "message": message, **more}}


@dataclass
class Stored:
    """What is kept under an idempotency key."""

    fingerprint: str
    at: float
    status: int | None = None
    body: dict[str, Any] = field(default_factory=dict)


Faults = Callable[[str, str, int], str | None]


class FakeStripe:
    """Objects by resource; `requests` has every call: method, path, key, parameters, status."""

    def __init__(self, faults: Faults | None = None, now: Callable[[], float] = time.time) -> None:
        self.faults = faults or (lambda method, path, number: None)
        self.clock = now
        self.objects: dict[str, dict[str, dict[str, Any]]] = {}
        self.keys: dict[str, Stored] = {}
        self.requests: list[tuple[str, str, str | None, dict[str, Any], int]] = []
        self.events: list[dict[str, Any]] = []
        self.failed: dict[str, int] = {}
        self.search_lag = 60
        self.slow = 1.0
        self.lock = threading.RLock()
        self._numbers = 0
        fake = self

        class Handler(_Handler):
            stripe = fake

        self.server = _Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> FakeStripe:
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    # --- what tests ask --------------------------------------------------------------------------

    def all(self, resource: str) -> list[dict[str, Any]]:
        """The objects of a resource, oldest first."""
        with self.lock:
            return copy.deepcopy(list(self.objects.get(resource, {}).values()))

    def charged(self) -> dict[str, list[int]]:
        """What was really charged, by the effect's id."""
        found: dict[str, list[int]] = {}
        for intent in self.all("payment_intents"):
            if intent["status"] == "succeeded":
                found.setdefault(intent["metadata"].get("bizrun_effect", ""), []).append(
                    intent["amount_received"]
                )
        return found

    def webhook(self, event: dict[str, Any], at: int | None = None, secret: str = SECRET) -> Any:
        """The body and the headers with which an event is posted, signed as Stripe signs."""
        body = json.dumps(event).encode()
        stamp = int(self.clock()) if at is None else at
        mac = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
        return body, {"Stripe-Signature": f"t={stamp},v1={mac}", "Content-Type": "application/json"}

    def finish(self, intent: str, error: str | None = None) -> dict[str, Any]:
        """Ends a PaymentIntent that was processing or waited for its customer; the event of it."""
        with self.lock:
            found = self.objects["payment_intents"][intent]
            if error is None:
                _succeed(self, found)
            else:
                found["status"] = "requires_payment_method"
                found["last_payment_error"] = {"code": error, "decline_code": error}
            kind = "succeeded" if error is None else "payment_failed"
            return self.event(f"payment_intent.{kind}", found)

    def event(self, type_: str, about: dict[str, Any]) -> dict[str, Any]:
        """Notes an event, as Stripe would post it."""
        event = {
            **FIXTURES["event"], "id": self.id("evt"), "type": type_,
            "created": int(self.clock()), "data": {"object": copy.deepcopy(about)},
        }  # fmt: skip
        self.events.append(event)
        return event

    def id(self, prefix: str, key: str | None = None) -> str:
        """A new id: the same one where the same key makes the same thing again."""
        self._numbers += 1
        seed = key or str(self._numbers)
        while True:
            found = f"{prefix}_{hashlib.sha256(f'{prefix}{seed}'.encode()).hexdigest()[:24]}"
            if not any(found in objects for objects in self.objects.values()):
                return found
            seed += "+"

    # --- answering -------------------------------------------------------------------------------

    def answer(
        self, method: str, path: str, params: dict[str, Any], key: str | None
    ) -> tuple[int, dict[str, Any], dict[str, str]] | str:
        """Status, body, headers; or the fault by which the answer is lost."""
        with self.lock:
            fault = self.faults(method, path, len(self.requests))
            if fault is not None:
                self.failed[fault] = self.failed.get(fault, 0) + 1
            status, body, headers = self._answer(method, path, params, key, fault)
            self.requests.append((method, path, key, params, status))
            if fault is not None and fault.startswith(("lost", "slow")):
                return fault
            return status, body, headers

    def _answer(
        self, method: str, path: str, params: dict[str, Any], key: str | None, fault: str | None
    ) -> tuple[int, dict[str, Any], dict[str, str]]:
        if fault == "429":
            error = {"type": "invalid_request_error", "code": "rate_limit", "message": "Too many"}
            return 429, {"error": error}, {"Retry-After": "0"}
        if fault in ("503", "lost before", "slow before"):
            return 503, {"error": {"type": "api_error", "message": "Unavailable"}}, {}
        if method != "POST" or key is None:
            if fault in ("500 before", "500 after"):
                return 500, {"error": {"type": "api_error", "message": "Oops"}}, {}
            return (*self._try(method, path, params, key)[:2], {})
        return self._once(path, params, key, fault)

    def _once(
        self, path: str, params: dict[str, Any], key: str, fault: str | None
    ) -> tuple[int, dict[str, Any], dict[str, str]]:
        now = self.clock()
        self.keys = {k: v for k, v in self.keys.items() if now - v.at < DAY}
        fingerprint = json.dumps([path, params], sort_keys=True)
        known = self.keys.get(key)
        if known is not None:
            if known.fingerprint != fingerprint:
                message = "Keys for idempotent requests can only be used with the same parameters"
                error = {"type": "idempotency_error", "message": message}
                return 400, {"error": error}, {}
            assert known.status is not None
            return known.status, known.body, {"Idempotent-Replayed": "true"}
        oops = {"error": {"type": "api_error", "message": "Oops"}}
        if fault == "500 before":
            status, body, stored = 500, oops, True
        else:
            status, body, stored = self._try("POST", path, params, key)
            if fault == "500 after" and stored:
                status, body = 500, oops
        if stored:
            self.keys[key] = Stored(fingerprint, now, status, body)
        return status, body, {}

    def _try(
        self, method: str, path: str, params: dict[str, Any], key: str | None
    ) -> tuple[int, dict[str, Any], bool]:
        """Status, body, and whether the result is kept under the key."""
        try:
            return 200, copy.deepcopy(_route(self, method, path, params, key)), True
        except Refused as error:
            return error.status, error.body, error.stored


# --- routes --------------------------------------------------------------------------------------


def _route(
    fake: FakeStripe, method: str, path: str, params: dict[str, Any], key: str | None
) -> dict[str, Any]:
    parts = path.removeprefix("/v1/").split("/")
    name, ids, verb = _method(fake, method, parts)
    params = _validate(name, params)
    resource = name.split(".")[-2]
    special = SPECIAL.get((resource, verb))
    if special is not None:
        return special(fake, ids, params, key)
    match verb:
        case "create":
            return _create(fake, resource, params, key)
        case "list":
            return _list(fake, resource, params)
        case "search":
            return _search(fake, resource, params)
        case "retrieve":
            return _get(fake, resource, ids[-1])
        case "update":
            found = _get(fake, resource, ids[-1])
            metadata = {**found.get("metadata", {}), **params.get("metadata", {})}
            found.update(params, metadata=metadata)
            return found
        case "delete":
            _get(fake, resource, ids[-1])
            del fake.objects[resource][ids[-1]]
            return {"id": ids[-1], "object": resource.rstrip("s"), "deleted": True}
    raise Refused(404, "invalid_request_error", f"Unrecognized request URL {path}")


def _method(fake: FakeStripe, method: str, parts: list[str]) -> tuple[str, list[str], str]:
    """The SDK's name of a path, its ids, and its verb."""
    names, ids, service = [], [], stripe_sdk._root()
    trailing = ""
    for part in parts:
        below = stripe_sdk._below(service)
        if part in below:
            names.append(part)
            service = stripe_sdk._class(below[part])
            trailing = "collection"
        elif part in stripe_sdk._methods(service) and (ids or part == "search"):
            trailing = part
        elif names and trailing == "collection":
            ids.append(part)
            trailing = "item"
        else:
            raise Refused(404, "invalid_request_error", f"Unrecognized request URL /{part}")
    verbs = {
        ("GET", "collection"): "list", ("POST", "collection"): "create",
        ("GET", "item"): "retrieve", ("POST", "item"): "update", ("DELETE", "item"): "delete",
    }  # fmt: skip
    verb = verbs.get((method, trailing), trailing)
    return ".".join([*names, verb]), ids, verb


def _validate(name: str, params: dict[str, Any]) -> dict[str, Any]:
    """The parameters as what they stand for: `"true"` is True, `"10"` a number."""
    found = stripe_sdk.method(name)
    if isinstance(found, stripe_sdk.Missing):
        raise Refused(404, "invalid_request_error", f"Unrecognized request: {name}")
    if found.params is None:
        return params
    try:
        adapter = stripe_sdk.adapter(found.params)
        return dict(adapter.validate_python(params, extra="forbid"))
    except ValidationError as error:
        first = error.errors()[0]
        where = "[".join(str(part) for part in first["loc"][:2])
        code = "parameter_missing" if first["type"] == "missing" else "parameter_unknown"
        raise Refused(
            400, "invalid_request_error", f"{where}: {first['msg']}", code=code, param=where
        ) from None


def _get(fake: FakeStripe, resource: str, id_: str) -> dict[str, Any]:
    found = fake.objects.get(resource, {}).get(id_)
    if found is None:
        kind = resource.rstrip("s")
        raise Refused(
            404, "invalid_request_error", f"No such {kind}: '{id_}'", code="resource_missing",
            param=kind,
        )  # fmt: skip
    return found


def _fixture(resource: str) -> dict[str, Any]:
    singular = resource.removesuffix("s")
    names = (singular, f"tax.{singular}", f"transfer_{singular}")
    return next((copy.deepcopy(FIXTURES[n]) for n in names if n in FIXTURES), {"object": singular})


def _create(
    fake: FakeStripe, resource: str, params: dict[str, Any], key: str | None, **more: Any
) -> dict[str, Any]:
    made = _fixture(resource)
    made.update(dict.fromkeys(OPTIONAL.get(resource, ())))
    given = {k: v for k, v in params.items() if k not in ("expand", "id", "transfer_lookup_key")}
    made.update(given, **more)
    seed = params.get("metadata", {}).get("bizrun_effect") or key
    made["id"] = params.get("id") or fake.id(PREFIX.get(resource, resource[:3]), seed)
    made["created"] = int(fake.clock())
    made["metadata"] = params.get("metadata", {})
    if params.get("transfer_lookup_key"):
        for other in fake.objects.get(resource, {}).values():
            if other["lookup_key"] == made["lookup_key"]:
                other["lookup_key"] = None
    fake.objects.setdefault(resource, {})[made["id"]] = made
    return made


def _list(fake: FakeStripe, resource: str, params: dict[str, Any]) -> dict[str, Any]:
    found = sorted(fake.objects.get(resource, {}).values(), key=lambda o: -o["created"])
    created = params.get("created") or {}
    if isinstance(created, dict) and "gte" in created:
        found = [o for o in found if o["created"] >= int(created["gte"])]
    for name in ("customer", "payment_intent", "product", "destination"):
        if name in params:
            found = [o for o in found if o.get(name) == params[name]]
    if "active" in params:
        found = [o for o in found if o["active"] is params["active"]]
    if "lookup_keys" in params:
        found = [o for o in found if o["lookup_key"] in params["lookup_keys"]]
    after = params.get("starting_after")
    if after is not None:
        at = next(i for i, o in enumerate(found) if o["id"] == after)
        found = found[at + 1 :]
    limit = int(params.get("limit", 10))
    return {
        "object": "list", "data": found[:limit], "has_more": len(found) > limit,
        "url": f"/v1/{resource}",
    }  # fmt: skip


def _search(fake: FakeStripe, resource: str, params: dict[str, Any]) -> dict[str, Any]:
    """What matches `metadata['k']:'v'`; as at Stripe, new objects are found a minute later."""
    name, _, value = params["query"].removeprefix("metadata['").partition("']:'")
    value = value.removesuffix("'").replace("\\'", "'")
    old = fake.clock() - fake.search_lag
    found = [
        o for o in fake.objects.get(resource, {}).values()
        if o["metadata"].get(name) == value and o["created"] <= old
    ]  # fmt: skip
    return {"object": "search_result", "data": found[:1], "has_more": False, "url": "/v1/search"}


# --- what money does -----------------------------------------------------------------------------


def _create_intent(
    fake: FakeStripe, ids: list[str], params: dict[str, Any], key: str | None
) -> dict[str, Any]:
    amount = int(params["amount"])
    if amount < 1:
        raise Refused(400, "invalid_request_error", "Invalid positive integer", param="amount")
    if params.get("customer"):
        _get(fake, "customers", params["customer"])
    confirm = params.get("confirm") is True
    wanting = "confirmation" if params.get("payment_method") else "payment_method"
    made = _create(
        fake, "payment_intents", params, key, amount=amount, status=f"requires_{wanting}"
    )
    fake.event("payment_intent.created", made)
    return _confirm(fake, made, params) if confirm else made


def _confirm_intent(
    fake: FakeStripe, ids: list[str], params: dict[str, Any], key: str | None
) -> dict[str, Any]:
    return _confirm(fake, _get(fake, "payment_intents", ids[0]), params)


def _confirm(fake: FakeStripe, made: dict[str, Any], params: dict[str, Any]) -> dict[str, Any]:
    method = params.get("payment_method") or made.get("payment_method")
    if method is None or not str(method).startswith("pm_"):
        raise Refused(
            400, "invalid_request_error", f"No such PaymentMethod: '{method}'",
            code="resource_missing", param="payment_method",
        )  # fmt: skip
    name = str(method).lower().removeprefix("pm_card_").removeprefix("visa_")
    if str(method).startswith("pm_usBankAccount"):
        made["status"] = "processing"
        return made
    code, reason = DECLINES.get(name, (None, None))
    if name == "authenticationrequired" and params.get("off_session") not in (True, "true"):
        made["status"] = "requires_action"
        made["next_action"] = {"type": "use_stripe_sdk"}
        return made
    if code is not None:
        error = {"code": code, "decline_code": reason, "message": "Your card was declined."}
        made.update(status="requires_payment_method", last_payment_error=error)
        fake.event("payment_intent.payment_failed", made)
        raise Refused(
            402, "card_error", "Your card was declined.", code=code, decline_code=reason,
            payment_intent=copy.deepcopy(made),
        )  # fmt: skip
    _succeed(fake, made)
    fake.event("payment_intent.succeeded", made)
    return made


def _succeed(fake: FakeStripe, made: dict[str, Any]) -> None:
    made.update(status="succeeded", amount_received=made["amount"], next_action=None)
    charge = _create(
        fake, "charges", {"metadata": made["metadata"]}, made["id"], amount=made["amount"],
        currency=made["currency"], payment_intent=made["id"], status="succeeded", amount_refunded=0,
        balance_transaction=None,
    )  # fmt: skip
    made["latest_charge"] = copy.deepcopy(charge)


def _cancel_intent(
    fake: FakeStripe, ids: list[str], params: dict[str, Any], key: str | None
) -> dict[str, Any]:
    found = _get(fake, "payment_intents", ids[0])
    if found["status"] == "succeeded":
        raise Refused(
            400, "invalid_request_error", "It has succeeded", code="payment_intent_unexpected_state"
        )
    found["status"] = "canceled"
    return found


def _create_refund(
    fake: FakeStripe, ids: list[str], params: dict[str, Any], key: str | None
) -> dict[str, Any]:
    intent = _get(fake, "payment_intents", params.get("payment_intent", ""))
    given = sum(
        o["amount"] for o in fake.objects.get("refunds", {}).values()
        if o["payment_intent"] == intent["id"] and o["status"] == "succeeded"
    )  # fmt: skip
    left = intent.get("amount_received", 0) - given
    amount = int(params.get("amount", left))
    if left <= 0:
        raise Refused(
            400, "invalid_request_error", "It has been refunded", code="charge_already_refunded",
            stored=True,
        )  # fmt: skip
    if amount > left:
        raise Refused(400, "invalid_request_error", "Greater than the charge", param="amount")
    return _create(fake, "refunds", params, key, amount=amount, status="succeeded")


def _create_transfer(
    fake: FakeStripe, ids: list[str], params: dict[str, Any], key: str | None
) -> dict[str, Any]:
    _get(fake, "accounts", params["destination"])
    return _create(fake, "transfers", params, key, amount=int(params["amount"]), amount_reversed=0)


def _create_reversal(
    fake: FakeStripe, ids: list[str], params: dict[str, Any], key: str | None
) -> dict[str, Any]:
    transfer = _get(fake, "transfers", ids[0])
    left = transfer["amount"] - transfer["amount_reversed"]
    amount = int(params.get("amount", left))
    if amount > left:
        raise Refused(400, "invalid_request_error", "More than is left", param="amount")
    transfer["amount_reversed"] += amount
    return _create(fake, "reversals", params, key, amount=amount, transfer=ids[0])


SPECIAL: dict[tuple[str, str], Any] = {
    ("payment_intents", "create"): _create_intent,
    ("payment_intents", "confirm"): _confirm_intent,
    ("payment_intents", "cancel"): _cancel_intent,
    ("refunds", "create"): _create_refund,
    ("transfers", "create"): _create_transfer,
    ("reversals", "create"): _create_reversal,
}


# --- HTTP ----------------------------------------------------------------------------------------


def unflatten(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """`a[b][0]=x` as nested maps and lists."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        *path, last = name.replace("]", "").split("[")
        at = found
        for part in path:
            at = at.setdefault(part, {})
        at[last] = value
    return {name: _lists(value) for name, value in found.items()}


def _lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if value and all(part.isdigit() or not part for part in value):
        return [_lists(item) for item in value.values()]
    return {name: _lists(item) for name, item in value.items()}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 100

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed is no news."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    stripe: FakeStripe
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # Or each answer waits 40 ms for the client's delayed ACK.

    def do_GET(self) -> None:
        self._serve("GET")

    def do_POST(self) -> None:
        self._serve("POST")

    def do_DELETE(self) -> None:
        self._serve("DELETE")

    def _serve(self, method: str) -> None:
        url = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        text = self.rfile.read(length).decode() if length else url.query
        if self.headers.get("Authorization") != f"Bearer {KEY}":
            error = {"type": "invalid_request_error", "message": "Invalid API Key provided"}
            self._write(401, {"error": error}, {})
            return
        params = unflatten(parse_qsl(text, keep_blank_values=True))
        found = self.stripe.answer(method, url.path, params, self.headers.get("Idempotency-Key"))
        if isinstance(found, str):
            if found.startswith("slow"):
                time.sleep(self.stripe.slow)
            self.close_connection = True
            return
        self._write(*found)

    def _write(self, status: int, body: dict[str, Any], headers: dict[str, str]) -> None:
        data = json.dumps(body, default=str).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        pass
