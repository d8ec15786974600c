"""The checker: names, types and none of everything in a spec, then what its declarations mean."""

from __future__ import annotations

from collections.abc import Mapping

from ...diagnostics import Diagnostic
from .. import ast
from ..symbols import ActionSignature, Checked, Loaded, OpenAction, Symbols
from ..types import Type
from .context import Checker
from .damage import damaged, lost
from .declarations import check_declarations
from .expressions import infer
from .places import check_places, check_refs
from .report import Report, settled
from .scope import Flow, Scope
from .statements import instants
from .symbols import collect
from .uses import check_uses, told_at_use


def check(
    loaded: Loaded,
    actions: Mapping[str, ActionSignature],
    open_action: OpenAction,
) -> Checked:
    """Checks a spec whole; every mistake is a diagnostic of the result, sorted by place."""
    checked = Checked(loaded, Symbols(), {}, {}, {}, {}, {}, ())
    report = Report()
    checker = Checker(
        checked,
        report,
        actions,
        open_action,
        Flow(checked.types),
        templates=frozenset(loaded.template_files),
        lost=lost(loaded),
        damaged=damaged(loaded),
    )
    collect(checker)
    check_uses(checker)
    check_places(checker)
    check_refs(checker)
    check_declarations(checked, report)
    _check_untyped_rows(checker, loaded)
    prelude = loaded.files[0].span.file
    found = told_at_use(loaded, (*loaded.diagnostics, *report.diagnostics))
    checked.diagnostics = settled(found, prelude)
    return checked


def _check_untyped_rows(checker: Checker, loaded: Loaded) -> None:
    """Reports changes of something untyped, where no other mistake made it so."""
    found = (*loaded.diagnostics, *checker.report.diagnostics)
    if any(problem.severity == "error" for problem in found):
        return
    for span, verb in checker.untyped_rows:
        checker.report.add(
            "E0415",
            span,
            f"`{verb}` takes a row of an entity, and nothing says of which this is one",
            "declare the event with a field of the entity's type, or look it up: `Entity(key)`",
        )


def check_expression(
    checked: Checked,
    node: ast.Expr,
    actions: Mapping[str, ActionSignature],
    open_action: OpenAction,
) -> tuple[Type, tuple[Diagnostic, ...]]:
    """Types an expression asked over a checked spec (`bizrun query`), in the spec's own tables."""
    report = Report()
    checker = Checker(checked, report, actions, open_action, Flow(checked.types))
    scope = Scope("query")
    instants(scope)
    type_ = infer(checker, node, scope)
    return type_, settled(report.diagnostics, "")
