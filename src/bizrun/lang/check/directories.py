"""What `directory` and `sign_in` say: attributes of SCIM with the fields that keep them, events.

The attributes are those of RFC 7643: `User` (section 4.1), its enterprise extension (4.3) and
`Group` (4.2). Names differ in the two schemas of a user, so that a name tells which is meant.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from ...diagnostics import Span
from .. import ast
from ..symbols import EntityInfo, EventInfo, Symbols
from ..types import (
    ANY,
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
)
from .events import snake

# How an attribute is kept: a text, true or false, values of a kind each, a reference to another
# resource of the directory.
Kind = Literal["text", "bool", "values", "manager", "members"]

_NAMES = ("formatted", "familyName", "givenName", "middleName", "honorificPrefix",
          "honorificSuffix")  # fmt: skip
# What a value of many may say of itself.
PARTS = ("value", "display", "type", "primary")
ENTERPRISE = ("employeeNumber", "costCenter", "organization", "division", "department", "manager")
_USER: dict[str, Kind] = {
    **dict.fromkeys(("userName", "externalId", "displayName", "nickName", "title", "userType",
                     "preferredLanguage", "locale", "timezone"), "text"),
    **{f"name.{part}": "text" for part in _NAMES},
    "active": "bool",
    **dict.fromkeys(("emails", "phoneNumbers", "ims", "roles", "entitlements"), "values"),
    **dict.fromkeys(ENTERPRISE[:-1], "text"),
    "manager": "manager",
}  # fmt: skip
_GROUP: dict[str, Kind] = {"displayName": "text", "externalId": "text", "members": "members"}
ATTRIBUTES: dict[str, dict[str, Kind]] = {"users": _USER, "groups": _GROUP}
# Without these there is no resource (RFC 7643, 4.1 and 4.2).
NEEDED = {"users": "userName", "groups": "displayName"}

VERBS = {
    "users": ("provisioned", "updated", "deactivated", "reactivated", "deprovisioned"),
    "groups": ("provisioned", "updated", "deprovisioned"),
}


@dataclass(frozen=True, slots=True)
class Said:
    """A line of a `directory` or `find`: an attribute or claim, and the field behind it.

    `state` is the text that `active: .status == "active"` compares with. `field` None where the
    line says something else.
    """

    attribute: str
    span: Span
    field: str | None
    value: ast.Expr
    state: str | None = None


def said(data: ast.MapLiteral, prefix: str = "") -> Iterator[Said]:
    """The lines of a mapping, `name: { givenName: .first }` as `name.givenName`."""
    for entry in data.entries:
        if not isinstance(entry, ast.Entry):
            continue
        name = prefix + entry.name
        match entry.value:
            case ast.MapLiteral() as inner:
                yield from said(inner, f"{name}.")
            case ast.RowField(name=field):
                yield Said(name, entry.name_span, field, entry.value)
            case ast.Binary(op="==", left=ast.RowField(name=field), right=ast.Text(plain=str(s))):
                yield Said(name, entry.name_span, field, entry.value, s)
            case _:
                yield Said(name, entry.name_span, None, entry.value)


def other_state(type_: Type, state: str) -> str | None:
    """The second of two states; None where there are not two, this among them."""
    inner = known(type_)
    if not isinstance(inner, Choice) or len(inner.values) != 2 or state not in inner.values:
        return None
    return next(value for value in inner.values if value != state)


def fits(kind: Kind, type_: Type, state: str | None, symbols: Symbols, entity: str) -> bool:
    """Whether a field can keep an attribute."""
    inner = known(type_)
    match kind:
        case "text":
            return _is_text(inner)
        case "values":
            item = known(inner.item) if isinstance(inner, ListOf) else inner
            return _is_text(item) or (item is not inner and _is_value(item))
        case "bool":
            if state is not None:
                return other_state(type_, state) is not None
            return inner == Prim("bool")
        case "manager":
            return inner == EntityType(entity)
        case "members":
            users = symbols.directories.get("users")
            return users is not None and inner == ListOf(EntityType(users.entity))


def _is_text(type_: Type) -> bool:
    return type_ == Prim("text") or isinstance(type_, Choice)


def _is_value(type_: Type) -> bool:
    """Whether a shape has what a value of SCIM has (RFC 7643, 2.4), and nothing else is needed."""
    if not isinstance(type_, Record) or not _is_text(type_.field("value") or ANY):
        return False
    return all(
        name in PARTS and (name == "value" or isinstance(part, Maybe))
        and (known(part) == Prim("bool") if name == "primary" else _is_text(known(part)))
        for name, part in type_.fields
    )  # fmt: skip


def tenant_field(entity: EntityInfo, tenant: str | None) -> str | None:
    """The field by which rows of an entity name their tenant themselves."""
    return next(
        (f.name for f in entity.fields.values() if known(f.type) == EntityType(tenant or "")), None
    )


def payload(symbols: Symbols, node: ast.Directory) -> tuple[tuple[str, Type], ...]:
    """What events of a directory carry: the row, its tenant, and what has changed."""
    entity = symbols.entities[node.entity]
    fields = _about(symbols, node.entity)
    fields["changes"] = PRIMITIVES["json"]
    members = next((s.field for s in said(node.data) if s.attribute == "members"), None)
    declared = entity.fields.get(members or "")
    if node.name == "groups" and declared is not None:
        fields |= {"joined": declared.type, "left": declared.type}
    return tuple(fields.items())


def events(symbols: Symbols) -> Iterator[tuple[ast.Directory | ast.SignIn, EventInfo]]:
    """The events that tell of changes in a directory, and of who has signed in."""
    for node in symbols.directories.values():
        if node.entity in symbols.entities:
            for verb in VERBS.get(node.name, ()):
                name = f"{node.entity}.{verb}"
                record = Record(name, payload(symbols, node))
                lists = [each for each, _ in record.fields if each in ("joined", "left")]
                none = ast.ListLiteral(node.span, ())
                defaults: dict[str, ast.Expr] = dict.fromkeys(lists, none)
                yield node, EventInfo(name, record, origin="directory", defaults=defaults)
    by_entity = {node.entity: node for node in symbols.sign_ins.values()}
    for entity, sign_in in by_entity.items():
        if entity in symbols.entities:
            name = f"{entity}.signed_in"
            record = Record(name, (*_about(symbols, entity).items(), ("provider", TEXT)))
            yield sign_in, EventInfo(name, record, origin="sign_in")


def _about(symbols: Symbols, entity: str) -> dict[str, Type]:
    """A row and its tenant, as events carry them."""
    fields: dict[str, Type] = {snake(entity): EntityType(entity)}
    owner = tenant_field(symbols.entities[entity], symbols.tenant)
    return fields if owner is None else fields | {owner: EntityType(symbols.tenant or "")}
