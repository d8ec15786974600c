"""Where each name of a spec is declared and used: for editors, which go there and rename it.

Pure: a checked spec in, stretches of its files out. What a name stands for, the checker found.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from ..diagnostics import Span
from . import ast
from .symbols import Checked
from .types import EntityType, ListOf, Prim, Record, Type, known
from .walk import children


class Symbol(NamedTuple):
    """What a name stands for.

    kind: entity shape field event plan addon coupon meter tax dunning fn const template metric
    role experiment connection action builtin local. `owner` is the entity, shape or event of a
    field, and the place of the declaration around a local.
    """

    kind: str
    name: str
    owner: str = ""


@dataclass(frozen=True, slots=True)
class Occurrence:
    """A place where a symbol is named; `short`: what a field names that is its value too
    (`{ customer }`)."""

    symbol: Symbol
    span: Span
    declares: bool = False
    short: Symbol | None = None


_DECLARED = {
    ast.Entity: "entity", ast.TypeDecl: "shape", ast.EventDecl: "event", ast.Plan: "plan",
    ast.Addon: "addon", ast.Meter: "meter", ast.Coupon: "coupon", ast.Tax: "tax",
    ast.Dunning: "dunning", ast.Fn: "fn", ast.Const: "const", ast.Template: "template",
    ast.Metric: "metric", ast.Role: "role", ast.Experiment: "experiment",
    ast.Connect: "connection",
}  # fmt: skip
_LOCAL = ("local", "param")
_ROWS = (ast.Query, ast.Group, ast.Trigger, ast.Meter, ast.Update)


class Names:
    """Every place of a checked spec where something is named."""

    def __init__(self, checked: Checked) -> None:
        self.checked = checked

    @cached_property
    def all(self) -> list[Occurrence]:
        """All of them, file by file, in order."""
        found: dict[Span, Occurrence] = {}
        for file in self.checked.loaded.files:
            for declaration in file.declarations:
                for one in _Walk(self.checked, declaration).run():
                    found.setdefault(one.span, one)
        return sorted(found.values(), key=lambda one: (one.span.file, one.span.start))

    @cached_property
    def by_file(self) -> dict[str, list[Occurrence]]:
        """Those of each file, in order."""
        found: dict[str, list[Occurrence]] = {}
        for one in self.all:
            found.setdefault(one.span.file, []).append(one)
        return found

    def at(self, file: str, offset: int) -> Occurrence | None:
        """What is named at a place; the end of a name counts to it."""
        near = [o for o in self.by_file.get(file, ()) if o.span.start <= offset <= o.span.end]
        return min(near, key=lambda o: o.span.end - o.span.start, default=None)

    def of(self, symbol: Symbol) -> list[Occurrence]:
        """Every place that names a symbol."""
        return [one for one in self.all if symbol in (one.symbol, one.short)]

    def declaration(self, symbol: Symbol) -> list[Occurrence]:
        """Where a symbol is declared; of an event that nobody declares, where it is emitted."""
        every = [one for one in self.all if one.symbol == symbol]
        return [one for one in every if one.declares]


class _Walk:
    """The names of one declaration."""

    def __init__(self, checked: Checked, declaration: ast.Declaration) -> None:
        self.checked = checked
        self.top = declaration
        span = declaration.span
        self.text = checked.loaded.sources[span.file].text
        self.around = f"{span.file}:{span.start}"
        self.rows: list[Type] = []

    def run(self) -> Iterator[Occurrence]:
        """All of them, in no order."""
        yield from self._node(self.top)

    def _node(self, node: ast.Node) -> Iterator[Occurrence]:
        yield from self._own(node)
        bound = isinstance(node, _ROWS) and node in self.checked.row_types
        if bound:
            self.rows.append(self.checked.row_types[node])
        for child in children(node):
            yield from self._node(child)
        if bound:
            self.rows.pop()

    def _own(self, node: ast.Node) -> Iterator[Occurrence]:
        match node:
            case ast.Given() | ast.Override():
                return  # what it holds is walked below
            case ast.Declaration():
                yield from self._declaration(node)
            case ast.TypeName(name=name, span=span):
                kind = "entity" if name in self.checked.symbols.entities else "shape"
                known_ = (
                    name in self.checked.symbols.entities or name in self.checked.symbols.shapes
                )
                if known_:
                    yield Occurrence(Symbol(kind, name), span)
            case ast.UsagePrice(meter=name, meter_span=span):
                yield Occurrence(Symbol("meter", name), span)
            case ast.Includes(meter=name, meter_span=span):
                yield Occurrence(Symbol("meter", name), span)
            case ast.Setting(key="bills" | "tenant", value=ast.Name(name=name, span=span)):
                yield Occurrence(Symbol("entity", name), span)
            case ast.Param(name=name, span=span):
                yield self._local(name, Span(span.file, span.start, span.start + len(name)))
            case ast.EventPattern():
                yield from self._pattern(node)
            case _:
                yield from self._expression(node)
                yield from self._statement(node)

    # --- declarations ------------------------------------------------------------------------

    def _declaration(self, node: ast.Declaration) -> Iterator[Occurrence]:
        kind = _DECLARED.get(type(node))
        if kind is not None:
            named: Any = node
            new = not (isinstance(node, ast.Entity) and node.extends)
            yield Occurrence(Symbol(kind, named.name), named.name_span, new)
        match node:
            case ast.Entity(name=owner) | ast.TypeDecl(name=owner) | ast.EventDecl(name=owner):
                for field in node.fields:
                    symbol = Symbol("field", field.name, owner)
                    yield Occurrence(symbol, field.name_span, True)
                if isinstance(node, ast.EventDecl) and node.key is not None:
                    yield Occurrence(Symbol("field", node.key[0], owner), node.key[1])
                if isinstance(node, ast.Entity):
                    for index in node.indexes:
                        for name, span in index.fields:
                            yield Occurrence(Symbol("field", name, owner), span)
            case ast.Meter():
                yield from self._meter(node)
            case ast.Coupon(only=only):
                for name, span in only:
                    kind = "plan" if name in self.checked.symbols.plans else "addon"
                    yield Occurrence(Symbol(kind, name), span)
            case ast.Trigger(event=event, name_span=span, entity=entity, entity_span=whose):
                yield Occurrence(Symbol("event", event), span, True)
                yield Occurrence(Symbol("entity", entity), whose)
            case ast.Lifecycle(entity=entity, field=field_name, name_span=span):
                dot = span.start + len(entity)
                yield Occurrence(Symbol("entity", entity), Span(span.file, span.start, dot))
                field_span = Span(span.file, dot + 1, dot + 1 + len(field_name))
                yield Occurrence(Symbol("field", field_name, entity), field_span)
            case ast.Directory(entity=entity, entity_span=whose):
                yield Occurrence(Symbol("entity", entity), whose)
            case ast.SignIn(entity=entity, entity_span=whose):
                yield Occurrence(Symbol("entity", entity), whose)

    def _meter(self, node: ast.Meter) -> Iterator[Occurrence]:
        for event, span in node.events:
            yield Occurrence(Symbol("event", event), span)
        fields = [(node.field, node.field_span), (node.per, node.per_span), *node.by]
        for name, where in fields:
            if name is not None and where is not None and node.events:
                yield Occurrence(Symbol("field", name, node.events[0][0]), where)

    # --- statements --------------------------------------------------------------------------

    def _pattern(self, node: ast.EventPattern) -> Iterator[Occurrence]:
        for type_, span in node.types:
            if "*" not in type_:
                yield Occurrence(Symbol("event", type_), span)
        for name, span in node.fields:
            yield self._local(name, span)
        if node.name is not None and node.types:
            start = node.types[-1][1].end
            found = re.compile(rf"\bas\s+({re.escape(node.name)})\b").search(
                self.text, start, node.span.end
            )
            if found:
                yield self._local(node.name, Span(node.span.file, *found.span(1)))

    def _statement(self, node: ast.Node) -> Iterator[Occurrence]:
        match node:
            case ast.Let(name=name, name_span=span):
                yield self._local(name, span)
            case ast.Create() | ast.Upsert():
                yield Occurrence(Symbol("entity", node.entity), node.entity_span)
                yield from self._entries(node.data, EntityType(node.entity))
            case ast.Update(target=target, data=data):
                yield from self._entries(data, self.checked.type_of(target))
            case ast.Emit(event=event, event_span=span, data=payload):
                yield Occurrence(Symbol("event", event), span)
                if payload is not None:
                    yield from self._entries(payload, Record(event, ()))
            case ast.Action():
                yield from self._action(node)
            case ast.ForEach(variable=name, span=span, source=source):
                yield from self._found(rf"for\s+each\s+({name})\b", span.start, source.span.start)
            case ast.Record(metric=metric, metric_span=span):
                yield Occurrence(Symbol("metric", metric), span)
            case ast.ExpectEffect(event=str(event), kind_span=span):
                start = self.text.find(event, span.start, node.span.end)
                if start >= 0:
                    place = Span(span.file, start, start + len(event))
                    yield Occurrence(Symbol("event", event), place)

    def _found(self, pattern: str, start: int, end: int) -> Iterator[Occurrence]:
        found = re.compile(pattern).search(self.text, start, end)
        if found:
            yield self._local(found[1], Span(self.top.span.file, *found.span(1)))

    def _action(self, node: ast.Action) -> Iterator[Occurrence]:
        yield Occurrence(Symbol("action", node.name), node.name_span)
        for entry in node.data.entries:
            if isinstance(entry, ast.Entry):
                yield self._entry(entry, Symbol("field", entry.name, f"action {node.name}"))
                text = entry.value
                named = entry.name == "template" and isinstance(text, ast.Text) and text.plain
                if named and named in self.checked.symbols.templates:
                    span = Span(text.span.file, text.span.start + 1, text.span.end - 1)
                    if self.text[span.start : span.end] == named:
                        yield Occurrence(Symbol("template", named), span)

    def _entries(self, data: ast.MapLiteral, type_: Type) -> Iterator[Occurrence]:
        for entry in data.entries:
            symbol = self._field(entry.name, type_) if isinstance(entry, ast.Entry) else None
            if symbol is not None and isinstance(entry, ast.Entry):
                yield self._entry(entry, symbol)

    def _entry(self, entry: ast.Entry, symbol: Symbol) -> Occurrence:
        value = self._named(entry.value) if entry.short else None
        return Occurrence(symbol, entry.name_span, False, value)

    # --- expressions -------------------------------------------------------------------------

    def _expression(self, node: ast.Node) -> Iterator[Occurrence]:
        match node:
            case ast.Name(span=span):
                symbol = self._named(node)
                if symbol is not None:
                    yield Occurrence(symbol, span)
            case ast.Field(base=base, name=name, name_span=span):
                symbol = self._field(name, self.checked.type_of(base))
                if symbol is not None:
                    yield Occurrence(symbol, span)
            case ast.RowField(name=name, span=span):
                symbol = self._field(name, self.rows[-1]) if self.rows else None
                if symbol is not None:
                    yield Occurrence(symbol, Span(span.file, span.end - len(name), span.end))
            case ast.MapLiteral():
                shape = self.checked.shapes.get(node)
                if shape is not None:
                    yield from self._entries(node, Record(shape, ()))
                for entry in node.entries:
                    if isinstance(entry, ast.Entry) and entry.short:
                        # Where no field has that name, it is a key of the author's.
                        yield self._entry(entry, Symbol("key", entry.name))
            case ast.Comprehension(variable=name, span=span, source=source):
                yield from self._found(rf"for\s+({name})\b", span.start, source.span.start)

    def _named(self, node: ast.Node) -> Symbol | None:
        ref = self.checked.names.get(node)
        if ref is None:
            return None
        if ref.kind in _LOCAL:
            return Symbol("local", ref.name, self.around)
        return None if ref.kind in ("word", "limit") else Symbol(ref.kind, ref.name)

    def _field(self, name: str, type_: Type) -> Symbol | None:
        match known(type_):
            case EntityType(owner) | Record(owner) if owner:
                return Symbol("field", name, owner)
            case ListOf(item):
                return self._field(name, item)
            case Prim("plan"):
                return Symbol("field", name, "plan")
        return None

    def _local(self, name: str, span: Span) -> Occurrence:
        return Occurrence(Symbol("local", name, self.around), span, True)
