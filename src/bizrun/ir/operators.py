"""What the operators of the language do where Python's own don't say it: both evaluators use it.

Anything that has no value is an EvalError whose sentence shows the values.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from .. import times
from ..errors import EvalError, Refusal
from ..values import (
    UNLIMITED,
    Duration,
    Money,
    Number,
    Percent,
    Range,
    check_number,
    divide,
    literal,
    show,
    show_as,
    written,
)
from .context import Context

MAX_TEXT = 1_048_576
MAX_ITEMS = 1_000_000
_BOUND = 10**34


# --- kinds and sentences ---------------------------------------------------------------------

_KINDS: dict[type, str] = {
    type(None): "none",
    bool: "bool",
    int: "number",
    Decimal: "number",
    str: "text",
    Money: "money",
    Percent: "percent",
    Duration: "duration",
    datetime: "time",
    date: "date",
    time: "clock",
    list: "list",
    tuple: "list",
    dict: "map",
    Range: "range",
}
ORDERED = frozenset({"number", "text", "money", "percent", "duration", "time", "date", "clock"})
SUMMED = frozenset({"number", "money", "percent", "duration"})


def kind(value: Any) -> str:
    """What a value is, in a word of the language."""
    found = _KINDS.get(type(value))
    if found is None:
        found = "map" if isinstance(value, Mapping) else "list"
    return found


def quoted(value: Any) -> str:
    """A value inside a sentence: `29.00 USD`, `"pro"`, cut where it is long."""
    text = literal(value)
    return f"`{text[:57]}…`" if len(text) > 60 else f"`{text}`"


_VERBS = {"+": "added", "-": "subtracted", "*": "multiplied", "/": "divided", "of": "taken"}


def no_value(op: str, left: Any, right: Any) -> EvalError:
    """The sentence for an operator that has no meaning for these values."""
    one, other = kind(left), kind(right)
    if op in _VERBS:
        what = f"can't be {_VERBS[op]}" if op != "of" else "don't fit `of`"
    else:
        what = "can't be compared"
    sorts = "" if one == other else f": {_a(one)} and {_a(other)}"
    return EvalError(f"{quoted(left)} and {quoted(right)} {what}{sorts}")


def _a(word: str) -> str:
    return word if word in ("none", "money", "text") else f"a {word}"


# What a text beside a value of another kind may say: it came from outside, without a type.
_SAYS: Mapping[str, tuple[str, ...]] = {
    "time": ("time", "date", "duration"),
    "date": ("time", "date", "duration"),
    "duration": ("time", "date", "duration", "percent"),
    "money": ("money", "percent"),
    "percent": ("percent", "money", "duration"),
    "number": ("money", "duration", "percent"),
    "text": ("time", "date", "money"),
}


def meant(op: str, left: Any, right: Any) -> tuple[Any, Any]:
    """Both values, texts as what they say beside the other; refused where that changes nothing.

    "Text that arrives from outside fits either" (LANGUAGE.md 1): only of an untyped value is a
    text not seen when the spec is checked.
    """
    one, other = kind(left), kind(right)
    read = (
        written(left, *_SAYS.get(other, ())) if one == "text" else left,
        written(right, *_SAYS.get(one, ())) if other == "text" else right,
    )
    if kind(read[0]) == one and kind(read[1]) == other:
        raise no_value(op, left, right)
    return read


def check_items(count: int) -> int:
    """A number of items, refused where a list would be too long."""
    if count > MAX_ITEMS:
        raise Refusal(f"a list has more than {MAX_ITEMS:,} items")
    return count


def check_text(text: str) -> str:
    """The text itself, refused where it is longer than 1 MB."""
    if len(text) > MAX_TEXT:
        raise Refusal("a text is longer than 1 MB")
    return text


def counted(range_: Range) -> list[Any]:
    """The items of a range of whole numbers or dates."""
    start, end = range_.start, range_.end
    if isinstance(start, int) and isinstance(end, int):
        check_items(end - start + 1)
        return list(range(start, end + 1))
    if kind(start) == kind(end) == "date":
        days: int = (end - start).days + 1
        return [start + timedelta(days=day) for day in range(check_items(days))]
    raise EvalError(f"{quoted(range_)} has no items: only whole numbers and dates can be counted")


# --- arithmetic ------------------------------------------------------------------------------


def _zone(ctx: Context | None) -> ZoneInfo:
    if ctx is None:
        raise EvalError("a date or time needs the time zone of a business here")
    return ctx.tz


def _finite(op: str, left: Any, right: Any) -> None:
    """Refuses what has no value with unlimited: unlimited - unlimited, unlimited × 0, …"""
    endless = [x for x in (left, right) if isinstance(x, Decimal) and not x.is_finite()]
    if not endless:
        return
    if op == "*" and (left == 0 or right == 0):
        raise EvalError(f"{quoted(left)} times {quoted(right)} has no value")
    if len(endless) == 2 and op in ("-", "/"):
        raise EvalError(f"`unlimited {op} unlimited` has no value")


def add(left: Any, right: Any, ctx: Context | None) -> Any:
    """`left + right` of any types."""
    if type(left) is int and type(right) is int:
        total = left + right
        return total if -_BOUND < total < _BOUND else check_number(total)
    one, other = kind(left), kind(right)
    if other == "duration" and one == "time":
        return times.add(left, right, _zone(ctx))
    if other == "duration" and one == "date":
        return times.add_to_date(left, right)
    if one == "date" and other == "clock":
        return times.from_local(datetime.combine(left, right), _zone(ctx))
    if one == "duration" and other in ("time", "date"):
        return add(right, left, ctx)
    if one == other == "number":
        return check_number(left + right)
    if one == other == "text":
        return check_text(left + right)
    if one == other == "list":
        check_items(len(left) + len(right))
        return [*left, *right]
    if one == other and one in SUMMED:
        return left + right
    if one in SUMMED and other in SUMMED and UNLIMITED in (left, right):
        return UNLIMITED
    return add(*meant("+", left, right), ctx)


def subtract(left: Any, right: Any, ctx: Context | None) -> Any:
    """`left - right` of any types."""
    if type(left) is int and type(right) is int:
        rest = left - right
        return rest if -_BOUND < rest < _BOUND else check_number(rest)
    one, other = kind(left), kind(right)
    if one == other == "time":
        return times.between(right, left)
    if one == other == "date":
        return Duration(days=(left - right).days)
    if other == "duration" and one == "time":
        return times.add(left, -right, _zone(ctx))
    if other == "duration" and one == "date":
        return times.add_to_date(left, -right)
    if one == other == "number":
        _finite("-", left, right)
        return check_number(left - right)
    if one == other and one in SUMMED:
        return left - right
    if other in SUMMED and left == UNLIMITED:
        return UNLIMITED
    return subtract(*meant("-", left, right), ctx)


def multiply(left: Number, right: Number) -> Number:
    """The exact product of two numbers, in the bounds of what is stored."""
    if type(left) is int and type(right) is int:
        product = left * right
        return product if -_BOUND < product < _BOUND else check_number(product)
    if kind(left) != "number" or kind(right) != "number":
        raise no_value("*", left, right)
    if left == UNLIMITED or right == UNLIMITED:
        _finite("*", left, right)
    return check_number(left * right)


_PRODUCTS = frozenset(
    pair
    for one in ("money", "duration", "percent")
    for pair in ((one, "number"), ("number", one), (one, "percent"), ("percent", one))
)
_QUOTIENTS = frozenset(
    pair for one in ("money", "percent", "duration") for pair in ((one, one), (one, "number"))
) | {("money", "percent")}


def multiply_any(left: Any, right: Any) -> Any:
    """`left * right` of any types."""
    if type(left) is int and type(right) is int:
        return multiply(left, right)
    pair = kind(left), kind(right)
    if pair == ("number", "number"):
        return multiply(left, right)
    if pair in _PRODUCTS:
        return left * right
    return multiply_any(*meant("*", left, right))


def divide_any(left: Any, right: Any) -> Any:
    """`left / right` of any types."""
    pair = kind(left), kind(right)
    if pair == ("number", "percent"):
        return divide_numbers(left, right.rate)
    if pair in _QUOTIENTS:
        return left / right
    if pair == ("number", "number"):
        return divide_numbers(left, right)
    return divide_any(*meant("/", left, right))


def divide_numbers(left: Number, right: Number) -> Number:
    """The quotient of two numbers, to 34 digits."""
    if kind(left) != "number" or kind(right) != "number":
        raise no_value("/", left, right)
    if left == UNLIMITED and right == UNLIMITED:
        _finite("/", left, right)
    return divide(left, right)


def share_of(share: Any, value: Any) -> Any:
    """`80% of x`; a share of unlimited is unlimited."""
    if type(share) is Percent and type(value) is int:
        return share * value
    if isinstance(value, Decimal) and value == UNLIMITED and kind(share) in ("percent", "number"):
        return value
    if value is None or share is None:
        raise no_value("of", share, value)
    return multiply_any(share, value)


def negate(value: Any) -> Any:
    """`-value`."""
    if kind(value) not in SUMMED or value == UNLIMITED:
        raise EvalError(f"{quoted(value)} has no negative")
    return -value


# --- truth and comparison --------------------------------------------------------------------


_COMPARE = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_PLAIN = frozenset({int, Decimal, str, datetime})
# Kinds that data writes as a text.
_WRITTEN = frozenset({"money", "percent", "duration", "time", "date"})


def truth(value: Any) -> bool:
    """A condition's value; anything but true and false is refused."""
    if value is True or value is False:
        return bool(value)
    raise EvalError(f"a condition is {quoted(value)}, neither true nor false")


def equal(left: Any, right: Any) -> bool:
    """`left == right` with exact types: true is not 1, nor is 1 in a list."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(equal, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(equal(v, right[k]) for k, v in left.items())
    same = bool(left == right)
    if same or (type(left) is str) is (type(right) is str):
        return same
    text, value = (left, right) if type(left) is str else (right, left)
    return kind(value) in _WRITTEN and bool(written(text, kind(value)) == value)


def compare(op: str, left: Any, right: Any, ctx: Context | None) -> bool:
    """`<`, `<=`, `>`, `>=` of any types that have an order; a date is its local midnight."""
    if type(left) is not type(right) or type(left) not in _PLAIN:
        one, other = kind(left), kind(right)
        if one != other:
            left, right = _alike(op, left, right, ctx)
        elif one not in ORDERED:
            raise no_value(op, left, right)
    return bool(_COMPARE[op](left, right))


def _alike(op: str, left: Any, right: Any, ctx: Context | None) -> tuple[Any, Any]:
    """Two values of different types as what can be compared: unlimited is more than any amount."""
    one, other = kind(left), kind(right)
    if (one, other) == ("time", "date"):
        return left, times.midnight(right, _zone(ctx))
    if (one, other) == ("date", "time"):
        return times.midnight(left, _zone(ctx)), right
    if one in SUMMED and other in SUMMED:
        if left == UNLIMITED:
            return 1, 0
        if right == UNLIMITED:
            return 0, 1
    read = meant(op, left, right)
    return read if kind(read[0]) == kind(read[1]) else _alike(op, *read, ctx)


def compare_rows(op: str, left: Any, right: Any, ctx: Context | None) -> bool:
    """A comparison in the condition of a query: what has no value never matches."""
    return left is not None and right is not None and compare(op, left, right, ctx)


def holds(value: Any) -> bool:
    """A condition of a query: none does not match."""
    return value is not None and truth(value)


def within(value: Any, low: Any, high: Any, ctx: Context | None) -> bool:
    """`value in low..high`; none is in no range. A day at its end is in as a whole."""
    if value is None:
        return False
    if kind(value) == "time":
        high = last_of(high, ctx)
    return compare("<=", low, value, ctx) and compare("<=", value, high, ctx)


def last_of(end: Any, ctx: Context | None) -> Any:
    """Where a range of instants ends: of a date with the last one of that day."""
    return times.last_instant(end, _zone(ctx)) if kind(end) == "date" else end


def span(low: Any, high: Any, ctx: Context | None) -> Range:
    """`low..high`."""
    if kind(low) != kind(high):
        low, high = _ends(low, high, ctx)
    if kind(low) not in ORDERED:
        raise EvalError(f"`{show(low)}..{show(high)}` is no range")
    return Range(low, high)


def _ends(low: Any, high: Any, ctx: Context | None) -> tuple[Any, Any]:
    if kind(low) == "time":
        high = last_of(high, ctx)
    if {kind(low), kind(high)} == {"time", "date"} or "text" in (kind(low), kind(high)):
        return _alike("<=", low, high, ctx)
    raise EvalError(f"`{show(low)}..{show(high)}` is no range")


def member(value: Any, container: Any, ctx: Context | None = None) -> bool:
    """`value in container`: a list, a map's keys, a range, a text."""
    match container:
        case list() | tuple():
            return any(equal(value, item) for item in container)
        case Range(start, end):
            return within(value, start, end, ctx)
        case str() if isinstance(value, str):
            return value in container
        case Mapping():
            return value in container
    raise EvalError(f"{quoted(value)} can't be in {quoted(container)}")


def binary(op: str, left: Any, right: Any, ctx: Context | None) -> Any:
    """An operator by its sign, types found out now; not those that look at one side first."""
    try:
        return _binary(op, left, right, ctx)
    except (ArithmeticError, ValueError):
        raise EvalError(f"{quoted(left)} {op} {quoted(right)} has no value") from None


def _binary(op: str, left: Any, right: Any, ctx: Context | None) -> Any:
    match op:
        case "+":
            return add(left, right, ctx)
        case "-":
            return subtract(left, right, ctx)
        case "*":
            return multiply_any(left, right)
        case "/":
            return divide_any(left, right)
        case "of":
            return share_of(left, right)
        case "..":
            return span(left, right, ctx)
        case "==":
            return equal(left, right)
        case "!=":
            return not equal(left, right)
        case "in":
            return member(left, right, ctx)
        case "not in":
            return not member(left, right, ctx)
    return compare(op, left, right, ctx)


# --- maps, lists, texts ----------------------------------------------------------------------


def field(base: Any, name: str) -> Any:
    """A field of untyped data: none where it is not there."""
    if isinstance(base, Mapping):
        return base.get(name)
    raise EvalError(f"`.{name}` is read of {quoted(base)}")


def item(base: Any, index: Any) -> Any:
    """`base[index]`: the item of a list by its place from 0, or of a map by its name."""
    if isinstance(base, list | tuple) and kind(index) == "number":
        if not 0 <= index < len(base) or index != int(index):
            raise EvalError(f"[{show(index)}] is outside a list of {len(base)}")
        return base[int(index)]
    if isinstance(base, Mapping) and isinstance(index, str):
        return base.get(index)
    raise EvalError(f"[{show(index)}] is read of {quoted(base)}")


def spread(value: Any, names: tuple[str, ...] | None) -> Mapping[str, Any]:
    """What `...value` adds to a map: the named fields that it has, or all."""
    if not isinstance(value, Mapping):
        raise EvalError(f"{quoted(value)} has no fields to spread")
    if names is None:
        return value
    return {name: value[name] for name in names if name in value}


def as_map(value: Any) -> dict[str, Any]:
    """A map of its own to hand over."""
    if not isinstance(value, Mapping):
        raise EvalError(f"{quoted(value)} is no map")
    return dict(value)


def items(ctx: Context, value: Any) -> list[Any]:
    """The items of a list or range, paid for."""
    if isinstance(value, list):
        found = value
    elif isinstance(value, Range):
        found = counted(value)
    elif isinstance(value, Iterable) and not isinstance(value, str | Mapping):
        found = list(islice(value, MAX_ITEMS + 1))
    else:
        raise EvalError(f"{quoted(value)} is no list")
    ctx.spend(check_items(len(found)))
    return found


def unmatched(value: Any) -> Any:
    """Refuses a value that no arm of a `match` names."""
    raise EvalError(f"no arm of `match` fits {quoted(value)}; add `else`")


def today(ctx: Context) -> date:
    """The local date of now."""
    return times.local_date(ctx.now, ctx.tz)


def edge(ctx: Context, edge_: str, unit: str) -> datetime:
    """`start of month`, `end of month`: the instant at which a unit begins or is over."""
    day = times.start_of(unit, today(ctx)) if edge_ == "start" else times.end_of(unit, today(ctx))
    return times.midnight(day, ctx.tz)


def refusal(message: Any) -> Refusal:
    """What `reject` raises."""
    return Refusal(show(message))


def text(*parts: str) -> str:
    """A text of parts, bounded."""
    return check_text("".join(parts))


def formatted(value: Any, format_: str, type_: str | None, ctx: Context | None) -> str:
    """A value by its format; the days and hours of an instant are those of the business's zone."""
    if isinstance(value, datetime):
        value = value.astimezone(_zone(ctx))
    try:
        return show_as(value, format_, type_)
    except (ValueError, ArithmeticError):
        raise EvalError(f"{quoted(value)} can't be printed as `{format_}`") from None
