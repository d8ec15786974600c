"""A fake OpenID provider over real HTTP: it rotates its keys, and lies as it is told.

`lie` changes what it says: a function of claims, or the name of a way to sign wrongly.
"""

from __future__ import annotations

import hmac
import json
import secrets
import time
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote_plus, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from .web import Answer, Request, Web, serving

Claims = dict[str, Any]


def encoded(data: bytes) -> str:
    """Base64url without padding."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass
class Provider:
    """What it knows: who is signed in, codes that are out, keys; `asked` has paths of requests."""

    person: Claims
    secret: str | None = "client-secret-2718"
    client_id: str = "bizrun-client"
    web: Web | None = None
    keys: list[Any] = field(default_factory=list)
    first: list[Any] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    claims: Callable[[Claims], Claims] = lambda claims: claims
    sign: str = "RS256"
    metadata: Claims = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    @property
    def issuer(self) -> str:
        """Its address."""
        assert self.web is not None
        return self.web.url

    def rotate(self, kind: str = "RSA") -> None:
        """Signs with a new key from now on, and forgets the old ones."""
        name = f"key-{time.monotonic_ns()}"
        shown = {"kid": name, "use": "sig"}
        if kind == "RSA":
            self.keys = [RSAKey.generate_key(2048, shown)]
        else:
            self.keys = [ECKey.generate_key("P-256", shown)]

    def respond(self, request: Request) -> Answer:
        """Discovery, keys and tokens."""
        path = urlsplit(request.path).path
        self.asked.append(path)
        match path:
            case "/.well-known/openid-configuration":
                return Answer(body={
                    "issuer": self.issuer, "authorization_endpoint": f"{self.issuer}/authorize",
                    "token_endpoint": f"{self.issuer}/token", "jwks_uri": f"{self.issuer}/keys",
                    "response_types_supported": ["code"], "subject_types_supported": ["public"],
                    "id_token_signing_alg_values_supported": ["RS256"],
                    "authorization_response_iss_parameter_supported": True, **self.metadata,
                })  # fmt: skip
            case "/keys":
                return Answer(body={"keys": [key.as_dict(private=False) for key in self.keys]})
            case "/token":
                return self._token(request)
        return Answer(404)

    def authorize(self, location: str) -> dict[str, str]:
        """What a browser brings back, once its person has signed in at `location`."""
        asked = dict(parse_qsl(urlsplit(location).query))
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        assert "openid" in asked["scope"].split()
        code = f"code-{secrets.token_hex(8)}"
        self.codes[code] = asked
        return {"code": code, "state": asked["state"], "iss": self.issuer}

    def _token(self, request: Request) -> Answer:
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        asked = self.codes.pop(form["code"], None)
        verifier = form.get("code_verifier", "")
        if (asked is None or not self._client(request, form)
                or encoded(sha256(verifier.encode()).digest()) != asked["code_challenge"]
                or form["redirect_uri"] != asked["redirect_uri"]):  # fmt: skip
            return Answer(400, {"error": "invalid_grant"})
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": self.client_id, "iat": now, "exp": now + 300,
                  "nonce": asked["nonce"], **self.person}  # fmt: skip
        claims = {n: v for n, v in self.claims(claims).items() if v is not None}
        token = self._signed(claims)
        return Answer(body={"access_token": "at", "token_type": "Bearer", "id_token": token})

    def _client(self, request: Request, form: Claims) -> bool:
        if self.secret is None:
            return form["client_id"] == self.client_id and "authorization" not in request.headers
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        if scheme == "Basic":
            name, _, secret = b64decode(value).decode().partition(":")
            return (unquote_plus(name), unquote_plus(secret)) == (self.client_id, self.secret)
        return form.get("client_secret") == self.secret

    def _signed(self, claims: Claims) -> str:
        key = self.keys[0]
        match self.sign:
            case "none":
                return (
                    f"{encoded(_json({'alg': 'none', 'kid': key.kid}))}.{encoded(_json(claims))}."
                )
            case "HS256 with the public key":
                head = encoded(_json({"alg": "HS256", "kid": key.kid}))
                signed = f"{head}.{encoded(_json(claims))}"
                shared = key.as_pem(private=False)
                return f"{signed}.{encoded(hmac.digest(shared, signed.encode(), 'sha256'))}"
            case "another's key":
                other = RSAKey.generate_key(2048)
                return jwt.encode({"alg": "RS256", "kid": key.kid}, claims, other)
            case "a key of its own making":
                other = RSAKey.generate_key(2048)
                header = {"alg": "RS256", "jwk": other.as_dict(private=False)}
                return jwt.encode(header, claims, other)
            case "cut":
                return jwt.encode({"alg": "RS256", "kid": key.kid}, claims, key)[:-20]
            case "changed":
                head, _, tail = jwt.encode({"alg": "RS256", "kid": key.kid}, claims, key).split(".")
                return f"{head}.{encoded(_json({**claims, 'email': 'boss@acme.example'}))}.{tail}"
        return jwt.encode({"alg": self.sign, "kid": key.kid}, claims, key, algorithms=[self.sign])


def _json(claims: Claims) -> bytes:
    return json.dumps(claims).encode()


@contextmanager
def openid_provider(person: Claims, **more: Any) -> Iterator[Provider]:
    """A running provider."""
    provider = Provider(person, **more)
    provider.rotate()
    provider.first = provider.keys
    with serving(provider.respond) as web:
        provider.web = web
        yield provider
