"""What a company directory tells: its events make, change and remove rows before handlers run.

So a handler sees the person as the directory has them now, and what it refuses is refused to the
directory. Only the row of somebody who is deprovisioned goes after the handlers, which may still
ask who it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ..errors import EvalError, Refusal
from ..ir.identity import Directory
from ..model import Event
from ..store.base import Row
from .dispatch import snake
from .tables import BY_AGE
from .work import Work

if TYPE_CHECKING:
    from .engine import Engine

SIGNED_OUT = "_signed_out"


class Directories:
    """The directory of one engine's program: its users and groups, by their entities."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.by_entity = {each.entity: each for each in engine.program.directories.values()}
        # Keys of rows by their texts in small letters, of the fields that somebody has asked for.
        self._texts: dict[tuple[str, str], dict[str, dict[str, None]]] = {}

    def of(self, type_: str) -> Directory | None:
        """The directory that an event type is about."""
        declared = self.engine.program.events.get(type_)
        if declared is None or declared.origin != "directory":
            return None
        return self.by_entity.get(type_.partition(".")[0])

    # --- an event ------------------------------------------------------------------------------

    def read(self, directory: Directory, event: Event) -> None:
        """Reads a payload as it came: who is new is not there yet to be referred to."""
        engine, name = self.engine, snake(directory.entity)
        declared = engine.program.events[event.type].payload
        fields = dict(declared.fields)
        data = event.data
        for unknown in data.keys() - fields.keys():
            raise Refusal(f"`{unknown}` is nothing that {event.type} tells")
        key = data.get(name)
        if not isinstance(key, str) or not key:
            raise Refusal(f"`{name}` must be the key of a {directory.entity}")
        if not event.type.endswith(".provisioned"):
            key = engine.intake.read(key, fields[name], f"`{name}`")
        read: dict[str, Any] = {name: key}
        if directory.owner is not None and data.get(directory.owner) is not None:
            owner = directory.owner
            read[owner] = engine.intake.read(data[owner], fields[owner], f"`{owner}`")
        for each in ("joined", "left"):
            if each in fields:
                read[each] = engine.intake.read(data.get(each) or [], fields[each], f"`{each}`")
        read["changes"] = self._changes(directory, data.get("changes") or {})
        event.data = read
        event.subject = key

    def _changes(self, directory: Directory, changes: Any) -> dict[str, Any]:
        if not isinstance(changes, dict):
            raise Refusal("`changes` must be an object")
        fields = self.engine.program.entities[directory.entity].fields
        members = directory.of("members")
        kept = {k.field for k in directory.kept if k is not members}
        for name in changes.keys() - kept:
            raise Refusal(f"`{name}` is nothing that the directory keeps")
        return {
            name: None if value is None else
            self.engine.intake.read(value, fields[name].type, f"`{name}`")
            for name, value in changes.items()
        }  # fmt: skip

    def before(self, directory: Directory, event: Event) -> None:
        """Makes or changes the row that an event tells of; Refusal where it can't be."""
        work = Work(self.engine, event.time, f"{event.base}/directory", event.envelope(), event)
        entity, data = directory.entity, event.data
        key, changes = str(data[snake(entity)]), dict(data.get("changes") or {})
        verb = event.type.partition(".")[2]
        active = directory.of("active")
        if active is not None and verb in ("deactivated", "reactivated"):
            on, off = (active.on, active.off) if active.on is not None else (True, False)
            changes.setdefault(active.field, on if verb == "reactivated" else off)
        try:
            if verb == "provisioned":
                declared = self.engine.program.entities[entity]
                given = {n: v for n, v in changes.items() if v is not None}
                made = {**given, declared.key: key}
                if directory.owner is not None:
                    made[directory.owner] = data.get(directory.owner) or work.tenant
                work.create(entity, made, "provisioned")
            else:
                self._same_owner(directory, work, key, data)
                if changes:
                    work.update(entity, key, self._cleared(directory, work, changes))
            self._check_name(directory, key, changes)
            self._move_members(directory, work, key, data)
        except EvalError as error:
            raise Refusal(str(error)) from None

    def after(self, directory: Directory, event: Event) -> None:
        """Removes the row of who is deprovisioned."""
        if not event.type.endswith(".deprovisioned"):
            return
        work = Work(self.engine, event.time, f"{event.base}/removed", event.envelope(), event)
        key = event.data[snake(directory.entity)]
        if self.engine.state.get(directory.entity, key) is None:
            return
        if directory.resource == "users":
            for group, row in self.groups_of(key):
                field = self._members()
                held = [each for each in row[field] or () if each != key]
                work.update(group.entity, work.key(group.entity, row), {field: held})
        work.delete(directory.entity, key)

    def _same_owner(self, directory: Directory, work: Work, key: str, data: dict[str, Any]) -> None:
        row = work.row(directory.entity, key)
        owner = data.get(directory.owner or "")
        if owner is not None and row[str(directory.owner)] != owner:
            raise Refusal(f"there is no {directory.entity} `{key[:80]}`")

    def _cleared(self, directory: Directory, work: Work, changes: dict[str, Any]) -> dict[str, Any]:
        """Changes where a field that can't be none goes back to its default."""
        fields = self.engine.program.entities[directory.entity].fields
        return {
            name: self.engine.rows.default(directory.entity, name, work)
            if value is None and not fields[name].optional and fields[name].default is not None
            else value
            for name, value in changes.items()
        }  # fmt: skip

    def _move_members(
        self, directory: Directory, work: Work, key: str, data: dict[str, Any]
    ) -> None:
        joined, left = data.get("joined") or [], data.get("left") or []
        if not joined and not left:
            return
        users = self.engine.program.directories["users"].entity
        for each in joined:
            work.row(users, each)
        field = self._members()
        held = [each for each in work.row(directory.entity, key)[field] or () if each not in left]
        held += [each for each in dict.fromkeys(joined) if each not in held]
        work.update(directory.entity, key, {field: held})

    def _check_name(self, directory: Directory, key: str, changes: dict[str, Any]) -> None:
        name = directory.of("userName")
        if name is None or name.field not in changes:
            return
        row = self.engine.state.get(directory.entity, key)
        assert row is not None
        text, owner = row[name.field], row[directory.owner] if directory.owner else None
        own = self.engine.program.entities[directory.entity].key
        same = self.with_text(directory, name.field, text, owner)
        if any(other[own] != key for other in same):
            raise Refusal(f"there is already a {directory.entity} with {name.field} `{text[:80]}`")

    # --- questions -----------------------------------------------------------------------------

    def rows(self, directory: Directory, owner: str | None) -> Iterator[Row]:
        """The rows of a tenant, as they were created; all where there are no tenants."""
        equals = {} if directory.owner is None else {directory.owner: owner}
        return self.engine.state.select(directory.entity, equals, (), BY_AGE)

    def with_text(
        self, directory: Directory, field: str, value: str, owner: str | None
    ) -> list[Row]:
        """The rows of a tenant with a text, whatever its case (RFC 7643, 2.2)."""
        known = self._texts.get((directory.entity, field))
        if known is None:
            known = self._texts[directory.entity, field] = {}
            for row in self.engine.state.select(directory.entity, {}):
                self._note_text(directory, field, known, row)
        wanted = value.lower()
        rows = [self.engine.state.get(directory.entity, key) for key in known.get(wanted, ())]
        return [
            row for row in rows
            if row is not None and (row[field] or "").lower() == wanted
            and (directory.owner is None or row[directory.owner] == owner)
        ]  # fmt: skip

    def changed(
        self, entity: str, key: str, old: Row | None, row: Row | None, at: datetime
    ) -> None:
        """Whoever is not active any more, by whatever change, is signed out for good."""
        directory = self.by_entity[entity]
        if row is not None:
            self._note(entity, row)
        active = row is not None and directory.is_active(row)
        if old is not None and directory.is_active(old) and not active:
            id_ = f"{entity}|{key}"
            self.engine.state.put(SIGNED_OUT, id_, {"id": id_, "at": at})

    def _note(self, entity: str, row: Row) -> None:
        """Remembers the texts of a new or changed row. Nothing is ever forgotten, since a change
        may be undone: who asks looks at the rows."""
        for (name, field), known in self._texts.items():
            if name == entity:
                self._note_text(self.by_entity[entity], field, known, row)

    def _note_text(
        self, directory: Directory, field: str, known: dict[str, dict[str, None]], row: Row
    ) -> None:
        if row[field]:
            key = self.engine.program.entities[directory.entity].key
            known.setdefault(row[field].lower(), {})[str(row[key])] = None

    def _members(self) -> str:
        found = self.engine.program.directories["groups"].of("members")
        assert found is not None
        return found.field

    def groups_of(self, user: str) -> list[tuple[Directory, Row]]:
        """The groups that somebody is a member of."""
        groups, users = (self.engine.program.directories.get(n) for n in ("groups", "users"))
        if groups is None or users is None or groups.of("members") is None:
            return []
        row = self.engine.state.get(users.entity, user)
        owner = row[users.owner] if row is not None and users.owner is not None else None
        field = self._members()
        return [(groups, each) for each in self.rows(groups, owner) if user in (each[field] or ())]

    # --- sessions ------------------------------------------------------------------------------

    def signed_out(self, entity: str, key: str) -> datetime | None:
        """Until when sessions of somebody have been ended."""
        row = self.engine.state.get(SIGNED_OUT, f"{entity}|{key}")
        return row["at"] if row is not None else None

    def may_enter(self, entity: str, key: str) -> bool:
        """Whether somebody is there, and active."""
        row = self.engine.state.get(entity, key)
        directory = self.by_entity.get(entity)
        return row is not None and (directory is None or directory.is_active(row))
