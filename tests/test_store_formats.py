"""States that older versions of bizrun have written go on, with all that they know."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bizrun.errors import StoreError
from bizrun.runtime.head import head_of
from bizrun.runtime.tables import SYSTEM
from bizrun.store.reading import SqliteReader
from bizrun.store.sqlite import SqliteStore

from .test_store_crash import commit_some, entry, plain

# As the second format had it: two commits of three events each, then a run of ten.
SECOND = (Path(__file__).parent / "golden" / "state" / "format2.sql").read_text()
# The first one had no runs of events.
FIRST = (
    "DROP VIEW _event; DROP TABLE _log_plain; DELETE FROM _chain WHERE last_seq > 6;"
    "UPDATE _meta SET value = '1' WHERE name = 'format'"
)
SPEC = [table for table in SYSTEM if table.name == "_spec"]


@pytest.fixture(params=[1, 2])
def old(tmp_path: Path, request: pytest.FixtureRequest) -> tuple[Path, int]:
    """A state of an older format, and how many events it has."""
    path = tmp_path / "state.db"
    with closing(sqlite3.connect(path)) as db:
        db.executescript(SECOND)
        if request.param == 1:
            db.executescript(FIRST)
    return path, 6 if request.param == 1 else 16


def test_an_older_state_goes_on(old: tuple[Path, int]) -> None:
    path, count = old
    with closing(SqliteStore(str(path))) as store:
        assert store.verify() == [] and store.last_seq() == count
        assert head_of(store) == (datetime(2026, 1, 5, 9, 0, 0, 250_000, UTC), 7)
        assert store.prepare(SPEC) == []
        assert store.get("_spec", "spec") == {
            "id": "spec", "spec": "shop", "path": "shop.biz", "format": 1,
        }  # fmt: skip
        commit_some(store, 3)
        store.append([plain(store.last_seq() + 1, 40)])
        store.commit("- 8")
    with closing(SqliteStore(str(path))) as store:
        assert store.verify() == [] and store.last_seq() == count + 43
        assert head_of(store) == (None, 8)


def test_an_older_state_is_read_as_it_is(old: tuple[Path, int]) -> None:
    path, count = old
    before = path.read_bytes()
    with closing(SqliteReader(str(path))) as reader:
        assert reader.last_seq() == count == len(list(reader.log()))
        assert reader.prepare(SPEC) == [] and reader.get("_spec", "spec") is not None
        assert head_of(reader).order == 7
    assert path.read_bytes() == before


def test_what_was_changed_before_is_found_after(old: tuple[Path, int]) -> None:
    path, _ = old
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE _log SET raw = '[]' WHERE seq = 5")
        db.commit()
    with closing(SqliteStore(str(path))) as store:
        assert "between the events 4 and 6" in "\n".join(store.verify())


def test_each_link_stands_with_its_last_entry(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with closing(SqliteStore(str(path))) as store:
        store.append([entry(1), entry(2)])
        store.commit("a 1")
        store.append([entry(3), plain(4, 10)])
        store.commit("a 2")
        store.append([entry(14)])
        assert store.known([("s", "e000000014")]), "what is asked for is there"
        store.append([plain(15, 9)])
        assert len(list(store.log())) == 23
        store.commit("a 3")
    with closing(sqlite3.connect(path)) as db:
        links = db.execute("SELECT last_seq FROM _chain ORDER BY 1").fetchall()
        assert links == [(2,), (13,), (23,)]
    with closing(SqliteStore(str(path))) as store:
        assert store.verify() == [] and store.head() == "a 3"
        store.append([entry(24)])
        store.commit("a 4")
        store.append([entry(25)])
        assert store.entry(25) == entry(25)
        store.commit("a 5")
        assert store.verify() == []


def test_an_id_of_a_run_that_waits_is_known(tmp_path: Path) -> None:
    with closing(SqliteStore(str(tmp_path / "state.db"))) as store:
        again = (11, "", "e000000005", *entry(11)[3:])
        store.append([plain(1, 10), again])
        store.commit()
        assert store.known([("", "e000000005")]) == {("", "e000000005"): (5, "handled")}
        assert store.verify() == [] and store.last_seq() == 11


def test_the_head_is_that_of_the_newest_commit(tmp_path: Path) -> None:
    path = tmp_path / "state.db"

    def told() -> str:
        with closing(SqliteReader(str(path))) as reader:
            return reader.head()

    with closing(SqliteStore(str(path))) as store:
        assert store.head() == ""
        store.commit("a 1")  # nothing but a head
        assert store.head() == told() == "a 1"
        store.append([entry(1)])
        assert store.head() == "a 1"
        store.rollback()
        assert store.head() == "a 1"
        store.append([entry(1)])
        store.commit("a 2")
        assert told() == "a 2"
        store.commit("a 3")
        store.commit()
        assert store.head() == told() == "a 3"
        store.append([plain(2, 10)])
        store.commit("a 1")  # as it was once before
        assert store.head() == told() == "a 1"
        store.commit("a 3")
        store.rollback()
        assert store.head() == told() == "a 3"


def test_a_format_that_is_not_known_yet(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    SqliteStore(str(path)).close()
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE _meta SET value = '4' WHERE name = 'format'")
        db.commit()
    with pytest.raises(StoreError, match=r"written by a newer bizrun \(format 4, .*update bizrun"):
        SqliteStore(str(path))
    SqliteStore(str(path), fresh=True).close()


@pytest.mark.parametrize("head", ["soon 7", "2026-01-05T09:00:00 7", "2026-01-05T09:00:00Z", "- x"])
def test_a_head_that_was_changed_is_told(tmp_path: Path, head: str) -> None:
    with closing(SqliteStore(str(tmp_path / "state.db"))) as store:
        store.append([entry(1)])
        store.commit(head)
        with pytest.raises(StoreError, match=f"damaged: its clock is `{head}`; put a backup"):
            head_of(store)
