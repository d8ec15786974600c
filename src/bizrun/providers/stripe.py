"""Stripe, through its own SDK: charges, refunds, transfers, and any other method of its API.

Every request carries the idempotency key, and what it makes carries the effect's id in its
metadata, by which it is found again. Amounts are minor units by ISO 4217.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any

from ..errors import ProviderError
from ..model import Effect, Outcome
from ..values import Money
from . import stripe_sdk
from .base import Call, Guarantee, Limits, Secrets
from .stripe_answers import KEYS, Answer, outcome_of, payable, plain, refused, replayed, wire

KEY, BASE = "STRIPE_API_KEY", "STRIPE_API_BASE"
SKEW = timedelta(minutes=10)  # between our clock and Stripe's
MOST = 3000  # objects looked through to find one again
REASONS = ("duplicate", "fraudulent", "requested_by_customer")
PAGE_TRIES = 20
STEP_TRIES = 3
RESOURCES = {"charge": "payment_intents", "refund": "refunds", "transfer": "transfers"}


class Stripe:
    """See `base.Provider`."""

    name = "stripe"

    def __init__(self) -> None:
        self.limits = Limits(concurrency=8, per_second=50)
        self._clients: dict[tuple[str, str | None], Any] = {}
        self._customers: dict[str, str] = {}
        # Whose object each effect without an outcome is, if this process has sent it.
        self._sent: dict[str, list[dict[str, str]]] = {}
        self._alike: set[str] = set()
        self._began = datetime.now(UTC)
        self._lock = Lock()

    def guarantee(self, effect: Effect) -> Guarantee:
        """Stripe tells a repetition by its key."""
        return "idempotent"

    def deliver(self, effect: Effect, call: Call) -> Outcome:
        """One effect, one request (and one before it for a customer that Stripe doesn't know)."""
        client = self._client(call)
        try:
            outcome = self._do(client, effect, call)
        except stripe_error() as error:
            if replayed(error):
                self._alike.add(effect.id)
            outcome = refused(error)
        self._forget(effect)
        return outcome

    def _do(self, client: Any, effect: Effect, call: Call) -> Outcome:
        match effect.kind:
            case "charge":
                return self._charge(client, effect, call)
            case "refund":
                return self._refund(client, effect, call)
            case "transfer":
                return self._transfer(client, effect, call)
        return self._method(client, effect, call)

    def read_back(self, effect: Effect, call: Call) -> Outcome | None:
        """What was made of an effect, by its metadata, among what was made since it was sent.

        Lists of Stripe are consistent, its search is not: so it is a list that is read.
        """
        client = self._client(call)
        resource = RESOURCES.get(effect.kind)
        if resource is None:
            resource, _, verb = effect.kind.removeprefix("stripe.").rpartition(".")
            if verb != "create":
                return Outcome("unknown", f"{effect.kind} can't be read back")
        try:
            found = self._look(_service(client, resource), effect, call)
        except stripe_error() as error:
            outcome = refused(error)
            return Outcome("unknown", f"it can't be read back: {outcome.error}")
        if isinstance(found, Outcome) or found is None:
            self._alike.discard(effect.id)  # what is sent next has another key
            return found
        self._forget(effect)
        return _reply(found) if effect.kind not in RESOURCES else outcome_of(effect.kind, found)

    def _look(self, service: Any, effect: Effect, call: Call) -> Any:
        """The object; None where there is none, `unknown` where not all could be seen."""
        since = int((call.first - SKEW).timestamp())
        seen = 0
        for where in self._places(effect, call):
            for one in _listed(service, {**where, "created": {"gte": since}}):
                if (one.get("metadata") or {}).get(KEYS.effect) == effect.id:
                    return one
                seen += 1
                if seen >= MOST:
                    return Outcome("unknown", f"more than {MOST:,} objects to look through")
        return None

    def _places(self, effect: Effect, call: Call) -> list[dict[str, str]]:
        """Where an effect's object can be: with whom it was sent to, else anywhere.

        An earlier process may have sent it to somebody else, since what a row says changes; but
        not where Stripe has repeated its answer: it compares what it repeats by a key.
        """
        if effect.kind == "refund":
            return [_charged(effect)]
        own = call.first >= self._began or effect.id in self._alike
        return (self._sent.get(effect.id) if own else None) or [{}]

    def _forget(self, effect: Effect) -> None:
        self._sent.pop(effect.id, None)
        self._alike.discard(effect.id)

    def _sending(self, effect: Effect, **to: str | None) -> None:
        """Notes whose object an effect is about to become."""
        place = {name: value for name, value in to.items() if value is not None}
        places = self._sent.setdefault(effect.id, [])
        if place not in places:
            places.append(place)

    # --- the client ----------------------------------------------------------------------------

    def _client(self, call: Call) -> Any:
        """A client for the key as it is now: keys are read when something is sent."""
        key = call.secrets.need("key", KEY).reveal()
        base = call.secrets.text("base", BASE)
        with self._lock:
            if (key, base) not in self._clients:
                self._clients = {(key, base): connect(call.secrets, call.timeout)}
            return self._clients[key, base]

    # --- money ---------------------------------------------------------------------------------

    def _charge(self, client: Any, effect: Effect, call: Call) -> Outcome:
        data = effect.data
        method = data.get("payment_method")
        customer = self._customer(client, effect, call)
        if method is None and customer is not None:
            method = _default_method(client.v1.customers.retrieve(customer))
        if method is None:
            return Outcome("failed", "no_payment_method")
        if method.replace(" ", "").replace("-", "").isdigit():
            return Outcome("failed", "card_number_refused")
        params = {
            **_amount(data["amount"]), "payment_method": method, "confirm": True,
            "off_session": True, "description": data.get("description"), "customer": customer,
            "metadata": _metadata(effect),
            "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
            "expand": ["latest_charge.balance_transaction"],
        }  # fmt: skip
        self._sending(effect, customer=customer)
        made = client.v1.payment_intents.create(wire(params), _options(call))
        return outcome_of("charge", plain(made))

    def _refund(self, client: Any, effect: Effect, call: Call) -> Outcome:
        data = effect.data
        charged = data.get("reference")
        if not charged or charged.startswith("sandbox_"):
            return Outcome("failed", "no_such_charge")
        reason = data.get("reason")
        params = {
            **_charged(effect), "amount": payable(data["amount"]), "metadata": _metadata(effect),
            "reason": reason if reason in REASONS else None,
        }  # fmt: skip
        return outcome_of("refund", plain(client.v1.refunds.create(wire(params), _options(call))))

    def _transfer(self, client: Any, effect: Effect, call: Call) -> Outcome:
        data = effect.data
        account = _account(data["to"], call)
        if account is None:
            return Outcome("failed", "no_account")
        params = {
            **_amount(data["amount"]), "destination": account, "metadata": _metadata(effect),
            "description": data.get("description"),
        }  # fmt: skip
        self._sending(effect, destination=account)
        return outcome_of(
            "transfer", plain(client.v1.transfers.create(wire(params), _options(call)))
        )

    def _customer(self, client: Any, effect: Effect, call: Call) -> str | None:
        """Stripe's customer of ours: the one its row names, one found, or a new one."""
        customer, row = effect.customer, call.customer or {}
        if customer is None:
            return None
        for name in ("stripe_customer", "stripe_id", "id"):
            if isinstance(row.get(name), str) and row[name].startswith("cus_"):
                return str(row[name])
        known = self._customers.get(customer)
        if known is None:
            known = _search_customer(client, customer) or _new_customer(
                client, customer, row, call, effect.id
            )
            self._customers[customer] = known
        return known

    # --- any other method ----------------------------------------------------------------------

    def _method(self, client: Any, effect: Effect, call: Call) -> Outcome:
        """`stripe.<resource>.<method>`: a text before the braces, or fields, are its ids."""
        path = effect.kind.removeprefix("stripe.")
        found = stripe_sdk.method(path)
        if isinstance(found, stripe_sdk.Missing):
            return Outcome("failed", "no_such_method", {"body": {"part": found.part}})
        data = dict(effect.data)
        ids = _ids(found, data)
        if "metadata" in found.fields and found.path.endswith(".create"):
            data["metadata"] = {**(data.get("metadata") or {}), **_metadata(effect)}
        options = {**_options(call), **_acting_for(data)}
        call_it = getattr(_service(client, path.rpartition(".")[0]), path.rpartition(".")[2])
        made = call_it(*ids, wire(data), options) if found.params else call_it(*ids, None, options)
        return _reply(plain(made))


def stripe_error() -> type[Exception]:
    """The SDK's own error, imported when something is sent."""
    from stripe import StripeError

    return StripeError


def connect(secrets: Secrets, timeout: timedelta = timedelta(seconds=30)) -> Any:
    """The SDK's client for the settings of a connection; ProviderError where one is missing."""
    if not stripe_sdk.available():
        raise ProviderError(stripe_sdk.MISSING)
    from stripe import RequestsClient, StripeClient

    key = secrets.need("key", KEY).reveal()
    more: dict[str, Any] = {}
    if base := secrets.text("base", BASE):
        more["base_addresses"] = {"api": base.rstrip("/")}
    if version := secrets.text("version"):
        more["stripe_version"] = version
    if account := secrets.text("account"):
        more["stripe_account"] = account
    http = RequestsClient(timeout=timeout.total_seconds())
    return StripeClient(key, max_network_retries=0, http_client=http, **more)


def _listed(service: Any, where: Mapping[str, Any]) -> Iterator[Answer]:
    """The objects of a list, page by page, the newest first.

    A page that fails is asked for again at once: else a list of many is never read to its end.
    """
    params = {**where, "limit": 100}
    while True:
        page = _steadily(lambda: service.list(params), PAGE_TRIES)
        yield from map(plain, page.data)
        if not page.has_more:
            return
        params["starting_after"] = page.data[-1].id


def _steadily(ask: Callable[[], Any], tries: int) -> Any:
    """What Stripe answers to a step that may be repeated, before or beside what an effect is; only
    one that keeps failing fails the effect's try."""
    from stripe import APIConnectionError, APIError

    for _ in range(tries - 1):
        try:
            return ask()
        except (APIError, APIConnectionError):
            continue
    return ask()


def _options(call: Call) -> dict[str, Any]:
    return {"idempotency_key": call.key}


def _acting_for(data: dict[str, Any]) -> dict[str, Any]:
    account = data.pop("stripe_account", None)
    return {"stripe_account": account} if account else {}


def _metadata(effect: Effect) -> dict[str, str]:
    """What finds an effect again, and tells a person at Stripe where it comes from."""
    found = {KEYS.effect: effect.id, KEYS.event: effect.event[:500], KEYS.customer: effect.customer}
    for name in ("payment", "refund", "invoice"):
        found[f"bizrun_{name}"] = effect.data.get(name)
    return {key: str(value)[:500] for key, value in found.items() if value is not None}


def _amount(amount: Money) -> dict[str, Any]:
    return {"amount": payable(amount), "currency": amount.currency.lower()}


def _charged(effect: Effect) -> dict[str, str]:
    """The charge that a refund gives back."""
    charged = str(effect.data.get("reference"))
    kind = "charge" if charged.startswith(("ch_", "py_")) else "payment_intent"
    return {kind: charged}


def _default_method(customer: Any) -> str | None:
    settings = plain(customer).get("invoice_settings") or {}
    method = settings.get("default_payment_method")
    return method.get("id") if isinstance(method, Mapping) else method


def _search_customer(client: Any, customer: str) -> str | None:
    """A customer made by an earlier run; search lags a minute, which the key of creation covers."""
    quoted = customer.replace("\\", "\\\\").replace("'", "\\'")
    query = f"metadata['{KEYS.customer}']:'{quoted}'"
    from stripe import InvalidRequestError

    try:
        asked = {"query": query, "limit": 1}
        found = _steadily(lambda: client.v1.customers.search(asked), STEP_TRIES).data
    except InvalidRequestError:
        return None  # not offered in every country
    return str(found[0].id) if found else None


def _new_customer(
    client: Any, customer: str, row: Mapping[str, Any], call: Call, first: str
) -> str:
    from hashlib import sha256

    texts = {name: row.get(name) for name in ("email", "name", "phone", "description")}
    params = {k: v for k, v in texts.items() if isinstance(v, str) and v}
    params["name"] = params.get("name") or str(row.get("company") or customer)
    body = wire({**params, "metadata": {KEYS.customer: customer[:500]}})
    # A failure that Stripe keeps under a key would stand in the way of every later charge.
    again = "" if call.key == first else call.key
    key = sha256(f"customer\0{customer}\0{sorted(body.items())}{again}".encode()).hexdigest()
    options = {"idempotency_key": key}
    return str(_steadily(lambda: client.v1.customers.create(body, options), STEP_TRIES).id)


def _account(to: str, call: Call) -> str | None:
    """The connected account of a payee: named itself, or by a field of the payee's row."""
    if to.startswith("acct_"):
        return to
    for name in ("stripe_account", "account", "account_id"):
        found = (call.payee or {}).get(name)
        if isinstance(found, str) and found.startswith("acct_"):
            return found
    return None


def _ids(found: stripe_sdk.Method, data: dict[str, Any]) -> list[str]:
    """The leading arguments of a method: the text before the braces is the first of them."""
    ids = []
    for name in found.ids:
        given = data.pop("target", None) or data.pop(name, None) or data.pop("id", None)
        if given is None:
            raise ProviderError(
                f'stripe.{found.path} needs `{name}`: stripe.{found.path} "…" {{ }}'
            )
        ids.append(str(given))
    data.pop("target", None)
    return ids


def _service(client: Any, resource: str) -> Any:
    service = client.v1
    for part in resource.split("."):
        service = getattr(service, part)
    return service


def _reply(body: Answer) -> Outcome:
    """What a handler gets that waited for another method."""
    reference = body.get("id")
    data = {"ok": True, "status": 200, "body": body}
    return Outcome("succeeded", None, data, reference if isinstance(reference, str) else None)
