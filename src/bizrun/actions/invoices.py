"""Invoices: made from lines, issued with a number, collected, sent, voided, corrected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..billing import invoicing, numbering, periods, rating
from ..billing.catalog import Tax
from ..billing.invoicing import Bound, Draft, InvoiceTotals, Line
from ..billing.lines import one_off_line
from ..errors import Refusal
from ..times import add
from ..values import Money, plain
from . import ledger
from .customers import coupons, customer_row, grants, settings, zone_of
from .desk import Desk, Row
from .payments import collect


def draft_of(
    desk: Desk,
    customer: str,
    lines: Sequence[Line],
    currency: str,
    sub: Mapping[str, Any] | None = None,
    bounds: Sequence[Bound] = (),
) -> InvoiceTotals:
    """What an invoice of these lines comes to now: the one calculation."""
    draft = Draft(
        desk.now,
        currency,
        tuple(lines),
        tuple(bounds),
        coupons(desk, sub),
        grants(desk, customer, currency),
        lambda line: _taxes(desk, customer, line),
    )
    return invoicing.invoice(draft, settings(desk), zone_of(desk, customer))


def _taxes(desk: Desk, customer: str, line: Line) -> list[Tax]:
    """The taxes whose condition holds for a line."""
    program = desk.program
    held = []
    for name, tax in program.taxes.items():
        condition = program.tax_conditions.get(name)
        if tax.provider is not None:
            continue
        about = {"kind": line.kind, "meter": line.meter, "amount": line.amount}
        names = {"customer": customer, "plan": line.plan, "line": about}
        if condition is None or desk.holds(condition, **names):
            held.append(tax)
    return held


def issue(
    desk: Desk,
    customer: str,
    lines: Sequence[Line],
    reason: str,
    sub: Mapping[str, Any] | None = None,
    bounds: Sequence[Bound] = (),
    collecting: bool = True,
) -> Row | None:
    """Makes, numbers and collects an invoice; none where its lines say nothing."""
    currency = lines[0].amount.currency if lines else desk.currency
    totals = draft_of(desk, customer, lines, currency, sub, bounds)
    if not totals.lines:
        return None
    site = f"invoice/{sub['id'] if sub else customer}/{reason}"
    number = _next_number(desk, customer)
    starts = [line.period_start for line in totals.lines if line.period_start]
    ends = [line.period_end for line in totals.lines if line.period_end]
    key = desk.create(
        "Invoice",
        {
            "number": number, "customer": customer, "subscription": sub["id"] if sub else None,
            "currency": currency, "status": "final", "subtotal": totals.subtotal,
            "discount": totals.discount, "tax": totals.tax, "total": totals.total,
            "credit": totals.credit, "amount_due": totals.amount_due,
            "amount_open": totals.amount_due, "reason": reason,
            "period_start": min(starts, default=None), "period_end": max(ends, default=None),
            "issued_at": desk.now,
            "due_at": add(desk.now, settings(desk).due_after, desk.tz),
            "taxes": [{"name": t.name, "rate": str(t.rate), "amount": t.amount}
                      for t in totals.taxes],
        },
        site,
    )  # fmt: skip
    _write_lines(desk, key, totals, site)
    _settle_credit(desk, customer, key, totals)
    _count_coupons(desk, sub, totals)
    ledger.post(
        desk, f"{key}/issued", customer,
        (ledger.RECEIVABLE, totals.total),
        (ledger.REVENUE, totals.discount - totals.subtotal),
        (ledger.TAX, -totals.tax),
    )  # fmt: skip
    ledger.post(
        desk, f"{key}/credit", customer,
        (ledger.CREDIT, totals.credit), (ledger.RECEIVABLE, -totals.credit),
    )  # fmt: skip
    names = {"invoice": key, "customer": customer, "subscription": sub["id"] if sub else None}
    desk.announce("Invoice.created", key, **names)
    desk.announce("Invoice.finalized", key, **names)
    if collecting:
        collect_or_send(desk, key)
    return dict(desk.row("Invoice", key))


def _next_number(desk: Desk, customer: str) -> str:
    """The next number of the series: taken in the commit that issues the invoice."""
    format_ = settings(desk).invoice_number
    day = periods.local_day(desk.now, desk.program.timezone)
    series = numbering.series(format_, day)
    held = desk.peek("_number", series)
    last = held["last"] + 1 if held else 1
    desk.put("_number", series, {"id": series, "last": last})
    return numbering.invoice_number(format_, day, last)


def _write_lines(desk: Desk, invoice: str, totals: InvoiceTotals, site: str) -> None:
    for position, line in enumerate(totals.lines, 1):
        zero = line.zero
        desk.create(
            "InvoiceLine",
            {
                "invoice": invoice, "subscription": line.subscription, "position": position,
                "kind": line.kind, "description": line.description, "quantity": line.quantity,
                "unit_amount": line.unit_amount, "amount": line.amount,
                "discount": line.discount or zero, "tax": line.tax or zero, "meter": line.meter,
                "period_start": line.period_start, "period_end": line.period_end,
                "detail": _detail(line),
            },
            f"{site}/{position}",
        )  # fmt: skip


def _detail(line: Line) -> list[dict[str, Any]] | None:
    if len(line.explanation) < 2:
        return None
    steps = rating.explanation(rating.Rated(line.amount, line.quantity, line.explanation))
    return [{key: plain(value) for key, value in step.items()} for step in steps]


def _settle_credit(desk: Desk, customer: str, invoice: str, totals: InvoiceTotals) -> None:
    for use in totals.credits:
        wallet = desk.row("Wallet", use.grant)
        desk.change("Wallet", use.grant, balance=wallet["balance"] - use.amount)
    if totals.granted:
        desk.create(
            "Wallet",
            {
                "customer": customer, "granted": totals.granted, "balance": totals.granted,
                "reason": f"invoice {invoice}",
            },
            f"granted/{invoice}",
        )  # fmt: skip


def _count_coupons(desk: Desk, sub: Mapping[str, Any] | None, totals: InvoiceTotals) -> None:
    used = {use.coupon for use in totals.coupons if use.amount}
    if sub is None or not used:
        return
    held = [
        {**c, "invoices": c["invoices"] + 1} if c["coupon"] in used else c
        for c in desk.row("Subscription", sub["id"])["coupons"] or []
    ]
    desk.change("Subscription", sub["id"], coupons=held)


def collect_or_send(desk: Desk, key: str) -> None:
    """Charges what is due where the customer has a payment method, else sends the invoice."""
    row = desk.row("Invoice", key)
    if not row["amount_due"]:
        paid(desk, key)
        return
    customer = customer_row(desk, row["customer"])
    by_invoice = settings(desk).collect == "by_invoice"
    if by_invoice or ("payment_method" in customer and customer["payment_method"] is None):
        send(desk, key)
    else:
        collect(desk, key, None)


def paid(desk: Desk, key: str) -> None:
    """Marks an invoice as paid."""
    row = desk.row("Invoice", key)
    zero = Money(0, row["currency"])
    desk.change("Invoice", key, status="paid", amount_open=zero, paid_at=desk.now)
    desk.drop_timer(f"overdue|{key}")
    desk.drop_timer(f"retry|{key}")
    _announce(desk, "Invoice.paid", key)


def send(desk: Desk, key: str) -> None:
    """Sends an invoice, due after the business's term."""
    row = desk.row("Invoice", key)
    if row["status"] not in ("final", "sent"):
        raise Refusal(f"invoice {row['number'] or key} is {row['status']} and can't be sent")
    desk.change("Invoice", key, status="sent")
    if row["due_at"] is not None and row["due_at"] > desk.now:
        desk.set_timer(f"overdue|{key}", row["due_at"], what="overdue", invoice=key)
    _announce(desk, "Invoice.sent", key)


def overdue(desk: Desk, key: str) -> None:
    """The due date of a sent invoice has passed."""
    if desk.row("Invoice", key)["status"] == "sent":
        _announce(desk, "Invoice.overdue", key)


def _announce(desk: Desk, event: str, key: str, **more: Any) -> None:
    row = desk.row("Invoice", key)
    desk.announce(
        event, key, invoice=key, customer=row["customer"], subscription=row["subscription"], **more
    )


# --- actions ---------------------------------------------------------------------------------


def invoice(desk: Desk, args: dict[str, Any], site: object, place: Any) -> str:
    """`invoice { customer, lines }`."""
    lines = []
    for line in args["lines"]:
        quantity = line.get("quantity")
        if not isinstance(line.get("amount"), Money):
            raise Refusal(f"the line `{line.get('description')}` needs an amount of money")
        one = one_off_line(line["description"], line["amount"], 1 if quantity is None else quantity)
        lines.append(one)
    if not lines:
        raise Refusal("an invoice needs at least one line")
    collecting = args.get("collect") is not False
    row = issue(desk, args["customer"], lines, f"one_off/{site}", None, (), collecting)
    if row is None:
        raise Refusal("an invoice needs a line that says something")
    desk.change("Invoice", row["id"], reason="one_off")
    if args.get("due") is not None:
        desk.change("Invoice", row["id"], due_at=args["due"])
    return str(row["id"])


def send_invoice(desk: Desk, args: dict[str, Any], site: object, place: Any) -> str:
    """`send_invoice { invoice }`."""
    send(desk, args["invoice"])
    return str(args["invoice"])


def void_invoice(desk: Desk, args: dict[str, Any], site: object, place: Any) -> str:
    """`void_invoice { invoice }`: it keeps its number and gives back the credit that it took."""
    key = args["invoice"]
    row = desk.row("Invoice", key)
    if row["status"] not in ("draft", "final", "sent"):
        raise Refusal(f"invoice {row['number'] or key} is {row['status']} and can't be voided")
    zero = Money(0, row["currency"])
    desk.change("Invoice", key, status="void", amount_open=zero)
    desk.drop_timer(f"retry|{key}")
    desk.drop_timer(f"overdue|{key}")
    if row["credit"] > zero:
        desk.create(
            "Wallet",
            {"customer": row["customer"], "granted": row["credit"], "balance": row["credit"],
             "reason": f"void {row['number']}"},
            f"void/{key}",
        )  # fmt: skip
    net = row["subtotal"] - row["discount"]
    ledger.post(
        desk, f"{key}/void", row["customer"],
        (ledger.RECEIVABLE, -row["amount_due"]), (ledger.CREDIT, -row["credit"]),
        (ledger.REVENUE, net), (ledger.TAX, row["tax"]),
    )  # fmt: skip
    _announce(desk, "Invoice.voided", key)
    return str(key)
