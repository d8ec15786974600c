"""The rows of a spec as SCIM resources of one tenant: read from the state, changed by events."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from hashlib import sha256
from secrets import token_hex
from typing import Any

from scim2_models import (
    InvalidValueException,
    NotFoundException,
    PreconditionFailedException,
    Resource,
    ResourceType,
    ResponseParameters,
    ScimProvider,
    SearchRequest,
    TooManyException,
    UniquenessException,
)
from scim2_models.path import CompareOperator, Comparison
from scim2_server.storage import ScimStorage, SearchPage

from ..ir.identity import Directory, Kept
from ..lang.check.directories import ATTRIBUTES, ENTERPRISE
from ..lang.types import ListOf, Record, known
from ..runtime.dispatch import snake
from ..store.base import Row
from .business import Business
from .problems import encode
from .scim_schema import ENTERPRISE_URN, FOR_WORK

# A search holds up whoever wants to change something.
MOST_COMPARED = 2_000
RESOURCES = {"User": "users", "Group": "groups"}


class DirectoryStorage(ScimStorage):
    """One tenant's users and groups, at an instant; `source` says in the log who changes them."""

    def __init__(
        self, business: Business, provider: ScimProvider, owner: str | None, source: str,
        now: datetime,
    ) -> None:  # fmt: skip
        self._business, self._provider = business, provider
        self._engine = business.engine
        self._owner, self._source, self._now = owner, source, now
        self._joined: dict[str, list[dict[str, Any]]] | None = None

    # --- reading -------------------------------------------------------------------------------

    def get(
        self, resource_type: ResourceType, resource_id: str, *,
        response_parameters: ResponseParameters[Any] | None = None,
    ) -> Resource[Any]:  # fmt: skip
        """A resource by its id, which is the row's key."""
        directory = self._directory(resource_type)
        return self._resource(directory, self._row(directory, resource_id))

    def search(
        self, resource_types: list[ResourceType], search_request: SearchRequest[Any], *,
        position: Any = None,
    ) -> SearchPage:  # fmt: skip
        """A page of the resources that match, by age where no order is asked for."""
        directories = [self._directory(each) for each in resource_types]
        wanted = search_request.filter
        start, count = search_request.start_index_0 or 0, search_request.count
        pairs = [
            (each, row)
            for each in directories
            for row in self._candidates(each, wanted.ast if wanted is not None else None)
        ]
        if wanted is None and search_request.sort_by is None:
            end = None if count is None else start + count
            return SearchPage(len(pairs), [self._resource(*pair) for pair in pairs[start:end]])
        if len(pairs) > MOST_COMPARED:
            raise TooManyException(detail=f"More than {MOST_COMPARED:,} would have to be compared: "
                                   "ask for one by `eq`, or page without order.")  # fmt: skip
        found = [self._resource(*pair) for pair in pairs]
        if wanted is not None:
            found = [each for each in found if wanted.match(each)]
        if search_request.sort_by is not None:
            found = _sorted(found, search_request)
        return SearchPage(len(found), found[start : None if count is None else start + count])

    def _candidates(self, directory: Directory, condition: Any) -> Iterable[Row]:
        """The rows of the tenant; of `userName eq "x"` those alone that have that name."""
        match condition:
            case Comparison(op=CompareOperator.eq, value=str(value)):
                kept = directory.of(str(condition.attr_path))
                if kept is not None and ATTRIBUTES[directory.resource][kept.attribute] == "text":
                    find = self._engine.directories.with_text
                    return find(directory, kept.field, value, self._owner)
        return list(self._engine.directories.rows(directory, self._owner))

    def _directory(self, resource_type: ResourceType) -> Directory:
        return self._engine.program.directories[RESOURCES[str(resource_type.name)]]

    def _row(self, directory: Directory, key: str) -> Row:
        row = self._engine.state.get(directory.entity, key)
        if row is None or (directory.owner is not None and row[directory.owner] != self._owner):
            raise NotFoundException(detail=f"There is no {directory.entity} {key[:80]!r}.")
        return row

    def _key(self, directory: Directory) -> str:
        return self._engine.program.entities[directory.entity].key

    def _resource(self, directory: Directory, row: Row) -> Resource[Any]:
        name = next(n for n, resource in RESOURCES.items() if resource == directory.resource)
        data: dict[str, Any] = {}
        for kept in directory.kept:
            value = self._shown(directory, kept, row)
            if value is not None:
                _put(data, kept.attribute, value)
        key = str(row[self._key(directory)])
        if directory.resource == "users":
            groups = self._groups(key)
            data |= {"groups": groups} if groups else {}
        version = sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:24]
        model: type[Resource[Any]] = self._provider.model_for(name)  # type: ignore[assignment]
        schemas = [str(model.__schema__)] + [ENTERPRISE_URN] * (ENTERPRISE_URN in data)
        meta = {
            "resourceType": name, "created": row["created_at"].isoformat(),
            "lastModified": row["updated_at"].isoformat(), "version": f'W/"{version}"',
        }  # fmt: skip
        return model.model_validate({"schemas": schemas, "id": key, "meta": meta, **data})

    def _shown(self, directory: Directory, kept: Kept, row: Row) -> Any:
        """An attribute as a resource has it; None where there is nothing to show."""
        value = row[kept.field]
        match ATTRIBUTES[directory.resource][kept.attribute]:
            case "bool":
                return None if value is None else directory.is_active(row)
            case "values":
                values = value if isinstance(value, list) else [value]
                entries = [
                    {name: part for name, part in each.items() if part is not None}
                    if isinstance(each, dict) else
                    {"value": each, **_typed(kept.attribute, number)}
                    for number, each in enumerate(values)
                    if each
                ]  # fmt: skip
                return entries or None
            case "members":
                return [
                    {"value": each, "$ref": f"Users/{each}", "type": "User"} for each in value or ()
                ] or None
            case "manager":
                return {"value": value, "$ref": f"Users/{value}"} if value else None
        return value or None

    def _groups(self, key: str) -> list[dict[str, Any]]:
        """The groups of a user; worked out once for all users of a search."""
        if self._joined is None:
            self._joined = {}
            group = self._engine.program.directories.get("groups")
            members = group.of("members") if group is not None else None
            for row in self._engine.directories.rows(group, self._owner) if group else ():
                about = self._group(group, row) if group else {}
                for each in row[members.field] or () if members else ():
                    self._joined.setdefault(each, []).append(about)
        return self._joined.get(key, [])

    def _group(self, group: Directory, row: Row) -> dict[str, Any]:
        key, name = str(row[self._key(group)]), group.of("displayName")
        shown = self._shown(group, name, row) if name is not None else None
        return {"value": key, "$ref": f"Groups/{key}", "display": shown, "type": "direct"}

    # --- changing ------------------------------------------------------------------------------

    def create(self, resource_type: ResourceType, resource: Resource[Any]) -> Resource[Any]:
        """A new row, made by the event that says so."""
        directory = self._directory(resource_type)
        changes = {k: v for k, v in self._values(directory, resource).items() if v is not None}
        event_id = f"scim_{token_hex(12)}"
        key = f"{snake(directory.entity)}_{event_id[5:]}"
        self._check_unique(directory, changes, "")
        data: dict[str, Any] = {"changes": changes}
        members = self._members(directory, resource)
        if members:
            data["joined"] = self._known(members)
        self._tell(event_id, directory, "provisioned", key, data)
        return self._resource(directory, self._row(directory, key))

    def update(
        self, resource_type: ResourceType, resource: Resource[Any], *,
        expected_version: str | None = None,
    ) -> Resource[Any]:  # fmt: skip
        """A changed row, by an event that says what has changed; none where nothing has."""
        directory, key = self._directory(resource_type), str(resource.id)
        row = self._row(directory, key)
        self._check_version(directory, row, expected_version)
        values = self._values(directory, resource)
        before = self._values(directory, self._resource(directory, row))
        changes = {name: value for name, value in values.items() if value != before[name]}
        self._check_unique(directory, changes, key)
        data: dict[str, Any] = {"changes": changes}
        kept = directory.of("members")
        if kept is not None:
            held, wanted = row[kept.field] or [], self._members(directory, resource)
            data["joined"] = self._known([each for each in wanted if each not in held])
            data["left"] = [each for each in held if each not in wanted]
        if changes or data.get("joined") or data.get("left"):
            verb = self._verb(directory, row, changes)
            self._tell(f"scim_{token_hex(12)}", directory, verb, key, data)
        return self._resource(directory, self._row(directory, key))

    def delete(
        self, resource_type: ResourceType, resource_id: str, *,
        expected_version: str | None = None,
    ) -> None:  # fmt: skip
        """Takes a row away, once the handlers of the event have run."""
        directory = self._directory(resource_type)
        self._check_version(directory, self._row(directory, resource_id), expected_version)
        self._tell(f"scim_{token_hex(12)}", directory, "deprovisioned", resource_id, {})

    def _check_version(self, directory: Directory, row: Row, expected: str | None) -> None:
        if expected is not None:
            meta = self._resource(directory, row).meta
            if meta is None or meta.version != expected:
                raise PreconditionFailedException

    def _verb(self, directory: Directory, row: Row, changes: Mapping[str, Any]) -> str:
        active = directory.of("active")
        before = directory.is_active(row)
        if active is None or directory.is_active({**row, **changes}) == before:
            return "updated"
        return "deactivated" if before else "reactivated"

    def _values(self, directory: Directory, resource: Resource[Any]) -> dict[str, Any]:
        """What the fields of a row would be, as JSON: None where there is no such attribute."""
        data = resource.model_dump()
        found: dict[str, Any] = {}
        for kept in directory.kept:
            kind = ATTRIBUTES[directory.resource][kept.attribute]
            value = _take(data, kept.attribute)
            match kind:
                case "members":
                    continue
                case "bool" if kept.on is not None:
                    # Who is not said to be inactive is active.
                    value = kept.off if value is False else kept.on
                case "bool" if value is None and not self._optional(directory, kept):
                    value = True
                case "values":
                    value = self._kept_values(directory, kept, value)
                case "manager":
                    key = value.get("value") if isinstance(value, dict) else None
                    value = self._known([key])[0] if key else None
            found[kept.field] = value
        return found

    def _optional(self, directory: Directory, kept: Kept) -> bool:
        return self._engine.program.entities[directory.entity].fields[kept.field].optional

    def _kept_values(self, directory: Directory, kept: Kept, entries: Any) -> Any:
        """Values of a multi-valued attribute: all, or of one field's worth the primary one."""
        field = self._engine.program.entities[directory.entity].fields[kept.field]
        inner = known(field.type)
        given = [entry for entry in entries or () if entry.get("value")]
        if isinstance(inner, ListOf) and isinstance(shape := known(inner.item), Record):
            return [{name: entry.get(name) for name, _ in shape.fields} for entry in given]
        ordered = [entry["value"] for entry in given if entry.get("primary")]
        ordered += [entry["value"] for entry in given if not entry.get("primary")]
        if isinstance(inner, ListOf):
            return list(dict.fromkeys(ordered))
        return ordered[0] if ordered else None

    def _members(self, directory: Directory, resource: Resource[Any]) -> list[str]:
        if directory.of("members") is None:
            return []
        entries = _take(resource.model_dump(), "members") or []
        return list(dict.fromkeys(entry["value"] for entry in entries if entry.get("value")))

    def _known(self, keys: list[str]) -> list[str]:
        """Keys of users of this tenant."""
        users = self._engine.program.directories["users"]
        for key in keys:
            try:
                self._row(users, key)
            except NotFoundException:
                raise InvalidValueException(detail=f"There is no user {key[:80]!r}.") from None
        return keys

    def _check_unique(self, directory: Directory, changes: Mapping[str, Any], key: str) -> None:
        engine, entity = self._engine, self._engine.program.entities[directory.entity]
        for kept in directory.kept:
            value = changes.get(kept.field)
            if not isinstance(value, str):
                continue
            taken = False
            if kept.attribute == "userName":
                same = engine.directories.with_text(directory, kept.field, value, self._owner)
                taken = any(row[entity.key] != key for row in same)
            if entity.fields[kept.field].unique and not taken:
                rows = engine.state.select(directory.entity, {kept.field: value}, (), (), 1)
                taken = any(row[entity.key] != key for row in rows)
            if taken:
                raise UniquenessException(detail=f"{kept.attribute} {value[:80]!r} is taken.")

    def _tell(
        self, id_: str, directory: Directory, verb: str, key: str, data: dict[str, Any]
    ) -> None:
        """Has the business handle an event of the directory; what it refuses is refused here."""
        about: dict[str, Any] = {snake(directory.entity): key}
        if directory.owner is not None:
            about[directory.owner] = self._owner
        event = {
            "id": id_, "type": f"{directory.entity}.{verb}", "source": self._source,
            "data": {**about, **{name: value for name, value in data.items() if value}},
        }  # fmt: skip
        self._joined = None
        line = self._business.read(1, encode(event), self._now, None)
        if line.reason is None:
            self._business.handle([line])
        receipt = line.receipt
        if line.reason is not None or receipt is None or receipt.status == "rejected":
            reason = line.reason or (receipt.reason if receipt else None) or "it was refused"
            raise InvalidValueException(detail=f"{reason[:1].upper()}{reason[1:]}")


def _sorted(found: list[Resource[Any]], request: SearchRequest[Any]) -> list[Resource[Any]]:
    """Resources by the attribute that was asked for, those without it last."""
    down = request.sort_order == SearchRequest.SortOrder.descending
    value: Callable[[Resource[Any]], Any] = request.sort_value
    present = [(value(each), each) for each in found]
    some = [pair for pair in present if pair[0] is not None]
    some.sort(key=lambda pair: (pair[0], str(pair[1].id)), reverse=down)
    return [each for _, each in some] + [each for at, each in present if at is None]


def _typed(attribute: str, number: int) -> dict[str, Any]:
    """The first address or number that is kept is the primary one, for work."""
    if attribute not in FOR_WORK:
        return {}
    return {"primary": number == 0, **({"type": "work"} if number == 0 else {})}


def _put(data: dict[str, Any], attribute: str, value: Any) -> None:
    if attribute in ENTERPRISE:
        data.setdefault(ENTERPRISE_URN, {})[attribute] = value
        return
    head, _, part = attribute.partition(".")
    if part:
        data.setdefault(head, {})[part] = value
    else:
        data[head] = value


def _take(data: Mapping[str, Any], attribute: str) -> Any:
    if attribute in ENTERPRISE:
        return (data.get(ENTERPRISE_URN) or {}).get(attribute)
    head, _, part = attribute.partition(".")
    value = data.get(head)
    return (value or {}).get(part) if part else value
