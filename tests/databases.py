"""A state as any SQL tool opens it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path


@contextmanager
def opened(path: str | Path) -> Iterator[sqlite3.Connection]:
    """A connection that commits what was done, and is closed: Python's own leaves it open."""
    with closing(sqlite3.connect(path)) as db, db:
        yield db
