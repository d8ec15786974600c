"""Features and permissions: what a spec asks for must be what some plan has, or some role can."""

from __future__ import annotations

from collections.abc import Iterator

from .. import ast
from ..symbols import Symbols
from ..walk import walk
from .context import Checker, listed, nearest
from .scope import Scope


def check_feature(c: Checker, asked: ast.Expr, scope: Scope) -> None:
    """Warns of `has_feature` of what no plan lists; a test may ask for what is not there."""
    name = asked.plain if isinstance(asked, ast.Text) else None
    if name is None or scope.place == "test":
        return
    features = list(dict.fromkeys(_features(c.symbols)))
    if features and name not in features and name not in c.lost:
        _warn(c, "W0604", asked, f"No plan has the feature `{name}`", name, features)


def check_permission(c: Checker, asked: ast.Expr, scope: Scope) -> None:
    """Warns of `can` of what no role can."""
    name = asked.plain if isinstance(asked, ast.Text) else None
    if name is None or scope.place == "test":
        return
    granted = [right for role in c.symbols.roles.values() for right in role.can]
    if granted and not any(covers(right, name) for right in granted):
        _warn(c, "W0813", asked, f"No role can `{name}`", name, granted)


def covers(right: str, asked: str) -> bool:
    """Whether who has a right may do what is asked: the same, `pages.*` or `*`."""
    return right in (asked, "*") or (right.endswith(".*") and asked.startswith(right[:-1]))


def _warn(
    c: Checker, code: str, asked: ast.Expr, message: str, name: str, known: list[str]
) -> None:
    near = nearest(name, known)[0]
    help = f"did you mean `{near}`?" if near else f"known are {listed(known)}"
    c.report.add(code, asked.span, message, help)


def _features(symbols: Symbols) -> Iterator[str]:
    """The features of all plans and add-ons, of their phases and versions too."""
    for plan in (*symbols.plans.values(), *symbols.addons.values()):
        for clause in walk(plan):
            if not isinstance(clause, ast.PlanClause) or clause.key != "features":
                continue
            items = clause.value.items if isinstance(clause.value, ast.ListLiteral) else ()
            yield from (item.plain for item in items if isinstance(item, ast.Text) and item.plain)
