"""The one HTTP client for what goes out: bounded in time and size, and only where it may go.

No redirects, no proxies, no connection kept for the next call: an error on a fresh connection
says whether the other side can have read the request, one on a reused connection does not.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpcore2 as http

from .addresses import Refused, Resolver, Target, Unresolved, locate, system_resolver
from .base import MaybeSent, NotSent

TIMEOUT = 30
MAX_BODY = 10_000_000
MAX_REQUEST = 20_000_000
_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back; names of headers in small letters. `cut` where the body was too large."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut: bool = False

    @property
    def ok(self) -> bool:
        """Whether the status says success."""
        return 200 <= self.status < 300


class Egress:
    """Sends requests; `resolve` and `tls` are the system's unless a test brings its own."""

    def __init__(
        self, resolve: Resolver = system_resolver, tls: ssl.SSLContext | None = None
    ) -> None:
        self._resolve = resolve
        self._tls = tls

    def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        content: bytes = b"",
        *,
        private: bool = False,
        timeout: int = TIMEOUT,
        max_body: int = MAX_BODY,
    ) -> Reply:
        """One request and its answer, whatever its status, in `timeout` seconds altogether.

        Refused where it may not be made, NotSent where nothing reached the other side, MaybeSent
        where it may have been read. `private` allows loopback and private addresses.
        """
        checked = header_lines(headers or {})
        if len(content) > MAX_REQUEST:
            raise Refused(f"the request is larger than {MAX_REQUEST:,} bytes")
        deadline = time.monotonic() + timeout
        try:
            target = locate(url, private, self._resolve)
        except Unresolved as error:
            raise NotSent(str(error)) from None
        return self._exchange(method, target, checked, content, deadline, max_body)

    def _exchange(
        self,
        method: str,
        target: Target,
        headers: list[tuple[bytes, bytes]],
        content: bytes,
        deadline: Any,
        max_body: int,
    ) -> Reply:
        if self._tls is None and target.scheme == "https":
            self._tls = http.default_ssl_context()
        pool = http.ConnectionPool(
            ssl_context=self._tls,
            network_backend=_Pinned(target, deadline),
            max_keepalive_connections=0,
        )
        scheme, host = target.scheme.encode(), target.host.encode()
        url = http.URL(scheme=scheme, host=host, port=target.port, target=target.path.encode())
        fixed = [(b"Host", _host(target)), (b"Accept-Encoding", b"identity")]
        fixed += [(b"Content-Length", str(len(content)).encode())] if _has_body(method) else []
        try:
            with pool, pool.stream(method, url, headers=fixed + headers, content=content) as got:
                return _read(got, max_body)
        except (http.ConnectError, http.ConnectTimeout) as error:
            raise NotSent(f"{target.origin} can't be reached{_why(error)}") from None
        except http.TimeoutException:
            raise MaybeSent(f"{target.origin} did not answer in time") from None
        except (http.NetworkError, http.ProtocolError):
            raise MaybeSent(f"{target.origin} broke off before its answer was complete") from None


def header_lines(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """Headers as they are sent; Refused where one holds a line break or has a strange name."""
    lines = []
    for name, value in headers.items():
        text = str(value)
        if not name or not set(name) <= _TOKEN:
            raise Refused(f"`{name[:40]!a}` is no name of a header")
        if any(ord(char) < 32 and char != "\t" for char in text) or "\x7f" in text:
            raise Refused(f"the header `{name}` holds a line break or a control character")
        lines.append((name.encode(), text.encode()))
    return lines


def _host(target: Target) -> bytes:
    usual = {"http": 80, "https": 443}[target.scheme]
    host = f"[{target.host}]" if ":" in target.host else target.host
    return (host if target.port == usual else f"{host}:{target.port}").encode()


def _has_body(method: str) -> bool:
    return method not in ("GET", "HEAD", "DELETE")


def _why(error: Exception) -> str:
    text = str(error)
    if "CERTIFICATE_VERIFY" in text or "certificate" in text:
        return ": its certificate is not valid for that name"
    return " in time" if isinstance(error, http.ConnectTimeout) else ""


def _read(response: Any, max_body: int) -> Reply:
    headers = {name.decode("latin-1").lower(): value.decode("latin-1")
               for name, value in response.headers}  # fmt: skip
    kept, size = [], 0
    for chunk in response.iter_stream():
        size += len(chunk)
        if size > max_body:
            return Reply(response.status, headers, b"", True)
        kept.append(chunk)
    return Reply(response.status, headers, b"".join(kept))


class _Pinned(http.NetworkBackend):
    """Connects to the places that were judged, and lets no step outlast the deadline."""

    def __init__(self, target: Target, deadline: Any) -> None:
        self._target = target
        self._deadline = deadline
        self._plain = http.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: Any = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> http.NetworkStream:
        """A connection to the first place that takes one."""
        last: Exception = http.ConnectError("no address")
        for place in self._target.places:
            left = _left(self._deadline, http.ConnectTimeout)
            try:
                stream = self._plain.connect_tcp(place, port, left, None, socket_options)
            except (http.ConnectError, http.ConnectTimeout) as error:
                last = error
                continue
            return _Bounded(stream, self._deadline)
        raise last


class _Bounded(http.NetworkStream):
    """A stream that ends at an instant, however slowly its bytes drip."""

    def __init__(self, stream: http.NetworkStream, deadline: Any) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: Any = None) -> bytes:
        return self._stream.read(max_bytes, _left(self._deadline, http.ReadTimeout))

    def write(self, buffer: bytes, timeout: Any = None) -> None:
        self._stream.write(buffer, _left(self._deadline, http.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: Any = None
    ) -> http.NetworkStream:
        left = _left(self._deadline, http.ConnectTimeout)
        return _Bounded(self._stream.start_tls(ssl_context, server_hostname, left), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(deadline: Any, late: type[Exception]) -> Any:
    left = deadline - time.monotonic()
    if left <= 0:
        raise late("the time is up")
    return left
