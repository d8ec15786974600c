"""When time alone may turn a condition: the instants that its comparisons with the clock name.

Each comparison is solved for `now`, wherever it stands: behind `not`, in an `if`, in a function
that is called, in the condition of a query. What can't be solved turns, if it does, at a local
midnight (`today`), or is looked at then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import time
from typing import Any

from msgspec.structs import replace

from ..values import Duration
from . import nodes as ir
from .compile import walk
from .variables import free_names

Names = Mapping[str, ir.Expr]
# Sides of a comparison in which the clock may stand, solved for it; whether they grow with it.
Solved = tuple[list[ir.Expr], bool]

_NOW = ir.Special("now")
_SELF = frozenset(("self",))
_STEP = ir.Const(Duration(micros=1))
_SPANS = {"days": ir.Const(Duration(days=1)), "months": ir.Const(Duration(months=1))}
_FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}


class Turning:
    """The instants of one condition, `due`; `daily` where midnights have to be tried as well."""

    def __init__(self, functions: Mapping[str, ir.Function]) -> None:
        self.functions = functions
        self.daily = False
        self._due: dict[ir.Expr, None] = {}

    @property
    def due(self) -> tuple[ir.Expr, ...]:
        """Expressions of `self`, each an instant or none."""
        return tuple(self._due)

    def visit(self, node: Any, names: Names, query: ir.Query | None = None) -> None:
        """Collects from a node and all below it.

        `names` says what parameters and other names stand for, `query` whose row is asked about.
        """
        match node:
            case tuple():
                self._all(node, names, query)
                return
            case ir.BinaryExpr(op="in" | "not in", left=x, right=ir.BinaryExpr(op="..") as ends):
                first, last = _midnight(ends.left), ir.Builtin("day_end", (ends.right,))
                self.visit(ir.BinaryExpr(">=", x, first, "any"), names, query)
                self.visit(ir.BinaryExpr("<=", x, last, "any"), names, query)
                return
            case ir.BinaryExpr(op=op) if op in _FLIPPED and self._compared(node, names, query):
                return
            case ir.Query():
                self._query(node, names, query)
                return
            case ir.CallFn(name=name, args=args) if name in self.functions:
                called = self.functions[name]
                given = [self._spelled(arg, names) for arg in args]
                self.visit(called.steps, dict(zip(called.params, given, strict=False)), query)
            case ir.Special(name="now" | "today") | ir.Edge():
                self.daily = True
            case ir.Builtin(name="age"):
                self.daily = True
        if isinstance(node, ir.Node):
            self._all(_parts(node), names, query)

    def _all(self, nodes: Iterable[Any], names: Names, query: ir.Query | None) -> None:
        for node in nodes:
            self.visit(node, names, query)
            if isinstance(node, ir.LetStep):
                names = {**names, node.name: self._spelled(node.value, names)}

    def _query(self, node: ir.Query, names: Names, outer: ir.Query | None) -> None:
        """A query of rows, whose own fields may be compared with the clock."""
        self._all((node.source, node.equals, node.limit), names, outer)
        row = ir.Local(node.var)
        names = {name: value for name, value in names.items() if name != node.var}
        spelled = replace(node, equals=self._spelled(node.equals, names))
        for field, op, bound in node.ranges:
            self.visit(ir.BinaryExpr(op, ir.Get(row, field), bound, "any"), names, spelled)
        self._all((node.where, node.order, node.select), names, spelled)

    # --- comparisons ---------------------------------------------------------------------------

    def _compared(self, node: ir.BinaryExpr, names: Names, query: ir.Query | None) -> bool:
        """Whether a comparison is one with the clock that was solved."""
        left, right = self._spelled(node.left, names), self._spelled(node.right, names)
        if self._timed(left) == self._timed(right):
            return False
        clock, other, op = (left, right, node.op)
        if self._timed(right):
            clock, other, op = right, left, _FLIPPED[op]
        found, grows = self._solve(clock, other)
        within = _SELF if query is None or query.entity is None else _SELF | {query.var}
        if not found or not all(free_names(due) <= within for due in found):
            return False
        # It turns at the instant itself, or behind it.
        at = op in (">=", "<") if grows else op in ("<=", ">")
        for due in found:
            behind = ir.BinaryExpr("+", due, _STEP, "time")
            for instant in (due, behind) if op in ("==", "!=") else (due if at else behind,):
                self._add(instant, query)
        return True

    def _add(self, instant: ir.Expr, query: ir.Query | None) -> None:
        if query is not None and query.var in free_names(instant):
            # The next of all rows: each is looked for behind the one before.
            ahead: ir.Expr = ir.BinaryExpr(">", instant, _NOW, "any")
            for field in walk(instant):
                if isinstance(field, ir.Get) and field.base == ir.Local(query.var):
                    there = ir.BinaryExpr("!=", field, ir.Const(None))
                    ahead = ir.BinaryExpr("and", there, ahead)
            ranges = tuple(r for r in query.ranges if not self._timed(r[2]) and _closed(r[2]))
            of = ir.Query(
                query.entity, None, query.var, query.equals, ranges, where=ahead, select=instant
            )
            instant = ir.Aggregate("min", of, ir.Const(None))
        if _closed(instant):
            self._due[instant] = None
        else:
            self.daily = True

    def _timed(self, node: Any) -> bool:
        """Whether a value moves with the clock."""
        for part in walk(node):
            match part:
                case ir.Special(name="now" | "today") | ir.Edge() | ir.Builtin(name="age"):
                    return True
                case ir.CallFn(name=name) if name in self.functions:
                    if self._timed(self.functions[name].steps):
                        return True
        return False

    # --- solving -------------------------------------------------------------------------------

    def _solve(self, clock: ir.Expr, other: ir.Expr) -> Solved:
        """The instants at which `clock == other`; none where that can't be said."""
        match clock:
            case ir.Special(name="now"):
                return [_midnight(other)], True
            case ir.Builtin(name="age", args=(start,)):
                return self._solve(_NOW, _sum(_midnight(start), other))
            case ir.Builtin(name="midnight" | "day_end", args=(instant,)):
                return self._solve(instant, other)
            case ir.Builtin(name="part", args=(ir.Special(name="now"), ir.Const(value="hour"))):
                return self._hours(other)
            case ir.Builtin(name="days" | "months" as name, args=(start, end)):
                return self._whole(start, end, other, _SPANS[name])
            case ir.UnaryExpr(op="-", operand=inner):
                return _falling(self._solve(inner, ir.UnaryExpr("-", other)))
            case ir.BinaryExpr(op="+", left=left, right=right):
                inner, fixed = (left, right) if self._timed(left) else (right, left)
                return self._moved(inner, ir.BinaryExpr("-", other, fixed, "any"), fixed)
            case ir.BinaryExpr(op="-", left=left, right=right) if self._timed(left):
                return self._moved(left, _sum(right, other), right)
            case ir.BinaryExpr(op="-", left=left, right=right):
                return _falling(self._moved(right, ir.BinaryExpr("-", left, other, "any"), left))
            case ir.BinaryExpr(op="/", left=left, right=ir.Const() as unit):
                return self._solve(left, ir.BinaryExpr("*", unit, other, "any"))
            case ir.BinaryExpr(op="*", left=left, right=ir.Const(value=int() as times)):
                return self._solve(left, ir.BinaryExpr("/", other, ir.Const(times), "any"))
        return [], True

    def _moved(self, inner: ir.Expr, other: ir.Expr, by: ir.Expr) -> Solved:
        """`inner` moved by something: a month has no inverse at its end, but jumps at midnight."""
        if self._timed(by):
            return [], True
        if not (isinstance(by, ir.Const) and not getattr(by.value, "months", 0)):
            self.daily = self.daily or inner == _NOW
        return self._solve(inner, other)

    def _whole(self, start: ir.Expr, end: ir.Expr, count: ir.Expr, span: ir.Expr) -> Solved:
        """`days(start, end) == count`: around the whole days before and behind."""
        if self._timed(start) == self._timed(end):
            return [], True
        forward = self._timed(end)
        inner, fixed = (end, start) if forward else (start, end)
        fixed = _midnight(fixed)
        found: list[ir.Expr] = []
        for more in (-1, 0, 1):
            many = ir.BinaryExpr("+", count, ir.Const(more), "any")
            length = ir.BinaryExpr("*", span, many, "any")
            moved = _sum(fixed, length) if forward else ir.BinaryExpr("-", fixed, length, "time")
            for instant in self._solve(inner, moved)[0]:
                found += [instant, ir.BinaryExpr("+", instant, _STEP, "time")]
        return found, forward

    def _hours(self, hour: ir.Expr) -> Solved:
        """`now.hour == 9`: nine o'clock, and ten; those of the next day are found at midnight."""
        match hour:
            case ir.Const(value=int() as value) if 0 <= value <= 23:
                self.daily = True
                hours = [h for h in (value, value + 1) if h <= 23]
                today = ir.Special("today")
                return [ir.BinaryExpr("+", today, ir.Const(time(h)), "time") for h in hours], True
        return [], True

    # --- names and functions -------------------------------------------------------------------

    def _spelled(self, node: Any, names: Names) -> Any:
        """A value with what its names stand for, and what the functions in it return."""
        match node:
            case tuple():
                return tuple(self._spelled(item, names) for item in node)
            case ir.Local(name=name):
                return names.get(name, node)
            case ir.CallFn(name=name, args=args) if name in self.functions:
                called = self.functions[name]
                given = dict(zip(called.params, self._spelled(args, names), strict=False))
                match called.steps:
                    case (ir.ReturnStep(value=value),) if value is not None:
                        return self._spelled(value, given)
        if not isinstance(node, ir.Node):
            return node
        if isinstance(node, ir.Query):
            names = {name: value for name, value in names.items() if name != node.var}
        changes = {
            name: self._spelled(value, names)
            for name in node.__struct_fields__
            if isinstance(value := getattr(node, name), tuple | ir.Node)
        }
        return replace(node, **changes) if changes else node


def _parts(node: ir.Node) -> list[Any]:
    return [getattr(node, name) for name in node.__struct_fields__ if name != "place"]


def _closed(node: ir.Expr) -> bool:
    return free_names(node) <= _SELF


def _sum(left: ir.Expr, right: ir.Expr) -> ir.Expr:
    return ir.BinaryExpr("+", left, right, "time")


def _midnight(node: ir.Expr) -> ir.Expr:
    """A value, of a date the instant at which it begins."""
    return ir.Builtin("midnight", (node,))


def _falling(solved: Solved) -> Solved:
    return solved[0], not solved[1]
