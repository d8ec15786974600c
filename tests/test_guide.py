"""The guide does what it shows: its specs pass their tests, its commands print what stands there.

A block with a file name (```biz shop.biz) is that file of the page's folder; in a `console` block
each line behind `$` is run there, and what follows is its output. `pytest --update` rewrites it.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from bizrun.cli.main import main

from .conftest import ROOT

PAGES = sorted((ROOT / "docs" / "guide").glob("*.md"))
BLOCK = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
# What no reader cares for: how long a test took, how large a file of SQLite's is, derived ids.
CHANGING = re.compile(
    r"\b\d+\.\d\d s\b|\b\d+\.\d KB\b|\b[0-9a-f]{16}\b|(?<=_)[0-9a-f]{21}\b|\bdead_\d+"
)


def run(line: str, capfd: pytest.CaptureFixture[str]) -> str:
    """What a command line prints."""
    words = shlex.split(line)
    assert words[0] == "bizrun", line
    main(words[1:])
    out, err = capfd.readouterr()
    assert "Traceback" not in err
    return f"{(err + out).rstrip()}\n".lstrip()


def played(console: str, capfd: pytest.CaptureFixture[str]) -> str:
    """A console block with what its commands print now."""
    commands = [line[2:] for line in console.splitlines() if line.startswith("$ ")]
    return "\n".join(f"$ {line}\n{run(line, capfd)}" for line in commands)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page(
    page: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch, update: bool,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    text = page.read_text(encoding="utf-8")

    def block(found: re.Match[str]) -> str:
        kind, name, body = found[1], found[2].strip(), found[3]
        if kind == "console":
            return f"```console\n{played(body, capfd)}```"
        if name and name != "fragment":
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).write_text(body, encoding="utf-8")
        if kind == "biz" and name != "fragment" and '\ntest "' in body:
            _passes(name, body, capfd)
        return found[0]

    shown = BLOCK.sub(block, text)
    same = CHANGING.sub("…", shown) == CHANGING.sub("…", text)
    if update and not same:
        page.write_text(shown, encoding="utf-8")
    assert same or update, "pytest --update tests/test_guide.py rewrites what commands print"


def _passes(name: str, body: str, capfd: pytest.CaptureFixture[str]) -> None:
    """The tests of a whole spec; one that is to fail is called `failing.biz`."""
    Path(name or "block.biz").write_text(body, encoding="utf-8")
    if name != "failing.biz":
        assert main(["test", name or "block.biz"]) == 0, capfd.readouterr().out
    capfd.readouterr()


def test_the_list_of_chapters_is_whole() -> None:
    listed = (ROOT / "docs" / "guide" / "README.md").read_text(encoding="utf-8")
    chapters = {page.name for page in PAGES} - {"README.md"}
    assert set(re.findall(r"\]\(([a-z-]+\.md)\)", listed)) == chapters
