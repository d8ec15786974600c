"""Addresses of mail as a header lists them: `ada@example.com, "Doe, Bob" <bob@example.com>`."""

from __future__ import annotations

import re

MAX_FIELD = 20_000
MAX_ADDRESS = 320
_ADDRESS = re.compile(
    r"[^\s@<>,;:\"\\()\[\]\x00-\x1f\x7f]+@([^\s@<>,;:\"\\()\[\]\x00-\x1f\x7f]+)\Z"
)
_LABEL = re.compile(r"[^\W_](?:[\w-]*[^\W_])?\Z")
# The most usual form by itself, which needs no closer look.
_USUAL = re.compile(r"[A-Za-z0-9._+-]+@(?:[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*\.)+[A-Za-z0-9]+")
_NAMED = re.compile(r'(?:"(?:[^"\\\r\n]|\\[^\r\n])*"|[^<>"@\r\n])*<([^<>]+)>\Z')
_PARTS = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[^",])+')


def mailboxes(text: str) -> list[str]:
    """The addresses of a field, without their names; ValueError where one is none."""
    if len(text) > MAX_FIELD:
        raise ValueError("the field is too long")
    parts = [part.strip() for part in _PARTS.findall(text)]
    if not parts or text.count(",") < len(parts) - 1:
        raise ValueError("nobody is named")
    return [_address(part) for part in parts if part]


def _address(part: str) -> str:
    named = _NAMED.match(part)
    found = named[1].strip() if named else part
    fits = _ADDRESS.match(found)
    labels = fits[1].split(".") if fits else []
    if len(found) > MAX_ADDRESS or not labels or not all(_LABEL.match(x) for x in labels):
        raise ValueError(f"`{part[:80]}` is no address")
    return found


def valid(value: object) -> bool:
    """Whether mail could be sent there; a dot is asked of a domain, since no top one takes mail."""
    if not isinstance(value, str):
        return False
    if len(value) <= MAX_ADDRESS and _USUAL.fullmatch(value):
        return True
    try:
        found = mailboxes(value)
    except ValueError:
        return False
    return bool(found) and all("." in address.rpartition("@")[2] for address in found)
