"""A file read again after an edit: what stayed the same is not read anew, only moved.

For editors, who have a file read with every key. A declaration is read by itself, so one whose text
has not changed gives the same tree, at another place perhaps.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

from msgspec.structs import replace

from ..diagnostics import Diagnostic, Source, Span
from . import ast
from .parse import Parsed, parsed_of
from .recover import read_chunk
from .scan import Chunk, Scan, scan

N = TypeVar("N", bound=ast.Node)
_Read = tuple[ast.Declaration, list[Diagnostic]]


class Reparser:
    """Reads texts of the same files again and again; keeps what it read of each last."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[str, Parsed]] = {}
        self._chunks: dict[str, dict[tuple[str, str | None], tuple[int, _Read]]] = {}

    def parse(self, source: Source) -> Parsed:
        """What `parse` gives for a text."""
        last = self._last.get(source.name)
        if last is not None and last[0] == source.text:
            return last[1]
        scanned = scan(source.text)
        found = parsed_of(source, scanned, list(self._read(source, scanned)))
        self._last[source.name] = source.text, found
        return found

    def _read(self, source: Source, scanned: Scan) -> Iterator[_Read]:
        before = self._chunks.get(source.name, {})
        now: dict[tuple[str, str | None], tuple[int, _Read]] = {}
        self._chunks[source.name] = now
        for chunk in scanned.chunks:
            key = source.text[chunk.start : chunk.end], chunk.doc
            held = before.get(key)
            found = None if held is None else self._again(chunk, *held)
            if found is None:
                found = read_chunk(source, chunk)
            now[key] = chunk.start, found
            yield found

    @staticmethod
    def _again(chunk: Chunk, start: int, found: _Read) -> _Read | None:
        """What was read of a declaration, at its new place; what was wrong with it is told anew."""
        if start == chunk.start:
            return found
        declaration, problems = found
        return None if problems else (moved(declaration, chunk.start - start), [])


def moved(node: N, by: int) -> N:
    """A tree some characters further on, or back."""
    changed: dict[str, Any] = {}
    for name in node.__struct_fields__:
        value = getattr(node, name)
        new = _moved(value, by)
        if new is not value:
            changed[name] = new
    return replace(node, **changed)


def _moved(value: Any, by: int) -> Any:
    kind = type(value)
    if kind is str or value is None or kind is bool:
        return value
    if kind is Span:
        return Span(value.file, value.start + by, value.end + by)
    if kind is tuple:
        return tuple([_moved(item, by) for item in value]) if value else value
    return moved(value, by) if isinstance(value, ast.Node) else value
