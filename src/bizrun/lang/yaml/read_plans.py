"""Composes the lines of a plan: prices, usage prices with their tiers, allowances, phases."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from ...diagnostics import did_you_mean
from ..mend import BAD
from .compose import Composer, is_quoted
from .forms import DOC, PHASE, PRICE, PRICING, VERSION
from .tree import Mapping, Scalar, Sequence, Value

_MODEL = re.compile(r"(?:per|graduated|volume|stairstep|package)\b")
PACKAGE = "package of "
_TIERED = ("graduated", "volume", "stairstep")
_INTERVAL = re.compile(r"(?:\d+\s+)?(?:day|week|month|quarter|year)s?\Z")


def items(to: Composer, value: Value, skip: tuple[str, ...] = ()) -> None:
    """The lines of a plan, an add-on, a phase or a version, each on a line of its own."""
    if not isinstance(value, Mapping):
        to.lines(value)
        return
    for name, item in value.pairs:
        if name.text in ("name", DOC, *skip):
            continue
        line = _line(to, name)
        for each in _each(item, line.text):
            to.add("\n", name)
            _LINES.get(line.text, _clause)(to, line, each)


def _line(to: Composer, name: Scalar) -> Scalar:
    """The key of a line of a plan; where it is mistyped, the one that is meant."""
    near = None if name.text in _LINES else did_you_mean(name.text, _LINES)
    if near is None:
        return name
    to.report(name, f"A plan has no key `{name.text}`", f"did you mean `{near}`?")
    return Scalar(name.span, near, name.plain)


def _each(value: Value, key: str) -> Iterator[Value]:
    """The values of a key that may have several."""
    if key == "usage" and isinstance(value, Mapping):
        yield from (Mapping(name.span, ((name, item),)) for name, item in value.pairs)
    elif key in _REPEATED and isinstance(value, Sequence):
        for item in value.items:
            yield from _each(item, key) if key == "usage" else (item,)
    else:
        yield value


def _clause(to: Composer, name: Scalar, value: Value) -> None:
    """Any other line: its key and what stands behind it."""
    to.words(name)
    if not (isinstance(value, Scalar) and value.empty):
        to.add(" ", name)
        to.expr(value)


def _features(to: Composer, name: Scalar, value: Value) -> None:
    to.add("features [", name)
    for number, item in enumerate(value.items if isinstance(value, Sequence) else (value,)):
        to.add(", " if number else "", item)
        to.text(item)
    to.add("]", name)


def _price(to: Composer, name: Scalar, value: Value) -> None:
    to.add("price ", name)
    if not isinstance(value, Mapping):
        to.words(value)
        return
    taken = to.take(value, PRICE, "A price")
    to.words(taken.get("amount"))
    _per(to, taken.get("per"))
    if "arrears" in taken:
        to.add(" in arrears", name)
    _tiered(to, value)


def _per(to: Composer, value: Value | None) -> None:
    """` per seat per month`."""
    for item in value.items if isinstance(value, Sequence) else (value,):
        if item is not None:
            to.add(" per ", item)
            to.words(item)


def _tiered(to: Composer, value: Mapping) -> bool:
    """` graduated { … }` where one of the tiered models is named."""
    for name, tiers in value.pairs:
        if name.text in _TIERED:
            to.add(f" {name.text} {{", name)
            _tiers(to, tiers)
            to.add("\n}", name)
            for other, limits in value.pairs:
                if other.text == "within":
                    to.add(" ", other)
                    to.words(limits)
            return True
    return False


def _tiers(to: Composer, value: Value) -> None:
    if not isinstance(value, Mapping):
        to.report(value, "Tiers are a mapping of `up to N` and `above` to their rates")
        return
    for bound, rate in value.pairs:
        to.add("\n", bound)
        to.words(bound)
        to.add(": ", bound)
        to.words(rate)


def _usage(to: Composer, name: Scalar, value: Value) -> None:
    to.add("usage ", name)
    if not isinstance(value, Mapping):
        to.words(value)
        return
    for meter, pricing in value.pairs:
        to.words(meter)
        _pricing(to, pricing, meter)


def _pricing(to: Composer, value: Value, at: Value, dimensions: int = 0) -> None:
    """What stands behind a meter or a case: a rate, tiers, packages, or a price for each value."""
    if not isinstance(value, Mapping):
        model = isinstance(value, Scalar) and _MODEL.match(value.text)
        to.add(" " if model else ": ", at)
        to.words(value)
        return
    taken = to.take(value, PRICING, "A usage price")
    unknown = [name for name, _ in to.others(value, PRICING) if not name.text.startswith(PACKAGE)]
    for name in unknown:
        near = did_you_mean(name.text, PRICING.keys)
        help = f"did you mean `{near}`?" if near else None
        to.report(name, f"A usage price has no key `{name.text}`", help)
    per = taken.get("per")
    _per(to, per)
    if _tiered(to, value):
        return
    if "prices" in taken:
        _cases(to, taken["prices"], at, dimensions or _dimensions(per))
        return
    others = to.others(value, PRICING)
    package = next((pair for pair in others if pair[0].text.startswith(PACKAGE)), None)
    if package:
        name, rate = package
        to.add(" ", name)
        to.words(name)
        to.add(": ", name)
        to.words(rate)
    elif "rate" in taken:
        to.add(": ", at)
        to.words(taken["rate"])
    else:
        if not unknown:
            to.report(value, "A usage price needs `rate`, tiers, `package of N` or `prices`")
        to.add(f": {BAD}", at)


def _dimensions(per: Value | None) -> int:
    """How many dimensions a usage price names, lengths of time not counted."""
    found = per.items if isinstance(per, Sequence) else (per,)
    words = [word.strip() for item in found if isinstance(item, Scalar)
             for word in item.text.split(",")]  # fmt: skip
    return sum(not _INTERVAL.match(word) for word in words)


def _cases(to: Composer, value: Value, at: Value, dimensions: int) -> None:
    if not isinstance(value, Mapping):
        to.report(value, "`prices` is a mapping of a dimension's values to their prices")
        return
    to.add(" {", at)
    for name, pricing in value.pairs:
        to.add("\n", name)
        _case_key(to, name, dimensions)
        _pricing(to, pricing, name, dimensions)
    to.add("\n}", at)


def _case_key(to: Composer, name: Scalar, dimensions: int) -> None:
    """The value of a dimension, or those of several with commas; `else` is the grammar's."""
    if is_quoted(name.text):
        to.words(name)
        return
    parts = name.text.split(",") if dimensions > 1 else [name.text]
    for number, part in enumerate(parts):
        to.add(", " if number else "", name)
        if part.strip() == "else":
            to.add("else", name)
        else:
            to.text(Scalar(name.span, part.strip(), False))


def _includes(to: Composer, name: Scalar, value: Value) -> None:
    if not isinstance(value, Mapping):
        to.add("includes ", name)
        to.words(value)
        return
    for number, (meter, quantity) in enumerate(value.pairs):
        to.add("\nincludes " if number else "includes ", meter)
        found = _ALLOWANCE.match(quantity.text) if isinstance(quantity, Scalar) else None
        to.words(Scalar(quantity.span, found[1], False) if found else quantity)
        to.add(" ", meter)
        to.words(meter)
        to.add(found[2] if found else "", quantity)


def _phase(to: Composer, name: Scalar, value: Value) -> None:
    taken = to.take(value, PHASE, "A phase")
    to.add("phase ", name)
    to.text(taken.get("phase", Scalar(value.span, "", False)))
    to.add(" for ", name)
    to.needed(taken.get("for"), value)
    _block(to, value, ("phase", "for"))


def _version(to: Composer, name: Scalar, value: Value) -> None:
    taken = to.take(value, VERSION, "A version")
    to.add("from ", name)
    to.needed(taken.get("from"), value)
    _block(to, value, ("from", "migrate"))
    if "migrate" in taken:
        to.add(" migrate ", name)
        to.words(taken["migrate"])


def _block(to: Composer, value: Value, skip: tuple[str, ...]) -> None:
    to.add(" {", value)
    items(to, value, skip)
    to.add("\n}", value)


_LINES: dict[str, Callable[[Composer, Scalar, Value], None]] = {
    "price": _price,
    "usage": _usage,
    "includes": _includes,
    "phases": _phase,
    "versions": _version,
    "features": _features,
}
_ALLOWANCE = re.compile(r"(.+?)((?: prorated)?(?: carried over.*)?)\Z")
_REPEATED = frozenset(("price", "usage", "includes", "phases", "versions", "minimum", "maximum"))
