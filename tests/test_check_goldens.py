"""Each golden line has the codes that it is marked with, and they say what stands beside it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from bizrun.diagnostics import Diagnostic, Fix

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


@pytest.mark.parametrize("path", GOLDENS, ids=lambda path: path.stem)
def test_certain_fixes_mend(path: Path) -> None:
    """What has a certain fix isn't told again after a few rounds, and can be read as before."""
    data, told = path.read_bytes(), set()
    before = after = run_check(path)
    for _ in range(3):
        fixes = {p.fix: p for p in after if p.fix and p.fix.certain and in_file(p.fix, path)}
        told |= {(p.code, p.message) for p in fixes.values()}
        data = mended(data.decode(), sorted(fixes, key=lambda fix: -fix.span.start)).encode()
        after = run_check(path, data)
    earlier, later = (Counter((p.code, p.message) for p in found) for found in (before, after))
    assert [key for key in told if later[key] and later[key] >= earlier[key]] == []
    assert unread(after) <= unread(before)


def unread(found: list[Diagnostic]) -> int:
    """How much can't be read, or stands for nothing."""
    return sum(p.code <= "E0201" for p in found)


def in_file(fix: Fix, path: Path) -> bool:
    return fix.span.file == str(path)


def mended(text: str, fixes: list[Fix]) -> str:
    """A text after some fixes, from the last one on; of two that overlap one waits."""
    last = len(text)
    for fix in fixes:
        if fix.span.end <= last:
            text, last = text[: fix.span.start] + fix.text + text[fix.span.end :], fix.span.start
    return text
