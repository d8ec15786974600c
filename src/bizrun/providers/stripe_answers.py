"""Stripe's answers in bizrun's words: statuses, decline codes, errors; and our values in Stripe's.

Everything here is a pure function; the sandbox answers with the same words (`tests/test_stripe`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from ..currencies import exponent
from ..errors import ProviderError
from ..model import Outcome
from ..values import Duration, Money, Percent
from .base import MaybeSent, NotSent
from .wire import retry_after as asked_to_wait

Answer = Mapping[str, Any]

# Names in an object's metadata.
KEYS = SimpleNamespace(effect="bizrun_effect", event="bizrun_event", customer="bizrun_customer")

# Decline codes that say more than `card_declined`; every other one is that.
DECLINES = frozenset({
    "insufficient_funds", "lost_card", "stolen_card", "expired_card", "incorrect_cvc",
    "processing_error", "card_velocity_exceeded", "incorrect_number", "fraudulent",
    "authentication_required",
})  # fmt: skip
SAME = {"invalid_cvc": "incorrect_cvc", "invalid_number": "incorrect_number"}

# Where Stripe counts other units than ISO 4217 (docs.stripe.com/currencies, special cases).
DIGITS = {"ISK": 2, "UGX": 2, "MGA": 0}


def decline(code: str | None, decline_code: str | None) -> str:
    """The word for a decline: the card's own reason where there is one."""
    for given in (decline_code, code):
        word = SAME.get(given or "", given)
        if word in DECLINES:
            return str(word)
    return "card_declined"


def units(amount: Money) -> int:
    """An amount as Stripe counts it: minor units by ISO 4217, but for a few currencies.

    ProviderError where it has a part that Stripe can't express.
    """
    digits = DIGITS.get(amount.currency)
    if digits is None:
        return amount.minor_units()
    scaled = amount.amount.scaleb(digits)
    if scaled != int(scaled):
        raise ProviderError(f"Stripe has no smaller unit for {amount}.")
    return int(scaled)


def payable(amount: Money) -> int:
    """An amount that is charged, given back or paid out, as `units` has it.

    ProviderError where card networks don't take it: of three decimals the last has to be 0.
    """
    count = units(amount)
    if exponent(amount.currency) == 3 and count % 10:
        step = f"steps of 0.010 {amount.currency}"
        raise ProviderError(f"Stripe can't move {amount}: it takes {step}, so price in those.")
    return count


def amount_of(count: Any, currency: Any) -> Money | None:
    """The amount that a webhook's object says; None where it says none."""
    if not isinstance(count, int) or not isinstance(currency, str):
        return None
    return _money(count, currency.upper())


def _money(count: int, currency: str) -> Money:
    """The inverse of `units`."""
    if currency not in DIGITS:
        return Money.of_minor(count, currency)
    return Money(Decimal(count).scaleb(-DIGITS[currency]), currency)


def outcome_of(kind: str, found: Answer) -> Outcome:
    """How a PaymentIntent, a Refund or a Transfer stands."""
    reference, status = str(found["id"]), found.get("status")
    match kind, status:
        case "charge", "succeeded" | "requires_capture":
            return Outcome("succeeded", None, _fee(found), reference)
        case "charge", "requires_payment_method" | "canceled":
            error = found.get("last_payment_error") or {}
            word = decline(error.get("code"), error.get("decline_code"))
            return Outcome("failed", word, None, reference)
        case "charge", "processing" | "requires_action" | "requires_confirmation":
            data = {"status": status, "next_action": found.get("next_action")}
            return Outcome("pending", None, data, reference)
        case "refund", "failed" | "canceled":
            return Outcome("failed", found.get("failure_reason") or str(status), None, reference)
        case "refund", "pending" | "requires_action":
            return Outcome("pending", None, {"status": status}, reference)
        case (("refund" | "transfer"), _):
            return Outcome("succeeded", None, None, reference)
    return Outcome("unknown", f"Stripe says {status}", None, reference)


def _fee(intent: Answer) -> Any:
    """Stripe's fee of a charge, where the answer has it."""
    charge = intent.get("latest_charge")
    entry = charge.get("balance_transaction") if isinstance(charge, Mapping) else None
    if not isinstance(entry, Mapping) or not entry.get("fee"):
        return None
    return {"fee": _money(int(entry["fee"]), str(entry["currency"]).upper())}


def refused(error: Any) -> Outcome:
    """The outcome that an error of the SDK means; raises where the outcome is still open."""
    import stripe

    status, text = error.http_status or 0, _text(error)
    match error:
        case stripe.CardError():
            said: Any = error.json_body
            card = said["error"] if isinstance(said, dict) else {}
            intent = card.get("payment_intent") or {}
            word = decline(card.get("code"), card.get("decline_code"))
            return Outcome("failed", word, None, intent.get("id"))
        case stripe.APIConnectionError():
            raise _connection(error, text) from None
        case stripe.AuthenticationError() | stripe.PermissionError():
            raise ProviderError(f"Stripe refuses the key: {text}") from None
        case stripe.RateLimitError():
            raise NotSent(text, retry_after(error)) from None
        case stripe.IdempotencyError():
            raise MaybeSent(text, stored=True) from None
    if status == 409:
        raise MaybeSent(text, retry_after=retry_after(error)) from None
    if status == 500:
        raise MaybeSent(text, stored=True) from None
    if status == 503 and retry_after(error) is not None:
        raise NotSent(text, retry_after(error)) from None
    if status >= 500 or not status:
        raise MaybeSent(text, retry_after=retry_after(error)) from None
    code = error.code or "invalid_request"
    data = {"ok": False, "status": status, "body": {"message": text}}
    return Outcome("failed", code, data, None)


# What a connection failed on before anything was sent.
_UNSENT = ("NewConnectionError", "ConnectTimeout", "NameResolutionError", "SSLError", "ProxyError")


def _connection(error: Exception, text: str) -> NotSent | MaybeSent:
    """A refused connection has sent nothing; a lost or late answer may have."""
    chain: BaseException | None = error
    names = ""
    while chain is not None:
        names += f"{type(chain).__name__} {str(chain)[:2000]} "
        chain = chain.__cause__ or chain.__context__
    unsent = any(name in names for name in _UNSENT)
    short = "the connection was refused" if unsent else "no answer came"
    return NotSent(f"Stripe: {short}") if unsent else MaybeSent(f"Stripe: {short} ({text[:80]})")


def _text(error: Any) -> str:
    text = error.user_message or str(error) or type(error).__name__
    return " ".join(str(text).split())[:500]


def retry_after(error: Any) -> timedelta | None:
    """What a Retry-After header asks for: seconds, or a date."""
    return asked_to_wait(_headers(error), datetime.now(UTC))


def replayed(error: Any) -> bool:
    """Whether Stripe has said again what it had answered to the same request under the same key."""
    return _headers(error).get("idempotent-replayed") == "true"


def _headers(error: Any) -> dict[str, str]:
    return {str(name).lower(): str(value) for name, value in (error.headers or {}).items()}


def plain(found: Any) -> dict[str, Any]:
    """An object of the SDK as plain data, exact numbers in it."""
    data = found.to_dict() if hasattr(found, "to_dict") else found
    exact = _exact(data)
    return exact if isinstance(exact, dict) else {"value": exact}


def _exact(value: Any) -> Any:
    if isinstance(value, bool) or value is None or isinstance(value, int | str | Decimal):
        return value
    if isinstance(value, Mapping):
        return {str(key): _exact(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_exact(item) for item in value]
    if hasattr(value, "to_dict"):
        return _exact(value.to_dict())
    return Decimal(repr(value)) if type(value).__name__ == "float" else str(value)


def wire(params: Mapping[str, Any]) -> dict[str, Any]:
    """Our values as Stripe takes them; what is none is left out.

    An `amount` of money also says its currency; instants are seconds since 1970.
    """
    found: dict[str, Any] = {}
    for name, value in params.items():
        if value is not None:
            found[name] = _wired(value)
            if isinstance(value, Money) and "currency" not in params:
                found["currency"] = value.currency.lower()
    return found


def _wired(value: Any) -> Any:
    match value:
        case Money():
            return units(value)
        case datetime():
            return int(value.timestamp())
        case date() | Duration():
            return str(value)
        case Percent():
            return str(value).rstrip("%")
        case Decimal():
            return int(value) if value == int(value) else str(value)
        case Mapping():
            return wire(value)
        case list() | tuple():
            return [_wired(item) for item in value]
    return value
