"""Email over SMTP: what the server says to each step decides whether it can have been sent."""

from __future__ import annotations

import re
import smtplib
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from decimal import Decimal
from email.parser import BytesHeaderParser
from email.policy import compat32
from functools import cache, partial
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from ..errors import ProviderError
from ..model import Effect, Outcome
from .addresses import Refused, Resolver, Unresolved, places, system_resolver
from .base import Call, Guarantee, Limits, MaybeSent, NotSent
from .mailboxes import mailboxes
from .secrets import Secrets

VARIABLE = "SMTP_URL"
PORTS = {"smtp": 587, "smtps": 465}
MAX_RECIPIENTS = 100
_TO = ("to", "cc", "bcc")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Server:
    """Where mail is handed in. tls: "yes" before anything is said, "starttls" (refused where the
    server has none), "auto" (where the server offers it), or "no"."""

    host: str
    port: int
    tls: str
    user: str | None = None
    password: str | None = None
    private: bool = False


@dataclass(frozen=True, slots=True)
class Envelope:
    """What SMTP is told, beside the message itself (which has lost its Bcc)."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes


class SmtpProvider:
    """`email`, and `notify` where it goes to an address; the message was written before."""

    name = "smtp"

    def __init__(
        self, resolve: Resolver = system_resolver, tls: ssl.SSLContext | None = None
    ) -> None:
        self.limits = Limits(concurrency=4, per_second=50)
        self._once = False
        self._resolve = resolve
        self._tls = (lambda: tls) if tls is not None else cache(ssl.create_default_context)

    def configure(self, secrets: Secrets) -> None:
        """Reads what the connection says of repeated messages."""
        self._once = secrets.value("delivery") == "at_most_once"

    def guarantee(self, effect: Effect) -> Guarantee:
        """Mail knows no keys: an answer that was lost means that it may stand twice."""
        return "at_most_once" if self._once else "at_least_once"

    def deliver(self, effect: Effect, call: Call) -> Outcome:
        """Hands a message to the server of the connection."""
        server = server_of(call.secrets)
        if call.message is None:
            raise ProviderError("the email was not written")
        try:
            fields = [str(v) for name in _TO if (v := effect.data.get(name))]
            fields = [call.to] if call.to is not None else fields
            envelope = envelope_of(call.message, fields, effect.id, call.secrets.text("bounces"))
        except Refused as error:
            return Outcome("failed", "invalid_address", {"detail": str(error)})
        try:
            at = places(server.host, server.port, server.private, self._resolve)
        except Unresolved as error:
            raise NotSent(str(error)) from None
        except Refused as error:
            raise ProviderError(str(error)) from None
        with self._session(server, at, call.timeout.total_seconds()) as session:
            return hand_over(session, envelope)

    def read_back(self, effect: Effect, call: Call) -> Outcome | None:
        """A server can't be asked what it took."""
        return Outcome("unknown")

    @contextmanager
    def _session(self, server: Server, at: Sequence[str], timeout: Any) -> Iterator[smtplib.SMTP]:
        session = _Session(server, at, timeout, self._tls)
        try:
            _step(session.greet)
            yield session
        finally:
            with suppress(OSError, smtplib.SMTPException):
                session.quit()
            session.close()


def server_of(secrets: Secrets) -> Server:
    """The server of `connect smtp`, or of SMTP_URL: `smtp://user:password@host:port`, `smtps://`
    where TLS comes first, `?tls=starttls`, `auto` or `no`; ProviderError where it can't be read."""
    host = secrets.text("host")
    if host is None:
        return _server_at(secrets, secrets.need("url", VARIABLE).reveal())
    user, password = secrets.find("user"), secrets.find("password")
    given = isinstance(secrets.value("host"), Mapping) or secrets.value("private") is True
    tls = secrets.text("tls") or secrets.value("tls")
    return Server(
        host, _port(secrets), _tls(tls, "auto", secrets.named("tls")),
        user.reveal() if user else None, password.reveal() if password else None, given,
    )  # fmt: skip


def _server_at(secrets: Secrets, url: str) -> Server:
    name = secrets.named("url", VARIABLE)
    wrong = partial(_unreadable, name)
    parts = urlsplit(_spelled(url, name))
    if parts.scheme not in PORTS:
        raise wrong("begins with neither smtp:// nor smtps://")
    try:
        port = parts.port
    except ValueError:
        raise wrong("has a port that is no number up to 65535") from None
    if not parts.hostname:
        raise wrong("names no host")
    if port == 0 or parts.path not in ("", "/") or parts.fragment:
        raise wrong("has something behind its host that is no port")
    if parts.password is not None:
        secrets.resolve(unquote(parts.password))  # so that it is scrubbed by itself, too
    asked = dict(pair.partition("=")[::2] for pair in parts.query.split("&") if pair)
    strange = next((key for key in asked if key != "tls"), None)
    if strange is not None:
        raise wrong("asks behind its `?` for something else than tls=starttls, auto or no")
    return Server(
        parts.hostname, port or PORTS[parts.scheme],
        _tls(asked.get("tls"), "yes" if parts.scheme == "smtps" else "auto", f"`tls` of {name}"),
        unquote(parts.username) if parts.username else None,
        unquote(parts.password) if parts.password else None,
        True,
    )  # fmt: skip


def _spelled(url: str, name: str) -> str:
    """An address without what no address holds: urlsplit passes over line breaks in silence."""
    if url.isprintable() and " " not in url:
        try:
            urlsplit(url)
        except ValueError:
            raise _unreadable(name, "can't be read") from None
        return url
    raise _unreadable(name, "holds a blank or a line break")


def _unreadable(name: str, why: str) -> ProviderError:
    return ProviderError(
        f"{name} {why}: write smtp://user:password@host:port, with %40 %2F %3F %23 for the @ / ? # "
        "of a password"
    )


def _port(secrets: Secrets) -> int:
    """The port of `connect smtp`, which may come from the environment."""
    value = secrets.value("port")
    if value is None:
        return PORTS["smtp"]
    text = str(value) if isinstance(value, int | Decimal) else secrets.text("port") or ""
    if not (text.isascii() and text.isdigit() and 0 < int(text[:6]) < 65536):
        raise ProviderError(f"{secrets.named('port')} is no port: write a number up to 65535")
    return int(text)


def _tls(value: Any, default: str, name: str) -> str:
    if value is None:
        return default
    if value is True:
        return "yes"
    if value not in ("yes", "starttls", "auto", "no"):
        raise ProviderError(f"{name} is none of yes, starttls, auto and no")
    return str(value)


# --- the envelope ------------------------------------------------------------------------------


def envelope_of(message: bytes, fields: Sequence[str], key: str, bounces: str | None) -> Envelope:
    """The sender of a message and the recipients of fields; Refused where one is no address.

    With `bounces: "bounces@acme.com"` the sender is `bounces+KEY@acme.com`, so that a report of a
    failed delivery names the effect (VERP).
    """
    head = BytesHeaderParser(policy=compat32).parsebytes(message)
    recipients = tuple(dict.fromkeys(_all(fields)))
    if not recipients:
        raise Refused("nobody is named in `to`")
    if len(recipients) > MAX_RECIPIENTS:
        raise Refused(f"there are more than {MAX_RECIPIENTS} recipients")
    sender = _all([str(head.get("From", ""))])[0]
    if bounces is not None:
        local, _, domain = ascii_domain(bounces).rpartition("@")
        sender = f"{local}+{key[:32]}@{domain}"
    return Envelope(sender, recipients, _without_bcc(message))


def _all(fields: Sequence[str]) -> list[str]:
    try:
        return [ascii_domain(found) for field in fields for found in mailboxes(field)]
    except ValueError as error:
        raise Refused(str(error)) from None


def ascii_domain(address: str) -> str:
    """An address with its domain as SMTP takes it (RFC 5890); Refused where it has no such form."""
    local, _, domain = address.rpartition("@")
    try:
        return f"{local}@{domain.encode('idna').decode()}"
    except UnicodeError:
        raise Refused(f"`{address[:80]}` is no address") from None


def _without_bcc(message: bytes) -> bytes:
    """A message without the header that others must not see, folded lines included."""
    head, gap, body = message.partition(b"\r\n\r\n")
    return re.sub(rb"(?im)^Bcc:[^\r\n]*(?:\r\n[ \t][^\r\n]*)*\r\n", b"", head + b"\r\n")[:-2] + (
        gap + body
    )


# --- the session -------------------------------------------------------------------------------


class _Session(smtplib.SMTP):
    """A session that connects to the places that were judged, and is safe before it logs in."""

    def __init__(
        self, server: Server, at: Sequence[str], timeout: Any, tls: Callable[[], ssl.SSLContext]
    ) -> None:
        self._server, self._at, self._tls = server, at, tls
        super().__init__(timeout=timeout, local_hostname="localhost")
        self._host = server.host  # what STARTTLS checks the certificate against

    def _get_socket(self, host: str, port: int, timeout: Any) -> socket.socket:
        last: OSError = ConnectionError("no address")
        for place in self._at:
            try:
                plain = socket.create_connection((place, port), timeout)
            except OSError as error:
                last = error
                continue
            if self._server.tls == "yes":
                return self._tls().wrap_socket(plain, server_hostname=self._server.host)
            return plain
        raise last

    def greet(self) -> None:
        """Connects, takes up TLS and logs in."""
        server = self._server
        code, text = self.connect(server.host, server.port)
        if code != 220:
            raise smtplib.SMTPConnectError(code, text)
        self.ehlo_or_helo_if_needed()
        if server.tls in ("auto", "starttls"):
            if self.has_extn("starttls"):
                self.starttls(context=self._tls())
                self.ehlo()
            elif server.tls == "starttls":
                raise ProviderError(f"{server.host} offers no TLS, and the connection asks for it")
        if server.user is not None:
            safe = isinstance(self.sock, ssl.SSLSocket) or server.tls == "no" or self._loopback()
            if not safe:
                raise ProviderError(
                    f"{server.host} offers no TLS: the password is not sent in the clear "
                    "(`?tls=no` allows it)"
                )
            self.login(server.user, server.password or "")

    def _loopback(self) -> bool:
        return all(place in ("127.0.0.1", "::1") for place in self._at)


def _step(act: Callable[[], T]) -> T:
    """A step before the message: whatever goes wrong, nothing has been sent."""
    try:
        return act()
    except smtplib.SMTPAuthenticationError as error:
        if 400 <= error.smtp_code < 500:
            raise NotSent(_said(error.smtp_code, error.smtp_error)) from None
        raise ProviderError("the mail server refuses the login: check user and password") from None
    except smtplib.SMTPNotSupportedError:
        raise ProviderError("the mail server has no way to log in that we know") from None
    except smtplib.SMTPResponseException as error:
        raise NotSent(_said(error.smtp_code, error.smtp_error)) from None
    except ssl.SSLCertVerificationError:
        raise NotSent("the mail server's certificate is not valid for its name") from None
    except (OSError, smtplib.SMTPException) as error:
        raise NotSent(f"the mail server can't be reached ({type(error).__name__})") from None


def hand_over(session: smtplib.SMTP, envelope: Envelope) -> Outcome:
    """The message, step by step (RFC 5321, 4.2.1: 4xx may pass, 5xx will not)."""
    options = []
    if not all(text.isascii() for text in (envelope.sender, *envelope.recipients)):
        if not session.has_extn("smtputf8"):
            return Outcome("failed", "invalid_address", {"detail": "the server takes ASCII only"})
        options.append("SMTPUTF8")
    code, said = _step(lambda: session.mail(envelope.sender, options))
    if code != 250:
        return _refused("sender_refused", code, said)
    refused: dict[str, str] = {}
    worst: tuple[int, bytes] | None = None
    for recipient in envelope.recipients:
        code, said = _step(partial(session.rcpt, recipient))
        if code not in (250, 251):
            refused[recipient] = _said(code, said)
            worst = worst if worst is not None and worst[0] < code else (code, said)
    if worst is not None and len(refused) == len(envelope.recipients):
        found = _refused("recipient_refused", *worst)
        if len(refused) == 1:
            return found
        return Outcome("failed", found.error, {**found.data, "refused": refused})
    try:
        code, said = session.data(envelope.content)
    except smtplib.SMTPDataError as error:
        return _refused("message_refused", error.smtp_code, error.smtp_error)
    except (OSError, smtplib.SMTPException):
        raise MaybeSent("the mail server broke off while it took the message") from None
    if code != 250:
        return _refused("message_refused", code, said)
    data = {"response": _said(code, said)}
    return Outcome("succeeded", None, {**data, "refused": refused} if refused else data)


def _refused(error: str, code: int, said: bytes | str) -> Outcome:
    if 400 <= code < 500:
        raise NotSent(_said(code, said))
    return Outcome("failed", error, {"detail": _said(code, said), "code": code})


def _said(code: int, said: bytes | str) -> str:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    return f"{code} {' '.join(text.split())}"[:500]
