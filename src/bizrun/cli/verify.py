"""`bizrun verify`, `bizrun state-hash`: whether a state is sound, and whether two are alike."""

from __future__ import annotations

import sys

import click

from .state import json_option, opened, spec_option, state_option

# What depends on where the spec stands, not on what it says; how often the outbox had to try.
SKIPPED = (
    "_spec.path", "_effect.place", "_dead.place", "_note.place", "_unit.code", "_log.fired",
    "_delivery", "_fence", "_switch", "_spent", "_items",
)  # fmt: skip


@click.command()
@state_option
@spec_option
@json_option
def verify(state: str | None, spec: str | None, as_json: bool) -> int:
    """Check a state: hash chain, ledger sums, invoice arithmetic, gapless numbers."""
    from ..reports.verify import verify as verified
    from .query import json_text
    from .render import colours, paint, plural, printable

    with opened(state, spec) as found:
        problems = verified(found.store, found.program)
        events, invoices = found.store.last_seq(), found.store.count("Invoice")
    if as_json:
        told = {
            "state": found.state, "ok": not problems, "problems": problems,
            "events": events, "invoices": invoices,
        }  # fmt: skip
        click.echo(json_text(told))
    elif problems:
        for problem in problems:
            click.echo(printable(problem))
        count = paint(plural(len(problems), "problem"), "error", colours(sys.stdout))
        click.echo(f"{found.state}: {count}")
    else:
        fine = paint("sound", "fine", colours(sys.stdout))
        click.echo(
            f"{found.state}: {fine} ({plural(events, 'event')}, {plural(invoices, 'invoice')})"
        )
    return 1 if problems else 0


@click.command("state-hash")
@state_option
@spec_option
@json_option
def state_hash(state: str | None, spec: str | None, as_json: bool) -> int:
    """Print one hash of the whole state: the same events and spec give the same one."""
    from ..runtime.tables import tables_of
    from ..store.digest import state_digest
    from .query import json_text

    with opened(state, spec) as found:
        digest = state_digest(found.store, tables_of(found.program), SKIPPED)
    click.echo(json_text({"state": found.state, "hash": digest}) if as_json else digest)
    return 0
