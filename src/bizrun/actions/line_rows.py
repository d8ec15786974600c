"""Lines of an invoice as its rows say them, but for the ids of the invoice and its subscription."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..billing import rating
from ..billing.invoicing import Line
from ..values import plain
from . import charged


def line_rows(lines: Sequence[Line]) -> tuple[dict[str, Any], ...]:
    """What the rows of some lines say, in their order."""
    return tuple(
        {
            "position": position, "kind": line.kind, "description": line.description,
            "quantity": line.quantity, "unit_amount": line.unit_amount, "amount": line.amount,
            "discount": line.discount or line.zero, "tax": line.tax or line.zero,
            "plan": line.plan, "meter": line.meter, "period_start": line.period_start,
            "period_end": line.period_end, "detail": _detail(line),
            "credited": charged.of_line(line),
        }
        for position, line in enumerate(lines, 1)
    )  # fmt: skip


def _detail(line: Line) -> list[dict[str, Any]] | None:
    """The steps of a line; none where its quantity and unit price say all of it."""
    if len(line.explanation) < 2 and all(step.plain for step in line.explanation):
        return None
    steps = rating.explanation(rating.Rated(line.amount, line.quantity, line.explanation))
    return [{key: plain(value) for key, value in step.items()} for step in steps]
