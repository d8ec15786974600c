"""Types of expressions: each gets one, and where it has none, one report and the type anything."""

from __future__ import annotations

import re

from ...diagnostics import Fix, Span
from ...values import is_format
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
    PLAN,
    SIZE,
    TEXT,
    TIME,
    UNLIMITED,
    Choice,
    ListOf,
    Maybe,
    Prim,
    Record,
    Type,
    known,
    type_text,
)
from . import calls, fields, queries, values
from .context import Checker, listed
from .damage import hurt
from .fit import begins, fits, join, untyped
from .names import fits_literal, infer_name
from .operands import carry_both, condition, source_text
from .operators import binary, unary
from .scope import Scope, plain_texts

LITERALS: dict[str, Type] = {
    "number": NUMBER,
    "money": MONEY,
    "percent": PERCENT,
    "duration": DURATION,
    "size": SIZE,
    "clock": CLOCK,
    "date": DATE,
    "time": TIME,
    "bool": BOOL,
    "none": NONE,
    "unlimited": UNLIMITED,
}

MAX_DEPTH = 120


def infer(c: Checker, node: ast.Expr, scope: Scope, want: Type = ANY) -> Type:
    """The type of an expression; `want` is what its place takes, which a bare name goes by."""
    if c.depth >= MAX_DEPTH:
        c.report.add(
            "E0319", node.span, "This expression is nested too deeply", "name its parts with `let`"
        )
        return ANY
    c.depth += 1
    type_ = _infer(c, node, scope, want)
    c.depth -= 1
    c.checked.types[node] = type_
    return type_


def _infer(c: Checker, node: ast.Expr, scope: Scope, want: Type) -> Type:
    match node:
        case ast.Literal():
            return _literal(c, node)
        case ast.Text():
            return text(c, node, scope)
        case ast.Name():
            return infer_name(c, node, scope, want, lambda name: const_type(c, name, node.span))
        case ast.RowField():
            return fields.row_field(c, node, scope)
        case ast.Field():
            return fields.field(c, node, scope)
        case ast.Binary():
            return _binary(c, node, scope, want)
        case ast.Unary():
            return unary(c, node, infer(c, node.operand, scope), scope)
        case ast.Call():
            return _narrowed(c, node, calls.infer_call(c, node, scope), scope)
        case ast.MapLiteral():
            return _map(c, node, scope, known(want))
        case ast.ListLiteral():
            return _list(c, node, scope, known(want))
        case ast.IfExpr():
            return _if(c, node, scope, want)
        case ast.MatchExpr():
            return _match(c, node, scope, want)
        case ast.Index():
            return fields.element(c, node, scope)
        case ast.Boundary():
            return TIME
        case ast.Bad():
            return ANY
    return queries.infer_query(c, node, scope)


def _narrowed(c: Checker, node: ast.Expr, type_: Type, scope: Scope) -> Type:
    """A type without `?` where the flow has ruled none out: `if Account(id) != none { … }`."""
    if not isinstance(type_, Maybe):
        return type_
    path = c.flow.path(node)
    return type_.inner if path is not None and scope.holds(path[0]) else type_


def _literal(c: Checker, node: ast.Literal) -> Type:
    if node.type == "money":
        c.currencies[node] = node.value.currency
    elif node.type == "duration":
        value = node.value
        c.lengths[node] = "months" if value.months else "days" if value.days else "exact"
    return LITERALS[node.type]


def text(c: Checker, node: ast.Text, scope: Scope) -> Type:
    """A text, with the values inside it."""
    before: str | ast.Interpolation = ""
    for part in node.parts:
        if isinstance(part, ast.Interpolation):
            if _clock_as_format(c, part, scope):
                continue
            type_ = infer(c, part.value, scope)
            c.checked.types[part] = type_
            if isinstance(before, str) and before.endswith("$"):
                _dollar(c, part, known(type_))
            if part.format is not None:
                _format(c, part, known(type_))
        before = part
    return TEXT


def _clock_as_format(c: Checker, part: ast.Interpolation, scope: Scope) -> bool:
    """Tells of `{day + 10:30}`: the minutes of a time of day were read as a number's format."""
    match part.value:
        case ast.Binary(op="+" | "-", left=left, right=ast.Literal(type="number") as hour) if (
            re.fullmatch(r"[0-5]\d", part.format or "")
            and known(infer(c, left, scope)) in {DATE, TIME}
        ):
            clock = f"({source_text(c, hour)}:{part.format})"
            span = Span(hour.span.file, hour.span.start, part.span.end - 1)
            text = f"`:{part.format}` is read as a format here, not as the minutes of a time of day"
            c.report.add("E0322", span, text, f"did you mean `{clock}`?", Fix(span, clock))
            return True
    return False


def _dollar(c: Checker, part: ast.Interpolation, type_: Type) -> None:
    """Warns of `"${name}"`: a sign before the value; only before a plain number it may be meant."""
    if untyped(type_) or type_ in (NUMBER, INTEGER):
        return
    help_ = "an expression stands in its braces alone: leave the `$` out"
    if type_ == MONEY:
        help_ = "money prints with its code, as `29.00 USD`: leave the `$` out"
    c.report.add("W0325", part.span, "The text has a `$` before this value", help_)


def _format(c: Checker, part: ast.Interpolation, type_: Type) -> None:
    assert part.format is not None
    date = "%" in part.format
    right = date or is_format(part.format)
    if not right:
        c.report.add(
            "E0322",
            part.span,
            f"`{part.format}` is no format",
            "formats are `05` (zeros), `,` (groups), `.2` (decimals) and, of dates, `%Y-%m`",
        )
    elif date and not untyped(type_) and type_ not in (TIME, DATE):
        c.report.add(
            "E0322",
            part.span,
            f"`{part.format}` formats times and dates, not {type_text(type_)}",
        )


# --- operators --------------------------------------------------------------------------------


def _binary(c: Checker, node: ast.Binary, scope: Scope, want: Type) -> Type:
    """Walks down the left sides in a loop: a long chain of operators is no deep nesting."""
    spine = [node]
    while isinstance(spine[-1].left, ast.Binary):
        spine.append(spine[-1].left)
    inner = want if node.op == "??" else ANY
    left = infer(c, spine[-1].left, scope, _hint(c, spine[-1].right, inner, scope))
    for step in reversed(spine):
        left = _step(c, step, left, scope, inner if step is node else ANY)
        c.checked.types[step] = left
    return left


def _step(c: Checker, node: ast.Binary, left: Type, scope: Scope, want: Type) -> Type:
    right_scope, hint = scope, want
    if node.op in ("and", "or"):
        right_scope = scope.child()
        right_scope.learn(c.flow.facts(node.left, node.op == "and"))
    elif node.op in ("==", "!=", "in", "not in"):
        hint = known(left) if node.op in ("==", "!=") else ListOf(known(left))
    elif node.op == "??" and isinstance(left, Maybe):
        hint = left.inner
    right = infer(c, node.right, right_scope, hint)
    return binary(c, node, left, right, scope)


def _hint(c: Checker, right: ast.Expr, want: Type, scope: Scope) -> Type:
    """What the right side tells of a bare name on the left: `pro == account.plan`."""
    if isinstance(right, ast.Field | ast.RowField) and want == ANY:
        return PLAN if right.name == "plan" else ANY
    return want


def _if(c: Checker, node: ast.IfExpr, scope: Scope, want: Type) -> Type:
    check_condition(c, node.condition, scope, "`if` takes")
    then_scope, else_scope = scope.child(), scope.child()
    then_scope.learn(c.flow.facts(node.condition, True))
    else_scope.learn(c.flow.facts(node.condition, False))
    then = infer(c, node.then, then_scope, want)
    otherwise = infer(c, node.otherwise, else_scope, want)
    carry_both(c, node, node.then, node.otherwise)
    return _joined(c, node, [(node.then, then), (node.otherwise, otherwise)])


def _joined(c: Checker, node: ast.Expr, branches: list[tuple[ast.Expr, Type]]) -> Type:
    result: Type | None = None
    for branch, type_ in branches:
        merged = type_ if result is None else join(result, type_)
        if merged is None:
            assert result is not None
            c.report.add(
                "E0316",
                branch.span,
                f"This branch is {type_text(type_)}, the one before is {type_text(result)}",
                "all branches give one type",
            )
            return ANY
        result = merged
    _begin(c, branches, result)
    return ANY if result is None else result


def _begin(c: Checker, values: list[tuple[ast.Expr, Type]], joined: Type | None) -> None:
    """Dates among instants are their midnights."""
    c.checked.midnights.update(v for v, type_ in values if joined and begins(type_, joined))


def check_condition(c: Checker, node: ast.Expr, scope: Scope, who: str) -> None:
    """A condition of `if`, `where` and their like."""
    type_ = infer(c, node, scope, BOOL)
    condition(c, node, type_, scope, who)


def _match(c: Checker, node: ast.MatchExpr, scope: Scope, want: Type) -> Type:
    subject = infer(c, node.subject, scope)
    branches: list[tuple[ast.Expr, Type]] = []
    patterns = [arm.patterns for arm in node.arms]
    none_seen = match_patterns(c, node, subject, patterns, node.otherwise is not None, scope)
    for arm in node.arms:
        inner = scope.child()
        inner.learn(c.flow.of_events(node.subject, plain_texts(arm.patterns)))
        branches.append((arm.value, infer(c, arm.value, inner, want)))
    if node.otherwise is not None:
        rest = scope.child()
        rest.learn(c.flow.matched(node.subject, patterns, none_seen))
        branches.append((node.otherwise, infer(c, node.otherwise, rest, want)))
    return _joined(c, node, branches)


def match_patterns(
    c: Checker,
    node: ast.Node,
    subject: Type,
    cases: list[tuple[ast.Expr, ...]],
    has_else: bool,
    scope: Scope,
) -> bool:
    """Checks the patterns of a match; whether one of them is none."""
    values: set[str] = set()
    none_seen = False
    for pattern in (p for patterns in cases for p in patterns):
        if isinstance(pattern, ast.Binary) and pattern.op == "or" and known(subject) != BOOL:
            help_ = "`a, b => …` is for both"
            c.report.add("E0325", pattern.span, "Cases are joined by commas, not by `or`", help_)
            has_else = True
            continue
        type_ = infer(c, pattern, scope, known(subject))
        plain = pattern.plain if isinstance(pattern, ast.Text) else None
        none_seen = none_seen or type_ == NONE
        # Of a name that stands for nothing nobody knows what it was to match.
        has_else = has_else or (isinstance(pattern, ast.Name) and pattern not in c.checked.names)
        if plain is not None:
            if plain in values:
                c.report.add(
                    "E0324", pattern.span, f'"{plain}" stands twice; the first one takes it'
                )
            elif not fits_literal(c, pattern, plain, known(subject)):
                has_else = True
            values.add(plain)
            if isinstance(known(subject), Choice):
                continue
        elif isinstance(pattern, ast.Literal) and isinstance(pattern.value, bool):
            values.add(str(pattern.value).lower())
        if isinstance(type_, Record) and type_.name.startswith("range of"):
            type_ = type_.fields[0][1]
        if not _matchable(type_, subject):
            c.report.add(
                "E0325",
                pattern.span,
                f"{type_text(subject)} never matches {type_text(type_)}",
            )
    if not has_else and not hurt(c.checked.loaded, node.span):
        _exhaustive(c, node, subject, values, none_seen)
    return none_seen


def _matchable(pattern: Type, subject: Type) -> bool:
    if pattern == NONE:
        return isinstance(subject, Maybe) or untyped(subject) or subject == NONE
    return fits(pattern, known(subject)) or fits(known(subject), pattern)


def _exhaustive(
    c: Checker, node: ast.Node, subject: Type, values: set[str], none_seen: bool
) -> None:
    is_value = isinstance(node, ast.MatchExpr)
    missing: list[str] = []
    match known(subject):
        case Choice() | Prim("bool") as choice:
            names = choice.values if isinstance(choice, Choice) else ("true", "false")
            missing = [value for value in names if value not in values]
            if isinstance(choice, Choice):
                missing = [f'"{value}"' for value in missing]
            if isinstance(subject, Maybe) and not none_seen:
                missing.append("none")
            if not missing:
                return
        case _ if not is_value:
            return
    what = f": {listed(missing)}" if missing else ""
    c.report.add(
        "W0301",
        Span(node.span.file, node.span.start, node.span.start + len("match")),
        f"Some values match no case{what}",
        "add the cases that lack, or `else => …`",
    )


# --- lists and maps ----------------------------------------------------------------------------


def _list(c: Checker, node: ast.ListLiteral, scope: Scope, want: Type) -> Type:
    wanted = want.item if isinstance(want, ListOf) else ANY
    item: Type | None = None
    mixed = False
    items: list[tuple[ast.Expr, Type]] = []
    for entry in node.items:
        type_ = infer(c, entry, scope, wanted)
        items.append((entry, type_))
        merged = type_ if item is None else join(item, type_)
        mixed = mixed or merged is None
        item = merged if merged is not None else item
    _begin(c, items, item)
    return ListOf(ANY if mixed or item is None else item)


def _map(c: Checker, node: ast.MapLiteral, scope: Scope, want: Type) -> Type:
    fields: dict[str, Type] = {}
    open_ = False
    for entry in node.entries:
        if isinstance(entry, ast.Spread):
            spread, more = values.spread_fields(c, entry, scope)
            fields |= spread
            open_ = open_ or more
            continue
        values.repeated(c, entry, fields, node)
        fields[entry.name] = infer(c, entry.value, scope, values.wanted_field(want, entry.name))
    return Record("", tuple(fields.items()), open_)


def const_type(c: Checker, name: str, span: Span) -> Type:
    """The type of a constant that is read at `span`, found when it is first asked for."""
    symbols = c.symbols
    calls.refers(c, f"const {name}", span)
    if name in symbols.const_types:
        return symbols.const_types[name]
    symbols.const_types[name] = ANY
    c.typing.append(f"const {name}")
    symbols.const_types[name] = infer(c, symbols.consts[name].value, Scope("value"))
    c.typing.pop()
    return symbols.const_types[name]
