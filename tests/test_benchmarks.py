"""What the benchmarks compare with does the same work."""

from __future__ import annotations

from pathlib import Path

from benchmarks import streams
from benchmarks.by_hand import usage_by_hand
from benchmarks.clock import Timing
from benchmarks.limits import conditions, rules_function, usage_decoded
from benchmarks.run import middle


def test_the_limit_of_rules_has_all_of_them() -> None:
    assert len(conditions()) == 20
    order = {
        "country": "DE", "channel": "web", "tier": "gold", "amount": 500, "quantity": 20,
        "discount": 0, "first": True,
    }  # fmt: skip
    # By their place in rules.biz.
    assert rules_function()(order) == [0, 1, 2, 3, 4, 9, 12, 14]


def test_usage_by_hand_comes_to_what_the_limit_does(tmp_path: Path) -> None:
    path = tmp_path / "usage.jsonl"
    streams.write(path, streams.usage(60_000))  # enough for each account to use something
    found = usage_by_hand(path, tmp_path).result
    assert found == usage_decoded(path, tmp_path).result
    assert found["invoices"] == 3000 and found["alerts"] > 100


def test_the_round_with_the_middle_ratio_counts() -> None:
    # Slow and quick moments of the disk: neither is the middle one of its own kind.
    rounds = [
        (Timing(1, wall=own), Timing(1, wall=limit))
        for own, limit in ((6.0, 3.0), (9.0, 3.0), (4.0, 1.0), (2.0, 2.0), (8.0, 2.5))
    ]
    assert middle(rounds) is rounds[1]
    assert middle([(Timing(1, wall=2.0),)]) == (Timing(1, wall=2.0),)
