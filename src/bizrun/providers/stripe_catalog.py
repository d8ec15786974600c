"""The catalog of a Stripe account, its meters too: what is there, and making what is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256
from typing import Any, Literal, Protocol

from ..errors import ProviderError
from .base import MaybeSent, NotSent
from .secrets import Secrets
from .stripe import connect
from .stripe_answers import plain, refused

MOST = 10_000
# What of an object may change, and what it says of itself that can be compared.
COMPARED = {
    "product": ("name",),
    "price": ("unit_amount", "unit_amount_decimal", "currency", "recurring", "tiers_mode",
              "transform_quantity"),
    "meter": ("default_aggregation", "customer_mapping", "value_settings"),
    "coupon": ("percent_off", "amount_off", "currency", "duration", "duration_in_months",
               "max_redemptions", "redeem_by"),
}  # fmt: skip


class Item(Protocol):
    """What should be there; see `reports.catalog_items.Item`."""

    @property
    def kind(self) -> str:
        """product, price, meter or coupon."""

    @property
    def key(self) -> str:
        """Its id, a price's lookup key, or a meter's event."""

    @property
    def params(self) -> Mapping[str, Any]:
        """The parameters of its creation."""

    @property
    def meter(self) -> str | None:
        """The event of the meter that a price counts by."""

    @property
    def text(self) -> str:
        """What a person calls it."""


@dataclass(frozen=True, slots=True)
class Step:
    """What to do about an item: nothing, make it, change it, put a new price in an old one's
    place, or nothing since Stripe lets it not change."""

    item: Item
    act: Literal["same", "make", "change", "replace", "differs"]
    old: str | None = None


class Account:
    """One Stripe account, by the key of a business's settings."""

    def __init__(self, secrets: Secrets) -> None:
        self._api = connect(secrets).v1
        self._meters: dict[str, dict[str, Any]] = {}  # by the event that they count

    def steps(self, items: list[Any]) -> list[Step]:
        """What is to be done so that an account has all items."""
        return [_asked(self._step, item) for item in items]

    def _step(self, item: Item) -> Step:
        found = self._find(item)
        if found is None:
            return Step(item, "make")
        params = self._params(item)
        same = all(_same(params.get(name), found.get(name)) for name in COMPARED[item.kind])
        if same and _tiers(params.get("tiers")) == _tiers(found.get("tiers")):
            return Step(item, "same", found["id"])
        acts: dict[str, Any] = {"product": "change", "price": "replace"}
        return Step(item, acts.get(item.kind, "differs"), found["id"])

    def _params(self, item: Item) -> dict[str, Any]:
        """The parameters of an item; a price that counts by a meter names that by Stripe's id."""
        params = dict(item.params)
        if item.meter is not None:
            meter = self._meter(item.meter) or {}
            params["recurring"] = {**params["recurring"], "meter": meter.get("id")}
        return params

    def _meter(self, event: str) -> dict[str, Any] | None:
        if event not in self._meters:
            found = _all(self._api.billing.meters, {})
            self._meters = {m["event_name"]: m for m in found if m.get("status") != "inactive"}
        return self._meters.get(event)

    def _find(self, item: Item) -> dict[str, Any] | None:
        from stripe import InvalidRequestError

        if item.kind == "price":
            asked = {"lookup_keys": [item.key], "active": True, "limit": 1,
                     "expand": ["data.tiers"]}  # fmt: skip
            found = self._api.prices.list(asked).data
            return plain(found[0]) if found else None
        if item.kind == "meter":
            return self._meter(item.key)
        service = self._api.products if item.kind == "product" else self._api.coupons
        try:
            return plain(service.retrieve(item.key))
        except InvalidRequestError as error:
            if error.http_status == 404:
                return None
            raise

    def apply(self, step: Step) -> None:
        """Does a step; the same one again does nothing twice."""
        _asked(self._apply, step)

    def _apply(self, step: Step) -> None:
        params, kind = self._params(step.item), step.item.kind
        text = f"{kind}\0{step.item.key}\0{step.act}\0{step.old}\0{params!r}"
        options = {"idempotency_key": sha256(text.encode()).hexdigest()}
        services = {"product": self._api.products, "price": self._api.prices,
                    "meter": self._api.billing.meters}  # fmt: skip
        service = services.get(kind, self._api.coupons)
        match step.act:
            case "make":
                service.create(params, options)
            case "change":
                params.pop("id")
                service.update(step.old, params, options)
            case "replace":
                service.create({**params, "transfer_lookup_key": True}, options)
                self._api.prices.update(step.old, {"active": False})

    def catalog(self) -> dict[str, list[dict[str, Any]]]:
        """Its active products and prices, and its coupons, oldest first."""
        found: dict[str, list[dict[str, Any]]] = _asked(self._catalog)
        return found

    def _catalog(self) -> dict[str, list[dict[str, Any]]]:
        prices = {"active": True, "expand": ["data.tiers"]}
        return {
            "products": list(_all(self._api.products, {"active": True})),
            "prices": list(_all(self._api.prices, prices)),
            "coupons": list(_all(self._api.coupons, {})),
        }


def _all(service: Any, params: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    found = [plain(one) for _, one in zip(range(MOST), service.list(
        {**params, "limit": 100}).auto_paging_iter(), strict=False)]  # fmt: skip
    return iter(sorted(found, key=lambda one: (one.get("created") or 0, one["id"])))


def _same(wanted: Any, found: Any) -> bool:
    """Whether an object has what is wanted; what is not asked for may be anything."""
    if wanted is None:
        return True
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(
            _same(value, found.get(name)) for name, value in wanted.items()
        )
    return str(wanted) == str(found).removesuffix(".0")


def _tiers(tiers: Any) -> list[tuple[str, ...]]:
    """Tiers in one form, whichever of Stripe's fields say them."""
    found = []
    for tier in tiers or ():
        amounts = [
            Decimal(str(tier.get(f"{name}_decimal") or tier.get(name) or 0)).normalize()
            for name in ("unit_amount", "flat_amount")
        ]
        bound = tier.get("up_to")
        found.append(("inf" if bound is None else str(bound), *map(str, amounts)))
    return found


def _asked(ask: Callable[..., Any], *args: Any) -> Any:
    """What Stripe answers; ProviderError with its reason where it doesn't."""
    from stripe import StripeError

    try:
        return ask(*args)
    except StripeError as error:
        try:
            outcome = refused(error)
        except (NotSent, MaybeSent) as open_:
            raise ProviderError(f"Stripe can't be reached: {open_}") from None
        body = (outcome.data or {}).get("body") or {}
        raise ProviderError(f"Stripe refuses it: {body.get('message') or outcome.error}") from None
