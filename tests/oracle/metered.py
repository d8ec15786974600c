"""What a customer uses: rated at a period's end, at a threshold, and again when more comes late."""

from __future__ import annotations

from datetime import datetime, timedelta
from fractions import Fraction
from math import inf
from typing import Any

from .books import ZERO, Attached
from .calendars import Cycle, instant, length, local_date, shift
from .rates import rate
from .sub import Sub, Window, measure
from .world import Act, Line, Rules, Usage


class Metered:
    """The part of a customer's life that meters see."""

    rules: Rules
    zone: str
    seconds: bool
    subs: dict[str, Sub]
    usage: list[Act]

    def _length(self, start: datetime, end: datetime) -> Fraction:
        raise NotImplementedError

    def _make(
        self, at: datetime, lines: list[Line], coupons: list[Attached], why: str,
        sub: Sub | None = None, refund: bool = False,
    ) -> None:  # fmt: skip
        raise NotImplementedError

    def _month_end(self, sub: Sub, usage: Usage) -> datetime:
        """Where the running month of a usage price ends, counted from the anchor."""
        begun = sub.usage_from["", usage.meter]
        assert sub.cycle is not None
        k = 1
        while (end := self._month(sub.cycle, k)) <= begun:
            k += 1
        return min(end, sub.end)

    def _whole(self, sub: Sub, usage: Usage, begun: datetime) -> Fraction:
        """How long the whole period of a usage price is that one which begins then is of."""
        assert sub.cycle is not None
        if not usage.monthly:
            return sub.cycle.whole(sub.n, self.seconds)
        k = 1
        while (end := self._month(sub.cycle, k)) <= begun:
            k += 1
        return self._length(self._month(sub.cycle, k - 1), end)

    def _month(self, cycle: Cycle, k: int) -> datetime:
        assert not cycle.late
        return instant(shift(cycle.anchor, k, "month", cycle.day), cycle.zone, cycle.clock)

    def _usage_lines(
        self, sub: Sub, at: datetime, months: bool = False, item: str | None = None
    ) -> list[Line]:
        lines: list[Line] = []
        for name, usage in sub.metered:
            if months and not (usage.monthly and self._month_end(sub, usage) == at):
                continue
            if item not in (None, name):
                continue
            start = sub.usage_from[name, usage.meter]
            whole = at >= (self._month_end(sub, usage) if usage.monthly else sub.end)
            sub.usage_from[name, usage.meter] = at
            if start < at:  # a change at the instant of a renewal: no time, nothing that is due
                lines += self._rated(sub, name, usage, start, at, whole)
        return lines

    def _all_included(self, sub: Sub, usage: Usage) -> Fraction:
        """The allowance of the running period as a whole."""
        assert sub.cycle is not None
        start, share = sub.usage_from["", usage.meter], Fraction(1)
        if usage.prorated:
            share = self._length(start, sub.end) / sub.cycle.whole(sub.n, self.seconds)
        return usage.includes * share

    def _rated(
        self, sub: Sub, item: str, usage: Usage, start: datetime, end: datetime, whole: bool
    ) -> list[Line]:
        included = Fraction(usage.includes)
        if usage.prorated:
            included *= self._length(start, end) / self._whole(sub, usage, start)
        window = self._window(sub, item, usage, start, end, included)
        window.whole = whole
        if not item and (before := sub.partly.pop(usage.meter, None)) is not None:
            window.billed, window.lines = before.billed, before.lines
        sub.windows.append(window)
        return self._window_lines(window, end, "usage")

    def _window(
        self, sub: Sub, item: str, usage: Usage, start: datetime, end: datetime, included: Fraction
    ) -> Window:
        mine = (item, usage.meter)
        before = tuple(each for each in sub.windows if (each.item, each.usage.meter) == mine)
        assert sub.cycle is not None
        period = sub.cycle.whole(sub.n, True)
        return Window(usage, start, end, included, item, period, before=before, plan=sub.plans)

    def _carried_into(self, window: Window, now: datetime) -> Fraction:
        """What the windows before left for this one, each of them gone through anew."""
        lots: list[tuple[Fraction, float]] = []
        last: Window | None = None
        for each in (*window.before, window):
            if each.usage.carried is None or last is None or each.plan > last.plan + 1:
                lots = []
            last = each
            if each.usage.carried is None:
                continue
            periods, most = each.usage.carried
            lots = _newest(lots, most)
            if each is window:
                break
            own = (each.included, inf if periods is None else periods + 1)
            used = self._measured(each, now, self._seen(each, now))
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

    def _window_lines(self, window: Window, now: datetime, kind: str) -> list[Line]:
        """What usage known by now costs, less what was billed of it."""
        begins = local_date(window.start, self.zone)
        lines: list[Line] = []
        for note, exact in self._priced(window, now).items():
            before = window.billed.get(note, ZERO)
            amount = self.rules.round(exact) - before
            window.billed[note] = before + amount
            line = Line(amount, kind, begins, note=note, meter=window.usage.meter)
            known = window.lines.setdefault(note, [])
            if amount < 0:
                # As it was charged: discounted, and not discounted again.
                net = sum((each.amount - each.share for each in known), ZERO)
                line.amount, line.discounted = self.rules.round(amount * net / before), False
                charged = [each for each in known if each.amount and each.rates is not None]
                line.rates = charged[-1].rates if charged else None
            known.append(line)
            lines.append(line)
        return lines

    def _counted(self, act: Act) -> None:
        """Usage that is billed at once where what is not billed of it reaches a threshold."""
        for sub in self.subs.values():
            limit = sub.plan.threshold
            if limit is None or sub.status != "active":
                continue
            moment = act.at + timedelta(microseconds=1)
            running = [
                sub.partly.get(usage.meter)
                or self._window(
                    sub,
                    "",
                    usage,
                    sub.usage_from["", usage.meter],
                    moment,
                    self._all_included(sub, usage),
                )
                for usage in sub.plan.usages
            ]
            for window in running:
                window.end = moment
            due = sum(
                (self.rules.round(exact) if note in window.billed else exact)
                - window.billed.get(note, ZERO)
                for window in running
                for note, exact in self._priced(window, moment).items()
            )
            if due < limit:
                continue
            lines: list[Line] = []
            for window in running:
                lines += self._window_lines(window, moment, "usage")
                sub.partly[window.usage.meter] = window
            self._make(act.at, lines, sub.coupons, "threshold")

    def _priced(self, window: Window, now: datetime) -> dict[str, Fraction]:
        """The exact price of a window, by the value of a dimension."""
        usage, seen = window.usage, self._seen(window, now)
        free = window.included + self._carried_into(window, now)
        if usage.first:
            seen, free = self._beyond_first(usage, seen, free)
        if usage.by:
            prices = dict(usage.by)
            values = {data["by"] for data in seen}
            # In the order of the price's cases, then by name.
            order = [*prices, *sorted(values - set(prices))]
            return {
                value: sum((d["units"] for d in seen if d["by"] == value), ZERO)
                * prices.get(value, prices["else"])
                for value in sorted(values, key=order.index)
            }
        billable = max(self._measured(window, now, seen) - free, ZERO)
        count = len(seen)
        if usage.model == "share" and free:
            # What is covered whole has no fixed part.
            for data in seen:
                count -= data["units"] <= free
                free -= min(free, data["units"])
        return {usage.meter: rate(usage, billable, count)}

    def _measured(self, window: Window, now: datetime, seen: list[dict[str, Any]]) -> Fraction:
        """What a window has used; an average by its part of a whole period."""
        if window.usage.meter != "level":
            return measure(window.usage.meter, seen)
        area, since, held = ZERO, window.start, ZERO
        for act in self.usage:
            if act.data["meter"] != "level" or act.data.get("sent", act.at) >= now:
                continue
            if act.at >= window.end:
                break
            if act.at > window.start:
                area += held * length(self.zone, since, act.at, True)
                since = act.at
            held = act.data["units"]
        area += held * length(self.zone, since, window.end, True)
        return area / window.period

    def _beyond_first(
        self, usage: Usage, seen: list[dict[str, Any]], free: Fraction
    ) -> tuple[list[dict[str, Any]], Fraction]:
        """What the first events leave, or an allowance of units that is used up before them."""
        covered = measure(usage.meter, seen[: usage.first])
        if usage.includes and free < covered:
            return seen, free
        return seen[usage.first :], ZERO

    def _seen(self, window: Window, now: datetime) -> list[dict[str, Any]]:
        return [
            act.data
            for act in self.usage
            if act.data["meter"] == window.usage.meter
            and window.start <= act.at < window.end
            and act.data.get("sent", act.at) < now
        ]

    def _corrections(self, sub: Sub, at: datetime) -> list[Line]:
        """What late events change of periods that were billed: rate(all) − rate(billed)."""
        lines: list[Line] = []
        for window in sub.windows:
            made = self._window_lines(window, at, "correction")
            lines += made
            for settled in sub.settled:
                if settled.start <= window.start < settled.end:
                    settled.cost += sum((line.amount for line in made), ZERO)
        for settled in sub.settled:
            due = self._within(settled.cost, settled.low, settled.high) - settled.cost
            amount = self.rules.round(due) - settled.made
            settled.made += amount
            lines.append(Line(amount, "bound", local_date(settled.start, self.zone)))
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
