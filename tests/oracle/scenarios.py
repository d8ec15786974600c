"""Random worlds: rules, plans, coupons, and what happens to customers; from a seed alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from random import Random

from .lives import Acts
from .spec import World
from .world import EXPONENTS, FIRST, TAXES, Buyer, Coupon, Plan, Rules, Tier, Usage

ZONES = (
    "UTC", "America/Los_Angeles", "Europe/Berlin", "Asia/Kolkata", "Pacific/Apia",
    "Australia/Lord_Howe", "America/Sao_Paulo", "Asia/Tokyo", "Africa/Cairo", "Pacific/Chatham",
)  # fmt: skip
USED = ("calls", "hits", "peak", "newest", "people", "payments", "chat", "level")
NOTHING = Fraction(0)
UNTIL = datetime(2026, 3, 5, 12, tzinfo=UTC)


class Maker:
    """Makes one world from a seed."""

    def __init__(self, seed: int, buyers: int = 60) -> None:
        self.r = Random(seed)
        self.rules = self._rules(seed)
        self.unit = Fraction(1, 10 ** EXPONENTS[self.rules.currency])
        self.plans = self._plans()
        self.coupons = self._coupons()
        self.addons = (
            Plan("extra_flat", self.money(2, 60), (1, "month"), seat_model="itself"),
            Plan("extra_seat", self.money(1, 20), (1, "month"), seat_model="each"),
            Plan(
                "extra_use",
                self.money(1, 20),
                (1, "month"),
                seat_model="itself",
                usages=tuple(map(self._of_addon, ("calls", "people", "payments"))),
            ),
            Plan("extra_month", NOTHING, (1, "month"), usages=(self._usage("calls", True),)),
            Plan("extra_whole", NOTHING, (1, "month"), usages=(self._usage("calls"),)),
        )
        made = tuple(self._buyer(f"c{i:03}") for i in range(buyers))
        self.world = World(self.rules, self.plans, self.coupons, made, self.addons)

    def _rules(self, seed: int) -> Rules:
        r = self.r
        proration = ("day", "day", "second", "day", "none")[seed % 5]
        return Rules(
            currency=("USD", "EUR", "JPY", "KWD")[seed % 4],
            zone=r.choice(ZONES),
            rounding=r.choice(("half_up", "half_even")),
            proration=proration,
            calendar=proration != "none" and seed % 3 == 1,
            credit="before_tax" if seed % 7 == 3 else "after_tax",
            inclusive=seed % 6 == 2,
        )

    # --- what is sold --------------------------------------------------------------------------

    def money(self, low: int, high: int) -> Fraction:
        """An amount of whole minor units, `low` to `high` in dollars or the like of them."""
        scale = {"JPY": 100, "KWD": 1000}.get(self.rules.currency, 100)
        return self.r.randint(low * scale, high * scale) * self.unit

    def small(self) -> Fraction:
        """A unit price with digits below the minor unit."""
        return self.r.randint(1, 5000) * self.unit / self.r.choice((1, 10, 100))

    def _plans(self) -> tuple[Plan, ...]:
        months = [(1, "month"), (1, "month"), (1, "month"), (3, "month"), (6, "month"),
                  (1, "year"), (1, "week")]  # fmt: skip
        if not self.rules.calendar:
            months += [(2, "week"), (10, "day"), (2, "month")]
        plans = [
            Plan(f"flat_{i}", self.money(5, 300), interval, trial=self.r.choice((0, 0, 0, 14)))
            for i, interval in enumerate(months)
        ]
        for i, model in enumerate(("each", "graduated", "volume", "stairstep", "each")):
            tiers = self._tiers(self.r.choice((3, 5, 10)))
            plans.append(Plan(f"seat_{i}", self.money(3, 40), (1, "month"), tiers, model))
        plans += [
            Plan(f"late_{i}", self.money(5, 200), (1, "month"), arrears=True) for i in range(2)
        ]
        plans += [self._usage_plan(i) for i in range(6)]
        for i in range(2):
            # A quantity that changes under a minimum or a maximum.
            price, bound = self.money(3, 20), self.money(40, 300)
            plans.append(
                Plan(
                    f"bound_{i}", price, (1, "month"), seat_model="each",
                    usages=(self._usage("calls"),), minimum=bound if i == 0 else None,
                    maximum=bound if i == 1 else None,
                )
            )  # fmt: skip
        plans += self._dated_plans()
        for i, usages in enumerate(((), ("calls", "payments"), ("people", "calls"))):
            plans.append(
                Plan(f"tried_{i}", self.money(5, 90), (1, "month"), trial=14,
                     usages=tuple(map(self._usage, usages)),
                     minimum=self.money(50, 200) if i == 2 else None)
            )  # fmt: skip
        at_once = (self._usage("calls"), self._usage("payments"))
        for i in range(3):
            bound = self.money(100, 400)
            plans.append(
                Plan(f"part_{i}", self.money(5, 50), (1, "month"), usages=at_once,
                     threshold=self.money(20, 90), minimum=bound if i == 1 else None,
                     maximum=bound if i == 2 else None)
            )  # fmt: skip
        if not self.rules.calendar:
            usage = (self._usage("calls", monthly=True),)
            plans.append(Plan("yearly_use", self.money(100, 900), (1, "year"), usages=usage))
        return tuple(plans)

    def _dated_plans(self) -> list[Plan]:
        """Phases, and prices from a date on; in advance and in arrears."""
        r, plans = self.r, []
        for i in range(2):
            phases = tuple((r.randint(1, 4), self.money(1, 90)) for _ in range(r.randint(1, 3)))
            price = self.money(5, 200)
            plans.append(Plan(f"dated_phase_{i}", price, (1, "month"), phases=phases))
        for i, how in enumerate(("", "renewal", "now", "now")):
            days = sorted(FIRST.date() + timedelta(days=r.randint(20, 700)) for _ in range(2))
            if days[0] == days[1]:
                days.pop()
            versions = tuple((day, self.money(5, 200), how) for day in days)
            late = i == 3 and self.rules.proration != "none"
            price = self.money(5, 200)
            plans.append(Plan(f"dated_{i}", price, (1, "month"), arrears=late, versions=versions))
        return plans

    def _usage_plan(self, i: int) -> Plan:
        meters = self.r.sample(USED, 2)
        usages = tuple(self._usage(meter) for meter in meters)
        low = self.money(100, 400) if i == 4 else None
        high = self.money(100, 400) if i == 5 else None
        late = i == 3 or (i > 3 and self.r.random() < 0.5)
        price = self.money(0 if late else 5, 90)
        return Plan(
            f"use_{i}", price, (1, "month"), arrears=late, usages=usages, minimum=low, maximum=high
        )

    def _of_addon(self, meter: str) -> Usage:
        return replace(self._usage(meter), carried=None)

    def _usage(self, meter: str, monthly: bool = False) -> Usage:
        made = self._usage_price(meter, monthly)
        if meter in ("calls", "hits", "payments", "chat") and not made.carried:
            return replace(made, first=self.r.choice((0, 0, 0, self.r.randint(1, 5))))
        return made

    def _usage_price(self, meter: str, monthly: bool) -> Usage:
        r = self.r
        if meter == "payments":
            return Usage(
                meter, "share", unit=Fraction(r.randint(1, 500), 10000), fixed=self.small(),
                includes=self.r.choice((0, 0, 700)) if self.rules.currency != "JPY" else 0,
            )  # fmt: skip
        if meter == "chat":
            prices = (("big", self.small()), ("small", self.small()), ("else", self.small()))
            return Usage(meter, "each", by=prices)
        model = r.choice(("each", "graduated", "volume", "stairstep", "package"))
        includes = r.choice((0, 0, r.randint(1, 60)))
        if model in ("each", "package"):
            size = r.choice((2, 10, 100))
            return Usage(
                meter, model, package=size, unit=self.small(), includes=includes, monthly=monthly,
                prorated=includes > 0 and r.random() < 0.4, carried=self._carried(includes),
            )  # fmt: skip
        return Usage(
            meter, model, self._tiers(r.choice((5, 20, 100))), includes=includes, monthly=monthly,
            carried=self._carried(includes),
        )  # fmt: skip

    def _carried(self, includes: int) -> tuple[int | None, int | None] | None:
        """For how long, and up to how much, what is left of an allowance goes on; or not."""
        if not includes or self.r.random() < 0.4:
            return None
        return self.r.choice((None, 1, 2, 3)), self.r.choice((None, None, self.r.randint(1, 90)))

    def _tiers(self, step: int) -> tuple[Tier, ...]:
        r, tiers, top = self.r, [], 0
        for _ in range(r.randint(1, 3)):
            top += r.randint(1, step)
            flat = r.choice((Fraction(0), Fraction(0), self.money(1, 20)))
            always = bool(flat) and r.random() < 0.3
            tiers.append(Tier(top, r.choice((Fraction(0), self.small())), flat, always))
        return (*tiers, Tier(None, self.small()))

    def _coupons(self) -> tuple[Coupon, ...]:
        percents = [Fraction(p) for p in (10, 25, "33.3", "12.5", 100)]
        return (
            *(
                Coupon(f"P{i}", p / 100, Fraction(0), months=self.r.choice((None, 1, 3, 12)))
                for i, p in enumerate(percents)
            ),
            Coupon("P_ONCE", Fraction(1, 5), Fraction(0), once=True),
            Coupon("M_ONCE", None, self.money(5, 60), once=True),
            Coupon("M_THREE", None, self.money(5, 60), months=3),
            Coupon("M_EVER", None, self.money(1, 20)),
            Coupon("P_CALLS", Fraction(2, 5), Fraction(0), meters=("calls", "payments")),
            Coupon("M_HITS", None, self.money(1, 20), months=6, meters=("hits", "chat", "peak")),
        )

    # --- what happens --------------------------------------------------------------------------

    def _buyer(self, key: str) -> Buyer:
        zone = self.r.choice((self.rules.zone, self.r.choice(ZONES)))
        country = self.r.choice(tuple(TAXES))
        flavour = self.r.choice(
            (
                "flat",
                "change",
                "change",
                "seats",
                "pause",
                "late",
                "use",
                "use",
                "two",
                "yearly",
                "next",
                "bound",
                "tardy",
                "dated",
                "dated",
                "mixed",
                "extras",
                "counted",
                "limits",
                "rest",
                "part",
                "given",
                "given",
                "given",
                "purse",
                "purse",
                "twin",
                "twin",
                "given",
                "instants",
                "instants",
                "corrected",
                "above",
                "above",
                "tried",
                "waiting",
                "voided",
                "beside",
                "waiting_above",
                "rhythms",
                "asked",
            )
        )
        life = Acts(self, zone, flavour)
        acts = sorted(life.acts, key=lambda act: act.at)
        poor = life.poor or (self.rules.credit == "after_tax" and self.r.random() < 0.2)
        return Buyer(key, zone, TAXES[country], country, tuple(acts), poor)
