"""Brackets that have no partner: which one, and where its partner would have stood."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..diagnostics import Diagnostic, Fix, Span
from .mend import BAD, Complaint, Edit

_CLOSER = {"(": ")", "[": "]", "{": "}"}


@dataclass(frozen=True, slots=True)
class _Open:
    place: int
    bracket: str
    indent: int


# So many lines before a `}` too many are searched for the one that lacks its `{`.
LOOK_BACK = 60
# And so many behind a `{` without its `}` for the one before which that is missing.
LOOK_AHEAD, LONGEST_LINE = 200, 1000
_RANGE = re.compile(r"[\[(]\s*([^\[\](){}\n]+?)\s*\.\.\s*([^\[\](){}\n]+?)\s*[\])]")
_BLOCK = "what belongs to it stands in braces"
# How a map begins: `(...made, due: now }`.
_ENTRIES = re.compile(r"\(\s*(?:\.\.\.\s*[^\W\d]|[^\W\d]\w*\s*:)")
_HALF = re.compile(r"(?:\b(?:where|when|unless|if|in|and|or|not)|[-+*/=<>])\Z")


def unbalanced(
    file: str, text: str, brackets: Sequence[int], start: int, end: int
) -> list[Complaint]:
    """The brackets of one declaration (places in the file) that lack a partner.

    Lines' indentation tells which of several was forgotten.
    """
    if _balanced(text, brackets):
        return []
    return _Pairing(file, text, start, end).run(brackets)


def _balanced(text: str, brackets: Sequence[int]) -> bool:
    stack: list[str] = []
    for place in brackets:
        bracket = text[place]
        if bracket in _CLOSER:
            stack.append(_CLOSER[bracket])
        elif not stack or stack.pop() != bracket:
            return False
    return not stack


class _Pairing:
    def __init__(self, file: str, text: str, start: int, end: int) -> None:
        self.file = file
        self.text = text
        self.start = start
        self.end = end
        self.stack: list[_Open] = []
        self.found: list[Complaint] = []
        # What a `}` behind code has closed of a line above, by that line's indent.
        self.early: dict[int, int] = {}

    def run(self, brackets: Sequence[int]) -> list[Complaint]:
        for place in brackets:
            if self.text[place] in _CLOSER:
                self.stack.append(_Open(place, self.text[place], self.indent(place)[0]))
            else:
                self.close(place)
        while self.stack:
            self.unclosed(self.stack.pop(), self.end)
        return self.found

    def close(self, place: int) -> None:
        bracket = self.text[place]
        if self.stack and bracket != "}" and self.half_open(self.stack[-1], place):
            self.stack.pop()
            return
        if self.stack and self.other_kind(self.stack[-1], place):
            self.stack.pop()
            return
        while self.stack and _CLOSER[self.stack[-1].bracket] != bracket:
            # `{ (  }`: the inner one was forgotten; but `( } )` has a `}` too many.
            if not any(_CLOSER[opened.bracket] == bracket for opened in self.stack):
                break
            self.unclosed(self.stack.pop(), place)
        indent, first = self.indent(place)
        if not self.stack or _CLOSER[self.stack[-1].bracket] != bracket:
            self.stray(place)
            return
        if first and bracket == "}":
            if indent > self.stack[-1].indent and not self.on_line(self.stack[-1].place, place):
                self.stray(place)
                return
            while indent < self.stack[-1].indent and len(self.stack) > 1:
                self.unclosed(self.stack.pop(), place)
        opened = self.stack.pop()
        if bracket == "}" and not first and not self.on_line(opened.place, place):
            self.early[opened.indent] = place

    def half_open(self, opened: _Open, place: int) -> bool:
        """Whether two brackets stand about a range, as in `[18..25)`; reports it."""
        if _CLOSER[opened.bracket] == self.text[place] or place - opened.place > 100:
            return False
        range_ = _RANGE.fullmatch(self.text, opened.place, place + 1)
        if range_ is None:
            return False
        low, high = range_.groups()
        one = ">" if opened.bracket == "(" else ">="
        other = "<" if self.text[place] == ")" else "<="
        diagnostic = Diagnostic(
            "E0140",
            Span(self.file, opened.place, place + 1),
            f"A range has no brackets: both its ends are in `{low}..{high}`.",
            f"write `x {one} {low} and x {other} {high}`",
        )
        edits = (Edit(opened.place, opened.place + 1, " "), Edit(place, place + 1, " "))
        self.found.append(Complaint(diagnostic, edits))
        return True

    def other_kind(self, opened: _Open, place: int) -> bool:
        """Whether a `}` closes the `(` of entries, or of a block below it; reports it."""
        if opened.bracket == "{" or self.text[place] != "}":
            return False
        line_end = self.text.find("\n", opened.place, place)
        if line_end < 0:
            around = self.stack[-2] if len(self.stack) > 1 else None
            if around is not None and self.on_line(around.place, place):
                return False
            if not _ENTRIES.match(self.text, opened.place, place):
                return False
        else:
            behind = self.text[opened.place + 1 : line_end].split(" #")[0].strip()
            if behind or self.indent(place) != (opened.indent, True):
                return False
        span = Span(self.file, opened.place, opened.place + 1)
        message = f"This `{opened.bracket}` is closed by a `}}`."
        fix = Fix(span, "{", certain=False)
        what = "entries" if line_end < 0 else "lines"
        diagnostic = Diagnostic("E0105", span, message, f"{what} stand in braces", fix)
        self.found.append(Complaint(diagnostic, (Edit(span.start, span.end, "{"),)))
        return True

    def unclosed(self, opened: _Open, before: int) -> None:
        """Reports a bracket whose partner would have to stand before a place."""
        closer = _CLOSER[opened.bracket]
        if opened.bracket != "{":
            before = self.line_end(opened.place, before)
        else:
            before = self.dedent(opened, before)
        span = Span(self.file, opened.place, opened.place + 1)
        text = closer if opened.bracket != "{" else f"\n{closer}\n"
        diagnostic = Diagnostic(
            "E0105",
            span,
            f"This `{opened.bracket}` is not closed.",
            f"a `{closer}` is missing",
            Fix(Span(self.file, before, before), closer, certain=False),
        )
        self.found.append(Complaint(diagnostic, (Edit(before, before, text),)))

    def dedent(self, opened: _Open, limit: int) -> int:
        """Where a `{` ends by the indentation: behind the last line that is indented more than its
        own. At the limit where the lines of its block aren't."""
        last = self.text.find("\n", opened.place, min(limit, opened.place + LONGEST_LINE))
        if last < 0:
            return limit
        inside = bool(self.text[opened.place + 1 : last].split(" #")[0].strip())
        start = last + 1
        for _ in range(LOOK_AHEAD):
            if start >= limit:
                break
            end = self.text.find("\n", start, limit)
            end = limit if end < 0 else end
            line = self.text[start:end]
            if line.strip():
                if len(line) - len(line.lstrip()) <= opened.indent:
                    return last if inside else limit
                inside, last = True, end
            start = end + 1
        return limit

    def stray(self, place: int) -> None:
        if self.too_early(place):
            return
        line = self.headless_line(place)
        if line is not None:
            self.headless(*line)
            return
        span = Span(self.file, place, place + 1)
        message = f"This `{self.text[place]}` closes nothing."
        fix = Fix(span, "", certain=False)
        diagnostic = Diagnostic("E0106", span, message, "take it away, or open one before", fix)
        self.found.append(Complaint(diagnostic, (Edit(place, place + 1, " "),)))

    def too_early(self, place: int) -> bool:
        """Whether a `}` first on its line is the one of a block that a `}` behind code has closed,
        as in `if a > 1 log "x" }`: that line lacks its `{`; reports it."""
        indent, first = self.indent(place)
        early = self.early.pop(indent, None) if first and self.text[place] == "}" else None
        if early is None or place - early > LOOK_BACK * LONGEST_LINE:
            return False
        lines = [line for line in self.text[early + 1 : place].splitlines()[1:] if line.strip()]
        if not lines or any(len(line) - len(line.lstrip()) <= indent for line in lines):
            return False
        start = max(self.text.rfind("\n", self.start, early) + 1, self.start)
        start += len(self.text[start:early]) - len(self.text[start:early].lstrip())
        span = Span(self.file, start, early + 1)
        diagnostic = Diagnostic("E0132", span, "A `{` is missing in this line.", _BLOCK)
        self.found.append(Complaint(diagnostic, (Edit(start, early + 1, BAD),)))
        return True

    def headless_line(self, place: int) -> tuple[int, int] | None:
        """The line that a `}` first on its line would close, if only it had opened a block.

        That is the newest one with the same indent, where what follows it is indented more.
        """
        indent, first = self.indent(place)
        if not first or self.text[place] != "}":
            return None
        end, inner = place - indent, False
        for _ in range(LOOK_BACK):
            if end <= self.start:
                return None
            start = max(self.text.rfind("\n", self.start, end - 1) + 1, self.start)
            line = self.text[start:end].split(" #")[0].rstrip()
            found = len(line) - len(line.lstrip())
            if line and found <= indent:
                opens = line.endswith(("{", "(", "[", "}", ","))
                return (start + found, start + len(line)) if inner and not opens else None
            inner = inner or bool(line)
            end = start
        return None

    def headless(self, start: int, end: int) -> None:
        """Reports the missing `{` of a line whose `}` is there."""
        fix = Fix(Span(self.file, end, end), " {", certain=False)
        message = "A `{` is missing at the end of this line."
        diagnostic = Diagnostic("E0132", Span(self.file, start, end), message, None, fix)
        half = _HALF.search(self.text, max(start, end - 10), end)
        text = f" {BAD} {{" if half else " {"
        self.found.append(Complaint(diagnostic, (Edit(end, end, text),)))

    def line_end(self, place: int, limit: int) -> int:
        """Where a bracket in a line would be closed: before a comment or the `{` of a block."""
        end = self.text.find("\n", place, limit)
        end = limit if end < 0 else end
        line = self.text[place:end]
        comment = line.find(" #")
        line = (line[:comment] if comment > 0 else line).rstrip().removesuffix("{").rstrip()
        return place + max(len(line), 1)

    def indent(self, place: int) -> tuple[int, bool]:
        """How far the line of a place is indented, and whether nothing stands before it there."""
        line = self.text.rfind("\n", max(0, place - 1000), place) + 1
        line = max(line, place - 1000, 0)
        before = self.text[line:place]
        blank = len(before) - len(before.lstrip())
        return blank, blank == len(before)

    def on_line(self, first: int, second: int) -> bool:
        return "\n" not in self.text[first : min(second, first + 1000)]
