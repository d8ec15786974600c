"""The next invoice of a customer, by the calculation that will make it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ..billing.invoicing import InvoiceTotals
from ..errors import Refusal
from ..values import Money, show
from . import owed, renewals
from .customers import ASLEEP, in_trial, subscriptions
from .desk import Desk
from .invoices import draft_of
from .owed import Owed


def next_invoice(desk: Desk, customer: str, at: datetime | None = None) -> dict[str, Any]:
    """What the invoice due at an instant or next after it will say if nothing else happens."""
    live = [s for s in subscriptions(desk, customer) if s["status"] not in ASLEEP]
    if not live:
        raise Refusal(f"{show(customer)} has no subscription to preview")
    first: Mapping[str, Any] = min(live, key=lambda sub: sub["period_end"])
    due: datetime = first["period_end"]
    together: list[Mapping[str, Any]] = renewals.together(desk, first)
    while at is not None and due < at and not renewals.ends(first):
        together = [_next(desk, sub) for sub in together]
        first = together[0]
        due = first["period_end"]
    # A cancellation makes an invoice of its own, a paused subscription none.
    together = [sub for sub in together if sub["status"] not in ASLEEP]
    going = [sub for sub in together if not renewals.ends(sub)]
    dues, advance, subs = [], [], []
    for sub in going or together[:1]:
        if renewals.ends(sub):
            dues.append(_last(desk, sub))
            subs.append(sub)
            continue
        turned = renewals.turn(desk, sub)
        dues.append(turned.owed)
        advance += turned.advance
        subs.append(turned.after)
    all_lines = [*(line for each in dues for line in each.lines), *advance]
    bounds = [bound for each in dues for bound in each.bounds]
    totals = draft_of(desk, customer, all_lines, first["currency"], subs, bounds, due)
    return _said(totals)


def _last(desk: Desk, sub: Mapping[str, Any]) -> Owed:
    if in_trial(sub):
        return Owed()
    return owed.arrears(desk, sub, sub["period_end"])


def _next(desk: Desk, sub: Mapping[str, Any]) -> dict[str, Any]:
    """A subscription as it will be in its next period, nothing used in it."""
    after = renewals.turn(desk, sub).after
    known = {k: v for k, v in after["billing"].items() if k in ("others", "since", "anchor_day",
                                                               "exact")}  # fmt: skip
    return {**after, "billing": known}


def _said(totals: InvoiceTotals) -> dict[str, Any]:
    zero = Money(0, totals.total.currency)
    return {
        "subtotal": totals.subtotal, "discount": totals.discount, "tax": totals.tax,
        "total": totals.total, "credit": totals.credit, "amount_due": totals.amount_due,
        "lines": [
            {"description": line.description, "quantity": line.quantity, "amount": line.amount,
             "discount": line.discount or zero, "tax": line.tax or zero, "kind": line.kind}
            for line in totals.lines
        ],
    }  # fmt: skip
