"""Who has signed in: sessions, kept as hashes beside the state's own tables, as tokens are."""

from __future__ import annotations

from datetime import datetime
from secrets import token_hex, token_urlsafe
from typing import NamedTuple

from ..values import instant_text
from .beside import beside
from .tokens import hash_of

PREFIX = "ses_"

_TABLE = """CREATE TABLE IF NOT EXISTS _session (
  hash TEXT PRIMARY KEY, id TEXT NOT NULL, entity TEXT NOT NULL, key TEXT NOT NULL,
  provider TEXT NOT NULL, began TEXT NOT NULL, expires TEXT NOT NULL)"""
_COLUMNS = "hash, id, entity, key, provider, began, expires"


class Session(NamedTuple):
    """Somebody's session: `hash` is the SHA-256 of what their browser has, in hex; `entity` and
    `key` say who, `provider` by which `sign_in`."""

    hash: str
    id: str
    entity: str
    key: str
    provider: str
    began: str
    expires: str


class SessionFile:
    """The sessions of a state, which must be there."""

    def __init__(self, address: str) -> None:
        self._state = beside(address)

    def new(
        self, entity: str, key: str, provider: str, began: datetime, expires: datetime
    ) -> tuple[Session, str]:
        """A new session, and the secret of its holder: it is kept nowhere. Old ones go."""
        secret = PREFIX + token_urlsafe(32)
        session = Session(
            hash_of(secret), f"ses_{token_hex(6)}", entity, key, provider,
            instant_text(began), instant_text(expires),
        )  # fmt: skip
        with self._state.opened() as db:
            db.execute(_TABLE + self._state.table_end)
            db.execute("DELETE FROM _session WHERE expires < ?", (instant_text(began),))
            db.execute(f"INSERT INTO _session ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)", session)
        return session, secret

    def find(self, hashed: str) -> Session | None:
        """The session of a hash."""
        with self._state.opened() as db:
            if not self._state.has(db, "_session"):
                return None
            rows = list(db.execute(f"SELECT {_COLUMNS} FROM _session WHERE hash = ?", (hashed,)))
        return Session(*rows[0]) if rows else None

    def end(self, hashed: str) -> None:
        """Ends a session."""
        with self._state.opened() as db:
            if self._state.has(db, "_session"):
                db.execute("DELETE FROM _session WHERE hash = ?", (hashed,))
