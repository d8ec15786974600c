"""The OpenAPI document says what the server does: schemathesis holds the one against the other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .serving import serving
from .test_serve_apis import SPEC, Desk

CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,"
    "response_schema_conformance,response_headers_conformance"
)


def opened(served: Any) -> Desk:
    desk = Desk(served)
    data = {"organization": "org-a", "user": "a"}
    asked = {"id": "t", "type": "Ticket.asked", "data": {"id": "t-a", "user": "a"}}
    desk.post("admin", {"id": "o", "type": "Desk.opened", "data": data}, asked)
    return desk


def test_the_document(tmp_path: Path) -> None:
    with serving(tmp_path, SPEC, scope="admin") as served:
        desk = opened(served)
        assert desk.ask("", "GET", "/openapi.json").status_code == 401
        found = desk.ask("a", "GET", "/openapi.json").json()
    assert found["info"]["title"] == "Desk"
    note = found["paths"]["/tickets/{id}/note"]["post"]
    body = note["requestBody"]["content"]["application/json"]["schema"]
    assert body["required"] == ["text"]
    assert body["properties"]["price"] == {
        "type": "string", "format": "money", "default": "1.00 USD"
    }  # fmt: skip
    assert [(p["name"], p["in"], p["required"]) for p in note["parameters"]] == [
        ("id", "path", True)
    ]
    listed = found["paths"]["/tickets"]["get"]["parameters"]
    assert [(p["name"], p["required"]) for p in listed] == [
        ("mine", False), ("tags", False), ("top", False)
    ]  # fmt: skip
    asked = found["components"]["schemas"]["Ticket.asked"]["properties"]
    assert asked["type"] == {"const": "Ticket.asked"}
    assert asked["data"]["required"] == ["id", "user"]


@pytest.mark.parametrize("who", ["admin", "helper"])
def test_schemathesis(tmp_path: Path, who: str) -> None:
    with serving(tmp_path, SPEC, scope="admin") as served:
        secret = opened(served).tokens[who]
        done = subprocess.run(
            [
                Path(sys.executable).parent / "schemathesis", "run", f"{served.url}/openapi.json",
                "-H", f"Authorization: Bearer {secret}", "--exclude-path", "/stream",
                "--checks", CHECKS, "--phases", "coverage,fuzzing", "--max-examples", "8",
                "--generation-deterministic", "--no-color",
            ],
            capture_output=True, text=True, timeout=240, cwd=tmp_path,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout
        assert served.stop() == 0
    assert "mistake in bizrun" not in (tmp_path / "stderr.txt").read_text()
