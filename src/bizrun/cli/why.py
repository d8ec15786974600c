"""`bizrun why`: the chain from an invoice, a charge or an email back to events and spec lines."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from .state import json_option, opened, spec_option, state_option

if TYPE_CHECKING:
    from ..reports.why import Reason


@click.command()
@click.argument("id_", metavar="ID")
@state_option
@spec_option
@json_option
def why(id_: str, state: str | None, spec: str | None, as_json: bool) -> int:
    """Tell what an invoice, a line, a charge, an email or an event follows from."""
    from ..reports.why import why as chain
    from .query import json_text
    from .render import colours

    with opened(state, spec) as found:
        reason = chain(found.store, found.checked, found.program, id_)
    if as_json:
        click.echo(json_text(reason.as_json()))
    else:
        for line in _lines(reason, 0, colours(sys.stdout)):
            click.echo(line)
    return 0


def _lines(reason: Reason, depth: int, colour: bool) -> Iterator[str]:
    from .render import paint, printable

    place = f"  {paint(reason.place, 'dim', colour)}" if reason.place else ""
    yield f"{'  ' * depth}{printable(reason.what)}{place}"
    for because in reason.because:
        yield from _lines(because, depth + 1, colour)
