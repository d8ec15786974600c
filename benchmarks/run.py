"""Runs the workloads through the public command, each beside its limit and a peer.

    python -m benchmarks --scale 0.1 --only W1 --json results.json

Everything runs in processes of its own, one after the other, on the same data. What the command
needs to start is measured with an empty stream and taken off. Ratios compare processor time,
which others on the machine disturb least; wall time stands beside it.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from . import streams
from .checks import checks
from .clock import Timing

ROOT = Path(__file__).parent.parent
SPECS = Path(__file__).parent / "specs"
PEER_PACKAGES = {"zen": "zen-engine", "sqlalchemy": "sqlalchemy"}


@dataclass(slots=True)
class Rival:
    """A limit or a peer that a workload is compared with; `target` is what bizrun aims at."""

    function: str
    title: str
    target: float | None = None
    needs: str = ""


@dataclass(slots=True)
class Case:
    """One way of running a workload with bizrun, and what stands beside it.

    Where `then` is given, the stream only prepares a state: what is measured is a second run on
    it, without events, with these options; each of the `size` is a unit of work. Of several
    `times`, in turn with what stands beside it, the one with the middle ratio counts.
    """

    workload: str
    title: str
    spec: str
    stream: Callable[[int], Iterator[Any]]
    size: int
    rivals: tuple[Rival, ...]
    state: str = "state.db"
    options: tuple[str, ...] = ()
    then: tuple[str, ...] = ()
    times: int = 1


@dataclass(slots=True)
class Result:
    """What was measured of a case."""

    case: str
    bizrun: Timing
    rivals: list[tuple[Rival, Timing]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


# Half of these stands in the issue; all of them in PERFORMANCE.md.
CASES = (
    Case("W1", "20 rules, in memory", "rules", streams.orders, 100_000, (
        Rival("limits.rules", "one generated function, decoded", 0.3),
        Rival("peers.rules_zen_one", "zen-engine, one expression", None, "zen"),
        Rival("peers.rules_zen", "zen-engine, rule by rule", None, "zen"),
    ), ":memory:"),
    Case("W1", "20 rules, SQLite", "rules", streams.orders, 100_000, (
        Rival("limits.rules", "one generated function, decoded"),
    )),
    Case("W2", "usage, in memory", "usage", streams.usage, 1_000_000, (
        Rival("limits.usage_decoded", "dict counters, decoded", 0.5),
        Rival("peers.usage_lines", "dict counters, from lines"),
        Rival("by_hand.usage_by_hand", "all that is kept, by hand"),
    ), ":memory:", ("--until", "2026-04-02T00:00:00Z")),
    Case("W2", "usage, SQLite", "usage", streams.usage, 1_000_000, (
        Rival("limits.usage_rows", "executemany, a row an event", 0.4),
        Rival("peers.usage_sqlite", "SQLite by hand"),
    ), options=("--until", "2026-04-02T00:00:00Z")),
    Case("W3", "sign-ups and timers, SQLite", "signups", streams.signups, 20_000, (
        Rival("limits.signups_rows", "prebuilt rows, executemany", 0.5),
        Rival("peers.signups_sqlalchemy", "SQLAlchemy", None, "sqlalchemy"),
    ), options=("--until", "2026-01-26T00:00:00Z")),
    Case("W3", "a transaction for each", "signups", streams.signups, 1_000, (
        Rival("limits.signups_commits", "raw commits", 0.7),
        Rival("peers.signups_sqlalchemy_each", "SQLAlchemy", None, "sqlalchemy"),
    ), options=("--batch", "1"), times=15),  # half a second each, and the disk has its moods
    Case("W4", "renewals, SQLite", "renewals", streams.renewals, 100_000, (
        Rival("limits.renewals_rows", "prebuilt rows, executemany", 0.5),
        Rival("peers.renewals_sqlalchemy", "SQLAlchemy", None, "sqlalchemy"),
    ), then=("--until", "2026-02-12T00:00:00Z")),
)  # fmt: skip


def main(given: list[str] | None = None) -> int:
    """Runs what is asked for and prints the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="size of the streams (1.0)")
    parser.add_argument("--only", metavar="W1", help="W1 to W5, or growth")
    parser.add_argument("--json", metavar="FILE", type=Path, help="also write the figures there")
    args = parser.parse_args(given)
    print(machine())
    report: dict[str, Any] = {"machine": machine(), "scale": args.scale, "results": []}
    with tempfile.TemporaryDirectory(prefix="bizrun-bench-") as name:
        folder = Path(name)
        for case in CASES:
            if args.only in (None, case.workload):
                result = measure(case, folder, args.scale)
                show(result)
                report["results"].append(asdict(result))
        if args.only in (None, "growth"):
            report["growth"] = growth(folder, args.scale)
        if args.only in (None, "W5"):
            report["checks"] = checks(folder, _process)
    if args.json:
        args.json.write_text(json.dumps(report, indent=2, default=str) + "\n")
    return 0


def measure(case: Case, folder: Path, scale: float) -> Result:
    """A case, its limits and its peers, one after the other on the same stream."""
    size = max(1, int(case.size * scale))
    path = folder / f"{case.spec}-{size}.jsonl"
    if not path.exists():
        streams.write(path, case.stream(size))
    run = prepared if case.then else bizrun
    notes, rivals = [], []
    for rival in case.rivals:
        if rival.needs and importlib.util.find_spec(rival.needs) is None:
            package = PEER_PACKAGES[rival.needs]
            notes.append(f"{rival.title}: left out, `pip install {package}` first")
        else:
            rivals.append(rival)
    limits = [rival for rival in rivals if rival.target is not None]
    peers = [rival for rival in rivals if rival.target is None]
    rounds = [
        (run(case, path, folder), *(_rival(limit, path, folder) for limit in limits))
        for _ in range(case.times)
    ]
    own, *others = middle(rounds)
    others += [_rival(peer, path, folder) for peer in peers]
    beside = list(zip((*limits, *peers), others, strict=True))
    result = Result(f"{case.workload} {case.title}", own, beside)
    result.notes += notes
    if case.spec == "rules" and result.rivals:
        alone = _rival(Rival("peers.rules_compiled", ""), path, folder)
        ratio = alone.cpu_rate / result.rivals[0][1].cpu_rate
        result.notes.append(
            f"bizrun's compiled rules alone, over decoded dicts: {alone.cpu_rate:,.0f} per s, "
            f"{ratio:.2f} of the limit (target 0.60, half 0.30)"
        )
    return result


def middle(rounds: Sequence[tuple[Timing, ...]]) -> tuple[Timing, ...]:
    """The round in which bizrun took as many times as long as its limit as in the middle one: both
    share the disk's mood of that moment."""

    def ratio(one: tuple[Timing, ...]) -> float:
        own, limit, *_ = (*one, one[0])  # a case may stand alone
        return own.wall / limit.wall

    return sorted(rounds, key=ratio)[len(rounds) // 2]


# --- processes -------------------------------------------------------------------------------


def bizrun(case: Case, path: Path, folder: Path) -> Timing:
    """The public command over a stream, less what it takes over an empty one."""
    empty = folder / "empty.jsonl"
    empty.write_bytes(b"")
    start = min((_command(case, empty, folder, ())[0] for _ in range(3)), key=lambda t: t.cpu)
    timing, summary = _command(case, path, folder, case.options)
    timing.wall = max(timing.wall - start.wall, 1e-9)
    timing.cpu = max(timing.cpu - start.cpu, 1e-9)
    events = summary["events"]
    if events["handled"] != events["read"] or events["rejected"]:
        raise SystemExit(f"{case.title}: not every event was handled: {events}")
    timing.events, timing.result = events["handled"], summary["counts"]
    return timing


def prepared(case: Case, path: Path, folder: Path) -> Timing:
    """What the public command does with the state that a stream has left, less what it needs to
    start on that state."""
    empty = folder / "empty.jsonl"
    empty.write_bytes(b"")
    _, before = _command(case, path, folder, ())
    start = min(
        (_command(case, empty, folder, (), fresh=False)[0] for _ in range(3)), key=lambda t: t.cpu
    )
    timing, after = _command(case, empty, folder, case.then, fresh=False)
    timing.wall = max(timing.wall - start.wall, 1e-9)
    timing.cpu = max(timing.cpu - start.cpu, 1e-9)
    made = after["counts"]["invoices"] - before["counts"]["invoices"]
    if after["counts"]["failed_charges"] or not made:
        raise SystemExit(f"{case.title}: not every subscription was renewed: {after['counts']}")
    timing.events, timing.result = made, after["counts"]
    return timing


def _command(
    case: Case, path: Path, folder: Path, options: tuple[str, ...], fresh: bool = True
) -> tuple[Timing, dict[str, Any]]:
    state = case.state if case.state == ":memory:" else str(folder / case.state)
    command = [
        sys.executable, "-m", "bizrun.cli.main", "run", str(SPECS / f"{case.spec}.biz"),
        "--events", str(path), "--state", state, "--json", "--out", "none", *options,
        *(["--fresh"] if fresh else []),
    ]  # fmt: skip
    timing, output = _process(command)
    return timing, json.loads(output)


def _rival(rival: Rival, path: Path, folder: Path) -> Timing:
    command = [sys.executable, "-m", "benchmarks.rival", rival.function, str(path), str(folder)]
    around, output = _process(command)
    timing = Timing(**json.loads(output))
    timing.megabytes = around.megabytes
    return timing


def _process(command: list[str]) -> tuple[Timing, bytes]:
    """Runs a command; its times and its largest memory."""
    begun = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        child = subprocess.Popen(command, stdout=output, cwd=ROOT)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            raise SystemExit(f"{' '.join(command)} ended with {child.returncode}")
        output.seek(0)
        text = output.read()
    timing = Timing(0, time.perf_counter() - begun, usage.ru_utime + usage.ru_stime)
    timing.megabytes = _megabytes(usage)
    return timing, text


def _megabytes(usage: resource.struct_rusage) -> float:
    return usage.ru_maxrss / (1024 * 1024 if sys.platform == "darwin" else 1024)


# --- growth ----------------------------------------------------------------------------------

GROWTH = Case("growth", "usage, SQLite", "usage", streams.growing, 1_000_000, ())


def growth(folder: Path, scale: float) -> list[dict[str, float]]:
    """What one more event of W2 costs after more and more history, and the memory it takes."""
    print("\ngrowth: usage on SQLite at an even pace, what an event costs as its history grows")
    whole = streams.write(folder / "growing.jsonl", streams.growing(int(GROWTH.size * scale)))
    part = folder / "part.jsonl"
    found: list[dict[str, float]] = []
    before = Timing(0)
    for size in (10_000, 30_000, 100_000, 300_000, 1_000_000):
        with whole.open("rb") as source, part.open("wb") as file:
            file.writelines(islice(source, 30 + int(size * scale)))
        timing = bizrun(GROWTH, part, folder)
        events = timing.events - before.events
        cpu = (timing.cpu - before.cpu) / events * 1e6
        wall = (timing.wall - before.wall) / events * 1e6
        before = timing
        found.append(
            {"events": timing.events, "cpu": cpu, "wall": wall, "megabytes": timing.megabytes}
        )
        print(
            f"  up to {timing.events:>9,} events: {cpu:6.2f} µs cpu, {wall:6.2f} µs wall an event, "
            f"{timing.megabytes:5.0f} MB"
        )
    return found


# --- telling ---------------------------------------------------------------------------------


def machine() -> str:
    """Hardware, versions and commit, in a line."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True
    ).stdout.strip()
    import sqlite3

    model = next(
        (line.partition(":")[2].strip() for line in _cpu_lines() if line.startswith("model name")),
        platform.machine(),
    )
    return (
        f"{os.cpu_count()} x {model}, Python {platform.python_version()}, "
        f"SQLite {sqlite3.sqlite_version}, commit {commit or 'unknown'}"
    )


def _cpu_lines() -> list[str]:
    try:
        return Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return []


def show(result: Result) -> None:
    """A case as lines of a table."""
    own = result.bizrun
    print(f"\n{result.case}: {own.events:,} events")
    print(f"  {'':34} {'per s (cpu)':>12} {'per s (wall)':>12} {'MB':>5} {'ratio':>7} target  half")
    print(f"  {'bizrun':34} {own.cpu_rate:>12,.0f} {own.rate:>12,.0f} {own.megabytes:>5.0f}")
    for rival, timing in result.rivals:
        # Raw commits wait for the disk: there the wall decides.
        wall = rival.function.endswith(("commits", "each"))
        ratio = own.rate / timing.rate if wall else own.cpu_rate / timing.cpu_rate
        aim = ""
        if rival.target is not None:
            half = rival.target / 2
            aim = f"{rival.target:6.2f} {half:5.2f} {'met' if ratio >= half else 'missed'}"
        print(
            f"  {rival.title:34} {timing.cpu_rate:>12,.0f} {timing.rate:>12,.0f} "
            f"{timing.megabytes:>5.0f} {ratio:>7.2f} {aim}"
        )
    for note in result.notes:
        print(f"  {note}")
