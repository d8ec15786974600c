"""What a mistake of syntax hides: names whose lines are lost, about which nothing is said."""

from __future__ import annotations

import re

from ...diagnostics import Span
from .. import ast
from ..symbols import Loaded

_DECLARED = re.compile(
    r"^\s*(?:(?:extend|given|override)\s+)*(?:entity|type|event|plan|addon|meter|coupon|tax"
    r"|dunning|trigger|fn|const|template|metric|role|experiment|connect|sign_in)\s+([\w.]+)",
    re.MULTILINE,
)
_ENTRY = re.compile(r"\b(\w+)\s*:")
_NAMED = re.compile(r"\b(?:let|as|for each|for)\s+(\w+)")


def lost(loaded: Loaded) -> frozenset[str]:
    """Names that declarations and lines which can't be read may have given."""
    names: set[str] = set()
    for file, spans in _errors(loaded).items():
        source = loaded.sources.get(file)
        parsed = next((f for f in loaded.files if f.span.file == file), None)
        if source is None or parsed is None:
            continue
        for declaration in parsed.declarations:
            if declaration.span.file != file:
                continue
            text = source.text[declaration.span.start : declaration.span.end]
            if isinstance(declaration, ast.BadDeclaration):
                names.update(_DECLARED.findall(text), _ENTRY.findall(text))
            elif _hurt(declaration, spans):
                names.update(_NAMED.findall(text))
                if isinstance(declaration, ast.Plan | ast.Addon):
                    names.update(_ENTRY.findall(text))
    # A template is called what its file is.
    unread = [d.span.file for d in loaded.diagnostics if d.code == "E0504"]
    names.update(file.rpartition("/")[2].removesuffix(".md") for file in unread)
    return frozenset(names)


def damaged(loaded: Loaded) -> frozenset[str]:
    """Names of the entities, events, shapes and functions that were read in part only."""
    names: set[str] = set()
    errors = _errors(loaded)
    for file in loaded.files:
        for declaration in file.declarations if errors else ():
            # What overrides stands in the file of what it replaces.
            spans = errors.get(declaration.span.file, [])
            name = getattr(declaration, "name", None)
            if name is not None and _hurt(declaration, spans):
                names.add(name)
    return frozenset(names)


def hurt(loaded: Loaded, span: Span) -> bool:
    """Whether a part of a declaration was read in part only: nothing is said of what it lacks."""
    return any(
        d.severity == "error" and d.span.file == span.file and span.start <= d.span.start < span.end
        for d in loaded.diagnostics
    )


def _errors(loaded: Loaded) -> dict[str, list[int]]:
    spans: dict[str, list[int]] = {}
    for diagnostic in loaded.diagnostics:
        if diagnostic.severity == "error":
            spans.setdefault(diagnostic.span.file, []).append(diagnostic.span.start)
    return spans


def _hurt(declaration: ast.Declaration, starts: list[int]) -> bool:
    return any(declaration.span.start <= start <= declaration.span.end for start in starts)
