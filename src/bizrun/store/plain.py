"""Events that were handled as they came: kept as the text that they came in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from .base import LogEntry, Plain


class _Head(msgspec.Struct, gc=False):
    type: str
    time: str


_head = msgspec.json.Decoder(_Head).decode


def entries_of(items: Iterable[tuple[Any, ...] | Plain]) -> Iterator[LogEntry]:
    """Entries of the log, one by one."""
    for item in items:
        if isinstance(item, Plain):
            yield from _entries(item)
        else:
            yield LogEntry._make(item)


def _entries(plain: Plain) -> Iterator[LogEntry]:
    fired = plain.fired or [""] * len(plain.ids)
    raws = plain.text.decode().split("\n")
    raws.pop()
    for place, (id, raw, places) in enumerate(zip(plain.ids, raws, fired, strict=True)):
        head = _head(raw)
        seq = plain.first + place
        yield LogEntry(
            seq, "", id, head.type, head.time, raw.strip(), "handled", None, None, places
        )  # fmt: skip
