"""Full disks, folders that can't be written, files in the way, rows that others wrote."""

from __future__ import annotations

import json
import os
import resource
import shutil
import sqlite3
import subprocess
import tempfile
from pathlib import Path

import pytest

from bizrun.errors import StoreError, UsageError
from bizrun.store.base import Column, Table
from bizrun.store.sqlite import SqliteStore

from .forked import child, said
from .serving import COMMAND, SHOP, events_of, serving
from .test_store_crash import COUNTER, commit_some, state

# --- disks and folders -----------------------------------------------------------------------


def fill(pipe: int, path: Path) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
    store = SqliteStore(str(path))
    try:
        while True:
            os.write(pipe, f"{commit_some(store, 20, 'x' * 500)}\n".encode())
    except StoreError:
        for call in (store.last_seq, store.commit, lambda: store.get("Counter", "all")):
            try:
                call()
            except StoreError:
                continue
            os.write(pipe, b"goes on\n")
        raise


def test_a_full_disk(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    state(path)
    with child(fill, path) as (_, reading):
        lines = said(reading)
    assert "goes on" not in lines
    assert lines[-1].startswith("StoreError ")
    assert "full" in lines[-1]
    acknowledged = int(lines[-2])
    assert acknowledged > 15
    store = SqliteStore(str(path))
    assert store.last_seq() == acknowledged
    assert store.get("Counter", "all")["n"] == acknowledged  # type: ignore[index]
    assert store.verify() == []
    assert commit_some(store, 20, "x" * 500) == acknowledged + 20
    store.close()


# A process whose disk says, once it is told to, that a sync has failed.
FAILING = """
import os, apsw
class File(apsw.VFSFile):
    def xSync(self, flags):
        if os.path.exists("FLAG"):
            error = apsw.IOError("the disk did not answer")
            error.extendedresult = apsw.SQLITE_IOERR_FSYNC
            raise error
        super().xSync(flags)
class Disk(apsw.VFS):
    def __init__(self):
        super().__init__("failing", "unix", makedefault=True)
    def xOpen(self, name, flags):
        return File("unix", name, flags)
disk = Disk()
import bizrun.server.writer
bizrun.server.writer.RETRY_SECONDS = 0  # it would try again at once, if it did
"""


def test_a_failed_sync_is_not_acknowledged(tmp_path: Path) -> None:
    """After one nobody goes on: the system may take for written what is not on the disk."""
    flag = tmp_path / "fails"
    (tmp_path / "sitecustomize.py").write_text(FAILING.replace("FLAG", str(flag)))
    broken = {"PYTHONPATH": str(tmp_path)}

    def signup(number: int) -> dict[str, object]:
        return {"id": f"e{number}", "type": "Customer.signup", "data": {"id": f"a{number}"}}

    with serving(tmp_path, SHOP, scope="admin", environment=broken) as served:
        taken = [served.results(signup(number))[0]["status"] for number in range(3)]
        flag.touch()
        for number in (3, 4):
            answer = served.post(signup(number))
            assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
        flag.unlink()
        health = served.http.get("/health", headers=served.headers)
        assert (health.status_code, health.json()["status"]) == (503, "down")
        assert served.post(signup(5)).status_code == 503, "it went on after a failed sync"
        assert served.stop() == 0
    assert "nothing can be committed" in (tmp_path / "stderr.txt").read_text()
    with serving(tmp_path, SHOP, scope="admin") as served:
        again = [served.results(signup(number))[0]["status"] for number in range(6)]
        assert taken == ["handled"] * 3
        assert again[:3] == ["duplicate"] * 3
        assert again[4:] == ["handled"] * 2
        assert served.stop() == 0
    assert [event["id"] for event in events_of(served.state)] == [f"e{n}" for n in range(6)]
    lines = "".join(json.dumps(signup(n)) + "\n" for n in range(6, 9))
    run = [COMMAND, "run", "shop.biz", "--events", "-", "--state", "shop.db", "--out", "none"]
    flag.touch()
    for environment, code in ((broken, 3), ({}, 0)):
        done = subprocess.run(
            [*run, "--progress", "json"], cwd=tmp_path, env={**os.environ, **environment},
            input=lines, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        assert ("acked" in done.stderr) == (code == 0)
        assert code == 0 or "check the disk" in done.stderr
    assert len(events_of(served.state)) == 9


def test_a_full_database_keeps_nothing_of_the_transaction(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    state(path)
    store = SqliteStore(str(path))
    pages = store._connection().execute("PRAGMA page_count").fetchone()[0]
    store._connection().execute(f"PRAGMA max_page_count = {pages + 5}")
    with pytest.raises(StoreError, match=r"the disk is full, .*state.db can't grow: make room"):
        commit_some(store, 5000, "x" * 100)
    with pytest.raises(StoreError, match="the disk is full"):
        store.write({"Counter": {"y": {"id": "y"}}})
    with pytest.raises(StoreError, match="the disk is full"):
        list(store.log())
    store.close()
    store = SqliteStore(str(path))
    assert (store.last_seq(), store.count("Counter")) == (15, 4)
    assert store.verify() == []
    store.close()


def open_as_nobody(pipe: int, path: Path) -> None:
    if os.getuid() == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    SqliteStore(str(path)).close()


def opened_by_nobody(path: Path) -> list[str]:
    """What a process without rights says to a state: root may write anywhere."""
    with child(open_as_nobody, path) as (_, reading):
        return said(reading)


def test_a_read_only_folder_and_file() -> None:
    folder = Path(tempfile.mkdtemp(prefix="bizrun-test-"))
    try:
        path = folder / "state.db"
        state(path)
        for each in folder.iterdir():
            each.chmod(0o444)
        folder.chmod(0o555)
        new = opened_by_nobody(folder / "new.db")
        assert new[0].startswith("StoreError ")
        assert "new.db can't be written: its file or folder is read-only" in new[0]
        old = opened_by_nobody(path)
        assert "state.db can't be written: its file or folder is read-only" in old[0]
        Path(f"{path}.lock").chmod(0o666)
        Path(f"{path}.len").chmod(0o666)
        old = opened_by_nobody(path)
        assert old[0].startswith("StoreError ")
        assert "read-only" in old[0]
        deeper = opened_by_nobody(folder / "a" / "b.db")
        assert "read-only" in deeper[0]
        assert SqliteStore(str(path)).verify() == []
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="a part of its path is a file, not a folder"):
        SqliteStore(str(tmp_path / "file" / "sub" / "state.db"))
    state(tmp_path / "state.db")
    Path(tmp_path / "state.db-wal").mkdir()
    with pytest.raises(StoreError, match=r"state.db can't be opened|can't be read"):
        SqliteStore(str(tmp_path / "state.db"))


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in (str(tmp_path / "pipe"), "/dev/null"):
        with pytest.raises(UsageError, match="is no file on a disk"):
            SqliteStore(name)
    with pytest.raises(StoreError, match="can't be used: File name too long"):
        SqliteStore(str(tmp_path / ("x" * 300)))


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("UPDATE Row SET due = 'tomorrow'", "Row `r`: `tomorrow` in due is no time"),
        ("UPDATE Row SET due = '2026-01-31T09:00:00'", "in due is no time"),
        ("UPDATE Row SET due = ''", "in due is no time"),
        ("UPDATE Row SET paid = '5 dollars each'", "in paid is no money"),
        ("UPDATE Row SET paid = 'x USD'", "in paid is no money"),
        ("UPDATE Row SET n = 'many'", "`many` in n is no number"),
        ("UPDATE Row SET n = 1.5", "`1.5` in n is no number"),
        ("UPDATE Row SET data = '{'", "in data is no json"),
        ('UPDATE Row SET data = \'{"$t":"x"}\'', "in data is no json"),
        ("UPDATE Row SET data = CAST(x'7bff' AS TEXT)", "is damaged (bytes that are no text)"),
        ("UPDATE Row SET span = 'a while'", "in span is no duration"),
        ("UPDATE Row SET share = '%'", "in share is no percent"),
        (
            "UPDATE _meta SET value = 'x' WHERE name = 'table:Row'",
            "_meta is not as bizrun wrote it",
        ),
        ("DELETE FROM _meta WHERE name = 'commits'", "_meta is not as bizrun wrote it"),
        ("DROP TABLE _log_plain", "no such table: _log_plain"),
    ],
)
def test_values_that_another_program_wrote(tmp_path: Path, statement: str, says: str) -> None:
    path = tmp_path / "state.db"
    columns = {"due": "time", "paid": "money", "n": "number", "data": "json", "span": "duration",
               "share": "percent"}  # fmt: skip
    each = [Column(n, t) for n, t in columns.items()]  # type: ignore[arg-type]
    table = Table("Row", (Column("id", "text"), *each))
    store = SqliteStore(str(path))
    store.prepare([table])
    store.write({"Row": {"r": {"id": "r"}}})
    store.commit()
    store.close()
    db = sqlite3.connect(path)
    db.execute(statement)
    db.commit()
    db.close()
    for read in (
        lambda store: store.get("Row", "r"),
        lambda store: list(store.select("Row")),
        lambda store: store.prepare(
            [Table("Row", (Column("id", "text"), *(Column(n, "text") for n in columns)))]
        ),
    ):
        with pytest.raises(StoreError) as caught:
            store = SqliteStore(str(path))
            try:
                read(store)
            finally:
                store.close()
        assert says in str(caught.value)


def test_a_select_does_not_end_early_when_the_store_does(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path / "state.db"))
    store.prepare([COUNTER])
    store.write({"Counter": {f"{n:04}": {"id": f"{n:04}", "n": n} for n in range(1000)}})
    store.commit()
    rows = store.select("Counter")
    next(rows)
    store.close()
    with pytest.raises(StoreError, match="is closed"):
        list(rows)


def test_missing_folders_are_made(tmp_path: Path) -> None:
    state(tmp_path / "a" / "b" / "state.db")
    assert (tmp_path / "a" / "b" / "state.db").exists()
