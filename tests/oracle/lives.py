"""What happens to customers of a random world, by the kind of life that they lead."""

from __future__ import annotations

from datetime import datetime, timedelta
from fractions import Fraction
from random import Random
from typing import TYPE_CHECKING, Any

from .calendars import instant
from .usage_lives import UsageLives
from .world import FIRST, TAXES, Act, Plan

if TYPE_CHECKING:
    from .scenarios import Maker

# Plans with the interval of a month, whose changes keep the period.
MONTHLY = ("flat_0", "flat_1", "flat_2")

# Lives whose invoices no credit note corrects.
_UNNOTED = ("bound", "rest", "tardy", "voided")


class Acts(UsageLives):
    """The acts of one customer, by the kind of life that they lead."""

    def __init__(self, maker: Maker, zone: str, flavour: str) -> None:
        self.m, self.r, self.zone = maker, maker.r, zone
        self.rules = maker.rules
        self.acts: list[Act] = []
        self.start = self._first()
        self.at = self.start
        plain = flavour in ("next", "bound")
        self.coupons = [] if plain else list(maker.coupons)
        # Whether credit may pay all lines alike.
        self.whole = self.poor = False
        getattr(self, "_life_" + flavour)()
        bounded = any(act.data.get("plan") in ("use_5", "bound_1", "part_2") for act in self.acts)
        # What is above a maximum is told apart by what a credit may pay, a coupon discounts.
        self.whole = self.whole or bounded
        if bounded:
            self._without_limits()
        late = any("sent" in act.data or "corrects" in act.data for act in self.acts)
        # What credit before tax does beside what is above a maximum, the rules leave open.
        if self.r.random() < 0.35 and (self._credits or not bounded):
            self._credit()
        # What a note has given back of a line that is corrected, it does not tell apart.
        if self._credits and not self.rules.inclusive and not late and flavour not in _UNNOTED:
            for _ in range(self.r.choice((0, 0, 1, 2))):
                part = Fraction(self.r.randint(1, 40), 100)
                refund = self.r.random() < 0.4
                self._add(self._somewhere(), "noted", part=part, refund=refund)
        if self.r.random() < 0.2 and flavour != "tardy":
            amounts = [maker.money(1, 50) for _ in range(self.r.randint(1, 3))]
            self._add(self._somewhere(), "oneoff", amounts=amounts)
        self._move()

    def _move(self) -> None:
        """To places with other taxes; what a line above a maximum has of them, the rules leave
        open."""
        bounded = ("use_4", "use_5", "bound_0", "bound_1", "part_1", "part_2", "tried_2")
        if any(act.data.get("plan") in bounded for act in self.acts):
            return
        own = Random(self.start.timestamp())
        for _ in range(own.choice((0, 0, 1, 2, 3))):
            country = own.choice(tuple(TAXES))
            at = self.start + timedelta(seconds=own.randint(1, 400 * 86400))
            self._add(at, "moved", country=country, taxes=TAXES[country])

    def _add(self, at: datetime, kind: str, /, **data: Any) -> None:
        self.acts.append(Act(at, kind, data))

    def _without_limits(self) -> None:
        """Takes the coupons back that are for some meters alone."""
        some = {coupon.name for coupon in self.m.coupons if coupon.meters}
        for act in self.acts:
            if act.data.get("coupon") in some:
                act.data["coupon"] = "P0"

    def _first(self) -> datetime:
        day = FIRST + timedelta(days=self.r.randint(0, 420))
        if self.r.random() < 0.6:
            day = day.replace(day=1) + timedelta(days=self.r.choice((27, 28, 29, 30)))
        return self._on(day)

    def _on(self, day: datetime) -> datetime:
        if self.r.random() < 0.15:
            return instant(day.date(), self.zone)
        return day.replace(hour=0) + timedelta(seconds=self.r.randint(0, 86399))

    def _later(self, low: int = 1, high: int = 40) -> datetime:
        before = max(self.at, self.start)
        self.at = self._on(before + timedelta(days=self.r.randint(low + 1, high)))
        if self.at <= before:
            # The local midnight of a day may lie before an instant of the day before it.
            self.at = before + timedelta(minutes=1)
        return self.at

    def _somewhere(self) -> datetime:
        return self._on(self.start + timedelta(days=self.r.randint(2, 400)))

    def _pick(self, prefix: str) -> str:
        return self.r.choice([p.name for p in self.m.plans if p.name.startswith(prefix)])

    def _subscribe(self, plan: str, deal: str = "", **more: Any) -> str:
        data = {"quantity": 1, "coupon": None, "anchor_day": None, **more}
        found = next(p for p in self.m.plans if p.name == plan)
        monthly = found.interval == (1, "month") and not found.trial
        plain = self.rules.proration != "none" and not self.rules.calendar
        if plain and monthly and self.r.random() < 0.3:
            data["anchor_day"] = self.r.choice((1, 15, 28, 29, 30, 31))
        if self.coupons and self.r.random() < 0.5:
            data["coupon"] = self.r.choice(self.coupons).name
        deal = deal or f"d{self.r.getrandbits(60):x}"
        self._add(self.start, "subscribe", deal=deal, plan=plan, **data)
        return deal

    def _credit(self) -> None:
        for _ in range(self.r.randint(1, 3)):
            self._credit_at(self._somewhere(), self.m.money(1, 120))

    def _credit_at(self, at: datetime, amount: Fraction) -> None:
        """Credit that is given, or sold for what it is worth."""
        expires = at + timedelta(days=self.r.randint(5, 90)) if self.r.random() < 0.4 else None
        data = {"amount": amount, "expires": expires, **self._terms()}
        if self.r.random() < 0.4:
            self._add(at, "sell", price=amount, **data)
        else:
            self._add(at, "grant", **data)

    def _terms(self) -> dict[str, Any]:
        """Which credit goes first, and what it may pay."""
        terms: dict[str, Any] = {}
        if self.whole:
            return terms
        if self.r.random() < 0.3:
            terms["priority"] = self.r.choice((0, 10, 50, 51, 90))
        if self.r.random() < 0.25:
            terms["kind"] = "fixed"
        elif self.r.random() < 0.25:
            terms["meter"] = self.r.choice(("calls", "hits", "payments", "people"))
        return terms

    def _end(self, deal: str, late: bool = False) -> None:
        if self.r.random() < 0.5:
            # What an ended price in arrears costs without proration, the rules leave open.
            open_ = late and self.rules.proration == "none"
            when = "period_end" if open_ else self.r.choice(("now", "period_end"))
            prorate = self._credits and self.r.random() < 0.5
            self._add(self._later(1, 90), "cancel", deal=deal, when=when, prorate=prorate)

    @property
    def _credits(self) -> bool:
        # What credit before tax does beside a credit line, the rules leave open.
        return self.rules.credit == "after_tax"

    def _life_flat(self) -> None:
        deal = self._subscribe(self._pick("flat"))
        self._another_coupon()
        self._end(deal)

    def _life_change(self) -> None:
        deal = self._subscribe(self._pick("flat"))
        for _ in range(self.r.randint(1, 6)):
            when = self.r.choice(("now", "now", "period_end")) if self._credits else "period_end"
            self._add(
                self._later(0, 45), "change", deal=deal, plan=self._pick("flat"), when=when,
                prorate=self.r.random() < 0.9, invoice="now",
            )  # fmt: skip
        self._end(deal)

    def _life_given(self) -> None:
        """Payments and changes that are given back as money."""
        if not self._credits or self.rules.inclusive:
            return self._life_flat()
        self.coupons = self.coupons if self.r.random() < 0.5 else []
        deal = self._subscribe(self.r.choice(MONTHLY))
        for _ in range(self.r.randint(2, 7)):
            if self.r.random() < 0.5:
                part = Fraction(self.r.choice((5, 20, 33, 50, 100)), 100)
                self._add(self._later(0, 30), "refund", part=part)
                continue
            self._add(
                self._later(0, 30), "change", deal=deal, plan=self.r.choice(MONTHLY), when="now",
                prorate=True, invoice="now", refund=self.r.random() < 0.6,
            )  # fmt: skip
        refund = self.r.random() < 0.6
        self._add(self._later(1, 40), "cancel", deal=deal, when="now", prorate=True, refund=refund)
        return None

    def _life_purse(self) -> None:
        """Much credit at a time, given and sold, that goes in an order and pays some lines only."""
        plan = self._pick(self.r.choice(("use_0", "use_1", "use_2", "flat_0")))
        self._subscribe(plan)
        self._use(plan, 250)
        for _ in range(self.r.randint(2, 4)):
            self._later(5, 60)
            for _ in range(self.r.randint(1, 4)):
                self.at += timedelta(seconds=self.r.randint(1, 9999))
                self._credit_at(self.at, self.m.money(20, 300))
            if self._credits and not self.rules.inclusive and self.r.random() < 0.5:
                part, refund = Fraction(self.r.randint(1, 60), 100), self.r.random() < 0.5
                self._add(self._later(0, 3), "noted", part=part, refund=refund)

    def _life_seats(self) -> None:
        deal = self._subscribe(self._pick("seat"), quantity=self.r.randint(1, 20))
        for _ in range(self.r.randint(1, 6)):
            when = self.r.choice(("now", "now", "period_end")) if self._credits else "period_end"
            self._add(
                self._later(0, 25), "quantity", deal=deal, quantity=self.r.randint(1, 30),
                when=when, prorate=True, invoice="now",
            )  # fmt: skip
        self._end(deal)

    def _life_pause(self) -> None:
        deal = self._subscribe(self._pick("flat"))
        if not self._credits or self.rules.proration == "none":
            return
        for _ in range(self.r.randint(1, 3)):
            self._add(self._later(20, 80), "pause", deal=deal)
            self._add(self._later(0, 60), "resume", deal=deal)

    def _life_late(self) -> None:
        deal = self._subscribe(self._pick("late"))
        if self._credits and self.rules.proration != "none":
            for _ in range(self.r.randint(0, 3)):
                plan = self._pick(self.r.choice(("late", "flat_0", "flat_1")))
                self._change(deal, plan, self._later(0, 45))
        self._end(deal, late=True)

    def _life_use(self) -> None:
        if self.rules.inclusive:
            # What a minimum counts of a discounted price with its tax, to the unit, is left open.
            self.coupons = []
        plan = self._pick("use")
        deal = self._subscribe(plan)
        self._use(plan, 250)
        if self._credits and self.rules.proration != "none":
            for _ in range(self.r.choice((0, 0, 1, 2))):
                to = self._pick("use")
                self._change(deal, to, self._later(10, 120))
                self._use(to, 250)
        self._end(deal, late=True)

    def _use(self, plan: str, days: int) -> None:
        self._use_of(next(p for p in self.m.plans if p.name == plan), days)

    def _use_of(self, found: Plan, days: int) -> None:
        for usage in found.usages:
            for _ in range(self.r.randint(5, 40)):
                seconds = self.r.randint(1, days * 86400)
                self._usage_event(usage.meter, self.start + timedelta(seconds=seconds))

    def _usage_event(self, meter: str, at: datetime) -> None:
        r = self.r
        data: dict[str, Any] = {"meter": meter, "units": Fraction(r.randint(1, 40))}
        if meter == "payments":
            data["units"] = self.m.money(1, 300)
        if meter == "calls" and r.random() < 0.2:
            data["units"] = Fraction(r.randint(1, 4000), 100)
        if meter == "chat":
            data["by"] = r.choice(("big", "small", "other"))
        if meter == "people":
            data["who"] = f"w{r.randint(1, 30)}"
        self._add(at, "usage", **data)

    def _life_two(self) -> None:
        first = self._subscribe(self._pick("flat"))
        second = self._subscribe(self._pick("seat"), quantity=self.r.randint(1, 9))
        self._another_coupon()
        self._end(first)
        self._end(second)

    def _another_coupon(self) -> None:
        """One that is given to the customer, and not the same that is there."""
        if self.coupons and self.r.random() < 0.4:
            taken = {act.data.get("coupon") for act in self.acts}
            names = [coupon.name for coupon in self.coupons if coupon.name not in taken]
            self._add(self._later(), "coupon", coupon=self.r.choice(names))

    def _life_twin(self) -> None:
        """Two subscriptions that rate the same meters, each over periods of its own."""
        first = self.r.choice(("use_0", "use_1", "use_2", "use_3", "use_4", "part_0"))
        deals = [self._subscribe(first)]
        begun = self.start
        if self.r.random() < 0.7:
            self.start = self._later(1, 45)
        second = self.r.choice(("use_0", "use_1", "use_2", first))
        deals.append(self._subscribe(second))
        self.start = begun
        for plan in sorted({first, second}):
            self._use(plan, 200)
        self._another_coupon()
        coupons = any(act.data.get("coupon") for act in self.acts)
        if self.r.random() < 0.3 and first != "part_0" and not coupons:
            self._have_late()
            return
        # Who carries what comes late for one that has ended, the rules leave open.
        self._end(self.r.choice(deals), late=True)

    def _life_yearly(self) -> None:
        names = [p.name for p in self.m.plans]
        if "yearly_use" not in names:
            return self._life_flat()
        deal = self._subscribe("yearly_use")
        self._use("yearly_use", 400)
        if self._credits and self.rules.proration != "none":
            for _ in range(self.r.choice((0, 1, 2, 3))):
                to = self.r.choice(("yearly_use", "flat_5", "use_0", "flat_0"))
                self._use(to, 400)
                self._change(deal, to, self._later(5, 150))
        return self._end_or_have_late(deal)

    def _life_next(self) -> None:
        """Changes whose lines wait for the next invoice."""
        kind = self.r.choice(("flat", "seat"))
        plan = self._pick("seat") if kind == "seat" else self.r.choice(MONTHLY)
        deal = self._subscribe(plan, quantity=self.r.randint(1, 9))
        if not self._credits:
            return
        for _ in range(self.r.randint(1, 5)):
            data: dict[str, Any] = {"deal": deal, "when": "now", "prorate": True}
            data["invoice"] = self.r.choice(("next", "next", "now"))
            if kind == "seat":
                self._add(self._later(0, 25), "quantity", quantity=self.r.randint(1, 30), **data)
            else:
                # What becomes of a credit that waits beyond a new anchor, the rules leave open.
                reset = data["invoice"] == "now" and self.r.random() < 0.15
                plan = self.r.choice(MONTHLY)
                self._add(self._later(0, 25), "change", plan=plan, reset=reset, **data)
        self._end(deal)

    def _life_bound(self) -> None:
        """Quantities that change under a minimum or maximum."""
        if not self._credits:
            return self._life_flat()
        plan = self._pick("bound")
        deal = self._subscribe(plan, quantity=self.r.randint(1, 20))
        self._use(plan, 200)
        for _ in range(self.r.randint(0, 5)):
            self._add(
                self._later(0, 25), "quantity", deal=deal, quantity=self.r.randint(1, 30),
                when=self.r.choice(("now", "period_end")), prorate=True, invoice="now",
            )  # fmt: skip
        return None

    def _life_limits(self) -> None:
        """Changes from and to plans with a minimum or a maximum, with usage in and behind time."""
        if not self._credits or self.rules.proration == "none":
            return self._life_flat()
        self.coupons, self.whole = [], True
        plans = ("use_4", "use_5", "bound_0", "bound_1", "use_0", "flat_0")
        plan = self.r.choice(plans[:4])
        deal = self._subscribe(plan, quantity=self.r.randint(1, 9))
        self._use(plan, 200)
        for _ in range(self.r.randint(1, 4)):
            to = self.r.choice(plans)
            self._use(to, 200)
            self._change(deal, to, self._later(0, 50))
        return self._end_or_have_late(deal)

    def _change(self, deal: str, plan: str, at: datetime) -> None:
        """A change of plan now, prorated, with an invoice of its own."""
        self._add(at, "change", deal=deal, plan=plan, when="now", prorate=True, invoice="now")

    def _end_or_have_late(self, deal: str) -> None:
        if self.r.random() < 0.5:
            self._end(deal)
        else:
            self._have_late()

    def _have_late(self) -> None:
        """Has some of what is used arrive after its time."""
        for act in self.acts:
            if act.kind == "usage" and "id" not in act.data and self.r.random() < 0.2:
                act.data["sent"] = act.at + timedelta(seconds=self.r.randint(0, 40 * 86400))

    def _life_dated(self) -> None:
        """Phases, and versions of prices that running subscriptions keep or come over to."""
        deal = self._subscribe(self._pick("dated"))
        for _ in range(self.r.randint(0, 3)):
            when = self.r.choice(("now", "period_end")) if self._credits else "period_end"
            self._add(
                self._later(5, 90), "change", deal=deal, plan=self._pick("dated"), when=when,
                prorate=True, invoice="now",
            )  # fmt: skip
        self._end(deal)

    def _life_mixed(self) -> None:
        """Plans and quantities that change beside each other, now and at the end; new anchors."""
        kinds = ("flat", "seat", "seat")
        deal = self._subscribe(self._pick(self.r.choice(kinds)), quantity=self.r.randint(1, 9))
        for _ in range(self.r.randint(1, 7)):
            when = self.r.choice(("now", "period_end")) if self._credits else "period_end"
            data = {"deal": deal, "when": when, "prorate": True, "invoice": "now"}
            if self.r.random() < 0.5:
                self._add(self._later(0, 25), "quantity", quantity=self.r.randint(1, 30), **data)
                continue
            plan = self._pick(self.r.choice(kinds))
            reset = when == "now" and self.r.random() < 0.2
            self._add(self._later(0, 25), "change", plan=plan, reset=reset, **data)
        self._end(deal)

    def _life_extras(self) -> None:
        """Add-ons that come and go, beside changes of the plan."""
        if not self._credits or self.rules.proration == "none":
            return self._life_flat()
        deal = self._subscribe(self.r.choice(MONTHLY))
        on: dict[str, int] = {}
        for _ in range(self.r.randint(1, 7)):
            if self.r.random() < 0.3:
                self._add(
                    self._later(0, 25), "change", deal=deal, plan=self.r.choice(MONTHLY),
                    when="now", prorate=True, invoice="now",
                )  # fmt: skip
                continue
            name = self.r.choice(("extra_flat", "extra_seat"))
            quantity = 0 if name in on and self.r.random() < 0.5 else self.r.randint(1, 9)
            if on.get(name) == quantity or (name == "extra_flat" and quantity and name in on):
                continue
            on[name] = quantity
            if not quantity:
                del on[name]
            self._add(self._later(0, 25), "addon", deal=deal, addon=name, quantity=quantity)
        self._end(deal)
        return None

    def _life_counted(self) -> None:
        """An add-on with usage of its own that comes and goes, beside changes of the plan."""
        if not self._credits or self.rules.proration == "none":
            return self._life_flat()
        plan = self.r.choice((*MONTHLY, "use_0", "use_1", "use_2"))
        deal = self._subscribe(plan)
        self._use(plan, 250)
        self._use_of(self.m.addons[2], 250)
        on = False
        for _ in range(self.r.randint(1, 7)):
            if self.r.random() < 0.3:
                plan = self.r.choice((*MONTHLY, "use_0", "use_1", "use_2"))
                self._change(deal, plan, self._later(0, 25))
                continue
            on = not on
            self._add(self._later(0, 25), "addon", deal=deal, addon="extra_use", quantity=int(on))
        return self._end_or_have_late(deal)

    def _life_rest(self) -> None:
        """Pauses of plans with usage, minimum and maximum."""
        if not self._credits or self.rules.proration == "none":
            return self._life_flat()
        self.coupons = []
        plan = self._pick(self.r.choice(("use", "bound")))
        deal = self._subscribe(plan, quantity=self.r.randint(1, 9))
        self._use(plan, 250)
        for _ in range(self.r.randint(1, 3)):
            self._add(self._later(5, 60), "pause", deal=deal)
            self._add(self._later(0, 60), "resume", deal=deal)
        return None

    def _life_part(self) -> None:
        """Usage that is billed in mid-period at a threshold."""
        deal = self._subscribe("part_0")
        self._use("part_0", 200)
        if self._credits and self.rules.proration != "none":
            for _ in range(self.r.choice((0, 1, 2))):
                to = self.r.choice(("part_0", "use_0", "flat_0"))
                self._use(to, 200)
                self._change(deal, to, self._later(5, 90))
        self._end(deal)

    def _life_tardy(self) -> None:
        """Usage that arrives after its period was billed."""
        plan = self.r.choice(("use_0", "use_1", "use_2", "use_4", "use_5"))
        if plan in ("use_4", "use_5"):
            # What bounds make of discounted corrections, the rules leave open.
            self.coupons = []
        self._subscribe(plan)
        self._use(plan, 250)
        late = [act for act in self.acts if act.kind == "usage" and self.r.random() < 0.3]
        for act in late:
            act.data["sent"] = act.at + timedelta(seconds=self.r.randint(0, 50 * 86400))
