"""What a random business sells and how it rounds: values of the independent calculation."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from fractions import Fraction
from typing import Any

# When the first customers come.
FIRST = datetime(2023, 10, 1, tzinfo=UTC)
# The taxes of each country.
TAXES: dict[str, tuple[Fraction, ...]] = {
    "T0": (),
    "T1": (Fraction(8, 100),),
    "T2": (Fraction(825, 10000), Fraction(5, 100)),
}
EXPONENTS = {"USD": 2, "EUR": 2, "JPY": 0, "KWD": 3}


@dataclass(frozen=True)
class Rules:
    """The choices of a `business` block."""

    currency: str = "USD"
    zone: str = "UTC"
    rounding: str = "half_up"
    proration: str = "day"
    calendar: bool = False
    credit: str = "after_tax"
    inclusive: bool = False

    def round(self, value: Fraction) -> Fraction:
        """To whole minor units: halves away from zero, or to the even one."""
        units = 10 ** EXPONENTS[self.currency]
        scaled = abs(value) * units
        whole, rest = divmod(scaled.numerator, scaled.denominator)
        twice = 2 * rest - scaled.denominator
        if twice > 0 or (twice == 0 and (self.rounding == "half_up" or whole % 2)):
            whole += 1
        return Fraction(whole if value >= 0 else -whole, units)


@dataclass(frozen=True)
class Tier:
    """Up to and with `up_to` units (None: above), at a unit price and with a flat amount."""

    up_to: int | None
    unit: Fraction
    flat: Fraction = Fraction(0)
    always: bool = False


@dataclass(frozen=True)
class Usage:
    """A usage price: `each`, `graduated`, `volume`, `stairstep`, `package` or `share`."""

    meter: str
    model: str
    tiers: tuple[Tier, ...] = ()
    package: int = 1
    unit: Fraction = Fraction(0)
    fixed: Fraction = Fraction(0)
    includes: int = 0
    prorated: bool = False
    monthly: bool = False
    by: tuple[tuple[str, Fraction], ...] = ()
    first: int = 0
    """So many of the first events are free."""
    carried: tuple[int | None, int | None] | None = None
    """What is left goes on: for how many more periods, and how much of it at most."""


@dataclass(frozen=True)
class Plan:
    """What one plan costs; `seats` are the tiers of a price per seat."""

    name: str
    price: Fraction
    interval: tuple[int, str]
    seats: tuple[Tier, ...] = ()
    seat_model: str = ""
    """What a quantity counts: "each" seat, by tiers, or, of an add-on, "itself"."""
    arrears: bool = False
    trial: int = 0
    usages: tuple[Usage, ...] = ()
    minimum: Fraction | None = None
    maximum: Fraction | None = None
    threshold: Fraction | None = None
    """Usage is billed in mid-period whenever it reaches this."""
    phases: tuple[tuple[int, Fraction], ...] = ()
    """For so many months this price, before the plan's own."""
    versions: tuple[tuple[date, Fraction, str], ...] = ()
    """From a date this price: "" for new subscriptions, or who comes over: "renewal", "now"."""


@dataclass(frozen=True)
class Coupon:
    """A percentage or an amount off: `once`, for so many months, or as long as it lasts."""

    name: str
    percent: Fraction | None
    amount: Fraction
    once: bool = False
    months: int | None = None
    meters: tuple[str, ...] = ()
    """The meters whose usage alone it discounts."""


@dataclass(frozen=True)
class Act:
    """Something that happens to a customer; `data` are its fields."""

    at: datetime
    kind: str
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Buyer:
    """A customer: where, what taxes hold there, and all that happens in order."""

    key: str
    zone: str
    taxes: tuple[Fraction, ...]
    country: str
    acts: tuple[Act, ...]
    poor: bool = False
    """Whether every charge is declined."""


@dataclass
class Line:
    """One line as the calculation sees it; `share` is its part of the discounts."""

    amount: Fraction
    kind: str
    begins: Any = None
    discounted: bool = True
    note: str = ""
    meter: str = ""
    owner: Any = None
    """The subscription that it is of, where an invoice has lines of several."""
    part: Fraction = Fraction(1)
    """Of a change's charge, the part of the period that is left; `change`: which change it is;
    `beside`: what the rest costs of the prices that the change leaves alone."""
    change: Any = None
    beside: Fraction = Fraction(0)
    share: Fraction = Fraction(0)
    tax: Fraction = Fraction(0)
    given: Fraction = Fraction(0)
    """What credit notes gave back of it, before tax; `sent`: what refunds of its payment did."""
    sent: Fraction = Fraction(0)
    inside: bool = False
    """Whether it corrects usage of the period that runs."""
    bounded: Any = None
    """The settled period that it corrects, or whose maximum it is of; of one that runs, True."""
    back: Fraction = Fraction(0)
    """What corrections gave back of it, discounted; `of`: of which lines it gives back how much."""
    of: list[tuple[Line, Fraction]] = field(default_factory=list)
    noted: list[tuple[Bill, Fraction]] = field(default_factory=list)
    """On which invoices it is noted what it gives back of them."""
    rates: tuple[Fraction, ...] | None = None
    """The taxes that it came with; of what is given back, those of then (None: those of now)."""
    taxed: Fraction = Fraction(1)
    """Which part of it was taxed: not what credit before tax had paid."""
    most: Fraction | None = None
    """What it may give back with its tax."""

    @property
    def left(self) -> Fraction:
        """What is still charged of it, discounted, before tax."""
        return self.amount - self.share - self.given - self.sent - self.back


@dataclass
class Bill:
    """What an invoice should say."""

    at: datetime
    lines: list[Line]
    discount: Fraction
    tax: Fraction
    total: Fraction
    credit: Fraction
    due: Fraction
    why: str = ""
    open: Fraction = Fraction(0)
    paid: Fraction = Fraction(0)
    """What was collected for it, and what of that was sent back."""
    refunded: Fraction = Fraction(0)
    void: bool = False
    took: list[Any] = field(default_factory=list)
    """Which grants it was paid with, and how much of each; `once`: the coupons it used up."""
    once: list[Any] = field(default_factory=list)
    sells: Any = None
    """The grant of credit that it sells."""
    returned: Fraction = Fraction(0)
    """What was given back of it, with tax: by later changes and by credit notes."""
