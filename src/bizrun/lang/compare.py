"""What differs in meaning between two specs, declaration by declaration.

Comments, layout, the order of declarations, the form (YAML or not) and the file in which a
declaration stands mean nothing.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ..diagnostics import Source, Span
from . import ast
from .format import format_text, items, same_meaning
from .modules import is_yaml
from .parse import parse
from .std import in_std
from .symbols import Loaded
from .walk import walk
from .yaml.read import compose

_KINDS = {"TypeDecl": "type", "EventDecl": "event", "SignIn": "sign-in"}
_BLANKS = re.compile(r"[ \t]+")


@dataclass(frozen=True, slots=True)
class Difference:
    """A declaration that was added, removed or changed.

    `place` is its line in the new spec, in the old one where it is gone; `lines` begin with `- `
    and `+ ` where it changed; `waits` where it is a handler with something that may be under way.
    """

    change: str
    name: str
    place: str
    lines: tuple[str, ...] = ()
    waits: bool = False


@dataclass(frozen=True, slots=True)
class _Part:
    name: str
    place: str
    text: str
    meaning: object
    waits: bool


def compare(old: Loaded, new: Loaded) -> list[Difference]:
    """All differences of two specs without mistakes of syntax, in the order of the new one."""
    before = {part.name: part for part in _parts(old)}
    after = {part.name: part for part in _parts(new)}
    found = [
        Difference("removed", name, part.place, waits=part.waits)
        for name, part in before.items()
        if name not in after
    ]
    for name, part in after.items():
        was = before.get(name)
        if was is None:
            found.append(Difference("added", name, part.place))
        elif was.meaning != part.meaning:
            lines = tuple(_unlike(items(was.text), items(part.text)))
            found.append(Difference("changed", name, part.place, lines, was.waits))
    return [*found, *_templates(old, new)]


def _templates(old: Loaded, new: Loaded) -> Iterator[Difference]:
    """The texts of templates/NAME.md that differ."""
    before, after = old.template_files, new.template_files
    for name in sorted({*before, *after}):
        was, now = before.get(name), after.get(name)
        if was is None or now is None:
            there = now or was
            change = "added" if was is None else "removed"
            yield Difference(change, f"template {name}", there.name if there else "")
        elif was.text != now.text:
            lines = tuple(_unlike(was.text.splitlines(), now.text.splitlines()))
            yield Difference("changed", f"template {name}", now.name, lines)


def _waits(declaration: ast.Declaration) -> bool:
    """Whether a handler of it may be in the middle of something."""
    if isinstance(declaration, ast.Override):
        declaration = declaration.declaration
    return isinstance(declaration, ast.On | ast.Every) and any(
        isinstance(node, ast.After | ast.WaitFor | ast.At) for node in walk(declaration)
    )


def _unlike(a: list[str], b: list[str]) -> Iterator[str]:
    """What `a` has and `b` has not, and the other way round, in order."""
    for op, start, end, first, last in difflib.SequenceMatcher(None, a, b, False).get_opcodes():
        if op != "equal":
            yield from (f"- {line}" for line in a[start:end])
            yield from (f"+ {line}" for line in b[first:last])


def _parts(loaded: Loaded) -> Iterator[_Part]:
    """The author's declarations by what they are called; of several alike, by their number."""
    counts: Counter[str] = Counter()
    for source in loaded.sources.values():
        if in_std(source.name) or source.name not in _own(loaded):
            continue
        text = format_text(compose(source)[0].text) if is_yaml(source.name) else source.text
        comments = parse(Source(source.name, text)).comments
        bare = _without(text, (comment.span for comment in comments))
        plain = Source(source.name, bare)
        for declaration in parse(plain).file.declarations:
            span = declaration.span
            name = _name(declaration, bare[span.start : span.end])
            counts[name] += 1
            name = name if counts[name] == 1 else f"{name} #{counts[name]}"
            line = "" if is_yaml(source.name) else f":{plain.position(span.start)[0]}"
            meaning, waits = same_meaning(declaration), _waits(declaration)
            yield _Part(name, f"{source.name}{line}", bare[span.start : span.end], meaning, waits)


def _own(loaded: Loaded) -> set[str]:
    """The files that the author wrote: not the prelude, not the modules that come along."""
    return {name for name in loaded.sources if name.endswith((".biz", ".yaml", ".yml"))}


def _without(text: str, spans: Iterable[Span]) -> str:
    """A text whose comments are blanks, so that all else stays where it is."""
    for span in spans:
        text = text[: span.start] + " " * (span.end - span.start) + text[span.end :]
    return text


def _name(declaration: ast.Declaration, text: str) -> str:
    """`plan pro`, `on Customer.signup`, `every day at 09:00`, `api GET /usage`."""
    match declaration:
        case ast.Given() | ast.Override():
            inner, word = declaration.declaration, type(declaration).__name__.lower()
            path = declaration.path if isinstance(declaration, ast.Override) else None
            own = text[inner.span.start - declaration.span.start :]
            return " ".join(part for part in (word, path, _name(inner, own)) if part)
        case ast.On():
            return "on " + " or ".join(name for name, _ in declaration.pattern.types)
        case ast.Every():
            return _BLANKS.sub(" ", text.partition("{")[0].strip())
        case ast.Api():
            return f"api {declaration.method} {declaration.path}"
        case ast.Lifecycle():
            return f"lifecycle {declaration.entity}.{declaration.field}"
        case ast.Test():
            return f"test {declaration.title}"
        case ast.Business():
            return "business"
        case ast.Use():
            return _BLANKS.sub(" ", text.strip().partition("\n")[0])
    kind = type(declaration).__name__
    name = getattr(declaration, "name", "")
    return f"{_KINDS.get(kind, kind.lower())} {name}".rstrip()
