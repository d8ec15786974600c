"""A server's life: an edited spec, timers on the wall clock, kill -9, a full disk, rude clients."""

from __future__ import annotations

import json
import resource
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bizrun.store.open import open_store

from .serving import SHOP, Served, events_of, serving, until

GREETING = """
business "Shop" { currency USD, bills Account }
entity Account { id text key, greeting text = "" }
event Customer.signup key id { id text }
event Customer.greeted key account { account Account }
on Customer.signup as signup {
  let account = create Account { id: signup.id }
  wait for Customer.greeted as g where g.account == account
  update account { greeting: "VERSION" }
}
api GET "/version" () { return "VERSION" }
api GET "/accounts/{id}" (id: Account) { return { greeting: id.greeting } }
"""


def event(id_: str, type_: str, **data: Any) -> dict[str, Any]:
    return {"id": id_, "type": type_, "data": data}


def get(served: Served, path: str) -> Any:
    answer = served.http.get(path, headers=served.headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


# --- an edited spec ------------------------------------------------------------------------------


def test_an_edited_spec(tmp_path: Path) -> None:
    spec, said = tmp_path / "shop.biz", tmp_path / "stderr.txt"
    with serving(tmp_path, GREETING.replace("VERSION", "one"), scope="admin") as served:
        served.results(event("s1", "Customer.signup", id="a1"))
        spec.write_text(GREETING.replace("VERSION", "two"))
        until(lambda: get(served, "/version") == "two")
        served.results(event("s2", "Customer.signup", id="a2"))
        # A handler goes on with the version that it began with.
        for number in (1, 2):
            served.results(event(f"g{number}", "Customer.greeted", account=f"a{number}"))
        assert get(served, "/accounts/a1") == {"greeting": "one"}
        assert get(served, "/accounts/a2") == {"greeting": "two"}
        # One with errors is shown, and the one before is served on.
        spec.write_text(GREETING.replace('return "VERSION"', "return missing"))
        until(lambda: "has errors" in said.read_text())
        assert "E0" in said.read_text()
        assert get(served, "/version") == "two"
        # One that does not fit what is stored as well.
        larger = GREETING.replace("key, greeting", "key, size number, greeting")
        spec.write_text(larger.replace("id: signup.id }", "id: signup.id, size: 1 }"))
        until(lambda: "can't be taken up" in said.read_text())
        assert get(served, "/version") == "two"
        spec.write_text(GREETING.replace("VERSION", "three"))
        served.process.send_signal(signal.SIGHUP)
        until(lambda: get(served, "/version") == "three")
        assert served.stop() == 0
    assert "Traceback" not in said.read_text()


def test_no_request_is_lost_while_a_spec_is_taken_up(tmp_path: Path) -> None:
    spec = tmp_path / "shop.biz"
    with serving(tmp_path) as served:
        served.results(event("s", "Customer.signup", id="a1"))
        done: list[str] = []
        stop = threading.Event()

        def post() -> None:
            while not stop.is_set():
                id_ = f"e{len(done)}"
                [found] = served.results(event(id_, "API.called", account="a1"))
                assert found["status"] == "handled"
                done.append(id_)

        poster = threading.Thread(target=post)
        poster.start()
        said = tmp_path / "stderr.txt"
        for number in range(3):
            until(lambda wanted=20 * (number + 1): len(done) > wanted)
            spec.write_text(SHOP + f"# edited {number}\n")
            served.process.send_signal(signal.SIGHUP)
            until(lambda wanted=number + 1: said.read_text().count("is served") >= wanted)
        stop.set()
        poster.join()
        assert served.stop() == 0
    assert [found["id"] for found in events_of(served.state)] == ["s", *done]


# --- time ----------------------------------------------------------------------------------------

CLOCK = """
business "Shop" { currency USD, bills Account }
entity Account { id text key, state text = "new", ticks number = 0 }
event Customer.signup { id text }
on Customer.signup as signup {
  let account = create Account { id: signup.id }
  after 1 second { update account { state: "later" } }
}
every 1 second { for each account in Account { update account { ticks: .ticks + 1 } } }
api GET "/accounts/{id}" (id: Account) { return { state: id.state, ticks: id.ticks } }
"""


def test_timers_and_schedules_fire_by_the_wall_clock(tmp_path: Path) -> None:
    with serving(tmp_path, CLOCK, scope="admin") as served:
        served.results(event("s", "Customer.signup", id="a1"))
        assert get(served, "/accounts/a1")["state"] == "new"
        until(lambda: get(served, "/accounts/a1")["state"] == "later", 30)
        until(lambda: get(served, "/accounts/a1")["ticks"] >= 2, 30)
        served.stop(signal.SIGKILL)
    time.sleep(1)
    with serving(tmp_path, CLOCK, scope="admin") as served:
        assert get(served, "/accounts/a1")["ticks"] >= 3
        assert served.stop() == 0
    with closing(open_store(str(tmp_path / "shop.db"))) as store:
        moved = [entry.time for entry in store.log() if entry.type == "clock"]
    assert len(moved) >= 3, "the log knows when time moved on"
    shown = {found["type"] for found in events_of(tmp_path / "shop.db")}
    assert "clock" not in shown


# --- what is acknowledged stays ------------------------------------------------------------------


def test_kill_9_while_posting(tmp_path: Path) -> None:
    acknowledged: list[str] = []
    for life in range(4):
        with serving(tmp_path) as served:
            served.post(event("s", "Customer.signup", id="a1"))
            posters = [
                threading.Thread(target=_post_until_killed, args=(served, life, n, acknowledged))
                for n in range(8)
            ]
            before = len(acknowledged)
            for poster in posters:
                poster.start()
            until(lambda wanted=before + 150: len(acknowledged) >= wanted)
            served.process.kill()
            for poster in posters:
                poster.join()
            served.process.wait()
    kept = {found["id"] for found in events_of(served.state)}
    assert len(acknowledged) >= 600
    assert not set(acknowledged) - kept


def _post_until_killed(served: Served, life: int, number: int, acknowledged: list[str]) -> None:
    """Posts one event after another, on a connection of its own, until there is no answer."""
    host, port = served.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        file = connection.makefile("rb")
        for count in range(100_000):
            id_ = f"k{life}-{number}-{count}"
            body = json.dumps(event(id_, "API.called", account="a1"))
            try:
                connection.sendall(_request(served, body.encode()))
                head = _head(file)
                answer = file.read(int(head["content-length"]))
                if f'"id":"{id_}","status":"handled"'.encode() not in answer:
                    return
            except (OSError, LookupError, ValueError):
                return
            acknowledged.append(id_)


def _request(served: Served, body: bytes, **more: str) -> bytes:
    headers = {
        "host": "localhost", "authorization": f"Bearer {served.token}",
        "content-type": "application/json", "content-length": str(len(body)), **more,
    }  # fmt: skip
    lines = [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(["POST /events HTTP/1.1", *lines, "", ""]).encode() + body


def _head(file: Any) -> dict[str, str]:
    status = file.readline().decode()
    found = {"status": status.split(" ")[1]}
    while line := file.readline().decode().strip():
        name, _, value = line.partition(": ")
        found[name] = value
    return found


# --- clients that are slow, large, or wrong ------------------------------------------------------


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("shop")) as served:
        served.results(event("s", "Customer.signup", id="a1"))
        yield served


def quick(served: Served, id_: str) -> None:
    """Others are served as if nothing was."""
    began = time.monotonic()
    [found] = served.results(event(id_, "API.called", account="a1"))
    assert found["status"] == "handled"
    assert time.monotonic() - began < 5


def connected(served: Served) -> socket.socket:
    host, port = served.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=60)


def test_a_body_of_100_mb(shop: Served) -> None:
    answer = shop.post(b'{"id": "' + b"x" * 100_000_000 + b'"}')
    assert answer.status_code == 413
    assert "16,000,000" in answer.json()["detail"]
    quick(shop, "after-100")


def test_a_body_that_does_not_say_how_large_it_is(shop: Served) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(40):
            yield b"x" * 1_000_000

    headers = {**shop.headers, "content-type": "application/json"}
    answer = shop.http.post("/events", content=pieces(), headers=headers)
    assert answer.status_code == 413
    quick(shop, "after-chunked")


def test_a_large_head_that_comes_at_once(shop: Served) -> None:
    """It is whole before anybody has counted it, with the body behind it."""
    for size, code in ((100_000, b"431"), (20_000, b"200")):
        with closing(connected(shop)) as client:
            body = b"[]" + b" " * 100_000
            kind = "application/cloudevents-batch+json"
            client.sendall(_request(shop, body, **{"content-type": kind, "x": "y" * size}))
            assert client.recv(12) == b"HTTP/1.1 " + code
    quick(shop, "after-large-head")


def test_slow_clients(shop: Served) -> None:
    # Heads that come a byte a second, heads that never end, bodies that never come.
    slow = [connected(shop) for _ in range(50)]
    for connection in slow:
        connection.sendall(b"POST /events HTTP/1.1\r\nhost: x\r\n")
    body = connected(shop)
    body.sendall(_request(shop, b"{}", **{"content-length": "1000"}))
    huge = connected(shop)
    huge.sendall(b"GET / HTTP/1.1\r\nx: " + b"y" * 100_000)
    assert huge.recv(12) == b"HTTP/1.1 431"
    quick(shop, "beside-slow")
    end = time.monotonic() + 9
    while time.monotonic() < end:
        slow[0].sendall(b"x")
        time.sleep(1)
    for connection in slow:
        assert connection.recv(12) == b"HTTP/1.1 408"
        connection.close()
    quick(shop, "after-slow")
    for connection in (body, huge):
        connection.close()


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
        b"POST /events HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        b"POST /events HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx",
        b"POST /events HTTP/1.1\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n",
        b"\x00" * 100,
    ],
)
def test_what_is_no_http(shop: Served, sent: bytes) -> None:
    with connected(shop) as connection:
        connection.sendall(sent)
        answer = connection.recv(1000)
        assert answer == b"" or answer.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4"))
    quick(shop, f"after-{hash(sent)}")
    assert not (shop.state.parent / "stderr.txt").read_text(), "strangers write no lines there"


# --- a disk that is full -------------------------------------------------------------------------


def test_a_full_disk(tmp_path: Path) -> None:
    with serving(tmp_path, scope="admin") as served:
        served.results(event("s", "Customer.signup", id="a1"))
        pid = served.process.pid
        _, most = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (400_000, most))
        acknowledged = []
        for number in range(100_000):
            padded = event(f"f{number}", "API.called", account="a1", note="x" * 1000)
            answer = served.post(padded)
            if answer.status_code != 200:
                break
            acknowledged.append(f"f{number}")
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "5"
        assert "full" in answer.json()["detail"]
        health = served.http.get("/health", headers=served.headers)
        assert (health.status_code, health.json()["status"]) == (503, "down")
        assert served.post(event("g", "API.called", account="a1")).status_code == 503
        # There is room again: the same server goes on.
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, most))
        until(lambda: served.post(event("g", "API.called", account="a1")).status_code == 200, 30)
        assert served.http.get("/health").json() == {"status": "ok"}
        assert served.stop() == 0
    kept = [found["id"] for found in events_of(served.state)]
    assert kept[: len(acknowledged) + 1] == ["s", *acknowledged]
    assert kept[-1] == "g"
