"""A fake service over real HTTP on loopback: answers by a function, and breaks as it is told.

Faults are taken one a request, in order: `timeout_before` (nothing is done), `timeout_after` and
`reset_after` (it is done, and the answer is lost), or a status (nothing is done).
"""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Request:
    """What came in; names of headers in small letters."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass
class Answer:
    """What goes back: bytes as they are, anything else as JSON."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


Respond = Callable[[Request], Answer]


class Web(ThreadingHTTPServer):
    """The server: `url` is where it is, `seen` what it got, `faults` how it fails next."""

    daemon_threads = True

    def __init__(self, respond: Respond, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.respond = respond
        self.seen: list[Request] = []
        self.faults: list[str | int] = []
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        scheme = "http"
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_side=True)
            scheme = "https"
        self.port = self.server_address[1]
        self.url = f"{scheme}://127.0.0.1:{self.port}"

    def fault(self) -> str | int | None:
        """What goes wrong with this request."""
        with self.lock:
            return self.faults.pop(0) if self.faults else None

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no mistake of a fake."""


class _Handler(BaseHTTPRequestHandler):
    server: Web
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # Or each answer waits 40 ms for the client's delayed ACK.

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""

    def _serve(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, self.path, headers, self.rfile.read(size))
        with self.server.lock:
            self.server.seen.append(request)
        fault = self.server.fault()
        if fault == "timeout_before":
            self._hang()
            return
        if isinstance(fault, int):
            self._send(Answer(fault, {"name": "FAULT"}, {"Retry-After": "0"}))
            return
        answer = self.server.respond(request)
        if fault == "timeout_after":
            self._hang()
        elif fault == "reset_after":
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
        else:
            self._send(answer)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _serve  # noqa: N815

    def _hang(self) -> None:
        self.server.stopping.wait(20)
        self.close_connection = True

    def _send(self, answer: Answer) -> None:
        body = answer.body
        data = body if isinstance(body, bytes) else b"" if body is None else _json(body)
        self.send_response(answer.status)
        headers = {"Content-Type": "application/json", "Content-Length": str(len(data))}
        for name, value in {**headers, **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


@contextmanager
def serving(
    respond: Respond | Mapping[str, Any], tls: ssl.SSLContext | None = None
) -> Iterator[Web]:
    """A server that answers with a function, or always with the same JSON."""
    answer = respond if callable(respond) else (lambda _: Answer(200, respond))
    server = Web(answer, tls)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.stopping.set()
        server.shutdown()
        server.server_close()
        thread.join()
