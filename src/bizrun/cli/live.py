"""What `--live` adds to a run: the worker that calls real providers, and what it could not do."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from ..errors import UsageError
from .state import is_live

if TYPE_CHECKING:
    from ..ir.program import Program
    from ..runtime.delivery import Worker
    from ..runtime.engine import Engine
    from ..store.base import Store

# What waits for a person, and what to do about it.
STUCK = {
    "unknown": "of which nobody can say whether it was done: look at the provider, then "
    "`bizrun outbox resolve ID succeeded` or `failed`",
    "dead": "not done after all tries: `bizrun outbox retry ID`",
    "sent": "at the provider, which tells the outcome later by a webhook",
    "ready": "not sent yet: the next run goes on with it",
}


def check_live(store: Store, live: bool, state: str) -> None:
    """Refuses to mix what the sandbox answered with what providers did."""
    if live and not is_live(store) and store.count("_effect"):
        raise UsageError(
            f"{state} has effects that only the sandbox has seen: begin with --fresh, or name "
            "another --state for --live."
        )
    if not live and is_live(store):
        raise UsageError(
            f"{state} was run with --live, and its effects are at real providers: say --live "
            "again, or name another --state for the sandbox."
        )


def check_settings(program: Program) -> None:
    """UsageError that tells all that is missing or wrong in what providers are configured by,
    before a state is opened."""
    from ..pipeline import open_registry

    open_registry(program, os.environ)


def go_live(engine: Engine) -> Worker:
    """Lets a worker deliver whenever the engine is quiet; takes up what an earlier run left."""
    from ..pipeline import open_worker

    worker = open_worker(
        engine, os.environ, ordered=True, tell=lambda line: click.echo(line, err=True)
    )
    worker.begin()
    engine.pump = worker.pump
    engine.drain()
    engine.commit()
    return worker


def live_worker(engine: Engine) -> Worker:
    """A worker for one effect by hand: it takes up nothing by itself."""
    from ..pipeline import open_worker

    return open_worker(engine, os.environ, ordered=True)


def connectors(program: Program) -> list[str]:
    """What can be stopped: the spec's own connections, and the providers that there are."""
    from ..providers.registry import PROVIDERS

    return sorted({*program.connections, *(entry.name for entry in PROVIDERS)})


def tell_stuck(store: Store) -> None:
    """Says what is left in the outbox."""
    for status, meaning in STUCK.items():
        count = sum(1 for _ in store.select("_effect", {"status": status}))
        if count:
            noun = "effect" if count == 1 else "effects"
            click.echo(f"{count:,} {noun} {meaning}.", err=True)
