"""W5: what `bizrun check` takes from a cold start, and the year of specs/saas.biz end to end.

The specs are those that the test suite checks for their diagnostics, in 100, 2,000 and 10,000
lines. A start is short, so each figure is the best of several.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .clock import Timing

Measure = Callable[[list[str]], tuple[Timing, bytes]]

ROOT = Path(__file__).parent.parent
TIMES = 5


@dataclass(frozen=True, slots=True)
class Check:
    """What was measured of a command; `aim` is the seconds of wall time of PERFORMANCE.md."""

    title: str
    cpu: float
    wall: float
    megabytes: float
    aim: float


def checks(folder: Path, process: Measure) -> list[dict[str, Any]]:
    """Measures and prints all; `process` runs a command."""
    print(f"\nW5: seconds from start to end, the best of {TIMES}")
    found = []
    for title, command, aim in _commands(folder):
        timings = [process(command)[0] for _ in range(TIMES)]
        best = Check(
            title, min(t.cpu for t in timings), min(t.wall for t in timings),
            max(t.megabytes for t in timings), aim,
        )  # fmt: skip
        found.append(asdict(best))
        print(
            f"  {title:44} {best.wall:6.2f} s wall, {best.cpu:6.2f} s cpu, "
            f"{best.megabytes:4.0f} MB  aim {aim:.2f} s{'' if best.wall <= aim else ': missed'}"
        )
    return found


def _commands(folder: Path) -> list[tuple[str, list[str], float]]:
    bizrun = [sys.executable, "-m", "bizrun.cli.main"]
    right = [_spec(folder, lines) for lines in (100, 10_000)]
    wrong = _wrong(folder, bizrun)
    saas = ["run", "specs/saas.biz", "--fresh", "--json", "--state", f"{folder}/saas.db"]
    return [
        ("check, 100 lines", [*bizrun, "check", "--no-cache", right[0]], 0.15),
        ("check, 10,000 lines", [*bizrun, "check", "--no-cache", right[1]], 1.0),
        ("check, unchanged since the last one", [*bizrun, "check", right[1]], 0.08),
        # A command that ends with 1 is taken for one that failed.
        ("check, 2,000 lines with 20 mistakes", _ending_well([*bizrun, "check", wrong]), 1.0),
        ("run specs/saas.biz, a year, with its files", [*bizrun, *saas, "--out", f"{folder}/out"],
         5.0),
    ]  # fmt: skip


def _ending_well(command: list[str]) -> list[str]:
    return ["/bin/sh", "-c", '"$@"; test $? = 1', "sh", *command]


def _spec(folder: Path, lines: int) -> str:
    from tests.test_many_mistakes import HEAD, PART

    parts = max(1, round((lines - HEAD.count("\n")) / PART.count("\n")))
    place = folder / f"spec-{lines}.biz"
    place.write_text(HEAD + "".join(PART.replace("N", str(number)) for number in range(parts)))
    return str(place)


def _wrong(folder: Path, bizrun: list[str]) -> str:
    """A spec with twenty mistakes, each of which is told."""
    from tests.test_many_mistakes import KINDS, MISTAKES, spec_with

    text, lines = spec_with(list(KINDS)[:MISTAKES], 1)
    place = folder / "wrong.biz"
    place.write_text(text)
    told = subprocess.run(
        [*bizrun, "check", "--format", "json", str(place)], cwd=ROOT, capture_output=True
    ).stdout
    found = {problem["line"] for problem in json.loads(told)}
    if missing := lines.keys() - found:
        raise SystemExit(f"mistakes that were not told, by line: {sorted(missing)}")
    return str(place)
