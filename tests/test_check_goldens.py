"""Each golden line has the codes that it is marked with, and they say what stands beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from .golden_check import GOLDENS, codes_by_line, marked, run_check, snapshot


@pytest.mark.parametrize("path", GOLDENS, ids=lambda path: path.stem)
def test_marks(path: Path) -> None:
    assert codes_by_line(path, run_check(path)) == marked(path)


@pytest.mark.parametrize("path", GOLDENS, ids=lambda path: path.stem)
def test_messages(path: Path, update: bool) -> None:
    found = snapshot(path, run_check(path))
    stored = path.with_suffix(".txt")
    if update:
        stored.write_text(found, encoding="utf-8")
    assert found == stored.read_text(encoding="utf-8")
