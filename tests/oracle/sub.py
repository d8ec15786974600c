"""One subscription on its way: its period, what was charged for it, its usage."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from fractions import Fraction
from typing import Any

from .books import ZERO, Attached
from .calendars import Cycle
from .world import Bill, Line, Plan, Usage


@dataclass
class Held:
    """What was charged for a stretch of time, and can still be given back."""

    line: Line
    start: datetime
    end: datetime
    item: str = ""

    @property
    def net(self) -> Fraction:
        """The amount less its part of the discounts."""
        return self.line.amount - self.line.share


@dataclass
class Window:
    """A usage period that was billed, and for how much."""

    usage: Usage
    start: datetime
    end: datetime
    included: Fraction
    item: str = ""
    period: Fraction = ZERO
    """How many seconds the whole period has that it is of."""
    billed: dict[str, Fraction] = field(default_factory=dict)
    lines: dict[str, list[Line]] = field(default_factory=dict)
    before: tuple[Window, ...] = ()
    """The windows of the same meter before it."""
    whole: bool = True
    plan: int = 0
    """Of which of the subscription's plans, counted."""


@dataclass
class Settled:
    """A period whose minimum and maximum were settled: what it cost, and what they made of it."""

    start: datetime
    end: datetime
    low: Fraction | None
    high: Fraction | None
    cost: Fraction
    made: Fraction = ZERO


@dataclass(eq=False)
class Sub:
    """One subscription on its way."""

    plan: Plan
    quantity: int
    opened: datetime
    anchor_day: int | None
    cycle: Cycle | None = None
    n: int = 0
    status: str = "active"
    ends: datetime | None = None
    next_plan: Plan | None = None
    next_quantity: int | None = None
    cancelling: bool = False
    coupons: list[Attached] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)
    waiting: list[Line] = field(default_factory=list)
    since: datetime | None = None
    plan_since: datetime | None = None
    usage_from: dict[tuple[str, str], datetime] = field(default_factory=dict)
    """Where the running usage begins, by add-on ("" for the plan) and meter."""
    base_billed: Fraction = ZERO
    windows: list[Window] = field(default_factory=list)
    settled: list[Settled] = field(default_factory=list)
    partly: dict[str, Window] = field(default_factory=dict)
    """What thresholds have billed of the running windows, by meter."""
    billed: list[Bill] = field(default_factory=list)
    """The invoices that charged for the running period."""
    addons: dict[str, tuple[Plan, int]] = field(default_factory=dict)
    plan_began: date | None = None
    """The local date from which the plan holds for it."""
    phases_from: datetime | None = None
    """Where a change began the plan's phases; else they begin with the first paid period."""
    plans: int = 0
    """How often its plan was changed."""
    moved: datetime | None = None
    """When a version took it over within the running period."""

    @property
    def metered(self) -> list[tuple[str, Usage]]:
        """The usage prices of the plan (under "") and of the add-ons."""
        found = [("", usage) for usage in self.plan.usages]
        for name, (addon, _) in self.addons.items():
            found += [(name, usage) for usage in addon.usages]
        return found

    def use_from(self, at: datetime, item: str | None = None) -> None:
        """Has usage begin at an instant: all of it, or that of one add-on."""
        if item is None:
            self.usage_from = {}
        for name, usage in self.metered:
            if item in (None, name):
                self.usage_from[name, usage.meter] = at

    @property
    def start(self) -> datetime:
        """Where the running period begins."""
        assert self.cycle is not None
        return self.cycle.on(self.n)

    @property
    def end(self) -> datetime:
        """Where the running period ends."""
        assert self.cycle is not None
        return self.cycle.on(self.n + 1)


def measure(meter: str, seen: list[dict[str, Any]]) -> Fraction:
    """What a meter says of events in their order of time."""
    units = [data["units"] for data in seen]
    match meter:
        case "calls" | "payments" | "chat":
            return sum(units, ZERO)
        case "hits":
            return Fraction(len(units))
        case "peak":
            return max(units, default=ZERO)
        case "newest":
            return units[-1] if units else ZERO
        case "people":
            return Fraction(len({data["who"] for data in seen}))
    raise AssertionError(meter)
