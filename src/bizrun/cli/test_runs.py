"""Running the tests of many files: each file compiled once, over processes where it takes long."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..diagnostics import Diagnostic, Source, Span, normal
from ..errors import BizError
from ..lang import ast
from ..lang.std import in_std
from ..lang.uses import stands_alone

if TYPE_CHECKING:
    from ..ir.program import Program
    from ..lang.symbols import Checked
    from ..runtime.coverage import Coverage, Point
    from ..runtime.expectations import Failure
    from ..runtime.testing import TestResult

# Starting another process costs about a second: what is done by then stays in this one.
PATIENCE = 1500  # milliseconds
CHUNK = 8


# A spec, and which of its tests: from the first number up to the last, not included.
Part = tuple[str, int, int | None]


@dataclass(frozen=True, slots=True)
class Options:
    """What to run: titles that contain one of `names` (all, where there is none), and how."""

    names: tuple[str, ...] = ()
    coverage: bool = False
    jobs: int = 0


@dataclass(slots=True)
class TestRun:
    """How one test went."""

    title: str
    span: Span
    milliseconds: int
    failures: list[Failure]


@dataclass(slots=True)
class FileReport:
    """How the tests of one spec went; `errors` where it could not be run at all, `skipped` the
    titles that were not asked for."""

    path: str
    errors: list[Diagnostic] = field(default_factory=list)
    sources: dict[str, Source] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    tests: list[TestRun] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    reached: set[Point] = field(default_factory=set)

    @property
    def failed(self) -> int:
        """How many tests failed."""
        return sum(bool(test.failures) for test in self.tests)

    @property
    def milliseconds(self) -> int:
        """What its tests took together."""
        return sum(test.milliseconds for test in self.tests)


class Prepared:
    """A spec ready to be tested: compiled once, run often."""

    def __init__(
        self, path: str, coverage: bool, edited: Mapping[str, bytes] | None = None
    ) -> None:
        from ..ir.lower_program import lower
        from ..pipeline import check_loaded, load_files

        self.path = path
        self.checked: Checked = check_loaded(load_files(path, edited))
        self.program: Program | None = None
        self.coverage: Coverage | None = None
        if self.checked.ok:
            self.program = lower(self.checked)
            if coverage:
                from ..runtime.coverage import Coverage

                self.coverage = Coverage(self.checked)
                self.program = self.coverage.instrument(self.program)

    def tests(self, names: Sequence[str]) -> tuple[list[ast.Test], list[str]]:
        """The tests that are asked for, and the titles of the others."""
        tests = self.checked.symbols.tests
        own = [t for t in tests if t.span.file == self.path or not in_std(t.span.file)]
        own.sort(key=lambda test: (test.span.file != self.path, test.span.file, test.span.start))
        wanted = [name.lower() for name in names]
        found = [t for t in own if not wanted or any(name in t.title.lower() for name in wanted)]
        asked = {test.span for test in found}
        return found, [test.title for test in own if test.span not in asked]

    def report(self) -> FileReport:
        """A report without tests in it."""
        from .checking import sources_of

        report = FileReport(self.path, used=set(self.checked.loaded.sources) - {self.path})
        report.sources = sources_of(self.checked)
        if self.program is None:
            report.errors = list(self.checked.diagnostics)
        if self.coverage is not None:
            report.points = self.coverage.points
            report.reached = self.coverage.reached
        return report

    def run(self, test: ast.Test) -> TestRun:
        """Runs one test."""
        from ..runtime.expectations import Failure

        begun = time.monotonic_ns()
        try:
            result = self._result(test)
            failures = result.failures
        except Exception as problem:
            if "--debug" in sys.argv:
                raise
            reason = f"{type(problem).__name__}: {problem}".split("\n")[0][:300]
            head = Span(test.span.file, test.span.start, test.span.start + 4)
            failures = [Failure(head, f"this is a mistake in bizrun itself ({reason})")]
        spent = (time.monotonic_ns() - begun) // 1_000_000
        return TestRun(test.title, test.span, spent, failures)

    def _result(self, test: ast.Test) -> TestResult:
        from ..pipeline import open_engine
        from ..providers.sandbox import Sandbox
        from ..runtime.testing import run_test
        from ..store.memory import MemoryStore

        assert self.program is not None
        program, coverage = self.program, self.coverage

        def open_() -> tuple[Any, Sandbox]:
            sandbox = Sandbox()
            engine = open_engine(program, MemoryStore(), sandbox, record_all=True)
            if coverage is not None:
                coverage.watch(engine)
            return engine, sandbox

        observe = coverage.observe if coverage is not None else None
        return run_test(self.checked, program, test, open_, observe)


@lru_cache(maxsize=2)
def _prepared(path: str, coverage: bool) -> Prepared:
    return Prepared(path, coverage)


def run_part(path: str, first: int, last: int | None, options: Options) -> FileReport:
    """Runs some of a spec's tests: what another process is told to do."""
    prepared = _prepared(path, options.coverage)
    report = prepared.report()
    if prepared.program is not None:
        tests, report.skipped = prepared.tests(options.names)
        report.tests = [prepared.run(test) for test in tests[first:last]]
    return report


def run_files(paths: Sequence[str], options: Options) -> Iterator[FileReport]:
    """The reports of all specs, in their order; here first, then over processes."""
    jobs = options.jobs or cores()
    deadline = time.monotonic_ns() + PATIENCE * 1_000_000
    for number, path in enumerate(paths):
        late = time.monotonic_ns() > deadline
        if jobs > 1 and late and len(paths) - number > 1:
            yield from _spread([[(p, 0, None)] for p in paths[number:]], options, jobs)
            return
        prepared = Prepared(path, options.coverage)
        report = prepared.report()
        if prepared.program is None:
            yield report
            continue
        tests, report.skipped = prepared.tests(options.names)
        for done, test in enumerate(tests):
            left = len(tests) - done
            if jobs > 1 and left > CHUNK and time.monotonic_ns() > deadline:
                groups: list[list[Part]] = [
                    [(path, at, at + CHUNK) for at in range(done, len(tests), CHUNK)],
                ]
                groups += [[(later, 0, None)] for later in paths[number + 1 :]]
                spread = _spread(groups, options, jobs)
                _add(report, next(spread))
                yield report
                yield from spread
                return
            report.tests.append(prepared.run(test))
        yield report


def _spread(groups: list[list[Part]], options: Options, jobs: int) -> Iterator[FileReport]:
    """Runs groups of parts over processes; a report each, in order."""
    from concurrent.futures.process import BrokenProcessPool

    from .processes import spread

    calls = [(path, first, last, options) for group in groups for path, first, last in group]
    try:
        with spread(jobs, run_part, calls) as futures:
            left = iter(futures)
            for group in groups:
                report = next(left).result()
                for _ in group[1:]:
                    _add(report, next(left).result())
                yield report
    except BrokenProcessPool:
        raise BizError("A process that ran tests was killed; try --jobs 1.") from None


def _add(report: FileReport, other: FileReport) -> None:
    report.tests += other.tests
    report.reached |= other.reached


def cores() -> int:
    """How many processes this one may keep busy."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def roots(paths: Sequence[str]) -> list[str]:
    """The specs without those that others of them use: a part is tested with its users.

    One with stand-ins for what its users have is tested by itself.
    """
    used: set[str] = set()
    alone: set[str] = set()
    for path in paths:
        file = Path(path)
        try:
            text = file.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        used |= {normal((file.parent / name).as_posix()) for name in _USE.findall(text)} - {path}
        if stands_alone(text):
            alone.add(path)
    return [path for path in paths if path not in used or path in alone] or list(paths)


_USE = re.compile(r'^[ \t]*(?:-[ \t]*)?use[: \t]+"([^"\n]+)"', re.MULTILINE)


def once(reports: Iterator[FileReport]) -> Iterator[FileReport]:
    """The reports with each test in the first of them that has it."""
    seen: set[Span] = set()
    for report in reports:
        report.tests = [test for test in report.tests if test.span not in seen]
        seen |= {test.span for test in report.tests}
        yield report
