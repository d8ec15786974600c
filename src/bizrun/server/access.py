"""Who asks: tokens, what they allow, and how often each may ask."""

from __future__ import annotations

import hmac
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from ..store.tokens import Token, hash_of
from .problems import Problem, challenge

REFRESH_SECONDS = 1
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, by a token or, without authentication, by what the request says."""

    scopes: frozenset[str]
    customer: str | None = None
    role: str | None = None
    token: str = ""

    def may(self, scope: str) -> bool:
        """Whether a scope is granted; admin grants all."""
        return scope in self.scopes or "admin" in self.scopes


class Source(Protocol):
    """Where tokens are kept."""

    def all(self) -> list[Token]:
        """Every token."""


@dataclass(slots=True)
class Bucket:
    """How many requests a token has left: `rate` more each second, at most that many."""

    rate: int
    left: int
    at: int = field(default_factory=time.monotonic_ns)

    def take(self) -> int:
        """Takes one; how many seconds to wait where none is left, else 0."""
        now = time.monotonic_ns()
        grown = (now - self.at) * self.rate // 1_000_000_000
        if grown:
            self.left = min(self.rate, self.left + grown)
            self.at = now
        if self.left < 1:
            return 1
        self.left -= 1
        return 0


class Access:
    """Tells callers apart. `source` None: no authentication, on a loopback address only."""

    def __init__(self, source: Source | None, rate: int) -> None:
        self._source = source
        self._rate = rate
        self._tokens: dict[str, Token] = {}
        self._buckets: dict[str, Bucket] = {}
        self._read = 0
        if source is not None:
            self._refresh()

    def caller(self, headers: Mapping[bytes, bytes], scope: str | None) -> Caller:
        """Who sends a request; a Problem (401, 403, 429) where it isn't allowed."""
        caller = self._open(headers) if self._source is None else self._known(headers)
        wait = self._bucket(caller.token).take()
        if wait:
            raise Problem(429, f"More than {self._rate:,} requests a second: wait a moment.", wait)
        if scope is not None and not caller.may(scope):
            granted = ", ".join(sorted(caller.scopes))
            text = f"This needs the scope {scope}; the token has {granted}."
            raise Problem(403, text, headers=[challenge("insufficient_scope", scope)])
        return caller

    def _open(self, headers: Mapping[bytes, bytes]) -> Caller:
        """Without authentication: a page of another site must not reach a local server."""
        host = headers.get(b"host", b"").decode("ascii", "replace").lower()
        name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
        if name and name not in LOOPBACK:
            raise Problem(403, f"Without authentication only localhost is served, not {name[:80]}.")
        origin = headers.get(b"origin", b"").decode("ascii", "replace").lower()
        if origin and origin.partition("://")[2] != host:
            raise Problem(403, f"Without authentication pages of {origin[:80]} can't ask.")
        customer = headers.get(b"bizrun-customer")
        role = headers.get(b"bizrun-role")
        return Caller(
            frozenset(("admin",)),
            customer.decode("utf-8", "replace") if customer else None,
            role.decode("utf-8", "replace") if role else None,
        )

    def _known(self, headers: Mapping[bytes, bytes]) -> Caller:
        scheme, _, secret = headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() != b"bearer" or not secret.strip():
            raise Problem(401, "A token is needed: send it as `Authorization: Bearer …`.")
        hashed = hash_of(secret.strip().decode("utf-8", "surrogateescape"))
        if time.monotonic() > self._read + REFRESH_SECONDS or hashed not in self._tokens:
            self._refresh()
        token = self._tokens.get(hashed)
        if token is None or not hmac.compare_digest(token.hash, hashed):
            text = "The token is not known here, or was revoked."
            raise Problem(401, text, headers=[challenge("invalid_token")])
        return Caller(token.scopes, token.customer, token.role, token.id)

    def _refresh(self) -> None:
        assert self._source is not None
        self._read = int(time.monotonic())
        found = self._source.all()
        self._tokens = {token.hash: token for token in found if token.revoked is None}

    def _bucket(self, token: str) -> Bucket:
        bucket = self._buckets.get(token)
        if bucket is None:
            bucket = self._buckets[token] = Bucket(self._rate, self._rate)
        return bucket
