"""Tokens and sessions beside a state in PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from weakref import finalize

import psycopg

from ..errors import UsageError
from .database import Database
from .postgres import is_state, schema_of, use
from .postgres_address import place_of
from .postgres_failure import failure
from .postgres_link import Link, connected


class BesidePostgres:
    """A state in a schema: one session is kept, since a new one takes longer than a look."""

    table_end = ""

    def __init__(self, address: str) -> None:
        self._place = place_of(address)
        self.name = self._place.name
        self._lock = Lock()
        self._link: Link | None = None
        self._end: Callable[[], object] = lambda: None
        with self.opened():
            pass

    @contextmanager
    def opened(self) -> Iterator[Database]:
        """The session, of one thread at a time."""
        with self._lock:
            try:
                yield self._alive()
            except psycopg.Error as error:
                raise failure(self._place, error) from None

    def has(self, db: Database, table: str) -> bool:
        """Whether a table is there."""
        return db.execute("SELECT to_regclass(?)", (table,)).get is not None

    def _alive(self) -> Link:
        if self._link is not None:
            try:
                self._link.execute("SELECT 1")
                return self._link
            except psycopg.Error:
                self._end()
        # Whoever asks a server waits for this, and others with them.
        link = connected(self._place, "bizrun tokens", 3)
        link.execute("SELECT set_config('statement_timeout', '5s', false)")
        schema = schema_of(link, self._place)
        if not is_state(link, schema):
            link.close()
            raise UsageError(f"There is no state in the schema {schema} of {self.name}.")
        use(link, schema)
        self._link, self._end = link, finalize(self, link.close)
        return link
