"""How fast a provider is called: pauses, calls a second, and a circuit that opens and closes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from bizrun.providers.base import Limits
from bizrun.runtime.pacing import Pace, pause

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
LIMITS = Limits(concurrency=3, per_second=5, failures=2, rest=10 * SECOND, longest=60 * SECOND)


@given(st.text(min_size=1), st.integers(1, 200))
def test_pauses_double_within_bounds(key: str, attempt: int) -> None:
    full = min(LIMITS.pause * 2 ** min(attempt - 1, 30), LIMITS.longest)
    found = pause(key, attempt, LIMITS)
    assert full / 2 <= found <= full
    assert found == pause(key, attempt, LIMITS), "the same each time"


def test_effects_that_failed_together_come_apart() -> None:
    assert len({pause(f"key{n}", 3, LIMITS) for n in range(100)}) > 90


def test_so_many_at_once_and_a_second() -> None:
    pace = Pace(LIMITS)
    for _ in range(3):
        assert pace.free_at(NOW) == NOW
        pace.begin(NOW)
    assert pace.free_at(NOW) is None
    for _ in range(3):
        pace.end(NOW, True)
    for _ in range(2):
        pace.begin(NOW)
        pace.end(NOW, True)
    assert pace.free_at(NOW) == NOW + SECOND
    assert pace.free_at(NOW + SECOND) == NOW + SECOND


def fail(pace: Pace, at: datetime) -> None:
    pace.begin(at)
    pace.end(at, False)


def test_a_circuit_opens_tries_one_and_closes() -> None:
    pace = Pace(LIMITS)
    fail(pace, NOW)
    assert pace.free_at(NOW) == NOW
    fail(pace, NOW)
    assert pace.free_at(NOW) == NOW + 10 * SECOND
    later = NOW + 10 * SECOND
    assert pace.free_at(later) == later
    pace.begin(later)
    assert pace.free_at(later) is None, "one call tries it"
    pace.end(later, False)
    assert pace.free_at(later) == later + 20 * SECOND, "twice as long"
    last = later + 20 * SECOND
    pace.begin(last)
    pace.end(last, True)
    assert pace.free_at(last) == last and pace.open_until(last) is None


def test_calls_that_were_under_way_open_it_no_further() -> None:
    pace = Pace(LIMITS)
    for _ in range(3):
        pace.begin(NOW)
    for _ in range(3):
        pace.end(NOW, False)
    assert pace.open_until(NOW) == NOW + 10 * SECOND and pace.opened == 1


def test_who_asks_for_time_gets_it() -> None:
    pace = Pace(LIMITS)
    pace.begin(NOW)
    pace.end(NOW, False, 100 * SECOND)
    assert pace.free_at(NOW) == NOW + 100 * SECOND


def test_down_is_more_than_a_moment() -> None:
    pace = Pace(LIMITS)
    at = NOW
    downs = []
    for _ in range(6):
        fail(pace, at)
        downs.append(pace.down(at + 60 * SECOND))
        at = pace.free_at(at) or at
    assert downs == [False] * 5 + [True], "two failures open it, then each one that tries it"
    assert not pace.down(NOW + 59 * SECOND)
