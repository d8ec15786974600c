"""`bizrun push stripe`, `bizrun pull stripe`: a spec's catalog to an account, and back."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import ProviderError, UsageError
from .state import json_option, program_of

if TYPE_CHECKING:
    from ..providers.stripe_catalog import Account

MARKS = {"make": "+", "change": "~", "replace": "~", "same": "=", "differs": "!"}
WHO = click.Choice(["stripe"])


@click.command()
@click.argument("provider", type=WHO)
@click.argument("spec", metavar="SPEC")
@click.option("--apply", is_flag=True, help="Do it; without it, it is only shown.")
@json_option
def push(provider: str, spec: str, apply: bool, as_json: bool) -> int:
    """Show what an account lacks of SPEC's products, prices and coupons; --apply makes it."""
    from ..reports.catalog import wanted

    _, program = program_of(spec)
    items, kept = wanted(program)
    account = _account(program.connections)
    steps = account.steps(items)
    for step in steps:
        if apply:
            account.apply(step)
        if not as_json:
            note = {
                "replace": " (a new price; the old one stays with who has it)",
                "differs": f" (it differs, and Stripe's {step.item.kind}s can't change: give it a "
                "new name)",
            }.get(step.act, "")
            click.echo(f"{MARKS[step.act]} {step.item.text}{note}")
    open_ = sum(step.act not in ("same", "differs") for step in steps)
    if as_json:
        told = [{"kind": s.item.kind, "key": s.item.key, "act": s.act} for s in steps]
        click.echo(json.dumps({"applied": apply, "steps": told, "kept": kept}, indent=2))
        return 0
    for sentence in kept:
        click.echo(f"  {sentence}")
    if not open_:
        click.echo("The account has it all.")
    elif apply:
        click.echo(f"{open_} made or changed.")
    else:
        click.echo(f"{open_} to make or change: say --apply to do it.")
    return 0


@click.command()
@click.argument("provider", type=WHO)
@click.option("--out", metavar="FILE", help="Where to write the spec; default: standard output.")
@click.option("--title", default="Imported from Stripe", help="What the business is called.")
def pull(provider: str, out: str | None, title: str) -> int:
    """Write a spec from the products, prices and coupons of an account."""
    from ..reports.catalog import spec_of

    if out is not None and Path(out).exists():
        raise UsageError(f"{out} is there already: name another file.")
    text = spec_of(_account({}).catalog(), title)
    if out is None:
        click.echo(text, nl=False)
        return 0
    Path(out).write_text(text, encoding="utf-8")
    click.echo(f"{out} is written; next: bizrun check {out}", err=True)
    return 0


def _account(connections: Any) -> Account:
    from ..providers import stripe_sdk
    from ..providers.registry import Registry

    if not stripe_sdk.available():
        raise UsageError(stripe_sdk.MISSING)
    from ..providers.stripe_catalog import Account

    try:  # nothing is asked of Stripe yet: what is wrong now is a setting
        return Account(Registry(connections, os.environ).secrets("stripe"))
    except ProviderError as error:
        raise UsageError(str(error)) from None
