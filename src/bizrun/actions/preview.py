"""The next invoice of a customer: what will be done is done, at a desk that keeps nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from ..diagnostics import did_you_mean
from ..errors import Refusal
from ..model import Outcome
from ..values import Money, show
from . import addons, changes, renewals, settlement, trials
from .arguments import fields_of, taken
from .customers import ASLEEP, in_trial, lives, subscriptions
from .desk import Desk
from .rehearsal import Rehearsal
from .subscriptions import cancel, finish, pause, resume, subscribe

MOST_STEPS = 2_000

# What may put lines on an invoice when its time comes.
_STEPS: Mapping[str, Callable[[Desk, Any], None]] = {
    "renew": renewals.due, "usage": renewals.usage_due, "tail": renewals.tail_due,
    "version": changes.version_due, "draft": renewals.draft_due, "retry": settlement.retry,
}  # fmt: skip
_OF_INVOICES = ("draft", "retry")

# What begins a subscription: it is about a customer.
BEGINS = "subscribe"

# What changes a subscription, and may be asked about before it is done.
CHANGES: Mapping[str, Callable[[Desk, dict[str, Any], object, Any], Any]] = {
    "change_plan": changes.change_plan, "set_quantity": changes.set_quantity,
    "set_trial": trials.set_trial, "add_addon": addons.add_addon,
    "remove_addon": addons.remove_addon, "pause": pause, "resume": resume,
    "cancel": cancel, "bill_usage": renewals.bill_usage, BEGINS: subscribe,
}  # fmt: skip


def next_invoice(desk: Desk, customer: str, at: datetime | None = None) -> dict[str, Any]:
    """The invoice that becomes final at an instant or next after it, if nothing else happens.

    Its payments, and those of invoices before it, succeed. It is one of nothing where none is made
    until each subscription's period is over, that which follows a trial. Refusal where the customer
    has no subscription that goes on.
    """
    live = [s for s in subscriptions(desk, customer) if s["status"] not in ASLEEP]
    if not live:
        raise Refusal(f"{show(customer)} has no subscription to preview")
    stage = Rehearsal(desk)
    _take_timers(stage, customer)
    known = {row["id"] for row in _final(stage, customer)}
    return _next(stage, customer, known, at) or _nothing(live[0]["currency"])


def after_change(
    desk: Desk, about: str, action: str, given: Mapping[str, Any] | None
) -> dict[str, Any]:
    """The invoice that an action about a subscription, or `subscribe` about a customer, would make
    now; where it makes none, the next one with it done.

    It has the fields of `next_invoice`. Refusal where the action would be refused, for one that
    changes no subscription, and for a field that it has not.
    """
    do = CHANGES.get(action)
    if do is None:
        meant = did_you_mean(action, CHANGES)
        hint = f"did you mean `{meant}`?" if meant else f"there are {', '.join(CHANGES)}"
        raise Refusal(f"no subscription is changed by `{show(action)}`: {hint}")
    begins = action == BEGINS
    data = {**(given or {}), "customer" if begins else "subscription": about}
    for name in data.keys() - {field for field, *_ in fields_of(action)}:
        raise Refusal(f"`{action}` has no field `{show(name)}`")
    stage = Rehearsal(desk)
    customer = about if begins else stage.row("Subscription", about)["customer"]
    _take_timers(stage, customer)
    known = {row["id"] for row in _final(stage, customer)}
    done = do(stage, taken(stage, action, data), "preview", "")
    made_of = done if begins else about
    finish(stage)
    made = [row for row in _final(stage, customer) if row["id"] not in known]
    found = _said(stage, made[0]) if made else _next(stage, customer, known, None)
    return found or _nothing(stage.row("Subscription", made_of)["currency"])


def _next(
    stage: Rehearsal, customer: str, known: set[str], at: datetime | None
) -> dict[str, Any] | None:
    """What is invoiced next, or at an instant, beyond the invoices that are known."""
    running = [s for s in subscriptions(stage, customer) if s["status"] not in ASLEEP]
    for _ in range(MOST_STEPS):
        if not stage.timers:
            break
        what = _step(stage)
        made = [row for row in _final(stage, customer) if row["id"] not in known]
        if at is not None and stage.now < at:
            known |= {row["id"] for row in made}
        elif made:
            return _said(stage, made[0])
        elif what == "renew" and _are_through(stage, running):
            break
    return None


def _are_through(stage: Rehearsal, running: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the period that each subscription was in, or the first one after its trial, is over
    and no draft of it waits."""
    for began in running:
        sub = stage.row("Subscription", began["id"])
        since = began["period_end"] if in_trial(began) else began["period_start"]
        if lives(sub) and sub["status"] not in ASLEEP and sub["period_start"] <= since:
            return False
    return not any(name.startswith("draft|") for name in stage.timers)


def _take_timers(stage: Rehearsal, customer: str) -> None:
    """The timers of a customer's subscriptions and drafts, as the engine has them."""
    subs = stage.subscriptions(customer)
    names = [f"{what}|{sub['id']}" for sub in subs for what in (*_STEPS, "grace")]
    for row in stage.select("Invoice", customer=customer):
        if row["status"] in ("draft", "final", "sent"):
            names += [f"{what}|{row['id']}" for what in _OF_INVOICES]
    for name in names:
        timer = stage.peek("_timer", name)
        if timer is not None:
            stage.timers[name] = (timer["due"], timer["order"], timer["task"])


def _step(stage: Rehearsal) -> str:
    """Does what is due next, and takes the money that it asks for; which kind of thing it was."""
    name = min(stage.timers, key=lambda key: stage.timers[key][:2])
    due, _, task = stage.timers.pop(name)
    stage.now = max(due, stage.now)
    what = str(task["what"])
    if what == "grace":
        settlement.grace_over(stage, task)
    elif what in _STEPS:
        _STEPS[what](stage, task["invoice" if what in _OF_INVOICES else "sub"])
    while stage.charges:
        charge = stage.charges.pop(0)
        effect = {"id": charge.id, "data": charge.data}
        settlement.charge_outcome(stage, effect, Outcome("succeeded"))
    return what


def _final(stage: Rehearsal, customer: str) -> list[dict[str, Any]]:
    return [r for r in stage.select("Invoice", customer=customer) if r["status"] != "draft"]


def _said(stage: Rehearsal, row: Mapping[str, Any]) -> dict[str, Any]:
    lines = sorted(
        stage.select("InvoiceLine", invoice=row["id"]), key=lambda line: int(line["position"])
    )
    totals = ("subtotal", "discount", "tax", "total", "credit", "amount_due")
    about = ("currency", "issued_at", "period_start", "period_end")
    parts = ("kind", "description", "quantity", "unit_amount", "amount", "discount", "tax",
             "period_start", "period_end")  # fmt: skip
    return {
        **{name: row[name] for name in (*totals, *about)},
        "lines": [{name: line[name] for name in parts} for line in lines],
    }


def _nothing(currency: str) -> dict[str, Any]:
    zero = Money(0, currency)
    totals = ("subtotal", "discount", "tax", "total", "credit", "amount_due")
    none = ("issued_at", "period_start", "period_end")
    return {
        **dict.fromkeys(totals, zero), "currency": currency, **dict.fromkeys(none), "lines": [],
    }  # fmt: skip
