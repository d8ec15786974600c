"""A file's text becomes its tree: each declaration by itself, mistakes as diagnostics."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..diagnostics import Diagnostic, Source, Span
from . import ast
from .oddities import odd_complaint
from .recover import read_chunk, read_expression
from .scan import SILENT, Scan, scan

MAX_BYTES = 5_000_000


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment with its `#`; `own_line` where nothing stands before it on its line."""

    span: Span
    text: str
    own_line: bool


@dataclass(frozen=True, slots=True)
class Parsed:
    """A file's tree with what is wrong in it, in the order of the file, and its comments."""

    file: ast.File
    diagnostics: tuple[Diagnostic, ...]
    comments: tuple[Comment, ...]


def parse(source: Source) -> Parsed:
    """Reads a file, whatever it holds; what can't be read is reported and stands as Bad nodes."""
    scanned = scan(source.text)
    return parsed_of(source, scanned, [read_chunk(source, chunk) for chunk in scanned.chunks])


def parsed_of(
    source: Source, scanned: Scan, read: Iterable[tuple[ast.Declaration, list[Diagnostic]]]
) -> Parsed:
    """A file's tree of what was read of its chunks."""
    declarations: list[ast.Declaration] = []
    diagnostics: list[Diagnostic] = []
    for declaration, found in read:
        declarations.append(declaration)
        diagnostics += found
    for odd in scanned.odd:
        if odd.kind not in SILENT:
            diagnostics.append(odd_complaint(source.name, source.text, odd).diagnostic)
    diagnostics.sort(key=lambda diagnostic: diagnostic.span.start)
    comments = tuple(
        Comment(Span(source.name, c.start, c.end), c.text, c.own_line) for c in scanned.comments
    )
    whole = Span(source.name, 0, len(source.text))
    return Parsed(ast.File(whole, tuple(declarations)), tuple(diagnostics), comments)


def parse_expression(
    text: str, name: str = "<expression>"
) -> tuple[ast.Expr | None, list[Diagnostic]]:
    """Reads one expression; None, with what is wrong, where it can't be read as one."""
    return read_expression(Source(name, text))


def read_source(name: str, data: bytes) -> tuple[Source, list[Diagnostic]]:
    """A file's bytes as text: UTF-8, perhaps with a byte order mark; other bytes are reported.

    What is reported is left out of the text or stands as a replacement character; a file of more
    than 5 MB comes back empty.
    """
    if len(data) > MAX_BYTES:
        message = f"This file has {len(data):,} bytes; a .biz file has at most {MAX_BYTES:,}."
        help = "split it and name its parts with `use`"
        return Source(name, ""), [Diagnostic("E0103", Span(name, 0, 0), message, help)]
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        message = "This file is UTF-16; a .biz file is UTF-8."
        where = Span(name, 0, 0)
        return Source(name, ""), [Diagnostic("E0103", where, message, "save the file as UTF-8")]
    try:
        text = data.decode("utf-8-sig")
        problem = None
    except UnicodeDecodeError as error:
        text = data.decode("utf-8-sig", "replace")
        # Counted from what decodes before it; the mark itself is no part of the text.
        before = data[: error.start].removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")
        problem = _undecodable(name, data, error, len(before))
    found = [problem] if problem else []
    nul = text.find("\0")
    if nul >= 0 and not found:
        message = "A NUL character can't stand in a .biz file; is this a binary or UTF-16 file?"
        found.append(Diagnostic("E0103", Span(name, nul, nul + 1), message, "save it as UTF-8"))
    return Source(name, text.replace("\0", "\ufffd")), found


def _undecodable(name: str, data: bytes, error: UnicodeDecodeError, place: int) -> Diagnostic:
    byte = data[error.start]
    if data[error.start : error.start + 1] == b"\xed":
        message = "A lone surrogate (half of a character) can't stand in a .biz file."
    else:
        message = f"The byte 0x{byte:02X} is not UTF-8."
    return Diagnostic("E0103", Span(name, place, place + 1), message, "save the file as UTF-8")
