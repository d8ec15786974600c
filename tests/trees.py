"""How a tree of the language prints in golden files and assertions."""

from __future__ import annotations

from typing import Any

from bizrun.diagnostics import Span
from bizrun.lang import ast


def dump(value: Any, spans: bool = True) -> Any:
    """A tree as plain JSON: `node` first, then its fields; what is empty is left out."""
    match value:
        case ast.Node():
            result: dict[str, Any] = {"node": type(value).__name__}
            for name in value.__struct_fields__:
                item = getattr(value, name)
                if item in (None, (), False) or (isinstance(item, Span) and not spans):
                    continue
                result[name] = dump(item, spans)
            return result
        case Span():
            return f"{value.start}-{value.end}"
        case tuple():
            items = value if spans else [item for item in value if not isinstance(item, Span)]
            return [dump(item, spans) for item in items]
        case None | bool() | str():
            return value
    return repr(value)


def short(value: Any) -> str:
    """An expression with all its brackets, for comparing precedence at a glance."""
    match value:
        case ast.Binary():
            return f"({short(value.left)} {value.op} {short(value.right)})"
        case ast.Unary():
            return f"({value.op} {short(value.operand)})"
        case ast.Name():
            return value.name
        case ast.RowField():
            return f".{value.name}"
        case ast.Field():
            return f"{short(value.base)}{'?.' if value.optional else '.'}{value.name}"
        case ast.Call():
            return f"{short(value.callee)}({', '.join(map(short, value.args))})"
        case ast.Literal():
            return str(value.value)
        case ast.First():
            return f"first[{short(value.query)}]"
        case ast.Query():
            parts = [short(value.source)]
            parts += ["where " + short(value.where)] if value.where else []
            parts += (
                ["order " + ",".join(short(o.value) for o in value.order)] if value.order else []
            )
            parts += ["limit " + short(value.limit)] if value.limit else []
            return f"[{' '.join(parts)}]"
        case ast.IfExpr():
            parts = [short(part) for part in (value.condition, value.then, value.otherwise)]
            return f"(if {parts[0]} then {parts[1]} else {parts[2]})"
        case ast.Text():
            return repr(value.plain)
    return type(value).__name__
