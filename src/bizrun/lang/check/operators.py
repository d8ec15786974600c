"""Operators: which types each one takes, what it gives, and how a mismatch is told."""

from __future__ import annotations

from ...diagnostics import Fix
from .. import ast
from ..types import (
    ANY,
    BOOL,
    CLOCK,
    DATE,
    DURATION,
    MONEY,
    NONE,
    NUMBER,
    PERCENT,
    SIZE,
    TEXT,
    TIME,
    UNLIMITED,
    ListOf,
    Maybe,
    Prim,
    Type,
    known,
    type_text,
)
from . import constants
from .comparisons import COMPARISONS, can, equality, membership, ordering, span_between
from .context import Checker
from .fit import begins, fits, join, untyped
from .names import text_fits
from .operands import (
    can_be_none,
    carry_both,
    condition,
    none_in,
    of_rows,
    plain,
    report_none,
    source_text,
    two_currencies,
    warn_of_no_rows,
)
from .rights import check_permission
from .scope import Scope

# Every pair of types that arithmetic takes, with the type it gives.
ARITHMETIC: dict[tuple[str, Prim, Prim], Prim] = {
    ("+", NUMBER, NUMBER): NUMBER,
    ("+", MONEY, MONEY): MONEY,
    ("+", PERCENT, PERCENT): PERCENT,
    ("+", DURATION, DURATION): DURATION,
    ("+", SIZE, SIZE): SIZE,
    ("+", TIME, DURATION): TIME,
    ("+", DATE, DURATION): DATE,
    ("+", DATE, CLOCK): TIME,
    ("+", DURATION, TIME): TIME,
    ("+", DURATION, DATE): DATE,
    ("-", NUMBER, NUMBER): NUMBER,
    ("-", MONEY, MONEY): MONEY,
    ("-", PERCENT, PERCENT): PERCENT,
    ("-", DURATION, DURATION): DURATION,
    ("-", SIZE, SIZE): SIZE,
    ("-", TIME, TIME): DURATION,
    ("-", TIME, DURATION): TIME,
    ("-", DATE, DATE): DURATION,
    ("-", DATE, DURATION): DATE,
    ("*", NUMBER, NUMBER): NUMBER,
    ("*", MONEY, NUMBER): MONEY,
    ("*", NUMBER, MONEY): MONEY,
    ("*", MONEY, PERCENT): MONEY,
    ("*", PERCENT, MONEY): MONEY,
    ("*", NUMBER, PERCENT): NUMBER,
    ("*", PERCENT, NUMBER): NUMBER,
    ("*", PERCENT, PERCENT): PERCENT,
    ("*", DURATION, NUMBER): DURATION,
    ("*", NUMBER, DURATION): DURATION,
    ("*", DURATION, PERCENT): DURATION,
    ("*", PERCENT, DURATION): DURATION,
    ("*", SIZE, NUMBER): SIZE,
    ("*", NUMBER, SIZE): SIZE,
    ("*", SIZE, PERCENT): SIZE,
    ("*", PERCENT, SIZE): SIZE,
    ("/", NUMBER, NUMBER): NUMBER,
    ("/", MONEY, MONEY): NUMBER,
    ("/", MONEY, NUMBER): MONEY,
    ("/", MONEY, PERCENT): MONEY,
    ("/", NUMBER, PERCENT): NUMBER,
    ("/", PERCENT, PERCENT): NUMBER,
    ("/", PERCENT, NUMBER): PERCENT,
    ("/", DURATION, DURATION): NUMBER,
    ("/", DURATION, NUMBER): DURATION,
    ("/", SIZE, SIZE): NUMBER,
    ("/", SIZE, NUMBER): SIZE,
    ("of", PERCENT, NUMBER): NUMBER,
    ("of", PERCENT, MONEY): MONEY,
    ("of", PERCENT, DURATION): DURATION,
    ("of", PERCENT, SIZE): SIZE,
    ("of", PERCENT, PERCENT): PERCENT,
}

NEGATED = (NUMBER, MONEY, PERCENT, DURATION, SIZE)
VERBS = {
    "+": "be added",
    "-": "be subtracted",
    "*": "be multiplied",
    "/": "be divided",
    "of": "be taken of each other",
}


def binary(c: Checker, node: ast.Binary, left: Type, right: Type, scope: Scope) -> Type:
    """The type that an operator gives for what stands on its sides."""
    match node.op:
        case "+" | "-" | "*" | "/" | "of":
            return _arithmetic(c, node, left, right, scope)
        case "or" if _instead(c, node, left, right):
            return ANY
        case "and" if known(left) == known(right) == DURATION:
            sides = f"{source_text(c, node.left)} + {source_text(c, node.right)}"
            c.report.add("E0310", node.span, "Durations are added by `+`", f"write `{sides}`")
            return DURATION
        case "and" | "or":
            for side, type_ in ((node.left, left), (node.right, right)):
                condition(c, side, type_, scope, f"`{node.op}` takes", _each_side(c, node))
            return BOOL
        case "==" | "!=":
            return equality(c, node, left, right, scope)
        case "in" | "not in":
            return membership(c, node, left, right, scope)
        case "??":
            return _fallback(c, node, left, right, scope)
        case "..":
            return span_between(c, node, left, right, scope)
        case "can":
            check_permission(c, node.right, scope)
            return can(c, node, left, right)
    if node.op in COMPARISONS:
        return ordering(c, node, left, right, scope)
    return ANY


def _instead(c: Checker, node: ast.Binary, left: Type, right: Type) -> bool:
    """Whether `x or "a"` is written for a value in place of none; reports it."""
    if not isinstance(left, Maybe) or known(left) == BOOL or untyped(known(left)):
        return False
    if not fits(right, left) or known(right) == BOOL:
        return False
    sides = f"{source_text(c, node.left)} ?? {source_text(c, node.right)}"
    text = "`or` joins conditions; what stands in for none is given with `??`"
    c.report.add("E0310", node.span, text, f"write `{sides}`")
    return True


def _each_side(c: Checker, node: ast.Binary) -> str | None:
    """What to write for `x == "a" or "b"`."""
    match node:
        case ast.Binary(op="or", left=ast.Binary(op="==", left=asked, right=one), right=other):
            texts = ", ".join(source_text(c, part) for part in (one, other))
            return f"compare each side, or write `{source_text(c, asked)} in [{texts}]`"
    return None


# --- arithmetic -------------------------------------------------------------------------------


def _arithmetic(c: Checker, node: ast.Binary, left: Type, right: Type, scope: Scope) -> Type:
    if none_in(c, "E0402", node, left, right, scope, f"`{node.op}`"):
        return ANY
    a, b = plain(known(left)), plain(known(right))
    if node.op in ("+", "-") and two_currencies(c, node):
        return ANY
    if isinstance(a, Prim) and isinstance(b, Prim):
        # `unlimited` has the unit of what it is computed with.
        if known(right) == UNLIMITED and node.op in ("+", "-"):
            b = a
        elif known(left) == UNLIMITED and node.op in ("+", "-"):
            a = b
        result = ARITHMETIC.get((node.op, a, b))
        if result is not None and node.op == "/":
            constants.divisor(c, node.right)
        if result == DATE:
            result = _moved(c, node, a)
        if result is not None:
            _carry(c, node, result)
            return result
    if node.op == "+" and isinstance(a, ListOf) and isinstance(b, ListOf):
        return ListOf(join(a.item, b.item) or ANY)
    if untyped(a) or untyped(b):
        return _guessed(c, node, a, b)
    _mismatch(c, node, a, b)
    return ANY


def _guessed(c: Checker, node: ast.Binary, a: Type, b: Type) -> Type:
    """Anything, where one side is untyped; reports another side that no operand would fit."""
    fitting = any(
        op == node.op and (untyped(a) or x == a) and (untyped(b) or y == b)
        for op, x, y in ARITHMETIC
    )
    if not fitting:
        _mismatch(c, node, a, b)
    return ANY


def _carry(c: Checker, node: ast.Binary, result: Prim) -> None:
    """What is known of a side's currency or length holds for the result."""
    sides = (node.left, node.right)
    if result == MONEY:
        currency = next((c.currencies[s] for s in sides if s in c.currencies), None)
        if currency:
            c.currencies[node] = currency
    if result == DURATION and node.op == "-" and c.checked.types.get(node.left) == TIME:
        c.lengths[node] = "exact"
    elif result == DURATION:
        _comes_whole(c, node)
        lengths = {c.lengths[s] for s in sides if s in c.lengths}
        if len(lengths) == 1:
            c.lengths[node] = lengths.pop()


def _moved(c: Checker, node: ast.Binary, left: Type) -> Prim:
    """What a date becomes: by days a date, by hours the instant so long after its midnight."""
    day, span = (node.left, node.right) if left == DATE else (node.right, node.left)
    if c.lengths.get(span) != "exact":
        return DATE
    c.checked.midnights.add(day)
    return TIME


def _comes_whole(c: Checker, node: ast.Binary) -> None:
    """Reports a part of a calendar unit, where it can be seen: `1 month * 50%`, `1 day / 2`."""
    sides = (node.left, node.right) if node.op in ("*", "/", "of") else ()
    length = next((s for s in sides if c.checked.types.get(s) == DURATION), None)
    factor = next((s for s in sides if s is not length and isinstance(s, ast.Literal)), None)
    if length is None or factor is None or c.lengths.get(length) not in ("months", "days"):
        return
    value = getattr(factor.value, "rate", factor.value)
    if node.op in ("*", "of") and value == int(value):
        return
    shown = source_text(c, length)
    text = f"There is no part of {shown}: days, weeks, months and years come whole"
    c.report.add("E0304", node.span, text, "parts are of exact units: `50% of 24 hours`")


def _mismatch(c: Checker, node: ast.Binary, a: Type, b: Type) -> None:
    match node.op, a, b:
        case "+" | "-", Prim("money"), Prim("number"):
            _money_and_number(c, node, node.right)
        case "+" | "-", Prim("number"), Prim("money"):
            _money_and_number(c, node, node.left)
        case "+" | "-", _, Prim("percent") if a != PERCENT:
            _plus_percent(c, node, a)
        case "+", Prim("time" | "date"), Prim("time" | "date"):
            c.report.add(
                "E0306",
                node.span,
                f"Two points in time can't be added: {type_text(a)} + {type_text(b)}",
                "add a duration (`now + 14 days`), or subtract to get one (`b - a`)",
            )
        case "+", Prim("time"), Prim("clock"):
            text = "An instant has a time of day: one is added to a date"
            c.report.add(
                "E0307", node.span, text, f"write `date(…) + {source_text(c, node.right)}`"
            )
        case "+", ListOf(item), _ if fits(b, item):
            text = f"A list is joined with a list: {type_text(a)} + {type_text(b)}"
            help_ = f"write `{source_text(c, node.left)} + [{source_text(c, node.right)}]`"
            c.report.add("E0307", node.span, text, help_)
        case "+", _, _ if TEXT in (a, b):
            c.report.add(
                "E0321",
                node.span,
                f"Text is not joined by `+`: {type_text(a)} + {type_text(b)}",
                'put values inside a text: `"{first} {second}"`',
            )
        case "of", Prim("number" | "integer"), _ if isinstance(node.left, ast.Literal):
            share = source_text(c, node.left)
            text = f"A share is a percent of something, not a number: {share}"
            fix = Fix(node.left.span, f"{share}%", certain=False)
            c.report.add("E0307", node.span, text, f"did you mean `{share}%`?", fix)
        case _:
            c.report.add(
                "E0307",
                node.span,
                f"{type_text(a)} and {type_text(b)} can't {VERBS[node.op]}",
                _arithmetic_help(node, a, b),
            )


def _money_and_number(c: Checker, node: ast.Binary, number: ast.Expr) -> None:
    help_, fix = f"write what the number counts, as `10 {c.symbols.currency}`", None
    if isinstance(number, ast.Literal):
        currency = c.currencies.get(node.left if number is node.right else node.right)
        text = f"{source_text(c, number)} {currency or c.symbols.currency}"
        help_, fix = f"did you mean `{text}`?", Fix(number.span, text, certain=False)
    c.report.add(
        "E0302", node.span, "Money and a plain number can't be added or subtracted", help_, fix
    )


def _plus_percent(c: Checker, node: ast.Binary, left: Type) -> None:
    help_, fix = "a share is multiplied: `price * 110%`", None
    if isinstance(node.left, ast.Literal) and node.left.value == 1:
        fix = Fix(node.left.span, "100%", certain=False)
        help_ = f"did you mean `100% {node.op} {source_text(c, node.right)}`?"
    elif isinstance(node.right, ast.Literal):
        points = node.right.value.rate.scaleb(2)
        total = 100 + points if node.op == "+" else 100 - points
        left_text = source_text(c, node.left)
        if isinstance(node.left, ast.Binary | ast.IfExpr):
            left_text = f"({left_text})"
        text = f"{left_text} * {total.normalize():f}%"
        help_, fix = f"did you mean `{text}`?", Fix(node.span, text, certain=False)
    way = "to" if node.op == "+" else "from"
    c.report.add(
        "E0303",
        node.span,
        f"A percent can't {VERBS[node.op]} {way} {type_text(left)}: a percent of what?",
        help_,
        fix,
    )


def _arithmetic_help(node: ast.Binary, a: Type, b: Type) -> str | None:
    options = sorted({y.name for op, x, y in ARITHMETIC if op == node.op and x == a})
    if options:
        return f"on the right of {type_text(a)} `{node.op}` takes {' or '.join(options)}"
    if node.op == "*" and MONEY == a == b:
        return "multiply money by a number or a percent"
    return None


def _fallback(c: Checker, node: ast.Binary, left: Type, right: Type, scope: Scope) -> Type:
    if not text_fits(c, node.right, known(left)):
        return ANY
    if untyped(left):
        return ANY
    if not can_be_none(left):
        sure = not isinstance(node.left, ast.Call | ast.Index | ast.Bad)
        if sure and not of_rows(c, node.left, scope):
            c.report.add(
                "W0303",
                node.op_span,
                f"The left side of `??` is {type_text(left)} and never none",
                "remove `??` and what follows it",
            )
        return left
    inner = known(left)
    result = right if inner == NONE else join(inner, right)
    if result is None:
        c.report.add(
            "E0316",
            node.span,
            f"One side of `??` is {type_text(inner)}, the other {type_text(right)}",
            "give both sides one type",
        )
        return ANY
    carry_both(c, node, node.left, node.right)
    for side, type_ in ((node.left, inner), (node.right, right)):
        if begins(type_, result):
            c.checked.midnights.add(side)
    return result


def unary(c: Checker, node: ast.Unary, type_: Type, scope: Scope) -> Type:
    """The type of `-x` or `not x`."""
    if node.op == "not":
        condition(c, node.operand, type_, scope, "`not` takes")
        return BOOL
    inner = plain(known(type_))
    if untyped(inner):
        return ANY
    if isinstance(type_, Maybe) and not scope.lenient:
        report_none(c, "E0402", node.operand, type_, "`-` needs a value")
        return ANY
    warn_of_no_rows(c, node.operand, scope, "`-`")
    if inner not in NEGATED:
        c.report.add("E0307", node.span, f"{type_text(type_)} has no negative")
        return ANY
    carry_both(c, node, node.operand)
    return inner
