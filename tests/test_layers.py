"""Who may import whom: a module imports its own layer and those that stand below it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import ROOT

SOURCE = ROOT / "src" / "bizrun"

# From the ground up. The last name counts where two fit: `lang.check` is `lang`.
LAYERS = (
    (
        "values",
        "lossless",
        "diagnostics",
        "errors",
        "times",
        "currencies",
        "codes",
        "model",
        "cached",
    ),
    ("lang", "billing", "store", "providers", "documents"),
    ("ir", "actions"),
    ("runtime",),
    ("pipeline", "reports"),
    ("cli", "lsp", "server"),
)
LAYER = {name: number for number, names in enumerate(LAYERS, 1) for name in names}

# Within the ground floor: these know nothing but each other.
GROUND = {
    "errors": set(),
    "currencies": set(),
    "diagnostics": {"errors"},
    "values": {"errors", "currencies", "diagnostics"},
    "lossless": {"values"},
    "times": {"errors", "values"},
}

# Siblings on the second floor do not know each other.
APART = LAYERS[1]

# What only the command line and the pipeline choose between.
CONCRETE = {
    # How rows match a condition, and what plain events say, is the same in every store.
    "store": {"base", "match", "plain"},
    "providers": {"base"},
}


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Every module of bizrun that a file names, those for type checking included."""
    package = ("bizrun", *path.relative_to(SOURCE).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*base, *(node.module or "").split("."))).strip(".")
            for alias in node.names:
                yield f"{module}.{alias.name}", node.lineno


def arrows() -> Iterator[tuple[str, str, str, tuple[str, ...]]]:
    """(where, from, to, the whole path of what is imported) for each import within bizrun."""
    for path in sorted(SOURCE.rglob("*.py")):
        here = path.relative_to(SOURCE).with_suffix("").parts[0]
        for target, line in imports(path):
            root, *rest = target.split(".")
            if root == "bizrun" and rest and rest[0] in LAYER:
                where = f"{path.relative_to(SOURCE)}:{line}"
                yield where, here, rest[0], tuple(rest)


def test_every_module_has_a_layer() -> None:
    names = {path.stem for path in SOURCE.glob("*.py")} - {"__init__", "__main__"}
    names |= {path.parent.name for path in SOURCE.glob("*/__init__.py")}
    assert not names - LAYER.keys()


def test_imports_point_downward() -> None:
    wrong = [
        f"{where}: {here} imports {target}"
        for where, here, target, _ in arrows()
        if here in LAYER and LAYER[target] > LAYER[here]
    ]
    assert not wrong


def test_the_ground_floor_has_an_order() -> None:
    wrong = [
        f"{where}: {here} imports {target}"
        for where, here, target, _ in arrows()
        if here in GROUND and target != here and target not in GROUND[here]
    ]
    assert not wrong


def test_the_second_floor_is_apart() -> None:
    wrong = [
        f"{where}: {here} imports {target}"
        for where, here, target, _ in arrows()
        if here in APART and target in APART and here != target
    ]
    assert not wrong


@pytest.mark.parametrize("package", sorted(CONCRETE))
def test_the_runtime_knows_no_concrete(package: str) -> None:
    wrong = [
        f"{where}: {'.'.join(path)}"
        for where, here, target, path in arrows()
        if here in {"runtime", "ir", "actions"}
        and target == package
        and len(path) > 1
        and path[1] not in CONCRETE[package]
    ]
    assert not wrong
