"""`bizrun outbox`: the effects of a state; a second try, or the last word on one left unclear."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from ..diagnostics import did_you_mean
from ..errors import UsageError
from ..runtime import interventions
from ..runtime.bounds import PARKED
from ..runtime.outbox import effect_of
from ..values import plain
from .groups import Group
from .live import connectors, live_worker
from .state import (
    Opened,
    is_live,
    json_option,
    one_of,
    opened,
    person,
    spec_option,
    state_option,
)

if TYPE_CHECKING:
    from ..store.base import Row

# As they are called on the command line, and in the table.
STATUSES = {
    "waiting": "ready", "sending": "leased", "sent": "sent", "unknown": "unknown",
    "succeeded": "done", "failed": "failed", "dead": "dead",
}  # fmt: skip
WORDS = {held: said for said, held in STATUSES.items()}
OPEN = ("ready", "leased", "sent", "unknown", "dead")
NEWEST = 50
COLUMNS = ("id", "kind", "status", "created", "about", "tries", "error", "place")


@click.group(cls=Group, invoke_without_command=True)
@click.option("--status", type=click.Choice(list(STATUSES)), help="Only those.")
@state_option
@spec_option
@json_option
@click.pass_context
def outbox(
    ctx: click.Context, status: str | None, state: str | None, spec: str | None, as_json: bool
) -> int:
    """List effects; send one again, say how one went, stop and start a connector."""
    if ctx.invoked_subcommand is not None:
        ctx.obj = (state, spec)
        return 0
    from .query import json_text
    from .table import table

    with opened(state, spec) as found:
        rows = list(_effects(found, status))
        held = list(_held(found))
    if as_json:
        click.echo(json_text([{k: v for k, v in row.items() if k != "about"} for row in rows]))
        return 0
    for line in held:
        click.echo(line)
    if not rows:
        click.echo("No effects.")
        return 0
    shown = [{**row, "id": row["id"][:16]} for row in rows[-NEWEST:]]
    names = [name for name in COLUMNS if any(row[name] for row in shown)]
    click.echo(table(names, shown, cut="about"), nl=False)
    if len(shown) < len(rows):
        click.echo(f"the newest {len(shown)} of {len(rows):,}; all of them with --json")
    return 0


def _effects(found: Opened, status: str | None) -> Iterator[dict[str, Any]]:
    equals = {"status": STATUSES[status]} if status else {}
    for row in found.store.select("_effect", equals, (), (("order", False),)):
        names = ("id", "order", "kind", "data", "created", "event", "place", "customer",
                 "error", "answer", "reference", "attempts")  # fmt: skip
        told = {name: plain(row[name]) for name in names}
        sent = found.store.get("_delivery", row["id"])
        if sent is not None:
            told |= {
                "provider": sent["provider"], "tries": sent["attempts"] or 0,
                "maybe_twice": bool(sent["twice"]), "first_sent": plain(sent["first"]),
            }  # fmt: skip
            if row["status"] in OPEN:
                told["error"] = row["error"] or sent["reason"]
        told.setdefault("tries", None)
        status_word = WORDS.get(row["status"], row["status"])
        yield {**told, "status": status_word, "about": _about(row)}


def _held(found: Opened) -> Iterator[str]:
    """A line for each connector that is stopped, and for each customer that is parked."""
    for row in found.store.select("_switch"):
        since = f"since {plain(row['at'])} by {row['by']}"
        reason = f": {row['reason']}" if row["reason"] else ""
        name = row["id"]
        if name.startswith(PARKED):
            customer = name.removeprefix(PARKED)
            click_on = f"bizrun outbox unpark {customer}"
            yield f"{customer} is parked {since}{reason}; `{click_on}` lets its effects go"
        else:
            yield f"{name} is stopped {since}{reason}; `bizrun outbox start {name}` lets it go on"


def _about(row: Row) -> str:
    """What an effect is about, for a table."""
    data = row["data"]
    if row["kind"] == "email" and data.get("template") and isinstance(data.get("to"), str):
        return f"{data['template']} to {data['to']}"
    for name in ("to", "amount", "channel", "url", "target"):
        if data.get(name) is not None:
            return str(plain(data[name]))
    return json.dumps(plain(data), default=str)[:60]


@outbox.command(short_help="Send an effect again.")
@click.argument("id_", metavar="ID")
@state_option
@spec_option
@click.pass_obj
def retry(obj: tuple[str | None, str | None], id_: str, state: str | None, spec: str | None) -> int:
    """Send an effect again that has no outcome yet, or a message that failed.

    Where it may have been done before, the provider is asked first.
    """
    with opened(state or obj[0], spec or obj[1], writing=True) as found:
        row = _row(found, id_)
        if row["status"] == "done":
            raise UsageError(f"{row['kind']} {row['id'][:16]} has succeeded: there is no retry.")
        if row["status"] == "failed" and row["kind"] in ("charge", "refund", "transfer"):
            raise UsageError(
                f"{row['kind']} {row['id'][:16]} has failed ({row['error']}), and what came of it "
                "is handled: a new try is a new effect (pay_invoice, charge, refund)."
            )
        if is_live(found.store):
            worker = live_worker(found.engine)
            worker.retry(row)
            found.engine.pump = worker.pump
            found.engine.drain()
            worker.close()
        else:
            deliver = found.engine.outbox.deliver
            assert deliver is not None
            found.engine.settle(row["id"], deliver(effect_of(row)))
        interventions.audit(found.engine, person(), "retried", row["id"])
        return 1 if _done(found, row["id"]) == "failed" else 0


@outbox.command(short_help="Say how an effect went.")
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

    with opened(state or obj[0], spec or obj[1], writing=True) as found:
        row = _row(found, id_)
        if row["status"] not in OPEN:
            word = WORDS[row["status"]]
            raise UsageError(f"{row['kind']} {row['id'][:16]} has {word} already.")
        given = Outcome("succeeded") if outcome == "succeeded" else Outcome("failed", error)
        interventions.resolve(found.engine, person(), row["id"], given)
        _done(found, row["id"])
        return 0


# --- the kill switch, and customers over their bounds ------------------------------------------


@outbox.command(short_help="Send nothing to a connector.")
@click.argument("connector")
@click.option("--reason", help="Why; whoever looks at the outbox sees it.")
@state_option
@spec_option
@click.pass_obj
def stop(
    obj: tuple[str | None, str | None], connector: str, reason: str | None, state: str | None,
    spec: str | None,
) -> int:  # fmt: skip
    """Send nothing to a connector (stripe, smtp, a `connect` block) until it is started again."""
    with opened(state or obj[0], spec or obj[1], writing=True) as found:
        names = connectors(found.program)
        if connector not in names:
            near = did_you_mean(connector, names)
            hint = f" Did you mean `{near}`?" if near else f" There are {', '.join(names)}."
            raise UsageError(f"There is no connector `{connector}`.{hint}")
        interventions.stop(found.engine, person(), connector, reason)
        found.engine.commit()
    click.echo(f"{connector} is stopped: its effects wait in the outbox.")
    return 0


@outbox.command(short_help="Let a connector go on.")
@click.argument("connector")
@state_option
@spec_option
@click.pass_obj
def start(
    obj: tuple[str | None, str | None], connector: str, state: str | None, spec: str | None
) -> int:
    """Let a stopped connector go on; the next run sends what waits."""
    with opened(state or obj[0], spec or obj[1], writing=True) as found:
        if not interventions.start(found.engine, person(), connector):
            raise UsageError(f"{connector} is not stopped.")
        found.engine.commit()
    click.echo(f"{connector} goes on: what waits is sent by the next run.")
    return 0


@outbox.command(short_help="Let a customer's money go on.")
@click.argument("customer")
@state_option
@spec_option
@click.pass_obj
def unpark(
    obj: tuple[str | None, str | None], customer: str, state: str | None, spec: str | None
) -> int:
    """Let the money of a customer go on that went over its bound of a day."""
    with opened(state or obj[0], spec or obj[1], writing=True) as found:
        if not interventions.start(found.engine, person(), f"{PARKED}{customer}"):
            raise UsageError(f"{customer} is not parked.")
        found.engine.commit()
    click.echo(f"{customer} is not parked any more: what waits is sent by the next run.")
    return 0


def _row(found: Opened, id_: str) -> Row:
    row = found.store.get("_effect", id_)
    if row is None:
        keys = [r["id"] for r in found.store.select("_effect")]
        row = found.store.get("_effect", one_of(keys, id_, "effect"))
    assert row is not None
    return row


def _done(found: Opened, key: str) -> str:
    """Handles what follows, keeps it, and says how the effect stands."""
    found.engine.drain()
    found.engine.commit()
    row = found.store.get("_effect", key)
    assert row is not None
    word = WORDS[row["status"]]
    error = f": {row['error']}" if row["error"] else ""
    click.echo(f"{row['kind']} {key[:16]} {word}{error}")
    return word
