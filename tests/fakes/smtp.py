"""A real SMTP server (aiosmtpd) on loopback that keeps what it takes, and refuses as told."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

USER, PASSWORD = "mailer", "smtp-password-canary"


class Mailbox:
    """What came in. `refuse` has replies by address; `replies` are taken one a message, where
    `drop` takes the message and breaks off, and `hang` never answers."""

    def __init__(self) -> None:
        self.messages: list[Envelope] = []
        self.refuse: dict[str, str] = {}
        self.replies: list[str] = []
        self.url = ""
        self.port = 0
        self.private = False

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Any
    ) -> str:
        """Takes or refuses a recipient."""
        if self.private and not session.authenticated:
            return "530 5.7.0 log in first"
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        """Takes a message."""
        reply = self.replies.pop(0) if self.replies else "250 OK: queued"
        if reply[0] in "2dh":
            self.messages.append(envelope)
        if reply == "drop":
            assert server.transport is not None
            server.transport.abort()
            return "250 OK"
        if reply == "hang":
            await asyncio.sleep(5)
            return "250 OK"
        return reply


def _login(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    good = isinstance(data, LoginPassword) and (data.login, data.password) == (
        USER.encode(),
        PASSWORD.encode(),
    )
    return AuthResult(success=good, handled=good)


class _AnyPort(Controller):
    """A server at a port that the system chooses, whose connections end with it."""

    def factory(self) -> SMTP:
        """A session, remembered."""
        session: SMTP = super().factory()
        self.__dict__.setdefault("sessions", []).append(session)
        return session

    def hang_up(self) -> None:
        """Ends what clients have left open."""
        closed = threading.Event()

        def close() -> None:
            for session in self.__dict__.get("sessions", []):
                if session.transport is not None:
                    session.transport.abort()
            self.loop.call_soon(closed.set)

        self.loop.call_soon_threadsafe(close)
        closed.wait(5)

    def _trigger_server(self) -> None:
        assert self.server is not None
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@contextmanager
def fake_smtp(
    tls: ssl.SSLContext | None = None, implicit: bool = False, auth: bool = False
) -> Iterator[Mailbox]:
    """A running server; with `tls` it offers STARTTLS, or begins with TLS where `implicit`."""
    box = Mailbox()
    more: dict[str, Any] = {"enable_SMTPUTF8": True}
    if auth:
        # Asking for a login without TLS would make aiosmtpd warn: the mailbox asks itself.
        more |= {"authenticator": _login, "auth_require_tls": False}
        box.private = True
    if tls is not None:
        more |= {"ssl_context": tls} if implicit else {"tls_context": tls}
    controller = _AnyPort(box, hostname="127.0.0.1", port=0, **more)
    controller.start()
    box.port = controller.port
    box.url = f"smtp{'s' if implicit else ''}://127.0.0.1:{box.port}"
    try:
        yield box
    finally:
        controller.hang_up()
        controller.stop(no_assert=True)
