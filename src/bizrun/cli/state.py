"""Which state a command means, the spec that belongs to it, and how both are opened."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import BizError, StoreError, UsageError
from ..store.postgres_address import shown

if TYPE_CHECKING:
    from ..ir.program import Program
    from ..lang.symbols import Checked
    from ..runtime.engine import Engine
    from ..runtime.interventions import Person
    from ..store.base import Row, Store

FOLDER = ".bizrun"
FORMAT = 1  # of the rows; the file has a format of its own


state_option = click.option(
    "--state",
    metavar="STATE",
    help="The state: a file, or postgresql://…; default .bizrun/NAME.db.",
)
spec_option = click.option("--spec", metavar="FILE", help="The spec; default: the state's own.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def spec_name(spec: str) -> str:
    """The name of a business by its file: `saas` of specs/saas.biz."""
    return Path(spec).name.removesuffix(".yaml").removesuffix(".biz")


def default_state(spec: str) -> str:
    """Where the state of a spec is kept unless `--state` says otherwise."""
    return f"{FOLDER}/{spec_name(spec)}.db"


@dataclass(slots=True)
class Opened:
    """A state with its spec, ready to be asked."""

    address: str
    store: Store
    checked: Checked
    program: Program
    engine: Engine

    @property
    def state(self) -> str:
        """The address as it may be shown."""
        return shown(self.address)


def program_of(spec: str) -> tuple[Checked, Program]:
    """A spec without errors; those that it has are printed, and end the command with 1."""
    from ..pipeline import compile_spec

    if not os.path.lexists(spec):
        hint = " (name a .biz file, or a command: see bizrun --help)" if "." not in spec else ""
        raise UsageError(f"There is no file {spec}.{hint}")
    if Path(spec).is_dir():
        raise UsageError(f"{spec} is a folder: name a .biz file in it.")
    checked, program = compile_spec(spec)
    if program is None:
        show_errors(checked)
        raise click.exceptions.Exit(1)
    return checked, program


def show_errors(checked: Checked) -> None:
    """Prints what is wrong with a spec to standard error."""
    import sys

    from .checking import sources_of
    from .render import colours, diagnostic_text, summary

    colour = colours(sys.stderr)
    sources = sources_of(checked)
    problems = [d for d in checked.diagnostics if d.severity == "error"]
    for problem in problems:
        click.echo(diagnostic_text(problem, sources, colour) + "\n", err=True)
    click.echo(summary(problems, [checked.loaded.path], colour), err=True)


def found_state(state: str | None, spec: str | None) -> str:
    """The address of a state that is there: the one named, the spec's, or the only one."""
    if state is None and spec is not None:
        state = default_state(spec)
    if state is None:
        there = sorted(Path(FOLDER).glob("*.db")) if Path(FOLDER).is_dir() else []
        if len(there) > 1:
            names = ", ".join(path.as_posix() for path in there)
            raise UsageError(f"There are several states here ({names}): name one with --state.")
        if not there:
            raise UsageError(
                "There is no state here: run a spec first (bizrun SPEC), or name one with --state."
            )
        return there[0].as_posix()
    if state == ":memory:":
        raise UsageError("A state in :memory: ends with its run: name a file with --state.")
    if "://" not in state and not Path(state).exists():
        raise UsageError(f"There is no state {state}: run a spec first, or name another one.")
    if Path(state).is_file() and not Path(state).stat().st_size:
        raise UsageError(f"{state} is empty: run a spec with it first, or name another one.")
    return state


def spec_row(store: Store) -> Row | None:
    """What a state says about its spec: name, path, format of rows; None where it is new."""
    from ..runtime.tables import SYSTEM

    store.prepare([table for table in SYSTEM if table.name == "_spec"])
    row = store.get("_spec", "spec")
    if row is None and store.last_seq():
        raise StoreError(
            "the state is damaged: it has events, and no row that says of which spec it is; put a "
            "backup in its place, or start over with --fresh"
        )
    return row


def check_belongs(row: Row | None, program: Program, state: str) -> None:
    """Refuses a state of another spec, or of a newer bizrun."""
    if row is None:
        return
    state = shown(state)
    if row["format"] > FORMAT:
        raise UsageError(
            f"{state} was written by a newer bizrun (format {row['format']}, this one reads "
            f"{FORMAT}): install that version, or give --state another file."
        )
    if row["spec"] != program.name:
        raise UsageError(
            f"{state} is the state of the spec `{row['spec']}`{_path(row)}, not of "
            f"`{program.name}` ({program.path}): give --state another file, or start over "
            "with --fresh."
        )


def tell_other_spec(row: Row | None, program: Program, state: str) -> None:
    """Warns where another file of the same name has the state that is taken where none is named:
    two businesses, most likely."""
    made_by = Path(row["path"]) if row is not None and row.get("path") else None
    if (
        made_by is None
        or state != default_state(program.path)
        or not made_by.is_file()
        or made_by.samefile(program.path)
    ):
        return
    click.echo(
        f"warning: {shown(state)} is the state of {made_by}, and goes on by {program.path} now: "
        "give --state another file where that is another business",
        err=True,
    )


def _path(row: Row) -> str:
    return f" ({row['path']})" if row.get("path") else ""


def spec_path(row: Row | None, state: str) -> str:
    """The file of the spec that a state belongs to."""
    beside = Path(state).parent if "://" not in state else Path()
    state = shown(state)
    if row is None:
        raise UsageError(f"{state} is empty: run a spec with it first, or say --spec FILE.")
    name = row["spec"]
    tried = [row.get("path"), f"specs/{name}.biz", f"{name}.biz", f"{beside}/{name}.biz"]
    tried.append(f"{beside.parent}/{name}.biz")
    for path in tried:
        if path and Path(path).is_file():
            return str(path)
    raise UsageError(
        f"{state} is the state of the spec `{name}`{_path(row)}, which is not there: "
        "say where it is with --spec FILE."
    )


@contextmanager
def opened(state: str | None, spec: str | None, writing: bool = False) -> Iterator[Opened]:
    """Opens a state that is there with its spec, for questions, or for what `writing` commits."""
    from ..pipeline import open_engine
    from ..providers.sandbox import Sandbox
    from ..store.open import open_store

    address = found_state(state, spec)
    with telling_damage(address, spec), closing(open_store(address, reading=not writing)) as store:
        row = spec_row(store)
        checked, program = program_of(spec or spec_path(row, address))
        check_belongs(row, program, address)
        # What follows from an act on a live state waits for the next live run.
        engine = open_engine(program, store, None if is_live(store) else Sandbox())
        yield Opened(address, store, checked, program, engine)


@contextmanager
def telling_damage(address: str, spec: str | None) -> Iterator[None]:
    """Tells of a state that is not as bizrun wrote it, where that is why something failed.

    A row that holds something else than was written to it fails anywhere: only then is all of the
    state looked at.
    """
    from ..reports.verify import MALFORMED

    try:
        yield
    except MALFORMED as error:
        problem = _damage(address, spec) if address != ":memory:" else None
        if problem is None:
            raise
        raise StoreError(
            f"{shown(address)} is not as bizrun wrote it ({problem}): keep a copy of it, then put "
            "a backup in its place, or start over with --fresh"
        ) from error


def _damage(address: str, spec: str | None) -> str | None:
    """What `verify` finds first in a state; None where it is sound."""
    from ..pipeline import compile_spec
    from ..reports.verify import MALFORMED, verify
    from ..store.open import open_store

    try:
        with closing(open_store(address, reading=True)) as store:
            _, program = compile_spec(spec or spec_path(spec_row(store), address))
            return next(iter(verify(store, program)), None) if program is not None else None
    except BizError as error:
        return str(error)
    except MALFORMED as error:
        return f"{type(error).__name__}: {error}"


def is_live(store: Store) -> bool:
    """Whether effects of a state have gone to real providers."""
    from ..runtime.tables import SYSTEM

    store.prepare([table for table in SYSTEM if table.name == "_fence"])
    return store.get("_fence", "worker") is not None


def person() -> Person:
    """Who runs this command, now."""
    import getpass
    from datetime import UTC, datetime

    from ..runtime.interventions import Person

    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = "unknown"
    return Person(name, datetime.now(UTC))


def one_of(found: list[str], wanted: str, what: str) -> str:
    """The one id that is meant, in full or by its beginning."""
    if wanted in found:
        return wanted
    near = [key for key in found if key.startswith(wanted)]
    if len(near) == 1:
        return near[0]
    if near:
        raise UsageError(f"Several {what}s begin with {wanted}: {', '.join(sorted(near)[:5])}.")
    raise UsageError(f"There is no {what} {wanted}.")
