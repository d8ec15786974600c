"""What a habit is: something that authors bring along from other languages."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

CODE = frozenset(("on", "every", "fn", "api", "test", "const", "metric", "trigger", "tax"))
SHAPE = frozenset(("entity", "extend", "event", "type", "given"))
PLAN = frozenset(("plan", "addon"))
TEST = frozenset(("test",))
_ANY: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Habit:
    """A pattern of a line, and what to say of what its group `x` (else all of it) covers.

    `message`, `help` and `fix` may hold `{1}` for a group. Without `fix` the line is passed over;
    `where` are the declarations in which it is looked for, all if empty.
    """

    pattern: re.Pattern[str]
    message: str
    help: str | None = None
    fix: str | Callable[[re.Match[str]], str] | None = None
    where: frozenset[str] = _ANY
    code: str = "E0140"


def brought(
    pattern: str,
    message: str,
    help: str | None = None,
    *,
    fix: str | Callable[[re.Match[str]], str] | None = None,
    where: frozenset[str] = _ANY,
    code: str = "E0140",
) -> Habit:
    """A habit by its pattern, as a line of a table."""
    return Habit(re.compile(pattern), message, help, fix, where, code)
