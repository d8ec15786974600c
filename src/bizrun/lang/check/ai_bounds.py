"""What an AI says never sets an amount or a payee by itself (RELIABILITY.md 19).

Followed through names, paths and arithmetic of one handler: a value of an answer is bounded where
`min` caps it, where a comparison or `match` has limited it before, or where its schema leaves only
what the spec lists.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from .. import ast
from ..types import BOOL, PLAN, AnyType, Choice, Maybe, Type, known
from ..walk import walk
from .facts import Facts

ANSWERS = ("ai.generate", "ai.decide", "ai.analyze")
AMOUNTS = {
    "charge": ("amount",), "refund": ("amount",), "transfer": ("amount",),
    "credit": ("amount", "price"), "credit_note": ("amount",), "invoice": ("lines",),
    "hold": ("amount",), "release": ("amount",), "subscribe": ("price",),
    "change_plan": ("price",),
}  # fmt: skip
PAYEES = {
    "charge": ("customer", "card", "split"), "refund": ("payment",), "transfer": ("to",),
    "credit": ("customer",), "credit_note": ("invoice",), "invoice": ("customer",),
    "pay_invoice": ("invoice",), "release": ("to",),
}  # fmt: skip
COMPARISONS = ("<", "<=", ">", ">=", "==", "!=", "in", "not in")
# Which operators bound their left side from above, where the condition holds and where it doesn't.
_LEFT = {True: ("<", "<=", "==", "in"), False: (">", ">=", "!=", "not in")}
_RIGHT = {True: (">", ">=", "=="), False: ("<", "<=", "!=")}


@dataclass(frozen=True, slots=True)
class _Known:
    """At a place of a handler: names whose value an AI made, and paths that have been bounded."""

    made: frozenset[str] = field(default_factory=frozenset)
    bounded: frozenset[str] = field(default_factory=frozenset)

    def names(self, name: str, made: bool) -> _Known:
        """With a name that now stands for something else."""
        kept = frozenset(p for p in self.bounded if p != name and not p.startswith(f"{name}."))
        return _Known(self.made | {name} if made else self.made - {name}, kept)

    def within(self, paths: frozenset[str]) -> _Known:
        """Where these paths are bounded, too."""
        return replace(self, bounded=self.bounded | paths) if paths else self


def check_ai_bounds(facts: Facts) -> None:
    """Reports each amount and payee that an AI's answer decides alone."""
    if not any(action.name in ANSWERS for action in facts.actions):
        return
    pass_ = _Pass(facts)
    for declaration in facts.declarations:
        if isinstance(declaration, ast.On | ast.Every | ast.Api):
            pass_.block(declaration.body, _Known())


class _Pass:
    def __init__(self, facts: Facts) -> None:
        self.facts = facts

    # --- statements ----------------------------------------------------------------------------

    def block(self, body: tuple[ast.Stmt, ...], at: _Known) -> None:
        for statement in body:
            at = self._statement(statement, at)

    def _statement(self, node: ast.Stmt, at: _Known) -> _Known:
        """Checks a statement; what is known behind it."""
        match node:
            case ast.Let(name=name, value=ast.Action() as action):
                self._action(action, at)
                return at.names(name, action.name in ANSWERS)
            case ast.Let(name=name, value=value):
                if isinstance(value, ast.Create | ast.Upsert | ast.Action):
                    return at.names(name, False)
                return at.names(name, self.made(value, at))
            case ast.Do(action=action):
                self._action(action, at)
            case ast.If():
                return self._if(node, at)
            case ast.Match():
                self._match(node, at)
            case ast.ForEach(variable=variable, source=source, body=body):
                self.block(body, at.names(variable, self.made(source, at)))
            case ast.After(body=body) | ast.At(body=body) | ast.AcrossTenants(body=body):
                self.block(body, at)
            case _:
                pass
        return at

    def _if(self, node: ast.If, at: _Known) -> _Known:
        holds, fails = self.bounds(node.condition, True, at), self.bounds(node.condition, False, at)
        self.block(node.then, at.within(holds))
        self.block(node.otherwise, at.within(fails))
        if _ends(node.then):
            return at.within(fails)
        return at.within(holds) if _ends(node.otherwise) else at

    def _match(self, node: ast.Match, at: _Known) -> None:
        path = _path(node.subject)
        inside = at.within(frozenset({path})) if path else at
        for case in node.cases:
            self.block(case.body, inside)
        self.block(node.otherwise or (), at)

    def _action(self, node: ast.Action, at: _Known) -> None:
        for entry in node.data.entries:
            if not isinstance(entry, ast.Entry) or not self.made(entry.value, at):
                continue
            what = "amount" if entry.name in AMOUNTS.get(node.name, ()) else None
            what = what or ("payee" if entry.name in PAYEES.get(node.name, ()) else None)
            if what is None:
                continue
            text = self.facts.text(entry.value.span)
            help_ = f"compare it with what you know first: `if {_short(text)} in […] {{ … }}`"
            if entry.name == "lines":
                help_ = "write the lines here, each amount within a bound: `min(…, 100 USD)`"
            elif what == "amount":
                help_ = f"give it a bound, such as `min({_short(text)}, 100 USD)`, or compare it"
            message = f"`{entry.name}` of `{node.name}` is decided by an AI's answer alone"
            self.facts.report.add("E0850", entry.value.span, message, help_)

    # --- expressions ---------------------------------------------------------------------------

    def made(self, node: ast.Expr, at: _Known) -> bool:
        """Whether a value comes from an answer and nothing of the spec bounds it."""
        path = _path(node)
        if path is not None:
            root = path.partition(".")[0]
            if root not in at.made or any(_covers(known_, path) for known_ in at.bounded):
                return False
            return not _listed(self.facts.checked.type_of(node))
        match node:
            case ast.Call():
                return self._call(node, at)
            case ast.IfExpr(condition=condition, then=then, otherwise=otherwise):
                holds, fails = self.bounds(condition, True, at), self.bounds(condition, False, at)
                return self.made(then, at.within(holds)) or self.made(otherwise, at.within(fails))
            case ast.MatchExpr(arms=arms, otherwise=otherwise):
                values = [arm.value for arm in arms] + ([otherwise] if otherwise else [])
                return any(self.made(value, at) for value in values)
            case ast.Binary(op=op, left=left, right=right):
                if op in COMPARISONS or op in ("and", "or", "can"):
                    return False
                return self.made(left, at) or self.made(right, at)
            case ast.Index(base=base):
                return self.made(base, at)
            case ast.Comprehension(variable=variable, source=source, value=value):
                return self.made(value, at.names(variable, self.made(source, at)))
            case ast.Query() | ast.First() | ast.Group():
                return any(self.made(inner, at) for inner in _paths(node))
        return any(self.made(inner, at) for inner in _inner(node))

    def _call(self, node: ast.Call, at: _Known) -> bool:
        name = node.callee.name if isinstance(node.callee, ast.Name) else ""
        given = [self.made(arg, at) for arg in node.args]
        if name == "min" and len(given) > 1:
            return all(given)
        fn = self.facts.symbols.fns.get(name)
        return any(given) and not (fn is not None and _bounding(fn))

    def bounds(self, node: ast.Expr, truth: bool, at: _Known) -> frozenset[str]:
        """The paths that are bounded from above where a condition holds, or where it doesn't."""
        match node:
            case ast.Unary(op="not", operand=operand):
                return self.bounds(operand, not truth, at)
            case ast.Binary(op="and" | "or" as op, left=left, right=right):
                both = self.bounds(left, truth, at), self.bounds(right, truth, at)
                return both[0] | both[1] if (op == "and") == truth else both[0] & both[1]
            case ast.Binary(op=op, left=left, right=right):
                found = set()
                if op in _LEFT[truth] and not self._is_none(right) and not self.made(right, at):
                    found.add(_path(left))
                if op in _RIGHT[truth] and not self._is_none(left) and not self.made(left, at):
                    found.add(_path(right))
                return frozenset(path for path in found if path)
        return frozenset()

    def _is_none(self, node: ast.Expr) -> bool:
        return isinstance(node, ast.Literal) and node.type == "none"


def _path(node: ast.Expr) -> str | None:
    """`answer.price` as text; None of anything but a name and its fields."""
    match node:
        case ast.Name(name=name):
            return name
        case ast.Field(base=base, name=name):
            inner = _path(base)
            return f"{inner}.{name}" if inner else None
    return None


def _covers(bounded: str, path: str) -> bool:
    return path == bounded or path.startswith(f"{bounded}.")


def _listed(type_: Type) -> bool:
    """Whether the schema leaves only what the spec itself lists."""
    inner = known(type_) if isinstance(type_, Maybe) else type_
    return isinstance(inner, Choice) or (inner in (BOOL, PLAN) and not isinstance(inner, AnyType))


def _ends(body: tuple[ast.Stmt, ...]) -> bool:
    """Whether a block always leaves the handler."""
    if not body:
        return False
    match body[-1]:
        case ast.Return() | ast.Reject():
            return True
        case ast.If(then=then, otherwise=otherwise):
            return _ends(then) and _ends(otherwise)
    return False


def _bounding(fn: ast.Fn) -> bool:
    """Whether a function of the spec compares or caps what it is given: then it is the rule."""
    for node in walk(fn):
        match node:
            case ast.Binary(op=op) if op in COMPARISONS:
                return True
            case ast.Call(callee=ast.Name(name="min")) | ast.MatchExpr() | ast.Match():
                return True
    return False


def _inner(node: ast.Expr) -> Iterator[ast.Expr]:
    """The expressions of lists, maps, texts and signs."""
    match node:
        case ast.ListLiteral(items=items):
            yield from items
        case ast.MapLiteral(entries=entries):
            yield from (entry.value for entry in entries)
        case ast.Unary(operand=operand):
            yield operand
        case ast.Text(parts=parts):
            yield from (part.value for part in parts if not isinstance(part, str))
        case ast.Field(base=base):
            yield base


def _paths(node: ast.Expr) -> Iterator[ast.Expr]:
    """The names and their fields anywhere in a query."""
    for inner in walk(node):
        if isinstance(inner, ast.Name | ast.Field):
            yield inner


def _short(text: str) -> str:
    return text if len(text) <= 40 else "…"
