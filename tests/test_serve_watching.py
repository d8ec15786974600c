"""Those who watch a server: its health, its figures, the stream of what happens, the dashboard."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from .serving import Served, serving, token

SPEC = """
business "Shop" { currency USD, bills Account }
entity Account { id text key, email text }
plan basic { price 10 USD per month }
event Customer.signup key id { id text, email text }
on Customer.signup as signup {
  let account = create Account { ...signup }
  subscribe { customer: account, plan: basic }
  email { to: account.email, subject: "Hello", body: "Welcome." }
}
metric accounts: number = count(Account) every day
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("shop"), SPEC, scope="admin") as served:
        signup(served, "a1")
        yield served


def signup(served: Served, id_: str) -> None:
    data = {"id": id_, "email": f"{id_}@example.com"}
    found = served.results({"id": f"s-{id_}", "type": "Customer.signup", "data": data})
    assert found[0]["status"] == "handled", found


def told(lines: Iterator[str]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(id, kind, data) of each event of a stream."""
    fields: dict[str, str] = {}
    for line in lines:
        if line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "data" in fields:
            yield fields["id"], fields["event"], json.loads(fields["data"])
            fields = {}


def test_health(shop: Served) -> None:
    assert shop.http.get("/health").json() == {"status": "ok"}
    found = shop.http.get("/health", headers=shop.headers).json()
    assert found["status"] == "ok"
    assert found["store"]["events"] > 0
    assert found["stuck"] == {"effects": 0, "timers": 0, "newest": []}


def test_metrics(shop: Served) -> None:
    assert shop.http.get("/metrics").status_code == 401
    shop.post({"id": "s-a1", "type": "Customer.signup", "data": {}})
    answer = shop.http.get("/metrics", headers=shop.headers)
    assert answer.headers["content-type"].startswith("text/plain; version=")
    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    assert samples["bizrun_up",] == 1
    assert samples["bizrun_events_total", "handled"] >= 1
    assert samples["bizrun_events_total", "rejected"] == 1
    assert samples["bizrun_requests_total", "/events", "200"] >= 2
    assert samples["bizrun_timers",] >= 1


def test_stream(shop: Served) -> None:
    with shop.http.stream("GET", "/stream", headers=shop.headers) as answer:
        assert answer.headers["content-type"] == "text/event-stream"
        happenings = told(answer.iter_lines())
        signup(shop, "a2")
        found = []
        while not {"event", "effect", "invoice"} <= {kind for _, kind, _ in found}:
            found.append(next(happenings))
    assert (found[0][2]["id"], found[0][2]["status"]) == ("s-a2", "handled")
    effect = next(data for _, kind, data in found if kind == "effect")
    assert (effect["event"], effect["status"]) == ("s-a2", "done")
    assert "example.com" not in json.dumps(found)
    # Cut off after the second, it goes on with the third.
    again = {**shop.headers, "last-event-id": found[1][0]}
    with shop.http.stream("GET", "/stream", headers=again) as answer:
        assert list(islice(told(answer.iter_lines()), 3)) == found[2:5]
    wrong = {**shop.headers, "last-event-id": "x"}
    assert shop.http.get("/stream", headers=wrong).status_code == 400


def test_stream_goes_on_over_a_restart(tmp_path: Path) -> None:
    with serving(tmp_path, SPEC, scope="admin") as served:
        signup(served, "b1")
        assert served.stop() == 0
    with serving(tmp_path, SPEC, scope="admin") as served:
        signup(served, "b2")
        headers = {**served.headers, "last-event-id": "0.0"}
        with served.http.stream("GET", "/stream", headers=headers) as answer:
            seen = []
            for _, kind, data in told(answer.iter_lines()):
                if kind == "event":
                    seen.append((data["seq"], data["id"]))
                if data["id"] == "s-b2":
                    break
    assert [number for number, _ in seen] == list(range(1, len(seen) + 1))
    assert (1, "s-b1") in seen


def test_a_stream_does_not_keep_the_server_from_ending(tmp_path: Path) -> None:
    with serving(tmp_path, SPEC, scope="admin") as served:
        other = httpx.Client(base_url=served.url, headers=served.headers)
        with other.stream("GET", "/stream") as answer:
            assert answer.status_code == 200
            assert served.stop() == 0
        other.close()


def test_dashboard(shop: Served) -> None:
    page = shop.http.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = page.headers["content-security-policy"]
    nonces = set(re.findall(r'nonce="([^"]+)"', page.text))
    assert len(nonces) == 1
    assert f"'nonce-{nonces.pop()}'" in policy
    assert "default-src 'none'" in policy
    assert not re.search(r"(?:src|href)=[\"']?(?:https?:)?//", page.text)
    assert shop.http.get("/dashboard").status_code == 401
    found = shop.http.get("/dashboard", headers=shop.headers).json()
    assert found["title"] == "Shop"
    assert found["numbers"]["Accounts"] >= 1
    assert found["invoices"][0]["total"] == "10.00 USD"
    assert found["effects"][0]["status"] == "done"
    assert any(event["id"] == "s-a1" for event in found["events"])


def test_who_may_watch(shop: Served) -> None:
    customers = token(shop.state, "read", customer="a1")
    sender = token(shop.state, "ingest")
    for path in ("/metrics", "/stream", "/dashboard"):
        for secret in (customers, sender):
            headers = {"authorization": f"Bearer {secret}"}
            assert shop.http.get(path, headers=headers).status_code == 403, path
        assert shop.http.post(path, headers=shop.headers).status_code == 405
