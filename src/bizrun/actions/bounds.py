"""The minimum and maximum of a subscription's periods: what a period costs at least and at most.

What a settled period came to stands in a row of `_usage` under no meter, so that what comes late
for it stays within its bounds too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from typing import Any

from ..billing import invoicing, periods
from ..billing.invoicing import Bound, Line
from ..values import Money
from . import charged
from .billed import Metered
from .desk import Desk, Row
from .terms import cycle_of, items
from .usage import share_of, usage_key

_NAMES = ("subscription", "plan", "period_start", "period_end", "minimum", "maximum", "before",
          "settle", "settled", "again", "left")  # fmt: skip


def bounds_of(
    desk: Desk, sub: Mapping[str, Any], end: datetime, settle: bool = True
) -> list[Bound]:
    """The minimum and maximum of the period that ends; before `settle` only the maximum."""
    plan = items(desk, sub, sub["period_start"])[0].plan
    least, most = plan.minimum(sub["currency"]), plan.maximum(sub["currency"])
    if least is None and most is None:
        return []
    start = sub["usage_start"] or sub["period_start"]
    period = periods.period_at(cycle_of(desk, sub), start)
    # The day on which a subscription begins counts whole, so its price lies before its usage.
    begin = period.start if start == sub["started"] else max(start, period.start)
    known, zero = sub["billing"] or {}, Money(0, sub["currency"])
    before, settled = known.get("before") or zero, known.get("settled") or zero
    share = share_of(desk, sub, period, begin, end)
    left = None if most is None else charged.left_of_period(desk, sub, begin, end)
    return [
        Bound(
            sub["id"], plan.name, begin, end, least, most, before, share, settle, settled,
            left=left,
        )
    ]  # fmt: skip


def running(desk: Desk, sub: Mapping[str, Any], lines: Sequence[Line]) -> list[Bound]:
    """The maximum of the running period, for an invoice that has base or usage of it."""
    found = bounds_of(desk, sub, sub["period_end"], settle=False)
    return [each for each in found if any(invoicing.counts_to(line, each) for line in lines)]


def bounded(desk: Desk, sub: Mapping[str, Any]) -> bool:
    """Whether the plan has a minimum or maximum."""
    plan = items(desk, sub, sub["period_start"])[0].plan
    return bool(plan.minimums or plan.maximums)


def note(desk: Desk, sub: Mapping[str, Any], known: dict[str, Any], lines: Sequence[Line]) -> None:
    """Notes what an invoice of a running period counts to its bounds."""
    for bound in bounds_of(desk, sub, sub["period_end"], settle=False):
        known["before"], known["settled"] = _after(bound, lines)


def _after(bound: Bound, lines: Sequence[Line]) -> tuple[Money, Money]:
    """What a period has cost after an invoice, and what its bounds have made of that."""
    cost, settled = bound.before, bound.settled or bound.before * 0
    for line in lines:
        if invoicing.counts_to(line, bound):
            cost = cost + line.full
        elif invoicing.settles(line, bound):
            settled = settled + line.full
    return cost, settled


# --- settled periods -------------------------------------------------------------------------


def keep(
    desk: Desk, customer: str, found: Sequence[Bound], lines: Sequence[Line], invoice: str | None
) -> None:
    """Remembers what the periods that an invoice settles came to."""
    for bound in found:
        if not bound.settle or bound.subscription is None:
            continue
        key = usage_key(bound.subscription, "", "", bound.period_start)
        desk.put("_usage", key, {
            "id": key, "subscription": bound.subscription, "customer": customer, "meter": "",
            "start": bound.period_start, "end": bound.period_end, "invoice": invoice,
            "billed": list(_after(bound, lines)),
            "terms": {"plan": bound.plan, "minimum": bound.minimum, "maximum": bound.maximum,
                      "share": _ratio(bound.share)},
        })  # fmt: skip


def again(desk: Desk, corrected: Sequence[Metered]) -> list[Bound]:
    """The bounds of settled periods for which something came late."""
    found: dict[str, Bound] = {}
    for metered in corrected:
        row = _settled_at(desk, metered.row)
        if row is not None:
            cost, settled = row["billed"]
            terms = row["terms"]
            sub = desk.row("Subscription", row["subscription"])
            left = None
            if terms["maximum"] is not None:
                left = charged.left_of_period(desk, sub, row["start"], row["end"])
            found[row["id"]] = Bound(
                row["subscription"], terms["plan"], row["start"], row["end"], terms["minimum"],
                terms["maximum"], cost, Fraction(*terms["share"]), True, settled, True, left,
            )  # fmt: skip
    return list(found.values())


def _settled_at(desk: Desk, window: Row) -> Row | None:
    """The settled period of a subscription that a usage window lies in."""
    rows = desk.rows(
        "_usage", {"customer": window["customer"], "meter": ""}, [("start", "<=", window["start"])],
        (("start", True),), 8,
    )  # fmt: skip
    mine = (row for row in rows if row["subscription"] == window["subscription"])
    return next((row for row in mine if row["end"] > window["start"]), None)


# --- as rows ---------------------------------------------------------------------------------


def as_rows(found: Sequence[Bound]) -> list[dict[str, Any]]:
    """Bounds as a draft keeps them."""
    return [
        {**{name: getattr(bound, name) for name in _NAMES}, "share": _ratio(bound.share)}
        for bound in found
    ]


def from_rows(rows: Sequence[Mapping[str, Any]]) -> list[Bound]:
    """The bounds that a draft has kept."""
    return [Bound(**{**row, "share": Fraction(*row["share"])}) for row in rows]


def _ratio(share: Fraction) -> list[int]:
    return [share.numerator, share.denominator]
