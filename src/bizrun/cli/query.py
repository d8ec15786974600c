"""`bizrun query`: an expression over a state, as a table, JSON or CSV."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from ..errors import UsageError
from ..values import literal, show
from .state import json_option, opened, spec_option, state_option
from .table import cell, table

if TYPE_CHECKING:
    from ..diagnostics import Diagnostic
    from ..reports.query import Answer


@click.command()
@click.argument("expression")
@state_option
@spec_option
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
def query(expression: str, state: str | None, spec: str | None, as_json: bool, as_csv: bool) -> int:
    """Evaluate an expression over the state, such as 'Account where .status == "active"'."""
    from ..reports.query import Answer, ask

    if as_json and as_csv:
        raise UsageError("Say --json or --csv, not both.")
    with opened(state, spec) as found:
        answer = ask(expression, found.checked, found.engine)
    if not isinstance(answer, Answer):
        _complain(expression, answer)
        return 1
    if as_json:
        click.echo(json_text(answer.value if answer.rows is None else answer.rows))
    elif as_csv:
        _csv(answer)
    else:
        click.echo(_text(answer), nl=False)
    return 0


def _complain(expression: str, problems: Sequence[Diagnostic]) -> None:
    from ..reports.query import source
    from .render import colours, diagnostic_text

    text = source(expression)
    shown = [diagnostic_text(p, {text.name: text}, colours(sys.stderr)) for p in problems]
    click.echo("\n\n".join(shown), err=True)


def json_text(value: Any, indent: int = 2) -> str:
    """JSON with exact numbers, for a reader; on one line with an `indent` of 0."""
    import msgspec

    data = msgspec.json.Encoder(decimal_format="number").encode(value)
    return msgspec.json.format(data, indent=indent).decode()


def _csv(answer: Answer) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    if answer.rows is None:
        values = answer.value if isinstance(answer.value, list) else [answer.value]
        writer.writerows([[cell(value)] for value in values])
        return
    names = [name for name in answer.fields if name != "lines"]
    writer.writerow(names)
    writer.writerows([[cell(row.get(name)) for name in names] for row in answer.rows])


def _text(answer: Answer) -> str:
    from .render import plural, printable

    if answer.rows is None:
        if not isinstance(answer.value, list):
            return f"{printable(_written(answer.value))}\n"
        lines = (_written(value).replace("\n", " ") for value in answer.value)
        return "".join(f"{printable(line)}\n" for line in lines)
    if not answer.rows:
        return "No rows.\n"
    names = [n for n in answer.fields if any(_worth(row.get(n)) for row in answer.rows)]
    return table(names, answer.rows) + f"{plural(len(answer.rows), 'row')}\n"


def _written(value: Any) -> str:
    """A value by itself: a text as it is, those within lists and maps in quotes."""
    return literal(value) if isinstance(value, list | dict) else show(value)


def _worth(value: Any) -> bool:
    """Whether a cell says something in a table."""
    return value is not None and not isinstance(value, list | dict)
