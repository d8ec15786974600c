"""`bizrun backtest`: what the recorded history would have billed under another spec."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from .state import json_option, opened, program_of, spec_option, state_option

if TYPE_CHECKING:
    from ..reports.backtest import Backtest, Change

SHOWN = 20


@click.command()
@click.argument("new_spec", metavar="NEW_SPEC")
@state_option
@spec_option
@json_option
def backtest(new_spec: str, state: str | None, spec: str | None, as_json: bool) -> int:
    """Run a state's events again under NEW_SPEC, and compare the invoices.

    Nothing is changed and nothing sent: it runs in memory, with the sandbox.
    """
    from ..reports.backtest import backtest as compared
    from ..runtime.stream import run_stream
    from .query import json_text

    _, program = program_of(new_spec)
    with opened(state, spec) as found:
        told = compared(found.store, program, run_stream, found.engine.clock)
    click.echo(json_text(_json(told)) if as_json else _text(told))
    return 0


def _json(told: Backtest) -> dict[str, Any]:
    return {
        "events": told.events, "refused": told.refused, "calls": told.calls,
        "totals": [_change(total) for total in told.totals],
        "customers": [_change(change) for change in told.customers],
    }  # fmt: skip


def _change(change: Change) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": change.name, "recorded": str(change.recorded), "new": str(change.new),
        "difference": str(change.difference),
    }  # fmt: skip
    if change.lines:
        found["lines"] = [_change(line) for line in change.lines]
    return found


def _text(told: Backtest) -> str:
    from .render import colours, paint, plural
    from .summary import grouped
    from .table import table

    rows: list[dict[str, Any]] = []
    for change in told.customers[:SHOWN]:
        lines = [(f"  {line.name}", line) for line in change.lines]
        rows += [_row(name, of, grouped) for name, of in [(change.name, change), *lines]]
    rows += [_row(total.name, total, grouped) for total in told.totals]
    more = len(told.customers) - SHOWN
    note = f"and {plural(more, 'customer')} more: --json has them all\n" if more > 0 else ""
    refused = f", {told.refused:,} refused or failed" if told.refused else ""
    calls = f"; {plural(told.calls, 'call')} of routes did not run" if told.calls else ""
    head = f"{plural(told.events, 'event')} again{refused}{calls}; "
    head += f"{plural(len(told.customers), 'customer')} would have been billed otherwise"
    head = paint(head, "bold", colours(sys.stdout))
    names = ("customer and line", "recorded", "new", "difference")
    shown = table(names, rows, whole=True) if rows else ""
    return f"{head}\n\n{shown}{note}".rstrip("\n")


def _row(name: str, change: Change, grouped: Any) -> dict[str, Any]:
    return {
        "customer and line": name, "recorded": grouped(change.recorded),
        "new": grouped(change.new), "difference": grouped(change.difference),
    }  # fmt: skip
