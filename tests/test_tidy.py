"""The style that holds by itself: sizes, names, and what may not stand in the code at all."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import ROOT

SOURCE = ROOT / "src" / "bizrun"
MODULES = sorted(SOURCE.rglob("*.py"))
ALL = sorted(p for folder in ("src", "tests", "benchmarks") for p in (ROOT / folder).rglob("*.py"))

LINE, FUNCTION, MODULE = 100, 60, 600
# The tree is one file on purpose: plain data, a class a construct, no code.

BANNED_NAMES = {"utils", "util", "helpers", "helper", "manager", "managers", "misc", "common"}
PURE = ("lang", "ir", "billing")
# Where `lang` meets the disk: the files of a spec, and the saved tables of the grammar.
DOORS = {"lang/modules.py", "lang/grammar.py"}
IMPURE_IMPORTS = {
    "time", "random", "socket", "os", "secrets", "uuid", "requests", "httpx", "httpx2", "httpcore2",
}  # fmt: skip
# Seconds on a screen and time-outs of a socket are no money.
FLOATS = {"lsp/server.py", "cli/render.py", "cli/run.py", "cli/progress.py", "runtime/outbox.py"}
PRINTING = ("cli",)
# Python before 3.11.5 matches a possessive repetition of a group wrongly (gh-106052): an atomic
# group says the same.
POSSESSIVE = re.compile(r"\)(?:[*+?]|\{\d+(?:,\d*)?\})\+")
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|NotImplementedError)\b")


def name(path: Path) -> str:
    return path.relative_to(SOURCE if path.is_relative_to(SOURCE) else ROOT).as_posix()


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


@pytest.mark.parametrize("path", ALL, ids=name)
def test_sizes(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert not [i for i, line in enumerate(lines, 1) if len(line) > LINE], "lines too long"
    assert len(lines) <= MODULE, "module too long: split it by idea"
    long = [
        f"{node.name}, line {node.lineno}"
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno + 1 > FUNCTION
    ]
    assert not long, "functions too long"


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_names_and_docstrings(path: Path) -> None:
    assert not {path.stem, path.parent.name} & BANNED_NAMES, "name it after what it does"
    assert (path.stem.startswith("_") and path.stem != "__init__") or ast.get_docstring(tree(path))


def patterns(path: Path) -> Iterator[str]:
    """The texts of the regular expressions that a module compiles."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("re."):
            for part in ast.walk(node):
                if isinstance(part, ast.Constant) and isinstance(part.value, str | bytes):
                    yield part.value if isinstance(part.value, str) else part.value.decode()


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_patterns_match_alike_in_every_python(path: Path) -> None:
    assert not [text for text in patterns(path) if POSSESSIVE.search(text)]


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_finished(path: Path) -> None:
    assert not UNFINISHED.findall(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_money_is_no_float(path: Path) -> None:
    if name(path) in FLOATS:
        return
    found = [
        f"line {node.lineno}"
        for node in ast.walk(tree(path))
        if (isinstance(node, ast.Constant) and isinstance(node.value, float))
        or (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "float"
        )
    ]
    assert not found, "a float: use Decimal, or say in FLOATS why this one is harmless"


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_only_commands_print(path: Path) -> None:
    if path.relative_to(SOURCE).parts[0] in PRINTING:
        return
    calls = (node for node in ast.walk(tree(path)) if isinstance(node, ast.Call))
    printed = [c.lineno for c in calls if isinstance(c.func, ast.Name) and c.func.id == "print"]
    assert not printed, "print belongs in cli"


def impurities(module: ast.Module) -> Iterator[str]:
    for node in ast.walk(module):
        match node:
            case ast.Import(names=names):
                roots = {alias.name.split(".")[0] for alias in names}
                yield from (f"import {root}" for root in roots & IMPURE_IMPORTS)
            case ast.ImportFrom(module=str(source), level=0):
                if source.split(".")[0] in IMPURE_IMPORTS:
                    yield f"from {source} import"
            case ast.Attribute(value=ast.Name(id="date" | "datetime"), attr=attr):
                if attr in ("now", "utcnow", "today", "fromtimestamp"):
                    yield f".{attr}, line {node.lineno}"


@pytest.mark.parametrize("package", PURE)
def test_pure_packages_touch_nothing(package: str) -> None:
    paths = [p for p in sorted((SOURCE / package).rglob("*.py")) if name(p) not in DOORS]
    found = {name(path): sorted(impurities(tree(path))) for path in paths}
    assert not {path: what for path, what in found.items() if what}


@pytest.mark.parametrize("path", ALL, ids=name)
def test_nothing_forks(path: Path) -> None:
    """A fork has no threads, and waits forever for those of typst (see `tests/forked.py`)."""
    forks = re.findall(
        r"os\.fork\(|forkpty|get_context\(\"fork\"|get_context\(\)", path.read_text()
    )
    assert not forks or path.name == "test_tidy.py"


def test_nothing_is_skipped() -> None:
    skips = re.compile(r"pytest\.(?:mark\.)?(?:skip|xfail|importorskip)|unittest\.skip")
    tests = [p for p in (ROOT / "tests").rglob("*.py") if p != Path(__file__)]
    assert not [name(path) for path in tests if skips.search(path.read_text(encoding="utf-8"))]
