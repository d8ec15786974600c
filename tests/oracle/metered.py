"""What a customer uses: rated at a period's end, at a threshold, and again when more comes late."""

from __future__ import annotations

from datetime import datetime, timedelta
from fractions import Fraction

from .books import ZERO, Attached
from .calendars import Cycle, instant, local_date, shift
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
        begun = sub.usage_from[usage.meter]
        assert sub.cycle is not None
        k = 1
        while (end := self._month(sub.cycle, k)) <= begun:
            k += 1
        return min(end, sub.end)

    def _month(self, cycle: Cycle, k: int) -> datetime:
        assert not cycle.late
        return instant(shift(cycle.anchor, k, "month", cycle.day), cycle.zone, cycle.clock)

    def _usage_lines(self, sub: Sub, at: datetime, months: bool = False) -> list[Line]:
        lines: list[Line] = []
        for usage in sub.plan.usages:
            if months and not (usage.monthly and self._month_end(sub, usage) == at):
                continue
            start = sub.usage_from[usage.meter]
            sub.usage_from[usage.meter] = at
            lines += self._rated(sub, usage, start, at)
        return lines

    def _all_included(self, sub: Sub, usage: Usage) -> Fraction:
        """The allowance of the running period as a whole."""
        assert sub.cycle is not None
        start, share = sub.usage_from[usage.meter], Fraction(1)
        if usage.prorated:
            share = self._length(start, sub.end) / sub.cycle.whole(sub.n, self.seconds)
        return usage.includes * share

    def _rated(self, sub: Sub, usage: Usage, start: datetime, end: datetime) -> list[Line]:
        included = Fraction(usage.includes)
        if usage.prorated and not usage.monthly:
            assert sub.cycle is not None
            included *= self._length(start, end) / sub.cycle.whole(sub.n, self.seconds)
        window = Window(usage, start, end, included)
        if (before := sub.partly.pop(usage.meter, None)) is not None:
            window.billed, window.lines = before.billed, before.lines
        sub.windows.append(window)
        return self._window_lines(window, end, "usage")

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
                or Window(
                    usage, sub.usage_from[usage.meter], moment, self._all_included(sub, usage)
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
        usage = window.usage
        seen = [
            act.data
            for act in self.usage
            if act.data["meter"] == usage.meter
            and window.start <= act.at < window.end
            and act.data.get("sent", act.at) < now
        ]
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
        billable = max(measure(usage.meter, seen) - window.included, ZERO)
        count = len(seen)
        if usage.model == "share" and window.included:
            # What is covered whole has no fixed part.
            free = window.included
            for data in seen:
                count -= data["units"] <= free
                free -= min(free, data["units"])
        return {usage.meter: rate(usage, billable, count)}

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
