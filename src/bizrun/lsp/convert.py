"""Between stretches of files, counted in characters, and the protocol's lines and code units."""

from __future__ import annotations

from collections.abc import Mapping

from lsprotocol import types as lsp
from pygls.uris import from_fs_path, to_fs_path
from pygls.workspace import PositionCodec

from ..diagnostics import Diagnostic, Source, Span

SEVERITIES = {"error": lsp.DiagnosticSeverity.Error, "warning": lsp.DiagnosticSeverity.Warning}


def path_of(uri: str) -> str:
    """The path of a file by its address."""
    return to_fs_path(uri) or uri


def uri_of(path: str) -> str:
    """The address of a file by its path."""
    return from_fs_path(path) or path


class Places:
    """Turns offsets of one text into positions and back."""

    def __init__(self, source: Source, codec: PositionCodec) -> None:
        self.source = source
        self.codec = codec
        self.lines = source.text.split("\n")

    def position(self, offset: int) -> lsp.Position:
        """Where an offset is."""
        line, column = self.source.position(min(offset, len(self.source.text)))
        here = lsp.Position(line - 1, column - 1)
        return self.codec.position_to_client_units(self.lines, here)

    def offset(self, position: lsp.Position) -> int:
        """The offset of a position; beyond its line's end that end."""
        here = self.codec.position_from_client_units(self.lines, position)
        line = min(here.line, len(self.lines) - 1)
        start = sum(len(text) + 1 for text in self.lines[:line])
        return start + min(here.character, len(self.lines[line]))

    def range(self, span: Span) -> lsp.Range:
        """A stretch of the text."""
        return lsp.Range(self.position(span.start), self.position(max(span.end, span.start)))


def diagnostic(
    problem: Diagnostic, sources: Mapping[str, Source], codec: PositionCodec
) -> lsp.Diagnostic:
    """A mistake as the protocol has it: its help stands below its message."""
    help_ = f"\nhelp: {problem.help}" if problem.help else ""
    related = [
        lsp.DiagnosticRelatedInformation(
            lsp.Location(
                uri_of(label.span.file), Places(sources[label.span.file], codec).range(label.span)
            ),
            label.text,
        )
        for label in problem.labels
        if label.span.file in sources and label.span.file.startswith("/")
    ]
    return lsp.Diagnostic(
        range=Places(sources[problem.span.file], codec).range(problem.span),
        message=problem.message + help_,
        severity=SEVERITIES[problem.severity],
        code=problem.code,
        source="bizrun",
        related_information=related or None,
    )
