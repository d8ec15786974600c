"""Allowances that are carried over: what the usage period before a window has left for it.

A row of `_usage` keeps what it leaves under `left` of its terms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ..billing.allowances import Lot
from .desk import Desk, Row
from .terms import PLAN, addon_of
from .windows import SAME

# Rows of a customer that are looked through: several subscriptions may rate a meter.
_LOOKED_AT = 64


def left_before(
    desk: Desk, sub: Mapping[str, Any], item: str, meter: str, start: datetime
) -> tuple[Lot, ...]:
    """What a usage period that begins at an instant is left by the one before it.

    What a plan leaves goes to the one that it is changed for, and no further; an add-on's ends
    with it.
    """
    found = desk.rows(
        "_usage", {"customer": sub["customer"], "meter": meter}, [("start", "<", start)],
        (("start", True),), _LOOKED_AT,
    )  # fmt: skip
    mine = (row for row in found if _of(row) == (sub["id"], item))
    row = next(mine, None)
    if row is None or not _goes_on(sub, item, row):
        return ()
    return tuple(Lot(quantity, periods) for quantity, periods in row["terms"].get("left") or ())


def _goes_on(sub: Mapping[str, Any], item: str, row: Mapping[str, Any]) -> bool:
    terms = row["terms"]
    if item != PLAN:
        return _added(sub, item) == _added(terms, item)
    since = (sub["billing"] or {}).get("since")
    return bool(since == terms["since"] or (since is not None and since - row["end"] < SAME))


def _added(having: Mapping[str, Any], name: str) -> datetime | None:
    return (addon_of(having, name) or {}).get("since")


def chain(desk: Desk, row: Row) -> Sequence[Row]:
    """A billed period that leaves something to the next, and those behind it, oldest first."""
    if "left" not in row["terms"]:
        return ()
    found = desk.rows(
        "_usage", {"customer": row["customer"], "meter": row["meter"]},
        [("start", ">=", row["start"])], (("start", False),), None,
    )  # fmt: skip
    return [each for each in found if _of(each) == _of(row) and "left" in each["terms"]]


def _of(row: Mapping[str, Any]) -> tuple[str, str]:
    return row["subscription"], row["terms"]["item"]
