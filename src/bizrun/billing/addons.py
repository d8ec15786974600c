"""What an add-on gives to the plan that it is attached to, beside its own prices."""

from __future__ import annotations

from msgspec.structs import replace

from ..values import Number
from .catalog import Carried, Plan


def with_addon(plan: Plan, addon: Plan, quantity: Number) -> Plan:
    """A plan with what an add-on gives to it: features, limits and allowances beside its own.

    An allowance of a meter that the add-on prices itself is for that price. They count for each of
    the quantity where a price of the add-on does.
    """
    times = quantity if any(price.per_unit is not None for price in addon.prices) else 1
    own = {usage.meter for usage in addon.usages}
    limits = {
        name: plan.limits.get(name, 0) + limit * times for name, limit in addon.limits.items()
    }
    includes = [
        replace(line, quantity=line.quantity * times, carried=_carried(line.carried, times))
        for line in addon.includes if line.meter not in own
    ]  # fmt: skip
    return replace(
        plan, includes=(*plan.includes, *includes),
        features=tuple(dict.fromkeys((*plan.features, *addon.features))),
        limits={**plan.limits, **limits}, limit_types={**addon.limit_types, **plan.limit_types},
    )  # fmt: skip


def _carried(carried: Carried | None, times: Number) -> Carried | None:
    if carried is None or carried.most is None:
        return carried
    return replace(carried, most=carried.most * times)
