"""Collects what the files of a spec declare: every name once, every type resolved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec.structs import replace

from ...diagnostics import Fix, Label
from .. import ast
from ..foreign import TYPES
from ..symbols import EntityInfo, EventInfo, FieldInfo, Loaded, Symbols
from ..types import (
    ANY,
    DURATION,
    NUMBER,
    PRIMITIVES,
    SIZE,
    TEXT,
    TIME,
    UNLIMITED,
    AnyType,
    Choice,
    EntityType,
    ListOf,
    MapOf,
    Prim,
    Record,
    Type,
    known,
    maybe,
    type_text,
)
from ..uses import OVERRIDABLE, file_name
from .context import Checker, listed
from .directories import events
from .events import snake
from .meters import figure_type


def collect(checker: Checker) -> None:
    """Fills the symbols of a check from its files, the prelude first."""
    loaded = checker.checked.loaded
    _business(checker, loaded)
    for file in loaded.files:
        for declaration in file.declarations:
            _declare(checker, declaration)
    _shapes(checker, loaded)
    _entities(checker, loaded)
    _events(checker, loaded)
    _directories(checker)
    _triggers(checker)
    _fns(checker)
    _limits(checker)
    _customer(checker)


def _business(checker: Checker, loaded: Loaded) -> None:
    symbols = checker.symbols
    for file in loaded.files:
        for declaration in file.declarations:
            if not isinstance(declaration, ast.Business):
                continue
            if symbols.business is not None:
                checker.report.add(
                    "E0218",
                    declaration.span,
                    "A spec is one business: there is a second business block",
                    "keep one of them",
                    labels=(Label(symbols.business.span, "the first one"),),
                )
                continue
            symbols.business = declaration
            for setting in declaration.settings:
                _setting(symbols, setting)


def _setting(symbols: Symbols, setting: ast.Setting) -> None:
    word = setting.words[0].strip('"') if setting.words else ""
    if isinstance(setting.value, ast.Text):
        word = setting.value.plain or word
    match setting.key:
        case "currency" if word:
            symbols.currency = word
        case "timezone" if word:
            symbols.timezone = word
        case "bills" if word:
            symbols.bills = word
        case "tenant" if word:
            symbols.tenant = word


def _customer(checker: Checker) -> None:
    """Settings name entities: `bills Account`, `tenant Organization`."""
    symbols = checker.symbols
    for setting in symbols.business.settings if symbols.business else ():
        name = {"bills": symbols.bills, "tenant": symbols.tenant}.get(setting.key)
        if name is not None and name not in symbols.entities:
            checker.unknown(
                "E0204",
                setting.value.span if setting.value else setting.span,
                f"There is no entity `{name}`",
                name,
                symbols.entities,
                otherwise=f"declare it: `entity {name} {{ … }}`",
            )
    if symbols.bills is not None and symbols.bills not in symbols.entities:
        symbols.bills = None
    if symbols.tenant is not None and symbols.tenant not in symbols.entities:
        symbols.tenant = None


def _declare(checker: Checker, declaration: ast.Declaration) -> None:
    """Takes up what has one name and no fields to resolve."""
    symbols = checker.symbols
    tables: dict[type[ast.Declaration], tuple[str, dict[str, Any]]] = {
        ast.Plan: ("plan", symbols.plans),
        ast.Addon: ("addon", symbols.addons),
        ast.Meter: ("meter", symbols.meters),
        ast.Coupon: ("coupon", symbols.coupons),
        ast.Tax: ("tax", symbols.taxes),
        ast.Dunning: ("dunning", symbols.dunnings),
        ast.Fn: ("fn", symbols.fns),
        ast.Const: ("const", symbols.consts),
        ast.Template: ("template", symbols.templates),
        ast.Metric: ("metric", symbols.metrics),
        ast.Role: ("role", symbols.roles),
        ast.Experiment: ("experiment", symbols.experiments),
        ast.Connect: ("connect", symbols.connections),
        ast.Directory: ("directory", symbols.directories),
        ast.SignIn: ("sign_in", symbols.sign_ins),
    }
    match declaration:
        case ast.On():
            symbols.handlers.append(declaration)
        case ast.Every():
            symbols.schedules.append(declaration)
        case ast.Api():
            symbols.apis.append(declaration)
        case ast.Test():
            symbols.tests.append(declaration)
        case ast.Trigger(event=name):
            _once(checker, "trigger", symbols.triggers, name, declaration)
        case ast.Lifecycle(entity=entity, field=field):
            key = (entity, field)
            if key in symbols.lifecycles:
                first = symbols.lifecycles[key]
                _again(checker, "lifecycle", f"{entity}.{field}", declaration, first)
            else:
                symbols.lifecycles[key] = declaration
        case _ if type(declaration) in tables:
            kind, table = tables[type(declaration)]
            _once(checker, kind, table, declaration.name, declaration)  # type: ignore[attr-defined]


def _once(checker: Checker, kind: str, table: dict[str, Any], name: str, declaration: Any) -> None:
    if name in table:
        _again(checker, kind, name, declaration, table[name])
    else:
        table[name] = declaration


def _again(checker: Checker, kind: str, name: str, second: Any, first: Any) -> None:
    place = getattr(first, "name_span", first.span)
    builtin = place.file == checker.checked.loaded.files[0].span.file
    own = getattr(second, "name_span", second.span).file
    used = place.file != own and type(first) in OVERRIDABLE
    help_ = f"`{name}` is built in; choose another name" if builtin else "rename or remove one"
    if builtin and kind == "entity":
        help_ = f"`{name}` is built in; add fields to it with `extend entity {name} {{ … }}`"
    elif used:
        theirs = file_name(first)
        help_ = f"write `override {kind} {name}` to replace that of {theirs}, or rename yours"
    checker.report.add(
        "E0218",
        getattr(second, "name_span", second.span),
        f"{kind.capitalize()} `{name}` is declared twice",
        help_,
        labels=() if builtin else (Label(place, "declared here first"),),
    )


def _of(loaded: Loaded, *kinds: type[ast.Declaration]) -> Iterator[Any]:
    for file in loaded.files:
        for declaration in file.declarations:
            if isinstance(declaration, kinds):
                yield declaration


# --- types ------------------------------------------------------------------------------------


def type_of(checker: Checker, written: ast.TypeExpr) -> Type:
    """The type that an author wrote; anything where it names none."""
    match written:
        case ast.TypeName(name=name):
            return _named(checker, written, name)
        case ast.TypeList(item=item):
            return ListOf(type_of(checker, item))
        case ast.TypeMap(value=value):
            return MapOf(type_of(checker, value))
        case ast.TypeUnion(values=values):
            return Choice(tuple(dict.fromkeys(values)))
        case ast.TypeOptional(inner=inner):
            return maybe(type_of(checker, inner))
    return ANY


def _named(checker: Checker, node: ast.TypeName, name: str) -> Type:
    symbols = checker.symbols
    if name in PRIMITIVES:
        return PRIMITIVES[name]
    if name in symbols.entities:
        return EntityType(name)
    if name in symbols.shapes:
        return symbols.shapes[name]
    if name == "Bills" and node.span.file == checker.checked.loaded.files[0].span.file:
        return EntityType(symbols.bills) if symbols.bills in symbols.entities else ANY
    if name not in checker.typing:
        known = [*PRIMITIVES, *symbols.entities, *symbols.shapes]
        meant = TYPES.get(name)
        if meant is not None:
            fix = Fix(node.span, meant, False)
            message, help_ = f"There is no type `{name}`", f"did you mean `{meant}`?"
            checker.report.add("E0205", node.span, message, help_, fix)
            return PRIMITIVES[meant]
        checker.unknown(
            "E0205",
            node.span,
            f"There is no type `{name}`",
            name,
            known,
            otherwise=f"types are {', '.join(PRIMITIVES)}, and entities",
        )
    return ANY


def _shapes(checker: Checker, loaded: Loaded) -> None:
    """Shapes may name each other in any order; the tables of entities must have their names."""
    symbols = checker.symbols
    declared: dict[str, ast.TypeDecl | ast.Entity] = {}
    for declaration in _of(loaded, ast.Entity, ast.TypeDecl):
        name = declaration.name
        if isinstance(declaration, ast.Entity) and declaration.extends:
            continue
        if name in declared:
            kind = "entity" if isinstance(declaration, ast.Entity) else "type"
            _again(checker, kind, name, declaration, declared[name])
            continue
        declared[name] = declaration
        if isinstance(declaration, ast.Entity):
            builtin = declaration.span.file == loaded.files[0].span.file
            symbols.entities[name] = EntityInfo(name, "id", {}, builtin=builtin, decl=declaration)
    waiting = {n: d for n, d in declared.items() if isinstance(d, ast.TypeDecl)}
    for name in list(waiting):
        _shape(checker, name, waiting)


def _shape(checker: Checker, name: str, waiting: Mapping[str, ast.TypeDecl]) -> None:
    if name in checker.symbols.shapes or name in checker.typing:
        return
    checker.typing.append(name)
    declaration = waiting[name]
    for field in declaration.fields:
        for other in _names_in(field.type):
            if other in waiting:
                _shape(checker, other, waiting)
    fields = _fields(checker, f"type `{name}`", declaration.fields)
    checker.symbols.shapes[name] = Record(
        name, tuple((f.name, f.type) for f in fields.values()), open=name in checker.damaged
    )
    checker.symbols.shape_defaults[name] = {
        f.name: f.default
        for f in declaration.fields
        if f.default or isinstance(f.type, ast.TypeOptional)
    }
    checker.typing.pop()


def _names_in(type_: ast.TypeExpr) -> Iterator[str]:
    match type_:
        case ast.TypeName(name=name):
            yield name
        case ast.TypeList(item=inner) | ast.TypeMap(value=inner) | ast.TypeOptional(inner=inner):
            yield from _names_in(inner)


def _fields(
    checker: Checker, owner: str, declared: tuple[ast.FieldDecl, ...]
) -> dict[str, FieldInfo]:
    fields: dict[str, FieldInfo] = {}
    for field in declared:
        if field.name in fields:
            checker.report.add(
                "E0223",
                field.name_span,
                f"Field `{field.name}` stands twice in {owner}",
                "rename or remove one",
            )
            continue
        if field.was is not None and not owner.startswith("entity"):
            checker.report.add(
                "E0231", field.was[1], f"`was` is for fields of an entity, not of {owner}",
                "only what is stored is renamed: send the new name, or declare both",
            )  # fmt: skip
        fields[field.name] = FieldInfo(
            field.name, type_of(checker, field.type), field.default, field.unique, field
        )
    return fields


# --- entities ---------------------------------------------------------------------------------


def _entities(checker: Checker, loaded: Loaded) -> None:
    symbols = checker.symbols
    extensions: dict[str, list[ast.Entity]] = {}
    for declaration in _of(loaded, ast.Entity):
        if not declaration.extends:
            continue
        if declaration.name in symbols.entities:
            extensions.setdefault(declaration.name, []).append(declaration)
        else:
            checker.unknown(
                "E0204",
                declaration.name_span,
                f"There is no entity `{declaration.name}` to extend",
                declaration.name,
                symbols.entities,
            )
    for info in symbols.entities.values():
        _entity(checker, info, extensions.get(info.name, []))


# What a customer may have of its own, beside what the business says: a duration each.
_TERMS = {"due_after": "term of payment", "invoice_grace": "grace of invoices"}


def _check_terms(checker: Checker, info: EntityInfo) -> None:
    """Tells of a customer's terms that billing can't read."""
    for name, what in _TERMS.items():
        term = info.fields.get(name)
        if term is None or term.decl is None or isinstance(known(term.type), AnyType):
            continue
        if known(term.type) != DURATION:
            text = f"`{info.name}.{name}` is {type_text(term.type)}, and no {what}"
            checker.report.add("W0606", term.decl.name_span, text, f"make it `{name} duration?`")


def _entity(checker: Checker, info: EntityInfo, extensions: list[ast.Entity]) -> None:
    assert info.decl is not None
    declarations = [info.decl, *extensions]
    declared = tuple(field for d in declarations for field in d.fields)
    fields = _fields(checker, f"entity `{info.name}`", declared)
    keys = [field for field in info.decl.fields if field.key]
    info.key = keys[0].name if keys else "id"
    for second in keys[1:]:
        checker.report.add(
            "E0224",
            second.name_span,
            f"`{info.name}` has two keys: `{keys[0].name}` and `{second.name}`",
            "keep one; mark the other `unique`",
        )
    info.generated_key = not keys and "id" not in fields
    if info.generated_key:
        fields = {"id": FieldInfo("id", TEXT), **fields}
    for name in ("created_at", "updated_at"):
        fields.setdefault(name, FieldInfo(name, TIME))
    info.fields = {name: _widened(checker, info, field) for name, field in fields.items()}
    info.indexes = tuple(_indexes(checker, info, declarations))
    _check_renamed(checker, info, declared)
    if info.name == checker.symbols.bills:
        _check_terms(checker, info)


def _check_renamed(
    checker: Checker, info: EntityInfo, declared: tuple[ast.FieldDecl, ...]
) -> None:  # fmt: skip
    """Tells of fields that can't have been called what they say (`town text was city`)."""
    seen: set[str] = set()
    for field in declared:
        if field.was is None:
            continue
        was, span = field.was
        timed = checker.symbols.lifecycles.get((info.name, field.name))
        help_ = "say what it was called, once the field of that name is gone"
        if was in info.fields:
            text = f"`{was}` is a field of {info.name}: `{field.name}` can't have been that"
        elif was in seen:
            text = f"Two fields of {info.name} can't both have been `{was}`"
        elif timed is not None and any(arrow.after is not None for arrow in timed.arrows):
            text = f"`{info.name}.{field.name}` has timers of its lifecycle, which know it by name"
            help_ = "keep its name, or declare a new field beside it and move what it holds"
        else:
            seen.add(was)
            continue
        checker.report.add("E0231", span, text, help_)


def _widened(checker: Checker, info: EntityInfo, field: FieldInfo) -> FieldInfo:
    """A field of billing with the states that an author's own lifecycle adds."""
    lifecycle = checker.symbols.lifecycles.get((info.name, field.name))
    if not (info.builtin and lifecycle is not None and isinstance(field.type, Choice)):
        return field
    ends = [state for a in lifecycle.arrows for state in (a.source, a.target)]
    named = [state for state in (lifecycle.start, *ends) if state is not None]
    return replace(field, type=Choice(tuple(dict.fromkeys((*field.type.values, *named)))))


def _indexes(
    checker: Checker, info: EntityInfo, declarations: list[ast.Entity]
) -> Iterator[tuple[str, ...]]:
    for declaration in declarations:
        for index in declaration.indexes:
            for name, span in index.fields:
                if name not in info.fields and info.name not in checker.damaged:
                    checker.unknown(
                        "E0203",
                        span,
                        f"{info.name} has no field `{name}`",
                        name,
                        info.fields,
                        otherwise=f"its fields are {listed(info.fields)}",
                    )
            yield tuple(name for name, _ in index.fields if name in info.fields)


# --- events, triggers, functions, limits -------------------------------------------------------


# Events of billing that came after specs had declared their own by that name: theirs stands, and
# billing then tells nothing by it.
YIELDED = frozenset({"Payment.disputed", "Payment.dispute_won", "Payment.dispute_lost"})


def _events(checker: Checker, loaded: Loaded) -> None:
    symbols = checker.symbols
    for declaration in _of(loaded, ast.EventDecl):
        name = declaration.name
        first = symbols.events.get(name)
        if first is not None and not (first.origin == "billing" and name in YIELDED):
            _again(checker, "event", name, declaration, first.decl)
            continue
        fields = _fields(checker, f"event `{name}`", declaration.fields)
        builtin = declaration.span.file == loaded.files[0].span.file
        payload = tuple((f.name, f.type) for f in fields.values())
        noun = name.partition(".")[0]
        if builtin and "subject" not in fields:
            subject = EntityType(noun) if noun in symbols.entities else ANY
            payload += (("subject", subject),)
        key = declaration.key
        if key is not None and key[0] not in fields and name not in checker.damaged:
            checker.unknown(
                "E0216", key[1], f"Event `{name}` has no field `{key[0]}`", key[0], fields
            )
        symbols.events[name] = EventInfo(
            name,
            Record(name, payload, open=name in checker.damaged),
            key[0] if key and key[0] in fields else None,
            origin="billing" if builtin else "author",
            defaults={f.name: f.default for f in fields.values() if f.default is not None},
            decl=declaration,
        )


def _directories(checker: Checker) -> None:
    symbols = checker.symbols
    for node, info in events(symbols):
        first = symbols.events.get(info.name)
        if first is None:
            symbols.events[info.name] = info
        elif first.decl is not None:
            source = "directory of" if isinstance(node, ast.Directory) else "sign-in"
            checker.report.add(
                "E0866",
                first.decl.span,
                f"`{info.name}` comes from the {source} {node.name}",
                f"leave the declaration out: `on {info.name}` is told what there is to know",
                labels=(Label(node.name_span, "declared here"),),
            )


def _triggers(checker: Checker) -> None:
    symbols = checker.symbols
    for name, trigger in symbols.triggers.items():
        if trigger.entity not in symbols.entities:
            checker.unknown(
                "E0204",
                trigger.entity_span,
                f"There is no entity `{trigger.entity}`",
                trigger.entity,
                symbols.entities,
            )
        if name in symbols.events:
            continue
        subject: Type = EntityType(trigger.entity) if trigger.entity in symbols.entities else ANY
        payload = ((snake(trigger.entity), subject), ("subject", subject))
        symbols.events[name] = EventInfo(name, Record(name, payload), origin="trigger")


def _fns(checker: Checker) -> None:
    symbols = checker.symbols
    for name, fn in symbols.fns.items():
        if fn.returns is not None:
            params = tuple(type_of(checker, param.type) for param in fn.params)
            symbols.fn_types[name] = (params, type_of(checker, fn.returns))


_MEASURES = {kind: Prim(kind) for kind in ("number", "money", "duration", "percent", "bool")}


def _limits(checker: Checker) -> None:
    limits = checker.symbols.limits
    symbols = checker.symbols
    plans: list[ast.Plan | ast.Addon] = [*symbols.plans.values(), *symbols.addons.values()]
    for plan in plans:
        for entry in _limit_entries(plan.items):
            type_ = _measure(checker, entry.value)
            if limits.get(entry.name, UNLIMITED) == UNLIMITED:
                limits[entry.name] = type_
        # What a plan includes of a meter is a limit by the meter's name, as far as none is set: it
        # is read as the meter's figure is.
        for name, type_ in _included(checker, plan.items):
            meter = symbols.meters.get(name)
            counted = type_ if meter is None else figure_type(symbols, meter)
            limits.setdefault(name, type_ if type_ == UNLIMITED else counted)
    for name, type_ in limits.items():
        if type_ == UNLIMITED:
            limits[name] = NUMBER


def _limit_entries(items: tuple[ast.PlanItem, ...]) -> Iterator[ast.Entry]:
    for item in items:
        match item:
            case ast.Phase(items=inner) | ast.PriceVersion(items=inner):
                yield from _limit_entries(inner)
            case ast.PlanClause(key="limits", value=ast.MapLiteral(entries=entries)):
                yield from (entry for entry in entries if isinstance(entry, ast.Entry))


def _included(checker: Checker, items: tuple[ast.PlanItem, ...]) -> Iterator[tuple[str, Type]]:
    for item in items:
        match item:
            case ast.Phase(items=inner) | ast.PriceVersion(items=inner):
                yield from _included(checker, inner)
            case ast.Includes(meter=meter, quantity=quantity, events=False):
                yield meter, _measure(checker, quantity)


def _measure(checker: Checker, value: ast.Expr) -> Type:
    match value:
        case ast.Literal(type="size"):
            return SIZE
        case ast.Literal(type="unlimited"):
            return UNLIMITED
        case ast.Literal(type=kind) if kind in _MEASURES:
            return _MEASURES[kind]
        case ast.Name(name=name) if name in checker.symbols.consts:
            value = checker.symbols.consts[name].value
            return _measure(checker, value) if isinstance(value, ast.Literal) else NUMBER
    return NUMBER
