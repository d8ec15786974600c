"""A name with a slip in its declaration: told there, not wherever it is spoken of."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from ...diagnostics import Diagnostic, Fix, Label, Span
from ..std import in_std
from ..symbols import Loaded

# What tells that a name stands for nothing, with the one that may be meant.
_UNKNOWN = frozenset((
    "E0201", "E0203", "E0204", "E0205", "E0206", "E0207", "E0208", "E0209", "E0210", "E0212",
    "E0214", "E0216", "E0217", "E0311", "E0641", "E0643", "E0644", "E0704", "W0201",
))  # fmt: skip
# What follows from it besides: the name is missing where the right one is given, or unused.
_FOLLOWS = frozenset(("E0405", "W0202", "W0710", "W0711"))
# Twice may be the same slip of those who speak of it.
ENOUGH = 3
# Each reads the files again: a spec with more of them is damaged otherwise.
MOST = 20
_MEANT = re.compile(r'"?([\w.]+)')


def at_declarations(loaded: Loaded, found: Sequence[Diagnostic]) -> list[Diagnostic]:
    """Puts one finding at a declaration in the place of three or more that would all be right with
    its name, where that name stands nowhere else."""
    groups: dict[tuple[str, str], list[Diagnostic]] = {}
    for problem in found:
        if problem.fix is not None and problem.code in _UNKNOWN and _declarable(problem):
            names = _names(loaded, problem.fix)
            if names is not None:
                groups.setdefault(names, []).append(problem)
    kept = list(found)
    largest = sorted(groups.items(), key=lambda item: -len(item[1]))
    for (missing, declared), problems in largest[:MOST]:
        # An event that nobody declared is told once, wherever else it stands.
        once = all(problem.code == "W0201" for problem in problems)
        count = len(list(_places(loaded, missing))) if once else len(problems)
        places = list(islice(_places(loaded, declared), 2)) if count >= ENOUGH else []
        if len(places) != 1:
            continue
        gone = {id(problem) for problem in problems}
        kept = [p for p in kept if id(p) not in gone and not _follows(p, declared)]
        kept.append(_told(places[0], missing, declared, problems, count))
    return kept


def _declarable(problem: Diagnostic) -> bool:
    """Whether the name that is meant has a declaration: a change of an entity has none."""
    return problem.code != "W0201" or (problem.fix is not None and problem.fix.certain)


def _names(loaded: Loaded, fix: Fix) -> tuple[str, str] | None:
    """What is written, and what would be right there."""
    source, meant = loaded.sources.get(fix.span.file), _MEANT.match(fix.text)
    if source is None or meant is None:
        return None
    return source.text[fix.span.start : fix.span.end].strip('"'), meant[1]


def _places(loaded: Loaded, name: str) -> Iterator[Span]:
    """Where a name stands in the author's files."""
    word = re.compile(rf"(?<!\w){re.escape(name)}(?!\w)")
    for file in _own(loaded):
        for at in word.finditer(loaded.sources[file].text):
            yield Span(file, at.start(), at.end())


def _own(loaded: Loaded) -> Iterable[str]:
    prelude = loaded.files[0].span.file
    return (file for file in loaded.sources if file != prelude and not in_std(file))


def _follows(problem: Diagnostic, declared: str) -> bool:
    return problem.code in _FOLLOWS and f"`{declared}`" in problem.message


def _told(
    place: Span, missing: str, declared: str, problems: list[Diagnostic], count: int
) -> Diagnostic:
    problems.sort(key=lambda p: (p.severity, p.span.file, p.span.start))
    first = problems[0]
    text = f"`{declared}` is declared here, and {count} places speak of `{missing}`"
    return Diagnostic(
        first.code, place, text, f"did you mean `{missing}`?", Fix(place, missing, certain=False),
        (Label(first.span, "here, and elsewhere"),),
    )  # fmt: skip
