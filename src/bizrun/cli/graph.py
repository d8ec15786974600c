"""`bizrun graph`: events, handlers, effects and lifecycles as a drawing."""

from __future__ import annotations

from pathlib import Path

import click

from .state import program_of


@click.command()
@click.argument("spec", metavar="SPEC")
@click.option(
    "--format", "form", type=click.Choice(("mermaid", "dot", "svg")), default="mermaid",
    show_default=True, help="For Markdown pages, for Graphviz, or a picture.",
)  # fmt: skip
@click.option("--out", "-o", metavar="FILE", help="Write to FILE, not to standard output.")
def graph(spec: str, form: str, out: str | None) -> int:
    """Draw what follows from what: events, handlers, effects, lifecycles."""
    from ..lang import drawing
    from ..lang.graph import graph as graph_of

    checked, _ = program_of(spec)
    draw = {"mermaid": drawing.mermaid, "dot": drawing.dot, "svg": drawing.svg}[form]
    text = draw(graph_of(checked))
    if out is None or out == "-":
        click.echo(text, nl=False)
    else:
        Path(out).write_text(text, encoding="utf-8")
    return 0
