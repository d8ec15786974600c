"""Rows under their names, as text: all columns into a pipe, on a terminal those that fit."""

from __future__ import annotations

import re
import shutil
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..values import show

CELL = 40
GAP = 2
PIPE = 10_000  # columns where no terminal says how wide it is
_GENERATED = re.compile(r"[a-z]+_[0-9a-f]{21}\Z")  # runtime/ids.py
_FIGURE = re.compile(r"-?[\d,]*\.?\d+(%| [A-Z]{3})\Z")
_STAMPS = ("created_at", "updated_at")


@dataclass(frozen=True, slots=True)
class _Column:
    """A column as it is printed: `same` where each of several rows has its one value."""

    name: str
    cells: tuple[str, ...]
    wide: int
    right: bool
    same: bool
    generated: bool


def table(
    names: Sequence[str], rows: Sequence[Mapping[str, Any]], whole: bool = False, cut: str = ""
) -> str:
    """Rows under their names; numbers and money to the right.

    On a terminal that is too narrow a `whole` table goes on below, each part with the first column;
    any other leaves out what tells least and says so. The column `cut` has a third of it at least,
    and is made to fit.
    """
    room = room_of_output()
    columns = [_column(name, [row.get(name) for row in rows]) for name in names]
    if _width(columns) <= room:
        return _lines(columns)
    if whole:
        return "\n".join(_lines(part) for part in _parts(columns, room))
    kept = next((min(c.wide, room // 3) + GAP for c in columns if c.name == cut), 0)
    chosen = _chosen([column for column in columns if column.name != cut], room - kept)
    chosen += [_cut(c, room - _width(chosen) - GAP) for c in columns if c.name == cut]
    shown = {column.name for column in chosen}
    left = [column for column in columns if column.name not in shown]
    return _lines(chosen) + _left_out(left, room)


def room_of_output() -> int:
    """How many columns of characters standard output has."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else PIPE


def note(text: str) -> str:
    """A sentence below a table, broken between words where the terminal ends."""
    from .render import colours, paint

    colour = colours(sys.stdout)
    lines = textwrap.wrap(text, room_of_output(), break_long_words=False, break_on_hyphens=False)
    return "".join(f"{paint(line, 'dim', colour)}\n" for line in lines)


def cell(value: Any) -> str:
    """A value as text, on one line; nothing for none."""
    if value is None:
        return ""
    if isinstance(value, list | dict):
        from .query import json_text

        return json_text(value, indent=0)
    return show(value)


# --- columns -------------------------------------------------------------------------------------


def _column(name: str, values: Sequence[Any]) -> _Column:
    from .render import printable, width

    cells = tuple(_short(printable(cell(value)).replace("\n", " ")) for value in values)
    there = {text for text in cells if text}
    return _Column(
        name, cells, max(map(width, (name, *cells))), _right(values),
        same=len(cells) > 1 and len(set(cells)) == 1,
        generated=bool(there) and all(map(_GENERATED.match, there)),
    )  # fmt: skip


def _short(text: str, most: int = CELL) -> str:
    from .render import width

    if width(text) <= most:
        return text
    kept = text[: most - 1]
    while width(kept) >= most:
        kept = kept[:-1]
    return f"{kept}…"


def _right(values: Sequence[Any]) -> bool:
    """Whether a column is of numbers, money or percentages."""
    there = [value for value in values if value is not None]
    return bool(there) and all(
        not isinstance(value, bool) if not isinstance(value, str) else _FIGURE.match(value)
        for value in there
    )


def _width(columns: Iterable[_Column]) -> int:
    return sum(column.wide + GAP for column in columns) - GAP


def _chosen(columns: Sequence[_Column], room: int) -> list[_Column]:
    """What fits of the columns, those first that tell rows apart; in their order."""
    numbered = any(column.name == "number" for column in columns)
    ranked = sorted(columns, key=lambda column: _rank(column, numbered))
    found: list[_Column] = []
    for column in ranked:
        if not found or _width([*found, column]) <= room:
            found.append(column)
    return sorted(found, key=columns.index)


def _rank(column: _Column, numbered: bool) -> int:
    if column.same:
        return 3
    own = column.name == "id" and not numbered
    return 2 if column.generated and not own else int(column.name in _STAMPS)


def _cut(column: _Column, room: int) -> _Column:
    from .render import width

    most = max(room, 8)
    cells = tuple(_short(text, most) for text in column.cells)
    wide = max(width(text) for text in (column.name, *cells))
    return _Column(column.name, cells, wide, column.right, column.same, column.generated)


def _parts(columns: Sequence[_Column], room: int) -> list[list[_Column]]:
    """The columns in parts that fit, each with the first of them."""
    first, *rest = columns
    parts = [[first]]
    for column in rest:
        if len(parts[-1]) > 1 and _width([*parts[-1], column]) > room:
            parts.append([first])
        parts[-1].append(column)
    return parts


# --- lines ---------------------------------------------------------------------------------------


def _lines(columns: Sequence[_Column]) -> str:
    from .render import colours, paint

    head = paint(_line(columns, [c.name for c in columns]), "bold", colours(sys.stdout))
    rows = zip(*(column.cells for column in columns), strict=True)
    return "".join(f"{line}\n" for line in (head, *(_line(columns, row) for row in rows)))


def _line(columns: Sequence[_Column], texts: Sequence[str]) -> str:
    from .render import width

    padded = []
    for column, text in zip(columns, texts, strict=True):
        blank = " " * (column.wide - width(text))
        padded.append(blank + text if column.right else text + blank)
    return (" " * GAP).join(padded).rstrip()


def _left_out(columns: Sequence[_Column], room: int) -> str:
    same = [f"{c.name} {c.cells[0]}".rstrip() for c in columns if c.same]
    others = [c.name for c in columns if not c.same]
    return (note(f"in each row: {', '.join(same)}") if same else "") + (
        note(f"not shown: {', '.join(others)} (--json)") if others else ""
    )
