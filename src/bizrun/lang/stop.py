"""Where the parser stopped: the part of the text around it, and how something is said of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from ..diagnostics import Diagnostic, Fix, Span
from .mend import Complaint, Edit
from .shape import Part

_TOKEN = re.compile(r'"(?:[^"\\\n]|\\.)*"?|\d[\w.]*|[^\W\d]\w*|[=<>!&|+*/-]+|[^\s]', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Stop:
    """Where the parser stopped: the part of the text around it and what it would have taken.

    `head` is the part's text up to its next block, `at` the place in it; `token` what stands
    there, empty at the end of a line; `expected` has words as they are and kinds as a person says
    them; `works` tells whether edits let the part be read. All places are those of the text.
    """

    text: str
    keyword: str
    part: Part
    place: int
    token: str
    expected: frozenset[str]
    works: Callable[[tuple[Edit, ...]], bool]

    @property
    def head(self) -> str:
        """The text of the part around the place, up to its next block."""
        return self.text[self.part.head[0] : self.part.head[1]]

    @property
    def at(self) -> int:
        """The place, counted from the beginning of the head."""
        return self.place - self.part.head[0]

    def match(self, pattern: str) -> re.Match[str] | None:
        """The first match in the head that touches the place."""
        for found in re.finditer(pattern, self.head):
            if found.start() <= self.at <= found.end():
                return found
        return None

    def complain(
        self,
        code: str,
        message: str,
        help: str | None = None,
        *,
        span: tuple[int, int] | None = None,
        fix: tuple[int, int, str] | None = None,
        certain: bool = True,
        mend: bool = True,
    ) -> Complaint:
        """A complaint about the token or a span of the head (places counted in the head)."""
        low = self.part.head[0]
        start, end = span if span else (self.at, self.at + max(len(self.token), 1))
        where = Span("", low + start, max(low + end, low + start))
        repair: Fix | None = None
        edits: tuple[Edit, ...] = ()
        if fix is not None:
            a, b, text = low + fix[0], low + fix[1], fix[2]
            repair = Fix(Span("", a, b), text, certain)
            edits = (Edit(a, b, text),) if mend else ()
        return Complaint(Diagnostic(code, where, message, help, repair), edits)


def token_at(text: str, place: int) -> str:
    """The word, number, text or sign at a place; empty at the end of a line."""
    found = _TOKEN.match(text, place)
    return found[0].split("\n")[0] if found else ""
