"""Tenants: what belongs to one is never seen from another.

A row belongs to the tenant that it names, or that a row names to which it refers. A handler sees
its event's tenant only; rows that belong to none are everybody's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..diagnostics import an
from ..errors import Refusal
from ..lang.types import EntityType, ListOf, Type, known
from ..model import Event
from ..store.base import Row

if TYPE_CHECKING:
    from ..ir.program import Entity, Program
    from .engine import Engine


class Tenancy:
    """The tenants of one program: by which fields a row leads to its own."""

    def __init__(self, engine: Engine, tenant: str) -> None:
        self.engine = engine
        self.tenant = tenant
        self._paths = {name: self._path(name) for name in engine.program.entities}

    def _path(self, entity: str) -> tuple[tuple[str, str], ...] | None:
        """The shortest way of references to the tenant: fields and what they refer to."""
        entities = self.engine.program.entities
        queue: deque[tuple[str, tuple[tuple[str, str], ...]]] = deque([(entity, ())])
        seen = {entity}
        while queue:
            name, path = queue.popleft()
            if name == self.tenant:
                return path
            for field, target in entities[name].references.items():
                if target not in seen and target in entities:
                    seen.add(target)
                    queue.append((target, (*path, (field, target))))
        return None

    def own_field(self, entity: str) -> str | None:
        """The field by which rows of an entity name their tenant themselves."""
        path = self._paths[entity]
        return path[0][0] if path and len(path) == 1 else None

    def of_row(self, entity: str, key: str, row: Mapping[str, Any] | None) -> str | None:
        """The tenant of a row, none where it belongs to none."""
        path = self._paths.get(entity)
        if path is None:
            return None
        if not path:
            return key
        for field, target in path:
            found = row.get(field) if row is not None else None
            if not isinstance(found, str):
                return None
            key = found
            row = self.engine.state.get(target, key) if target != self.tenant else None
        return key

    def of_key(self, entity: str, key: Any) -> str | None:
        """The tenant of what a key refers to."""
        if not isinstance(key, str) or entity not in self._paths:
            return None
        return self.of_row(entity, key, self.engine.state.get(entity, key))

    def of_event(self, event: Event | None) -> str | None:
        """The tenant of an event: inherited, or that of the first row its payload refers to."""
        if event is None:
            return None
        if event.tenant is None:
            event.tenant = self._of_payload(event)
        return event.tenant

    def _of_payload(self, event: Event) -> str | None:
        declared = self.engine.program.events.get(event.type)
        if declared is not None:
            for name, type_ in declared.payload.fields:
                entity = known(type_)
                if isinstance(entity, EntityType):
                    tenant = self.of_key(entity.name, event.data.get(name))
                    if tenant is not None:
                        return tenant
        return self.of_key(event.type.partition(".")[0], event.subject)

    def sees(self, tenant: str | None, entity: str, key: str, row: Row) -> bool:
        """Whether a tenant's handler may see a row."""
        if tenant is None or self._paths.get(entity) is None:
            return True
        return self.of_row(entity, key, row) in (None, tenant)

    def check(self, tenant: str | None, references: Iterable[tuple[str, Any]]) -> None:
        """What a tenant's work refers to is its own, or nobody's: else it is not there."""
        if tenant is None:
            return
        for entity, key in references:
            if isinstance(key, str) and self.of_key(entity, key) not in (None, tenant):
                raise Refusal(f"there is no {entity} `{key[:80]}`")

    def claim(self, tenant: str | None, entity: str, data: dict[str, Any]) -> None:
        """A new row belongs to the tenant that makes it; never to another."""
        field = self.own_field(entity)
        if tenant is None or field is None:
            return
        if data.get(field) is None:
            data[field] = tenant
        elif data[field] != tenant:
            raise Refusal(f"{an(entity)} of another {self.tenant} can't be made here")


def row_references(entity: Entity, changes: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """What fields of a row refer to."""
    for name, value in changes.items():
        field = entity.fields.get(name)
        if value is not None and field is not None:
            yield from references(field.type, value)


# Built-in functions whose first argument is a customer, and one that shows a document.
_OF_CUSTOMERS = frozenset(
    (
        "usage", "limit", "remaining", "credit_balance", "credit_expires", "preview",
        "has_feature", "ltv",
    )
)  # fmt: skip
_DOCUMENTS = ("Invoice", "Payment", "CreditNote")


def asked_of(program: Program, name: str, args: Sequence[Any]) -> Iterator[tuple[str, Any]]:
    """The rows that a built-in function is asked about."""
    if name in _OF_CUSTOMERS and args and program.bills is not None:
        yield program.bills, args[0]
    elif name == "preview_of" and args:
        begins = len(args) > 1 and args[1] == "subscribe"
        yield (program.bills or "Subscription") if begins else "Subscription", args[0]
    elif name == "estimate" and len(args) > 2 and program.bills is not None:
        yield program.bills, args[2]
    elif name == "pdf":
        yield from ((entity, args[0]) for entity in _DOCUMENTS)


def foreign(engine: Engine, owner: str | None, type_: str, data: Any) -> str | None:
    """Why an event that a customer sends is not about what is that customer's own; none if it is.

    What belongs to whom is told by references: to the tenant, or to who pays where there is none.
    """
    program = engine.program
    declared = program.events.get(type_)
    if program.bills is None or owner is None or declared is None or not declared.declared:
        return f"a customer's token sends events that the spec declares, and {type_} is not"
    if declared.origin in ("directory", "sign_in"):
        return f"{type_} is told by a directory or a sign-in, never by a customer's token"
    teller = type_.partition(".")[0].lower()
    if declared.origin != "author" or teller in _tellers(program):
        return f"{type_} is told by bizrun or a service, never by a customer's token"
    found = engine.tenancy or Tenancy(engine, program.bills)
    own = found.of_key(program.bills, owner)
    if own is None:
        return f"there is no {program.bills} `{owner}`, whose token this is"
    fields = data if isinstance(data, dict) else {}
    keys = [
        found.of_key(entity, key)
        for name, declaration in declared.payload.fields
        for entity, key in references(declaration, fields.get(name))
    ]
    if any(key not in (None, own) for key in keys):
        return f"it is about another {found.tenant} than the token's"
    if own not in keys:
        return f"nothing in it says that it is about the token's own {found.tenant}"
    return None


def _tellers(program: Program) -> set[str]:
    """The services whose webhooks are events, as names of those begin, in small letters."""
    return {"stripe", "paypal", *(name.replace("_", "").lower() for name in program.connections)}


def untold(program: Program, type_: str, told: bool = False) -> str | None:
    """Why an event is not taken from outside, but from an administrator: bizrun itself tells it,
    of its own rows, or it is `told` by a processor's webhooks, and who hears it believes so. None
    where it is taken."""
    if told:
        return f"{type_} moves money, and comes by a webhook: only an admin's token may send it"
    declared = program.events.get(type_)
    if declared is None or declared.origin not in ("billing", "change", "trigger"):
        return None
    return f"{type_} is what bizrun tells of its own doing: only an admin's token may send it"


def references(type_: Type, value: Any) -> Iterator[tuple[str, Any]]:
    """The entity and the key of each reference in a value of a payload."""
    match known(type_):
        case EntityType(entity):
            yield entity, value.get("id") if isinstance(value, dict) else value
        case ListOf(item) if isinstance(value, list):
            for part in value:
                yield from references(item, part)
