"""The next invoice of a customer, over a state."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ..diagnostics import did_you_mean
from ..errors import UsageError

if TYPE_CHECKING:
    from ..runtime.engine import Engine


def preview(engine: Engine, customer: str, at: datetime | None) -> Mapping[str, Any]:
    """What the invoice due at an instant or next after it will say: see `actions.preview`.

    UsageError where there is no such customer, Refusal where nothing will be billed.
    """
    from ..actions.preview import next_invoice
    from ..runtime.work import Work

    bills = engine.program.bills
    if bills is None:
        raise UsageError("The business bills nobody: say `bills` and an entity in its block.")
    if engine.state.get(bills, customer) is None:
        key = engine.program.entities[bills].key
        near = did_you_mean(customer, [str(row[key]) for row in engine.state.select(bills, {})])
        hint = f" Did you mean `{near}`?" if near else ""
        raise UsageError(f"There is no {bills} `{customer}`.{hint}")
    now = engine.clock or datetime(1970, 1, 1, tzinfo=UTC)
    envelope = {"id": "preview", "type": "preview", "time": now, "subject": customer}
    return next_invoice(Work(engine, now, "preview", envelope, None), customer, at)
