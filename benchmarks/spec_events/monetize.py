"""The years of the businesses in `specs/monetize`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from random import Random

from .telling import BAD_CARDS, YEAR_END, Event, Story, at, later, person

PROMPTS = ("A page on tea", "A letter to customers", "News of the week", "A job advertisement")


def content_service(rng: Random) -> Iterator[Event]:
    """30 users who have texts written, a few of them ten thousand words a month and more."""
    for number in range(30):
        user, when = f"u{number:02}", at(rng, rng.randrange(1, 300))
        yield when, "User.signup", {"id": user, "email": person(number)}
        most = rng.choice((300, 900, 2_500, 5_200))
        while (when := later(rng, when, 1, 25)) < YEAR_END:
            if rng.randrange(8):
                words = {"user": user, "words": rng.randrange(50, most)}
                yield when, "Content.written", words
            else:
                wanted = {"user": user, "prompt": rng.choice(PROMPTS)}
                yield when, "Content.wanted", {**wanted, "words": rng.randrange(50, most)}


def hybrid(rng: Random) -> Iterator[Event]:
    """45 users of five plans; what they use is counted by the week, some have help, some
    can't pay."""
    plans = ("platform", "analytics", "starter", "professional", "enterprise")
    for number in range(45):
        user, plan = f"u{number:02}", plans[number % 5]
        when = at(rng, rng.randrange(1, 280))
        data = {"id": user, "email": person(number), "plan": plan}
        if number % 15 == 8:
            data["payment_method"] = rng.choice(BAD_CARDS)
        yield when, "User.subscribes", data
        if number % 4 == 1:
            yield when + timedelta(days=2), "Setup.ordered", {"user": user}
        disk, calls = rng.randrange(1, 40), rng.choice((400, 3_000, 16_000))
        while (when := later(rng, when, 6, 9)) < YEAR_END:
            called = {"user": user, "units": rng.randrange(1, calls)}
            yield when, "API.called", called
            if rng.randrange(3) == 0 and plan != "analytics":
                disk += rng.randrange(-2, 8)
                held = {"user": user, "bytes": max(disk, 1) * 1024**3}
                yield when + timedelta(hours=1), "Storage.snapshot", held
            if rng.randrange(2) and plan == "analytics":
                read = {"user": user, "bytes": rng.randrange(1, 90) * 1024**3}
                yield when + timedelta(hours=2), "Data.processed", read


def services(rng: Random) -> Iterator[Event]:
    """Eight providers with fifteen services, 50 users who buy some, rate them, and stop."""
    for number in range(8):
        data = {"id": f"p{number}", "email": f"provider{number}@example.com"}
        yield at(rng, number), "Provider.joined", {**data, "account": f"acct_{number}"}
    for number in range(15):
        when = at(rng, 10 + number * 8)
        price = rng.randrange(500, 12_000)
        prices = {"standard": f"{price / 100:.2f} USD", "team": f"{price / 25:.2f} USD"}
        data = {"id": f"s{number:02}", "name": f"Service {number}", "provider": f"p{number % 8}"}
        yield when, "Service.offered", {**data, "prices": prices}
        if number % 7 != 6:
            yield when + timedelta(days=1), "Service.published", {"service": f"s{number:02}"}
    for number in range(50):
        user, when = f"u{number:02}", at(rng, rng.randrange(20, 200))
        data = {"id": user, "email": person(number)}
        able = number % 16 != 5
        if not able:
            data["payment_method"] = rng.choice(BAD_CARDS)
        yield when, "User.joined", data
        for service in rng.sample(range(15), rng.randrange(1, 8)):
            pair = {"user": user, "service": f"s{service:02}"}
            bought = max(later(rng, when, 1, 140), at(rng, 130))
            yield bought, "Service.purchase", {**pair, "plan": rng.choice(("standard", "team"))}
            if not able or service % 7 == 6:
                continue
            if rng.randrange(3) == 0:
                stars = {**pair, "stars": rng.choice((1, 3, 4, 4, 5, 5, 5))}
                yield later(rng, bought, 1, 30), "Service.reviewed", stars
            if rng.randrange(5) == 0:
                yield later(rng, bought, 30, 90), "Access.ends", pair


YEARS: dict[str, Story] = {
    "monetize/content-service": content_service,
    "monetize/hybrid": hybrid,
    "monetize/services": services,
}
