"""A whole spec as the engine runs it: entities, events, handlers, billing, all resolved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from ..lang.types import EntityType, ListOf, Record, Type, known
from . import nodes as ir

if TYPE_CHECKING:
    from ..billing import catalog
    from ..billing.editions import Edition
    from .identity import Directory, SignIn


class EntityField(Struct, frozen=True):
    """A field of an entity: its type, default, whether it is unique, what it was called before."""

    name: str
    type: Type
    default: ir.Expr | None
    unique: bool
    was: str | None = None

    @property
    def optional(self) -> bool:
        """Whether it may be none."""
        return type(self.type).__name__ in ("Maybe", "AnyType")


# What billing keeps for its own next step. A query that names it is answered; no row that is sent
# or printed has it.
WORKINGS: Mapping[str, frozenset[str]] = {
    "Subscription": frozenset({"billing"}),
    "Invoice": frozenset({"coupons", "draft"}),
    "PaymentDispute": frozenset({"booked"}),
    "Refund": frozenset({"outside"}),
}


class Entity(Struct, frozen=True):
    """A table of the author's."""

    name: str
    key: str
    fields: Mapping[str, EntityField]
    indexes: tuple[tuple[str, ...], ...]
    generated_key: bool
    builtin: bool

    @property
    def renamed(self) -> dict[str, str]:
        """What fields were called before, with what they are called now."""
        return {f.was: f.name for f in self.fields.values() if f.was is not None}

    @property
    def shown(self) -> tuple[str, ...]:
        """The fields that a whole row has outside: in replies, messages and queries."""
        inside = WORKINGS.get(self.name, frozenset()) if self.builtin else frozenset()
        return tuple(name for name in self.fields if name not in inside)

    @property
    def references(self) -> dict[str, str]:
        """The fields that refer to another entity, with its name."""
        return {
            f.name: t.name
            for f in self.fields.values()
            if isinstance(t := known(f.type), EntityType)
        }

    @property
    def found_by(self) -> tuple[tuple[str, ...], ...]:
        """What there is an index for: what was said, and each reference of an author's entity.
        Rows of billing stay, so that nobody has to look for those that refer to one of them."""
        referring = () if self.builtin else tuple((name,) for name in self.references)
        return tuple(dict.fromkeys((*self.indexes, *referring)))

    @property
    def uniques(self) -> tuple[str, ...]:
        """Unique fields beside the key."""
        return tuple(f.name for f in self.fields.values() if f.unique and f.name != self.key)


class EventType(Struct, frozen=True):
    """An event's payload as it is checked on arrival."""

    name: str
    payload: Record
    key: str | None
    defaults: Mapping[str, ir.Expr]
    declared: bool
    origin: str


class Trigger(Struct, frozen=True):
    """A condition over `self`; what it reads tells when to look again.

    `ways` lead from a changed row of an entity to the subjects that may read it: (`of`, a field of
    that row which refers to them) or (`by`, their field which refers to it). One of `entities`
    without any is read in a manner that says nothing: then every subject may.

    `due` are instants (of `self`) at which time alone may turn it; `daily` where that can't be
    said and local midnights are tried.
    """

    event: str
    entity: str
    condition: ir.Expr
    once_per_period: bool
    fields: frozenset[str]
    entities: frozenset[str]
    ways: Mapping[str, frozenset[tuple[str, str]]]
    meters: frozenset[str]
    billing: bool
    due: tuple[ir.Expr, ...]
    daily: bool
    place: ir.Place


class Arrow(Struct, frozen=True):
    """A change that a lifecycle allows: on events, after a time in its source, or by handlers."""

    source: str | None
    target: str
    pattern: ir.Pattern | None
    after: ir.Expr | None
    place: ir.Place


class Lifecycle(Struct, frozen=True):
    """The states of a field and the arrows between them."""

    entity: str
    field: str
    start: str | None
    arrows: tuple[Arrow, ...]

    def allows(self, source: str | None, target: str) -> bool:
        """Whether an arrow leads there."""
        return any(a.target == target and a.source in (None, source) for a in self.arrows)


class Meter(Struct, frozen=True):
    """What is counted: `value` and `where` read the payload as `_event`.

    `figure` says what authors read of it: "number", "money", or "size", in bytes, where billing
    rates it in its `unit`. `once` are dimensions that it had earlier in a state, by which some of
    what it has counted there is kept in parts.
    """

    name: str
    aggregate: str
    field: str | None
    events: tuple[str, ...]
    per: str | None
    by: tuple[str, ...]
    where: ir.Expr | None
    unit: str | None
    figure: str = "number"
    once: tuple[str, ...] = ()

    @property
    def in_parts(self) -> bool:
        """Whether what it counts of one customer and period is kept by values of dimensions."""
        return bool(self.by or self.once)


class Schedule(Struct, frozen=True):
    """When a handler without an event runs; `spec` is how it is written."""

    handler: ir.Handler
    kind: str
    unit: str | None
    interval: Any
    cron: str | None
    on: str | None
    at: Any
    zone: str | None
    catch_up: str


class Metric(Struct, frozen=True):
    """A figure over the state; recorded by its schedule or by `record`."""

    name: str
    type: Type
    value: ir.Expr | None
    every: Any


class Param(Struct, frozen=True):
    """A parameter of an api."""

    name: str
    type: Type
    default: ir.Expr | None


class Api(Struct, frozen=True):
    """A route."""

    method: str
    path: str
    params: tuple[Param, ...]
    caller: str | None
    roles: tuple[str, ...]
    handler: ir.Handler


class Template(Struct, frozen=True):
    """Jinja2 source by part: subject, body and others."""

    name: str
    parts: Mapping[str, str]
    file: str | None


class Bounds(Struct, frozen=True):
    """What no event or account goes beyond before a person has a look (RELIABILITY.md 12)."""

    effects_per_event: int = 100
    chain_of_events: int = 32
    items_per_day: int = 15  # lines of a kind on a subscription's invoices


class Program(Struct):
    """Everything the engine needs to know of a spec."""

    name: str
    path: str
    title: str
    currency: str
    timezone: str
    bills: str | None
    tenant: str | None
    entities: dict[str, Entity] = field(default_factory=dict)
    events: dict[str, EventType] = field(default_factory=dict)
    # The fields of shapes that have a default, by shape.
    shapes: dict[str, dict[str, ir.Expr]] = field(default_factory=dict)
    handlers: list[ir.Handler] = field(default_factory=list)
    schedules: list[Schedule] = field(default_factory=list)
    triggers: list[Trigger] = field(default_factory=list)
    lifecycles: list[Lifecycle] = field(default_factory=list)
    functions: dict[str, ir.Function] = field(default_factory=dict)
    constants: dict[str, ir.Expr] = field(default_factory=dict)
    meters: dict[str, Meter] = field(default_factory=dict)
    metrics: dict[str, Metric] = field(default_factory=dict)
    apis: list[Api] = field(default_factory=list)
    templates: dict[str, Template] = field(default_factory=dict)
    roles: dict[str, tuple[str, ...]] = field(default_factory=dict)
    experiments: dict[str, tuple[tuple[str, ir.Expr], ...]] = field(default_factory=dict)
    plans: dict[str, catalog.Plan] = field(default_factory=dict)
    addons: dict[str, catalog.Plan] = field(default_factory=dict)
    # What plans and add-ons were before they were edited, in the course of a state.
    history: dict[str, tuple[Edition, ...]] = field(default_factory=dict)
    coupons: dict[str, catalog.Coupon] = field(default_factory=dict)
    taxes: dict[str, catalog.Tax] = field(default_factory=dict)
    tax_conditions: dict[str, ir.Expr] = field(default_factory=dict)
    version_conditions: dict[str, ir.Expr] = field(default_factory=dict)
    dunning: catalog.Dunning | None = None
    billing: catalog.BillingSettings | None = None
    bounds: Bounds = Bounds()
    connections: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    directories: dict[str, Directory] = field(default_factory=dict)
    sign_ins: dict[str, SignIn] = field(default_factory=dict)
    about: dict[str, str] = field(default_factory=dict)
    titles: dict[str, dict[str, str]] = field(default_factory=dict)
    # Meters that are asked over any range of time: each of their counts is kept.
    ranged: frozenset[str] = frozenset()
    marketplace: bool = False  # some charge is split or held: transfers are out of what is owed

    def unit(self, handler: ir.Handler) -> ir.Unit:
        """A handler with the functions and constants that it reaches."""
        names, constants = reached(handler, self.functions, self.constants)
        return ir.Unit(
            handler,
            tuple(self.functions[name] for name in sorted(names)),
            tuple((name, self.constants[name]) for name in sorted(constants)),
        )

    @property
    def reference_lists(self) -> dict[str, dict[str, str]]:
        """The list fields of references, by entity."""
        return {
            name: {
                f.name: t.item.name
                for f in entity.fields.values()
                if isinstance(t := known(f.type), ListOf) and isinstance(t.item, EntityType)
            }
            for name, entity in self.entities.items()
        }

    def offers(self) -> Iterator[catalog.Plan]:
        """All plans and add-ons that a subscription can have, those of before an edit too."""
        yield from self.plans.values()
        yield from self.addons.values()
        for older in self.history.values():
            yield from (edition.plan for edition in older)

    def bearing(self) -> frozenset[str]:
        """The entities that bear on an invoice, or tell of one: those of billing, the one that is
        billed, and what it refers to."""
        lists = self.reference_lists
        found: set[str] = set()
        ahead = [e.name for e in self.entities.values() if e.builtin or e.name == self.bills]
        while ahead:
            name = ahead.pop()
            if name not in found:
                found.add(name)
                ahead += [*self.entities[name].references.values(), *lists[name].values()]
        return frozenset(found)


def reached(
    node: Any, functions: Mapping[str, ir.Function], constants: Mapping[str, ir.Expr]
) -> tuple[set[str], set[str]]:
    """The functions and constants that a node calls and reads, and those that they do."""
    found: tuple[set[str], set[str]] = (set(), set())
    _reach(node, functions, constants, found)
    return found


def _reach(
    node: Any,
    functions: Mapping[str, ir.Function],
    constants: Mapping[str, ir.Expr],
    found: tuple[set[str], set[str]],
) -> None:
    match node:
        case tuple():
            for item in node:
                _reach(item, functions, constants, found)
            return
        case ir.CallFn(name=name) if name in functions and name not in found[0]:
            found[0].add(name)
            _reach(functions[name], functions, constants, found)
        case ir.Global(name=name) if name in constants and name not in found[1]:
            found[1].add(name)
            _reach(constants[name], functions, constants, found)
    for name in getattr(node, "__struct_fields__", ()):
        if name != "place":
            _reach(getattr(node, name), functions, constants, found)
