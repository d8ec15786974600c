"""One subscription on its way: its period, what was charged for it, its usage."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from fractions import Fraction
from math import inf
from typing import Any

from .books import ZERO, Attached
from .calendars import Cycle
from .world import Bill, Line, Plan, Usage

# A place in what happens to a customer: an instant, and at it the turn in which it was handled.
# Boundaries come before all that is handled then, what comes late for an instant behind it.
Place = tuple[datetime, float]
FIRST_OF_ALL, LATE = -1.0, inf


@dataclass
class Used:
    """One count: where it belongs, when it came, and what it says; corrections replace that."""

    place: Place
    came: Place
    data: dict[str, Any]
    corrections: list[tuple[Place, datetime, dict[str, Any]]] = field(default_factory=list)

    @property
    def at(self) -> datetime:
        """Its own time."""
        return self.place[0]

    def by(self, now: Place) -> dict[str, Any]:
        """What it says by what has come until then: its newest correction."""
        known = [each for each in self.corrections if each[0] < now]
        newest = max(known, key=lambda each: (each[1], each[0]), default=None)
        return self.data if newest is None else {**self.data, **newest[2]}


@dataclass
class Held:
    """What was charged for a stretch of time, and can still be given back."""

    line: Line
    start: datetime
    end: datetime
    item: str = ""


@dataclass
class Window:
    """A usage period that was billed, and for how much."""

    usage: Usage
    since: Place
    until: Place
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

    @property
    def start(self) -> datetime:
        """The instant at which it begins."""
        return self.since[0]

    @property
    def end(self) -> datetime:
        """The instant at which it ends."""
        return self.until[0]


@dataclass
class Settled:
    """A period whose minimum and maximum were settled: what it cost, and what they made of it."""

    begins: date
    since: Place
    until: Place
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
    usage_from: dict[tuple[str, str], Place] = field(default_factory=dict)
    """Where the running usage begins, by add-on ("" for the plan) and meter."""
    base_billed: Fraction = ZERO
    """What was charged of base and usage of the running period, for its minimum and maximum, and
    what was taken off above the maximum within it."""
    capped: Fraction = ZERO
    paused: Place = (datetime.min.replace(tzinfo=UTC), FIRST_OF_ALL)
    bounds_from: Place = (datetime.min.replace(tzinfo=UTC), FIRST_OF_ALL)
    """Where what these bound begins."""
    windows: list[Window] = field(default_factory=list)
    settled: list[Settled] = field(default_factory=list)
    partly: dict[tuple[str, str], Window] = field(default_factory=dict)
    """What was billed of the running windows before their end, by add-on and meter."""
    billed: list[Bill] = field(default_factory=list)
    """The invoices that charged for the running period."""
    addons: dict[str, tuple[Plan, int]] = field(default_factory=dict)
    added: dict[str, int] = field(default_factory=dict)
    """How often each add-on was added."""
    plan_began: date | None = None
    """The local date from which the plan holds for it."""
    phases_from: datetime | None = None
    """Where a change began the plan's phases; else they begin with the first paid period."""
    plans: int = 0
    """How often its plan was changed."""
    moved: datetime | None = None
    """When a version took it over within the running period."""

    @property
    def trying(self) -> bool:
        """Whether its trial is not over: it may rest in it."""
        return self.status in ("trialing", "paused") and self.cycle is None

    @property
    def metered(self) -> list[tuple[str, Usage]]:
        """The usage prices of the plan (under "") and of the add-ons."""
        found = [("", usage) for usage in self.plan.usages]
        for name, (addon, _) in self.addons.items():
            found += [(name, usage) for usage in addon.usages]
        return found

    def use_from(self, at: Place, item: str | None = None) -> None:
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
