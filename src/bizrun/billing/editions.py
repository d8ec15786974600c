"""Plans and add-ons as they were before they were edited: who has one keeps the prices of then.

A plan that is edited in place has a new edition. A subscription has the edition that it was made
with, as it has the dated version of its day, until it takes another plan; what a later edition says
with a date and `migrate` brings it over (BILLING.md; `docs/billing.md`, "Prices change").
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from .catalog import Plan, Version
from .overlays import version_for
from .periods import local_day

ADDON = "addon "
"""With which the key of an add-on begins; no plan is called so."""

PRICED = ("prices", "usages", "includes", "minimums", "maximums", "bill_usage_at", "phases")
"""The lines of a plan that a subscription keeps; what it may do and is called is everybody's."""


class Edition(Struct, frozen=True):
    """The priced lines and dated versions of a plan, and when it was edited."""

    plan: Plan
    until: datetime


def edition_key(plan: Plan) -> str:
    """What tells the plans and add-ons of a spec apart."""
    return f"{ADDON}{plan.name}" if plan.addon else plan.name


def priced(plan: Plan) -> Plan:
    """A plan with nothing but what makes an edition of it."""
    return Plan(plan.name, addon=plan.addon, versions=plan.versions, **_lines(plan))


def as_taken(
    plan: Plan, since_then: Sequence[Edition], began: date, renewed: date, today: date, zone: str,
    holds: Callable[[Version], bool],
) -> Plan:  # fmt: skip
    """A plan as it is now with the prices that a subscription has which took the first of
    these editions: with the dated versions of then, as far as they came before the edit, and
    those of later editions that bring running subscriptions over.

    Dates are local: when the plan was taken, when the running period began, and today's.
    """
    found = replace(plan, **_lines(since_then[0].plan))
    editions = [each.plan.versions for each in since_then]
    untils = [local_day(each.until, zone) for each in since_then]
    for number, versions in enumerate([*editions, plan.versions]):
        last = untils[number] if number < len(untils) else date.max
        held = tuple(
            version for version in versions
            if version.start <= last and (number == 0 or version.migrate is not None)
        )  # fmt: skip
        subscribed = began if number == 0 else date.min
        found = version_for(replace(found, versions=held), subscribed, renewed, today, holds)
    return found


def with_prices(plan: Plan, other: Plan, meters: Container[str]) -> Plan:
    """A plan with the prices of another one, but for what is free of a meter that is no more."""
    usages = tuple(u for u in other.usages if u.meter in meters or not u.pricing.free)
    charged = {price.meter for price in usages}
    includes = tuple(i for i in other.includes if i.meter in meters or i.meter in charged)
    return replace(plan, **{**_lines(other), "usages": usages, "includes": includes})


def _lines(plan: Plan) -> Mapping[str, Any]:
    return {name: getattr(plan, name) for name in PRICED}
