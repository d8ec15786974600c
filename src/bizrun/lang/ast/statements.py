"""Statements of handlers, and those of tests alone."""

from __future__ import annotations

from ...diagnostics import Span
from .expressions import Bad, Expr, MapLiteral, Node


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
