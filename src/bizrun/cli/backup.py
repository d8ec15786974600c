"""`bizrun backup`: a copy of a state that can take its place."""

from __future__ import annotations

from shlex import quote
from urllib.parse import parse_qsl

import click

from ..errors import UsageError
from ..store.postgres_address import SERVER, is_postgres, shown
from .state import found_state, json_option, spec_option, state_option

_UNITS = ("bytes", "KB", "MB", "GB", "TB")


@click.command()
@click.argument("file", metavar="FILE")
@state_option
@spec_option
@json_option
def backup(file: str, state: str | None, spec: str | None, as_json: bool) -> int:
    """Write a consistent copy of a state to FILE, also while it is in use."""
    from ..store.backup import back_up
    from .query import json_text
    from .render import plural

    address = found_state(state, spec)
    if is_postgres(address):
        dump = f"pg_dump --format=custom{_schema(address)} --file={quote(file)}"
        raise UsageError(
            f"{shown(address)} is backed up with PostgreSQL's own tools, also while it is in use: "
            f"{dump} {quote(shown(address, SERVER))}; pg_restore puts it back."
        )
    if "://" in address:
        raise UsageError(f"{address} is no file.")
    made = back_up(address, file)
    if as_json:
        told = {"state": address, "backup": file, "events": made.events, "bytes": made.size}
        click.echo(json_text(told))
    else:
        click.echo(f"{file}: {plural(made.events, 'event')} of {address}, {_amount(made.size)}")
    return 0


def _schema(address: str) -> str:
    """pg_dump's option for the schema that an address names."""
    named = dict(parse_qsl(address.partition("?")[2])).get("schema")
    return f" --schema='\"{named}\"'" if named else ""


def _amount(size: int) -> str:
    """Bytes as a person reads them: `1.5 MB`."""
    tenths, unit = size * 10, 0
    while tenths >= 10_240 and unit < len(_UNITS) - 1:
        tenths, unit = tenths // 1024, unit + 1
    return f"{tenths // 10}.{tenths % 10} {_UNITS[unit]}" if unit else f"{size} bytes"
