"""What actions are given: each field by its type, as their signatures say."""

from __future__ import annotations

from functools import cache
from typing import Any

from msgspec import Struct

from ..errors import Refusal
from ..lang.classes import class_of
from ..lang.types import ANY, Type
from ..values import Money
from .customers import settings
from .desk import Desk
from .signatures import SIGNATURES

# No amount that is meant is above it, in any currency; sums of such amounts stay exact.
MOST = 10**18


class Form(Struct, frozen=True):
    """What is asked of the fields of an action.

    `plain` has by name the class whose values need no look, `object` where any will do; `required`
    are those that must have a value.
    """

    plain: dict[str, type | None]
    required: tuple[str, ...]


def taken(work: Desk, name: str, data: dict[str, Any]) -> dict[str, Any]:
    """What an action is given, each field by its type: what an untyped payload or reply says is
    read as data is. One that needs a value and gets none refuses the event (LANGUAGE.md 3)."""
    form = form_of(name)
    for field, value in data.items():
        kind = form.plain.get(field)
        if kind is not type(value) and kind is not object:
            return _fitted(work, name, data)
    for field in form.required:
        if data.get(field) is None:
            return _fitted(work, name, data)
    return data


def _fitted(work: Desk, name: str, data: dict[str, Any]) -> dict[str, Any]:
    """The same, field by field."""
    fitting = data
    for field, type_, required, what in fields_of(name):
        value = data.get(field)
        if value is None:
            if required:
                raise Refusal(f"`{name}` needs `{field}`, and there is none")
        elif (read := work.fitted(value, type_, what)) is not value:
            fitting = {**fitting, field: read}
    return fitting


def above_zero(desk: Desk, what: str, amount: Money) -> Money:
    """An amount that is to be moved, in whole units of its currency. Refusal where that is
    nothing, less, or absurdly much; `what` says what it is for: "a charge"."""
    rounded = amount.rounded(settings(desk).half_even)
    if rounded.amount <= 0:
        less = f": that is what {amount} comes to" if amount.amount > 0 else ""
        raise Refusal(f"{what} is above zero, and {rounded} is not{less}")
    return checked_amount(what, rounded)


def checked_amount(what: str, amount: Money) -> Money:
    """An amount that can be meant, above or below zero."""
    if abs(amount.amount) > MOST:
        most = Money(MOST, amount.currency)
        raise Refusal(f"{what} is at most {most}, and {amount} is beyond it")
    return amount


@cache
def form_of(name: str) -> Form:
    """What is asked of the fields of an action."""
    fields = fields_of(name)
    plain = {field: object if type_ is ANY else class_of(type_) for field, type_, *_ in fields}
    return Form(plain, tuple(field for field, _, required, _ in fields if required))


@cache
def fields_of(name: str) -> tuple[tuple[str, Type, bool, str], ...]:
    """Each field of an action: its name, type, whether it is required, how a message calls it."""
    signature = SIGNATURES.get(name)
    return tuple(
        (f.name, ANY if f.many else f.type, f.required, f"`{f.name}` of `{name}`")
        for f in (signature.fields if signature else ())
    )
