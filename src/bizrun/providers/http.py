"""HTTP: the action `http`, and what `connect NAME { url: … }` declares."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from ..errors import ProviderError
from ..model import Effect, Outcome
from ..values import plain, show
from .addresses import Refused
from .base import Call, Guarantee, Limits, MaybeSent, NotSent
from .egress import Egress, Reply
from .secrets import Secrets
from .wire import content, encode, retry_after

MAX_ANSWER = 1_000_000
PATIENCE = timedelta(seconds=20)  # with a host that can't be reached
MAX_HEADERS = 50
MAX_HEADER = 2_000
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
# RFC 9110, 9.2.2: doing these twice is doing them once.
REPEATABLE = ("GET", "HEAD", "PUT", "DELETE")
GUARANTEES: tuple[Guarantee, ...] = ("idempotent", "at_least_once", "at_most_once")
KEY_HEADER = "Idempotency-Key"
_TRY_LATER = (408, 425, 429)
_NOT_KEPT = {"set-cookie", "authorization", "proxy-authorization", "www-authenticate"}


class HttpProvider:
    """A service that speaks HTTP, by the methods of a connection."""

    name = "http"

    def __init__(self, egress: Egress | None = None) -> None:
        self.limits = Limits()
        self._delivery: Any = None
        self._egress = egress or Egress()

    def configure(self, secrets: Secrets) -> None:
        """Reads what the connection says of repeated calls."""
        self._delivery = secrets.value("delivery")

    def guarantee(self, effect: Effect) -> Guarantee:
        """What the spec says in `delivery`; else, a method that may be repeated is."""
        said = effect.data.get("delivery") if effect.kind == "http" else None
        said = said or self._delivery
        if said in GUARANTEES:
            return said  # type: ignore[no-any-return]
        return "at_least_once" if _method(effect) in REPEATABLE else "at_most_once"

    def deliver(self, effect: Effect, call: Call) -> Outcome:
        """Sends the request; what came back is the outcome's data, whatever its status."""
        try:
            method, url, headers, body = request(effect, call)
            reply = self._egress.send(
                method, url, headers, body,
                private=private(call.secrets, effect.kind != "http"),
                timeout=seconds(call), max_body=MAX_ANSWER,
            )  # fmt: skip
        except Refused as error:
            return Outcome("failed", f"refused: {error}", no_answer())
        except NotSent as error:
            return self._unreachable(error, call)
        return self._outcome(effect, call, reply)

    def _unreachable(self, error: NotSent, call: Call) -> Outcome:
        """A service that is connected is waited for."""
        raise error

    def _outcome(self, effect: Effect, call: Call, reply: Reply) -> Outcome:
        pause = retry_after(reply.headers, datetime.now(UTC))
        if reply.status in _TRY_LATER or (reply.status == 503 and pause is not None):
            raise NotSent(f"it answered {reply.status}", pause)
        if reply.status >= 500 and self.guarantee(effect) != "at_most_once":
            raise MaybeSent(f"it answered {reply.status}", retry_after=pause)
        data = {"ok": reply.ok, "status": reply.status, "headers": kept(reply.headers)}
        if reply.cut:
            return Outcome("failed", "answer_too_large", {**data, "ok": False, "body": None})
        try:
            data["body"] = content(reply.headers, reply.body)
        except ValueError as error:
            return Outcome("failed", str(error), {**data, "ok": False, "body": None})
        return Outcome("succeeded" if reply.ok else "failed", _error(reply), data)

    def read_back(self, effect: Effect, call: Call) -> Outcome | None:
        """HTTP has no way to ask what became of a request."""
        return Outcome("unknown")


class AnyHost(HttpProvider):
    """`http { url }`, wherever that is: each host has a pace and a circuit of its own, and one that
    can't be reached for 20 seconds is answered as such, since data may name any."""

    def __init__(self, egress: Egress | None = None) -> None:
        super().__init__(egress)
        self.limits = Limits(longest=timedelta(seconds=10))

    def host(self, effect: Effect, to: str | None) -> str:
        """The host of the address."""
        return host_of(str(effect.data.get("url") or ""))

    def _unreachable(self, error: NotSent, call: Call) -> Outcome:
        if datetime.now(UTC) - call.first < PATIENCE:
            raise error
        return Outcome("failed", f"unreachable: {error}", no_answer())


def host_of(url: str) -> str:
    """The host and port of an address; what delivers it says what is wrong with one."""
    try:
        place = urlsplit(url)
        return f"{place.hostname}:{place.port}" if place.port else str(place.hostname)
    except ValueError:
        return "nowhere"


def _error(reply: Reply) -> str | None:
    return None if reply.ok else f"http_{reply.status}"


def no_answer() -> dict[str, Any]:
    """What a handler reads where nothing came back."""
    return {"ok": False, "status": 0, "body": None, "headers": {}}


def kept(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers of an answer that a handler may read: few, short, and no cookies."""
    names = [name for name in headers if name not in _NOT_KEPT][:MAX_HEADERS]
    return {name: headers[name][:MAX_HEADER] for name in names}


def seconds(call: Call) -> int:
    """How long a call may take, in whole seconds, at least one."""
    return max(1, int(call.timeout.total_seconds()))


def private(secrets: Secrets, own: bool = True) -> bool:
    """Whether loopback and private addresses are allowed: the spec says so, or the environment
    gives the address."""
    if secrets.value("private") is True:
        return True
    value = secrets.value("url")
    return own and isinstance(value, Mapping) and value.get("call") == "env"


# --- the request -------------------------------------------------------------------------------


def request(effect: Effect, call: Call) -> tuple[str, str, dict[str, str], bytes]:
    """Method, address, headers and body; Refused where they can't be made."""
    method, secrets, data = _method(effect), call.secrets, effect.data
    if method not in METHODS:
        raise Refused(f"`{method}` is no method")
    headers = {"User-Agent": "bizrun", "Accept": "application/json, text/*;q=0.9, */*;q=0.1"}
    headers |= _headers(secrets.value("headers"), secrets)
    if effect.kind == "http":
        url, sent = str(data.get("url") or ""), data.get("body")
        query = data.get("query")
        headers |= _headers(data.get("headers"), secrets)
    else:
        url = _joined(secrets.text("url"), data.get("target"), secrets.name)
        fields = {name: value for name, value in data.items() if name != "target"}
        sent, query = (None, fields) if method in ("GET", "HEAD", "DELETE") else (fields, None)
    url = _with_query(url, query)
    body = b""
    if sent is not None:
        body = sent.encode() if isinstance(sent, str) else encode(sent)
        kind = "text/plain; charset=utf-8" if isinstance(sent, str) else "application/json"
        headers.setdefault("Content-Type", kind)
    if method not in ("GET", "HEAD"):
        headers.setdefault(KEY_HEADER, call.key)
    auth = data.get("auth") if effect.kind == "http" else None
    headers |= authorization(auth or secrets.value("auth"), secrets, body)
    return method, url, headers, body


def _method(effect: Effect) -> str:
    if effect.kind != "http":
        return effect.kind.rpartition(".")[2].upper()
    default = "GET" if effect.data.get("body") is None else "POST"
    return str(effect.data.get("method") or default).upper()


def _joined(base: str | None, path: Any, name: str) -> str:
    """The connection's address with a path; the path can't lead to another host."""
    if not base:
        raise ProviderError(f"`connect {name}` has no url")
    if path is None or path == "":
        return base
    text = quote(str(path), safe="/?&=%:@!$'()*+,;~-._#[]")
    return base.rstrip("/") + "/" + text.lstrip("/")


def _with_query(url: str, query: Any) -> str:
    if not isinstance(query, Mapping) or not query:
        return url
    pairs: list[tuple[str, str]] = []
    for name, value in query.items():
        items = value if isinstance(value, list | tuple) else [value]
        pairs += [(name, show(plain(item))) for item in items if item is not None]
    if not pairs:
        return url
    return f"{url}{'&' if '?' in url else '?'}{urlencode(pairs)}"


def _headers(value: Any, secrets: Secrets) -> dict[str, str]:
    """Headers as a spec writes them; `env("X")` in them is read now."""
    if not isinstance(value, Mapping):
        return {}
    found: dict[str, str] = {}
    for name, item in value.items():
        if item is None:
            continue
        if isinstance(item, Mapping) and item.get("call") == "bearer":
            found |= {name: authorization(item, secrets, b"")["Authorization"]}
        elif isinstance(item, Mapping):
            found[name] = _secret(item, secrets)
        else:
            found[name] = show(item)
    return found


def settled(secrets: Secrets) -> dict[str, str]:
    """The headers of a connection's own block; ProviderError where they can't be made."""
    auth = authorization(secrets.value("auth"), secrets, b"")
    return _headers(secrets.value("headers"), secrets) | auth


def authorization(auth: Any, secrets: Secrets, body: bytes) -> dict[str, str]:
    """The headers of `auth: bearer(…)`, `basic(user, password)`, `header(name, value)` or
    `hmac(secret, header?, prefix?)`, which signs the body with SHA-256, in hexadecimal digits."""
    match auth:
        case None:
            return {}
        case {"call": "bearer", "args": [token]}:
            return {"Authorization": f"Bearer {_secret(token, secrets)}"}
        case {"call": "basic", "args": [user, password]}:
            pair = f"{_secret(user, secrets)}:{_secret(password, secrets)}"
            coded = base64.b64encode(pair.encode()).decode()
            secrets.resolve(coded)  # so that it is scrubbed where it comes back
            return {"Authorization": f"Basic {coded}"}
        case {"call": "header", "args": [str(name), value]}:
            return {name: _secret(value, secrets)}
        case {"call": "hmac", "args": [secret, *rest]}:
            name = str(rest[0]) if rest else "X-Signature"
            prefix = str(rest[1]) if len(rest) > 1 else ""
            digest = hmac.new(_secret(secret, secrets).encode(), body, "sha256").hexdigest()
            return {name: prefix + digest}
    raise ProviderError(
        f"`auth` of {secrets.name} is none of bearer(…), basic(…, …), header(…, …), hmac(…)"
    )


def _secret(value: Any, secrets: Secrets) -> str:
    found = secrets.resolve(value)
    if found is None:
        names = value.get("args", ["?"]) if isinstance(value, Mapping) else ["?"]
        raise ProviderError(f"{secrets.name} needs the environment variable {names[0]}")
    return found.reveal()
