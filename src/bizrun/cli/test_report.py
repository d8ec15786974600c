"""How tests look when they are told: a line a file, failures with excerpt and values, coverage."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..diagnostics import Source
from .render import paint, plural, printable, width

if TYPE_CHECKING:
    from ..runtime.coverage import Point
    from ..runtime.expectations import Failure, Part
    from .test_runs import FileReport, TestRun

MAX_LINES = 8
MAX_FAILURES = 6


def seconds(milliseconds: int) -> str:
    """`0.12 s`."""
    return f"{milliseconds // 1000}.{milliseconds % 1000 // 10:02} s"


def file_line(report: FileReport, column: int, colour: bool) -> str:
    """`ok    specs/saas.biz  13 tests  0.52 s`."""
    name = f"{printable(report.path):{column}}"
    if report.errors:
        errors = sum(problem.severity == "error" for problem in report.errors)
        return f"{paint('error', 'error', colour)}  {name}  {plural(errors, 'error')}"
    total = len(report.tests)
    if not total:
        return paint(f"-      {name}  no tests", "dim", colour)
    took = paint(seconds(report.milliseconds), "dim", colour)
    if report.failed:
        what = f"{report.failed} of {plural(total, 'test')} failed"
        return f"{paint('FAIL', 'error', colour)}   {name}  {what}  {took}"
    return f"{paint('ok', 'fine', colour)}     {name}  {plural(total, 'test')}  {took}"


def failed_test(test: TestRun, sources: Mapping[str, Source], colour: bool) -> str:
    """A failed test: its title, and each expectation that did not hold."""
    source = sources[test.span.file]
    line, _ = source.position(test.span.start)
    title = paint(printable(test.title), "bold", colour)
    place = paint(f"{printable(source.name)}:{line}", "dim", colour)
    lines = [f"{paint('FAIL', 'error', colour)}  {title}  {place}"]
    for failure in test.failures[:MAX_FAILURES]:
        lines += ["", *_failure(failure, sources, colour)]
    if len(test.failures) > MAX_FAILURES:
        lines += ["", f"  and {plural(len(test.failures) - MAX_FAILURES, 'more failure')}"]
    return "\n".join(lines)


def _failure(failure: Failure, sources: Mapping[str, Source], colour: bool) -> list[str]:
    source = sources.get(failure.span.file)
    if source is None:
        return [f"  {printable(failure.message)}"]
    first, column = source.position(failure.span.start)
    last, _ = source.position(max(failure.span.start, failure.span.end - 1))
    if last >= first + MAX_LINES:
        last = first
    gutter = len(str(last))
    blank = paint(f"{'':{gutter}} |", "frame", colour)
    place = f"{printable(source.name)}:{first}:{column}"
    lines = [f"{'':{gutter}}{paint('-->', 'frame', colour)} {place}", blank]
    mark = source.line(first)[column - 1 :].split(" ", 1)[0]
    for number in range(first, last + 1):
        text = printable(source.line(number).expandtabs(4)).rstrip()
        lines.append(f"{paint(f'{number:>{gutter}} |', 'frame', colour)} {text}".rstrip())
        if number == first:
            before = " " * width(source.line(first)[: column - 1])
            said = f"{'^' * max(1, len(mark))} {printable(failure.message)}"
            lines.append(f"{blank} {before}{paint(said, 'error', colour)}")
    here = [part for part in failure.parts if source.position(part.offset)[0] == first]
    if first == last and _fit(here, source):
        lines += [f"{blank} {paint(row, 'frame', colour)}" for row in _under(here, source)]
        rest: Sequence[Part] = ()
    else:
        rest = failure.parts
    notes = [f"{part.source} = {part.value}" for part in rest] + list(failure.details)
    if notes:
        lines.append(blank)
        lines += [f"{blank} {printable(note)}" for note in notes]
    return lines


def _fit(parts: Sequence[Part], source: Source) -> bool:
    """Whether the values may stand under their parts on a terminal's width."""
    return all(width(source.line(1)) < 400 and len(part.value) <= 60 for part in parts)


def _under(parts: Sequence[Part], source: Source) -> list[str]:
    """Each part's value under it, the last part's first, as assertions are shown elsewhere."""
    placed: dict[int, str] = {}
    for part in parts:
        line, column = source.position(part.offset)
        placed.setdefault(width(source.line(line)[: column - 1]), part.value)
    left = sorted(placed.items())
    rows = [_row([(at, "|") for at, _ in left])] if left else []
    while left:
        at, value = left.pop()
        shown = [(at, value)]
        # What ends before the value of the part to its right begins may stand on the same row.
        while left and left[-1][0] + len(left[-1][1]) + 1 < shown[0][0]:
            shown.insert(0, left.pop())
        rows.append(_row([*((bar, "|") for bar, _ in left), *shown]))
    return rows


def _row(texts: Sequence[tuple[int, str]]) -> str:
    row = ""
    for at, text in texts:
        row = row.ljust(at) + printable(text)
    return row


def totals(reports: Sequence[FileReport], milliseconds: int, colour: bool) -> str:
    """`25 passed, 1 failed in 3 files, 0.80 s`."""
    tests = sum(len(report.tests) for report in reports)
    failed = sum(report.failed for report in reports)
    broken = sum(bool(report.errors) for report in reports)
    parts = []
    if failed:
        parts.append(paint(f"{failed:,} failed", "error", colour))
    if tests - failed:
        parts.append(paint(f"{tests - failed:,} passed", "fine", colour))
    if broken:
        parts.append(paint(f"{plural(broken, 'file')} with errors", "error", colour))
    files = sum(bool(report.tests or report.errors) for report in reports)
    where = f" in {plural(files, 'file')}" if files > 1 else ""
    return f"{', '.join(parts)}{where}, {seconds(milliseconds)}"


# --- coverage ----------------------------------------------------------------------------------

_PLURALS = {"handler": "handlers", "branch": "branches", "arrow": "arrows", "tier": "tiers"}


def covered(reports: Sequence[FileReport]) -> tuple[list[Point], set[Point]]:
    """All points of all specs in order, and those that some test reached."""
    points = dict.fromkeys(point for report in reports for point in report.points)
    reached = {point for report in reports for point in report.reached}
    return sorted(points), reached


def percentage(points: Sequence[Point], reached: set[Point]) -> int:
    """The share that was reached, in whole percents, rounded down."""
    return 100 * sum(p in reached for p in points) // len(points) if points else 100


def coverage_text(points: Sequence[Point], reached: set[Point], colour: bool) -> str:
    """The shares by kind, and everything that no test reached."""
    shares = []
    for kind, name in _PLURALS.items():
        of_kind = [point for point in points if point.kind == kind]
        if of_kind:
            shares.append(f"{sum(p in reached for p in of_kind)} of {len(of_kind)} {name}")
    share = percentage(points, reached)
    head = paint(f"coverage {share}%", "fine" if share == 100 else "warning", colour)
    lines = [f"{head}  {', '.join(shares) or 'nothing to reach'}"]
    never = [point for point in points if point not in reached]
    if never:
        lines.append("no test reaches:")
        places = [f"{printable(point.file)}:{point.line}" for point in never]
        column = max(map(len, places))
        for place, point in zip(places, never, strict=True):
            lines.append(f"  {place:{column}}  {point.kind:7}  {printable(point.text)}")
    return "\n".join(lines)


# --- for machines ------------------------------------------------------------------------------


def as_json(
    reports: Sequence[FileReport],
    coverage: tuple[list[Point], set[Point]] | None,
    mutants: Sequence[Mapping[str, Any]] | None,
) -> str:
    """Everything as one object; lines and columns count from 1."""
    from .formats import as_json as diagnostics_json

    files = []
    for report in reports:
        entry: dict[str, Any] = {"file": report.path, "milliseconds": report.milliseconds}
        entry["tests"] = [_test_json(test, report.sources) for test in report.tests]
        entry["errors"] = json.loads(diagnostics_json(report.errors, report.sources))
        files.append(entry)
    failed = sum(report.failed for report in reports)
    total = sum(len(report.tests) for report in reports)
    found: dict[str, Any] = {"passed": total - failed, "failed": failed, "files": files}
    if coverage is not None:
        found["coverage"] = _coverage_json(*coverage)
    if mutants is not None:
        found["mutants"] = list(mutants)
    return json.dumps(found, indent=2, ensure_ascii=False)


def _test_json(test: TestRun, sources: Mapping[str, Source]) -> dict[str, Any]:
    line, _ = sources[test.span.file].position(test.span.start)
    return {
        "name": test.title,
        "file": test.span.file,
        "line": line,
        "status": "failed" if test.failures else "passed",
        "milliseconds": test.milliseconds,
        "failures": [_failure_json(failure, sources) for failure in test.failures],
    }


def _failure_json(failure: Failure, sources: Mapping[str, Source]) -> dict[str, Any]:
    source = sources.get(failure.span.file)
    line, column = source.position(failure.span.start) if source else (1, 1)
    return {
        "line": line,
        "column": column,
        "message": failure.message,
        "details": list(failure.details),
        "values": [{"source": part.source, "value": part.value} for part in failure.parts],
    }


def _coverage_json(points: Sequence[Point], reached: set[Point]) -> dict[str, Any]:
    kinds = {
        name: {
            "reached": sum(p.kind == kind and p in reached for p in points),
            "total": sum(p.kind == kind for p in points),
        }
        for kind, name in _PLURALS.items()
    }
    never = [
        {"file": p.file, "line": p.line, "kind": p.kind, "text": p.text}
        for p in points
        if p not in reached
    ]
    return {"percent": percentage(points, reached), **kinds, "never": never}


def as_junit(reports: Sequence[FileReport]) -> str:
    """JUnit XML: a suite for each spec, a case for each test."""
    from xml.sax.saxutils import escape, quoteattr

    from .formats import _xml

    lines = ['<?xml version="1.0" encoding="UTF-8"?>', "<testsuites>"]
    for report in reports:
        broken = bool(report.errors)
        counts = f'tests="{len(report.tests) + broken}" failures="{report.failed}"'
        took = f'errors="{int(broken)}" time="{_xml_seconds(report.milliseconds)}"'
        lines.append(f"  <testsuite name={quoteattr(_xml(report.path))} {counts} {took}>")
        if broken:
            text = "\n".join(problem.message for problem in report.errors)
            lines.append(f"    <testcase name={quoteattr(_xml(report.path))}>")
            lines.append(f'      <error message="errors">{escape(_xml(text))}</error>')
            lines.append("    </testcase>")
        for test in report.tests:
            head = f"    <testcase classname={quoteattr(_xml(report.path))}"
            head += f' name={quoteattr(_xml(test.title))} time="{_xml_seconds(test.milliseconds)}"'
            if not test.failures:
                lines.append(f"{head}/>")
                continue
            message = quoteattr(_xml(test.failures[0].message))
            text = escape(_xml(failed_test(test, report.sources, False)))
            lines.append(f"{head}>")
            lines.append(f"      <failure message={message}>{text}</failure>")
            lines.append("    </testcase>")
        lines.append("  </testsuite>")
    return "\n".join([*lines, "</testsuites>", ""])


def _xml_seconds(milliseconds: int) -> str:
    return f"{milliseconds // 1000}.{milliseconds % 1000:03}"
