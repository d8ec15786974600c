"""Reads one declaration by itself: reports a mistake once, mends it, and reads on behind it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from msgspec import structs
from msgspec.structs import replace

from ..diagnostics import Diagnostic, Fix, Source, Span
from . import ast
from .brackets import unbalanced
from .complaints import complain
from .foreign import NULLS
from .mend import BAD, Edit, Mended, inserted, joined, unchanged
from .oddities import odd_complaint
from .outside import null_name, outside, reserved_name
from .scan import MAX_DEPTH, SILENT, Chunk, scan
from .shape import Part, Shape
from .stop import Stop, token_at
from .words import IN_BLOCKS, RESERVED

if TYPE_CHECKING:
    from lark import Tree
    from lark.exceptions import UnexpectedInput

MAX_ROUNDS = 40
# More mistakes of one declaration help nobody.
MAX_FOUND = 100
LARGE = 4_000
# With more of them a text is no .biz at all.
MAX_ODD_THINGS = 1_000


def read_chunk(source: Source, chunk: Chunk) -> tuple[ast.Declaration, list[Diagnostic]]:
    """The declaration that a chunk holds (a BadDeclaration where nothing is left), and mistakes."""
    reader = _Reader(source, chunk, "declaration")
    if reader.prepare():
        node = reader.read()
        if isinstance(node, ast.Declaration) and not reader.spoiled:
            return node, reader.found
    return ast.BadDeclaration(Span(source.name, chunk.start, chunk.end), chunk.doc), reader.found


def read_expression(source: Source) -> tuple[ast.Expr | None, list[Diagnostic]]:
    """One expression, or None and what is wrong with it."""
    chunk = Chunk(0, len(source.text), "")
    for scanned in scan(source.text).chunks:
        chunk.brackets += scanned.brackets
        chunk.odd += scanned.odd
        chunk.long += scanned.long
        chunk.deep = chunk.deep if scanned.deep is None else scanned.deep
    reader = _Reader(source, chunk, "expr")
    node = reader.read() if reader.prepare() else None
    good = not any(diagnostic.severity == "error" for diagnostic in reader.found)
    return (node if good else None), reader.found


class _Reader:
    """What is being read, mended so far; `found` are the mistakes, one a line."""

    def __init__(self, source: Source, chunk: Chunk, start: str) -> None:
        self.source = source
        self.chunk = chunk
        self.keyword = chunk.keyword or ""
        self.start = start
        self.mended = unchanged(source.text, chunk.start, chunk.end)
        self.found: list[Diagnostic] = []
        self.lines: set[int] = set()
        self.tries: dict[int, int] = {}
        self.divided = False
        self.beheaded = False
        self.spoiled = False

    def prepare(self) -> bool:
        """Mends what needs no parser to be seen; False where nothing can be read then."""
        chunk, source = self.chunk, self.source
        if chunk.deep is not None:
            self.too_deep(chunk.deep)
            return False
        chain = _CHAIN.search(source.text, chunk.start, chunk.end) if self.long() else None
        if chain:
            self.too_deep(chain.start())
            return False
        odd = [
            (odd_complaint(source.name, source.text, item), item)
            for item in chunk.odd[:MAX_ODD_THINGS]
        ]
        complaints = [complaint for complaint, _ in odd]
        silent = {id(complaint) for complaint, item in odd if item.kind in SILENT}
        complaints += unbalanced(source.name, source.text, chunk.brackets, chunk.start, chunk.end)
        readable = len(odd) == len(chunk.odd)
        if chunk.keyword is None:
            whole = outside(source.name, source.text, chunk)
            complaints.append(whole)
            readable = readable and bool(whole.edits)
            self.keyword = whole.edits[0].text if whole.edits else ""
        # At one place the edits keep their order: inner brackets are closed first.
        edits = [edit for complaint in complaints for edit in complaint.edits]
        for complaint in sorted(complaints, key=lambda c: c.diagnostic.span.start):
            if id(complaint) not in silent:
                self.report(complaint.diagnostic)
        start = chunk.start
        self.mended = self.mended.replace(Edit(a - start, b - start, t) for a, b, t in edits)
        return readable

    def long(self) -> bool:
        """Whether it is worth looking for what would take the parser minutes."""
        return self.chunk.end - self.chunk.start > 10_000

    def too_deep(self, place: int) -> None:
        message = f"More than {MAX_DEPTH} levels stand in each other here."
        span = Span(self.source.name, place, place + 1)
        self.report(Diagnostic("E0109", span, message, "give inner parts names of their own"))

    def report(self, diagnostic: Diagnostic) -> None:
        """Keeps a mistake, if it is the first of its line."""
        line = self.source.position(diagnostic.span.start)[0]
        if line not in self.lines:
            self.lines.add(line)
            self.found.append(diagnostic)

    def read(self) -> Any:
        """The node, or None where nothing is left of the text."""
        tree = self.settle()
        return None if tree is None else self.build(tree)

    def settle(self) -> Tree[Any] | None:
        """Parses and mends in turn until a tree is there; None where nothing is left to mend."""
        from .grammar import parse_tree, right_tree

        tree: Tree[Any] | None = right_tree(self.mended.text, self.start)
        if tree is not None:
            return tree
        # Loading lark takes longer than reading a spec that is right.
        from lark.exceptions import UnexpectedInput

        for _ in range(MAX_ROUNDS):
            try:
                tree = parse_tree(self.mended.text, self.start)
            except UnexpectedInput as error:
                if self.keyword in IN_BLOCKS and not self.divided and len(self.mended.text) > LARGE:
                    self.divide()
                elif not self.mend(error):
                    return None
            else:
                return tree
        return None

    def divide(self) -> None:
        """Mends the statements of a large block one by one: to parse all of it again and again
        would take the square of its size."""
        self.divided = True
        whole, done = self.mended, 0
        parts: list[Mended] = []
        for start, end in Shape(whole.text).statements():
            parts += [whole.slice(done, start), self.statement(whole.slice(start, end))]
            done = end
        self.mended = joined([*parts, whole.slice(done, len(whole.text))])

    def statement(self, stretch: Mended) -> Mended:
        """One statement, mended in a block of its own."""
        reader = _Reader(self.source, self.chunk, self.start)
        reader.found, reader.lines, reader.tries = self.found, self.lines, self.tries
        reader.keyword, reader.divided = self.keyword, True
        before, behind = "on A.b {\n", "\n}"
        place = stretch.origin(0)
        reader.mended = joined([inserted(before, place), stretch, inserted(behind, place)])
        if len(self.found) > MAX_FOUND or reader.settle() is None:
            return stretch.replace([Edit(0, len(stretch.text), "")])
        mended = reader.mended
        return mended.slice(len(before), len(mended.text) - len(behind))

    def mend(self, error: UnexpectedInput) -> bool:
        """Reports an error, unless its line is known to be wrong, and changes the text there."""
        text = self.mended.text
        shape = Shape(text)
        place = _place(error, text, shape)
        part = shape.part(place)
        key = self.mended.origin(part.head[0])
        tries = self.tries.get(key, 0)
        self.tries[key] = tries + 1
        line = self.source.position(self.mended.origin(place))[0]
        if tries == 0 and line not in self.lines:
            complaint = complain(self.stop(error, part, place))
            self.report(self.placed(complaint.diagnostic))
            if complaint.edits:
                self.mended = self.mended.replace(complaint.edits)
                return True
        edits = _named(text, part, self.keyword) if tries <= 1 else []
        if not edits:
            edits = self.blank(shape, part) or self.behead(shape, part)
        if not edits:
            return False
        self.mended = self.mended.replace(edits)
        return True

    def blank(self, shape: Shape, part: Part) -> list[Edit]:
        """Takes a part away, or what it stands in where it has been taken away already."""
        text = shape.text
        while True:
            if part.opener is None:
                return []
            if text[part.start : part.end].strip(" \t\r\n,"):
                break
            part = shape.part(part.opener)
        return [Edit(part.start, part.end, re.sub(r"[^\n]", " ", text[part.start : part.end]))]

    def behead(self, shape: Shape, part: Part) -> list[Edit]:
        """Takes the first line of a declaration away, less its name, so that its block is read."""
        block = shape.block()
        if block is None or self.beheaded or part.opener is not None:
            return []
        self.beheaded = True
        named = _NAMED_HEAD.match(shape.text)
        # What a handler's block says makes no sense without the names that its head gives.
        self.spoiled = named is None
        return [Edit(part.start, block[0], f"{named[0]} " if named else 'test "" ')]

    def placed(self, diagnostic: Diagnostic) -> Diagnostic:
        """A diagnostic about the parsed text, with the places of the file."""
        fix = diagnostic.fix
        return replace(
            diagnostic,
            span=self.span(diagnostic.span.start, diagnostic.span.end),
            fix=fix and replace(fix, span=self.span(fix.span.start, fix.span.end)),
        )

    def span(self, start: int, end: int) -> Span:
        first = self.mended.origin(start)
        last = self.mended.origin_end(end) if end > start else first
        last = min(max(first, last), self.chunk.end)
        return Span(self.source.name, min(first, last), last)

    def stop(self, error: UnexpectedInput, part: Part, place: int) -> Stop:
        """What a complaint is made from."""
        from .grammar import accepts_hint

        text = self.mended.text
        expected = frozenset(
            word[1:-1] if word.startswith("`") and len(word) > 2 else word
            for word in accepts_hint(error)
        )
        return Stop(
            text=text,
            keyword=self.keyword,
            part=part,
            place=place,
            token=token_at(text, place),
            expected=expected,
            works=lambda edits: self.works(edits, _head_end(part)),
        )

    def works(self, edits: tuple[Edit, ...], end: int) -> bool:
        """Whether the text reads beyond a place once it is edited."""
        from lark.exceptions import UnexpectedInput

        from .grammar import parse_tree

        text = self.mended.text
        longer = 0
        for edit in sorted(edits, reverse=True):
            text = text[: edit.start] + edit.text + text[edit.end :]
            longer += len(edit.text) - (edit.end - edit.start)
        try:
            parse_tree(text, self.start)
        except UnexpectedInput as error:
            return _stopped(error, text) >= end + longer
        return True

    def build(self, tree: Tree[Any]) -> Any:
        """The node of a tree, with what its builder finds wrong in it."""
        from .build import build_declaration, build_expression
        from .build_context import Context

        chunk = self.chunk
        context = Context(self.source.name, self.mended.text, chunk.start, chunk.doc)
        if not self.mended.whole:
            context.place = self.span
        try:
            build = build_declaration if self.start == "declaration" else build_expression
            node: Any = build(tree, context)
        except RecursionError:
            self.too_deep(chunk.start)
            return None
        known = set(self.lines)
        for diagnostic in map(self.with_fix, context.found):
            line = self.source.position(diagnostic.span.start)[0]
            if line not in known and BAD not in diagnostic.message:
                self.lines.add(line)
                self.found.append(diagnostic)
        if BAD in self.mended.text or _ODD_NAME.search(self.mended.text):
            return self.plain(node)
        return node

    def with_fix(self, diagnostic: Diagnostic) -> Diagnostic:
        """A diagnostic of the builder with the replacement that it can't know."""
        place = diagnostic.span.start
        before = _OPERAND.search(self.source.text, max(0, place - 100), place)
        if diagnostic.code != "E0120" or not before:
            return diagnostic
        fix = Fix(Span(self.source.name, place, place), f"and {before[1]} ")
        return replace(diagnostic, fix=fix)

    def named(self, node: ast.Node) -> None:
        """Reports a value that has a name which no value can have."""
        match node:
            case (
                ast.Let(name=str(name), name_span=Span() as span)
                | ast.Fn(name=str(name), name_span=Span() as span)
                | ast.Const(name=str(name), name_span=Span() as span)
                | ast.Param(name=str(name), span=span)
                | ast.ForEach(variable=str(name), span=span)
                | ast.EventPattern(name=str(name), span=span)
            ) if name in RESERVED:
                self.report(reserved_name(name, span))
            case _:
                pass

    def plain(self, node: Any) -> Any:
        """The node with Bad for what could not be read and `none` for `null`, which is reported."""
        match node:
            case ast.Name(span=span, name=name) | ast.TypeName(span=span, name=name):
                if name == BAD:
                    return ast.Bad(span)
                if name in NULLS and isinstance(node, ast.Name):
                    self.report(null_name(name, span))
                    return _literal(NULLS[name], span)
                return node
            case ast.Node():
                self.named(node)
                old = {name: getattr(node, name) for name in node.__struct_fields__}
                new = {name: self.plain(value) for name, value in old.items()}
                same = all(new[name] is old[name] for name in old)
                return node if same else structs.replace(node, **new)
            case tuple():
                items = tuple(self.plain(item) for item in node)
                same = all(a is b for a, b in zip(items, node, strict=True))
                return node if same else items
        return node


# No author writes these, but a broken generator may.
_CHAIN = re.compile(
    r"(?>(?:\??\.[^\W\d]\w*){300}|(?:\[[^\][]{0,40}\]){300}|(?:\([^()]{0,40}\)){300}"
    r"|(?:-\s*){300}|(?:\bnot\s+){300}|(?:\?\?\s*[\w.]{1,40}\s*){300})"
)
_OPERAND = re.compile(r"(?<![\w.])([^\W\d][\w.]*|\d[\w.]*(?:[ \t]+[A-Z]{3})?)[ \t]*\Z")
_ODD_NAME = re.compile(
    rf"\b(?:{'|'.join(NULLS)}|(?:let|fn|each|const|as)\s+(?:{'|'.join(RESERVED)}))\b"
    rf"|\b(?:{'|'.join(RESERVED)}):"
)


def _literal(word: str, span: Span) -> ast.Literal:
    if word == "none":
        return ast.Literal(span, "none", None)
    return ast.Literal(span, "bool", word == "true")


def _head_end(part: Part) -> int:
    """The place beyond which a part is read once its head is right: its block has its own."""
    return part.end if part.head[1] >= part.end else part.head[1] + 1


def _stopped(error: UnexpectedInput, text: str) -> int:
    """The place at which the parser gave up."""
    token = getattr(error, "token", None)
    if token is not None and token.type == "$END":
        return len(text)
    place = getattr(token, "start_pos", None)
    if place is None:
        place = getattr(error, "pos_in_stream", None)
    return len(text) if place is None else min(place, len(text))


def _place(error: UnexpectedInput, text: str, shape: Shape) -> int:
    """The place to blame: the end of the line before, where that should have gone on."""
    place = _stopped(error, text)
    before = shape.before(place)
    gap = text[before:place]
    if place >= len(text) or text[place] in "\r\n":
        return before
    # A comma may end the last line of several as well as go on.
    open_end = shape.goes_on(before) and text[before - 1 : before] != ","
    if "\n" in gap and before and (text[place] in ")]}" or open_end):
        return before
    return place


_KEPT = (
    re.compile(r"(\s*(?:else\s+)?if\s).*", re.DOTALL),
    re.compile(r"(\s*for\s+each\s+[^\W\d]\w*\s+in\s).*", re.DOTALL),
    re.compile(r"(\s*(?:after|at|match)\s).*", re.DOTALL),
)
_LET = re.compile(r"\s*let\s+[^\W\d]\w*")
# As other languages say it.
_LIKE_LET = re.compile(r"\s*(?:[^\W\d]\w*\s+)?([^\W\d]\w*)\s*(?::\s*\w+\s*)?:?=(?![=>])")
_NAMED_HEAD = re.compile(
    r"(?:extend\s+entity|entity|plan|addon|meter|coupon|tax|dunning|role|template|connect|type"
    r"|directory|sign_in)\s+[^\W\d]\w*|(?:event|lifecycle)\s+[^\W\d]\w*\.[^\W\d]\w*"
)
_ENTRY = re.compile(r'\s*(?:[^\W\d]\w*|"[^"\n]*")\s*:')
_FIELD = re.compile(r"\s*[^\W\d]\w*[ \t]+")
_HEAD = re.compile(r"\s*(?:const\s+[^\W\d]\w*|(?:fn|metric)\b.*?(?<![=!<>])=(?!=))", re.DOTALL)


def _named(text: str, part: Part, keyword: str) -> list[Edit]:
    """Edits that keep the names a part gives and the blocks it has, and nothing else of it."""
    low, high = part.head
    head = text[low:high]
    block = high < part.end and text[high] == "{"
    if block:
        for pattern in _KEPT:
            found = pattern.match(head)
            if found:
                return [Edit(low + found.end(1), high, f"{BAD} ")]
    found = _LET.match(text, part.start, part.end)
    if found:
        return [Edit(found.end(), part.end, _padded(f" = {BAD}", text[found.end() : part.end]))]
    found = _LIKE_LET.match(text, part.start, part.end)
    if found and part.depth and keyword in IN_BLOCKS:
        bad = f"let {found[1]} = {BAD}"
        return [Edit(part.start, part.end, _padded(bad, text[part.start : part.end]))]
    if part.depth == 0 and not block:
        found = _HEAD.match(text, part.start, part.end)
        if found:
            bad = f"{BAD}" if found[0].endswith("=") else f" = {BAD}"
            return [Edit(found.end(), part.end, _padded(f" {bad}", text[found.end() : part.end]))]
        return []
    if keyword in ("entity", "event", "type", "extend") and part.depth == 1:
        found = _FIELD.match(text, part.start, part.end)
        if found:
            return [Edit(found.end(), part.end, _padded(BAD, text[found.end() : part.end]))]
    found = _ENTRY.match(text, part.start, part.end)
    if found and part.depth > 1:
        comma = "," if text[part.start : part.end].rstrip().endswith(",") else ""
        return [Edit(found.end(), part.end, f" {BAD}{comma}")]
    return []


def _padded(new: str, old: str) -> str:
    """A replacement with as many line feeds as what it replaces had."""
    return new + "\n" * old.count("\n")
