"""Expressions, types, patterns and rates as an author writes them, each on one line.

A constant or text is printed as it stands in its file (`10_000` stays so), all else from the tree,
with the brackets that its meaning needs. What is printed reads back as the same tree.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..values import key, quoted
from . import ast
from .build_expr import BINDING

# Above every operator: what stands there is an atom, perhaps with something behind it.
_ATOM = 10
_COMPARISON = BINDING["=="]
_RANGE = BINDING[".."]


class Printer:
    """Prints nodes of one file, whose text it is given."""

    def __init__(self, text: str) -> None:
        self.text = text

    def verbatim(self, node: ast.Node) -> str:
        """A node as it stands in its file."""
        return self.text[node.span.start : node.span.end]

    # --- Expressions ---------------------------------------------------------------------------

    def expr(self, node: ast.Expr) -> str:
        """An expression where any expression may stand."""
        match node:
            case ast.Query():
                parts = [self.chain(node.source), *self._clauses(node)]
                return " ".join(parts)
        return self.condition(node)

    def condition(self, node: ast.Expr) -> str:
        """An expression behind `where` or `when`: a query stands in brackets there."""
        match node:
            case ast.IfExpr():
                condition, then = self.expr(node.condition), self.expr(node.then)
                return f"if {condition} then {then} else {self.condition(node.otherwise)}"
            case ast.First() | ast.Group():
                return self._pick(node)
        return self.chain(node)

    def chain(self, node: ast.Expr) -> str:
        """Operands and operators: a query or an `if` stands in brackets there."""
        return self._bound(node, 0)

    def atom(self, node: ast.Expr) -> str:
        """A value by itself; anything with operators stands in brackets there."""
        return self._bound(node, _ATOM)

    def _bound(self, node: ast.Expr, least: int) -> str:
        """An operand, in brackets where it binds more loosely than `least`."""
        match node:
            case ast.Binary(op=op):
                binding = BINDING[op]
                # `of` takes what stands right of it first; comparisons and ranges don't chain.
                alone = binding in (_COMPARISON, _RANGE)
                left = self._bound(node.left, binding + (op == "of" or alone))
                right = self._bound(node.right, binding + (op != "of"))
                written = f"{left}{op}{right}" if op == ".." else f"{left} {op} {right}"
            case ast.Unary(op="not"):
                binding = BINDING["not"]
                written = f"not {self._bound(node.operand, binding)}"
            case ast.Unary():
                binding = BINDING["negative"]
                written = f"-{self._bound(node.operand, binding + 1)}"
            case ast.Query() | ast.IfExpr() | ast.First() | ast.Group():
                return f"({self.expr(node)})"
            case _:
                return self._atom(node)
        return f"({written})" if binding < least else written

    def _atom(self, node: ast.Expr) -> str:
        match node:
            case ast.Literal() | ast.Text():
                return self.verbatim(node)
            case ast.Name():
                return node.name
            case ast.RowField():
                return f".{node.name}"
            case ast.Field():
                return f"{self.atom(node.base)}{'?.' if node.optional else '.'}{node.name}"
            case ast.Index():
                return f"{self.atom(node.base)}[{self.expr(node.index)}]"
            case ast.Call():
                return f"{self.atom(node.callee)}({', '.join(map(self.expr, node.args))})"
            case ast.ListLiteral():
                return f"[{', '.join(map(self.expr, node.items))}]"
            case ast.MapLiteral():
                return self.map(node)
            case ast.Comprehension():
                source, value = self.expr(node.source), self.expr(node.value)
                return f"[for {node.variable} in {source}: {value}]"
            case ast.Boundary():
                return f"{node.edge} of {node.unit}"
            case ast.MatchExpr():
                return self._match(node)
        return self.verbatim(node)

    def map(self, node: ast.MapLiteral) -> str:
        """`{ name: value, short, ...spread }`."""
        entries = ", ".join(self.entry(entry) for entry in node.entries)
        return f"{{ {entries} }}" if entries else "{}"

    def entry(self, entry: ast.Entry | ast.Spread) -> str:
        """One entry of a map."""
        match entry:
            case ast.Spread():
                return f"...{self.expr(entry.value)}"
            case ast.Entry(short=True):
                return entry.name
        return f"{key(entry.name)}: {self.expr(entry.value)}"

    def _match(self, node: ast.MatchExpr) -> str:
        arms = [f"{self.patterns(arm.patterns)} => {self.expr(arm.value)}" for arm in node.arms]
        arms += [f"else => {self.expr(node.otherwise)}"] if node.otherwise else []
        return f"match {self.expr(node.subject)} {{ {', '.join(arms)} }}"

    def patterns(self, patterns: Iterable[ast.Expr]) -> str:
        """`"a", "b"` of a match."""
        return ", ".join(map(self.chain, patterns))

    # --- Queries -------------------------------------------------------------------------------

    def _clauses(self, query: ast.Query | ast.Group) -> list[str]:
        where = [f"where {self.condition(query.where)}"] if query.where else []
        return where + self._order_limit(query)

    def _order_limit(self, query: ast.Query | ast.Group) -> list[str]:
        parts: list[str] = []
        if query.order:
            keys = [self.chain(o.value) + " desc" * o.descending for o in query.order]
            parts.append(f"order by {', '.join(keys)}")
        if query.limit:
            parts.append(f"limit {self.chain(query.limit)}")
        return parts

    def _pick(self, node: ast.First | ast.Group) -> str:
        match node:
            case ast.First(query=ast.Query() as query):
                parts = ["first", self.chain(query.source), *self._clauses(query)]
            case ast.First():
                parts = ["first", self.chain(node.query)]
            case ast.Group():
                parts = ["group", self.chain(node.source)]
                parts += [f"where {self.condition(node.where)}"] if node.where else []
                parts += ["by", ", ".join(map(self.chain, node.by)), node.aggregate]
                parts += [self.chain(node.field)] if node.field else []
                parts += self._order_limit(node)
        return " ".join(parts)

    # --- Events, types, rates ------------------------------------------------------------------

    def pattern(self, pattern: ast.EventPattern) -> str:
        """`A.b or C.d(x, y) as e where condition`."""
        parts = [" or ".join(name for name, _ in pattern.types)]
        if pattern.fields:
            parts[0] += f"({', '.join(name for name, _ in pattern.fields)})"
        parts += [f"as {pattern.name}"] if pattern.name else []
        parts += [f"where {self.condition(pattern.where)}"] if pattern.where else []
        return " ".join(parts)

    def type(self, node: ast.TypeExpr) -> str:
        """A type as it is written."""
        match node:
            case ast.TypeName():
                return node.name
            case ast.TypeList():
                return f"[{self.type(node.item)}]"
            case ast.TypeMap():
                return f"{{text: {self.type(node.value)}}}"
            case ast.TypeUnion():
                return " | ".join(map(quoted, node.values))
            case ast.TypeOptional():
                return f"{self.type(node.inner)}?"
        return self.verbatim(node)

    def field(self, field: ast.FieldDecl) -> str:
        """What stands behind a field's name: its type, `key`, `unique`, `was`, its default."""
        default = f" = {self.expr(field.default)}" if field.default else ""
        was = f" was {field.was[0]}" if field.was else ""
        flags = f"{' key' * field.key}{' unique' * field.unique}{was}"
        return f"{self.type(field.type)}{flags}{default}"

    def rate(self, rate: ast.Rate) -> str:
        """`0.005 USD + 10 USD flat at most 500 USD`."""
        parts = [" + ".join(map(self._rate_part, rate.parts)) or "free", *self._limits(rate)]
        return " ".join(parts)

    def limits(self, rate: ast.Rate) -> str:
        """`at most 500 USD at least 20 USD`: the bounds of a rate, or of all tiers together."""
        return " ".join(self._limits(rate))

    def _limits(self, rate: ast.Rate) -> list[str]:
        parts = [f"at most {self._amount(rate.at_most)}"] if rate.at_most else []
        parts += [f"at least {self._amount(rate.at_least)}"] if rate.at_least else []
        each = ((rate.most_each, "most"), (rate.least_each, "least"))
        return parts + [f"at {word} {self._amount(it)} per {rate.each}" for it, word in each if it]

    def _rate_part(self, part: ast.RatePart) -> str:
        written = "free" if part.amount is None else self._amount(part.amount)
        match part.unit:
            case "per":
                return f"{written} per {part.per}"
            case "unit":
                return written
        return f"{written} {part.unit}"

    def _amount(self, node: ast.Expr) -> str:
        """A product; each factor is an atom, perhaps with a sign."""
        match node:
            case ast.Binary(op="*" | "/" as op):
                return f"{self._amount(node.left)} {op} {self._factor(node.right)}"
        return self._factor(node)

    def _factor(self, node: ast.Expr) -> str:
        match node:
            case ast.Unary(op="-"):
                return f"-{self.atom(node.operand)}"
        return self.atom(node)
