"""Counting on running figures: one function made for the meters of an event type.

No text of an author is in its source: names are values of its namespace.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from ..ir.program import Meter
from ..model import Event
from ..store.base import INTERNAL

if TYPE_CHECKING:
    from .metering import Metering

# What a meter counts at once: more can't be meant.
BOUND = 10**18
# Among which a figure runs without a look at its row: none of them is further from another.
UNSEEN = BOUND // 2

Space = dict[str, Any]


class Read(NamedTuple):
    """What reads a field of the payload `data`: source, whether its type is certain, and the
    entity that it refers to, where that is still to be looked up."""

    source: str
    certain: bool
    refers: str | None = None


Access = Callable[[str, Space], Read]
# What `record_usage` tells of: counted by then on the meter that it names.
RECORDED = "Usage.recorded"


def is_recorded(event: Event) -> bool:
    """Whether an event tells of what `record_usage` has counted."""
    return event.type == RECORDED and event.source == INTERNAL


def counted_at(event: Event) -> datetime:
    """The instant at which what an event says is counted."""
    at: datetime = event.data["at"] if is_recorded(event) else event.time
    return at


def counting(
    metering: Metering, meters: tuple[Meter, ...], access: Access, space: Space,
    beyond: str | None = None,
) -> list[str]:  # fmt: skip
    """The lines of a function of `data`, its instant `at` and the `clock`, which is no earlier.

    They return None where the event needs the long way; else it has counted on each meter. What
    they return where a figure is not among those in which it runs unseen is `beyond`, where that
    is given and there is one meter: an expression of `slot`, `figure`, `at` and `clock`.
    """
    space |= {
        "open": metering.open, "moved": metering.moved,
        "get": metering.engine.state.get,
    }  # fmt: skip
    checks: list[str] = []
    counts: list[str] = []
    if beyond is None or len(meters) > 1:
        beyond = "None"
    for place, meter in enumerate(meters):
        checks += _checked(metering, place, meter, access, space, beyond)
        counts += [
            f" slot{place}.count += 1",
            f" if not slot{place}.dirty:",
            f"  slot{place}.dirty = True",
            f"  moved.append(slot{place})",
        ]
        if meter.aggregate == "sum":
            counts.append(f" slot{place}.total = total{place}")
    return checks + counts


def _checked(
    metering: Metering, n: int, meter: Meter, access: Access, space: Space, beyond: str
) -> list[str]:
    """The lines that find a meter's running figure, and what it comes to with the event."""
    space |= {f"slots{n}": metering.slots(meter), f"meter{n}": meter}
    read = access(meter.per or "", space)
    lines = [f" customer = {read.source}"]
    if not read.certain:
        lines += [" if type(customer) is not str:", "  return None"]
    lines += [
        f" slot{n} = slots{n}.get(customer)",
        f" if slot{n} is None or clock >= slot{n}.end:",
    ]
    if read.refers is not None:
        # While a figure runs its customer is there.
        space[f"entity{n}"] = read.refers
        lines += [f"  if get(entity{n}, customer) is None:", "   return None"]
    lines += [
        f"  slot{n} = open(meter{n}, customer, at, clock)",
        f"  if slot{n} is None:",
        "   return None",
        # In order, `at` is the clock itself. A late one may be of a period that is billed already.
        f" if at is not clock and at < slot{n}.since:",
        "  return None",
    ]
    if meter.aggregate == "count":
        lines += [
            f" if slot{n}.count + 1 >= slot{n}.high:",
            f"  slot, figure = slot{n}, slot{n}.count + 1",
        ]
        return [*lines, f"  return {beyond}"]
    if meter.field is None:
        lines.append(f" total{n} = slot{n}.total + 1")
    else:
        read = access(meter.field, space)
        lines.append(f" value = {read.source}")
        if not read.certain:
            lines += [" if type(value) is not int:", "  return None"]
        lines.append(f" total{n} = slot{n}.total + value")
    return [
        *lines,
        f" if not slot{n}.low <= total{n} < slot{n}.high:",
        f"  slot, figure = slot{n}, total{n}",
        f"  return {beyond}",
    ]


def of_dict(name: str, space: Space) -> Read:
    """Reads a payload that is a dict of anything."""
    own = f"name{len(space)}"
    space[own] = name
    return Read(f"data.get({own})", False)  # an event that is not declared says what it likes


def function(name: str, lines: list[str], space: Space) -> Callable[..., Any]:
    """A function with these lines as its body."""
    source = "\n".join([f"def {name}(data, at, clock):", *lines])
    exec(compile(source, f"<{name}>", "exec"), space)
    made: Callable[..., Any] = space[name]
    return made
