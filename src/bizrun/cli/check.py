"""`bizrun check`: everything that is wrong in some specs."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..diagnostics import Diagnostic, Source, did_you_mean, normal
from ..errors import UsageError
from . import remembered

if TYPE_CHECKING:
    from .checking import Outcome

FORMATS = ("text", "json", "sarif", "github", "junit")
SPECS = (".biz", ".biz.yaml")


@click.command()
@click.argument("paths", nargs=-1, metavar="PATH…")
@click.option("--format", "form", type=click.Choice(FORMATS), default="text", show_default=True)
@click.option("--strict", is_flag=True, help="Let warnings fail too.")
@click.option("--fix", is_flag=True, help="Apply the fixes that are certain.")
@click.option("--no-cache", is_flag=True, help="Check again what has not changed, too.")
@click.option("--explain", metavar="CODE", help="Tell what a code means, with an example.")
@click.option("--against", metavar="STATE", help="Tell what an edit does to what is stored.")
def check(
    paths: tuple[str, ...], form: str, strict: bool, fix: bool, no_cache: bool,
    explain: str | None, against: str | None,
) -> int:  # fmt: skip
    """Validate specs; run nothing.

    A folder stands for every .biz and .biz.yaml file under it. Exit code 1 where something is
    wrong.
    """
    if explain:
        click.echo(explanation(explain))
        return 0
    if not paths:
        raise click.UsageError("Name a spec or a folder: bizrun check specs/saas.biz")
    names = list(dict.fromkeys(root for path in paths for root in spec_files(path)))
    specs = None if no_cache or fix or against else remembered.known(names)
    if specs is not None:
        sys.stdout.write(_rendered([], {}, specs, form))
        return 0
    outcome = _checked(names, fix)
    sys.stdout.write(_rendered(outcome.problems, outcome.sources, outcome.specs, form))
    _tell_unseen(outcome)
    severe = any(strict or problem.severity == "error" for problem in outcome.problems)
    if against is not None and not any(p.severity == "error" for p in outcome.problems):
        return max(int(severe), _against(outcome.specs, against))
    return 1 if severe else 0


def _checked(names: list[str], fix: bool) -> Outcome:
    """Checks files, and keeps in mind those in which nothing was found."""
    from ..pipeline import list_folder, read_file
    from .checking import check_files, mend

    disk = remembered.Disk(read_file, list_folder)
    outcome = check_files(names, disk=disk)
    if fix:
        mend(outcome)
    # What was checked by Stripe's SDK holds for the version that is installed.
    elif not outcome.problems and not outcome.stripe:
        remembered.remember(names, disk, outcome.specs)
    return outcome


def _tell_unseen(outcome: Outcome) -> None:
    if not outcome.stripe:
        return
    from ..providers.stripe_sdk import MISSING, available

    if not available():
        names = ", ".join(f"`{name}`" for name in sorted(outcome.stripe))
        click.echo(f"{names}: not checked. {MISSING}", err=True)


def _against(specs: list[str], state: str) -> int:
    from .against import tell

    if len(specs) != 1:
        raise UsageError("--against takes one spec: a state belongs to one.")
    return tell(specs[0], state)


def spec_files(path: str, endings: tuple[str, ...] = SPECS) -> list[str]:
    """The file itself, or every spec under a folder; a UsageError where there is none, or where a
    folder can't be looked into."""
    if not Path(path).is_dir():
        return [normal(path)]
    found = []
    for folder, folders, names in os.walk(path, onerror=_unseen):
        folders[:] = sorted(name for name in folders if name[0] != "." and name != "node_modules")
        files = (f"{folder}/{name}" for name in sorted(names) if name.endswith(endings))
        # A pipe that nobody named could be read for ever; a link to nowhere is told.
        found += [normal(f) for f in files if Path(f).is_file() or not Path(f).exists()]
    if not found:
        raise UsageError(f"There is no {' or '.join(endings)} file under {path}.")
    return found


def _unseen(error: OSError) -> None:
    raise UsageError(f"{error.filename} can't be read: {error.strerror}.")


def explanation(code: str) -> str:
    """What a code means, why it is a mistake, and an example."""
    from ..lang.check.codes import CODES

    name = code.upper()
    if name not in CODES:
        near = did_you_mean(name, CODES)
        hint = f" Did you mean {near}?" if near else ""
        raise UsageError(f"There is no code {code}.{hint}")
    entry = CODES[name]
    example = "\n".join(f"    {line}".rstrip() for line in entry.example.split("\n"))
    return f"{name}: {entry.title}\n\n{entry.why}\n\n{example}"


def _rendered(
    problems: list[Diagnostic], sources: dict[str, Source], specs: list[str], form: str
) -> str:
    if form == "text":
        from .render import colours, diagnostic_text, summary

        colour = colours(sys.stdout)
        texts = [diagnostic_text(problem, sources, colour) + "\n\n" for problem in problems]
        return "".join(texts) + summary(problems, specs, colour) + "\n"
    from . import formats

    match form:
        case "json":
            text = formats.as_json(problems, sources)
        case "sarif":
            text = formats.as_sarif(problems, sources)
        case "github":
            text = formats.as_github(problems, sources)
        case _:
            text = formats.as_junit(problems, sources, specs)
    return text + "\n" if text else ""
