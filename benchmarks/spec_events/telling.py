"""How a year is told: events by their time, some second of a day, people by their number."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

YEAR = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = 365
YEAR_END = YEAR + timedelta(days=DAYS)
NAMES = ("ada", "alan", "barbara", "dennis", "edsger", "frances", "grace", "hedy", "jean", "ken")
GOOD_CARD = "pm_card_visa"
BAD_CARDS = (
    "pm_card_visa_chargeDeclined",
    "pm_card_visa_chargeDeclinedInsufficientFunds",
    "pm_card_chargeDeclinedExpiredCard",
)

# When, what, and with which data; the id is given when the whole year is in order.
Event = tuple[datetime, str, dict[str, Any]]
Story = Callable[[Random], Iterator[Event]]


def at(rng: Random, day: int) -> datetime:
    """Some second of a day of the year."""
    return YEAR + timedelta(days=day, seconds=rng.randrange(86_400))


def later(rng: Random, when: datetime, least: int, most: int) -> datetime:
    """Some second between so many days after an instant and so many."""
    return when + timedelta(seconds=rng.randrange(least * 86_400, most * 86_400))


def person(number: int) -> str:
    """An address for the so-manieth person."""
    return f"{NAMES[number % len(NAMES)]}{number:03}@example.com"
