"""`bizrun outbox`: the effects of a state; a second try, or the last word on one left unclear."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from ..errors import UsageError
from ..values import plain
from .state import Opened, audit, json_option, one_of, opened, spec_option, state_option

if TYPE_CHECKING:
    from ..store.base import Row

# As they are called on the command line, and in the table.
STATUSES = {"waiting": "ready", "unknown": "unknown", "succeeded": "done", "failed": "failed"}
NEWEST = 50
COLUMNS = ("id", "kind", "status", "created", "about", "error", "place")


@click.group(invoke_without_command=True)
@click.option("--status", type=click.Choice(list(STATUSES)), help="Only those.")
@state_option
@spec_option
@json_option
@click.pass_context
def outbox(
    ctx: click.Context, status: str | None, state: str | None, spec: str | None, as_json: bool
) -> int:
    """List effects; `retry ID` sends one again, `resolve ID succeeded` says how one went."""
    if ctx.invoked_subcommand is not None:
        ctx.obj = (state, spec)
        return 0
    from .query import json_text, table

    with opened(state, spec) as found:
        rows = list(_effects(found, status))
    if as_json:
        click.echo(json_text([{k: v for k, v in row.items() if k != "about"} for row in rows]))
        return 0
    if not rows:
        click.echo("No effects.")
        return 0
    shown = [{**row, "id": row["id"][:16]} for row in rows[-NEWEST:]]
    click.echo(table([n for n in COLUMNS if any(row[n] for row in shown)], shown), nl=False)
    if len(shown) < len(rows):
        click.echo(f"the newest {len(shown)} of {len(rows):,}; all of them with --json")
    return 0


def _effects(found: Opened, status: str | None) -> Iterator[dict[str, Any]]:
    equals = {"status": STATUSES[status]} if status else {}
    words = {held: said for said, held in STATUSES.items()}
    for row in found.store.select("_effect", equals, (), (("order", False),)):
        names = ("id", "order", "kind", "data", "created", "event", "place", "customer",
                 "error", "answer", "reference", "attempts")  # fmt: skip
        told = {name: plain(row[name]) for name in names}
        yield {**told, "status": words.get(row["status"], row["status"]), "about": _about(row)}


def _about(row: Row) -> str:
    """What an effect is about, for a table."""
    data = row["data"]
    for name in ("to", "amount", "channel", "url", "target"):
        if data.get(name) is not None:
            return str(plain(data[name]))
    return json.dumps(plain(data), default=str)[:60]


@outbox.command()
@click.argument("id_", metavar="ID")
@state_option
@spec_option
@click.pass_obj
def retry(obj: tuple[str | None, str | None], id_: str, state: str | None, spec: str | None) -> int:
    """Send an effect again that has no outcome yet, or a message that failed."""
    from ..model import Effect

    with opened(state or obj[0], spec or obj[1]) as found:
        row = _row(found, id_)
        if row["status"] == "done":
            raise UsageError(f"{row['kind']} {row['id'][:16]} has succeeded: there is no retry.")
        if row["status"] == "failed" and row["kind"] in ("charge", "refund", "transfer"):
            raise UsageError(
                f"{row['kind']} {row['id'][:16]} has failed ({row['error']}), and what came of it "
                "is handled: a new try is a new effect (pay_invoice, charge, refund)."
            )
        effect = Effect(
            row["id"], row["kind"], row["data"], row["created"], row["event"], row["place"],
            row["customer"], row["order"],
        )  # fmt: skip
        engine = found.engine
        engine.outbox.send(effect)
        return _done(found, row["id"], "retried")


@outbox.command()
@click.argument("id_", metavar="ID")
@click.argument("outcome", type=click.Choice(["succeeded", "failed"]))
@click.option("--error", default="resolved_by_hand", show_default=True, help="Why it failed.")
@state_option
@spec_option
@click.pass_obj
def resolve(
    obj: tuple[str | None, str | None], id_: str, outcome: str, error: str,
    state: str | None, spec: str | None,
) -> int:  # fmt: skip
    """Say how an effect went whose outcome is unknown; what follows is handled."""
    from ..model import Outcome

    with opened(state or obj[0], spec or obj[1]) as found:
        row = _row(found, id_)
        if row["status"] not in ("unknown", "ready"):
            word = {"done": "succeeded"}.get(row["status"], row["status"])
            raise UsageError(f"{row['kind']} {row['id'][:16]} has {word} already.")
        given = Outcome("succeeded") if outcome == "succeeded" else Outcome("failed", error)
        found.engine.outbox.settle(row["id"], given)
        return _done(found, row["id"], "resolved", outcome=outcome)


def _row(found: Opened, id_: str) -> Row:
    row = found.store.get("_effect", id_)
    if row is None:
        keys = [r["id"] for r in found.store.select("_effect")]
        row = found.store.get("_effect", one_of(keys, id_, "effect"))
    assert row is not None
    return row


def _done(found: Opened, key: str, act: str, **more: Any) -> int:
    """Handles what follows, keeps it with a line in the log, and says how the effect stands."""
    engine = found.engine
    engine._end_step()
    engine.drain()
    audit(engine, act, key, **more)
    engine.commit()
    row = found.store.get("_effect", key)
    assert row is not None
    word = {"done": "succeeded"}.get(row["status"], row["status"])
    error = f": {row['error']}" if row["error"] else ""
    click.echo(f"{row['kind']} {key[:16]} {word}{error}")
    return 1 if row["status"] == "failed" and act == "retried" else 0
