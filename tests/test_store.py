"""One contract over every store, and what is SQLite's own."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import apsw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from bizrun.errors import EvalError, Refusal
from bizrun.store.base import Column, Known, Range, Row, Store, Table
from bizrun.store.digest import state_digest
from bizrun.store.memory import MemoryStore
from bizrun.store.sorted_index import SortedIndex
from bizrun.store.sqlite import SqliteStore
from bizrun.values import UNLIMITED, Duration, Money, Percent

Open = Callable[[], Store]

TYPES = (
    "text", "number", "integer", "bool", "money", "percent", "duration", "size", "time", "date",
    "json", "serial",
)  # fmt: skip
_EACH = [Column(f"a_{type}", type) for type in TYPES]  # type: ignore[arg-type]
ALL = Table("All", (Column("id", "text"), *_EACH))
ACCOUNT = Table(
    "Account",
    (
        Column("id", "text"),
        Column("email", "text", unique=True),
        Column("status", "text"),
        Column("due", "time"),
        Column("score", "number"),
        Column("paid", "money"),
        Column("active", "bool"),
        Column("made", "serial"),
        Column("stage", "text"),
    ),
    indexes=(("due",), ("status", "due"), ("status",), ("score",), ("stage",), ("stage", "due")),
    usual=(("stage", "done"),),
)
OPERATORS: dict[str, Any] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
T0 = datetime(2026, 1, 31, 9, tzinfo=UTC)


def account(id: str, **fields: Any) -> Row:
    return {column.name: None for column in ACCOUNT.columns} | {"id": id} | fields


def entry(seq: int, id: str, status: str = "handled", source: str = "s", raw: str = "{}") -> Any:
    return (seq, source, id, "A.b", "2026-01-31T09:00:00Z", raw, status, None, None, None)


def put(store: Store, *rows: Row, table: str = "Account") -> None:
    store.write({table: {row["id"]: row for row in rows}})


def keys(rows: Iterator[Row]) -> list[str]:
    return [row["id"] for row in rows]


# --- rows ------------------------------------------------------------------------------------


def test_get_sees_writes_at_once_and_after_the_commit(store: Store) -> None:
    assert store.get("Account", "a") is None
    put(store, account("a", email="x"))
    assert store.get("Account", "a") == account("a", email="x")
    store.commit()
    put(store, account("a", email="y"))
    assert store.get("Account", "a") == account("a", email="y")
    store.write({"Account": {"a": None, "never": None}})
    assert store.get("Account", "a") is None
    store.commit()
    assert store.get("Account", "a") is None
    assert store.count("Account") == 0


def test_a_row_has_all_its_columns(store: Store) -> None:
    store.write({"Account": {"a": {"id": "a"}}})
    assert store.get("Account", "a") == account("a")
    assert list(store.select("Account")) == [account("a")]


def test_columns_set_alone_are_read_as_if_the_row_had_been_written(store: Store) -> None:
    store.write({"Account": {id: account(id, email=id, active=True) for id in ("a", "b", "c")}})
    store.commit()
    store.get("Account", "a")
    store.write({"Account": {"b": account("b", email="new")}})
    store.adjust("Account", ("paid", "active"), [(Money(3, "USD"), False, "a"),
                                                 (None, True, "b")])  # fmt: skip
    found = {row["id"]: row for row in store.select("Account")}
    assert found == {
        "a": account("a", email="a", paid=Money(3, "USD"), active=False),
        "b": account("b", email="new", active=True),
        "c": account("c", email="c", active=True),
    }
    assert [store.get("Account", id) for id in "abc"] == [found[id] for id in "abc"]
    store.rollback()
    assert store.get("Account", "a") == account("a", email="a", active=True)


def test_rollback_drops_rows_and_entries(store: Store) -> None:
    put(store, account("a", email="x", status="s", due=T0), account("b", email="y"))
    store.append([entry(1, "e1"), entry(2, "e2", "rejected")])
    store.commit()
    put(store, account("a", email="y2", status="t"), account("c", email="z"))
    store.write({"Account": {"b": None}})
    assert keys(store.select("Account", {"status": "t"})) == ["a"]
    put(store, account("d", email="y"))
    store.append([entry(3, "e2"), entry(4, "e4")])
    store.rollback()
    assert keys(store.select("Account")) == ["a", "b"]
    assert store.get("Account", "a") == account("a", email="x", status="s", due=T0)
    assert store.get("Account", "c") is None
    assert keys(store.select("Account", {"email": "y"})) == ["b"]
    assert keys(store.select("Account", {"status": "s"})) == ["a"]
    assert store.last_seq() == 2
    assert [e.seq for e in store.log()] == [1, 2]
    assert store.known([("s", "e1"), ("s", "e2"), ("s", "e4")]) == {
        ("s", "e1"): Known(1, "handled"),
        ("s", "e2"): Known(2, "rejected"),
    }
    put(store, account("c", email="z"))
    store.append([entry(3, "e4")])
    store.commit()
    assert store.verify() == []


def test_unique(store: Store) -> None:
    put(store, account("a", email="x"), account("b", email="y"), account("n"), account("m"))
    store.commit()
    with pytest.raises(Refusal, match="another Account has the email `x`"):
        put(store, account("other", status="kept?"), account("c", email="x"))
    assert store.get("Account", "other") is None
    with pytest.raises(Refusal):
        put(store, account("c", email="z"), account("d", email="z"))
    put(store, account("c", email="z"))
    with pytest.raises(Refusal):  # not committed yet, but taken
        put(store, account("d", email="z"))
    put(store, account("c", email="z", status="again"))
    put(store, account("c", email="w"))
    put(store, account("d", email="z"))
    with pytest.raises(Refusal):
        put(store, account("b", email="w"))
    store.write({"Account": {"a": None, "e": account("e", email="x")}})
    store.commit()
    assert keys(store.select("Account", {"email": "x"})) == ["e"]
    assert store.count("Account") == 6


def test_unique_values_change_places_in_one_write(store: Store) -> None:
    put(store, account("a", email="x"), account("b", email="y"), account("c", email="z"))
    store.commit()
    put(store, account("b", email="z"), account("c", email="x"), account("a", email="y"))
    store.commit()
    assert {r["id"]: r["email"] for r in store.select("Account")} == {"a": "y", "b": "z", "c": "x"}
    with pytest.raises(Refusal):
        put(store, account("d", email="z"))
    store.write({"Account": {"b": None}})
    put(store, account("d", email="z"))


def test_select_equals_and_none(store: Store) -> None:
    put(
        store,
        account("a", status="s", active=True, score=5, paid=Money(29, "USD")),
        account("b", status="s", active=False, score=Decimal("0.5"), paid=Money("29.00", "USD")),
        account("c", score=Decimal("5.0"), paid=Money(29, "EUR"), due=T0),
        account("d", score=UNLIMITED, paid=Money(0, "EUR")),
    )
    assert keys(store.select("Account", {"status": "s"})) == ["a", "b"]
    assert keys(store.select("Account", {"status": None})) == ["c", "d"]
    assert keys(store.select("Account", {"active": True})) == ["a"]
    assert keys(store.select("Account", {"score": 5})) == ["a", "c"]
    assert keys(store.select("Account", {"score": Decimal("0.50")})) == ["b"]
    assert keys(store.select("Account", {"score": UNLIMITED})) == ["d"]
    assert keys(store.select("Account", {"paid": Money("29.0", "USD")})) == ["a", "b"]
    assert keys(store.select("Account", {"paid": Money(0, "USD")})) == ["d"]
    assert keys(store.select("Account", {"due": T0, "score": 5})) == ["c"]
    assert keys(store.select("Account", {"id": "b", "status": "s"})) == ["b"]
    assert keys(store.select("Account", {"id": "b", "status": "t"})) == []
    assert keys(store.select("Account", {"email": "nobody"})) == []


def test_ranges_on_time_are_exact(store: Store) -> None:
    micro = timedelta(microseconds=1)
    times = {"a": T0 - micro, "b": T0, "c": T0 + micro, "d": T0 + timedelta(seconds=1), "e": None}
    put(store, *(account(id, due=due) for id, due in times.items()))

    def at(op: str, value: datetime) -> list[str]:
        return keys(store.select("Account", {}, [Range("due", op, value)]))

    assert at("<", T0) == ["a"]
    assert at("<=", T0) == ["a", "b"]
    assert at(">", T0) == ["c", "d"]
    assert at(">=", T0) == ["b", "c", "d"]
    assert at("<", T0 + micro) == ["a", "b"]
    assert at(">", T0 + micro) == ["d"]
    both = [Range("due", ">=", T0), Range("due", "<", T0 + timedelta(seconds=1))]
    assert keys(store.select("Account", {}, both)) == ["b", "c"]
    assert keys(store.select("Account", {}, [Range("due", "<", None)])) == []


def test_ranges_on_numbers_are_exact(store: Store) -> None:
    some = [-(2**70), Decimal("-1.5"), -1, 0, Decimal("0.5"), 1, 2**62, 2**70, UNLIMITED]
    put(store, *(account(f"{i}", score=score) for i, score in enumerate(some)), account("none"))
    for value in [*some, Decimal("0.6"), -(2**80), 2**80, -UNLIMITED]:
        for op, compare in OPERATORS.items():
            found = [
                row["score"] for row in store.select("Account", {}, [Range("score", op, value)])
            ]
            assert found == [score for score in some if compare(score, value)], (op, value)
            best = store.select("Account", {}, [Range("score", op, value)], [("score", True)], 2)
            assert [row["score"] for row in best] == found[:-3:-1], (op, value)


def test_order_is_exact_and_none_comes_last(store: Store) -> None:
    put(
        store,
        account("a", due=T0 + timedelta(microseconds=1), score=10, paid=Money(9, "USD")),
        account("b", due=T0, score=9, paid=Money(10, "USD")),
        account("c", score=Decimal("9.5"), paid=Money("9.5", "USD")),
        account("d", due=T0 + timedelta(seconds=1), score=UNLIMITED),
        account("e", due=T0, score=10**30, paid=Money(-1, "USD")),
        account("f", due=T0, score=-(10**30)),
    )

    def by(*order: tuple[str, bool], **more: Any) -> str:
        return "".join(keys(store.select("Account", order=order, **more)))

    assert by(("due", False)) == "befadc"
    assert by(("due", True)) == "dabefc"
    assert by(("due", False), limit=2) == "be"
    assert by(("due", False), limit=6) == "befadc"
    assert by(("due", False), ("score", True)) == "ebfadc"
    assert by(("score", False)) == "fbcaed"
    assert by(("score", True), limit=3) == "dea"
    assert by(("paid", False)) == "eacbdf"
    assert by(("paid", True), limit=4) == "bcae"
    assert by(("id", True)) == "fedcba"
    assert by(limit=0) == ""
    assert by(("due", False), equals={"status": None}, limit=1) == "b"
    assert by(("due", False), ranges=[Range("due", ">", T0)], limit=9) == "ad"


def test_two_currencies_are_refused(store: Store) -> None:
    put(store, account("a", paid=Money(1, "USD")), account("b", paid=Money(2, "EUR")))
    with pytest.raises(EvalError, match="two currencies"):
        list(store.select("Account", {}, [Range("paid", ">", Money((0.5).hex() and 1, "USD"))]))
    with pytest.raises(EvalError, match="two currencies"):
        list(store.select("Account", order=[("paid", False)]))
    # Other conditions look first.
    money = [Range("paid", ">=", Money(1, "USD")), Range("email", ">", "u")]
    put(store, account("a", paid=Money(1, "USD"), email="v"))
    assert keys(store.select("Account", {}, money)) == ["a"]


def test_select_is_lazy_and_unaffected_by_writes(store: Store) -> None:
    put(store, *(account(f"{i:05}", status="s", email=f"{i}") for i in range(1000)))
    store.commit()
    rows = store.select("Account", {"status": "s"})
    seen = [next(rows)]
    put(store, *(account(f"{i:05}", status="t") for i in range(500)))
    store.write({"Account": {f"{i:05}": None for i in range(500, 900)}})
    put(store, account("zzz", status="s"))
    assert keys(store.select("Account", {"status": "s"}))[-1] == "zzz"
    seen.append(next(rows))
    store.commit()
    seen += rows
    assert keys(iter(seen)) == [f"{i:05}" for i in range(1000)]
    assert {row["status"] for row in seen} == {"s"}
    rows = store.select("Account")
    next(rows)
    store.write({"Account": {"zzz": None}})
    store.rollback()
    assert len(list(rows)) == 600


def test_select_for_each_with_updates_and_commits(store: Store) -> None:
    put(store, *(account(f"{i:05}", score=i) for i in range(700)))
    store.commit()
    for row in store.select("Account"):
        put(store, row | {"score": row["score"] + 1})
        if row["score"] % 50 == 0:
            store.commit()
    assert [row["score"] for row in store.select("Account")] == list(range(1, 701))


def test_prepare_makes_its_own_transaction(store: Store) -> None:
    put(store, account("a"))
    store.append([entry(1, "e1")])
    assert store.prepare([ALL, ACCOUNT, Table("New", (Column("id", "text"),))]) == []
    assert store.count("Account") == 0
    assert store.last_seq() == 0
    put(store, account("b"))
    store.rollback()
    store.write({"New": {"n": {"id": "n"}}})
    store.commit()
    assert (store.count("Account"), store.count("New")) == (0, 1)


# --- every type, and any order of calls ------------------------------------------------------

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
numbers = st.one_of(
    st.integers(-(10**34) + 1, 10**34 - 1),
    st.integers(-5, 5),
    st.sampled_from([2**63, 2**63 - 1, -(2**63), -(2**63) - 1, UNLIMITED, Decimal("-0.0")]),
    st.decimals(-(10**15), 10**15, allow_nan=False, allow_infinity=False, places=18),
)  # fmt: skip
moneys = st.builds(
    Money, st.decimals(-(10**15), 10**15, places=6), st.sampled_from(["USD", "JPY", "KWD"])
)
percents = st.decimals(-1000, 1000, places=9).map(Percent)
large = st.integers(-(10**16), 10**16)
durations = st.builds(Duration, large, large, large)
times = st.datetimes(timezones=st.just(UTC))
small_durations = st.builds(Duration, st.integers(-9, 9), st.integers(-9, 9), st.integers(-9, 9))
jsons = st.recursive(
    st.one_of(
        st.none(), st.booleans(), texts, numbers, moneys, percents, small_durations, times,
        st.dates(),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)  # fmt: skip
BY_TYPE: dict[str, Any] = {
    "text": texts,
    "number": numbers,
    "integer": st.integers(-(10**34) + 1, 10**34 - 1),
    "bool": st.booleans(),
    "money": moneys,
    "percent": percents,
    "duration": durations,
    "size": st.integers(0, 2**64),
    "time": times,
    "date": st.dates(),
    "json": jsons,
    "serial": st.integers(-(2**63), 2**63 - 1),
}
all_rows = st.fixed_dictionaries(
    {"id": st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6)}
    | {f"a_{type}": st.none() | strategy for type, strategy in BY_TYPE.items()}
)


def exact(value: Any) -> Any:
    """A value with its type, so that 1 is not true and `24 hours` not `1 day`."""
    match value:
        case dict():
            return {key: exact(item) for key, item in value.items()}
        case list():
            return [exact(item) for item in value]
        case Duration():
            return ("duration", value.months, value.days, value.micros)
        case Money():
            return ("money", value.amount, value.currency)
        case bool() | datetime() | date():
            return (type(value), value)
    return value


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows=st.lists(all_rows, max_size=4, unique_by=lambda row: row["id"]))
def test_every_value_comes_back_as_it_was(tmp_path: Path, rows: list[Row]) -> None:
    path = str(tmp_path / "x.db")
    digests = set()
    for store in (SqliteStore(path, fresh=True), MemoryStore()):
        store.prepare([ALL])
        put(store, *rows, table="All")
        store.commit()
        if isinstance(store, SqliteStore):
            store.close()
            store = SqliteStore(path)
        for row in rows:
            assert exact(store.get("All", row["id"])) == exact(row)
        found = {row["id"]: row for row in store.select("All")}
        assert exact(found) == exact({row["id"]: row for row in rows})
        assert list(found) == sorted(found)
        digests.add(state_digest(store, [ALL]))
        store.close()
    assert len(digests) == 1


few_times = st.sampled_from([T0, T0 + timedelta(microseconds=1), T0 + timedelta(seconds=1)])
few_numbers = st.sampled_from([0, 1, -1, Decimal("0.5"), 2**63, -(2**64), UNLIMITED])
few_money = st.integers(-1, 3).map(lambda n: Money(n, "USD"))
FEW: dict[str, Any] = {
    "email": st.sampled_from("uvw"),
    "status": st.sampled_from(["", "s", "t"]),
    "due": few_times,
    "score": few_numbers,
    "paid": few_money,
    "active": st.booleans(),
    "made": st.integers(1, 3),
    "stage": st.sampled_from(["done", "done", "ready", ""]),
}
ids = st.sampled_from("abcde")
accounts = st.fixed_dictionaries(
    {"id": ids} | {name: st.none() | strategy for name, strategy in FEW.items()}
)
writes = st.lists(accounts | ids, max_size=4).map(
    lambda some: (
        "write",
        {(x if isinstance(x, str) else x["id"]): (None if isinstance(x, str) else x) for x in some},
    )
)
equals = st.dictionaries(st.sampled_from(list(FEW)), st.integers(), max_size=2).flatmap(
    lambda names: st.fixed_dictionaries({name: st.none() | FEW[name] for name in names})
)
operators = st.sampled_from(list(OPERATORS))
ranges = st.lists(
    st.sampled_from(["status", "due", "score", "paid", "stage"]).flatmap(
        lambda name: st.builds(Range, st.just(name), operators, FEW[name])
    ),
    max_size=2,
)  # fmt: skip
orders = st.lists(st.tuples(st.sampled_from(["id", *FEW]), st.booleans()), max_size=2)
selects = st.tuples(st.just("select"), equals, ranges, orders, st.none() | st.integers(0, 3))
calls = st.lists(
    writes | writes | selects | selects | st.sampled_from([("commit",), ("rollback",)]),
    min_size=3,
    max_size=12,
)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(calls=calls)
def test_both_stores_answer_alike_and_as_a_plain_list_would(
    tmp_path: Path, calls: list[Any]
) -> None:
    with closing(SqliteStore(str(tmp_path / "y.db"), fresh=True)) as file:
        memory = MemoryStore()
        stores: list[Store] = [memory, file]
        for store in stores:
            store.prepare([ACCOUNT])
        for call in calls:
            answers = [_answer(store, call) for store in stores]
            assert answers[0] == answers[1], call
            if call[0] == "select":
                assert answers[0] == _naive(memory, *call[1:]), call
                whole = _naive(memory, *call[1:3], [], None)
                assert [store.count("Account", *call[1:3]) for store in stores] == [len(whole)] * 2
        every = _naive(memory, {}, [], [], None)
        counts = Counter((row["status"], row["paid"], row["due"]) for row in every)
        for store in stores:
            assert dict(store.tally("Account", ("status", "paid", "due"))) == counts
        for store in stores:
            store.commit()
        assert state_digest(memory, [ACCOUNT]) == state_digest(file, [ACCOUNT])


def test_an_index_leaves_out_what_is_usual(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with closing(SqliteStore(str(path))) as store:
        store.prepare([ACCOUNT])
        stages = ["done"] * 50 + ["ready", "failed", "ready", None]
        put(store, *(account(f"{n:02}", stage=stage) for n, stage in enumerate(stages)))
        store.commit()
        found = [keys(store.select("Account", {"stage": s})) for s in ("ready", "failed", None)]
        assert found == [["50", "52"], ["51"], ["53"]]
        assert store.count("Account", {"stage": "done"}) == 50
    with closing(apsw.Connection(str(path))) as db:
        ask = "EXPLAIN QUERY PLAN SELECT id FROM Account WHERE nullif(stage, 'done') = ?"
        assert "USING COVERING INDEX" in str(db.execute(ask, ("ready",)).fetchall())
        size = "SELECT sum(ncell) FROM dbstat WHERE name = 'Account (stage) but done'"
        assert db.execute(size).get == 3


def test_a_file_whose_index_has_all_rows_gets_the_smaller_one(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    before = structs.replace(ACCOUNT, usual=())
    with closing(SqliteStore(str(path))) as store:
        store.prepare([before])
        put(store, account("a", stage="done"), account("b", stage="ready"))
        store.commit()
    with closing(SqliteStore(str(path))) as store:
        store.prepare([ACCOUNT])
        assert keys(store.select("Account", {"stage": "ready"})) == ["b"]
        assert keys(store.select("Account", {"stage": "done"})) == ["a"]
    with closing(SqliteStore(str(path))) as store:
        store.prepare([ACCOUNT])
        assert keys(store.select("Account", {"stage": "ready"})) == ["b"]


def test_what_is_above_all_values_of_an_index_is_not_looked_for(tmp_path: Path) -> None:
    with closing(SqliteStore(str(tmp_path / "state.db"))) as store:
        store.prepare([ACCOUNT])
        put(store, account("a", status="k"), account("b", status="m"))
        assert keys(store.select("Account", {"status": "z"})) == []
        waiting = account("c", status="y")
        put(store, waiting)
        assert keys(store.select("Account", {"status": "z"})) == []
        assert store._pending["Account"] == {"c": waiting}, "nothing was to be handed over for it"
        assert keys(store.select("Account", {"status": "y"})) == ["c"]
        store.rollback()
        put(store, account("d", status="n"))
        assert keys(store.select("Account", {"status": "n"})) == ["d"]
        put(store, account("d", status="zz"))
        assert keys(store.select("Account", {"status": "zz"})) == ["d"]


def test_tally_reads_texts_in_json(store: Store) -> None:
    store.prepare([ALL])
    datas: list[Any] = [{"template": "hi"}, {"template": "hi"}, {"template": None}, {}, None]
    blank = {column.name: None for column in ALL.columns}
    put(store, *({**blank, "id": str(n), "a_json": d} for n, d in enumerate(datas)), table="All")
    found = dict(store.tally("All", ("a_bool", "a_json.template")))
    assert found == {(None, "hi"): 2, (None, None): 3}


def _answer(store: Store, call: Any) -> Any:
    match call:
        case ("write", rows):
            try:
                store.write({"Account": rows})
            except Refusal as refusal:
                return str(refusal)
        case ("select", *arguments):
            return list(store.select("Account", *arguments))
        case (name,):
            getattr(store, name)()
    return [store.get("Account", key) for key in "abcde"], store.count("Account")


def _naive(store: Store, equals: Any, ranges: Any, order: Any, limit: int | None) -> list[Row]:
    rows = [row for key in "abcde" if (row := store.get("Account", key)) is not None]
    rows = [
        row
        for row in rows
        if all(row[name] == value for name, value in equals.items())
        and all(
            row[bound.column] is not None and OPERATORS[bound.op](row[bound.column], bound.value)
            for bound in ranges
        )
    ]
    for name, descending in reversed(order):
        some = [row for row in rows if row[name] is not None]
        rest = [row for row in rows if row[name] is None]
        rows = sorted(some, key=lambda row: row[name], reverse=descending) + rest
    return rows[:limit]


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 9), st.sampled_from("abc"))),
    st.integers(0, 9),
    st.integers(0, 9),
)
def test_sorted_index_is_a_sorted_list(steps: Any, low: int, high: int) -> None:
    from bizrun.store import sorted_index

    old, sorted_index._CHUNK = sorted_index._CHUNK, 2
    try:
        index, plain = SortedIndex(), set()
        for add, value, key in steps:
            if add and (value, key) not in plain:
                index.add((value, key))
                plain.add((value, key))
            elif not add and (value, key) in plain:
                index.remove((value, key))
                plain.remove((value, key))
        assert list(index.keys(None, True, None, True)) == [k for _, k in sorted(plain)]
        for low_in in (True, False):
            for high_in in (True, False):
                want = [
                    k
                    for v, k in sorted(plain)
                    if (low <= v if low_in else low < v) and (v <= high if high_in else v < high)
                ]
                assert list(index.keys(low, low_in, high, high_in)) == want
    finally:
        sorted_index._CHUNK = old
