"""Lives of customers whose usage is hard to tell apart: changes and counts of one instant, add-ons
that rate a meter by periods of their own, corrections, and bills within a period."""

from __future__ import annotations

from datetime import datetime, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from .calendars import instant, local_date, shift
from .world import Act, Plan

if TYPE_CHECKING:
    from random import Random

    from .scenarios import Maker
    from .world import Rules

MICROSECOND = timedelta(microseconds=1)
METERED = ("use_0", "use_1", "use_2")
BOUNDED = ("use_4", "use_5", "bound_0", "bound_1", "part_1", "part_2")


class UsageLives:
    """What `Acts` has of such lives."""

    m: Maker
    r: Random
    rules: Rules
    zone: str
    start: datetime
    acts: list[Act]
    coupons: list[Any]
    whole: bool
    poor: bool
    """Whether nobody pays."""
    _credits: bool

    def _add(self, at: datetime, kind: str, /, **data: Any) -> None:
        raise NotImplementedError

    def _later(self, low: int = 1, high: int = 40) -> datetime:
        raise NotImplementedError

    def _subscribe(self, plan: str, deal: str = "", **more: Any) -> str:
        raise NotImplementedError

    def _use(self, plan: str, days: int) -> None:
        raise NotImplementedError

    def _use_of(self, found: Plan, days: int) -> None:
        raise NotImplementedError

    def _usage_event(self, meter: str, at: datetime) -> None:
        raise NotImplementedError

    def _change(self, deal: str, plan: str, at: datetime) -> None:
        raise NotImplementedError

    def _have_late(self) -> None:
        raise NotImplementedError

    def _end_or_have_late(self, deal: str) -> None:
        raise NotImplementedError

    def _end(self, deal: str, late: bool = False) -> None:
        raise NotImplementedError

    def _life_flat(self) -> None:
        raise NotImplementedError

    def _changes(self) -> bool:
        """Whether what changes in mid-period is prorated by a written rule."""
        return self._credits and self.rules.proration != "none"

    def _meters(self, plan: str) -> tuple[str, ...]:
        known = {p.name: p for p in (*self.m.plans, *self.m.addons)}
        return tuple(usage.meter for usage in known[plan].usages)

    def _life_instants(self) -> None:
        """Much that happens at one instant: counts, changes, add-ons, pauses; and what comes late
        for it."""
        if not self._changes():
            return self._life_flat()
        plan = self.r.choice((*METERED, "flat_0"))
        deal = self._subscribe(plan)
        self._use(plan, 150)
        on = False
        for _ in range(self.r.randint(1, 3)):
            at = self._boundary() if self.r.random() < 0.3 else self._later(2, 40)
            for _ in range(self.r.randint(2, 7)):
                match self.r.choice(("use", "use", "use", "change", "addon", "rest")):
                    case "change":
                        plan = self.r.choice((*METERED, plan, "flat_0"))
                        self._change(deal, plan, at)
                    case "addon":
                        on = not on
                        self._add(at, "addon", deal=deal, addon="extra_use", quantity=int(on))
                    case "rest":
                        self._add(at, "pause", deal=deal)
                        self._count_at(at, plan, on)
                        self._add(at, "resume", deal=deal)
                    case _:
                        self._count_at(at, plan, on)
            self._around(at, plan, on)
        for name in METERED:
            self._use(name, 200)
        return None

    def _count_at(self, at: datetime, plan: str, on: bool) -> None:
        meters = (*self._meters(plan), *(self._meters("extra_use") if on else ()), "calls")
        self._usage_event(self.r.choice(meters), at)

    def _around(self, at: datetime, plan: str, on: bool) -> None:
        """What comes late for an instant, or for just before and behind it."""
        for _ in range(self.r.choice((0, 1, 3))):
            off = self.r.choice((-1, 0, 0, 1)) * MICROSECOND
            self._count_at(at + off, plan, on)
            sent = self.at + timedelta(seconds=self.r.randint(1, 50 * 86_400))
            self.acts[-1].data["sent"] = sent

    def _boundary(self) -> datetime:
        """A midnight that may end a period, behind all that was so far."""
        day = local_date(self.start, self.zone)
        after = max(self.at, self.start)
        k = 1
        while (at := instant(shift(day, k, "month"), self.zone)) <= after:
            k += 1
        self.at = at
        return at

    def _life_corrected(self) -> None:
        """Counts that are replaced, before and after they were billed, also more than once."""
        plan = self.r.choice((*METERED, "use_3", "part_0"))
        deal = self._subscribe(plan)
        self._use(plan, 200)
        if self._changes() and self.r.random() < 0.4:
            plan = self.r.choice(METERED)
            self._change(deal, plan, self._later(10, 120))
            self._use(plan, 200)
        counts = [act for act in self.acts if act.kind == "usage"]
        for n, act in enumerate(counts):
            if self.r.random() < 0.3:
                act.data["id"] = f"u{n}"
                for _ in range(self.r.choice((1, 1, 2))):
                    self._correct(act)
        if self.r.random() < 0.4:
            self._have_late()

    def _correct(self, act: Act) -> None:
        """Replaces what a count says, some time behind it."""
        at = act.at + timedelta(seconds=self.r.randint(1, 60 * 86_400))
        self._usage_event(act.data["meter"], at)
        says = {name: self.acts[-1].data[name] for name in ("units", "who", "by")
                if name in self.acts[-1].data}  # fmt: skip
        if act.data["meter"] in ("calls", "payments") and self.r.random() < 0.3:
            says["units"] = Fraction(0)
        self.acts[-1] = Act(at, "usage", {"meter": act.data["meter"], "corrects": act.data["id"],
                                          "says": says})  # fmt: skip

    def _life_above(self) -> None:
        """Usage of add-ons, and bills within a period, under a minimum or a maximum."""
        if not self._changes():
            return self._life_flat()
        self.coupons, self.whole = [], True
        plan = self.r.choice(BOUNDED)
        deal = self._subscribe(plan, quantity=self.r.randint(1, 5))
        self._use(plan, 200)
        self._use_of(self.m.addons[2], 200)
        on = False
        for _ in range(self.r.randint(1, 6)):
            match self.r.choice(("addon", "addon", "ask", "change")):
                case "ask":
                    self._add(self._later(0, 25), "ask", deal=deal)
                case "change":
                    plan = self.r.choice(BOUNDED)
                    self._use(plan, 200)
                    self._change(deal, plan, self._later(0, 40))
                case _:
                    on = not on
                    self._add(
                        self._later(0, 25), "addon", deal=deal, addon="extra_use", quantity=int(on)
                    )
        if self.r.random() < 0.5:
            self._have_late()
        return None

    def _life_rhythms(self) -> None:
        """Add-ons that rate the plan's meter by the month, and by the plan's own period."""
        if not self._changes() or self.rules.calendar:
            return self._life_flat()
        deal = self._subscribe("yearly_use")
        self._use("yearly_use", 400)
        on: set[str] = set()
        for _ in range(self.r.randint(1, 6)):
            name = self.r.choice(("extra_month", "extra_whole"))
            on ^= {name}
            at = self._later(1, 60)
            self._add(at, "addon", deal=deal, addon=name, quantity=int(name in on))
            if self.r.random() < 0.3:
                self._usage_event("calls", at)
        if self.r.random() < 0.5:
            self._have_late()
        return None

    def _life_asked(self) -> None:
        """Usage that is billed when it is asked for, beside changes and late counts."""
        plan = self.r.choice((*METERED, "part_0"))
        deal = self._subscribe(plan)
        self._use(plan, 200)
        for _ in range(self.r.randint(1, 5)):
            if self._changes() and self.r.random() < 0.3:
                plan = self.r.choice((*METERED, "part_0"))
                self._use(plan, 200)
                self._change(deal, plan, self._later(5, 60))
            else:
                self._add(self._later(1, 25), "ask", deal=deal)
        if self.r.random() < 0.5:
            self._have_late()

    def _life_tried(self) -> None:
        """A trial, with changes and add-ons in it and behind it."""
        if not self._changes():
            return self._life_flat()
        plans = ("tried_0", "tried_1", "tried_2")
        plan = self.r.choice(plans)
        if plan == "tried_2":
            self.coupons, self.whole = [], True
        deal = self._subscribe(plan)
        self._use(plan, 120)
        self._use_of(self.m.addons[2], 120)
        on: set[str] = set()
        for n in range(self.r.randint(1, 6)):
            at = self._later(0, 5) if n < 3 else self._later(0, 30)
            if self.r.random() < 0.3:
                plan = self.r.choice(plans if plan != "tried_2" and not self.coupons else (plan,))
                self._change(deal, plan, at)
                self._use(plan, 120)
                continue
            name = self.r.choice(("extra_flat", "extra_use", "extra_seat"))
            on ^= {name}
            self._add(at, "addon", deal=deal, addon=name, quantity=int(name in on))
        return self._end_or_have_late(deal)

    def _life_waiting(self) -> None:
        """Changes of plans with usage whose lines wait for the next invoice."""
        if not self._changes():
            return self._life_flat()
        plans = (*METERED, "flat_0", "flat_1", "late_0")
        plan = self.r.choice(plans)
        deal = self._subscribe(plan)
        for name in plans:
            self._use(name, 150)
        for _ in range(self.r.randint(1, 5)):
            self._add(
                self._later(0, 30), "change", deal=deal, plan=self.r.choice(plans), when="now",
                prorate=self.r.random() < 0.8, invoice=self.r.choice(("next", "next", "now")),
            )  # fmt: skip
            if self.r.random() < 0.2:
                self._add(self._later(0, 10), "ask", deal=deal)
        return self._end_or_have_late(deal)

    def _life_waiting_above(self) -> None:
        """Changes under a minimum or a maximum whose lines wait for the next invoice."""
        if not self._changes():
            return self._life_flat()
        self.coupons, self.whole = [], True
        plans = ("use_4", "use_5", "bound_0", "bound_1", "flat_0")
        deal = self._subscribe(self.r.choice(plans), quantity=self.r.randint(1, 5))
        for name in plans:
            self._use(name, 150)
        for _ in range(self.r.randint(1, 4)):
            self._add(
                self._later(0, 30), "change", deal=deal, plan=self.r.choice(plans), when="now",
                prorate=True, invoice=self.r.choice(("next", "next", "now")),
            )  # fmt: skip
        return self._end_or_have_late(deal)

    def _life_voided(self) -> None:
        """Invoices that nobody pays, some of them withdrawn, beside changes and credit."""
        if not self._changes() or self.rules.inclusive:
            return self._life_flat()
        self.poor = True
        plans = (*METERED, "flat_0", "flat_1")
        deal = self._subscribe(self.r.choice(plans))
        for name in plans:
            self._use(name, 150)
        for _ in range(self.r.randint(0, 3)):
            self._change(deal, self.r.choice(plans), self._later(0, 30))
        # What a change behind it gives back of what a void one had given back, it does not know.
        for _ in range(self.r.randint(1, 4)):
            at = self._later(0, 30)
            if self.r.random() < 0.3:
                self._add(at, "grant", amount=self.m.money(1, 60), expires=None)
            self._add(at, "withdraw")
        return None

    def _life_beside(self) -> None:
        """Two subscriptions that rate the same meters, changed at one instant, with late counts."""
        if not self._changes():
            return self._life_flat()
        self.coupons = []
        deals = [self._subscribe(self.r.choice(METERED)) for _ in range(2)]
        for name in METERED:
            self._use(name, 150)
        for _ in range(self.r.randint(1, 4)):
            at = self._later(1, 40)
            for deal in deals:
                if self.r.random() < 0.7:
                    self._usage_event(self.r.choice(self._meters(self.r.choice(METERED))), at)
                    self._change(deal, self.r.choice(METERED), at)
            if self.r.random() < 0.4:
                self._add(self._later(0, 10), "ask", deal=self.r.choice(deals))
        self._have_late()
        return None
