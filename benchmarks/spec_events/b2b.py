"""The year of `specs/b2b-saas`: organisations, their people, what they use, what troubles them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random
from typing import Any

from .telling import BAD_CARDS, GOOD_CARD, YEAR_END, Event, Story, at, later

STEPS = (
    "Verify email", "Add team members", "Configure settings", "Create first project",
    "Set up billing",
)  # fmt: skip
INDUSTRIES = ("logistics", "retail", "health", "software")
NAMES = ("Harbour", "Lantern", "Meadow", "Northwind", "Orchard", "Pebble", "Quarry", "Rowan")


def b2b_saas(rng: Random) -> Iterator[Event]:
    """24 organisations: on trial, growing, short of quota, late with money, on their way out."""
    for number, category in enumerate(("technical", "billing", "other", "technical")):
        yield at(rng, 0), "Agent.joined", {"id": f"agent{number}", "category": category}
    for number in range(24):
        key, when = f"o{number:02}", at(rng, 1 + 12 * number + rng.randrange(10))
        domain = f"{NAMES[number % 8].lower()}{number}.example"
        data: dict[str, Any] = {"id": key, "name": f"{NAMES[number % 8]} {number}"}
        data |= {"email": f"it@{domain}", "employees": rng.choice((12, 90, 700))}
        data |= {"industry": rng.choice(INDUSTRIES), "card": number % 11 != 7}
        yield when, "Organization.signup", data
        yield when + timedelta(minutes=2), "Admin.named", _person(key, "admin", domain)
        until = YEAR_END
        if number % 6 == 4:
            until = later(rng, when, 40, 160)
            leaves = {"organization": key, "by": f"{key}-admin"}
            yield until, "Organization.leaves", leaves
        if number % 8 != 6:
            yield from _onboards(rng, key, when)
        yield from _works(rng, key, domain, when, until)
        yield from _pays(rng, key, number, when)
        if number % 5 == 2:
            yield from _directory(key, domain, when)


def _person(key: str, name: str, domain: str) -> dict[str, Any]:
    person = {"organization": key, "id": f"{key}-{name}", "email": f"{name}@{domain}"}
    return {**person, "given_name": name.title(), "family_name": "Example"}


def _directory(key: str, domain: str, when: datetime) -> Iterator[Event]:
    """Somebody whom the organisation's directory brings, and takes away again."""
    about = {"user": f"{key}-pat", "organization": key}
    changes = {"login": "pat", "email": f"pat@{domain}", "given_name": "Pat", "family_name": "E."}
    yield when + timedelta(hours=4), "User.provisioned", {**about, "changes": changes}
    joined = {"team": f"{key}-eng", "organization": key, "joined": [f"{key}-pat"]}
    yield when + timedelta(hours=5), "Team.updated", joined
    yield when + timedelta(days=20), "User.deactivated", about
    yield when + timedelta(days=50), "User.deprovisioned", about


def _onboards(rng: Random, key: str, when: datetime) -> Iterator[Event]:
    """All steps in a week or two, or most of them and never the last."""
    for step in STEPS[: rng.choice((3, 5, 5, 5, 5))]:
        when = later(rng, when, 0, 4)
        yield when, "Onboarding.done", {"customer": key, "step": step}


def _works(rng: Random, key: str, domain: str, when: datetime, until: datetime) -> Iterator[Event]:
    """A team, people who sign in and call, projects, tickets, a survey each quarter."""
    team, admin = f"{key}-eng", {"organization": key, "by": f"{key}-admin"}
    when += timedelta(hours=1)
    yield when, "Team.create", {"organization": key, "id": team, "name": "Engineering"}
    people = ["admin", *(f"dev{n}" for n in range(rng.randrange(1, 5)))]
    for name in people[1:]:
        when += timedelta(minutes=30)
        yield when, "Member.invited", {**_person(key, name, domain), **admin, "team": team}
    calls, tickets = rng.choice((900, 8_000, 40_000)), 0
    while (when := later(rng, when, 5, 10)) < until:
        user = {"organization": key, "user": f"{key}-{rng.choice(people)}"}
        yield when, "User.signed_in", {**user, "provider": "email"}
        called = {"organization": key, "units": rng.randrange(1, calls)}
        yield when + timedelta(hours=1), "API.called", called
        if rng.randrange(8) == 0:
            project = {"organization": key, "name": f"Project {when:%j}"}
            yield when + timedelta(hours=2), "Project.created", project
        if rng.randrange(7) == 0:
            tickets += 1
            yield from _ticket(rng, user, f"{key}-t{tickets}", when + timedelta(hours=3))
        if rng.randrange(12) == 0:
            score = {"customer": key, "score": rng.choice((3, 6, 7, 8, 9, 9, 10))}
            yield when + timedelta(hours=4), "Survey.answered", score


def _ticket(rng: Random, user: dict[str, Any], id: str, when: datetime) -> Iterator[Event]:
    """Answered within hours or days, and resolved."""
    subject = rng.choice(("An import fails", "Where is my invoice?", "It is slow today"))
    yield when, "Ticket.opened", {**user, "id": id, "subject": subject, "description": subject}
    when += timedelta(minutes=rng.choice((20, 90, 400, 2_000)))
    yield when, "Ticket.answered", {"ticket": id, "text": "We are looking into it."}
    solved = {"ticket": id, "resolution": "It works again."}
    yield when + timedelta(hours=rng.choice((1, 5, 40))), "Ticket.resolved", solved


def _pays(rng: Random, key: str, number: int, when: datetime) -> Iterator[Event]:
    """Another plan, a discount, a card that fails and, mostly, another one."""
    by = {"organization": key, "by": f"{key}-admin"}
    if number % 4 == 1:
        plan = rng.choice(("starter", "enterprise"))
        choice = {**by, "plan": plan, "immediate": plan == "enterprise"}
        yield later(rng, when, 20, 90), "Plan.chosen", choice
    if number % 9 == 3:
        yield later(rng, when, 1, 10), "Discount.given", {"organization": key, "coupon": "FOUNDERS"}
    if number % 11 == 7:  # a bill by mail at first
        card = {"organization": key, "payment_method": GOOD_CARD}
        yield later(rng, when, 30, 60), "Card.changed", card
    if number % 7 == 2:
        failing = when + timedelta(days=40)
        bad = {"organization": key, "payment_method": rng.choice(BAD_CARDS)}
        yield failing, "Card.changed", bad
        if number != 9:
            better = {"organization": key, "payment_method": GOOD_CARD}
            yield later(rng, failing, 6, 30), "Card.changed", better


YEARS: dict[str, Story] = {"b2b-saas/b2b-saas": b2b_saas}
