"""`bizrun forecast`: MRR and revenue of the months ahead."""

from __future__ import annotations

import click

from .report import figures_out, span_of
from .state import json_option, opened, spec_option, state_option


@click.command()
@click.option("--months", type=int, default=12, show_default=True, help="How many months ahead.")
@state_option
@spec_option
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@click.option("--plot", metavar="FILE", help="Also draw it, as SVG.")
@click.option("--out", "-o", metavar="FILE", help="Write to FILE, not to standard output.")
def forecast(
    months: int, state: str | None, spec: str | None, as_json: bool, as_csv: bool,
    plot: str | None, out: str | None,
) -> int:  # fmt: skip
    """Continue MRR and revenue along the line of the months so far."""
    from ..reports.forecast import outlook

    with opened(state, spec) as found:
        figures = outlook(found.store, span_of(found, "mrr"), months)
    figures_out(figures, as_json, as_csv, plot, out)
    return 0
