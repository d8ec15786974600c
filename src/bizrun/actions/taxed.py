"""How something was taxed when it was charged, as it is kept: what gives it back goes by that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from ..billing.catalog import Tax
from ..billing.invoicing import Line
from ..billing.taxes import TaxedAs, taxed_as


def as_rows(how: TaxedAs) -> list[list[Any]]:
    """[name, rate, inclusive] of each tax; behind them the part that was taxed, but for a whole."""
    part = () if how.part == 1 else how.part.as_integer_ratio()
    return [[tax.name, tax.rate, tax.inclusive, *part] for tax in how.taxes]


def from_rows(rows: Sequence[Sequence[Any]] | None) -> TaxedAs | None:
    """What was kept; None where it is not known how something was taxed."""
    if rows is None:
        return None
    taxes = tuple(Tax(*row[:3]) for row in rows)
    return TaxedAs(taxes, Fraction(*rows[0][3:])) if rows and rows[0][3:] else TaxedAs(taxes)


def of(line: Line) -> TaxedAs:
    """How a line of an invoice is taxed."""
    return taxed_as(line.charged, line.taxes)


def inclusive(invoice: Mapping[str, Any]) -> bool:
    """Whether the prices of an invoice have their tax in them."""
    return any(tax.get("inclusive") for tax in invoice["taxes"] or ())
