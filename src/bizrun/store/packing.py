"""Rows to columns and back, by functions made for each table.

No text of an author is in their source: names and codecs are values of their namespace.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC
from operator import itemgetter
from typing import Any

from ..values import instant_stamp
from .base import Row

Convert = Callable[[Any], Any] | None
Pack = Callable[[Row], tuple[Any, ...]]
Unpack = Callable[[Sequence[Any]], Row]


def packer(names: Sequence[str] | range, encoders: Sequence[Convert]) -> Pack:
    """What makes columns of a row, or of a tuple by its places; KeyError where a row lacks one."""
    pick = itemgetter(*names) if len(names) > 1 else lambda row: (row[names[0]],)
    values, space = _converted(encoders)
    pack: Pack = _made(f"{_targets(names)} = pick(given)", f"({', '.join(values)},)",
                       {"pick": pick, **space})  # fmt: skip
    return pack


def unpacker(names: Sequence[str], decoders: Sequence[Convert]) -> Unpack:
    """What makes a fresh row of columns."""
    values, space = _converted(decoders)
    pairs = ", ".join(f"n{place}: {value}" for place, value in enumerate(values))
    space |= {f"n{place}": name for place, name in enumerate(names)}
    unpack: Unpack = _made(f"{_targets(names)} = given", f"{{{pairs}}}", space)
    return unpack


def _made(unpacking: str, result: str, space: dict[str, Any]) -> Any:
    """`def made(given)`: takes apart what it is given and puts it together anew."""
    text = f"def made(given):\n {unpacking}\n return {result}"
    exec(compile(text, "<columns>", "exec"), space)
    return space["made"]


def _targets(names: Sequence[str] | range) -> str:
    return "".join(f"v{place}, " for place in range(len(names)))


def _converted(converts: Sequence[Convert]) -> tuple[list[str], dict[str, Any]]:
    """The expression for each value, and the converters that they call; none stays none."""
    values: list[str] = []
    space: dict[str, Any] = dict(_NAMES)
    for place, convert in enumerate(converts):
        if convert is None:
            values.append(f"v{place}")
        else:
            space[f"c{place}"] = convert
            known = _KNOWN.get(convert, "None if {v} is None else {c}({v})")
            values.append(known.format(v=f"v{place}", c=f"c{place}"))
    return values, space


# What is quicker said in place than by a call, by converter.
_KNOWN: dict[Convert, str] = {}
_NAMES: dict[str, Any] = {"T": instant_stamp, "U": UTC}


def in_place(convert: Convert, expression: str) -> None:
    """Says in place what a converter `{c}` makes of a value `{v}`, or of none.

    `T` writes an instant of the zone `U`.
    """
    _KNOWN[convert] = expression
