"""What actions are given: each field by its type, as their signatures say."""

from __future__ import annotations

from functools import cache
from typing import Any

from ..errors import Refusal
from ..lang.types import ANY, Type
from .desk import Desk
from .signatures import SIGNATURES


def taken(work: Desk, name: str, data: dict[str, Any]) -> dict[str, Any]:
    """What an action is given, each field by its type: what an untyped payload or reply says is
    read as data is. One that needs a value and gets none refuses the event (LANGUAGE.md 3)."""
    fitting = data
    for field, type_, required, what in fields_of(name):
        value = data.get(field)
        if value is None:
            if required:
                raise Refusal(f"`{name}` needs `{field}`, and there is none")
        elif (read := work.fitted(value, type_, what)) is not value:
            fitting = {**fitting, field: read}
    return fitting


@cache
def fields_of(name: str) -> tuple[tuple[str, Type, bool, str], ...]:
    """Each field of an action: its name, type, whether it is required, how a message calls it."""
    signature = SIGNATURES.get(name)
    return tuple(
        (f.name, ANY if f.many else f.type, f.required, f"`{f.name}` of `{name}`")
        for f in (signature.fields if signature else ())
    )
