"""The lines that a subscription puts on an invoice, with exact amounts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import NamedTuple

from msgspec.structs import replace

from ..values import Money, Number
from .catalog import Plan, Price
from .discounts import Beside
from .invoicing import GivenBack, Line
from .periods import Period
from .proration import Change, portion
from .rating import Asked, Rated, TierLine, fixed_amount
from .taxes import TaxedAs


class Origin(NamedTuple):
    """How something was charged that is given back: how it was taxed, on which invoice, and what
    is left of that one's total; None where it is not known. `noted` is what that one keeps as given
    back by this."""

    taxed: TaxedAs | None = None
    invoice: str | None = None
    left: Money | None = None
    noted: GivenBack | None = None


_UNKNOWN = Origin()


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose lines they are: a subscription and its plan (or one of its addons)."""

    subscription: str
    plan: str
    title: str

    @staticmethod
    def of(subscription: str, plan: Plan) -> Subject:
        """The lines of a plan on a subscription."""
        return Subject(subscription, plan.name, plan.title or plan.name)


def base_lines(
    subject: Subject,
    prices: Sequence[Price],
    quantity: Number,
    start: datetime,
    end: datetime,
    share: Fraction = Fraction(1),
    covers: str | None = None,
) -> list[Line]:
    """The fixed parts for `[start, end)`, a share of the whole interval; one line a price."""
    lines = []
    for price in prices:
        rated = fixed_amount(price, quantity)
        unit = f" per {price.per_unit}" if price.per_unit else ""
        lines.append(
            Line(
                "base",
                f"{subject.title}{unit}",
                portion(rated.amount, share),
                quantity=1 if price.per_unit is None else quantity,
                unit_amount=_unit_amount(rated),
                subscription=subject.subscription,
                plan=subject.plan,
                period_start=start,
                period_end=end,
                explanation=rated.tiers,
                covers=covers,
            )
        )
    return lines


def usage_lines(
    subject: Subject,
    meter: str,
    rated: Sequence[Rated],
    start: datetime,
    end: datetime,
    billed: Mapping[tuple[str, ...], Rated] | None = None,
    kind: str = "usage",
) -> list[Line]:
    """A meter's usage over `[start, end)`, one line for each value of the price's dimensions.

    `billed` is what earlier invoices charged of it by those values, amounts as they were rounded:
    at a threshold in mid-period, or, as kind "correction", before late events came. What is given
    back of that is given back as it was charged, discounted, and is not discounted again: a line,
    or one for each set of taxes with which it was charged.
    """
    lines = []
    for part in rated:
        before = (billed or {}).get(part.values)
        amount, quantity = part.amount, part.quantity
        if before is not None:
            amount, quantity = amount - before.amount, quantity - before.quantity
        line = Line(
            kind,
            " ".join((meter, *part.values)),
            amount,
            quantity=quantity,
            unit_amount=_unit_amount(part),
            subscription=subject.subscription,
            plan=subject.plan,
            meter=meter,
            period_start=start,
            period_end=end,
            explanation=(*part.free, *part.tiers, *_billed(part, before)),
            dimensions=part.values,
        )
        lines += [line] if before is None else _given_back(line, before)
    return lines


def _billed(part: Rated, before: Rated | None) -> tuple[TierLine, ...]:
    """What was billed of it already, where its steps are of all that was used; units of one price
    say it by their quantity."""
    if (
        before is None
        or not (before.amount or before.quantity)
        or (len(part.tiers) == 1 and not part.free and part.tiers[0].plain)
    ):
        return ()
    zero = part.amount * 0
    return (TierLine(0, None, -before.quantity, None, None, None, zero, -before.amount, "billed"),)


def _given_back(line: Line, before: Rated) -> list[Line]:
    """A line as one, or several, that give back of a billed amount in proportion to what was
    charged of it; the line itself where it gives nothing back, or that is not known. What waits is
    discounted with the lines that it waits with."""
    if line.amount.amount >= 0 or before.asked is None:
        return [line]
    if not before.asked:
        return [replace(line, amount=line.zero, discountable=False)]
    by_taxes: dict[tuple[TaxedAs | None, bool], list[Asked]] = {}
    for asked in before.asked:
        waits = asked.waits and asked.taxed is None
        by_taxes.setdefault((asked.taxed, waits), []).append(asked)
    made: list[Line] = []
    for (taxed, waits), parts in by_taxes.items():
        charged = sum((part.amount for part in parts), line.zero)
        whole = Fraction(before.amount.amount)
        back = portion(line.amount, Fraction(charged.amount) / whole)
        full = sum((Fraction(part.amount.amount) / part.share for part in parts), Fraction())
        of = tuple(
            GivenBack(part.invoice, part.amount) for part in parts if part.invoice and part.amount
        )
        rest = {"quantity": 0, "explanation": ()} if made else {}
        made.append(replace(
            line, amount=back, discountable=waits, taxed=taxed, of=of,
            listed=portion(line.amount, full / whole), **rest,
        ))  # fmt: skip
    return made


def change_lines(
    before: Subject,
    after: Subject,
    change: Change,
    period: Period,
    quantity: Number = 1,
    covers: str | None = None,
    part: Fraction = Fraction(1),
    beside: tuple[Beside, ...] = (),
    origins: Sequence[Origin] = (),
) -> list[Line]:
    """A change in mid-period: what the old plan gives back, what the rest costs on the new one.

    `part` is the part of the period that is left, `beside` what it costs of the other prices,
    `origins` says of each charge with which taxes it was: those are given back with it.
    """
    if not change.credit and not change.charge:
        return []
    start = change.charges[-1].start
    credits = credit_lines(before, change.given, origins, start, period.end)
    charge = Line(
        "proration",
        f"Remaining time on {after.title}",
        change.charge,
        quantity=quantity,
        subscription=after.subscription,
        plan=after.plan,
        period_start=start,
        period_end=period.end,
        covers=covers,
        part=part,
        beside=beside,
    )
    return [line for line in (*credits, charge) if line.amount]


def credit_lines(
    before: Subject,
    given: Sequence[Money],
    origins: Sequence[Origin],
    start: datetime,
    end: datetime,
) -> list[Line]:
    """What charges give back: a line, or one for each set of taxes with which they were made.

    Without `origins` it is not known how they were taxed, and what holds now is given back.
    """
    by_taxes: dict[TaxedAs | None, list[tuple[Money, Origin]]] = {}
    for back, origin in zip(given, origins or (_UNKNOWN,) * len(given), strict=True):
        if back:
            by_taxes.setdefault(origin.taxed, []).append((back, origin))
    return [
        Line(
            "proration",
            f"Unused time on {before.title}",
            -sum((back for back, _ in parts[1:]), parts[0][0]),
            subscription=before.subscription,
            plan=before.plan,
            period_start=start,
            period_end=end,
            discountable=False,
            taxed=held,
            most=_most([origin for _, origin in parts]),
            of=tuple(origin.noted for _, origin in parts if origin.noted),
        )
        for held, parts in by_taxes.items()
    ]


def _most(origins: Sequence[Origin]) -> Money | None:
    """What the invoices of charges still ask for, all together."""
    left: dict[str | None, Money] = {}
    for origin in origins:
        if origin.left is None:
            return None
        left[origin.invoice] = origin.left
    amounts = list(left.values())
    return sum(amounts[1:], amounts[0])


def one_off_line(
    description: str, amount: Money, quantity: Number = 1, subscription: str | None = None
) -> Line:
    """A line of an `invoice` action: so many times an amount."""
    return Line(
        "one_off",
        description,
        amount * quantity,
        quantity=quantity,
        unit_amount=amount,
        subscription=subscription,
    )


def _unit_amount(rated: Rated) -> Money | None:
    return rated.tiers[0].unit_amount if len(rated.tiers) == 1 else None
