"""The tree of a .biz file: plain frozen data, one class a construct, each with its span.

Nodes hold what the author wrote, names unresolved. What the checker finds out stands in side
tables keyed by `id(node)` (see `lang.check`), so that there is one tree only.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ..diagnostics import Span

# --- expressions ---------------------------------------------------------------------------


class Node(msgspec.Struct, frozen=True, eq=False):
    """Anything with a place in a file. Compared by identity."""

    span: Span


class Literal(Node, frozen=True):
    """A constant; `type` is one of number money percent duration size clock date time bool
    none unlimited; `value` its Python value (see `values`)."""

    type: str
    value: Any


class Interpolation(Node, frozen=True):
    """`{value:format}` inside a text."""

    value: Expr
    format: str | None


class Text(Node, frozen=True):
    """A text: its pieces in order, unescaped and, for three quotes, without common indent."""

    parts: tuple[str | Interpolation, ...]

    @property
    def plain(self) -> str | None:
        """The text itself where it has no interpolation."""
        if all(isinstance(part, str) for part in self.parts):
            return "".join(part for part in self.parts if isinstance(part, str))
        return None


class Name(Node, frozen=True):
    """A bare name: a local value, a constant, or something that the file declares."""

    name: str


class RowField(Node, frozen=True):
    """`.field` of the row that a query, trigger, meter or update is looking at."""

    name: str


class Field(Node, frozen=True):
    """`base.name`, or `base?.name` which is none where the base is."""

    base: Expr
    name: str
    optional: bool
    name_span: Span


class Index(Node, frozen=True):
    """`list[i]` or `map["key"]`."""

    base: Expr
    index: Expr


class Call(Node, frozen=True):
    """`f(a, b)`; the callee is a Name or a dotted Field."""

    callee: Expr
    args: tuple[Expr, ...]


class ListLiteral(Node, frozen=True):
    """`[a, b]`."""

    items: tuple[Expr, ...]


class Entry(Node, frozen=True):
    """`name: value` of a map. Short `{ customer }` has a Name as its value and `short` set."""

    name: str
    value: Expr
    name_span: Span
    short: bool = False


class Spread(Node, frozen=True):
    """`...value` in a map."""

    value: Expr


class MapLiteral(Node, frozen=True):
    """`{ name: value, ...other }`."""

    entries: tuple[Entry | Spread, ...]


class Unary(Node, frozen=True):
    """`-x` (op "-") or `not x` (op "not")."""

    op: str
    operand: Expr


class Binary(Node, frozen=True):
    """op: + - * / .. ?? == != < <= > >= in "not in" can and or of reaches "drops below"."""

    op: str
    left: Expr
    right: Expr
    op_span: Span


class IfExpr(Node, frozen=True):
    """`if c then a else b`."""

    condition: Expr
    then: Expr
    otherwise: Expr


class MatchArm(Node, frozen=True):
    """`"a", "b" => value`; an arm of a statement has a body of statements instead."""

    patterns: tuple[Expr, ...]
    value: Expr


class MatchExpr(Node, frozen=True):
    """`match p { "high" => 4 hours, else => 8 hours }`."""

    subject: Expr
    arms: tuple[MatchArm, ...]
    otherwise: Expr | None


class Order(Node, frozen=True):
    """One key of `order by`."""

    value: Expr
    descending: bool


class Query(Node, frozen=True):
    """`Entity where … order by … limit n`, also of `Entity.field` or a list; any part may lack."""

    source: Expr
    where: Expr | None
    order: tuple[Order, ...]
    limit: Expr | None


class First(Node, frozen=True):
    """`first Account where …`: the first row or none. The query is a Query or a bare source."""

    query: Expr


class Group(Node, frozen=True):
    """`group Usage where … by .type sum .quantity order by … limit n`; `.user.team` is a field of a
    row that a row refers to, and the column `team`."""

    source: Expr
    where: Expr | None
    by: tuple[RowField | Field, ...]
    aggregate: str
    field: RowField | Field | None
    order: tuple[Order, ...]
    limit: Expr | None


class Comprehension(Node, frozen=True):
    """`[for p in products: value]`."""

    variable: str
    source: Expr
    value: Expr


class Boundary(Node, frozen=True):
    """`start of month`, `end of month`: edge is start or end, unit day week month quarter year."""

    edge: str
    unit: str


class Bad(Node, frozen=True):
    """Where something could not be read; the parser has reported it, the checker is silent."""


Expr = (
    Literal
    | Text
    | Name
    | RowField
    | Field
    | Index
    | Call
    | ListLiteral
    | MapLiteral
    | Unary
    | Binary
    | IfExpr
    | MatchExpr
    | Query
    | First
    | Group
    | Comprehension
    | Boundary
    | Bad
)

# --- statements ----------------------------------------------------------------------------


class EventPattern(Node, frozen=True):
    """`A.b or C.d as e where condition`. Types may have `*` (`Invoice.*`, `*.created`, `*`).

    `fields` are the payload's names in `on Customer.subscribes(customer, plan)`.
    """

    types: tuple[tuple[str, Span], ...]
    name: str | None = None
    fields: tuple[tuple[str, Span], ...] = ()
    where: Expr | None = None


class Action(Node, frozen=True):
    """`action.name "path" { fields }` as a statement or after `let x =`.

    `target` is the text between name and braces (`shippo.post "/path" { … }`).
    """

    name: str
    name_span: Span
    target: Expr | None
    data: MapLiteral


class Let(Node, frozen=True):
    """`let x = expression`, `let x = action { … }`, `let x = create E { … }`."""

    name: str
    name_span: Span
    value: Expr | Action | Create | Upsert


class Create(Node, frozen=True):
    """`create E { … }`."""

    entity: str
    entity_span: Span
    data: MapLiteral


class Upsert(Node, frozen=True):
    """`upsert E { … }`, by its key or a unique field."""

    entity: str
    entity_span: Span
    data: MapLiteral


class Update(Node, frozen=True):
    """`update x { field: .field + 10 }`."""

    target: Expr
    data: MapLiteral


class Delete(Node, frozen=True):
    """`delete x`."""

    target: Expr


class AddTo(Node, frozen=True):
    """`add u to org.members`."""

    item: Expr
    collection: Expr


class RemoveFrom(Node, frozen=True):
    """`remove u from org.members`."""

    item: Expr
    collection: Expr


class Emit(Node, frozen=True):
    """`emit Noun.verb { … }`; `at`, `id` and `corrects` in tests only."""

    event: str
    event_span: Span
    data: MapLiteral | None
    at: Expr | None = None
    id: Expr | None = None
    corrects: Expr | None = None


class Do(Node, frozen=True):
    """An action as a statement."""

    action: Action


class After(Node, frozen=True):
    """`after 7 days unless E as e where … { … }`."""

    delay: Expr
    unless: EventPattern | None
    body: tuple[Stmt, ...]


class At(Node, frozen=True):
    """`at some_time unless … { … }`."""

    time: Expr
    unless: EventPattern | None
    body: tuple[Stmt, ...]


class WaitFor(Node, frozen=True):
    """`wait for A or B as r where … within 30 days`."""

    pattern: EventPattern
    within: Expr | None


class ForEach(Node, frozen=True):
    """`for each x in source { … }`."""

    variable: str
    source: Expr
    body: tuple[Stmt, ...]


class If(Node, frozen=True):
    """`if … { } else if … { } else { }`; an `else if` is an If alone in `otherwise`."""

    condition: Expr
    then: tuple[Stmt, ...]
    otherwise: tuple[Stmt, ...]


class MatchCase(Node, frozen=True):
    """`"a", "b" => { … }`."""

    patterns: tuple[Expr, ...]
    body: tuple[Stmt, ...]


class Match(Node, frozen=True):
    """`match x { … else => { … } }`; `otherwise` is None where there is no else."""

    subject: Expr
    cases: tuple[MatchCase, ...]
    otherwise: tuple[Stmt, ...] | None


class Return(Node, frozen=True):
    """`return value`, `return`."""

    value: Expr | None


class Reject(Node, frozen=True):
    """`reject "message"`."""

    message: Expr


class Record(Node, frozen=True):
    """`record metric value`."""

    metric: str
    metric_span: Span
    value: Expr


class Log(Node, frozen=True):
    """`log "…"`."""

    message: Expr


class AcrossTenants(Node, frozen=True):
    """`across tenants { … }` lifts the tenant filter for its body."""

    body: tuple[Stmt, ...]


# --- statements of tests alone ---------------------------------------------------------------


class SetClock(Node, frozen=True):
    """`at INSTANT` (alone on its line)."""

    time: Expr


class Advance(Node, frozen=True):
    """`advance 11 days` (to False) or `advance to INSTANT` (to True)."""

    value: Expr
    to: bool


class ExpectEffect(Node, frozen=True):
    """`expect [no | N] <kind> [text] { fields }`.

    kind: email charge refund transfer invoice reply, "event" (then `event` is its type), or an
    action's dotted name. `count` None: at least one; 0 for `no`. A bare name that may as well be
    an expression parses as ExpectTrue only where it is no single dotted name.
    """

    count: int | None
    kind: str
    kind_span: Span
    event: str | None
    target: Expr | None
    data: MapLiteral | None


class ExpectTrue(Node, frozen=True):
    """`expect expression`."""

    value: Expr


class ExpectRejected(Node, frozen=True):
    """`expect rejected "message"`; the message may be left out."""

    message: Expr | None


class Payments(Node, frozen=True):
    """`payments succeed`, `payments fail with "card_declined"` (error set)."""

    succeed: bool
    error: Expr | None


class Answer(Node, frozen=True):
    """`answer shippo.post "/shipments" with { … }`."""

    name: str
    name_span: Span
    target: Expr | None
    value: Expr


class CallApi(Node, frozen=True):
    """`call GET "/usage" { … } as Account("a1")`."""

    method: str
    path: Expr
    data: MapLiteral | None
    caller: Expr | None


Stmt = (
    Let
    | Create
    | Upsert
    | Update
    | Delete
    | AddTo
    | RemoveFrom
    | Emit
    | Do
    | After
    | At
    | WaitFor
    | ForEach
    | If
    | Match
    | Return
    | Reject
    | Record
    | Log
    | AcrossTenants
    | SetClock
    | Advance
    | ExpectEffect
    | ExpectTrue
    | ExpectRejected
    | Payments
    | Answer
    | CallApi
    | Bad
)

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
    """A field of an entity, event, type or api: `name T key unique = default`."""

    name: str
    name_span: Span
    type: TypeExpr
    key: bool = False
    unique: bool = False
    default: Expr | None = None
    doc: str | None = None


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

    model: "unit" (rate), "graduated" | "volume" | "stairstep" (tiers), "package" (rate is the
    price of each started package of `package` units), "dimension" (cases, over `dimensions`).
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


class Includes(Node, frozen=True):
    """`includes 100_000 api_calls [prorated]`."""

    quantity: Expr
    meter: str
    meter_span: Span
    prorated: bool


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


class Tax(Declaration, frozen=True):
    """`tax t { 8% exclusive when … }`, or `provider stripe` (provider set, rate None)."""

    name: str
    name_span: Span
    rate: Expr | None
    inclusive: bool
    when: Expr | None
    provider: str | None


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
