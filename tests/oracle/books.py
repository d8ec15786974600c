"""What an invoice says: coupons, tax and credit over lines, each added up to the unit."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from fractions import Fraction

from .calendars import shift
from .world import EXPONENTS, Bill, Coupon, Line, Rules

ZERO = Fraction(0)


def in_proportion(amount: Fraction, weights: list[Fraction], currency: str) -> list[Fraction]:
    """Parts of an amount by weights."""
    total = sum(weights, ZERO)
    if not total:
        return [ZERO for _ in weights]
    return spread(amount, [amount * weight / total for weight in weights], currency)


def spread(amount: Fraction, parts: list[Fraction], currency: str) -> list[Fraction]:
    """Parts by largest remainder that add up to an amount; ties go to the earlier."""
    units = 10 ** EXPONENTS[currency]
    exact = [part * units for part in parts]
    floors = [value.numerator // value.denominator for value in exact]
    left = int(amount * units) - sum(floors)
    order = sorted(range(len(exact)), key=lambda i: (floors[i] - exact[i], i))
    for i in order[:left]:
        floors[i] += 1
    return [Fraction(value, units) for value in floors]


@dataclass
class Attached:
    """A coupon on its way: when it was attached, and whether it is used up."""

    coupon: Coupon
    on: date
    used: bool = False

    def holds(self, line: Line) -> bool:
        """Whether it discounts a line."""
        if not line.discounted or self.used:
            return False
        months = self.coupon.months
        return months is None or self.on <= line.begins < shift(self.on, months, "month")


@dataclass
class Purse:
    """Account credit: what is left of each grant, and when it lapses."""

    grants: list[list] = field(default_factory=list)

    def grant(self, amount: Fraction, expires: datetime | None) -> None:
        """Adds credit."""
        self.grants.append([amount, expires])

    def balance(self, at: datetime) -> Fraction:
        """What can be used at an instant."""
        return sum((g[0] for g in self.grants if g[1] is None or g[1] > at), ZERO)

    def use(self, amount: Fraction, at: datetime) -> list[Fraction]:
        """Takes credit, oldest expiry first, then in order of granting; what of each grant."""
        parts = []
        live = [g for g in self.grants if g[1] is None or g[1] > at]
        for g in sorted(live, key=lambda g: (g[1] is None, g[1] or at)):
            part = min(g[0], amount)
            g[0] -= part
            amount -= part
            parts.append(part)
        return parts


def discount(rules: Rules, lines: list[Line], coupons: list[Attached]) -> Fraction:
    """Gives each line its share of the discounts; the whole of them."""
    whole = ZERO
    for attached in coupons:
        chosen = [line for line in lines if attached.holds(line)]
        left = [line.amount - line.share for line in chosen]
        rest = sum(left, ZERO)
        if rest <= 0:
            continue
        percent, amount = attached.coupon.percent, attached.coupon.amount
        off = rules.round(rest * percent) if percent is not None else min(amount, rest)
        if percent is not None and min(left) < 0:
            # What is above a maximum takes its own part back: not in proportion to the sum.
            parts = spread(off, [value * percent for value in left], rules.currency)
        else:
            parts = in_proportion(off, [max(value, ZERO) for value in left], rules.currency)
        for line, part in zip(chosen, parts, strict=True):
            line.share += part
        # One that takes off nothing is not used up.
        attached.used = attached.coupon.once and off > 0
        whole += off
    return whole


def bill(
    rules: Rules,
    at: datetime,
    lines: list[Line],
    coupons: list[Attached],
    taxes: tuple[Fraction, ...],
    purse: Purse,
    why: str,
    lowers: list[Bill] | None = None,
) -> Bill | None:
    """An invoice over lines; uses and grants credit. None where nothing stands on it."""
    if not lines:
        return None
    off = discount(rules, lines, coupons)
    nets = [line.amount - line.share for line in lines]
    credit = ZERO
    taxed = nets
    if rules.credit == "before_tax" and sum(nets) > 0:
        credit = min(purse.balance(at), sum(nets))
        for grant in purse.use(credit, at):
            parts = in_proportion(grant, taxed, rules.currency)
            taxed = [net - part for net, part in zip(taxed, parts, strict=True)]
    percent = sum(taxes, ZERO)
    if rules.inclusive:
        per_line = [rules.round(net * percent / (1 + percent)) for net in taxed]
        tax = sum(per_line, ZERO)
        total = sum(nets, ZERO)
    else:
        for line, net in zip(lines, taxed, strict=True):
            line.tax = rules.round(net * percent)
        tax = sum((line.tax for line in lines), ZERO)
        total = sum(nets, ZERO) + tax
    if rules.credit == "after_tax" and total > 0:
        credit = min(purse.balance(at), total)
        purse.use(credit, at)
    if total < 0:
        # What is open on what is given back goes down first.
        rest = lower(lowers or [], -total)
        if rest:
            purse.grant(rest, None)
        credit = total
    return Bill(at, lines, off, tax, total, credit, total - credit, why)


def lower(bills: list[Bill], amount: Fraction) -> Fraction:
    """Lowers what is open on invoices by up to an amount; what is left of it."""
    for each in bills:
        part = min(amount, each.open)
        each.open -= part
        amount -= part
    return amount


def credit_note(rules: Rules, lines: list[Line], amount: Fraction) -> Fraction:
    """A credit note over an amount before tax of an invoice's lines; what it gives back."""
    left = [max(line.amount - line.share - line.given, ZERO) for line in lines]
    total = ZERO
    for line, part in zip(lines, in_proportion(amount, left, rules.currency), strict=True):
        before, line.given = line.given, line.given + part
        total += part + _tax_of(rules, line, line.given) - _tax_of(rules, line, before)
    return total


def _tax_of(rules: Rules, line: Line, part: Fraction) -> Fraction:
    """The tax on a part of a line: all of it on the whole."""
    net = line.amount - line.share
    return rules.round(line.tax * part / net) if net else ZERO
