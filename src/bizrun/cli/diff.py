"""`bizrun diff`: what changed in meaning between two specs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from .state import json_option, program_of

if TYPE_CHECKING:
    from ..lang.compare import Difference

_SIGNS = {"added": "+", "removed": "-", "changed": "~"}
_STYLES = {"added": "fine", "removed": "error", "changed": "bold"}


@click.command()
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@json_option
def diff(old: str, new: str, as_json: bool) -> int:
    """Tell what changed in meaning from OLD to NEW: comments and layout mean nothing."""
    from ..lang.compare import compare
    from .query import json_text

    before, after = (program_of(spec)[0].loaded for spec in (old, new))
    found = compare(before, after)
    if as_json:
        rows = [
            {"change": one.change, "name": one.name, "place": one.place, "lines": list(one.lines),
             "waits": one.waits} for one in found
        ]  # fmt: skip
        click.echo(json_text(rows))
    elif not found:
        click.echo("They mean the same.")
    else:
        for line in _text(found):
            click.echo(line)
    return 0


def _text(found: list[Difference]) -> Iterator[str]:
    from .render import colours, paint, printable

    colour = colours(sys.stdout)
    for one in found:
        head = printable(f"{_SIGNS[one.change]} {one.name}")
        yield f"{paint(head, _STYLES[one.change], colour)}  {paint(one.place, 'dim', colour)}"
        yield from (f"    {printable(line)}" for line in one.lines)
    if any(one.waits for one in found):
        yield "\nWhat is under way in a handler goes on as it began, on the old version."
