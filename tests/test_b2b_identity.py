"""The platform of specs/b2b-saas, served: a directory and sign-in of two organisations, apart."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from .conftest import ROOT
from .fakes.openid import openid_provider
from .serving import COMMAND, token

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"


@contextmanager
def platform(folder: Path, **environment: str) -> Iterator[tuple[httpx.Client, Path]]:
    """The spec as it stands, served; sign-in may go to a provider of this machine."""
    spec = folder / "specs"
    subprocess.run(["cp", "-r", ROOT / "specs" / "b2b-saas", spec], check=True)
    people = spec / "organizations.biz"
    text = people.read_text(encoding="utf-8")
    people.write_text(
        text.replace("sign_in sso for User {", "sign_in sso for User {\n  private: true")
    )
    state = folder / "platform.db"
    secret = token(state, "ingest")
    process = subprocess.Popen(
        [COMMAND, "serve", spec / "b2b-saas.biz", "--state", state, "--port", "0", "--out", "none"],
        stdout=subprocess.PIPE, text=True, env={**os.environ, **environment},
    )  # fmt: skip
    assert process.stdout is not None
    try:
        url = process.stdout.readline().split()[-1]
        with httpx.Client(base_url=url, headers=bearer(secret), timeout=60) as http:
            yield http, state
    finally:
        process.terminate()
        process.wait(60)
        process.stdout.close()


def bearer(secret: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


def tell(http: httpx.Client, id_: str, type_: str, **data: Any) -> None:
    answer = http.post("/events", json={"id": id_, "type": type_, "data": data}).json()
    assert answer["results"][0]["status"] == "handled", answer


def found(http: httpx.Client, path: str, secret: str, **more: Any) -> httpx.Response:
    return http.request(more.pop("method", "GET"), path, headers=bearer(secret), **more)


def sign_in(http: httpx.Client, provider: Any, email: str) -> httpx.Response:
    provider.person = {"sub": email, "email": email, "email_verified": True}
    there = http.get(f"/sign-in/sso?email={email}")
    assert there.status_code == 302, there.text
    cookie = there.headers["set-cookie"].partition(";")[0]
    http.cookies.clear()
    answer = provider.authorize(there.headers["location"])
    return http.get("/sign-in/sso/callback", params=answer, headers={"cookie": cookie})


def test_two_organisations_and_their_people(tmp_path: Path) -> None:
    redirect = "https://platform.example/sign-in/sso/callback"
    secrets = {"SSO_SECRET_acme": "client-secret-2718", "SSO_SECRET_other": "client-secret-2718"}
    with (
        openid_provider({}) as provider,
        platform(tmp_path, SSO_REDIRECT_URI=redirect, **secrets) as (http, state),
    ):
        scim, ids = {}, {}
        for org in ("acme", "other"):
            tell(http, org, "Organization.signup", id=org, name=org, email=f"it@{org}.example")
            scim[org] = token(state, "scim", customer=org)
            body = {
                "schemas": [USER], "userName": "ann", "emails": [{"value": f"ann@{org}.example"}],
                "name": {"givenName": "Ann", "familyName": org}, "roles": [{"value": "admin"}],
            }  # fmt: skip
            made = found(http, "/scim/v2/Users", scim[org], method="POST", json=body)
            assert made.status_code == 201, made.text
            ids[org] = made.json()["id"]
            tell(
                http, f"sso {org}", "Sso.configured", organization=org, by=ids[org],
                domain=f"{org}.example", issuer=provider.issuer, client=provider.client_id,
            )  # fmt: skip
        ann = sign_in(http, provider, "ann@acme.example").json()["token"]
        me = {"email": "ann@acme.example", "role": "admin", "organization": "acme"}
        assert found(http, "/me", ann).json() == me

        # Neither the directory nor a session of Acme's reaches the other Ann.
        assert found(http, f"/scim/v2/Users/{ids['other']}", scim["acme"]).status_code == 404
        change = {"method": "POST", "json": {"role": "viewer"}}
        refused = found(http, f"/members/{ids['other']}/role", ann, **change)
        assert refused.status_code in (400, 422)
        assert "There is no User" in refused.json()["detail"]
        assert found(http, "/analytics", ann).status_code == 403
        other = sign_in(http, provider, "ann@other.example").json()["token"]
        assert found(http, "/me", other).json()["role"] == "admin"

        # A role that changes holds at once; who leaves is out, and the seat is free.
        body = {"schemas": [GROUP], "displayName": "Eng", "members": [{"value": ids["acme"]}]}
        team = found(http, "/scim/v2/Groups", scim["acme"], method="POST", json=body)
        assert team.status_code == 201, team.text
        off = {"Operations": [{"op": "Replace", "path": "active", "value": "False"}]}
        path = f"/scim/v2/Users/{ids['acme']}"
        assert found(http, path, scim["acme"], method="PATCH", json=off).status_code == 204
        assert found(http, "/me", ann).status_code == 401
        assert "not active" in sign_in(http, provider, "ann@acme.example").json()["detail"]
        assert found(http, "/me", other).status_code == 200
        whole = token(state, "read", customer="acme")
        assert found(http, "/analytics", whole).json()["people"] == 0
