"""A text with replacements in it that still knows where each of its places stands in the file."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from ..diagnostics import Diagnostic

# A name that stands for what could not be read, until it becomes a Bad node.
BAD = "bad__"


class Edit(NamedTuple):
    """A replacement of a stretch of a text."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Complaint:
    """One mistake, and the edits (places of the parsed text) under which the rest is read."""

    diagnostic: Diagnostic
    edits: tuple[Edit, ...]


class _Piece(NamedTuple):
    """From `new` on the text comes from `start` of the file, and never from behind `end`."""

    new: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Mended:
    """A stretch of a file as it is parsed; `whole` while no replacement has moved anything."""

    text: str
    pieces: tuple[_Piece, ...]
    whole: bool = True

    def origin(self, place: int) -> int:
        """Where a place of this text stands in the file."""
        index = bisect_right(self.pieces, place, key=lambda piece: piece.new) - 1
        piece = self.pieces[max(index, 0)]
        return min(piece.start + place - piece.new, piece.end)

    def origin_end(self, place: int) -> int:
        """Where a stretch that ends at a place ends in the file."""
        return self.origin(place - 1) + 1 if place > 0 else self.origin(0)

    def replace(self, edits: Iterable[Edit]) -> Mended:
        """Replaces stretches of this text; of edits that overlap, the first counts."""
        texts: list[str] = []
        pieces: list[_Piece] = []
        size = done = 0
        whole = self.whole
        for edit in sorted(edits, key=lambda edit: edit[:2]):
            if edit.start < done:
                continue
            kept = self._cut(done, edit.start, size)
            pieces += kept
            texts += [self.text[done : edit.start], edit.text]
            size += edit.start - done
            first, last = self.origin(edit.start), self.origin_end(edit.end)
            if edit.text:
                pieces.append(_Piece(size, first, max(first, last)))
            size += len(edit.text)
            done = edit.end
            whole = whole and len(edit.text) == edit.end - edit.start
        pieces += self._cut(done, len(self.text), size)
        texts.append(self.text[done:])
        return Mended("".join(texts), tuple(pieces), whole)

    def slice(self, start: int, end: int) -> Mended:
        """A stretch of this text by itself."""
        return Mended(self.text[start:end], tuple(self._cut(start, end, 0)), self.whole)

    def _cut(self, start: int, end: int, new: int) -> list[_Piece]:
        """The pieces of a stretch, which will stand at `new`."""
        if start >= end and end < len(self.text):
            return []
        index = max(bisect_right(self.pieces, start, key=lambda piece: piece.new) - 1, 0)
        found: list[_Piece] = []
        while index < len(self.pieces) and (self.pieces[index].new < end or not found):
            piece = self.pieces[index]
            skip = max(start - piece.new, 0)
            found.append(
                _Piece(
                    new + max(piece.new - start, 0),
                    min(piece.start + skip, piece.end),
                    piece.end,
                )
            )
            index += 1
        return found


def joined(parts: Iterable[Mended]) -> Mended:
    """Several texts as one."""
    texts: list[str] = []
    pieces: list[_Piece] = []
    size = 0
    for part in parts:
        pieces += [piece._replace(new=piece.new + size) for piece in part.pieces]
        texts.append(part.text)
        size += len(part.text)
    return Mended("".join(texts), tuple(pieces), whole=False)


def inserted(text: str, place: int) -> Mended:
    """A text that the file does not have, all of which stands at one place of it."""
    return Mended(text, (_Piece(0, place, place),), whole=False)


def unchanged(text: str, start: int, end: int) -> Mended:
    """A stretch of a file as it stands there."""
    return Mended(text[start:end], (_Piece(0, start, end),))
