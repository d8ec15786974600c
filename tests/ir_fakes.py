"""A context that notes what it is asked, with a few rows; and random typed IR."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

from hypothesis import strategies as st

from bizrun.errors import EvalError, Refusal
from bizrun.ir import nodes as ir
from bizrun.store.base import Range
from bizrun.store.match import matching, ordered
from bizrun.times import zone
from bizrun.values import UNLIMITED, Duration, Money, Percent

NOW = datetime(2026, 3, 29, 12, 30, tzinfo=UTC)
PLACE = ir.Place("shop.biz", 12, 3)


def usd(amount: str) -> Money:
    return Money(amount, "USD")


def _account(number: int, plan: str, credits_: Any, balance: Any, ends: Any) -> dict[str, Any]:
    return {
        "id": f"a{number}",
        "plan": plan,
        "credits": credits_,
        "balance": balance,
        "trial_ends": ends,
        "active": number % 2 == 0,
        "created_at": NOW - timedelta(days=number * 20),
    }


ACCOUNTS = {
    row["id"]: row
    for row in (
        _account(1, "pro", 5, usd("10.50"), NOW + timedelta(days=3)),
        _account(2, "basic", Decimal("0.5"), usd("0"), None),
        _account(3, "pro", 5, usd("99.99"), NOW - timedelta(hours=1)),
        _account(4, "team", -2, usd("10.50"), None),
    )
}


class FakeContext:
    """Answers from fixed rows; `calls` are what the code asked it to do."""

    def __init__(self, fuel: int = 100_000) -> None:
        self.now = NOW
        self.tz = zone("Europe/Berlin")
        self.currency = "USD"
        self.by_second = False
        self.event: Mapping[str, Any] = {"id": "e1", "type": "Order.placed", "time": NOW}
        self.caller: str | None = "a1"
        self.fuel = fuel
        self.calls: list[tuple[Any, ...]] = []

    def spend(self, steps: int) -> None:
        self.fuel -= steps
        if self.fuel < 0:
            raise EvalError("out of fuel")

    def row(self, entity: str, key: Any) -> Mapping[str, Any]:
        if key not in ACCOUNTS:
            raise Refusal(f"there is no {entity} `{key}`")
        return ACCOUNTS[key]

    def find(self, entity: str, key: Any) -> str | None:
        return key if key in ACCOUNTS else None

    def rows(
        self,
        entity: str,
        equals: Mapping[str, Any],
        ranges: Sequence[tuple[str, str, Any]],
        order: Sequence[tuple[str, bool]],
        limit: int | None,
    ) -> Sequence[Mapping[str, Any]]:
        bounds = [Range(*bound) for bound in ranges]
        found = list(ordered(matching(ACCOUNTS.values(), equals, bounds), order, limit))
        self.spend(len(found) + 1)
        return found

    def count_rows(
        self, entity: str, equals: Mapping[str, Any], ranges: Sequence[tuple[str, str, Any]]
    ) -> int:
        return len(self.rows(entity, equals, ranges, (), None))

    def key(self, entity: str, row: Mapping[str, Any]) -> str:
        return str(row["id"])

    def plan(self, name: Any) -> Mapping[str, Any]:
        if name not in ("pro", "basic"):
            raise Refusal(f"unknown plan `{name}`")
        return {"name": name, "price": usd("29")}

    def call(self, name: str, args: Sequence[Any]) -> Any:
        return {"limit": 10, "usage": 7, "can": True, "has_feature": False}[name]

    def create(self, entity: str, data: dict[str, Any], site: int, upsert: bool) -> str:
        self.calls.append(("create", entity, data, site, upsert))
        return f"{entity}-{site}"

    def act(self, *args: Any) -> Any:
        self.calls.append(("act", *args))
        return {"status": "sent"}

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda *args: self.calls.append((name, *args))


# --- random typed expressions ----------------------------------------------------------------

_CONSTS: dict[str, tuple[Any, ...]] = {
    "number": (0, 1, 2, -3, 10, Decimal("0.1"), Decimal("2.5"), 10**33, UNLIMITED),
    "money": (usd("0"), usd("29"), usd("0.005"), Money("10", "EUR"), usd("-4.20")),
    "percent": (Percent.of(0), Percent.of(15), Percent.of(Decimal("2.9"))),
    "duration": (Duration(), Duration(days=1), Duration(months=1), Duration(micros=90_000_000)),
    "text": ("", "pro", "DE", "a {b} `c`", "team"),
    "bool": (True, False),
    "time": (NOW, datetime(2026, 1, 31, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)),
    "date": (date(2026, 1, 31), date(2024, 2, 29)),
    "key": ("a1", "a3", "nobody", None),
    "maybe": (None, 3, Decimal("1.5")),
}
TYPES = tuple(_CONSTS)
ORDERED = ("number", "money", "percent", "duration", "text", "time", "date")
LOCALS = {f"x_{type_}": type_ for type_ in TYPES}
VALUES = {
    "x_number": 7,
    "x_money": usd("12.34"),
    "x_percent": Percent.of(20),
    "x_duration": Duration(days=2),
    "x_text": "pro",
    "x_bool": True,
    "x_time": NOW - timedelta(days=40),
    "x_date": date(2026, 2, 28),
    "x_key": "a2",
    "x_maybe": None,
}
FUNCTIONS = {
    "double": ir.Function(
        "double",
        ("n",),
        (
            ir.IfStep(
                PLACE,
                ir.BinaryExpr(">", ir.Local("n"), ir.Const(100)),
                (ir.ReturnStep(PLACE, ir.Const(100)),),
                (),
            ),
            ir.ReturnStep(PLACE, ir.BinaryExpr("*", ir.Local("n"), ir.Global("two"), "number")),
        ),
        PLACE,
    ),
}
CONSTANTS: dict[str, ir.Expr] = {
    "two": ir.Const(2),
    "grace": ir.BinaryExpr("+", ir.Const(Duration(days=3)), ir.Const(Duration(days=4))),
}

_ROW = {
    "credits": "number", "balance": "money", "trial_ends": "time", "plan": "text",
    "active": "bool", "created_at": "time",
}  # fmt: skip


@cache
def expressions(type_: str, depth: int = 3) -> st.SearchStrategy[ir.Expr]:
    """Expressions of a type, sometimes ill-typed where types show late."""
    if depth == 0:
        return _leaf(type_)

    def inner(of: str) -> st.SearchStrategy[ir.Expr]:
        return st.deferred(lambda: expressions(of, depth - 1))

    return st.one_of(_leaf(type_), _choice(type_, depth), *_BY_TYPE[type_](inner))


def _leaf(type_: str) -> st.SearchStrategy[ir.Expr]:
    return st.one_of(
        st.sampled_from([ir.Const(value) for value in _CONSTS[type_]]),
        st.just(ir.Local(f"x_{type_}")),
    )


@st.composite
def _choice(draw: st.DrawFn, type_: str, depth: int) -> ir.Expr:
    """What every type can come out of: branches, `??`, `match`."""
    inner = lambda t: draw(expressions(t, depth - 1))  # noqa: E731
    match draw(st.integers(0, 2)):
        case 0:
            return ir.IfElse(inner("bool"), inner(type_), inner(type_))
        case 1:
            subject = draw(st.sampled_from(["text", "number", "bool", "maybe"]))
            patterns = st.lists(expressions(subject, 0), min_size=1, max_size=2)
            arms = tuple((tuple(draw(patterns)), inner(type_)) for _ in range(2))
            otherwise = draw(st.sampled_from([None, inner(type_)]))
            return ir.MatchValue(inner(subject), arms, otherwise)
    return ir.BinaryExpr("??", draw(st.sampled_from([ir.Const(None), inner(type_)])), inner(type_))


def _b(op: str, left: Any, right: Any, *modes: str) -> st.SearchStrategy[ir.Expr]:
    return st.builds(ir.BinaryExpr, st.just(op), left, right, st.sampled_from(modes or ("native",)))


def _call(name: str, *args: Any) -> st.SearchStrategy[ir.Expr]:
    return st.builds(ir.Builtin, st.just(name), st.tuples(*args))


def _entity(name: str, key: Any) -> st.SearchStrategy[ir.Expr]:
    return st.builds(ir.EntityGet, st.just("Account"), key, st.just(name), st.booleans())


def _numbers(of: Any) -> list[st.SearchStrategy[ir.Expr]]:
    number, money, time = of("number"), of("money"), of("time")
    return [
        _b("+", number, number, "native", "any"),
        _b("-", number, number, "native", "any"),
        _b("*", number, number, "number", "any"),
        _b("/", number, number, "number", "any"),
        _b("/", money, money, "native", "any"),
        _b("/", of("duration"), of("duration"), "native", "any"),
        _b("of", of("percent"), number),
        _b("*", of("percent"), number),
        _b("/", number, of("percent")),
        _call("floor", number), _call("round", number, number), _call("abs", number),
        _call("mod", number, number), _call("power", number, st.integers(-3, 3).map(ir.Const)),
        _call("min", number, number), _call("hash", of("text")),
        _call("days", time, of("date")), _call("months", time, time),
        _call("limit", of("key"), st.just(ir.Const("users"))), _call("len", of("text")),
        st.builds(ir.UnaryExpr, st.just("-"), number),
        st.builds(ir.CallFn, st.just("double"), st.tuples(number)),
        st.just(ir.Global("two")), _entity("credits", of("key")),
        _aggregates("credits", 0), _first("credits"), _call("sum", _lists(of)),
        st.builds(ir.Item, _lists(of), number),
        # Ill-typed on purpose.
        _b("+", of("maybe"), of("money"), "any"), _b("*", of("bool"), number, "any"),
        _b("-", of("text"), number, "any"),
    ]  # fmt: skip


def _moneys(of: Any) -> list[st.SearchStrategy[ir.Expr]]:
    money = of("money")
    return [
        _b("+", money, money, "native", "any"),
        _b("-", money, money, "native", "any"),
        _b("*", money, of("number"), "native", "any"),
        _b("*", of("percent"), money, "native", "any"),
        _b("/", money, of("number"), "native", "any"),
        _b("of", of("percent"), money),
        _call("floor", money),
        _call("ceil", money, money),
        _call("max", money, money),
        st.builds(ir.UnaryExpr, st.just("-"), money),
        _entity("balance", of("key")),
        _aggregates("balance", usd("0")),
        st.builds(ir.PlanGet, of("text"), st.just("price")),
    ]


def _percents(of: Any) -> list[st.SearchStrategy[ir.Expr]]:
    percent = of("percent")
    return [_b("+", percent, percent), _b("*", percent, percent), _b("/", percent, of("number"))]


def _durations(of: Any) -> list[st.SearchStrategy[ir.Expr]]:
    duration = of("duration")
    return [
        _b("+", duration, duration, "native", "any"),
        _b("-", of("time"), of("time"), "time", "any"),
        _b("-", of("date"), of("date"), "time"),
        _b("*", duration, of("number"), "native", "any"),
        _call("age", of("time")),
        st.just(ir.Global("grace")),
    ]


def _texts(of: Any) -> list[st.SearchStrategy[ir.Expr]]:
    piece = st.builds(
        ir.Piece,
        st.one_of([of(type_) for type_ in ("number", "money", "date", "maybe", "text")]),
        st.sampled_from([None, None, "05", ".2", ",", "%Y-%m"]),
        st.sampled_from([None, "size"]),
    )
    parts = st.lists(st.one_of(st.sampled_from(["", "a", "{"]), piece), max_size=3)
    return [
        st.builds(ir.TextExpr, parts.map(tuple)),
        _call("lower", of("text")),
        _call("upper", of("text")),
        _call("trim", of("text")),
        _entity("plan", of("key")),
        st.just(ir.Get(ir.Special("event"), "type")),
        st.just(ir.Get(ir.Special("event"), "nothing", loose=True)),
    ]


def _times(of: Any) -> list[st.SearchStrategy[ir.Expr]]:
    time, duration = of("time"), of("duration")
    return [
        _b("+", time, duration, "time", "any"),
        _b("-", time, duration, "time", "any"),
        st.just(ir.Special("now")),
        st.sampled_from([ir.Edge("start", "month"), ir.Edge("end", "week")]),
        _entity("created_at", of("key")),
        _aggregates("created_at", None, ("min", "max", "avg")),
    ]


def _dates(of: Any) -> list[st.SearchStrategy[ir.Expr]]:
    return [
        _b("+", of("date"), of("duration"), "time", "any"),
        st.just(ir.Special("today")),
        _call("date", of("time")),
    ]


def _bools(of: Any) -> list[st.SearchStrategy[ir.Expr]]:
    made = [
        _b("and", of("bool"), of("bool")),
        _b("or", of("bool"), of("bool")),
        st.builds(ir.UnaryExpr, st.just("not"), of("bool")),
        _b("in", of("number"), _lists(of), "native", "any"),
        _b("not in", of("text"), st.builds(ir.ListExpr, st.tuples(of("text"), of("text"))), "any"),
        _b("==", of("maybe"), of("bool"), "any"),
        _b("<", of("time"), of("date"), "any"),
        _b(">", of("maybe"), of("number"), "any"),
        _b("can", of("text"), of("text")),
        _call("contains", of("text"), of("text")), _call("starts_with", of("text"), of("text")),
        st.builds(ir.BinaryExpr, st.just("in"), of("number"), _b("..", of("number"), of("number"))),
        st.builds(ir.BinaryExpr, st.just("in"), of("maybe"), st.just(
            ir.BinaryExpr("..", ir.Const(1), ir.Const(5)))),
        st.builds(ir.BinaryExpr, st.just("not in"), of("time"), _b("..", of("date"), of("time"))),
    ]  # fmt: skip
    for type_ in ORDERED:
        for op in ("<", ">=", "==", "!="):
            made.append(_b(op, of(type_), of(type_), "native", "any"))
    return made


def _keys(of: Any) -> list[st.SearchStrategy[ir.Expr]]:
    return [
        st.builds(ir.Find, st.just("Account"), of("key")),
        st.builds(ir.FirstOf, _queries()),
        st.just(ir.Special("caller")),
    ]


def _maybes(of: Any) -> list[st.SearchStrategy[ir.Expr]]:
    return [
        st.builds(ir.EntityGet, st.just("Account"), of("key"), st.just("credits"), st.just(True))
    ]


_BY_TYPE: dict[str, Any] = {
    "number": _numbers,
    "money": _moneys,
    "percent": _percents,
    "duration": _durations,
    "text": _texts,
    "bool": _bools,
    "time": _times,
    "date": _dates,
    "key": _keys,
    "maybe": _maybes,
}


# --- queries ---------------------------------------------------------------------------------


def _row(name: str) -> ir.Expr:
    return ir.Get(ir.Local("_row1"), name)


_B = ir.BinaryExpr
_SOON = _B("+", ir.Special("now"), ir.Const(Duration(days=9)), "time")
_NO_ENDS = _B("??", _row("trial_ends"), ir.Const(None))
_WHERE = (
    None,
    _B("<", _row("trial_ends"), ir.Special("now")),
    _B(">", _row("balance"), ir.Local("x_money")),
    _B("and", _row("active"), _B("!=", _row("plan"), ir.Local("x_text"))),
    _B(">", _B("*", _row("credits"), ir.Local("x_number"), "number"), ir.Const(3)),
    _B("in", _row("trial_ends"), _B("..", ir.Special("now"), _SOON)),
    _B("<", _NO_ENDS, ir.Special("today"), "any"),
)
_ORDER = (
    (),
    ((_row("credits"), True),),
    ((_row("trial_ends"), False), (_row("id"), True)),
    ((ir.UnaryExpr("-", _row("credits")), False),),
    ((_row("active"), False), (ir.Builtin("abs", (_row("balance"),)), True)),
)


@st.composite
def _queries(draw: st.DrawFn, select: str | None = None) -> ir.Query:
    source = draw(
        st.sampled_from([None, None, ir.ListExpr((ir.Const("a3"), ir.Const("a1"), ir.Const("a2")))])
    )
    return ir.Query(
        "Account",
        source,
        "_row1",
        draw(st.sampled_from([(), (("plan", ir.Local("x_text")),)])),
        draw(st.sampled_from([(), (("credits", ">=", ir.Const(0)),)])),
        draw(st.sampled_from(_WHERE)),
        draw(st.sampled_from(_ORDER)),
        draw(st.sampled_from([None, ir.Const(2), ir.Local("x_number"), ir.Local("x_maybe")])),
        _row(select) if select else None,
    )


def _aggregates(
    name: str, zero: Any, ops: tuple[str, ...] = ("sum", "avg", "min", "max")
) -> st.SearchStrategy[ir.Expr]:
    return st.builds(ir.Aggregate, st.sampled_from(ops), _queries(name), st.just(ir.Const(zero)))


def _first(name: str) -> st.SearchStrategy[ir.Expr]:
    counted = st.builds(ir.Aggregate, st.just("count"), _queries(), st.just(ir.Const(0)))
    return st.one_of(st.builds(ir.FirstOf, _queries(name)), counted)


def _lists(of: Any) -> st.SearchStrategy[ir.Expr]:
    item = ir.Local("item")
    return st.one_of(
        st.builds(ir.ListExpr, st.lists(of("number"), max_size=3).map(tuple)),
        _queries("credits"),
        st.builds(
            ir.ListFor,
            st.just("item"),
            st.builds(ir.BinaryExpr, st.just(".."), st.just(ir.Const(1)), of("number")),
            st.just(ir.BinaryExpr("*", item, item, "number")),
        ),
        st.builds(
            ir.Query,
            st.none(),
            st.builds(ir.ListExpr, st.lists(of("number"), max_size=3).map(tuple)),
            st.just("_row1"),
            where=st.sampled_from(
                [None, ir.BinaryExpr(">", ir.Local("_row1"), ir.Const(1), "any")]
            ),
            order=st.sampled_from([(), ((ir.Local("_row1"), True),)]),
        ),
    )


@st.composite
def groups(draw: st.DrawFn) -> ir.GroupBy:
    """Groups of accounts."""
    op = draw(st.sampled_from(["count", "sum", "avg", "max"]))
    name = None if op == "count" else draw(st.sampled_from(["credits", "balance"]))
    by = draw(st.sampled_from([("plan",), ("active", "plan"), ("trial_ends",)]))
    keys = [ir.Get(ir.Local("_row2"), name or "count"), ir.Get(ir.Local("_row2"), by[0])]
    return ir.GroupBy(
        draw(_queries()),
        tuple((key, _row(key)) for key in by),
        op,
        name,
        _row(name) if name else None,
        ir.Const(0),
        "_row2",
        tuple((key, draw(st.booleans())) for key in keys[: draw(st.integers(0, 2))]),
        draw(st.sampled_from([None, ir.Const(1)])),
    )


# --- random statements -----------------------------------------------------------------------


@st.composite
def steps(draw: st.DrawFn, depth: int = 1) -> tuple[ir.Step, ...]:
    """Straight code over the locals, with branches and hand-overs."""
    found: list[ir.Step] = []
    for _ in range(draw(st.integers(0, 4))):
        line = draw(st.integers(1, 40))
        found.append(draw(_step(ir.Place("shop.biz", line, 5), depth)))
    return tuple(found)


@st.composite
def _step(draw: st.DrawFn, place: ir.Place, depth: int) -> ir.Step:
    value = lambda t: draw(expressions(t, 1))  # noqa: E731
    data = ir.MapExpr((ir.Pair("n", value("number")), ir.Pair("t", value("text"))))
    site = draw(st.integers(1, 9))
    match draw(st.integers(0, 17 if depth else 13)):
        case 0 | 1:
            type_ = draw(st.sampled_from(TYPES))
            return ir.LetStep(place, f"x_{type_}", value(type_))
        case 2:
            name, upsert = draw(st.sampled_from([None, "x_key"])), draw(st.booleans())
            return ir.CreateStep(place, "Account", data, name, upsert, site)
        case 3:
            more = ir.Pair("credits", ir.BinaryExpr("+", _old("credits"), value("number")))
            changes = ir.MapExpr((more, ir.SpreadExpr(ir.Special("event"), ("id", "none"))))
            return ir.UpdateStep(place, "Account", value("key"), changes, "_row9")
        case 4:
            return ir.EmitStep(place, "A.b", data, site)
        case 5:
            return ir.ActStep(
                place, "email", None, data, draw(st.sampled_from([None, "x_maybe"])), site
            )
        case 6:
            return ir.LogStep(place, value("text"))
        case 7:
            return ir.RecordStep(place, "mrr", value("money"))
        case 8:
            return ir.MemberStep(
                place, "Account", value("key"), "members", value("key"), draw(st.booleans())
            )
        case 9:
            pattern = ir.Pattern(
                ("A.b",), "e", ir.BinaryExpr("==", ir.Get(ir.Local("e"), "n"), ir.Local("x_number"))
            )
            return ir.TimerStep(
                place, value("duration"), 1, draw(st.sampled_from([None, pattern])), site
            )
        case 10:
            return ir.ReturnStep(place, draw(st.sampled_from([None, value("number")])))
        case 11:
            return ir.RejectStep(place, value("text"))
        case 12:
            return ir.DeleteStep(place, "Account", value("key"))
        case 13:
            return ir.AcrossStep(place, draw(st.booleans()))
        case 14:
            return ir.IfStep(place, value("bool"), draw(steps(depth - 1)), draw(steps(depth - 1)))
        case 15:
            cases = tuple(((value("text"),), draw(steps(depth - 1))) for _ in range(2))
            return ir.MatchStep(place, value("text"), cases, draw(steps(depth - 1)))
        case 16:
            return ir.LoopStep(
                place, draw(_queries()), "x_key", 1, draw(st.sampled_from([None, 1])), site
            )
    return draw(_hand_over(place, data, value("duration"), site))


def _hand_over(
    place: ir.Place, data: ir.Expr, within: ir.Expr, site: int
) -> st.SearchStrategy[ir.Step]:
    wait = ir.Pattern(("A.*",), "r", None, "n", ir.Local("x_text"))
    return st.sampled_from([
        ir.GotoStep(place, 1),
        ir.AwaitEvent(place, wait, within, "x_maybe", 1, site),
        ir.AwaitAction(place, "charge", None, data, "x_maybe", 1, site),
    ])  # fmt: skip


def _old(name: str) -> ir.Expr:
    return ir.Get(ir.Local("_row9"), name)


def handler(first: tuple[ir.Step, ...], second: tuple[ir.Step, ...]) -> ir.Unit:
    """A unit of two segments that take all locals."""
    live = tuple(sorted(VALUES))
    segments = (ir.Segment(live, first), ir.Segment(live, second))
    return ir.Unit(
        ir.Handler("h1", "on", PLACE, segments),
        tuple(FUNCTIONS.values()),
        tuple(CONSTANTS.items()),
    )
