"""Which statement, line or entry a place belongs to, by brackets and lines alone."""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass

from .scan import scan

_CONTINUES = re.compile(r"[ \t]*(?:\.\w|(?:and|or|where|order[ \t]+by|else)\b)")
_ENDS_OPEN = re.compile(
    r"(?:(?<![-+])[-+]|[*/=<>,|:.]|\?\?|\b(?:and|or|not|where|then|else|in|of))[ \t\r]*\Z"
)
# An `if x:` of another language is complete with its colon.
_CODE_LINE = re.compile(r"[ \t]*(?:if|else|for|while)\b")
_LINE_FEED = re.compile(r"\n")
_TEXT = re.compile(r'"(?:[^"\\\n]|\\.)*"')


@dataclass(frozen=True, slots=True)
class Part:
    """A statement, line of fields or entry; `opener` is the bracket it stands in, None at the top.

    `head` is the stretch of it around the place, between the blocks that it has.
    """

    start: int
    end: int
    head: tuple[int, int]
    opener: int | None
    depth: int


class Shape:
    """The brackets and comments of a text that is being read."""

    def __init__(self, text: str) -> None:
        scanned = scan(text)
        self.text = text
        self.partner: dict[int, int] = {}
        self.comments = [(c.start, c.end) for c in scanned.comments]
        self.long = [span for chunk in scanned.chunks for span in chunk.long]
        stack: list[int] = []
        for chunk in scanned.chunks:
            for place in chunk.brackets:
                if text[place] in "([{":
                    stack.append(place)
                elif stack:
                    self.partner[stack.pop()] = place
        for place in stack:
            self.partner[place] = len(text)

    def before(self, place: int) -> int:
        """The place behind the newest character before a place that is no blank and no comment."""
        while True:
            end = len(self.text[max(0, place - 2000) : place].rstrip()) + max(0, place - 2000)
            index = bisect_left(self.comments, (end, end)) - 1
            if index >= 0 and self.comments[index][0] < end <= self.comments[index][1]:
                end = self.comments[index][0]
            if end in (place, 0):
                return end
            place = end

    def goes_on(self, end: int) -> bool:
        """Whether what ends at a place is not complete without what follows."""
        return bool(_ENDS_OPEN.search(self.text[max(0, end - 10) : end]))

    def part(self, place: int) -> Part:
        """The smallest part around a place that can be left out by itself."""
        text, origin = self.text, place
        around = sorted(o for o, c in self.partner.items() if o < place <= c and place < c + 1)
        around = [o for o in around if self.partner[o] > place or place == len(self.text)]
        while around and not self._separates(around[-1], place):
            place = around.pop()
        opener = around[-1] if around else None
        low, high = (0, len(text)) if opener is None else (opener + 1, self.partner[opener])
        inner = self._children(low, high)
        lines = "\n" in self.text[low:high]
        start, end = self._bounds(place, low, high, inner, lines)
        start += len(self.text[start:end]) - len(self.text[start:end].lstrip())
        start = min(start, place)
        first = max([start, *(c + 1 for _, c in inner if c < place and c >= start)])
        last = min([end, *(o for o, _ in inner if o >= origin and o < end)])
        return Part(start, max(end, start), (first, max(last, first)), opener, len(around))

    def block(self) -> tuple[int, int] | None:
        """The braces of the largest block of a declaration."""
        blocks = [(o, c) for o, c in self._children(0, len(self.text)) if self.text[o] == "{"]
        return max(blocks, key=lambda block: block[1] - block[0], default=None)

    def statements(self) -> list[tuple[int, int]]:
        """The stretches of the statements in the largest block of a declaration."""
        block = self.block()
        if block is None:
            return []
        low, high = block
        masked = self._masked(low + 1, high, self._children(low + 1, high))
        found: list[tuple[int, int]] = []
        start = 0
        for line_feed in (*(m.start() for m in _LINE_FEED.finditer(masked)), len(masked)):
            if line_feed < len(masked) and self._joined(masked, line_feed):
                continue
            if masked[start:line_feed].strip():
                found.append((low + 1 + start, low + 1 + line_feed))
            start = line_feed + 1
        return found

    def _separates(self, opener: int, place: int) -> bool:
        """Whether lines or commas end something between these brackets."""
        return self.text[opener] == "{"

    def _children(self, low: int, high: int) -> list[tuple[int, int]]:
        found = list(self.long)
        found += self.partner.items()
        found = sorted((o, c) for o, c in found if low <= o and c <= high)
        outer: list[tuple[int, int]] = []
        for o, c in found:
            if not outer or o > outer[-1][1]:
                outer.append((o, c))
        return outer

    def _bounds(
        self, place: int, low: int, high: int, inner: list[tuple[int, int]], lines: bool
    ) -> tuple[int, int]:
        masked = self._masked(low, high, inner)
        separators = "\n" if lines else ","
        at = min(place - low, len(masked))
        start = masked.rfind(separators, 0, at) + 1
        end = masked.find(separators, at)
        end = len(masked) if end < 0 else end
        while lines and start > 0 and self._joined(masked, start - 1):
            start = masked.rfind("\n", 0, start - 1) + 1
        while lines and end < len(masked) and self._joined(masked, end):
            following = masked.find("\n", end + 1)
            end = len(masked) if following < 0 else following
        if not lines and end < len(masked):
            end += 1
        return low + start, low + end

    def _joined(self, masked: str, line_feed: int) -> bool:
        """Whether a line feed ends nothing, since the next line goes on or this one has to."""
        line = masked[max(0, line_feed - 300) : line_feed].rstrip()
        before = line[-10:]
        if before.endswith(":") and _CODE_LINE.match(line, line.rfind("\n") + 1):
            return False
        return bool(_CONTINUES.match(masked, line_feed + 1) or _ENDS_OPEN.search(before))

    def _masked(self, low: int, high: int, inner: list[tuple[int, int]]) -> str:
        """A stretch in which what brackets, texts and comments hold shows no separators."""
        hidden = [(start, min(end + 1, high), "_") for start, end in inner]
        hidden += [
            (start, end, " ") for start, end in self.comments if low <= start and end <= high
        ]
        pieces: list[str] = []
        done = low
        for start, end, filler in sorted(hidden):
            if start >= done:
                pieces += [self.text[done:start], filler * (end - start)]
                done = end
        pieces.append(self.text[done:high])
        return _TEXT.sub(lambda found: "_" * len(found[0]), "".join(pieces))
