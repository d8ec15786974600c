"""Account credit and wallets: which of them pay for what of an invoice."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

from msgspec import Struct

from ..currencies import exponent
from ..values import Money
from .split import spread

# The priority of a grant that says none.
USUAL = 50
_NEVER = datetime.max.replace(tzinfo=UTC)


class Grant(Struct, frozen=True):
    """Credit that a customer has; grants are passed in the order of granting.

    Those of a lower `priority` are used first. `meters` and `kinds` limit it to lines of such a
    meter or kind; both empty: any line.
    """

    id: str
    balance: Money
    expires: datetime | None = None
    meters: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    priority: int = USUAL


class Payable(Struct, frozen=True):
    """What credit may pay of a line; below zero it lowers what the other lines need."""

    amount: Money
    kind: str
    meter: str | None = None


class CreditUse(Struct, frozen=True):
    """How much of a grant an invoice took."""

    grant: str
    amount: Money


class Used(Struct, frozen=True):
    """The grants that were used, in order, and what they paid of each line."""

    uses: tuple[CreditUse, ...]
    by_line: tuple[Money, ...]


def use_credit(lines: Sequence[Payable], grants: Sequence[Grant], at: datetime) -> Used:
    """Takes credit for lines: lowest priority, then oldest expiry, then in order of granting.

    Never more than the lines come to together. Other currencies and expired grants are passed
    over. A grant pays first what none after it could that is limited to meters or kinds of lines;
    what it pays is spread in proportion to what is left of these lines, then of its others.
    """
    if not lines:
        return Used((), ())
    zero = Money(0, lines[0].amount.currency)
    open_ = max(sum((line.amount for line in lines), zero), zero)
    left = [max(line.amount, zero) for line in lines]
    below = [min(line.amount, zero) for line in lines]
    uses: list[CreditUse] = []
    usable = [grant for grant in in_order(grants) if _usable(grant, zero.currency, at)]
    for number, grant in enumerate(usable, 1):
        if not open_:
            break
        fits = [_fits(grant, line) for line in lines]
        weights = [part if fit else zero for part, fit in zip(left, fits, strict=True)]
        taken_off = sum((part for part, fit in zip(below, fits, strict=True) if fit), zero)
        # A balance with digits below the minor unit keeps them for later.
        amount = min(whole_units(grant.balance), open_, sum(weights, taken_off))
        if amount.amount <= 0:
            continue
        later = [other for other in usable[number:] if other.meters or other.kinds]
        wanted = [any(_fits(other, line) for other in later) for line in lines]
        parts = _spread(amount, weights, wanted)
        left = [rest - part for rest, part in zip(left, parts, strict=True)]
        open_ -= amount
        uses.append(CreditUse(grant.id, amount))
    paid = tuple(max(line.amount, zero) - rest for line, rest in zip(lines, left, strict=True))
    return Used(tuple(uses), paid)


def _spread(amount: Money, weights: Sequence[Money], wanted: Sequence[bool]) -> list[Money]:
    """Parts of an amount for lines, what other credit is wanted for last."""
    zero = Money(0, amount.currency)
    first = [zero if later else weight for weight, later in zip(weights, wanted, strict=True)]
    early = min(amount, sum(first, zero))
    rest = [weight - own for weight, own in zip(weights, first, strict=True)]
    shares = [(early, first), (amount - early, rest)]
    parts = [spread(part, [w.amount for w in ws]) for part, ws in shares if part.amount > 0]
    return [sum(each, zero) for each in zip(*parts, strict=True)]


def in_order(grants: Sequence[Grant]) -> list[Grant]:
    """Grants in the order in which they are used."""
    return sorted(grants, key=lambda grant: (grant.priority, grant.expires or _NEVER))


def whole_units(amount: Money) -> Money:
    """The amount cut down to its currency's minor unit."""
    return amount - Money(
        amount.amount % Decimal(1).scaleb(-exponent(amount.currency)), amount.currency
    )


def _usable(grant: Grant, currency: str, at: datetime) -> bool:
    return (
        grant.balance.currency == currency
        and grant.balance.amount > 0
        and (grant.expires is None or grant.expires > at)
    )


def _fits(grant: Grant, line: Payable) -> bool:
    if not grant.meters and not grant.kinds:
        return True
    return line.kind in grant.kinds or line.meter in grant.meters
