"""With which taxes something was charged, as it is kept: what gives it back gives them back too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..billing.catalog import Tax
from ..billing.taxes import TaxShare


def as_rows(held: Sequence[Tax | TaxShare]) -> list[list[Any]]:
    """Taxes as they are kept: [name, rate, inclusive] each."""
    return [[tax.name, tax.rate, tax.inclusive] for tax in held]


def from_rows(rows: Sequence[Sequence[Any]] | None) -> tuple[Tax, ...] | None:
    """Taxes that were kept; None where it is not known which they were."""
    return None if rows is None else tuple(Tax(*row) for row in rows)
