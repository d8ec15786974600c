"""Statements that change rows or send events: `create upsert update delete add remove emit`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ...diagnostics import Span
from ...model import BILLED, BOOKS
from .. import ast
from ..symbols import EntityInfo
from ..types import (
    ANY,
    NONE,
    TEXT,
    TIME,
    EntityType,
    ListOf,
    MapOf,
    Maybe,
    Type,
    known,
    type_text,
)
from .context import Checker, listed, nearest
from .events import find_event, undeclared
from .expressions import infer
from .fit import fits, untyped
from .operands import report_none
from .scope import Scope
from .values import expect, missing, repeated, spread_fields

GENERATED = "give one; an entity that declares no key has an `id` that is made for each row"


def check_create(c: Checker, node: ast.Create | ast.Upsert, scope: Scope) -> dict[str, Type]:
    """Checks a new row's fields; gives the types of those that were given."""
    info = c.entity(node.entity)
    if info is None:
        c.unknown(
            "E0204",
            node.entity_span,
            f"There is no entity `{node.entity}`",
            node.entity,
            c.symbols.entities,
        )
        infer(c, node.data, scope)
        return {}
    c.checked.types[node] = EntityType(info.name)
    if isinstance(node, ast.Upsert):
        check_mutable(c, info, node.entity_span, "upsert")
    fields = {name: field.type for name, field in info.fields.items()}
    given, open_ = check_fields(c, node.data, scope, fields, info.name, "E0203")
    # Of what billing keeps a test says what it needs, as state that was there before.
    if not open_ and not (info.builtin and scope.place == "test"):
        lacking = _lacking(_required(c, info), given, fields)
        if isinstance(node, ast.Upsert) and _lost(c, node, info, given):
            return given
        if lacking:
            # Only of the key can it be that there is nothing to give.
            more = [GENERATED] if lacking == [info.key] and not info.builtin else []
            missing(c, ast.Node(node.entity_span), f"A new {info.name}", lacking, *more)
    return given


def _lost(c: Checker, node: ast.Upsert, info: EntityInfo, given: Mapping[str, Type]) -> bool:
    """Whether nothing says which row is meant; reports it."""
    if info.key in given or any(name in given for name in info.uniques):
        return False
    c.report.add(
        "E0421",
        node.span,
        f"Nothing tells which {info.name} this is",
        f"give its key `{info.key}`"
        + (f" or one of {listed(info.uniques)}" if info.uniques else ""),
    )
    return True


def _lacking(
    required: Iterable[str], given: Mapping[str, Type], fields: Mapping[str, Type]
) -> list[str]:
    """The fields that are needed and not given. One that lacks beside one that is unknown is
    likely that by another name, and told."""
    lacking = [name for name in required if name not in given]
    other = [name for name in given if name not in fields]
    return [] if len(lacking) == len(other) == 1 else lacking


def _required(c: Checker, info: EntityInfo) -> list[str]:
    if info.name in c.damaged:
        return []
    names = []
    for name, field in info.fields.items():
        filled = name in ("created_at", "updated_at") or (name == info.key and info.generated_key)
        many = isinstance(field.type, ListOf | MapOf)
        begun = getattr(c.symbols.lifecycles.get((info.name, name)), "start", None)
        optional = isinstance(field.type, Maybe) or untyped(field.type)
        if not (filled or many or begun or optional or field.default is not None):
            names.append(name)
    return names


def check_fields(
    c: Checker,
    node: ast.MapLiteral,
    scope: Scope,
    fields: Mapping[str, Type],
    owner: str,
    code: str,
    *,
    written: bool = False,
) -> tuple[dict[str, Type], bool]:
    """Checks a map against named fields; gives what was given, and whether more may be.

    `code` is that of an unknown field, `written` says that the map is data as events carry it.
    """
    given: dict[str, Type] = {}
    own = {entry.name for entry in node.entries if isinstance(entry, ast.Entry)}
    maybe_more = False
    for entry in node.entries:
        if isinstance(entry, ast.Spread):
            spread, more = spread_fields(c, entry, scope)
            maybe_more = maybe_more or more
            for name, type_ in spread.items():
                if name in fields and name not in own:
                    given[name] = type_
                    _spread_fits(c, entry, name, type_, fields[name], scope, written)
            continue
        repeated(c, entry, given, node)
        want = fields.get(entry.name)
        if want is None:
            given[entry.name] = infer(c, entry.value, scope)
            if owner not in c.damaged:
                _unknown_field(c, entry, owner, code, fields)
            # A mistyped field is one mistake: the one that is meant isn't missing too.
            given.setdefault(nearest(entry.name, fields)[0] or entry.name, ANY)
            continue
        what = f"`{entry.name}`"
        given[entry.name] = expect(c, entry.value, scope, want, what, written=written)
    c.checked.types[node] = ANY
    return given, maybe_more


def _unknown_field(
    c: Checker, entry: ast.Entry, owner: str, code: str, fields: Mapping[str, Type]
) -> None:
    what = f"Event `{owner}`" if code == "E0216" else owner
    c.unknown(
        code,
        entry.name_span,
        f"{what} has no field `{entry.name}`",
        entry.name,
        fields,
        otherwise=f"its fields are {listed(fields)}" if fields else None,
        # `{ name }` is a value's name too, and that one is right.
        form=f"{{}}: {entry.name}" if entry.short else "{}",
    )


def _spread_fits(
    c: Checker,
    node: ast.Spread,
    name: str,
    type_: Type,
    want: Type,
    scope: Scope,
    written: bool,
) -> None:
    if fits(type_, want, written):
        return
    if isinstance(type_, Maybe) and fits(type_.inner, want, written):
        if not scope.lenient:
            c.report.add(
                "E0404",
                node.span,
                f"`{name}` comes from here, may be none, and needs a value",
                f"give it too: `{name}: …`",
            )
        return
    c.report.add(
        "E0301",
        node.span,
        f"`{name}` comes from here as {type_text(type_)}, and takes {type_text(want)}",
        f"give it too: `{name}: …`",
    )


# --- rows that are there -------------------------------------------------------------------------


def check_row(c: Checker, node: ast.Expr, scope: Scope, verb: str) -> EntityInfo | None:
    """Checks that an expression is one row; gives its entity."""
    type_ = infer(c, node, scope)
    if (isinstance(type_, Maybe) or type_ == NONE) and not scope.lenient:
        report_none(c, "E0402", node, type_, f"`{verb}` needs a row")
        type_ = known(type_)
    match known(type_):
        case EntityType(name):
            return c.entity(name)
        case ListOf(EntityType(name)):
            c.report.add(
                "E0415",
                node.span,
                f"`{verb}` takes one row, not a list",
                f"go through them: `for each x in … {{ {verb} x … }}`",
            )
        case other if not untyped(other):
            c.report.add(
                "E0415", node.span, f"`{verb}` takes a row of an entity, not {type_text(other)}"
            )
        case _:
            c.untyped_rows.append((node.span, verb))
    return None


def check_mutable(c: Checker, info: EntityInfo | None, span: Span, verb: str) -> None:
    """Reports a change of rows that are only ever added to."""
    if info is None or info.decl is None or not info.decl.append_only:
        return
    c.report.add(
        "E0418",
        span,
        f"{info.name} is append only: `{verb}` would change what was written",
        f"write another one: `create {info.name} {{ … }}`",
    )


_CHANGED_BY = {
    "Subscription": "`change_plan`, `set_quantity` and other actions do, and bill what follows",
    "Wallet": "`credit` grants some, `expire_credit` ends it",
}


def check_books(c: Checker, info: EntityInfo | None, span: Span, scope: Scope, field: str) -> None:
    """Warns of a change that is always refused, as billing keeps the row; of a whole row where no
    `field` is named."""
    if info is None or scope.place == "test":
        return
    kept = BILLED if info.name == "Subscription" and field else BOOKS.get(info.name, frozenset())
    if not kept or (field and field not in kept):
        return
    what = f"{info.name}.{field}" if field else info.name
    c.report.add(
        "W0404",
        span,
        f"{what} is changed by billing alone: the event would be refused",
        _CHANGED_BY.get(info.name, "`credit_note`, `void_invoice` and `refund` correct the books"),
    )


def check_update(c: Checker, node: ast.Update, scope: Scope) -> None:
    """Checks an update's fields; `.field` in them is the value before."""
    info = check_row(c, node.target, scope, "update")
    check_mutable(c, info, node.target.span, "update")
    row: Type = EntityType(info.name) if info else ANY
    c.checked.row_types[node] = row
    inner = scope.child(row=row)
    _old_facts(c, node.target, scope, inner)
    if info is None:
        infer(c, node.data, inner)
        return
    fields = {name: field.type for name, field in info.fields.items()}
    given, _ = check_fields(c, node.data, inner, fields, info.name, "E0203")
    for entry in node.data.entries:
        if not isinstance(entry, ast.Entry):
            continue
        check_books(c, info, entry.name_span, scope, entry.name)
        if entry.name in (info.key, "created_at", "updated_at"):
            c.report.add(
                "E0417",
                entry.name_span,
                f"`{entry.name}` of a row never changes",
                "create another row" if entry.name == info.key else "remove it; it keeps itself",
            )
    _learn(c, node, scope, given)


def _old_facts(c: Checker, target: ast.Expr, scope: Scope, inner: Scope) -> None:
    """What is known of the row's fields by its name is known of `.field` too."""
    path = c.flow.path(target)
    if path is None:
        return
    for around in scope.chain():
        for fact in around.facts:
            if fact.startswith(path[0] + ".") and scope.holds(fact):
                inner.facts[fact[len(path[0]) :]] = 2


def _learn(c: Checker, node: ast.Update, scope: Scope, given: Mapping[str, Type]) -> None:
    """What a field was just set to decides whether it is none."""
    path = c.flow.path(node.target)
    for name, type_ in given.items():
        if isinstance(type_, Maybe) or type_ == NONE or untyped(type_):
            scope.forget(f".{name}")
        elif path is not None:
            scope.facts[f"{path[0]}.{name}"] = 2


def check_members(c: Checker, node: ast.AddTo | ast.RemoveFrom, scope: Scope) -> None:
    """Checks `add u to org.members`: a list of the item's type, in a row."""
    verb = "add" if isinstance(node, ast.AddTo) else "remove"
    collection = infer(c, node.collection, scope)
    want: Type = ANY
    if isinstance(node.collection, ast.Field):
        base = known(c.checked.types.get(node.collection.base, ANY))
        if isinstance(base, EntityType):
            check_mutable(c, c.entity(base.name), node.collection.base.span, verb)
        else:
            c.untyped_rows.append((node.collection.base.span, verb))
    match known(collection):
        case ListOf(item) if isinstance(node.collection, ast.Field):
            want = item
        case other if not untyped(other):
            c.report.add(
                "E0416",
                node.collection.span,
                f"`{verb}` takes a row's list field, not {type_text(collection)}",
                f"write `{verb} x {'to' if verb == 'add' else 'from'} row.field`",
            )
    expect(c, node.item, scope, want, "the list")


# --- events --------------------------------------------------------------------------------------


def check_emit(c: Checker, node: ast.Emit, scope: Scope, refused: bool = False) -> None:
    """Checks an event that is sent; `refused` where a test wants it to be."""
    _at_and_id(c, node, scope)
    c.sent.add(node.event)
    info = find_event(c.symbols, node.event)
    if info is None:
        info = undeclared(c.symbols, node.event)
    if node.data is None and info.payload.open:
        return
    test = scope.place == "test"
    payload = node.data or ast.MapLiteral(node.event_span, ())
    if info.payload.open or refused:
        infer(c, payload, scope)
        return
    fields = dict(info.payload.fields)
    extra: dict[str, Type] = {"subject": ANY, "corrects": Maybe(TEXT)}
    given, open_ = check_fields(
        c, payload, scope, extra | fields if test else fields, info.name, "E0216", written=test
    )
    if open_ or info.name in c.damaged:
        return
    required = [
        name
        for name, type_ in info.payload.fields
        if name != "subject"
        and name not in info.defaults
        and not isinstance(type_, Maybe)
        and not untyped(type_)
    ]
    lacking = _lacking(required, given, extra | fields)
    if lacking:
        missing(c, ast.Node(node.event_span), f"Event `{info.name}`", lacking)


def _at_and_id(c: Checker, node: ast.Emit, scope: Scope) -> None:
    clauses = ((node.at, TIME, "at"), (node.id, TEXT, "id"), (node.corrects, TEXT, "corrects"))
    for value, type_, word in clauses:
        if value is None:
            continue
        expect(c, value, scope, type_, f"`{word}`")
        if scope.place != "test":
            c.report.add(
                "E0414",
                value.span,
                f"`emit … {word}` stands in tests only: an event has its handler's time and its "
                "own id",
                f"wait with `at … {{ emit {node.event} }}`" if word == "at" else "remove it",
            )
