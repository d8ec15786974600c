"""kill -9 at any moment, and run again: nothing is lost, nothing is done twice.

A run of the whole command is killed at random moments and at exact points: before and after each
write, append and commit, between the commit and its acknowledgement, and in the writing of files.
Run again to its end, its state has the hash of an undisturbed run. `make crash N=200` for more.
"""

from __future__ import annotations

import io
import json
import os
import random
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial, wraps
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import pytest

import bizrun.cli.main
import bizrun.cli.run
from bizrun.documents import sink
from bizrun.ir.program import Program
from bizrun.pipeline import compile_spec
from bizrun.reports.verify import verify
from bizrun.runtime import stream
from bizrun.runtime.engine import Engine
from bizrun.runtime.tables import tables_of
from bizrun.store.digest import state_digest
from bizrun.store.event_log import EventLog
from bizrun.store.file import StateFile
from bizrun.store.open import open_store
from bizrun.store.sqlite import SqliteStore

from .forked import start
from .streams import END, everything, with_mistakes, write_spec

SPEC, STREAM = "everything.biz", "stream.jsonl"
POINTS = int(os.environ.get("BIZRUN_CRASH", "50"))
EVENTS = 600 if POINTS > 50 else 120
BATCH = 10
UNTIL = "2026-03-01T00:00:00Z" if POINTS <= 50 else END
IN_TIME = 0.3  # of the points: at random moments, whatever is being done then

# Where to kill: a function that is called often in a run, before it or after it.
PLACES: tuple[tuple[Any, str], ...] = (
    (SqliteStore, "commit"),
    (SqliteStore, "write"),
    (SqliteStore, "append"),
    (SqliteStore, "_flush"),
    (EventLog, "link"),
    (StateFile, "write_tail"),
    (Engine, "commit"),
    (bizrun.cli.run, "_tell"),
    (sink.Sink, "write_new"),
    (sink.Sink, "_put"),
    (sink.Sink, "_write_mark"),
    (sink.Sink, "finish"),
    (sink.Sink, "begin"),
)

COMMIT = PLACES.index((SqliteStore, "commit"))
WRITE_NEW = PLACES.index((sink.Sink, "write_new"))

Patch = Callable[[], None]


@dataclass(frozen=True)
class Point:
    """Before or after the nth call of a place; or after so many seconds, where there is none."""

    place: int | None
    nth: int = 0
    after: bool = False
    seconds: float = 0

    @property
    def name(self) -> str:
        """What is called there."""
        if self.place is None:
            return "at any time"
        owner, name = PLACES[self.place]
        return f"{owner.__name__}.{name}"

    def __str__(self) -> str:
        when = "after" if self.after else "before"
        return f"{when} {self.name} number {self.nth}, {self.seconds:.3f} s"


def kill_at(point: Point) -> None:
    """Makes this process kill itself at a point."""
    if point.place is None:
        return
    owner, name = PLACES[point.place]
    real = getattr(owner, name)
    calls = 0

    @wraps(real)
    def deadly(*args: Any, **more: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == point.nth and not point.after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = real(*args, **more)
        if calls == point.nth:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, deadly)


def count_calls(told: Path) -> None:
    """Makes this process note how often each place is called."""
    counts: Counter[int] = Counter()
    for number, (owner, name) in enumerate(PLACES):
        setattr(owner, name, _counted(getattr(owner, name), counts, number))
    real = bizrun.cli.run._report

    def report(*args: Any) -> None:
        real(*args)
        told.write_text(json.dumps(counts))

    bizrun.cli.run._report = report


def run_here(
    folder: Path, name: str, checked: Any, program: Program, patches: tuple[Patch, ...]
) -> None:
    """Ends this process with what the command ends with, run with these patches."""
    code = 99
    try:
        os.chdir(folder)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        os.dup2(os.open(f"{name}.err", flags), 2)
        sys.stdout, sys.stderr = io.StringIO(), os.fdopen(2, "w", closefd=False)
        # Reading the spec takes most of the time, and there is nothing to kill in it.
        bizrun.cli.run.program_of = lambda spec: (checked, program)
        for patch in patches:
            patch()
        code = bizrun.cli.main.main(
            [SPEC, "--events", STREAM, "--state", f"{name}.db", "--until", UNTIL, "--out",
             f"{name}.out", "--batch", str(BATCH), "--progress", "json", "--json", "--debug"]
        )  # fmt: skip
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _counted(real: Any, counts: Counter[int], number: int) -> Any:
    @wraps(real)
    def counted(*args: Any, **more: Any) -> Any:
        counts[number] += 1
        return real(*args, **more)

    return counted


# --- running -----------------------------------------------------------------------------------


class World:
    """A folder with the spec and the stream, what an undisturbed run makes of them, and more."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        write_spec(folder, name=SPEC)
        (folder / STREAM).write_bytes(with_mistakes(everything(EVENTS)))
        self.checked, program = compile_spec(str(folder / SPEC))
        assert program is not None
        self.program: Program = program
        told = folder / "counts.json"
        begun = time.monotonic()
        assert self.run("calm", partial(count_calls, told)) == 0, self.said("calm")
        self.seconds = time.monotonic() - begun
        self.calls = {int(key): count for key, count in json.loads(told.read_text()).items()}
        self.hash, self.log, problems = self.look("calm")
        assert not problems
        self.files = self.files_of("calm")
        assert len(self.files) > 20

    def run(self, name: str, *patches: Patch, seconds: float | None = None) -> int:
        """Runs the command in a process of its own; -9 where it was killed."""
        process = start(run_here, self.folder, name, self.checked, self.program, patches)
        if seconds is not None:
            process.join(seconds)
            process.kill()
        process.join()
        code = process.exitcode
        assert code is not None
        process.close()
        return code

    def said(self, name: str) -> str:
        return (self.folder / f"{name}.err").read_text()

    def acked(self, name: str) -> list[str]:
        """The ids that were acknowledged, over all runs; a cut last line doesn't count."""
        found: list[str] = []
        for line in self.said(name).splitlines(keepends=True):
            if line.startswith('{"acked"') and line.endswith("\n"):
                found += json.loads(line)["acked"]
        return found

    def look(self, name: str) -> tuple[str, Counter[str], list[str]]:
        """The state's hash, how often each id from outside is in the log, what `verify` finds."""
        store = open_store(str(self.folder / f"{name}.db"))
        try:
            tables = tables_of(self.program)
            store.prepare(tables)
            log = Counter(entry.id for entry in store.log() if entry.source == "")
            return state_digest(store, tables), log, verify(store, self.program)
        finally:
            store.close()

    def files_of(self, name: str) -> dict[str, bytes]:
        folder = self.folder / f"{name}.out"
        return {
            str(path.relative_to(folder)): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }

    # --- one point -----------------------------------------------------------------------------

    def strike(self, name: str, point: Point, fault: Patch | None = None) -> tuple[bool, list[str]]:
        """Kills a run at a point and runs again: whether it was hit, and all that is wrong."""
        faults = () if fault is None else (fault,)
        seconds = point.seconds if point.place is None else None
        code = self.run(name, *faults, partial(kill_at, point), seconds=seconds)
        if code != -signal.SIGKILL:
            return False, [] if code == 0 else [f"it ended with {code}: {self.said(name)[-500:]}"]
        early = self.acked(name)
        wrong = self._lost(name, early)
        code = self.run(name, *faults)
        if code != 0:
            return True, [*wrong, f"the second run ended with {code}: {self.said(name)[-500:]}"]
        return True, wrong + self._wrong(name)

    def _lost(self, name: str, early: list[str]) -> list[str]:
        """What the state must have at once after the kill: all that was acknowledged."""
        if not early:
            return []
        store = open_store(str(self.folder / f"{name}.db"))
        try:
            known = store.known([("", id_) for id_ in early])
        finally:
            store.close()
        lost = [id_ for id_ in early if ("", id_) not in known]
        return [f"{len(lost)} acknowledged events are lost: {lost[:3]}"] if lost else []

    def _wrong(self, name: str) -> list[str]:
        hash_, log, problems = self.look(name)
        wrong = list(problems)
        if log != self.log:
            wrong.append(f"the log differs: {(log - self.log) + (self.log - log)}")
        if hash_ != self.hash:
            wrong.append("the state differs from the undisturbed run's")
        acked = Counter(self.acked(name))
        if acked - self.log:
            wrong.append(f"acknowledged, and not as often in the log: {acked - self.log}")
        wrong += self._wrong_effects(name)
        files = self.files_of(name)
        names = [n for n in {*files, *self.files} if files.get(n) != self.files.get(n)]
        if names:
            wrong.append(f"files are missing, too many or others: {sorted(names)[:5]}")
        return wrong

    def _wrong_effects(self, name: str) -> list[str]:
        """Each payment was asked for once, and each effect stands once in what the world sees."""
        store = open_store(str(self.folder / f"{name}.db"))
        try:
            effects = list(store.select("_effect"))
        finally:
            store.close()
        charged = Counter(e["data"]["payment"] for e in effects if e["kind"] == "charge")
        twice = [key for key, count in charged.items() if count > 1]
        lines = (self.folder / f"{name}.out" / "effects.jsonl").read_text().splitlines()
        twice += [line for line, count in Counter(lines).items() if count > 1]
        return [f"done twice: {twice[:3]}"] if twice else []

    def forget(self, name: str) -> None:
        """Deletes what a point has left."""
        import shutil

        for path in self.folder.glob(f"{name}.*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"))


def points(world: World, count: int) -> Iterator[Point]:
    """Points without an end: first each place before and after its calls, spread over the run."""
    rng = random.Random(count)
    timed = int(count * IN_TIME)
    for number in range(timed):
        share = (number + rng.random()) / timed
        yield Point(None, seconds=world.seconds * 0.95 * share)
    exact = [(place, after) for after in (False, True) for place in world.calls]
    rng.shuffle(exact)
    for place, after in cycle(exact):
        yield Point(place, rng.randint(1, world.calls[place]), after)


def test_every_kill_is_survived(world: World) -> None:
    """Counts the points where the kill really struck, and wants enough of them."""
    struck, tried = 0, 0
    wrong: list[str] = []
    where: Counter[str] = Counter()
    for number, point in enumerate(islice(points(world, POINTS), POINTS * 2)):
        if struck >= POINTS:
            break
        tried += 1
        name = f"p{number}"
        hit, found = world.strike(name, point)
        struck += hit
        if hit:
            where[point.name] += 1
        wrong += [f"{point}: {problem}" for problem in found]
        if not found:
            world.forget(name)
    assert not wrong, "\n".join(wrong)
    assert struck >= POINTS, f"only {struck} of {tried} kills struck a run at work"
    assert len(where) == len(world.calls) + 1, where


def test_killed_again_and_again(world: World) -> None:
    """One state, killed at each second commit until it is done."""
    kills = 0
    while world.run("again", partial(kill_at, Point(COMMIT, 2 + kills * 2, after=bool(kills % 2)))):
        kills += 1
    assert kills >= 5
    assert world._wrong("again") == []


# --- that these tests would notice -------------------------------------------------------------


def acknowledge_first() -> None:
    """A fault: says that a batch is done before it is durable."""
    owner: Any = stream.Turns
    real_handle, real_tell = owner.handle, bizrun.cli.run._tell

    def handle(*args: Any) -> list[str]:
        acked: list[str] = real_handle(*args)
        if acked:
            real_tell(acked)
        return acked

    owner.handle = handle
    bizrun.cli.run._tell = lambda ids: None


def forget_ids() -> None:
    """A fault: what was handled is not known when the stream comes again."""
    real = SqliteStore.append
    owner: Any = SqliteStore
    owner.append = lambda self, entries, claim=True: real(self, entries, False)


def forget_files() -> None:
    """A fault: what a crash left out of the folder is not written by the next run."""
    owner: Any = sink.Sink
    owner.begin = lambda self, store: self.folder.mkdir(parents=True, exist_ok=True)


@pytest.mark.parametrize(
    ("fault", "point", "notice"),
    [
        (acknowledge_first, Point(COMMIT, 6), "are lost"),
        (forget_ids, Point(COMMIT, 6, True), "the log differs"),
        (forget_files, Point(WRITE_NEW, 6), "files are missing"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_planted_fault_is_found(world: World, fault: Patch, point: Point, notice: str) -> None:
    hit, wrong = world.strike(fault.__name__, point, fault)
    assert hit
    assert any(notice in problem for problem in wrong), wrong
