"""Runs the checker over a golden file, and reads which codes its lines are marked with."""

from __future__ import annotations

import re
from pathlib import Path

from bizrun.diagnostics import Diagnostic, Source
from bizrun.lang.modules import load
from bizrun.pipeline import check_loaded

FOLDER = Path(__file__).parent / "golden" / "check"
# Those of the parser alone (e01…) have a runner of their own, in test_recover.py.
GOLDENS = sorted({*FOLDER.glob("*.biz"), *FOLDER.glob("*.biz.yaml")} - {*FOLDER.glob("e01*.biz")})

_MARK = re.compile(r"#((?:\s+[EW]\d{4})+)\s*$")


def run_check(path: Path, edited: bytes | None = None) -> list[Diagnostic]:
    """What the checker finds in a file, or in other bytes in its place; the parser's findings
    included."""
    loaded = load(
        str(path),
        lambda name: edited if edited and name == str(path) else Path(name).read_bytes(),
        lambda folder: [entry.name for entry in Path(folder or ".").iterdir()],
    )
    return list(check_loaded(loaded).diagnostics)


def marked(path: Path) -> dict[int, list[str]]:
    """The codes that each line of a file must have, by its number; no other line has any."""
    found: dict[int, list[str]] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        mark = _MARK.search(line)
        if mark:
            found[number] = sorted(mark[1].split())
    return found


def codes_by_line(path: Path, diagnostics: list[Diagnostic]) -> dict[int, list[str]]:
    """The codes that were found, by line, in the form of `marked`."""
    source = Source(str(path), path.read_text(encoding="utf-8"))
    found: dict[int, list[str]] = {}
    for diagnostic in diagnostics:
        line, _ = source.position(diagnostic.span.start)
        found.setdefault(line, []).append(diagnostic.code)
    return {line: sorted(codes) for line, codes in found.items()}


def snapshot(path: Path, diagnostics: list[Diagnostic]) -> str:
    """Each diagnostic as `code line:col message | help`, for the eye of a reviewer."""
    source = Source(str(path), path.read_text(encoding="utf-8"))
    lines = []
    for d in diagnostics:
        line, column = source.position(d.span.start)
        help_ = f" | {d.help}" if d.help else ""
        lines.append(f"{d.code} {line}:{column} {d.message}{help_}\n")
    return "".join(lines)
