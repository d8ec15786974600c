"""What a spec's `directory` looks like in SCIM: schemas, resource types, capabilities (RFC 7643).

Only the attributes that are kept are announced. What else an identity provider sends is taken and
dropped: Okta and Entra ID send more than anybody asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scim2_models import (
    Attribute,
    AuthenticationScheme,
    Bulk,
    ChangePassword,
    EnterpriseUser,
    ETag,
    Filter,
    Group,
    Patch,
    Required,
    ResourceType,
    Schema,
    SchemaExtension,
    ScimPolicy,
    ScimProvider,
    ServiceProviderConfig,
    Sort,
    User,
)
from scim2_server.responses import ScimResponse
from scim2_server.service import ScimService

from ..ir.identity import Directory
from ..ir.nodes import Const
from ..ir.program import EntityField, Program
from ..lang.check.directories import ATTRIBUTES, ENTERPRISE
from ..lang.types import Choice, ListOf, Record, Type, known

MOST_RESULTS = 100
# Of these identity providers look for the one for work, or the primary one.
FOR_WORK = ("emails", "phoneNumbers")
ENTERPRISE_URN = str(EnterpriseUser.__schema__)
# Microsoft Entra ID removes members by a value, and writes emails that are not there yet.
POLICY = ScimPolicy(
    unknown=ScimPolicy.Unknown.ignore,
    remove_value_as_filter=ScimPolicy.RemoveValue.apply,
    unmatched_path_filter=ScimPolicy.UnmatchedPathFilter.create,
)


def provider_of(program: Program, announced: bool) -> ScimProvider:
    """What the directory of a program announces, or what it understands: of several values it is
    told which is the primary one, also where a field keeps one alone."""
    schemas: list[Schema] = []
    types: list[ResourceType] = []
    for resource, model in (("users", User), ("groups", Group)):
        directory = program.directories.get(resource)
        if directory is None:
            continue
        core = model.to_schema()
        schemas.append(_schema(core, directory, program, announced))
        extensions = []
        if any(kept.attribute in ENTERPRISE for kept in directory.kept):
            enterprise = EnterpriseUser.to_schema()
            schemas.append(_schema(enterprise, directory, program, announced))
            said = {"schema": ENTERPRISE_URN, "required": False}
            extensions.append(SchemaExtension.model_validate(said))
        described: dict[str, Any] = {
            "id": core.name, "name": core.name, "description": core.name,
            "endpoint": f"/{core.name}s", "schema": core.id, "schemaExtensions": extensions or None,
        }  # fmt: skip
        types.append(ResourceType.model_validate(described))
    return ScimProvider.from_discovery(schemas, types, _config(), POLICY)


class _Service(ScimService):
    """Understands more of a request than it announces."""

    def __init__(self, understood: ScimProvider, announced: ScimProvider) -> None:
        super().__init__(understood)
        self._announced = ScimService(announced)

    def schemas(self, location: str, query: Mapping[str, str]) -> ScimResponse:
        """The schemas as they are announced."""
        return self._announced.schemas(location, query)

    def schema(self, location: str, schema_id: str, query: Mapping[str, str]) -> ScimResponse:
        """One of them."""
        return self._announced.schema(location, schema_id, query)


def service_of(program: Program) -> ScimService:
    """What speaks SCIM for the directory of a program."""
    return _Service(provider_of(program, False), provider_of(program, True))


def _config() -> ServiceProviderConfig:
    return ServiceProviderConfig(
        patch=Patch(supported=True),
        bulk=Bulk(supported=False, max_operations=0, max_payload_size=0),
        filter=Filter(supported=True, max_results=MOST_RESULTS),
        change_password=ChangePassword(supported=False),
        sort=Sort(supported=True),
        etag=ETag(supported=True),
        authentication_schemes=[
            AuthenticationScheme(
                type=AuthenticationScheme.Type.oauthbearertoken, name="Bearer token",
                description="A token of `bizrun token new --scope scim`.", primary=True,
            )
        ],
    )  # fmt: skip


def _schema(schema: Schema, directory: Directory, program: Program, announced: bool) -> Schema:
    """A schema of the RFC with the attributes alone that a directory keeps."""
    enterprise = str(schema.id) == ENTERPRISE_URN
    names: dict[str, set[str]] = {}
    for kept in directory.kept:
        if (kept.attribute in ENTERPRISE) == enterprise:
            head, _, part = kept.attribute.partition(".")
            names.setdefault(head, set()).add(part)
    if directory.resource == "users" and "groups" in program.directories and not enterprise:
        names["groups"] = {""}
    attributes = [
        _attribute(attribute, names[attribute.name or ""], directory, program, announced)
        for attribute in schema.attributes or []
        if attribute.name in names
    ]
    return schema.model_copy(update={"attributes": attributes})


def _attribute(
    attribute: Attribute, parts: set[str], directory: Directory, program: Program, announced: bool
) -> Attribute:
    name = attribute.name or ""
    kind = ATTRIBUTES[directory.resource].get(name)
    subs = attribute.sub_attributes
    fields = program.entities[directory.entity].fields
    kept = directory.of(name)
    field = fields[kept.field] if kept is not None else None
    needed = field is not None and _needed(field, announced)
    update: dict[str, Any] = {"required": Required(needed)}

    def _part_needed(head: str, sub: Attribute) -> bool:
        kept_ = directory.of(f"{head}.{sub.name}")
        return kept_ is not None and _needed(fields[kept_.field], announced)

    match kind:
        case "values" if field is not None and subs:
            update["sub_attributes"] = _value_parts(name, subs, field.type, announced)
        case "members" if subs:
            update["sub_attributes"] = [_member(sub) for sub in subs if sub.name != "display"]
        case "manager" if subs:
            update["sub_attributes"] = [sub for sub in subs if sub.name in ("value", "$ref")]
        case "text" if field is not None:
            update["canonical_values"] = _choices(field.type)
        case _ if subs and name != "groups":
            update["sub_attributes"] = [
                sub.model_copy(update={"required": Required(_part_needed(name, sub))})
                for sub in subs if sub.name in parts
            ]  # fmt: skip
            update["required"] = Required(any(_part_needed(name, sub) for sub in subs))
    return attribute.model_copy(update=update)


def _needed(field: EntityField, announced: bool) -> bool:
    """Whether an attribute is required: its field can't be none. One with a default is announced as
    required, too, since it is never without a value, but it need not be sent."""
    if field.optional or isinstance(known(field.type), ListOf):
        return False
    if field.default is None:
        return True
    return announced and field.default != Const("")


def _value_parts(name: str, subs: list[Attribute], type_: Type, announced: bool) -> list[Attribute]:
    """What is told of each value. Where a text keeps it, that is the value alone, but for an
    address or number: that one is the primary one, for work."""
    shape = _item(type_)
    parts = dict(shape.fields) if isinstance(shape, Record) else {}
    names = tuple(parts) or ("value", "type", "primary")
    if announced and not parts and name not in FOR_WORK:
        names = ("value",)
    canonical = {
        "value": _choices(parts.get("value", type_)),
        "type": ["work"] if announced and not parts else None,
    }
    return [
        sub.model_copy(update={
            "canonical_values": canonical.get(sub.name or ""),
            "required": Required(sub.name == "value"),
        })
        for sub in subs if sub.name in names
    ]  # fmt: skip


def _member(sub: Attribute) -> Attribute:
    """A member is a user."""
    match sub.name:
        case "$ref":
            return sub.model_copy(update={"reference_types": ["User"]})
        case "value":
            return sub.model_copy(update={"required": Required.true})
    return sub


def _choices(type_: Type) -> list[str] | None:
    inner = _item(type_)
    return list(inner.values) if isinstance(inner, Choice) else None


def _item(type_: Type) -> Type:
    inner = known(type_)
    return known(inner.item) if isinstance(inner, ListOf) else inner
