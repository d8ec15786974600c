"""What an invoice says: coupons, tax and credit over lines, each added up to the unit."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from fractions import Fraction
from typing import Any

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


@dataclass(eq=False)
class Attached:
    """A coupon on its way: when it was attached, and whether it is used up."""

    coupon: Coupon
    on: date
    at: datetime
    owner: Any = None
    """The subscription that it came with; None: all that the customer had then."""
    used: bool = False

    def holds(self, line: Line) -> bool:
        """Whether it discounts a line."""
        if not line.discounted or self.used:
            return False
        if self.owner is not None and line.owner not in (None, self.owner):
            return False
        if self.coupon.meters and line.meter not in self.coupon.meters:
            return False
        months = self.coupon.months
        return months is None or self.on <= line.begins < shift(self.on, months, "month")


@dataclass
class Grant:
    """Some account credit: what is left of it, when it lapses, its turn, and what it may pay:
    lines of a kind or of a meter, or all."""

    left: Fraction
    expires: datetime | None = None
    priority: int = 50
    kind: str = ""
    meter: str = ""

    def pays(self, line: Line) -> bool:
        """Whether a line may be paid with it."""
        if not self.kind and not self.meter:
            return True
        return line.kind == self.kind or (self.meter != "" and line.meter == self.meter)


@dataclass
class Purse:
    """A customer's account credit, as it was granted."""

    grants: list[Grant] = field(default_factory=list)
    last: list[tuple[Grant, Fraction]] = field(default_factory=list)
    """What the last invoice took of each."""

    def grant(self, amount: Fraction, expires: datetime | None = None, **more: Any) -> Grant:
        """Adds credit."""
        self.grants.append(Grant(amount, expires, **more))
        return self.grants[-1]

    def put_back(self, amount: Fraction) -> None:
        """Puts back what was taken last: an invoice comes to less than was taken for it."""
        for g, part in reversed(self.last):
            back = min(amount, part)
            g.left += back
            amount -= back

    def use(self, lines: list[Line], amounts: list[Fraction], at: datetime, cur: str) -> Fraction:
        """Takes credit for what lines come to: lowest priority, oldest expiry, then as granted.

        `amounts` are lowered to what is left of each line; the whole of what was used.
        """
        self.last = []
        whole, open_ = ZERO, max(sum(amounts, ZERO), ZERO)
        below = [min(amount, ZERO) for amount in amounts]
        live = [g for g in self.grants if g.left and (g.expires is None or g.expires > at)]
        turns = sorted(live, key=lambda g: (g.priority, g.expires is None, g.expires or at))
        for turn, g in enumerate(turns, 1):
            fit = [
                max(amount, ZERO) if g.pays(line) else ZERO
                for line, amount in zip(lines, amounts, strict=True)
            ]
            # What is given back of a meter lowers what credit for it may pay.
            back = (v for line, v in zip(lines, below, strict=True) if g.pays(line))
            part = max(min(g.left, open_ - whole, sum(fit, ZERO) + sum(back, ZERO)), ZERO)
            # What credit after it is limited to comes last.
            narrow = [other for other in turns[turn:] if other.kind or other.meter]
            free = [
                ZERO if any(other.pays(line) for other in narrow) else value
                for line, value in zip(lines, fit, strict=True)
            ]
            early = min(part, sum(free, ZERO))
            rest = [a - b for a, b in zip(fit, free, strict=True)]
            for some, share in ((early, free), (part - early, rest)):
                for i, piece in enumerate(in_proportion(some, share, cur)):
                    amounts[i] -= piece
            g.left -= part
            self.last.append((g, part))
            whole += part
        return whole


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
        if percent is None and not attached.coupon.once:
            whole += amount_off(rules, chosen, amount)
            continue
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


def amount_off(rules: Rules, lines: list[Line], amount: Fraction) -> Fraction:
    """Takes an amount off whole periods, and off each change the part that is left of one."""
    whole = ZERO
    for change in dict.fromkeys(line.change for line in lines):
        mine = [line for line in lines if line.change is change]
        left = [line.amount - line.share for line in mine]
        cost = sum((line.amount for line, rest in zip(mine, left, strict=True) if rest > 0), ZERO)
        if not cost:
            continue
        share = mine[0].part
        if change is not None:
            share *= cost / (cost + mine[0].beside)
        off = min(rules.round(amount * share), sum(left, ZERO))
        if off <= 0:
            continue
        parts = in_proportion(off, [max(value, ZERO) for value in left], rules.currency)
        for line, part in zip(mine, parts, strict=True):
            line.share += part
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
    refund: bool = False,
) -> Bill | None:
    """An invoice over lines; uses and grants credit. None where nothing stands on it.

    Below zero it lowers what is open on `lowers`, is refunded of what was paid for them where
    that is asked for, and else becomes credit.
    """
    if not lines:
        return None
    lines.sort(key=_place)
    before, purse.last = [each for each in coupons if each.used], []
    off = discount(rules, lines, coupons)
    nets = [line.amount - line.share for line in lines]
    credit = ZERO
    taxed, sale = list(nets), any(line.kind == "sale" for line in lines)
    if rules.credit == "before_tax" and not sale:
        credit = purse.use(lines, taxed, at, rules.currency)
    # Credit that is sold is taxed with what it pays, where that is taxed.
    now = () if sale and rules.credit == "after_tax" else taxes
    for line, net, part in zip(lines, nets, taxed, strict=True):
        if line.rates is None:
            line.rates = now
            line.taxed = part / net if net and line.rates else Fraction(1)
    taxed = [
        rules.round(net * line.taxed) if line.amount < 0 else part
        for line, net, part in zip(lines, nets, taxed, strict=True)
    ]
    tax, total = tax_lines(rules, lines, taxed), sum(nets, ZERO)
    if not rules.inclusive:
        total += tax
    if 0 <= total < credit:
        purse.put_back(credit - total)
        credit = total
    if rules.credit == "after_tax" and not sale:
        gross = [net + line.tax for line, net in zip(lines, nets, strict=True)]
        credit = purse.use(lines, gross, at, rules.currency)
    if total < 0:
        # What is open on what is given back goes down first.
        rest = lower(lowers or [], -total)
        if refund:
            rest = send_back(lowers or [], rest)
        if rest:
            purse.grant(rest)
        credit = total
    made = Bill(at, lines, off, tax, total, credit, total - credit, why)
    made.took, purse.last = purse.last, []
    made.once = [each for each in coupons if each.used and each not in before]
    return made


def _place(line: Line) -> int:
    """Where a line stands: in advance, in arrears, prorations, one-off lines; bounds at the end."""
    if line.kind == "fixed" and line.note != "arrears":
        return 0
    places = {"credit": 2, "charge": 2, "one_off": 3, "minimum": 4, "maximum": 4, "bound": 4}
    return places.get(line.kind, 1)


def tax_lines(rules: Rules, lines: list[Line], taxed: list[Fraction]) -> Fraction:
    """Each line's tax by its own rates, on top or in it; the whole of them."""
    whole = ZERO
    for line, net in zip(lines, taxed, strict=True):
        percent = sum(line.rates or (), ZERO)
        if rules.inclusive:
            whole += rules.round(net * percent / (1 + percent))
            continue
        line.tax = rules.round(net * percent)
        if line.most is not None and net + line.tax < -line.most:
            # Rounded parts give back no more than the rounded whole that was charged.
            line.tax = min(-line.most - net, ZERO)
        whole += line.tax
    return whole


def lower(bills: list[Bill], amount: Fraction) -> Fraction:
    """Lowers what is open on invoices by up to an amount; what is left of it."""
    for each in bills:
        part = min(amount, each.open)
        each.open -= part
        amount -= part
    return amount


def send_back(bills: list[Bill], amount: Fraction) -> Fraction:
    """Refunds up to an amount of what was paid for invoices; what is left of it."""
    for each in bills:
        part = min(amount, each.paid - each.refunded)
        each.refunded += part
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
