"""Writes `specs/saas.events.jsonl`: the year 2026 of the 200 customers of `specs/saas.biz`.

    python benchmarks/saas_events.py [FILE]

The same file every time, byte for byte: one seed, integers only. What real streams have is in it:
deliveries that repeat, calls that come late or out of order, an id that is used twice for
different things, a payload that does not fit its declaration, and half a line.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

SEED = 2026
CUSTOMERS = 200
YEAR = datetime(2026, 1, 1, tzinfo=UTC)
YEAR_END = datetime(2027, 1, 1, tzinfo=UTC)
TARGET = Path(__file__).parent.parent / "specs" / "saas.events.jsonl"

PLANS = ("starter",) * 11 + ("pro",) * 7 + ("enterprise",) * 2
UPGRADES = {"starter": "pro", "pro": "enterprise", "enterprise": "pro"}
# Calls in a month: most customers stay within the 10,000 that are included, some go well beyond.
VOLUMES = (400, 900, 1_500, 2_500, 4_000, 6_000, 8_500, 9_900, 10_400, 12_000, 16_000, 25_000)
CALLS_A_MONTH = 19
ENDPOINTS = ("/query", "/events", "/reports", "/dashboards")
INCLUDED = {"starter": 1, "pro": 3, "enterprise": 4}  # how many of the features, in this order
FEATURES = ("basic-analytics", "advanced-analytics", "api-access", "white-label")
BAD_CARDS = (
    "pm_card_visa_chargeDeclined",
    "pm_card_visa_chargeDeclinedInsufficientFunds",
    "pm_card_chargeDeclinedExpiredCard",
    "pm_card_chargeDeclinedProcessingError",
    "pm_card_visa_chargeDeclinedLostCard",
)
BAD_FROM_THE_START = 13  # of every 50 customers, whose card never works
GOOD_CARD = "pm_card_mastercard"
FIRST = ("ada", "alan", "barbara", "dennis", "edsger", "frances", "grace", "hedy", "jean", "ken")
COMPANIES = ("Harbour", "Lantern", "Meadow", "Northwind", "Orchard", "Pebble", "Quarry", "Rowan")
KINDS = ("Analytics", "Bikes", "Foods", "Freight", "Games", "Health", "Labs", "Press", "Travel")


@dataclass(frozen=True, slots=True)
class Event:
    """What happened; it gets its id when the whole year is in order."""

    time: datetime
    type: str
    data: dict[str, Any]


# What a customer does; in the end, from when to when it makes no calls.
Story = Generator[Event, None, tuple[datetime, datetime]]


def customer_events(rng: Random, number: int) -> Iterator[Event]:
    """All that one customer does in the year, in no particular order."""
    account = f"c{number:03}"
    joined = YEAR + timedelta(days=rng.randrange(1, 320), seconds=rng.randrange(86_400))
    plan = rng.choice(PLANS)
    yield Event(joined, "Customer.signup", signup(rng, number, account, plan))
    story = rng.randrange(100)
    quiet = (YEAR_END, YEAR_END)  # when no calls come
    if story < 12:
        quiet = yield from leaves(rng, account, joined)
    elif story < 22:
        quiet = yield from leaves_and_returns(rng, account, joined, plan)
    elif story < 27:
        yield from changes_their_mind(rng, account, joined)
    elif story < 35:
        quiet = yield from card_fails(rng, account, joined)
    elif story < 55:
        at = joined + timedelta(days=rng.randrange(5, 120), seconds=rng.randrange(86_400))
        yield Event(at, "Plan.chosen", {"account": account, "plan": UPGRADES[plan]})
    if number % 50 == BAD_FROM_THE_START:
        quiet = (joined + timedelta(days=29), YEAR_END)
    if rng.randrange(3) == 0:
        at = joined + timedelta(hours=rng.randrange(2, 300))
        known = FEATURES if rng.randrange(10) == 0 else FEATURES[: INCLUDED[plan]]
        feature = rng.choice(known)
        yield Event(at, "Feature.requested", {"account": account, "feature": feature})
    yield from calls(rng, account, joined, quiet)


def signup(rng: Random, number: int, account: str, plan: str) -> dict[str, Any]:
    """The payload of a sign-up; every fourth customer is a person without a company."""
    company = f"{COMPANIES[number % 8]} {KINDS[number // 8 % 9]}"
    data = {
        "id": account,
        "email": f"{FIRST[number % 10]}.{number}@{company.lower().replace(' ', '')}.example",
        "company": company,
        "plan": plan,
    }
    if number % 4 == 3:
        del data["company"]
    if number % 50 == BAD_FROM_THE_START:
        data["payment_method"] = rng.choice(BAD_CARDS)
    return data


def leaves(rng: Random, account: str, joined: datetime) -> Story:
    """Cancels for good, some of them within the trial."""
    at = joined + timedelta(days=rng.randrange(4, 150), seconds=rng.randrange(86_400))
    reason = rng.choice(("too expensive", "missing a feature", "project over"))
    yield Event(at, "Subscription.cancel", {"account": account, "reason": reason})
    return at, YEAR_END


def leaves_and_returns(rng: Random, account: str, joined: datetime, plan: str) -> Story:
    """Cancels, and comes back a few days after the end, or months later."""
    at = joined + timedelta(days=rng.randrange(20, 90))
    yield Event(at, "Subscription.cancel", {"account": account})
    back = at + timedelta(days=rng.choice((33, 34, 80, 100)), hours=rng.randrange(24))
    yield Event(back, "Subscription.resume", {"account": account, "plan": plan})
    return at + timedelta(days=20), back


def changes_their_mind(rng: Random, account: str, joined: datetime) -> Iterator[Event]:
    """Cancels, and takes it back on the next day."""
    at = joined + timedelta(days=rng.randrange(20, 120))
    yield Event(at, "Subscription.cancel", {"account": account, "reason": "a mistake"})
    yield Event(at + timedelta(days=1), "Subscription.resume", {"account": account})


def card_fails(rng: Random, account: str, joined: datetime) -> Story:
    """The card stops working days before a renewal; two of three bring another one in time."""
    at = joined + timedelta(days=11 + 30 * rng.randrange(1, 5))
    bad = rng.choice(BAD_CARDS)
    yield Event(at, "Card.changed", {"account": account, "payment_method": bad})
    if rng.randrange(3):
        # A lost card is not tried again: the subscription ends a week after the renewal.
        days = rng.randrange(5, 10 if bad.endswith("LostCard") else 22)
        better = at + timedelta(days=days)
        yield Event(better, "Card.changed", {"account": account, "payment_method": GOOD_CARD})
        return at, better
    return at + timedelta(days=20), YEAR_END


def calls(
    rng: Random, account: str, joined: datetime, quiet: tuple[datetime, datetime]
) -> Iterator[Event]:
    """The API calls of a customer, in batches whose sizes add up to about a volume a month."""
    volume = rng.choice(VOLUMES)
    gap = 30 * 86_400 // CALLS_A_MONTH
    at = joined
    while (at := at + timedelta(seconds=rng.randrange(gap // 4, gap * 7 // 4))) < YEAR_END:
        units = rng.randrange(1, 2 * volume // CALLS_A_MONTH)
        endpoint = rng.choice(ENDPOINTS)
        if not quiet[0] <= at < quiet[1]:
            data = {"account": account, "endpoint": endpoint, "units": units}
            yield Event(at, "API.called", data)


def line(id: str, event: Event) -> str:
    """An event as one line of CloudEvents JSON."""
    time = event.time.strftime("%Y-%m-%dT%H:%M:%SZ")
    return compact({"id": id, "type": event.type, "time": time, "data": event.data})


def compact(envelope: dict[str, Any]) -> str:
    """JSON without blanks, keys as they come."""
    return json.dumps(envelope, separators=(",", ":"))


def disturb(rng: Random, lines: list[str]) -> list[str]:
    """Does to a stream in order what networks and people do."""
    calls = [i for i, text in enumerate(lines) if '"API.called"' in text]
    moved = sorted(rng.sample(calls, 120))
    places: dict[int, list[str]] = {}
    for index in moved[:100]:  # a few lines out of order
        places.setdefault(min(index + rng.randrange(2, 60), len(lines)), []).append(lines[index])
    for index in moved[100:]:  # weeks late, some after their invoice
        later = min(index + rng.randrange(1_000, 4_000), len(lines))
        places.setdefault(later, []).append(lines[index])
    for index in rng.sample(range(len(lines) - 500), 40):  # delivered twice
        places.setdefault(index + rng.randrange(1, 300), []).append(lines[index])
    twice = lines[calls[5_000]]
    places.setdefault(calls[5_000] + 7, []).append(twice.replace('"units":', '"units":9'))
    misfit = json.loads(lines[calls[9_000]])
    misfit["id"] = "misfit"
    misfit["data"]["units"] = "many"
    places.setdefault(calls[9_000] + 1, []).append(compact(misfit))
    places.setdefault(calls[12_000] + 1, []).append(lines[calls[12_000]][:70])

    gone = set(moved)
    result: list[str] = []
    for index in range(len(lines) + 1):
        result += places.get(index, [])
        if index < len(lines) and index not in gone:
            result.append(lines[index])
    return result


def stream() -> str:
    """The whole file."""
    rng = Random(SEED)
    events = [event for n in range(CUSTOMERS) for event in customer_events(rng, n)]
    events = [event for event in events if event.time < YEAR_END]
    events.sort(key=lambda event: event.time)
    lines = [line(f"e{number:05}", event) for number, event in enumerate(events, 1)]
    return "".join(text + "\n" for text in disturb(rng, lines))


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET
    target.write_text(stream(), encoding="utf-8", newline="\n")
