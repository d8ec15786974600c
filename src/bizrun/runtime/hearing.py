"""What a processor tells of its own accord, taken by billing before handlers see its event."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..model import Event
from .work import Work

if TYPE_CHECKING:
    from .engine import Engine


def hear(engine: Engine, event: Event, seq: int) -> None:
    """Has billing take an event that is about to be handled, and logged as `seq`: in a step of its
    own, so that it is kept whatever handlers do with it. What fails is tried again the day after.
    """
    event.seq = seq  # what follows is caused by it
    now = max(engine.clock or event.time, event.time)
    base = f"{event.base}/told"
    work = Work(engine, now, base, event.envelope(), event)
    task = {"what": "told", "type": event.type, "data": event.data}

    def take() -> None:
        due = lambda: engine.actions.due(work, task)  # noqa: E731 - it is tried again by its task
        engine.guarded(work, due, again=(base, "billing", task))

    engine.step(now, base, take)
