"""What meters count."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bizrun.billing.metering import Reading, measure
from bizrun.values import instant

START, END = instant("2026-04-01T00:00:00Z"), instant("2026-05-01T00:00:00Z")


def reading(day, value, id="", **more):
    return Reading(START + timedelta(days=day), id or f"{day}", value, **more)


READINGS = [reading(10, 5), reading(0, 7), reading(20, 2), reading(30, 99), reading(-1, 99)]


@pytest.mark.parametrize(
    ("aggregate", "quantity"),
    [("count", 3), ("sum", 14), ("max", 7), ("min", 2), ("last", 2), ("unique", 3)],
)
def test_aggregates(aggregate, quantity):
    assert measure(aggregate, READINGS, START, END) == quantity
    assert measure(aggregate, [], START, END) == 0


def test_an_average_is_weighted_by_time():
    assert measure("average", [reading(15, 10)], START, END, held=0) == 5
    assert measure("average", [reading(15, 10)], START, END) == 5
    assert measure("average", [], START, END, held=3) == 3
    assert measure("average", [], START, END) == 0
    assert measure("average", [reading(0, 7), reading(10, 5), reading(25, 1)], START, END) == 5


def test_ties_go_by_id():
    assert measure("last", [reading(1, 8, "b"), reading(1, 9, "a")], START, END) == 8


def test_a_correction_replaces_an_event_at_its_own_time():
    corrected = [reading(1, 5, "a"), reading(40, 3, "b", corrects="a")]
    assert measure("sum", corrected, START, END) == 3
    again = [*corrected, reading(41, 1, "c", corrects="a")]
    assert measure("sum", again, START, END) == 1
    assert measure("count", again, START, END) == 1


@given(st.permutations(READINGS))
def test_the_order_of_arrival_changes_nothing(readings):
    for aggregate in ("sum", "last", "average"):
        assert measure(aggregate, readings, START, END) == measure(aggregate, READINGS, START, END)
