"""What generated Python is built of: the globals it may call, scopes of names, nodes of `ast`."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..values import show
from . import functions, rows
from . import nodes as ir
from . import operators as op

NODES = "#nodes"
# Columns behind this one are numbers of IR nodes.
NUMBERED = 1_000_000

_HELPERS: tuple[Callable[..., Any], ...] = (
    op.add, op.subtract, op.multiply, op.multiply_any, op.divide_any, op.divide_numbers,
    op.share_of, op.negate, op.truth, op.holds, op.equal, op.compare, op.compare_rows, op.within,
    op.span, op.member, op.field, op.item, op.spread, op.as_map, op.items, op.unmatched, op.today,
    op.edge, op.text, op.formatted, op.refusal, rows.rows_at, rows.narrowed,
    rows.limit, rows.take, rows.first, rows.sort, rows.total, rows.average, rows.least,
    rows.greatest, rows.count, rows.grouped, show,
)  # fmt: skip


@dataclass(slots=True)
class Module:
    """The globals that generated functions share, and what they may call by name."""

    functions: frozenset[str] = frozenset()
    constants: Mapping[str, ir.Expr] = field(default_factory=dict)
    namespace: dict[str, Any] = field(default_factory=dict)
    nodes: list[ir.Expr] = field(default_factory=list)
    count: int = 0

    def __post_init__(self) -> None:
        self.namespace |= {helper.__name__: helper for helper in _HELPERS}
        self.namespace |= {f"b_{name}": f for name, f in functions.ALL.items()}
        self.namespace |= {"__builtins__": {}, "bool": bool, NODES: self.nodes}

    def fresh(self, prefix: str) -> str:
        """A name that nothing else has."""
        self.count += 1
        return f"{prefix}_{self.count}"

    def define(self, prefix: str, value: Any) -> ast.expr:
        """A new global with a value, read."""
        name = self.fresh(prefix)
        self.namespace[name] = value
        return load(name)


@dataclass(frozen=True, slots=True)
class Scope:
    """What names mean where an expression stands.

    `names` are locals that stand under another name than their own, `loaded` fields of locals
    that stand in a variable already; `maps` are locals that surely are maps. `query` is set in
    the condition of a query, where none never matches.
    """

    module: Module
    names: Mapping[str, str] = field(default_factory=dict)
    loaded: Mapping[tuple[str, str], str] = field(default_factory=dict)
    maps: frozenset[str] = frozenset()
    query: bool = False

    def bind(self, name: str, is_map: bool = False, as_: str | None = None) -> Scope:
        """The scope inside what binds a name."""
        return replace(
            self,
            names={**self.names, name: as_ or mangled(name)},
            loaded={key: value for key, value in self.loaded.items() if key[0] != name},
            maps=self.maps | {name} if is_map else self.maps - {name},
        )


# --- building blocks -------------------------------------------------------------------------

LOAD = ast.Load()
CTX = ast.Name("ctx", LOAD)


def mangled(name: str, prefix: str = "v") -> str:
    """An author's name as a Python identifier that is nothing else's."""
    if name.isidentifier() and name.isascii():
        return f"{prefix}_{name}"
    return f"{prefix}x_{name.encode().hex()}"


def load(name: str) -> ast.expr:
    """Reads a name."""
    return ast.Name(name, LOAD)


def call(name: str, *args: ast.expr) -> ast.expr:
    """Calls a global."""
    return ast.Call(load(name), list(args), [])


def ask(method: str, *args: ast.expr) -> ast.expr:
    """Calls a method of the context."""
    return ast.Call(ast.Attribute(CTX, method, LOAD), list(args), [])


def literal(value: Any) -> ast.expr:
    """None, true, false, a text, a whole number, or a tuple of such."""
    return ast.Constant(value)


def subscript(base: ast.expr, name: str) -> ast.expr:
    """`base[name]`."""
    return ast.Subscript(base, literal(name), LOAD)


def list_of(items: Sequence[ast.expr]) -> ast.expr:
    """A list."""
    return ast.List(list(items), LOAD)


def pair(*items: ast.expr) -> ast.expr:
    """A tuple."""
    return ast.Tuple(list(items), LOAD)


def map_of(entries: Sequence[tuple[str, ast.expr]]) -> ast.expr:
    """A dict."""
    return ast.Dict([literal(key) for key, _ in entries], [value for _, value in entries])


def compared(left: ast.expr, how: ast.cmpop, right: ast.expr) -> ast.expr:
    """A comparison."""
    return ast.Compare(left, [how], [right])


def is_none(value: ast.expr) -> ast.expr:
    """`value is None`; of a literal said at once, where Python would warn."""
    if isinstance(value, ast.Constant):
        return literal(value.value is None)
    return compared(value, ast.Is(), literal(None))


def is_some(value: ast.expr) -> ast.expr:
    """`value is not None`."""
    if isinstance(value, ast.Constant):
        return literal(value.value is not None)
    return compared(value, ast.IsNot(), literal(None))


def loop(
    value: ast.expr, name: str, source: ast.expr, condition: ast.expr | None, lazy: bool = False
) -> ast.expr:
    """`[value for name in source if condition]`, or a generator."""
    target = ast.Name(name, ast.Store())
    clause = ast.comprehension(target, source, [condition] if condition else [], 0)
    return ast.GeneratorExp(value, [clause]) if lazy else ast.ListComp(value, [clause])


def once(scope: Scope, value: ast.expr, body: Callable[[ast.expr], ast.expr]) -> ast.expr:
    """A body that reads a value several times, evaluated once.

    By a lambda and not `:=`, which may not stand in the source of a comprehension.
    """
    if isinstance(value, ast.Name | ast.Constant):
        return body(value)
    name = scope.module.fresh("t")
    args = ast.arguments([], [ast.arg(name)], None, [], [], None, [])
    return ast.Call(ast.Lambda(args, body(load(name))), [value], [])


def numbered(made: ast.expr, node: ir.Expr, scope: Scope) -> ast.expr:
    """Marks generated code with the IR node that it is of."""
    made.end_col_offset = NUMBERED + len(scope.module.nodes)
    scope.module.nodes.append(node)
    return made
