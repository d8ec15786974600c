"""The built-in functions and operators, by example."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from bizrun.errors import EvalError, Refusal
from bizrun.ir import nodes as ir
from bizrun.ir import rows
from bizrun.ir.functions import ALL, PURE, TIMED
from bizrun.ir.interpret import evaluate
from bizrun.ir.operators import add, binary, compare, counted, equal, member, quoted, share_of, span
from bizrun.lang.builtins import BUILTINS
from bizrun.lossless import from_json, to_json
from bizrun.values import UNLIMITED, Duration, Money, Percent, Range, number

from .ir_fakes import NOW, FakeContext, usd

ASKED = {
    "usage", "limit", "remaining", "credit_balance", "preview", "preview_of", "has_feature",
    "variant", "variant_name", "pdf", "mrr", "arr", "arpa", "mrr_movement", "customer_churn",
    "revenue_churn", "net_retention", "ltv", "estimate",
}  # fmt: skip


def test_every_function_that_the_checker_offers_is_there() -> None:
    assert set(BUILTINS) <= set(ALL) | ASKED
    assert not set(ALL) & ASKED


@pytest.mark.parametrize(
    ("name", "args", "value"),
    [
        ("floor", (Decimal("2.9"),), 2),
        ("floor", (Decimal("-2.1"),), -3),
        ("floor", (usd("29.40"),), usd("29")),
        ("ceil", (Decimal("2.1"),), 3),
        ("ceil", (usd("29.40"), usd("0.25")), usd("29.50")),
        ("round", (Decimal("2.5"),), 3),
        ("round", (Decimal("-2.5"),), -3),
        ("round", (Decimal("2.345"), Decimal("0.01")), Decimal("2.35")),
        ("round", (1234, 50), 1250),
        ("round", (usd("12.34"), 5), usd("10")),
        ("round", (Percent.of(Decimal("12.6")),), Percent.of(13)),
        ("round", (Duration(micros=90_000_000), Duration(micros=60_000_000)),
         Duration(micros=120_000_000)),
        ("round", (UNLIMITED,), UNLIMITED),
        ("abs", (usd("-3"),), usd("3")),
        ("mod", (7, 3), 1),
        ("mod", (-7, 3), 2),
        ("mod", (Decimal("5.5"), 2), Decimal("1.5")),
        ("keys", ({"b": 1, "a": 2},), ["a", "b"]),
        ("percent", (3, 4), Percent.of(75)),
        ("percent", (usd("3"), usd("4")), Percent.of(75)),
        ("percent", (Decimal("0.25"),), Percent.of(25)),
        ("percent", (Percent.of(25),), Percent.of(25)),
        ("power", (2, 10), 1024),
        ("power", (2, -1), Decimal("0.5")),
        ("power", (0, 0), 1),
        ("power", (Decimal("1.05"), 2), Decimal("1.1025")),
        ("power", (3, -1), Decimal("0." + "3" * 34)),
        ("power", (10, 33), 10**33),
        ("power", (Percent.of(105), 2), Percent(Decimal("1.1025"))),
        ("min", (3, 1, 2), 1),
        ("min", ([3, None, 1],), 1),
        ("max", (usd("3"), usd("5")), usd("5")),
        ("max", ([],), None),
        ("lower", ("ABC",), "abc"),
        ("upper", ("abc",), "ABC"),
        ("trim", ("  a ",), "a"),
        ("contains", ("abc", "b"), True),
        ("contains", ([1, 2], 2), True),
        ("contains", ([1, 2], True), False),
        ("starts_with", ("abc", "ab"), True),
        ("ends_with", ("abc", "ab"), False),
        ("len", ("abc",), 3),
        ("len", ([1, 2],), 2),
        ("join", (["a", 1], "-"), "a-1"),
        ("replace", ("a.b.c", ".", "/"), "a/b/c"),
        ("text", (usd("29"),), "29.00 USD"),
        ("number", (" 1_000.50 ",), Decimal("1000.5")),
        ("number", ("ten",), None),
        ("charm", (usd("30"),), usd("29.99")),
        ("charm", (Money(3000, "JPY"),), Money(2999, "JPY")),
        ("prestige", (usd("29.60"),), usd("30")),
        ("prestige", (usd("47"),), usd("50")),
        ("prestige", (usd("3.40"),), usd("3")),
        ("prestige", (usd("47"), usd("25")), usd("50")),
        ("discount", (usd("50"), Percent.of(15)), usd("42.50")),
        ("discount", (usd("50"), usd("60")), usd("0")),
        ("bundle", ([usd("60"), usd("40")], Percent.of(20)), usd("80")),
        ("bundle", ([usd("60"), usd("40")], usd("25")), usd("75")),
        ("hash", ("a1",), 251338223981895),
        ("split", (usd("10"), [Percent.of(50), Percent.of(50)]), [usd("5"), usd("5")]),
        ("allocate", (usd("10"), 3), [usd("3.34"), usd("3.33"), usd("3.33")]),
        ("tiered", (15, [{"up_to": 10, "price": usd("7")}, {"price": usd("6")}]), usd("100")),
        ("env", ("KEY",), {"call": "env", "args": ["KEY"]}),
    ],
)  # fmt: skip
def test_functions(name: str, args: tuple[Any, ...], value: Any) -> None:
    found = PURE[name](*args)
    assert (found, type(found)) == (value, type(value))


def _days(count: int) -> datetime:
    return NOW + timedelta(days=count)


@pytest.mark.parametrize(
    ("name", "args", "value"),
    [
        ("age", (_days(-7),), Duration(days=7)),
        ("age", (date(2026, 3, 29),), Duration(micros=(14 * 3600 - 1800) * 1_000_000)),
        ("date", (datetime(2026, 1, 31, 23, 30, tzinfo=UTC),), date(2026, 2, 1)),
        ("days", (date(2026, 1, 31), date(2026, 3, 1)), 29),
        ("days", (date(2026, 3, 1), date(2026, 1, 31)), -29),
        ("days", (_days(0), _days(0) + timedelta(hours=23)), 0),
        # The night of the change of clocks has 23 hours and is a day all the same.
        ("days", (datetime(2026, 3, 28, 11, tzinfo=UTC), datetime(2026, 3, 29, 10, tzinfo=UTC)), 1),
        ("months", (date(2026, 1, 31), date(2026, 2, 28)), 1),
        ("months", (date(2026, 1, 31), date(2026, 2, 27)), 0),
        ("months", (date(2024, 2, 29), date(2026, 2, 28)), 24),
        ("prorate", (usd("31"), date(2026, 1, 1), date(2026, 1, 11)), usd("10")),
        ("prorate", (usd("30"), date(2026, 1, 1), date(2026, 1, 11), Duration(days=30)),
         usd("10")),
        ("prorate", (usd("20"), date(2026, 1, 1), date(2026, 1, 6),
                     Range(date(2026, 1, 1), date(2026, 1, 11))), usd("10")),
    ],
)  # fmt: skip
def test_functions_of_time(name: str, args: tuple[Any, ...], value: Any) -> None:
    assert TIMED[name](FakeContext(), *args) == value


@pytest.mark.parametrize(
    ("name", "args", "part"),
    [
        ("floor", ("a",), "`floor` takes"),
        ("floor", (None,), "not `none`"),
        ("round", (5, 0), "a step above 0"),
        ("round", (5, UNLIMITED), "no end"),
        ("round", (Duration(months=1),), "no exact length"),
        ("mod", (5, 0), "division by zero"),
        ("keys", ([1],), "`keys` takes map"),
        ("percent", (1, 0), "division by zero"),
        ("percent", (UNLIMITED,), "no share"),
        ("percent", (usd("1"), 2), "no share of `2`"),
        ("power", (0, -1), "division by zero"),
        ("power", (2, Decimal("0.5")), "a whole number"),
        ("power", (2, UNLIMITED), "a whole number"),
        ("power", (UNLIMITED, 2), "unlimited has no value"),
        ("power", (10, 34), "more than 34 digits"),
        ("power", (2, 10_001), "up to 10_000"),
        ("min", (1, None), "none has no value"),
        ("min", (1, "a"), "can't be compared"),
        ("lower", (5,), "`lower` takes text"),
        ("len", (5,), "`len` takes"),
        ("contains", ("abc", 5), "`contains` takes text"),
        ("allocate", (usd("1"), 0), "a whole number of parts"),
        ("split", (usd("1"), ["a"]), "`split` takes"),
        ("tiered", (5, [1]), "`tiered` takes map"),
        ("sum", ([usd("1"), 2],), "can't be added"),
        ("replace", ("a" * 1000, "a", "b" * 10_000), "more than"),
    ],
)
def test_functions_refuse(name: str, args: tuple[Any, ...], part: str) -> None:
    with pytest.raises(EvalError if name != "replace" else Exception) as caught:
        PURE[name](*args)
    assert part in str(caught.value)


def test_a_hash_is_the_same_for_ever() -> None:
    values = [1, "1", True, Decimal("1.5"), [1], {"a": 1, "b": 2}, None, usd("1")]
    assert len({PURE["hash"](value) for value in values}) == len(values)
    assert PURE["hash"]({"a": 1, "b": 2}) == PURE["hash"]({"b": 2, "a": 1})
    assert all(0 <= PURE["hash"](value) < 2**53 for value in values)


# --- operators -----------------------------------------------------------------------------------


def test_true_is_not_one() -> None:
    assert not equal(True, 1) and not equal([True], [1]) and not equal({"a": 0}, {"a": False})
    assert not member(1, [True]) and member(Decimal("1.0"), [1])
    assert not equal(usd("1"), Money(1, "EUR"))


def test_unlimited_is_more_than_any_amount() -> None:
    assert compare("<", usd("10"), UNLIMITED, None) and compare(">", UNLIMITED, Duration(), None)
    assert add(usd("1"), UNLIMITED, None) == UNLIMITED
    assert share_of(Percent.of(80), UNLIMITED) == UNLIMITED == share_of(Percent.of(0), UNLIMITED)
    with pytest.raises(EvalError, match="unlimited"):
        binary("-", UNLIMITED, UNLIMITED, None)


def test_a_date_is_its_local_midnight_beside_a_time() -> None:
    ctx = FakeContext()
    midnight = datetime(2026, 3, 28, 23, tzinfo=UTC)
    assert compare("<=", date(2026, 3, 29), midnight, ctx)
    assert compare("<", midnight - timedelta(seconds=1), date(2026, 3, 29), ctx)
    assert member(midnight, span(date(2026, 3, 29), NOW, ctx))


def test_ranges() -> None:
    assert counted(Range(1, 3)) == [1, 2, 3] and counted(Range(3, 1)) == []
    days = Range(date(2026, 2, 28), date(2026, 3, 1))
    assert counted(days) == [date(2026, 2, 28), date(2026, 3, 1)]
    assert 3 in Range(1, 3) and Decimal("3.1") not in Range(1, 3) and None not in Range(1, 3)
    assert Range(1, 3)["start"] == 1 and str(Range(1, 3)) == "1..3"
    assert from_json(to_json([days])) == [days]
    with pytest.raises(EvalError, match="no items"):
        counted(Range(usd("1"), usd("2")))
    with pytest.raises(Refusal, match="more than"):
        counted(Range(1, 10**30))
    with pytest.raises(EvalError, match="no range"):
        span(1, usd("2"), None)


def test_long_values_are_cut_in_sentences() -> None:
    assert len(quoted("x" * 1000)) == 60


def test_texts_are_bounded() -> None:
    half = ir.Const("x" * 600_000)
    with pytest.raises(Exception, match="longer than 1 MB"):
        evaluate(ir.TextExpr((ir.Piece(half, None, None), ir.Piece(half, None, None))), None, {})


def test_numbers_are_bounded() -> None:
    big = ir.Const(number("9" * 34))
    for op, mode in (("*", "number"), ("+", "any"), ("*", "any")):
        with pytest.raises(EvalError, match="34 digits"):
            evaluate(ir.BinaryExpr(op, big, big, mode), None, {})


# --- rows ----------------------------------------------------------------------------------------


def test_aggregates() -> None:
    assert rows.total([None, 1, Decimal("0.5")], 0) == Decimal("1.5")
    assert rows.total([], usd("0")) == usd("0")
    assert str(rows.total([usd("0"), Money(5, "EUR")], usd("0"))) == "5.00 EUR"
    assert rows.average([1, 2, None]) == Decimal("1.5") and rows.average([None]) is None
    assert rows.average([usd("1"), usd("2")]) == usd("1.5")
    assert rows.average([_days(0), _days(2)]) == _days(1)
    assert rows.average([date(2026, 1, 1), date(2026, 1, 4)]) == date(2026, 1, 2)
    assert rows.least([None, 3, 2]) == 2 and rows.greatest([]) is None
    for values in ([usd("1"), Money(1, "EUR")], [1, usd("1")], ["a"], [True]):
        with pytest.raises(EvalError):
            rows.total(values, 0)


def test_sorting_is_stable_and_none_comes_last() -> None:
    pairs = [("a", (2, 1)), ("b", (None, 2)), ("c", (1, 3)), ("d", (2, 4))]
    assert rows.sort(pairs, (False, False)) == ["c", "a", "d", "b"]
    assert rows.sort(pairs, (True, True)) == ["d", "a", "c", "b"]
    assert rows.sort(pairs, (True, False)) == ["a", "d", "c", "b"]
    with pytest.raises(EvalError, match="can't be compared"):
        rows.sort([("a", (1,)), ("b", ("x",))], (False,))


def test_groups_keep_true_apart_from_one() -> None:
    found = rows.grouped([((1,), 5), ((True,), 6), (([1],), 7), ((1,), 8)], ("k",), "sum", "n", 0)
    assert found == [{"k": 1, "n": 13}, {"k": True, "n": 6}, {"k": [1], "n": 7}]
