"""The checker: names, types and none of everything in a spec, then what its declarations mean."""

from __future__ import annotations

from collections.abc import Mapping

from ...diagnostics import Diagnostic
from .. import ast
from ..mend import BAD
from ..symbols import ActionSignature, Checked, Loaded, OpenAction, Symbols
from ..types import Type
from .allow import without_allowed
from .context import Checker
from .damage import damaged, lost
from .declarations import check_declarations
from .expressions import infer
from .misspelt import at_declarations
from .places import check_places, check_refs
from .report import Report, settled
from .scope import Flow, Scope
from .statements import instants
from .symbols import collect
from .uses import check_uses, told_at_use

# What tells that something is named and nobody asks for it.
# A `use` that leads nowhere, and names that nobody declares.
NOT_FOUND = ("E0501", "E0503")
UNKNOWN = (
    "E0201", "E0202", "E0204", "E0205", "E0206", "E0207", "E0208", "E0209", "E0210", "E0211",
    "E0212", "E0214", "W0201",
)  # fmt: skip
UNUSED = ("W0202", "W0710", "W0711", "W0820", "W0840")


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
    found = list(told_at_use(loaded, (*loaded.diagnostics, *report.diagnostics)))
    checked.diagnostics = without_allowed(
        loaded, settled(_used(loaded, at_declarations(loaded, found)), prelude)
    )
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


def _used(loaded: Loaded, found: list[Diagnostic]) -> list[Diagnostic]:
    """Without what is said to be used by nobody, where a mistyped name most likely means it, and
    without what is said of the stand-in for what could not be read or found."""
    meant = {problem.fix.text.strip('"') for problem in found if problem.fix}
    missing = any(problem.code in NOT_FOUND for problem in found)
    kept = []
    for problem in found:
        if BAD in problem.message:
            continue  # what could not be read was told by the parser
        if missing and problem.code in UNKNOWN and problem.fix is None:
            continue  # the file that is not there most likely declares it
        span = problem.span
        source = loaded.sources.get(span.file) if problem.code in UNUSED else None
        if source is None or source.text[span.start : span.end] not in meant:
            kept.append(problem)
    return kept


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
