"""Every spec of this repository is checked and tested, by the command that authors use."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.spec_events import BUSINESSES, lines

from .conftest import ROOT

SPECS = sorted((ROOT / "specs").glob("**/*.biz"))
# Parts of a spec are checked and tested with the file that uses them.
PARTS = {
    path.parent / name
    for path in SPECS
    for name in re.findall(r'^use "\./([^"]+)"', path.read_text(encoding="utf-8"), re.MULTILINE)
}
WHOLE = [path for path in SPECS if path not in PARTS]


def run(*args: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(arg) for arg in args], capture_output=True, text=True, cwd=ROOT, timeout=120
    )


@pytest.mark.parametrize("spec", WHOLE, ids=lambda path: path.stem)
def test_check(bizrun: Path, spec: Path) -> None:
    done = run(bizrun, "check", "--strict", spec)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("spec", WHOLE, ids=lambda path: path.stem)
def test_test(bizrun: Path, spec: Path) -> None:
    done = run(bizrun, "test", spec)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", sorted(BUSINESSES))
def test_the_other_years_are_reproduced(name: str) -> None:
    stored = (ROOT / "specs" / f"{name}.events.jsonl").read_text(encoding="utf-8")
    assert "".join(f"{line}\n" for line in lines(name)) == stored


@pytest.mark.parametrize("name", sorted(BUSINESSES))
def test_run(bizrun: Path, tmp_path: Path, name: str) -> None:
    """A year of events leaves a sound state, and no handler failed."""
    state = tmp_path / "s.db"
    done = run(bizrun, f"specs/{name}.biz", "--state", state, "--out", "none")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "failed\n" not in done.stdout, done.stdout
    assert run(bizrun, "verify", "--state", state).returncode == 0


def test_the_year_of_saas_is_reproduced(tmp_path: Path) -> None:
    again = tmp_path / "saas.events.jsonl"
    done = run(sys.executable, ROOT / "benchmarks" / "saas_events.py", again)
    assert done.returncode == 0, done.stderr
    assert again.read_bytes() == (ROOT / "specs" / "saas.events.jsonl").read_bytes()


ROW = re.compile(r"^\| [^|]+ \| \[[^]]+\]\(([^)]+)\) \| `([^`]+)` \|$", re.MULTILINE)


def test_the_table_of_businesses_is_true() -> None:
    """Each row names what stands in its file; each spec has a row."""
    rows = ROW.findall((ROOT / "specs" / "README.md").read_text(encoding="utf-8"))
    assert len(rows) > 60
    wrong = [row for row in rows if row[1] not in (ROOT / "specs" / row[0]).read_text("utf-8")]
    assert not wrong
    named = {file for file, _ in rows}
    assert {path.relative_to(ROOT / "specs").as_posix() for path in SPECS} == named
