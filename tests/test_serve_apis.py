"""The spec's routes over HTTP: parameters, callers, roles, tenants, and every way to be refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from .serving import Served, events_of, serving, token

SPEC = """
business "Desk" { currency USD, bills User, tenant Organization }
entity Organization { id text key }
entity User { id text key, organization Organization, credits number = 0, seen time? }
entity Ticket { id text key, user User, note text = "" }
role support { can tickets.read, notes.* }
role owner { can * }
event Desk.opened { organization text, user text }
event Ticket.asked key user { id text, user User }
event Ticket.dropped { ticket Ticket }
on Desk.opened as d {
  let organization = create Organization { id: d.organization }
  create User { id: d.user, organization }
}
on Ticket.asked as t {
  create Ticket { id: t.id, user: t.user }
  return { tickets: count(Ticket) }
}
on Ticket.dropped(ticket) { delete ticket }

api GET "/me" () for user {
  return { user: user.id, credits: user.credits, since: 2026-01-31, price: 9.50 USD }
}
api GET "/self" () for user { return user }
api GET "/tickets" (mine: bool = false, tags: [text] = [], top: integer = 10) for user {
  return { n: count(Ticket), mine, tags, top }
}
api GET "/tickets/{id}" (id: Ticket) for user { return { id: id.id, note: id.note } }
api GET "/tickets/newest" () for user { return { newest: true } }
api POST "/tickets/{id}/note" (
  id: Ticket, text: text, price: money = 1 USD
) for user can notes.write {
  update id { note: text }
  return { note: id.note, price }
}
api POST "/credits" (by: number) for user {
  update user { credits: .credits + by }
  if user.credits < 0 { reject "not below zero" }
  return user.credits
}
api GET "/all" () can tickets.read { return { n: count(Ticket) } }
api GET "/divide" (by: number) { return 1 / by }
api DELETE "/tickets/{id}" (id: Ticket) for user { delete id }
plan pro { price 9 USD per month }
coupon STAY { 10% off }
api GET "/plans/{plan}" (plan: plan, code: coupon? = none) { return { plan, code } }
"""


class Desk:
    """The server, and a token for each kind of caller."""

    def __init__(self, served: Served) -> None:
        self.served = served
        state = served.state
        self.tokens = {
            "": "",
            "admin": served.token,
            "a": token(state, "read", "ingest", customer="a"),
            "b": token(state, "read", "ingest", customer="b"),
            "helper": token(state, "read", "ingest", customer="a", role="support"),
            "support": token(state, "read", role="support"),
            "owner": token(state, "read", role="owner"),
            "stranger": token(state, "read", customer="nobody"),
            "ingest": token(state, "ingest"),
        }

    def ask(self, who: str, method: str, path: str, **more: Any) -> httpx.Response:
        secret = self.tokens[who]
        headers = {"authorization": f"Bearer {secret}"} if secret else {}
        return self.served.http.request(
            method, path, headers={**headers, **more.pop("headers", {})}, **more
        )

    def post(self, who: str, *events: dict[str, Any]) -> list[dict[str, Any]]:
        answer = self.ask(who, "POST", "/events", json=list(events))
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["results"]
        return found


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with serving(tmp_path_factory.mktemp("desk"), SPEC, scope="admin") as served:
        found = Desk(served)
        for name in ("a", "b"):
            data = {"organization": f"org-{name}", "user": name}
            asked = {"id": f"t-{name}", "type": "Ticket.asked",
                     "data": {"id": f"t-{name}", "user": name}}  # fmt: skip
            found.post("admin", {"id": f"o-{name}", "type": "Desk.opened", "data": data}, asked)
        yield found


def test_replies(desk: Desk) -> None:
    answer = desk.ask("a", "GET", "/me")
    assert (answer.status_code, answer.json()) == (
        200, {"user": "a", "credits": 0, "since": "2026-01-31", "price": "9.50 USD"},
    )  # fmt: skip
    whole = desk.ask("b", "GET", "/self").json()
    assert set(whole) == {"id", "organization", "credits", "seen", "created_at", "updated_at"}
    assert whole["organization"]["id"] == "org-b"
    assert desk.ask("a", "HEAD", "/me").content == b""
    assert desk.ask("a", "GET", "/tickets/newest").json() == {"newest": True}


def test_what_the_spec_names(desk: Desk) -> None:
    answer = desk.ask("owner", "GET", "/plans/pro?code=STAY")
    assert answer.json() == {"plan": "pro", "code": "STAY"}


def test_a_query_is_typed(desk: Desk) -> None:
    answer = desk.ask("a", "GET", "/tickets?mine=true&tags=x&tags=5&top=3")
    assert answer.json() == {"n": 1, "mine": True, "tags": ["x", "5"], "top": 3}
    assert desk.ask("b", "GET", "/tickets").json()["n"] == 1


def test_changes_and_refusals(desk: Desk) -> None:
    assert desk.ask("a", "POST", "/credits", json={"by": 5.5}).json() == 5.5
    refused = desk.ask("a", "POST", "/credits", json={"by": -6})
    assert (refused.status_code, refused.json()["detail"]) == (400, "Not below zero.")
    assert desk.ask("a", "POST", "/credits", json={"by": 0}).json() == 5.5
    noted = desk.ask("helper", "POST", "/tickets/t-a/note", json={"text": "hi", "price": "2 EUR"})
    assert noted.json() == {"note": "hi", "price": "2.00 EUR"}
    assert desk.ask("a", "GET", "/tickets/t-a").json() == {"id": "t-a", "note": "hi"}


@pytest.mark.parametrize(
    ("who", "method", "path", "body", "status", "detail"),
    [
        ("", "GET", "/me", None, 401, "token is needed"),
        ("ingest", "GET", "/all", None, 403, "scope read"),
        ("support", "POST", "/credits", {"by": 1}, 403, "scope ingest"),
        ("support", "GET", "/me", None, 403, "no customer's"),
        ("stranger", "GET", "/me", None, 403, "no User `nobody`"),
        ("a", "GET", "/all", None, 403, "tickets.read"),
        ("a", "POST", "/tickets/t-a/note", {"text": "x"}, 403, "notes.write"),
        ("a", "GET", "/nowhere", None, 404, "/nowhere"),
        ("a", "GET", "/credits", None, 405, "takes POST"),
        ("a", "PUT", "/tickets/t-a", None, 405, "takes DELETE, GET, HEAD"),
        ("a", "POST", "/credits", {}, 422, "`by` is missing"),
        ("a", "POST", "/credits", {"by": "many"}, 422, "`by`: `many` is no number"),
        ("a", "POST", "/credits", {"by": "１２"}, 422, "`by`: `１２` is no number"),
        ("a", "POST", "/credits", {"bye": 1, "by": 1}, 422, "did you mean `by`?"),
        ("a", "POST", "/credits", [1], 400, "JSON object"),
        ("a", "GET", "/tickets?top=1.5", None, 422, "`top` must be an integer"),
        ("a", "GET", "/tickets?mine=perhaps", None, 422, "`mine` must be a bool"),
        ("a", "GET", "/tickets?mine=true&mine=false", None, 422, "`mine` is given 2 times"),
        ("a", "GET", "/tickets/t-zzz", None, 404, "no Ticket `t-zzz`"),
        ("owner", "GET", "/plans/prro", None, 404, "unknown plan `prro`. Did you mean `pro`?"),
        ("owner", "GET", "/plans/pro?code=STAYS", None, 422, "`code`: unknown coupon `STAYS`."),
        ("owner", "GET", "/divide?by=0", None, 400, "zero"),
        ("owner", "GET", "/divide?by=1e999999", None, 422, "by"),
        ("owner", "GET", "/divide?by=" + "9" * 5000, None, 422, "by"),
        ("owner", "GET", "/divide?" + "&".join(["by=1"] * 2000), None, 400, "1,000 parameters"),
    ],
)  # fmt: skip
def test_refused(
    desk: Desk, who: str, method: str, path: str, body: Any, status: int, detail: str
) -> None:
    answer = desk.ask(who, method, path, **({} if body is None else {"json": body}))
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert detail in answer.json()["detail"]


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b'{"by": "\xff"}', "application/json", 400),
        (b'{"by": ' + b"[" * 5000 + b"]" * 5000 + b"}", "application/json", 400),
        (b'{"by": ' + b"9" * 100_000 + b"}", "application/json", 400),
        (b'{"by": 1e1000000}', "application/json", 422),
        (b'{"by": NaN}', "application/json", 400),
        (b"by=1", "application/x-www-form-urlencoded", 415),
    ],
)
def test_bodies(desk: Desk, content: bytes, kind: str, status: int) -> None:
    headers = {"content-type": kind}
    answer = desk.ask("a", "POST", "/credits", content=content, headers=headers)
    assert answer.status_code == status, answer.text


def test_roles(desk: Desk) -> None:
    for who in ("support", "owner", "admin"):
        assert desk.ask(who, "GET", "/all").json() == {"n": 2}


def test_one_tenant_never_sees_another(desk: Desk) -> None:
    # The reference is found, but a handler of another tenant does not see the row.
    for method, path in (("GET", "/tickets/t-b"), ("DELETE", "/tickets/t-b")):
        answer = desk.ask("a", method, path)
        assert answer.status_code in (400, 422), answer.text
        assert "no Ticket `t-b`" in answer.json()["detail"]
    assert desk.ask("b", "GET", "/tickets/t-b").status_code == 200


def test_a_customer_sends_its_own_events_only(desk: Desk) -> None:
    def asked(id_: str, user: str) -> dict[str, Any]:
        data = {"id": f"{user}-{id_}", "user": user}
        return {"id": id_, "type": "Ticket.asked", "data": data}

    found = desk.post(
        "a",
        asked("x1", "b"),
        {"id": "x2", "type": "Ticket.dropped", "data": {"ticket": "t-b"}},
        {"id": "x3", "type": "Desk.opened", "data": {"organization": "o", "user": "u"}},
        {"id": "x4", "type": "Any.thing", "data": {"user": "a"}},
        asked("x5", "a"),
    )
    assert [result["status"] for result in found] == ["rejected"] * 4 + ["handled"]
    reasons = [result["reason"] or "" for result in found]
    assert "another Organization" in reasons[0]
    assert "another Organization" in reasons[1]
    assert "nothing in it says" in reasons[2]
    assert "declares" in reasons[3]
    assert found[4]["reply"] == {"tickets": 2}
    # Its ids are its own: another's event is no duplicate of one.
    assert desk.post("b", asked("x5", "b"))[0]["status"] == "handled"
    assert desk.post("admin", asked("x9", "b"))[0]["status"] == "handled"
    assert desk.post("a", asked("x9", "a"))[0]["status"] == "handled"
    assert desk.post("a", asked("x9", "a"))[0]["status"] == "duplicate"


def test_reads_leave_no_trace(tmp_path: Any) -> None:
    with serving(tmp_path, SPEC, scope="admin") as served:
        desk = Desk(served)
        data = {"organization": "org", "user": "a"}
        desk.post("admin", {"id": "o", "type": "Desk.opened", "data": data})
        for _ in range(3):
            assert desk.ask("a", "GET", "/me").status_code == 200
        desk.ask("a", "POST", "/credits", json={"by": -1})
        desk.ask("a", "POST", "/credits", json={"by": 1})
        assert served.stop() == 0
    logged = events_of(served.state)
    assert [event["type"] for event in logged] == ["Desk.opened", "POST /credits"]
