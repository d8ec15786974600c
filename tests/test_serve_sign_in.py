"""Signing in over HTTP with a provider that rotates its keys and can lie: each lie is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from bizrun.providers import openid
from bizrun.providers.egress import Egress

from .fakes.openid import Provider, openid_provider
from .serving import Served, events_of, serving, token

SECRET = "client-secret-2718"
SPEC = """
business "Desk" { bills Org, tenant Org }
entity Org { id text key, domain text?, issuer text?, client text?, banned bool = false }
entity Person {
  org Org
  login text
  email text?
  first text?
  role "admin" | "viewer" = "viewer"
  active bool = true
  seen integer = 0
}
entity Note { org Org, text text }
role admin { can notes.* }
role viewer { can notes.read }

directory users for Person {
  userName: .login, emails: .email, name: { givenName: .first }, active: .active
}

sign_in sso for Person {
  issuer: org.issuer
  client_id: org.client
  client_secret: env("SSO_SECRET_{org.id}")
  redirect_uri: "https://desk.example/sign-in/sso/callback"
  domain: org.domain
  find: { email: .email }
  role: .role
  session: 1 hour
  provision: true
  private: true
}
sign_in shared for Person {
  issuer: env("SHARED_ISSUER")
  client_id: "bizrun-client"
  client_secret: env("SHARED_SECRET")
  redirect_uri: "https://desk.example/sign-in/shared/callback"
  return_to: "https://desk.example/home"
  find: { email: .email }
  role: .role
  private: true
}

event Org.opened key id { id text, domain text?, issuer text?, client text? }
event Org.banned { org Org }
event Person.locked { person Person, active bool }
on Person.locked(person, active) { update person { active: active } }
on Org.opened as o { create Org { ...o } }
on Org.banned(org) { update org { banned: true } }
on Person.signed_in(person, org, provider) {
  if org.banned { reject "the organisation is banned" }
  update person { seen: .seen + 1 }
}
api GET "/me" () for person {
  return { login: person.login, role: person.role, org: person.org.id, seen: person.seen }
}
api POST "/notes" (text: text) for person can notes.write {
  create Note { org: person.org, text }
  return count(Note)
}
api GET "/notes" () can notes.read { return [for n in Note: n.text] }
api GET "/bill" () for org can notes.write { return org.id }
api GET "/whole" () for org { return org.id }
api GET "/all" () { return count(Note) }
"""


class Browser:
    """Somebody's browser, which keeps cookies, and the server that it visits."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.cookies: dict[str, str] = {}

    def get(self, path: str, **headers: str) -> httpx.Response:
        """A page."""
        return self.send("GET", path, **headers)

    def send(self, method: str, path: str, **headers: str) -> httpx.Response:
        """A request with the cookies that are kept."""
        if self.cookies:
            headers["cookie"] = "; ".join(f"{n}={v}" for n, v in self.cookies.items())
        found = self.served.http.request(method, path, headers=headers)
        for line in found.headers.get_list("set-cookie"):
            assert "; Secure; HttpOnly; SameSite=Lax" in line
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies[name] = value
        self.served.http.cookies.clear()
        return found

    def go(self, path: str = "/sign-in/sso?email=ann@acme.example") -> str:
        """Where a sign-in leads to."""
        answer = self.get(path)
        assert answer.status_code == 302, answer.text
        return answer.headers["location"]

    def back(self, answer: dict[str, str], name: str = "sso") -> httpx.Response:
        """Comes back from the provider."""
        return self.get(f"/sign-in/{name}/callback?{httpx.QueryParams(answer)}")

    def sign_in(self, provider: Provider) -> str:
        """Signs in; the session's token."""
        answer = self.back(provider.authorize(self.go()))
        assert answer.status_code == 200, answer.text
        assert answer.headers["cache-control"] == "no-store"
        found: str = answer.json()["token"]
        return found


ANN = {"sub": "ann-1", "email": "ann@acme.example", "email_verified": True, "given_name": "Ann"}


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with openid_provider(dict(ANN)) as provider:
        yield provider


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, provider: Provider) -> Iterator[Served]:
    environment = {"SSO_SECRET_acme": SECRET, "SSO_SECRET_other": SECRET, "SSO_SECRET_evil": SECRET,
                   "SHARED_ISSUER": provider.issuer, "SHARED_SECRET": SECRET}  # fmt: skip
    folder = tmp_path_factory.mktemp("sign_in")
    with serving(folder, SPEC, environment=environment) as served:
        for org in ("acme", "other"):
            data = {"id": org, "domain": f"{org}.example", "issuer": provider.issuer,
                    "client": provider.client_id}  # fmt: skip
            served.results({"id": org, "type": "Org.opened", "data": data})
        served.results({"id": "plain", "type": "Org.opened", "data": {"id": "plain"}})
        for key, org, email in (
            ("ann", "acme", "ann@acme.example"),
            ("bob", "other", "bob@other.example"),
        ):
            changes = {"login": key, "email": email}
            data = {"person": key, "org": org, "changes": changes}
            served.results({"id": f"p {key}", "type": "Person.provisioned", "data": data})
        yield served


@pytest.fixture(autouse=True)
def honest(provider: Provider) -> None:
    """Each test begins with a provider that tells the truth about Ann."""
    provider.person = dict(ANN)
    provider.claims = lambda claims: claims
    provider.sign, provider.metadata, provider.secret = "RS256", {}, SECRET
    provider.keys = provider.first


def bearer(secret: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


def me(served: Served, secret: str) -> Any:
    return served.http.get("/me", headers=bearer(secret)).json()


def refused(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    return str(answer.json()["detail"])


# --- the truth ---------------------------------------------------------------------------------


def test_somebody_signs_in_and_is_known_with_role_and_tenant(
    served: Served, provider: Provider
) -> None:
    browser = Browser(served)
    location = browser.go()
    asked = dict(parse_qsl(urlsplit(location).query))
    assert location.startswith(f"{provider.issuer}/authorize?")
    assert asked["redirect_uri"] == "https://desk.example/sign-in/sso/callback"
    assert asked["login_hint"] == "ann@acme.example"
    assert min(len(asked["state"]), len(asked["nonce"]), len(asked["code_challenge"])) >= 43
    answer = browser.back(provider.authorize(location)).json()
    assert answer["expires_in"] == 3600
    secret = answer["token"]
    before = me(served, secret)
    assert before == {"login": "ann", "role": "viewer", "org": "acme", "seen": before["seen"]}
    assert served.http.get("/notes", headers=bearer(secret)).json() == []
    body = {"text": "hello"}
    assert "role" in refused(served.http.post("/notes", json=body, headers=bearer(secret)), 403)
    # A role that changes is another role with the next request.
    changes = {"person": "ann", "org": "acme", "changes": {"first": "Anna"}}
    served.results({"id": "rename", "type": "Person.updated", "data": changes})
    assert served.http.get("/bill", headers=bearer(secret)).status_code == 403


def test_a_session_calls_what_is_for_its_holder_alone(served: Served, provider: Provider) -> None:
    headers = bearer(Browser(served).sign_in(provider))
    http = served.http
    assert "Person" in refused(http.get("/whole", headers=headers), 403)
    assert "Person" in refused(http.get("/all", headers=headers), 403)
    for path in ("/dashboard", "/metrics", "/stream"):
        assert http.get(path, headers=headers).status_code == 403
    event = {"id": "x", "type": "Org.banned", "data": {"org": "acme"}}
    assert http.post("/events", json=event, headers=headers).status_code == 403
    assert http.post("/outbox", json={"act": "start"}, headers=headers).status_code == 403
    assert http.get("/scim/v2/Users", headers=headers).status_code == 403


def test_a_session_is_told_by_a_cookie_where_people_go_on_to_a_page(
    served: Served, provider: Provider
) -> None:
    browser = Browser(served)
    answer = browser.back(provider.authorize(browser.go("/sign-in/shared")), "shared")
    assert answer.status_code == 303
    assert answer.headers["location"] == "https://desk.example/home"
    assert browser.get("/me").json()["login"] == "ann"
    # A page of another site can't use it to change something.
    foreign = {"origin": "https://evil.example", "content-type": "application/json"}
    assert "page of this server" in refused(browser.send("POST", "/sign-out", **foreign), 403)
    assert "page of this server" in refused(browser.send("POST", "/sign-out"), 403)
    own = {"origin": served.url}
    assert browser.send("POST", "/sign-out", **own).json() == {"signed_out": True}
    assert browser.get("/me").status_code == 401


def test_whoever_leaves_is_signed_out_for_good(served: Served, provider: Provider) -> None:
    secret = Browser(served).sign_in(provider)
    about = {"person": "ann", "org": "acme"}
    served.results({"id": "off", "type": "Person.deactivated", "data": about})
    assert "ended" in refused(served.http.get("/me", headers=bearer(secret)), 401)
    browser = Browser(served)
    assert "not active" in refused(browser.back(provider.authorize(browser.go())), 403)
    served.results({"id": "on", "type": "Person.reactivated", "data": about})
    assert "ended" in refused(served.http.get("/me", headers=bearer(secret)), 401)
    secret = Browser(served).sign_in(provider)
    assert me(served, secret)["login"] == "ann"
    # So where a handler does it.
    for active in (False, True):
        locked = {"person": "ann", "active": active}
        served.results({"id": f"lock {active}", "type": "Person.locked", "data": locked})
        assert "ended" in refused(served.http.get("/me", headers=bearer(secret)), 401)


@pytest.mark.parametrize(("kind", "sign"), [("RSA", "PS256"), ("EC", "ES256")])
def test_keys_may_be_changed_and_be_of_another_kind(
    provider: Provider, kind: str, sign: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000]
    monkeypatch.setattr(openid, "_seconds", lambda: clock[0])
    known = openid.OpenId(Egress())
    client = openid.Client(
        provider.issuer, provider.client_id, None, "https://a.example/back", "openid", True
    )
    provider.secret, provider.asked = None, []

    def sign_in() -> str:
        attempt = openid.Attempt(client, "s", "n", "v" * 43, datetime.now(UTC))
        answer = provider.authorize(known.address(attempt, None))
        return str(known.claims(attempt, answer, datetime.now(UTC))["sub"])

    assert [sign_in(), sign_in()] == ["ann-1", "ann-1"]
    assert provider.asked.count("/keys") == 1
    provider.rotate(kind)
    provider.sign = sign
    with pytest.raises(openid.SignInRefused, match="none of the provider's"):
        sign_in()  # keys were read a moment ago, and nobody is made to read them all the time
    assert provider.asked.count("/keys") == 1
    clock[0] += 11
    assert sign_in() == "ann-1"
    assert provider.asked.count("/keys") == 2
    assert provider.asked.count("/.well-known/openid-configuration") == 1
    clock[0] += 3600
    assert sign_in() == "ann-1"
    assert provider.asked.count("/.well-known/openid-configuration") == 2


def test_a_provider_on_a_private_address_is_not_called(provider: Provider) -> None:
    known = openid.OpenId(Egress())
    for issuer in (provider.issuer, provider.issuer.replace("http", "https"), "https://10.0.0.1"):
        client = openid.Client(issuer, "x", None, "https://a.example/back", "openid")
        attempt = openid.Attempt(client, "s", "n", "v" * 43, datetime.now(UTC))
        with pytest.raises(openid.SignInRefused, match=r"https|reached"):
            known.address(attempt, None)


def test_who_comes_for_the_first_time_is_made_by_the_directorys_lines(
    served: Served, provider: Provider
) -> None:
    provider.person = {**ANN, "sub": "new", "email": "new@acme.example", "given_name": "Nora"}
    browser = Browser(served)
    secret = browser.back(provider.authorize(browser.go())).json()["token"]
    assert me(served, secret)["login"] == "new@acme.example"
    assert me(served, secret)["org"] == "acme"
    again = browser.back(provider.authorize(browser.go())).json()["token"]
    assert me(served, again)["seen"] == 2
    browser = Browser(served)
    shared = browser.back(provider.authorize(browser.go("/sign-in/shared")), "shared")
    assert shared.status_code == 303
    provider.person = {**ANN, "email": "nobody@acme.example"}
    browser = Browser(served)
    answer = browser.back(provider.authorize(browser.go("/sign-in/shared")), "shared")
    assert "Nobody here" in refused(answer, 403)


# --- lies --------------------------------------------------------------------------------------


def _claims(**changes: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda claims: {**claims, **changes}


def _later(**seconds: int) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda claims: {**claims, **{n: claims["iat"] + s for n, s in seconds.items()}}


LIES: dict[str, tuple[Callable[[dict[str, Any]], dict[str, Any]], str]] = {
    "issuer": (_claims(iss="https://evil.example"), "another issuer"),
    "no issuer": (_claims(iss=None), "another issuer"),
    "audience": (_claims(aud="somebody"), "for somebody else"),
    "more audiences": (_claims(aud=["bizrun-client", "somebody"]), "for somebody else"),
    "no audience": (_claims(aud=None), "for somebody else"),
    "azp": (_claims(azp="somebody"), "given to somebody else"),
    "expired": (_later(exp=-61), "expired"),
    "no expiry": (_claims(exp=None), "expired"),
    "expiry as text": (_claims(exp="tomorrow"), "expired"),
    "issued ahead": (_later(iat=3600, exp=7200), "clock"),
    "issued before": (_later(iat=-3600), "older than this sign-in"),
    "not yet": (_later(nbf=3600), "hold yet"),
    "nonce": (_claims(nonce="another"), "another sign-in"),
    "no nonce": (_claims(nonce=None), "another sign-in"),
    "no subject": (_claims(sub=None), "who it is about"),
    "no email": (_claims(email=None), "`email`"),
    "unverified": (_claims(email_verified=False), "verified"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_claim_that_is_wrong_lets_nobody_in(served: Served, provider: Provider, lie: str) -> None:
    provider.claims, sentence = LIES[lie]
    browser = Browser(served)
    answer = browser.back(provider.authorize(browser.go()))
    assert sentence in refused(answer, 403 if lie in ("no email", "unverified") else 401)


@pytest.mark.parametrize(
    "sign",
    [
        "none",
        "HS256 with the public key",
        "another's key",
        "a key of its own making",
        "cut",
        "changed",
    ],
)
def test_a_signature_that_is_wrong_lets_nobody_in(
    served: Served, provider: Provider, sign: str
) -> None:
    provider.sign = sign
    browser = Browser(served)
    assert "signed" in refused(browser.back(provider.authorize(browser.go())), 401)


def test_an_answer_that_was_given_before_or_elsewhere_lets_nobody_in(
    served: Served, provider: Provider
) -> None:
    browser = Browser(served)
    answer = provider.authorize(browser.go())
    assert browser.back(answer).status_code == 200
    assert "begin anew" in refused(browser.back(answer), 400)  # replayed
    code = {**provider.authorize(browser.go()), "code": answer["code"]}
    assert "invalid_grant" in refused(browser.back(code), 401)  # its code was used
    assert "begin anew" in refused(browser.back({"code": "c", "state": "made-up"}), 400)
    assert "begin anew" in refused(browser.back({"code": "c"}), 400)
    # Somebody else's answer, put into this browser (login CSRF).
    theirs = provider.authorize(Browser(served).go())
    assert "another browser" in refused(browser.back(theirs), 400)
    # The answer of another provider, or for another way to sign in (mix-up).
    mixed = {**provider.authorize(browser.go()), "iss": "https://evil.example"}
    assert "another provider" in refused(browser.back(mixed), 401)
    unsaid = provider.authorize(browser.go())
    del unsaid["iss"]
    assert "another provider" in refused(browser.back(unsaid), 401)
    crossed = provider.authorize(browser.go())
    assert "begin anew" in refused(browser.back(crossed, "shared"), 400)
    denied = {**provider.authorize(browser.go()), "error": "access_denied"}
    assert "access_denied" in refused(browser.back(denied), 401)
    twice = f"/sign-in/sso/callback?state=a&state=b&code={answer['code']}"
    assert "twice" in refused(browser.get(twice), 400)


def test_a_company_vouches_for_its_own_people_alone(served: Served, provider: Provider) -> None:
    """Acme's provider says that its user is Bob of another organisation."""
    provider.person = {**ANN, "email": "bob@other.example"}
    browser = Browser(served)
    answer = browser.back(provider.authorize(browser.go("/sign-in/sso?organization=acme"))).json()
    assert me(served, answer["token"]) == {
        "login": "bob@other.example", "role": "viewer", "org": "acme", "seen": 1,
    }  # fmt: skip


def test_what_a_handler_refuses_is_no_session(served: Served, provider: Provider) -> None:
    provider.person = {**ANN, "email": "bob@other.example"}
    served.results({"id": "ban", "type": "Org.banned", "data": {"org": "other"}})
    browser = Browser(served)
    answer = browser.back(provider.authorize(browser.go("/sign-in/sso?email=x@other.example")))
    assert "organisation is banned" in refused(answer, 403)
    assert "token" not in answer.json()


def test_who_can_not_be_asked_and_what_is_not_set_up(served: Served, provider: Provider) -> None:
    browser = Browser(served)
    assert "say who" in refused(browser.get("/sign-in/sso"), 404)
    assert "say who" in refused(browser.get("/sign-in/sso?email=a@nowhere.example"), 404)
    assert "no provider" in refused(browser.get("/sign-in/sso?organization=plain"), 404)
    assert "no way to sign in" in refused(browser.get("/sign-in/nothing"), 404)
    assert refused(browser.send("POST", "/sign-in/sso"), 405)
    with openid_provider(dict(ANN)) as other:
        other.metadata = {"issuer": "https://somebody.example"}
        data = {"id": "keyless", "issuer": other.issuer, "client": "x"}
        served.results({"id": "keyless", "type": "Org.opened", "data": data})
        lacking = refused(browser.get("/sign-in/sso?organization=keyless"), 503)
        assert "SSO_SECRET" not in lacking
        data = {"id": "evil", "issuer": other.issuer, "client": "x"}
        served.results({"id": "evil", "type": "Org.opened", "data": data})
        answer = browser.get("/sign-in/sso?organization=evil")
        assert "calls itself https://somebody.example" in refused(answer, 401)
    assert "can't be reached" in refused(browser.get("/sign-in/sso?organization=evil"), 401)


def test_a_customers_token_tells_of_no_sign_in(served: Served) -> None:
    secret = token(served.state, "ingest", customer="acme")
    for type_, data in (
        ("Person.signed_in", {"person": "ann", "org": "acme", "provider": "sso"}),
        ("Person.provisioned", {"person": "eve", "org": "acme", "changes": {"login": "eve"}}),
        ("Person.updated", {"person": "ann", "org": "acme", "changes": {"email": "eve@x.example"}}),
    ):
        body = {"id": f"forged {type_}", "type": type_, "data": data}
        (result,) = served.http.post("/events", json=body, headers=bearer(secret)).json()["results"]
        assert result["status"] == "rejected"
        assert "never by a customer's token" in result["reason"]


def test_no_secret_is_kept_anywhere(tmp_path: Path, provider: Provider) -> None:
    environment = {"SSO_SECRET_acme": SECRET}
    with serving(tmp_path, SPEC, environment=environment) as served:
        data = {"id": "acme", "domain": "acme.example", "issuer": provider.issuer,
                "client": provider.client_id}  # fmt: skip
        served.results({"id": "acme", "type": "Org.opened", "data": data})
        browser = Browser(served)
        answer = provider.authorize(browser.go())
        secret = browser.back(answer).json()["token"]
        provider.secret = "changed"
        assert SECRET not in refused(browser.back(provider.authorize(browser.go())), 401)
        assert served.stop() == 0
        log = events_of(served.state)
    told = [e["type"] for e in log if e["source"] == "sign_in sso"]
    assert told == ["Person.provisioned", "Person.signed_in"]
    for file in tmp_path.iterdir():
        content = file.read_bytes()
        for word in (SECRET, secret, answer["code"], answer["state"]):
            assert word.encode() not in content, (file, word)
