"""What an author has looked at and means: `# allow W0403: why` on a warning's line or above it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ...diagnostics import Diagnostic
from ..symbols import Loaded

# A reason has to stand there: it is for whoever reviews the spec.
_ALLOW = re.compile(r'#\s*allow\s+(W\d{4}(?:\s*,\s*W\d{4})*)\s*:\s*[^\s"][^"]*\Z')


def without_allowed(loaded: Loaded, found: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """The diagnostics less the warnings that a comment allows; an error is never allowed."""
    return tuple(problem for problem in found if not _is_allowed(loaded, problem))


def _is_allowed(loaded: Loaded, problem: Diagnostic) -> bool:
    source = loaded.sources.get(problem.span.file)
    if problem.severity == "error" or source is None:
        return False
    line, _ = source.position(problem.span.start)
    above = source.line(line - 1).strip()
    places = [source.line(line), above if above.startswith("#") else ""]
    said = [allowed for text in places if (allowed := _ALLOW.search(text))]
    return any(problem.code in re.split(r"\s*,\s*", allowed[1]) for allowed in said)
