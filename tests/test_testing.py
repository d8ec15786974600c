"""The test language: a corpus whose tests all hold, and what failing tests are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from bizrun.cli.test_report import failed_test, file_line
from bizrun.cli.test_runs import Prepared
from bizrun.runtime.coverage import KINDS
from bizrun.runtime.mutate import mutants

from .conftest import ROOT

CORPUS = sorted((ROOT / "tests" / "golden" / "run").glob("*.biz"))
FAILING = sorted((ROOT / "tests" / "golden" / "run" / "failing").glob("*.biz"))


def run(path: Path, coverage: bool = False) -> Prepared:
    prepared = Prepared(str(path.relative_to(ROOT)), coverage)
    errors = [f"{d.code} {d.message}" for d in prepared.checked.diagnostics if d.code[0] == "E"]
    assert prepared.program is not None, errors
    return prepared


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_corpus(path: Path) -> None:
    prepared = run(path)
    tests, _ = prepared.tests(())
    assert tests, "a file of the corpus has tests"
    report = prepared.report()
    for test in tests:
        done = prepared.run(test)
        assert not done.failures, "\n" + failed_test(done, report.sources, False)


@pytest.mark.parametrize("path", FAILING, ids=lambda path: path.stem)
def test_failing(path: Path, update: bool) -> None:
    prepared = run(path)
    report = prepared.report()
    report.tests = [prepared.run(test) for test in prepared.tests(())[0]]
    for test in report.tests:
        test.milliseconds = 0
    told = [file_line(report, 0, False)]
    told += [failed_test(test, report.sources, False) for test in report.tests if test.failures]
    text = "\n\n".join(told) + "\n"
    golden = path.with_suffix(".txt")
    if update:
        golden.write_text(text, encoding="utf-8")
    assert golden.read_text(encoding="utf-8") == text
    assert all(test.failures for test in report.tests), "each test of these files fails"


def test_coverage_changes_nothing_but_what_it_counts() -> None:
    for path in CORPUS[::4]:
        prepared = run(path, coverage=True)
        report = prepared.report()
        for test in prepared.tests(())[0]:
            done = prepared.run(test)
            assert not done.failures, "\n" + failed_test(done, report.sources, False)


def covered(tmp_path: Path, text: str) -> tuple[set[str], set[str]]:
    """What the tests of a spec reach, and what they don't, as `kind text`."""
    path = tmp_path / "spec.biz"
    path.write_text(text, encoding="utf-8")
    prepared = Prepared(str(path), True)
    assert prepared.coverage is not None, prepared.checked.diagnostics
    for test in prepared.tests(())[0]:
        assert not prepared.run(test).failures
    found = prepared.coverage
    reached = {f"{p.line} {p.kind} {p.text}" for p in found.reached}
    return reached, {f"{p.line} {p.kind} {p.text}" for p in found.points} - reached


def test_coverage_of_branches_and_bodies(tmp_path: Path) -> None:
    reached, never = covered(
        tmp_path,
        """business "X" { timezone "UTC" }
entity Item { id text key, n number = 0 }
event Item.made { id text, n number }
event Item.gone { item Item }
on Item.made as m {
  let size = if m.n > 5 then "big" else "small"
  let item = create Item { id: m.id, n: m.n }
  if m.n == 1 { log "{size}" } else if m.n == 2 { log "two" }
  match m.n { 1, 2 => { log "few" } else => { log "many" } }
  after 1 day unless Item.gone as g where g.item == item { log "late" }
  for each i in Item where .n > 100 { log i.id }
}
on Item.gone(item) { delete item }
fn kind(n: number) -> text { if n > 1 { return "a" }
  return match n { 0 => "b", else => "c" } }
test "one" {
  at 2026-01-01T00:00:00Z
  emit Item.made { id: "a", n: 1 }
  expect kind(0) == "b"
}
""",
    )
    assert "5 handler on Item.made" in reached
    assert "13 handler on Item.gone" in never
    assert "6 branch `if` was never false" in reached
    assert "6 branch `if` was never true" in never
    assert "8 branch the condition was never true" in reached
    assert "9 branch never 1, 2" in reached
    assert "9 branch never anything else" in never
    assert "10 branch the block never ran" in never
    assert "11 branch no round ever ran" in never


def test_coverage_of_arrows_and_tiers(tmp_path: Path) -> None:
    reached, never = covered(
        tmp_path,
        """business "X" { currency USD, timezone "UTC", bills User }
entity User { id text key, state "new" | "old" | "gone" = "new" }
event User.aged key user { user User, n number = 1 }
event User.made { id text }
lifecycle User.state {
  start "new"
  "new" -> "old" on User.aged
  "old" -> "gone" after 90 days
}
meter things { sum n of User.aged per user }
plan pro { price 0 USD per month, usage things graduated {
  up to 5: 1 USD
  above: 2 USD
} }
on User.made(id) { let user = create User { id }
  subscribe { customer: user, plan: pro } }
test "one" {
  at 2026-01-01T00:00:00Z
  emit User.made { id: "u" }
  emit User.aged { user: "u", n: 3 }
  advance to 2026-02-02T00:00:00Z
  expect 1 charge { amount: 3 USD }
}
""",
    )
    assert '7 arrow "new" -> "old" on User.aged' in reached
    assert '8 arrow "old" -> "gone" after 90 days' in never
    assert "12 tier pro, things: up to 5" in reached
    assert "13 tier pro, things: above" in never
    assert {text.split()[1] for text in reached | never} <= set(KINDS)


def test_mutants_are_small_and_outside_of_tests(tmp_path: Path) -> None:
    path = tmp_path / "spec.biz"
    path.write_text(
        """business "X" { currency USD }
entity Item { id text key, n number = 0 }
const rate = 0.008
event Item.made { id text, n number }
on Item.made as m where m.n >= 10_000 {
  after 14 days { log "{12.50 USD * 15%}" }
  if m.id == "x" { log "1" }
}
test "one" { at 2026-01-01T00:00:00Z  expect 1 + 1 == 2 }
""",
        encoding="utf-8",
    )
    found = [(mutant.old, mutant.new) for mutant in mutants(Prepared(str(path), False).checked)]
    assert found == [
        ("0", "1"),
        ("0.008", "0.009"),
        (">=", ">"),
        ("10_000", "10001"),
        ("14 days", "15 days"),
        ("12.50 USD", "12.51 USD"),
        ("15%", "16%"),
        ("==", "!="),
    ]
