"""Invoices: made from lines, numbered, collected or sent, voided."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from ..billing import invoicing
from ..billing.catalog import Tax, in_currency
from ..billing.invoicing import Bound, Draft, InvoiceTotals, Line
from ..errors import Refusal
from ..model import WALLET_KIND
from ..times import add
from ..values import Money
from . import alike, charged, coupons, credits, ledger, payments, settlement
from .customers import coupons as coupons_of
from .customers import customer_row, due_after, grants, has_credit, settings, zone_of
from .desk import Desk, Row
from .line_rows import line_rows
from .numbers import next_number

Subs = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Issued:
    """An invoice that was made, and its lines with their keys."""

    key: str
    made: tuple[tuple[Line, str], ...]

    @property
    def lines(self) -> list[Line]:
        """The lines."""
        return [line for line, _ in self.made]


def draft_of(
    desk: Desk,
    customer: str,
    lines: Sequence[Line],
    currency: str,
    subs: Subs = (),
    bounds: Sequence[Bound] = (),
    at: datetime | None = None,
) -> InvoiceTotals:
    """What an invoice of these lines comes to at an instant: the one calculation."""
    draft = Draft(
        at or desk.now,
        currency,
        tuple(lines),
        tuple(bounds),
        coupons_of(desk, subs),
        grants(desk, customer, currency),
        taxes_of(desk, customer),
    )
    return invoicing.invoice(draft, settings(desk), zone_of(desk, customer))


def taxes_of(desk: Desk, customer: str) -> Callable[[Line], Sequence[Tax]]:
    """The taxes of a customer's lines."""
    return (lambda line: _taxes(desk, customer, line)) if desk.program.taxes else _untaxed


def _untaxed(line: Line) -> list[Tax]:
    return []


def _taxes(desk: Desk, customer: str, line: Line) -> list[Tax]:
    """The taxes whose condition holds for a line."""
    program = desk.program
    if line.kind == WALLET_KIND and settings(desk).credit == "after_tax":
        # What it will pay is taxed, in full.
        return []
    held = []
    for name, tax in program.taxes.items():
        condition = program.tax_conditions.get(name)
        if tax.provider is not None:
            continue
        about = {"kind": line.goes_as, "meter": line.meter, "amount": line.amount}
        names = {"customer": customer, "plan": line.plan, "line": about}
        if condition is None or desk.holds(condition, **names):
            held.append(tax)
    return held


def _collectable(desk: Desk, customer: str, totals: InvoiceTotals, currency: str) -> InvoiceTotals:
    """What is charged of an invoice: too little waits for the next one (`smallest_charge`)."""
    least = in_currency(settings(desk).smallest_charge, currency)
    if not totals.amount_due or (least is None and not has_credit(desk, customer)):
        return totals
    debts = [held for held in grants(desk, customer, currency) if held.balance.amount < 0]
    least = None if is_sent(desk, customer) else least
    return invoicing.collectable(totals, least, debts)


# --- making ----------------------------------------------------------------------------------


def issue(
    desk: Desk,
    customer: str,
    lines: Sequence[Line],
    site: str,
    reason: str,
    currency: str,
    subs: Subs = (),
    bounds: Sequence[Bound] = (),
    surplus: credits.Surplus | None = None,
    collecting: bool = True,
    due: datetime | None = None,
    sells: str | None = None,
    known: alike.Invoiced | None = None,
) -> Issued | None:
    """Makes, numbers and collects an invoice; none where its lines say nothing.

    `sells` is the wallet that counts from its payment on. `known` is the invoice over the lines
    where it is, of no subscription yet, but for a credit of the customer.
    """
    said = None
    if known is None or has_credit(desk, customer):
        totals = draft_of(desk, customer, lines, currency, subs, bounds)
    else:
        said = known.rows
        totals = replace(known.totals, lines=tuple(alike.of(known.totals.lines, subs[0]["id"])))
    if not totals.lines:
        return None
    if collecting:
        totals = _collectable(desk, customer, totals, currency)
    data = _about(customer, totals, currency, subs, reason)
    data["coupons"] = coupons.count(desk, subs, totals.coupons) if totals.coupons else None
    row = desk.insert("Invoice", {**data, **_final(desk, customer, totals, collecting, due)},
                      f"invoice/{site}")  # fmt: skip
    noted = charged.noted(desk, row, totals)
    made = write_lines(desk, row["id"], noted, site, said if noted is totals else None)
    totals = noted
    if sells is not None:
        desk.change("Wallet", sells, invoice=row["id"], price=totals.lines[0].net)
    announce(desk, "Invoice.created", row)
    _finish(desk, row, totals, surplus)
    return Issued(row["id"], made)


def _about(
    customer: str, totals: InvoiceTotals, currency: str, subs: Subs, reason: str
) -> dict[str, Any]:
    """The fields that say what an invoice is about and what it comes to."""
    # What is given back of a year says nothing about the month that is charged.
    said = [line for line in totals.lines if line.amount.amount >= 0] or totals.lines
    starts = [line.period_start for line in said if line.period_start]
    ends = [line.period_end for line in said if line.period_end]
    uses = [use for use in totals.coupons if use.amount]
    return {
        "customer": customer, "subscription": subs[0]["id"] if subs else None,
        "subscriptions": [sub["id"] for sub in subs] if len(subs) > 1 else None,
        "currency": currency, "subtotal": totals.subtotal, "discount": totals.discount,
        "tax": totals.tax, "total": totals.total, "credit": totals.credit,
        "amount_due": totals.amount_due, "amount_open": totals.amount_due, "reason": reason,
        "period_start": min(starts, default=None), "period_end": max(ends, default=None),
        "taxes": [{"name": t.name, "rate": str(t.rate), "amount": t.amount,
                   **({"inclusive": True} if t.inclusive else {})}
                  for t in totals.taxes] or None,
        "discounts": [{"coupon": use.coupon, "amount": use.amount} for use in uses] or None,
        "credits": [credits.use_row(use) for use in totals.credits] or None,
    }  # fmt: skip


def _final(
    desk: Desk, customer: str, totals: InvoiceTotals, collecting: bool, due: datetime | None
) -> dict[str, Any]:
    """Number, status and dates of an invoice that is final now."""
    now = desk.now
    said: dict[str, Any] = {
        "number": next_number(desk, settings(desk).invoice_number), "status": "final",
        "issued_at": now, "attempts": 0, "due_at": due or now,
    }  # fmt: skip
    if not totals.amount_due:
        return {**said, "status": "paid", "paid_at": now}
    if not collecting:
        return said
    if is_sent(desk, customer):
        term = add(now, due_after(desk, customer), desk.tz)
        return {**said, "status": "sent", "due_at": due or term}
    return {**said, "attempts": 1}


def is_sent(desk: Desk, customer: str) -> bool:
    """Whether a customer pays by invoice: by the business's choice, or for want of a method."""
    if settings(desk).collect == "by_invoice":
        return True
    row = customer_row(desk, customer)
    return "payment_method" in row and row["payment_method"] is None


def _finish(desk: Desk, row: Row, totals: InvoiceTotals, surplus: credits.Surplus | None) -> None:
    """The money of an invoice that has become final, its events, and its collection."""
    key, customer = row["id"], row["customer"]
    ledger.issued(desk, key, customer, totals)
    credits.take(desk, key, customer, totals.credits)
    if totals.carried:
        credits.carry(desk, row, totals.carried)
    if totals.granted:
        # Credit before tax may be taken although the lines' tax rounds below zero.
        credits.give_surplus(desk, row, totals.granted, surplus)
    announce(desk, "Invoice.finalized", row)
    if row["status"] == "paid":
        announce(desk, "Invoice.paid", row)
    elif row["status"] == "sent":
        _await_payment(desk, row)
    elif row["attempts"]:
        payments.collect(desk, row, None)


def write_lines(
    desk: Desk, invoice: str, totals: InvoiceTotals, site: str, said: Sequence[Row] | None = None
) -> tuple[tuple[Line, str], ...]:
    """Writes the lines of an invoice, with what is `said` of them where that is known; with the key
    of each."""
    made = []
    rows = line_rows(totals.lines) if said is None else said
    for position, (line, row) in enumerate(zip(totals.lines, rows, strict=True), 1):
        data = {**row, "invoice": invoice, "subscription": line.subscription}
        made.append((line, desk.insert("InvoiceLine", data, f"line/{site}/{position}")["id"]))
    return tuple(made)


# --- drafts ----------------------------------------------------------------------------------


def open_draft(
    desk: Desk,
    customer: str,
    lines: Sequence[Line],
    site: str,
    reason: str,
    currency: str,
    subs: Subs,
    bounds: Sequence[Bound],
    source: Mapping[str, Any],
) -> Issued | None:
    """Makes a draft: what it comes to so far; nothing of it is asked for yet."""
    totals = draft_of(desk, customer, lines, currency, subs, bounds)
    if not totals.lines:
        return None
    data = _about(customer, totals, currency, subs, reason)
    data |= {"status": "draft", "credits": None, "draft": {**source, "site": site}}
    # A coupon that holds once is this invoice's: another that is final before it has to do without.
    data["coupons"] = coupons.count(desk, subs, totals.coupons)
    row = desk.insert("Invoice", data, f"invoice/{site}")
    totals = charged.noted(desk, row, totals)
    made = write_lines(desk, row["id"], totals, site)
    announce(desk, "Invoice.created", row)
    return Issued(row["id"], made)


def close_draft(
    desk: Desk, draft: Mapping[str, Any], lines: Sequence[Line], subs: Subs,
    bounds: Sequence[Bound],
) -> Issued:  # fmt: skip
    """Makes a draft final, with its lines as they are now."""
    key, customer = draft["id"], draft["customer"]
    if draft["coupons"]:
        coupons.give_back(desk, draft)
        subs = [desk.row("Subscription", sub["id"]) for sub in subs]
    charged.not_noted(desk, key)
    totals = draft_of(desk, customer, lines, draft["currency"], subs, bounds)
    if not totals.lines:
        # Nothing is left to ask for: it has no number, so that none is missing.
        zero = Money(0, draft["currency"])
        row = desk.change("Invoice", key, status="void", amount_open=zero, coupons=None, draft=None)
        announce(desk, "Invoice.voided", row)
        return Issued(key, ())
    for line in desk.select("InvoiceLine", invoice=key):
        desk.put("InvoiceLine", line["id"], None)
    totals = _collectable(desk, customer, totals, draft["currency"])
    data = _about(customer, totals, draft["currency"], subs, draft["reason"])
    data["coupons"] = coupons.count(desk, subs, totals.coupons)
    data |= _final(desk, customer, totals, True, None)
    row = desk.change("Invoice", key, **data, draft=None)
    totals = charged.noted(desk, row, totals)
    made = write_lines(desk, key, totals, f"{draft['draft']['site']}/final")
    _finish(desk, row, totals, None)
    return Issued(key, made)


# --- sending ---------------------------------------------------------------------------------


def _await_payment(desk: Desk, row: Mapping[str, Any]) -> None:
    if row["due_at"] is not None and row["due_at"] > desk.now:
        key = row["id"]
        desk.set_timer(f"overdue|{key}", row["due_at"], what="overdue", invoice=key)
    announce(desk, "Invoice.sent", row)


def send_invoice(desk: Desk, args: dict[str, Any], site: object, place: Any) -> str:
    """`send_invoice { invoice }`: to be paid until its due date."""
    row = desk.row("Invoice", args["invoice"])
    if row["status"] not in ("final", "sent"):
        raise Refusal(f"invoice {row['number'] or row['id']} is {row['status']} and can't be sent")
    due = row["due_at"]
    if due is None or due <= desk.now:
        due = add(desk.now, due_after(desk, row["customer"]), desk.tz)
    _await_payment(desk, desk.change("Invoice", row["id"], status="sent", due_at=due))
    return str(row["id"])


def overdue(desk: Desk, key: str) -> None:
    """The due date of a sent invoice has passed."""
    row = desk.row("Invoice", key)
    if row["status"] == "sent":
        announce(desk, "Invoice.overdue", row)


def announce(desk: Desk, event: str, row: Mapping[str, Any], **more: Any) -> None:
    """An event about an invoice."""
    desk.announce(
        event, row["id"], invoice=row["id"], customer=row["customer"],
        subscription=row["subscription"], **more,
    )  # fmt: skip


# --- actions ---------------------------------------------------------------------------------


def void_invoice(desk: Desk, args: dict[str, Any], site: object, place: Any) -> str:
    """`void_invoice { invoice }`: it keeps its number; credit and coupons are given back."""
    key = args["invoice"]
    row = desk.row("Invoice", key)
    if row["status"] not in ("draft", "final", "sent", "uncollectible"):
        raise Refusal(f"invoice {row['number'] or key} is {row['status']} and can't be voided")
    zero = Money(0, row["currency"])
    if any(p["status"] in ("succeeded", "pending") for p in desk.select("Payment", invoice=key)):
        raise Refusal(f"invoice {row['number']} has a payment: refund it by a credit note")
    _not_given_back_twice(desk, row)
    changed = desk.change("Invoice", key, status="void", amount_open=zero, draft=None)
    for timer in ("retry", "overdue", "draft"):
        desk.drop_timer(f"{timer}|{key}")
    coupons.give_back(desk, row)
    if row["status"] != "draft":
        credits.void(desk, row)
    payments.uncharge_all(desk, row)
    settlement.stop(desk, changed)
    announce(desk, "Invoice.voided", changed)
    return str(key)


def _not_given_back_twice(desk: Desk, row: Mapping[str, Any]) -> None:
    """Refuses to void what a later invoice has given back a part of: that stays given back."""
    taken = sum((use["amount"] for use in row["credits"] or ()), row["amount_open"])
    if row["status"] == "draft":
        taken = row["total"]  # which credit it takes is not said before it is final
    twice = taken - charged.still_charged(desk, row["id"])
    if twice.amount > 0:
        rest = "once it is final, " if row["status"] == "draft" else ""
        raise Refusal(
            f"{twice} of invoice {row['number'] or row['id']} was given back on a later invoice: "
            f"void that one first, or, {rest}take the rest back by a credit note"
        )
