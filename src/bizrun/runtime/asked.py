"""What questions of state are asked with: a text from outside is the instant that it says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from ..errors import EvalError
from ..ir.operators import quoted
from ..lang.builtins import BUILTINS, TIMES
from ..lang.types import TIME
from ..times import instants_of, midnight
from ..values import Range, written

# The names of the parameters that take an instant or a range of them, by function and position.
_INSTANTS: Mapping[str, Mapping[int, str]] = {
    name: places
    for name, function in BUILTINS.items()
    if (
        places := {
            place: parameter.name
            for place, parameter in enumerate(function.params)
            if TIME in parameter.types or TIMES in parameter.types
        }
    )
}


def read(name: str, values: Sequence[Any], zone: ZoneInfo) -> Sequence[Any]:
    """The values with their instants read; an EvalError for what says none.

    Only an undeclared event's are texts here ("Text that arrives from outside fits either",
    LANGUAGE.md 1): what has a type was checked with the spec.
    """
    places = _INSTANTS.get(name)
    if places is None:
        return values
    return [
        _instants(f"`{places[place]}` of `{name}`", value, zone) if place in places else value
        for place, value in enumerate(values)
    ]


def _instants(what: str, value: Any, zone: ZoneInfo) -> Any:
    if value is None:
        return None
    if isinstance(value, Range):
        # Both ends are in: of a date at the end the whole day.
        return Range(*instants_of(_time(what, value.start), _time(what, value.end), zone))
    found = _time(what, value)
    return found if isinstance(found, datetime) else midnight(found, zone)


def _time(what: str, value: Any) -> date:
    """An instant or a date."""
    found = written(value, "time", "date") if isinstance(value, str) else value
    if isinstance(found, date):
        return found
    raise EvalError(f"{what} takes a time, not {quoted(value)}")
