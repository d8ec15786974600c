"""The built-in functions that need no state, by name; the others are asked of the context.

`PURE` take their arguments alone, `TIMED` the context before them, for now and the time zone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from hashlib import sha256
from typing import Any

from .. import times
from ..currencies import exponent
from ..errors import EvalError
from ..lossless import to_json
from ..values import (
    UNLIMITED,
    Duration,
    Money,
    Number,
    Percent,
    Range,
    number,
    power,
    show,
    written,
)
from . import rows
from .context import Context
from .estimates import forecast, similarity
from .operators import (
    SUMMED,
    check_items,
    check_text,
    counted,
    divide_any,
    equal,
    kind,
    last_of,
    quoted,
)

# A hash fits in what JSON and every store hold exactly.
_HASH_DIGITS = 12
# More than a century's months, or a generation's days.
_MOST_TIMES = 10_000


def _need(name: str, value: Any, *kinds: str) -> Any:
    """The value itself where it is of one of these kinds, or what its text says of them."""
    if kind(value) not in kinds:
        if isinstance(value, str) and (read := written(value, *kinds)) is not value:
            return read
        words = " or ".join(kinds)
        raise EvalError(f"`{name}` takes {words}, not {quoted(value)}")
    return value


# --- numbers ---------------------------------------------------------------------------------


def _floor(x: Any, step: Any = None) -> Any:
    return _stepped("floor", x, step, lambda q: q.numerator // q.denominator)


def _ceil(x: Any, step: Any = None) -> Any:
    return _stepped("ceil", x, step, lambda q: -(-q.numerator // q.denominator))


def _round(x: Any, step: Any = None) -> Any:
    return _stepped("round", x, step, _half_up)


def _half_up(quotient: Fraction) -> int:
    """To the nearest whole number, half away from zero."""
    size = abs(quotient) + Fraction(1, 2)
    whole = size.numerator // size.denominator
    return -whole if quotient < 0 else whole


def _stepped(name: str, x: Any, step: Any, whole: Callable[[Fraction], int]) -> Any:
    """A value in whole steps: of 1, of a unit of its currency, of a percent, of a day."""
    x = _need(name, x, *sorted(SUMMED))
    what = kind(x)
    if x == UNLIMITED:
        return x
    unit = _UNIT[what] if step is None else _need(name, step, what, "number")
    size, part = _amount(x), _amount(unit)
    if kind(unit) == "number" and what == "percent":
        part /= 100
    elif kind(unit) == "number" and what == "duration":
        raise EvalError(f"`{name}` of a duration takes a duration as its step")
    if part <= 0:
        raise EvalError(f"`{name}` takes a step above 0, not {quoted(step)}")
    return _like(x, Fraction(whole(size / part)) * part)


_UNIT = {"number": 1, "money": 1, "percent": Percent.of(1), "duration": Duration(days=1)}


def _amount(value: Any) -> Fraction:
    match value:
        case Money():
            size: Number = value.amount
        case Percent():
            size = value.rate
        case Duration(months=0):
            size = value.days * 86_400_000_000 + value.micros
        case Duration():
            raise EvalError(f"{value} has no exact length to round")
        case _:
            size = value
    if isinstance(size, Decimal) and not size.is_finite():
        raise EvalError("what has no end can't be rounded, or be a step")
    return Fraction(size)


def _like(sample: Any, amount: Fraction) -> Any:
    """A value of the sample's type; the amount has a finite decimal form."""
    exact = Decimal(amount.numerator) / Decimal(amount.denominator)
    match sample:
        case Money():
            return Money(exact, sample.currency)
        case Percent():
            return Percent(exact)
        case Duration():
            return Duration(micros=int(exact))
    return int(exact) if amount.denominator == 1 else exact


def _abs(x: Any) -> Any:
    return abs(_need("abs", x, *sorted(SUMMED)))


def _mod(a: Number, b: Number) -> Number:
    _need("mod", a, "number")
    if _need("mod", b, "number") == 0:
        raise EvalError("division by zero")
    if a == UNLIMITED or b == UNLIMITED:
        raise EvalError("`mod` of unlimited has no value")
    left, right = Fraction(a), Fraction(b)
    rest: Number = _like(0, left - right * (left // right))
    return rest


def _power(x: Any, n: Number) -> Any:
    """A number or a rate so often by itself; of a rate a rate, as its product is one."""
    x = _need("power", x, "number", "percent")
    if abs(_need("power", n, "number")) > _MOST_TIMES or int(n) != n:
        raise EvalError(f"`power` takes a whole number up to {_MOST_TIMES:_}, not {show(n)}")
    if x == UNLIMITED:
        raise EvalError("`power` of unlimited has no value")
    if isinstance(x, Percent):
        return Percent(Decimal(power(x.rate, int(n))))
    return power(x, int(n))


def _percent(x: Any, whole: Any = None) -> Percent:
    """The share that a number is, or that an amount is of another one of its kind."""
    if whole is None:
        share = _need("percent", x, "number", "percent")
    else:
        share = divide_any(
            _need("percent", x, *sorted(SUMMED)), _need("percent", whole, *sorted(SUMMED))
        )
    if isinstance(share, Percent):
        return share
    if kind(share) != "number" or share == UNLIMITED:
        raise EvalError(f"{quoted(x)} is no share" + (f" of {quoted(whole)}" if whole else ""))
    return Percent(share)


def _hash(x: Any) -> int:
    """The same number for the same value, on every machine and for ever."""
    text = json.dumps(to_json(x), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return int(sha256(text.encode()).hexdigest()[:_HASH_DIGITS], 16)


# --- lists -----------------------------------------------------------------------------------


def _values(name: str, x: Any, others: tuple[Any, ...]) -> Sequence[Any]:
    """The elements of one list, or all arguments."""
    if not others:
        found: Sequence[Any] = _need(name, x, "list", "range")
        return counted(x) if isinstance(x, Range) else found
    for value in (x, *others):
        if value is None:
            raise EvalError(f"`{name}` of none has no value")
    return (x, *others)


def _least(x: Any, *others: Any) -> Any:
    return rows.least(_values("min", x, others))


def _greatest(x: Any, *others: Any) -> Any:
    return rows.greatest(_values("max", x, others))


def _sum(values: Any) -> Any:
    return rows.total(_values("sum", values, ()), 0)


def _avg(values: Any) -> Any:
    return rows.average(_values("avg", values, ()))


def _len(x: Any) -> int:
    return len(counted(x) if isinstance(x, Range) else _need("len", x, "text", "list", "map"))


def _keys(x: Any) -> list[str]:
    """In the order of the alphabet, so that no store and no sender decides it."""
    return sorted(_need("keys", x, "map"))


def _contains(x: Any, part: Any) -> bool:
    if kind(_need("contains", x, "text", "list")) == "text":
        return _need("contains", part, "text") in x
    return any(equal(part, item) for item in x)


def _join(values: Any, separator: str = ", ") -> str:
    found = _values("join", values, ())
    return check_text(_need("join", separator, "text").join(show(value) for value in found))


# --- texts -----------------------------------------------------------------------------------


def _lower(text: str) -> str:
    return str(_need("lower", text, "text").lower())


def _upper(text: str) -> str:
    return str(_need("upper", text, "text").upper())


def _trim(text: str) -> str:
    return str(_need("trim", text, "text").strip())


def _starts_with(text: str, start: str) -> bool:
    return bool(_need("starts_with", text, "text").startswith(_need("starts_with", start, "text")))


def _ends_with(text: str, end: str) -> bool:
    return bool(_need("ends_with", text, "text").endswith(_need("ends_with", end, "text")))


def _replace(text: str, old: str, new: str) -> str:
    for part in (text, old, new):
        _need("replace", part, "text")
    # Counted first: a text may not grow without bounds before it is measured.
    check_items(len(text) + text.count(old) * len(new) if old else len(text))
    return check_text(text.replace(old, new)) if old else text


def _text(x: Any) -> str:
    return check_text(show(x))


def _number(text: str) -> Number | None:
    """The number that a text says, or none."""
    try:
        return number(_need("number", text, "text").strip().replace("_", ""))
    except EvalError:
        return None


# --- money -----------------------------------------------------------------------------------


def _charm(price: Money) -> Money:
    """A price that ends just below a whole one: 30.00 USD is 29.99 USD, 3000 JPY is 2999 JPY."""
    whole = _floor(_need("charm", price, "money"))
    return Money(whole.amount - Decimal(1).scaleb(-exponent(whole.currency)), whole.currency)


def _prestige(price: Money, step: Any = None) -> Money:
    """A round price: in tens, below them in whole units; 47 USD is 50 USD, 3.40 USD is 3 USD."""
    price = _need("prestige", price, "money")
    if step is None:
        step = Money(10 if abs(price.amount) >= 5 else 1, price.currency)
    rounded: Money = _round(price, step)
    return rounded


def _discount(price: Money, off: Any) -> Money:
    """A price less a percentage or an amount; never below zero."""
    price, off = _need("discount", price, "money"), _need("discount", off, "percent", "money")
    less = price * off if kind(off) == "percent" else off
    left: Money = price - less
    return max(left, left * 0)


def _bundle(prices: Any, off: Any) -> Money:
    """What several things cost together, less a percentage or an amount."""
    found = [_need("bundle", price, "money") for price in _need("bundle", prices, "list")]
    if not found:
        raise EvalError("`bundle` needs at least one price")
    return _discount(sum(found[1:], found[0]), off)


def _tiered(quantity: Number, tiers: Any) -> Money:
    from ..billing.rating import tiered

    for tier in _need("tiered", tiers, "list"):
        _need("tiered", tier, "map")
    return tiered(_need("tiered", quantity, "number"), tiers)


def _split(total: Money, shares: Any) -> list[Money]:
    from ..billing.split import split

    parts = [_need("split", s, "number", "percent") for s in _need("split", shares, "list")]
    return list(split(_need("split", total, "money"), parts))


def _allocate(total: Money, parts: int) -> list[Money]:
    from ..billing.split import allocate

    return list(allocate(_need("allocate", total, "money"), _need("allocate", parts, "number")))


# --- times -----------------------------------------------------------------------------------


def _instant(name: str, ctx: Context, value: Any) -> datetime:
    """An instant; of a date the local midnight it begins with."""
    value = _need(name, value, "time", "date")
    instant: datetime = times.midnight(value, ctx.tz) if kind(value) == "date" else value
    return instant


def _day_end(ctx: Context, x: Any) -> Any:
    """A date as the last instant of that day; anything else as it is."""
    return last_of(x, ctx)


def _midnight(ctx: Context, x: Any) -> Any:
    """Dates as the instants they begin with, also those of a list; anything else as it is."""
    if isinstance(x, list | tuple):
        return [_midnight(ctx, item) for item in x]
    return times.midnight(x, ctx.tz) if kind(x) == "date" else x


def _part(ctx: Context, x: Any, name: str) -> int | None:
    """A part of a date, or of an instant in the business's zone; none of none. Monday is 1."""
    if x is None:
        return None
    x = _need(name, x, "time", "date")
    local = times.to_local(x, ctx.tz) if kind(x) == "time" else x
    found: int = local.isoweekday() if name == "weekday" else getattr(local, name)
    return found


def _age(ctx: Context, x: Any) -> Duration:
    return times.between(_instant("age", ctx, x), ctx.now)


def _date(ctx: Context, x: Any, month: Any = None, day: Any = None) -> date:
    """The local date of an instant, the one that a text says, or that of a year, month and day."""
    if month is not None and day is not None:
        parts = [_need("date", part, "number") for part in (x, month, day)]
        x = "-".join(f"{part:0{n}}" for part, n in zip(parts, (4, 2, 2), strict=True))
    if isinstance(x, str):
        said = written(x, "date", "time")
        if said is x:
            raise EvalError(f"{quoted(x)} is no date like 2026-01-31")
        x = said
    return times.local_date(_instant("date", ctx, x), ctx.tz)


def _days(ctx: Context, start: Any, end: Any) -> int:
    """Whole days of the local calendar that have passed; below zero where the end is before."""
    a, b = _instant("days", ctx, start), _instant("days", ctx, end)
    if b < a:
        return -_days(ctx, end, start)
    count = (times.local_date(b, ctx.tz) - times.local_date(a, ctx.tz)).days
    return count - 1 if times.add(a, Duration(days=count), ctx.tz) > b else count


def _months(ctx: Context, start: Any, end: Any) -> int:
    """Whole calendar months that have passed; below zero where the end is before."""
    a, b = _instant("months", ctx, start), _instant("months", ctx, end)
    if b < a:
        return -_months(ctx, end, start)
    first, last = times.local_date(a, ctx.tz), times.local_date(b, ctx.tz)
    count = (last.year - first.year) * 12 + last.month - first.month
    return count - 1 if times.add(a, Duration(months=count), ctx.tz) > b else count


def _prorate(ctx: Context, amount: Money, start: Any, end: Any, period: Any = None) -> Money:
    """As the business prorates; without a period, of the calendar month in which it begins."""
    from ..billing.proration import prorate

    amount = _need("prorate", amount, "money")
    first, last = _instant("prorate", ctx, start), _instant("prorate", ctx, end)
    if period is None:
        day = times.local_date(first, ctx.tz)
        bounds = times.start_of("month", day), times.end_of("month", day)
        return prorate(amount, first, last, bounds, ctx.tz.key, ctx.by_second)
    if kind(_need("prorate", period, "range", "duration")) == "range":
        period = (
            _instant("prorate", ctx, period["start"]),
            _instant("prorate", ctx, period["end"]),
        )
    return prorate(amount, first, last, period, ctx.tz.key, ctx.by_second)


# --- what is read when it is sent ------------------------------------------------------------


def _sealed(name: str) -> Callable[..., Mapping[str, Any]]:
    """A secret or header as a map that says how to make it: never the secret itself."""

    def sealed(*args: Any) -> Mapping[str, Any]:
        return {"call": name, "args": list(args)}

    return sealed


PURE: Mapping[str, Callable[..., Any]] = {
    "floor": _floor,
    "ceil": _ceil,
    "round": _round,
    "abs": _abs,
    "mod": _mod,
    "power": _power,
    "percent": _percent,
    "hash": _hash,
    "min": _least,
    "max": _greatest,
    "sum": _sum,
    "avg": _avg,
    "count": _len,
    "len": _len,
    "keys": _keys,
    "contains": _contains,
    "join": _join,
    "lower": _lower,
    "upper": _upper,
    "trim": _trim,
    "starts_with": _starts_with,
    "ends_with": _ends_with,
    "replace": _replace,
    "text": _text,
    "number": _number,
    "charm": _charm,
    "prestige": _prestige,
    "discount": _discount,
    "bundle": _bundle,
    "tiered": _tiered,
    "split": _split,
    "allocate": _allocate,
    "env": _sealed("env"),
    "bearer": _sealed("bearer"),
    "basic": _sealed("basic"),
    "header": _sealed("header"),
    "hmac": _sealed("hmac"),
    "forecast": forecast,
    "similarity": similarity,
}

TIMED: Mapping[str, Callable[..., Any]] = {
    "age": _age,
    "date": _date,
    "days": _days,
    "months": _months,
    "prorate": _prorate,
    "midnight": _midnight,
    "day_end": _day_end,
    "part": _part,
}

ALL: Mapping[str, Callable[..., Any]] = {**PURE, **TIMED}
