"""Each example of docs/billing.md is a spec whose tests pass."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from bizrun.pipeline import compile_spec, open_engine
from bizrun.providers.sandbox import Sandbox
from bizrun.runtime.testing import run_test
from bizrun.store.memory import MemoryStore

from .conftest import ROOT

PAGE = ROOT / "docs" / "billing.md"
BLOCK = re.compile(r"^```biz\n(.*?)^```", re.MULTILINE | re.DOTALL)


def examples() -> list[Any]:
    text = PAGE.read_text(encoding="utf-8")
    # What has no test of its own, as it needs the outside world, is checked by test_docs.py.
    return [
        pytest.param(match[1], id=title[1])
        for match in BLOCK.finditer(text)
        if (title := re.search(r'test "([^"]+)"', match[1])) is not None
    ]


def test_there_are_enough() -> None:
    assert len(examples()) >= 25


@pytest.mark.parametrize("text", examples())
def test_example(text: str, tmp_path: Path) -> None:
    path = tmp_path / "example.biz"
    path.write_text(text, encoding="utf-8")
    checked, program = compile_spec(str(path))
    assert not checked.diagnostics, [f"{d.code} {d.message}" for d in checked.diagnostics]
    assert program is not None

    def fresh() -> tuple[Any, Sandbox]:
        sandbox = Sandbox()
        return open_engine(program, MemoryStore(), sandbox, True), sandbox

    for test in checked.symbols.tests:
        result = run_test(checked, program, test, fresh)
        assert not result.failures, [(f.message, f.details) for f in result.failures]
