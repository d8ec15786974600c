"""What the benchmarks compare with does the same work."""

from __future__ import annotations

from benchmarks.limits import conditions, rules_function


def test_the_limit_of_rules_has_all_of_them() -> None:
    assert len(conditions()) == 20
    order = {
        "country": "DE", "channel": "web", "tier": "gold", "amount": 500, "quantity": 20,
        "discount": 0, "first": True,
    }  # fmt: skip
    # By their place in rules.biz.
    assert rules_function()(order) == [0, 1, 2, 3, 4, 9, 12, 14]
