"""Types as they are written, declarations, and the file that has them."""

from __future__ import annotations

from ...diagnostics import Span
from .expressions import Bad, Expr, MapLiteral, Node
from .statements import EventPattern, Stmt

# --- types as written ------------------------------------------------------------------------


class TypeName(Node, frozen=True):
    """`text`, `Account`, `plan`."""

    name: str


class TypeList(Node, frozen=True):
    """`[T]`."""

    item: TypeExpr


class TypeMap(Node, frozen=True):
    """`{text: T}`."""

    value: TypeExpr


class TypeUnion(Node, frozen=True):
    """`"trial" | "active"`."""

    values: tuple[str, ...]


class TypeOptional(Node, frozen=True):
    """`T?`."""

    inner: TypeExpr


TypeExpr = TypeName | TypeList | TypeMap | TypeUnion | TypeOptional | Bad

# --- declarations ----------------------------------------------------------------------------


class Declaration(Node, frozen=True):
    """What stands at the top of a file; `doc` is the text of its `##` comments."""

    doc: str | None


class Binding(Node, frozen=True):
    """`Case as Ticket`: what the user's own is called, and what the used file calls it.

    `given` is None where only the first stands there: the used file is given one thing.
    """

    own: str
    own_span: Span
    given: str | None
    given_span: Span | None


class Use(Declaration, frozen=True):
    """`use "./plans.biz"` or `use std.sla for Case as Ticket`; `path` without quotes, `std` tells
    which."""

    path: str
    std: bool
    bindings: tuple[Binding, ...] = ()


class Given(Declaration, frozen=True):
    """`given entity Ticket { … }`: stands in for what a file that uses this one declares."""

    declaration: Declaration


class Override(Declaration, frozen=True):
    """`override const grace = 5 days`: takes the place of a used file's declaration.

    `path` is the file whose one is meant, as `use` names it, where several have one.
    """

    declaration: Declaration
    path: str | None = None
    path_span: Span | None = None


class Setting(Node, frozen=True):
    """A line of `business`: its key, and its value as an expression or as bare words.

    `words` has everything behind the key as written, split at blanks (`by day` → ("by", "day"));
    `value` is set where it also reads as one expression.
    """

    key: str
    words: tuple[str, ...]
    value: Expr | None


class Business(Declaration, frozen=True):
    """`business "Name" { … }`."""

    title: str
    settings: tuple[Setting, ...]


class FieldDecl(Node, frozen=True):
    """A field of an entity, event, type or api: `name T key unique was old = default`.

    `was` is what a field of an entity was called before, with its place.
    """

    name: str
    name_span: Span
    type: TypeExpr
    key: bool = False
    unique: bool = False
    default: Expr | None = None
    doc: str | None = None
    was: tuple[str, Span] | None = None


class IndexDecl(Node, frozen=True):
    """`index status, trial_ends`."""

    fields: tuple[tuple[str, Span], ...]


class Entity(Declaration, frozen=True):
    """`entity E { … }`, or `extend entity E { … }` with `extends` set.

    The rows of an `append_only` one are never changed or deleted.
    """

    name: str
    name_span: Span
    fields: tuple[FieldDecl, ...]
    indexes: tuple[IndexDecl, ...]
    extends: bool = False
    append_only: bool = False


class TypeDecl(Declaration, frozen=True):
    """`type Address { street text }`: a shape without a table."""

    name: str
    name_span: Span
    fields: tuple[FieldDecl, ...]


class EventDecl(Declaration, frozen=True):
    """`event API.called key account { … }`."""

    name: str
    name_span: Span
    key: tuple[str, Span] | None
    fields: tuple[FieldDecl, ...]


# Rates and prices


class RatePart(Node, frozen=True):
    """One product of a rate: `0.005 USD`, `10 USD flat`, `2.9%`, `5 USD per 1000`, `free`.

    `amount` is an expression (a literal, a const's name, a product); `unit` is "unit", "flat",
    "flat always", or "per" with `per` the expression or word behind it (`payment`, `GB`, `1000`).
    """

    amount: Expr | None
    unit: str
    per: str | None


class Rate(Node, frozen=True):
    """A `+` list of products, at most / at least bounds; `free` is an empty list.

    `at_most` / `at_least` are amounts (`at most 500 USD`), `most_each` / `least_each` those for a
    single event (`at most 5 USD per payment`).
    """

    parts: tuple[RatePart, ...]
    at_most: Expr | None = None
    at_least: Expr | None = None
    most_each: Expr | None = None
    least_each: Expr | None = None
    each: str | None = None


class Tier(Node, frozen=True):
    """`up to N: rate` (bound set) or `above: rate` (bound None)."""

    bound: Expr | None
    rate: Rate


class DimensionRate(Node, frozen=True):
    """`"chat": 0.02 USD` of `per endpoint { … }`; values has one text a dimension, () is else.

    A value None in a matrix stands for else in that dimension. `rate` may itself be tiered.
    """

    values: tuple[str | None, ...]
    price: Pricing


class Pricing(Node, frozen=True):
    """How a quantity becomes money.

    model: "unit" (rate), "graduated" | "volume" | "stairstep" (tiers; rate has their bounds, where
    they have some, and no products), "package" (rate is the price of each started package of
    `package` units), "dimension" (cases, over `dimensions`).
    """

    model: str
    rate: Rate | None = None
    tiers: tuple[Tier, ...] = ()
    package: Expr | None = None
    dimensions: tuple[str, ...] = ()
    cases: tuple[DimensionRate, ...] = ()


class Price(Node, frozen=True):
    """`price 99 USD per seat per month in arrears`, `price per seat per month graduated { … }`.

    `per_unit` is "seat" (or any other word) or None; the interval is `count` of `unit`
    (day week month year); no interval at all (a one-off price of an addon): unit None.
    """

    pricing: Pricing
    per_unit: str | None
    count: int
    unit: str | None
    arrears: bool


class UsagePrice(Node, frozen=True):
    """`usage METER … : rate` / `usage METER graduated { … }`; `per` as in LANGUAGE §2.

    `interval` is (count, unit) of `usage api_calls per month …`, None for the plan's period.
    """

    meter: str
    meter_span: Span
    pricing: Pricing
    interval: tuple[int, str] | None = None


class Carried(Node, frozen=True):
    """`carried over [for 2 periods] [up to 5_000]` of an allowance: for how many more of its
    periods (None: as long as the subscription), and how much of it at most."""

    periods: int | None
    most: Expr | None


class Includes(Node, frozen=True):
    """`includes 100_000 api_calls [prorated] [carried over …]`; `events`: `includes 3 events of
    payments`, so many of those that its meter counts, whatever they count."""

    quantity: Expr
    meter: str
    meter_span: Span
    prorated: bool
    carried: Carried | None = None
    events: bool = False


class PlanClause(Node, frozen=True):
    """Any other line of a plan.

    key: "trial" "features" "limits" "minimum" "maximum" "only" "seats" "bill_usage" (value is
    the threshold), "provider" (name in `name`, value a map), or an author's own key; `value` its
    expression (`seats 1..500` is a Binary `..`). `words` has trailing bare words.
    """

    key: str
    name: str | None
    value: Expr | None
    words: tuple[str, ...] = ()


class Phase(Node, frozen=True):
    """`phase "launch" for 3 months { … }`."""

    title: str
    duration: Expr
    items: tuple[PlanItem, ...]


class PriceVersion(Node, frozen=True):
    """`from 2027-01-01 { … }`; `migrate` is None, "renewal", "now", or "where" with `where`."""

    start: Expr
    items: tuple[PlanItem, ...]
    migrate: str | None = None
    where: Expr | None = None


PlanItem = Price | UsagePrice | Includes | PlanClause | Phase | PriceVersion | Bad


class Plan(Declaration, frozen=True):
    """`plan pro "Professional" { … }`."""

    name: str
    name_span: Span
    title: str | None
    items: tuple[PlanItem, ...]


class Addon(Declaration, frozen=True):
    """`addon support "Priority support" { … }`."""

    name: str
    name_span: Span
    title: str | None
    items: tuple[PlanItem, ...]


class Meter(Declaration, frozen=True):
    """`meter m { sum units of E per account by d where .units > 0 unit GB }`.

    `field` is None for `count`; `events` one or several types.
    """

    name: str
    name_span: Span
    aggregate: str
    field: str | None
    field_span: Span | None
    events: tuple[tuple[str, Span], ...]
    per: str | None
    per_span: Span | None
    by: tuple[tuple[str, Span], ...]
    where: Expr | None
    unit: str | None
    unit_span: Span | None = None
    title: str | None = None


class Coupon(Declaration, frozen=True):
    """`coupon C { 25% off for 3 months, once per customer }`.

    `duration` is "once", "forever" (neither said), or a duration expression in `months`;
    `times` is N of `at most N times`; `until` a date; `only` plans' names.
    """

    name: str
    name_span: Span
    off: Expr
    duration: Expr | None
    once: bool
    once_per_customer: bool
    times: Expr | None
    until: Expr | None
    only: tuple[tuple[str, Span], ...]
    title: str | None = None


class Tax(Declaration, frozen=True):
    """`tax t { 8% exclusive when … }`, or `provider stripe` (provider set, rate None)."""

    name: str
    name_span: Span
    rate: Expr | None
    inclusive: bool
    when: Expr | None
    provider: str | None
    title: str | None = None


class DunningStep(Node, frozen=True):
    """A line of `dunning`.

    kind: "retry_after" (delays: expressions), "retry_every" (delays one, `times`),
    "retry_backoff" (delays one, doubling, `times`), "then" (`action` suspend cancel
    mark_uncollectible …), "grace" (`cancel after 7 days more`: action and delays one).
    """

    kind: str
    delays: tuple[Expr, ...]
    times: int | None
    action: str | None


class Dunning(Declaration, frozen=True):
    """`dunning standard { … }`."""

    name: str
    name_span: Span
    steps: tuple[DunningStep, ...]


class Arrow(Node, frozen=True):
    """`"a" -> "b" on E.x` or `after 14 days`; source None is `any`.

    With neither, handlers alone make the change.

    `events` as in a pattern, with an optional `where`.
    """

    source: str | None
    target: str
    source_span: Span
    target_span: Span
    on: EventPattern | None
    after: Expr | None


class Lifecycle(Declaration, frozen=True):
    """`lifecycle Entity.field { start "a" … }`."""

    entity: str
    field: str
    name_span: Span
    start: str | None
    start_span: Span | None
    arrows: tuple[Arrow, ...]


class Trigger(Declaration, frozen=True):
    """`trigger Noun.verb for Entity when condition [once per period]`.

    The condition may be a Binary with op "reaches" or "drops below".
    """

    event: str
    name_span: Span
    entity: str
    entity_span: Span
    condition: Expr
    once_per_period: bool


class On(Declaration, frozen=True):
    """`on E as x where … { … }`; `across_tenants` where the pattern says so."""

    pattern: EventPattern
    body: tuple[Stmt, ...]
    across_tenants: bool = False


class Every(Declaration, frozen=True):
    """`every …`: one of three.

    kind "cron" (`cron` set); "interval" (`every 15 minutes`: `interval` a duration literal);
    "calendar": `unit` day week month year or a weekday's name, `on` the day ("last", a number's
    text, or a month-day `03-31`), `at` a clock literal. All: `zone`, `catch_up` "all" or "last".
    """

    kind: str
    unit: str | None
    interval: Expr | None
    cron: str | None
    on: str | None
    at: Expr | None
    zone: str | None
    catch_up: str
    body: tuple[Stmt, ...]


class Param(Node, frozen=True):
    """`name: T = default` of fn and api."""

    name: str
    type: TypeExpr
    default: Expr | None


class Fn(Declaration, frozen=True):
    """`fn f(a: T) -> T = expression` or `{ statements }` (then `value` is None)."""

    name: str
    name_span: Span
    params: tuple[Param, ...]
    returns: TypeExpr | None
    value: Expr | None
    body: tuple[Stmt, ...]


class Const(Declaration, frozen=True):
    """`const grace = 7 days`."""

    name: str
    name_span: Span
    value: Expr


class Template(Declaration, frozen=True):
    """`template welcome { subject "…", body \"\"\"…\"\"\" }`; texts are Jinja2, kept as written.

    `parts` in order: subject, body, and any other named text (html, locale…).
    """

    name: str
    name_span: Span
    parts: tuple[tuple[str, str, Span], ...]


class Metric(Declaration, frozen=True):
    """`metric mrr: money = … every day`; `every` is the unit or a duration literal, or None."""

    name: str
    name_span: Span
    type: TypeExpr | None
    value: Expr | None
    every: Expr | str | None


class Api(Declaration, frozen=True):
    """`api GET "/usage" (period: text = "current") for customer { … }`.

    `caller` is the name behind `for`; `roles` what stands behind `can`/`role` where given.
    """

    method: str
    path: str
    params: tuple[Param, ...]
    caller: str | None
    roles: tuple[str, ...]
    body: tuple[Stmt, ...]


class Role(Declaration, frozen=True):
    """`role developer { can resources.read, resources.* }`."""

    name: str
    name_span: Span
    can: tuple[str, ...]


class Variant(Node, frozen=True):
    """`variant low 0.9` of an experiment."""

    name: str
    value: Expr


class Experiment(Declaration, frozen=True):
    """`experiment price_test by customer { variant low 0.9 … }`."""

    name: str
    name_span: Span
    by: str
    variants: tuple[Variant, ...]


class Connect(Declaration, frozen=True):
    """`connect stripe { key: env("…") }`."""

    name: str
    name_span: Span
    data: MapLiteral


class Directory(Declaration, frozen=True):
    """`directory users for User { userName: .login }`: SCIM attributes and their fields."""

    name: str
    name_span: Span
    entity: str
    entity_span: Span
    data: MapLiteral


class SignIn(Declaration, frozen=True):
    """`sign_in okta for User { issuer: env("…"), find: { email: .email } }`."""

    name: str
    name_span: Span
    entity: str
    entity_span: Span
    data: MapLiteral


class Test(Declaration, frozen=True):
    """`test "title" { … }`."""

    title: str
    body: tuple[Stmt, ...]


class BadDeclaration(Declaration, frozen=True):
    """A declaration that could not be read; reported by the parser."""


class File(Node, frozen=True):
    """One parsed file: its declarations in order."""

    declarations: tuple[Declaration, ...]
