"""`bizrun test`: the `test` blocks of specs, what they reach, and which changes they notice."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..diagnostics import did_you_mean
from ..errors import UsageError
from . import test_report as report_
from .check import spec_files
from .render import colours, diagnostic_text, paint, plural, summary

if TYPE_CHECKING:
    from .test_runs import FileReport, Options


@click.command()
@click.argument("paths", nargs=-1, metavar="PATH…")
@click.option("-k", "names", multiple=True, metavar="NAME", help="Only tests whose title has this.")
@click.option("--coverage", is_flag=True, help="Tell what no test reaches.")
@click.option("--cover-min", type=click.IntRange(0, 100), metavar="PERCENT", help="Fail below it.")
@click.option("--mutate", is_flag=True, help="List changes of a spec that no test notices.")
@click.option("--junit", metavar="FILE", help="Write the results as JUnit XML too.")
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
@click.option("-j", "--jobs", type=click.IntRange(1, 256), help="Processes (default: one a core).")
def test(
    paths: tuple[str, ...],
    names: tuple[str, ...],
    coverage: bool,
    cover_min: int | None,
    mutate: bool,
    junit: str | None,
    as_json: bool,
    jobs: int | None,
) -> int:
    """Run the tests that stand in specs.

    A folder stands for every spec under it. Exit code 1 where a test fails or a spec is wrong,
    2 where no test is called what -k asks for.
    """
    from .test_runs import Options, once, roots, run_files

    if not paths:
        raise click.UsageError("Name a spec or a folder: bizrun test specs/saas.biz")
    specs = roots(list(dict.fromkeys(name for path in paths for name in spec_files(path))))
    coverage = coverage or cover_min is not None
    options = Options(names, coverage, jobs or 0)
    begun = time.monotonic_ns()
    reports: list[FileReport] = []
    column = max(map(len, specs))
    for report in once(run_files(specs, options)):
        reports.append(report)
        if not as_json and (report.tests or report.errors or len(specs) == 1):
            click.echo(report_.file_line(report, column, colours(sys.stdout)))
    spent = (time.monotonic_ns() - begun) // 1_000_000
    if junit:
        _write(junit, report_.as_junit(reports))
    survivors = _mutate(reports, options, not as_json) if mutate else None
    if as_json:
        reached = report_.covered(reports) if coverage else None
        click.echo(report_.as_json(reports, reached, survivors))
    else:
        _tell(reports, options, spent)
        if survivors is not None:
            _tell_survivors(reports, survivors)
    if _unmatched(reports):
        raise UsageError(_no_such(reports, options))
    return _exit_code(reports, cover_min, as_json)


def _tell(reports: list[FileReport], options: Options, milliseconds: int) -> None:
    colour = colours(sys.stdout)
    for report in reports:
        for problem in report.errors:
            click.echo("\n" + diagnostic_text(problem, report.sources, colour))
        if report.errors:
            click.echo("\n" + summary(report.errors, [report.path], colour))
        for test_ in report.tests:
            if test_.failures:
                click.echo("\n" + report_.failed_test(test_, report.sources, colour))
    if any(report.tests or report.errors for report in reports):
        click.echo("\n" + report_.totals(reports, milliseconds, colour))
    elif not _unmatched(reports):
        click.echo(_nothing(reports))
    if options.coverage and not all(report.errors for report in reports):
        click.echo("\n" + report_.coverage_text(*report_.covered(reports), colour))


def _unmatched(reports: list[FileReport]) -> bool:
    """Whether there are tests, and none has what was asked for in its title."""
    ran = any(report.tests or report.errors for report in reports)
    return not ran and any(report.skipped for report in reports)


def _no_such(reports: list[FileReport], options: Options) -> str:
    titles = {title for report in reports for title in report.skipped}
    asked = " or ".join(repr(name) for name in options.names)
    known = titles | {word for title in titles for word in title.split()}
    meant = (did_you_mean(name, known) for name in options.names)
    hint = " or ".join(repr(name) for name in dict.fromkeys(meant) if name)
    said = f"; did you mean {hint}?" if hint else "."
    return f"No test has {asked} in its title, of {plural(len(titles), 'test')}{said}"


def _nothing(reports: list[FileReport]) -> str:
    where = reports[0].path if len(reports) == 1 else plural(len(reports), "file")
    return f'No tests in {where}. Write one: test "what must hold" {{ … }}'


def _exit_code(reports: list[FileReport], cover_min: int | None, quiet: bool) -> int:
    if any(report.failed or report.errors for report in reports):
        return 1
    if cover_min is not None:
        share = report_.percentage(*report_.covered(reports))
        if share < cover_min:
            text = f"bizrun: {share}% is covered, less than the {cover_min}% that were asked for."
            click.echo(text, err=quiet)
            return 1
    return 0


def _write(name: str, text: str) -> None:
    try:
        Path(name).write_text(text, encoding="utf-8")
    except OSError as problem:
        raise UsageError(f"{name} can't be written: {problem.strerror}.") from None


# --- mutants -----------------------------------------------------------------------------------


def _mutate(
    reports: list[FileReport], options: Options, aloud: bool
) -> list[dict[str, Any]] | None:
    from .test_mutants import survivors_of

    found: list[dict[str, Any]] = []
    for report in reports:
        if report.errors or report.failed or not report.tests:
            continue
        if aloud:
            click.echo(f"changing {report.path} …", err=True)
        found += survivors_of(report.path, options)
    return found


def _tell_survivors(reports: list[FileReport], changes: list[dict[str, Any]]) -> None:
    colour = colours(sys.stdout)
    failing = [report.path for report in reports if report.errors or report.failed]
    if failing:
        click.echo(f"\nnot changed, since its tests fail as it is: {', '.join(failing)}")
    if len(failing) == len(reports):
        return
    survivors = [change for change in changes if not change["noticed"]]
    sources = {name: source for report in reports for name, source in report.sources.items()}
    text = f"{plural(len(changes), 'change')}, {len(changes) - len(survivors)} noticed"
    click.echo("\n" + paint(text, "bold", colour))
    if survivors:
        click.echo("no test notices:")
    places = [f"{change['file']}:{change['line']}" for change in survivors]
    column = max(map(len, places), default=0)
    for place, change in zip(places, survivors, strict=True):
        line = sources[change["file"]].line(change["line"]).strip()
        told = f"{change['old']} -> {change['new']}"
        click.echo(f"  {place:{column}}  {told:24}  {paint(line[:90], 'dim', colour)}")
