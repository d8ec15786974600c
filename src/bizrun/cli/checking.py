"""Specs checked together: what is wrong with them, and the mending of what is certain."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import click

from ..diagnostics import Diagnostic, Fix, Source
from ..errors import StoreError
from ..lang.std import in_std
from ..lang.symbols import Checked
from .remembered import Disk

ROUNDS = 8
_BOM = b"\xef\xbb\xbf"


@dataclass(slots=True)
class Outcome:
    """What some files turned out to have: sorted diagnostics, the texts, the specs checked, and the
    actions `stripe.…` in them, which Stripe's SDK knows where it is installed."""

    specs: list[str]
    problems: list[Diagnostic] = field(default_factory=list)
    sources: dict[str, Source] = field(default_factory=dict)
    stripe: set[str] = field(default_factory=set)


def check_files(
    names: list[str], edited: Mapping[str, bytes] | None = None, disk: Disk | None = None
) -> Outcome:
    """Checks each spec; a file that another one uses is checked there, not by itself, unless
    something is given to it. Files that are `edited` are not read from the disk."""
    from ..lang.uses import stands_alone
    from ..pipeline import check_loaded, load_files

    loaded = {name: load_files(name, edited, disk) for name in names}
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
        outcome.stripe |= {
            action.name for action in checked.actions.values() if action.name.startswith("stripe.")
        }
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


# --- fixes -----------------------------------------------------------------------------------


def mend(outcome: Outcome) -> None:
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
    """Writes a file whole or not at all, with the permissions that it had; StoreError where it is
    not to be written."""
    import tempfile

    path = Path(os.path.realpath(name))
    if not os.access(path, os.W_OK):
        raise StoreError(f"{name} can't be written: it is read-only.")
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise StoreError(f"{name} can't be written: {error.strerror} in its folder.") from None
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
