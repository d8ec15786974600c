"""`bizrun preview`: what the next invoice of a customer will say, to the unit."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import click

from ..errors import EvalError, UsageError
from .state import json_option, opened, spec_option, state_option

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

_TOTALS = ("subtotal", "discount", "tax", "total", "credit", "amount_due")


@click.command()
@click.argument("customer")
@click.option("--at", metavar="INSTANT", help="The invoice due then or next after it.")
@state_option
@spec_option
@json_option
def preview(
    customer: str, at: str | None, state: str | None, spec: str | None, as_json: bool
) -> int:
    """Show the invoice that CUSTOMER gets next if nothing else happens."""
    from ..reports.preview import preview as preview_of
    from ..values import plain
    from .query import json_text

    with opened(state, spec) as found:
        said = preview_of(found.engine, customer, _instant(at, found.engine.tz))
    if as_json:
        click.echo(json_text(plain(dict(said))))
    else:
        click.echo(_text(customer, said, found.engine.tz), nl=False)
    return 0


def _instant(text: str | None, tz: ZoneInfo) -> datetime | None:
    """An instant, or the midnight at which a date begins in the business's zone."""
    from ..times import midnight
    from ..values import instant

    if text is None:
        return None
    try:
        return midnight(date.fromisoformat(text), tz) if len(text) == 10 else instant(text)
    except (EvalError, ValueError):
        raise UsageError(
            f"--at {text} is no instant: write 2026-04-01T00:00:00Z, or a date."
        ) from None


def _text(customer: str, said: Mapping[str, Any], tz: ZoneInfo) -> str:
    from .render import colours, paint, printable
    from .summary import grouped
    from .table import table

    colour = colours(sys.stdout)
    if not said["lines"]:
        return f"{printable(customer)}: nothing will be due.\n"
    day = _day(said["issued_at"], tz)
    head = paint(f"Invoice of {printable(customer)} on {day}", "bold", colour)
    columns = ("description", "from", "to", "quantity", "unit", "amount")
    rows = [
        {
            "description": line["description"], "from": _day(line["period_start"], tz),
            "to": _day(line["period_end"], tz), "quantity": line["quantity"],
            "unit": line["unit_amount"], "amount": grouped(line["amount"]),
        }
        for line in said["lines"]
    ]  # fmt: skip
    shown = [name for name in _TOTALS if said[name] or name in ("subtotal", "total", "amount_due")]
    wide = max(len(grouped(said[name])) for name in shown)
    totals = [f"{name.replace('_', ' '):<10}  {grouped(said[name]):>{wide}}" for name in shown]
    return "\n".join([head, "", table(columns, rows, whole=True), *totals]) + "\n"


def _day(at: datetime | None, tz: ZoneInfo) -> str | None:
    from ..times import local_date

    return None if at is None else f"{local_date(at, tz)}"
