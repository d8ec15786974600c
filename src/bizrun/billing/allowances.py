"""What a usage period may use for nothing, and what of that is carried over to the next ones.

What lapses first is used first; of what lapses together, the older. (LANGUAGE.md, plans:
`includes 1000 calls carried over for 2 periods up to 5000`.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from ..values import Money, Number, check_number
from .catalog import Includes
from .rating import TierLine


class Lot(NamedTuple):
    """So much of an allowance, and for how many periods after the running one (None: all)."""

    quantity: Number
    periods: int | None = 0


class Allowance(Struct, frozen=True):
    """What one usage period may use for nothing: what was carried into it, oldest first, and its
    own, of which lots of `prorated` lines grow with its days; `carries`: some of it is carried on.
    """

    carried: tuple[Lot, ...] = ()
    own: tuple[Lot, ...] = ()
    prorated: tuple[bool, ...] = ()
    carries: bool = False

    @property
    def quantity(self) -> Number:
        """All that is free."""
        return check_number(_sum(self.carried) + _sum(self.own))

    def left(self, used: Number, whole: bool) -> tuple[Lot, ...]:
        """What of it the next period may use.

        Where this one was cut short (not `whole`), the rest of it is still to come: nothing lapses
        with it, and of its own only what was prorated goes on, as the rest has an own of its own.
        """
        if not self.carries:
            return ()
        lots = [*self.carried, *self.own]
        for place in sorted(range(len(lots)), key=lambda place: _lapses(lots[place])):
            quantity, periods = lots[place]
            taken = min(quantity, used)
            used -= taken
            lots[place] = Lot(check_number(quantity - taken), periods)
        if not whole:
            own = lots[len(self.carried) :]
            shared = [lot for lot, part in zip(own, self.prorated, strict=True) if part]
            lots = [*lots[: len(self.carried)], *(lot for lot in shared if lot.periods != 0)]
            lots = [_longer(lot) for lot in lots]
        return tuple(lot for lot in lots if lot.quantity > 0 and lot.periods != 0)

    def steps(self, currency: str) -> tuple[TierLine, ...]:
        """What explains it on an invoice's line: what was free of what was used."""
        if not self.quantity:
            return ()
        zero = Money(0, currency)
        free = TierLine(0, None, _sum(self.own), None, None, None, zero, zero, "included")
        if not self.carried:
            return (free,)
        return (free, replace(free, quantity=_sum(self.carried), bound="carried"))


def allowance(lines: Sequence[Includes], own: Sequence[Number], left: Sequence[Lot]) -> Allowance:
    """The allowance of a period: what it includes by its lines, `own` of each, and what the period
    before has `left`, as far as one of the lines carries something over."""
    carrying = [line.carried for line in lines if line.carried]
    lots = tuple(
        Lot(quantity, line.carried.periods if line.carried else 0)
        for line, quantity in zip(lines, own, strict=True)
    )
    prorated = tuple(line.prorated for line in lines)
    if not carrying:
        return Allowance((), lots, prorated)
    caps = [carried.most for carried in carrying if carried.most is not None]
    most = sum(caps, 0) if len(caps) == len(carrying) else None
    here = [Lot(lot.quantity, None if lot.periods is None else lot.periods - 1) for lot in left]
    return Allowance(_at_most(here, most), lots, prorated, True)


def _at_most(lots: Sequence[Lot], most: Number | None) -> tuple[Lot, ...]:
    """As much of what is carried as may be: what lapses last, and of that the newest."""
    if most is None:
        return tuple(lots)
    kept: dict[int, Lot] = {}
    for place in sorted(range(len(lots)), key=lambda place: _lapses(lots[place]))[::-1]:
        taken = min(lots[place].quantity, most)
        most -= taken
        if taken > 0:
            kept[place] = Lot(taken, lots[place].periods)
    return tuple(kept[place] for place in sorted(kept))


def _lapses(lot: Lot) -> tuple[bool, int]:
    return lot.periods is None, lot.periods or 0


def _longer(lot: Lot) -> Lot:
    return lot if lot.periods is None else Lot(lot.quantity, lot.periods + 1)


def _sum(lots: Sequence[Lot]) -> Number:
    return check_number(sum((lot.quantity for lot in lots), 0))
