"""`bizrun report`: revenue, ledger, MRR, churn, lifetime value and cohorts over a state."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import UsageError
from .state import Opened, json_option, opened, spec_option, state_option

if TYPE_CHECKING:
    from ..reports.figures import Figures, Span

KINDS = ("revenue", "ledger", "mrr", "churn", "ltv", "cohorts")


@click.command()
@click.argument("kind", type=click.Choice(KINDS))
@state_option
@spec_option
@click.option("--from", "first", metavar="DATE", help="The first day; default: where it begins.")
@click.option("--to", "last", metavar="DATE", help="The last day; default: the state's clock.")
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@click.option("--format", "form", type=click.Choice(("table", "json", "csv", "beancount")))
@click.option("--plot", metavar="FILE", help="Also draw it, as SVG.")
@click.option("--out", "-o", metavar="FILE", help="Write to FILE, not to standard output.")
def report(
    kind: str, state: str | None, spec: str | None, first: str | None, last: str | None,
    as_json: bool, as_csv: bool, form: str | None, plot: str | None, out: str | None,
) -> int:  # fmt: skip
    """Figures over a state: revenue, ledger, mrr, churn, ltv or cohorts."""
    form = _form(form, as_json, as_csv)
    if form == "beancount" and kind != "ledger":
        raise UsageError("Only the ledger goes to beancount: bizrun report ledger.")
    days = _day("--from", first), _day("--to", last)
    with opened(state, spec) as found:
        span = span_of(found, kind, *days)
        if form == "beancount":
            from ..reports.beancount import beancount

            lines = beancount(found.store, span, found.program.title or found.program.name)
            _put("".join(f"{line}\n" for line in lines), out)
            return 0
        figures = _figures(found, kind, span)
    _write(figures, form, plot, out)
    return 0


def figures_out(
    figures: Figures, as_json: bool, as_csv: bool, plot: str | None, out: str | None
) -> None:
    """Prints figures as a table, JSON or CSV, or writes them to `out`; draws them to `plot`."""
    _write(figures, _form(None, as_json, as_csv), plot, out)


def _write(figures: Figures, form: str, plot: str | None, out: str | None) -> None:
    if plot is not None:
        from ..reports.plot import plotted

        _put(plotted(figures), plot)
    _put(_WRITERS[form](figures), out)


def _form(form: str | None, as_json: bool, as_csv: bool) -> str:
    said = {name for name, given in (("json", as_json), ("csv", as_csv)) if given}
    said |= {form} if form else set()
    if len(said) > 1:
        raise UsageError(f"Say one form, not {' and '.join(sorted(said))}.")
    return said.pop() if said else "table"


def _day(option: str, text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(f"{text}-01" if len(text) == len("2026-01") else text)
    except ValueError:
        raise UsageError(f"{option} takes a date like 2026-01-31, not {text!r}.") from None


def span_of(found: Opened, kind: str, first: date | None = None, last: date | None = None) -> Span:
    """From the first thing that the report is about to the state's clock, where nobody says."""
    from ..reports.figures import span

    table, field = ("_mrr", "at") if kind in ("mrr", "churn", "ltv") else ("Ledger", "created_at")
    if kind == "cohorts" and found.program.bills:
        table = found.program.bills
    rows = found.store.select(table)
    began = min((row[field] for row in rows), default=None) if first is None else None
    clock = found.engine.clock or datetime(1970, 1, 1, tzinfo=UTC)
    return span(began, clock, found.engine.tz, first, last)


def _figures(found: Opened, kind: str, span: Span) -> Figures:
    store = found.store
    match kind:
        case "revenue":
            from ..reports.revenue import revenue

            return revenue(store, span)
        case "ledger":
            from ..reports.ledger import trial_balance

            return trial_balance(store, span)
        case "mrr":
            from ..reports.metrics import mrr

            return mrr(store, span)
    from ..reports import churn

    if kind == "cohorts":
        bills = found.program.bills
        entity = (bills, found.program.entities[bills].key) if bills else None
        return churn.cohorts(store, span, entity)
    return churn.churn(store, span) if kind == "churn" else churn.ltv(store, span)


# --- writing -----------------------------------------------------------------------------------


def _put(text: str, path: str | None) -> None:
    if path is None or path == "-":
        click.echo(text, nl=False)
    else:
        Path(path).write_text(text, encoding="utf-8")


def _json(figures: Figures) -> str:
    from ..values import plain
    from .query import json_text

    return json_text([plain(row) for row in figures.rows]) + "\n"


def _csv(figures: Figures) -> str:
    from ..values import show

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(figures.columns)
    for row in figures.rows:
        values = (row.get(name) for name in figures.columns)
        writer.writerow(["" if value is None else show(value) for value in values])
    return text.getvalue()


def _table(figures: Figures) -> str:
    from .render import colours, paint, printable
    from .table import note, table

    colour = colours(sys.stdout)
    head = paint(printable(figures.title), "bold", colour)
    if not figures.rows:
        return f"{head}\n\nNothing yet.\n"
    rows: Iterable[dict[str, Any]] = figures.rows
    shown = [{name: _cell(row.get(name)) for name in figures.columns} for row in rows]
    below = f"\n{note(figures.note)}" if figures.note else ""
    return f"{head}\n\n{table(figures.columns, shown, whole=True)}{below}"


def _cell(value: Any) -> Any:
    from ..values import Money, show
    from .summary import grouped

    if isinstance(value, Money):
        return grouped(value)
    if isinstance(value, bool):
        return "yes" if value else ""
    return value if value is None or isinstance(value, int) else show(value)


_WRITERS: dict[str, Callable[[Figures], str]] = {"table": _table, "json": _json, "csv": _csv}
