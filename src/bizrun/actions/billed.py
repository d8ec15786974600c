"""What was billed of usage windows: what each invoice has charged of them, and what waits for one.

A row of `_usage` has parts by the values of its price's dimensions, each [values, quantity,
amount], and behind them, where that is known, what each invoice asked for of it: [amount, taxes,
invoice, its line], and the part of the price that this is where coupons took some off it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from fractions import Fraction
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ..billing import catalog
from ..billing.invoicing import Line
from ..billing.proration import ratio
from ..billing.rating import WAITS, Asked, Rated
from ..billing.split import spread
from ..values import Money
from . import given_back, taxed
from .customers import settings
from .desk import Desk, Row
from .terms import Item
from .windows import SAME

Billed = dict[tuple[str, ...], Rated]
# Lines of an invoice with their keys.
Made = Sequence[tuple[Line, str]]
# Subscription, meter, plan, beginning and end.
_Place = tuple[str | None, str | None, str | None, datetime | None, datetime | None]


class Metered(Struct, frozen=True):
    """What a meter came to in a window of a subscription, and what of it was billed before; `due`
    is what it comes to beyond that, whatever coupons took off."""

    item: Item
    price: catalog.UsagePrice
    start: datetime
    end: datetime
    lines: tuple[Line, ...]
    row: Row
    due: Money
    before: Sequence[Any] = ()


def billed_of(parts: Sequence[Any]) -> Billed:
    """What a row of `_usage` says was billed, by the values of the dimensions."""
    found: dict[tuple[str, ...], Rated] = {}
    for values, quantity, amount, *known in parts:
        asked = None
        if known:
            rows = given_back.asked_rows(known)
            asked = tuple(_asked_of(*each) for each in rows)
        found[tuple(values)] = Rated(amount, quantity, (), values=tuple(values), asked=asked)
    return found


def _asked_of(
    amount: Money, how: Any, invoice: str | None = None, line: str | None = None,
    share: Sequence[int] = (1, 1),
) -> Asked:  # fmt: skip
    return Asked(amount, taxed.from_rows(how), invoice, line, Fraction(*share))


def part_row(values: tuple[str, ...], part: Rated) -> list[Any]:
    """A part as a row keeps it."""
    row = [list(values), part.quantity, part.amount]
    return row if part.asked is None else [*row, _asked_rows(part.asked)]


def _asked_rows(asked: Iterable[Asked]) -> list[list[Any]]:
    return [
        [each.amount, None if each.taxed is None else taxed.as_rows(each.taxed), each.invoice,
         each.line, *([each.share.as_integer_ratio()] if each.share != 1 else [])]
        for each in asked if each.amount
    ]  # fmt: skip


def keep_billed(
    desk: Desk, found: Sequence[Metered], made: Made | None, invoice: str | None
) -> None:
    """Remembers windows that an invoice has billed, by its lines; None where they wait for one."""
    half_even = settings(desk).half_even
    for metered in found:
        if made is None:
            parts = _waiting_parts(metered, half_even)
        else:
            parts = charged_parts(metered, made, invoice)
        row = {**metered.row, "billed": parts, "invoice": invoice}
        desk.put("_usage", metered.row["id"], row)


def keep_waited(
    desk: Desk, customer: str, found: Sequence[Metered], made: Made, invoice: str
) -> None:
    """Remembers what an invoice really charges of windows whose lines had waited for it: those
    that are of no window `found` with it."""
    billed_now = {_place_of(metered) for metered in found}
    waited: dict[_Place, list[tuple[Line, str]]] = {}
    for line, key in made:
        if line.kind in ("usage", "correction") and _place(line) not in billed_now:
            waited.setdefault(_place(line), []).append((line, key))
    for lines in waited.values():
        if (row := _window_of(desk, customer, lines[0][0])) is not None:
            parts = [_as_invoiced(part, lines, invoice) for part in row["billed"]]
            desk.put("_usage", row["id"], {**row, "billed": parts, "invoice": invoice})


def _place(line: Line) -> _Place:
    return line.subscription, line.meter, line.plan, line.period_start, line.period_end


def _place_of(metered: Metered) -> _Place:
    return (metered.row["subscription"], metered.price.meter, metered.item.plan.name,
            metered.start, metered.end)  # fmt: skip


def _window_of(desk: Desk, customer: str, line: Line) -> Row | None:
    """The billed window that a line is of."""
    if line.meter is None or line.period_start is None:
        return None
    near = [("start", ">=", line.period_start), ("start", "<", line.period_start + SAME)]
    about = {"customer": customer, "meter": line.meter}
    for row in desk.rows("_usage", about, near, (), None):
        terms = row["terms"]
        begun = terms.get("begun", row["start"])
        plan = terms["item"] or terms["plan"]
        if (row["subscription"], row["meter"], plan, begun, row["end"]) == _place(line):
            return row
    return None


def _waiting_parts(metered: Metered, half_even: bool) -> list[list[Any]]:
    """What waits of a window, beside what invoices have charged of it."""
    before = billed_of(metered.before)
    parts = []
    for values, quantity, amount in metered.row["billed"]:
        was, mine = before.get(tuple(values)), tuple(values)
        if was is not None and was.asked is None:
            parts.append([values, quantity, amount])
            continue
        asked = [] if was is None else list(was.asked or ())
        asked += [
            Asked(line.amount.rounded(half_even), line.taxed, WAITS)
            for line in metered.lines
            if line.dimensions == mine
        ]
        parts.append([values, quantity, amount, _asked_rows(asked)])
    return parts


def charged_parts(metered: Metered, made: Made, invoice: str | None) -> list[list[Any]]:
    """What was billed of a window, with what the lines of its invoices really charged."""
    lines = [
        (line, key) for line, key in made
        if line.kind in ("usage", "correction") and _place(line) == _place_of(metered)
    ]  # fmt: skip
    before = billed_of(metered.before)
    parts = []
    for values, quantity, amount in metered.row["billed"]:
        asked: tuple[Asked, ...] = ()
        if (was := before.get(tuple(values))) is not None:
            asked = (Asked(was.amount),) if was.asked is None else was.asked
        parts.append([values, quantity, amount, _asked_rows(_with(asked, lines, values, invoice))])
    return parts


def _as_invoiced(part: Sequence[Any], lines: Made, invoice: str) -> list[Any]:
    """A part of a row, some of which may have waited for an invoice."""
    values, quantity, amount, *_ = part
    asked = billed_of([part])[tuple(values)].asked
    if asked is None:
        return list(part)
    return [values, quantity, amount, _asked_rows(_with(asked, lines, values, invoice))]


def _with(
    asked: Iterable[Asked], lines: Made, values: Sequence[str], invoice: str | None
) -> list[Asked]:
    """What invoices asked for of a part with one more: its lines, and nothing that waits."""
    found = [each for each in asked if not each.waits]
    mine = [(line, key) for line, key in lines if line.dimensions == tuple(values)]
    for line, key in sorted(mine, key=lambda each: each[0].charged.amount < 0):
        if line.charged.amount < 0 and found:
            found = _less(found, line, invoice)
        else:
            share = ratio(line.charged, line.full) if line.discount else Fraction(1)
            found.append(Asked(line.charged, taxed.of(line), invoice, key, share))
    return found


def _less(asked: Sequence[Asked], line: Line, invoice: str | None) -> list[Asked]:
    """What invoices asked for, less what a line gives back of it, with the taxes that it has;
    without any, of what its own invoice has."""
    alike = [
        each.taxed == line.taxed if line.taxed is not None else each.invoice == invoice
        for each in asked
    ]
    mine = [
        max(each.amount, line.zero).amount if fits or not any(alike) else 0
        for each, fits in zip(asked, alike, strict=True)
    ]
    if not any(mine):
        return list(asked)
    parts = spread(line.charged, mine)
    return [
        replace(each, amount=each.amount + part) for each, part in zip(asked, parts, strict=True)
    ]
