"""A changed declaration meets stored rows: converted, kept aside, or refused with the reason."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from bizrun.errors import Refusal, StoreError
from bizrun.store.base import Column, Range, Store, Table
from bizrun.values import UNLIMITED, Duration, Money, Percent

from .test_store import ACCOUNT, ALL, T0, account, exact, put

# --- migrations ------------------------------------------------------------------------------


def table(*columns: Column, key: str = "id", **more: Any) -> Table:
    return Table("E", (Column(key, "text"), *columns), key, **more)


def test_added_and_dropped_columns(store: Store) -> None:
    n, m = Column("n", "number"), Column("m", "money", unique=True)
    assert store.prepare([table(n)]) == []
    store.write({"E": {k: {"id": k, "n": Decimal("1.5")} for k in "abc"}})
    store.commit()
    assert store.prepare([table(n, m)]) == ["E.m is new"]
    assert store.get("E", "a") == {"id": "a", "n": Decimal("1.5"), "m": None}
    told = store.prepare([table(m)])
    assert told == ["E.n is gone; what 3 rows had in it is kept in the table _dropped"]
    assert store.get("E", "a") == {"id": "a", "m": None}
    store.write({"E": {"a": None}})
    store.rollback()
    store.write({"E": {"b": None}})
    store.write({"E": {"b": {"id": "b", "m": Money(1, "USD")}}})
    with pytest.raises(Refusal):
        store.write({"E": {"c": {"id": "c", "m": Money(1, "USD")}}})
    store.commit()
    assert store.prepare([table(m, n)]) == ["E.n is new; what 2 rows had in it before is back"]
    assert [row["n"] for row in store.select("E")] == [Decimal("1.5"), None, Decimal("1.5")]


def test_rows_in_another_order_of_the_file(store: Store) -> None:
    """What is kept by age and what by key say the same, and one becomes the other."""
    columns = Column("n", "number"), Column("m", "text", unique=True)
    indexed = (("n",),)
    assert store.prepare([table(*columns, indexes=indexed)]) == []
    rows = {k: {"id": k, "n": n % 2, "m": f"m{n}"} for n, k in enumerate("dbca")}
    store.write({"E": rows})
    store.commit()
    for by_age in (True, True, False):
        aged = table(*columns, Column("later", "text"), indexes=indexed, by_age=by_age)
        store.prepare([aged])
        assert [row["id"] for row in store.select("E")] == list("abcd")
        assert [row["id"] for row in store.select("E", {"n": 1})] == list("ab")
        assert store.get("E", "c") == {"id": "c", "n": 0, "m": "m2", "later": None}
        with pytest.raises(Refusal):
            store.write({"E": {"e": {"id": "e", "n": 1, "m": "m0", "later": None}}})
        store.write({"E": {"a": {"id": "a", "n": 1, "m": "m3", "later": None}}})
        store.adjust("E", ("later",), [(None, "b")])
        store.commit()
    assert store.verify() == []


def test_choices_that_are_no_more(store: Store) -> None:
    def state(*choices: str) -> Table:
        return table(Column("state", "text", choices=choices))

    store.prepare([state("a", "b", "c")])
    store.write({"E": {str(n): {"id": str(n), "state": "abc"[n % 3]} for n in range(5)}})
    store.commit()
    assert store.prepare([state("a", "b", "c", "d")]) == []
    with pytest.raises(StoreError, match="no longer among its own: `c` of 1 row, such as E `2`"):
        store.prepare([state("a", "b")])
    store.write({"E": {"2": {"id": "2", "state": "a"}}})
    store.commit()
    assert store.prepare([state("a", "b")]) == []
    # A text without choices may have held anything.
    assert store.prepare([state()]) == []
    with pytest.raises(StoreError, match="`b` of 2 rows"):
        store.prepare([state("a")])


def test_what_could_be_none(store: Store) -> None:
    def note(needed: bool | None) -> Table:
        return table(Column("note", "text", needed=needed))

    store.prepare([note(needed=False)])
    store.write({"E": {"a": {"id": "a", "note": None}, "b": {"id": "b", "note": "x"}}})
    store.commit()
    with pytest.raises(StoreError, match="can no longer be none, and is in 1 row"):
        store.prepare([note(needed=True)])
    assert store.prepare([note(needed=None)]) == []


CONVERSIONS = [
    ("integer", 5, "number", 5),
    ("number", Decimal("5.5"), "text", "5.5"),
    ("number", 10**20, "integer", 10**20),
    ("size", 1024, "text", "1024"),
    ("money", Money("29.5", "USD"), "text", "29.50 USD"),
    ("text", "29.50 USD", "money", Money("29.5", "USD")),
    ("text", "12.50", "number", Decimal("12.5")),
    ("text", "15%", "percent", Percent(Decimal("0.15"))),
    ("text", "P14D", "duration", Duration(days=14)),
    ("text", "2026-01-31", "date", date(2026, 1, 31)),
    ("text", "2026-01-31T10:00:00+01:00", "time", T0),
    ("text", "true", "bool", True),
    ("text", "free", "json", "free"),
    ("json", ["a"], "text", '["a"]'),
    ("json", "free", "text", "free"),
    ("json", Money(3, "JPY"), "money", Money(3, "JPY")),
    ("time", T0, "text", "2026-01-31T09:00:00Z"),
    ("bool", False, "text", "false"),
    ("time", T0, "json", T0),
]


@pytest.mark.parametrize(("old", "value", "new", "expected"), CONVERSIONS)
def test_changed_types_that_fit(
    store: Store, old: Any, value: Any, new: Any, expected: Any
) -> None:
    index = (("x",),) if "json" not in (old, new) else ()
    store.prepare([table(Column("x", old), indexes=index)])
    store.write({"E": {"a": {"id": "a", "x": value}, "b": {"id": "b", "x": None}}})
    store.commit()
    told = store.prepare([table(Column("x", new), indexes=index)])
    assert told == [f"E.x is now {new} (was {old})"]
    assert exact(store.get("E", "a")) == exact({"id": "a", "x": expected})
    assert exact(list(store.select("E"))) == exact(
        [{"id": "a", "x": expected}, {"id": "b", "x": None}]
    )


MISFITS = [
    ("number", Decimal("12.5"), "integer", "12.5"),
    ("number", UNLIMITED, "integer", "unlimited"),
    ("integer", -1, "size", "-1"),
    ("text", "soon", "time", "soon"),
    ("text", "15", "percent", "15"),
    ("text", "1 XYZ", "money", "1 XYZ"),
    ("number", 5, "money", "5"),
    ("money", Money(5, "USD"), "number", "5.00 USD"),
    ("json", True, "number", "true"),
    ("time", T0, "date", "2026-01-31T09:00:00Z"),
]


@pytest.mark.parametrize(("old", "value", "new", "shown"), MISFITS)
def test_changed_types_that_do_not_fit(
    store: Store, old: Any, value: Any, new: Any, shown: str
) -> None:
    store.prepare([table(Column("x", old))])
    store.write({"E": {"k7": {"id": "k7", "x": value}}})
    store.commit()
    with pytest.raises(StoreError) as caught:
        store.prepare([table(Column("new", "text"), Column("x", new))])
    assert str(caught.value).startswith(
        f"E.x is now {new} (was {old}), but 1 stored value does not fit, such as `{shown}` of "
        "E `k7`"
    )
    assert exact(store.get("E", "k7")) == exact({"id": "k7", "x": value})
    store.write({"E": {"k8": {"id": "k8", "x": value}}})
    store.commit()
    assert store.count("E") == 2


def test_new_unique_names_the_duplicates(store: Store) -> None:
    store.prepare([table(Column("x", "text"))])
    store.write({"E": {k: {"id": k, "x": v} for k, v in zip("abcd", "uuv", strict=False)}})
    store.commit()
    with pytest.raises(
        StoreError, match=r"E\.x is now unique, but stored rows share .*`u` in a, b"
    ):
        store.prepare([table(Column("x", "text", unique=True))])
    store.write({"E": {"b": {"id": "b", "x": "w"}, "e": {"id": "e", "x": None}}})
    store.commit()
    assert store.prepare([table(Column("x", "text", unique=True))]) == ["E.x is now unique"]
    with pytest.raises(Refusal):
        store.write({"E": {"f": {"id": "f", "x": "w"}}})
    assert store.prepare([table(Column("x", "text"))]) == ["E.x is no longer unique"]
    store.write({"E": {"f": {"id": "f", "x": "w"}}})
    store.commit()
    assert store.count("E") == 5


def test_another_key_needs_an_empty_table(store: Store) -> None:
    x = Column("x", "number")
    store.prepare([table(x)])
    assert store.prepare([table(x, key="code")]) is not None
    store.write({"E": {"a": {"code": "a", "x": 1}}})
    store.commit()
    with pytest.raises(StoreError, match="is now keyed by `id`, but its 1 stored rows are keyed"):
        store.prepare([table(x)])
    assert store.get("E", "a") == {"code": "a", "x": 1}


def test_tables_that_vanish_are_kept(store: Store) -> None:
    put(store, account("a"))
    store.commit()
    assert store.prepare([ALL]) == []
    assert store.get("Account", "a") == account("a")
    assert store.prepare([ALL, ACCOUNT]) == []


def test_names_that_differ_in_case_only(store: Store) -> None:
    with pytest.raises(StoreError, match="`x` and `X` differ only in case"):
        store.prepare([table(Column("x", "text"), Column("X", "text"))])
    with pytest.raises(StoreError, match="`E` and `e` differ only in case"):
        store.prepare([table(), Table("e", (Column("id", "text"),))])
    with pytest.raises(StoreError, match="SQLite's own"):
        store.prepare([Table("sqlite_x", (Column("id", "text"),))])


def test_names_are_quoted(store: Store) -> None:
    odd = Table(
        "order",
        (Column("key", "text"), Column('gr"oup', "text", True), Column("select", "time")),
        "key",
        (("select", "key"), ('gr"oup',)),
    )
    store.prepare([odd])
    store.write({"order": {"k": {"key": "k", 'gr"oup': "g", "select": T0}}})
    store.commit()
    found = store.select("order", {'gr"oup': "g"}, [Range("select", "<=", T0)], [("select", True)])
    assert [row["key"] for row in found] == ["k"]
    with pytest.raises(Refusal):
        store.write({"order": {"l": {"key": "l", 'gr"oup': "g", "select": T0}}})


def test_renamed_columns(store: Store) -> None:
    n, m = Column("n", "number", unique=True), Column("m", "number", unique=True)
    store.prepare([table(n, indexes=(("n",),))])
    store.write({"E": {k: {"id": k, "n": place} for place, k in enumerate("abc")}})
    store.commit()
    renames = {"E": {"n": "m", "gone": "m"}}
    assert store.prepare([table(m, indexes=(("m",),))], {}, renames) == ["E.m was n"]
    assert [row["m"] for row in store.select("E")] == [0, 1, 2]
    assert [row["id"] for row in store.select("E", {}, [Range("m", ">", 1)])] == ["c"]
    with pytest.raises(Refusal):
        store.write({"E": {"d": {"id": "d", "m": 0}}})
    store.rollback()
    # What was renamed stays so, and what is declared beside it is another column.
    assert store.prepare([table(m, indexes=(("m",),))], {}, renames) == []
    assert store.prepare([table(m, n)], {}, renames) == ["E.n is new"]
    assert store.get("E", "a") == {"id": "a", "m": 0, "n": None}


def test_a_renamed_column_of_another_type_and_a_renamed_key(store: Store) -> None:
    store.prepare([table(Column("n", "number"))])
    store.write({"E": {"a": {"id": "a", "n": 5}}})
    store.commit()
    with pytest.raises(StoreError, match=r"E\.m is now date"):
        store.prepare([table(Column("m", "date"))], {}, {"E": {"n": "m"}})
    assert store.get("E", "a") == {"id": "a", "n": 5}, "nothing of it is kept"
    changed = table(Column("m", "text"), key="code")
    told = store.prepare([changed], {}, {"E": {"n": "m", "id": "code"}})
    assert told == ["E.m was n", "E.code was id", "E.m is now text (was number)"]
    assert store.get("E", "a") == {"code": "a", "m": "5"}
    store.write({"E": {"a": {"code": "a", "m": "6"}}})
    store.commit()
    assert store.get("E", "a") == {"code": "a", "m": "6"}
