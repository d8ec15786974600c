"""`bizrun erase`: nothing left of a person, everything left of the books."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from .conftest import Command
from .databases import opened

SPEC = """\
business "Shop" { currency USD, timezone "UTC", bills Member, invoice_number "S-{seq:03}" }
entity Member {
  id text key, email text unique, name text?, address text?, birthday date?, payment_method text?
  tags [text], status "new" | "active" = "new", friend Member?
}
entity Seat { id text key, member Member, email text unique }
entity Note { id text key, member Member, text text }
plan basic { price 10 USD per month, usage pages: 0.10 USD }
meter pages { sum pages of Page.read per member }
event Member.joined key id {
  id text, email text, name text?, address text?, birthday date?, tags [text] = []
  friend Member?
}
event Seat.added key id { id text, member Member, email text }
event Page.read key member { member Member, pages integer, shelf text }
event Note.written key id { id text, member Member, text text }
event Note.read key id { id text }
on Member.joined as joined {
  let member = create Member { ...joined }
  subscribe { customer: member, plan: basic }
  email { to: member.email, subject: "Hello {member.name ?? "you"}", body: "Hi {member.email}" }
  slack { channel: "sales", text: "New: {member.email}" }
  log "joined: {joined.email}, {joined.name ?? "no name"}"
  emit Member.greeted { member, text: joined.email }
  after 60 days {
    email { to: member.email, subject: "Still here, {joined.name ?? "you"}", body: "…" }
  }
}
on Seat.added as seat { create Seat { ...seat } }
event Desk.said { text text }
on Desk.said(text) { log "desk: {text}" }
every month on 1 {
  log "members: {join([for m in Member: m.name ?? "?"], ", ")}"
  notify { to: "boss@shop.example", message: join([for m in Member: m.address ?? "-"], "; ") }
}
on Note.written as note {
  create Note { ...note }
  wait for Note.read as read where read.id == note.id
  log "read: {note.text}"
}
"""
ADA, BOB = "ada@lovelace.example", "bob@babbage.example"
PRIVATE = (
    ADA,
    "eve@lovelace.example",
    "fay@lovelace.example",
    "Ada Lovelace",
    "12 Lonely Road",
    "1815-12-10",
    "mathematics",
    "My cat is ill",
)
HAPPENED: list[tuple[str, dict[str, Any]]] = [
    ("Member.joined", {"id": "a", "email": ADA, "name": "Ada Lovelace", "birthday": "1815-12-10",
                       "address": "12 Lonely Road", "tags": ["mathematics"]}),
    ("Member.joined", {"id": "b", "email": BOB, "name": "Bob Babbage", "address": "1 Mill",
                       "friend": "a"}),
    ("Seat.added", {"id": "s1", "member": "a", "email": "eve@lovelace.example"}),
    ("Seat.added", {"id": "s2", "member": "a", "email": "fay@lovelace.example"}),
    ("Note.written", {"id": "n1", "member": "a", "text": "My cat is ill"}),
    *[("Page.read", {"member": m, "pages": 3, "shelf": "fiction"}) for m in "ab" * 8],
    ("Desk.said", {"text": "Ada Lovelace called from 12 Lonely Road, Bob Babbage about 1 Mill"}),
    ("Desk.said", {"text": "Ren\u00e9e asked for Ada Lovelace"}),
    ("Member.joined", {"id": "c", "email": ADA}),
]  # fmt: skip
LINES = [
    json.dumps({"id": f"e{n:02}", "type": type_, "time": f"2026-04-01T09:{n:02}:00Z", "data": data})
    for n, (type_, data) in enumerate(HAPPENED)
]
STATE = Path(".bizrun/shop.db")


@pytest.fixture
def ask(command: Command) -> Command:
    Path("shop.biz").write_text(SPEC)
    Path("shop.events.jsonl").write_text("\n".join([*LINES, f"no event of {ADA}"]) + "\n")
    command("shop.biz", "--until", "2026-05-02", "--invoices", "html")
    return command


def traces(*words: str) -> list[str]:
    """Where a word still stands: in the state's files or those of the run."""
    files = [path for place in (".bizrun", "out") for path in Path(place).rglob("*")]
    return [
        f"{word} in {path.name}" for path in files if path.is_file() for word in words
        if word.encode() in path.read_bytes() + path.name.encode()
    ]  # fmt: skip


def books(ask: Command) -> str:
    """Invoices without what they are called, and the ledger."""
    return ask("query", "Invoice order by .number", "--json") + ask("report", "ledger", "--json")


def test_nothing_is_left_of_a_person_and_everything_of_the_books(ask: Command) -> None:
    assert traces(*PRIVATE)
    before = books(ask)
    said = ask("erase", "a", "--documents", "--yes")
    assert said.startswith("Member a: erased from 4 rows, ")
    assert "basic (sub_" in said and "goes on being billed" in said
    assert not traces(*PRIVATE)
    assert traces(BOB) and traces("Bob Babbage")
    with opened(STATE) as db:
        text = db.execute("SELECT raw FROM _log WHERE id = 'e01'").fetchone()[0]
    assert "Bob Babbage" in text, "he only names her"
    seats = json.loads(ask("query", "Seat order by .id", "--json"))
    assert [seat["email"] for seat in seats] == ["erased s1", "erased s2"]
    assert books(ask) == before
    assert "sound" in ask("verify")
    (row,) = json.loads(ask("query", 'Member where .id == "a"', "--json"))
    assert row["email"] == "erased a"
    assert (row["name"], row["birthday"], row["tags"]) == (None, None, [])


def test_what_was_told_in_passing_names_others_alone(ask: Command) -> None:
    ask("erase", "a", "--documents", "--yes")
    with opened(STATE) as db:
        notes = [text for (text,) in db.execute("SELECT text FROM _note")]
        sent = [data for (data,) in db.execute("SELECT data FROM _effect WHERE kind = 'notify'")]
    assert "desk: erased a called from erased a, Bob Babbage about 1 Mill" in notes
    assert "desk: Renée asked for erased a" in notes
    assert "members: ?, Bob Babbage" in notes or "members: erased a, Bob Babbage" in notes
    assert sent and all("Lonely" not in data for data in sent)


def test_one_after_the_other(ask: Command) -> None:
    """An event that named two of them is emptied of both."""
    ask("erase", "a", "--documents", "--yes")
    ask("erase", "b", "--documents", "--yes")
    assert not traces(*PRIVATE, BOB, "Bob Babbage", "1 Mill")
    events = json.loads(ask("run", "shop.biz", "--json"))["events"]
    assert (events["handled"], events["conflicts"]) == (0, 0)
    assert "sound" in ask("verify")


def test_what_was_refused_of_others_can_be_corrected_still(ask: Command) -> None:
    wrong = {"id": "x", "email": "x@e.example", "name": f"friend of {ADA}", "tags": 5}
    line = {"id": "e91", "type": "Member.joined", "time": "2026-05-03T00:00:00Z", "data": wrong}
    with Path("shop.events.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")
    told = json.loads(ask("run", "shop.biz", "--json"))
    assert told["rejected"][-1]["id"] == "e91"
    ask("erase", "a", "--documents", "--yes")
    right = {**line, "data": {**wrong, "tags": [], "name": "X"}}
    Path("corrected.jsonl").write_text(json.dumps(right) + "\n")
    assert json.loads(ask("run", "shop.biz", "--events", "corrected.jsonl", "--json"))
    (row,) = json.loads(ask("query", 'Member where .id == "x"', "--json"))
    assert row["name"] == "X"


def test_what_another_has_too_stays(ask: Command) -> None:
    """A street where two live is nobody's own; names of places and things stay whose they are."""
    with Path("shop.events.jsonl").open("a") as file:
        data = {"id": "d", "email": "d@e.example", "name": "Dan", "address": "12 Lonely Road"}
        line = {"id": "e90", "type": "Member.joined", "time": "2026-05-03T00:00:00Z", "data": data}
        file.write(json.dumps(line) + "\n")
    ask("shop.biz", "--until", "2026-05-04", "--invoices", "html")
    ask("erase", "a", "--documents", "--yes")
    (row,) = json.loads(ask("query", 'Member where .id == "d"', "--json"))
    assert row["address"] == "12 Lonely Road"
    with opened(STATE) as db:
        notes = [text for (text,) in db.execute("SELECT text FROM _note")]
    assert "desk: erased a called from 12 Lonely Road, Bob Babbage about 1 Mill" in notes


def test_invoices_still_say_whom_they_were_made_out_to(ask: Command) -> None:
    ask("erase", ADA, "--yes")
    left = traces(*PRIVATE)
    assert {trace.partition(" in ")[0] for trace in left} == {"Ada Lovelace", "12 Lonely Road", ADA}
    pages = [path for path in Path("out/shop/invoices").iterdir() if b"Ada" in path.read_bytes()]
    assert pages
    assert not [t for t in left if t.endswith(".eml") or "jsonl" in t or (ADA in t and ".db" in t)]
    again = "again"
    ask("shop.biz", "--until", "2026-05-02", "--invoices", "html", "--out", again)
    written = "".join(path.read_text() for path in Path(again).rglob("*.html"))
    assert "Ada Lovelace" in written and "12 Lonely Road" in written and ADA not in written


def test_the_same_stream_handles_nothing_twice_and_brings_nothing_back(ask: Command) -> None:
    ask("erase", "a", "--documents", "--yes")
    told = json.loads(ask("run", "shop.biz", "--json"))
    events = told["events"]
    assert (events["handled"], events["conflicts"]) == (0, 0)
    assert events["duplicate"] == len(LINES) + 1
    assert not traces(*PRIVATE)
    ask("shop.biz", "--until", "2026-06-15", "--events", "/dev/null")
    assert "sound" in ask("verify")
    assert "0 customers would have been billed otherwise" in ask("backtest", "shop.biz")


def test_the_chain_still_finds_what_was_changed(ask: Command) -> None:
    head = "SELECT digest FROM _chain WHERE last_seq = (SELECT min(last_seq) FROM _chain)"
    with opened(STATE) as db:
        first = db.execute(head).fetchone()
    ask("erase", "a", "--yes")
    ask("erase", "b", "--yes")
    assert "sound" in ask("verify")
    with opened(STATE) as db:
        assert db.execute(head).fetchone() == first
        db.execute("UPDATE _log SET raw = replace(raw, 'erased a', 'erased x')")
    assert "its hash chain breaks" in ask("verify", code=1)


def test_runs_of_usage_are_emptied_of_texts_but_stay_countable(ask: Command) -> None:
    usage = [
        line.replace('"id": "e', '"id": "f').replace("2026-04", "2026-06") for line in LINES[5:-1]
    ]
    Path("usage.jsonl").write_text("\n".join(usage) + "\n")
    ask("shop.biz", "--events", "usage.jsonl", "--out", "none")
    with opened(STATE) as db:
        # Those of the first stream, and these.
        assert db.execute("SELECT count FROM _log_plain").fetchall() == [(16,), (16,)]
    ask("erase", "a", "--yes")
    with opened(STATE) as db:
        runs = [text for (text,) in db.execute("SELECT text FROM _log_plain")]
    assert "sound" in ask("verify")
    for texts in runs:
        assert (texts.count("fiction"), texts.count('"shelf":"erased a"')) == (8, 8)
        assert texts.count('"pages":3') + texts.count('"pages": 3') == 16


def test_one_person_among_a_customers(ask: Command) -> None:
    told = json.loads(ask("erase", "Note n1", "--yes", "--json"))
    assert (told["entity"], told["rows"], told["running"]) == ("Note", 1, [])
    (left,) = json.loads(ask("query", "Note", "--json"))
    assert left["text"] == "erased n1"
    assert traces(ADA) and not traces("My cat is ill")


def test_tokens_of_the_customer_are_good_for_nothing(ask: Command) -> None:
    ask("token", "new", "--scope", "read", "--customer", "a", "--state", str(STATE))
    assert "1 token revoked" in ask("erase", "a", "--yes")


def test_whom_it_is_about(ask: Command) -> None:
    for wanted, hint in (
        ("adda@lovelace.example", f"Did you mean {ADA}?"), ("zz", "There is no Member zz."),
        ("Invoice S-001", "a part of the books"),
    ):  # fmt: skip
        assert hint in ask("erase", wanted, "--yes", code=2)
