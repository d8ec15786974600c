"""What a diagnostic's code means: the entries that `check --explain` and docs/errors.md print."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Code:
    """A kind of mistake: its title, why it is one, and an example that has it and is mended."""

    title: str
    why: str
    example: str
