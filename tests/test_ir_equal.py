"""Compiled and interpreted code mean the same: random typed expressions and statements."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from bizrun.errors import Refusal
from bizrun.ir import codec
from bizrun.ir import nodes as ir
from bizrun.ir.compile import compile_expression, compile_unit, explain_error
from bizrun.ir.interpret import evaluate, run_segment, trace

from .ir_fakes import (
    CONSTANTS,
    FUNCTIONS,
    PLACE,
    TYPES,
    VALUES,
    FakeContext,
    expressions,
    groups,
    handler,
    steps,
)

RELAXED = settings(
    max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)


def compiled(expr: ir.Expr, ctx: Any) -> Any:
    names = tuple(sorted(VALUES))
    code = compile_expression(expr, names, FUNCTIONS, CONSTANTS, PLACE)
    return code(ctx, *(VALUES[name] for name in names))


def interpreted(expr: ir.Expr, ctx: Any) -> Any:
    return evaluate(expr, ctx, VALUES, FUNCTIONS, CONSTANTS)


def shape(value: Any) -> Any:
    """A value with its types: True is not 1, and 0 USD not 0 EUR."""
    if isinstance(value, list | tuple):
        return [shape(item) for item in value]
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if callable(value):
        return None
    return (type(value), str(value))


# How Python's own operators refuse, in compiled code.
OWN = (TypeError, KeyError, AttributeError, ArithmeticError, ValueError)


def outcome(run: Any, expr: ir.Expr) -> Any:
    ctx = FakeContext()
    try:
        return shape(run(expr, ctx)), ctx.fuel
    except Refusal:
        return "refused"
    except OWN as exc:
        assert run is compiled, exc
        assert "fit each other" not in explain_error(exc)[0], exc
        return "refused"


def check(expr: ir.Expr) -> None:
    assert outcome(compiled, expr) == outcome(interpreted, expr)
    assert codec.decode(codec.encode(expr)) == expr
    assert codec.digest(codec.decode(codec.encode(expr))) == codec.digest(expr)


@RELAXED
@given(st.sampled_from(TYPES).flatmap(expressions))
def test_expressions(expr: ir.Expr) -> None:
    check(expr)


@RELAXED
@given(expressions("bool", 2))
def test_conditions(expr: ir.Expr) -> None:
    check(expr)


@RELAXED
@given(groups())
def test_groups(expr: ir.Expr) -> None:
    check(expr)


def run_both(unit: ir.Unit) -> list[Any]:
    found = []
    for run in (
        lambda ctx: compile_unit(unit).run(ctx, 0, VALUES),
        lambda ctx: run_segment(unit, 0, ctx, VALUES),
    ):
        ctx = FakeContext()
        end = "done"
        try:
            run(ctx)
        except (Refusal, *OWN):
            end = "refused"
        found.append((end, shape(ctx.calls)))
    return found


@RELAXED
@given(steps(), steps(0))
def test_statements(first: tuple[ir.Step, ...], second: tuple[ir.Step, ...]) -> None:
    unit = handler(first, second)
    one, other = run_both(unit)
    assert one == other
    assert codec.decode(codec.encode(unit)) == unit


@RELAXED
@given(steps(), steps(0))
def test_a_stored_unit_numbers_its_patterns_alike(
    first: tuple[ir.Step, ...], second: tuple[ir.Step, ...]
) -> None:
    unit = handler(first, second)
    again = codec.decode(codec.encode(unit))
    assert [code.pattern for code in compile_unit(unit).patterns] == [
        code.pattern for code in compile_unit(again).patterns
    ]


@RELAXED
@given(expressions("number", 2))
def test_a_trace_ends_in_the_value(expr: ir.Expr) -> None:
    assume(not isinstance(expr, ir.Const))
    try:
        value, parts = trace(expr, FakeContext(), VALUES, FUNCTIONS, CONSTANTS)
    except Refusal:
        return
    assert shape(parts[-1][1]) == shape(value)
    assert parts[-1][0] == expr
