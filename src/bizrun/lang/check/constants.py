"""What is written out and can't be meant: a division by zero, a time that has passed, an end
before the beginning. Values that only a run knows are the run's to refuse."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from ...values import Duration, Money, Percent
from .. import ast
from .context import Checker
from .facts import fold, negative, positive
from .operands import source_text

_AMOUNTS = ("number", "money", "percent", "duration", "size")


def divisor(c: Checker, node: ast.Expr) -> None:
    """Reports what divides by nothing."""
    value = fold(node, c.symbols)
    if value is not None and value.type in _AMOUNTS and not positive(value) and not negative(value):
        hint = "check first where it may be zero: `if n == 0 then … else x / n`"
        c.report.add("W0328", node.span, "Nothing can be divided by zero", hint)


def bounds(c: Checker, node: ast.Binary) -> None:
    """Warns of a range in which nothing lies."""
    low, high = _order(fold(node.left, c.symbols)), _order(fold(node.right, c.symbols))
    if low is None or high is None or type(low[0]) is not type(high[0]) or low <= high:
        return
    turned = f"{source_text(c, node.right)}..{source_text(c, node.left)}"
    c.report.add(
        "W0327", node.span, "This range ends before it begins: nothing is in it",
        f"did you mean `{turned}`?",
    )  # fmt: skip


def _order(value: ast.Literal | None) -> tuple[Any, ...] | None:
    """What a literal is compared by, None where it has no order that is known here."""
    match value.value if value is not None else None:
        case Money(amount=amount, currency=currency):
            return (currency, amount)
        case Percent(rate=rate):
            return (rate,)
        case Duration(months=0, days=days, micros=0) if days:
            return (Decimal(days),)
        case datetime() | date() | time() as moment:
            return (moment,)
        case bool():
            return None
        case int() | Decimal() as number:
            return (Decimal(number),)
    return None


def limit(c: Checker, node: ast.Expr) -> None:
    """Reports a number that rows can't have."""
    value = fold(node, c.symbols)
    if value is None or value.type != "number":
        return
    if negative(value) or value.value != int(value.value):
        c.report.add("E0329", node.span, "`limit` is a whole number, not below 0")


def ahead(c: Checker, node: ast.Expr, what: str, help: str) -> None:
    """Reports a time that would have to pass backwards."""
    value = fold(node, c.symbols)
    if value is not None and value.type == "duration" and negative(value):
        c.report.add("E0425", node.span, f"{what} counts forwards", help)


def clock(c: Checker, before: ast.Expr | None, node: ast.Expr) -> ast.Expr:
    """Reports an instant of a test that lies before an earlier one; the later of the two."""
    earlier, later = _moment(c, before), _moment(c, node)
    if before is None or earlier is None or later is None or not _goes_back(earlier, later):
        return before if later is None and before is not None else node
    text = f"The clock of a test never goes back: it was {source_text(c, before)} before"
    hint = "an event with an earlier time of its own is `emit … at INSTANT`"
    c.report.add("W0834", node.span, text, hint)
    return before


def _moment(c: Checker, node: ast.Expr | None) -> date | None:
    """The instant or date that is written out, if it is."""
    value = fold(node, c.symbols)
    return value.value if value is not None and isinstance(value.value, date) else None


# Midnight of a date by the clock in UTC: from UTC+14 to UTC-12.
_FIRST, _LAST = timedelta(hours=-14), timedelta(hours=12)


def _goes_back(earlier: date, later: date) -> bool:
    """Whether it is certain, in any time zone, that the second lies before the first."""
    if not isinstance(earlier, datetime) and not isinstance(later, datetime):
        return later < earlier
    return _utc(later, _LAST) < _utc(earlier, _FIRST)


def _utc(moment: date, midnight: timedelta) -> datetime:
    if isinstance(moment, datetime):
        return moment
    return datetime.combine(moment, time(), UTC) + midnight
