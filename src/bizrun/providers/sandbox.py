"""The sandbox: answers every effect by rules alone, so that the same run ends the same way.

Payments follow Stripe's test cards and payment methods; nothing leaves this process.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any

from ..model import Effect, Outcome
from ..values import Duration, Money, Percent
from . import mailboxes
from .base import Call, Guarantee, Limits

EMBEDDING = 32
MAX_DEPTH = 20

# Stripe's test numbers that fail, by how; every other card succeeds.
CARDS = {
    "4000000000000002": "card_declined",
    "4000000000009995": "insufficient_funds",
    "4000000000009987": "lost_card",
    "4000000000009979": "stolen_card",
    "4000000000000069": "expired_card",
    "4000000000000127": "incorrect_cvc",
    "4000000000000119": "processing_error",
    "4000000000006975": "card_velocity_exceeded",
    "4000000000000341": "card_declined",
    "4242424242424241": "incorrect_number",
    "4000000000000101": "incorrect_cvc",
    "4100000000000019": "fraudulent",
    "4000002500003155": "authentication_required",
    "4000002760003184": "authentication_required",
    "4000000000003220": "authentication_required",
}
# Those that succeed, and are disputed at once, by why.
DISPUTED = {
    "4000000000000259": "fraudulent",
    "4000000000002685": "product_not_received",
    "createdispute": "fraudulent",
    "createdisputeproductnotreceived": "product_not_received",
}
# What follows `charge` or stands alone in pm_card_… and tok_…, in small letters.
NAMES = {
    "chargedeclined": "card_declined",
    "chargecustomerfail": "card_declined",
    "chargedeclinedinsufficientfunds": "insufficient_funds",
    "chargedeclinedlostcard": "lost_card",
    "chargedeclinedstolencard": "stolen_card",
    "chargedeclinedexpiredcard": "expired_card",
    "chargedeclinedincorrectcvc": "incorrect_cvc",
    "chargedeclinedprocessingerror": "processing_error",
    "chargedeclinedfraudulent": "fraudulent",
    "chargedeclinedvelocitylimitexceeded": "card_velocity_exceeded",
    "radarblock": "fraudulent",
    "cvccheckfail": "incorrect_cvc",
    "authenticationrequired": "authentication_required",
    "threedsecure2required": "authentication_required",
    "threedsecurerequired": "authentication_required",
}

_METHOD = re.compile(r"(?:pm_card|tok|pm)_(?:(?:visa|mastercard|amex)_)?(\w+)\Z", re.IGNORECASE)
_REPLY = {"ok", "status", "body", "headers", "error"}


class Sandbox:
    """A provider of everything, with what a test sets: how payments go, what a service answers."""

    def __init__(self) -> None:
        self._payment_error: str | None = None
        self._answers: dict[tuple[str, Any], Any] = {}

    def payments_fail(self, error: str = "card_declined") -> None:
        """Lets every charge fail with a code until `payments_succeed`."""
        self._payment_error = error

    def payments_succeed(self) -> None:
        """Lets the payment method decide again."""
        self._payment_error = None

    def answer(self, name: str, target: Any, value: Any) -> None:
        """Sets what an action (`shippo.post`, `ai.decide`) answers; target None: whatever it is."""
        self._answers[name, target] = value

    def deliver(self, effect: Effect) -> Outcome:
        """The outcome of an effect: the same one whenever it is asked."""
        set_by_test = self._answer_for(effect)
        if set_by_test is not None:
            return _given(effect, set_by_test[0])
        match effect.kind:
            case "charge":
                return self._charge(effect)
            case "refund" | "transfer":
                return Outcome("succeeded", reference=reference(effect))
            case "email":
                return _email(effect)
            case "ai.embed":
                return Outcome("succeeded", None, vector(effect.data), reference(effect))
            case kind if kind.startswith("ai."):
                return Outcome("succeeded", None, invented(effect.data), reference(effect))
        data = {"ok": True, "status": 200, "body": {}}
        return Outcome("succeeded", None, data, reference(effect))

    def _answer_for(self, effect: Effect) -> tuple[Any] | None:
        if not self._answers:
            return None
        data = effect.data
        targets = [data.get(name) for name in _TARGETS if name in data]
        for target in [*(t for t in targets if isinstance(t, str)), None]:
            if (effect.kind, target) in self._answers:
                return (self._answers[effect.kind, target],)
        return None

    def _charge(self, effect: Effect) -> Outcome:
        method = effect.data.get("payment_method")
        error = self._payment_error or decline(method)
        if error is not None:
            return Outcome("failed", error, None, reference(effect))
        why = _looked_up(DISPUTED, DISPUTED, method)
        told = {"dispute": why} if why is not None else None
        return Outcome("succeeded", None, told, reference(effect))


class SandboxProvider:
    """The sandbox as the outbox's worker calls it, for what no provider is configured for."""

    name = "sandbox"

    def __init__(self) -> None:
        self.limits = Limits(concurrency=2, per_second=1_000_000)
        self._sandbox = Sandbox()

    def guarantee(self, effect: Effect) -> Guarantee:
        """It does nothing, so doing it twice is doing it once."""
        return "idempotent"

    def deliver(self, effect: Effect, call: Call) -> Outcome:
        """The outcome of an effect: the same one whenever it is asked."""
        return self._sandbox.deliver(effect)

    def read_back(self, effect: Effect, call: Call) -> Outcome | None:
        """The same."""
        return self._sandbox.deliver(effect)


def reference(effect: Effect) -> str:
    """The sandbox's own id of an effect; its name says that no provider made it."""
    return f"sandbox_{effect.id[:16]}"


def decline(method: Any) -> str | None:
    """The code with which Stripe's test mode declines a payment method or card, None where not."""
    return _looked_up(CARDS, NAMES, method)


def _looked_up(cards: Mapping[str, str], names: Mapping[str, str], method: Any) -> str | None:
    """What is said of a payment method: by the number of a card, or by its name."""
    if not isinstance(method, str):
        return None
    digits = method.replace(" ", "").replace("-", "")
    if digits.isdigit():
        return cards.get(digits)
    found = _METHOD.match(method)
    return names.get(found[1].lower()) if found else None


# What `answer ACTION "…" with` names: a path, an address, who it goes to, what a model is asked.
_TARGETS = ("target", "url", "to", "channel", "prompt", "text")
_FIELDS = ("to", "cc", "bcc", "from", "reply_to")


def _email(effect: Effect) -> Outcome:
    for name in _FIELDS:
        value = effect.data.get(name)
        if (value is not None or name == "to") and not mailboxes.valid(value):
            return Outcome("failed", "invalid_address", None, reference(effect))
    return Outcome("succeeded", None, None, reference(effect))


def _given(effect: Effect, value: Any) -> Outcome:
    """What a test set: an answer as it is, or a service's reply with that as its body."""
    if effect.kind.startswith("ai."):
        return Outcome("succeeded", None, value, reference(effect))
    reply = isinstance(value, Mapping) and value and set(value) <= _REPLY
    error = value.get("error") if reply else None
    if effect.kind in ("charge", "refund", "transfer", "email", "notify", "slack"):
        failed = isinstance(error, str)
        told = isinstance(value, Mapping) and bool({"fee", "dispute"} & set(value))
        kept = value if told else None
        return Outcome("failed" if failed else "succeeded", error, kept, reference(effect))
    if not reply:
        data = {"ok": True, "status": 200, "body": value}
        return Outcome("succeeded", None, data, reference(effect))
    status = value.get("status", 200 if error is None else 500)
    ok = isinstance(status, int) and 200 <= status < 300
    data = {"ok": ok, "status": status, "body": {}, **value}
    return Outcome("succeeded" if ok else "failed", error, data, reference(effect))


# --- answers that no model gave ----------------------------------------------------------------


def invented(data: Mapping[str, Any]) -> Any:
    """An answer that fits the schema of an `ai` action: the first choice, the least number."""
    options = data.get("options")
    if isinstance(options, list | tuple) and options:
        return options[0]
    return fitting(data.get("schema"), "answer")


def fitting(schema: Any, name: str, depth: int = 0) -> Any:
    """A value of a JSON schema, or of a map from names to types as the language writes them."""
    if depth > MAX_DEPTH:
        return None
    match schema:
        case str():
            return _of_type(schema, name)
        case [str(), str(), *_]:
            return schema[0]
        case [item, *_]:
            return [fitting(item, name, depth + 1)]
        case {"enum": [first, *_]} | {"const": first} | {"default": first}:
            return first
        case {"anyOf": [first, *_]} | {"oneOf": [first, *_]}:
            return fitting(first, name, depth + 1)
        case {"properties": Mapping() as properties}:
            return {key: fitting(part, key, depth + 1) for key, part in properties.items()}
        case {"type": "array" | "list"}:
            item = fitting(schema.get("items", "text"), name, depth + 1)
            return [item] * min(max(1, _whole(schema.get("minItems"))), 100)
        case {"type": "object"} if len(schema) == 1:
            return {}
        case {"type": "number" | "integer" as kind}:
            least = schema.get("minimum")
            return least if isinstance(least, int | Decimal) else _of_type(kind, name)
        case {"type": "string", "format": str(form)} if form in _FORMATS:
            return _FORMATS[form]
        case {"type": [str() as kind, *_]} | {"type": str() as kind} if _is_schema(schema, kind):
            return _of_type(kind, name)
        case Mapping():
            return {key: fitting(part, key, depth + 1) for key, part in schema.items()}
    return f"sandbox {name}"


_TYPES: dict[str, Any] = {
    "number": 1, "integer": 1, "size": 1, "bool": True, "boolean": True, "null": None,
    "money": Money(1, "USD"), "percent": Percent.of(Decimal(1)), "duration": Duration(days=1),
    "json": {}, "object": {},
}  # fmt: skip
# Texts of JSON Schema that stand for values of the language.
_FORMATS: dict[str, Any] = {
    "money": Money(1, "USD"), "percent": Percent.of(Decimal(1)), "duration": Duration(days=1),
    "date-time": datetime(2026, 1, 1, tzinfo=UTC), "date": date(2026, 1, 1),
}  # fmt: skip
_TEXTS = {"text", "string", "time", "date", "plan", "coupon"}
_KEYWORDS = {"description", "title", "format", "pattern", "minLength", "maxLength", "examples"}


def _is_schema(schema: Mapping[str, Any], kind: str) -> bool:
    """Whether `type` says what a value is, rather than being a field of that name."""
    return (kind in _TYPES or kind in _TEXTS) and set(schema) <= {"type", *_KEYWORDS}


def _of_type(kind: str, name: str) -> Any:
    if kind.endswith("?"):
        return None
    if kind.startswith("[") and kind.endswith("]"):
        return [_of_type(kind[1:-1].strip(), name)]
    if "|" in kind:
        return kind.split("|")[0].strip().strip('"')
    if kind in _TYPES:
        return _TYPES[kind]
    return f"sandbox {name}"


def _whole(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def vector(data: Mapping[str, Any]) -> list[Decimal]:
    """Numbers from -1 to 1 made from a text's hash: equal texts have equal vectors."""
    text = str(data.get("text", ""))
    digest = b"".join(
        sha256(f"{block}\0{text}".encode()).digest() for block in range(EMBEDDING * 2 // 32)
    )
    pairs = (digest[at : at + 2] for at in range(0, EMBEDDING * 2, 2))
    return [Decimal(int.from_bytes(pair, "big") % 20001 - 10000).scaleb(-4) for pair in pairs]
