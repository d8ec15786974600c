"""What happens to one customer: boundaries and actions in order, and the invoices they make."""

from __future__ import annotations

from bisect import insort
from dataclasses import replace
from datetime import datetime
from fractions import Fraction
from zoneinfo import ZoneInfo

from .books import ZERO, Attached, Purse, bill, discount
from .calendars import Cycle, anniversary, calendar, instant, length, local_date, shift
from .payments import Payments
from .rates import base
from .sub import FIRST_OF_ALL, LATE, Held, Settled, Sub, Used
from .world import Act, Bill, Buyer, Coupon, Line, Plan, Rules


class Life(Payments):
    """One customer's life under the rules of a business."""

    def __init__(
        self,
        rules: Rules,
        plans: dict[str, Plan],
        coupons: dict[str, Coupon],
        buyer: Buyer,
        addons: dict[str, Plan] | None = None,
    ) -> None:
        self.addons = addons or {}
        self.rules, self.plans, self.coupons, self.buyer = rules, plans, coupons, buyer
        self.zone, self.taxes = buyer.zone, buyer.taxes
        self.seconds = rules.proration == "second"
        self.subs: dict[str, Sub] = {}
        self.purse = Purse()
        self.bills: list[Bill] = []
        self.refused = 0
        self.used: list[Used] = []
        self.now = (buyer.acts[0].at, FIRST_OF_ALL)

    def run(self, until: datetime) -> list[Bill]:
        """All invoices up to an instant."""
        come = sorted(self.buyer.acts, key=lambda act: act.data.get("sent", act.at))
        for turn, act in enumerate(come):
            at = act.data.get("sent", act.at)
            self._advance(at)
            self.now = (at, turn)
            getattr(self, "_" + act.kind)(act)
        self._advance(until)
        return self.bills

    def _usage(self, act: Act) -> None:
        """A count, or a correction of one: at its own time, behind all else if it comes late."""
        if (corrects := act.data.get("corrects")) is not None:
            used = next(each for each in self.used if each.data.get("id") == corrects)
            used.corrections.append((self.now, act.at, act.data["says"]))
        else:
            late = self.now[0] > act.at
            used = Used((act.at, LATE if late else self.now[1]), self.now, act.data)
            insort(self.used, used, key=lambda each: (each.place, each.came))
        at, self.now = self.now, (self.now[0], self.now[1] + 0.5)
        self._counted()
        self.now = at

    def _ask(self, act: Act) -> None:
        """Asks for what was used so far."""
        sub = self.subs[act.data["deal"]]
        if sub.status != "active":
            self.refused += 1
            return
        self._bill_running(sub, self._running(sub), "asked")

    # --- time ----------------------------------------------------------------------------------

    def _advance(self, to: datetime) -> None:
        while (due := self._next_due()) is not None and due <= to:
            self.now = (due, FIRST_OF_ALL)
            lines: list[Line] = []
            fixed: list[Line] = []
            coupons: list[Attached] = []
            several = 0
            for sub in self.subs.values():
                if self._due(sub) == due and self._version(sub) == due:
                    self._come_over(sub, due)
                elif self._due(sub) == due:
                    advance, arrears = self._turn(sub, due)
                    for line in advance + arrears:
                        line.owner = sub
                    fixed += advance
                    lines += arrears
                    if advance or arrears:
                        several += 1
                        coupons += [each for each in sub.coupons if each not in coupons]
            if several > 1:
                coupons.sort(key=lambda attached: attached.at)
            self._make(due, fixed + lines, coupons, "boundary")

    def _next_due(self) -> datetime | None:
        dues = [due for sub in self.subs.values() if (due := self._due(sub)) is not None]
        return min(dues, default=None)

    def _due(self, sub: Sub) -> datetime | None:
        """When something of a subscription falls due next."""
        if sub.status == "cancelled":
            return None
        if sub.trying:
            return sub.ends
        dues = [sub.end]
        if sub.status == "active":
            for item, usage in sub.metered:
                if usage.monthly:
                    dues.append(self._month_end(sub, item, usage))
        if (version := self._version(sub)) is not None:
            dues.append(version)
        return min(dues)

    def _version(self, sub: Sub) -> datetime | None:
        """When a version takes over within the running period."""
        if sub.status != "active":
            return None
        seen = max(sub.start, sub.moved or sub.start, sub.phases_from or sub.start)
        days = (day for day, _, how in sub.plan.versions if how == "now")
        dues = (instant(day, self.zone) for day in days)
        return min((due for due in dues if seen < due < sub.end), default=None)

    def _come_over(self, sub: Sub, at: datetime) -> None:
        """Like a change of plan, to the new price of the same one."""
        credit = self._credit(sub, at, "")
        late = self._take_waiting(sub) + self._corrections(sub)
        used = self._arrears(sub, at) + self._usage_lines(sub, at)
        ahead = sum((self._unused(held, at) for held in sub.held if held.item), ZERO)
        sub.base_billed -= ahead
        used += self._bounds(sub, at, used)
        sub.base_billed, sub.capped, sub.moved = ahead, ZERO, at
        charge = []
        if self.rules.proration != "none":
            charge = self._charge(sub, at, sub.end, "charge")
        self._make(at, late + used + credit + charge, sub.coupons, "version", sub)

    def _terms(self, sub: Sub, at: datetime) -> Plan:
        """The plan with the price that holds for a subscription at an instant."""
        plan = sub.plan
        if not plan.phases and not plan.versions:
            return plan
        assert sub.plan_began is not None and sub.cycle is not None
        began, price = sub.plan_began, plan.price
        renewed = max(began, local_date(sub.start, self.zone))
        today = max(began, local_date(at, self.zone))
        for day, other, how in plan.versions:
            if day <= {"": began, "renewal": renewed, "now": today}[how]:
                price = other
        months = 0
        for count, other in plan.phases:
            months += count
            if at < self._months_on(sub.phases_from or sub.cycle.on(0), months):
                return replace(plan, price=other)
        return replace(plan, price=price)

    def _months_on(self, at: datetime, months: int) -> datetime:
        local = at.astimezone(ZoneInfo(self.zone))
        return instant(shift(local.date(), months, "month"), self.zone, local.time())

    def _turn(self, sub: Sub, at: datetime) -> tuple[list[Line], list[Line]]:
        """What falls due at a boundary: (in advance, the rest)."""
        if sub.trying:
            return self._open(sub, at), []
        if sub.status == "paused":
            self._step(sub)
            return [], []
        if at < sub.end:
            late = self._corrections(sub)
            used = self._usage_lines(sub, at, months=True)
            lines = self._take_waiting(sub) + late + used
            if any(line.amount for line in lines):
                lines += self._cap(sub, used, late)
            return [], lines
        late = self._take_waiting(sub) + self._corrections(sub)
        used = self._arrears(sub, at) + self._usage_lines(sub, at)
        behind = late + used + self._bounds(sub, at, used)
        if sub.cancelling:
            # A cancellation makes an invoice of its own.
            sub.status = "cancelled"
            self._make(at, behind, sub.coupons, "end", sub)
            return [], []
        self._scheduled(sub, at)
        return self._step(sub), behind

    def _scheduled(self, sub: Sub, at: datetime) -> None:
        sub.quantity = sub.next_quantity or sub.quantity
        sub.next_quantity = None
        if sub.next_plan is not None:
            sub.plans += 1
            if sub.next_plan.name != sub.plan.name:
                # The plan that one has goes on with its phases and its price.
                sub.plan_began, sub.phases_from = local_date(at, self.zone), at
            moved = sub.next_plan.interval != sub.plan.interval
            sub.plan, sub.next_plan = sub.next_plan, None
            if moved:
                sub.cycle, sub.n = self._cycle(sub, at), -1

    def _step(self, sub: Sub) -> list[Line]:
        """The next period begins; its fixed part where that is in advance."""
        sub.n += 1
        return self._begin(sub)

    def _begin(self, sub: Sub) -> list[Line]:
        sub.held, sub.billed, sub.base_billed, sub.capped, sub.moved = [], [], ZERO, ZERO, None
        sub.since = sub.plan_since = sub.start
        # What was used before it began is not the subscription's.
        began = max(sub.start, sub.opened)
        sub.bounds_from = self.now if began == self.now[0] else (began, FIRST_OF_ALL)
        sub.use_from(sub.bounds_from)
        if sub.status == "paused":
            return []
        return self._charge_all(sub, sub.start, "fixed")

    def _charge_all(self, sub: Sub, start: datetime, kind: str) -> list[Line]:
        """The plan and its add-ons, from an instant to the end of the running period."""
        lines = self._charge(sub, start, sub.end, kind)
        for name in sub.addons:
            lines += self._charge(sub, start, sub.end, kind, name)
        for line in lines:
            line.change, line.beside = lines[0].change, ZERO
        return lines

    def _charge(
        self, sub: Sub, start: datetime, end: datetime, kind: str, item: str = ""
    ) -> list[Line]:
        """A fixed part in advance for a stretch of the period: the plan's, or an add-on's."""
        plan, quantity = self._terms(sub, start), sub.quantity
        if item:
            plan, quantity = sub.addons[item]
        if plan.arrears:
            return []
        assert sub.cycle is not None
        part = self._length(start, end) / sub.cycle.whole(sub.n, self.seconds)
        amount = self.rules.round(base(plan, quantity) * part)
        line = Line(amount, kind, local_date(start, self.zone), note=plan.name)
        if kind == "charge":
            assert sub.start is not None
            line.part = self._length(start, end) / self._length(sub.start, end)
            line.change = object()
            others = [(self._terms(sub, start), sub.quantity), *sub.addons.values()]
            rest = (base(each, count) * part for each, count in others if not each.arrears)
            line.beside = sum(rest, ZERO) - base(plan, quantity) * part
        sub.held.append(Held(line, start, end, item))
        sub.base_billed += amount
        return [line]

    def _length(self, start: datetime, end: datetime) -> Fraction:
        return length(self.zone, start, end, self.seconds)

    # --- what lies behind ----------------------------------------------------------------------

    def _arrears(self, sub: Sub, at: datetime) -> list[Line]:
        """A price in arrears for the days used, the day of a change not included."""
        if not sub.plan.arrears:
            return []
        assert sub.cycle is not None and sub.since is not None
        part = self._length(sub.since, at) / sub.cycle.whole(sub.n, self.seconds)
        plan = self._terms(sub, sub.since)
        amount = self.rules.round(base(plan, sub.quantity) * part)
        begins = local_date(sub.since, self.zone)
        sub.since = at
        return [Line(amount, "fixed", begins, note="arrears")] if part else []

    def _bounds(self, sub: Sub, at: datetime, behind: list[Line]) -> list[Line]:
        """The top-up to a minimum, or what is above a maximum."""
        low, high = sub.plan.minimum, sub.plan.maximum
        if low is None and high is None:
            return []
        assert sub.cycle is not None and sub.plan_since is not None
        part = self._length(sub.plan_since, at) / sub.cycle.whole(sub.n, self.seconds)
        spent = sub.base_billed + sum((line.amount for line in behind), ZERO)
        begins = local_date(sub.plan_since, self.zone)
        least = None if low is None else low * part
        settled = Settled(begins, sub.bounds_from, self.now, least, high, spent)
        settled.made = self.rules.round(self._within(spent, least, high) - spent)
        sub.settled.append(settled)
        made, sub.capped = settled.made - sub.capped, ZERO
        sub.plan_since, sub.bounds_from = at, self.now
        return [Line(made, "minimum" if made > 0 else "maximum", begins)]

    def _take_waiting(self, sub: Sub) -> list[Line]:
        taken, sub.waiting = sub.waiting, []
        return taken

    def _credit(self, sub: Sub, at: datetime, item: str | None = None) -> list[Line]:
        """The unused part of what was really charged, of all or one item; nothing twice."""
        lines: list[Line] = []
        mine = [held for held in sub.held if item in (None, held.item)]
        for held in mine:
            start = max(held.start, at)
            if held.end <= start or self.rules.proration == "none":
                continue
            part = self._length(start, held.end) / self._length(held.start, held.end)
            net = self._net(sub, held)
            left = net - held.line.given - held.line.sent
            amount = min(self.rules.round(net * part), left)
            # To a minimum counts what is left of the price, whatever a coupon took off.
            whole = held.line.amount - held.line.given - held.line.sent
            sub.base_billed -= min(self.rules.round(held.line.amount * part), whole)
            if amount:
                begins = local_date(at, self.zone)
                credit = Line(-amount, "credit", begins, discounted=False)
                most = self._returned(held.line, amount, credit)
                credit.rates, credit.taxed, credit.most = held.line.rates, held.line.taxed, most
                lines.append(credit)
        sub.held = [held for held in sub.held if held not in mine]
        return lines

    def _net(self, sub: Sub, held: Held) -> Fraction:
        """What was charged, discounted; what waits for an invoice, by the coupons that hold."""
        ahead = [line for line in sub.waiting if line.kind == "charge"]
        if all(line is not held.line for line in ahead):
            return held.line.amount - held.line.share
        copies = [replace(line) for line in ahead]
        discount(self.rules, copies, [replace(each) for each in sub.coupons])
        return next(
            copy.amount - copy.share
            for line, copy in zip(ahead, copies, strict=True)
            if line is held.line
        )

    def _unused(self, held: Held, at: datetime) -> Fraction:
        """What of a charge, undiscounted, is for the time from an instant on."""
        start = max(held.start, at)
        if held.end <= start or self.rules.proration == "none":
            return ZERO
        part = self._length(start, held.end) / self._length(held.start, held.end)
        return self.rules.round(held.line.amount * part)

    def _returned(self, line: Line, amount: Fraction, credit: Line) -> Fraction | None:
        """Notes what is given back of a line, with its tax, on the invoice that it stands on; how
        much was left of that one."""
        for made in self.bills:
            if any(each is line for each in made.lines):
                asked = (each.amount - each.share + each.tax for each in made.lines)
                left = sum((each for each in asked if each > 0), ZERO) - made.returned
                percent = ZERO if self.rules.inclusive else sum(line.rates or (), ZERO)
                gross = amount + self.rules.round(amount * percent)
                back = max(amount, min(gross, left))
                made.returned += back
                credit.noted.append((made, back))
                return left if percent else None
        return None

    # --- actions -------------------------------------------------------------------------------

    def _subscribe(self, act: Act) -> None:
        data = act.data
        plan = self.plans[data["plan"]]
        sub = Sub(plan, data.get("quantity", 1), act.at, data.get("anchor_day"))
        sub.plan_began = local_date(act.at, self.zone)
        self.subs[data["deal"]] = sub
        if data.get("coupon"):
            sub.coupons.append(self._attached(data["coupon"], act.at, sub))
        if plan.trial:
            sub.status = "trialing"
            sub.ends = self._trial_end(act.at, plan.trial)
            return
        self._make(act.at, self._open(sub, act.at), sub.coupons, "start")

    def _trial_end(self, at: datetime, days: int) -> datetime:
        day = shift(local_date(at, self.zone), days, "day")
        if self.seconds:
            return instant(day, self.zone, at.astimezone(ZoneInfo(self.zone)).time())
        return instant(day, self.zone)

    def _open(self, sub: Sub, at: datetime) -> list[Line]:
        """The first paid period begins, or one that a pause goes on in."""
        sub.status = "paused" if sub.status == "paused" else "active"
        sub.cycle, sub.n = self._cycle(sub, at), 0
        return self._begin(sub)

    def _cycle(self, sub: Sub, at: datetime) -> Cycle:
        if self.rules.calendar:
            return calendar(self.zone, at, sub.plan.interval, self.seconds)
        day, sub.anchor_day = sub.anchor_day, None
        return anniversary(self.zone, at, sub.plan.interval, day, self.seconds)

    def _attached(self, name: str, at: datetime, owner: Sub | None) -> Attached:
        return Attached(self.coupons[name], local_date(at, self.zone), at, owner)

    def _coupon(self, act: Act) -> None:
        """One for all subscriptions that the customer has then."""
        made = self._attached(act.data["coupon"], act.at, None)
        for sub in self.subs.values():
            if sub.status != "cancelled":
                sub.coupons.append(made)

    def _moved(self, act: Act) -> None:
        self.taxes = act.data["taxes"]

    def _change(self, act: Act) -> None:
        sub, plan = self.subs[act.data["deal"]], self.plans[act.data["plan"]]
        if sub.status == "trialing":
            assert sub.ends is not None
            sub.plan, sub.phases_from = plan, sub.ends
            sub.plan_began = local_date(sub.ends, self.zone)
            return
        if act.data["when"] == "period_end":
            sub.next_plan = plan
            return
        if plan.name == sub.plan.name and not act.data.get("reset"):
            # Nothing changes, but what was scheduled is replaced.
            sub.next_plan = None
            return
        self._change_now(sub, plan, act)

    def _change_now(self, sub: Sub, plan: Plan, act: Act) -> None:
        at = self._moment(act.at)
        moved = plan.interval != sub.plan.interval or bool(act.data.get("reset"))
        item = None if moved else ""
        credit = self._credit(sub, at, item) if act.data.get("prorate", True) else []
        late = self._corrections(sub)
        used = self._arrears(sub, at) + self._usage_lines(sub, act.at)
        # What an add-on costs from now on is of the bounds that hold from now on.
        sub.held = [held for held in sub.held if held.item and not moved]
        ahead = sum((self._unused(held, at) for held in sub.held), ZERO)
        sub.base_billed -= ahead
        used += self._bounds(sub, at, used)
        sub.next_plan, sub.plan, sub.moved = None, plan, None
        sub.plans += 1
        sub.plan_began, sub.phases_from = local_date(act.at, self.zone), act.at
        sub.base_billed, sub.capped = ahead, ZERO
        if moved:
            sub.cycle, sub.n, billed = self._cycle(sub, act.at), 0, sub.billed
            charge = self._begin(sub)
            sub.billed = billed
        elif self.rules.proration == "none":
            charge = []
        else:
            charge = self._charge(sub, at, sub.end, "charge")
        sub.since = sub.plan_since = at
        sub.bounds_from = self.now
        sub.use_from(self.now)
        lines = self._take_waiting(sub) + late + used + credit + charge
        if act.data.get("invoice") == "next":
            sub.waiting += [line for line in lines if line.amount]
            return
        before = list(sub.billed)
        self._make(act.at, lines, sub.coupons, "change", sub, bool(act.data.get("refund")))
        if moved:
            # The new period has invoices of its own.
            sub.billed = [each for each in sub.billed if each not in before]

    def _quantity(self, act: Act) -> None:
        sub, quantity = self.subs[act.data["deal"]], act.data["quantity"]
        if sub.status == "trialing":
            sub.quantity = quantity
            return
        if act.data["when"] == "period_end":
            sub.next_quantity = quantity
            return
        if quantity == sub.quantity or not sub.plan.seat_model:
            sub.next_quantity, sub.quantity = None, quantity
            return
        at = self._moment(act.at)
        credit = self._credit(sub, at, "") if act.data.get("prorate", True) else []
        sub.held = [held for held in sub.held if held.item]
        sub.next_quantity, sub.quantity = None, quantity
        charge = [] if self.rules.proration == "none" else self._charge(sub, at, sub.end, "charge")
        if act.data.get("invoice") == "next":
            sub.waiting += credit + charge
            return
        late = self._take_waiting(sub) + self._corrections(sub)
        late += self._cap(sub, [], late)
        self._make(act.at, late + credit + charge, sub.coupons, "quantity", sub)

    def _moment(self, at: datetime) -> datetime:
        """From when a change counts: the day of the change is included."""
        return at if self.seconds else instant(local_date(at, self.zone), self.zone)

    def _pause(self, act: Act) -> None:
        sub = self.subs[act.data["deal"]]
        if sub.trying:
            # The trial keeps its end.
            sub.status = "paused"
            return
        at = self._moment(act.at)
        late = self._corrections(sub)
        credit = self._credit(sub, at)
        used = self._arrears(sub, at) + self._usage_lines(sub, act.at)
        late = self._take_waiting(sub) + late
        used += self._bounds(sub, at, used)
        sub.status, sub.paused = "paused", self.now
        self._make(act.at, late + used + credit, sub.coupons, "pause", sub)
        sub.billed = []

    def _resume(self, act: Act) -> None:
        sub = self.subs[act.data["deal"]]
        if sub.cancelling:
            sub.cancelling = False
            return
        if sub.trying:
            sub.status = "trialing"
            return
        at = self._moment(act.at)
        sub.status, sub.since, sub.plan_since = "active", at, at
        # A pause of no time leaves nothing out.
        sub.bounds_from = sub.paused if sub.paused[0] == act.at else self.now
        sub.use_from(sub.bounds_from)
        sub.base_billed = sub.capped = ZERO
        late = self._take_waiting(sub) + self._corrections(sub)
        lines = late + self._charge_all(sub, at, "charge")
        self._make(act.at, lines, sub.coupons, "resume")

    def _addon(self, act: Act) -> None:
        """Attached, in another quantity, or taken off (0)."""
        sub, name, quantity = self.subs[act.data["deal"]], act.data["addon"], act.data["quantity"]
        at, charge, credit, cap = self._moment(act.at), [], [], []
        late = self._take_waiting(sub) + self._corrections(sub)
        used: list[Line] = []
        trying = sub.trying
        if not trying:
            credit = self._credit(sub, at, name)
            if not quantity:
                used = self._usage_lines(sub, act.at, item=name)
        known = sub.addons.pop(name, None)
        if quantity:
            sub.addons[name] = (self.addons[name], quantity)
            if not known:
                sub.added[name] = sub.added.get(name, 0) + 1
            if not known and not trying:
                sub.use_from(self.now, name)
            if not trying and self.rules.proration != "none":
                charge = self._charge(sub, at, sub.end, "charge", name)
        if not trying:
            cap = self._cap(sub, used, late)
        self._make(act.at, late + used + cap + credit + charge, sub.coupons, "addon", sub)

    def _cancel(self, act: Act) -> None:
        sub = self.subs[act.data["deal"]]
        if sub.status == "trialing":
            sub.status = "cancelled"
            return
        if act.data["when"] == "period_end":
            sub.cancelling = True
            return
        at = self._moment(act.at)
        late = self._take_waiting(sub) + self._corrections(sub)
        credit = self._credit(sub, at) if act.data.get("prorate") else []
        used = self._arrears(sub, at) + self._usage_lines(sub, act.at)
        used += self._bounds(sub, at, used)
        lines = late + used + credit
        sub.status = "cancelled"
        refund = bool(act.data.get("refund"))
        self._make(act.at, lines, sub.coupons, "cancel", sub, refund)

    def _make(
        self,
        at: datetime,
        lines: list[Line],
        coupons: list[Attached],
        why: str,
        sub: Sub | None = None,
        refund: bool = False,
    ) -> None:
        lines = [line for line in lines if line.amount]
        lowers = sub.billed if sub else None
        made = bill(self.rules, at, lines, coupons, self.taxes, self.purse, why, lowers, refund)
        if made is None:
            return
        if self.buyer.poor:
            made.open = made.due
        else:
            made.paid = made.due
        self.bills.append(made)
        self._note_corrected(made)
        for each in self.subs.values():
            if any(held.line is line for held in each.held for line in lines):
                each.billed.append(made)
