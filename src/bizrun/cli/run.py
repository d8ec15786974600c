"""`bizrun run`: a spec over a stream of events, and what happened."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from ..errors import EvalError, StoreError, UsageError
from ..store.medium import doubt
from ..store.postgres_address import shown
from .state import (
    check_belongs,
    default_state,
    json_option,
    program_of,
    spec_name,
    spec_row,
    tell_other_spec,
    telling_damage,
)

if TYPE_CHECKING:
    from ..documents.sink import Sink
    from ..ir.program import Program
    from ..reports.summary import Summary
    from ..runtime.engine import Engine
    from ..runtime.lines import FileLines
    from ..store.base import Store


@click.command()
@click.argument("spec", metavar="SPEC")
@click.option(
    "--events",
    metavar="FILE",
    help="The events, - for standard input. [default: NAME.events.jsonl beside SPEC]",
)
@click.option(
    "--state",
    metavar="STATE",
    help="Where the state lasts: a file, or postgresql://…; :memory: keeps nothing. "
    "[default: .bizrun/NAME.db]",
)
@click.option("--fresh", is_flag=True, help="Start over: delete the state first.")
@click.option("--until", metavar="INSTANT", help="Move the clock on after the last event.")
@click.option(
    "--out",
    metavar="DIR",
    help="Where emails and invoices go; none for no files. [default: out/NAME/]",
)
@click.option(
    "--invoices",
    type=click.Choice(["html", "pdf"]),
    help="As PDF, or as web pages. [default: pdf, where typst is installed]",
)
@click.option("--live", is_flag=True, help="Deliver to the real providers.")
@click.option(
    "--progress", type=click.Choice(["json"]), help="Say after each commit which events it has."
)
@click.option("--batch", type=click.IntRange(1, 1_000_000), default=1000, hidden=True)
@click.option("--strict", is_flag=True, help="End with 1 where events were rejected.")
@json_option
def run(
    spec: str, events: str | None, state: str | None, fresh: bool, until: str | None,
    out: str | None, invoices: str | None, live: bool, progress: str | None, batch: int,
    strict: bool, as_json: bool,
) -> int:  # fmt: skip
    """Check SPEC, then run it over its events, and print what happened."""
    _, program = program_of(spec)
    options = Options(
        spec, events, state or default_state(spec), fresh, _instant(until, program),
        _folder(out, spec, live), progress == "json", as_json, batch, invoices, live,
    )  # fmt: skip
    return _run(program, options, strict)


@dataclass(frozen=True, slots=True)
class Options:
    """How to run: `folder` None for no files, `until` None for the last event's time.

    `batch` is how many events are committed together; `invoices` html, pdf, or None for the best
    that is installed; `live`: effects go to real providers.
    """

    spec: str
    events: str | None
    state: str
    fresh: bool
    until: datetime | None
    folder: str | None
    progress: bool
    as_json: bool
    batch: int
    invoices: str | None
    live: bool


def _folder(out: str | None, spec: str, live: bool) -> str | None:
    """Where files go; a live run sends them, and writes them only where it is asked to."""
    if out == "none" or (live and out is None):
        return None
    if out is not None and Path(out).exists() and not Path(out).is_dir():
        raise UsageError(f"{out} is a file: give --out a folder, or none.")
    return out or f"out/{spec_name(spec)}"


def _instant(text: str | None, program: Program) -> datetime | None:
    """An instant, or the midnight at which a date begins in the business's zone."""
    if text is None:
        return None
    from ..times import midnight, zone
    from ..values import instant

    try:
        if len(text) == 10:
            return midnight(date.fromisoformat(text), zone(program.timezone))
        return instant(text)
    except (EvalError, ValueError):
        raise UsageError(
            f"--until {text} is no instant: write 2026-04-01T00:00:00Z, or a date."
        ) from None


def _run(program: Program, options: Options, strict: bool) -> int:
    from ..pipeline import open_engine
    from ..providers.sandbox import Sandbox
    from ..reports.repriced import taken_up
    from ..reports.summary import summarise
    from ..store.open import open_store
    from .live import check_live, check_settings, go_live, tell_stuck

    with ExitStack() as stack:
        stack.enter_context(telling_damage(options.state, options.spec))
        lines = stack.enter_context(_events(options))
        if options.live:
            check_settings(program)
        store = open_store(options.state, options.fresh)
        stack.callback(store.close)
        row = spec_row(store)
        check_belongs(row, program, options.state)
        tell_other_spec(row, program, options.state)
        if row is None and not options.progress and (found := doubt(options.state)):
            click.echo(f"bizrun: {found}", err=True)
        engine = open_engine(program, store, None if options.live else Sandbox())
        for change in taken_up(engine):
            click.echo(f"{shown(options.state)}: {change}", err=True)
        check_live(store, options.live, shown(options.state))
        worker = go_live(engine) if options.live else None
        sink = _sink(program, options, engine, store) if worker is None else None
        _stream(engine, lines, options, sink, store)
        if worker is not None:
            worker.close()
            sink = _sink(program, options, engine, store)
        summary = summarise(engine)  # while pages are set beside it
        if sink is not None:
            _guarded(options, lambda: sink.finish(store))
        _report(summary, engine, options, sink, lines.shortened())
        if worker is not None:
            tell_stuck(store)
        return 1 if strict and (engine.counts.rejected or engine.counts.late) else 0


def _sink(program: Program, options: Options, engine: Engine, store: Store) -> Sink | None:
    if options.folder is None:
        return None
    from ..documents import pdf
    from ..documents.sink import Sink

    form = options.invoices or ("pdf" if pdf.available() else "html")
    if form == "pdf" and not pdf.available():
        raise UsageError("PDF needs the `pdf` extra: pip install 'bizrun[pdf]'.")
    sink = Sink(options.folder, program, form)
    _guarded(options, lambda: sink.begin(store))
    if engine.outbox.deliver is not None:
        engine.outbox.deliver = sink.watch(engine.outbox.deliver)
    return sink


def _guarded(options: Options, write: Callable[[], None]) -> None:
    """Writes files; where that fails the state is safe, and says so."""
    try:
        write()
    except OSError as error:
        kept = "The state is safe; run the same again to write what is missing,"
        kept = "Run the same again" if options.state == ":memory:" else kept
        raise StoreError(
            f"{error.filename or options.folder} can't be written: {error.strerror}. {kept} "
            "with another --out or --out none."
        ) from None


# --- events --------------------------------------------------------------------------------------


class _Lines:
    """The lines of a stream, and how many of its bytes were read; size None where unknown."""

    def __init__(self, file: IO[bytes], own: bool) -> None:
        self.file = file
        self.own = own
        self.size: int | None = None
        if own:
            self.size = os.fstat(file.fileno()).st_size

    def __enter__(self) -> _Lines:
        return self

    def __exit__(self, *_: object) -> None:
        if self.own:
            self.file.close()

    def shortened(self) -> str | None:
        """What to say where the file was cut while it was read: no end of a stream, but a loss."""
        if not self.size or os.fstat(self.file.fileno()).st_size >= self.size:
            return None
        return (
            f"{self.file.name} became shorter while it was read: what it lost was not handled; "
            "put it back and run the same again, nothing is done twice"
        )

    def read(self) -> FileLines:
        """What reads them."""
        from ..runtime.lines import read_lines

        return read_lines(self.file)


def _events(options: Options) -> _Lines:
    """The stream to run: the file named, the one beside the spec, or standard input."""
    name = options.events
    if name is None:
        beside = Path(options.spec).with_name(f"{spec_name(options.spec)}.events.jsonl")
        if beside.is_file():
            name = str(beside)
        elif sys.stdin.isatty():
            raise UsageError(
                f"There are no events: write them to {beside}, name a file with --events, or send "
                "them on standard input (bizrun SPEC < FILE)."
            )
    if name is None or name == "-":
        return _Lines(sys.stdin.buffer, False)
    if Path(name).is_dir():
        raise UsageError(f"{name} is a folder: give --events a file, or - for standard input.")
    try:
        return _Lines(open(name, "rb"), True)  # noqa: PTH123
    except FileNotFoundError:
        raise UsageError(f"There is no file {name} with events.") from None
    except OSError as error:
        raise UsageError(f"{name} can't be read: {error.strerror}.") from None


def _stream(
    engine: Engine, lines: _Lines, options: Options, sink: Sink | None, store: Store
) -> None:
    from ..runtime.stream import run_stream

    shown, done = _bar(lines, options)

    def acknowledged(ids: list[str]) -> None:
        if options.progress and ids:
            _tell(ids)
        if sink is not None:
            _guarded(options, lambda: sink.write_new(store))
        shown()

    try:
        run_stream(engine, lines.read(), acknowledged, options.batch, options.until)
    finally:
        done()


def _tell(ids: list[str]) -> None:
    """One line on standard error by one call, also where the reader is slow."""
    data = memoryview(json.dumps({"acked": ids}).encode() + b"\n")
    while data:
        try:
            data = data[os.write(2, data) :]
        except BlockingIOError:
            continue
        except OSError:
            return  # nobody listens any more; the state is what counts


def _bar(lines: _Lines, options: Options) -> tuple[Callable[[], None], Callable[[], None]]:
    """What to call after each commit and at the end: a progress bar on a terminal, else nothing."""
    if options.progress or options.as_json or not lines.size or not sys.stderr.isatty():
        return (lambda: None), (lambda: None)
    from rich.console import Console
    from rich.progress import Progress

    bar = Progress(console=Console(stderr=True), transient=True)
    task = bar.add_task(Path(options.spec).name, total=lines.size)
    bar.start()
    return (lambda: bar.update(task, completed=lines.file.tell())), bar.stop


# --- what happened -------------------------------------------------------------------------------


def _report(
    found: Summary, engine: Engine, options: Options, sink: Sink | None, lost: str | None
) -> None:
    problems = [*([lost] if lost else []), *(sink.problems if sink else [])]
    if options.as_json:
        for problem in problems:
            click.echo(f"warning: {problem}", err=True)
        click.echo(json.dumps(found.as_json(), indent=2, ensure_ascii=False))
        return
    from ..reports.summary import unattended
    from .render import colours
    from .summary import text
    from .table import room_of_output

    problems += unattended(engine, found)
    files = sink.written if sink else {}
    state, colour = shown(options.state), colours(sys.stdout)
    said = text(found, files, options.folder, state, problems, engine.tz, colour, room_of_output())
    click.echo(said, nl=False)
    if sink is not None and sink.hint:
        click.echo(sink.hint)
