"""Loops of a handler: each round by itself, and one invoice for what begins in all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .engine import Engine
    from .work import Work


def run_rounds(engine: Engine, work: Work, held: bool = False) -> None:
    """Runs the loop that a segment ended with: each round by itself, then what follows.

    The subscriptions that begin in the rounds fall due at one instant and stand on one invoice
    (BILLING.md, An invoice): it is made after the last round, or before anything reads it.
    `held`: this is a round itself, and the loop around it makes the invoice.
    """
    while work.loops:
        items, variable, body, after, live, site = work.loops.pop(0)
        for number, item in enumerate(items):
            round_ = work.part(f"{site}.{number}")
            round_.begun = work.begun
            engine.run_isolated(round_, body, {**live, variable: item}, held=True)
            work.fuel = round_.fuel - 1
        if after is not None:
            rest = work.part(str(site))
            rest.begun = work.begun
            if engine.run_isolated(rest, after, live, held=True) and rest.replied is not None:
                work.replied = rest.replied
    if work.begun and not held:
        _invoice(engine, work)


def _invoice(engine: Engine, work: Work) -> None:
    """Invoices what has begun in rounds; where that fails it is tried again each day."""
    begun = list(work.begun)
    part = work.part("begun")
    part.begun = work.begun

    def invoice() -> bool:
        part.finish()
        return True

    if not engine.guarded(part, invoice):
        work.begun[:] = begun
        engine.actions.finish_later(part)
