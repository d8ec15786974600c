"""What the stages of the language tell an author: values, never exceptions."""

from __future__ import annotations

import posixpath
from bisect import bisect_right
from collections.abc import Iterable
from functools import lru_cache
from typing import Literal

from msgspec import Struct, field

Severity = Literal["error", "warning"]


class Span(Struct, frozen=True):
    """A stretch of a file: offsets in characters, the end not included."""

    file: str
    start: int
    end: int

    def to(self, other: Span) -> Span:
        """The stretch from the beginning of this one to the end of the other."""
        return Span(self.file, self.start, max(self.end, other.end))


class Source(Struct):
    """A file's name as the author gave it, and its text."""

    name: str
    text: str
    _lines: list[int] = field(default_factory=list)

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column, both counted from 1, of an offset."""
        if not self._lines:
            self._lines = [0]
            self._lines += [i + 1 for i, char in enumerate(self.text) if char == "\n"]
        line = bisect_right(self._lines, offset)
        return line, offset - self._lines[line - 1] + 1

    def line(self, number: int) -> str:
        """The text of a line, counted from 1, without its end; empty where there is none."""
        self.position(0)
        if not 1 <= number <= len(self._lines):
            return ""
        end = self._lines[number] if number < len(self._lines) else len(self.text)
        return self.text[self._lines[number - 1] : end].rstrip("\r\n")


class Fix(Struct, frozen=True):
    """A replacement of a span; `certain` where `check --fix` may apply it unasked."""

    span: Span
    text: str
    certain: bool = True


class Label(Struct, frozen=True):
    """A second place that explains the first."""

    span: Span
    text: str


class Diagnostic(Struct, frozen=True):
    """One mistake: a stable code (see `codes.CODES`), where, what, and what to do."""

    code: str
    span: Span
    message: str
    help: str | None = None
    fix: Fix | None = None
    labels: tuple[Label, ...] = ()

    @property
    def severity(self) -> Severity:
        """Codes that begin with W are warnings."""
        return "warning" if self.code.startswith("W") else "error"


def distance(a: str, b: str, limit: int) -> int:
    """The Damerau-Levenshtein distance (adjacent swaps count one), or limit + 1 where larger."""
    if abs(len(a) - len(b)) > limit:
        return limit + 1
    if limit < 1:
        return int(a != b)
    a, b = _apart(a, b)
    before: list[int] = []
    previous = list(range(len(b) + 1))
    for i, left in enumerate(a, 1):
        current = [i]
        for j, right in enumerate(b, 1):
            cost = min(previous[j] + 1, current[j - 1] + 1, previous[j - 1] + (left != right))
            if i > 1 and j > 1 and left == b[j - 2] and a[i - 2] == right:
                cost = min(cost, before[j - 2] + 1)
            current.append(cost)
        if min(current) > limit and min(previous) > limit:
            return limit + 1  # What comes behind makes it no less.
        before, previous = previous, current
    return previous[-1]


def _apart(a: str, b: str) -> tuple[str, str]:
    """Two texts without what they begin and end with alike: that costs no step."""
    end = min(len(a), len(b))
    first = next((at for at in range(end) if a[at] != b[at]), end)
    a, b, end = a[first:], b[first:], end - first
    last = next((at for at in range(end) if a[-1 - at] != b[-1 - at]), end)
    return a[: len(a) - last], b[: len(b) - last]


def an(name: str) -> str:
    """A name behind its article, for messages: `an Account`, `a User`."""
    return f"an {name}" if name[0] in "AEIOaeio" else f"a {name}"


def normal(path: str) -> str:
    """A path as diagnostics print it: forward slashes, no `./`."""
    return posixpath.normpath(path.replace("\\", "/")) if path else path


def did_you_mean(name: str, known: Iterable[object]) -> str | None:
    """The known name nearest to a mistyped one, where it is near enough to be meant."""
    best: str | None = None
    limit = max(1, len(name) // 3)
    for least, candidate in likeliest(name, map(str, known), limit):
        if least > limit:
            break
        steps = distance(name.lower(), candidate.lower(), limit)
        if steps < limit or (steps == limit and (best is None or candidate < best)):
            best, limit = candidate, steps
    return best


def likeliest(name: str, known: Iterable[str], most: int) -> list[tuple[int, str]]:
    """Names by how many steps each is away at the least, those beyond `most` left out.

    That is told by their letters alone, whatever the case and order, in a hundredth of the time
    that `distance` takes.
    """
    letters, length = _letters(name)
    found = []
    for other in known:
        others, size = _letters(other)
        # Of those that only one of both has, a step does away with one on either side.
        least = ((letters ^ others).bit_count() + abs(length - size) + 1) // 2
        if least <= most:
            found.append((least, other))
    found.sort()
    return found


@lru_cache(maxsize=1 << 14)
def _letters(name: str) -> tuple[int, int]:
    """A bit for each letter of a name and each time that it is there, up to four; its length."""
    found = 0
    for letter in name.lower():
        bit = 1 << ord(letter) % 64 * 4
        while found & bit and bit << 1 & _AGAIN:
            bit <<= 1
        found |= bit
    return found, len(name.lower())


_AGAIN = sum(0b1110 << 4 * place for place in range(64))
