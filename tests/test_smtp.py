"""Email to a real SMTP server: what it takes, what it refuses, what may have been sent twice."""

from __future__ import annotations

import email
import socket
import ssl
from collections.abc import Iterator
from typing import Any

import pytest
import trustme

from bizrun.errors import ProviderError
from bizrun.providers.addresses import Refused
from bizrun.providers.base import Call, MaybeSent, NotSent
from bizrun.providers.bounces import bounces
from bizrun.providers.mailboxes import mailboxes, valid
from bizrun.providers.smtp import SmtpProvider, ascii_domain, envelope_of

from .fakes.effects import KEY, call, effect
from .fakes.smtp import PASSWORD, USER, Mailbox, fake_smtp

MESSAGE = (
    b"From: Acme <hello@acme.example>\r\nTo: Ada <ada@example.com>\r\nSubject: Hi\r\n"
    b"Message-ID: <" + KEY[:32].encode() + b"@acme.example>\r\n\r\nHello.\r\n"
)


@pytest.fixture
def box() -> Iterator[Mailbox]:
    with fake_smtp() as mailbox:
        yield mailbox


def sending(url: str, message: bytes = MESSAGE, **block: Any) -> Call:
    return call("smtp", block, {"SMTP_URL": url}, seconds=2, message=message)


ASKED = effect("email", to="ada@example.com")


def test_a_message_arrives_as_it_was_written(box: Mailbox) -> None:
    found = SmtpProvider().deliver(ASKED, sending(box.url))
    assert (found.status, found.data) == ("succeeded", {"response": "250 OK: queued"})
    got = box.messages[0]
    assert (got.mail_from, got.rcpt_tos) == ("hello@acme.example", ["ada@example.com"])
    assert isinstance(got.content, bytes)
    read = email.message_from_bytes(got.content)
    assert read["Message-ID"] == f"<{KEY[:32]}@acme.example>"


def test_blind_copies_are_blind(box: Mailbox) -> None:
    message = MESSAGE.replace(
        b"Subject",
        b"Cc: b@example.com\r\nBcc: c@example.com,\r\n d@example.com\r\nSubject",
    )
    blind = "c@example.com, d@example.com"
    asked = effect("email", to="a@example.com", cc="b@example.com", bcc=blind)
    SmtpProvider().deliver(asked, sending(box.url, message))
    got = box.messages[0]
    assert got.rcpt_tos == [f"{name}@example.com" for name in "abcd"]
    assert isinstance(got.content, bytes)
    assert b"Bcc" not in got.content and b"d@example.com" not in got.content
    assert b"Cc: b@example.com\r\nSubject: Hi\r\n" in got.content


HOSTILE = [
    "", "nobody", "a@b@c", "a b@example.com", "a@-x.example", "a@x..example", "<a@example.com",
    "a@example.com\x00", "\"a\r\nRCPT TO:<x@y.z>\"@example.com", "a@" + "x" * 400,
    "a@exa mple.com", "@example.com", "a@",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        envelope_of(MESSAGE, [text], KEY, None)


def test_names_before_addresses() -> None:
    text = '"Doe, Ada" <ada@example.com>, Bob <bob@example.com>, =?utf-8?B?w6k=?= <e@example.com>'
    assert mailboxes(text) == ["ada@example.com", "bob@example.com", "e@example.com"]
    assert valid(text) and not valid("root@localhost") and not valid(7)


def test_more_recipients_than_there_should_be() -> None:
    with pytest.raises(Refused, match="100"):
        envelope_of(MESSAGE, [", ".join(f"a{n}@example.com" for n in range(101))], KEY, None)


def test_addresses_of_other_scripts(box: Mailbox) -> None:
    assert ascii_domain("ada@bücher.example") == "ada@xn--bcher-kva.example"
    SmtpProvider().deliver(effect("email", to="jörg@example.com"), sending(box.url))
    assert box.messages[0].rcpt_tos == ["jörg@example.com"]


def test_a_wrong_address_fails_without_a_call(box: Mailbox) -> None:
    found = SmtpProvider().deliver(effect("email", to="nobody"), sending(box.url))
    assert (found.status, found.error) == ("failed", "invalid_address")
    assert not box.messages


def test_a_recipient_that_does_not_exist_fails_for_good(box: Mailbox) -> None:
    box.refuse["ada@example.com"] = "550 5.1.1 no such user"
    found = SmtpProvider().deliver(ASKED, sending(box.url))
    assert (found.status, found.error) == ("failed", "recipient_refused")
    assert found.data == {"detail": "550 5.1.1 no such user", "code": 550}


def test_greylisting_passes(box: Mailbox) -> None:
    box.refuse["ada@example.com"] = "450 4.2.0 greylisted"
    with pytest.raises(NotSent, match="greylisted"):
        SmtpProvider().deliver(ASKED, sending(box.url))


def test_some_of_several_recipients(box: Mailbox) -> None:
    box.refuse["b@example.com"] = "550 5.1.1 no such user"
    asked = effect("email", to="a@example.com, b@example.com")
    found = SmtpProvider().deliver(asked, sending(box.url))
    assert found.status == "succeeded"
    assert found.data["refused"] == {"b@example.com": "550 5.1.1 no such user"}


def test_what_the_server_says_of_the_message(box: Mailbox) -> None:
    box.replies = ["451 4.3.0 later", "552 5.3.4 too large"]
    with pytest.raises(NotSent, match="later"):
        SmtpProvider().deliver(ASKED, sending(box.url))
    found = SmtpProvider().deliver(ASKED, sending(box.url))
    assert (found.status, found.error) == ("failed", "message_refused")
    assert not box.messages


@pytest.mark.parametrize("reply", ["drop", "hang"])
def test_a_lost_answer_may_have_been_sent(box: Mailbox, reply: str) -> None:
    box.replies = [reply]
    with pytest.raises(MaybeSent):
        SmtpProvider().deliver(ASKED, sending(box.url))
    assert len(box.messages) == 1


def test_a_server_that_is_down_was_not_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with pytest.raises(NotSent, match="can't be reached"):
        SmtpProvider().deliver(ASKED, sending(f"smtp://127.0.0.1:{port}"))


def test_what_the_spec_says_of_repetition() -> None:
    provider = SmtpProvider()
    assert provider.guarantee(ASKED) == "at_least_once"
    provider.configure(sending("x", delivery="at_most_once").secrets)
    assert provider.guarantee(ASKED) == "at_most_once"


# --- TLS and logging in --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tls() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(client)
    return server, client


@pytest.mark.parametrize("implicit", [False, True])
def test_tls_and_a_login(tls: tuple[ssl.SSLContext, ssl.SSLContext], implicit: bool) -> None:
    server, client = tls
    with fake_smtp(server, implicit, auth=True) as box:
        url = box.url.replace("://", f"://{USER}:{PASSWORD}@")
        provider = SmtpProvider(tls=client)
        assert provider.deliver(ASKED, sending(url)).status == "succeeded"
        wrong = sending(box.url.replace("://", f"://{USER}:wrong-canary@"))
        with pytest.raises(ProviderError, match="refuses the login") as error:
            provider.deliver(ASKED, wrong)
        assert "canary" not in str(error.value)


def test_a_certificate_of_another_name(tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    server, client = tls
    with fake_smtp(server) as box:
        provider = SmtpProvider(lambda host, port: ["127.0.0.1"], client)
        with pytest.raises(NotSent, match="certificate"):
            provider.deliver(ASKED, sending(box.url.replace("127.0.0.1", "mail.example")))
        assert not box.messages


def test_no_password_in_the_clear() -> None:
    with fake_smtp(auth=True) as box:
        url = box.url.replace("127.0.0.1", f"{USER}:{PASSWORD}@mail.example")
        elsewhere = SmtpProvider(lambda host, port: ["127.0.0.1"])
        asking = SmtpProvider()
        with pytest.raises(ProviderError, match="offers no TLS"):
            asking.deliver(ASKED, sending(box.url + "?tls=starttls"))
        assert elsewhere.deliver(ASKED, sending(url)).status == "succeeded"  # this machine


@pytest.mark.parametrize("url", ["", "http://x", "smtp://", "smtp://a:b", "mail.example:25"])
def test_an_address_of_a_server_that_is_none(url: str) -> None:
    with pytest.raises(ProviderError, match="SMTP_URL"):
        SmtpProvider().deliver(ASKED, sending(url))


def test_mail_does_not_go_to_metadata() -> None:
    with pytest.raises(ProviderError, match="metadata"):
        SmtpProvider().deliver(ASKED, sending("smtp://169.254.169.254"))


# --- bounces -------------------------------------------------------------------------------------

REPORT = f"""From: MAILER-DAEMON@mx.example\r
To: bounces+{KEY[:32]}@acme.example\r
Subject: Undelivered\r
MIME-Version: 1.0\r
Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r
\r
--b\r
Content-Type: text/plain\r
\r
Sorry.\r
--b\r
Content-Type: message/delivery-status\r
\r
Reporting-MTA: dns; mx.example\r
\r
Original-Recipient: rfc822;ada@example.com\r
Final-Recipient: rfc822; ada@inner.example\r
Action: failed\r
Status: 5.1.1\r
Diagnostic-Code: smtp; 550 5.1.1 <ada@example.com>:\r
 user unknown\r
\r
Final-Recipient: rfc822; bob@example.com\r
Action: delayed\r
Status: 4.4.1\r
--b\r
Content-Type: text/rfc822-headers\r
\r
Message-ID: <{KEY[:32]}@acme.example>\r
--b--\r
""".encode()


def test_a_report_says_who_was_not_reached() -> None:
    (found,) = bounces(REPORT)
    assert found.data() == {
        "to": "ada@example.com", "reason": "550 5.1.1 <ada@example.com>: user unknown",
        "status": "5.1.1", "permanent": True, "email": KEY[:32],
    }  # fmt: skip
    without = REPORT.replace(f"bounces+{KEY[:32]}".encode(), b"hello")
    assert bounces(without)[0].effect == KEY[:32]
    unknown = without.replace(b"Message-ID", b"X-Other")
    assert bounces(unknown)[0].effect is None


@pytest.mark.parametrize(
    "raw", [b"", b"\xff\xfe", b"Subject: Hi\r\n\r\nHello", REPORT.replace(b"failed", b"delivered"),
            REPORT[:300], b"Content-Type: multipart/report; boundary=b\r\n\r\n" + b"--b\r\n" * 999],
)  # fmt: skip
def test_what_is_no_report(raw: bytes) -> None:
    assert bounces(raw) == []


def test_the_sender_of_an_email_names_it_for_reports() -> None:
    found = envelope_of(MESSAGE, ["ada@example.com"], KEY, "bounces@acme.example")
    assert found.sender == f"bounces+{KEY[:32]}@acme.example"
