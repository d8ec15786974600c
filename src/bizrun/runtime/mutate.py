"""Small changes to a spec, one at a time: a rate, a comparison, a duration a test should notice."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ..diagnostics import Span
from ..lang import ast
from ..lang.std import in_std
from ..lang.symbols import Checked
from ..lang.walk import walk

_OPPOSITES = {
    "==": "!=", "!=": "==", "<": "<=", "<=": "<", ">": ">=", ">=": ">",
    "in": "not in", "not in": "in", "reaches": "drops below", "drops below": "reaches",
}  # fmt: skip
_CHANGED = {"number", "money", "percent", "duration", "size"}
# What no test could notice, or what says how the language is to be read.
_PASSED_OVER = (
    ast.Test, ast.Connect, ast.Directory, ast.SignIn, ast.Use, ast.Business, ast.Template,
)  # fmt: skip
# Before what a module's tests put in the place of a user's own: they are no more than its tests.
_GIVEN = re.compile(r"\bgiven\s+\Z")
_NUMBER = re.compile(r"\d[\d_]*(?:\.\d+)?")


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change: the text of `span` becomes `new`."""

    span: Span
    old: str
    new: str


def mutants(checked: Checked) -> list[Mutant]:
    """All changes to a spec and its modules, in the order of their places."""
    found: dict[Span, Mutant] = {}
    for file in checked.loaded.files:
        for declaration in file.declarations:
            name = declaration.span.file
            strange = in_std(name) and name != checked.loaded.path
            if isinstance(declaration, _PASSED_OVER) or strange:
                continue
            text = checked.loaded.sources[name].text
            if _GIVEN.search(text, 0, declaration.span.start):
                continue
            for mutant in _of(declaration, text):
                found.setdefault(mutant.span, mutant)
    return sorted(found.values(), key=lambda mutant: (mutant.span.file, mutant.span.start))


def _of(declaration: ast.Declaration, text: str) -> Iterator[Mutant]:
    for node in walk(declaration):
        match node:
            case ast.Binary(op=op, op_span=span) if op in _OPPOSITES:
                old = text[span.start : span.end]
                if " ".join(old.split()) == op:
                    yield Mutant(span, old, _OPPOSITES[op])
            case ast.Literal(type=kind, span=span) if kind in _CHANGED:
                old = text[span.start : span.end]
                found = _NUMBER.search(old)
                if found:
                    new = old[: found.start()] + _more(found[0]) + old[found.end() :]
                    yield Mutant(span, old, new)


def _more(digits: str) -> str:
    """A number with one more at its last digit: 14 is 15, 0.008 is 0.009, 10_000 is 10001."""
    whole, dot, rest = digits.replace("_", "").partition(".")
    if not dot:
        return str(int(whole) + 1)
    raised = str(int(whole + rest) + 1).rjust(len(rest) + 1, "0")
    return f"{raised[: -len(rest)]}.{raised[-len(rest) :]}"
