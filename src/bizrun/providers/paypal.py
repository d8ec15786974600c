"""PayPal over its REST API: charges, refunds, payouts, and any call that a spec names.

PayPal keeps a PayPal-Request-Id for hours (orders: 6) and answers a repetition with what became
of the first request; so within that time, sending again is how an unclear one is read back.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from threading import Lock
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from ..errors import ProviderError
from ..model import Effect, Outcome
from ..values import Money, show
from .addresses import Refused
from .base import Call, Guarantee, Limits, MaybeSent, NotSent
from .egress import Egress, Reply
from .http import kept, seconds
from .paypal_calls import CALLS, PayPalCall
from .secrets import Secrets
from .wire import decode, encode, retry_after

LIVE = "https://api-m.paypal.com"
WINDOW = timedelta(hours=5)
# A batch of the same number is refused for 30 days, with a link to the first one.
PAYOUT_WINDOW = timedelta(days=29)
# The ends of a payout's item whose money is, or stays, ours.
_RETURNED = {"FAILED", "RETURNED", "BLOCKED", "REFUNDED", "REVERSED", "DENIED", "CANCELED"}
# developer.paypal.com/reference/currency-codes: these have no decimals there.
WHOLE = {"HUF", "JPY", "TWD"}
MAX_ANSWER = 2_000_000
# Issues of a 422, in our words; every other one is passed on in small letters.
ISSUES = {
    "INSTRUMENT_DECLINED": "card_declined",
    "TRANSACTION_REFUSED": "card_declined",
    "TRANSACTION_BLOCKED_BY_PAYEE": "card_declined",
    "PAYER_CANNOT_PAY": "card_declined",
    "REDIRECT_PAYER_FOR_ALTERNATE_FUNDING": "insufficient_funds",
    "CARD_EXPIRED": "expired_card",
    "PAYER_ACTION_REQUIRED": "authentication_required",
    "TOKEN_ID_NOT_FOUND": "payment_method_missing",
}
_NOT_APPROVED = {"ORDER_NOT_APPROVED", "PAYER_ACTION_REQUIRED"}


@dataclass(slots=True)
class Tokens:
    """Access tokens by client and address: in memory only."""

    lock: Lock = field(default_factory=Lock)
    held: dict[tuple[str, str], tuple[str, Any]] = field(default_factory=dict, repr=False)


class PayPalProvider:
    """Charges, refunds and transfers where PayPal is the processor, and `paypal.<…>`."""

    name = "paypal"

    def __init__(self, egress: Egress | None = None) -> None:
        self.limits = Limits(window=WINDOW)
        self._egress = egress or Egress()
        self._tokens = Tokens()

    def guarantee(self, effect: Effect) -> Guarantee:
        """PayPal tells a repetition by its request id."""
        return "idempotent"

    def deliver(self, effect: Effect, call: Call) -> Outcome:
        """Does it, whichever of its kinds it is."""
        try:
            match effect.kind:
                case "charge":
                    return self._charge(effect, call)
                case "refund":
                    return self._refund(effect, call)
                case "transfer":
                    return self._payout(effect, call)
            return self._call(effect, call)
        except Refused as error:
            raise ProviderError(f"PayPal's address can't be called: {error}") from None

    def read_back(self, effect: Effect, call: Call) -> Outcome | None:
        """What became of it, by the same request again; unknown once PayPal has dropped its id."""
        if effect.kind == "transfer" and datetime.now(UTC) - call.first < PAYOUT_WINDOW:
            return self._paid_out(effect, call)
        if datetime.now(UTC) - call.first < WINDOW:
            return self.deliver(effect, call)
        return Outcome("unknown", "PayPal no longer knows this request id")

    # --- charge, refund, payout ----------------------------------------------------------------

    def _charge(self, effect: Effect, call: Call) -> Outcome:
        if effect.data.get("hold"):
            return Outcome("failed", "not_supported")
        order = self._json("POST", CALLS["orders.create"].path, order_of(effect), call, call.key)
        if isinstance(order, Outcome):
            return order
        if order.get("status") not in ("COMPLETED", "VOIDED"):
            path = f"{CALLS['orders.get'].path.format(id=quote(str(order.get('id')), safe=''))}"
            captured = self._json("POST", f"{path}/capture", {}, call, f"{call.key}-capture")
            if isinstance(captured, Outcome):
                waiting = captured.data and captured.data.get("issue") in _NOT_APPROVED
                return _approval(order) if waiting else captured
            order = captured
        return charged(order)

    def _refund(self, effect: Effect, call: Call) -> Outcome:
        capture = effect.data.get("reference")
        if not capture:
            return Outcome("failed", "payment_unknown")
        body = {"amount": amount_of(effect.data["amount"]), "custom_id": effect.id}
        path = CALLS["captures.refund"].path.format(id=quote(str(capture), safe=""))
        found = self._json("POST", path, body, call, call.key)
        return found if isinstance(found, Outcome) else _settled(found)

    def _payout(self, effect: Effect, call: Call) -> Outcome:
        """Asks for a payout, which PayPal takes up and tells the end of by a webhook."""
        found = self._json("POST", CALLS["payouts.create"].path, payout_of(effect), call, call.key)
        if isinstance(found, Outcome):
            batch = (found.data or {}).get("batch")
            return Outcome("pending", None, {"batch": batch}, batch) if batch else found
        header = found.get("batch_header") or {}
        return paid_out({}, str(header.get("batch_status")), str(header.get("payout_batch_id")))

    def _paid_out(self, effect: Effect, call: Call) -> Outcome:
        """What became of a payout: asked for again it is the same one, which is then looked at."""
        found = self._payout(effect, call)
        if found.status != "pending":
            return found
        path = CALLS["payouts.get"].path.format(id=quote(str(found.reference), safe=""))
        batch = self._json("GET", path, {}, call, call.key)
        if isinstance(batch, Outcome):
            return found
        items = batch.get("items") or [{}]
        status = str((batch.get("batch_header") or {}).get("batch_status"))
        return paid_out(items[0], status, str(found.reference))

    # --- any other call --------------------------------------------------------------------------

    def _call(self, effect: Effect, call: Call) -> Outcome:
        found = CALLS.get(effect.kind.partition(".")[2])
        if found is None:
            return Outcome("failed", f"PayPal has no {effect.kind}")
        path, rest = _filled(found, effect.data)
        content = b""
        if found.method == "POST":
            content = encode(paypal_values(rest))
        elif rest:
            path = f"{path}?{urlencode({name: show(value) for name, value in rest.items()})}"
        reply = self._send(found.method, path, content, call, call.key)
        later(reply)
        body = _body(reply)
        data = {"ok": reply.ok, "status": reply.status, "headers": kept(reply.headers)}
        reference = body.get("id") if isinstance(body, Mapping) else None
        return Outcome(
            "succeeded" if reply.ok else "failed", None if reply.ok else error_of(reply, body),
            {**data, "body": body}, str(reference) if reference else None,
        )  # fmt: skip

    # --- the wire --------------------------------------------------------------------------------

    def _json(
        self, method: str, path: str, body: Mapping[str, Any], call: Call, key: str
    ) -> dict[str, Any] | Outcome:
        """The answer to a call, or how it failed for good; NotSent and MaybeSent as they come."""
        reply = self._send(method, path, encode(body) if method == "POST" else b"", call, key)
        later(reply)
        found = _body(reply)
        if reply.ok and isinstance(found, dict):
            return found
        if reply.ok:
            raise MaybeSent("PayPal's answer can't be read")
        if _issue(found) == "DUPLICATE_INVOICE_ID":
            return Outcome("unknown", "PayPal has had an order of this number before")
        data = {"detail": _detail(found), "issue": _issue(found), "status": reply.status}
        data |= {"batch": batch} if (batch := _first_batch(found)) else {}
        return Outcome("failed", error_of(reply, found), data)

    def _send(self, method: str, path: str, content: bytes, call: Call, key: str) -> Reply:
        for fresh in (False, True):
            token = self._token(call, fresh)
            headers = {
                "Authorization": f"Bearer {token}", "Content-Type": "application/json",
                "PayPal-Request-Id": key, "Prefer": "return=representation",
                "User-Agent": "bizrun",
            }  # fmt: skip
            reply = self._egress.send(
                method, base_of(call.secrets) + path, headers, content,
                private=local(call.secrets), timeout=seconds(call), max_body=MAX_ANSWER,
            )  # fmt: skip
            if reply.status != 401:
                return reply
        raise ProviderError("PayPal refuses the access token it gave")

    def _token(self, call: Call, fresh: bool) -> str:
        return access_token(self._egress, self._tokens, call.secrets, seconds(call), fresh)


def access_token(
    egress: Egress, tokens: Tokens, secrets: Secrets, timeout: int, fresh: bool = False
) -> str:
    """A token for the client of a connection: the one in memory while it is good."""
    client = secrets.need("client_id", "PAYPAL_CLIENT_ID").reveal()
    password = secrets.need("client_secret", "PAYPAL_CLIENT_SECRET").reveal()
    base = base_of(secrets)
    if not tokens.lock.acquire(timeout=timeout):
        raise NotSent("PayPal gives no access token in time")  # somebody else waits for one
    try:
        held = tokens.held.get((base, client))
        if held is not None and not fresh and held[1] > time.monotonic():
            return held[0]
        pair = base64.b64encode(f"{client}:{password}".encode()).decode()
        headers = {
            "Authorization": f"Basic {pair}", "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "application/json", "User-Agent": "bizrun",
        }  # fmt: skip
        try:
            reply = egress.send(
                "POST", f"{base}/v1/oauth2/token", headers, b"grant_type=client_credentials",
                private=local(secrets), timeout=timeout,
            )  # fmt: skip
        except MaybeSent as error:
            raise NotSent(str(error)) from None  # a token is not what was asked for
        token, life = _granted(reply)
        tokens.held[base, client] = (token, time.monotonic() + max(life - 60, 0))
        return token
    finally:
        tokens.lock.release()


def _granted(reply: Reply) -> tuple[str, int]:
    if reply.status in (400, 401, 403):
        raise ProviderError("PayPal refuses the client: check PAYPAL_CLIENT_ID and its secret")
    found = _body(reply)
    token = found.get("access_token") if reply.ok and isinstance(found, Mapping) else None
    if not isinstance(token, str):
        pause = retry_after(reply.headers, datetime.now(UTC))
        raise NotSent(f"PayPal gave no access token ({reply.status})", pause)
    life = found.get("expires_in")
    return token, life if isinstance(life, int) else 0


def base_of(secrets: Secrets) -> str:
    """The address of the API: `base`, PAYPAL_API_BASE, or PayPal's live one."""
    return (secrets.text("base", "PAYPAL_API_BASE") or LIVE).rstrip("/")


def local(secrets: Secrets) -> bool:
    """Whether the address may be a private one: only what the environment names."""
    value = secrets.value("base")
    return value is None or isinstance(value, Mapping)


# --- what is asked for ---------------------------------------------------------------------------


def amount_of(amount: Money) -> dict[str, str]:
    """An amount as PayPal reads it; Refused where PayPal can't hold it."""
    value = amount.amount
    places = 0 if amount.currency in WHOLE else 2
    found = value.quantize(Decimal(1).scaleb(-places)) if value.is_finite() else value
    if found != value:
        raise ProviderError(f"PayPal takes no {amount}: {places} decimals are all it knows")
    return {"currency_code": amount.currency, "value": f"{found:f}"}


def order_of(effect: Effect) -> dict[str, Any]:
    """A charge as an order: paid from what the customer has stored, else to be approved."""
    data = effect.data
    unit = {
        "amount": amount_of(data["amount"]), "custom_id": effect.id,
        "invoice_id": str(data.get("payment") or effect.id)[:127],
    }  # fmt: skip
    if data.get("description"):
        unit["description"] = str(data["description"])[:127]
    order: dict[str, Any] = {"intent": "CAPTURE", "purchase_units": [unit]}
    if data.get("payment_method"):
        order["payment_source"] = {"paypal": {"vault_id": str(data["payment_method"])}}
    return order


def payout_of(effect: Effect) -> dict[str, Any]:
    """A transfer as a batch of one payout, to an address of mail or a PayPal id."""
    to, amount = str(effect.data["to"]), amount_of(effect.data["amount"])
    item = {
        "recipient_type": "EMAIL" if "@" in to else "PAYPAL_ID", "receiver": to,
        "amount": {"currency": amount["currency_code"], "value": amount["value"]},
        "sender_item_id": effect.id[:63],
    }  # fmt: skip
    if effect.data.get("description"):
        item["note"] = str(effect.data["description"])[:165]
    return {"sender_batch_header": {"sender_batch_id": effect.id}, "items": [item]}


def paypal_values(value: Any) -> Any:
    """Values of a spec as PayPal reads them: an amount of money is a map there."""
    match value:
        case Money():
            return amount_of(value)
        case dict():
            return {name: paypal_values(item) for name, item in value.items() if item is not None}
        case list() | tuple():
            return [paypal_values(item) for item in value]
    return value


def _filled(call: PayPalCall, data: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The path with its places filled, and the fields that are left."""
    path, rest = call.path, {k: v for k, v in data.items() if k != "target"}
    for name in call.places:
        value = rest.pop(name, None)
        value = data.get("target") if value is None else value
        if value is None or value == "":
            raise ProviderError(f"PayPal needs `{name}` for {call.path}")
        path = path.replace(f"{{{name}}}", quote(show(value), safe=""))
    return path, rest


# --- what comes back -----------------------------------------------------------------------------


def later(reply: Reply) -> None:
    """Raises where another try may go better: too many calls, a failure of PayPal's, or the same
    request under way at this moment."""
    pause = retry_after(reply.headers, datetime.now(UTC))
    if reply.status == 429:
        raise NotSent("PayPal asks to wait", pause)
    if reply.status >= 500 or reply.cut:
        raise MaybeSent(f"PayPal answered {reply.status}", retry_after=pause)
    if reply.status == 409:
        raise MaybeSent("PayPal is at work on this request", retry_after=pause)


def charged(order: Mapping[str, Any]) -> Outcome:
    """How a charge went, by its order's capture."""
    units = order.get("purchase_units") or [{}]
    captures = (units[0].get("payments") or {}).get("captures") or []
    if not captures:
        return _approval(order)
    return _settled(captures[0])


def _settled(found: Mapping[str, Any]) -> Outcome:
    """A capture or a refund: its own id is what a later call refers to."""
    reference = str(found.get("id") or "")
    match found.get("status"):
        case "COMPLETED" | "PARTIALLY_REFUNDED" | "REFUNDED":
            return Outcome("succeeded", None, _fee(found), reference)
        case "PENDING":
            reason = (found.get("status_details") or {}).get("reason")
            return Outcome("pending", None, {"reason": reason}, reference)
        case "DECLINED" | "FAILED" | "CANCELLED":
            return Outcome("failed", "card_declined", None, reference)
    raise MaybeSent(f"PayPal answered a status that is not known: {found.get('status')}")


def _fee(found: Mapping[str, Any]) -> dict[str, Any] | None:
    fee = (found.get("seller_receivable_breakdown") or {}).get("paypal_fee")
    if not isinstance(fee, Mapping):
        return None
    return {"fee": Money(Decimal(str(fee.get("value"))), str(fee.get("currency_code")))}


def paid_out(item: Mapping[str, Any], batch_status: str, batch: str) -> Outcome:
    """How a payout went, by its one item and by its batch: money that its receiver has yet to
    claim is on its way, and comes back after 30 days."""
    status = str(item.get("transaction_status") or "")
    data = {"batch": batch, "status": status or batch_status}
    if status == "SUCCESS":
        return Outcome("succeeded", None, data, batch)
    if status in _RETURNED or batch_status in ("DENIED", "CANCELED"):
        errors = item.get("errors") or {}
        reason = errors.get("name") if isinstance(errors, Mapping) else None
        return Outcome("failed", f"payout_{(status or batch_status).lower()}",
                       {**data, "reason": reason}, batch)  # fmt: skip
    return Outcome("pending", None, data, batch)


def _first_batch(found: Any) -> str | None:
    """The id of the payout that an error links to: the one that had the same number before."""
    links = found.get("links") if isinstance(found, Mapping) else None
    for link in links if isinstance(links, list) else ():
        path = urlsplit(str(link.get("href") if isinstance(link, Mapping) else "")).path
        before, _, batch = path.rpartition("/")
        if before.endswith(CALLS["payouts.create"].path) and batch:
            return batch
    return None


def _approval(order: Mapping[str, Any]) -> Outcome:
    """An order that its payer has yet to approve: where, is in the outcome."""
    links = order.get("links") or []
    urls = [link.get("href") for link in links if link.get("rel") in ("payer-action", "approve")]
    data = {"order": order.get("id"), "approve": urls[0] if urls else None}
    return Outcome("pending", None, data, str(order.get("id") or ""))


def _body(reply: Reply) -> Any:
    if not reply.body:
        return {}
    try:
        return decode(reply.body)
    except ValueError:
        return None


def _issue(found: Any) -> str | None:
    details = found.get("details") if isinstance(found, Mapping) else None
    first = details[0] if isinstance(details, list) and details else None
    issue = first.get("issue") if isinstance(first, Mapping) else None
    return str(issue) if issue else None


def _detail(found: Any) -> str | None:
    if not isinstance(found, Mapping):
        return None
    details = found.get("details")
    first = details[0] if isinstance(details, list) and details else found
    text = first.get("description") or found.get("message") if isinstance(first, Mapping) else None
    return str(text)[:500] if text else None


def error_of(reply: Reply, found: Any) -> str:
    """Why a call was refused, as a word: PayPal's issue, its error's name, or the status."""
    issue = _issue(found) or (found.get("name") if isinstance(found, Mapping) else None)
    if not issue:
        return f"http_{reply.status}"
    return ISSUES.get(str(issue), str(issue).lower())
