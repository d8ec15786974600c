"""Why an expectation did not hold: the values of its parts, and what was there instead."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..diagnostics import Span
from ..errors import BizError
from ..lang import ast
from ..values import literal, show
from .happenings import Happening, Happenings, counted, describe, missing, short, wanted

MAX_SHOWN = 8
MAX_TEXT = 60
_COMPARISONS = ("==", "!=", "<", "<=", ">", ">=", "in", "not in", "can")
_UNNAMED = (ast.Literal, ast.ListLiteral, ast.MapLiteral)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an expectation and its value as written; `offset` is where to point in the file."""

    offset: int
    source: str
    value: str


@dataclass(frozen=True, slots=True)
class Failure:
    """An expectation that did not hold, or a statement that could not be done."""

    span: Span
    message: str
    details: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """What a test can tell of an expression: its value, that value as written, its source."""

    value: Callable[[ast.Expr], Any]
    text: Callable[[ast.Expr], str]
    source: Callable[[ast.Node], str]


def false_condition(
    stmt: ast.ExpectTrue,
    found: Any,
    asked: Asked,
    happenings: Happenings,
) -> Failure:
    """A condition that is not true: both sides, and each part's value."""
    broken = str(found) if isinstance(found, BizError) else None
    parts: list[Part] = []
    for node, offset in _parts(stmt.value):
        text, shown = asked.source(node), _shown(node, asked)
        if shown is None:
            continue
        if isinstance(node, ast.Field) and isinstance(node.base, ast.Call) and broken == shown:
            # What it was read from tells more than that it can't be read.
            base = node.base
            text, shown, offset = asked.source(base), _shown(base, asked) or "", base.span.start
        if shown.strip('"') != text:
            parts.append(Part(offset, text, shown))
    details = tuple(_failed(happenings))
    sides = _long_sides(stmt.value, asked) if broken is None else None
    if sides is not None:
        return Failure(stmt.span, "the two sides differ", (*sides, *details))
    message = broken or _sentence(stmt.value, found, asked)
    return Failure(stmt.span, message, details, tuple(parts))


def _long_sides(node: ast.Expr, asked: Asked) -> tuple[str, str] | None:
    """Both sides of an equality, from shortly before they differ, where they are long texts."""
    if not (isinstance(node, ast.Binary) and node.op == "=="):
        return None
    try:
        left, right = literal(asked.value(node.left)), literal(asked.value(node.right))
    except BizError:
        return None
    if max(len(left), len(right)) <= MAX_TEXT:
        return None
    same = next((n for n, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), 0)
    start = max(0, same - MAX_TEXT // 2)
    cut = slice(start, start + 2 * MAX_TEXT)
    dots = "…" if start else ""
    shown = [f"{dots}{side[cut]}" for side in (left, right)]
    return f"found     {shown[0]}", f"expected  {shown[1]}"


def _sentence(node: ast.Expr, found: Any, asked: Asked) -> str:
    match node:
        case ast.Binary(op="and", left=left, right=right):
            part = right if _is_true(left, asked) else left
            return _sentence(part, found, asked)
        case ast.Binary(op=op, left=left, right=right) if op in _COMPARISONS:
            a, b = (_shown(side, asked) or asked.source(side) for side in (left, right))
            if op == "==":
                return f"expected {b}, found {a}"
            return f"{a} {op} {b} is false"
    if found is not False:
        return f"`{asked.source(node)}` is {short(found)}, not true"
    return f"`{asked.source(node)}` is false"


def _is_true(node: ast.Expr, asked: Asked) -> bool:
    try:
        return asked.value(node) is True
    except BizError:
        return False


def _shown(node: ast.Expr, asked: Asked) -> str | None:
    """A part's value as written; what went wrong where it has none."""
    try:
        return asked.text(node)
    except BizError as error:
        return str(error)


def _parts(node: ast.Expr) -> list[tuple[ast.Expr, int]]:
    """The parts of a condition whose values tell why it is false, and where to point for each."""
    match node:
        case ast.Binary(op=op, left=left, right=right, op_span=op_span):
            inner = _parts(left) + _parts(right)
            plain = op in _COMPARISONS or op in ("and", "or")
            return inner if plain else [*inner, (node, op_span.start)]
        case ast.Unary(op="not", operand=operand):
            return _parts(operand)
        case ast.Unary():
            return [(node, node.span.start)]
        case ast.Field(base=base, name_span=name_span):
            outer = _parts(base) if not isinstance(base, ast.Name | ast.Call) else []
            return [*outer, (node, name_span.start)]
        case ast.Index(base=base, index=index):
            return [*_parts(base), *_parts(index), (node, index.span.start)]
        case ast.Call(args=args):
            return [(node, node.span.start), *(part for arg in args for part in _parts(arg))]
        case ast.IfExpr(condition=condition):
            return [(node, node.span.start), *_parts(condition)]
        case _ if isinstance(node, _UNNAMED):
            return []
        case ast.Text(parts=parts) if all(isinstance(part, str) for part in parts):
            return []
    return [(node, node.span.start)]


# --- effects -----------------------------------------------------------------------------------


def wrong_count(
    stmt: ast.ExpectEffect,
    wants: Mapping[str, Any],
    target: str | None,
    matching: list[Happening],
    happenings: Happenings,
    since: str,
) -> Failure:
    """Too few or too many of something: what there was, and what kept it from being there."""
    candidates = happenings.of(stmt, target)
    message = f"expected {wanted(stmt)}{_such(wants)}, found {len(matching) or 'none'}"
    if len(matching) > (stmt.count or 0):
        details = _listed(matching, wants)
    elif candidates:
        summary = f"{counted(len(candidates), stmt)} {since}{_misses(candidates, matching, wants)}:"
        details = [summary, *_listed(candidates, wants)]
    else:
        details = [f"{counted(0, stmt)} {since}"]
    if len(matching) < (stmt.count if stmt.count is not None else 1):
        details += _earlier(stmt, wants, target, happenings)
        details += _failed(happenings)
    return Failure(stmt.span, message, tuple(details))


def _such(wants: Mapping[str, Any]) -> str:
    return " like that" if wants else ""


def _misses(
    candidates: list[Happening], matching: list[Happening], wants: Mapping[str, Any]
) -> str:
    """`, none with to: "ada@example.com"`: what no candidate has."""
    if matching or not wants:
        return ""
    absent = missing(candidates, wants)
    if absent:
        return f", none with {' or '.join(absent)}"
    return ", none with all of these at once"


def _listed(found: list[Happening], wants: Mapping[str, Any]) -> list[str]:
    lines = [f"  {describe(happening, wants)}" for happening in found[:MAX_SHOWN]]
    if len(found) > MAX_SHOWN:
        lines.append(f"  and {len(found) - MAX_SHOWN:,} more")
    return lines


def _earlier(
    stmt: ast.ExpectEffect, wants: Mapping[str, Any], target: str | None, happenings: Happenings
) -> list[str]:
    """A hint where it did happen, but before the stretch that `expect` looks at."""
    from .happenings import fits

    before = [happening for happening in happenings.before(stmt, target) if fits(happening, wants)]
    if not before:
        return []
    when = show(before[-1].at) if before[-1].at is not None else "earlier"
    return [f"{counted(len(before), stmt)}{_such(wants)} before that, the newest at {when}"]


def _failed(happenings: Happenings) -> list[str]:
    """What failed or was refused in that stretch, which may be why."""
    return [
        f"{row['status']}: {row['reason']}" + (f"  ({row['place']})" if row["place"] else "")
        for row in happenings.refused(since_begin=True)[-3:]
    ]


def wrong_reply(stmt: ast.ExpectEffect, reply: Any, wants: Mapping[str, Any]) -> Failure:
    """A reply that lacks some of what was wanted: field by field."""
    from .happenings import same

    if not isinstance(reply, Mapping):
        return Failure(stmt.span, f"expected a reply with fields, found {short(reply)}")
    details = [
        f"{name}: expected {short(value)}, found {short(reply.get(name))}"
        for name, value in wants.items()
        if not same(reply.get(name), value)
    ]
    return Failure(stmt.span, f"the reply is {literal(reply)}", tuple(details))
