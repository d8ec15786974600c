"""What the documents show works: each block of .biz checks, each command and option is there."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from .conftest import ROOT

PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md")))
BLOCK = re.compile(r"^```(\w+)?([^\n]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"\bbizrun(?: +([a-z][a-z-]*))\b(?![./])")
OPTION = re.compile(r"(?<![\w-])(--[a-z][a-z-]*)")


def blocks(kind: str) -> Iterator[tuple[str, str, str]]:
    """(page and line, what stands behind the kind, text) of each fenced block of that kind."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in BLOCK.finditer(text):
            if match[1] == kind:
                line = text.count("\n", 0, match.start()) + 1
                yield f"{page.name}:{line}", match[2].strip(), match[3]


def commands_in(page: Path) -> set[str]:
    """The sub-commands that a page calls, in fenced blocks and in `code`."""
    text = page.read_text(encoding="utf-8")
    code = [match[3] for match in BLOCK.finditer(text) if match[1] in (None, "sh", "console")]
    code += re.findall(r"`([^`\n]+)`", BLOCK.sub("", text))
    return {match[1] for piece in code for match in COMMAND.finditer(piece)}


@cache
def usage(command: Path, *args: str) -> str:
    done = subprocess.run([command, *args, "--help"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def commands(command: Path) -> list[str]:
    """The sub-commands that the program itself lists."""
    listed = usage(command).split("Options:")[1]
    return re.findall(r"^  ([a-z][a-z-]*)", listed, re.MULTILINE)


# A block that is a file of its page is tried by test_guide.py, with what the page does with it.
BIZ = [block for block in blocks("biz") if not block[1].endswith(".biz")]


@pytest.mark.parametrize(("place", "mark", "text"), BIZ, ids=[place for place, *_ in BIZ])
def test_block(bizrun: Path, tmp_path: Path, place: str, mark: str, text: str) -> None:
    # A fragment leaves out what it builds on: it must parse, so only E01xx codes count.
    spec = tmp_path / "block.biz"
    spec.write_text(text, encoding="utf-8")
    done = subprocess.run(
        [bizrun, "check", spec], capture_output=True, text=True, cwd=tmp_path, timeout=60
    )
    said = done.stdout + done.stderr
    assert "Traceback" not in said
    if mark == "fragment":
        assert not re.search(r"\bE01\d\d\b", said), said
    else:
        assert done.returncode == 0, said


YAML = [block for block in blocks("yaml") if block[0].startswith("yaml.md")]


@pytest.mark.parametrize(("place", "mark", "text"), YAML, ids=[place for place, *_ in YAML])
def test_yaml_block(bizrun: Path, tmp_path: Path, place: str, mark: str, text: str) -> None:
    (tmp_path / "block.biz.yaml").write_text(text, encoding="utf-8")
    for command in (["check", "--strict"], ["test"]):
        done = subprocess.run(
            [bizrun, *command, "."], capture_output=True, text=True, cwd=tmp_path, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_exist(bizrun: Path, page: Path) -> None:
    assert not commands_in(page) - {*commands(bizrun)}


def test_cli_page_is_complete(bizrun: Path) -> None:
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    missing = [name for name in commands(bizrun) if f"bizrun {name}" not in text]
    for name in commands(bizrun):
        section = text.partition(f"## {name}\n")[2].partition("\n## ")[0]
        said = set(OPTION.findall(section)) | {"--help"}
        missing += [f"{name} {option}" for option in sorted(listed(bizrun, name) - said)]
    assert not missing


def listed(command: Path, name: str) -> set[str]:
    """The options of a sub-command, as its --help lists them."""
    # Examples may follow behind a blank line.
    lines = usage(command, name).partition("Options:")[2].partition("\n\n")[0].splitlines()
    return {option for line in lines for option in OPTION.findall(line[:40])}
