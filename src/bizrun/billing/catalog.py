"""The catalog as data: plans, prices, coupons, taxes, dunning and the rules of the business.

The compiler builds these values from the spec; the rest of `billing` computes with nothing else.
All of them have a canonical JSON form, so that a subscription can keep the terms it began with.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from functools import lru_cache
from typing import Any, Literal, cast

from msgspec import NODEFAULT, Struct, field
from msgspec.structs import fields

from .. import lossless
from ..errors import EvalError
from ..values import Duration, Money, Number, Percent

Rounding = Literal["half_up", "half_even"]
Proration = Literal["day", "second", "none"]
Billing = Literal["anniversary", "calendar"]
Unit = Literal["unit", "flat", "flat always", "event", "package"]
Model = Literal["unit", "graduated", "volume", "stairstep", "package", "dimension"]
EndAction = Literal["suspend", "cancel", "mark_uncollectible"]

_NO_TAX = Percent(0)
_NO_TIME = Duration()
_THREE_DAYS = Duration(days=3)
_THIRTY_DAYS = Duration(days=30)
_INTERVAL_UNITS = {
    "day": ("day", 1), "week": ("week", 1), "month": ("month", 1), "quarter": ("month", 3),
    "year": ("year", 1),
}  # fmt: skip


class Interval(Struct, frozen=True):
    """So many days, weeks, months or years."""

    count: int
    unit: str

    def __str__(self) -> str:
        return f"{self.count} {self.unit}{'' if self.count == 1 else 's'}"

    @property
    def text(self) -> str:
        """As it is stored: `1 month`, `6 months`."""
        return _interval_text(self)

    @property
    def each(self) -> str:
        """As it stands behind `per`: `month`, `6 months`."""
        return self.unit if self.count == 1 else self.text

    @property
    def duration(self) -> Duration:
        """The calendar duration: a year is 12 months, a week 7 days."""
        return Duration.of(self.count, self.unit)


@lru_cache(maxsize=256)
def _interval_text(of: Interval) -> str:
    return str(of)


@lru_cache(maxsize=256)
def interval(text: str) -> Interval:
    """Reads `month`, `1 month`, `6 months`, `quarter`; EvalError where it is none."""
    count, _, unit = text.strip().rpartition(" ")
    name, factor = _INTERVAL_UNITS.get(unit.removesuffix("s"), ("", 0))
    if not name or not (count or "1").isdecimal() or int(count or 1) < 1:
        raise EvalError(f"`{text[:40]}` is no interval like `month` or `6 months`")
    return Interval(int(count or 1) * factor, name)


# Prices


class RatePart(Struct, frozen=True):
    """One product of a rate.

    unit: "unit" `amount` for every `size` units, in proportion (a percent: of the quantity, which
    is then an amount in the price's currency); "package" for every started `size` units; "event"
    for each counted event; "flat" once where the tier is entered; "flat always" also with none.
    """

    amount: Money | Percent
    unit: Unit = "unit"
    size: Number = 1


class Rate(Struct, frozen=True):
    """The sum of its parts, within bounds; `free` has no parts.

    `most_each` and `least_each` are bounds of what a single counted event costs.
    """

    parts: tuple[RatePart, ...] = ()
    at_most: Money | None = None
    at_least: Money | None = None
    most_each: Money | None = None
    least_each: Money | None = None

    @property
    def bounded(self) -> bool:
        """Whether what all of it costs has bounds."""
        return self.at_most is not None or self.at_least is not None

    @property
    def by_event(self) -> bool:
        """Whether what each event costs has bounds."""
        return self.most_each is not None or self.least_each is not None


class Tier(Struct, frozen=True):
    """A rate up to and including the unit `bound`; None: without end."""

    bound: Number | None
    rate: Rate


class DimensionRate(Struct, frozen=True):
    """The price for these values of the dimensions; None stands for any other value."""

    values: tuple[str | None, ...]
    pricing: Pricing


class Pricing(Struct, frozen=True):
    """How a quantity becomes money.

    "unit" and "package" have a rate (of each started package of `package` units); "graduated",
    "volume" and "stairstep" have tiers, and the bounds of `rate`; "dimension" has cases. Any model
    with `dimensions` rates each of their values by itself.
    """

    model: Model = "unit"
    rate: Rate = Rate()
    tiers: tuple[Tier, ...] = ()
    package: Number = 1
    dimensions: tuple[str, ...] = ()
    cases: tuple[DimensionRate, ...] = ()

    @property
    def free(self) -> bool:
        """Whether it is nothing but `free`."""
        return self == Pricing()


# What a quantity counts of an addon whose prices are not per something: the addon itself.
ITSELF = ""


class Price(Struct, frozen=True):
    """A fixed part for each interval, in advance or in arrears; interval None: once.

    `per_unit` names what the subscription's quantity counts ("seat"), or is ITSELF; None: whatever
    quantity.
    """

    currency: str
    interval: Interval | None
    pricing: Pricing
    per_unit: str | None = None
    arrears: bool = False
    providers: Mapping[str, Any] = field(default_factory=dict)

    def __hash__(self) -> int:
        """Cheap, for what is remembered by price: there are few of them."""
        return hash(self.currency)


class UsagePrice(Struct, frozen=True):
    """What a meter's usage costs; currency None: free or a percentage, good for any.

    `interval` is the meter's own period, None the plan's.
    """

    meter: str
    pricing: Pricing
    currency: str | None = None
    interval: Interval | None = None


class Carried(Struct, frozen=True):
    """What is left of an allowance goes on to its next periods: so many of them (None: all), and
    at most so much of it into one."""

    periods: int | None = None
    most: Number | None = None


class Includes(Struct, frozen=True):
    """An allowance of a meter for each of its periods; `events`: the first so many of those that
    it counts, whatever they count."""

    meter: str
    quantity: Number
    prorated: bool = False
    carried: Carried | None = None
    events: bool = False


# Plans


class Terms(Struct, frozen=True):
    """What a phase or a dated version says; None where the plan's own line goes on holding.

    Limits and provider ids are laid over the plan's by key, all else replaces it.
    """

    prices: tuple[Price, ...] | None = None
    usages: tuple[UsagePrice, ...] | None = None
    includes: tuple[Includes, ...] | None = None
    trial: Duration | None = None
    features: tuple[str, ...] | None = None
    limits: Mapping[str, Number] | None = None
    limit_types: Mapping[str, str] | None = None
    minimums: tuple[Money, ...] | None = None
    maximums: tuple[Money, ...] | None = None
    seats: tuple[Number, Number] | None = None
    bill_usage_at: tuple[Money, ...] | None = None
    only: tuple[str, ...] | None = None
    phases: tuple[Phase, ...] | None = None
    providers: Mapping[str, Any] | None = None
    data: Mapping[str, Any] | None = None


class Phase(Struct, frozen=True):
    """Terms that hold for a while, before the plan's plain lines do."""

    title: str
    duration: Duration
    terms: Terms


class Version(Struct, frozen=True):
    """Terms for who subscribes from a date on.

    `migrate` says when running subscriptions come over: "renewal", "now", or "where" (at the
    renewal of those for whom the condition `where` holds: the caller knows it by that name).
    """

    start: date
    terms: Terms
    migrate: Literal["renewal", "now", "where"] | None = None
    where: str | None = None


class Plan(Struct, frozen=True):
    """A plan or an addon: what it costs, what it allows.

    Limits and the bounds of `seats` may be `values.UNLIMITED`; `limit_types` says "number" or
    "size" by limit. `data` holds an author's own keys. Amounts come once for each currency.
    """

    name: str
    title: str = ""
    prices: tuple[Price, ...] = ()
    usages: tuple[UsagePrice, ...] = ()
    includes: tuple[Includes, ...] = ()
    trial: Duration | None = None
    features: tuple[str, ...] = ()
    limits: Mapping[str, Number] = field(default_factory=dict)
    limit_types: Mapping[str, str] = field(default_factory=dict)
    minimums: tuple[Money, ...] = ()
    maximums: tuple[Money, ...] = ()
    seats: tuple[Number, Number] | None = None
    bill_usage_at: tuple[Money, ...] = ()
    phases: tuple[Phase, ...] = ()
    versions: tuple[Version, ...] = ()
    addon: bool = False
    only: tuple[str, ...] = ()
    providers: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)

    def __hash__(self) -> int:
        """Cheap, for what is remembered by plan: there are few of a name."""
        return hash(self.name)

    def minimum(self, currency: str) -> Money | None:
        """The least that base and usage of a period cost."""
        return in_currency(self.minimums, currency)

    def maximum(self, currency: str) -> Money | None:
        """The most that base and usage of a period cost."""
        return in_currency(self.maximums, currency)


# Coupons, taxes, dunning, the business


class Coupon(Struct, frozen=True):
    """`once`: one invoice; `duration`: lines whose period begins within it; neither: for ever.

    `only` names plans, add-ons and meters: it discounts their lines alone.
    """

    name: str
    off: Percent | Money
    once: bool = False
    duration: Duration | None = None
    once_per_customer: bool = False
    times: int | None = None
    until: date | None = None
    only: tuple[str, ...] = ()


class Tax(Struct, frozen=True):
    """A tax; which lines it holds for is the caller's question. `provider` computes it if set."""

    name: str
    rate: Percent = _NO_TAX
    inclusive: bool = False
    provider: str | None = None


class Dunning(Struct, frozen=True):
    """When a failed payment is tried again, and what happens in the end.

    `after` counts from the first failure; `every` counts each of `times` from the one before,
    twice as long each time if `doubling`. Then `action`; `grace` later `grace_action`.
    """

    name: str
    after: tuple[Duration, ...] = ()
    every: Duration | None = None
    times: int = 0
    doubling: bool = False
    action: EndAction | None = None
    grace: Duration | None = None
    grace_action: EndAction | None = None


class BillingSettings(Struct, frozen=True):
    """The choices of the `business` block, with their defaults."""

    currency: str = "USD"
    timezone: str = "UTC"
    rounding: Rounding = "half_up"
    proration: Proration = "day"
    billing: Billing = "anniversary"
    grace: Duration = _NO_TIME
    trial_notice: Duration = _THREE_DAYS
    credit: Literal["after_tax", "before_tax"] = "after_tax"
    collect: Literal["automatic", "by_invoice"] = "automatic"
    due_after: Duration = _THIRTY_DAYS
    invoice_number: str = "INV-{year}-{seq:05}"
    credit_note_number: str = "CN-{seq:05}"
    smallest_charge: tuple[Money, ...] = ()
    lost_disputes: Literal["dun", "reopen", "write_off"] = "dun"

    def __hash__(self) -> int:
        """Cheap, for what is remembered by settings: a business has one of them."""
        return hash(self.timezone)

    @property
    def half_even(self) -> bool:
        """Whether lines round half to even rather than half away from zero."""
        return self.rounding == "half_even"


class Catalog(Struct, frozen=True):
    """All that a spec says about money."""

    settings: BillingSettings = BillingSettings()
    plans: Mapping[str, Plan] = field(default_factory=dict)
    coupons: Mapping[str, Coupon] = field(default_factory=dict)
    taxes: tuple[Tax, ...] = ()
    dunnings: Mapping[str, Dunning] = field(default_factory=dict)


# Choosing


def in_currency(amounts: tuple[Money, ...], currency: str) -> Money | None:
    """The amount of that currency, if there is one."""
    return next((amount for amount in amounts if amount.currency == currency), None)


@lru_cache(maxsize=1024)
def choose_prices(plan: Plan, currency: str, interval: Interval | None = None) -> tuple[Price, ...]:
    """The prices that hold together: one currency, one interval (None: the first one's).

    A plan may have a fixed price and one for each seat under the same interval; both are then
    due. Empty where the plan has no such price.
    """
    found = [price for price in plan.prices if price.currency == currency]
    if interval is None and found:
        interval = found[0].interval
    return tuple(price for price in found if same_interval(price.interval, interval))


def sold_at(plan: Plan) -> tuple[Price, ...]:
    """The prices that a plan is sold at: its plain ones, or, of one that has none, those of its
    first phase that has some."""
    phased = (phase.terms.prices for phase in plan.phases if phase.terms.prices)
    return plan.prices or next(phased, ())


def same_interval(left: Interval | None, right: Interval | None) -> bool:
    """Whether two intervals are as long: 12 months are a year, 7 days a week."""
    if left is None or right is None:
        return left is right
    return left == right or left.duration == right.duration


@lru_cache(maxsize=1024)
def choose_usages(plan: Plan, currency: str) -> tuple[UsagePrice, ...]:
    """The usage prices that hold for a currency, in the plan's order; one of a kind a meter.

    A price of that currency goes before one without a currency.
    """
    best: dict[tuple[str, Interval | None], UsagePrice] = {}
    for usage in plan.usages:
        key = (usage.meter, usage.interval)
        if usage.currency == currency or (usage.currency is None and key not in best):
            best[key] = usage
    return tuple(best.values())


def every_usage(plan: Plan) -> Iterator[UsagePrice]:
    """The usage prices of a plan, of its phases and dated versions too."""
    for terms in _every_terms(plan):
        yield from terms.usages or ()


def charged_meters(plan: Plan) -> set[str]:
    """The meters that a plan has a price for, in its phases and dated versions too."""
    return {price.meter for price in every_usage(plan) if not price.pricing.free}


def bills_at_an_amount(plan: Plan) -> bool:
    """Whether a plan, in a phase or dated version too, bills usage in mid-period at an amount."""
    return any(terms.bill_usage_at for terms in _every_terms(plan))


def rated_by_event(plan: Plan, addons: Sequence[Plan] = ()) -> Iterator[str]:
    """The meters of a plan that have a price which depends on what single events counted; `addons`
    are those that may include some of them."""
    every = (terms for each in (plan, *addons) for terms in _every_terms(each))
    lines = [line for terms in every for line in terms.includes or ()]
    first = {line.meter for line in lines if line.events}
    for price in every_usage(plan):
        if price.meter in first or by_event(price.pricing):
            yield price.meter


def by_event(pricing: Pricing) -> bool:
    """Whether a price depends on what single events counted: it bounds what each of them costs,
    or has a fixed part for each that takes nothing back."""
    rates = [pricing.rate, *[tier.rate for tier in pricing.tiers]]
    for rate in rates:
        if rate.by_event or "event" in [part.unit for part in rate.parts]:
            return True
    return any(by_event(case.pricing) for case in pricing.cases)


def _every_terms(plan: Plan) -> Iterator[Plan | Terms]:
    """A plan, its phases and dated versions, and the phases of those."""
    said: list[Plan | Terms] = [plan, *(version.terms for version in plan.versions)]
    for terms in said:
        yield terms
        yield from (phase.terms for phase in terms.phases or ())


def allowances(plan: Plan, meter: str) -> tuple[Includes, ...]:
    """What the plan includes of a meter: its own line, and those of its add-ons."""
    return tuple(line for line in plan.includes if line.meter == meter and not line.events)


def free_events(plan: Plan, meter: str) -> int | None:
    """How many events of a meter's period are free; none where that is not said."""
    found = [line.quantity for line in plan.includes if line.meter == meter and line.events]
    return int(sum(found, 0)) if found else None


def included(plan: Plan, meter: str) -> Number | None:
    """How much the plan includes of a meter in a whole period; none where it says nothing."""
    found = allowances(plan, meter)
    return sum((line.quantity for line in found), 0) if found else None


# JSON


def to_json(value: Any) -> Any:
    """Any value of this module, or what it holds, as plain JSON; defaults are left out."""
    if isinstance(value, Struct):
        said = {
            f.name: to_json(getattr(value, f.name))
            for f in fields(value)
            if getattr(value, f.name) != _default(f)
        }
        return {f"${type(value).__name__}": said}
    if isinstance(value, Mapping):
        inner = {key: to_json(item) for key, item in value.items()}
        # Keys that look like our own tags are kept apart from them.
        return {"$map": inner} if len(inner) == 1 and next(iter(inner))[:1] == "$" else inner
    if isinstance(value, tuple | list):
        return [to_json(item) for item in value]
    return lossless.to_json(value)


def from_json(value: Any) -> Any:
    """The inverse of `to_json`; lists come back as tuples."""
    if isinstance(value, list):
        return tuple(from_json(item) for item in value)
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        tag, inner = next(iter(value.items()))
        if tag == "$map":
            return {key: from_json(item) for key, item in inner.items()}
        if kind := CLASSES.get(tag):
            return kind(**{key: from_json(item) for key, item in inner.items()})
        if tag.startswith("$"):
            return lossless.from_json(value)
    return {key: from_json(item) for key, item in value.items()}


def _default(field_: Any) -> Any:
    if field_.default_factory is not NODEFAULT:
        return field_.default_factory()
    return field_.default


CLASSES = cast(
    "dict[str, type[Any]]",
    {
        f"${kind.__name__}": kind
        for kind in (
            Interval, RatePart, Rate, Tier, DimensionRate, Pricing, Price, UsagePrice, Carried,
            Includes, Terms, Phase, Version, Plan, Coupon, Tax, Dunning, BillingSettings, Catalog,
        )
    },
)  # fmt: skip
