"""What a bare name or a text stands for: a local value, or what the spec declares."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Iterable, Mapping
from typing import cast

from ...diagnostics import Fix, Label
from .. import ast
from ..foreign import ENTITIES
from ..symbols import Ref
from ..types import (
    ANY,
    BOOL,
    COUPON,
    LIMIT,
    METER,
    PLAN,
    PRIMITIVES,
    TEXT,
    Choice,
    EntityType,
    ListOf,
    Maybe,
    Prim,
    Record,
    Type,
    known,
    type_named,
)
from .context import Checker, listed, nearest
from .fit import fits, untyped
from .scope import Scope
from .symbols import type_of

# The kinds that a type asks for by name, with the code of an unknown one.
_KINDS: dict[Prim, tuple[str, str]] = {
    PLAN: ("plan", "E0207"),
    COUPON: ("coupon", "E0208"),
    METER: ("meter", "E0209"),
    LIMIT: ("limit", "E0210"),
}


def declared_names(c: Checker, wanted: Prim) -> ChainMap[str, object]:
    """What may be named where a plan (or add-on), coupon, meter or limit is wanted."""
    symbols = c.symbols
    tables: dict[str, tuple[Mapping[str, object], ...]] = {
        "plan": (symbols.plans, symbols.addons),
        "coupon": (symbols.coupons,),
        "meter": (symbols.meters,),
        "limit": (symbols.limits,),
    }
    return ChainMap(*(cast("dict[str, object]", table) for table in tables[wanted.name]))


def infer_name(
    c: Checker, node: ast.Name, scope: Scope, want: Type, const: Callable[[str], Type]
) -> Type:
    """The type of a bare name; `const` types a constant when it is first asked for."""
    name, wanted = node.name, known(want)
    local = scope.find(name)
    named = isinstance(wanted, Prim) and wanted in _KINDS and name in declared_names(c, wanted)
    if local is not None and not (named and not fits(known(local.type), wanted)):
        local.used = True
        c.checked.names[node] = Ref(local.kind, name)
        if named and isinstance(wanted, Prim) and untyped(known(local.type)):
            labels = (Label(local.span, "this one"),) if local.span else ()
            text = f"`{name}` is the handler's own value here, not the {_KINDS[wanted][0]} `{name}`"
            c.report.add("W0203", node.span, text, "choose another name for one of them",
                         labels=labels)  # fmt: skip
        if local.currency:
            c.currencies[node] = local.currency
        if local.length:
            c.lengths[node] = local.length
        narrowed = isinstance(local.type, Maybe) and scope.holds(name)
        return known(local.type) if narrowed else local.type
    if named:
        assert isinstance(wanted, Prim)
        kind = _KINDS[wanted][0]
        if kind == "plan" and name not in c.symbols.plans:
            kind = "addon"
        c.checked.names[node] = Ref(kind, name)
        return wanted
    found = _declared(c, name, const)
    if found is None:
        _unknown(c, node, scope, wanted)
        return ANY
    kind, type_ = found
    if isinstance(wanted, Prim) and wanted in _KINDS and type_ in _KINDS:
        # It names something of another kind: `limit(customer, api_calls)` with a meter.
        _unknown(c, node, scope, wanted)
        return ANY
    c.checked.names[node] = Ref(kind, name)
    if kind == "const":
        value = c.symbols.consts[name].value
        for table in (c.currencies, c.lengths):
            if value in table:
                table[node] = table[value]
    return type_


def _declared(c: Checker, name: str, const: Callable[[str], Type]) -> tuple[str, Type] | None:
    """What the spec declares under a name, where nothing else is wanted of it."""
    symbols = c.symbols
    if name in symbols.consts:
        return "const", const(name)
    if name in symbols.entities:
        return "entity", ListOf(EntityType(name))
    if name in symbols.metrics:
        return "metric", _metric(c, symbols.metrics[name])
    tables: tuple[tuple[str, Iterable[str], Type], ...] = (
        ("plan", symbols.plans, PLAN),
        ("addon", symbols.addons, PLAN),
        ("coupon", symbols.coupons, COUPON),
        ("meter", symbols.meters, METER),
        ("limit", symbols.limits, LIMIT),
        ("experiment", symbols.experiments, ANY),
        ("role", symbols.roles, TEXT),
        ("template", symbols.templates, TEXT),
        ("template", c.templates, TEXT),
        ("connection", symbols.connections, ANY),
        ("shape", symbols.shapes, ANY),
    )
    return next(((kind, type_) for kind, table, type_ in tables if name in table), None)


def _metric(c: Checker, metric: ast.Metric) -> Type:
    """What a metric's name stands for: its figure now, or the newest point, if there is one."""
    type_ = type_of(c, metric.type) if metric.type else c.symbols.metric_types.get(metric.name, ANY)
    return type_ if metric.value is not None or type_ == ANY else Maybe(type_)


def _unknown(c: Checker, node: ast.Name, scope: Scope, wanted: Type) -> None:
    name = node.name
    if name in c.lost:
        return
    if isinstance(wanted, Prim) and wanted in _KINDS:
        kind, code = _KINDS[wanted]
        known_names = declared_names(c, wanted)
        c.unknown(
            code,
            node.span,
            f"There is no {kind} `{name}`",
            name,
            [*known_names, *scope.names()],
            otherwise=f"known are {listed(known_names)}" if known_names else None,
        )
        return
    if isinstance(wanted, Choice) and name in wanted.values:
        c.report.add(
            "E0311",
            node.span,
            f"`{name}` is a text here and needs quotes",
            f'write `"{name}"`',
            Fix(node.span, f'"{name}"'),
        )
        return
    if name in c.symbols.fns:
        c.checked.names[node] = Ref("fn", name)
        c.report.add(
            "E0226",
            node.span,
            f"`{name}` is a function and has to be called",
            f"write `{name}(…)`",
        )
        return
    _unknown_name(c, node, scope, wanted)


_OTHERS = {
    **dict.fromkeys(("payload", "data", "params"),
                    "what an event tells goes by its name: `on Noun.verb as e`, `e.field`"),
    **dict.fromkeys(("yes", "on", "no", "off"), "a bool is `true` or `false`"),
    **dict.fromkeys(("_", "default", "otherwise", "others"),
                    "what no other case of a `match` names is `else => …`"),
}  # fmt: skip


def _itself(scope: Scope, name: str, bills: str | None) -> str | None:
    """How the row is called that a place is about, where it was called something else."""
    own = scope.find("self")
    if own is not None and isinstance(own.type, EntityType):
        other = name in ("this", "it", "me", "row", "subject")
        return "self" if other or name == own.type.name.lower() else None
    callers = ("customer", "caller", bills.lower() if bills else "customer")
    unnamed = scope.place == "api" and name in callers and nearest(name, scope.names())[0] is None
    return f"api … for {name}" if unnamed else None


_TAKEN = (
    "that an event was taken shows in what it did: `expect 1 email`, `expect count(Order) == 1`"
)


def _sent(action: str) -> str:
    return f"what was sent is expected as `{action} {{ … }}`, `no {action}` or `1 {action}`"


def _unknown_name(c: Checker, node: ast.Name, scope: Scope, wanted: Type) -> None:
    """Reports a name that stands for nothing, once in a declaration: wherever else it stands there
    the same is missing."""
    name = node.name
    if (c.place, name) in c.nameless:
        return
    c.nameless.add((c.place, name))
    if name[:1].isupper() and name[1:2].islower():
        code, kind = "E0204", "entity"
        candidates = [*c.symbols.entities, *c.symbols.shapes, *scope.names()]
    else:
        symbols = c.symbols
        code, kind = "E0201", "name"
        candidates = [*scope.names(), *symbols.consts, *symbols.plans, *symbols.coupons]
        candidates += [*symbols.meters, *symbols.experiments, *symbols.entities]
        candidates += [*symbols.templates, *c.templates]
    if scope.place == "test" and (name in c.signatures or name == "rejected"):
        told = _TAKEN if name == "rejected" else _sent(name)
        c.report.add(code, node.span, f"Unknown name `{name}`", told)
        return
    this = _itself(scope, name, c.symbols.bills)
    if this is not None:
        c.report.add(code, node.span, f"Unknown name `{name}`", f"write `{this}`")
        return
    row = scope.row_type()
    help_ = scope.nameless(name)
    entity = c.entity(row.name) if isinstance(row, EntityType) else None
    if entity and name in ("self", "this", "row", "it"):
        each = f"[for x in {entity.name} where … x …: x]"
        help_ = f"a row's field is `.name`; a list calls the row itself by a name: `{each}`"
    elif entity and name in entity.fields and nearest(name, candidates)[0] is None:
        help_ = f"the row's own field is `.{name}`"
    elif name in c.signatures:
        help_ = _sent(name)
    elif name in _OTHERS:
        help_ = _OTHERS[name]
    elif name in ENTITIES:
        help_ = f"billing calls it `{ENTITIES[name]}`"
    elif isinstance(row, Record) and row.field(name) is not None:
        help_ = f"the event's own field is `.{name}`"
    elif name.isupper() and "_" in name:
        help_ = f'what the environment holds is `env("{name}")`'
    elif wanted == TEXT:
        help_ = f'a text stands in quotes: `"{name}"`'
    elif help_ is None:
        owners = [n for n in scope.names() if has_field(c, scope, n, name)]
        help_ = f"did you mean `{owners[0]}.{name}`?" if len(owners) == 1 else None
    message = f"There is no {kind} `{name}`" if kind == "entity" else f"Unknown name `{name}`"
    # What an entity's name stands for is all its rows: hardly the value that is missing here.
    rows = c.symbols.entities if kind == "name" else ()
    c.unknown(code, node.span, message, name, candidates, otherwise=help_, unsure=rows)


def has_field(c: Checker, scope: Scope, local: str, field: str) -> bool:
    """Whether a name of the scope stands for something with such a field."""
    found = scope.find(local)
    type_ = known(found.type) if found is not None else None
    if isinstance(type_, EntityType):
        entity = c.entity(type_.name)
        return entity is not None and field in entity.fields
    return isinstance(type_, Record) and type_.field(field) is not None


def fits_literal(c: Checker, node: ast.Expr, text: str, wanted: Type) -> bool:
    """Whether a text written in the spec may name what is wanted; reports where it can't."""
    if isinstance(wanted, Choice):
        if text in wanted.values:
            return True
        c.unknown(
            "E0311",
            node.span,
            f'"{text}" is none of the values here',
            text,
            wanted.values,
            form='"{}"',
            otherwise="the values are " + listed(f'"{value}"' for value in wanted.values),
        )
        return False
    if not (isinstance(wanted, Prim) and wanted in _KINDS):
        return True
    kind, code = _KINDS[wanted]
    names = declared_names(c, wanted)
    if text in names or text in c.lost:
        return True
    if not text:
        c.report.add(code, node.span, f"A {kind} has a name", "that there is none is `none`")
        return False
    c.unknown(
        code,
        node.span,
        f"There is no {kind} `{text}`",
        text,
        names,
        form='"{}"',
        otherwise=f"known are {listed(names)}" if names else f"declare it: `{kind} {text} {{ … }}`",
    )
    return False


def text_fits(c: Checker, node: ast.Expr, wanted: Type) -> bool:
    """Whether an expression is no plain text, or one that may name what is wanted."""
    text = node.plain if isinstance(node, ast.Text) else None
    return text is None or fits_literal(c, node, text, wanted)


def schema_type(c: Checker, node: ast.Expr) -> Type | None:
    """The type that a `schema:` describes: a shape's name, types by name in maps and lists."""
    match node:
        case ast.Name(name=name):
            if name in c.symbols.shapes:
                c.checked.names[node] = Ref("shape", name)
                return c.symbols.shapes[name]
            if name in PRIMITIVES:
                c.checked.names[node] = Ref("word", name)
                return PRIMITIVES[name]
            if name in c.symbols.entities:
                c.checked.names[node] = Ref("entity", name)
                return EntityType(name)
        case ast.Text(plain=str(text)):
            return type_named(text) or TEXT
        case ast.ListLiteral(items=(ast.Text(plain=str(text)),)) if type_named(text):
            return ListOf(type_named(text) or TEXT)
        case ast.ListLiteral(items=items) if items and all(
            isinstance(item, ast.Text) and item.plain is not None for item in items
        ):
            return Choice(tuple(i.plain for i in items if isinstance(i, ast.Text) and i.plain))
        case ast.ListLiteral(items=(item,)):
            inner = schema_type(c, item)
            return ListOf(inner) if inner is not None else None
        case ast.Literal(type="bool"):
            return BOOL
    return None
