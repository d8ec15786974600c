"""What services tell of their own accord: disputes, and refunds that were made there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from ..model import Disputed, Told
from . import disputes, outside
from .desk import Desk


class Services(Protocol):
    """Reads the events of services: handed over, since each has its own words."""

    def tells(self, type_: str) -> bool:
        """Whether events of a type tell what moves money."""

    def told(self, type_: str, data: Any) -> Sequence[Told]:
        """What an event tells."""


class Silent:
    """No services."""

    def tells(self, type_: str) -> bool:
        """Nothing is told."""
        return False

    def told(self, type_: str, data: Any) -> Sequence[Told]:
        """Nothing."""
        return ()


def take(desk: Desk, told: Sequence[Told]) -> None:
    """Takes what an event tells; nothing where it is of no payment of ours."""
    for said in told:
        if isinstance(said, Disputed):
            disputes.told(desk, said)
        else:
            outside.refunded(desk, said)
