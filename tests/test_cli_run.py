"""The commands over a state: run, query, verify, state-hash, events, outbox, and bad input."""

from __future__ import annotations

import ctypes
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader

from .databases import opened

SPEC = """
business "Corner Shop" {
  currency USD
  timezone "UTC"
  bills Customer
  invoice_number "CS-{seq:04}"
}
entity Customer {
  id             text key
  email          text
  payment_method text?
  visits         number = 0
}
plan basic "Basic" { price 30 USD per month }
event Customer.joined key id { id text, email text, card text? }
event Customer.visited { customer Customer, count number = 1 }
event Order.placed { customer Customer, amount money }
template welcome { subject "Welcome {{ customer.id }}", body "Hello **{{ customer.email }}**" }

on Customer.joined as joined {
  let customer = create Customer { id: joined.id, email: joined.email, payment_method: joined.card }
  subscribe { customer, plan: basic }
  email { to: customer.email, template: "welcome", data: { customer } }
}
on Customer.visited(customer, count) {
  if count < 0 { reject "{customer.id} can't visit {count} times" }
  update customer { visits: .visits + 100 / count }
}
on Order.placed(customer, amount) { charge { customer, amount, description: "An order" } }
metric customers: integer = count(Customer) every day
"""

EVENTS = [
    {"id": "e1", "type": "Customer.joined", "time": "2026-01-01T10:00:00Z",
     "data": {"id": "a", "email": "ada@example.com", "card": "pm_card_visa"}},
    {"id": "e2", "type": "Customer.joined", "time": "2026-01-02T10:00:00Z",
     "data": {"id": "b", "email": "bob@example.com", "card": "pm_card_chargeDeclined"}},
    {"id": "e3", "type": "Customer.visited", "time": "2026-01-03T10:00:00Z",
     "data": {"customer": "a", "count": -1}},
    {"id": "e4", "type": "Order.placed", "time": "2026-01-04T10:00:00Z",
     "data": {"customer": "a", "amount": "12.50 USD"}},
    {"id": "e5", "type": "Nobody.listens", "time": "2026-01-05T10:00:00Z", "data": {}},
]  # fmt: skip

Done = subprocess.CompletedProcess[str]


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A folder with a spec and its events."""
    (tmp_path / "shop.biz").write_text(SPEC)
    write(tmp_path / "shop.events.jsonl", EVENTS)
    return tmp_path


@pytest.fixture
def call(bizrun: Path, shop: Path) -> Callable[..., Done]:
    """Runs the command in the folder; no call may ever show a traceback."""

    def called(*args: str | Path, input: str | None = None, code: int | None = 0) -> Done:
        done = subprocess.run(
            [bizrun, *args], cwd=shop, input=input, capture_output=True, text=True, timeout=60
        )
        assert "Traceback" not in done.stdout + done.stderr, done.stderr
        assert code is None or done.returncode == code, (done.returncode, done.stdout, done.stderr)
        return done

    return called


Call = Callable[..., Done]


def write(path: Path, events: Sequence[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(event) + "\n" for event in events))


def result(done: Done) -> Any:
    return json.loads(done.stdout)


# --- run ---------------------------------------------------------------------------------------


def test_json_summary(call: Call) -> None:
    found = result(call("shop.biz", "--json"))
    assert found["spec"] == "shop.biz"
    assert found["clock"] == "2026-01-05T10:00:00Z"
    events = found["events"]
    assert (events["read"], events["handled"], events["duplicate"]) == (5, 4, 0)
    assert (events["rejected"], events["unmatched"]) == (1, 1)
    counts = found["counts"]
    assert (counts["invoices"], counts["charges"], counts["emails"]) == (2, 2, 2)
    assert (counts["refunds"], counts["transfers"], counts["failed_charges"]) == (0, 0, 1)
    assert counts["timers_pending"] >= 2
    assert found["totals"] == {"invoiced": {"USD": "60.00"}, "paid": {"USD": "42.50"}}
    assert found["metrics"] == {"customers": "2"}
    assert found["rejected"] == [
        {"id": "e3", "type": "Customer.visited", "reason": "a can't visit -1 times"}
    ]


def test_a_stream_runs_once(call: Call) -> None:
    call("shop.biz", "--json")
    hash_ = call("state-hash").stdout
    again = result(call("run", "shop.biz", "--json"))
    assert (again["events"]["handled"], again["events"]["duplicate"]) == (0, 5)
    assert again["counts"]["invoices"] == 2
    assert call("state-hash").stdout == hash_
    fresh = result(call("shop.biz", "--json", "--fresh"))
    assert fresh["events"]["handled"] == 4
    assert call("state-hash").stdout == hash_


def test_the_summary_for_a_person(call: Call) -> None:
    said = call("shop.biz").stdout
    for part in (
        "Corner Shop, as of 5 January 2026", "4 new", "1 rejected", "2, 60.00 USD",
        "a can't visit -1 times", "emails", "welcome 2", "Wrote 2 emails, 2 invoices",
        "next: bizrun events --status rejected --state .bizrun/shop.db",
    ):  # fmt: skip
        assert part in said, (part, said)


def test_metrics_are_rounded_for_a_person_alone(call: Call, shop: Path) -> None:
    spec = shop / "shop.biz"
    more = "\nmetric third: number = 1 / 3\nmetric each: money = 20 USD / 3\n"
    spec.write_text(spec.read_text() + more)
    said = call("shop.biz", "--out", "none").stdout
    assert "0.3333\n" in said
    assert "6.6667 USD\n" in said
    assert result(call("shop.biz", "--json"))["metrics"]["third"].startswith("0.33333333")


def test_the_hash_is_the_same_wherever_the_spec_stands(call: Call, shop: Path) -> None:
    (shop / "deep" / "er").mkdir(parents=True)
    (shop / "deep" / "er" / "shop.biz").write_text(
        "# Two lines of comment,\n# at its head.\n" + SPEC
    )
    call("shop.biz", "--state", "one.db", "--out", "none")
    call("deep/er/shop.biz", "--events", "shop.events.jsonl", "--state", "two.db", "--out", "none")
    one, two = (call("state-hash", "--state", name).stdout for name in ("one.db", "two.db"))
    assert one == two


def test_until_moves_the_clock(call: Call) -> None:
    found = result(call("shop.biz", "--json", "--until", "2026-02-10T00:00:00Z"))
    assert found["clock"] == "2026-02-10T00:00:00Z"
    assert found["counts"]["invoices"] > 2
    later = result(call("shop.biz", "--json", "--until", "2026-03-01"))
    assert later["clock"] == "2026-03-01T00:00:00Z"


def test_files(call: Call, shop: Path) -> None:
    call("shop.biz")
    emails = sorted(p.name for p in (shop / "out/shop/emails").iterdir())
    assert [name[7:] for name in emails] == [
        "ada@example.com-welcome.eml", "bob@example.com-welcome.eml",
    ]  # fmt: skip
    invoices = sorted(p.name for p in (shop / "out/shop/invoices").iterdir())
    assert invoices == ["CS-0001.pdf", "CS-0002.pdf"]
    (page,) = PdfReader(shop / "out/shop/invoices/CS-0001.pdf").pages
    assert "paid on January 1, 2026" in page.extract_text()


def test_invoices_as_web_pages(call: Call, shop: Path) -> None:
    call("shop.biz", "--invoices", "html")
    assert "paid on January 1, 2026" in (shop / "out/shop/invoices/CS-0001.html").read_text()
    call("shop.biz")
    invoices = sorted(p.name for p in (shop / "out/shop/invoices").iterdir())
    assert invoices == ["CS-0001.pdf", "CS-0002.pdf"]


def test_files_elsewhere_or_nowhere(call: Call, shop: Path) -> None:
    call("shop.biz", "--out", "none")
    assert not (shop / "out").exists()
    call("shop.biz", "--out", "there")
    assert len(list((shop / "there" / "emails").iterdir())) == 2


def test_progress(call: Call) -> None:
    done = call("shop.biz", "--progress", "json", "--json")
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [id_ for line in lines for id_ in line["acked"]] == ["e1", "e2", "e3", "e4", "e5"]
    assert result(done)["events"]["read"] == 5


def test_standard_input(call: Call, shop: Path) -> None:
    text = (shop / "shop.events.jsonl").read_text()
    (shop / "shop.events.jsonl").unlink()
    assert result(call("shop.biz", "--json", "--events", "-", input=text))["events"]["read"] == 5
    assert result(call("shop.biz", "--json", input=text))["events"]["duplicate"] == 5


def test_strict(call: Call, shop: Path) -> None:
    call("shop.biz", "--strict", code=1)
    write(shop / "shop.events.jsonl", EVENTS[:2])
    call("shop.biz", "--strict", "--fresh")


def test_a_state_in_memory(call: Call, shop: Path) -> None:
    assert result(call("shop.biz", "--json", "--state", ":memory:"))["events"]["handled"] == 4
    assert result(call("shop.biz", "--json", "--state", ":memory:"))["events"]["handled"] == 4
    assert not (shop / ".bizrun").exists()


def test_a_stream_that_ends_in_half_a_line(call: Call, shop: Path) -> None:
    whole = (shop / "shop.events.jsonl").read_text()
    (shop / "shop.events.jsonl").write_text(whole[:-30])
    found = result(call("shop.biz", "--json"))
    assert (found["events"]["read"], found["events"]["handled"]) == (5, 3)
    assert found["rejected"][-1]["line"] == 5
    (shop / "shop.events.jsonl").write_text(whole)
    found = result(call("shop.biz", "--json"))
    assert (found["events"]["handled"], found["events"]["duplicate"]) == (1, 4)


def test_kill_loses_nothing_that_was_acknowledged(bizrun: Path, call: Call, shop: Path) -> None:
    many = [
        {"id": f"n{n:05}", "type": "Customer.joined", "time": "2026-01-01T10:00:00Z",
         "data": {"id": f"c{n}", "email": f"c{n}@example.com", "card": "pm_card_visa"}}
        for n in range(2_500)
    ]  # fmt: skip
    write(shop / "shop.events.jsonl", many)
    call_args = ["shop.biz", "--json", "--invoices", "html"]
    args = [bizrun, *call_args, "--progress", "json"]
    acked: list[str] = []
    with subprocess.Popen(
        args, cwd=shop, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.endswith("\n"):
                acked += json.loads(line)["acked"]
            process.send_signal(signal.SIGKILL)
    assert 0 < len(acked) < 2_500
    found = result(call(*call_args))
    assert found["events"]["duplicate"] >= len(acked)
    assert found["events"]["duplicate"] + found["events"]["handled"] == 2_500
    assert len(list((shop / "out/shop/emails").iterdir())) == 2_500
    assert len(list((shop / "out/shop/invoices").iterdir())) == 2_500
    call("verify")


# --- what is wrong with a call -----------------------------------------------------------------


WRONG: list[tuple[list[str], int, str]] = [
    (["nowhere.biz"], 2, "There is no file nowhere.biz"),
    (["."], 2, "is a folder"),
    (["shop.biz", "--events", "nothing.jsonl"], 2, "There is no file nothing.jsonl with events"),
    (["shop.biz", "--events", "."], 2, ". is a folder"),
    (["shop.biz", "--nonsense"], 2, "--nonsense"),
    (["shop.biz", "--until", "soon"], 2, "--until soon is no instant"),
    (["shop.biz", "--out", "shop.biz"], 2, "shop.biz is a file: give --out a folder"),
    (["shop.biz", "--state", "."], 2, ". is a folder"),
    (["shop.biz", "--state", "shop.biz"], 3, "shop.biz is no state of bizrun"),
    (["query", "1"], 2, "There is no state here: run a spec first"),
    (["query", "1", "--state", "none.db"], 2, "There is no state none.db"),
    (["query", "1", "--state", ":memory:"], 2, "ends with its run"),
    (["verify", "--state", "none.db"], 2, "There is no state none.db"),
    (["state-hash", "--state", "none.db"], 2, "There is no state none.db"),
    (["events", "--status", "nonsense"], 2, "nonsense"),
    (["outbox", "--state", "none.db"], 2, "There is no state none.db"),
]


@pytest.mark.parametrize(("args", "code", "said"), WRONG, ids=lambda x: str(x)[:40])
def test_wrong_calls(call: Call, shop: Path, args: list[str], code: int, said: str) -> None:
    done = call(*args, code=code)
    assert said in done.stderr
    assert not done.stdout
    assert not (shop / "none.db").exists()


def test_a_spec_with_errors(call: Call, shop: Path) -> None:
    (shop / "bad.biz").write_text("on Nothing.happens { update nobody { x: 1 } }\n")
    done = call("bad.biz", code=1)
    assert "error[E" in done.stderr and "bad.biz:1" in done.stderr
    assert not (shop / ".bizrun").exists()


def test_the_state_of_another_spec(call: Call, shop: Path) -> None:
    call("shop.biz", "--state", "x.db")
    (shop / "other.biz").write_text(SPEC)
    before = (shop / "x.db").read_bytes()
    done = call("other.biz", "--state", "x.db", "--events", "shop.events.jsonl", code=2)
    assert "x.db is the state of the spec `shop` (shop.biz), not of `other`" in done.stderr
    assert "--fresh" in done.stderr
    assert (shop / "x.db").read_bytes() == before
    done = call("query", "1", "--state", "x.db", "--spec", "other.biz", code=2)
    assert "not of `other`" in done.stderr


def test_a_state_of_a_newer_version(call: Call, shop: Path) -> None:
    call("shop.biz", "--state", "x.db")
    with opened(shop / "x.db") as db:
        db.execute("UPDATE _spec SET format = 99")
    assert "written by a newer bizrun" in call("shop.biz", "--state", "x.db", code=2).stderr


def test_a_spec_that_has_moved(call: Call, shop: Path) -> None:
    call("shop.biz", "--state", "x.db")
    (shop / "shop.biz").rename(shop / "renamed.biz")
    done = call("query", "count(Customer)", "--state", "x.db", code=2)
    assert "say where it is with --spec FILE" in done.stderr
    (shop / "specs").mkdir()
    (shop / "renamed.biz").rename(shop / "specs" / "shop.biz")
    assert call("query", "count(Customer)", "--state", "x.db").stdout == "2\n"


def test_two_processes_on_one_state(bizrun: Path, call: Call, shop: Path) -> None:
    (shop / "shop.events.jsonl").unlink()
    with subprocess.Popen(
        [bizrun, "shop.biz", "--json"], cwd=shop, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    ) as first:  # fmt: skip
        lock = shop / ".bizrun" / "shop.db.lock"
        for _ in range(200):
            if lock.exists() and lock.read_text().strip():
                break
            time.sleep(0.05)
        done = call("shop.biz", input="", code=3)
        assert f"another bizrun (process {first.pid}) has .bizrun/shop.db" in done.stderr
        first.communicate(json.dumps(EVENTS[0]) + "\n", timeout=30)
        assert first.returncode == 0
    assert call("query", "count(Customer)").stdout == "1\n"


def mortal() -> None:
    """Takes from root what lets it write where the permissions say nobody may."""
    if os.geteuid() == 0:
        drop, override, read_search = 24, 1, 2  # PR_CAPBSET_DROP, CAP_DAC_…
        for capability in (override, read_search):
            ctypes.CDLL(None).prctl(drop, capability, 0, 0, 0)


def test_a_folder_that_is_read_only(bizrun: Path, shop: Path) -> None:
    shop.chmod(0o555)
    try:
        done = subprocess.run(
            [bizrun, "shop.biz"], cwd=shop, capture_output=True, text=True, timeout=60,
            preexec_fn=mortal,
        )  # fmt: skip
    finally:
        shop.chmod(0o755)
    assert done.returncode == 3, done.stderr
    assert "read-only" in done.stderr and "Traceback" not in done.stderr


def test_a_full_disk_says_so_and_loses_nothing(call: Call, shop: Path) -> None:
    (shop / "out" / "shop").mkdir(parents=True)
    (shop / "out" / "shop" / "effects.jsonl").symlink_to("/dev/full")
    (shop / "out" / "shop" / "emails").symlink_to("/dev/null")
    done = call("shop.biz", code=3)
    assert "The state is safe" in done.stderr
    (shop / "out" / "shop" / "emails").unlink()
    (shop / "out" / "shop" / "effects.jsonl").unlink()
    found = result(call("shop.biz", "--json"))
    assert found["events"]["duplicate"] == 5
    assert len(list((shop / "out/shop/emails").iterdir())) == 2


# --- query -------------------------------------------------------------------------------------


@pytest.fixture
def ran(call: Call) -> Call:
    call("shop.biz", "--json")
    return call


def test_query_rows(ran: Call) -> None:
    asked = 'Invoice where .customer == "a" order by .number'
    (found,) = result(ran("query", asked, "--state", ".bizrun/shop.db", "--json"))
    assert found["number"] == "CS-0001" and found["customer"] == "a"
    assert found["currency"] == "USD" and found["status"] == "paid"
    for name in ("subtotal", "total"):
        assert found[name] == "30.00 USD"
    for name in ("discount", "tax", "amount_open"):
        assert found[name] == "0.00 USD"
    assert found["amount_due"] == "30.00 USD"
    assert found["period_start"] == "2026-01-01T00:00:00Z"
    assert found["period_end"] == "2026-02-01T00:00:00Z"
    (line,) = found["lines"]
    assert line["quantity"] == 1 and line["unit_amount"] == line["amount"] == "30.00 USD"
    assert "Basic" in line["description"]
    assert not [name for name in line if name.startswith("_")]


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ("count(Customer)", 2),
        ("sum(Invoice.total)", "60.00 USD"),
        ("1 / 4", 0.25),
        ("[1, 2]", [1, 2]),
        ('Customer("a").email', "ada@example.com"),
        ('Customer where .id == "nobody"', []),
        ("now", "2026-01-05T10:00:00Z"),
        ("true", True),
        ("none", None),
    ],
)
def test_query_values(ran: Call, asked: str, answer: Any) -> None:
    assert result(ran("query", asked, "--json")) == answer


def test_query_groups(ran: Call) -> None:
    found = result(ran("query", "group Payment by .status count order by .status", "--json"))
    assert found == [{"status": "failed", "count": 1}, {"status": "succeeded", "count": 2}]


def test_query_tables_and_csv(ran: Call) -> None:
    said = ran("query", "Customer order by .id").stdout
    assert re.search(r"^id +email +payment_method", said)
    assert "ada@example.com" in said and "2 rows" in said
    lines = ran("query", "Customer order by .id", "--csv").stdout.splitlines()
    assert lines[0] == "id,email,payment_method,visits,created_at,updated_at"
    assert lines[1].startswith("a,ada@example.com,pm_card_visa,0,2026-01-01T10:00:00Z")
    assert ran("query", "count(Customer)", "--csv").stdout == "2\n"
    assert '"[""a"", 1]"' in ran("query", "[for c in Customer: { of: [c.id, 1] }]", "--csv").stdout


@pytest.mark.parametrize("asked", ["Custmer", "Customer where .nme == 1", "1 +", "(", "1 USD + 1"])
def test_wrong_queries(ran: Call, asked: str) -> None:
    done = ran("query", asked, code=1)
    assert "error[E" in done.stderr and not done.stdout


def test_a_query_without_a_value(ran: Call) -> None:
    assert "division by zero" in ran("query", '1 / count(Customer where .id == "x")', code=1).stderr


# --- verify ------------------------------------------------------------------------------------


def test_a_sound_state(ran: Call) -> None:
    assert "sound" in ran("verify").stdout
    found = result(ran("verify", "--json"))
    assert found["ok"] is True and found["problems"] == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("DELETE FROM Ledger WHERE id = (SELECT min(id) FROM Ledger)", "balance"),
        ("DELETE FROM InvoiceLine WHERE id = (SELECT min(id) FROM InvoiceLine)", "invoice CS-000"),
        ("UPDATE Invoice SET number = 'CS-0007' WHERE number = 'CS-0001'", "gaps: 1 of 2"),
        ("DELETE FROM _effect WHERE kind = 'email'", ""),
        ("DELETE FROM Payment", "belongs to no payment"),
        ("DELETE FROM Customer WHERE id = 'a'", "belongs to the Customer a, which is gone"),
        ("UPDATE _log SET raw = '{}' WHERE seq = 1", "hash chain"),
    ],
)
def test_a_state_that_was_changed(ran: Call, shop: Path, change: str, said: str) -> None:
    with opened(shop / ".bizrun" / "shop.db") as db:
        assert db.execute(change).rowcount
    done = ran("verify", code=1 if said else 0)
    assert said in done.stdout
    assert "Traceback" not in done.stderr


# --- events and outbox -------------------------------------------------------------------------


def test_events(ran: Call) -> None:
    rejected = result(ran("events", "--status", "rejected", "--json"))
    assert [(e["event"], e["reason"]) for e in rejected] == [("e3", "a can't visit -1 times")]
    assert "a can't visit -1 times" in ran("events", "--status", "rejected").stdout
    listed = result(ran("events", "--json"))
    assert {"e1", "e2", "e3", "e4", "e5"} <= {e["id"] for e in listed}


def test_a_rejected_event_is_retried(ran: Call, shop: Path) -> None:
    assert "can't visit -1 times" in ran("events", "retry", "e3", code=1).stderr
    edited = SPEC.replace("if count < 0", "if count < -1")
    (shop / "shop.biz").write_text(edited)
    assert ran("events", "retry", "e3").stdout == "e3: handled\n"
    assert ran("query", 'Customer("a").visits').stdout == "-100\n"
    listed = result(ran("events", "--json"))
    assert [e["type"] for e in listed][-1] == "Audit.retried"
    assert "There is no rejected or failed event e3" in ran("events", "retry", "e3", code=2).stderr
    ran("verify")


def test_a_handler_that_takes_the_event_no_more_is_content(ran: Call, shop: Path) -> None:
    """Its `where` was mended, or fails for another reason."""
    zero = {"id": "z", "type": "Customer.visited", "time": "2026-01-06T10:00:00Z",
            "data": {"customer": "a", "count": 0}}  # fmt: skip
    write(shop / "more.jsonl", [zero])
    ran("shop.biz", "--events", "more.jsonl")
    head = "on Customer.visited(customer, count) "
    assert head in SPEC
    (shop / "shop.biz").write_text(SPEC.replace(head, head + "where 1 / (count - 0) > 2 "))
    assert "division by zero" in ran("events", "retry", "z", code=1).stderr
    assert len(result(ran("events", "--status", "failed", "--json"))) == 1
    (shop / "shop.biz").write_text(SPEC.replace(head, head + "where count > 0 "))
    before = ran("query", "Customer").stdout
    assert ran("events", "retry", "z").stdout == "z: handled\n"
    assert ran("query", "Customer").stdout == before
    assert result(ran("events", "--status", "failed", "--json")) == []


def test_a_failed_handler_is_retried_alone(ran: Call, shop: Path) -> None:
    zero = {"id": "z", "type": "Customer.visited", "time": "2026-01-06T10:00:00Z",
            "data": {"customer": "a", "count": 0}}  # fmt: skip
    write(shop / "more.jsonl", [zero])
    assert result(ran("shop.biz", "--events", "more.jsonl", "--json"))["events"]["failed"] == 1
    (failed,) = result(ran("events", "--status", "failed", "--json"))
    assert "division by zero" in failed["reason"] and failed["place"].startswith("shop.biz:")
    assert "division by zero" in ran("events", "retry", "z", code=1).stderr
    (shop / "shop.biz").write_text(SPEC.replace("100 / count", "(count + 7)"))
    assert ran("events", "retry", "z").stdout == "z: handled\n"
    assert ran("query", 'Customer("a").visits').stdout == "7\n"


def test_nothing_to_retry(ran: Call) -> None:
    assert "There is no rejected or failed event e1" in ran("events", "retry", "e1", code=2).stderr


def test_outbox(ran: Call) -> None:
    listed = result(ran("outbox", "--json"))
    assert sorted(e["kind"] for e in listed) == ["charge"] * 3 + ["email"] * 2
    failed = result(ran("outbox", "--status", "failed", "--json"))
    assert [(e["kind"], e["error"]) for e in failed] == [("charge", "card_declined")]
    assert "card_declined" in ran("outbox", "--status", "failed").stdout
    key = failed[0]["id"]
    assert "a new try is a new effect" in ran("outbox", "retry", key[:12], code=2).stderr
    assert "has failed already" in ran("outbox", "resolve", key, "succeeded", code=2).stderr
    assert "There is no effect" in ran("outbox", "retry", "nothing", code=2).stderr


def unsettled(shop: Path) -> str:
    """Makes the declined charge one whose answer never came."""
    with opened(shop / ".bizrun" / "shop.db") as db:
        db.execute("UPDATE _effect SET status = 'unknown', error = NULL WHERE status = 'failed'")
        (key,) = db.execute("SELECT id FROM _effect WHERE status = 'unknown'").fetchone()
    return str(key)


def test_an_effect_is_resolved(ran: Call, shop: Path) -> None:
    key = unsettled(shop)
    assert [e["id"] for e in result(ran("outbox", "--status", "unknown", "--json"))] == [key]
    assert "succeeded" in ran("outbox", "resolve", key[:10], "succeeded").stdout
    assert ran("query", 'count(Invoice where .status == "paid")').stdout == "2\n"
    assert not result(ran("outbox", "--status", "unknown", "--json"))
    acts = [e for e in result(ran("events", "--json")) if e["type"].startswith("Audit.")]
    assert [e["type"] for e in acts] == ["Audit.resolved"]
    ran("verify")


def test_an_effect_is_sent_again(ran: Call, shop: Path) -> None:
    key = unsettled(shop)
    assert "card_declined" in ran("outbox", "retry", key, code=1).stdout
    assert result(ran("outbox", "--status", "failed", "--json"))[0]["attempts"] == 2


def test_a_stream_of_nothing_but_rejects_is_a_state(call: Call, shop: Path) -> None:
    (shop / "shop.events.jsonl").write_text("no JSON\n")
    assert "next: bizrun events --status rejected" in call("shop.biz").stdout
    assert "the line is no JSON" in call("events", "--status", "rejected").stdout
    assert call("query", "count(Invoice)").stdout == "0\n"


def test_a_run_without_anything_new_writes_no_file_again(call: Call, shop: Path) -> None:
    assert "Wrote 2 emails, 2 invoices" in call("shop.biz").stdout
    assert "Wrote" not in call("shop.biz").stdout


def test_what_reasons_have_in_common_is_said(call: Call, shop: Path) -> None:
    late = [{"id": f"t{n}", "type": "Customer.joined", "time": when, "data": {}}
            for n, when in enumerate(["yesterday", "2026-13-01"])]  # fmt: skip
    write(shop / "shop.events.jsonl", late)
    assert "2 × Customer.joined: the event's `time` … is no instant" in call("shop.biz").stdout


def test_what_is_no_command_and_no_file(call: Call) -> None:
    found = call("nothing", "x", code=2)
    assert "There is no command and no file 'nothing'" in found.stderr
