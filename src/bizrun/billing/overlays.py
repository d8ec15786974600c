"""What holds when: dated versions and phases, laid over a plan's own lines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime
from typing import TypeVar

from msgspec.structs import replace

from .. import times
from ..values import Duration, Money
from .catalog import (
    Includes,
    Interval,
    Phase,
    Plan,
    Price,
    Terms,
    UsagePrice,
    Version,
    same_interval,
)

_Line = TypeVar("_Line")


def overlay(plan: Plan, terms: Terms) -> Plan:
    """The plan with the lines of a phase or version in place of those that they are about.

    A price stands for those of its currency and interval, a usage price for those of its meter,
    an allowance likewise, a bound for that of its currency; limits by their names. What nothing
    is said about goes on.
    """
    said = {name: getattr(terms, name) for name in terms.__struct_fields__}
    changes = {name: value for name, value in said.items() if value is not None}
    for name in ("limits", "limit_types", "providers", "data"):
        if name in changes:
            changes[name] = {**getattr(plan, name), **changes[name]}
    for name, replaces in _REPLACES.items():
        if name in changes:
            changes[name] = tuple(_laid_over(getattr(plan, name), changes[name], replaces))
    return replace(plan, **changes)


def _laid_over(
    old: tuple[_Line, ...], new: tuple[_Line, ...], replaces: Callable[..., Iterable[_Line]]
) -> Iterator[_Line]:
    """The new lines, each where the first of those stood that it replaces; then those of others."""
    left = list(new)
    for line in old:
        instead = list(replaces(line, old, new))
        if not instead:
            yield line
        for each in instead:
            if each in left:
                left.remove(each)
                yield each
    yield from left


def _prices(price: Price, old: tuple[Price, ...], new: tuple[Price, ...]) -> list[Price]:
    """What is said of a price's currency and interval. Of several prices that are due together
    (a base and seats) only those of the units that are named: unless none of them is."""

    def beside(prices: tuple[Price, ...]) -> list[Price]:
        return [
            one for one in prices
            if one.currency == price.currency and same_interval(one.interval, price.interval)
        ]  # fmt: skip

    said, units = beside(new), {one.per_unit for one in beside(old)}
    if units & {one.per_unit for one in said}:
        return [one for one in said if one.per_unit == price.per_unit]
    return said


def _usages(
    usage: UsagePrice, _: tuple[UsagePrice, ...], new: tuple[UsagePrice, ...]
) -> list[UsagePrice]:
    return [
        one for one in new
        if one.meter == usage.meter and one.currency in (usage.currency, None)
    ]  # fmt: skip


def _includes(line: Includes, _: tuple[Includes, ...], new: tuple[Includes, ...]) -> list[Includes]:
    return [one for one in new if one.meter == line.meter and one.events == line.events]


def _amounts(amount: Money, _: tuple[Money, ...], new: tuple[Money, ...]) -> list[Money]:
    return [one for one in new if one.currency == amount.currency]


_REPLACES: dict[str, Callable[..., Iterable[object]]] = {
    "prices": _prices, "usages": _usages, "includes": _includes, "minimums": _amounts,
    "maximums": _amounts, "bill_usage_at": _amounts,
}  # fmt: skip


def version_for(
    plan: Plan,
    subscribed: date,
    renewed: date,
    today: date,
    holds: Callable[[Version], bool] = lambda version: False,
) -> Plan:
    """The plan as it holds for a subscription: dated versions laid over each other in order.

    `subscribed` is the date it began, `renewed` the date the running period began, both local.
    `holds` answers a version's `where`.
    """
    for version in sorted(plan.versions, key=lambda version: version.start):
        match version.migrate:
            case "now":
                from_day = today
            case "renewal":
                from_day = renewed
            case "where":
                from_day = renewed if holds(version) else subscribed
            case None:
                from_day = subscribed
        if version.start <= from_day:
            plan = overlay(plan, version.terms)
    return plan


def phase_at(plan: Plan, started: datetime, at: datetime, zone: str) -> Phase | None:
    """The phase that holds at an instant; `started` is where the first paid period began."""
    begin, length = started, Duration()
    for phase in plan.phases:
        length += phase.duration
        end = times.add(started, length, times.zone(zone))
        if begin <= at < end:
            return phase
        begin = end
    return None


def interval_in(plan: Plan, phase: Phase | None, currency: str, own: Interval) -> Interval:
    """How long the periods of a subscription are in a phase of its plan.

    Its `own` interval, but where the phase has a price for another one alone, which the plan
    itself is not sold by (a month at a time before the years): that of the phase.
    """
    said = [
        price.interval for price in (phase.terms.prices or () if phase else ())
        if price.currency == currency and price.interval is not None
    ]  # fmt: skip
    known = [own, *(price.interval for price in plan.prices if price.currency == currency)]
    if not said or any(same_interval(one, other) for one in said for other in known):
        return own
    return said[0]


def plan_at(plan: Plan, started: datetime, at: datetime, zone: str) -> Plan:
    """The plan with the terms of the phase that holds at an instant."""
    phase = phase_at(plan, started, at, zone)
    return overlay(plan, phase.terms) if phase else plan
