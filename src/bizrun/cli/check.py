"""`bizrun check`: everything that is wrong in some specs, and the mending of what is certain."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import click

from ..diagnostics import Diagnostic, Fix, Source, did_you_mean
from ..errors import UsageError
from ..lang.modules import normal
from ..lang.std import in_std
from ..lang.symbols import Checked

FORMATS = ("text", "json", "sarif", "github", "junit")
ROUNDS = 8
SPECS = (".biz", ".biz.yaml")
_BOM = b"\xef\xbb\xbf"


@click.command()
@click.argument("paths", nargs=-1, metavar="PATH…")
@click.option("--format", "form", type=click.Choice(FORMATS), default="text", show_default=True)
@click.option("--strict", is_flag=True, help="Let warnings fail too.")
@click.option("--fix", is_flag=True, help="Apply the fixes that are certain.")
@click.option("--explain", metavar="CODE", help="Tell what a code means, with an example.")
@click.option("--against", metavar="STATE", help="Tell what an edit does to what is stored.")
def check(
    paths: tuple[str, ...], form: str, strict: bool, fix: bool, explain: str | None,
    against: str | None,
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
    roots = [root for path in paths for root in spec_files(path)]
    outcome = check_files(list(dict.fromkeys(roots)))
    if fix:
        _mend(outcome)
    sys.stdout.write(_rendered(outcome, form))
    if outcome.unseen:
        from ..providers.stripe_sdk import MISSING

        names = ", ".join(f"`{name}`" for name in sorted(outcome.unseen))
        click.echo(f"{names}: not checked. {MISSING}", err=True)
    severe = any(strict or problem.severity == "error" for problem in outcome.problems)
    if against is not None and not any(p.severity == "error" for p in outcome.problems):
        return max(int(severe), _against(outcome.specs, against))
    return 1 if severe else 0


def _against(specs: list[str], state: str) -> int:
    from .against import tell

    if len(specs) != 1:
        raise UsageError("--against takes one spec: a state belongs to one.")
    return tell(specs[0], state)


@dataclass(slots=True)
class Outcome:
    """What some files turned out to have: sorted diagnostics, the texts, the specs checked, and the
    actions of Stripe that nothing is known of, since its SDK is not installed."""

    specs: list[str]
    problems: list[Diagnostic] = field(default_factory=list)
    sources: dict[str, Source] = field(default_factory=dict)
    unseen: set[str] = field(default_factory=set)


def spec_files(path: str, endings: tuple[str, ...] = SPECS) -> list[str]:
    """The file itself, or every spec under a folder; a UsageError where there is none."""
    if not Path(path).is_dir():
        return [normal(path)]
    found = []
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if name[0] != "." and name != "node_modules")
        found += [normal(f"{folder}/{n}") for n in sorted(names) if n.endswith(endings)]
    if not found:
        raise UsageError(f"There is no {' or '.join(endings)} file under {path}.")
    return found


def check_files(names: list[str], edited: Mapping[str, bytes] | None = None) -> Outcome:
    """Checks each spec; a file that another one uses is checked there, not by itself, unless
    something is given to it."""
    from ..lang.uses import stands_alone
    from ..pipeline import check_loaded, load_files

    loaded = {name: load_files(name, edited) for name in names}
    used = {
        other
        for name, spec in loaded.items()
        for other, source in spec.sources.items()
        if other != name and not stands_alone(source.text)
    }
    roots = [name for name in names if name not in used] or names
    outcome = Outcome(roots)
    users: Counter[str] = Counter()
    times: Counter[tuple[object, ...]] = Counter()
    first: dict[tuple[object, ...], Diagnostic] = {}
    for name in roots:
        checked = check_loaded(loaded[name])
        sources = sources_of(checked)
        users.update(sources.keys())
        outcome.unseen |= unseen_methods(checked)
        outcome.sources |= sources
        for problem in checked.diagnostics:
            key = (problem.code, problem.span, problem.message)
            times[key] += 1
            first.setdefault(key, problem)
    # What one spec leaves unused of a shared file, another may use: all have to warn of it.
    kept = [p for k, p in first.items() if p.severity == "error" or times[k] == users[p.span.file]]
    outcome.problems = sorted(kept, key=lambda p: (p.span.file, p.span.start, p.code))
    return outcome


def sources_of(checked: Checked) -> dict[str, Source]:
    """The texts that diagnostics point into, templates included, by name."""
    templates = checked.loaded.template_files.values()
    return {**checked.loaded.sources, **{source.name: source for source in templates}}


def unseen_methods(checked: Checked) -> set[str]:
    """The actions `stripe.…` of a spec, where Stripe's SDK is not there to check them by."""
    from ..providers import stripe_sdk

    found = {signature.name for signature in checked.actions.values()}
    names = {name for name in found if name.startswith("stripe.")}
    return names if names and not stripe_sdk.available() else set()


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


def _rendered(outcome: Outcome, form: str) -> str:
    problems, sources = outcome.problems, outcome.sources
    if form == "text":
        from .render import colours, diagnostic_text, summary

        colour = colours(sys.stdout)
        texts = [diagnostic_text(problem, sources, colour) + "\n\n" for problem in problems]
        return "".join(texts) + summary(problems, outcome.specs, colour) + "\n"
    from . import formats

    match form:
        case "json":
            text = formats.as_json(problems, sources)
        case "sarif":
            text = formats.as_sarif(problems, sources)
        case "github":
            text = formats.as_github(problems, sources)
        case _:
            text = formats.as_junit(problems, sources, outcome.specs)
    return text + "\n" if text else ""


# --- fixes -----------------------------------------------------------------------------------


def _mend(outcome: Outcome) -> None:
    """Applies certain fixes until none is left; writes a file only if it is no worse then."""
    texts: dict[str, bytes] = {}
    notes: list[str] = []
    current = outcome
    for _ in range(ROUNDS):
        edits = _edits(current, texts)
        if not edits:
            break
        after = check_files(
            outcome.specs, texts | {name: data for name, (data, _) in edits.items()}
        )
        if _errors(after) > _errors(current):
            break
        for name, (data, changes) in edits.items():
            texts[name] = data
            notes += changes
        current = after
    for name, data in texts.items():
        replace_file(name, data)
    outcome.problems, outcome.sources = current.problems, current.sources
    for note in notes:
        click.echo(note, err=True)
    if not notes:
        click.echo("Nothing here has a fix that is certain.", err=True)


def _errors(outcome: Outcome) -> int:
    return sum(problem.severity == "error" for problem in outcome.problems)


def _edits(outcome: Outcome, texts: Mapping[str, bytes]) -> dict[str, tuple[bytes, list[str]]]:
    """The new bytes of each file that has certain fixes, and a line about each."""
    from ..pipeline import read_file

    by_file: dict[str, list[Fix]] = {}
    for problem in outcome.problems:
        if problem.fix and problem.fix.certain and not in_std(problem.fix.span.file):
            by_file.setdefault(problem.fix.span.file, []).append(problem.fix)
    edits = {}
    for name, fixes in by_file.items():
        source = outcome.sources[name]
        old = texts[name] if name in texts else read_file(name)
        mark = _BOM if old.startswith(_BOM) else b""
        if mark + source.text.encode("utf-8", "surrogatepass") != old:
            continue  # what we read is not all that stands there: leave the file alone
        text, notes = apply_fixes(source, fixes)
        if notes:
            edits[name] = (mark + text.encode(), notes)
    return edits


def apply_fixes(source: Source, fixes: list[Fix]) -> tuple[str, list[str]]:
    """The text with all fixes that don't overlap, and a line about each."""
    text = source.text
    pieces: list[str] = []
    notes: list[str] = []
    at = 0
    for fix in sorted(fixes, key=lambda f: (f.span.start, f.span.end)):
        start, end = fix.span.start, fix.span.end
        if start < at or text[start:end] == fix.text:
            continue
        pieces += [text[at:start], fix.text]
        at = end
        line, _ = source.position(start)
        was = text[start:end] or "nothing"
        notes.append(f"{source.name}:{line}: `{was}` is now `{fix.text or 'nothing'}`")
    return "".join([*pieces, text[at:]]), notes


def replace_file(name: str, data: bytes) -> None:
    """Writes a file whole or not at all, with the permissions that it had."""
    import tempfile

    path = Path(os.path.realpath(name))
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(path.stat().st_mode & 0o7777)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
