"""How things look on a terminal: diagnostics with their excerpt, and the only colours there are."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from ..diagnostics import Diagnostic, Source, Span

TAB = 4
WIDTH = 160
_STYLES = {"error": "1;31", "warning": "1;33", "help": "1;36", "frame": "34", "bold": "1"}
_STYLES |= {"fine": "32", "dim": "2"}


def colours(stream: TextIO) -> bool:
    """Whether to colour: on a terminal that can, where NO_COLOR does not say otherwise."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return not plain and stream.isatty()


def paint(text: str, style: str, colour: bool) -> str:
    """The text in a style (error warning help frame bold fine dim), as it is without colour."""
    return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if colour and text else text


def diagnostic_text(problem: Diagnostic, sources: Mapping[str, Source], colour: bool) -> str:
    """A diagnostic with place, excerpt, carets, labels and help, without a newline at its end."""
    head = paint(f"{problem.severity}[{problem.code}]", problem.severity, colour)
    lines = [head + paint(f": {printable(problem.message)}", "bold", colour)]
    marks = [_mark(problem.span, "", True, sources)]
    marks += [_mark(label.span, label.text, False, sources) for label in problem.labels]
    placed = [mark for mark in marks if mark]
    gutter = max((len(str(mark.line)) for mark in placed), default=1)
    most = _columns() - gutter - len(" | ")
    shown: str | None = None
    line = 0
    for mark in _by_file(placed):
        if mark.source.name != shown:
            arrow = "-->" if shown is None else ":::"
            named = placed[0] if shown is None else mark
            place = f"{printable(named.source.name)}:{named.line}:{named.column}"
            lines.append(f"{' ' * gutter}{paint(arrow, 'frame', colour)} {place}")
            lines.append(_frame("", gutter, colour))
            shown, line = mark.source.name, 0
        text, under = _excerpt(mark, gutter, most, problem.severity, colour)
        lines += (
            [under] if mark.line == line and len(mark.source.line(line)) <= most else [text, under]
        )
        line = mark.line
    if problem.help:
        lines.append(f"{paint('help', 'help', colour)}: {printable(problem.help)}")
    return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class _Mark:
    """A stretch of one line to underline; columns count characters from 1."""

    source: Source
    line: int
    column: int
    end: int
    text: str
    primary: bool


def _mark(span: Span, text: str, primary: bool, sources: Mapping[str, Source]) -> _Mark | None:
    source = sources.get(span.file)
    if source is None:
        return None
    line, column = source.position(span.start)
    last, end = source.position(max(span.end, span.start))
    if last > line:
        end = len(source.line(line)) + 1
    return _Mark(source, line, column, max(end, column + 1), text, primary)


def _by_file(marks: list[_Mark]) -> list[_Mark]:
    """The primary mark's file first and in the order of lines, then other files'."""
    if not marks:
        return []
    first = marks[0].source.name
    return sorted(marks, key=lambda m: (m.source.name != first, m.source.name, m.line, m.column))


def _frame(number: str, gutter: int, colour: bool) -> str:
    return paint(f"{number:>{gutter}} |", "frame", colour)


def _excerpt(mark: _Mark, gutter: int, most: int, severity: str, colour: bool) -> tuple[str, str]:
    """The line of a mark, and the line of signs under it."""
    text = mark.source.line(mark.line)
    start, line = _window(text, mark, most)
    shown, before = _laid_out(line, mark.column - 1 - start)
    upto = width(line[: mark.end - 1 - start])
    signs = ("^" if mark.primary else "-") * max(1, min(upto, width(line)) - before)
    under = " " * before + signs + (f" {printable(mark.text)}" if mark.text else "")
    style = severity if mark.primary else "frame"
    return (
        f"{_frame(str(mark.line), gutter, colour)} {shown}".rstrip(),
        f"{_frame('', gutter, colour)} {paint(under, style, colour)}",
    )


def _window(text: str, mark: _Mark, most: int) -> tuple[int, str]:
    """Of a very long line the part around the mark, and where that begins."""
    if len(text) <= most:
        return 0, text
    start = max(0, min(mark.column - 1 - most // 3, len(text) - most))
    return start, text[start : start + most]


def _columns() -> int:
    """How many columns there are for an excerpt: on a narrow terminal the signs stay below it."""
    if not sys.stdout.isatty():
        return WIDTH
    return max(40, min(WIDTH, shutil.get_terminal_size().columns))


def _laid_out(line: str, column: int) -> tuple[str, int]:
    """A line with tabs as blanks, and how wide it is before a character."""
    pieces: list[str] = []
    at = 0
    for char in line:
        if char == "\t":
            step = TAB - at % TAB
            pieces.append(" " * step)
        else:
            step = char_width(char)
            pieces.append(printable(char))
        at += step
    return "".join(pieces), width(line[:column])


def width(text: str) -> int:
    """How many columns a text takes on a terminal, tabs to the next multiple of four."""
    if text.isascii() and "\t" not in text:
        return len(text)
    at = 0
    for char in text:
        at += TAB - at % TAB if char == "\t" else char_width(char)
    return at


def char_width(char: str) -> int:
    """0 for what combines with the character before, 2 for wide characters, else 1."""
    if char < "\u0300":
        return 1
    import unicodedata

    if not char.isprintable():
        return 1
    if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def printable(text: str) -> str:
    """A text that can't move the cursor: what is not printable becomes `\ufffd`."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char == "\n" else "\ufffd" for char in text)


def summary(problems: Iterable[Diagnostic], checked: list[str], colour: bool) -> str:
    """The closing line: `3 errors, 1 warning in 2 files`, or `specs/saas.biz: fine`."""
    problems = list(problems)
    if not problems:
        what = checked[0] if len(checked) == 1 else f"{len(checked)} files"
        return f"{printable(what)}: {paint('fine', 'fine', colour)}"
    errors = sum(problem.severity == "error" for problem in problems)
    parts = []
    if errors:
        parts.append(paint(plural(errors, "error"), "error", colour))
    if errors < len(problems):
        parts.append(paint(plural(len(problems) - errors, "warning"), "warning", colour))
    files = len({problem.span.file for problem in problems})
    told = "".join(_linked(checked) if _BESIDE & {problem.code for problem in problems} else ())
    return f"{', '.join(parts)} in {plural(files, 'file')}{told}"


# What is said of a file that stands beside another one, and isn't there.
_BESIDE = frozenset(("E0211", "E0501", "E0504"))


def _linked(checked: Iterable[str]) -> Iterable[str]:
    """Specs that were named by a link: what they use is looked for beside that."""
    for name in checked:
        if Path(name).is_symlink():
            yield (
                f"\n{printable(name)} is a link to {printable(str(Path(name).resolve()))}: what it "
                "uses, and its templates, are looked for beside the link"
            )


def plural(count: int, noun: str) -> str:
    """`1 error`, `3 errors`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
