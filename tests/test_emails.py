"""Emails to several people: what a spec says, what stands in the headers, what SMTP is told."""

from __future__ import annotations

import email
import email.policy
import json
import os
import subprocess
from email.headerregistry import AddressHeader
from pathlib import Path

import pytest

from bizrun.documents.email import message
from bizrun.documents.templates import plain
from bizrun.values import instant

from .fakes.smtp import fake_smtp

SPEC = """
business "Acme" { currency USD, bills A, email "hello@acme.example" }
entity A { id text key, email text }
event All.told { people [A], copies [text] }
on All.told(people, copies) {
  email { to: people, cc: copies, subject: "rows", body: "b" }
  email {
    to: [for a in A where .id == "a": a.email]
    cc: ["copy@example.com", "Ädä <ada@example.com>"], bcc: A where .id == "b"
    reply_to: ["one@example.com", "other@example.com"], subject: "lists", body: "b"
  }
}
event One.told key a { a A, copy A, n integer }
on One.told(a, copy, n) { email { to: a, cc: copy, subject: "{n}", body: "b" } }
test "to several" {
  create A { id: "a", email: "a@example.com" }
  create A { id: "b", email: "b@example.com" }
  emit All.told { people: ["a", "b"], copies: [] }
  expect 2 email { to: "a@example.com" }
  expect 1 email { to: "b@example.com" }
  expect 1 email { to: "a@example.com, b@example.com" }
  expect 1 email { bcc: "b@example.com", reply_to: "other@example.com", subject: "lists" }
  expect no email { to: "c@example.com" }
  emit One.told { a: "a", copy: "b", n: 1 }
  expect 1 email { to: "a@example.com", cc: "b@example.com" }
  emit All.told { people: [], copies: [] }
  expect rejected "an email needs an address"
}
"""


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "spec.biz"
    path.write_text(SPEC)
    return path


def test_what_a_spec_says(bizrun: Path, spec: Path) -> None:
    done = subprocess.run([bizrun, "test", spec], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    wrong = 'on One.told(a, n) { email { to: [n], cc: [1 USD], subject: a, body: "b" } }\n'
    spec.write_text(spec.read_text() + wrong)
    said = subprocess.run([bizrun, "check", spec], capture_output=True, text=True).stdout
    assert "`to` of `email` takes text, not integer" in said
    assert "`cc` of `email` takes text, not money" in said


def test_what_goes_out(bizrun: Path, spec: Path, tmp_path: Path) -> None:
    events = [{"id": "all", "type": "All.told", "data": {"people": ["a", "b"], "copies": []}}]
    events += [
        {"id": f"n{n}", "type": "One.told", "data": {"a": "a", "copy": "b", "n": n}}
        for n in range(12)
    ]
    made = "event A.made { id text, email text }\non A.made as a { create A { ...a } }\n"
    spec.write_text(spec.read_text() + made)
    for id_ in ("b", "a"):
        data = {"id": id_, "email": f"{id_}@example.com"}
        events.insert(0, {"id": id_, "type": "A.made", "data": data})
    lines = "\n".join(json.dumps({"time": "2026-01-01T00:00:00Z", **event}) for event in events)
    with fake_smtp() as box:
        command = [bizrun, "run", spec, "--live", "--events", "-", "--state", "state.db"]
        done = subprocess.run(
            command, input=lines, capture_output=True, text=True, cwd=tmp_path,
            env={**os.environ, "SMTP_URL": box.url},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        sent = {
            str(email.message_from_bytes(one.content, policy=email.policy.default)["Subject"]): one
            for one in box.messages
        }
        assert sent["rows"].rcpt_tos == ["a@example.com", "b@example.com"]
        assert sent["lists"].rcpt_tos == [
            "a@example.com", "copy@example.com", "ada@example.com", "b@example.com",
        ]  # fmt: skip
        assert b"b@example.com" not in sent["lists"].content, "blind copies are blind"
        order = [s for s in sent if s.isdecimal()]
        assert order == [str(n) for n in range(12)]


BOUNCES = """
business "Acme" { currency USD, bills A }
entity A { id text key, told text = "" }
event Go.now { to [text] }
on Go.now(to) { email { to: to, subject: "s", body: "b" } }
on Email.bounced as b { upsert A { id: b.to, told: "{b.permanent} {b.reason}" } }
"""


@pytest.mark.parametrize("all_", [False, True])
def test_each_recipient_bounces_by_itself(bizrun: Path, tmp_path: Path, all_: bool) -> None:
    (tmp_path / "spec.biz").write_text(BOUNCES)
    to = [
        "gone@example.com",
        "away@example.com",
        *([] if all_ else ["full@example.com", "b@x.com"]),
    ]
    event = {"id": "1", "type": "Go.now", "time": "2026-01-01T00:00:00Z", "data": {"to": to}}
    with fake_smtp() as box:
        box.refuse = {
            "gone@example.com": "550 5.1.1 unknown", "away@example.com": "551 5.1.6 moved",
            "full@example.com": "452 4.2.2 full",
        }  # fmt: skip
        command = [bizrun, "run", "spec.biz", "--live", "--events", "-", "--state", "state.db"]
        subprocess.run(
            command, input=json.dumps(event), capture_output=True, text=True, cwd=tmp_path,
            env={**os.environ, "SMTP_URL": box.url}, check=True,
        )  # fmt: skip
    asked = [bizrun, "query", "A order by .id", "--state", "state.db", "--json"]
    done = subprocess.run(asked, capture_output=True, text=True, cwd=tmp_path, check=True)
    told = {row["id"]: row["told"] for row in json.loads(done.stdout)}
    wanted = {
        "away@example.com": "true 551 5.1.6 moved", "gone@example.com": "true 550 5.1.1 unknown",
    }  # fmt: skip
    assert told == (wanted if all_ else wanted | {"full@example.com": "false 452 4.2.2 full"})


@pytest.mark.parametrize(
    ("to", "read"),
    [
        ('A <a@b.com>, "Doe, Bob" <b@x.com>', ["A <a@b.com>", '"Doe, Bob" <b@x.com>']),
        ("Ädä <ada@x.com>, b@x.com", ["Ädä <ada@x.com>", "b@x.com"]),
        ("b@x.com, J. Üx <j@exämple.com>", ["b@x.com", '"J. Üx" <j@xn--exmple-cua.com>']),
        (", ".join(f"someone-with-a-long-name-{n}@x.com" for n in range(90)), None),
    ],
)
def test_headers_of_addresses(to: str, read: list[str] | None) -> None:
    effect = {"id": "0" * 64, "created": instant("2026-01-01T00:00:00Z"), "data": {"to": to}}
    text = "=?utf-8?B?AAAA?="
    raw = message(effect, plain(text, "b", {"title": "T"}), {"title": "T"})
    assert max(len(line) for line in raw.split(b"\r\n")) < 998
    found = email.message_from_bytes(raw, policy=email.policy.default)
    header = found["To"]
    assert isinstance(header, AddressHeader) and not header.defects
    assert [str(a) for a in header.addresses] == (read or to.split(", "))
    assert found["Subject"] == text
