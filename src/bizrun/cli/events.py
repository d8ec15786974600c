"""`bizrun events`: what came in and what became of it; a second try for what was not handled."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from ..errors import UsageError
from ..ir.compile_errors import explain_error
from ..runtime import interventions
from ..store.base import CLOCK
from ..values import plain
from .groups import Group
from .state import Opened, json_option, one_of, opened, person, spec_option, state_option

if TYPE_CHECKING:
    from ..ir.compile import Code
    from ..model import Event
    from ..runtime.engine import Engine
    from ..store.base import LogEntry, Row

KEPT = ("rejected", "failed", "malformed", "conflict", "retried")
LOGGED = ("handled", "unmatched")
# As the summary of a run counts them: no event at all, or another under a known id.
REJECTED = ("rejected", "malformed", "conflict")
NEWEST = 50
COLUMNS = ("at", "type", "status", "reason", "id")


@click.group(cls=Group, invoke_without_command=True)
@click.option("--status", type=click.Choice([*KEPT, *LOGGED]), help="Only those.")
@state_option
@spec_option
@json_option
@click.pass_context
def events(
    ctx: click.Context, status: str | None, state: str | None, spec: str | None, as_json: bool
) -> int:
    """List events; `bizrun events retry ID` handles one again that was rejected or failed."""
    if ctx.invoked_subcommand is not None:
        ctx.obj = (state, spec)
        return 0
    from .query import json_text
    from .table import table

    with opened(state, spec) as found:
        rows = list(_kept(found, status) if status in KEPT else _logged(found, status))
    if as_json:
        click.echo(json_text(rows))
        return 0
    shown = rows[-NEWEST:]
    if not shown:
        click.echo("No events.")
        return 0
    if status in KEPT:
        for row in shown:
            click.echo(_told(row))
    else:
        names = [name for name in COLUMNS if any(row.get(name) for row in shown)]
        click.echo(table(names, shown, cut="id"), nl=False)
    if len(shown) < len(rows):
        click.echo(f"the newest {len(shown)} of {len(rows):,}; all of them with --json")
    if status in ("rejected", "failed"):
        click.echo("again: bizrun events retry ID")
    return 0


def _told(row: dict[str, Any]) -> str:
    """What was kept as two lines: which event it is, and why."""
    from .render import printable

    place = f" at {row['place']}" if row["place"] else ""
    what = f"{row['type'] or 'no event'} {row['event']}".rstrip()
    return (
        printable(f"{row['id']}  {row['at']}  {what}{place}") + f"\n    {printable(row['reason'])}"
    )


def _kept(found: Opened, status: str | None) -> Iterator[dict[str, Any]]:
    wanted = REJECTED if status == "rejected" else (status,)
    for row in found.store.select("_dead", {}, (), (("order", False),)):
        if row["status"] not in wanted:
            continue
        yield {
            "id": row["id"], "event": row["event"], "type": row["type"], "at": plain(row["at"]),
            "status": row["status"], "reason": row["reason"], "place": row["place"],
            "handler": row["handler"],
        }  # fmt: skip


def _logged(found: Opened, status: str | None) -> Iterator[dict[str, Any]]:
    for entry in found.store.log(0, status):
        if entry.type == CLOCK:
            continue  # no event: how far time had moved on
        yield {
            "id": entry.id, "source": entry.source, "type": entry.type, "at": entry.time,
            "status": entry.status, "reason": entry.reason, "seq": entry.seq,
            "cause": entry.cause, "fired": entry.fired,
        }  # fmt: skip


# --- retry ---------------------------------------------------------------------------------------


@events.command(short_help="Handle an event again.")
@click.argument("id_", metavar="ID")
@state_option
@spec_option
@click.pass_obj
def retry(obj: tuple[str | None, str | None], id_: str, state: str | None, spec: str | None) -> int:
    """Handle an event again that was rejected, or the part of it that failed."""
    with opened(state or obj[0], spec or obj[1], writing=True) as found:
        row = _meant(found, id_)
        before = found.engine.counts.failed
        reason = _again(found, row)
        failed = reason is not None or found.engine.counts.failed > before
        old = {**row, "status": "retried"}
        found.engine.state.replace("_dead", row["id"], row, old)
        interventions.audit(found.engine, person(), "retried", row["id"], event=row["event"])
        found.engine.commit()
        newest = list(found.store.select("_dead", {}, (), (("order", True),), 1))
    if failed:
        why = reason or (newest[0]["reason"] if newest else "")
        click.echo(f"{row['event']}: not handled again: {why}", err=True)
        return 1
    click.echo(f"{row['event']}: handled")
    return 0


def _meant(found: Opened, id_: str) -> Row:
    """The row of what is to be tried again, by its own id or the event's."""
    rows = {
        row["id"]: row
        for status in ("rejected", "failed", "malformed", "conflict")
        for row in found.store.select("_dead", {"status": status}, (), (("order", False),))
    }
    of_event = [row for row in rows.values() if row["event"] == id_]
    if of_event:
        return of_event[-1]
    row = rows[one_of(list(rows), id_, "rejected or failed event")]
    if row["status"] in ("malformed", "conflict"):
        raise UsageError(
            f"{row['place']} was no event that can be handled ({row['reason']}): correct it where "
            "it came from, and send it again."
        )
    return row


def _again(found: Opened, row: Row) -> str | None:
    """Does it; the reason where it is refused once more."""
    engine, task = found.engine, row["retry"]
    if task is not None and "unit" in task:
        _segment(found, row, task)
        return None
    event, entry = _event(found, row)
    if row["handler"]:
        _handler(found, row, event, entry)
        return None
    receipt = engine.submit(event, entry.raw)
    return receipt.reason if receipt.status in ("rejected", "failed") else None


def _segment(found: Opened, row: Row, task: dict[str, Any]) -> None:
    """Goes on where a handler failed: by the spec of today, where it fits what is known there."""
    from ..runtime.waits import resumed

    engine, number = found.engine, task["segment"]
    code = engine.waits.code(task["unit"])
    handler = _handlers(found).get(row["handler"])
    if handler is not None:
        today = engine.dispatch.code(handler)
        if number < len(today.live) and set(today.live[number]) <= set(task["live"]):
            code = today
    base = task.get("base") or row["event"]
    now = engine.clock or row["at"]
    work = resumed(engine, now, base, task, None, code)
    engine.run_isolated(work, number, task["live"])
    engine.drain()


def _handlers(found: Opened) -> dict[str, Any]:
    program = found.program
    handlers = [*program.handlers, *(schedule.handler for schedule in program.schedules)]
    return {handler.id: handler for handler in handlers}


def _event(found: Opened, row: Row) -> tuple[Event, LogEntry]:
    """The event as it came, from the log."""
    from ..lossless import from_json
    from ..model import Event
    from ..store.base import INTERNAL
    from ..values import instant

    logged = [
        entry
        for status in ("rejected", "failed", "handled")
        for entry in found.store.log(0, status)
        if entry.id == row["event"] and entry.type == row["type"]
    ]
    if not logged:
        raise UsageError(f"The log has no event {row['event']} to handle again.")
    # Another source may have sent one with the same id: its time tells which one failed.
    same = [entry for entry in logged if instant(entry.time) == row["at"]]
    entry = (same or logged)[-1]
    held = _decoded(entry.raw)
    if entry.source == INTERNAL:
        event = Event(entry.id, entry.type, instant(entry.time), from_json(held), INTERNAL)
        event.cause = entry.cause
        return event, entry
    data = held.get("data") or {}
    event = Event(
        entry.id,
        entry.type,
        instant(entry.time),
        data,
        entry.source,
        held.get("subject"),
        corrects=held.get("corrects"),
    )
    return event, entry


def _decoded(raw: str) -> Any:
    from decimal import Decimal

    import msgspec

    return msgspec.json.Decoder(float_hook=Decimal).decode(raw)


def _looks_at(engine: Engine, code: Code, event: Event) -> bool:
    """Whether a handler of today's spec takes the event: its `where` may say no, or fail again."""
    route = engine.dispatch.route(event.type)
    indexes, errors = route.match(event)
    for failing, error in errors:
        if failing is code:
            handler = code.unit.handler
            reason, place = explain_error(error, code)
            engine.recording.dead(
                event, "failed", reason, str(place or handler.place), handler.id, None
            )
    return any(route.handlers[index] is code for index in indexes)


def _handler(found: Opened, row: Row, event: Event, entry: LogEntry) -> None:
    """Runs the one handler that failed; the others of its event have done their part."""
    from ..runtime.work import Work
    from ..store.base import INTERNAL

    engine = found.engine
    handler = _handlers(found).get(row["handler"])
    if handler is None:
        raise UsageError(f"The spec has no handler {row['handler']} any more ({row['place']}).")
    if entry.source != INTERNAL:
        engine.read(event)
    event.seq = entry.seq
    code = engine.dispatch.code(handler)
    if not _looks_at(engine, code, event):
        return
    envelope = event.envelope()
    work = Work(engine, event.time, f"{event.base}/{handler.id}", envelope, event, code)
    live = {name: {**event.data, "event": envelope} for name in code.live[0]}
    engine.run_isolated(work, 0, live)
    engine.drain()
