"""From an address as a person gives it to an open store."""

from __future__ import annotations

import re

from ..errors import UsageError
from .base import Store
from .memory import MemoryStore

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


def open_store(address: str, fresh: bool = False, reading: bool = False) -> Store:
    """Opens `:memory:` or a state's file; `fresh` deletes what was there, if that was a state.

    Who is only `reading` shares the state with whoever writes to it, and sees one moment of it.
    """
    if address == ":memory:":
        return MemoryStore()
    if not address.strip():
        raise UsageError("the state has no name: give --state a file, or :memory:")
    if "\0" in address:
        raise UsageError("a file's name holds no NUL character")
    scheme = _SCHEME.match(address)
    if scheme and scheme[1].lower() in ("postgresql", "postgres"):
        raise UsageError(
            "a state in PostgreSQL is not there yet: give --state a file such as state.db"
        )
    if scheme:
        raise UsageError(f"{scheme[1]}:// is no kind of state: give --state a file, or :memory:")
    # Imported here: a run in memory needs no SQLite.
    if reading:
        from .reading import SqliteReader

        return SqliteReader(address)
    from .sqlite import SqliteStore

    return SqliteStore(address, fresh)
