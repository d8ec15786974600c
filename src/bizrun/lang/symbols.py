"""What a checked spec declares, and what each name and expression in it turned out to be."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import Struct, field

from ..diagnostics import Diagnostic, Source
from . import ast
from .builtins import BUILTINS
from .std import in_std
from .types import ANY, AnyType, EntityType, Record, Type


class FieldInfo(Struct, frozen=True):
    """A field of an entity, payload or shape."""

    name: str
    type: Type
    default: ast.Expr | None = None
    unique: bool = False
    decl: ast.FieldDecl | None = None


class EntityInfo(Struct):
    """An entity with its extensions; `fields` in order, the key and created_at, updated_at too.

    `builtin` where the prelude declares it.
    """

    name: str
    key: str
    fields: dict[str, FieldInfo]
    indexes: tuple[tuple[str, ...], ...] = ()
    generated_key: bool = False
    builtin: bool = False
    decl: ast.Entity | None = None

    @property
    def uniques(self) -> tuple[str, ...]:
        """The names of the unique fields, the key not among them."""
        return tuple(f.name for f in self.fields.values() if f.unique and f.name != self.key)


class Collection(Struct, frozen=True):
    """What belongs to a row of billing, read as a field of it: the rows of `entity` whose field
    `by` refers to it, in the order of another."""

    entity: str
    by: str
    order: str


COLLECTIONS: Mapping[tuple[str, str], Collection] = {
    ("Invoice", "lines"): Collection("InvoiceLine", "invoice", "position"),
}


class EventInfo(Struct):
    """An event's payload. `declared` False where it is only handled or emitted.

    `origin`: "author", "billing" (the prelude), "change" (Entity.created, Entity.field_changed),
    "trigger", "directory" and "sign_in" (what those declare), or "outcome" (of an effect).
    """

    name: str
    payload: Record
    key: str | None = None
    declared: bool = True
    origin: str = "author"
    defaults: dict[str, ast.Expr] = field(default_factory=dict)
    decl: ast.EventDecl | None = None


class Ref(Struct, frozen=True):
    """What a Name stands for.

    kind: local (a value of the handler), const, fn, param, entity, plan, addon, coupon, meter,
    limit, experiment, role, template, connection, builtin (now, today, self, event, customer of
    an api …), word (a bare word that an action's field takes).
    """

    kind: str
    name: str


class ActionField(Struct, frozen=True):
    """A field of an action; `required` unless it may be left out, `many`: one or a list."""

    name: str
    type: Type
    required: bool = False
    doc: str = ""
    many: bool = False


class ActionSignature(Struct, frozen=True):
    """What the checker, hover and docs know of an action.

    `open` takes any other field too (`http`, `stripe.…`); `target` says whether a text may stand
    between name and braces; `result` is what `let x = action` gives, and `waits` whether the
    handler is suspended until it is there; `one_of` lists sets of fields of which exactly one
    must be given; `places` are what a call is about: the first may stand before the braces.
    """

    name: str
    fields: tuple[ActionField, ...]
    result: Type
    doc: str
    open: bool = False
    target: bool = False
    waits: bool = False
    one_of: tuple[tuple[str, ...], ...] = ()
    places: tuple[str, ...] = ()

    def field(self, name: str) -> ActionField | None:
        """The field of that name."""
        return next((f for f in self.fields if f.name == name), None)


class NoMethod(Struct, frozen=True):
    """A name under a provider that stands for nothing: what is wrong in it, and what there is."""

    name: str
    part: str
    known: tuple[str, ...]


OpenAction = Callable[[str, "Symbols"], ActionSignature | NoMethod | None]


class Symbols(Struct):
    """All that a spec declares, the prelude and its modules included, by name."""

    business: ast.Business | None = None
    currency: str = "USD"
    timezone: str = "UTC"
    bills: str | None = None
    tenant: str | None = None
    entities: dict[str, EntityInfo] = field(default_factory=dict)
    shapes: dict[str, Record] = field(default_factory=dict)
    # The fields of a shape that may be left out, with their defaults; None is `none`.
    shape_defaults: dict[str, dict[str, ast.Expr | None]] = field(default_factory=dict)
    events: dict[str, EventInfo] = field(default_factory=dict)
    plans: dict[str, ast.Plan] = field(default_factory=dict)
    addons: dict[str, ast.Addon] = field(default_factory=dict)
    limits: dict[str, Type] = field(default_factory=dict)
    meters: dict[str, ast.Meter] = field(default_factory=dict)
    coupons: dict[str, ast.Coupon] = field(default_factory=dict)
    taxes: dict[str, ast.Tax] = field(default_factory=dict)
    dunnings: dict[str, ast.Dunning] = field(default_factory=dict)
    lifecycles: dict[tuple[str, str], ast.Lifecycle] = field(default_factory=dict)
    triggers: dict[str, ast.Trigger] = field(default_factory=dict)
    handlers: list[ast.On] = field(default_factory=list)
    schedules: list[ast.Every] = field(default_factory=list)
    fns: dict[str, ast.Fn] = field(default_factory=dict)
    consts: dict[str, ast.Const] = field(default_factory=dict)
    templates: dict[str, ast.Template] = field(default_factory=dict)
    metrics: dict[str, ast.Metric] = field(default_factory=dict)
    apis: list[ast.Api] = field(default_factory=list)
    roles: dict[str, ast.Role] = field(default_factory=dict)
    experiments: dict[str, ast.Experiment] = field(default_factory=dict)
    connections: dict[str, ast.Connect] = field(default_factory=dict)
    directories: dict[str, ast.Directory] = field(default_factory=dict)
    sign_ins: dict[str, ast.SignIn] = field(default_factory=dict)
    tests: list[ast.Test] = field(default_factory=list)
    fn_types: dict[str, tuple[tuple[Type, ...], Type]] = field(default_factory=dict)
    const_types: dict[str, Type] = field(default_factory=dict)
    metric_types: dict[str, Type] = field(default_factory=dict)

    def collection(self, entity: str, name: str) -> Collection | None:
        """What `entity.name` collects, where no field of the entity has that name."""
        info = self.entities.get(entity)
        return None if info is None or name in info.fields else COLLECTIONS.get((entity, name))

    def fn_called(self, callee: ast.Name) -> ast.Fn | None:
        """The function that a call names: not the author's where a module means a built-in one."""
        built_in = callee.name in BUILTINS and in_std(callee.span.file)
        return None if built_in else self.fns.get(callee.name)

    def customer_type(self) -> Type:
        """The entity that plans, invoices and payments belong to; anything where none is named."""
        return EntityType(self.bills) if self.bills else ANY


class Taken(Struct, frozen=True):
    """What a used file is given: its stand-in, and what the spec's own one is called."""

    use: ast.Use
    given: ast.Declaration
    name: str


class Replaced(Struct, frozen=True):
    """A used file's declaration, and the one that overrides it."""

    old: ast.Declaration
    new: ast.Declaration


class Loaded(Struct):
    """The files of a spec, the prelude first, then modules in the order of use, then itself.

    `given`, `for` and `override` are settled (see `uses`): the declarations are plain ones, and
    what overrides stands in the file of what it replaces. `used_by` has each file's
    `use`s. `template_files` are the texts of templates/NAME.md beside the
    spec, by NAME.
    """

    path: str
    files: tuple[ast.File, ...]
    sources: Mapping[str, Source]
    diagnostics: tuple[Diagnostic, ...]
    template_files: Mapping[str, Source] = field(default_factory=dict)
    taken: tuple[Taken, ...] = ()
    replaced: tuple[Replaced, ...] = ()
    used_by: Mapping[str, tuple[ast.Use, ...]] = field(default_factory=dict)


class Checked(Struct):
    """A checked spec: the tree as it was parsed, and side tables keyed by its nodes.

    `types` has the type of every expression, `names` what each Name stands for, `row_types` the
    row type that a query's, trigger's or meter's `.field` reads, by the node that binds it
    (Query, Group, Trigger, Meter, Update), `actions` the signature of each Action node,
    `bindings` the payload type of each EventPattern that names its event, `shapes` the shape that
    a map is written as, `row_names` what the list around a query calls its row, `sheets` the calls
    of `pdf` that name a template. `midnights` are the dates that stand where an instant is wanted:
    each is the local midnight that it begins with.
    """

    loaded: Loaded
    symbols: Symbols
    types: dict[ast.Node, Type]
    names: dict[ast.Node, Ref]
    row_types: dict[ast.Node, Type]
    actions: dict[ast.Node, ActionSignature]
    bindings: dict[ast.Node, Record]
    diagnostics: tuple[Diagnostic, ...]
    shapes: dict[ast.Node, str] = field(default_factory=dict)
    row_names: dict[ast.Node, str] = field(default_factory=dict)
    midnights: set[ast.Node] = field(default_factory=set)
    sheets: dict[ast.Call, None] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether nothing but warnings was found."""
        return all(d.severity == "warning" for d in self.diagnostics)

    def type_of(self, node: ast.Node) -> Type:
        """The type of an expression."""
        return self.types.get(node, AnyType())
