"""Who asks: tokens, what they allow, and how often each may ask."""

from __future__ import annotations

import hmac
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.cookies import CookieError, SimpleCookie
from typing import Protocol

from ..store.sessions import PREFIX as SESSION
from ..store.sessions import Session, SessionFile
from ..store.tokens import Token, hash_of
from ..values import instant
from .problems import Problem, challenge

REFRESH_SECONDS = 1
SESSION_COOKIE = "__Host-bizrun-session"
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, by a token or, without authentication, by what the request says."""

    scopes: frozenset[str]
    customer: str | None = None
    role: str | None = None
    token: str = ""
    session: Session | None = None

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

    def __init__(
        self, source: Source | None, rate: int, sessions: SessionFile | None = None
    ) -> None:
        self._source = source
        self.sessions = sessions
        self._rate = rate
        self._tokens: dict[str, Token] = {}
        self._buckets: dict[str, Bucket] = {}
        self._read = 0
        if source is not None:
            self._refresh()

    def stranger(self, headers: Mapping[bytes, bytes]) -> None:
        """Takes a request of somebody who has no token yet; a Problem where there are too many."""
        if self._source is None:
            self._open(headers)
        self._take("sign-in")

    def caller(
        self, headers: Mapping[bytes, bytes], scope: str | None, method: str = "GET"
    ) -> Caller:
        """Who sends a request; a Problem (401, 403, 429) where it isn't allowed.

        Without a token it may be a browser that has signed in: then `method` tells whether a page
        from elsewhere could do harm.
        """
        caller = self._open(headers) if self._source is None else self._known(headers, method)
        self._take(caller.token)
        return caller if scope is None else self.granted(caller, scope)

    def granted(self, caller: Caller, scope: str) -> Caller:
        """A caller who has a scope; a Problem (403) where it was not granted."""
        if not caller.may(scope):
            granted = ", ".join(sorted(caller.scopes))
            text = f"This needs the scope {scope}; the token has {granted}."
            raise Problem(403, text, headers=[challenge("insufficient_scope", scope)])
        return caller

    def _take(self, token: str) -> None:
        wait = self._bucket(token).take()
        if wait:
            # RateLimit header fields for HTTP (draft-ietf-httpapi-ratelimit-headers).
            said = [(b"ratelimit-policy", b'"token";q=%d;w=1' % self._rate),
                    (b"ratelimit", b'"token";r=0;t=%d' % wait)]  # fmt: skip
            text = f"More than {self._rate:,} requests a second: wait a moment."
            raise Problem(429, text, wait, headers=said)

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

    def _known(self, headers: Mapping[bytes, bytes], method: str) -> Caller:
        given = headers.get(b"authorization")
        brought = cookies(headers).get(SESSION_COOKIE) if given is None else None
        if brought is not None:
            _check_page(headers, method)
            return self._signed_in(brought)
        scheme, _, secret = (given or b"").partition(b" ")
        if scheme.lower() != b"bearer" or not secret.strip():
            raise Problem(401, "A token is needed: send it as `Authorization: Bearer …`.")
        text = secret.strip().decode("utf-8", "surrogateescape")
        if text.startswith(SESSION):
            return self._signed_in(text)
        hashed = hash_of(text)
        if time.monotonic() > self._read + REFRESH_SECONDS or hashed not in self._tokens:
            self._refresh()
        token = self._tokens.get(hashed)
        if token is None or not hmac.compare_digest(token.hash, hashed):
            text = "The token is not known here, or was revoked."
            raise Problem(401, text, headers=[challenge("invalid_token")])
        return Caller(token.scopes, token.customer, token.role, token.id)

    def _signed_in(self, secret: str) -> Caller:
        """Who has signed in; what they may is told by their row, when it is asked."""
        hashed = hash_of(secret)
        found = self.sessions.find(hashed) if self.sessions is not None else None
        if found is None or not hmac.compare_digest(found.hash, hashed):
            raise Problem(401, "This session has ended: sign in again.")
        if instant(found.expires) <= datetime.now(UTC):
            raise Problem(401, "This session has expired: sign in again.")
        return Caller(frozenset(("session",)), None, None, found.id, found)

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


def cookies(headers: Mapping[bytes, bytes]) -> dict[str, str]:
    """The cookies of a request."""
    found: SimpleCookie = SimpleCookie()
    try:
        found.load(headers.get(b"cookie", b"").decode("latin-1"))
    except CookieError:
        return {}
    return {name: morsel.value for name, morsel in found.items()}


def _check_page(headers: Mapping[bytes, bytes], method: str) -> None:
    """A browser sends its cookie whoever's page asks: only our own may change something."""
    if method in ("GET", "HEAD"):
        return
    host = headers.get(b"host", b"").decode("latin-1").lower()
    origin = headers.get(b"origin", b"").decode("latin-1").lower()
    same = origin.partition("://")[2] == host if origin else (
        headers.get(b"sec-fetch-site") == b"same-origin"
    )  # fmt: skip
    if not same:
        raise Problem(403, "Only a page of this server can do that by its cookie.")
