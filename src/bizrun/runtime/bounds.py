"""What an account may move in a day before somebody has a look (RELIABILITY.md 12).

A breach parks the account: its money waits in the outbox, everything else goes on, and letting it
go on is an act of a person (`bizrun outbox unpark`). There are two bounds: the amount, set by
`most_per_day` of the provider's `connect` block, and the lines of one kind that charged invoices
hold of a subscription, set by `items_per_day` of the business block. A renewal puts one line of a
kind on an invoice, however many prices its plan has; a rule that goes round in a circle puts one
there each time.

Models have one too, where their `connect` block says `most_per_day`: beyond it a question fails,
and the handler goes on with its fallback.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ..currencies import exponent
from ..errors import EvalError
from ..ir.program import Bounds
from ..model import Effect
from ..providers.base import Secrets
from ..values import Money

if TYPE_CHECKING:
    from .engine import Engine
    from .state import State

# How the switch of a customer is called, beside those of connectors.
PARKED = "customer:"
MONEY = ("charge", "refund", "transfer")
DIGITS = 8  # by default: 10 to that power of minor units, a million dollars or euros


# How far below the bound on events effects end, so that an outcome can always be taken.
_ROOM_FOR_OUTCOMES = 8


def check_effects(bounds: Bounds, effects: int, depth: int) -> None:
    """An EvalError where a piece of work asks for more effects than are let through, or is itself
    far down a chain of effects and what followed from their outcomes."""
    if effects > bounds.effects_per_event:
        raise EvalError(
            f"more than {bounds.effects_per_event} effects of one event: raise "
            "`effects_per_event` in the business block where so many are meant"
        )
    if depth > max(bounds.chain_of_events - _ROOM_FOR_OUTCOMES, 1):
        raise EvalError("effects and their outcomes go round in a circle: this one is not sent")


def party(effect: Effect) -> str | None:
    """Whose money an effect moves: its customer's, or the payee's; None where it moves none."""
    if effect.kind not in MONEY:
        return None
    return effect.customer or str(effect.data.get("to") or "") or None


def parked(state: State, effect: Effect) -> bool:
    """Whether a person has yet to let the account's money go on."""
    account = party(effect)
    return account is not None and state.get("_switch", f"{PARKED}{account}") is not None


def admit(engine: Engine, effect: Effect, secrets: Secrets, now: datetime) -> bool:
    """Counts an effect that is sent for the first time; False where it parks its account."""
    account, amount = party(effect), effect.data.get("amount")
    if account is None or not isinstance(amount, Money):
        return True
    state, most = engine.state, engine.program.bounds.items_per_day
    reason = _too_much(state, effect, account, amount, secrets) or _too_many(state, effect, most)
    if reason:
        switch = f"{PARKED}{account}"
        state.put("_switch", switch, {"id": switch, "by": "bizrun", "at": now, "reason": reason})
    return reason is None


def _too_much(
    state: State, effect: Effect, account: str, amount: Money, secrets: Secrets
) -> str | None:
    """Counts an amount against the bound of its account's day; the reason where it goes beyond.

    A bound that was gone beyond once, and on which a person has looked, is none for that day."""
    day = effect.created.date().isoformat()
    key = f"{account}|{effect.kind}|{day}|{amount.currency}"
    row = state.get("_spent", key)
    moved = amount if row is None else row["amount"] + amount
    most = _most(secrets, amount.currency)
    known = row is not None and row["over"]
    over = moved > most and not known
    counted = moved if not over else moved - amount
    state.put("_spent", key, {"id": key, "amount": counted, "over": over or known})
    return f"{effect.kind}s of {moved} on {day}, where {most} are let through" if over else None


def _too_many(state: State, effect: Effect, most: int) -> str | None:
    """Counts the lines of an invoice when it is charged first, each on the day of its making; the
    reason where a subscription has got more of a kind in a day than are let through."""
    invoice = effect.data.get("invoice")
    if effect.kind != "charge" or invoice is None:
        return None
    if len(list(state.select("Payment", {"invoice": invoice}))) > 1:
        return None
    lines = state.select("InvoiceLine", {"invoice": invoice})
    made = Counter(_kind_of(line, effect) for line in lines if line["subscription"] is not None)
    found = None
    for kind, count in sorted(made.items()):
        key = "|".join(kind)
        row = state.get("_items", key)
        seen, known = (row["count"], row["over"]) if row else (0, False)
        over = seen + count > most and not known
        state.put("_items", key, {"id": key, "count": seen + count, "over": over or known})
        if over:
            subscription, day, what = kind
            found = (f"{seen + count} lines \"{what}\" of {subscription} on {day}, where {most} "
                     "are let through (items_per_day)")  # fmt: skip
    return found


def _kind_of(line: Mapping[str, Any], effect: Effect) -> tuple[str, str, str]:
    """The subscription, day and kind of a line: a change of its period was made at the beginning
    of what the line is for, though it may have waited for an invoice; all else when it is paid."""
    made = line["period_start"] if line["kind"] == "proration" else None
    day = (made or effect.created).date().isoformat()
    return str(line["subscription"]), day, str(line["description"])


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
