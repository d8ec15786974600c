"""A state in PostgreSQL: as exact as one in a file, one writer, and a sentence for each failure."""

from __future__ import annotations

import json
import os
import random
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bizrun.errors import BizError, StoreError, UsageError
from bizrun.runtime.head import head_of
from bizrun.runtime.tables import SYSTEM
from bizrun.store.base import Column, Row, Store, Table
from bizrun.store.digest import state_digest
from bizrun.store.memory import MemoryStore
from bizrun.store.open import open_store
from bizrun.store.postgres import PostgresStore
from bizrun.store.postgres_address import shown
from bizrun.store.tokens import TokenFile
from bizrun.values import Money

from .conftest import ROOT, Command
from .forked import child, said
from .postgres import PASSWORD, Server
from .serving import SHOP, serving, until
from .test_store import (
    ACCOUNT,
    ALL,
    _answer,
    _naive,
    all_rows,
    calls,
    entry,
    exact,
    put,
)
from .test_store_crash import commit_some

COUNTER = Table("Counter", (Column("id", "text"), Column("n", "integer"), Column("pad", "text")))
EXAMPLES: dict[str, Any] = {"deadline": None, "suppress_health_check": list(HealthCheck)}


@pytest.fixture(scope="module")
def kept(postgres: Server) -> Iterator[Store]:
    """A state that several examples use one after the other."""
    with closing(open_store(postgres.address("kept"), fresh=True)) as store:
        store.prepare([ALL, ACCOUNT])
        yield store


def emptied(store: Store) -> None:
    for table in ("All", "Account"):
        store.write({table: {row["id"]: None for row in list(store.select(table))}})
    store.commit()


# --- the same as the other stores --------------------------------------------------------------


@settings(max_examples=40, **EXAMPLES)
@given(rows=st.lists(all_rows, max_size=4, unique_by=lambda row: row["id"]))
def test_every_value_comes_back_as_it_was(kept: Store, rows: list[Row]) -> None:
    emptied(kept)
    memory = MemoryStore()
    memory.prepare([ALL])
    for store in (kept, memory):
        put(store, *rows, table="All")
        store.commit()
    kept._forget_all()  # type: ignore[attr-defined] - what is read comes from the server
    found = {row["id"]: row for row in kept.select("All")}
    assert exact(found) == exact({row["id"]: row for row in rows})
    assert list(found) == sorted(found)
    assert state_digest(kept, [ALL]) == state_digest(memory, [ALL])


@settings(max_examples=40, **EXAMPLES)
@given(calls=calls)
def test_any_calls_are_answered_as_a_plain_list_would(kept: Store, calls: list[Any]) -> None:
    emptied(kept)
    memory = MemoryStore()
    memory.prepare([ACCOUNT])
    for call in calls:
        answers = [_answer(store, call) for store in (memory, kept)]
        assert answers[0] == answers[1], call
        if call[0] == "select":
            whole = _naive(memory, *call[1:3], [], None)
            assert kept.count("Account", *call[1:3]) == len(whole)
    for store in (memory, kept):
        store.commit()
    assert state_digest(memory, [ACCOUNT]) == state_digest(kept, [ACCOUNT])


def test_texts_that_postgresql_cannot_hold(kept: Store) -> None:
    emptied(kept)
    texts = ["a\0b", "a\1b", "\0", "\1", "a", "a\2", "\1\1", "b\0\1"]
    blank = {column.name: None for column in ALL.columns}
    rows = [blank | {"id": text, "a_text": text, "a_json": {text: [text]}} for text in texts]
    put(kept, *rows, blank | {"id": "half", "a_text": "\ud83d"}, table="All")
    kept.commit()
    kept._forget_all()  # type: ignore[attr-defined]
    found = {row["id"]: row for row in kept.select("All")}
    assert list(found) == sorted(found)
    assert [found[row["id"]] for row in rows] == rows
    assert found["half"]["a_text"] == r"\ud83d"  # as in a file
    put(kept, blank | {"id": "more", "a_json": {"name": "a\0b"}}, table="All")
    assert dict(kept.tally("All", ("a_json.name",))) == {("a\0b",): 1, (None,): 9}
    kept.rollback()


@pytest.mark.parametrize("count", [1, 3, 100])
def test_entries_with_what_postgresql_cannot_hold(postgres: Server, count: int) -> None:
    ids = [f"{n}\0\1" for n in range(count)]
    with closing(open_store(postgres.address("odd"), fresh=True)) as store:
        store.append([entry(n, id, raw="no\0JSON") for n, id in enumerate(ids, 1)])
        store.commit()
    with closing(open_store(postgres.address("odd"))) as store:
        assert [(e.id, e.raw) for e in store.log()] == [(id, "no\0JSON") for id in ids]
        assert len(store.known([("s", id) for id in ids])) == count
        assert store.verify() == []


def test_long_names_are_kept_apart(postgres: Server) -> None:
    # PostgreSQL cuts names off after 63 bytes.
    names = ["x" * 70 + "a", "x" * 70 + "b"]
    columns = (Column("id", "text"), *(Column(name, "integer", unique=True) for name in names))
    tables = [Table(f"E{name}", columns, indexes=((names[0],),)) for name in names]
    with closing(open_store(postgres.address("names"), fresh=True)) as store:
        store.prepare(tables)
        for n, table in enumerate(tables):
            store.write({table.name: {"k": {"id": "k", names[0]: n, names[1]: n + 5}}})
        store.commit()
    with closing(open_store(postgres.address("names"))) as store:
        assert store.prepare(tables) == []
        assert [store.get(t.name, "k")[names[1]] for t in tables] == [5, 6]  # type: ignore[index]


def test_many_rows_are_read_by_the_page_while_others_are_written(kept: Store) -> None:
    emptied(kept)
    rows = {f"{n:05}": {"id": f"{n:05}", "status": "s"} for n in range(3000)}
    kept.write({"Account": rows})
    kept.commit()
    kept._forget_all()  # type: ignore[attr-defined]
    found = kept.select("Account")
    first = next(found)["id"]
    kept.write({"Account": {f"{n:05}": None for n in range(1000, 2000)}})
    kept.commit()
    assert [first, *(row["id"] for row in found)] == list(rows)
    assert kept.count("Account") == 2000


# --- one writer --------------------------------------------------------------------------------


def test_a_second_writer_is_refused_and_told_who_has_it(postgres: Server) -> None:
    address = postgres.address("locked")
    with closing(open_store(address)), pytest.raises(StoreError) as refused:
        open_store(address)
    assert f"another bizrun (process {os.getpid()} on " in str(refused.value)
    # Another schema is another state.
    with closing(open_store(address)), closing(open_store(postgres.address("beside_it"))):
        pass


def test_whoever_lost_its_lock_stops(postgres: Server) -> None:
    first = open_store(postgres.address("fenced"), fresh=True)
    assert isinstance(first, PostgresStore)
    first.prepare([COUNTER])
    first.commit()
    first._link.execute("SELECT pg_advisory_unlock_all()")
    with closing(open_store(postgres.address("fenced"))) as second:
        second.prepare([COUNTER])
        assert commit_some(second, 3) == 3  # type: ignore[arg-type]
        with pytest.raises(StoreError, match="another bizrun"):
            commit_some(first, 2)  # type: ignore[arg-type]
        assert second.last_seq() == 3
        assert second.verify() == []


def test_a_reader_sees_one_moment(postgres: Server) -> None:
    address = postgres.address("read")
    with closing(open_store(address, fresh=True)) as writer:
        writer.prepare([COUNTER])
        commit_some(writer, 2)  # type: ignore[arg-type]
        with closing(open_store(address, reading=True)) as reader:
            commit_some(writer, 2)  # type: ignore[arg-type]
            assert (reader.last_seq(), writer.last_seq()) == (2, 4)
            wider = Table("Counter", (*COUNTER.columns, Column("extra", "money")))
            assert reader.prepare([wider]) == ["Counter.extra is new"]
            assert {row["extra"] for row in reader.select("Counter")} == {None}
            commit_some(writer, 2)  # type: ignore[arg-type]
        assert writer.prepare([COUNTER]) == []
    with pytest.raises(UsageError, match="no state in the schema nowhere"):
        open_store(postgres.address("nowhere"), reading=True)


# --- what survives -----------------------------------------------------------------------------


def endless(pipe: int, address: str) -> None:
    store = open_store(address)
    store.prepare([COUNTER])
    while True:
        seq = commit_some(store, 7, "x" * 500)  # type: ignore[arg-type]
        os.write(pipe, f"{seq}\n".encode())


def test_kill_9_loses_nothing_acknowledged(postgres: Server) -> None:
    address = postgres.address("killed")
    open_store(address, fresh=True).close()
    rng = random.Random(7)
    for _ in range(6):
        with child(endless, address) as (pid, reading):
            first = os.read(reading, 65536)
            time.sleep(rng.uniform(0, 0.05))
            os.kill(pid, signal.SIGKILL)
            acknowledged = int(said(reading, first)[-1])
        with closing(open_store(address)) as store:
            assert store.verify() == []
            assert store.last_seq() >= acknowledged
            row = store.get("Counter", "all")
            assert row is not None and row["n"] == store.last_seq()


def test_a_server_that_dies_loses_nothing_acknowledged(postgres: Server) -> None:
    address = postgres.address("died")
    store = open_store(address, fresh=True)
    store.prepare([COUNTER])
    commit_some(store, 5)  # type: ignore[arg-type]
    store.append([])
    store.write({"Counter": {"lost": {"id": "lost", "n": 1, "pad": "x"}}})
    list(store.select("Counter"))
    postgres.stop(signal.SIGQUIT)
    try:
        with pytest.raises(StoreError, match=r"the connection to .* was lost") as lost:
            store.commit()
        assert not lost.value.final
        with pytest.raises(StoreError, match="was lost"):
            store.get("Counter", "any")
        with pytest.raises(StoreError, match="can't be reached"):
            open_store(address)
        postgres.start(fsync="off")
        with pytest.raises(StoreError, match="has fsync = off: a power cut would lose"):
            open_store(address)
        postgres.stop(signal.SIGQUIT)
    finally:
        postgres.start()
    with closing(open_store(address)) as again:
        assert (again.last_seq(), again.get("Counter", "lost"), again.verify()) == (5, None, [])


def test_a_session_that_is_ended_says_so(postgres: Server) -> None:
    store = open_store(postgres.address("ended"), fresh=True)
    store.prepare([COUNTER])
    commit_some(store, 1)  # type: ignore[arg-type]
    postgres.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name LIKE 'bizrun process%'"
    )
    with pytest.raises(StoreError, match=r"was lost .*run the same again"):
        commit_some(store, 1)  # type: ignore[arg-type]


def test_a_changed_log_is_found(postgres: Server) -> None:
    address = postgres.address("changed")
    with closing(open_store(address, fresh=True)) as store:
        store.prepare([COUNTER])
        commit_some(store, 3)  # type: ignore[arg-type]
        assert store.verify() == []
    postgres.sql("UPDATE changed._log SET raw = '{\"n\": 2}' WHERE seq = 2")
    with closing(open_store(address, reading=True)) as store:
        assert "hash chain breaks" in store.verify()[0]


# --- what is refused ---------------------------------------------------------------------------


def test_fresh_starts_over_in_one_schema_alone(postgres: Server) -> None:
    for schema in ("one", "two"):
        with closing(open_store(postgres.address(schema), fresh=True)) as store:
            store.prepare([COUNTER])
            commit_some(store, 3)  # type: ignore[arg-type]
    postgres.sql("CREATE TABLE one.mine (x int)")
    with closing(open_store(postgres.address("one"), fresh=True)) as store:
        assert store.last_seq() == 0
    with closing(open_store(postgres.address("two"))) as store:
        assert store.last_seq() == 3
    assert postgres.sql("SELECT count(*) FROM one.mine") == [(0,)]
    postgres.sql("CREATE SCHEMA theirs", "CREATE TABLE theirs.shop (x int)")
    for fresh in (False, True):
        with pytest.raises(UsageError, match=r"theirs .* has tables of another program \(shop\)"):
            open_store(postgres.address("theirs"), fresh=fresh)


def test_what_would_lose_commits_is_refused(postgres: Server) -> None:
    postgres.sql("CREATE ROLE hasty LOGIN SUPERUSER", "ALTER ROLE hasty SET synchronous_commit=off")
    with pytest.raises(StoreError, match="has synchronous_commit = off: a power cut would lose"):
        open_store(postgres.address("hasty", user="hasty"))


def test_a_database_that_holds_not_every_text_is_refused(postgres: Server) -> None:
    postgres.sql("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0")
    with pytest.raises(UsageError, match="a database in LATIN1"):
        open_store(postgres.address(database="latin"))


def test_a_role_that_may_not(postgres: Server) -> None:
    postgres.sql("CREATE ROLE guest LOGIN")
    with pytest.raises(StoreError, match=r"does not allow this to its user .*permission denied"):
        open_store(postgres.address("guests", user="guest"))


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("postgresql://secure:wr0ng@/postgres?host={host}", "does not take the password"),
        ("postgresql://secure@/postgres?host={host}", "asks for a password"),
        ("postgresql://postgres:wr0ng@/nobase?host={host}", "no such database"),
        ("postgresql://postgres:wr0ng@127.0.0.1:1/x", "can't be reached: .*Connection refused"),
        ("postgresql://u:wr0ng%zz@/x?host={host}", "can't be read as an address"),
        ("postgresql://u:wr0ng/x@host/db", "can't be read as an address|can't be reached"),
        ("postgresql://postgres@/postgres?host={host}&pasword=wr0ng", "can't be read"),
        ("postgresql://postgres@/postgres?host={host}&schema=", "names no schema"),
    ],
)
def test_what_cannot_be_reached_is_a_sentence_without_a_password(
    postgres: Server, address: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PGPASSWORD", raising=False)
    monkeypatch.setenv("PGPASSFILE", "/nonexistent")
    with pytest.raises(BizError, match=says) as refused:
        open_store(address.format(host=postgres.folder))
    assert "wr0ng" not in str(refused.value)


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("shop.db", "shop.db"),
        ("postgresql://ada:pw@db.example:5432/shop", "postgresql://ada@db.example:5432/shop"),
        ("postgres://ada:p?w#@h/shop?schema=a", "postgresql://ada@h/shop?schema=a"),
        ("postgresql:///shop?password=pw&schema=a", "postgresql:///shop?schema=a"),
        ("postgresql://ada:pw/x@h/shop", "postgresql://…"),
        ("postgresql://[::1]:5432/shop", "postgresql://[::1]:5432/shop"),
    ],
)
def test_an_address_is_shown_without_its_password(address: str, name: str) -> None:
    assert shown(address) == name


def test_without_the_driver(bizrun: Path, tmp_path: Path) -> None:
    blocked = "import sys; sys.modules['psycopg'] = None; from bizrun.cli.main import main; "
    code = f"{blocked}sys.exit(main(['query', 'Account', '--state', 'postgresql:///x']))"
    ended = subprocess.run(
        [bizrun.parent / "python", "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "pip install 'bizrun[postgres]'" in ended.stderr


# --- what a person sees ------------------------------------------------------------------------


def test_tables_can_be_read_with_any_tool(postgres: Server) -> None:
    with closing(open_store(postgres.address("typed"), fresh=True)) as store:
        store.prepare([ACCOUNT])
        put(store, {"id": "a", "paid": Money("29.00", "USD"), "score": 3, "active": True})
        store.commit()
    types = postgres.sql(
        "SELECT column_name, coalesce(udt_name, data_type) FROM information_schema.columns "
        "WHERE table_schema = 'typed' AND table_name = 'Account'"
    )
    assert dict(types) == {
        "id": "text", "email": "text", "status": "text", "due": "timestamptz", "score": "numeric",
        "paid": "_money", "active": "bool", "made": "int8", "stage": "text",
    }  # fmt: skip
    assert postgres.sql('SELECT (paid).currency, score + 1 FROM typed."Account"') == [("USD", 4)]


def test_a_spec_runs_as_with_a_file(postgres: Server, command: Command) -> None:
    for name in ("newsletter", "saas"):
        events = (ROOT / "specs" / f"{name}.events.jsonl").read_text().splitlines(keepends=True)
        Path(f"{name}.jsonl").write_text("".join(events[:250]))
        spec, address = str(ROOT / "specs" / f"{name}.biz"), postgres.address(name)
        told = []
        for state in ("state.db", address):
            run = ["run", spec, "--events", f"{name}.jsonl", "--state", state, "--out", "none"]
            asked = ["--state", state]
            first = json.loads(command(*run, "--fresh", "--json"))
            again = json.loads(command(*run, "--json"))
            told.append([
                first, again, command("state-hash", *asked), command("report", "mrr", *asked),
                command("events", *asked), command("outbox", *asked),
                command("query", "Invoice order by .number", *asked, "--json"),
                json.loads(command("verify", *asked, "--json"))["ok"],
            ])  # fmt: skip
        assert told[0] == told[1]


def test_commands_over_a_state_in_postgresql(postgres: Server, command: Command) -> None:
    spec, state = str(ROOT / "specs" / "newsletter.biz"), postgres.address("commands")
    command("run", spec, "--state", state, "--fresh", "--out", "none")
    invoice = json.loads(command("query", "Invoice limit 1", "--state", state, "--json"))[0]
    assert "payment of" in command("why", invoice["number"], "--state", state)
    assert "nothing changes" in command("check", spec, "--against", state)
    secret = command("token", "new", "--scope", "read", "--state", state).strip()
    assert secret.startswith("biz_") and "read" in command("token", "list", "--state", state)
    told = command("backup", "x.dump", "--state", state, code=2)
    dump = re.search(r"(pg_dump .*); pg_restore", told)
    assert dump is not None
    pg_dump, *options = shlex.split(dump[1])
    subprocess.run([postgres.programs / pg_dump, *options], check=True)
    postgres.sql("CREATE DATABASE restored TEMPLATE template0")
    copy = postgres.address("commands", database="restored")
    into = ["--dbname", postgres.address(database="restored"), "x.dump"]
    subprocess.run([postgres.programs / "pg_restore", *into], check=True)
    assert "sound" in command("verify", "--state", copy)
    assert command("state-hash", "--state", copy) == command("state-hash", "--state", state)
    assert " 0 new" in command("run", spec, "--state", copy, "--out", "none")
    erased = command("erase", invoice["customer"], "--state", state, "--yes", "--out", "none")
    assert "erased from" in erased
    assert "sound" in command("verify", "--state", state)


def test_an_edited_plan_is_taken_up_as_with_a_file(postgres: Server, command: Command) -> None:
    plans = "plan pro { price 30 USD per month, from 2026-02-01 { price 33 USD per month } }\n"
    spec = (
        'business "Acme" { currency USD, timezone "UTC", bills Account }\n'
        "entity Account { id text key }\nevent Join { id text }\n" + plans +
        "on Join as e { let a = create Account { id: e.id }\n"
        "  subscribe { customer: a, plan: pro } }\n"
    )  # fmt: skip
    joins = [
        {"id": f"{n}", "type": "Join", "time": f"2026-0{n}-03T12:00:00Z", "data": {"id": f"{n}"}}
        for n in (1, 2, 3)
    ]
    told = []
    for state in ("state.db", postgres.address("edited")):
        said = []
        for n, join in enumerate(joins):
            Path("acme.biz").write_text(spec.replace("30 USD", f"{30 + n} USD"))
            Path("acme.events.jsonl").write_text(json.dumps(join) + "\n")
            command("acme.biz", "--state", state, "--out", "none")
            said.append(command("preview", "1", "--state", state, "--json"))
        every = "[for i in Invoice order by .number: { of: i.customer, total: i.total }]"
        told.append([*said, command("query", every, "--state", state, "--csv")])
    assert told[0] == told[1]
    totals = [(1, 30), (1, 30), (2, 33), (1, 30), (2, 33), (3, 33)]
    assert told[0][-1].split()[1::2] == [f"{of},{total}.00" for of, total in totals]


def test_no_password_is_printed(postgres: Server, command: Command) -> None:
    postgres.sql("CREATE SCHEMA IF NOT EXISTS secret AUTHORIZATION secure")
    state = postgres.address("secret", user=f"secure:{PASSWORD}")
    spec = str(ROOT / "specs" / "viral-loop.biz")
    told = command("run", spec, "--state", state, "--out", "none")
    told += command("verify", "--state", state) + command("verify", "--state", state, "--json")
    told += command("check", spec, "--against", state)
    told += command("backup", "x.dump", "--state", state, code=2)
    other = str(ROOT / "specs" / "newsletter.biz")
    told += command("run", other, "--state", state, "--out", "none", code=2)
    assert PASSWORD not in told and "postgresql://secure@/postgres?" in told


def test_a_server_goes_on_when_its_database_is_back(postgres: Server, tmp_path: Path) -> None:
    address = postgres.address("served")
    open_store(address, fresh=True).close()
    signup = {"id": "e1", "type": "Customer.signup", "data": {"id": "ada"}}
    bought = {"id": "e2", "type": "Credits.bought", "data": {"account": "ada", "number": 5}}
    _, secret = TokenFile(address).new(frozenset(["ingest"]), None, None, datetime.now(UTC))
    with serving(tmp_path, SHOP, "--state", address) as served:
        served.token = secret
        assert [result["status"] for result in served.results([signup])] == ["handled"]
        postgres.stop(signal.SIGQUIT)
        try:
            answer = served.post([bought])
            assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
            stranger = {"authorization": "Bearer biz_unknown"}  # it has to be looked up
            answer = served.http.post("/events", json=[bought], headers=stranger)
            assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
        finally:
            postgres.start()
        until(lambda: served.post([signup, bought]).status_code == 200)
        assert [r["status"] for r in served.results([signup, bought])] == ["duplicate"] * 2
        assert served.stop() == 0
    with closing(open_store(address, reading=True)) as store:
        row = store.get("Account", "ada")
        assert row is not None and row["credits"] == 5
        assert store.verify() == []
    assert "Traceback" not in (tmp_path / "stderr.txt").read_text()


# --- older formats -----------------------------------------------------------------------------


def test_a_state_of_the_first_format_goes_on(postgres: Server) -> None:
    address = postgres.address("older")
    made = (ROOT / "tests" / "golden" / "state" / "postgres1.sql").read_text()
    postgres.sql(made)
    with pytest.raises(UsageError, match="by an older bizrun: run its spec once with this one"):
        open_store(address, reading=True)
    with closing(open_store(address)) as store:
        assert store.verify() == [] and store.last_seq() == 16
        assert head_of(store) == (datetime(2026, 1, 5, 9, 0, 0, 250_000, UTC), 7)
        assert store.prepare([table for table in SYSTEM if table.name == "_spec"]) == []
        row = {"id": "spec", "spec": "shop", "path": "shop.biz", "format": 1}
        assert store.get("_spec", "spec") == row
        commit_some(store, 3)
        store.commit("- 8")
    with closing(open_store(address, reading=True)) as reader:
        assert reader.verify() == [] and reader.last_seq() == 19
        assert head_of(reader) == (None, 8)
    postgres.sql("DROP SCHEMA older CASCADE", made)
    with closing(open_store(address, fresh=True)) as store:
        assert store.last_seq() == 0 and store.head() == ""
