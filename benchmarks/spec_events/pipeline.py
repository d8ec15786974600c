"""The year of `specs/billing-pipeline.biz`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random

from .telling import BAD_CARDS, GOOD_CARD, YEAR_END, Event, Story, at, later, person


def billing_pipeline(rng: Random) -> Iterator[Event]:
    """60 customers on three plans: some change, some leave, the cards of some fail for a while."""
    for number in range(60):
        customer, when = f"c{number:02}", at(rng, rng.randrange(1, 300))
        data = {"id": customer, "email": person(number), "country": rng.choice(("US", "US", "DE"))}
        if number % 20 == 12:
            data["payment_method"] = rng.choice(BAD_CARDS)
        if number % 20 == 4:
            data["by_transfer"] = True
        yield when, "Customer.added", data
        plan = "volume" if number % 20 == 4 else rng.choice(("basic", "basic", "pro"))
        chosen = later(rng, when, 0, 2)
        choice = {"customer": customer, "plan": plan}
        if number % 7 == 2:
            choice["coupon"] = "WELCOME25"
        yield chosen, "Plan.chosen", choice
        until = YEAR_END if number % 20 != 12 else later(rng, chosen, 20, 60)
        match number % 10:
            case 1 | 6:
                other = "pro" if plan == "basic" else "basic"
                changed = later(rng, chosen, 20, 150)
                yield changed, "Plan.chosen", {"customer": customer, "plan": other}
            case 3:
                until = later(rng, chosen, 5, 120)
                yield until, "Customer.leaves", {"customer": customer}
            case 8:
                failing = chosen + timedelta(days=40)
                better = later(rng, failing, 5, 50)
                yield failing, "Card.changed", _card(customer, rng.choice(BAD_CARDS))
                if number % 20 == 8:
                    yield better, "Card.changed", _card(customer, GOOD_CARD)
                else:
                    until = better
        yield from _requests(rng, customer, plan, (chosen, until))


def _card(customer: str, payment_method: str) -> dict[str, str]:
    return {"customer": customer, "payment_method": payment_method}


def _requests(
    rng: Random, customer: str, plan: str, between: tuple[datetime, datetime]
) -> Iterator[Event]:
    """What the customer's programs ask for, counted by the gateway about every ten days."""
    sizes = {"basic": (60, 200, 500), "pro": (400, 2_000, 5_000), "volume": (9_000, 60_000)}
    most = rng.choice(sizes[plan])
    when = later(rng, between[0], 0, 3)
    while when < between[1]:
        yield when, "API.request", {"customer": customer, "units": rng.randrange(1, most)}
        when = later(rng, when, 6, 14)


YEARS: dict[str, Story] = {"billing-pipeline": billing_pipeline}
