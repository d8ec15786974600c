"""What a customer uses: rated at a period's end, at a threshold, and again when more comes late."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from fractions import Fraction
from math import inf
from typing import Any

from .books import ZERO, Attached, in_proportion
from .calendars import Cycle, instant, length, local_date, shift
from .rates import rate
from .sub import Place, Sub, Used, Window, measure
from .world import Line, Rules, Usage


class Metered:
    """The part of a customer's life that meters see."""

    rules: Rules
    zone: str
    seconds: bool
    subs: dict[str, Sub]
    used: list[Used]
    now: Place
    """How far everything is handled."""

    def _length(self, start: datetime, end: datetime) -> Fraction:
        raise NotImplementedError

    def _make(
        self, at: datetime, lines: list[Line], coupons: list[Attached], why: str,
        sub: Sub | None = None, refund: bool = False,
    ) -> None:  # fmt: skip
        raise NotImplementedError

    def _month_end(self, sub: Sub, item: str, usage: Usage) -> datetime:
        """Where the running month of a usage price ends, counted from the anchor."""
        return min(self._month_behind(sub, sub.usage_from[item, usage.meter][0])[1], sub.end)

    def _month_behind(self, sub: Sub, begun: datetime) -> tuple[datetime, datetime]:
        """The month, counted from the anchor, in which an instant lies."""
        assert sub.cycle is not None
        k = 1
        while (end := self._month(sub.cycle, k)) <= begun:
            k += 1
        return self._month(sub.cycle, k - 1), end

    def _whole(self, sub: Sub, usage: Usage, begun: datetime) -> Fraction:
        """How long the whole period of a usage price is that one which begins then is of."""
        assert sub.cycle is not None
        if not usage.monthly:
            return sub.cycle.whole(sub.n, self.seconds)
        return self._length(*self._month_behind(sub, begun))

    def _month(self, cycle: Cycle, k: int) -> datetime:
        assert not cycle.late
        if k == 0:
            return cycle.on(0)
        return instant(shift(cycle.anchor, k, "month", cycle.day), cycle.zone, cycle.clock)

    def _usage_lines(
        self, sub: Sub, at: datetime, months: bool = False, item: str | None = None
    ) -> list[Line]:
        """What was used up to now, of the periods that end: all, or those of a month or an item."""
        lines: list[Line] = []
        for name, usage in sub.metered:
            end = self._month_end(sub, name, usage) if usage.monthly else sub.end
            if (months and not (usage.monthly and end == at)) or item not in (None, name):
                continue
            since = sub.usage_from[name, usage.meter]
            sub.usage_from[name, usage.meter] = self.now
            lines += self._rated(sub, name, usage, since, at >= end)
        return lines

    def _included(self, sub: Sub, item: str, usage: Usage, end: datetime) -> Fraction:
        """The allowance of a period that begins where the running one did and ends then."""
        start = sub.usage_from[item, usage.meter][0]
        return usage.includes * self._share(sub, usage, start, end)

    def _share(self, sub: Sub, usage: Usage, start: datetime, end: datetime) -> Fraction:
        """Which part of its allowance a part of a period has: all of it without proration."""
        if not usage.prorated or self.rules.proration == "none":
            return Fraction(1)
        return self._length(start, end) / self._whole(sub, usage, start)

    def _rated(self, sub: Sub, item: str, usage: Usage, since: Place, whole: bool) -> list[Line]:
        included = usage.includes * self._share(sub, usage, since[0], self.now[0])
        window = self._window(sub, item, usage, since, self.now, included)
        window.whole = whole
        if (before := sub.partly.pop((item, usage.meter), None)) is not None:
            window.billed, window.lines = before.billed, before.lines
        sub.windows.append(window)
        return self._window_lines(window, "usage")

    def _window(
        self, sub: Sub, item: str, usage: Usage, since: Place, until: Place, included: Fraction
    ) -> Window:
        mine = (item, usage.meter)
        before = tuple(each for each in sub.windows if (each.item, each.usage.meter) == mine)
        assert sub.cycle is not None
        period = sub.cycle.whole(sub.n, True)
        if usage.monthly:
            period = length(self.zone, *self._month_behind(sub, since[0]), True)
        plan = sub.added[item] if item else sub.plans
        return Window(usage, since, until, included, item, period, before=before, plan=plan)

    def _carried_into(self, window: Window) -> Fraction:
        """What the windows before left for this one, each of them gone through anew."""
        lots: list[tuple[Fraction, float]] = []
        last: Window | None = None
        for each in (*window.before, window):
            # A plan without it between them, that held for some time, or another time of an add-on.
            apart = last is None or (
                each.plan != last.plan and (each.item != "" or each.start != last.end)
            )
            if each.usage.carried is None or apart:
                lots = []
            last = each
            if each.usage.carried is None:
                continue
            periods, most = each.usage.carried
            lots = _newest(lots, most)
            if each is window:
                break
            own = (each.included, inf if periods is None else periods + 1)
            used = self._measured(each, self._seen(each))
            pool = sorted([*lots, own], key=lambda lot: lot[1])
            left = []
            for quantity, lasts in pool:
                taken = min(quantity, max(used, ZERO))
                used -= taken
                left.append((quantity - taken, lasts))
            if each.whole:
                lots = [(quantity, lasts - 1) for quantity, lasts in left if lasts > 1]
            else:
                # Of a period that is cut short only what was prorated goes on.
                mine = pool.index(own) if own not in lots else len(pool) - 1 - pool[::-1].index(own)
                lots = [lot for n, lot in enumerate(left) if n != mine or each.usage.prorated]
        return sum((quantity for quantity, _ in lots), ZERO)

    def _window_lines(self, window: Window, kind: str) -> list[Line]:
        """What usage known by now costs, less what was billed of it."""
        lines: list[Line] = []
        for note, exact in self._priced(window).items():
            before = window.billed.get(note, ZERO)
            amount = self.rules.round(exact) - before
            window.billed[note] = before + amount
            known = window.lines.setdefault(note, [])
            made = [Line(amount, kind, note=note, meter=window.usage.meter)]
            if amount < 0:
                made = self._given_back(made[0], known, before)
            for line in made:
                line.begins = local_date(window.start, self.zone)
            known += [line for line in made if line.amount > 0]
            lines += made
        return lines

    def _given_back(self, line: Line, known: list[Line], before: Fraction) -> list[Line]:
        """In proportion to what was charged of it, with the taxes of then: a line for each of
        them. Discounted as it was, and not discounted again."""
        by_taxes: dict[Any, list[Line]] = {}
        for each in known:
            by_taxes.setdefault((each.rates, each.taxed), []).append(each)
        made = []
        for (rates, taxed), mine in by_taxes.items():
            charged = sum((each.left for each in mine), ZERO)
            amount = self.rules.round(line.amount * charged / before)
            # What waits for an invoice is discounted with what gives it back.
            waits = line.discounted and rates is None
            back = replace(line, amount=amount, discounted=waits, rates=rates, taxed=taxed, of=[])
            for each, part in zip(
                mine, in_proportion(amount, [m.left for m in mine], self.rules.currency),
                strict=True,
            ):  # fmt: skip
                back.of.append((each, -part))
                each.back -= part
            made.append(back)
        return made

    def _counted(self) -> None:
        """Usage that is billed at once where what is not billed of it reaches a threshold."""
        for sub in self.subs.values():
            limit = sub.plan.threshold
            if limit is None or sub.status != "active":
                continue
            running = self._running(sub)
            due = sum(
                (self.rules.round(exact) if note in window.billed else exact)
                - window.billed.get(note, ZERO)
                for window in running
                for note, exact in self._priced(window).items()
            )
            if due >= limit:
                self._bill_running(sub, running, "threshold")

    def _running(self, sub: Sub) -> list[Window]:
        """The running usage periods, up to now, each with the allowance of the whole of it."""
        found = []
        for item, usage in sub.metered:
            end = self._month_end(sub, item, usage) if usage.monthly else sub.end
            since, included = sub.usage_from[item, usage.meter], ZERO
            if since[0] < end:
                included = self._included(sub, item, usage, end)
            window = self._window(sub, item, usage, since, self.now, included)
            if (before := sub.partly.get((item, usage.meter))) is not None:
                window.billed, window.lines = before.billed, before.lines
            found.append(window)
        return found

    def _bill_running(self, sub: Sub, running: list[Window], why: str) -> None:
        lines: list[Line] = []
        before = [dict(window.billed) for window in running]
        for window in running:
            lines += self._window_lines(window, "usage")
        if not any(line.amount for line in lines):
            # Nothing is billed, nor given back of what a coupon had free.
            for window, was in zip(running, before, strict=True):
                window.billed.clear()
                window.billed.update(was)
            return
        for window in running:
            sub.partly[window.item, window.usage.meter] = window
        self._make(self.now[0], lines + self._cap(sub, lines), sub.coupons, why)

    def _cap(self, sub: Sub, used: list[Line], late: Sequence[Line] = ()) -> list[Line]:
        """What an invoice within a period counts to its bounds, and takes off above a maximum."""
        sub.base_billed += sum((line.amount for line in used), ZERO)
        high, inside = sub.plan.maximum, [line for line in late if line.inside and line.amount]
        if high is None or not (used or inside):
            return []
        over = min(high - sub.base_billed, ZERO) - sub.capped
        sub.capped += over
        return [Line(over, "maximum", local_date(sub.bounds_from[0], self.zone), bounded=True)]

    def _priced(self, window: Window) -> dict[str, Fraction]:
        """The exact price of a window, by the value of a dimension."""
        usage, seen = window.usage, self._seen(window)
        free = window.included + self._carried_into(window)
        still = window.start == window.end
        if usage.first:
            seen, free = self._beyond_first(usage, seen, free)
        if usage.by:
            prices = dict(usage.by)
            values = {data["by"] for data in seen} | set(window.billed)
            # In the order of the price's cases, then by name.
            order = [*prices, *sorted(values - set(prices))]
            return {
                value: sum((d["units"] for d in seen if d["by"] == value), ZERO)
                * prices.get(value, prices["else"])
                for value in sorted(values, key=order.index)
            }
        billable = max(self._measured(window, seen) - free, ZERO)
        if still and not billable:
            # It ended where it began: nothing is due for time that there was not.
            return dict.fromkeys(window.billed, ZERO)
        count = sum(data["units"] >= 0 for data in seen)
        if usage.model == "share" and free:
            # What is covered whole has no fixed part.
            for data in seen:
                count -= free > 0 and 0 <= data["units"] <= free
                free -= min(free, max(data["units"], ZERO))
        return {usage.meter: rate(usage, billable, count)}

    def _measured(self, window: Window, seen: list[dict[str, Any]]) -> Fraction:
        """What a window has used; an average by its part of a whole period."""
        if window.usage.meter != "level":
            return measure(window.usage.meter, seen)
        area, since, held = ZERO, window.start, ZERO
        for used in self.used:
            if used.data["meter"] != "level" or used.came >= self.now:
                continue
            if used.at >= window.end:
                break
            if used.at > window.start:
                area += held * length(self.zone, since, used.at, True)
                since = used.at
            held = used.by(self.now)["units"]
        area += held * length(self.zone, since, window.end, True)
        return area / window.period

    def _beyond_first(
        self, usage: Usage, seen: list[dict[str, Any]], free: Fraction
    ) -> tuple[list[dict[str, Any]], Fraction]:
        """What the first events leave, or an allowance of units that is used up before them."""
        gone, left = 0, usage.first
        while gone < len(seen) and left:
            # What takes something back is no event that could be free.
            left -= seen[gone]["units"] >= 0
            gone += 1
        covered = max(measure(usage.meter, seen[:gone]), ZERO)
        if usage.includes and free < covered:
            return seen, free
        return seen[gone:], ZERO

    def _seen(self, window: Window) -> list[dict[str, Any]]:
        """What has come by now of a window, in the order of its time."""
        return [
            used.by(self.now)
            for used in self.used
            if used.data["meter"] == window.usage.meter
            and window.since <= used.place < window.until
            and used.came < self.now
        ]

    def _corrections(self, sub: Sub) -> list[Line]:
        """What late events change of periods that were billed: rate(all) − rate(billed)."""
        lines: list[Line] = []
        for window in sub.windows:
            made = self._window_lines(window, "correction")
            lines += made
            if window.since >= sub.bounds_from:
                # Of an add-on that is gone: of the period that runs.
                sub.base_billed += sum((line.amount for line in made), ZERO)
                for line in made:
                    line.inside = line.bounded = True
            for settled in sub.settled:
                if settled.since <= window.since < settled.until:
                    settled.cost += sum((line.amount for line in made), ZERO)
                    for line in made:
                        line.bounded = settled
        for settled in sub.settled:
            due = self._within(settled.cost, settled.low, settled.high) - settled.cost
            amount = self.rules.round(due) - settled.made
            capped = settled if settled.made < 0 else None
            settled.made += amount
            lines.append(Line(amount, "bound", settled.begins, bounded=capped))
        return lines

    def _within(self, cost: Fraction, low: Fraction | None, high: Fraction | None) -> Fraction:
        """What a period costs within its bounds."""
        return low if low is not None and cost < low else min(cost, cost if high is None else high)


def _newest(lots: list[tuple[Fraction, float]], most: int | None) -> list[tuple[Fraction, float]]:
    """As much of what was left as may go on: what lapses last."""
    over = sum((quantity for quantity, _ in lots), ZERO) - (most or 0)
    if most is None or over <= 0:
        return lots
    kept = []
    for quantity, lasts in sorted(lots, key=lambda lot: lot[1]):
        cut = min(quantity, over)
        over -= cut
        kept.append((quantity - cut, lasts))
    return kept
