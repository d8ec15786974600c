"""Quantities of what no price counts: a slip that would be seen on the invoice alone."""

from __future__ import annotations

from ...diagnostics import Label
from .. import ast
from ..walk import walk
from .context import Checker

_TAKE_BOTH = ("subscribe", "change_plan")


def check_quantity(c: Checker, node: ast.Action) -> None:
    """Warns of `quantity: 3` beside a plan that is named and has no price per seat: three of it
    cost what one costs (LANGUAGE.md, plan)."""
    if node.name not in _TAKE_BOTH:
        return
    given = {entry.name: entry for entry in node.data.entries if isinstance(entry, ast.Entry)}
    plan, quantity = given.get("plan"), given.get("quantity")
    if plan is None or quantity is None or not _several(quantity.value):
        return
    named = c.checked.names.get(plan.value)
    if named is None or named.kind != "plan":
        return
    declared = c.symbols.plans[named.name]
    if _by_quantity(declared) or not any(isinstance(item, ast.Price) for item in walk(declared)):
        return
    text = f"`{named.name}` has no price per seat, so that any quantity of it costs the same"
    hint = "write `price … per seat per month` in the plan"
    labels = (Label(declared.name_span, "the plan"),)
    c.report.add("W0609", quantity.span, text, hint, labels=labels)


def _several(value: ast.Expr) -> bool:
    return isinstance(value, ast.Literal) and value.type == "number" and value.value > 1


def _by_quantity(plan: ast.Plan) -> bool:
    """Whether a plan counts seats: by a price of it, or by bounds that the author has set."""
    for item in walk(plan):
        if isinstance(item, ast.Price) and item.per_unit is not None:
            return True
        if isinstance(item, ast.PlanClause) and item.key == "seats":
            return True
    return False
