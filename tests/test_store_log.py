"""The event log of every store: entries, known ids, runs of plain events."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bizrun.store.base import ERASED, INTERNAL, Known, LogEntry, Plain, Store
from bizrun.store.memory import MemoryStore
from bizrun.store.plain import ends, smallest
from bizrun.store.sqlite import SqliteStore

from .test_store import entry


def test_append_known_and_claim(store: Store) -> None:
    assert store.last_seq() == 0
    assert store.known([("s", "a")]) == {}
    store.append([entry(1, "b"), entry(2, "a", "rejected"), entry(3, "a", source="t")])
    store.append([entry(4, "a", "conflict"), entry(5, "zz")], claim=False)
    assert store.last_seq() == 5
    asked = [("s", "a"), ("s", "b"), ("t", "a"), ("t", "b"), ("s", "zz"), ("u", "a"), ("s", "")]
    known = {
        ("s", "a"): Known(2, "rejected"),
        ("s", "b"): Known(1, "handled"),
        ("t", "a"): Known(3, "handled"),
    }
    assert store.known(asked) == known
    store.commit()
    assert store.known(asked) == known
    store.append([entry(6, "a"), entry(7, "b", "failed")])
    assert store.known([("s", "a"), ("s", "b")]) == {
        ("s", "a"): Known(6, "handled"),
        ("s", "b"): Known(1, "handled"),
    }
    store.append([])
    store.commit()
    assert store.verify() == []


def test_log_reads_in_order_from_anywhere(store: Store) -> None:
    entries = [
        LogEntry(n, "s", f"e{n}", "A.b", "t", '{"x": "ü"}', "failed" if n % 500 == 0 else "handled",
                 "why" if n % 2 else None, n - 1 if n > 1 else None, "3,17")
        for n in range(1, 2501)
    ]  # fmt: skip
    store.append(entries)
    assert list(store.log()) == entries
    assert list(store.log(2490)) == entries[2490:]
    assert [e.seq for e in store.log(500, "failed")] == [1000, 1500, 2000, 2500]
    assert list(store.log(status="rejected")) == []
    assert list(store.log(9999)) == []
    assert store.entry(7) == entries[6]
    assert store.entry(0) is None
    assert store.entry(2501) is None


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.tuples(
            st.lists(
                st.tuples(
                    st.sampled_from(["s", "t", "ä"]),
                    st.sampled_from(["a", "b", "ab", "é", "\0", "a\0b", "\ud800", "9", "10", ""]),
                    st.sampled_from(["handled", "rejected"]),
                ),
                max_size=5,
            ),
            st.sampled_from(["commit", "rollback", ""]),
        ),
        max_size=6,
    )
)
def test_known_alike_in_both_stores(tmp_path: Path, batches: Any) -> None:
    asked = [
        (s, i)
        for s in ("s", "t", "ä", "other")
        for i in ("a", "b", "ab", "é", "\0", "a\0b", "\ud800", "9", "10", "", "zz")
    ]
    with closing(SqliteStore(str(tmp_path / "k.db"), fresh=True)) as file:
        memory = MemoryStore()
        for batch, end in batches:
            for store in (memory, file):
                seq = store.last_seq()
                store.append([entry(seq + n, i, t, s) for n, (s, i, t) in enumerate(batch, 1)])
                if end:
                    getattr(store, end)()
            assert memory.known(asked) == file.known(asked)
            assert memory.last_seq() == file.last_seq()
        file.commit()
        assert file.verify() == []


plain_ids = st.lists(st.sampled_from([f"{p}{n:02}" for p in "ab" for n in range(30)]), max_size=24)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.tuples(plain_ids, st.booleans(), st.sampled_from(["commit", "rollback", ""])),
        max_size=6,
    )
)
def test_runs_of_plain_events_are_entries_like_others(tmp_path: Path, parts: Any) -> None:
    pool = [f"{p}{n:02}" for p in "ab" for n in range(30)]
    with closing(SqliteStore(str(tmp_path / "r.db"), fresh=True)) as file:
        stores: list[Store] = [MemoryStore(), file]
        log: list[LogEntry] = []
        committed = 0
        for ids, run, end in parts:
            taken = {e.id for e in log}
            ids = [id for id in dict.fromkeys(ids) if id not in taken]
            first = len(log) + 1
            places = "7" if run else ""
            fresh = []
            for seq, id in enumerate(ids, first):
                raw = f'{{"id":"{id}","type":"A.b","time":"t"}}'
                fresh.append(LogEntry(seq, "", id, "A.b", "t", raw, "handled", None, None, places))
            log += fresh
            for store in stores:
                assert store.unseen(ids) or min(ids) < max(taken)
                text = "".join(f"{e.raw}\n" for e in fresh).encode()
                plain = [Plain(first, ids, text, ["7"] * len(ids) if run else None)] if ids else []
                store.append(plain if len(ids) % 5 else fresh)
                if end:
                    getattr(store, end)()
            committed = len(log) if end == "commit" else committed
            log = log[:committed] if end == "rollback" else log
            expected = {("", e.id): Known(e.seq, "handled") for e in log}
            for store in stores:
                assert store.last_seq() == len(log)
                assert list(store.log()) == log
                assert list(store.log(len(log) // 2)) == log[len(log) // 2 :]
                assert list(store.log(0, "rejected")) == []
                assert store.known([("", id) for id in pool]) == expected
                assert [store.entry(n) for n in range(len(log) + 2)] == [None, *log, None]
        file.commit()
        assert file.verify() == []


def test_entries_say_less_and_the_chain_stays(store: Store) -> None:
    lines = [f'{{"id":"p{n:02}","type":"A.b","time":"t","data":{{"who":"ada"}}}}' for n in range(9)]
    text = "".join(f"{line}\n" for line in lines).encode()
    store.append([entry(1, "a"), Plain(2, [f"p{n:02}" for n in range(9)], text, None)])
    store.commit()
    store.append([entry(11, "b"), entry(12, "c")])
    store.commit()
    told = lines[3].replace("ada", "erased")
    links = store.redact({1: ("{}", "why"), 5: (told, None)})
    assert links.keys() == ({"10"} if store.lasting else set())
    raw = msgspec.json.encode({"links": links}).decode()
    audit = LogEntry(13, INTERNAL, "audit-1", ERASED, "t", raw, "handled", None, None, None)
    store.append([audit])
    store.commit()
    store.purge()
    found = {held.seq: held for held in store.log()}
    assert (found[1].raw, found[1].reason) == ("{}", "why")
    assert (found[5].raw, found[5].id, found[6].raw) == (told, "p03", lines[4])
    assert store.known([("", "p03")]) == {("", "p03"): Known(5, "handled")}
    assert store.verify() == []
    store.redact({12: ('{"x":1}', None)})
    store.commit()
    assert bool(store.verify()) == store.lasting, "nothing tells of this"


@pytest.mark.parametrize(
    ("ids", "least", "both"),
    [
        (["a", "b", "c"], "a", ("a", "c")),
        (["b", "a", "c"], "a", ("a", "c")),
        (["a", "b", "b"], None, ("a", "b")),
        (["b", "a", "b"], None, ("a", "b")),
        (["é"], "é", ("é", "é")),
    ],
)
def test_ids_that_grow_are_looked_at_once(
    ids: list[str], least: str | None, both: tuple[str, str]
) -> None:
    assert (smallest(ids), ends(ids)) == (least, both)
    assert smallest([]) == ""
