"""Builds texts: escapes, the common indent of `\"\"\"`, and the expressions in braces."""

from __future__ import annotations

import re
from collections.abc import Iterator
from posixpath import commonprefix
from typing import Any

from ..diagnostics import Diagnostic, Source
from ..values import is_format
from . import ast
from .build_context import Context

_PIECE = re.compile(r"[^\\{}]+|\\(?:\r\n|[\s\S])|[{}]")
_ESCAPES = {'"': '"', "\\": "\\", "n": "\n", "t": "\t", "{": "{", "}": "}"}
_PATH = re.compile(r"\s*([^\W\d]\w*)((?:\.[^\W\d]\w*)*)\s*\Z")
# That something can't stand where it does: in a text a brace may have been meant.
_VAGUE = frozenset(("E0101", "E0108", "E0123"))
MAX_READ_ALONE = 500
# These begin an expression that is no name.
_KEYWORDS = frozenset(("true", "false", "none", "unlimited", "if", "match", "not", "first"))
# An instant's own colons begin no format.
_INNER = re.compile(r'\\.|[()\[\]{}:"]|\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d)?')

_HOUR = re.compile(r"(?<![\w.])\d{1,2}\Z")
_MINUTES = re.compile(r":[0-5]\d(?!\d)")


def build_text(token: Any, context: Context) -> ast.Text:
    """A Text of a token: its literal pieces and its interpolations in turn."""
    raw, start, strip = _content(token)
    parts: list[str | ast.Interpolation] = []
    literal: list[str] = []
    place = 0
    while place < len(raw):
        piece = _PIECE.match(raw, place)
        assert piece is not None
        text = piece[0]
        if text == "{":
            end = _closing(raw, place)
            if end is not None:
                if literal:
                    parts.append("".join(literal))
                    literal = []
                parts.append(_interpolation(raw, place, end, start, context))
                place = end
                continue
            span = context.span(start + place, start + place + 1)
            context.report("E0115", span, "This `{` is not closed.", "write `\\{` for a brace")
        elif text[0] == "\\":
            text = _escape(text, start + place, context)
        elif strip is not None:
            text = strip(text)
        literal.append(text)
        place = piece.end()
    if literal:
        parts.append("".join(literal))
    return ast.Text(context.of(token), _trimmed(parts, token))


def plain_text(token: Any, context: Context) -> str:
    """A text that has no interpolation: a title, a path, a state's name."""
    raw, start, strip = _content(token)

    def unescape(found: re.Match[str]) -> str:
        return _escape(found[0], start + found.start(), context)

    plain = re.sub(r"\\(?:\r\n|[\s\S])", unescape, raw) if "\\" in raw else raw
    return _without_last_indent(strip(plain).removeprefix("\n")) if strip else plain


def template_text(token: Any) -> str:
    """A text of Jinja2 as it is written: braces are not ours, and `\"\"\"` knows no escapes."""
    raw, _, strip = _content(token)
    if strip:
        return _without_last_indent(strip(raw).removeprefix("\n"))
    return re.sub(r"\\([\s\S])", lambda m: _ESCAPES.get(m[1], m[0]), raw)


def _content(token: Any) -> tuple[str, int, Any]:
    """What stands between the quotes, where it begins, and what takes the indent from a piece."""
    if token.type == "TEXT":
        return str(token)[1:-1], token.start_pos + 1, None
    raw = str(token)[3:-3]
    lines = re.split(r"\r\n?|\n", raw)[1:]
    indents = [line[: len(line) - len(line.lstrip(" \t"))] for line in lines if line.strip()]
    indent = re.escape(commonprefix(indents)) if indents else ""
    line_start = re.compile(rf"(?:\r\n?|\n)(?:{indent}|[ \t]+(?=[\r\n]))?")
    return raw, token.start_pos + 3, lambda piece: line_start.sub("\n", piece)


def _trimmed(parts: list[str | ast.Interpolation], token: Any) -> tuple[Any, ...]:
    """The parts of a `\"\"\"` text less its first line end and its last line's indent."""
    if token.type != "TEXT" and parts:
        if isinstance(parts[-1], str):
            parts[-1] = _without_last_indent(parts[-1])
        if isinstance(parts[0], str) and str(token)[3:4] in ("\r", "\n"):
            parts[0] = parts[0].removeprefix("\n")
    return tuple(part for part in parts if part != "")


def _without_last_indent(text: str) -> str:
    head, newline, tail = text.rpartition("\n")
    return head + newline if newline and not tail.strip(" \t") else text


def _escape(text: str, place: int, context: Context) -> str:
    char = text[1:]
    if char in _ESCAPES:
        return _ESCAPES[char]
    help = 'a text knows \\" \\\\ \\n \\t \\{ and \\}; write `\\\\` for a backslash'
    context.report("E0114", context.span(place, place + 2), f"There is no escape `{text}`.", help)
    return text


def _closing(raw: str, start: int) -> int | None:
    """The offset behind the `}` of the `{` at `start`, texts and inner braces passed over."""
    for place, sign, inside in _outside(raw, start):
        if sign == "}" and not inside:
            return place + 1
    return None


def _outside(raw: str, start: int) -> Iterator[tuple[int, str, str]]:
    """The brackets and colons of an expression outside its texts: place, sign, what is open.

    A text in it may hold expressions in braces again, whose signs are not the expression's own.
    """
    open_: list[str] = []
    for found in _INNER.finditer(raw, start):
        sign, top = found[0], open_[-1] if open_ else ""
        if sign == '"':
            if top == '"':
                open_.pop()
            else:
                open_.append(sign)
        elif top == '"':
            if sign == "{":
                open_.append(sign)
        elif sign in "([{":
            open_.append(sign)
        elif sign in ")]}" and open_:
            open_.pop()
        if '"' not in open_ and sign != '"':
            yield found.start(), sign, "".join(open_)


def _interpolation(
    raw: str, start: int, end: int, base: int, context: Context
) -> ast.Interpolation:
    """`{expression:format}` between two offsets of the content, which begins at `base`."""
    inner = raw[start + 1 : end - 1]
    colon = _colon(inner)
    if colon is not None and _holds_clock(inner, colon):
        colon = None
    written = inner if colon is None else inner[:colon]
    format_ = None if colon is None else inner[colon + 1 :]
    span = context.span(base + start, base + end)
    value = _value(written, base + start + 1, span, context)
    if isinstance(value, ast.Bad):
        format_ = None  # What stands behind its colon may be part of what went wrong.
    return ast.Interpolation(span, value, format_)


def _holds_clock(inner: str, colon: int) -> bool:
    """Whether a colon is that of a time of day: where it can be a format's, it is."""
    if not (_HOUR.search(inner, 0, colon) and _MINUTES.match(inner, colon)):
        return False
    from .grammar import fitting_tree

    if is_format(inner[colon + 1 :]) and fitting_tree(inner[:colon], "expr") is not None:
        return False
    return fitting_tree(inner, "expr") is not None


def _colon(inner: str) -> int | None:
    """Where the format begins: the first colon outside all brackets and texts."""
    if ":" not in inner:
        return None
    signs = _outside(inner, 0)
    return next((place for place, sign, inside in signs if sign == ":" and not inside), None)


def _value(written: str, start: int, span: Any, context: Context) -> ast.Expr:
    simple = _PATH.match(written)
    if simple and simple[1] not in _KEYWORDS:
        return _path(simple, start, context)
    from .build_expr import build_expr
    from .grammar import fitting_tree

    tree = fitting_tree(written, "expr")
    if tree is None:
        _complain(written, start, span, context)
        return ast.Bad(span)
    return build_expr(tree.children[0], context.inside(start, written))


def _complain(written: str, start: int, span: Any, context: Context) -> None:
    """Says what is wrong with an expression in braces, or that a brace was meant."""
    from .grammar import fitting_tree

    doubled = re.fullmatch(r"\{\s*([^{}]+?)\s*\}", written.strip())
    if doubled and fitting_tree(doubled[1], "expr") is not None:
        message = "One brace on each side is enough: two are those of templates."
        help_ = f"write `{{{doubled[1]}}}`, or `\\{{` for a brace"
        context.report("E0115", span, message, help_)
        return
    if len(written) < MAX_READ_ALONE:
        habit = _habit(written, start, context)
        if habit is not None:
            context.found.append(habit)
            return
    what = f"`{written.strip()[:40]}` is no expression" if written.strip() else "Nothing stands"
    message = f"{what} between the braces of this text."
    context.report("E0115", span, message, "write `\\{` for a brace")


def _habit(written: str, start: int, context: Context) -> Diagnostic | None:
    """What is told of the same expression on a line of its own, where that knows what was meant."""
    from .parse import parse

    head = "fn _text() {\n  return "
    shift = start - len(head)
    for found in parse(Source("", f"{head}{written}\n}}\n")).diagnostics:
        if found.code not in _VAGUE:
            place = context.span(found.span.start + shift, found.span.end + shift)
            return Diagnostic(found.code, place, found.message, found.help)
    return None


def _path(found: re.Match[str], start: int, context: Context) -> ast.Expr:
    """`a.b.c`, by far the most frequent interpolation, without the parser."""
    first, place = found.start(1), found.end(1)
    node: ast.Expr = ast.Name(context.span(start + first, start + place), found[1])
    for name in found[2].split(".")[1:]:
        name_span = context.span(start + place + 1, start + place + 1 + len(name))
        place += 1 + len(name)
        node = ast.Field(context.span(start + first, start + place), node, name, False, name_span)
    return node
