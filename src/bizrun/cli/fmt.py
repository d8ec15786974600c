"""`bizrun fmt`: one way to write a spec."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ..diagnostics import Diagnostic, Source
from ..errors import UsageError
from .check import spec_files
from .checking import replace_file

STANDARD_INPUT = "-"


@click.command()
@click.argument("paths", nargs=-1, metavar="PATH…", required=True)
@click.option("--check", "only_check", is_flag=True, help="Write nothing; exit 1 where it would.")
@click.option("--diff", "show", is_flag=True, help="Write nothing; print what would change.")
def fmt(paths: tuple[str, ...], only_check: bool, show: bool) -> int:
    """Format specs: blanks, indentation, columns, lines that are too long.

    A folder stands for every .biz file under it, `-` for standard input, which is printed
    formatted. What a spec means never changes, nor do its comments. A file with mistakes of syntax
    is left as it is.
    """
    if paths == (STANDARD_INPUT,):
        return _standard_input(only_check, show)
    if STANDARD_INPUT in paths:
        raise click.UsageError("`-` is standard input: it stands alone.")
    files = dict.fromkeys(file for path in paths for file in spec_files(path, (".biz",)))
    changed = broken = 0
    for name in files:
        old = _read(name)
        new = _formatted(name, old)
        broken += new is None
        if new is None or new == old:
            continue
        changed += 1
        if show:
            sys.stdout.write(_difference(name, old, new))
        elif only_check:
            click.echo(f"would format {name}")
        else:
            replace_file(name, new.encode())
            click.echo(f"formatted {name}")
    click.echo(_summary(len(files), changed, broken, only_check or show), err=True)
    return 1 if broken or (changed and (only_check or show)) else 0


def _standard_input(only_check: bool, show: bool) -> int:
    old = sys.stdin.buffer.read().decode("utf-8-sig", "replace")
    new = _formatted("<standard input>", old)
    if new is None:
        return 1
    if show:
        sys.stdout.write(_difference("<standard input>", old, new))
    elif not only_check:
        sys.stdout.write(new)
    return int((only_check or show) and new != old)


def _read(name: str) -> str:
    if name.endswith((".yaml", ".yml")):
        raise UsageError(f"{name} has the YAML form, which `fmt` leaves to YAML's own tools.")
    try:
        return Path(name).read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise UsageError(f"There is no file {name}.") from None
    except OSError as error:
        raise UsageError(f"{name} can't be read: {error.strerror}.") from None
    except UnicodeDecodeError as problem:
        raise UsageError(f"{name} is not UTF-8 (byte {problem.start}).") from None


def _formatted(name: str, text: str) -> str | None:
    """The formatted text; None, with the mistakes on standard error, where it can't be read."""
    from ..lang.format import formatted

    new, problems = formatted(Source(name, text))
    _show(Source(name, text), problems)
    return new


def _show(source: Source, problems: list[Diagnostic]) -> None:
    from .render import colours, diagnostic_text

    for problem in problems:
        text = diagnostic_text(problem, {source.name: source}, colours(sys.stderr))
        click.echo(text + "\n", err=True)


def _difference(name: str, old: str, new: str) -> str:
    from difflib import unified_diff

    lines = unified_diff(old.splitlines(True), new.splitlines(True), name, f"{name} (formatted)")
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)


def _summary(files: int, changed: int, broken: int, dry: bool) -> str:
    def count(number: int) -> str:
        return f"{number:,} file{'' if number == 1 else 's'}"

    parts = [f"{count(changed)} {'would be' if dry else ''} formatted".replace("  ", " ")]
    parts += [f"{count(broken)} with mistakes left alone"] if broken else []
    return ", ".join([*parts, f"{count(files - changed - broken)} unchanged"])
