"""What an author is told of a name: how it is declared, its type, what it is for, in Markdown."""

from __future__ import annotations

from . import ast
from .builtins import BUILTINS
from .navigate import Symbol
from .symbols import ActionSignature, Checked
from .types import Type, type_text
from .walk import walk

MOST_LINES = 16
_SPECIALS = {
    "now": "The event's time in a handler, the due time in a schedule: never the wall clock.",
    "today": "The date of `now` in the business's time zone.",
    "self": "The subject that a trigger looks at.",
    "event": "The envelope of the event: `id`, `type`, `time`, `subject`.",
}
_ORIGINS = {
    "billing": "Billing emits it.", "change": "It tells of a change of a row.",
    "trigger": "A trigger emits it.", "outcome": "It tells the outcome of an effect.",
}  # fmt: skip
_PLAN_FIELDS = ("name", "title", "price", "interval", "features", "trial", "limits")


def describe(checked: Checked, symbol: Symbol, near: ast.Node | None = None) -> str | None:
    """A symbol in Markdown; `near` is an expression that names a local. None where there is nothing
    to say."""
    match symbol.kind:
        case "field":
            return _field(checked, symbol)
        case "event":
            return _event(checked, symbol.name)
        case "action":
            signature = signature_of(checked, symbol.name)
            return action_text(signature) if signature is not None else None
        case "builtin":
            return builtin_text(symbol.name)
        case "local":
            type_ = checked.types.get(near) if near is not None else None
            return _code(f"{symbol.name}: {type_text(type_)}") if type_ is not None else None
    found = declared(checked, symbol)
    return _declaration(checked, found) if found is not None else None


def declared(checked: Checked, symbol: Symbol) -> ast.Declaration | None:
    """The declaration of a name at the top of a file."""
    symbols = checked.symbols
    if symbol.kind == "entity":
        entity = symbols.entities.get(symbol.name)
        return entity.decl if entity is not None else None
    if symbol.kind == "event":
        event = symbols.events.get(symbol.name)
        return event.decl if event is not None else None
    if symbol.kind == "shape":
        every = (d for file in checked.loaded.files for d in file.declarations)
        return next(
            (d for d in every if isinstance(d, ast.TypeDecl) and d.name == symbol.name), None
        )
    tables = {
        "plan": symbols.plans, "addon": symbols.addons, "meter": symbols.meters,
        "coupon": symbols.coupons, "tax": symbols.taxes, "dunning": symbols.dunnings,
        "fn": symbols.fns, "const": symbols.consts, "template": symbols.templates,
        "metric": symbols.metrics, "role": symbols.roles, "experiment": symbols.experiments,
        "connection": symbols.connections,
    }  # fmt: skip
    table = tables.get(symbol.kind, {})
    return table.get(symbol.name)  # type: ignore[attr-defined, no-any-return]


def signature_of(checked: Checked, name: str) -> ActionSignature | None:
    """The signature of an action that a spec uses."""
    return next((found for found in checked.actions.values() if found.name == name), None)


def action_text(signature: ActionSignature) -> str:
    """An action with its fields."""
    fields = [
        f"  {f.name}{'' if f.required else '?'}: {type_text(f.type)}" for f in signature.fields
    ]
    shown = (
        "\n".join([f"{signature.name} {{", *fields, "}"]) if fields else f"{signature.name} {{ }}"
    )
    waits = (
        "\n\nWith `let`, the handler goes on when the result is there." if signature.waits else ""
    )
    return _code(shown, signature.doc) + waits


def builtin_text(name: str) -> str | None:
    """A function that every spec has, or a word that the engine knows."""
    if name in BUILTINS:
        return _code(BUILTINS[name].usage, BUILTINS[name].doc)
    said = _SPECIALS.get(name)
    return _code(name, said) if said is not None else None


def fields_of(checked: Checked, type_: Type) -> list[tuple[str, Type | None, str]]:
    """The fields that may be read of a value: name, type, and what is said of it."""
    from .types import EntityType, Prim, Record, known

    match known(type_):
        case EntityType(name) if name in checked.symbols.entities:
            fields = checked.symbols.entities[name].fields.values()
            return [(f.name, f.type, (f.decl.doc or "") if f.decl else "") for f in fields]
        case Record(fields=own):
            return [(name, field, "") for name, field in own]
        case Prim("plan"):
            return [(name, None, "") for name in _PLAN_FIELDS]
    return []


def type_at(checked: Checked, file: str, offset: int) -> tuple[ast.Node, Type] | None:
    """The smallest expression around a place, and its type."""
    best: ast.Node | None = None
    for parsed in checked.loaded.files:
        for declaration in parsed.declarations:
            span = declaration.span
            if span.file != file or not span.start <= offset <= span.end:
                continue
            for node in walk(declaration):
                inside = node.span.start <= offset <= node.span.end
                if (
                    inside
                    and node in checked.types
                    and (best is None or _size(node) <= _size(best))
                ):
                    best = node
    return (best, checked.types[best]) if best is not None else None


def _size(node: ast.Node) -> int:
    return node.span.end - node.span.start


def _field(checked: Checked, symbol: Symbol) -> str | None:
    owner = symbol.owner
    if owner.startswith("action "):
        signature = signature_of(checked, owner.removeprefix("action "))
        given = signature.field(symbol.name) if signature is not None else None
        if given is None:
            return None
        return _code(
            f"{symbol.name}{'' if given.required else '?'}: {type_text(given.type)}", given.doc
        )
    symbols = checked.symbols
    doc = ""
    type_: Type | None = None
    if owner in symbols.entities:
        field = symbols.entities[owner].fields.get(symbol.name)
        type_ = field.type if field is not None else None
        doc = (field.decl.doc or "") if field is not None and field.decl is not None else ""
    elif owner in symbols.events:
        type_ = symbols.events[owner].payload.field(symbol.name)
    elif owner in symbols.shapes:
        type_ = symbols.shapes[owner].field(symbol.name)
    if type_ is None:
        return None
    return _code(f"{owner}.{symbol.name}: {type_text(type_)}", doc)


def _event(checked: Checked, name: str) -> str | None:
    event = checked.symbols.events.get(name)
    if event is None:
        return None
    fields = [f"  {field} {type_text(type_)}" for field, type_ in event.payload.fields]
    key = f" key {event.key}" if event.key else ""
    shown = "\n".join([f"event {name}{key} {{", *fields, "}"]) if fields else f"event {name}{key}"
    undeclared = "" if event.declared else "It is not declared: its payload is untyped."
    origin = _ORIGINS.get(event.origin, undeclared)
    doc = (event.decl.doc or "") if event.decl is not None else ""
    handlers = sum(
        name in [type_ for type_, _ in handler.pattern.types]
        for handler in checked.symbols.handlers
    )
    handled = f"{handlers} handler{'s' * (handlers != 1)} take{'s' * (handlers == 1)} it."
    return _code(shown, " ".join(part for part in (doc, origin, handled) if part))


def _declaration(checked: Checked, node: ast.Declaration) -> str:
    source = checked.loaded.sources[node.span.file]
    lines = source.text[node.span.start : node.span.end].rstrip().split("\n")
    if isinstance(node, ast.Fn):
        lines = [lines[0].removesuffix("{").rstrip()]
    if len(lines) > MOST_LINES:
        lines = [*lines[: MOST_LINES - 2], "  …", lines[-1]]
    return _code("\n".join(lines), node.doc or "")


def _code(text: str, doc: str = "") -> str:
    return f"```biz\n{text}\n```" + (f"\n\n{doc}" if doc else "")
