"""What stands beside an operator: its type, whether it may be none, its currency or length."""

from __future__ import annotations

from .. import ast
from ..types import (
    BOOL,
    INTEGER,
    MONEY,
    NONE,
    NUMBER,
    TEXT,
    Choice,
    ListOf,
    Maybe,
    Prim,
    Type,
    known,
    type_text,
)
from .context import Checker
from .fit import untyped
from .scope import Scope


def plain(type_: Type) -> Type:
    """A type as operators see it: whole numbers are numbers, a choice is text."""
    match type_:
        case Prim("integer") | Prim("unlimited"):
            return NUMBER
        case Choice():
            return TEXT
    return type_


def source_text(c: Checker, node: ast.Node) -> str:
    """An expression as the author wrote it."""
    source = c.checked.loaded.sources.get(node.span.file)
    return source.text[node.span.start : node.span.end].strip() if source else "price"


def _operand_text(c: Checker, node: ast.Expr) -> str:
    """An expression as an operand of a comparison: a query takes all that follows for its own."""
    text = source_text(c, node)
    return text if isinstance(node, ast.Name | ast.Field | ast.RowField | ast.Call) else f"({text})"


def none_in(
    c: Checker, code: str, node: ast.Binary, left: Type, right: Type, scope: Scope, use: str
) -> bool:
    """Reports a side that may be none where a value is needed."""
    if scope.lenient:
        return False
    for side, type_ in ((node.left, left), (node.right, right)):
        if isinstance(type_, Maybe) or type_ == NONE:
            report_none(c, code, side, type_, f"{use} needs a value")
            return True
        # A row that is compared with the average of all is one of them.
        if code != "E0403" or scope.row is None:
            warn_of_no_rows(c, side, scope, use)
    return False


def of_rows(c: Checker, node: ast.Node, scope: Scope) -> bool:
    """Whether a value is the least, largest or average of rows: none of no rows."""
    match node:
        case ast.Call(callee=ast.Name(name=("min" | "max" | "avg") as name), args=(rows,)):
            return name not in c.symbols.fns and not isinstance(rows, ast.ListLiteral)
        case ast.Name(name=name):
            local, metric = scope.find(name), c.symbols.metrics.get(name)
            if local is not None or metric is None or metric.value is None:
                return local is not None and local.of_rows
            return of_rows(c, metric.value, scope)
    return False


def warn_of_no_rows(c: Checker, node: ast.Expr, scope: Scope, use: str) -> None:
    """Warns of an average, least or largest that is computed with as if there always were rows."""
    path = c.flow.path(node)
    if scope.lenient or not of_rows(c, node, scope) or (path is not None and scope.holds(path[0])):
        return
    text = source_text(c, node)
    what = f"`{text}`" if len(text) <= 40 and "\n" not in text else "This"
    c.may_be_none(
        node,
        "W0402",
        node.span,
        f"{what} is none where there are no rows, and {use} needs a value",
        "give a value for none with `??`",
    )


def report_none(c: Checker, code: str, node: ast.Expr, type_: Type, need: str) -> None:
    """Tells that a value may be none, and how that is handled."""
    if type_ == NONE:
        c.report.add(code, node.span, f"none has no value, and {need}")
        return
    text = source_text(c, node)
    short = len(text) <= 40 and "\n" not in text
    help_ = f"give a value for none (`{text} ?? …`), or check first: `if {text} != none {{ … }}`"
    if not short or not isinstance(node, ast.Name | ast.Field | ast.RowField | ast.Call):
        help_ = "name it, and check that it is there: `let x = …` and `if x != none { … }`"
    what = f"`{text}`" if short else "This"
    c.may_be_none(node, code, node.span, f"{what} may be none, and {need}", help_)


def condition(
    c: Checker, node: ast.Expr, type_: Type, scope: Scope, who: str, otherwise: str | None = None
) -> None:
    """A condition is true or false, nothing else counts as such; `otherwise` says what to do."""
    inner = known(type_)
    if untyped(inner):
        return
    if inner != BOOL:
        help_ = otherwise
        if isinstance(type_, Maybe):
            help_ = f"say when it holds: `{_operand_text(c, node)} != none`"
        elif isinstance(inner, ListOf):
            help_ = f"say when it holds: `count({source_text(c, node)}) > 0`"
        elif inner in (NUMBER, INTEGER, MONEY):
            zero = "0" if inner != MONEY else f"0 {c.symbols.currency}"
            help_ = f"say when it holds: `{_operand_text(c, node)} > {zero}`"
        text = f"{who} true or false, not {type_text(type_)}"
        if isinstance(type_, Maybe):
            c.may_be_none(node, "E0310", node.span, text, help_)
        else:
            c.report.add("E0310", node.span, text, help_)
    elif isinstance(type_, Maybe) and not scope.lenient:
        report_none(c, "E0402", node, type_, "a condition needs true or false")


def two_currencies(c: Checker, node: ast.Binary) -> bool:
    """Whether two sides are known to be in two currencies; reports it."""
    left, right = c.currencies.get(node.left), c.currencies.get(node.right)
    if left is None or right is None or left == right:
        return False
    c.report.add(
        "E0305",
        node.span,
        f"Two currencies don't mix: {left} and {right}",
        "give both sides in one currency",
    )
    return True


def ambiguous(c: Checker, node: ast.Binary) -> bool:
    """Whether months are compared with days or hours; reports it."""
    left, right = c.lengths.get(node.left), c.lengths.get(node.right)
    if left is None or right is None or left == right or "months" not in (left, right):
        return False
    c.report.add(
        "E0304",
        node.span,
        "A month has no fixed length, so that this needs a date to count from",
        "compare points in time: `start + 1 month < start + 30 days`",
    )
    return True


def can_be_none(type_: Type) -> bool:
    """Whether a comparison with none makes sense."""
    return isinstance(type_, Maybe) or type_ == NONE or untyped(type_)


def carry_both(c: Checker, node: ast.Expr, *sides: ast.Expr) -> None:
    """What holds of every side's currency and length holds of the whole."""
    for table in (c.currencies, c.lengths):
        found = {table.get(side) for side in sides}
        value = found.pop()
        if not found and value is not None:
            table[node] = value
