"""Actions: their names, their fields, and what they give."""

from __future__ import annotations

from ...diagnostics import Span
from .. import ast
from ..foreign import BILLING, STATEMENTS
from ..symbols import ActionField, ActionSignature, NoMethod
from ..types import ANY, TEXT, ListOf, Maybe, Record, Type, known, maybe
from .context import Checker, check_template, listed, nearest, resolved
from .expressions import infer
from .names import schema_type
from .quantities import check_quantity
from .scope import Scope
from .values import expect, fit_value, none_refused, repeated, spread_fields

# What a connection of HTTP can do.
METHODS = ("get", "post", "put", "patch", "delete")


def check_action(c: Checker, node: ast.Action, scope: Scope) -> Type:
    """Checks an action; the type of its result."""
    signature = find_action(c, node.name)
    if signature is None:
        unknown_action(c, node.name, node.name_span)
        if node.target is not None:
            infer(c, node.target, scope)
        infer(c, node.data, scope)
        return ANY
    c.checked.actions[node] = signature
    _target(c, node, signature, scope)
    given, open_, schema = _fields(c, node, signature, scope)
    if not open_:
        _lacking(c, node, signature, given)
    check_quantity(c, node)
    result = signature.result
    if schema is not None:
        result = schema if "fallback" in given else maybe(schema)
    c.checked.types[node] = result
    return result


def find_action(c: Checker, name: str) -> ActionSignature | None:
    """The signature of an action, with the spec's own customer entity in it."""
    found = c.signatures.get(name) or c.open_action(name, c.symbols)
    if found is None or isinstance(found, NoMethod):
        return None
    if name not in c.actions:
        fields = tuple(
            ActionField(f.name, resolved(f.type, c.symbols), f.required, f.doc, f.many)
            for f in found.fields
        )
        result = resolved(found.result, c.symbols)
        c.actions[name] = ActionSignature(
            found.name, fields, result, found.doc, found.open, found.target, found.waits,
            found.one_of, found.places,
        )  # fmt: skip
    return c.actions[name]


# Statements that are written like actions.
CHANGES = ("create", "upsert", "update", "delete", "emit", "reject", "record", "log")


def unknown_action(c: Checker, name: str, span: Span) -> None:
    """Reports an action, or the connection that it would go by."""
    found = c.open_action(name, c.symbols)
    if isinstance(found, NoMethod):
        below = any(one.startswith(f"{found.part}.") for one in found.known)
        what = f"`{name}` is no method" if below else f"There is no `{found.part}` in `{name}`"
        before, _, after = name.rpartition(found.part)
        c.unknown("E0213", span, what, name, [f"{before}{one}{after}" for one in found.known])
        return
    root, dot, verb = name.partition(".")
    if dot and root in c.symbols.entities:
        c.report.add("E0213", span, f"There is no action `{name}`", _of_entity(root, verb))
        return
    if dot and root not in {known.partition(".")[0] for known in c.signatures}:
        code, what, names = "E0228", f"connection `{root}`", list(c.symbols.connections)
        if root in c.symbols.connections:
            methods = ", ".join(f"`{root}.{m}`" for m in METHODS)
            c.report.add("E0213", span, f"There is no action `{name}`", f"there are {methods}")
            return
        if root in c.lost:
            return
        meant, _certain = nearest(root, [*names, "stripe", "paypal"])
        help_ = f"did you mean `{meant}`?" if meant else None
        help_ = help_ or f'declare it: `connect {root} {{ url: "https://…" }}`'
        c.report.add(code, span, f"There is no {what}", help_)
        return
    if name in c.symbols.fns:
        c.report.add(
            "E0213",
            span,
            f"`{name}` is a function, not an action",
            f"its value needs a place: `let x = {name}(…)`",
        )
        return
    ours = STATEMENTS.get(name) or BILLING.get(name)
    if ours is not None:
        help_ = f"write `{ours}`"
        c.report.add("E0213", span, f"There is no action `{name}`", help_)
        return
    same = [known for known in c.signatures if dot and known.startswith(f"{root}.")]
    otherwise = f"there are {listed(same)}" if same else None
    message = f"There is no action `{name}`"
    known_names = [*c.signatures, *(CHANGES if not dot else ())]
    c.unknown("E0213", span, message, name, known_names, otherwise=otherwise)


def _of_entity(entity: str, verb: str) -> str:
    """How a statement about an entity is written."""
    if verb in ("update", "delete", "remove", "destroy", "save"):
        what = "delete row" if verb in ("delete", "remove", "destroy") else "update row { … }"
        return f"write `{what}`, with a row of {entity}"
    return f"write `create {entity} {{ … }}`, or `emit Noun.verb {{ … }}` for an event"


def _target(c: Checker, node: ast.Action, signature: ActionSignature, scope: Scope) -> None:
    if node.target is None:
        root, _, method = node.name.rpartition(".")
        if method in METHODS and root in c.symbols.connections:
            text = f"Nothing says which path `{node.name}` calls"
            c.report.add("E0422", node.name_span, text, f'write `{node.name} "/path" {{ … }}`')
        return
    expect(c, node.target, scope, TEXT, f"`{node.name}`")
    if not signature.target:
        c.report.add(
            "E0422",
            node.target.span,
            f"`{node.name}` takes its values between braces",
            f"write `{node.name} {{ name: value }}`",
        )


def _fields(
    c: Checker, node: ast.Action, signature: ActionSignature, scope: Scope
) -> tuple[dict[str, Type], bool, Type | None]:
    """What the fields are given, whether there may be more, and the type of a `schema`."""
    given: dict[str, Type] = {}
    open_, schema = False, None
    names = {f.name: f for f in signature.fields}
    meant = _meant(node, signature)
    for entry in node.data.entries:
        if isinstance(entry, ast.Spread):
            spread, more = spread_fields(c, entry, scope)
            open_ = open_ or more
            given |= {k: t for k, t in spread.items() if k in names or signature.open}
            continue
        repeated(c, entry, given, node.data)
        if entry.name == "schema" and "schema" in names:
            schema = _schema(c, entry.value, scope)
            given["schema"] = ANY
            continue
        field = names.get(entry.name)
        if field is None:
            given[entry.name] = infer(c, entry.value, scope)
            if not signature.open:
                c.unknown(
                    "E0215",
                    entry.name_span,
                    f"`{node.name}` has no field `{entry.name}`",
                    entry.name,
                    names,
                    otherwise=f"it needs {' or '.join(f'`{name}`' for name in meant)}"
                    if meant
                    else f"its fields are {listed(names)}",
                )
            # A mistyped field is one mistake: the one that is meant isn't missing too.
            given.setdefault(nearest(entry.name, names)[0] or (*meant, entry.name)[0], ANY)
            continue
        given[entry.name] = _value(c, node, entry, field, scope)
    c.checked.types[node.data] = ANY
    return given, open_, schema


def _meant(node: ast.Action, signature: ActionSignature) -> tuple[str, ...]:
    """What an action lacks where one of its fields is unknown: likely that by another name."""
    given = {entry.name for entry in node.data.entries if isinstance(entry, ast.Entry)}
    known_names = {f.name for f in signature.fields}
    if len(given - known_names) != 1 or len(given) < len(node.data.entries):
        return ()
    lacking: list[tuple[str, ...]]
    lacking = [(f.name,) for f in signature.fields if f.required and f.name not in given]
    lacking += [tuple(group) for group in signature.one_of if given.isdisjoint(group)]
    return lacking[0] if len(lacking) == 1 else ()


def _value(
    c: Checker, node: ast.Action, entry: ast.Entry, field: ActionField, scope: Scope
) -> Type:
    what = f"`{field.name}` of `{node.name}`"
    type_ = infer(c, entry.value, scope, field.type)
    want = field.type
    if field.many and isinstance(known(type_), ListOf):
        want = ListOf(want)
    fit_value(
        c,
        entry.value,
        type_,
        want if field.required else maybe(want),
        what,
        scope,
        may_be_none=True,
    )
    if field.required and field.type == ANY and isinstance(type_, Maybe) and not scope.lenient:
        none_refused(c, entry.value, what)  # of any type, but there
    if field.name == "template" and isinstance(entry.value, ast.Text):
        check_template(c, entry.value)
    return type_


def _schema(c: Checker, node: ast.Expr, scope: Scope) -> Type | None:
    """The type that an answer has by its schema: names of types stand for themselves in it."""
    if isinstance(node, ast.MapLiteral):
        fields: list[tuple[str, Type]] = []
        for entry in node.entries:
            if isinstance(entry, ast.Spread):
                infer(c, entry.value, scope)
                continue
            fields.append((entry.name, _schema(c, entry.value, scope) or ANY))
        c.checked.types[node] = ANY
        return Record("answer", tuple(fields))
    type_ = schema_type(c, node)
    if type_ is None or isinstance(node, ast.ListLiteral | ast.Text):
        infer(c, node, scope)
        return type_
    c.checked.types[node] = ANY
    return type_


def _lacking(
    c: Checker, node: ast.Action, signature: ActionSignature, given: dict[str, Type]
) -> None:
    lacking = [f.name for f in signature.fields if f.required and f.name not in given]
    if lacking:
        many = "s" if len(lacking) > 1 else ""
        c.report.add(
            "E0406",
            node.name_span,
            f"`{node.name}` needs the field{many} {listed(lacking)}",
        )
        return
    # The text before the braces is one of those that say what a call is about.
    places = [name for name in (*signature.places, "id") if name in given]
    if len(places) + (node.target is not None) < len(signature.places):
        which = f"{listed(signature.places)}: " if len(signature.places) > 1 else ""
        c.report.add(
            "E0406",
            node.name_span,
            f"`{node.name}` needs the id of what it is about",
            f'{which}write `{node.name} "…" {{ … }}`, or give the field `id`',
        )
    for group in signature.one_of:
        chosen = [name for name in group if name in given]
        if len(chosen) == 1:
            continue
        which = " or ".join(f"`{name}`" for name in group)
        c.report.add(
            "E0407",
            node.name_span,
            f"`{node.name}` takes {which}" + (", not both" if chosen else ""),
            "remove one" if chosen else "give one of them",
        )
