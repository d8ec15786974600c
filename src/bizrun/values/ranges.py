"""A range: what lies between two values, both ends in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .text import show


@dataclass(frozen=True, slots=True)
class Range:
    """`start..end` of what has an order, both ends in."""

    start: Any
    end: Any

    def __contains__(self, value: Any) -> bool:
        return value is not None and bool(self.start <= value <= self.end)

    def __getitem__(self, name: str) -> Any:
        """Its ends are read as fields are."""
        return {"start": self.start, "end": self.end}[name]

    def __str__(self) -> str:
        return f"{show(self.start)}..{show(self.end)}"
