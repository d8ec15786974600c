"""OpenID Connect as its relying party: discovery, the code's exchange, and what an ID token proves.

Rules of OpenID Connect Core 1.0 (3.1.3.7) and Discovery 1.0 (4.3), PKCE (RFC 7636), the issuer in
the answer (RFC 9207), and the security practice of RFC 9700. Signatures are joserfc's.
"""

from __future__ import annotations

import hmac
import time
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any
from urllib.parse import quote_plus, urlencode

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry

from .addresses import Refused
from .base import MaybeSent, NotSent
from .egress import Egress, Reply
from .secrets import HIDDEN, Secret
from .wire import decode

# What signs with a key that only its owner has: never `none`, never a shared secret, which
# whoever can check a token could also make one with.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
SKEW_SECONDS = 60
KEPT_SECONDS = 3_600
# An unknown key may be a new one; asking for it again and again is what an attacker would like.
REFRESH_SECONDS = 10
MAX_TOKEN = 20_000
MOST_KNOWN = 1_000  # issuers: a tenant may name any
MAX_ANSWER = 1_000_000
TIMEOUT = 10


class SignInRefused(Exception):
    """Somebody is not let in; the sentence says why, and holds nothing that is secret."""


@dataclass(frozen=True, slots=True)
class Client:
    """What a provider knows this server as; `secret` None for a public client, which PKCE alone
    protects. `private` allows loopback and private addresses, and http."""

    issuer: str
    client_id: str
    secret: Secret | None
    redirect_uri: str
    scopes: str
    private: bool = False


@dataclass(frozen=True, slots=True)
class Attempt:
    """A sign-in under way: what its answer has to fit."""

    client: Client
    state: str
    nonce: str
    verifier: str
    began: datetime


@dataclass(slots=True)
class _Known:
    """What is known of an issuer: its metadata, its keys, and when each was read."""

    metadata: dict[str, Any]
    at: int
    keys: list[Any] = field(default_factory=list)
    keys_at: int | None = None


class OpenId:
    """Talks to providers, and remembers for an hour what they say of themselves."""

    def __init__(self, egress: Egress) -> None:
        self._egress = egress
        self._known: dict[str, _Known] = {}

    # --- the way there -------------------------------------------------------------------------

    def address(self, attempt: Attempt, hint: str | None) -> str:
        """Where somebody is sent to sign in."""
        client = attempt.client
        challenge = urlsafe_b64encode(sha256(attempt.verifier.encode()).digest()).rstrip(b"=")
        query = {
            "response_type": "code", "client_id": client.client_id, "scope": client.scopes,
            "redirect_uri": client.redirect_uri, "state": attempt.state, "nonce": attempt.nonce,
            "code_challenge": challenge.decode(), "code_challenge_method": "S256",
            **({"login_hint": hint} if hint else {}),
        }  # fmt: skip
        endpoint = self._endpoint(client, "authorization_endpoint")
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}"

    # --- and back ------------------------------------------------------------------------------

    def claims(self, attempt: Attempt, answer: Mapping[str, str], now: datetime) -> dict[str, Any]:
        """Who has signed in, by the answer that a browser has brought; SignInRefused where it
        proves nothing."""
        self._check_answer(attempt, answer)
        token = self._exchange(attempt, answer["code"])
        claims = self._verified(attempt.client, token)
        _check_claims(attempt, claims, now)
        return claims

    def _check_answer(self, attempt: Attempt, answer: Mapping[str, str]) -> None:
        client = attempt.client
        metadata = self._metadata(client).metadata
        issuer = answer.get("iss")
        wanted = metadata.get("authorization_response_iss_parameter_supported") is True
        if (issuer is not None or wanted) and issuer != client.issuer:
            raise SignInRefused("The answer comes from another provider than was asked.")
        if "error" in answer:
            raise SignInRefused(f"The provider did not sign you in: {_word(answer['error'])}.")
        if not answer.get("code"):
            raise SignInRefused("The provider's answer has no code.")

    def _exchange(self, attempt: Attempt, code: str) -> str:
        """The ID token that a code is worth, once (OpenID Connect Core, 3.1.3)."""
        client = attempt.client
        form = {
            "grant_type": "authorization_code", "code": code,
            "redirect_uri": client.redirect_uri, "code_verifier": attempt.verifier,
            "client_id": client.client_id,
        }  # fmt: skip
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "application/json",
        }
        if client.secret is not None:
            ways = self._metadata(client).metadata.get("token_endpoint_auth_methods_supported")
            if isinstance(ways, list) and "client_secret_basic" not in ways:
                form["client_secret"] = client.secret.reveal()
            else:
                login = f"{quote_plus(client.client_id)}:{quote_plus(client.secret.reveal())}"
                headers["Authorization"] = f"Basic {b64encode(login.encode()).decode()}"
        endpoint = self._endpoint(client, "token_endpoint")
        reply = self._send(client, "POST", endpoint, headers, urlencode(form).encode())
        found = _json(reply)
        if not reply.ok:
            reason = _word(found.get("error") or f"status {reply.status}")
            if client.secret is not None:
                reason = reason.replace(client.secret.reveal(), HIDDEN)
            raise SignInRefused(f"The provider does not take the code: {reason}.")
        token = found.get("id_token")
        if not isinstance(token, str) or not token or len(token) > MAX_TOKEN:
            raise SignInRefused("The provider's answer has no ID token.")
        return token

    # --- what it proves ------------------------------------------------------------------------

    def _verified(self, client: Client, token: str) -> dict[str, Any]:
        """The claims of a token whose signature is the provider's."""
        try:
            header = jws.extract_compact(token.encode()).headers()
            algorithm = header.get("alg")
            if algorithm not in ALGORITHMS:
                raise SignInRefused(f"The ID token is signed by {_word(algorithm)}, not by a key.")
            key = self._key(client, header.get("kid"), str(algorithm))
            found = jwt.decode(token, key, algorithms=list(ALGORITHMS))
        except (JoseError, ValueError, TypeError, RecursionError):
            raise SignInRefused("The ID token is not signed by the provider.") from None
        if not isinstance(found.claims, dict):
            raise SignInRefused("The ID token says nothing.")
        return found.claims

    def _key(self, client: Client, name: Any, algorithm: str) -> Any:
        """The provider's key of that name; read anew, now and then, where it is not known."""
        known = self._metadata(client)
        for _ in range(2):
            fit = [key for key in known.keys if _fits(key, name, algorithm)]
            if len(fit) == 1:
                return fit[0]
            if known.keys_at is not None and _seconds() < known.keys_at + REFRESH_SECONDS:
                break
            self._read_keys(client, known)
        raise SignInRefused("The ID token is signed by a key that is none of the provider's.")

    def _read_keys(self, client: Client, known: _Known) -> None:
        reply = self._send(client, "GET", self._endpoint(client, "jwks_uri"))
        listed = _json(reply).get("keys")
        if not reply.ok or not isinstance(listed, list):
            raise SignInRefused("The provider's keys can't be read.")
        known.keys, known.keys_at = [], _seconds()
        for each in listed[:100]:
            try:
                key = JWKRegistry.import_key(each)
            except (JoseError, ValueError, TypeError, KeyError):
                continue  # of a kind that nobody here signs with
            if key.key_type != "oct" and key.get("use") in (None, "sig"):
                known.keys.append(key)

    # --- what a provider says of itself --------------------------------------------------------

    def _metadata(self, client: Client) -> _Known:
        known = self._known.get(client.issuer)
        if known is not None and _seconds() < known.at + KEPT_SECONDS:
            return known
        address = f"{client.issuer.rstrip('/')}/.well-known/openid-configuration"
        reply = self._send(client, "GET", address)
        found = _json(reply)
        if not reply.ok:
            raise SignInRefused(f"The provider can't be asked: it answers {reply.status}.")
        if found.get("issuer") != client.issuer:
            said = _word(found.get("issuer"))
            raise SignInRefused(f"The provider calls itself {said}, not {client.issuer}.")
        known = self._known[client.issuer] = _Known(found, _seconds())
        while len(self._known) > MOST_KNOWN:
            del self._known[next(iter(self._known))]
        return known

    def _endpoint(self, client: Client, name: str) -> str:
        found = self._metadata(client).metadata.get(name)
        open_ = ("https://", "http://") if client.private else "https://"
        if not isinstance(found, str) or not found.startswith(open_):
            raise SignInRefused(f"The provider has no {name} that can be trusted.")
        return found

    def _send(
        self, client: Client, method: str, url: str, headers: Mapping[str, str] | None = None,
        content: bytes = b"",
    ) -> Reply:  # fmt: skip
        if not url.startswith("https://") and not client.private:
            raise SignInRefused("The provider's address is not https://.")
        try:
            return self._egress.send(
                method, url, headers, content, private=client.private, timeout=TIMEOUT,
                max_body=MAX_ANSWER,
            )  # fmt: skip
        except (Refused, NotSent, MaybeSent) as error:
            raise SignInRefused(f"The provider can't be reached: {error}.") from None


def _seconds() -> int:
    return int(time.monotonic())


def _fits(key: Any, name: Any, algorithm: str) -> bool:
    """Whether a key has that name, or is not named, and is of the algorithm's kind."""
    kind = {"R": "RSA", "P": "RSA", "E": "EC"}[algorithm[0]]
    said = key.get("alg")
    named = name is None or key.kid == name
    return bool(named and key.key_type == kind and said in (None, algorithm))


def _check_claims(attempt: Attempt, claims: Mapping[str, Any], now: datetime) -> None:
    """OpenID Connect Core 3.1.3.7: who says it, to whom, when, and in answer to what."""
    client, at = attempt.client, int(now.timestamp())
    if claims.get("iss") != client.issuer:
        raise SignInRefused("The ID token comes from another issuer than was asked.")
    # Whoever else a token is for could use it here.
    if claims.get("aud") not in (client.client_id, [client.client_id]):
        raise SignInRefused("The ID token is for somebody else.")
    if claims.get("azp", client.client_id) != client.client_id:
        raise SignInRefused("The ID token was given to somebody else.")
    expires, issued = _instant(claims, "exp"), _instant(claims, "iat")
    if expires is None or at >= expires + SKEW_SECONDS:
        raise SignInRefused("The ID token has expired.")
    if issued is None or issued > at + SKEW_SECONDS:
        raise SignInRefused("The ID token is not of this time: does a clock run wrong?")
    if issued < int(attempt.began.timestamp()) - SKEW_SECONDS:
        raise SignInRefused("The ID token is older than this sign-in.")
    starts = _instant(claims, "nbf")
    if starts is not None and starts > at + SKEW_SECONDS:
        raise SignInRefused("The ID token does not hold yet.")
    nonce = claims.get("nonce")
    if not isinstance(nonce, str) or not hmac.compare_digest(
        nonce.encode(), attempt.nonce.encode()
    ):
        raise SignInRefused("The ID token belongs to another sign-in.")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= 255:
        raise SignInRefused("The ID token does not say who it is about.")


def _instant(claims: Mapping[str, Any], name: str) -> int | None:
    found = claims.get(name)
    if isinstance(found, bool) or not isinstance(found, int | float) or not 0 < found < 10**12:
        return None
    return int(found)


def _json(reply: Reply) -> dict[str, Any]:
    try:
        found = decode(reply.body) if reply.body else {}
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise SignInRefused("The provider's answer is no JSON.")
    return found


def _word(value: Any) -> str:
    """A word from outside, as a message may show it."""
    text = value if isinstance(value, str) else "nothing"
    return "".join(char for char in text[:100] if char.isprintable() and char not in "<>&") or "?"
