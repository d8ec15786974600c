"""Money, percent, duration and their arithmetic: exact, immutable, never a binary float.

How each type of the language is held: number `int` or `Decimal`; money `Money`; percent
`Percent`; duration `Duration`; size `int` (bytes); time an aware UTC `datetime`; date `date`;
clock `time`; a reference to an entity its key as `str`; unlimited `Decimal("Infinity")`.
"""

from __future__ import annotations

from .amounts import Money, money, zero
from .duration import Duration
from .forms import is_format, plain, show_as
from .numbers import (
    CONTEXT,
    MAX_DIGITS,
    MAX_EXPONENT,
    SIZE_UNITS,
    UNLIMITED,
    Number,
    check_number,
    divide,
    number,
    number_text,
    power,
    size_text,
    use_exact_arithmetic,
)
from .percent import Percent
from .ranges import Range
from .text import (
    escaped,
    instant,
    instant_stamp,
    instant_text,
    key,
    leap_second,
    literal,
    quoted,
    show,
)
from .written import duration_in, money_in, percent_in, written

__all__ = [
    "CONTEXT",
    "MAX_DIGITS",
    "MAX_EXPONENT",
    "SIZE_UNITS",
    "UNLIMITED",
    "Duration",
    "Money",
    "Number",
    "Percent",
    "Range",
    "check_number",
    "divide",
    "duration_in",
    "escaped",
    "instant",
    "instant_stamp",
    "instant_text",
    "is_format",
    "key",
    "leap_second",
    "literal",
    "money",
    "money_in",
    "number",
    "number_text",
    "percent_in",
    "plain",
    "power",
    "quoted",
    "show",
    "show_as",
    "size_text",
    "use_exact_arithmetic",
    "written",
    "zero",
]
