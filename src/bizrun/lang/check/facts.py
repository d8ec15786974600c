"""What the checks of declarations look up: all nodes of a kind, constants, events by pattern."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeVar

from ...diagnostics import Fix, Label, Span, did_you_mean
from ...errors import EvalError
from ...values import Duration, Money, Percent
from .. import ast
from ..mend import BAD
from ..std import in_std
from ..symbols import Checked, Symbols
from ..types import EntityType, known
from ..walk import walk_code
from .context import nearest
from .events import find_event
from .report import Report

D = TypeVar("D", bound=ast.Declaration)

MAX_DEPTH = 40
_HOUR = 3_600_000_000  # microseconds


@dataclass(slots=True)
class Facts:
    """The declarations of the author's files and what stands in them, in file order.

    `emits` tells of each emit whether it stands in a test.
    """

    checked: Checked
    report: Report
    declarations: list[ast.Declaration] = field(default_factory=list)
    emits: list[tuple[ast.Emit, bool]] = field(default_factory=list)
    patterns: list[ast.EventPattern] = field(default_factory=list)
    actions: list[ast.Action] = field(default_factory=list)
    records: list[ast.Record] = field(default_factory=list)
    updates: list[ast.Update] = field(default_factory=list)
    broken: list[ast.Declaration] = field(default_factory=list)

    @property
    def symbols(self) -> Symbols:
        """What the spec declares."""
        return self.checked.symbols

    def all(self, kind: type[D]) -> Iterator[D]:
        """The declarations of one kind."""
        return (node for node in self.declarations if isinstance(node, kind))

    def warn(self, code: str, span: Any, message: str, **more: Any) -> None:
        """Warns, but not of what the standard library declares and this spec leaves unused."""
        if span.file == self.checked.loaded.path or not in_std(span.file):
            self.report.add(code, span, message, **more)

    def entity_of(self, node: ast.Node) -> str | None:
        """The entity that an expression is a reference to, as far as that is known."""
        type_ = known(self.checked.type_of(node))
        return type_.name if isinstance(type_, EntityType) else None

    def fold(self, expr: ast.Expr | None) -> ast.Literal | None:
        """The value of an expression that is the same in every run, None for any other."""
        return fold(expr, self.symbols)

    def damaged(self, node: ast.Declaration) -> bool:
        """Whether the parser could read it in part only: nothing is said of what it may lack."""
        return any(part is node for part in self.broken)

    def lost(self, name: str) -> bool:
        """Whether a name stands in a declaration that could not be read whole."""
        return any(name in self.text(node.span) for node in self.broken)

    def text(self, span: Span) -> str:
        """What is written there."""
        source = self.checked.loaded.sources.get(span.file)
        return source.text[span.start : span.end] if source else ""

    def unknown(
        self,
        code: str,
        span: Span,
        message: str,
        name: str,
        names: Iterable[str],
        what: str = "",
        labels: tuple[Label, ...] = (),
    ) -> None:
        """Reports a mistyped name, with a fix where it is plain which one is meant."""
        names = list(names)
        meant, certain = nearest(name, names)
        fix = None
        written = self.text(span)
        if meant and written in (name, f'"{name}"'):
            fix = Fix(span, written.replace(name, meant), certain)
        help_ = f"did you mean `{meant}`?" if meant else None
        if not meant and what and 0 < len(names) <= 12:
            help_ = f"{what}: {listed(names)}"
        self.report.add(code, span, message, help_, fix, labels)

    def near(self, name: str, names: Iterable[str], what: str = "") -> str | None:
        """The help line that suggests a name, or lists the few there are."""
        names = list(names)
        found = did_you_mean(name, names)
        if found:
            return f"did you mean `{found}`?"
        if what and 0 < len(names) <= 12:
            return f"{what}: {listed(names)}"
        return None


def gather(checked: Checked, report: Report) -> Facts:
    """One walk over all files but the prelude."""
    facts = Facts(checked, report)
    problems = [d.span for d in checked.loaded.diagnostics if d.severity == "error"]
    for file in checked.loaded.files[1:]:
        for declaration in file.declarations:
            facts.declarations.append(declaration)
            if isinstance(declaration, ast.BadDeclaration) or _holds(declaration, problems):
                facts.broken.append(declaration)
            in_test = isinstance(declaration, ast.Test)
            for node in walk_code(declaration):
                _sort(node, facts, in_test)
    return facts


def _holds(node: ast.Node, spans: list[Span]) -> bool:
    whole = node.span
    return any(s.file == whole.file and whole.start <= s.start < whole.end for s in spans)


def _sort(node: ast.Node, facts: Facts, in_test: bool) -> None:
    match node:
        case ast.Emit():
            facts.emits.append((node, in_test))
        case ast.EventPattern():
            facts.patterns.append(node)
        case ast.Action():
            facts.actions.append(node)
        case ast.Record():
            facts.records.append(node)
        case ast.Update() if not in_test:
            facts.updates.append(node)
        case ast.TypeUnion(values=values) if len(set(values)) < len(values):
            twice = next(value for i, value in enumerate(values) if value in values[:i])
            facts.warn("W0204", node.span, f'"{twice}" stands twice among these choices')
        case _:
            pass


def listed(names: Iterable[str]) -> str:
    """`a`, `b` and `c`, in backquotes."""
    marked = [f"`{name}`" for name in names if name != BAD]
    if len(marked) < 2:
        return "".join(marked)
    return f"{', '.join(marked[:-1])} and {marked[-1]}"


def entries(data: ast.Expr | None) -> dict[str, ast.Entry]:
    """The entries of a map literal by their names; nothing of anything else."""
    if not isinstance(data, ast.MapLiteral):
        return {}
    return {entry.name: entry for entry in data.entries if isinstance(entry, ast.Entry)}


def is_declared(event: str, symbols: Symbols) -> bool:
    """Whether an event's payload is known: declared, billing's, a trigger's, or a row's change."""
    info = find_event(symbols, event)
    return info is not None and info.declared


# --- constants -------------------------------------------------------------------------------


def fold(expr: ast.Expr | None, symbols: Symbols, depth: int = 0) -> ast.Literal | None:
    """An expression of literals and consts as one literal, where it has a value."""
    if depth > MAX_DEPTH:
        return None
    match expr:
        case ast.Literal():
            return expr
        case ast.Name(name=name) if name in symbols.consts:
            value = fold(symbols.consts[name].value, symbols, depth + 1)
            return ast.Literal(expr.span, value.type, value.value) if value else None
        case ast.Unary(op="-", operand=operand):
            inner = fold(operand, symbols, depth + 1)
            return _literal(expr, lambda: -inner.value, inner.type) if inner else None
        case ast.Binary(op="+" | "-" | "*" | "/" | "of"):
            left = fold(expr.left, symbols, depth + 1)
            right = fold(expr.right, symbols, depth + 1)
            return _computed(expr, left, right) if left and right else None
    return None


def _computed(expr: ast.Binary, left: ast.Literal, right: ast.Literal) -> ast.Literal | None:
    if "size" in (left.type, right.type) or left.type == right.type == "unlimited":
        return None
    hint = right.type if expr.op == "of" else left.type
    match expr.op:
        case "+":
            return _literal(expr, lambda: left.value + right.value, hint)
        case "-":
            return _literal(expr, lambda: left.value - right.value, hint)
        case "/":
            return _literal(expr, lambda: left.value / right.value, hint)
    return _literal(expr, lambda: left.value * right.value, hint)


def _literal(expr: ast.Expr, compute: Any, hint: str) -> ast.Literal | None:
    try:
        value = compute()
    except (EvalError, TypeError, ArithmeticError, ValueError, OverflowError):
        return None
    match value:
        case Money():
            kind = "money"
        case Percent():
            kind = "percent"
        case Duration():
            kind = "duration"
        case bool() | float():
            return None
        case int() | Decimal():
            kind = "size" if hint == "size" else "number"
        case _:
            kind = hint
    return ast.Literal(expr.span, kind, value)


def negative(value: ast.Literal) -> bool:
    """Whether a number, amount, share or duration is below zero."""
    match value.value:
        case Money(amount=amount):
            return amount < 0
        case Percent(rate=rate):
            return rate < 0
        case Duration(months=months, days=days, micros=micros):
            # Days are at most 25 hours long, months at most 31 days: below zero whenever it begins.
            days += months * (31 if months > 0 else 28)
            return days * (25 if days > 0 else 23) * _HOUR + micros < 0
        case bool():
            return False
        case int() | Decimal():
            return value.value < 0
    return False


def positive(value: ast.Literal) -> bool:
    """Whether it is more than nothing."""
    if isinstance(value.value, Percent):
        return value.value.rate > 0
    return bool(value.value) and not negative(value)
