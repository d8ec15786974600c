"""What is taken as it is for its class is what a careful look would leave as it is."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from bizrun.actions.arguments import fields_of, form_of
from bizrun.actions.signatures import SIGNATURES
from bizrun.lang.classes import class_of
from bizrun.lang.types import Type
from bizrun.runtime.fit import fit
from bizrun.values import Duration, Money, Percent

VALUES: dict[type, Any] = {
    str: "text", bool: True, Money: Money(1, "USD"), Percent: Percent.of(Decimal(5)),
    Duration: Duration(days=1), datetime: datetime(2026, 1, 1, tzinfo=UTC),
}  # fmt: skip
FIELDS = {
    (name, field): type_ for name in SIGNATURES for field, type_, *_ in fields_of(name)
}  # fmt: skip


@pytest.mark.parametrize(("name", "type_"), [(name[1], type_) for name, type_ in FIELDS.items()])
def test_a_value_of_the_class_fits_as_it_is(name: str, type_: Type) -> None:
    held: Any = None  # nothing of an engine is asked
    known = class_of(type_)
    if known is not None:
        assert fit(held, VALUES[known], type_, name) is VALUES[known]


def test_fields_of_any_type_are_taken_whatever_they_hold() -> None:
    held: Any = None
    loose = [key for key in FIELDS if form_of(key[0]).plain[key[1]] is object]
    assert loose
    for key in loose:
        for value in (*VALUES.values(), 1, Decimal("1.5"), ["a"], {"a": 1}):
            assert fit(held, value, FIELDS[key], key[1]) is value
