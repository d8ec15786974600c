"""From the grammar's trees to the tree of `ast`: no tree of lark's leaves this package."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from ..diagnostics import Diagnostic, Span
from . import ast
from .build_context import MAX_NESTING, Context, TooDeep
from .build_expr import build_expr
from .build_money import build_coupon, build_dunning, build_meter, build_tax
from .build_plans import build_items, build_plan, build_price, build_pricing, build_rate
from .build_rules import (
    build_api,
    build_business,
    build_connect,
    build_const,
    build_directory,
    build_every,
    build_experiment,
    build_fn,
    build_lifecycle,
    build_metric,
    build_on,
    build_role,
    build_sign_in,
    build_template,
    build_test,
    build_trigger,
    build_use,
    used_path,
)
from .build_statements import build_block, build_pattern
from .build_types import build_entity, build_event_decl, build_field, build_type, build_type_decl
from .grammar import parse_tree

__all__ = [
    "Context",
    "build_declaration",
    "build_expression",
    "build_file",
    "build_items",
    "build_part",
    "build_statements",
]


def build_declaration(tree: Any, context: Context) -> ast.Declaration:
    """The declaration of a tree of the start symbol `declaration`."""
    found = tree.children[0]
    try:
        return _DECLARATIONS[found.data](found, context)
    except TooDeep as deep:
        _report_too_deep(deep, context)
        return ast.BadDeclaration(context.of(found), context.doc)


def _build_prefixed(tree: Any, context: Context) -> ast.Given | ast.Override:
    """`given`, or `override` and perhaps a file, and the declaration behind it."""
    *path, inner = tree.children
    declaration = _DECLARATIONS[inner.data](inner, context)
    if tree.data == "given":
        return ast.Given(context.of(tree), context.doc, declaration)
    file, span = used_path(path[0], context) if path else (None, None)
    return ast.Override(context.of(tree), context.doc, declaration, file, span)


def build_statements(tree: Any, context: Context) -> tuple[ast.Stmt, ...]:
    """The statements of a tree of the start symbol `statements`."""
    try:
        return build_block(tree, context)
    except TooDeep as deep:
        _report_too_deep(deep, context)
        return ()


def build_expression(tree: Any, context: Context) -> ast.Expr:
    """The expression of a tree of the start symbol `expr`."""
    try:
        return build_expr(tree.children[0], context)
    except TooDeep as deep:
        _report_too_deep(deep, context)
        return ast.Bad(deep.span)


def build_part(tree: Any, context: Context) -> Any:
    """The node of a tree of any other start symbol but `field`, which needs a name.

    A `pricing` is a Pricing, a `schedule` an Every without a body, `items` a tuple.
    """
    try:
        return _PARTS[tree.data](tree, context)
    except TooDeep as deep:
        _report_too_deep(deep, context)
        return ast.Bad(deep.span)


def _report_too_deep(deep: TooDeep, context: Context) -> None:
    context.depth = 0
    message = f"This is nested too deeply: more than {MAX_NESTING} values in one another."
    context.report("E0109", deep.span, message, "name parts of it with `let`, `const` or `fn`")


_HEAD = re.compile(r"(?m)^(?=[a-z])")


def build_file(text: str, name: str) -> tuple[ast.File, list[Diagnostic]]:
    """A file that is known to be right, cut where a line begins with a word.

    Raises lark's UnexpectedInput on the first mistake of syntax; `parse.parse` mends them.
    """
    declarations: list[ast.Declaration] = []
    found: list[Diagnostic] = []
    starts = [match.start() for match in _HEAD.finditer(text)]
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        chunk = text[start:end]
        context = Context(name, chunk, start, found=found)
        declarations.append(build_declaration(parse_tree(chunk), context))
    return ast.File(Span(name, 0, len(text)), tuple(declarations)), found


_DECLARATIONS: dict[str, Callable[[Any, Context], ast.Declaration]] = {
    "use": build_use,
    "given": _build_prefixed,
    "override": _build_prefixed,
    "business": build_business,
    "entity": build_entity,
    "type_decl": build_type_decl,
    "event_decl": build_event_decl,
    "plan": build_plan,
    "addon": build_plan,
    "meter": build_meter,
    "coupon": build_coupon,
    "tax": build_tax,
    "dunning": build_dunning,
    "lifecycle": build_lifecycle,
    "trigger": build_trigger,
    "on": build_on,
    "every": build_every,
    "fn": build_fn,
    "const": build_const,
    "template": build_template,
    "metric": build_metric,
    "api": build_api,
    "role": build_role,
    "experiment": build_experiment,
    "connect": build_connect,
    "directory": build_directory,
    "sign_in": build_sign_in,
    "test": build_test,
}

_PARTS: dict[str, Callable[[Any, Context], Any]] = {
    "price": lambda tree, context: build_price(tree.children[0], context),
    "rate": lambda tree, context: build_rate(tree.children[0], context),
    "event": lambda tree, context: build_pattern(tree.children[0], context),
    "type": lambda tree, context: build_type(tree.children[0], context),
    "field": lambda tree, context: build_field(tree.children[0], context),
    "pricing": lambda tree, context: build_pricing(tree.children, tree, (), context),
    "schedule": lambda tree, context: build_every(tree, context, ()),
    "items": build_items,
    "statements": build_statements,
    "expr": build_expression,
    "declaration": build_declaration,
}
