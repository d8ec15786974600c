"""What an account may move in a day before somebody has a look (RELIABILITY.md 12).

A breach parks the account: its money waits in the outbox, everything else goes on, and letting it
go on is an act of a person (`bizrun outbox unpark`). `most_per_day` of the provider's `connect`
block sets the bound.

Models have one too, where their `connect` block says `most_per_day`: beyond it a question fails,
and the handler goes on with its fallback.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from ..currencies import exponent
from ..model import Effect
from ..providers.base import Secrets
from ..values import Money
from .outbox import PARKED

if TYPE_CHECKING:
    from .state import State

MONEY = ("charge", "refund", "transfer")
DIGITS = 8  # by default: 10 to that power of minor units, a million dollars or euros


def party(effect: Effect) -> str | None:
    """Whose money an effect moves: its customer's, or the payee's; None where it moves none."""
    if effect.kind not in MONEY:
        return None
    return effect.customer or str(effect.data.get("to") or "") or None


def parked(state: State, effect: Effect) -> bool:
    """Whether a person has yet to let the account's money go on."""
    account = party(effect)
    return account is not None and state.get("_switch", f"{PARKED}{account}") is not None


def admit(state: State, effect: Effect, secrets: Secrets, now: datetime) -> bool:
    """Counts an effect that is sent for the first time; False where it parks its account."""
    account, amount = party(effect), effect.data.get("amount")
    if account is None or not isinstance(amount, Money):
        return True
    day = effect.created.date().isoformat()
    key = f"{account}|{effect.kind}|{day}|{amount.currency}"
    row = state.get("_spent", key)
    moved = amount if row is None else row["amount"] + amount
    most = _most(secrets, amount.currency)
    known = row is not None and row["over"]
    if moved > most and not known:
        reason = f"{effect.kind}s of {moved} on {day}, where {most} are let through"
        state.put("_spent", key, {"id": key, "amount": row["amount"] if row else amount * 0,
                                  "over": True})  # fmt: skip
        switch = f"{PARKED}{account}"
        state.put("_switch", switch, {"id": switch, "by": "bizrun", "at": now, "reason": reason})
        return False
    state.put("_spent", key, {"id": key, "amount": moved, "over": known})
    return True


def affords(state: State, name: str, cost: Money, most: Money, now: datetime) -> bool:
    """Counts what a call may cost at most against the day's bound of a connection, by the wall
    clock; False where it would go beyond it."""
    day = now.date().isoformat()
    key = f"{name}||{day}|{cost.currency}"
    row = state.get("_spent", key)
    spent = cost if row is None else row["amount"] + cost
    if spent > most:
        return False
    state.put("_spent", key, {"id": key, "amount": spent, "over": False})
    return True


def _most(secrets: Secrets, currency: str) -> Money:
    found = secrets.value("most_per_day")
    if isinstance(found, Money) and found.currency == currency:
        return found
    return Money(10 ** max(DIGITS - exponent(currency), 0), currency)
