"""What a state says of itself: how far time is, how many rows are numbered, by which spec."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from ..errors import EvalError, StoreError
from ..ir.program import Program
from ..store.base import Store
from ..values import instant, instant_stamp
from .state import State

_NO_TIME = "-"


class Head(NamedTuple):
    """The head of each commit: `at` is the state's clock, none as long as nothing has come; `order`
    the newest number that rows stand in order by."""

    at: datetime | None = None
    order: int = 0

    def __str__(self) -> str:
        at = _NO_TIME if self.at is None else instant_stamp(self.at)
        return f"{at} {self.order}"


def head_of(store: Store) -> Head:
    """The head of a state's newest commit. StoreError where it is not as it was written."""
    text = store.head()
    if not text:
        return Head()
    at, _, order = text.partition(" ")
    try:
        return Head(None if at == _NO_TIME else instant(at), int(order))
    except (ValueError, EvalError):
        raise StoreError(
            f"the state is damaged: its clock is `{text[:60]}`; put a backup in its place, or "
            "start over with --fresh"
        ) from None


def tell_spec(state: State, program: Program) -> None:
    """Has a state know the spec that it is run by; `format` is that of its rows."""
    row = {"id": "spec", "spec": program.name, "path": program.path, "format": 1}
    if row != state.get("_spec", "spec"):
        state.put("_spec", "spec", row)
