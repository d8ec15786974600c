"""YAML text as plain nodes with their places: every scalar as it is written, no types guessed.

`on` is a key, `0.10` stays `0.10`, `2026-01-31` is text (YAML 1.2's failsafe schema). PyYAML reads
the events; the nodes are built here without recursion, so that no nesting can exhaust the stack.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import yaml

from ...diagnostics import Diagnostic, Source, Span, did_you_mean

MAX_DEPTH = 100
# What aliases may make of a file, in nodes: a few anchors can otherwise stand for billions.
MAX_NODES = 500_000


# libyaml reads `plan?` in a flow mapping as YAML 1.2 does; every wheel of PyYAML carries it.
_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


@dataclass(frozen=True, slots=True, eq=False)
class Scalar:
    """A text, and whether it stands without quotes; an empty plain one is no value."""

    span: Span
    text: str
    plain: bool

    @property
    def empty(self) -> bool:
        """Whether nothing was written, or YAML's own word for nothing."""
        return self.plain and self.text in ("", "~", "null")


@dataclass(frozen=True, slots=True, eq=False)
class Mapping:
    """Keys with their values, in order; no key stands twice."""

    span: Span
    pairs: tuple[tuple[Scalar, Value], ...]

    def get(self, name: str) -> Value | None:
        """The value of a key."""
        return next((value for key, value in self.pairs if key.text == name), None)


@dataclass(frozen=True, slots=True, eq=False)
class Sequence:
    """Items in order."""

    span: Span
    items: tuple[Value, ...]


Value = Scalar | Mapping | Sequence


@dataclass(slots=True)
class _Open:
    """A collection that is being read."""

    start: int
    mapping: bool
    anchor: str | None
    items: list[Value] = field(default_factory=list)


def read_tree(source: Source) -> tuple[Value | None, list[Diagnostic]]:
    """The one document of a file; None where it is empty or can't be read, and what is wrong."""
    reader = _Reader(source)
    try:
        for event in yaml.parse(source.text, Loader=_LOADER):
            reader.take(event)
            if reader.stopped:
                return None, reader.found
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = mark.index if mark else 0
        reader.report(place, f"This is no YAML: {error.problem or error.context}", _hint(error))
        return None, reader.found
    except yaml.YAMLError as error:
        place = getattr(error, "position", 0)
        reader.report(place, "This is no YAML: a character that may not stand in it")
        return None, reader.found
    return reader.root, reader.found


def _hint(error: yaml.MarkedYAMLError) -> str | None:
    problem = str(error.problem)
    if "mapping values are not allowed" in problem:
        return "put a value that holds `: ` between single quotes"
    if "found character '\\t'" in problem:
        return "indent with blanks"
    if "alias" in problem or "tag" in problem or "expected <block end>" in problem:
        return "put a value that begins with a sign or a quote between single quotes"
    return None


class _Reader:
    def __init__(self, source: Source) -> None:
        self.source = source
        self.found: list[Diagnostic] = []
        self.open: list[_Open] = []
        self.anchors: dict[str, Value] = {}
        self.sizes: dict[Value, int] = {}
        self.root: Value | None = None
        self.nodes = 0
        self.stopped = False

    def report(self, place: int, message: str, help: str | None = None) -> None:
        span = Span(self.source.name, place, min(place + 1, len(self.source.text)))
        self.found.append(Diagnostic("E0150", span, message, help))

    def stop(self, place: int, message: str, help: str | None = None) -> None:
        self.report(place, message, help)
        self.stopped = True

    def take(self, event: Any) -> None:
        """Adds one of PyYAML's events to the nodes."""
        start, end = event.start_mark.index, event.end_mark.index
        match event:
            case yaml.ScalarEvent():
                span = Span(self.source.name, start, end)
                self.add(Scalar(span, event.value, not event.style), event.anchor, 1)
            case yaml.AliasEvent():
                value = self.anchors.get(str(event.anchor))
                if value is None:
                    near = did_you_mean(str(event.anchor), self.anchors)
                    help = f"did you mean `*{near}`?" if near else "`*` names an anchor: quote it"
                    self.report(start, f"There is no anchor `&{event.anchor}` above", help)
                    self.add(Scalar(Span(self.source.name, start, end), "~", True), None, 1)
                else:
                    self.add(value, None, self.sizes[value])
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                if len(self.open) >= MAX_DEPTH:
                    self.stop(start, f"More than {MAX_DEPTH} levels stand in each other here")
                    return
                mapping = isinstance(event, yaml.MappingStartEvent)
                self.open.append(_Open(start, mapping, event.anchor))
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self.close(end)
            case yaml.DocumentStartEvent() if self.root is not None:
                self.stop(start, "A spec is one YAML document", "put it into a file of its own")

    def close(self, end: int) -> None:
        done = self.open.pop()
        # A block collection ends where the next thing begins: not part of it.
        text = self.source.text
        end = done.start + len(text[done.start : end].rstrip())
        span = Span(self.source.name, done.start, end)
        size = 1 + sum(self.sizes[item] for item in done.items)
        if done.mapping:
            self.add(Mapping(span, self.pairs(done.items)), done.anchor, size)
        else:
            self.add(Sequence(span, tuple(done.items)), done.anchor, size)

    def pairs(self, items: list[Value]) -> tuple[tuple[Scalar, Value], ...]:
        """Keys and values in turn as pairs; a key that is no text or stands twice is reported."""
        found: dict[str, tuple[Scalar, Value]] = {}
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, Scalar):
                self.report(key.span.start, "A key is a text", "put it between single quotes")
            elif key.text in found:
                self.report(key.span.start, f"`{key.text}` stands twice here; the first one counts")
            else:
                found[key.text] = (key, value)
        return tuple(found.values())

    def add(self, value: Value, anchor: str | None, size: int) -> None:
        self.sizes[value] = size
        if size > MAX_NODES:
            self.stop(value.span.start, "Its anchors make this too large: write less of it")
            return
        if anchor:
            self.anchors[anchor] = value
        if self.open:
            self.open[-1].items.append(value)
        else:
            self.root = value
