"""What a state survives: kills, full disks, cut and changed files, two processes, other files."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest

from bizrun.errors import StoreError, UsageError
from bizrun.store.base import Column, Plain, Table
from bizrun.store.memory import MemoryStore
from bizrun.store.open import open_store
from bizrun.store.sqlite import SqliteStore

from .forked import child, said

COUNTER = Table(
    "Counter",
    (Column("id", "text"), Column("n", "integer"), Column("pad", "text")),
    indexes=(("n",),),
)
POINTS = 30


def entry(seq: int, raw: str = "{}") -> Any:
    return (seq, "s", f"e{seq:09}", "A.b", "2026-01-31T09:00:00Z", raw, "handled", None, None, None)


def plain(seq: int, count: int) -> Plain:
    """A run of events as they came."""
    ids = [f"e{seq + n:09}" for n in range(count)]
    text = "".join(f'{{"id":"{id}","type":"A.b","time":"2026-01-31T09:00:00Z"}}\n' for id in ids)
    return Plain(seq, ids, text.encode(), None)


def commit_some(store: SqliteStore, count: int, raw: str = "{}") -> int:
    """One batch: entries, and a row that says how many there are."""
    seq = store.last_seq()
    store.append([entry(seq + n, raw) for n in range(1, count + 1)])
    store.write(
        {
            "Counter": {
                "all": {"id": "all", "n": seq + count, "pad": raw},
                f"c{seq}": {"id": f"c{seq}", "n": seq + count, "pad": raw},
            }
        }
    )
    store.commit()
    return seq + count


def state(path: Path, batches: int = 3) -> None:
    store = SqliteStore(str(path))
    store.prepare([COUNTER])
    for _ in range(batches):
        commit_some(store, 5)
    store.close()


# --- kill -9 ---------------------------------------------------------------------------------


def endless(pipe: int, path: Path, acknowledge_first: bool) -> None:
    store = SqliteStore(str(path))
    store.prepare([COUNTER])
    rng = random.Random(store.last_seq())
    while True:
        count = rng.randrange(1, 30)
        if acknowledge_first:
            os.write(pipe, f"{store.last_seq() + count}\n".encode())
        seq = commit_some(store, count, "x" * rng.randrange(2000))
        if not acknowledge_first:
            os.write(pipe, f"{seq}\n".encode())


def kill_at_random(path: Path, points: int, acknowledge_first: bool) -> list[str]:
    """What was lost over so many kills; the state goes on from one to the next."""
    rng = random.Random(7)
    acknowledged = 0
    killed_at_work = 0
    for point in range(points):
        with child(endless, path, acknowledge_first) as (pid, reading):
            # Most are killed at their work, however long the start takes here; some in the start.
            first = b"" if point % 5 == 0 else os.read(reading, 65536)
            time.sleep(rng.uniform(0, 0.05))
            os.kill(pid, signal.SIGKILL)
            lines = said(reading, first)
        if lines:
            killed_at_work += 1
            acknowledged = int(lines[-1])
        store = SqliteStore(str(path))
        found = store.verify()
        if store.last_seq() < acknowledged:
            found.append(f"point {point}: {acknowledged} acknowledged, {store.last_seq()} there")
        if [e.seq for e in store.log()] != list(range(1, store.last_seq() + 1)):
            found.append(f"point {point}: the log has gaps")
        if store.last_seq():
            row = store.get("Counter", "all")
            if row is None or row["n"] != store.last_seq():
                found.append(f"point {point}: rows {row} are not those of {store.last_seq()}")
        store.close()
        if found:
            return found
    assert killed_at_work >= points * 4 // 5, killed_at_work
    return []


def test_kill_9_loses_nothing_acknowledged(tmp_path: Path) -> None:
    assert kill_at_random(tmp_path / "state.db", POINTS, acknowledge_first=False) == []


def test_kill_9_shows_what_is_acknowledged_too_early(tmp_path: Path) -> None:
    found = kill_at_random(tmp_path / "state.db", 10 * POINTS, acknowledge_first=True)
    assert "acknowledged" in found[0]


def test_commits_are_synced(tmp_path: Path) -> None:
    # A power cut can't be had here; that SQLite is told to sync each commit can be seen.
    store = SqliteStore(str(tmp_path / "state.db"))
    assert store._connection().execute("PRAGMA synchronous").fetchone() == (2,)
    assert store._connection().execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert store._connection().execute("PRAGMA foreign_keys").fetchone() == (1,)
    store.close()


def test_what_is_not_committed_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    state(path)
    store = SqliteStore(str(path))
    store.append([entry(16)])
    store.write({"Counter": {"all": None}})
    assert store.count("Counter") == 3
    store.close()
    store = SqliteStore(str(path))
    assert (store.last_seq(), store.count("Counter")) == (15, 4)
    assert store.verify() == []
    store.close()


# --- one writer ------------------------------------------------------------------------------


def hold(pipe: int, path: Path) -> None:
    SqliteStore(str(path))
    os.write(pipe, b"ready\n")
    time.sleep(60)


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with child(hold, path) as (pid, reading):
        assert os.read(reading, 100) == b"ready\n"
        for fresh in (False, True):
            with pytest.raises(
                StoreError, match=rf"another bizrun \(process {pid}\) has .*state.db"
            ):
                SqliteStore(str(path), fresh=fresh)
        link = tmp_path / "link.db"
        link.symlink_to(path)
        with pytest.raises(StoreError, match="another bizrun"):
            SqliteStore(str(link))
    store = SqliteStore(str(path))
    with pytest.raises(StoreError, match="another bizrun"):
        SqliteStore(str(path))
    store.close()
    SqliteStore(str(path)).close()


def test_another_program_may_read_but_not_hold(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    state(path)
    store = SqliteStore(str(path))
    # The same library: locks of POSIX are a process's, and two copies of SQLite undo each other's.
    tool = apsw.Connection(str(path))
    tool.execute("BEGIN")
    assert tool.execute("SELECT n FROM Counter WHERE id = 'all'").fetchone() == (15,)
    commit_some(store, 1)
    assert tool.execute("SELECT n FROM Counter WHERE id = 'all'").fetchone() == (15,)
    tool.execute("COMMIT")
    assert tool.execute("SELECT n FROM Counter WHERE id = 'all'").fetchone() == (16,)
    tool.execute("BEGIN IMMEDIATE")
    store._connection().execute("PRAGMA busy_timeout = 1")
    with pytest.raises(StoreError, match="is held by another program"):
        commit_some(store, 1)
    tool.close()
    with pytest.raises(StoreError, match="is held by another program"):
        store.last_seq()
    store = SqliteStore(str(path))
    assert store.last_seq() == 16
    store.close()


# --- changed and cut files -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("UPDATE _log SET raw = '{\"amount\":1}' WHERE seq = 7", "between the events 6 and 10"),
        ("UPDATE _log SET fired = '1' WHERE seq = 15", "between the events 11 and 15"),
        ("DELETE FROM _log WHERE seq = 1", "between the events 1 and 5"),
        ("UPDATE _log SET seq = 99 WHERE seq = 15", "between the events 11 and 99"),
        ("UPDATE _log SET digest = 'x' WHERE seq = 10", "between the events 6 and 10"),
        ("UPDATE _log SET digest = NULL WHERE seq = 5", "between the events 1 and 10"),
        (
            "INSERT INTO _log SELECT seq + 10, source, id, type, time, raw, status, reason, cause,"
            " fired, NULL, NULL FROM _log WHERE seq = 6",
            "events from 16 on have no link",
        ),
        (
            "UPDATE _log SET raw = CAST(x'41ff' AS TEXT) WHERE seq = 7",
            "event 7: b'A\\xff' is no text",
        ),
        ("UPDATE _log_id SET seq = 3 WHERE seq = 4", "`e000000004` of s is known as number 3"),
    ],
)
def test_a_changed_log_is_found(tmp_path: Path, statement: str, found: str) -> None:
    path = tmp_path / "state.db"
    state(path)
    db = sqlite3.connect(path)
    assert db.execute(statement).rowcount == 1
    db.commit()
    db.close()
    store = SqliteStore(str(path))
    assert found in "\n".join(store.verify())
    store.close()


def test_a_commit_that_is_gone_with_its_link_is_found(tmp_path: Path) -> None:
    """Each link, which is with the last entry, stands on the one before it."""
    path = tmp_path / "state.db"
    state(path)
    db = sqlite3.connect(path)
    db.execute("DELETE FROM _log WHERE seq <= 5")
    db.commit()
    db.close()
    with closing(SqliteStore(str(path))) as store:
        assert "between the events 1 and 10" in "\n".join(store.verify())


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("UPDATE _log_plain SET text = replace(text, 'A.b', 'A.c')", "between the events 1 and 20"),
        ("UPDATE _log_plain SET text = CAST(x'ff' AS TEXT)", "a run of events has bytes that"),
        ("UPDATE _log_plain SET fired = '[]'", "between the events 1 and 20"),
        ("UPDATE _log_plain SET high = 'x'", "from number 1 of the log on are not those"),
        ("DELETE FROM _log_plain", "has lost its newest commits with 20 events"),
        ("UPDATE _log_plain SET seq = 30", "between the events 1 and 49"),
    ],
)
def test_a_changed_run_of_events_is_found(tmp_path: Path, statement: str, found: str) -> None:
    path = tmp_path / "state.db"
    with closing(SqliteStore(str(path))) as store:
        store.append([plain(1, 20)])
        store.commit()
        assert store.verify() == []
    db = sqlite3.connect(path)
    shown = db.execute("SELECT seq, id, type, status, fired FROM _event ORDER BY seq").fetchall()
    assert shown[4] == (5, "e000000005", "A.b", "handled", "") and len(shown) == 20
    with pytest.raises(sqlite3.IntegrityError, match="in the log twice"):
        run = "SELECT 40, count, low, 'f', text, '', NULL, NULL FROM _log_plain"
        db.execute(f"INSERT INTO _log_plain {run}")
    assert db.execute(statement).rowcount == 1
    db.commit()
    db.close()
    with closing(SqliteStore(str(path))) as store:
        assert found in "\n".join(store.verify())


def test_a_log_written_anew_is_found(tmp_path: Path) -> None:
    path, other = tmp_path / "state.db", tmp_path / "other.db"
    state(path)
    store = SqliteStore(str(other))
    store.prepare([COUNTER])
    for _ in range(3):
        commit_some(store, 5, "forged")
    store.close()
    shutil.copy(other, path)
    store = SqliteStore(str(path))
    assert "not the one that was acknowledged" in store.verify()[0]
    store.close()


def test_a_cut_tail_is_found_and_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    state(path)
    before = tmp_path / "before.db"
    shutil.copy(path, before)
    store = SqliteStore(str(path))
    commit_some(store, 4)
    store.close()
    # What SQLite makes of a rotted journal: an older state, and no word about it.
    shutil.copy(before, path)
    store = SqliteStore(str(path))
    store.commit()  # of nothing, as a command that only reads may do
    assert "lost its newest commits with 4 events" in store.verify()[0]
    for write in (
        lambda: store.append([entry(16)]),
        lambda: store.write({"Counter": {"x": {"id": "x"}}}),
        lambda: store.prepare([Table("New", (Column("id", "text"),))]),
    ):
        with pytest.raises(StoreError, match="put a backup in its place"):
            write()
    store.close()
    store = SqliteStore(str(path))
    assert "lost its newest" in store.verify()[0]
    store.close()
    Path(f"{path}.len").unlink()
    store = SqliteStore(str(path))
    assert store.verify() == []
    commit_some(store, 1)
    store.close()


def test_commits_beside_the_log_are_counted(tmp_path: Path) -> None:
    """Those that add to it are known by its length, and cost no count of their own."""
    path, before = tmp_path / "state.db", tmp_path / "before.db"
    state(path)
    length = Path(f"{path}.len")
    count = int(length.read_text().split()[0])
    with closing(SqliteStore(str(path))) as store:
        commit_some(store, 1)
    assert int(length.read_text().split()[0]) == count
    shutil.copy(path, before)
    with closing(SqliteStore(str(path))) as store:
        store.write({"Counter": {"x": {"id": "x"}}})
        store.commit()
        assert store.verify() == []
    assert int(length.read_text().split()[0]) == count + 1
    shutil.copy(before, path)
    with closing(SqliteStore(str(path))) as store:
        assert "lost its newest commits with 0 events" in store.verify()[0]


def killed_at_work(pipe: int, path: Path) -> None:
    store = SqliteStore(str(path))
    for _ in range(3):
        os.write(pipe, f"{commit_some(store, 5)}\n".encode())
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_cut_journal_is_found(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    state(path)
    with child(killed_at_work, path) as (_, reading):
        assert said(reading)[-1] == "30"
    journal = Path(f"{path}-wal")
    os.truncate(journal, journal.stat().st_size - 100)
    store = SqliteStore(str(path))
    assert store.last_seq() == 25
    assert "5 events that had been acknowledged" in store.verify()[0]
    store.close()


@pytest.mark.parametrize("content", [None, b"", b"\0" * 128, b"1 5 " + b"0" * 64 + b"\n", b"9"])
def test_an_older_or_missing_length_file_is_fine(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "state.db"
    state(path)
    length = Path(f"{path}.len")
    length.unlink()
    if content is not None:
        length.write_bytes(content)
    store = SqliteStore(str(path))
    assert store.verify() == []
    commit_some(store, 1)
    store.close()
    assert length.read_text().split()[:2] == ["1", "16"]


def test_damage_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    state(path, batches=60)
    size = path.stat().st_size
    rng = random.Random(3)
    failed = 0
    for _ in range(25):
        broken = tmp_path / "broken.db"
        data = bytearray(path.read_bytes())
        start = rng.randrange(100, size - 600)
        data[start : start + 500] = rng.randbytes(500)
        broken.write_bytes(data)
        found: list[str] = []
        try:
            store = SqliteStore(str(broken))
            try:
                found = store.verify()
                list(store.select("Counter", order=[("n", True)]))
                commit_some(store, 3)
            finally:
                store.close()
        except StoreError as error:
            found.append(str(error))
        failed += bool(found)
    assert failed >= 20


# --- addresses and other files ---------------------------------------------------------------


def test_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(open_store(":memory:"), MemoryStore)
    monkeypatch.chdir(tmp_path)
    store = open_store("state.db")
    assert isinstance(store, SqliteStore)
    store.close()
    for address, message in {
        "mysql://x": "mysql:// is no kind of state",
        " ": "has no name",
        "a\0b": "NUL",
        str(tmp_path): "is a folder: name a file in it",
    }.items():
        with pytest.raises(UsageError, match=message):
            open_store(address)


def test_fresh_deletes_a_state_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    state(path)
    store = open_store(str(path), fresh=True)
    assert store.last_seq() == 0
    assert store.verify() == []
    store.close()
    (tmp_path / "empty.db").touch()
    open_store(str(tmp_path / "empty.db"), fresh=True).close()
    (tmp_path / "notes.txt").write_text("dear diary " * 20)
    with pytest.raises(UsageError, match="is no state of bizrun, so --fresh does not delete it"):
        open_store(str(tmp_path / "notes.txt"), fresh=True)
    with pytest.raises(StoreError, match="is no state of bizrun, or its beginning is damaged"):
        open_store(str(tmp_path / "notes.txt"))
    assert (tmp_path / "notes.txt").read_text() == "dear diary " * 20
    other = sqlite3.connect(tmp_path / "other.db")
    other.execute("CREATE TABLE t (x)")
    other.commit()
    other.close()
    before = (tmp_path / "other.db").read_bytes()
    for fresh in (True, False):
        with pytest.raises(UsageError, match="is a database of another program"):
            open_store(str(tmp_path / "other.db"), fresh=fresh)
    assert (tmp_path / "other.db").read_bytes() == before


def test_the_journal_of_small_commits_stays_short(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    journal = Path(f"{path}-wal")
    page = 4096 + 24
    with closing(SqliteStore(str(path))) as store:
        store.prepare([COUNTER])
        for _ in range(300):
            commit_some(store, 1, "x" * 3000)
        small = journal.stat().st_size
        # Each one writes four pages at least.
        assert 1000 * page < small < 1050 * page
        for _ in range(30):
            commit_some(store, 200, "x" * 3000)
        assert 2 * small < journal.stat().st_size


def test_a_closed_store_says_so(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path / "state.db"))
    store.prepare([COUNTER])
    commit_some(store, 1)
    store.close()
    store.close()
    for call in (
        store.commit,
        store.rollback,
        store.last_seq,
        lambda: store.get("Counter", "all"),
        lambda: list(store.select("Counter")),
        lambda: store.append([entry(2)]),
        lambda: store.known([("s", "x")]),
        lambda: next(store.log()),
        store.verify,
    ):
        with pytest.raises(StoreError, match="is closed"):
            call()


def test_sql_tools_can_read_the_tables(tmp_path: Path) -> None:
    from datetime import UTC, date, datetime
    from decimal import Decimal

    from bizrun.values import UNLIMITED, Duration, Money, Percent

    kinds: dict[str, tuple[Any, Any]] = {
        "text": ("ä", "ä"),
        "number": (Decimal("0.50"), "0.5"),
        "integer": (7, 7),
        "bool": (True, 1),
        "money": (Money(29, "USD"), "29.00 USD"),
        "percent": (Percent(Decimal("0.15")), "15%"),
        "duration": (Duration(1, 14, 500_000), "P1M14DT0.5S"),
        "size": (1024, 1024),
        "time": (datetime(2026, 1, 31, 9, tzinfo=UTC), "2026-01-31T09:00:00Z"),
        "date": (date(2026, 1, 31), "2026-01-31"),
        "json": ({"b": [1, Money(1, "JPY")], "a": "ü"}, '{"b":[1,{"$m":"1 JPY"}],"a":"ü"}'),
    }
    each = [Column(f"a_{k}", k) for k in kinds]  # type: ignore[arg-type]
    table = Table("Kind", (Column("id", "text"), *each))
    store = SqliteStore(str(tmp_path / "state.db"))
    store.prepare([table])
    row = {"id": "k"} | {f"a_{kind}": value for kind, (value, _) in kinds.items()}
    store.write({"Kind": {"k": row, "u": {"id": "u", "a_number": UNLIMITED}}})
    store.commit()
    store.close()
    db = sqlite3.connect(tmp_path / "state.db")
    found = db.execute("SELECT * FROM Kind ORDER BY id").fetchall()
    assert found[0] == ("k", *(stored for _, stored in kinds.values()))
    assert found[1][2] == "unlimited"
    assert {type(x) for x in found[0]} == {str, int}
    db.close()
