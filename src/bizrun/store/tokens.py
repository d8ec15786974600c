"""Who may ask the server for what: tokens, kept as hashes beside the state's own tables.

`bizrun token` writes them, also while a server holds the state: see `beside`.
"""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256
from secrets import token_hex, token_urlsafe
from typing import NamedTuple

from ..values import instant_text
from .beside import beside

PREFIX = "biz_"
SCOPES = ("ingest", "read", "scim", "admin")

_TABLE = """CREATE TABLE IF NOT EXISTS _token (
  id TEXT PRIMARY KEY, hash TEXT NOT NULL UNIQUE, scopes TEXT NOT NULL, customer TEXT, role TEXT,
  created TEXT NOT NULL, revoked TEXT)"""
_COLUMNS = "id, hash, scopes, customer, role, created, revoked"


class Token(NamedTuple):
    """A token as it is kept: `hash` is the SHA-256 of what its holder has, in hex."""

    id: str
    hash: str
    scopes: frozenset[str]
    customer: str | None
    role: str | None
    created: str
    revoked: str | None


def hash_of(secret: str) -> str:
    """What is kept of a token. It has 256 random bits, so that a plain hash is enough."""
    return sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


class TokenFile:
    """The tokens of a state, which must be there."""

    def __init__(self, address: str) -> None:
        self._state = beside(address)
        self.name = self._state.name

    def new(
        self, scopes: frozenset[str], customer: str | None, role: str | None, now: datetime
    ) -> tuple[Token, str]:
        """A new token, and the secret that its holder gets: it is kept nowhere."""
        secret = PREFIX + token_urlsafe(32)
        token = Token(
            f"tok_{token_hex(6)}", hash_of(secret), scopes, customer, role, instant_text(now), None
        )
        with self._state.opened() as db:
            db.execute(_TABLE + self._state.table_end)
            db.execute(
                f"INSERT INTO _token ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (*token[:2], ",".join(sorted(scopes)), *token[3:]),
            )
        return token, secret

    def all(self) -> list[Token]:
        """Every token, the oldest first; revoked ones too."""
        with self._state.opened() as db:
            if not self._state.has(db, "_token"):
                return []
            rows = list(db.execute(f"SELECT {_COLUMNS} FROM _token ORDER BY created, id"))
        return [Token(row[0], row[1], frozenset(row[2].split(",")), *row[3:]) for row in rows]

    def revoke(self, id: str, now: datetime) -> None:
        """Lets a token that is there be good for nothing from now on."""
        with self._state.opened() as db:
            db.execute(
                "UPDATE _token SET revoked = coalesce(revoked, ?) WHERE id = ?",
                (instant_text(now), id),
            )
