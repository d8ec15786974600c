"""Whether a value fits the place that it is given to, and which part of it does not."""

from __future__ import annotations

import re
from decimal import Decimal

from ...diagnostics import Fix, Span
from ...values import written
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
    AnyType,
    EntityType,
    ListOf,
    MapOf,
    Maybe,
    Prim,
    Record,
    Type,
    known,
    type_text,
)
from . import expressions
from .context import Checker, listed
from .events import ENVELOPE
from .fields import described, record_field
from .fit import begins, fits
from .names import text_fits
from .operands import can_be_none, report_none, source_text, warn_of_no_rows
from .scope import Scope


def expect(
    c: Checker,
    node: ast.Expr,
    scope: Scope,
    want: Type,
    what: str,
    *,
    written: bool = False,
    may_be_none: bool = False,
) -> Type:
    """Types a value and reports it where it doesn't fit its place, which `what` names.

    `may_be_none` where none is refused at run time (arguments), so that it is only a warning.
    """
    type_ = expressions.infer(c, node, scope, want)
    fit_value(c, node, type_, want, what, scope, written=written, may_be_none=may_be_none)
    return type_


def fit_value(
    c: Checker,
    node: ast.Expr,
    type_: Type,
    want: Type,
    what: str,
    scope: Scope,
    *,
    written: bool = False,
    may_be_none: bool = False,
) -> bool:
    """Whether a typed value fits its place; reports where it doesn't."""
    wanted = known(want)
    if _parts_fit(c, node, wanted, what, scope, written) is False:
        return False
    if not text_fits(c, node, wanted):
        return False
    if isinstance(node, ast.Literal) and wanted == INTEGER and node.type == "number":
        return _whole(c, node, what)
    if begins(type_, want):
        c.checked.midnights.add(node)
    if fits(type_, want, written):
        if not _says(node, wanted):
            _wrong_type(c, node, type_, want, what)
            return False
        if scope.place in ("handler", "schedule") and not can_be_none(want):
            warn_of_no_rows(c, node, scope, what)
        return True
    if isinstance(node, ast.MapLiteral) and isinstance(wanted, Record | MapOf):
        return True
    if isinstance(node, ast.ListLiteral | ast.Comprehension) and isinstance(wanted, ListOf):
        return True
    if isinstance(type_, Maybe) and fits(type_.inner, want, written):
        if scope.lenient:
            return True
        if may_be_none:
            none_refused(c, node, what)
            return True
        report_none(c, "E0404", node, type_, f"{what} needs a value")
        return False
    if type_ == NONE:
        c.report.add("E0404", node.span, f"{what} can't be none")
        return False
    _wrong_type(c, node, type_, want, what)
    return False


# As what a text in data is read, by the type that is wanted.
_SAID: dict[Type, tuple[str, ...]] = {
    MONEY: ("money",), TIME: ("time", "date"), DATE: ("date", "time"),
}  # fmt: skip


def _says(node: ast.Expr, wanted: Type) -> bool:
    """Whether a text that is written out says what is wanted, as the one in data would have to."""
    if wanted not in _SAID or not isinstance(node, ast.Text) or node.plain is None:
        return True
    amount = wanted == MONEY and re.fullmatch(r"-?\d+(\.\d+)?", node.plain) is not None
    return amount or written(node.plain, *_SAID[wanted]) != node.plain


def none_refused(c: Checker, node: ast.Expr, what: str) -> None:
    """Warns of a value that may be none where an action needs one."""
    c.may_be_none(
        node,
        "W0402",
        node.span,
        f"This may be none, and {what} needs a value: the event would be refused",
        "check first, or give a value for none with `??`",
    )


def _whole(c: Checker, node: ast.Literal, what: str) -> bool:
    if isinstance(node.value, int):
        return True
    c.report.add("E0327", node.span, f"{what} is a whole number")
    return False


_BARE: dict[Type, str] = {
    NUMBER: "5", INTEGER: "5", MONEY: "5 USD", PERCENT: "5%", DURATION: "3 days", SIZE: "10 GB",
    DATE: "2026-01-31", TIME: "2026-01-31T09:00:00Z", BOOL: "true",
}  # fmt: skip


def _bare(node: ast.Text, want: Type) -> str:
    """What a text says as a value of the type that is wanted; an example where it says none."""
    text = node.plain or ""
    kinds = ("time", "date") if want == TIME else (want.name,) if isinstance(want, Prim) else ()
    return text if written(text, *kinds) != text else _BARE[want]


def _wrong_type(c: Checker, node: ast.Expr, type_: Type, want: Type, what: str) -> None:
    help_, fix = None, None
    a, b = known(type_), known(want)
    if b == MONEY and a == NUMBER and isinstance(node, ast.Literal):
        source = c.checked.loaded.sources.get(node.span.file)
        digits = source.text[node.span.start : node.span.end] if source else str(node.value)
        money = f"{digits} {c.symbols.currency}"
        help_, fix = f"did you mean `{money}`?", Fix(node.span, money, certain=False)
    elif b in _BARE and isinstance(node, ast.Text):
        help_ = f"write it without quotes, as `{_bare(node, b)}`"
    elif b == TIME and a == CLOCK:
        help_ = "an instant is a day and a time: `2026-01-31T09:00:00Z`, `today + 09:00`"
    elif b == DURATION and a == NUMBER and isinstance(node, ast.Literal):
        help_ = f"write its unit: `{node.value} days`"
    elif b == DURATION and a == TIME and what == "`after`":
        help_ = "an instant stands behind `at`: `at now + 1 day { … }`"
    elif b == DURATION and a in (TIME, DATE) and what == "`advance`":
        help_ = "a test goes on to an instant with `advance to`"
    elif b == PERCENT and a in (NUMBER, INTEGER) and isinstance(node, ast.Literal):
        share = Decimal(node.value if node.value >= 1 else node.value * 100)
        help_ = f"did you mean `{share.normalize():f}%`?"
    elif b == PERCENT and a in (NUMBER, INTEGER):
        help_ = "`percent(x)` is the share that a number is: 25% of 0.25"
        if isinstance(node, ast.Binary) and node.op == "/":
            part, whole = source_text(c, node.left), source_text(c, node.right)
            help_ = f"write `percent({part}, {whole})`"
    elif b == NUMBER and a == DURATION:
        help_ = "the number of days of a duration is `x / 1 day`; of two times, `days(a, b)`"
    elif b == TIME and a == DURATION:
        help_ = "count from now: `now + 14 days`"
    elif b == DATE and a == TIME:
        help_ = "`date(x)` gives the date of an instant"
    elif b == TEXT and a in (NUMBER, INTEGER, MONEY, BOOL, TIME, DATE, DURATION):
        help_ = 'put it into a text: `"{x}"`'
    elif isinstance(a, ListOf) and fits(a.item, b):
        rows = isinstance(a.item, EntityType)
        help_ = "`first …` takes one row of a query" if rows else "`list[0]` is its first"
    elif isinstance(b, ListOf) and fits(a, b.item):
        help_ = "write a list: `[x]`"
    elif isinstance(a, Record) and isinstance(b, EntityType):
        of_it = [name for name, type_ in a.fields if known(type_) == b and name != "subject"]
        help_ = f"write `{source_text(c, node)}.{of_it[0]}`" if len(of_it) == 1 else None
    c.report.add(
        "E0301", node.span, f"{what} takes {type_text(want)}, not {type_text(type_)}", help_, fix
    )


def _parts_fit(
    c: Checker, node: ast.Expr, wanted: Type, what: str, scope: Scope, written: bool
) -> bool | None:
    """Looks into literal lists, maps and branches, so that the part that is wrong is named."""
    types = c.checked.types
    match node:
        case ast.ListLiteral(items=items) if isinstance(wanted, ListOf):
            fit = [
                fit_value(c, i, types[i], wanted.item, what, scope, written=written) for i in items
            ]
            return all(fit)
        case ast.Comprehension(value=value) if isinstance(wanted, ListOf):
            return fit_value(c, value, types[value], wanted.item, what, scope, written=written)
        case ast.MapLiteral() if isinstance(wanted, Record | MapOf):
            return _map_fits(c, node, wanted, scope, written)
        case ast.IfExpr(then=then, otherwise=otherwise):
            fit = [text_fits(c, side, wanted) for side in (then, otherwise)]
            return all(fit)
        case ast.MatchExpr(arms=arms):
            fit = [text_fits(c, arm.value, wanted) for arm in arms]
            return all(fit)
    return None


def _map_fits(
    c: Checker, node: ast.MapLiteral, wanted: Record | MapOf, scope: Scope, written: bool
) -> bool:
    given: set[str] = set()
    open_ = False
    right = True
    if isinstance(wanted, Record) and wanted.name in c.symbols.shapes:
        c.checked.shapes[node] = wanted.name
    for entry in node.entries:
        if isinstance(entry, ast.Spread):
            given |= {name for name, _ in getattr(known(c.checked.types[entry]), "fields", ())}
            open_ = True
            continue
        given.add(entry.name)
        if isinstance(wanted, Record) and wanted.field(entry.name) is None:
            record_field(c, wanted, entry.name, entry.name_span)
            right = right and wanted.open
            continue
        want, type_ = wanted_field(wanted, entry.name), c.checked.types[entry.value]
        fit = fit_value(c, entry.value, type_, want, f"`{entry.name}`", scope, written=written)
        right = fit and right
    if isinstance(wanted, Record) and not open_:
        defaults = c.symbols.shape_defaults.get(wanted.name, {})
        lacking = [
            name
            for name, type_ in wanted.fields
            if name not in given and name not in defaults and not isinstance(type_, Maybe)
        ]
        if lacking:
            missing(c, node, f"`{wanted.name}`" if wanted.name else "this map", lacking)
            right = False
    return right


def missing(
    c: Checker, node: ast.Node, what: str, lacking: list[str],
    help: str = "give a value, or declare a default or `?`",
) -> None:  # fmt: skip
    """Reports fields that have to be given."""
    many = "s" if len(lacking) > 1 else ""
    c.report.add(
        "E0405",
        Span(node.span.file, node.span.start, node.span.start + 1),
        f"{what} needs the field{many} {listed(lacking)}",
        help,
    )


# --- maps ---


def wanted_field(want: Type, name: str) -> Type:
    """What a map's place wants of a field."""
    match want:
        case Record():
            return want.field(name) or ANY
        case MapOf(value):
            return value
    return ANY


def repeated(c: Checker, entry: ast.Entry, seen: object, node: ast.MapLiteral) -> None:
    """Reports a name that a map has twice; one after a spread replaces what that gave."""
    earlier = (e for e in node.entries if isinstance(e, ast.Entry) and e.name == entry.name)
    if entry.name in seen and next(earlier) is not entry:  # type: ignore[operator]
        c.report.add(
            "E0223", entry.name_span, f"`{entry.name}` stands twice in this map", "remove one"
        )


def spread_fields(c: Checker, node: ast.Spread, scope: Scope) -> tuple[dict[str, Type], bool]:
    """The fields that `...value` brings, and whether there may be others."""
    type_ = expressions.infer(c, node.value, scope)
    c.checked.types[node] = type_
    if (isinstance(type_, Maybe) or type_ == NONE) and not scope.lenient:
        report_none(c, "E0401", node.value, type_, "none has no fields to spread")
        return {}, True
    match known(type_):
        case Record(_, fields, open_):
            return {k: t for k, t in fields if t != ENVELOPE}, open_
        case EntityType(name) if (info := c.entity(name)) is not None:
            return {f.name: f.type for f in info.fields.values()}, False
        case MapOf() | AnyType() | Prim("json") | EntityType():
            return {}, True
    c.report.add("E0326", node.value.span, f"{described(type_)} has no fields to spread")
    return {}, True
