"""A sorted list in chunks: adding and removing cost little, whatever its length."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator
from typing import Any

_CHUNK = 1000

Entry = tuple[Any, str]


class SortedIndex:
    """Pairs of a value and a row's key, in order; values must be comparable with each other."""

    __slots__ = ("_chunks", "_lasts")

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        found = sorted(entries)
        self._chunks = [found[i : i + _CHUNK] for i in range(0, len(found), _CHUNK)]
        self._lasts = [chunk[-1] for chunk in self._chunks]

    def add(self, entry: Entry) -> None:
        """Adds a pair that is not there yet."""
        if not self._chunks:
            self._chunks.append([entry])
            self._lasts.append(entry)
            return
        at = min(bisect_left(self._lasts, entry), len(self._lasts) - 1)
        chunk = self._chunks[at]
        insort(chunk, entry)
        if len(chunk) > 2 * _CHUNK:
            self._chunks.insert(at + 1, chunk[_CHUNK:])
            del chunk[_CHUNK:]
            self._lasts.insert(at, chunk[-1])
        self._lasts[at] = chunk[-1]
        if at + 1 < len(self._chunks):
            self._lasts[at + 1] = self._chunks[at + 1][-1]

    def remove(self, entry: Entry) -> None:
        """Removes a pair that is there."""
        at = bisect_left(self._lasts, entry)
        chunk = self._chunks[at]
        del chunk[bisect_left(chunk, entry)]
        if chunk:
            self._lasts[at] = chunk[-1]
        else:
            del self._chunks[at], self._lasts[at]

    def keys(self, low: Any, low_in: bool, high: Any, high_in: bool) -> Iterator[str]:
        """The keys of values between two bounds, in order; a bound of None is open."""
        start = (0, 0) if low is None else self._find(low, after=not low_in)
        end = (len(self._chunks), 0) if high is None else self._find(high, after=high_in)
        for at in range(start[0], min(end[0] + 1, len(self._chunks))):
            first = start[1] if at == start[0] else 0
            last = end[1] if at == end[0] else None
            for _, key in self._chunks[at][first:last]:
                yield key

    def _find(self, value: Any, after: bool) -> tuple[int, int]:
        """Where the pairs of a value begin, or end: a chunk and a place in it."""
        bisect = bisect_right if after else bisect_left
        at = bisect(self._lasts, value, key=_value)
        if at == len(self._chunks):
            return at, 0
        return at, bisect(self._chunks[at], value, key=_value)


def _value(entry: Entry) -> Any:
    return entry[0]
