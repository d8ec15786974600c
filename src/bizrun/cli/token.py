"""`bizrun token`: who may ask a server for what."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from ..errors import UsageError
from .groups import Group
from .state import found_state, json_option, one_of

if TYPE_CHECKING:
    from ..store.tokens import Token, TokenFile

SCOPES = ("ingest", "read", "scim", "admin")
COLUMNS = ("id", "scope", "customer", "role", "created", "revoked")

_state = click.option(
    "--state",
    metavar="STATE",
    help="The state: a file, or postgresql://…; default: the one of .bizrun/.",
)


@click.group(cls=Group)
def token() -> None:
    """Make, list and revoke the tokens that a server asks for."""


@token.command()
@click.option("--scope", "scopes", type=click.Choice(SCOPES), multiple=True, required=True,
              help="What it allows; may be given several times.")  # fmt: skip
@click.option("--customer", metavar="ID", help="The customer who holds it: only that one's data.")
@click.option("--role", metavar="NAME", help="A role of the spec.")
@_state
@json_option
def new(
    scopes: tuple[str, ...], customer: str | None, role: str | None, state: str | None,
    as_json: bool,
) -> int:  # fmt: skip
    """Print a new token. It is shown once: only its hash is kept."""
    if "admin" in scopes and customer is not None:
        raise UsageError("An admin token is nobody's: give --customer with ingest or read.")
    tokens = _tokens(state, make=True)
    made, secret = tokens.new(frozenset(scopes), customer, role, datetime.now(UTC))
    click.echo(json.dumps({**_shown(made), "token": secret}) if as_json else secret)
    return 0


@token.command("list")
@_state
@json_option
def list_(state: str | None, as_json: bool) -> int:
    """List tokens: what they allow, never what they are."""
    from .table import table

    rows = [_shown(token) for token in _tokens(state).all()]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    elif rows:
        click.echo(table(COLUMNS, rows))
    else:
        click.echo("There are no tokens: bizrun token new --scope ingest")
    return 0


@token.command()
@click.argument("id_", metavar="ID")
@_state
def revoke(id_: str, state: str | None) -> int:
    """Let a token be good for nothing, from now on."""
    tokens = _tokens(state)
    found = one_of([token.id for token in tokens.all()], id_, "token")
    tokens.revoke(found, datetime.now(UTC))
    click.echo(f"{found} revoked")
    return 0


def _tokens(state: str | None, make: bool = False) -> TokenFile:
    from ..store.open import is_there, open_store
    from ..store.tokens import TokenFile

    if make and state is not None and state != ":memory:" and not is_there(state):
        open_store(state).close()
    return TokenFile(found_state(state, None))


def _shown(token: Token) -> dict[str, str | None]:
    return {
        "id": token.id, "scope": ",".join(sorted(token.scopes)), "customer": token.customer,
        "role": token.role, "created": token.created, "revoked": token.revoked,
    }  # fmt: skip
