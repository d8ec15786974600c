"""The answers of the language server: from a view of a spec to the protocol's types."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from lsprotocol import types as lsp
from pygls.workspace import PositionCodec

from ..actions.signatures import SIGNATURES
from ..diagnostics import Diagnostic, Source, Span, normal
from ..lang import ast
from ..lang.complete import Candidate, complete
from ..lang.describe import describe, type_at
from ..lang.format import formatted
from ..lang.navigate import Occurrence, Symbol
from ..lang.outline import KINDS, Entry, outline, words
from ..lang.std import in_std
from ..lang.types import type_text
from ..lang.walk import walk
from .convert import Places, diagnostic, uri_of
from .project import Project, View, has_yaml_form

_SYMBOL_KINDS = {
    "entity": lsp.SymbolKind.Class, "type": lsp.SymbolKind.Struct, "event": lsp.SymbolKind.Event,
    "field": lsp.SymbolKind.Field, "plan": lsp.SymbolKind.Package, "addon": lsp.SymbolKind.Package,
    "fn": lsp.SymbolKind.Function, "const": lsp.SymbolKind.Constant,
    "trigger": lsp.SymbolKind.Event, "on": lsp.SymbolKind.Method, "every": lsp.SymbolKind.Method,
    "api": lsp.SymbolKind.Interface, "test": lsp.SymbolKind.Boolean,
    "lifecycle": lsp.SymbolKind.Enum, "use": lsp.SymbolKind.Module,
    "business": lsp.SymbolKind.Namespace,
}  # fmt: skip
_COMPLETION_KINDS = {
    "field": lsp.CompletionItemKind.Field, "event": lsp.CompletionItemKind.Event,
    "entity": lsp.CompletionItemKind.Class, "type": lsp.CompletionItemKind.TypeParameter,
    "keyword": lsp.CompletionItemKind.Keyword, "fn": lsp.CompletionItemKind.Function,
    "const": lsp.CompletionItemKind.Constant, "local": lsp.CompletionItemKind.Variable,
    "action": lsp.CompletionItemKind.Method, "value": lsp.CompletionItemKind.EnumMember,
    "module": lsp.CompletionItemKind.Module, "plan": lsp.CompletionItemKind.Value,
}  # fmt: skip
_NAME = re.compile(r"[A-Za-z_]\w*\Z")
_EVENT = re.compile(r"[A-Z]\w*(\.\w+)+\Z")
_WORDS = frozenset(["if", "not", "match", "for", "create", "true", "false", "none", "unlimited"])


@dataclass
class File:
    """A file of a view, as the editor has it."""

    project: Project
    view: View
    path: str
    source: Source
    codec: PositionCodec

    @cached_property
    def places(self) -> Places:
        """Its offsets as positions."""
        return Places(self.source, self.codec)

    def location(self, span: Span) -> lsp.Location | None:
        """A stretch of any of the spec's files; None in the standard library, which is no file."""
        source = self.view.sources().get(span.file)
        if source is None or in_std(span.file):
            return None
        return lsp.Location(uri_of(span.file), Places(source, self.codec).range(span))


@dataclass
class Asked:
    """A place in a file."""

    file: File
    offset: int

    @cached_property
    def named(self) -> Occurrence | None:
        """What is named there."""
        if has_yaml_form(self.file.path):
            return None
        one = self.file.view.names.at(self.file.path, self.offset)
        if one is not None and one.symbol.kind == "key":
            return replace(one, symbol=one.short, short=None) if one.short is not None else None
        return one


# --- reading -------------------------------------------------------------------------------------


def hover(asked: Asked) -> lsp.Hover | None:
    """What a name or expression is."""
    if has_yaml_form(asked.file.path):
        return None
    view, one = asked.file.view, asked.named
    found = type_at(view.checked, asked.file.path, asked.offset)
    if one is not None:
        near = _name_of(view, one) or (found[0] if found else None)
        text = describe(view.checked, one.symbol, near)
        if text is not None:
            return _hover(text, asked.file.places.range(one.span))
    if found is None:
        return None
    node, type_ = found
    span = asked.file.places.range(node.span)
    return _hover(f"```biz\n{type_text(type_)}\n```", span)


def _hover(text: str, place: lsp.Range) -> lsp.Hover:
    return lsp.Hover(lsp.MarkupContent(lsp.MarkupKind.Markdown, text), place)


def _name_of(view: View, one: Occurrence) -> ast.Node | None:
    """An expression that names the local of an occurrence, for its type."""
    if one.symbol.kind != "local":
        return None
    places = {other.span for other in view.names.of(one.symbol)}
    for file in view.checked.loaded.files:
        for declaration in file.declarations:
            if f"{declaration.span.file}:{declaration.span.start}" != one.symbol.owner:
                continue
            for node in walk(declaration):
                if (
                    isinstance(node, ast.Name)
                    and node.span in places
                    and node in view.checked.types
                ):
                    return node
    return None


def definition(asked: Asked) -> list[lsp.Location]:
    """Where a name is declared; what a `use` reads."""
    one, file = asked.named, asked.file
    if one is None:
        return _used(asked)
    found = file.view.names.declaration(one.symbol)
    if one.short is not None:
        found += file.view.names.declaration(one.short)
    if one.symbol.kind == "event" and not found:
        found = _sources_of(file.view, one.symbol)
    return _locations(file, found)


def _sources_of(view: View, symbol: Symbol) -> list[Occurrence]:
    """Where an event that nobody declares is emitted."""
    spans = {
        node.event_span
        for file in view.checked.loaded.files for declaration in file.declarations
        for node in walk(declaration) if isinstance(node, ast.Emit)
    }  # fmt: skip
    return [one for one in view.names.of(symbol) if one.span in spans]


def _used(asked: Asked) -> list[lsp.Location]:
    for file in asked.file.view.checked.loaded.files:
        for node in file.declarations:
            span = node.span
            here = span.file == asked.file.path and span.start <= asked.offset <= span.end
            if isinstance(node, ast.Use) and here and not node.std:
                path = normal(f"{Path(asked.file.path).parent}/{node.path}")
                start = lsp.Position(0, 0)
                return [lsp.Location(uri_of(path), lsp.Range(start, start))]
    return []


def references(asked: Asked, declarations: bool) -> list[lsp.Location]:
    """Every place that names the same."""
    if asked.named is None:
        return []
    found = asked.file.view.names.of(asked.named.symbol)
    return _locations(asked.file, [one for one in found if declarations or not one.declares])


def _locations(file: File, found: Iterable[Occurrence]) -> list[lsp.Location]:
    places = (file.location(one.span) for one in found)
    return [place for place in places if place is not None]


def highlights(asked: Asked) -> list[lsp.DocumentHighlight]:
    """The places in the same file that name the same."""
    if asked.named is None:
        return []
    write, read = lsp.DocumentHighlightKind.Write, lsp.DocumentHighlightKind.Read
    return [
        lsp.DocumentHighlight(asked.file.places.range(one.span), write if one.declares else read)
        for one in asked.file.view.names.of(asked.named.symbol)
        if one.span.file == asked.file.path
    ]


def completion(asked: Asked) -> lsp.CompletionList:
    """What may stand at a place."""
    file = asked.file
    if has_yaml_form(file.path):
        return lsp.CompletionList(False, [])
    found = complete(
        file.source.text, asked.offset, file.path, file.view.checked,
        lambda text: file.project.with_text(file.path, text), SIGNATURES.values(),
    )  # fmt: skip
    return lsp.CompletionList(False, [_item(each, n) for n, each in enumerate(found)])


def _item(candidate: Candidate, rank: int) -> lsp.CompletionItem:
    doc = lsp.MarkupContent(lsp.MarkupKind.Markdown, candidate.doc) if candidate.doc else None
    return lsp.CompletionItem(
        label=candidate.label,
        kind=_COMPLETION_KINDS.get(candidate.kind, lsp.CompletionItemKind.Value),
        detail=candidate.detail or None,
        documentation=doc,
        insert_text=candidate.insert,
        sort_text=f"{rank:05}",
    )


def symbols(file: File) -> list[lsp.DocumentSymbol]:
    """The declarations of a file, with their fields."""
    if has_yaml_form(file.path):
        return []
    found = _parsed(file)
    return [_symbol(file, entry) for entry in outline(found, file.source.text)] if found else []


def _parsed(file: File) -> ast.File | None:
    every = file.view.checked.loaded.files
    return next((f for f in every if f.span.file == file.path), None)


def _symbol(file: File, entry: Entry) -> lsp.DocumentSymbol:
    kind = _SYMBOL_KINDS.get(entry.word, lsp.SymbolKind.Object)
    return lsp.DocumentSymbol(
        name=entry.name, kind=kind, detail=entry.detail, range=file.places.range(entry.span),
        selection_range=file.places.range(entry.name_span),
        children=[_symbol(file, below) for below in entry.below],
    )  # fmt: skip


def workspace_symbols(
    project: Project, codec: PositionCodec, query: str
) -> list[lsp.SymbolInformation]:
    """The declarations of all specs that have these letters in their name."""
    found: list[lsp.SymbolInformation] = []
    seen: set[str] = set()
    for path in dict.fromkeys([*project.buffers, *project.specs()]):
        view = project.view(path)
        for parsed in view.checked.loaded.files:
            name = parsed.span.file
            if name in seen or in_std(name) or has_yaml_form(name):
                continue
            seen.add(name)
            source = view.checked.loaded.sources[name]
            places = Places(source, codec)
            for entry in outline(parsed, source.text):
                if query.lower() in entry.name.lower():
                    place = lsp.Location(uri_of(name), places.range(entry.name_span))
                    kind = _SYMBOL_KINDS.get(entry.word, lsp.SymbolKind.Object)
                    found.append(lsp.SymbolInformation(place, entry.name, kind))
    return found


def tokens(file: File) -> lsp.SemanticTokens:
    """What each word of a file is."""
    data: list[int] = []
    if has_yaml_form(file.path):
        return lsp.SemanticTokens(data)
    line = column = 0
    for word in words(file.source.text, file.view.names.by_file.get(file.path, [])):
        start, end = file.places.position(word.start), file.places.position(word.end)
        if start.line != line:
            column = 0
        data += [start.line - line, start.character - column, end.character - start.character,
                 KINDS.index(word.kind), int(word.declares)]  # fmt: skip
        line, column = start.line, start.character
    return lsp.SemanticTokens(data)


# --- changing ------------------------------------------------------------------------------------


def actions(file: File, params: lsp.CodeActionParams) -> list[lsp.CodeAction]:
    """The fixes of what is wrong in a range, and all that are certain of the file at once."""
    start = file.places.offset(params.range.start)
    end = file.places.offset(params.range.end)
    own = [p for p in file.view.checked.diagnostics if p.span.file == file.path]
    found = [
        _fix(file, problem) for problem in own
        if problem.fix is not None and problem.span.start <= end and problem.span.end >= start
    ]  # fmt: skip
    certain = [p.fix for p in own if p.fix is not None and p.fix.certain]
    certain = [fix for fix in certain if fix.span.file == file.path]
    if certain:
        edits = []
        last = -1
        for fix in sorted(certain, key=lambda fix: (fix.span.start, fix.span.end)):
            if fix.span.start >= last:
                edits.append(lsp.TextEdit(file.places.range(fix.span), fix.text))
                last = fix.span.end
        found.append(
            lsp.CodeAction(
                "Apply all certain fixes",
                lsp.CodeActionKind.SourceFixAll,
                edit=lsp.WorkspaceEdit({uri_of(file.path): edits}),
            )
        )
    only = params.context.only
    return [action for action in found if not only or _asked_for(action, only)]


def _asked_for(action: lsp.CodeAction, only: Iterable[lsp.CodeActionKind | str]) -> bool:
    kind = str(getattr(action.kind, "value", action.kind))
    wanted = [str(getattr(each, "value", each)) for each in only]
    return any(kind == each or kind.startswith(f"{each}.") for each in wanted)


def _fix(file: File, problem: Diagnostic) -> lsp.CodeAction:
    fix = problem.fix
    assert fix is not None
    source = file.view.sources()[fix.span.file]
    places = Places(source, file.codec)
    old, new = source.text[fix.span.start : fix.span.end].strip(), fix.text.strip()
    title = (
        f"Change `{old}` to `{new}`"
        if old and new
        else f"Add `{new}`"
        if new
        else f"Remove `{old}`"
    )
    return lsp.CodeAction(
        title if "\n" not in title and len(title) < 80 else problem.help or "Apply the fix",
        lsp.CodeActionKind.QuickFix,
        diagnostics=[diagnostic(problem, file.view.sources(), file.codec)],
        is_preferred=fix.certain,
        edit=lsp.WorkspaceEdit(
            {uri_of(fix.span.file): [lsp.TextEdit(places.range(fix.span), fix.text)]}
        ),
    )


def formatting(file: File) -> list[lsp.TextEdit]:
    """The whole text as `bizrun fmt` writes it; nothing where it can't be read."""
    if has_yaml_form(file.path):
        return []
    new, _ = formatted(file.source)
    if new is None or new == file.source.text:
        return []
    return [lsp.TextEdit(file.places.range(Span("", 0, len(file.source.text))), new)]


def prepare_rename(asked: Asked) -> lsp.Range | None:
    """The name that would be changed; None where it is none of the author's."""
    one = asked.named
    if one is None or _kept(asked, one.symbol):
        return None
    return asked.file.places.range(one.span)


def rename(asked: Asked, new: str) -> lsp.WorkspaceEdit | str:
    """The edits that give a name another one everywhere; a sentence where that can't be."""
    one, file = asked.named, asked.file
    if one is None:
        return "There is no name here to change."
    reason = _kept(asked, one.symbol) or _unfit(one.symbol, new)
    if reason:
        return reason
    edits: dict[str, list[lsp.TextEdit]] = {}
    for other in file.view.names.of(one.symbol):
        place = file.location(other.span)
        if place is None:
            continue
        text = new
        if other.short is not None:
            # `{ customer }` is field and value at once: now they are called differently.
            field = new if other.symbol == one.symbol else other.symbol.name
            value = new if other.short == one.symbol else other.short.name
            text = f"{field}: {value}"
        edits.setdefault(place.uri, []).append(lsp.TextEdit(place.range, text))
    return lsp.WorkspaceEdit(edits)


def _kept(asked: Asked, symbol: Symbol) -> str | None:
    """Why a name can't be changed, if it can't."""
    if symbol.kind in ("action", "builtin") or symbol.owner.startswith("action "):
        return f"`{symbol.name}` belongs to the language."
    declared = asked.file.view.names.declaration(symbol)
    places = declared or asked.file.view.names.of(symbol)
    if symbol.kind != "local" and not declared and symbol.kind != "event":
        return f"`{symbol.name}` is declared nowhere here."
    if any(in_std(one.span.file) for one in places):
        return f"`{symbol.name}` belongs to the standard library."
    return None


def _unfit(symbol: Symbol, new: str) -> str | None:
    if symbol.kind == "event":
        return None if _EVENT.match(new) else f"An event is called like Noun.verb, not `{new}`."
    if not _NAME.match(new) or new in _WORDS:
        return f"`{new}` can't be a name."
    if symbol.kind in ("entity", "shape") and not new[0].isupper():
        return f"{symbol.kind.capitalize()}s are written in PascalCase: `{new}` is not."
    return None
