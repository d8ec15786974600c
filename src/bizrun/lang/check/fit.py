"""Whether a value of one type may stand where another is wanted, and what two have in common."""

from __future__ import annotations

from ..types import (
    AMOUNT,
    ANY,
    COUPON,
    DATE,
    DURATION,
    INTEGER,
    JSON,
    LIMIT,
    METER,
    MOMENT,
    MONEY,
    NONE,
    NUMBER,
    PERCENT,
    PLAN,
    SIZE,
    TEXT,
    TIME,
    UNLIMITED,
    AnyType,
    Choice,
    EntityType,
    ListOf,
    MapOf,
    Maybe,
    Prim,
    Record,
    Type,
    known,
)

# What a text that arrives from outside may name.
_EITHER = {AMOUNT: (MONEY,), MOMENT: (TIME, DATE)}
_NAMED = (PLAN, COUPON, METER, LIMIT)

# What a test writes as text because events and requests carry it so.
_WRITTEN = (TIME, DATE, MONEY, DURATION, PERCENT, SIZE, NUMBER, INTEGER)


def untyped(type_: Type) -> bool:
    """Whether nothing is known of a value, so that nothing is said about its use."""
    return isinstance(type_, AnyType) or type_ == JSON


def fits(value: Type, wanted: Type, written: bool = False) -> bool:
    """Whether a value may stand there; `written` where it is data as events carry it."""
    if value == wanted or untyped(value) or untyped(wanted):
        return True
    match value, wanted:
        case _, Maybe(inner=wanted_inner):
            given: Type = value.inner if isinstance(value, Maybe) else value
            return given == NONE or fits(given, wanted_inner, written)
        case Maybe(), _:
            return False
        case Choice(values), Choice(others):
            return not set(values).isdisjoint(others)
        case ListOf(item), ListOf(other):
            return fits(item, other, written)
        case MapOf(item), MapOf(other):
            return fits(item, other, written)
        case Record(_, fields), MapOf(other):
            return all(fits(type_, other, written) for _, type_ in fields)
        case MapOf(item), Record(_, fields):
            return all(fits(item, type_, written) for _, type_ in fields)
        case Record(), Record():
            return _record_fits(value, wanted, written)
        case Prim(), Prim():
            return _prim_fits(value, wanted, written)
    return _named_fits(value, wanted)


def _record_fits(value: Record, wanted: Record, written: bool) -> bool:
    given = dict(value.fields)
    for name, type_ in wanted.fields:
        if name not in given:
            if value.open or isinstance(type_, Maybe):
                continue
            return False
        if not fits(given[name], type_, written):
            return False
    return True


def _prim_fits(value: Prim, wanted: Prim, written: bool) -> bool:
    numbers = (NUMBER, INTEGER)
    if wanted in _EITHER:
        return value in (*numbers, *_EITHER[wanted])
    if value in numbers and wanted in numbers:
        return True
    if value == UNLIMITED:
        return wanted in (NUMBER, INTEGER, SIZE, LIMIT)
    if value == TEXT:
        return wanted in _NAMED or (written and wanted in _WRITTEN)
    # A date stands for the instant at which it begins.
    if value == DATE and wanted == TIME:
        return True
    if written and value == NUMBER and wanted == MONEY:
        return True
    return value in _NAMED and wanted == TEXT


def _named_fits(value: Type, wanted: Type) -> bool:
    match value, wanted:
        case EntityType(), Prim("text"):
            return True
        case Prim("text"), EntityType() | Choice():
            return True
        case Choice(), EntityType() | Prim("text"):
            return True
        case Choice(), Prim():
            return wanted in _NAMED
        case Prim(), Choice():
            return value in _NAMED
    return False


def begins(value: Type, wanted: Type) -> bool:
    """Whether a date, or a list of dates, stands where an instant or a list of them is wanted."""
    match known(value), known(wanted):
        case ListOf(item), ListOf(other):
            return begins(item, other)
        case one, other:
            return one == DATE and other == TIME


def comparable(left: Type, right: Type) -> bool:
    """Whether two values could ever be equal."""
    if isinstance(left, Maybe):
        left = left.inner
    if isinstance(right, Maybe):
        right = right.inner
    if NONE in (left, right):
        return True
    return fits(left, right) or fits(right, left)


def join(left: Type, right: Type) -> Type | None:
    """The type of a value that is one or the other; None where they have nothing in common."""
    if isinstance(left, AnyType) or isinstance(right, AnyType):
        return ANY
    if left == NONE or right == NONE:
        other = right if left == NONE else left
        return other if isinstance(other, Maybe) or other == NONE else Maybe(other)
    if isinstance(left, Maybe) or isinstance(right, Maybe):
        both = join(
            left.inner if isinstance(left, Maybe) else left,
            right.inner if isinstance(right, Maybe) else right,
        )
        return both if both is None or isinstance(both, AnyType) else Maybe(both)
    match left, right:
        case (Prim("text"), Choice()) | (Choice(), Prim("text")):
            return TEXT
        case Choice(values), Choice(others):
            return Choice(tuple(dict.fromkeys((*values, *others))))
        case ListOf(item=mine), ListOf(item=theirs):
            return ListOf(join(mine, theirs) or ANY)
        case (MapOf() as names, Record() as one) | (Record() as one, MapOf() as names):
            # `accounts ?? {}`: any name may be asked of it.
            return names if fits(one, names) else None
        case Record(), Record() if left != right:
            return Record("", _shared(left, right), open=True)
    if fits(left, right):
        return right
    return left if fits(right, left) else None


def _shared(left: Record, right: Record) -> tuple[tuple[str, Type], ...]:
    theirs = dict(right.fields)
    return tuple((k, join(t, theirs[k]) or ANY) for k, t in left.fields if k in theirs)
