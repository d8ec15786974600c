"""Comparisons, ranges and membership: what has an order, and what can never be equal."""

from __future__ import annotations

from ...diagnostics import Fix, Span
from .. import ast
from ..types import (
    ANY,
    BOOL,
    CLOCK,
    DATE,
    DURATION,
    INTEGER,
    MONEY,
    NONE,
    NUMBER,
    PERCENT,
    SIZE,
    TEXT,
    TIME,
    UNLIMITED,
    Choice,
    EntityType,
    ListOf,
    MapOf,
    Maybe,
    Record,
    Type,
    known,
    type_text,
)
from . import constants
from .context import Checker
from .fit import begins, comparable, untyped
from .names import text_fits
from .operands import (
    ambiguous,
    can_be_none,
    none_in,
    of_rows,
    plain,
    report_none,
    source_text,
    two_currencies,
)
from .scope import Scope

ORDERED = (NUMBER, MONEY, PERCENT, DURATION, SIZE, TIME, DATE, CLOCK, TEXT)
COMPARISONS = ("<", "<=", ">", ">=", "reaches", "drops below")


def _same(c: Checker, node: ast.Binary) -> None:
    """Warns of a name that is compared with itself: mostly a row's field without its point."""
    match node:
        case ast.Binary(left=ast.Name(name=name), right=ast.Name(name=other)):
            help: str | None = f"the row's own field is `.{name}`"
        case ast.Binary(left=ast.RowField(name=name), right=ast.RowField(name=other)):
            help = None
        case _:
            return
    if name == other and node.op not in ("reaches", "drops below"):
        always = "true" if node.op in ("==", "<=", ">=") else "false"
        shown = source_text(c, node.left)
        text = f"`{shown}` is compared with itself, which is always {always}"
        c.report.add("W0304", node.span, text, help)


def equality(c: Checker, node: ast.Binary, left: Type, right: Type, scope: Scope) -> Type:
    """The type of `==` and `!=`; reports values that can never be equal."""
    if _chained(node):
        return BOOL
    _same(c, node)
    for side, type_, other in ((node.left, left, right), (node.right, right, left)):
        if not text_fits(c, side, known(other)):
            return BOOL
        against = node.right if side is node.left else node.left
        if type_ == NONE and not can_be_none(other) and not of_rows(c, against, scope):
            c.report.add(
                "W0302",
                node.span,
                f"This is never none, so that is always {'false' if node.op == '==' else 'true'}",
                "only what has a type with `?` may be none",
            )
            return BOOL
    _dates_begin(c, (node.left, left), (node.right, right))
    _date_at_now(c, node, left, right, scope)
    if not comparable(plain_choice(left), plain_choice(right)):
        _never_equal(c, node, left, right)
    elif two_currencies(c, node) or ambiguous(c, node):
        return BOOL
    return BOOL


def _dates_begin(c: Checker, *sides: tuple[ast.Expr, Type]) -> None:
    """A date that is compared with an instant is its midnight; the field of a row stays a date."""
    for (side, type_), (_, other) in zip(sides, reversed(sides), strict=True):
        if begins(type_, other) and not isinstance(side, ast.RowField):
            c.checked.midnights.add(side)


def _date_at_now(c: Checker, node: ast.Binary, left: Type, right: Type, scope: Scope) -> None:
    """Warns of a date that is to equal the instant of an event, which is hardly ever a midnight."""
    if scope.place not in ("handler", "schedule", "api", "fn"):
        return  # a trigger fires at that midnight
    for one, other, side in ((left, right, node.right), (right, left, node.left)):
        if known(one) == DATE and known(other) == TIME and (span := _now(side)):
            text = "A date is its midnight here, and hardly ever equals what follows from `now`"
            fix = Fix(span, "today", certain=False)
            c.report.add("W0330", node.span, text, "write `today`", fix)


def _now(node: ast.Expr) -> Span | None:
    """Where `now` stands in it, or in it plus or minus a duration."""
    match node:
        case ast.Name(name="now"):
            return node.span
        case ast.Binary(op="+" | "-", left=left):
            return _now(left)
    return None


def plain_choice(type_: Type) -> Type:
    """A type for equality: `unlimited` equals a number or a size."""
    return NUMBER if type_ == INTEGER else type_


def _never_equal(c: Checker, node: ast.Binary, left: Type, right: Type) -> None:
    a, b = known(left), known(right)
    help_ = None
    if {a, b} == {MONEY, NUMBER}:
        help_ = f"compare with money: `0 {c.symbols.currency}`"
    elif isinstance(a, Choice) and isinstance(b, Choice):
        help_ = "they have no value in common"
    elif isinstance(a, ListOf) != isinstance(b, ListOf):
        help_ = "`in` asks whether a list has a value"
    elif a == TIME and b == DURATION:
        help_ = "compare with a point in time: `now - 7 days`"
    elif a == BOOL and isinstance(node.right, ast.Text) and node.right.plain in ("true", "false"):
        help_ = f"write `{node.right.plain}` without quotes"
    elif a in (NUMBER, DATE, TIME, MONEY) and isinstance(node.right, ast.Text):
        help_ = "write a value without quotes; quotes make a text"
    elif isinstance(b, Record) and b.name.startswith("range of"):
        help_ = "a range stands without brackets: `x in 1..5`"
    c.report.add(
        "E0308", node.span, f"{type_text(left)} and {type_text(right)} are never equal", help_
    )


def _chained(node: ast.Binary) -> bool:
    """Whether this is the second half of `a < b < c`, which the parser has reported."""
    chains = (*COMPARISONS, "==", "!=", "in", "not in", "can")
    return isinstance(node.left, ast.Binary) and node.left.op in chains


def ordering(c: Checker, node: ast.Binary, left: Type, right: Type, scope: Scope) -> Type:
    """The type of `<` and its like; reports what has no order."""
    if node.op in ("reaches", "drops below") and scope.place != "trigger":
        c.report.add(
            "E0313",
            node.op_span,
            f"`{node.op}` only stands in a trigger's condition",
            "compare with `>=`" if node.op == "reaches" else "compare with `<`",
        )
        return BOOL
    if _chained(node) or none_in(c, "E0403", node, left, right, scope, f"`{node.op}`"):
        return BOOL
    _same(c, node)
    # What can't turn at all is told with the trigger (E0722).
    turns = node.op in ("reaches", "drops below")
    if not (turns and (plain(known(left)) in (TEXT, BOOL) or isinstance(known(left), EntityType))):
        _ordered_pair(c, node, left, right)
    return BOOL


def _ordered_pair(c: Checker, node: ast.Binary, left: Type, right: Type) -> bool:
    """Whether two types have one order; reports where they don't."""
    a, b = plain(known(left)), plain(known(right))
    for type_ in (a, b):
        if not untyped(type_) and type_ not in ORDERED:
            c.report.add(
                "E0312",
                node.span,
                f"{type_text(type_)} has no order",
                "numbers, money, percents, durations, sizes, times, dates and texts have one",
            )
            return False
    if untyped(a) or untyped(b):
        return True
    size = {a, b} == {SIZE, NUMBER} and UNLIMITED in (known(left), known(right))
    if a != b and {a, b} != {TIME, DATE} and not size and UNLIMITED not in (left, right):
        _never_ordered(c, node, left, right)
        return False
    return not (two_currencies(c, node) or ambiguous(c, node))


def _never_ordered(c: Checker, node: ast.Binary, left: Type, right: Type) -> None:
    a, b = known(left), known(right)
    help_ = None
    if {plain(a), plain(b)} == {MONEY, NUMBER}:
        number = node.right if plain(b) == NUMBER else node.left
        help_ = f"compare with money: `{source_text(c, number)} {c.symbols.currency}`"
        if not isinstance(number, ast.Literal):
            help_ = "compare with a number, without a currency"
    elif {plain(a), plain(b)} == {SIZE, NUMBER}:
        help_ = "compare with a size: `10 GB`"
    elif {plain(a), plain(b)} == {DURATION, NUMBER}:
        help_ = "compare with a duration: `30 days`"
    elif {plain(a), plain(b)} <= {TIME, DATE, DURATION}:
        help_ = "compare with a point in time: `now - 7 days`"
    elif TEXT in (plain(a), plain(b)):
        help_ = "a text has no unit; compare it with a text"
    c.report.add(
        "E0308", node.span, f"{type_text(left)} and {type_text(right)} can't be compared", help_
    )


def membership(c: Checker, node: ast.Binary, left: Type, right: Type, scope: Scope) -> Type:
    """The type of `in` and `not in`."""
    if _chained(node):
        return BOOL
    group = known(right)
    if isinstance(right, Maybe) and not scope.lenient:
        report_none(c, "E0402", node.right, right, f"`{node.op}` needs a list")
        return BOOL
    match group:
        case ListOf(item):
            _member(c, node, left, item)
        case Record(name, fields) if name.startswith("range of"):
            # None is in no range: that is an answer, and no order is asked for.
            _ordered_member(c, node, left, dict(fields)["start"])
        case MapOf() | Record():
            _member(c, node, left, TEXT)
        case _ if not untyped(group):
            help_ = "write a list `[a, b]`, a range `a..b` or a query"
            if isinstance(node.right, ast.Binary) and node.right.op == "-":
                help_ = "a range is written `a..b`"
            if group == TEXT:
                help_ = "`contains(text, part)` looks into a text"
            c.report.add(
                "E0317", node.right.span, f"`{node.op}` needs a list, not {type_text(right)}", help_
            )
    return BOOL


def _ordered_member(c: Checker, node: ast.Binary, left: Type, item: Type) -> None:
    a, b = plain(known(left)), plain(item)
    if a != b and {a, b} != {TIME, DATE} and not untyped(a) and not untyped(b):
        _never_equal(c, node, left, item)


def _member(c: Checker, node: ast.Binary, left: Type, item: Type) -> None:
    if isinstance(node.right, ast.ListLiteral):
        fit = [text_fits(c, entry, known(left)) for entry in node.right.items]
        if not all(fit):
            return
    if not text_fits(c, node.left, known(item)):
        return
    if begins(left, item):
        c.checked.midnights.add(node.left)
    elif begins(item, left):
        c.checked.midnights.add(node.right)
    if not comparable(left, item):
        _never_equal(c, node, left, item)


def range_of(item: Type) -> Record:
    """The type of `a..b`."""
    return Record(f"range of {type_text(item)}", (("start", item), ("end", item)))


def span_between(c: Checker, node: ast.Binary, left: Type, right: Type, scope: Scope) -> Type:
    """The type of `a..b`."""
    if none_in(c, "E0403", node, left, right, scope, "a range"):
        return ANY
    if not _ordered_pair(c, node, left, right):
        return ANY
    if scope.place != "value":  # a declaration says more of its own
        constants.bounds(c, node)
    a, b = plain(known(left)), plain(known(right))
    if untyped(a) and untyped(b):
        return ANY
    return range_of(TIME if {a, b} == {TIME, DATE} else b if untyped(a) else a)


def can(c: Checker, node: ast.Binary, left: Type, right: Type) -> Type:
    """The type of `user.role can "…"`."""
    for side, type_ in ((node.left, left), (node.right, right)):
        if not untyped(type_) and plain(known(type_)) != TEXT:
            c.report.add(
                "E0301",
                side.span,
                f"`can` takes a role's name and a right as text, not {type_text(type_)}",
                'write `user.role can "resources.write"`',
            )
    return BOOL
