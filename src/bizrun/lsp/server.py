"""What the language server answers; each question goes to the language, here is protocol alone."""

from __future__ import annotations

import asyncio
from typing import Any

from lsprotocol import types as lsp
from pygls.exceptions import JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer

from .. import __version__
from ..diagnostics import Source
from ..lang.outline import KINDS
from . import answers
from .convert import diagnostic, path_of, uri_of
from .project import Project, problems_by_file

# Typing goes on while nothing is checked; a pause as short as this is not noticed.
PAUSE = 0.15


class BizServer(LanguageServer):
    """The server and what it has open."""

    def __init__(self) -> None:
        super().__init__("bizrun", __version__)
        self.project = Project()
        self.published: dict[str, set[str]] = {}
        self._waiting: dict[str, asyncio.TimerHandle] = {}

    def take(self, uri: str) -> None:
        """Takes an open document's text, and has it checked soon."""
        path = path_of(uri)
        self.project.put(path, self.workspace.get_text_document(uri).source)
        held = self._waiting.pop(path, None)
        if held is not None:
            held.cancel()
        loop = asyncio.get_running_loop()
        self._waiting[path] = loop.call_later(PAUSE, self.publish, path)

    def publish(self, path: str) -> None:
        """Tells what is wrong with the spec that a file belongs to, and what no longer is."""
        self._waiting.pop(path, None)
        try:
            view = self.project.view(path)
        except Exception as problem:
            self.window_log_message(lsp.LogMessageParams(lsp.MessageType.Error, str(problem)))
            return
        codec, sources = self.workspace.position_codec, view.sources()
        found = problems_by_file(view)
        root = view.checked.loaded.path
        for name in self.published.get(root, set()) - found.keys():
            self._send(name, [])
        self.published[root] = {name for name, problems in found.items() if problems}
        for name, problems in found.items():
            self._send(name, [diagnostic(problem, sources, codec) for problem in problems])

    def _send(self, path: str, found: list[lsp.Diagnostic]) -> None:
        self.text_document_publish_diagnostics(
            lsp.PublishDiagnosticsParams(uri=uri_of(path), diagnostics=found)
        )


def make_server() -> BizServer:
    """The server with all that it answers."""
    server = BizServer()
    _documents(server)
    _questions(server)
    _edits(server)
    return server


def _documents(server: BizServer) -> None:
    """What an editor tells of its files."""

    @server.feature(lsp.INITIALIZED)
    def initialized(_: lsp.InitializedParams) -> None:
        server.project.folders = [path_of(uri) for uri in server.workspace.folders]
        if not server.project.folders and server.workspace.root_path:
            server.project.folders = [server.workspace.root_path]

    @server.feature(lsp.TEXT_DOCUMENT_DID_OPEN)
    def opened(params: lsp.DidOpenTextDocumentParams) -> None:
        server.take(params.text_document.uri)

    @server.feature(lsp.TEXT_DOCUMENT_DID_CHANGE)
    def changed(params: lsp.DidChangeTextDocumentParams) -> None:
        server.take(params.text_document.uri)

    @server.feature(lsp.TEXT_DOCUMENT_DID_SAVE)
    def saved(params: lsp.DidSaveTextDocumentParams) -> None:
        server.project.changed_on_disk()
        server.take(params.text_document.uri)

    @server.feature(lsp.TEXT_DOCUMENT_DID_CLOSE)
    def closed(params: lsp.DidCloseTextDocumentParams) -> None:
        path = path_of(params.text_document.uri)
        server.project.put(path, None)
        server._send(path, [])

    @server.feature(lsp.WORKSPACE_DID_CHANGE_WATCHED_FILES)
    def watched(_: lsp.DidChangeWatchedFilesParams) -> None:
        server.project.changed_on_disk()
        for path in list(server.project.buffers):
            server.publish(path)


def _questions(server: BizServer) -> None:
    """What an editor asks of a place or a file."""

    @server.feature(lsp.TEXT_DOCUMENT_HOVER)
    def hover(params: lsp.HoverParams) -> lsp.Hover | None:
        return answers.hover(_asked(server, params))

    @server.feature(lsp.TEXT_DOCUMENT_DEFINITION)
    def definition(params: lsp.DefinitionParams) -> list[lsp.Location]:
        return answers.definition(_asked(server, params))

    @server.feature(lsp.TEXT_DOCUMENT_REFERENCES)
    def references(params: lsp.ReferenceParams) -> list[lsp.Location]:
        asked = _asked(server, params)
        return answers.references(asked, params.context.include_declaration)

    @server.feature(lsp.TEXT_DOCUMENT_DOCUMENT_HIGHLIGHT)
    def highlight(params: lsp.DocumentHighlightParams) -> list[lsp.DocumentHighlight]:
        return answers.highlights(_asked(server, params))

    @server.feature(
        lsp.TEXT_DOCUMENT_COMPLETION,
        lsp.CompletionOptions(trigger_characters=[".", '"', " ", "{"]),
    )
    def completion(params: lsp.CompletionParams) -> lsp.CompletionList:
        return answers.completion(_asked(server, params))

    @server.feature(lsp.TEXT_DOCUMENT_DOCUMENT_SYMBOL)
    def symbols(params: lsp.DocumentSymbolParams) -> list[lsp.DocumentSymbol]:
        return answers.symbols(_file(server, params.text_document.uri))

    @server.feature(lsp.WORKSPACE_SYMBOL)
    def workspace_symbols(params: lsp.WorkspaceSymbolParams) -> list[lsp.SymbolInformation]:
        codec = server.workspace.position_codec
        return answers.workspace_symbols(server.project, codec, params.query)

    @server.feature(
        lsp.TEXT_DOCUMENT_SEMANTIC_TOKENS_FULL,
        lsp.SemanticTokensLegend(token_types=list(KINDS), token_modifiers=["declaration"]),
    )
    def tokens(params: lsp.SemanticTokensParams) -> lsp.SemanticTokens:
        return answers.tokens(_file(server, params.text_document.uri))


def _edits(server: BizServer) -> None:
    """What an editor wants changed."""

    @server.feature(
        lsp.TEXT_DOCUMENT_CODE_ACTION,
        lsp.CodeActionOptions(
            code_action_kinds=[lsp.CodeActionKind.QuickFix, lsp.CodeActionKind.SourceFixAll]
        ),
    )
    def actions(params: lsp.CodeActionParams) -> list[lsp.CodeAction]:
        return answers.actions(_file(server, params.text_document.uri), params)

    @server.feature(lsp.TEXT_DOCUMENT_FORMATTING)
    def formatting(params: lsp.DocumentFormattingParams) -> list[lsp.TextEdit]:
        return answers.formatting(_file(server, params.text_document.uri))

    @server.feature(lsp.TEXT_DOCUMENT_PREPARE_RENAME)
    def prepare(params: lsp.PrepareRenameParams) -> lsp.Range | None:
        return answers.prepare_rename(_asked(server, params))

    @server.feature(lsp.TEXT_DOCUMENT_RENAME, lsp.RenameOptions(prepare_provider=True))
    def rename(params: lsp.RenameParams) -> lsp.WorkspaceEdit:
        found = answers.rename(_asked(server, params), params.new_name)
        if isinstance(found, str):
            raise JsonRpcInvalidParams(message=found)
        return found


def _file(server: BizServer, uri: str) -> answers.File:
    path = path_of(uri)
    view = server.project.view(path)
    text = server.workspace.get_text_document(uri).source
    source = view.checked.loaded.sources.get(path) or Source(path, text)
    return answers.File(server.project, view, path, source, server.workspace.position_codec)


def _asked(server: BizServer, params: Any) -> answers.Asked:
    file = _file(server, params.text_document.uri)
    return answers.Asked(file, file.places.offset(params.position))
