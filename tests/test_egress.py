"""The client for everything outgoing: where it goes, how long, how much, and to whom."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_address

import pytest
import trustme

from bizrun.providers.addresses import Refused, locate, objection
from bizrun.providers.base import MaybeSent, NotSent
from bizrun.providers.egress import Egress

from .fakes.web import Answer, serving


def resolving(*addresses: str) -> Callable[[str, int], list[str]]:
    return lambda host, port: list(addresses)


# --- where it may go ---------------------------------------------------------------------------

FORBIDDEN = [
    "127.0.0.1", "127.8.8.8", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1",
    "169.254.169.254", "169.254.170.2", "100.100.100.200", "100.64.0.1", "168.63.129.16",
    "192.0.0.192", "0.0.0.0", "224.0.0.1", "239.1.1.1", "255.255.255.255", "240.0.0.1",
    "198.18.0.1", "192.0.2.1", "::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
    "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::",
    "2001:0:7f00:1::80ff:fffe", "::127.0.0.1", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1",
    "2001:db8::1",
]  # fmt: skip
ALLOWED = ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "64:ff9b::101:101", "172.32.0.1"]
NEVER = ["169.254.169.254", "::ffff:169.254.169.254", "fe80::1", "fd00:ec2::254", "0.0.0.0",
         "100.100.100.200", "224.0.0.1"]  # fmt: skip


@pytest.mark.parametrize("text", FORBIDDEN)
def test_places_that_are_not_public_are_refused(text: str) -> None:
    assert objection(ip_address(text), private=False)


@pytest.mark.parametrize("text", ALLOWED)
def test_public_places_are_fine(text: str) -> None:
    assert objection(ip_address(text), private=False) is None


@pytest.mark.parametrize("text", NEVER)
def test_metadata_is_refused_also_where_private_places_are_allowed(text: str) -> None:
    assert objection(ip_address(text), private=True)


@pytest.mark.parametrize("text", ["127.0.0.1", "::1", "10.1.2.3", "fd12::1", "::ffff:127.0.0.1"])
def test_private_places_can_be_allowed(text: str) -> None:
    assert objection(ip_address(text), private=True) is None


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1/", "http://2130706433/", "http://0x7f.1/", "http://0177.0.0.1/",
     "http://127.1/", "http://[::1]/", "http://[::ffff:7f00:1]/", "http://localhost/",
     "http://localhost./", "http://LOCALHOST/"],
)  # fmt: skip
def test_this_machine_by_any_name_is_refused(url: str) -> None:
    with pytest.raises(Refused, match="calls don't go there"):
        Egress().send("GET", url)


@pytest.mark.parametrize(
    "url",
    ["ftp://a.example/", "file:///etc/passwd", "//a.example/", "a.example", "http://",
     "http:///x", "http://u:p@a.example/", "http://u@a.example/", "http://a.example:99999/",
     "http://a.example:0/", "http://a b.example/", "http://a.example/\r\nHost: b",
     "http://a.example\\@b.example/", "http://a.example/é", "http://[::1", "http://a.example/\x00",
     "http://" + "a" * 9000],
)  # fmt: skip
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(Refused):
        locate(url, True, resolving("1.1.1.1"))


def test_one_bad_address_among_good_ones_refuses_the_host() -> None:
    with pytest.raises(Refused, match="in a private network"):
        locate("https://a.example/", False, resolving("1.1.1.1", "10.0.0.1"))


def test_a_name_is_resolved_once_and_the_connection_goes_where_it_was_judged() -> None:
    asked: list[str] = []

    def rebinding(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["169.254.169.254"]

    with serving({"ok": True}) as server:
        url = f"http://rebind.example:{server.port}/x?y=1"
        found = Egress(rebinding).send("GET", url, private=True)
        assert found.status == 200
        assert asked == ["rebind.example"]
        assert server.seen[0].path == "/x?y=1"
        assert server.seen[0].headers["host"] == f"rebind.example:{server.port}"


def test_a_name_that_is_unknown_was_not_sent() -> None:
    def unknown(host: str, port: int) -> list[str]:
        raise socket.gaierror("no")

    with pytest.raises(NotSent, match=r"there is no host nowhere\.example"):
        Egress(unknown).send("GET", "https://nowhere.example/")


# --- what goes and comes -------------------------------------------------------------------------


def test_redirects_are_not_followed() -> None:
    with serving(lambda _: Answer(302, None, {"Location": "http://169.254.169.254/"})) as server:
        found = Egress().send("GET", server.url, private=True)
        assert (found.status, found.ok, len(server.seen)) == (302, False, 1)


def test_method_headers_and_body_arrive() -> None:
    with serving({"a": 1}) as server:
        headers = {"X-One": "1", "Content-Type": "application/json"}
        found = Egress().send("POST", f"{server.url}/p", headers, b'{"b":2}', private=True)
        assert found.body == b'{"a": 1}'
        assert found.headers["content-type"] == "application/json"
        seen = server.seen[0]
        assert (seen.method, seen.body, seen.headers["x-one"]) == ("POST", b'{"b":2}', "1")
        assert seen.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    ("name", "value"),
    [("X", "a\r\nEvil: 1"), ("X", "a\nb"), ("X\r\nEvil", "a"), ("X Y", "a"), ("", "a"),
     ("X", "\x00")],
)  # fmt: skip
def test_headers_hold_one_line(name: str, value: str) -> None:
    with pytest.raises(Refused, match=r"header"):
        Egress(resolving("1.1.1.1")).send("GET", "https://a.example/", {name: value})


def test_a_large_answer_is_cut() -> None:
    with serving(lambda _: Answer(200, b"x" * 50_000)) as server:
        found = Egress().send("GET", server.url, private=True, max_body=10_000)
        assert (found.status, found.body, found.cut) == (200, b"", True)


def test_a_lost_answer_may_have_been_sent() -> None:
    with serving({}) as server:
        server.faults = ["reset_after", "timeout_after"]
        with pytest.raises(MaybeSent, match="broke off"):
            Egress().send("POST", server.url, private=True)
        with pytest.raises(MaybeSent, match="did not answer in time"):
            Egress().send("POST", server.url, private=True, timeout=1)


def test_a_closed_port_was_not_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with pytest.raises(NotSent, match="can't be reached"):
        Egress().send("POST", f"http://127.0.0.1:{port}/", private=True)


@contextmanager
def dripping() -> Iterator[int]:
    """A server that sends a byte of its headers every 0.2 seconds."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            client, _ = server.accept()
            with client:
                try:
                    for byte in b"HTTP/1.1 200 OK\r\n" + b"X-Long: aaaaaaaaaaaaaaaaaaaaaaaaaa":
                        client.sendall(bytes([byte]))
                        time.sleep(0.2)
                except OSError:
                    return

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        yield server.getsockname()[1]


def test_a_dripping_answer_ends_in_time() -> None:
    with dripping() as port:
        begun = time.monotonic()
        with pytest.raises(MaybeSent, match="did not answer in time"):
            Egress().send("GET", f"http://127.0.0.1:{port}/", private=True, timeout=1)
        assert time.monotonic() - begun < 3


# --- TLS -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def contexts(authority: trustme.CA, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(server)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(client)
    return server, client


def test_the_certificate_is_checked_against_the_name_not_the_address(
    authority: trustme.CA,
) -> None:
    server_side, client_side = contexts(authority, "good.example")
    with serving({"ok": 1}, server_side) as server:
        egress = Egress(resolving("127.0.0.1"), client_side)
        found = egress.send("GET", f"https://good.example:{server.port}/", private=True)
        assert found.status == 200
        with pytest.raises(NotSent, match="certificate is not valid for that name"):
            egress.send("GET", f"https://evil.example:{server.port}/", private=True)


def test_an_unknown_authority_is_refused(authority: trustme.CA) -> None:
    server_side, _ = contexts(authority, "good.example")
    with serving({"ok": 1}, server_side) as server:
        egress = Egress(resolving("127.0.0.1"))
        with pytest.raises(NotSent, match="certificate"):
            egress.send("GET", f"https://good.example:{server.port}/", private=True)
