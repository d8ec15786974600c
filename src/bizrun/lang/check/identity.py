"""`directory` and `sign_in`: attributes and claims that there are, fields that can keep them."""

from __future__ import annotations

import re

from ...diagnostics import Label, did_you_mean
from .. import ast
from ..symbols import EntityInfo
from ..types import Choice, ListOf, Maybe, Prim, known, type_text
from .connections import check_secret
from .directories import ATTRIBUTES, NEEDED, Said, fits, said, tenant_field
from .events import snake
from .facts import Facts, entries, listed

SETTINGS = ("issuer", "client_id", "client_secret", "redirect_uri", "find", "role", "session",
            "return_to", "scopes", "domain", "provision", "private")  # fmt: skip
NEEDED_SETTINGS = ("issuer", "client_id", "redirect_uri", "find")
_OPEN = re.compile(r"^https://[^/\s]|^http://(localhost|127\.|\[::1\])", re.IGNORECASE)
_KINDS = {
    "text": "a text",
    "values": "a text, a list of texts, or of a shape with `value text`",
    "bool": 'true or false, or two states: `.status == "active"`',
    "manager": "a reference to the same entity",
    "members": "a list of the users' entity",
}


def check_identity(facts: Facts) -> None:
    """Checks who may come in, and who tells about them."""
    for directory in facts.all(ast.Directory):
        _check_directory(directory, facts)
    for sign_in in facts.all(ast.SignIn):
        _check_sign_in(sign_in, facts)


def _entity(node: ast.Directory | ast.SignIn, facts: Facts) -> EntityInfo | None:
    entities = facts.symbols.entities
    found = entities.get(node.entity)
    if found is None and not facts.lost(node.entity):
        text = f"There is no entity `{node.entity}`"
        facts.unknown("E0204", node.entity_span, text, node.entity, entities)
    return found


# --- directory ---------------------------------------------------------------------------------


def _check_directory(node: ast.Directory, facts: Facts) -> None:
    attributes = ATTRIBUTES.get(node.name)
    if attributes is None:
        text = f"A directory has users and groups, no `{node.name}`"
        facts.unknown("E0860", node.name_span, text, node.name, ATTRIBUTES, "resources")
    entity = _entity(node, facts)
    if attributes is None or entity is None or facts.damaged(node):
        return
    lines = list(said(node.data))
    for line in lines:
        _check_line(line, node, entity, facts)
    _check_twice(lines, facts)
    _check_needed(node, entity, lines, facts)
    _check_tenant(node, entity, facts)


def _check_line(line: Said, node: ast.Directory, entity: EntityInfo, facts: Facts) -> None:
    attributes = ATTRIBUTES[node.name]
    kind = attributes.get(line.attribute)
    if kind is None:
        text = f"SCIM has no attribute `{line.attribute}` of {node.name} that can be kept"
        last = line.attribute.rpartition(".")[2]
        near = did_you_mean(line.attribute, attributes) or did_you_mean(
            last, [name.rpartition(".")[2] for name in attributes]
        )
        help_ = f"did you mean `{near}`?" if near else f"there are {listed(attributes)}"
        facts.report.add("E0861", line.span, text, help=help_)
        return
    if line.field is None:
        text = f"`{line.attribute}` is kept in a field"
        facts.report.add("E0862", line.value.span, text, help="write `.name` of the field")
        return
    field = entity.fields.get(line.field)
    if field is None:
        text = f"{entity.name} has no field `{line.field}`"
        near = facts.near(line.field, entity.fields, "fields")
        facts.report.add("E0862", line.value.span, text, help=near)
    elif field.name == entity.key:
        text = f"`{line.field}` is the key of {entity.name}, which is the resource's id"
        facts.report.add("E0862", line.value.span, text, help="keep the attribute in another field")
    elif not fits(kind, field.type, line.state, facts.symbols, entity.name):
        text = f"`{line.attribute}` can't be kept in {entity.name}.{line.field}"
        help_ = f"that is {type_text(field.type)}, and it takes {_KINDS[kind]}"
        facts.report.add("E0862", line.value.span, text, help=help_)


def _check_twice(lines: list[Said], facts: Facts) -> None:
    fields: dict[str, Said] = {}
    attributes: dict[str, Said] = {}
    for line in lines:
        first = attributes.setdefault(line.attribute, line)
        if first is line and line.field is not None:
            first = fields.setdefault(line.field, line)
        if first is not line:
            text = f"`{line.attribute}` and `{first.attribute}` can't share a field"
            if first.attribute == line.attribute:
                text = f"`{line.attribute}` stands twice"
            labels = (Label(first.span, "the first one"),)
            facts.report.add("E0862", line.span, text, labels=labels)


def _check_needed(node: ast.Directory, entity: EntityInfo, lines: list[Said], facts: Facts) -> None:
    """A resource has a name, and a new row everything that it has to have."""
    needed = NEEDED[node.name]
    line = next((line for line in lines if line.attribute == needed), None)
    field = entity.fields.get((line.field if line else None) or "")
    if line is None:
        text = f"Each of the {node.name} has a `{needed}`, and nothing keeps it"
        facts.report.add("E0863", node.name_span, text, help=f"write `{needed}: .name`")
    elif field is not None and isinstance(field.type, Maybe):
        place = f"{entity.name}.{field.name}"
        text = f"Each of the {node.name} has a `{needed}`, and {place} may be none"
        facts.report.add("E0863", line.value.span, text, help="take the `?` off its type")
    given = {line.field for line in lines} | {
        entity.key, "created_at", "updated_at", tenant_field(entity, facts.symbols.tenant)
    }  # fmt: skip
    missing = [
        f.name for f in entity.fields.values()
        if f.name not in given and f.default is None
        and not isinstance(f.type, Maybe) and not isinstance(f.type, ListOf)
    ]  # fmt: skip
    if missing:
        text = f"A new {entity.name} needs {listed(missing)}, which a directory does not give"
        help_ = "give the field a default, or a `?`"
        facts.report.add("E0864", node.entity_span, text, help=help_)


def _check_tenant(node: ast.Directory, entity: EntityInfo, facts: Facts) -> None:
    tenant = facts.symbols.tenant
    if tenant is not None and tenant_field(entity, tenant) is None:
        text = f"{entity.name} does not say to which {tenant} a row belongs"
        help_ = f"give it a field: `{snake(tenant)} {tenant}`"
        facts.report.add("E0865", node.entity_span, text, help=help_)


# --- sign_in -----------------------------------------------------------------------------------


def _check_sign_in(node: ast.SignIn, facts: Facts) -> None:
    entity = _entity(node, facts)
    given = entries(node.data)
    for name, entry in given.items():
        if name not in SETTINGS:
            text = f"`sign_in` does not read `{name}`"
            facts.unknown("E0870", entry.name_span, text, name, SETTINGS, "it reads")
        if name == "client_secret":
            check_secret(name, entry.value, facts)
        _check_setting(name, entry.value, facts)
        if entity is not None:
            _check_fields(name, entry.value, entity, facts)
    missing = [name for name in NEEDED_SETTINGS if name not in given]
    if missing and not facts.damaged(node):
        text = f"`sign_in {node.name}` needs {listed(missing)}"
        facts.report.add("E0871", node.name_span, text)
    _check_redirect(node, given, facts)
    users = facts.symbols.directories.get("users")
    if "provision" in given and (users is None or users.entity != node.entity):
        text = "Who comes for the first time is made by what a directory keeps"
        help_ = f"write `directory users for {node.entity} {{ userName: … }}`"
        facts.report.add("E0872", given["provision"].name_span, text, help=help_)


def _check_setting(name: str, value: ast.Expr, facts: Facts) -> None:
    plain = value.plain if isinstance(value, ast.Text) else None
    addresses = ("issuer", "redirect_uri", "return_to")
    if name in addresses and plain is not None and not _OPEN.match(plain):
        text = f"`{plain}` is no address that a sign-in can trust"
        facts.report.add("E0872", value.span, text, help="it begins with https://")
    if name == "session":
        literal = facts.fold(value)
        if literal is None or literal.type != "duration":
            text = "A session lasts for a duration"
            facts.report.add("E0872", value.span, text, help="write `session: 12 hours`")
    owner = snake(facts.symbols.tenant or "")
    match value:
        case ast.Call(callee=ast.Name(name="env"), args=(ast.Text() as variable,)):
            _check_variable(variable, owner, facts)
        case ast.Field(base=ast.Name(name=base), name=field) if name not in (
            "find",
            "role",
            "provision",
        ):
            tenant = facts.symbols.entities.get(facts.symbols.tenant or "")
            if tenant is None or base != owner:
                text = f"`{base}` is no tenant whose setting this could be"
                help_ = f"write `{owner}.{field}`" if tenant else "declare the business's `tenant`"
                facts.report.add("E0872", value.span, text, help=help_)
            elif field not in tenant.fields:
                text = f"{tenant.name} has no field `{field}`"
                near = facts.near(field, tenant.fields, "fields")
                facts.report.add("E0872", value.span, text, help=near)


def _check_variable(text: ast.Text, owner: str, facts: Facts) -> None:
    """A tenant's variable is named by its key alone, behind a beginning of the author's: by a name
    of their own choice tenants could reach each other's secrets, or any."""
    tenant = facts.symbols.entities.get(facts.symbols.tenant or "")
    parts = text.parts
    fields = [part.value for part in parts if isinstance(part, ast.Interpolation)]
    if not fields:
        return
    key = tenant.key if tenant is not None else "id"
    own = all(
        isinstance(f, ast.Field) and isinstance(f.base, ast.Name)
        and (f.base.name, f.name) == (owner, key)
        for f in fields
    )  # fmt: skip
    if tenant is None or not own or not isinstance(parts[0], str) or len(fields) > 1:
        message = "A variable of one tenant is named by its key, behind a text"
        help_ = f'write `env("SSO_SECRET_{{{owner or "organization"}.{key}}}")`'
        facts.report.add("E0872", text.span, message, help=help_)


def _check_fields(name: str, value: ast.Expr, entity: EntityInfo, facts: Facts) -> None:
    if name == "find":
        lines = list(said(value)) if isinstance(value, ast.MapLiteral) else []
        if not lines:
            text = "`find` says which claim finds whom"
            facts.report.add("E0872", value.span, text, help="write `find: { email: .email }`")
        for line in lines:
            field = entity.fields.get(line.field or "")
            if field is None or known(field.type) != Prim("text"):
                text = f"{entity.name} has no text `{line.field or '…'}` to find it by"
                near = facts.near(line.field or "", entity.fields)
                facts.report.add("E0872", line.value.span, text, help=near)
    elif name == "role":
        field = entity.fields.get(value.name) if isinstance(value, ast.RowField) else None
        if field is None or not (known(field.type) == Prim("text") or _choice(field.type)):
            text = f"A role is a text of {entity.name}"
            facts.report.add("E0872", value.span, text, help="write `role: .role`")


def _choice(type_: object) -> bool:
    return isinstance(known(type_), Choice)  # type: ignore[arg-type]


def _check_redirect(node: ast.SignIn, given: dict[str, ast.Entry], facts: Facts) -> None:
    """Where the provider sends people back to is an address of this server."""
    entry = given.get("redirect_uri")
    plain = entry.value.plain if entry and isinstance(entry.value, ast.Text) else None
    path = f"/sign-in/{node.name}/callback"
    if plain is not None and entry is not None and not plain.endswith(path):
        text = f"`redirect_uri` does not lead to `sign_in {node.name}`"
        facts.report.add("E0872", entry.value.span, text, help=f"it ends with {path}")
