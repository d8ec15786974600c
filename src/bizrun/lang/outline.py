"""What stands in a file, declaration by declaration, and what each of its words is: for editors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from ..diagnostics import Span
from . import ast
from .navigate import Occurrence
from .scan import KEYWORDS
from .types import PRIMITIVES
from .words import IN_QUERIES, PRICING, STATEMENTS, TEST_STATEMENTS


@dataclass(frozen=True, slots=True)
class Entry:
    """A declaration or a part of it: its word (`entity`, `plan`, `field`), name, and places."""

    word: str
    name: str
    detail: str
    span: Span
    name_span: Span
    below: tuple[Entry, ...] = ()


_WORDS = {
    ast.Entity: "entity", ast.TypeDecl: "type", ast.EventDecl: "event", ast.Plan: "plan",
    ast.Addon: "addon", ast.Meter: "meter", ast.Coupon: "coupon", ast.Tax: "tax",
    ast.Dunning: "dunning", ast.Lifecycle: "lifecycle", ast.Trigger: "trigger", ast.Fn: "fn",
    ast.Const: "const", ast.Template: "template", ast.Metric: "metric", ast.Role: "role",
    ast.Experiment: "experiment", ast.Connect: "connect", ast.Directory: "directory",
    ast.SignIn: "sign_in", ast.On: "on", ast.Every: "every", ast.Api: "api", ast.Test: "test",
    ast.Business: "business", ast.Use: "use",
}  # fmt: skip


def outline(file: ast.File, text: str) -> list[Entry]:
    """The declarations of a file, in order."""
    found = []
    for node in file.declarations:
        inner = node
        while isinstance(inner, ast.Given | ast.Override):
            inner = inner.declaration
        word = _WORDS.get(type(inner))
        if word is not None:
            found.append(_entry(word, inner, node.span, text))
    return found


def _entry(word: str, node: ast.Declaration, span: Span, text: str) -> Entry:
    head = text[node.span.start : node.span.end].split("\n", 1)[0].removesuffix("{").strip()
    name_span = getattr(node, "name_span", None) or Span(
        span.file, node.span.start, node.span.start + len(head)
    )
    name = getattr(node, "name", None) or head
    detail = word
    match node:
        case ast.Lifecycle(entity=entity, field=field):
            name = f"{entity}.{field}"
        case ast.Trigger(event=event):
            name = event
        case ast.Test(title=title) | ast.Business(title=title):
            name = f"{word} {title}"
        case ast.Plan(title=str(title)) | ast.Addon(title=str(title)):
            detail = f"{word} {title}"
    below: tuple[Entry, ...] = ()
    if isinstance(node, ast.Entity | ast.EventDecl | ast.TypeDecl):
        below = tuple(
            Entry("field", f.name, text[f.type.span.start : f.type.span.end], f.span, f.name_span)
            for f in node.fields
        )
    return Entry(word, name, detail, span, name_span, below)


# --- words --------------------------------------------------------------------------------------


class Word(NamedTuple):
    """A stretch of one line and what it is: a name of `KINDS`; whether it is declared there."""

    start: int
    end: int
    kind: str
    declares: bool


KINDS = (
    "keyword", "comment", "string", "number", "class", "property", "event", "function", "variable",
    "parameter", "enumMember", "method", "type",
)  # fmt: skip
_BY_SYMBOL = {
    "entity": "class", "shape": "class", "field": "property", "event": "event", "fn": "function",
    "builtin": "function", "action": "method", "local": "variable", "const": "variable",
}  # fmt: skip
# A plan and a coupon are declared, so their words are keywords first.
_TYPES = frozenset(PRIMITIVES) - {"plan", "coupon"}
_IN_DECLARATIONS = (
    "tenants when once and or not true false none unlimited key unique was index price trial "
    "features limits includes usage minimum maximum phase seats start any"
)
_KEYWORDS = frozenset(KEYWORDS).union(
    *(text.split() for text in (STATEMENTS, TEST_STATEMENTS, IN_QUERIES, PRICING, _IN_DECLARATIONS))
)
_TOKEN = re.compile(
    r"""(?P<comment>\#[^\r\n]*)|(?P<long>\"{3}(?:[^"\\]|\\[\s\S]|"(?!""))*"{3})
    |(?P<string>"(?:[^"\\\n]|\\.)*")
    |(?P<number>(?<![\w.])\d[\d_]*(?:[.:T-]\d[\d_:]*)*Z?%?(?:[ ][A-Z]{3}\b)?)
    |(?P<name>[^\W\d]\w*)""",
    re.VERBOSE,
)


def words(text: str, names: Iterable[Occurrence]) -> Iterator[Word]:
    """The words of a text that are more than signs, in order; none crosses a line."""
    known = {one.span.start: one for one in names}
    place, end = 0, len(text)
    while place < end and (found := _TOKEN.search(text, place)):
        start, stop = found.span()
        kind = found.lastgroup or ""
        one = known.get(start)
        if kind == "name":
            place = stop
            if one is not None and one.span.end > start:
                place = one.span.end
                role = _BY_SYMBOL.get(one.symbol.kind, "enumMember")
                yield Word(start, place, role, one.declares)
            elif (word := found[0]) in _TYPES and text[start - 1 : start] not in (".", "{"):
                yield Word(start, stop, "type", False)
            elif (
                word in _KEYWORDS
                and text[start - 1 : start] != "."
                and text[stop : stop + 1] != ":"
            ):
                yield Word(start, stop, "keyword", False)
            continue
        place = stop
        role = "string" if kind == "long" else kind
        at = start
        for line in found[0].split("\n"):
            if line.strip():
                yield Word(at, at + len(line.rstrip("\r")), role, False)
            at += len(line) + 1
