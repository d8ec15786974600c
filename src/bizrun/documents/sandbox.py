"""Jinja2 for texts that authors write over data that strangers send: bounded, and plain data only.

A value never becomes part of the Markdown around it: what a template prints is a mark that stands
for the value until the Markdown has been read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time, tzinfo
from decimal import Decimal
from functools import cache
from typing import Any

from jinja2 import StrictUndefined, Undefined, nodes, pass_context
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context, LoopContext, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace
from markupsafe import Markup

from ..errors import EvalError
from ..times import to_local
from ..values import Duration, Money, Percent, check_number, divide, show, show_as
from .labels import labels

MAX_OUTPUT = 1_000_000
MAX_STEPS = 100_000
MAX_RANGE = 1_000
MAX_POWER = 18

OPEN, CLOSE = "\ue000", "\ue001"
_SHEET = " sheet"  # no name that a template could write
_LINE = re.compile(r"[^\x00-\x1f\x7f{\ue000-\ue003]*")  # nothing in it is for Jinja2
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ue000-\ue003]")


class Sheet:
    """What one rendering has used up, and the values that its marks stand for."""

    __slots__ = ("language", "left", "steps", "values", "zone")

    def __init__(self, zone: tzinfo | None = None, language: Any = None) -> None:
        self.language = language
        self.values: list[str] = []
        self.left = MAX_OUTPUT
        self.steps = MAX_STEPS
        self.zone = zone

    def keep(self, text: str) -> Markup:
        """The mark that stands for a text."""
        self.grow(len(text))
        self.values.append(clean(text))
        return Markup(f"{OPEN}{len(self.values) - 1}{CLOSE}")

    def grow(self, size: int) -> None:
        """Counts output."""
        self.left -= size
        if self.left < 0:
            raise EvalError(f"it comes to more than {MAX_OUTPUT:,} characters")

    def step(self, count: int = 1) -> None:
        """Counts rounds of loops and calls."""
        self.steps -= count
        if self.steps < 0:
            raise EvalError(f"it takes more than {MAX_STEPS:,} steps")


def clean(text: str) -> str:
    """A text without control characters and without our marks."""
    return _UNPRINTABLE.sub("", text)


def printed(value: Any) -> str:
    """A value as it stands in a message: a row as its key, none as nothing."""
    match value:
        case str():
            return value
        case None:
            return ""
        case dict() if "$key" in value:
            return printed(value["$key"])
        case list() | tuple():
            return ", ".join(printed(item) for item in value)
        case float():
            return show(_exact(value))
        case bool() | int() | Decimal() | Money() | Percent() | Duration() | date() | time():
            return show(value)
        case dict():
            return "{ " + ", ".join(f"{k}: {printed(v)}" for k, v in value.items()) + " }"
    raise EvalError(f"a {type(value).__name__} can't be printed")


def _exact(value: Any) -> Any:
    return Decimal(repr(value)) if isinstance(value, float) else value


def _sheet(context: Context) -> Sheet:
    sheet = context.parent[_SHEET]
    assert isinstance(sheet, Sheet)
    return sheet


# --- what a template may do --------------------------------------------------------------------

_METHODS: tuple[tuple[tuple[type, ...], frozenset[str]], ...] = (
    (
        (str,),
        frozenset({"upper", "lower", "title", "capitalize", "strip", "startswith", "endswith"}),
    ),
    ((dict,), frozenset({"items", "keys", "values", "get"})),
    ((list, tuple, bool, int, Decimal), frozenset()),
    ((Money,), frozenset({"amount", "currency"})),
    ((Percent,), frozenset({"rate"})),
    ((Duration,), frozenset({"months", "days"})),
    (
        (date, time),
        frozenset({"year", "month", "day", "hour", "minute", "weekday", "strftime", "isoformat"}),
    ),
)
_FILTERS = (
    "abs", "capitalize", "count", "dictsort", "first", "groupby", "items", "last",
    "length", "list", "lower", "map", "max", "min", "reject", "rejectattr", "reverse", "select",
    "selectattr", "sort", "title", "trim", "unique", "upper", "urlencode", "wordcount", "safe",
)  # fmt: skip


class Sandboxed(ImmutableSandboxedEnvironment):
    """Jinja2's immutable sandbox with bounds on loops, calls, arithmetic and output."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%", "**"})

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(clean(source), name, filename)
        for loop in tree.find_all(nodes.For):
            if loop.recursive:
                raise EvalError("a loop can't be recursive")
            loop.iter = nodes.Filter(loop.iter, "_each", [], [], None, None, lineno=loop.lineno)
        _replace_joins(tree)
        return tree

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Whether a template may read an attribute: those of plain data that only read."""
        for types, names in _METHODS:
            if isinstance(obj, types):
                return attr in names
        if isinstance(obj, LoopContext | Macro | Namespace):
            return super().is_safe_attribute(obj, attr, value)
        return False

    def getattr(self, obj: Any, attribute: str) -> Any:
        """A field of a row before a method of the map that holds it."""
        if isinstance(obj, dict) and attribute in obj:
            return obj[attribute]
        if isinstance(obj, dict) and attribute not in ("items", "keys", "values", "get"):
            return self.undefined(f"there is no `{attribute}` here", obj, attribute)
        return super().getattr(obj, attribute)

    def wrap_str_format(self, value: Any) -> None:
        """Leaves `format` of texts out: its widths know no bound."""
        return

    def call(self, context: Context, obj: Any, *args: Any, **kwargs: Any) -> Any:
        """Counts a call."""
        _sheet(context).step()
        return super().call(context, obj, *args, **kwargs)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Exact arithmetic; texts are only put together, within the bound."""
        left, right = _exact(left), _exact(right)
        if operator == "+" and isinstance(left, str) and isinstance(right, str):
            return join(context, [left, right])
        for value in (left, right):
            if isinstance(value, str | list | tuple | dict | Undefined):
                str(value) if isinstance(value, Undefined) else None
                raise EvalError(f"`{operator}` computes with numbers and money only")
        match operator:
            case "+":
                found = left + right
            case "-":
                found = left - right
            case "*":
                found = left * right
            case "/" if isinstance(left, int | Decimal) and isinstance(right, int | Decimal):
                found = divide(left, right)
            case "/":
                found = left / right
            case _:
                found = _whole(operator, left, right)
        return check_number(found) if isinstance(found, int | Decimal) else found


def _whole(operator: str, left: Any, right: Any) -> Any:
    if not isinstance(left, int | Decimal) or not isinstance(right, int | Decimal):
        raise EvalError(f"`{operator}` computes with numbers only")
    if operator == "**":
        if not isinstance(right, int) or not 0 <= right <= MAX_POWER:
            raise EvalError(f"`**` takes a whole number up to {MAX_POWER}")
        return check_number(left) ** right
    if not right:
        raise EvalError("division by zero")
    return left // right if operator == "//" else left % right


def _replace_joins(tree: nodes.Node) -> None:
    """Turns each `~` into a call that is bounded: Jinja2 has no hook for it."""
    for node in [tree, *tree.find_all(nodes.Node)]:
        for name, value in list(node.iter_fields()):
            if isinstance(value, nodes.Concat):
                setattr(node, name, _joined(value))
            elif isinstance(value, list):
                value[:] = [_joined(v) if isinstance(v, nodes.Concat) else v for v in value]


def _joined(node: nodes.Concat) -> nodes.Filter:
    items = nodes.List(node.nodes, lineno=node.lineno)
    return nodes.Filter(items, "_join", [], [], None, None, lineno=node.lineno)


# --- filters -----------------------------------------------------------------------------------


@pass_context
def finish(context: Context, value: Any) -> Any:
    """What stands in the output for a value: itself where the template made it, else a mark."""
    sheet = _sheet(context)
    if isinstance(value, Markup):
        sheet.grow(len(value))
        return value
    if isinstance(value, Undefined):
        str(value)  # raises, with the name
    return sheet.keep(printed(value))


@pass_context
def join(context: Context, value: Sequence[Any], between: str = "") -> str:
    """The items as one text; what the template itself wrote stays Markdown."""
    sheet = _sheet(context)
    items = list(value)
    for item in items:
        if isinstance(item, Undefined):
            str(item)
    if any(isinstance(item, Markup) for item in items):
        parts = [i if isinstance(i, Markup) else sheet.keep(printed(i)) for i in items]
        separator = sheet.keep(between) if between else ""
        found: str = Markup(separator.join(parts))
    else:
        found = between.join(printed(item) for item in items)
    sheet.grow(len(found))
    return found


@pass_context
def _each(context: Context, value: Any) -> Any:
    if isinstance(value, Undefined):
        str(value)
    items = value if hasattr(value, "__len__") else list(value)
    _sheet(context).step(len(items) + 1)
    return items


def _bounded_range(*bounds: int) -> range:
    found = range(*bounds)
    if len(found) > MAX_RANGE:
        raise SecurityError(f"a range has at most {MAX_RANGE:,} numbers")
    return found


def _default(value: Any, default: Any = "", boolean: bool = False) -> Any:
    missing = isinstance(value, Undefined) or value is None or (boolean and not value)
    return default if missing else value


@pass_context
def _replaced(context: Context, value: Any, old: str, new: str) -> str:
    text = printed(value)
    _sheet(context).grow(text.count(old) * len(new))
    return text.replace(old, new)


def _truncated(value: Any, length: int = 255, end: str = "…") -> str:
    text = printed(value)
    return text if len(text) <= length else text[: max(0, length - len(end))].rstrip() + end


def _rounded(value: Any, places: int = 0) -> Any:
    if isinstance(value, Money):
        unit = Decimal(1).scaleb(-min(max(places, 0), MAX_POWER))
        return Money(value.amount.quantize(unit), value.currency)
    if isinstance(value, int):
        return value
    return check_number(Decimal(_exact(value)).quantize(Decimal(1).scaleb(-places)))


def _formatted(value: Any, format_: str) -> str:
    return show_as(_exact(value), format_)


@pass_context
def _dated(context: Context, value: Any, format_: str | None = None) -> str:
    """A day in the business time zone, as its language writes one, or by strftime's codes."""
    if value is None or isinstance(value, Undefined):
        return printed(value) if value is None else str(value)
    sheet = _sheet(context)
    if isinstance(value, datetime) and value.tzinfo is not None and sheet.zone is not None:
        value = to_local(value, sheet.zone)  # type: ignore[arg-type]
    if not isinstance(value, date):
        raise EvalError("`date` takes a date or a time")
    return (
        labels(sheet.language).calendar_day(value) if format_ is None else value.strftime(format_)
    )


@pass_context
def _money(context: Context, value: Any) -> str:
    """An amount as the language of the business writes it."""
    if not isinstance(value, Money):
        raise EvalError("`money` takes an amount of money")
    return labels(_sheet(context).language).money(value)


@pass_context
def _counted(context: Context, value: Any) -> str:
    """A number as the language of the business writes it; a size or `unlimited` as it is."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return printed(value)
    return labels(_sheet(context).language).quantity(value)


def _summed(values: Sequence[Any], attribute: str | None = None) -> Any:
    total: Any = None
    for value in values:
        part = value if attribute is None else value[attribute]
        total = part if total is None else total + part
    return 0 if total is None else total


def _number(value: Any) -> Any:
    return int(value)


def _same(value: Any) -> Any:
    return value


@cache
def environment() -> Sandboxed:
    """The one environment; nothing in it changes between renderings."""
    env = Sandboxed(autoescape=True, undefined=StrictUndefined, finalize=finish)
    own: Mapping[str, Callable[..., Any]] = {
        "_each": _each, "_join": join, "join": join, "default": _default, "d": _default,
        "replace": _replaced, "truncate": _truncated, "round": _rounded, "format": _formatted,
        "date": _dated, "money": _money, "number": _counted, "sum": _summed, "int": _number,
        "string": printed, "e": _same, "escape": _same,
    }  # fmt: skip
    env.filters = {name: env.filters[name] for name in _FILTERS} | dict(own)
    env.globals = {"range": _bounded_range, "namespace": Namespace}
    return env


def fill(source: str, data: Mapping[str, Any], sheet: Sheet) -> str:
    """The template's own text with a mark for each value; the sheet has the values."""
    if _LINE.fullmatch(source):
        sheet.grow(len(source))
        return source
    return str(_compiled(source).render({**data, _SHEET: sheet}))


@cache
def _sources() -> dict[str, Any]:
    return {}


def _compiled(source: str) -> Any:
    held = _sources()
    found = held.get(source)
    if found is None:
        if len(held) >= MAX_RANGE:
            held.clear()
        found = held[source] = environment().from_string(source)
    return found
