"""Triggers: their condition, what it reads, and when time alone may turn it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ..lang import ast
from ..lang.types import EntityType
from . import nodes as ir
from .compile import walk
from .lower import HandlerLowering
from .lower_expr import Scope
from .program import Program, Trigger, reached
from .turning import Turning

_SELF = ir.Local("self")
_PREVIEWS = ("preview", "preview_of")
_BILLING = ("limit", "remaining", "credit_balance", *_PREVIEWS, "has_feature", "usage")
_TIMED = ("age", "days", "months")


def lower_trigger(
    node: ast.Trigger, code: HandlerLowering, program: Program, meters: Collection[str]
) -> Trigger:
    """A trigger; `program` has the functions that its condition may call, `meters` names all."""
    scope = Scope({"self": _SELF}, (_SELF, EntityType(node.entity)))
    condition = code.lower(node.condition, scope)
    _, constants = reached(condition, program.functions, program.constants)
    reads = _Reads(node.entity, program.functions, meters)
    reads.visit(condition, frozenset((_SELF.name,)))
    for name in constants:
        reads.visit(program.constants[name], frozenset())
    turning = Turning(program.functions)
    if reads.timed:
        turning.visit(condition, {})
    due = turning.due
    if reads.credit and node.entity == program.bills:
        due += (ir.Builtin("credit_expires", (_SELF,)),)
    return Trigger(
        node.event, node.entity, condition, node.once_per_period,
        frozenset(reads.fields), frozenset(reads.entities), reads.known_ways(),
        frozenset(reads.meters), reads.billing, due, turning.daily, code.place(node.span),
    )  # fmt: skip


class _Reads:
    """What expressions read: fields of self, other entities, meters, billing, credit, the clock.

    `own` are the names that stand for the subject: `self`, and what a function that gets it calls
    it. A condition that reads another row of its entity has to be looked at for every subject
    whenever one changes, so it matters to tell them apart.
    """

    def __init__(
        self, entity: str, functions: Mapping[str, ir.Function], meters: Collection[str]
    ) -> None:
        self.entity = entity
        self.functions = functions
        self.every_meter = meters
        self.seen: set[tuple[str, frozenset[str]]] = set()
        self.fields: set[str] = set()
        self.entities: set[str] = set()
        self.ways: dict[str, set[tuple[str, str]]] = {}
        self.anyhow: set[str] = set()
        self.meters: set[str] = set()
        self.billing = False
        self.credit = False
        self.timed = False

    def visit(self, node: Any, own: frozenset[str]) -> None:
        """Collects from a node and all below it."""
        match node:
            case tuple():
                for item in node:
                    self.visit(item, own)
                return
            case ir.EntityGet(entity=entity, base=base, name=name):
                if entity == self.entity:
                    self.fields.add(name)
                if not _is_one(base, own):
                    self._other(entity, self._way_to(base, own))
            case ir.CallFn(name=name, args=args) if name in self.functions:
                self._call(self.functions[name], args, own)
            case ir.Query(entity=str(entity), equals=equals):
                fields = [name for name, value in equals if _is_one(value, own)]
                self._other(entity, ("of", fields[0]) if fields else None)
            case ir.Find(entity=entity):
                self._other(entity, None)
            case ir.Special(name="now" | "today") | ir.Edge():
                self.timed = True
            case ir.Builtin(name=name, args=args):
                self._builtin(name, args)
        for name in getattr(node, "__struct_fields__", ()):
            if name != "place":
                self.visit(getattr(node, name), own)

    def _other(self, entity: str, way: tuple[str, str] | None) -> None:
        """A reading of other rows, and how they and the subject refer to each other, if known."""
        self.entities.add(entity)
        if way is None:
            self.anyhow.add(entity)
        else:
            self.ways.setdefault(entity, set()).add(way)

    def _way_to(self, base: ir.Expr, own: frozenset[str]) -> tuple[str, str] | None:
        """`self.boss` in `self.boss.score`: the subject refers to what is read."""
        match base:
            case ir.EntityGet(entity=self.entity, base=inner, name=name) if _is_one(inner, own):
                return ("by", name)
        return None

    def known_ways(self) -> dict[str, frozenset[tuple[str, str]]]:
        """The ways of entities that are read by such alone."""
        return {e: frozenset(ways) for e, ways in self.ways.items() if e not in self.anyhow}

    def _call(self, function: ir.Function, args: tuple[ir.Expr, ...], own: frozenset[str]) -> None:
        given = zip(function.params, args, strict=False)
        named = {param for param, arg in given if _is_one(arg, own)} - _bound(function.steps)
        key = (function.name, frozenset(named))
        if key not in self.seen:
            self.seen.add(key)
            self.visit(function.steps, key[1])

    def _builtin(self, name: str, args: tuple[Any, ...]) -> None:
        if name in _BILLING:
            self.billing = True
            if name == "credit_balance" or name in _PREVIEWS:
                self.credit = True
                self._other("Wallet", ("of", "customer"))
            if name in _PREVIEWS:
                # Whichever meters the customer's plan prices.
                self.meters.update(self.every_meter)
            if name in ("usage", "remaining") and len(args) > 1 and isinstance(args[1], ir.Const):
                self.meters.add(args[1].value)
        self.timed = self.timed or name in _TIMED


def _is_one(node: Any, own: frozenset[str]) -> bool:
    return isinstance(node, ir.Local) and node.name in own


def _bound(steps: Any) -> set[str]:
    """The names that a function gives to other values than its parameters."""
    found = set()
    for node in walk(steps):
        for field in ("variable", "var", "order_var"):
            found.add(getattr(node, field, ""))
        if isinstance(node, ir.LetStep):
            found.add(node.name)
    return found
