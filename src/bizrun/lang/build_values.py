"""Builds the constants: numbers, money, durations, dates, as exact Python values."""

from __future__ import annotations

from datetime import date, time
from decimal import Decimal
from typing import Any

from .. import values
from ..currencies import EXPONENTS
from ..diagnostics import did_you_mean
from ..errors import EvalError
from . import ast
from .build_context import Context


def build_literal(token: Any, context: Context) -> ast.Literal | ast.Bad:
    """A Literal of a token; Bad, and reported, where its value does not exist."""
    span = context.of(token)
    kind, text = token.type, str(token)
    if kind in _WORDS:
        type_, value = _WORDS[kind]
        return ast.Literal(span, type_, value)
    try:
        type_, value = _READ[kind](text)
    except _Wrong as wrong:
        context.report(wrong.code, span, wrong.message, wrong.help)
        return ast.Bad(span)
    return ast.Literal(span, type_, value)


class _Wrong(Exception):
    def __init__(self, code: str, message: str, help: str | None = None) -> None:
        self.code, self.message, self.help = code, message, help


def _decimal(text: str) -> values.Number:
    plain = text.replace("_", "")
    try:
        if len(plain.partition(".")[2].rstrip("0")) > values.MAX_EXPONENT:
            raise EvalError(f"`{plain}` has more digits than are kept")
        return values.number(plain)
    except EvalError:
        message = f"A number has at most {values.MAX_DIGITS} digits, {values.MAX_EXPONENT} of them"
        raise _Wrong("E0110", f"{message} behind the point.") from None


def _number(text: str) -> tuple[str, Any]:
    return "number", _decimal(text)


def _percent(text: str) -> tuple[str, Any]:
    return "percent", values.Percent.of(_decimal(text[:-1]))


def _money(text: str) -> tuple[str, Any]:
    amount, currency = text.split()
    if currency not in EXPONENTS:
        near = did_you_mean(currency, EXPONENTS)
        raise _Wrong(
            "E0111",
            f"There is no currency `{currency}` in ISO 4217.",
            f"did you mean `{near}`?" if near else None,
        )
    return "money", values.Money(Decimal(_decimal(amount)), currency)


def _duration(text: str) -> tuple[str, Any]:
    count, unit = text.split()
    number = _decimal(count)
    try:
        return "duration", values.Duration.of(number, unit)
    except EvalError:
        help = _parts(number, unit.rstrip("s"))
        message = f"`{' '.join(text.split())}`: days, weeks, months and years come whole."
        raise _Wrong("E0113", message, help) from None


def _parts(count: values.Number, unit: str) -> str | None:
    smaller = {"day": (24, "hours"), "week": (7, "days"), "year": (12, "months")}.get(unit)
    if smaller is None:
        return None
    parts = count * smaller[0]
    return f"write `{int(parts)} {smaller[1]}`" if parts == int(parts) else None


def _size(text: str) -> tuple[str, Any]:
    count, unit = text.split()
    size = _decimal(count) * values.SIZE_UNITS[unit]
    if size != int(size):
        raise _Wrong("E0110", f"`{' '.join(text.split())}` is no whole number of bytes.")
    return "size", int(size)


def _instant(text: str) -> tuple[str, Any]:
    if text[-1] != "Z" and text[-6] not in "+-":
        raise _Wrong(
            "E0112",
            f"`{text}` has no time zone.",
            f"write `{text}Z` for UTC, or an offset such as `+02:00`",
        )
    try:
        return "time", values.instant(text)
    except (EvalError, ValueError):
        raise _Wrong("E0112", f"There is no instant `{text}`.") from None


def _date(text: str) -> tuple[str, Any]:
    try:
        return "date", date.fromisoformat(text)
    except ValueError:
        help = "a date is year-month-day, as in `2026-01-31`"
        raise _Wrong("E0112", f"There is no day {text}.", help) from None


def _clock(text: str) -> tuple[str, Any]:
    hour, minute, second = (int(part) for part in f"{text}:0".split(":")[:3])
    try:
        return "clock", time(hour, minute, second)
    except ValueError:
        help = "a time of day is between `00:00` and `23:59`"
        raise _Wrong("E0112", f"There is no time of day {text}.", help) from None


_WORDS: dict[str, tuple[str, Any]] = {
    "TRUE": ("bool", True),
    "FALSE": ("bool", False),
    "NONE": ("none", None),
    "UNLIMITED": ("unlimited", values.UNLIMITED),
}

_READ = {
    "NUMBER": _number,
    "PERCENT": _percent,
    "MONEY": _money,
    "DURATION": _duration,
    "SIZE": _size,
    "INSTANT": _instant,
    "DATE": _date,
    "TIME": _clock,
}
