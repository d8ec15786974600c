"""From an address as a person gives it to an open store."""

from __future__ import annotations

import re
from pathlib import Path

from ..errors import UsageError, encodable
from .base import Store
from .memory import MemoryStore
from .postgres_address import MISSING, is_postgres

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


def open_store(address: str, fresh: bool = False, reading: bool = False) -> Store:
    """Opens `:memory:`, a file or a schema of PostgreSQL; `fresh` deletes what was there, if that
    was a state.

    Who is only `reading` shares the state with whoever writes to it, and sees one moment of it.
    """
    if address == ":memory:":
        return MemoryStore()
    if not address.strip():
        raise UsageError("the state has no name: give --state a file, or :memory:")
    if "\0" in address:
        raise UsageError("a file's name holds no NUL character")
    if not encodable(address):  # SQLite knows files by UTF-8 alone
        raise UsageError(
            f"the name {address} is no UTF-8 in this locale: give --state another file, or take a "
            "locale such as C.UTF-8"
        )
    if is_postgres(address):
        # Imported here: who has no state in PostgreSQL needs nothing of it.
        try:
            from .postgres import PostgresReader, PostgresStore
        except ImportError:
            raise UsageError(MISSING) from None
        return PostgresReader(address) if reading else PostgresStore(address, fresh)
    scheme = _SCHEME.match(address)
    if scheme:
        raise UsageError(
            f"{scheme[1]}:// is no kind of state: give --state a file, postgresql://…, or :memory:"
        )
    # Imported here: a run in memory needs no SQLite.
    if reading:
        from .reading import SqliteReader

        return SqliteReader(address)
    from .sqlite import SqliteStore

    return SqliteStore(address, fresh)


def is_there(address: str) -> bool:
    """Whether there is a state, or anything else, by that name."""
    if is_postgres(address):
        try:
            from .postgres import there
        except ImportError:
            raise UsageError(MISSING) from None
        return there(address)
    return "://" in address or Path(address).exists()
