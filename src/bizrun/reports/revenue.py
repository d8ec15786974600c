"""Revenue: what was invoiced, what of it has been earned at an instant, and what is deferred."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from ..actions import ledger
from ..store.base import Store
from ..times import local_date
from ..values import Money, divide
from .figures import Figures, Month, Span


def recognised(
    amount: Money, starts: datetime, ends: datetime, posted: datetime, at: datetime, tz: ZoneInfo
) -> Money:
    """What of an amount for `[starts, ends)`, invoiced when it was posted, is earned before an
    instant: nothing as yet of what is posted at it.

    By whole local days: a day is earned when it is over, and the parts of two instants differ by
    what the days between them earn, to the unit. A period without a whole day is earned at once.
    """
    if at <= posted:
        return amount * 0
    first, last = local_date(starts, tz), local_date(ends, tz)
    days, gone = (last - first).days, (local_date(at, tz) - first).days
    if days <= 0 or gone >= days:
        return amount
    if gone <= 0:
        return amount * 0
    return Money(Decimal(divide(amount.amount * gone, days)), amount.currency).rounded()


def earned(row: Mapping[str, Any], at: datetime, tz: ZoneInfo) -> Money:
    """What of a posting to deferred revenue is earned at an instant; a credit is below zero."""
    posted = row["created_at"]
    starts = row["starts"] or posted
    return recognised(row["amount"], starts, row["ends"] or posted, posted, at, tz)


@dataclass(slots=True)
class Movement:
    """What a month did in one currency, as amounts above zero."""

    invoiced: Money
    direct: Money
    refunds: Money
    recognised: Money
    deferred: Money

    @staticmethod
    def none(currency: str) -> Movement:
        """Nothing."""
        zero = Money(0, currency)
        return Movement(zero, zero, zero, zero, zero)


def revenue(store: Store, span: Span) -> Figures:
    """By month and currency: invoiced before tax, recognised, refunded, and deferred at its end."""
    months = list(span.months())
    found: defaultdict[tuple[int, str], Movement | None] = defaultdict(lambda: None)

    def of(place: int, currency: str) -> Movement:
        held = found[place, currency]
        if held is None:
            held = found[place, currency] = Movement.none(currency)
        return held

    opening: dict[str, Money] = {}
    for row in _postings(store, span.end):
        match row["account"]:
            case ledger.REVENUE | ledger.REFUNDS | ledger.LOST:
                if (place := _place(months, row["created_at"])) is not None:
                    movement = of(place, row["amount"].currency)
                    _direct(movement, row)
            case ledger.DEFERRED:
                _deferred(row, months, span, of, opening)
    return Figures("Revenue", _COLUMNS, tuple(_rows(months, found, opening)), _NOTE)


_COLUMNS = ("month", "currency", "invoiced", "recognised", "refunds", "net", "deferred")
_NOTE = (
    "invoiced: before tax; recognised: earned in the month, by day; refunds: without a credit "
    "note, and lost disputes that no invoice is owed for; net: recognised less refunds; deferred: "
    "invoiced and not yet earned at the month's end"
)


def _postings(store: Store, before: datetime) -> Iterable[Mapping[str, Any]]:
    return (row for row in store.select("Ledger") if row["created_at"] < before)


def _place(months: list[Month], at: datetime) -> int | None:
    """The month that an instant is in; none before the first or after the last."""
    if not months or not months[0].start <= at < months[-1].end:
        return None
    low, high = 0, len(months) - 1
    while low < high:
        middle = (low + high) // 2
        if at < months[middle].end:
            high = middle
        else:
            low = middle + 1
    return low


def _direct(movement: Movement, row: Mapping[str, Any]) -> None:
    if row["account"] != ledger.REVENUE:
        movement.refunds = movement.refunds + row["amount"]
    else:
        movement.invoiced = movement.invoiced - row["amount"]
        movement.recognised = movement.recognised - row["amount"]


def _deferred(
    row: Mapping[str, Any], months: list[Month], span: Span, of: Any, opening: dict[str, Money]
) -> None:
    """Spreads a posting over the months in which it is earned."""
    amount, currency = -row["amount"], row["amount"].currency
    before = -earned(row, span.start, span.tz)
    place = _place(months, row["created_at"])
    if place is not None:
        movement = of(place, currency)
        movement.invoiced = movement.invoiced + amount
        movement.deferred = movement.deferred + amount
    else:
        # Posted before the span: what was left of it then is where the span begins.
        left = amount - before
        held = opening.get(currency)
        opening[currency] = left if held is None else held + left
        place = 0
    for number in range(place, len(months)):
        if before == amount:
            break
        until = -earned(row, months[number].end, span.tz)
        part = until - before
        if part:
            movement = of(number, currency)
            movement.recognised = movement.recognised + part
            movement.deferred = movement.deferred - part
        before = until


def _rows(
    months: list[Month],
    found: Mapping[tuple[int, str], Movement | None],
    opening: Mapping[str, Money],
) -> Iterable[dict[str, Any]]:
    currencies = sorted({currency for _, currency in found} | set(opening))
    left = {currency: opening.get(currency, Money(0, currency)) for currency in currencies}
    for place, month in enumerate(months):
        for currency in currencies:
            held = found.get((place, currency)) or Movement.none(currency)
            left[currency] = left[currency] + held.deferred
            yield {
                "month": month.name, "currency": currency, "invoiced": held.invoiced,
                "recognised": held.recognised, "refunds": held.refunds,
                "net": held.recognised - held.refunds, "deferred": left[currency],
            }  # fmt: skip
