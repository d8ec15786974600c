"""`bizrun erase`: a person's data removed from a state and its files, with the books intact."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import UsageError
from .state import json_option, opened, person, spec_name, spec_option, state_option

if TYPE_CHECKING:
    from ..runtime.erasure import Erased
    from .state import Opened


@click.command()
@click.argument("customer", metavar="CUSTOMER")
@state_option
@spec_option
@click.option("--out", metavar="DIR", help="The run's files; default out/NAME/, none for none.")
@click.option("--documents", is_flag=True, help="Also what invoices say, once it need not be kept.")
@click.option("--yes", is_flag=True, help="Don't ask.")
@json_option
def erase(
    customer: str, state: str | None, spec: str | None, out: str | None, documents: bool,
    yes: bool, as_json: bool,
) -> int:  # fmt: skip
    """Remove the data of CUSTOMER (a key, an email address, or 'Entity KEY') for good.

    Amounts, numbers and the log's chain of hashes stay; so does what invoices have to say by law.
    """
    from ..documents.erasing import erase_files
    from ..runtime.erasure import erase as erased
    from ..store.tokens import TokenFile

    with opened(state, spec, writing=True) as found:
        entity, key = _whom(found, customer)
        if not yes and sys.stdin.isatty() and sys.stdout.isatty():
            click.confirm(f"Remove the data of {entity} {key} for good?", abort=True)
        told = erased(found.engine, person(), entity, key, documents)
        found.engine.commit()
        found.store.purge()
        address, name = found.address, spec_name(found.program.path)
    folder = Path(out) if out else Path("out", name)
    files = erase_files(folder, told.orders, told.documents) if out != "none" else 0
    tokens = TokenFile(address)
    revoked = [token.id for token in tokens.all() if token.customer == key and not token.revoked]
    for id_ in revoked:
        tokens.revoke(id_, person().at)
    _tell(told, files, revoked, folder if files else None, as_json)
    return 0


def _whom(found: Opened, wanted: str) -> tuple[str, str]:
    """The entity and key of whoever is meant."""
    from ..diagnostics import did_you_mean

    program, state = found.program, found.engine.state
    head, _, rest = wanted.partition(" ")
    named = head in program.entities and rest
    asked = head if named else program.bills
    if asked is None:
        raise UsageError("The spec bills nobody: say whose data, as 'Entity KEY'.")
    entity = program.entities[asked]
    if entity.builtin:
        raise UsageError(f"{asked} is a part of the books: erase whose it is.")
    text = rest.strip() if named else wanted
    key = state.find(entity, text)
    if key is None:
        known = [str(row[name]) for row in state.select(asked, {})
                 for name in (entity.key, *entity.uniques, "email") if row.get(name)]  # fmt: skip
        same = [row for row in state.select(asked, {}) if row.get("email") == text]
        if len(same) == 1:
            return asked, str(same[0][entity.key])
        near = did_you_mean(text, known)
        hint = f" Did you mean {near}?" if near else ""
        raise UsageError(f"There is no {asked} {text}.{hint}")
    return asked, key


def _tell(told: Erased, files: int, revoked: list[str], folder: Path | None, as_json: bool) -> None:
    from .query import json_text
    from .render import plural

    if as_json:
        shown: dict[str, Any] = {
            "entity": told.entity, "key": told.key, "rows": told.rows, "events": told.events,
            "effects": told.effects, "others": told.others, "files": files,
            "tokens_revoked": len(revoked), "under_way": told.under_way, "running": told.running,
        }  # fmt: skip
        click.echo(json_text(shown))
        return
    where = f" and {plural(files, 'file')} in {folder}" if folder is not None else ""
    click.echo(
        f"{told.entity} {told.key}: erased from {plural(told.rows, 'row')}, "
        f"{plural(told.events, 'event')}, {plural(told.effects, 'effect')}, "
        f"{plural(told.others, 'other place')}{where}"
    )
    if revoked:
        click.echo(f"{plural(len(revoked), 'token')} revoked")
    for subscription in told.running:
        click.echo(f"note: {subscription} goes on being billed; cancel it to end that", err=True)
    for id_ in told.under_way:
        click.echo(
            f"note: effect {id_[:10]} is still under way and keeps what it needs; erase again once "
            "it is done",
            err=True,
        )
    click.echo("note: backups and what providers hold are not touched", err=True)
