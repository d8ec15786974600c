"""Compiled code: its lines, names, bounds, hand-overs, and the one function for all conditions."""

from __future__ import annotations

from types import CodeType
from typing import Any

import pytest

from bizrun.errors import EvalError, Refusal
from bizrun.ir import codec
from bizrun.ir import nodes as ir
from bizrun.ir.compile import (
    Code,
    compile_expression,
    compile_function_set,
    compile_match,
    compile_matches,
    compile_unit,
    explain_error,
)
from bizrun.ir.compile_blocks import mangled

from .ir_fakes import FakeContext, usd

E = ir.Local("e")
NASTY = '"; import os #'


def get(name: str, loose: bool = False) -> ir.Expr:
    return ir.Get(E, name, False, loose)


def binary(op: str, left: ir.Expr, right: Any, mode: str = "native") -> ir.Expr:
    node = right if type(right).__module__ == ir.__name__ else ir.Const(right)
    return ir.BinaryExpr(op, left, node, mode)


def at(line: int, column: int = 3) -> ir.Place:
    return ir.Place("shop.biz", line, column)


def unit(
    *steps: ir.Step,
    live: tuple[str, ...] = (),
    where: ir.Expr | None = None,
    others: tuple[ir.Segment, ...] = (),
    functions: tuple[ir.Function, ...] = (),
    constants: tuple[tuple[str, ir.Expr], ...] = (),
) -> ir.Unit:
    segments = (ir.Segment(live, steps), *others)
    pattern = ir.Pattern(("Order.placed",), "e", where)
    handler = ir.Handler("h1", "on", at(1, 1), segments, pattern)
    return ir.Unit(handler, functions, constants)


def failure(run: Any, code: Code | None = None) -> tuple[str, ir.Place | None]:
    with pytest.raises(Exception) as caught:
        run()
    return explain_error(caught.value, code)


# --- errors ------------------------------------------------------------------------------------


def test_a_failure_names_the_line_and_both_values() -> None:
    code = compile_unit(
        unit(
            ir.LetStep(at(4), "total", get("amount")),
            ir.LetStep(at(9, 7), "more", binary("+", ir.Local("total"), 1)),
            live=("e",),
        )
    )
    sentence, place = failure(lambda: code.run(FakeContext(), 0, {"e": {"amount": None}}))
    assert sentence == "`none` and `1` can't be added: none and a number"
    assert place == at(9, 7)


def test_the_innermost_line_is_named_inside_queries_and_functions() -> None:
    tax = ir.Function(
        "tax",
        ("x",),
        (ir.ReturnStep(ir.Place("std/tax.biz", 21, 5), binary("/", ir.Local("x"), 0, "number")),),
        ir.Place("std/tax.biz", 20, 1),
    )
    call = ir.ListFor("i", get("items"), ir.CallFn("tax", (ir.Local("i"),)))
    code = compile_unit(unit(ir.LetStep(at(6), "t", call), live=("e",), functions=(tax,)))
    sentence, place = failure(lambda: code.run(FakeContext(), 0, {"e": {"items": [1]}}))
    assert (sentence, str(place)) == ("division by zero", "std/tax.biz:21")


@pytest.mark.parametrize(
    ("expr", "sentence"),
    [
        (binary("<", get("n"), 5), "`none` and `5` can't be compared: none and a number"),
        (binary("==", get("gone"), 5), "there is no field `gone`"),
        (ir.Get(get("n"), "name"), "`.name` is read of none"),
        (ir.Get(get("n"), "name", loose=True), "`.name` is read of `none`"),
        (binary("-", get("price"), usd("1.00"), "any"),
         '`"free"` and `1.00 USD` can\'t be subtracted: text and money'),
        (ir.IfElse(get("n"), ir.Const(1), ir.Const(2)),
         "a condition is `none`, neither true nor false"),
        (ir.Item(ir.ListExpr(()), ir.Const(0)), "[0] is outside a list of 0"),
        (ir.EntityGet("Account", get("n"), "plan"), "there is no Account `None`"),
        (ir.MatchValue(get("price"), (), None),
         'no arm of `match` fits `"free"`; add `else`'),
        (binary("+", get("items"), get("items"), "any"), "a list has more than 1,000,000 items"),
    ],
)  # fmt: skip
def test_sentences(expr: ir.Expr, sentence: str) -> None:
    payload = {"n": None, "price": "free", "items": [0] * 500_001}
    code = compile_expression(expr, ("e",), place=at(3))
    assert failure(lambda: code(FakeContext(), payload)) == (sentence, at(3))


def test_endless_recursion_is_told() -> None:
    again = ir.Function("f", (), (ir.ReturnStep(at(2), ir.CallFn("f", ())),), at(2))
    code = compile_expression(ir.CallFn("f", ()), (), {"f": again}, place=at(3))
    assert failure(lambda: code(FakeContext()))[0] == "functions call each other too deep"
    assert failure(lambda: code(FakeContext(fuel=50)))[0] == "out of fuel"


def test_reject_is_a_refusal_with_its_text() -> None:
    code = compile_unit(unit(ir.RejectStep(at(5), ir.Const("Quota exceeded"))))
    with pytest.raises(Refusal, match="Quota exceeded") as caught:
        code.run(FakeContext(), 0, {})
    assert not isinstance(caught.value, EvalError)
    assert explain_error(caught.value) == ("Quota exceeded", at(5))


# --- names -------------------------------------------------------------------------------------


def test_mangled_names_are_identifiers_and_never_the_same() -> None:
    names = ["x", "X", "for", "None", "__class__", "größe", "a-b", "a b", "\u2102", "C", NASTY, ""]
    for prefix in ("v", "f", "k"):
        made = [mangled(name, prefix) for name in names]
        assert len(set(made)) == len(names)
        assert all(name.isascii() and name.isidentifier() for name in made)


def _names(code: CodeType) -> set[str]:
    found = {code.co_name, *code.co_names, *code.co_varnames, *code.co_freevars, *code.co_cellvars}
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            found |= _names(constant)
    return found


def test_text_of_an_author_is_only_ever_data() -> None:
    name = ir.Local(NASTY)
    data = ir.MapExpr((ir.Pair(NASTY, ir.TextExpr((NASTY, ir.Piece(name, None, None)))),))
    function = ir.Function(NASTY, (NASTY,), (ir.ReturnStep(at(2), name),), at(2))
    code = compile_unit(
        unit(
            ir.LetStep(at(3), NASTY, ir.Const(NASTY)),
            ir.LetStep(at(4), "x", ir.CallFn(NASTY, (name,))),
            ir.EmitStep(at(5), NASTY, data, 1),
            functions=(function,),
        )
    )
    names = _names(code.segments[0].__code__)  # type: ignore[attr-defined]
    assert all(name.isidentifier() for name in names)
    assert not any("import" in name for name in names)
    ctx = FakeContext()
    code.run(ctx, 0, {})
    assert ctx.calls[0][:3] == ("emit", NASTY, {NASTY: NASTY * 2})


def test_generated_code_has_no_builtins() -> None:
    space = compile_function_set({}, {}).namespace
    assert space["__builtins__"] == {}


@pytest.mark.parametrize("name", ["eval", "exec", "__import__", "open", "ctx", "add", "bool"])
def test_a_value_may_be_called_anything(name: str) -> None:
    code = compile_expression(binary("+", ir.Local(name), 1, "any"), (name,))
    assert code(FakeContext(), 41) == 42


# --- segments ------------------------------------------------------------------------------------


def test_a_timer_takes_along_what_its_segment_and_pattern_need() -> None:
    unless = ir.Pattern(("Order.paid",), "p", binary("==", ir.Get(ir.Local("p"), "order"), E))
    code = compile_unit(
        unit(
            ir.LetStep(at(3), "n", ir.Const(7)),
            ir.TimerStep(at(4), ir.Const("later"), 1, unless, 3),
            live=("e",),
            others=(ir.Segment(("n",), (ir.LogStep(at(5), ir.Local("n")),)),),
        )
    )
    ctx = FakeContext()
    code.run(ctx, 0, {"e": "o1", "unused": 1})
    assert ctx.calls == [("timer", "later", 1, {"e": "o1", "n": 7}, 0, 3, at(4))]
    (pattern,) = code.patterns
    assert pattern.pattern is unless and pattern.live == ("e",)
    assert pattern.where is not None and pattern.where(ctx, {"order": "o1"}, "o1")
    assert not pattern.where(ctx, {"order": "o2"}, "o1")


def test_a_wait_leaves_out_what_it_binds() -> None:
    pattern = ir.Pattern(("A.b",), "r", None, "order", ir.Local("order"))
    code = compile_unit(
        unit(
            ir.AwaitEvent(at(3), pattern, None, "r", 1, 5),
            ir.LogStep(at(4), ir.Const("never")),
            live=("order",),
            others=(ir.Segment(("order", "r"), ()),),
        )
    )
    ctx = FakeContext()
    code.run(ctx, 0, {"order": "o1"})
    assert ctx.calls == [("await_event", 0, None, "r", 1, {"order": "o1"}, 5, at(3))]
    assert code.patterns[0].match_value is not None
    assert code.patterns[0].match_value(ctx, "o1") == "o1"
    assert code.patterns[0].where is None


def test_a_loop_takes_along_what_its_rounds_and_its_end_need() -> None:
    code = compile_unit(
        unit(
            ir.LoopStep(at(3), ir.ListExpr((ir.Const(1), ir.Const(2))), "x", 1, 2, 4),
            live=("a", "b"),
            others=(ir.Segment(("a", "x"), ()), ir.Segment(("b",), ())),
        )
    )
    ctx = FakeContext()
    code.run(ctx, 0, {"a": 1, "b": 2})
    assert ctx.calls == [("loop", [1, 2], "x", 1, 2, {"a": 1, "b": 2}, 4, at(3))]


def test_update_reads_the_old_row_and_leaves_locals_alone() -> None:
    changes = ir.MapExpr(
        (ir.Pair("credits", binary("+", ir.Get(ir.Local("row"), "credits"), ir.Local("n"))),)
    )
    code = compile_unit(
        unit(
            ir.UpdateStep(at(3), "Account", ir.Const("a1"), changes, "row"),
            ir.LogStep(at(4), ir.Local("row")),
            live=("n", "row"),
        )
    )
    ctx = FakeContext()
    code.run(ctx, 0, {"n": 10, "row": "mine"})
    assert ctx.calls == [("update", "Account", "a1", {"credits": 15}), ("log", "mine")]


def test_a_constant_that_reads_nothing_is_computed_once() -> None:
    calls = []

    class Counting(FakeContext):
        def call(self, name: str, args: Any) -> Any:
            calls.append(name)
            return 5

    value = ir.Builtin("limit", (ir.Const("a1"), ir.Const("users")))
    asked = compile_expression(ir.Global("k"), (), {}, {"k": value})
    assert [asked(Counting()) for _ in range(2)] == [5, 5]
    assert len(calls) == 2
    once = compile_expression(ir.Global("k"), (), {}, {"k": ir.ListExpr((ir.Const(1),))})
    assert once(FakeContext()) is once(FakeContext())


# --- queries -----------------------------------------------------------------------------------


def asked(query: ir.Expr) -> list[tuple[Any, ...]]:
    """What a query asks of the store: order and limit."""
    found = []

    class Asking(FakeContext):
        def rows(self, entity: str, equals: Any, ranges: Any, order: Any, limit: Any) -> Any:
            found.append((tuple(order), limit))
            return super().rows(entity, equals, ranges, order, limit)

    compile_expression(query)(Asking())
    return found


def test_order_and_limit_go_to_the_store_where_they_can() -> None:
    row = lambda name: ir.Get(ir.Local("_row"), name)  # noqa: E731
    where = binary("==", row("active"), True)
    by_credits, two = ((row("credits"), True),), ir.Const(2)
    plain = ir.Query("Account", None, "_row", order=by_credits, limit=two)
    assert asked(plain) == [((("credits", True),), 2)]
    filtered = ir.Query("Account", None, "_row", where=where, order=by_credits, limit=two)
    assert asked(filtered) == [((("credits", True),), None)]
    computed = ((ir.UnaryExpr("-", row("credits")), False),)
    assert asked(ir.Query("Account", None, "_row", order=computed, limit=two)) == [((), None)]
    assert asked(ir.FirstOf(ir.Query("Account", None, "_row"))) == [((), 1)]
    assert asked(ir.FirstOf(ir.Query("Account", None, "_row", where=where))) == [((), None)]


def test_none_never_matches_in_a_query() -> None:
    late = binary("<", ir.Get(ir.Local("_row"), "trial_ends"), ir.Special("now"))
    query = ir.Query("Account", None, "_row", where=late)
    assert compile_expression(query)(FakeContext()) == ["a3"]
    negated = ir.Query("Account", None, "_row", where=ir.UnaryExpr("not", late))
    assert compile_expression(negated)(FakeContext()) == ["a1", "a2", "a4"]


def test_the_first_row_is_enough() -> None:
    odd = binary("==", binary("/", ir.Const(1), ir.Local("_row"), "number"), 1)
    numbers = ir.ListExpr((ir.Const(1), ir.Const(0)))
    assert compile_expression(ir.FirstOf(ir.Query(None, numbers, "_row", where=odd)))(
        FakeContext()
    ) == 1  # fmt: skip


# --- matches -----------------------------------------------------------------------------------


def test_a_condition_over_the_payload_needs_no_context() -> None:
    where = binary("and", binary("==", get("country"), "DE"), binary(">", get("amount"), 5))
    match = compile_match(ir.Pattern(("A.b",), "e", where))
    assert match(None, {"country": "DE", "amount": 6}) is True  # type: ignore[arg-type]
    assert match(None, {"country": "FR", "amount": 6}) is False  # type: ignore[arg-type]


def test_fields_by_name_stand_for_the_payload_too() -> None:
    where = binary("==", ir.Get(ir.Local("_event"), "plan", loose=True), "pro")
    match = compile_match(ir.Pattern(("A.b",), "_event", where))
    assert match(FakeContext(), {"plan": "pro"})
    assert not match(FakeContext(), {})


def _matching() -> list[ir.Unit]:
    amount = get("amount")
    big = ir.Function("big", ("x",), (ir.ReturnStep(at(2), binary(">", ir.Local("x"), 50)),), at(2))
    return [
        unit(where=binary(">", amount, 10)),
        unit(),
        unit(where=binary("in", get("country"), ir.ListExpr((ir.Const("DE"), ir.Const("FR"))))),
        unit(where=ir.CallFn("big", (amount,)), functions=(big,)),
        unit(where=binary(">", amount, ir.Global("least")), constants=(("least", ir.Const(5)),)),
        unit(where=binary(">", amount, ir.Global("least")), constants=(("least", ir.Const(90)),)),
        unit(where=binary(">", binary("/", ir.Const(100), amount, "number"), 30)),
        unit(where=binary("<", get("weight", loose=True), 3, "any")),
    ]


PAYLOADS = (
    {"amount": 60, "country": "DE", "weight": 2},
    {"amount": 7, "country": "US", "weight": 5},
    {"amount": 0, "country": "FR", "weight": True},
    {"amount": None, "country": "FR", "weight": 1},
    {"country": "FR"},
)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_all_conditions_at_once_say_what_each_says(payload: dict[str, Any]) -> None:
    units = _matching()
    found, failed = compile_matches(units)(FakeContext(), payload)
    for number, one in enumerate(units):
        match = compile_unit(one).match
        try:
            expected = match is None or match(FakeContext(), payload)
        except Exception as exc:
            errors = [error for index, error in failed if index == number]
            assert [explain_error(error) for error in errors] == [explain_error(exc)]
        else:
            assert (number in found) == expected
            assert number not in [index for index, _ in failed]
    assert found == sorted(found)


def test_one_that_fails_does_not_stop_the_others() -> None:
    found, failed = compile_matches(_matching())(FakeContext(), {"amount": 0, "country": "FR"})
    assert found == [1, 2]
    assert [index for index, _ in failed] == [6, 7]
    assert explain_error(failed[0][1])[0] == "division by zero"


def test_no_handlers_match_nothing() -> None:
    assert compile_matches([])(FakeContext(), {}) == ([], [])


# --- codec -------------------------------------------------------------------------------------


def test_a_hash_does_not_know_places_but_all_else() -> None:
    one = unit(ir.LogStep(at(3), ir.Const("a")))
    moved = unit(ir.LogStep(at(30, 9), ir.Const("a")))
    other = unit(ir.LogStep(at(3), ir.Const("b")))
    assert codec.digest(one) == codec.digest(moved) != codec.digest(other)
    assert codec.digest(unit(ir.LogStep(at(3), ir.Const(1)))) != codec.digest(
        unit(ir.LogStep(at(3), ir.Const(True)))
    )
    assert codec.decode(codec.encode(one)) == one
