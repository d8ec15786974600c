"""The functions that every spec has: what they take, what they give, and what they are for."""

from __future__ import annotations

from msgspec import Struct

from .types import (
    ANY,
    BOOL,
    DATE,
    DURATION,
    INTEGER,
    LIMIT,
    METER,
    MONEY,
    NUMBER,
    PERCENT,
    PLAN,
    SIZE,
    TEXT,
    TIME,
    EntityType,
    ListOf,
    MapOf,
    Prim,
    Record,
    Type,
    maybe,
)

# A customer, subscription or any other entity, or its key.
ENTITY = EntityType("")
LIST = ListOf(ANY)
MAP = MapOf(ANY)
# The name of a template, written out.
TEMPLATE = Prim("template")
TIMES = Record("range of time", (("start", TIME), ("end", TIME)))
AMOUNTS = (NUMBER, MONEY, PERCENT, DURATION, SIZE)


class Parameter(Struct, frozen=True):
    """One argument: it must fit one of `types`; `rest` takes any number of further ones."""

    name: str
    types: tuple[Type, ...]
    optional: bool = False
    rest: bool = False


class Builtin(Struct, frozen=True):
    """A function; `result` is a type, or a word for a rule of `check.calls`:

    "first" the type of the first argument, "base" likewise where the second is no step, "item"
    that of the elements of a list or of all arguments, "series" a list of those, "meter" and
    "limit" what that measures, "variant" the values of an experiment.
    """

    name: str
    params: tuple[Parameter, ...]
    result: Type | str
    doc: str

    @property
    def least(self) -> int:
        """How many arguments must be given."""
        return sum(1 for p in self.params if not p.optional and not p.rest)

    @property
    def most(self) -> int | None:
        """How many may be given; None where there is no bound."""
        return None if any(p.rest for p in self.params) else len(self.params)

    @property
    def usage(self) -> str:
        """How a call is written: `round(x, step?)`."""
        names = (f"{p.name}{'?' if p.optional else '…' if p.rest else ''}" for p in self.params)
        return f"{self.name}({', '.join(names)})"


def _p(name: str, *types: Type, optional: bool = False, rest: bool = False) -> Parameter:
    return Parameter(name, types or (ANY,), optional, rest)


def _fn(name: str, doc: str, result: Type | str, *params: Parameter) -> Builtin:
    return Builtin(name, params, result, doc)


_CUSTOMER = _p("customer", ENTITY)
_CUSTOMER_OR_PLAN = _p("customer", ENTITY, PLAN)
_METER = _p("meter", METER)
_LIMIT = _p("name", LIMIT)

_LISTS = (
    _fn("count", "How many rows or elements there are.", NUMBER, _p("rows", LIST)),
    _fn("sum", "All values together; 0 where there are none.", "item", _p("values", LIST)),
    _fn("avg", "The mean of the values; none where there are none.", "item", _p("values", LIST)),
    _fn(
        "min", "The smallest value; none of no rows.", "item", _p("values"), _p("others", rest=True)
    ),
    _fn(
        "max", "The largest value; none of no rows.", "item", _p("values"), _p("others", rest=True)
    ),
    _fn("len", "How long a text or list is.", NUMBER, _p("x", TEXT, LIST, MAP)),
    _fn("keys", "The keys of a map, in the order of the alphabet.", ListOf(TEXT), _p("map", MAP)),
)

_NUMBERS = (
    _fn("floor", "The whole part below.", "first", _p("x", *AMOUNTS), _p("step", optional=True)),
    _fn("ceil", "The whole part above.", "first", _p("x", *AMOUNTS), _p("step", optional=True)),
    _fn("round", "To the nearest step, 1 where none is given: `round(price, 0.05 USD)`.", "first",
        _p("x", *AMOUNTS), _p("step", optional=True)),
    _fn("abs", "Without its sign.", "first", _p("x", *AMOUNTS)),
    _fn("mod", "What is left after division.", NUMBER, _p("a", NUMBER), _p("b", NUMBER)),
    _fn("power", "So often by itself: `power(105%, 12)`; below 0 the inverse of that.", "base",
        _p("x", NUMBER, PERCENT), _p("n", NUMBER)),
    _fn("percent", "The share that a number is, 25% of 0.25, or a part of the whole.", PERCENT,
        _p("x", *AMOUNTS), _p("of", *AMOUNTS, optional=True)),
    _fn("hash", "A steady whole number for a value.", NUMBER, _p("x")),
)  # fmt: skip

_TEXTS = (
    _fn("lower", "In small letters.", TEXT, _p("text", TEXT)),
    _fn("upper", "In capital letters.", TEXT, _p("text", TEXT)),
    _fn("trim", "Without blanks at its ends.", TEXT, _p("text", TEXT)),
    _fn("contains", "Whether a text or list has a part.", BOOL, _p("x", TEXT, LIST), _p("part")),
    _fn("starts_with", "Whether a text begins so.", BOOL, _p("text", TEXT), _p("start", TEXT)),
    _fn("ends_with", "Whether a text ends so.", BOOL, _p("text", TEXT), _p("end", TEXT)),
    _fn("join", "The items of a list as one text.", TEXT, _p("list", LIST), _p("by", TEXT)),
    _fn(
        "replace",
        "With every such part replaced.",
        TEXT,
        _p("text", TEXT),
        _p("part", TEXT),
        _p("by", TEXT),
    ),
    _fn("text", "A value as it prints.", TEXT, _p("x")),
    _fn("number", "The number that a text says, or none.", maybe(NUMBER), _p("text", TEXT)),
)

_TIMES = (
    _fn("age", "The time since then, or since a row was created.", DURATION,
        _p("x", TIME, DATE, ENTITY)),
    _fn("days", "Whole days from one to the other.", NUMBER,
        _p("from", TIME, DATE), _p("to", TIME, DATE)),
    _fn("months", "Whole months from one to the other.", NUMBER,
        _p("from", TIME, DATE), _p("to", TIME, DATE)),
    _fn("date", "The local date of an instant, or the one of a text or a year, month and day.",
        DATE, _p("x", TIME, DATE, TEXT, NUMBER), _p("month", NUMBER, optional=True),
        _p("day", NUMBER, optional=True)),
)  # fmt: skip

_BILLING = (
    _fn("usage", "What a customer has used in the running period, or in a range of time.", "meter",
        _CUSTOMER, _METER, _p("range", TIMES, optional=True)),
    _fn("limit", "What a plan, or a customer's plan, allows: unlimited where it does not say, 0 "
        "for who has none.", "limit", _CUSTOMER_OR_PLAN, _LIMIT),
    _fn("remaining", "What is left of the limit or allowance of a meter.", "limit",
        _CUSTOMER, _LIMIT),
    _fn("credit_balance", "The account credit that a customer has.", MONEY, _CUSTOMER),
    _fn("preview", "The invoice that a customer would get then.", ANY,
        _CUSTOMER, _p("at", TIME, optional=True)),
    _fn("preview_of", "The invoice that an action about a subscription would make: "
        '`preview_of(s, "change_plan", { plan: pro })`.', ANY,
        _p("about", ENTITY), _p("action", TEXT), _p("fields", optional=True)),
    _fn("estimate", "What a period of a plan comes to with so much usage, for a customer with tax.",
        ANY, _p("plan", PLAN), _p("usage", optional=True), _p("customer", ENTITY, optional=True)),
    _fn("has_feature", "Whether a plan, or a customer's plan, has a feature.", BOOL,
        _CUSTOMER_OR_PLAN, _p("feature", TEXT)),
    _fn("prorate", "The part of an amount that falls on a stretch of a period.", MONEY,
        _p("amount", MONEY), _p("from", TIME), _p("to", TIME), _p("period", optional=True)),
    _fn("tiered", "The price of a quantity by tiers.", MONEY, _p("quantity", NUMBER),
        _p("tiers", LIST)),
    _fn("variant", "The value of the variant that is assigned.", "variant",
        _p("experiment"), _p("x")),
    _fn("variant_name", "The name of the variant that is assigned.", TEXT,
        _p("experiment"), _p("x")),
    _fn("split", "Parts of an amount by percentages, or by weights; they add up.", ListOf(MONEY),
        _p("amount", MONEY), _p("shares", ListOf(PERCENT), ListOf(NUMBER))),
    _fn("charm", "A price just below a round one: 9.99 for 10.", MONEY, _p("price", MONEY)),
    _fn("prestige", "A round price: in tens, or in steps that are given.", MONEY,
        _p("price", MONEY), _p("step", MONEY, optional=True)),
    _fn("discount", "A price less a percentage or an amount, never below zero.", MONEY,
        _p("price", MONEY), _p("off", PERCENT, MONEY)),
    _fn("bundle", "Several prices together, less a percentage or an amount.", MONEY,
        _p("prices", LIST), _p("off", PERCENT, MONEY)),
    _fn("allocate", "So many equal parts of an amount; they add up.", ListOf(MONEY),
        _p("amount", MONEY), _p("parts", INTEGER)),
)  # fmt: skip

_ESTIMATES = (
    _fn("forecast", "A series of monthly figures, continued by so many months.", "series",
        _p("series", LIST), _p("months", INTEGER)),
    _fn("similarity", "How alike two vectors of `ai.embed` are, from -1 to 1.", NUMBER,
        _p("a"), _p("b")),
)  # fmt: skip

_AT = _p("at", TIME, optional=True)
_RANGE = _p("range", TIMES, optional=True)
_METRICS = (
    _fn("mrr", "What all customers bring in a month.", MONEY, _AT),
    _fn("arr", "Twelve times that.", MONEY, _AT),
    _fn("arpa", "What a customer brings in a month on average.", maybe(MONEY), _AT),
    _fn("mrr_movement", "What came of a kind: new, expansion, reactivation, contraction, churn.",
        MONEY, _p("kind", TEXT), _RANGE),
    _fn("customer_churn", "The customers lost over those at the start.", maybe(PERCENT), _RANGE),
    _fn("revenue_churn", "The revenue lost over that at the start.", maybe(PERCENT), _RANGE),
    _fn("net_retention", "What is left of the revenue, with what grew.", maybe(PERCENT), _RANGE),
    _fn("ltv", "The average revenue of a customer over its lifetime.", maybe(MONEY), _RANGE),
)  # fmt: skip

_OUTSIDE = (
    _fn("env", "A secret from the environment, read when it is sent.", TEXT, _p("name", TEXT)),
    _fn("bearer", "A token as a header carries it.", ANY, _p("token", TEXT)),
    _fn("basic", "A user and a password as a header carries them.", ANY,
        _p("user", TEXT), _p("password", TEXT)),
    _fn("header", "A secret in a header of its own.", ANY, _p("name", TEXT), _p("value", TEXT)),
    _fn("hmac", "A signature of the body: in X-Signature, or another header, behind a prefix.",
        ANY, _p("secret", TEXT), _p("header", TEXT, optional=True),
        _p("prefix", TEXT, optional=True)),
    _fn("pdf", "An invoice, a credit note, a payment's receipt or a template as a file to attach.",
        ANY, _p("document", EntityType("Invoice"), EntityType("CreditNote"), EntityType("Payment"),
                TEMPLATE), _p("data", optional=True)),
)  # fmt: skip

BUILTINS: dict[str, Builtin] = {
    fn.name: fn
    for fn in _LISTS + _NUMBERS + _TEXTS + _TIMES + _BILLING + _METRICS + _ESTIMATES + _OUTSIDE
}
