"""Collects what the checker finds; sorts it, and drops what only follows from another mistake."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ...diagnostics import Diagnostic, Fix, Label, Span


@dataclass(slots=True)
class Report:
    """The diagnostics of one check, in the order of their finding."""

    diagnostics: list[Diagnostic] = field(default_factory=list)

    def add(
        self,
        code: str,
        span: Span,
        message: str,
        help: str | None = None,
        fix: Fix | None = None,
        labels: tuple[Label, ...] = (),
    ) -> None:
        """Adds one mistake."""
        self.diagnostics.append(Diagnostic(code, span, message, help, fix, labels))


def settled(found: Iterable[Diagnostic], hidden: str) -> tuple[Diagnostic, ...]:
    """By file and position; one for each place, an error before a warning; none of file `hidden`.

    Two findings on the very same stretch are nearly always one mistake seen twice.
    """
    ordered = sorted(
        (d for d in found if d.span.file != hidden),
        key=lambda d: (d.span.file, d.span.start, d.severity, d.span.end),
    )
    kept: dict[tuple[str, int, int], Diagnostic] = {}
    for diagnostic in ordered:
        span = diagnostic.span
        kept.setdefault((span.file, span.start, span.end), diagnostic)
    return tuple(kept.values())
