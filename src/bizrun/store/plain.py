"""Events that were handled as they came: kept in runs, as the text that they came in."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from operator import lt

import msgspec

from .base import Known, LogEntry, Plain

FEWEST = 8  # in a run that is worth keeping as one
_MOST_UNFOLDED = 16


def _grow(ids: Sequence[str]) -> bool:
    """Whether each of some ids is larger than the one before it, as they mostly are."""
    return all(map(lt, ids, islice(ids, 1, None)))


def ends(ids: Sequence[str]) -> tuple[str, str]:
    """The smallest and the largest of some ids."""
    return (ids[0], ids[-1]) if _grow(ids) else (min(ids), max(ids))


def smallest(ids: Sequence[str]) -> str | None:
    """The smallest of some ids that are all different; None where two are the same."""
    if _grow(ids):
        return ids[0] if ids else ""
    return min(ids) if len(set(ids)) == len(ids) else None


class _Head(msgspec.Struct, gc=False):
    id: str
    type: str
    time: str


_head = msgspec.json.Decoder(_Head).decode


def entries_of(plain: Plain) -> list[LogEntry]:
    """The entries of the log that a run stands for."""
    return unfolded(plain.first, plain.text, plain.fired)


def unfolded(first: int, text: bytes, fired: list[str] | None) -> list[LogEntry]:
    """The same of a run's parts."""
    raws = text.decode().split("\n")
    raws.pop()
    found = []
    for seq, (raw, places) in enumerate(zip(raws, fired or [""] * len(raws), strict=True), first):
        head = _head(raw)
        found.append(LogEntry(
            seq, "", head.id, head.type, head.time, raw.strip(), "handled", None, None, places
        ))  # fmt: skip
    return found


class Unfolded:
    """The entries of the runs that were asked for last, with their places by id."""

    def __init__(self) -> None:
        self._held: dict[int, tuple[list[LogEntry], dict[str, int]]] = {}

    def clear(self) -> None:
        """Forgets all: what is stored has changed."""
        self._held.clear()

    def entries(self, first: int, load: Callable[[], list[LogEntry]]) -> list[LogEntry]:
        """The entries of the run that begins with this seq."""
        return self._of(first, load)[0]

    def known(
        self, first: int, load: Callable[[], list[LogEntry]], ids: Iterable[str]
    ) -> Iterator[tuple[str, Known]]:
        """Which of these ids the run has."""
        entries, places = self._of(first, load)
        for id in ids:
            if id in places:
                yield id, Known(entries[places[id]].seq, "handled")

    def _of(
        self, first: int, load: Callable[[], list[LogEntry]]
    ) -> tuple[list[LogEntry], dict[str, int]]:
        held = self._held.get(first)
        if held is None:
            if len(self._held) >= _MOST_UNFOLDED:
                self._held.clear()
            entries = load()
            places = {entry.id: place for place, entry in enumerate(entries)}
            held = self._held[first] = entries, places
        return held


class Runs:
    """Runs by the range of their ids: no two overlap, so that an id tells where to look."""

    def __init__(self) -> None:
        self._highs: list[str] = []
        self._runs: list[tuple[str, Plain]] = []  # with their lowest id
        self._unfolded = Unfolded()

    def __bool__(self) -> bool:
        return bool(self._runs)

    def top(self) -> str:
        """The largest id of all."""
        return self._highs[-1] if self._highs else ""

    def free(self, low: str, high: str) -> bool:
        """Whether no run has ids between these."""
        at = bisect_left(self._highs, low)
        return at == len(self._highs) or self._runs[at][0] > high

    def add(self, low: str, high: str, plain: Plain) -> None:
        """Adds a run where it is free."""
        at = bisect_left(self._highs, high)
        self._highs.insert(at, high)
        self._runs.insert(at, (low, plain))

    def drop_after(self, seq: int) -> None:
        """Drops the runs that begin after an entry."""
        kept = [n for n, (_, plain) in enumerate(self._runs) if plain.first <= seq]
        self._highs = [self._highs[n] for n in kept]
        self._runs = [self._runs[n] for n in kept]
        self._unfolded.clear()

    def find(self, id: str) -> Known | None:
        """Where an id stands."""
        at = bisect_left(self._highs, id)
        if at == len(self._highs) or self._runs[at][0] > id:
            return None
        plain = self._runs[at][1]
        found = self._unfolded.known(plain.first, lambda: entries_of(plain), [id])
        return next((known for _, known in found), None)

    def entries(self, plain: Plain) -> list[LogEntry]:
        """The entries of a run."""
        return self._unfolded.entries(plain.first, lambda: entries_of(plain))
