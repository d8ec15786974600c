"""Triggers: conditions that can turn true at all, and the period they may turn in."""

from __future__ import annotations

from collections.abc import Iterator

from .. import ast
from ..types import BOOL, DURATION, SIZE, TEXT, AnyType, Choice, EntityType, known, type_text
from ..walk import walk
from .facts import Facts, negative, positive

TURNS = ("reaches", "drops below")
# What these give is never below zero.
UNSIGNED = ("age", "count", "days", "len", "months", "usage")


def check_triggers(facts: Facts) -> None:
    """Checks that each trigger's condition depends on something, and can become true."""
    for trigger in facts.all(ast.Trigger):
        condition = trigger.condition
        if isinstance(condition, ast.Bad):
            continue
        if trigger.once_per_period:
            _check_period(trigger, facts)
        if _constant(condition, facts):
            text = "This condition is the same for ever, so it never turns true"
            facts.report.add("E0720", condition.span, text)
            continue
        for node in walk(condition):
            if isinstance(node, ast.Binary) and node.op in TURNS:
                _check_turn(node, facts)
        _check_contradiction(condition, facts)


def _constant(condition: ast.Expr, facts: Facts) -> bool:
    """Whether nothing in it can change: no field, no call, no name but a const's."""
    changing = (ast.RowField, ast.Call, ast.Query, ast.First, ast.Group, ast.Boundary, ast.Bad)
    for node in walk(condition):
        if isinstance(node, changing):
            return False
        if isinstance(node, ast.Name) and node.name not in facts.symbols.consts:
            return False
    return True


def _check_period(trigger: ast.Trigger, facts: Facts) -> None:
    bills = facts.symbols.bills
    if bills is None:
        text = "`once per period` needs to know whose billing period"
        hint = "add `bills Account` to the business block, with your entity"
        facts.report.add("E0721", trigger.name_span, text, help=hint)
        return
    if trigger.entity in (bills, "Subscription"):
        return
    entity = facts.symbols.entities.get(trigger.entity)
    if entity is None:
        return
    if all(known(field.type) != EntityType(bills) for field in entity.fields.values()):
        text = f"A {trigger.entity} has no billing period: it is no {bills} and names none"
        facts.report.add("E0721", trigger.entity_span, text)


def _check_turn(node: ast.Binary, facts: Facts) -> None:
    left = known(facts.checked.type_of(node.left))
    if left in (TEXT, BOOL) or isinstance(left, Choice | EntityType):
        hint = "use `==` for a value that it has or has not" if node.op == "reaches" else None
        text = f"`{node.op}` compares amounts; this is {type_text(left)}"
        facts.report.add("E0722", node.left.span, text, help=hint)
        return
    bound = facts.fold(node.right)
    if bound is None or isinstance(left, AnyType):
        return
    unsigned = left in (SIZE, DURATION) and _unsigned(node.left)
    unsigned = unsigned or left == SIZE or _unsigned(node.left)
    if not unsigned:
        return
    if node.op == "drops below" and not positive(bound):
        text = f"This is never below {bound.value}, so the trigger never turns"
        facts.report.add("E0723", node.span, text)
    elif node.op == "reaches" and (negative(bound) or not bound.value):
        text = f"This is never below {bound.value}, so the trigger has always turned already"
        facts.report.add("E0723", node.span, text)


def _unsigned(expr: ast.Expr) -> bool:
    return (
        isinstance(expr, ast.Call)
        and isinstance(expr.callee, ast.Name)
        and expr.callee.name in UNSIGNED
    )


# --- contradictions --------------------------------------------------------------------------


def _check_contradiction(condition: ast.Expr, facts: Facts) -> None:
    """`.x > 10 and .x < 5`, `.s == "a" and .s == "b"`: parts that can't hold together."""
    lower: dict[str, ast.Literal] = {}
    upper: dict[str, ast.Literal] = {}
    equal: dict[str, str] = {}
    for part in _parts(condition):
        if not isinstance(part, ast.Binary) or not isinstance(part.left, ast.RowField):
            continue
        name = part.left.name
        text = part.right.plain if isinstance(part.right, ast.Text) else None
        if part.op == "==" and text is not None:
            if equal.setdefault(name, text) != text:
                shown = f'`.{name}` can\'t be "{equal[name]}" and "{text}" at once'
                facts.report.add("E0724", part.span, shown)
            continue
        bound = facts.fold(part.right)
        if bound is None:
            continue
        if part.op in (">", ">=", "reaches", "=="):
            lower.setdefault(name, bound)
        if part.op in ("<", "<=", "drops below", "=="):
            upper.setdefault(name, bound)
        if name in lower and name in upper and _crossed(lower[name], upper[name]):
            shown = f"`.{name}` can't be above {lower[name].value} and below {upper[name].value}"
            facts.report.add("E0724", part.span, shown)
            return


def _parts(condition: ast.Expr) -> Iterator[ast.Expr]:
    if isinstance(condition, ast.Binary) and condition.op == "and":
        yield from _parts(condition.left)
        yield from _parts(condition.right)
    else:
        yield condition


def _crossed(low: ast.Literal, high: ast.Literal) -> bool:
    if low.type != high.type or low.type not in ("number", "percent", "size"):
        return False
    return bool(low.value > high.value)
