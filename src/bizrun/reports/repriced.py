"""What an edit of plans does to subscriptions that run: whose next period costs another price."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ..actions.customers import ASLEEP, lives
from ..actions.terms import items, monthly
from ..runtime.work import Work

if TYPE_CHECKING:
    from ..runtime.engine import Engine


def repriced(engine: Engine) -> Iterator[str]:
    """A line for each plan that is gone, or costs another price in place (its dated versions and
    phases are no edit), with how many subscriptions have it."""
    now = engine.clock or datetime(1970, 1, 1, tzinfo=UTC)
    envelope = {"id": "edit", "type": "edit", "time": now, "subject": None}
    desk = Work(engine, now, "edit", envelope, None)
    gone: Counter[str] = Counter()
    other: Counter[tuple[str, str, str]] = Counter()
    for sub in engine.state.select("Subscription", {}):
        if not lives(sub) or sub["status"] in ASLEEP:
            continue
        if sub["plan"] not in engine.program.plans:
            gone[sub["plan"]] += 1
            continue
        was = sub["monthly_amount"]
        found = {monthly(items(desk, sub, at), sub) for at in (sub["period_start"], now)}
        if was not in found:
            other[sub["plan"], str(was), str(max(found))] += 1
    for plan, count in sorted(gone.items()):
        yield f"{count:,} × subscription to {plan}: there is no such plan any more, and no renewal"
    for (plan, was, new), count in sorted(other.items()):
        yield f"{count:,} × subscription to {plan}: {was} a month now, {new} from its renewal on"
