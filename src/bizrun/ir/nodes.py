"""The spec as data: small, resolved, hashable; what is stored for work that waits.

Expressions are typed enough that no evaluator needs the checker. A handler is cut at its waits
into segments: straight code that ends or hands over to other segments by their number.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Node(msgspec.Struct, frozen=True):
    """What the spec is made of here. A struct, since fifty dataclasses take 30 ms to define."""


# --- expressions -----------------------------------------------------------------------------


class Const(Node, frozen=True):
    """A value; `type` is set where printing needs it (size)."""

    value: Any


class Local(Node, frozen=True):
    """A value of the handler, a parameter, or the row of a query."""

    name: str


class Global(Node, frozen=True):
    """A constant of the spec."""

    name: str


class Special(Node, frozen=True):
    """now, today, event, caller: what the engine knows."""

    name: str


class Get(Node, frozen=True):
    """A field of a map or row; `optional`: none where the base is none; `loose`: none where the
    field is not there (untyped data)."""

    base: Expr
    name: str
    optional: bool = False
    loose: bool = False


class EntityGet(Node, frozen=True):
    """A field read through a reference: the row is looked up when the line runs."""

    entity: str
    base: Expr
    name: str
    optional: bool = False


class PlanGet(Node, frozen=True):
    """A field of a plan by its name: name title price interval features trial limits."""

    base: Expr
    name: str
    optional: bool = False


class Find(Node, frozen=True):
    """`Entity(key)`: the key itself where a row has it (or a unique field), else none."""

    entity: str
    key: Expr


class Item(Node, frozen=True):
    """`base[index]`."""

    base: Expr
    index: Expr


class CallFn(Node, frozen=True):
    """A function of the spec."""

    name: str
    args: tuple[Expr, ...]


class Builtin(Node, frozen=True):
    """A built-in function."""

    name: str
    args: tuple[Expr, ...]


class ListExpr(Node, frozen=True):
    """A list."""

    items: tuple[Expr, ...]


class Pair(Node, frozen=True):
    """An entry of a map."""

    name: str
    value: Expr


class SpreadExpr(Node, frozen=True):
    """`...value`: the named fields of a map, or all of them where `names` is None; of an entity
    where `entity` is set."""

    value: Expr
    names: tuple[str, ...] | None
    entity: str | None = None


class MapExpr(Node, frozen=True):
    """A map; later entries win."""

    entries: tuple[Pair | SpreadExpr, ...]


class UnaryExpr(Node, frozen=True):
    """op: `-` or `not`."""

    op: str
    operand: Expr


class BinaryExpr(Node, frozen=True):
    """op: + - * / .. ?? == != < <= > >= in "not in" can and or of.

    `mode` is "native" where the operands' own operators do it, "time" where the left or right is
    a time or date, "number" for products and quotients of numbers, "any" where types show late.
    """

    op: str
    left: Expr
    right: Expr
    mode: str = "native"


class IfElse(Node, frozen=True):
    """`if c then a else b`."""

    condition: Expr
    then: Expr
    otherwise: Expr


class MatchValue(Node, frozen=True):
    """`match`: the first arm with an equal pattern, else `otherwise`; refused without."""

    subject: Expr
    arms: tuple[tuple[tuple[Expr, ...], Expr], ...]
    otherwise: Expr | None


class Query(Node, frozen=True):
    """Rows of an entity (`source` None) or items of a list, as keys or, with `select`, values.

    `var` names the row (a map) or item inside `where`, `order` and `select`. `equals` and `ranges`
    are the part of the condition that a store can answer alone; `where` the rest.
    """

    entity: str | None
    source: Expr | None
    var: str
    equals: tuple[tuple[str, Expr], ...] = ()
    ranges: tuple[tuple[str, str, Expr], ...] = ()
    where: Expr | None = None
    order: tuple[tuple[Expr, bool], ...] = ()
    limit: Expr | None = None
    select: Expr | None = None


class FirstOf(Node, frozen=True):
    """The first of a query, or none."""

    query: Query


class Aggregate(Node, frozen=True):
    """count sum avg min max over a query; `zero` is the sum of nothing."""

    op: str
    query: Query
    zero: Expr


class GroupBy(Node, frozen=True):
    """Rows with the grouped fields and the aggregate, ordered and limited."""

    query: Query
    by: tuple[tuple[str, Expr], ...]
    op: str
    field: str | None
    value: Expr | None
    zero: Expr
    order_var: str
    order: tuple[tuple[Expr, bool], ...]
    limit: Expr | None


class ListFor(Node, frozen=True):
    """`[for p in source: value]`."""

    variable: str
    source: Expr
    value: Expr


class Edge(Node, frozen=True):
    """`start of month`, `end of month` as an instant."""

    edge: str
    unit: str


class Piece(Node, frozen=True):
    """An interpolated value of a text: its format and, where printing needs it, its type."""

    value: Expr
    format: str | None
    type: str | None


class TextExpr(Node, frozen=True):
    """A text with values in it."""

    parts: tuple[str | Piece, ...]


Expr = (
    Const | Local | Global | Special | Get | EntityGet | PlanGet | Find | Item | CallFn | Builtin
    | ListExpr | MapExpr | UnaryExpr | BinaryExpr | IfElse | MatchValue | Query | FirstOf
    | Aggregate | GroupBy | ListFor | Edge | TextExpr
)  # fmt: skip

# --- statements ------------------------------------------------------------------------------


class Place(Node, frozen=True):
    """Where a statement stands: file, line, column. Not part of a hash."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class LetStep(Node, frozen=True):
    """Names a value."""

    place: Place
    name: str
    value: Expr


class CreateStep(Node, frozen=True):
    """A new row; `name` is bound to its key. `upsert` updates the row of the same key."""

    place: Place
    entity: str
    data: MapExpr
    name: str | None
    upsert: bool
    site: int


class UpdateStep(Node, frozen=True):
    """Changes fields of a row; `var` is the old row inside `data`."""

    place: Place
    entity: str
    target: Expr
    data: MapExpr
    var: str


class DeleteStep(Node, frozen=True):
    """Removes a row."""

    place: Place
    entity: str
    target: Expr


class MemberStep(Node, frozen=True):
    """`add item to target.field`, or removes it."""

    place: Place
    entity: str
    target: Expr
    field: str
    item: Expr
    remove: bool


class EmitStep(Node, frozen=True):
    """A new event."""

    place: Place
    event: str
    data: Expr
    site: int


class ActStep(Node, frozen=True):
    """An action that the handler does not wait for; its immediate result is bound to `name`."""

    place: Place
    action: str
    target: Expr | None
    data: MapExpr
    name: str | None
    site: int


class TimerStep(Node, frozen=True):
    """`after`/`at`: runs a segment later. `when` gives a duration or an instant."""

    place: Place
    when: Expr
    segment: int
    unless: Pattern | None
    site: int


class IfStep(Node, frozen=True):
    """Branches; either may end in a hand-over."""

    place: Place
    condition: Expr
    then: tuple[Step, ...]
    otherwise: tuple[Step, ...]


class MatchStep(Node, frozen=True):
    """Branches by equal values."""

    place: Place
    subject: Expr
    cases: tuple[tuple[tuple[Expr, ...], tuple[Step, ...]], ...]
    otherwise: tuple[Step, ...]


class ReturnStep(Node, frozen=True):
    """Ends the handler with a reply."""

    place: Place
    value: Expr | None


class RejectStep(Node, frozen=True):
    """Refuses the event."""

    place: Place
    message: Expr


class RecordStep(Node, frozen=True):
    """A point of a metric."""

    place: Place
    metric: str
    value: Expr


class LogStep(Node, frozen=True):
    """A line in the run's log."""

    place: Place
    message: Expr


class AcrossStep(Node, frozen=True):
    """From here on every tenant's rows are seen (`lifted`), or the event's own tenant's again."""

    place: Place
    lifted: bool


class GotoStep(Node, frozen=True):
    """Goes on in another segment, at once."""

    place: Place
    segment: int


class AwaitAction(Node, frozen=True):
    """Performs an action and goes on in `segment` with its result as `name`."""

    place: Place
    action: str
    target: Expr | None
    data: MapExpr
    name: str
    segment: int
    site: int


class AwaitEvent(Node, frozen=True):
    """Goes on in `segment` with the first matching event as `name`, or none when time is up."""

    place: Place
    pattern: Pattern
    within: Expr | None
    name: str | None
    segment: int
    site: int


class LoopStep(Node, frozen=True):
    """Runs a segment for each item, each by itself, then goes on in `after`."""

    place: Place
    source: Expr
    variable: str
    body: int
    after: int | None
    site: int


Step = (
    LetStep | CreateStep | UpdateStep | DeleteStep | MemberStep | EmitStep | ActStep | TimerStep
    | IfStep | MatchStep | ReturnStep | RejectStep | RecordStep | LogStep | AcrossStep | GotoStep
    | AwaitAction | AwaitEvent | LoopStep
)  # fmt: skip

# --- handlers and what stands beside them ------------------------------------------------------


class Pattern(Node, frozen=True):
    """Which events: types (with `*`), the payload's name, and a condition over it.

    `match_field` and `match_value` are an equality taken out of the condition by which a waiting
    row is found: the event's field, and a value that is known when the wait begins.
    """

    types: tuple[str, ...]
    name: str | None
    where: Expr | None
    match_field: str | None = None
    match_value: Expr | None = None


class Segment(Node, frozen=True):
    """Straight code; `live` are the values that it needs, by name."""

    live: tuple[str, ...]
    steps: tuple[Step, ...]


class Handler(Node, frozen=True):
    """kind: on, every, api, fn. `id` is stable under edits of other handlers; `names` are the
    payload's fields by the names that the pattern gives them."""

    id: str
    kind: str
    place: Place
    segments: tuple[Segment, ...]
    pattern: Pattern | None = None
    names: tuple[str, ...] = ()


class Function(Node, frozen=True):
    """A pure function: an expression, or steps that return."""

    name: str
    params: tuple[str, ...]
    steps: tuple[Step, ...]
    place: Place


class Unit(Node, frozen=True):
    """A handler with all that it reaches: what is stored for work that waits, under its hash."""

    handler: Handler
    functions: tuple[Function, ...]
    constants: tuple[tuple[str, Expr], ...]
