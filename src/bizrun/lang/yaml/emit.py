"""Mappings, lists and texts as YAML: short ones on one line, quotes only where they are needed.

PyYAML can't write a key without a value in `{ account, amount: x }`, which is how a short entry of
a map stands in the YAML form; what is written here is read back by it.
"""

from __future__ import annotations

import re
from typing import Any

_WIDTH = 96
# Signs that mean something to YAML where a scalar begins with them.
_FIRST = re.compile(r"[\s!&*>|@`%#'\"{}\[\],:?]|-(?:\s|$)|---|\.\.\.(?:\s|$)|(?:~|null|<<|=)$")
_INSIDE = re.compile(r":(?:\s|$)|\s#|\s$|[\x00-\x08\x0b-\x1f\x7f-\x9f\ufeff\u2028\u2029]")
_FLOW = re.compile(r"[,\[\]{}]")


def emit(data: dict[str, Any]) -> str:
    """The text of a file, an empty line between its sections."""
    return "\n".join("\n".join(_pair(key, value, "", False)) + "\n" for key, value in data.items())


def _pair(key: str, value: Any, indent: str, flat: bool) -> list[str]:
    """The lines of a key and its value; `flat` where a short value may stand on the key's line."""
    head = f"{indent}{_scalar(key, flow=False)}:"
    match value:
        case None:
            return [head]
        case str():
            return _text(head, value, indent)
        case dict() | list():
            line = f"{head} {_flow(value)}"
            if not value or (flat and _simple(value) and len(line) <= _WIDTH):
                return [line]
            return [head, *_block(value, indent + "  ")]
    raise AssertionError(value)


def _block(value: Any, indent: str) -> list[str]:
    lines: list[str] = []
    if isinstance(value, dict):
        for key, item in value.items():
            lines += _pair(key, item, indent, True)
        return lines
    for item in value:
        lines += _item(item, indent)
    return lines


def _item(item: Any, indent: str) -> list[str]:
    """The lines of a list's item: those of a mapping begin on the dash's own."""
    if isinstance(item, str):
        return _text(f"{indent}-", item, indent)
    flow = f"{indent}- {_flow(item)}"
    if isinstance(item, list) or not item:
        return [flow]
    if len(item) > 1 and _simple(item) and len(flow) <= _WIDTH and _statement(item):
        return [flow]
    first, *rest = _block(item, indent + "  ")
    return [f"{indent}- {first.strip()}", *rest]


def _statement(item: dict[str, Any]) -> bool:
    """Whether a list's item reads well in braces: an arrow does, a statement does not."""
    return set(item) <= {"from", "to", "on", "after", "as"}


def _simple(value: Any) -> bool:
    """Whether a collection holds nothing but texts of one line."""
    items = value.values() if isinstance(value, dict) else value
    return all(item is None or (isinstance(item, str) and "\n" not in item) for item in items)


def _flow(value: Any) -> str:
    match value:
        case dict() if value:
            entries = [
                _scalar(key, flow=True) + ("" if item is None else f": {_flow(item)}")
                for key, item in value.items()
            ]
            return f"{{ {', '.join(entries)} }}"
        case dict():
            return "{}"
        case list():
            return f"[{', '.join(map(_flow, value))}]"
        case None:
            return "~"
    return _scalar(value, flow=True)


def _text(head: str, text: str, indent: str) -> list[str]:
    """A text behind its key or dash: of several lines as a block, where YAML can hold it so."""
    lines = text.split("\n")
    body = lines[:-1] if text.endswith("\n") else lines
    good = not any(_INSIDE.search(line.replace(": ", " ").replace(":", "").replace(" #", ""))
                   or line != line.rstrip() for line in body)  # fmt: skip
    if len(lines) > 1 and body and good and body[0] and body[0][0] != " " and body[-1]:
        chomp = "|" if text.endswith("\n") else "|-"
        return [f"{head} {chomp}", *(f"{indent}  {line}" if line else "" for line in body)]
    return [f"{head} {_scalar(text, flow=False)}"]


def _scalar(text: str, flow: bool) -> str:
    """A text without quotes where it reads back so, else with them."""
    if not text or "\n" in text or _FIRST.match(text) or _INSIDE.search(text):
        return _quoted(text)
    return _quoted(text) if flow and _FLOW.search(text) else text


def _quoted(text: str) -> str:
    if text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    return '"' + "".join(_ESCAPES.get(sign) or _escaped(sign) for sign in text) + '"'


_ESCAPES = {'"': r"\"", "\\": r"\\", "\n": r"\n", "\t": r"\t"}


def _escaped(sign: str) -> str:
    if sign.isprintable():
        return sign
    return f"\\u{ord(sign):04x}" if ord(sign) < 0x10000 else f"\\U{ord(sign):08x}"
