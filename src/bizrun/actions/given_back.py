"""What is given back of usage that was billed, by credit notes and by corrections: never more,
both together, than was charged for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from ..billing import proration
from ..billing.invoicing import Line
from ..values import Money
from .customers import settings
from .desk import Desk

# Windows of a meter that are looked through for the one a line stands for.
_LOOKED_AT = 64


def noted(desk: Desk, invoice: Mapping[str, Any], line: Mapping[str, Any], part: Money) -> None:
    """Notes on a billed usage period what a credit note took of its line: a correction gives back
    of what is left. `part` is before tax."""
    net = line["amount"] - line["discount"]
    if line["kind"] not in ("usage", "correction") or not line["meter"] or not net:
        return
    about = {"customer": invoice["customer"], "meter": line["meter"]}
    until = [("start", "<=", line["period_end"])]
    for row in desk.rows("_usage", about, until, (("start", True),), _LOOKED_AT):
        if row["invoice"] == invoice["id"] and row["subscription"] == line["subscription"]:
            desk.put("_usage", row["id"], {**row, "billed": _less(desk, row, line, part, net)})


def _less(
    desk: Desk, row: Mapping[str, Any], line: Mapping[str, Any], part: Money, net: Money
) -> list[list[Any]]:
    found = []
    for values, quantity, amount, *charged in row["billed"]:
        name, was = " ".join((row["meter"], *values)), charged[0] if charged else amount
        if name == line["description"] and row["end"] == line["period_end"]:
            taken = proration.portion(was, Fraction(part.amount) / Fraction(net.amount))
            was = was - taken.rounded(settings(desk).half_even)
        found.append([values, quantity, amount, was])
    return found


def corrected(desk: Desk, invoice: str | None, made: Sequence[Line]) -> None:
    """Notes on the invoice that charged for a usage period what corrections of it give back, with
    its tax: a credit note goes up to what is left."""
    row = desk.peek("Invoice", invoice) if invoice else None
    if row is None:
        return
    zero = Money(0, row["currency"])
    back = sum((-line.charged for line in made if line.charged < zero), zero)
    net = row["subtotal"] - row["discount"]
    if not back or not net:
        return
    gross = proration.portion(back, Fraction(row["total"].amount) / Fraction(net.amount))
    returned = (row["returned"] or zero) + gross.rounded(settings(desk).half_even)
    desk.change("Invoice", row["id"], returned=returned)
