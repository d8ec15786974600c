"""`bizrun serve` from outside: events in every form, tokens, its beginning and its end."""

from __future__ import annotations

import gzip
import json
import random
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from .serving import COMMAND, SHOP, Served, events_of, serving, token, until


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("shop")) as served:
        served.results({"id": "first", "type": "Customer.signup", "data": {"id": "a1"}})
        yield served


def called(id_: str, **more: Any) -> dict[str, Any]:
    return {"id": id_, "type": "API.called", "data": {"account": "a1"}, **more}


HANDLED = {"status": "handled", "reason": None, "reply": None}
BATCH = "application/cloudevents-batch+json"
LINES = "application/x-ndjson"


def test_one_event_and_its_reply(shop: Served) -> None:
    event = {"id": "s1", "type": "Customer.signup", "data": {"id": "b1"}}
    assert shop.results(event, "application/cloudevents+json") == [
        {"id": "s1", "status": "handled", "reason": None, "reply": {"welcome": "b1"}}
    ]


def test_a_second_time_is_a_duplicate(shop: Served) -> None:
    assert shop.results(called("d1")) == [{"id": "d1", **HANDLED}]
    assert shop.results(called("d1"))[0]["status"] == "duplicate"


def test_twice_and_shuffled(shop: Served) -> None:
    events = [called(f"w{number}") for number in range(40)] * 2
    random.Random(3).shuffle(events)
    results = [shop.results(events[n : n + 8], BATCH) for n in range(0, len(events), 8)]
    statuses = Counter(result["status"] for some in results for result in some)
    assert statuses == {"handled": 40, "duplicate": 40}


def test_same_id_with_another_payload(shop: Served) -> None:
    shop.results(called("c1"))
    for _ in range(2):
        found = shop.results(called("c1", data={"account": "a1", "units": 7}))[0]
        assert found["status"] == "rejected"
        assert "another payload" in found["reason"]


def test_batches_answer_in_order(shop: Served) -> None:
    events = [
        called("o1"),
        {"id": "o2", "type": "Credits.bought", "data": {"account": "a1", "number": 101}},
        called("o1"),
        {"id": "o3", "type": "Nobody.cares", "data": {}},
        {"id": "o4"},
        called("o5", data={"account": "nobody"}),
    ]
    others = [{**event, "id": f"l{event['id']}"} for event in events]
    lines = "\n\n".join(json.dumps(event) for event in others)
    for found in (shop.results(events, BATCH), shop.results(lines, LINES)):
        assert [result["status"] for result in found] == [
            "handled", "rejected", "duplicate", "handled", "rejected", "rejected",
        ]  # fmt: skip
        reasons = [result["reason"] for result in found]
        assert reasons[1] == "at most 100 at a time"
        assert reasons[3] == "nothing in the spec looks at Nobody.cares"
        assert reasons[4] == "the event has no `type`"
        assert reasons[5] == "`account`: there is no Account `nobody`"
    assert shop.results([], BATCH) == []
    nameless = shop.results([called("o6"), {**called("o7"), "id": ""}], BATCH)[1]
    assert nameless["reason"] == "the event's `id` must be text of 1 to 500 characters"


def test_binary_mode(shop: Served) -> None:
    headers = {"ce-id": "b%C3%BC1", "ce-type": "API.called", "ce-source": "/me"}
    answer = shop.post({"account": "a1"}, **headers)
    assert answer.json() == {"results": [{"id": "bü1", **HANDLED}]}
    again = shop.post({"account": "a1"}, **headers).json()["results"][0]
    assert again["status"] == "duplicate"


@pytest.mark.parametrize("many", [False, True])
def test_the_content_type_decides_over_headers(shop: Served, many: bool) -> None:
    """What is structured may repeat its attributes as headers (the HTTP binding, 3.2.3)."""
    id_ = f"both-{many}"
    event = called(id_, specversion="1.0", source="/me", data={"account": "a1", "units": 7})
    kind = BATCH if many else "application/cloudevents+json"
    headers = {"ce-id": id_, "ce-type": "API.called", "ce-source": "/me", "ce-specversion": "1.0"}
    answer = shop.post([event] if many else event, kind, **headers)
    assert answer.json() == {"results": [{"id": id_, **HANDLED}]}
    again = shop.results(event)[0]
    assert again["status"] == "duplicate", "it was taken with its own data"


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("plain", "plain"),
        ("Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"),  # of the HTTP binding, 3.1.3.2
        ("%22", '"'),
        ('"in quotes"', "in quotes"),
        (r'"a \"b\" \\ %41"', 'a "b" \\ A'),
        ("100%", "100%"),
        ("%2541", "%41"),
    ],
)
def test_headers_of_a_binary_event(shop: Served, sent: str, read: str) -> None:
    headers = {"CE-ID": sent, "Ce-Type": "API.called", "ce-source": "/h", "ce-specversion": "1.0"}
    assert shop.post({"account": "a1"}, **headers).json()["results"] == [{"id": read, **HANDLED}]


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"data_base64": "eyJhY2NvdW50IjogImExIn0="}, None),
        ({"data_base64": "eyJhY2NvdW50IjogImExIn0=", "datacontenttype": "text/json"}, "text/json"),
        ({"data_base64": "eyJhY2NvdW50IjogImExIn0=", "data": {"account": "a1"}}, "both"),
        ({"data_base64": "!"}, "no JSON in base64"),
        ({"data_base64": "/w=="}, "no JSON in base64"),
        ({"data_base64": "W1tb" * 200}, "nested"),
        ({"data": "<x/>", "datacontenttype": "text/xml"}, "must be an object"),
        ({"data": {"account": "a1"}, "specversion": "0.3"}, "`specversion` is 0.3"),
        ({"data": {"account": "a1"}, "comexample": "x", "traceparent": "00-1"}, None),
        ({"data": {"account": "a1"}, "time": "2026-01-01t00:00:00.5+02:00"}, None),
        ({"data": {"account": "a1"}, "time": "2026-01-01 00:00:00z"}, None),
    ],
)
def test_attributes_of_an_event(shop: Served, more: dict[str, Any], reason: str | None) -> None:
    event = {"id": json.dumps(more)[:90], "source": "/a", "type": "API.called", **more}
    fine = {"id": "beside", "type": "API.called", "data": {"account": "a1"}}
    found, _ = shop.results([event, fine], BATCH)
    assert found["status"] == ("rejected" if reason else "handled"), found
    assert (reason or "") in (found["reason"] or "")


@pytest.mark.parametrize(
    ("method", "path", "status", "header"),
    [
        *((method, "/events", 405, ("allow", "POST")) for method in ("GET", "PUT", "OPTIONS")),
        ("POST", "/health", 405, ("allow", "GET")),
        ("GET", "/webhooks/stripe", 405, ("allow", "POST")),
        ("GET", "/nowhere", 404, ("content-type", "application/problem+json")),
        ("GET", "/dashboard", 403, ("www-authenticate", 'scope="read"')),
    ],
)
def test_what_is_not_served(
    shop: Served, method: str, path: str, status: int, header: tuple[str, str]
) -> None:
    answer = shop.http.request(method, path, headers=shop.headers)
    assert answer.status_code == status
    assert header[1] in answer.headers[header[0]]


def test_time(shop: Served) -> None:
    now = datetime.now(UTC)

    def at(minutes: int) -> str:
        return (now + timedelta(minutes=minutes)).isoformat()

    assert shop.results(called("t1", time=at(-10)))[0]["status"] == "handled"
    assert shop.results(called("t1", time=at(-10)))[0]["status"] == "duplicate"
    assert shop.results(called("t2", time=at(2)))[0]["status"] == "handled"
    ahead = shop.post(called("t3", time=at(10)))
    assert ahead.status_code == 400
    assert "5 minutes ahead" in ahead.json()["detail"]
    assert shop.results([called("t4"), called("t3", time=at(10))])[1]["status"] == "rejected"
    assert shop.results(called("t3"))[0]["status"] == "handled"


@pytest.mark.parametrize(
    ("body", "kind", "status", "detail"),
    [
        (b"", "application/json", 400, "empty"),
        (b"\n\n", LINES, 400, "no events"),
        (b"{", "application/json", 400, "no JSON"),
        (b"[1,", BATCH, 400, "no JSON"),
        (b'[{"id": "\\ud800"}]', BATCH, 400, "no JSON: `\\ud800` is half of a character"),
        (b"{}", BATCH, 400, "array"),
        (b"{}", "application/json", 400, "no `type`"),
        (b'{"type": "A.b"}', "application/json", 400, "no `id`"),
        (b'{"id": "x", "type": 5}', "application/json", 400, "must be text"),
        (b'{"id": "\xff", "type": "A.b"}', "application/json", 400, "not UTF-8"),
        (b'{"id": "n", "type": "A.b", "data": NaN}', "application/json", 400, "no JSON"),
        (b"[" * 100_000, "application/json", 400, "JSON"),
        (b'{"id":"x","type":"A.b","data":' + b"[" * 500 + b"]" * 500 + b"}", LINES, 400, "nested"),
        (b"[" * 101 + b'"' + b'\\"' * 400_000, LINES, 400, "nested"),
        (b'{"id": "x", "type": "A.b", "data": "' + b"x" * 2_000_000 + b'"}', LINES, 400, "longer"),
        (b"[" + b"1," * 20_000 + b"1]", BATCH, 413, "at most 10,000 events"),
        (b"x", "text/plain", 415, "text/plain"),
        (b"x=1", "application/x-www-form-urlencoded", 415, "send application/cloudevents+json"),
        (b"{}", "application/json; charset=latin-1", 415, "UTF-8"),
    ],
)
def test_bodies_without_events(
    shop: Served, body: bytes, kind: str, status: int, detail: str
) -> None:
    answer = shop.post(body, kind)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert detail in answer.json()["detail"]
    assert shop.results(called(f"after-{hash((body, kind))}"))[0]["status"] == "handled"


def test_gzip(shop: Served) -> None:
    event = json.dumps(called("z1")).encode()
    packed = gzip.compress(event)
    sent = {"content-encoding": "gzip"}
    assert shop.post(packed, **sent).json()["results"][0]["status"] == "handled"
    assert shop.post(packed[:-9], **sent).status_code == 400
    assert shop.post(event, **sent).status_code == 400
    unknown = shop.post(event, **{"content-encoding": "br"})
    assert (unknown.status_code, unknown.headers["accept-encoding"]) == (415, "gzip")
    bomb = gzip.compress(bytes(200_000_000), 9)
    assert len(bomb) < 1_000_000
    assert shop.post(bomb, **sent).status_code == 413


def test_a_gzip_of_several_members(shop: Served) -> None:
    """Members stand one behind another (RFC 1952, 2.2): each event of each one is taken."""
    sent = {"content-encoding": "gzip"}
    lines = [f"{json.dumps(called(f'member-{n}'))}\n".encode() for n in range(40)]
    packed = b"".join(gzip.compress(line) for line in lines)
    results = shop.post(packed, LINES, **sent).json()["results"]
    assert [result["id"] for result in results] == [f"member-{n}" for n in range(40)]
    for broken in (packed + b"more", packed[:-5]):
        assert shop.post(broken, LINES, **sent).status_code == 400
    bombs = gzip.compress(bytes(9_000_000), 9) * 2
    assert shop.post(bombs, LINES, **sent).status_code == 413
    assert shop.post(gzip.compress(b"") * 700_000, LINES, **sent).status_code == 413


def test_tokens(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        state = served.state
        assert httpx.post(f"{served.url}/events", json=called("x")).status_code == 401
        wrong = served.post(called("x"), authorization="Bearer nonsense")
        assert wrong.status_code == 401
        assert 'error="invalid_token"' in wrong.headers["www-authenticate"]
        assert served.post(called("x"), authorization="Basic eDp4").status_code == 401
        reading = token(state, "read")
        answer = served.post(called("x"), authorization=f"Bearer {reading}")
        assert (answer.status_code, "scope ingest" in answer.json()["detail"]) == (403, True)
        made = [COMMAND, "token", "new", "--scope", "admin", "--state", state]
        admin = subprocess.run(made, capture_output=True, text=True, check=True).stdout.strip()
        assert served.post(called("x"), authorization=f"Bearer {admin}").status_code == 200
        listed = subprocess.run(
            [COMMAND, "token", "list", "--state", state, "--json"], capture_output=True, check=True
        ).stdout
        rows = json.loads(listed)
        assert [row["scope"] for row in rows] == ["ingest", "read", "admin"]
        for secret in (served.token, reading, admin):
            assert secret.encode() not in listed
            assert not any(secret.encode() in p.read_bytes() for p in tmp_path.glob("shop.db*"))
        revoke = [COMMAND, "token", "revoke", rows[2]["id"], "--state", state]
        subprocess.run(revoke, check=True, capture_output=True)
        revoked = {"authorization": f"Bearer {admin}"}
        until(lambda: served.post(called("x"), **revoked).status_code == 401, 5)


PAID = """
business "Shop" { currency USD, bills Account }
entity Account { id text key, goods number = 0, status "new" | "good" = "new" }
connect parcels { url: "https://parcels.example", webhook_secret: env("PARCELS_SECRET") }
event Account.opened key id { id text }
event Parcels.delivered key account { account Account }
event Account.waved key account { account Account }
trigger Account.rich for Account when .goods reaches 5
lifecycle Account.status { start "new", "new" -> "good" on Payment.succeeded }
on Account.opened as opened {
  let account = create Account { ...opened }
  invoice { customer: account, lines: [{ description: "Goods", amount: 5 USD }], collect: false }
}
on Invoice.paid(customer) { update customer { goods: .goods + 1 } }
on Account.rich as rich { log "rich" }
on Account.status_changed as changed { log "changed" }
api GET "/me" () for account {
  return { goods: account.goods, invoices: [for i in Invoice where .customer == account: i.id] }
}
"""


def test_what_bizrun_tells_nobody_else_does(tmp_path: Path) -> None:
    """An invoice is paid where money has come, not where a token says so."""
    with serving(tmp_path, PAID, scope="admin") as served:
        served.results({"id": "o", "type": "Account.opened", "data": {"id": "a1"}})
        own = {"authorization": f"Bearer {token(served.state, 'ingest', 'read', customer='a1')}"}
        service = {"authorization": f"Bearer {token(served.state, 'ingest')}"}
        invoice = served.http.get("/me", headers=own).json()["invoices"][0]
        about = {"invoice": invoice, "customer": "a1", "subject": invoice}
        forged = [
            {"id": "f1", "type": "Invoice.paid", "data": about},
            {"id": "f2", "type": "Account.rich", "data": {"subject": "a1", "account": "a1"}},
            {"id": "f3", "type": "Account.status_changed", "data": {"subject": "a1"}},
            {"id": "f4", "type": "Parcels.delivered", "data": {"account": "a1"}},
        ]
        fine = {"id": "w", "type": "Account.waved", "data": {"account": "a1"}}
        for who, refused in ((own, 4), (service, 3)):
            answer = served.post([*forged, fine], **who)
            statuses = [result["status"] for result in answer.json()["results"]]
            assert statuses == ["rejected"] * refused + ["handled"] * (5 - refused), answer.text
            assert served.http.get("/me", headers=own).json()["goods"] == 0
        alone = served.post(forged[0], **service).json()["results"][0]
        assert "only an admin's token" in alone["reason"]
        assert served.results(forged[0])[0]["status"] == "handled"
        assert served.http.get("/me", headers=own).json()["goods"] == 1


def test_rate(tmp_path: Path) -> None:
    with serving(tmp_path, SHOP, "--rate", "3") as served:
        codes = [served.post(called(f"r{n}")).status_code for n in range(12)]
        assert codes[0] == 200
        assert 429 in codes
        answers = [served.post(called(f"s{n}")) for n in range(12)]
        limited = next(answer for answer in answers if answer.status_code == 429)
        assert limited.headers["retry-after"] == "1"
        assert limited.headers["ratelimit-policy"] == '"token";q=3;w=1'
        assert limited.headers["ratelimit"] == '"token";r=0;t=1'


def test_no_auth_is_for_this_machine_alone(tmp_path: Path) -> None:
    with serving(tmp_path, scope=None) as served:
        assert served.post(called("n1")).status_code == 200
        assert served.http.get("/dashboard").status_code == 200
        assert served.post(called("n2"), host="evil.example").status_code == 403
        assert served.post(called("n3"), origin="https://evil.example").status_code == 403
    spec = tmp_path / "shop.biz"
    done = subprocess.run(
        [COMMAND, "serve", spec, "--no-auth", "--host", "0.0.0.0"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "--no-auth lets anyone in" in done.stderr


def test_stops_with_zero_and_starts_where_it_was(tmp_path: Path) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        with serving(tmp_path) as served:
            served.results({"id": "s", "type": "Customer.signup", "data": {"id": "a1"}})
            served.results(called(f"e{number}"))
            assert served.stop(number) == 0
    ids = [event["id"] for event in events_of(tmp_path / "shop.db")]
    assert ids == ["s", f"e{signal.SIGTERM}", f"e{signal.SIGINT}"]


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["missing.biz"], 2, "There is no file missing.biz"),
        (["wrong.biz"], 1, "E0"),
        (["shop.biz", "--host", "192.0.2.1"], 2, "can't be listened on"),
        (["shop.biz", "--host", "no such host"], 2, "no address"),
        (["shop.biz", "--state", ":memory:"], 2, "has no tokens"),
        (["shop.biz", "--state", "shop.biz"], 3, "no state of bizrun"),
    ],
)
def test_wrong_calls(tmp_path: Path, options: list[str], code: int, said: str) -> None:
    (tmp_path / "shop.biz").write_text(SHOP)
    (tmp_path / "wrong.biz").write_text("busines {")
    done = subprocess.run(
        [COMMAND, "serve", *options, "--port", "0", "--out", "none"],
        capture_output=True, text=True, cwd=tmp_path, timeout=60,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
