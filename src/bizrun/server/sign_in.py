"""`/sign-in/NAME`: people sign in at their company's identity provider (OpenID Connect).

The browser is sent there with a state, a nonce and a PKCE challenge, and comes back with a code,
once. Who it is, is found by claims among the rows of the organisation whose provider was asked; a
`….signed_in` event says so, which handlers may refuse; then there is a session.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from secrets import token_urlsafe
from typing import Any
from urllib.parse import parse_qsl

from ..ir.identity import SCOPES, SignIn
from ..providers.egress import Egress
from ..providers.secrets import Secret, Secrets
from ..store.sessions import SessionFile
from ..times import add
from .access import SESSION_COOKIE, Access, cookies
from .business import Business
from .clock import Clock
from .desk import Desk
from .people import Person, admit
from .problems import Problem, encode
from .requests import Request, Response
from .writer import Task

PREFIX = "/sign-in/"
OUT = "/sign-out"
FLOW_COOKIE = "__Host-bizrun-flow-"
FLOW_SECONDS = 600
MOST_FLOWS = 10_000
MOST_AT_ONCE = 20
_PRIVATE = [(b"cache-control", b"no-store"), (b"referrer-policy", b"no-referrer")]


@dataclass(frozen=True, slots=True)
class Flow:
    """A sign-in under way: whose provider was asked, and which browser may finish it."""

    sign_in: SignIn
    tenant: str | None
    attempt: Any
    browser: str  # SHA-256 of the cookie


class SignIns:
    """Answers browsers of those who sign in, and out."""

    def __init__(
        self, desk: Desk, access: Access, business: Business, environment: Mapping[str, str],
        clock: Clock,
    ) -> None:  # fmt: skip
        self._desk, self._access, self._business = desk, access, business
        self._environment, self._clock = environment, clock
        self._flows: dict[str, Flow] = {}
        self._openid: Any = None
        self._calling = asyncio.Semaphore(MOST_AT_ONCE)

    def serves(self, path: str) -> bool:
        """Whether a path is for signing in or out, where the spec has a way to."""
        return (path == OUT or path.startswith(PREFIX)) and bool(self._business.program.sign_ins)

    async def answer(self, request: Request) -> Response:
        """The answer to a browser."""
        path, method = request.scope["path"], request.scope["method"]
        if path == OUT:
            return await self._out(request, method)
        self._access.stranger(request.headers)
        if method != "GET":
            raise Problem(405, f"{path[:80]} takes GET.", headers=[(b"allow", b"GET")])
        name, _, rest = path.removeprefix(PREFIX).partition("/")
        sign_in = self._business.program.sign_ins.get(name)
        if sign_in is None or rest not in ("", "callback"):
            raise Problem(404, f"There is no way to sign in at {path[:80]}.")
        sessions = self._access.sessions
        if sessions is None:
            raise Problem(503, "Without authentication there is nobody to sign in.")
        query = _query(request.scope["query_string"])
        if rest == "callback":
            return await self._back(sign_in, query, request, sessions)
        return await self._go(sign_in, query)

    # --- the way there -------------------------------------------------------------------------

    async def _go(self, sign_in: SignIn, query: Mapping[str, str]) -> Response:
        from ..providers.openid import Attempt

        tenant, settings = await self._desk.ask(
            lambda key: Task(key, lambda b, now: _settings(b, sign_in, query))
        )
        client = self._client(sign_in, settings)
        state, browser = token_urlsafe(32), token_urlsafe(32)
        attempt = Attempt(client, state, token_urlsafe(32), token_urlsafe(48), self._clock.now())
        address = await self._call(lambda o: o.address(attempt, query.get("email")))
        self._keep(state, Flow(sign_in, tenant, attempt, _hash(browser)))
        cookie = _cookie(f"{FLOW_COOKIE}{state[:8]}", browser, FLOW_SECONDS)
        return Response(
            b"", status=302, headers=[(b"location", address.encode()), cookie, *_PRIVATE]
        )

    def _keep(self, state: str, flow: Flow) -> None:
        old = self._clock.now() - timedelta(seconds=FLOW_SECONDS)
        while self._flows:
            first = next(iter(self._flows))
            if self._flows[first].attempt.began > old and len(self._flows) < MOST_FLOWS:
                break
            del self._flows[first]
        self._flows[state] = flow

    def _client(self, sign_in: SignIn, settings: Mapping[str, Any]) -> Any:
        """What the provider knows this server as; secrets are read from the environment now."""
        from ..providers.openid import Client

        secrets = Secrets(f"sign_in {sign_in.name}", {}, self._environment)
        texts: dict[str, Secret] = {}
        for name, value in settings.items():
            setting = {"call": "env", "args": [value["env"]]} if isinstance(value, dict) else value
            found = secrets.resolve(setting)
            if found is not None:
                texts[name] = found
        for name in ("issuer", "client_id", "redirect_uri", "client_secret"):
            if name not in texts and isinstance(missing := settings.get(name), dict):
                self._business.tell(f"sign_in {sign_in.name}: {missing['env']} is not set")
                raise Problem(503, "Nobody can sign in: this server lacks a setting for it.")
            if name not in texts and name != "client_secret":
                raise Problem(404, "There is no provider here to sign in with.")
        back, scopes = texts["redirect_uri"].reveal(), SCOPES
        if not back.endswith(f"{PREFIX}{sign_in.name}/callback"):
            raise Problem(
                503, f"The redirect_uri does not lead to {PREFIX}{sign_in.name}/callback."
            )
        private = sign_in.settings.get("private") is True
        if "scopes" in texts:
            scopes = texts["scopes"].reveal()
        if "openid" not in scopes.split():
            scopes = f"openid {scopes}"
        return Client(
            texts["issuer"].reveal(), texts["client_id"].reveal(), texts.get("client_secret"),
            back, scopes, private,
        )  # fmt: skip

    async def _call(self, ask: Any) -> Any:
        """Asks a provider, in a thread; a Problem where it says no or can't be believed."""
        try:
            from ..providers.openid import OpenId, SignInRefused
        except ModuleNotFoundError:
            raise Problem(503, "Signing in needs `pip install 'bizrun[identity]'`.") from None
        if self._openid is None:
            self._openid = OpenId(Egress())
        try:
            async with self._calling:
                return await asyncio.to_thread(ask, self._openid)
        except SignInRefused as error:
            raise Problem(401, str(error)) from None

    # --- and back ------------------------------------------------------------------------------

    async def _back(
        self, sign_in: SignIn, query: Mapping[str, str], request: Request, sessions: SessionFile
    ) -> Response:
        state = query.get("state", "")
        flow = self._flows.pop(state, None)
        if flow is None or flow.sign_in.name != sign_in.name:
            raise Problem(400, "This sign-in is not under way here, or is over: begin anew.")
        brought = cookies(request.headers).get(f"{FLOW_COOKIE}{state[:8]}", "")
        if not hmac.compare_digest(_hash(brought), flow.browser):
            raise Problem(400, "This sign-in was begun in another browser: begin anew.")
        now = self._clock.now()
        if now - flow.attempt.began > timedelta(seconds=FLOW_SECONDS):
            raise Problem(400, "This sign-in took too long: begin anew.")
        claims = await self._call(lambda o: o.claims(flow.attempt, query, now))
        if flow.sign_in != self._business.program.sign_ins.get(sign_in.name):
            raise Problem(400, "How to sign in has just changed: begin anew.")
        person: Person = await self._desk.ask(
            lambda key: Task(key, lambda b, at: admit(b, flow.sign_in, flow.tenant, claims, at))
        )
        until = add(now, sign_in.session, self._business.engine.tz)
        _, secret = await asyncio.to_thread(
            sessions.new, person.entity, person.key, sign_in.name, now, until
        )
        return _signed_in(sign_in, state, person, secret, int((until - now).total_seconds()))

    async def _out(self, request: Request, method: str) -> Response:
        if method != "POST":
            raise Problem(405, f"{OUT} takes POST.", headers=[(b"allow", b"POST")])
        caller = self._access.caller(request.headers, None, method)
        sessions = self._access.sessions
        if caller.session is None or sessions is None:
            raise Problem(400, "This token is no session: bizrun token revoke.")
        await asyncio.to_thread(sessions.end, caller.session.hash)
        gone = _cookie(SESSION_COOKIE, "", 0)
        return Response(encode({"signed_out": True}), headers=[gone, *_PRIVATE])


def _settings(
    business: Business, sign_in: SignIn, query: Mapping[str, str]
) -> tuple[str | None, dict[str, Any]]:
    """The tenant that signs in, where settings are its own, and the settings as they are for it."""
    engine, tenancy = business.engine, business.engine.tenancy
    asked = any("{'field'" in str(value) for value in sign_in.settings.values())
    row: Mapping[str, Any] | None = None
    tenant: str | None = None
    if asked and tenancy is not None:
        tenant = _tenant(business, sign_in, query)
        row = engine.state.get(tenancy.tenant, tenant)
    found: dict[str, Any] = {}
    for name, value in sign_in.settings.items():
        match value:
            case {"field": str(field)} if name != "domain":
                text = row.get(field) if row is not None else None
                if text:
                    found[name] = str(text)
            case {"env": list(parts)}:
                words = [p if isinstance(p, str) else str((row or {}).get(p["field"]))
                         for p in parts]  # fmt: skip
                found[name] = {"env": "".join(words)}
            case str() if value:
                found[name] = value
    return tenant, found


def _tenant(business: Business, sign_in: SignIn, query: Mapping[str, str]) -> str:
    """Whose people sign in: by key, or by the domain of an email address."""
    engine, tenancy = business.engine, business.engine.tenancy
    assert tenancy is not None
    key, email = query.get("organization"), query.get("email", "")
    domain = sign_in.settings.get("domain")
    if key is None and "@" in email and isinstance(domain, dict):
        wanted = email.rpartition("@")[2].lower()
        rows = list(engine.state.select(tenancy.tenant, {domain["field"]: wanted}, (), (), 2))
        if len(rows) == 1:
            return str(rows[0][engine.program.entities[tenancy.tenant].key])
    if key is None or engine.state.get(tenancy.tenant, key) is None:
        what = "email" if isinstance(domain, dict) else "organization"
        raise Problem(404, f"Nobody signs in like this here: say who, as in ?{what}=…")
    return key


def _signed_in(sign_in: SignIn, state: str, person: Person, secret: str, seconds: int) -> Response:
    """The session: as a cookie where people go on to a page, else as a token."""
    used = _cookie(f"{FLOW_COOKIE}{state[:8]}", "", 0)
    target = sign_in.settings.get("return_to")
    if isinstance(target, str) and target:
        headers = [(b"location", target.encode()), _cookie(SESSION_COOKIE, secret, seconds)]
        return Response(b"", status=303, headers=[*headers, used, *_PRIVATE])
    body = {"token": secret, "token_type": "Bearer", "expires_in": seconds, "id": person.key}
    return Response(encode(body), headers=[used, *_PRIVATE])


def _cookie(name: str, value: str, seconds: int) -> tuple[bytes, bytes]:
    text = f"{name}={value}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=Lax"
    return b"set-cookie", text.encode()


def _hash(text: str) -> str:
    return sha256(text.encode("utf-8", "replace")).hexdigest()


def _query(text: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(text.decode("latin-1"), keep_blank_values=True, max_num_fields=20)
    except ValueError:
        raise Problem(400, "There are too many parameters in the query.") from None
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        raise Problem(400, "A parameter stands twice in the query.")
    return dict(pairs)
