"""`bizrun convert`: a spec in its other form; `bizrun schema`: what editors check YAML with."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ..diagnostics import Diagnostic, Source
from ..errors import UsageError
from ..lang.modules import is_yaml, read_form


@click.command()
@click.argument("spec", metavar="SPEC")
@click.option("--to", "form", type=click.Choice(("yaml", "biz")), required=True)
@click.option("-o", "--output", metavar="FILE", help="Write there, rather than to the terminal.")
def convert(spec: str, form: str, output: str | None) -> int:
    """Turn a spec into its YAML form, or back.

    Both forms mean the same: they give the same IR, and so the same handlers and invoices. What
    `use` names stays as it is. YAML has no place for the comments of a .biz file: of those, the
    `##` that describe a declaration or field go along.
    """
    from ..lang.parse import read_source

    try:
        data = Path(spec).read_bytes()
    except FileNotFoundError:
        raise UsageError(f"There is no file {spec}.") from None
    except IsADirectoryError:
        raise UsageError(f"{spec} is a folder: name a .biz or .biz.yaml file in it.") from None
    except OSError as error:
        raise UsageError(f"{spec} can't be read: {error.strerror}.") from None
    source, problems = read_source(spec, data)
    parsed = read_form(source)
    problems = [p for p in [*problems, *parsed.diagnostics] if p.severity == "error"]
    if problems:
        _show(source, problems)
        return 1
    _write(_converted(source, form), output)
    lost = [c for c in parsed.comments if not c.text.startswith("##")]
    if form == "yaml" and lost:
        count = f"{len(lost):,} comment{'' if len(lost) == 1 else 's'}"
        click.echo(f"{count} stayed behind: the YAML form keeps `##` alone", err=True)
    return 0


def _converted(source: Source, form: str) -> str:
    from ..lang.format import format_text
    from ..lang.parse import parse
    from ..lang.yaml.read import compose
    from ..lang.yaml.write import write_yaml

    # What YAML stands for is text of the grammar already.
    text = format_text(compose(source)[0].text) if is_yaml(source.name) else source.text
    return text if form == "biz" else write_yaml(text, parse(Source(source.name, text)).file)


def _write(text: str, output: str | None) -> None:
    if output:
        Path(output).write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)


def _show(source: Source, problems: list[Diagnostic]) -> None:
    from .render import colours, diagnostic_text

    colour = colours(sys.stderr)
    for problem in problems:
        click.echo(diagnostic_text(problem, {source.name: source}, colour) + "\n", err=True)


@click.command()
def schema() -> int:
    """Print the JSON Schema of the YAML form, for editors.

    A file names it in its first line: `# yaml-language-server: $schema=./biz.schema.json`
    """
    from ..lang.yaml.schema import schema_text

    sys.stdout.write(schema_text())
    return 0
