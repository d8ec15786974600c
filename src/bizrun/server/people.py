"""Who is meant by a sign-in's claims or a session, as the rows say it now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from secrets import token_hex
from typing import Any

from ..ir.identity import Directory, SignIn
from ..lang.check.directories import ATTRIBUTES
from ..lang.types import ListOf, known
from ..runtime.dispatch import snake
from ..runtime.tenancy import Tenancy
from ..store.base import Row
from ..store.sessions import Session
from ..values import instant
from .business import Business
from .problems import Problem, encode

# Claims of OpenID Connect Core 5.1 as attributes of SCIM.
CLAIMS = {
    "userName": ("preferred_username", "email", "sub"),
    "externalId": ("sub",),
    "emails": ("email",),
    "displayName": ("name",),
    "nickName": ("nickname",),
    "name.givenName": ("given_name",),
    "name.familyName": ("family_name",),
    "name.middleName": ("middle_name",),
    "locale": ("locale",),
    "timezone": ("zoneinfo",),
    "phoneNumbers": ("phone_number",),
}
MOST_TEXT = 500


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody: the row that a session is for."""

    entity: str
    key: str


def admit(
    business: Business, sign_in: SignIn, tenant: str | None, claims: Mapping[str, Any],
    now: datetime,
) -> Person:  # fmt: skip
    """Who has signed in, once the business has heard of it; a Problem where they are not let in.

    `tenant` is the one whose provider has said so: it vouches for nobody else's people.
    """
    engine = business.engine
    if engine.clock is not None:
        now = max(now, engine.clock)
    row = _found(business, sign_in, tenant, claims)
    if row is None:
        row = _provisioned(business, sign_in, tenant, claims, now)
    key = str(row[engine.program.entities[sign_in.entity].key])
    if not engine.directories.may_enter(sign_in.entity, key):
        raise Problem(403, "You are not active here any more: ask your administrator.")
    data = {snake(sign_in.entity): key, "provider": sign_in.name}
    if sign_in.owner is not None:
        data[sign_in.owner] = row[sign_in.owner]
    _tell(business, f"{sign_in.entity}.signed_in", sign_in.name, data, now)
    return Person(sign_in.entity, key)


def _found(
    business: Business, sign_in: SignIn, tenant: str | None, claims: Mapping[str, Any]
) -> Row | None:
    """The one row that the claims find, among the tenant's own where a tenant has asked."""
    wanted = {}
    for claim, field in sign_in.find:
        value = claims.get(claim)
        if not isinstance(value, str) or not value or len(value) > MOST_TEXT:
            raise Problem(403, f"The provider does not say your `{claim}`.")
        if claim == "email":
            _check_email(tenant, claims)
        wanted[field] = value.lower()
    equals = {sign_in.owner: tenant} if tenant is not None and sign_in.owner else {}
    exact = {field: claims[claim] for claim, field in sign_in.find}
    state = business.engine.state
    rows = list(state.select(sign_in.entity, {**equals, **exact}, (), (), 2))
    if not rows:
        rows = [
            row for row in state.select(sign_in.entity, equals)
            if all((row[field] or "").lower() == value for field, value in wanted.items())
        ]  # fmt: skip
    if len(rows) > 1:
        raise Problem(403, "More than one person here is meant by what the provider says.")
    return rows[0] if rows else None


def _check_email(tenant: str | None, claims: Mapping[str, Any]) -> None:
    """An address counts where its owner was seen to have it. A company's own provider may leave
    that out: it vouches for its own people alone."""
    verified = claims.get("email_verified")
    if verified in (True, "true"):
        return
    if tenant is None or verified is not None:
        raise Problem(403, "The provider has not verified your email address.")


def _provisioned(
    business: Business, sign_in: SignIn, tenant: str | None, claims: Mapping[str, Any],
    now: datetime,
) -> Row:  # fmt: skip
    """The row of somebody who comes for the first time, where the spec lets them in like that."""
    engine = business.engine
    directory = engine.directories.by_entity.get(sign_in.entity)
    tenants = engine.tenancy is not None
    if (
        sign_in.settings.get("provision") is not True
        or directory is None
        or (tenants and tenant is None)
    ):
        raise Problem(403, "Nobody here is known by what the provider says of you.")
    changes = {}
    for kept in directory.kept:
        value = next(
            (v for name in CLAIMS.get(kept.attribute, ()) if (v := claims.get(name))), None
        )
        if isinstance(value, str) and len(value) <= MOST_TEXT:
            changes[kept.field] = _as_kept(business, directory, kept.attribute, value)
    id_ = f"sign_in_{token_hex(12)}"
    key = f"{snake(sign_in.entity)}_{id_[8:]}"
    data: dict[str, Any] = {snake(sign_in.entity): key, "changes": changes}
    if directory.owner is not None:
        data[directory.owner] = tenant
    _tell(business, f"{sign_in.entity}.provisioned", sign_in.name, data, now, id_)
    row = engine.state.get(sign_in.entity, key)
    if row is None:
        raise Problem(403, "You could not be let in.")
    return row


def _as_kept(business: Business, directory: Directory, attribute: str, value: str) -> Any:
    if ATTRIBUTES["users"][attribute] != "values":
        return value
    kept = directory.of(attribute)
    assert kept is not None
    type_ = known(business.program.entities[directory.entity].fields[kept.field].type)
    if not isinstance(type_, ListOf):
        return value
    return [value if known(type_.item).__class__.__name__ != "Record" else {"value": value}]


def _tell(
    business: Business, type_: str, name: str, data: Mapping[str, Any], now: datetime,
    id_: str | None = None,
) -> None:  # fmt: skip
    """Has the business handle an event; a Problem with the reason where it refuses."""
    event = {
        "id": id_ or f"sign_in_{token_hex(12)}", "type": type_, "source": f"sign_in {name}",
        "data": data,
    }  # fmt: skip
    line = business.read(1, encode(event), now, None)
    if line.reason is None:
        business.handle([line])
    receipt = line.receipt
    if line.reason is not None or receipt is None or receipt.status == "rejected":
        reason = line.reason or (receipt.reason if receipt else None) or "it was refused"
        raise Problem(403, f"You are not let in: {reason}.")


# --- sessions ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Standing:
    """What a session's holder is now: `customer` is the key of an entity that is asked for."""

    tenant: str | None
    role: str | None
    customer: str | None


def standing(business: Business, session: Session, entity: str | None) -> Standing:
    """What somebody is now, for a route that is asked for an entity; a Problem (401, 403) where
    their session has ended, or they are nobody like that."""
    engine = business.engine
    row = engine.state.get(session.entity, session.key)
    out = engine.directories.signed_out(session.entity, session.key)
    sign_in = business.program.sign_ins.get(session.provider)
    ended = out is not None and instant(session.began) <= out
    if row is None or sign_in is None or ended or sign_in.entity != session.entity:
        raise Problem(401, "This session has ended: sign in again.")
    if not engine.directories.may_enter(session.entity, session.key):
        raise Problem(401, "This session has ended: you are not active here any more.")
    role = row.get(sign_in.role) if sign_in.role is not None else None
    tenancy = engine.tenancy
    tenant = tenancy.of_key(session.entity, session.key) if tenancy is not None else None
    if tenancy is not None and tenant is None:
        raise Problem(403, f"You belong to no {tenancy.tenant}.")
    if entity is None or entity == session.entity:
        return Standing(tenant, role, session.key)
    customer = Tenancy(engine, entity).of_key(session.entity, session.key)
    if customer is None:
        raise Problem(403, f"You belong to no {entity}, for which this is asked.")
    return Standing(tenant, role, customer)
