"""Credit notes: what of a final invoice is given back, with its tax, to the unit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from ..errors import EvalError
from ..values import Money, divide
from .invoicing import Line
from .split import spread


@dataclass(frozen=True, slots=True)
class NoteLine:
    """What is given back of a line (its place from 0): `amount` before tax, and the tax on it."""

    place: int
    amount: Money
    tax: Money


@dataclass(frozen=True, slots=True)
class Note:
    """A credit note: its lines' amounts and taxes, and both together."""

    amount: Money
    tax: Money
    total: Money
    lines: tuple[NoteLine, ...]


def credit_note(
    lines: Sequence[Line],
    before: Sequence[NoteLine] = (),
    place: int | None = None,
    amount: Money | None = None,
    half_even: bool = False,
) -> Note:
    """Gives back a line, or all of them, less discounts; or an amount before tax of that.

    `before` is what earlier notes gave back. The tax goes back at each line's own rate, so that
    notes over the whole line give back its whole tax. EvalError where the amount is more than is
    left, or below zero.
    """
    assert lines, "an invoice without lines is not made"
    zero = Money(0, lines[0].amount.currency)
    given = [
        sum((note.amount for note in before if note.place == n), zero) for n in range(len(lines))
    ]
    left = [line.net - part for line, part in zip(lines, given, strict=True)]
    if place is not None:
        left = [part if n == place else zero for n, part in enumerate(left)]
    parts = left if amount is None else _part_of(left, amount.rounded(half_even))
    notes = tuple(
        NoteLine(
            n,
            part,
            _tax_on(lines[n], given[n] + part, half_even) - _tax_on(lines[n], given[n], half_even),
        )
        for n, part in enumerate(parts)
        if part
    )
    net, tax = sum((note.amount for note in notes), zero), sum((note.tax for note in notes), zero)
    return Note(net, tax, net + tax, notes)


def exactly(note: Note, total: Money) -> Note:
    """The note, of that total: what rounding has left, a unit or so, is of the largest tax, or
    where none is that large, of the largest amount."""
    rest = total - note.total
    if not rest:
        return note
    lines = list(note.lines)
    place = max(range(len(lines)), key=lambda n: (abs(lines[n].tax), -n))
    if abs(lines[place].tax) >= abs(rest):
        lines[place] = replace(lines[place], tax=lines[place].tax + rest)
        return Note(note.amount, note.tax + rest, total, tuple(lines))
    place = max(range(len(lines)), key=lambda n: (lines[n].amount, -n))
    lines[place] = replace(lines[place], amount=lines[place].amount + rest)
    return Note(note.amount + rest, note.tax, total, tuple(lines))


def _part_of(left: Sequence[Money], amount: Money) -> Sequence[Money]:
    zero = Money(0, left[0].currency)
    most = sum(left, zero)
    if amount < zero or amount > most:
        raise EvalError(f"a credit note over {amount} is not between nothing and the {most} left")
    if not amount:
        return [zero] * len(left)
    return spread(amount, [max(part, zero).amount for part in left])


def _tax_on(line: Line, net: Money, half_even: bool) -> Money:
    """The line's tax on a part of it, all of it on the whole: rounded, so that parts add up."""
    tax = line.tax or line.zero
    if net == line.net or not line.net:
        return tax if net else line.zero
    share = Decimal(divide(tax.amount * net.amount, line.net.amount))
    return Money(share, tax.currency).rounded(half_even)
