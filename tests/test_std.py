"""The standard library: each module is right and tested by itself, and its page says how."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bizrun.cli.main import main
from bizrun.cli.test_runs import Prepared
from bizrun.lang.std import std_modules

from .conftest import ROOT

MODULES = std_modules()
PAGE = (ROOT / "docs" / "std.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (std\.\w+)\n(.*?)(?=^## std|\Z)", PAGE, re.MULTILINE | re.DOTALL))
BLOCKS = [
    (name, number, block)
    for name, section in SECTIONS.items()
    for number, block in enumerate(re.findall(r"^```biz\n(.*?)^```", section, re.M | re.S), 1)
]


@pytest.mark.parametrize("name", MODULES)
def test_module(name: str) -> None:
    """It checks without a warning, its tests pass, and they reach all of it."""
    prepared = Prepared(name, coverage=True)
    assert not prepared.checked.diagnostics
    tests, _ = prepared.tests(())
    assert tests
    assert not [run for run in map(prepared.run, tests) if run.failures]
    assert prepared.coverage is not None
    assert not set(prepared.coverage.points) - prepared.coverage.reached


def test_each_module_has_a_section_with_a_tested_block() -> None:
    assert list(SECTIONS) == sorted({name for name, *_ in BLOCKS})
    assert set(SECTIONS) == set(MODULES)
    for name in SECTIONS:
        assert f"[{name}](#{name.replace('.', '')})" in PAGE


@pytest.mark.parametrize(("name", "number", "text"), BLOCKS, ids=[f"{n}-{i}" for n, i, _ in BLOCKS])
def test_block(
    name: str, number: int, text: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    spec = tmp_path / "block.biz"
    spec.write_text(text, encoding="utf-8")
    assert f"use {name}" in text
    for command in (["check", "--strict"], ["fmt", "--check"], ["test"]):
        assert main([*command, str(spec)]) == 0, capfd.readouterr()


def test_a_module_goes_by_its_name(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever bizrun is called; a name that isn't there gets a hint."""
    monkeypatch.chdir(tmp_path)
    assert main(["test", "std.dunning"]) == 0
    assert main(["check", "--strict", "std.dunning"]) == 0
    assert main(["check", "std.duning"]) == 2
    assert "Did you mean std.dunning?" in capfd.readouterr().err


# The days of a policy's retries, counted from the first failure, then what follows and when.
POLICIES = {
    "standard": ([3, 7, 14], "suspended", 21),
    "gentle": ([3, 7, 14, 28], "suspended", 58),
    "strict": ([1, 3], "cancelled", 3),
    "doubling": ([1, 3, 7, 15], "suspended", 22),
}
POLICY = """
business "Shop" {{ currency USD, bills User, dunning {name} }}
use std.dunning
entity User {{ id text key, email text }}
plan pro {{ price 10 USD per year }}
event User.joined key id {{ id text, email text }}
on User.joined as joined {{
  let user = create User {{ ...joined }}
  subscribe {{ customer: user, plan: pro }}
}}
test "{name}" {{
  at 2026-01-01T12:00:00Z
  payments fail with "card_declined"
  emit User.joined {{ id: "u1", email: "ada@example.com" }}
{lines}}}
"""


@pytest.mark.parametrize("name", POLICIES)
def test_policy(name: str, tmp_path: Path) -> None:
    days, then, end = POLICIES[name]
    lines, before = "", 0
    for day in days:
        lines += f"  advance {day - before} days - 1 hour\n  expect no charge\n"
        lines += "  advance 1 hour\n  expect 1 charge\n"
        before = day
    lines += f'  expect (first Subscription).status == "{then}"\n'
    if end > before:
        lines += f"  advance {end - before - 1} days\n"
        lines += f'  expect (first Subscription).status == "{then}"\n'
        lines += "  advance 1 day\n  expect no charge\n"
    lines += '  expect (first Subscription).status == "cancelled"\n'
    spec = tmp_path / "spec.biz"
    spec.write_text(POLICY.format(name=name, lines=lines), encoding="utf-8")
    prepared = Prepared(str(spec), coverage=False)
    assert not prepared.checked.diagnostics
    assert [prepared.run(test).failures for test in prepared.tests(())[0]] == [[]]
