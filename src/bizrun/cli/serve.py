"""`bizrun serve`: a spec over HTTP on the wall clock."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from ..errors import UsageError
from ..store.medium import doubt
from ..store.postgres_address import shown
from .state import (
    check_belongs,
    default_state,
    program_of,
    show_errors,
    spec_name,
    spec_row,
    tell_other_spec,
    telling_damage,
)

if TYPE_CHECKING:
    from ..ir.program import Program
    from ..store.base import Store

LOOPBACK = ("127.0.0.1", "localhost", "::1")
MISSING = "Serving needs the `server` extra: pip install 'bizrun[server]'."


@click.command()
@click.argument("spec", metavar="SPEC")
@click.option(
    "--state",
    metavar="STATE",
    help="Where the state lasts: a file, or postgresql://…; :memory: keeps nothing. "
    "[default: .bizrun/NAME.db]",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True,
              help="0 picks one that is free.")  # fmt: skip
@click.option(
    "--out",
    metavar="DIR",
    help="Where emails and invoices go; none for no files. [default: out/NAME/]",
)
@click.option("--live", is_flag=True, help="Deliver to the real providers.")
@click.option("--no-auth", is_flag=True, help="Ask nobody for a token; on a loopback address only.")
@click.option("--rate", type=click.IntRange(1), default=20_000, show_default=True,
              help="Requests a second that one token may make.")  # fmt: skip
def serve(
    spec: str, state: str | None, host: str, port: int, out: str | None, live: bool, no_auth: bool,
    rate: int,
) -> int:  # fmt: skip
    """Take events and webhooks over HTTP, and serve the spec's routes, until SIGTERM."""
    if no_auth and host not in LOOPBACK:
        raise UsageError(
            f"--no-auth lets anyone in who reaches {host}: serve on 127.0.0.1, or make tokens "
            "(bizrun token new)."
        )
    try:
        from ..server.access import Access
        from ..server.business import Business, folder_of
        from ..server.serving import Place
        from ..server.serving import serve as run
    except ModuleNotFoundError as error:
        if error.name and error.name.partition(".")[0] == "bizrun":
            raise
        raise UsageError(MISSING) from None
    from ..reports.repriced import taken_up
    from ..store.sessions import SessionFile
    from ..store.tokens import TokenFile

    checked, program = program_of(spec)
    address = state or default_state(spec)
    if address == ":memory:" and not no_auth:
        raise UsageError("A state in :memory: has no tokens: add --no-auth, or give it a file.")
    folder = folder_of(out, f"out/{spec_name(spec)}", live)
    with telling_damage(address, spec):
        store = _open(program, address, live)
        business = Business(
            checked, program, store, address, folder, os.environ if live else None, _say
        )
    for change in taken_up(business.engine):
        _say(f"{shown(address)}: {change}")
    if found := doubt(address):
        _say(found)
    access = Access(
        None if no_auth else TokenFile(address), rate, None if no_auth else SessionFile(address)
    )
    run(business, Place(host, port), access, _say, _ready, show_errors)
    return 0


def _open(program: Program, address: str, live: bool) -> Store:
    """A state; refused where it is another spec's, or the other kind of delivery has begun it."""
    from ..runtime.tables import SYSTEM
    from ..store.open import open_store
    from .live import check_live, check_settings

    if live:
        check_settings(program)
    store = open_store(address)
    row = spec_row(store)
    check_belongs(row, program, address)
    tell_other_spec(row, program, address)
    store.prepare(SYSTEM)
    check_live(store, live, shown(address))
    return store


def _say(sentence: str) -> None:
    print(f"bizrun: {' '.join(sentence.split())}", file=sys.stderr, flush=True)


def _ready(address: str) -> None:
    print(f"listening on {address}", flush=True)
