"""A company directory and ways to sign in, as the engine and the server read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from ..lang import ast
from ..lang.check.directories import other_state, said, tenant_field
from ..lang.check.facts import entries
from ..lang.symbols import Symbols
from ..values import Duration
from .constants import constant

SESSION = Duration.of(12, "hours")
SCOPES = "openid email profile"


class Kept(Struct, frozen=True):
    """An attribute of SCIM and the field that keeps it; of `active` also the states that it means:
    `on` for true and `off` for false, or None where the field is a bool."""

    attribute: str
    field: str
    on: str | None = None
    off: str | None = None


class Directory(Struct, frozen=True):
    """What a directory keeps of its `users` or `groups` in an entity; `owner` is the field that
    says to which tenant a row belongs."""

    resource: str
    entity: str
    owner: str | None
    kept: tuple[Kept, ...]

    def of(self, attribute: str) -> Kept | None:
        """Where an attribute is kept."""
        return next((kept for kept in self.kept if kept.attribute == attribute), None)

    def is_active(self, row: Mapping[str, Any]) -> bool:
        """Whether somebody may come in: always, where the directory keeps no `active`."""
        kept = self.of("active")
        if kept is None:
            return True
        value = row.get(kept.field)
        return value == kept.on if kept.on is not None else value is not False


class SignIn(Struct, frozen=True):
    """A way to sign in by OpenID Connect. `find` has claims with the fields that they find;
    a setting is a text, `{"env": [parts]}` or `{"field": name}` of the tenant."""

    name: str
    entity: str
    owner: str | None
    find: tuple[tuple[str, str], ...]
    role: str | None
    session: Duration
    settings: Mapping[str, Any]


def lower_directory(node: ast.Directory, symbols: Symbols) -> Directory:
    """The mapping of a `directory`."""
    entity = symbols.entities[node.entity]
    kept = []
    for line in said(node.data):
        if line.field is not None:
            off = other_state(entity.fields[line.field].type, line.state) if line.state else None
            kept.append(Kept(line.attribute, line.field, line.state, off))
    return Directory(node.name, node.entity, tenant_field(entity, symbols.tenant), tuple(kept))


def lower_sign_in(node: ast.SignIn, symbols: Symbols) -> SignIn:
    """The settings of a `sign_in`."""
    given = {name: entry.value for name, entry in entries(node.data).items()}
    find, role, session = given.pop("find"), given.pop("role", None), given.pop("session", None)
    assert isinstance(find, ast.MapLiteral)
    return SignIn(
        node.name,
        node.entity,
        tenant_field(symbols.entities[node.entity], symbols.tenant),
        tuple((line.attribute, line.field) for line in said(find) if line.field),
        role.name if isinstance(role, ast.RowField) else None,
        constant(session, symbols) if session is not None else SESSION,
        {name: _setting(value, symbols) for name, value in given.items()},
    )


def _setting(value: ast.Expr, symbols: Symbols) -> Any:
    match value:
        case ast.Field(name=name):
            return {"field": name}
        case ast.Call(callee=ast.Name(name="env"), args=(ast.Text(parts=parts),)):
            return {"env": [_part(part) for part in parts]}
    return constant(value, symbols)


def _part(part: str | ast.Interpolation) -> Any:
    match part:
        case ast.Interpolation(value=ast.Field(name=name)):
            return {"field": name}
    return part
