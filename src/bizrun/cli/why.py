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
@click.argument("asked", metavar="ID | WHAT", nargs=-1, required=True)
@click.option("--not", "not_", is_flag=True, help="Why WHAT did not happen.")
@state_option
@spec_option
@json_option
def why(
    asked: tuple[str, ...], not_: bool, state: str | None, spec: str | None, as_json: bool
) -> int:
    """Tell what an invoice, a line, a charge, an email, an event or a row follows from.

    With --not, what kept something from happening: an action, an event or an entity, and its
    fields with their values.
    """
    from ..reports.why import why as chain
    from ..reports.why_not import why_not
    from .query import json_text
    from .render import colours

    with opened(state, spec) as found:
        given = found.store, found.checked, found.program
        text = " ".join(asked)
        reason = why_not(*given, found.engine.clock, text) if not_ else chain(*given, text)
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
