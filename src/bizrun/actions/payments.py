"""Payments: collected through the outbox, retried by the dunning policy, given back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..billing import dunning
from ..billing.dunning import Exhausted, Retry
from ..errors import Refusal
from ..model import Outcome
from ..values import Money
from . import ledger
from .customers import LIVE, customer_row, zone_of
from .desk import Desk, Row

_OPEN = ("final", "sent", "uncollectible")


def collect(
    desk: Desk, invoice: str, resume: dict[str, Any] | None, site: object = "", place: Any = ""
) -> str:
    """Charges what is open on an invoice; the payment's key."""
    row = desk.row("Invoice", invoice)
    attempt = row["attempts"] + 1
    desk.change("Invoice", invoice, attempts=attempt)
    return _charge(
        desk, row["customer"], row["amount_open"], site or f"collect/{invoice}/{attempt}",
        place, resume, invoice=invoice, subscription=row["subscription"],
        description=f"Invoice {row['number']}",
    )  # fmt: skip


def _charge(
    desk: Desk,
    customer: str,
    amount: Money,
    site: object,
    place: Any,
    resume: dict[str, Any] | None,
    **more: Any,
) -> str:
    zero = Money(0, amount.currency)
    payment = desk.create(
        "Payment",
        {
            "customer": customer, "amount": amount, "status": "pending", "refunded": zero,
            **{k: v for k, v in more.items() if k in ("invoice", "subscription", "description",
                                                      "split")},
        },
        f"payment/{site}",
    )  # fmt: skip
    row = customer_row(desk, customer)
    data = {
        "payment": payment, "customer": customer, "amount": amount,
        "payment_method": more.get("card") or row.get("payment_method"),
        **{k: v for k, v in more.items() if v is not None and k != "card"},
    }  # fmt: skip
    desk.effect("charge", data, site, place, customer, resume)
    return payment


def charge(
    desk: Desk, args: dict[str, Any], site: object, place: Any, resume: dict[str, Any] | None
) -> str:
    """`charge { customer, amount, description?, split? }`."""
    amount = args["amount"]
    if amount <= Money(0, amount.currency):
        raise Refusal(f"a charge is above zero, and {amount} is not")
    customer = args.pop("customer")
    args.pop("amount")
    if args.get("split") is not None:
        args["split"] = _split(amount, args["split"])
    return _charge(desk, customer, amount, site, place, resume, **args)


def _split(amount: Money, shares: Mapping[str, Any]) -> dict[str, Any]:
    """Who gets how much: `{ platform: 15%, rest: seller }` adds up to the amount."""
    from ..billing.split import share_out

    rest = shares.get("rest")
    fixed = {name: share for name, share in shares.items() if name != "rest"}
    return dict(share_out(amount, fixed, rest))


def charge_outcome(desk: Desk, effect: Row, outcome: Outcome) -> str:
    """What follows from a charge: the payment, its invoice, the subscription, dunning."""
    key = str(effect["data"]["payment"])
    payment = desk.row("Payment", key)
    succeeded = outcome.status == "succeeded"
    desk.change(
        "Payment", key, status="succeeded" if succeeded else "failed", error=outcome.error,
        reference=outcome.reference,
    )  # fmt: skip
    invoice, sub = payment["invoice"], payment["subscription"]
    names = {
        "payment": key, "customer": payment["customer"], "invoice": invoice, "subscription": sub,
    }  # fmt: skip
    if succeeded:
        other = ledger.RECEIVABLE if invoice else ledger.REVENUE
        ledger.post(
            desk, f"{key}/paid", payment["customer"],
            (ledger.CASH, payment["amount"]), (other, -payment["amount"]),
        )  # fmt: skip
        desk.announce("Payment.succeeded", key, **names)
        if invoice:
            _invoice_paid(desk, invoice)
    else:
        desk.announce("Payment.failed", key, error=outcome.error, **names)
        if invoice:
            _invoice_failed(desk, invoice, outcome.error)
    return key


def _invoice_paid(desk: Desk, invoice: str) -> None:
    from .invoices import paid

    if desk.row("Invoice", invoice)["status"] not in _OPEN:
        return
    paid(desk, invoice)
    _end_dunning(desk, invoice)
    sub = desk.row("Invoice", invoice)["subscription"]
    if sub and desk.row("Subscription", sub)["status"] in ("past_due", "suspended"):
        from .subscriptions import set_status

        if not _other_open(desk, sub, invoice):
            set_status(desk, sub, "active")
            desk.drop_timer(f"grace|{sub}")


def _other_open(desk: Desk, sub: str, invoice: str) -> bool:
    """Whether another invoice of the subscription still waits after failed attempts."""
    rows = desk.select("Invoice", subscription=sub)
    return any(
        r["id"] != invoice and r["status"] in ("final", "sent") and r["attempts"] for r in rows
    )


def _end_dunning(desk: Desk, invoice: str) -> None:
    desk.drop_timer(f"retry|{invoice}")
    desk.change("Invoice", invoice, dunning=None)


def _invoice_failed(desk: Desk, invoice: str, error: str | None) -> None:
    """Notes the failure; the policy says when to try again, or what ends it."""
    row = desk.row("Invoice", invoice)
    if row["status"] not in _OPEN:
        return
    desk.announce(
        "Invoice.payment_failed", invoice, invoice=invoice, customer=row["customer"],
        subscription=row["subscription"], error=error,
    )  # fmt: skip
    if row["subscription"]:
        _past_due(desk, row["subscription"])
    held = row["dunning"] or {"first": desk.now, "steps": 0}
    step = dunning.after_failure(
        desk.program.dunning, held["first"], desk.now, held["steps"], error,
        zone_of(desk, row["customer"]),
    )  # fmt: skip
    match step:
        case Retry(at=at, step=number):
            desk.change("Invoice", invoice, dunning={**held, "steps": number})
            desk.set_timer(f"retry|{invoice}", at, what="retry", invoice=invoice)
        case Exhausted():
            _exhaust(desk, row, step)


def _past_due(desk: Desk, sub: str) -> None:
    from .subscriptions import set_status

    if desk.row("Subscription", sub)["status"] in ("active", "trialing"):
        set_status(desk, sub, "past_due")


def _exhaust(desk: Desk, invoice: Mapping[str, Any], end: Exhausted) -> None:
    key, sub = invoice["id"], invoice["subscription"]
    if desk.program.dunning is None:
        return
    desk.announce(
        "Dunning.exhausted", key, invoice=key, customer=invoice["customer"], subscription=sub
    )
    _end_action(desk, key, sub, end.action)
    if end.grace_at is not None:
        desk.set_timer(
            f"grace|{sub or key}", end.grace_at, what="grace", invoice=key, sub=sub,
            action=end.grace_action,
        )  # fmt: skip


def _end_action(desk: Desk, invoice: str, sub: str | None, action: str | None) -> None:
    from .subscriptions import end, set_status

    match action:
        case "suspend" if sub and desk.row("Subscription", sub)["status"] in LIVE:
            set_status(desk, sub, "suspended")
        case "cancel" if sub and desk.row("Subscription", sub)["status"] in LIVE:
            end(desk, sub, "cancelled")
        case "mark_uncollectible":
            row = desk.row("Invoice", invoice)
            desk.change("Invoice", invoice, status="uncollectible")
            ledger.post(
                desk, f"{invoice}/uncollectible", row["customer"],
                (ledger.BAD_DEBT, row["amount_open"]), (ledger.RECEIVABLE, -row["amount_open"]),
            )  # fmt: skip


def retry(desk: Desk, invoice: str) -> None:
    """A retry of the policy is due."""
    if desk.row("Invoice", invoice)["status"] in ("final", "sent"):
        collect(desk, invoice, None)


def grace_over(desk: Desk, task: Mapping[str, Any]) -> None:
    """The grace period after the last retry is over."""
    if desk.row("Invoice", task["invoice"])["status"] in ("final", "sent", "uncollectible"):
        _end_action(desk, task["invoice"], task["sub"], task["action"])


def pay_invoice(
    desk: Desk, args: dict[str, Any], site: object, place: Any, resume: dict[str, Any] | None
) -> tuple[Any, bool]:
    """`pay_invoice { invoice }`: a try by hand uses up no step of the policy."""
    key = args["invoice"]
    row = desk.row("Invoice", key)
    if row["status"] not in _OPEN:
        raise Refusal(f"invoice {row['number'] or key} is {row['status']}: nothing is open on it")
    if args.get("from_credit"):
        _from_credit(desk, row)
        return None, False
    return collect(desk, key, resume, site, place), True


def _from_credit(desk: Desk, row: Mapping[str, Any]) -> None:
    from .customers import grants
    from .invoices import paid

    left = row["amount_open"]
    zero = Money(0, row["currency"])
    for grant in grants(desk, row["customer"], row["currency"]):
        part = min(left, grant.balance)
        if part > zero and (grant.expires is None or grant.expires > desk.now):
            desk.change("Wallet", grant.id, balance=grant.balance - part)
            left = left - part
    used = row["amount_open"] - left
    ledger.post(
        desk, f"{row['id']}/from_credit", row["customer"],
        (ledger.CREDIT, used), (ledger.RECEIVABLE, -used),
    )  # fmt: skip
    desk.change("Invoice", row["id"], amount_open=left)
    if not left:
        paid(desk, row["id"])


# --- refunds ---------------------------------------------------------------------------------


def refund(
    desk: Desk, args: dict[str, Any], site: object, place: Any, resume: dict[str, Any] | None
) -> str:
    """`refund { payment, amount? }`: never more than is left of the charge."""
    key = args["payment"]
    payment = desk.row("Payment", key)
    if payment["status"] not in ("succeeded", "refunded"):
        raise Refusal(f"payment {key} is {payment['status']}: there is nothing to refund")
    left = payment["amount"] - payment["refunded"]
    amount = args.get("amount") or left
    if amount <= Money(0, amount.currency) or amount > left:
        raise Refusal(f"{amount} can't be refunded: {left} of the charge is left")
    made = desk.create(
        "Refund",
        {"payment": key, "customer": payment["customer"], "amount": amount, "status": "pending"},
        f"refund/{site}",
    )
    desk.change("Payment", key, refunded=payment["refunded"] + amount)
    data = {
        "refund": made, "payment": key, "customer": payment["customer"], "amount": amount,
        "reference": payment["reference"],
    }  # fmt: skip
    desk.effect("refund", data, site, place, payment["customer"], resume)
    return made


def refund_outcome(desk: Desk, effect: Row, outcome: Outcome) -> str:
    """What follows from a refund."""
    data = effect["data"]
    made, key, amount = str(data["refund"]), data["payment"], data["amount"]
    payment = desk.row("Payment", key)
    names = {"refund": made, "payment": key, "customer": payment["customer"]}
    if outcome.status == "succeeded":
        desk.change("Refund", made, status="succeeded")
        if payment["refunded"] == payment["amount"]:
            desk.change("Payment", key, status="refunded")
        ledger.post(
            desk, f"{made}/refunded", payment["customer"],
            (ledger.REFUNDS, amount), (ledger.CASH, -amount),
        )  # fmt: skip
        desk.announce("Refund.succeeded", made, **names)
    else:
        desk.change("Refund", made, status="failed", error=outcome.error)
        desk.change("Payment", key, refunded=payment["refunded"] - amount)
        desk.announce("Refund.failed", made, error=outcome.error, **names)
    return made
