"""`bizrun new`: each starting point checks, passes its tests and runs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bizrun.cli.new import TEMPLATES


def run(bizrun: Path, folder: Path, *args: str, code: int = 0) -> str:
    done = subprocess.run([bizrun, *args], capture_output=True, text=True, cwd=folder, timeout=120)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("template", TEMPLATES)
def test_it_runs_as_it_is(bizrun: Path, tmp_path: Path, template: str) -> None:
    run(bizrun, tmp_path, "new", "mine", "--template", template)
    mine = tmp_path / "mine"
    assert "fine" in run(bizrun, mine, "check", "--strict", f"{template}.biz")
    assert "passed" in run(bizrun, mine, "test", f"{template}.biz")
    said = run(bizrun, mine, f"{template}.biz")
    assert " new, 0 seen before" in said
    assert "warning" not in said
    assert "0 new" in run(bizrun, mine, f"{template}.biz", "--out", "none")
    assert "sound" in run(bizrun, mine, "verify")


def test_what_is_there_stays(bizrun: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "plan.txt").write_text("mine")
    assert "not empty" in run(bizrun, tmp_path, "new", "mine", code=2)
    assert "Invalid value" in run(bizrun, tmp_path, "new", "x", "--template", "bank", code=2)
    assert not (tmp_path / "x").exists()
