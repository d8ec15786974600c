"""Nodes, and the expressions among them."""

from __future__ import annotations

from typing import Any

import msgspec

from ...diagnostics import Span


class Node(msgspec.Struct, frozen=True, eq=False):
    """Anything with a place in a file. Compared by identity."""

    span: Span


class Literal(Node, frozen=True):
    """A constant; `type` is one of number money percent duration size clock date time bool
    none unlimited; `value` its Python value (see `values`)."""

    type: str
    value: Any


class Interpolation(Node, frozen=True):
    """`{value:format}` inside a text."""

    value: Expr
    format: str | None


class Text(Node, frozen=True):
    """A text: its pieces in order, unescaped and, for three quotes, without common indent."""

    parts: tuple[str | Interpolation, ...]

    @property
    def plain(self) -> str | None:
        """The text itself where it has no interpolation."""
        if all(isinstance(part, str) for part in self.parts):
            return "".join(part for part in self.parts if isinstance(part, str))
        return None


class Name(Node, frozen=True):
    """A bare name: a local value, a constant, or something that the file declares."""

    name: str


class RowField(Node, frozen=True):
    """`.field` of the row that a query, trigger, meter or update is looking at."""

    name: str


class Field(Node, frozen=True):
    """`base.name`, or `base?.name` which is none where the base is."""

    base: Expr
    name: str
    optional: bool
    name_span: Span


class Index(Node, frozen=True):
    """`list[i]` or `map["key"]`."""

    base: Expr
    index: Expr


class Call(Node, frozen=True):
    """`f(a, b)`; the callee is a Name or a dotted Field."""

    callee: Expr
    args: tuple[Expr, ...]


class ListLiteral(Node, frozen=True):
    """`[a, b]`."""

    items: tuple[Expr, ...]


class Entry(Node, frozen=True):
    """`name: value` of a map. Short `{ customer }` has a Name as its value and `short` set."""

    name: str
    value: Expr
    name_span: Span
    short: bool = False


class Spread(Node, frozen=True):
    """`...value` in a map."""

    value: Expr


class MapLiteral(Node, frozen=True):
    """`{ name: value, ...other }`."""

    entries: tuple[Entry | Spread, ...]


class Unary(Node, frozen=True):
    """`-x` (op "-") or `not x` (op "not")."""

    op: str
    operand: Expr


class Binary(Node, frozen=True):
    """op: + - * / .. ?? == != < <= > >= in "not in" can and or of reaches "drops below"."""

    op: str
    left: Expr
    right: Expr
    op_span: Span


class IfExpr(Node, frozen=True):
    """`if c then a else b`."""

    condition: Expr
    then: Expr
    otherwise: Expr


class MatchArm(Node, frozen=True):
    """`"a", "b" => value`; an arm of a statement has a body of statements instead."""

    patterns: tuple[Expr, ...]
    value: Expr


class MatchExpr(Node, frozen=True):
    """`match p { "high" => 4 hours, else => 8 hours }`."""

    subject: Expr
    arms: tuple[MatchArm, ...]
    otherwise: Expr | None


class Order(Node, frozen=True):
    """One key of `order by`."""

    value: Expr
    descending: bool


class Query(Node, frozen=True):
    """`Entity where … order by … limit n`, also of `Entity.field` or a list; any part may lack."""

    source: Expr
    where: Expr | None
    order: tuple[Order, ...]
    limit: Expr | None


class First(Node, frozen=True):
    """`first Account where …`: the first row or none. The query is a Query or a bare source."""

    query: Expr


class Group(Node, frozen=True):
    """`group Usage where … by .type sum .quantity order by … limit n`; `.user.team` is a field of a
    row that a row refers to, and the column `team`."""

    source: Expr
    where: Expr | None
    by: tuple[RowField | Field, ...]
    aggregate: str
    field: RowField | Field | None
    order: tuple[Order, ...]
    limit: Expr | None


class Comprehension(Node, frozen=True):
    """`[for p in products: value]`."""

    variable: str
    source: Expr
    value: Expr


class Boundary(Node, frozen=True):
    """`start of month`, `end of month`: edge is start or end, unit day week month quarter year."""

    edge: str
    unit: str


class Bad(Node, frozen=True):
    """Where something could not be read; the parser has reported it, the checker is silent."""


Expr = (
    Literal
    | Text
    | Name
    | RowField
    | Field
    | Index
    | Call
    | ListLiteral
    | MapLiteral
    | Unary
    | Binary
    | IfExpr
    | MatchExpr
    | Query
    | First
    | Group
    | Comprehension
    | Boundary
    | Bad
)
