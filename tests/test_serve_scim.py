"""A company's directory over HTTP: a known check suite, Okta's and Entra ID's ways, tenants."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import Status, check_server

from .serving import Served, events_of, serving, token

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
ADSCIM = "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"

SPEC = """
business "Desk" { bills Org, tenant Org }
entity Org { id text key, seats integer = 4 }
type Phone { value text, type text?, primary bool? }
entity Person {
  id text key
  org Org
  login text
  external text?
  email text?
  first text?
  last text?
  title text?
  department text?
  boss Person?
  phones [Phone]
  role "admin" | "viewer" = "viewer"
  status "active" | "inactive" = "active"
}
entity Team { id text key, org Org, name text, external text?, members [Person] }
entity Seen { org Org, what text, who text }

directory users for Person {
  userName: .login
  externalId: .external
  emails: .email
  name: { givenName: .first, familyName: .last }
  title: .title
  department: .department
  manager: .boss
  phoneNumbers: .phones
  roles: .role
  active: .status == "active"
}
directory groups for Team { displayName: .name, externalId: .external, members: .members }

event Org.opened key id { id text }
on Org.opened as o { create Org { id: o.id } }
on Person.provisioned(person, org) {
  let active = count(Person where .org == org and .status == "active")
  if active > org.seats { reject "No seat is free" }
}
on Person.provisioned or Person.updated or Person.deactivated or Person.reactivated
  or Person.deprovisioned as told {
  create Seen { org: told.person.org, what: told.event.type, who: told.person.login }
}
on Team.updated(team, joined, left) {
  for each person in joined { create Seen { org: team.org, what: "joined", who: person.login } }
  for each person in left { create Seen { org: team.org, what: "left", who: person.login } }
}
api GET "/seen" () for org { return [for s in Seen where .org == org: "{s.what} {s.who}"] }
"""

# Whatever the check suite removes can be none here.
OPEN = """
business "Desk" { bills Org, tenant Org }
entity Org { id text key }
type Value { value text, type text?, primary bool?, display text? }
entity Person {
  org Org
  login text
  external text?
  display text?
  nick text?
  first text?
  last text?
  title text?
  kind text?
  zone text?
  active bool?
  boss Person?
  number text?
  department text?
  emails [Value]
  phones [Value]
  roles [Value]
  rights [Value]
}
entity Team { org Org, name text, external text?, members [Person] }
directory users for Person {
  userName: .login, externalId: .external, displayName: .display, nickName: .nick
  name: { givenName: .first, familyName: .last }
  title: .title, userType: .kind, timezone: .zone, active: .active, manager: .boss
  employeeNumber: .number, department: .department
  emails: .emails, phoneNumbers: .phones, roles: .roles, entitlements: .rights
}
directory groups for Team { displayName: .name, externalId: .external, members: .members }
event Org.opened key id { id text }
on Org.opened as o { create Org { id: o.id } }
"""


class Directory:
    """An organisation's directory, as its identity provider sees it."""

    def __init__(self, served: Served, org: str) -> None:
        self.served = served
        served.results({"id": f"opened {org}", "type": "Org.opened", "data": {"id": org}})
        self.token = token(served.state, "scim", customer=org)
        self.reader = token(served.state, "read", customer=org)
        self.http = httpx.Client(
            base_url=f"{served.url}/scim/v2",
            headers={"authorization": f"Bearer {self.token}"}, timeout=60,
        )  # fmt: skip

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """A request with a body of SCIM."""
        content = json.dumps(body) if body is not None else None
        kind = {"content-type": "application/scim+json"} if body is not None else {}
        found = self.http.request(method, path, content=content, headers={**kind, **headers})
        assert found.headers["content-type"] == "application/scim+json"
        return found

    def add(self, login: str, /, **more: Any) -> dict[str, Any]:
        """A new user."""
        answer = self.send("POST", "/Users", {"schemas": [USER], "userName": login, **more})
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def patch(self, path: str, *operations: dict[str, Any]) -> httpx.Response:
        """A PATCH with operations."""
        return self.send("PATCH", path, {"schemas": [PATCH], "Operations": list(operations)})

    def get(self, path: str) -> Any:
        """What is there."""
        return self.send("GET", path).json()

    def names(self, query: str) -> list[str]:
        """The users that a query finds."""
        return [each["userName"] for each in self.get(f"/Users?{query}").get("Resources", [])]

    def seen(self) -> list[str]:
        """What handlers were told."""
        headers = {"authorization": f"Bearer {self.reader}"}
        found: list[str] = self.served.http.get("/seen", headers=headers).json()
        return found


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("scim"), SPEC) as served:
        yield served


@pytest.fixture
def directory(served: Served, request: pytest.FixtureRequest) -> Iterator[Directory]:
    directory = Directory(served, request.node.name)
    with directory.http:
        yield directory


def refused(answer: httpx.Response, status: int, kind: str | None = None) -> str:
    body = answer.json()
    assert answer.status_code == status, answer.text
    assert body["schemas"] == [ERROR]
    assert body["status"] == str(status)
    assert body.get("scimType") == kind
    return str(body["detail"])


# --- the check suite of scim2-tester -----------------------------------------------------------


def test_the_check_suite_of_scim2_tester_passes_whole(tmp_path: Path) -> None:
    with serving(tmp_path, OPEN) as served:
        directory = Directory(served, "a")
        http = httpx2.Client(
            base_url=f"{served.url}/scim/v2",
            headers={"authorization": f"Bearer {directory.token}"},
        )
        with http, directory.http:
            results = check_server(SyncSCIMClient(http))
    assert [f"{r.title}: {r.reason}" for r in results if r.status != Status.SUCCESS] == []
    assert len(results) > 80


# --- resources ---------------------------------------------------------------------------------


def test_a_user_comes_changes_and_goes(directory: Directory) -> None:
    ann = directory.add(
        "Ann@acme.example", externalId="00u1", name={"givenName": "Ann", "familyName": "A"},
        emails=[{"value": "old@acme.example"}, {"value": "ann@acme.example", "primary": True}],
        active=True, title="Engineer", roles=[{"value": "admin"}], locale="de-DE",
        **{ENTERPRISE: {"department": "R&D"}},
    )  # fmt: skip
    path = f"/Users/{ann['id']}"
    assert ann["emails"] == [{"value": "ann@acme.example", "primary": True, "type": "work"}]
    assert ann[ENTERPRISE] == {"department": "R&D"}
    assert ann["schemas"] == [USER, ENTERPRISE]
    assert "locale" not in ann
    assert ann["meta"]["resourceType"] == "User"
    assert ann["meta"]["location"] == f"{directory.served.url}/scim/v2{path}"

    body = {"schemas": [USER], "userName": "ann@acme.example", "active": True}
    put = directory.send("PUT", path, body)
    assert put.status_code == 200
    assert "title" not in put.json()
    assert put.json()["roles"] == [{"value": "viewer"}]  # the field's default

    assert directory.send("DELETE", path).status_code == 204
    refused(directory.send("GET", path), 404)
    refused(directory.send("DELETE", path), 404)
    refused(directory.patch(path, {"op": "replace", "path": "active", "value": False}), 404)
    assert directory.seen() == [
        "Person.provisioned Ann@acme.example", "Person.updated ann@acme.example",
        "Person.deprovisioned ann@acme.example",
    ]  # fmt: skip


def test_what_changes_nothing_is_no_event(directory: Directory) -> None:
    ann = directory.add("ann", title="Engineer")
    again = directory.patch(f"/Users/{ann['id']}", {"op": "add", "value": {"title": "Engineer"}})
    assert again.status_code == 204
    directory.patch(f"/Users/{ann['id']}", {"op": "add", "value": {"locale": "de"}})
    assert directory.get(f"/Users/{ann['id']}")["meta"] == ann["meta"]
    assert directory.seen() == ["Person.provisioned ann"]


def test_a_version_that_is_old_changes_nothing(directory: Directory) -> None:
    ann = directory.add("ann")
    path, old = f"/Users/{ann['id']}", ann["meta"]["version"]
    assert directory.send("GET", path, **{"if-none-match": old}).status_code == 304
    assert directory.patch(path, {"op": "add", "path": "title", "value": "A"}).status_code == 204
    body = {"schemas": [USER], "userName": "ann", "title": "B"}
    refused(directory.send("PUT", path, body, **{"if-match": old}), 412)
    refused(directory.send("DELETE", path, **{"if-match": old}), 412)
    assert directory.get(path)["title"] == "A"


def test_filters_sorting_and_pages(directory: Directory) -> None:
    for name, title in (("cy", "Lead"), ("Ann", "Engineer"), ("bob", None)):
        directory.add(name, **({"title": title} if title else {}))
    assert directory.names('filter=userName eq "ANN"') == ["Ann"]
    assert directory.names('filter=userName sw "b" or title co "ngi"') == ["Ann", "bob"]
    assert directory.names('filter=not (title pr) and userName ne "x"') == ["bob"]
    assert directory.names('filter=title ew "d" or userName gt "bz"') == ["cy"]
    assert directory.names('filter=roles[value eq "viewer"] and title pr') == ["cy", "Ann"]
    assert directory.names("sortBy=userName&sortOrder=descending") == ["cy", "bob", "Ann"]
    page = directory.get("/Users?sortBy=userName&startIndex=2&count=1&attributes=userName")
    assert (page["totalResults"], page["startIndex"], page["itemsPerPage"]) == (3, 2, 1)
    assert [set(each) for each in page["Resources"]] == [{"schemas", "id", "userName"}]
    assert page["Resources"][0]["userName"] == "bob"
    assert directory.get("/Users?count=0")["totalResults"] == 3
    refused(directory.send("GET", "/Users?filter=userName eq"), 400, "invalidFilter")
    refused(directory.send("GET", "/Users?filter=" + "(" * 3000), 400, "invalidFilter")
    refused(directory.send("GET", "/Users?filter=" + "(" * 5000), 400)
    search = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],
              "filter": 'userName eq "bob"'}  # fmt: skip
    assert directory.send("POST", "/Users/.search", search).json()["totalResults"] == 1


def test_what_is_wrong_is_refused_in_the_form_of_scim(directory: Directory) -> None:
    ann = directory.add("ann")
    path = f"/Users/{ann['id']}"
    twice = directory.send("POST", "/Users", {"schemas": [USER], "userName": "ANN"})
    assert refused(twice, 409, "uniqueness") == "userName 'ANN' is taken."
    refused(directory.send("POST", "/Users", {"schemas": [USER]}), 400, "invalidValue")
    wrong = {"schemas": [USER], "userName": "b", "roles": [{"value": "king"}]}
    assert "king" in refused(directory.send("POST", "/Users", wrong), 400, "invalidValue")
    refused(directory.patch(path, {"op": "grow", "path": "title"}), 400, "invalidValue")
    refused(directory.patch(path, {"op": "replace", "path": "a[", "value": 1}), 400, "invalidPath")
    refused(directory.patch(path, {"op": "remove"}), 400, "noTarget")
    refused(directory.patch(path, {"op": "replace", "path": "id", "value": "x"}), 400, "mutability")
    boss = {"op": "add", "path": f"{ENTERPRISE}:manager.value", "value": "nobody"}
    assert refused(directory.patch(path, boss), 400, "invalidValue") == "There is no user 'nobody'."
    refused(directory.send("GET", "/Nothing"), 404)
    refused(directory.send("GET", "/Me"), 501)
    refused(directory.send("POST", "/Bulk", {}), 501)
    assert "GET" in directory.send("DELETE", "/Users").headers["allow"]
    text = directory.http.post("/Users", content="a=b", headers={"content-type": "text/plain"})
    refused(text, 415)
    deep = directory.http.post("/Users", content="[" * 100_000)
    refused(deep, 400)
    refused(directory.send("POST", "/Users", {"userName": "x" * 2_000_000}), 413)
    assert directory.get("/Users")["totalResults"] == 1


def test_what_a_handler_refuses_is_refused_to_the_directory(directory: Directory) -> None:
    people = [directory.add(f"p{n}") for n in range(4)]
    fifth = directory.send("POST", "/Users", {"schemas": [USER], "userName": "p4"})
    assert refused(fifth, 400, "invalidValue") == "No seat is free"
    assert directory.get("/Users")["totalResults"] == 4
    directory.patch(f"/Users/{people[0]['id']}", {"op": "replace", "value": {"active": False}})
    directory.add("p4")
    assert directory.seen()[-2:] == ["Person.deactivated p0", "Person.provisioned p4"]


def test_discovery_says_what_is_kept(directory: Directory) -> None:
    config = directory.get("/ServiceProviderConfig")
    assert [config[name]["supported"] for name in ("patch", "filter", "sort", "etag")] == [True] * 4
    assert [config[name]["supported"] for name in ("bulk", "changePassword")] == [False] * 2
    schema = directory.get(f"/Schemas/{USER}")
    attributes = {each["name"]: each for each in schema["attributes"]}
    assert "nickName" not in attributes
    assert attributes["userName"]["required"]
    assert attributes["active"]["required"]  # it is never without a value, though it may be unsaid
    parts = {each["name"]: each for each in attributes["roles"]["subAttributes"]}
    assert set(parts) == {"value"}
    assert parts["value"]["canonicalValues"] == ["admin", "viewer"]
    parts = {each["name"]: each for each in attributes["emails"]["subAttributes"]}
    assert parts["type"]["canonicalValues"] == ["work"]
    types = directory.get("/ResourceTypes")["Resources"]
    assert [each["endpoint"] for each in types] == ["/Users", "/Groups"]
    refused(directory.send("GET", "/Schemas?filter=id pr"), 403)


# --- what Okta sends (developer.okta.com, SCIM 2.0 protocol reference) -------------------------


def test_okta(directory: Directory) -> None:
    asked = directory.get('/Users?filter=userName eq "test.user@okta.local"&startIndex=1&count=100')
    assert asked["totalResults"] == 0
    made = directory.send("POST", "/Users", {
        "schemas": [USER], "userName": "test.user@okta.local",
        "name": {"givenName": "Test", "familyName": "User"},
        "emails": [{"primary": True, "value": "test.user@okta.local", "type": "work"}],
        "displayName": "Test User", "locale": "en-US", "externalId": "00ujl29u0le5T6Aj10h7",
        "groups": [], "password": "1mz050nq", "active": True,
    })  # fmt: skip
    assert made.status_code == 201
    assert "1mz050nq" not in made.text
    path = f"/Users/{made.json()['id']}"
    off = directory.patch(path, {"op": "replace", "value": {"active": False}})
    assert off.status_code == 204
    assert directory.get(path)["active"] is False
    user = {**directory.get(path), "active": True, "title": "Engineer"}
    assert directory.send("PUT", path, user).json()["title"] == "Engineer"
    group = directory.send("POST", "/Groups", {
        "schemas": [GROUP], "displayName": "Test SCIMv2",
        "members": [{"value": made.json()["id"], "display": "test.user@okta.local"}],
    }).json()  # fmt: skip
    rename = {"id": group["id"], "displayName": "Engineering"}
    assert directory.patch(f"/Groups/{group['id']}", {"op": "replace", "value": rename}).is_success
    member = f'members[value eq "{made.json()["id"]}"]'
    assert directory.patch(f"/Groups/{group['id']}", {"op": "remove", "path": member}).is_success
    found = directory.get(f"/Groups/{group['id']}")
    assert found["displayName"] == "Engineering"
    assert "members" not in found


# --- what Entra ID sends (learn.microsoft.com, SCIM synchronization) ---------------------------


def test_entra(directory: Directory) -> None:
    made = directory.send("POST", "/Users", {
        "schemas": [USER, ENTERPRISE], "externalId": "0a21f0f2", "active": True,
        "userName": "Test_User@testuser.com",
        "emails": [{"primary": True, "type": "work", "value": "Test_User@testuser.com"}],
        "meta": {"resourceType": "User"},
        "name": {"formatted": "givenName familyName", "familyName": "familyName",
                 "givenName": "givenName"},
        "roles": [],
    })  # fmt: skip
    assert made.status_code == 201, made.text
    id_ = made.json()["id"]
    assert directory.names('filter=externalId eq "0a21f0f2"') == ["Test_User@testuser.com"]
    boss = directory.add("boss")
    done = directory.patch(
        f"/Users/{id_}",
        {"op": "Replace", "path": 'emails[type eq "work"].value', "value": "updated@testuser.com"},
        {"op": "Replace", "path": "name.familyName", "value": "updatedFamilyName"},
        {"op": "Add", "path": f"{ENTERPRISE}:department", "value": "Sales"},
        {"op": "Add", "path": f"{ENTERPRISE}:manager", "value": boss["id"]},
        {"op": "Add", "path": 'phoneNumbers[type eq "mobile"].value', "value": "+4911"},
        {"op": "Replace", "value": {"title": "Lead", "name.givenName": "Updated"}},
    )
    assert done.status_code == 204, done.text
    found = directory.get(f"/Users/{id_}")
    assert found["emails"][0]["value"] == "updated@testuser.com"
    assert found["name"] == {"givenName": "Updated", "familyName": "updatedFamilyName"}
    assert found[ENTERPRISE]["department"] == "Sales"
    assert found[ENTERPRISE]["manager"]["value"] == boss["id"]
    assert found["phoneNumbers"] == [{"value": "+4911", "type": "mobile"}]
    assert found["title"] == "Lead"
    # Without the flag aadOptscim062020 it writes booleans as texts.
    assert directory.patch(f"/Users/{id_}", {"op": "Replace", "path": "active", "value": "False"})
    assert directory.get(f"/Users/{id_}")["active"] is False

    group = directory.send("POST", "/Groups", {
        "schemas": [GROUP, f"{ADSCIM}/Group"],
        "externalId": "8aa1a0c0", "displayName": "displayName", "meta": {"resourceType": "Group"},
    }).json()  # fmt: skip
    path = f"/Groups/{group['id']}"
    joined = {"op": "Add", "path": "members", "value": [{"$ref": None, "value": id_}]}
    assert directory.patch(path, joined).status_code == 204
    assert [each["value"] for each in directory.get(path)["members"]] == [id_]
    assert directory.get(f"/Users/{id_}")["groups"][0]["display"] == "displayName"
    assert "members" not in directory.get(f"{path}?excludedAttributes=members")
    left = {"op": "Remove", "path": "members", "value": [{"$ref": None, "value": id_}]}
    assert directory.patch(path, left).status_code == 204
    assert "members" not in directory.get(path)
    assert directory.seen()[-2:] == ["joined Test_User@testuser.com", "left Test_User@testuser.com"]


# --- who may, and what of whom -----------------------------------------------------------------


def test_a_token_touches_the_rows_of_its_own_organisation_alone(served: Served) -> None:
    ours, theirs = Directory(served, "ours"), Directory(served, "theirs")
    with ours.http, theirs.http:
        _keep_apart(ours, theirs)


def _keep_apart(ours: Directory, theirs: Directory) -> None:
    ann = theirs.add("ann", title="Chief")
    steal = {"schemas": [GROUP], "displayName": "T", "members": [{"value": ann["id"]}]}
    team = theirs.send("POST", "/Groups", steal).json()
    path = f"/Users/{ann['id']}"
    refused(ours.send("GET", path), 404)
    refused(ours.send("PUT", path, {"schemas": [USER], "userName": "eve"}), 404)
    refused(ours.patch(path, {"op": "replace", "value": {"active": False}}), 404)
    refused(ours.send("DELETE", path), 404)
    refused(ours.send("GET", f"/Groups/{team['id']}"), 404)
    assert ours.get("/Users")["totalResults"] == ours.get("/Groups")["totalResults"] == 0
    assert ours.names('filter=title eq "Chief"') == []
    mine = ours.add("ann")  # the same name, another organisation
    refused(ours.send("POST", "/Groups", steal), 400, "invalidValue")
    group = ours.send("POST", "/Groups", {"schemas": [GROUP], "displayName": "T"}).json()
    reach = {"op": "add", "path": "members", "value": [{"value": ann["id"]}]}
    refused(ours.patch(f"/Groups/{group['id']}", reach), 400, "invalidValue")
    boss = {"op": "add", "path": f"{ENTERPRISE}:manager", "value": {"value": ann["id"]}}
    refused(ours.patch(f"/Users/{mine['id']}", boss), 400, "invalidValue")
    assert theirs.get(path)["title"] == "Chief"
    assert theirs.get(path)["groups"][0]["value"] == team["id"]
    assert ours.seen() == ["Person.provisioned ann"]


def test_another_token_has_no_directory(served: Served) -> None:
    directory = Directory(served, "gate")
    directory.http.close()
    for secret, status in (
        ("", 401), ("biz_unknown", 401), (directory.reader, 403),
        (token(served.state, "ingest", customer="gate"), 403),
        (token(served.state, "scim"), 403), (token(served.state, "scim", customer="nobody"), 403),
    ):  # fmt: skip
        headers = {"authorization": f"Bearer {secret}"} if secret else {}
        answer = served.http.get("/scim/v2/Users", headers=headers)
        refused(answer, status)
    # And what manages people calls nothing else.
    bearer = {"authorization": f"Bearer {directory.token}"}
    assert served.http.get("/seen", headers=bearer).status_code == 403
    assert served.http.post("/events", json={}, headers=bearer).status_code == 403
    assert served.http.get("/dashboard", headers=bearer).status_code == 403


def test_changes_are_events_that_outlive_the_server(tmp_path: Path) -> None:
    with serving(tmp_path, SPEC) as served:
        directory = Directory(served, "acme")
        ann = directory.add("ann", password="t1meless-secret", title="Engineer")
        directory.send("DELETE", f"/Users/{ann['id']}")
        directory.http.close()
        assert served.stop() == 0
        log = events_of(served.state)
    told = [e for e in log if e["type"].startswith("Person.") and e["source"] != "bizrun"]
    assert [e["type"] for e in told] == ["Person.provisioned", "Person.deprovisioned"]
    assert all(e["source"].startswith("scim tok_") for e in told)
    for file in tmp_path.iterdir():
        content = file.read_bytes()
        assert b"t1meless-secret" not in content
        assert directory.token.encode() not in content
